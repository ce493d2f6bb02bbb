"""Polygons of PIDF-LO: rings however they are written, closed and counter-clockwise in the end."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from locsvc.formats.call_checks import MAX_VERTICES
from locsvc.formats.pidf_lo.measures import coordinates_of, numbers_of
from locsvc.formats.pidf_lo.names import FLAT_CRS, SOLID_CRS, crs_of, name_of
from locsvc.formats.pidf_lo.notes import Notes
from locsvc.formats.pidf_lo.places import altitude_of, odd_crs
from locsvc.model import LatLng, Polygon

if TYPE_CHECKING:
    from locsvc.formats.xml import Element

_RING_WRAPPERS = frozenset({"exterior", "outerBoundaryIs", "LinearRing", "pointProperty", "Point"})


def polygon_of(element: Element, srs: str | None, notes: Notes) -> tuple[Polygon, float | None] | None:
    """The polygon that an element describes, and its height; None, with a warning, when it cannot be used.

    Parameters
    ----------
    element
        A `gml:Polygon`.
    srs
        Name of the coordinate system, of the polygon or of what it is the base of.

    References
    ----------
    RFC 5491 section 5.2.2.
    """
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
        known, longitude_first = odd_crs(srs, size, notes)
        if not known:
            return None
        if longitude_first:
            positions = [[p[1], p[0], *p[2:]] for p in positions]
    return _closed(positions, notes)


def _collect_ring(element: Element, srs: str | None, positions: list[list[float]], notes: Notes) -> None:
    """Adds the positions of the outer ring, however they are written."""
    for child in element:
        name = name_of(child, notes)
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
    other = 5 - size
    if len(numbers) % size or (given is None and not _closes(numbers, size) and _closes(numbers, other)):
        size = other
    if len(numbers) % size:
        notes.warn("gml:posList", f"{len(numbers)} numbers", "cannot be grouped in twos or threes: not read")
        return []
    return [numbers[i : i + size] for i in range(0, len(numbers), size)]


def _closes(numbers: list[float], size: int) -> bool:
    return len(numbers) % size == 0 and numbers[:size] == numbers[-size:]


def _closed(positions: list[list[float]], notes: Notes) -> tuple[Polygon, float | None] | None:
    """The polygon through the positions, counter-clockwise, its first corner not repeated."""
    if positions[0][:2] != positions[-1][:2]:
        if notes.cut:
            notes.warn("gml:Polygon", "", "was cut off: not read, as corners are missing")
            return None
        notes.warn("gml:Polygon", "", "is not closed: its first corner was taken for the last, too")
    corners = _corners(positions, notes)
    if corners is None:
        return None
    if is_clockwise(corners):
        notes.warn("gml:Polygon", "", "is clockwise: turned round")
        corners = [corners[0], *corners[:0:-1]]
    return Polygon(tuple(corners)), _common_altitude_m(positions, notes)


def _corners(positions: list[list[float]], notes: Notes) -> list[LatLng] | None:
    """The corners, none twice in a row; None, with a warning, when they make no polygon on Earth."""
    exchanged = _longitudes_first(positions)
    if exchanged:
        notes.warn("gml:Polygon", " ".join(map(str, positions[0])), "has its longitudes first: exchanged")
    corners: list[LatLng] = []
    for position in positions:
        latitude, longitude = position[1::-1] if exchanged else position[:2]
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
    return corners


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
    return altitude_of(heights.pop(), notes)
