"""Cross-validation: which calls are tested together, and a service that learned from all others.

Nothing of a fold's own calls is in what answers them: coverage is learned anew from the other folds, and neither the
coverage nor the calibration of the data directory is taken, as they may have seen these very tables.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.errors import BadData
from locsvc.evaluate.labels import NONE, SESSION_COLUMN, days_of, sessions_of, texts_of
from locsvc.learning.aside import folder_aside
from locsvc.learning.calibrate.calibrate import NONE as NO_EVIDENCE
from locsvc.learning.calibrate.calibrate import Options as CalibrateOptions
from locsvc.learning.calibrate.history import session_names
from locsvc.learning.calibrate.parts import MOST_PARTS, Cut, Told, deal, fit_apart, taught_by
from locsvc.learning.calibrate.writing import written
from locsvc.learning.learn import Options as LearnOptions
from locsvc.reference.snapshot import current_id
from locsvc.reference.store import CALIBRATION_FILE, Reference
from locsvc.resolver import Resolver
from locsvc.tables.form import CALL
from locsvc.tables.rows import read_rows

Ints = npt.NDArray[np.int64]
Texts = npt.NDArray[np.object_]
# A group of the calibration, and what became of it.
Verdict = tuple[str, str]

DAY, SESSION, TIME = "day", "session", "time"
DEFAULT_FOLDS = 5
# Another way to say that nothing was learned.
UNTAUGHT, UNCALIBRATED = "folds without anything to learn from", "folds without anything to calibrate on"


@dataclass(frozen=True, slots=True)
class Folding:
    """How calls are dealt to folds: by day, session, stretch of time, or a column; 0 folds: one for each value.

    With `calibrate`, groups of the calibration whose names begin with one of `only` (none: all) are fitted in each
    fold; they need `least_sessions`; None: each its own.
    """

    by: str = DAY
    count: int = DEFAULT_FOLDS
    keep_calibration: bool = False
    calibrate: bool = False
    least_sessions: int | None = None
    only: tuple[str, ...] = ()

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
        t = np.concatenate(
            [_times(b.take(pa.array(last))) for b, last in zip(batches, lasts, strict=True)] or [np.zeros(0)]
        )
        order = np.argsort(t, kind="stable")
        fold = np.empty(len(t), np.int64)
        fold[order] = np.arange(len(t)) * max(folding.count or DEFAULT_FOLDS, 2) // max(len(t), 1)
        return fold
    labels = np.concatenate(
        [_labels(b, last, folding, session) for b, last in zip(batches, lasts, strict=True)] or [np.zeros(0, object)]
    )
    return deal(labels.astype(str), folding.count)


def _times(batch: pa.RecordBatch | pa.Table) -> npt.NDArray[np.float64]:
    """Unix seconds of rows, (n,)."""
    return read_rows(batch.select([n for n in batch.schema.names if n in {"t", CALL}])).t


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
    session: str | None = None,
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
    session
        The column that tells sessions, if it is another than usual.

    Raises
    ------
    ConfigError
        There is no room left for its directory.
    DatasetError
        The reference data is damaged.
    """
    with folder_aside("locsvc-fold-", within) as folder:
        reference = _untaught(data, keep_calibration=folding.keep_calibration)
        with Cut(folder / "cut") as cut:
            for nth, (table, folds) in enumerate(training):
                cut.add(nth, table, _told(nth, table, folds, folding, session))
        if folding.calibrate:
            fitted = _calibrated(cut, reference, folder, folding)
            counts[UNCALIBRATED] += fitted is None
            if fitted is not None:
                reference = replace(reference, calibration_text=fitted[0])
                if verdicts is not None:
                    verdicts.update(fitted[1])
        reference = taught_by(cut.teaching(), reference, folder / "taught", LearnOptions())
        counts[UNTAUGHT] += reference.coverage is None
        yield Resolver(reference)


def _untaught(data: Path | None, *, keep_calibration: bool) -> Reference:
    """The reference data as a fold may know it: without coverage, and mostly without the calibration in force."""
    reference = Reference.empty()
    if data is not None and current_id(data) is not None:
        reference = replace(Reference.open(data, verify=False), coverage=None)
    file = None if data is None or not keep_calibration else data / CALIBRATION_FILE
    text = file.read_text(encoding="utf-8") if file is not None and file.exists() else None
    return replace(reference, calibration_text=text)


def _told(nth: int, table: pa.Table, folds: Ints, folding: Folding, session: str | None) -> Told:
    """How a training table is cut to parts, and what counts as a session there.

    What is cut by time or by a column is cut within sessions: a session in one stretch, or with one value, counts as
    one, and what is of one day and stretch is left out together.
    """
    part = np.unique(folds, return_inverse=True)[1] % MOST_PARTS
    if not folding.calibrate:
        return Told(np.zeros_like(part), [""] * len(table))
    t = _times(table)
    names = session_names(table, t, nth, session or SESSION_COLUMN)
    if folding.by == TIME:
        stretch = folds.tolist()
        together = [f"{day} {k}" for day, k in zip(days_of(t).tolist(), stretch, strict=True)]
        return Told(part, [f"{name} {k}" for name, k in zip(names, stretch, strict=True)], together)
    if folding.column is not None:
        values = texts_of(table, folding.column).tolist()
        names = [f"{name} {value}" for name, value in zip(names, values, strict=True)]
    return Told(part, names)


def _calibrated(cut: Cut, reference: Reference, folder: Path, folding: Folding) -> tuple[str, list[Verdict]] | None:
    """The calibration fitted to all training folds, and what became of each group; None: there is no truth."""
    # Days, and of each its stretches of time, are left out together.
    options = CalibrateOptions(
        by_day=folding.by in {DAY, TIME}, only=folding.only, least_sessions=folding.least_sessions
    )
    try:
        found = fit_apart(cut, reference, folder, options)
    except BadData:
        return None
    text = written(found, reference.calibration_text, dt.datetime.now(dt.UTC))
    return text, [(result.group, result.verdict) for result in found.results if result.verdict != NO_EVIDENCE]


__all__ = ["DAY", "DEFAULT_FOLDS", "NONE", "SESSION", "TIME", "Folding", "Verdict", "fold_numbers", "resolver_of_fold"]
