"""Folds: nothing of a fold teaches what answers it, whatever stands in the data directory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from locsvc.errors import BadData
from locsvc.evaluate.folds import Folding, fold_numbers, resolver_of_fold
from locsvc.evaluate.judge import Terms
from locsvc.evaluate.run import Options, evaluate
from locsvc.evaluate.words import remarks
from locsvc.learning.calibrate.calibrate import FEW_DAYS, FITTED, TOO_LITTLE
from locsvc.learning.learn import Options as LearnOptions
from locsvc.learning.learn import learn
from locsvc.reference.cells import import_cells
from locsvc.reference.snapshot import Draft, current_id
from locsvc.tables.form import CALL
from locsvc.tables.grouping import Grouper
from tests.evaluate.conftest import DAY_S, START_S, drive, write


def whole(table: pa.Table) -> list[pa.RecordBatch]:
    grouper = Grouper()
    found = [b for part in table.to_batches(max_chunksize=50) for b in grouper.add(part)] + list(grouper.end())
    return [b for b in found if len(b)]


def numbers(table: pa.Table, folding: Folding, session: str | None = None) -> list[int]:
    found = fold_numbers(whole(table), folding, session)
    result: list[int] = np.concatenate(found).tolist()
    return result


def test_days_and_sessions_stay_together() -> None:
    table = drive(7, 10, 1)
    for folding in (Folding("day", 3), Folding("session", 3), Folding("session", 0)):
        folds = np.array(numbers(table, folding)).reshape(7, 10)
        assert (folds == folds[:, :1]).all()
        assert len(set(folds[:, 0].tolist())) == (folding.count or 7)
    sizes = Counter(numbers(table, Folding("day", 3)))
    assert max(sizes.values()) - min(sizes.values()) <= 10


def test_time_is_cut_into_stretches() -> None:
    table = drive(1, 100, 2)
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(100)))
    folds = np.array(numbers(shuffled, Folding("time", 4)))
    t = shuffled.column("t").to_numpy()
    assert Counter(folds.tolist()) == dict.fromkeys(range(4), 25)
    assert all(t[folds == k].max() < t[folds == k + 1].min() for k in range(3))


def test_rows_of_a_call_stay_together() -> None:
    table = drive(4, 10, 3).append_column("call_id", pa.array([f"c{i % 13}" for i in range(40)]))
    batches = whole(table)
    folds = np.concatenate(fold_numbers(batches, Folding("day", 2), None))
    calls = np.concatenate([b.column("call_id").to_pylist() for b in batches])
    assert all(len(set(folds[calls == c].tolist())) == 1 for c in set(calls.tolist()))
    assert all(CALL in b.schema.names for b in batches)


def test_one_fold_is_none() -> None:
    with pytest.raises(BadData, match="all calls are in one fold"):
        numbers(drive(1, 10, 4), Folding("day"))


def test_a_day_never_teaches_itself(tmp_path: Path) -> None:
    # Each day has cells of its own: whoever knows one has learned from the day itself.
    path = write(drive(4, 30, 5, fresh_cells=True), tmp_path / "own.parquet")
    data = tmp_path / "data"
    learn([path], data, LearnOptions())
    (data / "calibration.toml").write_text('version = "seen these rows"\n')
    before = current_id(data)
    found = evaluate([path], data, Options(folding=Folding("day", 0)))
    told = {(row["by"], row["value"]): row for row in found.numbers["strata"]}
    assert found.numbers["folds"] == {"by": "day", "count": 4, "trained_rows": [90] * 4}
    assert ("cell", "known") not in told
    assert "centroid" not in told["all", "all"]["baselines"]
    # What was there is as it was, and nothing of the folds is left.
    assert current_id(data) == before
    assert (data / "calibration.toml").exists()


def test_other_days_teach(tmp_path: Path) -> None:
    path = write(drive(4, 60, 6), tmp_path / "same.parquet")
    found = evaluate([path], None, Options(folding=Folding("day", 0)))
    first = found.numbers["strata"][0]
    assert first["baselines"]["centroid"]["n"] == 240
    assert first["baselines"]["centroid"]["error_m"]["0.5"] < 400
    # Truths lie along a street of which each day has its own places: a fold is not the rows that it is tested on.
    assert first["baselines"]["centroid"]["error_m"]["0.5"] > 20


def test_reference_data_stays_and_coverage_and_calibration_go(tmp_path: Path) -> None:
    source = tmp_path / "cells.csv"
    source.write_text(
        "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal\n"
        "LTE,1,1,7,2561,,11,52,500,40,1,1690000000,1690000000,0\n"
    )
    data = tmp_path / "data"
    with Draft.begin(data) as draft:
        import_cells(draft, source, name="cells")
        draft.publish()
    table = drive(2, 20, 7)
    learn([write(table, tmp_path / "t.parquet")], data, LearnOptions())
    (data / "calibration.toml").write_text('version = "own"\n')
    other = drive(1, 20, 8, fresh_cells=True)
    given = [(other, np.zeros(len(other), np.int64))]
    with resolver_of_fold(given, data, Folding("day"), Counter()) as resolver:
        assert resolver.reference.cells is not None
        assert resolver.reference.coverage is not None
        assert resolver.reference.coverage.reports == 20
        assert resolver.parameters.version != "own"
    with resolver_of_fold(given, data, Folding("day", keep_calibration=True), Counter()) as resolver:
        assert resolver.parameters.version == "own"
    nothing: Counter[str] = Counter()
    with resolver_of_fold([], data, Folding("day"), nothing) as resolver:
        assert resolver.reference.cells is not None
        assert resolver.reference.coverage is None
    assert sum(nothing.values()) == 1


def wrong_fixes(sessions: int, days: int) -> pa.Table:
    """Fixes five times as far off as they claim, three a session."""
    rng, n = np.random.default_rng(9), sessions * 3
    t = START_S + np.repeat(np.arange(sessions) * days // sessions, 3) * DAY_S
    return pa.table(
        {
            "session": [f"s{k}" for k in np.repeat(np.arange(sessions), 3)], "t": t, "latitude": np.full(n, 52.0),
            "longitude": np.full(n, 11.0), "radius_m": np.full(n, 20.0), "reported_confidence": np.full(n, 0.68),
            "method": ["gps"] * n, "truth_lat": 52.0 + rng.normal(0, 60, n) / 111_200,
            "truth_lon": 11.0 + rng.normal(0, 60, n) / 68_600, "truth_accuracy_m": np.full(n, 2.0),
        }
    )  # fmt: skip


def test_a_fold_is_calibrated_on_what_its_coverage_did_not_see(tmp_path: Path) -> None:
    path = write(wrong_fixes(300, 10), tmp_path / "t.parquet")
    # What folds learn of that makes regions hold what they say.
    plain = evaluate([path], None, Options(folding=Folding("day", 3))).numbers["strata"][0]
    fitted = evaluate([path], None, Options(folding=Folding("day", 3, calibrate=True))).numbers["strata"][0]
    shares = [row["coverage"]["region"]["0.9"]["share"] for row in (plain, fitted)]
    assert shares[0] < 0.7
    assert shares[1] == pytest.approx(0.9, abs=0.07)
    assert fitted["log_score"] < plain["log_score"] - 0.3


def test_a_fold_is_calibrated_on_all_others_together(tmp_path: Path) -> None:
    """Two folds of ten sessions are enough together; and it is told what was fitted, and what was not."""
    path = write(wrong_fixes(30, 15), tmp_path / "t.parquet")
    told = evaluate([path], None, Options(folding=Folding("day", 3, calibrate=True))).numbers
    assert told["folds"]["calibrated"]["device.gnss"] == {FITTED: 3}
    assert any(line.startswith("calibrated: ") and "device.gnss in 3 of 3 folds" in line for line in remarks(told))
    few = write(wrong_fixes(9, 9), tmp_path / "few.parquet")
    told = evaluate([few], None, Options(folding=Folding("day", 3, calibrate=True))).numbers
    assert told["folds"]["calibrated"]["device.gnss"] == {TOO_LITTLE: 3}
    assert "calibrated: nothing in any fold" in remarks(told)


def walk(phones: int, rows: int) -> pa.Table:
    """One walk with some phones, each a session, whose fixes are five times as far off as they claim."""
    table = wrong_fixes(phones * rows // 3, 1)
    session = [f"phone {k % phones}" for k in range(len(table))]
    t = START_S - START_S % DAY_S + np.arange(len(table)) * 10
    return table.set_column(0, "session", pa.array(session)).set_column(1, "t", pa.array(t))


def verdict(table: pa.Table, path: Path, folding: Folding, terms: Terms | None = None) -> dict[str, int]:
    """What became of the fixes' group in how many folds."""
    told = evaluate([write(table, path)], None, Options(folding=folding, terms=terms or Terms())).numbers
    found: dict[str, int] = told["folds"]["calibrated"]["device.gnss"]
    return found


def test_a_session_in_one_stretch_of_time_counts(tmp_path: Path) -> None:
    """Three phones in the five stretches that are left are fifteen of them: enough for fifteen, too few for sixteen."""
    table, path = walk(3, 24), tmp_path / "t.parquet"
    assert verdict(table, path, Folding("time", 6, calibrate=True, least_sessions=15)) == {FITTED: 6}
    assert verdict(table, path, Folding("time", 6, calibrate=True, least_sessions=16)) == {TOO_LITTLE: 6}
    # Stretches are left out together, and of two no spread is known.
    assert verdict(table, path, Folding("time", 3, calibrate=True, least_sessions=3)) == {FEW_DAYS: 3}


def test_a_session_with_one_value_of_the_column_counts(tmp_path: Path) -> None:
    table, path = walk(3, 24), tmp_path / "t.parquet"
    table = table.append_column("street", pa.array([f"street {k // 3 % 4}" for k in range(len(table))]))
    assert verdict(table, path, Folding("street", 4, calibrate=True, least_sessions=9)) == {FITTED: 4}
    assert verdict(table, path, Folding("street", 4, calibrate=True, least_sessions=10)) == {TOO_LITTLE: 4}


def test_sessions_that_calibrating_needs_can_be_told(tmp_path: Path) -> None:
    table, path = wrong_fixes(9, 9), tmp_path / "few.parquet"
    assert verdict(table, path, Folding("day", 3, calibrate=True, least_sessions=6)) == {FITTED: 3}
    assert verdict(table, path, Folding("day", 3, calibrate=True, least_sessions=7)) == {TOO_LITTLE: 3}


def test_sessions_are_those_of_the_column_that_is_asked_for(tmp_path: Path) -> None:
    table, path = wrong_fixes(9, 9), tmp_path / "few.parquet"
    table = table.append_column("driver", pa.array([f"driver {k % 2}" for k in range(len(table))]))
    folding = Folding("day", 3, calibrate=True, least_sessions=3)
    assert verdict(table, path, folding) == {FITTED: 3}
    assert verdict(table, path, folding, Terms(session="driver")) == {TOO_LITTLE: 3}
