"""`locsvc calibrate` on tables that the coverage in force was learned from: coverage is learned anew, part by part."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.errors import BadData
from locsvc.learning.aside import folder_aside
from locsvc.learning.calibrate.calibrate import Calibrated, Options, Progress, asked_groups
from locsvc.learning.calibrate.calibrate import calibrate as calibrate_plainly
from locsvc.learning.calibrate.history import History, session_names, whole_calls
from locsvc.learning.calibrate.parts import MOST_PARTS, Cut, Told, deal, fit_apart
from locsvc.learning.learn import CALLS, learned_before
from locsvc.learning.learn import Options as LearnOptions
from locsvc.reference.calibration import read_calibration
from locsvc.reference.coverage.learned import former_of, terms_of
from locsvc.reference.snapshot import Entry
from locsvc.reference.store import Reference
from locsvc.tables.form import CALL, CALL_JSON
from locsvc.tables.inputs import open_source
from locsvc.tables.rows import read_rows
from locsvc.tables.twice import STANDARD, digest_of, refuse_twice

Ints = npt.NDArray[np.int64]

DAY, SESSION = "day", "session"
_DAY_S = 86_400.0
# What learning writes aside on its way is at most so many times as large as the tables.
_SCRATCH_SIZE = 2


@dataclass(frozen=True, slots=True)
class Anew:
    """How tables are scored that the coverage in force was learned from.

    `tables` are those, `units` the days or sessions (`unit`) that are dealt to `parts`; `absent` are tables that the
    coverage was learned from too, and that are not given: they teach no part. `most_bytes` are in `folder` meanwhile:
    the tables, coverage for each part, and what one more is made of.
    """

    tables: list[str]
    parts: int
    units: int
    unit: str
    absent: list[str]
    most_bytes: int
    folder: Path


def calibrate(
    tables: Sequence[Path],
    data: Path,
    reference: Reference,
    options: Options | None = None,
    progress: Progress | None = None,
    begin: Callable[[Anew], None] = lambda _: None,
) -> tuple[Calibrated, Anew | None]:
    """The calibration of a data directory, with the numbers that the tables can tell; and how they were scored.

    Sessions of tables that the coverage in force was learned from are scored by what the other parts of these tables
    teach, all others by the coverage in force. The same tables give the same numbers. Nothing is written.

    Parameters
    ----------
    tables
        With truths; `-` is stdin.
    data
        The data directory.
    reference
        All that is in it.
    options
        How tables are read and fitted to.
    progress
        Told what is done.
    begin
        Told how tables are scored before that takes its time, if coverage is learned anew.

    Raises
    ------
    BadData
        A table cannot be read or is given twice, or no row of any has a truth.
    ConfigError
        The calibration of the directory cannot be used, or there is no room for what is learned anew.
    DatasetError
        The coverage in force is damaged.
    InvalidInput
        No group's name begins as one of those that were asked for.
    """
    options = options or Options()
    # What can be told to be wrong at once is.
    asked_groups(read_calibration(reference.calibration_text)[0], options.only)
    refuse_twice(tables)
    former = former_of(data)
    known = {} if former is None else learned_before(former.extra)
    if former is None or not known:
        return calibrate_plainly(tables, reference, options, progress), None
    with folder_aside("locsvc-calibrate-") as folder:
        given = [_kept(table, folder, options.input_format) for table in tables]
        digests = ["" if str(table) == STANDARD else digest_of(table) for table in given]
        task = _Task(tables, given, [d in known for d in digests], former, folder, options, progress)
        absent = [name for digest, name in known.items() if digest not in digests]
        with _named(tables, given):
            found, told = (
                task.done(reference, absent, begin)
                if any(task.seen)
                else (calibrate_plainly(given, reference, options, progress), None)
            )
        found.history.tables[:] = [table.name for table in tables]
        return found, told


def days_in_common(history: History, reference: Reference) -> int:
    """How many days of a history are of the time that the coverage was learned from."""
    coverage = reference.coverage
    if coverage is None or coverage.since_s is None or coverage.until_s is None:
        return 0
    first, last = (s // _DAY_S for s in (coverage.since_s, coverage.until_s))
    return len({day for day in history.day.tolist() if first <= day <= last})


@contextlib.contextmanager
def _named(tables: Sequence[Path], given: Sequence[Path]) -> Iterator[None]:
    """Errors name stdin, and not the file that it is kept in.

    Raises
    ------
    BadData
        As it came.
    """
    try:
        yield
    except BadData as error:
        text = str(error)
        for table, kept in zip(tables, given, strict=True):
            text = text if table == kept else text.replace(str(kept), "stdin")
        raise BadData(text) from None


class _Sessions:
    """Sessions of all tables, numbered as they come: how large they are, when they began, and whether they taught."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        self.names = list[str]()
        self.rows, self.first_s, self.seen = list[int](), list[float](), list[bool]()

    def add(self, names: Sequence[str], t: npt.NDArray[np.float64], *, seen: bool) -> Ints:
        """The number of each row's session, (n,)."""
        values, place, rows = np.unique(np.array(names), return_inverse=True, return_counts=True)
        first = np.full(len(values), np.inf)
        np.fmin.at(first, place, t)
        numbers = [self.number.setdefault(name, len(self.number)) for name in values.tolist()]
        for name, number, count, began_s in zip(values.tolist(), numbers, rows.tolist(), first.tolist(), strict=True):
            if number == len(self.rows):
                self.names.append(name)
                self.rows.append(0)
                self.first_s.append(np.inf)
                self.seen.append(False)
            self.rows[number] += count
            self.first_s[number] = min(self.first_s[number], began_s)
            self.seen[number] |= seen
        return np.array(numbers, np.int64)[place]


@dataclass(frozen=True, slots=True)
class _Task:
    """Tables as they were named and as they are read, which of them the coverage has seen, and where there is room."""

    tables: Sequence[Path]
    given: Sequence[Path]
    seen: Sequence[bool]
    former: Entry
    folder: Path
    options: Options
    progress: Progress | None

    def done(self, reference: Reference, absent: list[str], begin: Callable[[Anew], None]) -> tuple[Calibrated, Anew]:
        """The calibration, and how tables were scored."""
        began_s = time.monotonic()
        sessions, calls = _Sessions(), Counter[str]()
        numbers = [list(self._numbered(nth, sessions, calls)) for nth in range(len(self.given))]
        part, units, unit = _dealt(sessions, by_day=self.options.by_day)
        parts = int(part.max(initial=-1)) + 1
        names = [table.name for table, seen in zip(self.tables, self.seen, strict=True) if seen]
        # Sessions that nothing was learned from are a part of their own.
        cut = self._cut(sessions, np.where(part < 0, parts, part), numbers)
        most_bytes = (1 + _SCRATCH_SIZE) * cut.size_bytes() + (parts + 1) * self._coverage_bytes()
        told = Anew(names, parts, units, unit, absent, most_bytes, self.folder.parent)
        begin(told)
        spent_s = time.monotonic() - began_s
        budget_s = None if self.options.budget_s is None else max(self.options.budget_s - spent_s, 0.0)
        options = replace(self.options, budget_s=budget_s)
        learning = self._learning()
        found = fit_apart(cut, reference, self.folder, options, self.progress, learning=learning, as_it_is=parts)
        found.history.rows += calls.total()
        found.history.rejected += calls
        return replace(found, seconds=time.monotonic() - began_s), told

    def _cut(self, sessions: _Sessions, part: Ints, numbers: Sequence[Sequence[Ints]]) -> Cut:
        """The tables by the parts (sessions,) of their sessions; `numbers` are the rows', batch by batch."""
        with Cut(self.folder / "cut") as cut:
            for nth, (seen, of_batches) in enumerate(zip(self.seen, numbers, strict=True)):
                batches = filter(_is_rows, self._batches(nth, "dealing to parts"))
                for batch, number in zip(batches, of_batches, strict=True):
                    told = Told(part[number], [sessions.names[k] for k in number.tolist()])
                    cut.add(nth, pa.Table.from_batches([batch]), told, teaches=seen)
        return cut

    def _batches(self, nth: int, what: str) -> Iterator[pa.RecordBatch]:
        """Whole calls of a table; `what` is told of it meanwhile."""
        source, rows = open_source(self.given[nth], self.options.input_format, self.options.mapping), 0
        with contextlib.closing(source):
            for batch in whole_calls(source):
                rows += len(batch)
                if self.progress is not None:
                    self.progress(what, (nth + (source.share_read(rows) or 0.0)) / len(self.given))
                if len(batch):
                    yield batch

    def _numbered(self, nth: int, sessions: _Sessions, calls: Counter[str]) -> Iterator[Ints]:
        """The session of each row, (n,), batch by batch: rows of a call are of the session of its last."""
        for batch in self._batches(nth, "reading sessions"):
            if not _is_rows(batch):
                calls[CALLS] += len(batch)
            else:
                t = read_rows(batch.select([n for n in batch.schema.names if n in {"t", CALL}])).t
                call = batch.column(CALL).to_numpy(zero_copy_only=False)
                ends = np.append(call[1:] != call[:-1], True)
                last = np.flatnonzero(ends)[np.cumsum(ends) - ends]
                names = np.array(session_names(batch, t, nth), object)[last]
                yield sessions.add(names.tolist(), t, seen=self.seen[nth]).astype(np.int32)

    def _learning(self) -> LearnOptions:
        """As the coverage in force was learned, but from its beginning."""
        terms = terms_of(self.former, None, None)
        return LearnOptions(
            resolution=terms.resolution, half_life_days=terms.half_life_days,
            truth_from_reports=self.options.truth_from_reports,
        )  # fmt: skip

    def _coverage_bytes(self) -> int:
        """How much the coverage in force takes: that of a part is no larger."""
        return sum(file.stat().st_size for file in self.former.path.rglob("*") if file.is_file())


def _dealt(sessions: _Sessions, *, by_day: bool) -> tuple[Ints, int, str]:
    """The part of each session, (sessions,), how many days or sessions were dealt to parts, and which of them.

    What is of a day that nothing was learned from is of no part, -1. Whole days are dealt where there are enough: two
    phones in one car are two sessions of it.
    """
    first_s, rows, seen = np.array(sessions.first_s), np.array(sessions.rows), np.array(sessions.seen)
    timed = np.isfinite(first_s)
    day = np.where(timed, np.where(timed, first_s, 0.0) // _DAY_S, -1.0 - np.arange(len(first_s)))
    whole_days = by_day or len(np.unique(day[seen])) >= MOST_PARTS
    unit = day if whole_days else np.arange(len(day), dtype=np.float64)
    dealt = np.isin(unit, unit[seen])
    part = np.full(len(unit), -1)
    units = len(np.unique(unit[dealt]))
    part[dealt] = deal(unit[dealt], min(MOST_PARTS, units), rows[dealt])
    return part, units, DAY if whole_days else SESSION


def _is_rows(batch: pa.RecordBatch) -> bool:
    """Whether it has rows of the table form, which may have a truth, and not calls as JSON."""
    return CALL_JSON not in batch.schema.names


def _kept(table: Path, folder: Path, input_format: str | None) -> Path:
    """A table that can be read again: stdin as a file.

    Raises
    ------
    BadData
        It cannot be read.
    """
    if str(table) != STANDARD or input_format == "parquet":
        return table
    file = folder / f"stdin.{input_format or 'csv'}"
    with file.open("wb") as opened:
        shutil.copyfileobj(sys.stdin.buffer, opened)
    return file
