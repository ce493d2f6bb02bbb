"""Messages of the field as evidence, from a client through gRPC to the answer."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from locsvc.geo import distance_m
from locsvc.v1 import call_pb2, estimate_pb2
from locsvc.v1.location_service_pb2 import BatchResolveLocationsRequest, ResolveLocationRequest
from tests.messages import MESSAGES

Running = Any
THREE = ("aml", "pidf-lo", "ali")
NOON_S = 1_773_489_600
HERE = (54.9977, 2.4952)


def call_of(messages: dict[str, bytes]) -> call_pb2.Call:
    """A call whose evidence is nothing but messages, each named by its format."""
    call = call_pb2.Call(call_id="c-1")
    call.started_at.seconds = NOON_S
    for name, message in messages.items():
        piece = call.evidence.add(evidence_id=f"the-{name}")
        piece.device_report.raw.format = name
        piece.device_report.raw.bytes = message
    return call


async def answer_of(served: Running, call: call_pb2.Call) -> estimate_pb2.LocationEstimate:
    response = await served.location.ResolveLocation(ResolveLocationRequest(call=call), timeout=60)
    estimate: estimate_pb2.LocationEstimate = response.estimate
    return estimate


def away_m(estimate: estimate_pb2.LocationEstimate) -> float:
    return float(distance_m(*HERE, estimate.position.latitude_deg, estimate.position.longitude_deg))


def became(estimate: estimate_pb2.LocationEstimate) -> dict[str, str]:
    """Evidence -> what became of it."""
    return {c.evidence_id: estimate_pb2.Disposition.Name(c.disposition) for c in estimate.contributions}


async def test_three_messages_of_three_formats_make_one_answer(served: Running) -> None:
    estimate = await answer_of(served, call_of({name: MESSAGES[name] for name in THREE}))
    assert estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    assert away_m(estimate) < 30.0
    assert set(became(estimate)) == {"the-aml", "the-pidf-lo", "the-ali"}
    assert "DISPOSITION_SET_ASIDE" not in became(estimate).values()
    assert estimate_pb2.WARNING_CODE_UNUSABLE_EVIDENCE not in {w.code for w in estimate.warnings}


@pytest.mark.parametrize("cut", THREE)
async def test_a_message_cut_in_half_costs_a_warning_and_not_the_answer(served: Running, cut: str) -> None:
    messages = {name: MESSAGES[name] for name in THREE}
    messages[cut] = messages[cut][: len(messages[cut]) // 2]
    estimate = await answer_of(served, call_of(messages))
    assert estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    assert away_m(estimate) < 30.0
    odd = {estimate_pb2.WARNING_CODE_UNUSABLE_EVIDENCE, estimate_pb2.WARNING_CODE_PARTLY_READ}
    named = [w for w in estimate.warnings if w.evidence_id == f"the-{cut}" and w.code in odd]
    assert named
    assert any(f"{cut} message 'the-{cut}'" in w.message for w in named)
    others = [piece for name, piece in became(estimate).items() if not name.startswith(f"the-{cut}")]
    assert len(others) == 2
    assert "DISPOSITION_SET_ASIDE" not in others


async def test_one_message_that_is_garbage_is_shown_as_set_aside(served: Running) -> None:
    messages = {"aml": MESSAGES["aml"], "pidf-lo": b"%PDF-1.7", "ali": MESSAGES["ali"]}
    estimate = await answer_of(served, call_of(messages))
    assert estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    assert away_m(estimate) < 30.0
    (piece,) = [c for c in estimate.contributions if c.evidence_id == "the-pidf-lo"]
    assert piece.disposition == estimate_pb2.DISPOSITION_SET_ASIDE
    assert piece.reason == estimate_pb2.REASON_INVALID
    # Told once, by name, format and reason.
    (warning,) = [w for w in estimate.warnings if w.evidence_id == "the-pidf-lo"]
    assert warning.code == estimate_pb2.WARNING_CODE_UNUSABLE_EVIDENCE
    assert warning.message.startswith("the pidf-lo message 'the-pidf-lo' cannot be read: ")


@pytest.mark.parametrize("name", [name for name in MESSAGES if name not in {"rfc7105", "access-network"}])
async def test_a_message_of_each_format_locates_by_itself(served: Running, name: str) -> None:
    estimate = await answer_of(served, call_of({name: MESSAGES[name]}))
    assert estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    assert away_m(estimate) < 300.0


@pytest.mark.parametrize("name", ["rfc7105", "access-network"])
async def test_a_cell_in_a_message_is_looked_up(served: Running, name: str) -> None:
    estimate = await answer_of(served, call_of({name: MESSAGES[name]}))
    assert estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    assert estimate.contributions[0].kind == estimate_pb2.EVIDENCE_KIND_CELL_SCAN
    assert away_m(estimate) < 10_000.0


async def test_a_message_costs_no_other_call_of_its_batch(served: Running) -> None:
    calls = [call_of({"aml": MESSAGES["aml"]}), call_of({"aml": b"\xff" * 60_000}), call_of({"ali": MESSAGES["ali"]})]
    response = await served.location.BatchResolveLocations(BatchResolveLocationsRequest(calls=calls), timeout=60)
    outcomes = [result.estimate.outcome for result in response.results]
    located, nowhere = estimate_pb2.OUTCOME_LOCATED, estimate_pb2.OUTCOME_NO_LOCATION
    assert outcomes == [located, nowhere, located]


async def test_an_unknown_format_is_refused_by_its_field(served: Running) -> None:
    call = call_of({"fax": b"x"})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answer_of(served, call)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    bad = error_details_pb2.BadRequest()
    status = rpc_status.from_call(caught.value)
    assert any(detail.Unpack(bad) for detail in status.details)
    (violation,) = bad.field_violations
    assert violation.field == "call.evidence[0].device_report.raw.format"
    assert "aml, pidf-lo, held, sip, gad, ali, mlp, access-network, rfc7105" in violation.description
