"""Which outlines hold a place: edges under each place's latitude are crossed and counted.

Most places are decided here, in some tens of nanoseconds and by any number of threads at once. A place so near to an
edge that rounding might decide is left to GEOS, which works with as many digits as it needs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import shapely

from locsvc.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.int32]

OUTSIDE, INSIDE, UNDECIDED = 0, 1, 2
# Edges that a strip of latitude has about; an outline has at most as many strips.
_EDGES_A_STRIP = 4
_MOST_STRIPS = 1 << 14
# Edges that are listed in many strips may not take more memory than this times the edges.
_ENTRIES_AN_EDGE = 3
# The sign of the cross product of two differences is right where it is larger than 3.3e-16 of its parts' sum
# (Shewchuk 1997, "Adaptive precision floating-point arithmetic", ccwerrboundA).
_SURE = 1e-15


class Strips(NamedTuple):
    """Edges of outlines by strips of latitude.

    `box` (areas, 4) west, south, east, north in degrees; `first_strip` (areas + 1,) numbers the strips of each outline
    from south to north; `per_degree` (areas,) strips; `starts` (strips + 1,) and `edges` list the numbers of the edges
    in each strip; `begin`, `end` (edges, 2) are longitude and latitude of their corners.
    """

    box: Floats
    first_strip: Ints
    per_degree: Floats
    starts: Ints
    edges: Words
    begin: Floats
    end: Floats


def strips_of(outlines: npt.NDArray[np.object_]) -> Strips:
    """The strips of multipolygons, `(n,)`, degrees, longitude first."""
    box = shapely.bounds(outlines).reshape(-1, 4)
    parts, area_of_part = shapely.get_parts(outlines, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    corners, ring_of_corner = shapely.get_coordinates(rings, return_index=True)
    # Edge k runs from corner k to corner k + 1; the last corner of a ring begins none.
    first = np.flatnonzero(ring_of_corner[:-1] == ring_of_corner[1:])
    begin, end = corners[first], corners[first + 1]
    area = area_of_part[part_of_ring[ring_of_corner[first]]]
    count = np.bincount(area, minlength=len(outlines))
    # How often the edges, put end to end, run through the outline from south to north: each strip lists as many.
    with np.errstate(divide="ignore", invalid="ignore"):
        runs = np.abs(end[:, 1] - begin[:, 1]) / (box[area, 3] - box[area, 1])
    runs_of_area = np.bincount(area, np.nan_to_num(runs), minlength=len(outlines))
    most = _ENTRIES_AN_EDGE * count / np.maximum(runs_of_area, 1.0)
    strips = np.clip(np.minimum(count / _EDGES_A_STRIP, most).astype(np.int64), 1, _MOST_STRIPS)
    first_strip = np.concatenate([[0], np.cumsum(strips)])
    with np.errstate(divide="ignore", invalid="ignore"):
        per_degree = np.where(box[:, 3] > box[:, 1], strips / (box[:, 3] - box[:, 1]), 0.0)
    starts = np.zeros(int(first_strip[-1]) + 1, np.int64)
    _list_edges(area, begin, end, box, first_strip, per_degree, starts, np.zeros(0, np.int32))
    starts = np.cumsum(starts) - starts
    edges = np.empty(int(starts[-1]), np.int32)
    _list_edges(area, begin, end, box, first_strip, per_degree, starts.copy(), edges)
    return Strips(box, first_strip, per_degree, starts, edges, begin, end)


@compiled
def strip_of(latitude_deg: float, area: int, box: Floats, first_strip: Ints, per_degree: Floats) -> int:
    """The strip of an outline that holds a latitude inside its box; never lower for a higher one."""
    strip = first_strip[area] + int((latitude_deg - box[area, 1]) * per_degree[area])
    return int(min(strip, first_strip[area + 1] - 1))


@compiled
def _list_edges(
    area: Ints, begin: Floats, end: Floats, box: Floats, first_strip: Ints, per_degree: Floats, at: Ints, edges: Words
) -> None:
    """Writes the number of each edge into its strips' places `at`, which move on; only counts without `edges`."""
    for edge in range(len(begin)):
        a = area[edge]
        low, high = min(begin[edge, 1], end[edge, 1]), max(begin[edge, 1], end[edge, 1])
        first = strip_of(low, a, box, first_strip, per_degree)
        last = strip_of(high, a, box, first_strip, per_degree)
        for strip in range(first, last + 1):
            if len(edges):
                edges[at[strip]] = edge
            at[strip] += 1


@compiled
def _holds(
    x: float,
    y: float,
    area: int,
    box: Floats,
    first_strip: Ints,
    per_degree: Floats,
    starts: Ints,
    edges: Words,
    begin: Floats,
    end: Floats,
) -> int:
    """INSIDE, OUTSIDE or UNDECIDED: how an outline holds a place inside its box."""
    strip = strip_of(y, area, box, first_strip, per_degree)
    inside = False
    for k in range(starts[strip], starts[strip + 1]):
        edge = edges[k]
        x1, y1, x2, y2 = begin[edge, 0], begin[edge, 1], end[edge, 0], end[edge, 1]
        if (y1 > y) == (y2 > y):
            # Not crossed; but the place may lie on it, or on its corner.
            if y in (y1, y2) and min(x1, x2) <= x <= max(x1, x2):
                return UNDECIDED
            continue
        if x1 < x and x2 < x:
            continue
        if x1 > x and x2 > x:
            inside = not inside
            continue
        one, other = (x1 - x) * (y2 - y), (x2 - x) * (y1 - y)
        cross = one - other
        if abs(cross) <= _SURE * (abs(one) + abs(other)):
            return UNDECIDED
        # An edge that goes up is crossed by a ray to the east where the place is to its left.
        if (cross > 0.0) == (y2 > y1):
            inside = not inside
    return INSIDE if inside else OUTSIDE


@compiled
def places_held(
    longitude: Floats,
    latitude: Floats,
    point: Ints,
    area: Ints,
    box: Floats,
    first_strip: Ints,
    per_degree: Floats,
    starts: Ints,
    edges: Words,
    begin: Floats,
    end: Floats,
) -> npt.NDArray[np.int8]:
    """Of each pair of a place and an outline whose box holds it, (n,) int8: INSIDE, OUTSIDE or UNDECIDED."""
    result = np.empty(len(point), np.int8)
    for k in range(len(point)):
        x, y = longitude[point[k]], latitude[point[k]]
        result[k] = _holds(x, y, area[k], box, first_strip, per_degree, starts, edges, begin, end)
    return result


@compiled
def masses(
    vectors: Floats,
    anchor: Floats,
    mass: Floats,
    box: Floats,
    first_strip: Ints,
    per_degree: Floats,
    starts: Ints,
    edges: Words,
    begin: Floats,
    end: Floats,
) -> tuple[bool, Ints, Floats]:
    """How much of the mass of some places each outline holds.

    Parameters
    ----------
    vectors, anchor
        `(n, 3) float64` and `(3,) float64`: the places are in the directions of their sums.
    mass
        `(n,) float64`.

    Returns
    -------
    decided, area, held
        Whether all places were decided; if so, outlines that hold some place `(k,) int64`, ascending, and their mass.
    """
    count = len(vectors)
    longitude, latitude = np.empty(count), np.empty(count)
    for k in range(count):
        x, y = vectors[k, 0] + anchor[0], vectors[k, 1] + anchor[1]
        z = vectors[k, 2] + anchor[2]
        latitude[k] = math.degrees(math.atan2(z, math.sqrt(x * x + y * y)))
        longitude[k] = math.degrees(math.atan2(y, x))
    areas, sums = np.empty(len(box), np.int64), np.empty(len(box))
    found = 0
    if count == 0:
        return True, areas[:0], sums[:0]
    west, south, east, north = longitude.min(), latitude.min(), longitude.max(), latitude.max()
    # The antimeridian has two longitudes.
    if not (west > -180.0 and east < 180.0):
        return False, areas[:0], sums[:0]
    for area in range(len(box)):
        if not (box[area, 0] <= east and box[area, 2] >= west and box[area, 1] <= north and box[area, 3] >= south):
            continue
        total, some = 0.0, False
        for k in range(count):
            x, y = longitude[k], latitude[k]
            if not (box[area, 0] <= x <= box[area, 2] and box[area, 1] <= y <= box[area, 3]):
                continue
            how = _holds(x, y, area, box, first_strip, per_degree, starts, edges, begin, end)
            if how == UNDECIDED:
                return False, areas[:0], sums[:0]
            if how == INSIDE:
                total += mass[k]
                some = True
        if some:
            areas[found], sums[found] = area, total
            found += 1
    return True, areas[:found], sums[:found]


@compiled
def masses_of_regions(
    chosen: Ints,
    starts: Ints,
    count: Ints,
    vectors: Floats,
    anchor: Floats,
    mass: Floats,
    box: Floats,
    first_strip: Ints,
    per_degree: Floats,
    strip_starts: Ints,
    edges: Words,
    begin: Floats,
    end: Floats,
) -> tuple[npt.NDArray[np.bool_], Ints, Ints, Floats]:
    """The masses of many regions: `decided` (chosen,), and `area`, `held` (k,) from `first[i]` to `first[i + 1]`.

    Region `c` is the first `count[c]` places from `starts[c]` on, round `anchor[c]`; those of `chosen` are asked about.
    """
    decided, first = np.empty(len(chosen), np.bool_), np.zeros(len(chosen) + 1, np.int64)
    area, held = np.empty(4 * len(chosen), np.int64), np.empty(4 * len(chosen))
    for i in range(len(chosen)):
        c = chosen[i]
        a, b = starts[c], starts[c] + count[c]
        sure, areas, sums = masses(
            vectors[a:b], anchor[c], mass[a:b], box, first_strip, per_degree, strip_starts, edges, begin, end
        )
        decided[i], first[i + 1] = sure, first[i] + len(areas)
        if first[i + 1] > len(area):
            area = np.concatenate((area, np.empty(first[i + 1], np.int64)))
            held = np.concatenate((held, np.empty(first[i + 1])))
        area[first[i] : first[i + 1]], held[first[i] : first[i + 1]] = areas, sums
    return decided, first, area[: first[-1]], held[: first[-1]]
