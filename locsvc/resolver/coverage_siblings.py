"""Cells that located history does not know: where they are by the cells of their site, area or network that it knows.

How far off such a guess is, is learned too: each known cell is guessed from the others of its group, and what that is
off by, in a network, is how far off it is for an unknown one.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc import geo
from locsvc.model import CellFallback, Radio
from locsvc.reference.cells import keys
from locsvc.reference.coverage.files import C_PASSES, C_SPREAD_M, C_VISITS, G_LATITUDE, G_LONGITUDE, G_SPREAD_M
from locsvc.reference.coverage.identities import is_physical, networks_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters
    from locsvc.reference.coverage import CoverageStore
    from locsvc.reference.coverage.store import Groups

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

PER_DEGREE = 1e7
# Fewer cells than these say nothing of a network.
FEW_CELLS = 3
# Of the offsets of a network's cells the largest are left out: identities that stand in two places.
_KEPT = 0.95
# A cell of fewer visits does not show how far it reaches.
_FEW_VISITS = 5.0
_LEAST_SPREAD_M = 50.0
# Levels from near to far, the step that each is, and whose parameters it takes. A block is what stands for the site of
# a GSM or UMTS cell, whose identity does not name it: numbers that differ in the last digit only.
LEVELS = ("site", "block", "area", "network")
STEPS = (CellFallback.SITE, CellFallback.SITE, CellFallback.AREA, CellFallback.NETWORK)
_PARAMETERS = ("site", "site", "area", "network")
_BLOCK, _NUMBER_BITS = 10, 16


class Group(NamedTuple):
    """Known cells of one level: keys ascending, members of each, middles, and how far members reach from them."""

    key: Ints
    start: Ints
    cells: Ints
    latitude_deg: Floats
    longitude_deg: Floats
    reach_m: Floats


@dataclass(frozen=True, slots=True)
class Widths:
    """What a coverage says of its networks.

    network int64 (w,), ascending; spread_m (w + 1,): how far along one axis a typical cell reaches; offset_m
    (4, w + 1): how far off, along one axis, a cell of it is that is guessed from others of each level. NaN: not known;
    the last column is that of networks that are not there. passes (w + 1,): of its cell that has most, so no fewer went
    through the network. groups: of each level.
    """

    network: Ints
    spread_m: Floats
    offset_m: Floats
    passes: Floats
    groups: tuple[Group, ...]

    def of(self, network: Ints) -> Ints:
        """Rows of networks, (n,) int64; the last row, which knows nothing, of those that are not there."""
        last = len(self.network)
        if not last:
            return np.zeros(len(network), np.int64)
        at = np.minimum(np.searchsorted(self.network, network), last - 1)
        return np.where(self.network[at] == network, at, last)


_KEPT_WIDTHS: weakref.WeakKeyDictionary[CoverageStore, Widths] = weakref.WeakKeyDictionary()


def widths_of(store: CoverageStore) -> Widths:
    """Widths of the networks of a coverage; found once."""
    found = _KEPT_WIDTHS.get(store)
    if found is None:
        found = _KEPT_WIDTHS[store] = _find_widths(store)
    return found


def _find_widths(store: CoverageStore) -> Widths:
    network = networks_of(store.cell_identity)
    names, at = np.unique(network, return_inverse=True)
    spread = store.cell_stats[:, C_SPREAD_M].astype(np.float64)
    often = store.cell_stats[:, C_VISITS] >= _FEW_VISITS
    variance = np.log(spread**2 / 2 + _LEAST_SPREAD_M**2)
    known = np.bincount(at[often], minlength=len(names))
    total = np.bincount(at[often], variance[often], minlength=len(names))
    with np.errstate(divide="ignore", invalid="ignore"):
        typical = np.where(known >= FEW_CELLS, np.exp(total / known / 2), np.nan)
    offset = np.full((len(LEVELS), len(names) + 1), np.nan)
    groups = (_group(store.site), _blocks(store, spread), _group(store.area), _group(store.network))
    site = _group_of(store.site, len(at))
    finer = (np.arange(len(at)), np.arange(len(at)), site, _group_of(store.area, len(at)))
    for row, (group, apart) in enumerate(zip(groups, finer, strict=True)):
        offset[row, :-1] = _offsets(group, apart, store, at, spread, len(names))
    passes = np.ones(len(names) + 1)
    np.maximum.at(passes, at, store.cell_stats[:, C_PASSES])
    return Widths(names, np.append(typical, np.nan), offset, passes, groups)


def _group(groups: Groups) -> Group:
    columns = (groups.stats[:, c].astype(np.float64) for c in (G_LATITUDE, G_LONGITUDE, G_SPREAD_M))
    return Group(groups.key, groups.start, groups.cells[:].astype(np.int64), *columns)


def block_keys(identity: Ints) -> Ints:
    """Keys of blocks of GSM and UMTS cells, (n,) int64; -1 for the others.

    >>> block_keys(np.array([(2 << 56) | 7, (1 << 56) | 41018, (1 << 56) | 41019, (1 << 56) | 41020])).tolist()[1:]
    [72057594037932037, 72057594037932037, 72057594037932038]
    """
    radio = (identity >> (keys.CELL_BITS + keys.MCC_BITS + keys.MNC_BITS)) + 1
    number = identity & ((1 << _NUMBER_BITS) - 1)
    named = (identity >= 0) & ~is_physical(identity) & ((radio == Radio.GSM) | (radio == Radio.UMTS))
    return np.where(named, identity - number + number // _BLOCK, -1)


def _blocks(store: CoverageStore, spread_m: Floats) -> Group:
    """Blocks of numbers; the identities are in order, so members stand together."""
    key = block_keys(store.cell_identity[:])
    cells = np.flatnonzero(key >= 0)
    names, first, block = np.unique(key[cells], return_index=True, return_inverse=True)
    number = np.maximum(np.bincount(block), 1)
    place = store.cell_place[:][cells] / PER_DEGREE
    from_first = (place[:, 1] - place[first, 1][block] + 180.0) % 360.0 - 180.0
    lat = np.bincount(block, place[:, 0]) / number
    lng = np.bincount(block, from_first) / number + place[first, 1]
    away = geo.distance_m(lat[block], lng[block], place[:, 0], place[:, 1])
    reach = np.sqrt(np.bincount(block, away**2 + spread_m[cells] ** 2) / number)
    return Group(names, np.append(first, len(cells)), cells, lat, (lng + 180.0) % 360.0 - 180.0, reach)


def _group_of(groups: Groups, cells: int) -> Ints:
    """The group of each cell, (cells,); cells of none are each their own."""
    sizes = np.diff(groups.start)
    own = len(sizes) + np.arange(cells)
    own[groups.cells[:].astype(np.int64)] = np.repeat(np.arange(len(sizes)), sizes)
    return own


def _offsets(group: Group, apart: Ints, store: CoverageStore, network: Ints, spread_m: Floats, networks: int) -> Floats:
    """How far cells are from the middle of the others of their group, along one axis, (networks,) metres.

    Others are those that are not together with it in a finer group, `apart` (cells,): a cell whose finer group is
    known is not placed by a wider one.
    """
    sizes = np.diff(group.start)
    of_group = np.repeat(np.arange(len(sizes)), sizes)
    cells = group.cells
    together = np.unique(np.stack((of_group, apart[cells])), axis=1, return_inverse=True)[1].ravel()
    mates = np.bincount(together)[together]
    several = sizes[of_group] > mates
    of_group, cells, together, mates = of_group[several], cells[several], together[several], mates[several]
    if not len(cells):
        return np.full(networks, np.nan)
    middle_lat, middle_lng = group.latitude_deg[of_group], group.longitude_deg[of_group]
    place = store.cell_place[:][cells] / PER_DEGREE
    east_m, north_m = geo.curvature_radii_m(middle_lat)
    north = np.radians(place[:, 0] - middle_lat) * north_m
    east = np.radians((place[:, 1] - middle_lng + 180.0) % 360.0 - 180.0) * east_m * np.cos(np.radians(middle_lat))
    others = sizes[of_group] - mates
    square = spread_m[cells] ** 2
    for axis in (north, east):
        total = np.bincount(of_group, axis, minlength=len(sizes))[of_group]
        own = np.bincount(together, axis)[together]
        square = square + (axis - (total - own) / others) ** 2
    return _trimmed(square, network[cells], networks)


def _trimmed(square: Floats, network: Ints, networks: int) -> Floats:
    """Root of half the mean of all but the largest squares, by network."""
    order = np.lexsort((square, network))
    square, network = square[order], network[order]
    counts = np.bincount(network, minlength=networks)
    rank = np.arange(len(network)) - (np.cumsum(counts) - counts)[network]
    kept = rank < np.maximum(np.floor(counts * _KEPT), 1)[network]
    total = np.bincount(network[kept], square[kept], minlength=networks)
    number = np.bincount(network[kept], minlength=networks)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = np.where(counts >= FEW_CELLS, np.sqrt(total / number / 2), np.nan)
    return result


def place_by_siblings(
    named: tuple[Ints, ...], store: CoverageStore, parameters: Parameters
) -> tuple[npt.NDArray[np.int8], Floats, Floats, Floats]:
    """Step, latitude, longitude and width of the first group of each cell that is known; step 0 of the others.

    Parameters
    ----------
    named
        Keys of LEVELS, (n,) int64 each; -1 unknown.
    """
    n = len(named[0])
    step, number = np.zeros(n, np.int8), np.full((3, n), np.nan)
    widths, p = widths_of(store), parameters.coverage_cell
    network = widths.of(named[-1])
    # What few passes saw of a network is a part of it.
    factor = np.sqrt(1.0 + p["few_passes"] / widths.passes[network])
    for row, (group, of, name) in enumerate(zip(widths.groups, _PARAMETERS, STEPS, strict=True)):
        if not len(group.key):
            continue
        at = np.minimum(np.searchsorted(group.key, named[row]), len(group.key) - 1)
        found = np.flatnonzero((group.key[at] == named[row]) & (named[row] >= 0) & (step == 0))
        at = at[found]
        offset = widths.offset_m[row][network[found]]
        offset = np.where(np.isnan(offset), p[f"unknown_{of}_offset_m"], offset * p[f"{of}_offset_factor"])
        number[0, found], number[1, found] = group.latitude_deg[at], group.longitude_deg[at]
        number[2, found] = factor[found] * np.hypot(offset, group.reach_m[at] * p[f"{of}_members_factor"])
        step[found] = name
    return step, number[0], number[1], number[2]
