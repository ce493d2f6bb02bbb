"""Identities as numbers."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from locsvc.model import Radio
from locsvc.reference.cells import keys

RADIO = st.integers(1, 4)


def pack(radio: int, mcc: int, mnc: int, cell: int) -> int:
    radios, cells = np.array([radio], np.int8), np.array([cell], np.int64)
    network = keys.networks(radios, np.array([mcc], np.int16), np.array([mnc], np.int16))
    return int(keys.cell_keys(network, cells, keys.known_cells(radios, cells))[0])


@given(RADIO, st.integers(1, 999), st.integers(0, 999), st.data())
def test_a_key_gives_back_its_parts(radio: int, mcc: int, mnc: int, data: st.DataObject) -> None:
    cell = data.draw(st.integers(1, int(keys.MAX_CELL[radio]) - 1).filter(lambda c: c != keys.ANDROID_UNKNOWN))
    key = pack(radio, mcc, mnc, cell)
    assert 0 <= key < 1 << 58
    assert keys.unpack_cell_key(key) == (Radio(radio), mcc, mnc, cell)


@given(st.tuples(RADIO, st.integers(1, 999), st.integers(0, 999), st.integers(1, 65534)), st.data())
def test_order_of_keys_is_order_of_parts(one: tuple[int, int, int, int], data: st.DataObject) -> None:
    other = data.draw(st.tuples(RADIO, st.integers(1, 999), st.integers(0, 999), st.integers(1, 65534)))
    assert (pack(*one) < pack(*other)) == (one < other)


@given(st.integers(3, 4), st.integers(1, 999), st.integers(0, 999), st.data())
def test_cells_of_one_site_share_its_key(radio: int, mcc: int, mnc: int, data: st.DataObject) -> None:
    bits = {3: 8, 4: 14}[radio]
    site = data.draw(st.integers(1, (int(keys.MAX_CELL[radio]) >> bits) - 1))
    cells = data.draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=2, max_size=5))
    cell_keys = np.array([pack(radio, mcc, mnc, (site << bits) | c) for c in cells if (site << bits) | c != 2147483647])
    site_keys = keys.site_keys(cell_keys)
    assert len(set(site_keys.tolist())) == 1
    stranger = keys.site_keys(np.array([pack(radio, mcc, mnc, (site << bits) - 1)]))
    assert stranger[0] != site_keys[0]


def test_gsm_and_umts_identities_name_no_site() -> None:
    both = np.array([pack(1, 272, 1, 1234), pack(2, 272, 1, 70000), -1])
    assert keys.site_keys(both).tolist() == [-1, -1, -1]


def test_markers_for_unknown() -> None:
    cases = [(1, 0), (1, 65535), (1, 70000), (2, 0xFFFFFFF), (3, 268435455), (3, 2147483647), (4, 2147483647)]
    cases += [(4, 68719476735), (4, -1), (3, -1), (3, 1 << 40)]
    radio, cell = (np.array(c) for c in zip(*cases, strict=True))
    assert not keys.known_cells(radio.astype(np.int8), cell.astype(np.int64)).any()
    good = np.array([1, 2, 3, 4], np.int8), np.array([65534, 0xFFFFFFE, 65535, 0xFFFFFFF], np.int64)
    assert keys.known_cells(*good).all()
    areas = np.array([-1, 0, 65534, 65535, 1, 65533], np.int32)
    assert keys.known_areas(np.full(6, 3, np.int8), areas).tolist() == [False] * 4 + [True] * 2
    assert keys.known_areas(np.full(6, 4, np.int8), areas + 100_000).all()


def test_unknown_networks_have_no_key() -> None:
    radio = np.array([0, 3, 3, 3, 3], np.int8)
    mcc, mnc = np.array([272, -1, 0, 272, 1000], np.int16), np.array([1, 1, 1, -1, 1], np.int16)
    assert keys.networks(radio, mcc, mnc).tolist() == [-1] * 5
