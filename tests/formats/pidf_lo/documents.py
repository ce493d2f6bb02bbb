"""PIDF-LO documents for tests, from what stands in their location-info."""

from __future__ import annotations

from locsvc.formats.pidf_lo import location_of, read
from locsvc.formats.reading import Reading
from locsvc.formats.xml import parse
from locsvc.model import DeviceReport, LineLookup

NAMESPACES = (
    'xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" '
    'xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10" xmlns:gml="http://www.opengis.net/gml" '
    'xmlns:gs="http://www.opengis.net/pidflo/1.0" xmlns:con="urn:ietf:params:xml:ns:geopriv:conf" '
    'xmlns:ca="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr" '
    'xmlns:cae="urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr:ext"'
)
FLAT = 'srsName="urn:ogc:def:crs:EPSG::4326"'
SOLID = 'srsName="urn:ogc:def:crs:EPSG::4979"'
METRE = 'uom="urn:ogc:def:uom:EPSG::9001"'
DEGREE = 'uom="urn:ogc:def:uom:EPSG::9102"'
RADIAN = 'uom="urn:ogc:def:uom:EPSG::9101"'
CIRCLE = f"<gs:Circle {FLAT}><gml:pos>53.35 -6.26</gml:pos><gs:radius {METRE}>30</gs:radius></gs:Circle>"
TIME = "2026-11-21T22:15:00Z"
TIME_S = 1_795_299_300.0


def geopriv(location: str, method: str = "") -> str:
    token = f"<gp:method>{method}</gp:method>" if method else ""
    return f"<gp:geopriv><gp:location-info>{location}</gp:location-info><gp:usage-rules/>{token}</gp:geopriv>"


def tuple_of(location: str, method: str = "", time: str = TIME) -> str:
    return f'<tuple id="t"><status>{geopriv(location, method)}</status><timestamp>{time}</timestamp></tuple>'


def device_of(location: str, method: str = "", time: str = TIME, kind: str = "device") -> str:
    return f'<dm:{kind} id="d">{geopriv(location, method)}<dm:timestamp>{time}</dm:timestamp></dm:{kind}>'


def presence(content: str, entity: str = "pres:x@example.com") -> str:
    return f'<presence {NAMESPACES} entity="{entity}">{content}</presence>'


def reading_of(location: str) -> Reading:
    """What a whole document with one tuple says of a location; its parts by themselves must say the same."""
    whole = read(presence(tuple_of(location)))
    root = parse(presence(tuple_of(location))).root
    assert location_of(root) == whole
    return whole


def report_of(location: str) -> DeviceReport:
    (evidence,) = reading_of(location).evidence
    assert isinstance(evidence.content, DeviceReport)
    return evidence.content


def lookup_of(location: str) -> LineLookup:
    (evidence,) = reading_of(location).evidence
    assert isinstance(evidence.content, LineLookup)
    return evidence.content


def warned_of(reading: Reading) -> list[str]:
    return [warning.field for warning in reading.warnings]
