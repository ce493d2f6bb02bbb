"""Hypothesis strategies for calls: anything that passes the range checks of the faces, odd things among it."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from locsvc import model

# The widest radius that the contract lets through.
WIDEST_M = 20_100_000.0
# Noon of 14 March 2026, the time of the sample calls.
NOON = 1_773_489_600.0

# Numbers that senders use for "unknown" stand among the others on purpose.
cell_numbers = st.one_of(st.none(), st.sampled_from([0, 1, 65535, 1049859, 1050371, 2**28 - 1]), st.integers(0, 65535))
sizes_m = st.one_of(
    st.sampled_from([0.0, 5e-324, 0.01, 1.0, WIDEST_M]),
    st.floats(0.0, 5.4).map(lambda power: 10.0**power),
)
fractions = st.one_of(st.none(), st.floats(1e-6, 1 - 1e-6), st.sampled_from([0.01, 0.68, 0.9, 0.95, 0.999]))
angles_deg = st.one_of(st.sampled_from([0.0, 90.0, 359.0]), st.floats(0.0, 359.99))
openings_deg = st.one_of(st.sampled_from([1e-3, 90.0, 359.0, 360.0]), st.floats(1.0, 360.0))
altitudes_m = st.floats(-500.0, 10_000.0)


def _place(latitude_deg: float, longitude_deg: float) -> model.LatLng:
    return model.LatLng(latitude_deg, longitude_deg)


near_town = st.builds(_place, st.floats(54.95, 55.05), st.floats(2.4, 2.6))
odd_places = st.sampled_from(
    [(0.0, 0.0), (90.0, 0.0), (-90.0, 180.0), (89.9999, -37.0), (0.0, 180.0), (12.0, -180.0), (-16.0, 179.9999)]
).map(lambda p: _place(*p))
anywhere = st.builds(_place, st.floats(-90.0, 90.0), st.floats(-180.0, 180.0))
places = st.one_of(near_town, near_town, odd_places, anywhere)


@st.composite
def _polygons(draw: st.DrawFn) -> model.Polygon:
    """A star around a place, or corners in any order, crossing, repeated; the first is not repeated at the end."""
    center = draw(places)
    if draw(st.booleans()):
        corners_drawn = draw(st.lists(near_town, min_size=3, max_size=6))
        while len(corners_drawn) > 3 and corners_drawn[0] == corners_drawn[-1]:
            corners_drawn.pop()
        return model.Polygon(tuple(corners_drawn))
    size_deg = draw(st.sampled_from([1e-6, 1e-4, 1e-2, 1.0]))
    corners = draw(st.integers(3, 9))
    lengths = draw(st.lists(st.floats(0.1, 1.0), min_size=corners, max_size=corners))
    return model.Polygon(
        tuple(
            model.LatLng(
                min(90.0, max(-90.0, center.latitude_deg + size_deg * r * math.cos(math.tau * i / corners))),
                min(180.0, max(-180.0, center.longitude_deg + size_deg * r * math.sin(math.tau * i / corners))),
            )
            for i, r in enumerate(lengths)
        )
    )


@st.composite
def _arc_bands(draw: st.DrawFn) -> model.ArcBand:
    inner = draw(st.one_of(st.just(0.0), st.floats(0.0, 1e5)))
    width = draw(st.floats(1e-3, 1e5))
    return model.ArcBand(draw(places), inner, inner + width, draw(angles_deg), draw(openings_deg))


@st.composite
def _axes(draw: st.DrawFn) -> tuple[float, float]:
    a, b = draw(sizes_m), draw(sizes_m)
    return max(a, b), min(a, b)


shapes = st.one_of(
    st.builds(model.Point, places),
    st.builds(model.Circle, places, sizes_m),
    st.builds(lambda c, ab, o: model.Ellipse(c, ab[0], ab[1], o), places, _axes(), angles_deg),
    _arc_bands(),
    _polygons(),
    st.builds(model.Sphere, places, altitudes_m, sizes_m),
    st.builds(
        lambda c, h, ab, v, o: model.Ellipsoid(c, h, ab[0], ab[1], v, o),
        places,
        altitudes_m,
        _axes(),
        st.floats(0.0, 10_000.0),
        angles_deg,
    ),
    st.builds(model.Prism, _polygons(), altitudes_m, st.floats(0.0, 10_000.0)),
)

reports = st.builds(
    model.DeviceReport,
    st.one_of(st.none(), shapes, shapes, shapes),
    fractions,
    st.sampled_from(model.PositioningMethod),
    st.one_of(st.none(), altitudes_m),
    st.one_of(st.none(), st.floats(0.0, 10_000.0)),
    st.sampled_from(["", "3", "mezzanine"]),
)

_known_cells = st.sampled_from(
    [
        (model.Radio.LTE, 1101, 1049859, 5, 1300),
        (model.Radio.LTE, 1102, 1050881, 15, 1300),
        (model.Radio.GSM, 101, 41042, None, 62),
        (model.Radio.NR, 2101, 67190785, 3, 152690),
    ]
).map(lambda c: model.CellMeasurement(c[0], "001", "01", *c[1:]))
_odd_cells = st.builds(
    model.CellMeasurement,
    st.sampled_from(model.Radio),
    st.sampled_from(["", "001", "272", "999", "000"]),
    st.sampled_from(["", "01", "001", "99"]),
    cell_numbers.map(lambda n: None if n is None else min(n, 65535)),
    cell_numbers.map(lambda n: None if n is None else min(n, 65535)),
    st.one_of(st.none(), st.integers(0, 63)),
    st.one_of(st.none(), st.sampled_from([0, 62, 1300, 3_279_165])),
    st.one_of(st.none(), st.floats(-160.0, 0.0)),
    st.one_of(st.none(), st.floats(-50.0, 30.0)),
    st.one_of(st.none(), st.integers(0, 219)),
)
cells = st.one_of(_known_cells, _odd_cells)
scans = st.builds(model.CellScan, st.one_of(st.none(), cells, cells), st.lists(cells, max_size=4).map(tuple))

numbers = st.sampled_from(
    ["", "+441632960100", "+441632960007", "01632 960124", "+353209100001", "112", "+1", "0000000"]
)
calling_numbers = st.sampled_from(["", "+441632960100", "+441632960007", "+353209100001"])
records = st.builds(
    model.LineRecord,
    calling_numbers,
    st.sampled_from(model.ClassOfService),
    st.one_of(st.none(), st.just(model.CivicAddress(house_number="1", street="Mill Lane", city="Testham"))),
    st.one_of(st.none(), places),
    st.sampled_from(model.Placement),
    st.one_of(st.none(), sizes_m),
    fractions,
)
lookups = st.builds(model.LineLookup, numbers, st.one_of(st.none(), records))

times_s = st.one_of(st.none(), st.floats(NOON - 86_400.0, NOON + 600.0), st.sampled_from([0.0, NOON, 4e9]))
evidences = st.builds(model.Evidence, st.one_of(st.none(), scans, reports, reports, lookups), observed_at=times_s)


def _named(pieces: list[model.Evidence]) -> tuple[model.Evidence, ...]:
    """Each piece with a name of its own, so that the same pieces in another order keep their names."""
    return tuple(model.Evidence(p.content, f"piece-{i}", p.provider, p.observed_at) for i, p in enumerate(pieces))


calls = st.builds(
    model.Call,
    st.just("call"),
    calling_numbers,
    times_s,
    st.lists(evidences, max_size=6).map(_named),
)
