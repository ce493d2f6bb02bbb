"""Calls of the sample town, made of their parts, and what to read of their answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from locsvc.geo import destination
from locsvc.model import (
    ArcBand,
    Call,
    CellMeasurement,
    CellScan,
    Circle,
    ClassOfService,
    Contribution,
    DeviceReport,
    Ellipse,
    Evidence,
    EvidenceContent,
    LatLng,
    LineLookup,
    LineRecord,
    LocationEstimate,
    Placement,
    Point,
    Polygon,
    PositioningMethod,
    Radio,
    Shape,
    WarningCode,
)

if TYPE_CHECKING:
    from locsvc.resolver import Resolver

# Noon of 14 March 2026.
NOON = 1_773_489_600.0
CHURCH = LatLng(55.0004491, 2.5)
CENTER = LatLng(55.0, 2.5)


def moved(place: LatLng, bearing_deg: float, length_m: float) -> LatLng:
    """The place so far away."""
    lat, lng = destination(place.latitude_deg, place.longitude_deg, bearing_deg, length_m)
    return LatLng(float(lat), float(lng))


def call(*contents: EvidenceContent | Evidence | None, number: str = "", name: str = "call") -> Call:
    """A call with these pieces of evidence; without a time unless the pieces bring one."""
    pieces = tuple(c if isinstance(c, Evidence) else Evidence(c) for c in contents)
    named = tuple(p if p.evidence_id else replace(p, evidence_id=f"piece-{i}") for i, p in enumerate(pieces))
    return Call(name, number, evidence=named)


def fix(
    place: LatLng = CENTER,
    radius_m: float = 30.0,
    method: PositioningMethod = PositioningMethod.GNSS,
    confidence: float | None = 0.68,
) -> DeviceReport:
    """A circle of a device."""
    return DeviceReport(Circle(place, radius_m), confidence, method)


def cell(
    number: int | None = 1049859, area: int | None = 1101, radio: Radio = Radio.LTE, **others: int | None
) -> CellMeasurement:
    """A cell of the town's network."""
    return CellMeasurement(radio, "001", "01", area, number, **others)


def scan(serving: CellMeasurement | None = None, *neighbours: CellMeasurement) -> CellScan:
    """A scan; the serving cell is the church tower's western one unless told otherwise."""
    return CellScan(cell() if serving is None else serving, neighbours)


def answer(resolver: Resolver, asked: Call, confidence: float = 0.9, as_of: float | None = None) -> LocationEstimate:
    """The answer to one call."""
    return resolver.resolve([asked], confidences=confidence, as_of=[as_of])[0]


def position(estimate: LocationEstimate) -> LatLng:
    assert estimate.position is not None, estimate
    return estimate.position


def radius(estimate: LocationEstimate) -> float:
    assert estimate.radius_m is not None, estimate
    return estimate.radius_m


def numbers(estimate: LocationEstimate) -> tuple[object, ...]:
    """What the answer says of the place, without its explanations."""
    e = estimate
    return (e.outcome, e.position, e.radius_m, e.ellipse, e.region, e.alternatives, e.altitude, e.address, e.areas)


def about(estimate: LocationEstimate, evidence_id: str, part: str | None = None) -> Contribution:
    """The contribution of a piece of evidence."""
    found = [c for c in estimate.contributions if c.evidence_id == evidence_id and part in {None, c.part}]
    assert found, f"no contribution of {evidence_id} {part or ''}: {estimate.contributions}"
    return found[0]


def codes(estimate: LocationEstimate) -> set[WarningCode]:
    """The codes of the answer's warnings."""
    return {w.code for w in estimate.warnings}


def _shape(rng: np.random.Generator, place: LatLng) -> Shape:
    size = float(np.exp(rng.uniform(np.log(3), np.log(3000))))
    kind = rng.integers(5)
    if kind == 0:
        return Point(place)
    if kind == 1:
        return Circle(place, size)
    if kind == 2:
        return Ellipse(place, 3 * size, size, float(rng.uniform(0, 180)))
    if kind == 3:
        return ArcBand(place, size, 1.5 * size, float(rng.uniform(0, 360)), float(rng.uniform(20, 360)))
    corners = [moved(place, 60.0 * i, size * float(rng.uniform(0.3, 1))) for i in range(6)]
    return Polygon(tuple(corners))


_CELLS = (
    cell(1049859, 1101),
    cell(1050881, 1102),
    cell(1050371, 1101),
    cell(7_654_321, 1101),
    cell(7_654_321, 9),
    cell(41042, 101, Radio.GSM, timing_advance=2),
    cell(67190785, 2101, Radio.NR, timing_advance=20),
    CellMeasurement(Radio.LTE, "272", "03", 40122, 124546051),
    CellMeasurement(Radio.LTE),
)


def any_call(rng: np.random.Generator, name: str) -> Call:
    """A call as it may come: by turns agreeing, conflicting, stale, wide, odd, empty, anywhere on the globe."""
    place = moved(CENTER, float(rng.uniform(0, 360)), float(rng.uniform(0, 4000)))
    if rng.random() < 0.3:
        place = LatLng(float(np.degrees(np.arcsin(rng.uniform(-1, 1)))), float(rng.uniform(-180, 180)))
    pieces: list[Evidence] = []
    for i in range(int(rng.integers(0, 5))):
        time = None if rng.random() < 0.3 else NOON - float(rng.exponential(100))
        near = moved(place, float(rng.uniform(0, 360)), float(rng.exponential(300)))
        kind = rng.random()
        content: EvidenceContent | None = None
        if kind < 0.5:
            method = PositioningMethod(int(rng.integers(len(PositioningMethod))))
            content = DeviceReport(_shape(rng, near), None, method, altitude_m=float(rng.uniform(0, 90)))
        elif kind < 0.8:
            chosen = [_CELLS[k] for k in rng.integers(0, len(_CELLS), 3).tolist()]
            content = CellScan(chosen[0], tuple(chosen[1 : 1 + int(rng.integers(0, 3))]))
        elif kind < 0.97:
            kind_of_line = ClassOfService(int(rng.integers(len(ClassOfService))))
            record = LineRecord("", kind_of_line, None, near, Placement(int(rng.integers(len(Placement)))))
            content = LineLookup("+441632960124") if rng.random() < 0.5 else LineLookup("", record)
        pieces.append(Evidence(content, f"piece-{i}", observed_at=time))
    number = str(rng.choice(["", "+441632960168", "+441632960007", "+353209100001"]))
    return Call(name, number, NOON, tuple(pieces))
