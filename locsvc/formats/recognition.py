"""Which format a message is in, told by how it begins, and only when that is sure."""

from __future__ import annotations

import re

from locsvc.formats import messages
from locsvc.formats.reading import Unreadable

# How far into a message its signature is looked for.
_HEAD = 4096
_ROOT = re.compile(
    r"(?:\s|<\?[^>]{0,200}\?>|<!--(?:[^-]|-(?!->)){0,2000}-->)*<(?:[\w.-]{1,40}:)?([A-Za-z][\w.-]{0,60})"
)
_ROOTS = {
    "presence": "pidf-lo",
    "locationRequest": "held",
    "locationResponse": "held",
    "svc_init": "mlp",
    "svc_result": "mlp",
    "slia": "mlp",
    "slirep": "mlp",
    "slrep": "mlp",
    "eme_lia": "mlp",
    "emerep": "mlp",
    "tlrep": "mlp",
    "measurements": "rfc7105",
}
_HELD_ERROR = "urn:ietf:params:xml:ns:geopriv:held"
_SIGNATURES = (
    # A"ML=1;... as text, and the same packed in seven bits as octets, hexadecimal or base64.
    (
        "aml",
        re.compile(
            r"""\s*["']?A(?:\\?["']{1,2}|[\u201c\u201d\u2033]|\xe2\x80[\x9c\x9d\xb3]|&quot;|&#34;|%22)?ML"""
            r" ?(?:=|%3D) ?[1-3]"
            r"|\s*A\"ML=|AQ\x93|\s*41 ?51 ?93|\s*QVGT",
            re.IGNORECASE,
        ),
    ),
    ("aml", re.compile(r"\s*(?:\?|v=\d)[^\s<]*&?(?:location_latitude|device_number|location_time)=", re.ASCII)),
    ("access-network", re.compile(r"\s*(?:P-Access-Network-Info|Cellular-Network-Info)[ \t]*:", re.IGNORECASE)),
    ("access-network", re.compile(r"\s*3GPP-(?:GERAN|UTRAN|E-UTRAN|NR)[A-Z0-9-]*[ \t]*;", re.IGNORECASE)),
    ("sip", re.compile(r"\s*(?:[A-Z]{3,12} (?:sips?|tel|urn):\S+ SIP/2\.0|SIP/2\.0 \d{3})", re.IGNORECASE)),
    (
        "sip",
        re.compile(
            r"\s*(?:--[^\n]*\n)?(?:[A-Za-z-]+:[^\n]*\n)*Content-Type:[ \t]*(?:multipart/|application/pidf)",
            re.IGNORECASE,
        ),
    ),
    # A display to a call-taker: start of text, or a North American number in its first two lines.
    ("ali", re.compile(r"\s*\x02|[^\r\n]{0,40}[\r\n]{1,2}[ \t]*\(\d{3}\) ?\d{3}-\d{4}[ \t]", re.ASCII)),
)
_JSON = re.compile(r"\s*[\[{]")
# Members of the 5G core's JSON (TS 29.571, TS 29.572).
_SHAPE_NAMES = re.compile(
    r'"(?:shape|point|pointList|locationEstimate|geographicalInformation|geodeticInformation|(?:nr|eutra)Location)"\s*:'
)
_HEXADECIMAL = re.compile(r"\s*(?:0x)?((?:[0-9A-Fa-f]{2}[ \t:]?){7,91})\s*")
_MOST_GAD_OCTETS = 91


def recognised(message: bytes | str) -> str | None:
    """The name of the message's format, None when it could be several or is none.

    >>> recognised('A"ML=1;lt=+54.76397'), recognised("<presence/>"), recognised("hello")
    ('aml', 'pidf-lo', None)
    """
    head = message[:_HEAD]
    text = head.decode("latin-1").removeprefix("ï»¿") if isinstance(head, bytes) else head.removeprefix("\ufeff")
    root = _ROOT.match(text)
    if root is not None:
        known = _ROOTS.get(root[1])
        return known or ("held" if root[1] == "error" and _HELD_ERROR in text else None)
    for name, signature in _SIGNATURES:
        if signature.match(text):
            return name
    # These have no signature of their own: they are what they are read as, if nothing is odd then.
    candidates = []
    if _JSON.match(text):
        candidates = ["gad"] if _SHAPE_NAMES.search(text) else ["aml"]
    elif _HEXADECIMAL.fullmatch(text) or (len(message) <= _MOST_GAD_OCTETS and not text.isprintable()):
        candidates = ["gad"]
    elif len(message) >= 480:
        candidates = ["ali"]
    plain = _JSON.match(text) is None
    return next((name for name in candidates if _is_read(name, message, without_a_doubt=plain)), None)


def _is_read(name: str, message: bytes | str, *, without_a_doubt: bool) -> bool:
    try:
        reading = messages.read(name, message)
    except Unreadable:
        return False
    return bool(reading.evidence) and not (name == "gad" and without_a_doubt and reading.warnings)
