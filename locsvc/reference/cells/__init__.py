"""Cell datasets: what a cell's identity says about the ground."""

from __future__ import annotations

from locsvc.reference.cells.loading import import_cells
from locsvc.reference.cells.store import CellStore, OpenPlaces, open_places
from locsvc.reference.cells.types import CellPlaces, CellQueries, CellRow

__all__ = ["CellPlaces", "CellQueries", "CellRow", "CellStore", "OpenPlaces", "import_cells", "open_places"]
