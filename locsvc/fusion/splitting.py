"""Which cells of a level are split: those that hold the mass, and those in which evidence hides."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import bits_of_float, exp32, inlined, number_of_key, sort_key
from locsvc.fusion.lattice import FINEST
from locsvc.fusion.sorting import sort_keys

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Floats32 = npt.NDArray[np.float32]
    Ints = npt.NDArray[np.int64]
    Cells = npt.NDArray[np.uint64]

# Finest cells: 0.6 m edge, the end of H3.
FINEST_ANSWER = FINEST
# Mass of a level that may be left unsplit while the answer is still being closed in on.
TAIL = 1e-3
# Of what the confidence leaves out this part may be left in the larger cells, in the last level and before it.
LAST_TAIL, CLOSING_TAIL = 0.25, 0.1
# Cells that the set of the asked confidence must have, 40 to 280: a cell's edge is then a quarter to a tenth of its
# radius, and taking whole cells overshoots the confidence by half a cell's mass, some 0.2 points.
ENOUGH_CELLS = 40
# Most cells of a call that are split in one level.
MOST_SPLIT = 64
# A cell in which evidence hides is split for it only while there are few of them: a thin ring hides in many.
HIDDEN_CELLS = 64
# A cell with this much of the mass in which evidence hides (Evaluation.sharpness) is split when the rest is done.
HIDDEN_MASS, HIDDEN_SHARPNESS = 2e-3, 0.5
# Where few cells hide something, each with this much of the mass is.
LEAST_HIDDEN_MASS = 1e-6
# A cell that may have this much of the mass in a closer look (Evaluation.gain) is split, however light it seems.
GAINED_MASS = 3e-5
# Smaller gains than this, a fifth, are within what a level may be wrong by.
LEAST_GAIN = 0.2
# Where located history speaks, a cell over which all evidence is even is not split for a mass that its children would
# not be split for either: a seventh of what the cells of the asked set have, or less where hardly anything is left out.
EVEN_SHARPNESS, EVEN_MASS, EVEN_TAIL = 0.05, 1.0 / (7 * ENOUGH_CELLS), 0.1
# Steps of mass, sixteen an octave, by which the heaviest cells are found; what lies below all of them is one.
STEPS = 255
# Beyond this the leaves are all that counts; more would overflow.
MOST_EXPONENT = 80.0


class Look(NamedTuple):
    """Room for what is seen at a level of cells: vectors less the anchor, areas, evaluation, order.

    `split` is told by cell, not by its place in the order.
    """

    x: Floats
    y: Floats
    z: Floats
    area_m2: Floats
    log: Floats32
    sharpness: Floats32
    gain: Floats32
    mass: Floats32
    key: Cells
    order: Ints
    split: npt.NDArray[np.bool_]


class State(NamedTuple):
    """Numbers of the call that is being refined, as arrays of one.

    `log_leaves`: log mass of all leaves and of what lies outside; `peak`: highest log of any leaf so far, opened ones
    too, so that masses in its units never overflow; `here`: mass of the level at hand; `kept`: number of leaves;
    `enough` (0 or 1): the asked set has cells enough; `learned` (0 or 1): a piece has a histogram.
    """

    log_leaves: Floats
    peak: Floats
    here: Floats
    kept: Ints
    enough: Ints
    learned: Ints


@inlined
def _weigh_level(look: Look, count: int, state: State) -> tuple[float, float]:
    """Sets masses in units of the level's own peak, as a call's may fall by orders of magnitude from one to the next.

    Returns the logarithm of the unit, and the mass of the level, of all leaves and of what lies outside.
    """
    highest = look.log[0]
    for i in range(count):
        highest = max(highest, look.log[i])
    for i in range(count):
        look.mass[i] = exp32(look.log[i] - highest) * np.float32(look.area_m2[i])
    here = 0.0
    for i in range(count):
        here += look.mass[i]
    state.here[0] = here
    peak = np.float64(highest)
    return peak, here + math.exp(min(state.log_leaves[0] - peak, MOST_EXPONENT))


@inlined
def _mark_hidden(look: Look, count: int, total: float) -> None:
    """Sets `look.split` for cells in which evidence hides, or which may become heavy."""
    sharp, heavy = 0, 0
    for i in range(count):
        if look.sharpness[i] > HIDDEN_SHARPNESS:
            sharp += 1
            if look.mass[i] > HIDDEN_MASS * total:
                heavy += 1
    # All cells that hide something where they are few, else the heavy ones where those are.
    least = LEAST_HIDDEN_MASS if sharp <= HIDDEN_CELLS else HIDDEN_MASS if heavy <= HIDDEN_CELLS else np.inf
    for i in range(count):
        hidden = look.sharpness[i] > HIDDEN_SHARPNESS and look.mass[i] > least * total
        if look.gain[i] > LEAST_GAIN:
            gain = min(np.float64(look.gain[i]), MOST_EXPONENT)
            hidden = hidden or look.mass[i] * math.exp(gain) > GAINED_MASS * total
        look.split[i] = hidden


@inlined
def _step_below(look: Look, i: int, top: np.int32) -> int:
    """How many steps of mass a cell is below the top: bits of positive floats are in their order."""
    return min(max((int(top) - int(bits_of_float(look.mass[i]))) >> 19, 0), STEPS)


@inlined
def _weigh_steps(look: Look, count: int, wanted: float) -> tuple[int, bool]:
    """The step down to which there are `MOST_SPLIT` cells; whether it takes `ENOUGH_CELLS` at least to hold `wanted`.

    The latter is so when cells that are fewer, but more than that less one, hold less; if not it is left open.
    """
    top = bits_of_float(np.float32(look.area_m2[0]))
    cells, mass = np.zeros(STEPS + 1, np.int64), np.zeros(STEPS + 1)
    for i in range(count):
        step = _step_below(look, i, top)
        cells[step] += 1
        mass[step] += look.mass[i]
    step, before, held, many = 0, 0, 0.0, False
    while step < STEPS and before + cells[step] < MOST_SPLIT:
        before += cells[step]
        held += mass[step]
        many = many or (before >= ENOUGH_CELLS - 1 and held < wanted)
        step += 1
    return step, many or (held + mass[step] < wanted and before + cells[step] >= ENOUGH_CELLS - 1)


@inlined
def _rank(look: Look, count: int, step: int) -> int:
    """Writes the order of falling mass, ties by place, of the cells down to a step and those marked; how many.

    The others follow in `look.order` as they stand.
    """
    top = bits_of_float(np.float32(look.area_m2[0]))
    ranked, rest = 0, count
    for i in range(count - 1, -1, -1):
        if look.split[i] or _step_below(look, i, top) <= step:
            look.key[ranked] = sort_key(look.mass[i], 0xFFFFFFFF - i)
            ranked += 1
        else:
            rest -= 1
            look.order[rest] = i
    sort_keys(look.key, ranked)
    for k in range(ranked):
        look.order[k] = 0xFFFFFFFF - number_of_key(look.key[ranked - 1 - k])
    return ranked


@inlined
def _cells_needed(look: Look, ranked: int, wanted: float) -> int:
    """How many of the heaviest cells hold a mass; one more than are ranked if these do not."""
    held = 0.0
    for k in range(ranked):
        held += look.mass[look.order[k]]
        if held >= wanted:
            return k + 1
    return ranked + 1


@inlined
def choose(confidence: float, resolution: int, count: int, look: Look, state: State) -> None:
    """Sets `look.split` for the cells that are to be split, in `look.order` of falling mass; counts the others."""
    peak, total = _weigh_level(look, count, state)
    at_end = resolution >= FINEST_ANSWER
    _mark_hidden(look, count, total)
    wanted = confidence * total
    step, many = _weigh_steps(look, count, wanted)
    if many or at_end:
        state.enough[0] = 1
    # Where there are enough only those marked are split.
    ranked = _rank(look, count, step if state.enough[0] == 0 else -1)
    needed = ENOUGH_CELLS if state.enough[0] == 1 else _cells_needed(look, ranked, wanted)
    if needed >= ENOUGH_CELLS:
        state.enough[0] = 1
    # Cells to split: nearly all of the mass; when the next level will be the last, what is well around the asked set.
    tail = LAST_TAIL * (1.0 - confidence)
    if 7 * needed < ENOUGH_CELLS:
        tail = min(TAIL, CLOSING_TAIL * (1.0 - confidence))
    until = state.here[0] - tail * total
    light = min(EVEN_MASS, EVEN_TAIL * (1.0 - confidence)) * total if state.learned[0] == 1 else 0.0
    held, split, going = 0.0, 0, 0.0
    for k in range(ranked):
        i = look.order[k]
        mass = np.float64(look.mass[i])
        # The heaviest come first, what merely hides something last: a full row loses the least.
        closing = state.enough[0] == 0 and k < MOST_SPLIT and (k == 0 or held < until)
        closing = closing and (mass > light or look.sharpness[i] > EVEN_SHARPNESS)
        look.split[i] = (look.split[i] or closing) and not at_end and split < MOST_SPLIT
        if look.split[i]:
            split += 1
            going += mass
        held += mass
    kept = state.here[0] - going
    if kept > 0.0:
        state.log_leaves[0] = np.logaddexp(state.log_leaves[0], peak + math.log(kept))
    state.peak[0] = max(state.peak[0], peak)
