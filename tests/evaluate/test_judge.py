"""Calls judged: coverage as users would count it, levels uniform where all is true, strata, baselines, bad rows."""

from __future__ import annotations

import math
from pathlib import Path

import h3.api.numpy_int as h3
import numpy as np
import pyarrow as pa
import pytest

from locsvc import model
from locsvc.errors import BadData
from locsvc.evaluate.baselines import CENTROID, CLAIMED, MAST, WEIGHTED
from locsvc.evaluate.judge import Terms, judge
from locsvc.evaluate.judged import CONFIDENCES, Judged, joined
from locsvc.evaluate.run import Options, evaluate
from locsvc.evaluate.summary import calibration_of, strata_of
from locsvc.geo import distance_m
from locsvc.reference.cells import import_cells
from locsvc.reference.snapshot import Draft
from locsvc.resolver import Resolver
from locsvc.tables.grouping import Grouper
from tests.evaluate.conftest import drive, fixes, with_drawn_truths, write


def judged_of(resolver: Resolver, table: pa.Table, terms: Terms | None = None) -> Judged:
    grouper = Grouper()
    batches = [b for whole in table.to_batches() for b in grouper.add(whole)] + list(grouper.end())
    found = joined([j for b in batches for j in judge(resolver, b, terms or Terms()).judged])
    assert found is not None
    return found


def test_coverage_is_counted_as_users_would(nothing: Resolver) -> None:
    table = with_drawn_truths(nothing, fixes(60, 1), 2)
    found = judged_of(nothing, table)
    for k, confidence in enumerate(CONFIDENCES):
        calls = [
            model.Call(
                evidence=(
                    model.Evidence(
                        model.DeviceReport(
                            model.Circle(model.LatLng(r["latitude"], r["longitude"]), r["radius_m"]),
                            r["reported_confidence"],
                            model.PositioningMethod.GNSS if r["method"] == "gps" else model.PositioningMethod.WIFI,
                        )
                    ),
                )
            )
            for r in table.to_pylist()
        ]
        for i, (estimate, row) in enumerate(
            zip(nothing.resolve(calls, confidences=confidence), table.to_pylist(), strict=True)
        ):
            assert estimate.position is not None
            assert estimate.region is not None
            away = float(
                distance_m(
                    estimate.position.latitude_deg, estimate.position.longitude_deg, row["truth_lat"], row["truth_lon"]
                )
            )
            assert found.radius_m[k, i] == estimate.radius_m
            assert bool(found.in_circle[k, i]) == (away <= (estimate.radius_m or 0))
            cell = h3.latlng_to_cell(row["truth_lat"], row["truth_lon"], estimate.region.resolution)
            listed = set(estimate.region.cells)
            assert bool(found.in_region[k, i]) == any(
                h3.cell_to_parent(cell, r) in listed for r in range(estimate.region.resolution + 1)
            )
            if confidence == 0.9:
                assert found.error_m[i] == pytest.approx(away)
                assert found.area_m2[i] == estimate.region.area_m2


def test_a_calibrated_history_is_found_to_be_one(nothing: Resolver) -> None:
    n = 3000
    found = judged_of(nothing, with_drawn_truths(nothing, fixes(n, 3), 4))
    for k, confidence in enumerate(CONFIDENCES):
        # Four standard deviations, and what whole cells overshoot.
        room = 4 * math.sqrt(confidence * (1 - confidence) / n) + 0.01
        assert found.in_region[k].mean() == pytest.approx(confidence, abs=room)
        assert found.in_circle[k].mean() == pytest.approx(confidence, abs=room)
        # The probe says the same as the regions: exactly where its leaves are the region's, without bias elsewhere.
        by_level = found.level_from < confidence - 1e-9
        assert by_level.mean() == pytest.approx(found.in_region[k].mean(), abs=0.02)
    assert np.mean(by_level == found.in_region[-1]) > 0.99
    told = calibration_of(found, np.random.default_rng(1))
    # Kolmogorov's distance at one in a thousand.
    assert told["levels"]["distance"] < 1.95 / math.sqrt(n)
    assert sum(told["levels"]["counts"]) == n
    assert max(told["levels"]["counts"]) < 1.5 * n / told["levels"]["bins"]
    assert told["reliability"]["share"][9] == pytest.approx(0.5, abs=0.05)


def test_claims_that_are_too_small_are_seen(nothing: Resolver) -> None:
    table = with_drawn_truths(nothing, fixes(500, 5), 6)
    halved = table.set_column(2, "radius_m", pa.array(table.column("radius_m").to_numpy() / 3))
    good, bad = judged_of(nothing, table), judged_of(nothing, halved)
    assert bad.in_region[2].mean() < good.in_region[2].mean() - 0.2
    assert bad.log_score.mean() > good.log_score.mean() + 0.3
    assert bad.energy_m.mean() > good.energy_m.mean()
    claimed = good.baselines[CLAIMED]
    assert claimed.radius_m == pytest.approx(table.column("radius_m").to_numpy())
    assert claimed.error_m == pytest.approx(good.error_m, rel=0.2, abs=5)


def test_strata_baselines_and_sessions(tmp_path: Path) -> None:
    source = tmp_path / "cells.csv"
    masts = "".join(
        f"LTE,1,1,7,{256 * (10 + k) + 1},{11.0 + 0.00583 * k},52.0,500,40,1,1690000000,1690000000,0\n" for k in range(6)
    )
    source.write_text(
        "radio,mcc,net,area,cell,lon,lat,range,samples,changeable,created,updated,averageSignal\n" + masts
    )
    with Draft.begin(tmp_path / "data") as draft:
        import_cells(draft, source, name="cells")
        draft.publish()
    table = drive(3, 40, 7)
    advance = [None if i % 2 else 5 for i in range(len(table))]
    table = table.append_column("timing_advance", pa.array(advance, pa.int32())).append_column(
        "car", pa.array(["a", "b"] * 60)
    )
    found = evaluate([write(table, tmp_path / "t.parquet")], tmp_path / "data", Options(terms=Terms(by=("car",))))
    told = {(row["by"], row["value"]): row for row in found.numbers["strata"]}
    assert told["all", "all"]["n"] == 120
    assert told["all", "all"]["sessions"] == 3
    assert {k: told[k]["n"] for k in told if k[0] in {"session", "car"}} == {
        ("session", "day-0"): 40, ("session", "day-1"): 40, ("session", "day-2"): 40, ("car", "a"): 60, ("car", "b"): 60,
    }  # fmt: skip
    assert told["cell", "known"]["n"] == told["cell step", "centroid"]["n"] == told["radio", "LTE"]["n"] == 120
    assert told["timing advance", "none"]["n"] == 60
    assert told["timing advance", "250 m to 1 km"]["n"] == 60
    base = told["all", "all"]["baselines"]
    assert set(base) == {CENTROID, WEIGHTED, MAST}
    assert base[CENTROID]["n"] == 120
    assert base[CENTROID]["radius_m"]["stated"] == 500
    # A lone cell: the same place, at least 1 km wide.
    assert base[WEIGHTED]["error_m"] == base[CENTROID]["error_m"]
    assert base[WEIGHTED]["radius_m"]["stated"] == 1000
    assert base[WEIGHTED]["coverage"]["stated"]["share"] == 1
    assert base[MAST]["n"] == 60
    assert base[MAST]["radius_m"]["stated"] == pytest.approx(6 * 78.07, abs=0.1)
    assert base[MAST]["ours"]["n"] == 60
    assert found.worst


def test_a_mean_of_cells_lies_between_them(tmp_path: Path) -> None:
    source = tmp_path / "cells.csv"
    source.write_text(
        "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal\n"
        "LTE,1,1,7,257,,179.99,10,500,1023,1,1690000000,1690000000,0\n"
        "LTE,1,1,7,513,,-179.99,10,500,1,1,1690000000,1690000000,0\n"
    )
    with Draft.begin(tmp_path / "data") as draft:
        import_cells(draft, source, name="cells")
        draft.publish()
    cell = {"radio": "LTE", "mcc": "001", "mnc": "01", "area": 7}
    table = pa.Table.from_pylist(
        [
            {
                **cell,
                "cell": 257,
                "neighbours": [{"cell": 513, "area": 7}],
                "truth_lat": 10.0,
                "truth_lon": 179.99,
                "t": 1690000000,
            }
        ]
    )
    numbers = evaluate([write(table, tmp_path / "t.parquet")], tmp_path / "data").numbers
    # Scores 10 and 1: an eleventh of the 2.19 km between them, over the date line.
    weighted = numbers["strata"][0]["baselines"][WEIGHTED]
    assert weighted["error_m"]["0.5"] == pytest.approx(2192 / 11, rel=0.01)
    assert weighted["radius_m"]["stated"] == pytest.approx(max(1000, 0.95 * 2192 * 10 / 11), rel=0.06)


def test_rows_that_cannot_be_judged_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "latitude,longitude,radius_m,truth_lat,truth_lon,truth_accuracy_m,method\n"
        "52,11,50,52.0001,11,5,gps\n"
        "52,11,50,,,5,gps\n"
        "52,11,50,0,0,5,gps\n"
        "52,11,50,91,11,5,gps\n"
        "52,11,50,52,11,900,gps\n"
        "52,11,50,52,11,40,gps\n"
        "52,11,50,52\n"
        ",,,52,11,5,\n"
        "52,11,big,52,11,5,gps\n"
    )
    told = evaluate([path], None, Options(terms=Terms(claim_ratio=2.0))).numbers
    assert told["calls"] == 9
    assert told["judged"] == 1
    assert told["left_out"] == {
        "claimed radius too small for the truth's accuracy": 3, "no truth": 1, "truth at 0,0": 1, "truth out of range": 1,
        "truth not accurate enough": 1, "row cannot be read": 1,
    }  # fmt: skip
    plain = evaluate([path], None).numbers
    assert plain["judged"] == 3
    assert plain["left_out"]["no location"] == 1
    assert plain["unreadable_values"] == {"radius_m is not a number": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("latitude,longitude,truth_lat,truth_lon\n", "no row"),
        ("latitude,longitude\n52,11\n", "no call could be judged"),
        ("truth_lat,truth_lon\n52,11\n", "no location"),
    ],
)
def test_nothing_to_judge_is_bad_data(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(BadData, match=why):
        evaluate([path], None)


def test_columns_that_are_not_there_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("latitude,longitude,truth_lat,truth_lon\n52,11,52,11\n")
    with pytest.raises(BadData, match="no column 'car'; it has latitude"):
        evaluate([path], None, Options(terms=Terms(by=("car",))))


def test_calls_of_many_rows_are_one_call(nothing: Resolver) -> None:
    rows = [
        {
            "call_id": "a",
            "latitude": 52.0,
            "longitude": 11.0,
            "radius_m": 40.0,
            "truth_lat": None,
            "truth_lon": None,
            "t": 0,
        },
        {
            "call_id": "b",
            "latitude": 40.0,
            "longitude": 11.0,
            "radius_m": 40.0,
            "truth_lat": 40.0,
            "truth_lon": 11.0,
            "t": 0,
        },
        {
            "call_id": "a",
            "latitude": 52.0,
            "longitude": 11.0,
            "radius_m": 40.0,
            "truth_lat": 52.0,
            "truth_lon": 11.0,
            "t": 5,
        },
    ]
    found = judged_of(nothing, pa.Table.from_pylist(rows))
    assert found.name.tolist() == ["b", "a"]
    assert found.error_m == pytest.approx([0, 0], abs=10)
    assert strata_of(found, ())[0]["n"] == 2
