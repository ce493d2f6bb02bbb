"""The ten calls of the sample town, resolved with its tables, show what they are said to show."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import pytest

from locsvc.formats.call_json import call_from_text
from locsvc.model import CellFallback, Contribution, Disposition, LocationEstimate, Outcome, Reason, WarningCode
from locsvc.reference.addresses import import_addresses
from locsvc.reference.areas import import_areas
from locsvc.reference.cells import import_cells
from locsvc.reference.lines import import_lines
from locsvc.reference.snapshot import Draft
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver

if TYPE_CHECKING:
    from pathlib import Path

Estimates = dict[str, LocationEstimate]


@pytest.fixture(scope="module")
def reference(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The town's tables, imported."""
    data = tmp_path_factory.mktemp("town")
    with Draft.begin(data) as draft:
        reports = [
            import_cells(draft, sample / "cells.csv", name="cells"),
            import_cells(draft, sample / "sectors.csv", name="sectors"),
            import_addresses(draft, sample / "addresses.csv", name="addresses"),
            import_areas(draft, sample / "areas.geojson", name="areas", name_field="name"),
        ]
        draft.publish()
    places = Reference.open(data).addresses
    with Draft.begin(data) as draft:
        reports.append(import_lines(draft, sample / "lines.csv", mapping={}, default_region="GB", addresses=places))
        draft.publish()
    assert [report.rejected for report in reports] == [{}] * 5
    return Reference.open(data)


@pytest.fixture(scope="module")
def estimates(reference: Reference, sample: Path) -> Estimates:
    """The answers, by call."""
    lines = (sample / "calls.jsonl").read_text(encoding="utf-8").splitlines()
    answers = Resolver(reference).resolve([call_from_text(line) for line in lines])
    return {answer.call_id: answer for answer in answers}


@pytest.fixture(scope="module")
def truths(sample: Path) -> dict[str, tuple[float, float]]:
    """Where the callers are, by call."""
    with (sample / "truth.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {r["call_id"]: (float(r["latitude_deg"]), float(r["longitude_deg"])) for r in rows if r["latitude_deg"]}


def holds(estimate: LocationEstimate, place: tuple[float, float]) -> bool:
    """Whether the region holds a place, by the contract's rule."""
    assert estimate.region is not None
    finest = h3.latlng_to_cell(*place, estimate.region.resolution)
    lineage = {int(h3.cell_to_parent(finest, r)) for r in range(estimate.region.resolution + 1)}
    return not lineage.isdisjoint(estimate.region.cells)


def distance_m(estimate: LocationEstimate, place: tuple[float, float]) -> float:
    assert estimate.position is not None
    here = (estimate.position.latitude_deg, estimate.position.longitude_deg)
    return float(h3.great_circle_distance(here, place, unit="m"))


def about(estimate: LocationEstimate, evidence_id: str, part: str | None = None) -> Contribution:
    found = [c for c in estimate.contributions if c.evidence_id == evidence_id and part in (None, c.part)]
    assert found, f"no contribution of {evidence_id} {part or ''}"
    return found[0]


def codes(estimate: LocationEstimate) -> set[WarningCode]:
    return {warning.code for warning in estimate.warnings}


LOCATED = [
    "01-agreement",
    "02-wrong-device-fix",
    "03-unknown-cell",
    "04-landline-only",
    "05-voip-elsewhere",
    "07-across-the-border",
    "08-2g-timing-advance",
    "09-stale-fix",
    "10-lone-cell",
]


@pytest.mark.parametrize("call_id", LOCATED)
def test_region_holds_the_caller(estimates: Estimates, truths: dict[str, tuple[float, float]], call_id: str) -> None:
    answer = estimates[call_id]
    assert answer.outcome in {Outcome.LOCATED, Outcome.CONFLICT}
    assert answer.region is not None
    assert 0.9 <= answer.region.mass <= 1.0
    assert holds(answer, truths[call_id])
    assert answer.radius_m is not None
    assert distance_m(answer, truths[call_id]) <= answer.radius_m


def test_agreement_is_a_few_houses_wide_and_names_one(estimates: Estimates) -> None:
    answer = estimates["01-agreement"]
    assert answer.outcome is Outcome.LOCATED
    assert answer.radius_m is not None
    assert answer.radius_m < 60
    assert answer.address is not None
    assert answer.address.street == "Market Street"
    assert {c.disposition for c in answer.contributions if c.evidence_id != "cell-1"} == {Disposition.USED}


def test_wrong_fix_is_named_and_does_not_drag_the_answer(
    estimates: Estimates, truths: dict[str, tuple[float, float]]
) -> None:
    answer = estimates["02-wrong-device-fix"]
    assert distance_m(answer, truths["02-wrong-device-fix"]) < 1_000
    assert WarningCode.CONFLICT in codes(answer)
    fix = about(answer, "device-2")
    assert (fix.disposition, fix.reason) == (Disposition.SET_ASIDE, Reason.CONFLICTS)
    assert fix.distance_m is not None
    assert fix.distance_m > 35_000


def test_unknown_cell_is_answered_by_its_site(estimates: Estimates) -> None:
    answer = estimates["03-unknown-cell"]
    assert WarningCode.UNKNOWN_CELL in codes(answer)
    assert about(answer, "cell-1").cell_fallback is CellFallback.SITE


def test_landline_alone_gives_its_address(estimates: Estimates) -> None:
    answer = estimates["04-landline-only"]
    assert answer.address is not None
    assert (answer.address.house_number, answer.address.street) == ("5", "High Street")


def test_nomadic_line_is_where_its_caller_is(estimates: Estimates) -> None:
    answer = estimates["05-voip-elsewhere"]
    assert WarningCode.NOMADIC_LINE in codes(answer) or about(answer, "line-1").reason is Reason.NOMADIC_LINE
    assert about(answer, "line-1").disposition is not Disposition.USED
    assert answer.address is not None
    assert answer.address.city == "Sandby"


def test_nothing_said_is_no_location_and_tells_why(estimates: Estimates) -> None:
    answer = estimates["06-everything-missing"]
    assert answer.outcome is Outcome.NO_LOCATION
    assert answer.position is None
    assert WarningCode.NO_EVIDENCE in codes(answer) or WarningCode.UNUSABLE_EVIDENCE in codes(answer)
    assert {c.disposition for c in answer.contributions} == {Disposition.SET_ASIDE}


def test_region_across_the_border_is_shared_out(estimates: Estimates) -> None:
    shares = {share.name: share.share for share in estimates["07-across-the-border"].areas}
    assert set(shares) == {"Testham North", "Testham South"}
    assert min(shares.values()) > 0.05
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-6)


def test_2g_timing_advance_is_a_ring_and_not_a_disc(estimates: Estimates, sample: Path) -> None:
    answer = estimates["08-2g-timing-advance"]
    with (sample / "sectors.csv").open(encoding="utf-8", newline="") as file:
        mast = next(row for row in csv.DictReader(file) if row["site"] == "Water Tower")
    place = (float(mast["latitude"]), float(mast["longitude"]))
    assert not holds(answer, place)
    assert about(answer, "cell-1").cell_fallback is CellFallback.SECTOR


def test_stale_fix_gives_way_to_the_cell_of_now(estimates: Estimates) -> None:
    answer = estimates["09-stale-fix"]
    assert WarningCode.STALE in codes(answer)
    assert about(answer, "device-1").disposition is not Disposition.USED


def test_lone_cell_is_wide(estimates: Estimates) -> None:
    answer = estimates["10-lone-cell"]
    assert answer.outcome is Outcome.LOCATED
    assert answer.radius_m is not None
    assert answer.radius_m > 500
    assert about(answer, "cell-1").cell_fallback is CellFallback.CENTROID


def test_every_answer_names_its_data(estimates: Estimates) -> None:
    kinds = {"cells", "lines", "addresses", "areas", "calibration", "core"}
    assert {answer.call_id: {d.dataset for d in answer.datasets} for answer in estimates.values()} == dict.fromkeys(
        estimates, kinds
    )
