"""The core in one kernel is the core step by step, whether there is room for all calls or not."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from locsvc.evaluate.simulate import FAMILIES
from locsvc.fusion import grid
from locsvc.fusion.agreement import Agreement, agreement_of
from locsvc.fusion.fuse import Fusing
from locsvc.fusion.grid import Found, locate
from locsvc.fusion.parameters import Parameters
from locsvc.fusion.region import Answers, CompactCells, Modes, answer, compact
from tests.fusion.pieces import gathered

CALLS = 40


def equal(one: object, other: object) -> None:
    assert type(one) is type(other)
    if isinstance(one, Agreement | Answers | CompactCells | Modes):
        for f in fields(one):
            equal(getattr(one, f.name), getattr(other, f.name))
    else:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("room", [grid.FOUND_ROOM, grid.ROOM + 500])
def test_one_kernel_or_many(parameters: Parameters, rng: np.random.Generator, room: int) -> None:
    calls = np.arange(CALLS)
    made = [m for k, maker in enumerate(FAMILIES.values()) for m in maker(rng, calls[k :: len(FAMILIES)], parameters)]
    densities, wanted = gathered(made), rng.choice([0.5, 0.9, 0.95], CALLS)
    kept = grid.room_of_thread()
    before = kept.found
    kept.found = Found(np.empty(room, np.uint64), np.empty(room), np.empty(room), np.empty((room, 3)))
    try:
        fusing = Fusing(densities, CALLS, wanted)
        fusing.run()
        got = fusing.result()
    finally:
        kept.found = before
    posterior = locate(densities, CALLS, wanted)
    answers = answer(posterior, wanted)
    for name in ("cell", "mass", "area_m2", "starts", "call"):
        equal(getattr(got.posterior.leaves, name), getattr(posterior.leaves, name))
    equal(got.answers, answers)
    equal(got.region, compact(posterior.leaves, answers.region_leaves))
    equal(got.agreement, agreement_of(posterior))
