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
)
from locsvc.reference.coverage.identities import PCI_BITS, PHYSICAL_BIT
from locsvc.resolver.coverage_passing import (
    MOST_CELLS,
    MOST_COMPARED,
    Scan,
    Seen,
    Signatures,
    best_of,
    look_around,
    room_to_pass,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Singles = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.int32]

# Levels that a phone tells lie within some 60 dB: the density of one that nothing is known of.
_LEVEL_RANGE_DB = 60.0
_LEAST = 1e-4
# Products of densities and shares become logarithms before they are too small for a float.
_UNDERFLOW = 1e-200


# Rows of the numbers of a scan's cells (first one and end) and of its channels (the same, and if they are physical).
CELL, CELL_END, CHANNEL, CHANNEL_END, PHYSICAL = range(5)


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


class Room(NamedTuple):
    """Room to work in, for one scan after the other."""

    seen: Seen
    number: Ints  # (5, MOST_CELLS): numbers of the scan's cells, and of those of their channels; rows CELL to PHYSICAL
    heard: Floats  # (3, MOST_CELLS): what the place in hand knows of the cells it heard, see `_gather`
    key: Ints  # (MOST_COMPARED,)
    value: Floats  # (MOST_COMPARED,)
    looked: Floats  # (MOST_COMPARED,)
    explained: Floats  # (MOST_COMPARED,)


def room() -> Room:
    """Room for the comparison of scans, one after the other."""
    return Room(
        room_to_pass(),
        np.empty((5, MOST_CELLS), np.int64),
        np.empty((3, MOST_CELLS)),
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
def _first_cell(cell_identity: Ints, identity: int) -> int:
    """Number of the first cell with an identity not below."""
    first, count = 0, len(cell_identity)
    while count > 0:
        half = count >> 1
        if cell_identity[first + half] < identity:
            first += half + 1
            count -= half + 1
        else:
            count = half
    return first


@compiled
def _put_numbers(scan: Scan, cell_identity: Ints, number: Ints) -> int:
    """Writes the cell numbers of a scan's cells and of their channels, ascending; how many channels.

    Cells are numbered by identity: those of one network and channel (of one network, where identities are full) stand
    together.
    """
    n, beyond = 0, -1
    for j in range(len(scan.identity)):
        identity = scan.identity[j]
        number[CELL, j], number[CELL_END, j] = scan.first[j], scan.first[j] + scan.clusters[j]
        if identity < beyond:
            continue
        physical = identity >> PHYSICAL_BIT
        bits = PCI_BITS if physical else CELL_BITS
        beyond = ((identity >> bits) + 1) << bits
        number[CHANNEL, n] = _first_cell(cell_identity, (identity >> bits) << bits)
        number[CHANNEL_END, n], number[PHYSICAL, n] = _first_cell(cell_identity, beyond), physical
        n += 1
    return n


@inlined
def _served(heard_cell: Words, heard_stats: Singles, first: int, last: int, cells: int, more: int) -> float:
    """Scans that cells of numbers `cells` to `more` served, of the rows `first` to `last` of a place."""
    # Two sums side by side, as each step of one waits for the step before it.
    even, odd = 0.0, 0.0
    for r in range(first, last - 1, 2):
        even += heard_stats[r, H_SERVING] if cells <= heard_cell[r] < more else 0.0
        odd += heard_stats[r + 1, H_SERVING] if cells <= heard_cell[r + 1] < more else 0.0
    if (last - first) % 2 and cells <= heard_cell[last - 1] < more:
        even += heard_stats[last - 1, H_SERVING]
    return float(even + odd)


@compiled
def _gather(
    rows: tuple[int, int],
    counts: tuple[int, int, int],
    number: Ints,
    level_dbm: Floats,
    heard_cell: Words,
    heard_stats: Singles,
    c: Comparison,
    heard: Floats,
) -> tuple[float, float, float, int]:
    """Notes what a place, whose rows are told by first and end, knows of the scan's cells that it heard.

    `counts`: cells and channels of the scan, and its serving cell. `heard` gets, for each that was heard, how far the
    scan's level is off the mean (0 where one is missing), 1 over the variance (then 0) and the share of scans that
    heard it. Returns what unheard cells tell of the scan, the place's looks, scans that the scan's serving cell served,
    and how many cells were heard.
    """
    told, looked, served = 0.0, 0.0, 0.0
    k, channels, serving = counts
    r, last = rows
    j, n, latest = 0, 0, -1
    for b in range(channels):
        while r < last and heard_cell[r] < number[CHANNEL, b]:
            r += 1
        most, listed, visits, end = 0.0, 0.0, 0.0, r
        while end < last and heard_cell[end] < number[CHANNEL_END, b]:
            if heard_stats[end, H_REPORTS] > most:
                most, visits = heard_stats[end, H_REPORTS], heard_stats[end, H_VISITS]
            listed = max(listed, heard_stats[end, H_LISTED])
            end += 1
        if end == r:
            continue
        # A car at a red light is one look, not a hundred, and not quite only one: the root of both.
        looks = math.sqrt(max(visits, 1e-3) / max(most, 1e-3))
        looked = max(looked, most * looks)
        prior, unheard = c.prior_looks * c.prior_share, 1.0
        of_looks, of_lists = 1.0 / (most * looks + c.prior_looks), 1.0 / (listed * looks + c.prior_looks)
        unlisted_counts = number[PHYSICAL, b] > 0 and listed > 0.0
        for row in range(r, end):
            cell = heard_cell[row]
            while j < k and number[CELL_END, j] <= cell:
                j += 1
            if j == k or number[CELL, j] > cell:
                if unlisted_counts:
                    unheard *= 1.0 - min((heard_stats[row, H_LISTED] * looks + prior) * of_lists, c.most_share)
                    if unheard < _UNDERFLOW:
                        told, unheard = told + math.log(unheard), 1.0
                continue
            served += heard_stats[row, H_SERVING] if j == serving else 0.0
            # Of several cells of one identity the last counts.
            n -= 1 if j == latest else 0
            latest, reports = j, heard_stats[row, H_REPORTS] * looks
            if reports > 0.0:
                sd, off = heard_stats[row, H_LEVEL_SD], level_dbm[j] - heard_stats[row, H_LEVEL]
                spread = 0.0 if math.isnan(sd) else sd * sd
                variance = (c.pooled_looks * c.level_sd_db**2 + reports * spread) / (c.pooled_looks + reports)
                variance += c.mean_sd_db**2 / (reports + 0.3)
                measured = not math.isnan(off)
                heard[0, n], heard[1, n] = off if measured else 0.0, 1.0 / variance if measured else 0.0
                heard[2, n] = min((reports + prior) * of_looks, c.most_share)
                n += 1
            else:
                latest = -1
        told += math.log(unheard) if unheard < 1.0 else 0.0
        r = end
    return told, looked, served, n


@inlined
def _offset_db(heard: Floats, n: int, c: Comparison) -> float:
    """What phone and car add to all levels, as the place would have it: a robust mean that is drawn to 0."""
    offset = 0.0
    for _ in range(3):
        total, held = 1.0 / c.offset_sd_db**2, 0.0
        for h in range(n):
            off, sharp = heard[0, h], heard[1, h]
            weight = heard[2, h] * (c.level_freedom + 1.0) * sharp
            weight /= c.level_freedom + (off - offset) * (off - offset) * sharp
            total += weight
            held += weight * off
        offset = held / total
    return offset


@compiled
def _levels_fit(heard: Floats, n: int, cells: int, c: Comparison, unit: float) -> tuple[float, float]:
    """Logarithm of how well the `n` heard of a scan's cells fit what a place knows of them; how many it explains."""
    offset = _offset_db(heard, n, c)
    stray = max(c.stray_rate / _LEVEL_RANGE_DB, 1e-37)
    total = -0.5 * (offset / c.offset_sd_db) ** 2 + (cells - n) * math.log(stray)
    explained, product = 0.0, 1.0
    for h in range(n):
        sharp = heard[1, h]
        here = 1.0 / _LEVEL_RANGE_DB
        if sharp > 0.0:
            off = heard[0, h] - offset
            power = -0.5 * (c.level_freedom + 1.0) * _log(1.0 + off * off * sharp / c.level_freedom)
            here = unit * math.sqrt(sharp) * float(exp32(np.float32(power)))
        density = stray + heard[2, h] * here
        explained += 1.0 - stray / density
        product *= density
        if product < _UNDERFLOW:
            total, product = total + math.log(product), 1.0
    return total + math.log(product), explained


@compiled
def compare(scan: Scan, s: Signatures, c: Comparison, room: Room) -> int:
    """Writes the places (ascending) that the scan may be from to `room.key`, their weights to `room.value`; how many.

    Weights sum to 1; places with next to none are left out.
    """
    n = best_of(room.seen, room.key, look_around(scan, s, room.seen), len(scan.identity))
    freedom = c.level_freedom
    unit = math.exp(math.lgamma((freedom + 1.0) / 2.0) - math.lgamma(freedom / 2.0)) / math.sqrt(freedom * math.pi)
    best, shared = -1e300, (c.usual_cells / len(scan.identity)) ** c.cells_power
    counts = len(scan.identity), _put_numbers(scan, s.cell_identity, room.number), scan.serving
    serving, cells = scan.serving >= 0, len(s.cell_identity)
    physical = _first_cell(s.cell_identity, 1 << PHYSICAL_BIT)
    by_channel = scan.identity[max(scan.serving, 0)] >> PHYSICAL_BIT > 0
    level, numbers, heard_cell, heard_stats, heard = (
        scan.level_dbm,
        room.number,
        s.heard_cell,
        s.heard_stats,
        room.heard,
    )
    for i in range(n):
        first, last = s.place_start[room.key[i]], s.place_start[room.key[i] + 1]
        told, looked, served, k = _gather((first, last), counts, numbers, level, heard_cell, heard_stats, c, heard)
        fit, room.explained[i] = _levels_fit(heard, k, counts[0], c, unit)
        told *= c.unheard_exponent
        if serving:
            served_by_all = s.served[room.key[i], 1 if by_channel else 0]
            if served_by_all == 0.0:
                named = (physical, cells) if by_channel else (0, physical)
                served_by_all = _served(heard_cell, heard_stats, first, last, named[0], named[1]) + 1.0
                s.served[room.key[i], 1 if by_channel else 0] = served_by_all
            told += c.serving_exponent * _log((served + 0.01) / served_by_all)
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
