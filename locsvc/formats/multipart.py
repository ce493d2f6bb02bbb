"""Bodies of several parts, as SIP carries them: split at their boundary, each with its header fields.

References
----------
RFC 2046 section 5.1 (multipart), RFC 2045 section 6 (transfer encodings), RFC 5621 (bodies in SIP).
"""

from __future__ import annotations

import binascii
import contextlib
import re
from dataclasses import dataclass, field

from locsvc.formats.reading import FormatWarning
from locsvc.formats.sip_headers import fields_of, parameters

MAX_DEPTH = 5
MAX_PARTS = 64
# Lines that begin like a delimiter and are none; more of them are no message of the field.
MAX_CANDIDATES = 1000
SHOWN = 80
# The end of header fields; some peers forget the blank line before XML, and no field begins with "<".
_BLANK_LINE = re.compile(rb"\r?\n[ \t]*\r?\n|\r[ \t]*\r|[\r\n](?=<[?A-Za-z])")
_MULTIPART = "multipart/"
_MESSAGES = frozenset({"message/sip", "message/sipfrag", "message/rfc822"})


@dataclass(frozen=True, slots=True)
class Part:
    """A body without parts of its own: media type in lower case, Content-ID without brackets, decoded content."""

    media: str
    content_id: str
    content: bytes


@dataclass(slots=True)
class Parts:
    """The leaves of a message in reading order, and what was odd about the way to them."""

    leaves: list[Part] = field(default_factory=list)
    warnings: list[FormatWarning] = field(default_factory=list)
    seen: int = 0

    def take(self, headers: dict[str, list[str]], body: bytes, depth: int = 0) -> None:
        """Adds the leaves of a body with these header fields."""
        self.seen += 1
        if self.seen > MAX_PARTS or depth > MAX_DEPTH:
            if self.seen in (MAX_PARTS + 1, 1):
                self._warn("Content-Type", "", f"more than {MAX_PARTS} parts: the others are left out")
            return
        media, wanted = parameters(_first(headers, "content-type"))
        media = media.lower()
        content = self._decoded(headers, body)
        if media.startswith(_MULTIPART) or (not media and content.lstrip()[:2] == b"--"):
            self._split(content, wanted.get("boundary", ""), depth)
        elif media in _MESSAGES:
            inner, rest = head_and_body(content)
            self.take(inner, rest, depth + 1)
        else:
            content_id = _first(headers, "content-id").strip().removeprefix("<").removesuffix(">")
            self.leaves.append(Part(media, content_id, content))

    def _warn(self, name: str, value: str, reason: str) -> None:
        self.warnings.append(FormatWarning(name, value[:SHOWN], reason))

    def _split(self, content: bytes, boundary: str, depth: int) -> None:
        if b"\n" not in content:
            content = content.replace(b"\r", b"\n")
        mark = b"--" + boundary.encode("utf-8", "replace")
        pieces, closed = _pieces(content, mark) if boundary else ([], False)
        if not pieces:
            guessed = _first_delimiter(content)
            self._warn("boundary", boundary, f"is not in the body; {guessed[2:].decode('ascii', 'replace')!r} is taken")
            pieces, closed = _pieces(content, guessed) if guessed else ([], False)
        if not closed:
            self._warn("boundary", boundary, "the last delimiter is missing: the message may have been cut off")
        for piece in pieces:
            self.take(*head_and_body(piece), depth + 1)

    def _decoded(self, headers: dict[str, list[str]], body: bytes) -> bytes:
        coding = _first(headers, "content-encoding").strip().lower()
        if coding not in ("", "identity"):
            self._warn("Content-Encoding", coding, "is not undone: send the body as it is")
            return b""
        transfer = _first(headers, "content-transfer-encoding").strip().lower()
        if transfer == "quoted-printable":
            return binascii.a2b_qp(body)
        if transfer != "base64":
            return body
        # Bytes of other alphabets are skipped by the decoder: XML that was never encoded would come out as noise.
        if b"<" not in body:
            with contextlib.suppress(binascii.Error):
                return binascii.a2b_base64(body)
        self._warn("Content-Transfer-Encoding", "base64", "the body is not base64; it is read as it is")
        return body


def head_and_body(text: bytes) -> tuple[dict[str, list[str]], bytes]:
    r"""The header fields before the first blank line, and what follows it; a body without header fields is all body.

    >>> head_and_body(b"Content-ID: <a>\n\n<presence/>")
    ({'content-id': ['<a>']}, b'<presence/>')
    >>> head_and_body(b"\r\n<presence/>"), head_and_body(b"<presence/>")
    (({}, b'<presence/>'), ({}, b'<presence/>'))
    """
    if text[:1] in (b"\r", b"\n"):
        return {}, text.lstrip(b"\r\n")
    if text[:1] == b"<":
        return {}, text
    blank = _BLANK_LINE.search(text)
    head, body = (text[: blank.start()], text[blank.end() :]) if blank else (text, b"")
    return fields_of(head.decode("utf-8", "replace")), body


def _first(headers: dict[str, list[str]], name: str) -> str:
    return headers[name][0] if name in headers else ""


def _pieces(content: bytes, mark: bytes) -> tuple[list[bytes], bool]:
    """What stands between the delimiter lines, and whether the last one closes."""
    pieces: list[bytes] = []
    start, position = -1, 0
    for _ in range(MAX_CANDIDATES):
        at = content.find(mark, position)
        if at < 0 or len(pieces) > MAX_PARTS:
            break
        position = at + len(mark)
        end = content.find(b"\n", position)
        end = len(content) if end < 0 else end + 1
        rest = content[position:end].strip()
        # Another boundary may begin with this one.
        if (at and content[at - 1 : at] not in (b"\n", b"\r")) or rest not in (b"", b"--"):
            continue
        if start >= 0:
            pieces.append(_without_line_end(content[start:at]))
        if rest:
            return pieces, True
        start = end
    if start >= 0:
        pieces.append(content[start:])
    return pieces, False


def _without_line_end(text: bytes) -> bytes:
    """The line end before a delimiter belongs to it."""
    return text.removesuffix(b"\n").removesuffix(b"\r")


def _first_delimiter(content: bytes) -> bytes:
    """The first line that begins like a delimiter, or nothing."""
    at = 0 if content.startswith(b"--") else content.find(b"\n--") + 1
    if not content.startswith(b"--", at):
        return b""
    end = content.find(b"\n", at)
    return content[at : end if end >= 0 else len(content)].strip()[:72]
