"""From what the makers made to densities: all pieces of all calls in one order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled
from locsvc.fusion.claims import NO_BINS, NO_CORNERS, Made
from locsvc.fusion.densities import FIRST_ROW, Densities

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def gather(made: list[Made]) -> tuple[Densities, Ints]:
    """All pieces by call and place, and which each is: `order` of the piece, (k,) int64.

    Raises
    ------
    ValueError
        There is no piece at all.
    """
    made = [m for m in made if len(m.call)]
    pieces = np.empty((7, sum(len(m.call) for m in made)))
    columns = ("order", "exponent", "outlier_scale_m", "outlier_share", "longitude_deg", "latitude_deg", "call")
    for row, name in zip(pieces, columns, strict=True):
        np.concatenate([getattr(m, name) for m in made], out=row)
    # By what they say, not by when they came: sums of the same pieces have the same bits in any order.
    sorting = np.lexsort(pieces)
    piece, component = [], []
    first_piece = first_corner = first_bin = 0
    for m in made:
        piece.append(m.piece + first_piece)
        # A maker makes polygons or histograms, and components without rows don't read where theirs would begin.
        if first_corner + first_bin and (len(m.corner_m) or len(m.bin)):
            m.component[:, FIRST_ROW] += first_corner if len(m.corner_m) else first_bin
        component.append(m.component)
        first_piece += len(m.call)
        first_corner, first_bin = first_corner + len(m.corner_m), first_bin + len(m.bin)
    unsorted = np.concatenate(component)
    call, order, of_component = (np.empty(n, np.int64) for n in (first_piece, first_piece, len(unsorted)))
    sorted_pieces, sorted_component = np.empty_like(pieces), np.empty_like(unsorted)
    _arrange(
        pieces, sorting, np.concatenate(piece), unsorted, sorted_pieces, call, order, of_component, sorted_component
    )
    densities = Densities(
        call,
        sorted_pieces[5],
        sorted_pieces[4],
        sorted_pieces[3],
        sorted_pieces[2],
        sorted_pieces[1],
        of_component,
        sorted_component,
        np.concatenate([m.corner_m for m in made]) if first_corner else NO_CORNERS,
        np.concatenate([m.bin for m in made]) if first_bin else NO_BINS[0],
        np.concatenate([m.held for m in made]) if first_bin else NO_BINS[1],
    )
    return densities, order


@compiled
def _arrange(
    pieces: Floats,
    sorting: Ints,
    piece: Ints,
    component: Floats,
    sorted_pieces: Floats,
    call: Ints,
    order: Ints,
    sorted_piece: Ints,
    sorted_component: Floats,
) -> None:
    """Fills the columns of pieces (7, k) as `sorting` has them, and components (m, 14) by piece, as they come in it."""
    count = len(sorting)
    place, start = np.empty(count, np.int64), np.zeros(count + 1, np.int64)
    for k in range(count):
        at = sorting[k]
        place[at] = k
        for column in range(len(pieces)):
            sorted_pieces[column, k] = pieces[column, at]
        order[k], call[k] = int(pieces[0, at]), int(pieces[6, at])
    for c in range(len(piece)):
        start[place[piece[c]] + 1] += 1
    for k in range(count):
        start[k + 1] += start[k]
    for c in range(len(piece)):
        k = place[piece[c]]
        to = start[k]
        start[k] += 1
        sorted_piece[to] = k
        for column in range(component.shape[1]):
            sorted_component[to, column] = component[c, column]
