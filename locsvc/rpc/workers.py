"""Several processes on one port: started by spawn, watched, replaced when they die, drained together.

Each worker binds the port with SO_REUSEPORT and the kernel shares connections out among them. A worker is a fresh
interpreter (gRPC does not survive a fork); the mapped snapshot is one copy in the page cache for all.
"""

from __future__ import annotations

import asyncio
import dataclasses
import multiprocessing
import signal
import socket
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

import structlog

from locsvc.errors import ConfigError, LocsvcError, Unavailable, meaning_of
from locsvc.rpc import logs
from locsvc.rpc.server import serve_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from types import FrameType

    from locsvc.rpc.settings import ServerSettings

log = structlog.get_logger("locsvc.rpc")

# A worker that dies is replaced at once, then after twice the time for each death within a minute.
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
CALM_S = 60.0


def serve(settings: ServerSettings, *, ready: Callable[[int], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, in this process or in `settings.workers` of them.

    Parameters
    ----------
    settings
        What to serve; checked before anything starts.
    ready
        Hears the port when every worker says SERVING.

    Raises
    ------
    ConfigError
        When a setting is wrong or the address cannot be bound.
    DatasetError
        When the published snapshot is damaged, or there is none and one is required.
    Unavailable
        When a worker cannot be started.
    """
    settings = settings.checked()
    logs.configure(settings.log_format)
    if settings.workers == 1:
        asyncio.run(serve_here(settings, ready=ready))
    else:
        Workers(settings, ready).run()


@dataclass(slots=True)
class _Worker:
    """One process, and the pipe on which it says its port or its error; the first of them keeps house."""

    number: int
    process: SpawnProcess
    pipe: Connection
    started_s: float = field(default_factory=time.monotonic)
    ready: bool = False


class Workers:
    """The supervisor of the worker processes."""

    def __init__(self, settings: ServerSettings, ready: Callable[[int], None] | None = None) -> None:
        self._settings = settings
        self._tell = ready
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._due: list[tuple[float, int]] = []
        self._delay_s = FIRST_DELAY_S
        self._told = False
        self._ending = False
        self._wake_in, self._wake_out = self._context.Pipe(duplex=False)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises
        ------
        LocsvcError
            What the first worker that could not start said.
        """
        with _held_port(self._settings) as port, self._signals():
            self._settings = dataclasses.replace(self._settings, port=port)
            for number in range(self._settings.workers):
                self._spawn(number)
            try:
                self._watch(port)
            finally:
                self._end()

    def stop(self) -> None:
        """Ask for the end, from a signal handler or another thread."""
        self._ending = True
        self._wake_out.send(None)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def asked(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        before = {n: signal.signal(n, asked) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _spawn(self, number: int) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(self._settings, theirs, number == 0), name="locsvc-worker")
        process.start()
        theirs.close()
        self._workers.append(_Worker(number, process, ours))

    def _watch(self, port: int) -> None:
        while not self._ending:
            now_s = time.monotonic()
            for due_s, number in [due for due in self._due if due[0] <= now_s]:
                self._due.remove((due_s, number))
                self._spawn(number)
            timeout_s = max(0.0, min(self._due)[0] - now_s) if self._due else None
            pipes = [w.pipe for w in self._workers if not w.ready]
            wait([self._wake_in, *pipes, *(w.process.sentinel for w in self._workers)], timeout_s)
            for worker in list(self._workers):
                self._look_at(worker)
            ready = [w for w in self._workers if w.ready]
            if not self._told and len(ready) == self._settings.workers:
                self._told = True
                log.info("serving", port=port, workers=len(self._workers))
                if self._tell is not None:
                    self._tell(port)

    def _look_at(self, worker: _Worker) -> None:
        if not worker.ready and worker.pipe.poll():
            try:
                said = worker.pipe.recv()
            except EOFError:
                said = None
            if isinstance(said, LocsvcError):
                if not self._told:
                    raise said
                log.error("worker_refused", problem=str(said), remedy="it is tried again; the others serve on")
            else:
                worker.ready = said is not None
        if worker.process.is_alive():
            return
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        if self._ending:
            return
        if not worker.ready and not self._told:
            msg = f"a worker ended with exit code {worker.process.exitcode} before it served; see its log above"
            raise Unavailable(msg)
        lived_s = time.monotonic() - worker.started_s
        self._delay_s = FIRST_DELAY_S if lived_s > CALM_S else min(2 * self._delay_s, LONGEST_DELAY_S)
        self._due.append((time.monotonic() + self._delay_s, worker.number))
        log.error("worker_died", exit_code=worker.process.exitcode, remedy="it is started again")

    def _end(self) -> None:
        """Drain all workers together; one that does not end in time is killed."""
        for worker in self._workers:
            if worker.process.is_alive():
                worker.process.terminate()
        end_s = time.monotonic() + self._settings.drain_s + self._settings.grace_s + 5.0
        for worker in self._workers:
            worker.process.join(max(0.1, end_s - time.monotonic()))
            if worker.process.is_alive():
                log.error("worker_killed", remedy="give a longer grace_s if requests take so long")
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self._workers.clear()


@contextmanager
def _held_port(settings: ServerSettings) -> Iterator[int]:
    """The port, held for the workers by a socket that never listens, so that port 0 is one port for all.

    Raises
    ------
    ConfigError
        When the address cannot be bound.
    """
    try:
        held = _bound(settings.host.strip("[]"), settings.port)
    except OSError as error:
        msg = f"{settings.host}:{settings.port} cannot be bound ({error.strerror}); choose another port or host"
        raise ConfigError(msg) from error
    with held:
        yield held.getsockname()[1]


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)
    except OSError:
        held.close()
        raise
    return held


def _work(settings: ServerSettings, pipe: Connection, keeps_house: bool) -> None:  # noqa: FBT001 - from the supervisor only
    """The life of a worker process."""
    logs.configure(settings.log_format)
    try:
        asyncio.run(_serve_as_worker(settings, pipe, keeps_house=keeps_house))
    except LocsvcError as error:
        pipe.send(error)
        sys.exit(meaning_of(error).exit_code)


async def _serve_as_worker(settings: ServerSettings, pipe: Connection, *, keeps_house: bool) -> None:
    end = asyncio.Event()
    parent = multiprocessing.parent_process()
    loop = asyncio.get_running_loop()
    if parent is not None:
        # A supervisor that is killed takes its workers with it: they drain and end.
        sentinel = parent.sentinel

        def orphaned() -> None:
            loop.remove_reader(sentinel)
            end.set()

        loop.add_reader(sentinel, orphaned)
    await serve_here(settings, share_port=True, keeps_house=keeps_house, ready=pipe.send, end=end)
