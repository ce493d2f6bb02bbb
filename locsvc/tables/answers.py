"""Answers of the resolver as result columns."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.model import CellFallback, Disposition, EvidenceKind, Outcome, PositioningMethod, WarningCode
from locsvc.tables.form import OUTCOMES, REJECTED, RESULT

if TYPE_CHECKING:
    from locsvc.resolver.answered import Answered
    from locsvc.resolver.table import EvidenceTable

Ints = npt.NDArray[np.int64]

# A source is coded as kind * 64 + what tells it apart: a cell's fallback, a report's method.
_KINDS = 64


@functools.cache
def _source(code: int) -> str:
    """The name of a source: `cell_scan/centroid`, `device_report/gnss`, `line_lookup`."""
    kind, more = EvidenceKind(code // _KINDS), code % _KINDS
    name = kind.name.lower()
    if kind is EvidenceKind.CELL_SCAN and more:
        return f"{name}/{CellFallback(more).name.lower()}"
    if kind is EvidenceKind.DEVICE_REPORT and more:
        return f"{name}/{PositioningMethod(more).name.lower()}"
    return name


def _sources(answered: Answered, table: EvidenceTable) -> pa.Array:
    """The sources that counted in each answer, each once."""
    slots, verdicts = answered.slots, answered.verdicts
    calls = len(answered.confidences)
    more = slots.fallback.copy()
    if len(table.reports):
        more[table.reports[:, 0].astype(np.int64)] = table.reports[:, 9].astype(np.int64)
    counted = slots.placed & (verdicts.disposition != Disposition.SET_ASIDE)
    width = _KINDS * len(EvidenceKind)
    keys = np.unique((slots.call * width + slots.kind * _KINDS + more)[counted])
    starts = np.searchsorted(keys, np.arange(calls + 1) * width)
    found, place = np.unique(keys % width, return_inverse=True)
    names = pa.array([_source(code) for code in found.tolist()], pa.string())
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), names.take(pa.array(place)))


def warning_text(code: WarningCode, message: str) -> str:
    """A warning as the output writes it.

    >>> warning_text(WarningCode.STALE, "observed 6 min before the newest evidence")
    'stale: observed 6 min before the newest evidence'
    """
    return f"{code.name.lower()}: {message}"


def result_of(
    answered: Answered, table: EvidenceTable, call_ids: pa.Array, refused: dict[int, list[str]]
) -> pa.RecordBatch:
    """The result columns of some calls.

    Parameters
    ----------
    answered, table
        What the resolver said, and to what.
    call_ids
        (calls,) text.
    refused
        Warnings of values that could not be read, by call.
    """
    calls = len(answered.confidences)
    row = np.array(answered.row_of_call, np.int64)
    placed = row >= 0
    outcome = np.where(placed, np.where(answered.conflict, int(Outcome.CONFLICT), int(Outcome.LOCATED)), 3)
    names = [OUTCOMES[o] for o in Outcome] + [REJECTED]
    outcome[[k for k in refused if not placed[k]]] = len(names) - 1
    warnings: list[Sequence[str]] = [
        [*refused.get(k, ()), *(warning_text(w.code, w.message) for w in told)] if told or k in refused else ()
        for k, told in enumerate(answered.warnings)
    ]
    columns = [
        call_ids,
        pa.array(names, pa.string()).take(pa.array(outcome)),
        *_numbers(answered, row, placed),
        _sources(answered, table),
        pa.array(warnings, pa.list_(pa.string())),
        *_places(answered, row.tolist(), calls),
    ]
    # In the schema's order: confidence stands between place and radius.
    return pa.RecordBatch.from_arrays(columns, schema=RESULT)


def _numbers(answered: Answered, row: Ints, placed: npt.NDArray[np.bool_]) -> list[pa.Array]:
    """From latitude to the region's area."""
    calls, located = len(row), answered.located
    confidence = pa.array(answered.confidences, pa.float64())
    if located is None:
        nothing = pa.nulls(calls, pa.float64())
        region = [pa.nulls(calls, pa.int32()), pa.nulls(calls, pa.list_(pa.uint64())), nothing]
        return [nothing, nothing, confidence, *[nothing] * 4, *region]
    a, at = located.answers, np.maximum(row, 0)

    def numbers(values: npt.NDArray[np.generic], kind: pa.DataType) -> pa.Array:
        return pa.array(values[at], kind, mask=~placed)

    ends = np.zeros(calls + 1, np.int64)
    ends[1:] = np.where(placed, located.region.starts[at + 1], 0)
    cells = pa.ListArray.from_arrays(
        pa.array(np.maximum.accumulate(ends), pa.int32()),
        pa.array(located.region.cell, pa.uint64()),
        mask=pa.array(~placed),
    )
    f64 = pa.float64()
    return [
        numbers(a.latitude_deg, f64),
        numbers(a.longitude_deg, f64),
        confidence,
        *(numbers(v, f64) for v in (a.radius_m, a.semi_major_m, a.semi_minor_m, a.orientation_deg)),
        numbers(located.region.finest, pa.int32()),
        cells,
        numbers(a.region_area_m2, f64),
    ]


def _places(answered: Answered, rows: Sequence[int], calls: int) -> list[pa.Array]:
    """The nearest address, and the area that holds most of the region."""
    located = answered.located
    if located is None:
        return [pa.nulls(calls, pa.string())] * 2
    addresses = [None if found is None else found[0].line() for found in located.addresses]
    areas = [shares[0].name if shares else None for shares in located.areas]
    return [
        pa.array([None if r < 0 else addresses[r] for r in rows], pa.string()),
        pa.array([None if r < 0 else areas[r] for r in rows], pa.string()),
    ]
