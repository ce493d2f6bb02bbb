"""Device reports: unknown is never exact, repeated fixes count once, ages widen, conflicts are named."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locsvc.geo import distance_m
from locsvc.model import (
    ArcBand,
    Call,
    Circle,
    DeviceReport,
    Disposition,
    Ellipse,
    Ellipsoid,
    Evidence,
    LatLng,
    LocationEstimate,
    Outcome,
    Point,
    Polygon,
    PositioningMethod,
    Prism,
    Reason,
    Shape,
    Sphere,
    WarningCode,
)
from locsvc.resolver import Resolver
from locsvc.units import sigmas_of_height
from tests import strategies
from tests.resolver.calls import (
    CENTER,
    NOON,
    about,
    answer,
    call,
    cell,
    codes,
    fix,
    moved,
    numbers,
    position,
    radius,
    scan,
)

M = PositioningMethod


def away_m(estimate: LocationEstimate, place: LatLng) -> float:
    here = position(estimate)
    return float(distance_m(here.latitude_deg, here.longitude_deg, place.latitude_deg, place.longitude_deg))


UNSIZED: list[Shape] = [
    Point(CENTER),
    Circle(CENTER, 0.0),
    Sphere(CENTER, 30.0, 0.0),
    Ellipse(CENTER, 0.0, 0.0, 0.0),
    Ellipse(CENTER, 40.0, 0.0, 0.0),
    Ellipsoid(CENTER, 30.0, 0.0, 0.0, 5.0, 0.0),
    ArcBand(CENTER, 0.0, 0.0, 0.0, 90.0),
]


@pytest.mark.parametrize("method", M)
@pytest.mark.parametrize("shape", UNSIZED, ids=lambda s: type(s).__name__)
def test_unknown_uncertainty_is_never_exact(town: Resolver, shape: Shape, method: PositioningMethod) -> None:
    got = answer(town, call(DeviceReport(shape, None, method)))
    assert WarningCode.UNKNOWN_UNCERTAINTY in codes(got)
    told = about(got, "piece-0")
    assert (told.disposition, told.reason) == (Disposition.DOWN_WEIGHTED, Reason.UNKNOWN_UNCERTAINTY)
    assert radius(got) > 75
    stated = answer(town, call(DeviceReport(Circle(CENTER, 20.0), 0.68, method)))
    assert radius(got) > radius(stated)


NULLS: list[Shape | None] = [
    None,
    Point(LatLng(0.0, 0.0)),
    Circle(LatLng(0.0, 0.0), 20.0),
    Circle(LatLng(1e-7, -1e-7), 20.0),
    Polygon((LatLng(0.0, 0.0), LatLng(0.0, 0.0), LatLng(0.0, 0.0))),
    Polygon(()),
    Circle(LatLng(float("nan"), 5.0), 20.0),
]


@pytest.mark.parametrize("shape", NULLS)
def test_null_places_are_no_places(town: Resolver, shape: Shape | None) -> None:
    got = answer(town, call(DeviceReport(shape, 0.68, M.GNSS)))
    assert got.outcome is Outcome.NO_LOCATION
    assert {WarningCode.UNUSABLE_EVIDENCE, WarningCode.NO_EVIDENCE} <= codes(got)
    assert about(got, "piece-0").reason is Reason.NO_POSITION
    # Beside a good fix it changes nothing.
    beside = answer(town, call(fix(), DeviceReport(shape, 0.68, M.WIFI)))
    assert numbers(beside) == numbers(answer(town, call(fix())))


def test_any_size_above_nothing_is_at_least_a_room(town: Resolver) -> None:
    for size in (5e-324, 1e-6, 0.1):
        assert 3 < radius(answer(town, call(fix(radius_m=size)))) < 10


@pytest.mark.parametrize("copies", [1, 2, 5])
def test_the_same_fix_again_changes_nothing(town: Resolver, copies: int) -> None:
    once = answer(town, call(fix(), scan()))
    others = [fix(method=m) for m in (M.FUSED, M.WIFI, M.GNSS, M.NETWORK, M.CELL)][:copies]
    again = answer(town, call(fix(), scan(), *others))
    assert numbers(again) == numbers(once)
    repeated = [c for c in again.contributions if c.reason is Reason.DUPLICATE]
    assert len(repeated) == copies
    assert all(c.disposition is Disposition.SET_ASIDE for c in repeated)
    assert [w.code for w in again.warnings].count(WarningCode.DUPLICATE) == copies


def test_of_the_same_fix_the_stated_one_stays(town: Resolver) -> None:
    stated, unstated = fix(radius_m=20.0), DeviceReport(Point(CENTER), None, M.GNSS)
    expected = numbers(answer(town, call(stated)))
    assert numbers(answer(town, call(stated, unstated))) == expected
    assert numbers(answer(town, call(unstated, stated))) == expected


def test_of_the_same_place_the_narrow_circle_stays_though_a_wide_one_is_newer(town: Resolver) -> None:
    narrow, wide = (
        Evidence(fix(radius_m=12.0), observed_at=1_000.0),
        Evidence(fix(radius_m=5_000.0), observed_at=1_000.5),
    )
    alone = answer(town, call(narrow), as_of=1_001.0)
    for both in (call(narrow, wide), call(wide, narrow)):
        got = answer(town, both, as_of=1_001.0)
        assert radius(got) == radius(alone)
    # Of equal ones the newer: the older has been widened since.
    older = Evidence(fix(radius_m=12.0), observed_at=900.0)
    assert radius(answer(town, call(older, narrow), as_of=1_001.0)) == radius(alone)


def test_further_fixes_of_a_method_count_less(town: Resolver) -> None:
    near = moved(CENTER, 90.0, 15.0)
    lone = radius(answer(town, call(fix(radius_m=40.0))))
    alike = answer(town, call(fix(radius_m=40.0), fix(near, 40.0)))
    other = answer(town, call(fix(radius_m=40.0), fix(near, 40.0, M.WIFI)))
    assert radius(other) < radius(alike) < lone
    assert [c.reason for c in alike.contributions].count(Reason.DEPENDENT) == 1


def test_the_phone_s_own_cell_fix_repeats_the_scan(town: Resolver) -> None:
    own = fix(moved(CENTER, 270.0, 250.0), 800.0, M.CELL)
    got = answer(town, call(scan(), own))
    assert about(got, "piece-1").reason is Reason.DEPENDENT
    independent = answer(town, call(scan(), replace(own, method=M.WIFI)))
    assert radius(independent) < radius(got)
    # Beside a scan that says nothing it stands alone, in full.
    empty = answer(town, call(scan(replace(cell(), mcc="", mnc="")), own))
    assert radius(empty) == pytest.approx(radius(answer(town, call(own))), rel=0.02)


def test_fixes_that_contradict_are_named_and_not_averaged(town: Resolver) -> None:
    there = moved(CENTER, 45.0, 40_000.0)
    got = answer(town, call(scan(), fix(), fix(there, 30.0, M.NETWORK)))
    assert got.outcome is Outcome.CONFLICT
    conflicts = [w for w in got.warnings if w.code is WarningCode.CONFLICT]
    assert [w.evidence_id for w in conflicts] == ["piece-2"]
    assert (about(got, "piece-2").disposition, about(got, "piece-2").reason) == (
        Disposition.SET_ASIDE,
        Reason.CONFLICTS,
    )
    assert away_m(got, CENTER) < 20
    assert radius(got) < 100


@pytest.mark.parametrize("bearing", [0.0, 45.0, 90.0, 215.0])
def test_two_fixes_that_contradict_are_two_places(town: Resolver, bearing: float) -> None:
    there = moved(CENTER, bearing, 30_000.0)
    got = answer(town, call(fix(CENTER, 30.0, M.WIFI), fix(there, 30.0, M.FUSED)))
    assert got.outcome is Outcome.CONFLICT
    assert min(away_m(got, CENTER), away_m(got, there)) < 20
    other, *ground = got.alternatives
    assert 0.3 < other.mass < 0.5
    # The ground that both leave open may count as one more, and weighs next to nothing.
    assert sum(g.mass for g in ground) < 0.03


def test_age_widens(town: Resolver) -> None:
    asked = call(Evidence(fix(radius_m=10.0), observed_at=NOON))
    for confidence in (0.5, 0.9, 0.95):
        radii = [radius(answer(town, asked, confidence, NOON + age)) for age in (0, 30, 120, 300, 900, 1800, 7200)]
        assert all(b > a for a, b in pairwise(radii)), radii
    assert radius(answer(town, asked, as_of=NOON + 4)) == radius(answer(town, asked, as_of=NOON))


def test_stale_fix_gives_way_to_a_new_one(town: Resolver) -> None:
    old, new = moved(CENTER, 0.0, 1500.0), CENTER
    got = answer(
        town,
        call(
            Evidence(fix(old, 10.0), observed_at=NOON - 600),
            Evidence(fix(new, 40.0, M.WIFI), observed_at=NOON),
        ),
    )
    assert away_m(got, new) < 30
    assert WarningCode.STALE in codes(got)
    assert about(got, "piece-0").disposition is not Disposition.USED
    assert got.estimated_at == NOON


def test_confidence_of_the_claim_is_heard(town: Resolver) -> None:
    radii = [
        radius(answer(town, call(fix(radius_m=100.0, confidence=c)))) for c in (0.39, 0.68, 0.9, 0.95, None, 0.999)
    ]
    unstated = town.parameters.device.unstated_confidence[M.GNSS]
    assert radii[4] == radius(answer(town, call(fix(radius_m=100.0, confidence=float(unstated)))))
    assert all(b < a for a, b in pairwise([*radii[:4], radii[5]]))


@pytest.mark.parametrize("confidence", [0.5, 0.68, 0.9, 0.95, 0.999])
def test_confidence_of_the_answer_is_met(town: Resolver, confidence: float) -> None:
    got = answer(town, call(fix(), scan()), confidence)
    assert got.confidence == confidence
    assert got.region is not None
    assert confidence - 1e-3 <= got.region.mass <= 1


SIZED: list[tuple[Shape, float, float]] = [
    (Circle(CENTER, 100.0), 60.0, 250.0),
    (Ellipse(CENTER, 200.0, 50.0, 30.0), 100.0, 450.0),
    (ArcBand(CENTER, 300.0, 500.0, 350.0, 60.0), 100.0, 450.0),
    (ArcBand(CENTER, 300.0, 500.0, 0.0, 360.0), 300.0, 800.0),
    (Polygon(tuple(moved(CENTER, b, 200.0) for b in (0.0, 90.0, 180.0, 270.0))), 80.0, 300.0),
    (Sphere(CENTER, 10.0, 100.0), 60.0, 250.0),
    (Ellipsoid(CENTER, 10.0, 200.0, 50.0, 8.0, 30.0), 100.0, 450.0),
    (Prism(Polygon(tuple(moved(CENTER, b, 200.0) for b in (0.0, 90.0, 180.0, 270.0))), 0.0, 9.0), 80.0, 300.0),
]


@pytest.mark.parametrize(("shape", "least", "most"), SIZED, ids=[type(s).__name__ for s, _, _ in SIZED])
def test_every_shape_is_as_wide_as_it_says(town: Resolver, shape: Shape, least: float, most: float) -> None:
    got, trace = town.resolve_traced([call(DeviceReport(shape, 0.95, M.GNSS))])[0]
    assert least < radius(got) < most
    assert len(trace.outlines) == 1
    assert trace.outlines[0].evidence_id == "piece-0"


def test_an_arc_band_opens_from_its_start_clockwise(town: Resolver) -> None:
    got = answer(town, call(DeviceReport(ArcBand(CENTER, 900.0, 1000.0, 80.0, 20.0), 0.95, M.NETWORK)))
    assert away_m(got, moved(CENTER, 90.0, 950.0)) < 60


def test_polygon_across_the_antimeridian(town: Resolver) -> None:
    corners = ((-16.0, 179.99), (-16.0, -179.99), (-16.02, -179.99), (-16.02, 179.99))
    got = answer(town, call(DeviceReport(Polygon(tuple(LatLng(*c) for c in corners)), 0.95, M.NETWORK)))
    assert away_m(got, LatLng(-16.01, 180.0)) < 200
    # Two kilometres square; what the claim and its method leave out is a little more than the tenth that is asked.
    assert 700 < radius(got) < 4000


@pytest.mark.parametrize(
    "shape", [Sphere(CENTER, 30.0, 9.0), Ellipsoid(CENTER, 30.0, 9.0, 9.0, 5.0, 0.0), Circle(CENTER, 9.0)]
)
def test_a_height_of_hardly_any_confidence_is_one_of_unknown_spread(town: Resolver, shape: Shape) -> None:
    """The sigmas that hold 1e-323 are none in a double: nothing is divided by them."""
    report = DeviceReport(shape, 1e-323, altitude_m=None if isinstance(shape, Sphere | Ellipsoid) else 30.0)
    got = answer(town, call(scan(), replace(report, vertical_uncertainty_m=3.0)))
    assert got.outcome is Outcome.LOCATED
    assert got.altitude is not None
    assert (got.altitude.altitude_m, got.altitude.uncertainty_m) == (30.0, None)


def test_altitude_of_what_agrees(town: Resolver) -> None:
    high = replace(fix(), altitude_m=40.0, vertical_uncertainty_m=5.0, floor="12")
    got = answer(town, call(high))
    assert got.altitude is not None
    assert (got.altitude.altitude_m, got.altitude.floor) == (40.0, "12")
    # The report's half height is at the report's confidence, the answer's at the answer's.
    assert got.altitude.uncertainty_m == pytest.approx(5.0 * sigmas_of_height(0.9) / sigmas_of_height(0.68))
    wrong = replace(fix(moved(CENTER, 0.0, 40_000.0), 30.0, M.NETWORK), altitude_m=900.0, vertical_uncertainty_m=1.0)
    beside = answer(town, call(scan(), high, wrong))
    assert beside.altitude == got.altitude
    assert answer(town, call(fix())).altitude is None
    unsure = answer(town, call(replace(fix(), altitude_m=40.0)))
    assert unsure.altitude is not None
    assert unsure.altitude.uncertainty_m is None


def test_a_tiny_vertical_uncertainty_is_no_division_by_nothing(town: Resolver) -> None:
    tiny = replace(fix(), altitude_m=40.0, vertical_uncertainty_m=3e-242)
    got = answer(town, call(tiny))
    assert got.altitude is not None
    assert got.altitude.altitude_m == pytest.approx(40.0)
    assert 0.05 < (got.altitude.uncertainty_m or 0) < 1


def test_altitude_of_solid_shapes(town: Resolver) -> None:
    base = Polygon(tuple(moved(CENTER, b, 50.0) for b in (0.0, 120.0, 240.0)))
    for shape, height in ((Sphere(CENTER, 33.0, 20.0), 33.0), (Prism(base, 10.0, 6.0), 13.0)):
        got = answer(town, call(DeviceReport(shape, 0.95, M.GNSS)))
        assert got.altitude is not None
        assert got.altitude.altitude_m == pytest.approx(height)
        assert got.altitude.uncertainty_m is not None


@given(strategies.calls, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_order_of_the_evidence_does_not_matter(town: Resolver, asked: Call, random: Random) -> None:
    shuffled = list(asked.evidence)
    random.shuffle(shuffled)
    one, other = answer(town, asked), answer(town, replace(asked, evidence=tuple(shuffled)))
    assert one.outcome is other.outcome
    if one.position is None:
        assert other.position is None
        return
    assert {c.evidence_id for c in one.contributions} == {c.evidence_id for c in other.contributions}
    if any(a.mass > 0.4 for a in one.alternatives):
        # Two places that are as good as one another: which of them is named first may hang on the last bit.
        return
    assert radius(one) == pytest.approx(radius(other), rel=1e-3)
    assert away_m(one, position(other)) < 1e-3 * radius(one) + 0.01
