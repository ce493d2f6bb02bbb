"""Density, credible level and energy score at a place: closed forms, simulated truths, and what the regions hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np
import pytest

from locsvc.evaluate.simulate import FAMILIES, draw_offsets
from locsvc.fusion.densities import (
    FAMILY,
    FIRST_ROW,
    HALF_OPENING,
    OUTER,
    ROWS,
    VARIANCE_E,
    VARIANCE_N,
    WEIGHT,
    Densities,
    Family,
)
from locsvc.fusion.gathering import gather
from locsvc.fusion.grid import Posterior, locate
from locsvc.fusion.probe import SCORED_MASS, energy_scores_m, probe
from locsvc.fusion.region import answer, compact
from locsvc.geo import destination
from locsvc.learning.held import inside

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters

    Floats = npt.NDArray[np.float64]

LAT, LNG = 53.35, -6.26
SHARE, SCALE_M = 1e-3, 5000.0


def gaussians(sigma_m: Floats, latitude_deg: float = LAT, longitude_deg: float = LNG) -> Densities:
    """One round Gaussian a call."""
    n = len(sigma_m)
    component = np.zeros((n, 14))
    component[:, FAMILY], component[:, WEIGHT] = Family.GAUSSIAN, 1.0
    component[:, VARIANCE_E] = component[:, VARIANCE_N] = sigma_m**2
    return Densities(
        np.arange(n),
        np.full(n, latitude_deg),
        np.full(n, longitude_deg),
        np.full(n, SHARE),
        np.full(n, SCALE_M),
        np.ones(n),
        np.arange(n),
        component,
        np.empty((0, 2)),
    )


def posterior(sigma_m: Floats, confidence: float = 0.99) -> Posterior:
    return locate(gaussians(sigma_m), len(sigma_m), np.full(len(sigma_m), confidence))


def beside(sigma_m: Floats, away: Floats, bearing_deg: float = 70.0) -> tuple[Floats, Floats]:
    """Places so many sigmas from the centre."""
    return destination(np.full(len(away), LAT), np.full(len(away), LNG), bearing_deg, away * sigma_m)


SIGMAS = np.array([5.0, 80.0, 900.0])


@pytest.mark.parametrize("away", [0.0, 0.5, 1.0, 2.0, 3.0])
def test_density_is_that_of_the_gaussian(away: float) -> None:
    found = probe(posterior(SIGMAS), *beside(SIGMAS, np.full(3, away))).log_density
    distance = away * SIGMAS
    right = (1 - SHARE) * np.exp(-0.5 * (distance / SIGMAS) ** 2) / (2 * math.pi * SIGMAS**2)
    wrong = SHARE / (2 * math.pi * SCALE_M**2) / (1 + distance**2 / (2 * SCALE_M**2)) ** 2
    assert found == pytest.approx(np.log(right + wrong), abs=0.02)


def test_density_goes_on_where_no_leaf_is() -> None:
    sigma = np.array([20.0])
    far_m = 300_000.0
    found = probe(posterior(sigma, 0.5), *beside(np.ones(1), np.array([far_m])))
    expected = SHARE / (2 * math.pi * SCALE_M**2) / (1 + far_m**2 / (2 * SCALE_M**2)) ** 2
    assert found.log_density[0] == pytest.approx(math.log(expected), abs=0.05)
    assert found.level_from[0] > 0.995
    assert found.level_to[0] == 1.0


@pytest.mark.parametrize("away", [0.3, 1.0, 2.0, 2.8])
def test_level_is_that_of_the_gaussian(away: float) -> None:
    # Many bearings: a leaf is not a circle.
    bearings = np.linspace(0, 350, 36)
    whole = posterior(np.full(36, 100.0))
    lat, lng = destination(np.full(36, LAT), np.full(36, LNG), bearings, away * 100.0)
    found = probe(whole, lat, lng)
    middle = (found.level_from + found.level_to) / 2
    assert middle.mean() == pytest.approx((1 - SHARE) * (1 - math.exp(-0.5 * away**2)), abs=0.02)
    assert np.all(found.level_to > found.level_from)


def test_density_of_a_histogram_is_that_of_the_bin() -> None:
    bins = [int(c) for c in h3.grid_disk(h3.latlng_to_cell(LAT, LNG, 11), 3)]
    bins.sort(key=lambda c: c & ((1 << 52) - 1))
    mass = np.arange(1.0, len(bins) + 1)
    mass /= mass.sum()
    d = gaussians(np.array([100.0]))
    row = d.component[0]
    row[:] = 0.0
    row[FAMILY], row[WEIGHT], row[HALF_OPENING] = Family.HISTOGRAM, 1.0, 180.0
    row[OUTER], row[VARIANCE_E], row[FIRST_ROW], row[ROWS] = 250.0, 400.0, 0.0, len(bins)
    d.bin, d.held = np.array(bins, np.int64), np.cumsum(mass)
    d.held[-1] = 1.0
    whole = locate(d, 1, np.array([0.9]))
    for k in (0, 17, len(bins) - 1):
        lat, lng = h3.cell_to_latlng(bins[k])
        found = probe(whole, np.array([lat]), np.array([lng]))
        expected = (1 - SHARE) * mass[k] / h3.cell_area(bins[k], "m^2")
        assert found.log_density[0] == pytest.approx(math.log(expected), abs=0.05)


def test_no_place_is_no_number() -> None:
    nothing, here = np.array([np.nan, LAT]), np.array([LNG, np.nan])
    found = probe(posterior(np.array([10.0, 10.0])), nothing, here)
    assert np.isnan([found.log_density, found.level_from, found.level_to]).all()
    assert np.isnan(energy_scores_m(posterior(np.array([10.0, 10.0])), nothing, here)).all()


@pytest.mark.parametrize("place", [(LAT, LNG), (-33.0, 151.2), (68.9, 179.99)])
def test_energy_score_is_that_of_the_gaussian(place: tuple[float, float]) -> None:
    # Centred on the truth: sigma sqrt(pi / 2) (1 - sqrt(1 / 2)) = 0.367087 sigma, and what cells add.
    d = gaussians(SIGMAS, *place)
    whole = locate(d, 3, np.full(3, 0.99))
    found = energy_scores_m(whole, np.full(3, place[0]), np.full(3, place[1]))
    assert found == pytest.approx(0.367087 * SIGMAS, rel=0.03)
    # Far from the truth it is the distance less half of the mean distance of two draws, sigma sqrt(pi).
    away = 40.0
    lat, lng = destination(np.full(3, place[0]), np.full(3, place[1]), 200.0, away * SIGMAS)
    expected = SIGMAS * (away + 0.5 / away - math.sqrt(math.pi) / 2)
    assert energy_scores_m(whole, lat, lng) == pytest.approx(expected, rel=0.01)


def test_energy_score_along_the_globe() -> None:
    """A posterior wider than the plane does: 1,500 km, and a truth on the other side of the earth."""
    whole = locate(gaussians(np.array([1.5e6])), 1, np.array([0.9]))
    found = energy_scores_m(whole, np.array([-LAT]), np.array([LNG + 180.0 - 0.01]))
    assert 1.5e7 < found[0] < 2.0e7
    leaves = whole.leaves
    assert leaves.mass.sum() > SCORED_MASS


@pytest.mark.parametrize("family", FAMILIES)
def test_levels_are_what_the_regions_say_and_uniform(family: str, parameters: Parameters, seed: int) -> None:
    rng, calls = np.random.default_rng(seed), 300
    d, _ = gather(FAMILIES[family](rng, np.arange(calls), parameters))
    lat, lng = np.degrees(np.arcsin(rng.uniform(-0.85, 0.9, calls))), rng.uniform(-180, 180, calls)
    east, north = draw_offsets(rng, d)
    bearing = np.degrees(np.arctan2(-east, -north))
    d.latitude_deg, d.longitude_deg = destination(lat[d.call], lng[d.call], bearing, np.hypot(east, north))
    for confidence in (0.5, 0.95):
        asked = np.full(calls, confidence)
        whole = locate(d, calls, asked)
        cells = compact(whole.leaves, answer(whole, asked).region_leaves)
        held = np.array([inside(cells, i, float(lat[i]), float(lng[i])) for i in range(calls)])
        found = probe(whole, lat, lng)
        # A region ends with a whole cell: the levels of what it holds begin below the confidence.
        assert np.mean(held == (found.level_from < confidence - 1e-9)) >= 0.99
    # Kolmogorov's distance: larger in one of a thousand such tests.
    levels = np.sort(found.levels(rng))
    steps = np.arange(calls) / calls
    assert max(np.max(levels - steps), np.max(steps + 1 / calls - levels)) < 1.95 / math.sqrt(calls)
