"""The posterior on H3 cells, coarse to fine: small cells where the caller may be, large ones where hardly.

Each call by itself: a level's cells are evaluated with densities averaged over the cell; those that matter are split
into their seven children, the others stay as leaves. A call ends when the set that holds the asked confidence has
enough cells and no piece of evidence that may be right hides in a cell larger than itself. So a 5 m fix inside a 30 km
cell costs eight levels of a dozen splits, and both ends of the scale are right. A leaf that was light beside a mass
which a closer look dissolves is opened again.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, exp32, inlined, number_of_key, sort_key
from locsvc.fusion.densities import FAMILY, Densities, Family
from locsvc.fusion.evaluation import Pieces, Places, blur_of, evaluate_call, pieces_of
from locsvc.fusion.lattice import FLAT_AREA_M2, Lattice, Level, direction, room_for, tables, write_children
from locsvc.fusion.leaves import Leaves
from locsvc.fusion.search import first_cells, log_outside
from locsvc.fusion.sorting import sort_keys
from locsvc.fusion.splitting import (
    EVEN_SHARPNESS,
    FINEST_ANSWER,
    HIDDEN_CELLS,
    HIDDEN_MASS,
    HIDDEN_SHARPNESS,
    Look,
    State,
    choose,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

_HISTOGRAM = int(Family.HISTOGRAM)
# A leaf with this much of the mass of the finished call is too large: what it was left for has gone.
HEAVY_LEAF = 0.06
# A part of a bin is too large when it has this much, or the asked set ends in it, or so near to it that it may.
HEAVY_EVEN_LEAF, END_ROOM = 0.25, 0.01
STAYS_WHOLE, _ZERO = np.float32(-1), np.float32(0)
# Cells below this part of the mass of their level are dropped at once.
NOTHING = 1e-10
# Rounds of opening leaves again, at the most: each makes the leaves that are too large smaller.
MOST_ROUNDS = 6
# Leaves below this part of a finished call are dropped: together below 1e-3, which stays counted as elsewhere.
NEGLIGIBLE = 2e-6
# Log of a leaf that has been opened: so far below all others that its mass is none.
OPENED = np.float32(-3e38)

# The whole globe has 5,870 first cells; all later levels are small.
ROOM = 6144
# Leaves that one call may have while it is being refined: some six rounds of every level.
LEAF_ROOM = 65536
# Finished leaves of the calls of one pass: some 400 each, never more than ROOM; what is not needed is never touched.
FOUND_ROOM = 1 << 19


@dataclass(slots=True)
class Posterior:
    """Leaves of all calls, and the densities that they came from."""

    leaves: Leaves
    densities: Densities
    pieces: Pieces


class Kept(NamedTuple):
    """Leaves of the call that is being refined; `log` is OPENED once a leaf has been; `share` is set by `_weigh`."""

    cells: Level
    resolution: Ints
    log: Floats32
    sharpness: Floats32
    area_m2: Floats
    share: Floats
    x: Floats
    y: Floats
    z: Floats


class Found(NamedTuple):
    """Finished leaves of many calls, while there is room."""

    cell: Cells
    mass: Floats
    area_m2: Floats
    vectors: Floats


class _Room(threading.local):
    """Room that each thread makes once."""

    def __init__(self) -> None:
        self.levels = (room_for(ROOM), room_for(ROOM))
        self.look = _room_to_look()
        self.kept = _room_to_keep()
        self.found = Found(
            np.empty(FOUND_ROOM, np.uint64), np.empty(FOUND_ROOM), np.empty(FOUND_ROOM), np.empty((FOUND_ROOM, 3))
        )


def _room_to_look() -> Look:
    return Look(
        np.empty(ROOM),
        np.empty(ROOM),
        np.empty(ROOM),
        np.empty(ROOM),
        np.empty(ROOM, np.float32),
        np.empty(ROOM, np.float32),
        np.empty(ROOM, np.float32),
        np.empty(ROOM, np.float32),
        np.empty(ROOM, np.uint64),
        np.empty(ROOM, np.int64),
        np.empty(ROOM, np.bool_),
    )


def _room_to_keep() -> Kept:
    return Kept(
        room_for(LEAF_ROOM),
        np.empty(LEAF_ROOM, np.int64),
        np.empty(LEAF_ROOM, np.float32),
        np.empty(LEAF_ROOM, np.float32),
        np.empty(LEAF_ROOM),
        np.empty(LEAF_ROOM),
        np.empty(LEAF_ROOM),
        np.empty(LEAF_ROOM),
        np.empty(LEAF_ROOM),
    )


_ROOM = _Room()


def room_of_thread() -> _Room:
    """The room that this thread keeps."""
    return _ROOM


def locate(densities: Densities, calls: int, confidence: Floats) -> Posterior:
    """The posterior of each call.

    Parameters
    ----------
    densities
        Evidence, at least one piece for each call.
    calls
        Number of calls.
    confidence
        (calls,) float64, asked for each: where the cells must be fine.
    """
    pieces = pieces_of(densities, calls)
    starts = np.zeros(calls + 1, np.int64)
    parts: list[Found] = []
    call = 0
    while call < calls:
        before = int(starts[call])
        call = locate_calls(
            tables(),
            pieces,
            np.asarray(confidence, np.float64),
            call,
            starts,
            _ROOM.found,
            _ROOM.levels,
            _ROOM.look,
            _ROOM.kept,
        )
        used = int(starts[call]) - before
        # Copied out of the room that the thread keeps: a tenth of what new room would cost.
        room = _ROOM.found
        parts.append(
            Found(
                room.cell[:used].copy(), room.mass[:used].copy(), room.area_m2[:used].copy(), room.vectors[:used].copy()
            )
        )
    whole = parts[0] if len(parts) == 1 else _joined(parts)
    return posterior_of(whole, starts, densities, pieces)


def posterior_of(found: Found, starts: Ints, densities: Densities, pieces: Pieces) -> Posterior:
    """The posterior of calls whose leaves were found."""
    call_of = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    leaves = Leaves(call_of, found.cell, found.mass, found.area_m2, found.vectors, starts)
    return Posterior(leaves, densities, pieces)


def _joined(parts: list[Found]) -> Found:
    return Found(
        np.concatenate([p.cell for p in parts]),
        np.concatenate([p.mass for p in parts]),
        np.concatenate([p.area_m2 for p in parts]),
        np.concatenate([p.vectors for p in parts]),
    )


@compiled
def locate_calls(
    t: Lattice,
    d: Pieces,
    confidence: Floats,
    call: int,
    starts: Ints,
    found: Found,
    levels: tuple[Level, Level],
    look: Look,
    kept: Kept,
) -> int:
    """Finds the posteriors of calls from `call` on, while there is room in `found`; the first call that is left."""
    numbers, counts = np.zeros((3, 1)), np.zeros((3, 1), np.int64)
    state = State(numbers[0], numbers[1], numbers[2], counts[0], counts[1], counts[2])
    base, used = starts[call], 0
    while call < len(confidence) and used + len(look.key) <= len(found.cell):
        log_elsewhere = _refine_call(t, d, call, confidence[call], levels, look, kept, state)
        used = _finish(kept, state, log_elsewhere, look.key, found, used)
        call += 1
        starts[call] = base + used
    return call


@inlined
def _refine_call(
    t: Lattice,
    d: Pieces,
    call: int,
    confidence: float,
    levels: tuple[Level, Level],
    look: Look,
    kept: Kept,
    state: State,
) -> float:
    """Fills `kept` with the leaves of a call; the log mass outside of all cells."""
    level, below = levels
    resolution, count = first_cells(t, d, call, confidence, level, below)
    area = 0.0
    for i in range(count):
        w = direction(t, level.face[i], level.x[i], level.y[i])[3]
        area += FLAT_AREA_M2[resolution] * w * w * w
    log_elsewhere = log_outside(d, call, max(area, 1.0))
    state.log_leaves[0] = log_elsewhere
    state.peak[0] = log_elsewhere
    state.kept[0] = 0
    state.enough[0] = 0
    state.learned[0] = _is_learned(d, call)
    for rounds in range(MOST_ROUNDS):
        while count > 0:
            _see(t, d, call, resolution, level, count, look)
            choose(confidence, resolution, count, look, state)
            count = _divide(t, resolution, level, count, look, below, kept, state)
            level, below = below, level
            resolution += 1
        # What the last round opens is still looked into.
        if rounds + 1 < MOST_ROUNDS:
            resolution, count = _reopen(t, confidence, log_elsewhere, kept, state, level)
        if count == 0:
            break
    return log_elsewhere


@inlined
def _see(t: Lattice, d: Pieces, call: int, resolution: int, level: Level, count: int, look: Look) -> None:
    """Evaluates a level, densities averaged over its cells."""
    ax, ay, az = d.anchor[call, 0], d.anchor[call, 1], d.anchor[call, 2]
    flat = FLAT_AREA_M2[resolution]
    for i in range(count):
        px, py, pz, w = direction(t, level.face[i], level.x[i], level.y[i])
        look.x[i], look.y[i], look.z[i] = px - ax, py - ay, pz - az
        # On the sphere the gnomonic plane shrinks by cos^3.
        look.area_m2[i] = flat * (w * w * w)
    none = np.empty((0, 0), np.float32)
    blur = blur_of(look.area_m2[0])
    places = Places(look.x, look.y, look.z, level.cell, look.area_m2)
    evaluate_call(d, call, places, count, blur, look.log, look.sharpness, look.gain, none)


@inlined
def _divide(
    t: Lattice, resolution: int, level: Level, count: int, look: Look, below: Level, kept: Kept, state: State
) -> int:
    """Keeps what is not split as leaves, writes the children of the others to `below`; their number."""
    # What is light beside a peak that a closer look dissolves may not be light: hardly anything is dropped yet.
    nothing = NOTHING * state.here[0]
    children = 0
    for k in range(count):
        i = look.order[k]
        if look.split[i]:
            write_children(
                t, level.cell[i], level.face[i], level.turn[i], level.x[i], level.y[i], resolution + 1, below, children
            )
            children += 7
        elif look.mass[i] > nothing and state.kept[0] < LEAF_ROOM:
            at = state.kept[0]
            state.kept[0] = at + 1
            kept.cells.cell[at] = level.cell[i]
            kept.cells.face[at] = level.face[i]
            kept.cells.turn[at] = level.turn[i]
            kept.cells.x[at] = level.x[i]
            kept.cells.y[at] = level.y[i]
            kept.resolution[at] = resolution
            kept.log[at] = look.log[i]
            kept.sharpness[at] = look.sharpness[i]
            kept.area_m2[at] = look.area_m2[i]
            kept.x[at], kept.y[at], kept.z[at] = look.x[i], look.y[i], look.z[i]
    return children


@inlined
def _weigh(log_elsewhere: float, kept: Kept, state: State) -> float:
    """Sets each kept leaf's share of everything; the log mass of everything."""
    peak = np.float32(state.peak[0])
    count = state.kept[0]
    for i in range(count):
        kept.share[i] = exp32(kept.log[i] - peak) * np.float32(kept.area_m2[i])
    total = math.exp(log_elsewhere - state.peak[0])
    for i in range(count):
        total += kept.share[i]
    for i in range(count):
        kept.share[i] /= total
    return float(state.peak[0]) + math.log(total)


@inlined
def _is_learned(d: Pieces, call: int) -> int:
    """1 if a piece of the call has a histogram, else 0."""
    for c in range(d.first_component[d.first_piece[call]], d.first_component[d.first_piece[call + 1]]):
        if d.component[c, FAMILY] == _HISTOGRAM:
            return 1
    return 0


@compiled
def _mark_whole(confidence: float, log: Floats32, share: Floats, sharpness: Floats32, count: int) -> None:
    """Sets the sharpness of heavy leaves that need not be opened to STAYS_WHOLE.

    A part of a bin, over which all is even, is as true whole as in parts; but for where the asked set ends in it.
    """
    for i in range(count):
        if not HEAVY_LEAF < share[i] <= HEAVY_EVEN_LEAF or sharpness[i] > EVEN_SHARPNESS:
            continue
        denser, own = 0.0, log[i]
        for k in range(count):
            denser += share[k] if log[k] > own else 0.0
        ends = denser - END_ROOM < confidence < denser + share[i] + END_ROOM
        sharpness[i] = _ZERO if ends else STAYS_WHOLE


@inlined
def _reopen(
    t: Lattice, confidence: float, log_elsewhere: float, kept: Kept, state: State, level: Level
) -> tuple[int, int]:
    """Opens leaves that turn out too large, and writes their children to `level`; their resolution and number.

    A leaf was left for its small part of the mass; when the rest shrinks in a closer look, it no longer is. A level has
    one resolution: the coarsest first, the others in the next round.
    """
    log_total = _weigh(log_elsewhere, kept, state)
    if state.learned[0] == 1:
        _mark_whole(confidence, kept.log, kept.share, kept.sharpness, state.kept[0])
    hiding, heavies = 0, 0
    coarsest, coarsest_heavy = FINEST_ANSWER, FINEST_ANSWER
    for i in range(state.kept[0]):
        if kept.resolution[i] >= FINEST_ANSWER:
            continue
        part = kept.share[i]
        heavy = part > HEAVY_LEAF and kept.sharpness[i] != STAYS_WHOLE
        if heavy:
            heavies += 1
            coarsest_heavy = min(coarsest_heavy, kept.resolution[i])
        if heavy or (kept.sharpness[i] > HIDDEN_SHARPNESS and part > HIDDEN_MASS):
            hiding += 1
            coarsest = min(coarsest, kept.resolution[i])
    # A thin ring hides in more cells than are worth it.
    only_heavy = hiding > HIDDEN_CELLS
    if hiding == 0 or (only_heavy and heavies == 0):
        return 0, 0
    if only_heavy:
        coarsest = coarsest_heavy
    count, left = 0, 1.0
    for i in range(state.kept[0]):
        if kept.resolution[i] != coarsest:
            continue
        part = kept.share[i]
        heavy = part > HEAVY_LEAF and kept.sharpness[i] != STAYS_WHOLE
        hides = kept.sharpness[i] > HIDDEN_SHARPNESS and part > HIDDEN_MASS
        if not (heavy or (hides and not only_heavy)) or count + 7 > len(level.cell):
            continue
        if heavy:
            state.enough[0] = 0
        c = kept.cells
        write_children(t, c.cell[i], c.face[i], c.turn[i], c.x[i], c.y[i], coarsest + 1, level, count)
        count += 7
        left -= part
        kept.log[i] = OPENED
    state.log_leaves[0] = log_total + math.log(max(left, 1e-12))
    return coarsest + 1, count


@inlined
def _finish(kept: Kept, state: State, log_elsewhere: float, key: Cells, found: Found, used: int) -> int:
    """Writes the leaves of a finished call to `found`, densest first; the rows that are used then."""
    _weigh(log_elsewhere, kept, state)
    count = 0
    for i in range(state.kept[0]):
        if kept.share[i] > NEGLIGIBLE and count < len(key):
            # How far below the peak, from 1: the bits of such floats are in their order, and evenly spread.
            depth = np.float32(1.0 + max(state.peak[0] - np.float64(kept.log[i]), 0.0))
            key[count] = sort_key(depth, i)
            count += 1
    if count == 0:
        # Nearly all is elsewhere: the heaviest leaf stands for what there is.
        key[0] = np.uint64(np.argmax(kept.share[: state.kept[0]]))
        count = 1
    sort_keys(key, count)
    for k in range(count):
        i = number_of_key(key[k])
        found.cell[used + k] = kept.cells.cell[i]
        found.mass[used + k] = kept.share[i]
        found.area_m2[used + k] = kept.area_m2[i]
        found.vectors[used + k, 0] = kept.x[i]
        found.vectors[used + k, 1] = kept.y[i]
        found.vectors[used + k, 2] = kept.z[i]
    return used + count
