"""ALI against the vectors: displays of a line database, the record's layout, classes and types of service."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from locsvc import model
from locsvc.formats import ali
from locsvc.formats.ali.record import POSITIONS
from locsvc.formats.ali.values import national_number
from locsvc.formats.reading import Reading

# Read when the tests are collected, so that each vector is a test of its own; the fixture `shared` gives the reason
# where the file is absent.
_FILE = Path(__file__).resolve().parents[3] / "shared" / "standards" / "vectors" / "ali.json"
VECTORS: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else []
KINDS = {"ali_display_stx_etx", "class_of_service_code", "type_of_service_code", "ali_512_layout", "ali_512_record"}
# 2026-04-10 21:50 UTC: what was shown between 14:47 and 15:50 a few hours west of it.
ARRIVED_AT = 1_775_857_800.0


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(v, id=v["id"]) for v in VECTORS if v["kind"] == kind] or [pytest.param({}, id="absent")]


@pytest.fixture
def vector(request: pytest.FixtureRequest, shared: Path) -> dict[str, Any]:
    """The row, or a skip where there is none."""
    row: dict[str, Any] = request.param
    if not row:
        pytest.skip(f"{shared / 'standards/vectors/ali.json'} is absent")
    return row


def test_every_kind_of_vector_is_checked(shared: Path) -> None:
    if not VECTORS:
        pytest.skip(f"{shared / 'standards/vectors/ali.json'} is absent")
    assert {v["kind"] for v in VECTORS} == KINDS


def line_of(reading: Reading) -> model.LineRecord:
    content = reading.evidence[0].content
    assert isinstance(content, model.LineLookup)
    assert content.record is not None
    return content.record


def place_of(reading: Reading) -> tuple[model.LatLng | None, float | None]:
    """Coordinates and uncertainty as the evidence has them."""
    content = reading.evidence[0].content
    if isinstance(content, model.DeviceReport):
        assert isinstance(content.shape, model.Circle | model.Point)
        return content.shape.center, content.shape.radius_m if isinstance(content.shape, model.Circle) else None
    record = line_of(reading)
    return record.position, record.uncertainty_m


def street_of(fields: dict[str, str]) -> str:
    return " ".join((fields.get("street", "") + fields.get("street_more", "")).split())


# What a row says of the display's fields, as they were found.
FIELDS: dict[str, Callable[[dict[str, str]], object]] = {
    "link": lambda f: int(f["link"]),
    "position": lambda f: f["position"],
    "ani": lambda f: national_number(f["number"]),
    "pani": lambda f: national_number(f["number"]),
    "cos": lambda f: f["class_of_service"],
    "date": lambda f: f["date"],
    "time": lambda f: f["time"],
    "name": lambda f: f["name"],
    "carrier": lambda f: f["name"],
    "house": lambda f: f["house_number"],
    "tower_house": lambda f: f["house_number"],
    "main": lambda f: national_number(f["main_number"]),
    "street": street_of,
    "tower_street": street_of,
    "location": lambda f: f["location"],
    "state": lambda f: f["state"],
    "community": lambda f: f["community"],
    "provider": lambda f: f["provider"],
    "callback": lambda f: national_number(f["callback"]) if "callback" in f else None,
}


@pytest.mark.parametrize("vector", of_kind("ali_display_stx_etx"), indirect=True)
def test_display(vector: dict[str, Any]) -> None:
    expected = vector["expected"]
    display = ali.split_display(vector["input"])
    assert display.layout.name == "qwest-30w"
    fields = dict(display.fields)
    assert {key: read(fields) for key, read in FIELDS.items() if key in expected} == {
        key: expected[key] for key in FIELDS if key in expected
    }
    reading = ali.read(vector["input"].encode("ascii"), arrived_at=ARRIVED_AT)
    center, radius_m = place_of(reading)
    if expected["lat"] is None:
        assert center is None
    else:
        assert center is not None
        assert center.latitude_deg == pytest.approx(expected["lat"], abs=vector["tolerance"]["deg"])
        assert center.longitude_deg == pytest.approx(expected["lon"], abs=vector["tolerance"]["deg"])
        assert radius_m == expected["uncertainty_m"]
    if expected.get("callback"):
        assert reading.calling_number == f"+1{expected['callback']}"


@pytest.mark.parametrize("vector", of_kind("ali_display_stx_etx"), indirect=True)
def test_display_is_the_evidence_that_its_class_of_service_says(vector: dict[str, Any]) -> None:
    reading = ali.read(vector["input"], arrived_at=ARRIVED_AT)
    content = reading.evidence[0].content
    match vector["expected"]["cos"]:
        case "WPH2":
            assert isinstance(content, model.DeviceReport)
            assert content.confidence == 0.9
        case "WPH1":
            assert line_of(reading).class_of_service == model.ClassOfService.WIRELESS_PHASE1
            assert line_of(reading).placement == model.Placement.MAST
        case "VOIP":
            assert line_of(reading).class_of_service == model.ClassOfService.VOIP
            assert line_of(reading).placement == model.Placement.RECORD
        case _:
            assert line_of(reading).class_of_service in {
                model.ClassOfService.RESIDENCE,
                model.ClassOfService.BUSINESS,
            }
            assert line_of(reading).address is not None


@pytest.mark.parametrize("vector", of_kind("class_of_service_code"), indirect=True)
def test_class_of_service(vector: dict[str, Any]) -> None:
    found = ali.service_class(vector["input"])
    assert found is not None
    assert found.words == vector["expected"]


@pytest.mark.parametrize("vector", of_kind("type_of_service_code"), indirect=True)
def test_type_of_service(vector: dict[str, Any]) -> None:
    assert ali.TYPES_OF_SERVICE[vector["input"]] == vector["expected"]


@pytest.mark.parametrize("vector", of_kind("ali_512_layout"), indirect=True)
def test_positions_of_the_record(vector: dict[str, Any]) -> None:
    assert list(POSITIONS.values()) == [(row["start"], row["end"]) for row in vector["expected"]]


@pytest.mark.parametrize("vector", of_kind("ali_512_record"), indirect=True)
def test_record(vector: dict[str, Any]) -> None:
    record = ali.split_record(vector["input"])
    expected = dict(vector["expected"])
    assert record.class_of_service == expected.pop("cos")
    assert {name: getattr(record, name) for name in expected} == expected
    line = line_of(ali.read(vector["input"]))
    assert line.number == "+17195550100"
    assert line.class_of_service == model.ClassOfService.RESIDENCE
    assert line.address is not None
    assert line.address.line() == "DOE, JANE, 123 MAIN ST, SPRINGFIELD CO"
    assert line.updated_at == 1_775_779_200.0
