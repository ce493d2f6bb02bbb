"""Cell datasets of a snapshot, searched together: from an identity to the best that is known of its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from locsvc import geo
from locsvc.model import CellFallback, CellMeasurement, LatLng
from locsvc.reference.cells import keys
from locsvc.reference.cells.channels import fill_channels
from locsvc.reference.cells.circles import CIRCLE_WIDTH
from locsvc.reference.cells.columns import AREA, LATITUDE, LONGITUDE, PER_DEGREE, RANGE, SAMPLES, updated_seconds
from locsvc.reference.cells.finding import (
    AZIMUTH,
    DEGREES_EAST,
    DEGREES_NORTH,
    METRES,
    NUMBERS,
    SECONDS,
    fill_circles,
    fill_identities,
    fill_regions,
    find_circles,
)
from locsvc.reference.cells.regions import regions_of
from locsvc.reference.cells.table import CellTable
from locsvc.reference.cells.types import CellPlaces, CellQueries, CellRow
from locsvc.reference.snapshot import Entry

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_Words = npt.NDArray[np.int32]
_Identity = tuple[npt.NDArray[np.int8], npt.NDArray[np.int16], npt.NDArray[np.int16], _Words, Ints]
"""Radio, mcc, mnc, area and cell of the queries."""


class OpenPlaces(NamedTuple):
    """Places of cells while they are looked for, (n,): step, the numbers and samples; see `finding`."""

    step: npt.NDArray[np.int8]
    numbers: Floats
    samples: Ints

    def places(self) -> CellPlaces:
        """What is known so far, by name: the same arrays, so that what is filled in later is there too."""
        n = self.numbers
        return CellPlaces(
            self.step, n[DEGREES_NORTH], n[DEGREES_EAST], n[METRES], self.samples, n[AZIMUTH], n[SECONDS]
        )  # fmt: skip


def open_places(count: int) -> OpenPlaces:
    """Places of cells of which none is known so far."""
    return OpenPlaces(np.zeros(count, np.int8), np.full((NUMBERS, count), np.nan), np.zeros(count, np.int64))


# Least range of a step, metres. Members that are known may all stand in one place; the cell that is not known need not.
# Each is larger than the typical range of the step before: a tracking area holds tens of sites. `channels` has the one
# before, `regions` the last two.
LEAST_RANGE_M = {CellFallback.SITE: 2_000.0, CellFallback.AREA: 5_000.0}
# Radius that a group has before any member is known, weighing as much as 3 members: the farthest of m known cells is
# exceeded by the next one in one of m + 1 cases, so a group of one or two says little about its size.
PRIOR_RADIUS_M = {CellFallback.SITE: 750.0, CellFallback.AREA: 12_000.0}
PRIOR_MEMBERS = 3.0


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
        found = open_places(len(queries.radio))
        self.fill(queries, found, last=last)
        return found.places()

    def fill(
        self,
        queries: CellQueries,
        places: OpenPlaces,
        *,
        first: CellFallback = CellFallback.SECTOR,
        last: CellFallback = CellFallback.COUNTRY,
    ) -> None:
        """As `place`, in place, for those whose step is 0 so far; steps before `first` have been asked already."""
        identity = queries[:5]
        for table in self._tables if first <= CellFallback.CENTROID else ():
            own = CellFallback.SECTOR if table.masts else CellFallback.CENTROID
            if not fill_identities(*identity, table.key, table.place, table.azimuths, int(own), *places):
                return
        if last >= CellFallback.PHYSICAL_IDENTITY and self._with_pci:
            self._fill_channels(queries, places)
        if last >= CellFallback.SITE and not self._fill_groups(identity, CellFallback.SITE, places):
            return
        if last >= CellFallback.AREA and not self._fill_groups(identity, CellFallback.AREA, places):
            return
        if last >= CellFallback.NETWORK:
            r, networks_only = self._regions, last == CellFallback.NETWORK
            fill_regions(queries.mcc, queries.mnc, r.network, r.place, r.step, networks_only, *places)

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
            found = self._rows_of_key(int(key[index]), int(queries.area[index]) if known[index] else keys.UNKNOWN)
            if not found:
                found = self._rows_nearby(queries, index, int(network[index]))
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
            others = [(t, r) for t, r in others if t.find(key, area) >= 0]
        return same + (others if area < 0 or not same else [])

    def _rows_nearby(self, queries: CellQueries, index: int, network: int) -> list[tuple[CellTable, int]]:
        latitude, longitude = float(queries.near_latitude_deg[index]), float(queries.near_longitude_deg[index])
        pci, arfcn = int(queries.pci[index]), int(queries.arfcn[index])
        if network < 0 or not 0 <= pci <= keys.MAX_PCI[queries.radio[index]]:
            return []
        if not (math.isfinite(latitude) and math.isfinite(longitude)):
            return []
        found = [
            (metres, number, row)
            for number, table in enumerate(self._tables)
            for row, metres in zip(
                *(c.tolist() for c in table.near(network, pci, arfcn, latitude, longitude)), strict=True
            )
        ]
        return [(self._tables[number], row) for _, number, row in sorted(found)]

    def _fill_channels(self, q: CellQueries, answer: OpenPlaces) -> None:
        """Fills open answers from the nearest cell, of any import, with the channel and physical identity."""
        best_m = np.full(len(q.radio), np.inf)
        for t in self._with_pci:
            fill_channels(
                q.radio, q.mcc, q.mnc, q.pci, q.arfcn, q.near_latitude_deg, q.near_longitude_deg,
                t.physical_key, t.physical_rows, t.physical_place, t.channels, t.place, t.azimuths,
                best_m, *answer,
            )  # fmt: skip

    def _fill_groups(self, identity: _Identity, level: CellFallback, answer: OpenPlaces) -> int:
        """Fills open answers from groups of one level; of several imports the one that knows most of the group.

        Returns how many stay open.
        """
        best = np.zeros((len(answer[0]), CIRCLE_WIDTH))
        for table in self._tables:
            groups = table.levels[level.name.lower()]
            find_circles(*identity, groups.key, groups.circle, int(level), answer[0], best)
        return fill_circles(best, int(level), PRIOR_MEMBERS, PRIOR_RADIUS_M[level], LEAST_RANGE_M[level], *answer)


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
