"""The proto3 JSON mapping for the frozen dataclasses of `locsvc.model`, with the contract's own field names.

Each dataclass mirrors the message of its name, so its annotations are the schema; what they cannot say is here:
names that end in `_at` are timestamps, the whole numbers' widths, and the two oneofs (`Evidence.content`, `Shape`).

References
----------
ProtoJSON Format, protobuf.dev/programming-guides/json: 64-bit integers are strings, enums are names, timestamps are
RFC 3339, bytes are base64, absent fields are left out; a reader takes both spellings of a name, strings for numbers and
either alphabet of base64.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import enum
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from locsvc import model
from locsvc.errors import FieldViolation
from locsvc.formats.spelling import camel, enum_name, snake, timestamp_seconds, timestamp_text

T = TypeVar("T")
Json = dict[str, object]

# Whole numbers: (least, greatest). Names that are not here are int32.
_INT_RANGES: dict[str, tuple[int, int]] = {
    "area": (0, 2**32 - 1),
    "cell": (0, 2**64 - 1),
    "pci": (0, 2**32 - 1),
    "arfcn": (0, 2**32 - 1),
    "timing_advance": (0, 2**32 - 1),
    "cells": (0, 2**64 - 1),
    "rows": (-(2**63), 2**63 - 1),
    "samples": (-(2**63), 2**63 - 1),
    "size_bytes": (-(2**63), 2**63 - 1),
}
_INT32 = (-(2**31), 2**31 - 1)
# 64-bit integers travel as strings, because a JavaScript number holds 53 bits.
_WIDE = frozenset({"cell", "cells", "rows", "samples", "size_bytes"})
_MISSING = object()
# Messages that a shape cannot be without: absent they are empty, and an empty one means "unknown".
_EMPTY = {"center": model.LatLng(0.0, 0.0), "base": model.Polygon(())}
# What a field without presence is when it is absent.
_ZEROS: dict[object, object] = {float: 0.0, int: 0, str: "", bytes: b"", tuple: ()}
# RFC 4648 sections 4 and 5: the alphabet that is safe in addresses, to the common one.
_COMMON_ALPHABET = str.maketrans("-_", "+/")


@dataclass(slots=True)
class _Reading:
    """The wrong fields found so far."""

    violations: list[FieldViolation] = dataclasses.field(default_factory=list)

    def wrong(self, path: str, what: str) -> None:
        self.violations.append(FieldViolation(path, what))


_Reader = Callable[[object, str, _Reading], object]
_Writer = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field of a dataclass is read and written."""

    name: str
    read: _Reader
    write: _Writer
    optional: bool
    zero: object


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _read_text(value: object, path: str, reading: _Reading) -> object:
    if isinstance(value, str):
        return value
    reading.wrong(path, f"{_shown(value)} is not text: put it in quotes")
    return _MISSING


def _read_double(value: object, path: str, reading: _Reading) -> object:
    special = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    if isinstance(value, str) and value in special:
        return special[value]
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    reading.wrong(path, f"{_shown(value)} is not a number")
    return _MISSING


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    try:
        if isinstance(value, str):
            return int(value) if re.fullmatch(r"-?[0-9]+", value) else _whole(float(value))
        return int(value) if isinstance(value, float) and value.is_integer() else None
    except (ValueError, OverflowError):
        return None


def _int_reader(name: str) -> _Reader:
    least, greatest = _INT_RANGES.get(name, _INT32)

    def read(value: object, path: str, reading: _Reading) -> object:
        number = _whole(value)
        if number is None:
            reading.wrong(path, f"{_shown(value)} is not a whole number")
        elif not least <= number <= greatest:
            reading.wrong(path, f"{number} is outside {least} to {greatest}")
        else:
            return number
        return _MISSING

    return read


def _read_bytes(value: object, path: str, reading: _Reading) -> object:
    try:
        # Any padding is dropped and put back, as many writers leave it out.
        text = value.rstrip("=").translate(_COMMON_ALPHABET) if isinstance(value, str) else "?"
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        # What it is instead may be the message itself, with a caller's identities in it: it is not shown.
        reading.wrong(path, "is not base64: write the message's bytes as base64 text")
        return _MISSING


def _read_timestamp(value: object, path: str, reading: _Reading) -> object:
    try:
        return timestamp_seconds(value if isinstance(value, str) else "")
    except ValueError as error:
        reading.wrong(path, f"{_shown(value)} {error}")
        return _MISSING


def _enum_reader(kind: type[enum.IntEnum]) -> _Reader:
    names: dict[object, enum.IntEnum] = {enum_name(member): member for member in kind}
    numbers: dict[int | None, enum.IntEnum] = {member.value: member for member in kind}

    def read(value: object, path: str, reading: _Reading) -> object:
        if isinstance(value, str) and value in names:
            return names[value]
        number = _whole(value)
        if number in numbers:
            return numbers[number]
        reading.wrong(path, f"{_shown(value)} is none of {', '.join(str(n) for n in names)}")
        return _MISSING

    return read


def _list_codec(element: object, name: str) -> tuple[_Reader, _Writer]:
    read_one, write_one = _codec(element, name)

    def read(value: object, path: str, reading: _Reading) -> object:
        if not isinstance(value, list):
            reading.wrong(path, f"{_shown(value)} is not a list: put it in square brackets")
            return _MISSING
        items = (read_one(item, f"{path}[{place}]", reading) for place, item in enumerate(value))
        return tuple(item for item in items if item is not _MISSING)

    def write(value: object) -> object:
        return [write_one(item) for item in cast("tuple[object, ...]", value)]

    return read, write


def _oneof_codec(kinds: tuple[type, ...]) -> tuple[_Reader, _Writer]:
    """A message that holds exactly one of `kinds` under the snake_case name of its class."""
    by_name = {snake(kind.__name__): kind for kind in kinds} | {camel(snake(k.__name__)): k for k in kinds}

    def read(value: object, path: str, reading: _Reading) -> object:
        if not isinstance(value, Mapping):
            reading.wrong(path, f"{_shown(value)} is not an object: put it in curly brackets")
            return _MISSING
        given = [(key, inner) for key, inner in value.items() if inner is not None]
        for key, _ in given:
            if key not in by_name:
                reading.wrong(f"{path}.{key}", _unknown(str(key), list(by_name)))
        known = [(key, inner) for key, inner in given if key in by_name]
        if len(known) > 1:
            reading.wrong(path, f"only one of {', '.join(key for key, _ in known)} can be set")
        if len(known) != 1:
            return None
        key, inner = known[0]
        return _read_message(by_name[key], inner, f"{path}.{snake(by_name[key].__name__)}", reading)

    def write(value: object) -> object:
        return {snake(type(value).__name__): to_json(value)}

    return read, write


def _codec(hint: object, name: str) -> tuple[_Reader, _Writer]:
    """Reader and writer of one type."""
    plain: dict[object, tuple[_Reader, _Writer]] = {
        str: (_read_text, _same),
        float: (_read_timestamp, _write_timestamp) if name.endswith("_at") else (_read_double, _write_double),
        int: (_int_reader(name), str if name in _WIDE else _same),
        bytes: (_read_bytes, _write_bytes),
    }
    if hint in plain:
        return plain[hint]
    if typing.get_origin(hint) is tuple:
        return _list_codec(typing.get_args(hint)[0], name)
    if typing.get_origin(hint) is types.UnionType:
        return _oneof_codec(cast("tuple[type, ...]", typing.get_args(hint)))
    kind = cast("type", hint)
    if issubclass(kind, enum.IntEnum):
        return _enum_reader(kind), lambda value: enum_name(cast("enum.IntEnum", value))
    return functools.partial(_read_message, kind), to_json


def _same(value: object) -> object:
    return value


def _write_double(value: object) -> object:
    number = cast("float", value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _write_bytes(value: object) -> object:
    return base64.b64encode(cast("bytes", value)).decode("ascii")


def _write_timestamp(value: object) -> object:
    return timestamp_text(cast("float", value))


def _zero(hint: object) -> object:
    if isinstance(hint, type) and issubclass(hint, enum.IntEnum):
        return hint(0)
    return _ZEROS.get(typing.get_origin(hint) or hint, dataclasses.MISSING)


@functools.cache
def _fields(kind: type) -> dict[str, _Field]:
    """The fields of a dataclass by each spelling of their names."""
    hints = typing.get_type_hints(kind, vars(model))
    found: dict[str, _Field] = {}
    for part in dataclasses.fields(kind):
        inner = tuple(h for h in typing.get_args(hints[part.name]) if h is not type(None))
        optional = type(None) in typing.get_args(hints[part.name])
        hint = hints[part.name] if not optional else inner[0] if len(inner) == 1 else functools.reduce(_union, inner)
        read, write = _codec(hint, part.name)
        field = _Field(part.name, read, write, optional, None if optional else _zero(hint))
        found[part.name] = found[camel(part.name)] = field
    return found


def _union(left: object, right: object) -> object:
    return cast("type", left) | cast("type", right)


def _unknown(key: str, names: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(key, names, 1)
    return "there is no such field" + (f"; is it {near[0]}?" if near else "")


def _read_message(kind: type, value: object, path: str, reading: _Reading) -> object:
    if not isinstance(value, Mapping):
        reading.wrong(path, f"{_shown(value)} is not an object: put it in curly brackets")
        return _MISSING
    if kind is model.Evidence:
        value = _gather(value, path, reading)
    fields = _fields(kind)
    values: dict[str, object] = {}
    for key, inner in value.items():
        where = f"{path}.{key}" if path else str(key)
        field = fields.get(key)
        if field is None:
            reading.wrong(where, _unknown(str(key), [f.name for f in fields.values()]))
        elif inner is not None:
            where = f"{path}.{field.name}" if path else field.name
            # The oneof of Evidence has no name of its own in the contract.
            read = field.read(inner, path if field.name == "content" else where, reading)
            if read is not _MISSING:
                values[field.name] = read
    return _build(kind, values, path, reading)


def _build(kind: type, values: dict[str, object], path: str, reading: _Reading) -> object:
    needed = [f for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING and f.name not in values]
    fields = _fields(kind)
    for part in needed:
        zero = fields[part.name].zero
        if part.name in _EMPTY:
            zero = _EMPTY[part.name]
        if zero is dataclasses.MISSING:
            reading.wrong(f"{path}.{part.name}" if path else part.name, "is required")
            return _MISSING
        values[part.name] = zero  # a number that is absent is 0 in proto3, and 0 means "unknown" where it matters
    if kind is model.Polygon:
        corners = cast("tuple[object, ...]", values["vertices"])
        # The first corner may be repeated at the end; the model has it once, so that what is read again stays as it is.
        while len(corners) > 3 and corners[0] == corners[-1]:
            corners = corners[:-1]
        values["vertices"] = corners
    return kind(**values)


def _gather(value: Mapping[str, object], path: str, reading: _Reading) -> Mapping[str, object]:
    """`value` with the members of Evidence's oneof under `content`."""
    names = {n for k in typing.get_args(model.EvidenceContent) for n in (snake(k.__name__), camel(snake(k.__name__)))}
    if "content" in value:
        reading.wrong(f"{path}.content", f"there is no such field; use one of {', '.join(sorted(names))}")
    rest: dict[str, object] = {key: inner for key, inner in value.items() if key not in names and key != "content"}
    content = {key: inner for key, inner in value.items() if key in names}
    return rest | ({"content": content} if content else {})


def read_json(kind: type[T], value: object, violations: list[FieldViolation]) -> T | None:
    """An object of `kind` from its JSON mapping; None when that cannot be, and then `violations` says why.

    Parameters
    ----------
    kind
        A dataclass of the model.
    value
        What `json.loads` gave.
    violations
        Every wrong field is added to it, with its path from the message.
    """
    reading = _Reading(violations)
    built = _read_message(kind, value, "", reading)
    return None if built is _MISSING else cast("T", built)


def to_json(value: object) -> Json:
    """The proto3 JSON mapping of an object of the model, absent fields left out.

    >>> to_json(model.CellMeasurement(model.Radio.LTE, "272", "05", cell=237575))
    {'radio': 'RADIO_LTE', 'mcc': '272', 'mnc': '05', 'cell': '237575'}
    """
    written: Json = {}
    for name, field in _fields(cast("type", type(value))).items():
        inner = getattr(value, field.name)
        if name != field.name or name in written or inner is None:
            continue
        if not field.optional and not dataclasses.is_dataclass(inner) and not inner:
            continue  # the zero of a field without presence: absent on the wire
        if name == "content":
            written.update(cast("Json", field.write(inner)))
        else:
            written[name] = field.write(inner)
    return written
