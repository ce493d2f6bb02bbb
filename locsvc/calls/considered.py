"""What a revision of a call stands for: the call that the resolver is asked about, and its change in words.

The estimate of a revision is a function of what is made here, of the time of the revision's row and of the snapshot:
live and in a replay years later it is the same.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from locsvc.calls.words import Change, ChangeKind
from locsvc.formats.ranges import MAX_EVIDENCE
from locsvc.model import Call, CellScan, DeviceReport, Evidence, LineLookup, Warning, WarningCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from locsvc.calls.words import CallRecord
    from locsvc.model import LocationEstimate

# Pieces named in the words of one change; of more the rest is counted.
NAMED: Final = 3


@dataclass(slots=True)
class Considered:
    """A call as it stands after some changes; an estimate counts its newest pieces only.

    Parameters
    ----------
    newest
        The newest pieces, at most 1,000, in the order of their arrival.
    pieces
        How many have arrived.
    arrived_at
        When each of the newest did, Unix seconds.
    """

    call_id: str
    started_at: float | None = None
    calling_number: str = ""
    newest: deque[Evidence] = field(default_factory=lambda: deque(maxlen=MAX_EVIDENCE))
    pieces: int = 0
    arrived_at: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_EVIDENCE))

    def take(self, change: Change) -> None:
        """Go on by one change."""
        self.newest.extend(change.evidence)
        self.arrived_at.extend(change.at for _ in change.evidence)
        self.pieces += len(change.evidence)
        if change.calling_number:
            self.calling_number = change.calling_number

    def call(self, more: Sequence[Evidence] = ()) -> tuple[Call, tuple[Warning, ...]]:
        """The call to be resolved, and what its estimate is to be warned of besides; `more` came after all others."""
        evidence = (*self.newest, *more)[-MAX_EVIDENCE:]
        left_out = self.pieces + len(more) - len(evidence)
        call = Call(self.call_id, self.calling_number, self.started_at, evidence)
        return call, ((_left_out(left_out),) if left_out else ())


def foreseen(evidence: Sequence[Evidence], pieces: int, at: float) -> tuple[Evidence, ...]:
    """Pieces as the journal is going to keep them, when all are new: named, and none observed after it arrived.

    Parameters
    ----------
    pieces
        How many the call has before.
    at
        When they arrived.
    """
    return tuple(
        replace(
            piece,
            evidence_id=piece.evidence_id or f"evidence-{pieces + place}",
            observed_at=at if piece.observed_at is None else min(piece.observed_at, at),
        )
        for place, piece in enumerate(evidence, 1)
    )


def call_at(record: CallRecord, revision: int) -> tuple[Call, list[Warning]]:
    """The call as it was at a revision, and the warnings that its estimate ends with.

    Parameters
    ----------
    record
        A call with all of its changes.
    revision
        From 1; changes after it are not counted.
    """
    considered = Considered(record.call_id, record.started_at)
    for change in record.changes:
        if change.revision <= revision:
            considered.take(change)
    call, warnings = considered.call()
    return call, list(warnings)


def with_warnings(estimate: LocationEstimate, warnings: Sequence[Warning]) -> LocationEstimate:
    """The estimate of a call as it is given: the resolver's, with the warnings of the call at the end of its own."""
    return replace(estimate, warnings=(*estimate.warnings, *warnings)) if warnings else estimate


def _left_out(count: int) -> Warning:
    what = f"{count} older pieces are not counted: an estimate counts the newest {MAX_EVIDENCE:,} of a call"
    return Warning(WarningCode.UNUSABLE_EVIDENCE, what, field="evidence")


def words_of(change: Change) -> str:
    """What a change was, in words: no numbers, names or coordinates of the caller.

    >>> words_of(Change(2, ChangeKind.EVIDENCE, 0.0, (Evidence(CellScan(), "cell-1"),)))
    'cell scan cell-1 arrived'
    """
    if change.kind is ChangeKind.DEADLINE:
        return "the deadline passed: this is the best that is known"
    if change.kind is ChangeKind.ENDED:
        return "the call was ended"
    if not change.evidence:
        # The first change opens the call; a later one of this kind gives it its number.
        return "the call was opened" if change.revision <= 1 else "the calling number became known"
    arrived = f"{pieces_in_words(change.evidence)} arrived"
    if change.kind is ChangeKind.MATCHED:
        return f"{arrived} before the call, found by the calling number"
    return arrived


def pieces_in_words(evidence: Sequence[Evidence]) -> str:
    """Pieces of evidence by kind and name.

    >>> pieces_in_words([Evidence(LineLookup(), f"line-{i}") for i in range(5)])
    'line look-up line-0, line look-up line-1, line look-up line-2 and 2 more'
    """
    shown = ", ".join(f"{_kind(piece)} {piece.evidence_id}".rstrip() for piece in islice(evidence, NAMED))
    return shown + (f" and {len(evidence) - NAMED} more" if len(evidence) > NAMED else "")


def _kind(piece: Evidence) -> str:
    content = piece.content
    if isinstance(content, CellScan):
        return "cell scan"
    if isinstance(content, LineLookup):
        return "line look-up"
    if isinstance(content, DeviceReport) and content.raw is not None:
        return f"{content.raw.format} message"
    return "device report" if isinstance(content, DeviceReport) else "empty piece"


def joined(words: Iterable[str]) -> str:
    """The words of several changes as one sentence; of many the newest.

    >>> joined(["a", "b", "c", "d", "e"])
    '2 changes before; c; d; e'
    """
    every = list(words)
    before = len(every) - NAMED
    return "; ".join([f"{before} changes before", *every[before:]] if before > 0 else every)
