"""Calls to estimates: the one path that every face takes.

The evidence of all calls of a batch comes as columns, is looked up in the datasets all at once, fused, and explained.
One call is a batch of one, and its answer does not hang on the others in the batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled
from locsvc.fusion.fuse import Fused, Fusing
from locsvc.fusion.gathering import gather
from locsvc.fusion.parameters import Parameters
from locsvc.model import Call, EvidenceKind, LocationEstimate, Trace, WarningCode
from locsvc.reference.calibration import read_calibration
from locsvc.resolver.altitude import altitude_of
from locsvc.resolver.answered import Answered, Located, estimates_of
from locsvc.resolver.asked import asked_of
from locsvc.resolver.cells import claim_cells
from locsvc.resolver.core_version import core_version
from locsvc.resolver.devices import claim_reports
from locsvc.resolver.explain import Told, Verdicts, explained
from locsvc.resolver.filling import TableBuilder
from locsvc.resolver.lines import claim_lines
from locsvc.resolver.outlines import trace_of
from locsvc.resolver.raw import opened
from locsvc.resolver.slots import Notes, Slots, slots_of, times_of
from locsvc.resolver.surroundings import addresses_of, area_shares, look_around

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from locsvc.fusion.claims import Made
    from locsvc.model import Altitude
    from locsvc.reference.store import Reference
    from locsvc.resolver.table import EvidenceTable

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

# Calls that are resolved in one pass: more gain nothing.
CHUNK = 1024


class Resolver:
    """Turns calls into estimates over one snapshot of the reference data; safe to share between threads."""

    def __init__(self, reference: Reference) -> None:
        """Raises `ConfigError` when the calibration of the data directory cannot be used."""
        self.reference = reference
        values, version = read_calibration(reference.calibration_text)
        self.parameters = Parameters.from_mapping(values)
        self.datasets = (*reference.versions, version, core_version())

    def resolve(
        self,
        calls: Sequence[Call],
        *,
        confidences: Sequence[float] | float = 0.9,
        as_of: Sequence[float | None] | None = None,
    ) -> list[LocationEstimate]:
        """One estimate for each call, in order.

        Parameters
        ----------
        calls
            Any number; ranges of their fields have been checked.
        confidences
            Of the answers, 0.5 to 0.999; one for all or one a call.
        as_of
            Time to answer for, Unix seconds; None, or None for a call: its newest time.
        """
        result: list[LocationEstimate] = []
        for part, answered in self._parts(calls, confidences, as_of):
            result += estimates_of(answered, part)
        return result

    def resolve_traced(
        self,
        calls: Sequence[Call],
        *,
        confidences: Sequence[float] | float = 0.9,
        as_of: Sequence[float | None] | None = None,
    ) -> list[tuple[LocationEstimate, Trace]]:
        """Like `resolve`, each with how it came about."""
        result: list[tuple[LocationEstimate, Trace]] = []
        for part, answered in self._parts(calls, confidences, as_of):
            traces = [trace_of(answered, i) for i in range(len(part))]
            result += zip(estimates_of(answered, part), traces, strict=True)
        return result

    def _parts(
        self, calls: Sequence[Call], confidences: Sequence[float] | float, as_of: Sequence[float | None] | None
    ) -> list[tuple[Sequence[Call], Answered]]:
        wanted = np.broadcast_to(np.asarray(confidences, np.float64), (len(calls),))
        # None becomes NaN.
        times = np.array([None] * len(calls) if as_of is None else as_of, np.float64)
        parts = []
        for start in range(0, len(calls), CHUNK):
            part = slice(start, start + CHUNK)
            parts.append((calls[part], self.answer(calls_table(calls[part]), wanted[part], times[part])))
        return parts

    def begin(self, table: EvidenceTable, confidences: Floats, as_of: Floats) -> Begun:
        """The calls of a table as far as their evidence has been looked up: what is left is `fuse` and `end`.

        Parameters
        ----------
        table
            Evidence of some calls, whose ranges have been checked.
        confidences
            (calls,) of the answers, 0.5 to 0.999.
        as_of
            (calls,) time to answer for, Unix seconds; NaN: the newest time that the call tells.
        """
        return Begun(self, table, confidences, as_of)

    def answer(self, table: EvidenceTable, confidences: Floats, as_of: Floats) -> Answered:
        """The answers to the calls of a table; parameters are those of `begin`."""
        begun = self.begin(table, confidences, as_of)
        begun.fuse()
        return begun.end()


class Begun:
    """Calls on their way: made by `Resolver.begin`, then `fuse`, then `end`.

    `fuse` is nearly all kernels, which let go of the interpreter: a server runs it beside its loop.
    """

    def __init__(self, resolver: Resolver, table: EvidenceTable, confidences: Floats, as_of: Floats) -> None:
        self._resolver = resolver
        self._table = table
        self._confidences = confidences
        self._notes = Notes([list(resolver.reference.degraded) for _ in range(len(table.started_at))])
        for call, warning in table.warnings:
            self._notes.warnings[call].append(warning)
        self._now = times_of(table, as_of)
        self._slots = slots_of(table, self._now)
        made = self._claim()
        _warn_of_stale(table, self._slots, self._notes, resolver.parameters.time["stale_s"])
        self._row_of_call = np.full(len(confidences), -1)
        self._located = self._row_of_call[:0]
        self._fusing: Fusing | None = None
        self._core: Fused | None = None
        if made:
            parameters = resolver.parameters
            densities, self._slot_of_piece = gather(made)
            located = _number_calls(densities.call, densities.exponent, self._row_of_call)
            self._located = np.flatnonzero(self._row_of_call >= 0)
            self._asked = asked_of(confidences[self._located], densities, self._slots, self._slot_of_piece, parameters)
            self._fusing = Fusing(densities, located, self._asked.region, self._asked.circle)

    def fuse(self) -> None:
        """Finds posterior, region and agreement of all calls, and what lies there: nearly all of it is kernels."""
        if self._fusing is not None:
            self._fusing.run()
            self._core = self._fusing.result()
            self._around = look_around(self._resolver.reference, self._core.posterior, self._core.answers)

    def end(self) -> Answered:
        """The answers, explained, with what lies at them."""
        if self._core is None:
            self.fuse()
        notes, slots, core = self._notes, self._slots, self._core
        calls = len(self._confidences)
        stale_s = self._resolver.parameters.time["stale_s"]
        verdicts = explained(slots, self._told(core), calls, stale_s, notes)
        located = None if core is None else self._surrounded(core)
        self._warn_of_shortfalls(core)
        return Answered(
            self._confidences.tolist(),
            [None if t != t else t for t in self._now.tolist()],  # noqa: PLR0124 - NaN
            slots.names,
            slots.parts,
            np.searchsorted(slots.call, np.arange(calls + 1)).tolist(),
            verdicts.conflict.tolist(),
            notes.warnings,
            _altitudes(self._table, slots, verdicts, self._confidences),
            self._row_of_call.tolist(),
            located,
            self._resolver.datasets,
            slots,
            verdicts,
        )

    def _warn_of_shortfalls(self, core: Fused | None) -> None:
        """Tells of calls without a place, and of regions that hold less than was asked for."""
        if len(self._located) < len(self._row_of_call):
            for i in np.flatnonzero(self._row_of_call < 0).tolist():
                self._notes.warn(i, WarningCode.NO_EVIDENCE, "no piece of evidence says where the caller is")
        if core is None:
            return
        short = core.answers.region_mass < self._asked.region - 1e-9
        for i in self._located[short].tolist():
            self._notes.warn(i, WarningCode.TRUNCATED, "the region holds less than asked for: the rest may be anywhere")

    def _claim(self) -> list[Made]:
        """Densities of all evidence; what cannot become one is noted."""
        table, slots, notes = self._table, self._slots, self._notes
        reference, parameters = self._resolver.reference, self._resolver.parameters
        reported = claim_reports(table, slots, notes, parameters)
        cells = claim_cells(table, reported, slots, reference, notes, parameters)
        # A number plan's country is worth telling where nothing else has said a place.
        has_place = np.zeros(len(table.started_at), bool)
        has_place[slots.call[slots.placed]] = True
        lines = claim_lines(table.lookups, has_place.tolist(), slots, reference, notes, parameters)
        return [*reported.made, *cells, *lines]

    def _told(self, core: Fused | None) -> Told:
        """What the core said, for the verdicts."""
        if core is None:
            none, nothing = np.zeros(0, np.int64), np.zeros(0)
            return Told(none, nothing, nothing, none, none, none, nothing, nothing, nothing, nothing, nothing)
        d, answers, agreement = core.posterior.densities, core.answers, core.agreement
        return Told(
            self._located,
            answers.latitude_deg,
            answers.longitude_deg,
            answers.modes.starts,
            self._slot_of_piece,
            d.call,
            d.latitude_deg,
            d.longitude_deg,
            d.outlier_share,
            agreement.agreement,
            agreement.share,
        )

    def _surrounded(self, core: Fused) -> Located:
        """What the core said, with address and areas there."""
        reference = self._resolver.reference
        return Located(
            core.posterior,
            core.answers,
            self._slot_of_piece,
            addresses_of(reference, self._around),
            area_shares(reference, self._around, core.answers),
            core.region,
            self._asked.kind,
            self._asked.held(core.answers.region_mass),
        )


def calls_table(calls: Sequence[Call]) -> EvidenceTable:
    """The evidence of calls as columns, messages of the field opened."""
    builder = TableBuilder()
    for call in calls:
        builder.call(*opened(call))
    return builder.table()


def _warn_of_stale(table: EvidenceTable, slots: Slots, notes: Notes, stale_s: float) -> None:
    """Tells of evidence that is much older than the newest; once a piece, never of a line, which does not move."""
    if not len(slots.age_s) or slots.age_s.max() <= stale_s:
        return
    stale = (slots.age_s > stale_s) & (table.slots[:, 4] > 0) & (slots.kind != EvidenceKind.LINE_LOOKUP)
    for s in np.flatnonzero(stale).tolist():
        notes.warn(
            int(slots.call[s]),
            WarningCode.STALE,
            f"observed {slots.age_s[s] / 60:.0f} min before the newest evidence; widened for movement since",
            slots.names[s],
            "observed_at",
        )


def _altitudes(table: EvidenceTable, slots: Slots, verdicts: Verdicts, confidences: Floats) -> list[Altitude | None]:
    """The altitude of each call, from the reports that agree with its answer."""
    given: dict[int, list[tuple[float, float | None, str, float]]] = {}
    for height in table.heights:
        s = height.slot
        if slots.placed[s]:
            told = (height.altitude_m, height.sigma_m, height.floor, float(verdicts.agreement[s]))
            given.setdefault(int(slots.call[s]), []).append(told)
    result: list[Altitude | None] = [None] * len(confidences)
    for call, heights in given.items():
        result[call] = altitude_of(heights, float(confidences[call]))
    return result


@compiled
def _number_calls(call: Ints, exponent: Floats, row_of_call: Ints) -> int:
    """Numbers the calls that have pieces, `call` (k,) ascending, in its place; how many they are.

    Calls without a piece are left out of the core's arrays: a call's row in them goes to `row_of_call` (calls,).
    Exponents (k,) are scaled up to sum to 1 in calls where they sum to less: a log-linear pool of less than one whole
    piece is no density, its tails fall too slowly to be summed. A neighbour alone, say, counts in full: there is
    nothing that it repeats.

    >>> call, exponent, row_of_call = np.array([1, 1, 3]), np.array([1.0, 0.3, 0.3]), np.full(4, -1)
    >>> _number_calls(call, exponent, row_of_call)
    2
    >>> call.tolist(), exponent.tolist(), row_of_call.tolist()
    ([0, 0, 1], [1.0, 0.3, 1.0], [-1, 0, -1, 1])
    """
    rows = first = 0
    while first < len(call):
        end, whole = first, 0.0
        while end < len(call) and call[end] == call[first]:
            whole += exponent[end]
            end += 1
        row_of_call[call[first]] = rows
        for k in range(first, end):
            exponent[k] *= max(1.0, 1.0 / whole)
            call[k] = rows
        first = end
        rows += 1
    return rows
