"""Located history as it is fitted to: calls with a truth, thinned session by session, their evidence as columns."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.errors import BadData
from locsvc.learning.truths import REASONS, Truths, read_truths
from locsvc.resolver import calls_table
from locsvc.resolver.slots import times_of
from locsvc.resolver.table import FORM_NONE, EvidenceTable
from locsvc.tables import columns
from locsvc.tables.evidence import calls_of, table_of
from locsvc.tables.form import CALL, CALL_JSON, COLUMNS, ROW, UNREAD
from locsvc.tables.grouping import Grouper
from locsvc.tables.inputs import Source, open_source
from locsvc.tables.rows import read_rows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Truths that claim to be less accurate than this are not taken.
MOST_ACCURACY_M = 200.0
# Calls of one session that are looked at, evenly spread: more of them are only alike. And calls altogether.
MOST_OF_SESSION, MOST_CALLS = 200, 40_000
# A report this near the truth, degrees of either coordinate, may be the truth itself, rounded as AML rounds.
_SAME_DEG, _EQUAL_DEG = 6e-6, 1e-7
_DAY_S = 86_400.0
_KEPT = frozenset({*COLUMNS, "session", "truth_accuracy_m", CALL})
# Columns of tables that were cut to parts: what a row's session is called, as rows are numbered anew in each part; and
# what it is left out with, if not with its day.
SESSION, TOGETHER = "__session", "__together"


@dataclass(slots=True)
class Chunk:
    """Evidence of some calls, and where they were, (calls,): degrees, metres (NaN unknown), session, time to age to.

    `apart` numbers the part of the history that it is of.
    """

    table: EvidenceTable
    latitude_deg: Floats
    longitude_deg: Floats
    accuracy_m: Floats
    session: Ints
    now: Floats
    apart: int = 0


@dataclass(slots=True)
class History:
    """What tables hold to be fitted to.

    `sessions` are names in their order; `day` (sessions,) numbers their days, NaN where no time is known, or what else
    they are left out with. `rows` were read, `calls` are used; `rejected` tells reasons of the others, `same` how many
    reports were the truth itself.
    """

    tables: list[str]
    chunks: list[Chunk]
    sessions: list[str]
    day: Floats
    rows: int = 0
    calls: int = 0
    located: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    same: int = 0


@dataclass(slots=True)
class _Part:
    """Rows of whole calls that have a truth; the rest by call."""

    batch: pa.RecordBatch
    call: Ints
    truth: tuple[Floats, Floats, Floats]
    name: list[str]
    t: Floats
    together: list[str] | None
    apart: int


def read_history(
    tables: Sequence[Sequence[Path]],
    mapping: Mapping[str, str] | None = None,
    input_format: str | None = None,
    *,
    truth_from_reports: bool = False,
) -> History:
    """The located calls of tables, part by part; with `truth_from_reports` a satellite fix is truth where none is told.

    Raises
    ------
    BadData
        A table cannot be read, or no row of any has a truth.
    """
    history = History([table.name for own in tables for table in own], [], [], np.zeros(0))
    parts: list[_Part] = []
    nth = itertools.count()
    for apart, own in enumerate(tables):
        for table in own:
            source = open_source(table, input_format, dict(mapping or {}))
            place = (next(nth), apart)
            read = (_part(batch, history, place, from_reports=truth_from_reports) for batch in whole_calls(source))
            parts += [part for part in read if part is not None]
    names = sorted({name for part in parts for name in part.name})
    if not names:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in history.rejected.most_common())
        raise BadData(f"no row has a truth (truth_lat, truth_lon) to fit to ({why or 'the tables are empty'})")
    number = {name: i for i, name in enumerate(names)}
    session = np.concatenate([np.array([number[n] for n in part.name], np.int64) for part in parts])
    history.sessions, history.located = names, len(session)
    history.day = _days(session, _left_out_with(parts), len(names))
    chosen, first = _thinned(session, len(names)), 0
    for part in parts:
        mine = chosen[first : first + len(part.name)]
        first += len(part.name)
        if mine.any():
            history.chunks.append(_chunk(part, mine, session[first - len(part.name) : first]))
    history.calls = int(chosen.sum())
    _leave_truths_out(history)
    return history


def whole_calls(source: Source) -> Iterator[pa.RecordBatch]:
    """All rows of a table, in batches of whole calls."""
    grouper = Grouper()
    for batch in source.batches():
        yield from grouper.add(batch)
    yield from grouper.end()


def _part(batch: pa.RecordBatch, history: History, place: tuple[int, int], *, from_reports: bool) -> _Part | None:
    """The located calls of whole calls; None when there is none. `place`: numbers of their table and of its part."""
    history.rows += len(batch)
    if CALL_JSON in batch.schema.names:
        history.rejected["call as JSON, which has no truth"] += len(batch)
        return None
    if not len(batch):
        return None
    call = batch.column(CALL).to_numpy(zero_copy_only=False).astype(np.int64)
    call = np.unique(call, return_inverse=True)[1].astype(np.int64)
    rows = read_rows(batch)
    truths = read_truths(batch, rows, call, from_reports=from_reports, most_accuracy_m=MOST_ACCURACY_M)
    good = truths.good & ~batch.column(UNREAD).is_valid().to_numpy(zero_copy_only=False)
    for code, count in zip(*np.unique(truths.why[~good], return_counts=True), strict=True):
        history.rejected[REASONS[code] or "row cannot be read"] += int(count)
    last = np.full(int(call.max()) + 1, -1)
    last[call[good]] = np.flatnonzero(good)
    has = last >= 0
    if not has.any():
        return None
    keep = has[call]
    nth, apart = place
    names = session_names(batch, rows.t, nth)
    together = _column(batch, TOGETHER)
    at = last[has]
    kept = batch.select([n for n in batch.schema.names if n in _KEPT]).filter(pa.array(keep))
    renumbered = (np.cumsum(has) - 1)[call[keep]]
    with_others = None if together is None else [together[i] for i in at.tolist()]
    return _Part(kept, renumbered, _of(truths, at), [names[i] for i in at.tolist()], rows.t[at], with_others, apart)


def _of(truths: Truths, at: Ints) -> tuple[Floats, Floats, Floats]:
    return truths.latitude_deg[at], truths.longitude_deg[at], truths.accuracy_m[at]


def session_names(batch: pa.RecordBatch, t: Floats, table: int, column: str = "session") -> list[str]:
    """The session of each row: as the table is cut, else its column, else its day, else none but its own.

    Parameters
    ----------
    batch
        Rows as the grouper gives them.
    t
        (n,) Unix seconds.
    table
        Number of their table: rows of another that say neither are others.
    column
        Where sessions are told.
    """
    cut = _column(batch, SESSION)
    if cut is not None:
        return cut
    row = batch.column(ROW).to_pylist()
    days = [
        f"row {table}.{n}" if np.isnan(s) else f"day {int(s // _DAY_S)}" for n, s in zip(row, t.tolist(), strict=True)
    ]
    given = _column(batch, column)
    return days if given is None else [name or day for name, day in zip(given, days, strict=True)]


def _column(batch: pa.RecordBatch, name: str) -> list[str] | None:
    """A column as texts; None where there is none."""
    if name not in batch.schema.names:
        return None
    told: list[str] = columns.texts(columns.plain(batch.column(name))).to_pylist()
    return told


def _left_out_with(parts: Sequence[_Part]) -> Floats:
    """The day of each row, or the number of what else it is left out with, (n,)."""
    told = [name for part in parts for name in part.together or []]
    if told:
        return np.unique(np.array(told), return_inverse=True)[1].astype(np.float64)
    return np.concatenate([part.t for part in parts]) // _DAY_S


def _days(session: Ints, day_of_row: Floats, count: int) -> Floats:
    """The first day of each session, (count,)."""
    day = np.full(count, np.inf)
    np.fmin.at(day, session, day_of_row)
    return np.where(np.isinf(day), np.nan, day)


def _thinned(session: Ints, count: int) -> Bools:
    """Which calls are looked at: of each session evenly many, the same for the same tables."""
    most = max(1, min(MOST_OF_SESSION, MOST_CALLS // count))
    order = np.argsort(session, kind="stable")
    sizes = np.bincount(session, minlength=count)
    nth = np.arange(len(session)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    size = sizes[session[order]]
    # The k-th of n is taken when k * most / n passes a whole number.
    taken = (nth * most) // size != ((nth + 1) * most) // size
    chosen = np.zeros(len(session), bool)
    chosen[order] = taken | (size <= most)
    return chosen


def _chunk(part: _Part, mine: Bools, session: Ints) -> Chunk:
    keep = mine[part.call]
    call = (np.cumsum(mine) - 1)[part.call[keep]]
    rows = read_rows(part.batch.filter(pa.array(keep)))
    calls = int(mine.sum())
    plain = rows.aml is None
    table = table_of(rows, call, calls) if plain else calls_table(calls_of(rows, call, list(range(calls))))
    lat, lng, accuracy = (values[mine] for values in part.truth)
    return Chunk(table, lat, lng, accuracy, session[mine], times_of(table, np.full(calls, np.nan)), part.apart)


def _leave_truths_out(history: History) -> None:
    """Reports that are the truth itself say nothing of how far reports are off: they are left out, in place.

    Those that equal it, and all of a session in which most are within what rounding makes of it.
    """
    near, total = np.zeros(len(history.sessions)), np.zeros(len(history.sessions))
    looked = []
    for chunk in history.chunks:
        reports = chunk.table.reports
        call = chunk.table.slots[reports[:, 0].astype(np.int64), 0].astype(np.int64)
        away = np.maximum(
            np.abs(reports[:, 2] - chunk.latitude_deg[call]), np.abs(reports[:, 3] - chunk.longitude_deg[call])
        )
        session = chunk.session[call]
        np.add.at(near, session, away < _SAME_DEG)
        np.add.at(total, session, 1.0)
        looked.append((away, session))
    told = near * 2 > total
    for chunk, (away, session) in zip(history.chunks, looked, strict=True):
        same = (away < _EQUAL_DEG) | told[session]
        reports = chunk.table.reports.copy()
        reports[same, 1] = FORM_NONE
        chunk.table = replace(chunk.table, reports=reports)
        history.same += int(same.sum())
