"""Places as points in space, so that distances need no care at the poles, the antimeridian or far away."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from locsvc.geo import ECCENTRICITY_SQUARED, curvature_radii_m

# IUGG mean radius: an arc from its chord; the chord itself is the ellipsoid's.
_MEAN_RADIUS_M = 6_371_008.8
# A degree of latitude is at least 110.57 km long, one of longitude at least 111.32 km times the cosine.
_SHORTEST_DEGREE_M = 110_500.0


def in_space_m(
    latitude_deg: npt.NDArray[np.float64], longitude_deg: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Earth-centred coordinates of places on the WGS84 ellipsoid, `(n, 3) float64`, metres.

    >>> in_space_m(np.array([0.0]), np.array([90.0])).round(3).tolist()
    [[0.0, 6378137.0, 0.0]]
    """
    latitude, longitude = np.radians(latitude_deg), np.radians(longitude_deg)
    normal_m, _ = curvature_radii_m(latitude_deg)
    across = normal_m * np.cos(latitude)
    up = normal_m * (1.0 - ECCENTRICITY_SQUARED) * np.sin(latitude)
    return np.stack([across * np.cos(longitude), across * np.sin(longitude), up], axis=-1)


def along_ground_m(chord_squared_m2: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distances over the ground from squared straight ones: to 1e-4 up to 3,000 km, a few per cent at the antipodes.

    >>> round(float(along_ground_m(np.array([1.0e6]))[0]), 6)
    1000.000001
    """
    half = np.sqrt(chord_squared_m2) / (2.0 * _MEAN_RADIUS_M)
    return 2.0 * _MEAN_RADIUS_M * np.arcsin(np.minimum(half, 1.0))


def windows(latitude_deg: float, longitude_deg: float, reach_m: float) -> list[tuple[float, float, float, float]]:
    """South, west, north, east of one or two boxes that hold all places within `reach_m`: two at the antimeridian.

    >>> [tuple(round(v, 2) for v in w) for w in windows(0.0, 179.9, 22_100.0)]
    [(-0.2, 179.7, 0.2, 180.0), (-0.2, -180.0, 0.2, -179.9)]
    """
    span = reach_m / _SHORTEST_DEGREE_M
    south, north = latitude_deg - span, latitude_deg + span
    poleward = max(abs(south), abs(north))
    if poleward >= 89.9:
        return [(max(south, -90.0), -180.0, min(north, 90.0), 180.0)]
    half_width = span / math.cos(math.radians(poleward))
    if half_width >= 180.0:
        return [(south, -180.0, north, 180.0)]
    middle = (longitude_deg + 180.0) % 360.0 - 180.0
    west, east = middle - half_width, middle + half_width
    if west < -180.0:
        return [(south, -180.0, north, east), (south, west + 360.0, north, 180.0)]
    if east > 180.0:
        return [(south, west, north, 180.0), (south, -180.0, north, east - 360.0)]
    return [(south, west, north, east)]
