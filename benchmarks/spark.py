"""The Spark engine beside the local one: the same generated rows, time, speed-up, and whether the answers are equal.

    python benchmarks/spark.py [--rows 1000000]

A row is a fix and a calling number whose line is known; each tenth is the second of its call. Every run is a command of
its own: times are from its start to its end, Java's and Spark's start with them, and without these beside.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.batch import table_for, write_tables

RUNS = (
    ("local, 1 process", ("--workers", "1")),
    ("local, 2 processes", ("--workers", "2")),
    ("local-cluster[1,1,1024]", ("--engine", "spark", "--master", "local-cluster[1,1,1024]")),
    ("local-cluster[2,1,1024]", ("--engine", "spark", "--master", "local-cluster[2,1,1024]")),
)


def run(source: Path, target: Path, data: Path, options: tuple[str, ...]) -> float:
    """Seconds that a command took."""
    command = [sys.executable, "-m", "locsvc", "batch", str(source), str(target), "--data", str(data), *options]
    began_s = time.monotonic()
    subprocess.run([*command, "--summary", f"{target}.json"], check=True, capture_output=True)
    return time.monotonic() - began_s


def counts(target: Path) -> dict[str, object]:
    """What a run's summary has counted."""
    told = json.loads(Path(f"{target}.json").read_text())
    return {k: v for k, v in told.items() if k not in {"seconds", "calls_per_s"}}


def same(one: Path, other: Path) -> bool:
    """Whether two outputs have the same rows in the same order, to the last bit."""
    ours, theirs = (pq.ParquetFile(p) for p in (one, other))
    equal = ours.schema_arrow.equals(theirs.schema_arrow) and ours.metadata.num_rows == theirs.metadata.num_rows
    names = ours.schema_arrow.names
    return equal and all(pq.read_table(one, columns=[n]).equals(pq.read_table(other, columns=[n])) for n in names)


def main() -> None:
    """Run the local engine and Spark with one and two of what works."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--folder", type=Path, help="where the tables are made; must hold some GB")
    given = options.parse_args()
    rng = np.random.default_rng(1)
    print("| engine | load before | s | calls/s | start, s | calls/s after it | rows equal, counts equal |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        folder = Path(made)
        data, cells, lines = write_tables(folder, None, rng)
        table = table_for("a", given.rows, cells, lines, rng)
        number = np.arange(given.rows)
        names = pa.array([f"c{i}" for i in (number - (number % 10 == 9)).tolist()])
        table = table.set_column(0, "call_id", names)
        few, source, first = folder / "few.parquet", folder / "rows.parquet", folder / "0.parquet"
        pq.write_table(table.slice(0, 64), few)
        pq.write_table(table, source)
        for place, (name, chosen) in enumerate(RUNS):
            target = folder / f"{place}.parquet"
            start_s = run(few, folder / "few-out.parquet", data, chosen)
            load = os.getloadavg()[0]
            took_s = run(source, target, data, chosen)
            calls = pq.ParquetFile(target).metadata.num_rows
            equal = f"{same(first, target)}, {counts(first) == counts(target)}"
            rates = f"{calls / took_s:,.0f} | {start_s:.1f} | {calls / max(took_s - start_s, 1e-9):,.0f}"
            print(f"| {name} | {load:.1f} | {took_s:.1f} | {rates} | {equal} |", flush=True)


if __name__ == "__main__":
    main()
