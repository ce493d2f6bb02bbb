"""The journal of live calls: what has arrived and what was answered, safe on disk, for all processes that share it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from locsvc.calls.matching import DEFAULT_WINDOW_S
from locsvc.calls.words import Arrival, CallRecord, CallSummary, ChangeKind, Given, JournalState, Kept, LookUp
from locsvc.errors import FieldViolation, InvalidInput, LocsvcError, Unavailable
from locsvc.model import Evidence

# SQLAlchemy takes half a second to import: whoever opens a journal pays, not whoever only knows its words.
if TYPE_CHECKING:
    import sqlalchemy as sa

    from locsvc.calls.database import Database
    from locsvc.calls.wakes import Wakes
    from locsvc.calls.writer import Writer

# Clean-up that the writers do not wait for.
_TIDY_EVERY_S: Final = 2.0


class Journal:
    """A journal that is open; use it from any thread.

    What changes it returns a future, which is done when the change is on disk, and cannot be cancelled; it fails with
    InvalidInput, Overloaded, Unavailable (it will not be tried again) or NotFound. What reads it blocks, and raises
    Unavailable. Made by `open`.

    Attributes
    ----------
    on_change
        Called with a call and its revision when another process has changed it, from a thread of the journal; with
        revision 0 when the call was erased or purged, by this process too.
    """

    def __init__(self, database: Database, window_s: float) -> None:
        from locsvc.calls.opening import audit_key
        from locsvc.calls.wakes import Wakes
        from locsvc.calls.writer import Writer

        self.on_change: Callable[[str, int], None] | None = None
        self._database = database
        self._audit_key = audit_key(database)
        self._wakes: Wakes = Wakes(database, self._tell)
        self._writer: Writer = Writer(database, window_s, self._audit_key, self._wakes.committed)
        self._closing = threading.Event()
        self._tidier = threading.Thread(target=self._tidy, name="journal-tidy", daemon=True)

    @classmethod
    def open(cls, url: str | Path, *, match_window_s: float = DEFAULT_WINDOW_S) -> Self:
        """The journal at a path, `sqlite:///PATH` or `postgresql://...`; made when it is not there.

        Parameters
        ----------
        match_window_s
            Evidence that names only a number belongs to a call of the number that began as long before or after it.

        Raises
        ------
        ConfigError
            There can be no journal there, or it is of a newer schema.
        Unavailable
            It cannot be reached or opened now.
        """
        from locsvc.calls.opening import open_database

        database = open_database(url)
        try:
            with _reachable():
                journal = cls(database, match_window_s)
                journal._writer.warm()
        except LocsvcError:
            database.close()
            raise
        journal._writer.start()
        journal._wakes.start()
        journal._tidier.start()
        return journal

    def add(self, arrival: Arrival) -> Future[Kept]:
        """Evidence for a call, which it opens when it is new, or for a number, whose call may come later."""
        kind = ChangeKind.EVIDENCE if arrival.evidence else ChangeKind.OPENED
        if not arrival.call_id and not arrival.calling_number:
            violation = FieldViolation("call_id", "is required where there is no calling_number")
            return _failed(InvalidInput([violation]))
        if not arrival.call_id and not arrival.evidence:
            return _failed(InvalidInput([FieldViolation("evidence", "is required where there is no call_id")]))
        return self._wish(
            kind,
            arrival.call_id,
            arrival.received_at,
            arrival.calling_number,
            arrival.started_at,
            arrival.evidence,
        )

    def open_call(self, call_id: str, calling_number: str, started_at: float | None, at: float) -> Future[Kept]:
        """A call that is watched; nothing new when it is known, but that it may get its number."""
        return self._wish(ChangeKind.OPENED, call_id, at, calling_number, started_at)

    def tell_deadline(self, call_id: str, at: float) -> Future[Kept]:
        """The revision of the deadline, made once; an ended call has none any more."""
        return self._wish(ChangeKind.DEADLINE, call_id, at)

    def end(self, call_id: str, at: float) -> Future[Kept]:
        """The end of a call, made once."""
        return self._wish(ChangeKind.ENDED, call_id, at)

    def give(self, given: Given) -> None:
        """Keep an estimate that was given; of a revision and confidence the newest is kept."""
        self._writer.note(given)

    def look(self, look_up: LookUp) -> None:
        """Keep who looked at whose data."""
        self._writer.note(look_up)

    def record(self, call_id: str, after_revision: int = 0) -> CallRecord | None:
        """A call with its changes after a revision; None when it is unknown."""
        from locsvc.calls import reading

        with self._reading() as connection:
            return reading.record(connection, call_id, after_revision)

    def given(self, call_id: str) -> list[Given]:
        """The estimates given for a call, by revision and confidence."""
        from locsvc.calls import reading

        with self._reading() as connection:
            return reading.given(connection, call_id)

    def live(self, since: float) -> list[CallRecord]:
        """Calls that have not ended and began after a time, oldest first, without their changes."""
        from locsvc.calls import reading

        with self._reading() as connection:
            return reading.live(connection, since)

    def calls(
        self,
        *,
        since: float | None = None,
        until: float | None = None,
        calling_number: str = "",
        live_only: bool = False,
        limit: int = 100,
    ) -> list[CallSummary]:
        """Calls of a time and number, newest first."""
        from locsvc.calls import reading

        with self._reading() as connection:
            return reading.summaries(connection, since, until, calling_number, limit, live_only=live_only)

    def arrivals(self, since: float | None) -> Iterator[CallRecord]:
        """Calls that began after a time, with all of their changes."""
        from locsvc.calls import reading

        with _reachable():
            yield from reading.whole_calls(self._database.engine, since)

    def erase(self, calling_number: str, who: str, at: float) -> int:
        """How many calls of a number were erased, with all that was said of them; the audit says by whom."""
        from locsvc.calls import keeping

        look_up = LookUp(at, who, "erase", "", calling_number)
        with _reachable(), self._database.writer() as connection:
            row = keeping.look_row(look_up, self._audit_key)
            gone = keeping.erase(self._database, connection, calling_number, row)
        with _reachable():
            self._database.forget()
        self._gone(gone)
        return len(gone)

    def purge(self, before: float, who: str, at: float) -> int:
        """How many calls that ended before a time were deleted; evidence that has waited as long goes with them.

        The audit says by whom, and how many, where there were any.
        """
        from locsvc.calls import keeping

        purged = 0
        with _reachable(), self._database.writer() as connection:
            for some in keeping.purge(self._database, connection, before, who, at):
                purged += len(some)
                self._gone(some)
        return purged

    def audit(self, limit: int = 100) -> list[LookUp]:
        """The newest look-ups and erasures, newest first; numbers as keyed hashes."""
        from locsvc.calls import keeping

        with self._reading() as connection:
            return keeping.audit(connection, limit)

    @property
    def state(self) -> JournalState:
        """How the journal does now."""
        return self._writer.state

    def close(self, timeout_s: float = 5.0) -> int:
        """How many wishes could not be kept; what waits is written first, if that can be done in time."""
        if self._closing.is_set():
            return 0
        lost = self._writer.close(timeout_s)
        self._closing.set()
        self._wakes.close()
        if self._tidier.ident is not None:
            self._tidier.join(2.0)
        self._database.close()
        return lost

    def _wish(
        self,
        kind: ChangeKind,
        call_id: str,
        at: float,
        calling_number: str = "",
        started_at: float | None = None,
        evidence: tuple[Evidence, ...] = (),
    ) -> Future[Kept]:
        from locsvc.calls.coding import check_keys, check_pieces
        from locsvc.calls.wishes import Wish

        try:
            check_keys(call_id, calling_number, {"received_at": at, "started_at": started_at})
            check_pieces(evidence)
        except InvalidInput as error:
            return _failed(error)
        return self._writer.put(Wish(kind, at, call_id, calling_number, started_at, evidence))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with _reachable(), self._database.engine.connect() as connection:
            yield connection

    def _tell(self, call_id: str, revision: int) -> None:
        if revision == 0:
            self._database.forget_soon()
        if self.on_change is not None:
            # An event loop that has been closed refuses: nobody listens any more.
            with contextlib.suppress(RuntimeError):
                self.on_change(call_id, revision)

    def _gone(self, call_ids: Sequence[str]) -> None:
        gone = [(call_id, 0) for call_id in call_ids]
        self._wakes.committed(gone)
        for call_id, revision in gone:
            self._tell(call_id, revision)

    def _tidy(self) -> None:
        while not self._closing.wait(_TIDY_EVERY_S):
            # What fails now is done next time; whoever writes sees the fault.
            with contextlib.suppress(Exception):
                self._database.tidy()


@contextlib.contextmanager
def _reachable() -> Iterator[None]:
    import sqlalchemy as sa

    from locsvc.calls.database import reason

    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise Unavailable(f"the journal cannot be reached: {reason(error)}") from error


def _failed(error: LocsvcError) -> Future[Kept]:
    future: Future[Kept] = Future()
    future.set_exception(error)
    return future
