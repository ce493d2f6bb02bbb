"""Lone serving cells of a recorded drive against its satellite truth: fallback steps, errors, coverage of the regions.

    python benchmarks/drive_lone_cells.py --cells CELLS.csv.gz --drive DRIVE.parquet

Each row of the drive is a call of its own with nothing but its serving cell (signal and timing advance where logged).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import h3.api.numpy_int as h3
import numpy as np
import pyarrow.parquet as pq

from locsvc import model
from locsvc.reference.cells import import_cells
from locsvc.reference.snapshot import Draft
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver

Row = dict[str, object]
CONFIDENCES = (0.5, 0.68, 0.9, 0.95)


def whole(value: object) -> int | None:
    """An integer column's value; None when it was not logged."""
    return int(value) if isinstance(value, int | float) and value == value else None  # noqa: PLR0124 - NaN


def call_of(row: Row) -> model.Call:
    """The call of one row."""
    signal = row["signal_dbm"]
    cell = model.CellMeasurement(
        radio=model.Radio[str(row["radio"])],
        mcc=str(row["mcc"]),
        mnc=str(row["mnc"]),
        area=whole(row["area"]),
        cell=whole(row["cell"]),
        pci=whole(row["pci"]),
        arfcn=whole(row["arfcn"]),
        signal_dbm=float(signal) if isinstance(signal, int | float) else None,
        timing_advance=whole(row["timing_advance"]),
    )
    return model.Call(evidence=(model.Evidence(content=model.CellScan(serving=cell)),))


def holds(region: model.Region, latitude_deg: float, longitude_deg: float) -> bool:
    """Whether the region holds the place."""
    finest = h3.latlng_to_cell(latitude_deg, longitude_deg, region.resolution)
    lineage = {int(h3.cell_to_parent(finest, r)) for r in range(region.resolution + 1)}
    return not lineage.isdisjoint(region.cells)


def report(rows: list[Row], answers: list[model.LocationEstimate], confidence: float) -> None:
    """Prints errors and coverage, over all rows and by fallback step."""
    groups: dict[str, list[tuple[float, float, bool, bool]]] = {}
    for row, answer in zip(rows, answers, strict=True):
        if answer.position is None or answer.radius_m is None or answer.region is None:
            groups.setdefault("no location", [])
            continue
        truth = (float(str(row["truth_lat"])), float(str(row["truth_lon"])))
        here = (answer.position.latitude_deg, answer.position.longitude_deg)
        error_m = float(h3.great_circle_distance(here, truth, unit="m"))
        step = answer.contributions[0].cell_fallback.name
        result = (error_m, answer.radius_m, error_m <= answer.radius_m, holds(answer.region, *truth))
        for group in ("all", step):
            groups.setdefault(group, []).append(result)
    for name, results in sorted(groups.items(), key=lambda item: -len(item[1])):
        if results:
            errors, radii, *inside = (np.array(column, dtype=float) for column in zip(*results, strict=True))
            figures = (np.median(errors), np.quantile(errors, 0.9), np.median(radii))
            print(
                f"{name:18} {confidence:5.2f} {len(results):6d}",
                *(f"{figure:9.0f}" for figure in figures),
                *(f"{held.mean():9.3f}" for held in inside),
            )


def main() -> None:
    """Import, resolve, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=Path, required=True)
    parser.add_argument("--drive", type=Path, required=True)
    options = parser.parse_args()
    rows: list[Row] = pq.read_table(options.drive).to_pylist()
    calls = [call_of(row) for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        with Draft.begin(Path(folder)) as draft:
            imported = import_cells(draft, options.cells, name="cells")
            draft.publish()
        resolver = Resolver(Reference.open(Path(folder)))
        print(f"{imported.rows} cells imported, {len(rows)} calls")
        heads = ("median m", "90 % m", "radius m", "in radius", "in region")
        print(f"{'step':18} {'asked':>5} {'calls':>6}", *(f"{head:>9}" for head in heads))
        for confidence in CONFIDENCES:
            started = time.perf_counter()
            answers: list[model.LocationEstimate] = []
            for first in range(0, len(calls), 1000):
                answers += resolver.resolve(calls[first : first + 1000], confidences=confidence)
            seconds = time.perf_counter() - started
            report(rows, answers, confidence)
            outcomes = Counter(answer.outcome.name for answer in answers)
            print(f"  {dict(outcomes)}, {1000 * seconds / len(calls):.2f} ms a call")


if __name__ == "__main__":
    main()
