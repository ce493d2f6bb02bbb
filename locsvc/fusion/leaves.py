"""Leaves: the cells of the posteriors of many calls, flat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]


@dataclass(slots=True)
class Leaves:
    """Cells of the posterior, flat; rows of one call stand together, calls ascending, densest cell first.

    call int64; cell uint64; mass float64, summing to 1 a call less what is elsewhere; area_m2 float64;
    vectors (leaves, 3) float64, unit vector of the centre less the call's anchor; starts (calls + 1,) int64, first row
    of each call and the end of the last.
    """

    call: Ints
    cell: Cells
    mass: Floats
    area_m2: Floats
    vectors: Floats
    starts: Ints

    def rows(self, call: int) -> slice:
        """Where the leaves of a call stand."""
        return slice(int(self.starts[call]), int(self.starts[call + 1]))
