"""From a civic address to a place: the exact address, else its street, else its town or post code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from locsvc.model import CivicAddress, Placement
from locsvc.reference.addresses.ground import along_ground_m, in_space_m
from locsvc.reference.addresses.importer import middle_and_spread
from locsvc.reference.addresses.table import AddressTable
from locsvc.reference.addresses.words import (
    fold,
    hashed,
    joined_street,
    number_keys,
    place_key,
    street_key,
    without_number,
)

# Entrances and flats of one address lie this near to each other; matches farther apart are different addresses.
_SAME_ADDRESS_M = 150.0
# A street or town is at least this wide, however few of its addresses are known.
_LEAST_STREET_M = 100.0
_LEAST_LOCALITY_M = 500.0
# How a part of an address agrees; the better, the higher.
_DIFFERS, _NOT_KNOWN, _AGREES = 0, 1, 2


@dataclass(frozen=True, slots=True)
class AddressPlace:
    """Where an address is, and how that was found."""

    latitude_deg: float
    longitude_deg: float
    placement: Placement
    """GEOCODED_EXACT, GEOCODED_STREET or GEOCODED_LOCALITY."""
    spread_m: float
    """Radius that holds nine tenths of the addresses of the street or locality; 0 for an exact address."""
    row: int
    """The address itself, or one in the middle of the street or locality."""
    address: CivicAddress
    """What was found: without its house number when it is a street, only the locality when it is one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The keys of the address that is looked for; 0 for what it does not say."""

    street: int
    numbers: tuple[int, ...]
    """House number and street together; of a list or pair of numbers the whole first."""
    number: str
    """The house number as a whole."""
    unit: str
    city: int
    state: int
    country: int
    postcode: int

    @staticmethod
    def of(address: CivicAddress) -> Wanted:
        """The keys of an address; a house number may stand in the street's text."""
        street, number = joined_street(address), address.house_number + address.house_number_suffix
        if not number:
            street, number = without_number(street)
        key, numbers = street_key(street), number_keys(number)
        return Wanted(
            street=hashed(key),
            numbers=tuple(hashed(f"{key}|{n}") for n in numbers) if key else (),
            number=numbers[0] if numbers else "",
            unit=fold(address.unit),
            city=hashed(place_key(address.city or address.district)),
            state=hashed(place_key(address.state)),
            country=hashed(place_key(address.country)),
            postcode=hashed(place_key(address.postcode)),
        )


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of one table that may be meant, and how well each agrees (higher is better)."""

    table: int
    rows: npt.NDArray[np.int64]
    score: npt.NDArray[np.int64]


class Geocoder:
    """Finds addresses by their words in several tables."""

    def __init__(self, tables: Sequence[AddressTable]) -> None:
        self._tables = tables
        self._first_row = np.cumsum([0, *(t.rows for t in tables)])

    def find(self, address: CivicAddress, limit: int) -> Iterator[AddressPlace]:
        """Places for an address, best first: see `AddressStore.find`."""
        wanted = Wanted.of(address)
        numbered = list(enumerate(self._tables))
        exact = [f for i, t in numbered if len((f := _exact_rows(t, i, wanted)).rows)]
        if exact:
            best = max(int(e.score.max()) for e in exact)
            exact = [Found(e.table, e.rows[e.score == best], e.score[e.score == best]) for e in exact]
            yield from self._exact(exact, limit)
            return
        streets = [f for i, t in numbered if len((f := _may_be(t, i, _street_rows(t, wanted), wanted)).rows)]
        if streets:
            whole = self._summary(streets, Placement.GEOCODED_STREET)
            yield replace(whole, address=_only_street(whole.address))
            yield from (self._single(table, row) for table, row in self._each(streets, limit - 1))
            return
        locality = self._locality(wanted)
        if locality is not None:
            yield locality

    def _exact(self, exact: Sequence[Found], limit: int) -> Iterator[AddressPlace]:
        together = self._summary(exact, Placement.GEOCODED_EXACT, share=1.0)
        if together.spread_m <= _SAME_ADDRESS_M:
            yield replace(together, spread_m=0.0)
            others = (p for p in self._each(exact, limit) if self._first_row[p[0]] + p[1] != together.row)
            yield from (self._single(table, row) for table, row in others)
            return
        # The same words stand for addresses far from each other, and nothing says which one is meant.
        yield replace(together, placement=Placement.GEOCODED_STREET, address=_only_street(together.address))
        yield from (self._single(table, row) for table, row in self._each(exact, limit - 1))

    def _each(self, found: Sequence[Found], limit: int) -> Iterator[tuple[int, int]]:
        rows = [(-int(s), f.table, int(r)) for f in found for r, s in zip(f.rows[:1000], f.score[:1000], strict=True)]
        yield from ((table, row) for _, table, row in sorted(rows)[: max(limit, 0)])

    def _single(self, table: int, row: int) -> AddressPlace:
        place = self._tables[table].position(row)
        address = self._tables[table].address(row)
        number = int(self._first_row[table]) + row
        return AddressPlace(place.latitude_deg, place.longitude_deg, Placement.GEOCODED_EXACT, 0.0, number, address)

    def _summary(self, found: Sequence[Found], placement: Placement, share: float = 0.9) -> AddressPlace:
        if len(found) == 1 and len(found[0].rows) == 1:
            single = self._single(found[0].table, int(found[0].rows[0]))
            return replace(
                single, placement=placement, spread_m=_LEAST_STREET_M * (placement != Placement.GEOCODED_EXACT)
            )
        degrees = [self._tables[f.table].degrees(f.rows) for f in found]
        latitude = np.concatenate([d[0] for d in degrees])
        longitude = np.concatenate([d[1] for d in degrees])
        middle, spread_m = middle_and_spread(latitude, longitude, share)
        table = np.repeat([f.table for f in found], [len(f.rows) for f in found])[middle]
        single = self._single(int(table), int(np.concatenate([f.rows for f in found])[middle]))
        least_m = 0.0 if placement == Placement.GEOCODED_EXACT else _LEAST_STREET_M
        return replace(single, placement=placement, spread_m=max(spread_m, least_m))

    def _locality(self, wanted: Wanted) -> AddressPlace | None:
        """The smallest locality that is known: of town and post code together, of the post code, of the town."""
        for rows_of in (_town_and_postcode, _postcode, _town):
            for number, table in enumerate(self._tables):
                place = rows_of(table, wanted)
                if place is None:
                    continue
                row, spread_m = place
                single = self._single(number, row)
                return replace(
                    single,
                    placement=Placement.GEOCODED_LOCALITY,
                    spread_m=max(spread_m, _LEAST_LOCALITY_M),
                    address=_only_locality(single.address, with_postcode=rows_of is not _town),
                )
        return None


def towns_of(table: AddressTable, wanted: Wanted) -> npt.NDArray[np.int64]:
    """Numbers of the towns that are called as wanted, in the wanted state and country where both are known."""
    names = table.town_names
    if not wanted.city or not len(names):
        return np.empty(0, dtype=np.int64)
    first, last = np.searchsorted(names[:, 0], [wanted.city, wanted.city + 1])
    numbers = np.arange(first, last)
    for part, asked in ((1, wanted.state), (2, wanted.country)):
        known = names[numbers, part]
        numbers = numbers[(known == asked) | (known == 0) | (asked == 0)]
    return numbers


def _street_rows(table: AddressTable, wanted: Wanted) -> npt.NDArray[np.int64]:
    return (table.streets.find(wanted.street) if wanted.street else table.streets.rows[:0]).astype(np.int64)


def _may_be(table: AddressTable, number: int, rows: npt.NDArray[np.int64], wanted: Wanted) -> Found:
    """Those of `rows` that are, or may be, in the wanted town, post code, state and country."""
    if not len(rows):
        return Found(number, rows, rows)
    town = _town_match(table, rows, wanted)
    postcode = _postcode_match(table, rows, wanted)
    # One of the two may differ when the other agrees: post codes and towns of records are often a neighbour's.
    may_be = (town != _DIFFERS) | (postcode == _AGREES)
    may_be &= (postcode != _DIFFERS) | (town == _AGREES)
    may_be &= _region_agrees(table, rows, wanted)
    return Found(number, rows[may_be], (town + postcode)[may_be])


def _town_match(table: AddressTable, rows: npt.NDArray[np.int64], wanted: Wanted) -> npt.NDArray[np.int64]:
    if not wanted.city:
        return np.full(len(rows), _NOT_KNOWN, dtype=np.int64)
    towns = towns_of(table, wanted)
    town = table.town[rows]
    # Towns of one name are few: comparing with each is quicker than np.isin.
    match = np.where((town[:, None] == towns).any(axis=1), _AGREES, _DIFFERS).astype(np.int64)
    nameless = np.flatnonzero(town < 0)
    if not len(table.town_names):
        match[nameless] = _NOT_KNOWN
    elif len(nameless) and len(towns):
        # A row that does not say its town may be in the wanted one when it lies where that town is.
        space = in_space_m(*table.degrees(rows[nameless]))
        for middle, spread_m, _ in table.town_places[towns]:
            centre = in_space_m(*table.degrees(np.array([int(middle)])))
            within = along_ground_m(((space - centre) ** 2).sum(axis=1)) <= 2.0 * spread_m + 1000.0
            match[nameless[within]] = _NOT_KNOWN
    return match


def _postcode_match(table: AddressTable, rows: npt.NDArray[np.int64], wanted: Wanted) -> npt.NDArray[np.int64]:
    if not wanted.postcode:
        return np.full(len(rows), _NOT_KNOWN, dtype=np.int64)
    known = table.postcode_key[rows]
    return np.where(known == wanted.postcode, _AGREES, np.where(known == 0, _NOT_KNOWN, _DIFFERS))


def _region_agrees(table: AddressTable, rows: npt.NDArray[np.int64], wanted: Wanted) -> npt.NDArray[np.bool_]:
    """Whether the row's town is in the wanted state and country, as far as both are known."""
    agrees = np.ones(len(rows), dtype=np.bool_)
    town = table.town[rows]
    named = town >= 0
    for part, asked in ((1, wanted.state), (2, wanted.country)):
        if asked and named.any():
            known = table.town_names[town[named], part]
            agrees[named] &= (known == asked) | (known == 0)
    return agrees


def _exact_rows(table: AddressTable, number: int, wanted: Wanted) -> Found:
    """Rows of the wanted street with the wanted house number; of these those with the wanted unit, if any has it."""
    found = Found(number, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    for key in wanted.numbers:
        found = _may_be(table, number, table.numbers.find(key).astype(np.int64), wanted)
        if len(found.rows):
            break
    if len(found.rows) > 1:
        # Number 12 itself goes before 10-12, and flat B before its neighbours.
        written = [table.text(row, "house_number", "house_number_suffix") for row in found.rows.tolist()]
        found = _only(found, [number_keys(number)[0] == wanted.number for number in written])
    if len(found.rows) > 1 and wanted.unit:
        found = _only(found, [fold(table.text(row, "unit")) == wanted.unit for row in found.rows.tolist()])
    return found


def _only(found: Found, keep: list[bool]) -> Found:
    """The rows to keep; all when there are none to keep."""
    return Found(found.table, found.rows[keep], found.score[keep]) if any(keep) else found


def _town_and_postcode(table: AddressTable, wanted: Wanted) -> tuple[int, float] | None:
    if not (wanted.city and wanted.postcode):
        return None
    rows = table.postcodes.find(wanted.postcode).astype(np.int64)
    rows = rows[np.isin(table.town[rows], towns_of(table, wanted))]
    return _middle(table, rows)


def _postcode(table: AddressTable, wanted: Wanted) -> tuple[int, float] | None:
    index = int(np.searchsorted(table.postcodes.keys, wanted.postcode))
    found = wanted.postcode and index < len(table.postcodes.keys) and table.postcodes.keys[index] == wanted.postcode
    if not found:
        return None
    row, spread_m, _ = table.postcode_places[index]
    return int(row), float(spread_m)


def _town(table: AddressTable, wanted: Wanted) -> tuple[int, float] | None:
    towns = towns_of(table, wanted)
    if len(towns) == 1:
        row, spread_m, _ = table.town_places[towns[0]]
        return int(row), float(spread_m)
    rows = [table.towns.find(int(town) + 1).astype(np.int64) for town in towns]
    return _middle(table, np.concatenate([np.empty(0, dtype=np.int64), *rows]))


def _middle(table: AddressTable, rows: npt.NDArray[np.int64]) -> tuple[int, float] | None:
    if not len(rows):
        return None
    middle, spread_m = middle_and_spread(*table.degrees(rows))
    return int(rows[middle]), spread_m


def _only_street(address: CivicAddress) -> CivicAddress:
    return replace(
        _only_locality(address, with_postcode=True),
        street_predirection=address.street_predirection,
        street=address.street,
        street_suffix=address.street_suffix,
        street_postdirection=address.street_postdirection,
    )


def _only_locality(address: CivicAddress, *, with_postcode: bool) -> CivicAddress:
    return CivicAddress(
        country=address.country,
        state=address.state,
        county=address.county,
        city=address.city,
        postcode=address.postcode if with_postcode else "",
    )
