"""The Spark engine against the local one: real executors, rows of a call far apart, rows that cannot be read."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from locsvc.batch.spark import engine, grouping, session, units
from locsvc.cli import main
from locsvc.errors import BadData, ConfigError
from locsvc.tables import grouping as rule
from locsvc.tables.form import CALL, ROW
from tests.batch.conftest import Batch, command, fixes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


# Java's second compiler costs more than it brings to sessions as short as these.
QUICKLY = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
QUICK = {f"spark.{who}.extraJavaOptions": QUICKLY for who in ("driver", "executor")}
QUICK_COMMAND = [word for name, value in QUICK.items() for word in ("--conf", f"{name}={value}")]


@pytest.fixture(scope="module")
def java() -> None:
    """Spark's Java; without it there is nothing to show, but never in CI."""
    if shutil.which("java") is None:
        why = "Spark needs Java: `apt-get install openjdk-17-jre-headless`, which scripts/test does where it may"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


@pytest.fixture(scope="module")
def spark(java: None) -> Iterator[SparkSession]:
    """Two executors of one core each, processes of their own; runs in this process take this session."""
    del java
    with session.session("local-cluster[2,1,1024]", None, QUICK) as found:
        yield found


def answered(
    batch: Batch, source: Path, folder: Path, name: str = "out.parquet", data: Path | None = None
) -> tuple[pa.Table, pa.Table]:
    """The same input by the local engine and by Spark."""
    here, there, told = folder / f"local-{name}", folder / f"spark-{name}", folder / "told.json"
    done = batch(source, here, "--workers", 1, "--summary", told, *(() if data is None else ("--data", data)))
    assert done.returncode == 0, done.stderr
    theirs = engine.run(engine.SparkJob(str(source), str(there), data)).summary()
    assert not list(folder.glob("*.spark"))
    assert untimed(json.loads(json.dumps(theirs))) == untimed(json.loads(told.read_text()))
    return pq.read_table(here), pq.read_table(there)


def untimed(summary: dict[str, object]) -> dict[str, object]:
    return {k: v for k, v in summary.items() if k not in {"seconds", "calls_per_s"}}


def by_note(table: pa.Table) -> pa.Table:
    """Rows in the order of their notes, which no two share."""
    return table.sort_by("note")


def with_calls(rows: pa.Table, names: list[str | None]) -> pa.Table:
    return rows.append_column("call_id", pa.array(names, pa.string()))


def hard_names(n: int, seed: int) -> list[str | None]:
    """Calls of many rows, of rows as far apart as the window, one row further, of one row, and rows without a name."""
    rng = np.random.default_rng(seed)
    names: list[str | None] = [f"c{i}" for i in range(n)]
    for i in rng.integers(0, n, n // 5).tolist():
        names[i] = "long"
    for i in rng.integers(0, n, n // 10).tolist():
        names[i] = None
    for i, apart in ((10, rule.GAP), (11, rule.GAP + 1), (5_000, rule.GAP - 1), (7_000, 1)):
        names[i] = names[i + apart] = f"far{i}"
    return names


# --- Without Spark ---


@pytest.mark.parametrize(("gap", "most", "kinds"), [(7, 5, 12), (30, 4, 40), (3, 256, 5)])
def test_rows_of_a_call_come_together_as_locally(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch, gap: int, most: int, kinds: int
) -> None:
    for module in (rule, grouping):
        monkeypatch.setattr(module, "GAP", gap)
        monkeypatch.setattr(module, "MOST_ROWS", most)
    monkeypatch.setattr(units, "UNIT_ROWS", 9)
    rng = np.random.default_rng(seed)
    names = [None if k == 0 else f"c{k}" for k in rng.integers(0, kinds, 500).tolist()]
    pq.write_table(pa.table({"call_id": names}), tmp_path / "a.parquet", row_group_size=37)
    plan, _ = units.plan_of(units.tables_in(tmp_path / "a.parquet", None, {}))
    firsts = plan.firsts()
    numbers = [pa.RecordBatch.from_arrays([pa.array(range(len(plan)))], names=["id"])]
    named = pa.Table.from_batches(grouping.named_rows(plan, numbers)).sort_by(
        [("id", "ascending"), ("row", "ascending")]
    )
    # As Spark would hand them over: sorted, cut anywhere.
    told = grouping.told_rows(firsts, np.arange(len(plan)), named.combine_chunks().to_batches(max_chunksize=11))
    known = pa.Table.from_batches(told, grouping.TOLD).to_pandas()
    rows = units.Rows(plan)
    found = []
    for number in range(len(plan)):
        mine = known[known.unit == number].sort_values(["last", "row"])
        batch = grouping.whole_calls(rows, firsts, number, mine["last"].to_numpy(), mine["row"].to_numpy())
        found += calls_of(batch)
    grouper = rule.Grouper()
    source = [pa.RecordBatch.from_pydict({"call_id": pa.array(names, pa.string())})]
    wanted = [call for batch in (*grouper.add(source[0]), *grouper.end()) for call in calls_of(batch)]
    assert sorted(found) == sorted(wanted)
    assert [call[-1] for call in found] == sorted(call[-1] for call in found)


def calls_of(batch: pa.RecordBatch) -> list[list[int]]:
    """The rows of each call."""
    call, row = (batch.column(n).to_pylist() for n in (CALL, ROW))
    return [[r for c, r in zip(call, row, strict=True) if c == k] for k in dict.fromkeys(call)]


def test_without_java_the_remedy_is_told(batch: Batch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(fixes(3, 1), tmp_path / "a.parquet")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    done = batch(tmp_path / "a.parquet", tmp_path / "o.parquet", "--engine", "spark", "--master", "local[1]")
    assert done.returncode == 78
    assert "openjdk-17-jre-headless" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("a.parquet", "-", "--engine", "spark"), 78, "stdin and stdout are --engine local's"),
        (("a.parquet", "o.parquet", "--engine", "spark", "--ship-data"), 78, "--ship-data needs a data directory"),
        (("a.parquet", "o.parquet", "--engine", "spark", "--resume"), 2, "Spark has --executors"),
        (("a.parquet", "o.parquet", "--engine", "spark", "--conf", "x"), 2, "write NAME=VALUE"),
        (("a.parquet", "o.parquet", "--master", "yarn"), 2, "are for --engine spark"),
    ],
)
def test_wrong_use_is_told(batch: Batch, arguments: tuple[str, ...], code: int, sentence: str) -> None:
    done = batch(*arguments)
    assert done.returncode == code
    assert sentence in " ".join(done.stderr.split())


# --- Two executors ---


def test_there_are_two_executors(spark: SparkSession) -> None:
    spark.range(0, 8, 1, 8).count()
    assert len(executors()) == 2


def executors() -> list[psutil.Process]:
    """Executors' processes below this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if any("ExecutorBackend" in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.usefixtures("spark")
def test_calls_of_many_rows(
    batch: Batch, tmp_path: Path, seed: int, imported_town: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = with_calls(fixes(20_000, seed), hard_names(20_000, seed))
    # Types that Spark does not have pass through as they are.
    odd = {
        "big": pa.array(np.arange(20_000, dtype=np.uint64) + 2**63),
        "at": pa.array(np.arange(20_000), pa.timestamp("ns")),
    }
    for name, column in odd.items():
        rows = rows.append_column(name, column)
    pq.write_table(rows, tmp_path / "a.parquet", row_group_size=6_000)
    ours, theirs = answered(batch, tmp_path / "a.parquet", tmp_path, data=imported_town)
    assert by_note(theirs).equals(by_note(ours))
    # Other cuts: the same answers in the same order.
    monkeypatch.setattr(units, "UNIT_ROWS", 1_500)
    engine.run(engine.SparkJob(str(tmp_path / "a.parquet"), str(tmp_path / "again.parquet"), data=imported_town))
    assert pq.read_table(tmp_path / "again.parquet").equals(theirs)


@pytest.mark.usefixtures("spark")
def test_rows_that_cannot_be_read(batch: Batch, tmp_path: Path, seed: int) -> None:
    n = 20_000
    arrow_csv.write_csv(with_calls(fixes(n, seed), [f"c{i // 2}" for i in range(n)]), tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().split("\n")
    lines[1:n:97] = ["1,2"] * len(lines[1:n:97])
    lines[50] = '55.0,2.5,3,0.68,gps,"a\nline",c50'
    lines[60] = '91,2.5,3,0.68,gps,"never closed,c60'
    (tmp_path / "a.csv").write_text("\n".join(lines))
    ours, theirs = answered(batch, tmp_path / "a.csv", tmp_path)
    assert "rejected" in ours.column("outcome").to_pylist()
    assert by_note(theirs).equals(by_note(ours))
    # Packed, in another form, with their names, into a directory of parts that another program can read.
    packed = tmp_path / "b.csv.gz"
    packed.write_bytes(gzip.compress("\n".join(lines).replace("latitude", "Breite", 1).encode()))
    run = engine.run(
        engine.SparkJob(str(packed), f"{tmp_path}/parts/", output_format="csv", mapping={"Breite": "latitude"})
    )
    parts = sorted((tmp_path / "parts").glob("part-*.csv"))
    found = [row for part in parts for row in csv.DictReader(part.read_text().splitlines())]
    assert [r["call_id"] for r in found] == theirs.column("call_id").to_pylist()
    radii = [float(r["radius_m"]) if r["radius_m"] else None for r in found]
    assert radii == theirs.column("radius_m").to_pylist()
    assert run.tally.calls == len(found)
    assert sorted(p.name for p in tmp_path.glob("parts/*") if not p.name.startswith("part-")) == ["_SUCCESS"]
    with pytest.raises(ConfigError, match="is there already"):
        engine.run(engine.SparkJob(str(packed), f"{tmp_path}/parts/"))


@pytest.mark.usefixtures("spark")
def test_json_lines_and_damaged_row_groups(batch: Batch, tmp_path: Path, seed: int) -> None:
    rows = fixes(3_000, seed)
    texts = [json.dumps(r) for r in rows.to_pylist()]
    texts[5:3_000:50] = ["{broken"] * len(texts[5:3_000:50])
    texts[7] = '{"latitude": "north", "note": "odd"}'
    (tmp_path / "a.jsonl").write_text("\n".join(texts))
    ours, theirs = answered(batch, tmp_path / "a.jsonl", tmp_path)
    assert theirs.equals(ours)
    source = tmp_path / "broken.parquet"
    pq.write_table(rows, source, row_group_size=1_000, compression="zstd", use_dictionary=False)
    start = pq.ParquetFile(source).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(source.read_bytes())
    content[start : start + 200] = bytes(200)
    source.write_bytes(content)
    ours, theirs = answered(batch, source, tmp_path, "groups.parquet")
    assert ours.column("outcome").to_pylist().count("rejected") == 1_000
    assert theirs.equals(ours)


@pytest.mark.usefixtures("spark")
def test_directories_are_their_files_by_name(
    batch: Batch, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = with_calls(fixes(900, seed), [f"c{i // 4}" for i in range(900)])
    pq.write_table(rows, tmp_path / "whole.parquet")
    (tmp_path / "in").mkdir()
    for n, (start, end) in enumerate(((0, 301), (301, 302), (302, 900))):
        pq.write_table(rows.slice(start, end - start), tmp_path / "in" / f"{n}.parquet")
    (tmp_path / "in" / "_SUCCESS").touch()
    assert batch(tmp_path / "whole.parquet", tmp_path / "ours.geoparquet").returncode == 0
    monkeypatch.chdir(tmp_path)
    engine.run(engine.SparkJob("in", "theirs.geoparquet"))
    assert pq.read_table(tmp_path / "theirs.geoparquet").equals(pq.read_table(tmp_path / "ours.geoparquet"))
    pq.write_table(rows.drop_columns("note"), tmp_path / "in" / "3.parquet")
    with pytest.raises(BadData, match="other columns"):
        engine.run(engine.SparkJob(str(tmp_path / "in"), str(tmp_path / "no.parquet")))
    pq.write_table(rows.slice(0, 0), tmp_path / "empty.parquet")
    ours, theirs = answered(batch, tmp_path / "empty.parquet", tmp_path)
    assert theirs.equals(ours)


@pytest.mark.usefixtures("spark")
def test_urls_go_through_spark(batch: Batch, tmp_path: Path, seed: int, imported_town: Path) -> None:
    rows = with_calls(fixes(9_000, seed), [None if i % 7 == 0 else f"c{i // 3}" for i in range(9_000)])
    pq.write_table(rows, tmp_path / "a.parquet", row_group_size=2_000)
    source, target = (tmp_path / "a.parquet").as_uri(), (tmp_path / "out").as_uri()
    run = engine.run(engine.SparkJob(source, target, imported_town))
    assert (
        batch(
            tmp_path / "a.parquet",
            tmp_path / "ours.parquet",
            "--data",
            imported_town,
            "--summary",
            tmp_path / "told.json",
        ).returncode
        == 0
    )
    ours = pq.read_table(tmp_path / "ours.parquet")
    found = read_parts(tmp_path / "out").cast(ours.schema)
    assert by_note(found).equals(by_note(ours))
    assert [int(n[1:]) for n in found.column("note").to_pylist()] == sorted(
        int(n[1:]) for n in ours.column("note").to_pylist()
    )
    assert untimed(json.loads(json.dumps(run.summary()))) == untimed(json.loads((tmp_path / "told.json").read_text()))
    (tmp_path / "texts").mkdir()
    arrow_csv.write_csv(rows.slice(0, 4_000), tmp_path / "texts" / "a.csv")
    lines = (tmp_path / "texts" / "a.csv").read_text().splitlines()
    lines[10] = "1,2"
    (tmp_path / "texts" / "b.csv").write_text("\n".join([lines[0], *lines[2_001:]]))
    (tmp_path / "texts" / "a.csv").write_text("\n".join(lines[:2_001]) + "\n\n")
    (tmp_path / "whole.csv").write_text("\n".join(lines))
    assert batch(tmp_path / "whole.csv", tmp_path / "ours.csv").returncode == 0
    job = engine.SparkJob((tmp_path / "texts").as_uri(), str(tmp_path / "csv"), None, 0.9, "csv", "csv")
    engine.run(job)
    parts = sorted((tmp_path / "csv").glob("part-*"))
    theirs = [line for part in parts for line in part.read_text().splitlines()[1:]]
    assert sorted(theirs) == sorted((tmp_path / "ours.csv").read_text().splitlines()[1:])
    with pytest.raises(BadData, match="PATH_NOT_FOUND"):
        engine.run(engine.SparkJob((tmp_path / "nowhere.parquet").as_uri(), (tmp_path / "o").as_uri()))


@pytest.mark.usefixtures("spark")
def test_columns_of_json_lines_that_begin_late_come_through_urls(batch: Batch, tmp_path: Path, seed: int) -> None:
    rows = fixes(6_000, seed).drop_columns("method").to_pylist()
    # A column of evidence under another name, one of notes, and one that is no longer a whole number.
    rows[5_000] |= {"Verfahren": "wifi", "late": "x", "count": 1}
    rows[5_900] |= {"Verfahren": "gps", "count": 2.5}
    (tmp_path / "in").mkdir()
    for name, some in (("a", rows[:3_000]), ("b", rows[3_000:])):
        (tmp_path / "in" / f"{name}.jsonl").write_text("\n".join(["", *map(json.dumps, some), ""]))
    (tmp_path / "whole.jsonl").write_text("\n".join(map(json.dumps, rows)))
    mapping = {"Verfahren": "method"}
    assert batch(tmp_path / "whole.jsonl", tmp_path / "o.parquet", "--map", "Verfahren=method").returncode == 0
    out = tmp_path / "out"
    engine.run(engine.SparkJob((tmp_path / "in").as_uri(), out.as_uri(), None, 0.9, "jsonl", "parquet", mapping))
    ours = pq.read_table(tmp_path / "o.parquet")
    assert ours.column("late").null_count == 5_999
    assert read_parts(out).cast(ours.schema).equals(ours)


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("by_url", [False, True])
def test_summary_and_report_are_those_of_the_local_engine(
    batch: Batch, tmp_path: Path, seed: int, imported_town: Path, *, by_url: bool
) -> None:
    rows = fixes(400, seed).to_pylist()
    texts = [json.dumps(r | {"t": 1_700_000_000 + 60 * i}) for i, r in enumerate(rows)]
    texts[7:400:40] = ['{"latitude": "north"}'] * len(texts[7:400:40])
    texts[9] = "{broken"
    source, out = tmp_path / "a.jsonl", tmp_path / "out.parquet"
    source.write_text("\n".join(texts))
    files = {n: tmp_path / n for n in ("ours.json", "ours.html", "theirs.json", "theirs.html")}
    told = ("--data", imported_town, "--summary", files["ours.json"], "--report", files["ours.html"])
    assert batch(source, tmp_path / "ours.parquet", *told).returncode == 0
    names = (source.as_uri(), out.as_uri()) if by_url else (str(source), str(out))
    arguments = ["batch", *names, "--engine", "spark", "--data", str(imported_town)]
    with pytest.raises(SystemExit) as end:
        main.main([*arguments, "--summary", str(files["theirs.json"]), "--report", str(files["theirs.html"])])
    assert not end.value.code
    summaries = [untimed(json.loads(files[f"{who}.json"].read_text())) for who in ("ours", "theirs")]
    assert summaries[0] == summaries[1]
    assert summaries[0]["rejects"] == {"latitude is not a number": 10, "row cannot be read: is not a JSON object": 1}
    pages = [plotted(files[f"{who}.html"].read_text()) for who in ("ours", "theirs")]
    assert pages[0] == pages[1]
    assert any("Histogram of the radii" in text for text in pages[0])


def plotted(page: str) -> list[str]:
    """What a page's map and plots are made of, without the pace of its run."""
    found = re.findall(r'id="squares">(.*?)</script>|aria-label="([^"]*)"', page)
    return [frame or label for frame, label in found if not label.startswith("Calls a second")]


def read_parts(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.ParquetFile(p).read() for p in sorted(folder.glob("part-*.parquet"))])


@pytest.mark.usefixtures("spark")
def test_what_a_task_says_comes_out(tmp_path: Path, imported_town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(fixes(30, 1), tmp_path / "a.parquet")
    monkeypatch.setattr(engine, "_snapshot", lambda _: "another")
    with pytest.raises(ConfigError, match=r"^the reference data changed while the run began; start it again$"):
        engine.run(engine.SparkJob(str(tmp_path / "a.parquet"), str(tmp_path / "o.parquet"), imported_town))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet"]


@pytest.mark.usefixtures("spark")
def test_an_executor_is_killed(batch: Batch, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "UNIT_ROWS", 1_000)
    pq.write_table(with_calls(fixes(30_000, seed), [f"c{i // 3}" for i in range(30_000)]), tmp_path / "a.parquet")
    parts = tmp_path / "out.parquet.spark" / "parts"
    killed: list[int] = []

    def kill() -> None:
        end = time.monotonic() + 300
        while time.monotonic() < end and not killed:
            if list(parts.glob("part-*")):
                victim = executors()[0]
                victim.kill()
                killed.append(victim.pid)
            time.sleep(0.02)

    thread = threading.Thread(target=kill)
    thread.start()
    engine.run(engine.SparkJob(str(tmp_path / "a.parquet"), str(tmp_path / "out.parquet")))
    thread.join()
    assert killed
    assert batch(tmp_path / "a.parquet", tmp_path / "ours.parquet").returncode == 0
    assert pq.read_table(tmp_path / "out.parquet").equals(pq.read_table(tmp_path / "ours.parquet"))


# --- The command ---


@pytest.mark.usefixtures("java")
def test_the_command_with_foreign_names_and_a_shipped_data_directory(
    batch: Batch, tmp_path: Path, seed: int, imported_town: Path
) -> None:
    rows = fixes(200, seed).rename_columns(["Lat", "Lon", "radius_m", "reported_confidence", "method", "note"])
    arrow_csv.write_csv(rows, tmp_path / "theirs.csv")
    (tmp_path / "p.toml").write_text('[columns]\nLat = "latitude"\n[run]\nconfidence = 0.5\n')
    told = ("--profile", tmp_path / "p.toml", "--map", "Lon=longitude", "--data", imported_town)
    ours = batch(tmp_path / "theirs.csv", tmp_path / "ours.parquet", *told)
    assert ours.returncode == 0, ours.stderr
    spark = (
        "--engine",
        "spark",
        "--master",
        "local[2]",
        "--ship-data",
        "--summary",
        tmp_path / "s.json",
        *QUICK_COMMAND,
    )
    done = batch(tmp_path / "theirs.csv", tmp_path / "theirs.parquet", *told, *spark)
    assert done.returncode == 0, done.stderr
    assert pq.read_table(tmp_path / "theirs.parquet").equals(pq.read_table(tmp_path / "ours.parquet"))
    assert json.loads((tmp_path / "s.json").read_text())["outcomes"] == {"located": 200}
    # Spark and Java keep quiet: what is said is the summary, as locally.
    assert [x.split()[0] for x in done.stderr.splitlines()] == [x.split()[0] for x in ours.stderr.splitlines()]


@pytest.mark.usefixtures("java")
def test_interrupted_at_once(tmp_path: Path, seed: int) -> None:
    pq.write_table(fixes(60_000, seed), tmp_path / "a.parquet")
    out = tmp_path / "o.parquet"
    run = subprocess.Popen(
        command(tmp_path / "a.parquet", out, "--engine", "spark", "--master", "local[2]", *QUICK_COMMAND),
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + 300
    while time.monotonic() < end and not list(tmp_path.glob("o.parquet.spark/parts/part-*")) and run.poll() is None:
        time.sleep(0.05)
    # As a terminal does: to all processes of the group.
    os.killpg(run.pid, signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in told
    assert "--resume" not in told
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet"]
