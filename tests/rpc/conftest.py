"""A real server on a free port with the sample town behind it, and real clients."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import pytest

from locsvc import model
from locsvc.formats.call_json import call_from_text
from locsvc.resolver import Resolver
from locsvc.rpc.convert.replies import write_call
from locsvc.rpc.server import LocationServer
from locsvc.rpc.settings import ServerSettings
from locsvc.v1 import call_service_pb2_grpc, location_service_pb2_grpc, reference_service_pb2_grpc
from locsvc.v1.location_service_pb2 import ResolveLocationRequest
from tests.rpc.watching import Caller


@pytest.fixture
def town(imported_town: Path, tmp_path: Path) -> Path:
    """A copy of the town's data directory for one test."""
    copy = tmp_path / "data"
    shutil.copytree(imported_town, copy)
    return copy


@pytest.fixture(scope="session")
def calls(sample: Path) -> dict[str, model.Call]:
    """The ten calls of the town, by name."""
    texts = (sample / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    return {call.call_id: call for call in map(call_from_text, texts)}


@pytest.fixture(scope="session")
def request_of() -> Callable[[model.Call], ResolveLocationRequest]:
    """Makes the request for a call."""

    def make(call: model.Call) -> ResolveLocationRequest:
        request = ResolveLocationRequest()
        write_call(call, request.call)
        return request

    return make


@dataclass(slots=True)
class Running:
    """A server that runs, and a client of it."""

    server: LocationServer
    channel: grpc.aio.Channel

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.server.port}"

    @property
    def location(self) -> location_service_pb2_grpc.LocationServiceAsyncStub:
        return location_service_pb2_grpc.LocationServiceStub(self.channel)

    @property
    def reference(self) -> reference_service_pb2_grpc.ReferenceServiceAsyncStub:
        return reference_service_pb2_grpc.ReferenceServiceStub(self.channel)

    @property
    def call(self) -> call_service_pb2_grpc.CallServiceAsyncStub:
        return call_service_pb2_grpc.CallServiceStub(self.channel)


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
def resolver_process() -> bool:
    """Whether servers have a process beside them where a test does not say; modules that try both have their own."""
    return False


@pytest.fixture
async def start(resolver_process: bool) -> AsyncIterator[Start]:
    """Starts a server with the given settings; `load=False` leaves its data unmapped, `make` maps another resolver."""
    running: list[Running] = []

    async def start_server(
        settings: ServerSettings | None = None, *, load: bool = True, make: Callable[[], Resolver] | None = None
    ) -> Running:
        settings = settings or ServerSettings()
        if settings.resolver_process is None:
            settings = replace(settings, resolver_process=resolver_process and make is None)
        server = LocationServer(replace(settings, port=0, drain_s=0.0, grace_s=5.0))
        port = await server.listen()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        running.append(Running(server, channel))
        if load:
            await server.load(make)
            if server.beside is not None:
                await asyncio.wait_for(server.beside.serving.wait(), 60.0)
        return running[-1]

    yield start_server
    for each in running:
        await each.channel.close()
        await each.server.stop()


@pytest.fixture
async def served(start: Start, imported_town: Path) -> Running:
    """A server of the town."""
    return await start(ServerSettings(data=imported_town))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "calls.sqlite"


@pytest.fixture
async def live(start: Start, imported_town: Path, journal: Path) -> Running:
    """A server of the town with a journal; no deadline makes a revision of its own, however slow the machine."""
    return await start(ServerSettings(data=imported_town, journal=str(journal), deadline_s=600.0))


@pytest.fixture
def caller(live: Running) -> Caller:
    return Caller(live.channel)
