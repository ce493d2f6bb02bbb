"""Where the search for a call's posterior starts: cells that cover all that its evidence says; what lies outside."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled, exp32
from locsvc.fusion.evaluation import SCALE_M, SHARE, SUPPORT_M, Pieces, add_log_all_wrong, axes_at
from locsvc.fusion.lattice import EDGE_M, SEED_RESOLUTION, Lattice, Level, cells_near
from locsvc.geo import SEMI_MAJOR_AXIS_M

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# The first cells are the finest of which so many edges reach as far as the widest piece says something: some 40 cells.
ROOT_EDGES = 5.0
FINEST_ROOT = 13
# More first cells than this only where cells cannot be larger.
MOST_ROOTS = 448
# Rings around the first cells on which the mass elsewhere is summed, out to so many scales of the wide densities (1e-3
# of one lies beyond) or reaches of the cells, at the most half round the globe.
FAR_RINGS, FAR_BEARINGS = 12, 8
FAR_SCALES, FAR_REACHES = 45.0, 4.0
HALF_ROUND_M = 1.9e7
_BEARINGS = (np.arange(FAR_BEARINGS) + 0.5) * (2 * math.pi / FAR_BEARINGS)
BEARING_SIN, BEARING_COS = np.sin(_BEARINGS), np.cos(_BEARINGS)


@compiled
def _reaches_m(d: Pieces, call: int, confidence: float) -> Floats:
    """Radius around each piece of a call that must be looked at, (pieces,), metres.

    The caller is outside all that the evidence says only if all of it is wrong: the most trusted piece decides how much
    of its wide density is looked at. The mass e * B outside is kept below a fifth of what the confidence leaves out; B
    holds 1 - 1 / (1 + r^2 / 2 s^2).
    """
    first, last = d.first_piece[call], d.first_piece[call + 1]
    least = d.piece[first:last, SHARE].min()
    reach = d.piece[first:last, SUPPORT_M].copy()
    for p in range(first, last):
        room = 5.0 * d.piece[p, SHARE] / (1.0 - confidence) - 1.0
        if d.piece[p, SHARE] <= least and room > 0.0:
            reach[p - first] = max(reach[p - first], d.piece[p, SCALE_M] * math.sqrt(2.0 * room))
    return reach


@compiled
def first_cells(t: Lattice, d: Pieces, call: int, confidence: float, out: Level, spare: Level) -> tuple[int, int]:
    """Writes the first cells of a call to `out`; their resolution and number."""
    first = d.first_piece[call]
    reach = _reaches_m(d, call, confidence)
    widest = np.argmax(reach)
    wide = d.center[first + widest]
    # What lies within the widest disc is covered by it.
    kept = 0
    places, radii = np.empty((len(reach), 3)), np.empty(len(reach))
    for i in range(len(reach)):
        x, y, z = d.center[first + i, 0], d.center[first + i, 1], d.center[first + i, 2]
        chord = math.sqrt((x - wide[0]) ** 2 + (y - wide[1]) ** 2 + (z - wide[2]) ** 2)
        radius = min(reach[i] / SEMI_MAJOR_AXIS_M, math.pi)
        if i == widest or 2.0 * math.asin(min(1.0, chord / 2.0)) + radius > reach[widest] / SEMI_MAJOR_AXIS_M:
            places[kept, 0], places[kept, 1], places[kept, 2] = x, y, z
            radii[kept] = radius
            kept += 1
    resolution = FINEST_ROOT
    while resolution > SEED_RESOLUTION and ROOT_EDGES * EDGE_M[resolution] < reach[widest]:
        resolution -= 1
    while True:
        count = cells_near(t, places[:kept], radii[:kept], resolution, out, spare)
        if count == 0:
            # Nothing but a pentagon: a look at what is around it.
            for i in range(kept):
                radii[i] += t.step[resolution]
        elif resolution == SEED_RESOLUTION or 0 < count <= MOST_ROOTS:
            return resolution, count
        else:
            resolution -= 1


@compiled
def log_outside(d: Pieces, call: int, area_m2: float) -> float:
    """Log mass outside of first cells of this area, where all pieces are wrong, in the units of `evaluate`.

    Summed over rings from where a disc of the area ends; places on them are along great circles from the anchor.
    """
    if area_m2 >= 4.0 * math.pi * SEMI_MAJOR_AXIS_M**2:
        return -np.inf
    # A cap of the globe: 4 pi R^2 sin^2(angle / 2).
    covered = 2.0 * SEMI_MAJOR_AXIS_M * math.asin(math.sqrt(area_m2 / (4.0 * math.pi)) / SEMI_MAJOR_AXIS_M)
    scale = d.piece[d.first_piece[call] : d.first_piece[call + 1], SCALE_M].max()
    farthest = max(FAR_SCALES * scale, FAR_REACHES * covered)
    covered = min(covered, HALF_ROUND_M)
    step = math.log(min(max(farthest, covered), HALF_ROUND_M) / covered) / FAR_RINGS
    if step <= 0.0:
        return -np.inf
    ax, ay, az = d.anchor[call, 0], d.anchor[call, 1], d.anchor[call, 2]
    e0, e1, n0, n1, n2, _ = axes_at(ax, ay, az)
    east, north = math.sqrt(e0 * e0 + e1 * e1), math.sqrt(n0 * n0 + n1 * n1 + n2 * n2)
    e0, e1, n0, n1, n2 = e0 / east, e1 / east, n0 / north, n1 / north, n2 / north
    places = np.empty((3, FAR_RINGS * FAR_BEARINGS))
    area = np.empty(FAR_RINGS * FAR_BEARINGS)
    for ring in range(FAR_RINGS):
        length = covered * math.exp((ring + 0.5) * step)
        angle = length / SEMI_MAJOR_AXIS_M
        sin_a, cos_a = math.sin(angle), math.cos(angle)
        # A ring's girth is that of its parallel on the globe.
        share = 2.0 * math.pi * SEMI_MAJOR_AXIS_M * sin_a * length * step / FAR_BEARINGS
        for k in range(FAR_BEARINGS):
            s, c = BEARING_SIN[k] * sin_a, BEARING_COS[k] * sin_a
            at = ring * FAR_BEARINGS + k
            places[0, at] = ax * cos_a + e0 * s + n0 * c
            places[1, at] = ay * cos_a + e1 * s + n1 * c
            places[2, at] = az * cos_a + n2 * c
            area[at] = share
    log = np.zeros(FAR_RINGS * FAR_BEARINGS, np.float32)
    add_log_all_wrong(d, call, places, log)
    peak = log.max()
    for i in range(len(log)):
        area[i] *= exp32(log[i] - peak)
    total = 0.0
    for i in range(len(log)):
        total += area[i]
    return np.float64(peak) + math.log(total)
