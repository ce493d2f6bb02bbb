"""Log scores of truths, by the resolver's own densities: of pieces each by itself, and of whole calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from locsvc.fusion.claims import Made
from locsvc.fusion.gathering import gather
from locsvc.fusion.parameters import Parameters
from locsvc.fusion.probe import lone_log_densities, probe
from locsvc.learning.calibrate.declared import Of
from locsvc.learning.calibrate.history import Chunk, History
from locsvc.model import PositioningMethod
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from locsvc.resolver.cells import claim_cells
from locsvc.resolver.devices import claim_reports
from locsvc.resolver.lines import claim_lines
from locsvc.resolver.slots import Notes, slots_of
from locsvc.resolver.table import FORM_NONE, EvidenceTable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# A claim is judged where it is at least so many times as wide as the truth is accurate.
LEAST_RATIO = 2.0
# Whole calls are fused for each score: so many at most, evenly spread.
MOST_WHOLE_CALLS = 1500
# Posteriors are finest for the confidence that they were asked for.
_CONFIDENCE = 0.95
_FIRST, _CONFIDENCE_COLUMN, _METHOD, _PLATFORM = 4, 8, 9, 10


@dataclass(slots=True)
class View:
    """Evidence with one truth a call, (calls,), of a part of the history that has reference data of its own."""

    table: EvidenceTable
    latitude_deg: Floats
    longitude_deg: Floats
    session: Ints
    now: Floats
    apart: int

    def take(self, wanted: Bools) -> View:
        """Some of its calls, of one piece each."""
        n, table = int(wanted.sum()), self.table
        slots, reports, cells = (a[wanted].copy() if len(a) else a for a in (table.slots, table.reports, table.cells))
        for columns in (slots, reports, cells):
            columns[:, 0] = np.arange(len(columns))
        asked = [a for a, one in zip(table.lookups, wanted.tolist(), strict=False) if one]
        some = replace(
            table,
            started_at=np.full(n, np.nan),
            names=table.names[:n],
            parts=table.parts[:n],
            slots=slots,
            reports=reports,
            cells=cells,
            lookups=[replace(a, slot=i, call=i) for i, a in enumerate(asked)],
        )
        place = (self.latitude_deg[wanted], self.longitude_deg[wanted])
        return View(some, *place, self.session[wanted], self.now[wanted], self.apart)


def views_of(history: History, of: Of) -> list[View]:
    """The evidence that a group is fitted on: calls of one piece each, or whole calls."""
    if of in {Of.CALL, Of.SCAN}:
        return _whole(history, alone=of is Of.SCAN)
    made = []
    for chunk in history.chunks:
        if of is Of.CELL:
            view = _lone_cells(chunk)
        elif of is Of.LINE:
            view = _lone_lines(chunk)
        else:
            view = _lone_reports(chunk, of)
        if len(view.session):
            made.append(view)
    return made


def _lone(chunk: Chunk, slot: Ints, **columns: Any) -> View:  # noqa: ANN401 - fields of the table
    """Calls of one slot each."""
    n = len(slot)
    call = chunk.table.slots[slot, 0].astype(np.int64)
    slots = chunk.table.slots[slot].copy()
    slots[:, 0], slots[:, 3], slots[:, 4] = np.arange(n), 0.0, 1.0
    none = replace(
        chunk.table,
        started_at=np.full(n, np.nan),
        names=["piece"] * n,
        parts=[""] * n,
        slots=slots,
        reports=chunk.table.reports[:0],
        cells=chunk.table.cells[:0],
        lookups=[],
        heights=[],
        warnings=[],
    )
    return View(
        replace(none, **columns),
        chunk.latitude_deg[call],
        chunk.longitude_deg[call],
        chunk.session[call],
        chunk.now[call],
        chunk.apart,
    )


def _lone_reports(chunk: Chunk, of: Of) -> View:
    reports = chunk.table.reports
    call = chunk.table.slots[reports[:, 0].astype(np.int64), 0].astype(np.int64)
    judged = ~(reports[:, _FIRST] < LEAST_RATIO * chunk.accuracy_m[call])
    reports = reports[(reports[:, 1] != FORM_NONE) & (reports[:, _FIRST] > 0) & judged].copy()
    slot = reports[:, 0].astype(np.int64)
    reports[:, 0] = np.arange(len(reports))
    if of is not Of.REPORT:
        reports[:, _PLATFORM] = 0.0
    if of is Of.ANY_REPORT:
        reports[:, _METHOD] = float(PositioningMethod.UNSPECIFIED)
    return _lone(chunk, slot, reports=reports)


def _lone_cells(chunk: Chunk) -> View:
    cells = chunk.table.cells
    cells = cells[cells[:, 1] == 0].copy()
    slot = cells[:, 0].astype(np.int64)
    cells[:, 0], cells[:, 2] = np.arange(len(cells)), -1.0
    return _lone(chunk, slot, cells=cells)


def _lone_lines(chunk: Chunk) -> View:
    asked = chunk.table.lookups
    slot = np.array([a.slot for a in asked], np.int64)
    return _lone(chunk, slot, lookups=[replace(a, slot=i, call=i) for i, a in enumerate(asked)])


def _whole(history: History, *, alone: bool) -> list[View]:
    """Calls with more than one piece, evenly thinned; or, alone, the scans of calls with a neighbour."""
    made = []
    step = max(1, -(-history.calls // MOST_WHOLE_CALLS))
    for chunk in history.chunks:
        table, calls = chunk.table, len(chunk.session)
        slot = table.cells[table.cells[:, 1] > 0, 0].astype(np.int64) if alone else slice(None)
        pieces = np.bincount(table.slots[slot, 0].astype(np.int64), minlength=calls) + alone
        wanted = np.zeros(calls, bool)
        wanted[np.flatnonzero(pieces > 1)[::step]] = True
        if wanted.any():
            lat, lng = np.where(wanted, chunk.latitude_deg, np.nan), np.where(wanted, chunk.longitude_deg, np.nan)
            only = _only(table, wanted)
            if alone:
                only = replace(only, reports=table.reports[:0], lookups=[], heights=[])
            made.append(View(only, lat, lng, chunk.session, chunk.now, chunk.apart))
    return made


def _only(table: EvidenceTable, wanted: Bools) -> EvidenceTable:
    """The table with nothing said in the calls that are not wanted."""
    of_slot = wanted[table.slots[:, 0].astype(np.int64)]
    reports = table.reports.copy()
    reports[~of_slot[reports[:, 0].astype(np.int64)], 1] = FORM_NONE
    keep = of_slot[table.cells[:, 0].astype(np.int64)]
    cells = table.cells[keep].copy()
    place = np.append(np.cumsum(keep) - 1, -1)
    cells[:, 2] = place[cells[:, 2].astype(np.int64)]
    lookups = [a for a in table.lookups if wanted[a.call]]
    return replace(table, reports=reports, cells=cells, lookups=lookups)


class Scorer:
    """Log densities of truths for any calibration, each over the reference data of its part."""

    def __init__(self, references: Sequence[Reference], views: list[View], of: Of) -> None:
        self._resolvers = [Resolver(reference) for reference in references]
        self._views = views
        self._whole = of is Of.CALL
        self.session = np.concatenate([v.session for v in views]) if views else np.zeros(0, np.int64)

    def __call__(self, values: Mapping[str, Any]) -> Floats:
        """Log densities, (n,), 1 / m2; NaN where nothing says a place or no truth is asked for."""
        parameters = Parameters.from_mapping(values)
        for resolver in self._resolvers:
            resolver.parameters = parameters
        told = [self._calls(v) if self._whole else self._pieces(v) for v in self._views]
        return np.concatenate(told) if told else np.zeros(0)

    def _pieces(self, view: View) -> Floats:
        result = np.full(len(view.session), np.nan)
        made = self._made(view)
        if made:
            densities, _ = gather(made)
            densities.exponent = np.ones(len(densities.call))
            call = densities.call
            lat, lng = view.latitude_deg[call], view.longitude_deg[call]
            # Several pieces of one call are no density together without their posterior.
            single = (np.bincount(call)[call] == 1) & ~np.isnan(lat)
            told = lone_log_densities(densities, np.where(single, lat, 0.0), np.where(single, lng, 0.0))
            result[call[single]] = told[single]
        return result

    def _made(self, view: View) -> list[Made]:
        """The resolver's claims of pieces that stand alone."""
        table, n = view.table, len(view.session)
        resolver = self._resolvers[view.apart]
        reference, parameters = resolver.reference, resolver.parameters
        slots, notes = slots_of(table, view.now), Notes([[] for _ in range(n)])
        reported = claim_reports(table, slots, notes, parameters)
        lines = claim_lines(table.lookups, [True] * n, slots, reference, notes, parameters)
        cells = claim_cells(table, reported, slots, reference, notes, parameters)
        return [*reported.made, *cells, *lines]

    def _calls(self, view: View) -> Floats:
        n = len(view.session)
        answered = self._resolvers[view.apart].answer(view.table, np.full(n, _CONFIDENCE), view.now)
        result = np.full(n, np.nan)
        if answered.located is not None:
            row = np.array(answered.row_of_call)
            placed = row >= 0
            found = probe(answered.located.posterior, view.latitude_deg[placed], view.longitude_deg[placed])
            result[placed] = found.log_density[row[placed]]
        return result


def claimed_sigmas_m(views: list[View], unstated: float) -> Floats:
    """One sigma as reports that stand alone claim it, (n,) metres; `unstated` is the confidence of those without."""
    told = []
    for view in views:
        r = view.table.reports
        confidence = np.where(np.isnan(r[:, _CONFIDENCE_COLUMN]), unstated, r[:, _CONFIDENCE_COLUMN])
        told.append(r[:, _FIRST] / np.sqrt(-2.0 * np.log1p(-confidence)))
    return np.concatenate(told) if told else np.zeros(0)
