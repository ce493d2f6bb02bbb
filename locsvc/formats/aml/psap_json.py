"""JSON as servers hand ELS and AML on to emergency centres: one object or an array, names of ELS, English or German.

References
----------
Sheet 01 of the standards, section 5 (the German endpoint).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from locsvc.formats.aml import els_fields, text, text1
from locsvc.formats.aml.findings import Findings, guarded
from locsvc.formats.aml.values import telephone_of
from locsvc.formats.reading import Reading, Unreadable

# Far more than messages have; nesting uses the interpreter's stack.
MAX_BRACKETS = 400
# An answer of a centre lists the messages of one call; a message has some 40 fields.
MAX_OBJECTS = 20
MAX_FIELDS = 100
MAX_DEPTH = 4
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Other names of the same things. Altitudes are not among them: which datum they have, only ELS's own name says.
_NAMES = {
    "number": "device_number",
    "msisdn": "device_number",
    "phone_number": "device_number",
    "caller_number": "device_number",
    "rufnummer": "device_number",
    "telefonnummer": "device_number",
    "imsi": "device_imsi",
    "imei": "device_imei",
    "iccid": "device_iccid",
    "latitude": "location_latitude",
    "lat": "location_latitude",
    "breitengrad": "location_latitude",
    "longitude": "location_longitude",
    "lon": "location_longitude",
    "lng": "location_longitude",
    "laengengrad": "location_longitude",
    "längengrad": "location_longitude",
    "accuracy": "location_accuracy",
    "horizontal_accuracy": "location_accuracy",
    "radius": "location_accuracy",
    "genauigkeit": "location_accuracy",
    "timestamp": "location_time",
    "location_timestamp": "location_time",
    "confidence": "location_confidence",
    "confidence_level": "location_confidence",
    "floor": "location_floor",
    "stockwerk": "location_floor",
    "etage": "location_floor",
    "positioning_method": "location_source",
    "quelle": "location_source",
    "bearing": "location_bearing",
    "speed": "location_speed",
    "mcc": "cell_network_mcc",
    "mnc": "cell_network_mnc",
    "languages": "device_languages",
    "notrufnummer": "emergency_number",
}
# Names that tell a message from any other JSON.
_TELLING = frozenset({"location_latitude", "location_longitude", "location_accuracy", "location_time", "device_number"})
_TEXT_KEYS = frozenset({"lt", "lg"})


class _Pairs(tuple[tuple[str, object], ...]):
    """A JSON object as it stands, with names that stand twice."""

    __slots__ = ()


def read(message: str, *, arrived_at: float | None = None) -> Reading:
    """What the JSON says; of several messages in an array, all of them, as long as they are of one caller.

    Parameters
    ----------
    message
        An object or an array of objects; they may lie in an envelope.
    arrived_at
        When it came, Unix seconds.

    Raises
    ------
    Unreadable
        It is no JSON, or no message is in it.
    """
    document = _document(message)
    if document == []:
        return Reading(no_location="the answer is an empty list")
    messages = [
        said
        for pairs in islice(_objects(document, MAX_DEPTH), MAX_OBJECTS)
        if (said := _message(pairs, arrived_at)) is not None
    ]
    if not messages:
        raise Unreadable("JSON without an AML or ELS message: expected names such as location_latitude")
    return messages[0].reading if len(messages) == 1 else _joined(messages)


def _document(message: str) -> object:
    brackets = message.count("[") + message.count("{")
    if brackets > MAX_BRACKETS:
        raise Unreadable(f"JSON with {brackets:,} brackets; at most {MAX_BRACKETS} are read")
    try:
        # Numbers stay as they are written: no digits are lost, and none is too long.
        return json.loads(
            message.strip("\ufeff \t\r\n\0"),
            object_pairs_hook=_Pairs,
            parse_int=str,
            parse_float=str,
            parse_constant=str,
        )
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"JSON that cannot be read: {error}") from None


def _objects(document: object, depth: int) -> Iterator[_Pairs]:
    """The objects that hold values, from outside inwards."""
    if isinstance(document, _Pairs):
        yield document
        document = [value for _, value in document]
    if isinstance(document, list) and depth:
        for element in document:
            if isinstance(element, (list, _Pairs)):
                yield from _objects(element, depth - 1)


class _Message(NamedTuple):
    """What one object says, and of whom: number, handset and subscriber as they are written, empty where absent."""

    reading: Reading
    caller: tuple[str, ...]


def _message(pairs: _Pairs, arrived_at: float | None) -> _Message | None:
    """What one object says; None when it is no message."""
    found = Findings(arrived_at)
    fields = _fields(pairs, found)
    caller = tuple(fields.get(name, "") for name in ("device_number", "device_imei", "device_imsi"))
    reading = _reading(fields, found)
    return None if reading is None else _Message(reading, caller)


def _reading(fields: dict[str, str], found: Findings) -> Reading | None:
    if fields.keys() >= _TEXT_KEYS:
        return _of_text_keys(fields, found)
    if not fields.get("location_latitude"):
        sms = next((value for value in fields.values() if text.is_text(value)), None)
        if sms is not None:
            number = telephone_of(found, "device_number", fields.get("device_number", ""))
            return replace(text.read(sms, arrived_at=found.arrived_at), calling_number=number)
    status = fields.pop("status", "")
    answered = f"the server answered {guarded(status)!r}" if status.lower() not in ("", "ok") else ""
    if not _TELLING.isdisjoint(fields):
        if answered:
            found.warn("status", status, "the server says so beside the message")
        if fields.pop("hmac", ""):
            found.warn("hmac", "", "was not checked: it is of the form that this JSON was made of")
        return els_fields.read_fields(fields, found)
    if not answered:
        return None
    found.no_place(answered)
    return found.reading()


def _of_text_keys(fields: dict[str, str], found: Findings) -> Reading:
    """A text message of version 1 that a gateway took apart."""
    found.calling_number = telephone_of(found, "device_number", fields.pop("device_number", ""))
    strange = {name: fields.pop(name) for name in [n for n in fields if n not in text1.GRAMMAR.keys]}
    found.unknown(strange)
    return text1.read_fields(fields, found)


def _fields(pairs: _Pairs, found: Findings) -> dict[str, str]:
    """Texts by the names of ELS; a name that stands twice with different texts is taken out."""
    fields: dict[str, str] = {}
    contradicted: set[str] = set()
    # Names of a text message's keys stay what they are.
    kept = text1.GRAMMAR.keys if {name for name, _ in pairs} >= _TEXT_KEYS else frozenset[str]()
    if len(pairs) > MAX_FIELDS:
        found.warn("", "", f"more than {MAX_FIELDS} fields; the rest is left out")
    for name, value in pairs[:MAX_FIELDS]:
        if not isinstance(value, str) and value is not None:
            # true, false and what lies inside is no value of a field.
            continue
        snake = _CAMEL.sub("_", name[:64]).lower()
        known = _NAMES.get(snake, snake) if snake not in kept else snake
        if value is None:
            # Nothing is said, but by its name the message is one.
            if known in _TELLING:
                fields.setdefault(known, "")
            continue
        # The space before a number may be the plus that nobody encoded.
        found.put(fields, known, value if known == "device_number" else value.strip(), contradicted)
    found.take_out(fields, contradicted)
    return fields


def _joined(messages: list[_Message]) -> Reading:
    """All messages of the first caller as one reading, the pieces of evidence numbered."""
    caller = messages[0].caller
    same = []
    for message in messages:
        if all(ours == theirs for ours, theirs in zip(caller, message.caller, strict=True) if ours and theirs):
            same.append(message.reading)
            caller = tuple(ours or theirs for ours, theirs in zip(caller, message.caller, strict=True))
    found = Findings()
    for reading in same:
        found.warnings.extend(reading.warnings)
        found.details |= reading.details
        found.calling_number = found.calling_number or reading.calling_number
        found.started_at = reading.started_at if found.started_at is None else found.started_at
    if len(same) < len(messages):
        found.warn("device_number", "", f"{len(messages) - len(same)} messages are of other callers; left out")
    evidence = [piece for reading in same for piece in reading.evidence]
    if not evidence:
        found.no_place(next((reading.no_location for reading in same if reading.no_location), ""))
    if len(evidence) > 1:
        evidence = [replace(p, evidence_id=f"{p.evidence_id or 'fix'}{i}") for i, p in enumerate(evidence, 1)]
    return found.reading(*evidence)
