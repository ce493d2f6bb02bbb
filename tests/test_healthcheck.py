"""The container's health probe tells a serving server from one that is not, against a real server."""

from __future__ import annotations

import subprocess
import sys
from concurrent import futures
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[tuple[str, health.HealthServicer]]:
    """A server with a health service; address and servicer."""
    servicer = health.HealthServicer()
    running = grpc.server(futures.ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, running)
    port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    yield f"127.0.0.1:{port}", servicer
    running.stop(None).wait()


def probe(repository: Path, target: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, repository / "scripts" / "healthcheck.py", target], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip()


def test_probe_follows_the_server(repository: Path, server: tuple[str, health.HealthServicer]) -> None:
    target, servicer = server
    servicer.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert probe(repository, target) == (1, "NOT_SERVING")
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    assert probe(repository, target) == (0, "SERVING")


def test_probe_tells_that_nobody_listens(repository: Path) -> None:
    # Port 9 of loopback (discard) is served by nobody on a machine of today.
    assert probe(repository, "127.0.0.1:9") == (1, "UNAVAILABLE")
