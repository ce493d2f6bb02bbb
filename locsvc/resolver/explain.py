"""What became of each piece of evidence, as codes and in words; conflicts are warned of."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, inlined
from locsvc.geo import ECCENTRICITY_SQUARED, SEMI_MAJOR_AXIS_M
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


class Told(NamedTuple):
    """What the core said of the calls that have a place, (located,), and of the pieces that were fused, (pieces,).

    `call` of each answer, its place, and `mode_starts` (located + 1,) of its other places; of each piece its `slot`,
    `row` of its answer, place, `outlier_share`, `agreement` (probability that it is right given everything) and `share`
    in making the answer narrow.
    """

    call: Ints
    latitude_deg: Floats
    longitude_deg: Floats
    mode_starts: Ints
    slot: Ints
    row: Ints
    piece_latitude_deg: Floats
    piece_longitude_deg: Floats
    outlier_share: Floats
    agreement: Floats
    share: Floats


def explained(slots: Slots, told: Told, calls: int, stale_s: float, notes: Notes) -> Verdicts:
    """What became of each slot; conflicts are warned of."""
    n = len(slots.call)
    disposition, reason = np.empty((2, n), np.int64)
    distance_m, agreement, share = np.empty((3, n))
    found = _Found(disposition, reason, distance_m, agreement, share, np.empty(n, bool), np.empty(n, bool))
    in_conflict = np.zeros(calls, bool)
    if _judge(_Slots(slots.call, slots.reason, slots.age_s, slots.told_by), told, stale_s, found, in_conflict):
        for s in np.flatnonzero(found.conflict).tolist():
            _warn_of_conflict(notes, slots, s)
    # A look-up that nobody asked for is shown where it said something.
    shown = found.placed | np.array([name != IMPLIED for name in slots.names], bool)
    return Verdicts(disposition, reason, distance_m, agreement, share, shown, in_conflict)


class _Found(NamedTuple):
    """What became of each slot, as in `Verdicts`, and whether it became a density, and is in conflict."""

    disposition: Ints
    reason: Ints
    distance_m: Floats
    agreement: Floats
    share: Floats
    placed: Bools
    conflict: Bools


class _Slots(NamedTuple):
    """Columns of slots that the kernel reads."""

    call: Ints
    reason: Ints
    age_s: Floats
    told_by: Ints


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
def _judge(slots: _Slots, told: Told, stale_s: float, found: _Found, in_conflict: Bools) -> int:
    """Fills what became of each slot, and which calls are in conflict; how many slots are.

    Of the reasons the first that holds is told.
    """
    conflicts = 0
    for s in range(len(slots.call)):
        found.reason[s], found.disposition[s] = slots.reason[s] or _INVALID, _ASIDE
        found.distance_m[s], found.agreement[s], found.share[s] = math.nan, 0.0, 0.0
        found.placed[s] = found.conflict[s] = False
    for k in range(len(told.slot)):
        s, row = told.slot[k], told.row[k]
        known, agreement, share = slots.reason[s], told.agreement[k], told.share[k]
        # What it was trusted with before the others were heard.
        trust = 1.0 - told.outlier_share[k]
        found.placed[s], found.agreement[s], found.share[s] = True, agreement, share
        found.distance_m[s] = _distance_m(
            told.piece_latitude_deg[k], told.piece_longitude_deg[k], told.latitude_deg[row], told.longitude_deg[row]
        )
        doubt = DOUBTED if told.mode_starts[row + 1] > told.mode_starts[row] else CONFLICT
        if trust >= TRUSTED and agreement < doubt:
            found.conflict[s] = in_conflict[told.call[row]] = True
            conflicts += 1
        if found.conflict[s] or agreement < CONFLICT * trust:
            found.reason[s] = known if known == _NOMADIC else _CONFLICTS
            found.disposition[s] = _ASIDE if agreement < SET_ASIDE else _DOWN
        elif slots.age_s[s] > stale_s:
            found.reason[s], found.disposition[s] = _STALE, _DOWN
        elif known in (_DEPENDENT, _UNKNOWN_UNCERTAINTY, _NOMADIC):
            found.disposition[s] = _DOWN
        else:
            found.disposition[s] = _USED
            if known == 0 or (known == _UNKNOWN_METHOD and share < UNINFORMATIVE_SHARE):
                found.reason[s] = _UNINFORMATIVE if share < UNINFORMATIVE_SHARE else _AGREES
    _speak_for_others(slots.told_by, found)
    return conflicts


@inlined
def _speak_for_others(told_by: Ints, found: _Found) -> None:
    """What became of a scan became of each cell that went into it; its share is split among them; in place."""
    others = np.zeros(len(told_by), np.int64)
    for s in range(len(told_by)):
        if told_by[s] != s:
            others[told_by[s]] += 1
    for s in range(len(told_by)):
        found.share[s] /= 1.0 + others[s]
    for s in range(len(told_by)):
        t = told_by[s]
        found.disposition[s], found.reason[s], found.placed[s] = found.disposition[t], found.reason[t], found.placed[t]
        found.distance_m[s], found.agreement[s], found.share[s] = (
            found.distance_m[t],
            found.agreement[t],
            found.share[t],
        )


@inlined
def _distance_m(lat1_deg: float, lng1_deg: float, lat2_deg: float, lng2_deg: float) -> float:
    """Distance between two places, metres, as `geo.distance_m`."""
    lat1, lat2 = math.radians(lat1_deg), math.radians(lat2_deg)
    north, east = math.sin((lat2 - lat1) / 2.0), math.sin(math.radians(lng2_deg - lng1_deg) / 2.0)
    half_north, half_east = north * north, math.cos(lat1) * math.cos(lat2) * (east * east)
    sine = math.sin((lat1 + lat2) / 2.0)
    w2 = 1.0 - ECCENTRICITY_SQUARED * (sine * sine)
    east_m = SEMI_MAJOR_AXIS_M / math.sqrt(w2)
    north_m = east_m * (1.0 - ECCENTRICITY_SQUARED) / w2
    whole = half_north + half_east
    angle = 2.0 * math.asin(math.sqrt(min(1.0, whole)))
    return angle * math.sqrt((half_north * north_m**2 + half_east * east_m**2) / max(whole, 1e-300))


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
