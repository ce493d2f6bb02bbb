"""What is asked of a posterior so that regions and circles hold as many truths as they say.

A posterior is made of densities that are fitted one by one; a history of located calls tells, too, how often truths lay
inside of what came of them all. Where 90 % regions of some kind of calls held 86 of 100, such regions are made to hold
as much of the posterior as held 90 of 100 (Kuleshov, Fenner and Ermon 2018, Accurate uncertainties for deep learning
using calibrated regression). Regions and circles have numbers of their own: truths may be nearer to the middle than the
places that fit are to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from locsvc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

# Kinds of calls, by what all of their evidence is; those of other or mixed evidence are of kind 0, asked as they are.
KINDS: Final = ("learned_scan", "learned_cell", "tower_cell", "unknown_cell", "reports")
LEARNED_SCAN, LEARNED_CELL, TOWER_CELL, UNKNOWN_CELL, REPORTS = range(1, len(KINDS) + 1)
SHAPES: Final = ("region", "circle")
REGION, CIRCLE = range(len(SHAPES))
# Shares of truths that numbers are given for; those between lie evenly between two.
SHARES: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
# What the core can be asked for.
LEAST_MASS, MOST_MASS = 0.05, 0.9995
# Levels that are no farther apart than this are one.
_NARROW = 1e-6


def number_name(shape: int, share: float) -> str:
    """The name of a number in its kind's table of the calibration.

    >>> number_name(CIRCLE, 0.95)
    'circle_95'
    """
    return f"{SHAPES[shape]}_{share * 100:.0f}"


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Masses to ask for: (kinds + 1, shapes, shares + 2) float64, at shares 0, SHARES and 1; row 0 is as it is."""

    mass: Floats

    @staticmethod
    def from_mapping(tables: Mapping[str, Any]) -> Recalibration:
        """From the calibration's table `confidence`.

        Raises
        ------
        ConfigError
            Numbers of a kind do not rise, or are not between 0 and 1.
        KeyError, TypeError, ValueError
            A number is missing, or is none.
        """
        ends = _grid()
        mass = np.tile(ends, (len(KINDS) + 1, len(SHAPES), 1))
        for k, kind in enumerate(KINDS, 1):
            for shape, name in enumerate(SHAPES):
                mass[k, shape, 1:-1] = [float(tables[kind][number_name(shape, share)]) for share in SHARES]
                if not (np.diff(mass[k, shape]) > 0).all():
                    own = mass[k, shape, 1:-1].tolist()
                    raise ConfigError(
                        f"calibration: confidence.{kind}: {name}_50 to {name}_98 must rise, from above 0 to below 1;"
                        f" they are {own}: give all of them, or none"
                    )
        return Recalibration(mass)

    def plain(self) -> Recalibration:
        """One that asks for everything as it is."""
        return Recalibration(np.tile(self.mass[0, 0], (*self.mass.shape[:2], 1)))

    @property
    def changes(self) -> bool:
        """Whether anything is asked for otherwise than as it is."""
        return bool((self.mass != self.mass[0]).any())

    def asked(self, kind: Ints, shape: int, share: Floats) -> Floats:
        """The mass of the posterior that holds a share of truths, (n,), for calls of a kind (n,).

        >>> Recalibration(np.tile(_grid(), (6, 2, 1))).asked(np.array([2, 0]), REGION, np.array([0.9, 0.68])).tolist()
        [0.9, 0.68]
        """
        mass = np.array(share, np.float64)
        for k in np.unique(kind[kind > 0]).tolist():
            own = kind == k
            if (self.mass[k, shape] != self.mass[0, shape]).any():
                mass[own] = np.interp(mass[own], _grid(), self.mass[k, shape]).clip(LEAST_MASS, MOST_MASS)
        return mass

    def held(self, kind: Ints, shape: int, mass: Floats) -> Floats:
        """The share of truths in what holds a mass of the posterior, (n,): the inverse of `asked`."""
        share = np.array(mass, np.float64)
        for k in np.unique(kind[kind > 0]).tolist():
            own = kind == k
            if (self.mass[k, shape] != self.mass[0, shape]).any():
                share[own] = np.interp(share[own], self.mass[k, shape], _grid())
        return share

    def log_rise(self, kind: Ints, level_from: Floats, level_to: Floats) -> Floats:
        """Logarithm of what recalibrating makes of the density between two levels of regions, (n,).

        With shares of truths for masses a posterior is another density: p(x) times the share's slope at the level of x.
        """
        low = np.clip(level_from, 0.0, 1.0 - _NARROW)
        high = np.clip(np.maximum(level_to, low + _NARROW), 0.0, 1.0)
        rise = (self.held(kind, REGION, high) - self.held(kind, REGION, low)) / (high - low)
        return np.log(rise)


def _grid() -> Floats:
    """The shares that masses are given for."""
    return np.array([0.0, *SHARES, 1.0])
