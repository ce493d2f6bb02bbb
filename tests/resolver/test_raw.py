"""Messages of a call are opened: each by itself, whatever the others are like."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats.call_checks import call_violations
from locsvc.formats.messages import FORMATS
from locsvc.model import (
    Call,
    CellScan,
    Circle,
    DeviceReport,
    Evidence,
    LatLng,
    LineLookup,
    PositioningMethod,
    RawMessage,
    Warning,
    WarningCode,
)
from locsvc.resolver.raw import opened
from tests.messages import MESSAGES

NOON = 1_773_489_600.0
HERE = Circle(LatLng(54.9977, 2.4952), 80.0)


def raw(name: str, message: bytes | None = None, evidence_id: str = "", **more: object) -> Evidence:
    report = DeviceReport(raw=RawMessage(name, MESSAGES[name] if message is None else message), **more)  # type: ignore[arg-type]
    return Evidence(report, evidence_id)


def call_of(*pieces: Evidence) -> Call:
    return Call("c-1", "", NOON, pieces)


def codes(warnings: list[Warning]) -> list[tuple[WarningCode, str]]:
    return [(w.code, w.evidence_id) for w in warnings]


def test_a_call_without_messages_is_the_same_object() -> None:
    call = call_of(Evidence(DeviceReport(HERE)), Evidence(CellScan()), Evidence(None), Evidence(LineLookup("112")))
    found, warnings = opened(call)
    assert found is call
    assert warnings == []


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_read(name: str) -> None:
    found, warnings = opened(call_of(raw(name, evidence_id="m")))
    assert [w for w in warnings if w.code is not WarningCode.PARTLY_READ] == []
    (piece,) = found.evidence
    assert piece.evidence_id == "m"
    assert isinstance(piece.content, CellScan | DeviceReport)
    if isinstance(piece.content, DeviceReport):
        assert piece.content.raw is None
        assert isinstance(piece.content.shape, Circle)
        assert piece.content.shape.center.latitude_deg == pytest.approx(54.9985, abs=1e-3)


def test_the_neighbours_of_a_message_stay_as_they_are_with_the_names_of_their_places() -> None:
    scan = Evidence(CellScan(), provider="network")
    found, _ = opened(call_of(scan, raw("aml"), Evidence(DeviceReport(HERE), "fix"), replace(scan)))
    assert [p.evidence_id for p in found.evidence] == ["evidence-1", "evidence-2", "fix", "evidence-4"]
    assert found.evidence[0] == replace(scan, evidence_id="evidence-1")
    assert found.evidence[2] == Evidence(DeviceReport(HERE), "fix")


TWO_PLACES = MESSAGES["pidf-lo"].replace(
    b"</presence>",
    b"""<tuple id="u"><status><gp:geopriv><gp:location-info><gs:Circle srsName="urn:ogc:def:crs:EPSG::4326">
    <gml:pos>54.9978 2.4953</gml:pos><gs:radius uom="urn:ogc:def:uom:EPSG::9001">90</gs:radius></gs:Circle>
    </gp:location-info><gp:usage-rules/></gp:geopriv></status></tuple></presence>""",
)


def test_several_pieces_of_a_message_have_names_of_their_own() -> None:
    found, _ = opened(call_of(raw("pidf-lo", TWO_PLACES, "m"), raw("pidf-lo", TWO_PLACES)))
    names = [p.evidence_id for p in found.evidence]
    assert len(names) == len(set(names)) == 4
    assert [name.partition("/")[0] for name in names] == ["m", "m", "evidence-2", "evidence-2"]
    assert all(name.partition("/")[2] for name in names)


def test_provider_and_time_of_the_piece_come_before_the_messages_own() -> None:
    own, _ = opened(call_of(raw("aml")))
    assert own.evidence[0].observed_at == NOON - 60.0
    given_piece = replace(raw("aml"), provider="carrier", observed_at=NOON - 5.0)
    told, _ = opened(call_of(given_piece))
    assert (told.evidence[0].provider, told.evidence[0].observed_at) == ("carrier", NOON - 5.0)


def test_a_clock_that_is_days_ahead_is_not_believed() -> None:
    message = MESSAGES["aml"].replace(b"top=2026", b"top=2036")
    found, warnings = opened(call_of(raw("aml", message, "m")))
    assert opened(replace(call_of(raw("aml", message, "m")), started_at=None))[0].evidence[0].observed_at is not None
    assert found.evidence[0].observed_at is None
    assert any("more than a day after the call began" in w.message for w in warnings)


def test_what_the_message_leaves_open_is_taken_from_the_report() -> None:
    found, _ = opened(call_of(raw("gad", confidence=0.68, method=PositioningMethod.NETWORK, floor="2")))
    report = found.evidence[0].content
    assert isinstance(report, DeviceReport)
    assert (report.confidence, report.method, report.floor) == (0.68, PositioningMethod.NETWORK, "2")
    found, _ = opened(call_of(raw("aml", confidence=0.9, method=PositioningMethod.NETWORK)))
    report = found.evidence[0].content
    assert isinstance(report, DeviceReport)
    assert (report.confidence, report.method) == (0.68, PositioningMethod.GNSS)


def test_a_shape_beside_a_message_counts_only_when_the_message_says_nothing() -> None:
    found, _ = opened(call_of(raw("aml", shape=HERE)))
    assert isinstance(found.evidence[0].content, DeviceReport)
    assert found.evidence[0].content.shape != HERE
    found, warnings = opened(call_of(raw("aml", b"garbage", "m", shape=HERE)))
    assert found.evidence[0].content == DeviceReport(HERE)
    assert codes(warnings) == [(WarningCode.UNUSABLE_EVIDENCE, "m")]


@pytest.mark.parametrize("name", ["pidf-lo", "held", "mlp", "rfc7105"])
def test_a_document_with_a_doctype_is_not_read(name: str) -> None:
    entities = b'<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;&b;">]>' + MESSAGES[name].partition(b"?>\n")[2]
    _, warnings = opened(call_of(raw(name, entities, "m")))
    assert codes(warnings) == [(WarningCode.UNUSABLE_EVIDENCE, "m")]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("message", [b"to whom it may concern.", b"   ", b"\xff\xfe" * 30])
def test_what_cannot_be_read_is_set_aside_with_its_name_and_format(name: str, message: bytes) -> None:
    piece = raw(name, message, "m")
    found, warnings = opened(call_of(raw("aml", evidence_id="a"), piece))
    # It stays, unread, so that it is shown as set aside.
    assert [p.evidence_id for p in found.evidence] == ["a", "m"]
    assert found.evidence[1] == piece
    assert codes(warnings) == [(WarningCode.UNUSABLE_EVIDENCE, "m")]
    assert f"the {name} message 'm' cannot be read: " in warnings[0].message
    assert warnings[0].field == "device_report.raw"


def test_a_message_that_says_no_place_is_told_as_such() -> None:
    message = b'A"ML=1;lt=+00.00000;lg=+000.00000;rd=N;top=20260314115900;lc=0;pm=N;ml=79'
    found, warnings = opened(call_of(raw("aml", message, "m")))
    assert found.evidence[0].content == raw("aml", message).content
    (warning,) = [w for w in warnings if w.code is WarningCode.UNUSABLE_EVIDENCE]
    assert "the aml message 'm' says no place" in warning.message


def test_oddities_of_a_message_are_told_with_its_name() -> None:
    found, warnings = opened(call_of(raw("aml", MESSAGES["aml"].replace(b"lc=68", b"lc=680"), "m")))
    assert isinstance(found.evidence[0].content, DeviceReport)
    assert {w.code for w in warnings} == {WarningCode.PARTLY_READ}
    assert all(w.evidence_id == "m" and w.message.startswith("aml message 'm': ") for w in warnings)
    assert any("lc" in w.message for w in warnings)


def test_a_number_in_a_message_is_the_callers_when_none_was_given() -> None:
    assert opened(call_of(raw("mlp")))[0].calling_number == "+441632960168"
    given_call = replace(call_of(raw("mlp")), calling_number="+441632960007")
    assert opened(given_call)[0].calling_number == "+441632960007"


def test_a_message_of_very_many_places_is_cut_short() -> None:
    position = MESSAGES["mlp"].partition(b"<pos>")[2].partition(b"</pos>")[0]
    message = b'<slia ver="3.5.0">' + b"<pos>%s</pos>" % position * 200 + b"</slia>"
    found, warnings = opened(call_of(raw("mlp", message, "m")))
    assert 1 <= len(found.evidence) <= 64
    assert len(warnings) <= 12


def test_an_unknown_format_is_set_aside_too() -> None:
    piece = Evidence(DeviceReport(raw=RawMessage("fax", b"x")), "m")
    found, warnings = opened(call_of(piece))
    assert found.evidence == (piece,)
    assert "'fax' is none of aml" in warnings[0].message


mutated = st.sampled_from(FORMATS).flatmap(
    lambda name: st.builds(
        lambda cut, at, byte: raw(name, bytes([*MESSAGES[name][:cut][:at], byte, *MESSAGES[name][:cut][at + 1 :]])),
        st.integers(1, len(MESSAGES[name])),
        st.integers(0, len(MESSAGES[name])),
        st.integers(0, 255),
    )
)


@given(st.lists(mutated, max_size=4))
def test_whatever_comes_the_call_stays_within_the_contract(pieces: list[Evidence]) -> None:
    call = call_of(raw("aml", evidence_id="a"), *pieces, Evidence(DeviceReport(HERE), "fix"))
    found, warnings = opened(call)
    assert [p.evidence_id for p in found.evidence][:1] == ["a"]
    assert found.evidence[-1] == Evidence(DeviceReport(HERE), "fix")
    without_ids = replace(found, evidence=tuple(replace(p, evidence_id="") for p in found.evidence))
    assert call_violations(without_ids) == []
    names = [p.evidence_id for p in found.evidence]
    assert len(names) == len(set(names))
    left = [p.evidence_id for p in found.evidence if isinstance(p.content, DeviceReport) and p.content.raw]
    assert set(left) <= {w.evidence_id for w in warnings if w.code is WarningCode.UNUSABLE_EVIDENCE}
