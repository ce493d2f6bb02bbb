"""Small tiles of the globe, and which of them are known: a table that kernels can read.

A store that learns something about a tile when it is first asked about a place in it keeps that by the row that the
tile has here; look-ups of many places are then one loop without the interpreter. Tiles are as high and as wide in
degrees, so narrower towards the poles: what matters is only that they are small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled
from locsvc.geo import distance_m

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

# 2^64 / golden ratio: multiplied by it, neighbouring numbers fall far apart (Knuth, TAOCP 3, 6.4).
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


class Tiles(NamedTuple):
    """Tiles `per_degree`; `tile` and `row` of each known one, at the place that its number hashes to (0: none there).

    Of both arrays those pages are in memory that were written to: room for all is made at once.
    """

    per_degree: int
    tile: Ints
    row: Ints


def no_tiles(per_degree: int, most: int) -> Tiles:
    """Room for so many tiles (a power of two), none of them known."""
    return Tiles(per_degree, np.zeros(2 * most, np.int64), np.zeros(2 * most, np.int64))


@compiled
def tile_at(latitude_deg: float, longitude_deg: float, per_degree: int) -> int:
    """Number, from 1, of the tile that holds a place; longitudes run round the globe.

    >>> tile_at(-90.0, -180.0, 2), tile_at(-89.4, 180.0, 2), tile_at(90.0, 179.9, 2)
    (1, 721, 259200)
    """
    row = min(int((latitude_deg + 90.0) * per_degree), 180 * per_degree - 1)
    column = int(((longitude_deg + 180.0) % 360.0) * per_degree)
    return row * 360 * per_degree + column % (360 * per_degree) + 1


def corners_of(tile: int, per_degree: int) -> tuple[float, float, float, float]:
    """South, west, north and east of a tile, degrees.

    >>> corners_of(721, 2)
    (-89.5, -180.0, -89.0, -179.5)
    """
    row, column = divmod(tile - 1, 360 * per_degree)
    south, west = row / per_degree - 90.0, column / per_degree - 180.0
    return south, west, south + 1.0 / per_degree, west + 1.0 / per_degree


@compiled
def slot_of(tile: int, tiles: Ints) -> int:
    """Where a tile stands in `Tiles.tile`, or, where 0 stands there, would stand."""
    mask = len(tiles) - 1
    # The highest bits are the well mixed ones; a table has fewer than 2^32 places.
    at = np.int64((np.uint64(tile) * _SPREAD) >> np.uint64(32)) & mask
    while tiles[at] != 0 and tiles[at] != tile:
        at = (at + 1) & mask
    return at  # type: ignore[return-value]  # the same to the interpreter


def distance_to_corners_m(tile: int, per_degree: int) -> float:
    """Distance, metres, from the middle of a tile to its farthest corner, and a little more."""
    south, west, north, east = corners_of(tile, per_degree)
    corners = np.array([south, south, north, north]), np.array([west, east, west, east])
    farthest = distance_m((south + north) / 2.0, (west + east) / 2.0, *corners).max()
    # 1 %: distances are good to a part in a thousand, and places are rounded into tiles.
    return 1.01 * float(farthest)
