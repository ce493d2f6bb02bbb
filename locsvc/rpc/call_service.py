"""CallService: live calls on the wire."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc

from locsvc.calls.asked import GoingAway
from locsvc.calls.dated import dated, undated
from locsvc.calls.words import LookUp
from locsvc.errors import LocsvcError
from locsvc.rpc.convert.estimates import write_estimate
from locsvc.rpc.convert.live import read_add, read_call_id, read_watch, write_kept, write_record, write_update
from locsvc.rpc.convert.violations import not_a_message
from locsvc.rpc.services import fail
from locsvc.rpc.status import abort_with, reason_status, status_of
from locsvc.v1 import call_service_pb2 as messages
from locsvc.v1 import call_service_pb2_grpc

if TYPE_CHECKING:
    from typing import NoReturn

    from locsvc.calls.live import LiveCalls

    Context = grpc.aio.ServicerContext[Any, Any]

_Request = TypeVar("_Request")
_Reply = TypeVar("_Reply")

# Of messages in one request: a fifth of a millisecond a message of the common size.
READ_AT_ONCE_BYTES: Final = 8_192
REMEDY = (
    "it needs a journal: start the server with --journal and a file or postgresql:// URL, "
    "or send the whole call to LocationService.ResolveLocation"
)


def who_asks(context: Context) -> str:
    """The common name in the client's certificate, where it had to show one; else its address."""
    for name in context.auth_context().get("x509_common_name", ()):
        return name.decode("utf-8", "replace")
    return str(context.peer())


class CallService(call_service_pb2_grpc.CallServiceServicer):
    """Answers from `calls`, which the server sets when the journal is open.

    Parameters
    ----------
    calls
        None while there are none.
    closed
        Why there are none; None: without a journal the service is not served.
    """

    def __init__(self) -> None:
        self.calls: LiveCalls | None = None
        self.closed: LocsvcError | None = None

    async def AddEvidence(  # noqa: N802 - the contract's name
        self, request: messages.AddEvidenceRequest | None, context: Context
    ) -> messages.AddEvidenceResponse:
        """What became of evidence, when it is safe on disk."""

        async def add(calls: LiveCalls, request: messages.AddEvidenceRequest) -> messages.AddEvidenceResponse:
            arrival = read_add(request, calls.now())
            # Long messages, or many, are read where they hold up nobody.
            short = undated(arrival) <= READ_AT_ONCE_BYTES
            kept = await calls.add(dated(arrival) if short else await asyncio.to_thread(dated, arrival))
            response = messages.AddEvidenceResponse()
            write_kept(kept, response)
            return response

        return await self._answer(add, request, context, "AddEvidence")

    async def WatchLocation(  # type: ignore[override]  # noqa: N802 - it writes to its context
        self, request: messages.WatchLocationRequest | None, context: Context
    ) -> None:
        """The estimate as it is, then each change."""

        async def watch(calls: LiveCalls, request: messages.WatchLocationRequest) -> None:
            asked = read_watch(request)
            self._look(calls, context, "WatchLocation", asked.call_id, asked.calling_number)
            async with contextlib.aclosing(calls.watch(asked)) as updates:
                async for update in updates:
                    response = messages.WatchLocationResponse()
                    write_update(update, response)
                    await context.write(response)

        await self._answer(watch, request, context, "WatchLocation")

    async def GetCall(  # noqa: N802 - the contract's name
        self, request: messages.GetCallRequest | None, context: Context
    ) -> messages.GetCallResponse:
        """Everything that arrived and every estimate given."""

        async def get(calls: LiveCalls, request: messages.GetCallRequest) -> messages.GetCallResponse:
            call_id = read_call_id(request)
            self._look(calls, context, "GetCall", call_id)
            record, given = await calls.get(call_id)
            response = messages.GetCallResponse()
            await asyncio.to_thread(write_record, record, given, response)
            return response

        return await self._answer(get, request, context, "GetCall")

    async def EndCall(  # noqa: N802 - the contract's name
        self, request: messages.EndCallRequest | None, context: Context
    ) -> messages.EndCallResponse:
        """The last estimate."""

        async def end(calls: LiveCalls, request: messages.EndCallRequest) -> messages.EndCallResponse:
            call_id = read_call_id(request)
            self._look(calls, context, "EndCall", call_id)
            estimate = await calls.end(call_id)
            response = messages.EndCallResponse()
            write_estimate(estimate, response.estimate)
            return response

        return await self._answer(end, request, context, "EndCall")

    def look(self, context: Context, method: str, calling_number: str) -> None:
        """Put into the audit who asked for a number elsewhere; without a journal there is none."""
        if self.calls is not None:
            self._look(self.calls, context, method, "", calling_number)

    def _look(self, calls: LiveCalls, context: Context, method: str, call_id: str, calling_number: str = "") -> None:
        calls.journal.look(LookUp(calls.now(), who_asks(context), method, call_id, calling_number))

    async def _answer(
        self,
        answer: Callable[[LiveCalls, _Request], Awaitable[_Reply]],
        request: _Request | None,
        context: Context,
        method: str,
    ) -> _Reply:
        calls = self.calls
        if calls is None:
            await self._abort_unserved(context, method)
        try:
            if request is None:
                raise not_a_message(method)
            return await answer(calls, request)
        except GoingAway as error:
            await abort_with(context, status_of(error, after_revision=str(error.after_revision)))
        except Exception as error:  # noqa: BLE001 - every error becomes a status
            await fail(context, error, method)

    async def _abort_unserved(self, context: Context, method: str) -> NoReturn:
        if self.closed is not None:
            await abort_with(context, status_of(self.closed))
        message = f"CallService.{method} is not served here; {REMEDY}"
        await abort_with(context, reason_status(grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED", message))
