"""`locsvc calibrate`: the numbers of the calibration that located history can tell, group by group."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from locsvc.errors import FieldViolation, InvalidInput
from locsvc.fusion.recalibration import KINDS, SHAPES
from locsvc.learning.calibrate.declared import Group, Number, Of, groups_of, value_at, with_values
from locsvc.learning.calibrate.fitting import Fitted, Problem, fit, sure
from locsvc.learning.calibrate.history import History, read_history
from locsvc.learning.calibrate.levels import Levels, fit_masses, levels_of
from locsvc.learning.calibrate.scores import Scorer, View, claimed_sigmas_m, views_of
from locsvc.reference.calibration import read_calibration
from locsvc.reference.store import Reference

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
# What is being done, and how much of all of it is done (0 to 1).
Progress = Callable[[str, float], None]

FITTED: Final = "fitted"
WIDER: Final = "wider where too few truths were inside; narrower was not sure to be better"
NO_BETTER: Final = "kept: fitted numbers are no better on sessions left out"
NOT_SURE: Final = "kept: the gain on sessions left out may be chance"
TOO_LITTLE: Final = "kept: too little history"
FEW_DAYS: Final = "kept: too few days to leave some out"
NONE: Final = "kept: nothing in the tables is about it"
NO_TIME: Final = "kept: the time was over"
# What is left out together, sessions or days: of fewer no spread is known.
_LEAST_UNITS = 3
# A mass that is asked for grows by this, or stays as it is.
_LEAST_WIDER = 0.001
# Changes of a log density that are no more than noise of float32.
_NOTICED = 1e-4
# Claims between these shares of them, sessions weighed alike, tell how widths go with the claimed size.
_FROM, _TO = 0.02, 0.98


@dataclass(frozen=True, slots=True)
class Options:
    """How tables are read and fitted to.

    `only` names groups, or beginnings of names; `budget_s` is time after which no further search begins.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    input_format: str | None = None
    truth_from_reports: bool = False
    folds: int = 5
    by_day: bool = False
    only: tuple[str, ...] = ()
    least_sessions: int | None = None
    budget_s: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a group: mean log scores a session (nats), on sessions left out; numbers as they were and are."""

    group: str
    verdict: str
    rows: int = 0
    sessions: int = 0
    needed: int = 0
    before: float | None = None
    after: float | None = None
    gain_error: float | None = None
    numbers: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What calibrating came to: the calibration as a whole, what is new in it, and of each group what became of it."""

    values: dict[str, Any]
    changed: dict[str, float]
    results: list[Result]
    history: History
    seconds: float


class _TimeOver(Exception):  # noqa: N818 - no error: it ends the search
    """No further search may begin."""


class _Clock:
    """Ends searches when the time is over, and tells how far they are."""

    def __init__(self, budget_s: float | None, steps: int, progress: Progress | None) -> None:
        self._end_s = None if budget_s is None else time.monotonic() + budget_s
        self._steps, self._progress = steps, progress
        self.done, self.what = 0, ""

    def tick(self) -> None:
        if self._end_s is not None and time.monotonic() > self._end_s:
            raise _TimeOver
        if self._progress is not None:
            self._progress(self.what, min(self.done / self._steps, 1.0))
        self.done += 1


def calibrate(
    tables: Sequence[Path], reference: Reference, options: Options | None = None, progress: Progress | None = None
) -> Calibrated:
    """The calibration of a data directory, with the numbers that the tables can tell.

    The same tables give the same numbers. Nothing is written.

    Raises
    ------
    BadData
        A table cannot be read, or no row of any has a truth.
    ConfigError
        The calibration of the directory cannot be used.
    InvalidInput
        No group's name begins as one of those that were asked for.
    """
    return calibrate_apart([tables], [reference], options, progress)


def calibrate_apart(
    tables: Sequence[Sequence[Path]],
    references: Sequence[Reference],
    options: Options | None = None,
    progress: Progress | None = None,
) -> Calibrated:
    """The calibration that tables can tell, when each part of them has reference data that has not seen it.

    Parameters
    ----------
    tables
        Of each part.
    references
        Of each part; they have one calibration.
    options
        How tables are read and fitted to.
    progress
        Told what is done.

    Raises
    ------
    BadData
        A table cannot be read, or no row of any has a truth.
    ConfigError
        The calibration cannot be used.
    InvalidInput
        No group's name begins as one of those that were asked for.
    """
    began_s = time.monotonic()
    options = options or Options()
    values, _ = read_calibration(references[0].calibration_text)
    shipped, _ = read_calibration(None)
    groups = asked_groups(values, options.only)
    history = read_history(tables, options.mapping, options.input_format, truth_from_reports=options.truth_from_reports)
    clock = _Clock(options.budget_s, len(groups) * (options.folds + 1), progress)
    views: dict[Of, list[View]] = {}
    answers = _Answers(history, references, clock)
    changed: dict[str, float] = {}
    results = []
    for nth, group in enumerate(groups):
        clock.what, clock.done = group.name, nth * (options.folds + 1)
        if group.of is Of.LEVEL:
            result, new = _fit_levels(group, answers, values, options)
        else:
            if group.of not in views:
                views[group.of] = views_of(history, group.of)
            result, new = _fit_group(group, views[group.of], references, values, shipped, history, options, clock)
        results.append(result)
        values = with_values(values, new)
        changed |= new
    return Calibrated(values, changed, results, history, time.monotonic() - began_s)


def asked_groups(values: Mapping[str, Any], only: Sequence[str]) -> list[Group]:
    """The groups of a calibration whose names begin as was asked for.

    Raises
    ------
    InvalidInput
        There is none for one of the beginnings.
    """
    groups = groups_of(values)
    names = [g.name for g in groups]
    for asked in only:
        if not any(name.startswith(asked) for name in names):
            near = difflib.get_close_matches(asked, [*names, *(n.partition(".")[0] for n in names)], 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
            raise InvalidInput([FieldViolation("--only", f"no group's name begins with {asked!r}; {hint}")])
    return [g for g in groups if not only or g.name.startswith(tuple(only))]


def _fit_group(
    group: Group, views: list[View], references: Sequence[Reference], values: dict[str, Any],
    shipped: Mapping[str, Any], history: History, options: Options, clock: _Clock,
) -> tuple[Result, dict[str, float]]:  # fmt: skip
    """What became of a group, and its new numbers, none where the old ones are kept."""
    needed = max(group.least_sessions if options.least_sessions is None else options.least_sessions, _LEAST_UNITS)
    informed = _informed(group, Scorer(references, views, group.of), values)
    if not informed.any():
        return Result(group.name, NONE, needed=needed), {}
    if group.of not in {Of.CALL, Of.SCAN}:
        views, informed = _taken(views, informed)
    scorer = Scorer(references, views, group.of)
    names, session = np.unique(scorer.session[informed], return_inverse=True)
    unit = np.unique(history.day[names], return_inverse=True)[1] if options.by_day else np.arange(len(names))
    told = Result(group.name, TOO_LITTLE, int(informed.sum()), len(names), needed)
    if len(names) < needed:
        return told, {}
    if unit.max() + 1 < _LEAST_UNITS:
        return replace(told, verdict=FEW_DAYS), {}
    fixed = _range(group, views, session, values) if group.name.startswith("device.") else {}
    based = with_values(values, fixed)

    def scores(numbers: Floats) -> Floats:
        return scorer(with_values(based, _numbers(group, numbers)))[informed]

    problem = Problem(
        scores,
        session,
        np.array([n.to_scale(value_at(values, n.path)) for n in group.numbers]),
        np.array([n.to_scale(value_at(shipped, n.path)) for n in group.numbers]),
        np.array([n.spread for n in group.numbers]),
    )
    try:
        fitted = fit(problem, unit, options.folds, clock.tick)
    except _TimeOver:
        return replace(told, verdict=NO_TIME), {}
    return _weighed(group, fitted, fixed, values, told, int(unit.max()) + 1)


class _Answers:
    """Where truths lay in what calls are answered: looked at once, when all other groups are fitted."""

    def __init__(self, history: History, references: Sequence[Reference], clock: _Clock) -> None:
        self.history, self._references, self._clock = history, references, clock
        self._levels: Levels | None = None

    def levels(self, values: dict[str, Any]) -> Levels:
        """Those of all calls, by the calibration as it is fitted by then."""
        if self._levels is None:
            self._levels = levels_of(self.history, self._references, values, self._clock.tick)
        return self._levels


def _fit_levels(
    group: Group, answers: _Answers, values: dict[str, Any], options: Options
) -> tuple[Result, dict[str, float]]:
    """What became of a kind's regions or circles, and their new numbers, none where the old ones are kept."""
    try:
        levels, history = answers.levels(values), answers.history
    except _TimeOver:
        return Result(group.name, NO_TIME), {}
    needed = max(group.least_sessions if options.least_sessions is None else options.least_sessions, _LEAST_UNITS)
    _, kind, shape = group.name.split(".")
    own = levels.of(KINDS.index(kind) + 1)
    if not len(own.kind):
        return Result(group.name, NONE, needed=needed), {}
    names, session = np.unique(own.session, return_inverse=True)
    unit = np.unique(history.day[own.session], return_inverse=True)[1] if options.by_day else session
    told = Result(group.name, TOO_LITTLE, len(session), len(names), needed)
    units = int(unit.max()) + 1
    if len(names) < needed or units < _LEAST_UNITS:
        return (told if len(names) < needed else replace(told, verdict=FEW_DAYS)), {}
    before = np.array([value_at(values, n.path) for n in group.numbers])
    outside = own.outside[SHAPES.index(shape)]
    fitted = fit_masses(outside, session, unit, before, options.folds)
    # What held too little is made wider, sure or not, and then nothing narrower: to be sure and wrong costs more.
    wider = fit_masses(outside, session, unit, before, options.folds, only_wider=True)
    if sure(fitted, units) or (wider.numbers - before).max() < _LEAST_WIDER:
        return _weighed(group, fitted, {}, values, told, units)
    told = replace(told, before=wider.before, after=wider.after, gain_error=wider.gain_error)
    return _changed(group, wider, {}, values, replace(told, verdict=WIDER))


def _weighed(
    group: Group, fitted: Fitted, fixed: dict[str, float], values: Mapping[str, Any], told: Result, units: int
) -> tuple[Result, dict[str, float]]:
    """The new numbers, if they are surely better on sessions left out."""
    told = replace(told, before=fitted.before, after=fitted.after, gain_error=fitted.gain_error)
    if not sure(fitted, units):
        return replace(told, verdict=NO_BETTER if fitted.after <= fitted.before else NOT_SURE), {}
    return _changed(group, fitted, fixed, values, replace(told, verdict=FITTED))


def _changed(
    group: Group, fitted: Fitted, fixed: dict[str, float], values: Mapping[str, Any], told: Result
) -> tuple[Result, dict[str, float]]:
    """The new numbers, rounded, and what is told of them."""
    # Masses near 1 rise by little, and must.
    digits = 6 if group.of is Of.LEVEL else 4
    every = {**fixed, **_numbers(group, fitted.numbers)}
    new = {path: float(f"{value:.{digits}g}") for path, value in every.items()}
    # A number that the rows say nothing of stays where it was, and out of the file.
    new = {path: value for path, value in new.items() if value != value_at(values, path)}
    return replace(told, numbers={path: (value_at(values, path), value) for path, value in new.items()}), new


def _numbers(group: Group, fitted: Floats) -> dict[str, float]:
    if group.of is Of.LEVEL:
        return {n.path: x for n, x in zip(group.numbers, fitted.tolist(), strict=True)}
    return {n.path: n.from_scale(x) for n, x in zip(group.numbers, fitted.tolist(), strict=True)}


def _informed(group: Group, scorer: Scorer, values: dict[str, Any]) -> Bools:
    """Which rows the group's numbers mean something to, (n,): those whose density changes with them."""
    told = scorer(values)
    informed = np.zeros(len(told), bool)
    for number in group.numbers:
        for way in (-1.0, 1.0):
            other = scorer(with_values(values, {number.path: _moved(number, values, way)}))
            informed |= np.abs(other - told) > _NOTICED
    return informed


def _moved(number: Number, values: Mapping[str, Any], way: float) -> float:
    return number.from_scale(number.to_scale(value_at(values, number.path)) + way * number.spread)


def _taken(views: list[View], informed: Bools) -> tuple[list[View], Bools]:
    """The informed rows alone."""
    taken, first = [], 0
    for view in views:
        mine = informed[first : first + len(view.session)]
        first += len(mine)
        if mine.any():
            taken.append(view.take(mine))
    return taken, np.ones(int(informed.sum()), bool)


def _range(group: Group, views: list[View], session: Ints, values: Mapping[str, Any]) -> dict[str, float]:
    """Claims between which the exponents of a device's group hold."""
    sigma = claimed_sigmas_m(views, value_at(values, f"{group.name}.unstated_confidence"))
    order = np.argsort(sigma, kind="stable")
    weight = 1.0 / np.bincount(session)[session][order]
    share = np.cumsum(weight) / weight.sum()
    low, high = (float(sigma[order][np.searchsorted(share, p)]) for p in (_FROM, _TO))
    return {f"{group.name}.fitted_from_m": low, f"{group.name}.fitted_to_m": max(low, high)}
