"""Rounds of the batcher: what is taken together, in which order, and what is not computed at all."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from locsvc.errors import DeadlineExceeded, Overloaded, Unavailable
from locsvc.model import Call, LocationEstimate, Outcome, Trace
from locsvc.rpc.batcher import BULK_ROUND, Batcher
from locsvc.rpc.convert.requests import Question


class Recorder:
    """Answers each call with its name, and remembers its rounds."""

    def __init__(self) -> None:
        self.rounds: list[list[str]] = []
        self.asked: list[tuple[list[float], list[float | None]]] = []

    def resolve(
        self,
        calls: Sequence[Call],
        *,
        confidences: Sequence[float] | float = 0.9,
        as_of: Sequence[float | None] | None = None,
    ) -> list[LocationEstimate]:
        assert not isinstance(confidences, float)
        assert as_of is not None
        self.rounds.append([c.call_id for c in calls])
        self.asked.append((list(confidences), list(as_of)))
        if any(c.call_id == "poison" for c in calls):
            raise ZeroDivisionError
        return [LocationEstimate(Outcome.LOCATED, c.call_id, p) for c, p in zip(calls, confidences, strict=True)]

    def resolve_traced(
        self,
        calls: Sequence[Call],
        *,
        confidences: Sequence[float] | float = 0.9,
        as_of: Sequence[float | None] | None = None,
    ) -> list[tuple[LocationEstimate, Trace]]:
        return [(e, Trace((1,), (1.0,))) for e in self.resolve(calls, confidences=confidences, as_of=as_of)]


def question(name: str, confidence: float = 0.9, as_of: float | None = None, *, trace: bool = False) -> Question:
    return Question(Call(name), confidence, as_of, trace)


async def test_what_waits_is_one_round_each_with_its_own_question() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder)
    answers = [batcher.ask(question(f"{n}", 0.5 + n / 100, float(n))) for n in range(10)]
    estimates = [(await a)[0] for a in answers]
    assert [e.call_id for e in estimates] == [f"{n}" for n in range(10)]
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


async def test_traced_and_plain_calls_in_one_round() -> None:
    batcher = Batcher(Recorder())
    plain, traced = batcher.ask(question("a")), batcher.ask(question("b", trace=True))
    assert await plain == (LocationEstimate(Outcome.LOCATED, "a", 0.9), None)
    assert await traced == (LocationEstimate(Outcome.LOCATED, "b", 0.9), Trace((1,), (1.0,)))


async def test_a_fault_is_given_to_the_call_that_makes_it() -> None:
    batcher = Batcher(Recorder())
    answers = [batcher.ask(question(name)) for name in ("a", "poison", "b")]
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert [type(o) for o in outcomes] == [tuple, ZeroDivisionError, tuple]
    # The loop and the queue live on.
    assert (await batcher.ask(question("c")))[0].call_id == "c"


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
