"""Ways by which the processes that share a journal wake each other."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

# A call and its revision.
Changed = tuple[str, int]

# PostgreSQL's NOTIFY takes 7,999 bytes.
_MESSAGE_BYTES: Final = 6_000
# The address of a Unix socket has at most 107 bytes on Linux, 103 elsewhere.
_ADDRESS_BYTES: Final = 100


def in_messages(changed: Sequence[Changed]) -> Iterator[str]:
    """The changes as texts, each short enough to be sent.

    >>> list(in_messages([("c-1", 3), ("c-2", 1)]))
    ['[["c-1",3],["c-2",1]]']
    """
    some: list[str] = []
    size = 0
    for one in changed:
        text = json.dumps(one, ensure_ascii=False, separators=(",", ":"))
        length = len(text.encode()) + 1
        if some and size + length > _MESSAGE_BYTES:
            yield f"[{','.join(some)}]"
            some, size = [], 0
        some.append(text)
        size += length
    if some:
        yield f"[{','.join(some)}]"


def out_of_message(text: str) -> list[Changed]:
    """The changes that a text holds; nothing when it is none of ours."""
    try:
        return [(str(call_id), int(revision)) for call_id, revision in json.loads(text)]
    except (ValueError, TypeError):
        return []


class Bell(ABC):
    """Carries the names of changed calls to all other processes."""

    @abstractmethod
    def ring(self, changed: Sequence[Changed]) -> None:
        """Tell all others; lost wakes are no error."""

    @abstractmethod
    def wait(self, timeout_s: float) -> Iterable[Changed]:
        """What others told meanwhile; empty after the timeout."""

    @abstractmethod
    def close(self) -> None:
        """Be told no more."""


class SocketBell(Bell):
    """Unix datagram sockets, one of each process, in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)
        self._handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind(self._address(self._name))
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sender.setblocking(False)

    def _address(self, name: str) -> str:
        path = str(self._directory / name)
        # A longer path is found through the open directory.
        return path if len(path.encode()) <= _ADDRESS_BYTES else f"/proc/self/fd/{self._handle}/{name}"

    def ring(self, changed: Sequence[Changed]) -> None:
        """Send to the socket of each other process, without waiting for any."""
        others = [name for name in os.listdir(self._handle) if name != self._name]  # noqa: PTH208 - an open one
        for words in in_messages(changed) if others else ():
            for name in others:
                self._send(name, words.encode())

    def _send(self, name: str, words: bytes) -> None:
        try:
            self._sender.sendto(words, self._address(name))
        except ConnectionRefusedError:
            # Its process is gone.
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._handle)
        except OSError:
            # Full: its process looks for itself within a second.
            pass

    def wait(self, timeout_s: float) -> Iterable[Changed]:
        """What one datagram said."""
        self._socket.settimeout(timeout_s)
        try:
            return out_of_message(self._socket.recv(1 << 16).decode())
        except TimeoutError:
            return ()

    def close(self) -> None:
        """Take the socket away."""
        with contextlib.suppress(OSError):
            os.unlink(self._name, dir_fd=self._handle)
        for one in (self._socket, self._sender):
            one.close()
        os.close(self._handle)
