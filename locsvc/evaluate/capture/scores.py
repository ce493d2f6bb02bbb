"""Scores of played calls: pure functions on arrays of what was said of them when.

Rows are estimates or pieces of evidence, (m,) each: `call` (the number of the call, ascending), `at_s` (seconds from
its start, ascending within a call), and what the row says. Results are per call, (n,), at one second after the start.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# A better answer has at most this part of the radius (the contract's Prospect).
BETTER = 0.7


def last_until(call: Ints, at_s: Floats, calls: int, second: float) -> Ints:
    """The last row of each call until that second, (calls,); -1 where there is none.

    >>> last_until(np.array([0, 0, 2]), np.array([0.5, 2.0, 3.0]), 3, 2.0).tolist()
    [1, -1, -1]
    """
    found = np.full(calls, -1, np.int64)
    rows = np.flatnonzero(at_s <= second)
    found[call[rows]] = rows
    return found


def first_s(call: Ints, at_s: Floats, so: Bools, calls: int) -> Floats:
    """Seconds until the first row that is so, (calls,); infinite where none is.

    >>> first_s(np.array([0, 0, 1]), np.array([0.5, 2.0, 3.0]), np.array([False, True, False]), 2).tolist()
    [2.0, inf]
    """
    found = np.full(calls, np.inf)
    np.minimum.at(found, call[so], at_s[so])
    return found


def picked(values: Floats, rows: Ints) -> Floats:
    """The values of the rows, (calls,); infinite where there is no row or no value."""
    if not len(values):
        return np.full(len(rows), np.inf)
    found = np.where(rows >= 0, values[np.maximum(rows, 0)], np.inf)
    return np.where(np.isnan(found), np.inf, found)


def nearest_m(call: Ints, at_s: Floats, error_m: Floats, calls: int, second: float) -> Floats:
    """The least error of all places said until that second, (calls,) metres: no one who picks a piece does better.

    >>> rows = np.array([0, 0, 1]), np.array([1.0, 2.0, 5.0]), np.array([300.0, 900.0, 10.0])
    >>> nearest_m(*rows, 2, 4.0).tolist()
    [300.0, inf]
    """
    found = np.full(calls, np.inf)
    so = (at_s <= second) & np.isfinite(error_m)
    np.minimum.at(found, call[so], error_m[so])
    return found


def newest_m(call: Ints, at_s: Floats, error_m: Floats, calls: int, second: float) -> Floats:
    """The error of the newest place said until that second, (calls,) metres; pieces without a place do not count.

    >>> rows = np.array([0, 0, 0]), np.array([1.0, 2.0, 3.0]), np.array([300.0, 20.0, np.nan])
    >>> newest_m(*rows, 1, 4.0).tolist()
    [20.0]
    """
    said = np.isfinite(error_m)
    return picked(error_m[said], last_until(call[said], at_s[said], calls, second))


def smallest_claim_m(call: Ints, at_s: Floats, error_m: Floats, claimed_m: Floats, calls: int, second: float) -> Floats:
    """The error of the place with the smallest claimed radius until that second, (calls,) metres.

    Of equal claims the newest; places without a claim (NaN) only where there is no other.

    >>> rows = np.array([0, 0, 0]), np.array([1.0, 2.0, 3.0]), np.array([300.0, 9_000.0, 20.0])
    >>> smallest_claim_m(*rows, np.array([800.0, 15.0, 30.0]), 1, 4.0).tolist()
    [9000.0]
    """
    rows = np.flatnonzero((at_s <= second) & np.isfinite(error_m))
    claim = np.where(np.isfinite(claimed_m[rows]), claimed_m[rows], np.inf)
    # The best row of a call comes last and stays.
    order = rows[np.lexsort((at_s[rows], -claim, call[rows]))]
    best = np.full(calls, -1, np.int64)
    best[call[order]] = order
    return picked(error_m, best)


def betters(
    call: Ints, at_s: Floats, radius_m: Floats, of_call: Ints, of_s: Floats, of_radius_m: Floats, within_s: float
) -> Bools:
    """Whether an answer of at most 0.7 of the radius came within so many seconds, (k,).

    Parameters
    ----------
    call, at_s, radius_m
        All estimates, (m,).
    of_call, of_s, of_radius_m
        Those that are asked about, (k,): their call, when, and their radius; a radius that is infinite or unknown is
        bettered by any.

    >>> rows = np.array([0, 0]), np.array([1.0, 8.0]), np.array([500.0, 30.0])
    >>> betters(*rows, np.array([0, 0]), np.array([1.0, 1.0]), np.array([500.0, 40.0]), 10.0).tolist()
    [True, False]
    """
    found = np.zeros(len(of_call), bool)
    starts, ends = np.searchsorted(call, of_call), np.searchsorted(call, of_call, side="right")
    known = np.where(np.isnan(of_radius_m), np.inf, of_radius_m)
    for k in range(len(of_call)):
        span = slice(int(starts[k]), int(ends[k]))
        later = (at_s[span] > of_s[k]) & (at_s[span] <= of_s[k] + within_s)
        found[k] = bool(np.any(radius_m[span][later] <= BETTER * known[k]))
    return found


def waits_s(call: Ints, revision: Ints, at_s: Floats, of_call: Ints, of_revision: Ints) -> Floats:
    """When each revision, or a later one, was first shown to the watcher of its call, (k,); NaN: never.

    Parameters
    ----------
    call, revision, at_s
        Messages of the streams, (m,), by call and then by time.
    of_call, of_revision
        Revisions that were acknowledged, (k,).

    >>> messages = np.array([0, 0]), np.array([1, 3]), np.array([10.0, 10.4])
    >>> waits_s(*messages, np.array([0, 0, 0]), np.array([2, 3, 4])).tolist()
    [10.4, 10.4, nan]
    """
    found = np.full(len(of_call), np.nan)
    starts, ends = np.searchsorted(call, of_call), np.searchsorted(call, of_call, side="right")
    for k in range(len(of_call)):
        span = slice(int(starts[k]), int(ends[k]))
        later = np.flatnonzero(revision[span] >= of_revision[k])
        if len(later):
            found[k] = at_s[span][later[0]]
    return found


def reliability(chance: Floats, came: Bools, edges: tuple[float, ...]) -> list[tuple[float, float, int]]:
    """Mean chance, share that came, and number of cases of each bin between edges; empty bins are left out.

    >>> reliability(np.array([0.1, 0.1, 0.9]), np.array([False, True, True]), (0.0, 0.5, 1.0))
    [(0.1, 0.5, 2), (0.9, 1.0, 1)]
    """
    place = np.clip(np.digitize(chance, edges) - 1, 0, len(edges) - 2)
    found = []
    for k in range(len(edges) - 1):
        own = place == k
        if own.any():
            found.append((float(np.mean(chance[own])), float(np.mean(came[own])), int(own.sum())))
    return found


def brier(chance: Floats, came: Bools) -> float:
    """Mean squared difference of what was said and what came; NaN of none.

    References
    ----------
    Brier 1950, Verification of forecasts expressed in terms of probability, Monthly Weather Review 78, 1-3.

    >>> brier(np.array([1.0, 0.5]), np.array([True, False]))
    0.125
    """
    return float(np.mean((chance - came) ** 2)) if len(chance) else float("nan")
