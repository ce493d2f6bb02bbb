"""Shapes to GAD and back: within the steps of the coding, and always holding what was given."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from locsvc import model, uncertainty
from locsvc.errors import InvalidInput
from locsvc.formats import gad
from locsvc.formats.gad import coding
from locsvc.formats.gad.covering import moved_axes_m
from locsvc.geo import bearings_lengths, geodesic_destination, geodesic_m
from tests.formats import shape_strategies as shapes

HERE = model.LatLng(55.0, 2.5)
# The diagonal of a step at the equator: 1.19 m north, 2.39 m east.
STEP_M = 2.7


def back(octets: bytes | str, peer: gad.Peer = gad.STANDARD) -> model.DeviceReport:
    (evidence,) = gad.read(octets, peer=peer).evidence
    assert isinstance(evidence.content, model.DeviceReport)
    return evidence.content


def apart_m(a: model.LatLng, b: model.LatLng) -> float:
    return float(geodesic_m(a.latitude_deg, a.longitude_deg, b.latitude_deg, b.longitude_deg))


def edge_of(shape: model.Shape) -> list[model.LatLng]:
    """Places on the edge of a shape, or near it."""
    turn = np.linspace(0.0, 360.0, 73)
    flat = uncertainty.flattened(shape)
    if isinstance(flat, model.Polygon):
        return list(flat.vertices)
    if isinstance(flat, model.Circle):
        length, bearing = flat.radius_m + 0 * turn, turn
    elif isinstance(flat, model.Ellipse):
        along, across = flat.semi_major_m * np.cos(np.radians(turn)), flat.semi_minor_m * np.sin(np.radians(turn))
        length, bearing = np.hypot(along, across), flat.orientation_deg + np.degrees(np.arctan2(across, along))
    elif isinstance(flat, model.ArcBand):
        spread = flat.start_angle_deg + np.linspace(0.0, 1.0, 25) * flat.opening_angle_deg
        length = np.repeat([flat.inner_radius_m, flat.outer_radius_m], 25)
        bearing = np.tile(spread, 2)
    else:
        return [flat.center]
    lat, lng = geodesic_destination(flat.center.latitude_deg, flat.center.longitude_deg, bearing, length)
    return [model.LatLng(a, b) for a, b in zip(lat.tolist(), lng.tolist(), strict=True)]


def beyond_m(shape: model.Shape, places: list[model.LatLng]) -> float:
    """How far the farthest of the places lies outside a shape, metres, at most."""
    lat, lng = [p.latitude_deg for p in places], [p.longitude_deg for p in places]
    flat = uncertainty.flattened(shape)
    assert not isinstance(flat, model.Polygon | model.Point)
    bearing, length = bearings_lengths(flat.center.latitude_deg, flat.center.longitude_deg, lat, lng)
    if isinstance(flat, model.Circle):
        return float(np.max(length)) - flat.radius_m
    if isinstance(flat, model.Ellipse):
        turn = np.radians(bearing - flat.orientation_deg)
        reach = length * np.hypot(np.cos(turn) / flat.semi_major_m, np.sin(turn) / flat.semi_minor_m)
        return float(np.max((reach - 1) * length))
    turned = (bearing - flat.start_angle_deg) % 360.0
    past = np.minimum(np.maximum(turned - flat.opening_angle_deg, 0.0), 360.0 - turned)
    aside = np.where(past > 0, length * np.sin(np.radians(np.minimum(past, 90.0))), 0.0)
    return float(np.max(np.maximum(np.maximum(flat.inner_radius_m - length, length - flat.outer_radius_m), aside)))


# --- Bytes ---


@given(shapes.points)
def test_point(shape: model.Point) -> None:
    found = back(gad.write(shape)).shape
    assert isinstance(found, model.Point)
    assert apart_m(found.center, shape.center) <= STEP_M


@given(shapes.circles, st.one_of(st.none(), shapes.confidences))
def test_circle(shape: model.Circle, confidence: float | None) -> None:
    octets = gad.write(shape, confidence=confidence)
    assert (len(octets), octets[0]) == (8, 0x10)
    found = back(octets).shape
    assert isinstance(found, model.Circle)
    assert beyond_m(found, edge_of(shape)) <= 1e-3
    assert found.radius_m <= 1.1 * (shape.radius_m + STEP_M) + 1.0
    # What came is written as it came.
    assert gad.write(found) == octets


@given(shapes.circles, shapes.confidences)
def test_circle_that_states_its_confidence(shape: model.Circle, confidence: float) -> None:
    report = back(gad.write(shape, confidence=confidence, state_confidence=True))
    assert isinstance(report.shape, model.Ellipse)
    assert report.shape.semi_major_m == report.shape.semi_minor_m
    assert report.confidence is not None
    assert confidence - 0.01 < report.confidence <= confidence + 1e-9
    assert beyond_m(report.shape, edge_of(shape)) <= 1e-3


@given(shapes.ellipses, shapes.confidences, st.sampled_from([gad.STANDARD, gad.JSS7]))
def test_ellipse(shape: model.Ellipse, confidence: float, peer: gad.Peer) -> None:
    octets = gad.write(shape, confidence=confidence, peer=peer)
    report = back(octets, peer)
    found = report.shape
    assert isinstance(found, model.Ellipse)
    assert report.confidence is not None
    assert confidence - 0.01 < report.confidence <= confidence + 1e-9
    # Steps of a degree or two turn a needle away from what it held: it holds it by being wider.
    assert beyond_m(found, edge_of(shape)) <= 1e-3 + 1e-9 * shape.semi_major_m**2 / shape.semi_minor_m
    off = (found.orientation_deg - shape.orientation_deg + 90.0) % 180.0 - 90.0
    assert abs(off) <= peer.orientation_unit_deg / 2 + 1e-9
    if shape.semi_minor_m > shape.semi_major_m / 10:
        assert found.semi_major_m <= 1.1 * (1.15 * shape.semi_major_m + 11 * STEP_M) + 1.0
    assert gad.write(found, confidence=report.confidence, peer=peer) == octets


@given(shapes.arc_bands, shapes.confidences)
def test_arc_band(shape: model.ArcBand, confidence: float) -> None:
    octets = gad.write(shape, confidence=confidence)
    report = back(octets)
    found = report.shape
    assert isinstance(found, model.ArcBand)
    # A position moved by a step moves the sides of the sector with it.
    lost_m = math.radians(2.0) * shape.outer_radius_m if shape.opening_angle_deg > 356.0 else 0.0
    assert beyond_m(found, edge_of(shape)) <= STEP_M + 1e-6 * shape.outer_radius_m + lost_m
    assert found.inner_radius_m >= shape.inner_radius_m - STEP_M - 5.0
    assert (
        found.outer_radius_m - found.inner_radius_m
        <= 1.1 * (shape.outer_radius_m - shape.inner_radius_m + 2 * STEP_M + 5.0) + 1.0
    )
    assert found.opening_angle_deg <= shape.opening_angle_deg + 4.0
    assert report.confidence is None or report.confidence <= confidence + 1e-9
    if shape.opening_angle_deg < 356.0:
        assert gad.write(found, confidence=report.confidence) == octets


def test_arc_band_across_north() -> None:
    found = back(gad.write(model.ArcBand(HERE, 1000.0, 1500.0, 345.0, 41.5), confidence=0.9)).shape
    assert isinstance(found, model.ArcBand)
    assert (found.start_angle_deg, found.opening_angle_deg) == (344.0, 44.0)


def test_ring_gives_its_two_missing_degrees_from_its_confidence() -> None:
    report = back(gad.write(model.ArcBand(HERE, 1000.0, 1500.0, 0.0, 360.0), confidence=0.9))
    assert isinstance(report.shape, model.ArcBand)
    assert report.shape.opening_angle_deg == 358.0
    # 0.9 * 358 / 360 = 0.895, rounded down.
    assert report.confidence == 0.89


@given(shapes.polygons)
def test_polygon(shape: model.Polygon) -> None:
    found = back(gad.write(shape)).shape
    assert isinstance(found, model.Polygon)
    assert len(found.vertices) == len(shape.vertices)
    for ours, theirs in zip(found.vertices, shape.vertices, strict=True):
        assert apart_m(ours, theirs) <= STEP_M
    assert gad.write(found) == gad.write(shape)


@given(shapes._polygons(60))
def test_polygon_of_many_corners_is_held_by_one_of_few(shape: model.Polygon) -> None:
    assume(len(shape.vertices) > 15)
    found = back(gad.write(shape)).shape
    assert isinstance(found, model.Polygon)
    assert len(found.vertices) <= 15
    lat, lng = [v.latitude_deg for v in shape.vertices], [v.longitude_deg for v in shape.vertices]
    assert uncertainty.contains(found, lat, lng).all()
    # Its hull lies in the circle around it; fifteen corners cost a few percent, steps some metres on each side.
    radius_m = uncertainty.to_circle(shape).radius_m
    assert uncertainty.geodesic_area_m2(found) <= math.pi * (1.05 * radius_m + 10.0) ** 2


@given(st.one_of(shapes.spheres, shapes.ellipsoids), shapes.confidences)
def test_solid(shape: model.Sphere | model.Ellipsoid, confidence: float) -> None:
    report = back(gad.write(shape, confidence=confidence))
    half_m = shape.radius_m if isinstance(shape, model.Sphere) else shape.vertical_m
    if isinstance(report.shape, model.Ellipse):
        # Heights end at 990 m; needles that are moved a step grow in height too.
        assert half_m > 100.0
    else:
        assert isinstance(report.shape, model.Ellipsoid)
        low, high = report.shape.altitude_m - report.shape.vertical_m, report.shape.altitude_m + report.shape.vertical_m
        assert low <= shape.altitude_m - half_m + 1e-6
        assert high >= shape.altitude_m + half_m - 1e-6
        assert abs(report.shape.altitude_m - shape.altitude_m) < 1.0
    needle = 0.0 if isinstance(shape, model.Sphere) else shape.semi_major_m**2 / shape.semi_minor_m
    assert beyond_m(report.shape, edge_of(shape)) <= 1e-3 + 1e-9 * needle
    assert report.confidence is not None
    assert report.confidence <= confidence + 1e-9


@given(shapes.prisms)
def test_prism_is_written_as_its_base(shape: model.Prism) -> None:
    assert gad.write(shape) == gad.write(shape.base)


sizes_m = st.floats(0.01, 40.0)


@given(shapes.places, sizes_m, sizes_m, shapes.angles_deg, shapes.confidences, st.sampled_from([1.0, 3.0]))
def test_high_accuracy_ellipse(
    center: model.LatLng, a: float, b: float, angle: float, confidence: float, wider: float
) -> None:
    assume(max(a, b) < 20 * min(a, b))
    shape = model.Ellipse(center, wider * max(a, b), wider * min(a, b), angle)
    octets = gad.write(shape, confidence=confidence, high_accuracy=True)
    report = back(octets)
    assert isinstance(report.shape, model.Ellipse)
    assert octets[0] in (0xB0, 0xD0)
    assert apart_m(report.shape.center, center) < 0.015
    assert beyond_m(report.shape, edge_of(shape)) <= 1e-6
    assert gad.write(report.shape, confidence=report.confidence, high_accuracy=True) == octets


@given(shapes.places, sizes_m, st.floats(-500.0, 10_000.0), st.floats(0.02, 150.0), shapes.confidences)
def test_high_accuracy_ellipsoid(
    center: model.LatLng, radius_m: float, altitude_m: float, half_m: float, confidence: float
) -> None:
    shape = model.Ellipsoid(center, altitude_m, radius_m, radius_m, half_m, 0.0)
    octets = gad.write(shape, confidence=confidence, high_accuracy=True)
    report = back(octets)
    assert octets[0] in (0xC0, 0xE0)
    assert isinstance(report.shape, model.Ellipsoid)
    assert abs(report.shape.altitude_m - altitude_m) <= 2**-7
    assert report.shape.altitude_m + report.shape.vertical_m >= altitude_m + half_m - 1e-9
    assert report.shape.altitude_m - report.shape.vertical_m <= altitude_m - half_m + 1e-9
    assert beyond_m(report.shape, edge_of(shape)) <= 1e-6


def test_high_accuracy_gives_way_to_size() -> None:
    assert gad.write(model.Circle(HERE, 20.0), high_accuracy=True)[0] == 0xB0
    assert gad.write(model.Circle(HERE, 100.0), high_accuracy=True)[0] == 0xD0
    assert gad.write(model.Circle(HERE, 1000.0), high_accuracy=True)[0] == 0x10


def test_high_accuracy_default_range_is_left_for_one_axis_alone() -> None:
    octets = gad.write(model.Ellipsoid(HERE, 10.0, 100.0, 90.0, 3.0, 0.0), confidence=0.9, high_accuracy=True)
    assert octets[0] == 0xE0
    assert (octets[15] & 0x80, octets[17] & 0x80) == (0x80, 0)


@pytest.mark.parametrize(
    "shape",
    [
        model.Circle(HERE, 0.0),
        model.Sphere(HERE, 10.0, 0.0),
        model.Ellipse(HERE, 0.0, 0.0, 0.0),
        model.ArcBand(HERE, 0.0, 0.0, 0.0, 10.0),
    ],
    ids=lambda s: type(s).__name__,
)
def test_unknown_size_is_no_size(shape: model.Shape) -> None:
    assert isinstance(back(gad.write(shape)).shape, model.Point)


def test_corner_cases_of_the_globe() -> None:
    for lat, lng in ((90.0, 0.0), (-90.0, 180.0), (0.0, -180.0), (0.0, 180.0), (-1e-9, 10.0)):
        found = back(gad.write(model.Circle(model.LatLng(lat, lng), 30.0))).shape
        assert isinstance(found, model.Circle)
        assert apart_m(found.center, model.LatLng(lat, lng)) <= STEP_M


@pytest.mark.parametrize(
    ("shape", "confidence", "words"),
    [
        (model.Circle(HERE, 2e6), None, "more than GAD can say"),
        (model.Circle(HERE, math.nan), None, "radius_m"),
        (model.Circle(HERE, -1.0), None, "radius_m"),
        (model.Circle(model.LatLng(91.0, 0.0), 1.0), None, "latitude_deg"),
        (model.Circle(HERE, 1.0), 1.0, "confidence"),
        (model.Circle(HERE, 1.0), 68.0, "confidence"),
        (model.Polygon((HERE, HERE, HERE)), None, "3 or more"),
        (model.Polygon((HERE, model.LatLng(math.inf, 0.0), HERE)), None, r"vertices\[1\].latitude_deg"),
        (
            model.Polygon(tuple(model.LatLng(0.1 * (i % 3), -170.0 + 20.0 * i) for i in range(17))),
            None,
            "half the Earth",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_written(shape: model.Shape, confidence: float | None, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        gad.write(shape, confidence=confidence)
    # Lengths in JSON have no end.
    if "more than" not in words:
        with pytest.raises(InvalidInput, match=words):
            gad.write_json(shape, confidence=confidence)


@pytest.mark.parametrize("confidence", [None, 0.005, 0.57, 0.68, 0.6899, 0.999])
def test_confidence_is_rounded_down(confidence: float | None) -> None:
    octet = gad.write(model.Ellipse(HERE, 30.0, 20.0, 0.0), confidence=confidence)[-1]
    assert octet == (0 if confidence is None else math.floor(100 * confidence + 1e-9))


@given(st.floats(0.1, 1e4), st.floats(0.1, 1e4), st.floats(0.0, 3.0), st.floats(0.0, math.tau))
def test_moved_ellipse_is_held(a: float, b: float, moved: float, turn: float) -> None:
    wide, tall = moved_axes_m((a, b), (moved, moved))
    t = np.linspace(0.0, math.tau, 181)
    x, y = a * np.cos(t) + moved * math.cos(turn), b * np.sin(t) + moved * math.sin(turn)
    assert float(np.max(np.hypot(x / wide, y / tall))) <= 1 + 1e-9


# --- In 5G and ISUP ---


@given(shapes.shapes)
def test_geographical_information_holds_the_shape(shape: model.Shape) -> None:
    middle = uncertainty.centroid(shape)
    assume(abs(middle.latitude_deg) > 2e-5 or abs(middle.longitude_deg) > 4e-5)
    text = gad.write_geographical_information(shape)
    assert (len(text), text) == (16, text.upper())
    found = back(text).shape
    if not isinstance(shape, model.Point):
        assert isinstance(found, model.Circle)
        # A polygon's circle is measured through the ground; an arc band's is that of a plane.
        assert beyond_m(found, edge_of(shape)) <= 1e-3 + 3e-4 * found.radius_m


def test_geodetic_information() -> None:
    text = gad.write_geodetic_information(model.Circle(HERE, 30.0), confidence=0.675)
    report = back(text)
    assert (len(text), report.confidence) == (20, 0.67)
    assert back(bytes.fromhex(text)) == report


@given(shapes.shapes, shapes.confidences)
def test_json_comes_back(shape: model.Shape, confidence: float) -> None:
    text = gad.write_json(shape, confidence=confidence)
    report = back(text)
    found = report.shape
    if isinstance(shape, model.Point | model.Circle):
        assert found == shape
    elif isinstance(shape, model.Polygon | model.Prism):
        assert found == uncertainty.flattened(shape)
    else:
        assert found is not None
        needle = (
            shape.semi_major_m**2 / shape.semi_minor_m if isinstance(shape, model.Ellipse | model.Ellipsoid) else 0.0
        )
        assert beyond_m(found, edge_of(shape)) <= 1e-3 + 1e-9 * needle
        assert report.confidence is not None
        assert confidence - 0.01 < report.confidence <= confidence + 1e-9
        angles = [v for k, v in json.loads(text).items() if k.endswith("Angle")]
        assert all(isinstance(angle, int) and 0 <= angle <= 360 for angle in angles)
    if isinstance(shape, model.Ellipsoid):
        assert isinstance(found, model.Ellipsoid)
        assert (found.altitude_m, found.vertical_m) == (shape.altitude_m, shape.vertical_m)


def test_peer_is_written_to_as_it_reads() -> None:
    band = model.ArcBand(HERE, 1000.0, 1500.0, 20.0, 40.0)
    theirs = back(gad.write(band, peer=gad.JSS7), gad.JSS7).shape
    assert isinstance(theirs, model.ArcBand)
    assert 995.0 < theirs.inner_radius_m <= 1000.0
    solid = model.Ellipsoid(HERE, 10.0, 30.0, 20.0, 25.0, 90.0)
    report = back(gad.write(solid, peer=gad.JSS7), gad.JSS7)
    assert report.vertical_uncertainty_m in coding.UNCERTAINTY_M
    assert isinstance(report.shape, model.Ellipsoid)
    assert report.shape.orientation_deg == 90.0
    assert dataclasses.replace(gad.JSS7) == gad.JSS7
