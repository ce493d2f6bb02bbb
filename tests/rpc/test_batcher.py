"""Rounds of the batcher: what is taken together, in which order, and what is not computed at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from locsvc.errors import DeadlineExceeded, Overloaded, Unavailable
from locsvc.model import Call
from locsvc.reference.store import Reference
from locsvc.resolver import Begun, Resolver
from locsvc.resolver.answered import Answered
from locsvc.rpc.batcher import BULK_ROUND, Answer, Batcher
from locsvc.rpc.convert.requests import Question


class Recorder(Resolver):
    """The real resolver without data, which remembers its rounds."""

    def __init__(self) -> None:
        super().__init__(Reference.empty())
        self.rounds: list[list[str]] = []
        self.asked: list[tuple[list[float], list[float | None]]] = []

    def begin(self, calls: Sequence[Call], *, confidences: Sequence[float], as_of: Sequence[float | None]) -> Begun:
        self.rounds.append([c.call_id for c in calls])
        self.asked.append((list(confidences), list(as_of)))
        begun = super().begin(calls, confidences=confidences, as_of=as_of)
        return Poisoned(begun) if any(c.call_id == "poison" for c in calls) else begun


class Poisoned(Begun):
    """Calls whose fusion meets a fault, as one of them does in the thread."""

    def __init__(self, begun: Begun) -> None:
        self.begun = begun

    def fuse(self) -> None:
        raise ZeroDivisionError

    def end(self) -> Answered:
        return self.begun.end()


def question(name: str, confidence: float = 0.9, as_of: float | None = None) -> Question:
    return Question(Call(name), confidence, as_of)


async def test_what_waits_is_one_round_each_with_its_own_question() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder)
    answers = [batcher.ask(question(f"{n}", 0.5 + n / 100, float(n))) for n in range(10)]
    given = [await a for a in answers]
    assert [g.number for g in given] == list(range(10))
    assert [g.answered.confidences[g.number] for g in given] == [0.5 + n / 100 for n in range(10)]
    assert [g.answered.now[g.number] for g in given] == [float(n) for n in range(10)]
    assert recorder.rounds == [[f"{n}" for n in range(10)]]
    assert recorder.asked == [([0.5 + n / 100 for n in range(10)], [float(n) for n in range(10)])]
    assert (batcher.rounds, batcher.resolved, batcher.waiting) == (1, 10, 0)


async def test_a_round_is_bounded_and_live_calls_go_before_batches() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder, fuse_at_most=64)
    batcher.reserve(200)
    bulk = [batcher.ask_bulk(question(f"bulk-{n}")) for n in range(200)]
    live = [batcher.ask(question(f"live-{n}")) for n in range(70)]
    await asyncio.gather(*bulk, *live)
    assert recorder.rounds[0] == [f"live-{n}" for n in range(64)]
    assert recorder.rounds[1][:6] == [f"live-{n}" for n in range(64, 70)]
    assert all(len(r) <= BULK_ROUND for r in recorder.rounds[1:])
    assert sum(map(len, recorder.rounds)) == 270


async def test_a_live_call_waits_for_one_round_of_a_batch_at_most() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder)
    bulk = [batcher.ask_bulk(question(f"bulk-{n}")) for n in range(500)]
    await bulk[0]
    before = len(recorder.rounds)
    await batcher.ask(question("live"))
    place = next(n for n, r in enumerate(recorder.rounds) if "live" in r)
    assert place <= before + 1
    await asyncio.gather(*bulk)


async def test_a_fault_is_given_to_the_call_that_makes_it() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder)
    answers = [batcher.ask(question(name)) for name in ("a", "poison", "b")]
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert [type(o) for o in outcomes] == [Answer, ZeroDivisionError, Answer]
    # The loop and the queue live on.
    assert (await batcher.ask(question("c", 0.7))).answered.confidences == [0.7]
    assert recorder.rounds == [["a", "poison", "b"], ["a"], ["poison"], ["b"], ["c"]]


async def test_late_and_abandoned_questions_are_not_computed() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder)
    late, gone, good = (batcher.ask(question(n), left) for n, left in (("late", -0.001), ("gone", 5.0), ("good", 5.0)))
    gone.cancel()
    with pytest.raises(DeadlineExceeded):
        await late
    await good
    assert recorder.rounds == [["good"]]


async def test_bounds_of_the_queue() -> None:
    batcher = Batcher(Recorder(), max_waiting=2, max_bulk=5)
    waiting = [batcher.ask(question("a")), batcher.ask(question("b"))]
    with pytest.raises(Overloaded):
        batcher.ask(question("c"))
    await asyncio.gather(*waiting)
    await batcher.ask(question("c"))
    batcher.reserve(3)
    with pytest.raises(Overloaded):
        batcher.reserve(3)
    batcher.release(3)
    batcher.reserve(5)


async def test_no_data_yet() -> None:
    with pytest.raises(Unavailable):
        Batcher(None).ask(question("a"))


async def test_the_resolver_is_exchanged_between_rounds() -> None:
    first, second = Recorder(), Recorder()
    batcher = Batcher(first)
    await batcher.ask(question("a"))
    waiting = batcher.ask(question("b"))
    batcher.resolver = second
    await waiting
    assert (first.rounds, second.rounds) == ([["a"]], [["b"]])
