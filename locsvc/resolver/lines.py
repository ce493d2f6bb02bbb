"""Line look-ups to claims: records found, weighed by class of service; unknown numbers fall back to the number plan."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.claims import LineClaims, PlanClaims
from locsvc.fusion.parameters import LINE_KIND_OF_CLASS, LINE_KINDS, MOVING_KINDS
from locsvc.geo import is_null_position
from locsvc.model import ClassOfService, EvidenceKind, LatLng, LineLookup, LineRecord, Reason, WarningCode
from locsvc.reference.countries import country_of_region
from locsvc.reference.numbers import normalise_number, number_plan_country
from locsvc.resolver.slots import Notes, Slot
from locsvc.units import UNSTATED_LINE_CONFIDENCE, sigmas_of_circle

if TYPE_CHECKING:
    from locsvc.reference.store import Reference


# Classes whose registered address is the contract's, never the caller's: it is not worth placing.
CONTRACT_ONLY = frozenset(
    {
        ClassOfService.WIRELESS,
        ClassOfService.WIRELESS_PHASE2,
        ClassOfService.TELEMATICS,
        ClassOfService.TEXT,
    }
)


@dataclass(slots=True)
class LineAsked:
    """A look-up of one call: the number, or a record that came with it. `implied`: by the calling number alone."""

    slot: int
    number: str
    record: LineRecord | None
    implied: bool


@dataclass(slots=True)
class LineRows:
    """Claims of lines as they are collected."""

    lines: list[tuple[float, ...]] = field(default_factory=list)
    plans: list[tuple[float, ...]] = field(default_factory=list)


def read_lookup(lookup: LineLookup, call: int, evidence_id: str, calling_number: str, notes: Notes) -> LineAsked:
    """The look-up with its slot."""
    slot = notes.add(Slot(call, evidence_id, "", EvidenceKind.LINE_LOOKUP))
    return LineAsked(slot, lookup.number or calling_number, lookup.record, implied=False)


def claim_lines(asked: list[LineAsked], reference: Reference, alone: list[bool], rows: LineRows, notes: Notes) -> None:
    """Looks up all numbers at once and adds the claims to `rows`.

    Parameters
    ----------
    asked
        Look-ups of all calls.
    alone
        For each call, whether it has no other evidence: only then a number plan's country is worth a claim.
    """
    region = reference.lines.default_region if reference.lines is not None else None
    numbers = [None if a.record is not None or not a.number else normalise_number(a.number, region) for a in asked]
    found = _records(reference, [n for n in numbers if n is not None])
    records = iter(found)
    for a, number in zip(asked, numbers, strict=True):
        record = a.record if number is None else next(records)
        _claim(a, number, record, reference, alone, rows, notes)


def _records(reference: Reference, numbers: list[str]) -> list[LineRecord | None]:
    if reference.lines is None or not numbers:
        return [None] * len(numbers)
    return reference.lines.lookup(numbers)


def _claim(
    asked: LineAsked,
    number: str | None,
    record: LineRecord | None,
    reference: Reference,
    alone: list[bool],
    rows: LineRows,
    notes: Notes,
) -> None:
    slot = notes.slots[asked.slot]
    call = slot.call
    if record is None:
        _without_record(asked, number, slot, reference, rows, notes, alone=alone[call])
        return
    position = record.position
    if position is not None and is_null_position(position.latitude_deg, position.longitude_deg):
        position = None
    placement, uncertainty, confidence = record.placement, record.uncertainty_m, record.confidence
    places_caller = record.class_of_service not in CONTRACT_ONLY
    if position is None and places_caller and record.address is not None and reference.addresses is not None:
        place = reference.addresses.place(record.address)
        if place is not None:
            position, placement = LatLng(place.latitude_deg, place.longitude_deg), place.placement
            uncertainty, confidence = place.spread_m or None, None
    if position is None:
        slot.reason = Reason.LINE_WITHOUT_PLACE
        # A look-up that nobody asked for is not worth a warning: most mobile numbers have no place.
        if asked.implied:
            return
        notes.warn(
            call,
            WarningCode.UNUSABLE_EVIDENCE,
            "the line's record has neither coordinates nor an address that the address dataset can place",
            slot.evidence_id,
            "line_lookup",
        )
        return
    kind = LINE_KIND_OF_CLASS.get(record.class_of_service, "voip")
    if kind in MOVING_KINDS:
        slot.reason = Reason.NOMADIC_LINE
        notes.warn(
            call,
            WarningCode.NOMADIC_LINE,
            "the line can be used away from its registered address; confirm the place with the caller",
            slot.evidence_id,
            "line_lookup",
        )
    sigma = math.nan
    if uncertainty:
        sigma = uncertainty / sigmas_of_circle(confidence or UNSTATED_LINE_CONFIDENCE)
    slot.placed = True
    rows.lines.append(
        (
            call,
            asked.slot,
            position.latitude_deg,
            position.longitude_deg,
            0.0,
            1.0,
            LINE_KINDS.index(kind),
            float(placement),
            sigma,
        )
    )


def _without_record(
    asked: LineAsked,
    number: str | None,
    slot: Slot,
    reference: Reference,
    rows: LineRows,
    notes: Notes,
    *,
    alone: bool,
) -> None:
    """Notes a number without a record, and claims its country when nothing else is known of the caller."""
    slot.reason = Reason.UNKNOWN_LINE if reference.lines is not None else Reason.DATASET_MISSING
    if not asked.implied:
        what = (
            "the number is not in the line dataset"
            if reference.lines is not None
            else "no line dataset is loaded; import one with 'locsvc import lines'"
        )
        code = WarningCode.UNKNOWN_LINE if reference.lines is not None else WarningCode.DEGRADED_DATASET
        notes.warn(slot.call, code, what, slot.evidence_id, "line_lookup.number")
    region = number_plan_country(number) if number is not None and alone else None
    country = country_of_region(region) if region is not None else None
    if country is None:
        return
    slot.placed = True
    notes.warn(
        slot.call,
        WarningCode.UNKNOWN_LINE,
        "nothing but the number is known: the answer is the country of its number plan",
        slot.evidence_id,
        "line_lookup.number",
    )
    rows.plans.append((slot.call, asked.slot, country.latitude_deg, country.longitude_deg, 0.0, 1.0, country.radius_m))


def line_claims(rows: LineRows) -> LineClaims:
    """The collected records as arrays."""
    c = np.array(rows.lines, dtype=np.float64).reshape(-1, 9).T
    call, order, kind, placement = (c[i].astype(np.int64) for i in (0, 1, 6, 7))
    return LineClaims(call, order, c[2], c[3], c[4], c[5], kind, placement, c[8])


def plan_claims(rows: LineRows) -> PlanClaims:
    """The collected number plans as arrays."""
    c = np.array(rows.plans, dtype=np.float64).reshape(-1, 7).T
    return PlanClaims(c[0].astype(np.int64), c[1].astype(np.int64), c[2], c[3], c[4], c[5], c[6])
