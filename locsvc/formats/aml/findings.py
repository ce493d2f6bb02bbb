"""What is collected while one message is read: warnings, details, and what goes into the Reading beside evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable

from locsvc.formats.reading import FormatWarning, Reading, masked
from locsvc.model import Evidence

# A warning shows no more of a value than this.
SHOWN_CHARACTERS = 40
# A detail holds no more of one.
KEPT_CHARACTERS = 200
# After so many fields that are not known by name, the rest is only counted.
NAMED_UNKNOWNS = 8
# Numbers as long as those of subscribers and handsets, in values whose meaning is not known.
_IDENTITY = re.compile(r"[0-9]{9,}")
# Fields without which there is no place.
_PLACES = frozenset({"lt", "lg", "lo", "location_latitude", "location_longitude"})
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def printable(value: str) -> str:
    r"""A value without control characters and halves of characters, which nothing further on could carry.

    >>> printable("2\x00")
    '2?'
    """
    return value if value.isprintable() else _UNPRINTABLE.sub("?", value)


def guarded(value: str) -> str:
    """A value as a warning may show it: short, printable, long numbers masked.

    >>> guarded("si001011234567890")
    'si001011*********'
    """
    shown = _IDENTITY.sub(lambda found: masked(found[0]), printable(value[:SHOWN_CHARACTERS]))
    return shown + "..." if len(value) > SHOWN_CHARACTERS else shown


class Findings:
    """Warnings and details of one message, in reading order.

    Parameters
    ----------
    arrived_at
        When the message came, Unix seconds; None when that is not known.
    """

    __slots__ = ("arrived_at", "calling_number", "details", "no_location", "started_at", "warnings")

    def __init__(self, arrived_at: float | None = None) -> None:
        self.arrived_at = arrived_at
        self.calling_number = ""
        self.started_at: float | None = None
        self.no_location = ""
        self.warnings: list[FormatWarning] = []
        self.details: dict[str, str] = {}

    def warn(self, field: str, value: str, reason: str) -> None:
        """A warning about a field is noted; the value is shown guarded."""
        self.warnings.append(FormatWarning(guarded(field), guarded(value), reason))

    def warn_openly(self, field: str, value: str, reason: str) -> None:
        """As `warn`, for a value that was understood and identifies nobody: long numbers stay readable."""
        self.warnings.append(FormatWarning(field, printable(value[:SHOWN_CHARACTERS]), reason))

    def no_place(self, reason: str) -> None:
        """The message gives no location, for this reason; the first one stays."""
        self.no_location = self.no_location or reason

    def put(self, fields: dict[str, str], name: str, text: str, contradicted: set[str]) -> None:
        """A field's text is put among the others; one that stands there already is warned about."""
        if name not in fields:
            fields[name] = text
        elif fields[name] == text:
            self.warn(name, text, "stands twice; read once")
        else:
            contradicted.add(name)
            self.warn(name, text, f"stands twice, and says {guarded(fields[name])!r} before; neither is used")

    def take_out(self, fields: dict[str, str], contradicted: Iterable[str]) -> None:
        """Fields that stand twice with different texts leave the others; nobody knows which of the two is meant."""
        for name in sorted(contradicted):
            del fields[name]
            if name in _PLACES:
                self.no_place(f"{name} stands twice and says different things")

    def keep(self, field: str, value: str | None) -> None:
        """A value that the model has no word for is noted, if it is there."""
        if value:
            self.details[field] = printable(value[:KEPT_CHARACTERS])

    def keep_masked(self, field: str, identity: str | None, lengths: range) -> None:
        """An identity of a person or handset is noted, masked; what cannot be one is warned about."""
        if not identity:
            return
        shown = printable(masked(identity[:SHOWN_CHARACTERS]))
        self.details[field] = shown
        if len(identity) not in lengths or not (identity.isascii() and identity.isdigit()):
            reason = f"is no identity of {lengths.start} to {lengths.stop - 1} digits; kept masked"
            self.warnings.append(FormatWarning(field, shown, reason))

    def unknown(self, fields: dict[str, str]) -> None:
        """Fields that are not known by name are warned about, the first ones by name and the others together."""
        for name in list(fields)[:NAMED_UNKNOWNS]:
            self.warn(name, fields[name], "is not a field that is known; left out")
        if len(fields) > NAMED_UNKNOWNS:
            self.warn("", "", f"{len(fields) - NAMED_UNKNOWNS} more fields are not known; left out")

    def reading(self, *evidence: Evidence) -> Reading:
        """All that was found, with the evidence."""
        return Reading(
            evidence,
            tuple(self.warnings),
            self.calling_number,
            self.started_at,
            "" if evidence else self.no_location,
            self.details,
        )
