"""Scans of several cells by located history: where such a scan was heard before, as a whole.

The places that fit (`coverage_signatures`) become a histogram of H3 cells, each place's part laid where in it there
were reports, a part of it around it (`coverage_mass`); beside the histogram stands a cloud round the places' middle,
for what was never driven: the fewer looks the places had, the more it weighs.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.compiled import compiled, inlined, lent
from locsvc.fusion.cell_claims import Histograms
from locsvc.fusion.lattice import EDGE_M
from locsvc.resolver.coverage_finding import FIRST, IDENTITY, NUMBER
from locsvc.resolver.coverage_levels import Comparison
from locsvc.resolver.coverage_mass import Fit, fit_of, put_masses
from locsvc.resolver.coverage_passing import MOST_CELLS, MOST_COMPARED, Scan, Signatures, signatures_of
from locsvc.resolver.coverage_signatures import Room, compare, room

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters
    from locsvc.reference.coverage import CoverageStore

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Singles = npt.NDArray[np.float32]

# A scan is compared as a whole when so many of its cells are known; a lone cell says more by itself.
LEAST_CELLS = 2
# Bins that places become before they are told apart by their children, at most: each fills its grandparent.
_MOST_BINS = 49 * MOST_COMPARED + 64
_MOST_SPLIT = _MOST_BINS + 6 * MOST_COMPARED
_USUAL_BINS = 512
_MASK = (1 << 52) - 1
_SHIFT = 52
_FINEST = 15
_METRE = math.pi / 180.0 * 6_371_007.0
_BASE_SHIFT = 45
_ROOMS = threading.local()


@dataclass(slots=True)
class ComparedScans:
    """What located history says of scans as wholes, (n,).

    latitude_deg, longitude_deg and spread_m: a cloud with a core of that standard deviation along one axis; learned:
    histograms, of weight 0 where fewer than LEAST_CELLS of a scan's cells are known or no place fits.
    """

    latitude_deg: Floats
    longitude_deg: Floats
    spread_m: Floats
    learned: Histograms


class _Widths(NamedTuple):
    """How far the fit is trusted, see [coverage_scan] of the calibration."""

    wide_share: float
    doubt_looks: float
    looks_power: float
    unexplained_power: float
    spread_factor: float
    least_spread_m: float
    beyond_spread_m: float
    child_floor: float
    split_share: float
    fresh_s: float
    still_weight: float


class _Places(NamedTuple):
    """Where places are, and what is in them."""

    h3: Ints
    place: Floats
    child: Singles


class _Terms(NamedTuple):
    """What scans are compared with, and how."""

    signatures: Signatures
    places: _Places
    comparison: Comparison
    fit: Fit
    widths: _Widths


class _Found(NamedTuple):
    """What was found.

    said (5, n): latitude, longitude, spread, the histogram's weight and reach; runs (2, n): its first bin and how many;
    bins, mass: room for bins; spare_bins, spare_mass: for those of one scan, before places are told apart.
    """

    said: Floats
    runs: Ints
    bins: Ints
    mass: Floats
    spare_bins: Ints
    spare_mass: Floats


class _Asked(NamedTuple):
    """Scans, n of them, cells from `start` on: identity, first cell number, how many (0: unknown), level, serving."""

    start: Ints
    identity: Ints
    first: Ints
    clusters: Ints
    level_dbm: Floats
    serving: Bools
    age_s: Floats


def compared_scans(
    start: Ints,
    found: Ints,
    level_dbm: Floats,
    serving: Bools,
    age_s: Floats,
    store: CoverageStore,
    parameters: Parameters,
) -> ComparedScans:
    """What a coverage says of scans, each as a whole.

    Parameters
    ----------
    start
        (n + 1,) int64, the first cell of each scan.
    found
        (3, m) int64 from `find_scanned`: identity, -1 where history does not know the cell, first cell, how many.
    level_dbm, serving
        (m,) float64, NaN where not measured; whether it serves.
    age_s
        (n,) float64.
    """
    asked = _Asked(start, found[IDENTITY], found[FIRST], found[NUMBER], level_dbm, serving, age_s)
    p = parameters.coverage_scan
    fit = fit_of(parameters)._replace(**{name: p[name] for name in Fit._fields if name in p})
    still = parameters.time["fresh_s"], parameters.time["still_weight"]
    widths = _Widths(*(*(p[name] for name in _Widths._fields[:-2]), *still))
    comparison = Comparison(*(p[name] for name in Comparison._fields))
    places = _Places(store.bin_h3[store.place_first :], store.bin_place[store.place_first :], store.place_child)
    return _compared(asked, _Terms(signatures_of(store), places, comparison, fit, widths))


def _compared(asked: _Asked, terms: _Terms) -> ComparedScans:
    """Scans compared, with as much room as their bins turn out to need."""
    n = len(asked.age_s)
    size = _USUAL_BINS * n + _MOST_SPLIT
    work, spare_bins, spare_mass = _room_of_thread()
    room_for_bins = np.empty(size, np.int64), np.empty(size)
    found = _Found(np.zeros((5, n)), np.zeros((2, n), np.int64), *room_for_bins, spare_bins, spare_mass)
    done, used = 0, 0
    while True:
        done, used = _fill(asked, terms, work, found, done, used)
        if done == n:
            break
        more = 2 * len(found.bins)
        found = found._replace(bins=np.resize(found.bins, more), mass=np.resize(found.mass, more))
    said, runs = found.said, found.runs
    learned = Histograms(said[3], runs[0], runs[1], said[4], found.bins[:used], found.mass[:used])
    return ComparedScans(said[0], said[1], said[2], learned)


def _room_of_thread() -> tuple[Room, Ints, Floats]:
    """Room for the comparison and for bins of one scan: made once a thread, as that costs as much as a scan."""
    made: tuple[Room, Ints, Floats] | None = getattr(_ROOMS, "made", None)
    if made is None:
        made = _ROOMS.made = (room(), np.empty(_MOST_BINS, np.int64), np.empty(_MOST_BINS))
    return made


@compiled
def _fill(asked: _Asked, terms: _Terms, work: Room, found: _Found, done: int, used: int) -> tuple[int, int]:
    """Writes what history says of scans, from `done` on until there is no room; scans done and bins used."""
    asked, terms, work, found = lent(asked), lent(terms), lent(work), lent(found)
    identity, first = np.empty(MOST_CELLS, np.int64), np.empty(MOST_CELLS, np.int64)
    clusters, level = np.empty(MOST_CELLS, np.int64), np.empty(MOST_CELLS)
    for i in range(done, len(asked.age_s)):
        k, serving = _put_known(asked, i, identity, first, clusters, level)
        if k < LEAST_CELLS:
            continue
        scan = Scan(identity[:k], first[:k], clusters[:k], level[:k], serving)
        n = compare(scan, terms.signatures, terms.comparison, work)
        if n == 0:
            continue
        if used + _MOST_SPLIT > len(found.bins):
            return i, used
        cells = asked.start[i + 1] - asked.start[i]
        _put_cloud(work, n, cells, terms.places, terms.widths, asked.age_s[i], found.said[:, i])
        found.runs[0, i], found.runs[1, i] = used, _put_bins(work, n, terms, found, used)
        used += found.runs[1, i]
    return len(asked.age_s), used


@inlined
def _put_known(asked: _Asked, i: int, identity: Ints, first: Ints, clusters: Ints, level: Floats) -> tuple[int, int]:
    """Writes the known cells of a scan by identity, each once; how many, and which of them serves (-1: none)."""
    k, serving = 0, -1
    for j in range(asked.start[i], asked.start[i + 1]):
        if asked.clusters[j] == 0 or k == MOST_CELLS:
            continue
        own, at = asked.identity[j], k
        while at > 0 and identity[at - 1] > own:
            at -= 1
        if at > 0 and identity[at - 1] == own:
            continue
        for m in range(k, at, -1):
            identity[m], first[m], clusters[m], level[m] = identity[m - 1], first[m - 1], clusters[m - 1], level[m - 1]
        identity[at], first[at], clusters[at], level[at] = own, asked.first[j], asked.clusters[j], asked.level_dbm[j]
        serving += 1 if serving >= at else 0
        serving = at if asked.serving[j] else serving
        k += 1
    return k, serving


@compiled
def _put_cloud(work: Room, n: int, cells: int, places: _Places, widths: _Widths, age_s: float, said: Floats) -> None:
    """Writes middle, spread, the histogram's weight and its reach from the middle; of a scan of so many cells."""
    north, east, looks, explained = 0.0, 0.0, 0.0, 0.0
    at = places.place[work.key[0]]
    for i in range(n):
        north += work.value[i] * (places.place[work.key[i], 0] - at[0])
        east += work.value[i] * _turned(places.place[work.key[i], 1] - at[1])
        looks += work.value[i] * work.looked[i]
        explained += work.value[i] * work.explained[i] / cells
    said[0], said[1] = at[0] + north, (at[1] + east + 540.0) % 360.0 - 180.0
    across = _METRE * math.cos(math.radians(said[0]))
    far2, square = 0.0, 0.0
    for i in range(n):
        dn = (places.place[work.key[i], 0] - said[0]) * _METRE
        de = _turned(places.place[work.key[i], 1] - said[1]) * across
        far2 = max(far2, dn * dn + de * de)
        square += work.value[i] * (dn * dn + de * de)
    # Cells that no place explains, known or not, tell that the caller is where nobody was.
    looks *= max(explained, 1e-3) ** widths.unexplained_power
    doubt = 1.0 / (1.0 + (looks / widths.doubt_looks) ** widths.looks_power)
    near = math.hypot(widths.spread_factor * math.sqrt(square / 2.0), widths.least_spread_m)
    said[2] = math.hypot(near, widths.beyond_spread_m * doubt * doubt)
    still = 1.0
    if age_s > widths.fresh_s:
        still = widths.still_weight + (1.0 - widths.still_weight) * widths.fresh_s / age_s
    said[3] = still * (1.0 - widths.wide_share) * (1.0 - doubt)
    # A bin may be anywhere in its grandparent, and that is written whole.
    resolution = (places.h3[work.key[0]] >> _SHIFT) & 15
    said[4] = math.sqrt(far2) * 1.01 + 2.4 * EDGE_M[resolution - 2]


@inlined
def _turned(longitude_deg: float) -> float:
    """A difference of longitudes, from -180 to 180; what lies there already is no affair of a division."""
    turned = longitude_deg + 540.0
    return (turned - 360.0 if 360.0 <= turned < 720.0 else turned % 360.0) - 180.0


@compiled
def _put_bins(work: Room, n: int, terms: _Terms, found: _Found, used: int) -> int:
    """Writes bins and masses of places, from `used` on, those that hold much by their children; how many."""
    places, widths, fit = terms.places, terms.widths, terms.fit
    key, value = np.empty(n, np.int64), work.value[:n]
    for i in range(n):
        key[i] = places.h3[work.key[i]]
    number = put_masses(key, value, 1.0, fit, found.spare_bins, found.spare_mass)
    own_part = 1.0 / (1.0 + fit.parent_share + fit.grandparent_share)
    resolution = ((key[0] >> _SHIFT) & 15) + 1
    shift = 3 * (_FINEST - resolution)
    out, i = used, 0
    for b in range(number):
        cell, here = found.spare_bins[b], found.spare_mass[b]
        while i < n and (key[i] & _MASK) < (cell & _MASK):
            i += 1
        if i == n or key[i] != cell or value[i] < widths.split_share or _is_central(cell, shift):
            found.bins[out], found.mass[out] = cell, here
            out += 1
            continue
        own = value[i] * own_part
        finer = (cell & ~(15 << _SHIFT) & ~(7 << shift)) | (resolution << _SHIFT)
        for digit in range(7):
            share = (1.0 - widths.child_floor) * places.child[work.key[i], digit] + widths.child_floor / 7.0
            found.bins[out], found.mass[out] = finer | (digit << shift), own * share + (here - own) / 7.0
            out += 1
    return out - used


@inlined
def _is_central(cell: int, shift: int) -> bool:
    """Whether a cell may be a pentagon: all its digits are 0. Its children are not told apart."""
    return (cell & ((1 << _BASE_SHIFT) - 1)) >> (shift + 3) == 0
