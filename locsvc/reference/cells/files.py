"""Files of a cell dataset, and how they are opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from locsvc.errors import DatasetError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

# Rows, in the order of their cell keys (within a key by area).
KEY = "key"
PLACE = "place"
PCI = "pci"
ARFCN = "arfcn"
AZIMUTH = "azimuth_deg"
# Members of groups as circles: keys ascending, and (g, 5) float32.
LEVELS = ("site", "area", "network", "country")
# Rows by area: starts (g + 1) int64 into the row numbers (n,) int32.
AREA_START, AREA_ROWS = "area_start", "area_rows"
# Rows by physical key, and their positions (m, 2) int32.
PHYSICAL_KEY, PHYSICAL_ROWS, PHYSICAL_PLACE = "physical_key", "physical_rows", "physical_place"
# Rows by H3 tile: tile (t,) int64, box (t, 4) float32 of what is in it, starts (t + 1) int64 into row numbers.
TILE, TILE_BOX, TILE_START, TILE_ROWS = "tile", "tile_box", "tile_start", "tile_rows"


def group_key(level: str) -> str:
    """Name of the file with the keys of a level's groups."""
    return f"{level}_key"


def group_circle(level: str) -> str:
    """Name of the file with the circles of a level's groups."""
    return f"{level}_circle"


def save(directory: Path, name: str, column: npt.NDArray[Any]) -> None:
    """Write one column."""
    np.save(directory / f"{name}.npy", column, allow_pickle=False)


def load(directory: Path, name: str) -> npt.NDArray[Any]:
    """One column, mapped into memory, read-only.

    Raises
    ------
    DatasetError
        The file is missing or not a column.
    """
    file = directory / f"{name}.npy"
    try:
        # A plain array over the same memory: indexing a memmap object costs several times as much.
        return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{file} cannot be read ({error}); import this dataset again") from error


def load_optional(directory: Path, name: str) -> npt.NDArray[Any] | None:
    """One column, or None when the source had nothing for it.

    Raises
    ------
    DatasetError
        The file is not a column.
    """
    return load(directory, name) if (directory / f"{name}.npy").exists() else None
