"""How long learning takes, what memory it needs and how many bytes a cell has: ten million rows of a generated town.

Rows as a control room's history has them: a call with its serving cell (full identity, channel and pci), two
neighbours, level, quality, timing advance, time, and a satellite fix as truth. The town is 40 km wide, its cells are
heard some hundreds of metres around their masts, calls come where people are.

    python benchmarks/learn_10m.py [--rows 10000000] [--tables 10] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

CELLS = 20_000
WIDTH_DEG = 0.4
YEAR_S = 365 * 86_400.0
GROUP = 100_000


def table(rows: int, seed: int, masts: np.ndarray) -> pa.Table:
    """A table of calls."""
    dice = np.random.default_rng(seed)
    # Few cells have most of the calls.
    popular = np.random.default_rng(2).permutation(CELLS)
    cell = popular[np.minimum((CELLS * dice.random(rows) ** 2).astype(np.int64), CELLS - 1)]
    lat = masts[cell, 0] + dice.normal(0, 0.0025, rows)
    lng = masts[cell, 1] + dice.normal(0, 0.004, rows)
    far_m = np.hypot((lat - masts[cell, 0]) * 111_000, (lng - masts[cell, 1]) * 68_000)
    near = (cell[:, None] + dice.integers(1, 4, (rows, 2))) % CELLS
    level = np.rint(-60 - 20 * np.log10(1 + far_m / 20) + dice.normal(0, 4, rows))
    structs = pa.StructArray.from_arrays(
        [
            pa.array((near % 504).ravel().astype(np.int32)),
            pa.array(channel(near).ravel()),
            pa.array(np.repeat(level - 8, 2)),
        ],
        ["pci", "arfcn", "signal_dbm"],
    )
    neighbours = pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * rows + 1, 2), pa.int32()), structs)
    seconds = 1.7e9 + dice.random(rows) * YEAR_S
    return pa.table(
        {
            "call_id": pa.array([f"{seed}-{i}" for i in range(rows)]),
            "t": pa.array((seconds * 1e3).astype(np.int64), pa.timestamp("ms", "UTC")),
            "truth_lat": lat,
            "truth_lon": lng,
            "truth_accuracy_m": dice.choice([4.0, 9.0, 20.0, 60.0], rows),
            "radio": np.full(rows, "LTE"),
            "mcc": np.ones(rows, np.int32),
            "mnc": np.ones(rows, np.int32),
            "area": (cell // 200 + 1).astype(np.int32),
            "cell": 256 * (cell // 3 + 1) + cell % 3,
            "pci": (cell % 504).astype(np.int32),
            "arfcn": channel(cell),
            "signal_dbm": level,
            "quality_db": np.rint(-10 - far_m / 200),
            "timing_advance": (far_m / 78).astype(np.int32),
            "neighbours": neighbours,
        }
    )


def channel(cell: np.ndarray) -> np.ndarray:
    """Five carriers: with 504 pcis, a channel and pci are used eight times in the town."""
    return (6400 + cell // 7 % 5).astype(np.int32)


def make(folder: Path, rows: int, tables: int) -> list[Path]:
    """The tables, written once."""
    dice = np.random.default_rng(1)
    masts = np.stack((54.9 + WIDTH_DEG * dice.random(CELLS), 2.3 + 1.6 * WIDTH_DEG * dice.random(CELLS)), axis=1)
    # Cells of neighbouring numbers stand near each other.
    masts = masts[np.lexsort((masts[:, 1], masts[:, 0] // 0.01))]
    files = [folder / f"calls-{rows}-{i}.parquet" for i in range(tables)]
    for number, file in enumerate(files):
        if not file.exists():
            pq.write_table(table(rows // tables, number, masts), file, row_group_size=GROUP)
    return files


def watch(process: psutil.Process, done: threading.Event, peak: list[int]) -> None:
    """Greatest memory of a process that is its own and not a file's, bytes."""
    while not done.wait(0.1):
        try:
            memory = process.memory_info()
        except psutil.NoSuchProcess:
            return
        peak[0] = max(peak[0], memory.rss - memory.shared)


def learn(files: list[Path], data: Path) -> dict[str, object]:
    """What `locsvc learn` says, and what it took."""
    command = [sys.executable, "-m", "locsvc", "learn", *map(str, files), "--data", str(data), "--json"]
    began_s = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    done, peak = threading.Event(), [0]
    threading.Thread(target=watch, args=(psutil.Process(process.pid), done, peak)).start()
    out, _ = process.communicate()
    done.set()
    if process.returncode:
        raise SystemExit(process.returncode)
    told: dict[str, object] = json.loads(out)
    return told | {
        "wall_s": round(time.monotonic() - began_s, 1),
        "own_memory_mb": round(peak[0] / 1e6),
        "memory_with_files_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3),
    }


def sizes(data: Path, cells: int) -> dict[str, float]:
    """Bytes a cell: all, and of these those that only the next learning reads."""
    snapshot = data / "snapshots" / (data / "CURRENT").read_text().strip() / "coverage" / "learned"
    every = {p.name: p.stat().st_size for p in snapshot.iterdir()}
    counted = sum(size for name, size in every.items() if name.startswith("tallies"))
    return {"bytes_a_cell": round(sum(every.values()) / cells), "of_these_tallies": round(counted / cells)}


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--tables", type=int, default=10)
    options.add_argument("--folder", type=Path)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        files = make(folder, given.rows, given.tables)
        print(f"{given.rows:,} rows in {len(files)} tables; load {os.getloadavg()[0]:.1f}", flush=True)
        told = learn(files, Path(temporary) / "data")
        coverage = told["coverage"]
        assert isinstance(coverage, dict)
        print(json.dumps(told | sizes(Path(temporary) / "data", int(coverage["cells"])), indent=1), flush=True)


if __name__ == "__main__":
    main()
