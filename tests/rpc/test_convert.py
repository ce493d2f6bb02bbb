"""Requests to calls: what passes, what is named as wrong and by which path; estimates to messages and back."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.errors import InvalidInput
from locsvc.formats import ranges
from locsvc.formats.messages import FORMATS
from locsvc.resolver.filling import TableBuilder
from locsvc.rpc.convert.calls import read_call
from locsvc.rpc.convert.estimates import write_estimate, write_time, write_trace
from locsvc.rpc.convert.replies import read_estimate, read_trace, write_call
from locsvc.rpc.convert.requests import Unread, ask_resolve, read_batch
from locsvc.rpc.convert.violations import Violations
from locsvc.v1 import call_pb2, estimate_pb2
from locsvc.v1.location_service_pb2 import BatchResolveLocationsRequest, ResolveLocationRequest

NAN, INFINITE = math.nan, math.inf
PLACE = {"latitude_deg": 53.0, "longitude_deg": -7.0}
TRIANGLE = [PLACE, {"latitude_deg": 53.1, "longitude_deg": -7.0}, {"latitude_deg": 53.0, "longitude_deg": -7.1}]


def set_at(message: object, path: str, value: object) -> None:
    """Set the field at a dotted path with indices, making what is on the way."""
    *parents, last = path.split(".")
    for part in parents:
        name, _, index = part.rstrip("]").partition("[")
        message = getattr(message, name)
        if index:
            while len(message) <= int(index):  # type: ignore[arg-type]
                message.add()  # type: ignore[attr-defined]
            message = message[int(index)]  # type: ignore[index]
    if isinstance(value, list):
        for each in value:
            getattr(message, last).add(**each)
    elif isinstance(value, dict):
        ParseDict(value, getattr(message, last))
    else:
        setattr(message, last, value)


def read(request: ResolveLocationRequest) -> model.Call:
    """The request's call, which the service has taken."""
    ask_resolve(request).put(TableBuilder())
    out: Violations = []
    call = read_call(request.call, out)
    assert not out
    return call


def violations(request: ResolveLocationRequest) -> list[str]:
    try:
        ask_resolve(request).put(TableBuilder())
    except InvalidInput as error:
        return [v.field for v in error.violations]
    return []


CELL = "call.evidence[1].cell_scan.neighbours[2]"
REPORT = "call.evidence[0].device_report"
RECORD = "call.evidence[3].line_lookup.record"

# Field -> values out of its documented range. Values that need a radio are below.
WRONG: dict[str, list[object]] = {
    "confidence": [0.49, 0.9991, 90.0, -0.5, NAN, INFINITE],
    "as_of.seconds": [ranges.MIN_SECONDS - 1, ranges.MAX_SECONDS + 1],
    "as_of.nanos": [-1, 1_000_000_000],
    "call.call_id": ["x" * 129],
    "call.calling_number": ["353209100000", "+0353", "+35320910000012345", "+353 20 910", "anonymous", "+"],
    "call.started_at.seconds": [ranges.MAX_SECONDS + 1],
    "call.evidence[0].evidence_id": ["x" * 129],
    "call.evidence[0].provider": ["x" * 129],
    "call.evidence[0].observed_at.nanos": [-1],
    f"{CELL}.radio": [5, -1, 99],
    f"{CELL}.mcc": ["27", "2720", "2x2", "٢٧٢", "-72"],
    f"{CELL}.mnc": ["1", "0012", "a1"],
    f"{CELL}.area": [1 << 24],
    f"{CELL}.cell": [1 << 36],
    f"{CELL}.pci": [1008],
    f"{CELL}.arfcn": [3_279_166],
    f"{CELL}.signal_dbm": [-160.5, 0.5, NAN, INFINITE, -INFINITE, 2147483647.0],
    f"{CELL}.quality_db": [-50.5, 30.5, NAN],
    f"{CELL}.timing_advance": [3847],
    "call.evidence[1].cell_scan.serving.mcc": ["1"],
    f"{REPORT}.confidence": [0.0, 1.0, -0.1, 68.0, NAN],
    f"{REPORT}.method": [8, -1],
    f"{REPORT}.altitude_m": [-500.1, 10_001.0, NAN, INFINITE],
    f"{REPORT}.vertical_uncertainty_m": [-1.0, NAN, INFINITE],
    f"{REPORT}.floor": ["x" * 129],
    f"{REPORT}.raw.format": ["", "fax", "AML", "aml "],
    f"{REPORT}.raw.bytes": [b"", b"x" * 65_537],
    f"{REPORT}.shape.point.center.latitude_deg": [-90.1, 90.1, NAN, INFINITE],
    f"{REPORT}.shape.point.center.longitude_deg": [-180.1, 180.1, NAN],
    f"{REPORT}.shape.circle.center.latitude_deg": [91.0],
    f"{REPORT}.shape.circle.radius_m": [-1.0, 20_100_001.0, NAN, INFINITE],
    f"{REPORT}.shape.ellipse.center.longitude_deg": [181.0],
    f"{REPORT}.shape.ellipse.semi_major_m": [-1.0, NAN],
    f"{REPORT}.shape.ellipse.semi_minor_m": [-1.0, NAN],
    f"{REPORT}.shape.ellipse.orientation_deg": [-1.0, 360.0, NAN],
    f"{REPORT}.shape.arc_band.center.latitude_deg": [91.0],
    f"{REPORT}.shape.arc_band.inner_radius_m": [-1.0, NAN],
    f"{REPORT}.shape.arc_band.outer_radius_m": [-1.0, NAN],
    f"{REPORT}.shape.arc_band.start_angle_deg": [-1.0, 360.0, NAN],
    f"{REPORT}.shape.arc_band.opening_angle_deg": [-1.0, 360.1, NAN],
    f"{REPORT}.shape.polygon.vertices[1].latitude_deg": [91.0, NAN],
    f"{REPORT}.shape.polygon.vertices": [TRIANGLE[:1], TRIANGLE[:2], [*TRIANGLE[:2], TRIANGLE[0]], TRIANGLE * 400],
    f"{REPORT}.shape.sphere.center.latitude_deg": [91.0],
    f"{REPORT}.shape.sphere.altitude_m": [-501.0, 10_001.0, NAN],
    f"{REPORT}.shape.sphere.radius_m": [-1.0, NAN],
    f"{REPORT}.shape.ellipsoid.center.latitude_deg": [91.0],
    f"{REPORT}.shape.ellipsoid.altitude_m": [10_001.0, NAN],
    f"{REPORT}.shape.ellipsoid.semi_major_m": [-1.0],
    f"{REPORT}.shape.ellipsoid.semi_minor_m": [NAN],
    f"{REPORT}.shape.ellipsoid.vertical_m": [-1.0, NAN],
    f"{REPORT}.shape.ellipsoid.orientation_deg": [360.0],
    f"{REPORT}.shape.prism.base.vertices": [TRIANGLE[:2]],
    f"{REPORT}.shape.prism.base.vertices[0].longitude_deg": [NAN],
    f"{REPORT}.shape.prism.base_altitude_m": [-501.0, NAN],
    f"{REPORT}.shape.prism.height_m": [-1.0, NAN],
    "call.evidence[3].line_lookup.number": ["1" * 65],
    f"{RECORD}.number": ["209100000", "+1 555"],
    f"{RECORD}.class_of_service": [25, -1],
    f"{RECORD}.placement": [11, -1],
    f"{RECORD}.address.country": ["ie", "IRL", "I1"],
    f"{RECORD}.address.street": ["x" * 1001],
    f"{RECORD}.position.latitude_deg": [90.5, NAN],
    f"{RECORD}.uncertainty_m": [-1.0, NAN],
    f"{RECORD}.confidence": [0.0, 1.0, NAN],
    f"{RECORD}.provider": ["x" * 129],
    f"{RECORD}.updated_at.nanos": [1_000_000_000],
}
ONE_WRONG = [(path, value) for path, values in WRONG.items() for value in values]


def cases_of(table: list[tuple[str, object]]) -> list[object]:
    return [pytest.param(path, value, id=f"{path}={str(value)[:20]}") for path, value in table]


@pytest.mark.parametrize(("path", "value"), cases_of(ONE_WRONG))
def test_a_field_out_of_range_is_named_by_its_path(path: str, value: object) -> None:
    request = ResolveLocationRequest()
    request.call.SetInParent()
    set_at(request, path, value)
    # A message half made may break a second rule of the same piece; the field itself is always named.
    named = path.rpartition(".")[0] if path.endswith((".seconds", ".nanos")) else path
    assert named in violations(request)


@pytest.mark.parametrize(
    ("radio", "field", "greatest"),
    [
        (model.Radio.GSM, "area", 0xFFFF),
        (model.Radio.UMTS, "area", 0xFFFF),
        (model.Radio.LTE, "area", 0xFFFF),
        (model.Radio.NR, "area", 0xFFFFFF),
        (model.Radio.GSM, "cell", 0xFFFF),
        (model.Radio.UMTS, "cell", 0xFFFFFFF),
        (model.Radio.LTE, "cell", 0xFFFFFFF),
        (model.Radio.NR, "cell", 0xFFFFFFFFF),
        (model.Radio.GSM, "pci", 63),
        (model.Radio.UMTS, "pci", 511),
        (model.Radio.LTE, "pci", 503),
        (model.Radio.NR, "pci", 1007),
        (model.Radio.GSM, "timing_advance", 219),
        (model.Radio.LTE, "timing_advance", 1282),
        (model.Radio.NR, "timing_advance", 3846),
    ],
)
def test_ranges_of_a_cell_follow_its_radio(radio: model.Radio, field: str, greatest: int) -> None:
    request = ResolveLocationRequest()
    set_at(request, f"{CELL}.radio", int(radio))
    set_at(request, f"{CELL}.{field}", greatest)
    assert violations(request) == []
    set_at(request, f"{CELL}.{field}", greatest + 1)
    assert violations(request) == [f"{CELL}.{field}"]


@pytest.mark.parametrize(
    ("shape", "field"),
    [
        ({"ellipse": {"center": PLACE, "semi_major_m": 10, "semi_minor_m": 20}}, "ellipse.semi_minor_m"),
        ({"ellipsoid": {"center": PLACE, "semi_major_m": 10, "semi_minor_m": 20}}, "ellipsoid.semi_minor_m"),
        (
            {"arc_band": {"center": PLACE, "inner_radius_m": 20, "outer_radius_m": 20, "opening_angle_deg": 60}},
            "arc_band.outer_radius_m",
        ),
        ({"arc_band": {"center": PLACE, "outer_radius_m": 20}}, "arc_band.opening_angle_deg"),
    ],
)
def test_fields_that_contradict_each_other_are_named(shape: dict[str, object], field: str) -> None:
    request = ParseDict({"call": {"evidence": [{"device_report": {"shape": shape}}]}}, ResolveLocationRequest())
    assert violations(request) == [f"call.evidence[0].device_report.shape.{field}"]


def test_too_long_lists_are_named_once() -> None:
    request = ResolveLocationRequest(call=call_pb2.Call(evidence=[call_pb2.Evidence()] * 1001))
    assert violations(request) == ["call.evidence"]
    cells = call_pb2.CellScan(neighbours=[call_pb2.CellMeasurement()] * 65)
    request = ResolveLocationRequest(call=call_pb2.Call(evidence=[call_pb2.Evidence(cell_scan=cells)]))
    assert violations(request) == ["call.evidence[0].cell_scan.neighbours"]


def test_names_of_pieces_are_unique_but_may_be_empty() -> None:
    request = ResolveLocationRequest()
    request.call.evidence.extend(call_pb2.Evidence(evidence_id=name) for name in ("a", "", "b", "", "a"))
    assert violations(request) == ["call.evidence[4].evidence_id"]


def test_a_missing_call_is_named_and_an_empty_one_passes() -> None:
    assert violations(ResolveLocationRequest()) == ["call"]
    empty = ResolveLocationRequest()
    empty.call.SetInParent()
    assert read(empty) == model.Call()


def test_every_wrong_field_is_listed() -> None:
    request = ResolveLocationRequest(confidence=2.0)
    set_at(request, f"{REPORT}.confidence", NAN)
    set_at(request, f"{REPORT}.shape.circle.radius_m", -1.0)
    set_at(request, f"{CELL}.mcc", "1")
    set_at(request, "call.calling_number", "112")
    assert sorted(violations(request)) == sorted(
        ["confidence", f"{REPORT}.confidence", f"{REPORT}.shape.circle.radius_m", f"{CELL}.mcc", "call.calling_number"]
    )


def test_descriptions_say_the_remedy_and_never_the_value() -> None:
    secret = {"call.calling_number": "secret 087", f"{RECORD}.number": "secret 087", f"{CELL}.mcc": "secret"}
    request = ResolveLocationRequest()
    for path, value in secret.items():
        set_at(request, path, value)
    set_at(request, f"{REPORT}.shape.circle.center.latitude_deg", 912.345)
    with pytest.raises(InvalidInput) as caught:
        read(request)
    assert len(caught.value.violations) == 4
    for violation in caught.value.violations:
        assert ";" in violation.description
    assert not [word for word in ("secret", "087", "912") if word in str(caught.value)]


def test_an_unknown_format_is_answered_with_those_that_there_are() -> None:
    request = ResolveLocationRequest()
    set_at(request, f"{REPORT}.raw.format", "fax")
    set_at(request, f"{REPORT}.raw.bytes", b"x")
    with pytest.raises(InvalidInput, match=r"raw\.format: must be one of aml, pidf-lo, held, sip, gad, ali, mlp, acc"):
        read(request)


UNKNOWN: list[tuple[str, object]] = [
    (f"{REPORT}.shape.circle.center", {"latitude_deg": 0, "longitude_deg": 0}),
    (f"{REPORT}.shape.circle.radius_m", 0.0),
    (f"{REPORT}.shape.ellipse.semi_major_m", 0.0),
    (f"{REPORT}.shape.arc_band.outer_radius_m", 0.0),
    (f"{REPORT}.shape.polygon", {}),
    (f"{REPORT}.shape.prism.base", {}),
    (f"{REPORT}.vertical_uncertainty_m", 0.0),
    (f"{CELL}.area", 0),
    (f"{CELL}.area", 65535),
    (f"{CELL}.cell", 0),
    (f"{CELL}.cell", (1 << 36) - 1),
    (f"{RECORD}.position", {"latitude_deg": 0, "longitude_deg": 0}),
    (f"{RECORD}.uncertainty_m", 0.0),
    ("call.evidence[0].provider", ""),
]


@pytest.mark.parametrize(("path", "value"), cases_of(UNKNOWN))
def test_markers_for_unknown_pass(path: str, value: object) -> None:
    request = ResolveLocationRequest()
    request.call.SetInParent()
    set_at(request, path, value)
    assert violations(request) == []


def test_zero_that_was_sent_is_not_absence() -> None:
    message = call_pb2.CellMeasurement(area=0, cell=0, pci=0, arfcn=0, signal_dbm=0.0, quality_db=0.0, timing_advance=0)
    request = ResolveLocationRequest()
    request.call.evidence.add().cell_scan.neighbours.extend([message, call_pb2.CellMeasurement()])
    scan = read(request).evidence[0].content
    assert isinstance(scan, model.CellScan)
    assert scan.neighbours == (
        model.CellMeasurement(model.Radio.UNSPECIFIED, "", "", 0, 0, 0, 0, 0.0, 0.0, 0),
        model.CellMeasurement(),
    )


def test_confidence_and_time_of_the_question() -> None:
    request = ResolveLocationRequest(with_trace=True)
    request.call.SetInParent()
    assert (ask_resolve(request).confidence, ask_resolve(request).as_of) == (0.9, None)
    request.confidence = 0.5
    request.as_of.FromMilliseconds(1_700_000_000_500)
    question = ask_resolve(request)
    assert (question.confidence, question.as_of) == (0.5, 1_700_000_000.5)


def test_batch_bounds() -> None:
    for count in (0, 1001):
        with pytest.raises(InvalidInput, match="calls: must have 1 to 1,000"):
            read_batch(BatchResolveLocationsRequest(calls=[call_pb2.Call()] * count))
    assert read_batch(BatchResolveLocationsRequest(calls=[call_pb2.Call()] * 1000)) == (0.9, None)
    message = ParseDict({"evidence": [{"device_report": {"confidence": 3}}]}, call_pb2.Call())
    with pytest.raises(InvalidInput, match=r"^evidence\[0\].device_report.confidence: "):
        Unread(message, 0.9, None).put(TableBuilder())


def test_closing_corner_of_a_polygon_is_dropped() -> None:
    request = ResolveLocationRequest()
    set_at(request, f"{REPORT}.shape.polygon.vertices", [*TRIANGLE, TRIANGLE[0]])
    report = read(request).evidence[0].content
    assert isinstance(report, model.DeviceReport)
    assert isinstance(report.shape, model.Polygon)
    assert len(report.shape.vertices) == 3


# Calls as the model has them, in range, to messages and back.
names = st.text(max_size=12)
times = st.none() | st.integers(-2_000_000_000, 4_000_000_000_000).map(lambda ms: ms / 1000)
places = st.builds(model.LatLng, st.floats(-90, 90), st.floats(-180, 180))
lengths = st.floats(0, 20_000_000)
angles = st.floats(0, 360, exclude_max=True)
altitudes = st.floats(-500, 10_000)
polygons = st.lists(places, min_size=3, max_size=6, unique=True).map(lambda p: model.Polygon(tuple(p)))
fractions = st.none() | st.floats(0, 1, exclude_min=True, exclude_max=True)
shapes = st.one_of(
    st.builds(model.Point, places),
    st.builds(model.Circle, places, lengths),
    st.builds(lambda c, a, b, o: model.Ellipse(c, max(a, b), min(a, b), o), places, lengths, lengths, angles),
    st.builds(
        lambda c, a, w, s, o: model.ArcBand(c, a, a + w, s, o),
        places,
        st.floats(0, 10_000),
        st.floats(1, 10_000),
        angles,
        st.floats(1, 360),
    ),
    polygons,
    st.builds(model.Sphere, places, altitudes, lengths),
    st.builds(
        lambda c, h, a, b, v, o: model.Ellipsoid(c, h, max(a, b), min(a, b), v, o),
        places,
        altitudes,
        lengths,
        lengths,
        lengths,
        angles,
    ),
    st.builds(model.Prism, polygons, altitudes, lengths),
)
cells = st.builds(
    model.CellMeasurement,
    st.sampled_from(model.Radio),
    st.sampled_from(["", "001", "272"]),
    st.sampled_from(["", "01", "001"]),
    st.none() | st.integers(0, 0xFFFF),
    st.none() | st.integers(0, 0xFFFF),
    st.none() | st.integers(0, 63),
    st.none() | st.integers(0, ranges.MAX_ARFCN),
    st.none() | st.floats(-160, 0),
    st.none() | st.floats(-50, 30),
    st.none() | st.integers(0, 219),
)
addresses = st.builds(model.CivicAddress, street=names, city=names, country=st.sampled_from(["", "IE"]), name=names)
numbers = st.sampled_from(["", "+353209100000", "+12125550123"])
records = st.builds(
    model.LineRecord,
    numbers,
    st.sampled_from(model.ClassOfService),
    st.none() | addresses,
    st.none() | places,
    st.sampled_from(model.Placement),
    st.none() | lengths,
    fractions,
    names,
    times,
)
contents = st.one_of(
    st.none(),
    st.builds(model.CellScan, st.none() | cells, st.lists(cells, max_size=3).map(tuple)),
    st.builds(
        model.DeviceReport,
        st.none() | shapes,
        fractions,
        st.sampled_from(model.PositioningMethod),
        st.none() | altitudes,
        st.none() | st.floats(0, 1000),
        names,
        st.none() | st.builds(model.RawMessage, st.sampled_from(FORMATS), st.binary(min_size=1, max_size=40)),
    ),
    st.builds(model.LineLookup, names, st.none() | records),
)
evidence = st.lists(st.builds(model.Evidence, contents, names, names, times), max_size=4, unique_by=id).map(tuple)
model_calls = st.builds(model.Call, names, numbers, times, evidence)


def unnamed(call: model.Call) -> bool:
    given_names = [e.evidence_id for e in call.evidence if e.evidence_id]
    return len(given_names) == len(set(given_names))


@given(model_calls.filter(unnamed))
def test_calls_come_back_from_messages_as_they_were(call: model.Call) -> None:
    request = ResolveLocationRequest()
    write_call(call, request.call)
    assert read(ResolveLocationRequest.FromString(request.SerializeToString())) == call


def test_sample_calls_come_back(
    calls: dict[str, model.Call], request_of: Callable[..., ResolveLocationRequest]
) -> None:
    for call in calls.values():
        assert read(request_of(call)) == call


P = model.LatLng(53.5, -7.25)
FULL = model.LocationEstimate(
    outcome=model.Outcome.CONFLICT,
    call_id="call-1",
    confidence=0.9,
    position=P,
    radius_m=31.5,
    ellipse=model.Ellipse(P, 30.0, 20.0, 45.0),
    region=model.Region(12, (0x8C1FB46622D9DFF, 0x8C1FB46622D9FFF), 0.91, 615.0),
    alternatives=(model.Alternative(model.LatLng(54.0, -7.0), 0.3, 120.0),),
    altitude=model.Altitude(30.5, None, 0.9, "2"),
    address=model.CivicAddress(house_number="3", street="Mill Lane", city="Testham", country="XT"),
    address_distance_m=12.5,
    areas=(model.AreaShare("North", "areas", 0.75), model.AreaShare("South", "areas", 0.25)),
    contributions=(
        model.Contribution(
            "scan",
            "serving",
            model.EvidenceKind.CELL_SCAN,
            model.Disposition.USED,
            model.Reason.AGREES,
            "agrees",
            model.CellFallback.SECTOR,
            0.0,
            0.99,
            0.25,
        ),
        model.Contribution(
            "line",
            "",
            model.EvidenceKind.LINE_LOOKUP,
            model.Disposition.SET_ASIDE,
            model.Reason.UNKNOWN_LINE,
            "not in the dataset",
        ),
    ),
    warnings=(model.Warning(model.WarningCode.UNKNOWN_LINE, "not there", "line", "line_lookup.number"),),
    estimated_at=1_700_000_000.25,
    datasets=(
        model.DatasetVersion("cells", "ireland", "abc", 3, 1_700_000_000.0, 17, "somewhere", "CC0"),
        model.DatasetVersion("calibration", "default", "1"),
    ),
)


@pytest.mark.parametrize(
    "estimate",
    [FULL, model.LocationEstimate(model.Outcome.NO_LOCATION, "", 0.5)],
    ids=["everything", "nothing"],
)
def test_estimates_come_back_from_messages_as_they_were(estimate: model.LocationEstimate) -> None:
    message = estimate_pb2.LocationEstimate()
    write_estimate(estimate, message)
    assert read_estimate(estimate_pb2.LocationEstimate.FromString(message.SerializeToString())) == estimate


def test_no_location_leaves_the_place_absent() -> None:
    message = estimate_pb2.LocationEstimate()
    write_estimate(model.LocationEstimate(model.Outcome.NO_LOCATION, "c", 0.9), message)
    assert {d.name for d, _ in message.ListFields()} == {"outcome", "call_id", "confidence"}


def test_datasets_of_another_snapshot_are_not_mixed_up() -> None:
    first, second = ((model.DatasetVersion("cells", "a", v),) for v in ("1", "2"))
    for versions in (first, second, first):
        message = estimate_pb2.LocationEstimate()
        write_estimate(model.LocationEstimate(model.Outcome.NO_LOCATION, "", 0.9, datasets=versions), message)
        assert [d.version for d in message.datasets] == [versions[0].version]


def test_trace_comes_back() -> None:
    ring = model.Polygon((P, model.LatLng(53.6, -7.0), model.LatLng(53.4, -7.0)))
    trace = model.Trace((5, 3), (0.7, 0.2), (model.Outline("scan", "serving", (ring, ring)),))
    message = estimate_pb2.Trace()
    write_trace(trace, message)
    assert read_trace(estimate_pb2.Trace.FromString(message.SerializeToString())) == trace


@given(st.floats(-62_135_596_800, 253_402_300_799))
def test_any_time_makes_a_valid_timestamp_to_the_microsecond(seconds: float) -> None:
    message = estimate_pb2.LocationEstimate().estimated_at
    write_time(seconds, message)
    assert 0 <= message.nanos < 1_000_000_000
    # A double holds times of these years to 31 microseconds.
    assert message.seconds + message.nanos * 1e-9 == pytest.approx(seconds, rel=0, abs=4e-5)
