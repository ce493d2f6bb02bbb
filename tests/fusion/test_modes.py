"""Peaks of a posterior: which leaves belong together, beside the plain way of finding it."""

from __future__ import annotations

import math

import numpy as np

from locsvc.fusion.modes import TOUCH, VALLEY, put_modes


def flooded(mass: list[float], area_m2: list[float], place: list[complex]) -> list[int]:
    """The densest leaf of each leaf's peak: every pair is measured."""
    peak = list(range(len(mass)))
    for i in range(len(mass)):
        reach = [TOUCH * (math.sqrt(area_m2[i] / math.pi) + math.sqrt(a / math.pi)) for a in area_m2[:i]]
        near = {peak[j] for j in range(i) if abs(place[i] - place[j]) <= reach[j]}
        if not near:
            continue
        highest = min(near)
        ground = mass[i] / area_m2[i]
        merged = {p for p in near if mass[p] / area_m2[p] < VALLEY * ground} | {highest}
        for j in range(i):
            peak[j] = highest if peak[j] in merged else peak[j]
        peak[i] = highest
    return peak


def test_leaves_belong_together_as_when_every_pair_is_measured(rng: np.random.Generator) -> None:
    several = 0
    for n in (1, 7, 8, 9, 60, 150):
        middle = rng.uniform(-2_000, 2_000, 5) + 1j * rng.uniform(-2_000, 2_000, 5)
        place = middle[rng.integers(0, 5, n)] + rng.normal(0, 150, n) + 1j * rng.normal(0, 150, n)
        area = (10.0 * 7.0 ** rng.integers(2, 5, n)).astype(np.float64)
        density = np.sort(rng.gamma(0.3, 1.0, n))[::-1] + 1e-6
        mass = (density * area / (density * area).sum()).astype(np.float64)
        of_leaf = np.empty(n, np.int64)
        found = put_modes(mass, area, place.real.copy(), place.imag.copy(), n, n, of_leaf)
        peak = np.array(flooded(mass.tolist(), area.tolist(), place.tolist()))
        if found == 1 and (of_leaf == 0).all():
            continue
        several += 1
        for number in range(found):
            own = np.flatnonzero(of_leaf == number)
            assert len(set(peak[own])) == 1
            assert np.array_equal(own, np.flatnonzero(peak == peak[own[0]]))
    assert several >= 3
