"""Sizes of cells against the vectors and the library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h3.api.numpy_int as h3
import numpy as np
import pytest

from locsvc.fusion import lattice
from locsvc.fusion.lattice import EDGE_M, FINEST, FLAT_AREA_M2, room_for, tables
from locsvc.geo import unit_vectors

_FILE = Path(__file__).resolve().parents[3] / "shared" / "standards" / "vectors" / "fusion.json"
RESOLUTIONS: list[dict[str, Any]] = (
    [v for v in json.loads(_FILE.read_text(encoding="utf-8")) if v["kind"] == "h3_res"] if _FILE.exists() else []
)
# A cell's area is that of its centre times the projection's scale there; large cells see the scale change inside them.
AREA_TOLERANCE = {2: 0.08, 3: 0.04, 4: 0.02, 5: 0.01}


def test_areas_are_the_library_s(rng: np.random.Generator) -> None:
    room, spare = room_for(512), room_for(512)
    for _ in range(200):
        lat, lng = float(np.degrees(np.arcsin(rng.uniform(-1, 1)))), float(rng.uniform(-180, 180))
        resolution = int(rng.integers(2, 15))
        reach = np.array([EDGE_M[resolution] / 6.4e6])
        count = lattice.cells_near(tables(), unit_vectors(lat, lng)[None], reach, resolution, room, spare)
        for i in range(min(count, 3)):
            w = 1 / np.sqrt(1 + room.x[i] ** 2 + room.y[i] ** 2)
            cell = int(room.cell[i])
            area = h3.cell_area(cell, unit="m^2")
            assert FLAT_AREA_M2[resolution] * w**3 == pytest.approx(area, rel=AREA_TOLERANCE.get(resolution, 0.005))


@pytest.mark.parametrize(
    "vector", [pytest.param(v, id=v["id"]) for v in RESOLUTIONS] or [pytest.param({}, id="absent")]
)
def test_edges_of_mean_cells(vector: dict[str, Any], shared: Path) -> None:
    if not vector:
        pytest.skip(f"{shared / 'standards/vectors/fusion.json'} is absent")
    resolution, expected = vector["input"], vector["expected"]
    assert h3.get_num_cells(resolution) == expected["cells"]
    # Below resolution 5 the mean over all cells differs by the projection; what is asked is the scale of a search.
    assert EDGE_M[resolution] == pytest.approx(expected["avg_edge_m"], rel=0.06)
    assert len(EDGE_M) == FINEST + 1 == lattice.FINEST + 1
