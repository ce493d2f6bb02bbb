"""One imported cell table, mapped into memory: find rows and groups of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import rtree.index

from locsvc import geo
from locsvc.model import Radio
from locsvc.reference.cells import files, keys
from locsvc.reference.cells.channels import matching_cells
from locsvc.reference.cells.columns import LATITUDE, LONGITUDE, PER_DEGREE
from locsvc.reference.cells.finding import first_at_least, row_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from locsvc.reference.snapshot import Entry

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NOTHING: Ints = np.zeros(0, np.int64)
_NO_AZIMUTHS = np.zeros(0, np.float32)
_NO_CHANNELS = np.zeros(0, np.int32)
# As the files' columns are: kernels are compiled for each kind of array that they meet.
_NO_AZIMUTHS.flags.writeable = _NO_CHANNELS.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Level:
    """Groups of cells of one kind: their keys, ascending, and their circles (see `circles`)."""

    key: Ints
    circle: npt.NDArray[np.float32]

    def find(self, key: int) -> int:
        """Number of the group of a key, -1 where there is none."""
        at = first_at_least(self.key, key)
        return at if at < len(self.key) and self.key[at] == key else keys.UNKNOWN


class CellTable:
    """Rows of one import in the order of their keys, with the indexes that were made at import."""

    def __init__(self, entry: Entry) -> None:
        path = entry.path
        self.name = entry.name
        self.masts = entry.extra.get("masts") is True
        self.built_at = entry.version.built_at or 0.0
        self.key: Ints = files.load(path, files.KEY)
        self.place: npt.NDArray[np.int32] = files.load(path, files.PLACE)
        self.pci: npt.NDArray[np.int16] | None = files.load_optional(path, files.PCI)
        self.arfcn: npt.NDArray[np.int32] | None = files.load_optional(path, files.ARFCN)
        self.azimuth_deg: npt.NDArray[np.float32] | None = files.load_optional(path, files.AZIMUTH)
        self.levels = {
            level: Level(files.load(path, files.group_key(level)), files.load(path, files.group_circle(level)))
            for level in files.LEVELS
        }
        self._area_start: Ints = files.load(path, files.AREA_START)
        self._area_rows: npt.NDArray[np.int32] = files.load(path, files.AREA_ROWS)
        # Kernels take arrays only: a column that is not there has no elements.
        self.azimuths = _NO_AZIMUTHS if self.azimuth_deg is None else self.azimuth_deg
        self.channels = _NO_CHANNELS if self.arfcn is None else self.arfcn
        self.has_channels = self.pci is not None
        if self.has_channels:
            self.physical_key: Ints = files.load(path, files.PHYSICAL_KEY)
            self.physical_rows: npt.NDArray[np.int32] = files.load(path, files.PHYSICAL_ROWS)
            self.physical_place: npt.NDArray[np.int32] = files.load(path, files.PHYSICAL_PLACE)
        self._tile_box: Floats = files.load(path, files.TILE_BOX)
        self._tile_start: Ints = files.load(path, files.TILE_START)
        self._tile_rows: npt.NDArray[np.int32] = files.load(path, files.TILE_ROWS)
        self._making_tree = threading.Lock()

    def find(self, key: int, area: int) -> int:
        """Row of a cell key, -1 where there is none; see `finding.row_of` for what its area has to be."""
        return row_of(self.key, self.place, key, area)

    def rows_of_key(self, key: int) -> Ints:
        """All rows of a cell key."""
        return np.arange(self.key.searchsorted(key), self.key.searchsorted(key + 1))

    def rows_of_site(self, cell_key: int) -> Ints:
        """All rows at the eNodeB or gNodeB of an LTE or NR cell, none for other radios."""
        radio = keys.unpack_cell_key(cell_key)[0]
        if radio < Radio.LTE:
            return NOTHING
        bits = keys.LTE_CELL_BITS if radio == Radio.LTE else keys.NR_CELL_BITS
        first = cell_key >> bits << bits
        return np.arange(self.key.searchsorted(first), self.key.searchsorted(first + (1 << bits)))

    def rows_of_area(self, area_key: int) -> Ints:
        """All rows of a location or tracking area."""
        group = self.levels["area"].find(area_key)
        if group < 0:
            return NOTHING
        return self._area_rows[self._area_start[group] : self._area_start[group + 1]].astype(np.int64)

    def near(
        self, network: int, pci: int, arfcn: int, latitude_deg: float, longitude_deg: float
    ) -> tuple[Ints, Floats]:
        """Rows with the physical identity within 25 km of the place and their distances in metres, nearest first.

        A channel that the query or the table does not know matches any.
        """
        if not self.has_channels:
            return NOTHING, np.zeros(0)
        row, metres = matching_cells(
            network,
            pci,
            arfcn,
            latitude_deg,
            longitude_deg,
            self.physical_key,
            self.physical_rows,
            self.physical_place,
            self.channels,
        )
        order = np.argsort(metres, kind="stable")
        return row[order], metres[order]

    def nearest(self, latitude_deg: float, longitude_deg: float, limit: int) -> tuple[Ints, Floats]:
        """The rows nearest to the place and their distances in metres, nearest first."""
        limit = min(limit, len(self.key))
        if limit <= 0:
            return NOTHING, np.zeros(0)
        # Boxes that are near in degrees give some rows, and their distance a bound; boxes within the bound all others.
        tiles: list[int] = []
        held = 0
        with self._making_tree:
            tree = self._tree
            wanted = 4
            while held < limit:
                point = (longitude_deg, latitude_deg, longitude_deg, latitude_deg)
                tiles = list(tree.nearest(point, wanted))
                held = sum(int(self._tile_start[t + 1] - self._tile_start[t]) for t in tiles)
                wanted *= 4
            bound_m = self._nearest_of(tiles, latitude_deg, longitude_deg, limit)[1][-1]
            tiles = [t for box in boxes_around(latitude_deg, longitude_deg, bound_m) for t in tree.intersection(box)]
        return self._nearest_of(sorted(set(tiles)), latitude_deg, longitude_deg, limit)

    def _nearest_of(
        self, tiles: list[int], latitude_deg: float, longitude_deg: float, limit: int
    ) -> tuple[Ints, Floats]:
        spans = [self._tile_rows[self._tile_start[t] : self._tile_start[t + 1]] for t in tiles]
        rows = np.concatenate(spans).astype(np.int64)
        place = self.place[rows]
        metres = geo.distance_m(
            latitude_deg, longitude_deg, place[:, LATITUDE] / PER_DEGREE, place[:, LONGITUDE] / PER_DEGREE
        )
        order = np.lexsort((rows, metres))[:limit]
        return rows[order], metres[order]

    @cached_property
    def _tree(self) -> rtree.index.Index:
        # Made when first asked for: only people ask for nearest cells, and a server should start without it.
        box = self._tile_box
        return rtree.index.Index((np.arange(len(box)), box[:, :2], box[:, 2:]))


def boxes_around(
    latitude_deg: float, longitude_deg: float, radius_m: float
) -> Iterator[tuple[float, float, float, float]]:
    """Boxes (west, south, east, north; degrees) that cover a circle: one, or two at the antimeridian."""
    # One in a hundred more than the sphere says, for the ellipsoid and the 11 mm of a stored position.
    reach = (radius_m * 1.01 + 1) / 111_000.0
    south, north = latitude_deg - reach, latitude_deg + reach
    if south <= -89 or north >= 89:
        yield -180.0, max(south, -90.0), 180.0, min(north, 90.0)
        return
    side = reach / min(np.cos(np.radians(south)), np.cos(np.radians(north)))
    west, east = longitude_deg - side, longitude_deg + side
    if east - west >= 360:
        yield -180.0, south, 180.0, north
        return
    yield max(west, -180.0), south, min(east, 180.0), north
    if west < -180:
        yield west + 360, south, 180.0, north
    if east > 180:
        yield -180.0, south, east - 360, north
