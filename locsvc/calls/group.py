"""One transaction of the journal: all wishes that waited, as a few statements for all of them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa

from locsvc.calls import statements
from locsvc.calls.coding import Piece, evidence_of, key_of
from locsvc.calls.database import Database
from locsvc.calls.matching import belongs, earliest_start, meant
from locsvc.calls.wishes import Wish
from locsvc.calls.words import CallRecord, Change, ChangeKind, Kept
from locsvc.errors import LocsvcError, NotFound

Row = dict[str, object]


@dataclass(slots=True, eq=False)
class _Call:
    """A call as the transaction leaves it."""

    call_id: str
    calling_number: str
    started_at: float
    revision: int
    pieces: int
    ended_at: float | None
    deadline_told: bool
    is_new: bool = False
    changed: bool = False

    def record(self, made: Sequence[Change]) -> CallRecord:
        return CallRecord(
            self.call_id,
            self.calling_number,
            self.started_at,
            self.revision,
            self.ended_at,
            self.deadline_told,
            tuple(made),
        )


@dataclass(slots=True, eq=False)
class _Waiting:
    """A piece that waits for its call."""

    calling_number: str
    received_at: float
    piece: Piece
    waiting_id: int | None = None
    taken: bool = False


@dataclass(slots=True, eq=False)
class _Step:
    """A wish, and what it means to the calls: the call, evidence that waited for it, what it is the first to say."""

    wish: Wish
    call: _Call | None
    waited: list[_Waiting]
    opens: bool = False
    numbers: bool = False
    ends: bool = False


# SQLite takes 32,766 parameters; as many pieces may have waited for a number.
_KEYS_AT_ONCE: Final = 5_000
# A name of our own that a sender has used is made another by so many random bytes.
_OTHER_NAME_BYTES: Final = 6


class Group:
    """Wishes of one transaction.

    First it is settled which call each wish means, in their order, as one may open the call that the next one finds by
    its number. Then what is known already of their pieces is read at once, and then each wish makes its changes.
    """

    def __init__(self, database: Database, connection: sa.Connection, window_s: float) -> None:
        self._database = database
        self._connection = connection
        self._window_s = window_s
        self._calls: dict[str, _Call] = {}
        self._waiting: dict[str, list[_Waiting]] = {}
        # Key of a name or content -> the name under which it is known.
        self._known: dict[bytes, str] = {}
        self._changes: list[Row] = []
        self._evidence: list[Row] = []

    def write(self, wishes: Sequence[Wish]) -> list[Kept | LocsvcError]:
        """What became of each wish; true when the transaction is committed."""
        self._read_calls(wishes)
        steps = [self._step(wish) for wish in wishes]
        self._read_known(steps)
        kept = [self._kept(step) for step in steps]
        self._flush()
        return kept

    def changed(self) -> list[tuple[str, int]]:
        """Calls that were changed, with their revisions."""
        return [(call.call_id, call.revision) for call in self._calls.values() if call.changed]

    def _read_calls(self, wishes: Sequence[Wish]) -> None:
        numbers = sorted({wish.calling_number for wish in wishes if wish.calling_number})
        if numbers:
            # All numbers before all calls, each in order: no two transactions wait for each other.
            self._database.lock(self._connection, "number", numbers)
        ids = {wish.call_id for wish in wishes if wish.call_id}
        asked = [wish for wish in wishes if not wish.call_id and wish.calling_number]
        if asked:
            first = min(wish.at for wish in asked)
            near = {"earliest": earliest_start(first, self._window_s), "within": first - self._window_s}
            who = {"numbers": sorted({wish.calling_number for wish in asked})}
            ids.update(self._connection.scalars(statements.WHO_CALLED, near | who))
        if ids:
            ordered = sorted(ids)
            self._database.lock(self._connection, "call", ordered)
            for row in self._connection.execute(statements.CALLS, {"ids": ordered}):
                self._calls[row.call_id] = _Call(*row)
        self._read_waiting(wishes)

    def _read_waiting(self, wishes: Iterable[Wish]) -> None:
        """Evidence that waits for numbers that calls may get now."""
        unnumbered = [
            wish
            for wish in wishes
            if wish.call_id
            and wish.calling_number
            and (wish.call_id not in self._calls or not self._calls[wish.call_id].calling_number)
        ]
        if not unnumbered:
            return
        starts = (
            self._calls[wish.call_id].started_at if wish.call_id in self._calls else wish.start for wish in unnumbered
        )
        sought: Row = {"numbers": sorted({wish.calling_number for wish in unnumbered})}
        sought["earliest"] = min(starts) - self._window_s
        for row in self._connection.execute(statements.WAITS, sought):
            piece = Piece(evidence_of(row.body, row.evidence_id, row.observed_at), row.fingerprint, row.body)
            waits = _Waiting(row.calling_number, row.received_at, piece, row.waiting_id)
            self._waiting.setdefault(row.calling_number, []).append(waits)

    def _step(self, wish: Wish) -> _Step:
        """Which call a wish means; opens it, gives it its number and ends it, so that the next wish sees that."""
        if not wish.call_id:
            return self._step_by_number(wish)
        call = self._calls.get(wish.call_id)
        opens = call is None and wish.kind in {ChangeKind.EVIDENCE, ChangeKind.OPENED}
        if opens:
            call = _Call(wish.call_id, "", wish.start, 0, 0, None, deadline_told=False, is_new=True)
            self._calls[wish.call_id] = call
        if call is None:
            return _Step(wish, None, [])
        step = _Step(wish, call, [], opens=opens)
        if wish.calling_number and not call.calling_number:
            call.calling_number = wish.calling_number
            step.numbers = True
            step.waited = self._matched(call)
        if wish.kind is ChangeKind.ENDED and call.ended_at is None:
            call.ended_at = wish.at
            step.ends = True
        return step

    def _step_by_number(self, wish: Wish) -> _Step:
        of_number = (call for call in self._calls.values() if call.calling_number == wish.calling_number)
        call = meant(of_number, wish.at, self._window_s)
        step = _Step(wish, call, [])
        if call is None:
            waits = self._waiting.setdefault(wish.calling_number, [])
            step.waited = [_Waiting(wish.calling_number, wish.at, piece) for piece in wish.pieces]
            waits += step.waited
        return step

    def _matched(self, call: _Call) -> list[_Waiting]:
        found = [
            waits
            for waits in self._waiting.get(call.calling_number, ())
            if not waits.taken and belongs(call, waits.received_at, self._window_s)
        ]
        for waits in found:
            waits.taken = True
        return found

    def _read_known(self, steps: Sequence[_Step]) -> None:
        """Which of the pieces are known already, to their call or among those that wait."""
        names: dict[bool, set[bytes]] = {True: set(), False: set()}
        contents: dict[bool, set[bytes]] = {True: set(), False: set()}
        coming: dict[str, int] = {}
        for step in steps:
            call = step.call
            if call is not None and call.is_new:
                continue
            owner = call.call_id if call is not None else step.wish.calling_number
            pieces = [*step.wish.pieces, *(waits.piece for waits in step.waited if call is not None)]
            for piece in pieces:
                contents[call is None].add(key_of(owner, piece.fingerprint))
                name = piece.evidence.evidence_id
                if call is not None:
                    coming[owner] = coming.get(owner, call.pieces) + 1
                    names[False].add(key_of(owner, _own_name(coming[owner]).encode()))
                if name:
                    names[call is None].add(key_of(owner, name.encode()))
        if contents[False]:
            self._learn(statements.KNOWN, names[False], contents[False], {})
        if contents[True]:
            first = min(step.wish.at for step in steps if step.call is None)
            within: Row = {"earliest": first - self._window_s}
            self._learn(statements.WAITS_ALREADY, names[True], contents[True], within)

    def _learn(
        self, query: sa.Select[tuple[bytes, bytes, str]], names: set[bytes], contents: set[bytes], more: Row
    ) -> None:
        of_names, of_contents = sorted(names), sorted(contents)
        for first in range(0, max(len(names), len(contents)), _KEYS_AT_ONCE):
            part = slice(first, first + _KEYS_AT_ONCE)
            for row in self._connection.execute(query, {"names": of_names[part], "contents": of_contents[part]} | more):
                self._known[bytes(row.name_key)] = self._known[bytes(row.content_key)] = row.evidence_id

    def _kept(self, step: _Step) -> Kept | LocsvcError:
        call = step.call
        if call is None:
            if step.wish.call_id:
                return NotFound(f"there is no call {step.wish.call_id}")
            return self._kept_waiting(step)
        made: list[Change] = []
        ids = self._add(step, call, made)
        return Kept(
            call.call_id,
            call.revision,
            added=sum(1 for _, new in ids if new),
            duplicates=sum(1 for _, new in ids if not new),
            evidence_ids=tuple(name for name, _ in ids),
            record=call.record(made),
        )

    def _add(self, step: _Step, call: _Call, made: list[Change]) -> list[tuple[str, bool]]:
        """The changes that a wish makes to its call; names of its pieces, and whether they are new."""
        wish = step.wish
        number = call.calling_number if step.numbers else ""
        ids, new = self._named(call, wish.pieces)
        if new:
            made.append(self._change(call, ChangeKind.EVIDENCE, wish.at, new, number))
        elif step.opens:
            made.append(self._change(call, ChangeKind.OPENED, wish.at, [], number))
        _, matched = self._named(call, [waits.piece for waits in step.waited])
        if matched:
            made.append(self._change(call, ChangeKind.MATCHED, wish.at, matched, "" if made else number))
        if number and not made:
            made.append(self._change(call, ChangeKind.OPENED, wish.at, [], number))
        if step.ends:
            made.append(self._change(call, ChangeKind.ENDED, wish.at, []))
        if wish.kind is ChangeKind.DEADLINE and not call.deadline_told and call.ended_at is None:
            call.deadline_told = True
            made.append(self._change(call, ChangeKind.DEADLINE, wish.at, []))
        return ids

    def _named(self, call: _Call, pieces: Sequence[Piece]) -> tuple[list[tuple[str, bool]], list[Piece]]:
        """The name of each piece and whether it is new; the new ones under their names."""
        ids: list[tuple[str, bool]] = []
        new: list[Piece] = []
        for piece in pieces:
            given = piece.evidence.evidence_id
            known = self._known_name(call.call_id, piece)
            if known is not None:
                ids.append((known, False))
                continue
            call.pieces += 1
            name = given or self._free_name(call)
            self._remember(call.call_id, name, piece)
            ids.append((name, True))
            new.append(piece if given else replace(piece, evidence=replace(piece.evidence, evidence_id=name)))
        return ids, new

    def _known_name(self, owner: str, piece: Piece) -> str | None:
        name = piece.evidence.evidence_id
        if name and key_of(owner, name.encode()) in self._known:
            return name
        return self._known.get(key_of(owner, piece.fingerprint))

    def _remember(self, owner: str, name: str, piece: Piece) -> None:
        self._known[key_of(owner, name.encode())] = self._known[key_of(owner, piece.fingerprint)] = name

    def _free_name(self, call: _Call) -> str:
        name = _own_name(call.pieces)
        if key_of(call.call_id, name.encode()) not in self._known:
            return name
        return f"{name}-{secrets.token_hex(_OTHER_NAME_BYTES)}"

    def _change(self, call: _Call, kind: ChangeKind, at: float, new: Sequence[Piece], number: str = "") -> Change:
        call.revision += 1
        call.changed = True
        change = Change(call.revision, kind, at, tuple(piece.evidence for piece in new), number)
        self._changes.append(
            {
                "call_id": call.call_id,
                "revision": change.revision,
                "kind": int(kind),
                "at": at,
                "calling_number": number,
            }
        )
        for place, piece in enumerate(new):
            row = {"call_id": call.call_id, "revision": change.revision, "place": place}
            self._evidence.append(row | _columns(call.call_id, piece))
        return change

    def _kept_waiting(self, step: _Step) -> Kept:
        ids: list[tuple[str, bool]] = []
        number = step.wish.calling_number
        for waits in step.waited:
            piece = waits.piece
            known = self._known_name(number, piece)
            if known is not None:
                ids.append((known, False))
                waits.taken = True
                continue
            # Of its content, as no call is there yet to count it: a repeat gets the same.
            name = piece.evidence.evidence_id or f"early-{piece.fingerprint.hex()[:12]}"
            self._remember(number, name, piece)
            waits.piece = replace(piece, evidence=replace(piece.evidence, evidence_id=name))
            ids.append((name, True))
        added = sum(1 for _, new in ids if new)
        return Kept("", 0, added, len(ids) - added, tuple(name for name, _ in ids))

    def _flush(self) -> None:
        connection = self._connection
        fresh = [_row(call) for call in self._calls.values() if call.is_new]
        changed = [_row(call, key="of_call") for call in self._calls.values() if call.changed and not call.is_new]
        if fresh:
            connection.execute(statements.NEW_CALL, fresh)
        if changed:
            connection.execute(statements.CHANGED_CALL, changed)
        if self._changes:
            position = self._database.position(connection)
            connection.execute(statements.NEW_CHANGES, [row | {"position": position} for row in self._changes])
        if self._evidence:
            connection.execute(statements.NEW_EVIDENCE, self._evidence)
        every = [waits for of_number in self._waiting.values() for waits in of_number]
        come = [_waiting_row(waits) for waits in every if waits.waiting_id is None and not waits.taken]
        gone: list[Row] = [{"gone": w.waiting_id} for w in every if w.waiting_id is not None and w.taken]
        if come:
            connection.execute(statements.NEW_WAITING, come)
        if gone:
            connection.execute(statements.NOT_WAITING, gone)


def _own_name(count: int) -> str:
    return f"evidence-{count}"


def _columns(owner: str, piece: Piece) -> Row:
    name = piece.evidence.evidence_id
    return {
        "evidence_id": name,
        "name_key": key_of(owner, name.encode()),
        "content_key": key_of(owner, piece.fingerprint),
        "observed_at": piece.evidence.observed_at,
        "body": piece.body,
    }


def _row(call: _Call, key: str = "call_id") -> Row:
    row: Row = {
        key: call.call_id,
        "calling_number": call.calling_number,
        "revision": call.revision,
        "pieces": call.pieces,
        "ended_at": call.ended_at,
        "deadline_told": call.deadline_told,
    }
    return row if key != "call_id" else row | {"started_at": call.started_at}


def _waiting_row(waits: _Waiting) -> Row:
    row: Row = {
        "calling_number": waits.calling_number,
        "received_at": waits.received_at,
        "fingerprint": waits.piece.fingerprint,
    }
    return row | _columns(waits.calling_number, waits.piece)
