"""Columns of an address dataset on disk: numbers as numpy files, texts as a table of distinct values and ids."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from locsvc.errors import DatasetError
from locsvc.model import CivicAddress

_Scalar = TypeVar("_Scalar", bound=np.generic)

CIVIC_FIELDS = tuple(f.name for f in fields(CivicAddress))


class TextsInWork:
    """A text column while rows are added: an id for each row, distinct texts in the order in which they came."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {"": 0}
        self._ids = array("i")

    def add(self, text: str) -> None:
        """Add one row."""
        self._ids.append(self._number.setdefault(text, len(self._number)))

    def save(self, directory: Path, name: str, order: npt.NDArray[np.int64]) -> None:
        """Write the column with its rows in `order`; a column of empty texts is not written."""
        if len(self._number) == 1:
            return
        blobs = [text.encode(errors="replace") for text in self._number]
        np.save(directory / f"{name}.ids.npy", np.frombuffer(self._ids, dtype=np.int32)[order])
        np.save(directory / f"{name}.ends.npy", np.cumsum([len(b) for b in blobs], dtype=np.int64))
        np.save(directory / f"{name}.text.npy", np.frombuffer(b"".join(blobs), dtype=np.uint8))


# Texts of a column that are kept decoded.
_KEPT_TEXTS = 16_384


class Texts:
    """A text column, memory-mapped."""

    def __init__(self, directory: Path, name: str) -> None:
        self.ids = load(directory / f"{name}.ids.npy", np.int32)
        self._ends = load(directory / f"{name}.ends.npy", np.int64)
        self._text = load(directory / f"{name}.text.npy", np.uint8)
        # Few texts are asked for again and again: streets and towns.
        self._known: dict[int, str] = {0: ""}

    def __getitem__(self, row: int) -> str:
        """The text of a row."""
        number = int(self.ids[row])
        known = self._known.get(number)
        if known is None:
            known = bytes(self._text[self._ends[number - 1] : self._ends[number]]).decode()
            if len(self._known) < _KEPT_TEXTS:
                self._known[number] = known
        return known


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows by a key: `rows[starts[i]:starts[i + 1]]` have `keys[i]`; keys ascend."""

    keys: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]

    @staticmethod
    def of(key: npt.NDArray[np.int64], row: npt.NDArray[np.int64] | None = None) -> Groups:
        """The groups of rows with the same key; rows with key 0 are in none.

        `row` tells the row of each key, when a row has several or none; otherwise each row has one.

        >>> groups = Groups.of(np.array([7, 0, 5, 7]))
        >>> groups.keys.tolist(), groups.starts.tolist(), groups.rows.tolist()
        ([5, 7], [0, 1, 3], [2, 0, 3])
        """
        rows = np.arange(len(key)) if row is None else row
        order = np.lexsort((rows, key))
        order = order[key[order] != 0]
        keys, starts = np.unique(key[order], return_index=True)
        return Groups(keys, np.append(starts, len(order)).astype(np.int64), rows[order].astype(np.int32))

    def find(self, key: int) -> npt.NDArray[np.int32]:
        """The rows with `key`, `(k,) int32`, ascending."""
        index = int(np.searchsorted(self.keys, key))
        if index == len(self.keys) or self.keys[index] != key:
            return self.rows[:0]
        return self.rows[self.starts[index] : self.starts[index + 1]]

    def save(self, directory: Path, name: str) -> None:
        """Write the groups."""
        np.save(directory / f"{name}.keys.npy", self.keys)
        np.save(directory / f"{name}.starts.npy", self.starts)
        np.save(directory / f"{name}.rows.npy", self.rows)

    @staticmethod
    def open(directory: Path, name: str) -> Groups:
        """The groups, memory-mapped.

        Raises
        ------
        DatasetError
            A file of them cannot be read.
        """
        return Groups(
            load(directory / f"{name}.keys.npy", np.int64),
            load(directory / f"{name}.starts.npy", np.int64),
            load(directory / f"{name}.rows.npy", np.int32),
        )


def load(file: Path, dtype: type[_Scalar]) -> npt.NDArray[_Scalar]:
    """The array in a file, memory-mapped and read-only.

    Raises
    ------
    DatasetError
        The file cannot be read or holds another type; it is named.
    """
    try:
        read = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{file} cannot be read ({error}); import this dataset again") from error
    if read.dtype != dtype:
        raise DatasetError(f"{file} holds {read.dtype}, not {np.dtype(dtype)}; import this dataset again")
    # As an array and not as numpy's memmap object, which costs a microsecond more at each access.
    return np.asarray(read)


def civic_address(texts: Sequence[tuple[str, Texts]], row: int) -> CivicAddress:
    """The address of a row from its columns."""
    return CivicAddress(**{name: column[row] for name, column in texts})
