"""The life of the process beside a worker: started, heard, started again when it dies, let go."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import structlog

from locsvc.rpc.frames import frame, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from locsvc.rpc.settings import ServerSettings

log = structlog.get_logger("locsvc.rpc")

# A process that dies is started again at once, then after twice the time for each death within a minute.
FIRST_DELAY_S, LONGEST_DELAY_S, CALM_S = 0.1, 60.0, 60.0
# How long it may take to end by itself when it is let go; a round takes some milliseconds, opening a snapshot a second.
END_S = 5.0


class Companion(asyncio.Protocol):
    """The process, and the worker's end of the socket to it.

    Parameters
    ----------
    settings
        What the process is told first.
    heard
        Takes each thing that it says.
    lost
        Is called when it is gone, unless it was let go.
    """

    def __init__(self, settings: ServerSettings, heard: Callable[[object], None], lost: Callable[[], None]) -> None:
        self._settings = settings
        self._heard = heard
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._process: subprocess.Popen[bytes] | None = None
        self._link: asyncio.Transport | None = None
        self._received = bytearray()
        self._began_s = 0.0
        self._delay_s = FIRST_DELAY_S
        self._starting: asyncio.Task[None] | None = None
        self._ending = False

    @property
    def process_id(self) -> int | None:
        """Of the process that runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process; it is heard when it has something to say."""
        self._starting = self._loop.create_task(self._start(0.0))

    async def _start(self, delay_s: float) -> None:
        while True:
            await asyncio.sleep(delay_s)
            self._began_s = self._loop.time()
            try:
                return await self._connect()
            except OSError as error:
                log.error(  # noqa: TRY400 - no fault of the code: no traceback
                    "resolver_process_not_started", problem=error.strerror, remedy="the worker resolves by itself"
                )
            delay_s = self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)

    async def _connect(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                command = [sys.executable, "-m", "locsvc.rpc.resolving", str(theirs.fileno())]
                # Its words are in the log on stderr; stdout is the worker's own.
                self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - some milliseconds; our own module
                    command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
                )
            ours.setblocking(False)
            await self._loop.create_unix_connection(lambda: self, sock=ours)
        except BaseException:
            ours.close()
            raise

    def say(self, said: object) -> None:
        """Send the process a message; one that is gone does not get it."""
        if self._link is not None:
            self._link.write(frame(said))

    def kill(self) -> None:
        """End the process at once; another one is started."""
        if self._process is not None:
            self._process.kill()

    async def close(self) -> None:
        """Let the process go, and wait for its end."""
        self._ending = True
        if self._starting is not None:
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._starting
        if self._link is not None:
            self._link.close()
        await self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process is there: it is told its settings."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a stream socket has
        self._link = transport
        self._received.clear()
        self.say(self._settings)

    def data_received(self, content: bytes) -> None:
        """Pass on what the process says."""
        self._received += content
        for said in whole(self._received):
            self._heard(said)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the library's name
        """The process is gone: another one is started, after a while."""
        self._link = None
        if self._ending:
            return
        lived_s = self._loop.time() - self._began_s
        self._delay_s = FIRST_DELAY_S if lived_s > CALM_S else min(2 * self._delay_s, LONGEST_DELAY_S)
        self._lost()
        self._starting = self._loop.create_task(self._replace())

    async def _replace(self) -> None:
        log.error(
            "resolver_process_died",
            exit_code=await self._end(),
            remedy="the worker resolves by itself until it is started again",
        )
        await self._start(self._delay_s)

    async def _end(self) -> int | None:
        """The exit code of the process, whose socket is closed: it has ended or is about to, or it is killed."""
        process = self._process
        if process is None:
            return None
        try:
            return await asyncio.to_thread(process.wait, END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
