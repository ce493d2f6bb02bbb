"""The kernel says what the resolver says of the same calls, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from locsvc import model
from locsvc.formats.call_json import call_to_json
from locsvc.resolver import Resolver
from locsvc.tables.form import RESULT
from locsvc.tables.kernel import answer_batch

Row = dict[str, object]
_RADIOS = {"GSM": model.Radio.GSM, "UMTS": model.Radio.UMTS, "LTE": model.Radio.LTE, "NR": model.Radio.NR}
_METHODS = {"gps": model.PositioningMethod.GNSS, "wifi": model.PositioningMethod.WIFI, None: model.PositioningMethod(0)}


def measured(row: Row) -> model.CellMeasurement:
    """A cell as a row, or an item of its neighbours, says it."""
    names = ("area", "cell", "pci", "arfcn", "timing_advance")
    numbers = {n: int(str(v)) for n in names if (v := row.get(n)) is not None}
    radio = _RADIOS[str(row["radio"])] if row.get("radio") else model.Radio.UNSPECIFIED
    return model.CellMeasurement(radio, str(row.get("mcc") or ""), str(row.get("mnc") or ""), **numbers)


def evidence_of(row: Row, rank: int) -> list[model.Evidence]:
    """What a row says, written independently of the kernel: one object after the other."""
    end = "" if rank == 0 else f"-{rank + 1}"
    t = row.get("t")
    at = None if t is None else float(t) if isinstance(t, int | float) else t.timestamp()  # type: ignore[attr-defined]
    found = []
    serving = measured(row) if any(row.get(n) is not None for n in ("mcc", "area", "cell", "pci", "arfcn")) else None
    others = row.get("neighbours") or []
    assert isinstance(others, list)
    near = tuple(measured(o) for o in others)
    if serving or near:
        found.append(model.Evidence(model.CellScan(serving, near), f"cell{end}", observed_at=at))
    if row.get("latitude") is not None:
        center = model.LatLng(float(str(row["latitude"])), float(str(row["longitude"])))
        radius = row.get("radius_m")
        shape = model.Point(center) if radius is None else model.Circle(center, float(str(radius)))
        stated = row.get("reported_confidence")
        method = _METHODS[row.get("method")]  # type: ignore[index]
        report = model.DeviceReport(shape, None if stated is None else float(str(stated)), method)
        found.append(model.Evidence(report, f"device{end}", observed_at=at))
    if row.get("aml") is not None:
        raw = model.RawMessage("aml", str(row["aml"]).encode())
        found.append(model.Evidence(model.DeviceReport(raw=raw), f"aml{end}"))
    return found


def row_of(estimate: model.LocationEstimate) -> Row:
    """The estimate as the output has it, but for its sources."""
    e, r = estimate.ellipse, estimate.region
    return {
        "call_id": estimate.call_id,
        "outcome": estimate.outcome.name.lower(),
        "latitude_deg": estimate.position and estimate.position.latitude_deg,
        "longitude_deg": estimate.position and estimate.position.longitude_deg,
        "confidence": estimate.confidence,
        "radius_m": estimate.radius_m,
        "ellipse_semi_major_m": e and e.semi_major_m,
        "ellipse_semi_minor_m": e and e.semi_minor_m,
        "ellipse_orientation_deg": e and e.orientation_deg,
        "region_resolution": r and r.resolution,
        "region_cells": r and list(r.cells),
        "region_area_m2": r and r.area_m2,
        "warnings": [f"{w.code.name.lower()}: {w.message}" for w in estimate.warnings],
        "address": estimate.address and estimate.address.line(),
        "area": estimate.areas[0].name if estimate.areas else None,
    }


def without_sources(row: Row) -> Row:
    return {k: v for k, v in row.items() if k in RESULT.names and k != "sources"}


def town_rows(n: int, seed: int) -> list[Row]:
    """Rows of all mixtures: fixes with and without radius, scans with neighbours, numbers, times, messages, nothing."""
    rng = np.random.default_rng(seed)
    cells = [(101, 0), (101, 1), (102, 2), (999, 0)]
    rows: list[Row] = []
    for _ in range(n):
        row: Row = {}
        if rng.random() < 0.6:
            row |= {"latitude": rng.uniform(54.97, 55.03), "longitude": rng.uniform(2.45, 2.55)}
            row |= {"radius_m": float(rng.uniform(0, 900))} if rng.random() < 0.8 else {}
            row |= (
                {"reported_confidence": 0.68, "method": str(rng.choice(["gps", "wifi"]))} if rng.random() < 0.5 else {}
            )
        if rng.random() < 0.6:
            site, sector = cells[int(rng.integers(len(cells)))]
            row |= {"radio": "LTE", "mcc": "001", "mnc": "01", "area": 1101, "cell": site * 256 + sector}
            row |= {"timing_advance": int(rng.integers(0, 30))} if rng.random() < 0.5 else {}
        if rng.random() < 0.4:
            row["neighbours"] = [
                {"pci": int(rng.integers(0, 503)), "arfcn": int(rng.choice([1300, 6300]))}
                for _ in range(int(rng.integers(1, 4)))
            ]
        if rng.random() < 0.4:
            row["calling_number"] = f"+441632960{rng.integers(0, 999):03d}"
        if rng.random() < 0.7:
            row["t"] = 1_700_000_000.0 + float(rng.integers(0, 2_000))
        if rng.random() < 0.1:
            row["aml"] = (
                'A"ML=1;lt=+55.00123;lg=+2.50123;rd=30;top=20231114221500;lc=90;pm=G;si=001010123456789;ei=490154203237518;mcc=001;mnc=01;ml=120'
            )
        rows.append(row)
    return rows


SCHEMA = pa.schema(
    [
        ("call_id", pa.string()), ("t", pa.float64()), ("calling_number", pa.string()), ("radio", pa.string()),
        ("mcc", pa.string()), ("mnc", pa.string()), ("area", pa.int32()), ("cell", pa.int64()), ("pci", pa.int32()),
        ("arfcn", pa.int32()), ("timing_advance", pa.int32()), ("latitude", pa.float64()), ("longitude", pa.float64()),
        ("radius_m", pa.float64()), ("reported_confidence", pa.float64()), ("method", pa.string()), ("aml", pa.string()),
        ("neighbours", pa.list_(pa.struct([("pci", pa.int32()), ("arfcn", pa.int32())]))),
    ]
)  # fmt: skip


def test_answers_are_those_of_the_resolver(town: Resolver, seed: int) -> None:
    rows = town_rows(300, seed)
    found = answer_batch(town, pa.RecordBatch.from_pylist(rows, SCHEMA))
    calls = [
        model.Call(f"row-{n}", str(row.get("calling_number") or ""), evidence=tuple(evidence_of(row, 0)))
        for n, row in enumerate(rows, 1)
    ]
    expected = [row_of(e) for e in town.resolve(calls)]
    assert [without_sources(r) for r in found.to_pylist()] == expected
    assert {"located", "conflict", "no_location"} <= {str(e["outcome"]) for e in expected}


def test_rows_of_one_call_are_one_call(town: Resolver, seed: int) -> None:
    rows = town_rows(240, seed)
    rng = np.random.default_rng(seed)
    names = [f"c{i}" for i in rng.integers(0, 60, len(rows))]
    found = answer_batch(
        town, pa.RecordBatch.from_pylist([r | {"call_id": n} for r, n in zip(rows, names, strict=True)], SCHEMA)
    )
    calls = []
    # In the order of their last rows.
    for name in sorted(set(names), key=lambda n: len(names) - names[::-1].index(n)):
        own = [r for r, n in zip(rows, names, strict=True) if n == name]
        number = next((str(r["calling_number"]) for r in own if "calling_number" in r), "")
        pieces = [e for rank, r in enumerate(own) for e in evidence_of(r, rank)]
        calls.append(model.Call(name, number, evidence=tuple(pieces)))
    assert [without_sources(r) for r in found.to_pylist()] == [row_of(e) for e in town.resolve(calls)]


def test_answers_do_not_hang_on_how_the_table_is_cut(town: Resolver, seed: int) -> None:
    whole = pa.RecordBatch.from_pylist([r | {"call_id": f"c{i}"} for i, r in enumerate(town_rows(200, seed))], SCHEMA)
    parts = [answer_batch(town, whole.slice(i, 37)) for i in range(0, 200, 37)]
    assert pa.Table.from_batches(parts).equals(pa.Table.from_batches([answer_batch(town, whole)]))


def test_calls_as_json(town: Resolver, seed: int) -> None:
    calls = [
        model.Call(f"j{n}", str(r.get("calling_number") or ""), evidence=tuple(evidence_of(r, 0)))
        for n, r in enumerate(town_rows(50, seed))
    ]
    texts = [json.dumps(call_to_json(call)) for call in calls] + ['{"call_id": "odd", "evidence": 3}']
    found = answer_batch(town, pa.RecordBatch.from_pydict({"__call_json": texts})).to_pylist()
    assert [without_sources(r) for r in found[:-1]] == [row_of(e) for e in town.resolve(calls)]
    assert (found[-1]["call_id"], found[-1]["outcome"]) == ("odd", "rejected")


def test_sources_name_what_counted(town: Resolver) -> None:
    row = {
        "latitude": 54.9958, "longitude": 2.4933, "radius_m": 30.0, "method": "gps",
        "radio": "LTE", "mcc": "310", "mnc": "260", "calling_number": "+441632960999",
    }  # fmt: skip
    found = answer_batch(town, pa.RecordBatch.from_pylist([row], SCHEMA)).to_pylist()[0]
    assert "device_report/gnss" in found["sources"]
    assert all(s.split("/")[0] in {"device_report", "cell_scan", "line_lookup"} for s in found["sources"])


@pytest.mark.parametrize(
    ("row", "outcome", "reason"),
    [
        ({"latitude": "91", "longitude": "0"}, "rejected", "latitude is outside -90 to 90: '91'"),
        ({"latitude": "52,5", "longitude": "0"}, "rejected", "latitude is not a number: '52,5'"),
        ({"latitude": "55", "longitude": "2.5", "radius_m": "wide"}, "located", "radius_m is not a number: 'wide'"),
        (
            {"latitude": "55", "longitude": "2.5", "reported_confidence": "68"},
            "located",
            "reported_confidence is not above 0 and below 1 (percent are written as fractions): '68'",
        ),
        ({"latitude": "55", "longitude": "2.5", "t": "yesterday"}, "located", "t is not a time (RFC 3339 or Unix seconds)"),
        ({"latitude": "55", "longitude": "2.5", "method": "dowsing"}, "located", "method is no positioning method"),
        ({"radio": "6G", "mcc": "272", "mnc": "1"}, "located", "radio is no radio (GSM, UMTS, LTE or NR): '6G'"),
        ({"mcc": "27.5"}, "rejected", "mcc is not a whole number: '27.5'"),
        ({"radio": "GSM", "mcc": "272", "cell": "65536"}, "located", "cell is out of the range of its radio: '65536'"),
        ({"neighbours": "[{"}, "rejected", "neighbours is not a JSON list of cells"),
        ({"latitude": "nan"}, "no_location", ""),
        ({}, "no_location", ""),
    ],
)  # fmt: skip
def test_a_wrong_value_costs_only_itself(nothing: Resolver, row: dict[str, str], outcome: str, reason: str) -> None:
    good = {"latitude": "55", "longitude": "2.5"}
    batch = pa.RecordBatch.from_pylist([good, row, good], pa.schema([(n, pa.string()) for n in {*good, *row}]))
    before, found, after = answer_batch(nothing, batch).to_pylist()
    assert (found["outcome"], before["outcome"], after["outcome"]) == (outcome, "located", "located")
    told = [w for w in found["warnings"] if w.startswith("partly_read")]
    assert told == [] if not reason else f"partly_read: {reason}" in told[0]


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.bool_(), pa.struct([("x", pa.int8())])])
def test_a_column_of_the_wrong_type_costs_only_itself(nothing: Resolver, kind: pa.DataType) -> None:
    value = {pa.bool_(): True}.get(kind, [1.0] if pa.types.is_list(kind) else {"x": 1})
    batch = pa.RecordBatch.from_arrays(
        [pa.array([55.0]), pa.array([2.5]), pa.array([value], kind)], names=["latitude", "longitude", "radius_m"]
    )
    found = answer_batch(nothing, batch).to_pylist()[0]
    assert found["outcome"] == "located"
    assert "radius_m is not a number but" in found["warnings"][0]


def test_times_of_every_kind_are_one_time(nothing: Resolver) -> None:
    """An old cell and a new fix: the warning tells how old the cell is."""
    import datetime as dt

    moment = dt.datetime(2023, 11, 14, 22, 13, 20, 250_000, tzinfo=dt.UTC)
    columns = [
        pa.array([moment.timestamp() + s for s in (0, 600)]),
        pa.array([moment + dt.timedelta(seconds=s) for s in (0, 600)], pa.timestamp("ms", "UTC")),
        pa.array(["2023-11-14T22:13:20.25Z", "2023-11-14T23:23:20.250+01:00"]),
        pa.array(["2023-11-14 22:13:20.25", "1700000600.25"]),
    ]
    rows = [{"mcc": "272", "call_id": "a"}, {"latitude": 53.0, "longitude": -7.0, "call_id": "a"}]
    plain = pa.RecordBatch.from_pylist(
        rows, pa.schema([f for f in SCHEMA if f.name in {"mcc", "call_id", "latitude", "longitude"}])
    )
    answers = [answer_batch(nothing, plain.append_column("t", c)).drop_columns(["t"]) for c in columns]
    assert all(a.equals(answers[0]) for a in answers)
    assert any("stale: observed 10 min before" in w for w in answers[0].to_pylist()[0]["warnings"])


def test_unknown_is_never_exact(nothing: Resolver) -> None:
    rows = [
        {"latitude": 0.0, "longitude": 0.0, "radius_m": 5.0},
        {"latitude": 53.0, "longitude": -7.0, "radius_m": 0.0},
        {"latitude": 53.0, "longitude": None, "radius_m": 5.0},
    ]
    null, sizeless, half = answer_batch(nothing, pa.RecordBatch.from_pylist(rows)).to_pylist()
    assert null["outcome"] == half["outcome"] == "no_location"
    assert sizeless["radius_m"] > 100


@pytest.mark.real
@pytest.mark.parametrize("drive", ["cork", "losangeles", "ottawa", "dakar"])
def test_drives_as_they_are(shared: Path, nothing: Resolver, drive: str) -> None:
    table = pq.read_table(shared / "data" / "drives" / f"{drive}.parquet").slice(0, 300)
    batch = table.combine_chunks().to_batches()[0]
    found = answer_batch(nothing, batch)
    rows = [r | {"calling_number": ""} for r in batch.to_pylist()]
    calls = [model.Call(f"row-{n}", evidence=tuple(evidence_of(row, 0))) for n, row in enumerate(rows, 1)]
    plain = [
        r | {"warnings": [w for w in r["warnings"] if not w.startswith("partly_read")]}  # type: ignore[attr-defined]
        for r in map(without_sources, found.to_pylist())
        if not any("pci is out" in w for w in r["warnings"])  # type: ignore[attr-defined]
    ]
    by_name = {e.call_id: row_of(e) for e in nothing.resolve(calls)}
    assert plain == [by_name[str(r["call_id"])] for r in plain]
    assert len(plain) > 200
    assert found.column("truth_lat").equals(batch.column("truth_lat"))
