"""Which cells of a coverage are meant by those that were measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from locsvc.compiled import compiled, inlined
from locsvc.reference.cells.finding import first_at_least, network_of
from locsvc.reference.coverage.identities import full_of, physical_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.reference.cells import CellQueries

    Ints = npt.NDArray[np.int64]

# Rows of what is found: identity (-1: none that is known), first cell and how many have it.
IDENTITY, FIRST, NUMBER = range(3)
# Of serving cells, further: full identity, network, and its row among the networks of the coverage.
FULL, NETWORK, NETWORK_ROW = range(3, 6)


@inlined
def _wide(number: np.signedinteger[Any]) -> int:
    # Kernels are compiled for each width of numbers that they are given.
    return int(np.int64(number))


@inlined
def _network_of(q: CellQueries, i: int) -> int:
    return int(network_of(_wide(q.radio[i]), _wide(q.mcc[i]), _wide(q.mnc[i])))


@inlined
def _full_of(q: CellQueries, i: int) -> int:
    radio, mcc, mnc = _wide(q.radio[i]), _wide(q.mcc[i]), _wide(q.mnc[i])
    return int(full_of(radio, mcc, mnc, _wide(q.area[i]), _wide(q.cell[i])))


@inlined
def _physical_of(q: CellQueries, i: int) -> int:
    radio, mcc, mnc = _wide(q.radio[i]), _wide(q.mcc[i]), _wide(q.mnc[i])
    return int(physical_of(radio, mcc, mnc, _wide(q.arfcn[i]), _wide(q.pci[i])))


@inlined
def _put_found(cell_identity: Ints, identity: int, found: Ints, i: int) -> int:
    """Writes identity, first cell and how many there are; the latter."""
    first, number = 0, 0
    if identity >= 0:
        first = first_at_least(cell_identity, identity)
        while first + number < len(cell_identity) and cell_identity[first + number] == identity:
            number += 1
    found[IDENTITY, i], found[FIRST, i], found[NUMBER, i] = identity if number else -1, first, number
    return number


@compiled
def find_scanned(q: CellQueries, cell_identity: Ints, found: Ints) -> None:
    """Finds cells of scans by the physical identity where history knows it, else by the full one: rows of (3, n).

    A neighbour is mostly named by its channel and physical identity alone, so that is how scans are compared.
    """
    for i in range(len(q.radio)):
        if not _put_found(cell_identity, _physical_of(q, i), found, i):
            _put_found(cell_identity, _full_of(q, i), found, i)


@compiled
def find_serving(q: CellQueries, cell_identity: Ints, network: Ints, found: Ints) -> tuple[int, int]:
    """Finds serving cells: rows of (6, n); how many are not known, and how many are heard in several places.

    A cell that is named is another than the one that is known by its channel alone.

    Parameters
    ----------
    network
        (w,) of the coverage, ascending; the row of one that is not there is w.
    """
    unknown = several = 0
    for i in range(len(q.radio)):
        full = _full_of(q, i)
        number = _put_found(cell_identity, full if full >= 0 else _physical_of(q, i), found, i)
        unknown += number == 0
        several += number > 1
        found[FULL, i], found[NETWORK, i] = full, _network_of(q, i)
        row = first_at_least(network, found[NETWORK, i])
        known = row < len(network) and network[row] == found[NETWORK, i]
        found[NETWORK_ROW, i] = row if known else len(network)
    return unknown, several
