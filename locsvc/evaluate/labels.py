"""What calls are told apart by: sources, radio, how the cell was known, timing advance, stated radius, session, day."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.model import CellFallback, Disposition, EvidenceKind, PositioningMethod, Radio
from locsvc.resolver.table import CELL_COLUMNS, REPORT_COLUMNS
from locsvc.tables import columns
from locsvc.tables.form import ROW

if TYPE_CHECKING:
    from locsvc.resolver import Resolver
    from locsvc.resolver.answered import Answered
    from locsvc.resolver.table import EvidenceTable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]

SOURCES, RADIO, CELL, STEP, ADVANCE = "sources", "radio", "cell", "cell step", "timing advance"
RADIUS, SESSION, DAY = "radius", "session", "day"
# In the order in which they are told.
STRATA = (SOURCES, CELL, STEP, RADIO, ADVANCE, RADIUS, DAY, SESSION)
KNOWN, UNKNOWN, NONE = "known", "unknown", "none"
# The cell itself is known, not its neighbourhood.
KNOWN_STEPS = (CellFallback.COVERAGE, CellFallback.SECTOR, CellFallback.CENTROID, CellFallback.PHYSICAL_IDENTITY)
SESSION_COLUMN = "session"

_CELL = {name: i for i, name in enumerate(CELL_COLUMNS)}
_REPORT = {name: i for i, name in enumerate(REPORT_COLUMNS)}
_CLASSES_M = (50.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0)
_ADVANCES_M = (250.0, 1_000.0, 3_000.0)


def classes(values: Floats, ends: tuple[float, ...], unknown: str = NONE) -> Texts:
    """The class of each length, (n,) texts: up to which of `ends` (metres) it goes.

    >>> classes(np.array([20.0, 2_000.0, 5_000.0, np.nan]), (50.0, 3_000.0)).tolist()
    ['to 50 m', '50 m to 3 km', 'over 3 km', 'none']
    """
    words = [_length(end) for end in ends]
    names = [f"to {words[0]}", *(f"{a} to {b}" for a, b in itertools.pairwise(words)), f"over {words[-1]}"]
    place = np.searchsorted(np.array(ends), values, side="left")
    result = np.array([*names, unknown], object)
    return result[np.where(np.isnan(values), len(names), np.minimum(place, len(names) - 1))]


def _length(metres: float) -> str:
    return f"{metres:g} m" if metres < 1_000 else f"{metres / 1_000:g} km"


def labels_of(
    resolver: Resolver, table: EvidenceTable, answered: Answered, own: pa.RecordBatch, t: Floats, radius_m: Floats,
    by: tuple[str, ...],
) -> dict[str, Texts]:  # fmt: skip
    """The labels of calls, (calls,) texts, by stratum.

    Parameters
    ----------
    resolver, table, answered
        What was asked and said.
    own, t
        The last row of each call, and its time (Unix seconds).
    radius_m
        (calls,) as stated at 90 %.
    by
        Further columns of `own`.
    """
    calls = len(own)
    first = _first_serving(table, calls)
    step = np.zeros(calls, np.int64)
    radio = np.zeros(calls, np.int64)
    delay = np.full(calls, np.nan)
    if len(table.cells):
        row, given = table.cells[np.maximum(first, 0)], first >= 0
        step = np.where(given, answered.slots.fallback[row[:, _CELL["slot"]].astype(np.int64)], 0)
        radio = np.where(given, np.maximum(row[:, _CELL["radio"]], 0), 0).astype(np.int64)
        delay = np.where(given, row[:, _CELL["timing_advance"]], np.nan) * resolver.parameters.cell_timing_step_m[radio]
    known = np.isin(step, KNOWN_STEPS)
    found = {
        SOURCES: _sources(table, answered, calls),
        CELL: _texts(np.where(first < 0, NONE, np.where(known, KNOWN, UNKNOWN))),
        STEP: _named(step, {int(s): s.name.lower() for s in CellFallback if s}, NONE),
        RADIO: _named(radio, {int(r): r.name for r in Radio if r}, NONE),
        ADVANCE: classes(delay, _ADVANCES_M),
        RADIUS: classes(radius_m, _CLASSES_M),
        DAY: days_of(t),
    }
    for name in by:
        found[name] = texts_of(own, name)
    return found


def _texts(values: npt.NDArray[np.generic]) -> Texts:
    return values.astype(object)


def _named(codes: Ints, names: dict[int, str], other: str) -> Texts:
    table = np.array([names.get(k, other) for k in range(max(names) + 1)], object)
    return table[codes]


def _first_serving(table: EvidenceTable, calls: int) -> Ints:
    """The row of each call's first serving cell, (calls,); -1 for none."""
    first = np.full(calls, -1)
    rows = np.flatnonzero(table.cells[:, _CELL["neighbour"]] == 0)[::-1]
    first[table.slots[table.cells[rows, _CELL["slot"]].astype(np.int64), 0].astype(np.int64)] = rows
    return first


def _sources(table: EvidenceTable, answered: Answered, calls: int) -> Texts:
    """What counted in each answer: `cell`, `neighbours`, `device/<method>`, `line`, joined by plus signs."""
    slots = answered.slots
    counted = slots.placed & (answered.verdicts.disposition != Disposition.SET_ASIDE)
    methods = [f"device/{m.name.lower()}" for m in PositioningMethod]
    names = ["cell", "neighbours", *methods, "line"]
    code = np.full(len(slots.call), -1)
    code[slots.kind == EvidenceKind.LINE_LOOKUP] = len(names) - 1
    scans = table.cells[:, _CELL["slot"]].astype(np.int64)
    code[scans] = np.where(table.cells[:, _CELL["neighbour"]] > 0, 1, 0)
    if len(table.reports):
        code[table.reports[:, _REPORT["slot"]].astype(np.int64)] = 2 + table.reports[:, _REPORT["method"]].astype(
            np.int64
        )
    bits = np.zeros(calls, np.int64)
    use = counted & (code >= 0)
    np.bitwise_or.at(bits, slots.call[use], 1 << code[use])
    kinds, place = np.unique(bits, return_inverse=True)
    words = [" + ".join(n for k, n in enumerate(names) if bit >> k & 1) or NONE for bit in kinds.tolist()]
    return np.array(words, object)[place]


def days_of(t: Floats) -> Texts:
    """Days (UTC) of times, (n,) texts; `none` for no time.

    >>> days_of(np.array([0.0, np.nan])).tolist()
    ['1970-01-01', 'none']
    """
    known = ~np.isnan(t)
    days = np.where(known, np.floor(np.where(known, t, 0.0) / 86_400.0), 0).astype("datetime64[D]")
    result = days.astype(str).astype(object)
    result[~known] = NONE
    return result


def texts_of(own: pa.RecordBatch, name: str) -> Texts:
    """A column as texts, (n,); `none` where it says nothing."""
    given = columns.texts(columns.plain(own.column(name))).to_pylist()
    result = np.empty(len(given), object)
    result[:] = [NONE if text is None else str(text) for text in given]
    return result


def sessions_of(own: pa.RecordBatch, t: Floats, column: str | None) -> Texts:
    """What calls belong to that is independent of others, (calls,) texts: a column, else the day, else each its own."""
    name = column or SESSION_COLUMN
    if name in own.schema.names:
        return texts_of(own, name)
    days = days_of(t)
    alone = days == NONE
    if alone.any():
        rows = own.column(ROW).to_pylist() if ROW in own.schema.names else list(range(len(own)))
        days[alone] = [f"row-{rows[k]}" for k in np.flatnonzero(alone).tolist()]
    return days
