"""The words of live calls: what is said to the journal, and what it says of a call."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from locsvc.model import Evidence, LocationEstimate

if TYPE_CHECKING:
    from locsvc.calls.outlook import Outlook


class ChangeKind(enum.IntEnum):
    """What made a revision; numbers are the contract's."""

    UNSPECIFIED = 0
    OPENED = 1
    EVIDENCE = 2
    MATCHED = 3
    DEADLINE = 4
    ENDED = 5


@dataclass(frozen=True, slots=True)
class Arrival:
    """Evidence as it came in one request; times are Unix seconds of the service's clock."""

    evidence: tuple[Evidence, ...]
    received_at: float
    call_id: str = ""
    calling_number: str = ""
    started_at: float | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of an arrival: true only when it is safe on disk.

    Parameters
    ----------
    call_id
        The call that it was added to; empty when it waits for a call with its number.
    revision
        Of the call after it; 0 while it waits.
    added, duplicates
        How many pieces were new, and how many were known.
    evidence_ids
        Names of the pieces in the order of the arrival.
    record
        The call as it is after it, with the changes that it made; None while it waits.
    """

    call_id: str
    revision: int
    added: int
    duplicates: int
    evidence_ids: tuple[str, ...]
    record: CallRecord | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One revision of a call: evidence is named, and carries the time that it counts for.

    `calling_number` is set when the change gave the call its number, which it has from then on.
    """

    revision: int
    kind: ChangeKind
    at: float
    evidence: tuple[Evidence, ...] = ()
    calling_number: str = ""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call as the journal has it, with its changes after the revision that was asked for, oldest first."""

    call_id: str
    calling_number: str
    started_at: float
    revision: int
    ended_at: float | None = None
    deadline_told: bool = False
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """An estimate that was given for a revision of a call."""

    call_id: str
    revision: int
    at: float
    estimate: LocationEstimate


@dataclass(frozen=True, slots=True)
class Update:
    """What a watcher of a call is told in one message.

    Parameters
    ----------
    revision
        The last that is on disk; in a heartbeat and in a provisional answer one that was told before.
    estimate, outlook, changed_at
        None in a heartbeat.
    change
        What changed and why, in words.
    evidence_ids
        Pieces that made the change: all that were not counted in the message before.
    provisional
        The estimate counts evidence that is not on disk yet.
    """

    revision: int
    kind: ChangeKind = ChangeKind.UNSPECIFIED
    estimate: LocationEstimate | None = None
    change: str = ""
    evidence_ids: tuple[str, ...] = ()
    outlook: Outlook | None = None
    provisional: bool = False
    changed_at: float | None = None


@dataclass(frozen=True, slots=True)
class CallSummary:
    """One line of the list of calls."""

    call_id: str
    calling_number: str
    started_at: float
    ended_at: float | None
    revision: int
    pieces: int


@dataclass(frozen=True, slots=True)
class LookUp:
    """Who looked at whose data, for the audit."""

    at: float
    who: str
    method: str
    call_id: str = ""
    calling_number: str = ""


@dataclass(frozen=True, slots=True)
class JournalState:
    """How the journal does.

    Parameters
    ----------
    healthy
        The last transaction was kept, and none has been under way for more than a second.
    unkept
        Arrivals, openings, deadlines and ends that are not on disk yet.
    last_error
        What the database said last; empty when it never failed.
    """

    healthy: bool
    unkept: int
    last_error: str
