"""What each thing that a phone tells, and each part of what is learned, is worth: left out one by one, on real drives.

    python benchmarks/ablation.py [--drives DIR] [--only cork,ottawa] [--every N] [--workers N] [--json FILE]

Everything goes through what is shipped: `locsvc evaluate --folds day` (Dakar, one evening: by stretches of time) learns
on the other folds and answers each. Parts are left out by what goes in: a column less, no coverage dataset, or numbers
in `calibration.toml`. The figures are of the calls whose serving cell the whole service knows, the same in each line.
Needs the drives of ../shared/data, which are no part of the project; without them it says so and ends.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from locsvc.evaluate.folds import Folding, fold_numbers
from locsvc.evaluate.judged import Judged, joined
from locsvc.evaluate.labels import CELL, KNOWN
from locsvc.evaluate.run import Options, evaluate
from locsvc.evaluate.summary import baselines_summary, summary_of
from locsvc.evaluate.words import area
from locsvc.learning.learn import learn
from locsvc.reference.cells import import_cells
from locsvc.reference.snapshot import Draft
from locsvc.tables.grouping import Grouper

Bools = npt.NDArray[np.bool_]
Change = Callable[[pa.Table], pa.Table]
Teach = Callable[[pa.Table, Path], None]

DRIVES = {"losangeles": "day", "cork": "day", "ottawa": "day", "dakar": "time"}
SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
AT = ("0.5", "0.68", "0.9", "0.95")
HEAD = (
    "left out", "error 50 / 68 / 90 %, m", "in regions of 50 / 68 / 90 / 95 %", "in circles", "90 % region",
    "90 % circle", "log score",
)  # fmt: skip
CELLS_OF = {"cork": "opencellid_ireland_272.csv.gz"}
NO_DEPENDENCE = """
[dependence]
neighbour_exponent = 1.0
same_method_exponent = 1.0
derived_exponent = 1.0
[coverage_scan]
cells_power = 0.0
level_exponent = 1.0
unheard_exponent = 1.0
serving_exponent = 1.0
"""
# History as it stands: no cloud for what was never driven, no share of places beside those that were.
NO_CALIBRATION = """
[coverage_cell]
doubt_visits = 1e-6
doubt_passes = 1e-6
wide_share = 0.0
ring_share = 0.0
parent_share = 0.0
grandparent_share = 0.0
[coverage_scan]
wide_share = 0.0
doubt_looks = 1e-6
child_floor = 0.0
parent_share = 0.0
grandparent_share = 0.0
"""
NOT_HEARD = "[coverage_scan]\nunheard_exponent = 0.0\n"
NO_OFFSET = "[coverage_scan]\noffset_sd_db = 0.01\n"


def without(*names: str) -> Change:
    """A table without columns, also of its neighbours."""

    def change(table: pa.Table) -> pa.Table:
        table = table.drop_columns([n for n in names if n in table.schema.names])
        if "neighbours" not in table.schema.names:
            return table
        given = table.column("neighbours").combine_chunks()
        inner = given.values
        kept = [f.name for f in inner.type if f.name not in names]
        struct = pa.StructArray.from_arrays([pc.struct_field(inner, n) for n in kept], names=kept)
        missing = given.is_null() if given.null_count else None
        made = pa.ListArray.from_arrays(given.offsets, struct, mask=missing)
        return table.set_column(table.schema.get_field_index("neighbours"), "neighbours", made)

    return change


@dataclass(frozen=True, slots=True)
class Part:
    """What is left out: columns (any of them must say something), or numbers of the calibration."""

    name: str
    columns: tuple[str, ...] = ()
    calibration: str = ""
    needs: str = ""

    def matters(self, table: pa.Table) -> bool:
        """Whether the drive has what is left out."""
        asked = (*self.columns, *((self.needs,) if self.needs else ()))
        return not asked or any(n in table.schema.names and table.column(n).null_count < len(table) for n in asked)


PARTS = (
    Part("nothing"),
    Part("signal (level, quality)", ("signal_dbm", "quality_db")),
    Part("timing advance", ("timing_advance",)),
    Part("neighbours", ("neighbours",)),
    Part("what was not heard", calibration=NOT_HEARD, needs="neighbours"),
    Part("offset of phone and car", calibration=NO_OFFSET, needs="neighbours"),
    Part("dependence (all independent)", calibration=NO_DEPENDENCE, needs="neighbours"),
    Part("calibration (history as it stands)", calibration=NO_CALIBRATION),
)


def data_directory(folder: Path, drive: str, calibration: str) -> Path:
    """A data directory with the cell table of the drive's country, where there is one, and a calibration."""
    data = folder / "data"
    data.mkdir()
    if calibration:
        (data / "calibration.toml").write_text('version = "ablation"\n' + calibration, encoding="utf-8")
    table = SHARED / "cells" / CELLS_OF[drive] if drive in CELLS_OF else None
    if table is not None and table.exists():
        with Draft.begin(data) as draft:
            import_cells(draft, table, name="cells")
            draft.publish()
    return data


def judged_with(table: pa.Table, drive: str, folding: Folding | None, calibration: str, workers: int) -> Judged | None:
    """What the shipped evaluation says of a table."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        file = folder / f"{drive}.parquet"
        pq.write_table(table, file)
        data = data_directory(folder, drive, calibration)
        empty = not (data / "CURRENT").exists() and folding is None
        return evaluate([file], None if empty else data, Options(folding=folding, workers=workers)).judged


def by_hand(table: pa.Table, drive: str, folding: Folding, teach: Teach, *, alone: bool = False) -> Judged | None:
    """Each fold answered by a data directory that rows of the other folds make, or with `alone` of the next fold only.

    For what `locsvc evaluate --folds` does not do: other data made of the same history, and less history.
    """
    grouper = Grouper()
    batches = [b for part in table.to_batches() for b in grouper.add(part)] + list(grouper.end())
    batches = [b for b in batches if len(b)]
    whole, fold = pa.Table.from_batches(batches), np.concatenate(fold_numbers(batches, folding, None))
    rows, found = whole.select(table.schema.names), []
    folds = int(fold.max()) + 1
    for k in range(folds):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            data, file = data_directory(folder, drive, ""), folder / f"{drive}.parquet"
            teach(rows.filter(pa.array(fold == (k + 1) % folds if alone else fold != k)), data)
            pq.write_table(rows.filter(pa.array(fold == k)), file)
            judged = evaluate([file], data).judged
        if judged is not None:
            # Rows are named by where they stand in the whole table, as in the other lines.
            own = np.flatnonzero(fold == k) + 1
            judged.name[:] = [f"row-{own[int(str(name)[4:]) - 1]}" for name in judged.name]
            found.append(judged)
    return joined(found)


def as_history(table: pa.Table, data: Path) -> None:
    """Learns rows, as they would be by `locsvc learn`."""
    file = data.parent / "history.parquet"
    pq.write_table(table, file)
    learn([file], data)


def as_cells(table: pa.Table, data: Path) -> None:
    """Imports the centroids of rows as a cell dataset."""
    source = data.parent / "cells.csv"
    source.write_text(centroids(table), encoding="utf-8")
    with Draft.begin(data) as draft:
        import_cells(draft, source, name="history")
        draft.publish()


def centroids(table: pa.Table) -> str:
    """Cells of a history as OpenCelliD lists them: middle, how far the farthest report was, samples, time."""
    lines = ["radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal"]
    names = ("radio", "mcc", "mnc", "area", "cell")
    columns = [table.column(n).to_pylist() for n in (*names, "truth_lat", "truth_lon")]
    t = table.column("t").cast(pa.timestamp("s", "UTC"), safe=False).cast(pa.int64()).to_numpy()
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, key in enumerate(zip(*columns[:5], strict=True)):
        if None not in key:
            groups.setdefault(key, []).append(i)
    lat, lng = np.array(columns[5], float), np.array(columns[6], float)
    for (radio, mcc, mnc, area_code, cell), at in groups.items():
        y, x = lat[at].mean(), lng[at].mean()
        away = np.hypot(lat[at] - y, (lng[at] - x) * np.cos(np.radians(y))).max() * 111_195
        lines.append(
            f"{radio},{int(mcc)},{int(mnc)},{area_code:.0f},{cell:.0f},,{x:.6f},{y:.6f},{away:.0f},{len(at)},1,"
            f"{t[at].min()},{t[at].max()},0"
        )
    return "\n".join(lines) + "\n"


def runs(table: pa.Table, drive: str, workers: int) -> Iterator[tuple[str, Judged | None]]:
    """Each part that matters to the drive, left out."""
    folding = Folding(DRIVES[drive], keep_calibration=True)
    for part in PARTS:
        if part.matters(table):
            yield part.name, judged_with(without(*part.columns)(table), drive, folding, part.calibration, workers)
    yield "all history but one fold's", by_hand(table, drive, folding, as_history, alone=True)
    if table.column("cell").null_count < len(table):
        yield "coverage (centroids of the same history)", by_hand(table, drive, folding, as_cells)
    kept = "Irish cell table" if drive in CELLS_OF else "countries"
    yield f"coverage (only {kept} known)", judged_with(table, drive, None, "", workers)


def row_of(name: str, judged: Judged | None, wanted: frozenset[str]) -> dict[str, Any]:
    """Numbers of one line, over the calls that are wanted."""
    if judged is None:
        return {"left out": name, "n": 0}
    own = judged.of(np.array([str(n) in wanted for n in judged.name], bool))
    told = summary_of(own)
    if own.error_m.size:
        others = baselines_summary(own)
        told["baselines"] = {k: v["calibrated"] | {"error_m": v["error_m"]} for k, v in others.items()}
    return {"left out": name, **told}


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    if not row["n"]:
        return f"| {row['left out']} | no call located |"
    error = " / ".join(f"{row['error_m'][c]:,.0f}" for c in AT[:3])
    shares = (" / ".join(f"{100 * row['coverage'][s][c]['share']:.0f}" for c in AT) for s in ("region", "circle"))
    score = f"{row['log_score']:.2f}"
    areas = map(area, (row["region_area_m2"], row["circle_area_m2"]))
    return f"| {' | '.join((row['left out'], error, *shares, *areas, score))} |"


def smallest(row: dict[str, Any]) -> str:
    """The smallest calibrated circle of another locator on the same calls, in words."""
    others = {k: v for k, v in row.get("baselines", {}).items() if v["area_m2"]}
    if not others:
        return ""
    name = min(others, key=lambda k: others[k]["area_m2"])
    error = others[name]["error_m"]
    return (
        f"smallest calibrated circle of another locator: {name}, {area(others[name]['area_m2'])} (radius"
        f" {others[name]['radius_m']:,.0f} m; errors {' / '.join(f'{error[c]:,.0f}' for c in AT[:3])})"
    )


def main() -> None:
    """Run all drives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drives", type=Path, default=SHARED / "drives", help="folder with the drives")
    parser.add_argument("--only", default=",".join(DRIVES), help="drives, with commas between")
    parser.add_argument("--every", type=int, default=1, help="only each Nth row of a drive")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="write all numbers there")
    given = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    for drive in given.only.split(","):
        file = given.drives / f"{drive}.parquet"
        if not file.exists():
            print(f"{drive}: skipped, {file} is absent", file=sys.stderr)
            continue
        table = pq.read_table(file)
        table = table.take(pa.array(np.arange(0, len(table), given.every)))
        found[drive] = []
        wanted: frozenset[str] = frozenset()
        for name, judged in runs(table, drive, given.workers):
            if judged is not None and not wanted:
                known = judged.labels[CELL] == KNOWN
                wanted = frozenset(map(str, judged.name[known]))
                cut = "" if given.every == 1 else f", every {given.every}th"
                print(f"\n{drive}: {len(table):,} rows{cut}, {len(wanted):,} of known cells; folds by {DRIVES[drive]};"
                      f" load {os.getloadavg()[0]:.1f}")  # fmt: skip
                print(f"| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}")
            row = row_of(name, judged, wanted)
            found[drive].append(row)
            print(line_of(row), flush=True)
        print(smallest(found[drive][0]), flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
