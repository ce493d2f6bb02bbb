"""Altitude of the answer, from the reports that agree with it."""

from __future__ import annotations

from locsvc.model import Altitude
from locsvc.units import sigmas_of_height

# Reports that are probably wrong about the place are not asked for the height.
LEAST_AGREEMENT = 0.5
# Heights that differ by more than this many of their joint sigmas are not averaged: the best one stands.
APART_SIGMAS = 3.0
# No phone knows its height better than this; it keeps weights finite when a report states a tiny uncertainty.
LEAST_SIGMA_M = 0.1


def altitude_of(given: list[tuple[float, float | None, str, float]], confidence: float) -> Altitude | None:
    """The altitude, or None when nothing is known.

    Parameters
    ----------
    given
        (altitude in metres, sigma in metres or None, floor, agreement of its report with the answer).
    confidence
        Of the half height in the answer.

    >>> altitude_of([(12.0, 2.0, "3", 0.9), (14.0, 2.0, "", 0.8)], 0.9).altitude_m
    13.0
    """
    heard = [g for g in given if g[3] >= LEAST_AGREEMENT]
    if not heard:
        return None
    floor = next((g[2] for g in heard if g[2]), "")
    known = sorted(((m, max(s, LEAST_SIGMA_M)) for m, s, _, _ in heard if s), key=lambda ms: ms[1])
    if not known:
        return Altitude(heard[0][0], None, confidence, floor)
    best_m, best_s = known[0]
    alike = [(m, s) for m, s in known if abs(m - best_m) <= APART_SIGMAS * (s * s + best_s * best_s) ** 0.5]
    weight = sum(1 / (s * s) for _, s in alike)
    mean = sum(m / (s * s) for m, s in alike) / weight
    # Heights of one phone share their error: the best one's sigma is not bettered by counting them.
    return Altitude(mean, best_s * sigmas_of_height(confidence), confidence, floor)
