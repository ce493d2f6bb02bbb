"""Quarter-degree squares: the grid of the physical-identity index.

Squares are numbered row by row, so that neighbours in longitude are neighbours in number and a stretch of them is one
stretch of the index.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PER_DEGREE = 4
ROWS = 180 * PER_DEGREE
COLUMNS = 360 * PER_DEGREE
METRES_PER_DEGREE = 111_320.0  # of longitude at the equator; of latitude 110.6 to 111.7 km
# Never more columns to each side than this; nearer to a pole than 85 degrees there is no network to speak of.
MAX_SIDE_COLUMNS = 16


def squares(latitude_deg: Floats, longitude_deg: Floats) -> Ints:
    """Number of the square of each place, (n,) int64, below 2^20.

    >>> squares(np.array([-90.0, 90.0]), np.array([-180.0, 179.9])).tolist()
    [0, 1036799]
    """
    row = np.minimum(np.floor((latitude_deg + 90) * PER_DEGREE), ROWS - 1)
    column = np.floor((longitude_deg + 180) * PER_DEGREE) % COLUMNS
    number: Ints = (row * COLUMNS + column).astype(np.int64)
    return number


def _sides() -> Ints:
    """Columns to each side that cover the reach, by row, (720,) int64: more towards the poles."""
    farthest_deg = np.abs(np.arange(ROWS) / PER_DEGREE - 90 + 0.5 / PER_DEGREE) + 1.0
    width_m = METRES_PER_DEGREE / PER_DEGREE * np.cos(np.radians(np.minimum(farthest_deg, 89.9)))
    return np.minimum(np.ceil(REACH_M / width_m), MAX_SIDE_COLUMNS).astype(np.int64)


# How far from a place a measured neighbour is looked for: the reach of a rural macro cell, and below the distance at
# which planners use a physical identity again. Not more than one row of squares, 27.6 km.
REACH_M = 25_000.0
SIDES = _sides()
