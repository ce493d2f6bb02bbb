"""What regions and circles of a history held, and what they are made to hold by it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from locsvc.fusion.parameters import Parameters
from locsvc.fusion.recalibration import CIRCLE, REGION, REPORTS, SHARES, Recalibration
from locsvc.learning.calibrate.calibrate import FITTED, NO_TIME, NONE, TOO_LITTLE, WIDER, Options, calibrate
from locsvc.learning.calibrate.declared import with_values
from locsvc.learning.calibrate.fitting import sure
from locsvc.learning.calibrate.history import read_history
from locsvc.learning.calibrate.levels import MEASURED, fit_masses, levels_of, log_scores, masses_for
from locsvc.reference.calibration import read_calibration
from locsvc.reference.store import Reference
from tests.learning.test_calibrate import claims

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

SHIPPED = read_calibration(None)[0]
PLAIN = np.array(SHARES)


def places(level: Floats) -> Ints:
    """Of how many of MEASURED masses truths at levels were outside."""
    return np.searchsorted(np.array(MEASURED), level, side="left")


def held_at(path: Path, recalibration: Recalibration) -> tuple[Floats, Floats]:
    """Shares of the truths of a table of reports in regions and circles that are asked for SHARES, about."""
    found = levels_of(read_history([[path]]), [Reference.empty()], SHIPPED, lambda: None)
    assert (found.kind == REPORTS).all()
    edges = np.array([0.0, *MEASURED, 1.0])
    held = [np.array([np.mean(o <= k) for k in range(len(MEASURED))]) for o in found.outside]
    kind = np.full(len(SHARES), REPORTS)
    return tuple(
        np.interp(recalibration.asked(kind, shape, PLAIN), edges, np.array([0.0, *held[shape], 1.0]))
        for shape in (REGION, CIRCLE)
    )


@pytest.mark.parametrize("factor", [0.6, 2.0])
def test_what_held_too_few_or_too_many_holds_as_many_as_it_says(
    rng: np.random.Generator, tmp_path: Path, factor: float
) -> None:
    """Claims that are too small, or too large: fitted to one half of the sessions, counted on the other."""
    own, other = (claims(rng, tmp_path / f"{name}.parquet", factor=factor, sessions=60) for name in "ab")
    before = held_at(other, Parameters.from_mapping(SHIPPED).confidence)
    found = calibrate([own], Reference.empty(), Options(only=("confidence.",)))
    verdicts = {r.group: r.verdict for r in found.results}
    assert verdicts["confidence.reports.region"] == verdicts["confidence.reports.circle"] == FITTED
    assert {v for g, v in verdicts.items() if ".reports." not in g} == {NONE}
    after = held_at(other, Parameters.from_mapping(found.values).confidence)
    for was, now in zip(before, after, strict=True):
        assert np.abs(was - PLAIN)[:4].min() > 0.04
        assert np.abs(now - PLAIN).max() < 0.03


def test_true_regions_stay_as_they_are_or_nearly(rng: np.random.Generator) -> None:
    """Sessions that happen to lie well, or badly, move little: by no more than chance does."""
    outside = places(rng.random(4_000))
    found = fit_masses(outside, np.arange(4_000) // 100, np.arange(4_000) // 100, PLAIN, 5)
    assert not sure(found, 40)
    assert np.abs(found.numbers - PLAIN).max() < 0.03


def test_few_sessions_move_little_and_of_too_few_nothing_is_said(rng: np.random.Generator, tmp_path: Path) -> None:
    outside = places(rng.random(1_000) ** 2)
    assert masses_for(outside, 1000) == pytest.approx(PLAIN**2, abs=0.04)
    few, many = masses_for(outside, 2), masses_for(outside, 40)
    assert (many <= few).all()
    assert (few <= PLAIN).all()
    path = claims(rng, tmp_path / "few.parquet", factor=2.0, sessions=9)
    found = calibrate([path], Reference.empty(), Options(only=("confidence.",)))
    assert {r.verdict for r in found.results if ".reports." in r.group} == {TOO_LITTLE}
    assert {r.needed for r in found.results} == {10}
    assert found.changed == {}


def test_wider_is_taken_where_narrower_is_not_sure(rng: np.random.Generator, tmp_path: Path) -> None:
    """Half of the days far off, half of them near: what is asked for grows at the top, and shrinks nowhere."""
    good = pq.read_table(claims(rng, tmp_path / "a.parquet", factor=0.75, sessions=9))
    bad = pq.read_table(claims(rng, tmp_path / "b.parquet", factor=6.0, sessions=2))
    bad = bad.set_column(0, "session", [[f"bad-{i // 40}" for i in range(len(bad))]])
    pq.write_table(pa.concat_tables([good, bad]), tmp_path / "both.parquet")
    found = calibrate([tmp_path / "both.parquet"], Reference.empty(), Options(only=("confidence.reports.region",)))
    (result,) = found.results
    assert result.verdict == WIDER
    assert "confidence.reports.region_98" in result.numbers
    assert all(new > old for old, new in result.numbers.values())
    assert Parameters.from_mapping(found.values).confidence.changes


@pytest.mark.parametrize("only_wider", [False, True])
def test_whatever_truths_were_masses_rise_as_they_are_written(rng: np.random.Generator, only_wider: bool) -> None:
    """Numbers that do not rise would be refused when they are read."""
    for _ in range(300):
        n = int(rng.integers(20, 3_000))
        a, b = np.exp(rng.normal(0, 2, 2)).tolist()
        outside = places(rng.beta(a, b, n))
        session = np.sort(rng.integers(0, rng.integers(2, 1_000), n))
        session = np.unique(session, return_inverse=True)[1]
        if session.max() < 1:
            continue
        found = fit_masses(outside, session, session, PLAIN, 3, only_wider=only_wider).numbers
        written = {
            f"confidence.reports.region_{100 * s:.0f}": float(f"{m:.6g}") for s, m in zip(SHARES, found, strict=True)
        }
        Parameters.from_mapping(with_values(SHIPPED, written))


def test_scores_are_of_a_density() -> None:
    masses = PLAIN**2
    edges = np.diff([0.0, *MEASURED, 1.0])
    scores = log_scores(masses, np.arange(len(MEASURED) + 1))
    assert np.sum(np.exp(scores) * edges) == pytest.approx(1.0)


def test_only_wider_never_asks_for_less(rng: np.random.Generator) -> None:
    outside, session = places(rng.random(2_000) ** 2), np.arange(2_000) // 50
    found = fit_masses(outside, session, session, PLAIN, 5, only_wider=True)
    assert (found.numbers >= PLAIN).all()


def test_levels_are_told_without_what_was_fitted_before(rng: np.random.Generator, tmp_path: Path) -> None:
    """Fitting twice to one table comes to the same numbers: a fit is not fitted to."""
    path = claims(rng, tmp_path / "history.parquet", factor=2.0, sessions=40)
    once = calibrate([path], Reference.empty(), Options(only=("confidence.reports",)))
    text = "[confidence.reports]\n" + "".join(f"{p.rpartition('.')[2]} = {v}\n" for p, v in once.changed.items())
    again = calibrate([path], replace(Reference.empty(), calibration_text=text), Options(only=("confidence.reports",)))
    assert again.values["confidence"]["reports"] == once.values["confidence"]["reports"]
    assert again.changed == {}


def test_a_report_that_the_truth_is_too_wide_to_judge_is_not_counted(rng: np.random.Generator, tmp_path: Path) -> None:
    path = claims(rng, tmp_path / "history.parquet", factor=1.0, sessions=12)
    table = pq.read_table(path)
    at = table.schema.names.index("truth_accuracy_m")
    pq.write_table(table.set_column(at, "truth_accuracy_m", [np.full(len(table), 20.0)]), path)
    history = read_history([[path]])
    found = levels_of(history, [Reference.empty()], SHIPPED, lambda: None)
    wide = int(np.sum(table["radius_m"].to_numpy() >= 40.0))
    assert 0 < len(found.kind) == wide < len(table)


def test_time_that_is_over_keeps_what_stands(rng: np.random.Generator, tmp_path: Path) -> None:
    path = claims(rng, tmp_path / "history.parquet", factor=2.0, sessions=12)
    found = calibrate([path], Reference.empty(), Options(only=("confidence.",), budget_s=0.0))
    assert {r.verdict for r in found.results} == {NO_TIME}
    assert found.changed == {}
