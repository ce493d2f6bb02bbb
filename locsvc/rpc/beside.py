"""The queue before the process that resolves beside a worker, so that gRPC and the resolver share no interpreter.

The worker hands the process the requests of ResolveLocation as they came, in rounds: all that wait at a moment, while
at most two rounds are out, so that one is there when the other is answered. Until the process is ready, after it was
killed or hung, and while the worker has another snapshot in force, the worker resolves by itself (docs/decisions).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, cast

import structlog

from locsvc.errors import InvalidInput, LocsvcError, Overloaded
from locsvc.rpc.companion import Companion
from locsvc.rpc.waiting import RETRY_AFTER_S, TOO_MANY, Waiting, first_of, may_follow, next_wanted

if TYPE_CHECKING:
    from locsvc.rpc.frames import Replies, Reply
    from locsvc.rpc.settings import ServerSettings

log = structlog.get_logger("locsvc.rpc")

# A round is complete with so many bytes, however few its requests are.
MOST_BYTES = 1 << 24

# A round takes some milliseconds. A process that is stopped, or stuck, must not take a call's twenty seconds.
HANGS_S = 3.0

# When a process that has another snapshot in force than the worker is asked again to open the newest.
REMIND_S = 1.0


class ProcessLost(LocsvcError):  # noqa: N818 - named for what is wrong, as its siblings
    """The process is gone, or not ready: the worker resolves by itself."""


_Asked = Waiting[bytes, bytes]


class Beside:
    """Requests on their way to the process and back; it lives on one event loop."""

    def __init__(self, settings: ServerSettings) -> None:
        self.rounds = 0
        self.resolved = 0
        # CPU seconds of the process, and of those before it.
        self.cpu_s = self._cpu_before_s = 0.0
        # Set while the process has the same snapshot in force as the worker.
        self.serving = asyncio.Event()
        self.process = Companion(settings, self._hear, self._lose)
        self._max_waiting, self._fuse_at_most = settings.max_waiting, settings.fuse_at_most
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Asked] = deque()
        self._out: deque[list[_Asked]] = deque()
        self._scheduled = False
        # Snapshots in force in the worker and in the process; None: not known yet.
        self._here: str | None = None
        self._there: str | None = None

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    def follow(self, snapshot_id: str) -> None:
        """Take note of the snapshot that the worker has in force now; the process opens it too."""
        self._here = snapshot_id
        self._remind()
        self._compare()

    def ask(self, content: bytes, remaining_s: float | None = None) -> asyncio.Future[bytes]:
        """The reply to one request, to be awaited; `remaining_s` is what the client's deadline leaves.

        The future holds `InvalidInput`, `DeadlineExceeded`, `ProcessLost`, or `LocsvcError` after a fault.

        Raises
        ------
        ProcessLost
            While there is none, or it has another snapshot in force than the worker.
        Overloaded
            When as many requests wait as may.
        """
        if not self.serving.is_set():
            raise ProcessLost("no process resolves beside the worker at the moment")
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(TOO_MANY, RETRY_AFTER_S)
        deadline_s = None if remaining_s is None else self._loop.time() + remaining_s
        reply: asyncio.Future[bytes] = self._loop.create_future()
        self._waiting.append(Waiting(content, deadline_s, reply))
        self._schedule()
        return reply

    def _schedule(self) -> None:
        """Send a round at the loop's next turn, when there is one to send."""
        if not self._scheduled and self._may_send():
            self._scheduled = True
            self._loop.call_soon(self._send)

    def _may_send(self) -> bool:
        """Whether what waits is worth a round: beside one that is out, when it is as large."""
        waiting = len(self._waiting)
        return waiting > 0 and (not self._out or may_follow(waiting, len(self._out), len(self._out[-1])))

    def _send(self) -> None:
        self._scheduled = False
        if not self._may_send():
            return
        taken = self._take()
        if taken:
            self._out.append(taken)
            self.rounds += 1
            self.resolved += len(taken)
            self.process.say([asked.question for asked in taken])
            self._loop.call_later(HANGS_S, self._look_after, taken)
        self._schedule()

    def _take(self) -> list[_Asked]:
        """The requests of the next round, without those that nobody waits for any more."""
        # Of two halves one is resolved while the replies of the other are sent.
        most = self._fuse_at_most if self._out else first_of(len(self._waiting), self._fuse_at_most)
        now_s = self._loop.time()
        taken: list[_Asked] = []
        size = 0
        while len(taken) < most and size < MOST_BYTES and (asked := next_wanted(self._waiting, now_s)) is not None:
            taken.append(asked)
            size += len(asked.question)
        return taken

    def _look_after(self, taken: list[_Asked]) -> None:
        """End a process that has not answered a round for so long: the worker resolves what it has."""
        if any(each is taken for each in self._out):
            log.error("resolver_process_hangs", seconds=HANGS_S, remedy="it is ended, and started again")
            self.process.kill()

    def _hear(self, said: object) -> None:
        """Take replies, or the snapshot that the process has in force now."""
        if isinstance(said, str):
            self._there = said
            self._compare()
            if self._here is not None and said != self._here:
                self._loop.call_later(REMIND_S, self._remind)
            return
        cpu_s, replies = cast("Replies", said)
        self.cpu_s = self._cpu_before_s + cpu_s
        answered = self._out.popleft()
        # The next round first: giving out replies takes as long as a third of it.
        self._send()
        for asked, reply in zip(answered, replies, strict=True):
            if not asked.answer.done():
                _give(asked.answer, reply)

    def _remind(self) -> None:
        if self._there is not None and self._here is not None and self._there != self._here:
            self.process.say(self._here)

    def _lose(self) -> None:
        """Give back what the process had."""
        self._there = None
        self._cpu_before_s = self.cpu_s
        self._compare()
        under_way = [asked for taken in self._out for asked in taken] + list(self._waiting)
        self._out.clear()
        self._waiting.clear()
        for asked in under_way:
            if not asked.answer.done():
                asked.answer.set_exception(ProcessLost("the process that resolves is gone; try again"))

    def _compare(self) -> None:
        if self._there is not None and self._here == self._there:
            self.serving.set()
        else:
            self.serving.clear()


def _give(future: asyncio.Future[bytes], reply: Reply) -> None:
    if isinstance(reply, bytes):
        future.set_result(reply)
    elif reply is None:
        future.set_exception(LocsvcError("ResolveLocation met a fault of the server; it is in the server's log"))
    else:
        future.set_exception(InvalidInput(reply))
