"""The sample town is what its script writes, and shows what it says."""

from __future__ import annotations

import csv
import importlib.util
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from google.protobuf import json_format

from locsvc.v1 import call_pb2

if TYPE_CHECKING:
    from types import ModuleType

WRITTEN = ("addresses.csv", "areas.geojson", "calls.jsonl", "cells.csv", "lines.csv", "sectors.csv", "truth.csv")


@pytest.fixture(scope="module")
def make_sample(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", repository / "scripts" / "make_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def calls(repository: Path) -> dict[str, call_pb2.Call]:
    lines = (repository / "data" / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    parsed = [json_format.Parse(line, call_pb2.Call()) for line in lines]
    return {call.call_id: call for call in parsed}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_script_writes_what_is_committed(make_sample: ModuleType, sample: Path) -> None:
    made = make_sample.files()
    assert set(made) == set(WRITTEN)
    changed = [name for name, text in made.items() if (sample / name).read_bytes() != text.encode()]
    assert not changed, f"run scripts/make_sample.py, or undo the change: {changed}"


def test_sample_is_described(sample: Path) -> None:
    described = (sample / "README.md").read_text(encoding="utf-8")
    assert [name for name in WRITTEN if f"`{name}`" not in described] == []


def test_ten_calls_are_described_in_order(sample: Path, calls: dict[str, call_pb2.Call]) -> None:
    described = (sample / "README.md").read_text(encoding="utf-8")
    assert len(calls) == 10
    assert [call_id for call_id in calls if f"| {call_id} |" not in described] == []
    assert [row["call_id"] for row in rows(sample / "truth.csv")] == list(calls)


def test_only_the_unknown_cell_is_unknown(sample: Path, calls: dict[str, call_pb2.Call]) -> None:
    listed = {(row["radio"], int(row["cell"])) for name in ("cells.csv", "sectors.csv") for row in rows(sample / name)}
    unknown = {
        call.call_id
        for call in calls.values()
        for piece in call.evidence
        for cell in (piece.cell_scan.serving, *piece.cell_scan.neighbours)
        if cell.HasField("cell") and (call_pb2.Radio.Name(cell.radio).removeprefix("RADIO_"), cell.cell) not in listed
    }
    assert unknown == {"03-unknown-cell"}


def test_numbers_are_fictional(sample: Path, calls: dict[str, call_pb2.Call]) -> None:
    numbers = {row["number"] for row in rows(sample / "lines.csv")}
    assert len(numbers) == 147
    assert {n[:10] for n in numbers} == {"+441632960"}
    assert {c.calling_number for c in calls.values()} - {""} <= numbers


def test_town_stands_in_the_sea(sample: Path) -> None:
    places = [(float(row["lat"]), float(row["lon"])) for row in rows(sample / "addresses.csv")]
    east_m = [(longitude - 2.5) * 63_996 for _, longitude in places]
    north_m = [(latitude - 55.0) * 111_334 for latitude, _ in places]
    assert max(map(math.hypot, east_m, north_m)) < 7_000


def test_areas_have_a_hole_and_an_enclave(sample: Path) -> None:
    features = json.loads((sample / "areas.geojson").read_text(encoding="utf-8"))["features"]
    by_name = {feature["properties"]["name"]: feature["geometry"] for feature in features}
    hole = by_name["Testham North"]["coordinates"][1]
    enclave = by_name["Testham South"]["coordinates"][1][0]
    assert {tuple(corner) for corner in hole} == {tuple(corner) for corner in enclave}
