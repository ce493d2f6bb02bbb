"""What displays of a line database become in an answer: a fix, a mast with a circle of its cell, an address."""

from __future__ import annotations

import pytest

from locsvc.formats import ali
from locsvc.geo import distance_m
from locsvc.model import Call, LatLng, LocationEstimate, Outcome
from locsvc.resolver import Resolver
from tests.formats.ali_records import display
from tests.resolver.calls import answer, position, radius

HERE = LatLng(38.803314, -104.752107)


def answered(resolver: Resolver, text: str) -> LocationEstimate:
    reading = ali.read(text)
    return answer(resolver, Call("ali", reading.calling_number, evidence=reading.evidence))


def off_m(estimate: LocationEstimate) -> float:
    got = position(estimate)
    return float(distance_m(HERE.latitude_deg, HERE.longitude_deg, got.latitude_deg, got.longitude_deg))


@pytest.mark.parametrize(
    ("line_class", "stated_m", "least_m", "greatest_m"),
    [
        # A fix at 90 %: some of the stated circles, as no method is told; one without a radius is wide.
        ("WPH2", "100", 60.0, 400.0),
        ("WPH2", "0", 100.0, 3000.0),
        # The mast: a cell's reach, or the stated circle.
        ("WPH1", "0", 1000.0, 4000.0),
        ("WPH1", "800", 500.0, 1600.0),
    ],
)
def test_a_wireless_display_is_a_fix_or_a_cell(
    nothing: Resolver, line_class: str, stated_m: str, least_m: float, greatest_m: float
) -> None:
    got = answered(nothing, display(line_class, f"+38.803314  -104.752107 {stated_m:>6} "))
    assert got.outcome is Outcome.LOCATED
    assert off_m(got) < 0.2 * radius(got)
    assert least_m < radius(got) < greatest_m


def test_a_landlines_coordinates_are_its_address(nothing: Resolver) -> None:
    got = answered(nothing, display("RESD", "+38.803314  -104.752107      0 ", location=""))
    assert radius(got) < 200


def test_a_display_cut_in_half_still_answers_or_says_that_it_cannot(nothing: Resolver) -> None:
    whole = display()
    outcomes = {answered(nothing, whole[:length]).outcome for length in range(60, len(whole), 9)}
    assert outcomes == {Outcome.LOCATED, Outcome.NO_LOCATION}
