"""Posterior and regions: single pieces, two places, both ends of the scale, batches, corners of the globe."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h3.api.numpy_int as h3
import numpy as np
import pytest

from locsvc.evaluate.simulate import FAMILIES
from locsvc.fusion import region
from locsvc.fusion.claims import Made
from locsvc.fusion.densities import Densities
from locsvc.fusion.grid import locate
from locsvc.fusion.leaves import Leaves
from locsvc.fusion.region import answer, compact
from locsvc.geo import destination, distance_m, geodesic_m
from locsvc.units import radius_holding, sigmas_of_circle
from tests.fusion.pieces import ONE, Fused, circles, discs, ellipses, fused, gathered, lines

if TYPE_CHECKING:
    from locsvc.fusion.parameters import Parameters

HERE = (53.35, -6.26)
_FILE = Path(__file__).resolve().parents[3] / "shared" / "standards" / "vectors" / "fusion.json"
VECTORS: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8")) if _FILE.exists() else []


def sound(one: Fused, confidence: float, call: int = 0) -> None:
    """What must be true of any answer."""
    a = one.answers
    numbers = [float(getattr(a, n)[call]) for n in ("latitude_deg", "longitude_deg", "radius_m", "region_area_m2")]
    numbers += [float(getattr(a, n)[call]) for n in ("semi_major_m", "semi_minor_m", "orientation_deg")]
    assert all(math.isfinite(v) for v in numbers)
    assert one.radius_m(call) > 0
    assert confidence - 1e-3 <= float(a.region_mass[call]) <= 1
    assert float(a.semi_major_m[call]) >= float(a.semi_minor_m[call]) > 0
    cells = sorted(one.region(call))
    assert len(cells) == len(set(cells)) > 0
    assert all(h3.is_valid_cell(c) for c in cells)
    area = sum(h3.cell_area(c, unit="m^2") for c in cells)
    assert float(a.region_area_m2[call]) == pytest.approx(area, rel=0.05)


# A place on land, one over an edge of the icosahedron, one over the antimeridian, and near both poles.
PLACES = {
    "Dublin": HERE,
    "Suva, by the antimeridian": (-17.0, 179.99995),
    "on the antimeridian": (-16.5, 180.0),
    "Null Island's neighbour": (0.2, 0.2),
    "near the North Pole": (89.9, 30.0),
    "at the North Pole": (90.0, 0.0),
    "Amundsen-Scott": (-89.99, -139.0),
}


def _edges() -> dict[str, tuple[float, float]]:
    rng = np.random.default_rng(7)
    found: dict[str, tuple[float, float]] = {}
    while len(found) < 4:
        lat, lng = float(np.degrees(np.arcsin(rng.uniform(-0.8, 0.8)))), float(rng.uniform(-180, 180))
        cell = h3.latlng_to_cell(lat, lng, 5)
        if len(h3.get_icosahedron_faces(cell)) == 2 and not h3.is_pentagon(cell):
            found[f"icosahedron edge {len(found)}"] = h3.cell_to_latlng(cell)
    return found


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.999])
@pytest.mark.parametrize("sigma_m", [2.0, 30.0, 1_000.0, 20_000.0])
@pytest.mark.parametrize("place", [pytest.param(p, id=name) for name, p in (PLACES | _edges()).items()])
def test_one_gaussian(place: tuple[float, float], sigma_m: float, confidence: float, pure: Parameters) -> None:
    one = fused([circles(pure, ONE, 0, *place, sigma_m)], confidence=confidence)
    sound(one, confidence)
    expected = sigmas_of_circle(confidence) * sigma_m
    # Forty cells make a circle good to some percent. Cells end at 0.6 m, which a circle of 2 m shows; the last ten
    # thousandths lie in cells that stay large.
    if confidence < 0.99:
        assert one.radius_m() == pytest.approx(expected, rel=0.06, abs=0.4)
    else:
        assert 0.97 * expected < one.radius_m() < 1.06 * expected
    assert float(geodesic_m(*one.place(), *place)) < 0.15 * sigma_m
    assert one.holds(*one.place())
    if confidence < 0.99:
        assert float(one.answers.region_area_m2[0]) == pytest.approx(math.pi * expected**2, rel=0.1, abs=3.0)
    assert not one.answers.modes.of(0)


@pytest.mark.parametrize("axis_deg", [0.0, 35.0, 120.0])
def test_one_ellipse(axis_deg: float, pure: Parameters) -> None:
    one = fused([ellipses(pure, *HERE, 300.0, 60.0, axis_deg)])
    sound(one, 0.9)
    k = sigmas_of_circle(0.9)
    assert one.radius_m() == pytest.approx(float(radius_holding(300.0, 60.0, 0.9)), rel=0.03)
    assert float(one.answers.semi_major_m[0]) == pytest.approx(300.0 * k, rel=0.06)
    assert float(one.answers.semi_minor_m[0]) == pytest.approx(60.0 * k, rel=0.1)
    assert (float(one.answers.orientation_deg[0]) - axis_deg + 90) % 180 - 90 == pytest.approx(0.0, abs=3.0)


def test_two_equal_sources_forty_kilometres_apart_are_two_places(parameters: Parameters) -> None:
    lat, lng = destination(*HERE, 70.0, 40_000.0)
    there = (float(lat), float(lng))
    one = fused([circles(parameters, ONE, 0, *HERE, 50.0), circles(parameters, ONE, 1, there[0], there[1], 50.0)])
    sound(one, 0.9)
    (other,) = one.answers.modes.of(0)
    ends = [float(distance_m(*one.place(), *p)) for p in (HERE, there)]
    assert min(ends) < 60
    assert max(ends) == pytest.approx(40_000, abs=100)
    farther = HERE if ends[0] > ends[1] else there
    assert float(distance_m(other.latitude_deg, other.longitude_deg, *farther)) < 60
    leaves, of = one.posterior.leaves, one.answers.mode_of_leaf
    dominant = float(leaves.mass[of == 0].sum())
    assert dominant + other.mass == pytest.approx(1.0, abs=0.06)
    assert dominant == pytest.approx(other.mass, abs=0.03)
    # The answer's circle reaches from one to the other, its region does not.
    assert one.radius_m() == pytest.approx(40_000, rel=0.01)
    assert one.holds(*HERE)
    assert one.holds(*there)
    middle = destination(*HERE, 70.0, 20_000.0)
    assert not one.holds(float(middle[0]), float(middle[1]))


def test_the_more_trusted_source_is_the_place(parameters: Parameters) -> None:
    lat, lng = (float(v) for v in destination(*HERE, 70.0, 40_000.0))
    nomadic = 4
    one = fused([circles(parameters, ONE, 0, *HERE, 50.0), lines(parameters, ONE, 1, lat, lng, nomadic)])
    place = max(
        [(float(one.posterior.leaves.mass[one.answers.mode_of_leaf == 0].sum()), one.place())]
        + [(m.mass, (m.latitude_deg, m.longitude_deg)) for m in one.answers.modes.of(0)]
    )[1]
    assert one.place() == place


@pytest.mark.parametrize("off_m", [0.0, 5_000.0, 20_000.0])
def test_fix_of_five_metres_in_a_disc_of_thirty_kilometres(off_m: float, parameters: Parameters) -> None:
    tower = destination(*HERE, 200.0, off_m)
    made = [
        circles(parameters, ONE, 0, *HERE, 5.0 / sigmas_of_circle(0.68)),
        discs(parameters, ONE, 1, float(tower[0]), float(tower[1]), 30_000.0),
    ]
    one = fused(made)
    sound(one, 0.9)
    assert one.radius_m() < 25
    assert float(distance_m(*one.place(), *HERE)) < 2


def test_agreeing_sources_are_narrower_than_each(parameters: Parameters) -> None:
    lone = [fused([circles(parameters, ONE, 0, *HERE, 100.0)]), fused([lines(parameters, ONE, 0, *HERE)])]
    both = fused([circles(parameters, ONE, 0, *HERE, 100.0), lines(parameters, ONE, 1, *HERE)])
    assert both.radius_m() < min(one.radius_m() for one in lone)


@pytest.mark.parametrize("radius_m", [100_000.0, 300_000.0])
def test_country_sized_claims(radius_m: float, parameters: Parameters) -> None:
    one = fused([discs(parameters, ONE, 0, *HERE, radius_m)])
    sound(one, 0.9)
    assert 0.7 * radius_m < one.radius_m() < 1.2 * radius_m
    with_fix = fused([discs(parameters, ONE, 0, *HERE, radius_m), circles(parameters, ONE, 1, 53.0, -8.0, 5.0)])
    assert with_fix.radius_m() < 50
    assert float(distance_m(*with_fix.place(), 53.0, -8.0)) < 5


def test_a_thousand_pieces_in_one_call(parameters: Parameters, rng: np.random.Generator) -> None:
    lat = HERE[0] + rng.normal(0, 100, 1000) / 111_300
    lng = HERE[1] + rng.normal(0, 100, 1000) / 66_600
    made = [circles(parameters, ONE, i, float(lat[i]), float(lng[i]), 100.0) for i in range(1000)]
    one = fused(made)
    sound(one, 0.9)
    # The mean of a thousand fixes of 100 m is good to 3 m on each axis.
    assert float(distance_m(*one.place(), float(lat.mean()), float(lng.mean()))) < 15
    assert one.radius_m() < 15


@pytest.mark.parametrize("resolution", [2, 6, 9])
def test_beside_a_pentagon(resolution: int, pure: Parameters) -> None:
    pentagon = int(h3.get_pentagons(resolution)[5])
    edge_m = math.sqrt(h3.cell_area(pentagon, unit="m^2") / 2)
    center = h3.cell_to_latlng(pentagon)
    place = destination(center[0], center[1], 77.0, 3 * edge_m)
    one = fused([circles(pure, ONE, 0, float(place[0]), float(place[1]), edge_m / 5)])
    sound(one, 0.9)
    assert one.radius_m() == pytest.approx(sigmas_of_circle(0.9) * edge_m / 5, rel=0.03)


def test_at_a_pentagon_there_is_an_answer(pure: Parameters) -> None:
    # The twelve are at sea; cells that have no common axes are left out, and with them what lies exactly there.
    for pentagon in h3.get_pentagons(0).tolist():
        lat, lng = h3.cell_to_latlng(pentagon)
        for sigma_m in (10.0, 1_000.0, 100_000.0):
            one = fused([circles(pure, ONE, 0, lat, lng, sigma_m)])
            assert math.isfinite(one.radius_m())
            assert float(geodesic_m(*one.place(), lat, lng)) < 6 * sigma_m
            assert one.radius_m() < 15 * sigma_m


@pytest.fixture(scope="module")
def mixed() -> tuple[Densities, int]:
    """Two hundred calls of all families, as one batch."""
    from locsvc.fusion.parameters import Parameters
    from locsvc.reference.calibration import read_calibration

    parameters = Parameters.from_mapping(read_calibration(None)[0])
    rng = np.random.default_rng(20261122)
    calls = np.arange(200)
    names = list(FAMILIES)
    made: list[Made] = []
    for k, name in enumerate(names):
        made += FAMILIES[name](rng, calls[k :: len(names)], parameters)
    d = gathered(made)
    # All over the globe, the pieces of a call some way apart.
    lat = np.degrees(np.arcsin(rng.uniform(-0.99, 0.99, 200)))[d.call]
    lng = rng.uniform(-180, 180, 200)[d.call]
    off = rng.exponential(np.where(rng.random(len(d.call)) < 0.2, 50_000.0, 200.0))
    d.latitude_deg, d.longitude_deg = destination(lat, lng, rng.uniform(0, 360, len(off)), off)
    return d, 200


PIECE_COLUMNS = {"call", "latitude_deg", "longitude_deg", "outlier_share", "outlier_scale_m", "exponent"}


def rows_of(d: Densities, calls: list[int]) -> Densities:
    """The rows of some calls, in their order there."""
    pieces = np.concatenate([np.nonzero(d.call == c)[0] for c in calls])
    components = [np.nonzero(d.piece == p)[0] for p in pieces.tolist()]
    rows = np.concatenate(components)
    values = {}
    for f in fields(Densities):
        column = getattr(d, f.name)
        whole = f.name in {"corner_m", "bin", "held"}
        values[f.name] = column if whole else column[pieces if f.name in PIECE_COLUMNS else rows]
    number = {c: i for i, c in enumerate(calls)}
    values["call"] = np.array([number[c] for c in values["call"].tolist()])
    values["piece"] = np.repeat(np.arange(len(pieces)), [len(c) for c in components])
    return Densities(**values)


def answers_of(d: Densities, calls: list[int], confidence: np.ndarray[Any, Any]) -> list[tuple[object, ...]]:
    """Everything about each call, as values that can be compared."""
    wanted = confidence[calls]
    posterior = locate(rows_of(d, calls), len(calls), wanted)
    a = answer(posterior, wanted)
    cells = compact(posterior.leaves, a.region_leaves)
    leaves = posterior.leaves
    result: list[tuple[object, ...]] = []
    for i in range(len(calls)):
        rows = leaves.rows(i)
        numbers = tuple(
            float(getattr(a, f.name)[i]) for f in fields(region.Answers) if f.name not in {"mode_of_leaf", "modes"}
        )
        result.append(
            (
                numbers,
                a.modes.of(i),
                cells.cell[cells.starts[i] : cells.starts[i + 1]].tolist(),
                leaves.cell[rows].tolist(),
                leaves.mass[rows].tolist(),
                a.mode_of_leaf[rows].tolist(),
            )
        )
    return result


def test_answers_are_the_same_to_the_last_bit_in_any_batch(mixed: tuple[Densities, int]) -> None:
    d, calls = mixed
    confidence = np.random.default_rng(1).choice([0.5, 0.9, 0.95, 0.999], calls)
    alone = [answers_of(d, [c], confidence)[0] for c in range(calls)]
    for size in (2, 7, 64, 200):
        order = np.random.default_rng(size).permutation(calls).tolist()
        # Pairs and sevens of a part of them: what a neighbour can do shows in few.
        for start in range(0, calls if size > 7 else 56, size):
            batch = order[start : start + size]
            for c, got in zip(batch, answers_of(d, batch, confidence), strict=True):
                assert got == alone[c], f"call {c} in a batch of {size}"


def test_masses_of_a_call_sum_to_one_less_what_is_elsewhere(mixed: tuple[Densities, int]) -> None:
    d, calls = mixed
    leaves = locate(rows_of(d, list(range(calls))), calls, np.full(calls, 0.9)).leaves
    total = np.add.reduceat(leaves.mass, leaves.starts[:-1])
    assert (total <= 1 + 1e-9).all()
    assert (total >= 0.9).all()
    assert (leaves.mass >= 0).all()
    density = leaves.mass / leaves.area_m2
    same = leaves.call[1:] == leaves.call[:-1]
    assert (density[1:][same] <= density[:-1][same] * (1 + 1e-5)).all(), "densest first"
    for c in range(0, calls, 20):
        cells = leaves.cell[leaves.call == c].tolist()
        assert len(set(cells)) == len(cells)


def made_up(cells: list[int], mass: list[float]) -> Leaves:
    """Leaves of one call, densest first."""
    area = np.array([h3.cell_area(c, unit="m^2") for c in cells])
    order = np.argsort(-np.array(mass) / area, kind="stable")
    n = len(cells)
    return Leaves(
        np.zeros(n, np.int64),
        np.array(cells, np.uint64)[order],
        np.array(mass)[order],
        area[order],
        np.zeros((n, 3)),
        np.array([0, n]),
    )


@pytest.mark.parametrize(("resolution", "rings"), [(9, 5), (5, 9), (12, 20)])
def test_compact_is_the_library_s(resolution: int, rings: int, rng: np.random.Generator) -> None:
    disk = [int(c) for c in h3.grid_disk(h3.latlng_to_cell(*HERE, resolution), rings)]
    for share in (1.0, 0.97, 0.6):
        kept = [c for c in disk if rng.random() < share]
        leaves = made_up(kept, [1.0 / len(kept)] * len(kept))
        got = compact(leaves, np.array([len(kept)]))
        cells = [int(c) for c in got.cell.tolist()]
        assert cells == sorted(int(c) for c in h3.compact_cells(kept))
        assert sorted(int(c) for c in h3.uncompact_cells(cells, resolution)) == sorted(kept)
        assert got.finest.tolist() == [resolution]
        assert got.starts.tolist() == [0, len(cells)]


@pytest.mark.parametrize(
    "vector", [pytest.param(v, id=v["id"]) for v in VECTORS if v["kind"] == "h3_compact_roundtrip"]
)
def test_compact_vector(vector: dict[str, Any], shared: Path) -> None:
    assert (shared / "standards").is_dir()
    asked, expected = vector["input"], vector["expected"]
    center = h3.latlng_to_cell(asked["lat"], asked["lng"], asked["res"])
    assert f"{center:x}" == expected["cell"]
    disk = [int(c) for c in h3.grid_disk(center, asked["k"])]
    assert len(disk) == expected["disk"]
    got = compact(made_up(disk, [1.0 / len(disk)] * len(disk)), np.array([len(disk)]))
    assert len(got.cell) == expected["compacted"]
    assert len(h3.uncompact_cells(got.cell.tolist(), asked["res"])) == expected["uncompacted"]


def test_region_is_the_smallest_set_by_density(parameters: Parameters) -> None:
    # The vectors hpd-1 and hpd-2 on the core's own leaves: sort by mass over area, take until the level is reached.
    for made in ([circles(parameters, ONE, 0, *HERE, 80.0)], [discs(parameters, ONE, 0, *HERE, 2_000.0)]):
        for confidence in (0.5, 0.8, 0.95):
            one = fused(made, confidence=confidence)
            leaves = one.posterior.leaves
            inside = np.arange(len(leaves.cell)) < one.answers.region_leaves[0]
            density = leaves.mass / leaves.area_m2
            assert density[inside].min() >= density[~inside].max() * (1 - 1e-5)
            held = np.cumsum(leaves.mass[np.argsort(-density, kind="stable")])
            assert int(inside.sum()) == int(np.searchsorted(held, confidence - 1e-9)) + 1
            assert float(one.answers.region_mass[0]) == pytest.approx(float(leaves.mass[inside].sum()), abs=1e-9)
