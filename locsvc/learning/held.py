"""Whether truths lie inside of what was answered: circles and regions, as users are given them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np

from locsvc.geo import distance_m

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.region import CompactCells
    from locsvc.resolver.answered import Located

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


def held(located: Located, row: Ints, latitude_deg: Floats, longitude_deg: Floats) -> tuple[Bools, Bools]:
    """Whether circles and regions hold truths, (n,) each.

    Parameters
    ----------
    located
        What was answered.
    row
        (n,) the calls' rows in it.
    latitude_deg, longitude_deg
        (n,) their truths.
    """
    a = located.answers
    away = distance_m(a.latitude_deg[row], a.longitude_deg[row], latitude_deg, longitude_deg)
    places = zip(row.tolist(), latitude_deg.tolist(), longitude_deg.tolist(), strict=True)
    region = np.array([inside(located.region, r, lat, lng) for r, lat, lng in places], bool)
    return away <= a.radius_m[row], region


def inside(cells: CompactCells, call: int, latitude_deg: float, longitude_deg: float) -> bool:
    """Whether a place is in a call's region: its cell at the finest resolution, or an ancestor, is listed."""
    finest = int(cells.finest[call])
    listed = set(cells.cell[cells.starts[call] : cells.starts[call + 1]].tolist())
    cell = h3.latlng_to_cell(latitude_deg, longitude_deg, finest)
    return any(h3.cell_to_parent(cell, r) in listed for r in range(finest + 1))
