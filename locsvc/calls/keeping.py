"""What is kept how long, who looked, and what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from locsvc.calls.coding import number_hash
from locsvc.calls.database import Database
from locsvc.calls.schema import calls, changes, estimates, evidence, look_ups, waiting
from locsvc.calls.words import LookUp

# Calls of one transaction: those that live wait for it.
_CALLS_AT_ONCE: Final = 20
# Whoever should have ended a call may never do it: after so long without a change it is over all the same.
ABANDONED_S: Final = 86_400.0
_OF_CALL: Final = (changes, evidence, estimates, calls)


def erase(database: Database, connection: sa.Connection, calling_number: str, look_row: dict[str, object]) -> list[str]:
    """Names of the calls of a number, which are gone with all that was said of them, and all that waited for it."""
    erased: list[str] = []
    some = sa.select(calls.c.call_id).where(calls.c.calling_number == calling_number).limit(_CALLS_AT_ONCE)
    with database.writing(connection):
        connection.execute(sa.insert(look_ups), look_row)
    while True:
        with database.writing(connection):
            database.lock(connection, "number", [calling_number])
            connection.execute(sa.delete(waiting).where(waiting.c.calling_number == calling_number))
            found = list(connection.scalars(some))
            _delete(database, connection, found)
        if not found:
            return erased
        erased += found


def purge(database: Database, connection: sa.Connection, before: float, who: str, at: float) -> Iterator[list[str]]:
    """Names of the calls that ended before a time, part by part as they are deleted; what waited as long goes too.

    A call that nobody ended counts as ended a day after its last change. How many are gone is in the audit, by the
    transactions that take them; nothing is where nothing was old.
    """
    note = _PurgeNote(connection, look_row(LookUp(at, who, ""), ""))
    quiet_since = before - ABANDONED_S
    lives = sa.exists().where(changes.c.call_id == calls.c.call_id, changes.c.at >= quiet_since)
    abandoned = sa.and_(calls.c.ended_at.is_(None), calls.c.started_at < quiet_since, ~lives)
    over = sa.select(calls.c.call_id).where(sa.or_(calls.c.ended_at < before, abandoned))
    over = over.order_by(calls.c.call_id).limit(_CALLS_AT_ONCE)
    while True:
        with database.writing(connection):
            some = list(connection.scalars(over))
            _delete(database, connection, some)
            waited = 0
            if not some:
                waited = connection.execute(sa.delete(waiting).where(waiting.c.received_at < before)).rowcount
            note.add(len(some), waited)
        if not some:
            return
        yield some


class _PurgeNote:
    """The row of the audit that one purge has: made with the first part, and counted on with each other."""

    def __init__(self, connection: sa.Connection, row: dict[str, object]) -> None:
        self._connection = connection
        self._row = row
        self._look_up_id: int | None = None
        self._calls = 0

    def add(self, gone: int, waited: int) -> None:
        """Count what this transaction deletes: calls, and pieces that no call took."""
        self._calls += gone
        if not gone and not waited:
            return
        pieces = f", waiting pieces: {waited}" if waited else ""
        row = self._row | {"method": f"purge (calls: {self._calls}{pieces})"}
        if self._look_up_id is None:
            made = self._connection.execute(sa.insert(look_ups), row)
            self._look_up_id = made.inserted_primary_key[0] if made.inserted_primary_key else None
        else:
            here = look_ups.c.look_up_id == self._look_up_id
            self._connection.execute(sa.update(look_ups).where(here).values(method=row["method"]))


def _delete(database: Database, connection: sa.Connection, call_ids: Sequence[str]) -> None:
    if not call_ids:
        return
    database.lock(connection, "call", call_ids)
    for table in _OF_CALL:
        connection.execute(sa.delete(table).where(table.c.call_id.in_(call_ids)))


def look_row(look_up: LookUp, audit_key: str) -> dict[str, object]:
    """A look-up as it is written, with the number as a keyed hash."""
    return {
        "at": look_up.at,
        # PostgreSQL has no text with it, and one look-up must not cost those that are written with it.
        "who": look_up.who.replace("\0", "\ufffd"),
        "method": look_up.method,
        "call_id": look_up.call_id.replace("\0", "\ufffd"),
        "number_hash": number_hash(audit_key, look_up.calling_number),
    }


def audit(connection: sa.Connection, limit: int) -> list[LookUp]:
    """The newest look-ups, newest first; numbers as keyed hashes."""
    newest = sa.select(look_ups).order_by(look_ups.c.at.desc(), look_ups.c.look_up_id.desc()).limit(limit)
    return [LookUp(row.at, row.who, row.method, row.call_id, row.number_hash) for row in connection.execute(newest)]
