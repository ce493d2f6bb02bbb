"""Hypothesis strategies for shapes that a format can carry: known sizes, simple polygons, anywhere on Earth.

`tests/strategies.py` has the odd shapes (unknown sizes, crossing corners) that the core must bear; these are the ones
that must come back from a round trip. Polygons run counter-clockwise seen from above, some across the antimeridian,
some around a pole.
"""

from __future__ import annotations

import math

from hypothesis import strategies as st

from locsvc import model

latitudes_deg = st.one_of(st.floats(-90.0, 90.0), st.sampled_from([-90.0, -1e-7, 0.0, 1e-7, 52.5, 89.9999999, 90.0]))
longitudes_deg = st.one_of(st.floats(-180.0, 180.0), st.sampled_from([-180.0, -179.9999999, -1e-7, 0.0, 13.4, 180.0]))
# 0,0 is what broken senders give for "unknown", so it is no place here.
places = st.builds(model.LatLng, latitudes_deg, longitudes_deg).filter(
    lambda p: abs(p.latitude_deg) > 1e-5 or abs(p.longitude_deg) > 1e-5
)
sizes_m = st.one_of(st.floats(0.1, 1e5), st.sampled_from([0.1, 1.0, 30.0, 850.24, 99_999.9]))
altitudes_m = st.floats(-400.0, 9_000.0)
heights_m = st.floats(0.1, 900.0)
angles_deg = st.one_of(st.floats(0.0, 359.99), st.sampled_from([0.0, 90.0, 180.0, 350.0]))
openings_deg = st.one_of(st.floats(0.5, 360.0), st.sampled_from([1.0, 20.0, 120.0, 360.0]))
confidences = st.one_of(st.floats(0.01, 0.999), st.sampled_from([0.39, 0.5, 0.57, 0.67, 0.68, 0.9, 0.95]))


@st.composite
def _polygons(draw: st.DrawFn, greatest_corners: int = 15) -> model.Polygon:
    """Corners around a middle at growing bearings to the west: a star, simple and counter-clockwise."""
    middle = draw(
        st.one_of(
            st.builds(model.LatLng, st.floats(-80.0, 80.0), st.floats(-180.0, 180.0)),
            st.builds(model.LatLng, st.floats(-80.0, 80.0), st.sampled_from([-180.0, 179.999, 180.0])),
            st.sampled_from([model.LatLng(90.0, 0.0), model.LatLng(-90.0, 0.0)]),
        )
    )
    size_deg = draw(st.sampled_from([1e-3, 1e-2, 0.5]))
    count = draw(st.integers(3, greatest_corners))
    lengths = [size_deg * draw(st.floats(0.3, 1.0)) for _ in range(count)]
    turns = [math.tau * i / count for i in range(count)]
    if abs(middle.latitude_deg) == 90.0:
        # Seen from above its pole, east is counter-clockwise in the north and clockwise in the south.
        side = math.copysign(1.0, middle.latitude_deg)
        corners = [
            (side * (90.0 - length), side * math.degrees(turn)) for length, turn in zip(lengths, turns, strict=True)
        ]
    else:
        cos_latitude = math.cos(math.radians(middle.latitude_deg))
        corners = [
            (
                middle.latitude_deg + length * math.cos(turn),
                middle.longitude_deg - length * math.sin(turn) / cos_latitude,
            )
            for length, turn in zip(lengths, turns, strict=True)
        ]
    return model.Polygon(tuple(model.LatLng(lat, (lng + 180.0) % 360.0 - 180.0) for lat, lng in corners))


@st.composite
def _arc_bands(draw: st.DrawFn) -> model.ArcBand:
    inner = draw(st.one_of(st.just(0.0), st.floats(0.0, 5e4)))
    return model.ArcBand(draw(places), inner, inner + draw(sizes_m), draw(angles_deg), draw(openings_deg))


@st.composite
def _axes(draw: st.DrawFn) -> tuple[float, float]:
    a, b = draw(sizes_m), draw(sizes_m)
    return max(a, b), min(a, b)


points = st.builds(model.Point, places)
circles = st.builds(model.Circle, places, sizes_m)
ellipses = st.builds(lambda c, ab, o: model.Ellipse(c, ab[0], ab[1], o), places, _axes(), angles_deg)
arc_bands = _arc_bands()
polygons = _polygons()
spheres = st.builds(model.Sphere, places, altitudes_m, sizes_m)
ellipsoids = st.builds(
    lambda c, h, ab, v, o: model.Ellipsoid(c, h, ab[0], ab[1], v, o),
    places,
    altitudes_m,
    _axes(),
    heights_m,
    angles_deg,
)
prisms = st.builds(model.Prism, polygons, altitudes_m, heights_m)

flat_shapes = st.one_of(points, circles, ellipses, arc_bands, polygons)
shapes = st.one_of(points, circles, ellipses, arc_bands, polygons, spheres, ellipsoids, prisms)
