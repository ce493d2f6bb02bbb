"""Kernels that find cells and groups of them.

One call for four cells is most of the traffic, and there every step of numpy costs more than its work.

Answers are filled in place: `step` (n,) int8, `numbers` (5, n) float64 with the rows below, `samples` (n,) int64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from locsvc.compiled import compiled
from locsvc.model import CellFallback, Radio
from locsvc.reference.cells.circles import (
    CIRCLE_COUNT,
    CIRCLE_LATITUDE,
    CIRCLE_LONGITUDE,
    CIRCLE_RADIUS,
    CIRCLE_RANGE,
)
from locsvc.reference.cells.columns import AREA, LATITUDE, LONGITUDE, PER_DEGREE, RANGE, SAMPLES, UPDATED
from locsvc.reference.cells.keys import (
    ANDROID_UNKNOWN,
    AREA_BITS,
    CELL_BITS,
    LTE_CELL_BITS,
    MAX_AREA,
    MAX_CELL,
    MAX_MCC,
    MAX_MNC,
    MAX_SHORT_CELL,
    MCC_BITS,
    MNC_BITS,
    NR_CELL_BITS,
    SITE_BITS,
    UNKNOWN,
    UNKNOWN_AREAS,
)
from locsvc.reference.cells.regions import PLACE_COUNT, PLACE_LATITUDE, PLACE_LONGITUDE, PLACE_RANGE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.int8]
Shorts = npt.NDArray[np.int16]
Words = npt.NDArray[np.int32]
Singles = npt.NDArray[np.float32]

# Rows of `numbers`.
DEGREES_NORTH, DEGREES_EAST, METRES, AZIMUTH, SECONDS = range(5)
NUMBERS = 5

_LTE, _NR, _UMTS = int(Radio.LTE), int(Radio.NR), int(Radio.UMTS)
_SITE, _NETWORK = int(CellFallback.SITE), int(CellFallback.NETWORK)
_CELL_MASK = (1 << CELL_BITS) - 1
_LOW_BITS = 0xFFFFFFFF
_FIRST_MARKER, _SECOND_MARKER = UNKNOWN_AREAS[1], UNKNOWN_AREAS[2]


@compiled
def first_at_least(ordered: Ints, key: int) -> int:
    """Index of the first of ascending numbers that is not below the key."""
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) >> 1
        if ordered[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def network_of(radio: int, mcc: int, mnc: int) -> int:
    """Radio and network in 22 bits, as `keys.networks` has them; -1 where any of them is unknown."""
    if radio < 1 or radio > _NR or mcc < 1 or mcc > MAX_MCC or mnc < 0 or mnc > MAX_MNC:
        return UNKNOWN
    return ((radio - 1) << (MCC_BITS + MNC_BITS)) | (mcc << MNC_BITS) | mnc


@compiled
def _cell_key(radio: int, network: int, cell: int) -> int:
    if network < 0 or cell <= 0 or cell >= MAX_CELL[radio] or cell == ANDROID_UNKNOWN:
        return UNKNOWN
    return (network << CELL_BITS) | cell


@compiled
def row_of(key: Ints, place: Words, asked: int, area: int) -> int:
    """Row of a cell key, -1 where there is none.

    A GSM identity is unique within its location area only, so the area must be the row's (or the row without one).
    A UMTS, LTE or NR identity is unique in its network: areas are planned anew while cells stay, so a row of another
    area will do when there is none of this one; of several, the one updated last.
    """
    at = first_at_least(key, asked)
    if asked < 0 or at == len(key) or key[at] != asked:
        return UNKNOWN
    if place[at, AREA] == area:
        return at
    radio = (asked >> (CELL_BITS + MCC_BITS + MNC_BITS)) + 1
    # LTE, NR, and UMTS with its RNC.
    unique = radio >= _LTE or (radio == _UMTS and (asked & _CELL_MASK) > MAX_SHORT_CELL)
    found = at if unique or place[at, AREA] < 0 else UNKNOWN
    newest = np.int64(place[at, UPDATED]) & _LOW_BITS
    at += 1
    while at < len(key) and key[at] == asked:
        # A row of the right area ends the search; until then the row updated last is the best of a unique cell.
        if place[at, AREA] == area:
            return at
        updated = np.int64(place[at, UPDATED]) & _LOW_BITS
        if unique and updated > newest:
            found, newest = at, updated
        at += 1
    return found


@compiled
def fill_row(i: int, row: int, place: Words, azimuth: Singles, numbers: Floats, samples: Ints) -> None:
    """What a row says, as the answer to query `i`; no azimuths, no azimuth."""
    numbers[DEGREES_NORTH, i] = place[row, LATITUDE] / PER_DEGREE
    numbers[DEGREES_EAST, i] = place[row, LONGITUDE] / PER_DEGREE
    numbers[METRES, i] = place[row, RANGE] if place[row, RANGE] > 0 else np.nan
    updated = np.int64(place[row, UPDATED]) & _LOW_BITS
    numbers[SECONDS, i] = updated if updated > 0 else np.nan
    numbers[AZIMUTH, i] = azimuth[row] if len(azimuth) else np.nan
    samples[i] = place[row, SAMPLES]


@compiled
def fill_identities(
    radio: Bytes,
    mcc: Shorts,
    mnc: Shorts,
    area: Words,
    cell: Ints,
    key: Ints,
    place: Words,
    azimuth: Singles,
    as_step: int,
    step: Bytes,
    numbers: Floats,
    samples: Ints,
) -> int:
    """Fills the open answers that a table has rows for; returns how many stay open."""
    left = 0
    for i in range(len(radio)):
        if step[i] != 0:
            continue
        asked = _cell_key(radio[i], network_of(radio[i], mcc[i], mnc[i]), cell[i])
        # Markers for an unknown area need no care here: no row has one.
        row = row_of(key, place, asked, area[i])
        if row < 0:
            left += 1
            continue
        fill_row(i, row, place, azimuth, numbers, samples)
        step[i] = as_step
    return left


@compiled
def _group_key(as_step: int, radio: int, network: int, area: int, cell: int) -> int:
    """Key of a cell's site or area; -1 where it is unknown, and for sites of GSM and UMTS, which nothing names."""
    if network < 0:
        return UNKNOWN
    if as_step == _SITE:
        key = _cell_key(radio, network, cell)
        if key < 0 or radio < _LTE:
            return UNKNOWN
        return (network << SITE_BITS) | (cell >> (NR_CELL_BITS if radio == _NR else LTE_CELL_BITS))
    if area <= 0 or area > MAX_AREA[radio] or area in (_FIRST_MARKER, _SECOND_MARKER):
        return UNKNOWN
    return (network << AREA_BITS) | area


@compiled
def find_circles(
    radio: Bytes,
    mcc: Shorts,
    mnc: Shorts,
    area: Words,
    cell: Ints,
    key: Ints,
    circle: Singles,
    as_step: int,
    step: Bytes,
    best: Floats,
) -> None:
    """Puts the circles of open answers' groups into `best` (n, 5) where they have more members than what is there."""
    for i in range(len(radio)):
        if step[i] != 0:
            continue
        asked = _group_key(as_step, radio[i], network_of(radio[i], mcc[i], mnc[i]), area[i], cell[i])
        group = first_at_least(key, asked)
        if asked < 0 or group == len(key) or key[group] != asked:
            continue
        if circle[group, CIRCLE_COUNT] > best[i, CIRCLE_COUNT]:
            best[i, :] = circle[group, :]


@compiled
def fill_circles(
    best: Floats,
    as_step: int,
    prior_members: float,
    prior_radius_m: float,
    least_m: float,
    step: Bytes,
    numbers: Floats,
    samples: Ints,
) -> int:
    """Fills the open answers that have a circle, drawn towards what a group is before any member is known.

    Returns how many stay open.
    """
    left = 0
    for i in range(len(best)):
        if step[i] != 0:
            continue
        radius, count = best[i, CIRCLE_RADIUS], best[i, CIRCLE_COUNT]
        if count == 0.0:
            left += 1
            continue
        drawn = (count * radius + prior_members * prior_radius_m) / (count + prior_members)
        step[i] = as_step
        numbers[DEGREES_NORTH, i] = best[i, CIRCLE_LATITUDE]
        numbers[DEGREES_EAST, i] = best[i, CIRCLE_LONGITUDE]
        numbers[METRES, i] = max(max(radius, drawn) + best[i, CIRCLE_RANGE], least_m)
        samples[i] = np.int64(count)
    return left


@compiled
def fill_regions(
    mcc: Shorts,
    mnc: Shorts,
    network: Ints,
    place: Floats,
    place_step: Bytes,
    networks_only: bool,  # noqa: FBT001 - a kernel takes no names
    step: Bytes,
    numbers: Floats,
    samples: Ints,
) -> None:
    """Fills the open answers with their network, or where it is not known their country; see `regions.Regions`."""
    for i in range(len(mcc)):
        if step[i] != 0:
            continue
        country = np.int64(mcc[i]) if 0 < mcc[i] <= MAX_MCC else 0
        row = len(network) + country
        if mnc[i] >= 0:
            asked = (country << MNC_BITS) | mnc[i]
            at = first_at_least(network, asked)
            if at < len(network) and network[at] == asked:
                row = at
        if networks_only and place_step[row] != _NETWORK:
            continue
        step[i] = place_step[row]
        numbers[DEGREES_NORTH, i] = place[row, PLACE_LATITUDE]
        numbers[DEGREES_EAST, i] = place[row, PLACE_LONGITUDE]
        numbers[METRES, i] = place[row, PLACE_RANGE]
        members = place[row, PLACE_COUNT]
        samples[i] = 0 if np.isnan(members) else np.int64(members)
