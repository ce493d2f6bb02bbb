"""RFC 7459: the numbers of the vectors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from locsvc import uncertainty
from locsvc.model import ArcBand, Circle, Ellipsoid, LatLng, Polygon
from locsvc.uncertainty.confidence import NormalRule
from locsvc.uncertainty.polygons import centroid_and_height, plane_of

# Read when the tests are collected, so that each vector is a test of its own.
_FILE = Path(__file__).resolve().parents[3] / "shared" / "standards" / "vectors" / "rfc7459.json"
VECTORS: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else []

# The ellipsoid of RFC 7459 figure 8.
FIGURE_8 = Ellipsoid(LatLng(-34.407242, 150.882518), 34.0, 7.7156, 3.31, 28.7, 142.0)


def polygon(corners: list[list[float]]) -> Polygon:
    return Polygon(tuple(LatLng(lat, lng) for lat, lng in corners))


def place(center: LatLng) -> list[float]:
    return [center.latitude_deg, center.longitude_deg]


def arc(given: dict[str, float]) -> ArcBand:
    return ArcBand(LatLng(55.0, 2.5), given["inner"], given["outer"], 20.0, given["opening_deg"])


def overlap(given: dict[str, float]) -> float:
    return uncertainty.circle_overlap_m2(given["r"], given["R"], given["d"])


def probability(given: dict[str, float]) -> float:
    return given["confidence"] * overlap(given) / uncertainty.area_m2(Circle(LatLng(0.0, 0.0), given["r"]))


def axes_rounded_up(given: dict[str, Any]) -> list[float]:
    factor = uncertainty.normal_factor(given["c0"], given["c1"], given["n"], NormalRule.BOX)
    # To the digits that the RFC prints.
    return [uncertainty.rounded_up(a * factor, digits) for a, digits in zip(given["axes"], (1, 0, 0), strict=True)]


def hexagon(corners: list[list[float]]) -> dict[str, object]:
    shape = polygon(corners)
    return {
        "area_m2": uncertainty.polygon_area_m2(shape),
        "centroid": place(uncertainty.polygon_centroid(shape)),
        "radius_m": uncertainty.to_circle(shape).radius_m,
    }


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "polygon_upward_normal": lambda c: list(plane_of(polygon(c)).normal),
    "polygon_transform_matrix": lambda c: [list(row) for row in plane_of(polygon(c)).rows],
    "polygon_transformed_xy": lambda c: [list(corner[:2]) for corner in plane_of(polygon(c)).corners],
    "polygon_area_m2": lambda c: uncertainty.polygon_area_m2(polygon(c)),
    "polygon_centroid_plane": lambda c: list(plane_of(polygon(c)).centroid[:2]),
    "polygon_centroid_geo": lambda c: [*place(centroid_and_height(polygon(c))[0]), centroid_and_height(polygon(c))[1]],
    "polygon_to_circle_radius_m": lambda c: uncertainty.rounded_up(uncertainty.to_circle(polygon(c)).radius_m, 1),
    "polygon_area_centroid_radius": hexagon,
    "rectangular_confidence": lambda g: uncertainty.rounded_down(
        uncertainty.rectangular_confidence(g["c0"], g["u0"], g["u1"])
    ),
    "normal_scale_factor": lambda g: uncertainty.normal_factor(g["c0"], g["c1"], g["n"], NormalRule.BOX),
    "normal_scale_axes_round_up": axes_rounded_up,
    "ellipsoid_to_point": lambda _: [*place(uncertainty.centroid(FIGURE_8)), FIGURE_8.altitude_m],
    "ellipsoid_to_sphere_radius": lambda _: uncertainty.to_sphere(FIGURE_8).radius_m,
    "ellipsoid_to_circle": lambda _: {
        "center": place(uncertainty.to_circle(FIGURE_8).center),
        "radius": uncertainty.to_circle(FIGURE_8).radius_m,
    },
    "ecef_distance_m": lambda p: (
        sum((a - b) ** 2 for a, b in zip(*(uncertainty.ecef(LatLng(*at)) for at in p), strict=True)) ** 0.5
    ),
    "circle_overlap_m2": overlap,
    "region_probability": probability,
    "circle_area_m2": lambda r: uncertainty.area_m2(Circle(LatLng(0.0, 0.0), r)),
    "confidence_3d_to_2d": uncertainty.flat_confidence,
    "arc_band_centroid_distance_and_radius": lambda g: {
        "d": uncertainty.arc_band_centroid_m(arc(g)),
        "radius": uncertainty.arc_band_radius_m(arc(g)),
        "centroid_bearing": "start + opening/2",
    },
}
# In tests/formats: the confidence element of a PIDF-LO.
ELSEWHERE = {"parse_confidence"}


def rows() -> list[Any]:
    found = [pytest.param(v, id=v["id"]) for v in VECTORS if v["op"] not in ELSEWHERE]
    return found or [pytest.param({}, id="absent")]


def agree(found: Any, expected: Any, tolerance: Any) -> None:  # noqa: ANN401 - vectors nest as they like
    if isinstance(expected, dict):
        assert set(found) == set(expected)
        for name, value in expected.items():
            within = tolerance.get("m", 0) if isinstance(tolerance, dict) else tolerance
            if name == "centroid":
                within = tolerance["deg"]
            elif name == "area_m2":
                within = tolerance["area_rel"] * value
            agree(found[name], value, within)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for i, value in enumerate(expected):
            agree(found[i], value, tolerance[i] if isinstance(tolerance, list) else tolerance)
    elif isinstance(expected, str):
        assert found == expected
    else:
        assert found == pytest.approx(expected, rel=0, abs=tolerance if isinstance(tolerance, float | int) else 1e-9)


@pytest.mark.parametrize("vector", rows())
def test_vector(vector: dict[str, Any], shared: Path) -> None:
    if not vector:
        pytest.skip(f"{shared / 'standards/vectors/rfc7459.json'} is absent")
    agree(OPERATIONS[vector["op"]](vector["input"]), vector["expected"], vector["tolerance"])


def test_every_operation_is_checked(shared: Path) -> None:
    if not VECTORS:
        pytest.skip(f"{shared / 'standards/vectors/rfc7459.json'} is absent")
    assert {v["op"] for v in VECTORS} == set(OPERATIONS) | ELSEWHERE
