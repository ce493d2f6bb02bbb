"""Addresses from CSV into a draft, in H3 order, with groups by street, town and post code."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from h3.api import numpy_int as h3

from locsvc.errors import BadData, FieldViolation, InvalidInput
from locsvc.geo import is_null_position
from locsvc.model import CivicAddress
from locsvc.reference.addresses import table as files
from locsvc.reference.addresses.columns import CIVIC_FIELDS, Groups, TextsInWork
from locsvc.reference.addresses.ground import along_ground_m, in_space_m
from locsvc.reference.addresses.words import hashed, joined_street, number_keys, place_key, street_key
from locsvc.reference.importing import CONSTANT, ImportReport, Rejects, TableLayout, find_layout, read_table
from locsvc.reference.snapshot import Draft

DATASET = "addresses"
# Neighbours lie side by side in the files: cells of some 10 m. Tiles of 0.7 km2 are few enough for an R-tree in memory
# (110,000 for all of Ireland) and small enough to be read whole.
_ORDER_RESOLUTION = 12
_TILE_RESOLUTION = 8
_PROGRESS_ROWS = 20_000

NO_COORDINATES = "no coordinates"
BAD_COORDINATES = "coordinates are no latitude and longitude in degrees"
NULL_COORDINATES = "coordinates are 0,0"
NO_WORDS = "no street, town, post code or name"

# Headers that were met: OpenStreetMap extracts, OpenAddresses, national registers.
_KNOWN: dict[str, tuple[str, ...]] = {
    "latitude": ("lat", "latitude_deg", "y", "y_coord", "wgs84_lat"),
    "longitude": ("lon", "lng", "long", "longitude_deg", "x", "x_coord", "wgs84_lon"),
    **dict.fromkeys(CIVIC_FIELDS, ()),
    "country": ("country_code", "addr:country", "iso2"),
    "state": ("region", "province", "addr:state"),
    "county": ("addr:county",),
    "city": ("town", "locality", "municipality", "place", "addr:city", "post_town"),
    "district": ("suburb", "addr:suburb"),
    "street": ("street_name", "streetname", "road", "addr:street"),
    "house_number": ("number", "housenumber", "house_no", "addr:housenumber", "hno"),
    "house_number_suffix": ("number_suffix", "hns"),
    "postcode": ("post_code", "postal_code", "zip", "zipcode", "eircode", "addr:postcode"),
    "unit": ("apartment", "flat", "suite", "addr:unit"),
    "name": ("house_name", "housename", "addr:housename"),
    # Not ours: tells that `building` is OpenStreetMap's kind of building ("yes", "house"), not a building's name.
    "osm_id": ("osm_type",),
}


def import_addresses(
    draft: Draft,
    source: Path,
    *,
    name: str,
    mapping: Mapping[str, str] | None = None,
    rejects: Path | None = None,
    licence: str = "",
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import a CSV file of address points; what became of each row is in the report.

    Parameters
    ----------
    name
        Name of this import; the same name again replaces it.
    mapping
        Our column (latitude, longitude, or a field of CivicAddress) -> column of the table, or "=text" for a constant.
        Columns with usual names are found without.
    rejects
        CSV file for the rows that could not be used.
    progress
        Called with the number of rows read so far, now and then.

    Raises
    ------
    BadData
        The file cannot be read, or has no usable row.
    InvalidInput
        The mapping names a column that is not there, or the table has no latitude or longitude.
    """
    started = time.monotonic()
    layout = _layout(source, mapping)
    gathered = _Gathered(layout.columns())
    with Rejects(rejects) as rejected:
        for count, row in enumerate(read_table(source, layout), start=1):
            problem = row.problem or gathered.add(row.values)
            if problem:
                rejected.add(row.line, problem, row.text)
            if progress is not None and count % _PROGRESS_ROWS == 0:
                progress(count)
        if not gathered.rows:
            reasons = ", ".join(f"{count} x {reason}" for reason, count in rejected.counts.items())
            raise BadData(f"{source} has no usable address ({reasons or 'no rows'})")
        gathered.save(draft.dataset_dir(DATASET, name))
        draft.describe(DATASET, name, rows=gathered.rows, source=source.name, licence=licence, built_at=time.time())
        return rejected.report(gathered.rows, time.monotonic() - started)


def _layout(source: Path, mapping: Mapping[str, str] | None) -> TableLayout:
    layout = find_layout(source, known=_KNOWN, mapping=mapping)
    missing = [c for c in ("latitude", "longitude") if c not in layout.columns()]
    if missing:
        raise InvalidInput(
            [FieldViolation(f"mapping.{c}", f"{source} has no column for it; say which one it is") for c in missing]
        )
    if layout.indexes.pop("osm_id", None) is not None and "building" not in (mapping or {}):
        layout.indexes.pop("building", None)
    for column, text in (mapping or {}).items():
        if column in {"latitude", "longitude"} and text.startswith(CONSTANT):
            raise InvalidInput([FieldViolation(f"mapping.{column}", "addresses cannot all have the same one")])
    return layout


class _Gathered:
    """Rows as they come, a few bytes each; only columns that the table has take room."""

    def __init__(self, columns: Collection[str]) -> None:
        self._latitude = array("d")
        self._longitude = array("d")
        self._cell = array("q")
        self._street = array("q")
        self._number = array("q")
        self._row_of_number = array("q")
        self._postcode = array("q")
        self._town = array("q")
        # Key of a town with its county, state and country -> keys of its name, state and country.
        self._town_names: dict[int, tuple[int, int, int]] = {}
        self._texts = {name: TextsInWork() for name in CIVIC_FIELDS if name in columns}

    @property
    def rows(self) -> int:
        return len(self._cell)

    def add(self, values: Mapping[str, str]) -> str | None:
        """Add a row, or tell why it cannot be used."""
        latitude_text, longitude_text = values.get("latitude", ""), values.get("longitude", "")
        if not latitude_text or not longitude_text:
            return NO_COORDINATES
        try:
            latitude, longitude = float(latitude_text), float(longitude_text)
        except ValueError:
            return BAD_COORDINATES
        if not (math.isfinite(longitude) and abs(latitude) <= 90.0 and abs(longitude) <= 180.0):
            return BAD_COORDINATES
        if is_null_position(latitude, longitude):
            return NULL_COORDINATES
        address = CivicAddress(**{n: " ".join(values[n].split()) for n in self._texts if values.get(n)})
        if not (address.street or address.city or address.postcode or address.name or address.building):
            return NO_WORDS
        self._latitude.append(latitude)
        self._longitude.append(longitude)
        self._cell.append(h3.latlng_to_cell(latitude, longitude, _ORDER_RESOLUTION))
        self._add_keys(address)
        for name, column in self._texts.items():
            column.add(getattr(address, name))
        return None

    def _add_keys(self, address: CivicAddress) -> None:
        street = street_key(joined_street(address))
        for number in number_keys(address.house_number + address.house_number_suffix) if street else ():
            self._number.append(hashed(f"{street}|{number}"))
            self._row_of_number.append(len(self._street))
        self._street.append(hashed(street))
        self._postcode.append(hashed(place_key(address.postcode)))
        city, state, country = (place_key(t) for t in (address.city, address.state, address.country))
        town = hashed("|".join((city, place_key(address.county), state, country))) if city else 0
        if town and town not in self._town_names:
            self._town_names[town] = (hashed(city), hashed(state), hashed(country))
        self._town.append(town)

    def save(self, directory: Path) -> None:
        """Write everything in H3 order."""
        cell = np.frombuffer(self._cell, dtype=np.int64)
        order = np.argsort(cell, kind="stable")
        latitude = np.rint(np.frombuffer(self._latitude)[order] / files.E7).astype(np.int32)
        longitude = np.rint(np.frombuffer(self._longitude)[order] / files.E7).astype(np.int32)
        postcode = np.frombuffer(self._postcode, dtype=np.int64)[order]
        np.save(directory / f"{files.LATITUDE}.npy", latitude)
        np.save(directory / f"{files.LONGITUDE}.npy", longitude)
        np.save(directory / f"{files.POSTCODE_KEY}.npy", postcode)
        _save_tiles(directory, cell[order], latitude, longitude)
        for name, text in self._texts.items():
            text.save(directory, name, order)
        Groups.of(np.frombuffer(self._street, dtype=np.int64)[order]).save(directory, files.STREETS)
        new_row = np.empty_like(order)
        new_row[order] = np.arange(len(order))
        numbers = np.frombuffer(self._number, dtype=np.int64)
        Groups.of(numbers, new_row[np.frombuffer(self._row_of_number, dtype=np.int64)]).save(directory, files.NUMBERS)
        postcodes = Groups.of(postcode)
        postcodes.save(directory, files.POSTCODES)
        _save_places(directory, files.POSTCODES, postcodes, latitude, longitude)
        towns = self._save_towns(directory, np.frombuffer(self._town, dtype=np.int64)[order])
        _save_places(directory, files.TOWNS, towns, latitude, longitude)

    def _save_towns(self, directory: Path, town: npt.NDArray[np.int64]) -> Groups:
        # Numbered by the key of the name, so that all towns of one name lie side by side.
        numbered = sorted(self._town_names, key=lambda key: (self._town_names[key], key))
        names = np.array([self._town_names[key] for key in numbered], dtype=np.int64).reshape(-1, 3)
        number_of = {0: -1} | {key: number for number, key in enumerate(numbered)}
        distinct, which = np.unique(town, return_inverse=True)
        numbers = np.array([number_of[int(key)] for key in distinct], dtype=np.int32)[which]
        np.save(directory / f"{files.TOWN_NAMES}.npy", names)
        np.save(directory / f"{files.TOWN}.npy", numbers)
        # Key 0 would be in no group.
        towns = Groups.of(numbers.astype(np.int64) + 1)
        towns.save(directory, files.TOWNS)
        return towns


def _save_tiles(
    directory: Path, cell: npt.NDArray[np.int64], latitude: npt.NDArray[np.int32], longitude: npt.NDArray[np.int32]
) -> None:
    # Three bits a level: cells of one parent differ in the last ones only (H3 index, bits 0 to 44).
    tile = cell >> (3 * (15 - _TILE_RESOLUTION))
    starts = np.flatnonzero(np.diff(tile, prepend=tile[0] - 1))
    south_west = [np.minimum.reduceat(c, starts) for c in (latitude, longitude)]
    north_east = [np.maximum.reduceat(c, starts) for c in (latitude, longitude)]
    np.save(directory / f"{files.TILE_STARTS}.npy", np.append(starts, len(tile)).astype(np.int64))
    np.save(directory / f"{files.TILE_BOXES}.npy", np.stack([*south_west, *north_east], axis=1))


def _save_places(
    directory: Path,
    name: str,
    groups: Groups,
    latitude: npt.NDArray[np.int32],
    longitude: npt.NDArray[np.int32],
) -> None:
    places = np.empty((len(groups.keys), 3))
    for index, (first, last) in enumerate(zip(groups.starts[:-1], groups.starts[1:], strict=True)):
        rows = groups.rows[first:last]
        middle, spread_m = middle_and_spread(files.degrees(latitude[rows]), files.degrees(longitude[rows]))
        places[index] = rows[middle], spread_m, len(rows)
    np.save(directory / f"{name}.{files.PLACES}.npy", places)


def middle_and_spread(
    latitude_deg: npt.NDArray[np.float64], longitude_deg: npt.NDArray[np.float64], share: float = 0.9
) -> tuple[int, float]:
    """Index of the place in the middle of others, and the radius round it that holds `share` of them, metres.

    The middle is the place nearest to the median of each coordinate, so it is a real one, and far outliers do not
    draw it away.

    >>> middle_and_spread(np.array([53.0, 53.001, 53.002]), np.array([-6.0, -6.0, -6.0]))[0]
    1
    """
    space = in_space_m(latitude_deg, longitude_deg)
    middle = int(np.argmin(((space - np.median(space, axis=0)) ** 2).sum(axis=1)))
    distance_m = along_ground_m(((space - space[middle]) ** 2).sum(axis=1))
    return middle, float(np.quantile(distance_m, share, method="higher"))
