"""Values of AML and ELS fields: numbers, times, confidences, methods, telephone numbers.

Each function gives the value, or None with a warning in the findings; an empty text is None without one. What is
written in an odd way is read, with a warning, where only one meaning is possible, and refused where two are.
"""

from __future__ import annotations

import datetime as dt
import re

from locsvc.formats.aml.findings import Findings, printable
from locsvc.formats.call_checks import MAX_RADIUS_M
from locsvc.formats.reading import masked
from locsvc.model import PositioningMethod

# At most 15 digits before and 30 after the point and an exponent below 100: always a finite number.
_DIGITS = r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?"
_NUMBER = re.compile(_DIGITS)
_CROOKED_NUMBER = re.compile(rf"({_DIGITS}|[+-]?[0-9]{{1,4}},[0-9]{{1,30}}) ?(m|%|°)?")
# What typing programs, translators and the wrong code page make of signs.
_SIGNS = str.maketrans(dict.fromkeys("\u2212\u2013\u2010\u2011\ufe63\uff0d", "-") | {"\uff0b": "+"})
_THOUSANDS = 3

# Android's radius holds 68 % (Location.getAccuracy; ELS samples say lc=68 and 0.6827).
ANDROID_CONFIDENCE = 0.68
# No shape holds its caller for certain: what says 100 % is taken as this.
GREATEST_CONFIDENCE = 0.999

# AML is of 2014; phones whose clock was never set say 1970 or 1980.
EARLIEST_S = dt.datetime(2000, 1, 1, tzinfo=dt.UTC).timestamp()
LATEST_S = dt.datetime(2100, 1, 1, tzinfo=dt.UTC).timestamp()
# Clocks of phones and servers differ by less; a fix from later than that was stamped by a wrong clock.
CLOCK_SKEW_S = 300.0
# A fix this much older than the call is a remembered one.
OLD_FIX_S = 900.0
_EPOCH_DAY = dt.date(1970, 1, 1).toordinal()
_DAY_S = 86_400
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T?([0-9]{2})([0-9]{2})([0-9]{2})Z?")
_WRITTEN = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[T ]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})? ?"
    r"(?:(Z|UTC|GMT)|([+-])([0-9]{2}):?([0-9]{2}))?",
    re.IGNORECASE,
)
# Digits of a Unix time between 2001 and 2286, and its unit in parts of a second.
_PARTS_BY_DIGITS = {10: 1, 13: 1_000, 16: 1_000_000, 19: 1_000_000_000}

_METHODS = {
    "g": PositioningMethod.GNSS,
    "gps": PositioningMethod.GNSS,
    "gnss": PositioningMethod.GNSS,
    "agps": PositioningMethod.GNSS,
    "a-gps": PositioningMethod.GNSS,
    "a-gnss": PositioningMethod.GNSS,
    "w": PositioningMethod.WIFI,
    "wifi": PositioningMethod.WIFI,
    "wi-fi": PositioningMethod.WIFI,
    "wlan": PositioningMethod.WIFI,
    "c": PositioningMethod.CELL,
    "cell": PositioningMethod.CELL,
    "f": PositioningMethod.FUSED,
    "fused": PositioningMethod.FUSED,
    "u": PositioningMethod.UNSPECIFIED,
    "unknown": PositioningMethod.UNSPECIFIED,
}

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_BETWEEN_DIGITS = re.compile(r"[ ()./-]")


def number_of(found: Findings, field: str, text: str) -> float | None:
    """A finite number; a decimal comma, a unit behind it and typographic signs are read with a warning.

    >>> number_of(Findings(), "lt", "+51.53321"), number_of(Findings(), "rd", "1e999"), number_of(Findings(), "rd", "N")
    (51.53321, None, None)
    """
    if _NUMBER.fullmatch(text):
        return float(text)
    if not text:
        return None
    crooked = _CROOKED_NUMBER.fullmatch(text.strip().translate(_SIGNS))
    if crooked is None:
        found.warn(field, text, "is not a number; not used")
        return None
    digits = crooked[1].replace(",", ".")
    if "," in crooked[1] and len(crooked[1].partition(",")[2]) == _THOUSANDS:
        found.warn(field, text, "has a comma that may separate thousands or decimals; not used")
        return None
    found.warn(field, text, f"is not written as the standard asks; read as {digits}")
    return float(digits)


def degrees_of(found: Findings, field: str, text: str, most_deg: float) -> float | None:
    """An angle within `most_deg` either way."""
    value = number_of(found, field, text)
    if value is None or -most_deg <= value <= most_deg:
        return value
    found.warn(field, text, f"is outside -{most_deg:g} to {most_deg:g} degrees; not used")
    return None


def radius_of(found: Findings, field: str, text: str) -> float | None:
    """A radius above 0, metres; None is "unknown", and always costs a warning."""
    if not text:
        found.warn(field, "", "no radius is stated; the place is given without one")
        return None
    value = number_of(found, field, text)
    if value is None:
        return None
    if value == 0:
        found.warn(field, text, "stands for an unknown radius; the place is given without one")
        return None
    if not 0 < value <= MAX_RADIUS_M:
        found.warn(field, text, "is no radius of a place on Earth; the place is given without one")
        return None
    return value


def confidence_of(found: Findings, field: str, text: str, *, percent: bool) -> float | None:
    """A confidence as a fraction from either scale; None where it is absent, 0 or cannot be one.

    Parameters
    ----------
    found, field, text
        As everywhere here.
    percent
        Whether the field is meant to be in percent. Values of the other scale are read all the same: above 1 is
        percent, below 1 a fraction. A bare 1 is a fraction where the field is one, and 1 % or 100 % where it is not.

    >>> [confidence_of(Findings(), "lc", t, percent=True) for t in ("68", "0.68", "100", "0", "1", "-5")]
    [0.68, 0.68, 0.999, None, None, None]
    """
    value = number_of(found, field, text)
    if value is None or value == 0:
        return None
    if not 0 < value <= 100:
        found.warn(field, text, "is no confidence; not used")
        return None
    if value == 1 and percent:
        found.warn(field, text, "may be 1 % or a fraction of 1; not used")
        return None
    if (value > 1) is not percent:
        found.warn(field, text, f"is on the scale of {'fractions' if percent else 'percent'}; read so")
    elif percent and value != int(value):
        found.warn(field, text, "is no whole percent; read as it is")
    fraction = value / 100 if value > 1 else value
    if round(fraction, 9) > GREATEST_CONFIDENCE:
        found.warn(field, text, f"no place is certain; taken as {GREATEST_CONFIDENCE}")
    return min(fraction, GREATEST_CONFIDENCE)


def time_of(found: Findings, field: str, text: str) -> float | None:
    """A time as Unix seconds: 14 digits in UTC, RFC 3339, the same without a zone, or a Unix time of any unit.

    The number of its digits tells the unit of a Unix time: each unit has its own between 2001 and 2286.

    >>> time_of(Findings(), "top", "20130717141935"), time_of(Findings(), "time", "1438101600123")
    (1374070775.0, 1438101600.123)
    """
    compact = _COMPACT.fullmatch(text)
    if compact is not None:
        time_s = _civil_seconds(compact.groups())
    elif not text:
        return None
    elif text.isascii() and text.isdigit() and len(text) in _PARTS_BY_DIGITS:
        time_s = int(text) / _PARTS_BY_DIGITS[len(text)]
    else:
        time_s = _written_seconds(found, field, text)
    if time_s is None:
        found.warn(field, text, "is not a time; not used")
        return None
    return checked_time(found, field, text, time_s)


def checked_time(found: Findings, field: str, text: str, time_s: float) -> float | None:
    """The time, if a phone can have meant it: this century, and not after the message came."""
    if not EARLIEST_S <= time_s <= LATEST_S:
        found.warn_openly(field, text, "is a time of a clock that was never set; not used")
        return None
    if found.arrived_at is not None and time_s > found.arrived_at + CLOCK_SKEW_S:
        late_s = time_s - found.arrived_at
        found.warn_openly(field, text, f"is {late_s:.0f} s after the message came: a wrong clock or zone; not used")
        return None
    return time_s


def warn_of_age(found: Findings, field: str, text: str, observed_at: float | None) -> None:
    """A fix that is much older than the call, or else the message, is warned about."""
    reference = found.started_at if found.started_at is not None else found.arrived_at
    if observed_at is None or reference is None:
        return
    age_s = reference - observed_at
    if age_s > OLD_FIX_S:
        found.warn_openly(field, text, f"the fix is {age_s:.0f} s older than the call: it may be a remembered one")


def _civil_seconds(groups: tuple[str | None, ...]) -> float | None:
    year, month, day, hour, minute, second = (int(g or 0) for g in groups[:6])
    # A leap second is 60.
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = dt.date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    return float(days * _DAY_S + hour * 3600 + minute * 60 + second)


def _written_seconds(found: Findings, field: str, text: str) -> float | None:
    parts = _WRITTEN.fullmatch(text)
    if parts is None:
        return None
    time_s = _civil_seconds(parts.groups())
    if time_s is None:
        return None
    time_s += float(parts[7] or 0)
    if parts[9]:
        zone_s = int(parts[10]) * 3600 + int(parts[11]) * 60
        return time_s - zone_s if parts[9] == "+" else time_s + zone_s
    if not parts[8]:
        found.warn_openly(field, text, "states no time zone; taken as UTC")
    return time_s


def method_of(found: Findings, field: str, text: str) -> PositioningMethod:
    """How the position was found, from a letter or a word in any case."""
    method = _METHODS.get(text.lower())
    if method is None:
        if text:
            found.warn(field, text, "is not a positioning method that is known; left open")
        return PositioningMethod.UNSPECIFIED
    return method


def telephone_of(found: Findings, field: str, text: str) -> str:
    """A telephone number in E.164, empty where it is not known to be one.

    >>> telephone_of(Findings(), "device_number", "+44 1632 960123"), telephone_of(Findings(), "number", "01632960123")
    ('+441632960123', '')
    """
    number = _BETWEEN_DIGITS.sub("", text)
    # A form that was decoded twice, or never encoded, has a space where the plus was.
    if text.startswith(" ") and number.isdigit():
        number = "+" + number
    elif number.startswith("00"):
        number = "+" + number[2:]
    if _E164.fullmatch(number):
        return number
    if text:
        found.warn(field, text, "is not a number in E.164, such as +441632960123; not used")
        found.details[field] = printable(masked(number[:40]))
    return ""
