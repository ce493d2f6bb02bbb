"""Single values of ALI texts: numbers of telephones, degrees, lengths, percentages, dates."""

from __future__ import annotations

import datetime as dt
import math
import re

# Longer texts are no number that ALI knows, and would only cost time.
_LONGEST_NUMBER = 24
_DECIMAL = re.compile(r"[+-]?(?:\d{1,9}\.?\d{0,15}|\.\d{1,15})", re.ASCII)
_ANGLE = re.compile(
    r"([NSEW])? ?([+-])?(\d{1,3}(?:\.\d{1,12})?)[° :]{0,2}"
    r"(?:(\d{1,2})[' :]{0,2}(\d{1,2}(?:\.\d{1,6})?)[\" ]{0,2})? ?([NSEW])?",
    re.ASCII,
)
_LENGTH = re.compile(r"([+-]?[0-9.]{1,20}) ?((?:M|MTRS?|METERS?|METRES?|FT|FEET)?)", re.ASCII)
_FOOT_M, _SIXTY, _QUARTER_TURN_DEG = 0.3048, 60.0, 90.0
_NOT_DIGITS = re.compile(r"[^0-9]+")
_WRITTEN_NUMBER = re.compile(r"[0-9()+./ -]*")
# Number plan of North America: area codes begin with 2 to 9. Pseudo numbers do not keep to what exchange codes are.
_NANP = re.compile(r"[2-9][0-9]{9}")
_MONTH_DAY = re.compile(r"(\d{1,2})[/-](\d{1,2})(?:[/-](\d{4}|\d{2}))?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)

_DAY_S = 86_400.0
# Later and earlier times of arrival are no clock's.
_LATEST_S = 4.0e9
# Zones of the North American number plan are not east of Greenwich; a display is shown within minutes of its time.
_ZONES_H = range(-12, 1)
_SHOWN_WITHIN_S = 600.0


def national_number(text: str) -> str | None:
    """Ten digits of a North American number, however it is written; None when it is none.

    >>> national_number("(555) 555-0100"), national_number("1-555-555-0100"), national_number("911")
    ('5555550100', '5555550100', None)
    """
    if len(text) > _LONGEST_NUMBER or not _WRITTEN_NUMBER.fullmatch(text):
        return None
    digits = _NOT_DIGITS.sub("", text)
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    return digits if _NANP.fullmatch(digits) else None


def decimal(text: str) -> float | None:
    """The number that a text holds in plain decimal writing; None when it holds none.

    >>> decimal("+38.844566"), decimal("1e9"), decimal("")
    (38.844566, None, None)
    """
    if len(text) > _LONGEST_NUMBER or not _DECIMAL.fullmatch(text):
        return None
    return float(text)


def degrees(text: str, greatest_deg: float) -> float | None:
    """Degrees within plus and minus `greatest_deg`; None when the text is no such angle.

    >>> degrees("-104.7311", 180.0), degrees("-1047311", 180.0), degrees("104 43 51.96 W", 180.0)
    (-104.7311, None, -104.7311)
    """
    value = decimal(text)
    if value is None:
        value = _angle(text, "NS" if greatest_deg == _QUARTER_TURN_DEG else "EW")
    return value if value is not None and abs(value) <= greatest_deg else None


def _angle(text: str, letters: str) -> float | None:
    """Degrees, or degrees, minutes and seconds, with a hemisphere's letter or a sign, not both."""
    found = _ANGLE.fullmatch(text.upper()) if len(text) <= _LONGEST_NUMBER else None
    if found is None:
        return None
    before, sign, whole, minutes, seconds, behind = found.groups()
    letter = before or behind or ""
    if (before and behind) or (letter and (letter not in letters or sign)) or float(minutes or 0) >= _SIXTY:
        return None
    if float(seconds or 0) >= _SIXTY or (minutes and "." in whole):
        return None
    value = float(whole) + float(minutes or 0) / _SIXTY + float(seconds or 0) / _SIXTY**2
    return -value if sign == "-" or letter in ("S", "W") else value


def metres(text: str) -> float | None:
    """A length in metres, with or without a unit behind it; None when it is none.

    >>> metres("35m"), metres("300 FT"), metres("35 Q")
    (35.0, 91.44, None)
    """
    found = _LENGTH.fullmatch(text.upper()) if len(text) <= _LONGEST_NUMBER else None
    value = decimal(found[1]) if found else None
    if found is None or value is None:
        return None
    return round(value * _FOOT_M, 3) if found[2].startswith("F") else value


def share(text: str) -> float | None:
    """A percentage as a fraction above 0 and below 1; None when it is none.

    >>> share("90"), share("95 %"), share("100"), share("0")
    (0.9, 0.95, None, None)
    """
    value = decimal(text.removesuffix("%").rstrip())
    return value / 100.0 if value is not None and 0.0 < value < 100.0 else None


def date_of(text: str) -> float | None:
    """Midnight UTC of a MMDDYY date of this or the last century; None when there is no such day.

    >>> date_of("041026"), date_of("133126"), date_of("")
    (1775779200.0, None, None)
    """
    if len(text) != 6 or not (text.isascii() and text.isdigit()):
        return None
    year = int(text[4:])
    # Databases of this kind began in the 1970s.
    return _utc(2000 + year if year < 70 else 1900 + year, int(text[:2]), int(text[2:4]), 0, 0, 0)


def known_time(time_s: float | None) -> float | None:
    """A time of arrival that a clock can have given, else None.

    >>> known_time(1.8e9), known_time(float("nan")), known_time(None)
    (1800000000.0, None, None)
    """
    return time_s if time_s is not None and math.isfinite(time_s) and 0.0 <= time_s <= _LATEST_S else None


def stamp(date: str, clock: str, arrived_at: float, utc_offset_s: float | None) -> tuple[float, float] | None:
    """Unix time of a display's date and clock, and the zone's offset from UTC that was taken; None: no date or clock.

    A year that is not given is that in which the display is not later than it arrived (by more than a day). A zone that
    is not given is that of whole hours in which the display was shown in the ten minutes before it arrived, else UTC.

    >>> stamp("12/31", "23:59", 1767225600.0, 0.0)  # arrived in the first second of 2026
    (1767225540.0, 0.0)
    >>> stamp("04/10", "14:48", 1775854100.0, None)
    (1775854080.0, -21600.0)
    """
    day, hour = _MONTH_DAY.fullmatch(date), _CLOCK.fullmatch(clock)
    if day is None or hour is None:
        return None
    arrival_year = dt.datetime.fromtimestamp(arrived_at, dt.UTC).year
    year = day[3]
    # Only a January's day can be in the year after that of its arrival; 29 February may be seven years back.
    latest = arrival_year + (int(day[1]) == 1)
    years = [int(year) + (2000 if len(year) == 2 else 0)] if year else range(latest, latest - 9, -1)
    for tried in years:
        local_s = _utc(tried, int(day[1]), int(day[2]), int(hour[1]), int(hour[2]), int(hour[3] or 0))
        if local_s is not None and (year or local_s <= arrived_at + _DAY_S):
            offset_s = _offset_s(local_s, arrived_at) if utc_offset_s is None else utc_offset_s
            return local_s - offset_s, offset_s
    return None


def _offset_s(local_s: float, arrived_at: float) -> float:
    for hours in reversed(_ZONES_H):
        # A minute's clock may stand a minute ahead of ours.
        if -60.0 <= arrived_at - (local_s - hours * 3600.0) <= _SHOWN_WITHIN_S:
            return hours * 3600.0
    return 0.0


def _utc(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float | None:
    try:
        return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC).timestamp()
    except ValueError:
        return None
