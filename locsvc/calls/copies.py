"""A call in memory: a copy of the journal's, what is not on disk yet, and those who watch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from locsvc.calls.considered import Considered, joined, words_of
from locsvc.calls.words import Change, ChangeKind, Update
from locsvc.model import Warning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from locsvc.calls.outlook import Outlook
    from locsvc.calls.words import CallRecord
    from locsvc.model import Call, Evidence, LocationEstimate

# At this confidence each change is answered and journalled, whoever watches.
GIVEN_CONFIDENCE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Told:
    """A change as watchers hear of it."""

    kind: ChangeKind
    at: float
    evidence_ids: tuple[str, ...]
    words: str


def told_of(change: Change) -> Told:
    """What watchers hear of a change."""
    ids = tuple(piece.evidence_id for piece in change.evidence if piece.evidence_id)
    return Told(change.kind, change.at, ids, words_of(change))


@dataclass(frozen=True, slots=True)
class Answer:
    """An estimate of a call: of a revision, or of a revision and what is not on disk yet.

    Parameters
    ----------
    number
        The revision; of a guess its number in the call.
    told
        What a guess counts that is not on disk; empty for a revision.
    arrived_at
        When each piece of the call's evidence arrived; those that are not on disk have none.
    outlooks
        Outlooks that were made for it, by the radius that is fit.
    """

    number: int
    at: float
    call: Call
    estimate: LocationEstimate
    told: tuple[Told, ...] = ()
    arrived_at: tuple[float, ...] = ()
    outlooks: dict[float, Outlook] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Ahead:
    """The answer to a change that the journal is writing: made meanwhile, and told if the change comes out so."""

    call: Call
    at: float
    estimates: dict[float, asyncio.Task[LocationEstimate]]


@dataclass(slots=True, eq=False)
class Watcher:
    """Who watches a call; what waits for it is always the newest answer, never a queue.

    Parameters
    ----------
    revision, guess
        The last that it has been told.
    """

    confidence: float
    fit_radius_m: float
    heartbeat_s: float
    revision: int
    guess: int = 0
    fault: BaseException | None = None
    _waking: asyncio.Future[bool] | None = None

    def wake(self) -> None:
        """There is something to tell."""
        self._set(told=True)

    def fail(self, fault: BaseException) -> None:
        """There is nothing more to tell."""
        self.fault = fault
        self.wake()

    def journal_has(self, revision: int) -> None:
        """The call is so far on disk: a later revision that the watcher says it has never was, and it is told all."""
        if self.revision > revision:
            self.revision = 0
            self.wake()

    def _set(self, *, told: bool) -> None:
        if self._waking is not None and not self._waking.done():
            self._waking.set_result(told)

    async def wait(self) -> bool:
        """Whether there is something to tell; False when it has been silent for as long as it may be."""
        loop = asyncio.get_running_loop()
        self._waking = loop.create_future()
        beat = loop.call_later(self.heartbeat_s, lambda: self._set(told=False))
        try:
            return await self._waking
        finally:
            beat.cancel()
            self._waking = None


@dataclass(slots=True, eq=False)
class Unkept:
    """A change that is not on disk although it should be."""

    kind: ChangeKind
    at: float
    evidence: tuple[Evidence, ...] = ()

    def told(self) -> Told:
        """What watchers hear of it."""
        return told_of(Change(0, self.kind, self.at, self.evidence))


@dataclass(slots=True, eq=False)
class LiveCall:
    """A call in memory; its revision is 0 until it has been read from the journal.

    Parameters
    ----------
    told
        All changes, that of revision `n` at `n - 1`.
    wanted_revision
        The newest revision that is known to be in the journal.
    own_revision, given_revision
        The last that was acknowledged here, and the last whose estimate was given to the journal.
    guesses
        Counts what happened to `unkept`.
    ahead
        The answer to what is being written.
    """

    call_id: str
    considered: Considered
    touched_s: float = 0.0
    started_at: float = 0.0
    ended_at: float | None = None
    ended_revision: int = 0
    deadline_told: bool = False
    deadline: asyncio.TimerHandle | None = None
    told: list[Told] = field(default_factory=list)
    wanted_revision: int = 0
    own_revision: int = 0
    given_revision: int = 0
    unkept: list[Unkept] = field(default_factory=list)
    guesses: int = 0
    answers: dict[float, Answer] = field(default_factory=dict)
    guessed: dict[float, Answer] = field(default_factory=dict)
    watchers: set[Watcher] = field(default_factory=set)
    ahead: Ahead | None = None
    working: asyncio.Task[None] | None = None
    loading: asyncio.Task[None] | None = None

    @property
    def revision(self) -> int:
        """The last revision that the copy has."""
        return len(self.told)

    @property
    def idle(self) -> bool:
        """Whether nobody needs the copy."""
        busy = self.watchers or self.unkept or self.working is not None or self.loading is not None
        return not busy and (self.deadline is None or self.deadline_told or self.ended_at is not None)

    def take(self, record: CallRecord) -> bool:
        """Go on by the changes of a record; False when some before them are missing."""
        self.started_at = record.started_at
        self.considered.started_at = record.started_at
        self.ended_at = self.ended_at if record.ended_at is None else record.ended_at
        self.deadline_told = self.deadline_told or record.deadline_told
        self.wanted_revision = max(self.wanted_revision, record.revision)
        before = self.revision
        for change in record.changes:
            if change.revision == self.revision + 1:
                self.considered.take(change)
                self.told.append(told_of(change))
                if change.kind is ChangeKind.ENDED:
                    self.ended_revision = change.revision
        if self.revision > before and self.unkept:
            self.guesses += 1  # what is not on disk yet is to be counted on top of what is now
        return self.revision >= record.revision

    def count(self, change: Unkept) -> None:
        """Count a change that is not on disk."""
        self.unkept.append(change)
        self.guesses += 1

    def forget(self, change: Unkept) -> None:
        """Count a change no more: it is on disk, or never will be."""
        if change in self.unkept:
            self.unkept.remove(change)
            self.guesses += 1

    def forget_ahead(self, change: Unkept) -> None:
        """The change made no revision with evidence: if it was foreseen and not told by now, it was for nothing."""
        if self.ahead is not None and self.ahead.at == change.at and self.working is None:
            self.ahead = None

    def wanted(self, *, own: bool) -> set[float]:
        """Confidences at which a revision is answered; those of this process at the one that is given besides."""
        watched = {w.confidence for w in self.watchers}
        return watched | {GIVEN_CONFIDENCE} if own else watched

    def lacking(self) -> list[float]:
        """Confidences for which the last revision has no answer yet."""
        if not self.told:
            return []
        wanted = self.wanted(own=self.own_revision > self.given_revision)
        return [c for c in wanted if c not in self.answers or self.answers[c].number < self.revision]

    def unguessed(self) -> list[float]:
        """Confidences for which what is not on disk has not been counted yet."""
        if not self.unkept:
            return []
        wanted = self.wanted(own=False)
        return [c for c in wanted if c not in self.guessed or self.guessed[c].number < self.guesses]

    def question(self) -> tuple[Call, float, tuple[Warning, ...]]:
        """The call of the last revision, the time that it is for, and what its estimate is to be warned of."""
        call, warnings = self.considered.call()
        return call, self.told[-1].at, warnings

    def guess(self) -> tuple[Call, float, tuple[Warning, ...]]:
        """The same with all that is not on disk yet."""
        known = {piece.evidence_id for piece in self.considered.newest}
        more = [p for u in self.unkept for p in u.evidence if not p.evidence_id or p.evidence_id not in known]
        call, warnings = self.considered.call(more)
        return call, max(u.at for u in self.unkept), (*warnings, _not_kept(len(self.unkept)))

    def next(self, watcher: Watcher, outlook: Callable[[Answer, float], Outlook]) -> Update | None:
        """What is to be told to a watcher now, if anything."""
        answer = self.answers.get(watcher.confidence)
        if answer is not None and answer.number > watcher.revision:
            first, watcher.revision = watcher.revision, answer.number
            told = self.told[first : answer.number]
            update = _update(watcher.revision, answer, told, outlook(answer, watcher.fit_radius_m))
            if first < self.ended_revision <= watcher.revision:
                return replace(update, kind=ChangeKind.ENDED)
            return update
        guess = self.guessed.get(watcher.confidence)
        if guess is not None and guess.number > watcher.guess and self.unkept:
            watcher.guess = guess.number
            update = _update(watcher.revision, guess, guess.told, outlook(guess, watcher.fit_radius_m))
            return replace(update, provisional=True)
        return None

    def is_over_for(self, watcher: Watcher) -> bool:
        """Whether the watcher has been told the end of the call."""
        # A watcher that is ahead is told the end when it is known whether the copy lags or the watcher errs.
        return 0 < self.ended_revision <= watcher.revision == self.revision

    def wake(self) -> None:
        """Wake all who watch."""
        for watcher in self.watchers:
            watcher.wake()

    def fail(self, fault: BaseException) -> None:
        """End all who watch."""
        for watcher in self.watchers:
            watcher.fail(fault)


def _update(revision: int, answer: Answer, told: list[Told] | tuple[Told, ...], outlook: Outlook) -> Update:
    return Update(
        revision=revision,
        kind=told[-1].kind,
        estimate=answer.estimate,
        change=joined(t.words for t in told),
        evidence_ids=tuple(name for t in told for name in t.evidence_ids),
        outlook=outlook,
        changed_at=answer.at,
    )


def _not_kept(count: int) -> Warning:
    what = f"the journal is slow or down: not safe on disk yet and tried again: changes of this call: {count}"
    return Warning(WarningCode.NOT_KEPT, what)
