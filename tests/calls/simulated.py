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


@dataclass
class SimulatedCall:
    """What will come in one call: seconds after its start by source, and the radius at 0.9 with it (infinite: no place)."""

    time_s: dict[str, float] = field(default_factory=dict)
    radius_m: dict[str, float] = field(default_factory=dict)
    says: LineSays = LineSays.OPEN

    def heard(self, elapsed_s: float) -> list[str]:
        """The sources that have spoken, first ones first."""
        return sorted((s for s, t in self.time_s.items() if t <= elapsed_s), key=self.time_s.__getitem__)

    def evidence(self, sources: list[str]) -> tuple[Evidence, ...]:
        """What they said."""
        return tuple(Evidence(self._content(source), source) for source in sources)

    def estimate(self, elapsed_s: float) -> LocationEstimate:
        """The estimate at a moment: as narrow as the narrowest place that was told."""
        heard = self.heard(elapsed_s)
        radius_m = self.best_m(elapsed_s)
        contributions = tuple(
            Contribution(s, "", _KIND[s], Disposition.USED, Reason.AGREES, "", distance_m=self._distance_m(s))
            for s in heard
        )
        if radius_m == NEVER:
            return LocationEstimate(Outcome.NO_LOCATION, "call", 0.9, contributions=contributions)
        return LocationEstimate(Outcome.LOCATED, "call", 0.9, TOWN, radius_m, contributions=contributions)

    def best_m(self, elapsed_s: float) -> float:
        """The radius of the estimate at a moment; infinite where there is no place."""
        return min((self.radius_m[s] for s in self.heard(elapsed_s)), default=NEVER)

    def journalled(self, call_id: str, started_at: float) -> tuple[CallRecord, list[Given]]:
        """The call as a journal holds it when it is over, and the estimates that were given."""
        changes = [Change(1, ChangeKind.OPENED, started_at)]
        given = [Given(call_id, 1, started_at, self.estimate(-1.0))]
        for source in self.heard(1e9):
            at_s = self.time_s[source]
            revision = len(changes) + 1
            changes.append(Change(revision, ChangeKind.EVIDENCE, started_at + at_s, self.evidence([source])))
            given.append(Given(call_id, revision, started_at + at_s, self.estimate(at_s)))
        ended_at = started_at + 150.0
        changes.append(Change(len(changes) + 1, ChangeKind.ENDED, ended_at))
        return CallRecord(call_id, "", started_at, len(changes), ended_at, True, tuple(changes)), given

    def _distance_m(self, source: str) -> float | None:
        return None if self.radius_m[source] == NEVER else 1.0

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
        if chance.random() < known.share[kind]:
            call.time_s[known.source] = known.time_s.value_at(chance.random())
            is_placed = chance.random() < known.placed[kind]
            radius_m = math.exp(known.log_radius.value_at(chance.random()))
            call.radius_m[known.source] = radius_m if is_placed else NEVER
    call.says = chance.choices(list(LineSays), [arrivals.says[says][kind] for says in LineSays])[0]
    return call
