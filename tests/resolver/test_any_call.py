"""No call is too odd: an answer with finite numbers, or no location and why; a damaged dataset is told."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from locsvc.formats.call_checks import call_violations
from locsvc.model import Call, Disposition, LocationEstimate, Outcome, WarningCode
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from tests import strategies
from tests.resolver.calls import about, answer, call, codes, fix, numbers, position, scan

if TYPE_CHECKING:
    from pathlib import Path


def check(got: LocationEstimate, asked: Call, confidence: float) -> None:
    """What must be true of any answer."""
    assert got.call_id == asked.call_id
    assert got.confidence == confidence
    told = [c.evidence_id for c in got.contributions]
    assert {p.evidence_id for p in asked.evidence} <= set(told), "every piece is accounted for"
    for c in got.contributions:
        assert c.explanation
        assert all(math.isfinite(v) for v in (c.agreement, c.share, c.distance_m or 0.0))
        assert 0 <= c.agreement <= 1
        assert 0 <= c.share <= 1
    if got.outcome is Outcome.NO_LOCATION:
        assert [got.position, got.radius_m, got.ellipse, got.region, got.altitude] == [None] * 5
        assert WarningCode.NO_EVIDENCE in codes(got)
        assert all(c.disposition is Disposition.SET_ASIDE for c in got.contributions)
        return
    assert got.radius_m is not None
    assert got.ellipse is not None
    assert got.region is not None
    here = position(got)
    values = [here.latitude_deg, here.longitude_deg, got.radius_m, got.region.area_m2, got.region.mass]
    values += [got.ellipse.semi_major_m, got.ellipse.semi_minor_m, got.ellipse.orientation_deg]
    for other in got.alternatives:
        values += [other.position.latitude_deg, other.position.longitude_deg, other.mass, other.radius_m]
    assert all(math.isfinite(v) for v in values)
    assert -90 <= here.latitude_deg <= 90
    assert -180 <= here.longitude_deg <= 180
    assert got.radius_m > 0
    assert got.ellipse.semi_major_m >= got.ellipse.semi_minor_m > 0
    assert 0 <= got.ellipse.orientation_deg <= 180
    assert 0 < got.region.mass <= 1
    assert list(got.region.cells) == sorted(set(got.region.cells))
    assert all(h3.is_valid_cell(c) for c in got.region.cells[:50])
    assert sum(a.share for a in got.areas) <= 2 + 1e-6
    if got.altitude is not None:
        assert math.isfinite(got.altitude.altitude_m)


@given(strategies.calls, st.sampled_from([0.5, 0.9, 0.999]))
@settings(max_examples=150)
def test_any_call_has_a_sound_answer(town: Resolver, nothing: Resolver, asked: Call, confidence: float) -> None:
    assume(not call_violations(asked))
    for resolver in (town, nothing):
        got, trace = resolver.resolve_traced([asked], confidences=confidence)[0]
        check(got, asked, confidence)
        assert all(math.isfinite(m) for m in trace.masses)
        assert sum(trace.masses) <= 1 + 1e-9
        corners = [v for o in trace.outlines for ring in o.rings for v in ring.vertices]
        assert all(math.isfinite(v.latitude_deg) and math.isfinite(v.longitude_deg) for v in corners)


@given(st.lists(strategies.calls, min_size=2, max_size=6))
# Shrinking a difference of the last bit takes minutes and does not make it clearer.
@settings(max_examples=30, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_odd_calls_do_not_touch_their_neighbours(town: Resolver, asked: list[Call]) -> None:
    assert town.resolve(asked) == [town.resolve([one])[0] for one in asked]


def test_no_calls_are_no_answers(town: Resolver) -> None:
    assert town.resolve([]) == []


def test_a_call_without_evidence(town: Resolver) -> None:
    got = answer(town, Call("empty"))
    assert got.outcome is Outcome.NO_LOCATION
    assert [w.code for w in got.warnings] == [WarningCode.NO_EVIDENCE]
    assert got.estimated_at is None


def test_an_empty_piece_is_told(town: Resolver) -> None:
    got = answer(town, call(None, fix()))
    assert WarningCode.UNUSABLE_EVIDENCE in codes(got)
    assert about(got, "piece-0").disposition is Disposition.SET_ASIDE
    assert numbers(got) == numbers(answer(town, call(fix())))


@pytest.mark.parametrize("dataset", ["cells", "lines", "addresses", "areas"])
def test_a_damaged_dataset_is_told_in_every_answer(imported_town: Path, tmp_path: Path, dataset: str) -> None:
    data = tmp_path / "town"
    shutil.copytree(imported_town, data)
    for file in (data / "snapshots").rglob(f"{dataset}/*/*"):
        file.write_bytes(b"x" + file.read_bytes()[1:])
    reference = Reference.open(data, tolerate=True)
    assert reference.degraded
    got = Resolver(reference).resolve([call(scan(), fix()), Call("empty")])
    for one in got:
        assert [w for w in one.warnings if w.code is WarningCode.DEGRADED_DATASET][: len(reference.degraded)] == list(
            reference.degraded
        )
    assert got[0].outcome is Outcome.LOCATED
    assert dataset not in {d.dataset for d in got[0].datasets} or dataset == "cells"


def test_calibration_of_the_data_directory_is_used(imported_town: Path, tmp_path: Path) -> None:
    data = tmp_path / "town"
    shutil.copytree(imported_town, data)
    (data / "calibration.toml").write_text('version = "wide"\n[device.gnss]\ncore_factor = 3.0\n')
    wide = Resolver(Reference.open(data))
    asked = call(fix(radius_m=100.0))
    one, other = answer(wide, asked), answer(Resolver(Reference.open(imported_town)), asked)
    assert (one.radius_m or 0) > 1.5 * (other.radius_m or 0)
    assert [d.name for d in one.datasets if d.dataset == "calibration"] == ["calibration.toml"]


def test_region_across_the_border_is_shared_out(town: Resolver) -> None:
    got = answer(town, call(scan()), 0.9)
    assert len(got.areas) == 2
    assert sum(a.share for a in got.areas) == pytest.approx(1.0, abs=1e-6)
    assert [a.share for a in got.areas] == sorted((a.share for a in got.areas), reverse=True)
