"""Confidences of a region: how much wider it must be to hold more, and how rounding keeps it honest.

References
----------
RFC 7459 sections 4 and 5. Its rule for normal distributions treats the region as a box; the round rule is exact for
circles, ellipses, spheres and ellipsoids. Between 68 % and 95 % they differ by 0.6 to 2.5 %: the box's factor is the
greater one, so it is on the safe side when a region grows and on the unsafe side when it shrinks.
"""

from __future__ import annotations

import enum
import math

from locsvc.units import sigmas_of_circle, sigmas_of_height

# A value that was computed lies a few units of the last bit beside what it should be: that is no reason to round on.
_SLACK = 1e-9


class Distribution(enum.Enum):
    """How likely the places inside a region are (`pdf` of RFC 7459)."""

    UNKNOWN = "unknown"
    NORMAL = "normal"
    RECTANGULAR = "rectangular"


class NormalRule(enum.Enum):
    """What the region of a normal distribution is taken for."""

    # A box: each axis by itself, at the root of the confidence (RFC 7459 section 5.4.2).
    BOX = "box"
    # What it is: a line of equal density (Rayleigh in two dimensions, Maxwell in three).
    ROUND = "round"


def sigmas_of_ball(confidence: float) -> float:
    """Radius, in sigmas of one axis, of the ball that holds `confidence` of a round Gaussian in three dimensions.

    References
    ----------
    Quantile of the Maxwell distribution, by bisection.

    >>> round(sigmas_of_ball(0.95), 4)
    2.7955
    """
    low, high = 0.0, 40.0
    for _ in range(200):
        z = (low + high) / 2
        held = math.erf(z / math.sqrt(2)) - math.sqrt(2 / math.pi) * z * math.exp(-z * z / 2)
        low, high = (z, high) if held < confidence else (low, z)
    return (low + high) / 2


def _sigmas(confidence: float, dimensions: int, rule: NormalRule) -> float:
    if rule is NormalRule.BOX or dimensions == 1:
        return sigmas_of_height(confidence ** (1.0 / dimensions))
    return sigmas_of_circle(confidence) if dimensions == 2 else sigmas_of_ball(confidence)


def normal_factor(confidence: float, wanted: float, dimensions: int, rule: NormalRule = NormalRule.ROUND) -> float:
    """What the lengths of a region of a normal distribution are multiplied with to hold `wanted`.

    Parameters
    ----------
    confidence, wanted
        Above 0, below 1.
    dimensions
        1, 2 or 3.
    rule
        RFC 7459's box, or the exact round one.

    References
    ----------
    RFC 7459 section 5.4.2.

    >>> round(normal_factor(0.68, 0.95, 2), 4), round(normal_factor(0.68, 0.95, 2, NormalRule.BOX), 4)
    (1.6215, 1.6504)
    """
    return _sigmas(wanted, dimensions, rule) / _sigmas(confidence, dimensions, rule)


def flat_confidence(confidence: float) -> float:
    """Confidence, at least, of a region of three dimensions when its height is left out.

    References
    ----------
    RFC 7459 section 5.3.

    >>> round(flat_confidence(0.95), 3)
    0.966
    """
    return math.exp(math.log(confidence) * 2.0 / 3.0)


def rectangular_confidence(confidence: float, size: float, smaller_size: float) -> float:
    """Confidence of a part of a region in which all places are as likely; sizes are areas or volumes.

    References
    ----------
    RFC 7459 section 5.4.1. A greater region holds no more than the first one did.

    >>> round(rectangular_confidence(0.95, 12600.0, 4566.2), 3)
    0.344
    """
    return confidence * min(1.0, smaller_size / size)


def rounded_up(length_m: float, digits: int = 0) -> float:
    """An uncertainty with so many decimals, never less than it was (RFC 7459 section 5).

    >>> rounded_up(99.042, 1), rounded_up(30.0)
    (99.1, 30.0)
    """
    unit = 10.0**digits
    return math.ceil(length_m * unit * (1 - 1e-12)) / unit


def rounded_down(confidence: float, digits: int = 2) -> float:
    """A confidence with so many decimals, never more than it was (RFC 7459 section 5).

    >>> rounded_down(0.34428), rounded_down(0.57)
    (0.34, 0.57)
    """
    unit = 10.0**digits
    return math.floor(confidence * unit + _SLACK) / unit
