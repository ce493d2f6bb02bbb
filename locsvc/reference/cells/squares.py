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


def stretches(latitude_deg: Floats, longitude_deg: Floats, reach_m: float) -> tuple[Ints, Ints, Ints]:
    """Stretches of squares that cover everything within `reach_m` (at most 27 km) of each place.

    Returns
    -------
    tuple
        Index of the place, first and last square of the stretch, each (k,) int64: 3 stretches a place, or more at the
        antimeridian.
    """
    row = np.minimum(np.floor((latitude_deg + 90) * PER_DEGREE), ROWS - 1)
    column = np.floor((longitude_deg + 180) * PER_DEGREE)
    width_m = METRES_PER_DEGREE / PER_DEGREE * np.cos(np.radians(np.minimum(np.abs(latitude_deg) + 0.5, 89.9)))
    side = np.minimum(np.ceil(reach_m / width_m), MAX_SIDE_COLUMNS)
    place = np.repeat(np.arange(len(row)), 3)
    at_row = (row[:, None] + np.arange(-1, 2)).ravel()
    west, east = np.repeat(column - side, 3), np.repeat(column + side, 3)
    inside = (at_row >= 0) & (at_row < ROWS)
    parts = [(inside, np.maximum(west, 0), np.minimum(east, COLUMNS - 1))]
    if (west < 0).any():
        parts.append((inside & (west < 0), west + COLUMNS, np.full_like(west, COLUMNS - 1)))
    if (east >= COLUMNS).any():
        parts.append((inside & (east >= COLUMNS), np.zeros_like(east), east - COLUMNS))
    index = np.concatenate([place[m] for m, _, _ in parts])
    first = np.concatenate([(at_row * COLUMNS + a)[m] for m, a, _ in parts])
    last = np.concatenate([(at_row * COLUMNS + b)[m] for m, _, b in parts])
    return index, first.astype(np.int64), last.astype(np.int64)


def flat_distance_m(
    latitude_deg: Floats, longitude_deg: Floats, latitudes_deg: Floats, longitudes_deg: Floats
) -> Floats:
    """Distance between places less than some tens of kilometres apart, (n,) float64, metres, good to 1 %.

    The candidates of one identity are many and only compared with each other; exact geodesy would be most of the work.

    >>> flat_distance_m(*(np.array([d]) for d in (50.0, 179.99, 50.0, -179.99))).round().tolist()
    [1431.0]
    """
    east = (longitudes_deg - longitude_deg + 180) % 360 - 180
    east *= np.cos(np.radians(latitude_deg))
    north = latitudes_deg - latitude_deg
    metres: Floats = METRES_PER_DEGREE * np.sqrt(east * east + north * north)
    return metres
