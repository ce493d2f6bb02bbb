"""Writing of PIDF-LO: a shape at a stated confidence, rounded so that it never claims more than it was given."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING

from locsvc.errors import FieldViolation, InvalidInput
from locsvc.formats.call_checks import MAX_RADIUS_M
from locsvc.formats.pidf_lo.civic import address_elements
from locsvc.formats.pidf_lo.names import (
    CIVIC,
    CONFIDENCE,
    DEGREE,
    FLAT_CRS,
    GEOPRIV,
    GML,
    METRE,
    PIDF,
    SHAPES,
    SOLID_CRS,
)
from locsvc.formats.pidf_lo.places import GREATEST_ALTITUDE_M, LEAST_ALTITUDE_M
from locsvc.formats.pidf_lo.rings import is_clockwise
from locsvc.formats.spelling import timestamp_text
from locsvc.model import ArcBand, Circle, CivicAddress, Ellipse, Ellipsoid, LatLng, Point, Polygon, Prism, Shape, Sphere

if TYPE_CHECKING:
    from collections.abc import Iterable

# Steps of what is written: 1e-7 degrees are 11 mm, sizes are in centimetres.
PLACE_STEP_DEG = 1e-7  # as :.7f
SIZE_STEP_M = Decimal("0.01")
ANGLE_STEP_DEG = Decimal("0.000001")
CONFIDENCE_STEP = Decimal("0.0001")  # percent
# The end of the year 9999, the last that RFC 3339 can write.
LATEST_S = 253_402_300_799.0
# A presence document must name its entity; this is how SIP names one that stays unnamed (RFC 3323 section 4.1.1.3).
UNNAMED = "pres:anonymous@anonymous.invalid"

# XML 1.0 has no way to write these characters.
_UNWRITABLE = {c: None for c in (*range(32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF) if c not in (9, 10, 13)}


def write(
    shape: Shape | None,
    *,
    confidence: float,
    method: str = "",
    timestamp: float | None = None,
    entity: str = "",
    civic: CivicAddress | None = None,
    altitude_m: float | None = None,
) -> bytes:
    """A PIDF-LO document with one place: the shape, the address, or the shape and then the address.

    Sizes are rounded up and the confidence down, so that the document never claims more than it was given (RFC 7459
    section 3.4); an arc band grows at both ends of its angle. A shape of unknown size is written as a point, which has
    no confidence. The place stands in a tuple: a `device` would need the identity of the handset (RFC 4479).

    Parameters
    ----------
    shape
        None when only the address is known.
    confidence
        That the shape holds the caller, 0.01 to below 1.
    method
        A token of RFC 4119, `names.method_token`.
    timestamp
        When the place was right, seconds since the Unix epoch.
    entity
        URI of the caller, such as `tel:+441632960123`; "" for one that stays unnamed.
    civic
        The address of the same place.
    altitude_m
        Height above the ellipsoid of a point.

    Raises
    ------
    InvalidInput
        The confidence or another number is out of its range, a polygon has fewer than 3 corners, or there is nothing
        to write.

    References
    ----------
    RFC 4119 section 2.2, RFC 5139 section 3, RFC 5491 sections 3 and 5, RFC 7459 section 5.

    >>> document = write(Circle(LatLng(53.3, -6.2), 29.991), confidence=0.95)
    >>> b'<gs:radius uom="urn:ogc:def:uom:EPSG::9001">30.00</gs:radius>' in document
    True
    """
    address = address_elements(civic) if civic is not None else []
    if shape is None and not address:
        raise InvalidInput([FieldViolation("shape", "is absent, and so is the address: there is nothing to write")])
    content = ""
    if shape is not None:
        geometry = _known(shape)
        content = _geometry(geometry, altitude_m)
        if not isinstance(geometry, Point):
            content += f"<con:confidence>{_percent(confidence)}</con:confidence>"
    if address:
        content += "<ca:civicAddress>" + "".join(f"<ca:{n}>{_escaped(t)}</ca:{n}>" for n, t in address)
        content += "</ca:civicAddress>"
    token = f"<gp:method>{_escaped(method)}</gp:method>" if method else ""
    time = (
        f"<timestamp>{timestamp_text(_within('timestamp', timestamp, 0.0, LATEST_S))}</timestamp>"
        if timestamp is not None
        else ""
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<presence xmlns="{PIDF}" xmlns:gp="{GEOPRIV}" xmlns:gml="{GML}" xmlns:gs="{SHAPES}" xmlns:con="{CONFIDENCE}"'
        f' xmlns:ca="{CIVIC}" entity="{_escaped(entity or UNNAMED)}">'
        f'<tuple id="location"><status><gp:geopriv><gp:location-info>{content}</gp:location-info><gp:usage-rules/>'
        f"{token}</gp:geopriv></status>{time}</tuple></presence>\n"
    ).encode()


def _known(shape: Shape) -> Shape:
    """The shape without the sizes that are 0, which means unknown, as a point or as what surely contains it."""
    match shape:
        case Circle(center, 0) | Ellipse(center, 0) | ArcBand(center, _, 0) | Sphere(center, _, 0):
            return Point(center)
        case Ellipse(center, major, 0):
            return Circle(center, major)
        case Ellipsoid() if not (shape.semi_major_m and shape.semi_minor_m and shape.vertical_m):
            return _known(Ellipse(shape.center, shape.semi_major_m, shape.semi_minor_m, shape.orientation_deg))
        case Prism(base, _, 0):
            return base
    return shape


def _geometry(shape: Shape, altitude_m: float | None) -> str:
    match shape:
        case Point(center):
            crs = FLAT_CRS if altitude_m is None else SOLID_CRS
            written = f'<gml:Point srsName="{crs}">{_pos(center, altitude_m)}</gml:Point>'
        case Circle(center, radius_m):
            written = _element("Circle", _pos(center) + _size("radius", radius_m))
        case Ellipse(center):
            written = _element("Ellipse", _pos(center) + _axes(shape) + _orientation(shape))
        case ArcBand():
            written = _element("ArcBand", _arc(shape))
        case Polygon(vertices):
            written = _polygon(vertices, "", f' srsName="{FLAT_CRS}"')
        case Sphere(center, height_m, radius_m):
            written = _element("Sphere", _pos(center, height_m) + _size("radius", radius_m), SOLID_CRS)
        case Ellipsoid(center, height_m):
            sizes = _axes(shape) + _size("verticalAxis", shape.vertical_m)
            written = _element("Ellipsoid", _pos(center, height_m) + sizes + _orientation(shape), SOLID_CRS)
        case Prism():
            written = _element("Prism", _prism(shape), SOLID_CRS)
    return written


def _element(name: str, inner: str, crs: str = FLAT_CRS) -> str:
    return f'<gs:{name} srsName="{crs}">{inner}</gs:{name}>'


def _pos(place: LatLng, altitude_m: float | None = None) -> str:
    return f"<gml:pos>{_numbers(place, _altitude(altitude_m))}</gml:pos>"


def _altitude(altitude_m: float | None) -> str:
    if altitude_m is None:
        return ""
    return f"{_within('altitude_m', altitude_m, LEAST_ALTITUDE_M, GREATEST_ALTITUDE_M):.2f}"


def _numbers(place: LatLng, altitude: str) -> str:
    latitude = _within("latitude_deg", place.latitude_deg, -90.0, 90.0)
    longitude = _within("longitude_deg", place.longitude_deg, -180.0, 180.0)
    return f"{latitude:.7f} {longitude:.7f} {altitude}".rstrip()


def _size(name: str, size_m: float | Decimal, rounding: str = ROUND_CEILING) -> str:
    """An element with a length, rounded up to the step unless told otherwise."""
    rounded = _decimal(name, size_m, MAX_RADIUS_M).quantize(SIZE_STEP_M, rounding)
    return f'<gs:{name} uom="{METRE}">{rounded}</gs:{name}>'


def _axes(shape: Ellipse | Ellipsoid) -> str:
    return _size("semiMajorAxis", shape.semi_major_m) + _size("semiMinorAxis", shape.semi_minor_m)


def _orientation(shape: Ellipse | Ellipsoid) -> str:
    return _angle("orientation", _decimal("orientation_deg", shape.orientation_deg, 360.0))


def _angle(name: str, angle_deg: Decimal) -> str:
    return f'<gs:{name} uom="{DEGREE}">{angle_deg.quantize(ANGLE_STEP_DEG)}</gs:{name}>'


def _arc(band: ArcBand) -> str:
    """The parts of an arc band: the inner radius rounded down, the angle widened at both ends."""
    start = _decimal("start_angle_deg", band.start_angle_deg, 360.0)
    end = start + _decimal("opening_angle_deg", band.opening_angle_deg, 360.0)
    low = start.quantize(ANGLE_STEP_DEG, ROUND_FLOOR)
    opening = min(Decimal(360), (end - low).quantize(ANGLE_STEP_DEG, ROUND_CEILING))
    return (
        _pos(band.center)
        + _size("innerRadius", band.inner_radius_m, ROUND_FLOOR)
        + _size("outerRadius", band.outer_radius_m)
        + _angle("startAngle", low)
        + _angle("openingAngle", opening)
    )


def _polygon(vertices: Iterable[LatLng], altitude: str, attribute: str) -> str:
    """The polygon, counter-clockwise and closed."""
    corners = list(vertices)
    if len(corners) < 3:
        raise InvalidInput([FieldViolation("vertices", f"{len(corners)} corners: a polygon needs at least 3")])
    if is_clockwise(corners):
        corners.reverse()
    positions = " ".join(_numbers(corner, altitude) for corner in (*corners, corners[0]))
    return (
        f"<gml:Polygon{attribute}><gml:exterior><gml:LinearRing><gml:posList>{positions}</gml:posList>"
        "</gml:LinearRing></gml:exterior></gml:Polygon>"
    )


def _prism(prism: Prism) -> str:
    """The parts of a prism: its base rounded down, its top up."""
    base = Decimal(repr(_within("base_altitude_m", prism.base_altitude_m, LEAST_ALTITUDE_M, GREATEST_ALTITUDE_M)))
    low = base.quantize(SIZE_STEP_M, ROUND_FLOOR)
    top = base + _decimal("height_m", prism.height_m, MAX_RADIUS_M)
    return f"<gs:base>{_polygon(prism.base.vertices, str(low), '')}</gs:base>{_size('height', top - low)}"


def _percent(confidence: float) -> str:
    """The confidence in percent, rounded down.

    >>> _percent(0.57), _percent(0.123456789)
    ('57', '12.3456')
    """
    percent = _decimal("confidence", confidence, 1.0) * 100
    written = percent.quantize(CONFIDENCE_STEP, ROUND_FLOOR)
    # Below 1 % a reader, ours too, takes the number for a fraction.
    if not 1 <= written < 100:
        reason = f"{confidence} is no probability from 0.01 to below 1; write 0.9 for 90 %"
        raise InvalidInput([FieldViolation("confidence", reason)])
    return f"{written:f}".rstrip("0").rstrip(".")


def _decimal(name: str, value: float | Decimal, most: float) -> Decimal:
    """The shortest decimal that means the number: 0.57 itself and not the float's last bits, which would round up."""
    return value if isinstance(value, Decimal) else Decimal(repr(float(_within(name, value, 0.0, most))))


def _within(name: str, value: float, least: float, most: float) -> float:
    if not least <= value <= most:
        raise InvalidInput([FieldViolation(name, f"{value} is outside {least:g} to {most:.15g}")])
    return value


def _escaped(text: str) -> str:
    text = text.translate(_UNWRITABLE)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
