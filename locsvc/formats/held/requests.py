"""Location requests of HELD: who is meant, what is wanted, how soon.

References
----------
RFC 5985 sections 5.2, 6.1 and 6.2 (responseTime, locationType), RFC 6155 section 3 (identifiers), RFC 6753 section 3
(dereferencing), RFC 7105 section 4 (measurements), RFC 7840 section 4 (routing).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from locsvc.errors import FieldViolation, InvalidInput
from locsvc.formats.cell_identity import whole_number
from locsvc.formats.elements import child, words
from locsvc.formats.held.names import HELD, IDENTITY, LOCATION_TYPES, MASKED, PURPOSES, SHOWN, escaped
from locsvc.formats.measurements import measurements_of
from locsvc.formats.reading import FormatWarning, Reading, Unreadable, masked
from locsvc.formats.xml import local_name, parse

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

MAX_IDENTIFIERS = 20
# A day, in milliseconds: nobody waits longer for a location.
MAX_RESPONSE_TIME_MS = 86_400_000
_MSISDN = re.compile(r"\+?([1-9][0-9]{4,14})")
_ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9]{0,40}")
_TEL_URI = re.compile(r"(?:tel|sips?):\+([0-9().-]{2,30})(?:[;@?].{0,500})?", re.IGNORECASE | re.DOTALL)
# What each identifier of RFC 6155 looks like; others are passed on unchecked.
_FORMS = {
    "mac": re.compile(r"[0-9A-Fa-f]{2}(?:[-:][0-9A-Fa-f]{2}){5}(?:(?:[-:][0-9A-Fa-f]{2}){2})?"),
    "udpport": re.compile(r"[0-9]{1,5}"),
    "tcpport": re.compile(r"[0-9]{1,5}"),
    "sctpport": re.compile(r"[0-9]{1,5}"),
    "dccpport": re.compile(r"[0-9]{1,5}"),
    "msisdn": re.compile(r"[0-9]{6,15}"),
    "imsi": re.compile(r"[0-9]{6,15}"),
    "min": re.compile(r"[0-9]{10}"),
    "mdn": re.compile(r"[0-9]{6,15}"),
    "duid": re.compile(r"(?:[0-9A-Fa-f]{2})+"),
}


@dataclass(frozen=True, slots=True)
class Identifier:
    """One way to say which device is meant.

    `text` is what stands there, unmasked: a server needs it to find the device. It is not part of `repr`.
    """

    name: str
    text: str = field(repr=False)
    version: str = ""

    def shown(self) -> str:
        """The identifier as others may read it.

        >>> Identifier("imsi", "001011234567890").shown()
        '001011*********'
        """
        return (masked(self.text) if self.name in MASKED else self.text)[:SHOWN]


@dataclass(frozen=True, slots=True)
class LocationRequest:
    """What a request wants.

    `location_types` keeps the order of the request, in which the answer is given; `exact` is false where "any" is
    among them (RFC 5985 section 6.2.2). `purpose` stands in place of a time: "emergencyRouting", "emergencyDispatch".
    No identifiers mean the device that asks. `measured` is what the device saw, when it says so.
    """

    location_types: tuple[str, ...] = ("any",)
    exact: bool = False
    response_time_s: float | None = None
    purpose: str = ""
    identifiers: tuple[Identifier, ...] = ()
    wants_routing: bool = False
    measured: Reading = field(default_factory=Reading)
    warnings: tuple[FormatWarning, ...] = ()

    @property
    def calling_number(self) -> str:
        """The number of the device in E.164, where an identifier is one.

        >>> LocationRequest(identifiers=(Identifier("msisdn", "441632960001"),)).calling_number
        '+441632960001'
        """
        for identifier in self.identifiers:
            text = identifier.text
            match = _MSISDN.fullmatch(text) if identifier.name == "msisdn" else None
            if match is None and identifier.name == "uri":
                match = _TEL_URI.fullmatch(text.replace("%2B", "+").replace("%2b", "+"))
            digits = re.sub(r"[().-]", "", match[1]) if match else ""
            if 2 <= len(digits) <= 15 and digits[0] != "0":
                return "+" + digits
        return ""


def read_request(message: bytes | str) -> LocationRequest:
    """The location request in a document; a bare `device` asks for any location of that device.

    Raises
    ------
    Unreadable
        It is no XML within the bounds, or no request of HELD.
    """
    document = parse(message)
    root = document.root
    found = next((e for e in root.iter() if local_name(e) == "locationRequest"), None)
    if found is None and local_name(root) == "device":
        found = root
    if found is None:
        raise Unreadable(f"element {local_name(root)[:SHOWN]!r} is no locationRequest")
    return request_of(found, document.warnings)


def request_of(element: Element, warnings: tuple[FormatWarning, ...] = ()) -> LocationRequest:
    """The request of a `locationRequest` or `device` element; `warnings` are those of its document."""
    reader = _Reader(list(warnings))
    if local_name(element) == "device":
        return LocationRequest(identifiers=reader.identifiers(element), warnings=tuple(reader.warnings))
    types, exact = reader.types(child(element, "locationType"))
    response_time_s, purpose = reader.time(str(element.get("responseTime") or ""))
    device, measurements = child(element, "device", "identifiers"), child(element, "measurements")
    return LocationRequest(
        types,
        exact,
        response_time_s,
        purpose,
        reader.identifiers(device) if device is not None else (),
        child(element, "requestRoutingInformation") is not None,
        measurements_of(measurements) if measurements is not None else Reading(),
        tuple(reader.warnings),
    )


class _Reader:
    """Reads the parts of a request and collects warnings."""

    def __init__(self, warnings: list[FormatWarning]) -> None:
        self.warnings = warnings

    def warn(self, name: str, value: str, reason: str) -> None:
        self.warnings.append(FormatWarning(name, value[:SHOWN], reason))

    def types(self, element: Element | None) -> tuple[tuple[str, ...], bool]:
        """Types in order, and whether only they will do."""
        if element is None:
            return ("any",), False
        named = dict.fromkeys(words(element).split()[:MAX_IDENTIFIERS])
        known = tuple(name for name in named if name in LOCATION_TYPES)
        for name in named:
            if name not in LOCATION_TYPES:
                self.warn("locationType", name, f"is none of {', '.join(LOCATION_TYPES)}; it is left out")
        exact = str(element.get("exact") or "").strip() in ("true", "1")
        return known or ("any",), exact and bool(known) and "any" not in known

    def time(self, text: str) -> tuple[float | None, str]:
        """Seconds, or what the location is for."""
        text = text.strip()
        if not text or text in PURPOSES:
            return None, text
        milliseconds = whole_number(text, MAX_RESPONSE_TIME_MS)
        if milliseconds is None:
            self.warn("responseTime", text, "is no number of milliseconds up to a day, nor a purpose; it is left out")
            return None, ""
        return milliseconds / 1000, ""

    def identifiers(self, device: Element) -> tuple[Identifier, ...]:
        """The identifiers of a device, in order."""
        found: list[Identifier] = []
        for element in device:
            name, text = local_name(element), words(element)
            if len(found) >= MAX_IDENTIFIERS:
                self.warn("device", str(len(device)), f"only the first {MAX_IDENTIFIERS} identifiers are read")
                break
            if not text or len(text) > 1000:
                self.warn(name, text, "is empty or too long for an identifier; it is left out")
                continue
            identifier = Identifier(name, text, str(element.get("v") or "").strip()[:SHOWN])
            form = _FORMS.get(name)
            if form and not form.fullmatch(text):
                self.warn(name, identifier.shown(), "does not look like one (RFC 6155 section 3); it is kept as it is")
            found.append(identifier)
        return tuple(found)


def write_request(request: LocationRequest) -> bytes:
    """The document of a request; measurements are not written.

    Raises
    ------
    InvalidInput
        The name of an identifier is no name of an element.

    >>> print(write_request(LocationRequest(("civic",), response_time_s=1.5)).decode())
    <?xml version="1.0" encoding="UTF-8"?>
    <locationRequest xmlns="urn:ietf:params:xml:ns:geopriv:held" responseTime="1500"><locationType>...
    """
    time = request.purpose
    if request.response_time_s is not None:
        # Rounded down: an answer must not come later than it is wanted.
        time = str(int(request.response_time_s * 1000))
    attributes = f' responseTime="{escaped(time)}"' if time else ""
    exact = ' exact="true"' if request.exact else ""
    device = "".join(_element(identifier) for identifier in request.identifiers)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<locationRequest xmlns="{HELD}"{attributes}>'
        f"<locationType{exact}>{escaped(' '.join(request.location_types))}</locationType>"
        + (f'<device xmlns="{IDENTITY}">{device}</device>' if device else "")
        + (
            '<requestRoutingInformation xmlns="urn:ietf:params:xml:ns:geopriv:held:ri"/>'
            if request.wants_routing
            else ""
        )
        + "</locationRequest>\n"
    ).encode()


def _element(identifier: Identifier) -> str:
    if not _ELEMENT.fullmatch(identifier.name):
        raise InvalidInput([FieldViolation("identifiers", f"{identifier.name[:40]!r} is no name such as msisdn")])
    version = f' v="{escaped(identifier.version)}"' if identifier.version else ""
    return f"<{identifier.name}{version}>{escaped(identifier.text)}</{identifier.name}>"
