"""An answer reduced to one shape holds what the answer holds."""

from __future__ import annotations

import dataclasses
import math

import pytest
import shapely
from h3.api import numpy_int as h3
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.formats import pidf_lo
from locsvc.formats.answers import MOST_CORNERS, AnswerShape, address_of, convex_hull, fewer_corners, shape_of

HERE = model.LatLng(51.8985, -8.4756)
places = st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=3, max_size=60)


def estimate_at(place: model.LatLng, rings: int = 2, resolution: int = 9) -> model.LocationEstimate:
    cell = h3.latlng_to_cell(place.latitude_deg, place.longitude_deg, resolution)
    region = model.Region(resolution, tuple(sorted(int(c) for c in h3.grid_disk(cell, rings))), 0.93, 7e5)
    return model.LocationEstimate(
        model.Outcome.LOCATED,
        "c-1",
        0.9,
        position=place,
        radius_m=600.0,
        ellipse=model.Ellipse(place, 500.0, 300.0, 20.0),
        region=region,
        alternatives=(model.Alternative(model.LatLng(52.0, -8.0), 0.25, 64.0),),
    )


def test_the_circle_is_the_answers_own_at_its_confidence() -> None:
    assert shape_of(estimate_at(HERE), AnswerShape.CIRCLE) == (model.Circle(HERE, 600.0), 0.9)


def test_the_ellipse_of_one_place_of_several_claims_less() -> None:
    found = shape_of(estimate_at(HERE), AnswerShape.ELLIPSE)
    assert found is not None
    assert found[0] == model.Ellipse(HERE, 500.0, 300.0, 20.0)
    assert found[1] == pytest.approx(0.9 * 0.75)


def test_the_ellipse_of_one_place_of_very_many_can_still_be_written() -> None:
    many = tuple(model.Alternative(model.LatLng(52.0, -8.0 + k), 0.0999, 64.0) for k in range(10))
    found = shape_of(dataclasses.replace(estimate_at(HERE), alternatives=many), AnswerShape.ELLIPSE)
    assert found is not None
    assert b"Ellipse" in pidf_lo.write(found[0], confidence=found[1])


@pytest.mark.parametrize(
    "place", [HERE, model.LatLng(-16.5, 179.999), model.LatLng(-16.5, -180.0), model.LatLng(70, 25)]
)
@pytest.mark.parametrize("resolution", [5, 9, 12])
def test_the_polygon_holds_every_cell_of_the_region(place: model.LatLng, resolution: int) -> None:
    estimate = estimate_at(place, 3, resolution)
    found = shape_of(estimate, AnswerShape.POLYGON)
    assert found is not None
    polygon, confidence = found
    assert isinstance(polygon, model.Polygon)
    assert confidence == 0.93
    assert 3 <= len(polygon.vertices) <= MOST_CORNERS
    first = place.longitude_deg

    def east(longitude_deg: float) -> float:
        return (longitude_deg - first + 180.0) % 360.0 - 180.0

    outline = shapely.Polygon([(east(v.longitude_deg), v.latitude_deg) for v in polygon.vertices]).buffer(1e-9)
    assert estimate.region is not None
    for cell in estimate.region.cells:
        assert all(outline.contains(shapely.Point(east(lng), lat)) for lat, lng in h3.cell_to_boundary(cell))


def test_near_a_pole_the_polygon_is_a_circle() -> None:
    found = shape_of(estimate_at(model.LatLng(89.9, 10.0)), AnswerShape.POLYGON)
    assert found is not None
    assert isinstance(found[0], model.Circle)


@pytest.mark.parametrize("kind", AnswerShape)
def test_no_location_has_no_shape(kind: AnswerShape) -> None:
    assert shape_of(model.LocationEstimate(model.Outcome.NO_LOCATION, "", 0.9), kind) is None


@given(places)
def test_a_hull_is_convex_and_holds_all(points: list[tuple[float, float]]) -> None:
    hull = convex_hull(points)
    expected = shapely.MultiPoint(points).convex_hull
    if expected.geom_type == "Polygon" and expected.area > 1e-9:
        assert shapely.Polygon(hull).area == pytest.approx(expected.area)


@given(st.lists(st.floats(0, 6.28), min_size=5, max_size=60, unique=True), st.integers(3, 15))
def test_fewer_corners_hold_all_that_more_did(angles: list[float], most: int) -> None:
    hull = convex_hull([(round(math.cos(a), 6), round(math.sin(a), 6)) for a in angles])
    fewer = fewer_corners(hull, most)
    if len(hull) >= 3:
        assert shapely.Polygon(fewer).buffer(1e-6).contains(shapely.Polygon(hull))
    # A hull of half a turn or less has edges whose neighbours never meet; none is then taken away.
    if len(hull) > 4 and shapely.Polygon(hull).buffer(-0.3).contains(shapely.Point(0, 0)):
        assert len(fewer) <= max(most, 4)


def test_an_address_that_is_far_or_too_narrow_is_left_out() -> None:
    address = model.CivicAddress(street="Mill Lane")

    def address_at(radius_m: float, away_m: float) -> model.CivicAddress | None:
        return address_of(
            model.LocationEstimate(
                model.Outcome.LOCATED, "", 0.9, HERE, radius_m, address=address, address_distance_m=away_m
            )
        )

    assert address_at(60.0, 12.0) == address
    assert address_at(60.0, 201.0) is None
    assert address_at(501.0, 12.0) is None
