"""Requests that wait together are fused together.

One consumer takes whatever has arrived at that moment, without waiting for more, reads it into one table of evidence
and hands that to the resolver as one array call. Reading and explaining run on the event loop; the fusion between them
is kernels, which let go of the interpreter, and runs in a thread beside it. What arrives meanwhile is the next round:
it is read when it is as large as the one that the thread has, or the thread is free, so that loop and thread work side
by side (docs/decisions).

Single calls go first; calls of batches fill the rest of a round, so that a batch of a thousand never stands in the way
of a live call for longer than one round.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from locsvc.errors import InvalidInput, Overloaded, Unavailable
from locsvc.resolver.filling import TableBuilder
from locsvc.rpc.waiting import RETRY_AFTER_S, TOO_MANY, Waiting, first_of, may_follow, next_wanted

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.resolver.answered import Answered
    from locsvc.resolver.table import EvidenceTable

    Floats = npt.NDArray[np.float64]

# Calls of batches in one round at most: about 3 ms of work, which is the longest that they make a live call wait.
BULK_ROUND = 32

# So few calls are fused on the loop: the way to the thread and back costs as much.
FEW_CALLS = 2

# gRPC hands over what it held one request at a time, a few tens of microseconds apart. It has handed over all when
# nothing has come for a tenth of what the last round took of the loop, within bounds: the wait costs a tenth at most,
# and a round that starts too early costs the whole of a round. Only a round that follows another one waits; a request
# that finds the server idle is resolved at once. A round follows when it comes within the length of the last one, in
# which the answers of that one are being sent and the next requests come in return.
QUIET_SHARE = 0.1
LEAST_QUIET_S = 300e-6
MOST_QUIET_S = 2e-3
LEAST_FOLLOWS_S = 2e-3


class Begins(Protocol):
    """Calls on their way through the resolver."""

    def fuse(self) -> None:
        """The long part, without the interpreter for most of its time."""
        ...

    def end(self) -> Answered:
        """The answers."""
        ...


class Resolves(Protocol):
    """What the batcher needs of a resolver."""

    def begin(self, table: EvidenceTable, confidences: Floats, as_of: Floats) -> Begins:
        """The calls of a table with their evidence looked up."""
        ...


class Asks(Protocol):
    """A call with what is asked about it."""

    @property
    def confidence(self) -> float:
        """Of the answer."""
        ...

    @property
    def as_of(self) -> float | None:
        """Time to answer for; None: the newest time of the call."""
        ...

    def put(self, table: TableBuilder) -> None:
        """Adds the call's evidence to a table; raises `InvalidInput`, with the table as it was, when it is refused."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the answers of a round."""

    answered: Answered
    number: int


_Asked = Waiting[Asks, Answer]


class Batcher:
    """The queue in front of the resolver; it lives on one event loop."""

    def __init__(
        self, resolver: Resolves | None, *, fuse_at_most: int = 64, max_waiting: int = 1_000, max_bulk: int = 10_000
    ) -> None:
        self.resolver = resolver
        self.rounds = 0
        self.resolved = 0
        self._fuse_at_most = fuse_at_most
        self._max_waiting = max_waiting
        self._max_bulk = max_bulk
        self._live: deque[_Asked] = deque()
        self._bulk: deque[_Asked] = deque()
        self._bulk_reserved = 0
        self._scheduled = False
        # Sizes of the rounds that the thread has.
        self._out: deque[int] = deque()
        self._seen = 0
        self._grown_s = 0.0
        self._ended_s = 0.0
        self._quiet_s = LEAST_QUIET_S
        self._follows_s = LEAST_FOLLOWS_S
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "fuse")

    def close(self) -> None:
        """Let the thread go, and the data."""
        self._thread.shutdown(wait=False)
        self.resolver = None

    @property
    def waiting(self) -> int:
        """Questions in the queue."""
        return len(self._live) + len(self._bulk)

    def ask(self, question: Asks, remaining_s: float | None = None) -> asyncio.Future[Answer]:
        """The answer to one live call, to be awaited; `remaining_s` is what the client's deadline leaves.

        Raises
        ------
        Overloaded
            When as many calls wait as may.
        Unavailable
            While no data is mapped.
        """
        if len(self._live) >= self._max_waiting:
            raise Overloaded(TOO_MANY, RETRY_AFTER_S)
        return self._put(self._live, question, remaining_s)

    def reserve(self, count: int) -> None:
        """Make room for `count` calls of a batch, to be given back with `release`.

        Raises
        ------
        Overloaded
            When the batches under way leave no room.
        """
        if self._bulk_reserved + count > self._max_bulk:
            msg = "the server has as many batches under way as it takes; try again after the delay in RetryInfo"
            raise Overloaded(msg, 4 * RETRY_AFTER_S)
        self._bulk_reserved += count

    def release(self, count: int) -> None:
        """Give back the room of a batch."""
        self._bulk_reserved -= count

    def ask_bulk(self, question: Asks, remaining_s: float | None = None) -> asyncio.Future[Answer]:
        """The answer to one call of a batch that has reserved its room.

        Raises
        ------
        Unavailable
            While no data is mapped.
        """
        return self._put(self._bulk, question, remaining_s)

    def _put(self, queue: deque[_Asked], question: Asks, remaining_s: float | None) -> asyncio.Future[Answer]:
        if self.resolver is None:
            msg = "the reference data is not mapped yet; try again in a second, or watch the health service"
            raise Unavailable(msg)
        loop = self._loop
        answer: asyncio.Future[Answer] = loop.create_future()
        queue.append(Waiting(question, None if remaining_s is None else loop.time() + remaining_s, answer))
        if not self._scheduled and self._may_start():
            self._schedule()
        return answer

    def _may_start(self) -> bool:
        """Whether what waits is worth a round now: beside one that is being fused, when it is as large."""
        return not self._out or may_follow(self.waiting, len(self._out), self._out[-1])

    def _schedule(self) -> None:
        """Begin a round soon: at once when the server was idle, else when gRPC has handed over all that it held."""
        self._scheduled = True
        self._seen = 0
        follows = self._loop.time() - self._ended_s < self._follows_s
        self._loop.call_soon(self._gather if follows and not self._out else self._start)

    def _gather(self) -> None:
        """Start the round when nothing more comes; called by the loop at each of its turns."""
        waiting = self.waiting
        now_s = self._loop.time()
        if waiting > self._seen:
            self._seen = waiting
            self._grown_s = now_s
        if waiting >= self._fuse_at_most or now_s - self._grown_s >= self._quiet_s:
            self._start()
        else:
            self._loop.call_soon(self._gather)

    def _start(self) -> None:
        """Begin a round of what waits now; called by the loop when a round may begin."""
        self._scheduled = False
        began_s = self._loop.time()
        taken: list[_Asked] = []
        # Of two halves one is fused while the loop reads the other, and answers it while the first is next.
        most = self._fuse_at_most if self._out else first_of(self.waiting, self._fuse_at_most)
        self._take(self._live, taken, most)
        self._take(self._bulk, taken, min(most, max(len(taken), BULK_ROUND)))
        if not taken:
            return
        try:
            begun = self._begin(taken)
            if begun is None:
                pass
            elif len(taken) <= FEW_CALLS and not self._out:
                begun.fuse()
                self._finish(taken, begun)
                self._ended(began_s)
            else:
                fused = self._loop.run_in_executor(self._thread, begun.fuse)
                self._out.append(len(taken))
                fused.add_done_callback(lambda done: self._fused(taken, begun, began_s, done))
        except Exception as error:  # noqa: BLE001 - each waiting request gets the fault, and the loop lives on
            self._answer_alone(taken, error)
        if self.waiting and not self._scheduled and self._may_start():
            self._schedule()

    def _ended(self, began_s: float) -> None:
        """Remember how long a round took, for what follows it."""
        self._ended_s = self._loop.time()
        took_s = self._ended_s - began_s
        self._quiet_s = min(max(LEAST_QUIET_S, QUIET_SHARE * took_s), MOST_QUIET_S)
        self._follows_s = max(LEAST_FOLLOWS_S, took_s)

    def _fused(self, taken: list[_Asked], begun: Begins, began_s: float, done: asyncio.Future[None]) -> None:
        """Answer a round; rounds come back in the order in which they were given to the thread."""
        self._out.popleft()
        self._ended(began_s)
        if done.cancelled():
            return
        try:
            fault = done.exception()
            if fault is not None:
                raise fault
            self._finish(taken, begun)
        except Exception as error:  # noqa: BLE001 - as in _start
            self._answer_alone(taken, error)
        if self.waiting and not self._scheduled and self._may_start():
            self._schedule()

    def _take(self, queue: deque[_Asked], taken: list[_Asked], most: int) -> None:
        now_s = self._loop.time()
        while len(taken) < most and (waiting := next_wanted(queue, now_s)) is not None:
            taken.append(waiting)

    def _begin(self, taken: list[_Asked]) -> Begins | None:
        """The questions read into one table, None when all are refused: these have their errors, and leave `taken`."""
        resolver = self.resolver
        if resolver is None:
            msg = "the reference data is not mapped any more; try again"
            raise Unavailable(msg)
        table = TableBuilder()
        taken[:] = [w for w in taken if _is_put(w, table)]
        if not taken:
            return None
        self.rounds += 1
        self.resolved += len(taken)
        asked = [w.question for w in taken]
        # Times that are None become NaN.
        return resolver.begin(
            table.table(), np.array([q.confidence for q in asked]), np.array([q.as_of for q in asked], np.float64)
        )

    def _finish(self, taken: list[_Asked], begun: Begins) -> None:
        answered = begun.end()
        for number, waiting in enumerate(taken):
            if not waiting.answer.done():
                waiting.answer.set_result(Answer(answered, number))

    def _answer_alone(self, taken: list[_Asked], error: Exception) -> None:
        """Resolve each call by itself after a fault, so that one call cannot spoil the others' answers."""
        for waiting in taken:
            if waiting.answer.done():
                continue
            if len(taken) == 1:
                waiting.answer.set_exception(error)
                continue
            try:
                begun = self._begin([waiting])
                if begun is not None:
                    begun.fuse()
                    self._finish([waiting], begun)
            except Exception as fault:  # noqa: BLE001 - as in _start
                waiting.answer.set_exception(fault)


def _is_put(waiting: _Asked, table: TableBuilder) -> bool:
    """Whether the question is in the table now; one that is refused has its error."""
    try:
        waiting.question.put(table)
    except InvalidInput as error:
        waiting.answer.set_exception(error)
        return False
    return True
