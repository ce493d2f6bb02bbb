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
_SIDES = _sides()
_ROWS_AROUND = np.array([[-COLUMNS, 0, COLUMNS]])


def stretches(latitude_deg: Floats, longitude_deg: Floats) -> tuple[Ints, Ints, Ints]:
    """Stretches of squares that cover everything within 25 km of each place.

    Returns
    -------
    tuple
        Index of the place, first and last square of the stretch, each (k,) int64: 3 stretches a place, and 3 more for
        places at the antimeridian.
    """
    # A place in the last row to a pole gets the three last rows.
    row = np.clip((latitude_deg + 90) * PER_DEGREE, 1, ROWS - 2).astype(np.int64)
    column = ((longitude_deg + 180) * PER_DEGREE).astype(np.int64) % COLUMNS
    side = _SIDES[row]
    west, east = column - side, column + side
    place = np.arange(len(row))
    begin = row * COLUMNS
    over_west, over_east = west < 0, east >= COLUMNS
    if over_west.any() or over_east.any():
        # What is beyond the antimeridian is at the other end of the rows.
        place = np.concatenate([place, place[over_west], place[over_east]])
        begin = begin[place]
        west, east = (
            np.concatenate([np.maximum(west, 0), west[over_west] + COLUMNS, np.zeros(over_east.sum(), np.int64)]),
            np.concatenate(
                [np.minimum(east, COLUMNS - 1), np.full(over_west.sum(), COLUMNS - 1), east[over_east] - COLUMNS]
            ),
        )
    start = begin[:, None] + _ROWS_AROUND
    return np.repeat(place, 3), (start + west[:, None]).ravel(), (start + east[:, None]).ravel()


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
