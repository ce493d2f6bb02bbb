"""Calls of the contract straight into the resolver's table: no object of the model stands between.

What calls hold as a rule is read here: scans, reports of a point, a circle or an ellipse, look-ups by number, every
value compared with its range. All else goes through the readers of `calls`, which make objects of the model: other
pieces by themselves, and the whole call when a value is out of its range or a message of the field is among the pieces.
So what is wrong is worded in one place, and the tests compare the two ways bit by bit.
"""

from __future__ import annotations

import functools
import math
from operator import attrgetter
from typing import TYPE_CHECKING

from locsvc import model
from locsvc.errors import InvalidInput
from locsvc.formats import ranges
from locsvc.resolver.filling import NEIGHBOURS, Form, Piece, TableBuilder, code_of
from locsvc.resolver.raw import opened
from locsvc.resolver.table import FORM_ELLIPSE, FORM_POINT, SERVING
from locsvc.rpc.convert.calls import (
    is_country_code,
    is_network_code,
    read_call,
    read_evidence,
    read_name,
    read_number,
    read_time,
)
from locsvc.rpc.convert.shapes import check_half_axes, check_length, read_degrees
from locsvc.rpc.convert.violations import Violations, put_under
from locsvc.v1 import call_pb2, geometry_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

NAN = math.nan

# Methods of the classes: asking an object for one first looks for a field of its name.
_call_has = call_pb2.Call.HasField
_piece_has = call_pb2.Evidence.HasField
_piece_kind = call_pb2.Evidence.WhichOneof
_scan_has = call_pb2.CellScan.HasField
_cell_has = call_pb2.CellMeasurement.HasField
_report_has = call_pb2.DeviceReport.HasField
_lookup_has = call_pb2.LineLookup.HasField
_shape_kind = geometry_pb2.Shape.WhichOneof

# One call for all fields costs half of one for each.
_CellFields = tuple[int, str, str, int, int, int, int, int, float, float]
_cell_fields: Callable[[call_pb2.CellMeasurement], _CellFields] = attrgetter(
    "radio", "mcc", "mnc", "area", "cell", "pci", "arfcn", "timing_advance", "signal_dbm", "quality_db"
)
# By radio: the greatest area, cell, physical identity and timing advance.
_MOST = dict(
    zip(
        map(int, model.Radio),
        zip(ranges.MAX_AREA, ranges.MAX_CELL, ranges.MAX_PCI, ranges.MAX_TIMING_ADVANCE, strict=True),
        strict=True,
    )
)
# For a radio that is none: nothing is within it.
_NOTHING = (-1, -1, -1, -1)
_MAX_NAME, _MAX_ARFCN = ranges.MAX_NAME, ranges.MAX_ARFCN
_MIN_SIGNAL_DBM, _MAX_SIGNAL_DBM = ranges.MIN_SIGNAL_DBM, ranges.MAX_SIGNAL_DBM
_MIN_QUALITY_DB, _MAX_QUALITY_DB = ranges.MIN_QUALITY_DB, ranges.MAX_QUALITY_DB
_METHODS, _PLATFORMS = len(model.PositioningMethod), len(model.Platform)


class _ByModel(Exception):  # noqa: N818 - no error: the other way is taken
    """The call is one for the readers of `calls`."""


def put_call(message: call_pb2.Call, table: TableBuilder, prefix: str = "") -> None:
    """Adds a call to a table.

    Raises
    ------
    InvalidInput
        With the path of every wrong field, behind `prefix`; the table is then as it was.
    """
    mark = table.mark()
    try:
        _put(message, table)
    except _ByModel:
        table.back_to(mark)
        out: Violations = []
        call = read_call(message, out)
        if out:
            put_under(out, 0, prefix)
            raise InvalidInput(out) from None
        table.call(*opened(call))


def _put(message: call_pb2.Call, table: TableBuilder) -> None:
    """Adds a call; raises `_ByModel`, with a part of it in the table, when it is one for the other way."""
    out: Violations = []
    read_name(message.call_id, out, "")
    calling_number = read_number(message.calling_number, out, "")
    call = table.open(read_time(message.started_at, out, "") if _call_has(message, "started_at") else NAN)
    evidence = message.evidence
    if len(evidence) > ranges.MAX_EVIDENCE:
        raise _ByModel
    asked_line = False
    names: set[str] = set()
    for j, said in enumerate(evidence, 1):
        name = said.evidence_id
        if name in names or len(name) > _MAX_NAME or len(said.provider) > _MAX_NAME:
            raise _ByModel
        if name:
            names.add(name)
        observed_at = read_time(said.observed_at, out, "") if _piece_has(said, "observed_at") else NAN
        piece = (call, name or f"evidence-{j}", observed_at)
        kind = _piece_kind(said, "kind")
        if kind == "cell_scan":
            _put_scan(said.cell_scan, table, piece)
        elif kind == "device_report":
            if not _put_report(said.device_report, table, piece, out):
                table.piece(piece, _content(said, out), calling_number)
        elif kind == "line_lookup":
            asked_line = True
            if not _put_lookup(said.line_lookup, table, piece, calling_number):
                table.piece(piece, _content(said, out), calling_number)
        else:
            table.piece(piece, None, calling_number)
    if not asked_line:
        table.close(call, calling_number)
    if out:
        raise _ByModel


def _content(message: call_pb2.Evidence, out: Violations) -> model.EvidenceContent | None:
    """What an unusual piece says; of a message of the field that is known with the whole call only."""
    if message.device_report.HasField("raw"):
        raise _ByModel
    content = read_evidence(message, out, "").content
    if out:  # the table takes nothing that is out of its range
        raise _ByModel
    return content


def _put_scan(scan: call_pb2.CellScan, table: TableBuilder, piece: Piece) -> None:
    """Adds a scan, cell by cell."""
    neighbours = scan.neighbours
    if len(neighbours) > ranges.MAX_NEIGHBOURS:
        raise _ByModel
    serving = -1
    if _scan_has(scan, "serving"):
        serving = _put_cell(scan.serving, table, piece, SERVING, -1)
    elif not neighbours:
        table.no_cell(piece)
    for part, neighbour in zip(NEIGHBOURS, neighbours, strict=False):
        _put_cell(neighbour, table, piece, part, serving)


def _put_cell(message: call_pb2.CellMeasurement, table: TableBuilder, piece: Piece, part: str, serving: int) -> int:
    """Adds a cell; its row in the table."""
    radio, mcc, mnc, area, cell, pci, arfcn, timing_advance, signal_dbm, quality_db = _cell_fields(message)
    most_area, most_cell, most_pci, most_timing_advance = _MOST.get(radio, _NOTHING)
    # Fields that are absent read as 0, which is in every range; NaN is in none.
    if (
        area > most_area
        or cell > most_cell
        or pci > most_pci
        or arfcn > _MAX_ARFCN
        or timing_advance > most_timing_advance
        or not _MIN_SIGNAL_DBM <= signal_dbm <= _MAX_SIGNAL_DBM
        or not _MIN_QUALITY_DB <= quality_db <= _MAX_QUALITY_DB
    ):
        raise _ByModel
    # A value that is not 0 is present; only a 0 has to be asked whether it was sent.
    measured = (
        radio,
        _country(mcc),
        _network(mnc),
        area if area or _cell_has(message, "area") else -1.0,
        cell if cell or _cell_has(message, "cell") else -1.0,
        pci if pci or _cell_has(message, "pci") else -1.0,
        arfcn if arfcn or _cell_has(message, "arfcn") else -1.0,
        timing_advance if timing_advance or _cell_has(message, "timing_advance") else NAN,
        signal_dbm if signal_dbm or _cell_has(message, "signal_dbm") else NAN,
        quality_db if quality_db or _cell_has(message, "quality_db") else NAN,
    )
    return table.cell(piece, part, serving, measured)


# Codes are few: what a text means is kept.
@functools.lru_cache(4096)
def _country(text: str) -> int:
    """The number of a country code, -1 for none."""
    if text and not is_country_code(text):
        raise _ByModel
    return code_of(text)


@functools.lru_cache(4096)
def _network(text: str) -> int:
    """The number of a network code, -1 for none."""
    if text and not is_network_code(text):
        raise _ByModel
    return code_of(text)


def _put_lookup(lookup: call_pb2.LineLookup, table: TableBuilder, piece: Piece, calling_number: str) -> bool:
    """Whether the look-up is in the table now: it is not when it holds more than a number."""
    number = lookup.number
    if len(number) > ranges.MAX_DIALLED or _lookup_has(lookup, "record"):
        return False
    table.line(piece, number or calling_number)
    return True


def _put_report(report: call_pb2.DeviceReport, table: TableBuilder, piece: Piece, out: Violations) -> bool:
    """Whether the report is in the table now: it is not when it holds something unusual."""
    form = _form(report.shape, out)
    method, platform = report.method, report.platform
    if form is None or not 0 <= method < _METHODS or not 0 <= platform < _PLATFORMS or report.floor:
        return False
    if _report_has(report, "altitude_m") or _report_has(report, "vertical_uncertainty_m") or _report_has(report, "raw"):
        return False
    confidence = report.confidence
    if not 0.0 < confidence < 1.0:
        if _report_has(report, "confidence"):
            return False
        confidence = NAN
    table.report(piece, form, confidence, method, platform)
    return True


def _form(shape: geometry_pb2.Shape, out: Violations) -> Form | None:
    """The columns of a point, a circle or an ellipse, None for other shapes."""
    kind = _shape_kind(shape, "kind")
    if kind == "circle":
        circle = shape.circle
        lat, lng = read_degrees(circle.center, out)
        radius_m = circle.radius_m
        check_length(radius_m, "radius_m", out)
        return (FORM_ELLIPSE, lat, lng, radius_m, radius_m, 0.0, 0.0)
    if kind == "ellipse":
        ellipse = shape.ellipse
        lat, lng = read_degrees(ellipse.center, out)
        major_m, minor_m, orientation_deg = ellipse.semi_major_m, ellipse.semi_minor_m, ellipse.orientation_deg
        check_half_axes(major_m, minor_m, orientation_deg, out)
        return (FORM_ELLIPSE, lat, lng, major_m, minor_m, orientation_deg, 0.0)
    if kind == "point":
        lat, lng = read_degrees(shape.point.center, out)
        return (FORM_POINT, lat, lng, 0.0, 0.0, 0.0, 0.0)
    return None
