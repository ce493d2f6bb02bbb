"""What became of each piece of evidence, while a batch is being resolved."""

from __future__ import annotations

from dataclasses import dataclass, field

from locsvc.model import CellFallback, EvidenceKind, Reason, Warning, WarningCode


@dataclass(slots=True)
class Slot:
    """One piece of evidence, or one cell of a scan: it becomes one contribution.

    `reason` is what is known before the fusion: UNSPECIFIED when nothing speaks against it. `placed` tells whether it
    became a density.
    """

    call: int
    evidence_id: str
    part: str
    kind: EvidenceKind
    reason: Reason = Reason.UNSPECIFIED
    fallback: CellFallback = CellFallback.UNSPECIFIED
    placed: bool = False
    age_s: float = 0.0
    altitude: tuple[float, float | None, str] | None = None  # metres, one sigma in metres, floor


@dataclass(slots=True)
class Notes:
    """Slots of all calls in order, and the warnings of each call."""

    slots: list[Slot] = field(default_factory=list)
    warnings: list[list[Warning]] = field(default_factory=list)

    def add(self, slot: Slot) -> int:
        """The number of the slot, which is its order among all."""
        self.slots.append(slot)
        return len(self.slots) - 1

    def warn(self, call: int, code: WarningCode, message: str, evidence_id: str = "", at: str = "") -> None:
        """Adds a warning to a call."""
        self.warnings[call].append(Warning(code, message, evidence_id, at))
