"""Shapes of GAD as octets, text and JSON: the vectors, and what stands for "unknown"."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.errors import InvalidInput
from locsvc.formats import gad
from locsvc.formats.call_checks import evidence_violations
from locsvc.formats.gad import coding, json_form
from locsvc.formats.reading import Reading, Unreadable

# Read when the tests are collected, so that each vector is a test of its own.
_FILE = Path(__file__).resolve().parents[4] / "shared" / "standards" / "vectors" / "gad.json"
VECTORS: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else []

# Rows that expect a radius of 0: a code of 0 means "unknown", so a place without a radius comes back, with a warning.
ON_PURPOSE = {
    "jss7-gi-1": "uncertainty code 0 is unknown, not 0 m",
    "jss7-gi-3": "uncertainty code 0 is unknown, not 0 m",
    "jss7-gi-4": "uncertainty code 0 is unknown, not 0 m",
    "jss7-geodetic-info": "uncertainty code 0 is unknown, not 0 m",
}
# Rows with the longer half axis second: the same ellipse comes back with it first, turned by 90 degrees, for the contract
# refuses the other spelling and the position would be lost. The details keep what was coded.
EXCHANGED = {"jss7-ellipse", "jss7-ellipsoid"}


PLMN = {"mcc": "001", "mnc": "01"}


def of_kind(*kinds: str) -> list[Any]:
    return [pytest.param(v, id=v["id"]) for v in VECTORS if v["kind"] in kinds] or [pytest.param({}, id="absent")]


def needs(vector: dict[str, Any], shared: Path) -> None:
    if not vector:
        pytest.skip(f"{shared / 'standards/vectors/gad.json'} is absent")


def report_of(reading: Reading) -> model.DeviceReport:
    (evidence,) = reading.evidence
    assert isinstance(evidence.content, model.DeviceReport)
    return evidence.content


def warned(reading: Reading) -> str:
    return "\n".join(str(w) for w in reading.warnings)


def place_of(shape: model.Shape | None) -> model.LatLng:
    assert shape is not None
    assert not isinstance(shape, model.Polygon | model.Prism)
    return shape.center


# --- Vectors ---


@pytest.mark.parametrize("vector", of_kind("gad_decode", "geodetic_information_decode"))
@pytest.mark.parametrize("as_text", [bytes.fromhex, str, lambda t: base64.b64encode(bytes.fromhex(t))])
def test_vector(vector: dict[str, Any], as_text: Callable[[str], bytes | str], shared: Path) -> None:
    needs(vector, shared)
    expected, tolerance = vector["expected"], vector["tolerance"]
    reading = gad.read(as_text(vector["input_hex"]))
    report = report_of(reading)
    assert reading.details["shape"] == expected["shape"]
    center = place_of(report.shape)
    assert center.latitude_deg == pytest.approx(expected["lat"], abs=tolerance["deg"])
    assert center.longitude_deg == pytest.approx(expected["lon"], abs=tolerance["deg"])
    assert report.confidence == (expected["confidence_pct"] / 100 if "confidence_pct" in expected else None)
    if vector["id"] in ON_PURPOSE:
        assert expected["uncertainty_m"] == 0
        assert isinstance(report.shape, model.Point)
        assert "unknown" in warned(reading)
        return
    names = {
        "uncertainty_m": "radius_m",
        "semi_major_m": "semi_major_m",
        "semi_minor_m": "semi_minor_m",
        "orientation_deg": "orientation_deg",
        "uncertainty_altitude_m": "vertical_m",
        "altitude_m": "altitude_m",
        "inner_radius_m": "inner_radius_m",
        "offset_angle_deg": "start_angle_deg",
        "included_angle_deg": "opening_angle_deg",
    }
    if vector["id"] in EXCHANGED:
        assert reading.details["orientation"] == str(expected["orientation_deg"])
        assert "exchanged" in warned(reading)
        names |= {"semi_major_m": "semi_minor_m", "semi_minor_m": "semi_major_m"}
        expected = {**expected, "orientation_deg": expected["orientation_deg"] + 90}
    for theirs, ours in names.items():
        if theirs in expected:
            assert getattr(report.shape, ours) == pytest.approx(expected[theirs], abs=tolerance["m"]), theirs
    if "uncertainty_radius_m" in expected:
        assert isinstance(report.shape, model.ArcBand)
        width = report.shape.outer_radius_m - report.shape.inner_radius_m
        assert width == pytest.approx(expected["uncertainty_radius_m"], abs=tolerance["m"])
    for theirs, ours in {"K": "uncertainty code", "K_major": "semi-major code", "K_minor": "semi-minor code"}.items():
        if theirs in expected:
            assert reading.details[ours] == str(expected[theirs])
    if "jss7_orientation_deg" in expected:
        doubled = report_of(gad.read(bytes.fromhex(vector["input_hex"]), peer=gad.JSS7)).shape
        assert isinstance(doubled, model.Ellipse | model.Ellipsoid)
        assert doubled.orientation_deg == expected["jss7_orientation_deg"] + 90


@pytest.mark.parametrize("vector", of_kind("velocity_decode"))
def test_velocity_vector(vector: dict[str, Any], shared: Path) -> None:
    needs(vector, shared)
    expected = vector["expected"]
    octets = bytes.fromhex(vector["input_hex"])
    velocity = gad.read_velocity(octets)
    sign = -1 if expected.get("v_dir") == "down" else 1
    vertical = expected.get("v_speed_kmh")
    assert velocity == gad.Velocity(
        expected["bearing"],
        expected["h_speed_kmh"],
        None if vertical is None else sign * vertical,
        expected.get("h_unc_kmh"),
        expected.get("v_unc_kmh"),
    )
    assert gad.write_velocity(velocity) == octets


@pytest.mark.parametrize("vector", of_kind("uncertainty_K"))
def test_uncertainty_code_vector(vector: dict[str, Any], shared: Path) -> None:
    needs(vector, shared)
    found = coding.UNCERTAINTY_M[vector["input"]]
    assert found == pytest.approx(vector["expected_m"], abs=vector["tolerance_m"] or 1e-12)


@pytest.mark.parametrize("vector", of_kind("uncertainty_table_mm"))
def test_uncertainty_table_vector(vector: dict[str, Any], shared: Path) -> None:
    needs(vector, shared)
    table = {10: coding.UNCERTAINTY_M, 0.3: coding.HIGH_UNCERTAINTY_M}[vector["C"]]
    assert [1000 * metres for metres in table] == pytest.approx(vector["expected_mm"], abs=vector["tolerance_mm"])


def test_every_vector_is_checked(shared: Path) -> None:
    needs(VECTORS[0] if VECTORS else {}, shared)
    kinds = {v["kind"] for v in VECTORS}
    assert kinds <= {
        "gad_decode",
        "geodetic_information_decode",
        "velocity_decode",
        "uncertainty_K",
        "uncertainty_table_mm",
    }
    assert set(ON_PURPOSE) <= {v["id"] for v in VECTORS}


# --- Octets of our own: 55.0 N 2.5 E is at sea ---

PLACE = bytes.fromhex("4e38e3" + "01c71c")
HIGH_PLACE = struct.pack(">ii", 2**31 * 55 // 90, round(2**31 * 2.5 / 180))


def test_constants_of_the_tables() -> None:
    assert coding.ALTITUDE_UNCERTAINTY_M[127] == pytest.approx(990.5, abs=0.05)
    assert coding.HIGH_UNCERTAINTY_M[255] == pytest.approx(46.49, abs=0.005)
    assert coding.EXTENDED_UNCERTAINTY_M[253] == pytest.approx(195.0, abs=0.5)


def test_high_accuracy_ellipse() -> None:
    report = report_of(gad.read(b"\xb0" + HIGH_PLACE + bytes([50, 20, 90, 68])))
    assert report == model.DeviceReport(
        model.Ellipse(place_of(report.shape), coding.HIGH_UNCERTAINTY_M[50], coding.HIGH_UNCERTAINTY_M[20], 90.0), 0.68
    )
    assert place_of(report.shape).latitude_deg == pytest.approx(55.0, abs=5e-8)
    assert place_of(report.shape).longitude_deg == pytest.approx(2.5, abs=1e-7)


def test_scalable_shapes_choose_their_range_by_bit_8_of_the_confidence() -> None:
    default = gad.read(b"\xd0" + HIGH_PLACE + bytes([200, 100, 0, 67]))
    extended = gad.read(b"\xd0" + HIGH_PLACE + bytes([200, 100, 0, 0x80 | 67]))
    for reading, table in ((default, coding.HIGH_UNCERTAINTY_M), (extended, coding.EXTENDED_UNCERTAINTY_M)):
        report = report_of(reading)
        assert isinstance(report.shape, model.Ellipse)
        assert (report.shape.semi_major_m, report.shape.semi_minor_m) == (table[200], table[100])
        assert report.confidence == 0.67
    assert extended.details["uncertainty range"] == "extended"


def test_high_accuracy_ellipsoid() -> None:
    altitude = (-200 * 128 - 64) & 0x3FFFFF
    octets = b"\xe0" + HIGH_PLACE + altitude.to_bytes(3, "big") + bytes([9, 8, 170, 0x80 | 90, 100, 90])
    report = report_of(gad.read(octets))
    assert isinstance(report.shape, model.Ellipsoid)
    assert report.shape.altitude_m == report.altitude_m == -200.5
    assert report.shape.semi_major_m == coding.EXTENDED_UNCERTAINTY_M[9]
    assert report.shape.vertical_m == coding.HIGH_UNCERTAINTY_M[100]
    assert (report.confidence, report.shape.orientation_deg) == (0.9, 170.0)


def test_vertical_confidence_of_its_own_is_taken_to_the_horizontal_one() -> None:
    octets = b"\xc0" + HIGH_PLACE + bytes(3) + bytes([9, 8, 0, 95, 100, 68])
    reading = gad.read(octets)
    half_m = report_of(reading).vertical_uncertainty_m
    # 1.95996 / 0.99446 sigmas.
    assert half_m == pytest.approx(coding.HIGH_UNCERTAINTY_M[100] * 1.970885, rel=1e-5)
    assert reading.details["vertical confidence"] == "68"
    assert "vertical confidence" in warned(reading)


@pytest.mark.parametrize("code", [254, 255])
def test_reserved_extended_codes_are_unknown(code: int) -> None:
    reading = gad.read(b"\xd0" + HIGH_PLACE + bytes([code, code, 0, 0x80 | 67]))
    assert isinstance(report_of(reading).shape, model.Point)


def test_depth_and_the_greatest_height() -> None:
    assert report_of(gad.read(b"\x80" + PLACE + b"\x80\x11")).altitude_m == -17
    for octets in (b"\x80" + PLACE + b"\x7f\xff", b"\x90" + PLACE + bytes([0x7F, 0xFF, 20, 10, 1, 14, 68])):
        reading = gad.read(octets)
        # No caller is there: the altitude is left out, the place is not.
        assert report_of(reading).altitude_m is None
        assert not isinstance(report_of(reading).shape, model.Ellipsoid)
        assert reading.details["altitude"] == "32767"
        assert "left out" in warned(reading)


def test_polygon_loses_the_corner_that_closes_it() -> None:
    corners = [PLACE, bytes.fromhex("4e39e3" + "01c71c"), bytes.fromhex("4e38e3" + "01d71c")]
    reading = gad.read(b"\x54" + b"".join([*corners, corners[0]]))
    shape = report_of(reading).shape
    assert isinstance(shape, model.Polygon)
    assert len(shape.vertices) == 3
    assert report_of(gad.read(b"\x53" + b"".join(corners))).shape == shape


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"\x10" + PLACE + b"\x00", "unknown"),
        (b"\x00" + PLACE, "no uncertainty"),
        (b"\x30" + PLACE + bytes([0, 0, 0, 68]), "unknown"),
        (b"\x53" + PLACE * 3, "alike"),
        (b"\x54" + PLACE + bytes.fromhex("4e39e301c71c4e38e301d71c"), "missing"),
        (b"\x10" + PLACE, "without a size"),
        (b"\xa0" + PLACE + bytes([0, 0, 0, 0, 10, 68]), "unknown"),
    ],
    ids=["circle", "point", "ellipse", "corners-alike", "corners-missing", "cut", "arc"],
)
def test_nothing_becomes_exact(octets: bytes, words: str) -> None:
    reading = gad.read(octets)
    assert isinstance(report_of(reading).shape, model.Point)
    assert words in warned(reading)


def test_half_axis_that_is_unknown_takes_the_other_one() -> None:
    shape = report_of(gad.read(b"\x30" + PLACE + bytes([25, 0, 3, 68]))).shape
    assert shape == model.Circle(place_of(shape), coding.UNCERTAINTY_M[25])


def test_arc_of_unknown_width_reaches_from_the_mast() -> None:
    shape = report_of(gad.read(b"\xa0" + PLACE + bytes([0, 200, 0, 30, 30, 68]))).shape
    assert shape == model.ArcBand(place_of(shape), 0.0, 1005.0, 60.0, 60.0)


def test_arc_with_an_angle_out_of_range_is_a_ring() -> None:
    reading = gad.read(b"\xa0" + PLACE + bytes([0, 200, 9, 200, 30, 68]))
    shape = report_of(reading).shape
    assert isinstance(shape, model.ArcBand)
    assert shape.opening_angle_deg == 360.0
    assert "angles" in warned(reading)


@pytest.mark.parametrize(
    ("octet", "confidence"), [(0, None), (1, 0.01), (68, 0.68), (99, 0.99), (100, 0.99), (101, None), (127, None)]
)
def test_confidence_octet(octet: int, confidence: float | None) -> None:
    reading = gad.read(b"\x30" + PLACE + bytes([25, 20, 3, octet]))
    assert report_of(reading).confidence == confidence
    assert reading.details["confidence"] == str(octet)
    assert bool(reading.warnings) == (not 0 < octet < 100)


@pytest.mark.parametrize(
    ("octet", "unit", "degrees"), [(89, 1, 89), (179, 1, 179), (180, 1, 0), (255, 1, 75), (89, 2, 178), (90, 2, 90)]
)
def test_orientation(octet: int, unit: int, degrees: int) -> None:
    octets = b"\x30" + PLACE + bytes([25, 20, octet, 68])
    shape = report_of(gad.read(octets, peer=gad.Peer(orientation_unit_deg=unit))).shape
    assert isinstance(shape, model.Ellipse)
    assert shape.orientation_deg == degrees


def test_peer_of_one_kind() -> None:
    arc = report_of(gad.read(b"\xa0" + PLACE + bytes([3, 232, 9, 1, 2, 68]), peer=gad.JSS7)).shape
    assert isinstance(arc, model.ArcBand)
    assert arc.inner_radius_m == 1000.0
    ellipsoid = gad.read(b"\x90" + PLACE + bytes([0, 5, 20, 10, 1, 14, 68]), peer=gad.JSS7)
    assert report_of(ellipsoid).vertical_uncertainty_m == pytest.approx(27.97, abs=0.01)
    circle = gad.read(b"\x10" + PLACE + b"\x14", peer=gad.Peer(circle_confidence=0.68))
    assert report_of(circle).confidence == 0.68


def test_null_place_is_no_location() -> None:
    for octets in (b"\x10" + bytes(6) + b"\x14", b"\xb0" + bytes(8) + b"\x09\x09\x00\x44", b"\x10\x80" + bytes(6)):
        reading = gad.read(octets)
        assert not reading.evidence
        assert reading.no_location
        assert reading.warnings


@pytest.mark.parametrize(
    "message",
    [b"", "", " ", b"\x10", b"\x20" + PLACE, b"\xf0" + PLACE, b"\x53", "xyz", "{", "[1]", "1", "{}", "é" * 9, "0x"],
)
def test_what_cannot_be_understood(message: bytes | str) -> None:
    with pytest.raises(Unreadable):
        gad.read(message)


def test_unknown_shape_tells_its_octets() -> None:
    with pytest.raises(Unreadable, match=r"GAD shape 7 is unknown \(octets 70010203040506\)"):
        gad.read(bytes.fromhex("70010203040506"))


@pytest.mark.parametrize(
    "text", ["104E38E301C71C14", "0x104e38e301c71c14", "10:4e:38:e3:01:c7:1c:14", " 10 4e38e3 01c71c 14\n"]
)
def test_spellings_of_hex(text: str) -> None:
    assert gad.read(text) == gad.read(text.encode()) == gad.read(bytes.fromhex("104e38e301c71c14"))


def test_extra_octets_are_told() -> None:
    assert "ignored" in warned(gad.read(b"\x10" + PLACE + b"\x14\x00"))


# --- ISUP ---


def test_calling_geodetic_location_numbers_its_shapes_otherwise() -> None:
    sector = report_of(gad.read(b"\x03\x84" + PLACE + bytes([40, 10, 30, 68]), layout="isup"))
    assert sector.shape == model.ArcBand(place_of(sector.shape), 0.0, coding.UNCERTAINTY_M[40], 20.0, 60.0)
    circle = report_of(gad.read(b"\x03\x81" + PLACE + bytes([20, 67]), layout="isup"))
    assert circle == model.DeviceReport(model.Circle(place_of(circle.shape), coding.UNCERTAINTY_M[20]), 0.67)
    ellipse = report_of(gad.read(b"\x03\x83" + PLACE + bytes([20, 10, 90, 67]), layout="isup"))
    assert isinstance(ellipse.shape, model.Ellipse)
    high = report_of(gad.read(b"\x03\x82" + PLACE + bytes([20, 0x80, 7, 10, 67]), layout="isup"))
    assert isinstance(high.shape, model.Ellipsoid)
    assert high.shape.altitude_m == -7
    corners = bytes.fromhex("4e38e301c71c4e39e301c71c4e38e301d71c")
    polygon = report_of(gad.read(b"\x03\x85\x03" + corners + b"\x5a", layout="isup"))
    assert isinstance(polygon.shape, model.Polygon)
    assert polygon.confidence == 0.9


def test_location_that_is_not_available() -> None:
    reading = gad.read(b"\x0b", layout="isup")
    assert "not available" in reading.no_location


def test_geodetic_information_is_told_from_a_shape() -> None:
    reading = gad.read("03" + "10" + PLACE.hex() + "14" + "43")
    assert report_of(reading).confidence == 0.67
    assert reading.details["screening and presentation"] == "3"


# --- JSON ---

POINT = {"lat": 55.0, "lon": 2.5}
ELLIPSE = {"semiMajor": 120.5, "semiMinor": 40.0, "orientationMajor": 30}


def read_json(**members: object) -> Reading:
    return gad.read(json.dumps(members))


def test_json_shapes() -> None:
    at = model.LatLng(55.0, 2.5)
    assert report_of(read_json(shape="POINT", point=POINT)).shape == model.Point(at)
    circle = read_json(shape="POINT_UNCERTAINTY_CIRCLE", point=POINT, uncertainty=12.5)
    assert report_of(circle) == model.DeviceReport(model.Circle(at, 12.5))
    ellipse = read_json(shape="POINT_UNCERTAINTY_ELLIPSE", point=POINT, uncertaintyEllipse=ELLIPSE, confidence=67)
    assert report_of(ellipse) == model.DeviceReport(model.Ellipse(at, 120.5, 40.0, 30.0), 0.67)
    solid = read_json(
        shape="POINT_ALTITUDE_UNCERTAINTY",
        point=POINT,
        altitude=-3.5,
        uncertaintyEllipse=ELLIPSE,
        uncertaintyAltitude=7,
        confidence=90,
    )
    assert report_of(solid) == model.DeviceReport(
        model.Ellipsoid(at, -3.5, 120.5, 40.0, 7.0, 30.0), 0.9, altitude_m=-3.5, vertical_uncertainty_m=7.0
    )
    arc = read_json(
        shape="ELLIPSOID_ARC",
        point=POINT,
        innerRadius=500,
        uncertaintyRadius=78.5,
        offsetAngle=330,
        includedAngle=120,
        confidence=0,
    )
    assert report_of(arc) == model.DeviceReport(model.ArcBand(at, 500.0, 578.5, 330.0, 120.0))
    corners = [{"lat": 55.0, "lon": 2.5}, {"lat": 55.0, "lon": 2.6}, {"lat": 55.1, "lon": 2.5}]
    polygon = report_of(read_json(shape="POLYGON", pointList=corners)).shape
    assert polygon == model.Polygon(tuple(model.LatLng(c["lat"], c["lon"]) for c in corners))


def test_json_of_a_location_server() -> None:
    text = json.dumps(
        {
            "locationEstimate": {"shape": "POINT_UNCERTAINTY_CIRCLE", "point": POINT, "uncertainty": 30},
            "ageOfLocationEstimate": 2,
            "velocityEstimate": {"hSpeed": 42.5, "bearing": 10},
        }
    )
    reading = gad.read(text, arrived_at=1_773_489_600.0)
    assert reading.evidence[0].observed_at == 1_773_489_480.0
    assert reading.details["velocityEstimate.hSpeed"] == "42.5"
    assert gad.read(text).evidence[0].observed_at is None


def test_json_of_the_core_carries_octets() -> None:
    nr = {
        "nrLocation": {
            "geographicalInformation": "104E38E301C71C14",
            "ueLocationTimestamp": "2026-03-14T12:00:00Z",
        }
    }
    reading = gad.read(json.dumps(nr))
    assert report_of(reading) == report_of(gad.read("104E38E301C71C14"))
    assert reading.evidence[0].observed_at == 1_773_489_600.0


@pytest.mark.parametrize(
    "members",
    [
        {"shape": "POINT_UNCERTAINTY_CIRCLE", "point": POINT, "uncertainty": 0},
        {"shape": "POINT_UNCERTAINTY_CIRCLE", "point": POINT, "uncertainty": "12 m"},
        {"shape": "POINT_UNCERTAINTY_CIRCLE", "point": POINT, "uncertainty": True},
        {"shape": "POINT_UNCERTAINTY_ELLIPSE", "point": POINT},
        {"shape": "ELLIPSOID_ARC", "point": POINT},
        {"shape": "POLYGON", "pointList": [POINT, POINT, 3]},
    ],
    ids=str,
)
def test_bad_json_member_costs_the_size_alone(members: dict[str, object]) -> None:
    reading = read_json(**members)
    assert isinstance(report_of(reading).shape, model.Point)
    assert reading.warnings


@pytest.mark.parametrize(
    "text",
    [
        '{"shape": "POINT", "point": {"lat": NaN, "lon": 1}}',
        '{"shape": "POINT", "point": {"lat": 1e999, "lon": 1}}',
        '{"shape": "POINT", "point": {"lat": 91, "lon": 1}}',
        '{"shape": "POINT", "point": {"lat": ' + "9" * 5000 + ', "lon": 1}}',
        '{"shape": "SQUARE", "point": {"lat": 1, "lon": 1}}',
        '{"shape": ["POINT"]}',
        '{"a":' * 20_000,
        '{"location":' * 9 + "{}" + "}" * 9,
        '{"nrLocation": {"geographicalInformation": 7}}',
    ],
    ids=lambda t: t[:40],
)
def test_json_that_cannot_be_understood(text: str) -> None:
    with pytest.raises(Unreadable):
        gad.read(text)


@pytest.mark.parametrize(
    ("members", "shape"),
    [
        ({"point": POINT, "uncertainty": "12.5"}, model.Circle),
        (
            {"point": {"lat": "55.0", "lon": "+2.5"}, "shape": "point_uncertainty_circle", "uncertainty": 3},
            model.Circle,
        ),
        ({"point": POINT, "uncertaintyEllipse": ELLIPSE, "confidence": 67}, model.Ellipse),
        ({"pointList": [POINT, {"lat": 55.0, "lon": 2.6}, {"lat": 55.1, "lon": 2.5}]}, model.Polygon),
        ({"point": POINT}, model.Point),
    ],
    ids=str,
)
def test_json_of_a_careless_sender(members: dict[str, object], shape: type) -> None:
    reading = read_json(**members)
    assert isinstance(report_of(reading).shape, shape)
    assert bool(reading.warnings) == ("shape" not in members)


def test_tag_and_length_of_a_protocol_analyser() -> None:
    reading = gad.read("8008104e38e301c71c14")
    assert report_of(reading) == report_of(gad.read("104e38e301c71c14"))
    assert "BER" in warned(reading)


def test_local_coordinates_are_no_place() -> None:
    reading = read_json(shape="LOCAL_2D_POINT_UNCERTAINTY_ELLIPSE", localOrigin={}, point={"x": 1, "y": 2})
    assert "local coordinates" in reading.no_location


# --- Anything ---


_numbers = st.one_of(st.floats(), st.integers(-400, 400), st.text(max_size=3), st.none())
_json = st.fixed_dictionaries(
    {
        "shape": st.sampled_from([*json_form._KINDS, ""]),
        "point": st.fixed_dictionaries({"lat": st.floats(-91, 91), "lon": st.floats(-181, 181)}),
    },
    optional={
        "uncertainty": _numbers,
        "uncertaintyEllipse": st.fixed_dictionaries(
            {"semiMajor": _numbers, "semiMinor": _numbers, "orientationMajor": _numbers}
        ),
        "confidence": _numbers,
        "altitude": _numbers,
        "uncertaintyAltitude": _numbers,
        "innerRadius": _numbers,
        "uncertaintyRadius": _numbers,
        "offsetAngle": _numbers,
        "includedAngle": _numbers,
        "pointList": st.lists(st.fixed_dictionaries({"lat": st.floats(-91, 91), "lon": _numbers}), max_size=17),
    },
).map(json.dumps)
_octets = st.builds(
    lambda code, rest: bytes([code << 4 | len(rest) // 6]) + rest,
    st.integers(0, 15),
    st.binary(min_size=6, max_size=92),
)


@given(st.one_of(_octets, _json, st.binary(max_size=40), st.text(max_size=60), st.from_regex(r"\A[0-9a-f]{16,30}\Z")))
def test_anything_is_read_or_refused(message: bytes | str) -> None:
    for layout in ("gad", "isup"):
        try:
            reading = gad.read(message, layout="isup" if layout == "isup" else "gad")
        except Unreadable:
            continue
        for evidence in reading.evidence:
            assert not evidence_violations(evidence)
            assert isinstance(evidence.content, model.DeviceReport)
            confidence = evidence.content.confidence
            assert confidence is None or 0 < confidence < 1
            shape = evidence.content.shape
            if shape is not None and not isinstance(shape, model.Polygon | model.Prism):
                assert abs(shape.center.latitude_deg) <= 90
                assert abs(shape.center.longitude_deg) <= 180
            assert not (isinstance(shape, model.Circle) and not shape.radius_m > 0)


@given(st.integers(0, 3), st.data())
def test_velocity_comes_back(kind: int, data: st.DataObject) -> None:
    octet = st.integers(0, 254)
    velocity = gad.Velocity(
        data.draw(st.integers(0, 359)),
        data.draw(st.integers(0, 65_535)),
        data.draw(st.integers(-255, 255)) if kind & 1 else None,
        data.draw(octet) if kind & 2 else None,
        data.draw(st.one_of(st.none(), octet)) if kind == 3 else None,
    )
    assert gad.read_velocity(gad.write_velocity(velocity)) == velocity


def test_velocity_that_cannot_be_read_or_written() -> None:
    for octets in (b"", b"\x00\x00\x00", b"\x40\x00\x00\x00", b"\x30\x00\x00\x00\x00\x00"):
        with pytest.raises(Unreadable):
            gad.read_velocity(octets)
    with pytest.raises(InvalidInput, match="bearing_deg"):
        gad.write_velocity(gad.Velocity(360, 0))


@given(st.floats(-90.0, 90.0), st.floats(-180.0, 180.0))
def test_position_is_coded_within_a_step(latitude_deg: float, longitude_deg: float) -> None:
    number = coding.latitude_number(latitude_deg)
    latitude = coding.latitude_of(number.to_bytes(3, "big"))
    longitude = coding.longitude_of((coding.longitude_number(longitude_deg) & 0xFFFFFF).to_bytes(3, "big"))
    assert abs(latitude - latitude_deg) <= coding.LATITUDE_STEP_DEG * 1.000001
    assert abs(longitude - longitude_deg) <= coding.LONGITUDE_STEP_DEG * 1.000001
    # What was read is written as it was.
    assert coding.latitude_number(latitude) == number or latitude == 0
    assert coding.longitude_number(longitude) == coding.longitude_number(longitude_deg)
    assert math.isfinite(latitude)
