"""Geodetic information of ISUP and MAP: GAD's points and lengths in frames and numbers of their own.

References
----------
ITU-T Q.763 clause 3.88 (calling geodetic location); 3GPP TS 29.571 `geographicalInformation` (16 hex digits) and
`geodeticInformation` (20 hex digits). The types of shape are numbered otherwise than in TS 23.032.
"""

from __future__ import annotations

from locsvc.formats.gad.coding import UNCERTAINTY_M, Peer, latitude_of, longitude_of
from locsvc.formats.gad.octets import (
    Notes,
    arc_angles_deg,
    band,
    flat_shape,
    polygon_report,
    read_octets,
    solid_report,
)
from locsvc.formats.reading import Reading, Unreadable
from locsvc.model import Circle, DeviceReport, LatLng, Point

GEODETIC_INFORMATION_OCTETS = 10
_SHAPES = (
    "ellipsoid point",
    "ellipsoid point with uncertainty",
    "point with altitude and uncertainty",
    "ellipse on the ellipsoid",
    "ellipsoid circle sector",
    "polygon",
)
# Octets behind the type: three of latitude, three of longitude, and the shape's own.
_LENGTHS = (6, 8, 11, 10, 10)
_POLYGON = 5
_NOT_AVAILABLE = 2
_CIRCLE = 0x10


def is_geodetic_information(octets: bytes) -> bool:
    """Whether these octets are an indicator, a circle and a confidence rather than a shape by itself."""
    return (
        len(octets) == GEODETIC_INFORMATION_OCTETS
        and octets[0] < 0x10
        and (octets[1] & 0xF0 == _CIRCLE or octets[1] & 0x7F == 1)
    )


def read_geodetic_location(octets: bytes, peer: Peer) -> Reading:
    """What a calling geodetic location or a MAP geodetic information says.

    Raises
    ------
    Unreadable
        The shape is unknown, or cut before the end of its position.
    """
    presentation = octets[0] >> 2 & 3
    if presentation == _NOT_AVAILABLE:
        return Reading(no_location="the geodetic location is marked as not available")
    notes = Notes(peer)
    notes.details["screening and presentation"] = str(octets[0] & 15)
    if len(octets) < 2:
        raise Unreadable("geodetic location of one octet has no shape; a point has 8 octets")
    if octets[1] & 0xF0 == _CIRCLE and len(octets) == GEODETIC_INFORMATION_OCTETS:
        return _circle_of_map(octets, peer, notes)
    kind, body = octets[1] & 0x7F, octets[2:]
    if kind >= len(_SHAPES):
        raise Unreadable(f"geodetic location of type {kind} is unknown; known are 0 to {_POLYGON}")
    notes.details["shape"] = _SHAPES[kind]
    if kind == _POLYGON:
        return notes.reading(_polygon(body, notes))
    if len(body) < 6:
        raise Unreadable(f"geodetic location of {len(octets)} octets ends before its position; a point has 8")
    place = LatLng(latitude_of(body[:3]), longitude_of(body[3:6]))
    if place.latitude_deg == 0 and place.longitude_deg == 0:
        notes.warn("position", "0,0", "is what broken senders give for unknown; not used")
        return notes.reading(None)
    if len(body) < _LENGTHS[kind]:
        notes.warn("octets", len(octets), f"the shape has {_LENGTHS[kind] + 2}; its position alone is used")
        return notes.reading(DeviceReport(Point(place)))
    return notes.reading(_report(kind, place, body[6:], notes))


def _circle_of_map(octets: bytes, peer: Peer, notes: Notes) -> Reading:
    """MAP's form: the GAD circle as it is, and the confidence that it lacks."""
    inner = read_octets(octets[1:9], peer)
    notes.details.update(inner.details)
    notes.warnings.extend(inner.warnings)
    confidence = notes.confidence(octets[9] & 0x7F)
    if not inner.evidence:
        return notes.reading(None)
    report = inner.evidence[0].content
    return notes.reading(DeviceReport(report.shape if isinstance(report, DeviceReport) else None, confidence))


def _report(kind: int, place: LatLng, rest: bytes, notes: Notes) -> DeviceReport:
    if kind == 0:
        notes.warn("shape", "", "states no uncertainty; read as a place without a radius, never as exact")
        return DeviceReport(Point(place))
    if kind == 3:
        shape = flat_shape(place, rest[0] & 0x7F, rest[1] & 0x7F, rest[2], UNCERTAINTY_M, notes)
        return DeviceReport(shape, notes.confidence(rest[3] & 0x7F))
    width = rest[0] & 0x7F
    notes.details["uncertainty code"] = str(width)
    if kind == 4:
        notes.details["offset angle"], notes.details["included angle"] = str(rest[1]), str(rest[2])
        start_deg, opening_deg = arc_angles_deg(rest[1], rest[2], notes)
        sector = band(place, 0.0, UNCERTAINTY_M[width], start_deg, opening_deg, notes)
        return DeviceReport(sector, notes.confidence(rest[3] & 0x7F))
    circle = Circle(place, UNCERTAINTY_M[width]) if width else Point(place)
    if not width:
        notes.warn("uncertainty code", 0, "means unknown; read as a place without a radius, never as exact")
    if kind == 1:
        return DeviceReport(circle, notes.confidence(rest[1] & 0x7F))
    altitude = rest[1] << 8 | rest[2]
    altitude_m = -(altitude & 0x7FFF) if altitude & 0x8000 else altitude
    notes.details["altitude"] = str(altitude_m)
    notes.details["altitude uncertainty code"] = str(rest[3] & 0x7F)
    confidence = notes.confidence(rest[4] & 0x7F)
    # This form has one table of uncertainties, for widths and heights.
    return solid_report(circle, float(altitude_m), UNCERTAINTY_M[rest[3] & 0x7F], confidence, notes)


def _polygon(body: bytes, notes: Notes) -> DeviceReport | None:
    count, present = body[0] & 15 if body else 0, (len(body) - 1) // 6
    notes.details["number of points"] = str(count)
    if not count or present <= 0:
        raise Unreadable(f"geodetic location: a polygon of {count} points and {len(body)} octets has no corner")
    corners = tuple(
        LatLng(latitude_of(body[at : at + 3]), longitude_of(body[at + 3 : at + 6]))
        for at in range(1, 1 + 6 * min(count, present), 6)
    )
    end = 1 + 6 * count
    confidence = notes.confidence(body[end] & 0x7F) if len(body) > end else None
    return polygon_report(corners, notes, whole=present >= count, confidence=confidence)
