"""What became of each piece of evidence, as codes and in words; conflicts are warned of."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled
from locsvc.model import CellFallback, Disposition, EvidenceKind, Reason, WarningCode
from locsvc.resolver.table import IMPLIED

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.resolver.slots import Notes, Slots

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

# A piece that was trusted (at least TRUSTED before the others were heard) and is then probably wrong is in conflict;
# where there are several places, each piece that is more probably wrong than right is.
TRUSTED, CONFLICT, DOUBTED = 0.5, 0.3, 0.5
# Below this a piece counts for nothing.
SET_ASIDE = 0.1
UNINFORMATIVE_SHARE = 1e-3

_NOT_PLACED = {
    Reason.NO_POSITION: "says no place",
    Reason.DUPLICATE: "repeats another piece, which was counted",
    Reason.CELL_NOT_FOUND: "nothing is known of this cell",
    Reason.DATASET_MISSING: "the dataset that it needs is not loaded",
    Reason.UNKNOWN_LINE: "the number is not in the line dataset",
    Reason.LINE_WITHOUT_PLACE: "the record has no place",
    Reason.INVALID: "cannot be read",
    Reason.UNSPECIFIED: "nothing was set",
}
_PLACED = {
    Reason.AGREES: "agrees with the answer",
    Reason.CONFLICTS: "excluded by the other evidence",
    Reason.STALE: "older than the newest evidence by minutes: widened for movement",
    Reason.DEPENDENT: "derived from or alike to another piece: counted with less weight",
    Reason.UNKNOWN_METHOD: "agrees; how it was found is not told: taken as wide as all methods together are",
    Reason.UNKNOWN_UNCERTAINTY: "states no uncertainty: a wide one was assumed",
    Reason.NOMADIC_LINE: "a line that may be used elsewhere: little weight",
    Reason.UNINFORMATIVE: "agrees, but far less precise than the others",
    Reason.DATASET_MISSING: "the dataset that it needs is not loaded: taken from the country",
    Reason.UNKNOWN_LINE: "only the number plan's country is known",
    Reason.LINE_WITHOUT_PLACE: "the record has no place: only the number plan's country is known",
}
_FALLBACK = {
    CellFallback.UNSPECIFIED: "",
    CellFallback.COVERAGE: "learned coverage",
    CellFallback.SECTOR: "mast and sector",
    CellFallback.CENTROID: "centroid of observations",
    CellFallback.PHYSICAL_IDENTITY: "cell of the same channel and physical identity nearby",
    CellFallback.SITE: "other cells of the site",
    CellFallback.AREA: "location or tracking area",
    CellFallback.NETWORK: "the network's extent",
    CellFallback.COUNTRY: "the network's country",
}
_KIND = {
    EvidenceKind.CELL_SCAN: "cell",
    EvidenceKind.DEVICE_REPORT: "device report",
    EvidenceKind.LINE_LOOKUP: "line record",
    EvidenceKind.UNSPECIFIED: "evidence",
}


@dataclass(slots=True)
class Verdicts:
    """What became of each slot, (slots,): codes of the model; distance NaN where it became no density.

    `shown` tells which are contributions of the answer; `conflict` (calls,) which calls have evidence that the others
    exclude.
    """

    disposition: Ints
    reason: Ints
    distance_m: Floats
    agreement: Floats
    share: Floats
    shown: Bools
    conflict: Bools


class Stands(NamedTuple):
    """How the pieces that were fused stand to the answer, (pieces,).

    `slot` of each; `trust`, probability that it is right before the others were heard, `agreement`, the same given
    everything; `share`, its part in making the answer narrow; `distance_m` from the answer; `several_places` (calls,).
    """

    slot: Ints
    trust: Floats
    agreement: Floats
    share: Floats
    distance_m: Floats
    several_places: Bools


def explained(slots: Slots, stands: Stands, stale_s: float, notes: Notes) -> Verdicts:
    """What became of each slot; conflicts are warned of."""
    n = len(slots.call)
    numbers = np.zeros((3, n))
    reason, disposition = np.empty(n, np.int64), np.empty(n, np.int64)
    conflict = np.zeros(n, bool)
    numbers[0] = np.nan
    _judge(slots.call, slots.reason, slots.age_s > stale_s, stands, numbers, reason, disposition, conflict)
    _speak_for_others(slots.told_by, numbers, reason, disposition)
    placed = ~np.isnan(numbers[0])
    shown = placed | np.array([name != IMPLIED for name in slots.names], bool)
    in_conflict = np.zeros(len(stands.several_places), bool)
    if conflict.any():
        in_conflict[slots.call[conflict]] = True
        for s in np.flatnonzero(conflict).tolist():
            _warn_of_conflict(notes, slots, s)
    return Verdicts(disposition, reason, numbers[0], numbers[1], numbers[2], shown, in_conflict)


# As plain numbers, for the kernel.
_NOMADIC, _DEPENDENT, _UNKNOWN_UNCERTAINTY = (
    int(Reason.NOMADIC_LINE),
    int(Reason.DEPENDENT),
    int(Reason.UNKNOWN_UNCERTAINTY),
)
_UNKNOWN_METHOD = int(Reason.UNKNOWN_METHOD)
_INVALID, _CONFLICTS, _STALE = int(Reason.INVALID), int(Reason.CONFLICTS), int(Reason.STALE)
_UNINFORMATIVE, _AGREES = int(Reason.UNINFORMATIVE), int(Reason.AGREES)
_ASIDE, _DOWN, _USED = int(Disposition.SET_ASIDE), int(Disposition.DOWN_WEIGHTED), int(Disposition.USED)


@compiled
def _judge(
    call: Ints,
    known: Ints,
    stale: Bools,
    stands: Stands,
    numbers: Floats,
    reason: Ints,
    disposition: Ints,
    conflict: Bools,
) -> None:
    """Fills distance, agreement and share (3, slots), reason and disposition of each slot, and which are in conflict.

    Of the reasons the first that holds is told.
    """
    for s in range(len(call)):
        reason[s] = known[s] or _INVALID
        disposition[s] = _ASIDE
    for k in range(len(stands.slot)):
        s = stands.slot[k]
        trust, agreement, share = stands.trust[k], stands.agreement[k], stands.share[k]
        numbers[0, s], numbers[1, s], numbers[2, s] = stands.distance_m[k], agreement, share
        doubt = DOUBTED if stands.several_places[call[s]] else CONFLICT
        conflict[s] = trust >= TRUSTED and agreement < doubt
        if conflict[s] or agreement < CONFLICT * trust:
            reason[s] = known[s] if known[s] == _NOMADIC else _CONFLICTS
            disposition[s] = _ASIDE if agreement < SET_ASIDE else _DOWN
        elif stale[s]:
            reason[s], disposition[s] = _STALE, _DOWN
        elif known[s] == _DEPENDENT or known[s] == _UNKNOWN_UNCERTAINTY or known[s] == _NOMADIC:
            disposition[s] = _DOWN
        else:
            disposition[s] = _USED
            if known[s] == 0 or (known[s] == _UNKNOWN_METHOD and share < UNINFORMATIVE_SHARE):
                reason[s] = _UNINFORMATIVE if share < UNINFORMATIVE_SHARE else _AGREES


def _speak_for_others(told_by: Ints, numbers: Floats, reason: Ints, disposition: Ints) -> None:
    """What became of a scan became of each cell that went into it; its share is split among them; in place."""
    others = np.flatnonzero(told_by != np.arange(len(told_by)))
    if len(others):
        source = told_by[others]
        numbers[2] /= 1.0 + np.bincount(source, minlength=len(told_by))
        numbers[:, others] = numbers[:, source]
        reason[others], disposition[others] = reason[source], disposition[source]


def explanations(slots: Slots, verdicts: Verdicts) -> list[str]:
    """What became of each slot, in words."""
    placed = ~np.isnan(verdicts.distance_m)
    # Few combinations occur: each is put into words once.
    columns = (slots.reason, verdicts.reason, slots.fallback, placed)
    rows = zip(*(c.tolist() for c in columns), strict=True)
    return [_sentence(*row) for row in rows]


@functools.cache
def _sentence(known: int, reason: int, fallback: int, placed: bool) -> str:  # noqa: FBT001 - a key of the cache
    if not placed:
        return _NOT_PLACED.get(Reason(known), "not used")
    words = _PLACED.get(Reason(reason), "agrees with the answer")
    if reason == Reason.UNKNOWN_CELL:
        words = "the cell is unknown, a wider place answered"
    return f"{_FALLBACK[CellFallback(fallback)]}: {words}" if fallback else words


def _warn_of_conflict(notes: Notes, slots: Slots, s: int) -> None:
    """Names a piece that the others exclude."""
    name, part = slots.names[s], slots.parts[s]
    shown = f" ({part})" if part else ""
    notes.warn(
        int(slots.call[s]),
        WarningCode.CONFLICT,
        f"{_KIND[EvidenceKind(int(slots.kind[s]))]} {name!r}{shown} is far from where the other evidence puts the "
        "caller; the places were not averaged",
        name,
    )
