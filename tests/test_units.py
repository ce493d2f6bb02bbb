"""Arithmetic of confidences against the vectors."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.units import radius_holding, rescale_circle, sigmas_of_circle, sigmas_of_height

# Read when the tests are collected, so that each vector is a test of its own; the fixture `shared` gives the reason
# where the file is absent.
_FILE = Path(__file__).resolve().parents[2] / "shared" / "standards" / "vectors" / "fusion.json"
VECTORS: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else []

# Kinds whose subject is not built: scores of forecasts, other ways to fuse, 3-D ellipsoids, calibration ranks.
LATER = {
    "maxwell_radius_over_sigma",
    "confidence_of_1sigma_ellipsoid",
    "crps_gaussian",
    "energy_score_ensemble",
    "energy_score_isotropic_gaussian_at_truth_eq_mean",
    "covariance_intersection_min_det",
    "gaussian_product",
    "covariance_union_fixed_mean",
    "hpd_level_of_truth",
    "binomial_ci_exact",
}
HERE = {"circle_rescale_2d_gaussian", "rayleigh_radius_over_sigma", "radius_containing_p_of_gaussian"}
# In tests/fusion.
ELSEWHERE = {"hpd_cells", "hpd_cells_density", "h3_res", "h3_compact_roundtrip"}


def of_kind(kind: str) -> list[Any]:
    """The vectors of a kind; one that skips where the file is absent."""
    return [pytest.param(v, id=v["id"]) for v in VECTORS if v["kind"] == kind] or [pytest.param({}, id="absent")]


def value_of(vector: dict[str, Any], shared: Path) -> float:
    if not vector:
        pytest.skip(f"{shared / 'standards/vectors/fusion.json'} is absent")
    return float(vector["expected"])


def test_every_kind_of_vector_is_checked_or_left_for_later(shared: Path) -> None:
    kinds = Counter(v["kind"] for v in VECTORS)
    if not kinds:
        pytest.skip(f"{shared / 'standards/vectors/fusion.json'} is absent")
    print("for later work:", {kind: kinds[kind] for kind in sorted(LATER & set(kinds))})  # noqa: T201 - told where all output is shown
    assert set(kinds) <= HERE | ELSEWHERE | LATER


@pytest.mark.parametrize("vector", of_kind("circle_rescale_2d_gaussian"))
def test_rescaled_circle(vector: dict[str, Any], shared: Path) -> None:
    expected = value_of(vector, shared)
    got = rescale_circle(1.0, vector["input"]["c1"], vector["input"]["c2"])
    assert got == pytest.approx(expected, abs=vector["tolerance"])


@pytest.mark.parametrize("vector", of_kind("rayleigh_radius_over_sigma"))
def test_radius_over_sigma(vector: dict[str, Any], shared: Path) -> None:
    expected = value_of(vector, shared)
    assert sigmas_of_circle(vector["input"]) == pytest.approx(expected, abs=vector["tolerance"])


@pytest.mark.parametrize("vector", of_kind("radius_containing_p_of_gaussian"))
def test_radius_of_an_ellipse(vector: dict[str, Any], shared: Path) -> None:
    expected = value_of(vector, shared)
    given_ = vector["input"]
    got = float(radius_holding(given_["sx"], given_["sy"], given_["p"]))
    assert got == pytest.approx(expected, rel=1e-5, abs=vector["tolerance"])


@given(st.floats(1e-6, 1 - 1e-9))
def test_circle_holds_its_confidence(confidence: float) -> None:
    # The Rayleigh distribution's own formula, the other way round.
    assert -math.expm1(-(sigmas_of_circle(confidence) ** 2) / 2) == pytest.approx(confidence, rel=1e-9)


@given(st.floats(1e-6, 1 - 1e-9))
def test_height_holds_its_confidence(confidence: float) -> None:
    assert math.erf(sigmas_of_height(confidence) / math.sqrt(2)) == pytest.approx(confidence, rel=1e-9, abs=1e-13)


@given(st.floats(0.01, 1e6), st.floats(0.01, 0.999), st.floats(0.01, 0.999))
def test_rescaling_there_and_back(radius_m: float, one: float, other: float) -> None:
    there = rescale_circle(radius_m, one, other)
    assert rescale_circle(there, other, one) == pytest.approx(radius_m)
    assert (there > radius_m) == (other > one) or there == pytest.approx(radius_m)


@given(st.floats(1.0, 1000.0), st.floats(0.05, 1.0), st.floats(0.5, 0.999))
def test_radius_of_an_ellipse_lies_between_its_axes(major_m: float, ratio: float, confidence: float) -> None:
    radius = float(radius_holding(major_m, major_m * ratio, confidence))
    k = sigmas_of_circle(confidence)
    assert major_m * ratio * k * (1 - 1e-9) <= radius <= major_m * k * (1 + 1e-9)


def test_radius_of_an_ellipse_against_draws(rng: np.random.Generator) -> None:
    draws = rng.normal(size=(200_000, 2)) * (300.0, 70.0)
    inside = np.mean(np.hypot(*draws.T) <= float(radius_holding(300.0, 70.0, 0.9)))
    assert inside == pytest.approx(0.9, abs=0.003)
