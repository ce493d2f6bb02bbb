"""What is asked of the posteriors of calls: by what all of their evidence is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from locsvc import model
from locsvc.fusion import recalibration
from locsvc.fusion.parameters import Parameters
from locsvc.fusion.recalibration import SHARES
from locsvc.learning.calibrate.declared import with_values
from locsvc.reference.calibration import read_calibration
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver, calls_table
from tests.resolver import coverage_town

HERE = model.LatLng(coverage_town.CENTRE[0], coverage_town.CENTRE[1])
KNOWN = 256 * coverage_town.FIRST_SITE + 1


def cell(cell_id: int | None, area: int | None = coverage_town.AREA) -> model.CellMeasurement:
    return model.CellMeasurement(model.Radio.LTE, "001", "01", area, cell_id, signal_dbm=-85.0)


def report(
    radius_m: float = 40.0, method: model.PositioningMethod = model.PositioningMethod.GNSS
) -> model.DeviceReport:
    return model.DeviceReport(model.Circle(HERE, radius_m), 0.9, method)


def call(*contents: model.EvidenceContent) -> model.Call:
    return model.Call(evidence=tuple(model.Evidence(content) for content in contents))


CALLS = {
    "learned_cell": call(model.CellScan(cell(KNOWN))),
    "learned_scan": call(model.CellScan(cell(KNOWN), (cell(KNOWN + 1),))),
    "unknown_cell": call(model.CellScan(cell(KNOWN + 200))),
    "reports": call(report(), report(90.0, model.PositioningMethod.WIFI)),
    "": call(model.CellScan(cell(KNOWN)), report()),
    "line": call(model.LineLookup("+441632960100", model.LineRecord("+441632960100", position=HERE))),
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What a drive through the town teaches."""
    data = tmp_path_factory.mktemp("asked") / "data"
    coverage_town.learned(coverage_town.drive(np.random.default_rng(3), 3_000, 5), data)
    return Reference.open(data)


def resolver(reference: Reference, kind: str = "", shape: str = "region", by: float = 0.0) -> Resolver:
    """One that asks for more by `by` of what regions, or circles, of a kind of calls leave out."""
    numbers = {f"confidence.{kind}.{shape}_{100 * s:.0f}": 1 - (1 - s) * (1 - by) for s in SHARES} if kind else {}
    made = Resolver(reference)
    made.parameters = Parameters.from_mapping(with_values(read_calibration(None)[0], numbers))
    return made


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_of_the_kind_that_all_their_evidence_is(reference: Reference, name: str) -> None:
    answered = resolver(reference).answer(calls_table([CALLS[name]]), np.full(1, 0.9), np.full(1, np.nan))
    assert answered.located is not None
    kinds = ("", *recalibration.KINDS)
    assert kinds[answered.located.kind[0]] == (name if name in kinds else "")


def test_a_cell_of_a_table_is_of_the_kind_of_towers(town: Resolver) -> None:
    serving = model.CellMeasurement(model.Radio.GSM, "001", "01", 101, 41011)
    answered = town.answer(calls_table([call(model.CellScan(serving))]), np.full(1, 0.9), np.full(1, np.nan))
    assert answered.located is not None
    assert answered.located.kind[0] == recalibration.TOWER_CELL


def test_regions_of_a_kind_hold_what_was_asked_for_them_and_say_the_share(reference: Reference) -> None:
    calls = list(CALLS.values())
    plain = resolver(reference).resolve(calls)
    told = resolver(reference, "learned_cell", by=0.6).resolve(calls)
    at = list(CALLS).index("learned_cell")
    for i, (before, after) in enumerate(zip(plain, told, strict=True)):
        if i != at:
            assert replace(after, datasets=()) == replace(before, datasets=())
    before, after = plain[at], told[at]
    assert before.region is not None
    assert after.region is not None
    # 96 of 100 of the posterior are asked for, so that it is 90 of 100 truths; the last whole cell may overshoot.
    assert after.region.area_m2 > 1.1 * before.region.area_m2
    assert 0.9 <= after.region.mass < 0.93
    assert after.confidence == 0.9
    assert after.radius_m == pytest.approx(before.radius_m, rel=0.1)
    assert not [w for w in after.warnings if w.code is model.WarningCode.TRUNCATED]


def test_circles_have_numbers_of_their_own(reference: Reference) -> None:
    before, after = (
        r.resolve([CALLS["learned_cell"]])[0]
        for r in (resolver(reference), resolver(reference, "learned_cell", "circle", 0.6))
    )
    assert after.radius_m is not None
    assert before.radius_m is not None
    assert after.radius_m > 1.1 * before.radius_m
    assert after.region is not None
    assert before.region is not None
    assert after.region == before.region


def test_a_wider_region_holds_the_narrower_one(reference: Reference) -> None:
    one = [CALLS["learned_scan"]]
    answers = [resolver(reference, "learned_scan", by=by).resolve(one)[0] for by in (0.0, 0.4, 0.8)]
    areas = [a.region.area_m2 for a in answers if a.region is not None]
    assert len(areas) == 3
    assert areas == sorted(areas)
    assert areas[0] < areas[-1]


def test_alone_and_among_others_the_answer_is_the_same(reference: Reference) -> None:
    own = resolver(reference, "unknown_cell", by=0.5)
    together = own.resolve(list(CALLS.values()))
    for one, expected in zip(CALLS.values(), together, strict=True):
        assert own.resolve([one])[0] == expected


def test_a_part_of_a_table_answers_as_the_whole(reference: Reference) -> None:
    calls = [*CALLS.values()] * 2
    table, own = calls_table(calls), resolver(reference)
    whole = own.answer(table, np.full(len(calls), 0.9), np.full(len(calls), np.nan))
    part = own.answer(calls_table(calls).of_calls(3, 10), np.full(7, 0.9), np.full(7, np.nan))
    assert whole.located is not None
    assert part.located is not None
    rows = [r for r in whole.row_of_call[3:10] if r >= 0]
    assert part.located.places == [whole.located.places[r] for r in rows]
    assert [c[:5] for c in part.contributions] == [c[:5] for c in whole.contributions][
        whole.slot_starts[3] : whole.slot_starts[10]
    ]
