"""Processes beside this one, for work on whole tables: they end with this one, however that ends."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.process import parent_process
from typing import Any, ParamSpec, Protocol, TypeVar

from locsvc.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


# How long a killed process is waited for: it is gone in milliseconds, unless a disk holds it.
_GONE_S = 5.0


class Submit(Protocol):
    """Has a function of a module called in one of the processes."""

    def __call__(self, work: Callable[P, T], /, *given: P.args, **named: P.kwargs) -> Future[T]:
        """What comes of it."""
        ...


@contextlib.contextmanager
def processes(workers: int, begin: Callable[..., None], given: tuple[object, ...], remedy: str) -> Iterator[Submit]:
    """Processes that wait for work; they are gone when this ends, at once if by an error.

    Parameters
    ----------
    workers
        How many, at most.
    begin, given
        What each calls first, and with what.
    remedy
        What to do when one of them is killed.

    Raises
    ------
    Unavailable
        A process was killed, or could not begin.
    """
    # The tracker of multiprocessing lets signals through when it starts; that comes before they are held.
    resource_tracker.ensure_running()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, _begin, (begin, given))

    def submit(work: Callable[P, T], /, *given: P.args, **named: P.kwargs) -> Future[T]:
        # New processes inherit the mask: Ctrl-C is for this process, which ends them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return pool.submit(work, *given, **named)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        yield submit
        pool.shutdown()
    except BaseException as error:
        _end_at_once(pool, wait_for_it=not isinstance(error, KeyboardInterrupt))
        if isinstance(error, BrokenProcessPool):
            why = f"a process was killed or could not begin (is there memory enough?); {remedy}"
            raise Unavailable(why) from None
        raise


def _end_at_once(pool: ProcessPoolExecutor, *, wait_for_it: bool) -> None:
    children = multiprocessing.active_children()
    for child in children:
        child.kill()
    # What they write can be removed only when they are gone.
    for child in children:
        child.join(_GONE_S)
    # The rest of what a killed process has half written would be waited for as long as anybody here could write it.
    results: Any = pool._result_queue  # noqa: SLF001 - the executor has no word for it
    if results is not None:
        results._writer.close()  # noqa: SLF001 - as above
    pool.shutdown(wait=wait_for_it, cancel_futures=True)


def _begin(begin: Callable[..., None], given: tuple[object, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(*given)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
