"""An answer as GeoJSON: the position, its circle and ellipse, the region's cells, the other places.

References
----------
RFC 7946: positions are longitude, latitude (section 3.1.1); outer rings run counterclockwise (3.1.6); what crosses the
antimeridian is cut there (3.1.9); a feature without a place has a geometry of null (3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from locsvc import model
from locsvc.formats.proto_json import Json, to_json
from locsvc.formats.spelling import enum_name, timestamp_text

# Corners of a circle or ellipse: the chords of 72 lie 0.1 % of the radius inside of the curve.
CORNERS = 72
# 1e-7 degrees are 11 mm.
_DECIMALS = 7
_POLE_DEG = 89.9999999
_WHOLE_TURN_DEG = 359.999

Pairs = list[tuple[float, float]]


def estimate_to_geojson(estimate: model.LocationEstimate) -> Json:
    """The answer as a FeatureCollection; the first feature is the position, with a null geometry when there is none.

    >>> found = estimate_to_geojson(model.LocationEstimate(model.Outcome.NO_LOCATION, "c-1", 0.9))
    >>> found["features"][0]["geometry"], found["features"][0]["properties"]["outcome"]
    (None, 'OUTCOME_NO_LOCATION')
    """
    features = [_position(estimate)]
    confidence = estimate.confidence
    if estimate.position is not None and estimate.radius_m:
        circle = outline_of(model.Circle(estimate.position, estimate.radius_m))
        features.append(_feature(_polygons(circle), kind="circle", radius_m=estimate.radius_m, confidence=confidence))
    if estimate.ellipse is not None:
        properties = to_json(estimate.ellipse)
        del properties["center"]
        features.append(_feature(_polygons(outline_of(estimate.ellipse)), kind="ellipse", **properties))
    features += [
        _feature(_point(other.position), kind="alternative", mass=other.mass, radius_m=other.radius_m)
        for other in estimate.alternatives
    ]
    if estimate.region is not None:
        features += _cells(estimate.region)
    return {"type": "FeatureCollection", "features": features}


def _position(estimate: model.LocationEstimate) -> Json:
    properties: Json = {"kind": "position", "outcome": enum_name(estimate.outcome), "confidence": estimate.confidence}
    if estimate.call_id:
        properties["call_id"] = estimate.call_id
    if estimate.radius_m is not None:
        properties["radius_m"] = estimate.radius_m
    if estimate.region is not None:
        properties |= {"region_mass": estimate.region.mass, "region_area_m2": estimate.region.area_m2}
    if estimate.altitude is not None:
        properties["altitude"] = to_json(estimate.altitude)
    if estimate.address is not None:
        properties |= {"address": estimate.address.line(), "address_distance_m": estimate.address_distance_m}
    if estimate.areas:
        properties["areas"] = [area.name for area in estimate.areas]
    if estimate.estimated_at is not None:
        properties["estimated_at"] = timestamp_text(estimate.estimated_at)
    if estimate.warnings:
        properties["warnings"] = [to_json(warning) for warning in estimate.warnings]
    return _feature(None if estimate.position is None else _point(estimate.position), **properties)


def _feature(geometry: Json | None, **properties: object) -> Json:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _point(place: model.LatLng) -> Json:
    return {
        "type": "Point",
        "coordinates": [round(place.longitude_deg, _DECIMALS), round(place.latitude_deg, _DECIMALS)],
    }


def _cells(region: model.Region) -> list[Json]:
    from h3.api import numpy_int as h3

    return [
        _feature(
            _polygons((_ring(h3.cell_to_boundary(cell)),)),
            kind="region",
            cell=f"{cell:x}",
            resolution=int(h3.get_resolution(cell)),
        )
        for cell in region.cells
    ]


def _ring(places: Iterable[tuple[float, float]]) -> model.Polygon:
    return model.Polygon(tuple(model.LatLng(float(lat), float(lng)) for lat, lng in places))


def outline_of(shape: model.Shape) -> tuple[model.Polygon, ...]:
    """The shape's outline on the ground: the outer ring, then a hole where it has one; none for what has no size.

    >>> len(outline_of(model.Circle(model.LatLng(53.0, -6.0), 100.0))[0].vertices)
    72
    >>> outline_of(model.Point(model.LatLng(53.0, -6.0)))
    ()
    """
    match shape:
        case model.Circle(center, radius_m) | model.Sphere(center, radius_m=radius_m):
            return _oval(center, radius_m, radius_m, 0.0)
        case model.Ellipse() | model.Ellipsoid():
            return _oval(shape.center, shape.semi_major_m, shape.semi_minor_m, shape.orientation_deg)
        case model.ArcBand():
            return _band(shape)
        case model.Polygon():
            return (shape,) if shape.vertices else ()
        case model.Prism(base):
            return (base,) if base.vertices else ()
        case _:
            return ()


def _oval(center: model.LatLng, major_m: float, minor_m: float, orientation_deg: float) -> tuple[model.Polygon, ...]:
    import numpy as np

    if not (major_m > 0 and minor_m > 0):
        return ()
    angle = np.arange(CORNERS) * (2 * np.pi / CORNERS)
    along, across = major_m * np.cos(angle), minor_m * np.sin(angle)
    return (_around(center, orientation_deg + np.degrees(np.arctan2(across, along)), np.hypot(along, across)),)


def _around(center: model.LatLng, bearings_deg: object, lengths_m: object) -> model.Polygon:
    """The ring of the places at some bearings and distances."""
    from locsvc.geo import destination

    # On the very pole there is no north to count from; a centimetre off there is.
    near_deg = max(-_POLE_DEG, min(_POLE_DEG, center.latitude_deg))
    lat, lng = destination(near_deg, center.longitude_deg, bearings_deg, lengths_m)  # type: ignore[arg-type]
    return _ring(zip(lat.tolist(), lng.tolist(), strict=True))


def _band(band: model.ArcBand) -> tuple[model.Polygon, ...]:
    import numpy as np

    if band.outer_radius_m <= 0:
        return ()
    if band.opening_angle_deg >= _WHOLE_TURN_DEG:
        rings = (model.Circle(band.center, band.outer_radius_m), model.Circle(band.center, band.inner_radius_m))
        return tuple(part for ring in rings for part in outline_of(ring))
    steps = max(2, round(CORNERS * band.opening_angle_deg / 360.0) + 1)
    bearing = band.start_angle_deg + np.linspace(0.0, band.opening_angle_deg, steps)
    near = bearing[::-1] if band.inner_radius_m > 0 else bearing[:1]
    lengths_m = np.repeat([band.outer_radius_m, band.inner_radius_m], [len(bearing), len(near)])
    return (_around(band.center, np.concatenate([bearing, near]), lengths_m),)


def _polygons(rings: Sequence[model.Polygon]) -> Json | None:
    """The geometry of an outer ring and its holes, cut where it crosses the antimeridian; None without rings."""
    unrolled = [_unrolled(ring) for ring in rings]
    if not unrolled:
        return None
    if all(-180.0 <= lng <= 180.0 for ring in unrolled for lng, _ in ring):
        return {"type": "Polygon", "coordinates": [_closed(ring, outer=not k) for k, ring in enumerate(unrolled)]}
    parts = _cut(unrolled)
    if len(parts) == 1:
        return {"type": "Polygon", "coordinates": parts[0]}
    return {"type": "MultiPolygon", "coordinates": parts}


def _unrolled(ring: model.Polygon) -> Pairs:
    """Longitude and latitude of the corners, longitudes in steps below half a turn; a ring round a pole runs over it.

    >>> _unrolled(_ring([(0.0, 179.0), (1.0, -179.0), (-1.0, -179.0)]))
    [(179.0, 0.0), (181.0, 1.0), (181.0, -1.0)]
    """
    pairs: Pairs = []
    lng = ring.vertices[0].longitude_deg
    for corner in (*ring.vertices, ring.vertices[0]):
        lng += (corner.longitude_deg - lng + 180.0) % 360.0 - 180.0
        pairs.append((lng, corner.latitude_deg))
    last = pairs.pop()
    if abs(last[0] - pairs[0][0]) > 180.0:
        pole = 90.0 if sum(lat for _, lat in pairs) > 0 else -90.0
        pairs += [last, (last[0], pole), (pairs[0][0], pole)]
    return pairs


def _cut(unrolled: Sequence[Pairs]) -> list[list[Pairs]]:
    """The polygons, each with its rings, that an unrolled one makes between the antimeridians."""
    import shapely

    whole = shapely.make_valid(shapely.Polygon(unrolled[0], unrolled[1:]))
    first, _, last, _ = whole.bounds
    parts = []
    for turn in range(int((first + 180.0) // 360.0), int((last + 180.0) // 360.0) + 1):
        inside = shapely.intersection(whole, shapely.box(360.0 * turn - 180.0, -90.0, 360.0 * turn + 180.0, 90.0))
        for part in shapely.get_parts(inside):
            if part.geom_type == "Polygon" and not part.is_empty:
                rings = [part.exterior, *part.interiors]
                shifted = [[(lng - 360.0 * turn, lat) for lng, lat in ring.coords[:-1]] for ring in rings]
                parts.append([_closed(ring, outer=not k) for k, ring in enumerate(shifted)])
    return parts


def _closed(ring: Pairs, *, outer: bool) -> Pairs:
    """The ring with its first corner at the end too, counterclockwise when it is an outer one."""
    following = [*ring[1:], ring[0]]
    area = sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in zip(ring, following, strict=True))
    corners = ring if (area < 0) == outer else ring[::-1]
    rounded = [(round(lng, _DECIMALS), round(lat, _DECIMALS)) for lng, lat in corners]
    return [*rounded, rounded[0]]
