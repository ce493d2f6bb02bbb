"""Civic addresses of PIDF-LO: elements to the model and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from locsvc.formats.call_checks import MAX_TEXT
from locsvc.formats.pidf_lo.names import CIVIC, CIVIC_EXTENSION
from locsvc.formats.xml import local_name
from locsvc.model import CivicAddress

if TYPE_CHECKING:
    from locsvc.formats.pidf_lo.notes import Notes
    from locsvc.formats.xml import Element

# In the order of the schema (RFC 5139 section 3.7), which is the order of writing.
FIELDS = {
    "country": "country",
    "A1": "state",
    "A2": "county",
    "A3": "city",
    "A4": "district",
    "PRD": "street_predirection",
    "RD": "street",
    "STS": "street_suffix",
    "POD": "street_postdirection",
    "HNO": "house_number",
    "HNS": "house_number_suffix",
    "LMK": "landmark",
    "LOC": "location",
    "FLR": "floor",
    "NAM": "name",
    "PC": "postcode",
    "BLD": "building",
    "UNIT": "unit",
    "ROOM": "room",
    "PLC": "place_type",
}
# Elements that the model has no field of its own for; they go to the details.
_OTHERS = frozenset(
    {"A5", "A6", "RDSEC", "RDBR", "RDSUBBR", "PRM", "POM", "SEAT", "PCN", "POBOX", "ADDCODE", "STP", "HNP", "MP", "PN"}
)
# What tells a place within a building, and nothing of where the building is.
_INDOOR = frozenset({"floor", "room", "unit", "location", "place_type", "building", "name", "landmark"})
_COUNTRY = re.compile("[A-Z]{2}")


def address_of(element: Element, notes: Notes) -> CivicAddress:
    """The address of a `civicAddress` element; what the model has no word for goes to the details.

    The street is read from RD and from A6, its place before RFC 5139; a kind of street before the name (STP), as in
    "Boulevard Colorado", and a first part such as "Old" (PRM) are put before it, a house number's prefix (HNP) before
    the number.

    References
    ----------
    RFC 5139 section 3, RFC 6848 section 5.
    """
    texts = _texts(element, notes)
    street = texts.get("RD") or texts.get("A6") or ""
    if not street and "STS" in texts:
        notes.warn("STS", texts["STS"], "stands without RD: taken as the street's name")
        street = texts.pop("STS")
    fields = {FIELDS[tag]: text for tag, text in texts.items() if tag in FIELDS}
    fields["street"] = " ".join(t for t in (texts.get("PRM"), texts.get("STP"), street) if t)
    fields["house_number"] = texts.get("HNP", "") + texts.get("HNO", "")
    fields["country"] = _country(texts.get("country", ""), notes)
    used = {"PRM", "STP", "HNP"} if street else {"HNP"}
    used |= {"A6"} if street == texts.get("A6") else set()
    for tag, text in texts.items():
        if tag in _OTHERS and tag not in used:
            notes.detail(tag, text)
    return CivicAddress(**fields)


def is_indoor_only(address: CivicAddress) -> bool:
    """Whether the address tells a place within a building but not which: the rest of a compound location.

    >>> is_indoor_only(CivicAddress(floor="2")), is_indoor_only(CivicAddress(floor="2", street="Mill Lane"))
    (True, False)
    """
    return not any(getattr(address, name) for name in FIELDS.values() if name not in _INDOOR)


def address_elements(address: CivicAddress) -> list[tuple[str, str]]:
    """Names and texts of the elements of an address, in the order of the schema.

    >>> address_elements(CivicAddress(street="Mill Lane", house_number="3"))
    [('RD', 'Mill Lane'), ('HNO', '3')]
    """
    return [(tag, text) for tag, name in FIELDS.items() if (text := getattr(address, name))]


def _texts(element: Element, notes: Notes) -> dict[str, str]:
    """Texts by local name, white space made single; elements of other people's namespaces go to the details."""
    texts: dict[str, str] = {}
    for child in element:
        text = child.text
        if not text or not (text := " ".join(text.split())):
            continue
        if len(text) > MAX_TEXT:
            notes.warn(local_name(child)[:50], text, f"has more than {MAX_TEXT} characters: cut off")
            text = text[:MAX_TEXT]
        name = _TAGS.get(child.tag) or local_name(child)
        if name not in FIELDS and name not in _OTHERS:
            notes.detail(name, text)
        elif name in texts:
            notes.warn(name, text, "is given twice: the first stands")
        else:
            texts[name] = text
    return texts


def _country(text: str, notes: Notes) -> str:
    if not text or _COUNTRY.fullmatch(text):
        return text
    if _COUNTRY.fullmatch(text.upper()):
        notes.warn("country", text, "is not in upper case: raised")
        return text.upper()
    notes.warn("country", text, "is not an ISO 3166-1 alpha-2 code such as IE: left out")
    notes.detail("country", text)
    return ""


_TAGS = {f"{{{CIVIC}}}{name}": name for name in (*FIELDS, *_OTHERS)} | {
    f"{{{CIVIC_EXTENSION}}}{name}": name for name in ("STP", "HNP", "MP", "PN")
}
