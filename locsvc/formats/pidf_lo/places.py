"""Positions of PIDF-LO: coordinate systems, the order of latitude and longitude, heights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locsvc.formats.pidf_lo.measures import coordinates_of, numbers_of
from locsvc.formats.pidf_lo.names import FLAT_CRS, SOLID_CRS, crs_of, name_of
from locsvc.formats.pidf_lo.notes import Notes
from locsvc.model import LatLng

if TYPE_CHECKING:
    from locsvc.formats.xml import Element

    Parts = dict[str, Element]

# Heights that the model takes: from below the Dead Sea to above Everest.
LEAST_ALTITUDE_M, GREATEST_ALTITUDE_M = -500.0, 10_000.0
# Nearer to 0,0 than 0.1 m: the "unknown" of broken senders.
_NULL_DEG = 1e-6


def center_of(element: Element, parts: Parts, notes: Notes) -> tuple[LatLng, float | None] | None:
    """The place and height of a shape around one position."""
    pos = parts.get("pos")
    if pos is not None:
        numbers = numbers_of(pos.text or "", "gml:pos", notes)
    elif "coordinates" in parts:
        numbers = next(iter(coordinates_of(parts["coordinates"], notes)), [])
    elif "Point" in parts:
        point = parts["Point"]
        notes.warn("gml:Point", "", "does not belong inside another shape: its position was read")
        inner = {name_of(child, notes): child for child in point}
        inner.pop("Point", None)
        return center_of(point if element.get("srsName") is None else element, inner, notes)
    else:
        notes.warn(name_of(element, notes) or "gml:pos", "", "has no gml:pos: no position")
        return None
    if len(numbers) not in (2, 3):
        notes.warn("gml:pos", " ".join(map(str, numbers[:9])), "has neither 2 nor 3 numbers: not read")
        return None
    srs = element.get("srsName")
    if srs is None and pos is not None:
        srs = pos.get("srsName")
    if srs != (FLAT_CRS if len(numbers) == 2 else SOLID_CRS):
        size, longitude_first = odd_crs(srs, len(numbers), notes)
        if not size:
            return None
        if longitude_first:
            numbers[:2] = numbers[1::-1]
    place = _place(numbers[0], numbers[1], notes)
    if place is None:
        return None
    return place, (altitude_of(numbers[2], notes) if len(numbers) == 3 else None)


def odd_crs(srs: str | None, count: int, notes: Notes) -> tuple[int, bool]:
    """What `crs_of` says of a name that is not the exact one for `count` numbers, with a warning."""
    if srs is None:
        notes.warn("srsName", "", "is absent: taken as WGS84, latitude first")
        return count, False
    size, longitude_first = crs_of(srs)
    if not size:
        notes.warn("srsName", srs, f"is no coordinate system known here: write {FLAT_CRS}; position not read")
    elif srs not in (FLAT_CRS, SOLID_CRS):
        order = "longitude" if longitude_first else "latitude"
        notes.warn("srsName", srs, f"is not the name that RFC 5491 gives: taken as WGS84, {order} first")
    elif size != count:
        notes.warn("srsName", srs, f"goes with {size} numbers, not {count}: read as {count}")
    return size, longitude_first


def _place(latitude: float, longitude: float, notes: Notes) -> LatLng | None:
    if -90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0:
        if abs(latitude) < _NULL_DEG and abs(longitude) < _NULL_DEG:
            notes.warn("gml:pos", f"{latitude} {longitude}", "is what senders write for an unknown place: not read")
            return None
        return LatLng(latitude, longitude)
    if abs(latitude) <= 180.0 and abs(longitude) <= 90.0:
        notes.warn("gml:pos", f"{latitude} {longitude}", "has its longitude first: exchanged")
        return LatLng(longitude, latitude)
    if abs(latitude) <= 90.0 and 180.0 < longitude <= 360.0:
        notes.warn("gml:pos", f"{latitude} {longitude}", "has a longitude above 180: a turn taken off")
        return LatLng(latitude, longitude - 360.0)
    notes.warn("gml:pos", f"{latitude} {longitude}", "is no place on Earth: not read")
    return None


def altitude_of(value: float, notes: Notes) -> float | None:
    """The height above the ellipsoid; None, with a warning, when nothing is as high or as low."""
    if LEAST_ALTITUDE_M <= value <= GREATEST_ALTITUDE_M:
        return value
    notes.warn("gml:pos", str(value), f"is no height from {LEAST_ALTITUDE_M:g} to {GREATEST_ALTITUDE_M:g} m: left out")
    return None
