"""Shapes as the octets of GAD: what is written holds what was given.

Uncertainty is rounded up, and widened by what the position and the orientation move when they are coded; confidence is
rounded down. The corners of a polygon of up to 15 come back within one step of where they were.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, fields, is_dataclass

from locsvc.errors import FieldViolation, InvalidInput
from locsvc.formats.gad.coding import (
    ALTITUDE_UNCERTAINTY_M,
    ANGLE_STEP_DEG,
    EXTENDED_UNCERTAINTY_M,
    GREATEST_ALTITUDE_M,
    HIGH_ALTITUDE_STEP_M,
    HIGH_LATITUDE_STEP_DEG,
    HIGH_LONGITUDE_STEP_DEG,
    HIGH_UNCERTAINTY_M,
    STANDARD,
    UNCERTAINTY_M,
    Peer,
    code_of,
    latitude_number,
    latitude_of,
    longitude_number,
    longitude_of,
    moved_m,
)
from locsvc.formats.gad.covering import few_cornered, moved_axes_m, turned_axes_m
from locsvc.model import ArcBand, Circle, Ellipse, Ellipsoid, LatLng, Point, Polygon, Prism, Shape, Sphere
from locsvc.uncertainty import rounded_down, to_circle

GREATEST_ANGLE_CODE = 179
GREATEST_INNER_CODE = 65_535
# Clause 6.3a: high accuracy altitudes.
HIGH_ALTITUDES_M = (-500.0, 10_000.0)
_SLACK = 1e-9


def write(
    shape: Shape,
    *,
    confidence: float | None = None,
    high_accuracy: bool = False,
    state_confidence: bool = False,
    peer: Peer = STANDARD,
) -> bytes:
    """The octets of a shape.

    Parameters
    ----------
    shape
        Spheres become ellipsoids, prisms their base, what is too high or too deep loses its height, polygons of more
        than 15 corners become convex ones that hold them.
    confidence
        Above 0, below 1; None is coded as "no information". Points, circles and polygons carry none.
    high_accuracy
        Whether circles, ellipses and ellipsoids take the shapes of high accuracy, where those reach (195 m).
    state_confidence
        Whether a circle becomes an ellipse, which carries the confidence.
    peer
        How the receiver deviates from the standard.

    Raises
    ------
    InvalidInput
        A place, length or confidence is out of its range, or greater than the octets can say.

    References
    ----------
    3GPP TS 23.032 clauses 6 and 7.

    >>> write(Circle(LatLng(55.0, 2.5), 30.0)).hex()
    '104e38e301c71c0f'
    """
    check(shape, confidence)
    given = plain(shape)
    if isinstance(given, Point):
        return b"\x00" + _Placed.of(given.center).octets
    if isinstance(given, Polygon):
        return _polygon(given)
    if isinstance(given, ArcBand):
        return _arc(given, confidence, peer)
    octets = _high(given, confidence, peer) if high_accuracy else None
    if octets is None and isinstance(given, Ellipsoid):
        octets = _ellipsoid(given, confidence, peer)
    if octets is None and isinstance(given, Circle) and not state_confidence:
        octets = _circle(given)
    return octets or _ellipse(as_ellipse(given), confidence, peer)


def write_geographical_information(shape: Shape) -> str:
    """Sixteen hex digits of the circle that holds a shape (TS 29.571 `geographicalInformation`).

    Raises
    ------
    InvalidInput
        As `write`.

    >>> write_geographical_information(Circle(LatLng(55.0, 2.5), 30.0))
    '104E38E301C71C0F'
    """
    check(shape, None)
    circle = to_circle(shape)
    if circle.radius_m <= 0:
        return (b"\x10" + _Placed.of(circle.center).octets + b"\x00").hex().upper()
    return write(circle).hex().upper()


def write_geodetic_information(shape: Shape, *, confidence: float | None = None) -> str:
    """Twenty hex digits: provided by the network, the circle that holds a shape, and its confidence.

    Raises
    ------
    InvalidInput
        As `write`.

    >>> write_geodetic_information(Circle(LatLng(55.0, 2.5), 30.0), confidence=0.67)
    '03104E38E301C71C0F43'
    """
    check(shape, confidence)
    # Presentation allowed, network provided (Q.763 clause 3.88).
    return f"03{write_geographical_information(shape)}{percent(confidence):02X}"


def check(shape: Shape, confidence: float | None) -> None:
    """Raises InvalidInput when a number of the shape is out of its range.

    Raises
    ------
    InvalidInput
        Numbers that are not finite, lengths below 0, places off the Earth, a confidence of 0, 1 or beyond.
    """
    wrong = list(_wrong(shape, "shape"))
    if confidence is not None and not 0 < confidence < 1:
        wrong.append(FieldViolation("confidence", f"{confidence} is not between 0 and 1; give a fraction, or none"))
    if wrong:
        raise InvalidInput(wrong)


def _wrong(part: object, path: str) -> list[FieldViolation]:
    if isinstance(part, tuple):
        return [v for i, inner in enumerate(part) for v in _wrong(inner, f"{path}[{i}]")]
    if is_dataclass(part):
        return [v for f in fields(part) for v in _wrong(getattr(part, f.name), f"{path}.{f.name}")]
    assert isinstance(part, float | int)  # noqa: S101 - shapes are made of places and numbers
    name = path.rsplit(".", 1)[-1]
    low, high = {"latitude_deg": (-90.0, 90.0), "longitude_deg": (-180.0, 180.0)}.get(name, (-math.inf, math.inf))
    if name.endswith("_m") and "altitude" not in name:
        low = 0.0
    if math.isfinite(part) and low <= part <= high:
        return []
    return [FieldViolation(path, f"{part} is outside {low} to {high}")]


def plain(shape: Shape) -> Point | Circle | Ellipse | Ellipsoid | ArcBand | Polygon:
    """The shape as one of those that GAD knows; without a size where that is unknown."""
    if isinstance(shape, Prism):
        return shape.base
    if isinstance(shape, Sphere):
        r = shape.radius_m
        return Ellipsoid(shape.center, shape.altitude_m, r, r, r, 0.0) if r > 0 else Point(shape.center)
    if isinstance(shape, Circle):
        return shape if shape.radius_m > 0 else Point(shape.center)
    if isinstance(shape, Ellipsoid) and shape.vertical_m <= 0:
        shape = Ellipse(shape.center, shape.semi_major_m, shape.semi_minor_m, shape.orientation_deg)
    if isinstance(shape, Ellipse | Ellipsoid) and min(shape.semi_major_m, shape.semi_minor_m) <= 0:
        # One half axis that is unknown takes the other one.
        radius_m = max(shape.semi_major_m, shape.semi_minor_m)
        return Circle(shape.center, radius_m) if radius_m > 0 else Point(shape.center)
    if isinstance(shape, ArcBand) and shape.outer_radius_m <= 0:
        return Point(shape.center)
    return shape


def as_ellipse(shape: Circle | Ellipse | Ellipsoid) -> Ellipse:
    """The shape as an ellipse whose first half axis is the longer one."""
    if isinstance(shape, Circle):
        return Ellipse(shape.center, shape.radius_m, shape.radius_m, 0.0)
    if shape.semi_major_m >= shape.semi_minor_m:
        return Ellipse(shape.center, shape.semi_major_m, shape.semi_minor_m, shape.orientation_deg)
    return Ellipse(shape.center, shape.semi_minor_m, shape.semi_major_m, shape.orientation_deg + 90.0)


def percent(confidence: float | None) -> int:
    """The octet of a confidence, rounded down; 0 for "no information".

    >>> percent(0.579), percent(0.57), percent(None)
    (57, 57, 0)
    """
    return 0 if confidence is None else min(99, round(100 * rounded_down(confidence)))


@dataclass(frozen=True, slots=True)
class _Placed:
    """A place as octets, and how far it moved when it was coded."""

    octets: bytes
    moved_m: float

    @staticmethod
    def of(place: LatLng) -> _Placed:
        lat = latitude_number(place.latitude_deg).to_bytes(3, "big")
        lng = (longitude_number(place.longitude_deg) & 0xFFFFFF).to_bytes(3, "big")
        moved = moved_m(place.latitude_deg, place.longitude_deg, latitude_of(lat), longitude_of(lng))
        return _Placed(lat + lng, moved)

    @staticmethod
    def high(place: LatLng) -> _Placed:
        lat = min(2**31 - 1, math.floor(place.latitude_deg / HIGH_LATITUDE_STEP_DEG + 1e-4))
        lng = min(2**31 - 1, math.floor(place.longitude_deg / HIGH_LONGITUDE_STEP_DEG + 1e-4))
        to_lat, to_lng = lat * HIGH_LATITUDE_STEP_DEG, lng * HIGH_LONGITUDE_STEP_DEG
        moved = moved_m(place.latitude_deg, place.longitude_deg, to_lat, to_lng)
        return _Placed(struct.pack(">ii", lat, lng), moved)


def _circle(circle: Circle) -> bytes:
    placed = _Placed.of(circle.center)
    return b"\x10" + placed.octets + bytes([_code(circle.radius_m + placed.moved_m, "radius_m")])


def _code(length_m: float, name: str, table: tuple[float, ...] = UNCERTAINTY_M) -> int:
    code = code_of(table, length_m)
    if code is None:
        raise InvalidInput(
            [FieldViolation(f"shape.{name}", f"{length_m:,.0f} m is more than GAD can say ({table[-1]:,.0f} m)")]
        )
    return code


def _orientation(ellipse: Ellipse, peer: Peer) -> tuple[int, float, float]:
    """The octet of the orientation, and the half axes that hold the ellipse at what it says."""
    octet = round(ellipse.orientation_deg / peer.orientation_unit_deg)
    turn_deg = ellipse.orientation_deg - octet * peer.orientation_unit_deg
    axes = turned_axes_m(ellipse.semi_major_m, ellipse.semi_minor_m, turn_deg)
    return octet % (180 // peer.orientation_unit_deg), *axes


def _ellipse(ellipse: Ellipse, confidence: float | None, peer: Peer) -> bytes:
    placed = _Placed.of(ellipse.center)
    octet, a, b = _orientation(ellipse, peer)
    a, b = moved_axes_m((a, b), (placed.moved_m, placed.moved_m))
    codes = [_code(a, "semi_major_m"), _code(b, "semi_minor_m"), octet, percent(confidence)]
    return b"\x30" + placed.octets + bytes(codes)


def _ellipsoid(given: Ellipsoid, confidence: float | None, peer: Peer) -> bytes | None:
    """The octets of an ellipsoid; None where its height is beyond them."""
    if abs(given.altitude_m) >= GREATEST_ALTITUDE_M:
        return None
    placed = _Placed.of(given.center)
    height = int(abs(given.altitude_m) + _SLACK)
    risen_m = abs(abs(given.altitude_m) - height)
    octet, a, b = _orientation(as_ellipse(given), peer)
    a, b, v = moved_axes_m((a, b, given.vertical_m), (placed.moved_m, placed.moved_m, risen_m))
    vertical = code_of(UNCERTAINTY_M if peer.altitude_as_width else ALTITUDE_UNCERTAINTY_M, v)
    if vertical is None:
        return None
    altitude = (height | (0x8000 if given.altitude_m < 0 and height else 0)).to_bytes(2, "big")
    codes = [_code(a, "semi_major_m"), _code(b, "semi_minor_m"), octet, vertical, percent(confidence)]
    return b"\x90" + placed.octets + altitude + bytes(codes)


def _high(given: Circle | Ellipse | Ellipsoid, confidence: float | None, peer: Peer) -> bytes | None:
    """The octets of a shape of high accuracy; None where it is too large for one."""
    placed = _Placed.high(given.center)
    octet, a, b = _orientation(as_ellipse(given), peer)
    solid = isinstance(given, Ellipsoid) and HIGH_ALTITUDES_M[0] <= given.altitude_m <= HIGH_ALTITUDES_M[1]
    if not isinstance(given, Ellipsoid) or not solid:
        a, b = moved_axes_m((a, b), (placed.moved_m, placed.moved_m))
        wide = _high_codes((a, b))
        if wide is None:
            return None
        extended, codes = wide
        return (
            bytes([0xD0 if extended else 0xB0]) + placed.octets + bytes([*codes, octet, extended | percent(confidence)])
        )
    steps = math.floor(given.altitude_m / HIGH_ALTITUDE_STEP_M + _SLACK)
    risen_m = given.altitude_m - steps * HIGH_ALTITUDE_STEP_M
    a, b, v = moved_axes_m((a, b, given.vertical_m), (placed.moved_m, placed.moved_m, risen_m))
    wide, tall = _high_codes((a, b)), _high_codes((v,))
    if wide is None or tall is None:
        return None
    c = percent(confidence)
    return (
        bytes([0xE0 if wide[0] or tall[0] else 0xC0])
        + placed.octets
        + (steps & 0x3FFFFF).to_bytes(3, "big")
        + bytes([*wide[1], octet, wide[0] | c, *tall[1], tall[0] | c])
    )


def _high_codes(lengths_m: tuple[float, ...]) -> tuple[int, list[int]] | None:
    """The codes of lengths, in the extended range (bit 8) where the default one ends; None beyond both."""
    for flag, table in ((0, HIGH_UNCERTAINTY_M), (0x80, EXTENDED_UNCERTAINTY_M)):
        codes = [code_of(table, length_m) for length_m in lengths_m]
        known = [code for code in codes if code is not None]
        if len(known) == len(codes):
            return flag, known
    return None


def _arc(band: ArcBand, confidence: float | None, peer: Peer) -> bytes:
    placed, unit = _Placed.of(band.center), peer.inner_radius_unit_m
    inner = min(GREATEST_INNER_CODE, math.floor(max(0.0, band.inner_radius_m - placed.moved_m) / unit + _SLACK))
    width = _code(band.outer_radius_m + placed.moved_m - inner * unit, "outer_radius_m")
    start_deg, opening_deg = band.start_angle_deg % 360.0, min(360.0, band.opening_angle_deg)
    offset = min(GREATEST_ANGLE_CODE, math.floor(start_deg / ANGLE_STEP_DEG + _SLACK))
    included = max(1, math.ceil((start_deg + opening_deg) / ANGLE_STEP_DEG - offset - _SLACK))
    if included > GREATEST_ANGLE_CODE:
        # All around cannot be said: two degrees are missing, and so is their part of the confidence.
        included = GREATEST_ANGLE_CODE
        said_deg = included * ANGLE_STEP_DEG
        confidence = None if confidence is None else confidence * min(1.0, said_deg / opening_deg)
    tail = bytes([width, offset, included, percent(confidence)])
    return b"\xa0" + placed.octets + inner.to_bytes(2, "big") + tail


def _polygon(polygon: Polygon) -> bytes:
    corners = few_cornered(polygon).vertices
    return bytes([0x50 | len(corners)]) + b"".join(_Placed.of(corner).octets for corner in corners)
