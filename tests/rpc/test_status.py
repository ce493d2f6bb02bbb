"""The table of errors against gRPC's own codes, and statuses there and back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2

from locsvc import errors
from locsvc.errors import MEANINGS, FieldViolation, InvalidInput, LocsvcError, Overloaded
from locsvc.rpc.status import CODES, DOMAIN, MAX_DETAIL_BYTES, reason_status, status_of

REASON = re.compile(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]")


def made(error_class: type[LocsvcError]) -> LocsvcError:
    if error_class is InvalidInput:
        return InvalidInput([FieldViolation("call", "is required; send a call")])
    return error_class("a sentence for a person")


def test_every_error_class_is_in_the_table() -> None:
    classes = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, LocsvcError)}
    assert classes == set(MEANINGS)


@pytest.mark.parametrize("error_class", MEANINGS, ids=lambda c: c.__name__)
def test_meaning_is_a_status_of_grpc(error_class: type[LocsvcError]) -> None:
    meaning = MEANINGS[error_class]
    code = grpc.StatusCode[meaning.grpc_status]
    assert REASON.fullmatch(meaning.reason)
    status = status_of(made(error_class))
    assert CODES[status.code] is code
    reason = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(reason)
    assert (reason.reason, reason.domain) == (meaning.reason, DOMAIN)
    kinds = [d.type_url for d in status.details]
    assert len(kinds) == len(set(kinds)), "each kind of detail at most once (AIP-193)"


def test_reasons_are_unique() -> None:
    reasons = [m.reason for m in MEANINGS.values()]
    assert len(reasons) == len(set(reasons))


def test_status_codes_are_those_of_the_vectors(shared: Path) -> None:
    rows = json.loads((shared / "standards" / "vectors" / "grpc.json").read_text(encoding="utf-8"))
    for row in rows:
        if row["kind"] == "status_code":
            assert CODES[row["input"]].name == row["expected"]["name"]
        if row["kind"] == "errorinfo_reason_valid":
            assert bool(REASON.fullmatch(row["input"])) is row["expected"]


def test_what_is_tried_again_follows_the_vectors(shared: Path) -> None:
    rows = json.loads((shared / "standards" / "vectors" / "grpc.json").read_text(encoding="utf-8"))
    automatic = {r["expected"]["name"] for r in rows if r["kind"] == "status_code" and r["expected"]["auto_retry"]}
    # Overload is tried again too, but after the delay that the server names, never at once.
    assert {m.grpc_status for m in MEANINGS.values() if m.retry} == automatic | {"RESOURCE_EXHAUSTED"}


def test_overload_says_when_to_come_back() -> None:
    retry = error_details_pb2.RetryInfo()
    assert status_of(Overloaded("full", 0.25)).details[1].Unpack(retry)
    assert retry.retry_delay.ToMilliseconds() == 250


def test_details_stay_below_what_peers_take() -> None:
    status = status_of(
        InvalidInput([FieldViolation(f"call.evidence[{n}].device_report.confidence", "w" * 80) for n in range(999)])
    )
    assert status.ByteSize() < MAX_DETAIL_BYTES + 1_000
    assert "and 996 more" in status.message


def test_reason_status_carries_its_reason() -> None:
    status = reason_status(grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED", "later")
    reason = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(reason)
    assert (status.code, reason.reason) == (12, "NOT_SERVED")
