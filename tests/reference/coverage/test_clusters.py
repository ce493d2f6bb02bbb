"""One identity in places far apart is several cells, whatever the order of its rows."""

from __future__ import annotations

import numpy as np
import pytest

from locsvc.geo import destination
from locsvc.reference.coverage.clusters import clusters
from locsvc.reference.coverage.grouped import ranked

METRES_PER_DEGREE = 111_320.0


def line(metres: list[float], lat: float = 52.0, lng: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Places eastwards of one another."""
    return destination(np.full(len(metres), lat), np.full(len(metres), lng), 90.0, np.array(metres))


@pytest.mark.parametrize("start_lng", [2.0, 179.99])
def test_a_gap_parts_and_a_chain_joins(start_lng: float) -> None:
    lat, lng = line([0, 900, 1800, 2700, 6000, 6500, 12_000], lng=start_lng)
    found = clusters(np.zeros(7, np.int64), lat, lng, np.array([1000.0]))
    assert found.tolist() == [0, 0, 0, 0, 1, 1, 2]


def test_groups_do_not_meet() -> None:
    lat, lng = line([0, 5000, 0, 5000, 5100])
    found = clusters(np.array([0, 0, 1, 1, 1]), lat, lng, np.array([1000.0, 20_000.0]))
    assert found.tolist() == [0, 1, 0, 0, 0]


def test_clusters_are_connected_components(rng: np.random.Generator) -> None:
    lat, lng = 52 + rng.uniform(0, 0.4, 300), 2 + rng.uniform(0, 0.5, 300)
    found = clusters(np.zeros(300, np.int64), lat, lng, np.array([1500.0]))
    east, north = np.cos(np.radians(52)) * lng * METRES_PER_DEGREE, lat * METRES_PER_DEGREE
    apart = np.hypot(east[:, None] - east, north[:, None] - north)
    same = found[:, None] == found
    # What lies within a square's side is joined; what is farther than three from all of another is not.
    assert same[apart < 1480].all()
    for number in range(found.max() + 1):
        inside = found == number
        if not inside.all():
            assert apart[np.ix_(inside, ~inside)].min() > 1480
    assert found.max() > 3
    # Numbers are by first rows.
    firsts = [int(np.flatnonzero(found == n)[0]) for n in range(found.max() + 1)]
    assert firsts == sorted(firsts)


def test_nothing() -> None:
    nothing = np.zeros(0)
    assert len(clusters(np.zeros(0, np.int64), nothing, nothing, nothing)) == 0


def test_ranked_is_the_weighted_median(rng: np.random.Generator) -> None:
    group = np.sort(rng.integers(0, 20, 500))
    group = np.unique(group, return_inverse=True)[1]
    value, weight = rng.normal(0, 1, 500), rng.integers(1, 5, 500).astype(float)
    for share in (0.5, 0.9, 1.0):
        found = ranked(group, value, weight, share)
        for number in range(group.max() + 1):
            repeated = np.sort(np.repeat(value[group == number], weight[group == number].astype(int)))
            assert found[number] == repeated[int(np.ceil(share * len(repeated) - 1e-9)) - 1]
