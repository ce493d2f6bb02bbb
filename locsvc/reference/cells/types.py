"""Questions to the cell datasets, and answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from locsvc.model import CellMeasurement, LatLng


class CellQueries(NamedTuple):
    """What was measured, arrays of one length; -1 means "unknown" (the radios' own markers for it do as well)."""

    radio: npt.NDArray[np.int8]
    """(n,) int8: `model.Radio`."""
    mcc: npt.NDArray[np.int16]
    """(n,) int16."""
    mnc: npt.NDArray[np.int16]
    """(n,) int16."""
    area: npt.NDArray[np.int32]
    """(n,) int32."""
    cell: npt.NDArray[np.int64]
    """(n,) int64."""
    pci: npt.NDArray[np.int32]
    """(n,) int32."""
    arfcn: npt.NDArray[np.int32]
    """(n,) int32."""
    near_latitude_deg: npt.NDArray[np.float64]
    """(n,) float64, degrees; NaN unknown. Place near which (network, arfcn, pci) is searched."""
    near_longitude_deg: npt.NDArray[np.float64]
    """(n,) float64, degrees; NaN unknown."""

    def take(self, at: npt.NDArray[np.int64]) -> CellQueries:
        """Some of them."""
        return CellQueries(*(cast("Any", column)[at] for column in self))


@dataclass(frozen=True, slots=True)
class CellPlaces:
    """What is known of the cells, arrays of the length of the queries."""

    step: npt.NDArray[np.int8]
    """(n,) int8: the `model.CellFallback` that answered; 0: none did."""
    latitude_deg: npt.NDArray[np.float64]
    """(n,) float64, degrees; NaN without an answer."""
    longitude_deg: npt.NDArray[np.float64]
    """(n,) float64, degrees; NaN without an answer."""
    range_m: npt.NDArray[np.float64]
    """(n,) float64, metres. SECTOR, CENTROID: as the source states it, NaN unknown. Later steps: radius round the place
    that holds 90 % of the members' places, plus their typical range."""
    samples: npt.NDArray[np.int64]
    """(n,) int64: observations behind a row, 0 unknown; for SITE and later the number of member cells."""
    azimuth_deg: npt.NDArray[np.float64]
    """(n,) float64, degrees clockwise from north; NaN unknown."""
    updated_at: npt.NDArray[np.float64]
    """(n,) float64, Unix seconds; NaN unknown."""


@dataclass(frozen=True, slots=True)
class CellRow:
    """A row of a cell dataset, for people."""

    cell: CellMeasurement
    position: LatLng
    is_mast: bool
    """position is the mast's, not a centroid of observations."""
    azimuth_deg: float | None
    range_m: float | None
    samples: int
    updated_at: float | None
    distance_m: float | None = None
    """From the place that was asked for."""
