"""How well a scan's levels fit what places know of its cells: all places of a scan side by side, in vector code.

What a place knows of the cells that it heard stands in a row a quantity and cell, with a column a place: numbers of one
kind lie together, so that eight places are worked on at once. Each place's sums still run over its cells in their
order, so that its bits do not hang on the places beside it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, exp32, log32
from locsvc.resolver.coverage_passing import MOST_CELLS, MOST_COMPARED

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

# Places of a scan: columns.
PLACES = MOST_COMPARED
# Rows of a cell in `heard`: how far the scan's level is off the place's mean, then the offset of phone and car taken
# out; looks that heard the cell, then 1 over the variance; variance of the place's own levels (infinite where nothing
# was measured), then the share of scans that heard the cell; 1 over the looks at the place (0: a cell that was not
# heard).
OFF, LOOKS, SPREAD, OF_LOOKS, CELL_ROWS = range(5)
# Columns that are worked on at once: vectors are whole.
_WHOLE = 32
# Levels that a phone tells lie within some 60 dB: the density of one that nothing is known of.
LEVEL_RANGE_DB = 60.0
# Products of densities and shares become logarithms before they are too small for a float.
UNDERFLOW = 1e-200
_OFFSET_STEPS = 3
# Rows of what is worked out.
OFFSET, FIT, HELD, PRODUCT, EXPLAINED, FITTED_ROWS = range(6)


class Comparison(NamedTuple):
    """Numbers of the comparison, see [coverage_scan] of the calibration."""

    level_exponent: float
    unheard_exponent: float
    serving_exponent: float
    visits_exponent: float
    level_sd_db: float
    level_freedom: float
    offset_sd_db: float
    mean_sd_db: float
    pooled_looks: float
    prior_looks: float
    prior_share: float
    most_share: float
    stray_rate: float
    usual_cells: float
    cells_power: float


class Levels(NamedTuple):
    """Room for the levels of one scan."""

    heard: Floats  # (MOST_CELLS * CELL_ROWS * PLACES,): rows of the first cell that each place heard, of the second ...
    cells: Ints  # (PLACES,): how many cells each place heard
    fitted: Floats  # (FITTED_ROWS * PLACES,)


def room_for_levels() -> Levels:
    """Room for the levels of one scan after the other."""
    return Levels(np.zeros(MOST_CELLS * CELL_ROWS * PLACES), np.zeros(PLACES, np.int64), np.zeros(FITTED_ROWS * PLACES))


@compiled
def fit_levels(levels: Levels, places: int, scanned: int, c: Comparison) -> None:
    """Puts rows FIT and EXPLAINED of `fitted` for the first places, for a scan of so many cells.

    FIT is the logarithm of how well the cells that were heard fit, EXPLAINED how many they explain.
    """
    heard, cells, fitted = levels
    most = 0
    for i in range(places):
        most = max(most, cells[i])
    columns = min((places + (_WHOLE - 1)) // _WHOLE * _WHOLE, PLACES)
    for i in range(places, columns):
        cells[i] = 0
    _put_sharpness(heard, columns, most, c)
    _put_offsets(heard, columns, most, c, fitted)
    stray = max(c.stray_rate / LEVEL_RANGE_DB, 1e-37)
    log_stray = math.log(stray)
    for i in range(columns):
        fitted[FIT * PLACES + i] = (
            -0.5 * (fitted[OFFSET * PLACES + i] / c.offset_sd_db) ** 2 + (scanned - cells[i]) * log_stray
        )
        fitted[EXPLAINED * PLACES + i] = 0.0
        fitted[PRODUCT * PLACES + i] = 1.0
    underflows = stray**most < UNDERFLOW
    freedom = c.level_freedom
    unit = math.exp(math.lgamma((freedom + 1.0) / 2.0) - math.lgamma(freedom / 2.0)) / math.sqrt(freedom * math.pi)
    for h in range(most):
        _multiply(heard, columns, h, (stray, freedom, unit), cells, fitted)
        for i in range(columns if underflows else 0):
            if fitted[PRODUCT * PLACES + i] < UNDERFLOW:
                fitted[FIT * PLACES + i] += math.log(fitted[PRODUCT * PLACES + i])
                fitted[PRODUCT * PLACES + i] = 1.0
    for i in range(places):
        fitted[FIT * PLACES + i] += math.log(fitted[PRODUCT * PLACES + i])


@compiled
def _put_sharpness(heard: Floats, columns: int, most: int, c: Comparison) -> None:
    """Turns looks into 1 over the variance of a level, and the variance of levels into the share of scans."""
    prior, pooled, mean2 = c.prior_looks * c.prior_share, c.pooled_looks * c.level_sd_db**2, c.mean_sd_db**2
    for h in range(most):
        row = CELL_ROWS * PLACES * h
        for i in range(columns):
            looks, spread = heard[row + LOOKS * PLACES + i], heard[row + SPREAD * PLACES + i]
            variance = (pooled + looks * spread) / (c.pooled_looks + looks)
            variance += mean2 / (looks + 0.3)
            heard[row + LOOKS * PLACES + i] = 1.0 / variance
            share = (looks + prior) * heard[row + OF_LOOKS * PLACES + i]
            heard[row + SPREAD * PLACES + i] = min(share, c.most_share)


@compiled
def _put_offsets(heard: Floats, columns: int, most: int, c: Comparison, fitted: Floats) -> None:
    """Puts what phone and car add to all levels, as each place would have it: a robust mean that is drawn to 0."""
    for i in range(columns):
        fitted[OFFSET * PLACES + i] = 0.0
    for _ in range(_OFFSET_STEPS):
        for i in range(columns):
            fitted[FIT * PLACES + i] = 1.0 / c.offset_sd_db**2
            fitted[HELD * PLACES + i] = 0.0
        for h in range(most):
            row = CELL_ROWS * PLACES * h
            for i in range(columns):
                off, sharp = heard[row + OFF * PLACES + i], heard[row + LOOKS * PLACES + i]
                beside = off - fitted[OFFSET * PLACES + i]
                weight = heard[row + SPREAD * PLACES + i] * (c.level_freedom + 1.0) * sharp
                weight /= c.level_freedom + beside * beside * sharp
                fitted[FIT * PLACES + i] += weight
                fitted[HELD * PLACES + i] += weight * off
        for i in range(columns):
            fitted[OFFSET * PLACES + i] = fitted[HELD * PLACES + i] / fitted[FIT * PLACES + i]


@compiled
def _multiply(
    heard: Floats, columns: int, h: int, terms: tuple[float, float, float], cells: Ints, fitted: Floats
) -> None:
    """Multiplies PRODUCT by the density of the level of each place's cell `h`, and counts what it explains."""
    stray, freedom, unit = terms
    row = CELL_ROWS * PLACES * h
    for i in range(columns):
        off, sharp = heard[row + OFF * PLACES + i] - fitted[OFFSET * PLACES + i], heard[row + LOOKS * PLACES + i]
        # To 1e-7: a tenth of the library's time.
        log = np.float64(log32(np.float32(1.0 + off * off * sharp / freedom)))
        power = -0.5 * (freedom + 1.0) * log
        measured = unit * math.sqrt(sharp) * np.float64(exp32(np.float32(power)))
        here = measured if sharp > 0.0 else 1.0 / LEVEL_RANGE_DB
        density = stray + heard[row + SPREAD * PLACES + i] * here
        counts = h < cells[i]
        fitted[EXPLAINED * PLACES + i] += 1.0 - stray / density if counts else 0.0
        fitted[PRODUCT * PLACES + i] *= density if counts else 1.0
