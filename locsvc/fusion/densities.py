"""What evidence says about the ground: normalised densities, evaluated for all pieces of all calls at once.

A piece of evidence is a mixture of components (rows here) of one of four families, with an outlier share:

    p_i(x) = ((1 - e_i) * sum_j w_ij f_ij(x)  +  e_i * B_i(x)) ** alpha_i

* GAUSSIAN: centre and covariance; circles, ellipses, geocodes.
* RING: a band around a centre with soft edges, in all directions or in a soft sector: discs (inner radius 0), arc
  bands, mast + azimuth + timing advance.
* POLYGON: uniform inside corners, with a soft edge.
* HISTOGRAM: H3 cells with masses, learned from located history.

B is a wide bivariate Student density (2 degrees of freedom): where the caller may be when the piece is wrong. alpha
below 1 counts pieces that repeat one another only in part (a log-linear pool).

Lengths are metres in the tangent plane of the piece's own centre, so a call's pieces may lie anywhere on the globe.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

# Standard deviation of a logistic edge of width w is w * pi / sqrt(3).
LOGISTIC_WIDTH = math.sqrt(3) / math.pi
# Mean square distance of a hexagon's points from its centre, along one axis, as a part of its area: 5 / (36 sqrt(3)).
HEXAGON_VARIANCE = 5 / (36 * math.sqrt(3))
# Gaussian radius that holds 99.9 %: sqrt(-2 ln 0.001).
SUPPORT_SIGMAS = 3.717
# Logistic edge beyond which 0.1 % of its height is left: ln(1000).
SUPPORT_WIDTHS = 6.91
RADIAL_STEPS = 96
# Part of a small cell's width that softens a polygon's edge.
POLYGON_BLUR = 0.78


class Family(enum.IntEnum):
    """Shape of a component."""

    GAUSSIAN = 0
    RING = 1
    POLYGON = 2
    HISTOGRAM = 3


_HISTOGRAM = int(Family.HISTOGRAM)

# Columns of `Densities.component`.
COMPONENT_COLUMNS = (
    "family",
    "weight",
    "variance_e_m2",
    "covariance_m2",
    "variance_n_m2",
    "inner_m",
    "outer_m",
    "inner_soft_m",
    "outer_soft_m",
    "azimuth_deg",
    "half_opening_deg",
    "opening_soft_deg",
    "first_row",
    "rows",
)
FAMILY, WEIGHT, VARIANCE_E, COVARIANCE, VARIANCE_N, INNER, OUTER, INNER_SOFT, OUTER_SOFT = range(9)
AZIMUTH, HALF_OPENING, OPENING_SOFT, FIRST_ROW, ROWS = range(9, 14)


@dataclass(slots=True)
class Densities:
    """Evidence of many calls; rows are sorted by call, components by piece.

    Pieces, (k,): `call` int64 ascending; `latitude_deg`, `longitude_deg` of the centre; `outlier_share` e, above 0,
    below 1; `outlier_scale_m` of B; `exponent` alpha, above 0 to 1.

    Components, (m,): `piece` int64 ascending, each piece at least once; `component` (m, 14) float64, the columns of
    COMPONENT_COLUMNS: `family`; `weight`, summing to 1 a piece; and by family: variances and covariance (GAUSSIAN);
    inner and outer radius and their logistic widths, azimuth, half opening (180: all directions) and its logistic
    width (RING); `first_row`, `rows` of `corner_m`, reach as outer radius and `outer_soft_m` (POLYGON); `first_row`,
    `rows` of `bin`, reach as outer radius and narrowness as `variance_e_m2` (HISTOGRAM).

    Corners, (v, 2): `corner_m` east and north of the piece's centre.

    Bins, (b,): `bin` int64, H3 cells of any resolutions, none within another, those of a component in the order of
    their digits (the low 52 bits); `held` float64, mass of the component's bins up to and with each; 1 in the last.
    """

    call: Ints
    latitude_deg: Floats
    longitude_deg: Floats
    outlier_share: Floats
    outlier_scale_m: Floats
    exponent: Floats
    piece: Ints
    component: Floats
    corner_m: Floats
    bin: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    held: Floats = field(default_factory=lambda: np.zeros(0))

    def column(self, number: int) -> Floats:
        """One column of the components, (m,)."""
        return self.component[:, number]

    def support_m(self) -> Floats:
        """Radius, (m,) metres, around the centre that holds 99.9 % of each component."""
        return np.array([support_m(row) for row in self.component])


@compiled
def support_m(row: Floats) -> float:
    """Radius, metres, around the centre that holds 99.9 % of a component (a row of `Densities.component`)."""
    if row[FAMILY] == 0.0:
        half = math.hypot((row[VARIANCE_E] - row[VARIANCE_N]) / 2.0, row[COVARIANCE])
        return SUPPORT_SIGMAS * math.sqrt((row[VARIANCE_E] + row[VARIANCE_N]) / 2.0 + half)
    return float(row[OUTER] + SUPPORT_WIDTHS * row[OUTER_SOFT])


@compiled
def narrowness_m2(row: Floats) -> float:
    """Variance, square metres, across the narrow side of a component: below it a cell shows detail."""
    if row[FAMILY] == _HISTOGRAM:
        return float(row[VARIANCE_E])
    if row[FAMILY] == 0.0:
        half = math.hypot((row[VARIANCE_E] - row[VARIANCE_N]) / 2.0, row[COVARIANCE])
        return float((row[VARIANCE_E] + row[VARIANCE_N]) / 2.0 - half)
    return float((row[OUTER] - row[INNER]) ** 2 / 12.0 + (row[OUTER_SOFT] / LOGISTIC_WIDTH) ** 2)
