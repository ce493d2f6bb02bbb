"""Calibrating: true widths are found again, too little history changes nothing, the same tables give the same numbers."""

from __future__ import annotations

import datetime as dt
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from locsvc.cli import main
from locsvc.errors import BadData, InvalidInput
from locsvc.fusion.claims import EllipseClaims, of_ellipses
from locsvc.fusion.densities import VARIANCE_E, WEIGHT
from locsvc.fusion.gathering import gather
from locsvc.fusion.parameters import DEVICE_KINDS, Parameters
from locsvc.fusion.probe import lone_log_densities
from locsvc.learning.calibrate.calibrate import (
    FEW_DAYS,
    FITTED,
    NONE,
    TOO_LITTLE,
    Calibrated,
    Options,
    calibrate,
)
from locsvc.learning.calibrate.declared import Of, groups_of, value_at
from locsvc.learning.calibrate.fitting import Problem, fit, sure
from locsvc.learning.calibrate.history import MOST_OF_SESSION, read_history
from locsvc.learning.calibrate.scores import Scorer, views_of
from locsvc.learning.calibrate.writing import written
from locsvc.learning.learn import learn
from locsvc.reference.calibration import read_calibration
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from tests.learning.conftest import drives
from tests.learning.conftest import written as written_to

Floats = npt.NDArray[np.float64]
CENTER = (54.8, 2.5)
METRES = 111_200.0
LEVELS = np.array([0.5, 0.68, 0.9, 0.95])
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def claims(
    rng: np.random.Generator, path: Path, *, factor: float, sessions: int, method: str = "gps", rows: int = 40
) -> Path:
    """A table of claims of 20 to 60 m at 68 % whose truths are `factor` times as far off as they say; its path."""
    n = sessions * rows
    radius = np.exp(rng.uniform(np.log(20), np.log(60), n))
    east, north = rng.normal(0, 1, (2, n)) * factor * radius / np.sqrt(-2 * np.log(1 - 0.68))
    lat, lng = rng.uniform(-0.01, 0.01, (2, n))
    table = {
        "session": [f"s-{i // rows:03d}" for i in range(n)],
        "t": [NOON + dt.timedelta(seconds=i) for i in range(n)],
        "latitude": CENTER[0] + lat + north / METRES,
        "longitude": CENTER[1] + lng + east / METRES / np.cos(np.radians(CENTER[0])),
        "radius_m": radius,
        "reported_confidence": np.full(n, 0.68),
        "method": [method] * n,
        "truth_lat": CENTER[0] + lat,
        "truth_lon": CENTER[1] + lng,
        "truth_accuracy_m": np.full(n, 1.0),
    }
    pq.write_table(pa.table(table), path)
    return path


def fitted(path: Path, only: str, reference: Reference | None = None, **options: object) -> Calibrated:
    return calibrate([path], reference or Reference.empty(), Options(only=(only,), folds=3, **options))  # type: ignore[arg-type]


def core_of(calibrated: Calibrated, kind: str) -> float:
    """The median width of the piece of a 30 m claim over that of the claim."""
    p = Parameters.from_mapping(calibrated.values)
    sigma, n = 30.0 / np.sqrt(-2 * np.log(1 - 0.68)), 4000
    z, whole, k = np.zeros(n), np.zeros(n, np.int64), DEVICE_KINDS.index(kind)
    made = of_ellipses(
        EllipseClaims(np.arange(n), whole, z + CENTER[0], z + CENTER[1], z, z + 1, z + sigma, z + sigma, z, whole + k),
        p,
    )
    densities, _ = gather([made])
    away = np.linspace(0.05, 400, n)
    density = np.exp(lone_log_densities(densities, CENTER[0] + away / METRES, z + CENTER[1])) * 2 * np.pi * away
    held = np.cumsum(density) * (away[1] - away[0])
    return float(away[np.searchsorted(held, 0.5)] / (sigma * np.sqrt(2 * np.log(2))))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_true_widths_are_found_again(rng: np.random.Generator, tmp_path: Path, factor: float) -> None:
    path = claims(rng, tmp_path / "history.parquet", factor=factor, sessions=60)
    found = fitted(path, "device.gnss")
    (result,) = found.results
    assert result.verdict == FITTED
    assert result.before is not None
    assert result.after is not None
    # What an ideal fit could score: -1 - ln(2 pi sigma^2) on average.
    ideal = -1 - np.mean(np.log(2 * np.pi * (factor * pq.read_table(path)["radius_m"].to_numpy() / 1.5096) ** 2))
    assert result.before < result.after
    assert ideal - 0.05 < result.after < ideal + 0.05
    assert core_of(found, "gnss") == pytest.approx(factor, rel=0.06)


def test_too_little_history_keeps_the_default(rng: np.random.Generator, tmp_path: Path) -> None:
    path = claims(rng, tmp_path / "history.parquet", factor=3.0, sessions=7)
    found = fitted(path, "device.")
    verdicts = {r.group: r.verdict for r in found.results}
    assert verdicts["device.gnss"] == TOO_LITTLE
    assert verdicts["device.unspecified"] == TOO_LITTLE
    assert verdicts["device.wifi"] == NONE
    assert found.changed == {}
    assert found.values == read_calibration(None)[0]
    assert {r.needed for r in found.results} == {20}
    enough = fitted(path, "device.gnss", least_sessions=5)
    assert enough.results[0].verdict == FITTED


def test_sessions_are_the_sample(rng: np.random.Generator, tmp_path: Path) -> None:
    """One long session does not outvote many short ones."""
    small = pq.read_table(claims(rng, tmp_path / "a.parquet", factor=1.0, sessions=30, rows=20))
    long = pq.read_table(claims(rng, tmp_path / "b.parquet", factor=5.0, sessions=1, rows=600))
    both = pa.concat_tables([small, long.set_column(0, "session", pa.array(["long"] * 600))])
    pq.write_table(both, tmp_path / "both.parquet")
    found = fitted(tmp_path / "both.parquet", "device.gnss")
    assert found.history.calls == 30 * 20 + MOST_OF_SESSION
    assert core_of(found, "gnss") == pytest.approx(1.0, rel=0.15)


def test_the_same_tables_give_the_same_numbers(rng: np.random.Generator, tmp_path: Path) -> None:
    path = claims(rng, tmp_path / "history.parquet", factor=2.0, sessions=24)
    one, other = (fitted(path, "device.gnss") for _ in range(2))
    assert one.changed == other.changed
    assert written(one, None, NOON) == written(other, None, NOON)


def test_reports_that_are_the_truth_say_nothing(rng: np.random.Generator, tmp_path: Path) -> None:
    table = pq.read_table(claims(rng, tmp_path / "history.parquet", factor=1.0, sessions=30))
    # The truth was taken from the fix, and rounded on its way.
    for ours, theirs in (("truth_lat", "latitude"), ("truth_lon", "longitude")):
        values = pa.array(np.round(table[theirs].to_numpy(), 5))
        table = table.set_column(table.schema.get_field_index(ours), ours, values)
    pq.write_table(table, tmp_path / "same.parquet")
    found = fitted(tmp_path / "same.parquet", "device.")
    assert found.history.same == len(table)
    assert {r.verdict for r in found.results} == {NONE}


def test_claims_that_the_truth_cannot_judge_are_left_out(rng: np.random.Generator, tmp_path: Path) -> None:
    table = pq.read_table(claims(rng, tmp_path / "history.parquet", factor=1.0, sessions=30))
    coarse = pa.array(np.full(len(table), 20.0))
    table = table.set_column(table.schema.get_field_index("truth_accuracy_m"), "truth_accuracy_m", coarse)
    pq.write_table(table, tmp_path / "coarse.parquet")
    (result,) = fitted(tmp_path / "coarse.parquet", "device.gnss").results
    assert result.rows == int((table["radius_m"].to_numpy() >= 40).sum())


def test_tables_without_truth_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"latitude": [54.8], "longitude": [2.5], "radius_m": [20.0]}), tmp_path / "no.parquet")
    with pytest.raises(BadData, match=r"no row has a truth .*no truth: 1"):
        read_history([[tmp_path / "no.parquet"]])


def test_every_number_that_is_fitted_is_in_the_shipped_calibration() -> None:
    shipped, _ = read_calibration(None)
    groups = groups_of(shipped)
    assert len({g.name for g in groups}) == len(groups)
    paths = [n.path for g in groups for n in g.numbers]
    assert len(set(paths)) == len(paths)
    for group in groups:
        for number in group.numbers:
            assert number.low <= value_at(shipped, number.path) <= number.high, number.path
            there = number.from_scale(number.to_scale(value_at(shipped, number.path)))
            assert there == pytest.approx(value_at(shipped, number.path)), number.path


def test_what_is_written_is_read_and_keeps_what_was_there(rng: np.random.Generator, tmp_path: Path) -> None:
    path = claims(rng, tmp_path / "history.parquet", factor=2.0, sessions=24)
    found = fitted(path, "device.gnss")
    text = written(found, "[line.fixed]\noutlier_share = 0.25\n", NOON)
    values, version = read_calibration(text)
    assert value_at(values, "line.fixed.outlier_share") == 0.25
    assert {p: value_at(values, p) for p in found.changed} == found.changed
    assert version.source == "history.parquet: 960 calls of 24 sessions"
    told = tomllib.loads(text)["fit"]
    assert (told["rows"], told["sessions"], told["tables"]) == (960, 24, ["history.parquet"])
    assert told["at"] == "2026-03-02T12:00:00Z"
    (group,) = told["groups"]
    assert group["verdict"] == FITTED
    assert group["log_score_before"] < group["log_score_after"]
    # And once more over itself.
    assert read_calibration(written(found, text, NOON))[0] == values


def test_command(rng: np.random.Generator, tmp_path: Path, imported_town: Path) -> None:
    path = claims(rng, tmp_path / "history.parquet", factor=2.0, sessions=24)
    out = tmp_path / "calibration.toml"
    asked = ["calibrate", str(path), "--data", str(imported_town), "--only", "device.gnss", "--out", str(out)]
    first = CliRunner().invoke(main, asked)
    assert first.exit_code == 0, first.output
    assert "device.gnss.core_factor = " in first.stdout
    assert "960 located calls of 24 sessions" in first.stderr
    again = CliRunner().invoke(main, [*asked, "--json"])
    assert again.exit_code == 0
    assert (tmp_path / "calibration.toml.old").exists()
    wrong = CliRunner().invoke(main, ["calibrate", str(tmp_path / "none.parquet"), "--data", str(imported_town)])
    assert wrong.exit_code == 65


def test_no_time_keeps_what_was_there(rng: np.random.Generator, tmp_path: Path) -> None:
    path = claims(rng, tmp_path / "history.parquet", factor=2.0, sessions=24)
    found = fitted(path, "device.gnss", budget_s=0.0)
    assert (found.results[0].verdict, found.changed) == ("kept: the time was over", {})


def test_a_gain_smaller_than_its_error_may_be_chance() -> None:
    """A mean of 0.4 of ten places that are one off to either side: on average better than 0, but hardly surely."""
    x = 0.4 + np.tile([-1.0, 1.0], 5)
    one = np.ones(1)
    problem = Problem(lambda mean: -((x - mean[0]) ** 2) / 2, np.arange(10), 0 * one, 0 * one, 10 * one)
    each = fit(problem, np.arange(10), 5)
    assert 0 < each.after - each.before < each.gain_error
    assert not sure(each, 10)
    # Of the same kind a hundred tell it.
    x = 0.4 + np.tile([-1.0, 1.0], 50)
    hundred = fit(replace(problem, session=np.arange(100)), np.arange(100), 5)
    assert sure(hundred, 100)


def lines(rng: np.random.Generator, folder: Path, *, sigma_m: float, elsewhere: float) -> Path:
    """Calls from fixed lines, `sigma_m` from where their records are and now and then elsewhere; data beside them."""
    n = 400
    away = np.where(rng.random(n)[:, None] < elsewhere, rng.normal(0, 8000, (n, 2)), rng.normal(0, sigma_m, (n, 2)))
    place = np.array(CENTER) + rng.uniform(-0.05, 0.05, (n, 2))
    numbers = [f"+441632960{k:03d}" for k in range(n)]
    records = ["number,class_of_service,latitude,longitude,placement"]
    records += [f"{number},1,{lat},{lng},structure" for number, (lat, lng) in zip(numbers, place, strict=True)]
    (folder / "lines.csv").write_text("\n".join(records), encoding="utf-8")
    asked = ["import", "lines", str(folder / "lines.csv"), "--default-region", "GB", "--data", str(folder / "data")]
    assert CliRunner().invoke(main, asked).exit_code == 0
    truth = place + away / METRES / np.array([1.0, np.cos(np.radians(CENTER[0]))])
    table = {"session": numbers, "calling_number": numbers, "truth_lat": truth[:, 0], "truth_lon": truth[:, 1]}
    pq.write_table(pa.table(table), folder / "calls.parquet")
    return folder / "calls.parquet"


def test_lines_farther_off_than_thought_are_no_outliers(rng: np.random.Generator, tmp_path: Path) -> None:
    """Six times as wide as shipped: that is found in the width, and the share of outliers is what it is."""
    path = lines(rng, tmp_path, sigma_m=90.0, elsewhere=0.1)
    found = calibrate([path], Reference.open(tmp_path / "data"), Options(only=("line.", "placement_sigma_m."), folds=3))
    assert value_at(found.values, "placement_sigma_m.structure") == pytest.approx(90, rel=0.2)
    assert value_at(found.values, "line.fixed.outlier_share") == pytest.approx(0.1, abs=0.06)
    assert {r.verdict for r in found.results if r.group == "line.voip"} == {NONE}


def test_one_day_cannot_be_left_out(rng: np.random.Generator, tmp_path: Path) -> None:
    path = claims(rng, tmp_path / "history.parquet", factor=2.0, sessions=24)
    found = fitted(path, "device.gnss", by_day=True)
    assert (found.results[0].verdict, found.changed) == (FEW_DAYS, {})


def test_numbers_that_nothing_is_known_of_stay_out_of_the_file(rng: np.random.Generator, tmp_path: Path) -> None:
    table = pq.read_table(claims(rng, tmp_path / "history.parquet", factor=2.0, sessions=24))
    # All claims are as wide as the pivot: exponents and slope make no difference there.
    wide = pa.array(np.full(len(table), 10.0 * np.sqrt(-2 * np.log(1 - 0.68))))
    pq.write_table(table.set_column(4, "radius_m", wide), tmp_path / "one.parquet")
    found = fitted(tmp_path / "one.parquet", "device.gnss")
    assert found.results[0].verdict == FITTED
    assert "device.gnss.core_factor" in found.changed
    assert not {"device.gnss.core_exponent", "device.gnss.tail_exponent"} & found.changed.keys()
    assert "core_exponent" not in written(found, None, NOON)


def test_each_part_is_scored_by_its_own_reference_data(tmp_path: Path) -> None:
    halves = [drives(600, np.random.default_rng(k)) for k in (1, 2)]
    files = [written_to(tmp_path / f"{k}.parquet", half) for k, half in enumerate(halves)]
    references = []
    for k, file in enumerate(files):
        learn([file], tmp_path / f"data-{k}")
        references.append(Reference.open(tmp_path / f"data-{k}"))
    shipped, _ = read_calibration(None)

    def scores(tables: list[list[Path]], taught: list[Reference]) -> Floats:
        return Scorer(taught, views_of(read_history(tables), Of.CELL), Of.CELL)(shipped)

    both = scores([[files[0]], [files[1]]], [references[1], references[0]])
    alone = [scores([[files[k]]], [references[1 - k]]) for k in (0, 1)]
    assert np.array_equal(both, np.concatenate(alone), equal_nan=True)
    assert not np.array_equal(both[: len(alone[0])], scores([[files[0]]], [references[0]]), equal_nan=True)


def test_a_name_that_no_group_has_is_wrong_use(tmp_path: Path, imported_town: Path) -> None:
    with pytest.raises(InvalidInput, match=r"begins with 'devise.gnss'; did you mean 'device.gnss'"):
        calibrate([tmp_path / "none.parquet"], Reference.empty(), Options(only=("coverage", "devise.gnss")))
    out = tmp_path / "calibration.toml"
    asked = ["calibrate", "x.parquet", "--data", str(imported_town), "--only", "line.fxed", "--out", str(out)]
    told = CliRunner().invoke(main, asked)
    assert (told.exit_code, out.exists()) == (2, False)
    assert "did you mean 'line.fixed'" in told.stderr


def test_a_calibration_in_force_stays_where_nothing_is_new(
    rng: np.random.Generator, tmp_path: Path, imported_town: Path
) -> None:
    path = claims(rng, tmp_path / "history.parquet", factor=2.0, sessions=4)
    # The town itself is all tests'.
    data = Path(shutil.copytree(imported_town, tmp_path / "data"))
    own = data / "calibration.toml"
    own.write_text('version = "mine"\n[line.fixed]\noutlier_share = 0.25\n', encoding="utf-8")
    before = own.read_bytes()
    asked = ["calibrate", str(path), "--data", str(data), "--only", "device."]
    told = CliRunner().invoke(main, asked)
    assert told.exit_code == 0, told.output
    assert "nothing is written" in told.stderr
    assert own.read_bytes() == before
    assert not own.with_name("calibration.toml.old").exists()
    # A file that was asked for is written, and does not claim the former numbers for these tables.
    out = tmp_path / "trial.toml"
    assert CliRunner().invoke(main, [*asked, "--out", str(out)]).exit_code == 0
    assert tomllib.loads(out.read_text(encoding="utf-8"))["version"] == "mine"


def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_read(tmp_path: Path, imported_town: Path) -> None:
    for out in (tmp_path, tmp_path / "none" / "calibration.toml"):
        asked = ["calibrate", "none.parquet", "--data", str(imported_town), "--out", str(out)]
        told = CliRunner().invoke(main, asked)
        assert told.exit_code == 78
        assert "give another place with --out" in " ".join(told.stderr.split())
    assert not list(tmp_path.parent.glob("*.new"))


@pytest.mark.real
@pytest.mark.parametrize(("method", "kind"), [("fused/ios", "fused_ios"), ("fused/android", "fused_android")])
def test_shipped_widths_hold_on_real_sessions(shared: Path, method: str, kind: str) -> None:
    """Shares of truths inside, sessions weighed alike: claims of phones that the shipped widths were fitted to."""
    columns = pq.read_table(shared / "data" / "device" / "mobilitynet_route.parquet").to_pydict()
    keep = [
        i
        for i, (m, r, a) in enumerate(
            zip(columns["method"], columns["radius_m"], columns["truth_accuracy_m"], strict=True)
        )
        if m.startswith(method) and r >= 2 * a
    ]
    radius, error = (np.array([columns[c][i] for i in keep]) for c in ("radius_m", "error_m"))
    _, session = np.unique([columns["session"][i] for i in keep], return_inverse=True)
    weight = 1.0 / np.bincount(session)[session]
    level = levels_of(Resolver(Reference.empty()).parameters, kind, radius, error)
    told = np.array([np.average(level <= p, weights=weight) for p in LEVELS])
    assert np.abs(told - LEVELS).max() < 0.035, told


def levels_of(p: Parameters, kind: str, radius_m: Floats, error_m: Floats) -> Floats:
    """How much of each claim's density lies nearer than its truth."""
    n, k = len(radius_m), DEVICE_KINDS.index(kind)
    sigma = radius_m / np.sqrt(-2 * np.log1p(-p.device.unstated_confidence[k]))
    z, whole = np.zeros(n), np.zeros(n, np.int64)
    made = of_ellipses(EllipseClaims(np.arange(n), whole, z, z, z, z + 1, sigma, sigma, z, whole + k), p)
    inside = np.zeros(n)
    held = -np.expm1(-(error_m[made.piece] ** 2) / 2 / made.component[:, VARIANCE_E])
    np.add.at(inside, made.piece, made.component[:, WEIGHT] * held)
    wrong = 1 - 1 / (1 + error_m**2 / 2 / made.outlier_scale_m**2)
    return (1 - made.outlier_share) * inside + made.outlier_share * wrong
