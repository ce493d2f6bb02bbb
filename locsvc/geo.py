"""Geometry on WGS84 for arrays: unit vectors, local axes, distances, destinations.

Latitudes come before longitudes, degrees; directions are degrees clockwise from north; lengths are metres. Short
distances (below some 50 km) are taken in the tangent plane of the ellipsoid, which is good to a part in ten thousand
there; `distance_m` is for display and grouping, `geodesic_m` for what must be exact.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyproj

    Floats = npt.NDArray[np.float64]

# WGS84 (EPSG:7030).
SEMI_MAJOR_AXIS_M = 6_378_137.0
FLATTENING = 1 / 298.257223563
ECCENTRICITY_SQUARED = FLATTENING * (2 - FLATTENING)
# Radius of the sphere with WGS84's area; H3 counts its areas on it.
AUTHALIC_RADIUS_M = 6_371_007.180918475
# 1e-6 degrees is 0.1 m: nothing real is told apart from 0,0 there.
NULL_DEG = 1e-6


def unit_vectors(latitude_deg: npt.ArrayLike, longitude_deg: npt.ArrayLike) -> Floats:
    """Unit vectors of the places, latitude taken as on a sphere, (..., 3) float64.

    >>> unit_vectors(0.0, 90.0).round(12).tolist()
    [0.0, 1.0, 0.0]
    """
    lat, lng = np.radians(latitude_deg), np.radians(longitude_deg)
    cos_lat = np.cos(lat)
    return np.stack((cos_lat * np.cos(lng), cos_lat * np.sin(lng), np.sin(lat) + 0 * lng), axis=-1)


def latitudes_longitudes(vectors: Floats) -> tuple[Floats, Floats]:
    """Latitude and longitude, degrees, of vectors (..., 3) of any length above 0."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.degrees(np.arctan2(z, np.sqrt(x * x + y * y))), np.degrees(np.arctan2(y, x))


def curvature_radii_m(latitude_deg: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Radius of curvature eastwards (prime vertical) and northwards (meridian), float64, metres.

    >>> [round(float(r)) for r in curvature_radii_m(45.0)]
    [6388838, 6367382]
    """
    w2 = 1 - ECCENTRICITY_SQUARED * np.sin(np.radians(latitude_deg)) ** 2
    east: Floats = np.asarray(SEMI_MAJOR_AXIS_M / np.sqrt(w2))
    north: Floats = np.asarray(east * (1 - ECCENTRICITY_SQUARED) / w2)
    return east, north


def local_axes(latitude_deg: npt.ArrayLike, longitude_deg: npt.ArrayLike) -> tuple[Floats, Floats]:
    """East and north axes at the places, (..., 3) float64, in metres per unit of a difference of unit vectors.

    The difference of two unit vectors times these axes gives metres east and north in the tangent plane of the
    ellipsoid: the axes carry the ellipsoid's radii of curvature as their lengths.

    >>> e, n = local_axes(53.0, -6.0)
    >>> d = unit_vectors(53.001, -6.0) - unit_vectors(53.0, -6.0)
    >>> round(float(d @ n), 1), abs(round(float(d @ e), 1))
    (111.3, 0.0)
    """
    lat, lng = np.radians(latitude_deg), np.radians(longitude_deg)
    east_m, north_m = curvature_radii_m(latitude_deg)
    sin_lng, cos_lng = np.sin(lng), np.cos(lng)
    east = np.stack((-sin_lng, cos_lng, 0 * lng), axis=-1) * east_m[..., None]
    north = (
        np.stack((-np.sin(lat) * cos_lng, -np.sin(lat) * sin_lng, np.cos(lat) + 0 * lng), axis=-1) * north_m[..., None]
    )
    return east, north


def distance_m(
    lat1_deg: npt.ArrayLike, lng1_deg: npt.ArrayLike, lat2_deg: npt.ArrayLike, lng2_deg: npt.ArrayLike
) -> Floats:
    """Distance between the places, float64, metres: great circle, scaled by the ellipsoid's radii at the middle.

    Good to a part in a thousand everywhere and to a part in ten thousand below 100 km.

    >>> round(float(distance_m(53.0, -6.0, 53.01, -6.0)), 1)
    1112.9
    """
    lat1, lat2 = np.radians(lat1_deg), np.radians(lat2_deg)
    dlng = np.radians(np.subtract(lng2_deg, lng1_deg))
    half_north, half_east = np.sin((lat2 - lat1) / 2) ** 2, np.cos(lat1) * np.cos(lat2) * np.sin(dlng / 2) ** 2
    angle = 2 * np.arcsin(np.sqrt(np.minimum(1.0, half_north + half_east)))
    east_m, north_m = curvature_radii_m(np.degrees((lat1 + lat2) / 2))
    whole = np.maximum(half_north + half_east, 1e-300)
    result: Floats = np.asarray(angle * np.sqrt((half_north * north_m**2 + half_east * east_m**2) / whole))
    return result


def destination(
    latitude_deg: npt.ArrayLike, longitude_deg: npt.ArrayLike, bearing_deg: npt.ArrayLike, length_m: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Latitude and longitude, degrees float64, of the place `length_m` away in direction `bearing_deg`.

    Great circle on the sphere of the local radius of curvature; good to a part in a thousand.

    >>> [round(float(v), 4) for v in destination(53.0, -6.0, 0.0, 1112.8)]
    [53.01, -6.0]
    """
    bearing = np.radians(bearing_deg)
    east_m, north_m = curvature_radii_m(latitude_deg)
    radius = 1.0 / (np.sin(bearing) ** 2 / east_m + np.cos(bearing) ** 2 / north_m)
    angle = np.asarray(length_m) / radius
    lat, lng = np.radians(latitude_deg), np.radians(longitude_deg)
    sin_lat2 = np.sin(lat) * np.cos(angle) + np.cos(lat) * np.sin(angle) * np.cos(bearing)
    lat2 = np.arcsin(np.clip(sin_lat2, -1.0, 1.0))
    lng2 = lng + np.arctan2(np.sin(bearing) * np.sin(angle) * np.cos(lat), np.cos(angle) - np.sin(lat) * sin_lat2)
    return np.degrees(lat2), (np.degrees(lng2) + 180.0) % 360.0 - 180.0


@functools.cache
def geodesics() -> pyproj.Geod:
    """Karney's algorithms on WGS84; longitude comes before latitude in them."""
    import pyproj

    return pyproj.Geod(ellps="WGS84")


def geodesic_m(
    lat1_deg: npt.ArrayLike, lng1_deg: npt.ArrayLike, lat2_deg: npt.ArrayLike, lng2_deg: npt.ArrayLike
) -> Floats:
    """Exact geodesic length between the places, float64, metres (Karney's algorithm in pyproj).

    >>> round(float(geodesic_m(53.0, -6.0, 53.01, -6.0)), 2)
    1112.86
    """
    lat1, lng1, lat2, lng2 = np.broadcast_arrays(lat1_deg, lng1_deg, lat2_deg, lng2_deg)
    _, _, length = geodesics().inv(lng1.astype(float), lat1.astype(float), lng2.astype(float), lat2.astype(float))
    return np.asarray(length, dtype=np.float64)


def bearings_lengths(
    latitude_deg: float, longitude_deg: float, latitudes_deg: npt.ArrayLike, longitudes_deg: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Bearing at the first place, degrees from north, and exact geodesic length, metres, to each of the others.

    >>> [round(float(v), 2) for v in bearings_lengths(53.0, -6.0, 53.01, -6.0)]
    [0.0, 1112.86]
    """
    to_lat, to_lng = np.broadcast_arrays(np.asarray(latitudes_deg, float), np.asarray(longitudes_deg, float))
    bearing, _, length = geodesics().inv(
        np.full(to_lng.shape, float(longitude_deg)), np.full(to_lat.shape, float(latitude_deg)), to_lng, to_lat
    )
    return np.asarray(bearing, dtype=np.float64) % 360.0, np.asarray(length, dtype=np.float64)


def geodesic_destination(
    latitude_deg: float, longitude_deg: float, bearing_deg: npt.ArrayLike, length_m: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Latitude and longitude, degrees float64, of the places `length_m` away in directions `bearing_deg`, exactly.

    >>> [round(float(v), 6) for v in geodesic_destination(53.0, -6.0, 0.0, 1112.86)]
    [53.01, -6.0]
    """
    bearing, length = np.broadcast_arrays(np.asarray(bearing_deg, float), np.asarray(length_m, float))
    lng, lat, _ = geodesics().fwd(
        np.full(bearing.shape, float(longitude_deg)), np.full(bearing.shape, float(latitude_deg)), bearing, length
    )
    return np.asarray(lat, dtype=np.float64), np.asarray(lng, dtype=np.float64)


def is_null_position(latitude_deg: float, longitude_deg: float) -> bool:
    """Whether the place is the 0,0 (or not a number) that broken senders give for "unknown".

    >>> is_null_position(0.0, 0.0), is_null_position(0.0, 6.5)
    (True, False)
    """
    if math.isnan(latitude_deg) or math.isnan(longitude_deg):
        return True
    return abs(latitude_deg) < NULL_DEG and abs(longitude_deg) < NULL_DEG
