"""What located history costs: resolve with a coverage dataset against resolve without, and batches of real drives.

    python benchmarks/coverage_speed.py [--calls 640] [--rounds 7] [--only calls|batch] [--drives DIR]

Both resolvers know the same cell table, and one of them what `locsvc learn` made of a history as well; the same calls
go to both in turn, alone and 64 at a time, and the ratio is the median of the rounds'. Lone cells and whole scans of a
generated town anyone can repeat; those of the drives in ../shared/data are skipped, with a word, where that is absent.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from locsvc import model
from locsvc.batch.engine import Job, run
from locsvc.learning.learn import learn
from locsvc.reference.cells import import_cells
from locsvc.reference.snapshot import Draft
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from locsvc.tables.evidence import calls_of
from locsvc.tables.rows import read_rows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
IRELAND = SHARED / "cells" / "opencellid_ireland_272.csv.gz"
DRIVES = ("cork", "losangeles", "ottawa", "dakar")
SITES, HEARD, METRES = 400, 7, np.array([111_195.0, 68_000.0])
BATCH, BATCH_ROWS = 64, 50_000
HEADER = "radio,mcc,mnc,area,cell,pci,arfcn,latitude,longitude,range,samples\n"
AROUND = ["pci", "arfcn", "signal_dbm"]


@dataclass(frozen=True, slots=True)
class Case:
    """Calls, and two data directories that answer them."""

    name: str
    calls: list[model.Call]
    without: Path
    with_history: Path


def town(rng: np.random.Generator, rows: int) -> tuple[pa.Table, str]:
    """A history of scans of seven cells in a town 8 km wide, and its cells as a table."""
    mast = np.array([55.0, 2.5]) + rng.uniform(-4_000, 4_000, (SITES, 2)) / METRES
    here = np.array([55.0, 2.5]) + rng.uniform(-3_500, 3_500, (rows, 2)) / METRES
    serving, around, levels, delays = [], [], [], []
    for place in here:
        apart = (mast - place) * METRES
        far = np.hypot(apart[:, 0], apart[:, 1])
        level = -60 - 30 * np.log10(1 + far / 50) + rng.normal(0, 5, SITES)
        best = np.argsort(-level)[:HEARD]
        sector = ((np.degrees(np.arctan2(-apart[best, 1], -apart[best, 0])) + 360) // 120).astype(np.int64) % 3
        cells = best * 3 + sector
        serving.append(int(cells[0]))
        around.append([{"pci": int(c) % 504, "arfcn": 1300 + int(c) // 504, "signal_dbm": float(round(s))}
                       for c, s in zip(cells[1:], level[best[1:]], strict=True)])  # fmt: skip
        levels.append(float(round(level[best[0]])))
        delays.append(int(far[best[0]] // 78))
    cell = np.array(serving)
    table = pa.table(
        {
            "t": 1.7e9 + np.arange(rows) * 60.0, "truth_lat": here[:, 0], "truth_lon": here[:, 1],
            "truth_accuracy_m": np.full(rows, 5.0), "radio": ["LTE"] * rows, "mcc": ["001"] * rows,
            "mnc": ["01"] * rows, "area": np.full(rows, 7), "cell": 256 * (1 + cell // 3) + cell % 3,
            "pci": cell % 504, "arfcn": 1300 + cell // 504, "signal_dbm": levels, "timing_advance": delays,
            "neighbours": around,
        }
    )  # fmt: skip
    lines = (
        f"LTE,001,01,7,{256 * (1 + c // 3) + c % 3},{c % 504},{1300 + c // 504},{mast[c // 3, 0]:.6f},"
        f"{mast[c // 3, 1]:.6f},900,40\n"
        for c in range(3 * SITES)
    )
    return table, HEADER + "".join(lines)


def numbered(table: pa.Table) -> tuple[pa.Table, str]:
    """A drive whose cells are known by channel and pci alone, each given a number, and its cells as a table."""
    names = ("mcc", "mnc", "arfcn", "pci", "truth_lat", "truth_lon")
    columns = [table.column(n).to_pylist() for n in names]
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, key in enumerate(zip(*columns[:4], strict=True)):
        groups.setdefault(key, []).append(i)
    place, number = np.array(columns[4:], float), np.zeros(len(table), np.int64)
    lines = []
    for k, ((mcc, mnc, arfcn, pci), at) in enumerate(groups.items()):
        number[at] = 256 * (k + 1)
        lat, lng = place[:, at].mean(axis=1)
        lines.append(f"LTE,{mcc},{mnc},7,{256 * (k + 1)},{pci},{arfcn},{lat:.6f},{lng:.6f},700,{len(at)}\n")
    table = table.drop_columns(["area", "cell"])
    table = table.append_column("cell", pa.array(number)).append_column("area", pa.array(np.full(len(table), 7)))
    return table, HEADER + "".join(lines)


def directories(folder: Path, cells: Path, history: Path) -> tuple[Path, Path]:
    """Two data directories with the cells, the second with what the history teaches."""
    made = []
    for name in ("without", "with"):
        data = folder / name
        with Draft.begin(data) as draft:
            import_cells(draft, cells, name="cells")
            draft.publish()
        made.append(data)
    learn([history], made[1])
    return made[0], made[1]


def case_of(name: str, folder: Path, table: pa.Table, cells: str | Path, calls: int) -> Case:
    """A case from a history: calls are rows of it, evenly spread; it does not matter here that they taught it."""
    folder.mkdir()
    history = folder / "history.parquet"
    pq.write_table(table, history)
    if isinstance(cells, str):
        (folder / "cells.csv").write_text(cells, encoding="utf-8")
        cells = folder / "cells.csv"
    at = np.linspace(0, len(table) - 1, min(calls, len(table))).astype(np.int64)
    rows = read_rows(table.take(pa.array(at)).combine_chunks().to_batches()[0])
    return Case(name, calls_of(rows, np.arange(len(at)), list(range(len(at)))), *directories(folder, cells, history))


def cases(folder: Path, drives: Path, calls: int) -> Iterator[Case]:
    """All cases; those of real drives where they are there."""
    table, cells = town(np.random.default_rng(1), 20_000)
    lone = table.drop_columns(["neighbours"])
    yield case_of("generated town, lone cells", folder / "lone", lone, cells, calls)
    yield case_of("generated town, whole scans of 7", folder / "scans", table, cells, calls)
    if (drives / "cork.parquet").exists() and IRELAND.exists():
        yield case_of("Cork, lone cells", folder / "cork", pq.read_table(drives / "cork.parquet"), IRELAND, calls)
    if (drives / "losangeles.parquet").exists():
        table, cells = numbered(pq.read_table(drives / "losangeles.parquet"))
        yield case_of("Los Angeles, whole scans", folder / "losangeles", table, cells, calls)


def took_s(resolver: Resolver, calls: list[model.Call], size: int) -> float:
    """Seconds of processor for a call, resolved so many at a time: what else runs counts little."""
    began = time.process_time()
    for first in range(0, len(calls), size):
        resolver.resolve(calls[first : first + size])
    return (time.process_time() - began) / len(calls)


def compare(case: Case, rounds: int) -> None:
    """Prints times and ratios of a case."""
    resolvers = [Resolver(Reference.open(data)) for data in (case.without, case.with_history)]
    for resolver in resolvers:
        resolver.resolve(case.calls[:BATCH])
    for size in (1, BATCH):
        calls = case.calls[: 256 if size == 1 else len(case.calls)]
        found = np.array([[took_s(resolver, calls, size) for resolver in resolvers] for _ in range(rounds)])
        ratios = np.sort(found[:, 1] / found[:, 0])
        times = np.median(found, axis=0) * 1e6
        print(
            f"| {case.name} | {'alone' if size == 1 else f'{size} at a time'} | {times[0]:,.0f} | {times[1]:,.0f}"
            f" | **{np.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f}) |",
            flush=True,
        )


def batch(folder: Path, drives: Path, workers: int) -> None:
    """Prints calls a second of `locsvc batch` on the drives."""
    print("| drive | calls | cell table, calls/s | and learned coverage, calls/s | all, from start to end, s |")
    print("| --- | --- | --- | --- | --- |")
    for drive in DRIVES:
        source = drives / f"{drive}.parquet"
        if not source.exists() or not IRELAND.exists():
            print(f"{drive}: skipped, {source} or {IRELAND} is absent", file=sys.stderr)
            continue
        own = folder / f"batch-{drive}"
        own.mkdir()
        table = pq.read_table(source)
        whole, few = own / "whole.parquet", own / "few.parquet"
        times = -(-BATCH_ROWS // len(table))
        pq.write_table(pa.concat_tables([table] * times), whole)
        pq.write_table(table.slice(0, 64), few)
        rates, totals = [], []
        for data in directories(own, IRELAND, source):
            fixed_s = run(Job(few, own / "few-out.parquet", data, workers=workers)).seconds
            done = run(Job(whole, own / "out.parquet", data, workers=workers))
            rates.append(f"{done.tally.calls / (done.seconds - fixed_s):,.0f}")
            totals.append(f"{done.seconds:.1f}")
        name = f"{drive}, {times} times over"
        print(f"| {name} | {times * len(table):,} | {' | '.join(rates)} | {' and '.join(totals)} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", choices=("calls", "batch"))
    parser.add_argument("--drives", type=Path, default=SHARED / "drives")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    if not given.drives.is_dir():
        print(f"{given.drives} is absent: the generated town only", file=sys.stderr)
    print(f"load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as made:
        if given.only != "batch":
            print("| calls | resolved | without, us of CPU a call | with, us of CPU a call | with / without |")
            print("| --- | --- | --- | --- | --- |")
            for case in cases(Path(made), given.drives, given.calls):
                compare(case, given.rounds)
        if given.only != "calls":
            batch(Path(made), given.drives, given.workers)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
