"""One identity heard in places far apart is several cells: a pci is used again, a cell's number is given away.

Places of an identity are joined when they lie in the same or touching squares; what is joined is one cell. Which it is
hangs on the set of places alone, not on the order in which they were learned.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from locsvc.geo import curvature_radii_m
from locsvc.reference.coverage.grouped import firsts, numbers

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Side of the squares, metres: places that far apart are joined, places three times as far are not, unless there are
# others between them. A physical identity is used again from some kilometres on; a full one never is, but cells move
# with vehicles, and numbers are planned anew.
PHYSICAL_GAP_M = 1_000.0
FULL_GAP_M = 20_000.0
# Eight neighbours of a square: half of them, as the others see it the other way round.
_TOUCHING = ((0, 1), (1, -1), (1, 0), (1, 1))
_SIDE = 1 << 16


def clusters(group: Ints, latitude_deg: Floats, longitude_deg: Floats, gap_m: Floats) -> Ints:
    """Number of the cluster of each row within its group, (n,) int64: by their first rows, from 0.

    Parameters
    ----------
    group
        (n,) int64, ascending from 0, none left out: rows with one identity.
    latitude_deg, longitude_deg
        (n,) float64.
    gap_m
        (groups,) float64, metres: side of the squares.

    >>> lat = np.array([52.0, 52.0, 52.001, 53.0])
    >>> clusters(np.zeros(4, np.int64), lat, np.zeros(4), np.array([1000.0])).tolist()
    [0, 0, 0, 1]
    """
    if not len(group):
        return np.zeros(0, np.int64)
    squares = _squares(group, latitude_deg, longitude_deg, gap_m)
    names, square = np.unique(squares, return_inverse=True)
    label = _joined(names)[square]
    # The cluster's number: how many clusters of the group have their first row before its own.
    first_row = np.full(len(names), len(group))
    np.minimum.at(first_row, label, np.arange(len(group)))
    heads = np.unique(first_row[label])
    head_group = group[heads]
    nth = np.arange(len(heads)) - firsts(head_group)[numbers(firsts(head_group), len(heads))]
    result: Ints = nth[np.searchsorted(heads, first_row[label])]
    return result


def _squares(group: Ints, latitude_deg: Floats, longitude_deg: Floats, gap_m: Floats) -> Ints:
    """Square of each row, with its group in the high bits; squares are laid from the group's first row."""
    start = firsts(group)
    lat0, lng0 = latitude_deg[start][group], longitude_deg[start][group]
    east_m, north_m = curvature_radii_m(lat0)
    side = gap_m[group]
    north = np.radians(latitude_deg - lat0) * north_m
    east = np.radians((longitude_deg - lng0 + 180.0) % 360.0 - 180.0) * east_m * np.cos(np.radians(lat0))
    half = _SIDE // 2
    row = np.clip(np.floor(north / side) + half, 1, _SIDE - 2).astype(np.int64)
    column = np.clip(np.floor(east / side) + half, 1, _SIDE - 2).astype(np.int64)
    squares: Ints = (group * _SIDE + row) * _SIDE + column
    return squares


def _joined(names: Ints) -> Ints:
    """The least number of the squares that each is joined with, itself too, (n,) int64; `names` ascend."""
    pairs = []
    for down, right in _TOUCHING:
        wanted = names + down * _SIDE + right
        at = np.minimum(np.searchsorted(names, wanted), len(names) - 1)
        touching = np.flatnonzero(names[at] == wanted)
        pairs.append(np.stack((touching, at[touching])))
    one, other = np.concatenate(pairs, axis=1)
    label = np.arange(len(names))
    while True:
        least = np.minimum(label[one], label[other])
        better = label.copy()
        # The squares themselves, and those that they were joined with before.
        for end in (one, other, label[one], label[other]):
            np.minimum.at(better, end, least)
        better = better[better]
        if (better == label).all():
            return label
        label = better
