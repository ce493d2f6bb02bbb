"""How likely it is that a place known within a region lies inside another one.

References
----------
RFC 7459 section 5.5: the region is first taken to 95 %, all its places count alike, and "inside" begins at one half.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from locsvc.geo import bearings_lengths, geodesic_destination, geodesic_m
from locsvc.model import ArcBand, Circle, Ellipse, Point, Polygon, Shape
from locsvc.uncertainty.confidence import Distribution, NormalRule
from locsvc.uncertainty.regions import at_confidence, centroid, flattened, to_circle

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

CONFIDENCE_OF_A_DECISION = 0.95
LEAST_PROBABILITY_INSIDE = 0.5
# Places of a region that are looked at where there is no formula: shares come out to about half a percent.
PLACES = 8192
# Generalised golden ratio of the plane: x^3 = x + 1 (low-discrepancy sequence R2).
_PLASTIC = 1.324717957244746


def circle_overlap_m2(radius_m: float, other_radius_m: float, distance_m: float) -> float:
    """Area that two circles share, square metres.

    >>> round(circle_overlap_m2(99.1, 1950.0, 1915.2639))
    22029
    """
    r, big, d = radius_m, other_radius_m, distance_m
    if d >= r + big:
        return 0.0
    if d <= abs(r - big):
        return math.pi * min(r, big) ** 2
    a = (r * r - big * big + d * d) / (2 * d)
    chord = math.sqrt(max(0.0, r * r - a * a))
    return r * r * _acos(a / r) + big * big * _acos((d - a) / big) - d * chord


def _acos(cosine: float) -> float:
    return math.acos(max(-1.0, min(1.0, cosine)))


def contains(shape: Shape, latitude_deg: npt.ArrayLike, longitude_deg: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether the places lie inside the shape, height left out, (n,) bool; nothing lies inside a point.

    >>> from locsvc.model import LatLng
    >>> contains(Circle(LatLng(55.0, 2.5), 1000.0), [55.0, 56.0], [2.5, 2.5]).tolist()
    [True, False]
    """
    flat = flattened(shape)
    lat, lng = np.atleast_1d(np.asarray(latitude_deg, float)), np.atleast_1d(np.asarray(longitude_deg, float))
    origin = centroid(flat) if isinstance(flat, Polygon) else flat.center
    bearing_deg, length_m = bearings_lengths(origin.latitude_deg, origin.longitude_deg, lat, lng)
    if isinstance(flat, Circle):
        return np.asarray(length_m <= flat.radius_m)
    if isinstance(flat, Ellipse):
        if min(flat.semi_major_m, flat.semi_minor_m) <= 0:
            return np.zeros(lat.shape, dtype=np.bool_)
        turn = np.radians(bearing_deg - flat.orientation_deg)
        along, across = np.cos(turn) / flat.semi_major_m, np.sin(turn) / flat.semi_minor_m
        return np.asarray(length_m * np.hypot(along, across) <= 1.0)
    if isinstance(flat, ArcBand):
        turned = (bearing_deg - flat.start_angle_deg) % 360.0
        in_sector = (turned <= flat.opening_angle_deg) | (flat.opening_angle_deg >= 360.0)
        return np.asarray((length_m >= flat.inner_radius_m) & (length_m <= flat.outer_radius_m) & in_sector)
    if isinstance(flat, Polygon):
        corners = bearings_lengths(
            origin.latitude_deg,
            origin.longitude_deg,
            [v.latitude_deg for v in flat.vertices],
            [v.longitude_deg for v in flat.vertices],
        )
        return _in_polygon(*_flat(bearing_deg, length_m), *_flat(*corners))
    return np.zeros(lat.shape, dtype=np.bool_)


def _flat(bearing_deg: Floats, length_m: Floats) -> tuple[Floats, Floats]:
    turn = np.radians(bearing_deg)
    return length_m * np.sin(turn), length_m * np.cos(turn)


def _in_polygon(x: Floats, y: Floats, corner_x: Floats, corner_y: Floats) -> npt.NDArray[np.bool_]:
    """Even-odd rule."""
    inside = np.zeros(x.shape, dtype=np.bool_)
    for x0, y0, x1, y1 in zip(corner_x, corner_y, np.roll(corner_x, -1), np.roll(corner_y, -1), strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


@functools.cache
def _uniform() -> tuple[Floats, Floats]:
    """Even places in the unit square, always the same."""
    i = np.arange(1, PLACES + 1, dtype=np.float64)
    return (i / _PLASTIC) % 1.0, (i / _PLASTIC**2) % 1.0


def places_in(shape: Shape) -> tuple[Floats, Floats]:
    """Latitudes and longitudes that fill the shape evenly, always the same ones; none of a point."""
    flat = flattened(shape)
    u, v = _uniform()
    if isinstance(flat, Point):
        return np.empty(0), np.empty(0)
    if isinstance(flat, Polygon):
        circle = to_circle(flat)
        lat, lng = places_in(circle)
        inside = contains(flat, lat, lng)
        return lat[inside], lng[inside]
    if isinstance(flat, ArcBand):
        length = np.sqrt(flat.inner_radius_m**2 + u * (flat.outer_radius_m**2 - flat.inner_radius_m**2))
        bearing = flat.start_angle_deg + v * flat.opening_angle_deg
    elif isinstance(flat, Circle):
        length, bearing = flat.radius_m * np.sqrt(u), 360.0 * v
    else:
        along = flat.semi_major_m * np.sqrt(u) * np.cos(math.tau * v)
        across = flat.semi_minor_m * np.sqrt(u) * np.sin(math.tau * v)
        length, bearing = np.hypot(along, across), flat.orientation_deg + np.degrees(np.arctan2(across, along))
    return geodesic_destination(flat.center.latitude_deg, flat.center.longitude_deg, bearing, length)


def share_inside(shape: Shape, region: Shape) -> float:
    """Part of the shape's area that lies inside the region, 0 to 1: exact for circles, else to half a percent."""
    shape, region = flattened(shape), flattened(region)
    if isinstance(shape, Point) or (isinstance(shape, Circle) and shape.radius_m <= 0):
        middle = centroid(shape)
        return float(contains(region, middle.latitude_deg, middle.longitude_deg)[0])
    if isinstance(shape, Circle) and isinstance(region, Circle):
        a, b = shape.center, region.center
        apart_m = float(geodesic_m(a.latitude_deg, a.longitude_deg, b.latitude_deg, b.longitude_deg))
        return circle_overlap_m2(shape.radius_m, region.radius_m, apart_m) / (math.pi * shape.radius_m**2)
    lat, lng = places_in(shape)
    return float(np.mean(contains(region, lat, lng))) if lat.size else 0.0


def probability_inside(
    shape: Shape,
    confidence: float,
    region: Shape,
    distribution: Distribution = Distribution.UNKNOWN,
    rule: NormalRule = NormalRule.BOX,
) -> float:
    """Probability that the place known within `shape` lies inside `region`.

    Notes
    -----
    What lies outside the shape counts as outside the region, so the answer is a lower bound.

    References
    ----------
    RFC 7459 section 5.5.

    >>> from locsvc.model import LatLng
    >>> here = LatLng(55.0, 2.5)
    >>> round(probability_inside(Circle(here, 100.0), 0.95, Circle(here, 1000.0)), 3)
    0.95
    """
    wide = at_confidence(shape, confidence, CONFIDENCE_OF_A_DECISION, distribution, rule)
    return wide.confidence * share_inside(wide.shape, region)


def region_of(
    shape: Shape,
    confidence: float,
    regions: Sequence[Shape],
    distribution: Distribution = Distribution.UNKNOWN,
) -> int | None:
    """Which of the regions the place most likely lies in, None when it lies in none with one half or more.

    >>> from locsvc.model import LatLng
    >>> here = LatLng(55.0, 2.5)
    >>> region_of(Circle(here, 100.0), 0.95, [Circle(here, 10.0), Circle(here, 500.0)])
    1
    """
    found = [probability_inside(shape, confidence, region, distribution) for region in regions]
    best = max(range(len(found)), key=found.__getitem__, default=None)
    return best if best is not None and found[best] >= LEAST_PROBABILITY_INSIDE else None
