"""A table of evidence being filled, piece by piece: from calls of the model, or from numbers that a face has read.

Rows are kept as bytes: a row that is packed by `struct` costs a third of one that is appended number by number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

import numpy as np

from locsvc.geo import curvature_radii_m, is_null_position
from locsvc.model import (
    ArcBand,
    Call,
    CellMeasurement,
    CellScan,
    Circle,
    DeviceReport,
    Ellipse,
    Ellipsoid,
    EvidenceContent,
    EvidenceKind,
    LatLng,
    LineLookup,
    LineRecord,
    Polygon,
    Prism,
    Reason,
    Shape,
    Sphere,
    Warning,
    WarningCode,
)
from locsvc.resolver.table import (
    CELL_COLUMNS,
    FORM_BAND,
    FORM_ELLIPSE,
    FORM_NONE,
    FORM_POINT,
    FORM_POLYGON,
    IMPLIED,
    REPORT_COLUMNS,
    SERVING,
    SLOT_COLUMNS,
    EvidenceTable,
    Height,
    LineAsked,
)
from locsvc.units import UNSTATED_CONFIDENCE, sigmas_of_height

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

NAN = math.nan
CORNERS_OF_AN_AREA = 3

_DEVICE, _CELL, _LINE = int(EvidenceKind.DEVICE_REPORT), int(EvidenceKind.CELL_SCAN), int(EvidenceKind.LINE_LOOKUP)
_INVALID, _NO_POSITION = int(Reason.INVALID), int(Reason.NO_POSITION)
# What the neighbours of a scan are called in contributions.
NEIGHBOURS = tuple(f"neighbours[{i}]" for i in range(64))
_FIRST_NEIGHBOUR = NEIGHBOURS[0]

_STARTED, _STARTED_BYTES = Struct("d").pack, 8
_SLOT = Struct(f"{len(SLOT_COLUMNS)}d").pack
_REPORT = Struct(f"{len(REPORT_COLUMNS)}d").pack
_CELL_ROW, _CELL_BYTES = Struct(f"{len(CELL_COLUMNS)}d").pack, 8 * len(CELL_COLUMNS)
_CORNER, _CORNER_BYTES = Struct("2d").pack, 16

# Of a piece of evidence: number of its call in the table, name, when it was observed (Unix seconds, NaN unknown).
Piece = tuple[int, str, float]
# A cell's columns from `radio` on.
Measured = tuple[int, int, int, float, float, float, float, float, float, float]
# A report's columns from `form` to `fourth`.
Form = tuple[float, float, float, float, float, float, float]
_NO_FORM: Form = (FORM_NONE, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

# Country and network codes are few: their numbers are kept.
_CODES: dict[str, int] = {"": -1}


def code_of(text: str) -> int:
    """A country or network code as a number, -1 for none.

    >>> code_of("001"), code_of("")
    (1, -1)
    """
    known = _CODES.get(text)
    if known is None:
        known = int(text) if text.isdecimal() else -1
        if len(_CODES) < 4096:
            _CODES[text] = known
    return known


def _neighbour_part(i: int) -> str:
    return NEIGHBOURS[i] if i < len(NEIGHBOURS) else f"neighbours[{i}]"


def _rows(content: bytearray, columns: int) -> Floats:
    rows: Floats = np.frombuffer(content, np.float64).reshape(-1, columns).copy()
    return rows


@dataclass(slots=True)
class TableBuilder:
    """A table being filled: `open` begins a call, whose pieces follow, and `close` ends it."""

    started: bytearray = field(default_factory=bytearray)
    names: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    slots: bytearray = field(default_factory=bytearray)
    reports: bytearray = field(default_factory=bytearray)
    cells: bytearray = field(default_factory=bytearray)
    corners: bytearray = field(default_factory=bytearray)
    lookups: list[LineAsked] = field(default_factory=list)
    heights: list[Height] = field(default_factory=list)
    warnings: list[tuple[int, Warning]] = field(default_factory=list)

    def table(self) -> EvidenceTable:
        """The table as it stands."""
        return EvidenceTable(
            _rows(self.started, 1)[:, 0],
            self.names,
            self.parts,
            _rows(self.slots, len(SLOT_COLUMNS)),
            _rows(self.reports, len(REPORT_COLUMNS)),
            _rows(self.cells, len(CELL_COLUMNS)),
            _rows(self.corners, 2),
            self.lookups,
            self.heights,
            self.warnings,
        )

    def mark(self) -> tuple[int, ...]:
        """Where the table ends now, for `back_to`."""
        return tuple(map(len, self._filled()))

    def back_to(self, mark: tuple[int, ...]) -> None:
        """Takes out what has come since the mark."""
        for rows, end in zip(self._filled(), mark, strict=True):
            del rows[end:]

    def _filled(self) -> tuple[bytearray | list[str] | list[LineAsked] | list[Height] | list[tuple[int, Warning]], ...]:
        texts = (self.names, self.parts, self.lookups, self.heights, self.warnings)
        return (self.started, self.slots, self.reports, self.cells, self.corners, *texts)

    def call(self, call: Call, told: Sequence[Warning]) -> None:
        """Adds a call whose messages of the field have been opened, and what was to be told of these."""
        number = self.open(NAN if call.started_at is None else call.started_at)
        self.warnings += [(number, warning) for warning in told]
        asked_line = False
        for j, evidence in enumerate(call.evidence, 1):
            observed_at = NAN if evidence.observed_at is None else evidence.observed_at
            name = evidence.evidence_id or f"evidence-{j}"
            self.piece((number, name, observed_at), evidence.content, call.calling_number)
            asked_line = asked_line or isinstance(evidence.content, LineLookup)
        if not asked_line:
            self.close(number, call.calling_number)

    def open(self, started_at: float) -> int:
        """Begins a call, at a time that is NaN when it is not known; its number."""
        number = len(self.started) // _STARTED_BYTES
        self.started += _STARTED(started_at)
        return number

    def close(self, call: int, calling_number: str) -> None:
        """Ends a call among whose pieces is no look-up of a line: its calling number is one."""
        if calling_number:
            self.line((call, IMPLIED, NAN), calling_number, implied=True)

    def piece(self, piece: Piece, content: EvidenceContent | None, calling_number: str) -> None:
        """Adds a piece of evidence."""
        if isinstance(content, CellScan):
            self._scan(piece, content)
        elif isinstance(content, DeviceReport):
            self._report(piece, content)
        elif isinstance(content, LineLookup):
            self.line(piece, content.number or calling_number, content.record)
        else:
            self._slot(piece, 0, _INVALID)
            what = "the piece of evidence is empty; set cell_scan, device_report or line_lookup"
            self.warnings.append((piece[0], Warning(WarningCode.UNUSABLE_EVIDENCE, what, piece[1])))

    def line(self, piece: Piece, number: str, record: LineRecord | None = None, *, implied: bool = False) -> None:
        """Adds a look-up."""
        slot = self._slot(piece, _LINE)
        self.lookups.append(LineAsked(slot, piece[0], number, record, implied))

    def report(self, piece: Piece, form: Form, confidence: float, method: float, platform: float) -> int:
        """Adds a report; its slot. A confidence of NaN was not stated."""
        slot = self._slot(piece, _DEVICE)
        self.reports += _REPORT(slot, *form, confidence, method, platform)
        return slot

    def cell(self, piece: Piece, part: str, serving: int, measured: Measured) -> int:
        """Adds a cell of a scan; its row, which the scan's other cells name as `serving` when it is that one."""
        call, name, observed_at = piece
        slot = len(self.names)
        self.names.append(name)
        self.parts.append(part)
        neighbour = part != SERVING
        first = not neighbour or (serving < 0 and part == _FIRST_NEIGHBOUR)
        self.slots += _SLOT(call, _CELL, observed_at, 0.0, first)
        row = len(self.cells) // _CELL_BYTES
        self.cells += _CELL_ROW(slot, neighbour, serving, *measured)
        return row

    def no_cell(self, piece: Piece) -> None:
        """Adds a scan without cells."""
        self._slot(piece, _CELL, _NO_POSITION)
        what = "the scan lists no cell; send at least the serving one"
        self.warnings.append((piece[0], Warning(WarningCode.UNUSABLE_EVIDENCE, what, piece[1], "cell_scan")))

    def _slot(self, piece: Piece, kind: int, reason: int = 0) -> int:
        call, name, observed_at = piece
        number = len(self.names)
        self.names.append(name)
        self.parts.append("")
        self.slots += _SLOT(call, kind, observed_at, reason, 1.0)
        return number

    def _scan(self, piece: Piece, scan: CellScan) -> None:
        serving = -1
        if scan.serving is not None:
            serving = self.cell(piece, SERVING, -1, _measured(scan.serving))
        for i, neighbour in enumerate(scan.neighbours):
            self.cell(piece, _neighbour_part(i), serving, _measured(neighbour))
        if scan.serving is None and not scan.neighbours:
            self.no_cell(piece)

    def _report(self, piece: Piece, report: DeviceReport) -> None:
        shape = report.shape
        if shape is None and report.raw is not None:  # a message that could not be read
            self._slot(piece, _DEVICE, _INVALID)
            return
        slot = self.report(piece, self._form(shape), report.confidence or NAN, report.method, report.platform)
        if report.altitude_m is not None or isinstance(shape, Sphere | Ellipsoid | Prism):
            self._height(slot, report, shape, report.confidence or UNSTATED_CONFIDENCE)

    def _form(self, shape: Shape | None) -> Form:
        if shape is None:
            return _NO_FORM
        if isinstance(shape, Polygon | Prism):
            return self._outline(shape.base if isinstance(shape, Prism) else shape)
        lat, lng = shape.center.latitude_deg, shape.center.longitude_deg
        if isinstance(shape, Circle | Sphere):
            return (FORM_ELLIPSE, lat, lng, shape.radius_m, shape.radius_m, 0.0, 0.0)
        if isinstance(shape, Ellipse | Ellipsoid):
            return (FORM_ELLIPSE, lat, lng, shape.semi_major_m, shape.semi_minor_m, shape.orientation_deg, 0.0)
        if isinstance(shape, ArcBand):
            opening = (shape.start_angle_deg, shape.opening_angle_deg)
            return (FORM_BAND, lat, lng, shape.inner_radius_m, shape.outer_radius_m, *opening)
        return (FORM_POINT, lat, lng, 0.0, 0.0, 0.0, 0.0)

    def _outline(self, polygon: Polygon) -> Form:
        center = middle(polygon)
        if center is None:
            return _NO_FORM
        corners = corners_m(polygon, center)
        first = len(self.corners) // _CORNER_BYTES
        for corner in corners:
            self.corners += _CORNER(*corner)
        reach = max(math.hypot(e, n) for e, n in corners)
        return (FORM_POLYGON, center.latitude_deg, center.longitude_deg, reach, first, len(corners), 0.0)

    def _height(self, slot: int, report: DeviceReport, shape: Shape | None, confidence: float) -> None:
        if report.altitude_m is not None:
            sigma = _sigma_m(report.vertical_uncertainty_m or 0.0, confidence)
            self.heights.append(Height(slot, report.altitude_m, sigma, report.floor))
        elif isinstance(shape, Sphere):
            self.heights.append(Height(slot, shape.altitude_m, _sigma_m(shape.radius_m, confidence), report.floor))
        elif isinstance(shape, Ellipsoid):
            self.heights.append(Height(slot, shape.altitude_m, _sigma_m(shape.vertical_m, confidence), report.floor))
        elif isinstance(shape, Prism):
            # Uniform between base and top: sigma is the height over the root of 12.
            sigma = shape.height_m / math.sqrt(12.0) or None
            self.heights.append(Height(slot, shape.base_altitude_m + shape.height_m / 2, sigma, report.floor))


def _sigma_m(half_m: float, confidence: float) -> float | None:
    """One sigma of a height, None where it is not known: a confidence of next to nothing says nothing."""
    sigmas = sigmas_of_height(confidence)
    return half_m / sigmas if half_m > 0 and sigmas > 0 else None


def _measured(m: CellMeasurement) -> Measured:
    return (
        m.radio,
        code_of(m.mcc),
        code_of(m.mnc),
        -1.0 if m.area is None else m.area,
        -1.0 if m.cell is None else m.cell,
        -1.0 if m.pci is None else m.pci,
        -1.0 if m.arfcn is None else m.arfcn,
        NAN if m.timing_advance is None else m.timing_advance,
        NAN if m.signal_dbm is None else m.signal_dbm,
        NAN if m.quality_db is None else m.quality_db,
    )


def middle(polygon: Polygon) -> LatLng | None:
    """Middle of a polygon's corners, None where fewer than three are places."""
    corners = [v for v in polygon.vertices if not is_null_position(v.latitude_deg, v.longitude_deg)]
    if len(corners) < CORNERS_OF_AN_AREA:
        return None
    lat = sum(v.latitude_deg for v in corners) / len(corners)
    # Longitudes are taken relative to the first corner, so that the antimeridian is no border.
    first = corners[0].longitude_deg
    lng = first + sum((v.longitude_deg - first + 180.0) % 360.0 - 180.0 for v in corners) / len(corners)
    return LatLng(lat, (lng + 180.0) % 360.0 - 180.0)


def corners_m(polygon: Polygon, center: LatLng) -> list[tuple[float, float]]:
    """Corners in metres east and north of the centre."""
    east_m, north_m = (float(r) for r in curvature_radii_m(center.latitude_deg))
    cos_lat = math.cos(math.radians(center.latitude_deg))
    return [
        (
            math.radians((v.longitude_deg - center.longitude_deg + 180.0) % 360.0 - 180.0) * east_m * cos_lat,
            math.radians(v.latitude_deg - center.latitude_deg) * north_m,
        )
        for v in polygon.vertices
        if not is_null_position(v.latitude_deg, v.longitude_deg)
    ]
