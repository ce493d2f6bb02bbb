"""Kernels that find cells by channel and physical identity near a place."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from locsvc.compiled import compiled
from locsvc.model import CellFallback
from locsvc.reference.cells.circles import DEFAULT_RANGE_M
from locsvc.reference.cells.columns import LATITUDE, LONGITUDE, PER_DEGREE
from locsvc.reference.cells.finding import METRES, fill_row, first_at_least, network_of
from locsvc.reference.cells.keys import MAX_PCI, PCI_BITS, SQUARE_BITS
from locsvc.reference.cells.squares import COLUMNS, METRES_PER_DEGREE, REACH_M, ROWS, SIDES
from locsvc.reference.cells.squares import PER_DEGREE as SQUARES_PER_DEGREE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.int8]
Shorts = npt.NDArray[np.int16]
Words = npt.NDArray[np.int32]
Singles = npt.NDArray[np.float32]

# Least range, metres: a macro cell of a town reaches some 1 km (sheet 05: 2 km is the prior of an LTE cell whose range
# nobody stated).
LEAST_PHYSICAL_M = 1_000.0
# By how much the identity's possible re-use widens a row that was found by channel and physical identity only.
PHYSICAL_WIDENING = 1.25
# Same channel and identity at less than this many times the distance of the nearest: either may be meant.
AMBIGUOUS_DISTANCE_RATIO = 2.0
# Antennas of one mast with the same identity on several channels.
SAME_MAST_M = 100.0
# Three rows of squares, each in up to three stretches: what is beyond the antimeridian is at the other end of the row.
STRETCHES = 9
_PHYSICAL = int(CellFallback.PHYSICAL_IDENTITY)


@compiled
def flat_distance_m(
    latitude_deg: float, longitude_deg: float, to_latitude_deg: float, to_longitude_deg: float
) -> float:
    """Distance between places less than some tens of kilometres apart, metres, good to 1 %.

    The candidates of one identity are many and only compared with each other; exact geodesy would be most of the work.

    >>> round(flat_distance_m(50.0, 179.99, 50.0, -179.99))
    1431
    """
    east = (to_longitude_deg - longitude_deg + 180) % 360 - 180
    east *= math.cos(math.radians(latitude_deg))
    north = to_latitude_deg - latitude_deg
    return METRES_PER_DEGREE * math.sqrt(east * east + north * north)


@compiled
def stretch(number: int, latitude_deg: float, longitude_deg: float) -> tuple[int, int]:
    """First and last square of one of nine stretches that cover all within 25 km of a place; (0, -1): it is empty.

    >>> stretch(1, 50.0, 10.0), stretch(4, 50.0, 10.0)
    ((807158, 807162), (0, -1))
    """
    # A place in the last row to a pole gets the three last rows.
    row = int(min(max((latitude_deg + 90) * SQUARES_PER_DEGREE, 1.0), ROWS - 2.0))
    column = int((longitude_deg + 180) * SQUARES_PER_DEGREE) % COLUMNS
    side = SIDES[row]
    west, east = column - side, column + side
    begin = row * COLUMNS + (number % 3 - 1) * COLUMNS
    if number < 3:
        return begin + max(west, 0), begin + min(east, COLUMNS - 1)
    if number < 6 and west < 0:
        return begin + west + COLUMNS, begin + COLUMNS - 1
    if number >= 6 and east >= COLUMNS:
        return begin, begin + east - COLUMNS
    return 0, -1


@compiled
def matching_cells(
    network: int,
    pci: int,
    arfcn: int,
    latitude_deg: float,
    longitude_deg: float,
    key: Ints,
    rows: Words,
    place: Words,
    channels: Words,
) -> tuple[Ints, Floats]:
    """Rows and distances in metres, (k,) each, of all cells with the physical identity within 25 km of the place.

    A channel that the query or the table does not know matches any; a table without channels has none of them.
    """
    base = ((network << PCI_BITS) | pci) << SQUARE_BITS
    begins, ends = np.empty(STRETCHES, np.int64), np.empty(STRETCHES, np.int64)
    listed = 0
    for number in range(STRETCHES):
        first, last = stretch(number, latitude_deg, longitude_deg)
        begins[number] = ends[number] = 0
        if first <= last:
            begins[number] = first_at_least(key, base + first)
            ends[number] = first_at_least(key, base + last + 1)
        listed += ends[number] - begins[number]
    found, metres = np.empty(listed, np.int64), np.empty(listed)
    count = 0
    for number in range(STRETCHES):
        for at in range(begins[number], ends[number]):
            latitude, longitude = place[at, LATITUDE] / PER_DEGREE, place[at, LONGITUDE] / PER_DEGREE
            away_m = flat_distance_m(latitude_deg, longitude_deg, latitude, longitude)
            row = np.int64(rows[at])
            channel = channels[row] if len(channels) else -1
            if away_m <= REACH_M and (channel < 0 or arfcn < 0 or channel == arfcn):
                found[count], metres[count] = row, away_m
                count += 1
    return found[:count], metres[:count]


@compiled
def _ambiguity_m(found: Ints, metres: Floats, nearest: int, place: Words) -> float:
    """What to add to the range where a second cell with the same identity is not much farther: metres to it."""
    row = found[nearest]
    latitude, longitude = place[row, LATITUDE] / PER_DEGREE, place[row, LONGITUDE] / PER_DEGREE
    farthest_m = 0.0
    for k in range(len(found)):
        # Within 100 m of each other they are the channels of one mast.
        if metres[k] <= AMBIGUOUS_DISTANCE_RATIO * metres[nearest] + SAME_MAST_M:
            rival = found[k]
            to_latitude, to_longitude = place[rival, LATITUDE] / PER_DEGREE, place[rival, LONGITUDE] / PER_DEGREE
            farthest_m = max(farthest_m, flat_distance_m(latitude, longitude, to_latitude, to_longitude))
    return farthest_m if farthest_m > SAME_MAST_M else 0.0


@compiled
def fill_channels(
    radio: Bytes,
    mcc: Shorts,
    mnc: Shorts,
    pci: Words,
    arfcn: Words,
    near_latitude_deg: Floats,
    near_longitude_deg: Floats,
    key: Ints,
    rows: Words,
    sorted_place: Words,
    channels: Words,
    place: Words,
    azimuth: Singles,
    best_m: Floats,
    step: Bytes,
    numbers: Floats,
    samples: Ints,
) -> None:
    """Fills the open answers, and those that a farther cell of another table has filled, with the nearest match.

    `best_m` (n,) is how far from its place the cell is that stands in the answer, inf for none.
    """
    for i in range(len(radio)):
        if step[i] != 0 and step[i] != _PHYSICAL:
            continue
        network = network_of(radio[i], mcc[i], mnc[i])
        latitude, longitude = near_latitude_deg[i], near_longitude_deg[i]
        if network < 0 or pci[i] < 0 or pci[i] > MAX_PCI[radio[i]] or not np.isfinite(latitude + longitude):
            continue
        found, metres = matching_cells(
            network, pci[i], arfcn[i], latitude, longitude, key, rows, sorted_place, channels
        )
        if not len(found):
            continue
        nearest = 0
        for k in range(1, len(found)):
            if metres[k] < metres[nearest]:
                nearest = k
        if metres[nearest] >= best_m[i]:
            continue
        best_m[i] = metres[nearest]
        fill_row(i, found[nearest], place, azimuth, numbers, samples)
        step[i] = _PHYSICAL
        stated_m = numbers[METRES, i]
        range_m = DEFAULT_RANGE_M[radio[i]] if np.isnan(stated_m) else stated_m
        range_m = max(range_m, LEAST_PHYSICAL_M) * PHYSICAL_WIDENING
        numbers[METRES, i] = range_m + _ambiguity_m(found, metres, nearest, place)
