"""Drives made up for learning, in a network reserved for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from locsvc.reference.coverage import CoverageStore
from locsvc.reference.snapshot import Snapshot

DAY_S = 86_400
START_S = 1_700_000_000


def drives(rows: int, rng: np.random.Generator, days: int = 500) -> pa.Table:
    """Rows of some sessions round a town, with neighbours; some say little, some nothing."""
    cell = rng.integers(1, 40, rows)
    away = rng.normal(0, 0.004, (rows, 2))
    return pa.table(
        {
            "session": [None if k == 0 else f"drive-{k}" for k in rng.integers(0, 30, rows)],
            "t": pa.array(START_S + rng.integers(0, days * DAY_S, rows)).cast(pa.timestamp("s", "UTC")),
            "truth_lat": 54.98 + cell * 0.001 + away[:, 0],
            "truth_lon": 2.48 + away[:, 1],
            "truth_accuracy_m": rng.choice([np.nan, 3.0, 30.0, 500.0], rows),
            "radio": rng.choice(["LTE", "GSM", "NR"], rows, p=[0.8, 0.1, 0.1]),
            "mcc": ["001"] * rows,
            "mnc": ["01"] * rows,
            "area": rng.integers(1, 4, rows),
            "cell": [None if k == 1 else 256 * int(k) for k in cell],
            "pci": cell % 7,
            "arfcn": [6400] * rows,
            "signal_dbm": rng.integers(-120, -60, rows).astype(float),
            "quality_db": rng.choice([np.nan, -9.5, -12.25], rows),
            "timing_advance": pa.array(rng.integers(0, 20, rows)),
            "neighbours": [
                [{"pci": int(p), "arfcn": 6400, "signal_dbm": -100.5} for p in rng.integers(0, 60, k)]
                for k in rng.integers(0, 4, rows)
            ],
        }
    )


def row(**more: object) -> dict[str, object]:
    """A row that can be learned from."""
    return {
        "t": "2024-03-01T12:00:00Z", "truth_lat": 55.0, "truth_lon": 2.5, "radio": "LTE", "mcc": "001", "mnc": "01",
        "area": 7, "cell": 4242,
    } | more  # fmt: skip


def written(path: Path, rows: list[dict[str, object]] | pa.Table) -> Path:
    """A table in a file."""
    if isinstance(rows, list):
        names = dict.fromkeys(name for each in rows for name in each)
        rows = pa.Table.from_pylist([dict.fromkeys(names) | each for each in rows])
    pq.write_table(rows, path)
    return path


def coverage(data: Path) -> CoverageStore:
    """The coverage in force, every byte verified."""
    return CoverageStore.open(Snapshot.open(data).entries("coverage"))


def version(data: Path) -> str:
    """What the version of the coverage is: a digest of all its files."""
    return next(d.version for d in Snapshot.open(data).datasets if d.dataset == "coverage")
