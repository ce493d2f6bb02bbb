"""The eight shapes of RFC 5491: from elements to the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locsvc.formats.pidf_lo.measures import angle_deg, direction_deg, length_m
from locsvc.formats.pidf_lo.names import name_of
from locsvc.formats.pidf_lo.notes import Notes
from locsvc.formats.pidf_lo.places import center_of
from locsvc.formats.pidf_lo.rings import polygon_of
from locsvc.model import ArcBand, Circle, Ellipse, Ellipsoid, LatLng, Point, Polygon, Prism, Shape, Sphere

if TYPE_CHECKING:
    from collections.abc import Callable

    from locsvc.formats.xml import Element

    Parts = dict[str, Element]
    # A shape, and the height above the ellipsoid that it stands at when the shape itself has no word for it.
    Placed = tuple[Shape, float | None]

# No uncertainty or building is higher; the contract takes no more.
GREATEST_HEIGHT_M = 10_000.0


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
        part = name_of(child, notes)
        if part:
            parts.setdefault(part, child)
        else:
            notes.warn(name, child.tag, "is not understood inside this shape")
    return READERS[name](element, parts, notes)


def _point(element: Element, parts: Parts, notes: Notes) -> Placed | None:
    found = center_of(element, parts, notes)
    return None if found is None else (Point(found[0]), found[1])


def _circle(element: Element, parts: Parts, notes: Notes) -> Placed | None:
    found = center_of(element, parts, notes)
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
    found = center_of(element, parts, notes)
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
    found = center_of(element, parts, notes)
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


def _polygon(element: Element, _: Parts, notes: Notes) -> Placed | None:
    return polygon_of(element, element.get("srsName"), notes)


def _prism(element: Element, parts: Parts, notes: Notes) -> Placed | None:
    base = parts.get("base")
    polygon = None
    if base is not None:
        polygon = next((child for child in base if name_of(child, notes) == "Polygon"), None)
    if polygon is None:
        polygon = parts.get("Polygon")
    if polygon is None:
        notes.warn("gs:Prism", "", "has no base: not read")
        return None
    srs = element.get("srsName") or polygon.get("srsName")
    placed = polygon_of(polygon, srs, notes)
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
