"""Wide claims on a round globe."""

from __future__ import annotations

import numpy as np
import pytest

from locsvc.fusion.evaluation import evaluate, pieces_of
from locsvc.fusion.parameters import Parameters
from locsvc.geo import destination, distance_m, unit_vectors
from tests.fusion.pieces import ONE, circles, discs, fused, gathered
from tests.fusion.test_densities import FAMILIES, HERE


@pytest.mark.parametrize("radius_m", [300_000.0, 600_000.0, 1_000_000.0, 3_000_000.0])
def test_country_sized_claims(radius_m: float, parameters: Parameters) -> None:
    one = fused([discs(parameters, ONE, 0, *HERE, radius_m)])
    assert float(one.answers.region_mass[0]) >= 0.899
    assert 0.7 * radius_m < one.radius_m() < 1.2 * radius_m
    with_fix = fused([discs(parameters, ONE, 0, *HERE, radius_m), circles(parameters, ONE, 1, 53.0, -8.0, 5.0)])
    assert with_fix.radius_m() < 50
    assert float(distance_m(*with_fix.place(), 53.0, -8.0)) < 5


@pytest.mark.parametrize("name", FAMILIES)
def test_no_piece_speaks_for_the_other_side_of_the_globe(name: str, parameters: Parameters) -> None:
    d = gathered([FAMILIES[name][0](parameters)])
    anchor = unit_vectors(*HERE)
    lat, lng = destination(*HERE, 40.0, np.array([1e5, 1e6, 5e6, 9e6, 1.3e7, 1.7e7, 1.99e7]))
    seen = evaluate(pieces_of(d, 1), 0, unit_vectors(lat, lng) - anchor, 0.0)
    assert (np.diff(seen.log_posterior) < 0).all()
    assert seen.agreement.max() < 1e-3
