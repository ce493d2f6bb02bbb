"""What a message says, for a person, as JSON, and as a drawing."""

from __future__ import annotations

from locsvc import model
from locsvc.cli import output, words
from locsvc.formats.proto_json import Json, to_json
from locsvc.formats.reading import Reading
from locsvc.formats.spelling import enum_word, timestamp_text

# What a shape without a stated confidence is counted with (RFC 7459 section 3.3).
UNSTATED_CONFIDENCE = 0.95


def reading_to_json(name: str, reading: Reading) -> Json:
    """The reading in JSON: evidence in the contract's mapping, absent fields left out.

    >>> reading_to_json("gad", Reading(no_location="the shape is empty"))
    {'format': 'gad', 'evidence': [], 'warnings': [], 'no_location': 'the shape is empty'}
    """
    written: Json = {
        "format": name,
        "evidence": [to_json(piece) for piece in reading.evidence],
        "warnings": [{"field": w.field, "value": w.value, "reason": w.reason} for w in reading.warnings],
    }
    if reading.no_location:
        written["no_location"] = reading.no_location
    if reading.calling_number:
        written["calling_number"] = reading.calling_number
    if reading.started_at is not None:
        written["started_at"] = timestamp_text(reading.started_at)
    if reading.details:
        written["details"] = dict(reading.details)
    return written


def show_reading(name: str, reading: Reading) -> None:
    """Write the reading to stdout: what it is, then evidence, warnings, details."""
    head = [("format", name)]
    if reading.no_location:
        head.append(("no location", reading.no_location))
    if reading.calling_number:
        head.append(("calling number", reading.calling_number))
    if reading.started_at is not None:
        head.append(("started", words.time_text(reading.started_at)))
    parts: list[object] = [output.facts(head)]
    if reading.evidence:
        columns = ("evidence", "kind", "what it says", "confidence", "method", "observed")
        parts += ["", output.table(columns, [_row(piece, place) for place, piece in enumerate(reading.evidence, 1)])]
    if reading.warnings:
        parts += [
            "",
            output.table(("warning", "value", "why"), [(w.field, w.value, w.reason) for w in reading.warnings]),
        ]
    if reading.details:
        parts += ["", output.table(("detail", "value"), list(reading.details.items()))]
    output.show(*parts)


def _row(piece: model.Evidence, place: int) -> tuple[str, ...]:
    content = piece.content
    confidence = method = "-"
    if isinstance(content, model.DeviceReport):
        confidence = "-" if content.confidence is None else words.confidence_text(content.confidence)
        method = enum_word(content.method)
    name = piece.evidence_id or str(place)
    return name, _kind(content), content_text(content), confidence, method, words.time_text(piece.observed_at)


def _kind(content: model.EvidenceContent | None) -> str:
    kinds = {model.DeviceReport: "device report", model.CellScan: "cell scan", model.LineLookup: "line"}
    return "nothing" if content is None else kinds[type(content)]


def content_text(content: model.EvidenceContent | None) -> str:
    """What a piece of evidence says, in words.

    >>> content_text(model.DeviceReport(model.Circle(model.LatLng(53.0, -6.0), 50.0), altitude_m=12.0, floor="2"))
    'circle of 50 m round 53.00000, -6.00000; 12 m high; floor 2'
    """
    match content:
        case model.DeviceReport(shape=shape):
            parts = ["no shape" if shape is None else shape_text(shape)]
            if content.altitude_m is not None:
                half_m = content.vertical_uncertainty_m
                parts.append(f"{content.altitude_m:.0f} m" + (f" ± {half_m:.0f} m high" if half_m else " high"))
            parts += [f"floor {content.floor}"] if content.floor else []
            return "; ".join(parts)
        case model.CellScan(serving=serving, neighbours=neighbours):
            parts = ["serving " + cell_text(serving)] if serving is not None else []
            return "; ".join(parts + [f"neighbour {cell_text(cell)}" for cell in neighbours])
        case model.LineLookup(number=number, record=record):
            return f"look up {number}" if record is None else _record_text(record)
        case _:
            return "nothing"


def _record_text(record: model.LineRecord) -> str:
    parts = [record.number, enum_word(record.class_of_service)]
    if record.address is not None:
        parts.append(record.address.line())
    if record.position is not None:
        spread = f" ± {words.distance_text(record.uncertainty_m)}" if record.uncertainty_m else ""
        confidence = f" at {words.confidence_text(record.confidence)}" if record.confidence else ""
        parts.append(words.place_text(record.position) + spread + confidence)
    return "; ".join(part for part in parts if part)


def cell_text(cell: model.CellMeasurement) -> str:
    """A cell's technology and identity, then what was measured.

    >>> cell_text(model.CellMeasurement(model.Radio.LTE, "001", "01", 4097, 411, pci=7))
    'LTE 001-01 area 4097 cell 411 pci 7'
    """
    measured = {
        "area": cell.area,
        "cell": cell.cell,
        "pci": cell.pci,
        "arfcn": cell.arfcn,
        "dBm": cell.signal_dbm,
        "dB": cell.quality_db,
        "timing advance": cell.timing_advance,
    }
    network = f" {cell.mcc}-{cell.mnc}" if cell.mcc or cell.mnc else ""
    radio = "cell" if cell.radio is model.Radio.UNSPECIFIED else cell.radio.name
    return (
        radio
        + network
        + "".join(
            f" {name} {value:g}" if isinstance(value, float) else f" {name} {value}"
            for name, value in measured.items()
            if value is not None
        )
    )


def shape_text(shape: model.Shape) -> str:
    """A shape in words; 0 and absent sizes are "of unknown size".

    >>> shape_text(model.ArcBand(model.LatLng(53.0, -6.0), 500.0, 1000.0, 350.0, 120.0))
    'arc band 500 m to 1.00 km, from 350 over 120 degrees, round 53.00000, -6.00000'
    """
    far = words.distance_text
    match shape:
        case model.Point(center):
            return f"point {words.place_text(center)}, of unknown size"
        case model.Circle(center, radius_m) | model.Sphere(center, radius_m=radius_m):
            high = f" at {shape.altitude_m:.0f} m" if isinstance(shape, model.Sphere) else ""
            return f"{'sphere' if high else 'circle'} of {_size(radius_m)} round {words.place_text(center)}{high}"
        case model.Ellipse() | model.Ellipsoid():
            kind = "ellipse" if isinstance(shape, model.Ellipse) else "ellipsoid"
            sizes = f"{_size(shape.semi_major_m)} by {_size(shape.semi_minor_m)} at {shape.orientation_deg:.0f} degrees"
            high = "" if isinstance(shape, model.Ellipse) else f" at {shape.altitude_m:.0f} ± {far(shape.vertical_m)}"
            return f"{kind} of {sizes} round {words.place_text(shape.center)}{high}"
        case model.ArcBand():
            edges = f"from {shape.start_angle_deg:.0f} over {shape.opening_angle_deg:.0f} degrees"
            ring = f"{far(shape.inner_radius_m)} to {far(shape.outer_radius_m)}"
            return f"arc band {ring}, {edges}, round {words.place_text(shape.center)}"
        case model.Polygon(vertices):
            return f"polygon of {len(vertices)} corners" + (
                f", first {words.place_text(vertices[0])}" if vertices else ""
            )
        case model.Prism(base, base_altitude_m, height_m):
            return f"prism on a {shape_text(base)}, {base_altitude_m:.0f} m, {height_m:.0f} m high"


def _size(length_m: float) -> str:
    return words.distance_text(length_m) if length_m > 0 else "unknown size"


def drawn(name: str, reading: Reading) -> str | None:
    """A page with the shapes of the reading as they are stated; None when nothing in it is a place."""
    from locsvc.cli.map import MappedCall, map_page
    from locsvc.formats.geojson import outline_of

    outlines, contributions, places = [], [], []
    for place, piece in enumerate(reading.evidence, 1):
        content = piece.content
        shape, confidence = _placed(content)
        part = piece.evidence_id or str(place)
        contributions.append(_contribution(part, content, confidence))
        if shape is not None:
            rings = outline_of(shape)
            outlines.append(model.Outline(part, "", rings))
            places.append((_middle(shape), shape, confidence))
    if not places:
        return None
    center, shape, confidence = places[0]
    estimate = model.LocationEstimate(
        model.Outcome.LOCATED,
        "",
        confidence,
        position=center,
        radius_m=shape.radius_m if isinstance(shape, model.Circle | model.Sphere) and shape.radius_m > 0 else None,
        contributions=tuple(contributions),
        warnings=tuple(model.Warning(model.WarningCode.PARTLY_READ, str(w)) for w in reading.warnings),
        estimated_at=reading.evidence[0].observed_at,
    )
    return map_page([MappedCall(estimate, model.Trace(outlines=tuple(outlines)), heading=f"{name} message")])


def _placed(content: model.EvidenceContent | None) -> tuple[model.Shape | None, float]:
    """The shape on the ground that a piece states, with its confidence."""
    if isinstance(content, model.DeviceReport):
        return content.shape, content.confidence or UNSTATED_CONFIDENCE
    record = content.record if isinstance(content, model.LineLookup) else None
    if record is None or record.position is None:
        return None, UNSTATED_CONFIDENCE
    return model.Circle(record.position, record.uncertainty_m or 0.0), record.confidence or UNSTATED_CONFIDENCE


def _contribution(name: str, content: model.EvidenceContent | None, confidence: float) -> model.Contribution:
    kinds = {
        model.DeviceReport: model.EvidenceKind.DEVICE_REPORT,
        model.CellScan: model.EvidenceKind.CELL_SCAN,
        model.LineLookup: model.EvidenceKind.LINE_LOOKUP,
    }
    kind = model.EvidenceKind.UNSPECIFIED if content is None else kinds[type(content)]
    told = f"{content_text(content)}; drawn as stated, at {words.confidence_text(confidence)}"
    return model.Contribution(name, "", kind, model.Disposition.UNSPECIFIED, model.Reason.UNSPECIFIED, told)


def _middle(shape: model.Shape) -> model.LatLng:
    """The shape's centre; of a polygon the mean of its corners."""
    if not isinstance(shape, model.Polygon | model.Prism):
        return shape.center
    corners = (shape.base if isinstance(shape, model.Prism) else shape).vertices
    first = corners[0].longitude_deg
    east = sum((corner.longitude_deg - first + 180.0) % 360.0 - 180.0 for corner in corners) / len(corners)
    latitude = sum(corner.latitude_deg for corner in corners) / len(corners)
    return model.LatLng(latitude, (first + east + 180.0) % 360.0 - 180.0)
