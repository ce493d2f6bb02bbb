"""Calls a second of `locsvc batch` on generated tables, each beside the floor of the same arithmetic.

    python benchmarks/batch.py [--calls 100000] [--cells CELLS.csv.gz] [--workers 2]

The floor is one float32 numpy pass over as many values as the answers have densities times cells: a Gaussian each,
summed over a call's densities and exponentiated once. It says nothing of finding the cells, nor of the region.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from locsvc.batch import engine
from locsvc.batch.engine import Job, run
from locsvc.reference.cells import import_cells
from locsvc.reference.lines import import_lines
from locsvc.reference.snapshot import Draft
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from locsvc.tables.evidence import table_of
from locsvc.tables.rows import read_rows

Floats = npt.NDArray[np.float64]

CELL_HEADER = "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal\n"
SITES = 4_000
NUMBERS = 200_000


def write_tables(folder: Path, cells: Path | None, rng: np.random.Generator) -> tuple[Path, pa.Table, Floats]:
    """A data directory with cells and lines, the cells as a table, and the places of the lines (2, NUMBERS)."""
    source = cells
    if source is None:
        source = folder / "cells.csv"
        site, lat, lng = np.arange(SITES), rng.uniform(51.6, 55.2, SITES), rng.uniform(-9.8, -6.2, SITES)
        rows = [
            f"LTE,272,1,{1000 + s // 100},{s * 256 + k},,{x:.5f},{y:.5f},{1500 + s % 3000},{5 + s % 90},1,"
            "1600000000,1700000000,0\n"
            for s, y, x in zip(site.tolist(), lat.tolist(), lng.tolist(), strict=True)
            for k in range(3)
        ]
        source.write_text(CELL_HEADER + "".join(rows))
    head = 0 if cells is not None else 1
    names = ["radio", "mcc", "net", "area", "cell", "unit", "lon", "lat", "r", "s", "c", "a", "b", "g"]
    table = arrow_csv.read_csv(source, arrow_csv.ReadOptions(column_names=names, skip_rows=head))
    lines = folder / "lines.csv"
    # A line for each number, a kilometre or so from a cell: evidence that agrees, as that of most calls does.
    at = np.arange(NUMBERS) % table.num_rows
    spread = (("lat", 0.006), ("lon", 0.01))
    where = np.stack([table.column(n).to_numpy()[at] + rng.normal(0, s, NUMBERS) for n, s in spread])
    lines.write_text(
        "number,class_of_service,latitude_deg,longitude_deg\n"
        + "".join(f"+3532{n:07d},RESIDENCE,{y:.6f},{x:.6f}\n" for n, (y, x) in enumerate(where.T.tolist()))
    )
    data = folder / "data"
    with Draft.begin(data) as draft:
        import_cells(draft, source, name="cells")
        import_lines(draft, lines, mapping={}, default_region="IE", addresses=None)
        draft.publish()
    return data, table, where


def table_for(case: str, n: int, cells: pa.Table, lines: Floats, rng: np.random.Generator) -> pa.Table:
    """The rows of a case: (a) a fix and a line, (b) a serving cell, (c) four cells, a fix and a line."""
    at = rng.integers(0, cells.num_rows, n)
    columns: dict[str, object] = {"call_id": [f"c{i}" for i in range(n)], "t": 1_700_000_000.0 + np.arange(n)}
    if case != "a":
        columns |= {
            "radio": pa.array(cells.column("radio").to_pylist()).take(pa.array(at)),
            "mcc": cells.column("mcc").to_numpy()[at],
            "mnc": cells.column("net").to_numpy()[at],
            "area": cells.column("area").to_numpy()[at],
            "cell": cells.column("cell").to_numpy()[at],
        }
    if case == "c":
        near = np.minimum(at[:, None] + np.arange(1, 4), cells.num_rows - 1)
        inner = {k: cells.column(v).to_numpy()[near.ravel()] for k, v in (("area", "area"), ("cell", "cell"))}
        struct = pa.StructArray.from_arrays([pa.array(v) for v in inner.values()], names=list(inner))
        columns["neighbours"] = pa.ListArray.from_arrays(pa.array(np.arange(n + 1) * 3, pa.int32()), struct)
    if case != "b":
        number = at + cells.num_rows * rng.integers(0, 8, n)
        radius_m = rng.choice([8.0, 15.0, 30.0, 60.0, 200.0], n)
        # The caller is at the line's address, and the fix about as wrong as it says (68 % within its radius).
        off_deg = rng.standard_normal((2, n)) * radius_m / 1.51 / 111_000 / np.array([[1.0], [0.6]])
        columns |= {
            "calling_number": [f"+3532{x:07d}" for x in number.tolist()],
            "latitude": lines[0, number] + off_deg[0],
            "longitude": lines[1, number] + off_deg[1],
            "radius_m": radius_m,
            "reported_confidence": np.full(n, 0.68),
            "method": ["gps"] * n,
        }
    return pa.table(columns)


def floor_s(densities: int, values: float, calls: int) -> float:
    """Seconds of one float32 pass over so many values a call, by blocks of a call's cells; the best of three."""
    cells = max(1, round(values / max(densities, 1)))
    block = max(1, 2_000_000 // (cells * densities))
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((block, densities, cells), dtype=np.float32) for _ in range(2))
    best = np.inf
    for _ in range(3):
        began = time.perf_counter()
        power = x * x
        power += y * y
        power *= np.float32(-0.5)
        np.exp(power.sum(axis=1))
        best = min(best, time.perf_counter() - began)
    return best / block * calls


def values_of(resolver: Resolver, table: pa.Table) -> tuple[float, float]:
    """Densities a call, and densities times cells a call, of the answers to the first calls."""
    rows = read_rows(table.slice(0, 1_000).combine_chunks().to_batches()[0])
    n = len(rows.t)
    found = resolver.answer(table_of(rows, np.arange(n), n), np.full(n, 0.9), np.full(n, np.nan))
    if found.located is None:
        return 0.0, 0.0
    leaves = np.diff(found.located.posterior.leaves.starts)
    pieces = np.bincount(found.located.posterior.densities.call, minlength=len(leaves))
    return float(pieces.mean()), float((pieces * leaves).mean())


def main() -> None:
    """Run the three cases."""
    options = argparse.ArgumentParser()
    options.add_argument("--calls", type=int, default=100_000)
    options.add_argument("--cells", type=Path, help="an OpenCelliD table without header; else cells are generated")
    options.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    given = options.parse_args()
    rng = np.random.default_rng(1)
    print(f"{given.calls:,} calls, {given.workers} processes, load {os.getloadavg()[0]:.1f}")
    print("| case | calls/s | start and end, s | densities x cells a call | floor, calls/s | of the floor |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        data, cells, lines = write_tables(folder, given.cells, rng)
        resolver = Resolver(Reference.open(data))
        for case in "abc":
            table = table_for(case, given.calls, cells, lines, rng)
            small, whole = folder / f"{case}-few.parquet", folder / f"{case}.parquet"
            pq.write_table(table.slice(0, 64), small)
            pq.write_table(table, whole, row_group_size=65_536)
            # What a run costs before its first call and after its last: of several parts, as one alone needs no pool.
            rows, engine.PART_ROWS = engine.PART_ROWS, 16
            fixed_s = run(Job(small, folder / "few-out.parquet", data, workers=given.workers)).seconds
            engine.PART_ROWS = rows
            took_s = run(Job(whole, folder / "out.parquet", data, workers=given.workers)).seconds - fixed_s
            densities, values = values_of(resolver, table)
            least_s = floor_s(max(1, round(densities)), values, given.calls) / given.workers
            print(
                f"| {case} | {given.calls / took_s:,.0f} | {fixed_s:.1f} | {densities:.1f}, {values:,.0f}"
                f" | {given.calls / least_s:,.0f} | {least_s / took_s:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
