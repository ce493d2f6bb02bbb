"""A server in its days: new snapshots under load, drains, workers that die, processes and signals."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from locsvc import model
from locsvc.errors import ConfigError, DatasetError, DatasetMissing, LocsvcError
from locsvc.reference.areas import import_areas
from locsvc.reference.snapshot import Draft, current_id
from locsvc.rpc.client import Client, ClientSettings
from locsvc.rpc.server import serve_here
from locsvc.rpc.serving import Follower
from locsvc.rpc.settings import ServerSettings
from locsvc.v1 import estimate_pb2
from locsvc.v1.location_service_pb2 import ResolveLocationRequest, ResolveLocationResponse
from locsvc.v1.reference_service_pb2 import LookupLineRequest

Running = Any
Start = Callable[..., Awaitable[Any]]
Calls = dict[str, model.Call]
RequestOf = Callable[[model.Call], ResolveLocationRequest]


async def keep_asking(
    served: Running, request: ResolveLocationRequest, end: asyncio.Event
) -> list[ResolveLocationResponse]:
    """Every answer until `end`; any error fails the test."""
    answers = []
    while not end.is_set():
        answers.append(await served.location.ResolveLocation(request, timeout=20))
    return answers


def snapshots_of(answers: list[ResolveLocationResponse]) -> list[frozenset[tuple[str, str]]]:
    """The area datasets that each answer used."""
    return [frozenset((d.name, d.version) for d in a.estimate.datasets if d.dataset == "areas") for a in answers]


async def wait_for(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    end_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end_s, "it did not come about"
        await asyncio.sleep(0.02)


def damage(directory: Path) -> Path:
    """Flip a bit in a file of a dataset; files of other snapshots that are links to it stay as they are."""
    file = next(p for p in sorted(directory.iterdir()) if p.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()
    file.write_bytes(content)
    return file


async def test_a_new_snapshot_is_followed_under_load_with_no_failed_request(
    start: Start, town: Path, sample: Path, calls: Calls, request_of: RequestOf
) -> None:
    served = await start(ServerSettings(data=town, follow_s=0.05))
    request = request_of(calls["10-lone-cell"])
    end = asyncio.Event()
    askers = [asyncio.create_task(keep_asking(served, request, end)) for _ in range(8)]
    first = served.server.batcher.resolver
    await asyncio.sleep(0.1)
    for name in ("more", "still-more"):
        before = served.server.batcher.resolver
        with Draft.begin(town) as draft:
            import_areas(draft, sample / "areas.geojson", name=name, name_field="name")
            published = draft.publish()
        await wait_for(lambda before=before: served.server.batcher.resolver is not before)  # type: ignore[misc]
        assert served.server.batcher.resolver.reference.snapshot_id == published
        await asyncio.sleep(0.1)
    end.set()
    answers = [a for asker in askers for a in await asker]
    assert served.server.batcher.resolver is not first
    assert len({*snapshots_of(answers)}) == 3, "answers of all three snapshots"
    assert all(a.estimate.outcome == estimate_pb2.OUTCOME_LOCATED for a in answers)


async def test_a_damaged_new_snapshot_is_refused_and_the_old_one_stays(
    start: Start, town: Path, sample: Path, calls: Calls, request_of: RequestOf
) -> None:
    # The server's own follower sleeps; one of the same kind looks when the damage is done.
    served = await start(ServerSettings(data=town, follow_s=3600.0))
    good = served.server.batcher.resolver
    with Draft.begin(town) as draft:
        import_areas(draft, sample / "areas.geojson", name="more", name_field="name")
        snapshot = draft.publish()
    file = damage(town / "snapshots" / snapshot / "areas" / "more")
    follower = Follower(town, served.server.batcher, every_s=0.05, switched=served.server._switched)
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(follower.run(good.reference.snapshot_id))
        await wait_for(lambda: any(entry["event"] == "snapshot_refused" for entry in logs))
        await asyncio.sleep(0.3)
        task.cancel()
    refused = [entry for entry in logs if entry["event"] == "snapshot_refused"]
    assert len(refused) == 1, "a refused snapshot is not opened again at every look"
    assert refused[0]["log_level"] == "error"
    assert file.name in refused[0]["problem"]
    assert served.server.batcher.resolver is good
    answer = await served.location.ResolveLocation(request_of(calls["10-lone-cell"]))
    assert answer.estimate.outcome == estimate_pb2.OUTCOME_LOCATED


def files_below(data: Path, snapshot: str = "") -> list[str]:
    """Files of the data directory, or of a snapshot in it, that this process holds open, removed ones too."""
    links = []
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(each.readlink()))
    return [link for link in links if link.startswith(f"{data}/") and snapshot in link]


async def test_data_that_was_left_is_let_go_without_the_collector(
    start: Start, town: Path, sample: Path, calls: Calls, request_of: RequestOf
) -> None:
    served = await start(ServerSettings(data=town, follow_s=0.05))
    left = str(current_id(town))
    gc.disable()
    try:
        for name in ("more", "still-more"):
            await served.location.ResolveLocation(request_of(calls["01-agreement"]))
            await served.reference.LookupLine(LookupLineRequest(number="+441632960100"))
            # What cannot be answered holds nothing either.
            with pytest.raises(grpc.aio.AioRpcError):
                await served.reference.LookupLine(LookupLineRequest())
            with pytest.raises(grpc.aio.AioRpcError):
                await served.location.ResolveLocation(ResolveLocationRequest(confidence=90.0))
            assert files_below(town, left)
            with Draft.begin(town) as draft:
                import_areas(draft, sample / "areas.geojson", name=name, name_field="name")
                published = draft.publish()
            await wait_for(lambda before=left: not files_below(town, before))  # type: ignore[misc]
            left = published
        assert files_below(town)
        await served.server.stop()
        assert not files_below(town)
    finally:
        gc.enable()


async def test_data_that_comes_after_the_start_is_taken(
    start: Start, tmp_path: Path, sample: Path, calls: Calls, request_of: RequestOf
) -> None:
    data = tmp_path / "later"
    served = await start(ServerSettings(data=data, follow_s=0.05))
    assert current_id(data) is None
    with Draft.begin(data) as draft:
        import_areas(draft, sample / "areas.geojson", name="areas", name_field="name")
        draft.publish()
    await wait_for(lambda: served.server.batcher.resolver.reference.areas is not None)
    answer = await served.location.ResolveLocation(request_of(calls["01-agreement"]))
    assert answer.estimate.areas


async def test_the_drain_answers_what_is_under_way(
    start: Start, imported_town: Path, calls: Calls, request_of: RequestOf
) -> None:
    served = await start(ServerSettings(data=imported_town))
    request = request_of(calls["01-agreement"])
    end = asyncio.Event()
    askers = [asyncio.create_task(keep_asking(served, request, end)) for _ in range(8)]
    await asyncio.sleep(0.1)
    stopping = asyncio.create_task(served.server.stop(drain_s=0.5))
    health = health_pb2_grpc.HealthStub(served.channel)
    await asyncio.sleep(0.1)
    # Still answering, and saying to balancers that it goes.
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == health_pb2.HealthCheckResponse.NOT_SERVING
    resolved = served.server.batcher.resolved
    await wait_for(lambda: served.server.batcher.resolved > resolved)
    # What a client does that watches the health: no new requests, and it waits for its own.
    end.set()
    answers = [a for asker in askers for a in await asker]
    await stopping
    assert all(a.estimate.outcome == estimate_pb2.OUTCOME_LOCATED for a in answers)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.location.ResolveLocation(request, timeout=2)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_requests_sent_before_the_end_are_answered_in_the_grace(
    start: Start, imported_town: Path, calls: Calls, request_of: RequestOf
) -> None:
    served = await start(ServerSettings(data=imported_town))
    request = request_of(calls["01-agreement"])
    answers = [asyncio.ensure_future(served.location.ResolveLocation(request)) for _ in range(100)]
    await wait_for(lambda: served.server.batcher.waiting + served.server.batcher.resolved > 20)
    accepted = served.server.batcher.waiting + served.server.batcher.resolved
    await served.server.stop()
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    good = [o for o in outcomes if isinstance(o, ResolveLocationResponse)]
    refused = [o for o in outcomes if isinstance(o, grpc.aio.AioRpcError)]
    assert len(good) >= accepted
    # Those that it never took may be sent elsewhere again: nothing else is ever said to them.
    assert {o.code() for o in refused} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


async def test_a_port_in_use_is_a_configuration_error(start: Start) -> None:
    served = await start()
    with pytest.raises(ConfigError, match="cannot be bound"):
        await serve_here(ServerSettings(port=served.server.port))


# Processes, as `serve` runs them.

PROGRAM = """
import sys
from pathlib import Path
from locsvc.errors import LocsvcError, meaning_of
from locsvc.rpc.settings import ServerSettings
from locsvc.rpc.workers import serve

if __name__ == "__main__":
    data, workers = sys.argv[1:]
    settings = ServerSettings(data=Path(data), port=0, workers=int(workers), drain_s=0.2)
    try:
        serve(settings, ready=lambda port: print(port, flush=True))
    except LocsvcError as error:
        print(error, file=sys.stderr)
        sys.exit(meaning_of(error).exit_code)
"""


@contextmanager
def process(tmp_path: Path, data: Path, workers: int) -> Iterator[subprocess.Popen[str]]:
    program = tmp_path / "serve_it.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(program), str(data), str(workers)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.kill()


def port_of(running: subprocess.Popen[str]) -> int:
    assert running.stdout is not None
    return int(running.stdout.readline())


def children_of(pid: int) -> list[int]:
    """Worker processes; the resource tracker of multiprocessing is none."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            command = Path(f"/proc/{child}/cmdline").read_bytes()
        except FileNotFoundError:
            continue
        if b"spawn_main" in command:
            found.append(int(child))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("workers", [1, 2])
def test_signals_drain_and_end_with_0(
    tmp_path: Path, imported_town: Path, calls: Calls, workers: int, number: signal.Signals
) -> None:
    with process(tmp_path, imported_town, workers) as running:
        port = port_of(running)
        with Client(ClientSettings(f"127.0.0.1:{port}")) as client:
            estimate, _ = client.resolve(calls["01-agreement"])
        assert estimate.outcome is model.Outcome.LOCATED
        running.send_signal(number)
        _, log = running.communicate(timeout=30)
        assert running.returncode == 0, log
        assert log.count('"event": "stopped"') == workers


def test_a_dead_worker_is_replaced_and_the_service_goes_on(tmp_path: Path, imported_town: Path, calls: Calls) -> None:
    with process(tmp_path, imported_town, 2) as running:
        port = port_of(running)
        before = children_of(running.pid)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        end_s = time.monotonic() + 30
        while before[0] in (now := children_of(running.pid)) or len(now) < 2:
            assert time.monotonic() < end_s, "no new worker came"
            # The client tries again by itself when its connection was the dead worker's.
            with Client(ClientSettings(f"127.0.0.1:{port}")) as client:
                assert client.resolve(calls["10-lone-cell"])[0].outcome is model.Outcome.LOCATED
            time.sleep(0.05)
        assert before[1] in now
        running.terminate()
        _, log = running.communicate(timeout=30)
        assert running.returncode == 0, log
        assert '"event": "worker_died"' in log


def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path, imported_town: Path) -> None:
    with process(tmp_path, imported_town, 2) as running:
        port_of(running)
        workers = children_of(running.pid)
        running.kill()
        running.wait()
        end_s = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < end_s, "workers live on without a supervisor"
            time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_damaged_snapshot_ends_the_process_with_66(tmp_path: Path, town: Path, workers: int) -> None:
    snapshot = current_id(town)
    assert snapshot is not None
    file = damage(town / "snapshots" / snapshot / "cells" / "sectors")
    with process(tmp_path, town, workers) as running:
        _, log = running.communicate(timeout=60)
        assert running.returncode == 66
        assert file.name in log


def test_errors_survive_the_way_from_a_worker() -> None:
    for error in (DatasetError("x"), DatasetMissing("y"), ConfigError("z")):
        again = pickle.loads(pickle.dumps(error))
        assert isinstance(again, LocsvcError)
        assert type(again) is type(error)
