"""What the posterior says of a place that is known afterwards: its density there, the region that just holds it.

For evaluation and calibration, on posteriors as `Resolver.answer` leaves them (`Answered.located.posterior`); a live
call never comes here.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np

from locsvc.compiled import compiled
from locsvc.fusion.evaluation import (
    EXPONENT,
    LOG_REFERENCE,
    Pieces,
    Places,
    angle_of_chord,
    axes_at,
    blur_of,
    evaluate_call,
    padded,
    pieces_of,
)
from locsvc.fusion.lattice import FINEST, FLAT_AREA_M2
from locsvc.geo import SEMI_MAJOR_AXIS_M, unit_vectors

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.densities import Densities
    from locsvc.fusion.grid import Posterior

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

# Mean distance of two points of a hexagon as a part of the root of its area: 0.82626 sides, a side is 0.62040 roots.
HEXAGON_MEAN_DISTANCE = 0.51261
# Leaves, densest first, that an energy score is made of: what is left out changes it by no more than its square.
SCORED_MASS = 0.999
# Chord, as a part of the radius, beyond which distances are taken along the globe: 0.1 is 0.04 % short.
_BENT = 0.1
# Series of 2 asin(chord / 2) / chord, less 1, in the squared chord.
_ARC_1, _ARC_2, _ARC_3 = np.float32(1 / 24), np.float32(3 / 640), np.float32(5 / 7168)


@dataclass(slots=True)
class Probe:
    """What posteriors say of one place each, (calls,) float64; NaN where no place was given.

    `log_density` is the natural logarithm of the density there, 1 / m2: of the densities themselves, not averaged over
    a cell, in proportion to the mass of the leaves; so it is known outside of all leaves too.
    `level_from` is the mass of all denser leaves: regions of a greater confidence hold the place, regions of this one
    and smaller ones do not. `level_to` is that with the place's own leaf; it is 1 where no leaf holds the place.
    """

    log_density: Floats
    level_from: Floats
    level_to: Floats

    def levels(self, rng: np.random.Generator) -> Floats:
        """Highest-density levels of the places, (calls,), drawn evenly between the two ends: uniform if all is true.

        References
        ----------
        Smith 1985 and Czado, Gneiting, Held 2009: the randomised probability integral transform of what comes in steps.
        """
        return self.level_from + rng.random(len(self.level_from)) * (self.level_to - self.level_from)


def probe(posterior: Posterior, latitude_deg: Floats, longitude_deg: Floats) -> Probe:
    """What each posterior says of a place: density, and the highest-density region that just holds it.

    Parameters
    ----------
    posterior
        Of some calls. Leaves are finest where the confidence was asked for that it was made for; ask for a high one.
    latitude_deg, longitude_deg
        (calls,) float64, degrees; NaN for none.

    References
    ----------
    Hyndman 1996, Computing and graphing highest density regions, The American Statistician 50, 120-126.
    """
    leaves = posterior.leaves
    known = np.isfinite(latitude_deg) & np.isfinite(longitude_deg)
    lat, lng = np.where(known, latitude_deg, 0.0), np.where(known, longitude_deg, 0.0)
    # Of the resolution of each call's finest leaf: its ancestors are what a coarser leaf would be.
    fine = _finest(leaves.cell, leaves.starts)
    asked = list(zip(lat.tolist(), lng.tolist(), fine.tolist(), strict=True))
    cell = np.array([h3.latlng_to_cell(*one) for one in asked], np.uint64)
    # What a histogram says is asked of the smallest cell there.
    point = np.array([h3.latlng_to_cell(a, b, FINEST) for a, b, _ in asked], np.uint64)
    out = np.empty((3, len(cell)))
    at = unit_vectors(lat, lng).reshape(-1, 3)
    of_leaves = (leaves.starts, leaves.cell, leaves.mass, leaves.area_m2, leaves.vectors)
    _probe_calls(posterior.pieces, *of_leaves, cell, point, at, out)
    out[:, ~known] = np.nan
    return Probe(out[0], out[1], out[2])


def lone_log_densities(densities: Densities, latitude_deg: Floats, longitude_deg: Floats) -> Floats:
    """What each piece says by itself of a place, (k,) float64: natural logarithm of its density there, 1 / m2.

    No posterior is made, so it costs a microsecond a piece. Exponents count.

    Parameters
    ----------
    densities
        Pieces of any calls.
    latitude_deg, longitude_deg
        (k,) float64, degrees: one place a piece.
    """
    k = len(densities.call)
    alone = dataclasses.replace(densities, call=np.arange(k))
    at = unit_vectors(latitude_deg, longitude_deg).reshape(-1, 3)
    finest = zip(latitude_deg.tolist(), longitude_deg.tolist(), strict=True)
    point = np.array([h3.latlng_to_cell(a, b, FINEST) for a, b in finest], np.uint64)
    out = np.empty(k)
    _log_alone(pieces_of(alone, k), at, point, FLAT_AREA_M2[FINEST], out)
    return out


def energy_scores_m(posterior: Posterior, latitude_deg: Floats, longitude_deg: Floats) -> Floats:
    """Energy score of each posterior against a place, (calls,) float64, metres, lower is better; NaN for no place.

    E|X - y| - E|X - X'| / 2, X and X' drawn from the leaves: the continuous ranked probability score of two dimensions.
    Of an answer that is a point it is the error. What lies outside of the leaves is left out: it counts by its square.

    Parameters
    ----------
    posterior, latitude_deg, longitude_deg
        As in `probe`.

    References
    ----------
    Gneiting and Raftery 2007, Strictly proper scoring rules, prediction, and estimation, JASA 102, section 4.3.
    """
    known = np.isfinite(latitude_deg) & np.isfinite(longitude_deg)
    at = unit_vectors(np.where(known, latitude_deg, 0.0), np.where(known, longitude_deg, 0.0)).reshape(-1, 3)
    leaves, anchor = posterior.leaves, posterior.pieces.anchor
    out = np.empty(len(at))
    _score_calls(anchor, leaves.starts, leaves.mass, leaves.area_m2, leaves.vectors, at, out)
    out[~known] = np.nan
    return out


@compiled
def _finest(cell: Cells, starts: Ints) -> Ints:
    """Resolution of each call's finest leaf, (calls,)."""
    fine = np.zeros(len(starts) - 1, np.int64)
    for call in range(len(fine)):
        for i in range(starts[call], starts[call + 1]):
            fine[call] = max(fine[call], np.int64((cell[i] >> np.uint64(52)) & np.uint64(15)))
    return fine


@compiled
def _is_below(cell: np.uint64, above: np.uint64) -> bool:
    """Whether `above` is the cell or an ancestor of it."""
    resolution = (above >> np.uint64(52)) & np.uint64(15)
    # Digits below an index's own resolution are all ones; the resolution stands in bits 52 to 55.
    blank = (np.uint64(1) << (np.uint64(3) * (np.uint64(FINEST) - resolution))) - np.uint64(1)
    return bool((cell & np.uint64(0xFF0FFFFFFFFFFFFF)) | blank == above & np.uint64(0xFF0FFFFFFFFFFFFF))


@compiled
def _probe_calls(
    d: Pieces,
    starts: Ints,
    cell: Cells,
    mass: Floats,
    area_m2: Floats,
    vectors: Floats,
    asked: Cells,
    point: Cells,
    at: Floats,
    out: Floats,
) -> None:
    """Fills log density and both levels (3, calls) of places: unit vectors `at`, cells as fine as leaves, points."""
    p, m = Places(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1, np.uint64), np.zeros(1)), padded(1)
    log, sharpness, gain = np.empty(m, np.float32), np.empty(m, np.float32), np.empty(m, np.float32)
    none = np.empty((0, 0), np.float32)
    for call in range(len(asked)):
        first = starts[call]
        # What the densest leaf has, by the densities and by its mass, tells what all of them sum to.
        p.x[0], p.y[0], p.z[0] = vectors[first, 0], vectors[first, 1], vectors[first, 2]
        p.cell[0], p.area_m2[0] = cell[first], area_m2[first]
        evaluate_call(d, call, p, 1, blur_of(area_m2[first]), log, sharpness, gain, none)
        whole = np.float64(log[0]) - math.log(mass[first] / area_m2[first])
        p.x[0], p.y[0] = at[call, 0] - d.anchor[call, 0], at[call, 1] - d.anchor[call, 1]
        p.z[0], p.cell[0] = at[call, 2] - d.anchor[call, 2], point[call]
        levels = FINEST - np.int64((cell[first] >> np.uint64(52)) & np.uint64(15))
        p.area_m2[0] = area_m2[first] / 7.0**levels
        evaluate_call(d, call, p, 1, 0.0, log, sharpness, gain, none)
        out[0, call] = np.float64(log[0]) - whole
        held, own = 0.0, -1.0
        for i in range(first, starts[call + 1]):
            if _is_below(asked[call], cell[i]):
                own = mass[i]
                break
            held += mass[i]
        out[1, call] = min(held, 1.0)
        out[2, call] = min(held + own, 1.0) if own >= 0.0 else 1.0


@compiled
def _log_alone(d: Pieces, at: Floats, point: Cells, area_m2: float, out: Floats) -> None:
    """Fills the log density of each call, which has one piece, at its unit vector `at`, in the cell `point`."""
    p, m = Places(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1, np.uint64), np.zeros(1)), padded(1)
    log, sharpness, gain = np.empty(m, np.float32), np.empty(m, np.float32), np.empty(m, np.float32)
    none = np.empty((0, 0), np.float32)
    for k in range(len(at)):
        p.x[0], p.y[0] = at[k, 0] - d.anchor[k, 0], at[k, 1] - d.anchor[k, 1]
        p.z[0], p.cell[0], p.area_m2[0] = at[k, 2] - d.anchor[k, 2], point[k], area_m2
        evaluate_call(d, k, p, 1, 0.0, log, sharpness, gain, none)
        out[k] = np.float64(log[0]) + d.piece[k, EXPONENT] * d.piece[k, LOG_REFERENCE]


@compiled
def _score_calls(
    anchor: Floats, starts: Ints, mass: Floats, area_m2: Floats, vectors: Floats, at: Floats, out: Floats
) -> None:
    """Fills the energy scores, (calls,) metres."""
    for call in range(len(at)):
        a, n, whole = starts[call], 0, 0.0
        while a + n < starts[call + 1] and whole < SCORED_MASS:
            whole += mass[a + n]
            n += 1
        place = np.empty((3, n + 1))
        _put_metres(anchor[call], vectors[a : a + n], at[call], place)
        e, m, u = place[0], place[1], place[2]
        farthest = away = among = 0.0
        for i in range(n):
            away += mass[a + i] * _along(math.sqrt((e[i] - e[n]) ** 2 + (m[i] - m[n]) ** 2 + (u[i] - u[n]) ** 2))
            farthest = max(farthest, e[i] * e[i] + m[i] * m[i] + u[i] * u[i])
            # Masses are averages over cells already: a leaf's width counts only where both draws are in it.
            among += mass[a + i] * mass[a + i] * HEXAGON_MEAN_DISTANCE * math.sqrt(area_m2[a + i]) / 2.0
        among += _among(mass[a : a + n], place, farthest > (_BENT / 2.0 * SEMI_MAJOR_AXIS_M) ** 2)
        # Each pair was counted once, which is half of E|X - X'|.
        out[call] = away / whole - among / (whole * whole)


@compiled
def _among(mass: Floats, place: Floats, bent: bool) -> float:  # noqa: FBT001 - a kernel's arguments have places
    """Sum over pairs of leaves of masses times distance: loops that become vector code."""
    n = len(mass)
    e, m, u = place[0].astype(np.float32), place[1].astype(np.float32), place[2].astype(np.float32)
    row, small = np.zeros(n, np.float32), np.float32(1.0 / SEMI_MAJOR_AXIS_M**2)
    for i in range(n):
        part, x, y, z = np.float32(mass[i]), e[i], m[i], u[i]
        if bent:
            for j in range(i):
                dx, dy, dz = e[j] - x, m[j] - y, u[j] - z
                square = dx * dx + dy * dy + dz * dz
                # The arc's series in the chord: a fifth short at the antipode.
                more = square * small
                more *= _ARC_1 + more * (_ARC_2 + more * _ARC_3)
                row[j] += part * np.sqrt(square) * (np.float32(1.0) + more)
        else:
            for j in range(i):
                dx, dy = e[j] - x, m[j] - y
                row[j] += part * np.sqrt(dx * dx + dy * dy)
    total = 0.0
    for j in range(n):
        total += mass[j] * row[j]
    return total


@compiled
def _along(chord_m: float) -> float:
    """Length along the globe of a chord, metres."""
    if chord_m < _BENT * SEMI_MAJOR_AXIS_M:
        return chord_m
    part = chord_m / SEMI_MAJOR_AXIS_M
    return SEMI_MAJOR_AXIS_M * angle_of_chord(part * part)


@compiled
def _put_metres(anchor: Floats, vectors: Floats, at: Floats, out: Floats) -> None:
    """Fills metres east, north and up (3, n + 1), from the anchor, of leaves and, last, of a place."""
    e0, e1, n0, n1, n2, _ = axes_at(anchor[0], anchor[1], anchor[2])
    n = len(vectors)
    for i in range(n + 1):
        if i < n:
            x, y, z = vectors[i, 0], vectors[i, 1], vectors[i, 2]
        else:
            x, y, z = at[0] - anchor[0], at[1] - anchor[1], at[2] - anchor[2]
        out[0, i] = x * e0 + y * e1
        out[1, i] = x * n0 + y * n1 + z * n2
        out[2, i] = (x * anchor[0] + y * anchor[1] + z * anchor[2]) * SEMI_MAJOR_AXIS_M
