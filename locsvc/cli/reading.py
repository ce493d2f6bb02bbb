"""Calls from a file or stdin: one JSON object, a JSON array, or JSON Lines, read as they come."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from locsvc import model
from locsvc.errors import BadData, InvalidInput, LocsvcError
from locsvc.formats.call_json import call_from_json, parse_json


@dataclass(frozen=True, slots=True)
class ReadCall:
    """A call, or why there is none, and where it stood."""

    place: str
    call: model.Call | None
    error: LocsvcError | None = None


@contextmanager
def opened(source: Path) -> Iterator[TextIO]:
    """The text of a file, or of stdin for `-`.

    Raises
    ------
    BadData
        It cannot be opened.
    """
    if str(source) == "-":
        yield sys.stdin
        return
    try:
        text = source.open(encoding="utf-8-sig")
    except OSError as error:
        raise BadData(f"{source} cannot be read: {error.strerror}") from None
    with text:
        yield text


def read_calls(source: Path) -> Iterator[ReadCall]:
    """Every call of a file; a wrong one is told and costs only itself.

    Raises
    ------
    BadData
        The file is empty, cannot be read, or is not JSON as a whole.
    """
    name = "stdin" if str(source) == "-" else str(source)
    with opened(source) as text:
        try:
            yield from _calls(name, text)
        except UnicodeDecodeError as error:
            raise BadData(f"{name} is not UTF-8 text: byte {error.object[error.start]:#04x} is out of place") from None
        except OSError as error:
            raise BadData(f"{name} cannot be read: {error.strerror}") from None


def _calls(name: str, text: Iterable[str]) -> Iterator[ReadCall]:
    numbered = ((number, line) for number, line in enumerate(text, 1) if line.strip())
    first = next(numbered, None)
    if first is None:
        raise BadData(f"{name} is empty: give a call as JSON, or one call a line")
    if _is_object(first[1]):
        # One whole object on the first line: JSON Lines, answered as they come.
        yield _read(f"{name} line {first[0]}", first[1])
        for number, line in numbered:
            yield _read(f"{name} line {number}", line)
        return
    whole = "\n" * (first[0] - 1) + first[1] + "".join(_rest(first[0], numbered))
    try:
        value = parse_json(whole)
    except BadData as error:
        raise BadData(f"{name}: {error}") from None
    items = value if isinstance(value, list) else [value]
    if not items:
        raise BadData(f"{name} is an empty list: give at least one call")
    for place, item in enumerate(items):
        yield _convert(f"{name} call {place + 1}" if isinstance(value, list) else name, item)


def _rest(last: int, numbered: Iterable[tuple[int, str]]) -> Iterator[str]:
    """The lines that follow, blank ones too, so that an error names the right line."""
    for number, line in numbered:
        yield "\n" * (number - last - 1) + line
        last = number


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (json.JSONDecodeError, RecursionError):
        return False


def _read(place: str, line: str) -> ReadCall:
    try:
        return _convert(place, parse_json(line))
    except BadData as error:
        return ReadCall(place, None, error)


def _convert(place: str, value: object) -> ReadCall:
    try:
        return ReadCall(place, call_from_json(value))
    except InvalidInput as error:
        return ReadCall(place, None, error)
