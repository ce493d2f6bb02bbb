"""What the resolver says of many calls, as columns, and as estimates of the model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


@dataclass(slots=True)
class Located:
    """What the core said of the calls that have a place, and what lies there.

    `addresses` and `areas` are by row; `slot_of_piece` (pieces,) tells which piece of evidence each density is.
    """

    posterior: Posterior
    answers: Answers
    region: CompactCells
    slot_of_piece: Ints
    addresses: list[tuple[CivicAddress, float] | None]
    areas: list[tuple[AreaShare, ...]]


@dataclass(slots=True)
class Answered:
    """The answers to some calls.

    `row_of_call` is a call's row in `located`, -1 where there is no place; `slot_starts` (calls + 1) its slots.
    """

    confidences: list[float]
    now: list[float | None]
    slots: Slots
    slot_starts: list[int]
    verdicts: Verdicts
    warnings: list[list[Warning]]
    altitudes: list[Altitude | None]
    row_of_call: list[int]
    located: Located | None
    datasets: tuple[DatasetVersion, ...]


def estimates_of(answered: Answered, calls: Sequence[Call]) -> list[LocationEstimate]:
    """The answers as estimates of the model."""
    contributions = _contributions(answered)
    conflict = answered.verdicts.conflict.tolist()
    starts = answered.slot_starts
    places = [] if answered.located is None else _places(answered.located)
    result = []
    for i, call in enumerate(calls):
        row = answered.row_of_call[i]
        own = tuple(c for c in contributions[starts[i] : starts[i + 1]] if c is not None)
        warnings, now = tuple(answered.warnings[i]), answered.now[i]
        confidence = answered.confidences[i]
        if answered.located is None or row < 0:
            estimate = LocationEstimate(
                Outcome.NO_LOCATION,
                call.call_id,
                confidence,
                contributions=own,
                warnings=warnings,
                estimated_at=now,
                datasets=answered.datasets,
            )
        else:
            position, radius_m, ellipse, region, alternatives = places[row]
            address, address_m = answered.located.addresses[row] or (None, None)
            estimate = LocationEstimate(
                Outcome.CONFLICT if conflict[i] else Outcome.LOCATED,
                call.call_id,
                confidence,
                position,
                radius_m,
                ellipse,
                region,
                alternatives,
                answered.altitudes[i],
                address,
                address_m,
                answered.located.areas[row],
                own,
                warnings,
                now,
                answered.datasets,
            )
        result.append(estimate)
    return result


def _contributions(answered: Answered) -> list[Contribution | None]:
    """What became of each slot, None for what is not shown."""
    s, v = answered.slots, answered.verdicts
    columns = (s.kind, v.disposition, v.reason, s.fallback, v.distance_m, v.agreement, v.share, v.shown)
    return [
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
        if shown
        else None
        for name, part, words, kind, disposition, reason, fallback, distance, agreement, share, shown in zip(
            s.names, s.parts, v.words, *(c.tolist() for c in columns), strict=True
        )
    ]


_Place = tuple[LatLng, float, Ellipse, Region, tuple[Alternative, ...]]


def _places(located: Located) -> list[_Place]:
    """Position, radius, ellipse, region and alternatives of each located call."""
    a, c = located.answers, located.region
    columns = (
        a.latitude_deg,
        a.longitude_deg,
        a.radius_m,
        a.semi_major_m,
        a.semi_minor_m,
        a.orientation_deg,
        a.region_mass,
        a.region_area_m2,
        c.finest,
    )
    cells, starts, modes = c.cell.tolist(), c.starts.tolist(), a.modes.starts.tolist()
    result = []
    for row, (lat, lng, radius, major, minor, axis, mass, area, finest) in enumerate(
        zip(*(v.tolist() for v in columns), strict=True)
    ):
        position = LatLng(lat, lng)
        others = a.modes.of(row) if modes[row] < modes[row + 1] else ()
        result.append(
            (
                position,
                radius,
                Ellipse(position, major, minor, axis),
                Region(finest, tuple(cells[starts[row] : starts[row + 1]]), mass, area),
                tuple(Alternative(LatLng(m.latitude_deg, m.longitude_deg), m.mass, m.radius_m) for m in others),
            )
        )
    return result
