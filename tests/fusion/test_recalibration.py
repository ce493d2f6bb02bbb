"""What is asked of posteriors: masses for shares of truths, and back."""

from __future__ import annotations

import numpy as np
import pytest

from locsvc.errors import ConfigError
from locsvc.fusion.parameters import Parameters
from locsvc.fusion.recalibration import CIRCLE, KINDS, LEARNED_CELL, MOST_MASS, REGION, SHARES, UNKNOWN_CELL
from locsvc.learning.calibrate.declared import with_values
from locsvc.reference.calibration import read_calibration

SHIPPED = read_calibration(None)[0]
# Truths of such cells lay farther out than they should have.
WIDER = (0.6, 0.7, 0.8, 0.9, 0.97, 0.985, 0.99)


def parameters(**numbers: float) -> Parameters:
    """The shipped calibration with other numbers of cells that history knows."""
    return Parameters.from_mapping(
        with_values(SHIPPED, {f"confidence.learned_cell.{k}": v for k, v in numbers.items()})
    )


def wider() -> Parameters:
    return parameters(**{f"region_{100 * s:.0f}": m for s, m in zip(SHARES, WIDER, strict=True)})


def test_as_shipped_everything_is_asked_as_it_is() -> None:
    shipped = parameters().confidence
    assert not shipped.changes
    confidence = np.linspace(0.5, 0.999, 50)
    for kind in range(len(KINDS) + 1):
        for shape in (REGION, CIRCLE):
            assert (shipped.asked(np.full(50, kind), shape, confidence) == confidence).all()
            assert (shipped.held(np.full(50, kind), shape, confidence) == confidence).all()


def test_masses_are_asked_for_shares_and_told_as_shares() -> None:
    recalibration = wider().confidence
    assert recalibration.changes
    kind, shares = np.full(len(SHARES), LEARNED_CELL), np.array(SHARES)
    assert recalibration.asked(kind, REGION, shares) == pytest.approx(WIDER)
    assert recalibration.held(kind, REGION, np.array(WIDER)) == pytest.approx(SHARES)
    # Circles, other kinds of calls, and those of mixed evidence are asked as they are.
    assert (recalibration.asked(kind, CIRCLE, shares) == shares).all()
    assert (recalibration.asked(np.full(len(SHARES), UNKNOWN_CELL), REGION, shares) == shares).all()
    assert (recalibration.asked(np.zeros(len(SHARES), np.int64), REGION, shares) == shares).all()


def test_between_numbers_masses_rise_and_end_where_the_core_does() -> None:
    recalibration = wider().confidence
    shares = np.linspace(0.5, 0.9999, 500)
    asked = recalibration.asked(np.full(500, LEARNED_CELL), REGION, shares)
    assert (np.diff(asked) >= 0).all()
    assert asked[-1] == MOST_MASS
    inner = asked < MOST_MASS
    assert recalibration.held(np.full(500, LEARNED_CELL), REGION, asked)[inner] == pytest.approx(shares[inner])


def test_a_recalibrated_density_is_one() -> None:
    """What densities rise by, over all levels, is 1: as much mass as there was."""
    recalibration = wider().confidence
    edges = np.linspace(0.0, 1.0, 2001)
    rise = recalibration.log_rise(np.full(2000, LEARNED_CELL), edges[:-1], edges[1:])
    assert np.mean(np.exp(rise)) == pytest.approx(1.0)
    assert rise.min() < -0.1
    assert rise.max() > 0.1
    assert (recalibration.log_rise(np.zeros(2000, np.int64), edges[:-1], edges[1:]) == 0.0).all()


def test_a_level_at_either_end_has_a_finite_rise() -> None:
    recalibration = wider().confidence
    ends = np.array([0.0, 1.0, 0.999999, 0.5])
    assert np.isfinite(recalibration.log_rise(np.full(4, LEARNED_CELL), ends, ends)).all()


@pytest.mark.parametrize("wrong", [{"region_90": 0.79}, {"circle_98": 1.0}, {"circle_50": 0.0}, {"region_50": -0.2}])
def test_numbers_that_do_not_rise_are_refused_by_name(wrong: dict[str, float]) -> None:
    shape = next(iter(wrong)).partition("_")[0]
    with pytest.raises(ConfigError, match=rf"confidence\.learned_cell: {shape}_50 to {shape}_98 must rise"):
        parameters(**wrong)
