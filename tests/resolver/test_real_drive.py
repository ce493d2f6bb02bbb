"""Lone cells of a recorded drive with a sparse, stale table, as real ones are."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from locsvc.geo import distance_m
from locsvc.model import Call, CellFallback, CellMeasurement, CellScan, Evidence, Outcome, Radio
from locsvc.reference.cells import import_cells
from locsvc.reference.snapshot import Draft
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from tests.resolver.calls import about, position, radius

ROWS = 300


@pytest.mark.real
def test_every_lone_cell_of_cork_has_an_honest_answer(shared: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    drive = shared / "data" / "drives" / "cork.parquet"
    with Draft.begin(tmp_path / "data") as draft:
        import_cells(draft, shared / "data" / "cells" / "opencellid_ireland_272.csv.gz", name="ireland")
        draft.publish()
    resolver = Resolver(Reference.open(tmp_path / "data"))
    table = pq.read_table(drive, columns=["radio", "mcc", "mnc", "area", "cell", "truth_lat", "truth_lon"])
    rows = table.take(rng.choice(table.num_rows, ROWS, replace=False)).to_pylist()
    calls = [
        Call(
            str(i),
            evidence=(
                Evidence(
                    CellScan(CellMeasurement(Radio[r["radio"]], r["mcc"], r["mnc"], r["area"], r["cell"])), "scan"
                ),
            ),
        )
        for i, r in enumerate(rows)
    ]
    inside, steps = 0, set()
    for row, got in zip(rows, resolver.resolve(calls, confidences=0.9), strict=True):
        assert got.outcome is Outcome.LOCATED
        assert got.region is not None
        assert got.region.cells
        assert math.isfinite(radius(got))
        assert 0.899 <= got.region.mass <= 1
        step = about(got, "scan", "serving").cell_fallback
        assert CellFallback.SECTOR <= step <= CellFallback.COUNTRY
        steps.add(step)
        here = position(got)
        away = float(distance_m(row["truth_lat"], row["truth_lon"], here.latitude_deg, here.longitude_deg))
        inside += away <= radius(got)
    # Nearly none of the drive's cells is in the table, so the steps behind the row itself are what is tried here.
    assert len(steps) >= 2
    # One drive's rows are no independent draws: that the answers are not plainly too sure is all that is asked.
    assert inside >= 0.8 * ROWS, f"{inside} of {ROWS} inside, steps {sorted(s.name for s in steps)}"
