"""AML and ELS against the vectors of sheet 01."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from locsvc import model
from locsvc.formats.aml import data_sms, read
from locsvc.formats.reading import Reading, masked

# Read when the tests are collected, so that each vector is a test of its own; the fixture `shared` gives the reason
# where the file is absent.
_FILE = Path(__file__).resolve().parents[4] / "shared" / "standards" / "vectors" / "aml.json"
VECTORS: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else []

_TOLERANT = "a strict parser refuses the message; here one odd field costs a warning and the fix is used"
# Row -> why the code differs, and the field that is warned about; None: the fix is lost with the field.
ON_PURPOSE = {
    "gg-bad-ml": (_TOLERANT, "ml"),
    "gg-unknown-attr": (_TOLERANT, "kl"),
    "gg-bad-date": (_TOLERANT, "top"),
    "gg-bad-pm": (_TOLERANT, "pm"),
    "gg-bad-lc": (_TOLERANT, "lc"),
    "gg-bad-pair": (_TOLERANT, "a"),
    "gg-empty-pairs": (_TOLERANT, ""),
    "gg-bad-lat": ("no error: the message is understood, and says no place that can be used", "lt"),
}
# The vectors' words for methods.
_METHODS = {
    "w": model.PositioningMethod.WIFI,
    "wifi": model.PositioningMethod.WIFI,
    "g": model.PositioningMethod.GNSS,
    "gps": model.PositioningMethod.GNSS,
    None: model.PositioningMethod.UNSPECIFIED,
}
# Where a vector's detail stands in the reading; the identities stand there masked.
_DETAILS = {
    "mcc": ("mcc",),
    "mnc": ("mnc",),
    "home_mcc": ("cell_home_mcc", "hc"),
    "home_mnc": ("cell_home_mnc", "hc"),
    "network_mcc": ("cell_network_mcc", "nc"),
    "network_mnc": ("cell_network_mnc", "nc"),
    "emergency_number": ("emergency_number", "en"),
    "languages": ("lg",),
    "model": ("device_model",),
    "cell_id": ("cell_id",),
    "bearing_deg": ("location_bearing",),
    "speed_mps": ("location_speed",),
    "version": ("v",),
}
_IDENTITIES = {"imsi": ("si", "device_imsi"), "imei": ("ei", "device_imei")}
# Not part of a reading: how it was written, and what the reader checks itself.
_ELSEWHERE = {"ml", "cell_carrier", "authentic", "found"}


def rows(*, strict_errors: bool) -> list[Any]:
    chosen = [v for v in VECTORS if ("error" in v["expected"]) is strict_errors]
    return [pytest.param(v, id=v["id"]) for v in chosen] or [pytest.param({}, id="absent")]


def reading_of(vector: dict[str, Any], shared: Path) -> Reading:
    if not vector:
        pytest.skip(f"{shared / 'standards/vectors/aml.json'} is absent")
    key = vector.get("key")
    return read(vector["input"], hmac_key=key.encode() if key else None)


@pytest.mark.parametrize("vector", rows(strict_errors=True))
def test_what_strict_parsers_refuse_costs_one_field(vector: dict[str, Any], shared: Path) -> None:
    reading = reading_of(vector, shared)
    reason, field = ON_PURPOSE[vector["id"]]
    print(f"{vector['id']}: {reason}")  # noqa: T201 - told where all output is shown
    assert [w.field for w in reading.warnings] == [field]
    if vector["id"] == "gg-bad-lat":
        assert (reading.evidence, reading.no_location) == ((), "lt cannot be used")
        return
    (evidence,) = reading.evidence
    fix = evidence.content
    assert isinstance(fix, model.DeviceReport)
    assert fix.shape == model.Circle(model.LatLng(54.76397, -0.18305), 50.0)
    assert fix.confidence == (0.999 if vector["id"] == "gg-bad-lc" else 0.9)
    assert evidence.observed_at == (None if vector["id"] == "gg-bad-date" else 1374070775.0)


@pytest.mark.parametrize("vector", rows(strict_errors=False))
def test_vector(vector: dict[str, Any], shared: Path) -> None:
    reading = reading_of(vector, shared)
    expected = vector["expected"]
    assert expected.keys() <= _FIX_KEYS | _DETAILS.keys() | _IDENTITIES.keys() | _ELSEWHERE
    fixes = [e for e in reading.evidence if isinstance(e.content, model.DeviceReport)]
    if _says_no_place(expected):
        assert fixes == []
        assert reading.no_location
    else:
        (evidence,) = fixes
        assert reading.no_location == ""
        check_fix(evidence, reading, expected)
    check_details(reading, expected)


_FIX_KEYS = {
    *("lat", "lon", "radius_m", "time_utc", "fix_time", "fix_time_ms", "fix_time_unix", "confidence"),
    *("confidence_pct", "method", "altitude_m", "alt_m", "vert_acc_m", "vertical_accuracy_m", "floor"),
    *("device_number", "call_time", "call_time_ms", "call_time_unix"),
}


def _says_no_place(expected: dict[str, Any]) -> bool:
    null = expected.get("lat") == 0.0 == expected.get("lon")
    refused = expected.get("found") is False or expected.get("authentic") is False
    return null or refused or ("lat" in expected and expected["lat"] is None)


def check_fix(evidence: model.Evidence, reading: Reading, expected: dict[str, Any]) -> None:
    fix = evidence.content
    assert isinstance(fix, model.DeviceReport)
    assert isinstance(fix.shape, model.Circle)
    center = fix.shape.center
    got = {
        "lat": center.latitude_deg,
        "lon": center.longitude_deg,
        "radius_m": fix.shape.radius_m,
        "time_utc": evidence.observed_at,
        "fix_time": evidence.observed_at,
        "fix_time_ms": None if evidence.observed_at is None else evidence.observed_at * 1000,
        "fix_time_unix": evidence.observed_at,
        "confidence": fix.confidence,
        "confidence_pct": None if fix.confidence is None else fix.confidence * 100,
        "altitude_m": fix.altitude_m,
        "alt_m": fix.altitude_m,
        "vert_acc_m": fix.vertical_uncertainty_m,
        "vertical_accuracy_m": fix.vertical_uncertainty_m,
        "floor": fix.floor or None,
        "device_number": reading.calling_number,
        "call_time": reading.started_at,
        "call_time_ms": None if reading.started_at is None else reading.started_at * 1000,
        "call_time_unix": reading.started_at,
    }
    for name in _FIX_KEYS & expected.keys():
        wanted = expected[name]
        if name == "method":
            assert fix.method is _METHODS[wanted and wanted.lower()]
        elif name in ("time_utc", "fix_time") and wanted is not None:
            assert got[name] == pytest.approx(seconds(wanted), abs=1e-6)
        elif isinstance(wanted, (int, float)):
            assert got[name] == pytest.approx(wanted, abs=1e-9, rel=1e-12)
        else:
            assert got[name] == wanted


def seconds(text: str) -> float:
    import datetime as dt

    return dt.datetime.fromisoformat(text).timestamp()


def check_details(reading: Reading, expected: dict[str, Any]) -> None:
    for name, fields in _IDENTITIES.items():
        shown = [reading.details[field] for field in fields if field in reading.details]
        if name in expected:
            assert shown == ([] if expected[name] is None else [masked(expected[name])])
    for name, places in _DETAILS.items():
        shown = [reading.details[place] for place in places if place in reading.details]
        if name == "version" and not shown:
            continue  # a text's version chooses the grammar and is no detail
        if expected.get(name):
            wanted = str(expected[name])
            # Version 2 runs country and network together.
            assert any(text == wanted or (len(text) > 3 and wanted in (text[:3], text[3:])) for text in shown)


@pytest.mark.parametrize(
    "vector", [v for v in rows(strict_errors=False) if not v.values[0] or "expected_text" in v.values[0]]
)
def test_text_of_a_data_message(vector: dict[str, Any], shared: Path) -> None:
    import base64

    if not vector:
        pytest.skip(f"{shared / 'standards/vectors/aml.json'} is absent")
    is_hex = vector["kind"] == "sms_data_gsm7_packed_hex"
    octets = bytes.fromhex(vector["input"]) if is_hex else base64.b64decode(vector["input"])
    assert data_sms.text_in(octets) == vector["expected_text"]
    assert read(octets) == read(vector["input"])


def test_every_row_that_differs_is_told(shared: Path) -> None:
    if not VECTORS:
        pytest.skip(f"{shared / 'standards/vectors/aml.json'} is absent")
    assert {v["id"] for v in VECTORS if "error" in v["expected"]} == ON_PURPOSE.keys()
