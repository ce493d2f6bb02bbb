"""A call's answer is its own, to the last bit: alone, in any batch, in any order, in any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from locsvc.model import Call, LocationEstimate, Outcome, Trace
from locsvc.resolver import Resolver
from tests.resolver.calls import any_call

CALLS = 200


@pytest.fixture(scope="module")
def mixed() -> tuple[list[Call], list[float]]:
    """Two hundred calls of all kinds, and the confidence asked for each."""
    rng = np.random.default_rng(20261121)
    calls = [any_call(rng, f"call-{i}") for i in range(CALLS)]
    return calls, [float(c) for c in rng.choice([0.5, 0.68, 0.9, 0.95, 0.999], CALLS)]


@pytest.fixture(scope="module")
def alone(town: Resolver, mixed: tuple[list[Call], list[float]]) -> list[LocationEstimate]:
    """The answer to each call by itself."""
    return [town.resolve([call], confidences=wanted)[0] for call, wanted in zip(*mixed, strict=True)]


def test_the_calls_are_of_all_kinds(alone: list[LocationEstimate]) -> None:
    assert {answer.outcome for answer in alone} == {Outcome.LOCATED, Outcome.CONFLICT, Outcome.NO_LOCATION}
    radii = [answer.radius_m for answer in alone if answer.radius_m is not None]
    assert min(radii) < 20
    assert max(radii) > 100_000
    assert sum(bool(answer.alternatives) for answer in alone) > 5
    assert sum(len(answer.areas) > 1 for answer in alone) > 2


@pytest.mark.parametrize("size", [2, 7, 64, 200])
def test_answer_in_a_batch_is_the_answer_alone(
    town: Resolver, mixed: tuple[list[Call], list[float]], alone: list[LocationEstimate], size: int
) -> None:
    calls, confidences = mixed
    order = np.random.default_rng(size).permutation(CALLS).tolist()
    for start in range(0, CALLS, size):
        batch = order[start : start + size]
        answers = town.resolve([calls[i] for i in batch], confidences=[confidences[i] for i in batch])
        for i, answer in zip(batch, answers, strict=True):
            assert answer == alone[i], f"{calls[i]} beside {len(batch) - 1} others"


def test_tracing_changes_nothing(
    town: Resolver, mixed: tuple[list[Call], list[float]], alone: list[LocationEstimate]
) -> None:
    traced = town.resolve_traced(mixed[0], confidences=mixed[1])
    assert [answer for answer, _ in traced] == alone
    lone = [town.resolve_traced([c], confidences=[p])[0][1] for c, p in zip(*mixed, strict=True)]
    assert [trace for _, trace in traced] == lone


def test_trace_holds_the_posterior(town: Resolver, mixed: tuple[list[Call], list[float]]) -> None:
    for answer, trace in town.resolve_traced(mixed[0], confidences=mixed[1]):
        if answer.outcome is Outcome.NO_LOCATION:
            assert trace == Trace()
            continue
        assert len(set(trace.cells)) == len(trace.cells) == len(trace.masses)
        assert sum(trace.masses) <= 1 + 1e-9
        placed = [(c.evidence_id, c.part) for c in answer.contributions if c.distance_m is not None]
        outlined = [(o.evidence_id, o.part) for o in trace.outlines if o.evidence_id != "calling_number"]
        assert outlined == [p for p in placed if p[0] != "calling_number"]


def test_answers_are_the_same_in_threads(
    town: Resolver, mixed: tuple[list[Call], list[float]], alone: list[LocationEstimate]
) -> None:
    calls, confidences = mixed
    with ThreadPoolExecutor(4) as pool:
        waiting = [
            pool.submit(town.resolve, calls[start : start + 25], confidences=confidences[start : start + 25])
            for start in range(0, CALLS, 25)
        ]
    assert [answer for done in waiting for answer in done.result()] == alone
