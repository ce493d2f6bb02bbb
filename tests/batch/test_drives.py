"""The real drives through `locsvc batch` as they are; what comes out is what pyarrow, pandas and DuckDB open."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest

from locsvc.reference.cells import import_cells
from locsvc.reference.snapshot import Draft
from locsvc.tables.form import RESULT
from tests.batch.conftest import Batch

DRIVES = ("cork", "dakar", "losangeles", "ottawa")


@pytest.fixture(scope="module")
def ireland(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Irish tower database as a data directory."""
    data = tmp_path_factory.mktemp("ireland") / "data"
    with Draft.begin(data) as draft:
        import_cells(draft, shared / "data" / "cells" / "opencellid_ireland_272.csv.gz", name="cells")
        draft.publish()
    return data


@pytest.mark.real
@pytest.mark.parametrize("drive", DRIVES)
def test_drives_as_they_are(batch: Batch, shared: Path, ireland: Path, tmp_path: Path, drive: str) -> None:
    source, out = shared / "data" / "drives" / f"{drive}.parquet", tmp_path / "o.parquet"
    rows = pq.read_table(source)
    if rows.num_rows > 4_000:
        # A third of it: what differs between rows of one drive is little.
        source = tmp_path / "part.parquet"
        rows = rows.slice(0, 2_000)
        pq.write_table(rows, source)
    done = batch(source, out, "--data", ireland, "--summary", tmp_path / "s.json")
    assert done.returncode == 0, done.stderr
    found, told = pq.read_table(out), json.loads((tmp_path / "s.json").read_text())
    # Every row of a drive is a report of its own, and each has an answer.
    assert found.num_rows == rows.num_rows == told["calls"]
    assert told["outcomes"].get("rejected", 0) == 0
    assert found.column("truth_lat").equals(rows.column("truth_lat"))
    assert found.column("t").equals(rows.column("t"))
    if drive == "cork":
        assert told["fallbacks"]["centroid"] > 0
        assert told["fallbacks"]["site"] > 500


@pytest.fixture(scope="module")
def opened(shared: Path, tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, Path]:
    """300 rows of a drive with names of another's, answered in every format; `ours` those with our names."""
    del repository
    folder = tmp_path_factory.mktemp("opened")
    rows = pq.read_table(shared / "data" / "drives" / "cork.parquet").slice(0, 300)
    rows = rows.drop_columns(["neighbours"])
    theirs = {"cell": "Cell ID", "mnc": "Net", "area": "TAC", "t": "Timestamp", "radio": "RAT", "signal_dbm": "RSRP"}
    arrow_csv.write_csv(rows.rename_columns([theirs.get(n, n) for n in rows.schema.names]), folder / "theirs.csv")
    (folder / "theirs.toml").write_text("[columns]\n" + "".join(f'"{v}" = "{k}"\n' for k, v in theirs.items()))
    pq.write_table(rows, folder / "ours.parquet")
    return {"folder": folder, "theirs": folder / "theirs.csv", "ours": folder / "ours.parquet"}


@pytest.fixture(scope="module")
def _answered(opened: dict[str, Path], ireland: Path) -> None:
    """Answers beside the inputs, in one process for each format."""
    from locsvc.batch.engine import Job, run
    from locsvc.tables.profile import read_profile

    folder, names = opened["folder"], read_profile(opened["folder"] / "theirs.toml").columns
    for name in ("a.parquet", "a.geoparquet", "a.csv", "a.csv.gz", "a.jsonl"):
        run(Job(opened["ours"], folder / name, ireland, workers=1))
    run(Job(opened["theirs"], folder / "theirs-out.parquet", ireland, mapping=names, workers=1))


@pytest.mark.real
@pytest.mark.usefixtures("_answered")
def test_foreign_names_change_no_answer(opened: dict[str, Path]) -> None:
    theirs, ours = (
        pq.read_table(opened["folder"] / n, columns=RESULT.names) for n in ("a.parquet", "theirs-out.parquet")
    )
    assert theirs.equals(ours)


@pytest.mark.real
@pytest.mark.usefixtures("_answered")
@pytest.mark.parametrize("name", ["a.parquet", "a.geoparquet", "a.csv", "a.csv.gz", "a.jsonl"])
def test_pandas_opens_what_comes_out(opened: dict[str, Path], name: str) -> None:
    pandas = _installed("pandas")
    path, wanted = opened["folder"] / name, pq.read_table(opened["folder"] / "a.parquet")
    if "parquet" in name:
        frame = pandas.read_parquet(path)
    elif "csv" in name:
        frame = pandas.read_csv(path, parse_dates=["t"], float_precision="round_trip")
    else:
        frame = pandas.read_json(path, lines=True)
    assert list(frame["call_id"]) == wanted.column("call_id").to_pylist()
    assert list(frame["radius_m"]) == wanted.column("radius_m").to_pylist()
    # JSON has no times: there they are texts.
    assert "json" in name or str(frame["t"].dtype).startswith("datetime64")


@pytest.mark.real
@pytest.mark.usefixtures("_answered")
@pytest.mark.parametrize("name", ["a.parquet", "a.geoparquet", "a.csv", "a.csv.gz", "a.jsonl"])
def test_duckdb_opens_what_comes_out(opened: dict[str, Path], name: str) -> None:
    if importlib.util.find_spec("duckdb") is None:
        pytest.skip("duckdb is not installed")
    path, wanted = opened["folder"] / name, pq.read_table(opened["folder"] / "a.parquet")
    reader = "read_csv" if "csv" in name else "read_json" if "json" in name else "read_parquet"
    rows = _asked_of_duckdb(f"select call_id, radius_m, latitude_deg from {reader}('{path}')")
    assert [tuple(r) for r in rows] == list(
        zip(*(wanted.column(n).to_pylist() for n in ("call_id", "radius_m", "latitude_deg")), strict=True)
    )
    # Cells are lists of numbers where the format has lists.
    if "parquet" in name:
        count = _asked_of_duckdb(f"select sum(len(region_cells))::bigint from {reader}('{path}')")[0][0]
        assert count == sum(len(c) for c in wanted.column("region_cells").to_pylist())


def _asked_of_duckdb(query: str) -> list[list[Any]]:
    """Rows of a query, asked in a process of its own: DuckDB speaks of leaks when its process ends."""
    program = "import duckdb, json, sys; print(json.dumps(duckdb.sql(sys.argv[1]).fetchall()))"
    told = subprocess.run(
        [sys.executable, "-c", program, query], capture_output=True, text=True, check=True, timeout=120
    )
    rows: list[list[Any]] = json.loads(told.stdout)
    return rows


def _installed(module: str) -> Any:  # noqa: ANN401 - a module
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        pytest.skip(f"{module} is not installed: it is only asked to open what batch writes")


@pytest.mark.real
@pytest.mark.usefixtures("_answered")
def test_geoparquet_as_its_specification_says(opened: dict[str, Path]) -> None:
    """GeoParquet 1.1.0: what the metadata must hold, and what the column must be."""
    path = opened["folder"] / "a.geoparquet"
    found = pq.read_table(path)
    geo = json.loads((pq.ParquetFile(path).metadata.metadata or {})[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["primary_column"] in geo["columns"]
    column = geo["columns"][geo["primary_column"]]
    assert column["encoding"] == "WKB"
    assert column["geometry_types"] == ["Point"]
    # No crs: OGC:CRS84, longitude before latitude; no epoch, no edges: planar.
    assert set(column) <= {"encoding", "geometry_types", "bbox"}
    west, south, east, north = column["bbox"]
    assert -180 <= west <= east <= 180
    assert -90 <= south <= north <= 90
    # At the root, not repeated, bytes.
    assert found.schema.field("geometry").type == pa.binary()
