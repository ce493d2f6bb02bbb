"""Shapes as the JSON of the 5G core, GADShape: lengths as they are, angles in whole degrees.

References
----------
3GPP TS 29.572.
"""

from __future__ import annotations

import json
import math

from locsvc.formats.gad.coding import GREATEST_ALTITUDE_M, GREATEST_INNER_RADIUS_M
from locsvc.formats.gad.covering import few_cornered, turned_axes_m
from locsvc.formats.gad.writing import as_ellipse, check, percent, plain
from locsvc.model import ArcBand, Circle, Ellipse, Ellipsoid, LatLng, Point, Polygon, Shape

_SLACK = 1e-9

Json = dict[str, object]


def write_json(shape: Shape, *, confidence: float | None = None) -> str:
    """The JSON of a shape.

    Parameters
    ----------
    shape
        Spheres become ellipsoids, prisms their base, polygons of more than 15 corners convex ones that hold them.
    confidence
        Above 0, below 1; None is coded as 0, "no information". Points, circles and polygons carry none.

    Raises
    ------
    InvalidInput
        A place, length or confidence is out of its range.

    >>> write_json(Circle(LatLng(55.0, 2.5), 30.0))
    '{"shape": "POINT_UNCERTAINTY_CIRCLE", "point": {"lon": 2.5, "lat": 55.0}, "uncertainty": 30.0}'
    """
    check(shape, confidence)
    return json.dumps(_members(plain(shape), percent(confidence)))


def _members(shape: Point | Circle | Ellipse | Ellipsoid | ArcBand | Polygon, confidence: int) -> Json:
    if isinstance(shape, Polygon):
        return {"shape": "POLYGON", "pointList": [_point(v) for v in few_cornered(shape).vertices]}
    point = _point(shape.center)
    if isinstance(shape, Point):
        return {"shape": "POINT", "point": point}
    if isinstance(shape, Circle):
        return {"shape": "POINT_UNCERTAINTY_CIRCLE", "point": point, "uncertainty": shape.radius_m}
    if isinstance(shape, ArcBand):
        return {"shape": "ELLIPSOID_ARC", "point": point, **_band(shape), "confidence": confidence}
    ellipse = {"uncertaintyEllipse": _ellipse(as_ellipse(shape)), "confidence": confidence}
    if isinstance(shape, Ellipse) or abs(shape.altitude_m) > GREATEST_ALTITUDE_M:
        return {"shape": "POINT_UNCERTAINTY_ELLIPSE", "point": point, **ellipse}
    height = {"altitude": shape.altitude_m, "uncertaintyAltitude": shape.vertical_m}
    return {"shape": "POINT_ALTITUDE_UNCERTAINTY", "point": point, **height, **ellipse}


def _point(place: LatLng) -> Json:
    return {"lon": place.longitude_deg, "lat": place.latitude_deg}


def _ellipse(ellipse: Ellipse) -> Json:
    degrees = round(ellipse.orientation_deg)
    a, b = turned_axes_m(ellipse.semi_major_m, ellipse.semi_minor_m, ellipse.orientation_deg - degrees)
    return {"semiMajor": a, "semiMinor": b, "orientationMajor": degrees % 180}


def _band(band: ArcBand) -> Json:
    inner = min(GREATEST_INNER_RADIUS_M, math.floor(band.inner_radius_m + _SLACK))
    start_deg = band.start_angle_deg % 360.0
    offset = math.floor(start_deg + _SLACK)
    included = min(360, max(1, math.ceil(start_deg + band.opening_angle_deg - offset - _SLACK)))
    return {
        "innerRadius": inner,
        "uncertaintyRadius": band.outer_radius_m - inner,
        "offsetAngle": offset,
        "includedAngle": included,
    }
