"""Densities evaluated at cells: all pieces of one call at once, and the posterior's logarithm from them.

Positions are float32 metres relative to each call's anchor, or to each piece where a call's pieces lie far apart. What
a look at a level of cells costs is the passes over these arrays, one for each component of a density.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, inlined, log32
from locsvc.fusion.components import Tables, add_gaussian, add_histogram, add_shape
from locsvc.fusion.densities import FAMILY, HEXAGON_VARIANCE, Densities, Family, narrowness_m2, support_m
from locsvc.geo import ECCENTRICITY_SQUARED, SEMI_MAJOR_AXIS_M

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

# Places are worked on in multiples of this.
WHOLE = 32
# Pieces farther than this from their call's anchor are measured in planes of their own.
FAR_M = 200_000.0
# Below this, what a closer look may add is taken to rise evenly.
LEAST_LOWER = np.float32(0.01)
# Angle (a chord of it) beyond which the globe's bend matters: sin(0.15) is 0.4 % short.
BENT = 0.15

_GAUSSIAN, _HISTOGRAM = int(Family.GAUSSIAN), int(Family.HISTOGRAM)
_F = np.float32
_ONE, _ZERO = _F(1), _F(0)
# The least that a logarithm is taken of: a normal float32.
_TINY = _F(1e-37)
# Series of 4 asin^2(chord / 2) in the squared chord, less its first term.
_A1, _A2, _A3, _A4 = _F(1 / 12), _F(1 / 90), _F(1 / 560), _F(1 / 3150)


class Pieces(NamedTuple):
    """Evidence as kernels read it: few arrays, as each costs something where one kernel calls another.

    center (k, 3) unit vectors; anchor (calls, 3): where each call's float32 is finest; first_piece (calls + 1,) and
    first_component (k + 1,), rows of each call and of each piece; piece (k, 7) and component (m, 14) float64, columns
    SHARE to HEIGHT and FAMILY to ROWS of `Densities`; what components refer to.
    """

    center: Floats
    anchor: Floats
    first_piece: Ints
    first_component: Ints
    piece: Floats
    component: Floats
    tables: Tables


class Places(NamedTuple):
    """Where a call is looked at, (places,): unit vectors less the call's anchor; H3 cells there, and their areas.

    Cells and areas are read where there are histograms only.
    """

    x: Floats
    y: Floats
    z: Floats
    cell: Cells
    area_m2: Floats


SHARE, SCALE_M, EXPONENT, SUPPORT_M, NARROWNESS_M2, LOG_REFERENCE, HEIGHT = range(7)


def pieces_of(densities: Densities, calls: int) -> Pieces:
    """The evidence of all calls, made ready for kernels; every call must have at least one piece."""
    d = densities
    center, anchor, first_piece = np.empty((len(d.call), 3)), np.empty((calls, 3)), np.empty(calls + 1, np.int64)
    piece, first_component = np.empty((len(d.call), 7)), np.empty(len(d.call) + 1, np.int64)
    pieces = Pieces(center, anchor, first_piece, first_component, piece, d.component, Tables(d.corner_m, d.bin, d.held))
    _make_ready(
        pieces,
        d.call,
        d.piece,
        np.ascontiguousarray(d.latitude_deg),
        np.ascontiguousarray(d.longitude_deg),
        np.ascontiguousarray(d.outlier_share),
        np.ascontiguousarray(d.outlier_scale_m),
        np.ascontiguousarray(d.exponent),
    )
    return pieces


@compiled
def _make_ready(
    p: Pieces,
    call_of_piece: Ints,
    piece_of_component: Ints,
    latitude_deg: Floats,
    longitude_deg: Floats,
    share: Floats,
    scale_m: Floats,
    exponent: Floats,
) -> None:
    """Fills what `pieces_of` leaves open."""
    components, pieces = len(piece_of_component), len(call_of_piece)
    for c in range(components):
        k = piece_of_component[c]
        support, narrow = support_m(p.component[c]), narrowness_m2(p.component[c])
        if c == 0 or piece_of_component[c - 1] != k:
            p.first_component[k] = c
            p.piece[k, SUPPORT_M], p.piece[k, NARROWNESS_M2] = support, narrow
        else:
            p.piece[k, SUPPORT_M] = max(p.piece[k, SUPPORT_M], support)
            p.piece[k, NARROWNESS_M2] = min(p.piece[k, NARROWNESS_M2], narrow)
    p.first_component[pieces] = components
    least = 0
    for k in range(pieces):
        lat, lng = math.radians(latitude_deg[k]), math.radians(longitude_deg[k])
        across = math.cos(lat)
        p.center[k, 0], p.center[k, 1], p.center[k, 2] = across * math.cos(lng), across * math.sin(lng), math.sin(lat)
        p.piece[k, SHARE], p.piece[k, SCALE_M], p.piece[k, EXPONENT] = share[k], scale_m[k], exponent[k]
        # Near the peak of the narrowest component; any constant would do, this one keeps float32 logs small.
        height = (1.0 - p.piece[k, SHARE]) / (2.0 * math.pi * max(p.piece[k, NARROWNESS_M2], 1.0))
        p.piece[k, HEIGHT], p.piece[k, LOG_REFERENCE] = height, math.log(height)
        call = call_of_piece[k]
        if k == 0 or call_of_piece[k - 1] != call:
            p.first_piece[call] = k
            least = k
        elif p.piece[k, SUPPORT_M] < p.piece[least, SUPPORT_M]:
            least = k
        for axis in range(3):
            p.anchor[call, axis] = p.center[least, axis]
    p.first_piece[len(p.first_piece) - 1] = pieces


@dataclass(slots=True)
class Evaluation:
    """What the evidence of one call says at some places, (places,) float32.

    `log_posterior` up to a constant a call. `sharpness`, 0 to 1: the most that any piece has of the probability that it
    is right there times the share of the cell's own size in its width; above a half the cell hides it.
    `gain`, 0 or more: logarithm of the most that the cell's mass can grow in a closer look. Averages of single
    densities, multiplied, are not the average of the product: where two narrow pieces share a large cell, all but one
    of them may stand as much higher as the cell is larger than they are.
    `agreement` (pieces, places): probability that each piece is right, were the caller there.
    """

    log_posterior: Floats32
    sharpness: Floats32
    gain: Floats32
    agreement: Floats32


def evaluate(
    pieces: Pieces,
    call: int,
    vectors: Floats,
    blur_m2: float,
    cells: Cells | None = None,
    area_m2: Floats | None = None,
) -> Evaluation:
    """What the evidence of a call says at places, each density averaged over a cell there.

    Parameters
    ----------
    pieces
        From `pieces_of`.
    call
        Which of them.
    vectors
        (places, 3) float64, unit vectors less the call's anchor.
    blur_m2
        Variance of a cell along one axis, square metres: widths of densities grow by it, which is what averaging over
        a cell does to them.
    cells, area_m2
        (places,) H3 cells and their areas, needed where evidence is a histogram.
    """
    n = len(vectors)
    log, sharp, gain = (np.empty(padded(n), np.float32) for _ in range(3))
    agreement = np.empty((int(pieces.first_piece[call + 1] - pieces.first_piece[call]), n), np.float32)
    x, y, z = (np.ascontiguousarray(vectors[:, axis]) for axis in range(3))
    none = np.zeros(n)
    places = Places(x, y, z, none.astype(np.uint64) if cells is None else cells, none if area_m2 is None else area_m2)
    evaluate_call(pieces, call, places, n, blur_m2, log, sharp, gain, agreement)
    return Evaluation(log[:n], sharp[:n], gain[:n], agreement)


@compiled
def padded(places: int) -> int:
    """Length of the arrays that so many places need: whole vectors, so that no loop ends in single steps.

    >>> padded(33)
    64
    """
    return (places + (WHOLE - 1)) // WHOLE * WHOLE


@inlined
def axes_at(x: float, y: float, z: float) -> tuple[float, float, float, float, float, float]:
    """East and north axes at a unit vector, as `geo.local_axes`: metres per unit of a difference of unit vectors."""
    cos_lat = math.sqrt(x * x + y * y)
    cos_lng, sin_lng = (x / cos_lat, y / cos_lat) if cos_lat > 1e-12 else (1.0, 0.0)
    w2 = 1.0 - ECCENTRICITY_SQUARED * z * z
    east = SEMI_MAJOR_AXIS_M / math.sqrt(w2)
    north = east * (1.0 - ECCENTRICITY_SQUARED) / w2
    return (
        -sin_lng * east,
        cos_lng * east,
        -z * cos_lng * north,
        -z * sin_lng * north,
        cos_lat * north,
        cos_lat,
    )


@inlined
def angle_of_chord(chord2: float) -> float:
    """Angle, radians, between unit vectors whose difference has this squared length."""
    if chord2 < 0.01:
        # The arcsine's series: the next term is 3e-9 of it.
        return math.sqrt(chord2) * (1.0 + chord2 / 24.0 + 3.0 * chord2 * chord2 / 640.0)
    return 2.0 * math.asin(min(1.0, math.sqrt(chord2) / 2.0))


@compiled
def evaluate_call(
    d: Pieces,
    call: int,
    places: Places,
    n: int,
    blur_m2: float,
    log_posterior: Floats32,
    sharpness: Floats32,
    gain: Floats32,
    agreement: Floats32,
) -> None:
    """`evaluate` for the first `n` places, into arrays with `padded(n)`; `agreement` with no row is not written."""
    m = padded(n)
    x, y, z = places.x, places.y, places.z
    ax, ay, az = d.anchor[call, 0], d.anchor[call, 1], d.anchor[call, 2]
    e0, e1, n0, n1, n2, _ = axes_at(ax, ay, az)
    first, last = d.first_piece[call], d.first_piece[call + 1]
    piece, component = d.piece, d.component
    bent = _is_bent(d, call, x, y, z, n)
    room = np.empty((9, m), np.float32)
    flat_e, flat_n, east, north = room[0], room[1], room[2], room[3]
    square, value, most_gain, binned, uneven = room[4], room[5], room[6], room[7], room[8]
    for j in range(n):
        flat_e[j] = _F(x[j] * e0 + y[j] * e1)
        flat_n[j] = _F(x[j] * n0 + y[j] * n1 + z[j] * n2)
    for j in range(n, m):
        flat_e[j], flat_n[j] = flat_e[0], flat_n[0]
    for j in range(m):
        log_posterior[j] = _ZERO
        sharpness[j] = _ZERO
        gain[j] = _ZERO
        most_gain[j] = _ZERO
    for p in range(first, last):
        if bent:
            _own_plane(d.center[p], ax, ay, az, x, y, z, n, east, north)
            for j in range(n, m):
                east[j], north[j] = east[0], north[0]
        else:
            cx, cy, cz = d.center[p, 0] - ax, d.center[p, 1] - ay, d.center[p, 2] - az
            ce, cn = _F(cx * e0 + cy * e1), _F(cx * n0 + cy * n1 + cz * n2)
            for j in range(m):
                east[j] = flat_e[j] - ce
                north[j] = flat_n[j] - cn
        for j in range(m):
            square[j] = east[j] * east[j] + north[j] * north[j]
            value[j] = _ZERO
        learned, smooth_m2 = False, np.inf
        for c in range(d.first_component[p], d.first_component[p + 1]):
            family = component[c, FAMILY]
            if family == _GAUSSIAN:
                add_gaussian(component, c, blur_m2, m, east, north, square, value)
            elif family == _HISTOGRAM:
                if not learned:
                    for j in range(m):
                        binned[j], uneven[j] = _ZERO, _ZERO
                learned = True
                add_histogram(component[c], d.tables, places.cell, places.area_m2, n, binned, uneven)
            else:
                add_shape(component[c], d.tables, blur_m2, m, east, north, square, value)
        share, scale2, narrowness = piece[p, SHARE], piece[p, SCALE_M] ** 2, piece[p, NARROWNESS_M2]
        reference = 1.0 / piece[p, HEIGHT]
        right = _F((1.0 - share) * reference)
        # Student density with 2 degrees of freedom: (1 + d^2 / (2 s^2))^-2 / (2 pi s^2).
        wrong, spread = _F(share * reference / (2.0 * math.pi * scale2)), _F(0.5 / scale2)
        exponent = _F(piece[p, EXPONENT])
        detail = _F(blur_m2 / (blur_m2 + narrowness))
        if learned:
            # Within a bin a histogram is even, however narrow it is: what hides is in cells that hold finer bins.
            for c in range(d.first_component[p], d.first_component[p + 1]):
                if component[c, FAMILY] != _HISTOGRAM:
                    smooth_m2 = min(smooth_m2, narrowness_m2(component[c]))
            smooth = _F(blur_m2 / (blur_m2 + smooth_m2))
            for j in range(m):
                fall = square[j] * spread + _ONE
                inlying = (value[j] + binned[j]) * right
                total = inlying + wrong / (fall * fall)
                sharp = (value[j] * smooth + uneven[j] * detail) * right
                value[j] = inlying / total
                log_posterior[j] += log32(max(total, _TINY)) * exponent
                sharpness[j] = max(sharpness[j], sharp / total)
        else:
            for j in range(m):
                fall = square[j] * spread + _ONE
                inlying = value[j] * right
                total = inlying + wrong / (fall * fall)
                part = inlying / total
                value[j] = part
                log_posterior[j] += log32(max(total, _TINY)) * exponent
                sharpness[j] = max(sharpness[j], part * detail)
        # Averaged over the cell, the piece's height is so many times lower.
        lower = _F(blur_m2 / max(narrowness, 1e-2))
        if lower < LEAST_LOWER:
            # The logarithm to 5e-5.
            for j in range(m):
                more = value[j] * lower * exponent
                gain[j] += more
                most_gain[j] = max(most_gain[j], more)
        else:
            for j in range(m):
                more = log32(_ONE + value[j] * lower) * exponent
                gain[j] += more
                most_gain[j] = max(most_gain[j], more)
        if len(agreement):
            for j in range(n):
                agreement[p - first, j] = value[j]
    for j in range(m):
        gain[j] -= most_gain[j]


@compiled
def _is_bent(d: Pieces, call: int, x: Floats, y: Floats, z: Floats, n: int) -> bool:
    """Whether places or pieces lie so far from the anchor that its tangent plane does not do."""
    most = 0.0
    for j in range(n):
        most = max(most, x[j] * x[j] + y[j] * y[j] + z[j] * z[j])
    farthest = 0.0
    for p in range(d.first_piece[call], d.first_piece[call + 1]):
        square = 0.0
        for axis in range(3):
            square += (d.center[p, axis] - d.anchor[call, axis]) ** 2
        farthest = max(farthest, square)
    return most > BENT * BENT or farthest > (FAR_M / SEMI_MAJOR_AXIS_M) ** 2


@compiled
def _own_plane(
    center: Floats,
    ax: float,
    ay: float,
    az: float,
    x: Floats,
    y: Floats,
    z: Floats,
    n: int,
    east: Floats32,
    north: Floats32,
) -> None:
    """East and north of places from a piece's centre, in its own plane, true in length along the globe.

    A tangent plane shows the sine of the angle: beyond a quarter of the globe places would come near again.
    """
    cx, cy, cz = center[0], center[1], center[2]
    e0, e1, n0, n1, n2, _ = axes_at(cx, cy, cz)
    for j in range(n):
        dx, dy, dz = x[j] + (ax - cx), y[j] + (ay - cy), z[j] + (az - cz)
        e, m = dx * e0 + dy * e1, dx * n0 + dy * n1 + dz * n2
        chord2 = dx * dx + dy * dy + dz * dz
        flat = math.sqrt(e * e + m * m)
        if chord2 > 1e-6:
            # Plane over globe: the sine over the angle; at the antipode any direction is as good.
            sine = math.sqrt(max(chord2 * (1.0 - chord2 / 4.0), 0.0))
            if sine > 1e-7 and flat > 1.0:
                stretch = angle_of_chord(chord2) / sine
                e, m = e * stretch, m * stretch
            elif chord2 > 2.0:
                e, m = 0.0, SEMI_MAJOR_AXIS_M * math.pi
        east[j] = _F(e)
        north[j] = _F(m)


@compiled
def add_log_all_wrong(d: Pieces, call: int, at: Floats, log: Floats32) -> None:
    """Adds the log of the product of e_i * B_i at unit vectors (3, n) to `log`, in the units of `log_posterior`."""
    for p in range(d.first_piece[call], d.first_piece[call + 1]):
        cx, cy, cz = d.center[p, 0], d.center[p, 1], d.center[p, 2]
        scale2 = d.piece[p, SCALE_M] ** 2
        height = math.log(d.piece[p, SHARE] / (2.0 * math.pi * scale2)) - d.piece[p, LOG_REFERENCE]
        high, twice = _F(d.piece[p, EXPONENT] * height), _F(2.0 * d.piece[p, EXPONENT])
        spread = _F(SEMI_MAJOR_AXIS_M**2 / (2.0 * scale2))
        for j in range(len(log)):
            dx, dy, dz = _F(at[0, j] - cx), _F(at[1, j] - cy), _F(at[2, j] - cz)
            chord2 = dx * dx + dy * dy + dz * dz
            # Square of the angle: the series of 4 asin^2(chord / 2); a third short at the antipode, where nothing is.
            series = _ONE + chord2 * (_A1 + chord2 * (_A2 + chord2 * (_A3 + chord2 * _A4)))
            log[j] += high - twice * log32(_ONE + chord2 * series * spread)


@inlined
def blur_of(area_m2: float) -> float:
    """Variance of a cell along one axis, square metres."""
    return HEXAGON_VARIANCE * area_m2
