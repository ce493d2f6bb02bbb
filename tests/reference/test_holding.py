"""Which outlines hold a place: the same that GEOS says, on borders and at corners too."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from locsvc.geo import unit_vectors
from locsvc.reference.areas import AreaStore
from locsvc.reference.areas.holding import OUTSIDE, UNDECIDED, places_held, strips_of

# Corners and places on one coarse grid: many places are at corners, on edges, or at the height of a corner.
GRID = st.tuples(st.integers(-6, 6), st.integers(-6, 6))


def outlines_of(*shapes: shapely.Geometry) -> np.ndarray:
    return np.array([shapely.MultiPolygon([shape] if shape.geom_type == "Polygon" else shape) for shape in shapes])


def store_of(*shapes: shapely.Geometry) -> AreaStore:
    return AreaStore([f"area {i}" for i in range(len(shapes))], ["test"] * len(shapes), outlines_of(*shapes))


def zigzag(teeth: int) -> shapely.Polygon:
    """A comb whose edges all run from its south to its north."""
    across = np.linspace(0.0, 1.0, 2 * teeth + 1)
    upper = np.where(np.arange(2 * teeth + 1) % 2, 1.0, 0.1)
    return shapely.Polygon([*zip(across, upper, strict=True), (1.0, 0.0), (0.0, 0.0)])


@given(st.lists(GRID, min_size=3, max_size=12), st.lists(GRID, min_size=3, max_size=12), st.floats(-0.3, 0.3))
def test_any_outline_holds_what_geos_says(
    one: list[tuple[int, int]], other: list[tuple[int, int]], shift: float
) -> None:
    whole = [shapely.buffer(shapely.make_valid(shapely.Polygon(ring)), 0) for ring in (one, other)]
    # With a hole, when one lies in the other; both of any number of parts.
    shapes = [s for s in (whole[0], shapely.difference(*whole)) if not s.is_empty]
    if not shapes:
        return
    y, x = (c.ravel() / 2.0 for c in np.meshgrid(np.arange(-14.0, 15.0), np.arange(-14.0, 15.0)))
    y[::3] += shift
    point, area = store_of(*shapes).locate(y, x)
    expected = [(p, a) for p in range(len(x)) for a, s in enumerate(shapes) if shapely.intersects_xy(s, x[p], y[p])]
    assert list(zip(point.tolist(), area.tolist(), strict=True)) == expected


def test_places_beside_a_border_are_decided_and_on_it_left_open(rng: np.random.Generator) -> None:
    strips = strips_of(outlines_of(zigzag(50)))
    x, y = rng.uniform(0.0, 1.0, (2, 500))
    x[0], y[0] = strips.begin[7]
    how = places_held(x, y, np.arange(500), np.zeros(500, np.int64), *strips)
    assert how[0] == UNDECIDED
    assert (how[1:] != UNDECIDED).all()
    assert np.array_equal(how[1:] != OUTSIDE, shapely.intersects_xy(zigzag(50), x[1:], y[1:]))


def test_steep_edges_do_not_fill_the_memory() -> None:
    strips = strips_of(outlines_of(zigzag(20_000), shapely.box(5, 5, 6, 6)))
    assert len(strips.edges) < 6 * len(strips.begin)


@pytest.mark.parametrize("on_the_border", [False, True])
def test_mass_is_that_of_the_places_held(on_the_border: bool, rng: np.random.Generator) -> None:
    store = store_of(shapely.box(0, 50, 1, 51), shapely.box(0, 51, 1, 52), shapely.box(0.5, 40, 0.6, 60))
    latitude, longitude = rng.uniform(50.5, 51.5, 300), rng.uniform(-0.2, 1.2, 300)
    if on_the_border:
        # Only zero comes back from a vector to the bit; beside the border its place would be decided.
        longitude[17] = 0.0
    anchor = unit_vectors(51.0, 0.4)
    vectors, mass = unit_vectors(latitude, longitude) - anchor, rng.uniform(0.0, 1.0, 300)
    east, north = longitude, latitude
    expected = {
        0: mass[(east >= 0) & (east <= 1) & (north <= 51)].sum(),
        1: mass[(east >= 0) & (east <= 1) & (north >= 51)].sum(),
        2: mass[(east >= 0.5) & (east <= 0.6)].sum(),
    }
    held = dict(store.held_mass(vectors, anchor, mass))
    assert list(held) == [0, 1, 2]
    assert held == pytest.approx(expected)


def test_mass_over_the_antimeridian() -> None:
    store = store_of(shapely.box(179, -1, 180, 1), shapely.box(-180, -1, -179, 1))
    vectors = unit_vectors(np.zeros(3), np.array([179.5, -179.5, 180.0]))
    held = store.held_mass(vectors, np.zeros(3), np.array([1.0, 2.0, 4.0]))
    # What is on the seam itself is on both sides of it.
    assert held == [(0, 5.0), (1, 6.0)]


def test_masses_of_many_regions_are_those_of_each(rng: np.random.Generator) -> None:
    store = store_of(*(shapely.box(x, 50, x + 0.2, 51) for x in np.arange(0.0, 1.0, 0.2)), shapely.box(0, 50, 9, 52))
    count = np.array([40, 0, 60, 30, 25])
    starts = np.concatenate(([0], np.cumsum(count + 5)))
    latitude, longitude = rng.uniform(50.2, 51.2, starts[-1]), rng.uniform(-0.5, 1.5, starts[-1])
    # The last one is beside all areas; the third has a place on a border, which only GEOS decides.
    longitude[starts[4] :] -= 30.0
    longitude[starts[2] + 3] = 0.0
    anchor, mass = np.zeros((5, 3)), rng.uniform(0.0, 1.0, starts[-1])
    vectors = unit_vectors(latitude, longitude)
    chosen = np.array([0, 1, 2, 4])
    first, area, held = store.held_masses(chosen, starts, count, vectors, anchor, mass)
    for i, c in enumerate(chosen.tolist()):
        own = slice(int(starts[c]), int(starts[c] + count[c]))
        expected = store.held_mass(vectors[own], anchor[c], mass[own])
        assert list(zip(area[first[i] : first[i + 1]], held[first[i] : first[i + 1]], strict=True)) == expected
    assert np.diff(first).tolist() == [6, 0, 6, 0]


def test_no_places_have_no_mass() -> None:
    assert store_of(shapely.box(0, 0, 1, 1)).held_mass(np.zeros((0, 3)), np.zeros(3), np.zeros(0)) == []
