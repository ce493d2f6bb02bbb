"""From the posterior to what a dispatcher reads: region, position, radius, ellipse, other modes.

All of it for all calls of a batch at once, on flat arrays of leaves. Masses are counted in whole numbers of 2^-40, so
that sums along the whole batch are exact and a call's answer does not hang on its neighbours in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion import lattice
from locsvc.fusion.leaves import order_within_calls
from locsvc.fusion.modes import Modes, find_modes
from locsvc.geo import latitudes_longitudes, local_axes

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.grid import Posterior
    from locsvc.fusion.leaves import Leaves

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

UNIT = 1 << 40
# Modes are looked for in the set that holds at least this: a second place with a few percent is worth telling.
MODE_CONFIDENCE = 0.98
MEDIAN_STEPS = 6


@dataclass(slots=True)
class Answers:
    """The numbers of each call, (calls,) unless told otherwise; degrees, metres.

    `in_region` (leaves,) marks the leaves of the region; `mode_of_leaf` (leaves,) int64 is 0 for the dominant mode,
    1, 2, ... for others, -1 for leaves outside of all. `modes` lists the other modes.
    """

    latitude_deg: Floats
    longitude_deg: Floats
    radius_m: Floats
    semi_major_m: Floats
    semi_minor_m: Floats
    orientation_deg: Floats
    region_mass: Floats
    region_area_m2: Floats
    in_region: Bools
    mode_of_leaf: Ints
    modes: list[list[Mode]]
    east_m: Floats  # (leaves,) of each leaf from its call's position
    north_m: Floats


@dataclass(frozen=True, slots=True)
class Mode:
    """Another place where the caller may be."""

    latitude_deg: float
    longitude_deg: float
    mass: float
    radius_m: float


def answer(posterior: Posterior, confidence: Floats) -> Answers:
    """Region, position, radius, ellipse and other modes of each call.

    Parameters
    ----------
    posterior
        From `grid.locate`.
    confidence
        (calls,) float64, 0.5 to 0.999, of region, radius and ellipse.
    """
    leaves = posterior.leaves
    calls = len(leaves.starts)
    mass = np.rint(leaves.mass * UNIT).astype(np.int64)
    before = _before(mass, leaves)
    wanted = np.rint(confidence * UNIT).astype(np.int64)
    total = np.add.reduceat(mass, leaves.starts)
    in_region = before < np.minimum(wanted, total)[leaves.call]
    near = before < np.minimum(np.maximum(wanted, round(MODE_CONFIDENCE * UNIT)), total)[leaves.call]
    east, north = _local(posterior)
    modes = find_modes(leaves, in_region, near, east, north)
    chosen = in_region & (modes.of_leaf == 0)
    lat, lng, east, north = _medians(posterior, chosen, east, north)
    region_mass = np.add.reduceat(np.where(in_region, mass, 0), leaves.starts) / UNIT
    area = np.add.reduceat(np.where(in_region, leaves.area_m2, 0.0), leaves.starts)
    radius = radius_holding(leaves, mass, np.hypot(east, north), wanted)
    major, minor, orientation = _ellipses(leaves, chosen, east, north)
    others = _others(posterior, modes, confidence, calls)
    return Answers(
        lat,
        lng,
        radius,
        major,
        minor,
        orientation,
        np.minimum(region_mass, 1.0),
        area,
        in_region,
        modes.of_leaf,
        others,
        east,
        north,
    )


def _before(mass: Ints, leaves: Leaves) -> Ints:
    """Mass of the denser leaves of the same call, in units."""
    cumulative = np.cumsum(mass) - mass
    result: Ints = cumulative - cumulative[leaves.starts][leaves.call]
    return result


def _local(posterior: Posterior) -> tuple[Floats, Floats]:
    """East and north of each leaf from its call's anchor, metres."""
    anchor_lat, anchor_lng = latitudes_longitudes(posterior.prepared.anchor)
    axis_e, axis_n = local_axes(anchor_lat, anchor_lng)
    leaves = posterior.leaves
    east = np.zeros(len(leaves.call))
    north = np.zeros(len(leaves.call))
    for axis in range(3):
        east += leaves.vectors[axis] * axis_e[leaves.call, axis]
        north += leaves.vectors[axis] * axis_n[leaves.call, axis]
    return east, north


def _medians(posterior: Posterior, chosen: Bools, east: Floats, north: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Geometric median of the chosen leaves of each call, degrees, and all leaves relative to it, metres.

    Weiszfeld's iteration from the mean; each leaf's distance has its own half size added, so that it never vanishes.
    Far from the anchor the tangent plane is left and made anew at the median.
    """
    leaves = posterior.leaves
    part = np.nonzero(chosen)[0]
    call = leaves.call[part]
    starts = np.searchsorted(call, np.arange(len(leaves.starts)))
    weight, e, n = leaves.mass[part], east[part], north[part]
    size2 = leaves.area_m2[part] / 8
    total = np.add.reduceat(weight, starts)
    me, mn = np.add.reduceat(weight * e, starts) / total, np.add.reduceat(weight * n, starts) / total
    for _ in range(MEDIAN_STEPS):
        pull = weight / np.sqrt((e - me[call]) ** 2 + (n - mn[call]) ** 2 + size2)
        total = np.add.reduceat(pull, starts)
        me, mn = np.add.reduceat(pull * e, starts) / total, np.add.reduceat(pull * n, starts) / total
    # Back to the globe: the leaf's own vector, moved by what the median is off it, is good at any distance.
    anchor = posterior.prepared.anchor
    anchor_lat, anchor_lng = latitudes_longitudes(anchor)
    axis_e, axis_n = local_axes(anchor_lat, anchor_lng)
    per_e = np.sum(axis_e * axis_e, axis=1)
    per_n = np.sum(axis_n * axis_n, axis=1)
    off = axis_e * (me / per_e)[:, None] + axis_n * (mn / per_n)[:, None]
    # The chord's third side: how far the sphere has bent away below the tangent plane.
    flat2 = np.minimum(np.sum(off * off, axis=1), 1.0)
    place = anchor * np.sqrt(1.0 - flat2)[:, None] + off
    lat, lng = latitudes_longitudes(place)
    axis_e, axis_n = local_axes(lat, lng)
    e2, n2 = np.zeros(len(leaves.call)), np.zeros(len(leaves.call))
    shift = anchor - place
    for axis in range(3):
        relative = leaves.vectors[axis] + shift[leaves.call, axis]
        e2 += relative * axis_e[leaves.call, axis]
        n2 += relative * axis_n[leaves.call, axis]
    return lat, lng, e2, n2


def radius_holding(leaves: Leaves, mass: Ints, distance_m: Floats, wanted: Ints) -> Floats:
    """Radius, (calls,) metres, of the circle around the position that holds `wanted` units of mass.

    A leaf counts from half of its mass at its centre: between two leaves the mass is taken to rise evenly.
    """
    order = order_within_calls(leaves.call, distance_m.astype(np.float32).view(np.uint32))
    sorted_mass = mass[order]
    inclusive = np.cumsum(sorted_mass)
    base = (inclusive - sorted_mass)[leaves.starts]
    middle = inclusive - base[leaves.call] - sorted_mass // 2
    below = middle < wanted[leaves.call]
    count = np.add.reduceat(below.astype(np.int64), leaves.starts)
    last = leaves.ends() - 1
    high = np.minimum(leaves.starts + count, last)
    low = np.maximum(high - 1, leaves.starts)
    d = distance_m[order]
    rise = (middle[high] - middle[low]).astype(float)
    part = np.where(rise > 0, (wanted - middle[low]) / np.where(rise > 0, rise, 1.0), 1.0)
    size = np.sqrt(leaves.area_m2[order[high]] / math.pi)
    # One leaf alone: its own size; beyond the last leaf nothing is known to be.
    result: Floats = np.maximum(d[low] + np.clip(part, 0.0, 1.0) * (d[high] - d[low]), np.where(high == low, size, 0.0))
    return result


def _ellipses(leaves: Leaves, chosen: Bools, east: Floats, north: Floats) -> tuple[Floats, Floats, Floats]:
    """Half axes (metres) and direction (degrees) of the ellipse with the inertia of the region's dominant mode.

    A full ellipse has twice its standard deviations as half axes; the region of one mode is nearly full.
    """
    weight = np.where(chosen, leaves.area_m2, 0.0)
    total = np.add.reduceat(weight, leaves.starts)
    me = np.add.reduceat(weight * east, leaves.starts) / total
    mn = np.add.reduceat(weight * north, leaves.starts) / total
    de, dn = east - me[leaves.call], north - mn[leaves.call]
    # A hexagon's own inertia: nothing is narrower than a cell.
    own = np.add.reduceat(weight * leaves.area_m2, leaves.starts) / total * (5 / (36 * math.sqrt(3)))
    ee = np.add.reduceat(weight * de * de, leaves.starts) / total + own
    en = np.add.reduceat(weight * de * dn, leaves.starts) / total
    nn = np.add.reduceat(weight * dn * dn, leaves.starts) / total + own
    mean, half = (ee + nn) / 2, np.hypot((ee - nn) / 2, en)
    # Major axis clockwise from north: half the angle of (nn - ee, 2 en).
    orientation = np.degrees(np.arctan2(2 * en, nn - ee)) / 2 % 180.0
    return 2 * np.sqrt(mean + half), 2 * np.sqrt(np.maximum(mean - half, own)), orientation


def _others(posterior: Posterior, modes: Modes, confidence: Floats, calls: int) -> list[list[Mode]]:
    """Modes but the dominant one, heaviest first."""
    result: list[list[Mode]] = [[] for _ in range(calls)]
    if not len(modes.call):
        return result
    leaves = posterior.leaves
    anchor_lat, anchor_lng = latitudes_longitudes(posterior.prepared.anchor)
    axis_e, axis_n = local_axes(anchor_lat, anchor_lng)
    for call, number, mass in zip(modes.call.tolist(), modes.number.tolist(), modes.mass.tolist(), strict=True):
        rows = slice(leaves.starts[call], leaves.ends()[call])
        mine = np.nonzero(modes.of_leaf[rows] == number)[0] + leaves.starts[call]
        vectors = leaves.vectors[:, mine].astype(float)
        weight = leaves.mass[mine]
        center = (vectors @ weight) / weight.sum() + posterior.prepared.anchor[call]
        lat, lng = latitudes_longitudes(center)
        axis_e, axis_n = local_axes(lat, lng)
        relative = vectors + (posterior.prepared.anchor[call] - center / np.linalg.norm(center))[:, None]
        distance = np.hypot(axis_e @ relative, axis_n @ relative)
        order = np.argsort(distance, kind="stable")
        cumulative = np.cumsum(weight[order])
        at = int(np.searchsorted(cumulative, confidence[call] * cumulative[-1]))
        at = min(at, len(order) - 1)
        radius = distance[order[at]] + 0.5 * math.sqrt(leaves.area_m2[mine[order[at]]] / math.pi)
        result[call].append(Mode(float(lat), float(lng), mass, float(radius)))
    return result


@dataclass(slots=True)
class CompactCells:
    """Region cells of all calls, (r,): compacted, ascending in each call; `starts` (calls + 1,)."""

    cell: Cells
    starts: Ints
    finest: Ints  # (calls,) resolution


def compact(leaves: Leaves, in_region: Bools) -> CompactCells:
    """The region's cells with seven siblings replaced by their parent, again and again."""
    calls = len(leaves.starts)
    call, cell = leaves.call[in_region], leaves.cell[in_region]
    resolution = lattice.resolution_of(cell)
    first = np.searchsorted(call, np.arange(calls))
    finest = np.maximum.reduceat(resolution, first)
    kept_call: list[Ints] = []
    kept_cell: list[Cells] = []
    level = int(resolution.max())
    at = resolution == level
    now_call, now_cell = call[at], cell[at]
    lowest = int(resolution.min())
    while True:
        order = np.lexsort((now_cell, now_call))
        now_call, now_cell = now_call[order], now_cell[order]
        parent = lattice.parents(now_cell, level - 1) if level > 0 else now_cell
        whole = np.zeros(len(now_cell), bool)
        if level > 0 and len(now_cell) >= 7:
            # Siblings are neighbours in the order; seven in a row with one parent are all of them.
            full = np.nonzero((parent[:-6] == parent[6:]) & (now_call[:-6] == now_call[6:]))[0]
            for k in range(7):
                whole[full + k] = True
            above_call, above_cell = now_call[full], parent[full]
        else:
            above_call, above_cell = now_call[:0], now_cell[:0]
        kept_call.append(now_call[~whole])
        kept_cell.append(now_cell[~whole])
        level -= 1
        if level < 0 or (level < lowest and not len(above_cell)):
            break
        at = resolution == level
        now_call, now_cell = np.concatenate((above_call, call[at])), np.concatenate((above_cell, cell[at]))
    call, cell = np.concatenate(kept_call), np.concatenate(kept_cell)
    order = np.lexsort((cell, call))
    call, cell = call[order], cell[order]
    return CompactCells(cell, np.searchsorted(call, np.arange(calls + 1)), finest)
