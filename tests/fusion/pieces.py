"""Claims from a few numbers, and what comes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np

from locsvc.fusion.cell_claims import CellClaims, of_cells
from locsvc.fusion.claims import (
    BandClaims,
    EllipseClaims,
    LineClaims,
    Made,
    PolygonClaims,
    of_bands,
    of_ellipses,
    of_lines,
    of_polygons,
)
from locsvc.fusion.gathering import gather
from locsvc.fusion.grid import Posterior, locate
from locsvc.fusion.region import Answers, CompactCells, answer, compact
from locsvc.model import CellFallback, Placement, PositioningMethod, Radio

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.densities import Densities
    from locsvc.fusion.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]


def _like(calls: Ints, value: float | Floats) -> Floats:
    return np.broadcast_to(np.asarray(value, dtype=np.float64), calls.shape).copy()


def _common(
    calls: Ints, order: int, lat: float | Floats, lng: float | Floats
) -> tuple[Ints, Ints, Floats, Floats, Floats, Floats]:
    calls = np.asarray(calls, dtype=np.int64)
    return calls, np.full(len(calls), order), _like(calls, lat), _like(calls, lng), _like(calls, 0), _like(calls, 1)


ONE = np.zeros(1, np.int64)


def circles(
    p: Parameters, calls: Ints, order: int, lat: float | Floats, lng: float | Floats, sigma_m: float | Floats
) -> Made:
    """Satellite fixes with these standard deviations."""
    s = _like(calls, sigma_m)
    method = np.full(len(calls), int(PositioningMethod.GNSS))
    return of_ellipses(EllipseClaims(*_common(calls, order, lat, lng), s, s, 0 * s, method), p)


def ellipses(
    p: Parameters, lat: float, lng: float, major_m: float, minor_m: float, axis_deg: float, order: int = 0
) -> Made:
    """One device's ellipse."""
    major, minor, axis = (_like(ONE, v) for v in (major_m, minor_m, axis_deg))
    method = np.array([int(PositioningMethod.GNSS)])
    return of_ellipses(EllipseClaims(*_common(ONE, order, lat, lng), major, minor, axis, method), p)


def lines(
    p: Parameters, calls: Ints, order: int, lat: float | Floats, lng: float | Floats, kind: int | Ints = 0
) -> Made:
    """Records of structures."""
    kinds = np.broadcast_to(np.asarray(kind, dtype=np.int64), calls.shape).copy()
    placement = np.full(len(calls), int(Placement.STRUCTURE))
    return of_lines(LineClaims(*_common(calls, order, lat, lng), kinds, placement, _like(calls, np.nan)), p)


def cells(
    p: Parameters,
    calls: Ints,
    order: int,
    lat: float | Floats,
    lng: float | Floats,
    range_m: float | Floats,
    step: CellFallback,
    *,
    azimuth_deg: float = np.nan,
    timing_advance: float = np.nan,
    radio: Radio = Radio.GSM,
) -> Made:
    """Cells of a step."""
    claims = CellClaims(
        *_common(calls, order, lat, lng),
        np.full(len(calls), int(step)),
        _like(calls, range_m),
        _like(calls, 100),
        _like(calls, azimuth_deg),
        _like(calls, timing_advance),
        np.full(len(calls), int(radio)),
        np.zeros(len(calls), bool),
    )
    return of_cells(claims, p)


def discs(
    p: Parameters, calls: Ints, order: int, lat: float | Floats, lng: float | Floats, radius_m: float | Floats
) -> Made:
    """Soft discs: areas of a network."""
    return cells(p, calls, order, lat, lng, radius_m, CellFallback.AREA)


def bands(
    p: Parameters, lat: float, lng: float, inner_m: float, outer_m: float, azimuth_deg: float, half_opening_deg: float
) -> Made:
    """One device's arc band."""
    inner, outer, azimuth, half, held = (
        _like(ONE, v) for v in (inner_m, outer_m, azimuth_deg, half_opening_deg, 1 - 1e-9)
    )
    method = np.array([int(PositioningMethod.NETWORK)])
    return of_bands(BandClaims(*_common(ONE, 0, lat, lng), inner, outer, azimuth, half, held, method), p)


def polygons(p: Parameters, lat: float, lng: float, east_m: Floats, north_m: Floats) -> Made:
    """One device's polygon."""
    claims = PolygonClaims(
        *_common(ONE, 0, lat, lng),
        np.zeros(1, np.int64),
        np.array([len(east_m)]),
        np.array([1 - 1e-9]),
        np.array([int(PositioningMethod.NETWORK)]),
        np.asarray(east_m, float),
        np.asarray(north_m, float),
    )
    return of_polygons(claims, p)


def gathered(made: list[Made]) -> Densities:
    """The densities of all pieces."""
    return gather(made)[0]


@dataclass(frozen=True)
class Fused:
    """What the core says of some calls."""

    posterior: Posterior
    answers: Answers
    cells: CompactCells

    def region(self, call: int = 0) -> set[int]:
        """The call's cells, compacted."""
        rows = slice(int(self.cells.starts[call]), int(self.cells.starts[call + 1]))
        return {int(c) for c in self.cells.cell[rows].tolist()}

    def holds(self, lat: float, lng: float, call: int = 0) -> bool:
        """Whether the call's region holds the place, by the contract's rule."""
        finest = int(self.cells.finest[call])
        cell = h3.latlng_to_cell(lat, lng, finest)
        return not self.region(call).isdisjoint(int(h3.cell_to_parent(cell, r)) for r in range(finest + 1))

    def place(self, call: int = 0) -> tuple[float, float]:
        """The call's position."""
        return float(self.answers.latitude_deg[call]), float(self.answers.longitude_deg[call])

    def radius_m(self, call: int = 0) -> float:
        """The call's radius."""
        return float(self.answers.radius_m[call])


def fused(made: list[Made], calls: int = 1, confidence: float | Floats = 0.9) -> Fused:
    """The core's answer to the pieces."""
    wanted = np.broadcast_to(np.asarray(confidence, float), (calls,)).copy()
    posterior = locate(gathered(made), calls, wanted)
    answers = answer(posterior, wanted)
    return Fused(posterior, answers, compact(posterior.leaves, answers.region_leaves))
