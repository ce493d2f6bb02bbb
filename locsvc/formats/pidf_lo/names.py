"""Names of PIDF-LO: namespaces, elements, coordinate systems, units, method tokens, as written and as often miswritten.

References: RFC 3863, RFC 4119, RFC 4479, RFC 5139, RFC 5222, RFC 5491, RFC 6848, RFC 7459; OGC 06-142r1 (shapes).
"""

from __future__ import annotations

import functools
import math
import re
from typing import TYPE_CHECKING

from locsvc.formats.pidf_lo.notes import Notes
from locsvc.model import PositioningMethod

if TYPE_CHECKING:
    from locsvc.formats.xml import Element

PIDF = "urn:ietf:params:xml:ns:pidf"
DATA_MODEL = "urn:ietf:params:xml:ns:pidf:data-model"
GEOPRIV = "urn:ietf:params:xml:ns:pidf:geopriv10"
CIVIC = "urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr"
CIVIC_EXTENSION = "urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr:ext"
CONFIDENCE = "urn:ietf:params:xml:ns:geopriv:conf"
GML = "http://www.opengis.net/gml"
SHAPES = "http://www.opengis.net/pidflo/1.0"
LOST = "urn:ietf:params:xml:ns:lost1"

# 2-D and 3-D WGS84, latitude first, height above the ellipsoid last (RFC 5491 section 5).
FLAT_CRS = "urn:ogc:def:crs:EPSG::4326"
SOLID_CRS = "urn:ogc:def:crs:EPSG::4979"
METRE = "urn:ogc:def:uom:EPSG::9001"
RADIAN = "urn:ogc:def:uom:EPSG::9101"
DEGREE = "urn:ogc:def:uom:EPSG::9102"

_ELEMENTS = {
    PIDF: "presence tuple status timestamp contact basic note",
    DATA_MODEL: "device person deviceID timestamp note",
    GEOPRIV: "geopriv location-info method usage-rules provided-by note-well",
    CIVIC: "civicAddress",
    CONFIDENCE: "confidence",
    GML: "Point Polygon CircleByCenterPoint pos posList coordinates exterior interior outerBoundaryIs innerBoundaryIs "
    "LinearRing pointProperty radius location",
    SHAPES: "Circle Ellipse ArcBand Sphere Ellipsoid Prism radius semiMajorAxis semiMinorAxis verticalAxis orientation "
    "innerRadius outerRadius startAngle openingAngle base height",
}
_NAMES = {f"{{{space}}}{name}": name for space, names in _ELEMENTS.items() for name in names.split()}
_KNOWN = frozenset(_NAMES.values())
# The wrapper of one location in a LoST query, told from gml:location by its capital.
_NAMES[f"{{{LOST}}}location"] = "Location"
# Namespaces that are meant to be one of the above: other versions (gml/3.2), drafts, none, a prefix not declared.
_FAMILIAR = re.compile(r"pidf|geopriv(?!:(?:held|lm)\b)|gml|opengis", re.IGNORECASE)


def name_of(element: Element, notes: Notes) -> str:
    """The element's local name when PIDF-LO has such an element, else "".

    A namespace that is not quite the right one is accepted with a warning.
    """
    tag = element.tag
    name = _NAMES.get(tag)
    if name is not None:
        return name
    # Longer ones are not kept in the cache, which would grow large on them.
    name = _odd_name(tag) if len(tag) <= 200 else ""
    if name:
        space = tag[1 : tag.find("}")] if tag.startswith("{") else ""
        if not any(w.field == "namespace" for w in notes.warnings):
            notes.warn("namespace", space, "is not that of PIDF-LO's elements: they were read all the same")
    return name


@functools.lru_cache(maxsize=512)
def _odd_name(tag: str) -> str:
    space, _, name = tag.rpartition("}")
    name = name.rpartition(":")[2]
    return name if name in _KNOWN and (not space or _FAMILIAR.search(space)) else ""


# Codes of the EPSG register: how many numbers a position has. WGS84 is 4326 and 4979 (4327 its old 3-D form); ETRS89
# (4258, 4937) and NAD83 (4269) are within a metre or two of it.
_CRS_SIZES = {"4326": 2, "4979": 3, "4327": 3, "4258": 2, "4937": 3, "4269": 2}
_CRS_CODE = re.compile(r"(?:EPSG.{0,20}?[:/#]|^)([0-9]{4,6})/?$", re.IGNORECASE)
_LONGITUDE_FIRST = re.compile(r"CRS:?84h?", re.IGNORECASE)
_PLAIN_WGS84 = re.compile(r"WGS[-_ ]?(?:19)?84(?:_DD)?", re.IGNORECASE)


@functools.lru_cache(maxsize=256)
def crs_of(name: str) -> tuple[int, bool]:
    """How many numbers a position has in a coordinate system, and whether longitude is first; (0, False) for none.

    >>> crs_of("urn:ogc:def:crs:EPSG::4979"), crs_of("epsg:4326"), crs_of("urn:ogc:def:crs:OGC:1.3:CRS84")
    ((3, False), (2, False), (2, True))
    """
    name = name.strip()[-100:]
    found = _CRS_CODE.search(name)
    if found:
        return _CRS_SIZES.get(found[1], 0), False
    if _LONGITUDE_FIRST.search(name):
        return (3 if name[-1] in "hH" else 2), True
    return (2 if _PLAIN_WGS84.search(name) else 0), False


# Metres and degrees in a unit, by the EPSG code (OGC's names end in it) or the word that stands there.
_LENGTHS_M = {
    "9001": 1.0,
    "m": 1.0,
    "metre": 1.0,
    "metres": 1.0,
    "meter": 1.0,
    "meters": 1.0,
    "9002": 0.3048,
    "ft": 0.3048,
    "foot": 0.3048,
    "feet": 0.3048,
    "9003": 1200 / 3937,
    "9036": 1000.0,
    "km": 1000.0,
    "kilometre": 1000.0,
    "9030": 1852.0,
    "9093": 1609.344,
}
_ANGLES_DEG = {
    "9102": 1.0,
    "9122": 1.0,
    "deg": 1.0,
    "degree": 1.0,
    "degrees": 1.0,
    "9101": math.degrees(1.0),
    "rad": math.degrees(1.0),
    "radian": math.degrees(1.0),
    "radians": math.degrees(1.0),
    "9105": 0.9,
    "9106": 0.9,
}
_UNIT_TAIL = re.compile(r"[A-Za-z0-9]+$")


def metres_in(unit: str) -> float:
    """How many metres a unit of length has; 0 when the unit is not known.

    >>> metres_in("urn:ogc:def:uom:EPSG::9001"), metres_in("#m"), metres_in("urn:ogc:def:uom:EPSG::9002")
    (1.0, 1.0, 0.3048)
    """
    return _factor(unit, _LENGTHS_M)


def degrees_in(unit: str) -> float:
    """How many degrees a unit of angle has; 0 when the unit is not known.

    >>> degrees_in("urn:ogc:def:uom:EPSG::9102"), round(degrees_in("urn:ogc:def:uom:EPSG::9101"), 4)
    (1.0, 57.2958)
    """
    return _factor(unit, _ANGLES_DEG)


def _factor(unit: str, factors: dict[str, float]) -> float:
    found = _UNIT_TAIL.search(unit.strip()[-60:])
    return factors.get(found[0].lower(), 0.0) if found else 0.0


# The registry "Method Tokens" (RFC 4119 section 6.1 and later registrations), in lower case. Triangulation and
# differences of arrival times are the network's work; what correlates a wire or port with an address has no word here.
_METHODS = {
    PositioningMethod.GNSS: "gps gnss a-gps a-gnss agps agnss device-assisted_a-gps device-based_a-gps galileo",
    PositioningMethod.WIFI: "802.11 wifi wi-fi wlan",
    PositioningMethod.CELL: "cell cellid cell-id e-cid ecid ta ta-nmr nmr",
    PositioningMethod.FUSED: "hybrid_a-gps hybridagps_aflt hybridcellsector_agps hybridtdoa_aoa hybridtdoa_agps "
    "hybridtdoa_agps_aoa hybrid fused",
    PositioningMethod.NETWORK: "otdoa utdoa u-tdoa tdoa triangulation networktdoa networktoa networkrffingerprinting "
    "handset_aflt handset_eflt device-assisted_eotd device-based_eotd ipdl rtt mpl network",
    PositioningMethod.BEACON: "bt ble bluetooth beacon rfid mbs",
    PositioningMethod.MANUAL: "manual",
}
METHODS = {token: method for method, tokens in _METHODS.items() for token in tokens.split()}
_TOKENS = {
    PositioningMethod.GNSS: "GPS",
    PositioningMethod.WIFI: "802.11",
    PositioningMethod.CELL: "Cell",
    PositioningMethod.NETWORK: "Triangulation",
    PositioningMethod.MANUAL: "Manual",
}


def method_token(method: PositioningMethod) -> str:
    """The token of RFC 4119 for a method; "" where it has none (a mixture, beacons).

    >>> method_token(PositioningMethod.WIFI), method_token(PositioningMethod.FUSED)
    ('802.11', '')
    """
    return _TOKENS.get(method, "")
