"""What is asked of the posterior of each call: as much as holds the asked share of truths, by the calls' kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled
from locsvc.fusion import recalibration
from locsvc.fusion.recalibration import CIRCLE, REGION, Recalibration
from locsvc.model import CellFallback, EvidenceKind

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.densities import Densities
    from locsvc.fusion.parameters import Parameters
    from locsvc.resolver.slots import Slots

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_SCAN, _CELL = recalibration.LEARNED_SCAN, recalibration.LEARNED_CELL
_REPORTS = recalibration.REPORTS
_REPORT, _LINE = int(EvidenceKind.DEVICE_REPORT), int(EvidenceKind.LINE_LOOKUP)
# The kind of a call of one cell, by CellFallback.
_KIND_OF_STEP = np.zeros(max(CellFallback) + 1, np.int64)
_KIND_OF_STEP[CellFallback.COVERAGE] = _CELL
_KIND_OF_STEP[[CellFallback.SECTOR, CellFallback.CENTROID, CellFallback.PHYSICAL_IDENTITY]] = recalibration.TOWER_CELL
_KIND_OF_STEP[[CellFallback.SITE, CellFallback.AREA, CellFallback.NETWORK]] = recalibration.UNKNOWN_CELL


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of calls that have a place, (calls,): their kind, masses that region and circle are to hold.

    Where the calibration asks for all as it is, the two masses are one array.
    """

    kind: Ints
    region: Floats
    circle: Floats
    numbers: Recalibration

    def held(self, region_mass: Floats) -> Floats:
        """The share of truths that regions of a mass are to hold, (calls,)."""
        if self.region is self.circle:
            return region_mass
        return self.numbers.held(self.kind, REGION, region_mass)


def asked_of(
    confidence: Floats, densities: Densities, slots: Slots, slot_of_piece: Ints, parameters: Parameters
) -> Asked:
    """What is asked of the posteriors of calls.

    Parameters
    ----------
    confidence
        (calls,) that was asked for.
    densities, slot_of_piece
        The pieces of all calls, and which slot each is of.
    slots
        What is known of the evidence.
    parameters
        The calibration.
    """
    numbers, kind = parameters.confidence, np.zeros(len(confidence), np.int64)
    scanned = np.zeros(len(slots.call), bool)
    _put_kinds(densities.call, slot_of_piece, slots.kind, slots.fallback, slots.told_by, scanned, kind)
    if not numbers.changes:
        return Asked(kind, confidence, confidence, numbers)
    region, circle = numbers.asked(kind, REGION, confidence), numbers.asked(kind, CIRCLE, confidence)
    return Asked(kind, region, circle, numbers)


@compiled
def _put_kinds(
    call: Ints,
    slot_of_piece: Ints,
    kind_of_slot: Ints,
    fallback: Ints,
    told_by: Ints,
    scanned: npt.NDArray[np.bool_],
    kind: Ints,
) -> None:
    """Writes the kind (calls,) of calls, 0 where not all their pieces (k,) are of one; `scanned` (slots,) is room."""
    for s in range(len(told_by)):
        if told_by[s] != s:
            scanned[told_by[s]] = True
    for p in range(len(call)):
        s, first = slot_of_piece[p], p == 0 or call[p] != call[p - 1]
        if kind_of_slot[s] == _REPORT:
            own = _REPORTS
        elif kind_of_slot[s] == _LINE:
            own = 0
        else:
            own = _SCAN if scanned[s] else _KIND_OF_STEP[fallback[s]]
        if first:
            kind[call[p]] = own
        elif kind[call[p]] != own or own != _REPORTS:
            kind[call[p]] = 0
