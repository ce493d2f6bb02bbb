"""MLP answers, their shapes and their numbers."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats.call_checks import call_violations
from locsvc.formats.mlp import MAX_POSITIONS, read
from locsvc.formats.mlp_numbers import length_m
from locsvc.formats.mlp_shapes import MAX_CORNERS, MAX_PLACES, MAX_WARNINGS, StopAngle
from locsvc.formats.reading import Reading, Unreadable
from locsvc.geo import distance_m
from locsvc.model import (
    ArcBand,
    Call,
    CellMeasurement,
    CellScan,
    Circle,
    DeviceReport,
    Ellipse,
    Evidence,
    LatLng,
    Point,
    Polygon,
    PositioningMethod,
    Radio,
    Shape,
)

_FILE = Path(__file__).resolve().parents[3] / "shared" / "standards" / "vectors" / "mlp.json"
ROWS: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else []
PLACE = LatLng(30.27453, 45.25929)
COORD = "<coord><X>30 16 28.308N</X><Y>45 15 33.444E</Y></coord>"


def answer(shape: str, rest: str = "", attributes: str = "") -> str:
    return (
        f'<slia ver="3.5.0"><pos{attributes}><msid>15550100123</msid><pd><time utc_off="+0200">20260314140000</time>'
        f"<shape>{shape}</shape>{rest}</pd></pos></slia>"
    )


def report_of(evidence: Evidence) -> DeviceReport:
    assert isinstance(evidence.content, DeviceReport)
    return evidence.content


def shape_of(message: str, stop_angle: StopAngle = "wider") -> Shape | None:
    evidence = read(message, stop_angle=stop_angle).evidence
    return report_of(evidence[0]).shape if evidence else None


def reasons(reading: Reading) -> str:
    return "\n".join(map(str, reading.warnings))


def area(*corners: tuple[float, float]) -> str:
    coords = "".join(f"<coord><X>{x}</X><Y>{y}</Y></coord>" for x, y in corners)
    return f"<outerBoundaryIs><LinearRing>{coords}</LinearRing></outerBoundaryIs>"


def check_position(want: dict[str, Any], evidence: Evidence) -> None:
    report = report_of(evidence)
    assert report.shape is not None
    assert not isinstance(report.shape, Polygon)
    center = getattr(report.shape, "center")  # noqa: B009 - the union has shapes without a centre
    assert (center.latitude_deg, center.longitude_deg) == pytest.approx((want["lat"], want["lon"]), abs=1e-9)
    if "radius_m" in want:
        assert isinstance(report.shape, Circle)
        assert report.shape.radius_m == want["radius_m"]
    if "semi_major_m" in want:
        axes = want["semi_major_m"], want["semi_minor_m"], want["angle"]
        assert isinstance(report.shape, Ellipse)
        assert axes == (report.shape.semi_major_m, report.shape.semi_minor_m, report.shape.orientation_deg)
    if "outer_m" in want:
        radii = want["inner_m"], want["outer_m"], want["start_deg"], want["opening_if_end_angle"]
        assert report.shape == ArcBand(center, *radii)
    if "time_utc" in want:
        assert evidence.observed_at == dt.datetime.fromisoformat(want["time_utc"]).timestamp()
    assert report.confidence == (want["confidence"] / 100 if want.get("confidence") else None)
    assert report.altitude_m == want.get("alt_m")


@pytest.mark.parametrize("row", [r for r in ROWS if r["kind"] == "mlp_xml"], ids=lambda r: str(r["id"]))
def test_vector_of_an_answer(row: dict[str, Any]) -> None:
    reading = read(row["input"])
    placed = [want for want in row["expected"] if "lat" in want]
    assert len(reading.evidence) == len(placed)
    for want, evidence in zip(placed, reading.evidence, strict=True):
        check_position(want, evidence)
    for place, want in enumerate(row["expected"]):
        suffix = f"[{place + 1}]" if place else ""
        if "msid" in want:
            assert reading.details[f"msid{suffix}"] == want["msid"]
        if "esrk" in want:
            assert reading.details["esrk"] == want["esrk"]
            assert reading.details["msid.type"] == want["msid_type"]
        if "error" in want:
            assert f"{want['error']['text']} (result {want['error']['resid']})" in reasons(reading)
        if "warning" in want:
            assert "CircularArea" in reasons(reading)
    first = row["expected"][0].get("msid", "525555550101")
    assert reading.calling_number in ("+" + first, "+525555550102", "")


def test_lengths_have_their_unit() -> None:
    assert length_m("3", "Feet") == pytest.approx(0.9144)
    assert length_m("-1", "meter") is None
    assert length_m("1e99", "meter") is not None
    circle = f"<CircularArea>{COORD}<radius>1000</radius><distanceUnit>foot</distanceUnit></CircularArea>"
    assert shape_of(answer(circle)) == Circle(PLACE, 304.8)


@pytest.mark.parametrize(
    ("shape", "want", "warning"),
    [
        (f"<Point>{COORD}</Point>", Point(PLACE), ""),
        (f"<CircularArea>{COORD}<radius>0</radius></CircularArea>", Point(PLACE), "radius '0': no radius"),
        (f"<CircularArea>{COORD}</CircularArea>", Point(PLACE), "no radius"),
        (f"<CircularArea>{COORD}<radius>1e99</radius></CircularArea>", Point(PLACE), "no length on Earth"),
        (
            f"<CircularArea>{COORD}<radius>5</radius><distanceUnit>parsec</distanceUnit></CircularArea>",
            Point(PLACE),
            "distanceUnit 'parsec'",
        ),
        (
            f"<EllipticalArea>{COORD}<angle>210</angle><semiMajor>50</semiMajor><semiMinor>20</semiMinor></EllipticalArea>",
            Ellipse(PLACE, 50, 20, 30),
            "",
        ),
        (
            (
                f"<EllipticalArea>{COORD}<angle>0.5235987755982988</angle><semiMajor>20</semiMajor><semiMinor>50</semiMinor>"
                "<angularUnit>Radians</angularUnit></EllipticalArea>"
            ),
            Ellipse(PLACE, 50, 20, pytest.approx(120)),  # type: ignore[arg-type]
            "longer than semiMajor",
        ),
        (
            f"<EllipticalArea>{COORD}<semiMajor>50</semiMajor><semiMinor>20</semiMinor></EllipticalArea>",
            Circle(PLACE, 50),
            "read as a circle of 50 m",
        ),
        (f"<EllipticalArea>{COORD}<angle>3</angle></EllipticalArea>", Point(PLACE), "no half axes"),
        (
            f"<CircularArcArea>{COORD}<inRadius>10</inRadius><outRadius>20</outRadius></CircularArcArea>",
            ArcBand(PLACE, 10, 20, 0, 360),
            "whole ring",
        ),
        (
            (
                f"<CircularArcArea>{COORD}<inRadius>20</inRadius><outRadius>10</outRadius><startAngle>-10</startAngle>"
                "<stopAngle>350</stopAngle></CircularArcArea>"
            ),
            ArcBand(PLACE, 10, 20, 350, 360),
            "exchanged",
        ),
        (f"<CircularArcArea>{COORD}<outRadius>0</outRadius></CircularArcArea>", Point(PLACE), "no outer radius"),
        (
            "<Point><coord><X>45 15 33.444E</X><Y>30 16 28.308N</Y></coord></Point>",
            Point(PLACE),
            "the other way round",
        ),
        ("<Point><coord><X>139.7</X><Y>35.6</Y></coord></Point>", Point(LatLng(35.6, 139.7)), "the other way round"),
        (
            "<Polygon>" + area((1, 1), (1, 2), (2, 2), (1, 1)) + "</Polygon>",
            Polygon((LatLng(1, 1), LatLng(1, 2), LatLng(2, 2))),
            "",
        ),
        (
            "<Polygon>" + area((1, 1), (1, 2), (2, 2), (1, 1)) + "<innerBoundaryIs/></Polygon>",
            Polygon((LatLng(1, 1), LatLng(1, 2), LatLng(2, 2))),
            "holes are not kept",
        ),
        (
            "<Polygon>" + area((1, 1), (1, 2), (2, 2), (2, 1), (99, 999)) + "</Polygon>",
            Polygon((LatLng(1, 1), LatLng(1, 2), LatLng(2, 2), LatLng(2, 1))),
            "that holds all",
        ),
        (
            "<Box><coord><X>1</X><Y>179</Y></coord><coord><X>2</X><Y>-179</Y></coord></Box>",
            Polygon((LatLng(1, 179), LatLng(1, -179), LatLng(2, -179), LatLng(2, 179))),
            "",
        ),
        (
            "<Box><coord><X>2</X><Y>4</Y></coord><coord><X>1</X><Y>3</Y></coord></Box>",
            Polygon((LatLng(1, 3), LatLng(1, 4), LatLng(2, 4), LatLng(2, 3))),
            "",
        ),
        (
            "<MultiPoint>"
            + "".join(
                f"<Point><coord><X>{x}</X><Y>{y}</Y></coord></Point>" for x, y in [(1, 1), (1, 3), (3, 1), (1.5, 1.5)]
            )
            + "</MultiPoint>",
            Polygon((LatLng(1, 1), LatLng(1, 3), LatLng(3, 1))),
            "holds all its places",
        ),
        (
            f"<GeometryCollection><Box/><CircularArea>{COORD}<radius>9</radius></CircularArea></GeometryCollection>",
            Circle(PLACE, 9),
            "only the first counts",
        ),
        (f"<MultiPolygon><Point>{COORD}</Point></MultiPolygon>", Point(PLACE), ""),
    ],
)
def test_shapes(shape: str, want: Shape, warning: str) -> None:
    reading = read(answer(shape))
    assert report_of(reading.evidence[0]).shape == want
    assert warning in reasons(reading)
    assert bool(reading.warnings) == bool(warning)


@pytest.mark.parametrize(
    "shape",
    [
        "<Point><coord><X>0</X><Y>0</Y></coord></Point>",
        "<Point><coord><X>0 0 0.000N</X><Y>0 0 0.000E</Y></coord></Point>",
        "<Point><coord><X>95</X><Y>99</Y></coord></Point>",
        "<Point><coord><X>12N</X><Y>13N</Y></coord></Point>",
        "<Point><coord><X>12N</X></coord></Point>",
        "<Point/>",
        "<Polygon/>",
        "<Polygon>" + area((0, 0)) + "</Polygon>",
        "<MultiPoint/>",
        "<Heptagon/>",
        "",
    ],
)
def test_a_shape_without_a_place_is_no_evidence(shape: str) -> None:
    reading = read(answer(shape))
    assert reading.evidence == ()
    assert reading.no_location
    assert reading.warnings


def test_lines_and_pairs_are_held_by_a_circle() -> None:
    shape = shape_of(
        answer("<LineString><coord><X>10</X><Y>20</Y></coord><coord><X>10</X><Y>20.2</Y></coord></LineString>")
    )
    assert isinstance(shape, Circle)
    assert (shape.center.latitude_deg, shape.center.longitude_deg) == pytest.approx((10, 20.1))
    assert shape.radius_m == pytest.approx(float(distance_m(10, 20.1, 10, 20.2)), rel=2e-3)


def test_polygons_of_too_many_corners_stay_within_the_contract() -> None:
    ring = [(50 + i / 1000, 10 + (i * i) / 1e6) for i in range(MAX_CORNERS + 200)]
    shape = shape_of(answer("<Polygon>" + area(*ring) + "</Polygon>"))
    assert isinstance(shape, Circle)


def test_directions_a_hair_before_north_stay_within_the_circle() -> None:
    hair = "-0." + "0" * 25 + "1"
    arc = (
        f"<CircularArcArea>{COORD}<outRadius>71</outRadius><startAngle>{hair}</startAngle>"
        f"<stopAngle>9</stopAngle></CircularArcArea>"
    )
    ellipse = (
        f"<EllipticalArea>{COORD}<angle>{hair}</angle><semiMajor>5</semiMajor><semiMinor>2</semiMinor></EllipticalArea>"
    )
    assert shape_of(answer(arc)) == ArcBand(PLACE, 0, 71, 0, 9)
    assert shape_of(answer(ellipse)) == Ellipse(PLACE, 5, 2, 0)


def test_a_shape_of_thousands_of_places_is_not_read_in_part() -> None:
    reading = read(answer("<Polygon>" + area(*((50 + i / 1e4, 10.0) for i in range(MAX_PLACES + 1))) + "</Polygon>"))
    assert reading.evidence == ()
    assert "none is read" in reasons(reading)


@pytest.mark.parametrize(
    "message",
    [
        "<slia>" + "<pos>" * 50 + "<gsm_net_param><cgi/></gsm_net_param>" * 2000 + "</pos>" * 50 + "</slia>",
        "<slia><pos>" + "<pd><time>x</time></pd>" * 2000 + "</pos></slia>",
        "<slia>" + f"<pos><pd><shape><Point>{COORD}</Point></shape></pd></pos>" * 300 + "</slia>",
    ],
)
def test_what_repeats_is_read_so_far(message: str) -> None:
    reading = read(message)
    assert len(reading.warnings) <= MAX_WARNINGS
    assert len(reading.evidence) <= MAX_POSITIONS


@pytest.mark.parametrize(("peer", "opening"), [("wider", 160.0), ("end", 160.0), ("opening", 66.0)])
def test_stop_angle_by_peer(peer: StopAngle, opening: float) -> None:
    arc = (
        f"<CircularArcArea>{COORD}<inRadius>0</inRadius><outRadius>71</outRadius><startAngle>266.0</startAngle>"
        "<stopAngle>66.0</stopAngle></CircularArcArea>"
    )
    assert shape_of(answer(arc), peer) == ArcBand(PLACE, 0, 71, 266, opening)
    narrow = arc.replace("266.0", "10").replace("66.0", "40")
    want = {"wider": 40.0, "end": 30.0, "opening": 40.0}[peer]
    assert shape_of(answer(narrow), peer) == ArcBand(PLACE, 0, 71, 10, want)


@pytest.mark.parametrize(
    ("text", "want", "warned"),
    [("67", 0.67, False), ("0.67", 0.67, True), ("100", None, True), ("0", None, True), ("many", None, True)],
)
def test_confidence(text: str, want: float | None, warned: bool) -> None:
    reading = read(answer(f"<CircularArea>{COORD}<radius>9</radius></CircularArea>", f"<lev_conf>{text}</lev_conf>"))
    assert report_of(reading.evidence[0]).confidence == want
    assert ("lev_conf" in reasons(reading)) == warned


def test_altitude_method_speed_and_time() -> None:
    rest = "<alt>1200</alt><alt_acc>15</alt_acc><speed>3.5</speed>"
    reading = read(answer(f"<Point>{COORD}</Point>", rest, ' pos_method="A-GPS"'))
    report = report_of(reading.evidence[0])
    assert (report.altitude_m, report.vertical_uncertainty_m) == (1200, 15)
    assert report.method is PositioningMethod.GNSS
    assert reading.evidence[0].observed_at == 1773489600.0
    assert reading.details["speed"] == "3.5"
    assert reading.calling_number == "+15550100123"


def test_a_wrong_time_and_altitude_lose_nothing_else() -> None:
    message = answer(f"<Point>{COORD}</Point>", "<alt>99999</alt>", ' pos_method="MAGIC"').replace(
        "20260314", "20261314"
    )
    reading = read(message)
    assert report_of(reading.evidence[0]) == DeviceReport(Point(PLACE))
    assert reading.evidence[0].observed_at is None
    assert [w.field for w in reading.warnings] == ["time", "alt", "pos_method"]


def test_cell_of_the_network_parameters() -> None:
    cgi = "<gsm_net_param><cgi><mcc>001</mcc><mnc>01</mnc><lac>2748</lac><cellid>4660</cellid></cgi></gsm_net_param>"
    reading = read(answer(f"<Point>{COORD}</Point>").replace("</pos>", cgi + "</pos>"))
    assert [e.evidence_id for e in reading.evidence] == ["fix", "cell"]
    assert reading.evidence[1].content == CellScan(CellMeasurement(Radio.GSM, "001", "01", 2748, 4660))


def test_several_subscribers_and_one_of_them() -> None:
    one = answer(f"<Point>{COORD}</Point>")
    both = one.replace("</slia>", one[one.index("<pos") :].replace("15550100123", "15550100124"))
    reading = read(both)
    assert [e.evidence_id for e in reading.evidence] == ["fix", "fix-2"]
    assert "several subscribers" in reasons(reading)
    assert reading.details["msid[2]"] == "15550100124"
    alone = read(both, msid="15550100124")
    assert len(alone.evidence) == 1
    assert alone.calling_number == "+15550100124"
    assert alone.warnings == ()


def test_identities_are_masked() -> None:
    message = answer("").replace("<msid>15550100123", '<msid type="IMSI">001010123456789')
    reading = read(message)
    assert reading.details["msid"] == "001010*********"
    assert reading.calling_number == ""
    assert "0123456789" not in repr(reading)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ('<slia><result resid="4">UNKNOWN SUBSCRIBER</result></slia>', "UNKNOWN SUBSCRIBER (result 4)"),
        ('<slia><pos><poserr><result resid="5">ABSENT</result></poserr></pos></slia>', "ABSENT (result 5)"),
        ("<svc_init><eme_lir><msids><msid>15550100123</msid></msids></eme_lir></svc_init>", "asks for a position"),
        ("<eme_lir><msids><msid>15550100123</msid></msids><esrd>5550199</esrd></eme_lir>", "asks for a position"),
        ("<slia/>", "no position"),
    ],
)
def test_answers_without_a_position_say_why(message: str, why: str) -> None:
    reading = read(message)
    assert reading.evidence == ()
    assert why in reading.no_location


def test_a_request_tells_who_is_meant() -> None:
    reading = read("<eme_lir><msids><msid>15550100123</msid></msids><esrd>5550199</esrd></eme_lir>")
    assert reading.calling_number == "+15550100123"
    assert reading.details["esrd"] == "5550199"


def test_a_message_cut_off_claims_no_less_than_it_said() -> None:
    polygon = answer("<Polygon>" + area((1, 1), (1, 2), (2, 2), (2, 1), (1, 1)) + "</Polygon>")
    cut = read(polygon[: polygon.index("<X>2</X><Y>1</Y>")])
    assert report_of(cut.evidence[0]).shape == Point(LatLng(1, 1))
    assert "is cut off" in reasons(cut)
    circle = answer(f"<CircularArea>{COORD}<radius>9</radius></CircularArea>", "<lev_conf>67</lev_conf>")
    report = report_of(read(circle[: circle.index("<lev_conf>")]).evidence[0])
    assert report == DeviceReport(Circle(PLACE, 9), 0.68)
    assert report_of(read(circle[: circle.index("</pd>")]).evidence[0]) == DeviceReport(Circle(PLACE, 9), 0.67)


@pytest.mark.parametrize("name", ["slirep", "eme_lia", "emerep", "tlrep"])
def test_reports_of_every_service(name: str) -> None:
    position = "eme_pos" if name.startswith("eme") else "pos"
    message = answer(f"<Point>{COORD}</Point>").replace("slia", name).replace("pos>", f"{position}>")
    wrapped = f'<svc_result ver="3.2.0"><hdr ver="3.2.0"/>{message}</svc_result>'
    assert shape_of(message) == shape_of(wrapped) == Point(PLACE)


def test_a_position_by_itself() -> None:
    message = answer(f"<Point>{COORD}</Point>")
    for start, end in (("<pos>", "</pos>"), ("<pd>", "</pd>")):
        alone = message[message.index(start) : message.index(end) + len(end)]
        assert [e.content for e in read(alone).evidence] == [e.content for e in read(message).evidence]


@pytest.mark.parametrize("kind", [str, bytes])
def test_the_name_of_the_dtd_is_left_out_and_anything_more_refused(kind: type) -> None:
    message = '<?xml version="1.0"?><!DOCTYPE svc_result SYSTEM "MLP_SVC_RESULT_310.DTD">' + answer(
        f"<Point>{COORD}</Point>"
    )
    given_ = message if kind is str else message.encode()
    assert "DTD is not fetched" in reasons(read(given_))
    assert shape_of(message) == Point(PLACE)
    for worse in ('"M.DTD" [<!ENTITY a "b">]>', '"M.DTD"><!DOCTYPE a>'):
        with pytest.raises(Unreadable):
            read(message.replace('"MLP_SVC_RESULT_310.DTD">', worse))


@pytest.mark.parametrize("message", ["", "no", "<presence/>", "<pos", b"\xff\x00", "<a>" * 100_000])
def test_what_is_no_mlp_is_unreadable(message: str | bytes) -> None:
    with pytest.raises(Unreadable):
        read(message)


_good = answer(
    f"<CircularArcArea>{COORD}<inRadius>0</inRadius><outRadius>71</outRadius><startAngle>266.0</startAngle>"
    "<stopAngle>66.0</stopAngle></CircularArcArea>",
    "<alt>200</alt><lev_conf>67</lev_conf>",
)
_words = [
    "<coord>",
    "</coord>",
    "<MultiPolygon>",
    "nan",
    "-1",
    "1e999",
    "9" * 400,
    "\u0663",
    "<X>",
    "&",
    "<poserr/>",
    "",
]


@given(st.integers(0, len(_good)), st.integers(0, 40), st.sampled_from(_words))
def test_anything_is_read_or_unreadable(start: int, length: int, word: str) -> None:
    try:
        reading = read(_good[:start] + word + _good[start + length :])
    except Unreadable:
        return
    assert bool(reading.no_location) == (not reading.evidence)
    assert call_violations(Call(evidence=reading.evidence)) == []
