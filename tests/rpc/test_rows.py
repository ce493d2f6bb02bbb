"""Messages read straight into the table say what they say by way of the model: every number, every error."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.errors import FieldViolation, InvalidInput
from locsvc.resolver import calls_table
from locsvc.resolver.filling import TableBuilder
from locsvc.resolver.table import EvidenceTable
from locsvc.rpc.convert import rows
from locsvc.rpc.convert.calls import read_call
from locsvc.rpc.convert.replies import write_call
from locsvc.rpc.convert.rows import put_call
from locsvc.rpc.convert.violations import Violations
from locsvc.v1 import call_pb2
from locsvc.v1.location_service_pb2 import ResolveLocationRequest
from tests import strategies
from tests.messages import MESSAGES
from tests.rpc.test_convert import ONE_WRONG, cases_of, set_at
from tests.rpc.test_fuzz import any_value, fill, leaves

Refused = tuple[FieldViolation, ...]


def straight(messages: Sequence[call_pb2.Call]) -> tuple[EvidenceTable, list[Refused]]:
    """The table of the messages without those that are refused, and why these are."""
    table, refused = TableBuilder(), []
    for message in messages:
        try:
            put_call(message, table)
        except InvalidInput as error:
            refused.append(error.violations)
    return table.table(), refused


def by_model(messages: Sequence[call_pb2.Call]) -> tuple[EvidenceTable, list[Refused]]:
    """The same by way of objects."""
    calls, refused = [], []
    for message in messages:
        out: Violations = []
        call = read_call(message, out)
        if out:
            refused.append(tuple(out))
        else:
            calls.append(call)
    return calls_table(calls), refused


def assert_same(messages: Sequence[call_pb2.Call]) -> int:
    """Compares both ways; how many calls were taken."""
    (table, refused), (wanted, wrong) = straight(messages), by_model(messages)
    assert refused == wrong
    for name in EvidenceTable.__dataclass_fields__:
        given, right = getattr(table, name), getattr(wanted, name)
        if isinstance(right, np.ndarray):
            assert given.shape == right.shape, name
            # Bit by bit: NaN is NaN, and -0 is not 0.
            assert given.tobytes() == right.tobytes(), name
        else:
            assert given == right, name
    return len(messages) - len(refused)


def message_of(call: model.Call) -> call_pb2.Call:
    message = call_pb2.Call()
    write_call(call, message)
    return message


@given(st.lists(strategies.calls, min_size=1, max_size=4))
def test_calls_of_all_kinds(calls: list[model.Call]) -> None:
    assert_same([message_of(call) for call in calls])


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8])
def test_messages_of_odd_values(rng: np.random.Generator, share: float) -> None:
    messages = []
    for start in rng.integers(0, 1 << 40, 300).tolist():
        messages.append(call_pb2.Call())
        fill(messages[-1], random.Random(start), share)
    taken = assert_same(messages)
    assert taken < 300
    assert share > 0.1 or taken > 20


def test_real_calls_with_odd_fields(calls: dict[str, model.Call], rng: np.random.Generator) -> None:
    draw = random.Random(int(rng.integers(1 << 40)))
    messages = []
    for _ in range(40):
        for call in calls.values():
            message = message_of(call)
            for inner, field in draw.sample(leaves(message), 2):
                setattr(inner, field.name, any_value(field, draw))
            messages.append(message)
    taken = assert_same(messages)
    assert 20 < taken < len(messages) - 20


@pytest.mark.parametrize(("path", "value"), cases_of(ONE_WRONG))
def test_a_field_out_of_range(path: str, value: object) -> None:
    """Between two calls that are right, and of which nothing is lost."""
    request = ResolveLocationRequest()
    request.call.SetInParent()
    set_at(request, path, value)
    around = call_pb2.Call(calling_number="+353209100000")
    around.evidence.add().cell_scan.serving.cell = 7
    assert assert_same([around, request.call, around]) == 2 + (not path.startswith("call."))


def test_messages_of_the_field() -> None:
    call = call_pb2.Call(call_id="c")
    for name, content in MESSAGES.items():
        call.evidence.add().cell_scan.neighbours.add(pci=0)
        raw = call.evidence.add(evidence_id=name).device_report.raw
        raw.format, raw.bytes = name, content
        assert assert_same([call, call]) == 2


@pytest.mark.parametrize("radio", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("field", ["area", "cell", "pci", "arfcn", "timing_advance", "signal_dbm", "quality_db"])
def test_a_zero_that_was_sent_is_no_absent_field(field: str, radio: int) -> None:
    sent, absent = call_pb2.Call(), call_pb2.Call()
    setattr(sent.evidence.add().cell_scan.serving, field, 0)
    absent.evidence.add().cell_scan.serving.SetInParent()
    for message in (sent, absent):
        message.evidence[0].cell_scan.serving.radio = radio  # type: ignore[assignment]
    assert assert_same([sent, absent]) == 2
    cells = straight([sent, absent])[0].cells
    assert cells[0].tobytes() != cells[1].tobytes()


def usual() -> call_pb2.Call:
    """A call of the usual kind, with every field that such a call may have."""
    call = call_pb2.Call(call_id="c", calling_number="+353209100000")
    call.started_at.seconds = call.started_at.nanos = 17
    scan = call.evidence.add(evidence_id="scan", provider="p").cell_scan
    scan.serving.mcc, scan.serving.mnc, scan.serving.cell = "272", "01", 5
    scan.neighbours.add(radio=call_pb2.RADIO_LTE, pci=3, arfcn=1300, signal_dbm=-90.0)
    for kind in ("point", "circle", "ellipse"):
        report = call.evidence.add(evidence_id=kind).device_report
        report.method, report.platform = call_pb2.POSITIONING_METHOD_GNSS, call_pb2.PLATFORM_IOS
        shape = getattr(report.shape, kind)
        shape.center.latitude_deg, shape.center.longitude_deg = 53.0, -7.0
        if kind == "circle":
            shape.radius_m, report.confidence = 10.0, 0.68
        elif kind == "ellipse":
            shape.semi_major_m, shape.semi_minor_m, shape.orientation_deg = 20.0, 10.0, 30.0
    call.evidence.add(evidence_id="line").line_lookup.SetInParent()
    call.evidence[-1].observed_at.seconds = 20
    return call


def test_a_usual_call_makes_no_objects_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert assert_same([usual()]) == 1
    for name in ("read_call", "read_evidence"):
        monkeypatch.delattr(rows, name)
    table, refused = straight([usual(), usual()])
    assert not refused
    assert table.names == ["scan", "scan", "point", "circle", "ellipse", "line"] * 2


UNUSUAL: dict[str, Callable[[call_pb2.Call], object]] = {
    "a floor": lambda c: setattr(c.evidence[1].device_report, "floor", "2"),
    "an altitude": lambda c: setattr(c.evidence[1].device_report, "altitude_m", 30.0),
    "half a height alone": lambda c: setattr(c.evidence[1].device_report, "vertical_uncertainty_m", 3.0),
    "no shape": lambda c: c.evidence[1].device_report.ClearField("shape"),
    "another shape": lambda c: setattr(c.evidence[1].device_report.shape.sphere, "radius_m", 30.0),
    "a record": lambda c: setattr(c.evidence[-1].line_lookup.record, "number", "+353209100001"),
    "an empty record": lambda c: c.evidence[-1].line_lookup.record.SetInParent(),
    "a number of its own": lambda c: setattr(c.evidence[-1].line_lookup, "number", "112"),
    "no look-up": lambda c: c.evidence.pop(),
    "an empty piece": lambda c: c.evidence.add(),
    "an empty scan": lambda c: c.evidence.add().cell_scan.SetInParent(),
    "neighbours alone": lambda c: c.evidence[0].cell_scan.ClearField("serving"),
    "one name twice": lambda c: setattr(c.evidence[1], "evidence_id", "scan"),
    "a message": lambda c: setattr(c.evidence[1].device_report.raw, "format", "aml"),
}


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL)
def test_an_unusual_call(change: Callable[[call_pb2.Call], object]) -> None:
    call = usual()
    change(call)
    assert assert_same([usual(), call, usual()]) >= 2
