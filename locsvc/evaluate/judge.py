"""Calls of a table against their truths: answered at four confidences as users are answered, and probed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.evaluate.baselines import baselines_of
from locsvc.evaluate.judged import CONFIDENCES, DEFAULT, Judged
from locsvc.evaluate.labels import labels_of, sessions_of
from locsvc.evaluate.worst import Case, cases_of
from locsvc.fusion.probe import energy_scores_m, probe
from locsvc.fusion.recalibration import REGION
from locsvc.geo import distance_m
from locsvc.learning.held import held
from locsvc.learning.truths import GOOD, REASONS, Truths, read_truths
from locsvc.resolver import calls_table
from locsvc.tables.evidence import calls_of, table_of
from locsvc.tables.form import CALL, CALL_JSON, ROW, UNREAD
from locsvc.tables.rows import Rows, read_rows

if TYPE_CHECKING:
    from locsvc.fusion.recalibration import Recalibration
    from locsvc.resolver import Resolver
    from locsvc.resolver.answered import Answered
    from locsvc.resolver.table import EvidenceTable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Calls that are answered as one array.
CHUNK = 1024
NOT_READ, NO_LOCATION = "row cannot be read", "no location"
JSON_CALL = "call as JSON, which has no truth"
TOO_SMALL = "claimed radius too small for the truth's accuracy"


@dataclass(frozen=True, slots=True)
class Terms:
    """Which calls are judged, and how they are told apart.

    `session` and `by` are columns; `most_accuracy_m` the least accurate truth that is one; with `claim_ratio` only
    calls whose claimed radius is so many times the truth's accuracy are judged.
    """

    session: str | None = None
    by: tuple[str, ...] = ()
    most_accuracy_m: float = 200.0
    claim_ratio: float | None = None


@dataclass(slots=True)
class Found:
    """What came of some calls: those that were judged, why others were not, and the worst."""

    calls: int = 0
    rows: int = 0
    judged: list[Judged] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    worst: list[Case] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, other: Found) -> None:
        """Takes what came of other calls."""
        self.calls += other.calls
        self.rows += other.rows
        self.judged += other.judged
        self.left_out.update(other.left_out)
        self.refused.update(other.refused)
        self.worst += other.worst


def judge(resolver: Resolver, batch: pa.RecordBatch, terms: Terms) -> Found:
    """What comes of whole calls.

    Parameters
    ----------
    resolver
        Over the reference data.
    batch
        Columns of ours, with the engine's `__call`, ascending; whole calls.
    terms
        Which are judged.
    """
    found = Found()
    call = batch.column(CALL).to_numpy(zero_copy_only=False).astype(np.int64)
    starts = np.flatnonzero(np.append(True, call[1:] != call[:-1])) if len(call) else np.zeros(0, np.int64)
    ends = np.append(starts[1:], len(call))
    for first in range(0, len(starts), CHUNK):
        a, b = int(starts[first]), int(ends[min(first + CHUNK, len(starts)) - 1])
        number = np.cumsum(np.append(0, call[a + 1 : b] != call[a : b - 1]))
        found.add(_judge(resolver, batch.slice(a, b - a), number, terms))
    return found


def _judge(resolver: Resolver, batch: pa.RecordBatch, call: Ints, terms: Terms) -> Found:
    last = np.flatnonzero(np.append(call[1:] != call[:-1], True))
    found = Found(len(last), len(batch))
    if CALL_JSON in batch.schema.names:
        found.left_out[JSON_CALL] += len(last)
        return found
    rows = read_rows(batch)
    truths = read_truths(batch, rows, call, from_reports=False, most_accuracy_m=terms.most_accuracy_m)
    why = _why_not(batch, rows, truths, last, terms)
    for reason in why[why != ""].tolist():
        found.left_out[reason] += 1
    used = why == ""
    if not used.any():
        return found
    if not used.all():
        rest = np.flatnonzero(used[call])
        kept = batch.take(pa.array(rest))
        again = _judge(resolver, kept, np.searchsorted(np.flatnonzero(used), call[rest]), terms)
        again.calls, again.rows, again.left_out = found.calls, found.rows, found.left_out + again.left_out
        return again
    for _, name, reason, _ in rows.refusals.found:
        found.refused[f"{name} {reason}"] += 1
    _answer(resolver, batch, rows, call, last, truths, terms, found)
    return found


def _why_not(batch: pa.RecordBatch, rows: Rows, truths: Truths, last: Ints, terms: Terms) -> npt.NDArray[np.object_]:
    """Why calls are not judged, (calls,) texts; empty where they are. A call's truth is that of its last row."""
    why = np.array([*REASONS], object)[truths.why[last]]
    if terms.claim_ratio is not None:
        accuracy, radius = truths.accuracy_m[last], rows.radius_m[last]
        small = (truths.why[last] == GOOD) & ~(radius >= terms.claim_ratio * accuracy)
        why[small] = TOO_SMALL
    if UNREAD in batch.schema.names:
        why[batch.column(UNREAD).is_valid().to_numpy(zero_copy_only=False)[last]] = NOT_READ
    return why


def _table(rows: Rows, call: Ints, calls: int) -> EvidenceTable:
    """The evidence of calls: as columns, or as objects where there are messages."""
    if rows.aml is not None and any(text is not None for text in rows.aml):
        return calls_table(calls_of(rows, call, list(range(calls))))
    return table_of(rows, call, calls)


def _answer(
    resolver: Resolver, batch: pa.RecordBatch, rows: Rows, call: Ints, last: Ints, truths: Truths, terms: Terms,
    found: Found,
) -> None:  # fmt: skip
    calls = len(last)
    truth = truths.latitude_deg[last], truths.longitude_deg[last]
    radius, circle, region = np.full((4, calls), np.nan), np.zeros((4, calls), bool), np.zeros((4, calls), bool)
    for k, confidence in enumerate(CONFIDENCES):
        # A table of its own each: resolving completes what cells leave out.
        table = _table(rows, call, calls)
        answered = resolver.answer(table, np.full(calls, confidence), np.full(calls, np.nan))
        row = np.array(answered.row_of_call, np.int64)
        if answered.located is None:
            found.left_out[NO_LOCATION] += calls
            return
        at = row >= 0
        radius[k, at], circle[k, at], region[k, at] = _held(answered, row[at], (truth[0][at], truth[1][at]))
        if k == DEFAULT:
            default = answered
        if k + 1 == len(CONFIDENCES):
            probed = _probed(answered, row, truth, resolver.parameters.confidence)
    assert default.located is not None  # noqa: S101 - for the types: the same calls have a place at any confidence
    found.left_out[NO_LOCATION] += int(np.count_nonzero(row < 0))
    placed = np.flatnonzero(row >= 0)
    answers = default.located.answers
    lat, lng, area = (np.full(calls, np.nan) for _ in range(3))
    lat[placed], lng[placed] = answers.latitude_deg[row[placed]], answers.longitude_deg[row[placed]]
    area[placed] = answers.region_area_m2[row[placed]]
    now = np.array([np.nan if t is None else t for t in default.now])
    own = batch.take(pa.array(last))
    judged = Judged(
        _names(own), lat, lng, *truth, distance_m(lat, lng, *truth), radius, circle, region, area, *probed,
        sessions_of(own, rows.t[last], terms.session),
        labels_of(resolver, table, default, own, rows.t[last], radius[DEFAULT], terms.by),
        baselines_of(resolver, table, now, truth),
    )  # fmt: skip
    found.judged.append(judged.of(placed))
    found.worst += cases_of(judged, default, row, radius[-1])


def _held(answered: Answered, row: Ints, truth: tuple[Floats, Floats]) -> tuple[Floats, Bools, Bools]:
    """Radii, and whether circles and regions hold the truths; of calls with these rows."""
    located = answered.located
    assert located is not None  # noqa: S101 - for the types
    return located.answers.radius_m[row], *held(located, row, *truth)


def _probed(
    answered: Answered, row: Ints, truth: tuple[Floats, Floats], recalibration: Recalibration
) -> tuple[Floats, Floats, Floats, Floats]:
    """Log scores, levels and energy scores, (calls,); NaN where there is no place.

    Levels are shares of truths, as regions say them, and densities are as much higher or lower as that makes them.
    """
    calls, located = len(row), answered.located
    result = tuple(np.full(calls, np.nan) for _ in range(4))
    assert located is not None  # noqa: S101 - for the types
    at = np.flatnonzero(row >= 0)
    # Rows of the posterior are the calls that have a place, in their order.
    places = truth[0][at], truth[1][at]
    found = probe(located.posterior, *places)
    low, high = (recalibration.held(located.kind, REGION, m) for m in (found.level_from, found.level_to))
    scores = -found.log_density - recalibration.log_rise(located.kind, found.level_from, found.level_to)
    values = (scores, low, high, energy_scores_m(located.posterior, *places))
    for column, own in zip(result, values, strict=True):
        column[at] = own
    return result[0], result[1], result[2], result[3]


def _names(own: pa.RecordBatch) -> npt.NDArray[np.object_]:
    """What calls are called: their own names, else `row-<n>`."""
    numbers = own.column(ROW).to_pylist() if ROW in own.schema.names else list(range(1, len(own) + 1))
    given = own.column("call_id").to_pylist() if "call_id" in own.schema.names else [None] * len(own)
    names = np.empty(len(own), object)
    names[:] = [f"row-{n}" if name in {None, ""} else str(name) for name, n in zip(given, numbers, strict=True)]
    return names
