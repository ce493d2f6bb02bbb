"""Shapes as MLP writes them, in the words of the model.

What the model has no word for (several points, lines, several polygons) becomes the smallest convex polygon, or the
circle, that holds all of it: the caller is somewhere within.

References
----------
OMA-TS-MLP-V3_5 clause 5.2.3 (shapes, after GML 2). X is latitude, Y longitude.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal

from locsvc.formats.elements import child, child_words, children, number, words
from locsvc.formats.mlp_numbers import METRES, angle_deg, length_m
from locsvc.formats.reading import FormatWarning
from locsvc.formats.xml import local_name
from locsvc.geo import distance_m, is_null_position
from locsvc.model import ArcBand, Circle, Ellipse, LatLng, Point, Polygon, Shape

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

# Whether stopAngle is the direction in which the arc ends, or how far it opens. By the text of MLP it is the angle
# between the first and the second radius; live peers send the direction. "wider" takes whichever covers more.
StopAngle = Literal["wider", "end", "opening"]
# Corners that the contract allows; half of the Earth's girth, rounded up.
MAX_CORNERS = 1000
MAX_LENGTH_M = 20_100_000.0
# Bounds on what one message costs; shapes of the field have some tens of places.
MAX_PLACES = 1200
MAX_WARNINGS = 200
SHOWN = 80
_WHOLE_RING_DEG = 360.0
_AREAS = ("CircularArea", "CircularArcArea", "EllipticalArea")


class Shapes:
    """Reads the shapes of one message and collects the warnings about them.

    `unfinished` are the elements that were open where a message was cut off: what is made of several places may lack
    some there, and is then only a place.
    """

    def __init__(self, stop_angle: StopAngle = "wider") -> None:
        self.stop_angle = stop_angle
        self.unfinished: frozenset[Element] = frozenset()
        self.warnings: list[FormatWarning] = []

    def warn(self, field: str, value: str, reason: str) -> None:
        """Adds a warning, its value cut to what a person reads."""
        if len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(FormatWarning(field, value[:SHOWN], reason))

    def read(self, container: Element) -> Shape | None:
        """The shape in a `shape` element (or the element itself, when it is one), or None with a warning."""
        named = [container, *container]
        found = [e for e in named if local_name(e) in self._READERS]
        if not found:
            self.warn("shape", words(container), "has none of MLP's shapes; the position is not known")
            return None
        if len(found) > 1 and found[0] is not container:
            self.warn(
                "shape", local_name(found[1]), f"is a second shape; only the first, {local_name(found[0])}, counts"
            )
        self._check_reference(found[0])
        shape = self._READERS[local_name(found[0])](self, found[0])
        if found[0] in self.unfinished and isinstance(shape, Polygon | Circle) and local_name(found[0]) not in _AREAS:
            self.warn(local_name(found[0]), "", "is cut off: its first place is used, how good it is is not known")
            return Point(shape.vertices[0] if isinstance(shape, Polygon) else shape.center)
        return shape

    def _check_reference(self, shape: Element) -> None:
        name = str(shape.get("srsName") or "")
        if name and "4326" not in name and "4979" not in name and "WGS84" not in name.upper():
            self.warn("srsName", name, "only WGS84 is read: it is taken for WGS84, 100 m or so away from other datums")

    def _place(self, coord: Element | None) -> LatLng | None:
        """The place of a `coord`; X and Y that can only be the other way round are exchanged."""
        if coord is None:
            self.warn("coord", "", "is missing; the shape has no place")
            return None
        x_text, y_text = child_words(coord, "X"), child_words(coord, "Y")
        x, y = angle_deg(x_text), angle_deg(y_text)
        shown = f"{x_text} {y_text}"
        if x is None or y is None:
            self.warn("coord", shown, "X and Y are not two angles such as 30 16 28.308N or 30.27453")
            return None
        (latitude_deg, x_letter), (longitude_deg, y_letter) = x, y
        exchanged = x_letter in ("E", "W") or y_letter in ("N", "S")
        if not (x_letter or y_letter):
            exchanged = abs(latitude_deg) > 90 >= abs(longitude_deg)
        if exchanged and not (x_letter in ("N", "S") or y_letter in ("E", "W")):
            self.warn("coord", shown, "X is latitude and Y longitude, which is only possible the other way round here")
            latitude_deg, longitude_deg = longitude_deg, latitude_deg
        elif exchanged:
            self.warn("coord", shown, "X and Y are both latitudes or both longitudes; the place is not known")
            return None
        if abs(latitude_deg) > 90 or abs(longitude_deg) > 180:
            self.warn("coord", shown, "is outside of 90 degrees of latitude or 180 of longitude")
            return None
        if is_null_position(latitude_deg, longitude_deg):
            self.warn("coord", shown, "0,0 is what senders write when the place is not known; it is not used")
            return None
        return LatLng(latitude_deg, longitude_deg)

    def _places(self, shape: Element) -> list[LatLng]:
        """The places of all `coord` within; one that cannot be read is left out with its warning."""
        coords = [e for e in shape.iter() if local_name(e) == "coord"]
        if len(coords) > MAX_PLACES:
            # Some of them would be a smaller area than was meant.
            self.warn("coord", str(len(coords)), f"are more than {MAX_PLACES} places; none is read")
            return []
        return [place for coord in coords if (place := self._place(coord)) is not None]

    def _length(self, shape: Element, name: str) -> float | None:
        """Metres, or None where it is absent or no length (with a warning)."""
        text = child_words(shape, name)
        if not text:
            return None
        unit = child_words(shape, "distanceUnit")
        if unit.lower() not in METRES:
            self.warn("distanceUnit", unit, f"is no unit that is known; {name} is not known")
            return None
        size_m = length_m(text, unit)
        if size_m is None or size_m > MAX_LENGTH_M:
            self.warn(name, text, "is no length on Earth; it is not known")
            return None
        return size_m

    def _angle(self, shape: Element, name: str) -> float | None:
        text = child_words(shape, name)
        size = number(text)
        if size is None or abs(size) > 1e6:
            self.warn(name, text, "is no angle")
            return None
        return math.degrees(size) if child_words(shape, "angularUnit").lower().startswith("rad") else size

    def _point(self, shape: Element) -> Shape | None:
        place = self._place(child(shape, "coord"))
        return Point(place) if place else None

    def _circle(self, shape: Element) -> Shape | None:
        if child(shape, "radius") is None and child(shape, "semiMajor") is not None:
            self.warn(
                "CircularArea", "", "has the children of an EllipticalArea and no radius; it is read as an ellipse"
            )
            return self._ellipse(shape)
        place = self._place(child(shape, "coord"))
        if place is None:
            return None
        radius_m = self._length(shape, "radius")
        if radius_m:
            return Circle(place, radius_m)
        self.warn("radius", child_words(shape, "radius"), "no radius: the place is used, how good it is is not known")
        return Point(place)

    def _ellipse(self, shape: Element) -> Shape | None:
        place = self._place(child(shape, "coord"))
        if place is None:
            return None
        major_m, minor_m = self._length(shape, "semiMajor"), self._length(shape, "semiMinor")
        turn_deg = self._angle(shape, "angle")
        longest_m = max(major_m or 0.0, minor_m or 0.0)
        if not longest_m:
            self.warn("semiMajor", child_words(shape, "semiMajor"), "no half axes: how good the place is is not known")
            return Point(place)
        if not major_m or not minor_m or turn_deg is None:
            self.warn("EllipticalArea", "", f"lacks an axis or its angle; it is read as a circle of {longest_m:g} m")
            return Circle(place, longest_m)
        if minor_m > major_m:
            self.warn("semiMinor", f"{minor_m:g}", "is longer than semiMajor: exchanged, and turned by 90 degrees")
            major_m, minor_m, turn_deg = minor_m, major_m, turn_deg + 90
        return Ellipse(place, major_m, minor_m, turn_deg % 180 % 180)

    def _arc_band(self, shape: Element) -> Shape | None:
        place = self._place(child(shape, "coord"))
        if place is None:
            return None
        inner_m, outer_m = self._length(shape, "inRadius") or 0.0, self._length(shape, "outRadius") or 0.0
        if inner_m > outer_m > 0:
            self.warn("inRadius", f"{inner_m:g}", "is longer than outRadius: exchanged")
            inner_m, outer_m = outer_m, inner_m
        if outer_m <= inner_m:
            self.warn(
                "outRadius", child_words(shape, "outRadius"), "no outer radius: how good the place is is not known"
            )
            return Point(place)
        start_deg, stop_deg = self._angle(shape, "startAngle"), self._angle(shape, "stopAngle")
        if start_deg is None or stop_deg is None:
            self.warn("CircularArcArea", "", "lacks an angle; it is read as a whole ring")
            start_deg, stop_deg = 0.0, _WHOLE_RING_DEG
        opening_deg = self._opening(start_deg, stop_deg)
        # Twice, because -1e-20 % 360 is 360.
        return ArcBand(place, inner_m, outer_m, start_deg % 360 % 360, opening_deg)

    def _opening(self, start_deg: float, stop_deg: float) -> float:
        """How far an arc opens, by what this peer means with stopAngle."""
        as_end = (stop_deg - start_deg) % 360 or _WHOLE_RING_DEG
        as_opening = min(abs(stop_deg), _WHOLE_RING_DEG) or _WHOLE_RING_DEG
        if self.stop_angle != "wider":
            return as_end if self.stop_angle == "end" else as_opening
        if abs(as_end - as_opening) > 1e-9:
            reason = f"opens by {as_end:g} degrees if it is a direction, by {as_opening:g} if a width: the wider counts"
            self.warn("stopAngle", f"{stop_deg:g}", reason)
        return max(as_end, as_opening)

    def _polygon(self, shape: Element) -> Shape | None:
        outer = child(shape, "outerBoundaryIs", "exterior")
        if outer is None and child(shape, "LinearRing", "coord") is not None:
            self.warn("Polygon", "", "has its ring without outerBoundaryIs; it is read as the outer one")
            outer = shape
        inner = sum(1 for _ in children(shape, "innerBoundaryIs", "interior"))
        if inner:
            self.warn("innerBoundaryIs", str(inner), "holes are not kept: the whole of the outer ring counts")
        if outer is None:
            self.warn("Polygon", "", "has no outerBoundaryIs; the position is not known")
            return None
        before = len(self.warnings)
        ring = self._places(outer)
        if len(ring) > 1 and ring[0] == ring[-1]:
            ring.pop()
        if 3 <= len(ring) <= MAX_CORNERS and len(self.warnings) == before:
            return Polygon(tuple(ring))
        # A corner that is lost, or too many: what holds all the others.
        return self._held("Polygon", ring)

    def _box(self, shape: Element) -> Shape | None:
        corners = self._places(shape)
        if len(corners) < 2 or corners[0] == corners[-1]:
            return self._held("Box", corners)
        low, high = corners[0], corners[1]
        south, north = sorted((low.latitude_deg, high.latitude_deg))
        # The first corner is south-west: a greater longitude than the second's means that 180 degrees lie between,
        # unless the box would then be wider than half the globe.
        west, east = low.longitude_deg, high.longitude_deg
        if west > east and west - east <= 180:
            west, east = east, west
        ring = ((south, west), (south, east), (north, east), (north, west))
        return (
            Polygon(tuple(LatLng(*corner) for corner in ring))
            if south < north and west != east
            else self._held("Box", corners)
        )

    def _line(self, shape: Element) -> Shape | None:
        return self._held("LineString", self._places(shape))

    def _several(self, shape: Element) -> Shape | None:
        members = [e for e in shape.iter() if local_name(e) in self._READERS and e is not shape]
        if len(members) == 1:
            return self._READERS[local_name(members[0])](self, members[0])
        area = next((e for e in members if local_name(e) in _AREAS), None)
        if area is not None:
            self.warn(
                local_name(shape), str(len(members)), "is a collection of areas with radii; only the first counts"
            )
            return self._READERS[local_name(area)](self, area)
        return self._held(local_name(shape), self._places(shape))

    def _held(self, name: str, places: list[LatLng]) -> Shape | None:
        """What holds all places: a convex polygon, else a circle; a point for one place, None for none."""
        if not places:
            self.warn(name, "", "has no place that can be read; the position is not known")
            return None
        held = held_by(places)
        self.warn(name, str(len(places)), f"is read as the {type(held).__name__.lower()} that holds all its places")
        return held

    _READERS: ClassVar[dict[str, Callable[[Shapes, Element], Shape | None]]] = {
        "Point": _point,
        "LineString": _line,
        "Polygon": _polygon,
        "Box": _box,
        "CircularArea": _circle,
        "CircularArcArea": _arc_band,
        "EllipticalArea": _ellipse,
        "MultiPoint": _several,
        "MultiLineString": _several,
        "MultiPolygon": _several,
        "GeometryCollection": _several,
    }


def held_by(places: list[LatLng]) -> Shape:
    """The smallest convex polygon that holds all places, a circle where they lie in a line, a point for one place.

    Parameters
    ----------
    places
        At least one.

    References
    ----------
    Andrew's monotone chain, on longitudes counted from the first place so that 180 degrees does not part them.

    >>> corners = [LatLng(0.0, 179.0), LatLng(1.0, -179.0), LatLng(0.0, -179.0), LatLng(0.2, -179.5)]
    >>> len(held_by(corners).vertices), held_by(corners[:1])
    (3, Point(center=LatLng(latitude_deg=0.0, longitude_deg=179.0)))
    """
    start = places[0].longitude_deg
    flat = sorted({(_turn(p.longitude_deg - start), p.latitude_deg) for p in places})
    hull = _chain(flat) + _chain(flat[::-1])
    if 3 <= len(hull) <= MAX_CORNERS:
        return Polygon(tuple(LatLng(y, _turn(x + start)) for x, y in hull))
    if len(flat) == 1:
        return Point(places[0])
    lngs, lats = [x for x, _ in flat], [y for _, y in flat]
    center = LatLng((min(lats) + max(lats)) / 2, _turn((min(lngs) + max(lngs)) / 2 + start))
    far_m = distance_m(center.latitude_deg, center.longitude_deg, lats, [x + start for x in lngs]).max()
    if far_m == 0:
        return Point(center)
    # distance_m is good to a part in a thousand.
    return Circle(center, min(float(far_m) * 1.001, MAX_LENGTH_M))


def _turn(longitude_deg: float) -> float:
    return (longitude_deg + 180) % 360 - 180


def _chain(ordered: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """One side of the convex hull, without its last place."""
    side: list[tuple[float, float]] = []
    for x, y in ordered:
        while len(side) > 1:
            (x1, y1), (x2, y2) = side[-2:]
            if (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) > 0:
                break
            side.pop()
        side.append((x, y))
    return side[:-1]
