"""LocationService, and how a service ends an RPC with an error."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import grpc

from locsvc.errors import InvalidInput, LocsvcError, meaning_of
from locsvc.rpc import logs
from locsvc.rpc.beside import ProcessLost
from locsvc.rpc.convert.answers import write_answer
from locsvc.rpc.convert.requests import Unread, ask_resolve, read_batch
from locsvc.rpc.convert.violations import not_a_message
from locsvc.rpc.replying import reply_to, request_of
from locsvc.rpc.status import abort
from locsvc.v1 import location_service_pb2, location_service_pb2_grpc

if TYPE_CHECKING:
    from typing import NoReturn

    from locsvc.rpc.batcher import Batcher
    from locsvc.rpc.beside import Beside

    Context = grpc.aio.ServicerContext[Any, Any]

# Violations that one call of a batch may put into the reply.
MAX_CALL_VIOLATIONS = 100


async def fail(context: Context, error: Exception, method: str) -> NoReturn:
    """End the RPC with `error`; a fault that nobody foresaw is logged without its text, which may hold a number."""
    if not isinstance(error, LocsvcError):
        logs.tell_fault(method, error)
        error.__traceback__ = None
        error = LocsvcError(f"{method} met a fault of the server; it is in the server's log")
    # Frames of a trace hold the snapshot that was asked, and gRPC's error holds itself until the collector comes.
    error.__traceback__ = error.__context__ = error.__cause__ = None
    await abort(context, error)


class LocationService(location_service_pb2_grpc.LocationServiceServicer):
    """Locates calls: by the process beside this one where there is one, else through the batcher."""

    # Its requests and replies are bytes: who resolves them reads and writes them.
    RAW = frozenset({"ResolveLocation"})

    def __init__(self, batcher: Batcher, beside: Beside | None = None) -> None:
        self._batcher = batcher
        self._beside = beside

    async def ResolveLocation(self, content: bytes, context: Context) -> bytes:  # type: ignore[override]  # noqa: N802 - the contract's name
        """The estimate of one call."""
        try:
            if self._beside is not None:
                with contextlib.suppress(ProcessLost):
                    return await self._beside.ask(content, context.time_remaining())
            request = request_of(content)
            answer = await self._batcher.ask(ask_resolve(request), context.time_remaining())
            return reply_to(request, answer.answered, answer.number)
        except Exception as error:  # noqa: BLE001 - every error becomes a status
            await fail(context, error, "ResolveLocation")

    async def BatchResolveLocations(  # noqa: N802 - the contract's name
        self, request: location_service_pb2.BatchResolveLocationsRequest | None, context: Context
    ) -> location_service_pb2.BatchResolveLocationsResponse:
        """One result a call, each on its own."""
        try:
            if request is None:
                raise not_a_message("BatchResolveLocations")
            return await self._batch(request, context.time_remaining())
        except Exception as error:  # noqa: BLE001 - every error becomes a status
            await fail(context, error, "BatchResolveLocations")

    async def _batch(
        self, request: location_service_pb2.BatchResolveLocationsRequest, remaining_s: float | None
    ) -> location_service_pb2.BatchResolveLocationsResponse:
        confidence, as_of = read_batch(request)
        loop = asyncio.get_running_loop()
        end_s = None if remaining_s is None else loop.time() + remaining_s
        response = location_service_pb2.BatchResolveLocationsResponse()
        calls = request.calls
        self._batcher.reserve(len(calls))
        try:
            for first in range(0, len(calls), CHUNK):
                left_s = None if end_s is None else end_s - loop.time()
                await self._chunk(calls[first : first + CHUNK], (confidence, as_of, left_s), response)
        finally:
            self._batcher.release(len(calls))
        return response

    async def _chunk(
        self,
        calls: list[Any],
        asked: tuple[float, float | None, float | None],
        response: location_service_pb2.BatchResolveLocationsResponse,
    ) -> None:
        """Ask and write a part of a batch, so that no other request waits for more than the part."""
        confidence, as_of, left_s = asked
        waiting = [self._batcher.ask_bulk(Unread(message, confidence, as_of), left_s) for message in calls]
        try:
            await asyncio.wait(waiting)
        except asyncio.CancelledError:  # the client went away: nothing of it needs to be resolved
            for answer in waiting:
                answer.cancel()
            raise
        for message, item in zip(calls, waiting, strict=True):
            result = response.results.add()
            if (fault := item.exception()) is not None:
                write_call_error(fault, result.error)
            else:
                given = item.result()
                write_answer(given.answered, given.number, message.call_id, result.estimate)


# Calls of a batch that are asked and written between two looks at other requests: 2 ms at 50 us a call.
CHUNK = 32


def write_call_error(error: BaseException, message: location_service_pb2.CallError) -> None:
    """Set why one call of a batch has no answer.

    Raises
    ------
    LocsvcError
        When the error is about the whole batch: its deadline, or data that is not mapped.
    """
    if isinstance(error, InvalidInput):
        message.code = grpc.StatusCode.INVALID_ARGUMENT.value[0]
        message.message = str(error)
        for violation in error.violations[:MAX_CALL_VIOLATIONS]:
            message.violations.add(field=violation.field, description=violation.description)
        return
    if isinstance(error, LocsvcError) and meaning_of(error).grpc_status != "INTERNAL":
        raise error
    logs.tell_fault("BatchResolveLocations", error)
    message.code = grpc.StatusCode.INTERNAL.value[0]
    message.message = "the call met a fault of the server; it is in the server's log"
