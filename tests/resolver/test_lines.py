"""Line look-ups: weight by class of service, the calling number, unknown numbers, the number plan."""

from __future__ import annotations

import dataclasses

import pytest

from locsvc.fusion.parameters import LINE_KIND_OF_CLASS, MOVING_KINDS
from locsvc.geo import distance_m
from locsvc.model import (
    CellScan,
    CivicAddress,
    ClassOfService,
    DeviceReport,
    Disposition,
    EvidenceKind,
    LatLng,
    LineLookup,
    LineRecord,
    Outcome,
    Placement,
    Reason,
    WarningCode,
)
from locsvc.reference.countries import country_of_region
from locsvc.resolver import Resolver
from tests.resolver.calls import CENTER, about, answer, call, cell, codes, fix, moved, numbers, position, radius, scan

C = ClassOfService


def record(
    kind: ClassOfService = C.RESIDENCE,
    position_: LatLng | None = CENTER,
    placement: Placement = Placement.STRUCTURE,
    uncertainty_m: float | None = None,
    address: CivicAddress | None = None,
) -> LineLookup:
    """A look-up that brings its record."""
    return LineLookup("", LineRecord("", kind, address, position_, placement, uncertainty_m))


def test_landline_alone_is_its_address(town: Resolver) -> None:
    got = answer(town, call(LineLookup("+441632960100")))
    assert got.outcome is Outcome.LOCATED
    assert radius(got) < 50
    assert got.address is not None
    assert (got.address.house_number, got.address.street) == ("1", "Mill Lane")
    assert float(distance_m(54.9956348, 2.4904369, position(got).latitude_deg, position(got).longitude_deg)) < 3


def test_calling_number_is_looked_up(town: Resolver) -> None:
    implied = answer(town, call(number="+441632960100"))
    asked = answer(town, call(LineLookup("+441632960100")))
    assert numbers(implied) == numbers(asked)
    # An empty look-up asks for the calling number; one with its own number does not.
    assert numbers(answer(town, call(LineLookup(), number="+441632960100"))) == numbers(asked)
    assert numbers(answer(town, call(LineLookup("+441632960124"), number="+441632960100"))) == numbers(
        answer(town, call(LineLookup("+441632960124")))
    )


def test_calling_number_without_a_record_is_no_matter_beside_evidence(town: Resolver) -> None:
    got = answer(town, call(fix(), number="+441632960999"))
    assert numbers(got) == numbers(answer(town, call(fix())))
    assert WarningCode.UNKNOWN_LINE not in codes(got)
    assert [c.evidence_id for c in got.contributions] == ["piece-0"]


@pytest.mark.parametrize("written", ["+44 1632 960100", "01632 960100", "+44-1632-960-100"])
def test_numbers_as_they_are_written(town: Resolver, written: str) -> None:
    assert numbers(answer(town, call(LineLookup(written)))) == numbers(answer(town, call(LineLookup("+441632960100"))))


def test_unknown_number_is_told_and_the_plan_s_country_answers_alone(town: Resolver) -> None:
    got = answer(town, call(LineLookup("+353209100001")))
    ireland = country_of_region("IE")
    assert ireland is not None
    assert got.outcome is Outcome.LOCATED
    assert {w.code for w in got.warnings} == {WarningCode.UNKNOWN_LINE}
    here = position(got)
    assert (
        float(distance_m(ireland.latitude_deg, ireland.longitude_deg, here.latitude_deg, here.longitude_deg)) < 50_000
    )
    assert radius(got) > 0.7 * ireland.radius_m
    assert about(got, "piece-0").reason is Reason.UNKNOWN_LINE
    beside = answer(town, call(LineLookup("+353209100001"), fix()))
    assert numbers(beside) == numbers(answer(town, call(fix())))
    assert about(beside, "piece-0").disposition is Disposition.SET_ASIDE
    with_scan = answer(town, call(LineLookup("+353209100001"), scan()))
    assert numbers(with_scan) == numbers(answer(town, call(scan())))


@pytest.mark.parametrize(
    "nothing", [scan(dataclasses.replace(cell(), mcc="999")), fix(LatLng(0.0, 0.0)), fix(LatLng(0.0, 0.0), 0.0)]
)
def test_evidence_that_says_no_place_does_not_take_the_plan_s_country_away(
    town: Resolver, nothing: CellScan | DeviceReport
) -> None:
    alone = answer(town, call(LineLookup("+353209100001")))
    got = answer(town, call(LineLookup("+353209100001"), nothing))
    assert numbers(got) == numbers(alone)
    assert about(got, "piece-1").disposition is Disposition.SET_ASIDE


def test_a_record_without_a_place_leaves_the_plan_s_country(town: Resolver) -> None:
    alone = answer(town, call(LineLookup("+353209100001")))
    empty = LineRecord("+353209100001", ClassOfService.WIRELESS)
    got = answer(town, call(LineLookup("", empty), number="+353209100001"))
    assert numbers(got) == numbers(alone)
    assert about(got, "piece-0").reason is Reason.LINE_WITHOUT_PLACE
    assert "country" in about(got, "piece-0").explanation
    # A line that has a place, or any other evidence, says more.
    placed = answer(town, call(LineLookup("", empty), LineLookup("+441632960100"), number="+353209100001"))
    assert numbers(placed) == numbers(answer(town, call(LineLookup("+441632960100"))))
    assert numbers(answer(town, call(LineLookup("", empty), fix()))) == numbers(answer(town, call(fix())))


@pytest.mark.parametrize("number", ["112", "+1", "not a number", ""])
def test_numbers_of_no_plan_are_no_location(town: Resolver, number: str) -> None:
    got = answer(town, call(LineLookup(number)))
    assert got.outcome is Outcome.NO_LOCATION
    assert WarningCode.NO_EVIDENCE in codes(got)
    assert about(got, "piece-0").reason is Reason.UNKNOWN_LINE


def test_without_a_line_dataset_it_is_told(nothing: Resolver) -> None:
    got = answer(nothing, call(LineLookup("+441632960100"), fix()))
    assert about(got, "piece-0").reason is Reason.DATASET_MISSING
    assert WarningCode.DEGRADED_DATASET in codes(got)
    # A number that was not asked for is not missed.
    assert answer(nothing, call(fix(), number="+441632960100")).warnings == ()


@pytest.mark.parametrize("kind", C)
def test_moving_lines_say_little(town: Resolver, kind: ClassOfService) -> None:
    got = answer(town, call(record(kind)))
    moving = LINE_KIND_OF_CLASS[kind] in MOVING_KINDS
    assert (WarningCode.NOMADIC_LINE in codes(got)) == moving
    told = about(got, "piece-0")
    assert (told.disposition is Disposition.DOWN_WEIGHTED) == moving
    if moving:
        assert told.reason is Reason.NOMADIC_LINE
        assert radius(got) > 10_000, "nearly half of the callers are elsewhere"
    # A good fix some kilometres off settles it for lines that may be elsewhere.
    if LINE_KIND_OF_CLASS[kind] == "mobile":
        there = moved(CENTER, 90.0, 6_000.0)
        beside = answer(town, call(record(kind), fix(there)))
        here = position(beside)
        assert float(distance_m(there.latitude_deg, there.longitude_deg, here.latitude_deg, here.longitude_deg)) < 30


def test_every_class_of_service_has_a_kind() -> None:
    assert set(LINE_KIND_OF_CLASS) == set(C)


def test_record_s_uncertainty_is_heard(town: Resolver) -> None:
    radii = [radius(answer(town, call(record(uncertainty_m=u)))) for u in (10.0, 50.0, 300.0)]
    # Stated at 90 %, asked at 90 %, and a fiftieth is elsewhere.
    assert radii == pytest.approx([10.0, 50.0, 300.0], rel=0.15)
    placements = [Placement.ACCESS, Placement.STRUCTURE, Placement.PARCEL, Placement.GEOCODED_STREET, Placement.MAST]
    by_placement = [radius(answer(town, call(record(placement=p)))) for p in placements]
    assert by_placement == sorted(by_placement)
    assert len(set(by_placement)) == len(by_placement)


def test_record_with_an_address_only_is_geocoded(town: Resolver, nothing: Resolver) -> None:
    address = CivicAddress(house_number="1", street="Mill Lane", city="Testham", postcode="TE1 1EW", country="XT")
    asked = call(record(position_=None, address=address))
    got = answer(town, asked)
    assert float(distance_m(54.9956348, 2.4904369, position(got).latitude_deg, position(got).longitude_deg)) < 5
    unplaced = answer(nothing, asked)
    assert unplaced.outcome is Outcome.NO_LOCATION
    assert about(unplaced, "piece-0").reason is Reason.LINE_WITHOUT_PLACE


def test_the_address_of_a_mast_counts_only_when_it_is_exact(town: Resolver) -> None:
    exact = CivicAddress(house_number="1", street="Mill Lane", city="Testham", postcode="TE1 1EW", country="XT")
    here = LatLng(54.9956348, 2.4904369)
    got = answer(town, call(record(C.WIRELESS_PHASE1, None, address=exact)))
    at_mast = answer(town, call(record(C.WIRELESS_PHASE1, here, Placement.MAST)))
    assert float(distance_m(here.latitude_deg, here.longitude_deg, *dataclasses.astuple(position(got)))) < 50
    assert radius(got) == pytest.approx(radius(at_mast), rel=0.01)
    street = dataclasses.replace(exact, house_number="9999")
    assert answer(town, call(record(C.RESIDENCE, None, address=street))).outcome is Outcome.LOCATED
    unplaced = answer(town, call(record(C.WIRELESS_PHASE1, None, address=street)))
    assert about(unplaced, "piece-0").reason is Reason.LINE_WITHOUT_PLACE


@pytest.mark.parametrize("place", [None, LatLng(0.0, 0.0)])
def test_record_without_a_place(town: Resolver, place: LatLng | None) -> None:
    got = answer(town, call(record(position_=place)))
    assert got.outcome is Outcome.NO_LOCATION
    assert about(got, "piece-0").reason is Reason.LINE_WITHOUT_PLACE
    assert about(got, "piece-0").kind is EvidenceKind.LINE_LOOKUP


def test_lines_do_not_age(town: Resolver) -> None:
    asked = call(LineLookup("+441632960100"))
    assert radius(answer(town, asked, as_of=1.0)) == radius(answer(town, asked, as_of=4e9))
