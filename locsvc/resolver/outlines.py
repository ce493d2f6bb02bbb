"""Outlines of what each piece of evidence says by itself, for a map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np

from locsvc.fusion.densities import (
    AZIMUTH,
    COVARIANCE,
    FAMILY,
    FIRST_ROW,
    HALF_OPENING,
    INNER,
    OUTER,
    ROWS,
    VARIANCE_E,
    VARIANCE_N,
    WEIGHT,
    Densities,
    Family,
)
from locsvc.fusion.lattice import FLAT_AREA_M2
from locsvc.geo import destination
from locsvc.model import LatLng, Outline, Polygon, Trace
from locsvc.units import sigmas_of_circle

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.resolver.answered import Answered

    Floats = npt.NDArray[np.float64]

# Corners of a drawn circle.
DRAWN_CORNERS = 72
# Mass of the posterior's cells that are drawn.
DRAWN_MASS = 0.999


def trace_of(answered: Answered, call: int) -> Trace:
    """Cells of one call's posterior, densest first, and the outlines of its pieces."""
    row, located = answered.row_of_call[call], answered.located
    if located is None or row < 0:
        return Trace()
    leaves, d = located.posterior.leaves, located.posterior.densities
    rows = leaves.rows(row)
    mass = leaves.mass[rows]
    count = int(np.searchsorted(np.cumsum(mass), DRAWN_MASS)) + 1
    names, parts, slot = answered.names, answered.parts, located.slot_of_piece
    confidence = answered.confidences[call]
    outlines = tuple(
        Outline(names[slot[k]], parts[slot[k]], _rings(d, k, confidence))
        for k in sorted(np.nonzero(d.call == row)[0].tolist(), key=slot.__getitem__)
    )
    cells = leaves.cell[rows][:count]
    return Trace(tuple(cells.tolist()), tuple(mass[:count].tolist()), outlines)


def _rings(d: Densities, piece: int, confidence: float) -> tuple[Polygon, ...]:
    lat, lng = float(d.latitude_deg[piece]), float(d.longitude_deg[piece])
    rows = np.nonzero(d.piece == piece)[0]
    learned = rows[d.component[rows, FAMILY] == Family.HISTOGRAM]
    if len(learned):
        return _cells(d, int(learned[0]), confidence)
    family = Family(int(d.component[rows[0], FAMILY]))
    if family is Family.POLYGON:
        at = slice(
            int(d.component[rows[0], FIRST_ROW]),
            int(d.component[rows[0], FIRST_ROW] + d.component[rows[0], ROWS]),
        )
        return (_polygon(lat, lng, d.corner_m[at, 0], d.corner_m[at, 1]),)
    if family is Family.RING:
        return _band(d, int(rows[0]), lat, lng)
    return (_ellipse(d, rows.tolist(), lat, lng, confidence),)


def _cells(d: Densities, row: int, confidence: float) -> tuple[Polygon, ...]:
    """The densest bins of a histogram that hold the confidence, cell by cell."""
    first, rows = int(d.component[row, FIRST_ROW]), int(d.component[row, ROWS])
    bins = d.bin[first : first + rows]
    mass = np.diff(d.held[first : first + rows], prepend=0.0)
    order = np.argsort(-mass / FLAT_AREA_M2[(bins >> 52) & 15], kind="stable")
    chosen = bins[order[: int(np.searchsorted(np.cumsum(mass[order]), confidence)) + 1]]
    return tuple(Polygon(tuple(LatLng(*corner) for corner in h3.cell_to_boundary(int(c)))) for c in chosen.tolist())


def _polygon(lat: float, lng: float, east: Floats, north: Floats) -> Polygon:
    bearing, length = np.degrees(np.arctan2(east, north)), np.hypot(east, north)
    return _closed(*destination(lat, lng, bearing, length))


def _closed(lat: Floats, lng: Floats) -> Polygon:
    return Polygon(tuple(LatLng(a, b) for a, b in zip(lat.tolist(), lng.tolist(), strict=True)))


def _ellipse(d: Densities, rows: list[int], lat: float, lng: float, confidence: float) -> Polygon:
    """Ellipse that holds about `confidence` of the mixture: of the Gaussian with its mean deviation."""
    weight = d.component[rows, WEIGHT]
    root = np.sqrt([d.component[rows, VARIANCE_E], d.component[rows, VARIANCE_N]])
    scale = float(np.sum(weight * root.mean(axis=0)) / root.mean(axis=0)[0])
    ee, en, nn = d.component[rows[0], VARIANCE_E], d.component[rows[0], COVARIANCE], d.component[rows[0], VARIANCE_N]
    k = sigmas_of_circle(confidence) * scale
    # Points of a unit circle through the Cholesky factor of the covariance.
    angle = np.arange(DRAWN_CORNERS) * (2 * math.pi / DRAWN_CORNERS)
    a = math.sqrt(ee)
    b = en / a
    east = k * a * np.cos(angle)
    north = k * (b * np.cos(angle) + math.sqrt(max(nn - b * b, 0.0)) * np.sin(angle))
    return _polygon(lat, lng, east, north)


def _band(d: Densities, row: int, lat: float, lng: float) -> tuple[Polygon, ...]:
    inner, outer = float(d.component[row, INNER]), float(d.component[row, OUTER])
    half, azimuth = float(d.component[row, HALF_OPENING]), float(d.component[row, AZIMUTH])
    if half >= 180.0:
        bearing = np.arange(DRAWN_CORNERS) * (360.0 / DRAWN_CORNERS)
        ring = _closed(*destination(lat, lng, bearing, outer))
        return (ring,) if inner <= 0 else (ring, _closed(*destination(lat, lng, bearing, inner)))
    bearing = azimuth + np.linspace(-half, half, DRAWN_CORNERS // 2)
    far_lat, far_lng = destination(lat, lng, bearing, outer)
    near_lat, near_lng = destination(lat, lng, bearing[::-1] if inner > 0 else bearing[:1], inner)
    return (_closed(np.concatenate((far_lat, near_lat)), np.concatenate((far_lng, near_lng))),)
