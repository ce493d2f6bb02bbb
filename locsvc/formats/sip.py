"""SIP messages and their bodies: the location that the Geolocation header points to, and the cell of the access.

References
----------
RFC 6442 sections 3 and 4 (location conveyance), RFC 2392 (cid URLs), RFC 3261 (SIP), RFC 3325 (P-Asserted-Identity).
"""

from __future__ import annotations

import datetime as dt
import re
from urllib.parse import unquote

from locsvc.formats import access_network, pidf_lo
from locsvc.formats.joining import joined
from locsvc.formats.multipart import Part, Parts, head_and_body
from locsvc.formats.reading import FormatWarning, Reading, Unreadable
from locsvc.formats.sip_headers import fields_of, split_list

MAX_BYTES = 2**18
# Locations that one message gives; the field sends one or two.
MAX_BODIES = 8
SHOWN = 80
PIDF = "application/pidf+xml"
# Without one of these a text with colons is no SIP message and no MIME body.
_TELLING = frozenset(
    {"content-type", "geolocation", "geolocation-error", "p-access-network-info", "via", "call-id", "cseq"}
)
_NUMBER_FIELDS = ("p-asserted-identity", "p-preferred-identity", "remote-party-id", "from")
_NUMBER = re.compile(r"(?:tel|sips?):(?:\+|%2B)([0-9().-]{2,30})(?=[@;>?\s]|\Z)", re.IGNORECASE)
_VISUAL = re.compile(r"[().-]+")
_URI = re.compile(r"<([^<>]{0,2000})>|([A-Za-z][A-Za-z0-9+.-]{0,30}:[^\s;,<>]{1,2000})")
# RFC 3261 section 25.1, SIP-date; zones other than GMT are read when they are the same.
_DATE = re.compile(
    r"(?:[A-Za-z]{3}, *)?([0-9]{1,2}) ([A-Za-z]{3}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) (?:GMT|UTC|\+0000)"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def read(
    message: bytes | str, *, arrived_at: float | None = None, content_type: str = "", geolocation: str = ""
) -> Reading:
    """What a SIP message says about where the caller is: locations by value in order of the Geolocation header.

    Locations by reference are `details` ("Geolocation-URI") and a warning: somebody with the right to do so has to
    ask for them. The cell of P-Access-Network-Info is evidence too.

    Parameters
    ----------
    message
        A whole SIP message, header fields with a body, a multipart body, or a bare PIDF-LO.
    arrived_at
        When the message came; times of its parts are judged by it.
    content_type
        Content-Type of the body, when `message` is the body only.
    geolocation
        Value of the Geolocation header, when `message` does not have it.

    Raises
    ------
    Unreadable
        It is neither SIP nor a body of a location, or is too long.
    """
    if len(message) > MAX_BYTES:
        raise Unreadable(f"SIP message of {len(message)} bytes: at most {MAX_BYTES} are read")
    data = message if isinstance(message, bytes) else message.encode("utf-8", "replace")
    data = data.lstrip(b"\xef\xbb\xbf\r\n\t \0")
    headers, body = _taken_apart(data, content_type)
    if geolocation:
        headers["geolocation"] = [geolocation]
    parts = Parts()
    parts.take(headers, body)
    return _Conveyed(headers, parts, arrived_at).reading(_method(data))


def _taken_apart(data: bytes, content_type: str) -> tuple[dict[str, list[str]], bytes]:
    """Header fields and body of whatever was given."""
    if content_type:
        return fields_of("Content-Type: " + " ".join(content_type.split())), data
    if data[:1] == b"<":
        return {"content-type": [PIDF]}, data
    if data[:2] == b"--":
        return {}, data
    headers, body = head_and_body(data)
    if not _TELLING & headers.keys():
        start = data[:SHOWN].decode("utf-8", "replace")
        raise Unreadable(f"{start!r} is no SIP message and no body: expected Content-Type, Geolocation or PIDF-LO")
    return headers, body


def _method(data: bytes) -> str:
    """The method of the start line; nothing for a response and for a body."""
    first = data[:SHOWN].split(b"\n", 1)[0].split(b" ", 1)[0]
    return first.decode("ascii", "replace") if first.isalpha() and first.isupper() else ""


class _Conveyed:
    """What one message conveys."""

    def __init__(self, headers: dict[str, list[str]], parts: Parts, arrived_at: float | None) -> None:
        self.headers = headers
        self.parts = parts
        self.arrived_at = arrived_at
        self.warnings = list(parts.warnings)
        self.details: dict[str, str] = {}
        self.reasons: list[str] = []

    def reading(self, method: str) -> Reading:
        """All parts as one reading."""
        found = [("body", self._location(part)) for part in self._bodies()]
        self._errors()
        access = self._access()
        own = Reading(
            warnings=tuple(self.warnings),
            calling_number=self._calling_number(),
            started_at=_date_s(self.headers.get("date", [""])[0]) if method == "INVITE" else None,
            no_location="; ".join(self.reasons) or ("" if found else "the message has no location in its body"),
            details=self.details,
        )
        return joined([("sip", own), *found, *access])

    def _warn(self, field: str, value: str, reason: str) -> None:
        self.warnings.append(FormatWarning(field, value[:SHOWN], reason))

    def _bodies(self) -> list[Part]:
        """The bodies with a location, those that the Geolocation header points to first and in its order."""
        candidates = [part for part in self.parts.leaves if _may_be_location(part)]
        named: list[Part] = []
        for uri in self._uris():
            if uri[:4].lower() == "cid:":
                self._point(uri, candidates, named)
            else:
                self._reference(uri)
        rest = [part for part in candidates if part not in named]
        if rest and self.headers.get("geolocation"):
            reason = "no Geolocation header points to this body; it is read after those that are pointed to"
            self._warn("Content-ID", rest[0].content_id, reason)
        if len(candidates) > MAX_BODIES:
            self._warn("body", str(len(candidates)), f"only {MAX_BODIES} bodies with a location are read")
        return (named + rest)[:MAX_BODIES]

    def _uris(self) -> list[str]:
        """URIs of all Geolocation header fields, in order."""
        values = self.headers.get("geolocation", ())
        found: list[str] = []
        for value in [v for line in values for v in split_list(line) if v]:
            match = _URI.search(value)
            if match is None:
                self._warn("Geolocation", value, "has no URI such as <cid:target123@example.com>; it is left out")
            elif uri := (match[1] or match[2] or "").strip():
                found.append(uri)
        return found[:64]

    def _point(self, uri: str, candidates: list[Part], named: list[Part]) -> None:
        wanted = unquote(uri[4:]).strip().removeprefix("<").removesuffix(">")
        exact = [part for part in candidates if part.content_id == wanted]
        # RFC 2045 compares Content-IDs letter by letter; peers that change the case mean the same body.
        loose = [part for part in candidates if part.content_id.lower() == wanted.lower()]
        if exact or loose:
            part = (exact or loose)[0]
            if part not in named:
                named.append(part)
        else:
            self._warn("Geolocation", uri, "points to no body of this message")

    def _reference(self, uri: str) -> None:
        count = sum(key.startswith("Geolocation-URI") for key in self.details)
        self.details[f"Geolocation-URI[{count + 1}]" if count else "Geolocation-URI"] = uri[:1000]
        self._warn("Geolocation", uri, "is a location by reference: ask its server for it (RFC 6753)")
        if not count:
            self.reasons.append("the location is given by reference only: dereference Geolocation-URI")

    def _location(self, part: Part) -> Reading:
        if part.media != PIDF:
            self._warn("Content-Type", part.media, f"is not {PIDF}; the body is read as one all the same")
        try:
            return pidf_lo.read(part.content, arrived_at=self.arrived_at)
        except Unreadable as error:
            warning = FormatWarning("body", part.content_id[:SHOWN], f"{error}; it is left out")
            return Reading(warnings=(warning,), no_location=f"the location in the body cannot be read: {error}")

    def _errors(self) -> None:
        for name in ("Geolocation-Routing", "Geolocation-Error"):
            if values := self.headers.get(name.lower()):
                self.details[name] = values[0][:SHOWN]
        if error := self.details.get("Geolocation-Error"):
            self.reasons.append(f"the peer did not use the location: Geolocation-Error {error}")

    def _access(self) -> list[tuple[str, Reading]]:
        """The reading of the access network, where the message names it."""
        names = ("P-Access-Network-Info", "Cellular-Network-Info")
        lines = [f"{name}: {value}" for name in names for value in self.headers.get(name.lower(), ())]
        if not lines:
            return []
        try:
            return [("access", access_network.read("\r\n".join(lines), arrived_at=self.arrived_at))]
        except Unreadable as error:
            self._warn("P-Access-Network-Info", lines[0].partition(": ")[2], f"{error}; it is left out")
            return []

    def _calling_number(self) -> str:
        """The number that the network vouches for, else the one that the caller states; E.164 or nothing."""
        for name in _NUMBER_FIELDS:
            for value in self.headers.get(name, ()):
                if found := _NUMBER.search(value):
                    digits = _VISUAL.sub("", found[1])
                    if 2 <= len(digits) <= 15 and digits[0] != "0":
                        return "+" + digits
        return ""


def _may_be_location(part: Part) -> bool:
    # Peers send it as text/xml or without a type.
    return part.media == PIDF or (b"presence" in part.content and part.content.lstrip()[:1] == b"<")


def _date_s(text: str) -> float | None:
    """Unix seconds of a SIP date.

    >>> _date_s("Sat, 14 Mar 2026 12:00:00 GMT")
    1773489600.0
    """
    match = _DATE.fullmatch(text.strip())
    if match is None or match[2].lower() not in _MONTHS:
        return None
    day, month, year = int(match[1]), _MONTHS.index(match[2].lower()) + 1, int(match[3])
    try:
        return dt.datetime(year, month, day, int(match[4]), int(match[5]), int(match[6]), tzinfo=dt.UTC).timestamp()
    except ValueError:
        return None
