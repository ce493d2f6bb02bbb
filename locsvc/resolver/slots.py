"""What becomes of each piece of evidence while a batch is being resolved: slots as columns, warnings of each call."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled
from locsvc.model import Warning, WarningCode

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.resolver.table import EvidenceTable

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Slots:
    """Pieces of evidence, or cells of a scan, (n,): each becomes one contribution. Calls ascend.

    `reason` is what is known before the fusion, 0 when nothing speaks against it; `fallback` a CellFallback; `placed`
    tells whether it became a density. `told_by` is the slot whose density speaks for this one: that of a scan which was
    taken as a whole, else its own.
    """

    call: Ints
    kind: Ints
    reason: Ints
    fallback: Ints
    placed: Bools
    told_by: Ints
    age_s: Floats
    names: list[str]
    parts: list[str]


@dataclass(slots=True)
class Notes:
    """The warnings of each call."""

    warnings: list[list[Warning]]

    def warn(self, call: int, code: WarningCode, message: str, evidence_id: str = "", at: str = "") -> None:
        """Adds a warning to a call."""
        self.warnings[call].append(Warning(code, message, evidence_id, at))


def times_of(table: EvidenceTable, as_of: Floats) -> Floats:
    """The time that each call's evidence ages to, (calls,) Unix seconds, NaN where none is known.

    `as_of` (calls,) where it is given, else the newest time that the call tells.
    """
    now = table.started_at.copy()
    # A copy: kernels are compiled for arrays that may be written to.
    _find_newest(np.ascontiguousarray(table.slots), np.array(as_of, np.float64), now)
    return now


@compiled
def _find_newest(slots: Floats, as_of: Floats, now: Floats) -> None:
    """Sets `now` (calls,), which starts as the calls' starts, to the newest time that each tells, or to `as_of`."""
    for s in range(len(slots)):
        call, observed_at = int(slots[s, 0]), slots[s, 2]
        if not now[call] >= observed_at and not math.isnan(observed_at):
            now[call] = observed_at
    for call in range(len(now)):
        if not math.isnan(as_of[call]):
            now[call] = as_of[call]


def slots_of(table: EvidenceTable, now: Floats) -> Slots:
    """The slots of a table, with their ages."""
    n = len(table.slots)
    call, kind, reason, fallback, told_by = np.empty((5, n), np.int64)
    placed, age_s = np.empty(n, bool), np.empty(n)
    _read(np.ascontiguousarray(table.slots), now, call, kind, reason, fallback, told_by, placed, age_s)
    return Slots(call, kind, reason, fallback, placed, told_by, age_s, table.names, table.parts)


@compiled
def _read(
    slots: Floats,
    now: Floats,
    call: Ints,
    kind: Ints,
    reason: Ints,
    fallback: Ints,
    told_by: Ints,
    placed: Bools,
    age_s: Floats,
) -> None:
    """Fills the columns of slots that nothing is known of yet but what they came with."""
    for s in range(len(slots)):
        call[s], kind[s], reason[s] = int(slots[s, 0]), int(slots[s, 1]), int(slots[s, 3])
        fallback[s], told_by[s], placed[s] = 0, s, False
        # What has no time is of now, and nothing is younger: both comparisons are false.
        age_s[s] = now[call[s]] - slots[s, 2] if now[call[s]] > slots[s, 2] else 0.0
