"""Scores and intervals: shares with what chance and alike neighbours do to them, errors, proper scores of circles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from locsvc.units import sigmas_of_circle

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Normal quantile of a two-sided 95 % interval.
Z_95 = 1.959963984540054
# What a circle of another locator is given for being wrong altogether, in its log score.
ELSEWHERE, ELSEWHERE_M = 0.01, 10_000.0


def number(value: float) -> float | None:
    """The number with six digits, which is all that it is good for; None for none.

    >>> number(1234.56789), number(float("nan"))
    (1234.57, None)
    """
    return float(f"{value:.6g}") if math.isfinite(value) else None


def wilson(share: float, n: float, z: float = Z_95) -> tuple[float, float]:
    """Interval of a share seen in `n` independent cases, 95 % by default; 0 to 1 where there is none.

    References
    ----------
    Wilson 1927, Probable inference, the law of succession, and statistical inference, JASA 22, 209-212.

    >>> [round(v, 4) for v in wilson(0.95, 1000)]
    [0.9347, 0.9619]
    """
    if n <= 0:
        return 0.0, 1.0
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(max(share * (1 - share) / n + z * z / (4 * n * n), 0.0))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def student_975(freedom: int) -> float:
    """97.5 % quantile of Student's t with so many degrees of freedom, 1 or more, to a part in a hundred from 3 on.

    References
    ----------
    Closed forms for 1 and 2; else the series in 1 / freedom of Abramowitz and Stegun 26.7.5.

    >>> [round(student_975(k), 2) for k in (1, 2, 5, 10, 40)]
    [12.71, 4.3, 2.57, 2.23, 2.02]
    """
    if freedom == 1:
        return math.tan(math.pi * 0.475)
    if freedom == 2:
        return 0.95 * math.sqrt(2 / (4 * 0.975 * 0.025))
    z, v = Z_95, float(freedom)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / v ** (k + 1) for k, term in enumerate(terms))


@dataclass(frozen=True, slots=True)
class Share:
    """How often something was so, with 95 % intervals.

    `calls` (share, low, high) as if all were independent (Wilson); `clustered` (low, high) of the same share, sessions
    being what is independent: None with fewer than two; `sessions` (share, low, high) each session counted once.
    """

    n: int
    calls: tuple[float, float, float]
    clustered: tuple[float, float] | None
    sessions: tuple[float, float, float]
    session_count: int


def share_of(was_so: Bools, session: Ints) -> Share:
    """The share of the cases (n,) that were so; `session` (n,) are numbers of what they belong to.

    Raises
    ------
    ValueError
        There is no case.
    """
    n = len(was_so)
    if not n:
        msg = "a share of no cases"
        raise ValueError(msg)
    share = float(np.mean(was_so))
    _, of = np.unique(session, return_inverse=True)
    size = np.bincount(of).astype(float)
    held: Floats = np.bincount(of, weights=was_so).astype(float)
    count = len(size)
    over = float(np.mean(held / size))
    return Share(
        n, (share, *wilson(share, n)), _clustered(share, size, held), (over, *wilson(over, count)), count
    )  # fmt: skip


def _clustered(share: float, size: Floats, held: Floats) -> tuple[float, float] | None:
    """Wilson's interval with as many cases as the spread between sessions says that there are.

    References
    ----------
    Ratio estimator's variance (Cochran 1977, section 6.3 and 11.7); effective size and degrees of freedom as Korn and
    Graubard 1998, Confidence intervals for proportions with small expected number of positive counts.
    """
    count, n = len(size), float(size.sum())
    if count < 2:
        return None
    variance = count / (count - 1) * float(np.sum((held - share * size) ** 2)) / n**2
    # Where all sessions say the same, nothing but their number is known.
    effective = share * (1 - share) / variance if variance > 0 else float(count)
    effective = min(effective, n) * (Z_95 / student_975(count - 1)) ** 2
    return wilson(share, effective)


def quantiles(values: Floats, at: tuple[float, ...]) -> list[float]:
    """Quantiles of values (n,), between neighbours by their distance; NaN of none.

    >>> quantiles(np.array([1.0, 2.0, 3.0]), (0.5, 0.9))
    [2.0, 2.8]
    """
    if not len(values):
        return [math.nan] * len(at)
    return [float(q) for q in np.quantile(values, at)]


def _bessel_scaled(x: Floats) -> tuple[Floats, Floats]:
    """exp(-x) I0(x) and exp(-x) I1(x) of x, 0 or more, to 3e-7 (Abramowitz and Stegun 9.8.1 to 9.8.4)."""
    small, t = np.minimum(x, 3.75), (np.minimum(x, 3.75) / 3.75) ** 2
    i0 = np.polyval([0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0], t)
    i1 = small * np.polyval([0.00032411, 0.00301532, 0.02658733, 0.15084934, 0.51498869, 0.87890594, 0.5], t)
    u = 3.75 / np.maximum(x, 3.75)
    far0 = [
        0.00392377,
        -0.01647633,
        0.02635537,
        -0.02057706,
        0.00916281,
        -0.00157565,
        0.00225319,
        0.01328592,
        0.39894228,
    ]
    far1 = [
        -0.00420059,
        0.01787654,
        -0.02895312,
        0.02282967,
        -0.01031555,
        0.00163801,
        -0.00362018,
        -0.03988024,
        0.39894228,
    ]
    root = np.sqrt(np.maximum(x, 3.75))
    near, fall = x < 3.75, np.exp(-small)
    return np.where(near, i0 * fall, np.polyval(far0, u) / root), np.where(near, i1 * fall, np.polyval(far1, u) / root)


def circle_sigma_m(radius_m: Floats, confidence: float) -> Floats:
    """Standard deviation along one axis, (n,) metres, of the round Gaussian whose circle at a confidence is stated.

    >>> circle_sigma_m(np.array([244.77]), 0.95).round(2).tolist()
    [100.0]
    """
    return np.maximum(radius_m, 1.0) / sigmas_of_circle(confidence)


def gaussian_log_scores(error_m: Floats, sigma_m: Floats) -> Floats:
    """Log scores, (n,), of round Gaussians whose truth lies `error_m` from the centre: minus ln of the density, 1 / m2.

    One of a hundred is taken to be elsewhere (a Student density of two degrees of freedom, 10 km wide), or a single
    miss of a small circle would be all that the mean tells.

    >>> gaussian_log_scores(np.array([0.0, 5_000.0]), np.array([100.0, 100.0])).round(2).tolist()
    [11.06, 25.1]
    """
    right = np.exp(-0.5 * (error_m / sigma_m) ** 2) / (2 * np.pi * sigma_m**2)
    wrong = (1 + error_m**2 / (2 * ELSEWHERE_M**2)) ** -2 / (2 * np.pi * ELSEWHERE_M**2)
    return -np.log((1 - ELSEWHERE) * right + ELSEWHERE * wrong)


def gaussian_energy_scores_m(error_m: Floats, sigma_m: Floats) -> Floats:
    """Energy scores, (n,) metres, of round Gaussians whose truth lies `error_m` from the centre.

    E|X - y| is the mean of a Rice distribution, E|X - X'| / 2 is sigma sqrt(pi) / 2.

    References
    ----------
    Gneiting and Raftery 2007, Strictly proper scoring rules, prediction, and estimation, JASA 102, section 4.3.

    >>> gaussian_energy_scores_m(np.array([0.0, 100.0]), np.array([1.0, 1.0])).round(4).tolist()
    [0.3671, 99.1188]
    """
    half = (error_m / sigma_m) ** 2 / 2
    i0, i1 = _bessel_scaled(half / 2)
    # Laguerre's function of order one half: exp(-q / 2) [(1 + q) I0(q / 2) + q I1(q / 2)] with q = error^2 / 2 sigma^2.
    mean = sigma_m * math.sqrt(math.pi / 2) * ((1 + half) * i0 + half * i1)
    return mean - sigma_m * math.sqrt(math.pi) / 2
