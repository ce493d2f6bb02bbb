"""Lone serving cells by located history: where the cell was heard like this before, and how sure that makes.

For a cell that is known the answer is a histogram of H3 cells (`coverage_mass`) beside a cloud round the cell's middle,
which stands for what was never driven: the fewer visits there are, and the worse the measurement fits them, the more
the cloud weighs. A cell that is not known is placed by the known ones of its site, area or network
(`coverage_siblings`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc import geo
from locsvc.compiled import compiled, inlined, lent
from locsvc.fusion.cell_claims import Histograms
from locsvc.fusion.lattice import EDGE_M
from locsvc.model import CellFallback
from locsvc.reference.cells import keys
from locsvc.reference.coverage.files import C_PASSES, C_SPREAD_M, C_VISITS
from locsvc.resolver.coverage_finding import FIRST, FULL, NETWORK, NETWORK_ROW, NUMBER, find_serving
from locsvc.resolver.coverage_mass import DIGITS, Fit, fit_of, put_counts, put_masses
from locsvc.resolver.coverage_ring import EVEN_SHARE, MOST_GIVING, put_rings
from locsvc.resolver.coverage_siblings import PER_DEGREE, block_keys, place_by_siblings, widths_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters
    from locsvc.reference.cells import CellQueries
    from locsvc.reference.coverage import CoverageStore
    from locsvc.resolver.coverage_siblings import Widths

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]

_COVERAGE = int(CellFallback.COVERAGE)
# An identity that is heard in more places than this names none of them.
_MANY_PLACES = 8
# Bins of a claim, and bins at the least, that room is made for at first.
_USUAL_BINS, _LEAST_ROOM = 96, 4096
# Columns of what the kernel says of each claim.
LATITUDE, LONGITUDE, SPREAD, WEIGHT, REACH, VISITS = range(6)
_NO_BINS = np.zeros(0, np.int64), np.zeros(0)
# A grandparent of a bin reaches this many of its edges from its centre to the far side of its farthest child.
_EDGES = 1.2
# Length of a degree of latitude.
_METRE = math.pi / 180.0 * 6_371_007.0


@dataclass(slots=True)
class LoneCells:
    """What located history says of serving cells, (n,).

    step int8: COVERAGE; SITE, AREA or NETWORK by its known cells; 0 where it says nothing. latitude_deg, longitude_deg
    and spread_m: a cloud with a core of that standard deviation along one axis. learned: histograms of those with
    step COVERAGE. prefer_tower bool: so few visits that a mast or centroid of the cell database says as much.
    """

    step: npt.NDArray[np.int8]
    latitude_deg: Floats
    longitude_deg: Floats
    spread_m: Floats
    learned: Histograms
    prefer_tower: Bools


class _Doubt(NamedTuple):
    """How far visits are trusted, see [coverage_cell] of the calibration."""

    doubt_visits: float
    doubt_passes: float
    few_passes: float
    wide_share: float
    new_visits: float
    new_share: float
    spread_factor: float
    shrink_visits: float
    unknown_spread_m: float
    least_spread_m: float
    fresh_s: float
    still_weight: float


class _Asked(NamedTuple):
    """Cells, n of them: first number and how many (0: not known), row of the network, measurements, radio.

    measured (4, n): level, quality, timing advance, age.
    """

    cell: Ints
    places: Ints
    network: Ints
    measured: Floats
    radio: npt.NDArray[np.int8]


class _Said(NamedTuple):
    """What is said of cells: step, numbers (6, n), runs of bins (2, n), whether a mast says as much."""

    step: npt.NDArray[np.int8]
    number: Floats
    runs: Ints
    prefer_tower: Bools


class _Terms(NamedTuple):
    """Numbers of the calibration; how far cells of each network reach, and metres of a timing step by radio."""

    fit: Fit
    doubt: _Doubt
    thin_visits: float
    typical_m: Floats
    step_m: Floats


class _History(NamedTuple):
    """The arrays of a coverage that the kernel reads."""

    cell_start: Ints
    cell_split: Ints
    cell_place: npt.NDArray[np.int32]
    cell_stats: Singles
    cell_resolution: npt.NDArray[np.int8]
    row_bin: npt.NDArray[np.int32]
    row_stats: Singles
    bin_h3: Ints
    bin_place: Floats


def lone_cells(
    queries: CellQueries,
    level_dbm: Floats,
    quality_db: Floats,
    timing_advance: Floats,
    age_s: Floats,
    store: CoverageStore,
    parameters: Parameters,
) -> LoneCells:
    """What a coverage says of serving cells, each by itself.

    Parameters
    ----------
    queries
        The cells, n of them. Of an identity that is heard in several places the one near `near_*` is taken; without
        such a place all, each as often as it was visited, unless they are many.
    level_dbm, quality_db, timing_advance, age_s
        (n,) float64 each; NaN where not measured (age: 0).
    """
    widths, n = widths_of(store), len(level_dbm)
    found = np.empty((6, n), np.int64)
    unknown, several = find_serving(queries, store.cell_identity, widths.network, found)
    first, number = found[FIRST], found[NUMBER]
    if several:
        for i in np.flatnonzero((number > 1) & ~np.isnan(queries.near_latitude_deg)).tolist():
            near = float(queries.near_latitude_deg[i]), float(queries.near_longitude_deg[i])
            first[i], number[i] = _nearest(np.arange(first[i], first[i] + number[i]), near, store), 1
        number[number > _MANY_PLACES] = 0
        unknown = n - int(np.count_nonzero(number))
    measured = np.empty((4, n))
    for row, column in enumerate((level_dbm, quality_db, timing_advance, age_s)):
        measured[row] = column
    said = _Said(np.zeros(n, np.int8), np.full((6, n), np.nan), np.zeros((2, n), np.int64), np.zeros(n, bool))
    said.number[WEIGHT:] = 0.0
    if unknown:
        _put_siblings(said, np.flatnonzero(number == 0), found, queries, store, parameters)
    bins, mass = _NO_BINS
    if unknown < n:
        asked = _Asked(first, number, found[NETWORK_ROW], measured, queries.radio)
        bins, mass = _histograms(asked, history_of(store), terms_of(widths, parameters), said)
    numbers, runs = said.number, said.runs
    learned = Histograms(numbers[WEIGHT], runs[0], runs[1], numbers[REACH], bins, mass)
    return LoneCells(said.step, numbers[LATITUDE], numbers[LONGITUDE], numbers[SPREAD], learned, said.prefer_tower)


def _nearest(cells: Ints, near: tuple[float, float], store: CoverageStore) -> int:
    """Of the places where an identity is heard the one nearest to a place."""
    place = store.cell_place[cells] / PER_DEGREE
    return int(cells[np.argmin(geo.distance_m(*near, place[:, 0], place[:, 1]))])


def _put_siblings(
    said: _Said, at: Ints, found: Ints, queries: CellQueries, store: CoverageStore, parameters: Parameters
) -> None:
    """Places cells by others of their group."""
    network, full = found[NETWORK][at], found[FULL][at]
    areas = keys.area_keys(network, queries.area[at], keys.known_areas(queries.radio[at], queries.area[at]))
    groups = (keys.site_keys(full), block_keys(full), areas, network)
    step, latitude, longitude, spread = place_by_siblings(groups, store, parameters)
    said.step[at], said.number[LATITUDE, at], said.number[LONGITUDE, at] = step, latitude, longitude
    said.number[SPREAD, at] = spread


def terms_of(widths: Widths, parameters: Parameters) -> _Terms:
    """The numbers that the kernel reads."""
    p = parameters.coverage_cell
    still = parameters.time["fresh_s"], parameters.time["still_weight"]
    doubt = _Doubt(*(*(p[name] for name in _Doubt._fields[:-2]), *still))
    return _Terms(fit_of(parameters), doubt, p["thin_visits"], widths.spread_m, parameters.cell_timing_step_m)


def history_of(store: CoverageStore) -> _History:
    """The arrays of a coverage that the kernel reads."""
    return _History(*(getattr(store, name) for name in _History._fields))


def _histograms(asked: _Asked, history: _History, terms: _Terms, said: _Said) -> tuple[Ints, Floats]:
    """Bins and masses of all claims, with as much room as they turn out to need."""
    room = max(_USUAL_BINS * len(asked.cell), _LEAST_ROOM)
    bins, mass = np.empty(room, np.int64), np.empty(room)
    done, used = 0, 0
    while True:
        done, used = _fill(asked, history, terms, said, bins, mass, (done, used))
        if done == len(asked.cell):
            return bins[:used], mass[:used]
        bins, mass = np.resize(bins, 2 * len(bins)), np.resize(mass, 2 * len(mass))


class _Rows(NamedTuple):
    """Room for the rows of one claim's cells: H3 cells by their digits, what each counts, its number.

    cells, held: those cells and the ones beside them, and what they hold.
    """

    key: Ints
    counts: Floats
    row: Ints
    cells: Ints
    held: Floats


@compiled
def _fill(
    asked: _Asked, history: _History, terms: _Terms, said: _Said, bins: Ints, mass: Floats, begun: tuple[int, int]
) -> tuple[int, int]:
    """Writes what history says of claims, from where it was begun until there is no room; claims done and bins used."""
    asked, history, said, bins, mass = lent(asked), lent(history), lent(said), lent(bins), lent(mass)
    done, used = begun
    most = 0
    for i in range(done, len(asked.cell)):
        c = asked.cell[i]
        most = max(most, history.cell_start[c + asked.places[i]] - history.cell_start[c])
    wide = most + 6 * min(most, MOST_GIVING)
    own = np.empty(most, np.int64), np.empty(most), np.empty(most, np.int64)
    room = _Rows(own[0], own[1], own[2], np.empty(wide, np.int64), np.empty(wide))
    fit, doubt = terms.fit, terms.doubt
    for i in range(done, len(asked.cell)):
        if asked.places[i] == 0:
            continue
        rows, c, seen = _put_rows(asked, i, history, fit, room)
        total, visits, once, passes, farthest, reach = seen
        new = (once + doubt.new_visits * doubt.new_share) / (visits + doubt.new_visits)
        number = 0
        if rows > 0:
            beside = min(fit.ring_share * new / doubt.new_share, EVEN_SHARE)
            around = put_rings(room.key[:rows], room.counts[:rows], beside, room.cells, room.held)
            number = put_masses(room.cells[:around], room.held[:around], total, fit, bins[used:], mass[used:])
        if number < 0:
            return i, used
        # What every bin counts, whatever was measured, fits nothing.
        known = _known(total - fit.floor_share * visits, passes, new, doubt)
        spread = _spread_m(history.cell_stats[c, C_SPREAD_M], visits, terms.typical_m[asked.network[i]], doubt)
        out, step_m = said.number[:, i], terms.step_m[asked.radio[i]]
        moved = _put_cloud(history, c, room, rows, known, spread, doubt, out)
        wider = doubt.spread_factor * math.sqrt(1.0 + doubt.few_passes / max(passes, 1.0))
        out[SPREAD] = _spread_beyond_m(wider * out[SPREAD], asked.measured[2, i], farthest, step_m)
        out[WEIGHT] = _still(asked.measured[3, i], doubt) * (1.0 - doubt.wide_share) * known
        out[VISITS], out[REACH] = visits, reach + moved
        said.step[i], said.prefer_tower[i] = _COVERAGE, visits < terms.thin_visits
        said.runs[0, i], said.runs[1, i] = used, number
        used += number
    return len(asked.cell), used


@inlined
def _put_rows(
    asked: _Asked, i: int, history: _History, fit: Fit, room: _Rows
) -> tuple[int, int, tuple[float, float, float, float, float, float]]:
    """Writes the rows of a claim's cells by their H3 cells, ascending; how many, and the cell visited most.

    Then what all count, visits, visits of bins with one, passes, highest timing advance, how far from that cell all is.
    """
    first, last = asked.cell[i], asked.cell[i] + asked.places[i]
    main = first
    for c in range(first, last):
        if history.cell_stats[c, C_VISITS] > history.cell_stats[main, C_VISITS]:
            main = c
    level, quality, advance = asked.measured[0, i], asked.measured[1, i], asked.measured[2, i]
    rows, total, visits, once, passes, farthest, reach = 0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0
    for c in range(first, last):
        begin, end = history.cell_start[c], history.cell_split[c]
        if begin == end:
            # Never heard as the serving cell: where it is heard as a neighbour is all there is.
            end = history.cell_start[c + 1]
        t, v, o, f = put_counts(history.row_stats[begin:end], level, quality, advance, fit, room.counts[rows:])
        total, visits, once, farthest = total + t, visits + v, once + o, max(farthest, f)
        passes += history.cell_stats[c, C_PASSES]
        for r in range(begin, end):
            room.key[rows + r - begin], room.row[rows + r - begin] = history.bin_h3[history.row_bin[r]], r
        bins, coarsest = history.row_bin[begin:end], history.cell_resolution[c]
        reach = max(reach, _reach_m(history.bin_place, bins, history.cell_place[main], coarsest))
        rows += end - begin
    # The coverage puts coarse bins first; here they stand among the others, as their digits say.
    key, counts, row = room.key[:rows], room.counts[:rows], room.row[:rows]
    digits = key & DIGITS
    if rows > 1 and (digits[1:] < digits[:-1]).any():
        order = np.argsort(digits, kind="mergesort")
        key[:], counts[:], row[:] = key[order], counts[order], row[order]
    return rows, main, (total, visits, once, passes, farthest, reach)


@inlined
def _put_cloud(
    history: _History, main: int, room: _Rows, rows: int, known: float, spread_m: float, doubt: _Doubt, said: Floats
) -> float:
    """Writes middle and spread of what the cloud stands for; how far from the cell's middle it is, metres.

    As far as history is `known` to tell it is the bins that fit, else the cell, of spread `spread_m`.
    """
    lat, lng = history.cell_place[main, 0] / PER_DEGREE, history.cell_place[main, 1] / PER_DEGREE
    across = _METRE * math.cos(math.radians(lat))
    total, north, east, square = 0.0, 0.0, 0.0, 0.0
    for r in range(rows):
        if not history.cell_start[main] <= room.row[r] < history.cell_start[main + 1]:
            # Between two places that an identity is heard in there is nothing.
            continue
        place, c = history.bin_place[history.row_bin[room.row[r]]], room.counts[r]
        y, x = (place[0] - lat) * _METRE, ((place[1] - lng + 540.0) % 360.0 - 180.0) * across
        total, north, east, square = total + c, north + c * y, east + c * x, square + c * (x * x + y * y)
    if total > 0.0:
        north, east = north / total, east / total
        square = max(square / total - north * north - east * east, 0.0)
    near = square / 2.0 + doubt.least_spread_m**2
    said[SPREAD] = math.sqrt((1.0 - known) * spread_m * spread_m + known * near)
    said[LATITUDE] = lat + known * north / _METRE
    said[LONGITUDE] = (lng + known * east / across + 540.0) % 360.0 - 180.0
    return known * math.hypot(north, east)


@inlined
def _known(fitting: float, passes: float, new: float, doubt: _Doubt) -> float:
    """How far the bins are believed, 0 to 1: one pass that leaves many of them is one look, and what it saw was new."""
    if fitting <= 0.0:
        return 0.0
    return 1.0 / (1.0 + new * (doubt.doubt_visits / fitting + doubt.doubt_passes / passes))


@inlined
def _still(age_s: float, doubt: _Doubt) -> float:
    """What is left of a histogram's weight when the caller may have moved away from where the cell was measured."""
    if age_s <= doubt.fresh_s:
        return 1.0
    return doubt.still_weight + (1.0 - doubt.still_weight) * doubt.fresh_s / age_s


@inlined
def _spread_m(spread_m: float, visits: float, typical_m: float, doubt: _Doubt) -> float:
    """Spread along one axis about a cell's middle: its own as far as its visits go, else a typical one."""
    typical = doubt.unknown_spread_m if math.isnan(typical_m) else typical_m
    shrink = doubt.shrink_visits
    variance = (visits * spread_m * spread_m / 2.0 + shrink * typical * typical) / (visits + shrink)
    return math.sqrt(variance)


@inlined
def _spread_beyond_m(width_m: float, advance: float, farthest: float, step_m: float) -> float:
    """The width, grown where the delay is longer than it ever was: the caller is beyond, or the delay is wrong."""
    beyond = (advance - farthest) * step_m if farthest >= 0.0 else 0.0
    return math.hypot(width_m, beyond / 2.0) if beyond > step_m else width_m


@inlined
def _reach_m(place: Floats, rows: npt.NDArray[np.int32], middle: npt.NDArray[np.int32], resolution: int) -> float:
    """Distance from a cell's middle that holds all bins of some rows, metres."""
    lat, lng = middle[0] / PER_DEGREE, middle[1] / PER_DEGREE
    across = _METRE * math.cos(math.radians(lat))
    far = 0.0
    for r in rows:
        north = (place[r, 0] - lat) * _METRE
        east = ((place[r, 1] - lng + 540.0) % 360.0 - 180.0) * across
        far = max(far, north * north + east * east)
    # A bin, or one beside it, may be anywhere in its grandparent, and that is written whole.
    return float(math.sqrt(far) * 1.01 + 2.0 * _EDGES * EDGE_M[max(resolution - 2, 0)] + 2.0 * EDGE_M[resolution])


def reach_from(cells: LoneCells, latitude_deg: Floats, longitude_deg: Floats) -> Floats:
    """Reach of the histograms, (n,) metres, from other places than the clouds' own."""
    moved = geo.distance_m(cells.latitude_deg, cells.longitude_deg, latitude_deg, longitude_deg)
    return cells.learned.reach_m + np.where(np.isnan(moved), 0.0, moved)
