"""What waits for a round, in the worker or for the process beside it: who still wants an answer, and when it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from locsvc.errors import DeadlineExceeded

if TYPE_CHECKING:
    import asyncio
    from collections import deque

Question = TypeVar("Question")
Answer = TypeVar("Answer")

# Rounds under way at most: the one that is resolved, and the next; and how many calls are not worth being parted.
MOST_OUT, WHOLE_ROUND = 2, 16

# What a shed client is told to wait: a round of 64 calls takes 5 to 10 ms, so the queue is gone by then.
RETRY_AFTER_S = 0.25
TOO_MANY = "the server has as many requests waiting as it takes; try again after the delay in RetryInfo"


@dataclass(slots=True)
class Waiting(Generic[Question, Answer]):
    """A question in a queue, with the loop time after which nobody wants the answer (None: it is always wanted)."""

    question: Question
    deadline_s: float | None
    answer: asyncio.Future[Answer]


def next_wanted(queue: deque[Waiting[Question, Answer]], now_s: float) -> Waiting[Question, Answer] | None:
    """The first in the queue that somebody waits for, taken out; who is late is told so, who went away is left out."""
    while queue:
        waiting = queue.popleft()
        if waiting.answer.done():  # the client went away
            continue
        if waiting.deadline_s is not None and waiting.deadline_s <= now_s:
            msg = "the deadline passed before the call was resolved; give more time"
            waiting.answer.set_exception(DeadlineExceeded(msg))
            continue
        return waiting
    return None


def may_follow(waiting: int, out: int, last: int) -> bool:
    """Whether what waits is worth a round beside `out` that are under way: when it is as large as the last of them.

    >>> may_follow(20, 1, 20), may_follow(19, 1, 20), may_follow(64, 2, 20)
    (True, False, False)
    """
    return out < MOST_OUT and waiting >= last


def first_of(waiting: int, most: int) -> int:
    """How large a round is that goes when none is under way: one of two halves, so that there is always a next one.

    >>> first_of(16, 64), first_of(41, 64), first_of(1000, 64)
    (64, 21, 64)
    """
    return min(most, (waiting + 1) // 2) if waiting > WHOLE_ROUND else most
