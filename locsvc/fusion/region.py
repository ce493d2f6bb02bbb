"""From the posterior to what a dispatcher reads: region, position, radius, ellipse, other modes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, inlined, number_of_key, sort_key
from locsvc.fusion.evaluation import axes_at
from locsvc.fusion.lattice import FINEST
from locsvc.fusion.leaves import Leaves
from locsvc.fusion.modes import put_modes
from locsvc.fusion.sorting import sort_digits, sort_keys

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.grid import Posterior

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

# Modes are looked for in the set that holds at least this: a second place with a few percent is worth telling.
MODE_CONFIDENCE = 0.98
MEDIAN_STEPS = 6
# Sums that run side by side.
LANES = 4
# Mass that sums of rounded shares may miss the asked confidence by.
_ROUNDING = 1e-9
# Children of a cell that is no pentagon, which are never seven.
_SIBLINGS = 7
# Where a cell's resolution stands, and the bits below: base cell and digits.
_RESOLUTION, _FOUR = np.uint64(52), np.uint64(4)
_LAST_FOUR, _DIGITS = np.uint64(15), np.uint64((1 << 52) - 1)
# Columns of a call's numbers.
LAT, LNG, RADIUS, MAJOR, MINOR, ORIENTATION, MASS, AREA, REACH = range(9)


@dataclass(slots=True)
class Answers:
    """The numbers of each call, (calls,) unless told otherwise; degrees, metres.

    The region of a call is its first `region_leaves` leaves; `reach_m` is how far from the position they end.
    `mode_of_leaf` (leaves,) int64 is 0 for the dominant mode, 1, 2, ... for others, -1 for leaves outside of all.
    `modes` lists the other modes, heaviest first: rows `mode_starts[call]` to `mode_starts[call + 1]`.
    """

    latitude_deg: Floats
    longitude_deg: Floats
    radius_m: Floats
    semi_major_m: Floats
    semi_minor_m: Floats
    orientation_deg: Floats
    region_mass: Floats
    region_area_m2: Floats
    reach_m: Floats
    region_leaves: Ints
    mode_of_leaf: Ints
    modes: Modes


@dataclass(slots=True)
class Modes:
    """Other places of all calls, (modes,): degrees, mass, radius in metres; `starts` (calls + 1,)."""

    latitude_deg: Floats
    longitude_deg: Floats
    mass: Floats
    radius_m: Floats
    starts: Ints

    def of(self, call: int) -> list[Mode]:
        """The modes of a call but the dominant one, heaviest first."""
        rows = slice(int(self.starts[call]), int(self.starts[call + 1]))
        columns = (self.latitude_deg, self.longitude_deg, self.mass, self.radius_m)
        return [Mode(*values) for values in zip(*(c[rows].tolist() for c in columns), strict=True)]


@dataclass(frozen=True, slots=True)
class Mode:
    """Another place where the caller may be."""

    latitude_deg: float
    longitude_deg: float
    mass: float
    radius_m: float


class LeavesOfCalls(NamedTuple):
    """Leaves of all calls, by `starts`, and the masses (calls,) that region and ellipse, and circles, are to hold."""

    anchor: Floats
    starts: Ints
    mass: Floats
    area_m2: Floats
    vectors: Floats
    confidence: Floats
    circle: Floats


class _Call(NamedTuple):
    """Leaves of one call, densest first; coordinates in metres are set along the way."""

    anchor: Floats
    mass: Floats
    area_m2: Floats
    vectors: Floats
    east_m: Floats
    north_m: Floats
    key: Cells
    work: Floats


def answer(posterior: Posterior, confidence: Floats, circle: Floats | None = None) -> Answers:
    """Region, position, radius, ellipse and other modes of each call.

    Parameters
    ----------
    posterior
        From `grid.locate`.
    confidence
        (calls,) float64, 0.05 to 0.999, of the posterior that region and ellipse are to hold.
    circle
        The same for radii; as much as regions where it is left out.
    """
    leaves = posterior.leaves
    calls = len(leaves.starts) - 1
    numbers = np.empty((9, calls))
    region, count = np.empty(calls, np.int64), np.empty(calls, np.int64)
    of_leaf = np.empty(len(leaves.cell), np.int64)
    wanted = np.asarray(confidence, np.float64)
    of_leaves = leaves.starts, leaves.mass, leaves.area_m2, leaves.vectors
    circle = wanted if circle is None else np.asarray(circle, np.float64)
    all_calls = LeavesOfCalls(posterior.pieces.anchor, *of_leaves, wanted, circle)
    answer_calls(all_calls, numbers, region, of_leaf, count)
    starts = np.zeros(calls + 1, np.int64)
    np.cumsum(count - 1, out=starts[1:])
    modes = np.empty((4, int(starts[-1])))
    if starts[-1]:
        list_modes(all_calls, of_leaf, starts, modes)
    return answers_of(numbers, region, of_leaf, modes, starts)


def answers_of(numbers: Floats, region: Ints, of_leaf: Ints, modes: Floats, mode_starts: Ints) -> Answers:
    """What the kernels found, by name."""
    return Answers(
        numbers[LAT],
        numbers[LNG],
        numbers[RADIUS],
        numbers[MAJOR],
        numbers[MINOR],
        numbers[ORIENTATION],
        numbers[MASS],
        numbers[AREA],
        numbers[REACH],
        region,
        of_leaf,
        Modes(modes[0], modes[1], modes[2], modes[3], mode_starts),
    )


@compiled
def answer_calls(c: LeavesOfCalls, numbers: Floats, region: Ints, of_leaf: Ints, modes: Ints) -> None:
    """Fills the numbers (9, calls), leaves in the region and number of modes (calls,) of all calls."""
    most = 0
    for call in range(len(c.confidence)):
        most = max(most, c.starts[call + 1] - c.starts[call])
    east, north, key = np.empty(most), np.empty(most), np.empty(most, np.uint64)
    work = np.empty((5, most + LANES))
    for call in range(len(c.confidence)):
        a, b = c.starts[call], c.starts[call + 1]
        one = _Call(c.anchor[call], c.mass[a:b], c.area_m2[a:b], c.vectors[a:b], east, north, key, work)
        region[call], modes[call] = _answer_call(
            one, c.confidence[call], c.circle[call], numbers[:, call], of_leaf[a:b]
        )


@compiled
def _answer_call(c: _Call, confidence: float, circle: float, out: Floats, of_leaf: Ints) -> tuple[int, int]:
    """Fills one call's numbers and modes; leaves in its region, and how many modes there are."""
    n = len(c.mass)
    region = near = 0
    held = 0.0
    for i in range(n):
        if held < confidence - _ROUNDING:
            region = i + 1
            out[MASS] = held + c.mass[i]
        if held < max(confidence, MODE_CONFIDENCE) - _ROUNDING:
            near = i + 1
        held += c.mass[i]
    out[MASS] = min(out[MASS], 1.0)
    area = 0.0
    for i in range(region):
        area += c.area_m2[i]
    out[AREA] = area
    _measure_from(c, c.anchor[0], c.anchor[1], c.anchor[2], c.anchor)
    modes = put_modes(c.mass, c.area_m2, c.east_m, c.north_m, region, near, of_leaf)
    x, y, z = _median(c, region, of_leaf)
    out[LAT], out[LNG] = math.degrees(math.atan2(z, math.sqrt(x * x + y * y))), math.degrees(math.atan2(y, x))
    _measure_from(c, x, y, z, c.anchor)
    _put_ellipse(c, region, of_leaf, out)
    reach = 0.0
    for i in range(region):
        reach = max(reach, math.sqrt(c.east_m[i] ** 2 + c.north_m[i] ** 2) + math.sqrt(c.area_m2[i]))
    out[REACH] = reach
    out[RADIUS] = radius_holding(c, circle)
    return region, modes


@inlined
def _measure_from(c: _Call, x: float, y: float, z: float, anchor: Floats) -> None:
    """Sets east and north of all leaves from a unit vector, metres in the tangent plane there."""
    e0, e1, n0, n1, n2, _ = axes_at(x, y, z)
    sx, sy, sz = anchor[0] - x, anchor[1] - y, anchor[2] - z
    for i in range(len(c.mass)):
        vx, vy, vz = c.vectors[i, 0] + sx, c.vectors[i, 1] + sy, c.vectors[i, 2] + sz
        c.east_m[i] = vx * e0 + vy * e1
        c.north_m[i] = vx * n0 + vy * n1 + vz * n2


@compiled
def _median(c: _Call, region: int, of_leaf: Ints) -> tuple[float, float, float]:
    """Geometric median of the region's dominant mode, a unit vector; leaves are measured from the anchor.

    Weiszfeld's iteration from the mean; each leaf's distance has its own half size added, so that it never vanishes.
    """
    mass, east, north, size, pull = c.work[0], c.work[1], c.work[2], c.work[3], c.work[4]
    count = 0
    for i in range(region):
        if of_leaf[i] == 0:
            mass[count], east[count], north[count], size[count] = (
                c.mass[i],
                c.east_m[i],
                c.north_m[i],
                c.area_m2[i] / 8.0,
            )
            count += 1
    while count % LANES:
        mass[count], east[count], north[count], size[count] = 0.0, 0.0, 0.0, 1.0
        count += 1
    me, mn = _weighted_mean(mass, east, north, count)
    for _ in range(MEDIAN_STEPS):
        for i in range(count):
            de, dn = east[i] - me, north[i] - mn
            pull[i] = mass[i] / math.sqrt(de * de + dn * dn + size[i])
        me, mn = _weighted_mean(pull, east, north, count)
    ax, ay, az = c.anchor[0], c.anchor[1], c.anchor[2]
    e0, e1, n0, n1, n2, _ = axes_at(ax, ay, az)
    ke, kn = me / (e0 * e0 + e1 * e1), mn / (n0 * n0 + n1 * n1 + n2 * n2)
    ox, oy, oz = e0 * ke + n0 * kn, e1 * ke + n1 * kn, n2 * kn
    # The chord's third side: how far the sphere has bent away below the tangent plane.
    fall = math.sqrt(1.0 - min(ox * ox + oy * oy + oz * oz, 1.0))
    x, y, z = ax * fall + ox, ay * fall + oy, az * fall + oz
    size = math.sqrt(x * x + y * y + z * z)
    return x / size, y / size, z / size


@inlined
def _weighted_mean(weight: Floats, east: Floats, north: Floats, count: int) -> tuple[float, float]:
    """Mean of places, in sums side by side, so that they can be vector code: `count` is a multiple of LANES."""
    t0 = t1 = t2 = t3 = e0 = e1 = e2 = e3 = n0 = n1 = n2 = n3 = 0.0
    for i in range(0, count, LANES):
        t0 += weight[i]
        t1 += weight[i + 1]
        t2 += weight[i + 2]
        t3 += weight[i + 3]
        e0 += weight[i] * east[i]
        e1 += weight[i + 1] * east[i + 1]
        e2 += weight[i + 2] * east[i + 2]
        e3 += weight[i + 3] * east[i + 3]
        n0 += weight[i] * north[i]
        n1 += weight[i + 1] * north[i + 1]
        n2 += weight[i + 2] * north[i + 2]
        n3 += weight[i + 3] * north[i + 3]
    total = (t0 + t1) + (t2 + t3)
    return ((e0 + e1) + (e2 + e3)) / total, ((n0 + n1) + (n2 + n3)) / total


@compiled
def radius_holding(c: _Call, wanted: float) -> float:
    """Radius, metres, of the circle around the position that holds the mass `wanted`; leaves are measured from there.

    A leaf counts from half of its mass at its centre: between two leaves the mass is taken to rise evenly.
    """
    n = len(c.mass)
    for i in range(n):
        c.key[i] = sort_key(np.float32(c.east_m[i] * c.east_m[i] + c.north_m[i] * c.north_m[i]), i)
    sort_keys(c.key, n)
    held = before = 0.0
    last = -1
    for k in range(n):
        i = number_of_key(c.key[k])
        middle = held + c.mass[i] / 2.0
        distance = math.sqrt(c.east_m[i] * c.east_m[i] + c.north_m[i] * c.north_m[i])
        if middle >= wanted or k == n - 1:
            if last < 0:
                # One leaf alone: its own size.
                return max(distance, math.sqrt(c.area_m2[i] / math.pi))
            inner = math.sqrt(c.east_m[last] * c.east_m[last] + c.north_m[last] * c.north_m[last])
            rise = middle - before
            part = min(max((wanted - before) / rise, 0.0), 1.0) if rise > 0.0 else 1.0
            # Beyond the last leaf nothing is known to be.
            return inner + part * (distance - inner)
        held += c.mass[i]
        before, last = middle, i
    return 0.0


@compiled
def _put_ellipse(c: _Call, region: int, of_leaf: Ints, out: Floats) -> None:
    """Half axes (metres) and direction (degrees) of the ellipse with the inertia of the region's dominant mode.

    A full ellipse has twice its standard deviations as half axes; the region of one mode is nearly full.
    """
    total = me = mn = own = 0.0
    for i in range(region):
        if of_leaf[i] == 0:
            area = c.area_m2[i]
            total += area
            me += area * c.east_m[i]
            mn += area * c.north_m[i]
            # A hexagon's own inertia: nothing is narrower than a cell.
            own += area * area
    me, mn, own = me / total, mn / total, own / total * (5.0 / (36.0 * math.sqrt(3.0)))
    ee = en = nn = 0.0
    for i in range(region):
        if of_leaf[i] == 0:
            de, dn = c.east_m[i] - me, c.north_m[i] - mn
            ee += c.area_m2[i] * de * de
            en += c.area_m2[i] * de * dn
            nn += c.area_m2[i] * dn * dn
    ee, en, nn = ee / total + own, en / total, nn / total + own
    mean, half = (ee + nn) / 2.0, math.hypot((ee - nn) / 2.0, en)
    out[MAJOR], out[MINOR] = 2.0 * math.sqrt(mean + half), 2.0 * math.sqrt(max(mean - half, own))
    # Major axis clockwise from north: half the angle of (nn - ee, 2 en).
    out[ORIENTATION] = (math.degrees(math.atan2(2.0 * en, nn - ee)) / 2.0) % 180.0


@compiled
def list_modes(c: LeavesOfCalls, of_leaf: Ints, mode_starts: Ints, out: Floats) -> None:
    """Fills latitude, longitude, mass and radius (4, modes) of all modes but the dominant ones."""
    most = 0
    for call in range(len(c.confidence)):
        if mode_starts[call + 1] > mode_starts[call]:
            most = max(most, c.starts[call + 1] - c.starts[call])
    number, vectors, key = np.empty((4, most)), np.empty((most, 3)), np.empty(most, np.uint64)
    none = np.empty((5, 0))
    for call in range(len(c.confidence)):
        a, b, anchor = c.starts[call], c.starts[call + 1], c.anchor[call]
        for at in range(mode_starts[call], mode_starts[call + 1]):
            n, whole, mode = 0, 0.0, at - mode_starts[call] + 1
            for i in range(a, b):
                if of_leaf[i] == mode:
                    number[0, n], number[1, n] = c.mass[i], c.area_m2[i]
                    vectors[n, 0], vectors[n, 1], vectors[n, 2] = c.vectors[i, 0], c.vectors[i, 1], c.vectors[i, 2]
                    whole += c.mass[i]
                    n += 1
            one = _Call(anchor, number[0, :n], number[1, :n], vectors[:n], number[2, :n], number[3, :n], key[:n], none)
            out[0, at], out[1, at], out[2, at] = *_place_of_mode(one, whole), whole
            # A mode is not seen finer than its cells.
            out[3, at] = max(radius_holding(one, c.circle[call]), 0.5 * math.sqrt(one.area_m2.min() / math.pi))


@inlined
def _place_of_mode(c: _Call, whole: float) -> tuple[float, float]:
    """Latitude and longitude of the mean of a mode, whose masses become parts of it; leaves are measured from there."""
    x, y, z = c.anchor[0], c.anchor[1], c.anchor[2]
    for i in range(len(c.mass)):
        c.mass[i] /= whole
        x += c.mass[i] * c.vectors[i, 0]
        y += c.mass[i] * c.vectors[i, 1]
        z += c.mass[i] * c.vectors[i, 2]
    size = math.sqrt(x * x + y * y + z * z)
    x, y, z = x / size, y / size, z / size
    _measure_from(c, x, y, z, c.anchor)
    return math.degrees(math.atan2(z, math.sqrt(x * x + y * y))), math.degrees(math.atan2(y, x))


@dataclass(slots=True)
class CompactCells:
    """Region cells of all calls, (r,): compacted, ascending in each call; `starts` (calls + 1,)."""

    cell: Cells
    starts: Ints
    finest: Ints  # (calls,) resolution


def compact(leaves: Leaves, region_leaves: Ints) -> CompactCells:
    """The cells of each call's first `region_leaves` leaves; seven siblings are replaced by their parent, and so on."""
    calls = len(leaves.starts) - 1
    starts = np.zeros(calls + 1, np.int64)
    finest = np.empty(calls, np.int64)
    cell = np.empty(int(region_leaves.sum()), np.uint64)
    compact_calls(leaves.cell, leaves.starts, region_leaves, cell, starts, finest)
    return CompactCells(cell[: starts[-1]], starts, finest)


@compiled
def compact_calls(cell: Cells, starts: Ints, region: Ints, out: Cells, ends: Ints, finest: Ints) -> None:
    """Fills cells, where each call's end (calls + 1,), and their finest resolution (calls,) of all calls."""
    used, most = 0, 0
    for call in range(len(region)):
        most = max(most, region[call])
    key = np.empty(most, np.uint64)
    for call in range(len(region)):
        mine = cell[starts[call] : starts[call] + region[call]]
        finest[call], kept = _compact_call(mine, key, out[used:])
        used += kept
        ends[call + 1] = used


@compiled
def _compact_call(cells: Cells, key: Cells, out: Cells) -> tuple[int, int]:
    """Writes cells compacted to `out`, ascending; their finest resolution before, and how many there are.

    In the order of their digits siblings stand together, and what is below one of them stands in its place: as soon as
    seven siblings have come they are their parent. `key` is room: digits, then four bits of resolution.
    """
    finest = np.uint64(0)
    for i in range(len(cells)):
        resolution = (cells[i] >> _RESOLUTION) & _LAST_FOUR
        finest = max(finest, resolution)
        key[i] = ((cells[i] & _DIGITS) << _FOUR) | resolution
    lowest = 4 + 3 * (FINEST - np.int64(finest))
    sort_digits(key, len(cells), lowest)  # type: ignore[arg-type]  # the same to the interpreter
    count = 0
    for i in range(len(cells)):
        key[count] = key[i]
        count += 1
        while count >= _SIBLINGS and _are_siblings(key, count - _SIBLINGS):
            count -= _SIBLINGS - 1
            # The last digit of a parent is no digit, which is 7.
            key[count - 1] = (key[count - 1] | (np.uint64(7) << _shift_of(key[count - 1]))) - np.uint64(1)
    # Coarse cells come first: their resolution stands before their digits.
    first = np.zeros(FINEST + 2, np.int64)
    for i in range(count):
        first[np.int64(key[i] & _LAST_FOUR) + 1] += 1
    for resolution in range(FINEST):
        first[resolution + 1] += first[resolution]
    for i in range(count):
        resolution = np.int64(key[i] & _LAST_FOUR)
        bits = (cells[0] & ~(_LAST_FOUR << _RESOLUTION | _DIGITS)) | ((key[i] & _LAST_FOUR) << _RESOLUTION)
        out[first[resolution]] = bits | (key[i] >> _FOUR)
        first[resolution] += 1
    return np.int64(finest), count  # type: ignore[return-value]  # the same to the interpreter


@inlined
def _shift_of(key: np.uint64) -> np.uint64:
    """How far the last digit of a cell stands from the end of its key."""
    return _FOUR + np.uint64(3) * (np.uint64(FINEST) - (key & _LAST_FOUR))


@inlined
def _are_siblings(key: Cells, first: int) -> bool:
    """Whether seven keys from the first on, in order, are all children of one cell."""
    last = key[first + 6]
    shift = _shift_of(last)
    siblings = (last >> shift) & np.uint64(7) == np.uint64(6) and last & _LAST_FOUR != np.uint64(0)
    if siblings:
        parent = last ^ (np.uint64(6) << shift)
        for digit in range(6):
            siblings = siblings and key[first + digit] == parent | (np.uint64(digit) << shift)
    return bool(siblings)
