"""What is asked of the thread that writes the journal."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from locsvc.calls.coding import Piece
from locsvc.calls.words import ChangeKind, Kept
from locsvc.model import CellScan, DeviceReport, Evidence, Polygon, Prism

# Of a piece, and of each cell or corner that it lists, in memory.
_PIECE_BYTES: Final = 1_000
_LISTED_BYTES: Final = 200


@dataclass(slots=True, eq=False)
class Wish:
    """What is asked of the journal, and where the answer goes.

    Parameters
    ----------
    kind
        EVIDENCE, OPENED (a call without evidence), DEADLINE or ENDED.
    at
        When it reached the service.
    weight_bytes
        About what its evidence takes of memory while it waits.
    """

    kind: ChangeKind
    at: float
    call_id: str
    calling_number: str = ""
    started_at: float | None = None
    evidence: tuple[Evidence, ...] = ()
    pieces: tuple[Piece, ...] = ()
    kept: Future[Kept] = field(default_factory=Future)
    weight_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.weight_bytes = sum(map(weight_bytes, self.evidence))

    @property
    def start(self) -> float:
        """When the call began: a start in the future is the time of arrival, as its sender's clock is ahead."""
        return self.at if self.started_at is None else min(self.started_at, self.at)


def weight_bytes(piece: Evidence) -> int:
    """About what a piece takes of memory: told by what may be long, as each arrival is weighed.

    >>> weight_bytes(Evidence(None))
    1000
    """
    content, listed, raw_bytes = piece.content, 0, 0
    if isinstance(content, CellScan):
        listed = len(content.neighbours)
    elif isinstance(content, DeviceReport):
        shape = content.shape.base if isinstance(content.shape, Prism) else content.shape
        listed = len(shape.vertices) if isinstance(shape, Polygon) else 0
        raw_bytes = 0 if content.raw is None else len(content.raw.bytes)
    return _PIECE_BYTES + _LISTED_BYTES * listed + raw_bytes
