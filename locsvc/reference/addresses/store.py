"""Addresses of one or more imports: the nearest to a place, and the place of an address."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from locsvc.model import CivicAddress, LatLng
from locsvc.reference.addresses.nearest import Nearest
from locsvc.reference.addresses.places import AddressPlace, Geocoder
from locsvc.reference.addresses.table import AddressTable
from locsvc.reference.snapshot import Entry

# Addresses that are kept decoded: 16 MB; when they are full, the cache starts anew.
_KEPT_ADDRESSES = 1 << 16


class AddressStore:
    """All addresses of one or more imports; an address's row runs through them in order.

    Thread-safe for reading.
    """

    def __init__(self, tables: Sequence[AddressTable]) -> None:
        self._tables = tuple(tables)
        self._first_row: list[int] = np.cumsum([0, *(t.rows for t in tables)]).tolist()
        self._known: dict[int, CivicAddress] = {}
        self._nearest = Nearest(self._tables)
        self._geocoder = Geocoder(self._tables)

    @staticmethod
    def open(entries: Sequence[Entry]) -> AddressStore:
        """The addresses of all `entries`, memory-mapped.

        Raises
        ------
        DatasetError
            A file of them cannot be read; the file is named.
        """
        return AddressStore([AddressTable(entry.path) for entry in entries])

    @property
    def rows(self) -> int:
        """Number of addresses."""
        return self._first_row[-1]

    def nearest(
        self, latitude_deg: npt.NDArray[np.float64], longitude_deg: npt.NDArray[np.float64], max_distance_m: float
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """The row of the nearest address to each place, -1 for none; and its distance in metres, inf for none.

        Of addresses that are equally near the lowest row is taken.

        Parameters
        ----------
        latitude_deg, longitude_deg
            `(n,) float64`; NaN has no nearest address.
        max_distance_m
            Addresses farther than this do not count.

        Returns
        -------
        row, distance_m
            `(n,) int64` and `(n,) float64`.
        """
        return self._nearest.nearest(latitude_deg, longitude_deg, max_distance_m)

    def near(self, latitude_deg: float, longitude_deg: float, limit: int) -> list[tuple[int, float]]:
        """Rows of the `limit` nearest addresses and their distances in metres, nearest first."""
        return self._nearest.near(latitude_deg, longitude_deg, limit)

    def address(self, row: int) -> CivicAddress:
        """The address of a row."""
        known = self._known.get(row)
        if known is None:
            table, own = self._own(row)
            known = table.address(own)
            if len(self._known) >= _KEPT_ADDRESSES:
                self._known = {}
            self._known[row] = known
        return known

    def position(self, row: int) -> LatLng:
        """The place of a row."""
        table, own = self._own(row)
        return table.position(own)

    def place(self, address: CivicAddress) -> AddressPlace | None:
        """Where an address is: the address itself, else its street, else its town or post code; None if none is known.

        Case, accents, spaces, punctuation and the usual short forms do not matter. When the same words stand for
        addresses far apart and nothing says which one is meant, it is placed as a street over all of them.
        """
        return next(self._geocoder.find(address, 1), None)

    def find(self, address: CivicAddress, limit: int) -> list[AddressPlace]:
        """At most `limit` places for an address, best first.

        Exact matches, if there are any; else the street as a whole and then its addresses; else the locality.
        """
        return [place for _, place in zip(range(limit), self._geocoder.find(address, limit), strict=False)]

    def _own(self, row: int) -> tuple[AddressTable, int]:
        if not 0 <= row < self.rows:
            raise IndexError(row)
        number = bisect_right(self._first_row, row) - 1
        return self._tables[number], row - self._first_row[number]
