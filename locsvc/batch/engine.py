"""The local engine: one process reads and cuts the input, others answer, parts become one file in the input's order."""

from __future__ import annotations

import errno
import hashlib
import itertools
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import locsvc
from locsvc.batch import work
from locsvc.batch.outputs import header_bytes, join_parts, writer_format
from locsvc.batch.state import State, folder_of
from locsvc.batch.tally import Tally
from locsvc.errors import ConfigError
from locsvc.tables.form import output_schema
from locsvc.tables.grouping import GAP, MOST_ROWS, Grouper
from locsvc.tables.inputs import Source, open_source

# Rows of a part, nearly: some tenths of a second of work.
PART_ROWS = 8_192
# Parts on their way for each process: one at work, one waiting.
_WAITING = 2

# Calls answered so far, and how much of the input has been read (0 to 1; None: nobody knows).
Progress = Callable[[int, float | None], None]


@dataclass(frozen=True, slots=True)
class Job:
    """What to run: `source` and `target` are files or `-`; `data` a data directory or None."""

    source: Path
    target: Path
    data: Path | None = None
    confidence: float = 0.9
    input_format: str | None = None
    output_format: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    workers: int = 2
    resume: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What a run came to; `left_out` are columns of stdin that began too late, and how many rows had them."""

    tally: Tally
    snapshot_id: str
    seconds: float
    resumed_parts: int
    left_out: Mapping[str, int] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """For a person or a program."""
        rate = self.tally.calls / self.seconds if self.seconds > 0 else 0.0
        return {
            **self.tally.summary(),
            "seconds": round(self.seconds, 3),
            "calls_per_s": round(rate, 1),
            "resumed_parts": self.resumed_parts,
            "left_out": dict(self.left_out),
            "snapshot": self.snapshot_id,
            "version": locsvc.__version__,
        }


def run(job: Job, progress: Progress | None = None) -> Run:
    """Answers all calls of a table.

    Raises
    ------
    BadData
        The input cannot be read.
    ConfigError
        The output cannot be written, or there is an unfinished run of another kind.
    DatasetError
        The reference data is missing or damaged.
    Unavailable
        A process of the pool was killed.
    """
    began_s = time.monotonic()
    form = writer_format(job.target, job.output_format)
    source = open_source(job.source, job.input_format, job.mapping)
    snapshot_id, digest = _reference(job.data)
    orders = work.Orders(job.data, snapshot_id, job.confidence, form)
    schema = output_schema(source.schema)
    state = None if str(job.target) == "-" else State(job.target, _plan(job, orders, schema, digest), resume=job.resume)
    resumed = 0 if state is None else len(state.done)
    try:
        if state is None:
            sys.stdout.buffer.write(header_bytes(schema, form))
        tally, parts = _answer_all(job, source, orders, state, progress)
        if state is None:
            sys.stdout.buffer.flush()
        else:
            join_parts((state.part(i) for i in range(parts)), job.target, schema, form)
            state.remove()
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise _unwritable(error, job) from None
    finally:
        if state is not None:
            state.close()
    return Run(tally, snapshot_id, time.monotonic() - began_s, resumed, source.left_out())


def _unwritable(error: OSError, job: Job) -> ConfigError:
    what = "there is no space left on the disk" if error.errno in {errno.ENOSPC, errno.EDQUOT} else error.strerror
    return ConfigError(f"{job.target} cannot be written: {what or error}; mend that and go on with --resume")


def _reference(data: Path | None) -> tuple[str, str]:
    """The snapshot in force, every byte of it compared with its checksum, and a digest of the calibration."""
    if data is None:
        return "", ""
    from locsvc.reference.store import Reference

    reference = Reference.open(data)
    return reference.snapshot_id, hashlib.sha256((reference.calibration_text or "").encode()).hexdigest()[:16]


def _plan(job: Job, orders: work.Orders, schema: pa.Schema, calibration: str) -> dict[str, Any]:
    """What must be the same when the run is taken up again."""
    standard = str(job.source) == "-"
    if standard and job.resume:
        raise ConfigError("a run that reads stdin cannot be resumed: what was read is gone; give a file")
    stat = None if standard else job.source.stat()
    return {
        "input": str(job.source if standard else job.source.resolve()),
        "input bytes": 0 if stat is None else stat.st_size,
        "input changed at": 0 if stat is None else stat.st_mtime_ns,
        "mapping": dict(job.mapping),
        "format": orders.form,
        "confidence": job.confidence,
        "snapshot": orders.snapshot_id,
        "calibration": calibration,
        "version": locsvc.__version__,
        "cut": [PART_ROWS, GAP, MOST_ROWS],
        "columns": schema.names,
    }


def _batches(source: Source) -> Iterator[tuple[pa.RecordBatch, float | None]]:
    """Batches of whole calls, of about PART_ROWS rows, and how much of the input had been read."""
    grouper = Grouper()
    read = 0
    for batch in source.batches():
        read += len(batch)
        for whole in grouper.add(batch):
            for part in cut(whole):
                yield part, source.share_read(read)
    for whole in grouper.end():
        for part in cut(whole):
            yield part, 1.0


def cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Parts of a batch, cut between calls."""
    if not len(batch):
        return
    call = batch.column("__call").to_numpy(zero_copy_only=False)
    starts = np.append(np.flatnonzero(np.append(True, call[1:] != call[:-1])), len(call))
    at = 0
    while at < len(call):
        # The last call that ends within the part; one call at least.
        end = int(starts[max(np.searchsorted(starts, at + PART_ROWS, "right") - 1, np.searchsorted(starts, at) + 1)])
        yield batch.slice(at, end - at)
        at = end


def _processes(orders: work.Orders, workers: int) -> AbstractContextManager[work.Submit]:
    # Imported where it is used: a run of one part needs none of it.
    from locsvc.batch.pool import answering

    return answering(orders, workers)


def _answer_all(
    job: Job, source: Source, orders: work.Orders, state: State | None, progress: Progress | None
) -> tuple[Tally, int]:
    """Answers batch by batch; counts of all, and how many parts there are.

    What is a single part is answered here: a process would only take its time to start.
    """
    total, number = Tally() if state is None else state.counted, 0
    waiting: deque[tuple[int, Future[work.Result], float | None]] = deque()

    def take() -> None:
        part, future, share = waiting.popleft()
        size, tally, content = future.result()
        if state is None:
            sys.stdout.buffer.write(content)
        else:
            state.finished(part, size, tally)
        total.add(tally)
        if progress is not None:
            progress(total.calls, share)

    batches = _batches(source)
    first = list(itertools.islice(batches, 2))
    workers = job.workers if len(first) > 1 else 0
    with _processes(orders, workers) if workers else work.here(orders) as submit:
        for batch, share in itertools.chain(first, batches):
            if state is None or number not in state.done:
                while len(waiting) >= _WAITING * workers + 1:
                    take()
                waiting.append((number, submit(batch, None if state is None else state.part(number)), share))
            number += 1
        while waiting:
            take()
    return total, number


def is_whole(job: Job) -> bool:
    """Whether there is nothing left to resume: the output is there, and no state of an unfinished run."""
    return str(job.target) != "-" and job.target.exists() and not (folder_of(job.target) / "plan.json").exists()
