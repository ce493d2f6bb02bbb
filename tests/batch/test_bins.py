"""Counts in bins are the same whatever the parts, and their journal says what was counted."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from locsvc.batch.bins import FINEST_ZOOM, MAP_WIDTHS, TIME_WIDTHS, Bins, columns_and_rows, squares_of
from locsvc.batch.tally import Tally, tally_of
from locsvc.tables.form import RESULT


@pytest.mark.parametrize("spread_deg", [0.0, 0.01, 3.0, 60.0])
def test_parts_add_up_to_the_whole(rng: np.random.Generator, spread_deg: float) -> None:
    n = 6_000
    lat, lng = rng.normal(10, spread_deg / 3, n).clip(-90, 90), rng.normal(179, spread_deg, n)
    squares = squares_of(lat, (lng + 180) % 360 - 180)
    whole = Bins(MAP_WIDTHS, 500)
    whole.count(squares)
    cuts = np.sort(rng.integers(0, n, 12))
    summed = Bins(MAP_WIDTHS, 500)
    for part in rng.permutation(np.array([*np.split(squares, cuts), np.zeros(0, np.int64)], object)):
        one, read = Bins(MAP_WIDTHS, 500), Bins(MAP_WIDTHS, 500)
        one.count(part.astype(np.int64))
        read.read_json(json.loads(json.dumps(one.to_json())))
        summed.add(read)
    assert summed.level == whole.level
    assert summed.keys.tolist() == whole.keys.tolist()
    assert summed.counts.tolist() == whole.counts.tolist()
    assert whole.counts.sum() == n
    assert len(whole.keys) <= 500
    # The finest level that is fine enough: one below would have too many.
    finer = np.unique(squares // MAP_WIDTHS[whole.level - 1]) if whole.level else whole.keys
    assert whole.level == 0 or len(finer) > 500


def test_squares_are_those_of_the_mercator_map() -> None:
    lat, lng = np.array([52.0, -33.9, 89.9, 0.0]), np.array([-8.0, 151.2, 180.0, -180.0])
    column, row = columns_and_rows(squares_of(lat, lng) // MAP_WIDTHS[FINEST_ZOOM - 10])
    # x = (lng + 180) / 360 * 1024; y = (1 - asinh(tan lat) / pi) / 2 * 1024, by hand.
    assert column.tolist() == [489, 942, 1023, 0]
    assert row.tolist() == [338, 614, 0, 512]


def test_no_times_and_times_of_all_ages() -> None:
    bins = Bins(TIME_WIDTHS, 1_500)
    bins.count(np.zeros(0, np.int64))
    assert bins.keys.size == 0
    bins.count(np.array([-62_135_596_800, 253_402_300_799]))
    assert bins.counts.tolist() == [1, 1]


def answers(outcome: list[str], lat: list[float | None], warnings: list[list[str]]) -> pa.RecordBatch:
    n = len(outcome)
    known: dict[str, pa.Array] = {
        "call_id": pa.array([f"c{i}" for i in range(n)]),
        "outcome": pa.array(outcome),
        "latitude_deg": pa.array(lat, pa.float64()),
        "longitude_deg": pa.array(lat, pa.float64()),
        "radius_m": pa.array(lat, pa.float64()),
        "sources": pa.array([["cell_scan/site", "cell_scan/area"]] * n, pa.list_(pa.string())),
        "warnings": pa.array(warnings, pa.list_(pa.string())),
        "area": pa.array(["North"] * n),
    }
    columns = [known.get(f.name, pa.nulls(n, f.type)) for f in RESULT]
    times = pa.array(["1700000000", "2023-11-14T22:13:20Z", "soon", *[None] * n][:n], pa.string())
    return pa.RecordBatch.from_arrays([*columns, times], names=[*RESULT.names, "t"])


def test_a_tally_survives_its_journal() -> None:
    batch = answers(["located", "rejected", "conflict"], [51.0, None, 52.0], [[], ["partly_read: x is odd: 'y'"], []])
    tally = tally_of(batch, 5)
    again = Tally.from_json(json.loads(json.dumps(tally.to_json())))
    assert again.summary() == tally.summary()
    assert again.plotted() == tally.plotted()
    assert tally.rejects == {"x is odd": 1}
    assert tally.areas == {"North": 3}
    # Two steps of one scan are one call with a scan.
    assert tally.summary()["source_share"]["cell_scan"] == 1.0
    assert tally.plotted()["times"] == (60, [1_699_999_980], [2])


def test_reasons_of_their_own_do_not_grow_without_bound() -> None:
    total = Tally()
    for part in range(4):
        texts = [[f"partly_read: reason {part}-{i}"] for i in range(600)] + [["partly_read: the usual"]] * 50
        total.add(tally_of(answers(["rejected"] * 650, [None] * 650, texts), 650))
    assert len(total.rejects) <= 1_000
    assert total.rejects.total() == 4 * 650
    assert total.rejects["the usual"] == 200
