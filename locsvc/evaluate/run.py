"""`locsvc evaluate`: tables with truth against the answers that the service would have given."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import locsvc
from locsvc.errors import BadData
from locsvc.evaluate.crossing import Held, Rules, crossed
from locsvc.evaluate.folds import Folding, Verdict, fold_numbers
from locsvc.evaluate.judge import Found, Terms, judge
from locsvc.evaluate.judged import Judged, joined
from locsvc.evaluate.labels import SESSION_COLUMN
from locsvc.evaluate.summary import calibration_of, curves_of, misses_of, strata_of
from locsvc.evaluate.worst import Case, worst_of
from locsvc.learning.learn import learned_of
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from locsvc.tables.grouping import Grouper
from locsvc.tables.inputs import Source, open_source
from locsvc.tables.twice import refuse_twice

# Calls judged so far, and how much of the work that is (0 to 1; None: nobody knows).
Progress = Callable[[int, float | None], None]
# Seed of the levels' draws between steps: the same tables give the same numbers.
_SEED = 1


@dataclass(frozen=True, slots=True)
class Options:
    """How tables are read and judged; `workers` processes judge folds, which are independent."""

    mapping: Mapping[str, str] = field(default_factory=dict)
    input_format: str | None = None
    terms: Terms = field(default_factory=Terms)
    folding: Folding | None = None
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What evaluating came to: numbers for a program, the worst calls for a map."""

    numbers: dict[str, Any]
    worst: list[Case]
    judged: Judged | None


def evaluate(
    tables: Sequence[Path], data: Path | None, options: Options | None = None, progress: Progress | None = None
) -> Evaluation:
    """The service's answers to calls whose truth is known, judged.

    Raises
    ------
    BadData
        A table cannot be read, is given twice, lacks a column that was asked for, or no call of any has a truth.
    ConfigError
        The calibration of the data directory cannot be used.
    DatasetError
        The reference data is missing or damaged.
    Unavailable
        A process that judged a fold was killed.
    """
    began_s = time.monotonic()
    options = options or Options()
    refuse_twice(tables)
    with contextlib.ExitStack() as opened:
        sources = []
        for table in tables:
            source = open_source(table, options.input_format, options.mapping)
            opened.callback(source.close)
            _check(source, table, options)
            sources.append(source)
        return _evaluated(tables, sources, data, options, progress, began_s)


def _evaluated(
    tables: Sequence[Path], sources: Sequence[Source], data: Path | None, options: Options, progress: Progress | None,
    began_s: float,
) -> Evaluation:  # fmt: skip
    if options.folding is None:
        reference = Reference.empty() if data is None else Reference.open(data)
        found = _streamed(sources, Resolver(reference), options, progress)
        learned = [] if data is None else learned_of(tables, data)
        described: dict[str, Any] = {"snapshot": reference.snapshot_id, "folds": None, "learned_of": learned}
    else:
        found, told = _folded(sources, data, options, options.folding, progress)
        described = {"snapshot": "", "folds": told, "learned_of": []}
    if not found.rows:
        raise BadData(f"{', '.join(map(str, tables))}: there is no row")
    judged = joined(found.judged)
    if judged is None:
        why = "; ".join(f"{reason}: {count:,}" for reason, count in found.left_out.most_common())
        raise BadData(f"no call could be judged ({why}); truths are the columns truth_lat and truth_lon")
    return _told(tables, found, judged, described, options, began_s)


def _check(source: Source, table: Path, options: Options) -> None:
    asked = [*options.terms.by, options.terms.session]
    if options.folding is not None and options.folding.column is not None:
        asked.append(options.folding.column)
    for name in asked:
        if name is not None and name not in source.schema.names:
            raise BadData(f"{table} has no column {name!r}; it has {', '.join(source.schema.names[:-1])}")


def _told(
    tables: Sequence[Path], found: Found, judged: Judged, described: dict[str, Any], options: Options, began_s: float
) -> Evaluation:
    strata = strata_of(judged, options.terms.by)
    numbers = {
        "tables": [str(table) for table in tables],
        "version": locsvc.__version__,
        **described,
        "rows": found.rows,
        "calls": found.calls,
        "judged": len(judged),
        "left_out": dict((+found.left_out).most_common()),
        "unreadable_values": dict(found.refused.most_common()),
        "session": options.terms.session or SESSION_COLUMN,
        "strata": strata,
        "misses": misses_of(strata),
        "calibration": calibration_of(judged, np.random.default_rng(_SEED)),
        "curves": curves_of(judged),
        "seconds": round(time.monotonic() - began_s, 3),
    }
    return Evaluation(numbers, worst_of(found.worst), judged)


def _calls(sources: Sequence[Source]) -> Iterator[tuple[pa.RecordBatch, float | None]]:
    """Whole calls of all tables, and how much of them has been read."""
    for nth, source in enumerate(sources):
        grouper, read = Grouper(), 0
        for batch in source.batches():
            read += len(batch)
            share = source.share_read(read)
            for whole in grouper.add(batch):
                yield whole, None if share is None else (nth + share) / len(sources)
        for whole in grouper.end():
            yield whole, (nth + 1) / len(sources)


def _streamed(sources: Sequence[Source], resolver: Resolver, options: Options, progress: Progress | None) -> Found:
    """Calls judged as they are read: only their numbers stay in memory."""
    found = Found()
    for batch, share in _calls(sources):
        if len(batch):
            found.add(judge(resolver, batch, options.terms))
            found.worst = worst_of(found.worst)
        if progress is not None:
            progress(found.calls, share)
    return found


def _folded(
    sources: Sequence[Source], data: Path | None, options: Options, folding: Folding, progress: Progress | None
) -> tuple[Found, dict[str, Any]]:
    """Calls judged fold by fold, each by what the others teach."""
    found, counts, verdicts = Found(), Counter[str](), Counter[Verdict]()
    tables = [[batch for batch, _ in _calls([source]) if len(batch)] for source in sources]
    dealt = fold_numbers([batch for batches in tables for batch in batches], folding, options.terms.session)
    held = Held(tables, dealt)
    told: dict[str, Any] = {"by": folding.by, "count": held.folds, "trained_rows": []}
    for done in crossed(held, Rules(data, folding, options.terms), options.workers):
        found.add(done.found)
        found.worst = worst_of(found.worst)
        counts.update(done.counts)
        verdicts.update(done.verdicts)
        told["trained_rows"].append(done.trained_rows)
        if progress is not None:
            progress(found.calls, len(told["trained_rows"]) / max(held.folds, 1))
    if folding.calibrate:
        told["calibrated"] = {}
        for (group, verdict), folds in verdicts.items():
            told["calibrated"].setdefault(group, {})[verdict] = folds
    return found, told | dict(+counts)
