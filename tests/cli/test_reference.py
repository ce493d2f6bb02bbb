"""`import`, `lookup`, `info` and `bench`, end to end on small tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.protobuf import json_format

from locsvc import errors
from locsvc.cli import main
from locsvc.v1 import reference_service_pb2

AREA = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"title": "Square", "code": "S1"},
            "geometry": {"type": "Polygon", "coordinates": [[[2, 50], [3, 50], [3, 51], [2, 51], [2, 50]]]},
        }
    ],
}


def run(*args: str | Path) -> Result:
    return CliRunner(env={"LOCSVC_DATA": None}).invoke(main, [str(a) for a in args])


def table(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One small table of each kind, with columns of another house."""
    cell = {"radio": "LTE", "mcc": 1, "net": 1, "area": 7, "cell": 300, "unit": 0, "lon": 2.5, "lat": 50.5}
    more = {"range": 900, "samples": 12, "changeable": 1, "created": 1_700_000_000, "updated": 1_700_000_001}
    home: dict[str, object] = {"TN": "01632960001", "COS": "1", "STREET": "Mill Lane", "HNO": "3", "TOWN": "Testham"}
    geojson = tmp_path / "areas.geojson"
    geojson.write_text(json.dumps(AREA), encoding="utf-8")
    return {
        "cells": table(tmp_path / "my cells.csv", [cell | more, cell | more | {"cell": 301, "lat": 95}]),
        "addresses": table(
            tmp_path / "addresses.csv",
            [{"nr": "3", "road": "Mill Lane", "town": "Testham", "y": 50.5001, "x": 2.5001}],
        ),
        "lines": table(tmp_path / "lines.csv", [home]),
        "areas": geojson,
    }


ADDRESS_MAP = ("house_number=nr", "street=road", "city=town", "latitude=y", "longitude=x")
LINE_MAP = ("number=TN", "class_of_service=COS", "street=STREET", "house_number=HNO", "city=TOWN")


def mapped(pairs: tuple[str, ...]) -> list[str]:
    return [part for pair in pairs for part in ("--map", pair)]


@pytest.fixture
def data(files: dict[str, Path], tmp_path: Path) -> Path:
    """A data directory with all of it."""
    folder = tmp_path / "data"
    imports: tuple[list[str | Path], ...] = (
        ["cells", files["cells"], "--licence", "CC0", "--rejects", tmp_path / "bad.csv"],
        ["addresses", files["addresses"], *mapped(ADDRESS_MAP)],
        ["lines", files["lines"], "--default-region", "gb", *mapped(LINE_MAP)],
        ["areas", files["areas"], "--name-field", "title", "--name", "squares"],
    )
    for args in imports:
        done = run("import", *args, "--data", folder)
        assert done.exit_code == 0, done.output
    return folder


def test_an_import_tells_its_rows_and_lists_the_rejected(files: dict[str, Path], tmp_path: Path) -> None:
    rejects = tmp_path / "bad.csv"
    done = run("import", "cells", files["cells"], "--data", tmp_path / "d", "--rejects", rejects, "--json")
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert (report["dataset"], report["name"], report["rows"]) == ("cells", "my-cells", 1)
    assert sum(report["rejected"].values()) == 1
    assert report["reject_file"] == str(rejects)
    assert "301" in rejects.read_text(encoding="utf-8")
    human = run("import", "cells", files["cells"], "--data", tmp_path / "d")
    assert "1 cells imported as 'my-cells'" in human.stdout
    assert "1 rejected: " in human.stdout
    assert "--rejects" in human.stderr


def test_a_file_without_a_single_row_leaves_the_data_as_it_is(data: Path, tmp_path: Path) -> None:
    before = (data / "CURRENT").read_text(encoding="ascii")
    empty = table(
        tmp_path / "none.csv", [{"radio": "LTE", "mcc": "x", "net": "", "area": "", "cell": "", "lat": "", "lon": ""}]
    )
    done = run("import", "cells", empty, "--data", data)
    assert done.exit_code == errors.MEANINGS[errors.BadData].exit_code
    assert (data / "CURRENT").read_text(encoding="ascii") == before


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--map", "latitude"], "ours=theirs"),
        (["--map", "latitude=a", "--map", "latitude=b"], "twice"),
        (["--map", "colour=a"], "colour"),
    ],
)
def test_a_wrong_mapping_ends_with_2(args: list[str], words: str, files: dict[str, Path], tmp_path: Path) -> None:
    done = run("import", "addresses", files["addresses"], "--data", tmp_path / "d", *args)
    assert done.exit_code == errors.EXIT_USAGE
    assert words in done.stderr


def test_a_wrong_region_ends_with_2(files: dict[str, Path], tmp_path: Path) -> None:
    done = run("import", "lines", files["lines"], "--default-region", "Britain", "--data", tmp_path / "d")
    assert done.exit_code == errors.EXIT_USAGE
    assert "two letters" in done.stderr


def test_info_tells_what_is_there(data: Path) -> None:
    done = run("info", "--data", data, "--verify")
    assert done.exit_code == 0
    for words in ("cells", "my-cells", "CC0", "addresses", "lines", "squares", "areas.geojson"):
        assert words in done.stdout
    told = json.loads(run("info", "--data", data, "--json").stdout)
    assert told["snapshot_id"] == (data / "CURRENT").read_text(encoding="ascii").strip()
    assert {(d["dataset"], d["rows"]) for d in told["datasets"]} == {
        ("cells", "1"), ("addresses", "1"), ("lines", "1"), ("areas", "1"),
    }  # fmt: skip
    assert all(int(d["size_bytes"]) > 0 and d["built_at"].endswith("Z") for d in told["datasets"])


def test_info_verify_names_a_damaged_file(data: Path) -> None:
    snapshot = data / "snapshots" / (data / "CURRENT").read_text(encoding="ascii").strip()
    file = max((p for p in (snapshot / "cells").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert run("info", "--data", data).exit_code == 0
    done = run("info", "--data", data, "--verify")
    assert done.exit_code == 66
    assert file.name in done.stderr


def test_lookup_cell(data: Path) -> None:
    done = run("lookup", "cell", "LTE,001,01,7,300", "--data", data)
    assert done.exit_code == 0
    for words in ("LTE", "300", "50.50000, 2.50000", "900 m", "12", "centroid"):
        assert words in done.stdout
    reply = run("lookup", "cell", "LTE,001,01,7,300", "--data", data, "--json").stdout
    message = json_format.Parse(reply, reference_service_pb2.LookupCellResponse())
    assert message.rows[0].cell.cell == 300
    assert json_format.MessageToDict(message, preserving_proto_field_name=True) == json.loads(reply)
    near = json.loads(run("lookup", "cell", "--near", "50.51,2.5", "--data", data, "--json").stdout)
    assert near["rows"][0]["distance_m"] == pytest.approx(1_112, rel=0.01)


def test_lookup_line(data: Path) -> None:
    for number in ("+441632960001", "01632 960001"):
        done = run("lookup", "line", number, "--data", data)
        assert done.exit_code == 0, done.output
        for words in ("+441632960001", "residence", "3 Mill Lane, Testham", "50.50010, 2.50010", "geocoded exact"):
            assert words in done.stdout
    reply = run("lookup", "line", "+441632960001", "--data", data, "--json").stdout
    message = json_format.Parse(reply, reference_service_pb2.LookupLineResponse())
    assert json_format.MessageToDict(message, preserving_proto_field_name=True) == json.loads(reply)


def test_lookup_address(data: Path) -> None:
    near = run("lookup", "address", "--near", "50.5,2.5", "--data", data)
    assert near.exit_code == 0
    assert "3 Mill Lane, Testham" in near.stdout
    reply = run(
        "lookup", "address", "--street", "mill lane", "--number", "3", "--city", "Testham", "--data", data, "--json"
    )
    message = json_format.Parse(reply.stdout, reference_service_pb2.FindAddressesResponse())
    assert message.matches[0].position.latitude_deg == pytest.approx(50.5001, abs=1e-6)
    assert json_format.MessageToDict(message, preserving_proto_field_name=True) == json.loads(reply.stdout)


def test_lookup_area(data: Path) -> None:
    done = run("lookup", "area", "50.5,2.5", "--data", data)
    assert done.exit_code == 0
    assert "Square" in done.stdout
    assert "squares" in done.stdout
    assert json.loads(run("lookup", "area", "50.5,2.5", "--data", data, "--json").stdout)["areas"][0]["share"] == 1.0


@pytest.mark.parametrize(
    "args",
    [
        ["cell", "GSM,999,99,1,1"],
        ["line", "+441632960999"],
        ["address", "--street", "Nowhere", "--city", "Atlantis"],
        ["area", "0,0"],
    ],
)
def test_what_is_not_there_ends_with_3(args: list[str], data: Path) -> None:
    done = run("lookup", *args, "--data", data)
    assert done.exit_code == errors.MEANINGS[errors.NotFound].exit_code
    assert done.stdout == ""
    assert done.stderr.startswith("locsvc: ")


@pytest.mark.parametrize(
    "args",
    [["cell"], ["cell", "LTE,272,05"], ["address"], ["area", "52"], ["line"], ["cell", "--near", "x,y"]],
)
def test_wrong_use_of_lookup_ends_with_2(args: list[str], data: Path) -> None:
    assert run("lookup", *args, "--data", data).exit_code == errors.EXIT_USAGE


def test_a_missing_dataset_ends_with_66(files: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "d"
    assert run("import", "areas", files["areas"], "--data", folder).exit_code == 0
    done = run("lookup", "line", "+441632960001", "--data", folder)
    assert done.exit_code == 66
    assert "locsvc import lines" in done.stderr


def test_bench_times_a_call_in_this_process(data: Path) -> None:
    done = run("bench", "resolve", "--data", data, "--no-grpc", "--calls", "10", "--json")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert figures["over_grpc"] is None
    assert 0 < figures["in_process"]["call_median_us"] <= figures["in_process"]["call_p99_us"]


def test_bench_on_a_first_start_keeps_its_talk_off_stdout(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locsvc.rpc.serving.are_kept", lambda: False)
    done = run("bench", "resolve", "--data", data, "--no-grpc", "--calls", "10", "--json")
    assert json.loads(done.stdout)["in_process"]
    assert "compiling" in done.stderr


@pytest.mark.real
def test_a_real_table_is_imported_and_its_cell_found(shared: Path, tmp_path: Path) -> None:
    source = shared / "data" / "cells" / "opencellid_ireland_272.csv.gz"
    assert "7,861 cells" in run("import", "cells", source, "--data", tmp_path / "d").stdout
    found = json.loads(run("lookup", "cell", "LTE,272,05,42300,237575", "--data", tmp_path / "d", "--json").stdout)
    assert found["fallback"] == "CELL_FALLBACK_CENTROID"
    assert found["rows"][0]["position"] == {
        "latitude_deg": pytest.approx(52.4677),
        "longitude_deg": pytest.approx(-8.3347),
    }
