"""How each piece of evidence stands to the answer: how probably it is right, and what it added."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled
from locsvc.fusion.evaluation import EXPONENT, NARROWNESS_M2, Pieces, Places, blur_of, evaluate_call

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.grid import Posterior

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

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
    leaves, pieces = posterior.leaves, posterior.pieces
    agreement, share = np.empty(len(pieces.piece)), np.empty(len(pieces.piece))
    agree_calls(pieces, leaves.starts, leaves.cell, leaves.mass, leaves.area_m2, leaves.vectors, agreement, share)
    return Agreement(agreement, share)


@compiled
def agree_calls(
    d: Pieces,
    starts: Ints,
    cells: Cells,
    mass: Floats,
    area_m2: Floats,
    vectors: Floats,
    agreement: Floats,
    share: Floats,
) -> None:
    """Fills agreement and share (pieces,) of all calls."""
    x, y, z, area = np.empty(SAMPLE), np.empty(SAMPLE), np.empty(SAMPLE), np.empty(SAMPLE)
    cell = np.empty(SAMPLE, np.uint64)
    places = Places(x, y, z, cell, area)
    log, sharp, gain = np.empty(SAMPLE, np.float32), np.empty(SAMPLE, np.float32), np.empty(SAMPLE, np.float32)
    for call in range(len(starts) - 1):
        # The middles of SAMPLE equal slices of the call's probability.
        total = mass[starts[call] : starts[call + 1]].sum()
        i, held = starts[call], mass[starts[call]]
        for k in range(SAMPLE):
            while held <= total * (2 * k + 1) / (2 * SAMPLE) and i + 1 < starts[call + 1]:
                i += 1
                held += mass[i]
            x[k], y[k], z[k], area[k] = vectors[i, 0], vectors[i, 1], vectors[i, 2], area_m2[i]
            cell[k] = cells[i]
        first, last = d.first_piece[call], d.first_piece[call + 1]
        right = np.empty((last - first, SAMPLE), np.float32)
        # Cells of one call differ in size; a typical one blurs as well as each its own.
        evaluate_call(d, call, places, SAMPLE, blur_of(np.median(area)), log, sharp, gain, right)
        trusted = False
        for p in range(first, last):
            heard = 0.0
            for k in range(SAMPLE):
                heard += right[p - first, k]
            agreement[p] = heard / SAMPLE
            trusted = trusted or agreement[p] > 0.5
        whole = 0.0
        for p in range(first, last):
            # Pieces that are more probably wrong than right made nothing narrow; unless there are no others.
            weight = max(2.0 * agreement[p] - 1.0, 0.0) if trusted else agreement[p]
            share[p] = weight * d.piece[p, EXPONENT] / max(d.piece[p, NARROWNESS_M2], 1.0)
            whole += share[p]
        for p in range(first, last):
            share[p] /= max(whole, 1e-300)
