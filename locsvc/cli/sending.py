"""What a file holds for live calls: calls or evidence as JSON, or one message as the field sent it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from locsvc import model
from locsvc.errors import BadData, FieldViolation, InvalidInput, LocsvcError
from locsvc.formats import messages
from locsvc.formats.call_checks import MAX_EVIDENCE, call_violations, evidence_violations
from locsvc.formats.call_json import call_from_json, parse_json
from locsvc.formats.messages import FORMATS
from locsvc.formats.proto_json import read_json, to_json
from locsvc.formats.ranges import MAX_RAW_BYTES
from locsvc.formats.spelling import camel

AUTO = "auto"
# Raw messages of one request; a server takes 4 MiB unless told otherwise.
_MOST_REQUEST_BYTES = 3_000_000
_OF_EVIDENCE = {"evidence_id", "provider", "observed_at", "cell_scan", "device_report", "line_lookup"}
_OF_CALLS = {"call_id", "calling_number", "started_at", "evidence"}
_KINDS = {model.CellScan: "cell", model.DeviceReport: "device", model.LineLookup: "line"}


@dataclass(frozen=True, slots=True)
class Sending:
    """What goes to one call, and where it stood; `error` tells why there is nothing to send."""

    place: str
    call: model.Call
    error: LocsvcError | None = None


def message_of(name: str, data: bytes, form: str) -> model.Evidence:
    """One message of the field as evidence, as it came.

    Raises
    ------
    BadData
        It is empty, too long, or does not tell its format.
    """
    from locsvc.formats.recognition import recognised

    if not 0 < len(data) <= MAX_RAW_BYTES:
        raise BadData(f"{name} has {len(data):,} bytes; a message has 1 to {MAX_RAW_BYTES:,}")
    known = recognised(data) if form == AUTO else form
    if known is None:
        raise BadData(
            f"{name} is neither JSON of a call or of evidence nor a message that tells its format;"
            f" name it with --format: {', '.join(FORMATS)}"
        )
    return model.Evidence(model.DeviceReport(raw=model.RawMessage(known, data)))


def read_sendings(name: str, data: bytes, form: str) -> Iterator[Sending]:
    """What the bytes of a file hold: calls one by one, and all evidence that stands alone as one call without a name.

    Parameters
    ----------
    name
        Of the file, for errors.
    form
        Format of the message, or `auto`.

    Raises
    ------
    BadData
        The file holds nothing that can be sent, as a whole.
    """
    if form == AUTO and (items := _json_items(name, data)) is not None:
        yield from _gathered(items)
        return
    yield Sending(name, model.Call(evidence=(message_of(name, data, form),)))


def _json_items(name: str, data: bytes) -> list[tuple[str, object]] | None:
    """Place and value of each object; None when the bytes are no JSON, or none of ours."""
    text = data.decode("utf-8-sig", errors="replace").strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        items = _lines(name, data.decode("utf-8-sig", errors="replace"))
    else:
        items = (
            [(f"{name} item {n}", v) for n, v in enumerate(value, 1)] if isinstance(value, list) else [(name, value)]
        )
    ours = any(_is_call(value) or _is_evidence(value) for _, value in items)
    return items if ours else None


def _lines(name: str, text: str) -> list[tuple[str, object]]:
    """JSON Lines; a line that is none is its own error."""
    found: list[tuple[str, object]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found.append((f"{name} line {number}", parse_json(line)))
        except BadData as error:
            found.append((f"{name} line {number}", error))
    return found


def _has(value: object, names: set[str]) -> bool:
    return isinstance(value, dict) and bool((names | {camel(name) for name in names}) & set(value))


def _is_call(value: object) -> bool:
    return _has(value, _OF_CALLS)


def _is_evidence(value: object) -> bool:
    return _has(value, _OF_EVIDENCE) and not _is_call(value)


def _gathered(items: Sequence[tuple[str, object]]) -> Iterator[Sending]:
    """Calls as they stand; pieces between them together."""
    pieces: list[tuple[str, model.Evidence]] = []
    # What is neither is told its mistakes as what the others are.
    of_evidence = any(_is_evidence(value) for _, value in items)
    for place, value in items:
        if of_evidence and isinstance(value, dict) and not _is_call(value):
            try:
                pieces.append((place, _piece(value)))
            except InvalidInput as error:
                yield Sending(place, model.Call(), error)
            continue
        yield from _together(pieces)
        pieces = []
        yield _call(place, value)
    yield from _together(pieces)


def _together(pieces: Sequence[tuple[str, model.Evidence]]) -> Iterator[Sending]:
    if pieces:
        place = pieces[0][0] if len(pieces) == 1 else f"{pieces[0][0]} to {pieces[-1][0]}"
        yield Sending(place, model.Call(evidence=tuple(piece for _, piece in pieces)))


def _piece(value: object) -> model.Evidence:
    violations: list[FieldViolation] = []
    piece = read_json(model.Evidence, value, violations)
    if piece is not None and not violations:
        violations += evidence_violations(piece)
    if piece is None or violations:
        raise InvalidInput(violations)
    return piece


def _call(place: str, value: object) -> Sending:
    if isinstance(value, LocsvcError):
        return Sending(place, model.Call(), value)
    try:
        return Sending(place, call_from_json(value))
    except InvalidInput as error:
        return Sending(place, model.Call(), error)


def named(piece: model.Evidence) -> model.Evidence:
    """The piece with a name that follows from what it says, so that the same piece sent again has the same name.

    >>> named(model.Evidence(model.LineLookup("+441632960168"))).evidence_id
    'line-a6ade9b1dd'
    """
    if piece.evidence_id:
        return piece
    content = piece.content
    kind = _KINDS.get(type(content), "evidence")
    if isinstance(content, model.DeviceReport) and content.raw is not None:
        kind = content.raw.format
    said = hashlib.sha256(json.dumps(to_json(piece), sort_keys=True).encode()).hexdigest()
    return replace(piece, evidence_id=f"{kind}-{said[:10]}")


def portions(call: model.Call) -> Iterator[model.Call]:
    """The call in parts that a request can hold, every piece with a name; a piece that stands twice goes once."""
    waiting: dict[str, model.Evidence] = {}
    size = 0
    for piece in map(named, call.evidence):
        if waiting.get(piece.evidence_id) == piece:
            continue
        raw = piece.content.raw if isinstance(piece.content, model.DeviceReport) else None
        weight = 1_000 + (len(raw.bytes) if raw is not None else 0)
        if len(waiting) == MAX_EVIDENCE or (waiting and size + weight > _MOST_REQUEST_BYTES):
            yield replace(call, evidence=tuple(waiting.values()))
            waiting, size = {}, 0
        if piece.evidence_id in waiting:
            raise InvalidInput([FieldViolation("evidence_id", f"two pieces are named {piece.evidence_id!r}")])
        waiting[piece.evidence_id] = piece
        size += weight
    if waiting:
        yield replace(call, evidence=tuple(waiting.values()))


def unread(call: model.Call, now: float) -> Iterator[tuple[str, str]]:
    """Format and reason of each message that its format's reader can make nothing of.

    Parameters
    ----------
    now
        Of formats whose times lack a year or a day.
    """
    for piece in call.evidence:
        raw = piece.content.raw if isinstance(piece.content, model.DeviceReport) else None
        if raw is None:
            continue
        try:
            messages.read(raw.format, raw.bytes, arrived_at=now)
        except BadData as error:
            yield raw.format, str(error)


def file_bytes(source: Path, data: bytes) -> bytes:
    """The bytes that were read, if there are any.

    Raises
    ------
    BadData
        There are none.
    """
    if not data.strip():
        raise BadData(f"{source} is empty: give a message, or evidence as JSON")
    return data


def checked(call: model.Call) -> model.Call:
    """The call, if it can be sent.

    Raises
    ------
    InvalidInput
        It has neither name nor number, or a field is out of range.
    """
    violations = call_violations(replace(call, evidence=()))
    if not (call.call_id or call.calling_number):
        violations.append(FieldViolation("call_id", "is empty, and there is no calling_number: name CALL or --number"))
    if not call.evidence:
        violations.append(FieldViolation("evidence", "is empty: there is nothing to send"))
    if violations:
        raise InvalidInput(violations)
    return call
