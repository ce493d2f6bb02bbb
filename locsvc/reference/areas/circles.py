"""Which circles lie wholly in the same areas as the tiles that their centres are in: most do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled
from locsvc.reference.tiles import Tiles, no_tiles, slot_of, tile_at

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Words = npt.NDArray[np.int32]

# Numbers of no combination: the circle may be divided; nothing is known of its tile.
UNSURE, UNKNOWN = -1, -2

# Tiles of about 250 m from centre to corner: much less than most circles, so that few places are asked about afresh.
_TILES_A_DEGREE = 256
# 260,000 tiles are 29,000 km2 and 12 MB; when they are full, the table starts anew.
_MOST_TILES = 1 << 18


class KnownTiles(NamedTuple):
    """What is known of tiles, by their rows.

    `number` int32 of the combination of areas that holds the whole tile; `clear_m` float64, up to which no circle from
    anywhere in it has a border inside (0 or less: the tile itself may have one).
    """

    tiles: Tiles
    number: Words
    clear_m: Floats


def no_known_tiles() -> KnownTiles:
    """Room for tiles."""
    return KnownTiles(no_tiles(_TILES_A_DEGREE, _MOST_TILES), np.zeros(_MOST_TILES, np.int32), np.zeros(_MOST_TILES))


@compiled
def combinations_at(
    latitude_deg: Floats, longitude_deg: Floats, radius_m: Floats, known: KnownTiles, out: Words
) -> int:
    """Fills the number of the combination that holds each circle, or UNSURE, or UNKNOWN; how many are UNKNOWN."""
    unknown = 0
    for i in range(len(out)):
        out[i] = UNSURE
        if not (math.isfinite(latitude_deg[i]) and math.isfinite(longitude_deg[i])):
            continue
        slot = slot_of(tile_at(latitude_deg[i], longitude_deg[i], known.tiles.per_degree), known.tiles.tile)
        if known.tiles.tile[slot] == 0:
            out[i] = UNKNOWN
            unknown += 1
            continue
        row = known.tiles.row[slot]
        if radius_m[i] < known.clear_m[row]:
            out[i] = known.number[row]
    return unknown
