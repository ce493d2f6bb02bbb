"""Where each row of a table truly was, and why that is not known of the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.formats import messages, ranges
from locsvc.formats.reading import Unreadable
from locsvc.geo import NULL_DEG
from locsvc.model import Circle, DeviceReport, PositioningMethod
from locsvc.tables import columns
from locsvc.tables.columns import Refusals
from locsvc.tables.rows import Rows
from locsvc.units import UNSTATED_CONFIDENCE, rescale_circle

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

# Why a row has no truth; codes are places in this list.
GOOD, NO_TRUTH, NULL_TRUTH, WRONG_TRUTH, COARSE_TRUTH = range(5)
REASONS = ("", "no truth", "truth at 0,0", "truth out of range", "truth not accurate enough")
# A satellite fix that claims more than that is no truth: one indoors is often twice as far off as it says.
MOST_REPORTED_M = 50.0
# Accuracies are taken as phones mean them: 68 % of truths are that near.
TRUTH_CONFIDENCE = 0.68
# How long before or after a row a truth of another row of its call will do: 20 m on foot, and the width of a town's
# cell in a car.
SAME_PLACE_S = 15.0


@dataclass(slots=True)
class Truths:
    """Of each row, (n,): degrees and metres, NaN where not known; `why` is a place in REASONS."""

    latitude_deg: Floats
    longitude_deg: Floats
    accuracy_m: Floats
    why: Ints

    @property
    def good(self) -> Bools:
        """(n,) bool."""
        good: Bools = self.why == GOOD
        return good


def read_truths(batch: pa.RecordBatch, rows: Rows, call: Ints, *, from_reports: bool, most_accuracy_m: float) -> Truths:
    """The truth of each row.

    Parameters
    ----------
    batch, rows
        Rows as they came and as they were read.
    call
        (n,) number of each row's call, ascending.
    from_reports
        Take a satellite fix of the row, or of its AML message, where no truth stands.
    most_accuracy_m
        What claims to be less accurate is not taken.
    """
    n = len(batch)
    told = Refusals()
    empty = pa.nulls(n, pa.float64())

    def of(name: str) -> pa.Array:
        return columns.plain(batch.column(name)) if name in batch.schema.names else empty

    lat = columns.within(of("truth_lat"), "truth_lat", told, -90, 90)
    lng = columns.within(of("truth_lon"), "truth_lon", told, -180, 180)
    accuracy = columns.within(of("truth_accuracy_m"), "truth_accuracy_m", told, 0, ranges.MAX_LENGTH_M)
    wrong = np.zeros(n, bool)
    wrong[[row for row, *_ in told.found]] = True
    if from_reports:
        _fill_from_reports(rows, (lat, lng, accuracy))
    # Accuracy 0 is what senders write that do not know it.
    accuracy[accuracy == 0] = np.nan
    null = (np.abs(lat) < NULL_DEG) & (np.abs(lng) < NULL_DEG)
    lat[null], lng[null] = np.nan, np.nan
    _share_in_calls(call, rows.t, (lat, lng, accuracy))
    missing = np.isnan(lat) | np.isnan(lng)
    why = np.where(missing & wrong, WRONG_TRUTH, np.where(missing & null, NULL_TRUTH, np.where(missing, NO_TRUTH, 0)))
    why[~missing & (accuracy > most_accuracy_m)] = COARSE_TRUTH
    return Truths(lat, lng, accuracy, why)


def _fill_from_reports(rows: Rows, truth: tuple[Floats, Floats, Floats]) -> None:
    """Takes satellite fixes with a small claimed radius where no truth is given; in place."""
    lat, lng, accuracy = truth
    stated = np.where(np.isnan(rows.confidence), UNSTATED_CONFIDENCE, rows.confidence)
    open_ = np.isnan(lat) | np.isnan(lng)
    fixed = open_ & (rows.method == PositioningMethod.GNSS) & (rows.radius_m > 0)
    fixed &= (rows.radius_m <= MOST_REPORTED_M) & ~np.isnan(rows.latitude_deg) & ~np.isnan(rows.longitude_deg)
    for i in np.flatnonzero(fixed).tolist():
        accuracy[i] = rescale_circle(float(rows.radius_m[i]), float(stated[i]), TRUTH_CONFIDENCE)
    lat[fixed], lng[fixed] = rows.latitude_deg[fixed], rows.longitude_deg[fixed]
    if rows.aml is None:
        return
    for i in np.flatnonzero(open_ & ~fixed).tolist():
        text = rows.aml[i]
        found = None if text is None else _fix_of(text)
        if found is not None:
            lat[i], lng[i], accuracy[i] = found


def _fix_of(text: str) -> tuple[float, float, float] | None:
    """Latitude, longitude and accuracy (68 %) of an AML message's satellite fix; None where it has none of use."""
    try:
        reading = messages.read("aml", text.encode(), arrived_at=None)
    except (Unreadable, ValueError):
        return None
    for piece in reading.evidence:
        report = piece.content
        if not isinstance(report, DeviceReport) or report.method != PositioningMethod.GNSS:
            continue
        shape = report.shape
        if isinstance(shape, Circle) and 0 < shape.radius_m <= MOST_REPORTED_M:
            stated = report.confidence or UNSTATED_CONFIDENCE
            accuracy_m = rescale_circle(shape.radius_m, stated, TRUTH_CONFIDENCE)
            return shape.center.latitude_deg, shape.center.longitude_deg, accuracy_m
    return None


def _share_in_calls(call: Ints, t: Floats, truth: tuple[Floats, Floats, Floats]) -> None:
    """Gives rows without truth that of the row of their call which is nearest in time; in place.

    Only a few seconds from it, and where times are not known only if the call has just one truth.
    """
    lat, lng, accuracy = truth
    known = ~(np.isnan(lat) | np.isnan(lng))
    calls = int(call.max(initial=-1)) + 1
    truths = np.bincount(call[known], minlength=calls)
    wanting = np.flatnonzero(~known & (truths > 0)[call]) if calls else np.zeros(0, np.int64)
    if not len(wanting):
        return
    start = np.searchsorted(call, np.arange(calls + 1))
    chosen = np.full(len(wanting), -1)
    for k, i in enumerate(wanting.tolist()):
        begin, end = start[call[i]], start[call[i] + 1]
        near = begin + np.flatnonzero(known[begin:end])
        apart = np.abs(t[near] - t[i])
        if np.isnan(apart).any():
            chosen[k] = near[0] if len(near) == 1 else -1
        elif apart.min() <= SAME_PLACE_S:
            chosen[k] = near[np.argmin(apart)]
    to, source = wanting[chosen >= 0], chosen[chosen >= 0]
    lat[to], lng[to], accuracy[to] = lat[source], lng[source], accuracy[source]
