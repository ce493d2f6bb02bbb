"""One imported cell table, mapped into memory: find rows and groups of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import rtree.index

from locsvc import geo
from locsvc.model import Radio
from locsvc.reference.cells import files, keys
from locsvc.reference.cells.columns import AREA, LATITUDE, LONGITUDE, PER_DEGREE, UPDATED
from locsvc.reference.cells.squares import REACH_M, flat_distance_m, stretches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from locsvc.reference.snapshot import Entry

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NOTHING: Ints = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Level:
    """Groups of cells of one kind: their keys, ascending, and their circles (see `circles`)."""

    key: Ints
    circle: npt.NDArray[np.float32]

    def find(self, key: Ints) -> Ints:
        """Number of the group of each key, (n,) int64, -1 where there is none."""
        return _find(self.key, key)


class CellTable:
    """Rows of one import in the order of their keys, with the indexes that were made at import."""

    def __init__(self, entry: Entry) -> None:
        path = entry.path
        self.name = entry.name
        self.masts = entry.extra.get("masts") is True
        self.built_at = entry.version.built_at or 0.0
        self.key: Ints = files.load(path, files.KEY)
        self.place: npt.NDArray[np.int32] = files.load(path, files.PLACE)
        self.pci: npt.NDArray[np.int16] | None = files.load_optional(path, files.PCI)
        self.arfcn: npt.NDArray[np.int32] | None = files.load_optional(path, files.ARFCN)
        self.azimuth_deg: npt.NDArray[np.float32] | None = files.load_optional(path, files.AZIMUTH)
        self.levels = {
            level: Level(files.load(path, files.group_key(level)), files.load(path, files.group_circle(level)))
            for level in files.LEVELS
        }
        self._area_start: Ints = files.load(path, files.AREA_START)
        self._area_rows: npt.NDArray[np.int32] = files.load(path, files.AREA_ROWS)
        has_pci = self.pci is not None
        self._physical_key: Ints = files.load(path, files.PHYSICAL_KEY) if has_pci else NOTHING
        self._physical_rows: npt.NDArray[np.int32] | None = files.load(path, files.PHYSICAL_ROWS) if has_pci else None
        self._physical_place: npt.NDArray[np.int32] = files.load(path, files.PHYSICAL_PLACE) if has_pci else self.place
        self._tile_box: Floats = files.load(path, files.TILE_BOX)
        self._tile_start: Ints = files.load(path, files.TILE_START)
        self._tile_rows: npt.NDArray[np.int32] = files.load(path, files.TILE_ROWS)
        self._making_tree = threading.Lock()

    def find(self, key: Ints, area: npt.NDArray[np.int32]) -> Ints:
        """Row of each cell, (n,) int64, -1 where there is none.

        A GSM identity is unique within its location area only, so the area must be the row's (or the row without one).
        A UMTS, LTE or NR identity is unique in its network: areas are planned anew while cells stay, so a row of
        another area will do when there is none of this one; of several, the one updated last.
        """
        # One call for four cells is most of the traffic, and there each step of numpy costs more than its work: so
        # each question is asked only when the one before left something open.
        at = self.key.searchsorted(key)
        there = self.key.take(at, mode="clip") == key
        if not there.any():
            return np.full(len(key), keys.UNKNOWN)
        row_area = self.place.take(at, axis=0, mode="clip")[:, AREA]
        elsewhere = np.flatnonzero(there & (row_area != area))
        found = np.where(there, at, keys.UNKNOWN)
        if len(elsewhere):
            found[elsewhere] = self._in_other_areas(key[elsewhere], area[elsewhere], at[elsewhere])
        return found

    def _in_other_areas(self, key: Ints, area: npt.NDArray[np.int32], first: Ints) -> Ints:
        """Rows of cells whose first row, the one of the least area, is of another area; -1 where none will do."""
        unique = _unique_in_network(key)
        found = np.where(unique | (self.place[first, AREA] < 0), first, keys.UNKNOWN)
        newest = self._updated(first)
        open_, at = np.arange(len(key)), first
        while True:
            at = at + 1
            more = self.key.take(at, mode="clip") == key[open_]
            more &= at < len(self.key)
            if not more.any():
                return found
            open_, at = open_[more], at[more]
            same = self.place[at, AREA] == area[open_]
            updated = self._updated(at)
            # A row of the right area ends the search; until then the row updated last is the best of a unique cell.
            better = same | (unique[open_] & (updated > newest[open_]))
            found[open_[better]] = at[better]
            newest[open_[better]] = updated[better]
            open_, at = open_[~same], at[~same]

    def _updated(self, row: Ints) -> Ints:
        updated: Ints = self.place[row, UPDATED].view(np.uint32).astype(np.int64)
        return updated

    def rows_of_key(self, key: int) -> Ints:
        """All rows of a cell key."""
        return np.arange(self.key.searchsorted(key), self.key.searchsorted(key + 1))

    def rows_of_site(self, cell_key: int) -> Ints:
        """All rows at the eNodeB or gNodeB of an LTE or NR cell, none for other radios."""
        radio = keys.unpack_cell_key(cell_key)[0]
        if radio < Radio.LTE:
            return NOTHING
        bits = keys.LTE_CELL_BITS if radio == Radio.LTE else keys.NR_CELL_BITS
        first = cell_key >> bits << bits
        return np.arange(self.key.searchsorted(first), self.key.searchsorted(first + (1 << bits)))

    def rows_of_area(self, area_key: int) -> Ints:
        """All rows of a location or tracking area."""
        group = int(self.levels["area"].find(np.array([area_key]))[0])
        if group < 0:
            return NOTHING
        return self._area_rows[self._area_start[group] : self._area_start[group + 1]].astype(np.int64)

    def near(
        self,
        network: Ints,
        pci: npt.NDArray[np.int32],
        arfcn: npt.NDArray[np.int32],
        latitude_deg: Floats,
        longitude_deg: Floats,
    ) -> tuple[Ints, Ints, Floats]:
        """Cells with the physical identity within 25 km of the place: every match, by query and distance.

        A channel that the query or the table does not know matches any.

        Returns
        -------
        tuple
            Index of the query (k,) int64 ascending, row (k,) int64, distance (k,) float64 in metres, ascending within
            a query.
        """
        nothing = (NOTHING, NOTHING, np.zeros(0))
        if self._physical_rows is None or not len(network):
            return nothing
        query, first, last = stretches(latitude_deg, longitude_deg)
        base = ((network << keys.PCI_BITS) | pci)[query] << keys.SQUARE_BITS
        begin = self._physical_key.searchsorted(base + first)
        count = self._physical_key.searchsorted(base + last, side="right") - begin
        total = int(count.sum())
        if not total:
            return nothing
        listed = np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(total)
        query = np.repeat(query, count)
        degrees = self._physical_place.take(listed, axis=0) / PER_DEGREE
        metres = flat_distance_m(latitude_deg[query], longitude_deg[query], degrees[:, LATITUDE], degrees[:, LONGITUDE])
        match = metres <= REACH_M
        query, metres = query[match], metres[match]
        row = self._physical_rows[listed[match]].astype(np.int64)
        if self.arfcn is not None:
            channel = self.arfcn[row]
            match = (channel < 0) | (arfcn[query] < 0) | (channel == arfcn[query])
            query, row, metres = query[match], row[match], metres[match]
        order = np.lexsort((metres, query))
        return query[order], row[order], metres[order]

    def nearest(self, latitude_deg: float, longitude_deg: float, limit: int) -> tuple[Ints, Floats]:
        """The rows nearest to the place and their distances in metres, nearest first."""
        limit = min(limit, len(self.key))
        if limit <= 0:
            return NOTHING, np.zeros(0)
        # Boxes that are near in degrees give some rows, and their distance a bound; boxes within the bound all others.
        tiles: list[int] = []
        held = 0
        with self._making_tree:
            tree = self._tree
            wanted = 4
            while held < limit:
                point = (longitude_deg, latitude_deg, longitude_deg, latitude_deg)
                tiles = list(tree.nearest(point, wanted))
                held = sum(int(self._tile_start[t + 1] - self._tile_start[t]) for t in tiles)
                wanted *= 4
            bound_m = self._nearest_of(tiles, latitude_deg, longitude_deg, limit)[1][-1]
            tiles = [t for box in boxes_around(latitude_deg, longitude_deg, bound_m) for t in tree.intersection(box)]
        return self._nearest_of(sorted(set(tiles)), latitude_deg, longitude_deg, limit)

    def _nearest_of(
        self, tiles: list[int], latitude_deg: float, longitude_deg: float, limit: int
    ) -> tuple[Ints, Floats]:
        spans = [self._tile_rows[self._tile_start[t] : self._tile_start[t + 1]] for t in tiles]
        rows = np.concatenate(spans).astype(np.int64)
        place = self.place[rows]
        metres = geo.distance_m(
            latitude_deg, longitude_deg, place[:, LATITUDE] / PER_DEGREE, place[:, LONGITUDE] / PER_DEGREE
        )
        order = np.lexsort((rows, metres))[:limit]
        return rows[order], metres[order]

    @cached_property
    def _tree(self) -> rtree.index.Index:
        # Made when first asked for: only people ask for nearest cells, and a server should start without it.
        box = self._tile_box
        return rtree.index.Index((np.arange(len(box)), box[:, :2], box[:, 2:]))


def boxes_around(
    latitude_deg: float, longitude_deg: float, radius_m: float
) -> Iterator[tuple[float, float, float, float]]:
    """Boxes (west, south, east, north; degrees) that cover a circle: one, or two at the antimeridian."""
    # One in a hundred more than the sphere says, for the ellipsoid and the 11 mm of a stored position.
    reach = (radius_m * 1.01 + 1) / 111_000.0
    south, north = latitude_deg - reach, latitude_deg + reach
    if south <= -89 or north >= 89:
        yield -180.0, max(south, -90.0), 180.0, min(north, 90.0)
        return
    side = reach / min(np.cos(np.radians(south)), np.cos(np.radians(north)))
    west, east = longitude_deg - side, longitude_deg + side
    if east - west >= 360:
        yield -180.0, south, 180.0, north
        return
    yield max(west, -180.0), south, min(east, 180.0), north
    if west < -180:
        yield west + 360, south, 180.0, north
    if east > 180:
        yield -180.0, south, east - 360, north


def _find(ordered: Ints, key: Ints) -> Ints:
    if not len(ordered):
        return np.full(len(key), keys.UNKNOWN)
    at = ordered.searchsorted(key)
    return np.where(ordered.take(at, mode="clip") == key, at, keys.UNKNOWN)


def _unique_in_network(key: Ints) -> npt.NDArray[np.bool_]:
    """Whether the identity of the key is unique in its network: LTE, NR, and UMTS with its RNC."""
    radio = (key >> (keys.CELL_BITS + keys.MCC_BITS + keys.MNC_BITS)) + 1
    cell = key & ((1 << keys.CELL_BITS) - 1)
    unique: npt.NDArray[np.bool_] = (radio >= Radio.LTE) | ((radio == Radio.UMTS) & (cell > keys.MAX_SHORT_CELL))
    return unique
