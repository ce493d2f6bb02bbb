"""Calls to estimates: the one path that every face takes.

The evidence of all calls of a batch is read into claims, looked up in the datasets all at once, fused on arrays, and
explained. One call is a batch of one, and its answer does not hang on the others in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.agreement import agreement_of
from locsvc.fusion.claims import gather, of_bands, of_cells, of_ellipses, of_lines, of_plans, of_polygons
from locsvc.fusion.grid import Posterior, locate
from locsvc.fusion.parameters import Parameters
from locsvc.fusion.region import Answers, CompactCells, answer, compact
from locsvc.geo import distance_m
from locsvc.model import (
    Alternative,
    Call,
    CellScan,
    Contribution,
    DeviceReport,
    Ellipse,
    EvidenceKind,
    LatLng,
    LineLookup,
    LocationEstimate,
    Outcome,
    Reason,
    Region,
    Trace,
    WarningCode,
)
from locsvc.reference.calibration import read_calibration
from locsvc.resolver import explain
from locsvc.resolver.altitude import altitude_of
from locsvc.resolver.cells import CellAsked, CellRows, cell_claims, claim_cells, read_scan
from locsvc.resolver.devices import (
    DeviceRows,
    Fix,
    band_claims,
    claim_fixes,
    ellipse_claims,
    polygon_claims,
    read_report,
)
from locsvc.resolver.lines import LineAsked, LineRows, claim_lines, line_claims, plan_claims, read_lookup
from locsvc.resolver.outlines import trace_of
from locsvc.resolver.slots import Notes, Slot
from locsvc.resolver.surroundings import area_shares, nearest_addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from locsvc.reference.store import Reference

# Calls that are fused in one pass: their arrays stay in a core's cache; more gain nothing.
CHUNK = 64
NOWHERE = (float("nan"), float("nan"))


@dataclass(slots=True)
class _Fused:
    """What the core said of the calls that have a place; `row_of_call` is -1 for the others."""

    posterior: Posterior
    answers: Answers
    compact: CompactCells
    row_of_call: list[int]
    slot_of_piece: npt.NDArray[np.int64]


class Resolver:
    """Turns calls into estimates over one snapshot of the reference data; safe to share between threads."""

    def __init__(self, reference: Reference) -> None:
        """Raises `ConfigError` when the calibration of the data directory cannot be used."""
        self.reference = reference
        values, version = read_calibration(reference.calibration_text)
        self.parameters = Parameters.from_mapping(values)
        self._datasets = (*reference.versions, version)

    def resolve(
        self,
        calls: Sequence[Call],
        *,
        confidences: Sequence[float] | float = 0.9,
        as_of: Sequence[float | None] | None = None,
    ) -> list[LocationEstimate]:
        """One estimate for each call, in order.

        Parameters
        ----------
        calls
            Any number; ranges of their fields have been checked.
        confidences
            Of the answers, 0.5 to 0.999; one for all or one a call.
        as_of
            Time to answer for, Unix seconds; None, or None for a call: its newest time.
        """
        return [estimate for estimate, _ in self._all(calls, confidences, as_of, traced=False)]

    def resolve_traced(
        self,
        calls: Sequence[Call],
        *,
        confidences: Sequence[float] | float = 0.9,
        as_of: Sequence[float | None] | None = None,
    ) -> list[tuple[LocationEstimate, Trace]]:
        """Like `resolve`, each with how it came about."""
        return self._all(calls, confidences, as_of, traced=True)

    def _all(
        self,
        calls: Sequence[Call],
        confidences: Sequence[float] | float,
        as_of: Sequence[float | None] | None,
        *,
        traced: bool,
    ) -> list[tuple[LocationEstimate, Trace]]:
        wanted = [confidences] * len(calls) if isinstance(confidences, int | float) else list(confidences)
        times: list[float | None] = [None] * len(calls) if as_of is None else list(as_of)
        result: list[tuple[LocationEstimate, Trace]] = []
        for start in range(0, len(calls), CHUNK):
            part = slice(start, start + CHUNK)
            result += self._chunk(calls[part], wanted[part], times[part], traced=traced)
        return result

    def _chunk(
        self, calls: Sequence[Call], confidences: list[float], times: list[float | None], *, traced: bool
    ) -> list[tuple[LocationEstimate, Trace]]:
        notes = Notes(warnings=[list(self.reference.degraded) for _ in calls])
        now = [_time_of(call, t) for call, t in zip(calls, times, strict=True)]
        claims = _read(calls, now, self.reference, self.parameters, notes)
        fused = self._fuse(claims, confidences)
        return self._estimates(calls, confidences, now, notes, fused, traced=traced)

    def _fuse(self, claims: _Claims, confidences: list[float]) -> _Fused | None:
        p = self.parameters
        made = [
            of_ellipses(ellipse_claims(claims.devices), p) if claims.devices.ellipses else None,
            of_bands(band_claims(claims.devices), p) if claims.devices.bands else None,
            of_polygons(polygon_claims(claims.devices), p) if claims.devices.polygons else None,
            of_cells(cell_claims(claims.cells), p) if claims.cells.cells else None,
            of_lines(line_claims(claims.lines), p) if claims.lines.lines else None,
            of_plans(plan_claims(claims.lines), p) if claims.lines.plans else None,
        ]
        given = [m for m in made if m is not None]
        if not given:
            return None
        densities, slot_of_piece = gather(given)
        # Calls without a place are left out of the arrays.
        located = np.unique(densities.call)
        row_of_call = np.full(len(confidences), -1)
        row_of_call[located] = np.arange(len(located))
        densities.call = row_of_call[densities.call]
        densities.exponent = _of_whole_weight(densities.exponent, densities.call)
        confidence = np.array(confidences)[located]
        posterior = locate(densities, len(located), confidence)
        answers = answer(posterior, confidence)
        return _Fused(
            posterior, answers, compact(posterior.leaves, answers.region_leaves), row_of_call.tolist(), slot_of_piece
        )

    def _estimates(
        self,
        calls: Sequence[Call],
        confidences: list[float],
        now: list[float | None],
        notes: Notes,
        fused: _Fused | None,
        *,
        traced: bool,
    ) -> list[tuple[LocationEstimate, Trace]]:
        explained = _explain(notes, fused, self.parameters)
        addresses = [None] * len(calls) if fused is None else nearest_addresses(self.reference, fused.answers)
        areas = [()] * len(calls) if fused is None else area_shares(self.reference, fused.posterior, fused.answers)
        slots = [] if fused is None else [notes.slots[s] for s in fused.slot_of_piece.tolist()]
        result = []
        for i, call in enumerate(calls):
            row = -1 if fused is None else fused.row_of_call[i]
            if fused is None or row < 0:
                notes.warn(i, WarningCode.NO_EVIDENCE, "no piece of evidence says where the caller is")
                estimate = LocationEstimate(
                    Outcome.NO_LOCATION,
                    call.call_id,
                    confidences[i],
                    contributions=explained.contributions[i],
                    warnings=tuple(notes.warnings[i]),
                    estimated_at=now[i],
                    datasets=self._datasets,
                )
                result.append((estimate, Trace()))
                continue
            address, address_m = addresses[row] or (None, None)
            position, ellipse, region, alternatives = _place(row, fused)
            if region.mass < confidences[i]:
                notes.warn(i, WarningCode.TRUNCATED, "the region holds less than asked for: the rest may be anywhere")
            estimate = LocationEstimate(
                Outcome.CONFLICT if explained.conflict[i] else Outcome.LOCATED,
                call.call_id,
                confidences[i],
                position=position,
                radius_m=float(fused.answers.radius_m[row]),
                ellipse=ellipse,
                region=region,
                alternatives=alternatives,
                altitude=altitude_of(explained.altitudes[i], confidences[i]),
                address=address,
                address_distance_m=address_m,
                areas=areas[row],
                contributions=explained.contributions[i],
                warnings=tuple(notes.warnings[i]),
                estimated_at=now[i],
                datasets=self._datasets,
            )
            trace = trace_of(row, fused.posterior, slots, confidences[i]) if traced else Trace()
            result.append((estimate, trace))
        return result


def _of_whole_weight(exponent: npt.NDArray[np.float64], call: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Exponents (k,) float64, scaled up to sum to 1 in calls (ascending) where they sum to less.

    A log-linear pool of less than one whole piece is no density: its tails fall too slowly to be summed. A neighbour
    alone, say, counts in full: there is nothing that it repeats.

    >>> _of_whole_weight(np.array([1.0, 0.3, 0.3]), np.array([0, 0, 1])).tolist()
    [1.0, 0.3, 1.0]
    """
    starts = np.flatnonzero(np.append(True, call[1:] != call[:-1]))
    whole = np.add.reduceat(exponent, starts)
    return exponent * np.maximum(1.0, 1.0 / whole)[call]


@dataclass(slots=True)
class _Claims:
    devices: DeviceRows
    cells: CellRows
    lines: LineRows


def _time_of(call: Call, as_of: float | None) -> float | None:
    """The time that the call's evidence ages to."""
    if as_of is not None:
        return as_of
    times = [e.observed_at for e in call.evidence if e.observed_at is not None]
    if call.started_at is not None:
        times.append(call.started_at)
    return max(times) if times else None


def _read(
    calls: Sequence[Call], now: list[float | None], reference: Reference, parameters: Parameters, notes: Notes
) -> _Claims:
    """All evidence as claims; what cannot be claimed is noted."""
    devices, cells, lines = DeviceRows(), CellRows(), LineRows()
    scans: list[CellAsked] = []
    lookups: list[LineAsked] = []
    for i, call in enumerate(calls):
        _read_call(call, i, now[i], devices, scans, lookups, parameters, notes)
    # A number plan's country helps only a call of which nothing else is known.
    has_place = {int(r[0]) for rows in (devices.ellipses, devices.bands, devices.polygons) for r in rows}
    has_place |= {notes.slots[a.slot].call for a in scans}
    if lookups:
        claim_lines(lookups, reference, [i not in has_place for i in range(len(calls))], lines, notes)
    claim_cells(scans, reference, cells, notes, parameters)
    return _Claims(devices, cells, lines)


def _read_call(
    call: Call,
    number: int,
    now: float | None,
    devices: DeviceRows,
    scans: list[CellAsked],
    lookups: list[LineAsked],
    parameters: Parameters,
    notes: Notes,
) -> None:
    fixes: list[Fix] = []
    waiting: list[tuple[CellScan, str, float]] = []
    asked_line = False
    for j, evidence in enumerate(call.evidence):
        content = evidence.content
        name = evidence.evidence_id or f"evidence-{j + 1}"
        age = 0.0 if now is None or evidence.observed_at is None else max(0.0, now - evidence.observed_at)
        if isinstance(content, DeviceReport):
            fix = read_report(content, number, name, age, notes)
            if fix is not None:
                fixes.append(fix)
        elif isinstance(content, CellScan):
            waiting.append((content, name, age))
        elif isinstance(content, LineLookup):
            asked_line = True
            lookups.append(read_lookup(content, number, name, call.calling_number, notes))
        else:
            notes.add(Slot(number, name, "", EvidenceKind.UNSPECIFIED, reason=Reason.INVALID))
            notes.warn(
                number,
                WarningCode.UNUSABLE_EVIDENCE,
                "the piece of evidence is empty; set cell_scan, device_report or line_lookup",
                name,
            )
        if age > parameters.time["stale_s"] and not isinstance(content, LineLookup):
            notes.warn(
                number,
                WarningCode.STALE,
                f"observed {age / 60:.0f} min before the newest evidence; widened for movement since",
                name,
                "observed_at",
            )
    if call.calling_number and not asked_line:
        slot = notes.add(Slot(number, "calling_number", "", EvidenceKind.LINE_LOOKUP))
        lookups.append(LineAsked(slot, call.calling_number, None, implied=True))
    claim_fixes(fixes, devices, notes, parameters, has_cells=bool(waiting))
    near = NOWHERE
    if fixes:
        newest = min(fixes, key=lambda f: (f.age_s, f.center.latitude_deg, f.center.longitude_deg))
        near = (newest.center.latitude_deg, newest.center.longitude_deg)
    for scan, name, age in waiting:
        read_scan(scan, number, name, age, near, scans, notes)


@dataclass(slots=True)
class _Explained:
    contributions: list[tuple[Contribution, ...]]
    conflict: list[bool]
    altitudes: list[list[tuple[float, float | None, str, float]]]


def _explain(notes: Notes, fused: _Fused | None, parameters: Parameters) -> _Explained:
    """Contributions of all calls, in the order of their slots; conflicts are warned of."""
    calls = len(notes.warnings)
    contributions: list[list[Contribution]] = [[] for _ in range(calls)]
    conflict = [False] * calls
    altitudes: list[list[tuple[float, float | None, str, float]]] = [[] for _ in range(calls)]
    of_slot: dict[int, tuple[float, float, float, float]] = {}
    several_places = [False] * calls
    if fused is not None:
        others = np.diff(fused.answers.modes.starts).tolist()
        several_places = [row >= 0 and others[row] > 0 for row in fused.row_of_call]
        d = fused.posterior.densities
        stands = agreement_of(fused.posterior)
        away = distance_m(
            d.latitude_deg, d.longitude_deg, fused.answers.latitude_deg[d.call], fused.answers.longitude_deg[d.call]
        )
        columns = (1 - d.outlier_share, stands.agreement, stands.share, away)
        for slot, *values in zip(fused.slot_of_piece.tolist(), *(c.tolist() for c in columns), strict=True):
            of_slot[slot] = (values[0], values[1], values[2], values[3])
    for number, slot in enumerate(notes.slots):
        stand = of_slot.get(number)
        if stand is None:
            if slot.evidence_id != "calling_number":
                contributions[slot.call].append(explain.unplaced(slot))
            continue
        trust, agreement, share, away_m = stand
        stale = slot.age_s > parameters.time["stale_s"]
        several = several_places[slot.call]
        against = explain.in_conflict(trust, agreement, several_places=several)
        contributions[slot.call].append(
            explain.placed(slot, trust, agreement, share, away_m, stale=stale, conflict=against)
        )
        if against:
            conflict[slot.call] = True
            explain.warn_of_conflict(notes, slot)
        if slot.altitude is not None:
            altitudes[slot.call].append((*slot.altitude, agreement))
    return _Explained([tuple(c) for c in contributions], conflict, altitudes)


def _place(row: int, fused: _Fused) -> tuple[LatLng, Ellipse, Region, tuple[Alternative, ...]]:
    """Position, ellipse, region and alternatives of one located call."""
    a, c = fused.answers, fused.compact
    position = LatLng(float(a.latitude_deg[row]), float(a.longitude_deg[row]))
    cells = c.cell[c.starts[row] : c.starts[row + 1]].tolist()
    return (
        position,
        Ellipse(position, float(a.semi_major_m[row]), float(a.semi_minor_m[row]), float(a.orientation_deg[row])),
        Region(int(c.finest[row]), tuple(cells), float(a.region_mass[row]), float(a.region_area_m2[row])),
        tuple(Alternative(LatLng(m.latitude_deg, m.longitude_deg), m.mass, m.radius_m) for m in a.modes.of(row)),
    )
