"""The nearest address: an R-tree over H3 tiles, then every address that can be the nearest, exactly.

What can be nearest to anywhere in a small H3 cell is kept: an address farther from the cell's centre than the nearest
one by more than the cell's width is never the nearest. So a town that is asked about often costs one dictionary look-up
and a few dozen distances a query.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import shapely
from h3.api import numpy_int as h3

from locsvc.compiled import compiled
from locsvc.geo import ECCENTRICITY_SQUARED, SEMI_MAJOR_AXIS_M
from locsvc.reference.addresses.ground import along_ground_m, in_space_m, windows
from locsvc.reference.addresses.table import E7, AddressTable

# Cells of about 30 m from centre to corner.
_PLACE_RESOLUTION = 11
# 65,000 places are 140 km2 and, with 30 candidates each, 90 MB; when they are full, the cache starts anew.
_CACHED_PLACES = 1 << 16
_FIRST_REACH_M = 150.0
# Half of the equator: no place is farther.
_FARTHEST_M = 20_040_000.0

_Candidates = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], float]
"""Rows (ascending), their places in space, and how far from the cell's centre addresses were looked for."""


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
        self._places: dict[int, _Candidates] = {}

    def nearest(
        self, latitude_deg: npt.NDArray[np.float64], longitude_deg: npt.NDArray[np.float64], max_distance_m: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The row of the nearest address of each place and its distance; see `AddressStore.nearest`."""
        count = len(latitude_deg)
        found, squared_m2 = [-1] * count, [math.inf] * count
        for i, (lat, lng) in enumerate(zip(latitude_deg.tolist(), longitude_deg.tolist(), strict=True)):
            if math.isfinite(lat) and math.isfinite(lng):
                rows, space = self._candidates(lat, lng, max_distance_m)
                if len(rows):
                    found[i], squared_m2[i] = _nearest_of(lat, lng, rows, space)
        row, squared = np.array(found, dtype=np.int64), np.array(squared_m2)
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

    def _candidates(
        self, latitude_deg: float, longitude_deg: float, max_distance_m: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        cell = h3.latlng_to_cell(latitude_deg, longitude_deg, _PLACE_RESOLUTION)
        known = self._places.get(cell)
        if known is None or (not len(known[0]) and known[2] < max_distance_m):
            known = self._learn(cell, max_distance_m)
        return known[0], known[1]

    def _learn(self, cell: int, max_distance_m: float) -> _Candidates:
        """All addresses that are the nearest to some place in a cell, and perhaps more."""
        latitude, longitude = h3.cell_to_latlng(cell)
        here = _in_space(latitude, longitude)
        # A little more than the cell: its edges are great circles, and corners are rounded.
        radius_m = 1.01 * max(math.dist(here, _in_space(*corner)) for corner in h3.cell_to_boundary(cell)) + 0.1
        farthest_m = min(max_distance_m, _FARTHEST_M) + radius_m
        reach_m = min(_FIRST_REACH_M, farthest_m)
        known: _Candidates
        while True:
            rows, space = self._within(latitude, longitude, reach_m)
            distance_m = along_ground_m(((space - here) ** 2).sum(axis=1))
            needed_m = float(distance_m.min()) + 2.0 * radius_m if len(rows) else math.inf
            if needed_m <= reach_m:
                near = distance_m <= needed_m
                known = rows[near], space[near], math.inf
                break
            if reach_m >= farthest_m and not (distance_m <= reach_m).any():
                known = rows[:0], space[:0], max_distance_m
                break
            # Something is near enough to say how far to look; or nothing is, and the circle grows.
            grown_m = min(reach_m * 4.0, farthest_m)
            reach_m = needed_m if needed_m < grown_m or grown_m <= reach_m else grown_m
        if len(self._places) >= _CACHED_PLACES:
            self._places = {}
        self._places[cell] = known
        return known

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
