"""`resolve` on the sample town, end to end: the real importers, the real resolver, a real server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.protobuf import json_format

from locsvc import errors, model
from locsvc.cli import main
from locsvc.formats import gad, pidf_lo
from locsvc.v1 import estimate_pb2

FIX = "54.9977642,2.4952256,20,confidence=0.68,method=gnss"
CELL = "LTE,001,01,1101,1049859,ta=6,signal=-91"


def run(*args: str | Path, text: str | None = None) -> Result:
    return CliRunner(env={"LOCSVC_DATA": None, "NO_COLOR": None}).invoke(main, [str(a) for a in args], input=text)


@pytest.fixture(scope="module")
def town(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the sample town, imported by the command itself."""
    data = tmp_path_factory.mktemp("town")
    imports: tuple[list[str | Path], ...] = (
        ["cells", sample / "cells.csv"],
        ["cells", sample / "sectors.csv"],
        ["addresses", sample / "addresses.csv"],
        ["areas", sample / "areas.geojson", "--name-field", "name"],
        ["lines", sample / "lines.csv", "--default-region", "GB"],
    )
    for args in imports:
        done = run("--data", data, "import", *args)
        assert done.exit_code == 0, done.output
    return data


@pytest.fixture(scope="module")
def server(town: Path) -> Iterator[str]:
    """A server on the town, as `host:port`."""
    with subprocess.Popen(
        [sys.executable, "-m", "locsvc", "serve", "--data", str(town), "--port", "0", "--json", "--drain-s", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["status"] == "SERVING"
        yield f"{ready['host']}:{ready['port']}"
        process.terminate()
        assert process.wait(timeout=30) == 0


@pytest.fixture
def call(sample: Path) -> str:
    """The first sample call as JSON."""
    return (sample / "calls.jsonl").read_text(encoding="utf-8").splitlines()[0]


def test_a_call_of_options_is_located(town: Path) -> None:
    done = run(
        "resolve", "--data", town, "--cell", CELL, "--device", FIX, "--number", "01632960168", "--call-id", "c-9"
    )
    assert done.exit_code == 0, done.output
    for words in (
        "located",
        "c-9",
        "54.997",
        "at 90 %",
        "Market Street",
        "Testham South",
        "device-1",
        "cell-1",
        "line-1",
    ):
        assert words in done.stdout
    assert re.search(r"evidence +part +became +reason +distance +agreement +share +why", done.stdout)
    assert done.stderr == ""


def test_json_is_the_contracts_mapping(town: Path, call: str) -> None:
    done = run("resolve", "-", "--data", town, "--json", text=call)
    assert done.exit_code == 0
    estimate = json_format.Parse(done.stdout, estimate_pb2.LocationEstimate())
    assert estimate.call_id == "01-agreement"
    assert estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    assert json_format.MessageToDict(estimate, preserving_proto_field_name=True) == json.loads(done.stdout)


def test_a_number_is_looked_up(town: Path) -> None:
    done = run("resolve", "--data", town, "--number", "+441632960168", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["contributions"][0]["kind"] == "EVIDENCE_KIND_LINE_LOOKUP"


def test_confidence_and_time_are_those_asked_for(town: Path, call: str) -> None:
    narrow = json.loads(run("resolve", "-", "--data", town, "--json", "--confidence", "0.5", text=call).stdout)
    wide = json.loads(run("resolve", "-", "--data", town, "--json", "--confidence", "0.99", text=call).stdout)
    assert (narrow["confidence"], wide["confidence"]) == (0.5, 0.99)
    assert narrow["radius_m"] < wide["radius_m"]
    late = run("resolve", "-", "--data", town, "--json", "--as-of", "2026-03-14T12:30:00Z", text=call)
    assert json.loads(late.stdout)["estimated_at"] == "2026-03-14T12:30:00Z"


def test_no_location_ends_with_3_and_says_why(town: Path) -> None:
    done = run("resolve", "-", "--data", town, text='{"call_id": "c-1"}')
    assert done.exit_code == errors.EXIT_NO_LOCATION
    assert "no location" in done.stdout
    assert "no evidence" in done.stdout


def test_without_a_data_directory_a_device_report_is_enough() -> None:
    done = run("resolve", "--device", FIX)
    assert done.exit_code == 0
    assert "located" in done.stdout
    assert "LOCSVC_DATA" in done.stderr


@pytest.mark.parametrize("form", ["lines", "list", "pretty", "blank lines"])
def test_every_form_of_file_is_read(form: str, town: Path, sample: Path, tmp_path: Path) -> None:
    lines = (sample / "calls.jsonl").read_text(encoding="utf-8").splitlines()[:3]
    calls = [json.loads(line) for line in lines]
    text = {
        "lines": "\n".join(lines),
        "list": json.dumps(calls),
        "pretty": json.dumps(calls, indent=2),
        "blank lines": "\n\n" + "\n\n".join(lines) + "\n\n",
    }[form]
    path = tmp_path / "calls.json"
    path.write_text(text, encoding="utf-8")
    done = run("resolve", path, "--data", town, "--json")
    assert done.exit_code == 0
    assert [json.loads(line)["call_id"] for line in done.stdout.splitlines()] == [c["call_id"] for c in calls]


def test_many_calls_are_a_line_each_or_in_full(town: Path, sample: Path) -> None:
    brief = run("resolve", sample / "calls.jsonl", "--data", town)
    full = run("resolve", sample / "calls.jsonl", "--data", town, "--verbose")
    assert brief.exit_code == full.exit_code == 0
    assert len(brief.stdout.splitlines()) == 10
    assert brief.stdout.startswith("01-agreement ")
    assert full.stdout.count("outcome ") == 10


def test_a_wrong_call_of_many_costs_only_itself(town: Path, call: str) -> None:
    wrong = '{"call_id": "x", "evidence": [{"device_report": {"confidence": 2}}]}'
    text = f"{call}\n{wrong}\n{{oops\n{call}"
    done = run("resolve", "-", "--data", town, "--json", text=text)
    assert done.exit_code == errors.MEANINGS[errors.BadData].exit_code
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["error" in answer for answer in answers] == [False, True, True, False]
    assert answers[1]["error"]["violations"][0]["field"] == "evidence[0].device_report.confidence"
    assert "stdin line 2" in done.stderr
    assert "stdin line 3" in done.stderr


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", 65, "is empty"),
        ("\n \n", 65, "is empty"),
        ("[]", 65, "is an empty list"),
        ("{oops", 65, "line 1 column"),
        ('{\n"call_id": "c",\n oops}', 65, "line 3 column"),
        ("[" * 100_000, 65, "JSON"),
        ('{"call_idd": "c"}', 2, "is it call_id?"),
        (
            '{"evidence": [{"device_report": {"shape": {"point": {"center": {"latitude_deg": 91}}}}}]}',
            2,
            "latitude_deg",
        ),
        ("3", 2, "curly brackets"),
    ],
)
def test_a_bad_file_is_told_by_its_fault(text: str, code: int, words: str, tmp_path: Path) -> None:
    path = tmp_path / "call.json"
    path.write_text(text, encoding="utf-8")
    done = run("resolve", path)
    assert done.exit_code == code
    assert words in done.stderr
    assert done.stdout == ""


def test_a_file_that_is_not_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "call.json"
    path.write_bytes(b'{"call_id": "\xff"}')
    done = run("resolve", path)
    assert done.exit_code == 65
    assert "UTF-8" in done.stderr


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    missing, folder = run("resolve", tmp_path / "none.json"), run("resolve", tmp_path)
    assert missing.exit_code == folder.exit_code == 65
    assert "none.json" in missing.stderr
    assert str(tmp_path) in folder.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "nothing to locate"),
        (["call.json", "--number", "1"], "not both"),
        (["--cell", "LTE,272"], "RADIO,MCC,MNC,AREA,CELL"),
        (["--cell", "LTE,272,05,1,2,colour=3"], "colour"),
        (["--cell", "LTE,272,05,1,x"], "not a whole number"),
        (["--device", "52"], "LAT,LON,RADIUS"),
        (["--device", "152,3,30"], "latitude comes first"),
        (["--device", "52,3,30,method=magic"], "gnss"),
        (["--device", "52,3,30", "--confidence", "90"], "write 0.9"),
        (["--device", "52,3,30", "--as-of", "noon"], "2026-11-21T22:15:00Z"),
        (["--cell", "LTE,272,5x,1,2"], "mnc"),
        (["--cell", "LTE,272,05,1,268435456"], "cell_scan.serving.cell"),
    ],
)
def test_wrong_use_ends_with_2_and_a_remedy(args: list[str], words: str) -> None:
    done = run("resolve", *args)
    assert done.exit_code == errors.EXIT_USAGE
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_without_data_ends_with_66(tmp_path: Path) -> None:
    done = run("resolve", "--device", FIX, "--data", tmp_path)
    assert done.exit_code == 66
    assert "locsvc import" in done.stderr


def test_the_map_has_every_call_and_the_areas_behind(town: Path, sample: Path, tmp_path: Path) -> None:
    page = tmp_path / "map.html"
    done = run("resolve", sample / "calls.jsonl", "--data", town, "--map", page)
    assert done.exit_code == 0
    assert str(page) in done.stderr
    text = page.read_text(encoding="utf-8")
    assert text.count('<article class="call"') == 10
    assert text.count("<option>") == 10
    assert "Testham North</title>" in text
    assert text.count('class="outline') >= 10


def test_a_map_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    done = run("resolve", "--device", FIX, "--map", tmp_path / "none" / "map.html")
    assert done.exit_code == errors.MEANINGS[errors.ConfigError].exit_code
    assert "map.html" in done.stderr


def test_the_background_is_taken_from_a_file(sample: Path, tmp_path: Path) -> None:
    page = tmp_path / "map.html"
    done = run("resolve", "--device", FIX, "--map", page, "--background", sample / "areas.geojson")
    assert done.exit_code == 0
    assert 'class="land"' in page.read_text(encoding="utf-8")


def test_the_server_gives_the_answers_of_the_directory(server: str, town: Path, sample: Path) -> None:
    here = run("resolve", sample / "calls.jsonl", "--data", town, "--json")
    there = run("resolve", sample / "calls.jsonl", "--server", server, "--json")
    assert there.exit_code == 0, there.output
    pairs = zip(here.stdout.splitlines(), there.stdout.splitlines(), strict=True)
    assert [json.loads(a) == json.loads(b) for a, b in pairs] == [True] * 10


def test_the_server_draws_maps_too(server: str, sample: Path, call: str, tmp_path: Path) -> None:
    page = tmp_path / "map.html"
    done = run("resolve", "-", "--server", server, "--map", page, "--background", sample / "areas.geojson", text=call)
    assert done.exit_code == 0, done.output
    text = page.read_text(encoding="utf-8")
    assert text.count('class="cell') > 20
    assert 'class="land"' in text


def test_no_server_ends_with_69() -> None:
    done = run("resolve", "--device", FIX, "--server", "127.0.0.1:1")
    assert done.exit_code == errors.MEANINGS[errors.Unavailable].exit_code
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("no_color", ["1", None])
def test_nothing_is_coloured_in_a_pipe_or_with_no_color(no_color: str | None) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "LOCSVC_DATA"}}
    environment |= {"NO_COLOR": no_color} if no_color else {}
    done = subprocess.run(
        [sys.executable, "-m", "locsvc", "resolve", "--device", FIX],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "\x1b" not in done.stdout
    assert "located" in done.stdout


def test_control_characters_do_not_reach_the_terminal() -> None:
    done = run("resolve", "-", text='{"call_id": "a\\u001b[31mb"}')
    assert "\x1b" not in done.output
    assert "a?[31mb" in done.stdout


def test_geojson_has_the_position_first(town: Path, call: str) -> None:
    done = run("resolve", "-", "--data", town, "--output", "geojson", text=call)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["type"] == "FeatureCollection"
    assert found["features"][0]["properties"]["call_id"] == "01-agreement"
    kinds = [feature["properties"]["kind"] for feature in found["features"]]
    assert kinds[:3] == ["position", "circle", "ellipse"]
    assert "region" in kinds


@pytest.mark.parametrize("shape", ["circle", "ellipse", "polygon"])
def test_pidf_lo_is_read_back_as_the_answer(town: Path, call: str, shape: str) -> None:
    told = json.loads(run("resolve", "-", "--data", town, "--json", text=call).stdout)
    done = run("resolve", "-", "--data", town, "--output", "pidf-lo", "--shape", shape, text=call)
    assert done.exit_code == 0, done.output
    (piece, *others) = pidf_lo.read(done.stdout).evidence
    report = piece.content
    assert isinstance(report, model.DeviceReport)
    assert type(report.shape).__name__.lower() == shape
    assert report.confidence is not None
    assert report.confidence == pytest.approx(told["region"]["mass"] if shape == "polygon" else 0.9, abs=1e-3)
    if isinstance(report.shape, model.Circle):
        # Rounded up, never down.
        assert 0 <= report.shape.radius_m - told["radius_m"] < 0.02
    # The nearest address goes along, as the answer is narrow enough to mean it.
    (line,) = [p.content for p in others]
    assert isinstance(line, model.LineLookup)
    assert line.record is not None
    assert line.record.address is not None
    assert line.record.address.street == told["address"]["street"]


@pytest.mark.parametrize("shape", ["circle", "ellipse", "polygon"])
def test_gad_is_read_back_as_the_answer(town: Path, call: str, shape: str) -> None:
    told = json.loads(run("resolve", "-", "--data", town, "--json", text=call).stdout)
    done = run("resolve", "-", "--data", town, "--output", "gad", "--shape", shape, text=call)
    assert done.exit_code == 0, done.output
    report = gad.read(done.stdout.strip()).evidence[0].content
    assert isinstance(report, model.DeviceReport)
    assert type(report.shape).__name__.lower() == shape
    if isinstance(report.shape, model.Circle):
        # The coding's steps are a tenth; it may be wider than the answer, never narrower.
        assert told["radius_m"] <= report.shape.radius_m <= 1.2 * told["radius_m"] + 10.0


def test_many_answers_are_a_line_each_in_every_form(town: Path, sample: Path) -> None:
    calls = (sample / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    text = "\n".join([*calls[:2], '{"call_id": "nowhere"}', "no call"])
    for form in ("json", "geojson", "pidf-lo", "gad"):
        done = run("resolve", "-", "--data", town, "--output", form, text=text)
        assert done.exit_code == 65, done.output
        lines = done.stdout.split("\n")
        assert len(lines) == 5
        assert lines.pop() == ""
        empty = [not line for line in lines]
        assert empty == [False, False, form in {"pidf-lo", "gad"}, form in {"pidf-lo", "gad"}]


def test_no_location_writes_no_shape(town: Path) -> None:
    done = run("resolve", "-", "--data", town, "--output", "gad", text='{"call_id": "c-1"}')
    assert done.exit_code == errors.EXIT_NO_LOCATION
    assert done.stdout == ""
    assert "c-1 has no location" in done.stderr


@pytest.mark.parametrize("args", [["--json", "--output", "gad"], ["--shape", "circle"], ["--output", "fax"]])
def test_forms_that_exclude_each_other_are_wrong_use(town: Path, args: list[str]) -> None:
    assert run("resolve", "-", "--data", town, *args, text="{}").exit_code == 2


def test_an_answer_that_is_too_wide_for_the_coding_is_told(town: Path) -> None:
    done = run("resolve", "--data", town, "--device", "54.9977,2.4952,5000000", "--output", "gad")
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert "the answer cannot be written: " in done.stderr


def test_a_call_of_three_messages_is_located(town: Path, sample: Path) -> None:
    done = run("resolve", sample / "messages" / "three.json", "--data", town, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert {piece["evidence_id"] for piece in told["contributions"]} == {"handset", "access", "line"}
    assert told["position"]["latitude_deg"] == pytest.approx(54.9977, abs=3e-4)
