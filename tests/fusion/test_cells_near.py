"""The kernels' cells against the library: all that touch a disc, with their places, anywhere on the globe."""

from __future__ import annotations

import math

import h3.api.numpy_int as h3
import numpy as np
import pytest

from locsvc.fusion.lattice import EDGE_M, FINEST, Level, cells_near, put_children, room_for, tables
from locsvc.geo import AUTHALIC_RADIUS_M, unit_vectors

ROOM, SPARE = room_for(8192), room_for(8192)


def near(lat: float, lng: float, radius_rad: float, resolution: int) -> int:
    center = unit_vectors(lat, lng)[None]
    return cells_near(tables(), center, np.array([radius_rad]), resolution, ROOM, SPARE)


def off_the_library_s(level: Level, count: int) -> float:
    """Greatest distance between the cells' places and the library's, in radii of the globe."""
    t = tables()
    face, x, y = level.face[:count], level.x[:count], level.y[:count]
    at = t.center[face] + x[:, None] * t.axis_u[face] + y[:, None] * t.axis_v[face]
    at /= np.linalg.norm(at, axis=1)[:, None]
    wanted = unit_vectors(*np.array([h3.cell_to_latlng(c) for c in level.cell[:count].tolist()]).T)
    return float(np.abs(at - wanted).max())


def places(rng: np.random.Generator, *, pentagons: bool) -> list[tuple[float, float, int]]:
    """Places with a resolution, all over the globe or beside the pentagons of it."""
    found = []
    for _ in range(150):
        resolution = int(rng.integers(2, 15))
        if pentagons:
            lat, lng = h3.cell_to_latlng(int(rng.choice(h3.get_pentagons(resolution))))
            span = math.degrees(4 * EDGE_M[resolution] / AUTHALIC_RADIUS_M)
            lat, lng = float(np.clip(lat + rng.uniform(-span, span), -89.9, 89.9)), lng + rng.uniform(-span, span)
        else:
            lat, lng = math.degrees(math.asin(rng.uniform(-1, 1))), rng.uniform(-180, 180)
        found.append((lat, lng, resolution))
    return found


@pytest.mark.parametrize("pentagons", [False, True], ids=["anywhere", "beside pentagons"])
def test_cells_near_a_place_cover_the_disc(rng: np.random.Generator, pentagons: bool) -> None:
    for lat, lng, resolution in places(rng, pentagons=pentagons):
        radius = EDGE_M[resolution] / AUTHALIC_RADIUS_M * rng.uniform(0.2, 4)
        count = near(lat, lng, radius, resolution)
        cells = set(ROOM.cell[:count].tolist())
        assert len(cells) == count
        assert all(h3.is_valid_cell(c) and h3.get_resolution(c) == resolution for c in cells)
        assert count == 0 or off_the_library_s(ROOM, count) < 1e-11
        up = unit_vectors(lat, lng)
        east = np.cross([0.0, 0.0, 1.0], up) / max(math.hypot(up[0], up[1]), 1e-9)
        for _ in range(8):
            angle, bearing = radius * math.sqrt(rng.random()), rng.uniform(0, 2 * math.pi)
            side = east * math.sin(bearing) + np.cross(up, east) * math.cos(bearing)
            x, y, z = up * math.cos(angle) + side * math.sin(angle)
            cell = h3.latlng_to_cell(math.degrees(math.asin(z)), math.degrees(math.atan2(y, x)), resolution)
            assert cell in cells or h3.is_pentagon(cell), f"{lat}, {lng} at {resolution}"


def test_seeds_are_all_hexagons_of_their_resolution() -> None:
    wanted = {int(c) for b in h3.get_res0_cells() for c in h3.cell_to_children(int(b), 2) if not h3.is_pentagon(int(c))}
    assert set(tables().seed_cell.tolist()) == wanted


def test_children_down_to_the_finest(rng: np.random.Generator) -> None:
    t = tables()
    for i in rng.choice(len(t.seed_cell), 80, replace=False).tolist():
        cell, face, turn, x, y = t.seed_cell[i], t.seed_face[i], t.seed_turn[i], t.seed_x[i], t.seed_y[i]
        for resolution in range(3, FINEST + 1):
            put_children(t, cell, face, turn, x, y, resolution, ROOM, 0)
            assert ROOM.cell[:7].tolist() == sorted(int(c) for c in h3.cell_to_children(int(cell), resolution))
            assert off_the_library_s(ROOM, 7) < 1e-11
            k = int(rng.integers(7))
            cell, face, turn, x, y = ROOM.cell[k], ROOM.face[k], ROOM.turn[k], ROOM.x[k], ROOM.y[k]


def test_the_whole_globe_and_too_much_of_it() -> None:
    assert near(10.0, 20.0, math.pi, 2) == len(tables().seed_cell)
    assert near(10.0, 20.0, math.pi, 3) == -1
