"""The ground on which calls are made up: cells of a data directory, and how a phone at a place hears them.

Signals follow a path loss, an antenna and shadows as radio standards have them, not the core's densities: which cell
serves a place, and how far from its mast, comes of the network as it stands there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from locsvc.errors import DatasetMissing
from locsvc.geo import bearings_lengths, destination
from locsvc.model import CellMeasurement, LatLng, LineRecord, Radio
from locsvc.reference.cells import CellQueries, CellRow
from locsvc.reference.cells.columns import LATITUDE, LONGITUDE, PER_DEGREE
from locsvc.reference.cells.table import CellTable
from locsvc.reference.snapshot import Snapshot
from locsvc.reference.store import Reference

if TYPE_CHECKING:
    from pathlib import Path

    from locsvc.evaluate.capture.scenario import Scenario

Floats = npt.NDArray[np.float64]

# Rows round a place that are looked at: those of all networks and of both tables of a cell.
_NEAR_ROWS = 128
_LEAST_REACH_M, _MOST_REACH_M = 200.0, 10_000.0
# Nearer to the mast than this a signal grows no more.
_LEAST_DISTANCE_M = 20.0
# A phone tells of neighbours that are at most so much weaker, and of so many.
_HEARD_DB, _MOST_NEIGHBOURS = 20.0, 6
_LEAST_DBM, _MOST_DBM = -113.0, -51.0
# Metres a step of timing advance, as sheet and standards have it (3GPP TS 45.010, TS 36.213); others have none.
_TIMING_STEP_M = {Radio.GSM: 553.463, Radio.LTE: 78.071}
_MOST_ADVANCE = {Radio.GSM: 63, Radio.LTE: 1282}
_LAST_CELL = {Radio.GSM: 2**16 - 2, Radio.UMTS: 2**28 - 2, Radio.LTE: 2**28 - 2, Radio.NR: 2**36 - 2}
# Numbers that are kept for fiction, +44 1632 960xxx (Ofcom): lines of no one else are looked for.
_LINE_NUMBERS = tuple(f"+441632960{i:03d}" for i in range(1000))


@dataclass(frozen=True, slots=True)
class Heard:
    """What a phone hears at a place: cells as measured, the strongest first, and the row of the first."""

    cells: tuple[CellMeasurement, ...]
    row: CellRow
    reach_m: float


class Ground:
    """Cells and lines of a data directory."""

    def __init__(self, reference: Reference, tables: list[CellTable]) -> None:
        if reference.cells is None or not any(len(t.key) for t in tables):
            raise DatasetMissing(
                "calls are made up where cells are: there are none; import some with `locsvc import cells`"
            )
        self._cells = reference.cells
        self._tables = tables
        self._ends = np.cumsum([len(t.key) for t in tables])
        lines = reference.lines
        found = lines.lookup(_LINE_NUMBERS) if lines is not None else []
        self.lines: tuple[LineRecord, ...] = tuple(r for r in found if r is not None and r.position is not None)

    @staticmethod
    def open(data: Path) -> Ground:
        """The ground of a data directory.

        Raises
        ------
        DatasetMissing
            It has no cells.
        DatasetError
            It is damaged.
        """
        entries = Snapshot.open(data, verify=False).entries("cells")
        return Ground(Reference.open(data), [CellTable(entry) for entry in entries])

    def place(self, scenario: Scenario, rng: np.random.Generator) -> tuple[LatLng, CellMeasurement]:
        """A place where a cell, any of all, may be heard, and that cell."""
        row = self._any_row(rng)
        reach_m = reach_of(row, scenario)
        center, radius_m = row.position, reach_m
        if row.azimuth_deg is not None:
            center, radius_m = moved(row.position, row.azimuth_deg, 0.5 * reach_m), 0.6 * reach_m
        elif not row.is_mast:
            # The middle of few observations lies beside the middle of the cell.
            off_m = 0.5 * reach_m / math.sqrt(max(row.samples, 1)) * rng.rayleigh()
            center = moved(row.position, rng.uniform(0, 360), off_m)
        # Even over the disc.
        return moved(center, rng.uniform(0, 360), radius_m * math.sqrt(rng.random())), row.cell

    def _any_row(self, rng: np.random.Generator) -> CellRow:
        number = int(rng.integers(self._ends[-1]))
        at = int(np.searchsorted(self._ends, number, side="right"))
        place = self._tables[at].place[number - int(self._ends[at])]
        latitude, longitude = float(place[LATITUDE]) / PER_DEGREE, float(place[LONGITUDE]) / PER_DEGREE
        return self._cells.nearest(latitude, longitude, 1)[0]

    def heard(self, place: LatLng, like: CellMeasurement, scenario: Scenario, rng: np.random.Generator) -> Heard | None:
        """What a phone of the network and radio of `like` hears at the place; None where there is nothing near."""
        rows: dict[int | None, CellRow] = {}
        for row in self._cells.nearest(place.latitude_deg, place.longitude_deg, _NEAR_ROWS):
            same = (row.cell.radio, row.cell.mcc, row.cell.mnc) == (like.radio, like.mcc, like.mnc)
            if same and (row.cell.cell not in rows or row.is_mast):
                rows[row.cell.cell] = row
        if not rows:
            return None
        known = list(rows.values())
        levels = _levels_dbm(place, known, scenario, rng)
        order = np.argsort(-levels, kind="stable")[: 1 + _MOST_NEIGHBOURS].tolist()
        strongest = known[order[0]]
        cells = [
            dataclasses.replace(known[i].cell, signal_dbm=float(np.clip(round(levels[i]), _LEAST_DBM, _MOST_DBM)))
            for i in order
            if levels[i] >= levels[order[0]] - _HEARD_DB
        ]
        cells[0] = self._timed(cells[0], place, strongest, scenario, rng)
        return Heard(tuple(cells), strongest, reach_of(strongest, scenario))

    def _timed(
        self, cell: CellMeasurement, place: LatLng, row: CellRow, scenario: Scenario, rng: np.random.Generator
    ) -> CellMeasurement:
        """The cell with its timing advance, where the mast is known and the radio has one."""
        step_m = _TIMING_STEP_M.get(cell.radio)
        if step_m is None or not row.is_mast:
            return cell
        _, away_m = _ways(place, [row])
        way_m = float(away_m[0]) + rng.exponential(scenario.number("radio.reflection_m"))
        return dataclasses.replace(cell, timing_advance=min(int(way_m / step_m + 0.5), _MOST_ADVANCE[cell.radio]))

    def unknown_sibling(self, cell: CellMeasurement) -> CellMeasurement | None:
        """A cell of the same site that no table has; None where all names are taken."""
        if cell.cell is None:
            return None
        # Identities end with the radio's bits; the last ones mean "unknown".
        up = 1 if cell.cell + 60 < _LAST_CELL[Radio(cell.radio)] else -1
        for further in range(3, 60):
            sibling = dataclasses.replace(cell, cell=cell.cell + up * further, pci=None, timing_advance=None)
            rows = self._cells.rows(_query(sibling), 1)[0]
            if not rows or rows[0].cell.cell != sibling.cell:
                return sibling
        return None


def _query(cell: CellMeasurement) -> CellQueries:
    unknown, nowhere = np.array([-1], np.int32), np.array([np.nan])
    return CellQueries(
        np.array([cell.radio], np.int8), np.array([int(cell.mcc)], np.int16), np.array([int(cell.mnc)], np.int16),
        np.array([-1 if cell.area is None else cell.area], np.int32), np.array([cell.cell], np.int64),
        unknown, unknown, nowhere, nowhere,
    )  # fmt: skip


def reach_of(row: CellRow, scenario: Scenario) -> float:
    """How far a cell is heard, metres: the range of its row, else what is common for its radio."""
    stated = row.range_m or scenario.number(f"radio.{Radio(row.cell.radio).name.lower()}_reach_m")
    return float(np.clip(stated, _LEAST_REACH_M, _MOST_REACH_M))


def moved(place: LatLng, bearing_deg: float, distance_m: float) -> LatLng:
    """The place that lies so far away in a direction.

    >>> round(moved(LatLng(53.0, -6.0), 0.0, 1112.8).latitude_deg, 4)
    53.01
    """
    latitude, longitude = destination(place.latitude_deg, place.longitude_deg, bearing_deg, distance_m)
    return LatLng(float(latitude), float(longitude))


def _ways(place: LatLng, rows: Sequence[CellRow]) -> tuple[Floats, Floats]:
    """Bearings from the place to the rows, degrees, and their distances, metres; (n,) each."""
    latitudes = np.array([r.position.latitude_deg for r in rows])
    longitudes = np.array([r.position.longitude_deg for r in rows])
    return bearings_lengths(place.latitude_deg, place.longitude_deg, latitudes, longitudes)


def _levels_dbm(place: LatLng, rows: Sequence[CellRow], scenario: Scenario, rng: np.random.Generator) -> Floats:
    """Signals of the cells at the place, (n,) dBm.

    References
    ----------
    3GPP TR 36.942, macro path loss and horizontal antenna pattern.
    """
    bearing_deg, away_m = _ways(place, rows)
    reach_m = np.array([reach_of(row, scenario) for row in rows])
    azimuth_deg = np.array([np.nan if row.azimuth_deg is None else row.azimuth_deg for row in rows])
    # From the mast to the phone; a kilometre does not turn a meridian.
    off_deg = (bearing_deg + 180.0 - azimuth_deg + 180.0) % 360.0 - 180.0
    antenna_db = np.minimum(12.0 * (off_deg / scenario.number("radio.beam_deg")) ** 2, scenario.number("radio.back_db"))
    path_db = scenario.number("radio.slope_db") * np.log10(np.maximum(away_m, _LEAST_DISTANCE_M) / reach_m)
    shadow_db = scenario.number("radio.shadow_db") * rng.standard_normal(len(rows))
    level: Floats = scenario.number("radio.edge_dbm") - path_db - np.nan_to_num(antenna_db) + shadow_db
    return level
