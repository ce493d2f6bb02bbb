"""Regions that hold another one although their position, orientation and number of corners are coded in steps.

References
----------
RFC 7459 section 5 (uncertainty is only rounded up); P. Kahan, "Circumscribing an ellipsoid about the intersection of
two ellipsoids", and its like for sums: (1 + 1/t) Q1 + (1 + t) Q2 holds the sum of two ellipsoids for every t above 0.
"""

from __future__ import annotations

import math

import numpy as np

from locsvc.errors import FieldViolation, InvalidInput
from locsvc.formats.answers import convex_hull, fewer_corners
from locsvc.formats.gad.octets import FEWEST_CORNERS, MOST_CORNERS
from locsvc.geo import latitudes_longitudes, unit_vectors
from locsvc.model import LatLng, Polygon
from locsvc.uncertainty import centroid

# More than the diagonal of a position's step, so that corners drawn out by it stay outside when they are coded.
STEP_DIAGONAL_M = 3.0
_EARTH_M = 6_371_000.0


def turned_axes_m(major_m: float, minor_m: float, turn_deg: float) -> tuple[float, float]:
    """Half axes of an ellipse that holds one with these half axes turned by `turn_deg`, a little.

    >>> [round(a, 2) for a in turned_axes_m(1000.0, 100.0, 0.5)]
    [1042.11, 104.61]
    """
    if turn_deg == 0 or major_m == minor_m:
        return major_m, minor_m
    cos, sin = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    along = (major_m * cos) ** 2 + (minor_m * sin) ** 2
    across = (major_m * sin) ** 2 + (minor_m * cos) ** 2
    # diag(A, B) holds Q where (A - Qxx) (B - Qyy) = Qxy^2: both axes grow by the same factor.
    slant = abs(cos * sin) * (major_m**2 - minor_m**2)
    factor = math.sqrt(1 + slant / math.sqrt(along * across))
    return math.sqrt(along) * factor, math.sqrt(across) * factor


def moved_axes_m(axes_m: tuple[float, ...], moves_m: tuple[float, ...]) -> list[float]:
    """Half axes of an ellipse or ellipsoid that holds one with these half axes moved by up to these lengths.

    >>> [round(a, 2) for a in moved_axes_m((100.0, 100.0), (1.0, 1.0))]
    [101.0, 101.0]
    """
    if not any(moves_m):
        return list(axes_m)
    squares = [(a * a, m * m) for a, m in zip(axes_m, moves_m, strict=True)]

    def grown(log_t: float) -> list[float]:
        t = math.exp(log_t)
        return [(1 + 1 / t) * a + (1 + t) * m for a, m in squares]

    # The logarithm of the volume is convex in log t.
    low, high = -40.0, 40.0
    for _ in range(100):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if math.prod(grown(left)) < math.prod(grown(right)):
            high = right
        else:
            low = left
    return [math.sqrt(a) for a in grown((low + high) / 2)]


def few_cornered(polygon: Polygon, most: int = MOST_CORNERS) -> Polygon:
    """The polygon without a repeated first corner; a convex one that holds it where it has too many corners.

    Raises
    ------
    InvalidInput
        There are fewer than three corners, or many that span half the Earth.
    """
    corners = list(dict.fromkeys(polygon.vertices))
    if len(corners) < FEWEST_CORNERS:
        raise InvalidInput(
            [
                FieldViolation(
                    "polygon.vertices", f"{len(corners)} places differ; a polygon has 3 or more: send a circle"
                )
            ]
        )
    if len(corners) <= most:
        return polygon if len(polygon.vertices) == len(corners) else Polygon(tuple(corners))
    middle = centroid(Polygon(tuple(corners)))
    up = unit_vectors(middle.latitude_deg, middle.longitude_deg)
    north = unit_vectors(middle.latitude_deg + 90.0, middle.longitude_deg)
    east = np.cross(north, up)
    at = unit_vectors([c.latitude_deg for c in corners], [c.longitude_deg for c in corners])
    height = at @ up
    if float(height.min()) < 0.1:
        raise InvalidInput(
            [FieldViolation("polygon.vertices", f"{len(corners)} corners span half the Earth; send {most} or a circle")]
        )
    # Great circles are straight lines in this (gnomonic) plane, so what is outside there is outside on the ground.
    x, y = (at @ east) / height * _EARTH_M, (at @ north) / height * _EARTH_M
    hull = convex_hull(list(zip(x.tolist(), y.tolist(), strict=True)))
    drawn = _drawn_out(fewer_corners(hull, most))
    lat, lng = latitudes_longitudes(np.array([up * _EARTH_M + east * a + north * b for a, b in drawn]))
    return Polygon(tuple(LatLng(a, b) for a, b in zip(lat.tolist(), lng.tolist(), strict=True)))


def _drawn_out(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The convex polygon with all edges moved outwards by the diagonal of a step, or more."""
    x0, y0 = sum(x for x, _ in corners) / len(corners), sum(y for _, y in corners) / len(corners)
    nearest_m = min(
        abs((bx - ax) * (y0 - ay) - (by - ay) * (x0 - ax)) / math.hypot(bx - ax, by - ay)
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True)
    )
    factor = 1 + STEP_DIAGONAL_M / max(nearest_m, STEP_DIAGONAL_M)
    return [(x0 + (x - x0) * factor, y0 + (y - y0) * factor) for x, y in corners]
