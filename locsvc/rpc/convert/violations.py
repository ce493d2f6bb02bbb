"""Field violations, gathered while a message is read.

A reader appends violations with the path below its own message; the reader above puts its part of the path in front
when the list has grown. So nothing is paid for paths while all is well.
"""

from __future__ import annotations

from locsvc.errors import FieldViolation, InvalidInput

Violations = list[FieldViolation]


def add(out: Violations, field: str, description: str) -> None:
    """Append one violation; `description` says what is wrong and what to do, and never quotes the caller's value."""
    out.append(FieldViolation(field, description))


def not_a_message(method: str) -> InvalidInput:
    """The error for bytes that are no message of the method."""
    return InvalidInput([FieldViolation("request", f"is not a message of {method}; check the client's contract")])


def put_under(out: Violations, first: int, prefix: str) -> None:
    """Put `prefix` before the paths of the violations from index `first` on.

    >>> out = [FieldViolation("mcc", "wrong")]
    >>> put_under(out, 0, "serving.")
    >>> out[0].field
    'serving.mcc'
    """
    out[first:] = [FieldViolation(prefix + v.field, v.description) for v in out[first:]]
