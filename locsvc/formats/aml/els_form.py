"""The body that Android's Emergency Location Service posts: `v=1&location_latitude=51.5&...&hmac=...`.

References
----------
developers.google.com/android/els/reference/http-spec; sheet 01 of the standards, section 4; RFC 2104 (HMAC).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from urllib.parse import unquote_plus

from locsvc.formats.aml import els_fields
from locsvc.formats.aml.findings import Findings, guarded
from locsvc.formats.reading import Reading, Unreadable

# ELS sends some 40 fields.
MAX_FIELDS = 200
_KNOWN = re.compile(
    r"(?:^|[&?\s])(?:amp;)?(?:(?:gt_)?location|device|cell)_[a-z_]{1,30}=|^(?:v|time|thunderbird_version)="
)
# A form is known by what stands within so many characters.
_OPENING = 4_096
_HMAC = b"&hmac="


def is_form(message: str) -> bool:
    """Whether it is a form with fields of ELS.

    >>> is_form("v=1&location_latitude=51.5"), is_form("a=1&b=2")
    (True, False)
    """
    return _KNOWN.search(message[:_OPENING]) is not None


def read(message: bytes | str, *, arrived_at: float | None = None, hmac_key: bytes | None = None) -> Reading:
    """What a form of ELS says.

    Parameters
    ----------
    message
        The body exactly as it was posted: the HMAC is of its bytes.
    arrived_at
        When it came, Unix seconds.
    hmac_key
        Key of the handsets' configuration. With it, a form whose HMAC is missing or does not fit is not believed: the
        reading then holds no evidence and no number, and says so. None: the HMAC is not checked.

    Raises
    ------
    Unreadable
        No field of ELS is in it.
    """
    body = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
    found = Findings(arrived_at)
    if not is_form(body[:_OPENING].decode("latin-1")):
        raise Unreadable(f"no ELS form: expected fields such as location_latitude=51.5, got {guarded(str(body[:40]))}")
    signed, _, rest = body.partition(_HMAC)
    signature, _, unsigned = rest.partition(b"&")
    if hmac_key:
        if not _is_authentic(signed, signature, hmac_key):
            return _refused(signature, found)
        if unsigned:
            found.warn("hmac", "", "fields behind the HMAC are not covered by it; left out")
    elif signature:
        found.warn("hmac", "", "was not checked: no key is set")
        if unsigned:
            signed += b"&" + unsigned
    return els_fields.read_fields(_fields(signed, found), found)


def _is_authentic(signed: bytes, signature: bytes, key: bytes) -> bool:
    """Whether the signature is that of the bytes, compared in constant time."""
    expected = hmac.new(key, signed, hashlib.sha1).hexdigest().encode()
    return hmac.compare_digest(expected, signature.strip().lower())


def _refused(signature: bytes, found: Findings) -> Reading:
    if signature:
        reason = "does not fit the message and the key: it was forged, or changed on its way; nothing of it is used"
    else:
        reason = "is missing, although a key is set: nothing of the message is used"
    found.warn("hmac", "", reason)
    found.no_place(f"the message is not authentic: its HMAC {reason.partition(':')[0]}")
    return found.reading()


def _fields(body: bytes, found: Findings) -> dict[str, str]:
    """Texts by name, decoded; a name that stands twice with different texts is taken out."""
    text = body.decode("utf-8", "replace").strip("\ufeff \t\r\n\0\"'")
    if "?" in text.partition("=")[0]:
        text = text.partition("?")[2]
    pairs = text.split("&", MAX_FIELDS)
    if len(pairs) > MAX_FIELDS:
        found.warn("", "", f"more than {MAX_FIELDS} fields; the rest is left out")
        del pairs[MAX_FIELDS]
    fields: dict[str, str] = {}
    contradicted: set[str] = set()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = unquote_plus(name).strip().lower().removeprefix("amp;")
        if not equals or not name:
            if pair:
                found.warn("", pair, "is no pair of name and value; left out")
        else:
            found.put(fields, name, _decoded(name, value), contradicted)
    found.take_out(fields, contradicted)
    return fields


def _decoded(name: str, value: str) -> str:
    text = unquote_plus(value) if "%" in value or "+" in value else value
    # The space may be the plus of a number that nobody encoded.
    return text.rstrip() if name == "device_number" else text.strip()
