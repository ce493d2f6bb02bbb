"""Groups of cells as circles: a robust middle and the radius that holds most members."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from locsvc import geo
from locsvc.reference.cells.columns import LATITUDE, LONGITUDE, PER_DEGREE, RANGE

Ints = npt.NDArray[np.int64]

# Columns of a circle: middle, radius, typical range of a member, number of members.
CIRCLE_LATITUDE, CIRCLE_LONGITUDE, CIRCLE_RADIUS, CIRCLE_RANGE, CIRCLE_COUNT = range(5)
CIRCLE_WIDTH = 5
# Range of a cell that states none, by radio (sheet 05: "Prior radius when range=0").
DEFAULT_RANGE_M = np.array([2_000.0, 5_000.0, 3_000.0, 2_000.0, 1_000.0])
HELD = 0.9
HALF_TURN = round(180 * PER_DEGREE)
LOW_BITS = 0xFFFFFFFF
SIGN = 1 << 31
CHUNK = 1 << 18


def group_circles(
    group: npt.NDArray[np.int32], count: Ints, place: npt.NDArray[np.int32], default_range_m: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Circle of each group, (g, 5) float32: latitude and longitude of the middle in degrees, radius in metres that
    holds 90 % of the members, typical range of a member in metres, number of members.

    The middle is the median of latitudes and of longitudes: members that were placed on another continent by mistake,
    which crowd-sourced databases have, do not move it.

    Parameters
    ----------
    group
        (n,) int32: number of each row's group, 0 to g - 1.
    count
        (g,) int64: rows of each group, at least 1.
    place
        (n, 6) int32: place table of the rows.
    default_range_m
        (g,) float64, metres: typical range where no member states one.
    """  # noqa: D205 - the first sentence needs two lines
    start = np.cumsum(count) - count
    middle = start + (count - 1) // 2
    latitude = _ranked(group, lambda part: place[part, LATITUDE].astype(np.int64), middle)
    reference = np.zeros(len(count), np.int64)
    reference[group] = place[:, LONGITUDE]

    def eastward(part: slice) -> Ints:
        # Longitudes count from one member's, so that a group on both sides of the antimeridian has its middle there.
        return _wrapped(place[part, LONGITUDE] - reference[group[part]])

    longitude = _wrapped(_ranked(group, eastward, middle) + reference)

    def distance_m(part: slice) -> Ints:
        metres: Ints = geo.distance_m(
            latitude[group[part]] / PER_DEGREE,
            longitude[group[part]] / PER_DEGREE,
            place[part, LATITUDE] / PER_DEGREE,
            place[part, LONGITUDE] / PER_DEGREE,
        ).astype(np.int64)
        return metres

    held = start + np.ceil(HELD * count).astype(np.int64) - 1
    circles = np.empty((len(count), CIRCLE_WIDTH), np.float32)
    circles[:, CIRCLE_LATITUDE] = latitude / PER_DEGREE
    circles[:, CIRCLE_LONGITUDE] = longitude / PER_DEGREE
    circles[:, CIRCLE_RADIUS] = _ranked(group, distance_m, held)
    circles[:, CIRCLE_RANGE] = _typical_ranges(group, start, place[:, RANGE], default_range_m)
    circles[:, CIRCLE_COUNT] = count
    return circles


def in_chunks(size: int, values: Callable[[slice], Ints]) -> Ints:
    """Values of all rows, (size,) int64, worked out in parts: 64-bit intermediates of 20 million rows would
    take more memory than the rows.
    """  # noqa: D205 - the first sentence needs two lines
    whole = np.empty(size, np.int64)
    for begin in range(0, size, CHUNK):
        part = slice(begin, min(begin + CHUNK, size))
        whole[part] = values(part)
    return whole


def _ranked(group: npt.NDArray[np.int32], values: Callable[[slice], Ints], rank: Ints) -> Ints:
    """Values (signed 32 bits) at the places `rank` of the order by group and value."""
    ordered = in_chunks(len(group), lambda part: (group[part].astype(np.int64) << 32) | (values(part) + SIGN))
    ordered.sort()
    ranked: Ints = (ordered[rank] & LOW_BITS) - SIGN
    return ranked


def _wrapped(longitude: Ints) -> Ints:
    return (longitude + HALF_TURN) % (2 * HALF_TURN) - HALF_TURN


def _typical_ranges(
    group: npt.NDArray[np.int32],
    start: Ints,
    range_m: npt.NDArray[np.int32],
    default_range_m: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Median of the stated ranges of each group's members, or the default."""
    stating = np.bincount(group[range_m > 0], minlength=len(start))
    some = stating > 0
    typical = default_range_m.copy()
    if some.any():
        # Rows that state none come last in their group, and are not counted.
        stated = _ranked(
            group,
            lambda part: np.where(range_m[part] > 0, range_m[part], SIGN - 1).astype(np.int64),
            (start + (stating - 1) // 2)[some],
        )
        typical[some] = stated
    return typical
