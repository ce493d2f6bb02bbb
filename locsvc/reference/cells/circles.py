"""Groups of cells as circles: a robust middle and the radius that holds most members."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from locsvc import geo
from locsvc.reference.cells.columns import LATITUDE, LONGITUDE, PER_DEGREE, RANGE

Ints = npt.NDArray[np.int64]

# Columns of a circle: middle, radius, typical range of a member, number of members.
CIRCLE_LATITUDE, CIRCLE_LONGITUDE, CIRCLE_RADIUS, CIRCLE_RANGE, CIRCLE_COUNT = range(5)
CIRCLE_WIDTH = 5
HELD = 0.9
HALF_TURN = round(180 * PER_DEGREE)
LOW_BITS = 0xFFFFFFFF
SIGN = 1 << 31
# Rows at a time where 64-bit floats are needed, so that the memory for them does not grow with the dataset.
CHUNK = 1 << 20


def group_circles(
    group: Ints, count: Ints, place: npt.NDArray[np.int32], default_range_m: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Circle of each group, (g, 5) float32: latitude and longitude of the middle in degrees, radius in metres that
    holds 90 % of the members, typical range of a member in metres, number of members.

    The middle is the median of latitudes and of longitudes: members that were placed on another continent by mistake,
    which crowd-sourced databases have, do not move it.

    Parameters
    ----------
    group
        (n,) int64: number of each row's group, 0 to g - 1.
    count
        (g,) int64: rows of each group, at least 1.
    place
        (n, 6) int32: place table of the rows.
    default_range_m
        (g,) float64, metres: typical range where no member states one.
    """  # noqa: D205 - the first sentence needs two lines
    start = np.cumsum(count) - count
    middle = start + (count - 1) // 2
    latitude = _ranked(group, place[:, LATITUDE].astype(np.int64), middle)
    reference = np.zeros(len(count), np.int64)
    reference[group] = place[:, LONGITUDE]
    # Longitudes count from one member's, so that a group on both sides of the antimeridian has its middle there.
    eastward = (place[:, LONGITUDE] - reference[group] + HALF_TURN) % (2 * HALF_TURN) - HALF_TURN
    longitude = _ranked(group, eastward, middle) + reference
    longitude = (longitude + HALF_TURN) % (2 * HALF_TURN) - HALF_TURN
    del eastward
    circles = np.empty((len(count), CIRCLE_WIDTH), np.float32)
    circles[:, CIRCLE_LATITUDE] = latitude / PER_DEGREE
    circles[:, CIRCLE_LONGITUDE] = longitude / PER_DEGREE
    held = start + np.ceil(HELD * count).astype(np.int64) - 1
    circles[:, CIRCLE_RADIUS] = _ranked(group, _distances(group, latitude, longitude, place), held) + SIGN
    circles[:, CIRCLE_RANGE] = _typical_ranges(group, place[:, RANGE], default_range_m)
    circles[:, CIRCLE_COUNT] = count
    return circles


def _ranked(group: Ints, value: Ints, rank: Ints) -> Ints:
    """Values (signed 32 bits) at the places `rank` of the order by group and value."""
    ordered = (group << 32) | (value + SIGN)
    ordered.sort()
    ranked: Ints = (ordered[rank] & LOW_BITS) - SIGN
    return ranked


def _distances(group: Ints, latitude: Ints, longitude: Ints, place: npt.NDArray[np.int32]) -> Ints:
    """Metres from the middle of the row's group, less 2^31 (the form that `_ranked` takes)."""
    metres = np.empty(len(group), np.int64)
    for begin in range(0, len(group), CHUNK):
        part = slice(begin, begin + CHUNK)
        metres[part] = geo.distance_m(
            latitude[group[part]] / PER_DEGREE,
            longitude[group[part]] / PER_DEGREE,
            place[part, LATITUDE] / PER_DEGREE,
            place[part, LONGITUDE] / PER_DEGREE,
        )
    return metres - SIGN


def _typical_ranges(
    group: Ints, range_m: npt.NDArray[np.int32], default_range_m: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Median of the stated ranges of each group's members, or the default."""
    stated = np.flatnonzero(range_m > 0)
    typical = default_range_m.copy()
    if len(stated):
        stating = group[stated]
        count = np.bincount(stating, minlength=len(typical))
        some = count > 0
        rank = (np.cumsum(count) - count + (count - 1) // 2)[some]
        typical[some] = _ranked(stating, range_m[stated].astype(np.int64), rank)
    return typical
