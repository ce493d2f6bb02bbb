"""Messages of the field among a call's evidence: each is replaced by what it says.

A message that cannot be read costs a warning and its own contribution, never its neighbours.
"""

from __future__ import annotations

import re
from dataclasses import replace

from locsvc.errors import FieldViolation
from locsvc.formats import messages
from locsvc.formats.call_checks import MAX_EVIDENCE, evidence_violations
from locsvc.formats.reading import Reading, Unreadable
from locsvc.model import (
    Call,
    DeviceReport,
    Evidence,
    EvidenceContent,
    PositioningMethod,
    RawMessage,
    Warning,
    WarningCode,
)

# Pieces that are taken of one message, and things that are told of one: what is more is of no use to anybody.
MAX_PIECES = 64
MAX_TOLD = 10
# Characters of a message's own words that a warning may quote.
_MAX_QUOTED = 200
_FIELD = "device_report.raw"
_DAY_S = 86_400.0
# Formats that come as the call does, so that its start will do for their "now"; handsets and location servers send
# again minutes later, and to them a call's start would look like a time in the past.
_WITH_THE_CALL = frozenset({"access-network", "ali", "gad", "sip"})

# ITU-T E.164; other spellings are left to the line look-ups of the message itself.
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")


def opened(call: Call) -> tuple[Call, list[Warning]]:
    """The call with every message replaced by the evidence that it holds, and what was wrong with the messages.

    A call without messages comes back as it is. Pieces are named `evidence_id`, or `evidence_id/part` where a message
    holds several; provider and time are those of the piece that brought it, the message's own time where that has none.
    A piece whose message cannot be read, or says no place, stays with its `raw` and without a shape, so that it can be
    shown as set aside, unless the sender gave a shape beside the message: that is then taken.
    """
    for piece in call.evidence:
        content = piece.content
        if type(content) is DeviceReport and content.raw is not None:
            return _opened(call)
    return call, []


def _opened(call: Call) -> tuple[Call, list[Warning]]:
    pieces: list[Evidence] = []
    warnings: list[Warning] = []
    calling_number, started_at = call.calling_number, call.started_at
    for place, piece in enumerate(call.evidence):
        # Pieces without a name have the name of their place, which must not change when others become several.
        named = piece if piece.evidence_id else replace(piece, evidence_id=f"evidence-{place + 1}")
        report = named.content
        if not isinstance(report, DeviceReport) or report.raw is None:
            pieces.append(named)
            continue
        reading = _read(report.raw, named, call.started_at, warnings)
        pieces += _pieces(named, report, reading, call.started_at, warnings)
        if reading is not None:
            calling_number = calling_number or _number(reading.calling_number)
            started_at = reading.started_at if started_at is None else started_at
    if len(pieces) > MAX_EVIDENCE:
        told = f"the messages hold {len(pieces):,} pieces in all; the first {MAX_EVIDENCE:,} were taken"
        warnings.append(Warning(WarningCode.UNUSABLE_EVIDENCE, told, "", _FIELD))
    evidence = tuple(pieces[:MAX_EVIDENCE])
    return replace(call, calling_number=calling_number, started_at=started_at, evidence=evidence), warnings


def _number(text: str) -> str:
    return text if _E164.fullmatch(text) else ""


def _read(raw: RawMessage, piece: Evidence, started_at: float | None, warnings: list[Warning]) -> Reading | None:
    """What the message says, None when it cannot be read; either is told."""
    arrived_at = started_at if piece.observed_at is None and raw.format in _WITH_THE_CALL else piece.observed_at
    try:
        reading = messages.read(raw.format, raw.bytes, arrived_at=arrived_at)
    except Unreadable as error:
        warnings.append(_unusable(raw, piece, f"cannot be read: {error}"))
        return None
    except Exception as error:  # noqa: BLE001 - a fault of one reader must not cost the call its other evidence
        warnings.append(_unusable(raw, piece, f"cannot be read: its reader met a fault ({type(error).__name__})"))
        return None
    for odd in reading.warnings[:MAX_TOLD]:
        told = f"{raw.format} message {piece.evidence_id!r}: {_quoted(odd)}"
        warnings.append(Warning(WarningCode.PARTLY_READ, told, piece.evidence_id, _FIELD))
    if len(reading.warnings) > MAX_TOLD:
        told = f"{raw.format} message {piece.evidence_id!r}: {len(reading.warnings) - MAX_TOLD} more of the kind"
        warnings.append(Warning(WarningCode.PARTLY_READ, told, piece.evidence_id, _FIELD))
    return reading


def _pieces(
    piece: Evidence, report: DeviceReport, reading: Reading | None, started_at: float | None, warnings: list[Warning]
) -> list[Evidence]:
    """What a message stands for: the pieces that it holds, or else the report beside it."""
    raw = report.raw or RawMessage()
    found = [] if reading is None else _usable(reading.evidence, piece, raw, warnings)
    if not found and reading is not None and not reading.evidence:
        warnings.append(_unusable(raw, piece, f"says no place: {reading.no_location or 'nothing in it is a location'}"))
    if not found:
        # The sender's own reading of the message is better than nothing.
        return [piece if report.shape is None else replace(piece, content=replace(report, raw=None))]
    names = _names(piece.evidence_id, [each.evidence_id for each in found])
    return [
        Evidence(
            _completed(each, report),
            name,
            piece.provider or each.provider,
            _time(each, piece, started_at, raw, warnings),
        )
        for each, name in zip(found, names, strict=True)
    ]


def _time(
    each: Evidence, piece: Evidence, started_at: float | None, raw: RawMessage, warnings: list[Warning]
) -> float | None:
    """When the piece of a message was true: as its sender says, or else as the message says, unless it is absurd."""
    if piece.observed_at is not None or each.observed_at is None:
        return piece.observed_at
    # A time that is ahead of the call by a day is a clock that was never set; taken as the newest, it would make all
    # other evidence of the call look old.
    if started_at is not None and each.observed_at > started_at + _DAY_S:
        told = (
            f"{raw.format} message {piece.evidence_id!r}: its time is more than a day after the call began; not taken"
        )
        warnings.append(Warning(WarningCode.PARTLY_READ, told, piece.evidence_id, _FIELD))
        return None
    return each.observed_at


def _usable(found: tuple[Evidence, ...], piece: Evidence, raw: RawMessage, warnings: list[Warning]) -> list[Evidence]:
    """The pieces that are within the contract's ranges, as the resolver takes no others."""
    usable = []
    for each in found[:MAX_PIECES]:
        wrong = evidence_violations(replace(each, evidence_id=""))
        if wrong:
            warnings.append(_unusable(raw, piece, f"holds a piece out of range: {_shown(wrong[0])}"))
        elif each.content is not None:
            usable.append(each)
    if len(found) > MAX_PIECES:
        warnings.append(_unusable(raw, piece, f"holds {len(found):,} pieces; the first {MAX_PIECES} were taken"))
    return usable


def _shown(violation: FieldViolation) -> str:
    return f"{violation.field}: {violation.description}"


def _names(evidence_id: str, parts: list[str]) -> list[str]:
    """A name for each piece of a message: the message's own for one, with the part behind it for several.

    >>> _names("aml-1", ["fix"]), _names("aml-1", ["fix", "cell"]), _names("x", ["", ""])
    (['aml-1'], ['aml-1/fix', 'aml-1/cell'], ['x/1', 'x/2'])
    """
    if len(parts) == 1:
        return [evidence_id]
    taken: set[str] = set()
    names = []
    for place, part in enumerate(parts, 1):
        name = part or str(place)
        name = name if name not in taken else f"{name}-{place}"
        taken.add(name)
        names.append(f"{evidence_id}/{name}")
    return names


def _completed(piece: Evidence, report: DeviceReport) -> EvidenceContent | None:
    """The content of a piece, with what the report beside its message states and the message does not."""
    content = piece.content
    if not isinstance(content, DeviceReport):
        return content
    unknown = PositioningMethod.UNSPECIFIED
    if report.confidence is None and report.method is unknown and not report.floor and not report.platform:
        return content
    return replace(
        content,
        confidence=report.confidence if content.confidence is None else content.confidence,
        method=report.method if content.method is unknown else content.method,
        floor=content.floor or report.floor,
        platform=content.platform or report.platform,
    )


def _unusable(raw: RawMessage, piece: Evidence, what: str) -> Warning:
    name = raw.format if raw.format in messages.FORMATS else "unnamed"
    return Warning(
        WarningCode.UNUSABLE_EVIDENCE,
        f"the {name} message {piece.evidence_id!r} {_quoted(what)}",
        piece.evidence_id,
        _FIELD,
    )


def _quoted(words: object) -> str:
    """The words without control characters and of bounded length: parts of them may be the message's own."""
    text = "".join(c if c.isprintable() else "?" for c in str(words)[: _MAX_QUOTED + 1])
    return text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 3] + "..."
