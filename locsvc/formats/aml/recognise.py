"""Which of the forms of AML and ELS a message has."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Iterator

from locsvc.formats.aml import data_sms, els_form, psap_json, text
from locsvc.formats.aml.findings import guarded
from locsvc.formats.reading import Reading, Unreadable

# Messages have below 4 KiB; a series of them in JSON may have more.
MAX_LENGTH = 65_536
# Digits of a data message, with spaces between; no other form is worth more.
MAX_ARMOURED = 8_192
_BLANK = "\ufeff \t\r\n\0"
_HEX = re.compile(r"[0-9A-Fa-f]{16,}")
_BASE64 = re.compile(r"[0-9A-Za-z+/_-]{12,}={0,2}")
_SPACES = re.compile(r"[\s:]+")
# Code pages of texts that are not UTF-8: Windows' has the typographic quotes.
_CODE_PAGE = "cp1252"


def read(message: bytes | str, *, arrived_at: float | None = None, hmac_key: bytes | None = None) -> Reading:
    """What a message of a handset or of a server that hands it on says, whichever of the forms it has.

    Text messages of version 1 and 2, data messages (octets, or hexadecimal or base64 digits of them), ELS forms, and
    the JSON of emergency centres' servers are told apart by what they begin with.

    Parameters
    ----------
    message
        As it came.
    arrived_at
        When it came, Unix seconds: a fix from later than that is not believed, one from much earlier is warned about.
    hmac_key
        Key of ELS forms, see `els_form.read`; the other forms have no HMAC.

    Raises
    ------
    Unreadable
        It is none of these, or nothing of it can be understood.
    """
    if len(message) > MAX_LENGTH:
        raise Unreadable(f"the message has {len(message):,} characters; at most {MAX_LENGTH:,} are read")
    if not message:
        raise Unreadable("the message is empty")
    reading = _read_plain(message, arrived_at, hmac_key)
    if reading is not None:
        return reading
    for octets in _armoured(message):
        reading = _read_plain(octets, arrived_at, hmac_key)
        if reading is not None:
            return reading
    shown = message if isinstance(message, str) else message[:80].decode("latin-1")
    raise Unreadable(
        'no AML or ELS message: expected A"ML=1;..., a data message, an ELS form or JSON; '
        f"got {len(message):,} characters that begin with {guarded(shown[:20])!r}"
    )


def _read_plain(message: bytes | str, arrived_at: float | None, hmac_key: bytes | None) -> Reading | None:
    """The reading of a message without armour, None when it is of no form."""
    plain = message if isinstance(message, str) else _decoded(message)
    if plain.startswith(text.HEADER):
        return text.read(plain, arrived_at=arrived_at)
    if plain.lstrip(_BLANK)[:1] in ("{", "["):
        return psap_json.read(plain, arrived_at=arrived_at)
    if els_form.is_form(plain):
        return els_form.read(message, arrived_at=arrived_at, hmac_key=hmac_key)
    if text.is_text(plain):
        return text.read(plain, arrived_at=arrived_at)
    if isinstance(message, bytes):
        packed = data_sms.text_in(message)
        if packed is not None:
            return text.read(packed, arrived_at=arrived_at)
    return None


def _decoded(octets: bytes) -> str:
    """The octets as text: UTF-16 where every other one is 0, else UTF-8, else Windows' code page."""
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return octets.decode("utf-16", "replace")
    if octets[:1] == b"\0" and octets[2:3] == b"\0":
        return octets.decode("utf-16-be", "replace")
    if octets[1:2] == b"\0" and octets[3:4] == b"\0":
        return octets.decode("utf-16-le", "replace")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode(_CODE_PAGE, "replace")


def _armoured(message: bytes | str) -> Iterator[bytes]:
    """What the message may be the hexadecimal or base64 digits of."""
    digits = (message if isinstance(message, str) else message.decode("latin-1")).strip(_BLANK + "\"'")
    if len(digits) > MAX_ARMOURED:
        return
    joined = _SPACES.sub("", digits)
    hexadecimal = joined[2:] if joined[:2] in ("0x", "0X") else joined
    if _HEX.fullmatch(hexadecimal):
        with contextlib.suppress(ValueError):
            yield bytes.fromhex(hexadecimal)
    if _BASE64.fullmatch(joined):
        standard = joined.rstrip("=").replace("-", "+").replace("_", "/")
        with contextlib.suppress(binascii.Error):
            yield base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
