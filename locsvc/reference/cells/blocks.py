"""Plain OpenCelliD rows, many at once: bytes to columns with numpy.

A block is some megabytes of whole lines. Rows made of digits in the places where OpenCelliD has them are read here;
every other row (quotes, signs, words, markers, values out of range) is handed back with its number, and `rows` decides.
Both read the same row to the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from locsvc.reference.cells import keys
from locsvc.reference.cells.columns import (
    AREA,
    LATITUDE,
    LONGITUDE,
    PER_DEGREE,
    PLACE_WIDTH,
    RANGE,
    SAMPLES,
    UPDATED,
    CellColumns,
)
from locsvc.reference.cells.rows import MAX_UINT32, OPENCELLID

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SEPARATORS = len(OPENCELLID) - 1
# Digits are fetched backwards from the end of a field; in the first line that may reach before the block.
PADDING = 32
# A whole number with this many digits is exact in float64, and so is a power of ten up to 22: their quotient is then
# the very number that float() makes of the text.
MAX_DECIMAL_DIGITS = 15
NEWLINE, RETURN, COMMA, QUOTE, MINUS, DOT, ZERO = b'\n\r,"-.0'
RADIO_CODES = {int.from_bytes(word, "little"): radio for word, radio in ((b"GSM", 1), (b"UMTS", 2), (b"LTE", 3))}
NR_CODE = int.from_bytes(b"NR", "little")


@dataclass(frozen=True, slots=True)
class Block:
    """What was read of a block."""

    columns: CellColumns
    lines: int
    """Lines in the block, blank ones too."""
    odd: list[tuple[int, bytes]]
    """Number of the line in the block, from 0, and its bytes, for rows that were not read."""


@dataclass(frozen=True, slots=True)
class _Fields:
    """Beginnings and ends of the fields of plain lines, (n,) int64 offsets into `text` by column."""

    text: Bytes
    starts: Ints
    ends: Ints

    def span(self, column: int) -> tuple[Ints, Ints]:
        return self.starts[column], self.ends[column]


def read_block(content: bytes) -> Block:
    """The rows of a block of whole lines; the last byte is a newline."""
    text = np.frombuffer(bytes(PADDING) + content, np.uint8)
    newlines = np.flatnonzero(text == NEWLINE)
    starts = np.concatenate([[PADDING], newlines[:-1] + 1])
    ends = newlines - (text[newlines - 1] == RETURN)
    commas = np.flatnonzero(text == COMMA)
    first = np.searchsorted(commas, starts)
    plain = np.diff(np.append(first, len(commas))) == SEPARATORS
    quotes = np.flatnonzero(text == QUOTE)
    plain[np.searchsorted(newlines, quotes)] = False
    at = np.flatnonzero(plain)
    separators = commas[first[at] + np.arange(SEPARATORS)[:, None]]
    fields = _Fields(
        text,
        np.concatenate([starts[at][None], separators + 1]),
        np.concatenate([separators, ends[at][None]]),
    )
    columns, good = _columns(fields)
    plain[at[~good]] = False
    odd = [
        (int(i), content[starts[i] - PADDING : newlines[i] - PADDING]) for i in np.flatnonzero(~plain & (ends > starts))
    ]
    return Block(columns, len(newlines), odd)


def _columns(fields: _Fields) -> tuple[CellColumns, Bools]:
    radio = _radios(fields)
    good = radio > 0
    mcc = _unsigned(fields, "mcc", 3, good)
    mnc = _unsigned(fields, "mnc", 3, good, empty=-1)
    area = _unsigned(fields, "area", 9, good).astype(np.int32)
    cell = _unsigned(fields, "cell", 11, good)
    pci = _unsigned(fields, "pci", 5, good)
    range_m = _unsigned(fields, "range_m", 9, good)
    samples = _unsigned(fields, "samples", 9, good)
    updated = _unsigned(fields, "updated", 10, good)
    if (updated == 0).any():
        updated = np.where(updated == 0, _unsigned(fields, "created", 10, good), updated)
    latitude = _decimal(fields, "latitude", good)
    longitude = _decimal(fields, "longitude", good)
    good &= (mcc > 0) & (mnc >= 0) & (updated <= MAX_UINT32) & keys.known_cells(radio, cell)
    good &= (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180) & ((latitude != 0) | (longitude != 0))
    network = keys.networks(radio, mcc.astype(np.int16), mnc.astype(np.int16))
    place = np.empty((len(radio), PLACE_WIDTH), np.int32)
    place[:, LATITUDE] = np.rint(np.where(good, latitude, 0.0) * PER_DEGREE)
    place[:, LONGITUDE] = np.rint(np.where(good, longitude, 0.0) * PER_DEGREE)
    place[:, RANGE] = range_m
    place[:, SAMPLES] = samples
    # Bits above the 32nd are those of rows that are not good.
    place[:, UPDATED] = updated.astype(np.uint32).view(np.int32)
    place[:, AREA] = np.where(keys.known_areas(radio, area), area, keys.UNKNOWN)
    known_pci = (pci > 0) & (pci <= keys.MAX_PCI[radio])
    columns = CellColumns(
        keys.cell_keys(network, cell, known=good)[good],
        place[good],
        np.where(known_pci, pci, keys.UNKNOWN).astype(np.int16)[good],
        None,
        None,
    )
    return columns, good


def _radios(fields: _Fields) -> npt.NDArray[np.int8]:
    starts, ends = fields.span(OPENCELLID.index("radio"))
    code = np.zeros(len(starts), np.int64)
    for place in range(4):
        letter = fields.text[starts + place].astype(np.int64) << (8 * place)
        code |= np.where(starts + place < ends, letter, 0)
    code[ends - starts > 4] = 0
    radio = np.zeros(len(starts), np.int8)
    for word, number in (*RADIO_CODES.items(), (NR_CODE, 4)):
        radio[code == word] = number
    return radio


def _unsigned(fields: _Fields, column: str, widest: int, good: Bools, *, empty: int = 0) -> Ints:
    """Values of a field of digits, (n,) int64; lines where it is none of them are taken out of `good`."""
    starts, ends = fields.span(OPENCELLID.index(column))
    width = ends - starts
    good &= width <= widest
    value = np.zeros(len(starts), np.int64)
    for place in range(min(widest, int(width.max(initial=0)))):
        inside = width > place
        # A byte below "0" wraps round to more than 9.
        digit = fields.text[ends - 1 - place] - np.uint8(ZERO)
        good &= (digit <= 9) | ~inside
        value += np.where(inside, digit, 0) * np.int64(10**place)
    if empty:
        value[width == 0] = empty
    return value


def _decimal(fields: _Fields, column: str, good: Bools) -> npt.NDArray[np.float64]:
    """Values of a field like -12.345, (n,) float64; lines where it is none are taken out of `good`."""
    starts, ends = fields.span(OPENCELLID.index(column))
    negative = fields.text[starts] == MINUS
    starts = starts + negative
    width = ends - starts
    longest = MAX_DECIMAL_DIGITS + 1
    good &= (width > 0) & (width <= longest)
    whole = np.zeros(len(starts), np.int64)
    digits = np.zeros(len(starts), np.int64)
    decimals = np.zeros(len(starts), np.int64)
    dots = np.zeros(len(starts), np.int64)
    # Beyond the end of a last line there is nothing to fetch; those places are not inside any field.
    last = len(fields.text) - 1
    for place in range(min(longest, int(width.max(initial=0)))):
        letter = fields.text[np.minimum(starts + place, last)]
        inside = width > place
        dot = inside & (letter == DOT)
        digit = letter - np.uint8(ZERO)
        number = inside & (digit <= 9)
        good &= number | dot | ~inside
        whole = np.where(number, whole * 10 + digit, whole)
        decimals += number & (dots > 0)
        digits += number
        dots += dot
    good &= (digits > 0) & (digits <= MAX_DECIMAL_DIGITS) & (dots <= 1)
    value = whole / 10.0 ** np.minimum(decimals, MAX_DECIMAL_DIGITS)
    return np.where(negative, -value, value)
