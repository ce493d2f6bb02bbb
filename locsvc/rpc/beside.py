"""The queue before the process that resolves beside a worker, so that gRPC and the resolver share no interpreter.

The worker hands the process the requests of ResolveLocation as they came, in rounds: all that wait at a moment, while
at most two rounds are out, so that one is there when the other is answered. Until the process is ready, after it was
killed, and while the worker has another snapshot in force than it, the worker resolves by itself (docs/decisions).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from locsvc.errors import DeadlineExceeded, InvalidInput, LocsvcError, Overloaded
from locsvc.rpc.batcher import PASSED, RETRY_AFTER_S, TOO_MANY, WHOLE_ROUND
from locsvc.rpc.companion import Companion

if TYPE_CHECKING:
    from locsvc.rpc.frames import Answered, Reply
    from locsvc.rpc.settings import ServerSettings

# Rounds that the process has at most: the one that it resolves, and the next.
MOST_OUT = 2

# A round is complete with so many bytes, however few its requests are.
MOST_BYTES = 1 << 24

# When a process that has another snapshot in force than the worker is asked again to open the newest.
REMIND_S = 1.0


class ProcessLost(LocsvcError):  # noqa: N818 - named for what is wrong, as its siblings
    """The process is gone, or not ready: the worker resolves by itself."""


@dataclass(slots=True)
class _Asked:
    """A request that waits, with the loop time after which nobody wants the reply."""

    content: bytes
    deadline_s: float | None
    reply: asyncio.Future[bytes]


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
        asked = _Asked(content, deadline_s, self._loop.create_future())
        self._waiting.append(asked)
        self._schedule()
        return asked.reply

    def _schedule(self) -> None:
        """Send a round at the loop's next turn, when there is one to send."""
        if not self._scheduled and self._may_send():
            self._scheduled = True
            self._loop.call_soon(self._send)

    def _may_send(self) -> bool:
        """Whether what waits is worth a round: beside one that is out, when it is as large."""
        waiting = len(self._waiting)
        return waiting > 0 and (not self._out or (len(self._out) < MOST_OUT and waiting >= len(self._out[-1])))

    def _send(self) -> None:
        self._scheduled = False
        if not self._may_send():
            return
        taken = self._take()
        if taken:
            self._out.append(taken)
            self.rounds += 1
            self.resolved += len(taken)
            self.process.say([asked.content for asked in taken])
        self._schedule()

    def _take(self) -> list[_Asked]:
        """The requests of the next round, without those that nobody waits for any more."""
        most = self._fuse_at_most
        if not self._out and len(self._waiting) > WHOLE_ROUND:
            # Two halves: while one is resolved, the replies of the other are sent.
            most = min(most, (len(self._waiting) + 1) // 2)
        now_s = self._loop.time()
        taken: list[_Asked] = []
        size = 0
        while self._waiting and len(taken) < most and size < MOST_BYTES:
            asked = self._waiting.popleft()
            if asked.reply.done():  # the client went away
                continue
            if asked.deadline_s is not None and asked.deadline_s <= now_s:
                asked.reply.set_exception(DeadlineExceeded(PASSED))
                continue
            taken.append(asked)
            size += len(asked.content)
        return taken

    def _hear(self, said: object) -> None:
        """Take replies, or the snapshot that the process has in force now."""
        if isinstance(said, str):
            self._there = said
            self._compare()
            if self._here is not None and said != self._here:
                self._loop.call_later(REMIND_S, self._remind)
            return
        cpu_s, replies = cast("Answered", said)
        self.cpu_s = self._cpu_before_s + cpu_s
        answered = self._out.popleft()
        # The next round first: giving out replies takes as long as a third of it.
        self._send()
        for asked, reply in zip(answered, replies, strict=True):
            if not asked.reply.done():
                _give(asked.reply, reply)

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
            if not asked.reply.done():
                asked.reply.set_exception(ProcessLost("the process that resolves is gone; try again"))

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
