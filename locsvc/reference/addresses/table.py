"""One import of addresses, memory-mapped: columns in H3 order, tiles, and groups by street, town and post code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from locsvc.model import CivicAddress, LatLng
from locsvc.reference.addresses.columns import CIVIC_FIELDS, Groups, Texts, civic_address, load

# Degrees are kept as whole ten-millionths: 1 cm, in 4 bytes.
E7 = 1e-7

LATITUDE = "latitude_e7"
LONGITUDE = "longitude_e7"
TILE_STARTS = "tile_starts"
TILE_BOXES = "tile_boxes"
TOWN = "town"
POSTCODE_KEY = "postcode_key"
STREETS = "streets"
NUMBERS = "numbers"
TOWNS = "towns"
POSTCODES = "postcodes"
TOWN_NAMES = "town_names"
PLACES = "places"


def degrees(e7: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Degrees from ten-millionths of them.

    >>> degrees(np.array([-5], dtype=np.int32)).tolist()
    [-5e-07]
    """
    return np.multiply(e7, E7, dtype=np.float64)


class AddressTable:
    """Addresses of one import; rows are numbered from 0 in H3 order.

    Attributes
    ----------
    rows
        Number of addresses.
    latitude_e7, longitude_e7
        `(rows,) int32`, 1e-7 degrees.
    tile_starts, tile_boxes
        `(t + 1,) int64` first row of each H3 tile; `(t, 4) int32` south, west, north, east of its addresses.
    postcode_key
        `(rows,) int64`, key of the post code, 0 where there is none.
    town
        `(rows,) int32`, number of the town among `towns`, -1 where there is none.
    streets, numbers, towns, postcodes
        Rows by key. `numbers` has one group for each house number of a street, `towns` one for each town of a county,
        state and country.
    town_names
        `(towns, 3) int64`, keys of the town's own name (ascending), state and country, 0 where there is none.
    town_places, postcode_places
        `(groups, 3) float64`: a row that is in the middle, spread of the rows round it in metres, number of rows.
    """

    def __init__(self, directory: Path) -> None:
        self.latitude_e7 = load(directory / f"{LATITUDE}.npy", np.int32)
        self.longitude_e7 = load(directory / f"{LONGITUDE}.npy", np.int32)
        self.tile_starts = load(directory / f"{TILE_STARTS}.npy", np.int64)
        self.tile_boxes = load(directory / f"{TILE_BOXES}.npy", np.int32)
        self.postcode_key = load(directory / f"{POSTCODE_KEY}.npy", np.int64)
        self.town = load(directory / f"{TOWN}.npy", np.int32)
        self.streets = Groups.open(directory, STREETS)
        self.numbers = Groups.open(directory, NUMBERS)
        self.towns = Groups.open(directory, TOWNS)
        self.postcodes = Groups.open(directory, POSTCODES)
        self.town_names = load(directory / f"{TOWN_NAMES}.npy", np.int64)
        self.town_places = load(directory / f"{TOWNS}.{PLACES}.npy", np.float64)
        self.postcode_places = load(directory / f"{POSTCODES}.{PLACES}.npy", np.float64)
        self.rows = len(self.latitude_e7)
        self._texts = [
            (name, Texts(directory, name)) for name in CIVIC_FIELDS if (directory / f"{name}.ids.npy").exists()
        ]

    def address(self, row: int) -> CivicAddress:
        """The address of a row."""
        return civic_address(self._texts, row)

    def text(self, row: int, *fields: str) -> str:
        """Some fields of a row's address, one after the other."""
        return "".join(column[row] for name, column in self._texts if name in fields)

    def position(self, row: int) -> LatLng:
        """The place of a row."""
        return LatLng(round(int(self.latitude_e7[row]) * E7, 7), round(int(self.longitude_e7[row]) * E7, 7))

    def degrees(self, rows: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Latitude and longitude of rows, `(k,) float64` each."""
        return degrees(self.latitude_e7[rows]), degrees(self.longitude_e7[rows])
