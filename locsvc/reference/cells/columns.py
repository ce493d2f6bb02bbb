"""Rows of a cell dataset as columns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

# Positions are kept in units of 1e-7 degree: 11 mm, and 180 degrees still fit 32 bits.
PER_DEGREE = 1e7

# Columns of the one int32 table that holds what every look-up needs, so that a row costs one page of memory.
LATITUDE, LONGITUDE, RANGE, SAMPLES, UPDATED, AREA = range(6)
PLACE_WIDTH = 6


@dataclass(slots=True)
class CellColumns:
    """Parsed rows, arrays of one length; -1 means "unknown" unless said otherwise."""

    key: npt.NDArray[np.int64]
    """(n,) int64: cell key."""
    place: npt.NDArray[np.int32]
    """(n, 6) int32: latitude and longitude in 1e-7 degree, range in metres (0 unknown), samples (0 unknown),
    updated (Unix seconds as uint32 bits, 0 unknown), area."""
    pci: npt.NDArray[np.int16]
    """(n,) int16."""
    arfcn: npt.NDArray[np.int32] | None
    """(n,) int32; None: unknown for all."""
    azimuth_deg: npt.NDArray[np.float32] | None
    """(n,) float32, degrees, NaN unknown; None: unknown for all."""

    def __len__(self) -> int:
        return len(self.key)

    @staticmethod
    def empty() -> CellColumns:
        """No rows."""
        return CellColumns(
            np.zeros(0, np.int64),
            np.zeros((0, PLACE_WIDTH), np.int32),
            np.zeros(0, np.int16),
            None,
            None,
        )

    def release(self) -> None:
        """Let go of the memory; no rows are left."""
        for field in fields(self):
            setattr(self, field.name, getattr(CellColumns.empty(), field.name))


def join(parts: list[CellColumns]) -> CellColumns:
    """All rows of the parts, in order; the parts are emptied on the way, so that memory holds each row about once."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return CellColumns.empty()
    sizes = [len(part) for part in parts]
    joined: list[npt.NDArray[np.generic] | None] = []
    for field in fields(CellColumns):
        columns = [getattr(part, field.name) for part in parts]
        if all(column is None for column in columns):
            joined.append(None)
            continue
        unknown = np.nan if field.name == "azimuth_deg" else -1
        dtype = next(column.dtype for column in columns if column is not None)
        joined.append(
            np.concatenate(
                [np.full(n, unknown, dtype) if c is None else c for n, c in zip(sizes, columns, strict=True)]
            )
        )
        del columns
        for part in parts:
            setattr(part, field.name, getattr(CellColumns.empty(), field.name))
    return CellColumns(*joined)  # type: ignore[arg-type]


def updated_seconds(place: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Time of the last update, (n,) float64, Unix seconds, 0 unknown.

    >>> updated_seconds(np.array([[0, 0, 0, 0, -1, 0]], np.int32)).tolist()
    [4294967295.0]
    """
    seconds: npt.NDArray[np.float64] = np.ascontiguousarray(place[:, UPDATED]).view(np.uint32).astype(np.float64)
    return seconds


def from_values(rows: Sequence[tuple[int, int, int, int, int, int, int, int, int, float]]) -> CellColumns:
    """Columns of rows (key, latitude, longitude, range, samples, updated, area, pci, arfcn, azimuth)."""
    if not rows:
        return CellColumns.empty()
    key, latitude, longitude, range_m, samples, updated, area, pci, arfcn, azimuth = zip(*rows, strict=True)
    place = np.empty((len(rows), PLACE_WIDTH), np.int32)
    place[:, LATITUDE] = latitude
    place[:, LONGITUDE] = longitude
    place[:, RANGE] = range_m
    place[:, SAMPLES] = samples
    place[:, UPDATED] = np.array(updated, np.uint32).view(np.int32)
    place[:, AREA] = area
    return CellColumns(
        np.array(key, np.int64),
        place,
        np.array(pci, np.int16),
        np.array(arfcn, np.int32) if max(arfcn) >= 0 else None,
        None if all(degrees != degrees for degrees in azimuth) else np.array(azimuth, np.float32),  # noqa: PLR0124 - NaN
    )
