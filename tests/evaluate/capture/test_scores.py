"""Scores against cases made by hand, and against the plain way to reckon them."""

from __future__ import annotations

import numpy as np
import pytest

from locsvc.evaluate.capture import scores

NAN = np.nan
# Three calls; the second says nothing.
CALL = np.array([0, 0, 0, 0, 2, 2])
AT_S = np.array([0.5, 1.5, 12.0, 18.0, -0.4, 25.0])
ERROR_M = np.array([900.0, NAN, 40_000.0, 12.0, 250.0, 60.0])
CLAIMED_M = np.array([1_500.0, NAN, 15.0, 30.0, NAN, NAN])


@pytest.mark.parametrize(
    ("second", "nearest", "newest", "smallest"),
    [
        (-1.0, [np.inf] * 3, [np.inf] * 3, [np.inf] * 3),
        (1.0, [900, np.inf, 250], [900, np.inf, 250], [900, np.inf, 250]),
        (5.0, [900, np.inf, 250], [900, np.inf, 250], [900, np.inf, 250]),
        (12.0, [900, np.inf, 250], [40_000, np.inf, 250], [40_000, np.inf, 250]),
        (20.0, [12, np.inf, 250], [12, np.inf, 250], [40_000, np.inf, 250]),
        (30.0, [12, np.inf, 60], [12, np.inf, 60], [40_000, np.inf, 60]),
    ],
)
def test_rules_by_hand(second: float, nearest: list[float], newest: list[float], smallest: list[float]) -> None:
    assert scores.nearest_m(CALL, AT_S, ERROR_M, 3, second).tolist() == nearest
    assert scores.newest_m(CALL, AT_S, ERROR_M, 3, second).tolist() == newest
    assert scores.smallest_claim_m(CALL, AT_S, ERROR_M, CLAIMED_M, 3, second).tolist() == smallest


def test_equal_claims_take_the_newest_and_claims_go_before_none() -> None:
    call, at_s = np.zeros(3, np.int64), np.array([1.0, 2.0, 3.0])
    error_m = np.array([100.0, 200.0, 300.0])
    assert scores.smallest_claim_m(call, at_s, error_m, np.array([50.0, 50.0, NAN]), 1, 9.0).tolist() == [200.0]
    assert scores.smallest_claim_m(call, at_s, error_m, np.array([NAN, NAN, NAN]), 1, 9.0).tolist() == [300.0]


def test_rules_against_the_plain_way(rng: np.random.Generator) -> None:
    calls = 40
    call = np.sort(rng.integers(0, calls, 300))
    at_s = rng.uniform(0, 30, 300)
    order = np.lexsort((at_s, call))
    at_s = at_s[order]
    error_m = np.where(rng.random(300) < 0.2, NAN, rng.uniform(1, 1e4, 300))
    claimed_m = np.where(rng.random(300) < 0.3, NAN, rng.integers(1, 9, 300).astype(float))
    for second in (0.0, 3.3, 17.0, 30.0):
        for own in range(calls):
            rows = [i for i in range(300) if call[i] == own and at_s[i] <= second and not np.isnan(error_m[i])]
            found = (
                scores.nearest_m(call, at_s, error_m, calls, second)[own],
                scores.newest_m(call, at_s, error_m, calls, second)[own],
                scores.smallest_claim_m(call, at_s, error_m, claimed_m, calls, second)[own],
            )
            if not rows:
                assert found == (np.inf, np.inf, np.inf)
                continue
            claims = [(np.inf if np.isnan(claimed_m[i]) else claimed_m[i], -at_s[i], i) for i in rows]
            assert found == (min(error_m[rows]), error_m[rows[-1]], error_m[min(claims)[2]])


def test_last_row_counts_to_the_second_and_others_have_none() -> None:
    assert scores.last_until(CALL, AT_S, 3, 12.0).tolist() == [2, -1, 4]
    assert scores.last_until(CALL, AT_S, 3, -1.0).tolist() == [-1, -1, -1]
    assert scores.picked(ERROR_M, np.array([1, -1, 4])).tolist() == [np.inf, np.inf, 250.0]
    assert scores.picked(np.zeros(0), np.array([-1, -1])).tolist() == [np.inf, np.inf]


def test_first_time_that_something_is_so() -> None:
    so = np.isfinite(ERROR_M) & (ERROR_M < 100)
    assert scores.first_s(CALL, AT_S, so, 3).tolist() == [18.0, np.inf, 25.0]


def test_better_means_later_within_the_time_and_seven_tenths() -> None:
    call, at_s = np.array([0, 0, 0, 1]), np.array([1.0, 4.0, 12.0, 2.0])
    radius_m = np.array([1_000.0, 701.0, 30.0, 5.0])
    of_call, of_s = np.array([0, 0, 0, 0, 1]), np.array([1.0, 1.0, 4.0, 12.0, 2.0])
    of_radius_m = np.array([1_000.0, 1_002.0, 701.0, 30.0, 5.0])
    found = scores.betters(call, at_s, radius_m, of_call, of_s, of_radius_m, 10.0)
    # 701 is no more than 0.7 of 1,002, but of 1,000; 30 m at 12 s is within 10 s of 4 s, not of 1 s.
    assert found.tolist() == [False, True, True, False, False]
    assert scores.betters(call, at_s, radius_m, of_call, of_s, np.full(5, NAN), 3.0).tolist() == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_waits_are_for_the_revision_or_a_later_one_of_the_same_call() -> None:
    call, revision = np.array([0, 0, 0, 1]), np.array([1, 2, 5, 9])
    at_s = np.array([10.0, 10.1, 10.5, 11.0])
    found = scores.waits_s(call, revision, at_s, np.array([0, 0, 0, 1, 2]), np.array([1, 3, 6, 2, 1]))
    np.testing.assert_array_equal(found, [10.0, 10.5, NAN, 11.0, NAN])


def test_reliability_and_brier() -> None:
    chance, came = np.array([0.0, 0.1, 0.1, 0.9, 1.0]), np.array([False, True, False, True, True])
    bins = scores.reliability(chance, came, (0.0, 0.05, 0.5, 1.0))
    assert bins == [(0.0, 0.0, 1), (0.1, 0.5, 2), (0.95, 1.0, 2)]
    assert scores.brier(chance, came) == pytest.approx((0 + 0.81 + 0.01 + 0.01 + 0) / 5)
    assert np.isnan(scores.brier(np.zeros(0), np.zeros(0, bool)))
