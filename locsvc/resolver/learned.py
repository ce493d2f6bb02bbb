"""Cells by located history: scans of several known cells as wholes, each other serving cell by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled
from locsvc.fusion.cell_claims import Histograms
from locsvc.model import CellFallback, Reason
from locsvc.reference.cells.finding import AZIMUTH, DEGREES_EAST, DEGREES_NORTH, METRES
from locsvc.resolver.coverage_cells import lone_cells, reach_from
from locsvc.resolver.coverage_finding import IDENTITY, NUMBER, find_scanned
from locsvc.resolver.coverage_scans import ComparedScans, compared_scans

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters
    from locsvc.reference.cells import CellQueries, OpenPlaces
    from locsvc.reference.coverage import CoverageStore
    from locsvc.resolver.slots import Slots

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_COVERAGE, _CENTROID = int(CellFallback.COVERAGE), int(CellFallback.CENTROID)
_PHYSICAL_IDENTITY, _NOT_FOUND = int(CellFallback.PHYSICAL_IDENTITY), int(Reason.CELL_NOT_FOUND)


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
    speaker, cells = measured.slot[start], len(begins)
    bounds, found = np.append(start, cells), np.empty((3, cells), np.int64)
    find_scanned(queries, store.cell_identity, found)
    for k in np.flatnonzero(slots.reason[speaker] == Reason.DUPLICATE).tolist():
        # An older scan of the same serving cell says nothing new.
        found[IDENTITY, bounds[k] : bounds[k + 1]], found[NUMBER, bounds[k] : bounds[k + 1]] = -1, 0
    age_s = slots.age_s[speaker]
    compared = compared_scans(bounds, found, measured.signal_dbm, measured.serving, age_s, store, parameters)
    learned, member = compared.learned, np.zeros(cells, bool)
    notes = slots.reason, slots.fallback, slots.placed, slots.told_by
    if _note(bounds, learned.bins, found[IDENTITY], measured.slot, member, *notes) < len(start):
        taken = np.flatnonzero(learned.bins > 0)
        places = compared.latitude_deg[taken], compared.longitude_deg[taken], compared.spread_m[taken]
        compared, speaker = ComparedScans(*places, of_claims(learned, taken)), speaker[taken]
    exponent = _exponents(speaker, slots, parameters.dependence["same_method_exponent"])
    return WholeScans(speaker, exponent, compared, member)


def _no_scans(cells: int) -> WholeScans:
    """None of so many cells is a part of a scan."""
    none = np.zeros(0)
    nothing = ComparedScans(none, none, none, no_histograms(0))
    return WholeScans(np.zeros(0, np.int64), none, nothing, np.zeros(cells, bool))


@compiled
def _note(
    bounds: Ints,
    bins: Ints,
    identity: Ints,
    slot: Ints,
    member: Bools,
    reason: Ints,
    fallback: Ints,
    placed: Bools,
    told_by: Ints,
) -> int:
    """Notes which cells went into their scans, those that have bins; how many these are."""
    taken = 0
    for k in range(len(bins)):
        if bins[k] == 0:
            continue
        taken += 1
        speaker = slot[bounds[k]]
        for i in range(bounds[k], bounds[k + 1]):
            own, member[i] = slot[i], True
            # The one that speaks is taken with its scan, whether it is known itself or not.
            if identity[i] >= 0 or own == speaker:
                fallback[own], placed[own], told_by[own] = _COVERAGE, True, speaker
                reason[own] = reason[own] if identity[i] >= 0 else 0
            elif reason[own] == 0:
                reason[own] = _NOT_FOUND
    return taken


def _exponents(slot: Ints, slots: Slots, further: float) -> Floats:
    """Weights of scans: the newest of a call counts in full, further ones repeat most of its error."""
    call = slots.call[slot]
    if (call[1:] > call[:-1]).all():
        return np.ones(len(slot))
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
    places: OpenPlaces,
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
    at = np.flatnonzero(measured.serving)
    blended = Blended(no_histograms(n), np.full(n, np.nan))
    if not len(at):
        return blended
    levels = measured.signal_dbm, measured.quality_db, measured.timing_advance
    if len(at) < n:
        queries, levels, age_s = queries.take(at), (levels[0][at], levels[1][at], levels[2][at]), age_s[at]
    found = lone_cells(queries, *levels, age_s, store, parameters)
    h, own = blended.learned, found.learned
    h.bin, h.mass, beside = own.bin, own.mass, np.zeros(len(at), bool)
    said = _Said(found.step, found.latitude_deg, found.longitude_deg, found.spread_m, found.prefer_tower)
    histograms = _Runs(own.weight, own.first, own.bins, own.reach_m), _Runs(h.weight, h.first, h.bins, h.reach_m)
    if _blend(at, said, *histograms, places, blended.spread_m, beside):
        there = at[beside]
        reach = reach_from(found, np.where(beside, places.numbers[DEGREES_NORTH, at], found.latitude_deg),
                           np.where(beside, places.numbers[DEGREES_EAST, at], found.longitude_deg))  # fmt: skip
        h.reach_m[there] = reach[beside]
    return blended


class _Said(NamedTuple):
    """What history says of the serving cells, see `LoneCells`."""

    step: npt.NDArray[np.int8]
    latitude_deg: Floats
    longitude_deg: Floats
    spread_m: Floats
    prefer_tower: Bools


class _Runs(NamedTuple):
    """Histograms of claims, without their bins, see `Histograms`."""

    weight: Floats
    first: Ints
    bins: Ints
    reach_m: Floats


@compiled
def _blend(
    at: Ints, said: _Said, learned: _Runs, shown: _Runs, places: OpenPlaces, spread_m: Floats, beside: Bools
) -> int:
    """Places cells where history has them; how many there are where it stands beside a mast or centroid instead."""
    number, step = places.numbers, places.step
    kept = 0
    for k in range(len(at)):
        i = at[k]
        tower, own = step[i], said.step[k]
        named = _COVERAGE < tower <= _PHYSICAL_IDENTITY
        # Where history is thin a mast or centroid says as much of the surroundings: it stands beside the histogram.
        beside[k] = own == _COVERAGE and said.prefer_tower[k] and _COVERAGE < tower <= _CENTROID
        wider = tower == 0 or own <= tower
        if own == 0 or not (beside[k] or own == _COVERAGE or (not named and wider)):
            continue
        shown.weight[i], shown.first[i] = learned.weight[k], learned.first[k]
        shown.bins[i], shown.reach_m[i] = learned.bins[k], learned.reach_m[k]
        kept += beside[k]
        if not beside[k]:
            step[i], places.samples[i], spread_m[i] = own, 0, said.spread_m[k]
            number[DEGREES_NORTH, i], number[DEGREES_EAST, i] = said.latitude_deg[k], said.longitude_deg[k]
            number[METRES, i], number[AZIMUTH, i] = math.nan, math.nan
    return kept
