"""Area and centroid of a polygon on the ellipsoid: the way of RFC 7459, and exactly with geodesics.

The RFC puts the corners into a plane that fits them best: good to a few parts in a million at 25 km. The exact way
follows the geodesics between the corners.

References
----------
RFC 7459 section 5.1.1.2 and appendix A (whose second eccentricity is misprinted: it is e^2 / (1 - e^2)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from locsvc.geo import (
    AUTHALIC_RADIUS_M,
    ECCENTRICITY_SQUARED,
    FLATTENING,
    SEMI_MAJOR_AXIS_M,
    bearings_lengths,
    geodesic_destination,
    geodesics,
)
from locsvc.model import LatLng, Polygon

Vector = tuple[float, float, float]

# Corners on one line enclose nothing; below this their centroid is their mean.
_LEAST_AREA_M2 = 1e-6
_LONGEST_EDGE_STEP_M = 10_000.0
_MOST_EDGE_STEPS = 100


def ecef(place: LatLng, altitude_m: float = 0.0) -> Vector:
    """The place in the Cartesian frame that turns with the Earth, metres (EPSG:4978).

    >>> [round(c) for c in ecef(LatLng(0.0, 90.0))]
    [0, 6378137, 0]
    """
    lat, lng = math.radians(place.latitude_deg), math.radians(place.longitude_deg)
    east = SEMI_MAJOR_AXIS_M / math.sqrt(1 - ECCENTRICITY_SQUARED * math.sin(lat) ** 2)
    across = (east + altitude_m) * math.cos(lat)
    up = (east * (1 - ECCENTRICITY_SQUARED) + altitude_m) * math.sin(lat)
    return across * math.cos(lng), across * math.sin(lng), up


def geodetic(vector: Vector) -> tuple[LatLng, float]:
    """Place and altitude, metres, of a point near the Earth's surface (Bowring's formula, repeated).

    >>> place, altitude_m = geodetic(ecef(LatLng(53.0, -6.0), 100.0))
    >>> round(place.latitude_deg, 9), round(altitude_m, 6)
    (53.0, 100.0)
    """
    x, y, z = vector
    across = math.hypot(x, y)
    polar_m = SEMI_MAJOR_AXIS_M * (1 - FLATTENING)
    second = ECCENTRICITY_SQUARED / (1 - ECCENTRICITY_SQUARED)
    reduced = math.atan2(z, across * (1 - FLATTENING))
    lat = 0.0
    for _ in range(3):
        lat = math.atan2(
            z + second * polar_m * math.sin(reduced) ** 3,
            across - ECCENTRICITY_SQUARED * SEMI_MAJOR_AXIS_M * math.cos(reduced) ** 3,
        )
        reduced = math.atan2((1 - FLATTENING) * math.sin(lat), math.cos(lat))
    surface = SEMI_MAJOR_AXIS_M * math.sqrt(1 - ECCENTRICITY_SQUARED * math.sin(lat) ** 2)
    altitude_m = across * math.cos(lat) + z * math.sin(lat) - surface
    return LatLng(math.degrees(lat), math.degrees(math.atan2(y, x))), altitude_m


@dataclass(frozen=True, slots=True)
class Plane:
    """The plane of a polygon, its corners in it, and what they enclose.

    normal
        Unit vector upwards.
    rows
        The matrix T of RFC 7459: its rows are the plane's two axes and the normal.
    corners
        (x', y', z') = T (x, y, z), metres.
    area_m2
        Above 0 when the corners run counter-clockwise seen from above.
    centroid
        (x', y', z'), metres.
    """

    normal: Vector
    rows: tuple[Vector, Vector, Vector]
    corners: tuple[Vector, ...]
    area_m2: float
    centroid: Vector


def plane_of(polygon: Polygon) -> Plane:
    """The plane that fits the corners, after Newell."""
    points = [ecef(corner) for corner in polygon.vertices]
    normal = _upward_normal(points)
    rows = _rows(normal)
    corners = tuple((_dot(rows[0], p), _dot(rows[1], p), _dot(rows[2], p)) for p in points)
    area_m2, centroid = _area_centroid(corners)
    return Plane(normal, rows, corners, area_m2, centroid)


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _upward_normal(points: list[Vector]) -> Vector:
    n = len(points)
    # The frame's origin is 6,400 km away: differences from the middle keep the digits.
    mean = _mean(points)
    near = [(p[0] - mean[0], p[1] - mean[1], p[2] - mean[2]) for p in points]
    sums = [
        sum(near[i][(k + 1) % 3] * (near[(i + 1) % n][(k + 2) % 3] - near[i - 1][(k + 2) % 3]) for i in range(n))
        for k in range(3)
    ]
    length = math.sqrt(sum(s * s for s in sums))
    if length < _LEAST_AREA_M2:
        sums, length = list(mean), math.sqrt(_dot(mean, mean))
    sign = math.copysign(1.0, sums[0] * mean[0] + sums[1] * mean[1] + sums[2] * mean[2]) / length
    return sums[0] * sign, sums[1] * sign, sums[2] * sign


def _rows(normal: Vector) -> tuple[Vector, Vector, Vector]:
    x, y, z = normal
    p = math.hypot(x, y)
    if p < 1e-12:
        # At a pole any direction will do, as long as the frame is right-handed.
        return (1.0, 0.0, 0.0), (0.0, math.copysign(1.0, z), 0.0), normal
    return (-y / p, x / p, 0.0), (-x * z / p, -y * z / p, p), normal


def _mean(points: list[Vector] | tuple[Vector, ...]) -> Vector:
    n = len(points)
    return sum(p[0] for p in points) / n, sum(p[1] for p in points) / n, sum(p[2] for p in points) / n


def _area_centroid(corners: tuple[Vector, ...]) -> tuple[float, Vector]:
    mean = _mean(corners)
    # Coordinates are tens of kilometres where the polygon is metres wide: relative to their mean no digits are lost.
    area, (x, y) = flat_centroid([(c[0] - mean[0], c[1] - mean[1]) for c in corners])
    return area, (mean[0] + x, mean[1] + y, mean[2])


def flat_centroid(points: list[tuple[float, float]]) -> tuple[float, tuple[float, float]]:
    """Area, above 0 for counter-clockwise, and centroid of corners in a plane near its origin.

    >>> flat_centroid([(0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.0, 1.0)])
    (2.0, (1.0, 0.5))
    """
    area2 = x6 = y6 = 0.0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        cross = x0 * y1 - x1 * y0
        area2 += cross
        x6 += (x0 + x1) * cross
        y6 += (y0 + y1) * cross
    if abs(area2) < 2 * _LEAST_AREA_M2:
        return area2 / 2, (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
    return area2 / 2, (x6 / (3 * area2), y6 / (3 * area2))


def polygon_area_m2(polygon: Polygon) -> float:
    """Area in the plane of the corners, square metres.

    >>> round(polygon_area_m2(Polygon((LatLng(0.0, 0.0), LatLng(0.0, 0.01), LatLng(0.01, 0.0)))))
    615454
    """
    return abs(plane_of(polygon).area_m2)


def polygon_centroid(polygon: Polygon) -> LatLng:
    """Centroid in the plane of the corners; its height above the ellipsoid is left out."""
    return centroid_and_height(polygon)[0]


def centroid_and_height(polygon: Polygon) -> tuple[LatLng, float]:
    """Centroid in the plane of the corners, and its height, metres: a little below the ellipsoid."""
    plane = plane_of(polygon)
    c, rows = plane.centroid, plane.rows
    x, y, z = (rows[0][k] * c[0] + rows[1][k] * c[1] + rows[2][k] * c[2] for k in range(3))
    return geodetic((x, y, z))


def geodesic_area_m2(polygon: Polygon) -> float:
    """Area between the geodesics of the corners, square metres (Karney's algorithm in pyproj).

    >>> round(geodesic_area_m2(Polygon((LatLng(0.0, 0.0), LatLng(0.0, 0.01), LatLng(0.01, 0.0)))))
    615454
    """
    area_m2, _ = geodesics().polygon_area_perimeter(
        [v.longitude_deg for v in polygon.vertices], [v.latitude_deg for v in polygon.vertices]
    )
    return float(abs(area_m2))


def geodesic_centroid(polygon: Polygon) -> LatLng:
    """The place from which the area between the geodesics lies evenly in all directions.

    Notes
    -----
    The outline is taken into the equal-area plane around a first guess, the guess moves to the centroid there, and so
    on until it stands still.
    """
    lat, lng = _outline(polygon)
    here = polygon_centroid(polygon)
    for _ in range(20):
        bearing, length = bearings_lengths(here.latitude_deg, here.longitude_deg, lat, lng)
        radius = 2 * AUTHALIC_RADIUS_M * np.sin(length / (2 * AUTHALIC_RADIUS_M))
        turn = np.radians(bearing)
        points = list(zip((radius * np.sin(turn)).tolist(), (radius * np.cos(turn)).tolist(), strict=True))
        _, (east, north) = flat_centroid(points)
        step = math.hypot(east, north)
        to_lat, to_lng = geodesic_destination(
            here.latitude_deg, here.longitude_deg, math.degrees(math.atan2(east, north)), step
        )
        here = LatLng(float(to_lat), float(to_lng))
        if step < 1e-4:
            break
    return here


def _outline(polygon: Polygon) -> tuple[list[float], list[float]]:
    """The corners, with further places on geodesics that are long."""
    lat: list[float] = []
    lng: list[float] = []
    corners = polygon.vertices
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        lat.append(a.latitude_deg)
        lng.append(a.longitude_deg)
        _, _, length = geodesics().inv(a.longitude_deg, a.latitude_deg, b.longitude_deg, b.latitude_deg)
        between = min(_MOST_EDGE_STEPS, int(length / _LONGEST_EDGE_STEP_M))
        if between:
            steps = geodesics().npts(a.longitude_deg, a.latitude_deg, b.longitude_deg, b.latitude_deg, between)
            lng.extend(p[0] for p in steps)
            lat.extend(p[1] for p in steps)
    return lat, lng
