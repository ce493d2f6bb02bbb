"""Processes that answer the parts of a run."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from pathlib import Path

import pyarrow as pa

from locsvc.batch import work
from locsvc.errors import Unavailable


@contextlib.contextmanager
def processes(orders: work.Orders, workers: int) -> Iterator[work.Submit]:
    """Processes that answer batches; they are gone when this ends, at once if by an error.

    Raises
    ------
    Unavailable
        A process was killed.
    """
    # The tracker of multiprocessing lets signals through when it starts; that comes before they are held.
    resource_tracker.ensure_running()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, work.begin, (orders,))

    def submit(batch: pa.RecordBatch, part: Path | None) -> Future[work.Result]:
        # New processes inherit the mask: Ctrl-C is for this process, which ends them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return pool.submit(work.answer, _packed(batch), part)
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
            why = "a process of the run was killed or could not start (is there memory enough?); go on with --resume"
            raise Unavailable(why) from None
        raise


def _packed(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
