"""H3's cells as a lattice: centres of cells and of their children, and all cells near a place, by arithmetic.

H3 numbers the points of a triangular lattice on the twenty faces of an icosahedron, each face flattened by the
gnomonic projection. On a face the centre of a child is the centre of its parent plus one of seven vectors, exactly; so
a centre costs an addition and a projection, some nanoseconds. The library gives one in 0.3 us (0.2 us in the vectorised
h3ronpy), which for the cells that a call looks at is more than the whole fusion.

Only the seeds, all cells of one coarse resolution, come from the library; everything below them is arithmetic, and the
tests compare it with the library over the whole globe. The geometry itself (faces, axes) is derived from the library's
own pentagons, which sit on the icosahedron's corners. Cells are uint64, as everywhere.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import h3.api.numpy_int as h3
import numpy as np

from locsvc.compiled import compiled, inlined
from locsvc.geo import AUTHALIC_RADIUS_M, unit_vectors

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Cells = npt.NDArray[np.uint64]
    Ints = npt.NDArray[np.int64]

FINEST = 15
# Length of a lattice step at resolution 0 on a face whose centre is 1 from the sphere's: 2 - golden ratio; the corner
# of a face is two steps from its centre, tan(37.377 deg) = 0.7639.
STEP_0 = (3 - math.sqrt(5)) / 2
# Steps shrink by sqrt(7) a level; odd levels are turned by asin(sqrt(3/28)) = 19.107 deg.
APERTURE = math.sqrt(7.0)
ODD_TURN_DEG = math.degrees(math.asin(math.sqrt(3 / 28)))
# Direction of digit 0..6 in its cell's own axes, degrees (digit 0 is the centre).
DIGIT_DEG = np.array([0.0, 240.0, 120.0, 180.0, 0.0, 300.0, 60.0])
# Edge of a mean hexagon on the ground, metres, by resolution: step / sqrt(3) on the face's tangent plane, shrunk by
# the mean of the projection (vectors h3-0 to h3-13: 200.8 m at 9, 10.83 m at 12).
EDGE_M = np.array([1281256.0 if r == 0 else 200.786148 * APERTURE ** (9 - r) for r in range(FINEST + 1)])


@dataclass(frozen=True, slots=True)
class _Icosahedron:
    center: Floats  # (20, 3) unit vectors
    axis_u: Floats  # (20, 3) unit vector in the face's plane towards its first corner
    axis_v: Floats  # (20, 3) unit vector in the plane, 90 degrees anticlockwise seen from outside
    edge_normal: Floats  # (20, 3 edges, 2) outward normal in plane coordinates
    edge_offset: float  # distance of each edge from the face's centre
    neighbour: Ints  # (20, 3) face across the edge
    turn_cos: Floats  # (20, 3) rotation from this plane to the neighbour's, laid flat beside it
    turn_sin: Floats
    shift: Floats  # (20, 3, 2) and translation
    turn_steps: Ints  # (20, 3) the rotation in steps of 60 degrees


def _build() -> _Icosahedron:
    """The icosahedron of H3, from the library's pentagons of resolution 0."""
    places = [h3.cell_to_latlng(int(p)) for p in sorted(int(c) for c in h3.get_pentagons(0))]
    corners = unit_vectors(*np.array(places).T)
    near = (corners @ corners.T > 0.4) & (corners @ corners.T < 0.5)
    triples = [
        t for t in itertools.combinations(range(12), 3) if all(near[a, b] for a, b in itertools.combinations(t, 2))
    ]
    center = np.array([corners[list(t)].sum(axis=0) for t in triples])
    center /= np.linalg.norm(center, axis=1)[:, None]
    first = corners[[t[0] for t in triples]]
    axis_u = first - center * np.sum(first * center, axis=1)[:, None]
    axis_u /= np.linalg.norm(axis_u, axis=1)[:, None]
    axis_v = np.cross(center, axis_u)

    def flat(face: int, corner: int) -> Floats:
        p = corners[corner]
        result: Floats = np.array([p @ axis_u[face], p @ axis_v[face]]) / (p @ center[face])
        return result

    neighbour, normal = np.zeros((20, 3), np.int64), np.zeros((20, 3, 2))
    turn, shift = np.zeros((20, 3)), np.zeros((20, 3, 2))
    offset = 0.0
    for face, triple in enumerate(triples):
        for edge, (a, b) in enumerate(itertools.combinations(triple, 2)):
            other = next(g for g, t in enumerate(triples) if g != face and a in t and b in t)
            pa, pb, qa, qb = flat(face, a), flat(face, b), flat(other, a), flat(other, b)
            middle = (pa + pb) / 2
            offset = float(np.linalg.norm(middle))
            normal[face, edge] = middle / offset
            angle = math.atan2(*(qb - qa)[::-1]) - math.atan2(*(pb - pa)[::-1])
            c, s = math.cos(angle), math.sin(angle)
            neighbour[face, edge], turn[face, edge] = other, angle
            shift[face, edge] = qa - np.array([c * pa[0] - s * pa[1], s * pa[0] + c * pa[1]])
    steps = np.rint(np.degrees(turn) / 60.0).astype(np.int64) % 6
    return _Icosahedron(center, axis_u, axis_v, normal, offset, neighbour, np.cos(turn), np.sin(turn), shift, steps)


_ICO = _build()


def _frame(cell: int) -> tuple[int, int, float, float]:
    """(face, turn, x, y) of one cell, from the library."""
    p = unit_vectors(*h3.cell_to_latlng(cell))
    face = int(np.argmax(_ICO.center @ p))
    w = float(_ICO.center[face] @ p)
    x, y = float(_ICO.axis_u[face] @ p) / w, float(_ICO.axis_v[face] @ p) / w
    resolution = h3.get_resolution(cell)
    # Child 4 lies on the cell's own first axis; where it is shows how the axes are turned.
    shift = 3 * (FINEST - resolution - 1)
    child = (cell & ~(0xF << 52) & ~(7 << shift)) | ((resolution + 1) << 52) | (4 << shift)
    q = unit_vectors(*h3.cell_to_latlng(child))
    v = float(_ICO.center[face] @ q)
    dx, dy = float(_ICO.axis_u[face] @ q) / v - x, float(_ICO.axis_v[face] @ q) / v - y
    odd = ODD_TURN_DEG if (resolution + 1) % 2 else 0.0
    turn = round((math.degrees(math.atan2(dy, dx)) - odd) / 60.0) % 6
    return face, turn, x, y


def _offsets() -> Floats:
    """(16 resolutions, 6 turns, 2, 7 digits) vector from a parent's centre to each child's, plane units."""
    table = np.zeros((FINEST + 1, 6, 2, 7))
    for resolution, turn in itertools.product(range(1, FINEST + 1), range(6)):
        angle = np.radians(DIGIT_DEG + 60.0 * turn + (ODD_TURN_DEG if resolution % 2 else 0.0))
        length = np.where(np.arange(7) > 0, STEP_0 / APERTURE**resolution, 0.0)
        table[resolution, turn] = np.stack((length * np.cos(angle), length * np.sin(angle)))
    return table


_OFFSETS = _offsets()


# -- for kernels -----------------------------------------------------------------------------------------------------

# Cells of this resolution are where every search begins; all of them are 5,882.
SEED_RESOLUTION = 2
STEP = np.array([STEP_0 / APERTURE**r for r in range(FINEST + 1)])
# Area of a lattice hexagon in the plane of its face, square metres on the sphere's surface at the face's centre.
FLAT_AREA_M2 = math.sqrt(3) / 2 * STEP**2 * AUTHALIC_RADIUS_M**2
# A hair of room keeps cells on an edge of their face where they are.
_EDGE_ROOM = 1e-9


class Lattice(NamedTuple):
    """The tables that kernels read."""

    center: Floats
    axis_u: Floats
    axis_v: Floats
    edge_normal: Floats
    edge_offset: float
    neighbour: Ints
    turn_cos: Floats
    turn_sin: Floats
    shift: Floats
    turn_steps: Ints
    offsets: Floats  # (16, 6, 2, 7)
    step: Floats  # (16,)
    seed_cell: Cells  # all hexagons of SEED_RESOLUTION, by base cell
    seed_face: Ints
    seed_turn: Ints
    seed_x: Floats
    seed_y: Floats
    group_start: Ints  # (groups + 1,) rows of the seeds of one base cell
    group_center: Floats  # (groups, 3)
    group_radius: Floats  # (groups,) radians
    pentagon_center: Floats  # (12, 3)
    below_cell: Cells  # (15, 12, 5) children of the pentagons that are hexagons, by their resolution
    below_face: Ints
    below_turn: Ints
    below_x: Floats
    below_y: Floats


class Level(NamedTuple):
    """Room for cells of one resolution while they are looked at."""

    cell: Cells
    face: Ints
    turn: Ints
    x: Floats
    y: Floats


def room_for(cells: int) -> Level:
    """Room for so many cells."""
    return Level(
        np.empty(cells, np.uint64),
        np.empty(cells, np.int64),
        np.empty(cells, np.int64),
        np.empty(cells),
        np.empty(cells),
    )


def _hexagons_below(pentagon: int) -> list[int]:
    """The five children of a pentagon that are hexagons."""
    return [int(c) for c in h3.cell_to_children(pentagon) if not h3.is_pentagon(int(c))]


def _of_library(cells: list[int]) -> Level:
    """Cells with their places, from the library."""
    face, turn, x, y = zip(*(_frame(c) for c in cells), strict=True)
    return Level(np.array(cells, np.uint64), np.array(face), np.array(turn), np.array(x), np.array(y))


def _seeds(bare: Lattice) -> Level:
    """All hexagons of SEED_RESOLUTION, by index; `bare` are the tables as far as children need them."""
    seeds = _of_library([int(c) for c in h3.get_res0_cells() if not h3.is_pentagon(int(c))])
    for resolution in range(1, SEED_RESOLUTION + 1):
        below = room_for(7 * len(seeds.cell))
        for i, (cell, face, turn, x, y) in enumerate(zip(*seeds, strict=True)):
            put_children(bare, cell, face, turn, x, y, resolution, below, 7 * i)
        more = _of_library([c for p in h3.get_pentagons(resolution - 1).tolist() for c in _hexagons_below(p)])
        seeds = Level(
            np.concatenate((below.cell, more.cell)),
            np.concatenate((below.face, more.face)),
            np.concatenate((below.turn, more.turn)),
            np.concatenate((below.x, more.x)),
            np.concatenate((below.y, more.y)),
        )
    at = np.argsort(seeds.cell)
    return Level(seeds.cell[at], seeds.face[at], seeds.turn[at], seeds.x[at], seeds.y[at])


def _directions(level: Level) -> Floats:
    flat = _ICO.center[level.face] + level.x[:, None] * _ICO.axis_u[level.face]
    flat += level.y[:, None] * _ICO.axis_v[level.face]
    result: Floats = flat / np.linalg.norm(flat, axis=1)[:, None]
    return result


def _bare() -> Lattice:
    """The tables without seeds and what hangs on them."""
    none, nothing = room_for(0), np.empty(0)
    return Lattice(
        center=_ICO.center,
        axis_u=_ICO.axis_u,
        axis_v=_ICO.axis_v,
        edge_normal=_ICO.edge_normal,
        edge_offset=_ICO.edge_offset,
        neighbour=_ICO.neighbour,
        turn_cos=_ICO.turn_cos,
        turn_sin=_ICO.turn_sin,
        shift=_ICO.shift,
        turn_steps=_ICO.turn_steps,
        offsets=_OFFSETS,
        step=STEP,
        seed_cell=none.cell,
        seed_face=none.face,
        seed_turn=none.turn,
        seed_x=none.x,
        seed_y=none.y,
        group_start=none.face,
        group_center=np.empty((0, 3)),
        group_radius=nothing,
        pentagon_center=np.empty((0, 3)),
        below_cell=np.empty((0, 0, 0), np.uint64),
        below_face=np.empty((0, 0, 0), np.int64),
        below_turn=np.empty((0, 0, 0), np.int64),
        below_x=np.empty((0, 0, 0)),
        below_y=np.empty((0, 0, 0)),
    )


@functools.cache
def tables() -> Lattice:
    """The tables, made once a process in some hundredths of a second."""
    bare = _bare()
    seeds = _seeds(bare)
    # Bits 45 to 51 of an index are its base cell.
    base = ((seeds.cell >> np.uint64(45)) & np.uint64(127)).astype(np.int64)
    start = np.flatnonzero(np.append(True, base[1:] != base[:-1]))
    ends = np.append(start[1:], len(base))
    at = _directions(seeds)
    center = np.add.reduceat(at, start)
    center /= np.linalg.norm(center, axis=1)[:, None]
    group = np.repeat(np.arange(len(start)), ends - start)
    chord = np.linalg.norm(at - center[group], axis=1)
    radius = 2 * np.arcsin(np.maximum.reduceat(chord, start) / 2)
    below = [
        _of_library([c for p in h3.get_pentagons(r - 1).tolist() for c in _hexagons_below(p)])
        for r in range(SEED_RESOLUTION + 1, FINEST)
    ]
    pentagons = unit_vectors(*np.array([h3.cell_to_latlng(int(p)) for p in h3.get_pentagons(0)]).T)

    def column(name: str) -> Any:  # noqa: ANN401 - integers or floats
        rows = [getattr(f, name).reshape(12, 5) for f in below]
        return np.stack([np.zeros_like(rows[0])] * (SEED_RESOLUTION + 1) + rows)

    return bare._replace(
        seed_cell=seeds.cell,
        seed_face=seeds.face,
        seed_turn=seeds.turn,
        seed_x=seeds.x,
        seed_y=seeds.y,
        group_start=np.append(start, len(base)),
        group_center=center,
        group_radius=radius,
        pentagon_center=pentagons,
        below_cell=column("cell"),
        below_face=column("face"),
        below_turn=column("turn"),
        below_x=column("x"),
        below_y=column("y"),
    )


@inlined
def direction(t: Lattice, face: int, x: float, y: float) -> tuple[float, float, float, float]:
    """Unit vector of a place in the plane of a face, and the cosine of its angle from the face's centre."""
    w = 1.0 / math.sqrt(1.0 + x * x + y * y)
    return (
        (t.center[face, 0] + x * t.axis_u[face, 0] + y * t.axis_v[face, 0]) * w,
        (t.center[face, 1] + x * t.axis_u[face, 1] + y * t.axis_v[face, 1]) * w,
        (t.center[face, 2] + x * t.axis_u[face, 2] + y * t.axis_v[face, 2]) * w,
        w,
    )


@inlined
def _outwards(t: Lattice, face: int, edge: int, x: float, y: float) -> float:
    """How far a place in the plane of a face is out from its centre towards an edge."""
    return float(t.edge_normal[face, edge, 0] * x + t.edge_normal[face, edge, 1] * y)


@compiled
def put_children(
    t: Lattice, cell: np.uint64, face: int, turn: int, x: float, y: float, resolution: int, out: Level, at: int
) -> None:
    """Writes the seven children, which are of `resolution`, of a hexagon to `out` from row `at` on."""
    write_children(t, cell, face, turn, x, y, resolution, out, at)


@inlined
def write_children(
    t: Lattice, cell: np.uint64, face: int, turn: int, x: float, y: float, resolution: int, out: Level, at: int
) -> None:
    """`put_children` as a part of kernels: called, handing over the tables would take longer than all that is done."""
    shift = np.uint64(3 * (FINEST - resolution))
    base = (cell & np.uint64(0xFF0FFFFFFFFFFFFF)) & ~(np.uint64(7) << shift)
    base = base | (np.uint64(resolution) << np.uint64(52))
    # Nearly all are so far from the edges of their face that no child is beyond one.
    out_most = max(_outwards(t, face, 0, x, y), _outwards(t, face, 1, x, y), _outwards(t, face, 2, x, y))
    edges = 0 if out_most + t.step[resolution] <= t.edge_offset else 3
    for digit in range(7):
        cx = x + t.offsets[resolution, turn, 0, digit]
        cy = y + t.offsets[resolution, turn, 1, digit]
        row = at + digit
        out.cell[row] = base | (np.uint64(digit) << shift)
        edge, beyond = 0, -1.0
        for k in range(edges):
            over = _outwards(t, face, k, cx, cy) - t.edge_offset
            if k == 0 or over > beyond:
                edge, beyond = k, over
        if beyond > _EDGE_ROOM:
            c, s = t.turn_cos[face, edge], t.turn_sin[face, edge]
            out.face[row] = t.neighbour[face, edge]
            out.turn[row] = (turn + t.turn_steps[face, edge]) % 6
            out.x[row] = c * cx - s * cy + t.shift[face, edge, 0]
            out.y[row] = s * cx + c * cy + t.shift[face, edge, 1]
        else:
            out.face[row] = face
            out.turn[row] = turn
            out.x[row] = cx
            out.y[row] = cy


@inlined
def _near(px: float, py: float, pz: float, places: Floats, limits: Floats) -> bool:
    """Whether a place is within the limit (a squared chord) of any of `places` (n, 3)."""
    for i in range(len(limits)):
        dx, dy, dz = px - places[i, 0], py - places[i, 1], pz - places[i, 2]
        if dx * dx + dy * dy + dz * dz <= limits[i]:
            return True
    return False


@compiled
def _squared_chords(radii: Floats, more: float, out: Floats) -> None:
    """Squared chords of the angles `radii` + `more`, radians."""
    for i in range(len(radii)):
        half = min((radii[i] + more) / 2, math.pi / 2)
        out[i] = 4.0 * math.sin(half) ** 2


@inlined
def _copy(source: Level, at: int, out: Level, to: int) -> None:
    out.cell[to] = source.cell[at]
    out.face[to] = source.face[at]
    out.turn[to] = source.turn[at]
    out.x[to] = source.x[at]
    out.y[to] = source.y[at]


@compiled
def cells_near(t: Lattice, places: Floats, radii: Floats, resolution: int, out: Level, spare: Level) -> int:
    """Writes all hexagons of `resolution` that touch a disc around any of the places to `out`; their number.

    Parameters
    ----------
    t
        `tables()`.
    places, radii
        (n, 3) unit vectors; (n,) radians.
    resolution
        SEED_RESOLUTION to 14.
    out, spare
        Room of the same size.

    Returns
    -------
    Number of cells, or -1 if there are more than there is room for.

    Notes
    -----
    From the seeds down: the centres of all that is below a cell lie within the sum of the steps below it.
    """
    room = len(out.cell)
    limits = np.empty(len(radii))
    # What reaches into a disc has its centre within a circumradius of it; a lattice step is sqrt(3) of those, and the
    # projection only shrinks what is laid off in the plane.
    own = t.step[resolution] / math.sqrt(3.0)
    slack = own
    for r in range(SEED_RESOLUTION + 1, resolution + 1):
        slack += t.step[r]
    wide = np.empty(len(radii))
    count = 0
    _squared_chords(radii, slack, limits)
    _squared_chords(radii, slack + t.group_radius.max(), wide)
    for g in range(len(t.group_radius)):
        if not _near(t.group_center[g, 0], t.group_center[g, 1], t.group_center[g, 2], places, wide):
            continue
        for i in range(t.group_start[g], t.group_start[g + 1]):
            px, py, pz, _ = direction(t, t.seed_face[i], t.seed_x[i], t.seed_y[i])
            if _near(px, py, pz, places, limits):
                if count == room:
                    return -1
                out.cell[count] = t.seed_cell[i]
                out.face[count] = t.seed_face[i]
                out.turn[count] = t.seed_turn[i]
                out.x[count] = t.seed_x[i]
                out.y[count] = t.seed_y[i]
                count += 1
    for r in range(SEED_RESOLUTION + 1, resolution + 1):
        for i in range(count):
            _copy(out, i, spare, i)
        above, count = count, 0
        slack -= t.step[r]
        _squared_chords(radii, slack, limits)
        for i in range(above):
            if count + 7 > room:
                return -1
            write_children(t, spare.cell[i], spare.face[i], spare.turn[i], spare.x[i], spare.y[i], r, out, count)
            to = count
            for k in range(count, count + 7):
                px, py, pz, _ = direction(t, out.face[k], out.x[k], out.y[k])
                if _near(px, py, pz, places, limits):
                    _copy(out, k, out, to)
                    to += 1
            count = to
        _squared_chords(radii, slack + 2 * t.step[r], wide)
        for p in range(12):
            if not _near(t.pentagon_center[p, 0], t.pentagon_center[p, 1], t.pentagon_center[p, 2], places, wide):
                continue
            for k in range(5):
                px, py, pz, _ = direction(t, t.below_face[r, p, k], t.below_x[r, p, k], t.below_y[r, p, k])
                if _near(px, py, pz, places, limits):
                    if count == room:
                        return -1
                    out.cell[count] = t.below_cell[r, p, k]
                    out.face[count] = t.below_face[r, p, k]
                    out.turn[count] = t.below_turn[r, p, k]
                    out.x[count] = t.below_x[r, p, k]
                    out.y[count] = t.below_y[r, p, k]
                    count += 1
    return count
