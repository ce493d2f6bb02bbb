"""What runs in Spark's Python workers: one opens the reference data once and keeps it for the tasks that follow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from locsvc.batch.engine import cut
from locsvc.batch.outputs import join_parts, part_bytes
from locsvc.batch.spark.grouping import NOBODY, whole_calls
from locsvc.batch.spark.units import Ints, Plan, Rows
from locsvc.batch.tally import Tally, tally_of
from locsvc.batch.work import Orders, answered, resolver_for
from locsvc.errors import ConfigError
from locsvc.tables.form import output_schema

if TYPE_CHECKING:
    from locsvc.resolver import Resolver

# The name under which a shipped data directory lies in an executor.
SHIPPED = "locsvc-data"

COUNTED = pa.schema([pa.field("unit", pa.int64()), pa.field("rows", pa.int64())])
WRITTEN = pa.schema([pa.field("parts", pa.int64()), pa.field("tally", pa.string())])

# That of the run that this worker is at work for.
_opened: dict[Orders, Resolver] = {}


def resolver_of(orders: Orders, *, shipped: bool) -> Resolver:
    """The resolver of this worker, opened for its first task.

    Raises
    ------
    ConfigError
        The data directory has another snapshot than the driver's.
    DatasetError
        It is missing or damaged.
    """
    if orders not in _opened:
        here = orders
        if shipped:
            from pyspark import SparkFiles

            here = replace(orders, data=Path(SparkFiles.get(SHIPPED)))
        _opened.clear()
        _opened[orders] = resolver_for(here)
    return _opened[orders]


def count_rows(plan: Plan, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """How many rows some units have."""
    with closing(Rows(plan)) as rows:
        for batch in batches:
            numbers = batch.column(0)
            counts = [sum(len(b) for b in rows.batches(n)) for n in numbers.to_pylist()]
            yield pa.RecordBatch.from_arrays([numbers, pa.array(counts, pa.int64())], schema=COUNTED)


@dataclass(frozen=True, slots=True)
class Errand:
    """What tasks need to answer units and write them: `whole` parts are files of their own, the others are joined."""

    plan: Plan
    schema: pa.Schema
    orders: Orders
    shipped: bool
    folder: Path
    whole: bool


def answer_units(errand: Errand, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Answers units and writes their parts; one row for all, with the number of parts and the counts.

    `batches` hold the units' numbers, or rows of `grouping.TOLD` sorted by unit.

    Raises
    ------
    ConfigError
        The output cannot be written, or the data directory has another snapshot than the driver's.
    BadData
        The input has changed.
    """
    resolver = resolver_of(errand.orders, shipped=errand.shipped)
    firsts = errand.plan.firsts()
    total, parts = Tally(), 0
    with closing(Rows(errand.plan)) as rows:
        for number, last, row in _by_unit(batches):
            for part, batch in enumerate(cut(whole_calls(rows, firsts, number, last, row))):
                found = answered(resolver, batch, errand.orders.confidence)
                _write(errand, f"part-{number:08d}-{part:04d}", part_bytes(found, errand.orders.form))
                total.add(tally_of(found, len(batch)))
                parts += 1
    yield pa.RecordBatch.from_arrays([pa.array([parts]), pa.array([json.dumps(total.to_json())])], schema=WRITTEN)


def _by_unit(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, Ints, Ints]]:
    """Each unit with what it is told: last rows and rows."""
    held = np.zeros((3, 0), np.int64)
    for batch in batches:
        if "last" not in batch.schema.names:
            for number in batch.column(0).to_pylist():
                yield number, held[1], held[2]
            continue
        found = np.stack([batch.column(n).to_numpy() for n in ("unit", "last", "row")])
        held = np.concatenate([held, found], axis=1)
        while held.shape[1] and held[0, 0] != held[0, -1]:
            end = int(np.searchsorted(held[0], held[0, 0], "right"))
            yield int(held[0, 0]), *_told(held[:, :end])
            held = held[:, end:]
    if held.shape[1]:
        yield int(held[0, 0]), *_told(held)


def _told(rows: Ints) -> tuple[Ints, Ints]:
    kept = rows[:, rows[2] != NOBODY]
    return kept[1], kept[2]


def _write(errand: Errand, name: str, content: bytes) -> None:
    """Write a part; a second attempt at the same task writes the same, beside this one until it is whole."""
    from pyspark import TaskContext

    context = TaskContext.get()
    attempt = 0 if context is None else context.taskAttemptId()
    form = errand.orders.form
    draft, ready = (errand.folder / f".{name}.{attempt}{end}" for end in (".draft", ".ready"))
    suffix = {"csv": ".csv", "jsonl": ".jsonl"}.get(form, ".parquet") if errand.whole else ""
    try:
        draft.write_bytes(content)
        if errand.whole:
            join_parts([draft], ready, output_schema(errand.schema), form)
            draft.unlink()
            draft = ready
        draft.replace(errand.folder / f"{name}{suffix}")
    except OSError as error:
        raise ConfigError(f"{errand.folder} cannot be written by an executor: {error.strerror or error}") from None
