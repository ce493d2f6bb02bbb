"""The stream of a live call, as a client reads it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self, cast

import grpc

from locsvc.errors import Unavailable
from locsvc.rpc.status import error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from locsvc.v1.call_service_pb2 import WatchLocationResponse


class Watch:
    """The messages of a watched call, one after the other; `locsvc.rpc.convert.updates.read_update` puts them in words.

    One thread reads; any may cancel, which ends the reading without an error.

    Parameters
    ----------
    stream
        The call of the RPC.
    """

    def __init__(self, stream: Iterator[WatchLocationResponse]) -> None:
        self._stream = stream
        self._cancelled = threading.Event()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> WatchLocationResponse:
        """The next message.

        Raises
        ------
        StopIteration
            The call has ended, or the reading was cancelled.
        LocsvcError
            The class that stands for the server's status; after `Unavailable` a new watch after the last revision goes
            on without a gap.
        """
        try:
            return next(self._stream)
        except grpc.RpcError as error:
            if self._cancelled.is_set():
                raise StopIteration from None
            # A server that is stopped cancels its streams; another, or the next, goes on with them.
            if cast("grpc.Call", error).code() is grpc.StatusCode.CANCELLED:
                raise Unavailable("the server ended the stream") from error
            raise error_of(error) from error

    def cancel(self) -> None:
        """End the reading."""
        self._cancelled.set()
        cast("grpc.Call", self._stream).cancel()
