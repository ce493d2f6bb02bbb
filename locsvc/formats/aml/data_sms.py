"""Data messages: the text packed into septets, perhaps behind a user data header.

References
----------
3GPP TS 23.040 clause 9.2.3.24 (user data header); sheet 01 of the standards, section 3.
"""

from __future__ import annotations

from collections.abc import Iterator

from locsvc.formats.aml import gsm7, text
from locsvc.formats.reading import Reading, Unreadable

# Some fifteen messages joined; one has 140 octets.
MAX_OCTETS = 2_048
# Information elements of a user data header (3GPP TS 23.040 clause 9.2.3.24): parts of a series, 8 and 16 bit numbers.
_SERIES = {0x00: 3, 0x08: 4}
# Septets that the header of the text and its spellings need.
_OPENING_SEPTETS = 16
_PADDING = "@\r"


def text_in(octets: bytes) -> str | None:
    """The text of a data message, None when it is no AML text.

    >>> text_in(gsm7.pack(b'A"ML=1;lt=+0.10000'))
    'A"ML=1;lt=+0.10000'
    """
    octets = octets[:MAX_OCTETS]
    for start, fill_bits in _starts(octets):
        opening = gsm7.text_of(gsm7.unpack(octets[start : start + _OPENING_SEPTETS], _OPENING_SEPTETS, fill_bits))
        if text.is_header(opening):
            return _whole(gsm7.unpack(octets[start:], None, fill_bits))
    return None


def read(message: bytes, *, arrived_at: float | None = None) -> Reading:
    """What a data message says.

    Parameters
    ----------
    message
        The user data, with or without its header.
    arrived_at
        When it came, Unix seconds.

    Raises
    ------
    Unreadable
        No AML text is packed in it.
    """
    packed = text_in(message)
    if packed is None:
        part = _part_of_series(message)
        raise Unreadable(
            f'no AML text in {len(message):,} octets: expected GSM 7-bit septets that begin with A"ML='
            + (f"; it is part {part[0]} of {part[1]}: join the parts first" if part else "")
        )
    return text.read(packed, arrived_at=arrived_at)


def _starts(octets: bytes) -> Iterator[tuple[int, int]]:
    """Where septets may begin: at once, or behind a header at the next octet or the next septet boundary."""
    yield 0, 0
    if octets and octets[0] + 1 < len(octets):
        start = octets[0] + 1
        yield start, 0
        fill_bits = -start * gsm7.OCTET_BITS % gsm7.SEPTET_BITS
        if fill_bits:
            yield start, fill_bits


def _whole(septets: bytes) -> str:
    # 8 septets fill 7 octets, so after 7 there may stand one of padding: 0 ("@") or carriage return.
    message = gsm7.text_of(septets)
    if len(septets) % gsm7.OCTET_BITS == 0 and message[-1:] in _PADDING:
        return message[:-1]
    return message


def _part_of_series(octets: bytes) -> tuple[int, int] | None:
    """Number and count of parts, if a user data header says that this is one of several."""
    end = octets[0] + 1 if octets else 0
    if not 1 < end <= len(octets):
        return None
    at = 1
    while at + 2 <= end:
        element, length = octets[at], octets[at + 1]
        if _SERIES.get(element) == length and at + 2 + length <= end:
            count, number = octets[at + length : at + 2 + length]
            return number, count
        at += 2 + length
    return None
