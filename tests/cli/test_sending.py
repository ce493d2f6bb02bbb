"""What a file holds for live calls: read, named, and cut into requests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from locsvc import model
from locsvc.cli.sending import checked, message_of, named, portions, read_sendings
from locsvc.errors import BadData, InvalidInput
from locsvc.formats.call_json import call_from_json, call_to_json
from locsvc.formats.proto_json import to_json
from tests import strategies

LINE = model.Evidence(model.LineLookup("+441632960168"), "line-1", "line table", 1_773_489_600.0)
DEVICE = model.Evidence(model.DeviceReport(model.Circle(model.LatLng(54.99, 2.49), 30.0)))
FILES = {
    "access-network": "access-network.txt",
    "ali": "ali.txt",
    "aml": "aml.txt",
    "gad": "gad.hex",
    "held": "held.xml",
    "mlp": "mlp.xml",
    "pidf-lo": "pidf-lo.xml",
    "rfc7105": "rfc7105.xml",
    "sip": "sip.txt",
}


def as_bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def read(data: bytes, form: str = "auto") -> list[model.Call]:
    found = list(read_sendings("file", data, form))
    assert [one.error for one in found] == [None] * len(found)
    return [one.call for one in found]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("told", [True, False], ids=["told", "auto"])
def test_a_message_goes_as_it_came(sample: Path, name: str, told: bool) -> None:
    data = (sample / "messages" / FILES[name]).read_bytes()
    (call,) = read(data, name if told else "auto")
    assert call.evidence == (model.Evidence(model.DeviceReport(raw=model.RawMessage(name, data))),)


def test_a_message_that_cannot_be_understood_goes_when_its_format_is_told() -> None:
    assert message_of("file", b"to whom it may concern", "sip").content is not None
    with pytest.raises(BadData, match="name it with --format: aml, pidf-lo"):
        read(b"to whom it may concern")


@pytest.mark.parametrize("data", [b"", b"x" * 65_537])
def test_a_message_is_neither_empty_nor_too_long(data: bytes) -> None:
    with pytest.raises(BadData, match="a message has 1 to 65,536"):
        message_of("file", data, "aml")


@pytest.mark.parametrize("spelling", ["object", "list", "lines"])
def test_evidence_goes_together(spelling: str) -> None:
    pieces = [to_json(LINE), to_json(DEVICE)]
    data = {
        "object": as_bytes(pieces[0]),
        "list": as_bytes(pieces),
        "lines": b"\n\n".join(map(as_bytes, pieces)) + b"\n",
    }[spelling]
    (call,) = read(data)
    assert call == model.Call(evidence=(LINE,) if spelling == "object" else (LINE, DEVICE))


@given(strategies.calls)
def test_a_call_is_read_as_it_is_written(call: model.Call) -> None:
    written = call_to_json(call)
    assert read(as_bytes(written)) == [call_from_json(written)]
    assert read(as_bytes([written, {"callId": "2"}])) == [call_from_json(written), model.Call("2")]


def test_json_of_others_is_a_message() -> None:
    shape = {"shape": "POINT", "point": {"lon": 2.49, "lat": 54.99}}
    (call,) = read(as_bytes(shape))
    content = call.evidence[0].content
    assert isinstance(content, model.DeviceReport)
    assert content.raw == model.RawMessage("gad", as_bytes(shape))


def test_a_wrong_line_costs_only_itself() -> None:
    lines = [
        as_bytes(to_json(LINE)),
        b'{"evidence_id": "x", ',
        as_bytes({"provider": "p", "device_report": {"confidence": 68}}),
        as_bytes({"providor": "p"}),
        as_bytes(to_json(DEVICE)),
    ]
    found = list(read_sendings("f", b"\n".join(lines), "auto"))
    wrong = {one.place: str(one.error) for one in found if one.error is not None}
    assert set(wrong) == {"f line 2", "f line 3", "f line 4"}
    assert "not JSON" in wrong["f line 2"]
    assert wrong["f line 3"].startswith("device_report.confidence: ")
    assert "provider" in wrong["f line 4"]
    assert [piece for one in found for piece in one.call.evidence] == [LINE, DEVICE]


def test_names_follow_from_what_is_said() -> None:
    assert named(LINE) is LINE
    assert named(DEVICE) == named(replace(DEVICE))
    assert named(DEVICE).evidence_id.startswith("device-")
    raw = model.Evidence(model.DeviceReport(raw=model.RawMessage("aml", b"A")))
    assert named(raw).evidence_id.startswith("aml-")
    others = [DEVICE, replace(DEVICE, provider="p"), replace(DEVICE, observed_at=1.0), raw, model.Evidence()]
    assert len({named(piece).evidence_id for piece in others}) == len(others)


def test_portions_hold_what_a_request_may() -> None:
    many = model.Call("c", evidence=tuple(replace(LINE, evidence_id=f"e{n}") for n in range(2_001)))
    parts = list(portions(many))
    assert [len(part.evidence) for part in parts] == [1000, 1000, 1]
    assert tuple(piece for part in parts for piece in part.evidence) == many.evidence
    assert {part.call_id for part in parts} == {"c"}
    heavy = tuple(
        model.Evidence(model.DeviceReport(raw=model.RawMessage("sip", b"%d" % n + b"x" * 60_000))) for n in range(100)
    )
    parts = list(portions(model.Call("c", evidence=heavy)))
    assert [len(part.evidence) for part in parts] == [49, 49, 2]


def test_a_piece_that_stands_twice_goes_once_and_two_of_one_name_are_refused() -> None:
    assert [len(part.evidence) for part in portions(model.Call("c", evidence=(LINE, DEVICE, LINE, DEVICE)))] == [2]
    with pytest.raises(InvalidInput, match="two pieces are named 'line-1'"):
        list(portions(model.Call("c", evidence=(LINE, replace(LINE, provider="other")))))


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        (model.Call(evidence=(LINE,)), ["call_id"]),
        (model.Call("c"), ["evidence"]),
        (model.Call(calling_number="0163", evidence=(LINE,)), ["calling_number"]),
        (model.Call("c" * 129, evidence=(LINE,)), ["call_id"]),
    ],
)
def test_what_cannot_be_sent_is_told_by_its_field(call: model.Call, fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked(call)
    assert [violation.field for violation in caught.value.violations] == fields
