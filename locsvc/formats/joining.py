"""Several readings of one message as one: the bodies of a SIP message, the parts of a HELD response."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Container, Iterable

from locsvc.formats.reading import Reading
from locsvc.model import Evidence

# Bounds on what is kept of one message.
MAX_EVIDENCE = 200
MAX_WARNINGS = 200


def joined(parts: Iterable[tuple[str, Reading]]) -> Reading:
    """One reading of named parts, in order: each piece of evidence has an id of its own, each detail its name.

    What a part calls itself is kept where no other part does; a second one gets the part's name, then a number. The
    first number and time that is given counts. The reason for no location is given when there is none at all.

    >>> part = Reading(no_location="unknown", details={"a": "1"})
    >>> joined([("body", part), ("aml", part)]).details
    {'a': '1', 'aml.a': '1'}
    """
    readings = list(parts)
    several = sum(len(part.evidence) for _, part in readings) > 1
    evidence: list[Evidence] = []
    ids: set[str] = set()
    details: dict[str, str] = {}
    for name, part in readings:
        for piece in part.evidence[: MAX_EVIDENCE - len(evidence)]:
            identity = _unused(piece.evidence_id or name, name, ids) if several else piece.evidence_id
            ids.add(identity)
            evidence.append(dataclasses.replace(piece, evidence_id=identity))
        for key, text in part.details.items():
            details[_unused(key, f"{name}.{key}", details)] = text
    warnings = tuple(warning for _, part in readings for warning in part.warnings)
    reasons = "; ".join(dict.fromkeys(part.no_location for _, part in readings if part.no_location))
    return Reading(
        tuple(evidence),
        warnings[:MAX_WARNINGS],
        calling_number=next((part.calling_number for _, part in readings if part.calling_number), ""),
        started_at=next((part.started_at for _, part in readings if part.started_at is not None), None),
        no_location="" if evidence else reasons or "the message has no location",
        details=details,
    )


def _unused(wanted: str, fallback: str, used: Container[str]) -> str:
    """The wanted name, or the other one, with a number where that is taken too."""
    if wanted not in used:
        return wanted
    numbered = (fallback if n == 1 else f"{fallback}-{n}" for n in itertools.count(1))
    return next(name for name in numbered if name not in used)
