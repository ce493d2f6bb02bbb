"""Shapes of the contract to shapes of the model, every range checked.

Unknown markers pass: an absent or 0,0 centre, a radius or half axis of 0, a polygon without corners. The resolver
says in a warning what it made of them. What no marker explains is a violation.
"""

from __future__ import annotations

from locsvc import model
from locsvc.formats import ranges
from locsvc.rpc.convert.violations import Violations, add, put_under
from locsvc.v1 import geometry_pb2

_LENGTH = "must be from 0 to 20,100,000 metres; send 0 when it is unknown"
_DIRECTION = "must be from 0 to below 360 degrees clockwise from north; reduce it by whole turns"
_ALTITUDE = "must be from -500 to 10,000 metres above the WGS84 ellipsoid; leave it out when it is unknown"

_MAX_LENGTH_M = ranges.MAX_LENGTH_M
_MIN_ALTITUDE_M = ranges.MIN_ALTITUDE_M
_MAX_ALTITUDE_M = ranges.MAX_ALTITUDE_M


def read_degrees(message: geometry_pb2.LatLng, out: Violations) -> tuple[float, float]:
    """Latitude and longitude; 0,0 passes as the marker for "unknown"."""
    latitude_deg = message.latitude_deg
    longitude_deg = message.longitude_deg
    # Written so that NaN, which compares false with everything, is a violation.
    if not -90.0 <= latitude_deg <= 90.0:
        add(out, "latitude_deg", "must be from -90 to 90 degrees; leave the place out when it is unknown")
    if not -180.0 <= longitude_deg <= 180.0:
        add(out, "longitude_deg", "must be from -180 to 180 degrees; leave the place out when it is unknown")
    return latitude_deg, longitude_deg


def read_latlng(message: geometry_pb2.LatLng, out: Violations) -> model.LatLng:
    """The place; 0,0 passes as the marker for "unknown"."""
    return model.LatLng(*read_degrees(message, out))


def _center(message: geometry_pb2.LatLng, out: Violations) -> model.LatLng:
    before = len(out)
    center = read_latlng(message, out)
    if len(out) != before:
        put_under(out, before, "center.")
    return center


def check_length(value_m: float, field: str, out: Violations) -> None:
    """Adds a violation when a length is out of its range."""
    if not 0.0 <= value_m <= _MAX_LENGTH_M:
        add(out, field, _LENGTH)


def _direction(value_deg: float, field: str, out: Violations) -> None:
    if not 0.0 <= value_deg < 360.0:
        add(out, field, _DIRECTION)


def _altitude(value_m: float, field: str, out: Violations) -> None:
    if not _MIN_ALTITUDE_M <= value_m <= _MAX_ALTITUDE_M:
        add(out, field, _ALTITUDE)


def check_half_axes(semi_major_m: float, semi_minor_m: float, orientation_deg: float, out: Violations) -> None:
    """Adds violations when half axes or direction of an ellipse are out of their ranges."""
    check_length(semi_major_m, "semi_major_m", out)
    check_length(semi_minor_m, "semi_minor_m", out)
    _direction(orientation_deg, "orientation_deg", out)
    if semi_minor_m > semi_major_m > 0.0:
        add(
            out, "semi_minor_m", "must be at most semi_major_m; exchange the two and turn orientation_deg by 90 degrees"
        )


def _point(message: geometry_pb2.Point, out: Violations) -> model.Point:
    return model.Point(_center(message.center, out))


def read_circle(message: geometry_pb2.Circle, out: Violations) -> model.Circle:
    """The disc; radius 0 passes as "unknown"."""
    radius_m = message.radius_m
    check_length(radius_m, "radius_m", out)
    return model.Circle(_center(message.center, out), radius_m)


def _ellipse(message: geometry_pb2.Ellipse, out: Violations) -> model.Ellipse:
    major_m, minor_m, orientation_deg = message.semi_major_m, message.semi_minor_m, message.orientation_deg
    check_half_axes(major_m, minor_m, orientation_deg, out)
    return model.Ellipse(_center(message.center, out), major_m, minor_m, orientation_deg)


def _arc_band(message: geometry_pb2.ArcBand, out: Violations) -> model.ArcBand:
    inner_m, outer_m = message.inner_radius_m, message.outer_radius_m
    start_deg, opening_deg = message.start_angle_deg, message.opening_angle_deg
    check_length(inner_m, "inner_radius_m", out)
    check_length(outer_m, "outer_radius_m", out)
    _direction(start_deg, "start_angle_deg", out)
    # All lengths 0: an empty shape, which means "unknown".
    if inner_m or outer_m:
        if inner_m >= outer_m:
            add(out, "outer_radius_m", "must be above inner_radius_m; send both as 0 when they are unknown")
        if opening_deg == 0.0:
            add(out, "opening_angle_deg", "must be above 0; send 360 for a whole ring")
    if not 0.0 <= opening_deg <= 360.0:
        add(out, "opening_angle_deg", "must be above 0 and at most 360 degrees; send 360 for a whole ring")
    return model.ArcBand(_center(message.center, out), inner_m, outer_m, start_deg, opening_deg)


def read_polygon(message: geometry_pb2.Polygon, out: Violations) -> model.Polygon:
    """The polygon without last corners that repeat the first; one without corners passes as "unknown"."""
    count = len(message.vertices)
    if count > ranges.MAX_VERTICES:
        add(out, "vertices", "must have at most 1,000 corners; simplify the outline")
        return model.Polygon(())
    vertices = []
    before = len(out)
    for i, vertex in enumerate(message.vertices):
        vertices.append(read_latlng(vertex, out))
        if len(out) != before:
            put_under(out, before, f"vertices[{i}].")
            before = len(out)
    while len(vertices) > 1 and vertices[0] == vertices[-1]:
        vertices.pop()
    if vertices and len(vertices) < ranges.MIN_VERTICES:
        add(out, "vertices", "must have at least 3 different corners; send a point or a circle for a smaller place")
    return model.Polygon(tuple(vertices))


def _sphere(message: geometry_pb2.Sphere, out: Violations) -> model.Sphere:
    altitude_m, radius_m = message.altitude_m, message.radius_m
    _altitude(altitude_m, "altitude_m", out)
    check_length(radius_m, "radius_m", out)
    return model.Sphere(_center(message.center, out), altitude_m, radius_m)


def _ellipsoid(message: geometry_pb2.Ellipsoid, out: Violations) -> model.Ellipsoid:
    major_m, minor_m, orientation_deg = message.semi_major_m, message.semi_minor_m, message.orientation_deg
    altitude_m, vertical_m = message.altitude_m, message.vertical_m
    check_half_axes(major_m, minor_m, orientation_deg, out)
    _altitude(altitude_m, "altitude_m", out)
    check_length(vertical_m, "vertical_m", out)
    return model.Ellipsoid(_center(message.center, out), altitude_m, major_m, minor_m, vertical_m, orientation_deg)


def _prism(message: geometry_pb2.Prism, out: Violations) -> model.Prism:
    base_altitude_m, height_m = message.base_altitude_m, message.height_m
    _altitude(base_altitude_m, "base_altitude_m", out)
    check_length(height_m, "height_m", out)
    before = len(out)
    base = read_polygon(message.base, out)
    if len(out) != before:
        put_under(out, before, "base.")
    return model.Prism(base, base_altitude_m, height_m)


_READERS = {
    "point": _point,
    "circle": read_circle,
    "ellipse": _ellipse,
    "arc_band": _arc_band,
    "polygon": read_polygon,
    "sphere": _sphere,
    "ellipsoid": _ellipsoid,
    "prism": _prism,
}


def read_shape(message: geometry_pb2.Shape, out: Violations) -> model.Shape | None:
    """The shape, or None when none is set; violations carry the path below `shape`."""
    kind = message.WhichOneof("kind")
    if kind is None:
        return None
    before = len(out)
    shape: model.Shape = _READERS[kind](getattr(message, kind), out)  # type: ignore[operator]
    if len(out) != before:
        put_under(out, before, kind + ".")
    return shape
