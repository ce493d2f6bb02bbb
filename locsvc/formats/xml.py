"""XML from strangers: parsed within fixed bounds, without DOCTYPE, entities or network.

`parse` gives the root element with the comments and processing instructions gone, so that the text of an element is
one piece. A document that was cut off, or that breaks the rules of XML somewhere, is read as far as it can be trusted.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TypeAlias

from lxml import etree

from locsvc.formats.reading import FormatWarning, Unreadable

# lxml has no public name for the type of its elements.
Element: TypeAlias = etree._Element  # noqa: SLF001

# Far above any location message (a PIDF-LO has 1 to 8 kB), and little enough to be read in a few milliseconds.
MAX_BYTES = 256 * 1024
MAX_ELEMENTS = 5_000
MAX_DEPTH = 64
MAX_LINES = 20_000
MAX_ATTRIBUTE = 4096
MAX_ATTRIBUTES = 5_000
# Bare ampersands and the like that are mended; each costs an entry in libxml2's log.
MAX_MENDED = 100

_WHITE = b" \t\r\n\x00"
_DECLARED = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
# Encodings that the field declares beside UTF-8, as Python names them. A declared UTF-16 without its byte order mark
# is UTF-8 or plain ASCII that went through a string of another program: it stands here as that.
_CODECS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "utf-16": "utf-8",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "windows-1252": "cp1252",
    "iso-8859-15": "iso8859-15",
    "iso-8859-2": "iso8859-2",
    "windows-1250": "cp1250",
}
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


# The encoding is given, so that what a document declares (UTF-7, say) cannot hide a DOCTYPE from the look-out below.
def _parser(*, recover: bool) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,
        huge_tree=False,
        recover=recover,
    )


_STRICT = _parser(recover=False)
_BEFORE = ": only what stands before it was read"
# Mistakes after which the rest of a document still means what it says: a prefix that is not declared, a name of
# a namespace that is no URI, a bare ampersand. After any other, what follows is not believed.
_HARMLESS = frozenset(
    {
        etree.ErrorTypes.NS_ERR_UNDEFINED_NAMESPACE,
        etree.ErrorTypes.WAR_NS_URI,
        etree.ErrorTypes.WAR_NS_URI_RELATIVE,
        etree.ErrorTypes.ERR_ENTITYREF_SEMICOL_MISSING,
        etree.ErrorTypes.ERR_UNDECLARED_ENTITY,
    }
)
_TOO_DEEP = etree.XPath("boolean(" + "/*" * (MAX_DEPTH + 1) + ")")
_TOO_LONG = etree.XPath(f"boolean(//@*[string-length() > {MAX_ATTRIBUTE}])")


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document.

    `cut` says that its end is missing or was not believed: a list that may be incomplete is then not to be taken for
    the whole, and what is absent may have been lost. `warnings` tell what was mended; pass them on.
    """

    root: Element
    warnings: tuple[FormatWarning, ...] = ()
    cut: bool = False


def parse(message: bytes | str) -> Document:
    """The document in a message, comments and processing instructions left out.

    Raises
    ------
    Unreadable
        It is no XML, has a DOCTYPE or an encoding that is not known, or is larger or deeper than any location message.

    References
    ----------
    XML 1.0 (fifth edition); OWASP's list of attacks on XML parsers.

    Examples
    --------
    >>> parse("<a><!-- 1 -->2<!-- 3 -->4</a>").root.text
    '24'
    >>> parse("<a><b>1</b><b>2").root[0].text, parse("<a><b>1</b><b>2").cut
    ('1', True)
    """
    text = _utf8(message)
    _refuse_bombs(text)
    try:
        root = etree.fromstring(text, _STRICT)
    except etree.XMLSyntaxError as error:
        document = _mended(text, error)
    else:
        document = Document(root)
    # An element needs two tags to hold another, and an attribute stands within one.
    if text.count(b"<") > 2 * MAX_DEPTH and _TOO_DEEP(document.root):
        raise Unreadable(f"elements are nested more than {MAX_DEPTH} deep: no location message is")
    if len(text) > MAX_ATTRIBUTE and _TOO_LONG(document.root):
        raise Unreadable(f"an attribute has more than {MAX_ATTRIBUTE} characters: no location message has")
    return document


def local_name(element: Element) -> str:
    """The element's name without its namespace, or without its prefix where that was not declared.

    >>> local_name(parse('<gml:pos xmlns:gml="http://www.opengis.net/gml"/>').root), local_name(parse("<g:pos/>").root)
    ('pos', 'pos')
    """
    return element.tag.rpartition("}")[2].rpartition(":")[2]


def _utf8(message: bytes | str) -> bytes:
    """The message in UTF-8, without byte order mark and white space around it."""
    if len(message) > MAX_BYTES:
        raise Unreadable(f"the document has {len(message)} bytes: a location message has at most {MAX_BYTES}")
    if isinstance(message, str):
        # A byte order mark that was read as a character.
        text = message.lstrip("\ufeff").encode("utf-8", "replace").strip(_WHITE)
        if len(text) > MAX_BYTES:
            raise Unreadable(f"the document has {len(text)} bytes: a location message has at most {MAX_BYTES}")
    else:
        text = _transcoded(message).strip(_WHITE)
    if not text.startswith(b"<"):
        raise Unreadable("is no XML: it does not begin with '<'")
    return text


def _transcoded(message: bytes) -> bytes:
    codec = next((codec for mark, codec in _BYTE_ORDER_MARKS if message.startswith(mark)), "")
    if codec == "utf-8":
        return message[3:]
    if not codec and message[:2] in (b"<\x00", b"\x00<"):
        codec = "utf-16-le" if message[:1] == b"<" else "utf-16-be"
    if not codec:
        declared = _DECLARED.search(message[:300])
        if declared is None:
            return message
        name = declared[1].decode("ascii").lower()
        codec = _CODECS.get(name, "")
        if not codec:
            raise Unreadable(f"the document declares the encoding {name!r}: send it in UTF-8")
        if codec == "utf-8":
            return message
    return message.decode(codec, "replace").encode("utf-8", "replace")


def _refuse_bombs(text: bytes) -> None:
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise Unreadable("has a DOCTYPE or ENTITY declaration: location messages have none, leave it out")
    # Each element has one "<" or two, each attribute one "=".
    if text.count(b"<") > 2 * MAX_ELEMENTS:
        raise Unreadable(f"has more than {MAX_ELEMENTS} elements: no location message has")
    if text.count(b"=") > MAX_ATTRIBUTES:
        raise Unreadable(f"has more than {MAX_ATTRIBUTES} attributes: no location message has")


def _mended(text: bytes, error: etree.XMLSyntaxError) -> Document:
    """As much of a document that breaks the rules of XML as is to be believed."""
    line, column = error.position
    reason = str(error.msg or "not well-formed").partition(", line ")[0].strip()[:100]
    where = f"line {line}, column {column}"
    code: int = getattr(error, "code", 0)  # unknown to lxml's stubs
    if code == etree.ErrorTypes.ERR_RESOURCE_LIMIT or "depth" in reason:
        raise Unreadable(f"elements are nested more than {MAX_DEPTH} deep: no location message is")
    if code == etree.ErrorTypes.ERR_INVALID_ENCODING:
        with contextlib.suppress(etree.XMLSyntaxError):
            root = etree.fromstring(text.decode("cp1252", "replace").encode(), _STRICT)
            return Document(root, (FormatWarning("XML", where, "is not UTF-8: read as windows-1252"),))
    if _is_harmless(code, reason) and text.count(b"&") <= MAX_MENDED:
        # One's own: the log of a shared parser would be another thread's.
        mending = _parser(recover=True)
        root = etree.fromstring(text, mending)
        if root is not None and all(_is_harmless(entry.type, entry.message) for entry in mending.error_log):
            etree.strip_tags(root, etree.Entity)
            return Document(root, (FormatWarning("XML", where, f"{reason}: read all the same"),))
    return _before(text, line, column, FormatWarning("XML", where, reason + _BEFORE))


def _is_harmless(code: int, reason: str) -> bool:
    # The same code stands for "&" without a name and for "<" without one, which is where many a document is cut.
    return code in _HARMLESS or (code == etree.ErrorTypes.ERR_NAME_REQUIRED and "EntityRef" in reason)


def _before(text: bytes, line: int, column: int, warning: FormatWarning) -> Document:
    """All elements that were complete before the place of a mistake."""
    start = 0
    for _ in range(min(line, MAX_LINES) - 1):
        start = text.find(b"\n", start) + 1
    kept = text[: start + max(column, 1) - 1]
    # The last end tag (or an element without content) before it; what began later may be a piece of a number.
    kept = kept[: kept.rfind(b">") + 1]
    last = max(kept.rfind(b"</"), kept.rfind(b"/>"))
    kept = kept[: kept.find(b">", last) + 1] if last >= 0 else b""
    with contextlib.suppress(etree.XMLSyntaxError):
        return Document(etree.fromstring(kept, _STRICT), (warning,))
    root = None
    with contextlib.suppress(etree.XMLSyntaxError):
        root = etree.fromstring(kept, _parser(recover=True))
    if root is None:
        raise Unreadable(f"is no XML that can be read: {warning.reason.removesuffix(_BEFORE)} at {warning.value}")
    etree.strip_tags(root, etree.Entity)
    return Document(root, (warning,), cut=True)
