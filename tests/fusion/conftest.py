"""The shipped calibration, and one without tails and outliers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from locsvc.fusion.parameters import Parameters
from locsvc.reference.calibration import read_calibration


@pytest.fixture(scope="session")
def parameters() -> Parameters:
    """The shipped calibration."""
    return Parameters.from_mapping(read_calibration(None)[0])


@pytest.fixture(scope="session")
def pure(parameters: Parameters) -> Parameters:
    """Claims are taken at their word: no tails, hardly an outlier."""
    kinds = np.ones_like(parameters.device.core_factor)
    return replace(
        parameters,
        device=parameters.device._replace(
            core_factor=kinds,
            core_exponent=kinds,
            tail_weight=0 * kinds,
            outlier_share=1e-9 * kinds,
            outlier_slope=0 * kinds,
        ),
        line_outlier_share=1e-9 * np.ones_like(parameters.line_outlier_share),
        step_outlier_share=1e-9 * np.ones_like(parameters.step_outlier_share),
        device_limits={**parameters.device_limits, "unknown_outlier_share": 1e-9},
    )
