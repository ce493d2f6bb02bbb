"""Cell datasets of a snapshot, searched together: from an identity to the best that is known of its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from locsvc import geo
from locsvc.model import CellFallback, CellMeasurement, LatLng
from locsvc.reference.cells import keys
from locsvc.reference.cells.circles import (
    CIRCLE_COUNT,
    CIRCLE_LATITUDE,
    CIRCLE_LONGITUDE,
    CIRCLE_RADIUS,
    CIRCLE_RANGE,
    CIRCLE_WIDTH,
    DEFAULT_RANGE_M,
)
from locsvc.reference.cells.columns import (
    AREA,
    LATITUDE,
    LONGITUDE,
    PER_DEGREE,
    RANGE,
    SAMPLES,
    updated_seconds,
)
from locsvc.reference.cells.regions import (
    PLACE_COUNT,
    PLACE_LATITUDE,
    PLACE_LONGITUDE,
    PLACE_RANGE,
    regions_of,
)
from locsvc.reference.cells.squares import flat_distance_m
from locsvc.reference.cells.table import CellTable
from locsvc.reference.cells.types import CellPlaces, CellQueries, CellRow
from locsvc.reference.snapshot import Entry

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Least range of a step, metres. Members that are known may all stand in one place; the cell that is not known need not.
# Each is larger than the typical range of the step before: a macro cell of a town reaches some 1 km (sheet 05: 2 km is
# the prior of an LTE cell whose range nobody stated), a tracking area holds tens of sites. `regions` has the last two.
LEAST_PHYSICAL_M = 1_000.0
# By how much the identity's possible re-use widens a row that was found by channel and physical identity only.
PHYSICAL_WIDENING = 1.25
LEAST_RANGE_M = {CellFallback.SITE: 2_000.0, CellFallback.AREA: 5_000.0}
# Radius that a group has before any member is known, weighing as much as 3 members: the farthest of m known cells is
# exceeded by the next one in one of m + 1 cases, so a group of one or two says little about its size.
PRIOR_RADIUS_M = {CellFallback.SITE: 750.0, CellFallback.AREA: 12_000.0}
PRIOR_MEMBERS = 3.0
# Same channel and identity at less than this many times the distance of the nearest: either may be meant.
AMBIGUOUS_DISTANCE_RATIO = 2.0
# Antennas of one mast with the same identity on several channels.
SAME_MAST_M = 100.0


@dataclass(slots=True)
class _Answer:
    """Places being filled in, step by step."""

    step: npt.NDArray[np.int8]
    latitude_deg: Floats
    longitude_deg: Floats
    range_m: Floats
    samples: Ints
    azimuth_deg: Floats
    updated_at: Floats

    @staticmethod
    def blank(size: int) -> _Answer:
        numbers = np.full((5, size), np.nan)
        return _Answer(
            np.zeros(size, np.int8),
            numbers[0],
            numbers[1],
            numbers[2],
            np.zeros(size, np.int64),
            numbers[3],
            numbers[4],
        )

    def places(self) -> CellPlaces:
        return CellPlaces(
            self.step,
            self.latitude_deg,
            self.longitude_deg,
            self.range_m,
            self.samples,
            self.azimuth_deg,
            self.updated_at,
        )


class CellStore:
    """Several imports of cells, as one. A table of masts goes before one of centroids, a newer one before an older."""

    def __init__(self, tables: Sequence[CellTable]) -> None:
        self._tables = sorted(tables, key=lambda t: (not t.masts, -t.built_at, t.name))
        self._with_pci = [table for table in self._tables if table.pci is not None]
        self._regions = regions_of(self._tables)

    @staticmethod
    def open(entries: Sequence[Entry]) -> CellStore:
        """A store over the imports, mapped into memory.

        Raises
        ------
        DatasetError
            A file is missing or damaged; it is named.
        """
        return CellStore([CellTable(entry) for entry in entries])

    def place(self, queries: CellQueries, *, last: CellFallback = CellFallback.COUNTRY) -> CellPlaces:
        """The best that is known of each cell's place, by the first of these that knows anything.

        SECTOR, CENTROID (the row itself), PHYSICAL_IDENTITY (the nearest cell to `near` with that channel and physical
        identity), SITE (other cells of its eNodeB or gNodeB), AREA, NETWORK, COUNTRY (from the dataset or, where it is
        wider, from the table of countries).

        Parameters
        ----------
        queries
            What was measured.
        last
            Last step to ask, for who has no use for a neighbour's country.
        """
        answer = _Answer.blank(len(queries.radio))
        network = keys.networks(queries.radio, queries.mcc, queries.mnc)
        key = keys.cell_keys(network, queries.cell, keys.known_cells(queries.radio, queries.cell))
        for table in self._tables if (key >= 0).any() else ():
            # Markers for an unknown area need no care here: no row has one.
            row = table.find(key, queries.area)
            found = (row >= 0) & (answer.step == 0)
            if found.all():
                self._fill_rows(answer, slice(None), table, row)
                return answer.places()
            if found.any():
                at = np.flatnonzero(found)
                self._fill_rows(answer, at, table, row[at])
        if last >= CellFallback.PHYSICAL_IDENTITY and not answer.step.all():
            self._fill_physical(answer, queries, network)
        if last >= CellFallback.SITE and not answer.step.all():
            self._fill_level(answer, CellFallback.SITE, keys.site_keys(key))
        if last >= CellFallback.AREA and not answer.step.all():
            known_area = keys.known_areas(queries.radio, queries.area)
            self._fill_level(answer, CellFallback.AREA, keys.area_keys(network, queries.area, known_area))
        if last >= CellFallback.NETWORK and not answer.step.all():
            self._fill_regions(answer, queries, last)
        return answer.places()

    def rows(self, queries: CellQueries, limit: int) -> list[list[CellRow]]:
        """For each query the rows behind its answer, best first, at most `limit`.

        Rows with the identity (of any area where the query's has none); else those with the channel and physical
        identity near the place, nearest first; else those of the site; else those of the area.
        """
        network = keys.networks(queries.radio, queries.mcc, queries.mnc)
        key = keys.cell_keys(network, queries.cell, keys.known_cells(queries.radio, queries.cell))
        known = keys.known_areas(queries.radio, queries.area)
        area_key = keys.area_keys(network, queries.area, known)
        answers = []
        for index in range(len(key)):
            near = (float(queries.near_latitude_deg[index]), float(queries.near_longitude_deg[index]))
            one = CellQueries(*(getattr(queries, name)[index : index + 1] for name in CellQueries.__slots__))
            found = self._rows_of_key(int(key[index]), int(queries.area[index]) if known[index] else keys.UNKNOWN)
            if not found:
                found = self._rows_nearby(one, network[index : index + 1])
            if not found and key[index] >= 0:
                found = [(t, int(r)) for t in self._tables for r in t.rows_of_site(int(key[index]))[:limit]]
            if not found and area_key[index] >= 0:
                found = [(t, int(r)) for t in self._tables for r in t.rows_of_area(int(area_key[index]))[:limit]]
            answers.append([_row(table, row, near) for table, row in found[:limit]])
        return answers

    def nearest(self, latitude_deg: float, longitude_deg: float, limit: int) -> list[CellRow]:
        """The rows nearest to the place, nearest first."""
        found = [
            (metres, index, row)
            for index, table in enumerate(self._tables)
            for row, metres in zip(
                *(column.tolist() for column in table.nearest(latitude_deg, longitude_deg, limit)), strict=True
            )
        ]
        near = (latitude_deg, longitude_deg)
        return [_row(self._tables[index], row, near) for _, index, row in sorted(found)[:limit]]

    def _rows_of_key(self, key: int, area: int) -> list[tuple[CellTable, int]]:
        if key < 0:
            return []
        found = [(t, int(r)) for t in self._tables for r in t.rows_of_key(key)]
        same = [(t, r) for t, r in found if t.place[r, AREA] == area]
        # The chain's own rule decides whether rows of other areas are the same cell.
        others = [(t, r) for t, r in found if t.place[r, AREA] != area]
        if area >= 0 and not same:
            others = [(t, r) for t, r in others if t.find(np.array([key]), np.array([area], np.int32))[0] >= 0]
        return same + (others if area < 0 or not same else [])

    def _rows_nearby(self, query: CellQueries, network: Ints) -> list[tuple[CellTable, int]]:
        if not _askable(query, network)[0]:
            return []
        found = [
            (metres, index, row)
            for index, table in enumerate(self._tables)
            for row, metres in zip(
                *(c.tolist() for c in table.near(network, query.pci, query.arfcn, *_near(query))[1:]), strict=True
            )
        ]
        return [(self._tables[index], row) for _, index, row in sorted(found)]

    def _fill_regions(self, answer: _Answer, queries: CellQueries, last: CellFallback) -> None:
        at = np.flatnonzero(answer.step == 0)
        region = self._regions.find(queries.mcc[at], queries.mnc[at])
        if last == CellFallback.NETWORK:
            network = self._regions.step[region] == CellFallback.NETWORK
            at, region = at[network], region[network]
        place = self._regions.place[region]
        answer.step[at] = self._regions.step[region]
        answer.latitude_deg[at] = place[:, PLACE_LATITUDE]
        answer.longitude_deg[at] = place[:, PLACE_LONGITUDE]
        answer.range_m[at] = place[:, PLACE_RANGE]
        answer.samples[at] = np.nan_to_num(place[:, PLACE_COUNT])

    def _fill_rows(self, answer: _Answer, at: Ints | slice, table: CellTable, row: Ints) -> None:
        place = table.place.take(row, axis=0)
        answer.step[at] = CellFallback.SECTOR if table.masts else CellFallback.CENTROID
        degrees = place[:, : LONGITUDE + 1] / PER_DEGREE
        answer.latitude_deg[at] = degrees[:, LATITUDE]
        answer.longitude_deg[at] = degrees[:, LONGITUDE]
        stated = place[:, RANGE]
        answer.range_m[at] = np.where(stated > 0, stated, np.nan)
        answer.samples[at] = place[:, SAMPLES]
        updated = updated_seconds(place)
        answer.updated_at[at] = np.where(updated > 0, updated, np.nan)
        if table.azimuth_deg is not None:
            answer.azimuth_deg[at] = table.azimuth_deg[row]

    def _fill_physical(self, answer: _Answer, queries: CellQueries, network: Ints) -> None:
        if not self._with_pci or not (queries.pci >= 0).any():
            return
        asked = np.flatnonzero((answer.step == 0) & _askable(queries, network))
        if not len(asked):
            return
        best_m = np.full(len(asked), np.inf)
        for table in self._with_pci:
            query, row, metres = table.near(
                network[asked],
                queries.pci[asked],
                queries.arfcn[asked],
                queries.near_latitude_deg[asked],
                queries.near_longitude_deg[asked],
            )
            if not len(query):
                continue
            first = np.flatnonzero(np.append(True, query[1:] != query[:-1]))
            nearer = metres[first] < best_m[query[first]]
            first = first[nearer]
            which = query[first]
            best_m[which] = metres[first]
            at = asked[which]
            self._fill_rows(answer, at, table, row[first])
            answer.step[at] = CellFallback.PHYSICAL_IDENTITY
            spread = _ambiguity(table, query, row, metres, first)
            stated = answer.range_m[at]
            range_m = np.where(np.isnan(stated), DEFAULT_RANGE_M[queries.radio[at]], stated)
            answer.range_m[at] = np.maximum(range_m, LEAST_PHYSICAL_M) * PHYSICAL_WIDENING + spread

    def _fill_level(self, answer: _Answer, step: CellFallback, key: Ints) -> None:
        """Fill what is open from groups of one level; of several imports the one that knows most of the group."""
        at = np.flatnonzero((answer.step == 0) & (key >= 0))
        if not len(at):
            return
        best = np.zeros((len(at), CIRCLE_WIDTH))
        for table in self._tables:
            level = table.levels[step.name.lower()]
            group = level.find(key[at])
            there = np.flatnonzero(group >= 0)
            if len(there):
                circle = level.circle[group[there]]
                larger = circle[:, CIRCLE_COUNT] > best[there, CIRCLE_COUNT]
                best[there[larger]] = circle[larger]
        known = np.flatnonzero(best[:, CIRCLE_COUNT])
        if not len(known):
            return
        at, best = at[known], best[known]
        radius, count = best[:, CIRCLE_RADIUS], best[:, CIRCLE_COUNT]
        drawn = (count * radius + PRIOR_MEMBERS * PRIOR_RADIUS_M[step]) / (count + PRIOR_MEMBERS)
        answer.step[at] = step
        answer.latitude_deg[at] = best[:, CIRCLE_LATITUDE]
        answer.longitude_deg[at] = best[:, CIRCLE_LONGITUDE]
        range_m = np.maximum(radius, drawn) + best[:, CIRCLE_RANGE]
        answer.range_m[at] = np.maximum(range_m, LEAST_RANGE_M[step])
        answer.samples[at] = count


def _ambiguity(table: CellTable, query: Ints, row: Ints, metres: Floats, first: Ints) -> Floats:
    """What to add to the range where a second cell with the same identity is not much farther: metres to it."""
    begins = np.append(True, query[1:] != query[:-1])
    begin = np.flatnonzero(begins)
    nearest = begin[np.cumsum(begins) - 1]
    apart = np.zeros(len(query))
    # Within 100 m of each other they are the channels of one mast.
    rival = np.flatnonzero(metres <= AMBIGUOUS_DISTANCE_RATIO * metres[nearest] + SAME_MAST_M)
    if len(rival) > len(begin):
        one = table.place.take(row[nearest[rival]], axis=0)[:, : LONGITUDE + 1] / PER_DEGREE
        other = table.place.take(row[rival], axis=0)[:, : LONGITUDE + 1] / PER_DEGREE
        apart[rival] = flat_distance_m(one[:, LATITUDE], one[:, LONGITUDE], other[:, LATITUDE], other[:, LONGITUDE])
    spread = np.maximum.reduceat(apart, begin)[np.searchsorted(begin, first)]
    return np.where(spread > SAME_MAST_M, spread, 0.0)


def _askable(queries: CellQueries, network: Ints) -> npt.NDArray[np.bool_]:
    """Whether there is enough to look for the physical identity near a place."""
    near = np.isfinite(queries.near_latitude_deg) & np.isfinite(queries.near_longitude_deg)
    askable: npt.NDArray[np.bool_] = near & (network >= 0) & (queries.pci >= 0)
    return askable & (queries.pci <= keys.MAX_PCI[queries.radio])


def _near(queries: CellQueries) -> tuple[Floats, Floats]:
    return queries.near_latitude_deg, queries.near_longitude_deg


def _row(table: CellTable, row: int, near: tuple[float, float]) -> CellRow:
    radio, mcc, mnc, cell = keys.unpack_cell_key(int(table.key[row]))
    place = table.place[row : row + 1]
    latitude, longitude = place[0, LATITUDE] / PER_DEGREE, place[0, LONGITUDE] / PER_DEGREE
    azimuth = float("nan") if table.azimuth_deg is None else float(table.azimuth_deg[row])
    measured = CellMeasurement(
        radio=radio,
        mcc=f"{mcc:03d}",
        mnc=keys.mnc_text(mcc, mnc),
        area=_known(place[0, AREA]),
        cell=cell,
        pci=None if table.pci is None else _known(table.pci[row]),
        arfcn=None if table.arfcn is None else _known(table.arfcn[row]),
    )
    return CellRow(
        cell=measured,
        position=LatLng(float(latitude), float(longitude)),
        is_mast=table.masts,
        azimuth_deg=None if np.isnan(azimuth) else azimuth,
        range_m=float(place[0, RANGE]) or None,
        samples=int(place[0, SAMPLES]),
        updated_at=float(updated_seconds(place)[0]) or None,
        distance_m=float(geo.distance_m(*near, latitude, longitude)) if np.isfinite(near).all() else None,
    )


def _known(number: int | np.int16 | np.int32) -> int | None:
    return int(number) if number >= 0 else None
