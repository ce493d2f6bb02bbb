"""Numbers and codes as words for a person; shared by the tables and the map."""

from __future__ import annotations

import math

from locsvc import model
from locsvc.formats.answers import ADDRESS_DISTANCE_M, ADDRESS_RADIUS_M
from locsvc.formats.spelling import enum_word, timestamp_text

_OUTCOMES = {
    model.Outcome.LOCATED: "Located",
    model.Outcome.CONFLICT: "Sources conflict",
    model.Outcome.NO_LOCATION: "No location",
    model.Outcome.UNSPECIFIED: "No answer",
}
_STEPS = {
    model.CellFallback.COVERAGE: "learned coverage",
    model.CellFallback.SECTOR: "mast and sector",
    model.CellFallback.CENTROID: "cell's centroid",
    model.CellFallback.PHYSICAL_IDENTITY: "physical identity nearby",
    model.CellFallback.SITE: "other cells of the site",
    model.CellFallback.AREA: "tracking area",
    model.CellFallback.NETWORK: "network",
    model.CellFallback.COUNTRY: "country",
}


def outcome_text(outcome: model.Outcome) -> str:
    """The outcome for a heading."""
    return _OUTCOMES[outcome]


def step_text(step: model.CellFallback) -> str:
    """Which knowledge answered for a cell; empty when it is not a cell."""
    return _STEPS.get(step, "")


def distance_text(distance_m: float | None) -> str:
    """Metres or kilometres with about three digits; a dash when unknown.

    >>> [distance_text(d) for d in (3.21, 482.4, 1240.0, 39_871.0, None)]
    ['3.2 m', '482 m', '1.24 km', '39.9 km', '-']
    """
    if distance_m is None or not math.isfinite(distance_m):
        return "-"
    if distance_m < 999.5:
        return f"{distance_m:.1f} m" if distance_m < 9.95 else f"{distance_m:.0f} m"
    kilometres = distance_m / 1000
    return f"{kilometres:.2f} km" if kilometres < 9.995 else f"{kilometres:,.{1 if kilometres < 99.95 else 0}f} km"


def surface_text(area_m2: float) -> str:
    """Square metres, hectares or square kilometres.

    >>> surface_text(812.0), surface_text(45_300.0), surface_text(12_400_000.0)
    ('812 m²', '4.53 ha', '12.4 km²')
    """
    if area_m2 < 1e4:
        return f"{area_m2:.0f} m²"
    return (
        f"{area_m2 / 1e4:.3g} ha"
        if area_m2 < 1e6
        else f"{area_m2 / 1e6:,.3g} km²"
        if area_m2 < 1e9
        else (f"{area_m2 / 1e6:,.0f} km²")
    )


def percent_text(share: float) -> str:
    """A fraction as percent, never rounded to certainty or to nothing.

    >>> [percent_text(s) for s in (0.9, 0.1234, 0.9996, 0.0001, 0.0, 1.0)]
    ['90 %', '12 %', '>99.9 %', '<1 %', '0 %', '100 %']
    """
    if 0 < share < 0.005:
        return "<1 %"
    if 0.995 <= share < 1:
        return ">99.9 %" if share > 0.9995 else f"{share * 100:.1f} %"
    return f"{share * 100:.0f} %"


def confidence_text(confidence: float) -> str:
    """A confidence as percent with the digits that it needs.

    >>> confidence_text(0.9), confidence_text(0.999)
    ('90 %', '99.9 %')
    """
    return f"{confidence * 100:.10g} %"


def place_text(place: model.LatLng) -> str:
    """Latitude and longitude in degrees; five decimals are a metre.

    >>> place_text(model.LatLng(52.4677, -8.3347))
    '52.46770, -8.33470'
    """
    return f"{place.latitude_deg:.5f}, {place.longitude_deg:.5f}"


def altitude_text(altitude: model.Altitude) -> str:
    """Height, its uncertainty and the floor.

    >>> altitude_text(model.Altitude(31.0, 8.0, 0.9, "2"))
    '31 m ± 8 m above the ellipsoid, floor 2'
    """
    spread = "" if altitude.uncertainty_m is None else f" ± {distance_text(altitude.uncertainty_m).replace('.0 ', ' ')}"
    floor = f", floor {altitude.floor}" if altitude.floor else ""
    return f"{altitude.altitude_m:.0f} m{spread} above the ellipsoid{floor}"


def age_text(age_s: float) -> str:
    """How long ago, in the greatest unit that says it.

    >>> [age_text(s) for s in (12, 200, 7_300, 90_000, 40_000_000)]
    ['12 s', '3 min', '2 h', '1 d', '462 d']
    """
    for size_s, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if age_s >= size_s:
            return f"{int(age_s // size_s)} {name}"
    return f"{int(max(age_s, 0))} s"


def size_text(size_bytes: int) -> str:
    """Bytes in the unit that keeps three digits.

    >>> size_text(512), size_text(123_456), size_text(1_200_000_000)
    ('512 B', '123 kB', '1.2 GB')
    """
    size = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def time_text(time_s: float | None) -> str:
    """A time for a person, UTC to the second; a dash when unknown.

    >>> time_text(1700000000.25)
    '2023-11-14 22:13:20 UTC'
    """
    return "-" if time_s is None else timestamp_text(math.floor(time_s)).replace("T", " ").replace("Z", " UTC")


def piece_text(contribution: model.Contribution) -> str:
    """The piece of evidence and its part.

    >>> c = model.Contribution("cell-1", "neighbours[2]", model.EvidenceKind.CELL_SCAN, model.Disposition.USED,
    ...                        model.Reason.AGREES, "")
    >>> piece_text(c)
    'cell-1 neighbours[2]'
    """
    return " ".join(text for text in (contribution.evidence_id, contribution.part) if text)


__all__ = [
    "ADDRESS_DISTANCE_M",
    "ADDRESS_RADIUS_M",
    "age_text",
    "altitude_text",
    "confidence_text",
    "distance_text",
    "enum_word",
    "outcome_text",
    "percent_text",
    "piece_text",
    "place_text",
    "size_text",
    "step_text",
    "surface_text",
    "time_text",
]
