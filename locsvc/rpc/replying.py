"""ResolveLocation from bytes to bytes, for many requests at once: what the process beside a worker does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from google.protobuf.message import DecodeError

from locsvc.errors import InvalidInput
from locsvc.resolver.filling import TableBuilder
from locsvc.resolver.outlines import trace_of
from locsvc.rpc import logs
from locsvc.rpc.convert.answers import write_answer
from locsvc.rpc.convert.estimates import write_trace
from locsvc.rpc.convert.requests import ask_resolve
from locsvc.rpc.convert.violations import not_a_message
from locsvc.v1.location_service_pb2 import ResolveLocationRequest, ResolveLocationResponse

if TYPE_CHECKING:
    from locsvc.resolver import Resolver
    from locsvc.resolver.answered import Answered
    from locsvc.rpc.convert.requests import Unread
    from locsvc.rpc.frames import Reply, Round

METHOD = "ResolveLocation"

_parsed = ResolveLocationRequest.FromString


def request_of(content: bytes) -> ResolveLocationRequest:
    """The request in the bytes.

    Raises
    ------
    InvalidInput
        When they are none.
    """
    try:
        return _parsed(content)
    except DecodeError:
        raise not_a_message(METHOD) from None


def reply_to(request: ResolveLocationRequest, answered: Answered, number: int) -> bytes:
    """The reply with one of the answers."""
    response = ResolveLocationResponse()
    write_answer(answered, number, request.call.call_id, response.estimate)
    if request.with_trace and response.estimate.HasField("position"):
        write_trace(trace_of(answered, number), response.trace)
    return response.SerializeToString()


def replies_to(resolver: Resolver, contents: Round) -> list[Reply]:
    """A reply for each request, resolved as one array; one that is wrong or meets a fault costs the others nothing."""
    try:
        return _together(resolver, contents)
    except Exception as error:  # noqa: BLE001 - a round of one is the one that meets it
        if len(contents) == 1:
            logs.tell_fault(METHOD, error)
            return [None]
        return [replies_to(resolver, [content])[0] for content in contents]


def _together(resolver: Resolver, contents: Round) -> list[Reply]:
    replies: list[Reply] = [None] * len(contents)
    table = TableBuilder()
    asked: list[tuple[int, ResolveLocationRequest, Unread]] = []
    for i, content in enumerate(contents):
        try:
            request = request_of(content)
            question = ask_resolve(request)
            question.put(table)
        except InvalidInput as error:
            replies[i] = error.violations
        else:
            asked.append((i, request, question))
    if not asked:
        return replies
    confidences = np.array([question.confidence for _, _, question in asked])
    # Times that are None become NaN.
    begun = resolver.begin(table.table(), confidences, np.array([q.as_of for _, _, q in asked], np.float64))
    begun.fuse()
    answered = begun.end()
    for number, (i, request, _) in enumerate(asked):
        replies[i] = reply_to(request, answered, number)
    return replies
