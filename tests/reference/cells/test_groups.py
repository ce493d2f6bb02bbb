"""Groups of cells as circles, and squares of the physical-identity index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc import geo
from locsvc.reference.cells.channels import STRETCHES, stretch
from locsvc.reference.cells.circles import group_circles
from locsvc.reference.cells.squares import squares
from locsvc.reference.cells.table import boxes_around

LATITUDES = st.floats(-84, 84)
LONGITUDES = st.floats(-180, 179.999)


def table(latitude: list[float], longitude: list[float], range_m: list[int] | None = None) -> np.ndarray:
    place = np.zeros((len(latitude), 6), np.int32)
    place[:, 0] = np.rint(np.array(latitude) * 1e7)
    place[:, 1] = np.rint(np.array(longitude) * 1e7)
    place[:, 2] = 0 if range_m is None else range_m
    return place


def circles(place: np.ndarray, group: list[int]) -> np.ndarray:
    count = np.bincount(group)
    return group_circles(np.array(group, np.int32), count, place, np.full(len(count), 777.0))


def test_a_circle_is_median_and_ninety_percent(rng: np.random.Generator) -> None:
    latitude, longitude = 52 + rng.normal(0, 0.05, 301), -8 + rng.normal(0, 0.05, 301)
    # One in ten was placed on another continent.
    latitude[:30], longitude[:30] = -33.0, 150.0
    order = rng.permutation(302)
    group = np.append(np.zeros(301, int), 1)[order]
    place = table([*latitude, 10.0], [*longitude, 20.0], [*range(301), 0])[order]
    found = circles(place, group.tolist())
    assert found[0, :2] == pytest.approx([np.median(latitude), np.median(longitude)], abs=1e-5)
    metres = np.sort(geo.distance_m(np.median(latitude), np.median(longitude), latitude, longitude))
    assert found[0, 2] == pytest.approx(metres[270], rel=1e-3)
    assert found[0, 2] < 20_000
    assert found[0, 3:].tolist() == [150, 301]
    assert found[1].tolist() == [10, 20, 0, 777, 1]


def test_a_group_across_the_antimeridian(rng: np.random.Generator) -> None:
    longitude = (179.9 + rng.normal(0, 0.3, 99) + 180) % 360 - 180
    found = circles(table([-17.0] * 99, longitude.tolist()), [0] * 99)
    assert abs(found[0, 1]) == pytest.approx(179.9, abs=0.2)
    assert found[0, 2] < 100_000


@given(LATITUDES, LONGITUDES, st.floats(0, 360), st.floats(0, 25_000))
def test_stretches_cover_what_is_near(latitude: float, longitude: float, bearing: float, away_m: float) -> None:
    there = geo.destination(latitude, longitude, bearing, away_m)
    square = squares(*(np.atleast_1d(degrees) for degrees in there))[0]
    if abs(float(there[0])) > 85:
        return
    stretches = [stretch(number, latitude, longitude) for number in range(STRETCHES)]
    # In one stretch and no other: a row would be found twice.
    assert sum(first <= square <= last for first, last in stretches) == 1


@given(st.floats(-90, 90), LONGITUDES, st.floats(0, 360), st.floats(0, 5_000_000))
def test_boxes_cover_a_circle(latitude: float, longitude: float, bearing: float, radius_m: float) -> None:
    there_latitude, there_longitude = (
        float(d) for d in geo.destination(latitude, longitude, bearing, radius_m * 0.999)
    )
    there_longitude = (there_longitude + 180) % 360 - 180
    boxes = list(boxes_around(latitude, longitude, radius_m))
    assert any(w <= there_longitude <= e and s <= there_latitude <= n for w, s, e, n in boxes)
