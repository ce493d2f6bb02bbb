"""Answers as GeoJSON: what RFC 7946 asks for, near poles and the antimeridian too."""

from __future__ import annotations

import itertools
import json
import math
from typing import Any

import pytest
import shapely
import shapely.geometry
from h3.api import numpy_int as h3
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.formats.geojson import estimate_to_geojson, outline_of
from locsvc.geo import geodesic_m

HERE = model.LatLng(51.8985, -8.4756)


def estimate_at(place: model.LatLng, radius_m: float = 60.0, **more: Any) -> model.LocationEstimate:  # noqa: ANN401 - any field
    cell = int(h3.latlng_to_cell(place.latitude_deg, place.longitude_deg, 9))
    region = model.Region(9, tuple(sorted(int(c) for c in h3.grid_disk(cell, 1))), 0.91, 7e5)
    return model.LocationEstimate(
        model.Outcome.LOCATED,
        "c-1",
        0.9,
        position=place,
        radius_m=radius_m,
        ellipse=model.Ellipse(place, radius_m, radius_m / 2, 20.0),
        region=region,
        **more,
    )


def features(estimate: model.LocationEstimate, kind: str) -> list[dict[str, Any]]:
    # Through text, as a reader gets it.
    found = json.loads(json.dumps(estimate_to_geojson(estimate), allow_nan=False))
    assert found["type"] == "FeatureCollection"
    return [f for f in found["features"] if f["properties"]["kind"] == kind]


def polygons(geometry: dict[str, Any]) -> list[list[list[list[float]]]]:
    return geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]


def check_rings(geometry: dict[str, Any]) -> None:
    """Closed rings of at least four positions, on the map, the outer one counterclockwise, holes the other way."""
    for rings in polygons(geometry):
        for number, ring in enumerate(rings):
            assert ring[0] == ring[-1]
            assert len(ring) >= 4
            assert all(-180 <= lng <= 180 and -90 <= lat <= 90 for lng, lat in ring)
            assert shapely.LinearRing(ring).is_ccw == (number == 0)


def test_the_position_comes_first_with_longitude_before_latitude() -> None:
    altitude = model.Altitude(31.0, 8.0, 0.9)
    address = model.CivicAddress(house_number="3", street="Mill Lane")
    estimate = estimate_at(HERE, altitude=altitude, address=address, address_distance_m=12.0, estimated_at=1.5)
    first = estimate_to_geojson(estimate)["features"][0]  # type: ignore[index]
    assert first["geometry"] == {"type": "Point", "coordinates": [-8.4756, 51.8985]}
    assert first["properties"] == {
        "kind": "position",
        "outcome": "OUTCOME_LOCATED",
        "confidence": 0.9,
        "call_id": "c-1",
        "radius_m": 60.0,
        "region_mass": 0.91,
        "region_area_m2": 7e5,
        "altitude": {"altitude_m": 31.0, "uncertainty_m": 8.0, "confidence": 0.9},
        "address": "3 Mill Lane",
        "address_distance_m": 12.0,
        "estimated_at": "1970-01-01T00:00:01.500Z",
    }


def test_no_location_is_a_feature_without_a_geometry_that_keeps_its_warnings() -> None:
    warning = model.Warning(model.WarningCode.NO_EVIDENCE, "nothing says where")
    estimate = model.LocationEstimate(model.Outcome.NO_LOCATION, "c-1", 0.9, warnings=(warning,))
    found = estimate_to_geojson(estimate)["features"]
    assert len(found) == 1  # type: ignore[arg-type]
    assert found[0]["geometry"] is None  # type: ignore[index]
    assert found[0]["properties"]["warnings"][0]["code"] == "WARNING_CODE_NO_EVIDENCE"  # type: ignore[index]


def test_the_circle_has_its_radius() -> None:
    ring = polygons(features(estimate_at(HERE, 500.0), "circle")[0]["geometry"])[0][0]
    lengths = [float(geodesic_m(HERE.latitude_deg, HERE.longitude_deg, lat, lng)) for lng, lat in ring]
    assert min(lengths) == pytest.approx(500.0, rel=2e-3)
    assert max(lengths) == pytest.approx(500.0, rel=2e-3)


def test_the_region_is_its_cells() -> None:
    estimate = estimate_at(HERE)
    found = features(estimate, "region")
    assert estimate.region is not None
    assert [int(f["properties"]["cell"], 16) for f in found] == list(estimate.region.cells)
    here = shapely.Point(HERE.longitude_deg, HERE.latitude_deg)
    assert sum(shapely.geometry.shape(f["geometry"]).contains(here) for f in found) == 1


def test_other_places_are_told() -> None:
    other = model.Alternative(model.LatLng(52.0, -8.0), 0.29, 64.0)
    found = features(estimate_at(HERE, alternatives=(other,)), "alternative")
    assert found[0]["geometry"]["coordinates"] == [-8.0, 52.0]
    assert found[0]["properties"] == {"kind": "alternative", "mass": 0.29, "radius_m": 64.0}


@pytest.mark.parametrize(
    ("place", "radius_m"),
    [
        (HERE, 60.0),
        (model.LatLng(-16.5, 180.0), 5_000.0),
        (model.LatLng(-16.5, -179.99), 5_000.0),
        (model.LatLng(52.0, 179.999), 300.0),
        (model.LatLng(90.0, 0.0), 2_000.0),
        (model.LatLng(-89.99, 179.0), 5_000.0),
        (model.LatLng(89.9, 12.0), 11_500.0),
    ],
)
def test_every_polygon_is_as_the_standard_asks(place: model.LatLng, radius_m: float) -> None:
    estimate = estimate_at(place, radius_m)
    for kind in ("circle", "ellipse", "region"):
        for feature in features(estimate, kind):
            check_rings(feature["geometry"])


def test_a_circle_across_the_antimeridian_is_cut_and_keeps_its_area() -> None:
    whole = shapely.geometry.shape(features(estimate_at(model.LatLng(-16.5, 0.0), 5_000.0), "circle")[0]["geometry"])
    cut = features(estimate_at(model.LatLng(-16.5, 180.0), 5_000.0), "circle")[0]["geometry"]
    assert cut["type"] == "MultiPolygon"
    assert len(cut["coordinates"]) == 2
    assert shapely.geometry.shape(cut).area == pytest.approx(whole.area, rel=1e-6)


def test_a_circle_round_a_pole_holds_the_pole() -> None:
    cut = shapely.geometry.shape(features(estimate_at(model.LatLng(89.99, 30.0), 20_000.0), "circle")[0]["geometry"])
    assert all(cut.buffer(1e-9).contains(shapely.Point(lng, 90.0)) for lng in range(-180, 181, 30))


def test_a_whole_arc_band_is_a_ring_with_a_hole() -> None:
    outer, hole = outline_of(model.ArcBand(HERE, 100.0, 200.0, 10.0, 360.0))
    assert len(outer.vertices) == len(hole.vertices)


@given(
    st.floats(0, 359.9),
    st.floats(1, 359.9),
    st.floats(0, 900),
)
def test_an_arc_band_lies_between_its_radii_and_edges(start: float, opening: float, inner_m: float) -> None:
    (ring,) = outline_of(model.ArcBand(HERE, inner_m, 1_000.0, start, opening))
    for corner in ring.vertices:
        away_m = float(geodesic_m(HERE.latitude_deg, HERE.longitude_deg, corner.latitude_deg, corner.longitude_deg))
        assert inner_m * 0.997 - 1e-3 <= away_m <= 1_003.0
        if away_m > 1.0:
            north = math.radians(corner.latitude_deg - HERE.latitude_deg)
            east = math.radians(corner.longitude_deg - HERE.longitude_deg) * math.cos(math.radians(HERE.latitude_deg))
            turned = (math.degrees(math.atan2(east, north)) - start + 0.5) % 360.0
            assert turned <= opening + 1.0


@pytest.mark.parametrize(
    "shape",
    [
        model.Point(HERE),
        model.Circle(HERE, 0.0),
        model.Ellipse(HERE, 10.0, 0.0, 0.0),
        model.ArcBand(HERE, 0.0, 0.0, 0.0, 90.0),
        model.Polygon(()),
    ],
)
def test_what_has_no_size_has_no_outline(shape: model.Shape) -> None:
    assert outline_of(shape) == ()


def test_an_ellipse_is_longest_along_its_orientation() -> None:
    (ring,) = outline_of(model.Ellipsoid(HERE, 0.0, 300.0, 100.0, 5.0, 90.0))
    east_m, north_m = (
        max(float(geodesic_m(a.latitude_deg, a.longitude_deg, b.latitude_deg, b.longitude_deg)) for a, b in pairs)
        for pairs in (
            itertools.product(
                [max(ring.vertices, key=lambda v: v.longitude_deg)], [min(ring.vertices, key=lambda v: v.longitude_deg)]
            ),
            itertools.product(
                [max(ring.vertices, key=lambda v: v.latitude_deg)], [min(ring.vertices, key=lambda v: v.latitude_deg)]
            ),
        )
    )
    assert east_m == pytest.approx(600.0, rel=3e-3)
    assert north_m == pytest.approx(200.0, rel=3e-3)
