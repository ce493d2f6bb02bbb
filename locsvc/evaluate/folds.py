"""Cross-validation: which calls are tested together, and a service that learned from all others.

Nothing of a fold's own calls is in what answers them: coverage is learned anew from the other folds, and neither the
coverage nor the calibration of the data directory is taken, as they may have seen these very tables.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from locsvc.errors import BadData
from locsvc.evaluate.labels import NONE, days_of, sessions_of, texts_of
from locsvc.learning.learn import Options as LearnOptions
from locsvc.learning.learn import learn
from locsvc.reference.snapshot import CURRENT, SNAPSHOTS, Draft, Snapshot, current_id
from locsvc.reference.store import CALIBRATION_FILE, Reference
from locsvc.resolver import Resolver
from locsvc.tables.form import CALL, OWN, UNREAD
from locsvc.tables.rows import read_rows

Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]
# A group of the calibration, and what became of it.
Verdict = tuple[str, str]

DAY, SESSION, TIME = "day", "session", "time"
COVERAGE = "coverage"
DEFAULT_FOLDS = 5
# Training folds are dealt to so many parts, each scored by what the others teach: more would take their time.
_MOST_PARTS = 4
# Another way to say that nothing was learned.
UNTAUGHT, UNCALIBRATED = "folds without anything to learn from", "folds without anything to calibrate on"


@dataclass(frozen=True, slots=True)
class Folding:
    """How calls are dealt to folds: by day, session, stretch of time, or a column; 0 folds: one for each value."""

    by: str = DAY
    count: int = DEFAULT_FOLDS
    keep_calibration: bool = False
    calibrate: bool = False

    @property
    def column(self) -> str | None:
        """The column that is asked for, if one is."""
        return None if self.by in {DAY, SESSION, TIME} else self.by


def fold_numbers(batches: Sequence[pa.RecordBatch], folding: Folding, session: str | None) -> list[Ints]:
    """The fold of each row, (rows,) for each batch of whole calls: a call's rows are in the fold of its last.

    Raises
    ------
    BadData
        There is one fold only.
    """
    lasts, calls = [], []
    for batch in batches:
        call = batch.column(CALL).to_numpy(zero_copy_only=False).astype(np.int64)
        new = np.append(True, call[1:] != call[:-1])
        calls.append(np.cumsum(new) - 1)
        lasts.append(np.flatnonzero(np.append(new[1:], True)))
    of_call = _dealt(batches, lasts, folding, session)
    if len(of_call) and of_call.max() == 0:
        raise BadData(
            f"--folds {folding.by}: all calls are in one fold, so there is nothing to learn from; fold by time"
        )
    starts = np.cumsum([0, *(len(last) for last in lasts)])
    return [of_call[starts[k] : starts[k + 1]][call] for k, call in enumerate(calls)]


def _dealt(batches: Sequence[pa.RecordBatch], lasts: Sequence[Ints], folding: Folding, session: str | None) -> Ints:
    """The fold of each call, (calls,)."""
    if folding.by == TIME:
        t = np.concatenate([_times(b, last) for b, last in zip(batches, lasts, strict=True)] or [np.zeros(0)])
        order = np.argsort(t, kind="stable")
        fold = np.empty(len(t), np.int64)
        fold[order] = np.arange(len(t)) * max(folding.count or DEFAULT_FOLDS, 2) // max(len(t), 1)
        return fold
    labels = np.concatenate(
        [_labels(b, last, folding, session) for b, last in zip(batches, lasts, strict=True)] or [np.zeros(0, object)]
    )
    values, place, size = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    count = folding.count or len(values)
    fold_of, filled = np.zeros(len(values), np.int64), np.zeros(count)
    # The largest first, each to the fold that has least: folds are about as large, and the same every time.
    for k in np.lexsort((values, -size)).tolist():
        fold_of[k] = int(np.argmin(filled))
        filled[fold_of[k]] += size[k]
    return fold_of[place]


def _times(batch: pa.RecordBatch, last: Ints) -> npt.NDArray[np.float64]:
    return read_rows(batch.take(pa.array(last))).t


def _labels(batch: pa.RecordBatch, last: Ints, folding: Folding, session: str | None) -> Texts:
    own = batch.take(pa.array(last))
    if folding.by == DAY:
        return days_of(read_rows(own).t)
    if folding.by == SESSION:
        return sessions_of(own, read_rows(own).t, session)
    return texts_of(own, folding.by)


@contextlib.contextmanager
def resolver_of_fold(
    training: Sequence[tuple[pa.Table, Ints]],
    data: Path | None,
    folding: Folding,
    counts: Counter[str],
    verdicts: Counter[Verdict] | None = None,
    within: Path | None = None,
) -> Iterator[Resolver]:
    """A resolver over the reference data and what the training tables teach; its directory is gone afterwards.

    Parameters
    ----------
    training
        Tables, each with the fold of its rows (rows,).
    data
        The data directory.
    folding
        How it was folded.
    counts
        What went otherwise than it should is counted here.
    verdicts
        And here what became of each group of the calibration that the tables have evidence of.
    within
        Where its directory is made, if not among the system's temporary files.

    Raises
    ------
    DatasetError
        The reference data is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="locsvc-fold-", dir=within) as folder:
        own = Path(folder) / "data"
        own.mkdir()
        if data is not None:
            _copy(data, own, keep_calibration=folding.keep_calibration)
        if folding.calibrate:
            fitted = _calibrate(training, own, Path(folder), folding)
            counts[UNCALIBRATED] += fitted is None
            if verdicts is not None:
                verdicts.update(fitted or ())
        taught = _learn(_written([table for table, _ in training], Path(folder), "all"), own)
        counts[UNTAUGHT] += not taught
        yield Resolver(_reference(own))


def _reference(own: Path) -> Reference:
    """What is in a fold's directory, be it the calibration alone."""
    if current_id(own) is not None:
        return Reference.open(own, verify=False)
    file = own / CALIBRATION_FILE
    return replace(Reference.empty(), calibration_text=file.read_text(encoding="utf-8") if file.exists() else None)


def _written(tables: Sequence[pa.Table], folder: Path, name: str) -> list[Path]:
    """Files of the tables that have rows."""
    files = []
    for k, table in enumerate(tables):
        if len(table):
            files.append(folder / f"{name}-{k}.parquet")
            pq.write_table(_as_given(table), files[-1])
    return files


def _learn(files: Sequence[Path], own: Path) -> bool:
    """Learn from tables; whether there was anything to learn."""
    try:
        learn(files, own, LearnOptions(fresh=True))
    except BadData:
        return False
    return True


def _calibrate(
    training: Sequence[tuple[pa.Table, Ints]], own: Path, folder: Path, folding: Folding
) -> list[Verdict] | None:
    """Fit the calibration to all training folds, each with coverage learned from the others; None: there is no truth.

    Fitted to the very rows that were learned from, everything would look surer than it is; fitted to a single fold,
    there would be too few sessions.
    """
    from locsvc.learning.calibrate.calibrate import NONE as NO_EVIDENCE
    from locsvc.learning.calibrate.calibrate import Options as CalibrateOptions
    from locsvc.learning.calibrate.calibrate import calibrate_apart
    from locsvc.learning.calibrate.writing import put, written

    folds = np.unique(np.concatenate([np.zeros(0, np.int64), *(f for _, f in training)]))
    tables, references = [], []
    for k in range(min(_MOST_PARTS, len(folds))):
        here = folds[k::_MOST_PARTS]
        inner = [t.filter(pa.array(np.isin(f, here))) for t, f in training]
        others = [t.filter(pa.array(~np.isin(f, here))) for t, f in training]
        taught = folder / f"part-{k}"
        shutil.copytree(own, taught, copy_function=_linked)
        _learn(_written(others, folder, f"others-{k}"), taught)
        tables.append(_written(inner, folder, f"inner-{k}"))
        references.append(_reference(taught))
    try:
        found = calibrate_apart(tables, references, CalibrateOptions(by_day=folding.by == DAY))
    except BadData:
        return None
    former = own / CALIBRATION_FILE
    text = former.read_text(encoding="utf-8") if former.exists() else None
    put(written(found, text, dt.datetime.now(dt.UTC)), former)
    return [(result.group, result.verdict) for result in found.results if result.verdict != NO_EVIDENCE]


def _as_given(table: pa.Table) -> pa.Table:
    """Rows without the engine's columns; those that could not be read are left."""
    if UNREAD in table.schema.names:
        table = table.filter(table.column(UNREAD).is_null())
    return table.select([n for n in table.schema.names if n not in OWN])


def _copy(data: Path, own: Path, *, keep_calibration: bool) -> None:
    """A data directory with the same files, linked where that can be, without coverage."""
    if keep_calibration and (data / CALIBRATION_FILE).exists():
        shutil.copy(data / CALIBRATION_FILE, own / CALIBRATION_FILE)
    snapshot = current_id(data)
    if snapshot is None:
        return
    shutil.copytree(data / SNAPSHOTS / snapshot, own / SNAPSHOTS / snapshot, copy_function=_linked)
    shutil.copy(data / CURRENT, own / CURRENT)
    learned = Snapshot.open(own, verify=False).entries(COVERAGE)
    if learned:
        with Draft.begin(own) as draft:
            for entry in learned:
                draft.drop(COVERAGE, entry.name)
            draft.publish()


def _linked(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


__all__ = ["DAY", "DEFAULT_FOLDS", "NONE", "SESSION", "TIME", "Folding", "Verdict", "fold_numbers", "resolver_of_fold"]
