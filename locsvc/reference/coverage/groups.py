"""Learned cells of one site, area or network: where a cell of it is that was never heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from locsvc import geo
from locsvc.reference.cells import keys
from locsvc.reference.cells.files import save
from locsvc.reference.coverage import files
from locsvc.reference.coverage.cells import HELD, PER_DEGREE
from locsvc.reference.coverage.grouped import firsts, numbers, ranked
from locsvc.reference.coverage.identities import is_physical, networks_of, site_keys

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def write_groups(
    directory: Path, identity: Ints, area: Ints, place: npt.NDArray[np.int32], stats: npt.NDArray[np.float32]
) -> None:
    """Write the files of all levels; the arrays are those of the cells, `area` -1 where it is not known."""
    network = networks_of(identity)
    known = (area >= 0) & ~is_physical(identity)
    # A network's members are its full identities where it has any: its physical ones are the same cells once more.
    full = np.unique(network[~is_physical(identity)])
    in_network = np.where(is_physical(identity) & np.isin(network, full), keys.UNKNOWN, network)
    levels = {
        "site": site_keys(identity),
        "area": keys.area_keys(network, area.astype(np.int32), known),
        "network": in_network,
    }
    for level, key in levels.items():
        columns: tuple[npt.NDArray[Any], ...] = _group(key, place, stats)
        for name, column in zip(files.group_files(level), columns, strict=True):
            save(directory, name, column)


def _group(
    key: Ints, place: npt.NDArray[np.int32], stats: npt.NDArray[np.float32]
) -> tuple[Ints, Ints, npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Keys, starts, members and circles of the groups of a level."""
    members = np.argsort(key, kind="stable")
    members = members[np.searchsorted(key[members], 0) :]
    first = firsts(key[members])
    start = np.append(first, len(members))
    circles = _circles(numbers(first, len(members)), first, place[members], stats[members].astype(np.float64))
    return key[members][first], start, members.astype(np.int32), circles


def _circles(group: Ints, first: Ints, place: npt.NDArray[np.int32], stats: Floats) -> npt.NDArray[np.float32]:
    """Columns of a level's circles, (g, 6) float32."""
    made = np.empty((len(first), files.GROUP_WIDTH), np.float32)
    if not len(first):
        return made
    lat, lng = (place / PER_DEGREE).T
    # Each cell says as much as its visits, but no cell drowns all others of its group.
    weight = np.sqrt(np.maximum(stats[:, files.C_VISITS], 1e-12))
    from_first = (lng - lng[first][group] + 180.0) % 360.0 - 180.0
    middle_lat = ranked(group, lat, weight, 0.5)
    middle_lng = (ranked(group, from_first, weight, 0.5) + lng[first] + 180.0) % 360.0 - 180.0
    metres = geo.distance_m(middle_lat[group], middle_lng[group], lat, lng)
    total = np.bincount(group, weight)
    squares = np.bincount(group, weight * (metres**2 + stats[:, files.C_SPREAD_M] ** 2))
    made[:, files.G_LATITUDE], made[:, files.G_LONGITUDE] = middle_lat, middle_lng
    made[:, files.G_RADIUS_M] = ranked(group, metres + stats[:, files.C_RADIUS_M], weight, HELD)
    made[:, files.G_SPREAD_M] = np.sqrt(squares / total)
    made[:, files.G_CELLS] = np.bincount(group)
    made[:, files.G_WEIGHT] = np.bincount(group, stats[:, files.C_WEIGHT])
    return made
