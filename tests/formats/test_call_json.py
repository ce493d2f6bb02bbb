"""The hand-written JSON mapping against protobuf's own, both ways."""

from __future__ import annotations

import dataclasses
import typing

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from locsvc import model
from locsvc.errors import BadData, FieldViolation, InvalidInput
from locsvc.formats.call_json import call_from_json, call_from_text, call_to_json, estimate_from_json
from locsvc.formats.proto_json import read_json, to_json
from locsvc.rpc.convert.calls import read_call
from locsvc.v1 import call_pb2, estimate_pb2

_finite = st.floats(allow_nan=False, allow_infinity=False, width=32).filter(bool)
_words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
_times = st.integers(0, 4_000_000_000_000).map(lambda millis: millis / 1000)
_widths = {"cell": 2**36, "cells": 2**64 - 1, "rows": 2**62, "size_bytes": 2**62}


def _strategy(hint: object, name: str) -> st.SearchStrategy[object]:
    """Objects of one annotation of the model."""
    plain: dict[object, st.SearchStrategy[object]] = {
        float: _times if name.endswith("_at") else _finite,
        int: st.integers(0, _widths.get(name, 2**31 - 1)),
        str: _words,
        bytes: st.binary(max_size=20),
    }
    if hint in plain:
        return plain[hint]
    if typing.get_origin(hint) is tuple:
        return st.lists(_strategy(typing.get_args(hint)[0], name), max_size=3).map(tuple)
    if typing.get_args(hint):
        return st.one_of(*(st.none() if k is type(None) else _strategy(k, name) for k in typing.get_args(hint)))
    kind = typing.cast("type", hint)
    if dataclasses.is_dataclass(kind):
        return _objects(kind)
    return st.sampled_from(list(typing.cast("typing.Iterable[object]", kind)))


def _objects(kind: type) -> st.SearchStrategy[object]:
    hints = typing.get_type_hints(kind, vars(model))
    return st.builds(kind, **{f.name: _strategy(hints[f.name], f.name) for f in dataclasses.fields(kind)})


def _agrees(value: object, message: Message) -> None:
    ours = to_json(value)
    json_format.ParseDict(ours, message)
    assert json_format.MessageToDict(message, preserving_proto_field_name=True) == ours
    # And the spelling that protobuf writes by default is read back to the same object.
    violations: list[FieldViolation] = []
    assert read_json(type(value), json_format.MessageToDict(message), violations) == value
    assert violations == []


@settings(max_examples=50, deadline=None)
@given(_objects(model.Call))
def test_a_call_agrees_with_protobuf_both_ways(call: object) -> None:
    _agrees(call, call_pb2.Call())


@settings(max_examples=50, deadline=None)
@given(_objects(model.LocationEstimate))
def test_an_estimate_agrees_with_protobuf_both_ways(estimate: object) -> None:
    _agrees(estimate, estimate_pb2.LocationEstimate())


@given(_objects(model.Trace))
def test_a_trace_agrees_with_protobuf_both_ways(trace: object) -> None:
    _agrees(trace, estimate_pb2.Trace())


@pytest.mark.parametrize(
    "given_json",
    [
        {"call_id": 3},
        {"call_idd": "x"},
        {"started_at": "yesterday"},
        {"started_at": "2026-02-30T00:00:00Z"},
        {"evidence": {}},
        {"evidence": [3]},
        {"evidence": [{"cell_scan": {"serving": {"radio": "LTE"}}}]},
        {"evidence": [{"cell_scan": {"serving": {"cell": 1.5}}}]},
        {"evidence": [{"cell_scan": {"serving": {"cell": -1}}}]},
        {"evidence": [{"cell_scan": {"serving": {"cell": True}}}]},
        {"evidence": [{"cell_scan": {"serving": {"area": "4294967296"}}}]},
        {"evidence": [{"cell_scan": {}, "line_lookup": {}}]},
        {"evidence": [{"device_report": {"shape": {"blob": {}}}}]},
        {"evidence": [{"device_report": {"shape": {"point": {}, "circle": {}}}}]},
        {"evidence": [{"device_report": {"confidence": "high"}}]},
        {"evidence": [{"device_report": {"raw": {"format": "aml", "bytes": 12}}}]},
    ],
)
def test_what_protobuf_refuses_is_refused_with_the_fields_name(given_json: dict[str, object]) -> None:
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(given_json, call_pb2.Call())
    with pytest.raises(InvalidInput) as caught:
        call_from_json(given_json)
    assert caught.value.violations[0].field.split(".")[0].split("[")[0] in {"evidence", *given_json}


@pytest.mark.parametrize(
    "given_json",
    [
        {"evidence": [{"cell_scan": {"serving": {"cell": "237575", "area": 42300.0, "radio": 3}}}]},
        {"evidence": [{"cellScan": {"serving": {"timingAdvance": "7"}}}], "callId": None},
        {"evidence": [{"device_report": {"shape": {"circle": {"center": {"latitude_deg": "52.5"}, "radius_m": 30}}}}]},
        {"started_at": "2026-11-21T23:15:00.123456+01:00"},
        {"evidence": [{"device_report": {"raw": {"format": "aml", "bytes": "-_8"}}}]},
        {"evidence": [{"deviceReport": {"raw": {"format": "aml", "bytes": "+/8="}}}]},
    ],
)
def test_what_protobuf_takes_is_taken_the_same(given_json: dict[str, object]) -> None:
    message = json_format.ParseDict(given_json, call_pb2.Call())
    ours = call_to_json(call_from_json(given_json))
    assert ours == json_format.MessageToDict(message, preserving_proto_field_name=True)


def _with_cell(**fields: object) -> dict[str, object]:
    return {"evidence": [{"cell_scan": {"serving": fields}}]}


def _with_report(**fields: object) -> dict[str, object]:
    return {"evidence": [{"device_report": fields}]}


def _with_shape(name: str, **fields: object) -> dict[str, object]:
    return _with_report(shape={name: {"center": {"latitude_deg": 52, "longitude_deg": -8}} | fields})


@pytest.mark.parametrize(
    ("given_json", "field"),
    [
        ({"call_id": "x" * 129}, "call_id"),
        ({"calling_number": "hello"}, "calling_number"),
        ({"evidence": [{}] * 1001}, "evidence"),
        ({"evidence": [{"evidence_id": "a"}, {"evidence_id": "a"}]}, "evidence[1].evidence_id"),
        (_with_cell(mcc="27"), "evidence[0].cell_scan.serving.mcc"),
        (_with_cell(mnc="5x"), "evidence[0].cell_scan.serving.mnc"),
        (_with_cell(radio="RADIO_LTE", cell=2**28), "evidence[0].cell_scan.serving.cell"),
        (_with_cell(radio="RADIO_LTE", pci=504), "evidence[0].cell_scan.serving.pci"),
        (_with_cell(radio="RADIO_GSM", timing_advance=220), "evidence[0].cell_scan.serving.timing_advance"),
        (_with_cell(signal_dbm=1), "evidence[0].cell_scan.serving.signal_dbm"),
        (_with_cell(quality_db="NaN"), "evidence[0].cell_scan.serving.quality_db"),
        ({"evidence": [{"cell_scan": {"neighbours": [{}] * 65}}]}, "evidence[0].cell_scan.neighbours"),
        (_with_report(confidence=68), "evidence[0].device_report.confidence"),
        (_with_report(altitude_m=1e5), "evidence[0].device_report.altitude_m"),
        (_with_shape("circle", radius_m="Infinity"), "evidence[0].device_report.shape.circle.radius_m"),
        (
            _with_shape("point", center={"latitude_deg": 91}),
            "evidence[0].device_report.shape.point.center.latitude_deg",
        ),
        (
            _with_shape("ellipse", semi_major_m=1, semi_minor_m=2),
            "evidence[0].device_report.shape.ellipse.semi_minor_m",
        ),
        (_with_shape("arc_band", inner_radius_m=9), "evidence[0].device_report.shape.arc_band.outer_radius_m"),
        (_with_shape("arc_band", outer_radius_m=9), "evidence[0].device_report.shape.arc_band.opening_angle_deg"),
        (_with_shape("arc_band", start_angle_deg=360), "evidence[0].device_report.shape.arc_band.start_angle_deg"),
        (_with_shape("ellipse", orientation_deg=-1), "evidence[0].device_report.shape.ellipse.orientation_deg"),
        (_with_shape("sphere", radius_m=-1), "evidence[0].device_report.shape.sphere.radius_m"),
        (_with_shape("ellipsoid", vertical_m=-1), "evidence[0].device_report.shape.ellipsoid.vertical_m"),
        (
            _with_report(shape={"prism": {"base": {"vertices": [{}]}}}),
            "evidence[0].device_report.shape.prism.base.vertices",
        ),
        (_with_report(vertical_uncertainty_m=-1), "evidence[0].device_report.vertical_uncertainty_m"),
        (_with_report(floor="x" * 129), "evidence[0].device_report.floor"),
        (_with_report(raw={"format": "fax", "bytes": "MTI="}), "evidence[0].device_report.raw.format"),
        (_with_report(raw={"bytes": "MTI="}), "evidence[0].device_report.raw.format"),
        (_with_report(raw={"format": "aml"}), "evidence[0].device_report.raw.bytes"),
        (_with_report(raw={"format": "aml", "bytes": "MTI0" * 21_846}), "evidence[0].device_report.raw.bytes"),
        (_with_cell(radio="RADIO_GSM", area=2**16), "evidence[0].cell_scan.serving.area"),
        (_with_cell(arfcn=4_000_000), "evidence[0].cell_scan.serving.arfcn"),
        ({"calling_number": "01632 960168"}, "calling_number"),
        ({"evidence": [{"provider": "x" * 129}]}, "evidence[0].provider"),
        ({"evidence": [{"line_lookup": {"number": "1" * 65}}]}, "evidence[0].line_lookup.number"),
        ({"evidence": [{"line_lookup": {"record": {"number": "1"}}}]}, "evidence[0].line_lookup.record.number"),
        (
            {"evidence": [{"line_lookup": {"record": {"address": {"country": "Eire"}}}}]},
            "evidence[0].line_lookup.record.address.country",
        ),
        (
            {"evidence": [{"line_lookup": {"record": {"position": {"longitude_deg": 181}}}}]},
            "evidence[0].line_lookup.record.position.longitude_deg",
        ),
        (_with_report(shape={"polygon": {"vertices": [{}]}}), "evidence[0].device_report.shape.polygon.vertices"),
        ({"evidence": [{"line_lookup": {"record": {"confidence": 2}}}]}, "evidence[0].line_lookup.record.confidence"),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_its_path(given_json: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        call_from_json(given_json)
    assert field in [violation.field for violation in caught.value.violations]
    # The other face refuses the same by the same name.
    theirs: list[FieldViolation] = []
    read_call(json_format.ParseDict(given_json, call_pb2.Call()), theirs)
    assert field in [violation.field for violation in theirs]


def test_unknown_and_zero_values_that_mean_unknown_are_taken() -> None:
    call = call_from_json(_with_shape("circle", radius_m=0) | {"evidence": [*_list(_with_shape("circle")), {}]})
    assert len(call.evidence) == 2


def _list(given_json: dict[str, object]) -> list[object]:
    return typing.cast("list[object]", given_json["evidence"])


def test_bytes_that_are_not_base64_are_named() -> None:
    with pytest.raises(InvalidInput, match=r"raw\.bytes: is not base64"):
        call_from_json(_with_report(raw={"format": "aml", "bytes": 'A"ML=1'}))


def test_an_unknown_format_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(InvalidInput, match=r"'fax' is none of aml, pidf-lo, held, sip, gad, ali, mlp"):
        call_from_json(_with_report(raw={"format": "fax", "bytes": "MTI="}))


def test_text_that_is_not_json_names_its_line() -> None:
    with pytest.raises(BadData, match="line 2 column"):
        call_from_text('{"call_id":\n oops}')


def test_an_estimate_of_another_make_is_refused() -> None:
    with pytest.raises(InvalidInput, match="outcome"):
        estimate_from_json({"outcome": "OUTCOME_LOST"})


def test_last_corners_that_repeat_the_first_are_left_out_once_and_for_all() -> None:
    def read(*places: tuple[float, float]) -> model.Evidence:
        vertices = [{"latitude_deg": lat, "longitude_deg": lng} for lat, lng in places]
        piece = {"device_report": {"shape": {"polygon": {"vertices": vertices}}}}
        return call_from_json({"evidence": [piece]}).evidence[0]

    ring = ((54.0, 2.0), (54.1, 2.0), (54.0, 2.1))
    plain = read(*ring)
    for ends in (1, 2, 3):
        closed = read(*ring, *[ring[0]] * ends)
        assert closed == plain
    again = call_from_json(call_to_json(model.Call(evidence=(closed,)))).evidence[0]
    assert again == closed
