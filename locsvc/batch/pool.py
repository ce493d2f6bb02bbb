"""Processes that answer the parts of a run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pyarrow as pa

from locsvc.batch import work
from locsvc.processes import processes


@contextlib.contextmanager
def answering(orders: work.Orders, workers: int) -> Iterator[work.Submit]:
    """Processes that answer batches; they are gone when this ends, at once if by an error.

    Raises
    ------
    Unavailable
        A process was killed.
    """
    with processes(workers, work.begin, (orders,), "go on with --resume") as submit:

        def answer(batch: pa.RecordBatch, part: Path | None) -> Future[work.Result]:
            return submit(work.answer, _packed(batch), part)

        yield answer


def _packed(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
