"""What becomes of each piece of evidence while a batch is being resolved: slots as columns, warnings of each call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

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
    newest = np.where(np.isnan(table.started_at), -np.inf, table.started_at)
    observed = table.slots[:, 2]
    told = ~np.isnan(observed)
    np.maximum.at(newest, table.slots[told, 0].astype(np.int64), observed[told])
    result: Floats = np.where(np.isnan(as_of), np.where(np.isneginf(newest), np.nan, newest), as_of)
    return result


def slots_of(table: EvidenceTable, now: Floats) -> Slots:
    """The slots of a table, with their ages."""
    call = table.slots[:, 0].astype(np.int64)
    # fmax: what has no time is of now, and nothing is younger.
    age = np.fmax(now[call] - table.slots[:, 2], 0.0)
    return Slots(
        call=call,
        kind=table.slots[:, 1].astype(np.int64),
        reason=table.slots[:, 3].astype(np.int64),
        fallback=np.zeros(len(call), np.int64),
        placed=np.zeros(len(call), bool),
        told_by=np.arange(len(call)),
        age_s=age,
        names=table.names,
        parts=table.parts,
    )
