"""Identities: those of the cell datasets where there are such, and told apart where they must be."""

from __future__ import annotations

import numpy as np
import pytest

from locsvc.reference.cells import keys
from locsvc.reference.coverage import identities

GSM, UMTS, LTE, NR = 1, 2, 3, 4


def columns(*rows: tuple[int, ...]) -> list[np.ndarray]:
    return [np.array(column, np.int64) for column in zip(*rows, strict=True)]


def test_full_identities_are_cell_keys() -> None:
    radio, mcc, mnc, area, cell = columns((LTE, 1, 1, 7, 300), (NR, 1, 1, 7, 1 << 35), (UMTS, 1, 1, 7, 70_000))
    found = identities.full(radio, mcc, mnc, area, cell)
    network = keys.networks(radio.astype(np.int8), mcc.astype(np.int16), mnc.astype(np.int16))
    assert found.tolist() == keys.cell_keys(network, cell, np.ones(3, bool)).tolist()
    assert identities.networks_of(found).tolist() == network.tolist()
    assert not identities.is_physical(found).any()
    assert identities.site_keys(found).tolist() == keys.site_keys(found).tolist()


def test_short_identities_hold_for_their_area_only() -> None:
    rows = [
        (GSM, 1, 1, 7, 300),
        (GSM, 1, 1, 8, 300),
        (GSM, 1, 1, -1, 300),
        (GSM, 1, 1, 65535, 300),
        (UMTS, 1, 1, 7, 300),
    ]
    found = identities.full(*columns(*rows)).tolist()
    assert len(set(found)) == 4
    assert found[2] == found[3]
    assert min(found) > 0


@pytest.mark.parametrize(
    "row",
    [(0, 1, 1, 7, 300), (LTE, 0, 1, 7, 300), (LTE, 1, -1, 7, 300), (LTE, 1, 1, 7, -1), (LTE, 1, 1, 7, 0),
     (LTE, 1, 1, 7, (1 << 28) - 1), (LTE, 1, 1, 7, 2147483647), (5, 1, 1, 7, 300)],
)  # fmt: skip
def test_what_names_no_cell(row: tuple[int, ...]) -> None:
    assert identities.full(*columns(row)).tolist() == [-1]


def test_physical_identities() -> None:
    rows = [
        (LTE, 1, 1, 6400, 11),
        (LTE, 1, 1, -1, 11),
        (LTE, 1, 1, 6400, 504),
        (LTE, 1, 1, 6400, -1),
        (NR, 999, 999, 3_279_165, 1007),
    ]
    found = identities.physical(*columns(*rows))
    assert identities.is_physical(found).tolist() == [True, True, False, False, True]
    assert found[2:4].tolist() == [-1, -1]
    assert len(set(found.tolist())) == 4
    network = keys.networks(np.array([LTE, NR], np.int8), *(np.array([1, 999], np.int16) for _ in range(2)))
    assert identities.networks_of(found[[0, 1, 4]]).tolist() == network[[0, 0, 1]].tolist()
    assert identities.site_keys(found[:2]).tolist() == [-1, -1]
    low = (found[[0, 4]] >> identities.PCI_BITS) & identities.UNKNOWN_ARFCN
    assert low.tolist() == [6400, 3_279_165]
