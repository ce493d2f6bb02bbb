"""How far the nearest border is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled
from locsvc.geo import curvature_radii_m
from locsvc.reference.areas.holding import strip_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.reference.areas.holding import Strips

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Words = npt.NDArray[np.int32]

# A border farther off than the last of these is as good as none.
_REACHES_M = (1_500.0, 6_000.0, 20_000.0, 60_000.0)
# Beyond this the plane below is too crooked, and near the seam at 180 degrees a border may be a cut only.
_MAX_LATITUDE_DEG = 80.0


def clearance_m(strips: Strips, latitude_deg: float, longitude_deg: float) -> float:
    """Metres from the place within which there is surely no border; at most the real distance, 60 km at most.

    0 near the poles and the antimeridian, where it is not worked out.
    """
    if abs(latitude_deg) > _MAX_LATITUDE_DEG:
        return 0.0
    east_m, north_m = curvature_radii_m(latitude_deg)
    scale_east, scale_north = np.radians([east_m * np.cos(np.radians(latitude_deg)), north_m]).tolist()
    sure_m = 0.0
    for reach_m in _REACHES_M:
        lat_span, lon_span = _spans_deg(latitude_deg, reach_m)
        if longitude_deg - lon_span <= -180.0 or longitude_deg + lon_span >= 180.0:
            return sure_m
        nearest_m = nearest_edge_m(latitude_deg, longitude_deg, lat_span, lon_span, scale_east, scale_north, *strips)
        sure_m = _at_least_m(min(nearest_m, reach_m), latitude_deg)
        if nearest_m <= reach_m:
            break
    return sure_m


@compiled
def nearest_edge_m(
    latitude_deg: float,
    longitude_deg: float,
    lat_span: float,
    lon_span: float,
    scale_east: float,
    scale_north: float,
    box: Floats,
    first_strip: Ints,
    per_degree: Floats,
    starts: Ints,
    edges: Words,
    begin: Floats,
    end: Floats,
) -> float:
    """Metres to the nearest edge in a window round the place, in the plane that touches the ellipsoid there."""
    south, north = latitude_deg - lat_span, latitude_deg + lat_span
    west, east = longitude_deg - lon_span, longitude_deg + lon_span
    least_m2 = math.inf
    for area in range(len(box)):
        if not (box[area, 0] <= east and box[area, 2] >= west and box[area, 1] <= north and box[area, 3] >= south):
            continue
        first = strip_of(max(south, box[area, 1]), area, box, first_strip, per_degree)
        last = strip_of(min(north, box[area, 3]), area, box, first_strip, per_degree)
        for k in range(starts[first], starts[last + 1]):
            x1, x2 = begin[edges[k], 0], end[edges[k], 0]
            if max(x1, x2) < west or min(x1, x2) > east:
                continue
            start_x, start_y = (x1 - longitude_deg) * scale_east, (begin[edges[k], 1] - latitude_deg) * scale_north
            along_x = (x2 - longitude_deg) * scale_east - start_x
            along_y = (end[edges[k], 1] - latitude_deg) * scale_north - start_y
            # Foot of the perpendicular from the place, kept on the edge; an edge without length is its corner.
            length_squared = max(along_x * along_x + along_y * along_y, 1e-12)
            part = min(max(-(start_x * along_x + start_y * along_y) / length_squared, 0.0), 1.0)
            foot_x, foot_y = start_x + part * along_x, start_y + part * along_y
            least_m2 = min(least_m2, foot_x * foot_x + foot_y * foot_y)
    return math.sqrt(least_m2)


def _spans_deg(latitude_deg: float, reach_m: float) -> tuple[float, float]:
    """Half height and half width, in degrees, of a box that holds everything within `reach_m`."""
    lat_span = reach_m / 110_000.0  # a degree of latitude is never shorter than 110.5 km
    poleward = min(abs(latitude_deg) + lat_span, 89.0)
    return lat_span, reach_m / (110_000.0 * float(np.cos(np.radians(poleward))))


def _at_least_m(plane_m: float, latitude_deg: float) -> float:
    """A distance in the tangent plane less its possible error: parallels shrink by tan(latitude) / R a metre."""
    error = 0.001 + plane_m / 6_356_752.0 * (1.0 + abs(float(np.tan(np.radians(latitude_deg)))))
    return plane_m * max(0.0, 1.0 - error)
