"""A process that plays calls: senders and watchers as they are in the field, on connections of their own.

It does as little as it can while it measures: requests are written ahead of their time, messages of streams are kept as
they came, with the time, and read by another process.
"""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

from locsvc.evaluate.capture.forms import evidence_of
from locsvc.rpc.client import MAX_REPLY_BYTES
from locsvc.rpc.convert.estimates import write_time
from locsvc.rpc.convert.replies import write_evidence
from locsvc.v1.call_service_pb2 import (
    AddEvidenceRequest,
    AddEvidenceResponse,
    EndCallRequest,
    WatchLocationRequest,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Sequence
    from multiprocessing.connection import Connection as Pipe

    from locsvc.evaluate.capture.drawing import Piece, PlannedCall

_SERVICE = "/locsvc.v1.CallService/"
_REQUEST_S = 30.0
# Time for the last message of a stream after the call was ended.
_LAST_S = 5.0
_AGAIN_S = 0.1
_TICK_S = 0.01
# Requests are written so long before they are sent.
_AHEAD_S = 0.02


@dataclass(slots=True)
class Sent:
    """One request: which piece, when it was due, sent and answered (monotonic seconds), and what the answer was."""

    piece: int
    due_s: float
    sent_s: float
    replied_s: float = 0.0
    added: int = 0
    revision: int = 0
    failure: str = ""


@dataclass(slots=True)
class Played:
    """One call as it went, in monotonic seconds; `messages` of the stream are kept as they came, with the time."""

    index: int
    started_s: float
    opened_s: float = 0.0
    sent: list[Sent] = field(default_factory=list)
    messages: list[tuple[float, bytes]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Playing:
    """What one process plays.

    Parameters
    ----------
    target
        `host:port` of the server.
    calls
        With their numbers among all calls.
    at_once
        Calls open at a time; when one ends the next begins.
    speed
        Seconds of the scenario that are played in one.
    spread_s
        The first calls begin within so many seconds, evenly.
    connections
        To send on, and as many to watch on.
    """

    target: str
    calls: Sequence[tuple[int, PlannedCall]]
    at_once: int
    speed: float
    spread_s: float
    seed: int
    connections: int = 4


def play(pipe: Pipe, playing: Playing) -> None:
    """The life of the process: sends each `Played` when its call ended, then how late its loop was, then None."""
    # The parent hears of an interrupt and ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_play_all(pipe, playing))


async def _play_all(pipe: Pipe, playing: Playing) -> None:
    loop = asyncio.get_running_loop()
    rng = random.Random(playing.seed)  # noqa: S311 - which connection a call takes
    player = _Player(playing, rng)
    waiting = iter(playing.calls)
    gc.collect()
    gc.freeze()
    # Pickling and writing to the parent's pipe, off the loop.
    with ThreadPoolExecutor(1) as sending:
        lags_s: list[float] = []
        ticking = asyncio.create_task(_tick(lags_s))

        async def slot(number: int) -> None:
            await asyncio.sleep(playing.spread_s * (number + rng.random()) / playing.at_once)
            for index, call in waiting:
                played = await player.play(index, call)
                loop.run_in_executor(sending, pipe.send, played)

        await asyncio.gather(*(slot(k) for k in range(min(playing.at_once, len(playing.calls)))))
        ticking.cancel()
        await player.close()
        sending.submit(pipe.send, lags_s)
        sending.submit(pipe.send, None)


async def _tick(lags_s: list[float]) -> None:
    """Keeps how much later than asked the loop comes back."""
    while True:
        due_s = time.perf_counter() + _TICK_S
        await asyncio.sleep(_TICK_S)
        lags_s.append(time.perf_counter() - due_s)


class _Player:
    """Connections, and the way of one call on them."""

    def __init__(self, playing: Playing, rng: random.Random) -> None:
        self._playing, self._rng = playing, rng
        self._senders = [_channel(playing.target) for _ in range(playing.connections)]
        self._watchers = [_channel(playing.target) for _ in range(playing.connections)]

    async def close(self) -> None:
        for channel in (*self._senders, *self._watchers):
            await channel.close()

    async def play(self, index: int, call: PlannedCall) -> Played:
        """One call from its first piece, which may come before its start, to its end."""
        speed = self._playing.speed
        lead_s = max(0.0, -min((p.after_s for p in call.pieces), default=0.0)) / speed + 2 * _AHEAD_S
        played = Played(index, time.perf_counter() + lead_s)
        started_at = time.time() + lead_s
        watch = asyncio.create_task(self._watch(call, played))
        sends = [asyncio.create_task(self._send(call, k, played, started_at)) for k in range(len(call.pieces))]
        await _until(played.started_s + call.watched_s / speed)
        await self._end(call, played)
        await asyncio.wait([watch], timeout=_LAST_S)
        if not watch.done():
            watch.cancel()
            played.failures.append("watch: no end")
        await asyncio.gather(watch, *sends, return_exceptions=True)
        return played

    async def _watch(self, call: PlannedCall, played: Played) -> None:
        request = WatchLocationRequest(call_id=call.call_id, calling_number=call.calling_number)
        watch: Callable[..., AsyncIterable[bytes]] = self._rng.choice(self._watchers).unary_stream(
            f"{_SERVICE}WatchLocation", request_serializer=WatchLocationRequest.SerializeToString
        )
        end_s = played.started_s + call.watched_s / self._playing.speed
        await _until(played.started_s)
        played.opened_s = time.perf_counter()
        while True:
            try:
                async for message in watch(request):
                    played.messages.append((time.perf_counter(), message))
            except grpc.aio.AioRpcError as error:
                played.failures.append(f"watch: {error.code().name}")
            if time.perf_counter() >= end_s:
                return
            await asyncio.sleep(_AGAIN_S)

    async def _send(self, call: PlannedCall, number: int, played: Played, started_at: float) -> None:
        piece = call.pieces[number]
        due_s = played.started_s + piece.after_s / self._playing.speed
        await _until(due_s - _AHEAD_S)
        request = request_of(call, piece, started_at, self._playing.speed)
        add: Callable[..., Awaitable[AddEvidenceResponse]] = self._rng.choice(self._senders).unary_unary(
            f"{_SERVICE}AddEvidence", response_deserializer=AddEvidenceResponse.FromString
        )
        await _until(due_s)
        sent = Sent(number, due_s, time.perf_counter())
        played.sent.append(sent)
        try:
            reply = await add(request, timeout=_REQUEST_S)
            sent.replied_s = time.perf_counter()
            sent.added, sent.revision = reply.added, reply.revision
        except grpc.aio.AioRpcError as error:
            sent.replied_s = time.perf_counter()
            sent.failure = f"add: {error.code().name}"

    async def _end(self, call: PlannedCall, played: Played) -> None:
        end: Callable[..., Awaitable[bytes]] = self._rng.choice(self._senders).unary_unary(
            f"{_SERVICE}EndCall", request_serializer=EndCallRequest.SerializeToString
        )
        try:
            await end(EndCallRequest(call_id=call.call_id), timeout=_REQUEST_S)
        except grpc.aio.AioRpcError as error:
            played.failures.append(f"end: {error.code().name}")


def request_of(call: PlannedCall, piece: Piece, started_at: float, speed: float) -> bytes:
    """The request of a piece: who knows the call's number alone says no more."""
    request = AddEvidenceRequest(calling_number=call.calling_number)
    if not piece.by_number:
        request.call_id = call.call_id
        if piece.source == "serving_cell":
            write_time(started_at, request.started_at)
    write_evidence(evidence_of(piece, started_at, speed), request.evidence.add())
    return request.SerializeToString()


def numbered(calls: Sequence[PlannedCall], processes: int) -> Iterator[list[tuple[int, PlannedCall]]]:
    """The calls with their numbers, shared out among processes."""
    for first in range(processes):
        yield [(i, calls[i]) for i in range(first, len(calls), processes)]


def _channel(target: str) -> grpc.aio.Channel:
    # Of its own each: connections to several workers on one port fall to them by chance.
    return grpc.aio.insecure_channel(
        target,
        [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", MAX_REPLY_BYTES)],
    )


async def _until(at_s: float) -> None:
    wait_s = at_s - time.perf_counter()
    if wait_s > 0:
        await asyncio.sleep(wait_s)
