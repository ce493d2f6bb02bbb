"""From what came, bytes or text, to the octets of a shape or the JSON of one."""

from __future__ import annotations

import binascii
import re

from locsvc.formats.gad.octets import is_whole
from locsvc.formats.reading import Unreadable

# The longest shape is a polygon of 91 octets; as text with separators it is far below this.
MOST_TEXT = 1024
MOST_OCTETS = 65_536
SHOWN_TEXT = 40

# ASCII alone: `\d` and `\s` would let digits and blanks of other scripts through.
_HEX = re.compile(r"(?:0[xX])?[0-9A-Fa-f]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_SEPARATORS = str.maketrans("", "", " \t\r\n:")
_TEXT_OCTETS = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/-_= \t\r\n:")


def octets_or_json(message: bytes | str) -> bytes | str:
    """The octets of the message; or its text, when that is JSON.

    Raises
    ------
    Unreadable
        The message is empty, too long, or text that is neither JSON nor hex nor base64.
    """
    if len(message) > MOST_OCTETS:
        raise Unreadable(f"GAD of {len(message):,} octets; at most {MOST_OCTETS:,} are read")
    if isinstance(message, bytes):
        if not message:
            raise Unreadable("GAD without octets")
        if is_whole(message):
            return message
        if message.lstrip()[:1] != b"{" and not (message[0] in _TEXT_OCTETS and _is_text(message)):
            return message
        text = message.decode("utf-8", "replace")
    else:
        text = message
    text = text.strip()
    return text if text[:1] == "{" else octets_of(text)


def _is_text(message: bytes) -> bool:
    """Whether octets that are no whole shape are its hex or base64 text: a shape begins with a digit or a letter."""
    return len(message) <= MOST_TEXT and _TEXT_OCTETS.issuperset(message)


def octets_of(text: str) -> bytes:
    """The octets that hex text, or else base64 text, stands for.

    Raises
    ------
    Unreadable
        It is neither.

    >>> octets_of("10 20b60c 1dddde 28") == octets_of("ECC2DB3d3ig=")
    True
    """
    if len(text) <= MOST_TEXT:
        packed = text.translate(_SEPARATORS)
        if _HEX.fullmatch(packed):
            digits = packed[2:] if packed[:2] in ("0x", "0X") else packed
            if digits and len(digits) % 2 == 0:
                return bytes.fromhex(digits)
        octets = _of_base64(packed)
        if octets:
            return octets
    raise Unreadable(f"GAD text {text[:SHOWN_TEXT]!r} is neither an even number of hex digits, base64 nor JSON")


def _of_base64(packed: str) -> bytes | None:
    if not _BASE64.fullmatch(packed):
        return None
    bare = packed.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return None
