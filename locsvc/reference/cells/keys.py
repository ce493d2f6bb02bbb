"""Identities of cells as int64 numbers, and the values that stand for "unknown".

::

    cell key     radio 2 | mcc 10 | mnc 10 | cell 36                 58 bits
    site key     radio 2 | mcc 10 | mnc 10 | site 28                 50 bits    LTE and NR
    area key     radio 2 | mcc 10 | mnc 10 | area 24                 46 bits
    network key  mcc 10 | mnc 10
    physical key radio 2 | mcc 10 | mnc 10 | pci 10 | square 20      52 bits

Signed 64-bit numbers on purpose: numpy turns a comparison of uint64 with a Python int into float64, which is slow and
drops bits. A mobile network code is a number here, so "01" and "001" are one network: OpenCelliD has it that way.

References
----------
Sheet 05 of the standards: identity widths and unknown markers (TS 23.003 clauses 4.3, 19.4, 19.6).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from locsvc.model import Radio

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UNKNOWN = -1
CELL_BITS = 36
NETWORK_SHIFT = CELL_BITS
SITE_BITS = 28
AREA_BITS = 24
PCI_BITS = 10
SQUARE_BITS = 20
MNC_BITS = 10
MCC_BITS = 10
MAX_MCC = 999
MAX_MNC = 999
# Cells of an eNodeB: the low 8 bits of the ECI. A gNodeB's share of the NCI is the operator's choice (22 to 32 bits);
# 22 is what UK operators use, and taking too few bits only makes the "site" wider.
LTE_CELL_BITS = 8
NR_CELL_BITS = 14

# By radio: largest identity, and the markers for "unknown" (0 always is one). 2147483647 is Android's.
MAX_CELL = np.array([0, 0xFFFF, 0xFFFFFFF, 0xFFFFFFF, 0xFFFFFFFFF], dtype=np.int64)
MAX_PCI = np.array([0, 63, 511, 503, 1007], dtype=np.int64)
MAX_AREA = np.array([0, 65533, 65533, 65533, 0xFFFFFF - 2], dtype=np.int64)
ANDROID_UNKNOWN = 2147483647
UNKNOWN_AREAS = (0, 65534, 65535)
# A UMTS identity without its RNC is 16 bits wide, and then as little unique as a GSM one.
MAX_SHORT_CELL = 0xFFFF

# Countries whose network codes have three digits, as far as one rule for the country exists (ITU-T E.212 annex).
THREE_DIGIT_MCCS = frozenset(
    {302, *range(310, 317), 334, 338, 342, 344, 346, 348, 350, 352, 354, 356, 358, 360, 365, 366, 376}
    | {708, 722, 732, 738, 750}
)


def known_cells(radio: npt.NDArray[np.int8], cell: Ints) -> Bools:
    """Whether the identity can be one: not unknown, not a marker, not too wide for its radio; (n,) bool."""
    widest = MAX_CELL[radio]
    # The all-ones value is a marker in every radio, and so is Android's.
    known: Bools = (cell > 0) & (cell < widest) & (cell != ANDROID_UNKNOWN)
    return known


def known_areas(radio: npt.NDArray[np.int8], area: npt.NDArray[np.int32]) -> Bools:
    """Whether the area code is one and not a marker for "unknown"; (n,) bool."""
    # 65534 and 65535 could be tracking areas in NR, whose codes have 24 bits; databases and phones use them as markers
    # there too.
    known: Bools = (area > 0) & (area <= MAX_AREA[radio]) & (area != UNKNOWN_AREAS[1]) & (area != UNKNOWN_AREAS[2])
    return known


def networks(radio: npt.NDArray[np.int8], mcc: npt.NDArray[np.int16], mnc: npt.NDArray[np.int16]) -> Ints:
    """Radio and network in the 22 low bits, (n,) int64; -1 where any of them is unknown.

    >>> int(networks(np.int8([3]), np.int16([272]), np.int16([1]))[0]) == (2 << 20) | (272 << 10) | 1
    True
    """
    packed: Ints = ((radio.astype(np.int64) - 1) << (MCC_BITS + MNC_BITS)) | (mcc.astype(np.int64) << MNC_BITS) | mnc
    known = (radio > 0) & (mcc > 0) & (mcc <= MAX_MCC) & (mnc >= 0) & (mnc <= MAX_MNC)
    return np.where(known, packed, UNKNOWN)


def cell_keys(network: Ints, cell: Ints, known: Bools) -> Ints:
    """Cell keys, (n,) int64; -1 where network or cell is unknown."""
    return np.where(known & (network >= 0), (network << CELL_BITS) | cell, UNKNOWN)


def unpack_cell_key(key: int) -> tuple[Radio, int, int, int]:
    """Radio, mcc, mnc and cell of a cell key.

    >>> unpack_cell_key((((2 << 20) | (272 << 10) | 1) << 36) | 1234)
    (<Radio.LTE: 3>, 272, 1, 1234)
    """
    network = key >> CELL_BITS
    return (
        Radio((network >> (MCC_BITS + MNC_BITS)) + 1),
        (network >> MNC_BITS) & 0x3FF,
        network & 0x3FF,
        key & ((1 << CELL_BITS) - 1),
    )


def site_keys(cell_key: Ints) -> Ints:
    """Site keys of cell keys, (n,) int64; -1 for GSM and UMTS, whose identities do not name the site.

    The cells of one site are neighbours in the order of cell keys.
    """
    radio = (cell_key >> (CELL_BITS + MCC_BITS + MNC_BITS)) + 1
    network = cell_key >> CELL_BITS
    cell = cell_key & ((1 << CELL_BITS) - 1)
    site = np.where(radio == Radio.NR, cell >> NR_CELL_BITS, cell >> LTE_CELL_BITS)
    return np.where((cell_key >= 0) & (radio >= Radio.LTE), (network << SITE_BITS) | site, UNKNOWN)


def area_keys(network: Ints, area: npt.NDArray[np.int32], known: Bools) -> Ints:
    """Area keys, (n,) int64; -1 where network or area is unknown."""
    return np.where(known & (network >= 0), (network << AREA_BITS) | area, UNKNOWN)


def mnc_text(mcc: int, mnc: int) -> str:
    """The network code as text: 3 digits where the country's plan has 3 or the number needs them, else 2.

    >>> mnc_text(272, 1), mnc_text(310, 26), mnc_text(405, 854)
    ('01', '026', '854')
    """
    return f"{mnc:03d}" if mcc in THREE_DIGIT_MCCS or mnc > 99 else f"{mnc:02d}"
