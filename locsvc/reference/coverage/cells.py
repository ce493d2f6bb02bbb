"""Rows of a shelf as cells: told apart in space, in the order of the dataset, with their middles and extents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from locsvc import geo
from locsvc.reference.coverage import files
from locsvc.reference.coverage import tallies as t
from locsvc.reference.coverage.clusters import FULL_GAP_M, PHYSICAL_GAP_M, clusters
from locsvc.reference.coverage.grouped import deviation, firsts, numbers, ranked, ratio
from locsvc.reference.coverage.identities import is_physical
from locsvc.reference.coverage.rows import Faded, Marked, passes, row_stats

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

PER_DEGREE = 1e7
# A cell's radius holds that share of its weight.
HELD = 0.9


@dataclass(slots=True)
class ShelfCells:
    """Cells of a shelf, by identity and cluster, and their rows, by cell, role and bin."""

    identity: Ints
    rows: Ints
    """(cells,) how many rows each has."""
    serving: Ints
    """(cells,) how many of those are of the serving role; they come first."""
    place: npt.NDArray[np.int32]
    """(cells, 2) middle, 1e-7 degree."""
    stats: Singles
    resolution: npt.NDArray[np.int8]
    row_bin: npt.NDArray[np.int32]
    row_stats: Singles


def cells_of(heard: Faded, seen: Marked, bin_place: Ints, bin_degrees: Floats, newest: int) -> ShelfCells:
    """The cells of what was heard.

    Parameters
    ----------
    heard
        Of the kinds SERVING and NEIGHBOUR, by identity, kind and place.
    seen
        Their marks.
    bin_place, bin_degrees
        All bins as places, ascending, (b,) int64, and their centres, (b, 2) float64, degrees.
    newest
        Epoch of the newest report of all.
    """
    row_bin = np.searchsorted(bin_place, heard.place)
    lat, lng = bin_degrees[row_bin].T
    first = firsts(heard.what)
    group = numbers(first, len(heard.what))
    gap_m = np.where(is_physical(heard.what[first]), PHYSICAL_GAP_M, FULL_GAP_M)
    cluster = clusters(group, lat, lng, gap_m)
    order = np.lexsort((heard.place, heard.kind, cluster, group))
    heard, row_bin, lat, lng, cluster = heard.of(order), row_bin[order], lat[order], lng[order], cluster[order]
    first = firsts(heard.what, cluster)
    cell = numbers(first, len(cluster))
    stats = row_stats(heard)
    place, extent = _extents(cell, first, lat, lng, stats)
    made = _cell_stats(heard, first, stats, extent, newest)
    made[:, files.C_PASSES] = _passes(heard.kind, cell, order, seen)
    return ShelfCells(
        heard.what[first],
        np.bincount(cell, minlength=len(first)),
        np.bincount(cell[heard.kind == t.SERVING], minlength=len(first)),
        place,
        made,
        np.minimum.reduceat(t.resolutions_of(heard.place), first).astype(np.int8),
        row_bin.astype(np.int32),
        stats,
    )


def _passes(kind: Ints, cell: Ints, order: Ints, seen: Marked) -> Floats:
    """Passes of each cell as the serving one, of cells that never served as a neighbour; `order` sorted the rows."""
    cells = int(cell.max()) + 1
    serving = np.zeros(cells, bool)
    serving[cell[kind == t.SERVING]] = True
    of_row = np.empty_like(cell)
    of_row[order] = np.where((kind == t.SERVING) | ~serving[cell], cell, -1)
    return passes(of_row[seen.row], seen, cells)


def looks(stats: Singles) -> Floats:
    """What rows weigh where a parked phone must not: their visits, by how well those were placed; (n,) float64."""
    wide = stats.astype(np.float64)
    result: Floats = np.maximum(
        ratio(wide[:, files.R_WEIGHT], wide[:, files.R_REPORTS]) * wide[:, files.R_VISITS], 1e-12
    )
    return result


def _extents(
    cell: Ints, first: Ints, lat: Floats, lng: Floats, stats: Singles
) -> tuple[npt.NDArray[np.int32], tuple[Floats, Floats]]:
    """Middle of each cell, and (root mean square of the distances from it, distance that holds 90 %) in metres."""
    weight = looks(stats)
    # Longitudes count from the first row's, so that the antimeridian is no border.
    from_first = (lng - lng[first][cell] + 180.0) % 360.0 - 180.0
    middle_lat = ranked(cell, lat, weight, 0.5)
    middle_lng = (ranked(cell, from_first, weight, 0.5) + lng[first] + 180.0) % 360.0 - 180.0
    metres = geo.distance_m(middle_lat[cell], middle_lng[cell], lat, lng)
    total = np.bincount(cell, weight)
    spread = np.sqrt(np.bincount(cell, weight * metres**2) / total)
    place = np.rint(np.stack((middle_lat, middle_lng), axis=1) * PER_DEGREE).astype(np.int32)
    return place, (spread, ranked(cell, metres, weight, HELD))


def _cell_stats(heard: Faded, first: Ints, stats: Singles, extent: tuple[Floats, Floats], newest: int) -> Singles:
    """Columns of `cell_stats`, (cells, 11) float32, but for the passes."""
    sums = np.add.reduceat(heard.sums, first, axis=0)
    visits = np.add.reduceat(stats[:, files.R_VISITS].astype(np.float64), first)
    served = np.add.reduceat(np.where(heard.kind == t.SERVING, heard.sums[:, t.REPORTS], 0.0), first)
    level = sums[:, t.LEVEL : t.LEVEL + 3].T
    made = np.empty((len(first), files.CELL_WIDTH), np.float32)
    made[:, files.C_WEIGHT] = sums[:, t.WEIGHT] / t.PER_WEIGHT
    made[:, files.C_REPORTS] = sums[:, t.REPORTS]
    made[:, files.C_VISITS] = visits
    made[:, files.C_SERVING] = served
    made[:, files.C_SPREAD_M], made[:, files.C_RADIUS_M] = extent
    made[:, files.C_LEVEL] = ratio(level[1], level[0]) / t.PER_DB
    made[:, files.C_LEVEL_SD] = deviation(level[2], level[1], level[0]) / t.PER_DB
    made[:, files.C_ADVANCE_RATE] = ratio(sums[:, t.ADVANCE], sums[:, t.WEIGHT])
    last = np.maximum.reduceat(heard.newest, first)
    made[:, files.C_AGE_DAYS] = np.where(last == t.NO_EPOCH, np.nan, (newest - last) * t.EPOCH_DAYS)
    return made
