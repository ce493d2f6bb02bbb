"""Layouts of display text, as configuration: where each field stands.

A layout is TOML (or the mapping that it gives): `name`, an optional `title`, an optional `utc_offset_h` (the zone of
the display's clock), an optional table `anchor`, and a table `fields` of field -> place. A place is one of

- `{ line = 8, columns = [4, 31] }`: columns of a line, both counted from 1, the last one included;
- `{ line = 10, word = 2 }`: the second of the words of a line;
- `{ after = "TEL=", width = 5 }`: what follows a text wherever it stands, to the next such text or the line's end, at
  most `width` characters; several texts may be given in a list.

`anchor = { line = 2, starts = "(" }` says by what a line is known; if another of the first lines begins so, all lines
are counted from there.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from locsvc.errors import ConfigError

# What a layout can tell; anything else that it names is kept as a detail when its name begins so.
DETAIL_PREFIX = "x_"
FIELDS = (
    "link",
    "position",
    "number",
    "class_of_service",
    "date",
    "time",
    "name",
    "address",
    "house_number",
    "house_number_suffix",
    "main_number",
    "directional",
    "street",
    "street_more",
    "street_suffix",
    "post_directional",
    "location",
    "community",
    "county",
    "state",
    "postcode",
    "provider",
    "latitude",
    "longitude",
    "uncertainty_m",
    "confidence_percent",
    "altitude_m",
    "vertical_uncertainty_m",
    "callback",
    "esn",
    "psap",
)
MAX_LINES, MAX_COLUMNS, MAX_TEXTS = 200, 1000, 200
_LONGEST_TEXT = 40
_MOST_TOML = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NUMBERS = frozenset(
    {"latitude", "longitude", "uncertainty_m", "confidence_percent", "altitude_m", "vertical_uncertainty_m"}
)
_BEFORE_NUMBER = r"(?=[ \t]*[NSEW]?[ \t]*[+-]?\.?[0-9])"
_KEYS = {"name", "title", "utc_offset_h", "anchor", "fields"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where one field stands; lines and columns from 1."""

    line: int = 0
    first: int = 0
    last: int = 0
    word: int = 0
    width: int = MAX_COLUMNS


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the fields of one kind of display stand."""

    name: str
    title: str
    places: Mapping[str, Place]
    """Fields in columns or words of a line."""
    widths: Mapping[str, int]
    """Fields after a text, with the greatest width of their value."""
    marks: Mapping[str, str]
    """Text in upper case -> the field that stands after it."""
    pattern: re.Pattern[str] | None = field(repr=False)
    """Finds the texts of `marks`."""
    ends: re.Pattern[str] | None = field(repr=False)
    """Finds one of their last characters: lines without, which are most, need not be searched for the texts."""
    anchor_line: int = 0
    anchor_starts: str = ""
    utc_offset_s: float | None = None

    @staticmethod
    def from_toml(text: str) -> Layout:
        """The layout that a TOML text describes.

        Raises
        ------
        ConfigError
            It is no TOML, or describes no layout; the field and the remedy are named.
        """
        if len(text) > _MOST_TOML:
            raise ConfigError(f"layout: {len(text)} characters; a layout has at most {_MOST_TOML}")
        try:
            return Layout.from_mapping(tomllib.loads(text))
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ConfigError(f"layout: no TOML ({error}); take a shipped layout as the pattern") from error

    @staticmethod
    def from_mapping(values: Mapping[str, object]) -> Layout:
        """The layout that a mapping describes, as TOML gives it.

        Raises
        ------
        ConfigError
            A key or value is wrong; it is named with the remedy.
        """
        name = values.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(f"layout: name {_shown(name)} cannot name it; use letters, digits, '.', '_' and '-'")
        strange = sorted(str(key) for key in values.keys() - _KEYS)
        if strange:
            raise ConfigError(f"layout {name}: {strange[0]!r} is not known; a layout has {', '.join(sorted(_KEYS))}")
        fields = values.get("fields")
        if not isinstance(fields, Mapping) or not fields:
            raise ConfigError(f"layout {name}: it needs a table [fields] that says where they stand")
        title = values.get("title", name)
        line, starts = _anchor(name, values.get("anchor"))
        places, widths, marks = _fields(name, fields)
        return Layout(
            name=name,
            title=title if isinstance(title, str) else name,
            places=places,
            widths=widths,
            marks=marks,
            pattern=_pattern(marks),
            ends=re.compile("[" + re.escape("".join({c for mark in marks for c in mark[-1] + mark[-1].lower()})) + "]")
            if marks
            else None,
            anchor_line=line,
            anchor_starts=starts,
            utc_offset_s=_offset_s(name, values.get("utc_offset_h")),
        )


@cache
def shipped_layouts() -> tuple[Layout, ...]:
    """The layouts that come with the project, by name.

    >>> [layout.name for layout in shipped_layouts()]
    ['qwest-30w', 'tagged']
    """
    folder = resources.files("locsvc.formats.ali") / "layouts"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(Layout.from_toml(file.read_text(encoding="utf-8")) for file in files)


def _fields(layout: str, fields: Mapping[str, object]) -> tuple[dict[str, Place], dict[str, int], dict[str, str]]:
    places: dict[str, Place] = {}
    widths: dict[str, int] = {}
    marks: dict[str, str] = {}
    for name, value in fields.items():
        where = f"layout {layout}: fields.{name}"
        if name not in FIELDS and not name.startswith(DETAIL_PREFIX):
            known = ", ".join(FIELDS)
            raise ConfigError(f"{where} is not known; use one of {known}, or begin a name of your own with x_")
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} {_shown(value)} is no place; write {{ line = 1, columns = [1, 10] }}")
        if "after" in value:
            widths[name] = _after(where, name, value, marks)
        else:
            places[name] = _place(where, value)
    return places, widths, marks


def _after(where: str, name: str, value: Mapping[str, object], marks: dict[str, str]) -> int:
    """The width of a field after a text; its texts are added to `marks`."""
    _only(where, value, {"after", "width"})
    texts = value["after"]
    for text in [texts] if isinstance(texts, str) else texts if isinstance(texts, Sequence) else [None]:
        if not isinstance(text, str) or not 0 < len(text.strip()) <= _LONGEST_TEXT or "\n" in text or "\r" in text:
            raise ConfigError(
                f"{where}.after {_shown(text)}: give a text of 1 to {_LONGEST_TEXT} characters, as 'LAT:'"
            )
        mark = text.strip().upper()
        if marks.setdefault(mark, name) != name:
            raise ConfigError(f"{where}.after {text!r} is the text of {marks[mark]} too; each field needs its own")
    if len(marks) > MAX_TEXTS:
        raise ConfigError(f"{where}.after: more than {MAX_TEXTS} texts in one layout")
    return _whole(f"{where}.width", value.get("width", MAX_COLUMNS), MAX_COLUMNS)


def _place(where: str, value: Mapping[str, object]) -> Place:
    _only(where, value, {"line", "columns", "word"})
    line = _whole(f"{where}.line", value.get("line"), MAX_LINES)
    if "word" in value:
        if "columns" in value:
            raise ConfigError(f"{where} has columns and a word; give one of them")
        return Place(line=line, word=_whole(f"{where}.word", value["word"], MAX_COLUMNS))
    columns = value.get("columns")
    if not isinstance(columns, Sequence) or isinstance(columns, str) or len(columns) != 2:
        raise ConfigError(f"{where}.columns {_shown(columns)}: give the first and the last column, as [4, 31]")
    first, last = (_whole(f"{where}.columns", column, MAX_COLUMNS) for column in columns)
    if last < first:
        raise ConfigError(f"{where}.columns [{first}, {last}]: the last column is before the first")
    return Place(line=line, first=first, last=last)


def _anchor(layout: str, value: object) -> tuple[int, str]:
    if value is None:
        return 0, ""
    where = f"layout {layout}: anchor"
    if not isinstance(value, Mapping):
        raise ConfigError(f'{where} {_shown(value)}: write {{ line = 2, starts = "(" }}')
    _only(where, value, {"line", "starts"})
    starts = value.get("starts")
    if not isinstance(starts, str) or not 0 < len(starts) <= _LONGEST_TEXT:
        raise ConfigError(f"{where}.starts {_shown(starts)}: give the text with which the line begins")
    return _whole(f"{where}.line", value.get("line"), MAX_LINES), starts


def _offset_s(layout: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -14.0 <= value <= 14.0:
        raise ConfigError(f"layout {layout}: utc_offset_h {_shown(value)} is none from -14 to 14 hours, as -7")
    return float(value) * 3600.0


def _whole(where: str, value: object, greatest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= greatest:
        raise ConfigError(f"{where} {_shown(value)} is no whole number from 1 to {greatest}")
    return value


def _only(where: str, value: Mapping[str, object], known: set[str]) -> None:
    strange = sorted(str(key) for key in value.keys() - known)
    if strange:
        raise ConfigError(f"{where}.{strange[0]} is not known; use {', '.join(sorted(known))}")


def _pattern(marks: Mapping[str, str]) -> re.Pattern[str] | None:
    if not marks:
        return None
    # The longest first: "ZUNC=" is not "UNC=". A mark stands at the head of a word.
    # A word that names a number is a mark only before one: "LAT 39.7", not "LAT STREET".
    texts = "|".join(
        re.escape(mark) + (_BEFORE_NUMBER if mark[-1].isalpha() and marks[mark] in _NUMBERS else "")
        for mark in sorted(marks, key=len, reverse=True)
    )
    return re.compile(rf"(?<![^\s,;/]){'(?:' + texts + ')'}", re.IGNORECASE)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
