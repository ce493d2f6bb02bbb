"""Numbers of PIDF-LO: positions, lengths, angles, confidences, times; each bad one becomes a warning."""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import TYPE_CHECKING

from locsvc.formats.call_checks import MAX_RADIUS_M
from locsvc.formats.pidf_lo.names import DEGREE, METRE, RADIAN, degrees_in, metres_in
from locsvc.formats.pidf_lo.notes import Notes
from locsvc.units import UNSTATED_CONFIDENCE

if TYPE_CHECKING:
    from locsvc.formats.xml import Element

# Confidence of a shape that says its confidence is unknown, or lost it: the least that senders mean when they state a
# radius (68 %, Android and AML); taking more would make the caller's region too small.
UNKNOWN_CONFIDENCE = 0.68
_DMS = re.compile(r"([0-9]{1,3})[:°d]([0-9]{1,2})[:'m]([0-9]{1,2}(?:\.[0-9]{1,9})?)[\"s]?([NSEW])", re.ASCII)


def number_of(text: str | None) -> float | None:
    """A finite number, or None.

    >>> number_of(" 850.24 "), number_of("nan"), number_of("1_0"), number_of("30 m")
    (850.24, None, None, None)
    """
    # float() also takes underscores and the digits of other scripts.
    if not text or len(text) > 1000 or "_" in text or not text.isascii():
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def numbers_of(text: str, name: str, notes: Notes) -> list[float]:
    """The numbers of a `gml:pos` or `gml:posList`; none, with a warning, when one of them is no finite number."""
    tokens = text.split()
    if not notes.may_read(name, len(tokens) + text.count(",")):
        return []
    try:
        values = [float(token) for token in tokens]
        # float() also takes underscores and the digits of other scripts.
        if text.isascii() and "_" not in text and all(map(math.isfinite, values)):
            return values
    except ValueError:
        pass
    return _mended_numbers(tokens, name, notes)


def _mended_numbers(tokens: list[str], name: str, notes: Notes) -> list[float]:
    """Numbers with commas: between them, or in place of points."""
    text = " ".join(tokens)
    if len(tokens) > 1 and all(token.count(",") == 1 and "." not in token and token[-1] != "," for token in tokens):
        tokens, reason = text.replace(",", ".").split(), "has decimal commas: read as points"
    else:
        tokens, reason = text.replace(",", " ").split(), "has commas between its numbers: read as spaces"
    values = [number_of(token) for token in tokens]
    good = [value for value in values if value is not None]
    if len(good) != len(values) or not good:
        notes.warn(name, text, "is no list of numbers: not read")
        return []
    notes.warn(name, text, reason)
    return good


def coordinates_of(element: Element, notes: Notes) -> list[list[float]]:
    """The positions of a `gml:coordinates`: numbers joined by commas, or degrees, minutes and seconds (RFC 4119)."""
    text = " ".join((element.text or "").split())
    decimal, comma, space = (element.get(k, d) for k, d in (("decimal", "."), ("cs", ","), ("ts", " ")))
    if len(comma) != 1 or len(space) != 1 or len(decimal) != 1:
        notes.warn("gml:coordinates", decimal + comma + space, "has separators of more than one character: not read")
        return []
    if not notes.may_read("gml:coordinates", text.count(comma) + text.count(space) + 1):
        return []
    places = _DMS.findall(text)
    if places:
        return _sexagesimal(places, text, notes)
    # "1, 2 3, 4": the comma binds closer than the space beside it.
    groups = re.sub(f" ?{re.escape(comma)} ?", comma, text).split(space)
    found = [[number_of(n.replace(decimal, ".")) for n in group.split(comma)] for group in groups if group.strip()]
    if len(found) in (2, 3) and all(len(group) == 1 for group in found):
        found = [[group[0] for group in found]]
    positions = [[n for n in group if n is not None] for group in found]
    if [len(p) for p in positions] != [len(f) for f in found] or not positions:
        notes.warn("gml:coordinates", text, "is no list of positions: not read")
        return []
    return positions


def _sexagesimal(parts: list[tuple[str, str, str, str]], text: str, notes: Notes) -> list[list[float]]:
    """Positions in degrees, minutes and seconds; the letters tell latitude from longitude."""
    if len(parts) % 2:
        notes.warn("gml:coordinates", text, "is not made of pairs of latitude and longitude: not read")
        return []
    positions = []
    for pair in zip(parts[::2], parts[1::2], strict=True):
        one, two = pair if pair[0][3] in "NS" else pair[::-1]
        if one[3] in "EW" or two[3] in "NS" or max(int(one[1]), int(two[1])) > 59:
            notes.warn("gml:coordinates", text, "is not made of pairs of latitude and longitude: not read")
            return []
        positions.append([_degrees(one), _degrees(two)])
    return positions


def _degrees(part: tuple[str, str, str, str]) -> float:
    degrees, minutes, seconds, side = part
    value = int(degrees) + int(minutes) / 60 + float(seconds) / 3600
    return -value if side in "SW" else value


def length_m(element: Element | None, name: str, notes: Notes, *, zero: bool = False) -> float | None:
    """A length in metres; None, with a warning, when it is absent, unreadable, negative, or 0 and `zero` is not set."""
    if element is None:
        notes.warn(name, "", "is absent: the size is unknown")
        return None
    value = _quantity(element, name, notes)
    if value is None:
        return None
    unit = element.get("uom")
    if unit != METRE:
        value *= _unit_factor(unit, name, notes, metres_in(unit or ""), "metres")
    if not (0 <= value <= MAX_RADIUS_M) or (value == 0 and not zero):
        notes.warn(name, element.text or "", "is no size: taken as unknown")
        return None
    return value


def angle_deg(element: Element | None, name: str, notes: Notes) -> float | None:
    """An angle in degrees as it stands there; None, with a warning, when it is absent or unreadable."""
    if element is None:
        notes.warn(name, "", "is absent")
        return None
    value = _quantity(element, name, notes)
    if value is None:
        return None
    unit = element.get("uom")
    if unit == DEGREE:
        return value
    factor = _unit_factor(unit, name, notes, degrees_in(unit or ""), "degrees", RADIAN)
    # A whole turn is 6.283 radians.
    if factor > 1 and abs(value) > 2 * math.tau:
        notes.warn(name, element.text or "", "is more than a turn in radians: taken as degrees")
        return value
    return value * factor


def direction_deg(angle: float) -> float:
    """The angle from 0 to below 360.

    >>> direction_deg(360.0), direction_deg(-10.0), direction_deg(-1e-20)
    (0.0, 350.0, 0.0)
    """
    if 0 <= angle < 360:
        return angle
    angle %= 360.0
    return 0.0 if angle >= 360.0 else angle


def _quantity(element: Element, name: str, notes: Notes) -> float | None:
    text = element.text
    value = number_of(text)
    if value is None and text and text.count(",") == 1 and "." not in text:
        value = number_of(text.replace(",", "."))
        if value is not None:
            notes.warn(name, text, "has a decimal comma: read as a point")
    if value is None:
        notes.warn(name, text or "", "is no number: taken as unknown")
    return value


def _unit_factor(unit: str | None, name: str, notes: Notes, factor: float, assumed: str, *silent: str) -> float:
    if unit is None:
        notes.warn(name, "", f"has no uom: taken as {assumed}")
        return 1.0
    if unit in silent:
        return factor
    if factor == 0:
        notes.warn(f"{name} uom", unit, f"is no unit known here: taken as {assumed}")
        return 1.0
    notes.warn(f"{name} uom", unit, f"is not the unit that RFC 5491 asks for: converted to {assumed}")
    return factor


def confidence_of(element: Element, notes: Notes) -> float:
    """The confidence that a `confidence` element states, as a fraction.

    References
    ----------
    RFC 7459 section 5: a decimal between 0 and 100, both excluded, or `unknown`.
    """
    text = (element.text or "").strip()
    pdf = (element.get("pdf") or "").strip()
    if pdf and pdf != "unknown":
        notes.detail("pdf", pdf)
    if text.lower() == "unknown":
        notes.warn("confidence", text, f"assumed {UNKNOWN_CONFIDENCE:.0%}, which makes the region larger than at 95 %")
        return UNKNOWN_CONFIDENCE
    percent = number_of(text)
    if percent is None and text.endswith("%"):
        percent = number_of(text[:-1])
        notes.warn("confidence", text, "needs no percent sign")
    if percent is None or percent <= 0:
        notes.warn("confidence", text, f"is no confidence above 0 and below 100: assumed {UNKNOWN_CONFIDENCE:.0%}")
        return UNKNOWN_CONFIDENCE
    if percent >= 100:
        notes.warn("confidence", text, f"nothing is certain: assumed {UNSTATED_CONFIDENCE:.0%}")
        return UNSTATED_CONFIDENCE
    if percent < 1:
        notes.warn("confidence", text, "is below 1 %: taken as a fraction")
        return percent
    return percent / 100.0


def time_of(text: str | None, notes: Notes) -> float | None:
    """Seconds since the Unix epoch of a timestamp; None, with a warning, when it is none.

    >>> time_of("2007-06-22T20:57:29Z", Notes())
    1182545849.0
    """
    text = (text or "").strip()
    # fromisoformat() also takes dates without a time, weeks and digits of other scripts.
    if not (19 <= len(text) <= 40 and text.isascii()):
        notes.warn("timestamp", text, "is no time such as 2026-11-21T22:15:00Z: not read")
        return None
    try:
        moment = dt.datetime.fromisoformat(text.upper())
    except ValueError:
        notes.warn("timestamp", text, "is no time such as 2026-11-21T22:15:00Z: not read")
        return None
    if moment.tzinfo is None:
        notes.warn("timestamp", text, "has no time zone: taken as UTC")
        moment = moment.replace(tzinfo=dt.UTC)
    return moment.timestamp()
