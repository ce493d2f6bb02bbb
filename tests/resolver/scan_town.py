"""A town whose phones list all cells they hear: scans of serving cell and neighbours, from streets, day after day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from locsvc.geo import destination
from locsvc.learning.learn import Options, learn
from locsvc.model import Call, CellMeasurement, CellScan, Evidence, Radio
from locsvc.reference.store import Reference

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

CENTRE = (52.2, -1.6)
BLOCK_M, HALF_M = 120.0, 600.0
SITES_M = np.array([[-700.0, -500.0], [650.0, -600.0], [-100.0, 750.0], [800.0, 700.0], [-900.0, 400.0]])
CHANNELS = (1300, 6200)
STARTED_S, DAY_S = 1_750_000_000.0, 86_400.0
LEAST_DBM = -104.0


@dataclass(slots=True)
class Scans:
    """Scans, (n,): where and on which day, and the levels (n, cells) of all cells, NaN where not heard."""

    latitude_deg: Floats
    longitude_deg: Floats
    day: Ints
    level_dbm: Floats

    def of(self, chosen: npt.NDArray[np.bool_] | Ints) -> Scans:
        """Some of them."""
        return Scans(*(getattr(self, name)[chosen] for name in Scans.__slots__))


def drive(rng: np.random.Generator, scans: int, days: int, *, noise_db: float = 3.0, offset_db: float = 3.0) -> Scans:
    """Scans from the streets of a town with blocks of 120 m; each scan has an offset common to all its levels."""
    along = rng.uniform(-HALF_M, HALF_M, scans)
    street = np.round(rng.uniform(-HALF_M, HALF_M, scans) / BLOCK_M) * BLOCK_M
    across = rng.random(scans) < 0.5
    east, north = np.where(across, along, street), np.where(across, street, along)
    site = np.repeat(np.arange(len(SITES_M)), 3 * len(CHANNELS))
    sector = np.tile(np.repeat(np.arange(3), len(CHANNELS)), len(SITES_M))
    off = np.stack((east, north), axis=1)[:, None] - SITES_M[site]
    distance = np.hypot(off[..., 0], off[..., 1])
    bearing = np.degrees(np.arctan2(off[..., 0], off[..., 1]))
    turned = (bearing - 120.0 * sector + 180.0) % 360.0 - 180.0
    level = -62.0 - 37.6 * np.log10(np.maximum(distance, 30.0) / 100.0) - np.minimum(12.0 * (turned / 65.0) ** 2, 20.0)
    waves = np.random.default_rng(5)
    for _ in range(5):
        k, phase = waves.normal(0, 1 / 80.0, (len(site), 2)), waves.uniform(0, 2 * np.pi, len(site))
        level += 3.5 * np.sin(k[:, 0] * east[:, None] + k[:, 1] * north[:, None] + phase)
    level += rng.normal(0, offset_db, scans)[:, None] + rng.normal(0, noise_db, level.shape)
    level[level < LEAST_DBM] = np.nan
    bearing_deg = np.degrees(np.arctan2(east, north))
    lat, lng = destination(*CENTRE, bearing_deg, np.hypot(east, north))
    heard = ~np.isnan(level)
    return Scans(lat, lng, rng.integers(0, days, scans), level).of(heard.sum(axis=1) > 1)


def cell(number: int) -> dict[str, int]:
    """Channel and physical identity of a cell."""
    return {"arfcn": CHANNELS[number % len(CHANNELS)], "pci": 20 + number // len(CHANNELS)}


def learned(scans: Scans, data: Path) -> Reference:
    """The coverage that the scans teach, with nothing else."""
    n = len(scans.day)
    rows: list[dict[str, object]] = []
    for i in range(n):
        heard = np.flatnonzero(~np.isnan(scans.level_dbm[i]))
        order = heard[np.argsort(-scans.level_dbm[i, heard])].tolist()
        listed = [{**cell(c), "signal_dbm": float(scans.level_dbm[i, c]), "quality_db": None} for c in order]
        day = int(scans.day[i])
        rows.append(
            {
                "session": f"day {day}, car {i % 30}", "t": STARTED_S + DAY_S * day + 1000.0 * (i % 30),
                "truth_lat": scans.latitude_deg[i], "truth_lon": scans.longitude_deg[i], "radio": "LTE",
                "mcc": "001", "mnc": "01", **listed[0], "neighbours": listed[1:],
            }
        )  # fmt: skip
    file = data.with_suffix(".parquet")
    pq.write_table(pa.Table.from_pylist(rows), file)
    learn([file], data, Options())
    return Reference.open(data)


def calls(scans: Scans, *, gain_db: float = 0.0, dropped: float = 0.0, seed: int = 1) -> list[Call]:
    """The scans as calls of a phone with another gain, which lists only some of its neighbours."""
    rng = np.random.default_rng(seed)
    made = []
    for levels in scans.level_dbm:
        heard = np.flatnonzero(~np.isnan(levels))
        order = heard[np.argsort(-levels[heard])].tolist()
        kept = [c for k, c in enumerate(order) if k == 0 or rng.random() >= dropped]
        serving, *others = (
            CellMeasurement(Radio.LTE, "001", "01", None, None, cell(c)["pci"], cell(c)["arfcn"], levels[c] + gain_db)
            for c in kept
        )
        made.append(Call(evidence=(Evidence(CellScan(serving, tuple(others))),)))
    return made
