"""The one thread of a process that writes the journal: what waits at the moment becomes one transaction."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Final

import sqlalchemy as sa

from locsvc.calls.coding import estimate_bytes, piece_of
from locsvc.calls.database import Database, is_own_fault, reason
from locsvc.calls.faults import report
from locsvc.calls.group import Group, Row
from locsvc.calls.keeping import look_row
from locsvc.calls.schema import calls, estimates, look_ups
from locsvc.calls.wishes import Wish
from locsvc.calls.words import ChangeKind, Given, JournalState, Kept, LookUp
from locsvc.errors import FieldViolation, InvalidInput, LocsvcError, Overloaded, Unavailable
from locsvc.model import Evidence

# Pieces that may wait in memory: of 1 kB each 20 MB, and ten seconds of the heaviest load that a process takes.
MOST_WAITING: Final = 20_000
# Of long ones fewer: a message as it came has up to 64 kB. The largest arrival, 1,000 of them, fits when none waits.
MOST_WAITING_BYTES: Final = 64 << 20
# Of one transaction: those who come meanwhile wait for it, and PostgreSQL has room for some thousand locks.
_MOST_PIECES: Final = 1_000
_MOST_WISHES: Final = 500
# Estimates and look-ups wait for a moment without evidence, but no longer than this; only so many go at once, as
# evidence that comes meanwhile waits for them.
_NOTES_REST_S: Final = 0.05
_NOTES_WAIT_S: Final = 0.5
_NOTES_AT_ONCE: Final = 16
_MOST_NOTES: Final = 2_000
# A transaction that takes longer than this says that the journal is not well.
_HANGS_S: Final = 1.0
_FIRST_DELAY_S: Final = 0.02
_LONGEST_DELAY_S: Final = 1.0

Note = Given | LookUp
_KEY: Final = ("call_id", "revision", "confidence")
_CALLS_THERE = sa.select(calls.c.call_id).where(calls.c.call_id.in_(sa.bindparam("ids", expanding=True)))


class _TakenBack(Exception):  # noqa: N818 - no error
    """Ends a transaction that shall leave nothing."""


class Writer:
    """Takes wishes from any thread; answers them, by their futures, when they are on disk.

    Parameters
    ----------
    told
        Called after each transaction with the calls that it changed, and their revisions.
    audit_key
        For the numbers of look-ups.
    """

    def __init__(
        self,
        database: Database,
        window_s: float,
        audit_key: str,
        told: Callable[[Sequence[tuple[str, int]]], None],
    ) -> None:
        self._database = database
        self._window_s = window_s
        self._audit_key = audit_key
        self._told = told
        self._connection: sa.Connection | None = None
        self._changed = threading.Condition()
        self._wishes: deque[Wish] = deque()
        self._notes: deque[tuple[float, Note]] = deque()
        self._pieces = 0
        self._bytes = 0
        self._unkept = 0
        self._healthy = True
        self._last_error = ""
        # When the transaction that is under way began.
        self._began_at: float | None = None
        # When to give up; set by `close`.
        self._until: float | None = None
        self._closing = threading.Event()
        self._given_up = False
        self._under_way: Sequence[Wish] = ()
        self._no_notes_before = 0.0
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)

    def warm(self) -> None:
        """Write a call and take it back, so that the first call finds each statement compiled.

        Raises
        ------
        sqlalchemy.exc.SQLAlchemyError
            The database cannot be written.
        """
        piece = piece_of(Evidence(evidence_id="1"), 0.0)
        wishes = [
            Wish(ChangeKind.EVIDENCE, 0.0, "", "+10", pieces=(piece,)),
            Wish(ChangeKind.EVIDENCE, 0.0, "\x01", "+10", pieces=(piece,)),
        ]
        connection = self._connected()
        with contextlib.suppress(_TakenBack), self._database.writing(connection):
            for _ in range(2):
                # The second time the call is there.
                Group(self._database, connection, self._window_s).write(wishes)
            raise _TakenBack

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    @property
    def state(self) -> JournalState:
        """How the journal does now."""
        began_at = self._began_at
        hangs = began_at is not None and time.monotonic() - began_at > _HANGS_S
        return JournalState(self._healthy and not hangs, self._unkept, self._last_error)

    def put(self, wish: Wish) -> Future[Kept]:
        """The future that says when the wish is on disk."""
        # Nobody else may end it: what was taken is written, whether or not somebody waits for the answer.
        wish.kept.set_running_or_notify_cancel()
        size = max(1, len(wish.evidence))
        with self._changed:
            if self._until is not None:
                wish.kept.set_exception(Unavailable("the journal is closed: nothing more is taken"))
            elif self._pieces + size > MOST_WAITING or self._bytes + wish.weight_bytes > MOST_WAITING_BYTES:
                waiting = f"{self._pieces:,} pieces wait for the journal already, {self._bytes / 1e6:,.0f} MB"
                wish.kept.set_exception(Overloaded(f"{waiting}: send this again later", 1.0))
            else:
                self._wishes.append(wish)
                self._pieces += size
                self._bytes += wish.weight_bytes
                self._unkept += 1
                self._changed.notify()
        return wish.kept

    def note(self, note: Note) -> None:
        """Write this too when there is time."""
        with self._changed:
            # An estimate can be computed again, but who looked is told once.
            if len(self._notes) >= (_MOST_NOTES if isinstance(note, Given) else MOST_WAITING):
                return
            self._notes.append((time.monotonic(), note))
            if len(self._notes) == 1:
                self._changed.notify()

    def close(self, timeout_s: float) -> int:
        """Write what waits, if that can be done in time; how many wishes could not be kept."""
        with self._changed:
            self._until = time.monotonic() + timeout_s
            self._changed.notify()
        self._closing.set()
        if self._thread.ident is not None:
            # A moment more for what is under way; a database that hangs holds up nobody longer.
            self._thread.join(timeout_s + 0.2)
        with self._changed:
            # What is under way now is taken back, if it does not hang in the disk.
            self._given_up = True
            left = [*self._under_way, *self._wishes]
            self._wishes.clear()
            lost = self._unkept
        self._give_up(left)
        return lost

    def _run(self) -> None:
        while True:
            wishes, notes = self._take()
            if not wishes and not notes:
                break
            if wishes:
                self._keep(wishes)
            if notes:
                self._write_notes(notes)
        self._drop_connection()

    def _take(self) -> tuple[list[Wish], list[Note]]:
        """What is written next; nothing when the writer is to end."""
        with self._changed:
            while not self._wishes and self._until is None:
                rest_s = self._notes_due_s()
                if rest_s is not None and rest_s <= 0.0:
                    break
                self._changed.wait(rest_s)
            if self._until is not None and time.monotonic() > self._until:
                return [], []
            wishes = self._some_wishes()
            due_s = self._notes_due_s()
            hurry = due_s is not None and due_s < _NOTES_REST_S - _NOTES_WAIT_S
            few = _NOTES_AT_ONCE if hurry or not wishes else 0
            return wishes, [self._notes.popleft()[1] for _ in range(min(few, len(self._notes)))]

    def _notes_due_s(self) -> float | None:
        """Seconds until the oldest note is to be written; None when there is none."""
        if not self._notes:
            return None
        return max(self._notes[0][0] + _NOTES_REST_S, self._no_notes_before) - time.monotonic()

    def _some_wishes(self) -> list[Wish]:
        taken: list[Wish] = []
        pieces = 0
        while self._wishes and pieces < _MOST_PIECES and len(taken) < _MOST_WISHES:
            pieces += max(1, len(self._wishes[0].evidence))
            taken.append(self._wishes.popleft())
        return taken

    def _keep(self, wishes: Sequence[Wish]) -> None:
        self._under_way = ready = [wish for wish in wishes if self._encode(wish)]
        delay_s = _FIRST_DELAY_S
        while ready:
            try:
                self._began_at = time.monotonic()
                answers, changed = self._write(ready)
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
                self._failed(error)
                if not self._rest(delay_s):
                    self._give_up(ready)
                    return
                delay_s = min(_LONGEST_DELAY_S, 2.0 * delay_s)
            else:
                self._healthy, self._began_at = True, None
                for wish, answer in zip(ready, answers, strict=True):
                    self._answer(wish, answer)
                if changed:
                    # Whoever is not woken looks for himself.
                    with contextlib.suppress(Exception):
                        self._told(changed)
                return

    def _encode(self, wish: Wish) -> bool:
        """Encode the pieces before the transaction, which others wait for; False when that cannot be."""
        try:
            wish.pieces = tuple(piece_of(piece, wish.at) for piece in wish.evidence)
        except LocsvcError as error:
            self._answer(wish, error)
            return False
        except Exception as error:  # noqa: BLE001 - the thread must live: it costs this wish only
            report("a piece that is to be written", error)
            self._answer(wish, LocsvcError("the evidence met a fault of the server; it is in the server's log"))
            return False
        return True

    def _write(self, wishes: Sequence[Wish]) -> tuple[list[Kept | LocsvcError], list[tuple[str, int]]]:
        connection = self._connected()
        try:
            with self._database.writing(connection):
                group = Group(self._database, connection, self._window_s)
                answers = group.write(wishes)
                if self._given_up:
                    raise _TakenBack
        except Exception as error:
            if self._given_up or not is_own_fault(error):
                raise
            return self._write_each(wishes)
        return answers, group.changed()

    def _write_each(self, wishes: Sequence[Wish]) -> tuple[list[Kept | LocsvcError], list[tuple[str, int]]]:
        """Each wish behind a savepoint: what cannot be written costs itself only."""
        answers: list[Kept | LocsvcError] = []
        changed: list[tuple[str, int]] = []
        connection = self._connected()
        with self._database.writing(connection):
            for wish in wishes:
                group = Group(self._database, connection, self._window_s)
                try:
                    with connection.begin_nested():
                        answers += group.write([wish])
                except Exception as error:
                    if not is_own_fault(error):
                        raise
                    answers.append(_refusal(error))
                else:
                    changed += group.changed()
        return answers, changed

    def _answer(self, wish: Wish, answer: Kept | LocsvcError) -> None:
        with self._changed:
            self._pieces -= max(1, len(wish.evidence))
            self._bytes -= wish.weight_bytes
            self._unkept -= 1
        # It is done already when the journal was closed meanwhile.
        with contextlib.suppress(InvalidStateError):
            if isinstance(answer, Kept):
                wish.kept.set_result(answer)
            else:
                wish.kept.set_exception(answer)

    def _give_up(self, wishes: Sequence[Wish]) -> None:
        because = f": {self._last_error}" if self._last_error and not self._healthy else ""
        for wish in wishes:
            with contextlib.suppress(InvalidStateError):
                wish.kept.set_exception(Unavailable(f"the journal was closed before this could be kept{because}"))

    def _write_notes(self, notes: Sequence[Note]) -> None:
        rows: dict[tuple[str, int, float], Row] = {}
        looks: list[Row] = []
        for note in notes:
            try:
                if isinstance(note, Given):
                    rows[note.call_id, note.revision, note.estimate.confidence] = _estimate_row(note)
                else:
                    looks.append(look_row(note, self._audit_key))
            except Exception as error:  # noqa: BLE001 - as above: it costs this note only
                report("a note that is to be written", error)
        try:
            connection = self._connected()
            with self._database.writing(connection, lazily=True):
                self._write_estimates(connection, list(rows.values()))
                if looks:
                    connection.execute(sa.insert(look_ups), looks)
        except Exception as error:  # noqa: BLE001 - an estimate that is not kept is computed again; the thread must live
            self._failed(error)
            if not is_own_fault(error):
                self._no_notes_before = time.monotonic() + _LONGEST_DELAY_S
                with self._changed:
                    self._notes.extendleft((time.monotonic(), note) for note in reversed(notes))

    def _write_estimates(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        ids = sorted({str(row["call_id"]) for row in rows})
        if not ids:
            return
        # A call that was erased meanwhile stays erased.
        self._database.lock(connection, "call", ids)
        there = set(connection.scalars(_CALLS_THERE, {"ids": ids}))
        left = [row for row in rows if row["call_id"] in there]
        if left:
            insert = self._database.insert(estimates)
            again = {"at": insert.excluded.at, "body": insert.excluded.body}
            connection.execute(insert.on_conflict_do_update(index_elements=list(_KEY), set_=again), left)

    def _connected(self) -> sa.Connection:
        if self._connection is None:
            self._connection = self._database.writer()
        return self._connection

    def _drop_connection(self) -> None:
        """What has failed once is opened anew: a file may have been moved, a server restarted."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.invalidate()
            with contextlib.suppress(Exception):
                connection.close()

    def _failed(self, error: BaseException) -> None:
        self._healthy, self._began_at = False, None
        self._last_error = reason(error)
        self._drop_connection()

    def _rest(self, delay_s: float) -> bool:
        """Wait before the next attempt; False when there shall be none."""
        if not self._closing.wait(delay_s):
            return True
        left_s = (self._until or 0.0) - time.monotonic()
        time.sleep(max(0.0, min(delay_s, left_s)))
        return left_s > 0.0


def _estimate_row(given: Given) -> Row:
    return {
        "call_id": given.call_id,
        "revision": given.revision,
        "confidence": given.estimate.confidence,
        "at": given.at,
        "body": estimate_bytes(given.estimate),
    }


def _refusal(error: BaseException) -> LocsvcError:
    if isinstance(error, LocsvcError):
        return error
    if isinstance(error, sa.exc.DBAPIError):
        return InvalidInput([FieldViolation("evidence", f"the journal refuses it: {reason(error)}")])
    return LocsvcError(f"a fault in the journal: {error!r}")
