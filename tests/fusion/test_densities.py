"""One contract for every family: a density, finite everywhere, that gives way to the background far away."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from locsvc.fusion.components import signed_distance_m
from locsvc.fusion.evaluation import (
    LOG_REFERENCE,
    Evaluation,
    add_log_all_wrong,
    evaluate,
    pieces_of,
)
from locsvc.geo import local_axes, unit_vectors
from locsvc.model import CellFallback, Radio
from tests.fusion.pieces import ONE, bands, cells, circles, discs, ellipses, gathered, polygons

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.claims import Made
    from locsvc.fusion.parameters import Parameters

    Floats = npt.NDArray[np.float64]

HERE = (53.35, -6.26)
CONVEX = (np.array([-300.0, 400.0, 500.0, -100.0]), np.array([-200.0, -300.0, 250.0, 400.0]))
# An L, and a star.
HOOKED = (np.array([0.0, 600, 600, 300, 300, 0]) - 250, np.array([0.0, 0, 200, 200, 500, 500]) - 200)
_TURN = np.arange(10) * (math.tau / 10)
_LENGTH = np.where(np.arange(10) % 2 == 0, 500.0, 220.0)
STAR = (_LENGTH * np.sin(_TURN), _LENGTH * np.cos(_TURN))

# Each family, with half the side of a square that holds all of it, metres.
FAMILIES: dict[str, tuple[Callable[[Parameters], Made], float]] = {
    "round": (lambda p: circles(p, ONE, 0, *HERE, 100.0), 700.0),
    "elliptical": (lambda p: ellipses(p, *HERE, 200.0, 40.0, 30.0), 1_300.0),
    "long and thin": (lambda p: ellipses(p, *HERE, 400.0, 20.0, 120.0), 2_500.0),
    "cloud": (lambda p: cells(p, ONE, 0, *HERE, 1_000.0, CellFallback.CENTROID), 7_500.0),
    "disc": (lambda p: discs(p, ONE, 0, *HERE, 1_000.0), 4_000.0),
    "area served": (lambda p: cells(p, ONE, 0, *HERE, 1_000.0, CellFallback.SECTOR), 4_500.0),
    "sector": (lambda p: cells(p, ONE, 0, *HERE, 1_000.0, CellFallback.SECTOR, azimuth_deg=75.0), 4_500.0),
    "timing ring": (lambda p: cells(p, ONE, 0, *HERE, 9_000.0, CellFallback.SECTOR, timing_advance=4.0), 5_500.0),
    "timing in a sector": (
        lambda p: cells(
            p, ONE, 0, *HERE, 9_000.0, CellFallback.SECTOR, azimuth_deg=355.0, timing_advance=30.0, radio=Radio.LTE
        ),
        5_500.0,
    ),
    "timing at nothing": (
        lambda p: cells(p, ONE, 0, *HERE, 900.0, CellFallback.SECTOR, azimuth_deg=100.0, timing_advance=0.0),
        2_000.0,
    ),
    "arc band": (lambda p: bands(p, *HERE, 700.0, 1_000.0, 200.0, 40.0), 1_500.0),
    "arc band all round": (lambda p: bands(p, *HERE, 700.0, 1_000.0, 0.0, 180.0), 1_500.0),
    "wedge": (lambda p: bands(p, *HERE, 0.0, 800.0, 10.0, 60.0), 1_300.0),
    "convex polygon": (lambda p: polygons(p, *HERE, *CONVEX), 1_000.0),
    "hooked polygon": (lambda p: polygons(p, *HERE, *HOOKED), 1_000.0),
    "star": (lambda p: polygons(p, *HERE, *STAR), 1_100.0),
}
family = pytest.mark.parametrize("name", FAMILIES)
STEPS = 400


def at_plane(made: Made, east_m: Floats, north_m: Floats, blur_m2: float = 0.0) -> tuple[Evaluation, Floats]:
    """The evaluation at metres from the piece's centre, and the density, 1 / square metre."""
    d = gathered([made])
    axis_e, axis_n = local_axes(*HERE)
    vectors = east_m[:, None] * axis_e / np.sum(axis_e**2) + north_m[:, None] * axis_n / np.sum(axis_n**2)
    pieces = pieces_of(d, 1)
    seen = evaluate(pieces, 0, vectors, blur_m2)
    density = np.exp(seen.log_posterior.astype(float) + float(pieces.piece[0, LOG_REFERENCE]))
    return seen, density


def square(half_m: float, steps: int = STEPS) -> tuple[Floats, Floats, float]:
    """Middles of the squares of a grid, and the area of one."""
    step = 2 * half_m / steps
    line = (np.arange(steps) + 0.5) * step - half_m
    east, north = np.meshgrid(line, line)
    return east.ravel(), north.ravel(), step * step


@family
def test_integrates_to_one(name: str, pure: Parameters) -> None:
    maker, half = FAMILIES[name]
    east, north, area = square(half)
    density = at_plane(maker(pure), east, north)[1]
    assert (density >= 0).all()
    assert np.sum(density) * area == pytest.approx(1.0, abs=0.02)


@family
@pytest.mark.parametrize("cell_m", [30.0, 120.0])
def test_integrates_to_one_when_averaged_over_cells(name: str, cell_m: float, pure: Parameters) -> None:
    maker, half = FAMILIES[name]
    east, north, area = square(half + 6 * cell_m)
    density = at_plane(maker(pure), east, north, cell_m**2)[1]
    # Not exactly: edges that are blurred by a good part of their shape's own size leave some of it out, or count it twice
    # in the star's notches.
    assert np.sum(density) * area == pytest.approx(1.0, abs=0.12)


@family
def test_finite_everywhere(name: str, parameters: Parameters, rng: np.random.Generator) -> None:
    d = gathered([FAMILIES[name][0](parameters)])
    lat = np.concatenate((np.degrees(np.arcsin(rng.uniform(-1, 1, 500))), [-HERE[0], HERE[0], 90.0, -90.0, HERE[0]]))
    lng = np.concatenate((rng.uniform(-180, 180, 500), [HERE[1] + 180, HERE[1], 0.0, 0.0, HERE[1] + 180]))
    vectors = unit_vectors(lat, lng) - unit_vectors(*HERE)
    for blur in (0.0, 1e12):
        seen = evaluate(pieces_of(d, 1), 0, vectors, blur)
        for values in (seen.log_posterior, seen.sharpness, seen.agreement):
            assert np.isfinite(values).all()
        assert (seen.sharpness >= 0).all()
        assert ((seen.agreement >= 0) & (seen.agreement <= 1)).all()


@family
def test_background_wins_far_away(name: str, parameters: Parameters) -> None:
    maker, half = FAMILIES[name]
    d = gathered([maker(parameters)])
    share, scale = float(d.outlier_share[0]), float(d.outlier_scale_m[0])
    distance = np.array([20 * half, 50 * half]) + 3 * scale
    seen, density = at_plane(maker(parameters), distance, 0 * distance)
    assert seen.agreement.max() < 1e-3
    student = share / (2 * math.pi * scale**2) * (1 + distance**2 / (2 * scale**2)) ** -2
    assert density == pytest.approx(student, rel=2e-3)
    # The same, from the part that is only about all pieces being wrong.
    pieces = pieces_of(d, 1)
    axis_e, _ = local_axes(*HERE)
    log = np.zeros(len(distance), np.float32)
    places = unit_vectors(*HERE) + distance[:, None] * axis_e / np.sum(axis_e**2)
    add_log_all_wrong(pieces, 0, np.ascontiguousarray(places.T), log)
    wrong = np.exp(log + float(pieces.piece[0, LOG_REFERENCE]))
    assert wrong == pytest.approx(student, rel=2e-3)


@family
def test_trusted_where_it_lies(name: str, parameters: Parameters) -> None:
    maker, half = FAMILIES[name]
    east, north, area = square(half, 150)
    seen, density = at_plane(maker(parameters), east, north)
    share = float(gathered([maker(parameters)]).outlier_share[0])
    # What the piece says of itself, integrated: the probability that it is right.
    assert np.sum(seen.agreement[0] * density) * area == pytest.approx(1 - share, abs=0.04)


@family
def test_support_holds_all_of_it(name: str, pure: Parameters) -> None:
    maker, half = FAMILIES[name]
    d = gathered([maker(pure)])
    east, north, area = square(half)
    density = at_plane(maker(pure), east, north)[1]
    inside = np.hypot(east, north) <= float(d.support_m().max())
    assert np.sum(density[inside]) * area > 0.98


@family
def test_blur_is_the_mean_over_the_blur(name: str, pure: Parameters) -> None:
    # Compared on a coarse grid with the fine one convolved with a Gaussian: within some percent of the peak.
    maker, half = FAMILIES[name]
    blur = half / 25
    east, north, _ = square(half)
    step = 2 * half / STEPS
    fine = at_plane(maker(pure), east, north)[1].reshape(STEPS, STEPS)
    reach = np.arange(-int(4 * blur / step), int(4 * blur / step) + 1) * step
    kernel = np.exp(-(reach**2) / (2 * blur**2))
    kernel /= kernel.sum()
    smooth = np.apply_along_axis(np.convolve, 0, fine, kernel, mode="same")
    smooth = np.apply_along_axis(np.convolve, 1, smooth, kernel, mode="same").ravel()
    blurred = at_plane(maker(pure), east, north, blur**2)[1]
    assert np.abs(blurred - smooth).sum() / smooth.sum() < 0.15


def test_sigma_of_a_round_gaussian(pure: Parameters) -> None:
    east = np.array([0.0, 100.0, 200.0, 0.0])
    north = np.array([0.0, 0.0, 0.0, 300.0])
    density = at_plane(circles(pure, ONE, 0, *HERE, 100.0), east, north)[1]
    expected = np.exp(-np.array([0.0, 0.5, 2.0, 4.5])) / (2 * math.pi * 100.0**2)
    assert density == pytest.approx(expected, rel=2e-3)


def test_orientation_is_clockwise_from_north(pure: Parameters) -> None:
    angle = np.radians([30.0, 120.0])
    density = at_plane(ellipses(pure, *HERE, 200.0, 40.0, 30.0), 100 * np.sin(angle), 100 * np.cos(angle))[1]
    # 0.5 sigma along the axis, 2.5 sigma across.
    assert density[0] / density[1] == pytest.approx(math.exp((2.5**2 - 0.5**2) / 2), rel=0.01)


def test_sector_looks_where_its_azimuth_does(pure: Parameters) -> None:
    angle = np.radians([75.0, 255.0, 75.0 + 90.0])
    sector = cells(pure, ONE, 0, *HERE, 1_000.0, CellFallback.SECTOR, azimuth_deg=75.0)
    ahead, behind, aside = at_plane(sector, 300 * np.sin(angle), 300 * np.cos(angle))[1]
    assert ahead > 3 * aside > 3 * behind


coordinates = st.floats(-1000.0, 1000.0).map(lambda v: round(v, 1))


@given(
    st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=12, unique=True),
    st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=20),
)
def test_signed_distance_is_shapely_s(corners: list[tuple[float, float]], points: list[tuple[float, float]]) -> None:
    # Corners in order of direction around their mean: simple, seldom convex.
    c = np.array(corners)
    off = c - c.mean(axis=0)
    c = c[np.argsort(np.arctan2(off[:, 1], off[:, 0]), kind="stable")]
    polygon = shapely.Polygon(c)
    if not polygon.is_valid or polygon.area < 100:
        return
    p = np.array(points)
    got = np.array([signed_distance_m(east, north, c) for east, north in p.tolist()])
    place = shapely.points(p)
    distance = shapely.distance(polygon.exterior, place)
    expected = np.where(shapely.contains(polygon, place), distance, -distance)
    clear = distance > 0.01
    assert got[clear] == pytest.approx(expected[clear], abs=0.01)
    assert np.abs(got[~clear]) == pytest.approx(0.0, abs=0.05)
