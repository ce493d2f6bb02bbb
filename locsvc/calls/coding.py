"""Evidence and estimates as the journal has them: JSON, exact to the last bit; and what makes a piece a repeat."""

from __future__ import annotations

import functools
import hashlib
import hmac
import json
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar, cast

from locsvc.errors import BadData, FieldViolation, InvalidInput
from locsvc.formats.proto_json import Json, read_json, to_json
from locsvc.formats.spelling import timestamp_text
from locsvc.model import Evidence, LineLookup, LocationEstimate

T = TypeVar("T")

_MAX_NAME: Final = 128
# ITU-T E.164: a country code that does not begin with 0, 15 digits in all.
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
# 2^-64 and 2^-128 are chances that no journal meets.
_OWNER_BYTES, _PIECE_BYTES = 8, 16


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of evidence as it is written.

    Parameters
    ----------
    evidence
        With the time that it counts for; without a name when its sender gave none.
    fingerprint
        Of what it says, without its name: equal for repeats.
    body
        JSON text without its name and `observed_at`.
    """

    evidence: Evidence
    fingerprint: bytes
    body: str


def piece_of(evidence: Evidence, received_at: float) -> Piece:
    """The piece as it is written, with the time that it counts for: a time after its arrival is its sender's clock.

    Raises
    ------
    InvalidInput
        It cannot be written.
    """
    try:
        written = to_json(replace(evidence, evidence_id="", observed_at=None))
        _exact_line_time(evidence, written)
        body = json.dumps(written, separators=(",", ":"))
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InvalidInput([FieldViolation("evidence", f"cannot be written: {error}")]) from error
    # The time as it was sent: a sender that repeats itself gives the same, or none again.
    fingerprint = hashlib.sha256(f"{evidence.observed_at!r} {body}".encode()).digest()[:_PIECE_BYTES]
    sent_at = evidence.observed_at
    observed_at = received_at if sent_at is None else min(sent_at, received_at)
    return Piece(replace(evidence, observed_at=observed_at), fingerprint, body)


def _exact_line_time(evidence: Evidence, written: Json) -> None:
    content = evidence.content
    if isinstance(content, LineLookup) and content.record is not None and content.record.updated_at is not None:
        record = cast("Json", cast("Json", written["line_lookup"])["record"])
        record["updated_at"] = exact_time_text(content.record.updated_at)


def exact_time_text(time_s: float) -> str:
    """RFC 3339 with as many decimals as it takes to read the same float back.

    >>> exact_time_text(1700000000.1234567)
    '2023-11-14T22:13:20.123456717Z'
    >>> exact_time_text(1700000000.25)
    '2023-11-14T22:13:20.250Z'
    """
    if round(time_s * 1e6) / 1e6 == time_s:
        return timestamp_text(time_s)
    # Floats of our time lie 2.4e-7 s apart: nine decimals tell each from its neighbours.
    whole = math.floor(time_s)
    nanos = min(999_999_999, round((time_s - whole) * 1e9))
    return f"{timestamp_text(float(whole))[:-1]}.{nanos:09d}Z"


def evidence_of(body: str, evidence_id: str, observed_at: float) -> Evidence:
    """The piece that was written.

    Raises
    ------
    BadData
        The text is not a piece of evidence.
    """
    return replace(_read(Evidence, body), evidence_id=evidence_id, observed_at=observed_at)


def estimate_bytes(estimate: LocationEstimate) -> bytes:
    """The estimate as it is written: JSON, deflated."""
    written = to_json(estimate)
    if estimate.estimated_at is not None:
        written["estimated_at"] = exact_time_text(estimate.estimated_at)
    for dataset, entry in zip(estimate.datasets, cast("list[Json]", written.get("datasets", [])), strict=True):
        if dataset.built_at is not None:
            entry["built_at"] = exact_time_text(dataset.built_at)
    # Level 1: a region shrinks to a quarter in a tenth of the time that the best level takes.
    return zlib.compress(json.dumps(written, separators=(",", ":")).encode(), 1)


def estimate_of(body: bytes) -> LocationEstimate:
    """The estimate that was written.

    Raises
    ------
    BadData
        The bytes are not an estimate.
    """
    try:
        text = zlib.decompress(body).decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise BadData(f"the journal has an estimate that cannot be read: {error}") from error
    return _read(LocationEstimate, text)


def _read(kind: type[T], text: str) -> T:
    violations: list[FieldViolation] = []
    try:
        value = read_json(kind, json.loads(text), violations)
    except json.JSONDecodeError as error:
        raise BadData(f"the journal has a row that is not JSON: {error.msg}") from error
    if value is None or violations:
        raise BadData(f"the journal has a row that cannot be read: {InvalidInput(violations)}")
    return value


def key_of(owner: str, what: bytes) -> bytes:
    """Key of a name or content within a call or number: (24,) bytes, those of one owner side by side.

    >>> len(key_of("c-1", b"sms-1")), key_of("c-1", b"sms-1")[:8] == key_of("c-1", b"sms-2")[:8]
    (24, True)
    """
    return owner_bytes(owner) + hashlib.sha256(what).digest()[:_PIECE_BYTES]


# A call comes again and again.
@functools.lru_cache(maxsize=4096)
def owner_bytes(owner: str) -> bytes:
    """Eight bytes that stand for a call or number."""
    return hashlib.sha256(owner.encode()).digest()[:_OWNER_BYTES]


def number_hash(key: str, number: str) -> str:
    """The number as it stands in the audit: HMAC-SHA256, empty for no number.

    >>> number_hash("key", "+15550100")[:8]
    '...'
    """
    return hmac.new(key.encode(), number.encode(), hashlib.sha256).hexdigest() if number else ""


def check_keys(call_id: str, calling_number: str, times: dict[str, float | None]) -> None:
    """Nothing, when a call can go by this name, number and these times.

    Raises
    ------
    InvalidInput
        One of them cannot be a key of the journal; it is named.
    """
    violations = list(_wrong_name("call_id", call_id))
    if calling_number and not _E164.fullmatch(calling_number):
        violations.append(FieldViolation("calling_number", "is not a number in E.164: write it as +442079460123"))
    for field, time_s in times.items():
        if time_s is not None and not math.isfinite(time_s):
            violations.append(FieldViolation(field, f"{time_s} is not a time"))
    if violations:
        raise InvalidInput(violations)


def check_pieces(evidence: tuple[Evidence, ...]) -> None:
    """Nothing, when pieces can go by their names.

    Raises
    ------
    InvalidInput
        A name is too long or not text, or a time is none; it is named by its place.
    """
    violations: list[FieldViolation] = []
    for place, piece in enumerate(evidence):
        violations += _wrong_name(f"evidence[{place}].evidence_id", piece.evidence_id)
        if piece.observed_at is not None and not math.isfinite(piece.observed_at):
            violations.append(FieldViolation(f"evidence[{place}].observed_at", f"{piece.observed_at} is not a time"))
    if violations:
        raise InvalidInput(violations)


def _wrong_name(field: str, name: str) -> Iterator[FieldViolation]:
    if len(name) > _MAX_NAME:
        yield FieldViolation(field, f"has {len(name)} characters; at most {_MAX_NAME}")
    # PostgreSQL has no text with it, and half a surrogate pair is no text at all.
    elif "\0" in name or not _is_text(name):
        yield FieldViolation(field, "has characters that are not text: leave them out")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
