"""The evidence of many calls as columns: what the resolver works on, whatever the calls came as.

A face fills the table row by row (`read_calls`, from the model) or whole columns at once. Numbers only; texts and line
records, which few pieces have, stand beside. A slot is one piece of evidence, or one cell of a scan: it becomes one
contribution of the answer. Slots come in the order of calls.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
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
from locsvc.units import UNSTATED_CONFIDENCE, sigmas_of_height

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

NAN = math.nan
CORNERS_OF_AN_AREA = 3
# How a report's shape is described by numbers (REPORT_COLUMNS first to third).
FORM_NONE, FORM_POINT, FORM_ELLIPSE, FORM_BAND, FORM_POLYGON = range(5)

# first, second, third: half axes and orientation of an ellipse; inner and outer radius and start angle of a band (its
# opening angle is `fourth`); reach, first corner and number of corners of a polygon. confidence: NaN for not stated.
REPORT_COLUMNS = (
    "slot",
    "form",
    "latitude_deg",
    "longitude_deg",
    "first",
    "second",
    "third",
    "fourth",
    "confidence",
    "method",
    "platform",
)
# serving: row of the scan's serving cell, -1 for none; numbers that are not known are -1, what was not measured is NaN.
CELL_COLUMNS = (
    "slot",
    "neighbour",
    "serving",
    "radio",
    "mcc",
    "mnc",
    "area",
    "cell",
    "pci",
    "arfcn",
    "timing_advance",
    "signal_dbm",
    "quality_db",
)
SLOT_COLUMNS = ("call", "kind", "observed_at", "reason", "first_of_piece")

_DEVICE, _CELL, _LINE = int(EvidenceKind.DEVICE_REPORT), int(EvidenceKind.CELL_SCAN), int(EvidenceKind.LINE_LOOKUP)
_INVALID, _NO_POSITION = int(Reason.INVALID), int(Reason.NO_POSITION)
IMPLIED = "calling_number"
SERVING = "serving"
_NEIGHBOURS = tuple(f"neighbours[{i}]" for i in range(64))


@dataclass(slots=True)
class LineAsked:
    """A look-up of one call: the number, or a record that came with it. `implied`: by the calling number alone."""

    slot: int
    call: int
    number: str
    record: LineRecord | None
    implied: bool


@dataclass(slots=True)
class Height:
    """What a report says of the height: altitude and one sigma in metres (None unknown), floor."""

    slot: int
    altitude_m: float
    sigma_m: float | None
    floor: str


@dataclass(slots=True)
class EvidenceTable:
    """Columns of all evidence of some calls.

    `started_at` (calls,) NaN unknown; `names`, `parts` of the slots; `slots`, `reports`, `cells` (rows, columns)
    float64 by the columns above; `corners` (v, 2) metres east and north of their polygon's centre; `warnings` of the
    calls from reading them, by call.
    """

    started_at: Floats
    names: list[str]
    parts: list[str]
    slots: Floats
    reports: Floats
    cells: Floats
    corners: Floats
    lookups: list[LineAsked]
    heights: list[Height]
    warnings: list[tuple[int, Warning]] = field(default_factory=list)


def _neighbour_part(i: int) -> str:
    return _NEIGHBOURS[i] if i < len(_NEIGHBOURS) else f"neighbours[{i}]"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1


# Country and network codes are few: their numbers are kept.
_CODES: dict[str, int] = {"": -1}


def code_of(text: str) -> int:
    """A country or network code as a number, -1 for none.

    >>> code_of("001"), code_of("")
    (1, -1)
    """
    known = _CODES.get(text)
    if known is None:
        known = _number(text)
        if len(_CODES) < 4096:
            _CODES[text] = known
    return known


@dataclass(slots=True)
class TableBuilder:
    """A table being filled, piece by piece."""

    started: array[float] = field(default_factory=lambda: array("d"))
    names: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    slots: array[float] = field(default_factory=lambda: array("d"))
    reports: array[float] = field(default_factory=lambda: array("d"))
    cells: array[float] = field(default_factory=lambda: array("d"))
    corners: array[float] = field(default_factory=lambda: array("d"))
    lookups: list[LineAsked] = field(default_factory=list)
    heights: list[Height] = field(default_factory=list)
    warnings: list[tuple[int, Warning]] = field(default_factory=list)

    def table(self) -> EvidenceTable:
        """The table as it stands."""
        return EvidenceTable(
            np.array(self.started),
            self.names,
            self.parts,
            np.array(self.slots).reshape(-1, len(SLOT_COLUMNS)),
            np.array(self.reports).reshape(-1, len(REPORT_COLUMNS)),
            np.array(self.cells).reshape(-1, len(CELL_COLUMNS)),
            np.array(self.corners).reshape(-1, 2),
            self.lookups,
            self.heights,
            self.warnings,
        )

    def slot(self, call: int, kind: int, name: str, part: str, observed_at: float, reason: int = 0) -> int:
        """Adds a slot; its number."""
        number = len(self.names)
        self.names.append(name)
        self.parts.append(part)
        # The first slot of a piece is the one that speaks of the piece's age.
        self.slots.extend((call, kind, observed_at, reason, not part or part == SERVING))
        return number

    def report(self, call: int, name: str, observed_at: float, report: DeviceReport) -> None:
        """Adds a device's report."""
        shape = report.shape
        raw_left = shape is None and report.raw is not None
        slot = self.slot(call, _DEVICE, name, "", observed_at, _INVALID if raw_left else 0)
        confidence = report.confidence or NAN
        if type(shape) is Circle:
            c = shape.center
            row: tuple[float, ...] = (
                FORM_ELLIPSE,
                c.latitude_deg,
                c.longitude_deg,
                shape.radius_m,
                shape.radius_m,
                0.0,
                0.0,
            )
        elif shape is None:
            if raw_left:
                return
            row = (FORM_NONE, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        else:
            row = self._form(shape)
        self.reports.extend((slot, *row, confidence, report.method, report.platform))
        if report.altitude_m is not None or isinstance(shape, Sphere | Ellipsoid | Prism):
            self._height(slot, report, shape, report.confidence or UNSTATED_CONFIDENCE)

    def _form(self, shape: Shape) -> tuple[float, ...]:
        if isinstance(shape, Polygon | Prism):
            polygon = shape.base if isinstance(shape, Prism) else shape
            center = middle(polygon)
            if center is None:
                return (FORM_NONE, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
            corners = corners_m(polygon, center)
            first = len(self.corners) // 2
            for corner in corners:
                self.corners.extend(corner)
            reach = max(math.hypot(e, n) for e, n in corners)
            return (FORM_POLYGON, center.latitude_deg, center.longitude_deg, reach, first, len(corners), 0.0)
        lat, lng = shape.center.latitude_deg, shape.center.longitude_deg
        if isinstance(shape, Circle | Sphere):
            return (FORM_ELLIPSE, lat, lng, shape.radius_m, shape.radius_m, 0.0, 0.0)
        if isinstance(shape, Ellipse | Ellipsoid):
            return (FORM_ELLIPSE, lat, lng, shape.semi_major_m, shape.semi_minor_m, shape.orientation_deg, 0.0)
        if isinstance(shape, ArcBand):
            opening = (shape.start_angle_deg, shape.opening_angle_deg)
            return (FORM_BAND, lat, lng, shape.inner_radius_m, shape.outer_radius_m, *opening)
        return (FORM_POINT, lat, lng, 0.0, 0.0, 0.0, 0.0)

    def _height(self, slot: int, report: DeviceReport, shape: Shape | None, confidence: float) -> None:
        if report.altitude_m is not None:
            half = report.vertical_uncertainty_m or 0.0
            sigma = half / sigmas_of_height(confidence) if half > 0 else None
            self.heights.append(Height(slot, report.altitude_m, sigma, report.floor))
        elif isinstance(shape, Sphere):
            sigma = shape.radius_m / sigmas_of_height(confidence) or None
            self.heights.append(Height(slot, shape.altitude_m, sigma, report.floor))
        elif isinstance(shape, Ellipsoid):
            sigma = shape.vertical_m / sigmas_of_height(confidence) or None
            self.heights.append(Height(slot, shape.altitude_m, sigma, report.floor))
        elif isinstance(shape, Prism):
            # Uniform between base and top: sigma is the height over the root of 12.
            sigma = shape.height_m / math.sqrt(12.0) or None
            self.heights.append(Height(slot, shape.base_altitude_m + shape.height_m / 2, sigma, report.floor))

    def scan(self, call: int, name: str, observed_at: float, scan: CellScan) -> None:
        """Adds the cells of a scan."""
        serving = -1
        if scan.serving is not None:
            serving = len(self.cells) // len(CELL_COLUMNS)
            self._cell(self.slot(call, _CELL, name, SERVING, observed_at), 0.0, -1, scan.serving)
        for i, neighbour in enumerate(scan.neighbours):
            slot = self.slot(call, _CELL, name, _neighbour_part(i), observed_at)
            if i == 0 and serving < 0:
                self.slots[-1] = 1.0
            self._cell(slot, 1.0, serving, neighbour)
        if scan.serving is None and not scan.neighbours:
            self.slot(call, _CELL, name, "", observed_at, _NO_POSITION)
            what = "the scan lists no cell; send at least the serving one"
            self.warnings.append((call, Warning(WarningCode.UNUSABLE_EVIDENCE, what, name, "cell_scan")))

    def _cell(self, slot: int, neighbour: float, serving: int, m: CellMeasurement) -> None:
        self.cells.extend(
            (
                slot,
                neighbour,
                serving,
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
        )

    def call(self, number: int, call: Call) -> None:
        """Adds a call; `number` counts the table's calls."""
        self.started.append(NAN if call.started_at is None else call.started_at)
        asked_line = False
        for j, evidence in enumerate(call.evidence):
            content = evidence.content
            name = evidence.evidence_id or f"evidence-{j + 1}"
            observed_at = NAN if evidence.observed_at is None else evidence.observed_at
            if isinstance(content, CellScan):
                self.scan(number, name, observed_at, content)
            elif isinstance(content, DeviceReport):
                self.report(number, name, observed_at, content)
            elif isinstance(content, LineLookup):
                asked_line = True
                slot = self.slot(number, _LINE, name, "", observed_at)
                asked = content.number or call.calling_number
                self.lookups.append(LineAsked(slot, number, asked, content.record, implied=False))
            else:
                self.slot(number, 0, name, "", observed_at, _INVALID)
                what = "the piece of evidence is empty; set cell_scan, device_report or line_lookup"
                self.warnings.append((number, Warning(WarningCode.UNUSABLE_EVIDENCE, what, name)))
        if call.calling_number and not asked_line:
            slot = self.slot(number, _LINE, IMPLIED, "", NAN)
            self.lookups.append(LineAsked(slot, number, call.calling_number, None, implied=True))


def read_calls(calls: Sequence[Call]) -> EvidenceTable:
    """The evidence of the calls as a table."""
    builder = TableBuilder()
    for number, call in enumerate(calls):
        builder.call(number, call)
    return builder.table()


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
