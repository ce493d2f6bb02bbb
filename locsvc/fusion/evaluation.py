"""Densities evaluated at cells: for all pieces of all calls at once, and the posterior's logarithm from them.

Everything here is float32 relative to each call's anchor, worked on in place: what a level of cells costs is the passes
over these arrays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.densities import Densities, Family, column, gaussian, polygon, ring, round_gaussian
from locsvc.geo import SEMI_MAJOR_AXIS_M, latitudes_longitudes, local_axes, unit_vectors

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]

# Pieces farther than this from their call's anchor are measured in planes of their own.
FAR_M = 200_000.0

# Angle (a chord of it) beyond which the globe's bend matters: sin(0.15) is 0.4 % short.
BENT = 0.15


@dataclass(slots=True)
class Prepared:
    """Densities as the evaluation wants them: float32, relative to each call's anchor.

    Near pieces are measured in the tangent plane of their call's anchor, where a difference is good to a part in a
    hundred at 50 km: `axes` (calls, 2, 3) and `east_m`, `north_m` (k,) of the centres. Calls with a piece beyond
    FAR_M are measured in the plane of each piece's own centre: `far` (calls,), `plane` (k, 8): coefficients
    (x, y, z, constant) of east and north for unit vectors less the anchor.
    """

    densities: Densities
    anchor: Floats  # (calls, 3) unit vectors
    axes: Floats32
    east_m: Floats32
    north_m: Floats32
    far: npt.NDArray[np.bool_]
    plane: Floats32
    first_component: Ints  # (k,) of each piece
    first_piece: Ints  # (calls,) of each call
    pieces_of_call: Ints  # (calls,)
    round: npt.NDArray[np.bool_]  # (m,) round Gaussians, which need only the distance
    narrowness_m2: Floats  # (k,) of the narrowest component
    log_reference: Floats  # (k,) so that logs stay near 0

    def of_calls(self, calls: Ints) -> Rows:
        """The rows of some calls, to be evaluated together."""
        counts = self.pieces_of_call[calls]
        pieces = _ranges(self.first_piece[calls], counts)
        d = self.densities
        ends = np.append(self.first_component[1:], len(d.piece))
        per_piece = ends[pieces] - self.first_component[pieces]
        components = _ranges(self.first_component[pieces], per_piece)
        return Rows(
            source=self,
            pieces=pieces,
            components=components,
            calls=calls,
            piece_of_component=np.repeat(np.arange(len(pieces)), per_piece),
            slot_of_piece=np.repeat(np.arange(len(calls)), counts),
            piece_starts=np.cumsum(per_piece) - per_piece,
            call_starts=np.cumsum(counts) - counts,
        )


@dataclass(slots=True)
class Rows:
    """Rows of `source` that belong to some calls; `slot` is a call's place among them.

    `piece_of_component` counts within these rows.
    """

    source: Prepared
    calls: Ints
    pieces: Ints
    components: Ints
    piece_of_component: Ints
    slot_of_piece: Ints
    piece_starts: Ints
    call_starts: Ints


def _ranges(starts: Ints, counts: Ints) -> Ints:
    """Concatenation of `arange(start, start + count)`.

    >>> _ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    result: Ints = np.arange(total) + np.repeat(starts - (ends - counts), counts)
    return result


def prepare(densities: Densities, calls: int, anchor: Floats) -> Prepared:
    """Densities made ready for evaluation; every call must have at least one piece.

    Parameters
    ----------
    densities
        Of all calls.
    calls
        Number of calls.
    anchor
        (calls, 3) float64, unit vector near each call's evidence: where float32 is finest.
    """
    d = densities
    east, north = local_axes(d.latitude_deg, d.longitude_deg)
    center = unit_vectors(d.latitude_deg, d.longitude_deg) - anchor[d.call]
    plane = np.empty((len(d.call), 8))
    plane[:, 0:3], plane[:, 3] = east, -np.sum(east * center, axis=1)
    plane[:, 4:7], plane[:, 7] = north, -np.sum(north * center, axis=1)
    axes = np.stack(local_axes(*latitudes_longitudes(anchor)), axis=1)
    flat = np.sum(axes[d.call] * center[:, None, :], axis=2)
    first_component = np.searchsorted(d.piece, np.arange(len(d.call)))
    first_piece = np.searchsorted(d.call, np.arange(calls))
    narrow = np.minimum.reduceat(d.narrowness_m2(), first_component)
    # Near the peak of the narrowest component; any constant would do, this one keeps float32 logs small.
    reference = np.log((1 - d.outlier_share) / (2 * math.pi * np.maximum(narrow, 1.0)))
    return Prepared(
        densities=d,
        anchor=anchor,
        axes=axes.astype(np.float32),
        east_m=flat[:, 0].astype(np.float32),
        north_m=flat[:, 1].astype(np.float32),
        far=np.maximum.reduceat(np.sum(center * center, axis=1), first_piece) > (FAR_M / SEMI_MAJOR_AXIS_M) ** 2,
        plane=plane.astype(np.float32),
        round=(d.family == Family.GAUSSIAN) & (d.covariance_m2 == 0) & (d.variance_e_m2 == d.variance_n_m2),
        first_component=first_component,
        first_piece=first_piece,
        pieces_of_call=np.diff(np.append(first_piece, len(d.call))),
        narrowness_m2=narrow,
        log_reference=reference,
    )


@dataclass(slots=True)
class Evaluation:
    """Log posterior (calls, cells) float32, up to a constant a call, and how much finer detail a cell hides.

    `sharpness` (calls, cells) float32, 0 or more: sum over the pieces of the probability that the piece is right
    there times the share of the cell's own size in its width; above a half the cell should be split.
    `agreement` (pieces, cells) float32: probability that each piece is right, were the caller there.
    """

    log_posterior: Floats32
    sharpness: Floats32
    agreement: Floats32


def evaluate(rows: Rows, vectors: Floats32, blur_m2: Floats) -> Evaluation:
    """The log posterior at cells, each density averaged over the cell.

    Parameters
    ----------
    rows
        Of the calls whose cells these are.
    vectors
        (3, calls, cells) float32, unit vectors of the centres less the call's anchor.
    blur_m2
        (calls,) float64, variance of a cell along one axis, square metres: widths of densities grow by it, which is
        what averaging over a cell does to them.
    """
    d, prepared = rows.source.densities, rows.source
    east, north = _coordinates(rows, vectors)
    background = east * east
    background += north * north
    mixture = _inliers(rows, east, north, background, blur_m2)
    share = d.outlier_share[rows.pieces]
    scale2 = d.outlier_scale_m[rows.pieces] ** 2
    reference = np.exp(-prepared.log_reference[rows.pieces])
    # Student density with 2 degrees of freedom: (1 + d^2 / (2 s^2))^-2 / (2 pi s^2).
    background *= column(0.5 / scale2)
    background += np.float32(1)
    np.multiply(background, background, out=background)
    np.divide(column(share * reference / (2 * math.pi * scale2)), background, out=background)
    mixture *= column((1 - share) * reference)
    total = mixture + background
    np.divide(mixture, total, out=mixture)
    log_total = np.log(total, out=total)
    exponent = d.exponent[rows.pieces]
    if (exponent != 1).any():
        log_total *= column(exponent)
    blur = blur_m2[rows.slot_of_piece]
    detail = mixture * column(blur / (blur + prepared.narrowness_m2[rows.pieces]))
    return Evaluation(
        sum_rows(log_total, rows.call_starts),
        sum_rows(detail, rows.call_starts),
        mixture,
    )


def log_all_wrong(prepared: Prepared, vectors: Floats) -> Floats:
    """Log of the product of e_i * B_i, (calls, places) float64, in the units of `Evaluation.log_posterior`.

    `vectors` (calls, places, 3) float64, unit vectors less the call's anchor.
    """
    d = prepared.densities
    first = prepared.plane.astype(np.float64)
    at = vectors[d.call]
    distance2 = np.zeros(at.shape[:2])
    for axis in (0, 4):
        metres = at[:, :, 0] * first[:, None, axis]
        metres += at[:, :, 1] * first[:, None, axis + 1]
        metres += at[:, :, 2] * first[:, None, axis + 2]
        metres += first[:, None, axis + 3]
        distance2 += metres * metres
    center = unit_vectors(d.latitude_deg, d.longitude_deg)
    cosine = np.einsum("ijk,ik->ij", at + prepared.anchor[d.call][:, None, :], center)
    distance2 = (SEMI_MAJOR_AXIS_M * np.arctan2(np.sqrt(distance2) / SEMI_MAJOR_AXIS_M, cosine)) ** 2
    scale2 = (d.outlier_scale_m**2)[:, None]
    height = np.log(d.outlier_share / (2 * math.pi * d.outlier_scale_m**2)) - prepared.log_reference
    log = height[:, None] - 2 * np.log1p(distance2 / (2 * scale2))
    result: Floats = np.add.reduceat(log * d.exponent[:, None], prepared.first_piece, axis=0)
    return result


def _coordinates(rows: Rows, vectors: Floats32) -> tuple[Floats32, Floats32]:
    """East and north of each cell from each piece's centre, (pieces, cells) float32, metres."""
    prepared, slot = rows.source, rows.slot_of_piece
    axes = prepared.axes[rows.calls]
    found = []
    for axis, center in ((0, prepared.east_m), (1, prepared.north_m)):
        metres = vectors[0] * axes[:, axis, 0:1]
        metres += vectors[1] * axes[:, axis, 1:2]
        metres += vectors[2] * axes[:, axis, 2:3]
        relative = metres[slot]
        relative -= center[rows.pieces][:, None]
        found.append(relative)
    far = np.nonzero(prepared.far[rows.calls][slot])[0]
    if len(far):
        plane = prepared.plane[rows.pieces[far]]
        x, y, z = (v[slot[far]] for v in vectors)
        for axis, relative in zip((0, 4), found, strict=True):
            relative[far] = (
                x * plane[:, axis, None]
                + y * plane[:, axis + 1, None]
                + z * plane[:, axis + 2, None]
                + plane[:, axis + 3, None]
            )
    wide = np.max(vectors[0] ** 2 + vectors[1] ** 2 + vectors[2] ** 2, axis=1) > BENT**2
    bent = np.nonzero((wide | prepared.far[rows.calls])[slot])[0]
    if len(bent):
        _straighten(rows, bent, vectors, found[0], found[1])
    return found[0], found[1]


def _straighten(rows: Rows, bent: Ints, vectors: Floats32, east: Floats32, north: Floats32) -> None:
    """Puts the true distance along the globe into the coordinates of some pieces, in place.

    A tangent plane shows the sine of the angle: beyond a quarter of the globe places would come near again.
    """
    prepared, d = rows.source, rows.source.densities
    piece, slot = rows.pieces[bent], rows.slot_of_piece[bent]
    center = unit_vectors(d.latitude_deg[piece], d.longitude_deg[piece])
    start = np.sum(center * prepared.anchor[rows.calls[slot]], axis=1)
    cosine = np.broadcast_to(column(start), east[bent].shape).copy()
    for axis in range(3):
        cosine += vectors[axis][slot] * column(center[:, axis])
    radius = np.float32(SEMI_MAJOR_AXIS_M)
    sine_m = np.hypot(east[bent], north[bent])
    stretch = radius * np.arctan2(sine_m / radius, cosine) / np.maximum(sine_m, np.float32(1))
    east[bent] *= stretch
    north[bent] = np.where((sine_m < 1) & (cosine < 0), radius * np.float32(math.pi), north[bent] * stretch)


def _inliers(rows: Rows, east: Floats32, north: Floats32, distance2: Floats32, blur_m2: Floats) -> Floats32:
    """Density of each piece at each cell if it is right, (pieces, cells) float32, 1 / m^2."""
    d, at, piece = rows.source.densities, rows.components, rows.piece_of_component
    blur = blur_m2[rows.slot_of_piece][piece]
    is_round = rows.source.round[at]
    # All rows as if they were round, in place; the others are few and written over.
    values = round_gaussian(d, at, blur, distance2[piece])
    if not is_round.all():
        for kind in Family:
            which = np.nonzero((d.family[at] == kind) & ~is_round)[0]
            if not len(which):
                continue
            mine = piece[which]
            if kind is Family.GAUSSIAN:
                values[which] = gaussian(d, at[which], blur[which], east[mine], north[mine])
            elif kind is Family.RING:
                values[which] = ring(d, at[which], blur[which], east[mine], north[mine], distance2[mine])
            else:
                values[which] = polygon(d, at[which], blur[which], east[mine], north[mine])
    if len(at) == len(rows.pieces):
        return values
    return sum_rows(values, rows.piece_starts)


def sum_rows(values: Floats32, starts: Ints) -> Floats32:
    """Sums of the rows from each start to the next, (starts, columns) float32.

    Row after row is added to all sums at once, which is five times faster than `np.add.reduceat` on whole rows; the
    order of the additions is that of the rows.
    """
    counts = np.diff(np.append(starts, len(values)))
    result = values[starts]
    for k in range(1, int(counts.max())):
        more = counts > k
        if more.all():
            result += values[starts + k]
        else:
            at = np.nonzero(more)[0]
            result[at] += values[starts[at] + k]
    return result
