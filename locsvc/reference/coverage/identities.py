"""Identities of cells as learned: one int64 for whatever names a cell, equal in what was learned and in what is asked.

::

    full      radio 2 | mcc 10 | mnc 10 | cell 36                     58 bits, the cell key of the cell datasets
    short     radio 2 | mcc 10 | mnc 10 | 1 | 0 3 | area 16 | cell 16 a GSM identity, or a UMTS one without its RNC
    physical  1 << 62 | radio 2 | mcc 10 | mnc 10 | arfcn 22 | pci 10

A short identity is unique in its location area only, so the area is part of it. A physical identity is used again some
kilometres away; the coverage dataset tells those apart in space (see `clusters`).

References
----------
Sheet 05 of the standards: identity widths and unknown markers (TS 23.003 clauses 4.3, 19.4, 19.6).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from locsvc.compiled import compiled
from locsvc.model import Radio
from locsvc.reference.cells import keys
from locsvc.reference.cells.finding import network_of

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

UNKNOWN = keys.UNKNOWN
PHYSICAL_BIT = 62
PCI_BITS, ARFCN_BITS = 10, 22
# All ones, above the largest channel number (3,279,165): the channel is not known.
UNKNOWN_ARFCN = (1 << ARFCN_BITS) - 1
SHORT_FLAG = 1 << (keys.CELL_BITS - 1)
SHORT_BITS = 16

_GSM, _UMTS, _NR = int(Radio.GSM), int(Radio.UMTS), int(Radio.NR)
_MAX_CELL, _MAX_AREA, _MAX_PCI = keys.MAX_CELL, keys.MAX_AREA, keys.MAX_PCI
_MARKER, _OTHER_MARKER = keys.UNKNOWN_AREAS[1], keys.UNKNOWN_AREAS[2]
_CELL_BITS, _MAX_SHORT, _ANDROID = keys.CELL_BITS, keys.MAX_SHORT_CELL, keys.ANDROID_UNKNOWN


@compiled
def full_of(radio: int, mcc: int, mnc: int, area: int, cell: int) -> int:
    """Full or short identity of a cell; -1 where its network or cell is unknown."""
    network = network_of(radio, mcc, mnc)
    if network < 0 or cell <= 0 or cell >= _MAX_CELL[radio] or cell == _ANDROID:
        return UNKNOWN
    short = radio == _GSM or (radio == _UMTS and cell <= _MAX_SHORT)
    if short and 0 < area <= _MAX_AREA[radio] and area not in (_MARKER, _OTHER_MARKER):
        cell = SHORT_FLAG | (area << SHORT_BITS) | cell
    return (network << _CELL_BITS) | cell


@compiled
def physical_of(radio: int, mcc: int, mnc: int, arfcn: int, pci: int) -> int:
    """Physical identity of a cell, with any channel if that is not known; -1 where its network or pci is unknown."""
    network = network_of(radio, mcc, mnc)
    if network < 0 or pci < 0 or pci > _MAX_PCI[radio]:
        return UNKNOWN
    channel = arfcn if 0 <= arfcn < UNKNOWN_ARFCN else UNKNOWN_ARFCN
    return (1 << PHYSICAL_BIT) | (network << (ARFCN_BITS + PCI_BITS)) | (channel << PCI_BITS) | pci


@compiled
def _fill_full(radio: Ints, mcc: Ints, mnc: Ints, area: Ints, cell: Ints, out: Ints) -> None:
    for i in range(len(out)):
        out[i] = full_of(radio[i], mcc[i], mnc[i], area[i], cell[i])


@compiled
def _fill_physical(radio: Ints, mcc: Ints, mnc: Ints, arfcn: Ints, pci: Ints, out: Ints) -> None:
    for i in range(len(out)):
        out[i] = physical_of(radio[i], mcc[i], mnc[i], arfcn[i], pci[i])


def full(radio: Ints, mcc: Ints, mnc: Ints, area: Ints, cell: Ints) -> Ints:
    """Full or short identities, (n,) int64; -1 where the network or the cell is unknown. All arrays (n,) int64.

    >>> lte, gsm = [3, 272, 3, 40122, 87812611], [1, 272, 3, 40, 7]
    >>> [hex(i) for i in full(*np.array([lte, gsm]).T.copy()).tolist()]
    ['0x2440030053bea03', '0x44003800280007']
    """
    out = np.empty(len(radio), np.int64)
    _fill_full(radio, mcc, mnc, area, cell, out)
    return out


def physical(radio: Ints, mcc: Ints, mnc: Ints, arfcn: Ints, pci: Ints) -> Ints:
    """Physical identities, (n,) int64; -1 where the network or the pci is unknown. All arrays (n,) int64.

    >>> int(physical(*np.array([[3, 310, 260, 1125, 43]]).T.copy())[0]) & 1023
    43
    """
    out = np.empty(len(radio), np.int64)
    _fill_physical(radio, mcc, mnc, arfcn, pci, out)
    return out


def is_physical(identity: Ints) -> Bools:
    """Whether identities are physical, (n,) bool."""
    result: Bools = identity >> PHYSICAL_BIT == 1
    return result


def networks_of(identity: Ints) -> Ints:
    """Radio, mcc and mnc of identities in 22 bits, as `keys.networks` packs them, (n,) int64.

    >>> networks_of(np.array([(5 << 36) | 7, (1 << 62) | (5 << 32) | 7])).tolist()
    [5, 5]
    """
    channel = identity & ~(1 << PHYSICAL_BIT)
    return np.where(is_physical(identity), channel >> (ARFCN_BITS + PCI_BITS), channel >> keys.CELL_BITS)


def site_keys(identity: Ints) -> Ints:
    """Keys of the eNodeB or gNodeB, (n,) int64; -1 for physical identities, GSM and UMTS."""
    named = np.where(is_physical(identity), UNKNOWN, identity)
    result: Ints = keys.site_keys(named)
    return result
