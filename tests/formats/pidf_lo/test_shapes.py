"""The eight shapes as the field writes and miswrites them."""

from __future__ import annotations

import math

import pytest

from locsvc.formats.pidf_lo import location_of, read
from locsvc.formats.pidf_lo.rings import is_clockwise
from locsvc.formats.xml import parse
from locsvc.model import ArcBand, Circle, DeviceReport, Ellipse, Ellipsoid, LatLng, Point, Polygon, Prism, Shape, Sphere
from tests.formats.pidf_lo.documents import (
    CIRCLE,
    DEGREE,
    FLAT,
    METRE,
    NAMESPACES,
    RADIAN,
    SOLID,
    presence,
    reading_of,
    report_of,
    tuple_of,
    warned_of,
)

HERE = LatLng(53.35, -6.26)
POS = "<gml:pos>53.35 -6.26</gml:pos>"
POS_3D = "<gml:pos>53.35 -6.26 20.5</gml:pos>"


def length(name: str, value: object, unit: str = METRE) -> str:
    return f"<gs:{name} {unit}>{value}</gs:{name}>"


def angle(name: str, value: object, unit: str = DEGREE) -> str:
    return f"<gs:{name} {unit}>{value}</gs:{name}>"


def circle(radius: str, pos: str = POS, crs: str = FLAT) -> str:
    return f"<gs:Circle {crs}>{pos}{radius}</gs:Circle>"


def ellipse(major: object = 90, minor: object = 40, turn: object = 10, crs: str = FLAT, pos: str = POS) -> str:
    axes = length("semiMajorAxis", major) + length("semiMinorAxis", minor) + angle("orientation", turn)
    return f"<gs:Ellipse {crs}>{pos}{axes}</gs:Ellipse>"


def ellipsoid(vertical: str, pos: str = POS_3D) -> str:
    axes = length("semiMajorAxis", 90) + length("semiMinorAxis", 40) + vertical + angle("orientation", 10)
    return f"<gs:Ellipsoid {SOLID}>{pos}{axes}</gs:Ellipsoid>"


def arc(inner: object, outer: object, start: object, opening: object) -> str:
    radii = length("innerRadius", inner) + length("outerRadius", outer)
    return f"<gs:ArcBand {FLAT}>{POS}{radii}{angle('startAngle', start)}{angle('openingAngle', opening)}</gs:ArcBand>"


def polygon(ring: str, crs: str = FLAT) -> str:
    return f"<gml:Polygon {crs}><gml:exterior><gml:LinearRing>{ring}</gml:LinearRing></gml:exterior></gml:Polygon>"


def pos_list(numbers: str, attribute: str = "") -> str:
    return f"<gml:posList {attribute}>{numbers}</gml:posList>"


def prism(base: str, height: str, crs: str = SOLID) -> str:
    return f"<gs:Prism {crs}><gs:base>{base}</gs:base>{height}</gs:Prism>"


SQUARE = Polygon((LatLng(53.0, -6.0), LatLng(53.0, -5.9), LatLng(53.1, -5.9), LatLng(53.1, -6.0)))
RING = "53.0 -6.0 53.0 -5.9 53.1 -5.9 53.1 -6.0 53.0 -6.0"
RING_3D = "53.0 -6.0 9 53.0 -5.9 9 53.1 -5.9 9 53.1 -6.0 9 53.0 -6.0 9"

# As RFC 5491 has them: nothing to warn of.
CLEAN: dict[str, tuple[str, Shape, float | None]] = {
    "point": (f"<gml:Point {FLAT}>{POS}</gml:Point>", Point(HERE), None),
    "point at a height": (f"<gml:Point {SOLID}>{POS_3D}</gml:Point>", Point(HERE), 20.5),
    "circle": (CIRCLE, Circle(HERE, 30.0), None),
    "white space in numbers": (circle(length("radius", "\n  850.24\n "), "<gml:pos>\n53.35\n\t-6.26 </gml:pos>"), Circle(HERE, 850.24), None),
    "leading zeros": (circle(length("radius", "030.0"), "<gml:pos>053.35 -06.26</gml:pos>"), Circle(HERE, 30.0), None),
    "comment in a number's element": (circle(length("radius", "30<!-- m -->")), Circle(HERE, 30.0), None),
    "ellipse": (ellipse(), Ellipse(HERE, 90.0, 40.0, 10.0), None),
    "ellipse turned in radians": (
        ellipse().replace(angle("orientation", 10), angle("orientation", math.pi / 2, RADIAN)),
        Ellipse(HERE, 90.0, 40.0, 90.0),
        None,
    ),
    "ellipse turned by a whole turn": (ellipse(turn=360), Ellipse(HERE, 90.0, 40.0, 0.0), None),
    "arc band across north": (arc(100, 200, 350, 20), ArcBand(HERE, 100.0, 200.0, 350.0, 20.0), None),
    "arc band from the mast": (arc(0, 200, 350, 360), ArcBand(HERE, 0.0, 200.0, 350.0, 360.0), None),
    "arc band turned the other way": (arc(0, 200, -10, 20), ArcBand(HERE, 0.0, 200.0, 350.0, 20.0), None),
    "polygon": (polygon(pos_list(RING)), SQUARE, None),
    "polygon of pos": (
        polygon("".join(f"<gml:pos>{c.latitude_deg} {c.longitude_deg}</gml:pos>" for c in (*SQUARE.vertices, SQUARE.vertices[0]))),
        SQUARE,
        None,
    ),
    "polygon with comments": (polygon(pos_list(RING.replace("53.1", "<!--C-->53.1<!--D-->"))), SQUARE, None),
    "polygon at a height": (polygon(pos_list(RING_3D), SOLID), SQUARE, 9.0),
    "polygon that tells its dimension": (polygon(pos_list(RING_3D, 'srsDimension="3"'), SOLID), SQUARE, 9.0),
    "sphere": (f"<gs:Sphere {SOLID}>{POS_3D}{length('radius', 30)}</gs:Sphere>", Sphere(HERE, 20.5, 30.0), None),
    "ellipsoid": (ellipsoid(length("verticalAxis", 28.7)), Ellipsoid(HERE, 20.5, 90.0, 40.0, 28.7, 10.0), None),
    "prism": (prism(polygon(pos_list(RING_3D), ""), length("height", 2.4)), Prism(SQUARE, 9.0, 2.4), None),
}  # fmt: skip


@pytest.mark.parametrize(("location", "shape", "altitude_m"), CLEAN.values(), ids=CLEAN)
def test_clean_shapes(location: str, shape: Shape, altitude_m: float | None) -> None:
    reading = reading_of(location)
    report = report_of(location)
    assert (report.shape, report.altitude_m, reading.warnings) == (shape, altitude_m, ())


@pytest.mark.parametrize(("location", "shape", "altitude_m"), CLEAN.values(), ids=CLEAN)
def test_a_shape_by_itself_is_read_alike(location: str, shape: Shape, altitude_m: float | None) -> None:
    element = parse(location.replace(" ", f" {NAMESPACES} ", 1)).root
    (evidence,) = location_of(element).evidence
    assert isinstance(evidence.content, DeviceReport)
    assert (evidence.content.shape, evidence.content.altitude_m) == (shape, altitude_m)


BARE = circle(length("radius", 30)).replace(FLAT, "")

# What the field writes: the shape all the same, and the warning's field.
CROOKED: dict[str, tuple[str, Shape, float | None, str]] = {
    "no coordinate system": (BARE, Circle(HERE, 30.0), None, "srsName"),
    **{
        f"coordinate system {name}": (circle(length("radius", 30), POS, f'srsName="{name}"'), Circle(HERE, 30.0), None, "srsName")
        for name in (
            "urn:ogc:def::crs:EPSG::4326",
            "urn:ogc:def:crs:EPSG:4326",
            "urn:ogc:def:crs:EPSG:6.6:4326",
            "urn:x-ogc:def:crs:EPSG:4326",
            "EPSG:4326",
            "epsg:4326",
            "http://www.opengis.net/def/crs/EPSG/0/4326",
            "http://www.opengis.net/gml/srs/epsg.xml#4326",
            "urn:EPSG:geographicCRS:4326",
            "urn:ogc:def:crs:EPSG::4258",
            "WGS84",
            "4326",
            "urn:ogc:def:crs:EPSG:2010:4326",
        )
    },
    "longitude first by its name": (
        circle(length("radius", 30), "<gml:pos>-6.26 53.35</gml:pos>", 'srsName="urn:ogc:def:crs:OGC:1.3:CRS84"'), Circle(HERE, 30.0), None, "srsName",
    ),
    "coordinate system on the position": (
        circle(length("radius", 30), POS.replace("pos>", 'pos srsName="EPSG:4326">', 1), ""), Circle(HERE, 30.0), None, "srsName",
    ),
    "3-D position in a 2-D system": (circle(length("radius", 30), POS_3D), Circle(HERE, 30.0), 20.5, "srsName"),
    "2-D position in a 3-D system": (circle(length("radius", 30), POS, SOLID), Circle(HERE, 30.0), None, "srsName"),
    "longitude first, as only that can be": (
        circle(length("radius", 30), "<gml:pos>150.88 -34.41</gml:pos>"), Circle(LatLng(-34.41, 150.88), 30.0), None, "gml:pos",
    ),
    "longitude above 180": (circle(length("radius", 30), "<gml:pos>53.35 353.5</gml:pos>"), Circle(LatLng(53.35, -6.5), 30.0), None, "gml:pos"),
    "comma between numbers": (circle(length("radius", 30), "<gml:pos>53.35,-6.26</gml:pos>"), Circle(HERE, 30.0), None, "gml:pos"),
    "comma and space between numbers": (circle(length("radius", 30), "<gml:pos>53.35, -6.26</gml:pos>"), Circle(HERE, 30.0), None, "gml:pos"),
    "decimal commas": (circle(length("radius", "30,5"), "<gml:pos>53,35 -6,26</gml:pos>"), Circle(HERE, 30.5), None, "gml:pos"),
    "decimal comma in a size": (circle(length("radius", "30,5")), Circle(HERE, 30.5), None, "gs:radius"),
    "height beyond the sky": (circle(length("radius", 30), "<gml:pos>53.35 -6.26 90000</gml:pos>", SOLID), Circle(HERE, 30.0), None, "gml:pos"),
    "radius without a unit": (circle("<gs:radius>30</gs:radius>"), Circle(HERE, 30.0), None, "gs:radius"),
    "radius in feet": (circle(length("radius", 100, 'uom="urn:ogc:def:uom:EPSG::9002"')), Circle(HERE, 100 * 0.3048), None, "gs:radius uom"),
    "radius in kilometres": (circle(length("radius", 3, 'uom="km"')), Circle(HERE, 3000.0), None, "gs:radius uom"),
    "radius in m": (circle(length("radius", 30, 'uom="#m"')), Circle(HERE, 30.0), None, "gs:radius uom"),
    "radius in an unknown unit": (circle(length("radius", 30, 'uom="urn:x:furlong"')), Circle(HERE, 30.0), None, "gs:radius uom"),
    "no radius": (circle(""), Point(HERE), None, "gs:radius"),
    "radius of 0": (circle(length("radius", 0)), Point(HERE), None, "gs:radius"),
    "negative radius": (circle(length("radius", -1)), Point(HERE), None, "gs:radius"),
    "radius wider than the Earth": (circle(length("radius", 4e7)), Point(HERE), None, "gs:radius"),
    "radius that is no number": (circle(length("radius", "nan")), Point(HERE), None, "gs:radius"),
    "radius in other digits": (circle(length("radius", "٣٠")), Point(HERE), None, "gs:radius"),
    "axes exchanged": (ellipse(40, 90, 350), Ellipse(HERE, 90.0, 40.0, 80.0), None, "gs:semiMinorAxis"),
    "radians that are degrees": (
        ellipse().replace(angle("orientation", 10), angle("orientation", 43.2, RADIAN)), Ellipse(HERE, 90.0, 40.0, 43.2), None, "gs:orientation",
    ),
    "no minor axis": (ellipse(minor=0), Circle(HERE, 90.0), None, "gs:semiMinorAxis"),
    "no major axis": (ellipse(major="?"), Point(HERE), None, "gs:semiMajorAxis"),
    "no orientation": (ellipse().replace(angle("orientation", 10), ""), Circle(HERE, 90.0), None, "gs:orientation"),
    "no orientation, none needed": (ellipse(40, 40).replace(angle("orientation", 10), ""), Ellipse(HERE, 40.0, 40.0, 0.0), None, "gs:orientation"),
    "radii exchanged": (arc(200, 100, 10, 20), ArcBand(HERE, 100.0, 200.0, 10.0, 20.0), None, "gs:innerRadius"),
    "radii alike": (arc(200, 200, 10, 20), ArcBand(HERE, 0.0, 200.0, 10.0, 20.0), None, "gs:innerRadius"),
    "no inner radius": (arc("", 200, 10, 20), ArcBand(HERE, 0.0, 200.0, 10.0, 20.0), None, "gs:innerRadius"),
    "no outer radius": (arc(100, 0, 10, 20), Point(HERE), None, "gs:outerRadius"),
    "no opening": (arc(100, 200, 10, 0), ArcBand(HERE, 100.0, 200.0, 0.0, 360.0), None, "gs:openingAngle"),
    "opening above a turn": (arc(100, 200, 10, 400), ArcBand(HERE, 100.0, 200.0, 0.0, 360.0), None, "gs:openingAngle"),
    "no start": (arc(100, 200, "north", 20), ArcBand(HERE, 100.0, 200.0, 0.0, 360.0), None, "gs:startAngle"),
    "clockwise": (polygon(pos_list("53.0 -6.0 53.1 -6.0 53.1 -5.9 53.0 -5.9 53.0 -6.0")), SQUARE, None, "gml:Polygon"),
    "not closed": (polygon(pos_list(RING[: RING.rindex("53.0")])), SQUARE, None, "gml:Polygon"),
    "corners with longitude first": (
        polygon(pos_list("150.0 -34.0 150.1 -34.0 150.1 -33.9 150.0 -34.0")),
        Polygon((LatLng(-34.0, 150.0), LatLng(-34.0, 150.1), LatLng(-33.9, 150.1))), None, "gml:Polygon",
    ),
    "corners at several heights": (polygon(pos_list(RING_3D.replace("9 53.1", "8 53.1")), SOLID), SQUARE, None, "gml:Polygon"),
    "3-D corners in a 2-D system": (polygon(pos_list(RING_3D)), SQUARE, 9.0, "srsName"),
    "12 numbers of a 3-D triangle in a 2-D system": (
        polygon(pos_list("53.0 -6.0 9 53.0 -5.9 9 53.1 -5.9 9 53.0 -6.0 9")), Polygon(SQUARE.vertices[:3]), 9.0, "srsName",
    ),
    "2-D corners in a 3-D system": (polygon(pos_list(RING), SOLID), SQUARE, None, "srsName"),
    "2-D corners that tell their dimension": (polygon(pos_list(RING + " " + RING[9:], 'srsDimension="2"'), SOLID), Polygon((*SQUARE.vertices, *SQUARE.vertices)), None, "srsName"),
    "corners with longitude first by the name": (
        polygon(pos_list("-6.0 53.0 -5.9 53.0 -5.9 53.1 -6.0 53.1 -6.0 53.0"), 'srsName="urn:ogc:def:crs:OGC:1.3:CRS84"'), SQUARE, None, "srsName",
    ),
    "hole": (
        polygon(pos_list(RING)).replace("</gml:Polygon>", f"<gml:interior><gml:LinearRing>{pos_list(RING)}</gml:LinearRing></gml:interior></gml:Polygon>"),
        SQUARE, None, "gml:interior",
    ),
    "ring of GML 2": (
        f"<gml:Polygon {FLAT}><gml:outerBoundaryIs><gml:LinearRing><gml:coordinates>{RING.replace(' -', ',-')}</gml:coordinates></gml:LinearRing></gml:outerBoundaryIs></gml:Polygon>".replace(FLAT, 'srsName="EPSG:4326"'),
        SQUARE, None, "srsName",
    ),
    "sphere without a height": (f"<gs:Sphere {FLAT}>{POS}{length('radius', 30)}</gs:Sphere>", Circle(HERE, 30.0), None, "gs:Sphere"),
    "sphere without a radius": (f"<gs:Sphere {SOLID}>{POS_3D}</gs:Sphere>", Point(HERE), 20.5, "gs:radius"),
    "ellipsoid without a vertical axis": (ellipsoid(""), Ellipse(HERE, 90.0, 40.0, 10.0), 20.5, "gs:verticalAxis"),
    "ellipsoid without a height": (ellipsoid(length("verticalAxis", 5), POS), Ellipse(HERE, 90.0, 40.0, 10.0), None, "gs:Ellipsoid"),
    "ellipsoid without an orientation": (
        ellipsoid(length("verticalAxis", 5)).replace(angle("orientation", 10), ""), Ellipsoid(HERE, 20.5, 90.0, 90.0, 5.0, 0.0), None, "gs:orientation",
    ),
    "prism without a height": (prism(polygon(pos_list(RING_3D), ""), length("height", 0)), SQUARE, 9.0, "gs:height"),
    "flat prism": (prism(polygon(pos_list(RING), ""), length("height", 3), FLAT), SQUARE, None, "gs:Prism"),
    "prism whose base tells the system": (prism(polygon(pos_list(RING_3D), 'srsName="EPSG:4979"'), length("height", 2.4), ""), Prism(SQUARE, 9.0, 2.4), None, "srsName"),
    "gml 3.2": (CIRCLE.replace("gml:pos>", "g:pos>").replace("<gs:Circle", '<gs:Circle xmlns:g="http://www.opengis.net/gml/3.2"'), Circle(HERE, 30.0), None, "namespace"),
    "a name too long to be a variant": (CIRCLE.replace("</gs:Circle>", f'<g:pos xmlns:g="gml{"x" * 300}">1 2</g:pos></gs:Circle>'), Circle(HERE, 30.0), None, "Circle"),
    "no namespace": (CIRCLE.replace("gs:", "").replace("gml:", "").replace("<Circle", '<Circle xmlns=""'), Circle(HERE, 30.0), None, "namespace"),
    "position in a point": (circle(length("radius", 30), f"<gml:Point>{POS}</gml:Point>"), Circle(HERE, 30.0), None, "gml:Point"),
    "something else inside": (CIRCLE.replace("</gs:Circle>", "<gs:colour>red</gs:colour></gs:Circle>"), Circle(HERE, 30.0), None, "Circle"),
    "circle of GML": (
        f"<gml:CircleByCenterPoint {FLAT}>{POS}<gml:radius {METRE}>30</gml:radius></gml:CircleByCenterPoint>".replace(FLAT, 'srsName="epsg:4326"'),
        Circle(HERE, 30.0), None, "srsName",
    ),
    "coordinates": ('<gml:Point srsName="EPSG:4326"><gml:coordinates>53.35, -6.26</gml:coordinates></gml:Point>', Point(HERE), None, "srsName"),
    "coordinates with a height": ('<gml:Point srsName="EPSG:4979"><gml:coordinates>53.35,-6.26,7</gml:coordinates></gml:Point>', Point(HERE), 7.0, "srsName"),
    "coordinates with spaces": ('<gml:Point srsName="EPSG:4326"><gml:coordinates>53.35 -6.26</gml:coordinates></gml:Point>', Point(HERE), None, "srsName"),
    "coordinates with separators": (
        '<gml:Point srsName="EPSG:4326"><gml:coordinates decimal="," cs=";" ts="|">53,35;-6,26</gml:coordinates></gml:Point>', Point(HERE), None, "srsName",
    ),
    "degrees, minutes, seconds": ('<gml:Point srsName="epsg:4326"><gml:coordinates>53:21:00N 6:15:36W</gml:coordinates></gml:Point>', Point(LatLng(53.35, -(6 + 15 / 60 + 36 / 3600))), None, "srsName"),
    "longitude's degrees first": ('<gml:Point srsName="epsg:4326"><gml:coordinates>6:15:36W 53:21:00N</gml:coordinates></gml:Point>', Point(LatLng(53.35, -(6 + 15 / 60 + 36 / 3600))), None, "srsName"),
}  # fmt: skip


@pytest.mark.parametrize(("location", "shape", "altitude_m", "field"), CROOKED.values(), ids=CROOKED)
def test_crooked_shapes(location: str, shape: Shape, altitude_m: float | None, field: str) -> None:
    report = report_of(location)
    assert (report.shape, report.altitude_m) == (shape, altitude_m)
    assert report.confidence == (None if isinstance(shape, Point) else 0.95)
    warned = warned_of(reading_of(location))
    assert field in warned


# Positions that cannot be used: no evidence, and the reason.
UNUSABLE = {
    "0,0": circle(length("radius", 30), "<gml:pos>0.0 0.0</gml:pos>"),
    "nearly 0,0": circle(length("radius", 30), "<gml:pos>0.0000001 -0</gml:pos>"),
    "no position": circle(length("radius", 30), ""),
    "empty position": circle(length("radius", 30), "<gml:pos/>"),
    "one number": circle(length("radius", 30), "<gml:pos>53.35</gml:pos>"),
    "four numbers": circle(length("radius", 30), "<gml:pos>53.35 -6.26 1 2</gml:pos>"),
    "words": circle(length("radius", 30), "<gml:pos>here there</gml:pos>"),
    "not finite": circle(length("radius", 30), "<gml:pos>nan inf</gml:pos>"),
    "too great": circle(length("radius", 30), "<gml:pos>1e999 5</gml:pos>"),
    "underscores": circle(length("radius", 30), "<gml:pos>5_3.0 -6.26</gml:pos>"),
    "beyond both ranges": circle(length("radius", 30), "<gml:pos>95 200</gml:pos>"),
    "another coordinate system": circle(length("radius", 30), POS, 'srsName="urn:ogc:def:crs:EPSG::3857"'),
    "a coordinate system that only begins alike": circle(length("radius", 30), POS, 'srsName="EPSG:4326:25832"'),
    "no coordinate system at all": circle(length("radius", 30), POS, 'srsName="here"'),
    "two corners": polygon(pos_list("53.0 -6.0 53.1 -6.0 53.0 -6.0")),
    "no corners": polygon(""),
    "odd count of numbers": polygon(pos_list("53.0 -6.0 53.1 -6.0 53.0")),
    "corners of several lengths": polygon("<gml:pos>53 -6</gml:pos><gml:pos>53 -5</gml:pos><gml:pos>54 -5 3</gml:pos>"),
    "corner beyond the Earth": polygon(pos_list("53.0 -6.0 53.0 -700 53.1 -5.9 53.0 -6.0")),
    "corner at 0,0": polygon(pos_list("53.0 -6.0 53.0 -5.9 0 0 53.0 -6.0")),
    "corner at 0,0 by the meridian": polygon(pos_list("53.0 0.1 53.0 0.2 0 0 53.0 0.1")),
    "too many corners": polygon(pos_list("53.0 -6.0 53.0 -5.9 " * 600)),
    "prism without a base": f"<gs:Prism {SOLID}>{length('height', 3)}</gs:Prism>",
    "minutes above 59": f"<gml:Point {FLAT}><gml:coordinates>53:61:00N 6:15:36W</gml:coordinates></gml:Point>",
    "three halves": f"<gml:Point {FLAT}><gml:coordinates>53:21:00N 6:15:36W 53:21:00N</gml:coordinates></gml:Point>",
    "corners in another coordinate system": polygon(pos_list(RING), 'srsName="urn:ogc:def:crs:EPSG::3857"'),
    "ellipse without a position": ellipse(pos=""),
    "ellipsoid without a position": ellipsoid(length("verticalAxis", 5), ""),
    "arc band without a position": arc(1, 2, 3, 4).replace(POS, ""),
    "sphere without a position": f"<gs:Sphere {SOLID}>{length('radius', 30)}</gs:Sphere>",
    "point without a position": f"<gml:Point {FLAT}/>",
    "prism without corners": prism(polygon("", ""), length("height", 3)),
    "two latitudes": f"<gml:Point {FLAT}><gml:coordinates>53:21:00N 6:15:36N</gml:coordinates></gml:Point>",
    "half a coordinate": f"<gml:Point {FLAT}><gml:coordinates>53.35,x</gml:coordinates></gml:Point>",
    "separators of two characters": f'<gml:Point {FLAT}><gml:coordinates cs="::">53.35::-6.26</gml:coordinates></gml:Point>',
}  # fmt: skip


@pytest.mark.parametrize("location", UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_positions_are_no_evidence(location: str) -> None:
    reading = reading_of(location)
    assert reading.evidence == ()
    assert reading.no_location.startswith("the location cannot be used: ")
    assert reading.warnings


@pytest.mark.parametrize("location", UNUSABLE.values(), ids=UNUSABLE)
def test_one_bad_location_does_not_lose_another(location: str) -> None:
    (evidence,) = reading_of(location + CIRCLE).evidence
    assert isinstance(evidence.content, DeviceReport)
    assert evidence.content.shape == Circle(HERE, 30.0)


def test_corners_beyond_180_are_turned_back() -> None:
    assert report_of(polygon(pos_list("1 179 1 181 2 181 2 179 1 179"))).shape == Polygon(
        (LatLng(1.0, 179.0), LatLng(1.0, -179.0), LatLng(2.0, -179.0), LatLng(2.0, 179.0))
    )


def test_a_cut_polygon_is_not_taken_for_the_whole() -> None:
    ring = "".join(f"<gml:pos>{c.latitude_deg} {c.longitude_deg}</gml:pos>" for c in SQUARE.vertices)
    whole = presence(tuple_of(polygon(ring + "<gml:pos>53.0 -6.0</gml:pos>")))
    for corners in (1, 2, 3, 4):
        end = whole.index("</gml:pos>")
        for _ in range(corners - 1):
            end = whole.index("</gml:pos>", end + 1)
        assert read(whole[: end + 13]).evidence == ()


def test_a_cut_circle_has_no_size() -> None:
    whole = presence(tuple_of(CIRCLE))
    (evidence,) = read(whole[: whole.index("30</gs:radius") + 1]).evidence
    assert isinstance(evidence.content, DeviceReport)
    assert (evidence.content.shape, evidence.content.confidence) == (Point(HERE), None)


@pytest.mark.parametrize(
    "ring",
    [
        pytest.param([(0, 0), (0, 1), (1, 1)], id="plain"),
        pytest.param([(0, 179.5), (0, -179.5), (1, -179.5), (1, 179.5)], id="across the antimeridian"),
        pytest.param([(89, 0), (89, 120), (89, -120)], id="around the north pole"),
        pytest.param([(-89, 0), (-89, -120), (-89, 120)], id="around the south pole"),
        pytest.param([(53.123456, -6.5), (53.123456, -6.4999999), (53.1234561, -6.5)], id="a centimetre"),
    ],
)
def test_direction_of_a_ring(ring: list[tuple[float, float]]) -> None:
    corners = [LatLng(*corner) for corner in ring]
    for first in range(len(corners)):
        turned = corners[first:] + corners[:first]
        assert not is_clockwise(turned)
        assert is_clockwise(turned[::-1])
