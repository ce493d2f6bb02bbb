"""How the processes that share a journal tell each other of changes."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from locsvc.calls.databases import Database, SqliteDatabase
from locsvc.calls.schema import changes

Changed = tuple[str, int]
# Wakes can be lost: so often each process looks for itself.
LOOK_EVERY_S: Final = 1.0
# Calls whose revision is remembered, so that one change is told once: two minutes of the heaviest load.
_REMEMBERED: Final = 100_000
# A datagram, and a NOTIFY, hold a few kilobytes.
_IDS_AT_ONCE: Final = 40
_LONGEST_PATH: Final = 100


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
        # An address has at most 107 bytes; a longer path is found through the open directory.
        return path if len(path.encode()) <= _LONGEST_PATH else f"/proc/self/fd/{self._handle}/{name}"

    def ring(self, changed: Sequence[Changed]) -> None:
        others = [name for name in os.listdir(self._directory) if name != self._name]
        for first in range(0, len(changed), _IDS_AT_ONCE) if others else ():
            words = json.dumps(changed[first : first + _IDS_AT_ONCE]).encode()
            for name in others:
                self._send(name, words)

    def _send(self, name: str, words: bytes) -> None:
        try:
            self._sender.sendto(words, self._address(name))
        except ConnectionRefusedError:
            # Its process is gone.
            with contextlib.suppress(OSError):
                os.unlink(self._address(name))
        except OSError:
            # Full: its process looks for itself within a second.
            pass

    def wait(self, timeout_s: float) -> Iterable[Changed]:
        self._socket.settimeout(timeout_s)
        try:
            words = self._socket.recv(1 << 16)
        except TimeoutError:
            return ()
        return [(str(call_id), int(revision)) for call_id, revision in json.loads(words or b"[]")]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.unlink(self._address(self._name))
        for one in (self._socket, self._sender):
            one.close()
        os.close(self._handle)


def bell_of(database: Database) -> Bell:
    """The way of wakes that goes with a database."""
    if isinstance(database, SqliteDatabase):
        return SocketBell(database.file.with_name(database.file.name + ".wakes"))
    from locsvc.calls.postgres import NotifyBell, PostgresDatabase

    assert isinstance(database, PostgresDatabase)
    return NotifyBell(database)


class Wakes:
    """Tells of each change by other processes once, from a thread of its own.

    Parameters
    ----------
    tell
        Called with a call and its revision; 0 when the call is gone.
    """

    def __init__(self, database: Database, tell: Callable[[str, int], None]) -> None:
        self._database = database
        self._bell = bell_of(database)
        self._tell = tell
        self._known: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        with database.engine.connect() as connection:
            self._horizon = database.horizon(connection)
        self._thread = threading.Thread(target=self._run, name="journal-wakes", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def committed(self, changed: Sequence[Changed]) -> None:
        """Tell the other processes what this one has changed."""
        for call_id, revision in changed:
            self._is_new(call_id, revision)
        with contextlib.suppress(OSError):
            self._bell.ring(changed)

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(2.0)
        self._bell.close()

    def _run(self) -> None:
        look_at = time.monotonic() + LOOK_EVERY_S
        while not self._ended.is_set():
            with contextlib.suppress(OSError, ValueError):
                self._hear(self._bell.wait(min(0.2, max(0.0, look_at - time.monotonic()))))
            if time.monotonic() >= look_at:
                with contextlib.suppress(sa.exc.SQLAlchemyError):
                    self._hear(self._look())
                look_at = time.monotonic() + LOOK_EVERY_S

    def _look(self) -> list[Changed]:
        newer = sa.select(changes.c.call_id, sa.func.max(changes.c.revision)).where(changes.c.position >= self._horizon)
        with self._database.engine.connect() as connection:
            # Before the question: what is written between the two is asked for again, and known then.
            horizon = self._database.horizon(connection)
            found = [(row[0], row[1]) for row in connection.execute(newer.group_by(changes.c.call_id))]
        self._horizon = horizon
        return found

    def _hear(self, changed: Iterable[Changed]) -> None:
        for call_id, revision in changed:
            if self._is_new(call_id, revision):
                self._tell(call_id, revision)

    def _is_new(self, call_id: str, revision: int) -> bool:
        with self._lock:
            if revision == 0:
                self._known.pop(call_id, None)
                return True
            if self._known.get(call_id, 0) >= revision:
                return False
            self._known[call_id] = revision
            self._known.move_to_end(call_id)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
            return True
