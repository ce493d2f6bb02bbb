"""Regions of any shape: their middle, their size, as a circle or sphere, without height, at another confidence.

References
----------
RFC 7459 section 5.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

from locsvc.geo import bearings_lengths, geodesic_destination
from locsvc.model import (
    ArcBand,
    Circle,
    Ellipse,
    Ellipsoid,
    LatLng,
    Point,
    Polygon,
    Prism,
    Shape,
    Sphere,
)
from locsvc.uncertainty.confidence import (
    Distribution,
    NormalRule,
    flat_confidence,
    normal_factor,
    rectangular_confidence,
)
from locsvc.uncertainty.polygons import ecef, geodesic_area_m2, polygon_centroid

Flat = Point | Circle | Ellipse | ArcBand | Polygon
Solid = Sphere | Ellipsoid | Prism


class AtConfidence(NamedTuple):
    """A region and the confidence that it has."""

    shape: Shape
    confidence: float


def arc_band_centroid_m(band: ArcBand) -> float:
    """How far the centroid of an arc band is from its centre, along the middle of its opening, metres.

    References
    ----------
    RFC 7459 section 5.1.1.1.

    >>> round(arc_band_centroid_m(ArcBand(LatLng(0.0, 0.0), 3594.0, 4148.0, 20.0, 20.0)), 3)
    3857.951
    """
    r, big, opening = band.inner_radius_m, band.outer_radius_m, math.radians(band.opening_angle_deg)
    if big <= 0 or opening <= 0:
        return big
    return 4 * math.sin(opening / 2) * (big * big + big * r + r * r) / (3 * opening * (big + r))


def arc_band_radius_m(band: ArcBand) -> float:
    """Radius of the circle around its centroid that holds an arc band, metres (RFC 7459 section 5.2).

    >>> round(arc_band_radius_m(ArcBand(LatLng(0.0, 0.0), 3594.0, 4148.0, 20.0, 20.0)), 3)
    755.225
    """
    d, cos_half = arc_band_centroid_m(band), math.cos(math.radians(band.opening_angle_deg / 2))
    ends = (band.inner_radius_m, band.outer_radius_m)
    return math.sqrt(max(0.0, *(d * d + r * r - 2 * d * r * cos_half for r in ends)))


def centroid(shape: Shape) -> LatLng:
    """The middle of a shape, height left out (RFC 7459 section 5.1)."""
    if isinstance(shape, Polygon):
        return polygon_centroid(shape)
    if isinstance(shape, Prism):
        return polygon_centroid(shape.base)
    if isinstance(shape, ArcBand):
        bearing_deg = shape.start_angle_deg + shape.opening_angle_deg / 2
        lat, lng = geodesic_destination(
            shape.center.latitude_deg, shape.center.longitude_deg, bearing_deg, arc_band_centroid_m(shape)
        )
        return LatLng(float(lat), float(lng))
    return shape.center


def area_m2(shape: Shape) -> float:
    """Area on the ground, square metres; 0 of a point.

    >>> round(area_m2(Circle(LatLng(0.0, 0.0), 99.1)))
    30853
    """
    flat = flattened(shape)
    if isinstance(flat, Circle):
        return math.pi * flat.radius_m**2
    if isinstance(flat, Ellipse):
        return math.pi * flat.semi_major_m * flat.semi_minor_m
    if isinstance(flat, ArcBand):
        return math.radians(flat.opening_angle_deg) / 2 * (flat.outer_radius_m**2 - flat.inner_radius_m**2)
    return geodesic_area_m2(flat) if isinstance(flat, Polygon) else 0.0


def flattened(shape: Shape) -> Flat:
    """The shape without its height; its confidence is then at least `flat_confidence` (RFC 7459 section 5.3)."""
    if isinstance(shape, Sphere):
        return Circle(shape.center, shape.radius_m)
    if isinstance(shape, Ellipsoid):
        return Ellipse(shape.center, shape.semi_major_m, shape.semi_minor_m, shape.orientation_deg)
    return shape.base if isinstance(shape, Prism) else shape


def without_height(shape: Shape, confidence: float) -> AtConfidence:
    """The shape without its height, and the confidence that it has then.

    >>> round(without_height(Sphere(LatLng(1.0, 1.0), 0.0, 30.0), 0.95).confidence, 3)
    0.966
    """
    return AtConfidence(flattened(shape), flat_confidence(confidence) if isinstance(shape, Solid) else confidence)


def to_circle(shape: Shape) -> Circle:
    """The circle around the centroid that holds all of the shape; its confidence is that of the shape, at least.

    Radius 0 of a point means "unknown", as everywhere.

    References
    ----------
    RFC 7459 section 5.2.

    >>> to_circle(Ellipse(LatLng(1.0, 1.0), 30.0, 10.0, 45.0)).radius_m
    30.0
    """
    flat = flattened(shape)
    if isinstance(flat, Circle):
        return flat
    middle = centroid(flat)
    if isinstance(flat, Ellipse):
        return Circle(middle, max(flat.semi_major_m, flat.semi_minor_m))
    if isinstance(flat, ArcBand):
        return Circle(middle, arc_band_radius_m(flat))
    if isinstance(flat, Polygon):
        return Circle(middle, max(math.dist(ecef(middle), ecef(v)) for v in flat.vertices))
    return Circle(middle, 0.0)


def to_sphere(shape: Solid) -> Sphere:
    """The sphere around the centroid that holds all of the shape (RFC 7459 section 5.2).

    >>> to_sphere(Ellipsoid(LatLng(1.0, 1.0), 34.0, 7.7, 3.3, 28.7, 142.0)).radius_m
    28.7
    """
    if isinstance(shape, Sphere):
        return shape
    if isinstance(shape, Ellipsoid):
        return Sphere(shape.center, shape.altitude_m, max(shape.semi_major_m, shape.semi_minor_m, shape.vertical_m))
    middle, altitude_m = centroid(shape), shape.base_altitude_m + shape.height_m / 2
    center = ecef(middle, altitude_m)
    heights_m = (shape.base_altitude_m, shape.base_altitude_m + shape.height_m)
    reach_m = max(math.dist(center, ecef(v, h)) for v in shape.base.vertices for h in heights_m)
    return Sphere(middle, altitude_m, reach_m)


def scaled(shape: Shape, factor: float) -> Shape:
    """The shape with all its lengths times `factor`, around its centroid; an arc band only grows or shrinks in angle.

    An arc band opens by the square of `factor`, so that its area is what it would be, up to all around.

    >>> scaled(Circle(LatLng(1.0, 1.0), 100.0), 1.5).radius_m
    150.0
    """
    if isinstance(shape, Circle | Sphere):
        return dataclasses.replace(shape, radius_m=shape.radius_m * factor)
    if isinstance(shape, Ellipse | Ellipsoid):
        wide = dataclasses.replace(
            shape, semi_major_m=shape.semi_major_m * factor, semi_minor_m=shape.semi_minor_m * factor
        )
        return dataclasses.replace(wide, vertical_m=wide.vertical_m * factor) if isinstance(wide, Ellipsoid) else wide
    if isinstance(shape, ArcBand):
        opening_deg = min(360.0, shape.opening_angle_deg * factor**2)
        start_deg = (shape.start_angle_deg + (shape.opening_angle_deg - opening_deg) / 2) % 360.0
        return dataclasses.replace(shape, start_angle_deg=start_deg, opening_angle_deg=opening_deg)
    if isinstance(shape, Polygon):
        return _scaled_polygon(shape, factor)
    if isinstance(shape, Prism):
        height_m = shape.height_m * factor
        below_m = shape.base_altitude_m - (height_m - shape.height_m) / 2
        return Prism(_scaled_polygon(shape.base, factor), below_m, height_m)
    return shape


def _scaled_polygon(polygon: Polygon, factor: float) -> Polygon:
    middle = polygon_centroid(polygon)
    bearing_deg, length_m = bearings_lengths(
        middle.latitude_deg,
        middle.longitude_deg,
        [v.latitude_deg for v in polygon.vertices],
        [v.longitude_deg for v in polygon.vertices],
    )
    lat, lng = geodesic_destination(middle.latitude_deg, middle.longitude_deg, bearing_deg, length_m * factor)
    return Polygon(tuple(LatLng(a, b) for a, b in zip(lat.tolist(), lng.tolist(), strict=True)))


def at_confidence(
    shape: Shape,
    confidence: float,
    wanted: float,
    distribution: Distribution = Distribution.UNKNOWN,
    rule: NormalRule = NormalRule.ROUND,
) -> AtConfidence:
    """The region at another confidence, and the confidence that it really has.

    Parameters
    ----------
    shape, confidence
        The region as it is; above 0, below 1.
    wanted
        Above 0, below 1.
    distribution
        NORMAL: any confidence is reached; arc bands, polygons and prisms become a circle or sphere first. RECTANGULAR:
        the region only shrinks, for outside it nothing is known. UNKNOWN: it does neither.
    rule
        For NORMAL: RFC 7459's box, or the exact round one.

    References
    ----------
    RFC 7459 section 5.4.

    >>> at_confidence(Circle(LatLng(1.0, 1.0), 100.0), 0.95, 0.68)
    AtConfidence(shape=Circle(...radius_m=100.0), confidence=0.95)
    >>> round(at_confidence(Circle(LatLng(1.0, 1.0), 100.0), 0.68, 0.95, Distribution.NORMAL).shape.radius_m, 2)
    162.15
    """
    if isinstance(shape, Point) or wanted == confidence:
        return AtConfidence(shape, confidence)
    dimensions = 3 if isinstance(shape, Solid) else 2
    if distribution is Distribution.NORMAL:
        if isinstance(shape, Prism):
            shape = to_sphere(shape)
        elif isinstance(shape, ArcBand | Polygon):
            shape = to_circle(shape)
        return AtConfidence(scaled(shape, normal_factor(confidence, wanted, dimensions, rule)), wanted)
    if distribution is Distribution.RECTANGULAR and wanted < confidence:
        share = wanted / confidence
        # An arc band opens by the square, so that it is the area that shrinks.
        smaller = scaled(shape, share ** (1.0 / dimensions))
        return AtConfidence(smaller, rectangular_confidence(confidence, 1.0, share))
    return AtConfidence(shape, confidence)
