"""The fixed record in which companies exchange line data: 512 characters (version 2.1), or its first 240 (version 1.0).

References
----------
NENA 02-010, data exchange format version 2.1: positions 1 to 221, 356 to 512 and the order of fields as published by
companies that take such files; 222 to 355 close the gap exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

from locsvc.formats.ali.classes import NON_PUBLISHED, TYPES_OF_SERVICE, Kind, ServiceClass, service_class
from locsvc.formats.ali.values import date_of, degrees, national_number
from locsvc.formats.reading import FormatWarning, Reading, Unreadable
from locsvc.geo import is_null_position
from locsvc.model import CivicAddress, ClassOfService, Evidence, LatLng, LineLookup, LineRecord, Placement

LENGTH, LENGTH_V1 = 512, 240
END_OF_RECORD = "*"
FUNCTIONS = {"I": "insert", "C": "change", "D": "delete", "M": "migrate", "U": "unlock"}
# First and last position of each field, counted from 1.
POSITIONS: dict[str, tuple[int, int]] = {
    "function_code": (1, 1),
    "npa": (2, 4),
    "calling_number": (5, 11),
    "house_number": (12, 21),
    "house_number_suffix": (22, 25),
    "prefix_directional": (26, 27),
    "street": (28, 91),
    "post_directional": (92, 93),
    "community": (94, 125),
    "state": (126, 127),
    "location": (128, 187),
    "customer_name": (188, 219),
    "class_of_service": (220, 220),
    "type_of_service": (221, 221),
    "exchange": (222, 225),
    "esn": (226, 230),
    "main_npa": (231, 233),
    "main_number": (234, 240),
    "order_number": (241, 250),
    "extract_date": (251, 256),
    "county_id": (257, 260),
    "company_id": (261, 265),
    "source_id": (266, 266),
    "zip": (267, 271),
    "zip4": (272, 275),
    "general_use": (276, 286),
    "customer_code": (287, 289),
    "comments": (290, 319),
    "x_longitude": (320, 328),
    "y_latitude": (329, 337),
    "z": (338, 342),
    "cell_id": (343, 348),
    "sector_id": (349, 349),
    "tar_code": (350, 355),
    "reserved": (356, 511),
    "end_of_record": (512, 512),
}
_SLICES = tuple((first - 1, last) for first, last in POSITIONS.values())
# A record is read that has at least its number.
_LEAST_LENGTH = POSITIONS["calling_number"][1]
_DETAILS = (
    ("function code", "function_code"),
    ("exchange", "exchange"),
    ("ESN", "esn"),
    ("order number", "order_number"),
    ("county id", "county_id"),
    ("customer code", "customer_code"),
    ("comments", "comments"),
    ("Z", "z"),
    ("cell id", "cell_id"),
    ("sector id", "sector_id"),
    ("TAR code", "tar_code"),
)


@dataclass(frozen=True, slots=True)
class AliRecord:
    """The fields of a record as they stand there, without the blanks around them, in their order."""

    function_code: str
    npa: str
    calling_number: str
    house_number: str
    house_number_suffix: str
    prefix_directional: str
    street: str
    post_directional: str
    community: str
    state: str
    location: str
    customer_name: str
    class_of_service: str
    type_of_service: str
    exchange: str
    esn: str
    main_npa: str
    main_number: str
    order_number: str
    extract_date: str
    county_id: str
    company_id: str
    source_id: str
    zip: str
    zip4: str
    general_use: str
    customer_code: str
    comments: str
    x_longitude: str
    y_latitude: str
    z: str
    cell_id: str
    sector_id: str
    tar_code: str
    reserved: str
    end_of_record: str

    @property
    def number(self) -> str:
        """The number in E.164; empty when it is none of the North American plan."""
        digits = national_number(self.npa + self.calling_number)
        return f"+1{digits}" if digits else ""


def split_record(text: str) -> AliRecord:
    """The fields of a record that is blank where the text has ended.

    A field that the end of the text cuts is blank too: half a house number is another house.

    >>> record = split_record("I5555550100123" + " " * 14 + "MAIN ST".ljust(66) + "TESTHAM")
    >>> record.npa, record.house_number, record.street, record.community
    ('555', '123', 'MAIN ST', '')
    """
    if len(text) < LENGTH and len(text) != LENGTH_V1:
        cut = next((first for first, last in _SLICES if first <= len(text) < last), len(text))
        text = text[:cut]
    fields = [text[first:last].strip() for first, last in _SLICES]
    if "  " in fields[6]:
        fields[6] = " ".join(fields[6].split())
    return AliRecord(*fields)


def text_of(message: bytes | str) -> str:
    """The message as text: a byte is a column, so it is not read as UTF-8."""
    return message if isinstance(message, str) else message.decode("latin-1")


def looks_like_record(text: str) -> bool:
    """Whether a text begins as a record does: a function code and ten digits.

    >>> looks_like_record("I5555550100"), looks_like_record("(555) 555-0100 RESD")
    (True, False)
    """
    head = text[1:_LEAST_LENGTH]
    return text[:1] in FUNCTIONS and len(head) == 10 and head.isascii() and head.isdigit()


def read_record(message: bytes | str, *, arrived_at: float | None = None) -> Reading:
    """What one exchange record says: the line's record, as a look-up that is answered already.

    Raises
    ------
    Unreadable
        It does not begin with a function code and a number, or is longer than a record.
    """
    del arrived_at  # its date is whole
    text = text_of(message[: LENGTH + 3]).rstrip("\r\n")
    if not looks_like_record(text):
        raise Unreadable(
            f"no ALI record: it begins {text[:11]!r}, not with a function code (I, C, D, M or U) and ten digits"
        )
    if len(text) > LENGTH:
        raise Unreadable(f"no ALI record: it is longer than {LENGTH} characters; give the records of a file one by one")
    warnings = _shape_warnings(text)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    record = split_record(text)
    line, more = line_record(record)
    details = {name: value for name, field in _DETAILS if (value := getattr(record, field))}
    if type_words := TYPES_OF_SERVICE.get(record.type_of_service):
        details["type of service"] = type_words
    if line is None:
        raise Unreadable(f"no ALI record: {more[0]}")
    entry = service_class(record.class_of_service)
    number = "" if entry is not None and entry.wireless else line.number
    if line.number and not number:
        details["pANI"] = line.number
    return Reading((Evidence(LineLookup(number, line)),), (*warnings, *more), calling_number=number, details=details)


def line_record(record: AliRecord) -> tuple[LineRecord | None, list[FormatWarning]]:
    """The record in the model's words, None without a number; with what was left out of it and why.

    The name of a subscriber who is not published stays out. Without coordinates there is no placement.
    """
    warnings: list[FormatWarning] = []
    number = record.number
    if not number:
        given = record.npa + record.calling_number
        warnings.append(FormatWarning("calling number", given, "is no North American number of ten digits"))
        return None, warnings
    entry = service_class(record.class_of_service)
    if entry is None and record.class_of_service:
        warnings.append(FormatWarning("class of service", record.class_of_service, "is not known: left out"))
    position = _position(record, warnings)
    updated_at = date_of(record.extract_date)
    if updated_at is None and record.extract_date.strip("0"):
        warnings.append(FormatWarning("extract date", record.extract_date, "is no date as MMDDYY: left out"))
    line = LineRecord(
        number=number,
        class_of_service=entry.line_class if entry else ClassOfService.UNSPECIFIED,
        address=_address(record),
        position=position,
        placement=placement_of(entry) if position else Placement.UNSPECIFIED,
        provider=record.company_id,
        updated_at=updated_at,
    )
    return line, warnings


def placement_of(entry: ServiceClass | None) -> Placement:
    """What coordinates in a record of this class are."""
    if entry is not None and entry.kind == Kind.MAST:
        return Placement.MAST
    return Placement.FIX if entry is not None and entry.kind == Kind.FIX else Placement.RECORD


def _shape_warnings(text: str) -> list[FormatWarning]:
    warnings: list[FormatWarning] = []
    if len(text) not in {LENGTH, LENGTH_V1}:
        reason = f"{len(text)} characters, neither {LENGTH} nor {LENGTH_V1}: what is missing is taken as blank"
        warnings.append(FormatWarning("record", "", reason))
    elif len(text) == LENGTH and text[-1] != END_OF_RECORD:
        warnings.append(FormatWarning("end of record", text[-1], f"is not {END_OF_RECORD!r}: fields may be shifted"))
    if not text.isascii() or not text.isprintable():
        warnings.append(FormatWarning("record", "", "has characters that are not plain ASCII"))
    return warnings


def _address(record: AliRecord) -> CivicAddress | None:
    postcode = f"{record.zip}-{record.zip4}" if record.zip and record.zip4 else record.zip
    name = "" if record.type_of_service in NON_PUBLISHED else record.customer_name
    if not (record.street or record.community or record.house_number or record.location or postcode):
        return CivicAddress(name=name, state=record.state) if name or record.state else None
    return CivicAddress(
        state=record.state,
        city=record.community,
        street_predirection=record.prefix_directional,
        street=record.street,
        street_postdirection=record.post_directional,
        house_number=record.house_number,
        house_number_suffix=record.house_number_suffix,
        location=record.location,
        name=name,
        postcode=postcode,
    )


def _position(record: AliRecord, warnings: list[FormatWarning]) -> LatLng | None:
    if not record.x_longitude and not record.y_latitude:
        return None
    latitude, longitude = degrees(record.y_latitude, 90.0), degrees(record.x_longitude, 180.0)
    if latitude is None or longitude is None:
        given = f"{record.y_latitude},{record.x_longitude}"
        warnings.append(FormatWarning("Y,X", given, "is no latitude and longitude in degrees: left out"))
        return None
    if is_null_position(latitude, longitude):
        warnings.append(FormatWarning("Y,X", f"{latitude:g},{longitude:g}", "means that the place is not known"))
        return None
    return LatLng(latitude, longitude)
