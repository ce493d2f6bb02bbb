"""Answers made by hand for the map and the tables, so that what is shown can be told to the digit."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from h3.api import numpy_int as h3

from locsvc import model

HERE = model.LatLng(51.8985, -8.4756)
Scene = tuple[model.LocationEstimate, model.Trace]


def around(center: model.LatLng, radius_m: float, corners: int = 48) -> model.Polygon:
    """A circle as a polygon."""
    per_lat, per_lng = 111_195.0, 111_195.0 * math.cos(math.radians(center.latitude_deg))
    turns = [2 * math.pi * n / corners for n in range(corners)]
    return model.Polygon(
        tuple(
            model.LatLng(
                center.latitude_deg + radius_m * math.cos(t) / per_lat,
                center.longitude_deg + radius_m * math.sin(t) / per_lng,
            )
            for t in turns
        )
    )


def posterior(peaks: list[tuple[model.LatLng, float, float]], resolution: int, rings: int) -> dict[int, float]:
    """Masses on cells round some peaks: (place, sigma in metres, weight)."""
    masses: dict[int, float] = {}
    for place, sigma_m, weight in peaks:
        origin = h3.latlng_to_cell(place.latitude_deg, place.longitude_deg, resolution)
        cells = [int(cell) for cell in h3.grid_disk(origin, rings)]
        weights = []
        for cell in cells:
            center = h3.cell_to_latlng(cell)
            far_m = h3.great_circle_distance(center, (place.latitude_deg, place.longitude_deg), unit="m")
            weights.append(math.exp(-0.5 * (far_m / sigma_m) ** 2))
        for cell, share in zip(cells, weights, strict=True):
            masses[cell] = masses.get(cell, 0.0) + weight * share / sum(weights)
    return dict(sorted(masses.items(), key=lambda item: -item[1]))


def region_of(masses: dict[int, float], confidence: float) -> model.Region:
    """The densest cells that hold the confidence."""
    held, cells = 0.0, []
    for cell, mass in masses.items():
        if held >= confidence:
            break
        held += mass
        cells.append(cell)
    area_m2 = sum(float(h3.cell_area(cell, unit="m^2")) for cell in cells)
    resolutions = sorted({int(h3.get_resolution(cell)) for cell in cells})
    compact = [int(c) for r in resolutions for c in h3.compact_cells([x for x in cells if h3.get_resolution(x) == r])]
    return model.Region(resolutions[-1], tuple(sorted(compact)), held, area_m2)


def moved(place: model.LatLng, north_m: float, east_m: float) -> model.LatLng:
    """A place some metres away."""
    per_lng = 111_195.0 * math.cos(math.radians(place.latitude_deg))
    return model.LatLng(place.latitude_deg + north_m / 111_195.0, place.longitude_deg + east_m / per_lng)


def piece(
    name: str,
    part: str = "",
    kind: model.EvidenceKind = model.EvidenceKind.CELL_SCAN,
    disposition: model.Disposition = model.Disposition.USED,
    reason: model.Reason = model.Reason.AGREES,
    **more: object,
) -> model.Contribution:
    """A contribution with plain words."""
    words = {
        model.Reason.AGREES: "Agrees with the answer.",
        model.Reason.CONFLICTS: "Lies where the other sources exclude the caller.",
    }.get(reason, reason.name.lower())
    return model.Contribution(name, part, kind, disposition, reason, words, **more)  # type: ignore[arg-type]


def town_scene(call_id: str = "c-1", resolution: int = 11) -> Scene:
    """A device fix of 30 m in a cell of 1.2 km, a line's address beside it: one place."""
    masses = posterior([(HERE, 24.0, 1.0)], resolution + 1, 12)
    estimate = model.LocationEstimate(
        outcome=model.Outcome.LOCATED,
        call_id=call_id,
        confidence=0.9,
        position=HERE,
        radius_m=51.6,
        ellipse=model.Ellipse(HERE, 54.0, 49.0, 20.0),
        region=region_of(masses, 0.9),
        altitude=model.Altitude(31.0, 8.0, 0.9, "2"),
        address=model.CivicAddress(house_number="3", street="Mill Lane", city="Testham", postcode="TE1 3ST"),
        address_distance_m=12.4,
        areas=(model.AreaShare("Cork City", "counties", 0.83), model.AreaShare("Cork County", "counties", 0.17)),
        contributions=(
            piece(
                "cell-1",
                "serving",
                cell_fallback=model.CellFallback.CENTROID,
                distance_m=410.0,
                agreement=0.97,
                share=0.04,
            ),
            piece("device-2", kind=model.EvidenceKind.DEVICE_REPORT, distance_m=4.2, agreement=0.993, share=0.8),
            piece("line-3", kind=model.EvidenceKind.LINE_LOOKUP, distance_m=35.0, agreement=0.9, share=0.16),
        ),
        warnings=(model.Warning(model.WarningCode.STALE, "The scan is 6 minutes older than the fix.", "cell-1"),),
        estimated_at=1_763_763_300.0,
        datasets=(model.DatasetVersion("cells", "ireland", "a1b2c3", 7861),),
    )
    outlines = (
        model.Outline("cell-1", "serving", (around(moved(HERE, 300, 280), 1_200.0),)),
        model.Outline("device-2", "", (around(HERE, 50.0),)),
        model.Outline("line-3", "", (around(moved(HERE, 20, -28), 40.0),)),
    )
    return estimate, model.Trace(tuple(masses), tuple(masses.values()), outlines)


def conflict_scene(call_id: str = "c-2") -> Scene:
    """A cell and a fix that cannot be true together, 40 km apart."""
    far = moved(HERE, 24_000, 31_000)
    masses = posterior([(HERE, 420.0, 0.71)], 9, 9) | posterior([(far, 30.0, 0.29)], 11, 7)
    densest = sorted(masses.items(), key=lambda item: -item[1] / float(h3.cell_area(item[0], unit="m^2")))
    masses = dict(densest)
    estimate = model.LocationEstimate(
        outcome=model.Outcome.CONFLICT,
        call_id=call_id,
        confidence=0.9,
        position=HERE,
        radius_m=39_400.0,
        region=region_of(masses, 0.9),
        alternatives=(model.Alternative(far, 0.29, 64.0),),
        areas=(model.AreaShare("Cork City", "counties", 0.71), model.AreaShare("Waterford", "counties", 0.29)),
        contributions=(
            piece(
                "cell-1",
                "serving",
                cell_fallback=model.CellFallback.SECTOR,
                distance_m=310.0,
                agreement=0.71,
                share=0.7,
            ),
            piece(
                "cell-1",
                "neighbours[0]",
                disposition=model.Disposition.DOWN_WEIGHTED,
                reason=model.Reason.UNKNOWN_CELL,
                cell_fallback=model.CellFallback.SITE,
                distance_m=900.0,
                agreement=0.7,
                share=0.2,
            ),
            piece(
                "device-2",
                kind=model.EvidenceKind.DEVICE_REPORT,
                disposition=model.Disposition.SET_ASIDE,
                reason=model.Reason.CONFLICTS,
                distance_m=39_200.0,
                agreement=0.29,
                share=0.1,
            ),
        ),
        warnings=(model.Warning(model.WarningCode.CONFLICT, "Sources exclude each other.", "device-2"),),
    )
    outlines = (
        model.Outline("cell-1", "serving", (around(moved(HERE, 100, 150), 1_900.0),)),
        model.Outline("cell-1", "neighbours[0]", (around(moved(HERE, -700, 500), 2_600.0),)),
        model.Outline("device-2", "", (around(far, 60.0),)),
    )
    return estimate, model.Trace(tuple(masses), tuple(masses.values()), outlines)


def nowhere_scene(call_id: str = "c-3") -> Scene:
    """Nothing usable."""
    contribution = piece(
        "cell-1",
        "serving",
        disposition=model.Disposition.SET_ASIDE,
        reason=model.Reason.CELL_NOT_FOUND,
    )
    warning = model.Warning(model.WarningCode.NO_EVIDENCE, "Nothing that was said gives a place.")
    estimate = model.LocationEstimate(
        model.Outcome.NO_LOCATION, call_id, 0.9, contributions=(contribution,), warnings=(warning,)
    )
    return estimate, model.Trace()


SCENES: dict[str, Callable[[], Scene]] = {"town": town_scene, "conflict": conflict_scene, "nowhere": nowhere_scene}


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Scene:
    """Each of the answers."""
    return SCENES[request.param]()


@pytest.fixture
def town() -> Scene:
    """The answer with one place."""
    return town_scene()


@pytest.fixture
def conflict() -> Scene:
    """The answer with two places."""
    return conflict_scene()


@pytest.fixture
def nowhere() -> Scene:
    """The answer without a place."""
    return nowhere_scene()
