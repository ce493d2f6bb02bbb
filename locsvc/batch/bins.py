"""Counts in bins that grow with what is counted: many fine ones for a town, as many coarse ones for a continent.

The level of the bins is the finest at which there are no more than `most` of them. It hangs on what was counted alone,
not on the order or the pieces in which it came, so counts of parts add up to the same whatever the parts.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Squares of the map are halved so often: 2^20 on a side, 38 m at the equator.
FINEST_ZOOM = 20
# Where the projection ends: its square is as high as wide.
_MOST_LATITUDE_DEG = 85.05112878
# Each divides the next: a minute, 10, an hour, 6, a day, a week, four of them, 13 of those.
TIME_WIDTHS = (60, 600, 3_600, 21_600, 86_400, 604_800, 2_419_200, 31_449_600)
MAP_WIDTHS = tuple(4**k for k in range(FINEST_ZOOM + 1))


def _none() -> Ints:
    return np.zeros(0, np.int64)


@dataclass(slots=True)
class Bins:
    """Counts of whole numbers by bins.

    Parameters
    ----------
    widths
        Of a bin at each level, ascending, each a divisor of the next.
    most
        Bins; with more the level rises.
    keys, counts
        (bins,) int64: what was counted divided by the width, ascending; how often.
    """

    widths: tuple[int, ...]
    most: int
    level: int = 0
    keys: Ints = field(default_factory=_none)
    counts: Ints = field(default_factory=_none)

    @property
    def width(self) -> int:
        """Of a bin."""
        return self.widths[self.level]

    def count(self, values: Ints) -> None:
        """Count whole numbers.

        >>> bins = Bins((1, 10), most=2)
        >>> bins.count(np.array([3, 4, 17]))
        >>> bins.level, bins.keys.tolist(), bins.counts.tolist()
        (1, [0, 1], [2, 1])
        """
        keys, counts = np.unique(values // self.width, return_counts=True)
        self._merge(keys, counts.astype(np.int64))

    def add(self, other: Bins) -> None:
        """Add what another one of the same widths has counted."""
        if other.level > self.level:
            self._coarsen(other.level)
        self._merge(other.keys // (self.width // other.width), other.counts)

    def _merge(self, keys: Ints, counts: Ints) -> None:
        self._set(np.concatenate([self.keys, keys]), np.concatenate([self.counts, counts]))
        while len(self.keys) > self.most and self.level + 1 < len(self.widths):
            self._coarsen(self.level + 1)

    def _coarsen(self, level: int) -> None:
        factor = self.widths[level] // self.width
        self.level = level
        self._set(self.keys // factor, self.counts)

    def _set(self, keys: Ints, counts: Ints) -> None:
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else _none()
        self.keys = keys[starts]
        self.counts = np.add.reduceat(counts[order], starts) if len(keys) else _none()

    def to_json(self) -> list[Any]:
        """As JSON, some four bytes a bin: level, keys, counts."""
        return [self.level, _packed(np.diff(self.keys, prepend=0)), _packed(self.counts)]

    def read_json(self, value: list[Any]) -> None:
        """Become what `to_json` wrote of another one of the same widths."""
        self.level = int(value[0])
        self.keys, self.counts = np.cumsum(_unpacked(value[1])), _unpacked(value[2])


def _packed(numbers: Ints) -> str:
    return base64.b85encode(zlib.compress(numbers.astype("<i8").tobytes(), 1)).decode()


def _unpacked(text: str) -> Ints:
    return np.frombuffer(zlib.decompress(base64.b85decode(text)), "<i8").astype(np.int64)


def squares_of(latitude_deg: Floats, longitude_deg: Floats) -> Ints:
    """The finest square of the map that holds each place, (n,) int64: a place's square is its quarter's number by 4.

    The number is made of the bits of column and row in turns, so that `// 4` is the square that holds four.

    Parameters
    ----------
    latitude_deg, longitude_deg
        (n,) float64.

    References
    ----------
    J. P. Snyder, Map Projections: A Working Manual, USGS Professional Paper 1395, chapter 7 (Mercator, sphere).

    Examples
    --------
    >>> (squares_of(np.array([0.1, -0.1]), np.array([0.1, 0.1])) // MAP_WIDTHS[19]).tolist()
    [1, 3]
    """
    latitude = np.radians(np.clip(latitude_deg, -_MOST_LATITUDE_DEG, _MOST_LATITUDE_DEG))
    side = 1 << FINEST_ZOOM
    x = (np.asarray(longitude_deg) + 180.0) / 360.0 * side
    y = (0.5 - np.arcsinh(np.tan(latitude)) / (2 * np.pi)) * side
    column, row = (np.clip(np.floor(v).astype(np.int64), 0, side - 1) for v in (x, y))
    return _spread(column) | (_spread(row) << 1)


# Steps and masks that put a zero between any two of 32 bits: halves apart, then quarters, and so on.
_STEPS = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)


def _spread(bits: Ints) -> Ints:
    for step, mask in _STEPS:
        bits = (bits | (bits << step)) & mask
    return bits


def columns_and_rows(squares: Ints) -> tuple[Ints, Ints]:
    """The column from 180 degrees west and the row from the north of squares of one level, each (n,) int64.

    >>> [v.tolist() for v in columns_and_rows(np.array([1, 3, 6]))]
    [[1, 1, 2], [0, 1, 1]]
    """
    return _gathered(squares), _gathered(squares >> 1)


def _gathered(bits: Ints) -> Ints:
    bits = bits & _STEPS[-1][1]
    for (step, _), (_, mask) in zip(_STEPS[::-1], [*_STEPS[-2::-1], (0, 0xFFFFFFFF)], strict=True):
        bits = (bits | (bits >> step)) & mask
    return bits
