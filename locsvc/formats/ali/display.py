"""Display text of a line database, between STX and ETX, through a layout: to its fields and to evidence.

The character after ETX is not compared with anything: databases reckon it in ways that are not published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from locsvc.formats.ali.classes import service_class
from locsvc.formats.ali.layout import Layout, Place, shipped_layouts
from locsvc.formats.ali.meaning import meaning
from locsvc.formats.ali.record import text_of
from locsvc.formats.ali.values import national_number
from locsvc.formats.reading import FormatWarning, Reading, Unreadable

STX, ETX = "\x02", "\x03"
# Displays have some hundreds.
MAX_CHARACTERS = 8_000
_LINE_END = re.compile(r"\r\n|\r|\n")
_MAX_LINES = 400
_HEAD_LINES = 6
# A display with less than a number and a class, or a place, is none of the layout.
_ENOUGH = 2
# A number, a class and a place (two): no other layout finds more.
_ALL = 4
# What coordinates are called where they have names: a display without may have none, or has them in columns.
_NAMED_PLACE = re.compile(r"\bLAT|\b[XY][:=]", re.IGNORECASE)
# In layouts that say nothing of lines the first line of all displays is looked for: a number, and the class behind it.
_NUMBER_AND_CLASS = re.compile(
    r"(?<![0-9#])(\([2-9][0-9]{2}\) ?[0-9]{3}-[0-9]{4})(?:[ \t]{1,8}([A-Z0-9]{4})(?![A-Z0-9:/]))?"
)
_CLASS_OF_FOUR = 4


@dataclass(frozen=True, slots=True)
class Display:
    """The fields of one display by the layout's names, blanks around them gone (but not a street's); no empty ones."""

    layout: Layout
    fields: Mapping[str, str]
    warnings: tuple[FormatWarning, ...] = field(default=())


def read_display(
    message: bytes | str,
    *,
    arrived_at: float | None = None,
    layouts: Sequence[Layout] | None = None,
    utc_offset_s: float | None = None,
) -> Reading:
    """What a display says of the caller.

    Parameters
    ----------
    arrived_at
        When it came, Unix seconds: gives the year that displays leave out, and their zone where nothing else does.
    layouts
        Those that may be meant, the likeliest first; None: the shipped ones.
    utc_offset_s
        Zone of the display's clock, seconds east of UTC; None: as the layout says.

    Raises
    ------
    Unreadable
        No layout finds a number and a class of service, or coordinates, in it.
    """
    display = split_display(message, layouts)
    return meaning(display.fields, display.layout, display.warnings, arrived_at, utc_offset_s)


def split_display(message: bytes | str, layouts: Sequence[Layout] | None = None) -> Display:
    """The fields of a display, by the first of the layouts that fits, or the one that finds the most.

    Raises
    ------
    Unreadable
        No layout finds enough.
    """
    text, cut, warnings = _framed(text_of(message[:MAX_CHARACTERS]))
    lines = _LINE_END.split(text, _MAX_LINES)
    best, most = None, 0
    for layout in shipped_layouts() if layouts is None else layouts:
        fields = _fields(layout, lines, cut=cut)
        found = _found(fields)
        if found > most:
            best, most = Display(layout, fields, tuple(warnings)), found
        known = found >= _ENOUGH and service_class(fields.get("class_of_service", "")) is not None
        if found == _ALL or (known and _NAMED_PLACE.search(text) is None):
            break
    if best is None or most < _ENOUGH:
        tried = ", ".join(layout.name for layout in (shipped_layouts() if layouts is None else layouts))
        raise Unreadable(f"no ALI display: no number with a class of service and no coordinates as in layout {tried}")
    return best


def _framed(text: str) -> tuple[str, bool, list[FormatWarning]]:
    """The text between STX and ETX, whether its last line may be cut, and what is odd about the frame."""
    warnings: list[FormatWarning] = []
    if text.count(STX) > 1:
        warnings.append(FormatWarning("STX", "", "stands more than once: the last display is read"))
    start = text.rfind(STX)
    if start < 0:
        warnings.append(FormatWarning("STX", "", "is missing: the text is read from its beginning"))
    end = text.find(ETX, start + 1)
    if end < 0:
        warnings.append(FormatWarning("ETX", "", "is missing: the text may be cut"))
        end = len(text)
    body = text[start + 1 : end].lstrip("\r\n")
    if not body.isascii():
        warnings.append(FormatWarning("text", "", "has characters that are not plain ASCII"))
    # Without frame at all it was copied from a screen, and is whole.
    return body, start >= 0 and end == len(text), warnings


def _found(fields: Mapping[str, str]) -> int:
    """How much of what matters a layout has found: number, class, coordinates (two)."""
    number = national_number(fields.get("number", "")) is not None
    place = "latitude" in fields and "longitude" in fields
    return number + ("class_of_service" in fields) + 2 * place


def _fields(layout: Layout, lines: Sequence[str], *, cut: bool) -> dict[str, str]:
    fields: dict[str, str] = {}
    marked = _marked(layout, lines, fields)
    shift = _shift(layout, lines)
    for name, place in layout.places.items():
        at = place.line - 1 + shift
        if 0 <= at < len(lines):
            line = lines[at]
            if cut and at == len(lines) - 1 and name in _WHOLE:
                continue
            raw = _value(line[: marked.get(at)], place, pad=name == "street")
            if name == "class_of_service" and place.first and not _stands_alone(line, place):
                continue
            if raw.strip():
                fields[name] = raw if name in _JOINED else raw.strip()
    if not layout.places and "number" not in fields and "class_of_service" not in fields:
        _look_for_number(lines[:_HEAD_LINES], fields)
    if cut and layout.marks:
        _forget_cut(layout, lines[-1], fields)
    return fields


def _stands_alone(line: str, place: Place) -> bool:
    """Whether columns hold whole words: else the line is laid out otherwise."""
    before, inside, after = (
        line[place.first - 2 : place.first - 1],
        line[place.first - 1 : place.last],
        line[place.last :],
    )
    return not (before.isalnum() and inside[:1].isalnum()) and not (after[:1].isalnum() and inside[-1:].isalnum())


def _look_for_number(lines: Sequence[str], fields: dict[str, str]) -> None:
    """Adds a number that has no name before it, and the class of service beside it or alone in a line."""
    for line in lines:
        found = _NUMBER_AND_CLASS.match(line.lstrip())
        if found and "number" not in fields:
            fields["number"] = found[1]
            if found[2]:
                fields["class_of_service"] = found[2]
        word = line.strip()
        if len(word) == _CLASS_OF_FOUR and "class_of_service" not in fields and service_class(word) is not None:
            fields["class_of_service"] = word


# Put together as they stand, with the blanks between them.
_JOINED = ("street", "street_more")
# Nothing is taken of these that may be cut.
_WHOLE = frozenset(
    {
        "number",
        "class_of_service",
        "date",
        "time",
        "address",
        "callback",
        "main_number",
        "house_number",
        "latitude",
        "longitude",
        "uncertainty_m",
        "confidence_percent",
        "altitude_m",
        "vertical_uncertainty_m",
    }
)


def _marked(layout: Layout, lines: Sequence[str], fields: dict[str, str]) -> dict[int, int]:
    """Adds the fields that follow a text; where in each line the first such text stands."""
    firsts: dict[int, int] = {}
    if layout.pattern is None or layout.ends is None:
        return firsts
    for at, line in enumerate(lines):
        if layout.ends.search(line) is None:
            continue
        found = list(layout.pattern.finditer(line))
        for mark, after in zip(found, [*found[1:], None], strict=False):
            name = layout.marks[mark[0].upper()]
            end = after.start() if after else len(line)
            value = line[mark.end() : min(end, mark.end() + layout.widths[name])].strip()
            if value:
                fields.setdefault(name, value)
        if found:
            firsts[at] = found[0].start()
    return firsts


def _forget_cut(layout: Layout, line: str, fields: dict[str, str]) -> None:
    """Takes out the number with which the text ends: it may be cut."""
    if layout.pattern is None:
        return
    last = None
    for last in layout.pattern.finditer(line):  # noqa: B007 - the last one is wanted
        pass
    name = layout.marks[last[0].upper()] if last else ""
    if last is not None and name in _WHOLE and fields.get(name) == line[last.end() :].strip():
        del fields[name]


def _shift(layout: Layout, lines: Sequence[str]) -> int:
    """How many lines further down the lines of the layout stand."""
    if not layout.anchor_line:
        return 0
    wanted = layout.anchor_line - 1
    near = sorted(range(min(len(lines), wanted + 4)), key=lambda at: abs(at - wanted))
    return next((at - wanted for at in near if lines[at].startswith(layout.anchor_starts)), 0)


def _value(line: str, place: Place, *, pad: bool) -> str:
    if place.word:
        words = line.split(maxsplit=place.word)
        return words[place.word - 1] if len(words) >= place.word else ""
    raw = line[place.first - 1 : place.last]
    # A street that goes on in the next line was cut at its last column, blanks included.
    return raw.ljust(place.last - place.first + 1) if pad else raw
