"""What a transaction of the journal asks and writes; each statement serves all wishes of the transaction."""

from __future__ import annotations

import sqlalchemy as sa

from locsvc.calls.schema import calls, changes, evidence, waiting

_BY_NUMBER = (
    sa.select(
        calls.c.call_id,
        sa.func.row_number()
        .over(partition_by=calls.c.calling_number, order_by=calls.c.started_at.desc())
        .label("place"),
    )
    .where(
        calls.c.calling_number.in_(sa.bindparam("numbers", expanding=True)),
        calls.c.started_at >= sa.bindparam("earliest"),
        # Those that are over and out of the window can be nobody's.
        sa.or_(calls.c.ended_at.is_(None), calls.c.started_at >= sa.bindparam("within")),
    )
    .subquery()
)
# The newest few of each number: each is locked, and a number that calls again and again has thousands.
WHO_CALLED = sa.select(_BY_NUMBER.c.call_id).where(_BY_NUMBER.c.place <= 3)
CALLS = sa.select(
    calls.c.call_id,
    calls.c.calling_number,
    calls.c.started_at,
    calls.c.revision,
    calls.c.pieces,
    calls.c.ended_at,
    calls.c.deadline_told,
).where(calls.c.call_id.in_(sa.bindparam("ids", expanding=True)))
KNOWN = sa.select(evidence.c.name_key, evidence.c.content_key, evidence.c.evidence_id).where(
    sa.or_(
        evidence.c.name_key.in_(sa.bindparam("names", expanding=True)),
        evidence.c.content_key.in_(sa.bindparam("contents", expanding=True)),
    )
)
WAITS = sa.select(
    waiting.c.waiting_id,
    waiting.c.calling_number,
    waiting.c.received_at,
    waiting.c.evidence_id,
    waiting.c.observed_at,
    waiting.c.fingerprint,
    waiting.c.body,
).where(
    waiting.c.calling_number.in_(sa.bindparam("numbers", expanding=True)),
    waiting.c.received_at >= sa.bindparam("earliest"),
)
WAITS_ALREADY = sa.select(waiting.c.name_key, waiting.c.content_key, waiting.c.evidence_id).where(
    waiting.c.received_at >= sa.bindparam("earliest"),
    sa.or_(
        waiting.c.name_key.in_(sa.bindparam("names", expanding=True)),
        waiting.c.content_key.in_(sa.bindparam("contents", expanding=True)),
    ),
)
NEW_CALL = sa.insert(calls)
CHANGED_CALL = (
    sa.update(calls)
    .where(calls.c.call_id == sa.bindparam("of_call"))
    .values(
        {name: sa.bindparam(name) for name in ("calling_number", "revision", "pieces", "ended_at", "deadline_told")}
    )
)
NEW_CHANGES = sa.insert(changes)
NEW_EVIDENCE = sa.insert(evidence)
NEW_WAITING = sa.insert(waiting)
NOT_WAITING = sa.delete(waiting).where(waiting.c.waiting_id == sa.bindparam("gone"))
