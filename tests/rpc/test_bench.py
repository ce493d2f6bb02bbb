"""The bench runs against a real server; its load generator counts what a real client would see."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from locsvc import model
from locsvc.rpc import load
from locsvc.rpc.bench import ECHO_PATH, RESOLVE_PATH, BenchSettings, bench_resolve, quantile
from locsvc.v1.location_service_pb2 import ResolveLocationRequest

Running = Any
SHORT = BenchSettings(calls=20, rounds=1, round_s=0.3, clients=1, concurrency=4, tail_s=0.5)


def test_the_report_holds_every_figure(imported_town: Path, calls: dict[str, model.Call]) -> None:
    said: list[str] = []
    report = bench_resolve(imported_town, calls["01-agreement"], SHORT, progress=said.append)
    outside = report.over_grpc
    assert outside is not None
    assert outside.failed == 0
    assert outside.requests > 10
    assert 0 < outside.ratio < 2
    assert outside.p50_ms <= outside.p99_ms <= outside.p999_ms
    assert report.in_process.call_median_us <= report.in_process.call_p99_us
    assert outside.calls_a_round >= 1
    assert json.loads(json.dumps(report.to_json()))["over_grpc"]["ratio"] == outside.ratio
    assert all(name and figure for name, figure in report.rows())
    assert said


def test_without_grpc(imported_town: Path, calls: dict[str, model.Call]) -> None:
    report = bench_resolve(imported_town, calls["01-agreement"], SHORT, grpc_too=False)
    assert report.over_grpc is None
    assert report.in_process.reply_bytes > 100


async def test_load_counts_answers_and_failures(
    served: Running, calls: dict[str, model.Call], request_of: Callable[[model.Call], ResolveLocationRequest]
) -> None:
    def run(path: str, message: bytes) -> tuple[load.LoadResult, load.LoadResult]:
        connection = load.Connection(served.server.port, path, message)
        try:
            return load.closed_loop(connection, 0.3, 8), load.open_loop(connection, 0.5, 100.0, seed=1)
        finally:
            connection.close()

    before = served.server.batcher.resolved
    closed, opened = await asyncio.to_thread(run, RESOLVE_PATH, request_of(calls["10-lone-cell"]).SerializeToString())
    assert closed.failed == opened.failed == 0
    assert closed.latencies_s
    assert 10 < len(opened.latencies_s) < 120
    # The closed loop's last requests are answered after it ended and are not counted.
    counted = len(closed.latencies_s) + len(opened.latencies_s)
    assert 0 <= served.server.batcher.resolved - before - counted <= 8
    assert all(0 < s < 5 for s in [*closed.latencies_s, *opened.latencies_s])

    bad = ResolveLocationRequest(confidence=90.0).SerializeToString()
    for path, message in ((RESOLVE_PATH, bad), (ECHO_PATH, b"")):
        closed, _ = await asyncio.to_thread(run, path, message)
        assert not closed.latencies_s
        assert closed.failed


async def test_load_in_a_process_with_many_files(
    served: Running, calls: dict[str, model.Call], request_of: Callable[[model.Call], ResolveLocationRequest]
) -> None:
    message = request_of(calls["10-lone-cell"]).SerializeToString()

    def run() -> load.LoadResult:
        with contextlib.ExitStack() as many:
            for _ in range(1_100):
                many.enter_context(Path(os.devnull).open("rb"))
            connection = load.Connection(served.server.port, RESOLVE_PATH, message)
            many.callback(connection.close)
            return load.open_loop(connection, 0.3, 50.0, seed=1)

    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2_500:
        pytest.skip("ulimit -n is below 2,500")
    result = await asyncio.to_thread(run)
    assert result.latencies_s
    assert result.failed == 0


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 3.0), (0.99, 4.0), (1.0, 4.0)])
def test_quantile(share: float, value: float) -> None:
    assert quantile([4.0, 1.0, 3.0, 2.0], share) == value
