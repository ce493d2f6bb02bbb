"""Our answer in the shapes that others read: a circle, an ellipse, or a polygon of few corners, and what each holds."""

from __future__ import annotations

import enum
import math

from locsvc import model

# RFC 5491 section 5.2.2 advises at most 15 corners, and TS 23.032 clause 5.5 has no more.
MOST_CORNERS = 15
# A street address says too much for a wider answer, or when it is further away.
ADDRESS_RADIUS_M, ADDRESS_DISTANCE_M = 500.0, 200.0
# Nearer to a pole than this a polygon in degrees is no polygon on the ground.
_POLAR_DEG = 85.0
# No form states a confidence below 1 %.
_LEAST_CONFIDENCE = 0.01

Flat = list[tuple[float, float]]


class AnswerShape(enum.Enum):
    """What an answer is reduced to."""

    CIRCLE = "circle"
    ELLIPSE = "ellipse"
    POLYGON = "polygon"


def shape_of(estimate: model.LocationEstimate, kind: AnswerShape) -> tuple[model.Shape, float] | None:
    """The answer as one shape and the confidence that the shape holds the caller; None without a place.

    The ellipse is that of the likeliest place, so with other places about it holds less than was asked for. The polygon
    is convex and holds the whole region, within which the probability is a little above what was asked for. What an
    answer has not (a region near a pole cannot be a polygon) becomes the circle.
    """
    if estimate.position is None or not estimate.radius_m:
        return None
    if kind is AnswerShape.ELLIPSE and estimate.ellipse is not None:
        elsewhere = sum(other.mass for other in estimate.alternatives)
        return estimate.ellipse, max(_LEAST_CONFIDENCE, estimate.confidence * (1.0 - elsewhere))
    if kind is AnswerShape.POLYGON and estimate.region is not None:
        polygon = _around(estimate.region, estimate.position)
        if polygon is not None:
            return polygon, min(estimate.region.mass, 0.999)
    return model.Circle(estimate.position, estimate.radius_m), estimate.confidence


def address_of(estimate: model.LocationEstimate) -> model.CivicAddress | None:
    """The nearest address, when the answer is narrow enough to mean it."""
    wide = (estimate.radius_m or math.inf) > ADDRESS_RADIUS_M
    far = (estimate.address_distance_m or 0.0) > ADDRESS_DISTANCE_M
    return None if wide or far else estimate.address


def _around(region: model.Region, position: model.LatLng) -> model.Polygon | None:
    """A convex polygon of at most MOST_CORNERS corners round the region's cells."""
    from h3.api import numpy_int as h3

    lat, lng = position.latitude_deg, position.longitude_deg
    squeeze = math.cos(math.radians(lat))
    flat: Flat = []
    for cell in region.cells:
        for at_lat, at_lng in h3.cell_to_boundary(cell):
            flat.append((((float(at_lng) - lng + 180.0) % 360.0 - 180.0) * squeeze, float(at_lat) - lat))
    if not flat or max(abs(lat + y) for _, y in flat) > _POLAR_DEG or max(abs(x) for x, _ in flat) > 90.0 * squeeze:
        return None
    corners = fewer_corners(convex_hull(flat), MOST_CORNERS)
    return model.Polygon(tuple(model.LatLng(lat + y, (lng + x / squeeze + 180.0) % 360.0 - 180.0) for x, y in corners))


def convex_hull(places: Flat) -> Flat:
    """The convex hull of places in the plane, counterclockwise, without corners on its edges.

    References
    ----------
    A. M. Andrew, Another efficient algorithm for convex hulls in two dimensions, 1979 (monotone chain).

    >>> convex_hull([(0, 0), (2, 0), (1, 1), (2, 2), (0, 2), (1, 0)])
    [(0, 0), (2, 0), (2, 2), (0, 2)]
    """
    ordered = sorted(set(places))
    return _chain(ordered) + _chain(ordered[::-1])


def _chain(ordered: Flat) -> Flat:
    chain: Flat = []
    for place in ordered:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], place) <= 0:
            chain.pop()
        chain.append(place)
    return chain[:-1]


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def fewer_corners(hull: Flat, most: int) -> Flat:
    """A convex polygon round a counterclockwise one, with at most `most` corners, 3 or more.

    One edge after another is taken away, and its neighbours are drawn out until they meet: each time the edge that
    costs the least area.

    >>> fewer_corners([(1, 0), (3, 0), (4, 1), (4, 4), (0, 4), (0, 1)], 5)
    [(1, 0), (4.0, 0.0), (4, 4), (0, 4), (0, 1)]
    """
    corners = list(hull)
    while len(corners) > most:
        best: tuple[float, int, tuple[float, float]] | None = None
        for k in range(len(corners)):
            a, b, c, d = (corners[(k + step) % len(corners)] for step in (-1, 0, 1, 2))
            met = _meeting(a, b, d, c)
            # Neighbours that do not meet beyond the edge (turning by half a turn or more) cannot replace it.
            if met is None or _turn(b, met, c) <= 0:
                continue
            cost = abs(_turn(b, met, c))
            if best is None or cost < best[0]:
                best = (cost, k, met)
        if best is None:
            break
        _, k, met = best
        following = (k + 1) % len(corners)
        corners = [met if i == k else corner for i, corner in enumerate(corners) if i != following]
    return corners


def _meeting(
    a: tuple[float, float], b: tuple[float, float], d: tuple[float, float], c: tuple[float, float]
) -> tuple[float, float] | None:
    """Where the line from a through b, drawn on, meets that from d through c; None when it does not."""
    along, back = (b[0] - a[0], b[1] - a[1]), (c[0] - d[0], c[1] - d[1])
    across = along[0] * back[1] - along[1] * back[0]
    if across == 0:
        return None
    t = ((d[0] - a[0]) * back[1] - (d[1] - a[1]) * back[0]) / across
    return (a[0] + t * along[0], a[1] + t * along[1])
