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

from locsvc.compiled import compiled, inlined, lent, log32
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
from locsvc.resolver.coverage_levels import (
    CELL_ROWS,
    EXPLAINED,
    FIT,
    LOOKS,
    OF_LOOKS,
    OFF,
    PLACES,
    SPREAD,
    UNDERFLOW,
    Comparison,
    Levels,
    fit_levels,
    room_for_levels,
)
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
    Bytes = npt.NDArray[np.uint8]

_LEAST = 1e-4
# Slots for the cells of a scan, by the last bits of their numbers; what stands there for several of them.
_SLOTS, _SEVERAL = 4096, 255
# Rows of a channel that a place may have: some hundred at the most, in what was measured.
_MOST_ROWS = 4096
# Unsigned, so that no index is asked whether it counts from the end.
_ONE = np.uint64(1)

# Rows of the numbers of a scan's channels: first cell and end, and if they are physical.
CHANNEL, CHANNEL_END, PHYSICAL = range(3)


class Room(NamedTuple):
    """Room to work in, for one scan after the other."""

    seen: Seen
    number: Ints  # (3, MOST_CELLS): numbers of the cells of the scan's channels; rows CHANNEL to PHYSICAL
    slot: Bytes  # (_SLOTS,): number + 1 of the scan's cell whose numbers end so, _SEVERAL, 0 where there is none
    own: Bytes  # (_MOST_ROWS,): what stands in the slot of each row of a channel at the place in hand
    hit: Words  # (_MOST_ROWS,): those of its rows for which there is something
    levels: Levels
    told: Floats  # (MOST_COMPARED,): what unheard cells tell
    served: Floats  # (MOST_COMPARED,): share of scans that the same cell served
    key: Ints  # (MOST_COMPARED,)
    value: Floats  # (MOST_COMPARED,)
    looked: Floats  # (MOST_COMPARED,)
    explained: Floats  # (MOST_COMPARED,)


def room() -> Room:
    """Room for the comparison of scans, one after the other."""
    return Room(
        room_to_pass(),
        np.empty((3, MOST_CELLS), np.int64),
        np.zeros(_SLOTS, np.uint8),
        np.empty(_MOST_ROWS, np.uint8),
        np.empty(_MOST_ROWS, np.int32),
        room_for_levels(),
        np.empty(MOST_COMPARED),
        np.empty(MOST_COMPARED),
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
    """Writes the cell numbers of the channels of a scan's cells, ascending; how many channels.

    Cells are numbered by identity: those of one network and channel (of one network, where identities are full) stand
    together.
    """
    n, beyond = 0, -1
    for j in range(len(scan.identity)):
        identity = scan.identity[j]
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


@inlined
def _put_slots(scan: Scan, slot: Bytes) -> None:
    """Notes under which of its cells a number may be found."""
    for j in range(len(scan.identity)):
        for cell in range(scan.first[j], scan.first[j] + scan.clusters[j]):
            slot[cell & (_SLOTS - 1)] = j + 1 if slot[cell & (_SLOTS - 1)] == 0 else _SEVERAL


@inlined
def _clear_slots(scan: Scan, slot: Bytes) -> None:
    for j in range(len(scan.identity)):
        for cell in range(scan.first[j], scan.first[j] + scan.clusters[j]):
            slot[cell & (_SLOTS - 1)] = 0


@inlined
def _number_of(scan: Scan, found: int, cell: int) -> int:
    """Which cell of the scan has the number `cell`, for which `found` stands in its slot; -1 if none."""
    j, k = found - 1, len(scan.identity)
    if found == _SEVERAL:
        j = 0
        while j < k and scan.first[j] + scan.clusters[j] <= cell:
            j += 1
    return j if j < k and scan.first[j] <= cell < scan.first[j] + scan.clusters[j] else -1


@inlined
def _gather(
    i: int, rows: tuple[int, int], channels: int, scan: Scan, s: Signatures, c: Comparison, room: Room
) -> tuple[float, float, float]:
    """Notes in column `i` of the levels what a place, whose rows are told by first and end, knows of the scan's cells.

    Returns what unheard cells tell of the scan, the place's looks, and scans that the scan's serving cell served.
    """
    told, looked, served, n = 0.0, 0.0, 0.0, 0
    number, slot, own, hit, heard = room.number, room.slot, room.own, room.hit, room.levels.heard
    heard_cell, heard_stats, prior = s.heard_cell, s.heard_stats, c.prior_looks * c.prior_share
    r, last = np.uint64(rows[0]), np.uint64(rows[1])
    for b in range(channels):
        while r < last and heard_cell[r] < number[CHANNEL, b]:
            r += _ONE
        beyond, longest = number[CHANNEL_END, b], min(last, r + np.uint64(_MOST_ROWS))
        most, listed, visits = np.float32(0.0), np.float32(0.0), np.float32(0.0)
        end, hits = r, 0
        # Nothing here hangs on a guess: which rows are the scan's is as good as chance.
        while end < longest and heard_cell[end] < beyond:
            reports, often = heard_stats[end, H_REPORTS], heard_stats[end, H_VISITS]
            visits = often if reports > most else visits
            most, listed = max(most, reports), max(listed, heard_stats[end, H_LISTED])
            own[end - r] = slot[heard_cell[end] & (_SLOTS - 1)]
            hit[hits] = end - r
            hits += own[end - r] > 0
            end += _ONE
        if end == r:
            continue
        # A car at a red light is one look, not a hundred, and not quite only one: the root of both.
        looks = math.sqrt(max(np.float64(visits), 1e-3) / max(np.float64(most), 1e-3))
        looked = max(looked, float(most * looks))
        of_looks, of_lists = 1.0 / (most * looks + c.prior_looks), 1.0 / (listed * looks + c.prior_looks)
        latest = -1
        for h in range(hits):
            row = r + np.uint64(hit[h])
            j = _number_of(scan, int(own[hit[h]]), heard_cell[row])
            if j < 0:
                own[hit[h]] = 0
                continue
            served += heard_stats[row, H_SERVING] if j == scan.serving else 0.0
            # Of several cells of one identity the last counts.
            n -= 1 if j == latest else 0
            latest, counted, at = j, heard_stats[row, H_REPORTS] * looks, CELL_ROWS * PLACES * n + i
            if counted > 0.0:
                sd, off = heard_stats[row, H_LEVEL_SD], scan.level_dbm[j] - heard_stats[row, H_LEVEL]
                heard[at + OFF * PLACES] = 0.0 if math.isnan(off) else off
                heard[at + LOOKS * PLACES] = counted
                heard[at + SPREAD * PLACES] = math.inf if math.isnan(off) else 0.0 if math.isnan(sd) else sd * sd
                heard[at + OF_LOOKS * PLACES] = of_looks
                n += 1
            else:
                latest, heard[at + OF_LOOKS * PLACES] = -1, 0.0
        unheard = 1.0
        for listing in range(r, end if number[PHYSICAL, b] > 0 and listed > 0.0 else r):
            share = min((heard_stats[listing, H_LISTED] * looks + prior) * of_lists, c.most_share)
            unheard *= 1.0 if own[listing - r] > 0 else 1.0 - share
            if unheard < UNDERFLOW:
                told, unheard = told + math.log(unheard), 1.0
        told += math.log(unheard) if unheard < 1.0 else 0.0
        r = end
    room.levels.cells[i] = n
    return told, looked, served


@compiled
def compare(scan: Scan, s: Signatures, c: Comparison, room: Room) -> int:
    """Writes the places (ascending) that the scan may be from to `room.key`, their weights to `room.value`; how many.

    Weights sum to 1; places with next to none are left out.
    """
    scan, s, room, cells = lent(scan), lent(s), lent(room), len(scan.identity)
    n = best_of(room.seen, room.key, look_around(scan, s, room.seen), cells)
    channels = _put_numbers(scan, s.cell_identity, room.number)
    _put_slots(scan, room.slot)
    # A cell that a place did not hear weighs nothing there.
    room.levels.heard[: CELL_ROWS * PLACES * cells] = 0.0
    for i in range(n):
        first, last = s.place_start[room.key[i]], s.place_start[room.key[i] + 1]
        room.told[i], room.looked[i], room.served[i] = _gather(i, (first, last), channels, scan, s, c, room)
    _clear_slots(scan, room.slot)
    fit_levels(room.levels, n, cells, c)
    _put_values(scan, n, s, c, room)
    return _keep_likely(n, room)


@inlined
def _share_served(scan: Scan, n: int, s: Signatures, room: Room) -> None:
    """Turns scans that the scan's serving cell served into their share at each place."""
    physical, cells = _first_cell(s.cell_identity, 1 << PHYSICAL_BIT), len(s.cell_identity)
    by_channel = scan.identity[scan.serving] >> PHYSICAL_BIT > 0
    named, column = ((physical, cells), 1) if by_channel else ((0, physical), 0)
    for i in range(n):
        served_by_all = s.served[room.key[i], column]
        if served_by_all == 0.0:
            first, last = s.place_start[room.key[i]], s.place_start[room.key[i] + 1]
            served_by_all = _served(s.heard_cell, s.heard_stats, first, last, named[0], named[1]) + 1.0
            s.served[room.key[i], column] = served_by_all
        room.served[i] = (room.served[i] + 0.01) / served_by_all


@inlined
def _put_values(scan: Scan, n: int, s: Signatures, c: Comparison, room: Room) -> None:
    """Puts the logarithm of the fit of each place, and how many cells it explains."""
    if scan.serving >= 0:
        _share_served(scan, n, s, room)
    shared, fitted = (c.usual_cells / len(scan.identity)) ** c.cells_power, room.levels.fitted
    for i in range(n):
        told = room.told[i] * c.unheard_exponent
        if scan.serving >= 0:
            told += c.serving_exponent * _log(room.served[i])
        fit = shared * (c.level_exponent * fitted[FIT * PLACES + i] + told)
        room.value[i] = fit + c.visits_exponent * _log(room.looked[i] + 1e-3)
        room.explained[i] = fitted[EXPLAINED * PLACES + i]


@inlined
def _keep_likely(n: int, room: Room) -> int:
    """Turns logarithms into weights, and leaves out places with next to none; how many are left."""
    best, total = -1e300, 0.0
    for i in range(n):
        best = max(best, room.value[i])
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
