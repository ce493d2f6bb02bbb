"""Processes killed under load: what was acknowledged is there, and who watches goes on without a gap or a repeat."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import grpc

from locsvc.calls.journal import Journal
from locsvc.v1 import call_service_pb2 as messages
from locsvc.v1 import call_service_pb2_grpc
from tests.postgres import Cluster
from tests.rpc.test_running import children_of
from tests.rpc.watching import adding, fix

Reply = TypeVar("Reply")
CALLS = 8
KILLS = 20
# A client whose server dies tries again at once: tests are not to wait for gRPC's patience.
OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.use_local_subchannel_pool", 1),
)
# What a server that dies says of a request, or the client of a server that is not there.
PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)


class Service:
    """`locsvc serve` on a port that stays its own."""

    def __init__(self, journal: str, log: Path, workers: int = 2) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._command = [sys.executable, "-m", "locsvc", "serve", "--port", str(self.port), "--workers", str(workers)]
        self._command += ["--journal", journal, "--drain-s", "0", "--grace-s", "1"]

    def start(self) -> None:
        """Start it, and come back when it serves."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith(b"serving on"), self._log.read_text()

    @property
    def workers(self) -> list[int]:
        assert self._process is not None
        return children_of(self._process.pid)

    def kill_all(self) -> None:
        """SIGKILL of the supervisor and all workers at once."""
        assert self._process is not None
        assert self._process.stdout is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()

    def end(self) -> None:
        """SIGTERM, as an orderly end."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
            assert self._process.wait(30) == 0, self._log.read_text()
        if self._process.stdout is not None:
            self._process.stdout.close()


@dataclass(eq=False)
class Played:
    """A call under load: a sender that sends each piece until it is acknowledged, and a watcher that resumes."""

    call_id: str
    port: int
    acknowledged: list[str] = field(default_factory=list)
    revisions: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    provisional: int = 0
    resumed: int = 0
    ended: bool = False

    def _stub(self, channel: grpc.aio.Channel) -> call_service_pb2_grpc.CallServiceAsyncStub:
        return call_service_pb2_grpc.CallServiceStub(channel)

    async def send(self, end: asyncio.Event) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", OPTIONS) as channel:
            stub = self._stub(channel)
            number = 0
            while not end.is_set():
                # Every other piece has no name: sent again it is known by what it says.
                name = f"p{number}" if number % 2 else ""
                request = adding(fix(name, north=1e-6 * number), call_id=self.call_id)
                kept = await until_answered(lambda request=request: stub.AddEvidence(request, timeout=20.0))  # type: ignore[misc]
                assert (kept.call_id, kept.added + kept.duplicates) == (self.call_id, 1)
                self.acknowledged += kept.evidence_ids
                number += 1
                await asyncio.sleep(0.01)
            await until_answered(lambda: stub.EndCall(messages.EndCallRequest(call_id=self.call_id), timeout=20.0))

    async def watch(self) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", OPTIONS) as channel:
            stub = self._stub(channel)
            while not self.ended:
                last = self.revisions[-1] if self.revisions else 0
                try:
                    async for update in stub.WatchLocation(
                        messages.WatchLocationRequest(call_id=self.call_id, after_revision=last)
                    ):
                        self.hear(update)
                    self.ended = True
                except grpc.aio.AioRpcError as error:
                    assert error.code() in PASSING, error  # noqa: PT017 - it goes on after those that pass
                    self.resumed += 1
                    await asyncio.sleep(0.02)

    def hear(self, update: messages.WatchLocationResponse) -> None:
        if update.provisional:
            self.provisional += 1
        elif update.kind:
            self.revisions.append(update.revision)
            self.told += update.evidence_ids


async def until_answered(ask: Callable[[], Awaitable[Reply]]) -> Reply:
    """Ask until a server answers, as senders do."""
    while True:
        try:
            return await ask()
        except grpc.aio.AioRpcError as error:
            assert error.code() in {*PASSING, grpc.StatusCode.DEADLINE_EXCEEDED}, error  # noqa: PT017 - as above
            await asyncio.sleep(0.02)


@asynccontextmanager
async def load(service: Service) -> AsyncIterator[list[Played]]:
    """Calls that are played until the block ends, and then to their end."""
    played = [Played(f"call-{i}", service.port) for i in range(CALLS)]
    end = asyncio.Event()
    tasks = [asyncio.create_task(work) for call in played for work in (call.send(end), call.watch())]
    try:
        yield played
        await enough(played)
        end.set()
        async with asyncio.timeout(120):
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def check(journal: str, played: list[Played]) -> None:
    """Nothing lost, nothing twice, nothing out of order."""
    opened = Journal.open(journal)
    try:
        for call in played:
            record = opened.record(call.call_id)
            assert record is not None
            kept = [piece.evidence_id for change in record.changes for piece in change.evidence]
            assert len(call.acknowledged) > KILLS
            assert sorted(kept) == sorted(call.acknowledged), "what was acknowledged is there, once"
            contents = {change.evidence[0].content for change in record.changes if change.evidence}
            assert len(contents) == len(kept), "nothing was kept twice under two names"
            assert [change.revision for change in record.changes] == list(range(1, record.revision + 1))
            assert call.revisions == sorted(set(call.revisions)), "no revision was told twice or late"
            assert call.revisions[-1] == record.revision
            assert call.told == kept, "each piece was told once, in its order"
    finally:
        opened.close()


async def true_of(played: list[Played], holds: Callable[[Played], bool], *, of_all: bool = True) -> None:
    """Wait until something holds of all calls, or of any."""
    async with asyncio.timeout(120):
        while not (all if of_all else any)(map(holds, played)):  # noqa: ASYNC110 - of many
            await asyncio.sleep(0.05)


async def go_on(played: list[Played]) -> None:
    """Wait until each sender has been answered again."""
    before = {call.call_id: len(call.acknowledged) for call in played}
    await true_of(played, lambda call: len(call.acknowledged) > before[call.call_id])


async def enough(played: list[Played]) -> None:
    """Wait until so much was acknowledged, however slow the machine, that what is checked is worth it."""
    await true_of(played, lambda call: len(call.acknowledged) > KILLS)


async def kill_something(service: Service, random_: random.Random, number: int) -> None:
    """SIGKILL of one worker or, every third time, of everything, which is then started again."""
    if number % 3 == 2:
        await asyncio.to_thread(service.kill_all)
        await asyncio.to_thread(service.start)
        return
    workers = service.workers
    os.kill(random_.choice(workers), signal.SIGKILL)
    end_s = time.monotonic() + 30.0
    while not service.workers:
        assert time.monotonic() < end_s, "no worker came back"
        await asyncio.sleep(0.05)


async def test_nothing_is_lost_when_workers_are_killed_under_load(tmp_path: Path, seed: int) -> None:
    random_ = random.Random(seed)
    journal = str(tmp_path / "calls.sqlite")
    service = Service(journal, tmp_path / "log")
    await asyncio.to_thread(service.start)
    try:
        async with load(service) as played:
            for number in range(KILLS):
                await asyncio.sleep(random_.uniform(0.05, 0.8))
                await kill_something(service, random_, number)
    finally:
        await asyncio.to_thread(service.end)
    check(journal, played)
    assert all(call.resumed >= KILLS // 3 for call in played)


async def test_nothing_is_lost_when_postgresql_is_stopped_and_killed_under_load(
    postgres: Cluster, tmp_path: Path, seed: int
) -> None:
    random_ = random.Random(seed)
    journal = postgres.database()
    service = Service(journal, tmp_path / "log")
    await asyncio.to_thread(service.start)
    try:
        async with load(service) as played:
            for stop in (postgres.stop, postgres.kill, postgres.stop):
                await asyncio.sleep(random_.uniform(0.3, 1.0))
                before = {call.call_id: call.provisional for call in played}
                await asyncio.to_thread(stop)
                await asyncio.sleep(random_.uniform(0.3, 1.0))
                # Answers go on from memory.
                await true_of(played, lambda call, n=before: call.provisional > n[call.call_id], of_all=False)  # type: ignore[misc]
                await asyncio.to_thread(postgres.start)
                await go_on(played)
    finally:
        await asyncio.to_thread(service.end)
    check(journal, played)


async def test_two_servers_on_one_postgresql_serve_one_call(postgres: Cluster, tmp_path: Path) -> None:
    journal = postgres.database()
    services = [Service(journal, tmp_path / f"log-{i}", workers=1) for i in range(2)]
    for service in services:
        await asyncio.to_thread(service.start)
    try:
        here = Played("call-1", services[0].port)
        there = Played("call-1", services[1].port)
        end = asyncio.Event()
        tasks = [asyncio.create_task(work) for work in (here.send(end), here.watch(), there.watch())]
        await asyncio.sleep(1.5)
        await enough([here])
        end.set()
        async with asyncio.timeout(120):
            await asyncio.gather(*tasks)
    finally:
        for service in services:
            await asyncio.to_thread(service.end)
    there.acknowledged = here.acknowledged
    check(journal, [here, there])
