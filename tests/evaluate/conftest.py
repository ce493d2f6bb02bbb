"""Simulated histories: fixes, and cells heard round masts, with the truths that belong to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from locsvc.evaluate.simulate import draw_offsets
from locsvc.geo import destination
from locsvc.resolver import Resolver
from locsvc.tables.evidence import table_of
from locsvc.tables.rows import read_rows

DAY_S = 86_400
START_S = 1_700_000_000


def fixes(n: int, seed: int) -> pa.Table:
    """Fixes of 30 to 300 m, some of Wi-Fi, without truths."""
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "latitude": rng.uniform(-50, 60, n),
            "longitude": rng.uniform(-179, 179, n),
            "radius_m": np.exp(rng.uniform(np.log(30), np.log(300), n)),
            "reported_confidence": np.full(n, 0.68),
            "method": rng.choice(["gps", "wifi"], n).tolist(),
        }
    )


def with_drawn_truths(resolver: Resolver, table: pa.Table, seed: int) -> pa.Table:
    """The table with truths drawn from what the service believes of each of its fixes."""
    rng, n = np.random.default_rng(seed), len(table)
    rows = read_rows(table.combine_chunks().to_batches()[0])
    answered = resolver.answer(table_of(rows, np.arange(n), n), np.full(n, 0.9), np.full(n, np.nan))
    assert answered.located is not None
    d = answered.located.posterior.densities
    east, north = draw_offsets(rng, d)
    away, bearing = np.hypot(east, north), np.degrees(np.arctan2(east, north))
    lat, lng = destination(d.latitude_deg, d.longitude_deg, bearing, away)
    return table.append_column("truth_lat", pa.array(lat)).append_column("truth_lon", pa.array(lng))


def drive(days: int, rows: int, seed: int, *, fresh_cells: bool = False) -> pa.Table:
    """Lone LTE cells on a street of 2 km, heard near their masts; each day other cells where `fresh_cells`."""
    rng = np.random.default_rng(seed)
    n = days * rows
    day = np.repeat(np.arange(days), rows)
    along = rng.uniform(0, 2_000, n)
    near = np.clip(np.round(along / 400 + rng.normal(0, 0.3, n)), 0, 5).astype(np.int64)
    lat, lng = destination(np.full(n, 52.0), np.full(n, 11.0), 90.0, along)
    return pa.table(
        {
            "session": [f"day-{d}" for d in day],
            "t": START_S + day * DAY_S + np.tile(np.arange(rows) * 10, days),
            "truth_lat": lat,
            "truth_lon": lng,
            "truth_accuracy_m": np.full(n, 5.0),
            "radio": ["LTE"] * n,
            "mcc": ["001"] * n,
            "mnc": ["01"] * n,
            "area": np.full(n, 7),
            "cell": 256 * (10 + near) + 1 + (1_000_000 * (1 + day) if fresh_cells else 0),
            "signal_dbm": np.full(n, -90.0),
        }
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Where a test's table is written to."""
    return tmp_path / "table.parquet"


def write(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path)
    return path
