"""What is asked of the thread that writes the journal."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field

from locsvc.calls.coding import Piece
from locsvc.calls.words import ChangeKind, Kept
from locsvc.model import Evidence


@dataclass(slots=True, eq=False)
class Wish:
    """What is asked of the journal, and where the answer goes.

    Parameters
    ----------
    kind
        EVIDENCE, OPENED (a call without evidence), DEADLINE or ENDED.
    at
        When it reached the service.
    """

    kind: ChangeKind
    at: float
    call_id: str
    calling_number: str = ""
    started_at: float | None = None
    evidence: tuple[Evidence, ...] = ()
    pieces: tuple[Piece, ...] = ()
    kept: Future[Kept] = field(default_factory=Future)

    @property
    def start(self) -> float:
        """When the call began: a start in the future is the time of arrival, as its sender's clock is ahead."""
        return self.at if self.started_at is None else min(self.started_at, self.at)
