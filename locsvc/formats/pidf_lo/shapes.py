"""The eight shapes of RFC 5491: from elements to the model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from locsvc.formats.call_checks import MAX_VERTICES
from locsvc.formats.pidf_lo.measures import Notes, angle_deg, coordinates_of, direction_deg, length_m, numbers_of
from locsvc.formats.pidf_lo.names import FLAT_CRS, SOLID_CRS, crs_of, name_of
from locsvc.model import ArcBand, Circle, Ellipse, Ellipsoid, LatLng, Point, Polygon, Prism, Shape, Sphere

if TYPE_CHECKING:
    from collections.abc import Callable

    from locsvc.formats.xml import Element

    Parts = dict[str, Element]
    # A shape, and the height above the ellipsoid that it stands at when the shape itself has no word for it.
    Placed = tuple[Shape, float | None]

# Heights that the model takes: from below the Dead Sea to above Everest.
LEAST_ALTITUDE_M, GREATEST_ALTITUDE_M = -500.0, 10_000.0
GREATEST_HEIGHT_M = 10_000.0
# Nearer to 0,0 than 0.1 m: the "unknown" of broken senders.
_NULL_DEG = 1e-6
_RING_WRAPPERS = frozenset({"exterior", "outerBoundaryIs", "LinearRing", "pointProperty", "Point"})


def shape_of(element: Element, name: str, notes: Notes) -> Placed | None:
    """The shape that an element describes, and its height; None, with a warning, when it has no position.

    Parameters
    ----------
    element, name
        A shape's element and its local name, one of `READERS`.

    References
    ----------
    RFC 5491 section 5.2. Sizes that are absent or 0 are unknown: the shape loses what depends on them, never becomes
    smaller.
    """
    parts: Parts = {}
    for child in element:
        part = name_of(child, notes.warnings)
        if part:
            parts.setdefault(part, child)
        else:
            notes.warn(name, child.tag, "is not understood inside this shape")
    return READERS[name](element, parts, notes)


# Positions


def _center(element: Element, parts: Parts, notes: Notes) -> tuple[LatLng, float | None] | None:
    """The place and height of a shape around one position."""
    pos = parts.get("pos")
    if pos is not None:
        numbers = numbers_of(pos.text or "", "gml:pos", notes)
    elif "coordinates" in parts:
        numbers = next(iter(coordinates_of(parts["coordinates"], notes)), [])
    elif "Point" in parts:
        point = parts["Point"]
        notes.warn("gml:Point", "", "does not belong inside another shape: its position was read")
        inner = {name_of(child, notes.warnings): child for child in point}
        inner.pop("Point", None)
        return _center(point if element.get("srsName") is None else element, inner, notes)
    else:
        notes.warn(name_of(element, []) or "gml:pos", "", "has no gml:pos: no position")
        return None
    if len(numbers) not in (2, 3):
        notes.warn("gml:pos", " ".join(map(str, numbers[:9])), "has neither 2 nor 3 numbers: not read")
        return None
    srs = element.get("srsName")
    if srs is None and pos is not None:
        srs = pos.get("srsName")
    if srs != (FLAT_CRS if len(numbers) == 2 else SOLID_CRS):
        size, longitude_first = _odd_crs(srs, len(numbers), notes)
        if not size:
            return None
        if longitude_first:
            numbers[:2] = numbers[1::-1]
    place = _place(numbers[0], numbers[1], notes)
    if place is None:
        return None
    return place, (_altitude_m(numbers[2], notes) if len(numbers) == 3 else None)


def _odd_crs(srs: str | None, count: int, notes: Notes) -> tuple[int, bool]:
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


def _altitude_m(value: float, notes: Notes) -> float | None:
    if LEAST_ALTITUDE_M <= value <= GREATEST_ALTITUDE_M:
        return value
    notes.warn("gml:pos", str(value), f"is no height from {LEAST_ALTITUDE_M:g} to {GREATEST_ALTITUDE_M:g} m: left out")
    return None


# Shapes around one position


def _point(element: Element, parts: Parts, notes: Notes) -> Placed | None:
    found = _center(element, parts, notes)
    return None if found is None else (Point(found[0]), found[1])


def _circle(element: Element, parts: Parts, notes: Notes) -> Placed | None:
    found = _center(element, parts, notes)
    if found is None:
        return None
    center, altitude = found
    radius = length_m(parts.get("radius"), "gs:radius", notes)
    return (Point(center) if radius is None else Circle(center, radius)), altitude


def _sphere(element: Element, parts: Parts, notes: Notes) -> Placed | None:
    placed = _circle(element, parts, notes)
    if placed is None:
        return None
    circle, altitude = placed
    if not isinstance(circle, Circle):
        return placed
    if altitude is None:
        notes.warn("gs:Sphere", "", "has no height: taken as a circle")
        return placed
    return Sphere(circle.center, altitude, circle.radius_m), None


def _ellipse(element: Element, parts: Parts, notes: Notes) -> Placed | None:
    found = _center(element, parts, notes)
    if found is None:
        return None
    center, altitude = found
    return _ellipse_at(center, parts, notes), altitude


def _ellipse_at(center: LatLng, parts: Parts, notes: Notes) -> Point | Circle | Ellipse:
    """The ellipse; the circle around it when its axes or its orientation are not known."""
    major = length_m(parts.get("semiMajorAxis"), "gs:semiMajorAxis", notes)
    minor = length_m(parts.get("semiMinorAxis"), "gs:semiMinorAxis", notes)
    turn = angle_deg(parts.get("orientation"), "gs:orientation", notes)
    if major is None:
        return Point(center)
    if minor is None or (turn is None and minor != major):
        return Circle(center, max(major, minor or 0.0))
    turn = turn or 0.0
    if minor > major:
        notes.warn(
            "gs:semiMinorAxis", f"{minor:g}", "is longer than semiMajorAxis: exchanged, orientation turned by 90"
        )
        major, minor, turn = minor, major, turn + 90.0
    return Ellipse(center, major, minor, direction_deg(turn))


def _ellipsoid(element: Element, parts: Parts, notes: Notes) -> Placed | None:
    placed = _ellipse(element, parts, notes)
    if placed is None:
        return None
    vertical = length_m(parts.get("verticalAxis"), "gs:verticalAxis", notes)
    flat, altitude = placed
    if isinstance(flat, Circle):
        flat = Ellipse(flat.center, flat.radius_m, flat.radius_m, 0.0)
    if altitude is None or not isinstance(flat, Ellipse) or vertical is None or vertical > GREATEST_HEIGHT_M:
        notes.warn("gs:Ellipsoid", "", "lacks a height or an axis: taken without its vertical extent")
        return placed
    return Ellipsoid(flat.center, altitude, flat.semi_major_m, flat.semi_minor_m, vertical, flat.orientation_deg), None


def _arc_band(element: Element, parts: Parts, notes: Notes) -> Placed | None:
    found = _center(element, parts, notes)
    if found is None:
        return None
    center, altitude = found
    outer = length_m(parts.get("outerRadius"), "gs:outerRadius", notes)
    inner = length_m(parts.get("innerRadius"), "gs:innerRadius", notes, zero=True)
    start = angle_deg(parts.get("startAngle"), "gs:startAngle", notes)
    opening = angle_deg(parts.get("openingAngle"), "gs:openingAngle", notes)
    if outer is None:
        return Point(center), altitude
    if inner is None:
        inner = 0.0
    if inner > outer:
        notes.warn("gs:innerRadius", f"{inner:g}", "is greater than outerRadius: exchanged")
        inner, outer = outer, inner
    if inner == outer:
        notes.warn("gs:innerRadius", f"{inner:g}", "is equal to outerRadius: taken as 0")
        inner = 0.0
    if start is None or opening is None or not 0 < opening <= 360:
        if start is not None and opening is not None:
            notes.warn("gs:openingAngle", f"{opening:g}", "is no angle above 0 up to 360: taken as the whole ring")
        start, opening = 0.0, 360.0
    return ArcBand(center, inner, outer, direction_deg(start), opening), altitude


# Polygons


def _polygon(element: Element, _: Parts, notes: Notes) -> Placed | None:
    return _polygon_of(element, element.get("srsName"), notes)


def _polygon_of(element: Element, srs: str | None, notes: Notes) -> Placed | None:
    positions: list[list[float]] = []
    _collect_ring(element, srs, positions, notes)
    if not positions:
        notes.warn("gml:Polygon", "", "has no corners: not read")
        return None
    size = len(positions[0])
    if size not in (2, 3) or any(len(p) != size for p in positions):
        notes.warn("gml:Polygon", "", "has positions of other than 2 or 3 numbers: not read")
        return None
    if srs != (FLAT_CRS if size == 2 else SOLID_CRS):
        known, longitude_first = _odd_crs(srs, size, notes)
        if not known:
            return None
        if longitude_first:
            positions = [[p[1], p[0], *p[2:]] for p in positions]
    return _closed(positions, notes)


def _collect_ring(element: Element, srs: str | None, positions: list[list[float]], notes: Notes) -> None:
    """Adds the positions of the outer ring, however they are written."""
    for child in element:
        name = name_of(child, notes.warnings)
        if name == "pos":
            positions.append(numbers_of(child.text or "", "gml:pos", notes))
        elif name == "posList":
            positions.extend(_groups(child, srs, notes))
        elif name == "coordinates":
            positions.extend(coordinates_of(child, notes))
        elif name in _RING_WRAPPERS:
            _collect_ring(child, srs, positions, notes)
        elif name in ("interior", "innerBoundaryIs"):
            notes.warn("gml:interior", "", "holes are not read: the caller may be in one")


def _groups(element: Element, srs: str | None, notes: Notes) -> list[list[float]]:
    """The numbers of a `gml:posList` in twos or threes."""
    numbers = numbers_of(element.text or "", "gml:posList", notes)
    given = element.get("srsDimension") or element.get("dimension")
    size = int(given) if given in ("2", "3") else (crs_of(srs)[0] if srs else 0) or 2
    if not srs and not given and (len(numbers) % 2 or (len(numbers) % 3 == 0 and numbers[:3] == numbers[-3:])):
        size = 3
    if len(numbers) % size:
        size = 5 - size
    if len(numbers) % size:
        notes.warn("gml:posList", f"{len(numbers)} numbers", "cannot be grouped in twos or threes: not read")
        return []
    return [numbers[i : i + size] for i in range(0, len(numbers), size)]


def _closed(positions: list[list[float]], notes: Notes) -> Placed | None:
    """The polygon through the positions, counter-clockwise, its first corner not repeated."""
    if positions[0][:2] != positions[-1][:2]:
        if notes.cut:
            notes.warn("gml:Polygon", "", "was cut off: not read, as corners are missing")
            return None
        notes.warn("gml:Polygon", "", "is not closed: its first corner was taken for the last, too")
    exchanged = _longitudes_first(positions)
    if exchanged:
        notes.warn("gml:Polygon", " ".join(map(str, positions[0])), "has its longitudes first: exchanged")
        positions = [[p[1], p[0], *p[2:]] for p in positions]
    corners: list[LatLng] = []
    for position in positions:
        latitude, longitude = position[:2]
        if 180.0 < longitude <= 360.0:
            longitude -= 360.0
        if not (-90.0 <= latitude <= 90.0 and -180.0 <= longitude <= 180.0):
            notes.warn("gml:Polygon", f"{latitude} {longitude}", "has a corner that is no place on Earth: not read")
            return None
        corner = LatLng(latitude, longitude)
        if not corners or corner != corners[-1]:
            corners.append(corner)
    if len(corners) > 1 and corners[0] == corners[-1]:
        corners.pop()
    if not 3 <= len(corners) <= MAX_VERTICES:
        notes.warn("gml:Polygon", f"{len(corners)} corners", f"needs 3 to {MAX_VERTICES} different ones: not read")
        return None
    if _has_null_corner(corners):
        notes.warn("gml:Polygon", "0 0", "has a corner at what senders write for an unknown place: not read")
        return None
    if is_clockwise(corners):
        notes.warn("gml:Polygon", "", "is clockwise: turned round")
        corners = [corners[0], *corners[:0:-1]]
    return Polygon(tuple(corners)), _common_altitude_m(positions, notes)


def _longitudes_first(positions: list[list[float]]) -> bool:
    """Whether only the other order makes every position a place."""
    return any(abs(p[0]) > 90.0 for p in positions) and all(abs(p[0]) <= 180.0 and abs(p[1]) <= 90.0 for p in positions)


def _has_null_corner(corners: list[LatLng]) -> bool:
    """Whether one corner is 0,0 while another is more than a degree away from it."""
    return any(c.latitude_deg == 0 and c.longitude_deg == 0 for c in corners) and any(
        max(abs(c.latitude_deg), abs(c.longitude_deg)) > 1.0 for c in corners
    )


def is_clockwise(corners: list[LatLng]) -> bool:
    """Whether the ring runs clockwise seen from above, across the antimeridian and around a pole, too.

    >>> is_clockwise([LatLng(0.0, 179.0), LatLng(1.0, 179.0), LatLng(1.0, -179.0), LatLng(0.0, -179.0)])
    True
    """
    turn = area = 0.0
    level = corners[0].latitude_deg
    for here, there in zip(corners, [*corners[1:], corners[0]], strict=True):
        step = math.remainder(there.longitude_deg - here.longitude_deg, 360.0)
        # Twice the area below the edge; from the first corner's latitude, which keeps the digits.
        area -= step * (here.latitude_deg - level + there.latitude_deg - level)
        turn += step
    if abs(turn) > 180.0:
        # Around a pole. East is counter-clockwise from above the north pole, clockwise from above the south pole.
        return (turn < 0) == (sum(c.latitude_deg for c in corners) > 0)
    return area < 0


def _common_altitude_m(positions: list[list[float]], notes: Notes) -> float | None:
    if len(positions[0]) == 2:
        return None
    heights = {p[2] for p in positions}
    if len(heights) > 1:
        notes.warn("gml:Polygon", "", "has corners at several heights: its height was left out")
        return None
    return _altitude_m(heights.pop(), notes)


def _prism(element: Element, parts: Parts, notes: Notes) -> Placed | None:
    base = parts.get("base")
    polygon = None
    if base is not None:
        polygon = next((child for child in base if name_of(child, notes.warnings) == "Polygon"), None)
    if polygon is None:
        polygon = parts.get("Polygon")
    if polygon is None:
        notes.warn("gs:Prism", "", "has no base: not read")
        return None
    srs = element.get("srsName") or polygon.get("srsName")
    placed = _polygon_of(polygon, srs, notes)
    if placed is None:
        return None
    height = length_m(parts.get("height"), "gs:height", notes)
    ring, altitude = placed
    if altitude is None or height is None or height > GREATEST_HEIGHT_M or not isinstance(ring, Polygon):
        notes.warn("gs:Prism", "", "has no base height or no height: taken as a polygon")
        return placed
    return Prism(ring, altitude, height), None


READERS: dict[str, Callable[[Element, Parts, Notes], Placed | None]] = {
    "Point": _point,
    "Circle": _circle,
    "CircleByCenterPoint": _circle,
    "Ellipse": _ellipse,
    "ArcBand": _arc_band,
    "Polygon": _polygon,
    "Sphere": _sphere,
    "Ellipsoid": _ellipsoid,
    "Prism": _prism,
}
