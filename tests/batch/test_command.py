"""`locsvc batch` as a process: formats in and out, wrong input, killed and resumed runs."""

from __future__ import annotations

import csv
import functools
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from locsvc import model
from locsvc.batch import engine
from locsvc.resolver import Resolver
from locsvc.tables.form import RESULT
from tests.batch.conftest import Batch, command, fixes
from tests.waiting import until


@pytest.fixture
def table(tmp_path: Path, seed: int) -> Path:
    """Sixty rows of a fix each."""
    path = tmp_path / "calls.parquet"
    pq.write_table(fixes(60, seed), path)
    return path


@pytest.fixture(scope="module")
def answered(batch: Batch, tmp_path_factory: pytest.TempPathFactory) -> tuple[pa.Table, list[tuple[Any, ...]]]:
    """Sixty rows, and what is said of them in Parquet."""
    folder = tmp_path_factory.mktemp("answered")
    rows = fixes(60, 60)
    pq.write_table(rows, folder / "calls.parquet")
    assert batch(folder / "calls.parquet", folder / "reference.parquet", "--workers", 1).returncode == 0
    return rows, read_output(folder / "reference.parquet")


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_parquet_to_parquet(batch: Batch, table: Path, town: Resolver, imported_town: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.parquet"
    done = batch(table, out, "--data", imported_town, "--summary", tmp_path / "s.json")
    assert done.returncode == 0, done.stderr
    found = pq.read_table(out)
    assert found.schema.names == [*RESULT.names, "note"]
    assert found.schema.field("region_cells").type == pa.list_(pa.uint64())
    rows = pq.read_table(table).to_pylist()
    calls = [
        model.Call(
            f"row-{n}",
            evidence=(
                model.Evidence(
                    model.DeviceReport(
                        model.Circle(model.LatLng(r["latitude"], r["longitude"]), r["radius_m"]), 0.68,
                        model.PositioningMethod.GNSS,
                    ),
                    "device",
                ),
            ),
        )
        for n, r in enumerate(rows, 1)
    ]  # fmt: skip
    for row, estimate, given in zip(found.to_pylist(), town.resolve(calls), rows, strict=True):
        assert estimate.region is not None
        assert estimate.position is not None
        assert row["region_cells"] == list(estimate.region.cells)
        assert (row["latitude_deg"], row["radius_m"]) == (estimate.position.latitude_deg, estimate.radius_m)
        assert (row["address"], row["note"]) == (estimate.address and estimate.address.line(), given["note"])
    told = json.loads((tmp_path / "s.json").read_text())
    assert told["calls"] == told["rows"] == 60
    assert told["source_share"] == {"cell_scan": 0.0, "device_report": 1.0, "line_lookup": 0.0}
    assert told["outcomes"] == {"located": 60}
    median = float(np.quantile(found.column("radius_m").to_numpy(), 0.5))
    assert told["radius_m"]["0.5"] == pytest.approx(median, rel=0.05)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["answers.parquet", "calls.parquet", "s.json"]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("a.csv", "o.csv.gz"), ("a.csv.gz", "o.parquet"), ("a.jsonl", "o.csv"), ("a.parquet", "o.jsonl"),
        ("a.parquet", "o.geoparquet"),
    ],
)  # fmt: skip
def test_every_form_says_the_same(
    batch: Batch, answered: tuple[pa.Table, list[tuple[Any, ...]]], tmp_path: Path, name: str, target: str
) -> None:
    rows, wanted = answered
    source, out = tmp_path / name, tmp_path / target
    if "csv" in name:
        plain = tmp_path / "plain.csv"
        arrow_csv.write_csv(rows, plain)
        source.write_bytes(gzip.compress(plain.read_bytes()) if name.endswith(".gz") else plain.read_bytes())
    elif name.endswith("jsonl"):
        source.write_text("".join(json.dumps(r) + "\n" for r in rows.to_pylist()))
    else:
        pq.write_table(rows, source)
    done = batch(source, out, "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert read_output(out) == wanted


def read_output(path: Path) -> list[tuple[Any, ...]]:
    """Name, place, radius, cells and note of each row, whatever the form."""
    if "parquet" in path.suffix:
        rows = pq.read_table(path).to_pylist()
    else:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        rows = [json.loads(line) for line in text.splitlines()] if "jsonl" in path.name else csv_rows(text)
    found = []
    for r in rows:
        cells = json.loads(r["region_cells"]) if isinstance(r["region_cells"], str) else r["region_cells"]
        numbers = (float(r["latitude_deg"]), float(r["longitude_deg"]), float(r["radius_m"]))
        found.append((r["call_id"], *numbers, [int(c) for c in cells], r["note"]))
    return found


def test_geoparquet_says_where_its_points_are(batch: Batch, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.geoparquet"
    assert batch(table, out).returncode == 0
    found = pq.read_table(out)
    geo = json.loads((pq.ParquetFile(out).metadata.metadata or {})[b"geo"])
    assert geo["columns"]["geometry"]["encoding"] == "WKB"
    from shapely import from_wkb

    points = from_wkb(found.column("geometry").to_pylist())
    assert [p.x for p in points] == found.column("longitude_deg").to_pylist()
    assert [p.y for p in points] == found.column("latitude_deg").to_pylist()
    west, south, east, north = geo["columns"]["geometry"]["bbox"]
    assert (west, north) == (min(p.x for p in points), max(p.y for p in points))
    assert (south, east) == (min(p.y for p in points), max(p.x for p in points))


def test_foreign_names_and_a_profile(batch: Batch, tmp_path: Path) -> None:
    source, profile = tmp_path / "theirs.csv", tmp_path / "p.toml"
    source.write_text("Anruf;Breite;Laenge;latitude;Zeit\nx1;55.0;2.5;9;2023-11-14T22:13:20Z\nx1;55.0001;2.5;9;\n")
    profile.write_text('[columns]\nAnruf = "call_id"\nBreite = "latitude"\n[run]\nconfidence = 0.5\nformat = "csv"\n')
    done = batch(source, "-", "--profile", profile, "--map", "Laenge=longitude", "--map", "Zeit=t")
    assert done.returncode == 0, done.stderr
    (row,) = csv_rows(done.stdout)
    assert (row["call_id"], row["confidence"], row["input_latitude"]) == ("x1", "0.5", "9")
    assert float(row["latitude_deg"]) == pytest.approx(55.0, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--map", "nix=latitude"), 65, "the input has no column 'nix'"),
        (("--map", "note=lat"), 65, "'lat' is none of our columns"),
        (("--map", "note"), 2, "write the input's name"),
        (("--format", "parquet"), 78, "parquet cannot go to stdout"),
        (("--confidence", "90"), 2, "for 90 % write 0.9"),
        (("--data", "nowhere"), 66, "nowhere"),
    ],
)
def test_wrong_use_is_told(batch: Batch, table: Path, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    done = batch(table, "-", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr


def test_stdin_to_stdout_in_order(batch: Batch) -> None:
    lines = ["latitude,longitude,note", *(f"{50 + i / 1000},7.5,{i}" for i in range(3_000))]
    done = batch("-", "-", "--format", "jsonl", stdin="\n".join(lines))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["note"] for r in rows] == [str(i) for i in range(3_000)]
    assert rows[7]["call_id"] == "row-8"


def test_empty_files(batch: Batch, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("")
    done = batch(tmp_path / "none.csv", tmp_path / "o.csv")
    assert done.returncode == 65
    assert "is empty" in done.stderr
    (tmp_path / "head.csv").write_text("latitude,longitude\n")
    assert batch(tmp_path / "head.csv", tmp_path / "o.parquet").returncode == 0
    assert pq.read_table(tmp_path / "o.parquet").schema.names == RESULT.names
    pq.write_table(fixes(0, 1), tmp_path / "empty.parquet")
    assert batch(tmp_path / "empty.parquet", tmp_path / "o.csv").returncode == 0
    assert (tmp_path / "o.csv").read_text().startswith('"call_id","outcome"')


def test_bad_rows_stand_in_their_places(batch: Batch, tmp_path: Path) -> None:
    source = tmp_path / "bad.csv"
    good, short = "55.0,2.5,ok", "55.0"
    source.write_text(f"latitude,longitude,note\n{good}\n{short}\n{good}\nx,2.5,odd\n{good}\n")
    done = batch(source, "-", "--summary", tmp_path / "s.json")
    rows = csv_rows(done.stdout)
    assert [r["outcome"] for r in rows] == ["located", "rejected", "located", "rejected", "located"]
    assert "row cannot be read: 1 fields where the header has 3" in rows[1]["warnings"]
    told = json.loads((tmp_path / "s.json").read_text())
    why = "row cannot be read: 1 fields where the header has 3"
    assert told["rejects"] == {why: 1, "latitude is not a number": 1}
    assert "latitude is not a number" in done.stderr


def test_bad_rows_of_one_call_are_all_counted(batch: Batch, tmp_path: Path) -> None:
    source = tmp_path / "bad.csv"
    source.write_text("call_id,latitude\n" + "one,north\n" * 300 + "two,91\n")
    done = batch(source, tmp_path / "o.parquet", "--summary", tmp_path / "s.json")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "s.json").read_text())
    # A call has 256 rows at most; each tells ten.
    further = "further values or rows of the call cannot be read"
    assert told["rejects"] == {further: 280, "latitude is not a number": 20, "latitude is outside -90 to 90": 1}
    assert [len(w) for w in pq.read_table(tmp_path / "o.parquet").column("warnings").to_pylist()] == [12, 12, 2]


def test_many_bad_rows(batch: Batch, tmp_path: Path) -> None:
    source = tmp_path / "bad.jsonl"
    source.write_text("".join(f'{{"latitude": "north", "note": {i}}}\n{{broken\n' for i in range(10_000)))
    done = batch(source, tmp_path / "o.parquet", "--summary", tmp_path / "s.json")
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "s.json").read_text())
    why = "row cannot be read: is not a JSON object"
    assert told["rejects"] == {"latitude is not a number": 10_000, why: 10_000}
    assert told["outcomes"] == {"rejected": 20_000}
    assert pq.read_table(tmp_path / "o.parquet").column("note").to_pylist()[2] == 1


def test_a_row_group_that_cannot_be_read(batch: Batch, tmp_path: Path, seed: int) -> None:
    source = tmp_path / "broken.parquet"
    pq.write_table(fixes(300, seed), source, row_group_size=100, compression="zstd", use_dictionary=False)
    start = pq.ParquetFile(source).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(source.read_bytes())
    content[start : start + 200] = bytes(200)
    source.write_bytes(content)
    done = batch(source, tmp_path / "o.parquet")
    assert done.returncode == 0, done.stderr
    outcomes = pq.read_table(tmp_path / "o.parquet").column("outcome").to_pylist()
    assert outcomes == ["located"] * 100 + ["rejected"] * 100 + ["located"] * 100


def test_calls_of_the_contract(batch: Batch, tmp_path: Path, sample: Path, imported_town: Path) -> None:
    texts = (sample / "calls.jsonl").read_text().splitlines()
    (tmp_path / "calls.jsonl").write_text("\n".join(texts) + "\n{}\nnonsense\n")
    done = batch(tmp_path / "calls.jsonl", "-", "--data", imported_town, "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["call_id"] for r in rows[:-2]] == [json.loads(t)["call_id"] for t in texts]
    assert [r["outcome"] for r in rows[-2:]] == ["no_location", "rejected"]
    assert {"located", "conflict", "no_location"} <= {r["outcome"] for r in rows}


# --- Runs that are stopped ---


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows for several seconds of work, some of one call."""
    path = tmp_path_factory.mktemp("large") / "large.parquet"
    rows = fixes(40_000, 40)
    names = [f"c{i // 2 if i % 5 == 0 else i}" for i in range(rows.num_rows)]
    pq.write_table(rows.append_column("call_id", pa.array(names)), path)
    return path


@pytest.fixture(scope="module")
def whole(batch: Batch, large: Path) -> pa.Table:
    """The answers of a run that nothing stops."""
    out = large.with_name("whole.parquet")
    assert batch(large, out).returncode == 0
    return pq.read_table(out)


def started(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )


def descendants(leader: int) -> list[int]:
    """Processes of the session that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def begun_or_ended(run: subprocess.Popen[str], journal: Path) -> bool:
    return journal.exists() or run.poll() is not None


def gone(run: subprocess.Popen[str]) -> bool:
    return not descendants(run.pid)


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_killed_again_and_again_and_resumed(
    batch: Batch, large: Path, whole: pa.Table, tmp_path: Path, seed: int
) -> None:
    out = tmp_path / "out.parquet"
    rng = np.random.default_rng(seed)
    kills = 0
    journal = tmp_path / "out.parquet.parts" / "journal.jsonl"
    for _ in range(10):
        run = started(large, out, "--resume")
        # Any moment: before anything is done, in the middle of parts, while they are joined.
        until(functools.partial(begun_or_ended, run, journal))
        time.sleep(rng.uniform(0, 0.8))
        if run.poll() is None:
            run.send_signal(signal.SIGKILL)
            kills += 1
        run.communicate()
        assert until(functools.partial(gone, run), 20), "processes of the pool outlive the run"
        if out.exists():
            break
        assert not list(tmp_path.glob("out.parquet")), "the output has its name before it is whole"
    assert kills > 1
    done = batch(large, out, "--resume", "--summary", tmp_path / "s.json")
    assert done.returncode == 0, done.stderr
    assert pq.read_table(out).equals(whole)
    assert not (tmp_path / "out.parquet.parts").exists()
    again = batch(large, out, "--resume")
    assert again.returncode == 0
    assert "whole already" in again.stderr


def test_interrupted_at_once_and_resumable(batch: Batch, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    run = started(large, out)
    journal = tmp_path / "out.csv.parts" / "journal.jsonl"
    assert until(lambda: lines_in(journal) >= 1)
    # As a terminal does: to all processes of the group.
    os.killpg(run.pid, signal.SIGINT)
    _, told = run.communicate(timeout=20)
    assert run.returncode == 130
    assert "--resume" in told
    assert "Traceback" not in told
    assert until(lambda: not descendants(run.pid), 20)
    refused = batch(large, out)
    assert refused.returncode == 78
    assert "unfinished run" in refused.stderr
    other = batch(large, out, "--resume", "--confidence", "0.5")
    assert other.returncode == 78
    assert "confidence was 0.9 and is 0.5" in other.stderr
    done = batch(large, out, "--resume", "--summary", tmp_path / "s.json")
    assert done.returncode == 0, done.stderr
    told_of = json.loads((tmp_path / "s.json").read_text())
    assert told_of["resumed_parts"] >= 1
    assert batch(large, tmp_path / "whole.csv", "--summary", tmp_path / "w.json").returncode == 0
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    told_whole = json.loads((tmp_path / "w.json").read_text())
    assert {k: told_of[k] for k in ("calls", "outcomes", "sources", "radius_m")} == {
        k: told_whole[k] for k in ("calls", "outcomes", "sources", "radius_m")
    }


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system cannot be mounted here: that needs the right to mount")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_and_resumable(batch: Batch, large: Path, whole: pa.Table, small_disk: Path) -> None:
    out = small_disk / "out.parquet"
    done = batch(large, out)
    assert done.returncode == 78
    assert "no space left on the disk" in done.stderr
    assert "--resume" in done.stderr
    assert not out.exists()
    subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
    again = batch(large, out, "--resume")
    assert again.returncode == 0, again.stderr
    assert pq.read_table(out).equals(whole)


def test_the_command_needs_no_arrow_until_it_runs() -> None:
    code = "import sys, locsvc.cli, locsvc.rpc; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.real
def test_a_drive_with_foreign_names(batch: Batch, shared: Path, tmp_path: Path) -> None:
    rows = pq.read_table(shared / "data" / "drives" / "cork.parquet").slice(0, 500)
    plain = rows.drop_columns(["neighbours", "session"])
    names = [{"cell": "CellID", "mnc": "Net", "t": "Timestamp"}.get(n, n) for n in plain.schema.names]
    arrow_csv.write_csv(plain.rename_columns(names), tmp_path / "theirs.csv")
    pq.write_table(rows.drop_columns(["neighbours", "session"]), tmp_path / "ours.parquet")
    mapped = ("--map", "CellID=cell", "--map", "Net=mnc", "--map", "Timestamp=t")
    assert batch(tmp_path / "theirs.csv", tmp_path / "a.parquet", *mapped).returncode == 0
    assert batch(tmp_path / "ours.parquet", tmp_path / "b.parquet").returncode == 0
    names = RESULT.names
    assert pq.read_table(tmp_path / "a.parquet", columns=names).equals(
        pq.read_table(tmp_path / "b.parquet", columns=names)
    )


def test_columns_of_the_wrong_type(batch: Batch, tmp_path: Path) -> None:
    rows = fixes(4, 1)
    wrong = {
        "latitude": pa.array([None, [51.0], [52.0], None], pa.list_(pa.float64())),
        "cell": pa.array([True, False, None, None]),
        "neighbours": pa.array([None, 7, None, None]),
    }
    for name, column in wrong.items():
        rows = rows.drop_columns([name]) if name in rows.schema.names else rows
        rows = rows.append_column(name, column)
    pq.write_table(rows, tmp_path / "wrong.parquet")
    done = batch(tmp_path / "wrong.parquet", "-", "--format", "jsonl", "--summary", tmp_path / "s.json")
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line)["outcome"] for line in done.stdout.splitlines()]
    # The last row says nothing wrong, and has half a fix.
    assert outcomes == ["rejected", "rejected", "rejected", "no_location"]
    reasons = json.loads((tmp_path / "s.json").read_text())["rejects"]
    assert {reason.partition("<")[0]: count for reason, count in reasons.items()} == {
        "cell is not a number but bool": 2,
        "latitude is not a number but list": 2,
        "neighbours is not a list of cells": 1,
    }


def test_a_reader_that_goes_away_ends_the_run(large: Path) -> None:
    run = subprocess.Popen(
        command(large, "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert run.stdout is not None
    assert run.stderr is not None
    with run.stderr:
        with run.stdout:
            assert run.stdout.readline().startswith('"call_id"')
        told = run.stderr.read()
    assert run.wait(60) == 0
    assert "Traceback" not in told
    assert until(functools.partial(gone, run), 20)


# What is loaded for a run of one part: neither the pool of processes, nor pandas, which Arrow would ask for.
ALONE = """
import sys
from locsvc.cli import main

try:
    main(["batch", *sys.argv[1:]])
except SystemExit as end:
    assert not end.code
print(sorted({"locsvc.batch.pool", "locsvc.batch.spark.engine", "pandas"} & set(sys.modules)))
"""


def test_a_single_part_is_answered_in_this_process_as_by_others(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, here, there = (tmp_path / f"{n}.parquet" for n in ("in", "here", "there"))
    pq.write_table(fixes(300, seed), source)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(source), str(here)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
    monkeypatch.setattr(engine, "PART_ROWS", 100)
    engine.run(engine.Job(source, there, workers=1))
    assert pq.read_table(here).equals(pq.read_table(there))
