"""Shapes of the 5G core: GADShape JSON, alone or inside what a location server answers.

References
----------
3GPP TS 29.572 (GADShape, LocationData), TS 29.571 (NrLocation, EutraLocation, GeographicalInformation). Values are
metres and degrees, not codes; the age of a location is minutes.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import NoReturn

from locsvc.formats.gad.coding import GREATEST_INNER_RADIUS_M, Peer
from locsvc.formats.gad.isup import is_geodetic_information, read_geodetic_location
from locsvc.formats.gad.json_cells import cell_in
from locsvc.formats.gad.messages import MOST_TEXT, octets_of
from locsvc.formats.gad.octets import (
    MOST_CORNERS,
    Notes,
    ordered_ellipse,
    polygon_report,
    possible_altitude,
    read_octets,
    solid_report,
)
from locsvc.formats.ranges import MAX_LENGTH_M
from locsvc.formats.reading import Reading, Unreadable
from locsvc.model import ArcBand, CellMeasurement, CellScan, Circle, DeviceReport, Evidence, LatLng, Point, Shape

Json = Mapping[str, object]

# Corners beyond those that the standard allows are read as far as this, so that a sender's outline is not cut.
MOST_READ_CORNERS = 1000
SHOWN = 40
# Where a shape stands in what servers answer.
_WRAPPERS = (
    "locationEstimate",
    "geographicArea",
    "geoInfo",
    "nrLocation",
    "eutraLocation",
    "utraLocation",
    "geraLocation",
    "n3gaLocation",
    "location",
    "ueLocation",
    "userLocation",
    "locationInfo",
)
_AGES = ("ageOfLocationEstimate", "ageOfLocationInformation")
_TIMES = ("timestampOfLocationEstimate", "ueLocationTimestamp")
MOST_WRAPPERS = 6
_SHAPED = frozenset(("shape", "geographicalInformation", "geodeticInformation", "point", "pointList"))
# Too short to be infinite, and of ASCII digits alone.
_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{0,20})?")


def read_json(text: str, *, arrived_at: float | None, peer: Peer) -> Reading:
    """What the JSON of a shape says.

    Raises
    ------
    Unreadable
        It is no JSON object, or has no shape that is known.
    """
    found, levels = _loaded(text), 0
    timed: dict[str, object] = {}
    notes = Notes(peer)
    cell: CellMeasurement | None = None
    while True:
        cell = cell or cell_in(found, notes.warnings)
        timed.update({key: found[key] for key in (*_AGES, *_TIMES, "velocityEstimate") if key in found})
        if not _SHAPED.isdisjoint(found):
            break
        inner = next((found[key] for key in _WRAPPERS if isinstance(found.get(key), dict)), None)
        levels += 1
        if cell is not None and (not isinstance(inner, dict) or levels > MOST_WRAPPERS):
            return _with_cell(notes.reading(None), cell, _observed_at(timed, arrived_at, notes))
        if not isinstance(inner, dict) or levels > MOST_WRAPPERS:
            raise Unreadable(f"JSON with {_shown(list(found))} has no GAD shape; expected a member 'shape'")
        found = inner
    observed_at = _observed_at(timed, arrived_at, notes)
    _velocity(timed.get("velocityEstimate"), notes)
    reading = _of_shape(found, observed_at, notes)
    return reading if cell is None else _with_cell(reading, cell, observed_at)


def _with_cell(reading: Reading, cell: CellMeasurement, observed_at: float | None) -> Reading:
    """The reading with the cell behind its shape, and each by its name."""
    shapes = [dataclasses.replace(piece, evidence_id="fix") for piece in reading.evidence]
    scan = Evidence(CellScan(serving=cell), "cell" if shapes else "", "", observed_at)
    return dataclasses.replace(reading, evidence=(*shapes, scan), no_location="")


def _of_shape(found: Json, observed_at: float | None, notes: Notes) -> Reading:
    """The reading of the members that make a shape."""
    if "geographicalInformation" in found or "geodeticInformation" in found:
        return _of_octets(found, observed_at, notes)
    kind = found["shape"] if "shape" in found else _likely_kind(found, notes)
    kind = kind.upper() if isinstance(kind, str) and len(kind) <= SHOWN else kind
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Unreadable(f"GAD shape {_shown(kind)} is unknown; known are {', '.join(_KINDS)}")
    notes.details["shape"] = kind
    return _placed(kind, found, observed_at, notes)


def _placed(kind: str, found: Json, observed_at: float | None, notes: Notes) -> Reading:
    if kind.startswith("LOCAL_"):
        return Reading(
            (), tuple(notes.warnings), no_location="the shape is in local coordinates", details=notes.details
        )
    if kind == "POLYGON":
        return notes.reading(_polygon(found, notes), observed_at)
    place = _place(found.get("point"))
    if place is None:
        raise Unreadable(f"GAD {kind}: point {_shown(found.get('point'))} is no lat -90 to 90 with lon -180 to 180")
    if abs(place.latitude_deg) < 1e-6 and abs(place.longitude_deg) < 1e-6:
        notes.warn("point", "0,0", "is what broken senders give for unknown; not used")
        return notes.reading(None)
    return notes.reading(_report(kind, place, found, notes), observed_at)


def _likely_kind(found: Json, notes: Notes) -> str:
    """The shape that these members make."""
    signs = {
        "pointList": "POLYGON",
        "innerRadius": "ELLIPSOID_ARC",
        "uncertaintyAltitude": "POINT_ALTITUDE_UNCERTAINTY",
        "uncertaintyEllipse": "POINT_UNCERTAINTY_ELLIPSE",
        "uncertainty": "POINT_UNCERTAINTY_CIRCLE",
        "altitude": "POINT_ALTITUDE",
    }
    kind = next((kind for sign, kind in signs.items() if sign in found), "POINT")
    notes.warn("shape", "", f"is missing; read as {kind}, which its members make")
    return kind


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(word)


def _loaded(text: str) -> Json:
    try:
        found = json.loads(text, parse_constant=_not_a_number)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"GAD text {text[:SHOWN]!r} is no JSON: {str(error)[:80]}") from None
    if not isinstance(found, dict):
        raise Unreadable(f"GAD text {text[:SHOWN]!r} is no JSON object")
    return found


def _shown(value: object) -> str:
    return repr(value)[:SHOWN]


def _number(value: object) -> float | None:
    """A finite number, or the text of one; None for anything else, booleans too."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An integer beyond all floats is no length and no angle.
    if isinstance(value, int) and abs(value) > 1 << 63:
        return None
    return float(value) if math.isfinite(value) else None


def _place(point: object) -> LatLng | None:
    if not isinstance(point, dict):
        return None
    lat, lng = _number(point.get("lat", point.get("latitude"))), _number(point.get("lon", point.get("longitude")))
    if lat is None or lng is None or abs(lat) > 90 or abs(lng) > 180:
        return None
    return LatLng(lat, lng)


def _length(holder: Json, name: str, notes: Notes) -> float:
    """A length above 0, metres; 0 for "unknown", with a warning."""
    value = _number(holder.get(name))
    if value is not None and 0 < value <= MAX_LENGTH_M:
        return value
    notes.warn(name, _shown(holder.get(name)), "is no length above 0 on Earth; taken as unknown, never as exact")
    return 0.0


def _confidence(found: Json, notes: Notes) -> float | None:
    value = _number(found.get("confidence"))
    if value is None:
        notes.warn("confidence", _shown(found.get("confidence")), "is missing or no number; left open")
        return None
    if 0 < value < 1:
        notes.warn("confidence", f"{value:g}", "is a fraction, not a percentage; read so")
        notes.details["confidence"] = f"{value:g}"
        return value
    if value != int(value) and 0 < value < 100:
        notes.details["confidence"] = f"{value:g}"
        return value / 100
    return notes.confidence(int(value))


def _flat(place: LatLng, ellipse: object, notes: Notes) -> Shape:
    holder = ellipse if isinstance(ellipse, dict) else {}
    a, b = _length(holder, "semiMajor", notes), _length(holder, "semiMinor", notes)
    if not a or not b:
        return Circle(place, a or b) if a or b else Point(place)
    angle = _number(holder.get("orientationMajor"))
    if angle is None or not 0 <= angle <= 360:
        notes.warn("orientationMajor", _shown(holder.get("orientationMajor")), "is no angle; the longer axis is taken")
        return Circle(place, max(a, b))
    return ordered_ellipse(place, a, b, angle % 180, notes)


def _arc(place: LatLng, found: Json, notes: Notes) -> Shape:
    inner = _number(found.get("innerRadius"))
    if inner is None or not 0 <= inner <= GREATEST_INNER_RADIUS_M:
        notes.warn("innerRadius", _shown(found.get("innerRadius")), "is no length; 0 is taken")
        inner = 0.0
    start, opening = _number(found.get("offsetAngle")), _number(found.get("includedAngle"))
    if start is None or opening is None or not 0 <= start <= 360 or not 0 < opening <= 360:
        notes.warn("angles", f"{_shown(start)}, {_shown(opening)}", "are no offset and opening; all around is taken")
        start, opening = 0.0, 360.0
    width = min(_length(found, "uncertaintyRadius", notes), MAX_LENGTH_M - inner)
    if width:
        return ArcBand(place, inner, inner + width, start % 360, opening)
    return ArcBand(place, 0.0, inner, start % 360, opening) if inner else Point(place)


def _report(kind: str, place: LatLng, found: Json, notes: Notes) -> DeviceReport:
    if kind == "POINT_UNCERTAINTY_CIRCLE":
        radius = _length(found, "uncertainty", notes)
        return DeviceReport(Circle(place, radius) if radius else Point(place), notes.peer.circle_confidence)
    if kind == "POINT_UNCERTAINTY_ELLIPSE":
        return DeviceReport(_flat(place, found.get("uncertaintyEllipse"), notes), _confidence(found, notes))
    if kind == "ELLIPSOID_ARC":
        return DeviceReport(_arc(place, found, notes), _confidence(found, notes))
    altitude = None if kind == "POINT" else _number(found.get("altitude"))
    if altitude is None and kind != "POINT":
        notes.warn("altitude", _shown(found.get("altitude")), "is no number; left out")
    if kind != "POINT_ALTITUDE_UNCERTAINTY":
        notes.warn("shape", kind, "states no uncertainty; read as a place without a radius, never as exact")
        known = None if altitude is None else possible_altitude(altitude, notes)
        return DeviceReport(Point(place), altitude_m=known)
    shape, confidence = _flat(place, found.get("uncertaintyEllipse"), notes), _confidence(found, notes)
    if altitude is None:
        return DeviceReport(shape, confidence)
    return solid_report(shape, altitude, _length(found, "uncertaintyAltitude", notes), confidence, notes)


def _polygon(found: Json, notes: Notes) -> DeviceReport | None:
    given = found.get("pointList")
    points = given[:MOST_READ_CORNERS] if isinstance(given, list) else []
    places = [_place(p) for p in points]
    corners = tuple(p for p in places if p is not None)
    if not corners:
        raise Unreadable(f"GAD POLYGON: pointList {_shown(given)} has no corner with lat and lon")
    if len(corners) < len(places):
        notes.warn("pointList", len(places) - len(corners), "corners are no places; the rest is not a whole outline")
    if len(places) > MOST_CORNERS:
        notes.warn("pointList", len(places), f"corners; the standard allows {MOST_CORNERS}")
    return polygon_report(corners, notes, whole=len(corners) == len(places))


def _of_octets(found: Json, observed_at: float | None, notes: Notes) -> Reading:
    """TS 29.571's hex members: geodetic information first, for it has a confidence."""
    for name in ("geodeticInformation", "geographicalInformation"):
        value = found.get(name)
        if not isinstance(value, str) or len(value) > MOST_TEXT:
            continue
        octets = octets_of(value)
        inner = read_geodetic_location(octets, notes.peer) if is_geodetic_information(octets) else None
        inner = inner or read_octets(octets, notes.peer)
        evidence = tuple(dataclasses.replace(e, observed_at=observed_at) for e in inner.evidence)
        return dataclasses.replace(
            inner,
            evidence=evidence,
            warnings=(*notes.warnings, *inner.warnings),
            details={**notes.details, **inner.details},
        )
    raise Unreadable("geodeticInformation and geographicalInformation are no hex text")


def _observed_at(timed: Json, arrived_at: float | None, notes: Notes) -> float | None:
    for name in _TIMES:
        if name in timed:
            seconds = _unix_seconds(timed[name])
            if seconds is not None:
                return seconds
            notes.warn(name, _shown(timed[name]), "is no RFC 3339 time; left out")
    for name in _AGES:
        if name in timed:
            age = _number(timed[name])
            notes.details[name] = _shown(timed[name])
            if age is not None and 0 <= age <= 32_767 and arrived_at is not None:
                return arrived_at - 60.0 * age
    return None


def _unix_seconds(value: object) -> float | None:
    if not isinstance(value, str) or len(value) > SHOWN:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.timestamp() if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _velocity(value: object, notes: Notes) -> None:
    """Notes the velocity's members by their own names."""
    if not isinstance(value, dict):
        return
    for name in ("hSpeed", "bearing", "vSpeed", "vDirection", "hUncertainty", "vUncertainty"):
        if isinstance(value.get(name), str | int | float):
            notes.details[f"velocityEstimate.{name}"] = str(value[name])[:SHOWN]


_KINDS = (
    "POINT",
    "POINT_UNCERTAINTY_CIRCLE",
    "POINT_UNCERTAINTY_ELLIPSE",
    "POLYGON",
    "POINT_ALTITUDE",
    "POINT_ALTITUDE_UNCERTAINTY",
    "ELLIPSOID_ARC",
    "LOCAL_2D_POINT_UNCERTAINTY_ELLIPSE",
    "LOCAL_3D_POINT_UNCERTAINTY_ELLIPSOID",
)
