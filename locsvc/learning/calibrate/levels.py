"""How many truths regions and circles held, by the calls' kind, and what would have held as many as were asked for.

The last step of calibrating: whatever widths and shares were fitted to, a region of 90 % is to hold 90 of 100. Here
calls count alike, at most so many of a session: what is promised is promised to calls. Sessions, or days, are what is
left out, and what tells whether a gain may be chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from locsvc.fusion.parameters import Parameters
from locsvc.fusion.recalibration import SHAPES, SHARES
from locsvc.learning.calibrate.fitting import Fitted, folds_of, standard_error
from locsvc.learning.calibrate.history import Chunk, History
from locsvc.learning.calibrate.scores import LEAST_RATIO
from locsvc.learning.held import held
from locsvc.reference.store import Reference
from locsvc.resolver import CHUNK, Resolver
from locsvc.resolver.table import REPORT_COLUMNS

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Masses that calls are asked for: as fine as shares are told, and farther down for what holds more than it should.
MEASURED: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
# What is asked as it is counts as much as so many sessions: few sessions move little.
_PRIOR_SESSIONS = 1.0
_SLOT, _FORM, _FIRST = (REPORT_COLUMNS.index(n) for n in ("slot", "form", "first"))


@dataclass(frozen=True, slots=True)
class Levels:
    """Where truths lay in answers, (n,): the call's kind, its session, how many of MEASURED masses did not hold it.

    `outside` is (shapes, n): of regions and of circles.
    """

    kind: Ints
    session: Ints
    outside: Ints

    def of(self, kind: int) -> Levels:
        """Those of one kind."""
        own = self.kind == kind
        return Levels(self.kind[own], self.session[own], self.outside[:, own])


def levels_of(
    history: History, references: Sequence[Reference], values: Mapping[str, Any], tick: Callable[[], None]
) -> Levels:
    """Where the truths of a history lay in what a calibration answers, recalibrated by nothing.

    Parameters
    ----------
    history
        Calls with their truths.
    references
        Of each part of it.
    values
        The calibration.
    tick
        Called now and then; may raise to stop.
    """
    parameters = Parameters.from_mapping(values)
    plain = replace(parameters, confidence=parameters.confidence.plain())
    resolvers = [Resolver(reference) for reference in references]
    for resolver in resolvers:
        resolver.parameters = plain
    parts = []
    for chunk in history.chunks:
        for first in range(0, len(chunk.session), CHUNK):
            tick()
            parts.append(_looked_at(resolvers[chunk.apart], chunk, first, min(first + CHUNK, len(chunk.session))))
    if not parts:
        return Levels(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((len(SHAPES), 0), np.int64))
    kind, session, outside = (np.concatenate(columns, axis=-1) for columns in zip(*parts, strict=True))
    return Levels(kind, session, outside)


def _looked_at(resolver: Resolver, chunk: Chunk, first: int, last: int) -> tuple[Ints, Ints, Ints]:
    """Kinds, sessions and levels of the calls from `first` on that have a place and a kind."""
    calls, part = last - first, chunk.table.of_calls(first, last)
    latitude_deg, longitude_deg = chunk.latitude_deg[first:last], chunk.longitude_deg[first:last]
    outside, kind = np.zeros((len(SHAPES), calls), np.int64), np.zeros(calls, np.int64)
    for mass in MEASURED:
        answered = resolver.answer(part, np.full(calls, mass), chunk.now[first:last])
        if answered.located is None:
            break
        row = np.array(answered.row_of_call, np.int64)
        at = np.flatnonzero((row >= 0) & ~np.isnan(latitude_deg))
        kind[at] = answered.located.kind[row[at]]
        circle, region = held(answered.located, row[at], latitude_deg[at], longitude_deg[at])
        outside[0, at] += ~region
        outside[1, at] += ~circle
    kind[_not_to_be_judged(chunk, first, last)] = 0
    some = np.flatnonzero(kind > 0)
    return kind[some], chunk.session[first:last][some], outside[:, some]


def _not_to_be_judged(chunk: Chunk, first: int, last: int) -> Ints:
    """Calls with a report that the truth is too wide to judge."""
    reports = chunk.table.reports
    call = chunk.table.slots[reports[:, _SLOT].astype(np.int64), 0].astype(np.int64)
    narrow = (reports[:, _FORM] > 0) & (reports[:, _FIRST] < LEAST_RATIO * chunk.accuracy_m[call])
    return np.unique(call[narrow & (call >= first) & (call < last)]) - first


def masses_for(outside: Ints, sessions: int) -> Floats:
    """Masses that held as many truths as SHARES say, (shares,), of calls (n,) of so many sessions.

    Examples
    --------
    All of a thousand sessions' truths were in what held 30 %: the masses are a share of that.

    >>> masses_for(np.ones(1000, np.int64), 1000).round(2).tolist()
    [0.25, 0.26, 0.27, 0.28, 0.29, 0.3, 0.3]
    """
    held_by = np.array([np.mean(outside <= k) for k in range(len(MEASURED))])
    masses = np.array([0.0, *MEASURED, 1.0])
    held_by = np.append(0.0, np.append(held_by, 1.0))
    share = (sessions * held_by + _PRIOR_SESSIONS * masses) / (sessions + _PRIOR_SESSIONS)
    found: Floats = np.interp(SHARES, share, masses)
    return found


def log_scores(masses: Floats, outside: Ints) -> Floats:
    """Logarithms of how likely it was that truths lay where they did, (n,), over what is asked as it is.

    Parameters
    ----------
    masses
        (shares,) asked for SHARES.
    outside
        (n,) of how many of MEASURED a truth was outside.

    Examples
    --------
    >>> log_scores(np.array(SHARES), np.array([0, 5, 10])).round(6).tolist()
    [0.0, 0.0, 0.0]
    """
    edges = np.array([0.0, *MEASURED, 1.0])
    share = np.interp(edges, np.append(0.0, np.append(masses, 1.0)), np.array([0.0, *SHARES, 1.0]))
    scores: Floats = np.log(np.diff(share) / np.diff(edges))[outside]
    return scores


def fit_masses(
    outside: Ints, session: Ints, unit: Ints, before: Floats, folds: int, *, only_wider: bool = False
) -> Fitted:
    """Masses fitted on all calls, and scores by folds: fitted on the other folds, scored on each.

    Parameters
    ----------
    outside, session, unit
        (n,) of the calls: see `Levels`; what each is left out with, from 0: its session or its day. Two units at least.
    before
        (shares,) masses in force.
    folds
        How many folds units are dealt to.
    only_wider
        No mass becomes smaller.
    """
    least = before if only_wider else np.zeros(len(before))
    score_before, after = log_scores(before, outside), np.empty(len(outside))
    for fold in folds_of(int(unit.max()) + 1, folds):
        left_out = np.isin(unit, fold)
        found = np.maximum(masses_for(outside[~left_out], len(np.unique(session[~left_out]))), least)
        after[left_out] = log_scores(found, outside[left_out])
    masses = np.maximum(masses_for(outside, len(np.unique(session))), least)
    error = standard_error(after - score_before, unit)
    return Fitted(masses, float(score_before.mean()), float(after.mean()), error)
