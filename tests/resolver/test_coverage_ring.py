"""Cells beside cells, compared with the library, and what rows give to them."""

from __future__ import annotations

import h3.api.numpy_int as h3
import numpy as np
import pytest

from locsvc.compiled import compiled
from locsvc.reference.coverage.tallies import REGION
from locsvc.resolver.coverage_mass import PENTAGONS
from locsvc.resolver.coverage_ring import LEAST_SHARE, MOST_GIVING, neighbour, put_rings

LOW = (1 << 52) - 1


@compiled
def beside(cell: int) -> list[int]:
    """All six."""
    return [neighbour(cell, step) for step in range(1, 7)]


def rings(key: list[int], count: list[float], share: float) -> dict[int, float]:
    """Cells and what they hold, with room enough."""
    order = np.argsort(np.array(key) & LOW)
    room = len(key) + 6 * min(len(key), MOST_GIVING)
    cells, held = np.empty(room, np.int64), np.empty(room)
    n = put_rings(np.array(key, np.int64)[order], np.array(count)[order], share, cells, held)
    assert (np.diff(cells[:n] & LOW) > 0).all()
    return dict(zip(cells[:n].tolist(), held[:n].tolist(), strict=True))


@pytest.mark.parametrize("resolution", [9, 11, 12, 14])
def test_neighbours_are_the_librarys(resolution: int, rng: np.random.Generator) -> None:
    left_out = 0
    for _ in range(300):
        lat, lng = np.degrees(np.arcsin(rng.uniform(-1, 1))), rng.uniform(-180, 180)
        cell = int(h3.latlng_to_cell(lat, lng, resolution))
        region = h3.cell_to_parent(cell, REGION)
        around = {int(c) for c in h3.grid_disk(cell, 1)} - {cell}
        inside = {c for c in around if h3.cell_to_parent(c, REGION) == region}
        found = {c for c in beside(cell) if c >= 0}
        if h3.get_base_cell_number(cell) in PENTAGONS:
            assert not found
        else:
            assert found == inside
        left_out += len(around) - len(found)
    # Most cells have all of their neighbours: nothing but borders of regions and pentagons are left out.
    assert left_out < 0.2 * 6 * 300


def test_a_row_gives_to_the_six_beside_it() -> None:
    cell = int(h3.latlng_to_cell(52.0, -1.0, 11))
    around = [int(c) for c in h3.grid_ring(cell, 1)]
    alone = rings([cell], [2.0], 0.3)
    assert alone == pytest.approx({cell: 1.4} | dict.fromkeys(around, 0.1))
    # Of two side by side each gives to the other, and two cells are beside both.
    both = rings([cell, around[0]], [2.0, 2.0], 0.3)
    assert len(both) == 10
    assert both[cell] == pytest.approx(1.5)
    assert sorted(both.values())[-4:] == pytest.approx([0.2, 0.2, 1.5, 1.5])
    assert sum(both.values()) == pytest.approx(4.0)


def test_sums_stay_and_little_is_not_given(rng: np.random.Generator) -> None:
    near = [int(c) for c in h3.grid_disk(h3.latlng_to_cell(52.0, -1.0, 11), 20)]
    key = rng.choice(near, 400, replace=False).tolist()
    count = rng.gamma(0.2, 1.0, 400) + 1e-9
    found = rings(key, count.tolist(), 0.18)
    assert sum(found.values()) == pytest.approx(count.sum())
    giving = [k for k, c in zip(key, count.tolist(), strict=True) if c > LEAST_SHARE * count.sum()]
    assert 0 < len(giving) < 400
    assert set(found) == set(key).union(*(map(int, h3.grid_disk(k, 1)) for k in giving))
    assert rings(key, count.tolist(), 0.0) == dict(zip(key, count.tolist(), strict=True))


def test_many_rows_of_one_count_have_room() -> None:
    key = [int(c) for c in h3.grid_disk(h3.latlng_to_cell(52.0, -1.0, 11), 25)]
    assert len(key) > MOST_GIVING
    found = rings(key, [1.0] * len(key), 0.18)
    assert sum(found.values()) == pytest.approx(len(key))


def test_bins_of_other_resolutions_stay_apart() -> None:
    """A region whose bins are coarser: nothing is given across its border, or one bin would lie within another."""
    region = int(h3.latlng_to_cell(52.0, -1.0, REGION))
    other = int(h3.grid_ring(region, 1)[0])
    edge = next(
        int(c)
        for c in h3.cell_to_children(region, 10)
        if any(h3.cell_to_parent(n, REGION) == other for n in h3.grid_ring(c, 1))
    )
    coarse = [int(c) for c in h3.cell_to_children(other, 8)]
    found = rings([edge, *coarse], [1.0] * (1 + len(coarse)), 0.18)
    for cell in found:
        above = [h3.cell_to_parent(cell, r) for r in range(REGION, h3.get_resolution(cell))]
        assert not set(map(int, above)) & set(found)
