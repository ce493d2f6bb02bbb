"""Cell datasets at full size: import, memory, disk, start and look-ups of 20 million generated cells.

::

    python benchmarks/cells_20m.py [--rows 20000000] [--data DIR] [--keep]

Prints one line a figure. The import and the look-ups run in processes of their own, so that their memory is theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from locsvc.reference.cells import CellQueries, CellStore, import_cells
from locsvc.reference.cells.keys import unpack_cell_key
from locsvc.reference.snapshot import Draft, Snapshot

if TYPE_CHECKING:
    import numpy.typing as npt

GENERATED_AT_A_TIME = 500_000
# Countries and what they share of the cells; towns are spread over a box about each.
COUNTRIES = (
    (272, 53.2, -7.8),
    (234, 53.0, -1.5),
    (208, 46.6, 2.5),
    (262, 51.0, 10.0),
    (222, 43.0, 12.0),
    (310, 38, -95),
)
TOWNS = 4_000
NETWORKS = 4
# Of 20 cells of a network 4 are GSM, 5 UMTS, 9 LTE, 2 NR.
WIDTHS = np.array([4, 5, 9, 2])
SHARES = np.cumsum(WIDTHS)
OFFSETS = 1 << 20
# A prime, so that its multiples run through all numbers of rows that are not a multiple of it.
STRIDE = 1_299_709
CALLS = 64
CELLS_OF_A_CALL = 4


def main() -> None:
    """Run all steps, or one of them in its own process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--keep", action="store_true", help="leave the files for other benchmarks")
    parser.add_argument("--step", choices=("generate", "import", "look-up"))
    given = parser.parse_args()
    folder = given.data or Path(tempfile.mkdtemp(prefix="cells-"))
    if given.step:
        figures = {"generate": _generate, "import": _import, "look-up": _look_up}[given.step](folder, given.rows)
        print(json.dumps(figures))
        return
    try:
        for step in ("generate", "import", "look-up"):
            for name, value in _in_process(step, folder, given.rows).items():
                print(f"{step:9} {name:48} {value}", flush=True)
    finally:
        if not given.keep:
            shutil.rmtree(folder)


def _in_process(step: str, folder: Path, rows: int) -> dict[str, str]:
    command = [sys.executable, __file__, "--step", step, "--data", str(folder), "--rows", str(rows)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    figures: dict[str, str] = json.loads(done.stdout)
    return figures


def _generate(folder: Path, rows: int) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20)
    towns = np.stack(
        [
            np.stack([random.normal(lat, 2.0, TOWNS), random.normal(lon, 3.0 if mcc != 310 else 12.0, TOWNS)])
            for mcc, lat, lon in COUNTRIES
        ]
    )
    offsets = random.normal(0, 1, (2, OFFSETS))
    with (folder / "cells.csv").open("w", encoding="ascii") as file:
        for begin in range(0, rows, GENERATED_AT_A_TIME):
            number = np.arange(begin, min(begin + GENERATED_AT_A_TIME, rows))
            # A permutation of all numbers, so that the file is in no order and no identity comes twice.
            file.write(_lines(random, number * STRIDE % rows, towns, offsets))
    return {"rows": f"{rows:,}", "CSV size": f"{(folder / 'cells.csv').stat().st_size / 1e9:.2f} GB"}


def _lines(
    random: np.random.Generator,
    number: npt.NDArray[np.int64],
    towns: npt.NDArray[np.float64],
    offsets: npt.NDArray[np.float64],
) -> str:
    country, network, local = number % 6, number // 6 % NETWORKS, number // (6 * NETWORKS)
    radio = np.searchsorted(SHARES, local % SHARES[-1], side="right")
    index = local // SHARES[-1] * WIDTHS[radio] + local % SHARES[-1] - (SHARES - WIDTHS)[radio]
    # Sites have 6 cells (3 in NR), and towns have their sites: the first ones most, as a big city has.
    site = index // np.array([6, 6, 6, 3])[radio] * NETWORKS + network
    town = (TOWNS * ((site * 40_503 % 65_536) / 65_536) ** 3).astype(np.int64)
    cell = np.choose(radio, [1 + index % 65_000, (1 + town % 4000) << 16 | 1 + index % 65_000, site << 8, site << 14])
    cell += np.where(radio >= 2, 1 + index % 6, 0)
    area = 1 + town + np.where(radio == 0, index // 65_000 * TOWNS, 0)
    spot = (site * 7_919 + radio * 104_729) % OFFSETS
    spread = random.normal(0, 0.003, (2, len(number)))
    latitude = towns[country, 0, town] + offsets[0, spot] * 0.05 + spread[0]
    longitude = towns[country, 1, town] + offsets[1, spot] * 0.08 + spread[1]
    columns = zip(
        np.array(["GSM", "UMTS", "LTE", "NR"])[radio].tolist(),
        np.array([c[0] for c in COUNTRIES])[country].tolist(),
        (network + 1).tolist(),
        area.tolist(),
        cell.tolist(),
        np.where(radio == 0, 0, random.integers(1, 500, len(number))).tolist(),
        longitude.tolist(),
        latitude.tolist(),
        random.integers(0, 5000, len(number)).tolist(),
        random.integers(1, 400, len(number)).tolist(),
        random.integers(1_300_000_000, 1_763_000_000, len(number)).tolist(),
        strict=True,
    )
    return "".join(
        f"{r},{c},{n},{a},{i},{u},{x:.6f},{y:.6f},{m},{s},1,{t},{t},0\n" for r, c, n, a, i, u, x, y, m, s, t in columns
    )


def _import(folder: Path, rows: int) -> dict[str, str]:
    started = time.perf_counter()
    with Draft.begin(folder / "data") as draft:
        report = import_cells(draft, folder / "cells.csv", name="generated")
        imported = time.perf_counter() - started
        snapshot = draft.publish()
    total = time.perf_counter() - started
    path = folder / "data" / "snapshots" / snapshot
    size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    peak_kb = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "rows in the dataset": f"{report.rows:,} of {rows:,}, not taken {report.rejected}",
        "import": f"{imported:.1f} s",
        "import and publish": f"{total:.1f} s",
        "peak memory, with children": f"{peak_kb / 1e6:.2f} GB",
        "size on disk": f"{size / 1e9:.2f} GB",
    }


def _look_up(folder: Path, _rows: int) -> dict[str, str]:
    figures: dict[str, str] = {}
    for name, verify in (("open, verified", True), ("open, not verified", False)):
        started = time.perf_counter()
        snapshot = Snapshot.open(folder / "data", verify=verify)
        store = CellStore.open(snapshot.entries("cells"))
        figures[name] = f"{time.perf_counter() - started:.3f} s"
    figures["resident memory after opening"] = _resident()
    entry = snapshot.entries("cells")[0]
    key = np.load(entry.path / "key.npy", mmap_mode="r")
    place = np.load(entry.path / "place.npy", mmap_mode="r")
    random = np.random.default_rng(1)
    for name, count in (("one call of 4 cells", CELLS_OF_A_CALL), ("64 calls of 4 cells", CALLS * CELLS_OF_A_CALL)):
        for kind in ("known", "neighbours by pci", "unknown"):
            asked = [_queries(random, key, place, count, kind) for _ in range(200)]
            figures[f"{name}, {kind}"] = _timed(store, asked, count)
    nearest = []
    for row in random.integers(0, len(key), 50):
        started = time.perf_counter()
        store.nearest(place[row, 0] / 1e7 + 0.01, place[row, 1] / 1e7, 10)
        nearest.append(time.perf_counter() - started)
    figures["10 nearest cells, the first time"] = f"{nearest[0] * 1e3:.0f} ms"
    figures["10 nearest cells, median"] = f"{np.median(nearest) * 1e3:.2f} ms"
    figures["resident memory after look-ups"] = _resident()
    return figures


def _queries(
    random: np.random.Generator,
    key: npt.NDArray[np.int64],
    place: npt.NDArray[np.int32],
    count: int,
    kind: str,
) -> CellQueries:
    rows = random.integers(0, len(key), count)
    identity = [unpack_cell_key(int(key[row])) for row in rows]
    neighbour = kind == "neighbours by pci"
    cells = {"known": [i[3] for i in identity], "unknown": [i[3] ^ 0x155 for i in identity]}.get(kind, [-1] * count)
    return CellQueries(
        np.array([i[0] for i in identity], np.int8),
        np.array([i[1] for i in identity], np.int16),
        np.array([i[2] for i in identity], np.int16),
        np.where(neighbour, -1, place[rows, 5]).astype(np.int32),
        np.array(cells, np.int64),
        np.where(neighbour, random.integers(1, 500, count), -1).astype(np.int32),
        np.full(count, -1, np.int32),
        np.where(neighbour, place[rows, 0] / 1e7, np.nan),
        np.where(neighbour, place[rows, 1] / 1e7, np.nan),
    )


def _timed(store: CellStore, asked: list[CellQueries], count: int) -> str:
    took = []
    for queries in asked:
        started = time.perf_counter()
        store.place(queries)
        took.append(time.perf_counter() - started)
    median = float(np.median(took)) * 1e6
    return f"median {median:.0f} us, p99 {np.quantile(took, 0.99) * 1e6:.0f} us, {median / count:.2f} us a cell"


def _resident() -> str:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    shared = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[2])
    page = os.sysconf("SC_PAGE_SIZE")
    return f"{pages * page / 1e9:.2f} GB, {(pages - shared) * page / 1e9:.2f} GB of it not file pages"


if __name__ == "__main__":
    main()
