"""Cells by located history: scans of several known cells as wholes, each other serving cell by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.cell_claims import Histograms
from locsvc.model import CellFallback, Reason
from locsvc.resolver.coverage_cells import lone_cells, reach_from
from locsvc.resolver.coverage_scans import ComparedScans, compared_scans, identities_known

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters
    from locsvc.reference.cells import CellPlaces, CellQueries
    from locsvc.reference.coverage import CoverageStore
    from locsvc.resolver.slots import Slots

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_COVERAGE, _CENTROID = int(CellFallback.COVERAGE), int(CellFallback.CENTROID)
_PHYSICAL_IDENTITY = int(CellFallback.PHYSICAL_IDENTITY)


@dataclass(slots=True)
class WholeScans:
    """Scans that history knows as wholes, (s,).

    slot of the cell that speaks for each, the serving one where there is one; exponent; what was said of them; member
    (rows,) bool: the cells that went into them, or are in them and not known.
    """

    slot: Ints
    exponent: Floats
    scans: ComparedScans
    member: Bools


@dataclass(slots=True)
class Measured:
    """Cells of calls, (n,): slot, whether it serves, and what was measured, NaN where it was not."""

    slot: Ints
    serving: Bools
    signal_dbm: Floats
    quality_db: Floats
    timing_advance: Floats


def no_histograms(n: int) -> Histograms:
    """No histogram for each of n claims."""
    nothing = np.zeros(n, np.int64)
    return Histograms(np.zeros(n), nothing, nothing.copy(), np.zeros(n), np.zeros(0, np.int64), np.zeros(0))


def joined(first: Histograms, second: Histograms) -> Histograms:
    """The histograms of claims and of those behind them."""
    moved = second.first + len(first.bin)
    pairs = ((getattr(first, name), getattr(second, name)) for name in Histograms.__dataclass_fields__)
    weight, _, bins, reach, cell, mass = (np.concatenate(pair) for pair in pairs)
    return Histograms(weight, np.concatenate((first.first, moved)), bins, reach, cell, mass)


def of_claims(histograms: Histograms, chosen: Ints) -> Histograms:
    """The histograms of some claims; bins of others stay where they are."""
    h = histograms
    return Histograms(h.weight[chosen], h.first[chosen], h.bins[chosen], h.reach_m[chosen], h.bin, h.mass)


def whole_scans(
    queries: CellQueries,
    measured: Measured,
    begins: Bools,
    slots: Slots,
    store: CoverageStore,
    parameters: Parameters,
) -> WholeScans:
    """Scans that a coverage knows as wholes; what became of their cells is noted in the slots.

    Parameters
    ----------
    queries, measured
        All cells, scan by scan.
    begins
        (rows,) whether a scan begins with the cell.
    """
    if begins.all():
        # No scan has a second cell.
        return _no_scans(len(begins))
    start = np.flatnonzero(begins)
    scan = np.cumsum(begins) - 1
    speaker = measured.slot[start]
    wide = (queries.radio, queries.mcc, queries.mnc, queries.area, queries.cell, queries.arfcn, queries.pci)
    radio, mcc, mnc, area, cell, arfcn, pci = (column.astype(np.int64) for column in wide)
    identity = identities_known(radio, (mcc, mnc), area, cell, arfcn, pci, store)
    # An older scan of the same serving cell says nothing new.
    identity[(slots.reason[speaker] == Reason.DUPLICATE)[scan]] = -1
    bounds = np.append(start, len(scan))
    found = compared_scans(
        bounds, identity, measured.signal_dbm, measured.serving, slots.age_s[speaker], store, parameters
    )
    taken = np.flatnonzero(found.learned.bins > 0)
    member = (found.learned.bins > 0)[scan]
    _note(member, identity >= 0, measured.slot, speaker[scan], slots)
    chosen = ComparedScans(
        found.latitude_deg[taken], found.longitude_deg[taken], found.spread_m[taken], of_claims(found.learned, taken)
    )
    slot = speaker[taken]
    exponent = _exponents(slot, slots, parameters.dependence["same_method_exponent"])
    return WholeScans(slot, exponent, chosen, member)


def _no_scans(cells: int) -> WholeScans:
    """None of so many cells is a part of a scan."""
    none = np.zeros(0)
    nothing = ComparedScans(none, none, none, no_histograms(0))
    return WholeScans(np.zeros(0, np.int64), none, nothing, np.zeros(cells, bool))


def _note(member: Bools, known: Bools, slot: Ints, speaker: Ints, slots: Slots) -> None:
    """Notes which cells went into their scans."""
    unknown = slot[member & ~known]
    slots.reason[unknown] = np.where(slots.reason[unknown] == 0, int(Reason.CELL_NOT_FOUND), slots.reason[unknown])
    # The one that speaks is taken with its scan, whether it is known itself or not.
    own = member & (known | (slot == speaker))
    slots.reason[slot[own & ~known]] = 0
    slots.fallback[slot[own]], slots.placed[slot[own]], slots.told_by[slot[own]] = _COVERAGE, True, speaker[own]


def _exponents(slot: Ints, slots: Slots, further: float) -> Floats:
    """Weights of scans: the newest of a call counts in full, further ones repeat most of its error."""
    call = slots.call[slot]
    order = np.lexsort((slot, slots.age_s[slot], call))
    first = np.ones(len(slot), bool)
    first[order[1:]] = call[order[1:]] != call[order[:-1]]
    slots.reason[slot[~first]] = int(Reason.DEPENDENT)
    return np.where(first, 1.0, further)


@dataclass(slots=True)
class Blended:
    """What history adds to the places of cells, (n,): see `CellClaims`."""

    learned: Histograms
    spread_m: Floats


def blend(
    places: CellPlaces,
    queries: CellQueries,
    measured: Measured,
    age_s: Floats,
    store: CoverageStore,
    parameters: Parameters,
) -> Blended:
    """What history says of serving cells, each by itself; their places are set to it where it knows better, in place.

    A cell that it knows itself is placed by it. Of what it says by other cells a row of the cell database knows better;
    of the wider steps the finer one does.
    """
    n = len(places.step)
    blended = Blended(no_histograms(n), np.full(n, np.nan))
    at = np.flatnonzero(measured.serving)
    if not len(at):
        return blended
    asked = queries.take(at)
    levels = measured.signal_dbm[at], measured.quality_db[at], measured.timing_advance[at]
    found = lone_cells(asked, *levels, age_s[at], store, parameters)
    tower = places.step[at]
    named = (tower > _COVERAGE) & (tower <= _PHYSICAL_IDENTITY)
    # Where history is thin a mast or centroid says as much of the surroundings: it stands beside the histogram.
    beside = (found.step == _COVERAGE) & found.prefer_tower & (tower > _COVERAGE) & (tower <= _CENTROID)
    wider = (tower == 0) | (found.step <= tower)
    better = (found.step > 0) & ~beside & ((found.step == _COVERAGE) | (~named & wider))
    reach = reach_from(found, np.where(beside, places.latitude_deg[at], found.latitude_deg),
                       np.where(beside, places.longitude_deg[at], found.longitude_deg))  # fmt: skip
    _set_places(places, at[better], found.step[better], found.latitude_deg[better], found.longitude_deg[better])
    blended.spread_m[at[better]] = found.spread_m[better]
    shown = np.flatnonzero(better | beside)
    h = blended.learned
    h.weight[at[shown]], h.first[at[shown]] = found.learned.weight[shown], found.learned.first[shown]
    h.bins[at[shown]], h.reach_m[at[shown]] = found.learned.bins[shown], reach[shown]
    h.bin, h.mass = found.learned.bin, found.learned.mass
    return blended


def _set_places(places: CellPlaces, at: Ints, step: npt.NDArray[np.int8], latitude: Floats, longitude: Floats) -> None:
    """Places cells where history has them; in place."""
    places.step[at], places.latitude_deg[at], places.longitude_deg[at] = step, latitude, longitude
    places.range_m[at], places.samples[at], places.azimuth_deg[at] = np.nan, 0, np.nan
