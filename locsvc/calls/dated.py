"""When messages of the field were true: they say it themselves, and their senders often do not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from locsvc.formats import messages
from locsvc.model import DeviceReport

if TYPE_CHECKING:
    from locsvc.calls.words import Arrival
    from locsvc.model import Evidence, RawMessage


def dated(arrival: Arrival) -> Arrival:
    """The arrival, in which each message that came without a time has the one that it states.

    Without it a fix that a handset remembered would count as one of the moment of its arrival. Where a message states
    several times the newest is taken; one that states none, or cannot be read, is left as it came.
    """
    if not undated(arrival):
        return arrival
    return replace(arrival, evidence=tuple(_dated(piece) for piece in arrival.evidence))


def undated(arrival: Arrival) -> int:
    """Bytes of the messages that came without a time: all of them have to be read."""
    return sum(len(raw.bytes) for piece in arrival.evidence if (raw := _undated(piece)) is not None)


def _undated(piece: Evidence) -> RawMessage | None:
    content = piece.content
    return content.raw if piece.observed_at is None and isinstance(content, DeviceReport) else None


def _dated(piece: Evidence) -> Evidence:
    raw = _undated(piece)
    if raw is None:
        return piece
    try:
        # Without its arrival: a time that follows from that would make a repeat another piece.
        found = messages.read(raw.format, raw.bytes).evidence
    except Exception:  # noqa: BLE001 - whoever answers reads it again, and tells what is wrong with it
        return piece
    return replace(piece, observed_at=max((e.observed_at for e in found if e.observed_at is not None), default=None))
