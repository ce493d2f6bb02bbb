"""The grammar that SIP header fields share: unfolding, lists, parameters, quoted strings.

References
----------
RFC 3261 sections 7.3.1 (folding, several values) and 25.1 (grammar); RFC 2045 section 5.1 (Content-Type).
"""

from __future__ import annotations

import re

# Either kind of text hides separators. Each branch always matches to its end, so a search is linear.
_HIDING = re.compile(r'"(?:[^"\\]|\\.?)*(?:"|\Z)|<[^<>"]*>', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FIELD = re.compile(r"([!-9;-~]{1,128})[ \t]*:[ \t]*(.*)", re.DOTALL)
_LINE_END = re.compile(r"\r\n|\r|\n")
_FOLD = re.compile(r"(?:\r\n|\r|\n)[ \t]+")
# Compact names of RFC 3261 section 7.3.3 of the fields that are read here.
_LONG_NAMES = {"c": "content-type", "e": "content-encoding", "f": "from", "i": "call-id", "l": "content-length"}
# Bounds on what is kept of a header block; a call has some tens of fields.
MAX_FIELDS = 500
MAX_BLOCK = 2**16


def split_list(text: str, separator: str = ",") -> list[str]:
    """The pieces between separators that stand outside quotes and angle brackets, stripped.

    >>> split_list('<cid:a,b>;x="1,2", <sip:c@example.com>')
    ['<cid:a,b>;x="1,2"', '<sip:c@example.com>']
    """
    if '"' not in text and "<" not in text:
        return [piece.strip() for piece in text.split(separator)]
    bare = _HIDING.sub(lambda m: "_" * len(m[0]), text)
    pieces, start = [], 0
    for piece in bare.split(separator):
        pieces.append(text[start : start + len(piece)].strip())
        start += len(piece) + len(separator)
    return pieces


def unquoted(text: str) -> str:
    """The text of a quoted string, or the text as it is.

    >>> unquoted('"UTC+01:00"'), unquoted("token")
    ('UTC+01:00', 'token')
    """
    text = text.strip()
    if not text.startswith('"'):
        return text
    inner = text[1:-1] if len(text) > 1 and text.endswith('"') else text[1:]
    return _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner


def parameters(value: str) -> tuple[str, dict[str, str]]:
    """What stands before the first semicolon, and the parameters by lower-case name; the first of a name counts.

    >>> parameters('multipart/mixed; Boundary="a;b"; flag')
    ('multipart/mixed', {'boundary': 'a;b', 'flag': ''})
    """
    head, *rest = split_list(value, ";")
    found: dict[str, str] = {}
    for piece in rest:
        name, _, text = piece.partition("=")
        if name := name.strip().lower():
            found.setdefault(name, unquoted(text))
    return head, found


def fields_of(block: str) -> dict[str, list[str]]:
    r"""The header fields by long lower-case name, unfolded, in order; lines that are no field are left out.

    >>> fields_of("c: application/pidf+xml\r\nGeolocation: <cid:a>,\r\n <cid:b>")
    {'content-type': ['application/pidf+xml'], 'geolocation': ['<cid:a>, <cid:b>']}
    """
    found: dict[str, list[str]] = {}
    for line in _LINE_END.split(_FOLD.sub(" ", block[:MAX_BLOCK]), MAX_FIELDS)[:MAX_FIELDS]:
        if field := _FIELD.fullmatch(line.rstrip()):
            name = field[1].lower()
            found.setdefault(_LONG_NAMES.get(name, name), []).append(field[2])
    return found
