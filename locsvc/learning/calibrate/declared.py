"""Which numbers of the calibration are fitted: in groups, each with its evidence, bounds and how firmly it is held.

A new number joins by a line here. Which rows inform a group is not declared: those whose density changes with it.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from locsvc.fusion.parameters import DEVICE_KINDS, LINE_KINDS
from locsvc.fusion.recalibration import KINDS, SHAPES, SHARES, number_name


class Of(enum.Enum):
    """What a group is fitted on."""

    REPORT = "device reports, each by itself"
    ANY_REPORT = "device reports, each by itself, as if the method were not known"
    ANY_PLATFORM = "device reports, each by itself, as if the platform were not known"
    CELL = "serving cells, each by itself"
    SCAN = "scans of several cells that located history knows as a whole"
    LINE = "line records, each by itself"
    CALL = "all that a call has together"
    LEVEL = "answers of calls whose evidence is all of one kind"


@dataclass(frozen=True, slots=True)
class Number:
    """One number: `path` in the calibration, its bounds, and how far it may easily go from the shipped one.

    `spread` is one standard deviation of the prior in the scale that it is fitted in: of the logarithm for lengths and
    factors (`log`), of the log odds for shares (`odds`), else of the number itself (`plain`). It weighs as much as one
    session.
    """

    path: str
    low: float
    high: float
    scale: str = "log"
    spread: float = 1.0

    def to_scale(self, value: float) -> float:
        """The number in the scale that it is fitted in.

        >>> round(Number("a.b", 0.01, 0.99, "odds").to_scale(0.5), 6), Number("a.c", 1.0, 9.0).to_scale(1.0)
        (0.0, 0.0)
        """
        value = min(max(value, self.low), self.high)
        if self.scale == "log":
            return math.log(value)
        return math.log(value / (1.0 - value)) if self.scale == "odds" else value

    def from_scale(self, fitted: float) -> float:
        """The number itself, within its bounds.

        >>> Number("a.b", 0.01, 0.6, "odds").from_scale(5.0)
        0.6
        """
        if self.scale == "log":
            value = math.exp(min(max(fitted, -700.0), 700.0))
        elif self.scale == "odds":
            value = 1.0 / (1.0 + math.exp(-min(max(fitted, -700.0), 700.0)))
        else:
            value = fitted
        return min(max(value, self.low), self.high)


@dataclass(frozen=True, slots=True)
class Group:
    """Numbers that are fitted together, on the evidence that they shape."""

    name: str
    of: Of
    numbers: tuple[Number, ...]
    least_sessions: int = 20


# Few sessions tell much of a shape with seven numbers.
_LEAST_OF_DEVICES = 20


def _device(kind: str) -> Group:
    path = f"device.{kind}."
    of = Of.ANY_REPORT if kind == "unspecified" else Of.REPORT if "_" in kind else Of.ANY_PLATFORM
    return Group(
        path[:-1],
        of,
        (
            Number(path + "core_factor", 0.05, 20.0),
            Number(path + "core_exponent", 0.2, 1.5, "plain", 0.3),
            Number(path + "tail_factor", 0.1, 50.0),
            Number(path + "tail_exponent", 0.2, 1.5, "plain", 0.3),
            Number(path + "tail_weight", 0.02, 0.6, "odds"),
            Number(path + "outlier_share", 0.002, 0.5, "odds"),
            Number(path + "outlier_slope", -1.0, 2.0, "plain", 0.5),
        ),
        _LEAST_OF_DEVICES,
    )


def _step(step: str) -> Group:
    path = f"cell_steps.{step}."
    return Group(
        path[:-1],
        Of.CELL,
        (
            Number(path + "range_factor", 0.02, 10.0),
            Number(path + "outlier_share", 0.002, 0.5, "odds"),
            Number(path + "outlier_scale_factor", 0.1, 20.0, spread=0.5),
        ),
    )


_CENTROID: Final = Group(
    "cell_shape.centroid",
    Of.CELL,
    (
        Number("cell_shape.core_factor", 0.02, 3.0),
        Number("cell_shape.tail_factor", 0.05, 10.0),
        Number("cell_shape.tail_weight", 0.02, 0.6, "odds"),
        Number("cell_shape.few_samples", 0.1, 100.0),
        Number("cell_steps.centroid.outlier_share", 0.002, 0.3, "odds"),
    ),
)
_TIMING: Final = Group(
    "cell_shape.timing",
    Of.CELL,
    (
        Number("cell_shape.timing_soft_m", 5.0, 1000.0),
        Number("cell_shape.timing_excess_m", 10.0, 2000.0),
        Number("cell_shape.mast_offset_share", 0.01, 2.0),
    ),
)
# Located history of cells: sizes and shares that move the score; others of their tables hardly do.
_LEARNED: Final = (
    Group(
        "coverage_cell",
        Of.CELL,
        (
            Number("coverage_cell.level_sd_db", 1.0, 15.0, spread=0.5),
            Number("coverage_cell.quality_sd_db", 1.0, 15.0, spread=0.5),
            Number("coverage_cell.advance_sd_steps", 0.1, 5.0, spread=0.5),
            Number("coverage_cell.doubt_visits", 0.3, 60.0),
            Number("coverage_cell.spread_factor", 0.3, 4.0, spread=0.5),
            Number("coverage_cell.ring_share", 0.01, 0.8, "odds"),
            Number("cell_steps.coverage.outlier_share", 0.002, 0.5, "odds"),
        ),
    ),
    Group(
        "coverage_scan",
        Of.SCAN,
        (
            Number("coverage_scan.level_exponent", 0.02, 1.0, "plain", 0.2),
            Number("coverage_scan.unheard_exponent", 0.02, 1.0, "plain", 0.2),
            Number("coverage_scan.level_sd_db", 2.0, 20.0, spread=0.3),
            Number("coverage_scan.offset_sd_db", 0.5, 15.0, spread=0.5),
            Number("coverage_scan.wide_share", 0.005, 0.5, "odds"),
            Number("coverage_scan.doubt_looks", 0.1, 30.0),
            Number("coverage_scan.spread_factor", 0.3, 4.0, spread=0.5),
        ),
    ),
    *(
        Group(f"coverage_cell.{step}", Of.CELL, (Number(f"coverage_cell.{step}_offset_factor", 0.2, 5.0, spread=0.5),))
        for step in ("site", "area", "network")
    ),
)
_DEPENDENCE: Final = tuple(
    Group(f"dependence.{name}", Of.CALL, (Number(f"dependence.{name}", 0.02, 1.0, "plain", 0.3),))
    for name in ("neighbour_exponent", "same_method_exponent", "derived_exponent")
)
_LINES: Final = tuple(
    Group(f"line.{kind}", Of.LINE, (Number(f"line.{kind}.outlier_share", 0.002, 0.95, "odds"),)) for kind in LINE_KINDS
)
_PLACEMENTS: Final = ("access", "structure", "site", "parcel", "record", "geocoded_exact", "geocoded_street")
_PLACED: Final = tuple(
    Group(f"placement_sigma_m.{name}", Of.LINE, (Number(f"placement_sigma_m.{name}", 1.0, 10_000.0),))
    for name in _PLACEMENTS
)

# What the names of groups of regions and circles begin with.
CONFIDENCE: Final = "confidence."
# Few sessions tell a share less well than they tell a width, but these few numbers are held to by a session's weight.
_LEAST_OF_SHARES: Final = 10
_CONFIDENCES: Final = tuple(
    Group(
        f"{CONFIDENCE}{kind}.{name}",
        Of.LEVEL,
        tuple(Number(f"{CONFIDENCE}{kind}.{number_name(shape, share)}", 0.0005, 0.9999, "odds") for share in SHARES),
        _LEAST_OF_SHARES,
    )
    for kind in KINDS
    for shape, name in enumerate(SHAPES)
)


def groups_of(values: Mapping[str, Any]) -> tuple[Group, ...]:
    """The groups of a calibration, in the order in which they are fitted.

    Pieces by themselves come before whole calls, and widths before shares of outliers of the same pieces: what only
    lies beyond a width that is too small would be taken for outliers, and stay so. What regions and circles hold comes
    last: it hangs on all the others.
    """
    devices = tuple(_device(kind) for kind in DEVICE_KINDS if kind in values["device"])
    steps = tuple(
        _step(step)
        for step in ("sector", "physical_identity", "site", "area", "network")
        if step in values["cell_steps"]
    )
    every = (*devices, _CENTROID, _TIMING, *_LEARNED, *steps, *_PLACED, *_LINES, *_DEPENDENCE, *_CONFIDENCES)
    return tuple(g for g in every if all(has(values, n.path) for n in g.numbers))


def has(values: Mapping[str, Any], path: str) -> bool:
    """Whether the calibration has a number there."""
    at: Any = values
    for name in path.split("."):
        if not isinstance(at, Mapping) or name not in at:
            return False
        at = at[name]
    return not isinstance(at, Mapping)


def value_at(values: Mapping[str, Any], path: str) -> float:
    """The number at a path of the calibration.

    >>> value_at({"a": {"b": 2}}, "a.b")
    2.0
    """
    at: Any = values
    for name in path.split("."):
        at = at[name]
    return float(at)


def with_values(values: Mapping[str, Any], new: Mapping[str, float]) -> dict[str, Any]:
    """The calibration with other numbers at some paths; what was given stays as it is.

    >>> with_values({"a": {"b": 2.0}}, {"a.b": 3.0, "c.d": 1.0})
    {'a': {'b': 3.0}, 'c': {'d': 1.0}}
    """
    changed = {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    for path, value in new.items():
        first, *rest = path.split(".")
        if len(rest) > 1:
            changed[first] = with_values(changed.get(first, {}), {".".join(rest): value})
        else:
            changed.setdefault(first, {})
            changed[first] = {**changed[first], rest[0]: value} if rest else value
    return changed
