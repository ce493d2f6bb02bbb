"""Folds, each judged by what the others teach: one after the other, or several at once in processes of their own.

What comes of a fold hangs on nothing but the fold, so several processes give the very numbers of one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.process import parent_process
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.errors import Unavailable
from locsvc.evaluate.folds import Folding, resolver_of_fold
from locsvc.evaluate.judge import Found, Terms, judge
from locsvc.evaluate.worst import worst_of

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
    """What came of one fold: its calls, how many rows taught, and what went otherwise than it should."""

    found: Found
    trained_rows: int
    counts: Counter[str] = field(default_factory=Counter)


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
    with tempfile.TemporaryDirectory(prefix="locsvc-folds-") as folder, _pool(held, rules, workers, folder) as submit:
        waiting = [submit(fold) for fold in range(held.folds)]
        for future in waiting:
            yield future.result()


def judged_fold(held: Held, rules: Rules, fold: int) -> Crossed:
    """What comes of a fold, answered by what all others teach."""
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
    with resolver_of_fold(training, rules.data, rules.folding, done.counts) as resolver:
        for batch in testing:
            if len(batch):
                done.found.add(judge(resolver, batch, rules.terms))
                done.found.worst = worst_of(done.found.worst)
    return done


@contextlib.contextmanager
def _pool(held: Held, rules: Rules, workers: int, folder: str) -> Iterator[Callable[[int], Future[Crossed]]]:
    """Processes that judge folds; they are gone when this ends, at once if by an error.

    Raises
    ------
    Unavailable
        A process was killed.
    """
    files = [_write(batches, Path(folder) / f"{k}.arrow") for k, batches in enumerate(held.tables)]
    # The tracker of multiprocessing lets signals through when it starts; that comes before they are held.
    resource_tracker.ensure_running()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _begin, (files, held.fold, rules))

    def submit(fold: int) -> Future[Crossed]:
        # New processes inherit the mask: Ctrl-C is for this process, which ends them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return pool.submit(_judge, fold)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        yield submit
        pool.shutdown()
    except BaseException as error:
        for child in multiprocessing.active_children():
            child.kill()
        # The rest of what a killed process has half written would be waited for as long as anybody here could write it.
        if (results := pool._result_queue) is not None:  # noqa: SLF001 - the executor has no word for it
            results._writer.close()  # type: ignore[attr-defined]  # noqa: SLF001 - as above
        pool.shutdown(wait=not isinstance(error, KeyboardInterrupt), cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            why = (
                "a process that judged a fold was killed or could not start (is there memory enough?); use --workers 1"
            )
            raise Unavailable(why) from None
        raise


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
_given: tuple[Held, Rules] | None = None


def _begin(files: Sequence[Path | None], fold: Sequence[Ints], rules: Rules) -> None:
    """Map the tables; end with the process that started this one, however that ends."""
    global _given  # noqa: PLW0603 - a process of the pool has no other place for it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pa.set_cpu_count(1)
    _given = Held([_read(file) for file in files], fold), rules


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _judge(fold: int) -> Crossed:
    """What comes of a fold, in a process of the pool."""
    if _given is None:
        msg = "_begin() comes first"
        raise RuntimeError(msg)
    return judged_fold(*_given, fold)
