"""Columns of any type to numbers and codes; what cannot be read counts as not given, and is told.

Whole columns at once: only values that are wrong are touched one by one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from locsvc.formats import ranges

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
# As Arrow reads times; what else looks like one (of a 13th month) would make it try each text by itself.
_DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([T ]([01]\d|2[0-3])(:[0-5]\d(:[0-5]\d(\.\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?$"
_ZONE, _BEYOND_MICROSECONDS = r"[T ].*(Z|[+-]\d\d(:?\d\d)?)$", r"(\.\d{6})\d+"
# What Android and exports write for "not measured".
_UNKNOWN = (2147483647.0, 9223372036854775807.0)
_MAX_SHOWN = 40


@dataclass(slots=True)
class Refusals:
    """Values that could not be taken: (row, field, why, value as text)."""

    found: list[tuple[int, str, str, str]] = field(default_factory=list)

    def add(self, rows: Bools, name: str, why: str, column: pa.Array) -> None:
        """Notes the rows of a column where something is wrong."""
        for i in np.flatnonzero(rows).tolist():
            self.found.append((i, name, why, _shown(column[i].as_py())))


def _shown(value: object) -> str:
    text = "".join(c if c.isprintable() else "?" for c in str(value)[:_MAX_SHOWN])
    return repr(text) if isinstance(value, str) else text


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column in one piece, without a dictionary."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def texts(column: pa.Array) -> pa.Array:
    """Text without spaces round it; empty is null. Columns of other types are written as text, where that may be."""
    if not is_text(column.type):
        try:
            column = column.cast(pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            column = pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())
    column = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)


def numbers(column: pa.Array, name: str, refusals: Refusals) -> Floats:
    """The column as float64, NaN where it says nothing or cannot be read."""
    if is_number(column.type):
        found = column.cast(pa.float64(), safe=False)
    elif is_text(column.type):
        given = texts(column)
        try:
            found = given.cast(pa.float64())
        except pa.ArrowInvalid:
            good = pc.fill_null(pc.match_substring_regex(given, _NUMBER), False)
            wrong = pc.and_(pc.invert(good), pc.is_valid(given))
            refusals.add(wrong.to_numpy(zero_copy_only=False), name, "is not a number", column)
            found = pc.if_else(good, given, pa.scalar(None, given.type)).cast(pa.float64())
    else:
        wrong = pc.is_valid(column).to_numpy(zero_copy_only=False)
        refusals.add(wrong, name, f"is not a number but {column.type}"[:_MAX_SHOWN], column)
        return np.full(len(column), np.nan)
    # A copy, as what comes from Arrow cannot be written to; nulls become NaN.
    values: Floats = np.array(found.to_numpy(zero_copy_only=False), np.float64)
    for unknown in _UNKNOWN:
        values[values == unknown] = np.nan
    return values


def within(
    column: pa.Array,
    name: str,
    refusals: Refusals,
    least: float,
    greatest: float | Floats,
    *,
    whole: bool = False,
) -> Floats:
    """Numbers of a range, NaN elsewhere; `greatest` may be one a row."""
    values = numbers(column, name, refusals)
    known = ~np.isnan(values)
    outside = known & ~((values >= least) & (values <= greatest))
    if outside.any():
        most = "" if isinstance(greatest, np.ndarray) else f"{greatest:.15g}"
        why = f"is outside {least:g} to {most}" if most else "is out of the range of its radio"
        refusals.add(outside, name, why, column)
        values[outside] = np.nan
    if whole:
        broken = known & ~outside & (values != np.floor(values))
        if broken.any():
            refusals.add(broken, name, "is not a whole number", column)
            values[broken] = np.nan
    return values


def fractions(column: pa.Array, name: str, refusals: Refusals) -> Floats:
    """Probabilities above 0 and below 1, NaN elsewhere."""
    values = numbers(column, name, refusals)
    wrong = ~np.isnan(values) & ~((values > 0) & (values < 1))
    if wrong.any():
        refusals.add(wrong, name, "is not above 0 and below 1 (percent are written as fractions)", column)
        values[wrong] = np.nan
    return values


def codes(
    column: pa.Array, name: str, refusals: Refusals, code_of: Callable[[str], int | None], why: str
) -> npt.NDArray[np.int64]:
    """The code of each text, 0 where there is none; each different text is looked up once."""
    encoded = texts(column).dictionary_encode()
    known = [code_of(text) for text in encoded.dictionary.to_pylist()]
    table = np.array([0 if k is None else k for k in known] + [0], np.int64)
    bad = np.array([k is None for k in known] + [False])
    index = pc.fill_null(encoded.indices, len(known)).to_numpy(zero_copy_only=False)
    if bad.any():
        refusals.add(bad[index], name, why, column)
    result: npt.NDArray[np.int64] = table[index]
    return result


_PER_SECOND: Mapping[str, int] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def times(column: pa.Array, name: str, refusals: Refusals) -> Floats:
    """Seconds since the Unix epoch, NaN for none: timestamps (without a zone: UTC), RFC 3339 texts, or numbers."""
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        return _seconds(column)
    if is_text(column.type):
        given = texts(column)
        try:
            return _seconds(given.cast(pa.timestamp("us", "UTC")))
        except pa.ArrowInvalid:
            return _times_of_texts(given, name, refusals)
    return within(column, name, refusals, ranges.MIN_SECONDS, ranges.MAX_SECONDS)


def _seconds(stamps: pa.Array) -> Floats:
    """One division of whole numbers each, so that every unit gives the same float."""
    whole = stamps.cast(pa.int64())
    held = whole.is_valid().to_numpy(zero_copy_only=False)
    count = pc.fill_null(whole, 0).to_numpy(zero_copy_only=False)
    return np.where(held, count / _PER_SECOND[stamps.type.unit], np.nan)


def _times_of_texts(given: pa.Array, name: str, refusals: Refusals) -> Floats:
    """Times where not all are RFC 3339 with a zone: numbers count too, and so do times without a zone."""
    result = np.full(len(given), np.nan)
    valid = given.is_valid().to_numpy(zero_copy_only=False)
    bare = _matches(given, _NUMBER)
    seconds = pc.if_else(pa.array(bare), given, pa.scalar(None, given.type)).cast(pa.float64())
    result[bare] = seconds.to_numpy(zero_copy_only=False)[bare]
    result[bare & ~((result >= ranges.MIN_SECONDS) & (result <= ranges.MAX_SECONDS))] = np.nan
    dates = pc.replace_substring_regex(pc.utf8_upper(given), _BEYOND_MICROSECONDS, r"\1")
    dated = _matches(dates, _DATE + _TIME)
    zoned = dated & _matches(dates, _ZONE)
    for rows, kind in ((zoned, pa.timestamp("us", "UTC")), (dated & ~zoned, pa.timestamp("us"))):
        if rows.any():
            result[rows] = _stamps(dates.filter(pa.array(rows)), kind)
    refusals.add(valid & np.isnan(result), name, "is not a time (RFC 3339 or Unix seconds)", given)
    return result


def _matches(given: pa.Array, pattern: str) -> Bools:
    found: Bools = pc.fill_null(pc.match_substring_regex(given, pattern), False).to_numpy(zero_copy_only=False)
    return found


def _stamps(given: pa.Array, kind: pa.DataType) -> Floats:
    """Seconds of texts that look like times; NaN for those that are none, such as of a 30th of February."""
    try:
        return _seconds(given.cast(kind))
    except pa.ArrowInvalid:
        if len(given) == 1:
            return np.full(1, np.nan)
        middle = len(given) // 2
        return np.concatenate([_stamps(given[:middle], kind), _stamps(given[middle:], kind)])


def lists(column: pa.Array, name: str, refusals: Refusals) -> tuple[npt.NDArray[np.int64], pa.Array | None]:
    """How many things each row lists (n,), and all of them as one array of structs; JSON text is read."""
    n = len(column)
    if is_text(column.type):
        column = _lists_of_json(column, name, refusals)
    if pa.types.is_null(column.type) or column.null_count == n:
        return np.zeros(n, np.int64), None
    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)) or not pa.types.is_struct(kind.value_type):
        refusals.add(pc.is_valid(column).to_numpy(zero_copy_only=False), name, "is not a list of cells", column)
        return np.zeros(n, np.int64), None
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return counts.astype(np.int64), column.flatten()


def _lists_of_json(column: pa.Array, name: str, refusals: Refusals) -> pa.Array:
    """Lists of structs from JSON text."""
    wrong = np.zeros(len(column), bool)
    found: list[list[dict[str, Any] | None] | None] = []
    for i, text in enumerate(texts(column).to_pylist()):
        try:
            value = None if text is None else json.loads(text)
        except (ValueError, RecursionError):
            value, wrong[i] = None, True
        if value is not None and not (isinstance(value, list) and all(isinstance(v, dict) for v in value)):
            value, wrong[i] = None, True
        # As text: one odd value must not decide the type of all.
        found.append(
            None if value is None else [{k: None if x is None else str(x) for k, x in v.items()} for v in value]
        )
    refusals.add(wrong, name, "is not a JSON list of cells", column)
    names = sorted({k for row in found if row for cell in row if cell for k in cell})
    if not names:
        return pa.nulls(len(column))
    return pa.array(found, pa.list_(pa.struct([(k, pa.string()) for k in names])))
