"""Exchange records and displays made for tests, with numbers kept for fiction."""

from __future__ import annotations

from locsvc.formats.ali.record import LENGTH, POSITIONS

COMPANY = "TESTX"


def made(**fields: str) -> str:
    """A record of 512 characters with these fields; the others are blank."""
    text = [" "] * LENGTH
    for name, value in {"end_of_record": "*", **fields}.items():
        first, last = POSITIONS[name]
        assert len(value) <= last - first + 1, name
        text[first - 1 : first - 1 + len(value)] = value
    return "".join(text)


def order(function: str, last: int, company: str = COMPANY, **fields: str) -> str:
    """A service order for the line +1 555 555 01xx, at 3 Mill Lane in Testham unless it says otherwise."""
    usual = {
        "house_number": "3",
        "street": "MILL LN",
        "community": "TESTHAM",
        "state": "CO",
        "class_of_service": "1",
        "type_of_service": "0",
        "extract_date": "112126",
        "npa": "555",
        "calling_number": f"555{last:04d}",
        "company_id": company,
    }
    return made(function_code=function, **usual | fields)


def header() -> str:
    """A header of version 2.1."""
    return ("UHL  112126" + "TEST TELEPHONE".ljust(50) + "000001").ljust(LENGTH - 1) + "*"


def trailer(count: int) -> str:
    """A trailer of version 2.1 that counts `count` records."""
    return ("UTL  112126" + "TEST TELEPHONE".ljust(50) + f"{count:09d}").ljust(LENGTH - 1) + "*"


def file_of(*orders: str, ends: str = "\r\n", count: int | None = None) -> bytes:
    """A file with header and trailer; the trailer counts the records unless it is told otherwise."""
    records = [header(), *orders, trailer(len(orders) if count is None else count)]
    return "".join(record + ends for record in records).encode("latin-1")


def display(
    line_class: str = "WPH2", coordinates: str = "+38.803314  -104.752107     19 ", end: str = "\r", **fields: str
) -> str:
    """A display of layout 30W."""
    lines = [
        "2126",
        f"(555) 555-0128 {line_class:4} {fields.get('date', '11/21')} {fields.get('time', '22:15')}",
        fields.get("name", "TEST WIRELESS").ljust(28),
        "      3690       P#555-555-0128",
        "   " + fields.get("street", "MILL BOULEVARD").ljust(22),
        fields.get("more", "").ljust(20),
        fields.get("location", "CALLBK=(555)555-0125").ljust(22) + "262 00311",
        "CO TESTHAM".ljust(31),
        " " * 18 + "TEL=TESTX",
        coordinates,
        "PSAP=TESTHAM PD",
        "VERIFY PD",
    ]
    return "\x02" + end.join(lines) + end + "\x03"
