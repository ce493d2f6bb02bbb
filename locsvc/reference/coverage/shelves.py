"""Tallies on disk, apart by a hash of what they are of: each shelf is small enough to be worked on in memory."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from locsvc.errors import DatasetError
from locsvc.reference.coverage.tallies import MAX_EPOCH, SCAN, Tallies

Ints = npt.NDArray[np.int64]

SHELF_BITS = 5
SHELVES = 1 << SHELF_BITS
# Fibonacci hashing: 2^64 over the golden ratio, as a signed number.
_SPREAD = np.int64(-7046029254386353131)
_ORDERED = ("what", "where")
# Tallies that are gathered in memory before they are added up and put on the shelves: some 130 bytes each.
GATHERED = 1 << 19


def shelf_of(tallies: Tallies) -> Ints:
    """Shelf of each tally, (n,) int64: cells by their identity, scans by their place."""
    key = np.where(tallies.kind == SCAN, tallies.place, tallies.what)
    result: Ints = ((key * _SPREAD).view(np.uint64) >> np.uint64(64 - SHELF_BITS)).astype(np.int64)
    return result


def _narrow(column: Ints) -> npt.NDArray[Any]:
    """The column in the narrowest type that holds it."""
    least, most = int(column.min(initial=0)), int(column.max(initial=0))
    for kind in (np.int8, np.int16, np.int32):
        if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max:
            return column.astype(kind)
    return column


def save(file: Path, tallies: Tallies, *, packed: bool) -> None:
    """Write tallies, which are sorted; `packed` to a fourth of their size."""
    columns = {name: _steps(getattr(tallies, name)) for name in _ORDERED} | {"marks": tallies.marks}
    columns |= {f"sums{i}": column for i, column in enumerate(tallies.sums.T)}
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    # As `numpy.savez` does it, but quicker: most of what a tally says is that it says nothing more.
    with zipfile.ZipFile(file, "w", how, compresslevel=1) as archive:
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as opened:
                np.lib.format.write_array(opened, _narrow(column), allow_pickle=False)


def load(file: Path) -> Tallies:
    """Tallies as they were written.

    Raises
    ------
    DatasetError
        The file cannot be read.
    """
    try:
        # Opened here, as numpy leaves what is no archive open.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as held:
            width = sum(name.startswith("sums") for name in held.files)
            sums = np.stack([held[f"sums{i}"].astype(np.int64) for i in range(width)], axis=1)
            what, where = (np.cumsum(held[name].astype(np.int64)) for name in _ORDERED)
            return Tallies(what, where, held["marks"].astype(np.int64), sums)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DatasetError(f"{file} cannot be read ({error}); learn anew with --fresh") from error


def _steps(column: Ints) -> Ints:
    """Differences from number to number, from 0 on: of sorted ones most are small."""
    return np.diff(column, prepend=np.int64(0))


class Gathering:
    """Tallies as they come, added up now and then and put on shelves in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: list[Tallies] = []
        self._count = 0
        self._files: list[list[Path]] = [[] for _ in range(SHELVES)]
        self.newest_epoch = 0

    def add(self, tallies: Tallies) -> None:
        """Take some tallies."""
        if len(tallies):
            self.newest_epoch = max(self.newest_epoch, int(tallies.epoch.max()))
            self._held.append(tallies)
            self._count += len(tallies)
        if self._count >= GATHERED:
            self._put()

    def _put(self) -> None:
        added = Tallies.join(self._held).added()
        self._held, self._count = [], 0
        shelf = shelf_of(added)
        for number in np.unique(shelf).tolist():
            file = self._directory / f"run-{number}-{len(self._files[number])}.npz"
            save(file, added.of(shelf == number), packed=False)
            self._files[number].append(file)

    def taken(self, shelf: int) -> Tallies:
        """All tallies of a shelf, each once; they are gone from the directory."""
        if self._held:
            self._put()
        files = self._files[shelf]
        joined = Tallies.join([load(file) for file in files])
        for file in files:
            file.unlink()
        self._files[shelf] = []
        return joined.added()


def faded(epochs: Ints, newest: int, epochs_per_half: float, untimed: float) -> npt.NDArray[np.float64]:
    """What a report of an epoch counts, (n,) float64: half after each half-life, `untimed` if its time is not known.

    >>> faded(np.array([0, 5, 17]), 17, 12.0, 0.5).tolist()
    [0.5, 0.5, 1.0]
    """
    weight = 0.5 ** ((newest - np.minimum(epochs, newest)) / epochs_per_half)
    return np.where(epochs == 0, untimed, weight)


def without_old(tallies: Tallies, newest: int, epochs_per_half: float, least: float) -> Tallies:
    """The tallies that still count `least` or more."""
    weight = faded(np.arange(MAX_EPOCH + 1), newest, epochs_per_half, 1.0)
    kept = weight[tallies.epoch] >= least
    return tallies if kept.all() else tallies.of(kept)
