"""Regions at other confidences, as circles, in one another: properties, and samples where there is no formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from locsvc import uncertainty
from locsvc.geo import geodesic_destination, geodesic_m
from locsvc.model import ArcBand, Circle, Ellipse, Ellipsoid, LatLng, Point, Polygon, Prism, Shape, Sphere
from locsvc.uncertainty import Distribution, NormalRule
from tests.formats import shape_strategies as shapes

HERE = LatLng(55.0, 2.5)
fractions = st.floats(0.05, 0.99)


def size_of(shape: Shape) -> float:
    return uncertainty.area_m2(shape)


# --- Confidence ---


@given(fractions, fractions, st.integers(1, 3), st.sampled_from(NormalRule))
def test_normal_factors_undo_each_other(a: float, b: float, dimensions: int, rule: NormalRule) -> None:
    there = uncertainty.normal_factor(a, b, dimensions, rule)
    assert there * uncertainty.normal_factor(b, a, dimensions, rule) == pytest.approx(1.0, rel=1e-9)
    assert (there >= 1.0) == (b >= a) or math.isclose(there, 1.0)


def test_box_and_round_rule_differ_as_the_sheet_says() -> None:
    for c0, c1, box, exact in ((0.68, 0.95, 1.6504, 1.6215), (0.5, 0.95, 2.1263, 2.0789), (0.95, 0.68, 0.6059, 0.6167)):
        assert uncertainty.normal_factor(c0, c1, 2, NormalRule.BOX) == pytest.approx(box, abs=5e-5)
        assert uncertainty.normal_factor(c0, c1, 2) == pytest.approx(exact, abs=5e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_round_rule_holds_what_it_says(dimensions: int, rng: np.random.Generator) -> None:
    scale = np.array([100.0, 25.0, 10.0])[:dimensions]
    draws = rng.standard_normal((200_000, dimensions)) * scale
    # An ellipse whose half axes are the sigmas: 39.35 % in two dimensions, 19.87 % in three.
    held = {2: 1 - math.exp(-0.5), 3: 0.198748}[dimensions]
    factor = uncertainty.normal_factor(held, 0.9, dimensions)
    inside = np.sum((draws / (scale * factor)) ** 2, axis=1) <= 1.0
    assert abs(inside.mean() - 0.9) < 4 * math.sqrt(0.9 * 0.1 / 200_000)


@given(st.floats(1e-3, 1e6), st.integers(0, 4))
def test_rounding_is_never_the_wrong_way(value: float, digits: int) -> None:
    up = uncertainty.rounded_up(value, digits)
    assert value * (1 - 1e-9) <= up <= value + 10.0**-digits * (1 + 1e-9)
    assert uncertainty.rounded_up(up, digits) == up
    share = value / 1e6
    down = uncertainty.rounded_down(share)
    assert share - 0.01 - 1e-9 <= down <= share + 1e-9


# --- Regions at other confidences ---


@given(shapes.shapes, fractions, fractions)
def test_unknown_distribution_neither_grows_nor_shrinks(shape: Shape, confidence: float, wanted: float) -> None:
    assert uncertainty.at_confidence(shape, confidence, wanted) == (shape, confidence)


@given(shapes.shapes, fractions, fractions)
def test_normal_distribution_reaches_the_confidence(shape: Shape, confidence: float, wanted: float) -> None:
    assume(not isinstance(shape, Point))
    found = uncertainty.at_confidence(shape, confidence, wanted, Distribution.NORMAL)
    assert wanted in (found.confidence, confidence)
    if wanted > confidence:
        assert size_of(found.shape) >= size_of(shape) * (1 - 1e-6)


@given(shapes.shapes, fractions, fractions)
def test_rectangular_distribution_only_shrinks(shape: Shape, confidence: float, wanted: float) -> None:
    assume(not isinstance(shape, Point))
    found = uncertainty.at_confidence(shape, confidence, wanted, Distribution.RECTANGULAR)
    if wanted >= confidence:
        assert found == (shape, confidence)
        return
    assert found.confidence == pytest.approx(wanted)
    dimensions = 3 if isinstance(shape, Sphere | Ellipsoid | Prism) else 2
    share = (wanted / confidence) ** (2 / dimensions)
    # Polygons of half a degree bend with the ellipsoid.
    assert size_of(found.shape) == pytest.approx(share * size_of(shape), rel=2e-3)
    assert type(found.shape) is type(shape)


def test_arc_band_shrinks_around_its_middle() -> None:
    band = ArcBand(HERE, 500.0, 1000.0, 350.0, 40.0)
    found = uncertainty.at_confidence(band, 0.9, 0.45, Distribution.RECTANGULAR)
    assert isinstance(found.shape, ArcBand)
    assert [found.shape.start_angle_deg, found.shape.opening_angle_deg] == pytest.approx([0.0, 20.0])
    assert (found.shape.inner_radius_m, found.shape.outer_radius_m) == (500.0, 1000.0)


def test_height_left_out() -> None:
    prism = Prism(Polygon((HERE, LatLng(55.0, 2.6), LatLng(55.1, 2.5))), 10.0, 5.0)
    found = uncertainty.without_height(prism, 0.95)
    assert found.shape == prism.base
    assert found.confidence == pytest.approx(0.95 ** (2 / 3))
    assert uncertainty.without_height(prism.base, 0.95) == (prism.base, 0.95)
    sphere = uncertainty.to_sphere(prism)
    assert sphere.altitude_m == 12.5
    assert sphere.radius_m >= uncertainty.to_circle(prism.base).radius_m


# --- Circles ---


@given(shapes.shapes)
def test_circle_holds_the_shape(shape: Shape) -> None:
    circle = uncertainty.to_circle(shape)
    lat, lng = uncertainty.places_in(shape)
    if isinstance(shape, Point):
        assert circle.radius_m == 0
        return
    away = geodesic_m(circle.center.latitude_deg, circle.center.longitude_deg, lat, lng)
    # The formula of an arc band is that of a plane: on a ball of 6,400 km 150 km are longer by a part in ten thousand.
    assert float(np.max(away)) <= circle.radius_m * 1.0003 + 1e-3


@given(shapes.arc_bands)
def test_centroid_of_an_arc_band_is_the_mean_of_its_places(band: ArcBand) -> None:
    lat, lng = uncertainty.places_in(band)
    middle = uncertainty.centroid(band)
    center = uncertainty.to_circle(band)
    frame = np.array(uncertainty.ecef(middle))
    mean = np.mean([uncertainty.ecef(LatLng(a, b)) for a, b in zip(lat.tolist(), lng.tolist(), strict=True)], axis=0)
    # The mean of places on a ball lies below it.
    sagitta = (band.outer_radius_m**2) / 6_300_000
    assert float(np.linalg.norm(mean - frame)) <= 0.003 * center.radius_m + sagitta + 0.01


@given(shapes.polygons)
def test_polygon_both_ways(polygon: Polygon) -> None:
    planar, exact = uncertainty.polygon_area_m2(polygon), uncertainty.geodesic_area_m2(polygon)
    assert planar == pytest.approx(exact, rel=5e-4)
    a, b = uncertainty.polygon_centroid(polygon), uncertainty.geodesic_centroid(polygon)
    apart_m = float(geodesic_m(a.latitude_deg, a.longitude_deg, b.latitude_deg, b.longitude_deg))
    # Half a degree is 55 km: the plane of the corners is good to some metres there.
    assert apart_m <= 1e-3 * math.sqrt(exact)


@pytest.mark.parametrize(
    "corners",
    [
        [(89.9, 0.0), (89.9, 90.0), (89.9, 180.0), (89.9, -90.0)],
        [(-89.9, 0.0), (-89.9, -90.0), (-89.9, 180.0), (-89.9, 90.0)],
        [(-0.1, 179.9), (-0.1, -179.9), (0.1, -179.9), (0.1, 179.9)],
    ],
    ids=["north-pole", "south-pole", "antimeridian"],
)
def test_middle_of_a_square_at_an_odd_place(corners: list[tuple[float, float]]) -> None:
    square = Polygon(tuple(LatLng(*c) for c in corners))
    for middle in (uncertainty.polygon_centroid(square), uncertainty.geodesic_centroid(square)):
        distances = [
            float(geodesic_m(middle.latitude_deg, middle.longitude_deg, v.latitude_deg, v.longitude_deg))
            for v in square.vertices
        ]
        assert max(distances) - min(distances) < 0.5
    assert bool(uncertainty.contains(square, middle.latitude_deg, middle.longitude_deg)[0])


def test_corners_on_a_line_have_a_middle() -> None:
    line = Polygon((LatLng(0.0, 1.0), LatLng(0.0, 2.0), LatLng(0.0, 3.0)))
    assert uncertainty.polygon_centroid(line).longitude_deg == pytest.approx(2.0, abs=1e-3)


@given(shapes.places)
def test_cartesian_frame_and_back(place: LatLng) -> None:
    back, altitude_m = uncertainty.geodetic(uncertainty.ecef(place, 120.0))
    assert altitude_m == pytest.approx(120.0, abs=1e-6)
    assert float(
        geodesic_m(place.latitude_deg, place.longitude_deg, back.latitude_deg, back.longitude_deg)
    ) == pytest.approx(0.0, abs=1e-6)


# --- Inside ---


@given(shapes.shapes)
def test_places_of_a_shape_lie_in_it(shape: Shape) -> None:
    lat, lng = uncertainty.places_in(shape)
    if not isinstance(shape, Point):
        assert uncertainty.contains(uncertainty.scaled(shape, 1.0 + 1e-6), lat, lng).mean() > 0.995


@given(st.floats(1.0, 5000.0), st.floats(1.0, 5000.0), st.floats(0.0, 10_000.0))
def test_overlap_of_circles_is_what_places_say(radius_m: float, other_m: float, apart_m: float) -> None:
    lat, lng = geodesic_destination(HERE.latitude_deg, HERE.longitude_deg, 70.0, apart_m)
    circle, other = Circle(HERE, radius_m), Circle(LatLng(float(lat), float(lng)), other_m)
    exact = uncertainty.share_inside(circle, other)
    counted = uncertainty.contains(other, *uncertainty.places_in(circle)).mean()
    assert counted == pytest.approx(exact, abs=0.005)
    # The same by shapes for which there is no formula.
    assert uncertainty.share_inside(circle, Ellipse(other.center, other_m, other_m, 30.0)) == pytest.approx(
        exact, abs=0.005
    )


def test_region_is_decided_at_one_half() -> None:
    here = Circle(HERE, 100.0)
    lat, lng = geodesic_destination(HERE.latitude_deg, HERE.longitude_deg, 0.0, 1000.0)
    # Its edge runs through the middle of the circle: at most half of 95 % lies inside.
    half = Circle(LatLng(float(lat), float(lng)), 1000.0)
    assert uncertainty.probability_inside(here, 0.95, half) < 0.5
    assert uncertainty.region_of(here, 0.95, [half]) is None
    assert uncertainty.region_of(here, 0.95, []) is None
    assert uncertainty.region_of(here, 0.95, [half, Circle(HERE, 90.0)]) == 1
    sure = uncertainty.probability_inside(here, 0.68, Circle(HERE, 1e5), Distribution.NORMAL)
    assert sure == pytest.approx(0.95)


def test_point_is_in_or_out() -> None:
    assert uncertainty.share_inside(Point(HERE), Circle(HERE, 1.0)) == 1.0
    assert uncertainty.share_inside(Point(LatLng(54.0, 2.5)), Circle(HERE, 1.0)) == 0.0
    assert uncertainty.share_inside(Circle(HERE, 1.0), Point(HERE)) == 0.0
    assert uncertainty.share_inside(Circle(HERE, 1.0), Ellipse(HERE, 5.0, 0.0, 0.0)) == 0.0
