"""The process that resolves beside a worker: equal answers, and nothing lost when it is killed or the data changes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.errors import DeadlineExceeded, FieldViolation, InvalidInput, Overloaded
from locsvc.reference.areas import import_areas
from locsvc.reference.snapshot import Draft
from locsvc.resolver import Begun, Resolver
from locsvc.resolver.table import EvidenceTable
from locsvc.rpc import beside as beside_module
from locsvc.rpc import settings as settings_module
from locsvc.rpc.beside import MOST_BYTES, Beside, ProcessLost
from locsvc.rpc.frames import frame, whole
from locsvc.rpc.replying import replies_to
from locsvc.rpc.server import LocationServer
from locsvc.rpc.serving import open_resolver
from locsvc.rpc.settings import ServerSettings
from locsvc.v1.location_service_pb2 import ResolveLocationRequest, ResolveLocationResponse
from tests.rpc.test_running import keep_asking, snapshots_of, wait_for

Running = Any
Floats = npt.NDArray[np.float64]
Start = Callable[..., Awaitable[Any]]
Calls = dict[str, model.Call]
RequestOf = Callable[[model.Call], ResolveLocationRequest]


def process_of(server: LocationServer) -> int:
    """Number of the process beside a server."""
    assert server.beside is not None
    number = server.beside.process.process_id
    assert number is not None
    return number


async def is_beside(served: Running) -> None:
    """Wait until the process beside a server resolves."""
    await asyncio.wait_for(served.server.beside.serving.wait(), 30.0)


@pytest.fixture
async def beside(start: Start, imported_town: Path) -> Running:
    """A server of the town with a process beside it that is ready."""
    return await start(ServerSettings(data=imported_town, resolver_process=True))


@contextlib.asynccontextmanager
async def alone(settings: ServerSettings) -> AsyncIterator[Beside]:
    """The queue with its process, without a server."""
    queue = Beside(settings)
    queue.process.start()
    await wait_for(lambda: queue._there is not None)
    queue.follow(queue._there or "")
    try:
        yield queue
    finally:
        await queue.process.close()


@contextlib.contextmanager
def stopped(process_id: int | None) -> Iterator[None]:
    """While a process does not run."""
    assert process_id is not None
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


async def test_what_it_answers_is_what_the_worker_answers(
    start: Start, imported_town: Path, beside: Running, calls: Calls, request_of: RequestOf
) -> None:
    worker = await start(ServerSettings(data=imported_town))
    requests = []
    for call in calls.values():
        for with_trace in (False, True):
            request = request_of(call)
            request.with_trace = with_trace
            request.confidence = 0.95
            requests.append(request)
    theirs = await asyncio.gather(*(beside.location.ResolveLocation(r) for r in requests))
    ours = await asyncio.gather(*(worker.location.ResolveLocation(r) for r in requests))
    assert theirs == ours
    assert beside.server.beside.resolved == len(requests), "all of them went to the process"
    assert any(answer.HasField("trace") for answer in theirs)


async def test_wrong_requests_get_their_violations_and_cost_their_neighbours_nothing(
    beside: Running, calls: Calls, request_of: RequestOf
) -> None:
    good, bad = request_of(calls["10-lone-cell"]), request_of(calls["10-lone-cell"])
    bad.call.evidence[0].cell_scan.serving.mcc = "none"
    no_call = ResolveLocationRequest(confidence=2.0)
    raw = beside.channel.unary_unary("/locsvc.v1.LocationService/ResolveLocation")
    asked = [raw((good, bad, no_call)[i % 3].SerializeToString()) for i in range(60)] + [raw(b"\xff\xff\xff")]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for i, answer in enumerate(answers[:60]):
        if i % 3 == 0:
            assert isinstance(answer, bytes)
            assert ResolveLocationResponse.FromString(answer).estimate.call_id == "10-lone-cell"
        else:
            assert isinstance(answer, grpc.aio.AioRpcError)
            assert answer.code() is grpc.StatusCode.INVALID_ARGUMENT
            fields = ("call.evidence[0].cell_scan.serving.mcc",) if i % 3 == 1 else ("call", "confidence")
            assert all(field in (answer.details() or "") for field in fields)
    assert isinstance(answers[60], grpc.aio.AioRpcError)
    assert answers[60].code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "is not a message of ResolveLocation" in (answers[60].details() or "")
    assert beside.server.beside.serving.is_set()
    assert beside.server.batcher.resolved == 0


async def test_a_process_that_is_killed_under_load_costs_no_request_and_comes_back(
    beside: Running, calls: Calls, request_of: RequestOf
) -> None:
    request = request_of(calls["10-lone-cell"])
    expected = await beside.location.ResolveLocation(request)
    end = asyncio.Event()
    askers = [asyncio.create_task(keep_asking(beside, request, end)) for _ in range(16)]
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await asyncio.sleep(0.2)
            before = process_of(beside.server)
            os.kill(before, signal.SIGKILL)
            await wait_for(lambda before=before: process_of(beside.server) != before)  # type: ignore[misc]
            await is_beside(beside)
    end.set()
    answers = [a for asker in askers for a in await asker]
    assert all(a == expected for a in answers)
    assert beside.server.batcher.resolved > 0, "the worker resolved meanwhile"
    died = [entry for entry in logs if entry["event"] == "resolver_process_died"]
    assert [entry["exit_code"] for entry in died] == [-signal.SIGKILL] * 3


async def test_a_new_snapshot_is_in_force_for_all_requests_at_once(
    start: Start, town: Path, sample: Path, calls: Calls, request_of: RequestOf
) -> None:
    served = await start(ServerSettings(data=town, follow_s=0.05, resolver_process=True))
    request = request_of(calls["10-lone-cell"])
    end = asyncio.Event()
    askers = [asyncio.create_task(keep_asking(served, request, end)) for _ in range(8)]
    await asyncio.sleep(0.1)
    before = served.server.batcher.resolver
    with Draft.begin(town) as draft:
        import_areas(draft, sample / "areas.geojson", name="more", name_field="name")
        draft.publish()
    await wait_for(lambda: served.server.batcher.resolver is not before)
    answer = await served.location.ResolveLocation(request)
    assert len(snapshots_of([answer])[0]) == 2, "an answer after the switch is of the new snapshot, whoever resolves"
    await is_beside(served)
    resolved = served.server.beside.resolved
    await asyncio.sleep(0.1)
    end.set()
    answers = [a for asker in askers for a in await asker]
    assert served.server.beside.resolved > resolved, "the process resolves from the new one"
    for asked in snapshots_of(answers[-8:]):
        assert len(asked) == 2


async def test_overload_and_deadlines_are_told_while_the_process_hangs(imported_town: Path) -> None:
    content = ResolveLocationRequest(call={"call_id": "1"}).SerializeToString()  # type: ignore[arg-type]
    async with alone(ServerSettings(data=imported_town, max_waiting=3)) as queue:
        with stopped(queue.process.process_id):
            first = queue.ask(content)
            await asyncio.sleep(0.05)
            second = queue.ask(content)
            await asyncio.sleep(0.05)
            late, gone, waits = queue.ask(content, 0.05), queue.ask(content), queue.ask(content, 60.0)
            with pytest.raises(Overloaded, match="RetryInfo"):
                queue.ask(content)
            gone.cancel()
            await asyncio.sleep(0.2)
        answer = ResolveLocationResponse.FromString(await first)
        assert answer.estimate.call_id == "1"
        with pytest.raises(DeadlineExceeded, match="give more time"):
            await late
        assert {await second, await waits} == {answer.SerializeToString()}
        assert queue.resolved == 3, "nothing is resolved for who has gone"
        assert queue.waiting == 0


async def test_a_process_that_hangs_is_ended_and_its_requests_are_resolved(
    beside: Running, calls: Calls, request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside_module, "HANGS_S", 0.3)
    hung = process_of(beside.server)
    os.kill(hung, signal.SIGSTOP)
    with structlog.testing.capture_logs() as logs:
        answer = await beside.location.ResolveLocation(request_of(calls["10-lone-cell"]), timeout=20)
    assert answer.estimate.call_id == "10-lone-cell"
    assert [entry["event"] for entry in logs].count("resolver_process_hangs") == 1
    await wait_for(lambda: process_of(beside.server) != hung)
    await is_beside(beside)
    assert (await beside.location.ResolveLocation(request_of(calls["10-lone-cell"]))) == answer


async def test_large_requests_go_in_small_rounds(imported_town: Path) -> None:
    request = ResolveLocationRequest()
    for _ in range(64):
        request.call.evidence.add().device_report.raw.bytes = b"x" * (1 << 18)
    content = request.SerializeToString()
    assert len(content) > MOST_BYTES
    async with alone(ServerSettings(data=imported_town)) as queue:
        answers = await asyncio.gather(*(queue.ask(content) for _ in range(5)), return_exceptions=True)
        assert queue.rounds == 5
    assert all(isinstance(answer, bytes | InvalidInput) for answer in answers)


async def test_what_a_lost_process_had_is_given_back(imported_town: Path) -> None:
    content = ResolveLocationRequest(call={"call_id": "1"}).SerializeToString()  # type: ignore[arg-type]
    async with alone(ServerSettings(data=imported_town)) as queue:
        process_id = queue.process.process_id
        with stopped(process_id):
            out, waits = queue.ask(content), queue.ask(content)
            await asyncio.sleep(0.05)
            os.kill(process_id or 0, signal.SIGKILL)
        for future in (out, waits):
            with pytest.raises(ProcessLost):
                await future
        assert not queue.serving.is_set()
        await asyncio.wait_for(queue.serving.wait(), 30.0)
        assert ResolveLocationResponse.FromString(await queue.ask(content)).estimate.call_id == "1"


def test_the_process_ends_with_a_worker_that_is_killed(imported_town: Path) -> None:
    command = [sys.executable, "-m", "locsvc", "serve", "--data", str(imported_town), "--port", "0", "--no-journal"]
    with subprocess.Popen([*command, "--resolver-process"], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith(b"serving on")
        found = subprocess.run(["pgrep", "-P", str(worker.pid)], capture_output=True, check=True, text=True)
        (child,) = map(int, found.stdout.split())
        worker.kill()
    for _ in range(400):
        if not Path(f"/proc/{child}").exists() or "\nState:\tZ" in Path(f"/proc/{child}/status").read_text():
            return
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, os.WNOHANG)
        asyncio.run(asyncio.sleep(0.05))
    os.kill(child, signal.SIGKILL)
    pytest.fail("the process outlives its worker")


class _Faulty:
    """A resolver that meets a fault whenever a call of three pieces of evidence is among its calls."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self.rounds: list[int] = []

    def begin(self, table: EvidenceTable, confidences: Floats, as_of: Floats) -> Begun:
        self.rounds.append(len(confidences))
        if np.bincount(table.slots[:, 0].astype(int), minlength=1).max() > 2:
            raise ZeroDivisionError
        return self._resolver.begin(table, confidences, as_of)


def test_a_call_that_meets_a_fault_costs_the_others_nothing(imported_town: Path) -> None:
    resolver = _Faulty(open_resolver(imported_town))
    plain, faulty = ResolveLocationRequest(), ResolveLocationRequest()
    plain.call.call_id = faulty.call.call_id = "1"
    for _ in range(3):
        faulty.call.evidence.add()
    contents = [r.SerializeToString() for r in (plain, faulty, plain)] + [b"\xff"]
    with structlog.testing.capture_logs() as logs:
        replies = replies_to(resolver, contents)  # type: ignore[arg-type]
    assert replies[1] is None
    assert replies[0] == replies[2]
    assert isinstance(replies[0], bytes)
    assert ResolveLocationResponse.FromString(replies[0]).estimate.call_id == "1"
    assert isinstance(replies[3], tuple)
    assert replies[3][0].field == "request"
    assert resolver.rounds == [3, 1, 1, 1], "together first, then each alone"
    assert [entry["error"] for entry in logs] == ["ZeroDivisionError"]


@given(st.lists(st.one_of(st.text(), st.binary(max_size=300), st.none())), st.lists(st.integers(1, 50), min_size=1))
def test_messages_come_out_whole_however_they_are_cut(said: list[object], cuts: list[int]) -> None:
    content = b"".join(map(frame, said))
    heard: list[object] = []
    received, at = bytearray(), 0
    while at < len(content):
        length = cuts[at % len(cuts)]
        received += content[at : at + length]
        heard += whole(received)
        at += length
    assert heard == said
    assert not received


async def test_violations_and_faults_become_errors(imported_town: Path) -> None:
    async with alone(ServerSettings(data=imported_town)) as queue:
        wrong = queue.ask(ResolveLocationRequest().SerializeToString())
        with pytest.raises(InvalidInput) as raised:
            await wrong
    assert [type(v) for v in raised.value.violations] == [FieldViolation]


@pytest.mark.parametrize(
    ("asked", "workers", "cores", "beside"),
    [(None, 1, 1, False), (None, 1, 2, True), (None, 2, 3, False), (None, 2, 4, True), (True, 4, 1, True), (False, 1, 8, False)],
)  # fmt: skip
def test_a_worker_with_two_cores_has_one(
    monkeypatch: pytest.MonkeyPatch, asked: bool | None, workers: int, cores: int, beside: bool
) -> None:
    monkeypatch.setattr(settings_module, "cores", lambda: cores)
    assert ServerSettings(workers=workers, resolver_process=asked).resolves_beside is beside
