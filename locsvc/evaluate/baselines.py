"""What others would have said of the same calls: circles that need no fusion.

* `centroid`: where the serving cell is known to be heard, with its own radius. Located history comes first (its 90 %
  radius), else the cell dataset (the range of its row, taken as 95 %).
* `weighted`: the mean of all cells of the scan that are known, weighted by a score of samples and age and by the
  square of the signal, radius never below 1 km: what the best open locator does. The radius is the 95 % point of the
  distances of its cells, at least the radius of the one cell.
* `mast + TA`: a circle round the serving cell's place as far as its timing advance says, taken as 95 %.
* `claimed`: the fix of the handset as it claims it, at its stated confidence, else 68 % as Android documents it.

References
----------
mozilla/ichnaea, documentation and `api/locate/cell.py`: weights, percentile and least radius of `weighted`, in our own
words; RFC 7459 section 3.3 for circles that state no confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from locsvc.evaluate.judged import Circles
from locsvc.evaluate.scores import circle_sigma_m
from locsvc.geo import distance_m
from locsvc.model import CellFallback
from locsvc.reference.cells import CellQueries
from locsvc.reference.coverage import files as coverage_files
from locsvc.reference.coverage import identities
from locsvc.resolver.table import CELL_COLUMNS, FORM_ELLIPSE, REPORT_COLUMNS
from locsvc.units import UNSTATED_CONFIDENCE

if TYPE_CHECKING:
    from locsvc.reference.coverage import CoverageStore
    from locsvc.resolver import Resolver
    from locsvc.resolver.table import EvidenceTable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

CENTROID, WEIGHTED, MAST, CLAIMED = "centroid", "weighted", "mast + TA", "claimed"
NAMES = (CENTROID, WEIGHTED, MAST, CLAIMED)
# The circle of located history holds 90 %, whatever else states no confidence 95 %, a phone's means 68 %.
HISTORY_CONFIDENCE, PHONE_CONFIDENCE = 0.9, 0.68
LEAST_RADIUS_M = 1_000.0
# A cell without a signal, dBm; a cell with very many samples counts ten times as much as one with one.
UNHEARD_DBM, MOST_SAMPLES_SCORE = -113.0, 10.0
MONTH_DAYS = 30.0

_CELL = {name: i for i, name in enumerate(CELL_COLUMNS)}
_REPORT = {name: i for i, name in enumerate(REPORT_COLUMNS)}


@dataclass(slots=True)
class _Known:
    """Cells of the calls, (m,), as they are known: place, radius and its confidence, score; NaN unknown."""

    call: Ints
    latitude_deg: Floats
    longitude_deg: Floats
    radius_m: Floats
    confidence: Floats
    score: Floats


def baselines_of(
    resolver: Resolver, table: EvidenceTable, now: Floats, truth: tuple[Floats, Floats]
) -> dict[str, Circles]:
    """Circles of all baselines, (calls,).

    Parameters
    ----------
    resolver
        Over the reference data that the calls were answered with.
    table
        Evidence of the calls, after they were answered (neighbours then have their network).
    now
        (calls,) Unix seconds, NaN unknown.
    truth
        Latitude and longitude of the truths, (calls,) degrees.
    """
    calls = len(now)
    known = _known_cells(resolver, table, now)
    serving = table.cells[:, _CELL["neighbour"]] == 0
    first = _first_of(known.call, np.isfinite(known.latitude_deg) & serving, calls)
    at = np.maximum(first, 0)

    def pick(values: Floats) -> Floats:
        return np.where(first >= 0, values[at], np.nan) if len(values) else np.full(calls, np.nan)

    lat, lng = pick(known.latitude_deg), pick(known.longitude_deg)
    away = distance_m(lat, lng, *truth)
    radius, confidence = pick(known.radius_m), pick(known.confidence)
    return {
        CENTROID: Circles(away, radius, _sigmas(radius, confidence)),
        WEIGHTED: _weighted(known, table.cells, truth),
        MAST: _timed(resolver, table, first, away),
        CLAIMED: _claimed(table, truth),
    }


def _first_of(call: Ints, good: Bools, calls: int) -> Ints:
    """The first good row of each call, (calls,); -1 for none."""
    first = np.full(calls, -1)
    rows = np.flatnonzero(good)[::-1]
    first[call[rows]] = rows
    return first


def _sigmas(radius_m: Floats, confidence: Floats) -> Floats:
    sigma = np.full(len(radius_m), np.nan)
    for stated in np.unique(confidence[np.isfinite(confidence)]).tolist():
        own = confidence == stated
        sigma[own] = circle_sigma_m(radius_m[own], stated)
    return sigma


def _known_cells(resolver: Resolver, table: EvidenceTable, now: Floats) -> _Known:
    """Where all cells of the calls are known to be, by located history, else by the cell dataset."""
    rows = table.cells
    call = table.slots[rows[:, _CELL["slot"]].astype(np.int64), 0].astype(np.int64)
    n = len(rows)
    nothing = np.full((4, n), np.nan)
    known = _Known(call, nothing[0], nothing[1], nothing[2], nothing[3], np.zeros(n))
    if resolver.reference.coverage is not None:
        _from_history(resolver.reference.coverage, rows, known)
    if resolver.reference.cells is not None:
        _from_cells(resolver, rows, now, known)
    radio = np.maximum(rows[:, _CELL["radio"]].astype(np.int64), 0)
    unknown = np.isnan(known.radius_m) | (known.radius_m <= 0)
    known.radius_m = np.where(unknown, resolver.parameters.cell_default_range_m[radio], known.radius_m)
    known.radius_m[np.isnan(known.latitude_deg)] = np.nan
    return known


def _columns(rows: Floats, *names: str) -> list[Ints]:
    return [rows[:, _CELL[name]].astype(np.int64) for name in names]


def _from_history(coverage: CoverageStore, rows: Floats, known: _Known) -> None:
    """Fills cells that were heard before; of cells with one identity the one with most reports."""
    radio, mcc, mnc, area, cell, pci, arfcn = _columns(rows, "radio", "mcc", "mnc", "area", "cell", "pci", "arfcn")
    for identity in (
        identities.full(radio, mcc, mnc, area, cell),
        identities.physical(radio, mcc, mnc, arfcn, pci),
    ):
        first, count = coverage.find(identity)
        wanted = np.flatnonzero((identity >= 0) & (count > 0) & np.isnan(known.latitude_deg))
        for i in wanted.tolist():
            span = slice(int(first[i]), int(first[i] + count[i]))
            number = span.start + int(np.argmax(coverage.cell_stats[span, coverage_files.C_WEIGHT]))
            stats = coverage.cell_stats[number]
            known.latitude_deg[i], known.longitude_deg[i] = coverage.cell_place[number] * 1e-7
            known.radius_m[i] = max(float(stats[coverage_files.C_RADIUS_M]), 1.0)
            known.confidence[i] = HISTORY_CONFIDENCE
            known.score[i] = _scores(
                np.array([stats[coverage_files.C_REPORTS]]), np.array([stats[coverage_files.C_AGE_DAYS]])
            )[0]


def _from_cells(resolver: Resolver, rows: Floats, now: Floats, known: _Known) -> None:
    """Fills cells that located history does not know from the rows of the cell dataset."""
    store = resolver.reference.cells
    wanted = np.flatnonzero(np.isnan(known.latitude_deg))
    if store is None or not len(wanted):
        return
    asked = rows[wanted]
    radio, mcc, mnc, area, cell, pci, arfcn = _columns(asked, "radio", "mcc", "mnc", "area", "cell", "pci", "arfcn")
    nowhere = np.full(len(wanted), np.nan)
    found = store.place(
        CellQueries(
            radio.astype(np.int8), mcc.astype(np.int16), mnc.astype(np.int16), area.astype(np.int32), cell,
            pci.astype(np.int32), arfcn.astype(np.int32), nowhere, nowhere.copy(),
        ),
        last=CellFallback.CENTROID,
    )  # fmt: skip
    own = found.step > 0
    at = wanted[own]
    known.latitude_deg[at], known.longitude_deg[at] = found.latitude_deg[own], found.longitude_deg[own]
    known.radius_m[at], known.confidence[at] = found.range_m[own], UNSTATED_CONFIDENCE
    age_days = np.nan_to_num((now[known.call[at]] - found.updated_at[own]) / 86_400.0)
    known.score[at] = _scores(found.samples[own].astype(float), age_days)


def _scores(samples: Floats, age_days: Floats) -> Floats:
    """How much cells count, (n,): by the logarithm of their samples, less with every month.

    >>> _scores(np.array([1.0, 1023.0, 1023.0]), np.array([0.0, 0.0, 90.0])).tolist()
    [1.0, 10.0, 5.0]
    """
    many = np.clip(np.log2(np.maximum(samples, 1.0) + 1.0), 1.0, MOST_SAMPLES_SCORE)
    return many / np.sqrt(np.maximum(age_days, 0.0) // MONTH_DAYS + 1.0)


def _weighted(known: _Known, rows: Floats, truth: tuple[Floats, Floats]) -> Circles:
    """The mean of each call's known cells."""
    calls = len(truth[0])
    at = np.flatnonzero(np.isfinite(known.latitude_deg))
    signal = rows[at, _CELL["signal_dbm"]] if "signal_dbm" in _CELL else np.full(len(at), np.nan)
    weight = known.score[at] / np.where(np.isnan(signal) | (signal >= 0), UNHEARD_DBM, signal) ** 2
    call = known.call[at]
    total = np.bincount(call, weights=weight, minlength=calls)
    some = total > 0
    # Longitudes as they differ from the call's first cell: a mean over the date line is none.
    base = np.zeros(calls)
    base[call[::-1]] = known.longitude_deg[at][::-1]
    turned = (known.longitude_deg[at] - base[call] + 180.0) % 360.0 - 180.0
    whole = np.where(some, total, 1.0)
    lat = np.where(some, np.bincount(call, weights=weight * known.latitude_deg[at], minlength=calls) / whole, np.nan)
    lng = np.where(some, base + np.bincount(call, weights=weight * turned, minlength=calls) / whole, np.nan)
    apart = distance_m(known.latitude_deg[at], known.longitude_deg[at], lat[call], lng[call])
    count = np.bincount(call, minlength=calls)
    radius = np.full(calls, np.nan)
    order = np.lexsort((apart, call))
    start = np.cumsum(count) - count
    for k in np.flatnonzero(some).tolist():
        own = order[start[k] : start[k] + count[k]]
        alone = known.radius_m[at[own[0]]]
        radius[k] = max(alone if count[k] == 1 else float(np.quantile(apart[own], 0.95)), LEAST_RADIUS_M)
    stated = np.where(some, UNSTATED_CONFIDENCE, np.nan)
    return Circles(distance_m(lat, lng, *truth), radius, _sigmas(radius, stated))


def _timed(resolver: Resolver, table: EvidenceTable, first: Ints, away: Floats) -> Circles:
    """A circle round the serving cell's place, to the far end of its step of timing advance."""
    if not len(table.cells):
        nothing = np.full(len(first), np.nan)
        return Circles(nothing, nothing.copy(), nothing.copy())
    row = table.cells[np.maximum(first, 0)]
    radio = np.maximum(row[:, _CELL["radio"]].astype(np.int64), 0)
    advance = np.where(first >= 0, row[:, _CELL["timing_advance"]], np.nan)
    radius = (advance + 1.0) * resolver.parameters.cell_timing_step_m[radio]
    given = np.isfinite(radius)
    sigma = _sigmas(radius, np.where(given, UNSTATED_CONFIDENCE, np.nan))
    return Circles(np.where(given, away, np.nan), radius, sigma)


def _claimed(table: EvidenceTable, truth: tuple[Floats, Floats]) -> Circles:
    """The first fix with a radius of each call, as it claims it."""
    calls, reports = len(truth[0]), table.reports
    call = table.slots[reports[:, _REPORT["slot"]].astype(np.int64), 0].astype(np.int64)
    sized = (reports[:, _REPORT["form"]] == FORM_ELLIPSE) & (reports[:, _REPORT["first"]] > 0)
    first = _first_of(call, sized, calls)
    nothing = np.full(calls, np.nan)
    if not sized.any():
        return Circles(nothing, nothing.copy(), nothing.copy())
    row, given = reports[np.maximum(first, 0)], first >= 0
    lat, lng = row[:, _REPORT["latitude_deg"]], row[:, _REPORT["longitude_deg"]]
    error = np.where(given, distance_m(lat, lng, *truth), np.nan)
    radius = np.where(given, np.sqrt(row[:, _REPORT["first"]] * row[:, _REPORT["second"]]), np.nan)
    stated = row[:, _REPORT["confidence"]]
    stated = np.where((stated > 0) & (stated < 1), stated, PHONE_CONFIDENCE)
    return Circles(error, radius, _sigmas(radius, np.where(given, stated, np.nan)))
