"""Columns of rows to the files of a dataset: sorted, doubled rows dropped, indexes made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np
import numpy.typing as npt

from locsvc.model import Radio
from locsvc.reference.cells import files, keys
from locsvc.reference.cells.circles import DEFAULT_RANGE_M, group_circles, in_chunks
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


def write_cells(directory: Path, columns: CellColumns) -> tuple[int, int]:
    """Rows written and rows dropped because a newer one has the same identity (columns are emptied on the way).

    Of rows with one identity (radio, network, area, cell) the one updated last stays; of those updated at once, the one
    with most samples; then the one further down the file.
    """
    total = len(columns)
    order = _order(columns)
    key = columns.key[order]
    pci = columns.pci[order]
    for name, column in ((files.ARFCN, columns.arfcn), (files.AZIMUTH, columns.azimuth_deg)):
        if column is not None:
            files.save(directory, name, column[order])
    place = columns.place[order]
    columns.release()
    del order
    files.save(directory, files.KEY, key)
    files.save(directory, files.PLACE, place)
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
    with_site = key[first:]
    # Sites are runs of the cell keys' own order.
    site, group, count = _runs(in_chunks(len(with_site), lambda part: keys.site_keys(with_site[part])))
    _write_level(directory, "site", site, group_circles(group, count, place[first:], _defaults(site, keys.SITE_BITS)))
    _write_areas(directory, key, place)
    for level, shift, bits in (
        ("network", keys.CELL_BITS, keys.MCC_BITS + keys.MNC_BITS),
        ("country", keys.CELL_BITS + keys.MNC_BITS, keys.MCC_BITS),
    ):
        # A thousand networks at most: numbering them by a table of all values is faster than sorting the rows.
        value = ((key >> shift) & ((1 << bits) - 1)).astype(np.int32)
        count = np.bincount(value)
        there = np.flatnonzero(count)
        number = (np.cumsum(count > 0) - 1).astype(np.int32)
        typical = np.full(len(there), DEFAULT_RANGE_M[Radio.LTE])
        _write_level(directory, level, there, group_circles(number[value], count[there], place, typical))


def _write_areas(directory: Path, key: Ints, place: npt.NDArray[np.int32]) -> None:
    rows = np.flatnonzero(place[:, AREA] >= 0).astype(np.int32)
    area_of_row = in_chunks(
        len(rows),
        lambda part: ((key[rows[part]] >> keys.NETWORK_SHIFT) << keys.AREA_BITS) | place[rows[part], AREA],
    )
    order = np.argsort(area_of_row, kind="stable")
    area, number, count = _runs(area_of_row[order])
    del area_of_row
    files.save(directory, files.AREA_ROWS, rows[order])
    files.save(directory, files.AREA_START, np.append(0, np.cumsum(count)))
    group = np.empty_like(rows)
    group[order] = number
    del order, number
    members = place if len(rows) == len(place) else place[rows]
    _write_level(directory, "area", area, group_circles(group, count, members, _defaults(area, keys.AREA_BITS)))


def _write_level(directory: Path, level: str, key: Ints, circles: npt.NDArray[np.float32]) -> None:
    files.save(directory, files.group_key(level), key)
    files.save(directory, files.group_circle(level), circles)


def _runs(ordered: Ints) -> tuple[Ints, npt.NDArray[np.int32], Ints]:
    """Values of the runs of equal values, number of each element's run, lengths of the runs."""
    if not len(ordered):
        empty = np.zeros(0, np.int64)
        return empty, empty.astype(np.int32), empty
    begins = np.append(True, ordered[1:] != ordered[:-1])
    at = np.flatnonzero(begins)
    number = np.cumsum(begins, dtype=np.int32)
    number -= 1
    return ordered[at], number, np.diff(np.append(at, len(ordered)))


def _defaults(group_key: Ints, bits: int) -> npt.NDArray[np.float64]:
    radio = (group_key >> (bits + keys.MCC_BITS + keys.MNC_BITS)) + 1
    default: npt.NDArray[np.float64] = DEFAULT_RANGE_M[radio]
    return default


def _write_physical(directory: Path, key: Ints, place: npt.NDArray[np.int32], pci: npt.NDArray[np.int16]) -> None:
    rows = np.flatnonzero(pci >= 0).astype(np.int32)

    def physical_keys(part: slice) -> Ints:
        row = rows[part]
        square = squares(place[row, LATITUDE] / PER_DEGREE, place[row, LONGITUDE] / PER_DEGREE)
        return (((key[row] >> keys.NETWORK_SHIFT) << keys.PCI_BITS) | pci[row]) << keys.SQUARE_BITS | square

    physical = in_chunks(len(rows), physical_keys)
    order = np.argsort(physical)
    files.save(directory, files.PHYSICAL_KEY, physical[order])
    rows = rows[order]
    files.save(directory, files.PHYSICAL_ROWS, rows)
    # Positions once more in this order: a hundred rows with the same identity in a town are one read, not a hundred.
    files.save(directory, files.PHYSICAL_PLACE, place[rows, : LONGITUDE + 1])


def _write_tiles(directory: Path, place: npt.NDArray[np.int32]) -> None:
    grain = round(PER_DEGREE / TILE_GRAIN_PER_DEGREE)
    across = 360 * TILE_GRAIN_PER_DEGREE + 1
    spot = in_chunks(
        len(place),
        lambda part: (place[part, LATITUDE] // grain).astype(np.int64) * across + place[part, LONGITUDE] // grain,
    )
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
