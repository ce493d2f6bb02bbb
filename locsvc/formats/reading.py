"""What a parser understood of one message: evidence, warnings, and what the model has no word for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from locsvc.errors import BadData
from locsvc.model import Evidence


class Unreadable(BadData):
    """Nothing of a message can be understood; `str(error)` says what was expected and what was there."""


@dataclass(frozen=True, slots=True)
class FormatWarning:
    """One thing in a message that was missing, odd or not believed.

    `field` is the message's own name of it ("lg", "gs:radius", "cell id"), `value` what stood there, masked where it
    would identify a person, `reason` what is wrong and what was done about it.
    """

    field: str
    value: str
    reason: str

    def __str__(self) -> str:
        shown = f" {self.value!r}" if self.value else ""
        return f"{self.field}{shown}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one message says.

    `evidence` may be empty: a message can say "no location" in so many words, and `no_location` is then the reason.
    `calling_number` and `started_at` are given where the message carries them. `details` holds, by the message's own
    names, what was understood and the model has no word for, in reading order; identities of people and handsets in it
    are masked.
    """

    evidence: tuple[Evidence, ...] = ()
    warnings: tuple[FormatWarning, ...] = ()
    calling_number: str = ""
    started_at: float | None = None
    no_location: str = ""
    details: Mapping[str, str] = field(default_factory=dict)


# Digits of an identity that are shown: the country and network of an IMSI, the type of a handset.
SHOWN_DIGITS = 6


def masked(identity: str) -> str:
    """An IMSI, IMEI or similar with all but its first digits hidden.

    >>> masked("001011234567890")
    '001011*********'
    """
    return identity[:SHOWN_DIGITS] + "*" * max(0, len(identity) - SHOWN_DIGITS)
