"""Memory and time of `locsvc batch` on one and on ten million generated rows: the peak must not grow with the input.

    python benchmarks/batch_10m.py [--millions 1 10] [--workers 2] [--format parquet]

Rows of all kinds: device fixes, lone cells, four cells with a fix and a line, calls of four rows that do not stand
together, and rows that cannot be read. Memory is that of all processes of the run together, asked for every half second
as PSS (`/proc/*/smaps_rollup`), so that what they share, such as the reference data's pages, counts once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from locsvc.reference.cells import import_cells
from locsvc.reference.lines import import_lines
from locsvc.reference.snapshot import Draft

if TYPE_CHECKING:
    import numpy.typing as npt

SITES, NUMBERS, GROUP_ROWS = 4_000, 200_000, 100_000
LIMIT_BYTES = 1_500_000_000
CELL_HEADER = "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal\n"
SEEN = "1600000000,1700000000"
# Fixes, lone cells, cells with a fix and a line, rows that cannot be read; and, of the calls, those of four rows.
SHARES, SEVERAL = (0.4, 0.35, 0.2, 0.05), 0.05


def write_reference(folder: Path, rng: np.random.Generator) -> tuple[Path, npt.NDArray[np.float64]]:
    """A data directory with cells and lines, and where the sites are (2, SITES)."""
    where = np.stack([rng.uniform(51.6, 55.2, SITES), rng.uniform(-9.8, -6.2, SITES)])
    cells, lines, data = folder / "cells.csv", folder / "lines.csv", folder / "data"
    cells.write_text(
        CELL_HEADER
        + "".join(
            f"LTE,272,1,{1000 + s // 100},{s * 256 + k},,{x:.5f},{y:.5f},{1500 + s % 3000},9,1,{SEEN},0\n"
            for s, (y, x) in enumerate(where.T.tolist())
            for k in range(3)
        )
    )
    near = where[:, np.arange(NUMBERS) % SITES] + rng.normal(0, 0.006, (2, NUMBERS))
    lines.write_text(
        "number,class_of_service,latitude_deg,longitude_deg\n"
        + "".join(f"+3532{n:07d},RESIDENCE,{y:.6f},{x:.6f}\n" for n, (y, x) in enumerate(near.T.tolist()))
    )
    with Draft.begin(data) as draft:
        import_cells(draft, cells, name="cells")
        import_lines(draft, lines, mapping={}, default_region="IE", addresses=None)
        draft.publish()
    return data, where


def rows(first: int, n: int, where: npt.NDArray[np.float64], rng: np.random.Generator) -> pa.Table:
    """Rows of all kinds; those of one call stand some rows apart."""
    kind = rng.choice(len(SHARES), n, p=SHARES)
    number = first + np.arange(n)
    # Every tenth row of forty may be of one call.
    slot = np.arange(n) // 40 * 10 + np.arange(n) % 10
    several = (rng.random(slot.max() + 1) < SEVERAL)[slot]
    fix, cell, full, bad = ((kind == k) & ~several for k in range(len(SHARES)))
    call = np.where(several, first + slot, number)
    site = np.where(several, slot % SITES, rng.integers(0, SITES, n))
    heard, placed = cell | full | several, fix | full | several | bad
    radius_m = rng.choice([8.0, 15.0, 30.0, 60.0, 200.0], n)
    off_deg = rng.standard_normal((2, n)) * radius_m / 1.51 / 111_000
    fixes_deg = where[:, site] + off_deg
    latitude = np.char.mod("%.6f", fixes_deg[0]).astype(object)
    latitude[bad] = rng.choice(["north", "91.5", "", "1e9"], int(bad.sum()))
    sectors = (site * 256)[:, None] + np.arange(1, 3)
    other = np.minimum(site + 1, SITES - 1) * 256
    cells = np.column_stack([sectors, other])[full].ravel()
    items = pa.StructArray.from_arrays([pa.array(1000 + cells // 25_600), pa.array(cells)], names=["area", "cell"])
    offsets = pa.array(np.append(0, np.cumsum(np.where(full, 3, 0))), pa.int32())
    names = np.char.add(np.where(several, "several-", "one-"), call.astype(str))
    return pa.table(
        {
            "call_id": pa.array(names.tolist(), mask=fix & (number % 2 == 0)),
            "t": pa.array(((1_700_000_000 + number) * 1_000).astype("datetime64[ms]")),
            "radio": pa.array(["LTE"] * n, mask=~heard),
            "mcc": pa.array(np.full(n, 272), mask=~heard),
            "mnc": pa.array(np.full(n, 1), mask=~heard),
            "area": pa.array(1000 + site // 100, mask=~heard),
            "cell": pa.array(site * 256, mask=~heard),
            "neighbours": pa.ListArray.from_arrays(offsets, items),
            "latitude": pa.array(latitude, pa.string(), mask=~placed),
            "longitude": pa.array(fixes_deg[1], mask=~placed),
            "radius_m": pa.array(radius_m, mask=~placed),
            "method": pa.array(["gps"] * n, mask=~placed),
            "calling_number": pa.array(
                [f"+3532{s + SITES * (i % 9):07d}" for i, s in enumerate(site.tolist())], mask=~full
            ),
            "note": pa.array([f"row {i}" for i in number.tolist()]),
        }
    )


def write_rows(path: Path, n: int, where: npt.NDArray[np.float64], rng: np.random.Generator) -> None:
    """A table of so many rows, some 100,000 in memory at a time."""
    writer = None
    for first in range(0, n, GROUP_ROWS):
        table = rows(first, min(GROUP_ROWS, n - first), where, rng)
        writer = pq.ParquetWriter(path, table.schema) if writer is None else writer
        writer.write_table(table)
    if writer is not None:
        writer.close()


def memory_of(session: int) -> int:
    """Bytes of all processes of a session together, shared ones once."""
    total = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                    line = next(x for x in (entry / "smaps_rollup").read_text().splitlines() if x.startswith("Pss:"))
                    total += int(line.split()[1]) * 1024
            except (OSError, StopIteration, IndexError):
                continue
    return total


def run(arguments: list[str]) -> tuple[float, int]:
    """Seconds of a command, and the most memory that its processes had at one moment."""
    began_s = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "locsvc", "batch", *arguments], start_new_session=True)
    peak = 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.5):
            peak = max(peak, memory_of(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    ended.set()
    watcher.join()
    if code:
        raise SystemExit(f"the run ended with {code}")
    return time.monotonic() - began_s, peak


def main() -> None:
    """Run the sizes, and compare each with the one before."""
    options = argparse.ArgumentParser()
    options.add_argument("--millions", type=float, nargs="+", default=[1, 10])
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--format", default="parquet", choices=("parquet", "geoparquet", "csv", "jsonl"))
    options.add_argument("--folder", type=Path, help="where there is room; else the system's temporary folder")
    given = options.parse_args()
    worst, before = 0, None
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        folder = Path(made)
        print(f"room on the disk {shutil.disk_usage(folder).free / 1e9:,.0f} GB, load {os.getloadavg()[0]:.1f}")
        data, where = write_reference(folder, np.random.default_rng(1))
        print("| rows | calls | IN, MB | OUT, MB | seconds | calls/s | peak memory, MB | s and MB a million more |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        for millions in given.millions:
            n = round(millions * 1e6)
            source, target, summary = folder / "in.parquet", folder / f"out.{given.format}", folder / "s.json"
            write_rows(source, n, where, np.random.default_rng(2))
            arguments = [source, target, "--data", data, "--workers", given.workers, "--summary", summary]
            took_s, peak = run([str(a) for a in arguments])
            told = json.loads(summary.read_text())
            growth = ""
            if before is not None:
                more = millions - before[0]
                growth = f"{(took_s - before[1]) / more:.1f} s, {(peak - before[2]) / more / 1e6:+.1f} MB"
            print(
                f"| {n:,} | {told['calls']:,} | {source.stat().st_size / 1e6:,.0f} | {target.stat().st_size / 1e6:,.0f}"
                f" | {took_s:,.0f} | {told['calls'] / took_s:,.0f} | {peak / 1e6:,.0f} | {growth} |",
                flush=True,
            )
            worst, before = max(worst, peak), (millions, took_s, peak)
            target.unlink()
    print(f"load {os.getloadavg()[0]:.1f}; peak {worst / 1e6:,.0f} MB of {LIMIT_BYTES / 1e6:,.0f}")
    if worst > LIMIT_BYTES:
        raise SystemExit("more memory than allowed")


if __name__ == "__main__":
    main()
