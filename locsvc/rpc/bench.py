"""What a resolve costs: in this process, and over gRPC against an echo on the same server in the same run.

The echo is a method on the same server that parses the same request and sends the same reply, made once: what it
does not do is read, resolve and write. Rounds of both alternate, so that other work on the machine meets both.
"""

from __future__ import annotations

import asyncio
import dataclasses
import multiprocessing
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from locsvc.errors import Unavailable
from locsvc.resolver.filling import TableBuilder
from locsvc.rpc import load, logs
from locsvc.rpc.convert.estimates import write_estimate
from locsvc.rpc.convert.replies import write_call
from locsvc.rpc.convert.requests import ask_resolve
from locsvc.rpc.handlers import tolerant
from locsvc.rpc.server import LocationServer
from locsvc.rpc.serving import open_resolver, settle, warm
from locsvc.rpc.settings import ServerSettings
from locsvc.v1.location_service_pb2 import ResolveLocationRequest, ResolveLocationResponse

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection as Pipe

    from locsvc.model import Call
    from locsvc.resolver import Resolver

RESOLVE_PATH = "/locsvc.v1.LocationService/ResolveLocation"
ECHO_SERVICE = "locsvc.bench.EchoService"
ECHO_PATH = f"/{ECHO_SERVICE}/Echo"
BATCH = 64


@dataclass(frozen=True, slots=True)
class BenchSettings:
    """How much is measured, and whether with a process beside the worker; the defaults take about half a minute."""

    calls: int = 2_000
    rounds: int = 5
    round_s: float = 2.0
    clients: int = 2
    concurrency: int = 32
    tail_s: float = 5.0
    resolver_process: bool | None = None


@dataclass(frozen=True, slots=True)
class InProcess:
    """Times in this process, microseconds."""

    call_median_us: float
    call_p99_us: float
    batch_call_us: float
    read_us: float
    write_us: float
    reply_bytes: int


@dataclass(frozen=True, slots=True)
class OverGrpc:
    """Requests a second over gRPC, and latencies at half the load, milliseconds."""

    echo_per_s: float
    resolve_per_s: float
    ratio: float
    ratio_low: float
    ratio_high: float
    echo_cpu_us: float
    resolve_cpu_us: float
    calls_a_round: float
    half_load_per_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    requests: int
    failed: int


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Everything that was measured."""

    in_process: InProcess
    over_grpc: OverGrpc | None

    def to_json(self) -> dict[str, object]:
        """The figures as plain values for JSON."""
        return dataclasses.asdict(self)

    def rows(self) -> list[tuple[str, str]]:
        """The figures as a table of two columns for a person."""
        inside = self.in_process
        rows = [
            ("one call, in process, median", f"{inside.call_median_us:,.0f} us"),
            ("one call, in process, p99", f"{inside.call_p99_us:,.0f} us"),
            (f"a call in a batch of {BATCH}", f"{inside.batch_call_us:,.0f} us"),
            ("request to call", f"{inside.read_us:.1f} us"),
            ("estimate to reply", f"{inside.write_us:.1f} us"),
            ("size of the reply", f"{inside.reply_bytes:,} bytes"),
        ]
        outside = self.over_grpc
        if outside is not None:
            rows += [
                ("echo over gRPC", f"{outside.echo_per_s:,.0f} requests/s, {outside.echo_cpu_us:,.0f} us of CPU each"),
                (
                    "resolve over gRPC",
                    f"{outside.resolve_per_s:,.0f} requests/s, {outside.resolve_cpu_us:,.0f} us of CPU each",
                ),
                (
                    "resolve / echo",
                    f"{outside.ratio:.2f} ({outside.ratio_low:.2f} to {outside.ratio_high:.2f} over the rounds)",
                ),
                ("calls fused in a round, mean", f"{outside.calls_a_round:.1f}"),
                (
                    f"latency at {outside.half_load_per_s:,.0f} requests/s",
                    f"p50 {outside.p50_ms:.1f}, p99 {outside.p99_ms:.1f}, p99.9 {outside.p999_ms:.1f} ms",
                ),
                ("requests, failed", f"{outside.requests:,}, {outside.failed}"),
            ]
        return rows


def bench_resolve(
    data: Path | None,
    call: Call,
    settings: BenchSettings | None = None,
    *,
    grpc_too: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> BenchReport:
    """Times of resolving `call` on the snapshot in `data`.

    Raises
    ------
    DatasetError
        When the snapshot is damaged.
    Unavailable
        When the server or a client process ends before it should.
    """
    settings = settings or BenchSettings()
    # What is said on the way, as by a server that starts, is talk: the figures alone go to stdout.
    logs.configure("console")
    progress("in this process")
    resolver = open_resolver(data)
    warm(resolver)
    settle()
    inside, reply = _in_process(resolver, call, settings)
    del resolver
    return BenchReport(inside, _over_grpc(data, call, reply, settings, progress) if grpc_too else None)


def _in_process(resolver: Resolver, call: Call, settings: BenchSettings) -> tuple[InProcess, bytes]:
    request = ResolveLocationRequest()
    write_call(call, request.call)
    estimate = resolver.resolve([call])[0]

    def write() -> ResolveLocationResponse:
        response = ResolveLocationResponse()
        write_estimate(estimate, response.estimate)
        return response

    reply = write().SerializeToString()
    for _ in range(50):
        resolver.resolve([call])
    alone = _times_us(lambda: resolver.resolve([call]), settings.calls)
    together = _times_us(lambda: resolver.resolve([call] * BATCH), max(5, settings.calls // BATCH))
    inside = InProcess(
        call_median_us=statistics.median(alone),
        call_p99_us=quantile(alone, 0.99),
        batch_call_us=statistics.median(together) / BATCH,
        read_us=statistics.median(_times_us(lambda: ask_resolve(request).put(TableBuilder()), settings.calls)),
        write_us=statistics.median(_times_us(write, settings.calls)),
        reply_bytes=len(reply),
    )
    return inside, reply


def _times_us(act: Callable[[], object], times: int) -> list[float]:
    measured = []
    for _ in range(times):
        start_s = time.perf_counter()
        act()
        measured.append((time.perf_counter() - start_s) * 1e6)
    return measured


def quantile(values: list[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed.

    >>> quantile([3.0, 1.0, 2.0], 0.99)
    3.0
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@dataclass(slots=True)
class _Round:
    """One round of load: requests a second, CPU time of the server for each, what came back."""

    per_s: float
    cpu_us: float
    latencies_s: list[float]
    failed: int


class _Bench:
    """A server process with the echo on it, and the client processes."""

    def __init__(self, server: ServerSettings, call: Call, reply: bytes, clients: int) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._pipes: list[Pipe] = []
        self._processes: list[multiprocessing.process.BaseProcess] = []
        request = ResolveLocationRequest()
        write_call(call, request.call)
        self._start(_serve_bench, server, reply)
        self.server = self._pipes[0]
        port = _receive(self.server)
        for seed in range(clients):
            self._start(_run_client, port, request.SerializeToString(), seed)
        self.clients = self._pipes[1:]

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=target, args=(theirs, *arguments), daemon=True)
        process.start()
        theirs.close()
        self._pipes.append(ours)
        self._processes.append(process)

    def server_counts(self) -> tuple[float, int, int]:
        """CPU seconds of the server, and rounds and calls of its batcher, so far."""
        self.server.send("counts")
        counts: tuple[float, int, int] = _receive(self.server)
        return counts

    def round(self, path: str, seconds: float, *, concurrency: int = 0, per_s: float = 0.0) -> _Round:
        """One round of load from all clients: closed loop with `concurrency`, or open loop at `per_s` in all."""
        before = self.server_counts()
        for client in self.clients:
            client.send((path, seconds, concurrency, per_s / len(self.clients)))
        results: list[load.LoadResult] = [_receive(client) for client in self.clients]
        after = self.server_counts()
        done = sum(len(r.latencies_s) for r in results)
        return _Round(
            per_s=sum(len(r.latencies_s) / r.seconds for r in results),
            cpu_us=(after[0] - before[0]) / max(1, done) * 1e6,
            latencies_s=[s for r in results for s in r.latencies_s],
            failed=sum(r.failed for r in results),
        )

    def close(self) -> None:
        """End all processes."""
        for pipe in self._pipes:
            try:
                pipe.send(None)
            except OSError:
                continue
        for process in self._processes:
            process.join(5.0)
            if process.is_alive():
                process.kill()
                process.join()
        for pipe in self._pipes:
            pipe.close()


def _receive(pipe: Pipe) -> Any:  # noqa: ANN401 - what a process of this module sends
    try:
        if pipe.poll(120.0):
            return pipe.recv()
    except EOFError:
        pass
    raise Unavailable("a process of the bench ended before it should; see its words above")


def _over_grpc(
    data: Path | None, call: Call, reply: bytes, settings: BenchSettings, progress: Callable[[str], None]
) -> OverGrpc:
    server = ServerSettings(data=data, port=0, resolver_process=settings.resolver_process, drain_s=0.0, grace_s=1.0)
    bench = _Bench(server, call, reply, settings.clients)
    try:
        for path in (ECHO_PATH, RESOLVE_PATH):
            bench.round(path, min(1.0, settings.round_s), concurrency=settings.concurrency)
        echoes, resolves = [], []
        _, rounds_before, calls_before = bench.server_counts()
        for number in range(settings.rounds):
            progress(f"round {number + 1} of {settings.rounds} over gRPC")
            echoes.append(bench.round(ECHO_PATH, settings.round_s, concurrency=settings.concurrency))
            resolves.append(bench.round(RESOLVE_PATH, settings.round_s, concurrency=settings.concurrency))
        _, rounds_after, calls_after = bench.server_counts()
        half_per_s = statistics.median(r.per_s for r in resolves) / 2
        progress("latency at half the load")
        tail = bench.round(RESOLVE_PATH, settings.tail_s, per_s=half_per_s)
    finally:
        bench.close()
    ratios = [r.per_s / e.per_s for e, r in zip(echoes, resolves, strict=True)]
    everything = [*echoes, *resolves, tail]
    return OverGrpc(
        echo_per_s=statistics.median(e.per_s for e in echoes),
        resolve_per_s=statistics.median(r.per_s for r in resolves),
        ratio=statistics.median(ratios),
        ratio_low=min(ratios),
        ratio_high=max(ratios),
        echo_cpu_us=statistics.median(e.cpu_us for e in echoes),
        resolve_cpu_us=statistics.median(r.cpu_us for r in resolves),
        calls_a_round=(calls_after - calls_before) / max(1, rounds_after - rounds_before),
        half_load_per_s=half_per_s,
        p50_ms=quantile(tail.latencies_s, 0.5) * 1e3,
        p99_ms=quantile(tail.latencies_s, 0.99) * 1e3,
        p999_ms=quantile(tail.latencies_s, 0.999) * 1e3,
        requests=sum(len(r.latencies_s) for r in everything),
        failed=sum(r.failed for r in everything),
    )


def _run_client(pipe: Pipe, port: int, request: bytes, seed: int) -> None:
    """A client process: one connection for each method, one round at a time."""
    connections = {path: load.Connection(port, path, request) for path in (ECHO_PATH, RESOLVE_PATH)}
    while (asked := pipe.recv()) is not None:
        path, seconds, concurrency, per_s = asked
        connection = connections[path]
        if concurrency:
            pipe.send(load.closed_loop(connection, seconds, concurrency))
        else:
            pipe.send(load.open_loop(connection, seconds, per_s, seed))
    for connection in connections.values():
        connection.close()


def _serve_bench(pipe: Pipe, settings: ServerSettings, reply: bytes) -> None:
    """The server process: one worker as `serve` runs it, with the echo beside it."""
    logs.configure("console", level=logs.WARNING)
    asyncio.run(_serve(pipe, settings, reply))


async def _serve(pipe: Pipe, settings: ServerSettings, reply: bytes) -> None:
    server = LocationServer(settings)
    server.server.add_registered_method_handlers(ECHO_SERVICE, {"Echo": echo_handler(reply)})
    port = await server.listen()
    await server.load()
    if server.beside is not None:
        await server.beside.serving.wait()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def asked() -> None:
        try:
            question = pipe.recv()
        except EOFError:
            question = None
        if question is None:
            loop.remove_reader(pipe.fileno())
            ended.set()
        else:
            times = os.times()
            counts = [times.user + times.system, server.batcher.rounds, server.batcher.resolved]
            if (beside := server.beside) is not None:
                counts = [*map(sum, zip(counts, (beside.cpu_s, beside.rounds, beside.resolved), strict=True))]
            pipe.send(tuple(counts))

    loop.add_reader(pipe.fileno(), asked)
    pipe.send(port)
    await ended.wait()
    await server.stop()


def echo_handler(reply: bytes) -> grpc.RpcMethodHandler[Any, Any]:
    """A method that parses the request and sends the reply that was made before."""
    response = ResolveLocationResponse.FromString(reply)

    async def echo(request: ResolveLocationRequest | None, context: object) -> ResolveLocationResponse:
        del request, context
        return response

    return grpc.unary_unary_rpc_method_handler(
        echo,
        request_deserializer=tolerant(ResolveLocationRequest),
        response_serializer=ResolveLocationResponse.SerializeToString,
    )
