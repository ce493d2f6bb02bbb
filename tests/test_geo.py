"""Geometry on WGS84 against pyproj."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.geo import (
    curvature_radii_m,
    destination,
    distance_m,
    geodesic_m,
    is_null_position,
    latitudes_longitudes,
    local_axes,
    unit_vectors,
)

GEOD = pyproj.Geod(ellps="WGS84")
latitudes = st.floats(-89.0, 89.0)
longitudes = st.floats(-180.0, 180.0)
bearings = st.floats(0.0, 360.0)


@given(latitudes, longitudes, bearings, st.floats(0.5, 100_000.0))
def test_short_distance_is_good_to_a_part_in_ten_thousand(
    lat: float, lng: float, bearing: float, length: float
) -> None:
    # Beyond 85 degrees the middle of the latitudes is no middle of the way.
    lng2, lat2, _ = GEOD.fwd(lng, lat * 0.9, bearing, length)
    assert float(distance_m(lat * 0.9, lng, lat2, lng2)) == pytest.approx(length, rel=2e-4, abs=1e-4)


@given(latitudes, longitudes, latitudes, longitudes)
def test_any_distance_is_good_to_some_parts_in_a_thousand(lat1: float, lng1: float, lat2: float, lng2: float) -> None:
    exact = GEOD.inv(lng1, lat1, lng2, lat2)[2]
    assert float(distance_m(lat1, lng1, lat2, lng2)) == pytest.approx(exact, rel=6e-3, abs=0.01)


@given(latitudes, longitudes, latitudes, longitudes)
def test_distance_is_the_same_both_ways_and_round_the_globe(lat1: float, lng1: float, lat2: float, lng2: float) -> None:
    there = float(distance_m(lat1, lng1, lat2, lng2))
    assert float(distance_m(lat2, lng2, lat1, lng1)) == pytest.approx(there, rel=1e-9, abs=1e-3)
    assert float(distance_m(lat1, lng1 + 360, lat2, lng2 - 360)) == pytest.approx(there, rel=1e-9, abs=1e-3)


@given(latitudes, longitudes, latitudes, longitudes)
def test_geodesic_is_pyproj_with_latitude_first(lat1: float, lng1: float, lat2: float, lng2: float) -> None:
    assert float(geodesic_m(lat1, lng1, lat2, lng2)) == GEOD.inv(lng1, lat1, lng2, lat2)[2]


@given(latitudes, longitudes, bearings, st.floats(1.0, 50_000.0))
def test_destination_is_so_far_away_in_that_direction(lat: float, lng: float, bearing: float, length: float) -> None:
    lat2, lng2 = (float(v) for v in destination(lat, lng, bearing, length))
    assert -90 <= lat2 <= 90
    assert -180 <= lng2 < 180
    back_lng, back_lat, _ = GEOD.fwd(lng, lat, bearing, length)
    # The two radii of curvature differ by up to 1 in 150 at the equator: a slanting way ends a third of that aside.
    assert GEOD.inv(lng2, lat2, back_lng, back_lat)[2] < 0.0035 * length + 1e-3


@given(latitudes, longitudes, bearings, st.floats(1.0, 50_000.0))
def test_distance_of_a_destination_is_its_length(lat: float, lng: float, bearing: float, length: float) -> None:
    lat *= 0.95
    assert float(distance_m(lat, lng, *destination(lat, lng, bearing, length))) == pytest.approx(length, rel=2e-3)


def test_the_antimeridian_and_the_poles_are_no_borders() -> None:
    assert float(distance_m(0.0, 179.9995, 0.0, -179.9995)) == pytest.approx(111.3, rel=1e-3)
    assert float(distance_m(89.999, 0.0, 89.999, 180.0)) == pytest.approx(223.4, rel=1e-2)
    lat, lng = destination(89.999, 10.0, 0.0, 223.4)
    assert float(lat) == pytest.approx(89.999, abs=1e-4)
    assert float(lng) == pytest.approx(-170.0, abs=0.5)


def test_equal_places_are_apart_by_nothing() -> None:
    assert float(distance_m(53.0, -6.0, 53.0, -6.0)) == 0.0
    assert float(distance_m(0.0, 0.0, 0.0, 180.0)) == pytest.approx(math.pi * 6_378_137, rel=1e-3)


@given(st.floats(-90.0, 90.0), longitudes)
def test_unit_vectors_there_and_back(lat: float, lng: float) -> None:
    vector = unit_vectors(lat, lng)
    assert float(np.linalg.norm(vector)) == pytest.approx(1.0, abs=1e-12)
    lat2, lng2 = latitudes_longitudes(3.0 * vector)
    # asin and acos lose half of the digits at the poles; arctan2 does not.
    assert float(lat2) == pytest.approx(lat, abs=1e-9)
    if abs(lat) < 89.99:
        assert abs((float(lng2) - lng + 180) % 360 - 180) < 1e-9


@given(latitudes, longitudes)
def test_local_axes_are_east_and_north_in_metres(lat: float, lng: float) -> None:
    lat *= 0.98
    east, north = local_axes(lat, lng)
    step = unit_vectors(lat, lng)
    # In square metres per square unit: 4e13 times the cosine of the angle between them.
    assert abs(float(east @ north)) < 1.0
    for bearing, e, n in ((90.0, 100.0, 0.0), (0.0, 0.0, 100.0), (225.0, -70.71, -70.71)):
        lng2, lat2, _ = GEOD.fwd(lng, lat, bearing, 100.0)
        moved = unit_vectors(lat2, lng2) - step
        assert float(moved @ east) == pytest.approx(e, abs=0.05)
        assert float(moved @ north) == pytest.approx(n, abs=0.05)


def test_radii_of_curvature() -> None:
    # a and a(1 - e^2) at the equator, a / sqrt(1 - e^2) at the poles.
    east, north = curvature_radii_m(np.array([0.0, 90.0]))
    assert east == pytest.approx([6_378_137.0, 6_399_593.6258], abs=1e-3)
    assert north == pytest.approx([6_335_439.3273, 6_399_593.6258], abs=1e-3)


@pytest.mark.parametrize(
    ("lat", "lng", "expected"),
    [
        (0.0, 0.0, True),
        (-0.0, 0.0, True),
        (1e-7, -1e-7, True),
        (float("nan"), 6.0, True),
        (53.0, float("nan"), True),
        (0.0, 6.5, False),
        (53.0, 0.0, False),
        (2e-6, 0.0, False),
    ],
)
def test_null_position(lat: float, lng: float, *, expected: bool) -> None:
    assert is_null_position(lat, lng) is expected
