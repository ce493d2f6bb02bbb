"""Histograms of H3 cells as evidence: averaged exactly over any cell, and true regions when truths are drawn from them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np
import pytest

from locsvc.fusion.cell_claims import CellClaims, Histograms, of_cells
from locsvc.fusion.claims import Made
from locsvc.fusion.densities import Family
from locsvc.fusion.evaluation import LOG_REFERENCE, blur_of, evaluate, pieces_of
from locsvc.fusion.fuse import Fusing
from locsvc.fusion.grid import locate
from locsvc.fusion.lattice import FLAT_AREA_M2
from locsvc.fusion.splitting import EVEN_SHARPNESS, HIDDEN_SHARPNESS
from locsvc.geo import destination, unit_vectors
from locsvc.model import CellFallback, Radio
from tests.fusion.pieces import ONE, circles, gathered

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

HERE = (52.1, 11.7)
LOW = (1 << 52) - 1


def in_order(cells: list[int]) -> Ints:
    """Cells as bins stand."""
    return np.array(sorted(cells, key=lambda c: c & LOW), np.int64)


def claims(
    calls: Ints, places: list[tuple[float, float]], runs: list[tuple[Ints, Floats]], weight: float
) -> CellClaims:
    """Centroids with histograms."""
    n, z = len(calls), np.zeros(len(calls))
    rows = np.array([len(bins) for bins, _ in runs])
    learned = Histograms(
        z + weight, np.concatenate(([0], np.cumsum(rows)[:-1])), rows, z + 3_000.0,
        np.concatenate([bins for bins, _ in runs]), np.concatenate([mass for _, mass in runs]),
    )  # fmt: skip
    lat, lng = np.array(places).T
    return CellClaims(
        calls, np.zeros(n, np.int64), lat, lng, z, z + 1, np.full(n, int(CellFallback.CENTROID)), z + 1_000.0, z + 50.0,
        z + np.nan, z + np.nan, np.full(n, int(Radio.LTE)), np.zeros(n, bool), learned,
    )  # fmt: skip


def streets(rng: np.random.Generator, place: tuple[float, float], resolution: int = 11) -> tuple[Ints, Floats]:
    """A few lines of cells round a place, with masses that vary."""
    cells: set[int] = set()
    for _ in range(4):
        ends = [
            h3.latlng_to_cell(*destination(*place, rng.uniform(0, 360), rng.uniform(200, 1_500)), resolution)
            for _ in "ab"
        ]
        cells.update(int(c) for c in h3.grid_path_cells(*ends))
    bins = in_order(list(cells))
    mass = rng.gamma(1.0, 1.0, len(bins))
    return bins, mass / mass.sum()


def within(rng: np.random.Generator, cell: int) -> tuple[float, float]:
    """A place in a cell's own hexagon, which is not that of its children."""
    lat, lng = h3.cell_to_latlng(cell)
    while True:
        away = h3.average_hexagon_edge_length(h3.get_resolution(cell), "m") * 1.4 * math.sqrt(rng.random())
        place = destination(lat, lng, rng.uniform(0, 360), away)
        if h3.latlng_to_cell(*place, h3.get_resolution(cell)) == cell:
            return float(place[0]), float(place[1])


def mixed(rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Bins of resolutions 9 to 11, none within another."""
    cells: list[int] = []
    for i, cell in enumerate(h3.grid_disk(h3.latlng_to_cell(*HERE, 9), 3).tolist()):
        cells.extend(h3.cell_to_children(cell, 9 + i % 3).tolist())
    kept = [c for c in cells if rng.random() < 0.7]
    mass = rng.gamma(1.0, 1.0, len(kept))
    return in_order(kept), mass / mass.sum()


def mean_over(cell: int, bins: Ints, mass: Floats) -> float:
    """Mass in a cell, by asking the library which bin lies in which cell."""
    total, resolution = 0.0, h3.get_resolution(cell)
    for b, m in zip(bins.tolist(), mass.tolist(), strict=True):
        r = h3.get_resolution(b)
        if r >= resolution and h3.cell_to_parent(b, resolution) == cell:
            total += m
        elif r < resolution and h3.cell_to_parent(cell, r) == b:
            total += m * 7.0 ** (r - resolution)
    return total


@pytest.mark.parametrize("resolution", [5, 8, 9, 10, 11, 12, 14])
def test_averaged_exactly(resolution: int, pure: Parameters, rng: np.random.Generator) -> None:
    bins, mass = mixed(rng)
    made = of_cells(claims(ONE, [HERE], [(bins, mass)], 1.0), pure)
    densities = gathered([made])
    pieces = pieces_of(densities, 1)
    places = [destination(*HERE, rng.uniform(0, 360), rng.uniform(0, 2_000)) for _ in range(60)]
    cells = [int(h3.latlng_to_cell(lat, lng, resolution)) for lat, lng in places]
    vectors = unit_vectors(*np.array([h3.cell_to_latlng(c) for c in cells]).T) - unit_vectors(*HERE)
    area = np.full(len(cells), FLAT_AREA_M2[resolution])
    seen = evaluate(pieces, 0, vectors, 0.0, np.array(cells, np.uint64), area)
    held = np.exp(seen.log_posterior.astype(float) + float(pieces.piece[0, LOG_REFERENCE])) * area
    assert held == pytest.approx([mean_over(c, bins, mass) for c in cells], rel=1e-4, abs=1e-6)


def test_shares_a_claim_with_what_the_dataset_says(pure: Parameters, rng: np.random.Generator) -> None:
    made = of_cells(claims(ONE, [HERE], [mixed(rng)], 0.7), pure)
    family, weight = made.component[:, 0], made.component[:, 1]
    assert weight.sum() == pytest.approx(1.0)
    assert weight[family == Family.HISTOGRAM] == pytest.approx([0.7])
    assert made.held[-1] == 1.0


def test_stands_beside_polygons_and_others(pure: Parameters, rng: np.random.Generator) -> None:
    runs = [streets(rng, HERE), mixed(rng)]
    calls = np.arange(2)
    alone = [of_cells(claims(ONE, [HERE], [run], 1.0), pure) for run in runs]
    both = of_cells(claims(calls, [HERE, HERE], runs, 1.0), pure)
    fix = circles(pure, calls, 1, *HERE, 40.0)
    together = Fusing(gathered([fix, both]), 2, np.full(2, 0.9))
    together.run()
    for call, made in enumerate(alone):
        single = Fusing(gathered([made, circles(pure, ONE, 1, *HERE, 40.0)]), 1, np.full(1, 0.9))
        single.run()
        assert single.result().answers.latitude_deg[0] == together.result().answers.latitude_deg[call]
        assert single.result().answers.radius_m[0] == together.result().answers.radius_m[call]


@pytest.mark.parametrize("with_fix", [False, True])
@pytest.mark.parametrize("confidence", [0.5, 0.68, 0.9, 0.95])
def test_truths_lie_inside(confidence: float, with_fix: bool, pure: Parameters, rng: np.random.Generator) -> None:
    n = 500
    places = [(float(rng.uniform(-60, 70)), float(rng.uniform(-180, 180))) for _ in range(n)]
    runs = [streets(rng, place) for place in places]
    truths = []
    for bins, mass in runs:
        truths.append(within(rng, int(rng.choice(bins, p=mass))))
    made: list[Made] = [of_cells(claims(np.arange(n), places, runs, 1.0), pure)]
    if with_fix:
        sigma = rng.uniform(20, 200, n)
        off = sigma * np.sqrt(-2 * np.log(rng.random(n)))
        lat, lng = destination(np.array(truths)[:, 0], np.array(truths)[:, 1], rng.uniform(0, 360, n), off)
        made.append(circles(pure, np.arange(n), 1, lat, lng, sigma))
    fusing = Fusing(gathered(made), n, np.full(n, confidence))
    fusing.run()
    region = fusing.result().region
    inside = 0
    for call, truth in enumerate(truths):
        cells = region.cell[region.starts[call] : region.starts[call + 1]].tolist()
        inside += any(h3.latlng_to_cell(*truth, h3.get_resolution(int(c))) == int(c) for c in cells)
    spread = np.sqrt(confidence * (1 - confidence) / n)
    # Whole cells: a region holds up to two points more than it is asked for.
    assert confidence - 3.5 * spread - 0.005 <= inside / n <= confidence + 3.5 * spread + 0.025


def test_what_is_even_hides_nothing(pure: Parameters, rng: np.random.Generator) -> None:
    bins, mass = streets(rng, HERE)
    pieces = pieces_of(gathered([of_cells(claims(ONE, [HERE], [(bins, mass)], 0.9), pure)]), 1)
    heaviest = int(bins[mass.argmax()])

    def sharpness(cell: int) -> float:
        at, area = h3.cell_to_latlng(cell), FLAT_AREA_M2[h3.get_resolution(cell)]
        vectors = np.atleast_2d(unit_vectors(*at) - unit_vectors(*HERE))
        return float(
            evaluate(pieces, 0, vectors, blur_of(area), np.array([cell], np.uint64), np.array([area])).sharpness[0]
        )

    # Narrow as the heaviest bin makes the histogram, within it all is even; a cell with streets in it hides them.
    assert sharpness(heaviest) < EVEN_SHARPNESS
    assert sharpness(h3.cell_to_parent(heaviest, 8)) > HIDDEN_SHARPNESS
    # Where no bin is there is the cloud alone, which is wide.
    away = h3.latlng_to_cell(*destination(*HERE, 45.0, 4_000.0), 9)
    assert sharpness(int(away)) < HIDDEN_SHARPNESS


@pytest.mark.parametrize(("held", "whole"), [(0.15, True), (0.4, False)])
def test_bins_stay_whole_unless_they_are_too_heavy(
    held: float, whole: bool, pure: Parameters, rng: np.random.Generator
) -> None:
    bins, mass = streets(rng, HERE)
    heavy = int(np.argmax(mass))
    mass = np.full(len(bins), (1.0 - held) / (len(bins) - 1))
    mass[heavy] = held
    densities = gathered([of_cells(claims(ONE, [HERE], [(bins, mass)], 0.98), pure)])
    leaves = locate(densities, 1, np.array([0.9])).leaves
    assert (int(bins[heavy]) in leaves.cell.tolist()) == whole
    assert leaves.mass.sum() == pytest.approx(1.0, abs=0.01)


def test_no_history_is_no_histogram(pure: Parameters) -> None:
    plain = claims(ONE, [HERE], [(np.zeros(0, np.int64), np.zeros(0))], 0.0)
    assert np.array_equal(of_cells(plain, pure).component, of_cells(replace(plain, learned=None), pure).component)
