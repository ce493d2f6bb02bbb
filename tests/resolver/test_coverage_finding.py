"""Cells of a coverage found by what was measured: by name, by channel, and how many places they are heard in."""

from __future__ import annotations

import numpy as np

from locsvc.model import Radio
from locsvc.reference.cells import CellQueries
from locsvc.reference.coverage import identities
from locsvc.resolver.coverage_finding import (
    FIRST,
    FULL,
    IDENTITY,
    NETWORK_ROW,
    NUMBER,
    find_scanned,
    find_serving,
)

LTE, MCC, MNC, AREA = int(Radio.LTE), 1, 1, 77


def queries(cells: list[tuple[int, int, int]], mnc: int = MNC) -> CellQueries:
    """Cells by number, channel and physical identity, -1 unknown."""
    n = len(cells)
    cell, arfcn, pci = (np.array(column) for column in zip(*cells, strict=True))
    network = np.full(n, LTE, np.int8), np.full(n, MCC, np.int16), np.full(n, mnc, np.int16)
    area, near = np.full(n, AREA, np.int32), np.full(n, np.nan)
    return CellQueries(*network, area, cell.astype(np.int64), pci.astype(np.int32), arfcn.astype(np.int32), near, near)


def numbered(value: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([value], np.int64)


FULL_ONE = int(identities.full(*map(numbered, (LTE, MCC, MNC, AREA, 257)))[0])
BY_CHANNEL = int(identities.physical(*map(numbered, (LTE, MCC, MNC, 1300, 7)))[0])
# The one that is named is heard in one place, the one that is known by its channel in two.
KNOWN = np.array([FULL_ONE, BY_CHANNEL, BY_CHANNEL])
NETWORKS = identities.networks_of(KNOWN[:1])
KNOWN.flags.writeable = NETWORKS.flags.writeable = False


def test_serving_cells_by_name_and_else_by_channel() -> None:
    asked = queries([(257, 1300, 7), (-1, 1300, 7), (258, 1300, 7), (-1, -1, -1)])
    found = np.empty((6, 4), np.int64)
    assert find_serving(asked, KNOWN, NETWORKS, found) == (2, 1)
    # One that is named and not known is another than the one on its channel.
    assert found[NUMBER].tolist() == [1, 2, 0, 0]
    assert found[FIRST, :2].tolist() == [0, 1]
    assert found[FULL].tolist() == [FULL_ONE, -1, FULL_ONE + 1, -1]
    assert found[NETWORK_ROW].tolist() == [0, 0, 0, 0]


def test_a_network_that_is_not_there_has_the_last_row() -> None:
    found = np.empty((6, 1), np.int64)
    assert find_serving(queries([(257, 1300, 7)], mnc=2), KNOWN, NETWORKS, found) == (1, 0)
    assert found[NETWORK_ROW, 0] == len(NETWORKS)


def test_scans_by_channel_and_else_by_name() -> None:
    found = np.empty((3, 4), np.int64)
    find_scanned(queries([(257, 1300, 7), (257, 1300, 8), (-1, 1300, 8), (258, -1, -1)]), KNOWN, found)
    assert found[IDENTITY].tolist() == [BY_CHANNEL, FULL_ONE, -1, -1]
    assert found[NUMBER].tolist() == [2, 1, 0, 0]
