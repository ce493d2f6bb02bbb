"""Masses of H3 cells from what bins count, compared with the library's own parents and children."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np
import pytest

from locsvc.fusion.parameters import Parameters
from locsvc.reference.calibration import read_calibration
from locsvc.reference.coverage.files import R_ADVANCE, R_LEVEL, R_QUALITY, R_VISITS, ROW_WIDTH
from locsvc.resolver.coverage_mass import Fit, fit_of, put_counts, put_masses

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

LOW = (1 << 52) - 1


@pytest.fixture(scope="module")
def fit() -> Fit:
    """The shipped numbers."""
    return fit_of(Parameters.from_mapping(read_calibration(None)[0]))


def masses(key: Ints, count: Floats, fit: Fit) -> tuple[Ints, Floats]:
    """Cells and masses, with room enough."""
    bins, mass = np.empty(60 * len(key) + 100, np.int64), np.empty(60 * len(key) + 100)
    n = put_masses(key, count, float(count.sum()), fit, bins, mass)
    assert n > 0
    return bins[:n], mass[:n]


def density(place: int, key: Ints, count: Floats, fit: Fit) -> float:
    """Mass of a finest cell as the formula says, by the library."""
    resolution = h3.get_resolution(place)
    shares = {resolution: 1.0, resolution - 1: fit.parent_share, resolution - 2: fit.grandparent_share}
    total = 0.0
    for r, share in shares.items():
        own = h3.cell_to_parent(place, r)
        held = sum(c for k, c in zip(key.tolist(), count.tolist(), strict=True) if h3.cell_to_parent(k, r) == own)
        total += share * held / 7.0 ** (resolution - r)
    return float(total / (count.sum() * sum(shares.values())))


@pytest.mark.parametrize("resolution", [11, 9])
def test_masses_are_those_of_the_formula(resolution: int, fit: Fit, rng: np.random.Generator) -> None:
    centre = h3.latlng_to_cell(rng.uniform(-60, 60), rng.uniform(-180, 180), resolution)
    near = h3.grid_disk(centre, 12)
    key = np.sort(rng.choice(near, 40, replace=False)).astype(np.int64)
    count = rng.gamma(0.3, 1.0, 40) + 1e-4
    whole = fit._replace(split_parent_share=0.0, split_grandparent_share=0.0)
    bins, mass = masses(key, count, whole)
    assert mass.sum() == pytest.approx(1.0)
    assert (np.diff(bins & LOW) > 0).all()
    for cell, m in zip(bins.tolist(), mass.tolist(), strict=True):
        places = [int(c) for c in h3.cell_to_children(cell, resolution)]
        assert m == pytest.approx(sum(density(p, key, count, whole) for p in places))
        # What lies below one cell is the same everywhere, or it would have been told apart.
        assert len(places) == 1 or not set(places) & set(key.tolist())


def test_what_holds_little_is_not_told_apart(fit: Fit, rng: np.random.Generator) -> None:
    near = h3.grid_disk(h3.latlng_to_cell(52.0, -1.0, 11), 20)
    key = np.sort(rng.choice(near, 400, replace=False)).astype(np.int64)
    count = rng.gamma(0.1, 1.0, 400) + 1e-6
    few, whole = masses(key, count, fit), masses(key, count, fit._replace(split_parent_share=0.0))
    assert len(few[0]) < 0.7 * len(whole[0])
    assert few[1].sum() == pytest.approx(1.0)
    # No cell is lost: each bin is in one of those that are left, alone or with others.
    left = set(few[0].tolist())
    for k in key.tolist():
        assert sum(int(h3.cell_to_parent(k, r)) in left for r in range(8, 12)) == 1


def test_bins_of_several_resolutions(fit: Fit, rng: np.random.Generator) -> None:
    """A cell heard at very many places of a region is kept on coarser ones there."""
    region = h3.latlng_to_cell(52.0, -1.0, 5)
    beside, other = (int(c) for c in h3.grid_ring(region, 1)[:2])
    fine = rng.choice(h3.cell_to_children(region, 11), 10, replace=False)
    coarse = rng.choice(h3.cell_to_children(beside, 9), 10, replace=False)
    key = np.concatenate((fine, coarse, np.array([other], fine.dtype))).astype(np.int64)
    key = key[np.argsort(key & LOW)]
    count = rng.gamma(1.0, 1.0, len(key)) + 0.1
    bins, mass = masses(key, count, fit)
    assert (np.diff(bins & LOW) > 0).all()
    assert mass.sum() == pytest.approx(1.0)
    for part in (region, beside, other):
        inside = [h3.cell_to_parent(int(b), 5) == part for b in bins]
        own = [h3.cell_to_parent(int(k), 5) == part for k in key]
        assert mass[inside].sum() == pytest.approx(count[own].sum() / count.sum())


def test_pentagons_have_six_children(fit: Fit) -> None:
    pentagon = int(h3.get_pentagons(9)[3])
    key = np.sort(np.array(h3.cell_to_children(pentagon, 11), np.int64))
    bins, mass = masses(key, np.ones(len(key)), fit._replace(split_parent_share=0.0, split_grandparent_share=0.0))
    assert sorted(bins.tolist()) == sorted(key.tolist())
    assert all(h3.is_valid_cell(int(b)) for b in bins)
    assert (mass > 0).all()


def test_no_room_is_told(fit: Fit) -> None:
    key = np.sort(h3.grid_disk(h3.latlng_to_cell(52.0, -1.0, 11), 5)).astype(np.int64)
    count = np.ones(len(key))
    assert put_masses(key, count, float(len(key)), fit, np.empty(60, np.int64), np.empty(60)) == -1


def test_counts_by_what_was_measured(fit: Fit) -> None:
    rows = np.full((3, ROW_WIDTH), np.nan, np.float32)
    rows[:, R_VISITS] = 4.0
    rows[:, R_LEVEL], rows[:, R_LEVEL + 1] = (-80.0, -95.0, np.nan), 2.0
    count = np.empty(3)
    total, visits, once, farthest = put_counts(rows, -80.0, np.nan, np.nan, fit, count)
    assert (visits, once, farthest) == (12.0, 0.0, -1.0)
    assert total == pytest.approx(count.sum())
    # The level speaks for the first; where none was ever measured is less likely than a fit, more than a misfit.
    assert count[0] > count[2] > count[1] > 0
    # Quality and advance, which this cell's history does not have, change nothing.
    again = np.empty(3)
    put_counts(rows, -80.0, -11.0, 3.0, fit, again)
    assert np.array_equal(count, again)
    rows[:, R_QUALITY], rows[:, R_ADVANCE], rows[2, R_VISITS] = -11.0, (2, 5, 9), 1.0
    rows[:, R_QUALITY + 1], rows[:, R_ADVANCE + 1] = 1.0, 0.3
    _, _, once, farthest = put_counts(rows, np.nan, -11.0, 5.0, fit, count)
    assert (once, farthest) == (1.0, 9.0)
    assert count.argmax() == 1
