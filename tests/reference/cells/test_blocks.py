"""Many rows at once are read like one row at a time."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from locsvc.reference.cells.blocks import read_block
from locsvc.reference.cells.columns import from_values
from locsvc.reference.cells.rows import OPENCELLID, CellValues, Unusable, parse_row

if TYPE_CHECKING:
    from locsvc.reference.cells.columns import CellColumns

PLAIN = "LTE,272,5,42300,237575,0,-8.3347,52.4677,2318,23,1,1475687630,1763894761,0"

digits = st.integers(0, 10**11).map(str)
numbers = st.one_of(
    st.floats(-200, 200, allow_nan=False).map(lambda x: f"{x:.7f}"),
    st.floats(-200, 200, allow_nan=False).map(repr),
    st.integers(-181, 181).map(str),
)
odd = st.sampled_from(
    ["", "-", ".", "-.5", "5.", "1.2.3", "+4", " 7", "0x1", "nan", "1e3", "007", "0", "65535", '"8"', "é"]
)
fields = {
    "radio": st.sampled_from(["GSM", "UMTS", "LTE", "NR", "CDMA", "WCDMA", "lte", "", "LTEE", "N"]),
    "mcc": st.one_of(st.integers(0, 1001).map(str), odd),
    "mnc": st.one_of(st.integers(0, 1001).map(str), odd),
    "area": st.one_of(st.integers(0, 70000).map(str), digits, odd),
    "cell": st.one_of(
        st.sampled_from(["65534", "65535", "268435454", "268435455", "2147483647", "68719476735"]), digits, odd
    ),
    "pci": st.one_of(st.integers(-1, 1100).map(str), odd),
    "longitude": st.one_of(numbers, odd),
    "latitude": st.one_of(numbers, odd),
    "range_m": st.one_of(digits, odd),
    "samples": st.one_of(digits, odd),
    "created": st.one_of(digits, odd),
    "updated": st.one_of(digits, odd),
}
good_row = st.builds(
    lambda radio, cell, pci, lon, lat, rest: f"{radio},272,5,42300,{cell},{pci},{lon:.6f},{lat:.9f},{rest}",
    st.sampled_from(["GSM", "UMTS", "LTE", "NR"]),
    st.integers(1, 65534),
    st.integers(0, 511),
    st.floats(-180, 180),
    st.floats(-90, 90),
    st.sampled_from(["2318,23,1,1475687630,1763894761,0", "0,0,1,5,,", ",,,,,"]),
)
wild_row = st.tuples(*(fields.get(name, odd) for name in OPENCELLID)).map(",".join)
broken_row = st.sampled_from(["", "LTE", PLAIN + ",9", PLAIN[:40], '"' + PLAIN, ",,,", PLAIN.replace(",", ";")])


def one_at_a_time(line: str) -> CellValues | None:
    cells = next(csv.reader([line]), [])
    if len(cells) < len(OPENCELLID):
        return None
    try:
        values = {ours: cell.strip() for ours, cell in zip(OPENCELLID, cells, strict=False) if ours}
        return parse_row(values, zero_pci_is_unknown=True)
    except Unusable:
        return None


def rows_of(columns: CellColumns) -> list[tuple[int, ...]]:
    return [
        (int(k), *(int(n) for n in p), int(c)) for k, p, c in zip(columns.key, columns.place, columns.pci, strict=True)
    ]


@given(st.lists(st.one_of(good_row, wild_row, broken_row), max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_blocks_read_like_rows(lines: list[str], end: str) -> None:
    block = read_block("".join(line + end for line in [*lines, PLAIN]).encode())
    assert block.lines == len(lines) + 1
    odd_numbers = {number for number, _ in block.odd}
    plain = [line for number, line in enumerate([*lines, PLAIN]) if number not in odd_numbers and line.strip()]
    expected = [one_at_a_time(line) for line in plain]
    # What a block reads itself is exactly what the rule makes of it; what it does not read it hands over unchanged.
    assert None not in expected
    assert rows_of(block.columns) == rows_of(from_values([row for row in expected if row is not None]))
    for number, content in block.odd:
        assert content.decode().rstrip("\r") == lines[number]


@given(good_row)
def test_plain_rows_are_not_left_to_the_slow_way(line: str) -> None:
    block = read_block((line + "\n").encode())
    assert (len(block.columns), block.odd) == (0 if one_at_a_time(line) is None else 1, block.odd)
    if one_at_a_time(line) is not None:
        assert not block.odd


def test_positions_are_the_numbers_that_the_text_says() -> None:
    texts = ["52.4677", "-0.0000001", "5", "-89.99999999999", "12.", ".5", "89.9999999999999"]
    lines = "".join(PLAIN.replace("52.4677", text) + "\n" for text in texts)
    latitude = read_block(lines.encode()).columns.place[:, 0]
    assert latitude.tolist() == [round(float(t) * 1e7) for t in texts]


def test_a_block_of_one_short_line() -> None:
    block = read_block(b"x\n")
    assert (len(block.columns), block.lines, block.odd) == (0, 1, [(0, b"x")])
    assert np.array_equal(read_block(b"\n\r\n").columns.key, [])
