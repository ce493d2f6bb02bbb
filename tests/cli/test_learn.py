"""`learn`, and what `info` and `lookup cell` tell of what was learned."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from locsvc.cli import main

HEADER = "when,lat,lon,acc,radio,mcc,mnc,area,cell,pci,arfcn,signal_dbm\n"
ROWS = "".join(f"2024-03-01T{h:02d}:00:00Z,55.00{h},2.5,8,LTE,1,1,7,4242,11,6400,-9{h}\n" for h in range(3))
MAP = ["--map", "when=t", "--map", "lat=truth_lat", "--map", "lon=truth_lon", "--map", "acc=truth_accuracy_m"]


def run(*args: str | Path) -> Result:
    return CliRunner(env={"LOCSVC_DATA": None}).invoke(main, [str(a) for a in args])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "calls.csv"
    path.write_text(HEADER + ROWS + "2024-03-01T00:00:00Z,,,,LTE,1,1,7,4242,,,-80\n")
    return path


def test_learned_shown_and_looked_up(table: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = run("learn", table, *MAP, "--data", data, "--half-life", "90", "--licence", "our own")
    assert done.exit_code == 0, done.output
    first, second, *rest = done.stdout.splitlines()
    assert first.startswith("learned from 3 of 4 rows in ")
    assert second == "coverage: 2 cells at 3 places from 3 reports, 2024-03-01 to 2024-03-01; half-life 90 days"
    assert [line.strip() for line in rest] == ["1 rejected: no truth"]

    shown = run("info", "--data", data)
    assert "coverage: 2 cells (1 by channel and pci) at 3 places from 3 reports" in shown.stdout
    assert "our own" in shown.stdout
    told = json.loads(run("info", "--data", data, "--json").stdout)
    assert told["datasets"][0]["dataset"] == "coverage"
    assert told["coverage"] == {
        "cells": 2, "physical": 1, "places": 3, "reports": 3, "resolution": 11, "half_life_days": 90.0,
        "from": "2024-03-01", "until": "2024-03-01", "tables": ["calls.csv"],
    }  # fmt: skip

    found = json.loads(run("lookup", "cell", "LTE,001,01,7,4242,pci=11,arfcn=6400", "--data", data, "--json").stdout)
    assert [each["by"] for each in found["learned"]] == ["identity", "channel and pci"]
    for each in found["learned"]:
        assert (each["places"], each["reports"], each["serving_reports"], each["signal_dbm"]) == (3, 3, 3, -91)
        assert each["position"]["latitude_deg"] == pytest.approx(55.001, abs=0.0005)
        assert each["radius_m"] == pytest.approx(111, abs=40)
    shown = run("lookup", "cell", "LTE,001,01,7,4242", "--data", data)
    assert "-91.0 ± 0.8 dBm" in shown.stdout
    unknown = run("lookup", "cell", "LTE,001,01,7,9999", "--data", data)
    assert unknown.exit_code == 66
    assert "no cells dataset" in unknown.stderr


def test_summary_as_json(table: Path, tmp_path: Path) -> None:
    done = run("learn", table, *MAP, "--data", tmp_path / "data", "--json", "--resolution", "12")
    told = json.loads(done.stdout)
    assert (told["rows"], told["used"], told["rejected"]) == (4, 3, {"no truth": 1})
    assert (told["coverage"]["resolution"], told["coverage"]["physical_cells"]) == (12, 1)


def test_profile_names_columns(table: Path, tmp_path: Path) -> None:
    profile = tmp_path / "p.toml"
    profile.write_text('[columns]\nwhen = "t"\nlat = "truth_lat"\nlon = "truth_lon"\n')
    done = run("learn", table, "--profile", profile, "--data", tmp_path / "data")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 65, "no row could be learned from (no truth: 4); nothing was changed"),
        (("--map", "lat=latitud"), 65, "'latitud' is none of our columns"),
        (("--half-life", "0"), 2, "--half-life"),
        (("--resolution", "8"), 2, "--resolution"),
        (("--map", "lat"), 2, "write the input's name"),
    ],
)
def test_wrong_use(table: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    parquet = tmp_path / "calls.parquet"
    pq.write_table(arrow_csv.read_csv(table), parquet)
    done = run("learn", parquet, *arguments, "--data", tmp_path / "data")
    assert done.exit_code == code
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_learning_the_same_again_is_refused(table: Path, tmp_path: Path) -> None:
    assert run("learn", table, *MAP, "--data", tmp_path / "data").exit_code == 0
    again = run("learn", table, *MAP, "--data", tmp_path / "data")
    assert again.exit_code == 65
    assert "was learned before" in again.stderr
    assert run("learn", table, *MAP, "--data", tmp_path / "data", "--fresh").exit_code == 0
