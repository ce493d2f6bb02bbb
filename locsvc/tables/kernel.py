"""Record batch in, record batch out: the same for every engine.

A row is a call of its own, or rows that stand in one group by the engine's column `__call` are one; without that column
rows of the batch with one `call_id` are. Answers are those of `Resolver.resolve` for the same calls, to the last bit,
whatever the others in the batch.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from locsvc.errors import LocsvcError
from locsvc.formats.call_json import call_from_json, parse_json
from locsvc.model import Call, WarningCode
from locsvc.resolver import calls_table
from locsvc.tables import columns
from locsvc.tables.answers import result_of, warning_text
from locsvc.tables.evidence import calls_of, table_of
from locsvc.tables.form import CALL, CALL_JSON, FURTHER, ROW, UNREAD, output_schema, passing
from locsvc.tables.grouping import Grouper
from locsvc.tables.rows import Ints, Rows, read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locsvc.resolver import Resolver
    from locsvc.resolver.table import EvidenceTable

# Calls that are resolved as one array.
CHUNK = 1024
# Values that could not be read are warnings of their call: so many, and how many more there are.
MOST_TOLD = 10


def answer_batch(resolver: Resolver, batch: pa.RecordBatch, confidence: float = 0.9) -> pa.RecordBatch:
    """The answers to the calls of a batch in the table form: result columns, then the columns that pass through.

    Parameters
    ----------
    resolver
        Over the reference data.
    batch
        Columns with our names; those of the engine (`form.OWN`) may be among them.
    confidence
        Of the answers, 0.5 to 0.999.
    """
    if CALL not in batch.schema.names:
        grouper = Grouper()
        batch = pa.Table.from_batches([*grouper.add(batch), *grouper.end()]).combine_chunks().to_batches()[0]
    schema = output_schema(batch.schema)
    call = batch.column(CALL).to_numpy(zero_copy_only=False).astype(np.int64)
    new = np.flatnonzero(np.append(True, call[1:] != call[:-1])) if len(call) else np.zeros(0, np.int64)
    starts = np.append(new, len(call))
    parts = []
    for first in range(0, len(new), CHUNK):
        a, b = int(starts[first]), int(starts[min(first + CHUNK, len(new))])
        part = batch.slice(a, b - a)
        number = np.cumsum(np.append(0, call[a + 1 : b] != call[a : b - 1]))
        parts.append(_answer(resolver, part, number, confidence, schema))
    return pa.concat_batches(parts) if parts else pa.RecordBatch.from_pylist([], schema)


def _answer(
    resolver: Resolver, batch: pa.RecordBatch, call: Ints, confidence: float, schema: pa.Schema
) -> pa.RecordBatch:
    """The answers to the calls of a part of a batch; `call` ascends from 0."""
    last = np.flatnonzero(np.append(call[1:] != call[:-1], True))
    calls = len(last)
    refused: dict[int, list[str]] = {}
    if UNREAD in batch.schema.names:
        _refuse_rows(batch, call, refused)
    if CALL_JSON in batch.schema.names:
        given = _calls(batch, refused)
        table = calls_table(given)
        ids = pa.array([each.call_id or None for each in given], pa.string())
        result = _resolved(resolver, table, _ids(batch, last, ids), refused, confidence)
    else:
        rows = read_rows(batch)
        _refuse_values(rows, call, refused)
        result = _of_rows(resolver, rows, call, _ids(batch, last, None), refused, confidence)
    names = passing(batch.schema.names)
    # What passes through is that of a call's last row.
    kept = batch.select(names) if calls == len(call) else batch.select(names).take(pa.array(last))
    return pa.RecordBatch.from_arrays([*result.columns, *kept.columns], schema=schema)


def _of_rows(
    resolver: Resolver, rows: Rows, call: Ints, ids: pa.Array, refused: dict[int, list[str]], confidence: float
) -> pa.RecordBatch:
    """Results of rows: columns at once, calls with messages apart."""
    calls = len(ids)
    opened = np.zeros(calls, bool)
    if rows.aml is not None:
        opened[call[[text is not None for text in rows.aml]]] = True
    if not opened.any():
        return _resolved(resolver, table_of(rows, call, calls), ids, refused, confidence)
    if not opened.all():
        # All calls as columns, those with messages once more as objects: they are few, or all.
        plain = _resolved(resolver, table_of(rows, call, calls), ids, refused, confidence)
    wanted = np.flatnonzero(opened)
    place_of = {k: i for i, k in enumerate(wanted.tolist())}
    table = calls_table(calls_of(rows, call, wanted.tolist()))
    own = {place_of[k]: told for k, told in refused.items() if k in place_of}
    found = _resolved(resolver, table, ids.take(pa.array(wanted)), own, confidence)
    if opened.all():
        return found
    order = np.arange(calls)
    order[wanted] = calls + np.arange(len(wanted))
    return pa.concat_batches([plain, found]).take(pa.array(order))


def _resolved(
    resolver: Resolver, table: EvidenceTable, ids: pa.Array, refused: dict[int, list[str]], confidence: float
) -> pa.RecordBatch:
    calls = len(ids)
    answered = resolver.answer(table, np.full(calls, confidence), np.full(calls, np.nan))
    return result_of(answered, table, ids, refused)


def _ids(batch: pa.RecordBatch, last: Ints, given: pa.Array | None) -> pa.Array:
    """The name of each call: its own, or `row-<n>` by the number of its row in the input."""
    numbered_rows = ROW in batch.schema.names
    number = batch.column(ROW).take(pa.array(last)) if numbered_rows else pa.array(last + 1)
    numbered = pc.binary_join_element_wise("row", number.cast(pa.string()), "-")
    if given is None:
        if "call_id" not in batch.schema.names:
            return numbered
        given = columns.texts(columns.plain(batch.column("call_id").take(pa.array(last)))).cast(pa.string())
    return pc.coalesce(given, numbered)


def _refuse_rows(batch: pa.RecordBatch, call: Ints, refused: dict[int, list[str]]) -> None:
    """Tells of rows that could not be read at all."""
    told = batch.column(UNREAD)
    for i in np.flatnonzero(told.is_valid().to_numpy(zero_copy_only=False)).tolist():
        _tell(refused, int(call[i]), f"row cannot be read: {told[i].as_py()}")


def _refuse_values(rows: Rows, call: Ints, refused: dict[int, list[str]]) -> None:
    """Tells of values that could not be read."""
    for i, name, why, shown in rows.refusals.found:
        _tell(refused, int(call[i]), f"{name} {why}: {shown}")


def _tell(refused: dict[int, list[str]], call: int, what: str) -> None:
    told = refused.setdefault(call, [])
    if len(told) >= MOST_TOLD:
        # One more line holds the number of all the others.
        before = int(told.pop().rpartition(": ")[2]) if len(told) > MOST_TOLD else 0
        what = f"{FURTHER}: {before + 1}"
    told.append(warning_text(WarningCode.PARTLY_READ, what))


def _calls(batch: pa.RecordBatch, refused: dict[int, list[str]]) -> Sequence[Call]:
    """Calls written as JSON; one that cannot be read is an empty call, and told."""
    made = []
    for k, text in enumerate(batch.column(CALL_JSON).to_pylist()):
        try:
            made.append(Call() if text is None else call_from_json(parse_json(text)))
        except LocsvcError as error:
            _tell(refused, k, f"call cannot be read: {error}")
            made.append(Call(_id_in(text)))
    return made


def _id_in(text: str) -> str:
    """The name of a call that cannot be read, if that can."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    name = value.get("call_id") if isinstance(value, dict) else None
    return name if isinstance(name, str) else ""
