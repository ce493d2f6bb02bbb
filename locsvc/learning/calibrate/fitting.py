"""Numbers that make a mean of log scores largest, and what they are worth on sessions that were left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Log scores (n,) of rows, natural logarithms of densities, for numbers in the scale that they are fitted in.
Scores = Callable[[Floats], Floats]

# Step of the differences that slopes are made of, in prior spreads: densities are float32, so smaller ones are noise.
_STEP = 0.02
_MOST_STEPS = 60
# A step that gains less ends the search: far below what any number of sessions can tell.
_LEAST_GAIN = 1e-5
# A gain below this is worth no change, however sure: nats a session.
_LEAST_WORTH = 1e-3
# A log score is floored, so that one row cannot outvote all: e^-40 a square metre is nowhere.
LEAST_SCORE = -40.0


@dataclass(frozen=True, slots=True)
class Problem:
    """What is fitted: scores of rows, sessions (n,) int64 from 0, where the numbers start, prior middle and spread."""

    scores: Scores
    session: Ints
    start: Floats
    middle: Floats
    spread: Floats


@dataclass(frozen=True, slots=True)
class Fitted:
    """Numbers (k,), and mean log scores over sessions, before and after, of sessions that were left out.

    `gain_error` is the standard error of after less before, over what was left out together: sessions, or days.
    """

    numbers: Floats
    before: float
    after: float
    gain_error: float


def session_means(scores: Floats, session: Ints) -> Floats:
    """Mean score of each session, (sessions,): rows of one session are alike, so sessions are the sample.

    >>> session_means(np.array([1.0, 3.0, 5.0]), np.array([0, 0, 1])).tolist()
    [2.0, 5.0]
    """
    count = np.bincount(session)
    total = np.bincount(session, weights=np.maximum(scores, LEAST_SCORE))
    return total[count > 0] / count[count > 0]


def minimum(loss: Callable[[Floats], float], start: Floats, scale: Floats) -> Floats:
    """Where a smooth function of few numbers is least, (k,): BFGS with slopes by central differences.

    Parameters
    ----------
    loss
        To be made small.
    start
        (k,) where to begin.
    scale
        (k,) what is a large change of each number.

    References
    ----------
    Nocedal and Wright 2006, Numerical Optimization, algorithm 6.1.

    Examples
    --------
    >>> minimum(lambda x: (x[0] - 1) ** 2 + 10 * (x[1] - x[0]) ** 2, np.zeros(2), np.ones(2)).round(2).tolist()
    [1.0, 1.0]
    """

    def at(u: Floats) -> float:
        return loss(start + u * scale)

    k = len(start)
    u, h = np.zeros(k), np.eye(k)
    value, slope = at(u), _slope(at, np.zeros(k))
    for _ in range(_MOST_STEPS):
        way = -h @ slope
        if way @ slope >= 0:
            h, way = np.eye(k), -slope
        # No step goes farther than one spread: what is beyond was never looked at.
        way /= max(1.0, float(np.max(np.abs(way))))
        length, found = 1.0, value
        while length > 1e-3:
            found = at(u + length * way)
            if found <= value + 1e-4 * length * float(way @ slope):
                break
            length /= 2
        else:
            break
        moved = length * way
        new_slope = _slope(at, u + moved)
        h = _updated(h, moved, new_slope - slope)
        gained, u, value, slope = value - found, u + moved, found, new_slope
        if gained < _LEAST_GAIN:
            break
    return start + u * scale


def _slope(at: Callable[[Floats], float], u: Floats) -> Floats:
    step = np.eye(len(u)) * _STEP
    return np.array([(at(u + d) - at(u - d)) / (2 * _STEP) for d in step])


def _updated(h: Floats, moved: Floats, turned: Floats) -> Floats:
    """The inverse curvature after a step."""
    bend = float(moved @ turned)
    if bend <= 1e-12:
        return h
    left = np.eye(len(h)) - np.outer(moved, turned) / bend
    updated: Floats = left @ h @ left.T + np.outer(moved, moved) / bend
    return updated


def fit(problem: Problem, unit: Ints, folds: int, tick: Callable[[], None] = lambda: None) -> Fitted:
    """The numbers fitted on all sessions, and scores by folds: fitted on the other folds, scored on each.

    Parameters
    ----------
    problem
        What is fitted.
    unit
        (sessions,) what each session is left out with, from 0: itself, or its day. Two at least.
    folds
        How many folds units are dealt to.
    tick
        Called before each search; may raise to stop.
    """
    sessions = int(problem.session.max()) + 1
    before = session_means(problem.scores(problem.start), problem.session)
    after = np.empty(sessions)
    for fold in folds_of(int(unit.max()) + 1, folds):
        tick()
        left_out = np.isin(unit, fold)
        found = _search(problem, ~left_out)
        after[left_out] = session_means(problem.scores(found), problem.session)[left_out]
    tick()
    numbers = _search(problem, np.ones(sessions, bool))
    return Fitted(numbers, float(before.mean()), float(after.mean()), standard_error(after - before, unit))


def standard_error(gain: Floats, unit: Ints) -> float:
    """The standard error of the mean of gains (sessions,), when those of one unit may be alike.

    With units of one it is the deviation over the root of their number.

    References
    ----------
    Liang and Zeger 1986, Longitudinal data analysis using generalized linear models (the sandwich over clusters).

    Examples
    --------
    >>> round(standard_error(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 2])), 3)
    0.577
    >>> standard_error(np.array([1.0, 1.0, 3.0, 3.0]), np.array([0, 0, 1, 1]))
    1.0
    """
    units = int(unit.max()) + 1
    off = np.bincount(unit, weights=gain - gain.mean(), minlength=units)
    return float(np.sqrt(units / (units - 1) * np.sum(off**2)) / len(gain))


def sure(fitted: Fitted, units: int) -> bool:
    """Whether the gain is more than its standard error, as far as so few units tell that, and enough to matter.

    References
    ----------
    Hastie, Tibshirani and Friedman 2009, The Elements of Statistical Learning, 7.10 (the one standard error rule);
    Abramowitz and Stegun 26.7.5 at one standard deviation, to 1 / freedom^2 (Student's t, which few units need).

    Examples
    --------
    >>> three = np.zeros(3)
    >>> sure(Fitted(three, -10.0, -9.9, 0.09), 40), sure(Fitted(three, -10.0, -9.9, 0.09), 3)
    (True, False)
    """
    freedom = units - 1
    errors = 1 + 1 / (2 * freedom) + 1 / (4 * freedom**2)
    return fitted.after - fitted.before > max(errors * fitted.gain_error, _LEAST_WORTH)


def _search(problem: Problem, used: npt.NDArray[np.bool_]) -> Floats:
    """The best numbers for some sessions; the prior weighs as one of them."""
    count = int(used.sum())

    def loss(numbers: Floats) -> float:
        means = session_means(problem.scores(numbers), problem.session)[used]
        far = float(np.sum(((numbers - problem.middle) / problem.spread) ** 2))
        return far / (2 * count) - float(means.mean())

    return minimum(loss, problem.start, problem.spread)


def folds_of(sessions: int, most: int) -> list[Ints]:
    """Sessions, numbered in the order of their names, dealt out to folds.

    >>> [f.tolist() for f in folds_of(5, 2)]
    [[0, 2, 4], [1, 3]]
    """
    count = min(most, sessions)
    return [np.arange(i, sessions, count) for i in range(count)]
