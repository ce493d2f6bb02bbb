"""Messages of live calls: requests to what is asked, changes and estimates to replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locsvc import model
from locsvc.calls.asked import Watch
from locsvc.calls.considered import words_of
from locsvc.calls.words import Arrival
from locsvc.errors import InvalidInput
from locsvc.formats import ranges
from locsvc.rpc.convert.calls import read_evidence, read_name, read_number, read_time
from locsvc.rpc.convert.estimates import write_estimate, write_time
from locsvc.rpc.convert.replies import write_call
from locsvc.rpc.convert.requests import read_confidence
from locsvc.rpc.convert.violations import Violations, add

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.duration_pb2 import Duration

    from locsvc.calls.outlook import Outlook
    from locsvc.calls.words import CallRecord, Given, Kept, Update
    from locsvc.v1 import call_service_pb2 as messages

DEFAULT_HEARTBEAT_S = 15.0
_HEARTBEAT_S = (0.1, 3_600.0)
_FIT_RADIUS_M = (1.0, 100_000.0)
_NO_CALL = "is required; give the call_id that the call was opened under"


def read_add(request: messages.AddEvidenceRequest, received_at: float) -> Arrival:
    """The evidence of an AddEvidence request.

    Raises
    ------
    InvalidInput
        With the path of every wrong field, from the request.
    """
    out: Violations = []
    call_id = read_name(request.call_id, out, "call_id")
    number = read_number(request.calling_number, out, "calling_number")
    if not call_id and not number:
        add(out, "call_id", "is required, unless calling_number is given; give one of them or both")
    started_at = read_time(request.started_at, out, "started_at") if request.HasField("started_at") else None
    if not 1 <= len(request.evidence) <= ranges.MAX_EVIDENCE:
        add(out, "evidence", "must have 1 to 1,000 pieces; send several requests for more")
        raise InvalidInput(out)
    evidence = tuple(read_evidence(item, out, f"evidence[{i}].") for i, item in enumerate(request.evidence))
    if out:
        raise InvalidInput(out)
    return Arrival(evidence, received_at, call_id, number, started_at)


def read_watch(request: messages.WatchLocationRequest) -> Watch:
    """What a WatchLocation request asks for.

    Raises
    ------
    InvalidInput
        With the path of every wrong field, from the request.
    """
    out: Violations = []
    call_id = _required(request.call_id, out)
    if request.after_revision < 0:
        add(out, "after_revision", "must be 0 or more: the last revision that was received; 0 for none")
    confidence = read_confidence(request.confidence, out)
    heartbeat_s = _heartbeat_s(request.heartbeat, out) if request.HasField("heartbeat") else DEFAULT_HEARTBEAT_S
    number = read_number(request.calling_number, out, "calling_number")
    fit_radius_m = request.fit_radius_m
    if fit_radius_m != 0.0 and not _FIT_RADIUS_M[0] <= fit_radius_m <= _FIT_RADIUS_M[1]:
        add(out, "fit_radius_m", "must be from 1 to 100,000 metres; leave it out for the server's")
    if out:
        raise InvalidInput(out)
    return Watch(call_id, request.after_revision, confidence, heartbeat_s, number, fit_radius_m)


def read_call_id(request: messages.GetCallRequest | messages.EndCallRequest) -> str:
    """The call of a request that names nothing else.

    Raises
    ------
    InvalidInput
        When it is missing or too long.
    """
    out: Violations = []
    call_id = _required(request.call_id, out)
    if out:
        raise InvalidInput(out)
    return call_id


def _required(call_id: str, out: Violations) -> str:
    if not call_id:
        add(out, "call_id", _NO_CALL)
    return read_name(call_id, out, "call_id")


def _heartbeat_s(message: Duration, out: Violations) -> float:
    seconds = message.seconds + message.nanos * 1e-9
    if not _HEARTBEAT_S[0] <= seconds <= _HEARTBEAT_S[1]:
        add(out, "heartbeat", "must be from 0.1 s to 1 h; leave it out for 15 s")
    return seconds


def write_kept(kept: Kept, message: messages.AddEvidenceResponse) -> None:
    """Set what became of evidence."""
    message.call_id = kept.call_id
    message.added = kept.added
    message.duplicates = kept.duplicates
    message.revision = kept.revision
    message.evidence_ids.extend(kept.evidence_ids)


def write_update(update: Update, message: messages.WatchLocationResponse) -> None:
    """Set one message of a stream."""
    message.revision = update.revision
    if update.estimate is None:
        return
    write_estimate(update.estimate, message.estimate)
    message.change = update.change
    message.evidence_ids.extend(update.evidence_ids)
    message.kind = int(update.kind)  # type: ignore[assignment]  # the words' numbers are the contract's
    if update.outlook is not None:
        write_outlook(update.outlook, message.outlook)
    message.provisional = update.provisional
    if update.changed_at is not None:
        write_time(update.changed_at, message.changed_at)


def write_outlook(outlook: Outlook, message: messages.Outlook) -> None:
    """Set an outlook."""
    message.fit_to_dispatch = outlook.fit_to_dispatch
    message.unfit_because.extend(outlook.unfit_because)
    message.fit_radius_m = outlook.fit_radius_m
    message.elapsed_s = outlook.elapsed_s
    write_time(outlook.deadline_at, message.deadline_at)
    for source in outlook.awaited:
        message.awaited.add(
            source=source.source, chance=source.chance, median_wait_s=source.median_wait_s, radius_m=source.radius_m
        )
    for prospect in outlook.prospects:
        message.prospects.add(within_s=prospect.within_s, chance=prospect.chance, radius_m=prospect.radius_m)


def write_record(record: CallRecord, given: Sequence[Given], message: messages.GetCallResponse) -> None:
    """Set what is known of a call; runs in a thread, since a call may have many thousand pieces."""
    evidence = tuple(piece for change in record.changes for piece in change.evidence)
    write_call(model.Call(record.call_id, record.calling_number, record.started_at, evidence), message.call)
    for each in given:
        write_estimate(each.estimate, message.estimates.add())
        message.estimate_revisions.append(each.revision)
    if record.ended_at is not None:
        write_time(record.ended_at, message.ended_at)
    for change in record.changes:
        target = message.changes.add(
            revision=change.revision,
            kind=int(change.kind),
            evidence_ids=[piece.evidence_id for piece in change.evidence],
            change=words_of(change),
        )
        write_time(change.at, target.changed_at)
