"""What tests of live calls say to a server: evidence made short, and a watcher that keeps all it is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc

from locsvc.calls.journal import Journal
from locsvc.v1 import call_pb2, call_service_pb2_grpc
from locsvc.v1 import call_service_pb2 as messages
from locsvc.v1.call_service_pb2 import (
    CHANGE_KIND_UNSPECIFIED,
    AddEvidenceRequest,
    AddEvidenceResponse,
    WatchLocationRequest,
    WatchLocationResponse,
)

T = TypeVar("T")

NUMBER = "+441632960001"
LATITUDE_DEG, LONGITUDE_DEG = 54.9771, 2.5713


def fix(name: str = "", *, north: float = 0.0, radius_m: float = 50.0, at: float | None = None) -> call_pb2.Evidence:
    """A report of a handset, `north` degrees from the usual place."""
    piece = call_pb2.Evidence(evidence_id=name)
    report = piece.device_report
    report.shape.circle.center.latitude_deg = LATITUDE_DEG + north
    report.shape.circle.center.longitude_deg = LONGITUDE_DEG
    report.shape.circle.radius_m = radius_m
    report.confidence = 0.68
    report.method = call_pb2.POSITIONING_METHOD_GNSS
    if at is not None:
        piece.observed_at.FromMicroseconds(round(at * 1e6))
    return piece


def adding(
    *pieces: call_pb2.Evidence, call_id: str = "", number: str = "", started_at: float | None = None
) -> AddEvidenceRequest:
    """A request with these pieces."""
    request = AddEvidenceRequest(call_id=call_id, calling_number=number, evidence=pieces)
    if started_at is not None:
        request.started_at.FromMicroseconds(round(started_at * 1e6))
    return request


@dataclass(eq=False)
class Seen:
    """A watcher: all messages with estimates, how many heartbeats, and how it ended."""

    stream: Any
    updates: list[WatchLocationResponse] = field(default_factory=list)
    heartbeats: list[WatchLocationResponse] = field(default_factory=list)
    error: grpc.aio.AioRpcError | None = None
    ended: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        try:
            async for update in self.stream:
                kept = self.heartbeats if update.kind == CHANGE_KIND_UNSPECIFIED else self.updates
                kept.append(update)
                self._news.set()
        except grpc.aio.AioRpcError as error:
            self.error = error
        self.ended = True
        self._news.set()

    async def until(self, holds: Callable[[Seen], object], seconds: float = 20.0) -> Seen:
        """Wait until something holds of what was seen."""
        async with asyncio.timeout(seconds):
            while not holds(self):
                assert not self.ended or holds(self), f"the stream ended: {self.error}"
                self._news.clear()
                await self._news.wait()
        return self

    async def revision(self, number: int) -> WatchLocationResponse:
        """The message that tells a revision or a later one and is not provisional."""
        await self.until(lambda seen: any(u.revision >= number for u in seen.kept))
        return next(u for u in self.kept if u.revision >= number)

    async def end(self) -> Seen:
        """Wait for the end of the stream."""
        return await self.until(lambda seen: seen.ended)

    @property
    def kept(self) -> list[WatchLocationResponse]:
        """Messages that are not provisional."""
        return [u for u in self.updates if not u.provisional]

    @property
    def revisions(self) -> list[int]:
        return [u.revision for u in self.kept]

    @property
    def evidence_ids(self) -> list[str]:
        return [name for u in self.kept for name in u.evidence_ids]


class Caller:
    """A client of CallService."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.stub: call_service_pb2_grpc.CallServiceAsyncStub = call_service_pb2_grpc.CallServiceStub(channel)

    async def add(
        self, *pieces: call_pb2.Evidence, call_id: str = "", number: str = "", started_at: float | None = None
    ) -> AddEvidenceResponse:
        request = adding(*pieces, call_id=call_id, number=number, started_at=started_at)
        return await self.stub.AddEvidence(request, timeout=30)

    def watch(
        self,
        call_id: str,
        *,
        after_revision: int = 0,
        confidence: float = 0.0,
        heartbeat_s: float | None = None,
        calling_number: str = "",
        fit_radius_m: float = 0.0,
    ) -> Seen:
        request = WatchLocationRequest(
            call_id=call_id,
            after_revision=after_revision,
            confidence=confidence,
            calling_number=calling_number,
            fit_radius_m=fit_radius_m,
        )
        if heartbeat_s is not None:
            request.heartbeat.FromMicroseconds(round(heartbeat_s * 1e6))
        seen = Seen(self.stub.WatchLocation(request))
        seen.task = asyncio.ensure_future(seen.run())
        return seen

    async def get(self, call_id: str) -> messages.GetCallResponse:
        return await self.stub.GetCall(messages.GetCallRequest(call_id=call_id), timeout=30)

    async def end(self, call_id: str) -> messages.EndCallResponse:
        return await self.stub.EndCall(messages.EndCallRequest(call_id=call_id), timeout=30)


async def wait_until(ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool], seconds: float = 20.0) -> T:
    end_s = time.monotonic() + seconds
    while not holds(answer := await ask()):
        assert time.monotonic() < end_s, "it did not come about"
        await asyncio.sleep(0.02)
    return answer


@asynccontextmanager
async def read(journal: Path) -> AsyncIterator[Journal]:
    """The journal as another process sees it."""
    opened = await asyncio.to_thread(Journal.open, journal)
    try:
        yield opened
    finally:
        await asyncio.to_thread(opened.close)
