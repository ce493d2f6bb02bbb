"""Tables cut to parts, each scored by what the others teach: nothing is fitted to the very rows it was learned from.

Fitted to those, everything would look surer than it is; fitted to a few that are held back, there would be too little.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from locsvc.errors import BadData
from locsvc.learning.calibrate.calibrate import Calibrated, Options, Progress, calibrate_apart
from locsvc.learning.calibrate.history import SESSION, TOGETHER
from locsvc.learning.learn import Options as LearnOptions
from locsvc.learning.learn import Progress as Rows
from locsvc.learning.learn import learn
from locsvc.reference.coverage.learned import DATASET
from locsvc.reference.store import Reference
from locsvc.tables.form import OWN

Ints = npt.NDArray[np.int64]

# More parts would take their time: each costs learning from all others.
MOST_PARTS = 4


def deal(labels: npt.NDArray[np.generic], count: int, size: Ints | None = None) -> Ints:
    """The part of each label, (n,): equal ones together, the largest first, each to the part that has least.

    Parameters
    ----------
    labels
        (n,), as often as they stand.
    count
        How many parts; 0: one for each value.
    size
        (n,) how many each stands for; None: one.

    Examples
    --------
    >>> deal(np.array(["a", "b", "b", "b", "c"]), 2).tolist()
    [1, 0, 0, 0, 1]
    """
    values, place = np.unique(labels, return_inverse=True)
    sizes = np.bincount(place, weights=size, minlength=len(values))
    part, filled = np.zeros(len(values), np.int64), np.zeros(count or len(values))
    # The same every time, and about as large.
    for k in np.lexsort((values, -sizes)).tolist():
        part[k] = int(np.argmin(filled))
        filled[part[k]] += sizes[k]
    return part[place]


@dataclass(frozen=True, slots=True)
class Told:
    """Of each row, (n,): its part, what its session is called, and what that is left out with, if not with its day."""

    part: Ints
    session: Sequence[str]
    together: Sequence[str] | None = None


class Cut:
    """Tables in files by their parts, in a folder of their own; each row stands in one of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._writers: dict[Path, pq.ParquetWriter] = {}
        self._table = -1
        # Of each part: files to be scored, and those of them that teach.
        self._scored: dict[int, list[Path]] = {}
        self._teaching: dict[int, list[Path]] = {}

    def __enter__(self) -> Self:
        """Itself, to be added to."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """All files are complete."""
        self._close()

    def add(self, table: int, rows: pa.Table, told: Told, *, teaches: bool = True) -> None:
        """Takes rows of whole calls; those of one table come together.

        Parameters
        ----------
        table
            Number of their table.
        rows
            As the grouper gives them.
        told
            Of each of them.
        teaches
            Whether coverage is learned from them.
        """
        if table != self._table:
            self._close()
            self._table = table
        own = rows.select([n for n in rows.schema.names if n not in {*OWN, SESSION, TOGETHER}])
        own = own.append_column(SESSION, pa.array(told.session, pa.string()))
        if told.together is not None:
            own = own.append_column(TOGETHER, pa.array(told.together, pa.string()))
        for part in np.unique(told.part).tolist():
            writer = self._writer(table, part, own.schema, teaches=teaches)
            writer.write_table(own.filter(pa.array(told.part == part)))

    def parts(self) -> list[int]:
        """Numbers of the parts that have rows, ascending."""
        return sorted(self._scored)

    def scored(self, part: int) -> list[Path]:
        """A part's files."""
        return self._scored[part]

    def teaching(self, without: int | None = None) -> list[Path]:
        """Files that coverage is learned from, of all parts but one."""
        return [file for part, files in sorted(self._teaching.items()) if part != without for file in files]

    def size_bytes(self) -> int:
        """How much its files take."""
        return sum(file.stat().st_size for files in self._scored.values() for file in files)

    def _writer(self, table: int, part: int, schema: pa.Schema, *, teaches: bool) -> pq.ParquetWriter:
        file = self._folder / f"part-{part}-{table}{'' if teaches else '-scored'}.parquet"
        if file not in self._writers:
            # No two files are the same, be their rows: such would be taken for one that is given twice.
            named = schema.with_metadata({**(schema.metadata or {}), b"locsvc": file.name.encode()})
            self._writers[file] = pq.ParquetWriter(file, named, compression="zstd")
            for of in (self._scored, self._teaching) if teaches else (self._scored,):
                of.setdefault(part, []).append(file)
        return self._writers[file]

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


def taught_by(
    files: Sequence[Path], reference: Reference, folder: Path, options: LearnOptions, progress: Rows | None = None
) -> Reference:
    """Reference data with coverage learned from tables in place of its own; without any where they teach nothing.

    Parameters
    ----------
    files
        Tables, as they were cut.
    reference
        All else; nothing of it is copied.
    folder
        Where the coverage is kept, a new folder.
    options
        How it is learned.
    progress
        Told how far that is.
    """
    others = tuple(v for v in reference.versions if v.dataset != DATASET)
    untaught = replace(reference, coverage=None, versions=others)
    try:
        learn(files, folder, options, progress)
    except BadData:
        return untaught
    learned = Reference.open(folder, verify=False)
    return replace(untaught, coverage=learned.coverage, versions=(*others, *learned.versions))


def fit_apart(
    cut: Cut,
    reference: Reference,
    folder: Path,
    options: Options,
    progress: Progress | None = None,
    *,
    learning: LearnOptions | None = None,
    as_it_is: int | None = None,
) -> Calibrated:
    """The calibration fitted to all parts of tables, each with coverage learned from the others.

    Parameters
    ----------
    cut
        The tables.
    reference
        All else.
    folder
        Where coverage is kept meanwhile.
    options
        How they are fitted to; the time for that is for learning, too.
    progress
        Told what is done.
    learning
        How coverage is learned.
    as_it_is
        A part that is scored by the reference data as it is.

    Raises
    ------
    BadData
        No row has a truth.
    ConfigError
        The calibration cannot be used.
    InvalidInput
        No group's name begins as one of those that were asked for.
    """
    clock = _Clock(options.budget_s, progress)
    parts, references = cut.parts(), list[Reference]()
    try:
        for k, part in enumerate(parts, 1):
            own, taught = clock.show(f"learning for part {k} of {len(parts)}"), folder / f"taught-{part}"
            references.append(
                reference
                if part == as_it_is
                else taught_by(cut.teaching(part), reference, taught, learning or LearnOptions(), own)
            )
    except _TimeOver:
        # Nothing is searched for then; what each group is kept for is told as ever.
        references = [reference] * len(parts)
    # Columns have our names by now.
    options = replace(options, mapping={}, input_format=None, budget_s=clock.left_s())
    return calibrate_apart([cut.scored(part) for part in parts], references, options, progress)


class _TimeOver(Exception):  # noqa: N818 - no error: it ends the learning
    """The time given is over."""


class _Clock:
    """Ends learning when the time is over, and tells how far it is."""

    def __init__(self, budget_s: float | None, progress: Progress | None) -> None:
        self._end_s = None if budget_s is None else time.monotonic() + budget_s
        self._progress = progress

    def left_s(self) -> float | None:
        """How much time is left; None: any."""
        return None if self._end_s is None else max(self._end_s - time.monotonic(), 0.0)

    def show(self, what: str) -> Rows:
        """Progress of reading tables."""

        def told(_: int, share: float | None) -> None:
            if self.left_s() == 0.0:
                raise _TimeOver
            if self._progress is not None:
                self._progress(what, share or 0.0)

        return told
