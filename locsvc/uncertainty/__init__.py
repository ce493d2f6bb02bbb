"""Arithmetic of regions and their confidences, after RFC 7459 and better where the RFC is only near.

Uncertainty is rounded up and confidence down, so that a region never claims more than it holds.

References
----------
RFC 7459, "Representation of Uncertainty and Confidence in PIDF-LO".
"""

from __future__ import annotations

from locsvc.uncertainty.confidence import (
    Distribution,
    NormalRule,
    flat_confidence,
    normal_factor,
    rectangular_confidence,
    rounded_down,
    rounded_up,
    sigmas_of_ball,
)
from locsvc.uncertainty.overlap import (
    circle_overlap_m2,
    contains,
    places_in,
    probability_inside,
    region_of,
    share_inside,
)
from locsvc.uncertainty.polygons import (
    ecef,
    geodesic_area_m2,
    geodesic_centroid,
    geodetic,
    polygon_area_m2,
    polygon_centroid,
)
from locsvc.uncertainty.regions import (
    AtConfidence,
    arc_band_centroid_m,
    arc_band_radius_m,
    area_m2,
    at_confidence,
    centroid,
    flattened,
    scaled,
    to_circle,
    to_sphere,
    without_height,
)

__all__ = [
    "AtConfidence",
    "Distribution",
    "NormalRule",
    "arc_band_centroid_m",
    "arc_band_radius_m",
    "area_m2",
    "at_confidence",
    "centroid",
    "circle_overlap_m2",
    "contains",
    "ecef",
    "flat_confidence",
    "flattened",
    "geodesic_area_m2",
    "geodesic_centroid",
    "geodetic",
    "normal_factor",
    "places_in",
    "polygon_area_m2",
    "polygon_centroid",
    "probability_inside",
    "rectangular_confidence",
    "region_of",
    "rounded_down",
    "rounded_up",
    "scaled",
    "share_inside",
    "sigmas_of_ball",
    "to_circle",
    "to_sphere",
    "without_height",
]
