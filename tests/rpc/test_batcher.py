"""Rounds of the batcher: what is taken together, in which order, and what is not computed at all."""

from __future__ import annotations

import asyncio

import numpy as np
import numpy.typing as npt
import pytest

from locsvc.errors import DeadlineExceeded, InvalidInput, Overloaded, Unavailable
from locsvc.model import Call, Evidence
from locsvc.reference.store import Reference
from locsvc.resolver import Begun, Resolver
from locsvc.resolver.answered import Answered
from locsvc.resolver.table import EvidenceTable
from locsvc.rpc.batcher import BULK_ROUND, Answer, Asks, Batcher
from locsvc.rpc.convert.requests import Question, Unread
from locsvc.v1 import call_pb2

Floats = npt.NDArray[np.float64]


class Recorder(Resolver):
    """The real resolver without data, which remembers its rounds."""

    def __init__(self) -> None:
        super().__init__(Reference.empty())
        self.rounds: list[list[str]] = []
        self.asked: list[tuple[list[float], list[float]]] = []

    def begin(self, table: EvidenceTable, confidences: Floats, as_of: Floats) -> Begun:
        self.rounds.append(list(table.names))
        self.asked.append((confidences.tolist(), as_of.tolist()))
        begun = super().begin(table, confidences, as_of)
        return Poisoned(begun) if "poison" in table.names else begun


class Poisoned(Begun):
    """Calls whose fusion meets a fault, as one of them does in the thread."""

    def __init__(self, begun: Begun) -> None:
        self.begun = begun

    def fuse(self) -> None:
        raise ZeroDivisionError

    def end(self) -> Answered:
        return self.begun.end()


def question(name: str, confidence: float = 0.9, as_of: float | None = None) -> Question:
    """A question whose call has one piece of evidence, of the same name."""
    return Question(Call(name, evidence=(Evidence(evidence_id=name),)), confidence, as_of)


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


async def test_a_call_that_is_refused_costs_itself_alone() -> None:
    recorder = Recorder()
    batcher = Batcher(recorder)
    wrong = call_pb2.Call(call_id="wrong")
    wrong.evidence.add(evidence_id="right").cell_scan.serving.mcc = "001"
    wrong.evidence.add(evidence_id="wrong").device_report.confidence = 68.0
    asked: list[Asks] = [question("a"), Unread(wrong, 0.9, None, "call."), question("b", 0.7)]
    outcomes = await asyncio.gather(*map(batcher.ask, asked), return_exceptions=True)
    assert [type(o) for o in outcomes] == [Answer, InvalidInput, Answer]
    assert isinstance(outcomes[1], InvalidInput)
    assert [v.field for v in outcomes[1].violations] == ["call.evidence[1].device_report.confidence"]
    assert isinstance(outcomes[2], Answer)
    assert outcomes[2].answered.confidences[outcomes[2].number] == 0.7
    # Nothing of it is in the round of the others, and a round of nothing but refused calls is none.
    assert recorder.rounds == [["a", "b"]]
    with pytest.raises(InvalidInput):
        await batcher.ask(Unread(wrong, 0.9, None))
    assert (recorder.rounds, batcher.rounds, batcher.resolved) == ([["a", "b"]], 1, 2)


async def test_a_refused_call_beside_a_fault_keeps_its_own_error() -> None:
    batcher = Batcher(Recorder())
    wrong = call_pb2.Call(call_id="x" * 129)
    asked: list[Asks] = [question("poison"), Unread(wrong, 0.9, None), question("a"), question("b")]
    outcomes = await asyncio.gather(*map(batcher.ask, asked), return_exceptions=True)
    assert [type(o) for o in outcomes] == [ZeroDivisionError, InvalidInput, Answer, Answer]


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
