"""Requests to calls: every field is read once and checked against its documented range.

The code is straight-line on purpose: it runs for every request, and the bench counts it. `None` stands for an absent
optional field; unknown markers (area 0, cell all ones, radius 0) pass to the resolver, which names them in warnings.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from locsvc import model
from locsvc.formats import ranges
from locsvc.formats.messages import FORMATS
from locsvc.rpc.convert.shapes import read_latlng, read_shape
from locsvc.rpc.convert.violations import Violations, add, put_under

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from locsvc.v1 import call_pb2, civic_pb2

_RADIOS = tuple(model.Radio)
_METHODS = tuple(model.PositioningMethod)
_PLATFORMS = tuple(model.Platform)
_CLASSES = tuple(model.ClassOfService)
_PLACEMENTS = tuple(model.Placement)

_MAX_AREA = ranges.MAX_AREA
_MAX_CELL = ranges.MAX_CELL
_MAX_PCI = ranges.MAX_PCI
_MAX_TIMING_ADVANCE = ranges.MAX_TIMING_ADVANCE
_MAX_ARFCN = ranges.MAX_ARFCN
_MAX_NAME = ranges.MAX_NAME

# ITU-T E.164 clause 6: at most 15 digits; a country code never begins with 0.
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_COUNTRY = re.compile(r"[A-Z]{2}").fullmatch

_NAME = "must have at most 128 characters; shorten it"
_TEXT = "must have at most 1,000 characters; shorten it"
_NUMBER = 'must be E.164, "+" and 2 to 15 digits without spaces; leave it empty when the number is withheld'
_CONFIDENCE = "must be above 0 and below 1 (a fraction, not percent); leave it out when it is unknown"
_UNCERTAINTY = "must be from 0 to 20,100,000 metres; leave it out when it is unknown"
_FORMAT = f"must be one of {', '.join(FORMATS)}; send shapes and cells in fields of their own"
_RAW = "must have 1 to 65,536 bytes: the message as it came; leave raw out when there is none"
_ENUM = "must be a value of the contract; update the contract or send 0 for not given"


def read_time(message: Timestamp, out: Violations, field: str) -> float:
    """Seconds since the Unix epoch (UTC) of a timestamp that is present."""
    seconds, nanos = message.seconds, message.nanos
    if not (ranges.MIN_SECONDS <= seconds <= ranges.MAX_SECONDS and 0 <= nanos <= ranges.MAX_NANOS):
        add(
            out,
            field,
            "must be of the years 1 to 9999, with nanos from 0 to 999,999,999; leave it out when it is unknown",
        )
    if not nanos:
        return float(seconds)
    # Whole numbers divided: the nearest double to the time, so that it comes back as it was sent.
    return (seconds * 1_000_000_000 + nanos) / 1_000_000_000


def is_country_code(text: str) -> bool:
    """Whether the text is a mobile country code."""
    return len(text) == 3 and text.isdigit() and text.isascii()


def is_network_code(text: str) -> bool:
    """Whether the text is a mobile network code."""
    return 2 <= len(text) <= 3 and text.isdigit() and text.isascii()


# One branch a field, straight-line: helpers would cost half as much again, five times a request.
def read_cell(  # noqa: C901, PLR0912, PLR0915
    message: call_pb2.CellMeasurement, out: Violations
) -> model.CellMeasurement:
    """The cell as measured; ranges depend on the radio where the standards' do."""
    radio: int = message.radio
    if not 0 <= radio < len(_RADIOS):
        add(out, "radio", _ENUM)
        radio = 0
    mcc = message.mcc
    if mcc and not is_country_code(mcc):
        add(out, "mcc", "must be 3 digits; leave it empty for the serving cell's")
    mnc = message.mnc
    if mnc and not is_network_code(mnc):
        add(out, "mnc", "must be 2 or 3 digits with leading zeros kept; leave it empty for the serving cell's")
    has = message.HasField
    # A value that is not 0 is present; only a 0 has to be asked whether it was sent.
    area: int | None = message.area
    if area:
        if area > _MAX_AREA[radio]:
            add(out, "area", f"must be at most {_MAX_AREA[radio]} for this radio; leave it out when it is unknown")
    elif not has("area"):
        area = None
    cell: int | None = message.cell
    if cell:
        if cell > _MAX_CELL[radio]:
            add(out, "cell", f"must be at most {_MAX_CELL[radio]} for this radio; leave it out when it is unknown")
    elif not has("cell"):
        cell = None
    pci: int | None = message.pci
    if pci:
        if pci > _MAX_PCI[radio]:
            add(out, "pci", f"must be at most {_MAX_PCI[radio]} for this radio; leave it out when it is unknown")
    elif not has("pci"):
        pci = None
    arfcn: int | None = message.arfcn
    if arfcn:
        if arfcn > _MAX_ARFCN:
            add(out, "arfcn", "must be at most 3,279,165; leave it out when it is unknown")
    elif not has("arfcn"):
        arfcn = None
    signal_dbm: float | None = message.signal_dbm
    if signal_dbm:
        if not ranges.MIN_SIGNAL_DBM <= signal_dbm <= ranges.MAX_SIGNAL_DBM:
            add(out, "signal_dbm", "must be from -160 to 0 dBm; leave it out when it is unknown")
    elif not has("signal_dbm"):
        signal_dbm = None
    quality_db: float | None = message.quality_db
    if quality_db:
        if not ranges.MIN_QUALITY_DB <= quality_db <= ranges.MAX_QUALITY_DB:
            add(out, "quality_db", "must be from -50 to 30 dB; leave it out when it is unknown")
    elif not has("quality_db"):
        quality_db = None
    timing_advance: int | None = message.timing_advance
    if timing_advance:
        if timing_advance > _MAX_TIMING_ADVANCE[radio]:
            add(
                out,
                "timing_advance",
                f"must be at most {_MAX_TIMING_ADVANCE[radio]} for this radio; leave it out when it is unknown",
            )
    elif not has("timing_advance"):
        timing_advance = None
    return model.CellMeasurement(
        _RADIOS[radio], mcc, mnc, area, cell, pci, arfcn, signal_dbm, quality_db, timing_advance
    )


def _cell_scan(message: call_pb2.CellScan, out: Violations) -> model.CellScan:
    serving = None
    before = len(out)
    if message.HasField("serving"):
        serving = read_cell(message.serving, out)
        if len(out) != before:
            put_under(out, before, "serving.")
            before = len(out)
    neighbours = message.neighbours
    if len(neighbours) > ranges.MAX_NEIGHBOURS:
        add(out, "neighbours", "must have at most 64 cells; send the strongest")
        return model.CellScan(serving)
    cells = []
    for neighbour in neighbours:
        cells.append(read_cell(neighbour, out))
        if len(out) != before:
            put_under(out, before, f"neighbours[{len(cells) - 1}].")
            before = len(out)
    return model.CellScan(serving, tuple(cells))


def _device_report(message: call_pb2.DeviceReport, out: Violations) -> model.DeviceReport:
    before = len(out)
    shape = read_shape(message.shape, out)
    if len(out) != before:
        put_under(out, before, "shape.")
    has = message.HasField
    confidence = message.confidence if has("confidence") else None
    if confidence is not None and not 0.0 < confidence < 1.0:
        add(out, "confidence", _CONFIDENCE)
    method: int = message.method
    if not 0 <= method < len(_METHODS):
        add(out, "method", _ENUM)
        method = 0
    platform: int = message.platform
    if not 0 <= platform < len(_PLATFORMS):
        add(out, "platform", _ENUM)
        platform = 0
    altitude_m = message.altitude_m if has("altitude_m") else None
    if altitude_m is not None and not ranges.MIN_ALTITUDE_M <= altitude_m <= ranges.MAX_ALTITUDE_M:
        add(
            out,
            "altitude_m",
            "must be from -500 to 10,000 metres above the WGS84 ellipsoid; leave it out when it is unknown",
        )
    vertical_m = message.vertical_uncertainty_m if has("vertical_uncertainty_m") else None
    if vertical_m is not None and not 0.0 <= vertical_m <= ranges.MAX_LENGTH_M:
        add(out, "vertical_uncertainty_m", _UNCERTAINTY)
    floor = message.floor
    if len(floor) > _MAX_NAME:
        add(out, "floor", _NAME)
    raw = _raw_message(message.raw, out) if has("raw") else None
    return model.DeviceReport(
        shape, confidence, _METHODS[method], altitude_m, vertical_m, floor, raw, _PLATFORMS[platform]
    )


def _raw_message(message: call_pb2.RawMessage, out: Violations) -> model.RawMessage:
    if message.format not in FORMATS:
        add(out, "raw.format", _FORMAT)
    octets = message.bytes
    if not 0 < len(octets) <= ranges.MAX_RAW_BYTES:
        add(out, "raw.bytes", _RAW)
    return model.RawMessage(message.format, octets)


def read_address(message: civic_pb2.CivicAddress, out: Violations) -> model.CivicAddress:
    """The civic address; each part at most 1,000 characters, the country as ISO 3166-1 alpha-2."""
    parts = {}
    for descriptor, value in message.ListFields():
        parts[descriptor.name] = value
        if len(value) > ranges.MAX_TEXT:
            add(out, descriptor.name, _TEXT)
    country = parts.get("country", "")
    if country and not _COUNTRY(country):
        add(
            out,
            "country",
            "must be an ISO 3166-1 alpha-2 code in upper case, such as IE; leave it empty when it is unknown",
        )
    return model.CivicAddress(**parts)


def read_line_record(message: civic_pb2.LineRecord, out: Violations) -> model.LineRecord:
    """The line record as a sender has it."""
    has = message.HasField
    number = message.number
    if number and not _E164.fullmatch(number):
        add(out, "number", _NUMBER)
    line_class: int = message.class_of_service
    if not 0 <= line_class < len(_CLASSES):
        add(out, "class_of_service", _ENUM)
        line_class = 0
    placement: int = message.placement
    if not 0 <= placement < len(_PLACEMENTS):
        add(out, "placement", _ENUM)
        placement = 0
    address = position = None
    before = len(out)
    if has("address"):
        address = read_address(message.address, out)
        if len(out) != before:
            put_under(out, before, "address.")
            before = len(out)
    if has("position"):
        position = read_latlng(message.position, out)
        if len(out) != before:
            put_under(out, before, "position.")
    uncertainty_m = message.uncertainty_m if has("uncertainty_m") else None
    if uncertainty_m is not None and not 0.0 <= uncertainty_m <= ranges.MAX_LENGTH_M:
        add(out, "uncertainty_m", _UNCERTAINTY)
    confidence = message.confidence if has("confidence") else None
    if confidence is not None and not 0.0 < confidence < 1.0:
        add(out, "confidence", _CONFIDENCE)
    provider = message.provider
    if len(provider) > _MAX_NAME:
        add(out, "provider", _NAME)
    updated_at = read_time(message.updated_at, out, "updated_at") if has("updated_at") else None
    return model.LineRecord(
        number,
        _CLASSES[line_class],
        address,
        position,
        _PLACEMENTS[placement],
        uncertainty_m,
        confidence,
        provider,
        updated_at,
    )


def read_dialled(number: str, out: Violations, field: str) -> str:
    """The number as dialled, of at most 64 characters; what it means is the line dataset's to say."""
    if len(number) > ranges.MAX_DIALLED:
        add(out, field, "must have at most 64 characters; send E.164 or the number as dialled")
    return number


def _line_lookup(message: call_pb2.LineLookup, out: Violations) -> model.LineLookup:
    number = read_dialled(message.number, out, "number")
    if not message.HasField("record"):
        return model.LineLookup(number)
    before = len(out)
    record = read_line_record(message.record, out)
    if len(out) != before:
        put_under(out, before, "record.")
    return model.LineLookup(number, record)


def _evidence(message: call_pb2.Evidence, out: Violations) -> model.Evidence:
    evidence_id = message.evidence_id
    if len(evidence_id) > _MAX_NAME:
        add(out, "evidence_id", _NAME)
    provider = message.provider
    if len(provider) > _MAX_NAME:
        add(out, "provider", _NAME)
    observed_at = read_time(message.observed_at, out, "observed_at") if message.HasField("observed_at") else None
    kind = message.WhichOneof("kind")
    content: model.EvidenceContent | None = None
    before = len(out)
    if kind == "cell_scan":
        content = _cell_scan(message.cell_scan, out)
    elif kind == "device_report":
        content = _device_report(message.device_report, out)
    elif kind == "line_lookup":
        content = _line_lookup(message.line_lookup, out)
    if len(out) != before:
        put_under(out, before, f"{kind}.")
    return model.Evidence(content, evidence_id, provider, observed_at)


def read_evidence(message: call_pb2.Evidence, out: Violations, prefix: str) -> model.Evidence:
    """One piece of evidence; `prefix` is its path, such as `evidence[0].`."""
    before = len(out)
    piece = _evidence(message, out)
    if len(out) != before:
        put_under(out, before, prefix)
    return piece


def read_name(name: str, out: Violations, field: str) -> str:
    """A name of at most 128 characters."""
    if len(name) > _MAX_NAME:
        add(out, field, _NAME)
    return name


def read_number(number: str, out: Violations, field: str) -> str:
    """An E.164 number, or nothing."""
    if number and not _E164.fullmatch(number):
        add(out, field, _NUMBER)
    return number


def read_call(message: call_pb2.Call, out: Violations) -> model.Call:
    """The call; paths of violations begin below the call, such as `evidence[0].device_report.confidence`."""
    call_id = message.call_id
    if len(call_id) > _MAX_NAME:
        add(out, "call_id", _NAME)
    calling_number = message.calling_number
    if calling_number and not _E164.fullmatch(calling_number):
        add(out, "calling_number", _NUMBER)
    started_at = read_time(message.started_at, out, "started_at") if message.HasField("started_at") else None
    evidence = message.evidence
    if len(evidence) > ranges.MAX_EVIDENCE:
        add(out, "evidence", "must have at most 1,000 pieces; send the newest")
        return model.Call(call_id, calling_number, started_at)
    pieces = []
    names: set[str] = set()
    before = len(out)
    for i, item in enumerate(evidence):
        piece = _evidence(item, out)
        pieces.append(piece)
        name = piece.evidence_id
        if name:
            if name in names:
                add(out, "evidence_id", "must be unique in the call; rename one of the pieces or leave it empty")
            names.add(name)
        if len(out) != before:
            put_under(out, before, f"evidence[{i}].")
            before = len(out)
    return model.Call(call_id, calling_number, started_at, tuple(pieces))
