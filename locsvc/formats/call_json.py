"""JSON text of calls, and of the answers: the proto3 JSON mapping of `Call` and `LocationEstimate`."""

from __future__ import annotations

import json

from locsvc import model
from locsvc.errors import BadData, FieldViolation, InvalidInput
from locsvc.formats.call_checks import call_violations
from locsvc.formats.proto_json import Json, read_json, to_json


def call_from_json(value: object) -> model.Call:
    """The call that a parsed JSON object holds, with every range checked.

    Raises
    ------
    InvalidInput
        Fields are unknown, of a wrong kind or out of range; each is named by its path.

    Examples
    --------
    >>> call_from_json({"call_id": "c-1", "calling_number": "+442079460123"}).call_id
    'c-1'
    """
    violations: list[FieldViolation] = []
    call = read_json(model.Call, value, violations)
    if call is not None:
        violations += _out_of_range(call, violations)
    if call is None or violations:
        raise InvalidInput(violations)
    return call


def _out_of_range(call: model.Call, unread: list[FieldViolation]) -> list[FieldViolation]:
    """Fields out of range of a call that was read but for some fields, without what follows from those."""
    if any(violation.field.endswith("]") for violation in unread):
        return []  # An item of a list is missing: those behind it have other places than their sender gave them.
    # In a shape one field bounds another.
    shapes = {parent for v in unread if ".shape." in (parent := v.field.rpartition(".")[0])}
    return [v for v in call_violations(call) if v.field.rpartition(".")[0] not in shapes]


def parse_json(text: str) -> object:
    """What the JSON text says.

    Raises
    ------
    BadData
        It is not JSON; the line and column are named.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadData(f"not JSON at line {error.lineno} column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise BadData("JSON is nested too deeply") from None


def call_from_text(text: str) -> model.Call:
    """The call that JSON text holds.

    Raises
    ------
    BadData
        It is not JSON.
    InvalidInput
        Fields are unknown, of a wrong kind or out of range.
    """
    return call_from_json(parse_json(text))


def call_to_json(call: model.Call) -> Json:
    """The call in the proto3 JSON mapping."""
    return to_json(call)


def estimate_to_json(estimate: model.LocationEstimate) -> Json:
    """The estimate in the proto3 JSON mapping.

    >>> estimate_to_json(model.LocationEstimate(model.Outcome.NO_LOCATION, "c-1", 0.9))
    {'outcome': 'OUTCOME_NO_LOCATION', 'call_id': 'c-1', 'confidence': 0.9}
    """
    return to_json(estimate)


def estimate_from_json(value: object) -> model.LocationEstimate:
    """The estimate that a parsed JSON object holds.

    Raises
    ------
    InvalidInput
        Fields are unknown or of a wrong kind.
    """
    violations: list[FieldViolation] = []
    estimate = read_json(model.LocationEstimate, value, violations)
    if estimate is None or violations:
        raise InvalidInput(violations)
    return estimate
