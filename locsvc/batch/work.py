"""What a process that answers does: one batch after the other, each written as a part."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from locsvc.batch.outputs import part_bytes
from locsvc.batch.state import write_safely
from locsvc.batch.tally import Tally, tally_of
from locsvc.errors import ConfigError, LocsvcError
from locsvc.tables.form import CALL, CALL_JSON, EVIDENCE_COLUMNS, UNREAD

if TYPE_CHECKING:
    from locsvc.resolver import Resolver


# A part's size, counts, and the bytes themselves where there is no file.
Result = tuple[int, Tally, bytes]
Submit = Callable[[pa.RecordBatch, Path | None], Future[Result]]


@dataclass(frozen=True, slots=True)
class Orders:
    """What all processes of a run are told at their start.

    `snapshot_id` is what the data directory held when the run began; `form` the output's.
    """

    data: Path | None
    snapshot_id: str
    confidence: float
    form: str


class _NoPandas(MetaPathFinder):
    """Says that there is none."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """None for all other modules; raises `ModuleNotFoundError`."""
        del path, target
        if name == "pandas":
            raise ModuleNotFoundError(name=name)


def without_pandas() -> None:
    """Have Arrow do without pandas in this process, which has nothing of its.

    Where it is installed, Arrow loads it with the first array, to ask whether the values are a Series: half a second.
    """
    sys.meta_path.insert(0, nowhere := _NoPandas())
    try:
        pa.array(np.zeros(1)).to_numpy(zero_copy_only=False)
    finally:
        sys.meta_path.remove(nowhere)


# An error: why there is none.
_resolver: Resolver | LocsvcError | None = None
_orders: Orders | None = None


def begin(orders: Orders) -> None:
    """Map the reference data.

    What is wrong with it is raised by the first answer: an error here would only break the pool.
    """
    global _resolver, _orders
    without_pandas()
    try:
        _resolver, _orders = resolver_for(orders), orders
    except LocsvcError as error:
        _resolver, _orders = error, orders
    _collect_rarely()


def resolver_for(orders: Orders) -> Resolver:
    """A resolver over the reference data of a run, its kernels compiled.

    Raises
    ------
    ConfigError
        The data directory has another snapshot than when the run began.
    """
    pa.set_cpu_count(1)
    from locsvc.compiled import are_kept
    from locsvc.reference.store import Reference
    from locsvc.resolver import Resolver
    from locsvc.resolver.warming import warm

    # Every byte was compared with its checksum by the process that began the run.
    reference = Reference.empty() if orders.data is None else Reference.open(orders.data, verify=False)
    if reference.snapshot_id != orders.snapshot_id:
        raise ConfigError("the reference data changed while the run began; start it again")
    resolver = Resolver(reference)
    if not are_kept():
        warm(resolver)
    return resolver


def _collect_rarely() -> None:
    """Look for rings of objects that nobody holds once in many batches: answers make none, and a look costs a tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def answer(packed: bytes, part: Path | None) -> Result:
    """The answers of this process to a batch, written to a part.

    Raises
    ------
    OSError
        The part cannot be written.
    LocsvcError
        The reference data cannot be used, or is another than when the run began.
    """
    if isinstance(_resolver, LocsvcError):
        raise _resolver
    if _resolver is None or _orders is None:
        msg = "begin() comes first"
        raise RuntimeError(msg)
    with pa.ipc.open_stream(packed) as reader:
        batch = reader.read_next_batch()
    return part_of(_resolver, _orders, batch, part)


def part_of(resolver: Resolver, orders: Orders, batch: pa.RecordBatch, part: Path | None) -> Result:
    """The answers to a batch, written to a part.

    Raises
    ------
    OSError
        The part cannot be written.
    """
    found = answered(resolver, batch, orders.confidence)
    content = part_bytes(found, orders.form)
    tally = tally_of(found, len(batch))
    if part is None:
        return len(content), tally, content
    write_safely(part, content)
    return len(content), tally, b""


@contextlib.contextmanager
def here(orders: Orders) -> Iterator[Submit]:
    """What answers batches in this process, at once."""

    def submit(batch: pa.RecordBatch, part: Path | None) -> Future[Result]:
        done: Future[Result] = Future()
        done.set_result(part_of(resolver_for(orders), orders, batch, part))
        return done

    yield submit


def answered(resolver: Resolver, batch: pa.RecordBatch, confidence: float) -> pa.RecordBatch:
    """The answers to a batch; a call that meets a fault costs itself alone."""
    from locsvc.tables.kernel import answer_batch

    try:
        return answer_batch(resolver, batch, confidence)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other calls of the run have their answers
        call = batch.column(CALL).to_numpy()
        starts = [0, *(i for i in range(1, len(call)) if call[i] != call[i - 1]), len(call)]
        if len(starts) == 2:
            return answer_batch(resolver, _faulty(batch, error), confidence)
        middle = starts[len(starts) // 2]
        halves: Sequence[pa.RecordBatch] = (batch.slice(0, middle), batch.slice(middle))
        return pa.concat_batches([answered(resolver, half, confidence) for half in halves])


def _faulty(batch: pa.RecordBatch, error: Exception) -> pa.RecordBatch:
    """The rows of a call without their evidence, and why."""
    why = f"fault in locsvc ({type(error).__name__})"
    columns = [
        pa.array([why] * len(batch), pa.string())
        if f.name == UNREAD
        else pa.nulls(len(batch), f.type)
        if f.name in EVIDENCE_COLUMNS or f.name in {"t", CALL_JSON}
        else batch.column(f.name)
        for f in batch.schema
    ]
    schema = batch.schema
    if UNREAD not in schema.names:
        columns.append(pa.array([why] * len(batch), pa.string()))
        schema = schema.append(pa.field(UNREAD, pa.string()))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
