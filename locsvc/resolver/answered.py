"""What the resolver says of many calls: columns as lists, from which each face writes its own kind of answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from locsvc.model import (
    Alternative,
    CellFallback,
    Contribution,
    Disposition,
    Ellipse,
    EvidenceKind,
    LatLng,
    LocationEstimate,
    Outcome,
    Reason,
    Region,
)
from locsvc.resolver.explain import explanations

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from locsvc.fusion.grid import Posterior
    from locsvc.fusion.region import Answers, CompactCells
    from locsvc.model import Altitude, AreaShare, Call, CivicAddress, DatasetVersion, Warning
    from locsvc.resolver.explain import Verdicts
    from locsvc.resolver.slots import Slots

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

# Enums are made from their numbers by look-up: calling the class costs ten times as much.
_KINDS = {int(k): k for k in EvidenceKind}
_DISPOSITIONS = {int(d): d for d in Disposition}
_REASONS = {int(r): r for r in Reason}
_FALLBACKS = {int(f): f for f in CellFallback}


# One contribution: name, part, words; kind, disposition, reason, fallback, distance in metres (NaN: no density),
# agreement, share, and whether it is shown.
ContributionRow = tuple[str, str, str, int, int, int, int, float, float, float, bool]
# Numbers of one located call: latitude, longitude, radius, half axes and direction of the ellipse, mass and area of the
# region, its finest resolution.
PlaceRow = tuple[float, float, float, float, float, float, float, float, int]


@dataclass
class Located:
    """What the core said of the calls that have a place, and what lies there; by row.

    `slot_of_piece` (pieces,) tells which piece of evidence each density is; `kind` (calls,) of which kind each call is,
    as `fusion.recalibration` counts them, and `region_share` (calls,) how many truths its region is to hold. Columns
    become lists of Python numbers when they are first asked for: a table of answers needs none of them.
    """

    posterior: Posterior
    answers: Answers
    slot_of_piece: Ints
    addresses: list[tuple[CivicAddress, float] | None]
    areas: list[tuple[AreaShare, ...]]
    region: CompactCells
    kind: Ints
    region_share: Floats

    @cached_property
    def places(self) -> list[PlaceRow]:
        """The numbers of each located call."""
        a = self.answers
        columns = (
            a.latitude_deg,
            a.longitude_deg,
            a.radius_m,
            a.semi_major_m,
            a.semi_minor_m,
            a.orientation_deg,
            self.region_share,
            a.region_area_m2,
            self.region.finest,
        )
        return list(zip(*(c.tolist() for c in columns), strict=True))

    @cached_property
    def cells(self) -> list[int]:
        """Cells of all regions, by `cell_starts`."""
        return cast("list[int]", self.region.cell.tolist())

    @cached_property
    def cell_starts(self) -> list[int]:
        """Where each region's cells start."""
        return cast("list[int]", self.region.starts.tolist())

    @cached_property
    def mode_starts(self) -> list[int]:
        """Where each call's other modes start."""
        return cast("list[int]", self.answers.modes.starts.tolist())


@dataclass
class Answered:
    """The answers to some calls.

    `row_of_call` is a call's row in `located`, -1 where there is no place; its contributions are those from
    `slot_starts[call]` to `slot_starts[call + 1]`; `slots` and `verdicts` are the same as columns, from which the rows
    are made when they are first asked for.
    """

    confidences: list[float]
    now: list[float | None]
    names: list[str]
    parts: list[str]
    slot_starts: list[int]
    conflict: list[bool]
    warnings: list[list[Warning]]
    altitudes: list[Altitude | None]
    row_of_call: list[int]
    located: Located | None
    datasets: tuple[DatasetVersion, ...]
    slots: Slots
    verdicts: Verdicts

    @cached_property
    def contributions(self) -> list[ContributionRow]:
        """What became of each slot."""
        s, v = self.slots, self.verdicts
        columns = (s.kind, v.disposition, v.reason, s.fallback, v.distance_m, v.agreement, v.share, v.shown)
        words = explanations(s, v)
        return list(zip(self.names, self.parts, words, *(c.tolist() for c in columns), strict=True))

    def outcome(self, call: int) -> Outcome:
        """What kind of answer a call has."""
        if self.row_of_call[call] < 0:
            return Outcome.NO_LOCATION
        return Outcome.CONFLICT if self.conflict[call] else Outcome.LOCATED


def estimates_of(answered: Answered, calls: Sequence[Call]) -> list[LocationEstimate]:
    """The answers as estimates of the model."""
    return [estimate_of(answered, i, call.call_id) for i, call in enumerate(calls)]


def estimate_of(answered: Answered, i: int, call_id: str) -> LocationEstimate:
    """One answer as an estimate of the model."""
    contributions = _contributions(answered, answered.slot_starts[i], answered.slot_starts[i + 1])
    warnings, now = tuple(answered.warnings[i]), answered.now[i]
    located, row = answered.located, answered.row_of_call[i]
    if located is None or row < 0:
        return LocationEstimate(
            Outcome.NO_LOCATION,
            call_id,
            answered.confidences[i],
            contributions=contributions,
            warnings=warnings,
            estimated_at=now,
            datasets=answered.datasets,
        )
    lat, lng, radius, major, minor, axis, mass, area, finest = located.places[row]
    position = LatLng(lat, lng)
    others = located.answers.modes.of(row) if located.mode_starts[row] < located.mode_starts[row + 1] else ()
    address, address_m = located.addresses[row] or (None, None)
    return LocationEstimate(
        answered.outcome(i),
        call_id,
        answered.confidences[i],
        position,
        radius,
        Ellipse(position, major, minor, axis),
        Region(finest, tuple(located.cells[located.cell_starts[row] : located.cell_starts[row + 1]]), mass, area),
        tuple(Alternative(LatLng(m.latitude_deg, m.longitude_deg), m.mass, m.radius_m) for m in others),
        answered.altitudes[i],
        address,
        address_m,
        located.areas[row],
        contributions,
        warnings,
        now,
        answered.datasets,
    )


def _contributions(answered: Answered, start: int, end: int) -> tuple[Contribution, ...]:
    """What became of some slots."""
    rows = answered.contributions[start:end]
    return tuple(
        Contribution(
            name,
            part,
            _KINDS[kind],
            _DISPOSITIONS[disposition],
            _REASONS[reason],
            words,
            _FALLBACKS[fallback],
            None if math.isnan(distance) else distance,
            agreement,
            share,
        )
        for name, part, words, kind, disposition, reason, fallback, distance, agreement, share, shown in rows
        if shown
    )
