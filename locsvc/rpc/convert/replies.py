"""The client's side: calls of the model to messages, and estimates back to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locsvc import model
from locsvc.rpc.convert.estimates import write_address, write_latlng, write_time

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from locsvc.v1 import call_pb2, civic_pb2, estimate_pb2, geometry_pb2

_ADDRESS_FIELDS = tuple(model.CivicAddress.__dataclass_fields__)
_MEASURED = tuple(model.CellMeasurement.__dataclass_fields__)


def write_call(call: model.Call, message: call_pb2.Call) -> None:
    """Set every field of an empty `message` from `call`."""
    message.SetInParent()
    message.call_id = call.call_id
    message.calling_number = call.calling_number
    if call.started_at is not None:
        write_time(call.started_at, message.started_at)
    for piece in call.evidence:
        write_evidence(piece, message.evidence.add())


def write_evidence(piece: model.Evidence, message: call_pb2.Evidence) -> None:
    """Set every field of an empty `message` from one piece."""
    message.evidence_id = piece.evidence_id
    message.provider = piece.provider
    if piece.observed_at is not None:
        write_time(piece.observed_at, message.observed_at)
    content = piece.content
    if isinstance(content, model.CellScan):
        _write_scan(content, message.cell_scan)
    elif isinstance(content, model.DeviceReport):
        _write_report(content, message.device_report)
    elif content is not None:
        _write_lookup(content, message.line_lookup)


def write_cell(cell: model.CellMeasurement, message: call_pb2.CellMeasurement) -> None:
    """Set the measured fields of a cell; `None` stays absent."""
    message.SetInParent()
    for name in _MEASURED:
        value = getattr(cell, name)
        if value is not None and value != "":
            setattr(message, name, value)


def _write_scan(scan: model.CellScan, message: call_pb2.CellScan) -> None:
    message.SetInParent()
    if scan.serving is not None:
        write_cell(scan.serving, message.serving)
    for neighbour in scan.neighbours:
        write_cell(neighbour, message.neighbours.add())


def _write_report(report: model.DeviceReport, message: call_pb2.DeviceReport) -> None:
    message.SetInParent()
    if report.shape is not None:
        _write_shape(report.shape, message.shape)
    message.method = report.method  # type: ignore[assignment]  # the model's enums have the contract's numbers
    message.platform = report.platform  # type: ignore[assignment]  # as above
    message.floor = report.floor
    for name in ("confidence", "altitude_m", "vertical_uncertainty_m"):
        value = getattr(report, name)
        if value is not None:
            setattr(message, name, value)
    if report.raw is not None:
        message.raw.format = report.raw.format
        message.raw.bytes = report.raw.bytes


# Model class -> field of the oneof; the other fields of a shape have one name in both.
_KINDS = {
    model.Point: "point",
    model.Circle: "circle",
    model.Ellipse: "ellipse",
    model.ArcBand: "arc_band",
    model.Polygon: "polygon",
    model.Sphere: "sphere",
    model.Ellipsoid: "ellipsoid",
    model.Prism: "prism",
}


def _write_shape(shape: model.Shape, message: geometry_pb2.Shape) -> None:
    target = getattr(message, _KINDS[type(shape)])
    target.SetInParent()
    for name in shape.__dataclass_fields__:
        value = getattr(shape, name)
        if isinstance(value, model.LatLng):
            write_latlng(value, target.center)
        elif isinstance(value, model.Polygon):
            _write_vertices(value.vertices, target.base)
        elif name == "vertices":
            _write_vertices(value, target)
        else:
            setattr(target, name, value)


def _write_vertices(vertices: tuple[model.LatLng, ...], message: geometry_pb2.Polygon) -> None:
    for vertex in vertices:
        write_latlng(vertex, message.vertices.add())


def _write_lookup(lookup: model.LineLookup, message: call_pb2.LineLookup) -> None:
    message.SetInParent()
    message.number = lookup.number
    if lookup.record is not None:
        write_line_record(lookup.record, message.record)


def write_line_record(record: model.LineRecord, message: civic_pb2.LineRecord) -> None:
    """Set a line record."""
    message.SetInParent()
    message.number = record.number
    message.class_of_service = record.class_of_service  # type: ignore[assignment]  # as above
    if record.address is not None:
        message.address.SetInParent()
        write_address(record.address, message.address)
    if record.position is not None:
        message.position.SetInParent()
        write_latlng(record.position, message.position)
    message.placement = record.placement  # type: ignore[assignment]  # as above
    if record.uncertainty_m is not None:
        message.uncertainty_m = record.uncertainty_m
    if record.confidence is not None:
        message.confidence = record.confidence
    message.provider = record.provider
    if record.updated_at is not None:
        write_time(record.updated_at, message.updated_at)


def read_time(message: Timestamp) -> float:
    """Seconds since the Unix epoch."""
    return (message.seconds * 1_000_000_000 + message.nanos) / 1_000_000_000


def _latlng(message: geometry_pb2.LatLng) -> model.LatLng:
    return model.LatLng(message.latitude_deg, message.longitude_deg)


def read_estimate(message: estimate_pb2.LocationEstimate) -> model.LocationEstimate:
    """The estimate as the server sent it."""
    has = message.HasField
    return model.LocationEstimate(
        outcome=model.Outcome(message.outcome),
        call_id=message.call_id,
        confidence=message.confidence,
        position=_latlng(message.position) if has("position") else None,
        radius_m=message.radius_m if has("position") else None,
        ellipse=_ellipse(message.ellipse) if has("ellipse") else None,
        region=_region(message.region) if has("region") else None,
        alternatives=tuple(model.Alternative(_latlng(a.position), a.mass, a.radius_m) for a in message.alternatives),
        altitude=_altitude(message.altitude) if has("altitude") else None,
        address=read_civic(message.address) if has("address") else None,
        address_distance_m=message.address_distance_m if has("address_distance_m") else None,
        areas=tuple(model.AreaShare(a.name, a.dataset, a.share) for a in message.areas),
        contributions=tuple(_contribution(c) for c in message.contributions),
        warnings=tuple(read_warning(w) for w in message.warnings),
        estimated_at=read_time(message.estimated_at) if has("estimated_at") else None,
        datasets=tuple(read_dataset(d) for d in message.datasets),
    )


def read_civic(message: civic_pb2.CivicAddress) -> model.CivicAddress:
    """The address of an answer."""
    return model.CivicAddress(**{name: getattr(message, name) for name in _ADDRESS_FIELDS})


def _ellipse(message: geometry_pb2.Ellipse) -> model.Ellipse:
    return model.Ellipse(_latlng(message.center), message.semi_major_m, message.semi_minor_m, message.orientation_deg)


def _region(message: estimate_pb2.Region) -> model.Region:
    return model.Region(message.resolution, tuple(message.cells), message.mass, message.area_m2)


def _altitude(message: estimate_pb2.Altitude) -> model.Altitude:
    uncertainty_m = message.uncertainty_m if message.HasField("uncertainty_m") else None
    return model.Altitude(message.altitude_m, uncertainty_m, message.confidence, message.floor)


def _contribution(message: estimate_pb2.Contribution) -> model.Contribution:
    return model.Contribution(
        evidence_id=message.evidence_id,
        part=message.part,
        kind=model.EvidenceKind(message.kind),
        disposition=model.Disposition(message.disposition),
        reason=model.Reason(message.reason),
        explanation=message.explanation,
        cell_fallback=model.CellFallback(message.cell_fallback),
        distance_m=message.distance_m if message.HasField("distance_m") else None,
        agreement=message.agreement,
        share=message.share,
    )


def read_warning(message: estimate_pb2.Warning) -> model.Warning:
    """A warning of an answer."""
    return model.Warning(model.WarningCode(message.code), message.message, message.evidence_id, message.field)


def read_dataset(message: estimate_pb2.DatasetVersion) -> model.DatasetVersion:
    """A dataset of an answer."""
    return model.DatasetVersion(
        dataset=message.dataset,
        name=message.name,
        version=message.version,
        rows=message.rows,
        built_at=read_time(message.built_at) if message.HasField("built_at") else None,
        size_bytes=message.size_bytes,
        source=message.source,
        licence=message.licence,
    )


def read_trace(message: estimate_pb2.Trace) -> model.Trace:
    """The trace of an answer."""
    outlines = tuple(
        model.Outline(
            o.evidence_id, o.part, tuple(model.Polygon(tuple(_latlng(v) for v in ring.vertices)) for ring in o.rings)
        )
        for o in message.outlines
    )
    return model.Trace(tuple(message.cells), tuple(message.masses), outlines)
