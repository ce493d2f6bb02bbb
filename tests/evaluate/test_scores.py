"""Intervals and scores against published values, closed forms and simulated sessions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from locsvc.evaluate.judged import Circles
from locsvc.evaluate.scores import (
    gaussian_energy_scores_m,
    gaussian_log_scores,
    number,
    share_of,
    student_975,
    wilson,
)
from locsvc.evaluate.summary import circles_summary, errors_curve, misses_of


# Brown, Cai and DasGupta 2001 and statsmodels' proportion_confint(method="wilson").
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (5, 10, 0.2366, 0.7634),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
    ],
)
def test_wilson(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes / n, n) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042), (120, 1.980)]
)
def test_student(freedom: int, t: float) -> None:
    assert student_975(freedom) == pytest.approx(t, rel=0.01)


def test_alike_neighbours_count_as_what_they_are() -> None:
    # 40 sessions of 50 calls, all calls of a session alike: 40 cases, not 2,000.
    rng = np.random.default_rng(3)
    inside = np.repeat(rng.random(40) < 0.8, 50)
    found = share_of(inside, np.repeat(np.arange(40), 50))
    assert found.clustered is not None
    low, high = found.clustered
    expected = wilson(found.calls[0], 40)
    assert high - low == pytest.approx(expected[1] - expected[0], rel=0.1)
    assert found.calls[2] - found.calls[1] < (high - low) / 4
    assert found.session_count == 40
    assert found.sessions == pytest.approx((found.calls[0], *expected))


def test_independent_calls_lose_hardly_anything_by_sessions() -> None:
    rng = np.random.default_rng(4)
    found = share_of(rng.random(20_000) < 0.9, np.repeat(np.arange(200), 100))
    assert found.clustered is not None
    assert found.clustered == pytest.approx(found.calls[1:], abs=0.002)


def test_intervals_hold_what_they_promise_when_sessions_differ() -> None:
    # Sessions with shares of their own (beta-binomial): 95 % of the clustered intervals hold the mean, Wilson's do not.
    rng = np.random.default_rng(5)
    held = plain = 0
    for _ in range(400):
        share = rng.beta(4.5, 0.5, 30)
        inside = (rng.random((30, 60)) < share[:, None]).ravel()
        found = share_of(inside, np.repeat(np.arange(30), 60))
        assert found.clustered is not None
        held += found.clustered[0] <= 0.9 <= found.clustered[1]
        plain += found.calls[1] <= 0.9 <= found.calls[2]
    assert held / 400 > 0.9
    assert plain / 400 < 0.6


def test_one_session_tells_nothing_of_others() -> None:
    assert share_of(np.array([True, False]), np.zeros(2, np.int64)).clustered is None
    same = share_of(np.ones(100, bool), np.repeat(np.arange(5), 20)).clustered
    assert same is not None
    assert same[0] < 0.45
    with pytest.raises(ValueError, match="no cases"):
        share_of(np.zeros(0, bool), np.zeros(0, np.int64))


@pytest.mark.parametrize("away", [0.0, 0.3, 1.0, 2.5, 6.0, 40.0])
def test_energy_score_of_a_gaussian_is_that_of_draws(away: float) -> None:
    rng, sigma = np.random.default_rng(7), 120.0
    x, y = rng.normal(0, sigma, (2, 400_000)), rng.normal(0, sigma, (2, 400_000))
    drawn = np.hypot(x[0] - away * sigma, x[1]).mean() - np.hypot(*(x - y)).mean() / 2
    found = gaussian_energy_scores_m(np.array([away * sigma]), np.array([sigma]))[0]
    assert found == pytest.approx(drawn, abs=0.5)


def test_log_score_of_a_circle_stays_finite() -> None:
    near, far = gaussian_log_scores(np.array([0.0, 50_000.0]), np.array([10.0, 10.0]))
    assert near == pytest.approx(math.log(2 * math.pi * 100 / 0.99), abs=1e-4)
    assert 20 < far < 40


def test_curve_is_the_distribution() -> None:
    curve = errors_curve(np.append(np.arange(1.0, 1001.0), np.nan), 10)
    assert curve[-1] == [1000.0, 1.0]
    assert curve[4][0] == pytest.approx(500.5)
    assert errors_curve(np.zeros(0)) == []
    assert number(math.inf) is None


def test_misses_are_told_where_there_are_calls_enough() -> None:
    def stratum(by: str, n: int, share: float) -> dict[str, object]:
        return {"by": by, "value": "x", "n": n, "coverage": {"region": {"0.9": {"share": share}}}}

    strata = [
        stratum("all", 1000, 0.925),
        stratum("radio", 299, 0.5),
        stratum("radio", 300, 0.84),
        stratum("cell", 400, 0.94),
    ]
    assert [(m["by"], m["n"], m["off"]) for m in misses_of(strata)] == [("radio", 300, -0.06), ("all", 1000, 0.025)]


def test_calibrated_circles_are_the_smaller_of_two_kinds(rng: np.random.Generator) -> None:
    n = 4_000
    sigma = np.exp(rng.uniform(np.log(20), np.log(2_000), n))
    error = sigma * np.sqrt(-2 * np.log(rng.random(n)))
    sessions = np.arange(n)
    # Radii that say how far off each is, if three times too large: a factor mends them.
    told = circles_summary(Circles(error, 3 * sigma * 2.146, 3 * sigma), sessions)["calibrated"]
    assert told["radius_m"] == pytest.approx(2.146 * float(np.median(sigma)), rel=0.05)
    assert told["area_m2"] == pytest.approx(np.pi * told["radius_m"] ** 2, rel=1e-4)
    # Radii that say nothing: one for all is smaller.
    told = circles_summary(Circles(error, rng.permutation(sigma), rng.permutation(sigma)), sessions)["calibrated"]
    assert told["radius_m"] == pytest.approx(float(np.quantile(error, 0.9)), rel=1e-4)
