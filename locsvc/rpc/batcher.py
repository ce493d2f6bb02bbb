"""Requests that wait together are fused together.

One consumer takes whatever has arrived at that moment, without waiting for more, and hands it to the resolver as one
array call. It runs on the event loop: in a thread of its own it fought the loop for the interpreter, and throughput and
tails were worse (docs/decisions). While it runs, requests pile up inside gRPC, which hands them over one at a time, a
few tens of microseconds apart; so after a round the next one starts when no more come out, not at the first.

Single calls go first; calls of batches fill the rest of a round, so that a batch of a thousand never stands in the way
of a live call for longer than one round.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from locsvc.errors import DeadlineExceeded, Overloaded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locsvc.model import Call, LocationEstimate, Trace
    from locsvc.rpc.convert.requests import Question

# Calls of batches in one round at most: about 3 ms of work, which is the longest that they make a live call wait.
BULK_ROUND = 32

# gRPC has handed over what it held when nothing has come for a tenth of what the last round took, within bounds: the
# wait costs a tenth at most, and a round that starts too early costs the whole of a round. Only a round that follows
# another one waits; a request that finds the server idle is resolved at once. A round follows when it comes within the
# length of the last one, in which the answers of that one are being sent and the next requests come in return.
QUIET_SHARE = 0.1
LEAST_QUIET_S = 300e-6
MOST_QUIET_S = 2e-3
LEAST_FOLLOWS_S = 2e-3

# What a shed client is told to wait: a round of 64 calls takes 5 to 10 ms, so the queue is gone by then.
RETRY_AFTER_S = 0.25


class Resolves(Protocol):
    """What the batcher needs of a resolver."""

    def resolve(
        self,
        calls: Sequence[Call],
        *,
        confidences: Sequence[float] | float = ...,
        as_of: Sequence[float | None] | None = ...,
    ) -> list[LocationEstimate]:
        """One estimate a call."""
        ...

    def resolve_traced(
        self,
        calls: Sequence[Call],
        *,
        confidences: Sequence[float] | float = ...,
        as_of: Sequence[float | None] | None = ...,
    ) -> list[tuple[LocationEstimate, Trace]]:
        """One estimate a call, and how it came about."""
        ...


Answer = tuple["LocationEstimate", "Trace | None"]


@dataclass(slots=True)
class _Waiting:
    """A question in the queue, with the loop time after which nobody wants the answer."""

    question: Question
    deadline_s: float | None
    answer: asyncio.Future[Answer]


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
        self._live: deque[_Waiting] = deque()
        self._bulk: deque[_Waiting] = deque()
        self._bulk_reserved = 0
        self._scheduled = False
        self._seen = 0
        self._grown_s = 0.0
        self._ended_s = 0.0
        self._quiet_s = LEAST_QUIET_S
        self._follows_s = LEAST_FOLLOWS_S
        self._loop = asyncio.get_running_loop()

    @property
    def waiting(self) -> int:
        """Questions in the queue."""
        return len(self._live) + len(self._bulk)

    def ask(self, question: Question, remaining_s: float | None = None) -> asyncio.Future[Answer]:
        """The answer to one live call, to be awaited; `remaining_s` is what the client's deadline leaves.

        Raises
        ------
        Overloaded
            When as many calls wait as may.
        Unavailable
            While no data is mapped.
        """
        if len(self._live) >= self._max_waiting:
            msg = "the server has as many requests waiting as it takes; try again after the delay in RetryInfo"
            raise Overloaded(msg, RETRY_AFTER_S)
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

    def ask_bulk(self, question: Question, remaining_s: float | None = None) -> asyncio.Future[Answer]:
        """The answer to one call of a batch that has reserved its room.

        Raises
        ------
        Unavailable
            While no data is mapped.
        """
        return self._put(self._bulk, question, remaining_s)

    def _put(self, queue: deque[_Waiting], question: Question, remaining_s: float | None) -> asyncio.Future[Answer]:
        if self.resolver is None:
            msg = "the reference data is not mapped yet; try again in a second, or watch the health service"
            raise Unavailable(msg)
        loop = self._loop
        answer: asyncio.Future[Answer] = loop.create_future()
        queue.append(_Waiting(question, None if remaining_s is None else loop.time() + remaining_s, answer))
        if not self._scheduled:
            self._scheduled = True
            self._seen = 0
            loop.call_soon(self._gather if loop.time() - self._ended_s < self._follows_s else self._round)
        return answer

    def _gather(self) -> None:
        """Start the round when gRPC has handed over all that it held; called by the loop at each of its turns."""
        waiting = self.waiting
        now_s = self._loop.time()
        if waiting > self._seen:
            self._seen = waiting
            self._grown_s = now_s
        if waiting >= self._fuse_at_most or now_s - self._grown_s >= self._quiet_s:
            self._round()
        else:
            self._loop.call_soon(self._gather)

    def _round(self) -> None:
        """Resolve what waits now; called by the loop, once more as long as something waits."""
        began_s = self._loop.time()
        taken: list[_Waiting] = []
        self._take(self._live, taken, self._fuse_at_most)
        self._take(self._bulk, taken, min(self._fuse_at_most, max(len(taken), BULK_ROUND)))
        try:
            if taken:
                self._answer(taken)
        except Exception as error:  # noqa: BLE001 - each waiting request gets the fault, and the loop lives on
            self._answer_alone(taken, error)
        self._ended_s = self._loop.time()
        took_s = self._ended_s - began_s
        self._quiet_s = min(max(LEAST_QUIET_S, QUIET_SHARE * took_s), MOST_QUIET_S)
        self._follows_s = max(LEAST_FOLLOWS_S, took_s)
        self._seen = 0
        if self._live or self._bulk:
            self._loop.call_soon(self._gather)
        else:
            self._scheduled = False

    def _take(self, queue: deque[_Waiting], taken: list[_Waiting], most: int) -> None:
        now_s = self._loop.time()
        while queue and len(taken) < most:
            waiting = queue.popleft()
            if waiting.answer.done():  # the client went away
                continue
            if waiting.deadline_s is not None and waiting.deadline_s <= now_s:
                msg = "the deadline passed before the call was resolved; give more time"
                waiting.answer.set_exception(DeadlineExceeded(msg))
                continue
            taken.append(waiting)

    def _answer(self, taken: list[_Waiting]) -> None:
        resolver = self.resolver
        if resolver is None:
            msg = "the reference data is not mapped any more; try again"
            raise Unavailable(msg)
        self.rounds += 1
        self.resolved += len(taken)
        plain = [w for w in taken if not w.question.with_trace]
        if plain:
            estimates = resolver.resolve(
                [w.question.call for w in plain],
                confidences=[w.question.confidence for w in plain],
                as_of=[w.question.as_of for w in plain],
            )
            for waiting, estimate in zip(plain, estimates, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result((estimate, None))
        if len(plain) == len(taken):
            return
        traced = [w for w in taken if w.question.with_trace]
        answers = resolver.resolve_traced(
            [w.question.call for w in traced],
            confidences=[w.question.confidence for w in traced],
            as_of=[w.question.as_of for w in traced],
        )
        for waiting, answer in zip(traced, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    def _answer_alone(self, taken: list[_Waiting], error: Exception) -> None:
        """Resolve each call by itself after a fault, so that one call cannot spoil the others' answers."""
        for waiting in taken:
            if waiting.answer.done():
                continue
            if len(taken) == 1:
                waiting.answer.set_exception(error)
                continue
            try:
                self._answer([waiting])
            except Exception as fault:  # noqa: BLE001 - as in _round
                waiting.answer.set_exception(fault)
