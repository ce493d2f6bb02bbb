"""Arithmetic of confidences: how wide a Gaussian is at a confidence, and back, on scalars and arrays.

A circle's confidence is two-dimensional: `r_p = sigma * sqrt(-2 ln(1 - p))` (the Rayleigh quantile), never the
one-dimensional 1.96 sigma.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# Confidence of a PIDF-LO shape that states none: 95 % (RFC 7459 section 3.3).
UNSTATED_CONFIDENCE = 0.95
# Confidence of a line record's uncertainty that states none: FCC rules and ALI screens use 90 % (47 CFR 9.10(j)).
UNSTATED_LINE_CONFIDENCE = 0.90


def sigmas_of_circle(confidence: float) -> float:
    """Radius, in sigmas of one axis, of the circle that holds `confidence` of a round Gaussian.

    Parameters
    ----------
    confidence
        Above 0, below 1.

    References
    ----------
    Closed form of the Rayleigh distribution; RFC 7459 section 4.3.

    >>> round(sigmas_of_circle(0.95), 4)
    2.4477
    """
    return math.sqrt(-2.0 * math.log1p(-confidence))


def rescale_circle(radius_m: float, confidence: float, wanted: float) -> float:
    """Radius at `wanted` of a round Gaussian whose radius at `confidence` is `radius_m`, metres.

    >>> round(rescale_circle(100.0, 0.68, 0.95), 2)
    162.15
    """
    # 90 % circle from a 68 % one: 2.146 / 1.510 = 1.42, not 1.645 / 0.994 = 1.65, the one-dimensional rule.
    return radius_m * sigmas_of_circle(wanted) / sigmas_of_circle(confidence)


def sigmas_of_height(confidence: float) -> float:
    """Half height, in sigmas, that holds `confidence` of a one-dimensional Gaussian.

    >>> round(sigmas_of_height(0.9), 4)
    1.6449
    """
    # Newton's method on erf from a start that is good to a few percent; five steps reach the last bit.
    z = math.sqrt(-2.0 * math.log((1.0 - confidence) / 2.0)) * 0.8
    for _ in range(50):
        error = math.erf(z / math.sqrt(2.0)) - confidence
        step = error / (math.sqrt(2.0 / math.pi) * math.exp(-z * z / 2.0))
        z -= max(-0.5, min(0.5, step))
        if abs(step) < 1e-14:
            break
    return z


def radius_holding(
    sigma_major_m: npt.ArrayLike, sigma_minor_m: npt.ArrayLike, confidence: float
) -> npt.NDArray[np.float64]:
    """Radius of the centred circle that holds `confidence` of an elliptical Gaussian, float64, metres.

    Parameters
    ----------
    sigma_major_m, sigma_minor_m
        Standard deviations along the axes, (n,) float64, metres, above 0.
    confidence
        Above 0, below 1.

    Notes
    -----
    The share outside radius r is the mean over the angle of `exp(-r^2 / (2 s(angle)^2))` with
    `1/s^2 = cos^2/major^2 + sin^2/minor^2`, weighted by `s^2 / (major * minor)`; bisected on r.

    >>> round(float(radius_holding(100.0, 50.0, 0.95)), 2)
    203.59
    """
    major, minor = np.broadcast_arrays(np.asarray(sigma_major_m, float), np.asarray(sigma_minor_m, float))
    angle = (np.arange(2048) + 0.5) * (math.pi / 2 / 2048)
    variance = 1.0 / ((np.cos(angle) / major[..., None]) ** 2 + (np.sin(angle) / minor[..., None]) ** 2)
    weight = variance / (major * minor)[..., None]
    low = np.minimum(major, minor) * sigmas_of_circle(confidence)
    high = np.maximum(major, minor) * sigmas_of_circle(confidence)
    for _ in range(60):
        middle = (low + high) / 2
        outside = np.mean(weight * np.exp(-(middle[..., None] ** 2) / (2 * variance)), axis=-1)
        too_small = outside > 1 - confidence
        low, high = np.where(too_small, middle, low), np.where(too_small, high, middle)
    result: npt.NDArray[np.float64] = np.asarray((low + high) / 2)
    return result
