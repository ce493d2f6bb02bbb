"""How each piece of evidence stands to the answer: how probably it is right, and what it added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.densities import HEXAGON_VARIANCE
from locsvc.fusion.evaluation import evaluate

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.grid import Posterior

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

# Leaves a call that are looked at, evenly spaced in probability.
SAMPLE = 64


@dataclass(slots=True)
class Agreement:
    """(pieces,): probability that each is right, and its part in making the answer narrow (1 a call in sum)."""

    agreement: Floats
    share: Floats


def agreement_of(posterior: Posterior) -> Agreement:
    """How each piece stands to the answer.

    The probability that a piece is right is averaged over the posterior: at each place, its inlying part over its
    whole. Its share is what that probability has above a half, times its weight over its variance, as sources add up in
    a Gaussian fusion.
    """
    leaves, prepared = posterior.leaves, posterior.prepared
    d = prepared.densities
    calls = len(leaves.starts)
    mass = np.rint(leaves.mass * (1 << 40)).astype(np.int64)
    cumulative = np.cumsum(mass)
    base = cumulative[leaves.starts] - mass[leaves.starts]
    total = np.add.reduceat(mass, leaves.starts)
    # The middles of SAMPLE equal slices of each call's probability.
    target = base[:, None] + (2 * np.arange(SAMPLE) + 1) * (total // (2 * SAMPLE))[:, None]
    at = np.searchsorted(cumulative, target.ravel(), side="right").reshape(calls, SAMPLE)
    at = np.minimum(at, (leaves.ends() - 1)[:, None])
    vectors = leaves.vectors[:, at]
    # Cells of one call differ in size; a typical one blurs as well as each its own.
    blur = HEXAGON_VARIANCE * np.median(leaves.area_m2[at], axis=1)
    seen = evaluate(prepared.of_calls(np.arange(calls)), vectors, blur)
    agreement = seen.agreement.mean(axis=1, dtype=np.float64)
    # Pieces that are more probably wrong than right made nothing narrow; unless there are no others.
    right = np.maximum(2 * agreement - 1, 0.0)
    none = np.maximum.reduceat(right, prepared.first_piece) <= 0
    strength = np.where(none[d.call], agreement, right) * d.exponent / np.maximum(prepared.narrowness_m2, 1.0)
    whole = np.add.reduceat(strength, prepared.first_piece)
    return Agreement(agreement, strength / np.maximum(whole, 1e-300)[d.call])
