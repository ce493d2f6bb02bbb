"""Contributions and conflict warnings: what became of each piece of evidence, in words and as codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locsvc.model import CellFallback, Contribution, Disposition, EvidenceKind, Reason, WarningCode

if TYPE_CHECKING:
    from locsvc.resolver.slots import Notes, Slot

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
    Reason.UNKNOWN_UNCERTAINTY: "states no uncertainty: a wide one was assumed",
    Reason.NOMADIC_LINE: "a line that may be used elsewhere: little weight",
    Reason.UNINFORMATIVE: "agrees, but far less precise than the others",
    Reason.DATASET_MISSING: "the dataset that it needs is not loaded: taken from the country",
    Reason.UNKNOWN_LINE: "only the number plan's country is known",
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


def unplaced(slot: Slot) -> Contribution:
    """The contribution of a piece that became no density."""
    reason = slot.reason if slot.reason is not Reason.UNSPECIFIED else Reason.INVALID
    words = _NOT_PLACED.get(slot.reason, "not used")
    return Contribution(
        slot.evidence_id, slot.part, slot.kind, Disposition.SET_ASIDE, reason, words, slot.fallback, None, 0.0, 0.0
    )


def placed(
    slot: Slot, trust: float, agreement: float, share: float, distance_m: float, *, stale: bool, conflict: bool
) -> Contribution:
    """The contribution of a piece that was fused.

    Parameters
    ----------
    trust
        Probability that the piece is right, before the others were heard.
    agreement
        The same, given everything.
    share
        Its part in making the answer narrow.
    distance_m
        From the answer.
    stale
        Whether it is older than the newest evidence by minutes.
    conflict
        Whether it is `in_conflict`.
    """
    reason, disposition = _verdict(slot, trust, agreement, share, stale=stale, conflict=conflict)
    words = _PLACED.get(reason, "agrees with the answer")
    if reason is Reason.UNKNOWN_CELL:
        words = "the cell is unknown, a wider place answered"
    if slot.fallback is not CellFallback.UNSPECIFIED:
        words = f"{_FALLBACK[slot.fallback]}: {words}"
    return Contribution(
        slot.evidence_id, slot.part, slot.kind, disposition, reason, words, slot.fallback, distance_m, agreement, share
    )


def _verdict(
    slot: Slot, trust: float, agreement: float, share: float, *, stale: bool, conflict: bool
) -> tuple[Reason, Disposition]:
    if conflict or agreement < CONFLICT * trust:
        aside = agreement < SET_ASIDE
        reason = slot.reason if slot.reason is Reason.NOMADIC_LINE else Reason.CONFLICTS
        return reason, Disposition.SET_ASIDE if aside else Disposition.DOWN_WEIGHTED
    if stale:
        return Reason.STALE, Disposition.DOWN_WEIGHTED
    if slot.reason in {Reason.DEPENDENT, Reason.UNKNOWN_UNCERTAINTY, Reason.NOMADIC_LINE}:
        return slot.reason, Disposition.DOWN_WEIGHTED
    if slot.reason is not Reason.UNSPECIFIED:
        return slot.reason, Disposition.USED
    if share < UNINFORMATIVE_SHARE:
        return Reason.UNINFORMATIVE, Disposition.USED
    return Reason.AGREES, Disposition.USED


def in_conflict(trust: float, agreement: float, *, several_places: bool) -> bool:
    """Whether a piece that was trusted is excluded by the others, or stands against them in one of several places."""
    return trust >= TRUSTED and agreement < (DOUBTED if several_places else CONFLICT)


def warn_of_conflict(notes: Notes, slot: Slot) -> None:
    """Names a piece that the others exclude."""
    part = f" ({slot.part})" if slot.part else ""
    notes.warn(
        slot.call,
        WarningCode.CONFLICT,
        f"{_KIND[slot.kind]} {slot.evidence_id!r}{part} is far from where the other evidence puts the caller; "
        "the places were not averaged",
        slot.evidence_id,
    )
