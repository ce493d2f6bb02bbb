"""What live calls hold: open watches, evidence a second, memory an open call, and the way from one process to another.

    python benchmarks/live_load.py [--parts idle,rate,memory,crossing] [--workers 1,2] [--seconds 8] [--json]

Servers are processes as `locsvc serve` starts them, on the sample town, with a journal of their own; loads come from
one client process on the same machine, which is part of what is measured: how late its own loop was is told beside.
The parts:

* `idle`: watches that hear heartbeats alone (every 15 s), more and more of them, until what a probe of 40 pieces a
  second sees at p99 passes 50 ms, or watches fail.
* `rate`: evidence in an open loop, at random times, on 200 watched calls (a call is ended and another begun after ten
  pieces), faster and faster until p99 from sent to the watcher's stream passes 50 ms.
* `memory`: private memory of the server before and with 2,000 watched calls of seven pieces.
* `crossing`: evidence to one process, the watch on another: two workers of one server (each connection falls to one of
  them by chance), two servers on one SQLite file, two servers on one PostgreSQL (a cluster of its own, as in tests).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import multiprocessing
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from locsvc.errors import LocsvcError, Unavailable
from locsvc.evaluate.capture import scores
from locsvc.evaluate.capture.summary import milliseconds
from locsvc.evaluate.capture.town import import_town
from locsvc.rpc.capture.serving import ServerProcess, cpu_s_of, memory_of
from locsvc.v1.call_pb2 import POSITIONING_METHOD_GNSS
from locsvc.v1.call_service_pb2 import (
    AddEvidenceRequest,
    AddEvidenceResponse,
    EndCallRequest,
    WatchLocationRequest,
    WatchLocationResponse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection as Pipe

LIMIT_MS = 50.0
SERVICE = "/locsvc.v1.CallService/"
TOWN = (55.0, 2.5)
IDLE_STEPS = (1_000, 5_000, 10_000, 20_000)
RATE_STEPS = (100, 200, 300, 400, 500, 600, 800, 1_000, 1_200, 1_600)
LATE_S = 5.0
CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Load:
    """What a client process does.

    Parameters
    ----------
    send, watch
        Servers that evidence goes to and watches hang on; pieces and watches take them in turn.
    calls
        Watched calls that pieces are shared out over.
    idle
        Watches of calls that no piece comes for.
    per_s, seconds
        Pieces a second, at random times, and for how long.
    pieces
        Of a call, before it is ended and another begun.
    hold_s
        How long all stay open behind that.
    """

    name: str
    send: tuple[str, ...]
    watch: tuple[str, ...]
    calls: int = 200
    idle: int = 0
    per_s: float = 20.0
    seconds: float = 10.0
    pieces: int = 10
    hold_s: float = 0.0
    seed: int = 1


@dataclass(slots=True)
class Seen:
    """What it saw; seconds of the machine's monotonic clock."""

    sends: list[tuple[int, float, float, int]] = field(default_factory=list)
    messages: list[tuple[int, float, bytes]] = field(default_factory=list)
    lags_s: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    offered_s: float = 0.0

    def told(self) -> dict[str, Any]:
        """Quantiles, and how much was sent."""
        rows = sorted(self.messages)
        call = np.array([r[0] for r in rows], np.int64)
        at_s = np.array([r[1] for r in rows])
        revision = np.array([_revision(r[2]) for r in rows], np.int64)
        sends = np.array([s for s in self.sends if s[3] > 0], np.float64).reshape(-1, 4).T
        kept = revision >= 0
        seen_s = scores.waits_s(
            call[kept], revision[kept], at_s[kept], sends[0].astype(np.int64), sends[3].astype(np.int64)
        )
        return {
            "acknowledged_to_stream_ms": milliseconds(seen_s - sends[2]),
            "sent_to_stream_ms": milliseconds(seen_s - sends[1]),
            "sent_to_acknowledged_ms": milliseconds(sends[2] - sends[1]),
            "client_loop_late_ms": milliseconds(np.array(self.lags_s)),
            "never_shown": int(np.count_nonzero(np.isnan(seen_s))),
            "provisional": int(np.count_nonzero(~kept)),
            "per_s": len(self.sends) / self.offered_s if self.offered_s else 0.0,
            "failures": self.failures,
        }


def _revision(content: bytes) -> int:
    """Of an estimate that is safe; -1 of others."""
    message = WatchLocationResponse.FromString(content)
    return message.revision if message.HasField("estimate") and not message.provisional else -1


class Client:
    """The client process: one loop, its connections, and the calls that it watches."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._rng = random.Random(load.seed)
        self._senders = [_channel(load.send[k % len(load.send)]) for k in range(CONNECTIONS)]
        self._watchers = [_channel(load.watch[k % len(load.watch)]) for k in range(CONNECTIONS)]
        self._add: list[Callable[..., Any]] = [
            c.unary_unary(f"{SERVICE}AddEvidence", AddEvidenceRequest.SerializeToString, AddEvidenceResponse.FromString)
            for c in self._senders
        ]
        self._watch: list[Callable[..., Any]] = [
            c.unary_stream(f"{SERVICE}WatchLocation", WatchLocationRequest.SerializeToString) for c in self._watchers
        ]
        self._end: list[Callable[..., Any]] = [
            c.unary_unary(f"{SERVICE}EndCall", EndCallRequest.SerializeToString) for c in self._senders
        ]
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun = 0
        self.seen = Seen()

    def _start(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _failed(self, what: str, error: grpc.aio.AioRpcError) -> None:
        text = f"{what}: {error.code().name}"
        self.seen.failures[text] = self.seen.failures.get(text, 0) + 1

    async def watch(self, number: int, *, kept: bool) -> None:
        """Hear a call to its end; when it has said its first word this returns, and a task hears on."""
        first = asyncio.Event()

        async def hear() -> None:
            request = WatchLocationRequest(call_id=f"{self._load.name}-{number}")
            try:
                async for message in self._watch[number % CONNECTIONS](request):
                    if kept:
                        self.seen.messages.append((number, time.perf_counter(), message))
                    first.set()
            except grpc.aio.AioRpcError as error:
                self._failed("watch", error)
            first.set()

        self._start(hear())
        await first.wait()

    async def add(self, number: int) -> None:
        """One more fix for a call, another place each time."""
        request = AddEvidenceRequest(call_id=f"{self._load.name}-{number}")
        circle = request.evidence.add().device_report
        circle.confidence, circle.method = 0.68, POSITIONING_METHOD_GNSS
        circle.shape.circle.center.latitude_deg = TOWN[0] + self._rng.gauss(0, 1e-4)
        circle.shape.circle.center.longitude_deg = TOWN[1] + self._rng.gauss(0, 1e-4)
        circle.shape.circle.radius_m = self._rng.uniform(5, 50)
        sent_s = time.perf_counter()
        try:
            reply = await self._add[self._rng.randrange(CONNECTIONS)](request, timeout=60.0)
        except grpc.aio.AioRpcError as error:
            self._failed("add", error)
            return
        self.seen.sends.append((number, sent_s, time.perf_counter(), reply.revision))

    async def _begin(self, number: int) -> None:
        """Watch a call, and its first piece."""
        await self.watch(number, kept=True)
        await self.add(number)

    async def _end_call(self, number: int) -> None:
        try:
            await self._end[number % CONNECTIONS](EndCallRequest(call_id=f"{self._load.name}-{number}"), timeout=60.0)
        except grpc.aio.AioRpcError as error:
            self._failed("end", error)

    async def _many(self, numbers: range, *, kept: bool) -> None:
        for first in range(numbers.start, numbers.stop, 50):
            some = range(first, min(first + 50, numbers.stop))
            await asyncio.gather(*(self.watch(n, kept=kept) for n in some))

    async def run(self, ready: Callable[[str], None]) -> Seen:
        """All of the load; hears of `ready` when all watches are open, and when all pieces are sent."""
        load = self._load
        await self._many(range(10_000_000, 10_000_000 + load.idle), kept=False)
        await self._many(range(load.calls), kept=True)
        ready("open")
        gc.collect()
        gc.freeze()
        ticking = asyncio.create_task(self._tick())
        await self._send_all()
        await asyncio.sleep(0.5)
        ticking.cancel()
        ready("sent")
        await asyncio.sleep(load.hold_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in (*self._senders, *self._watchers):
            await channel.close()
        return self.seen

    async def _send_all(self) -> None:
        """Pieces in an open loop: what is late is sent all the same, at once."""
        load = self._load
        calls = [(n, 1 + self._rng.randrange(load.pieces)) for n in range(load.calls)]
        self._begun = load.calls
        start_s = due_s = time.perf_counter()
        end_s = start_s + load.seconds
        turn = 0
        waiting: set[asyncio.Task[None]] = set()
        while (due_s := due_s + self._rng.expovariate(load.per_s)) < end_s:
            wait_s = due_s - time.perf_counter()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            elif wait_s < -LATE_S:
                break
            turn = (turn + 1) % load.calls
            number, pieces = calls[turn]
            if pieces >= load.pieces:
                self._start(self._end_call(number))
                number, pieces = self._begun, 0
                self._begun += 1
            calls[turn] = number, pieces + 1
            task = asyncio.create_task(self.add(number) if pieces else self._begin(number))
            waiting.add(task)
            task.add_done_callback(waiting.discard)
        self.seen.offered_s = time.perf_counter() - start_s
        if waiting:
            await asyncio.wait(waiting, timeout=60.0)

    async def _tick(self) -> None:
        while True:
            due_s = time.perf_counter() + 0.01
            await asyncio.sleep(0.01)
            self.seen.lags_s.append(time.perf_counter() - due_s)


def _channel(target: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)])


def client(pipe: Pipe, load: Load) -> None:
    """The life of a client process."""

    async def run() -> Seen:
        return await Client(load).run(pipe.send)

    pipe.send(asyncio.run(run()))


@dataclass(slots=True)
class Running:
    """A load under way."""

    pipe: Pipe
    process: Any

    def wait(self) -> Any:  # noqa: ANN401 - a word, or what it saw
        """What the process says next."""
        try:
            if self.pipe.poll(600.0):
                return self.pipe.recv()
        except EOFError:
            pass
        raise Unavailable("the client process ended before it should; see its words above")


@contextlib.contextmanager
def loading(load: Load) -> Iterator[Running]:
    """A client process with a load."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=client, args=(theirs, load), daemon=True)
    process.start()
    theirs.close()
    try:
        yield Running(ours, process)
    finally:
        process.join(2.0)
        if process.is_alive():
            process.terminate()
            process.join(5.0)
        ours.close()


def measured(load: Load) -> dict[str, Any]:
    """One load from its beginning to its end."""
    with loading(load) as running:
        running.wait()
        running.wait()
        seen: Seen = running.wait()
        return seen.told()


class Bench:
    """The parts, on one data directory."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder, self._seconds, self._number = folder, seconds, 0
        self._data = folder / "data"
        import_town(self._data)

    def server(self, workers: int = 1, journal: str = "", options: tuple[str, ...] = ()) -> ServerProcess:
        """A server with a journal of its own, or the one that is named."""
        self._number += 1
        own = journal or str(self._folder / f"calls-{self._number}.sqlite")
        return ServerProcess(self._data, self._folder, ["--workers", str(workers), "--journal", own, *options])

    def idle(self, workers: int) -> list[dict[str, Any]]:
        """Open watches that hear heartbeats alone, and what a probe sees beside them."""
        # Calls that are watched for long are past their deadline.
        with self.server(workers, options=("--deadline-s", "3600")) as server:
            return stepped(IDLE_STEPS, lambda step, again: {"workers": workers, **self._idle(server, step, again)})

    def _idle(self, server: ServerProcess, watches: int, again: int) -> dict[str, Any]:
        target, seconds, name = (server.target,), max(15.0, self._seconds), f"idle-{watches}-{again}"
        load = Load(name, target, target, calls=20, idle=watches, per_s=40.0, seconds=seconds, seed=again)
        with loading(load) as running:
            running.wait()
            start_s, before_s = time.monotonic(), cpu_s_of(server.pid) or 0.0
            running.wait()
            cores = ((cpu_s_of(server.pid) or 0.0) - before_s) / (time.monotonic() - start_s)
            seen: Seen = running.wait()
        return {"watches": watches, "server_cores": cores, **seen.told()}

    def rate(self, workers: int) -> list[dict[str, Any]]:
        """Evidence a second."""
        with self.server(workers) as server:
            target, seconds = (server.target,), self._seconds
            return stepped(
                RATE_STEPS,
                lambda step, again: (
                    {"workers": workers, "asked_per_s": step}
                    | measured(Load(f"rate-{step}-{again}", target, target, per_s=step, seconds=seconds, seed=again))
                ),
            )

    def memory(self, workers: int) -> dict[str, Any]:
        """Memory of an open call, watched and with seven pieces, and of one that is watched alone."""
        calls = 2_000
        found: dict[str, Any] = {"workers": workers, "calls": calls}
        with self.server(workers) as server:
            target = (server.target,)
            # What the first calls of any process cost is not the calls'.
            measured(Load("warm", target, target, calls=50, per_s=100.0, seconds=2.0))
            empty = memory_of(server.pid) or 0
            load = Load(
                "memory", target, target, calls=calls, per_s=300.0, seconds=7 * calls / 300.0, pieces=1_000, hold_s=3.0
            )
            with loading(load) as running:
                running.wait()
                watched = memory_of(server.pid) or 0
                running.wait()
                full = memory_of(server.pid) or 0
                seen: Seen = running.wait()
        found |= {
            "empty_mb": empty / 2**20,
            "watched_kb_a_call": (watched - empty) / calls / 1024,
            "with_pieces_kb_a_call": (full - empty) / calls / 1024,
            "pieces": len(seen.sends),
        }
        say(found)
        return found

    def crossing(self) -> list[dict[str, Any]]:
        """Evidence to one process, the watch on another."""
        found = []
        per_s, seconds = 50.0, 2 * self._seconds

        def run(name: str, send: str, watch: str) -> None:
            row = {
                "between": name,
                **measured(Load(name.replace(" ", "-"), (send,), (watch,), per_s=per_s, seconds=seconds)),
            }
            found.append(row)
            say(row)

        with self.server() as one:
            run("one process", one.target, one.target)
        with self.server(2) as one:
            run("two workers by chance", one.target, one.target)
        shared = str(self._folder / "shared.sqlite")
        with self.server(journal=shared) as one, self.server(journal=shared) as other:
            run("two servers on one SQLite", one.target, other.target)
        from tests import postgres

        if postgres.programs() is None:
            print("no PostgreSQL here: left out", file=sys.stderr)
            return found
        with postgres.running() as cluster:
            url = cluster.database()
            with self.server(journal=url) as one:
                run("one process, PostgreSQL", one.target, one.target)
            url = cluster.database()
            with self.server(journal=url) as one, self.server(journal=url) as other:
                run("two servers on one PostgreSQL", one.target, other.target)
        return found


def stepped(steps: tuple[int, ...], measure: Callable[[int, int], dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of rising steps, to the first that is over the limit twice: a machine does other things too."""
    found = []
    for step in steps:
        for again in (1, 2):
            row = measure(step, again)
            found.append(row)
            say(row)
            if not over(row):
                break
        else:
            break
    return found


def over(row: dict[str, Any]) -> bool:
    """Whether the time that a piece takes to the screen has passed the limit, or something failed."""
    p99 = row["sent_to_stream_ms"]["p99"]
    return p99 is None or p99 > LIMIT_MS or bool(row["failures"])


def say(row: dict[str, Any]) -> None:
    """One line on stderr."""

    def text(value: object) -> str:
        if isinstance(value, dict) and "p50" in value:
            return "/".join("-" if value[q] is None else f"{value[q]:.1f}" for q in ("p50", "p99", "p99_9", "worst"))
        return f"{value:.2f}" if isinstance(value, float) else str(value)

    print("  ".join(f"{k} {text(v)}" for k, v in row.items()), file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="idle,rate,memory,crossing", help="which, with commas between")
    parser.add_argument("--workers", default="1,2", help="processes of the server, with commas between")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each load")
    parser.add_argument("--json", action="store_true", help="all figures as JSON on stdout")
    asked = parser.parse_args()
    workers, told = [int(w) for w in asked.workers.split(",")], {}
    try:
        with tempfile.TemporaryDirectory(prefix="locsvc-live-load-") as folder:
            bench = Bench(Path(folder), asked.seconds)
            for part in asked.parts.split(","):
                told[part] = bench.crossing() if part == "crossing" else [getattr(bench, part)(w) for w in workers]
    except LocsvcError as error:
        raise SystemExit(str(error)) from error
    if asked.json:
        print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
