"""What the fields of a display mean: a line's record, the mast, or a fix of the caller.

References
----------
NENA 02-010, classes of service. 47 CFR 9.10(j): confidence is told at 90 percent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from locsvc.formats.ali.classes import Kind, ServiceClass, service_class
from locsvc.formats.ali.layout import DETAIL_PREFIX, Layout
from locsvc.formats.ali.record import placement_of
from locsvc.formats.ali.values import degrees, known_time, metres, national_number, share, stamp
from locsvc.formats.ranges import MAX_ALTITUDE_M, MIN_ALTITUDE_M
from locsvc.formats.reading import FormatWarning, Reading
from locsvc.geo import is_null_position
from locsvc.model import (
    Circle,
    CivicAddress,
    ClassOfService,
    DeviceReport,
    Evidence,
    LatLng,
    LineLookup,
    LineRecord,
    Placement,
    Point,
)

FCC_CONFIDENCE = 0.9
# A radius beyond half of the Earth's girth says nothing; heights beyond are no person's.
_GREATEST_RADIUS_M = 20_000_000.0
# Numbers of North America are used from Newfoundland to Hawaii, all of it west, and in Guam and the Marianas.
_EAST_FROM_DEG, _GUAM_DEG, _GUAM_NORTH_DEG = 50.0, (144.0, 147.0), 21.0
_GREATEST_HEIGHT_M = 20_000.0
_HOUSE = re.compile(r"(\d{1,8}[A-Za-z]?)\s+(\S.*)", re.ASCII)
# What stands behind a mast's street; it is in no table of streets.
_SECTOR = re.compile(r"(.*\S) ?- ?([NSEW]{1,2}|[0-9]{1,3}|[A-Z]) ?SECTOR", re.IGNORECASE)
_C = ClassOfService
# Besides phase 2, classes whose coordinates are the caller's where an uncertainty comes with them.
_FIX_IF_STATED = frozenset({_C.WIRELESS, _C.TEXT, _C.TELEMATICS, _C.WIRELESS_DISPATCHABLE, _C.WIRELESS_CIVIC})
# Their civic address is the caller's, though they are wireless.
_CIVIC = frozenset({_C.WIRELESS_DISPATCHABLE, _C.WIRELESS_CIVIC})
_DETAILS = (
    ("link", "link"),
    ("position", "position"),
    ("main number", "main_number"),
    ("ESN", "esn"),
    ("PSAP", "psap"),
)


class _Reader:
    """Reads the fields of one display; what is wrong with one of them is a warning."""

    def __init__(self, fields: Mapping[str, str], warnings: Sequence[FormatWarning]) -> None:
        self.fields = fields
        self.warnings = list(warnings)

    def warn(self, field: str, reason: str) -> None:
        self.warnings.append(FormatWarning(field, self.fields.get(field, "")[:60], reason))

    def number(self, field: str) -> str:
        """A telephone number in E.164, empty when there is none."""
        text = self.fields.get(field, "")
        digits = national_number(text)
        if text and digits is None:
            self.warnings.append(FormatWarning(field, "", "is no North American number of ten digits: left out"))
        return f"+1{digits}" if digits else ""

    def entry(self) -> ServiceClass | None:
        text = self.fields.get("class_of_service", "")
        found = service_class(text)
        if found is None:
            self.warn("class_of_service", "is not known: nothing is taken for granted" if text else "is missing")
        return found

    def position(self) -> LatLng | None:
        texts = self.fields.get("latitude", ""), self.fields.get("longitude", "")
        if not any(texts):
            return None
        latitude, longitude = degrees(texts[0], 90.0), degrees(texts[1], 180.0)
        if latitude is None or longitude is None:
            self.warn("latitude" if latitude is None else "longitude", "is no angle in degrees: no coordinates taken")
            return None
        if is_null_position(latitude, longitude):
            self.warn("latitude", "0,0 means that the place is not known")
            return None
        if longitude >= _EAST_FROM_DEG and not (_GUAM_DEG[0] < longitude < _GUAM_DEG[1] and latitude < _GUAM_NORTH_DEG):
            self.warn("longitude", "is east, where no number of North America is: taken for west without its sign")
            longitude = -longitude
        return LatLng(latitude, longitude)

    def length_m(self, field: str, greatest_m: float) -> float | None:
        """A length above 0; 0 means that it is not known."""
        text = self.fields.get(field, "")
        if not text:
            return None
        value = metres(text)
        if value is None or not 0.0 <= value <= greatest_m:
            self.warn(field, "is no length in metres: taken as not known")
            return None
        if value == 0.0:
            self.warn(field, "0 metres means that it is not known")
        return value or None

    def confidence(self) -> float | None:
        text = self.fields.get("confidence_percent", "")
        value = share(text)
        if text and value is None:
            self.warn("confidence_percent", "is no percentage above 0 and below 100: not believed")
        return value

    def height_m(self) -> float | None:
        text = self.fields.get("altitude_m", "")
        value = metres(text) if text else None
        if text and (value is None or not MIN_ALTITUDE_M <= value <= MAX_ALTITUDE_M):
            self.warn("altitude_m", "is no height in metres: left out")
            return None
        return value

    def mast(self) -> CivicAddress | None:
        """The address of the mast; its sector is the location within it."""
        address = self.address(named=False)
        found = _SECTOR.fullmatch(address.street) if address is not None else None
        if address is None or found is None:
            return address
        return replace(address, street=found[1], location=f"{found[2]} sector")

    def address(self, *, named: bool) -> CivicAddress | None:
        """The civic address; `named`: with the subscriber's name, which on wireless displays is the carrier's."""
        get = self.fields.get
        house, street = get("house_number", ""), get("street", "") + get("street_more", "")
        if not street and (whole := get("address", "")):
            found = _HOUSE.fullmatch(whole)
            house, street = (found[1], found[2]) if found and not house else (house, whole)
        address = CivicAddress(
            state=get("state", ""),
            county=get("county", ""),
            city=get("community", ""),
            street_predirection=get("directional", ""),
            street=" ".join(street.split()),
            street_suffix=get("street_suffix", ""),
            street_postdirection=get("post_directional", ""),
            house_number=house,
            house_number_suffix=get("house_number_suffix", ""),
            location=get("location", ""),
            name=get("name", "") if named else "",
            postcode=get("postcode", ""),
        )
        return None if address == CivicAddress() else address

    def time(self, arrived_at: float | None, utc_offset_s: float | None) -> float | None:
        """When the display was made, Unix seconds."""
        date, clock = self.fields.get("date", ""), self.fields.get("time", "")
        if not date and not clock:
            return None
        arrived = known_time(arrived_at)
        if arrived is None:
            self.warn("date", "has no year and it is not known when the text arrived: the time is left out")
            return None
        found = stamp(date, clock, arrived, utc_offset_s)
        if found is None:
            self.warnings.append(FormatWarning("date", f"{date} {clock}"[:60], "is no date and time: left out"))
            return None
        if utc_offset_s is None:
            zone = f"UTC{found[1] / 3600.0:+.0f} h"
            self.warn("time", f"no zone is stated: taken as {zone}; state utc_offset_h in the layout")
        return found[0]


def meaning(
    fields: Mapping[str, str],
    layout: Layout,
    warnings: Sequence[FormatWarning],
    arrived_at: float | None,
    utc_offset_s: float | None,
) -> Reading:
    """What the fields of a display say; its evidence is empty when they say that there is no location."""
    reader = _Reader(fields, warnings)
    entry = reader.entry()
    wireless = entry is not None and entry.wireless
    asked, callback = reader.number("number"), reader.number("callback")
    # What a wireless display is asked by is a number of the network for this call, never the subscriber's; without a
    # class of service it may be one.
    number = callback if wireless or "class_of_service" not in fields else callback or asked
    observed_at = reader.time(arrived_at, layout.utc_offset_s if utc_offset_s is None else utc_offset_s)
    position = reader.position()
    at_mast = wireless and entry is not None and entry.line_class not in _CIVIC
    address = reader.mast() if at_mast else reader.address(named=not wireless)
    contents = _contents(reader, entry, number, position, address)
    details = _details(fields, layout, entry)
    if asked and asked != number:
        details["pANI"] = asked
    if at_mast and address is not None:
        details["tower"] = ", ".join(filter(None, (address.line(), address.location)))
    return Reading(
        tuple(Evidence(c, name if len(contents) > 1 else "", observed_at=observed_at) for name, c in contents),
        tuple(reader.warnings),
        calling_number=number,
        no_location="" if contents else "the display has neither coordinates nor an address of the caller",
        details=details,
    )


def _contents(
    reader: _Reader,
    entry: ServiceClass | None,
    number: str,
    position: LatLng | None,
    address: CivicAddress | None,
) -> list[tuple[str, DeviceReport | LineLookup]]:
    line_class = entry.line_class if entry else ClassOfService.UNSPECIFIED
    wireless = entry is not None and entry.wireless
    radius_m = reader.length_m("uncertainty_m", _GREATEST_RADIUS_M) if position else None
    confidence = reader.confidence()
    if wireless and line_class not in _CIVIC and not _at_mast(entry):
        # Phase 0 and texts: whatever stands there is not even said to be the mast's.
        address = None
    is_fix = line_class == _C.WIRELESS_PHASE2 or (line_class in _FIX_IF_STATED and radius_m is not None)
    if position is not None and is_fix:
        fix = _fix(reader, position, radius_m, confidence)
        if line_class not in _CIVIC or address is None:
            return [("fix", fix)]
        civic = LineRecord(number, line_class, address, provider=reader.fields.get("provider", ""))
        return [("fix", fix), ("address", LineLookup(number, civic))]
    if line_class == _C.WIRELESS_PHASE2:
        # Phase 2 was asked and did not come: what is left is the cell site's address.
        reader.warn("class_of_service", "without coordinates: read as phase 1, the cell site's address")
        line_class = _C.WIRELESS_PHASE1
    if position is None and address is None and wireless:
        return []
    record = LineRecord(
        number=number,
        class_of_service=line_class,
        address=address,
        position=position,
        placement=placement_of(entry) if position else Placement.UNSPECIFIED,
        uncertainty_m=radius_m,
        confidence=(confidence or (FCC_CONFIDENCE if wireless else None)) if radius_m else None,
        provider=reader.fields.get("provider", ""),
    )
    return [("line", LineLookup(number, record))]


def _at_mast(entry: ServiceClass | None) -> bool:
    return entry is not None and entry.kind in {Kind.MAST, Kind.FIX}


def _fix(reader: _Reader, position: LatLng, radius_m: float | None, confidence: float | None) -> DeviceReport:
    if radius_m is None and "uncertainty_m" not in reader.fields:
        reader.warn("uncertainty_m", "is not stated: taken as not known")
    if radius_m is not None and confidence is None:
        reader.warn("confidence_percent", "is not stated: 90 %, as the FCC requires")
    height_m = reader.height_m()
    return DeviceReport(
        Circle(position, radius_m) if radius_m is not None else Point(position),
        (confidence or FCC_CONFIDENCE) if radius_m is not None else None,
        altitude_m=height_m,
        vertical_uncertainty_m=reader.length_m("vertical_uncertainty_m", _GREATEST_HEIGHT_M) if height_m else None,
    )


def _details(fields: Mapping[str, str], layout: Layout, entry: ServiceClass | None) -> dict[str, str]:
    details = {"layout": layout.name}
    details |= {name: fields[field] for name, field in _DETAILS if field in fields}
    if entry is not None:
        details["class of service"] = entry.words
        if entry.wireless and "name" in fields:
            details["carrier"] = fields["name"]
    details |= {_detail_name(k): v for k, v in fields.items() if k.startswith(DETAIL_PREFIX)}
    return details


def _detail_name(name: str) -> str:
    """A layout's own name of a detail, in words."""
    return name.removeprefix(DETAIL_PREFIX).replace("_", " ")
