"""Range checks of calls, as the contract states the ranges; what is odd but allowed is left to the resolver.

A face runs them where a call comes in, so that a wrong number is named by its field and never reaches the core.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence

from locsvc import model
from locsvc.errors import FieldViolation
from locsvc.formats import ranges
from locsvc.formats.messages import FORMATS

# The names that the formats of the field take from here.
MAX_EVIDENCE = ranges.MAX_EVIDENCE
MAX_NEIGHBOURS = ranges.MAX_NEIGHBOURS
MAX_VERTICES = ranges.MAX_VERTICES
MAX_NAME, MAX_DIALLED, MAX_TEXT = ranges.MAX_NAME, ranges.MAX_DIALLED, ranges.MAX_TEXT
MAX_RADIUS_M = ranges.MAX_LENGTH_M

# ITU-T E.164: a country code that does not begin with 0, 15 digits in all.
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")

_Violations = Iterator[FieldViolation]


def call_violations(call: model.Call) -> list[FieldViolation]:
    """Every field of the call that is out of its range, with its path from the call.

    >>> bad = model.DeviceReport(model.Circle(model.LatLng(91.0, 0.0), 30.0))
    >>> call_violations(model.Call(evidence=(model.Evidence(bad),)))[0].field
    'evidence[0].device_report.shape.circle.center.latitude_deg'
    """
    return list(_call(call))


def evidence_violations(piece: model.Evidence) -> list[FieldViolation]:
    """Every field of one piece that is out of its range, with its path from the piece.

    >>> evidence_violations(model.Evidence(model.DeviceReport(confidence=68.0)))[0].field
    'device_report.confidence'
    """
    return list(_evidence("", piece))


def _call(call: model.Call) -> _Violations:
    yield from _text("call_id", call.call_id)
    yield from _number("calling_number", call.calling_number)
    yield from _time("started_at", call.started_at)
    if len(call.evidence) > MAX_EVIDENCE:
        yield FieldViolation("evidence", f"{len(call.evidence)} pieces; send at most {MAX_EVIDENCE}")
    seen: dict[str, int] = {}
    for place, piece in enumerate(call.evidence[:MAX_EVIDENCE]):
        yield from _evidence(f"evidence[{place}].", piece)
        if piece.evidence_id and piece.evidence_id in seen:
            first = seen[piece.evidence_id]
            yield FieldViolation(f"evidence[{place}].evidence_id", f"is that of evidence[{first}] too: make it unique")
        seen.setdefault(piece.evidence_id, place)


def _number(path: str, text: str) -> _Violations:
    if text and not _E164.fullmatch(text):
        yield FieldViolation(path, "is not a number in E.164: write it as +442079460123; leave it out when withheld")


def _evidence(path: str, piece: model.Evidence) -> _Violations:
    yield from _text(f"{path}evidence_id", piece.evidence_id)
    yield from _text(f"{path}provider", piece.provider)
    yield from _time(f"{path}observed_at", piece.observed_at)
    content = piece.content
    if isinstance(content, model.CellScan):
        yield from _scan(f"{path}cell_scan", content)
    elif isinstance(content, model.DeviceReport):
        yield from _report(f"{path}device_report", content)
    elif isinstance(content, model.LineLookup):
        yield from _line(f"{path}line_lookup", content)


def _scan(path: str, scan: model.CellScan) -> _Violations:
    if scan.serving is not None:
        yield from _cell(f"{path}.serving", scan.serving)
    if len(scan.neighbours) > MAX_NEIGHBOURS:
        yield FieldViolation(f"{path}.neighbours", f"{len(scan.neighbours)} cells; send at most {MAX_NEIGHBOURS}")
    for place, cell in enumerate(scan.neighbours[:MAX_NEIGHBOURS]):
        yield from _cell(f"{path}.neighbours[{place}]", cell)


def _cell(path: str, cell: model.CellMeasurement) -> _Violations:
    radio = cell.radio
    yield from _code(f"{path}.mcc", cell.mcc, (3,), "3 digits")
    yield from _code(f"{path}.mnc", cell.mnc, (2, 3), "2 or 3 digits, leading zeros kept")
    yield from _within(f"{path}.area", cell.area, 0, ranges.MAX_AREA[radio])
    yield from _within(f"{path}.cell", cell.cell, 0, ranges.MAX_CELL[radio])
    yield from _within(f"{path}.pci", cell.pci, 0, ranges.MAX_PCI[radio])
    yield from _within(f"{path}.arfcn", cell.arfcn, 0, ranges.MAX_ARFCN)
    yield from _within(f"{path}.signal_dbm", cell.signal_dbm, ranges.MIN_SIGNAL_DBM, ranges.MAX_SIGNAL_DBM)
    yield from _within(f"{path}.quality_db", cell.quality_db, ranges.MIN_QUALITY_DB, ranges.MAX_QUALITY_DB)
    yield from _within(f"{path}.timing_advance", cell.timing_advance, 0, ranges.MAX_TIMING_ADVANCE[radio])


def _report(path: str, report: model.DeviceReport) -> _Violations:
    yield from _fraction(f"{path}.confidence", report.confidence)
    yield from _altitude(f"{path}.altitude_m", report.altitude_m)
    yield from _within(f"{path}.vertical_uncertainty_m", report.vertical_uncertainty_m, 0, MAX_RADIUS_M)
    yield from _text(f"{path}.floor", report.floor)
    if report.raw is not None:
        yield from _raw(f"{path}.raw", report.raw)
    if report.shape is not None:
        yield from _shape(f"{path}.shape", report.shape)


def _raw(path: str, raw: model.RawMessage) -> _Violations:
    if raw.format not in FORMATS:
        yield FieldViolation(f"{path}.format", f"{raw.format[:40]!r} is none of {', '.join(FORMATS)}")
    if not 0 < len(raw.bytes) <= ranges.MAX_RAW_BYTES:
        yield FieldViolation(f"{path}.bytes", f"has {len(raw.bytes):,} bytes; send 1 to {ranges.MAX_RAW_BYTES:,}")


def _shape(path: str, shape: model.Shape) -> _Violations:
    match shape:
        case model.Point(center):
            yield from _place(f"{path}.point.center", center)
        case model.Circle(center, radius_m):
            yield from _place(f"{path}.circle.center", center)
            yield from _within(f"{path}.circle.radius_m", radius_m, 0, MAX_RADIUS_M)
        case model.Ellipse():
            yield from _ellipse(f"{path}.ellipse", shape)
        case model.ArcBand():
            yield from _arc_band(f"{path}.arc_band", shape)
        case model.Polygon(vertices):
            yield from _vertices(f"{path}.polygon.vertices", vertices)
        case model.Sphere(center, altitude_m, radius_m):
            yield from _place(f"{path}.sphere.center", center)
            yield from _altitude(f"{path}.sphere.altitude_m", altitude_m)
            yield from _within(f"{path}.sphere.radius_m", radius_m, 0, MAX_RADIUS_M)
        case model.Ellipsoid():
            yield from _ellipse(f"{path}.ellipsoid", shape)
            yield from _altitude(f"{path}.ellipsoid.altitude_m", shape.altitude_m)
            yield from _within(f"{path}.ellipsoid.vertical_m", shape.vertical_m, 0, MAX_RADIUS_M)
        case model.Prism(base, base_altitude_m, height_m):
            yield from _vertices(f"{path}.prism.base.vertices", base.vertices)
            yield from _altitude(f"{path}.prism.base_altitude_m", base_altitude_m)
            yield from _within(f"{path}.prism.height_m", height_m, 0, MAX_RADIUS_M)


def _ellipse(path: str, shape: model.Ellipse | model.Ellipsoid) -> _Violations:
    yield from _place(f"{path}.center", shape.center)
    yield from _within(f"{path}.semi_major_m", shape.semi_major_m, 0, MAX_RADIUS_M)
    yield from _within(f"{path}.semi_minor_m", shape.semi_minor_m, 0, MAX_RADIUS_M)
    if shape.semi_minor_m > shape.semi_major_m > 0:
        yield FieldViolation(
            f"{path}.semi_minor_m", "is longer than semi_major_m: exchange them, turn orientation by 90"
        )
    yield from _direction(f"{path}.orientation_deg", shape.orientation_deg)


def _arc_band(path: str, band: model.ArcBand) -> _Violations:
    yield from _place(f"{path}.center", band.center)
    yield from _within(f"{path}.inner_radius_m", band.inner_radius_m, 0, MAX_RADIUS_M)
    yield from _within(f"{path}.outer_radius_m", band.outer_radius_m, 0, MAX_RADIUS_M)
    yield from _direction(f"{path}.start_angle_deg", band.start_angle_deg)
    yield from _within(f"{path}.opening_angle_deg", band.opening_angle_deg, 0, 360)
    if not band.inner_radius_m and not band.outer_radius_m:
        return  # unknown
    if band.outer_radius_m <= band.inner_radius_m:
        yield FieldViolation(f"{path}.outer_radius_m", "must be greater than inner_radius_m; both 0 mean unknown")
    if band.opening_angle_deg == 0:
        yield FieldViolation(f"{path}.opening_angle_deg", "must be above 0; 360 is a whole ring")


def _vertices(path: str, vertices: Sequence[model.LatLng]) -> _Violations:
    # No corners at all mean "unknown"; the first repeated at the end is none.
    corners = len(vertices) - (len(vertices) > 1 and vertices[0] == vertices[-1])
    if vertices and not ranges.MIN_VERTICES <= corners <= MAX_VERTICES:
        yield FieldViolation(path, f"{corners} corners; give {ranges.MIN_VERTICES} to {MAX_VERTICES}")
    for place, corner in enumerate(vertices[:MAX_VERTICES]):
        yield from _place(f"{path}[{place}]", corner)


def _line(path: str, line: model.LineLookup) -> _Violations:
    yield from _text(f"{path}.number", line.number, MAX_DIALLED)
    record = line.record
    if record is None:
        return
    yield from _number(f"{path}.record.number", record.number)
    if record.address is not None:
        yield from _address(f"{path}.record.address", record.address)
    if record.position is not None:
        yield from _place(f"{path}.record.position", record.position)
    yield from _text(f"{path}.record.provider", record.provider)
    yield from _within(f"{path}.record.uncertainty_m", record.uncertainty_m, 0, MAX_RADIUS_M)
    yield from _fraction(f"{path}.record.confidence", record.confidence)
    yield from _time(f"{path}.record.updated_at", record.updated_at)


def _address(path: str, address: model.CivicAddress) -> _Violations:
    for part in dataclasses.fields(address):
        yield from _text(f"{path}.{part.name}", getattr(address, part.name), MAX_TEXT)
    if address.country and not re.fullmatch("[A-Z]{2}", address.country):
        yield FieldViolation(f"{path}.country", "is not an ISO 3166-1 alpha-2 code in upper case, such as IE")


def _place(path: str, place: model.LatLng) -> _Violations:
    yield from _within(f"{path}.latitude_deg", place.latitude_deg, -90, 90)
    yield from _within(f"{path}.longitude_deg", place.longitude_deg, -180, 180)


def _altitude(path: str, altitude_m: float | None) -> _Violations:
    return _within(path, altitude_m, ranges.MIN_ALTITUDE_M, ranges.MAX_ALTITUDE_M)


def _within(path: str, value: float | None, least: float, greatest: float) -> _Violations:
    # Written so that NaN fails.
    if value is not None and not least <= value <= greatest:
        yield FieldViolation(path, f"{value} is outside {least:g} to {greatest:.15g}")


def _direction(path: str, angle_deg: float) -> _Violations:
    if not 0 <= angle_deg < 360:
        yield FieldViolation(path, f"{angle_deg} is not a direction: degrees clockwise from north, 0 to below 360")


def _fraction(path: str, value: float | None) -> _Violations:
    if value is not None and not 0 < value < 1:
        hint = f"; write {value / 100:g} for {value:g} %" if 1 < value < 100 else ""
        yield FieldViolation(path, f"{value} is not a probability above 0 and below 1{hint}")


def _text(path: str, text: str, most: int = MAX_NAME) -> _Violations:
    if len(text) > most:
        yield FieldViolation(path, f"has {len(text)} characters; send at most {most}")


def _code(path: str, text: str, lengths: tuple[int, ...], want: str) -> _Violations:
    if text and not (len(text) in lengths and text.isascii() and text.isdigit()):
        yield FieldViolation(path, f"{text[:20]!r} is not {want}")


def _time(path: str, time_s: float | None) -> _Violations:
    if time_s is not None and not ranges.MIN_SECONDS <= time_s < ranges.MAX_SECONDS + 1:
        yield FieldViolation(path, "is not a time of the years 1 to 9999")


def confidence_violations(path: str, confidence: float) -> list[FieldViolation]:
    """Why an asked confidence is out of its range, or nothing.

    >>> [v.description for v in confidence_violations("confidence", 90.0)]
    ['90.0 is outside 0.5 to 0.999; write 0.9 for 90 %']
    """
    if ranges.MIN_CONFIDENCE <= confidence <= ranges.MAX_CONFIDENCE:
        return []
    hint = f"; write {confidence / 100:g} for {confidence:g} %" if 1 < confidence < 100 else ""
    return [FieldViolation(path, f"{confidence} is outside {ranges.MIN_CONFIDENCE} to {ranges.MAX_CONFIDENCE}{hint}")]
