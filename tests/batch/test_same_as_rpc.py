"""One call through ResolveLocation, over a real socket, and as rows of a table: the same answer, field by field."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import grpc

from locsvc import model
from locsvc.rpc.convert.replies import read_estimate
from locsvc.rpc.server import LocationServer
from locsvc.rpc.settings import ServerSettings
from locsvc.tables.form import RESULT
from locsvc.v1 import call_pb2, location_service_pb2_grpc
from locsvc.v1.location_service_pb2 import ResolveLocationRequest
from tests.batch.conftest import Batch

_SERVING = {"radio": "LTE", "mcc": "001", "mnc": "01", "area": 1101, "cell": 101 * 256}
_NEAR = [{"area": 1101, "cell": 101 * 256 + 1}, {"pci": 7, "arfcn": 1300}]
_FIX = {"latitude": 54.9912, "longitude": 2.4934, "radius_m": 25.0, "reported_confidence": 0.68, "method": "gps"}
_FAR = {"latitude": 55.6, "longitude": 2.5, "radius_m": 30.0, "method": "wifi"}
_T = 1_700_000_000.0
# Calls as rows: all kinds together, each alone, two places, a row of another minute, nothing.
_CALLS: dict[str, list[dict[str, object]]] = {
    "all": [{"t": _T, **_SERVING, "neighbours": _NEAR, **_FIX, "calling_number": "+441632960168"}],
    "cell": [{**_SERVING, "timing_advance": 4}],
    "fix": [dict(_FIX)],
    "line": [{"calling_number": "+441632960168"}],
    "conflict": [{"t": _T, **_FIX}, {"t": _T + 5, **_FAR}],
    "later": [{"t": _T, **_SERVING}, {"t": _T + 300, **_FIX}],
    "unknown": [{**_SERVING, "cell": 999 * 256}],
    "nothing": [{}],
}


def _measured(cell: dict[str, object], message: call_pb2.CellMeasurement) -> None:
    for name in ("mcc", "mnc", "area", "cell", "pci", "arfcn", "timing_advance"):
        if name in cell:
            setattr(message, name, cell[name])
    if "radio" in cell:
        message.radio = call_pb2.RADIO_LTE


def _request(name: str, rows: list[dict[str, object]]) -> ResolveLocationRequest:
    """The same call as a client writes it."""
    request = ResolveLocationRequest(confidence=0.9)
    request.call.call_id = name
    for number, row in enumerate(rows, 1):
        end = "" if number == 1 else f"-{number}"
        if "cell" in row:
            piece = request.call.evidence.add(evidence_id=f"cell{end}")
            _measured(row, piece.cell_scan.serving)
            for other in _NEAR if "neighbours" in row else ():
                _measured(dict(other), piece.cell_scan.neighbours.add())
            _seen(piece, row)
        if "latitude" in row:
            piece = request.call.evidence.add(evidence_id=f"device{end}")
            circle = piece.device_report.shape.circle
            circle.center.latitude_deg, circle.center.longitude_deg = (
                _number(row, "latitude"),
                _number(row, "longitude"),
            )
            circle.radius_m = _number(row, "radius_m")
            if "reported_confidence" in row:
                piece.device_report.confidence = _number(row, "reported_confidence")
            gnss = row["method"] == "gps"
            piece.device_report.method = call_pb2.POSITIONING_METHOD_GNSS if gnss else call_pb2.POSITIONING_METHOD_WIFI
            _seen(piece, row)
        request.call.calling_number = str(row.get("calling_number", request.call.calling_number))
    return request


def _seen(piece: call_pb2.Evidence, row: dict[str, object]) -> None:
    if "t" in row:
        piece.observed_at.FromNanoseconds(int(_number(row, "t")) * 1_000_000_000)


def _number(row: dict[str, object], name: str) -> float:
    return float(str(row[name]))


async def _asked(data: Path, calls: dict[str, list[dict[str, object]]]) -> list[model.LocationEstimate]:
    server = LocationServer(ServerSettings(data=data, port=0, drain_s=0.0, grace_s=5.0))
    port = await server.listen()
    try:
        await server.load(None)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: location_service_pb2_grpc.LocationServiceAsyncStub
            stub = location_service_pb2_grpc.LocationServiceStub(channel)
            answers = [await stub.ResolveLocation(_request(name, rows), timeout=60) for name, rows in calls.items()]
    finally:
        await server.stop()
    return [read_estimate(answer.estimate) for answer in answers]


def _row(estimate: model.LocationEstimate) -> dict[str, object]:
    """An answer as the table has it."""
    e, r, p = estimate.ellipse, estimate.region, estimate.position
    used = [
        c for c in estimate.contributions if c.disposition != model.Disposition.SET_ASIDE and c.distance_m is not None
    ]
    return {
        "call_id": estimate.call_id,
        "outcome": estimate.outcome.name.lower(),
        "latitude_deg": p and p.latitude_deg,
        "longitude_deg": p and p.longitude_deg,
        "confidence": estimate.confidence,
        "radius_m": estimate.radius_m,
        "ellipse_semi_major_m": e and e.semi_major_m,
        "ellipse_semi_minor_m": e and e.semi_minor_m,
        "ellipse_orientation_deg": e and e.orientation_deg,
        "region_resolution": r and r.resolution,
        "region_cells": r and [str(c) for c in r.cells],
        "region_area_m2": r and r.area_m2,
        "sources": sorted({c.kind.name.lower() for c in used}),
        "warnings": [f"{w.code.name.lower()}: {w.message}" for w in estimate.warnings],
        "address": estimate.address and estimate.address.line(),
        "area": estimate.areas[0].name if estimate.areas else None,
    }


def test_a_call_and_its_rows_have_one_answer(batch: Batch, imported_town: Path, tmp_path: Path) -> None:
    source = tmp_path / "calls.jsonl"
    lines = [json.dumps({"call_id": name, **row}) for name, rows in _CALLS.items() for row in rows]
    source.write_text("\n".join(lines) + "\n")
    done = batch(source, "-", "--data", imported_town, "--format", "jsonl", "--workers", 1)
    assert done.returncode == 0, done.stderr
    found = {r["call_id"]: r for r in map(json.loads, done.stdout.splitlines())}
    asked = [_row(e) for e in asyncio.run(_asked(imported_town, _CALLS))]
    assert {str(a["outcome"]) for a in asked} == {"located", "conflict", "no_location"}
    for wanted in asked:
        given = {name: found[str(wanted["call_id"])].get(name) for name in RESULT.names}
        given["sources"] = sorted({s.partition("/")[0] for s in given["sources"]})
        assert given == wanted
