"""Calls drawn from an `Arrivals`: who speaks when, how narrow the answer is then, and what the journal would hold of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from locsvc.calls.sources import HANDSET, LINE, NETWORK_FIX, SERVING_CELL, LineSays
from locsvc.calls.words import CallRecord, Change, ChangeKind, Given
from locsvc.model import (
    CellMeasurement,
    CellScan,
    Circle,
    ClassOfService,
    Contribution,
    DeviceReport,
    Disposition,
    Evidence,
    EvidenceContent,
    EvidenceKind,
    LatLng,
    LineLookup,
    LineRecord,
    LocationEstimate,
    Outcome,
    PositioningMethod,
    Radio,
    Reason,
)

if TYPE_CHECKING:
    import random

    from locsvc.calls.arrivals import Arrivals

TOWN = LatLng(55.0, 2.5)
NEVER = math.inf
# Start of the first simulated call: 2026-03-14 12:00 UTC.
NOON = 1_773_489_600.0

_KIND = {
    SERVING_CELL: EvidenceKind.CELL_SCAN,
    LINE: EvidenceKind.LINE_LOOKUP,
    HANDSET: EvidenceKind.DEVICE_REPORT,
    NETWORK_FIX: EvidenceKind.DEVICE_REPORT,
}
_CLASS = {
    LineSays.FIXED: ClassOfService.RESIDENCE,
    LineSays.MOBILE: ClassOfService.WIRELESS,
    LineSays.OPEN: ClassOfService.UNSPECIFIED,
}


@dataclass(frozen=True, slots=True)
class Word:
    """One message: what the answer is with it.

    `radius_m` is that of a place of its own (infinite: none); where the answer rests on a place of the source already
    it is `ratio` times as wide as before instead.
    """

    at_s: float
    source: str
    radius_m: float
    ratio: float = 1.0


@dataclass
class SimulatedCall:
    """What will come in one call, first words first: seconds after its start, radii at 0.9."""

    words: list[Word] = field(default_factory=list)
    says: LineSays = LineSays.OPEN

    def until(self, elapsed_s: float) -> list[Word]:
        """What was said by then."""
        return [word for word in self.words if word.at_s <= elapsed_s]

    def heard(self, elapsed_s: float) -> list[str]:
        """The sources that have spoken, first ones first."""
        return list(dict.fromkeys(word.source for word in self.until(elapsed_s)))

    def next_s(self, source: str, elapsed_s: float) -> float:
        """When the source speaks next; infinite: never."""
        return min((w.at_s for w in self.words if w.source == source and w.at_s > elapsed_s), default=NEVER)

    def evidence(self, elapsed_s: float) -> tuple[Evidence, ...]:
        """What was said by then, as pieces."""
        return tuple(Evidence(self._content(w.source), self._name(w)) for w in self.until(elapsed_s))

    def arrived_at(self, elapsed_s: float, started_at: float) -> tuple[float, ...]:
        """When each of these pieces came."""
        return tuple(started_at + word.at_s for word in self.until(elapsed_s))

    def estimate(self, elapsed_s: float) -> LocationEstimate:
        """The estimate at a moment."""
        contributions = tuple(
            Contribution(
                self._name(w), "", _KIND[w.source], Disposition.USED, Reason.AGREES, "",
                distance_m=None if w.radius_m == NEVER else 1.0,
            )
            for w in self.until(elapsed_s)
        )  # fmt: skip
        radius_m = self.best_m(elapsed_s)
        if radius_m == NEVER:
            return LocationEstimate(Outcome.NO_LOCATION, "call", 0.9, contributions=contributions)
        return LocationEstimate(Outcome.LOCATED, "call", 0.9, TOWN, radius_m, contributions=contributions)

    def best_m(self, elapsed_s: float) -> float:
        """The radius of the estimate at a moment; infinite where there is no place."""
        best_m, with_place = NEVER, set()
        for word in self.until(elapsed_s):
            best_m = best_m * word.ratio if word.source in with_place else min(best_m, word.radius_m)
            if word.radius_m < NEVER:
                with_place.add(word.source)
        return best_m

    def journalled(self, call_id: str, started_at: float) -> tuple[CallRecord, list[Given]]:
        """The call as a journal holds it when it is over, and the estimates that were given."""
        changes = [Change(1, ChangeKind.OPENED, started_at)]
        given = [Given(call_id, 1, started_at, self.estimate(-1.0))]
        for word in self.words:
            revision, at = len(changes) + 1, started_at + word.at_s
            changes.append(Change(revision, ChangeKind.EVIDENCE, at, self.evidence(word.at_s)[-1:]))
            given.append(Given(call_id, revision, at, self.estimate(word.at_s)))
        ended_at = started_at + max([150.0, *(word.at_s for word in self.words)])
        changes.append(Change(len(changes) + 1, ChangeKind.ENDED, ended_at))
        return CallRecord(call_id, "", started_at, len(changes), ended_at, True, tuple(changes)), given

    def _name(self, word: Word) -> str:
        return f"{word.source}-{self.words.index(word)}"

    def _content(self, source: str) -> EvidenceContent:
        if source == SERVING_CELL:
            return CellScan(CellMeasurement(Radio.LTE, "001", "01", 1101, 1049859))
        if source == LINE:
            return LineLookup(record=LineRecord("+441632960100", _CLASS[self.says]))
        method = PositioningMethod.GNSS if source == HANDSET else PositioningMethod.NETWORK
        return DeviceReport(Circle(TOWN, 20.0), 0.68, method)


def drawn(arrivals: Arrivals, chance: random.Random) -> SimulatedCall:
    """A call as `arrivals` says that calls are."""
    kind = 0 if chance.random() < arrivals.mobile else 1
    call = SimulatedCall()
    for known in arrivals.sources:
        if chance.random() >= known.share[kind]:
            continue
        at_s = known.time_s.value_at(chance.random())
        while True:
            is_placed = chance.random() < known.placed[kind]
            radius_m = math.exp(known.log_radius.value_at(chance.random()))
            ratio = math.exp(known.again.log_ratio.value_at(chance.random()))
            call.words.append(Word(at_s, known.source, radius_m if is_placed else NEVER, ratio))
            if chance.random() >= known.again.share:
                break
            at_s += known.again.time_s.value_at(chance.random())
    call.words.sort(key=lambda word: word.at_s)
    call.says = chance.choices(list(LineSays), [arrivals.says[says][kind] for says in LineSays])[0]
    return call
