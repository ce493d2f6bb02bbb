"""Truth lies in the p-region of a share p of simulated calls, for every family, within what chance allows."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from locsvc.evaluate import simulate
from locsvc.evaluate.simulate import FAMILIES, Coverage, coverage
from locsvc.fusion.densities import VARIANCE_E, VARIANCE_N
from locsvc.fusion.parameters import Parameters
from locsvc.reference.calibration import read_calibration

DRAWS = 800
# A share is refused when chance would give one as far off in one of ten thousand tests, on either side.
REFUSED = 1e-4
# Taking whole cells overshoots by half a cell's mass at the most.
OVERSHOOT = 0.01


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    return Parameters.from_mapping(read_calibration(None)[0])


def tail(successes: int, draws: int, share: float) -> float:
    """Probability of so many or fewer successes (exact binomial).

    >>> round(tail(1, 2, 0.5), 2)
    0.75
    """
    log_terms = [
        math.lgamma(draws + 1)
        - math.lgamma(k + 1)
        - math.lgamma(draws - k + 1)
        + k * math.log(share)
        + (draws - k) * math.log1p(-share)
        for k in range(successes + 1)
    ]
    return min(1.0, math.fsum(math.exp(t) for t in log_terms))


def is_believable(share: float, result: Coverage) -> bool:
    """Whether a share of truths inside may be chance, when the confidence (and a little more) is true."""
    successes = round(share * result.draws)
    low = tail(successes, result.draws, result.confidence)
    high = 1 - tail(successes - 1, result.draws, min(result.confidence + OVERSHOOT, 0.9999))
    return low > REFUSED and high > REFUSED


@pytest.mark.parametrize("confidence", [0.5, 0.9])
@pytest.mark.parametrize("family", FAMILIES)
def test_truth_is_inside_as_often_as_said(family: str, confidence: float, parameters: Parameters, seed: int) -> None:
    result = coverage(family, confidence, DRAWS, seed, parameters)
    assert result.draws == DRAWS
    assert is_believable(result.in_region, result), result
    assert is_believable(result.in_radius, result), result
    assert confidence - 1e-3 <= result.stated_mass <= confidence + 0.02


def too_sure(parameters: Parameters, by: float) -> Parameters:
    """A calibration whose widths are too small by a factor."""
    return replace(
        parameters,
        device=parameters.device._replace(
            core_factor=parameters.device.core_factor * by,
            tail_factor=parameters.device.tail_factor * by,
        ),
        cell_shape={k: v * by if k.endswith("_factor") else v for k, v in parameters.cell_shape.items()},
    )


@pytest.mark.parametrize("family", ["circle", "ellipse", "centroid"])
@pytest.mark.parametrize("by", [0.75, 1.25])
def test_widths_off_by_a_quarter_are_seen(
    family: str, by: float, parameters: Parameters, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Truths are drawn from the widths as they are, the core believes others: the check above must fail.
    maker, drawn = FAMILIES[family], simulate.draw_offsets

    def draw_true(rng, densities):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        true = replace(densities, component=densities.component.copy())
        true.component[:, VARIANCE_E : VARIANCE_N + 1] /= by**2
        return drawn(rng, true)

    monkeypatch.setattr(simulate, "draw_offsets", draw_true)
    monkeypatch.setattr(simulate, "FAMILIES", {family: lambda rng, calls, p: maker(rng, calls, too_sure(p, by))})
    result = simulate.coverage(family, 0.5, DRAWS, seed, parameters)
    assert not is_believable(result.in_region, result), result


def test_coverage_is_the_same_for_the_same_seed(parameters: Parameters) -> None:
    assert coverage("mixed", 0.9, 70, 3, parameters) == coverage("mixed", 0.9, 70, 3, parameters)
