"""A town of one's own for tests of learned coverage: streets, masts, days of reports, and what the core makes of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from locsvc.fusion.cell_claims import CellClaims, Histograms, of_cells
from locsvc.fusion.gathering import gather
from locsvc.fusion.grid import locate
from locsvc.fusion.probe import probe
from locsvc.fusion.region import answer
from locsvc.geo import destination, distance_m
from locsvc.learning.learn import Options, learn
from locsvc.reference.cells import CellQueries
from locsvc.reference.coverage import CoverageStore
from locsvc.reference.store import Reference
from locsvc.resolver.coverage_cells import LoneCells, lone_cells

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

CENTRE = (52.2, -1.6)
# Four sites, three cells each; the cells of a site are `256 * site + 1` to `+ 3`.
SITES_M = np.array([[-1_500.0, -900.0], [1_400.0, -1_100.0], [-200.0, 1_500.0], [1_900.0, 1_600.0]])
FIRST_SITE = 1_000
LTE, MCC, MNC, AREA = 3, 1, 1, 77
TIMING_STEP_M = 78.071
BLOCK_M = 150.0
DAY_S = 86_400.0
STARTED_S = 1_750_000_000.0


@dataclass(slots=True)
class Reports:
    """Reports of phones, (n,): metres east and north of the town's centre, cell, level, quality, timing advance, day."""

    east_m: Floats
    north_m: Floats
    cell: Ints
    level_dbm: Floats
    quality_db: Floats
    timing_advance: Floats
    day: Ints

    def of(self, chosen: npt.NDArray[np.bool_] | Ints) -> Reports:
        """Some of them."""
        return Reports(*(getattr(self, name)[chosen] for name in Reports.__slots__))

    def places(self) -> tuple[Floats, Floats]:
        """Latitude and longitude, degrees."""
        bearing = np.degrees(np.arctan2(self.east_m, self.north_m))
        return destination(*CENTRE, bearing, np.hypot(self.east_m, self.north_m))

    def queries(self) -> CellQueries:
        """The cells as they are looked up."""
        n = len(self.cell)
        nowhere, unknown = np.full(n, np.nan), np.full(n, -1, np.int32)
        network = np.full(n, LTE, np.int8), np.full(n, MCC, np.int16), np.full(n, MNC, np.int16)
        return CellQueries(*network, np.full(n, AREA, np.int32), self.cell, unknown, unknown, nowhere, nowhere)


def drive(rng: np.random.Generator, reports: int, days: int, *, noise_db: float = 4.0) -> Reports:
    """Reports from the streets of a town with blocks of 150 m, spread over days; each is of its strongest cell.

    Shadows stand still: the level at a place is the same every day but for the noise of a phone.
    """
    along, street = rng.uniform(-2_500, 2_500, reports), np.round(rng.uniform(-2_000, 2_000, reports) / BLOCK_M)
    across = rng.random(reports) < 0.5
    east = np.where(across, along, street * BLOCK_M) + rng.normal(0, 4, reports)
    north = np.where(across, street * BLOCK_M, along * 0.8) + rng.normal(0, 4, reports)
    offset = np.stack((east, north), axis=1)[:, None] - SITES_M
    distance = np.hypot(offset[..., 0], offset[..., 1])
    bearing = np.degrees(np.arctan2(offset[..., 0], offset[..., 1]))
    sector = np.floor((bearing % 360) / 120).astype(np.int64)
    # A field of shadows for each cell: a few waves of some hundred metres.
    shadow = np.zeros_like(distance)
    waves = np.random.default_rng(7)
    for _ in range(6):
        k = waves.normal(0, 1 / 90.0, (len(SITES_M), 3, 2))
        phase = waves.uniform(0, 2 * np.pi, (len(SITES_M), 3))
        site = np.arange(len(SITES_M))[None, :]
        at = k[site, sector]
        shadow += 3.0 * np.sin(at[..., 0] * east[:, None] + at[..., 1] * north[:, None] + phase[site, sector])
    level = -60.0 - 37.6 * np.log10(np.maximum(distance, 30) / 100) + shadow
    # Which cell serves is not only a matter of level.
    best = np.argmax(level + rng.normal(0, 3, level.shape), axis=1)
    row = np.arange(reports)
    return Reports(
        east, north, (FIRST_SITE + best) * 256 + 1 + sector[row, best],
        np.round(level[row, best] + rng.normal(0, noise_db, reports)), np.round(rng.normal(-11, 2, reports)),
        np.floor(np.maximum(distance[row, best] + rng.exponential(60, reports), 0) / TIMING_STEP_M),
        rng.integers(0, days, reports),
    )  # fmt: skip


def learned(reports: Reports, data: Path) -> CoverageStore:
    """The coverage that the reports teach."""
    lat, lng = reports.places()
    n = len(lat)
    table = pa.table(
        {
            "session": [f"day {d}, car {c % 40}" for c, d in enumerate(reports.day.tolist())],
            "t": STARTED_S + DAY_S * reports.day + np.arange(n) % 40 * 1_000.0,
            "truth_lat": lat, "truth_lon": lng, "radio": ["LTE"] * n, "mcc": ["001"] * n, "mnc": ["01"] * n,
            "area": np.full(n, AREA), "cell": reports.cell, "signal_dbm": reports.level_dbm,
            "quality_db": reports.quality_db, "timing_advance": reports.timing_advance.astype(np.int32),
        }
    )  # fmt: skip
    file = data.with_suffix(".parquet")
    pq.write_table(table, file)
    learn([file], data, Options())
    coverage = Reference.open(data).coverage
    assert coverage is not None
    return coverage


@dataclass(slots=True)
class Judged:
    """What the core makes of lone cells, (n,) float64."""

    level: Floats
    """Credible level at which the region begins to hold the truth."""
    error_m: Floats
    log_density: Floats
    radius_m: Floats
    found: LoneCells = field(repr=False)


def asked(reports: Reports, store: CoverageStore, p: Parameters, *, age_s: float = 0.0) -> LoneCells:
    """What coverage says of each report's cell."""
    age = np.full(len(reports.cell), age_s)
    measured = (reports.level_dbm, reports.quality_db, reports.timing_advance)
    return lone_cells(reports.queries(), *measured, age, store, p)


def claims_of(found: LoneCells) -> CellClaims:
    """Claims about calls of one cell each."""
    n = len(found.step)
    none, zero = np.full(n, np.nan), np.zeros(n)
    return CellClaims(
        np.arange(n), np.zeros(n, np.int64), found.latitude_deg, found.longitude_deg, zero, zero + 1,
        found.step.astype(np.int64), none, zero + 100, none, none, np.full(n, LTE), np.zeros(n, bool),
        found.learned, found.spread_m,
    )  # fmt: skip


def judged(reports: Reports, store: CoverageStore, p: Parameters, rng: np.random.Generator) -> Judged:
    """The posterior of each report's lone cell, judged by where the report was made."""
    return judged_claims(asked(reports, store, p), reports.places(), p, rng)


def judged_claims(found: LoneCells, truth: tuple[Floats, Floats], p: Parameters, rng: np.random.Generator) -> Judged:
    """Posteriors of what coverage says, judged by latitudes and longitudes of the truths."""
    n = len(found.step)
    densities, _ = gather([of_cells(claims_of(found), p)])
    posterior = locate(densities, n, np.full(n, 0.9))
    answers = answer(posterior, np.full(n, 0.9))
    seen = probe(posterior, *truth)
    error = distance_m(*truth, answers.latitude_deg, answers.longitude_deg)
    return Judged(seen.levels(rng), error, seen.log_density, answers.radius_m, found)


def without(reports: Reports, *names: str) -> Reports:
    """The reports with some measurements left out."""
    return replace(reports, **{name: np.full(len(reports.cell), np.nan) for name in names})


def histogram_of(found: LoneCells, row: int) -> tuple[Ints, Floats]:
    """Bins and masses of one claim."""
    h: Histograms = found.learned
    at = slice(int(h.first[row]), int(h.first[row] + h.bins[row]))
    return h.bin[at], h.mass[at]
