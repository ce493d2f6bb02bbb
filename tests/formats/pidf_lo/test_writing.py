"""Writing: what comes back when it is read, and that nothing is claimed that was not given."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from locsvc.errors import InvalidInput
from locsvc.formats.pidf_lo import method_token, read, write
from locsvc.formats.pidf_lo.names import METHODS
from locsvc.formats.pidf_lo.writing import ANGLE_STEP_DEG, PLACE_STEP_DEG, SIZE_STEP_M
from locsvc.formats.xml import local_name, parse
from locsvc.model import (
    ArcBand,
    Circle,
    CivicAddress,
    DeviceReport,
    Ellipse,
    Ellipsoid,
    LatLng,
    LineLookup,
    LineRecord,
    Point,
    Polygon,
    PositioningMethod,
    Prism,
    Shape,
    Sphere,
)
from tests import strategies
from tests.formats import shape_strategies as shapes

HERE = LatLng(53.35, -6.26)
SIZE, ANGLE = float(SIZE_STEP_M), float(ANGLE_STEP_DEG)
# Half a step, and what the last bits of a float add to it.
HALF_PLACE = PLACE_STEP_DEG / 2 * (1 + 1e-6)


def back(document: bytes) -> DeviceReport:
    """The one report of a document that must be without fault."""
    reading = read(document)
    assert reading.warnings == ()
    (evidence,) = reading.evidence
    assert isinstance(evidence.content, DeviceReport)
    return evidence.content


def same_place(one: LatLng, two: LatLng) -> bool:
    return (
        abs(one.latitude_deg - two.latitude_deg) <= HALF_PLACE
        and abs(math.remainder(one.longitude_deg - two.longitude_deg, 360.0)) <= HALF_PLACE
    )


def rounded_up(read_m: float, given_m: float) -> bool:
    return given_m <= read_m < given_m + SIZE * (1 + 1e-6) + given_m * 1e-12


def turned(one_deg: float, two_deg: float) -> float:
    return abs(math.remainder(one_deg - two_deg, 360.0))


@given(shapes.circles, shapes.confidences)
def test_circles(circle: Circle, confidence: float) -> None:
    report = back(write(circle, confidence=confidence))
    assert isinstance(report.shape, Circle)
    assert same_place(report.shape.center, circle.center)
    assert rounded_up(report.shape.radius_m, circle.radius_m)
    assert report.confidence is not None
    # Down, by less than the step of 0.0001 %.
    assert confidence - 1e-6 < report.confidence <= confidence * (1 + 1e-15)


@given(shapes.points, st.none() | shapes.altitudes_m)
def test_points_have_no_confidence(point: Point, altitude_m: float | None) -> None:
    document = write(point, confidence=0.9, altitude_m=altitude_m)
    assert b"con:confidence>" not in document
    report = back(document)
    assert isinstance(report.shape, Point)
    assert same_place(report.shape.center, point.center)
    assert report.altitude_m == (None if altitude_m is None else pytest.approx(altitude_m, abs=SIZE / 2 + 1e-9))


@given(shapes.ellipses)
def test_ellipses(ellipse: Ellipse) -> None:
    shape = back(write(ellipse, confidence=0.9)).shape
    assert isinstance(shape, Ellipse)
    assert same_place(shape.center, ellipse.center)
    assert rounded_up(shape.semi_major_m, ellipse.semi_major_m)
    assert rounded_up(shape.semi_minor_m, ellipse.semi_minor_m)
    assert turned(shape.orientation_deg, ellipse.orientation_deg) <= ANGLE


@given(shapes.arc_bands)
@example(ArcBand(HERE, 100.0, 200.0, 350.0, 20.0))
@example(ArcBand(HERE, 0.0, 0.1, 359.9999999, 360.0))
@example(ArcBand(HERE, 0.005, 0.006, 1e-9, 1e-9))
def test_arc_bands_grow_at_every_side(band: ArcBand) -> None:
    shape = back(write(band, confidence=0.9)).shape
    assert isinstance(shape, ArcBand)
    assert same_place(shape.center, band.center)
    assert band.inner_radius_m - SIZE * (1 + 1e-6) < shape.inner_radius_m <= band.inner_radius_m * (1 + 1e-15)
    assert rounded_up(shape.outer_radius_m, band.outer_radius_m)
    # The angle begins before and ends after the given one, each by no more than a step or two.
    before = math.remainder(band.start_angle_deg - shape.start_angle_deg, 360.0)
    assert -1e-12 <= before <= ANGLE * (1 + 1e-6)
    grown = shape.opening_angle_deg - band.opening_angle_deg
    assert (before - 1e-9 <= grown <= 2 * ANGLE * (1 + 1e-3)) or shape.opening_angle_deg == 360.0


@given(shapes.polygons)
def test_polygons(polygon: Polygon) -> None:
    document = write(polygon, confidence=0.9)
    shape = back(document).shape
    assert isinstance(shape, Polygon)
    # No corner is lost, none is moved, and the first stays the first.
    assert len(shape.vertices) == len(polygon.vertices)
    assert all(map(same_place, shape.vertices, polygon.vertices))
    # The same ring the other way round is written counter-clockwise, too: back() would have seen a warning.
    mirrored = back(write(Polygon(polygon.vertices[::-1]), confidence=0.9)).shape
    assert isinstance(mirrored, Polygon)
    assert set(mirrored.vertices) == set(shape.vertices)


@given(shapes.polygons)
def test_polygons_are_closed(polygon: Polygon) -> None:
    ring = next(e.text for e in parse(write(polygon, confidence=0.9)).root.iter() if local_name(e) == "posList")
    assert ring is not None
    numbers = ring.split()
    assert len(numbers) == 2 * (len(polygon.vertices) + 1)
    assert numbers[:2] == numbers[-2:]


@given(shapes.spheres)
def test_spheres(sphere: Sphere) -> None:
    shape = back(write(sphere, confidence=0.9)).shape
    assert isinstance(shape, Sphere)
    assert same_place(shape.center, sphere.center)
    assert shape.altitude_m == pytest.approx(sphere.altitude_m, abs=SIZE / 2 + 1e-9)
    assert rounded_up(shape.radius_m, sphere.radius_m)


@given(shapes.ellipsoids)
def test_ellipsoids(ellipsoid: Ellipsoid) -> None:
    shape = back(write(ellipsoid, confidence=0.9)).shape
    assert isinstance(shape, Ellipsoid)
    assert same_place(shape.center, ellipsoid.center)
    assert shape.altitude_m == pytest.approx(ellipsoid.altitude_m, abs=SIZE / 2 + 1e-9)
    for name in ("semi_major_m", "semi_minor_m", "vertical_m"):
        assert rounded_up(getattr(shape, name), getattr(ellipsoid, name))
    assert turned(shape.orientation_deg, ellipsoid.orientation_deg) <= ANGLE


@given(shapes.prisms)
def test_prisms_grow_down_and_up(prism: Prism) -> None:
    shape = back(write(prism, confidence=0.9)).shape
    assert isinstance(shape, Prism)
    assert all(map(same_place, shape.base.vertices, prism.base.vertices))
    assert prism.base_altitude_m - SIZE * (1 + 1e-6) < shape.base_altitude_m <= prism.base_altitude_m + 1e-12
    top, read_top = prism.base_altitude_m + prism.height_m, shape.base_altitude_m + shape.height_m
    assert top - 1e-9 <= read_top < top + SIZE + 1e-9


@given(strategies.shapes, st.floats(0.01, 0.999))
def test_any_shape_is_written_so_that_it_can_be_read(shape: Shape, confidence: float) -> None:
    reading = read(write(shape, confidence=confidence))
    places = [shape.center] if not isinstance(shape, Polygon | Prism) else []
    # Polygons of two corners, and 0,0: nothing that a reader should believe. Every other shape is evidence.
    if places and max(abs(places[0].latitude_deg), abs(places[0].longitude_deg)) > 1e-5:
        (evidence,) = reading.evidence
        assert isinstance(evidence.content, DeviceReport)
        stated = evidence.content.confidence
        assert (stated is None) == isinstance(evidence.content.shape, Point)
        assert stated is None or confidence - 1e-6 < stated <= confidence * (1 + 1e-15)


@pytest.mark.parametrize(
    ("shape", "written"),
    [
        (Circle(HERE, 0.0), Point(HERE)),
        (Ellipse(HERE, 0.0, 0.0, 10.0), Point(HERE)),
        (Ellipse(HERE, 50.0, 0.0, 10.0), Circle(HERE, 50.0)),
        (ArcBand(HERE, 0.0, 0.0, 10.0, 20.0), Point(HERE)),
        (Sphere(HERE, 5.0, 0.0), Point(HERE)),
        (Ellipsoid(HERE, 5.0, 50.0, 40.0, 0.0, 10.0), Ellipse(HERE, 50.0, 40.0, 10.0)),
        (Ellipsoid(HERE, 5.0, 50.0, 0.0, 9.0, 10.0), Circle(HERE, 50.0)),
        (Ellipsoid(HERE, 5.0, 0.0, 0.0, 0.0, 10.0), Point(HERE)),
    ],
)
def test_unknown_sizes_are_never_written_as_exact(shape: Shape, written: Shape) -> None:
    assert back(write(shape, confidence=0.9)).shape == written


def test_a_flat_prism_is_a_polygon() -> None:
    base = Polygon((LatLng(53.0, -6.0), LatLng(53.0, -5.9), LatLng(53.1, -5.9)))
    assert back(write(Prism(base, 5.0, 0.0), confidence=0.9)).shape == base


@pytest.mark.parametrize(
    ("confidence", "text"),
    [(0.95, b">95<"), (0.57, b">57<"), (0.29, b">29<"), (0.3934693402873666, b">39.3469<"), (1 - 1e-9, b">99.9999<"), (0.01, b">1<")],
)  # fmt: skip
def test_confidence_is_rounded_down(confidence: float, text: bytes) -> None:
    assert text in write(Circle(HERE, 30.0), confidence=confidence)


@pytest.mark.parametrize(
    ("radius_m", "text"), [(30.0, b">30.00<"), (850.24, b">850.24<"), (29.9901, b">30.00<"), (5e-324, b">0.01<")]
)
def test_radius_is_rounded_up(radius_m: float, text: bytes) -> None:
    assert text in write(Circle(HERE, radius_m), confidence=0.9)


def test_everything_beside_the_shape() -> None:
    address = CivicAddress(
        "IE", city="Testham", street="Mill & <Lane>", house_number="3", floor="2", name='"Café" \x07'
    )
    document = write(
        Circle(HERE, 30.0),
        confidence=0.9,
        method="802.11",
        timestamp=1_795_299_300.25,
        entity="tel:+441632960123",
        civic=address,
    )
    reading = read(document)
    report = DeviceReport(Circle(HERE, 30.0), 0.9, PositioningMethod.WIFI, floor="2")
    # A character that XML has no way to write is left out.
    record = LineRecord(
        address=CivicAddress("IE", city="Testham", street="Mill & <Lane>", house_number="3", floor="2", name='"Café"')
    )
    assert [e.content for e in reading.evidence] == [report, LineLookup(record=record)]
    assert {e.observed_at for e in reading.evidence} == {1_795_299_300.25}
    assert (reading.calling_number, reading.warnings) == ("+441632960123", ())


def test_an_address_alone() -> None:
    address = CivicAddress(
        "IE", "D", "E", "F", "G", "N", "H", "St", "S", "1", "a", "I", "J", "K", "L", "M", "5", "2", "9", "shop"
    )
    (evidence,) = read(write(None, confidence=0.9, civic=address)).evidence
    assert evidence.content == LineLookup(record=LineRecord(address=address))


def test_elements_stand_in_the_order_of_the_schemas() -> None:
    address = CivicAddress("IE", city="Testham", street="Mill Lane", house_number="3", postcode="T1", floor="2")
    root = parse(write(Circle(HERE, 30.0), confidence=0.9, method="GPS", timestamp=0.0, civic=address)).root
    assert [local_name(e) for e in root.iter()] == [
        "presence", "tuple", "status", "geopriv", "location-info", "Circle", "pos", "radius", "confidence",
        "civicAddress", "country", "A3", "RD", "HNO", "FLR", "PC", "usage-rules", "method", "timestamp",
    ]  # fmt: skip
    # Both attributes are mandatory (RFC 3863).
    assert root.get("entity") == "pres:anonymous@anonymous.invalid"
    assert root[0].get("id")


@pytest.mark.parametrize("method", PositioningMethod)
def test_method_tokens_mean_their_methods(method: PositioningMethod) -> None:
    token = method_token(method)
    assert METHODS.get(token.lower(), method) == method
    assert bool(token) == (
        method not in (PositioningMethod.UNSPECIFIED, PositioningMethod.FUSED, PositioningMethod.BEACON)
    )


SQUARE = (LatLng(53.0, -6.0), LatLng(53.0, -5.9))


@pytest.mark.parametrize(
    ("shape", "confidence", "field"),
    [
        pytest.param(None, 0.9, "shape", id="nothing"),
        pytest.param(Circle(HERE, 30.0), 0.0, "confidence", id="confidence 0"),
        pytest.param(Circle(HERE, 30.0), 1.0, "confidence", id="confidence 1"),
        pytest.param(Circle(HERE, 30.0), 90.0, "confidence", id="confidence in percent"),
        pytest.param(Circle(HERE, 30.0), math.nan, "confidence", id="confidence is no number"),
        pytest.param(Circle(HERE, 30.0), 0.0099, "confidence", id="confidence below 1 %"),
        pytest.param(Circle(HERE, -1.0), 0.9, "radius", id="radius below 0"),
        pytest.param(Circle(HERE, math.inf), 0.9, "radius", id="radius without end"),
        pytest.param(Circle(HERE, 1e300), 0.9, "radius", id="radius wider than the Earth"),
        pytest.param(Point(LatLng(91.0, 0.0)), 0.9, "latitude_deg", id="latitude"),
        pytest.param(Point(LatLng(9.0, math.nan)), 0.9, "longitude_deg", id="longitude"),
        pytest.param(Sphere(HERE, math.nan, 5.0), 0.9, "altitude_m", id="altitude"),
        pytest.param(Ellipse(HERE, 5.0, 3.0, -math.inf), 0.9, "orientation_deg", id="orientation"),
        pytest.param(Polygon(SQUARE), 0.9, "vertices", id="two corners"),
    ],
)
def test_what_cannot_be_written(shape: Shape | None, confidence: float, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        write(shape, confidence=confidence)
    assert [v.field for v in caught.value.violations] == [field]


@pytest.mark.parametrize("timestamp", [math.nan, math.inf, -1.0, 1e15])
def test_times_that_cannot_be_written(timestamp: float) -> None:
    with pytest.raises(InvalidInput, match="timestamp"):
        write(Circle(HERE, 30.0), confidence=0.9, timestamp=timestamp)
