"""How well a scan of several cells fits the signatures of places, which located history taught.

For each place that heard some of the scan's cells the logarithm of the fit is

    l_p = v ln N_p + a sum_j ln( q_pj t(y_j - m_pj - d_p) + r / 60 dB ) + u sum_{i not heard} ln(1 - q_pi) + s ln S_p

* `q_pj`: share of the scans at place p that heard cell j, of those that measured its channel at all;
* `m_pj`: its mean level there; `t`: Student density; `d_p`: what phone and car add to all levels of this scan,
  estimated at each place from the same levels, with its own prior; `r`: how often a cell is heard where it never was;
* cells that were not heard count where their channel was measured: another cell of it is in the scan;
* `S_p`: share of the scans at p that the serving cell served; `N_p`: how many looks the place had.

The exponents are below 1, as the cells of one scan go up and down together; all but that of the looks are multiplied by
(usual_cells / cells) ** cells_power: twenty cells that share their errors do not say twice what ten do. See
docs/algorithm.md.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, exp32, inlined, log32
from locsvc.reference.cells.keys import CELL_BITS
from locsvc.reference.coverage.files import (
    H_LEVEL,
    H_LEVEL_SD,
    H_LISTED,
    H_REPORTS,
    H_SERVING,
    H_VISITS,
    R_LEVEL,
)
from locsvc.reference.coverage.identities import PCI_BITS, PHYSICAL_BIT

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.reference.coverage import CoverageStore

    Floats = npt.NDArray[np.float64]
    Singles = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.int32]

# Cells of a scan that are compared; phones list some 30 at most.
MOST_CELLS = 64
# Places that are looked at in passing, and those that are compared.
MOST_SEEN, MOST_COMPARED = 2048, 96
_SLOTS = 4 * MOST_SEEN
# Rows that are looked at in passing, the rarest cells' first: once enough places are known, more find no better ones.
_MOST_ROWS = 500
# A row that stands for more places than this tells them apart too little to be spread over them.
_MOST_IN_A_BIN = 49
_STEPS = 256
# Levels that a phone tells lie within some 60 dB: the density of one that nothing is known of.
_LEVEL_RANGE_DB = 60.0
# Level difference in passing that halves what a cell counts.
_PASSING_DB = 10.0
_LEAST = 1e-4


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


class Signatures(NamedTuple):
    """What kernels read of a coverage dataset."""

    cell_start: Ints
    row_bin: Words
    row_stats: Singles
    bin_first: Words
    bin_last: Words
    place_start: Ints
    heard_cell: Words
    heard_stats: Singles
    cell_identity: Ints


class Scan(NamedTuple):
    """Known cells of one scan, ascending: identity, first cell number, how many, level (NaN); the serving one, -1."""

    identity: Ints
    first: Ints
    clusters: Ints
    level_dbm: Floats
    serving: int


class Room(NamedTuple):
    """Room to work in, for one scan after the other."""

    slot: Words  # (_SLOTS,) number of the seen place + 1, 0 where free
    place: Ints  # (MOST_SEEN,)
    match: Floats  # (MOST_SEEN,)
    latest: Floats  # (MOST_SEEN,) what the cell in hand adds
    latest_cell: Words  # (MOST_SEEN,)
    looks: Floats  # (4, MOST_CELLS): n, mean, variance, log share at the place in hand
    key: Ints  # (MOST_COMPARED,)
    value: Floats  # (MOST_COMPARED,)
    looked: Floats  # (MOST_COMPARED,)
    explained: Floats  # (MOST_COMPARED,)


def signatures_of(store: CoverageStore) -> Signatures:
    """The arrays of a dataset that kernels read."""
    return Signatures(*(getattr(store, name) for name in Signatures._fields))


def room() -> Room:
    """Room for the comparison of scans, one after the other."""
    return Room(
        np.zeros(_SLOTS, np.int32),
        np.empty(MOST_SEEN, np.int64),
        np.empty(MOST_SEEN),
        np.empty(MOST_SEEN),
        np.empty(MOST_SEEN, np.int32),
        np.empty((4, MOST_CELLS)),
        np.empty(MOST_COMPARED, np.int64),
        np.empty(MOST_COMPARED),
        np.empty(MOST_COMPARED),
        np.empty(MOST_COMPARED),
    )


@inlined
def _log(x: float) -> float:
    """Natural logarithm, to 1e-7: a tenth of the library's time."""
    return float(log32(np.float32(x)))


@inlined
def _channel(identity: int) -> int:
    """Network and channel of a physical identity, network of a full one (negative: no two kinds are equal)."""
    if identity >> PHYSICAL_BIT:
        return (identity & ((1 << PHYSICAL_BIT) - 1)) >> PCI_BITS
    return -(identity >> CELL_BITS) - 1


@inlined
def _seen(room: Room, place: int, seen: int) -> int:
    """Number of a place among those seen; a new one gets `seen`, -1 if there is no room."""
    at = (place * 2654435761) & (_SLOTS - 1)
    while room.slot[at] > 0:
        number = int(room.slot[at]) - 1
        if room.place[number] == place:
            return number
        at = (at + 1) & (_SLOTS - 1)
    if seen >= MOST_SEEN:
        return -1
    room.slot[at] = seen + 1
    room.place[seen], room.match[seen], room.latest_cell[seen] = place, 0.0, -1
    return seen


@compiled
def _look_around(scan: Scan, s: Signatures, room: Room) -> int:
    """Writes the places where cells of the scan were heard, and roughly how well they match; how many.

    Cells that few places hear come first: where there is no room for all places, theirs are the ones to look at.
    """
    room.slot[:] = 0
    k, seen = len(scan.identity), 0
    rows = np.empty(k, np.int64)
    for j in range(k):
        rows[j] = s.cell_start[scan.first[j] + scan.clusters[j]] - s.cell_start[scan.first[j]]
    passed = 0
    for j in np.argsort(rows):
        if passed > _MOST_ROWS and seen >= MOST_COMPARED:
            break
        passed += rows[j]
        for r in range(s.cell_start[scan.first[j]], s.cell_start[scan.first[j] + scan.clusters[j]]):
            first, last = s.bin_first[s.row_bin[r]], s.bin_last[s.row_bin[r]]
            if last - first > _MOST_IN_A_BIN:
                continue
            off = (scan.level_dbm[j] - s.row_stats[r, R_LEVEL]) / _PASSING_DB
            gain = 0.5 if math.isnan(off) else 1.0 / (1.0 + off * off)
            for place in range(first, last):
                at = _seen(room, place, seen)
                if at < 0:
                    continue
                seen = max(seen, at + 1)
                # A cell counts once at a place, as serving cell or as neighbour.
                if room.latest_cell[at] != j:
                    room.latest_cell[at], room.latest[at] = j, 0.0
                room.match[at] += max(gain - room.latest[at], 0.0)
                room.latest[at] = max(gain, room.latest[at])
    return seen


@compiled
def _best(room: Room, seen: int, cells: int) -> int:
    """Writes the best matching places, ascending, to `room.key`; how many."""
    held = np.zeros(_STEPS, np.int64)
    scale = (_STEPS - 1) / max(float(cells), 1.0)
    for i in range(seen):
        held[int(room.match[i] * scale)] += 1
    least, total = _STEPS, 0
    while least > 0 and total + held[least - 1] <= MOST_COMPARED:
        least -= 1
        total += held[least]
    n = 0
    for i in range(seen):
        if int(room.match[i] * scale) >= least:
            room.key[n] = room.place[i]
            n += 1
    # Many that match alike: those seen first, which the rarest cells named.
    for i in range(seen if n == 0 else 0):
        if int(room.match[i] * scale) == least - 1 and n < MOST_COMPARED:
            room.key[n] = room.place[i]
            n += 1
    room.key[:n] = np.sort(room.key[:n])
    return n


@inlined
def _take(room: Room, j: int, row: Singles, looks: float, most: float, c: Comparison) -> None:
    """Notes what a place knows of a scan's cell: looks, mean level, variance, share of scans that heard it."""
    n = float(row[H_REPORTS]) * looks
    sd, mean = float(row[H_LEVEL_SD]), float(row[H_LEVEL])
    spread = 0.0 if math.isnan(sd) else sd * sd
    room.looks[0, j], room.looks[1, j] = n, mean
    room.looks[2, j] = (c.pooled_looks * c.level_sd_db**2 + n * spread) / (c.pooled_looks + n)
    room.looks[2, j] += c.mean_sd_db**2 / (n + 0.3)
    room.looks[3, j] = min((n + c.prior_looks * c.prior_share) / (most * looks + c.prior_looks), c.most_share)


@compiled
def _gather(place: int, scan: Scan, s: Signatures, c: Comparison, room: Room) -> tuple[float, float]:
    """Notes what a place knows of the scan's cells in `room.looks`.

    Returns what its unheard cells and its serving cells tell of the scan, and its looks.
    """
    k = len(scan.identity)
    room.looks[0, :k] = 0.0
    told, looked, served, all_served = 0.0, 0.0, 0.0, 0.0
    kind = scan.identity[max(scan.serving, 0)] >> PHYSICAL_BIT
    r, end, j = s.place_start[place], s.place_start[place + 1], 0
    while r < end:
        channel = _channel(s.cell_identity[s.heard_cell[r]])
        most, listed, visits, block = 0.0, 0.0, 0.0, r
        while block < end and _channel(s.cell_identity[s.heard_cell[block]]) == channel:
            if s.heard_stats[block, H_REPORTS] > most:
                most, visits = s.heard_stats[block, H_REPORTS], s.heard_stats[block, H_VISITS]
            listed = max(listed, s.heard_stats[block, H_LISTED])
            all_served += s.heard_stats[block, H_SERVING] if (channel >= 0) == (kind > 0) else 0.0
            block += 1
        # A car at a red light is one look, not a hundred, and not quite only one: the root of both.
        looks = math.sqrt(max(visits, 1e-3) / max(most, 1e-3))
        inside = False
        for i in range(k):
            inside = inside or _channel(scan.identity[i]) == channel
        if inside:
            looked = max(looked, most * looks)
            while r < block:
                cell = s.heard_cell[r]
                while j < k and scan.first[j] + scan.clusters[j] <= cell:
                    j += 1
                if j < k and scan.first[j] <= cell:
                    _take(room, j, s.heard_stats[r], looks, most, c)
                    served += s.heard_stats[r, H_SERVING] if j == scan.serving else 0.0
                elif channel >= 0:
                    n = float(s.heard_stats[r, H_LISTED]) * looks
                    share = (n + c.prior_looks * c.prior_share) / (listed * looks + c.prior_looks)
                    told += c.unheard_exponent * _log(1.0 - min(share, c.most_share)) if listed > 0.0 else 0.0
                r += 1
        r = block
    if scan.serving >= 0:
        told += c.serving_exponent * _log((served + 0.01) / (all_served + 1.0))
    return told, looked


@inlined
def _offset_db(scan: Scan, c: Comparison, room: Room) -> float:
    """What phone and car add to all levels, as the place would have it: a robust mean that is drawn to 0."""
    offset = 0.0
    for _ in range(3):
        total = 1.0 / c.offset_sd_db**2
        held = 0.0
        for j in range(len(scan.identity)):
            off = scan.level_dbm[j] - room.looks[1, j]
            if room.looks[0, j] > 0.0 and not math.isnan(off):
                z2 = (off - offset) ** 2 / room.looks[2, j]
                weight = room.looks[3, j] * (c.level_freedom + 1.0) / (c.level_freedom + z2) / room.looks[2, j]
                total += weight
                held += weight * off
        offset = held / total
    return offset


@inlined
def _levels_fit(scan: Scan, c: Comparison, room: Room, unit: float) -> tuple[float, float]:
    """Logarithm of how well the heard cells fit what a place knows of them, and how many of them it explains."""
    offset = _offset_db(scan, c, room)
    explained = 0.0
    total = -0.5 * (offset / c.offset_sd_db) ** 2
    stray = c.stray_rate / _LEVEL_RANGE_DB
    for j in range(len(scan.identity)):
        density = stray
        if room.looks[0, j] > 0.0:
            off = scan.level_dbm[j] - room.looks[1, j] - offset
            here = 1.0 / _LEVEL_RANGE_DB
            if not math.isnan(off):
                z2 = off * off / room.looks[2, j]
                power = -0.5 * ((c.level_freedom + 1.0) * _log(1.0 + z2 / c.level_freedom) + _log(room.looks[2, j]))
                here = unit * float(exp32(np.float32(power)))
            density += room.looks[3, j] * here
        total += _log(density)
        explained += 1.0 - stray / density
    return total, explained


@compiled
def compare(scan: Scan, s: Signatures, c: Comparison, room: Room) -> int:
    """Writes the places (ascending) that the scan may be from to `room.key`, their weights to `room.value`; how many.

    Weights sum to 1; places with next to none are left out.
    """
    n = _best(room, _look_around(scan, s, room), len(scan.identity))
    freedom = c.level_freedom
    unit = math.exp(math.lgamma((freedom + 1.0) / 2.0) - math.lgamma(freedom / 2.0)) / math.sqrt(freedom * math.pi)
    best, shared = -1e300, (c.usual_cells / len(scan.identity)) ** c.cells_power
    for i in range(n):
        told, looked = _gather(room.key[i], scan, s, c, room)
        fit, room.explained[i] = _levels_fit(scan, c, room, unit)
        value = shared * (c.level_exponent * fit + told) + c.visits_exponent * _log(looked + 1e-3)
        room.value[i], room.looked[i] = value, looked
        best = max(best, value)
    total = 0.0
    for i in range(n):
        room.value[i] = math.exp(room.value[i] - best)
        total += room.value[i]
    kept, held = 0, 0.0
    for i in range(n):
        if room.value[i] >= _LEAST * total:
            room.key[kept], room.value[kept] = room.key[i], room.value[i]
            room.looked[kept], room.explained[kept] = room.looked[i], room.explained[i]
            held += room.value[i]
            kept += 1
    for i in range(kept):
        room.value[i] /= held
    return kept
