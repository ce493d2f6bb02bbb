"""Line look-ups to claims: records found, weighed by class of service; unknown numbers fall back to the number plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.claims import LineClaims, Made, PlanClaims, of_lines, of_plans
from locsvc.fusion.parameters import LINE_KIND_OF_CLASS, LINE_KINDS, MOVING_KINDS
from locsvc.geo import NULL_DEG, is_null_position
from locsvc.model import ClassOfService, LatLng, LineRecord, Placement, Reason, WarningCode
from locsvc.reference.countries import country_of_region
from locsvc.reference.numbers import normalise_number, number_plan_country
from locsvc.units import UNSTATED_LINE_CONFIDENCE

if TYPE_CHECKING:
    from locsvc.fusion.parameters import Parameters
    from locsvc.reference.store import Reference
    from locsvc.resolver.slots import Notes, Slots
    from locsvc.resolver.table import LineAsked


# Classes whose registered address is the contract's, never the caller's: it is not worth placing.
CONTRACT_ONLY = frozenset(
    {
        ClassOfService.WIRELESS,
        ClassOfService.WIRELESS_PHASE2,
        ClassOfService.TELEMATICS,
        ClassOfService.TEXT,
    }
)
# Row of LINE_KINDS of each class of service (by value); -1 where the line may be anywhere.
_KIND_OF_CLASS = [LINE_KIND_OF_CLASS.get(c, "voip") for c in sorted(ClassOfService)]
# Columns of a line's claim that are whole numbers: call, slot, kind and placement.
_WHOLE_NUMBERS = [0, 1, 4, 5]
_FIXED_KIND = [-1 if kind in MOVING_KINDS else LINE_KINDS.index(kind) for kind in _KIND_OF_CLASS]


def claim_lines(
    asked: list[LineAsked],
    has_place: list[bool],
    slots: Slots,
    reference: Reference,
    notes: Notes,
    parameters: Parameters,
) -> list[Made]:
    """Densities of all look-ups: all numbers are looked up at once.

    `has_place` tells of each call whether it has other evidence: only without is a number plan's country worth a claim.
    """
    if not asked:
        return []
    region = reference.lines.default_region if reference.lines is not None else None
    numbers = [None if a.record is not None or not a.number else normalise_number(a.number, region) for a in asked]
    found = _records(reference, [n for n in numbers if n is not None])
    records = iter(found)
    lines: list[tuple[float | None, ...]] = []
    placeless: list[tuple[LineAsked, str | None]] = []
    for a, number in zip(asked, numbers, strict=True):
        record = a.record if number is None else next(records)
        line = None
        if record is None:
            _note_no_record(a, slots, reference, notes)
        else:
            line = _plain_claim(a, record) or _claim(a, record, slots, reference, notes)
        if line is not None:
            lines.append(line)
        elif not has_place[a.call]:
            placeless.append((a, number or normalise_number(a.number, region)))
    plans = _countries(placeless, {line[0] for line in lines}, slots, notes)
    made = [of_lines(_line_claims(lines, slots), parameters)] if lines else []
    return [*made, of_plans(_plan_claims(plans), parameters)] if plans else made


def _records(reference: Reference, numbers: list[str]) -> list[LineRecord | None]:
    if reference.lines is None or not numbers:
        return [None] * len(numbers)
    return reference.lines.lookup(numbers)


def _plain_claim(asked: LineAsked, r: LineRecord) -> tuple[float | None, ...] | None:
    """The claim of a record that says where a line is that does not move: nearly all of them. None: look closer."""
    position, kind = r.position, _FIXED_KIND[r.class_of_service]
    if position is None or kind < 0:
        return None
    lat, lng = position.latitude_deg, position.longitude_deg
    if not (abs(lat) >= NULL_DEG or abs(lng) >= NULL_DEG):
        return None
    return (asked.call, asked.slot, lat, lng, kind, r.placement, r.uncertainty_m, r.confidence)


def _claim(
    asked: LineAsked, record: LineRecord, slots: Slots, reference: Reference, notes: Notes
) -> tuple[float | None, ...] | None:
    """The claim of a record, None when it has no place."""
    position = record.position
    if position is not None and is_null_position(position.latitude_deg, position.longitude_deg):
        position = None
    placement, uncertainty, confidence = record.placement, record.uncertainty_m, record.confidence
    places_caller = record.class_of_service not in CONTRACT_ONLY
    if position is None and places_caller and record.address is not None and reference.addresses is not None:
        found = reference.addresses.place(record.address)
        if found is not None and record.class_of_service is not ClassOfService.WIRELESS_PHASE1:
            position, placement = LatLng(found.latitude_deg, found.longitude_deg), found.placement
            uncertainty, confidence = found.spread_m or None, None
        elif found is not None and found.placement == Placement.GEOCODED_EXACT:
            # The mast's address: how exactly it is known says nothing of where the caller is.
            position, placement = LatLng(found.latitude_deg, found.longitude_deg), Placement.MAST
            uncertainty = confidence = None
    if position is None:
        slots.reason[asked.slot] = Reason.LINE_WITHOUT_PLACE
        # A look-up that nobody asked for is not worth a warning: most mobile numbers have no place.
        if not asked.implied:
            notes.warn(
                asked.call,
                WarningCode.UNUSABLE_EVIDENCE,
                "the line's record has neither coordinates nor an address that the address dataset can place",
                slots.names[asked.slot],
                "line_lookup",
            )
        return None
    kind = LINE_KIND_OF_CLASS.get(record.class_of_service, "voip")
    if kind in MOVING_KINDS:
        slots.reason[asked.slot] = Reason.NOMADIC_LINE
        notes.warn(
            asked.call,
            WarningCode.NOMADIC_LINE,
            "the line can be used away from its registered address; confirm the place with the caller",
            slots.names[asked.slot],
            "line_lookup",
        )
    place = (position.latitude_deg, position.longitude_deg)
    return (asked.call, asked.slot, *place, LINE_KINDS.index(kind), placement, uncertainty, confidence)


def _note_no_record(asked: LineAsked, slots: Slots, reference: Reference, notes: Notes) -> None:
    """Notes a number without a record."""
    slots.reason[asked.slot] = Reason.UNKNOWN_LINE if reference.lines is not None else Reason.DATASET_MISSING
    if not asked.implied:
        what = (
            "the number is not in the line dataset"
            if reference.lines is not None
            else "no line dataset is loaded; import one with 'locsvc import lines'"
        )
        code = WarningCode.UNKNOWN_LINE if reference.lines is not None else WarningCode.DEGRADED_DATASET
        notes.warn(asked.call, code, what, slots.names[asked.slot], "line_lookup.number")


def _countries(
    placeless: list[tuple[LineAsked, str | None]], placed: set[float | None], slots: Slots, notes: Notes
) -> list[tuple[float, ...]]:
    """The claims of number plans' countries, one for each call of which nothing else is known but a number."""
    plans: list[tuple[float, ...]] = []
    done = set(placed)
    for asked, number in placeless:
        region = number_plan_country(number) if number is not None and asked.call not in done else None
        country = country_of_region(region) if region is not None else None
        if country is None:
            continue
        done.add(asked.call)
        slots.placed[asked.slot] = True
        notes.warn(
            asked.call,
            WarningCode.UNKNOWN_LINE,
            "nothing but the number is known: the answer is the country of its number plan",
            slots.names[asked.slot],
            "line_lookup.number",
        )
        plans.append((asked.call, asked.slot, country.latitude_deg, country.longitude_deg, 0.0, 1.0, country.radius_m))
    return plans


def _line_claims(rows: list[tuple[float | None, ...]], slots: Slots) -> LineClaims:
    """The collected records as arrays; their slots have a place."""
    # None becomes NaN.
    c = np.array(rows, dtype=np.float64).T.copy()
    call, order, kind, placement = c[_WHOLE_NUMBERS].astype(np.int64)
    slots.placed[order] = True
    sigma = c[6]
    told = sigma > 0
    if told.any():
        confidence = np.where(c[7] > 0, c[7], UNSTATED_LINE_CONFIDENCE)
        # As `units.sigmas_of_circle`.
        sigma = np.where(told, sigma / np.sqrt(-2.0 * np.log1p(-confidence)), np.nan)
    else:
        sigma.fill(np.nan)
    age_s, exponent = np.zeros(len(call)), np.ones(len(call))
    return LineClaims(call, order, c[2], c[3], age_s, exponent, kind, placement, sigma)


def _plan_claims(rows: list[tuple[float, ...]]) -> PlanClaims:
    """The collected number plans as arrays."""
    # Rows that lie in one piece: the kernel is compiled for these.
    c = np.ascontiguousarray(np.array(rows, dtype=np.float64).reshape(-1, 7).T)
    return PlanClaims(c[0].astype(np.int64), c[1].astype(np.int64), c[2], c[3], c[4], c[5], c[6])
