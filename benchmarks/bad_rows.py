"""A million rows that cannot be read, with good ones among them: time, memory, and whether all are accounted for.

    python benchmarks/bad_rows.py [--rows 1000000] [--workers 2] [--form csv parquet]

Each row is wrong in one way, in turn: quotes that are never closed, too many and too few fields, bytes that are no
text, numbers that are none or cannot be. Each twenty-first is good. It ends with an error unless the summary counts
each reason as often as it was written, every row has its place in the output, and good rows are answered as without
the others. Memory is that of `benchmarks/batch_10m.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.batch_10m import LIMIT_BYTES, run, write_reference

GOOD_EACH, CHUNK = 21, 105_000
COLUMNS = ("call_id", "t", "radio", "mcc", "mnc", "area", "cell", "latitude", "longitude", "radius_m", "method", "note")
FIELDS = f"fields where the header has {len(COLUMNS)}"
SLIP = "row cannot be read: a quote is not closed"
TIME = "t is not a time (RFC 3339 or Unix seconds)"
# Lines by what is wrong with them, after the call's name; good ones last.
LINES: tuple[tuple[str, bytes], ...] = (
    (SLIP, b',,,,,,,"51.5,-8.2,30,gps,open'),
    (f"row cannot be read: {len(COLUMNS) + 1} {FIELDS}", b",,,,,,,51.5,-8.2,30,gps,many,more"),
    (f"row cannot be read: 3 {FIELDS}", b",51.5,-8.2"),
    (SLIP, b',,,,,,,,,,,"a" or "b""'),
    ("latitude is not a number", b",,,,,,,north,-8.2,30,gps,text"),
    ("latitude is not a number", b",,,,,,,\xff\xfe51,-8.2,30,gps,bytes"),
    ("latitude is outside -90 to 90", b',,,,,,,"91.5",-8.2,30,gps,"a ""pole"""'),
    ("longitude is outside -180 to 180", b",,,,,,,51.5,1e9,30,gps,far"),
    ("radio is no radio (GSM, UMTS, LTE or NR)", b",,6G,,,,,,,,,radio"),
    ("cell is not a whole number", b",,LTE,272,1,1000,256.5,,,,,cell"),
    ("mcc is outside 1 to 999", b",,LTE,0,1,1000,,,,,,network"),
    (TIME, b",2026-13-01T00:00:00Z,,,,,,,,,,month"),
    ("method is no positioning method", b",,,,,,,,,,dowsing,method"),
    ("longitude is not a number", b",,,,,,,51.5,\x00,30,gps,zero"),
)
WITHOUT = {"call_id": pa.string(), "t": pa.float64(), "radio": pa.string(), "method": pa.string(), "note": pa.string()}
# Values of Parquet by what is wrong with them.
VALUES: tuple[tuple[str, dict[str, object]], ...] = (
    ("latitude is outside -90 to 90", {"latitude": 91.5, "longitude": -8.2}),
    ("latitude is outside -90 to 90", {"latitude": float("inf"), "longitude": -8.2}),
    ("longitude is outside -180 to 180", {"latitude": 51.5, "longitude": 1e9}),
    ("radius_m is outside 0 to 20100000", {"radius_m": -5.0}),
    ("mcc is outside 1 to 999", {"mcc": 0.0, "mnc": 1.0}),
    ("cell is not a whole number", {"radio": "LTE", "mcc": 272.0, "mnc": 1.0, "cell": 256.5}),
    ("cell is out of the range of its radio", {"radio": "LTE", "mcc": 272.0, "mnc": 1.0, "cell": 1e12}),
    ("radio is no radio (GSM, UMTS, LTE or NR)", {"radio": "6G"}),
    ("method is no positioning method", {"method": "dowsing"}),
    ("t is outside -6.21356e+10 to 253402300799", {"t": -1e18}),
)


def schema() -> pa.Schema:
    """Of the Parquet file."""
    return pa.schema([pa.field(n, WITHOUT.get(n, pa.float64())) for n in COLUMNS])


def good(number: int, where: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> dict[str, object]:
    """A row that can be read: a fix, or a cell that is known."""
    site = number % where.shape[1]
    row: dict[str, object] = {"call_id": f"good-{number}", "t": 1_700_000_000.0 + number, "note": f"n{number}"}
    if number % 2:
        lat, lng = np.round(where[:, site], 6).tolist()
        return row | {"latitude": lat, "longitude": lng, "radius_m": 30.0, "method": "gps"}
    return row | {"radio": "LTE", "mcc": 272.0, "mnc": 1.0, "area": 1000.0 + site // 100, "cell": 256.0 * site}


def is_good(number: int) -> bool:
    """Whether a row is one of those that can be read."""
    return number % GOOD_EACH == GOOD_EACH - 1


def write_csv(path: Path, rows: range, where: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Counter[str]:
    """The rows as CSV, and how many are wrong for which reason."""
    wrong: Counter[str] = Counter()
    with path.open("wb") as out:
        out.write(",".join(COLUMNS).encode() + b"\n")
        for number in rows:
            if is_good(number):
                row = good(number, where)
                out.write(",".join(str(row.get(n, "")) for n in COLUMNS).encode() + b"\n")
            else:
                reason, line = LINES[number % len(LINES)]
                wrong[reason] += 1
                out.write(b"bad-%d%b\n" % (number, line))
    return wrong


def write_parquet(path: Path, rows: range, where: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Counter[str]:
    """The rows as Parquet, and how many are wrong for which reason."""
    wrong: Counter[str] = Counter()
    with pq.ParquetWriter(path, schema()) as writer:
        for first in range(0, len(rows), CHUNK):
            made = []
            for number in rows[first : first + CHUNK]:
                if is_good(number):
                    made.append(good(number, where))
                else:
                    reason, values = VALUES[number % len(VALUES)]
                    wrong[reason] += 1
                    made.append({"call_id": f"bad-{number}", **values})
            writer.write_table(pa.Table.from_pylist(made, schema()))
    return wrong


def answers(path: Path) -> pa.Table:
    """The answers to good rows."""
    found = pq.read_table(path)
    return found.filter(pc.starts_with(found.column("call_id"), "good-"))


def failures(told: dict[str, object], wrong: Counter[str], target: Path, alone: Path, rows: range) -> list[str]:
    """What is not accounted for."""
    missed = [name for name in ("rows", "calls") if told[name] != len(rows)]
    if told["rejects"] != dict(wrong):
        missed.append(f"rejects {told['rejects']} where {dict(wrong)} were written")
    wanted = pa.array([f"{'good' if is_good(n) else 'bad'}-{n}" for n in rows])
    names = pq.read_table(target, columns=["call_id"]).column(0).combine_chunks()
    # Of a line without a place for its name, only the number is left.
    named = pc.invert(pc.starts_with(names, "row-"))
    if len(names) != len(wanted) or not names.filter(named).equals(wanted.filter(named)):
        missed.append("calls or their order")
    if not answers(target).equals(pq.read_table(alone)):
        missed.append("answers to good rows")
    return missed


def main() -> None:
    """Run each form, and say what it took."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=1_000_000, help="bad ones")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--form", nargs="+", default=["csv", "parquet"], choices=("csv", "parquet"))
    options.add_argument("--folder", type=Path, help="where there is room; else the system's temporary folder")
    given = options.parse_args()
    rows = range(given.rows * GOOD_EACH // (GOOD_EACH - 1))
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        folder = Path(made)
        data, where = write_reference(folder, np.random.default_rng(1))
        print("| IN | rows | bad | IN, MB | OUT, MB | seconds | us a row | peak memory, MB | load | accounted for |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
        for form in given.form:
            source, target, summary = (folder / f"{n}.{form}" for n in ("in", "out", "summary"))
            kept, alone = folder / f"good.{form}", folder / "alone.parquet"
            target = target.with_suffix(".parquet")
            write = write_csv if form == "csv" else write_parquet
            wrong = write(source, rows, where)
            write(kept, range(GOOD_EACH - 1, rows.stop, GOOD_EACH), where)
            told = ["--data", str(data), "--workers", str(given.workers)]
            run([str(kept), str(alone), *told])
            load = os.getloadavg()[0]
            took_s, peak = run([str(source), str(target), *told, "--summary", str(summary)])
            missed = failures(json.loads(summary.read_text()), wrong, target, alone, rows)
            sizes = " | ".join(f"{p.stat().st_size / 1e6:,.0f}" for p in (source, target))
            print(
                f"| {form} | {len(rows):,} | {wrong.total():,} | {sizes} | {took_s:,.0f}"
                f" | {took_s / len(rows) * 1e6:.0f} | {peak / 1e6:,.0f} | {load:.0f} | {'; '.join(missed) or 'all'} |",
                flush=True,
            )
            if missed or peak > LIMIT_BYTES:
                raise SystemExit("not all is accounted for, or more memory than allowed")


if __name__ == "__main__":
    main()
