"""How far the nearest border is: borders in chunks, an R-tree over the chunks' boxes.

A border of a country has millions of edges; as geometry objects in a tree they cost about 500 bytes each. Chunks of 64
edges with their corners in flat arrays cost 20 bytes an edge.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

from locsvc.geo import curvature_radii_m

_CHUNK_EDGES = 64
# A border farther off than the last of these is as good as none.
_REACHES_M = (1_500.0, 6_000.0, 20_000.0, 60_000.0)
# Beyond this the plane below is too crooked, and near the seam at 180 degrees a border may be a cut only.
_MAX_LATITUDE_DEG = 80.0


class Borders:
    """The borders of all areas.

    Parameters
    ----------
    outlines
        `(n,)` multipolygons, degrees, longitude first.

    Attributes
    ----------
    begin, end
        `(edges, 2) float64`, corners of the edges, outline by outline.
    """

    def __init__(self, outlines: npt.NDArray[np.object_]) -> None:
        rings = shapely.get_rings(shapely.get_parts(outlines))
        corners, ring_of = shapely.get_coordinates(rings, return_index=True)
        # Edge k runs from corner k to corner k + 1; the last corner of a ring starts none.
        starts = np.flatnonzero(ring_of[:-1] == ring_of[1:])
        self.begin = corners[starts]
        self.end = corners[starts + 1]
        heads = np.arange(0, len(starts), _CHUNK_EDGES)
        self._first, self._last = heads, np.minimum(heads + _CHUNK_EDGES, len(starts))
        low, high = np.minimum(self.begin, self.end), np.maximum(self.begin, self.end)
        if len(heads):
            low, high = np.minimum.reduceat(low, heads), np.maximum.reduceat(high, heads)
        self._tree = shapely.STRtree(shapely.box(low[:, 0], low[:, 1], high[:, 0], high[:, 1]))
        # The tree is built by its first query; later ones only read, from any thread.
        self._tree.query(shapely.Point(0.0, 0.0))

    def clearance_m(self, latitude_deg: float, longitude_deg: float) -> float:
        """Metres from the place within which there is surely no border; at most the real distance, 60 km at most.

        0 near the poles and the antimeridian, where it is not worked out.
        """
        if abs(latitude_deg) > _MAX_LATITUDE_DEG:
            return 0.0
        sure_m = 0.0
        for reach_m in _REACHES_M:
            lat_span, lon_span = _spans_deg(latitude_deg, reach_m)
            west, east = longitude_deg - lon_span, longitude_deg + lon_span
            if west <= -180.0 or east >= 180.0:
                return sure_m
            chunks = self._tree.query(shapely.box(west, latitude_deg - lat_span, east, latitude_deg + lat_span))
            nearest_m = self._nearest_m(chunks, latitude_deg, longitude_deg)
            sure_m = _at_least_m(min(nearest_m, reach_m), latitude_deg)
            if nearest_m <= reach_m:
                break
        return sure_m

    def _nearest_m(self, chunks: npt.NDArray[np.int64], latitude_deg: float, longitude_deg: float) -> float:
        """Metres to the nearest edge of the chunks, in the plane that touches the ellipsoid at the place."""
        if not len(chunks):
            return float("inf")
        edges = np.concatenate([np.arange(self._first[c], self._last[c]) for c in chunks])
        east_m, north_m = curvature_radii_m(latitude_deg)
        scale = np.radians([east_m * np.cos(np.radians(latitude_deg)), north_m])
        here = np.array([longitude_deg, latitude_deg])
        start = (self.begin[edges] - here) * scale
        along = (self.end[edges] - here) * scale - start
        # Foot of the perpendicular from the place, kept on the edge; an edge without length is its corner.
        length_squared = np.maximum((along * along).sum(axis=1), 1e-12)
        part = np.clip(-(start * along).sum(axis=1) / length_squared, 0.0, 1.0)
        foot = start + part[:, None] * along
        return float(np.sqrt((foot * foot).sum(axis=1).min()))


def _spans_deg(latitude_deg: float, reach_m: float) -> tuple[float, float]:
    """Half height and half width, in degrees, of a box that holds everything within `reach_m`."""
    lat_span = reach_m / 110_000.0  # a degree of latitude is never shorter than 110.5 km
    poleward = min(abs(latitude_deg) + lat_span, 89.0)
    return lat_span, reach_m / (110_000.0 * float(np.cos(np.radians(poleward))))


def _at_least_m(plane_m: float, latitude_deg: float) -> float:
    """A distance in the tangent plane less its possible error: parallels shrink by tan(latitude) / R a metre."""
    error = 0.001 + plane_m / 6_356_752.0 * (1.0 + abs(float(np.tan(np.radians(latitude_deg)))))
    return plane_m * max(0.0, 1.0 - error)
