"""What the octets of a GAD shape say.

Each shape has a function that takes the octets, of the shape's own length, and gives the report; what is odd goes to
the notes. Uncertainty code 0 and confidence 0 mean "unknown": they never make a place exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from locsvc.formats.gad.coding import (
    ALTITUDE_UNCERTAINTY_M,
    ANGLE_STEP_DEG,
    EXTENDED_UNCERTAINTY_M,
    HIGH_ALTITUDE_STEP_M,
    HIGH_LATITUDE_STEP_DEG,
    HIGH_LONGITUDE_STEP_DEG,
    HIGH_UNCERTAINTY_M,
    UNCERTAINTY_M,
    Peer,
    latitude_of,
    longitude_of,
)
from locsvc.formats.ranges import MAX_ALTITUDE_M, MIN_ALTITUDE_M
from locsvc.formats.reading import FormatWarning, Reading, Unreadable
from locsvc.model import (
    ArcBand,
    Circle,
    DeviceReport,
    Ellipse,
    Ellipsoid,
    Evidence,
    LatLng,
    Point,
    Polygon,
    Shape,
)
from locsvc.units import UNSTATED_CONFIDENCE, sigmas_of_height

# Code of the shape -> its name in TS 29.572 (high accuracy: named alike) and its length in octets; 0 where it varies.
SHAPES: dict[int, tuple[str, int]] = {
    0: ("POINT", 7),
    1: ("POINT_UNCERTAINTY_CIRCLE", 8),
    3: ("POINT_UNCERTAINTY_ELLIPSE", 11),
    5: ("POLYGON", 0),
    8: ("POINT_ALTITUDE", 9),
    9: ("POINT_ALTITUDE_UNCERTAINTY", 14),
    10: ("ELLIPSOID_ARC", 13),
    11: ("HIGH_ACCURACY_POINT_UNCERTAINTY_ELLIPSE", 13),
    12: ("HIGH_ACCURACY_POINT_ALTITUDE_UNCERTAINTY", 18),
    13: ("HIGH_ACCURACY_POINT_SCALABLE_ELLIPSE", 13),
    14: ("HIGH_ACCURACY_POINT_ALTITUDE_SCALABLE", 18),
}
POLYGON = 5
FIRST_HIGH_ACCURACY = 11
FEWEST_CORNERS, MOST_CORNERS = 3, 15
POINT_OCTETS, HIGH_POINT_OCTETS = 7, 9
SHOWN_OCTETS = 32

_LENGTHS = tuple(SHAPES.get(code, ("", 0))[1] for code in range(16))
_NO_SIZE = FormatWarning("shape", "", "states no uncertainty; read as a place without a radius, never as exact")
_CODE_0 = FormatWarning("uncertainty code", "0", "means unknown; read as a place without a radius, never as exact")
_NO_CONFIDENCE = FormatWarning("confidence", "0", "means no information; the confidence is left open")
_ALL_SURE = FormatWarning("confidence", "100", "nothing is certain; taken as 99 %")
_NULL_PLACE = FormatWarning("position", "0,0", "is what broken senders give for unknown; not used")


@dataclass(slots=True)
class Notes:
    """What is gathered while a shape is read."""

    peer: Peer
    warnings: list[FormatWarning] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)

    def warn(self, name: str, value: object, reason: str) -> None:
        """Notes a warning."""
        self.warnings.append(FormatWarning(name, str(value), reason))

    def confidence(self, percent: int, name: str = "confidence") -> float | None:
        """The confidence as a fraction; None for "no information"."""
        self.details[name] = str(percent)
        if 0 < percent < 100:
            return percent / 100
        if percent == 100:
            self.warnings.append(_ALL_SURE)
            return 0.99
        if percent == 0:
            self.warnings.append(_NO_CONFIDENCE)
        else:
            self.warn(name, percent, "is no percentage; the confidence is left open")
        return None

    def reading(self, report: DeviceReport | None, observed_at: float | None = None) -> Reading:
        """The reading of one report; None says no place."""
        if report is None:
            return Reading((), tuple(self.warnings), no_location="the position is 0,0", details=self.details)
        return Reading((Evidence(report, "", "", observed_at),), tuple(self.warnings), details=self.details)


def is_whole(octets: bytes) -> bool:
    """Whether there are as many octets as the shape in front of them has."""
    code = octets[0] >> 4
    if code == POLYGON:
        return len(octets) == 1 + 6 * (octets[0] & 15) and octets[0] & 15 >= FEWEST_CORNERS
    return len(octets) == _LENGTHS[code] > 0


def read_octets(octets: bytes, peer: Peer) -> Reading:
    """What one shape says.

    Raises
    ------
    Unreadable
        The shape is unknown, or cut before the end of its position.
    """
    code = octets[0] >> 4
    known = _READERS.get(code)
    if known is None:
        shown = octets[:SHOWN_OCTETS].hex()
        raise Unreadable(f"GAD shape {code} is unknown (octets {shown}); known are 0, 1, 3, 5 and 8 to 14")
    notes = Notes(peer)
    notes.details["shape"] = SHAPES[code][0]
    reader, length = known
    if code == POLYGON:
        return notes.reading(_polygon(octets, notes))
    if len(octets) != length:
        if len(octets) < length:
            return notes.reading(_cut(octets, length, notes))
        notes.warn("octets", len(octets), f"the shape has {length}; those behind are ignored")
    if code < FIRST_HIGH_ACCURACY:
        place = LatLng(latitude_of(octets[1:4]), longitude_of(octets[4:7]))
    else:
        place = LatLng(
            int.from_bytes(octets[1:5], "big", signed=True) * HIGH_LATITUDE_STEP_DEG,
            int.from_bytes(octets[5:9], "big", signed=True) * HIGH_LONGITUDE_STEP_DEG,
        )
    if place.latitude_deg == 0 and place.longitude_deg == 0:
        notes.warnings.append(_NULL_PLACE)
        return notes.reading(None)
    return notes.reading(reader(octets, place, notes))


def _cut(octets: bytes, length: int, notes: Notes) -> DeviceReport | None:
    """The position of a shape whose end is missing."""
    high = octets[0] >> 4 >= FIRST_HIGH_ACCURACY
    if len(octets) < (HIGH_POINT_OCTETS if high else POINT_OCTETS):
        raise Unreadable(f"GAD of {len(octets)} octets ends before its position; the shape has {length}")
    notes.warn("octets", len(octets), f"the shape has {length}; its position alone is used, without a size")
    if high:
        lat = int.from_bytes(octets[1:5], "big", signed=True) * HIGH_LATITUDE_STEP_DEG
        lng = int.from_bytes(octets[5:9], "big", signed=True) * HIGH_LONGITUDE_STEP_DEG
    else:
        lat, lng = latitude_of(octets[1:4]), longitude_of(octets[4:7])
    if lat == 0 and lng == 0:
        notes.warnings.append(_NULL_PLACE)
        return None
    return DeviceReport(Point(LatLng(lat, lng)))


def _point(_octets: bytes, place: LatLng, notes: Notes) -> DeviceReport:
    notes.warnings.append(_NO_SIZE)
    return DeviceReport(Point(place))


def _circle(octets: bytes, place: LatLng, notes: Notes) -> DeviceReport:
    code = octets[7] & 0x7F
    notes.details["uncertainty code"] = str(code)
    if code == 0:
        notes.warnings.append(_CODE_0)
        return DeviceReport(Point(place), notes.peer.circle_confidence)
    return DeviceReport(Circle(place, UNCERTAINTY_M[code]), notes.peer.circle_confidence)


def _ellipse(octets: bytes, place: LatLng, notes: Notes) -> DeviceReport:
    shape = flat_shape(place, octets[7] & 0x7F, octets[8] & 0x7F, octets[9], UNCERTAINTY_M, notes)
    return DeviceReport(shape, notes.confidence(octets[10] & 0x7F))


def flat_shape(
    place: LatLng, major: int, minor: int, orientation: int, table: tuple[float, ...], notes: Notes
) -> Shape:
    """The ellipse of two codes; a circle or a place where one or both say "unknown"."""
    details = notes.details
    details["semi-major code"], details["semi-minor code"] = str(major), str(minor)
    details["orientation"] = str(orientation)
    a, b = _length(table, major), _length(table, minor)
    if a and b:
        return ordered_ellipse(place, a, b, _orientation_deg(orientation, notes), notes)
    if a or b:
        notes.warn("uncertainty code", 0, "of one half axis means unknown; the other one is taken for both")
        return Circle(place, a or b)
    notes.warnings.append(_CODE_0)
    return Point(place)


def ordered_ellipse(place: LatLng, a: float, b: float, orientation_deg: float, notes: Notes) -> Ellipse:
    """The ellipse with its longer half axis first, as the contract has it: the same one, named otherwise."""
    if a >= b:
        return Ellipse(place, a, b, orientation_deg)
    notes.warn("semi-minor axis", f"{b:g}", f"longer than the semi-major one, {a:g} m: exchanged, turned by 90 degrees")
    return Ellipse(place, b, a, (orientation_deg + 90.0) % 180.0)


def _length(table: tuple[float, ...], code: int) -> float:
    """Metres of a code; 0 for one that is reserved."""
    return table[code] if code < len(table) else 0.0


def _orientation_deg(octet: int, notes: Notes) -> float:
    """Degrees from north; an octet above 89 proves that it counts degrees."""
    unit = notes.peer.orientation_unit_deg
    degrees = octet * unit
    if degrees >= 180:
        if octet < 180:
            notes.warn("orientation", octet, f"too great for steps of {unit} degrees; read as degrees")
            return float(octet)
        notes.warn("orientation", octet, "180 and above are not used; taken modulo 180")
        return float(octet % 180)
    return float(degrees)


def _altitude_m(octets: bytes, notes: Notes) -> float:
    """Altitude in two octets, metres: a sign and 15 bits."""
    n = octets[0] << 8 | octets[1]
    altitude_m = -(n & 0x7FFF) if n & 0x8000 else n
    notes.details["altitude"] = str(altitude_m)
    if n & 0x7FFF == 0x7FFF:
        notes.warn("altitude", altitude_m, "stands for this height and all beyond it")
    return float(altitude_m)


def _point_altitude(octets: bytes, place: LatLng, notes: Notes) -> DeviceReport:
    notes.warnings.append(_NO_SIZE)
    return DeviceReport(Point(place), altitude_m=possible_altitude(_altitude_m(octets[7:9], notes), notes))


def _ellipsoid(octets: bytes, place: LatLng, notes: Notes) -> DeviceReport:
    altitude_m = _altitude_m(octets[7:9], notes)
    shape = flat_shape(place, octets[9] & 0x7F, octets[10] & 0x7F, octets[11], UNCERTAINTY_M, notes)
    code = octets[12] & 0x7F
    notes.details["altitude uncertainty code"] = str(code)
    table = UNCERTAINTY_M if notes.peer.altitude_as_width else ALTITUDE_UNCERTAINTY_M
    confidence = notes.confidence(octets[13] & 0x7F)
    return solid_report(shape, altitude_m, table[code], confidence, notes)


def possible_altitude(altitude_m: float, notes: Notes) -> float | None:
    """The altitude, None where no caller can be."""
    if MIN_ALTITUDE_M <= altitude_m <= MAX_ALTITUDE_M:
        return altitude_m
    notes.warn("altitude", f"{altitude_m:g}", f"is outside {MIN_ALTITUDE_M:g} to {MAX_ALTITUDE_M:g} m; left out")
    return None


def solid_report(
    shape: Shape, altitude_m: float, vertical_m: float, confidence: float | None, notes: Notes
) -> DeviceReport:
    """A report of a flat shape with a height; an ellipsoid where all three half axes are known."""
    if possible_altitude(altitude_m, notes) is None:
        return DeviceReport(shape, confidence)
    if isinstance(shape, Circle):
        shape = Ellipse(shape.center, shape.radius_m, shape.radius_m, 0.0)
    if vertical_m <= 0:
        notes.warn("altitude uncertainty code", 0, "means unknown; the altitude has no uncertainty")
        return DeviceReport(shape, confidence, altitude_m=altitude_m)
    if isinstance(shape, Ellipse):
        shape = Ellipsoid(
            shape.center, altitude_m, shape.semi_major_m, shape.semi_minor_m, vertical_m, shape.orientation_deg
        )
    return DeviceReport(shape, confidence, altitude_m=altitude_m, vertical_uncertainty_m=vertical_m)


def _arc(octets: bytes, place: LatLng, notes: Notes) -> DeviceReport:
    details = notes.details
    steps = octets[7] << 8 | octets[8]
    width = octets[9] & 0x7F
    details["inner radius"], details["uncertainty radius code"] = str(steps), str(width)
    details["offset angle"], details["included angle"] = str(octets[10]), str(octets[11])
    inner_m = float(steps * notes.peer.inner_radius_unit_m)
    start_deg, opening_deg = arc_angles_deg(octets[10], octets[11], notes)
    shape = band(place, inner_m, UNCERTAINTY_M[width], start_deg, opening_deg, notes)
    return DeviceReport(shape, notes.confidence(octets[12] & 0x7F))


def arc_angles_deg(offset: int, included: int, notes: Notes) -> tuple[float, float]:
    """Start and opening, degrees; all around where an octet is out of its range."""
    if offset >= 180 or included >= 180:
        notes.warn("angles", f"{offset}, {included}", "steps of 2 degrees go to 179; all directions are taken")
        return 0.0, 360.0
    if included == 0:
        notes.warn("included angle", 0, "stands for up to 2 degrees; 2 are taken")
    return float(offset * ANGLE_STEP_DEG), float((included or 1) * ANGLE_STEP_DEG)


def band(
    place: LatLng, inner_m: float, width_m: float, start_deg: float, opening_deg: float, notes: Notes
) -> ArcBand | Point:
    """The arc band; from the mast on where its width is unknown."""
    if width_m > 0:
        return ArcBand(place, inner_m, inner_m + width_m, start_deg, opening_deg)
    if inner_m == 0:
        notes.warnings.append(_CODE_0)
        return Point(place)
    notes.warn("uncertainty radius code", 0, "means unknown; all from the mast to the inner radius is taken")
    return ArcBand(place, 0.0, inner_m + notes.peer.inner_radius_unit_m, start_deg, opening_deg)


def _polygon(octets: bytes, notes: Notes) -> DeviceReport | None:
    stated, present = octets[0] & 15, (len(octets) - 1) // 6
    notes.details["number of points"] = str(stated)
    if present == 0:
        raise Unreadable(f"GAD polygon of {len(octets)} octets has no whole corner; a corner takes 6")
    count = stated if stated >= FEWEST_CORNERS else min(present, MOST_CORNERS)
    if stated < FEWEST_CORNERS:
        notes.warn("number of points", stated, f"a polygon has 3 to 15; {present} corners are there")
    if len(octets) > 1 + 6 * count:
        notes.warn("octets", len(octets), f"the polygon has {1 + 6 * count}; those behind are ignored")
    corners = tuple(
        LatLng(latitude_of(octets[at : at + 3]), longitude_of(octets[at + 3 : at + 6]))
        for at in range(1, 1 + 6 * min(count, present), 6)
    )
    return polygon_report(corners, notes, whole=present >= count)


def polygon_report(
    corners: tuple[LatLng, ...], notes: Notes, *, whole: bool = True, confidence: float | None = None
) -> DeviceReport | None:
    """The polygon of these corners; the first of them alone where corners are missing."""
    if len(corners) > FEWEST_CORNERS and corners[0] == corners[-1]:
        corners = corners[:-1]
    if not any(c.latitude_deg or c.longitude_deg for c in corners):
        notes.warnings.append(_NULL_PLACE)
        return None
    if whole and len(set(corners)) >= FEWEST_CORNERS:
        return DeviceReport(Polygon(corners), confidence)
    notes.warn("points", len(corners), "corners are missing or all alike; the first alone is used, without a size")
    first = next(c for c in corners if c.latitude_deg or c.longitude_deg)
    return DeviceReport(Point(first))


def _high_ellipse(octets: bytes, place: LatLng, notes: Notes) -> DeviceReport:
    table = _high_table(octets, 12, "uncertainty range", notes)
    shape = flat_shape(place, octets[9], octets[10], octets[11], table, notes)
    return DeviceReport(shape, notes.confidence(octets[12] & 0x7F))


def _high_table(octets: bytes, at: int, name: str, notes: Notes) -> tuple[float, ...]:
    """The uncertainties of a high accuracy shape: bit 8 of a scalable one's confidence chooses the extended range."""
    if octets[0] >> 4 < 13:
        return HIGH_UNCERTAINTY_M
    notes.details[name] = "extended" if octets[at] & 0x80 else "default"
    return EXTENDED_UNCERTAINTY_M if octets[at] & 0x80 else HIGH_UNCERTAINTY_M


def _high_ellipsoid(octets: bytes, place: LatLng, notes: Notes) -> DeviceReport:
    n = int.from_bytes(octets[9:12], "big") & 0x3FFFFF
    altitude_m = (n if n < 0x200000 else n - 0x400000) * HIGH_ALTITUDE_STEP_M
    notes.details["altitude"] = f"{altitude_m:g}"
    table = _high_table(octets, 15, "horizontal uncertainty range", notes)
    shape = flat_shape(place, octets[12], octets[13], octets[14], table, notes)
    confidence = notes.confidence(octets[15] & 0x7F, "horizontal confidence")
    notes.details["altitude uncertainty code"] = str(octets[16])
    vertical_m = _length(_high_table(octets, 17, "vertical uncertainty range", notes), octets[16])
    vertical = notes.confidence(octets[17] & 0x7F, "vertical confidence")
    if vertical and vertical != confidence and vertical_m:
        # The model has one confidence: the half height is taken to that of the width, as a Gaussian.
        vertical_m *= sigmas_of_height(confidence or UNSTATED_CONFIDENCE) / sigmas_of_height(vertical)
        notes.warn("vertical confidence", octets[17] & 0x7F, "differs; the half height is taken to the horizontal one")
    return solid_report(shape, altitude_m, vertical_m, confidence, notes)


_Read = Callable[[bytes, LatLng, Notes], DeviceReport]
_READERS: dict[int, tuple[_Read, int]] = {
    code: (reader, SHAPES[code][1])
    for code, reader in {
        0: _point,
        1: _circle,
        3: _ellipse,
        POLYGON: _point,
        8: _point_altitude,
        9: _ellipsoid,
        10: _arc,
        11: _high_ellipse,
        12: _high_ellipsoid,
        13: _high_ellipse,
        14: _high_ellipsoid,
    }.items()
}
