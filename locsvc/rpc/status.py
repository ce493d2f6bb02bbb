"""Errors as rich gRPC statuses, and back.

Every error carries `google.rpc.ErrorInfo` (AIP-193); a bad request carries `BadRequest` with the fields, overload
carries `RetryInfo`. Messages and details never hold numbers, names or coordinates of callers.
"""

from __future__ import annotations

from typing import Any, NoReturn, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from locsvc.errors import (
    MEANINGS,
    BadData,
    ConfigError,
    DeadlineExceeded,
    FieldViolation,
    InvalidInput,
    LocsvcError,
    NotFound,
    Overloaded,
    Unauthenticated,
    Unavailable,
    meaning_of,
)

DOMAIN = "locsvc.v1"
DETAILS_KEY = "grpc-status-details-bin"

# Peers take about 8 KiB of metadata, base64 makes 4/3 of the details, and the message repeats a part of them.
MAX_DETAIL_BYTES = 4_000
_SHOWN_IN_MESSAGE = 3


def status_of(error: LocsvcError, **metadata: str) -> status_pb2.Status:
    """The rich status of an error; of very many violations as many as fit in 4 kB, with their number in the metadata.

    >>> status_of(NotFound("no such cell")).code
    5
    """
    meaning = meaning_of(error)
    reason = error_details_pb2.ErrorInfo(reason=meaning.reason, domain=DOMAIN, metadata=metadata)
    status = status_pb2.Status(code=code_pb2.Code.Value(meaning.grpc_status), message=str(error))
    if isinstance(error, InvalidInput):
        bad, status.message = _bad_request(error)
        reason.metadata["violations"] = str(len(error.violations))
        reason.metadata["shown"] = str(len(bad.field_violations))
        status.details.add().Pack(reason)
        status.details.add().Pack(bad)
        return status
    status.details.add().Pack(reason)
    if isinstance(error, Overloaded):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after_s * 1_000))
        status.details.add().Pack(retry)
    return status


def _bad_request(error: InvalidInput) -> tuple[error_details_pb2.BadRequest, str]:
    bad = error_details_pb2.BadRequest()
    left = MAX_DETAIL_BYTES
    for violation in error.violations:
        left -= len(violation.field) + len(violation.description) + 8
        if left < 0 and bad.field_violations:
            break
        bad.field_violations.add(field=violation.field, description=violation.description)
    shown = "; ".join(f"{v.field}: {v.description}" for v in error.violations[:_SHOWN_IN_MESSAGE])
    more = len(error.violations) - _SHOWN_IN_MESSAGE
    return bad, shown + (f"; and {more} more" if more > 0 else "")


CODES = {code.value[0]: code for code in grpc.StatusCode}


def reason_status(code: grpc.StatusCode, reason: str, message: str) -> status_pb2.Status:
    """A status with an `ErrorInfo`, for what has no class of its own."""
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN))
    return status


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: LocsvcError) -> NoReturn:
    """End the RPC with the rich status of `error`."""
    await abort_with(context, status_of(error))


async def abort_with(context: grpc.aio.ServicerContext[Any, Any], status: status_pb2.Status) -> NoReturn:
    """End the RPC with a rich status."""
    await context.abort(
        CODES[status.code], status.message, trailing_metadata=((DETAILS_KEY, status.SerializeToString()),)
    )
    raise AssertionError  # abort raises; this tells the type checker so


_BY_REASON = {meaning.reason: error_class for error_class, meaning in MEANINGS.items()}
# For a status without a reason of ours: made by the gRPC library or by something between.
_BY_CODE: dict[grpc.StatusCode, type[LocsvcError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: BadData,
    grpc.StatusCode.FAILED_PRECONDITION: ConfigError,
    # A server without what the method needs, as a journal.
    grpc.StatusCode.UNIMPLEMENTED: ConfigError,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: Unauthenticated,
}


def error_of(error: grpc.RpcError) -> LocsvcError:
    """The error of `locsvc.errors` that a failed RPC stands for."""
    # The library's errors of blocking calls are calls too, which its types do not say.
    call = cast("grpc.Call", error)
    status = _details(call)
    reason, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in status.details:
        for wanted in (reason, bad, retry):
            detail.Unpack(wanted)
    text = call.details() or call.code().name
    error_class = _BY_REASON.get(reason.reason) if reason.domain == DOMAIN else None
    error_class = error_class or _BY_CODE.get(call.code(), LocsvcError)
    if error_class is InvalidInput:
        found = [FieldViolation(v.field, v.description) for v in bad.field_violations]
        return InvalidInput(found or [FieldViolation("request", text)])
    if error_class is Overloaded:
        return Overloaded(text, retry.retry_delay.ToMilliseconds() / 1_000 or 0.1)
    return error_class(text)


def _details(call: grpc.Call) -> status_pb2.Status:
    for key, value in call.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()
