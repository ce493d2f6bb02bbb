"""The nearest address: an R-tree over H3 tiles, then every address that can be the nearest, exactly.

What can be nearest to anywhere in a small tile is kept: an address farther from the tile's middle than the nearest one
by more than the tile's width is never the nearest. So a town that is asked about often costs one look-up in a table and
a few dozen distances a query, for many places in one loop without the interpreter.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from locsvc.compiled import compiled
from locsvc.geo import ECCENTRICITY_SQUARED, SEMI_MAJOR_AXIS_M
from locsvc.reference.addresses.ground import along_ground_m, in_space_m, windows
from locsvc.reference.addresses.table import E7, AddressTable
from locsvc.reference.tiles import Tiles, corners_of, distance_to_corners_m, no_tiles, slot_of, tile_at

# Tiles of about 35 m from middle to corner.
_TILES_A_DEGREE = 2048
# 65,000 tiles are 120 km2 and have 30 candidates each, 70 MB in all; when there is no room left, the table starts anew.
_MOST_TILES = 1 << 16
_MOST_CANDIDATES = 1 << 21
# More in one tile (a table that puts a town's addresses all in one place) are not kept: they are looked for each time.
_MOST_IN_A_TILE = 1 << 14
_UNKNOWN = -2
_FIRST_REACH_M = 150.0
# Half of the equator: no place is farther.
_FARTHEST_M = 20_040_000.0

_Candidates = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], float]
"""Rows (ascending), their places in space, and how far from the tile's middle addresses were looked for."""


class _Known(NamedTuple):
    """Candidates of tiles: of a tile's row `listed` from `first` on, and how far they were looked for; then of all."""

    tiles: Tiles
    first: npt.NDArray[np.int64]
    listed: npt.NDArray[np.int64]
    searched_m: npt.NDArray[np.float64]
    row: npt.NDArray[np.int64]
    space: npt.NDArray[np.float64]


def _nothing_known() -> _Known:
    """Room for tiles and candidates; what is not written to is not in memory."""
    ends = np.zeros(_MOST_TILES, np.int64), np.zeros(_MOST_TILES, np.int64), np.zeros(_MOST_TILES)
    candidates = np.zeros(_MOST_CANDIDATES, np.int64), np.zeros((_MOST_CANDIDATES, 3))
    return _Known(no_tiles(_TILES_A_DEGREE, _MOST_TILES), *ends, *candidates)


class Nearest:
    """Nearest addresses of several tables; rows run through the tables in order.

    Thread-safe for reading.
    """

    def __init__(self, tables: Sequence[AddressTable]) -> None:
        self._tables = tables
        self._first_row = np.cumsum([0, *(t.rows for t in tables)])
        boxes = [t.tile_boxes * E7 for t in tables]
        south, west, north, east = np.concatenate([np.empty((0, 4)), *boxes]).T
        self._tile_table = np.repeat(np.arange(len(tables)), [len(b) for b in boxes])
        self._tile_index = np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(len(b)) for b in boxes)])
        self._tree = shapely.STRtree(shapely.box(west, south, east, north))
        # The tree is built by its first query; later ones only read, from any thread.
        self._tree.query(shapely.Point(0.0, 0.0))
        self._known = _nothing_known()
        self._tiles_known = self._candidates_known = 0
        self._learning = threading.Lock()

    def nearest(
        self, latitude_deg: npt.NDArray[np.float64], longitude_deg: npt.NDArray[np.float64], max_distance_m: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The row of the nearest address of each place and its distance; see `AddressStore.nearest`."""
        latitude, longitude = (np.ascontiguousarray(c, np.float64) for c in (latitude_deg, longitude_deg))
        row, squared = np.empty(len(latitude), np.int64), np.empty(len(latitude))
        with self._learning:
            unknown = _nearest_of_known(latitude, longitude, max_distance_m, self._known, row, squared)
        if unknown:
            for i in np.flatnonzero(row == _UNKNOWN).tolist():
                lat, lng = float(latitude[i]), float(longitude[i])
                rows, space = self._learn(tile_at(lat, lng, _TILES_A_DEGREE), max_distance_m)
                row[i], squared[i] = _nearest_of(lat, lng, rows, space)
        distance_m = along_ground_m(squared)
        # Infinite where there is none: the ground ends at the antipodes.
        beyond = (distance_m > max_distance_m) | (row < 0)
        row[beyond], distance_m[beyond] = -1, np.inf
        return row, distance_m

    def near(self, latitude_deg: float, longitude_deg: float, limit: int) -> list[tuple[int, float]]:
        """The nearest `limit` rows and their distances, nearest first; of equally near ones the lowest row first."""
        total = int(self._first_row[-1])
        wanted = min(limit, total)
        if wanted <= 0 or not (math.isfinite(latitude_deg) and math.isfinite(longitude_deg)):
            return []
        here = in_space_m(np.array([latitude_deg]), np.array([longitude_deg]))
        reach_m = _FIRST_REACH_M
        while True:
            rows, space = self._within(latitude_deg, longitude_deg, reach_m)
            distance_m = along_ground_m(((space - here) ** 2).sum(axis=1))
            if int((distance_m <= reach_m).sum()) >= wanted or reach_m >= _FARTHEST_M:
                break
            reach_m = min(reach_m * 4.0, _FARTHEST_M)
        order = np.lexsort((rows, distance_m))[:wanted]
        return list(zip(rows[order].tolist(), distance_m[order].tolist(), strict=True))

    def _learn(self, tile: int, max_distance_m: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """All addresses that are the nearest to some place in a tile, and perhaps more."""
        rows, space, searched_m = self._candidates(tile, max_distance_m)
        if len(rows) <= _MOST_IN_A_TILE:
            with self._learning:
                self._keep(tile, rows, space, searched_m)
        return rows, space

    def _keep(self, tile: int, rows: npt.NDArray[np.int64], space: npt.NDArray[np.float64], searched_m: float) -> None:
        if self._tiles_known == _MOST_TILES or self._candidates_known + len(rows) > _MOST_CANDIDATES:
            self._known = _nothing_known()
            self._tiles_known = self._candidates_known = 0
        known = self._known
        slot = slot_of(tile, known.tiles.tile)
        if known.tiles.tile[slot] == 0:
            known.tiles.tile[slot], known.tiles.row[slot] = tile, self._tiles_known
            self._tiles_known += 1
        at, first, end = known.tiles.row[slot], self._candidates_known, self._candidates_known + len(rows)
        known.row[first:end], known.space[first:end] = rows, space
        known.first[at], known.listed[at], known.searched_m[at] = first, len(rows), searched_m
        self._candidates_known = end

    def _candidates(self, tile: int, max_distance_m: float) -> _Candidates:
        south, west, north, east = corners_of(tile, _TILES_A_DEGREE)
        latitude, longitude = (south + north) / 2.0, (west + east) / 2.0
        here = _in_space(latitude, longitude)
        radius_m = distance_to_corners_m(tile, _TILES_A_DEGREE) + 0.1
        farthest_m = min(max_distance_m, _FARTHEST_M) + radius_m
        reach_m = min(_FIRST_REACH_M, farthest_m)
        while True:
            rows, space = self._within(latitude, longitude, reach_m)
            distance_m = along_ground_m(((space - here) ** 2).sum(axis=1))
            needed_m = float(distance_m.min()) + 2.0 * radius_m if len(rows) else math.inf
            if needed_m <= reach_m:
                near = distance_m <= needed_m
                return rows[near], space[near], math.inf
            if reach_m >= farthest_m and not (distance_m <= reach_m).any():
                return rows[:0], space[:0], max_distance_m
            # Something is near enough to say how far to look; or nothing is, and the circle grows.
            grown_m = min(reach_m * 4.0, farthest_m)
            reach_m = needed_m if needed_m < grown_m or grown_m <= reach_m else grown_m

    def _within(
        self, latitude_deg: float, longitude_deg: float, reach_m: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """All rows within `reach_m` and some more, ascending, and their places in space."""
        found = []
        for south, west, north, east in windows(latitude_deg, longitude_deg, reach_m):
            for tile in np.sort(self._tree.query(shapely.box(west, south, east, north))):
                which = self._tile_table[tile]
                table, index = self._tables[which], self._tile_index[tile]
                first, last = int(table.tile_starts[index]), int(table.tile_starts[index + 1])
                lat, lng = table.latitude_e7[first:last], table.longitude_e7[first:last]
                box = (south / E7, west / E7, north / E7, east / E7)
                found.append(_inside(lat, lng, *box, int(self._first_row[which]) + first))
        if len(found) == 1:
            return found[0]
        row = np.concatenate([np.empty(0, dtype=np.int64), *(rows for rows, _ in found)])
        return row, np.concatenate([np.empty((0, 3)), *(space for _, space in found)])


@compiled
def _in_space(latitude_deg: float, longitude_deg: float) -> tuple[float, float, float]:
    """A place in space, metres: `ground.in_space_m` to the bit."""
    latitude, longitude = math.radians(latitude_deg), math.radians(longitude_deg)
    sine, cosine = math.sin(latitude), math.cos(latitude)
    normal_m = SEMI_MAJOR_AXIS_M / math.sqrt(1 - ECCENTRICITY_SQUARED * (sine * sine))
    across = normal_m * cosine
    up = normal_m * (1.0 - ECCENTRICITY_SQUARED) * sine
    return across * math.cos(longitude), across * math.sin(longitude), up


@compiled
def _inside(
    latitude_e7: npt.NDArray[np.int32],
    longitude_e7: npt.NDArray[np.int32],
    south_e7: float,
    west_e7: float,
    north_e7: float,
    east_e7: float,
    first_row: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Rows of the addresses in a box, and their places in space."""
    rows, space = np.empty(len(latitude_e7), np.int64), np.empty((len(latitude_e7), 3))
    count = 0
    for k in range(len(latitude_e7)):
        latitude, longitude = latitude_e7[k], longitude_e7[k]
        if south_e7 <= latitude <= north_e7 and west_e7 <= longitude <= east_e7:
            rows[count] = first_row + k
            space[count, 0], space[count, 1], space[count, 2] = _in_space(latitude * E7, longitude * E7)
            count += 1
    return rows[:count], space[:count]


@compiled
def _nearest_of(
    latitude_deg: float, longitude_deg: float, rows: npt.NDArray[np.int64], space: npt.NDArray[np.float64]
) -> tuple[int, float]:
    """The first of the rows whose places in space are nearest to a place, and its squared distance in m2."""
    x, y, z = _in_space(latitude_deg, longitude_deg)
    nearest, least_m2 = -1, math.inf
    for k in range(len(rows)):
        dx, dy, dz = space[k, 0] - x, space[k, 1] - y, space[k, 2] - z
        squared_m2 = (dx * dx + dz * dz) + dy * dy
        if squared_m2 < least_m2:
            nearest, least_m2 = rows[k], squared_m2
    return nearest, least_m2


@compiled
def _nearest_of_known(
    latitude_deg: npt.NDArray[np.float64],
    longitude_deg: npt.NDArray[np.float64],
    max_distance_m: float,
    known: _Known,
    found: npt.NDArray[np.int64],
    squared_m2: npt.NDArray[np.float64],
) -> int:
    """Fills the nearest row to each place (-1: none) and its squared distance; `_UNKNOWN` where nothing is known yet.

    Returns how many those are.
    """
    unknown = 0
    for i in range(len(found)):
        found[i], squared_m2[i] = -1, math.inf
        if not (math.isfinite(latitude_deg[i]) and math.isfinite(longitude_deg[i])):
            continue
        slot = slot_of(tile_at(latitude_deg[i], longitude_deg[i], known.tiles.per_degree), known.tiles.tile)
        at = known.tiles.row[slot]
        # Where there was nothing near, it may be that it was not looked for as far as is asked now.
        if known.tiles.tile[slot] == 0 or (known.listed[at] == 0 and known.searched_m[at] < max_distance_m):
            found[i] = _UNKNOWN
            unknown += 1
            continue
        first, end = known.first[at], known.first[at] + known.listed[at]
        found[i], squared_m2[i] = _nearest_of(
            latitude_deg[i], longitude_deg[i], known.row[first:end], known.space[first:end]
        )
    return unknown
