"""What the journal can be asked about its calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa

from locsvc.calls.coding import estimate_of, evidence_of
from locsvc.calls.schema import calls, changes, estimates, evidence
from locsvc.calls.words import CallRecord, CallSummary, Change, ChangeKind, Given
from locsvc.model import Evidence

_CALLS_AT_ONCE: Final = 200

_HEAD = sa.select(
    calls.c.call_id,
    calls.c.calling_number,
    calls.c.started_at,
    calls.c.revision,
    calls.c.ended_at,
    calls.c.deadline_told,
)
_ONE = _HEAD.where(calls.c.call_id == sa.bindparam("call_id"))
_LIVE = _HEAD.where(calls.c.ended_at.is_(None), calls.c.started_at >= sa.bindparam("since")).order_by(
    calls.c.started_at
)
_CHANGES = (
    sa.select(changes.c.call_id, changes.c.revision, changes.c.kind, changes.c.at, changes.c.calling_number)
    .where(
        changes.c.call_id.in_(sa.bindparam("ids", expanding=True)),
        changes.c.revision > sa.bindparam("after"),
        changes.c.revision <= sa.bindparam("upto"),
    )
    .order_by(changes.c.call_id, changes.c.revision)
)
_EVIDENCE = (
    sa.select(evidence.c.call_id, evidence.c.revision, evidence.c.evidence_id, evidence.c.observed_at, evidence.c.body)
    .where(
        evidence.c.call_id.in_(sa.bindparam("ids", expanding=True)),
        evidence.c.revision > sa.bindparam("after"),
        evidence.c.revision <= sa.bindparam("upto"),
    )
    .order_by(evidence.c.call_id, evidence.c.revision, evidence.c.place)
)
_GIVEN = (
    sa.select(estimates.c.call_id, estimates.c.revision, estimates.c.at, estimates.c.body)
    .where(estimates.c.call_id == sa.bindparam("call_id"))
    .order_by(estimates.c.revision, estimates.c.confidence)
)
# More revisions than a call can have.
_ALL: Final = 2**31 - 1


def record(connection: sa.Connection, call_id: str, after_revision: int) -> CallRecord | None:
    """A call with its changes after a revision; None when it is unknown."""
    head = connection.execute(_ONE, {"call_id": call_id}).one_or_none()
    if head is None:
        return None
    # Changes that were written since the head was read are not of this record.
    made = _changes(connection, [call_id], after_revision, head.revision)
    return CallRecord(*head, changes=tuple(made.get(call_id, ())))


def _changes(connection: sa.Connection, ids: list[str], after: int, upto: int = _ALL) -> dict[str, list[Change]]:
    sought = {"ids": ids, "after": after, "upto": upto}
    pieces: dict[tuple[str, int], list[Evidence]] = {}
    made: dict[str, list[Change]] = {}
    rows = connection.execute(_CHANGES, sought).all()
    for row in connection.execute(_EVIDENCE, sought):
        read = evidence_of(row.body, row.evidence_id, row.observed_at)
        pieces.setdefault((row.call_id, row.revision), []).append(read)
    for row in rows:
        new = tuple(pieces.get((row.call_id, row.revision), ()))
        change = Change(row.revision, ChangeKind(row.kind), row.at, new, row.calling_number)
        made.setdefault(row.call_id, []).append(change)
    return made


def given(connection: sa.Connection, call_id: str) -> list[Given]:
    """The estimates of a call, by revision and confidence."""
    rows = connection.execute(_GIVEN, {"call_id": call_id})
    return [Given(row.call_id, row.revision, row.at, estimate_of(row.body)) for row in rows]


def live(connection: sa.Connection, since: float) -> list[CallRecord]:
    """Calls that have not ended and began after a time, oldest first, without their changes."""
    return [CallRecord(*row) for row in connection.execute(_LIVE, {"since": since})]


def summaries(
    connection: sa.Connection,
    since: float | None,
    until: float | None,
    calling_number: str,
    limit: int,
    *,
    live_only: bool,
) -> list[CallSummary]:
    """Calls of a time and number, newest first."""
    query = sa.select(
        calls.c.call_id,
        calls.c.calling_number,
        calls.c.started_at,
        calls.c.ended_at,
        calls.c.revision,
        calls.c.pieces,
    )
    if since is not None:
        query = query.where(calls.c.started_at >= since)
    if until is not None:
        query = query.where(calls.c.started_at < until)
    if calling_number:
        query = query.where(calls.c.calling_number == calling_number)
    if live_only:
        query = query.where(calls.c.ended_at.is_(None))
    newest = query.order_by(calls.c.started_at.desc(), calls.c.call_id).limit(limit)
    return [CallSummary(*row) for row in connection.execute(newest)]


def whole_calls(engine: sa.Engine, since: float | None) -> Iterator[CallRecord]:
    """Calls with all of their changes, by name; a part of them is in memory at a time."""
    last = ""
    while True:
        with engine.connect() as connection:
            query = _HEAD.where(calls.c.call_id > last).order_by(calls.c.call_id).limit(_CALLS_AT_ONCE)
            heads = connection.execute(query if since is None else query.where(calls.c.started_at >= since)).all()
            if not heads:
                return
            made = _changes(connection, [head.call_id for head in heads], 0)
        for head in heads:
            of_call = (change for change in made.get(head.call_id, ()) if change.revision <= head.revision)
            yield CallRecord(*head, changes=tuple(of_call))
        last = heads[-1].call_id
