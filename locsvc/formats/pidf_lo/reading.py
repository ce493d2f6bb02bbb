"""Reading of PIDF-LO: a presence document, or a part of one that another protocol carries."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from locsvc.formats import xml
from locsvc.formats.call_checks import MAX_NAME
from locsvc.formats.pidf_lo.civic import address_of, is_indoor_only
from locsvc.formats.pidf_lo.measures import UNKNOWN_CONFIDENCE, confidence_of, time_of
from locsvc.formats.pidf_lo.names import METHODS, name_of
from locsvc.formats.pidf_lo.notes import Notes
from locsvc.formats.pidf_lo.shapes import READERS, shape_of
from locsvc.formats.reading import FormatWarning, Reading, Unreadable, masked
from locsvc.model import (
    CivicAddress,
    DeviceReport,
    Evidence,
    LineLookup,
    LineRecord,
    Point,
    PositioningMethod,
)
from locsvc.units import UNSTATED_CONFIDENCE

if TYPE_CHECKING:
    from locsvc.formats.xml import Element

# A clock that is this far ahead of ours is wrong, not early.
_AHEAD_S = 60.0
# Shapes and addresses of a message; a caller is not in more places.
MAX_LOCATIONS = 100
# RFC 5491 section 3.3: the device's location first, then a tuple's; a person's is the last resort.
_RANKS = {"device": 0, "tuple": 1, "person": 2, "": 3}
_WRAPPERS = frozenset({"status", "location"})
_NUMBER = re.compile(r"(?:tel|sips?|pres|im):(\+[0-9().-]{2,30})(?:[@;?].*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
_LOCAL_NUMBER = re.compile(r"tel:([0-9().-]{3,30})(?:;.*)?", re.IGNORECASE | re.ASCII | re.DOTALL)


@dataclass(slots=True)
class _Holder:
    """A tuple, device or person: what its locations share."""

    kind: str = ""
    observed_at: float | None = None


@dataclass(slots=True)
class _Place:
    """One geopriv element: one place, however many descriptions of it there are."""

    holder: _Holder
    method: str = ""
    confidence: float | None = None
    shapes: list[tuple[str, Element]] = field(default_factory=list)
    civics: list[Element] = field(default_factory=list)


def read(message: bytes | str, *, arrived_at: float | None = None) -> Reading:
    """What a PIDF-LO document says: its locations in the order of preference of RFC 5491.

    A shape becomes a `DeviceReport`. A civic address says where the caller is just as well, and becomes a `LineLookup`
    with a record of its own that holds the address and no position; the floor of an address beside a shape goes to the
    shape's report. The confidence of a shape that states none is 95 % (RFC 7459 section 3.3), that of one which
    says that it is unknown 68 %, with a warning. A shape without a size is a `Point`, never exact.

    Parameters
    ----------
    message
        The document; UTF-8 unless it says otherwise.
    arrived_at
        When the message came, seconds since the Unix epoch; a timestamp after it gets a warning.

    Raises
    ------
    Unreadable
        It is no XML that is allowed here, or nothing in it is PIDF-LO.

    References
    ----------
    RFC 4119, RFC 5139, RFC 5491, RFC 6848, RFC 7459.
    """
    document = xml.parse(message)
    notes = Notes(list(document.warnings), cut=document.cut)
    found, reading = _read(document.root, notes, arrived_at)
    if not found:
        raise Unreadable(f"is no PIDF-LO: the root element is {xml.local_name(document.root)[:50]!r}, not 'presence'")
    return reading


def location_of(element: Element, *, cut: bool = False, arrived_at: float | None = None) -> Reading:
    """What one element of a parsed document says, as `read` does.

    Parameters
    ----------
    element
        A presence, tuple, device, person, geopriv, location-info, civicAddress or a shape; or any element that
        contains such ones, as a LoST query or a HELD response does.
    cut
        Whether the end of the document is missing, `xml.Document.cut`.
    arrived_at
        When the message came, seconds since the Unix epoch.
    """
    return _read(element, Notes(cut=cut), arrived_at)[1]


def _read(element: Element, notes: Notes, arrived_at: float | None) -> tuple[bool, Reading]:
    """Whether anything was PIDF-LO, and what it says."""
    gathering = _Gathering(notes)
    known = gathering.visit(element, _Holder(), None)
    if not known:
        gathering.visit_children(element, _Holder(), None)
    found = known or bool(gathering.places)
    places = gathering.places
    if len(places) > 1:
        places.sort(key=lambda place: _RANKS[place.holder.kind])
    evidence: list[Evidence] = []
    names: dict[str, int] = {}
    for place in places:
        evidence.extend(_evidence(place, notes, names, arrived_at))
    if len(evidence) == 1:
        single = evidence[0]
        evidence = [Evidence(single.content, "", "", single.observed_at)]
    elif sum(bool(place.holder.kind and (place.shapes or place.civics)) for place in places) > 1:
        reason = "the first is the one that RFC 5491 prefers, the others are alternatives"
        notes.warn("presence", f"{len(places)} locations", reason)
    return found, Reading(
        tuple(evidence),
        tuple(notes.warnings),
        calling_number=gathering.number,
        no_location="" if evidence else _why_none(gathering, notes),
        details=notes.details,
    )


class _Gathering:
    """One pass over a document: places with their parts, not read yet."""

    def __init__(self, notes: Notes) -> None:
        self.notes = notes
        self.places: list[_Place] = []
        self.number = ""
        self.taken = 0

    def visit_children(self, element: Element, holder: _Holder, place: _Place | None) -> None:
        for child in element:
            self.visit(child, holder, place)

    def visit(self, element: Element, holder: _Holder, place: _Place | None) -> bool:
        """Whether the element is one of PIDF-LO's."""
        name = name_of(element, self.notes)
        if name in _WRAPPERS:
            self.visit_children(element, holder, place)
        elif name == "location-info":
            self._visit_descriptions(element, holder, place)
        elif name in ("geopriv", "Location"):
            self.visit_children(element, holder, self._new_place(holder))
        elif name in READERS:
            if self._may_take(name):
                self._take_shape(name, element, place or self._place(holder))
        elif name in _RANKS and name:
            self.visit_children(element, _Holder(name), None)
        elif name == "presence":
            self._take_number("entity", element.get("entity") or "")
            self.visit_children(element, holder, place)
        else:
            return self._visit_leaf(element, name, holder, place)
        return True

    def _visit_leaf(self, element: Element, name: str, holder: _Holder, place: _Place | None) -> bool:
        if name == "timestamp":
            holder.observed_at = time_of(element.text, self.notes)
        elif name == "civicAddress":
            if self._may_take(name):
                (place or self._place(holder)).civics.append(element)
        elif name == "confidence":
            (place or self._place(holder)).confidence = confidence_of(element, self.notes)
        elif name == "method":
            (place or self._place(holder)).method = " ".join((element.text or "")[:200].split())
        elif name == "deviceID":
            self.notes.detail("deviceID", masked((element.text or "").strip()[:100]))
        elif name == "contact" and not self.number:
            self._take_number("contact", (element.text or "").strip())
        elif not name and place is not None and "opengis" in element.tag:
            # GML has many wrappers around a shape, such as gml:Feature and gml:centerOf.
            self.visit_children(element, holder, place)
        return bool(name)

    def _visit_descriptions(self, element: Element, holder: _Holder, place: _Place | None) -> None:
        """The shapes and addresses of a location-info; what is neither is told."""
        for child in element:
            before = self.taken
            if not self.visit(child, holder, place) and self.taken == before:
                self.notes.warn("location-info", xml.local_name(child)[:50], "is not understood: left out")

    def _take_shape(self, name: str, element: Element, place: _Place) -> None:
        place.shapes.append((name, element))
        inside = element.find("{*}confidence")
        if inside is not None:
            self.notes.warn("confidence", (inside.text or "").strip()[:50], f"belongs behind {name}, not into it: read")
            place.confidence = confidence_of(inside, self.notes)

    def _may_take(self, name: str) -> bool:
        self.taken += 1
        if self.taken == MAX_LOCATIONS + 1:
            self.notes.warn(name, "", f"is more than {MAX_LOCATIONS} shapes and addresses: the rest was left out")
        return self.taken <= MAX_LOCATIONS

    def _new_place(self, holder: _Holder) -> _Place:
        place = _Place(holder)
        self.places.append(place)
        return place

    def _place(self, holder: _Holder) -> _Place:
        """The place of parts that stand outside a geopriv element: one for each holder."""
        for place in reversed(self.places[-3:]):
            if place.holder is holder:
                return place
        return self._new_place(holder)

    def _take_number(self, name: str, uri: str) -> None:
        """The telephone number of a URI, when it is one with its country code."""
        uri = uri[:200].strip().replace("%2B", "+").replace("%2b", "+")
        found = _NUMBER.fullmatch(uri)
        if found:
            digits = re.sub(r"[^0-9]", "", found[1])
            if 2 <= len(digits) <= 15 and digits[0] != "0":
                self.number = "+" + digits
                return
        if found or _LOCAL_NUMBER.fullmatch(uri):
            reason = "is no number with a country code such as +441632960123: not taken as the calling number"
            self.notes.warn(name, masked(uri), reason)


def _evidence(place: _Place, notes: Notes, names: dict[str, int], arrived_at: float | None) -> list[Evidence]:
    """The evidence of one place, its shapes before its addresses."""
    if not place.shapes and not place.civics:
        return []
    observed_at = place.holder.observed_at
    if observed_at is not None and arrived_at is not None and observed_at > arrived_at + _AHEAD_S:
        notes.warn("timestamp", f"{observed_at - arrived_at:.0f} s ahead", "is after the message came: kept as it is")
    addresses = _addresses(place, notes)
    floor = next((a.floor for a in addresses if a.floor), "")[:MAX_NAME]
    reports = _reports(place, floor, notes) if place.shapes else []
    if reports:
        # "On the second floor" beside a point is the point's floor, not a place by itself.
        addresses = [address for address in addresses if not is_indoor_only(address)]
    kind = place.holder.kind or "location"
    found = [Evidence(report, _unique(kind, names), "", observed_at) for report in reports]
    for address in addresses:
        lookup = LineLookup(record=LineRecord(address=address))
        found.append(Evidence(lookup, _unique(f"{kind}-civic", names), "", observed_at))
    return found


def _reports(place: _Place, floor: str, notes: Notes) -> list[DeviceReport]:
    method = METHODS.get(place.method.lower(), PositioningMethod.UNSPECIFIED) if place.method else None
    if method is PositioningMethod.UNSPECIFIED:
        notes.detail("method", place.method)
    reports = []
    for name, element in place.shapes:
        placed = shape_of(element, name, notes)
        if placed is not None:
            shape, altitude_m = placed
            confidence = None if type(shape) is Point else _confidence(place, notes)
            reports.append(
                DeviceReport(shape, confidence, method or PositioningMethod.UNSPECIFIED, altitude_m, None, floor)
            )
            if name == "Point" and place.confidence is not None and len(place.shapes) == 1:
                notes.warn("confidence", f"{place.confidence:g}", "means nothing for a point: left out")
    return reports


def _confidence(place: _Place, notes: Notes) -> float:
    if place.confidence is not None:
        return place.confidence
    if notes.cut:
        notes.warn("confidence", "", f"may have been cut off: assumed {UNKNOWN_CONFIDENCE:.0%}")
        return UNKNOWN_CONFIDENCE
    return UNSTATED_CONFIDENCE


def _addresses(place: _Place, notes: Notes) -> list[CivicAddress]:
    """The addresses that say anything; of one in several languages the first."""
    addresses: list[CivicAddress] = []
    languages: set[str] = set()
    for element in place.civics:
        language = element.get("{http://www.w3.org/XML/1998/namespace}lang") or ""
        if language and languages and language not in languages:
            notes.warn("civicAddress", language, "is the address in another language: the first stands")
            continue
        if language:
            languages.add(language)
        address = address_of(element, notes)
        if address == CivicAddress():
            notes.warn("civicAddress", "", "says nothing that is understood")
        elif address not in addresses:
            addresses.append(address)
    return addresses


def _unique(name: str, names: dict[str, int]) -> str:
    count = names[name] = names.get(name, 0) + 1
    return name if count == 1 else f"{name}-{count}"


def _why_none(gathering: _Gathering, notes: Notes) -> str:
    if any(place.shapes or place.civics for place in gathering.places):
        last: FormatWarning | None = notes.warnings[-1] if notes.warnings else None
        return f"the location cannot be used: {last}" if last else "the location cannot be used"
    return "the document has no location"
