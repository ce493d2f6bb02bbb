"""Folds, each judged by what the others teach: one after the other, or several at once in processes of their own.

What comes of a fold hangs on nothing but the fold, so several processes give the very numbers of one.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.evaluate.folds import Folding, Verdict, resolver_of_fold
from locsvc.evaluate.judge import Found, Terms, judge
from locsvc.evaluate.worst import worst_of
from locsvc.learning.aside import folder_aside
from locsvc.processes import processes

Ints = npt.NDArray[np.int64]

# Fewer rows are judged before a second process has begun.
FEW_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Held:
    """Calls that are dealt to folds: whole ones in batches, table by table, and the fold of each row of each batch."""

    tables: Sequence[Sequence[pa.RecordBatch]]
    fold: Sequence[Ints]

    @property
    def folds(self) -> int:
        """How many folds there are."""
        return 1 + max((int(of_rows.max()) for of_rows in self.fold if len(of_rows)), default=-1)


@dataclass(frozen=True, slots=True)
class Rules:
    """How each fold is judged."""

    data: Path | None
    folding: Folding
    terms: Terms


@dataclass(slots=True)
class Crossed:
    """What came of one fold: its calls, how many rows taught, what went otherwise than it should, what was fitted."""

    found: Found
    trained_rows: int
    counts: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[Verdict] = field(default_factory=Counter)


def crossed(held: Held, rules: Rules, workers: int = 1) -> Iterator[Crossed]:
    """What comes of each fold, in order.

    Parameters
    ----------
    held
        The calls.
    rules
        How they are judged.
    workers
        Processes, at most. A few calls are judged here, as a process takes seconds to begin.

    Raises
    ------
    DatasetError
        The reference data is damaged.
    Unavailable
        A process was killed.
    """
    rows = sum(len(of_rows) for of_rows in held.fold)
    workers = min(workers, held.folds)
    if workers < 2 or (rows < FEW_ROWS and not rules.folding.calibrate):
        for fold in range(held.folds):
            yield judged_fold(held, rules, fold)
        return
    with folder_aside("locsvc-folds-") as folder, _pool(held, rules, workers, folder) as submit:
        waiting = [submit(fold) for fold in range(held.folds)]
        for future in waiting:
            yield future.result()


def judged_fold(held: Held, rules: Rules, fold: int, within: Path | None = None) -> Crossed:
    """What comes of a fold, answered by what all others teach; `within` is where that is kept meanwhile."""
    training: list[tuple[pa.Table, Ints]] = []
    testing: list[pa.RecordBatch] = []
    of_rows = iter(held.fold)
    for batches in held.tables:
        parts, folds = [], []
        for batch in batches:
            number = next(of_rows)
            own = number == fold
            testing.append(batch.filter(pa.array(own)))
            parts.append(batch.filter(pa.array(~own)))
            folds.append(number[~own])
        if parts:
            training.append((pa.Table.from_batches(parts), np.concatenate(folds)))
    done = Crossed(Found(), sum(len(table) for table, _ in training))
    session = rules.terms.session
    with resolver_of_fold(training, rules.data, rules.folding, done.counts, done.verdicts, within, session) as resolver:
        for batch in testing:
            if len(batch):
                done.found.add(judge(resolver, batch, rules.terms))
                done.found.worst = worst_of(done.found.worst)
    return done


@contextlib.contextmanager
def _pool(held: Held, rules: Rules, workers: int, folder: Path) -> Iterator[Callable[[int], Future[Crossed]]]:
    """Processes that judge folds; they are gone when this ends, at once if by an error.

    Raises
    ------
    Unavailable
        A process was killed.
    """
    files = [_write(batches, folder / f"{k}.arrow") for k, batches in enumerate(held.tables)]
    remedy = "use --workers 1"
    # What folds keep is in this folder, too: a process that is ended at once has no time to put it away.
    with processes(workers, _begin, (files, held.fold, rules, folder), remedy) as submit:
        yield lambda fold: submit(_judge, fold)


def _write(batches: Sequence[pa.RecordBatch], file: Path) -> Path | None:
    """The file with a table's batches, which processes map; None of no batch."""
    if not batches:
        return None
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return file


def _read(file: Path | None) -> list[pa.RecordBatch]:
    if file is None:
        return []
    reader = pa.ipc.open_file(pa.memory_map(str(file)))
    return [reader.get_batch(k) for k in range(reader.num_record_batches)]


# What a process of the pool was told at its start.
_given: tuple[Held, Rules, Path] | None = None


def _begin(files: Sequence[Path | None], fold: Sequence[Ints], rules: Rules, folder: Path) -> None:
    """Map the tables."""
    global _given  # noqa: PLW0603 - a process of the pool has no other place for it
    pa.set_cpu_count(1)
    _given = Held([_read(file) for file in files], fold), rules, folder


def _judge(fold: int) -> Crossed:
    """What comes of a fold, in a process of the pool."""
    if _given is None:
        msg = "_begin() comes first"
        raise RuntimeError(msg)
    held, rules, folder = _given
    return judged_fold(held, rules, fold, folder)
