"""The last steps of the chain: a cell's network, and its country."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from locsvc.model import CellFallback
from locsvc.reference.cells import keys
from locsvc.reference.cells.circles import (
    CIRCLE_COUNT,
    CIRCLE_LATITUDE,
    CIRCLE_LONGITUDE,
    CIRCLE_RADIUS,
    CIRCLE_RANGE,
)
from locsvc.reference.countries import countries_by_mcc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locsvc.reference.cells.table import CellTable, Level

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# A network serves a region at least, a country is larger than one.
LEAST_NETWORK_M = 25_000.0
LEAST_COUNTRY_M = 50_000.0
# A dataset may cover a part of its country only, and a cell that it does not have is then more likely outside that
# part: a network never gets less than this share of the country's radius.
LEAST_SHARE_OF_COUNTRY = 0.25
PLACE_LATITUDE, PLACE_LONGITUDE, PLACE_RANGE, PLACE_COUNT = range(4)


@dataclass(frozen=True, slots=True)
class Regions:
    """Circles of all networks and countries, worked out once when the store opens."""

    network: Ints
    """(k,) int64: mcc and mnc, ascending."""
    place: Floats
    """(k + 1000, 4) float64: latitude, longitude, range in metres, number of cells; networks, then countries by code.
    NaN: there is no such country."""
    step: npt.NDArray[np.int8]
    """(k + 1000,) int8: `model.CellFallback` of the rows of `place`; 0: no answer."""


def regions_of(tables: Sequence[CellTable]) -> Regions:
    """The regions of several imports and of the table of countries."""
    country = _countries(tables)
    network, circle = _largest([table.levels["network"] for table in tables])
    of_network = network >> keys.MNC_BITS
    share = np.nan_to_num(country[of_network, PLACE_RANGE], nan=0.0) * LEAST_SHARE_OF_COUNTRY
    return Regions(
        network,
        np.concatenate([_places(circle, np.maximum(share, LEAST_NETWORK_M)), country]),
        np.concatenate(
            [
                np.full(len(network), CellFallback.NETWORK, np.int8),
                np.where(np.isnan(country[:, PLACE_RANGE]), 0, CellFallback.COUNTRY).astype(np.int8),
            ]
        ),
    )


def _countries(tables: Sequence[CellTable]) -> Floats:
    places = np.full((keys.MAX_MCC + 1, 4), np.nan)
    mcc, circle = _largest([table.levels["country"] for table in tables])
    places[mcc] = _places(circle, np.full(len(mcc), LEAST_COUNTRY_M))
    for code, country in countries_by_mcc().items():
        # A dataset that covers a part of the country is no better than the table; one with the whole of it, and with
        # islands that the table leaves out, is.
        if not places[code, PLACE_RANGE] >= country.radius_m:
            radius_m = max(country.radius_m, LEAST_COUNTRY_M)
            places[code] = country.latitude_deg, country.longitude_deg, radius_m, 0
    return places


def _places(circle: Floats, least_m: Floats) -> Floats:
    range_m = np.maximum(circle[:, CIRCLE_RADIUS] + circle[:, CIRCLE_RANGE], least_m)
    return np.stack([circle[:, CIRCLE_LATITUDE], circle[:, CIRCLE_LONGITUDE], range_m, circle[:, CIRCLE_COUNT]], axis=1)


def _largest(levels: Sequence[Level]) -> tuple[Ints, Floats]:
    """Keys and circles of the groups of several imports; of one group's the circle with most members."""
    if not levels:
        return np.zeros(0, np.int64), np.zeros((0, 5))
    key = np.concatenate([level.key for level in levels])
    circle = np.concatenate([level.circle for level in levels]).astype(np.float64)
    order = np.lexsort((-circle[:, CIRCLE_COUNT], key))
    key, circle = key[order], circle[order]
    first = np.append(True, key[1:] != key[:-1])[: len(key)]
    return key[first], circle[first]
