"""`locsvc learn`: tables with truth into the coverage dataset of a data directory."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.errors import BadData
from locsvc.learning.reports import heard_of, scans_of, tallies_of, visit_marks
from locsvc.learning.truths import GOOD, REASONS, read_truths
from locsvc.reference.coverage.learned import Learned, former_of, learn_tallies, terms_of
from locsvc.reference.coverage.shelves import Gathering
from locsvc.reference.coverage.terms import Terms
from locsvc.reference.snapshot import Draft
from locsvc.tables.form import CALL, CALL_JSON, UNREAD
from locsvc.tables.grouping import Grouper
from locsvc.tables.inputs import Source, open_source
from locsvc.tables.rows import read_rows
from locsvc.tables.twice import STANDARD, digest_of, refuse_twice

Bools = npt.NDArray[np.bool_]
# Rows read so far, and how much of the tables that is (0 to 1; None: nobody knows).
Progress = Callable[[int, float | None], None]

MOST_ACCURACY_M = 200.0
NOT_READ, NO_CELL, CALLS = "row cannot be read", "no cell with network and identity", "call as JSON, which has no truth"
FUTURE = "time in the future (taken as not known)"
# Clocks of phones and of this machine may differ; a time that is later makes all history look old.
_AHEAD_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Options:
    """How tables are learned; None: as before, or the default."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    input_format: str | None = None
    fresh: bool = False
    resolution: int | None = None
    half_life_days: float | None = None
    truth_from_reports: bool = False
    most_accuracy_m: float = MOST_ACCURACY_M
    licence: str = ""


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What learning came to."""

    snapshot_id: str
    learned: Learned
    rows: int
    """Rows read."""
    used: int
    """Rows learned from."""
    rejected: dict[str, int]
    """Reason -> rows not learned from."""
    notes: dict[str, int]
    """Values that were left out of rows that were learned from -> how many."""
    seconds: float


class _Counts:
    """What became of the rows."""

    def __init__(self) -> None:
        self.rows = self.used = 0
        self.rejected: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.since_s, self.until_s = np.inf, -np.inf


def learn(
    tables: Sequence[Path], data: Path, options: Options | None = None, progress: Progress | None = None
) -> LearnReport:
    """Adds what tables say to the coverage of a data directory, and puts it in force.

    Raises
    ------
    BadData
        A table cannot be read, is given twice or was learned before, or no row could be used; what was learned before
        stays in force.
    ConfigError
        The directory cannot be written to, or its coverage has places of another resolution.
    DatasetError
        What was learned before is damaged.
    """
    options = options or Options()
    refuse_twice(tables)
    with contextlib.ExitStack() as opened:
        sources = []
        for table in tables:
            sources.append(open_source(table, options.input_format, options.mapping))
            opened.callback(sources[-1].close)
        return _learn(tables, sources, data, options, progress)


def _learn(
    tables: Sequence[Path], sources: Sequence[Source], data: Path, options: Options, progress: Progress | None
) -> LearnReport:
    """Learns from tables that are open."""
    began_s = time.monotonic()
    digests = {digest_of(table): table.name for table in tables if str(table) != STANDARD}
    counts = _Counts()
    with Draft.begin(data) as draft:
        former = None if options.fresh else former_of(data)
        terms = terms_of(former, options.resolution, options.half_life_days)
        known = {} if former is None else learned_before(former.extra)
        for digest in digests.keys() & known.keys():
            raise BadData(
                f"{digests[digest]} was learned before (as {known[digest]}): leave it out, or it would be counted twice"
            )
        gathering = Gathering(draft.scratch_dir())
        for number, source in enumerate(sources):
            _read(source, gathering, terms, options, counts, _scaled(progress, number, len(sources), counts))
        if not counts.used:
            why = "; ".join(f"{reason}: {count:,}" for reason, count in counts.rejected.most_common())
            raise BadData(f"no row could be learned from ({why or 'the tables are empty'}); nothing was changed")
        learned = learn_tallies(
            draft, gathering, former, terms,
            times_s=(counts.since_s, counts.until_s) if counts.since_s <= counts.until_s else None,
            source=_source_text(list({**known, **digests}.values())),
            licence=options.licence or ("" if former is None else former.version.licence),
            notes={"tables": {**known, **digests}},
        )  # fmt: skip
        snapshot_id = draft.publish()
    return LearnReport(
        snapshot_id, learned, counts.rows, counts.used, dict(counts.rejected.most_common()),
        dict(counts.notes.most_common()), time.monotonic() - began_s,
    )  # fmt: skip


def learned_of(tables: Sequence[Path], data: Path) -> list[str]:
    """Names of those tables that the coverage in force was learned from, by their content.

    Raises
    ------
    BadData
        A table cannot be read.
    DatasetError
        The snapshot in force is damaged.
    """
    former = former_of(data)
    known = {} if former is None else learned_before(former.extra)
    return [table.name for table in tables if known and str(table) != STANDARD and digest_of(table) in known]


def learned_before(extra: Mapping[str, object]) -> dict[str, str]:
    """sha256 -> name of the tables that were learned."""
    tables = extra.get("tables")
    return {str(k): str(v) for k, v in tables.items()} if isinstance(tables, dict) else {}


def _source_text(names: Sequence[str]) -> str:
    """Tables for a person.

    >>> _source_text(["a.csv", "b.csv", "c.csv", "d.csv"])
    'a.csv, b.csv and 2 more'
    """
    shown = ", ".join(names[:2])
    return shown if len(names) <= 2 else f"{shown} and {len(names) - 2} more"


def _scaled(progress: Progress | None, number: int, tables: int, counts: _Counts) -> Progress:
    """Progress of all tables from that of one."""

    def show(_: int, share: float | None) -> None:
        if progress is not None:
            progress(counts.rows, None if share is None else (number + share) / tables)

    return show


def _read(
    source: Source, gathering: Gathering, terms: Terms, options: Options, counts: _Counts, progress: Progress
) -> None:
    """Takes all rows of a table."""
    grouper, read = Grouper(), 0
    for batch in source.batches():
        read += len(batch)
        for whole in grouper.add(batch):
            _take(whole, gathering, terms, options, counts)
        progress(read, source.share_read(read))
    for whole in grouper.end():
        _take(whole, gathering, terms, options, counts)


def _take(batch: pa.RecordBatch, gathering: Gathering, terms: Terms, options: Options, counts: _Counts) -> None:
    """Takes the rows of whole calls."""
    n = len(batch)
    counts.rows += n
    if not n:
        return
    if CALL_JSON in batch.schema.names:
        counts.rejected[CALLS] += n
        return
    unread = batch.column(UNREAD).is_valid().to_numpy(zero_copy_only=False)
    rows = read_rows(batch)
    call = batch.column(CALL).to_numpy(zero_copy_only=False)
    ahead = rows.t > time.time() + _AHEAD_S
    rows.t[ahead] = np.nan
    truths = read_truths(
        batch, rows, call, from_reports=options.truth_from_reports, most_accuracy_m=options.most_accuracy_m
    )
    heard = heard_of(rows)
    named = np.zeros(n, bool)
    named[heard.scan] = True
    used = truths.good & named & ~unread
    _count(counts, used, unread, truths.why, rows.refusals.found, ahead)
    if used.any():
        times = rows.t[used & ~np.isnan(rows.t)]
        counts.since_s = min(counts.since_s, float(times.min(initial=np.inf)))
        counts.until_s = max(counts.until_s, float(times.max(initial=-np.inf)))
        scans = scans_of(truths, rows, visit_marks(batch, rows, truths), terms.resolution)
        gathering.add(tallies_of(heard.of(used[heard.scan]), scans))


def _count(
    counts: _Counts, used: Bools, unread: Bools, why: npt.NDArray[np.int64],
    refused: Sequence[tuple[int, str, str, str]], ahead: Bools,
) -> None:  # fmt: skip
    """Counts what became of rows, each once: by the first thing that is wrong with it."""
    counts.used += int(used.sum())
    counts.rejected[NOT_READ] += int(unread.sum())
    left = ~used & ~unread
    for code, reason in enumerate(REASONS):
        counts.rejected[NO_CELL if code == GOOD else reason] += int((left & (why == code)).sum())
    counts.rejected = +counts.rejected
    for row, name, reason, _ in refused:
        counts.notes[f"{name} {reason}"] += bool(used[row])
    counts.notes[FUTURE] += int((ahead & used).sum())
    counts.notes = +counts.notes
