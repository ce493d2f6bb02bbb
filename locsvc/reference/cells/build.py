"""Columns of rows to the files of a dataset: sorted, doubled rows dropped, indexes made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt

from locsvc.model import Radio
from locsvc.reference.cells import files, keys
from locsvc.reference.cells.circles import group_circles
from locsvc.reference.cells.columns import (
    AREA,
    LATITUDE,
    LONGITUDE,
    PER_DEGREE,
    SAMPLES,
    UPDATED,
    CellColumns,
)
from locsvc.reference.cells.squares import squares

if TYPE_CHECKING:
    from pathlib import Path

Ints = npt.NDArray[np.int64]

# Tiles of the nearest-cell index: resolution 6 has hexagons of 36 km2. A city's tile holds some thousands of cells,
# and a country has a few thousand tiles.
TILE_RESOLUTION = 6
# Rows get the tile of the middle of their hundredth of a degree: one call of the library for all rows there. Which
# tile a row at a border falls into does not matter, because the tile's box is that of the rows that are in it.
TILE_GRAIN_PER_DEGREE = 100
# Range of a cell that states none, by radio (sheet 05: "Prior radius when range=0").
DEFAULT_RANGE_M = np.array([2_000.0, 5_000.0, 3_000.0, 2_000.0, 1_000.0])


def write_cells(directory: Path, columns: CellColumns) -> tuple[int, int]:
    """Rows written and rows dropped because a newer one has the same identity (columns are emptied on the way).

    Of rows with one identity (radio, network, area, cell) the one updated last stays; of those updated at once, the one
    with most samples; then the one further down the file.
    """
    total = len(columns)
    order = _order(columns)
    key = columns.key[order]
    place = columns.place[order]
    pci, arfcn, azimuth_deg = columns.pci[order], columns.arfcn[order], columns.azimuth_deg[order]
    for field in ("key", "place", "pci", "arfcn", "azimuth_deg"):
        setattr(columns, field, getattr(columns, field)[:0])
    del order
    files.save(directory, files.KEY, key)
    files.save(directory, files.PLACE, place)
    if (arfcn >= 0).any():
        files.save(directory, files.ARFCN, arfcn)
    if not np.isnan(azimuth_deg).all():
        files.save(directory, files.AZIMUTH, azimuth_deg)
    del arfcn, azimuth_deg
    if (pci >= 0).any():
        files.save(directory, files.PCI, pci)
        _write_physical(directory, key, place, pci)
    del pci
    _write_tiles(directory, place)
    _write_groups(directory, key, place)
    return len(key), total - len(key)


def _order(columns: CellColumns) -> Ints:
    """Row numbers by key and area, without doubled identities."""
    order: Ints = np.argsort(columns.key)
    key = columns.key[order]
    again = key[1:] == key[:-1]
    if not again.any():
        return order
    shared = np.flatnonzero(np.append(again, False) | np.append(False, again))
    rows = order[shared]
    place = columns.place[rows]
    updated = np.ascontiguousarray(place[:, UPDATED]).view(np.uint32).astype(np.int64)
    area = place[:, AREA]
    ranked = np.lexsort((-rows, -place[:, SAMPLES].astype(np.int64), -updated, area, key[shared]))
    order[shared] = rows[ranked]
    area = columns.place[order, AREA]
    kept: Ints = order[np.append(True, ~(again & (area[1:] == area[:-1])))]
    return kept


def _write_groups(directory: Path, key: Ints, place: npt.NDArray[np.int32]) -> None:
    first = int(np.searchsorted(key, (int(Radio.LTE) - 1) << (keys.CELL_BITS + keys.MCC_BITS + keys.MNC_BITS)))
    # Sites are runs of the cell keys' own order.
    site, group, count = _runs(keys.site_keys(key[first:]))
    _write_level(directory, "site", site, group_circles(group, count, place[first:], _defaults(site, keys.SITE_BITS)))
    network = key >> keys.NETWORK_SHIFT
    with_area = np.flatnonzero(place[:, AREA] >= 0)
    area_of_row = (network[with_area] << keys.AREA_BITS) | place[with_area, AREA]
    order = np.argsort(area_of_row, kind="stable")
    area, group, count = _runs(area_of_row[order])
    rows = with_area[order]
    del area_of_row, with_area, order
    files.save(directory, files.AREA_ROWS, rows.astype(np.int32))
    files.save(directory, files.AREA_START, np.append(0, np.cumsum(count)))
    _write_level(directory, "area", area, group_circles(group, count, place[rows], _defaults(area, keys.AREA_BITS)))
    del rows, group
    for level, value in (
        ("network", network & ((1 << (keys.MCC_BITS + keys.MNC_BITS)) - 1)),
        ("country", (network >> keys.MNC_BITS) & ((1 << keys.MCC_BITS) - 1)),
    ):
        # A thousand networks at most: numbering them by a table of all values is faster than sorting the rows.
        count = np.bincount(value)
        there = np.flatnonzero(count)
        number = np.cumsum(count > 0) - 1
        typical = np.full(len(there), DEFAULT_RANGE_M[Radio.LTE])
        _write_level(directory, level, there, group_circles(number[value], count[there], place, typical))


def _write_level(directory: Path, level: str, key: Ints, circles: npt.NDArray[np.float32]) -> None:
    files.save(directory, files.group_key(level), key)
    files.save(directory, files.group_circle(level), circles)


def _runs(ordered: Ints) -> tuple[Ints, Ints, Ints]:
    """Values of the runs of equal values, number of each element's run, lengths of the runs."""
    if not len(ordered):
        empty = np.zeros(0, np.int64)
        return empty, empty, empty
    begins = np.append(True, ordered[1:] != ordered[:-1])
    at = np.flatnonzero(begins)
    return ordered[at], np.cumsum(begins) - 1, np.diff(np.append(at, len(ordered)))


def _defaults(group_key: Ints, bits: int) -> npt.NDArray[np.float64]:
    radio = (group_key >> (bits + keys.MCC_BITS + keys.MNC_BITS)) + 1
    default: npt.NDArray[np.float64] = DEFAULT_RANGE_M[radio]
    return default


def _write_physical(directory: Path, key: Ints, place: npt.NDArray[np.int32], pci: npt.NDArray[np.int16]) -> None:
    rows = np.flatnonzero(pci >= 0)
    where = place[rows]
    square = squares(where[:, LATITUDE] / PER_DEGREE, where[:, LONGITUDE] / PER_DEGREE)
    physical = (((key[rows] >> keys.NETWORK_SHIFT) << keys.PCI_BITS) | pci[rows]) << keys.SQUARE_BITS | square
    order = np.argsort(physical)
    files.save(directory, files.PHYSICAL_KEY, physical[order])
    files.save(directory, files.PHYSICAL_ROWS, rows[order].astype(np.int32))


def _write_tiles(directory: Path, place: npt.NDArray[np.int32]) -> None:
    grain = round(PER_DEGREE / TILE_GRAIN_PER_DEGREE)
    across = 360 * TILE_GRAIN_PER_DEGREE + 1
    spot = (place[:, LATITUDE] // grain).astype(np.int64) * across + place[:, LONGITUDE] // grain
    order = np.argsort(spot)
    value, _, count = _runs(spot[order])
    del spot
    # The remainder of the longitude may be negative: shift it before the division and back after it.
    half = 180 * TILE_GRAIN_PER_DEGREE
    south = (value + half) // across
    west = value - south * across
    latitudes = np.clip((south + 0.5) / TILE_GRAIN_PER_DEGREE, -90, 90).tolist()
    longitudes = np.clip((west + 0.5) / TILE_GRAIN_PER_DEGREE, -180, 180).tolist()
    tile_of_spot = np.fromiter(
        (h3.latlng_to_cell(a, b, TILE_RESOLUTION) for a, b in zip(latitudes, longitudes, strict=True)),
        np.int64,
        len(latitudes),
    )
    by_tile = np.argsort(tile_of_spot, kind="stable")
    begin = np.cumsum(count) - count
    taken = count[by_tile]
    # Rows of the spots in the order of tiles: for each spot its run of `order`, one behind the other.
    rows = order[np.repeat(begin[by_tile] - (np.cumsum(taken) - taken), taken) + np.arange(len(order))]
    del order
    tile, group, _ = _runs(tile_of_spot[by_tile])
    start = np.append(0, np.cumsum(np.bincount(group, weights=taken).astype(np.int64)))
    box = np.empty((len(tile), 4), np.float64)
    for column, (axis, extreme) in enumerate(
        ((LONGITUDE, np.minimum), (LATITUDE, np.minimum), (LONGITUDE, np.maximum), (LATITUDE, np.maximum))
    ):
        box[:, column] = extreme.reduceat(place[rows, axis], start[:-1]) / PER_DEGREE
    files.save(directory, files.TILE, tile)
    files.save(directory, files.TILE_BOX, box)
    files.save(directory, files.TILE_START, start)
    files.save(directory, files.TILE_ROWS, rows.astype(np.int32))
