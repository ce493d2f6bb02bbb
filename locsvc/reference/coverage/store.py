"""A coverage dataset, mapped into memory: what was learned of cells and of places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from locsvc.errors import DatasetError
from locsvc.reference.cells.files import load
from locsvc.reference.coverage import files
from locsvc.reference.coverage import tallies as t

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locsvc.reference.snapshot import Entry

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.int32]
Singles = npt.NDArray[np.float32]


class Groups:
    """Learned cells of a site, area or network: keys ascending, members from `start` on, circles (see `files`)."""

    def __init__(self, path: Any, level: str) -> None:  # noqa: ANN401
        key, start, cells, stats = files.group_files(level)
        self.key: Ints = load(path, key)
        self.start: Ints = load(path, start)
        self.cells: Words = load(path, cells)
        self.stats: Singles = load(path, stats)


class CoverageStore:
    """What was learned, as arrays by number; see `files` for the columns of the `_stats` tables."""

    def __init__(self, entry: Entry) -> None:
        path = entry.path
        extra = entry.extra
        self.name = entry.name
        self.resolution = int(str(extra["resolution"]))
        self.half_life_days = float(str(extra["half_life_days"]))
        self.since_s: float | None = _number(extra.get("since_s"))
        self.until_s: float | None = _number(extra.get("until_s"))
        self.reports = int(str(extra["reports"]))
        self.cell_identity: Ints = load(path, files.CELL_IDENTITY)
        self.cell_start: Ints = load(path, files.CELL_START)
        self.cell_split: Ints = load(path, files.CELL_SPLIT)
        self.cell_place: Words = load(path, files.CELL_PLACE)
        self.cell_area: Words = load(path, files.CELL_AREA)
        self.cell_resolution: npt.NDArray[np.int8] = load(path, files.CELL_RESOLUTION)
        self.row_bin: Words = load(path, files.ROW_BIN)
        self.row_stats: Singles = load(path, files.ROW_STATS)
        self.cell_stats: Singles = _with_passes(load(path, files.CELL_STATS), self.row_stats, self.cell_start)
        self.bin_h3: Ints = load(path, files.BIN_H3)
        self.bin_place: Floats = load(path, files.BIN_PLACE)
        self.bin_first: Words = load(path, files.BIN_FIRST)
        self.bin_last: Words = load(path, files.BIN_LAST)
        self.place_start: Ints = load(path, files.PLACE_START)
        self.place_child: Singles = load(path, files.PLACE_CHILD)
        self.heard_cell: Words = load(path, files.HEARD_CELL)
        self.heard_stats: Singles = load(path, files.HEARD_STATS)
        self.scan_start: Ints = load(path, files.SCAN_START)
        self.scan_network: Words = load(path, files.SCAN_NETWORK)
        self.scan_stats: Singles = load(path, files.SCAN_STATS)
        self.link_full: Ints = load(path, files.LINK_FULL)
        self.link_physical: Ints = load(path, files.LINK_PHYSICAL)
        self.link_reports: Singles = load(path, files.LINK_REPORTS)
        self.link_order: Words = load(path, files.LINK_ORDER)
        self.site, self.area, self.network = (Groups(path, level) for level in files.GROUPS)
        # Scans at each place that cells served which are named in full, and by their channel, and one more: known once
        # asked for, 0 before. Zeros take no memory until they are written to.
        self.served: Floats = np.zeros((len(self.place_start) - 1, 2))
        self.place_first = len(self.bin_h3) - (len(self.place_start) - 1)

    @staticmethod
    def open(entries: Sequence[Entry]) -> CoverageStore:
        """A store over the dataset; of several the last.

        Raises
        ------
        DatasetError
            A file is missing or damaged; it is named.
        """
        entry = entries[-1]
        try:
            return CoverageStore(entry)
        except (KeyError, ValueError, TypeError) as error:
            raise DatasetError(f"{entry.path} is no coverage dataset ({error}); learn anew with --fresh") from error

    def find(self, identity: Ints) -> tuple[Ints, Ints]:
        """First cell number and number of cells of identities, (n,) int64 each; none of an unknown one."""
        first = np.searchsorted(self.cell_identity, identity)
        return first, np.searchsorted(self.cell_identity, identity, side="right") - first

    @property
    def places(self) -> int:
        """How many places there are."""
        return len(self.place_start) - 1

    @property
    def newest(self) -> float | None:
        """Unix seconds of the newest report."""
        return self.until_s


def _with_passes(stats: Singles, row_stats: Singles, cell_start: Ints) -> Singles:
    """The columns of cells; where passes were not counted yet, no fewer than one place was visited."""
    if stats.shape[1] > files.C_PASSES:
        return stats
    made = np.zeros((len(stats), files.CELL_WIDTH), np.float32)
    made[:, : stats.shape[1]] = stats
    if len(stats):
        made[:, files.C_PASSES] = np.maximum.reduceat(row_stats[:, files.R_VISITS], cell_start[:-1])
    # Kernels are compiled for arrays that are only read.
    made.setflags(write=False)
    return made


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


__all__ = ["CoverageStore", "Groups", "t"]
