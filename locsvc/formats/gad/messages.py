"""From what came, bytes or text, to the octets of a shape or the JSON of one."""

from __future__ import annotations

import binascii
import re

from locsvc.formats.gad.isup import is_geodetic_information
from locsvc.formats.gad.octets import is_whole
from locsvc.formats.reading import Unreadable

# The longest shape is a polygon of 91 octets; as text with separators it is far below this.
MOST_TEXT = 1024
MOST_OCTETS = 65_536
SHOWN_TEXT = 40
# What a protocol analyser leaves in front of a shape: a tag and a length.
BER_OCTETS = 2

# ASCII alone: `\d` and `\s` would let digits and blanks of other scripts through.
_HEX = re.compile(r"(?:0[xX])?[0-9A-Fa-f]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_WORD = re.compile(r"[A-Za-z]?[a-z]+|[A-Z]+|[0-9]+")
_SEPARATORS = str.maketrans("", "", " \t\r\n:")
_OFFSET = re.compile(r"0{4,8}:?[ \t]+(?=[0-9A-Fa-f]{2}(?:[ \t][0-9A-Fa-f]{2}){3})")
_LINE_BREAKS = str.maketrans("", "", "\r\n")
_PRINTABLE = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n")
_WORDS = re.compile(rb"[0-9A-Za-z \t\r\n.,:;()/+_-]+")
# Ellipses alone can be octets that are all printable: the type's octet is then the digit 0.
_ELLIPSE = 0x30


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
        if not _is_text(message):
            return message
        text = message.decode("utf-8", "replace")
    else:
        text = message
    text = text.strip("\ufeff \t\r\n\"'")
    return text if text[:1] == "{" else octets_of(text)


def _is_text(message: bytes) -> bool:
    """Whether octets are text: JSON, or printable all of them and not by chance."""
    if message.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return not is_whole(message)
    if not _PRINTABLE.issuperset(message.removeprefix(b"\xef\xbb\xbf")):
        return False
    return message[0] != _ELLIPSE or not is_whole(message) or _WORDS.fullmatch(message) is not None


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
        # The first column of a dump says where its octets stand: it is none of them.
        packed = _OFFSET.sub("", text, 1).translate(_SEPARATORS)
        if _HEX.fullmatch(packed):
            digits = packed[2:] if packed[:2] in ("0x", "0X") else packed
            if digits and len(digits) % 2 == 0:
                return bytes.fromhex(digits)
        # Words are base64 too: only what gives a shape to the last octet is believed.
        octets = _of_base64(text.translate(_LINE_BREAKS))
        if octets and (is_whole(octets) or is_whole(octets[BER_OCTETS:] or b"\0") or is_geodetic_information(octets)):
            return octets
    raise Unreadable(f"GAD text {text[:SHOWN_TEXT]!r} is neither an even number of hex digits, base64 nor JSON")


def _of_base64(text: str) -> bytes | None:
    if not _BASE64.fullmatch(text) or _WORD.fullmatch(text):
        return None
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        octets = binascii.a2b_base64(bare + "=" * (-len(bare) % 4))
    except binascii.Error:
        return None
    # Bits behind the last octet are 0 in what an encoder wrote.
    return octets if binascii.b2a_base64(octets, newline=False).decode("ascii").rstrip("=") == bare else None
