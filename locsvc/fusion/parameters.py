"""The calibration as arrays: every width and share of the core, indexed by the enums of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from locsvc.errors import ConfigError
from locsvc.fusion.recalibration import Recalibration
from locsvc.model import CellFallback, ClassOfService, Placement, Platform, PositioningMethod, Radio

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

METHODS = tuple(m.name.lower() for m in PositioningMethod)
# Tables of [device]: a method of an unknown platform, then of each platform. One that is absent is the method's own.
DEVICE_KINDS = tuple(
    method if platform is Platform.UNSPECIFIED else f"{method}_{platform.name.lower()}"
    for platform in Platform
    for method in METHODS
)
# Which table of [line] a class of service takes.
LINE_KINDS = ("fixed", "campus", "off_premises", "voip", "nomadic", "mobile", "mast", "fix")
_C = ClassOfService
LINE_KIND_OF_CLASS: dict[ClassOfService, str] = {
    _C.UNSPECIFIED: "voip",  # not told: neither trusted as a fixed line nor given up
    _C.RESIDENCE: "fixed",
    _C.BUSINESS: "fixed",
    _C.RESIDENCE_PBX: "campus",
    _C.BUSINESS_PBX: "campus",
    _C.CENTREX: "campus",
    _C.COIN_ONE_WAY: "fixed",
    _C.COIN_TWO_WAY: "fixed",
    _C.WIRELESS: "mobile",
    _C.RESIDENCE_OFF_PREMISES: "off_premises",
    _C.BUSINESS_OFF_PREMISES: "off_premises",
    _C.CUSTOMER_OWNED_COIN: "fixed",
    _C.WIRELESS_PHASE1: "mast",
    _C.WIRELESS_PHASE2: "fix",
    _C.VOIP: "voip",
    _C.VOIP_RESIDENCE: "voip",
    _C.VOIP_BUSINESS: "voip",
    _C.VOIP_COIN: "voip",
    _C.VOIP_MOBILE: "mobile",
    _C.VOIP_NOMADIC: "nomadic",
    _C.VOIP_ENTERPRISE: "campus",
    _C.TELEMATICS: "mobile",
    _C.WIRELESS_DISPATCHABLE: "fixed",
    _C.WIRELESS_CIVIC: "voip",
    _C.TEXT: "mobile",
}
# Line kinds whose address says little about where the caller is.
MOVING_KINDS = frozenset({"nomadic", "mobile"})
_STEPS = ("coverage", "sector", "centroid", "physical_identity", "site", "area", "network", "country")


class DeviceColumns(NamedTuple):
    """How far the truth is from what devices claim, by DEVICE_KINDS.

    With x the claimed standard deviation over the pivot, within `fitted_from_m` to `fitted_to_m`: the core is
    `core_factor * x ** (core_exponent - 1)` claims wide, the tail likewise; log odds of the outlier share grow by
    `outlier_slope` for each e-fold of x.
    """

    unstated_confidence: Floats
    core_factor: Floats
    core_exponent: Floats
    tail_factor: Floats
    tail_exponent: Floats
    tail_weight: Floats
    outlier_share: Floats
    outlier_slope: Floats
    outlier_scale_m: Floats
    fitted_from_m: Floats
    fitted_to_m: Floats
    unknown_radius_m: Floats


@dataclass(frozen=True, slots=True)
class Parameters:
    """Arrays are indexed by `device_kind`, or the value of `Radio`, `CellFallback`, `Placement` or LINE_KINDS."""

    version: str
    device: DeviceColumns
    device_limits: Mapping[str, float]
    cell_default_range_m: Floats
    cell_longest_range_m: Floats
    cell_timing_step_m: Floats
    step_outlier_share: Floats
    step_outlier_scale_factor: Floats
    step_range_factor: Floats
    cell_shape: Mapping[str, float]
    coverage_cell: Mapping[str, float]
    coverage_scan: Mapping[str, float]
    line_outlier_share: Floats
    line_outlier_scale_m: Floats
    placement_sigma_m: Floats
    line_limits: Mapping[str, float]
    time: Mapping[str, float]
    dependence: Mapping[str, float]
    confidence: Recalibration

    @staticmethod
    def from_mapping(values: Mapping[str, Any]) -> Parameters:
        """Parameters from a calibration as `tomllib` reads it.

        Raises
        ------
        ConfigError
            A number is missing or is not one.
        """
        radios = [None, "gsm", "umts", "lte", "nr"]
        placements = [p.name.lower() for p in Placement]
        steps: list[str | None] = [None] * (max(CellFallback) + 1)
        for name in _STEPS:
            steps[CellFallback[name.upper()]] = name
        try:
            return Parameters(
                version=str(values["version"]),
                device=_device(values["device"]),
                device_limits=_numbers(values["device_limits"]),
                cell_default_range_m=_column(values["cell"], radios, "default_range_m"),
                cell_longest_range_m=_column(values["cell"], radios, "longest_range_m"),
                cell_timing_step_m=_column(values["cell"], radios, "timing_step_m"),
                step_outlier_share=_column(values["cell_steps"], steps, "outlier_share"),
                step_outlier_scale_factor=_column(values["cell_steps"], steps, "outlier_scale_factor"),
                step_range_factor=_column(values["cell_steps"], steps, "range_factor"),
                cell_shape=_numbers(values["cell_shape"]),
                coverage_cell=_numbers(values["coverage_cell"]),
                coverage_scan=_numbers(values["coverage_scan"]),
                line_outlier_share=_column(values["line"], LINE_KINDS, "outlier_share"),
                line_outlier_scale_m=_column(values["line"], LINE_KINDS, "outlier_scale_m"),
                placement_sigma_m=np.array([float(values["placement_sigma_m"][p]) for p in placements]),
                line_limits=_numbers(values["line_limits"]),
                time=_numbers(values["time"]),
                dependence=_numbers(values["dependence"]),
                confidence=Recalibration.from_mapping(values["confidence"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            message = f"calibration: {error} is missing or not a number; take the shipped file as the pattern"
            raise ConfigError(message) from error


def _column(tables: Mapping[str, Any], names: list[str | None] | tuple[str, ...] | list[str], key: str) -> Floats:
    """One number of each named table; rows without a name take the first table's."""
    first = next(n for n in names if n)
    return np.array([float(tables[n or first][key]) for n in names])


def _device(tables: Mapping[str, Any]) -> DeviceColumns:
    """The columns of devices; a kind without a table takes its method's."""
    names = [kind if kind in tables else METHODS[i % len(METHODS)] for i, kind in enumerate(DEVICE_KINDS)]
    return DeviceColumns(*(_column(tables, names, key) for key in DeviceColumns._fields))


def device_kind(method: npt.NDArray[np.int64], platform: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Row of DEVICE_KINDS, (n,) int64, of values of `PositioningMethod` and `Platform`.

    >>> DEVICE_KINDS[device_kind(np.array([4]), np.array([2]))[0]]
    'fused_ios'
    """
    return method + len(METHODS) * platform


def _numbers(table: Mapping[str, Any]) -> dict[str, float]:
    return {k: float(v) for k, v in table.items()}


assert tuple(ClassOfService) == tuple(range(len(ClassOfService)))  # noqa: S101 - arrays are indexed by value
assert tuple(Radio) == tuple(range(len(Radio)))  # noqa: S101
assert tuple(PositioningMethod) == tuple(range(len(PositioningMethod)))  # noqa: S101
assert tuple(Platform) == tuple(range(len(Platform)))  # noqa: S101
