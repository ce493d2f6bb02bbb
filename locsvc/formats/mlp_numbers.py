"""Numbers as MLP writes them: angles in degrees, minutes and seconds, times, lengths with a unit.

References
----------
OMA-TS-MLP-V3_5 clauses 5.2.2 (elements and attributes) and 5.2.3 (coordinates; worked examples in 5.2.3.2.2).
"""

from __future__ import annotations

import datetime as dt
import re

from locsvc.formats.elements import number

# Hemisphere letters may stand on either side; the separators are what the field puts between the numbers.
_DMS = re.compile(
    r"([NSEW]?) ?([+-]?[0-9]{1,3})(?:[ :\u00b0]+)([0-9]{1,2}(?:\.[0-9]{0,15})?)"
    r"(?:[ :'\u2019\u2032]+([0-9]{1,2}(?:\.[0-9]{0,15})?))?[ \"'\u201d\u2019\u2033\u2032]*([NSEW]?)",
    re.IGNORECASE,
)
# Degrees, minutes and seconds written together, as older peers do: 0991215.019W.
_TOGETHER = re.compile(r"([NSEW]?) ?([0-9]{1,3})([0-9]{2})([0-9]{2}(?:\.[0-9]{0,15})?) ?([NSEW]?)", re.IGNORECASE)
_DECIMAL = re.compile(r"([NSEW]?) ?([+-]?[0-9]{1,3}(?:\.[0-9]{0,25})?) ?\u00b0? ?([NSEW]?)", re.IGNORECASE)
_LONGEST_ANGLE = 64
_TIME = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})([0-9]{2})(\.[0-9]{1,9})?")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")
# Westernmost and easternmost clocks on Earth are at -12 and +14 hours.
_WIDEST_OFFSET_S = 14 * 3600

METRES = {
    "": 1.0,
    "m": 1.0,
    "meter": 1.0,
    "meters": 1.0,
    "metre": 1.0,
    "metres": 1.0,
    "km": 1000.0,
    "kilometer": 1000.0,
    "kilometre": 1000.0,
    "ft": 0.3048,
    "foot": 0.3048,
    "feet": 0.3048,
    "us survey foot": 1200 / 3937,
    "yard": 0.9144,
    "mile": 1609.344,
    "miles": 1609.344,
    "nautical mile": 1852.0,
}


def angle_deg(text: str) -> tuple[float, str] | None:
    """Degrees, south and west negative, and the hemisphere letter ("" when there is none); None for anything else.

    >>> angle_deg("30 16 28.308N")
    (30.27453, 'N')
    >>> angle_deg("-86.5"), angle_deg("0991215.000W"), angle_deg("91 60 0N")
    ((-86.5, ''), (-99.20416666666667, 'W'), None)
    """
    text = text.strip()
    if len(text) > _LONGEST_ANGLE:
        return None
    if match := _DECIMAL.fullmatch(text):
        first, degrees, last = match.groups()
        minutes = seconds = "0"
    elif match := _TOGETHER.fullmatch(text) or _DMS.fullmatch(text):
        first, degrees, minutes, seconds, last = match.groups("0")
        first, last = first.strip("0"), last.strip("0")
    else:
        return None
    letter = (first or last).upper()
    if (first and last) or (letter and degrees[0] in "+-"):
        return None
    if float(minutes) >= 60 or float(seconds) >= 60:
        return None
    size = abs(float(degrees)) + float(minutes) / 60 + float(seconds) / 3600
    return (-size if letter in ("S", "W") or degrees[0] == "-" else size), letter


def time_s(text: str, utc_offset: str = "") -> float | None:
    """Unix seconds of a local time `yyyyMMddHHmmss` at an offset such as "+0200" ("" is UTC), or None.

    >>> time_s("20020623134453", "+0200")
    1024832693.0
    """
    match = _TIME.fullmatch(text.strip())
    offset_s = _offset_s(utc_offset.strip())
    if match is None or offset_s is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    try:
        # A leap second is read as the second before it.
        at = dt.datetime(year, month, day, hour, minute, 59 if second == 60 else second, tzinfo=dt.UTC)
    except ValueError:
        return None
    return at.timestamp() + float(match[7] or 0) - offset_s


def _offset_s(text: str) -> float | None:
    if text in ("", "Z"):
        return 0.0
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    seconds = int(match[2]) * 3600 + int(match[3]) * 60
    if seconds > _WIDEST_OFFSET_S or int(match[3]) > 59:
        return None
    return float(-seconds if match[1] == "-" else seconds)


def length_m(text: str, unit: str) -> float | None:
    """Metres of a number in a unit of MLP, or None for what is no length.

    >>> length_m("240", ""), length_m("100", "foot"), length_m("5", "parsec")
    (240.0, 30.48, None)
    """
    size, scale = number(text), METRES.get(unit.strip().lower())
    return None if size is None or scale is None or size < 0 else size * scale
