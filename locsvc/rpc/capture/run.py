"""A whole capture: server, players, and what came of it."""

from __future__ import annotations

import contextlib
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING

from locsvc.errors import NotFound, Unavailable
from locsvc.evaluate.capture.drawing import draw_calls
from locsvc.evaluate.capture.ground import Ground
from locsvc.evaluate.capture.scenario import Scenario
from locsvc.evaluate.capture.summary import DEADLINE_S
from locsvc.rpc.capture.measuring import Measuring
from locsvc.rpc.capture.playing import Playing, numbered, play
from locsvc.rpc.capture.serving import ServerProcess, cpu_s_of
from locsvc.rpc.client import Client, ClientSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection as Pipe
    from multiprocessing.context import SpawnProcess

    from locsvc.evaluate.capture.drawing import PlannedCall
    from locsvc.evaluate.capture.records import Capture
    from locsvc.rpc.capture.playing import Played

_JOIN_S = 5.0
_LEAST_DEADLINE_S = 1.0


@dataclass(frozen=True, slots=True)
class CaptureSettings:
    """What is played against what.

    Parameters
    ----------
    data
        Data directory: the ground that callers stand on, and what a server of its own serves.
    server
        `host:port` of one that runs; None starts one.
    calls, at_once
        How many, and how many are open at a time.
    speed
        Seconds of the scenario that are played in one.
    clients
        Processes that play.
    workers, journal
        Of a server of its own; without a journal one in a temporary directory.
    """

    data: Path
    scenario: Scenario
    server: str | None = None
    calls: int = 2_000
    at_once: int = 200
    speed: float = 1.0
    seed: int = 1
    clients: int = 1
    workers: int = 1
    journal: str | None = None


@dataclass(frozen=True, slots=True)
class CaptureRun:
    """What came of the calls that were played to their ends; `whole`: all that were asked for."""

    capture: Capture
    whole: bool


def bench_capture(
    settings: CaptureSettings,
    *,
    progress: Callable[[int], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> CaptureRun:
    """Play the calls; an interrupt (KeyboardInterrupt) ends it with what is known so far.

    Parameters
    ----------
    progress
        Hears how many calls have ended.
    say
        Hears what is being done.

    Raises
    ------
    DatasetError
        The data directory is missing, damaged or without cells.
    Unavailable
        The server or a player ends before it should.
    LocsvcError
        What a server that runs says to a call that it cannot know, other than that it does not.
    """
    say(f"drawing {settings.calls:,} calls")
    run = f"capture-{time.time_ns() // 1_000_000:x}"
    ground = Ground.open(settings.data)
    # Another run against the same server within minutes must not find its callers' numbers there.
    calls = draw_calls(
        ground, settings.scenario, settings.calls, settings.seed, run=run, first_number=time.time_ns() % 16_000
    )
    with tempfile.TemporaryDirectory(prefix="locsvc-capture-") as folder, _target(settings, Path(folder), say) as found:
        target, pid = found
        say(f"playing against {target}")
        return _play(settings, calls, target, pid, progress)


@contextlib.contextmanager
def _target(settings: CaptureSettings, folder: Path, say: Callable[[str], None]) -> Iterator[tuple[str, int | None]]:
    """Where the server is, and its process when it is our own."""
    if settings.server is not None:
        # What is wrong there is said once, before 2,000 calls fail of it.
        with Client(ClientSettings(settings.server)) as client, contextlib.suppress(NotFound):
            client.get_call("capture")
        yield settings.server, None
        return
    say("starting the server")
    journal = settings.journal or str(folder / "calls.sqlite")
    options = ["--journal", journal, "--workers", str(settings.workers)]
    if settings.speed != 1.0:
        # Its deadline is of the scenario's clock too, as far as a server goes.
        options += ["--deadline-s", f"{max(DEADLINE_S / settings.speed, _LEAST_DEADLINE_S):g}"]
    with ServerProcess(settings.data, folder, options) as server:
        yield server.target, server.pid


def _play(
    settings: CaptureSettings,
    calls: Sequence[PlannedCall],
    target: str,
    pid: int | None,
    progress: Callable[[int], None] | None,
) -> CaptureRun:
    measuring = Measuring(calls, settings.speed)
    cpu_s = cpu_s_of(pid) if pid is not None else None
    start_s = time.monotonic()
    players = _Players(settings, calls, target)
    try:
        for said in players.results():
            if isinstance(said, list):
                measuring.lags_s += said
            else:
                measuring.add(said)
                if progress is not None:
                    progress(len(measuring))
    except KeyboardInterrupt:
        pass
    finally:
        players.close()
    after_s = cpu_s_of(pid) if pid is not None else None
    capture = measuring.capture(
        at_once=settings.at_once,
        seconds=time.monotonic() - start_s,
        asked=settings.calls,
        server_cpu_s=None if cpu_s is None or after_s is None else after_s - cpu_s,
    )
    return CaptureRun(capture, whole=len(measuring) == settings.calls)


class _Players:
    """The processes that play."""

    def __init__(self, settings: CaptureSettings, calls: Sequence[PlannedCall], target: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Pipe] = []
        self._processes: list[SpawnProcess] = []
        clients = max(1, min(settings.clients, settings.at_once, settings.calls))
        # Steady from the first minute: calls begin as they do later, when one begins where one has ended.
        spread_s = settings.scenario.values["calls.watched_s"].numbers[0] / settings.speed
        for number, own in enumerate(numbered(calls, clients)):
            at_once = settings.at_once // clients + (number < settings.at_once % clients)
            ours, theirs = context.Pipe(duplex=False)
            playing = Playing(target, own, at_once, settings.speed, spread_s, settings.seed + number)
            process = context.Process(target=play, args=(theirs, playing), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def results(self) -> Iterator[Played | list[float]]:
        """Calls as they end, and how late loops were.

        Raises
        ------
        Unavailable
            A player ended before it should.
        """
        open_pipes = list(self._pipes)
        while open_pipes:
            ready = wait(open_pipes)
            for pipe in [p for p in open_pipes if p in ready]:
                try:
                    said: Played | list[float] | None = pipe.recv()
                except EOFError:
                    raise Unavailable(
                        "a process that plays calls ended before it should; see its words above"
                    ) from None
                if said is None:
                    open_pipes.remove(pipe)
                else:
                    yield said

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.join(0.5)
            if process.is_alive():
                process.terminate()
            process.join(_JOIN_S)
        for pipe in self._pipes:
            pipe.close()
