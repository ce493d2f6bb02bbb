"""What a worker and the process beside it send each other: pickles, each behind its length in four bytes."""

from __future__ import annotations

import pickle
from struct import Struct
from typing import TYPE_CHECKING, BinaryIO

from locsvc.errors import FieldViolation

if TYPE_CHECKING:
    from collections.abc import Iterator

_LENGTH = Struct("!I")

# To the process: its settings first, then rounds (the requests as they came) and snapshots to open (their ids).
Round = list[bytes]
# One request's answer: the reply's bytes, what is wrong with the request, or None for a fault, which is in the log.
Reply = bytes | tuple[FieldViolation, ...] | None
# From the process: the id of a snapshot that is in force there now, or its CPU seconds so far with a round's replies.
Replies = tuple[float, list[Reply]]


def frame(said: object) -> bytes:
    """The bytes of a message.

    >>> len(frame([]))
    9
    """
    content = pickle.dumps(said, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(content)) + content


def receive(stream: BinaryIO) -> object:
    """The next message of a stream, None at its end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    content = stream.read(length)
    return pickle.loads(content) if len(content) == length else None  # noqa: S301 - from our own process


def whole(received: bytearray) -> Iterator[object]:
    """The messages that are whole by now; what is left of `received` is the beginning of the next one.

    >>> received = bytearray(frame("a") + frame("b")[:-1])
    >>> list(whole(received)), len(received) == len(frame("b")) - 1
    (['a'], True)
    """
    at = 0
    while len(received) - at >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(received, at)
        end = at + _LENGTH.size + length
        if len(received) < end:
            break
        yield pickle.loads(memoryview(received)[at + _LENGTH.size : end])  # noqa: S301 - from our own process
        at = end
    del received[:at]
