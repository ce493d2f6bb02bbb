"""Calls as drawn: on the ground that is given, as the scenario says, and by nothing of the core's."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from locsvc.errors import ConfigError, DatasetMissing
from locsvc.evaluate.capture.drawing import NOWHERE, Fix, Piece, PlannedCall, draw_calls
from locsvc.evaluate.capture.forms import FIX_FORMS, evidence_of
from locsvc.evaluate.capture.ground import Ground
from locsvc.evaluate.capture.scenario import Scenario, read_scenario
from locsvc.evaluate.capture.town import import_town
from locsvc.formats.messages import read
from locsvc.geo import distance_m
from locsvc.model import (
    CellMeasurement,
    CellScan,
    Circle,
    DeviceReport,
    Ellipse,
    LatLng,
    LineLookup,
    PositioningMethod,
    Radio,
)
from locsvc.reference.cells import import_cells
from locsvc.reference.snapshot import Draft

NOON_S = 1_795_000_000.0
CALLS = 1_500


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return read_scenario()


@pytest.fixture(scope="module")
def ground(imported_town: Path) -> Ground:
    return Ground.open(imported_town)


@pytest.fixture(scope="module")
def calls(ground: Ground, scenario: Scenario) -> list[PlannedCall]:
    return draw_calls(ground, scenario, CALLS, seed=7)


def away_m(one: LatLng, other: LatLng) -> float:
    return float(distance_m(one.latitude_deg, one.longitude_deg, other.latitude_deg, other.longitude_deg))


def pieces(calls: list[PlannedCall], source: str) -> list[tuple[PlannedCall, Piece]]:
    return [(c, p) for c in calls for p in c.pieces if p.source == source]


def near(count: int, n: int, share: float) -> bool:
    """Within four standard deviations of what chance does."""
    return bool(abs(count - n * share) <= 4 * np.sqrt(n * share * (1 - share)) + 1)


def test_the_core_has_no_part_in_it() -> None:
    program = "import sys, locsvc.evaluate.capture.forms; print(*[m for m in sys.modules if m.startswith('locsvc.')])"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "locsvc.evaluate.capture.drawing" in loaded
    assert not [m for m in loaded if m.startswith(("locsvc.fusion", "locsvc.resolver", "locsvc.learning"))]


def test_one_seed_draws_one_set_of_calls(ground: Ground, scenario: Scenario, calls: list[PlannedCall]) -> None:
    assert draw_calls(ground, scenario, 20, seed=7) == calls[:20]
    assert draw_calls(ground, scenario, 20, seed=8) != calls[:20]


def test_shares_are_those_of_the_scenario(calls: list[PlannedCall]) -> None:
    kinds = Counter(c.kind for c in calls)
    assert near(kinds["mobile"], CALLS, 0.84)
    assert near(kinds["fixed"], CALLS, 0.12)
    mobile = [c for c in calls if c.kind == "mobile"]
    for source, share in (("serving_cell", 0.98), ("handset", 0.85), ("network_fix", 0.45)):
        assert near(sum(any(p.source == source for p in c.pieces) for c in mobile), len(mobile), share), source
    fixes = [p for _, p in pieces(calls, "handset") if isinstance(p.content, Fix)]
    # Of each message one: repeats say the same again.
    said = {(p.true_s, p.form, p.content) for p in fixes if isinstance(p.content, Fix)}
    nulls = sum(content.place == NOWHERE for _, _, content in said)
    assert 0 < nulls < 0.04 * len(said)
    assert near(sum(p.by_number for p in fixes), len(fixes), 0.7)
    assert all(p.shown is None for p in fixes if isinstance(p.content, Fix) and p.content.place == NOWHERE)


def test_numbers_are_of_fiction_and_no_two_calls_at_once_share_one(calls: list[PlannedCall]) -> None:
    mobile = [c.calling_number for c in calls if c.kind != "fixed"]
    assert len(set(mobile)) == len(mobile)
    assert all(n.startswith(("+447700900", "+441134960")) for n in mobile)
    assert len({c.call_id for c in calls}) == CALLS
    # Numbers of lines are the directory's, and their senders say which call they mean.
    assert not any(p.by_number for c in calls if c.kind == "fixed" for p in c.pieces)


def test_pieces_come_in_order_and_repeats_say_the_same_again(calls: list[PlannedCall]) -> None:
    repeats = 0
    for call in calls:
        times = [p.after_s for p in call.pieces]
        assert times == sorted(times)
        assert max(times, default=0.0) < call.watched_s
        said = Counter((p.source, p.form, p.true_s, p.name) for p in call.pieces)
        repeats += sum(n - 1 for n in said.values())
        for (source, form, true_s, name), n in said.items():
            if n > 1:
                own = [p for p in call.pieces if (p.source, p.form, p.true_s, p.name) == (source, form, true_s, name)]
                assert len({repr(evidence_of(p, NOON_S)) for p in own}) == 1
    assert near(repeats, sum(len(c.pieces) for c in calls) - repeats, 0.08)
    assert any(p.after_s < 0 for c in calls for p in c.pieces), "some evidence comes before its call"


def test_claims_are_untrue_as_measured(calls: list[PlannedCall]) -> None:
    claims = np.array([
        (p.content.radius_m, away_m(p.content.place, c.truth))
        for c, p in pieces(calls, "handset")
        if isinstance(p.content, Fix) and p.content.place != NOWHERE and p.content.radius_m and not p.content.age_s
    ])  # fmt: skip
    radius_m, error_m = claims.T
    assert 0.02 / 2 < np.mean(error_m > 20 * radius_m) < 2 * 0.02, "far fixes with small radii"
    near_ones = error_m < 20 * radius_m
    small, large = near_ones & (radius_m < 8), near_ones & (radius_m > 30)
    # Small claims hold few callers, large ones about what they say: what limits a fix indoors is the building.
    assert np.mean(error_m[small] <= radius_m[small]) < 0.6
    assert 0.6 < np.mean(error_m[large] <= radius_m[large]) < 0.85


def test_serving_cells_are_near_and_heard(calls: list[PlannedCall], scenario: Scenario) -> None:
    known = [(c, p) for c, p in pieces(calls, "serving_cell") if p.shown is not None]
    assert near(len(pieces(calls, "serving_cell")) - len(known), len(pieces(calls, "serving_cell")), 0.1)
    ratio = np.array([away_m(p.shown, c.truth) / p.claimed_m for c, p in known if p.shown and p.claimed_m])
    assert np.median(ratio) < 1
    assert np.quantile(ratio, 0.99) < 6
    scans = [p.content for _, p in known if isinstance(p.content, CellScan)]
    assert any(s.neighbours for s in scans)
    assert any(s.serving is not None and s.serving.timing_advance is not None for s in scans)
    # Timing tells the way to the mast, with what reflections add.
    for call, piece in known:
        scan = piece.content
        if isinstance(scan, CellScan) and scan.serving is not None and scan.serving.timing_advance is not None:
            assert piece.shown is not None
            step_m = 553.463 if scan.serving.radio == 1 else 78.071
            assert scan.serving.timing_advance * step_m > away_m(piece.shown, call.truth) - step_m
    assert scenario.number("cell.unknown_share") == 0.1


def test_fixed_lines_of_the_directory_are_looked_up_and_others_bring_their_record(
    calls: list[PlannedCall], scenario: Scenario, tmp_path: Path, sample: Path
) -> None:
    fixed = [c for c in calls if c.kind == "fixed"]
    lookups = [p.content for c in fixed for p in c.pieces if isinstance(p.content, LineLookup)]
    assert all(x.number.startswith("+441632960") and x.record is None for x in lookups)
    right = [away_m(p.shown, c.truth) for c in fixed for p in c.pieces if p.shown is not None]
    assert np.mean(np.array(right) <= 25) > 0.9
    with Draft.begin(tmp_path / "data") as draft:
        import_cells(draft, sample / "cells.csv", name="cells")
        draft.publish()
    elsewhere = draw_calls(Ground.open(tmp_path / "data"), scenario, 100, seed=1)
    own = [p.content for c in elsewhere if c.kind == "fixed" for p in c.pieces]
    assert own
    assert all(isinstance(x, LineLookup) and x.record is not None and x.record.position is not None for x in own)


@pytest.mark.parametrize("form", FIX_FORMS)
@pytest.mark.parametrize("place", [LatLng(54.99771, 2.49523), LatLng(-33.44567, -70.66123)])
def test_messages_say_what_the_fix_says(form: str, place: LatLng) -> None:
    fix = Fix(place, 37.0, 0.9 if form in {"held", "gad", "mlp", "ali"} else 0.68, PositioningMethod.GNSS)
    content = evidence_of(Piece(5.5, 5.0, "handset", fix, form), NOON_S).content
    assert isinstance(content, DeviceReport)
    assert content.raw is not None
    reading = read(content.raw.format, content.raw.bytes, arrived_at=NOON_S + 5.5)
    reports = [e.content for e in reading.evidence if isinstance(e.content, DeviceReport)]
    shape = reports[0].shape
    assert isinstance(shape, Circle | Ellipse)
    assert away_m(shape.center, place) < 1.5
    radius_m = shape.radius_m if isinstance(shape, Circle) else shape.semi_major_m
    assert 37.0 <= radius_m < 42
    times = [e.observed_at for e in reading.evidence if e.observed_at is not None]
    assert all(NOON_S + 5 - 60 < t < NOON_S + 6 for t in times)


def test_cells_are_written_as_their_messages_have_them(calls: list[PlannedCall]) -> None:
    forms: Counter[str] = Counter()
    for _, piece in pieces(calls, "serving_cell"):
        content = evidence_of(piece, NOON_S).content
        assert isinstance(piece.content, CellScan)
        assert piece.content.serving is not None
        if isinstance(content, DeviceReport):
            assert content.raw is not None
            forms[content.raw.format] += 1
            scan = read(content.raw.format, content.raw.bytes).evidence[0].content
            assert isinstance(scan, CellScan)
            assert scan.serving is not None
            want = piece.content.serving
            assert (scan.serving.mcc, scan.serving.mnc, scan.serving.cell) == (want.mcc, want.mnc, want.cell)
    assert set(forms) == {"access-network", "rfc7105"}


def test_speed_shortens_waits_not_ages() -> None:
    fix = Fix(NOWHERE, 10.0, 0.68, PositioningMethod.GNSS, age_s=600.0)
    piece = Piece(12.0, 10.0, "handset", fix)
    assert evidence_of(piece, NOON_S).observed_at == NOON_S + 10 - 600
    assert evidence_of(piece, NOON_S, 10.0).observed_at == NOON_S + 1 - 600


@pytest.mark.parametrize("cell", [41_011, 65_530])
def test_unknown_cells_have_identities_of_their_radio(ground: Ground, cell: int) -> None:
    sibling = ground.unknown_sibling(CellMeasurement(Radio.GSM, "001", "01", 101, cell))
    assert sibling is not None
    assert sibling.cell is not None
    assert 0 < abs(sibling.cell - cell) < 60
    assert sibling.cell < 65_534


def test_ground_without_cells_is_said(tmp_path: Path, sample: Path) -> None:
    with pytest.raises(DatasetMissing):
        Ground.open(tmp_path)
    with pytest.raises(ConfigError, match="--data"):
        import_town(tmp_path / "data", tmp_path / "nothing")
    import_town(tmp_path / "data", sample)
    assert Ground.open(tmp_path / "data").lines


def test_piece_with_a_name_keeps_it() -> None:
    piece = Piece(1.0, 1.0, "line", LineLookup("+441632960101"), name="line-1")
    assert evidence_of(piece, NOON_S).evidence_id == "line-1"
    assert evidence_of(dataclasses.replace(piece, name=""), NOON_S).evidence_id == ""
