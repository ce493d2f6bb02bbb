"""Learning: what is counted of which row, and that neither order nor cut of the tables matters."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import h3.api.numpy_int as h3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from locsvc.errors import BadData, ConfigError, DatasetError
from locsvc.learning import learn as learning
from locsvc.learning.learn import Options, learn
from locsvc.reference.coverage import CoverageStore, identities, shelves
from locsvc.reference.coverage import files as f
from locsvc.reference.coverage.tallies import REGION
from locsvc.reference.coverage.terms import Terms
from locsvc.reference.snapshot import Snapshot, current_id
from locsvc.tables import inputs
from tests.learning.conftest import coverage, drives, row, version, written

LTE = 3


def full(cell: int) -> np.ndarray:
    return identities.full(*(np.array([v]) for v in (LTE, 1, 1, 7, cell)))


def test_one_row_is_one_report(tmp_path: Path) -> None:
    table = written(
        tmp_path / "t.parquet", [row(signal_dbm=-97.5, quality_db=-11.0, timing_advance=4, truth_accuracy_m=50.0)]
    )
    report = learn([table], tmp_path / "data")
    assert (report.rows, report.used, report.rejected, report.notes) == (1, 1, {}, {})
    store = coverage(tmp_path / "data")
    assert [int(v[0]) for v in store.find(full(4242))] == [0, 1]
    assert store.row_stats.tolist() == [[0.5, 1.0, 1.0, 0.0, -97.5, 0.0, -11.0, 0.0, 4.0, 0.0]]
    assert store.scan_stats.tolist() == [[0.5, 1.0, 1.0, 0.0, 0.0]]
    assert np.hypot(*(store.bin_place[0] - (55.0, 2.5))) < 0.001
    assert (store.since_s, store.until_s, store.reports) == (1709294400.0, 1709294400.0, 1)
    assert store.cell_area.tolist() == [7]
    assert (len(store.site.key), len(store.area.key), len(store.network.key)) == (1, 1, 1)


def test_levels_are_averaged_by_the_accuracy_of_their_truths(tmp_path: Path) -> None:
    table = [row(signal_dbm=-90.0, truth_accuracy_m=1.0), row(signal_dbm=-60.0, truth_accuracy_m=100.0), row()]
    learn([written(tmp_path / "t.parquet", table)], tmp_path / "data")
    (stats,) = coverage(tmp_path / "data").row_stats
    # Weights of 16, 3 and 8 sixteenths.
    assert stats[f.R_WEIGHT] == pytest.approx(27 / 16)
    assert stats[f.R_LEVEL] == pytest.approx((-90 * 16 - 60 * 3) / 19)
    assert stats[f.R_LEVEL_SD] == pytest.approx(30 * np.sqrt(16 * 3) / 19, abs=1e-4)


def test_rows_of_a_session_in_an_hour_are_one_visit(tmp_path: Path) -> None:
    parked = [row(session="a", t=f"2024-03-01T12:{m:02d}:00Z") for m in range(50)]
    others = [row(session="b"), row(session="a", t="2024-03-01T17:00:00Z"), row(call_id="c-1"), row(call_id="c-2")]
    learn([written(tmp_path / "t.parquet", [*parked, *others])], tmp_path / "data")
    (stats,) = coverage(tmp_path / "data").row_stats
    assert stats[f.R_REPORTS] == 54
    assert stats[f.R_VISITS] == pytest.approx(5, abs=1.2)  # visits are told apart by 64 bits of a hash


def test_a_drive_along_a_cell_is_one_pass(tmp_path: Path) -> None:
    """However many places it leaves; calls are as many passes as there are, and what came back counts again."""
    along = [(55.0 + 0.002 * k, 2.5) for k in range(20)]
    drive = [row(session="a", cell=1, truth_lat=lat, truth_lon=lng) for lat, lng in along]
    calls = [row(call_id=f"c-{k}", cell=2, truth_lat=lat, truth_lon=lng) for k, (lat, lng) in enumerate(along)]
    again = [r | {"cell": 3} for r in drive] + [r | {"cell": 3, "t": "2024-01-01T12:00:00Z"} for r in drive]
    learn([written(tmp_path / "t.parquet", [*drive, *calls, *again])], tmp_path / "data")
    store = coverage(tmp_path / "data")
    first, _ = store.find(np.concatenate([full(c) for c in (1, 2, 3)]))
    passes, visits = store.cell_stats[first][:, [f.C_PASSES, f.C_VISITS]].T
    assert visits[:2].tolist() == [20, 20]
    assert passes[0] == 1
    assert passes[1] == pytest.approx(20, abs=4)  # told apart by 64 bits of a hash
    # Two epochs of 30 days earlier it counts a ninth less.
    assert passes[2] == pytest.approx(1 + 0.5 ** (60 / 365))


def test_passes_are_of_the_place_and_the_role_that_are_asked_for(tmp_path: Path) -> None:
    """A PCI that is used again elsewhere was passed there, and a neighbour's passes are not the serving cell's."""
    far = {"truth_lat": 58.0, "truth_lon": 2.5}
    served = [row(session="a", cell=None, area=None, pci=11, arfcn=6400)]
    heard = [
        row(session=f"n-{k}", cell=None, area=None, pci=12, arfcn=6400, neighbours=[{"pci": 11, "arfcn": 6400}])
        for k in range(6)
    ]
    there = [row(session=f"t-{k}", cell=None, area=None, pci=11, arfcn=6400, **far) for k in range(9)]
    only = [row(session="o", cell=None, area=None, pci=12, arfcn=6400, neighbours=[{"pci": 13, "arfcn": 6400}])]
    learn([written(tmp_path / "t.parquet", [*served, *heard, *there, *only])], tmp_path / "data")
    store = coverage(tmp_path / "data")
    own = identities.physical(*(np.array(v) for v in ([LTE] * 2, [1] * 2, [1] * 2, [6400] * 2, [11, 13])))
    (first, neighbour), count = store.find(own)
    assert count.tolist() == [2, 1]
    passes = store.cell_stats[:, f.C_PASSES]
    near = int(np.argmin(store.cell_place[first : first + 2, 0]))
    assert passes[first + near] == 1
    assert passes[first + 1 - near] == pytest.approx(9, abs=2)
    assert passes[neighbour] == 1


def test_a_coverage_without_passes_is_read(tmp_path: Path) -> None:
    """One that was learned before they were counted: no fewer than one place was visited."""
    rows = [row(call_id=f"c-{k}") for k in range(3)] + [row(call_id="c-0", truth_lat=55.01)]
    learn([written(tmp_path / "t.parquet", rows)], tmp_path / "data")
    counted = coverage(tmp_path / "data")
    entries = Snapshot.open(tmp_path / "data").entries("coverage")
    np.save(entries[-1].path / f"{f.CELL_STATS}.npy", counted.cell_stats[:, : f.C_PASSES].copy())
    former = CoverageStore.open(entries)
    assert former.cell_stats.shape == counted.cell_stats.shape
    assert np.array_equal(former.cell_stats[:, : f.C_PASSES], counted.cell_stats[:, : f.C_PASSES], equal_nan=True)
    assert former.cell_stats[0, f.C_PASSES] == former.row_stats[:, f.R_VISITS].max() > 2
    assert not former.cell_stats.flags.writeable


def test_neighbours_and_both_identities(tmp_path: Path) -> None:
    around = [
        {"pci": 11, "arfcn": 6400, "signal_dbm": -101.0},  # the serving cell once more
        {"pci": 12, "arfcn": 6400, "signal_dbm": -105.0},
        {"pci": 12, "arfcn": 6400, "signal_dbm": -140.0},  # twice
        {"pci": 13, "arfcn": None, "signal_dbm": -110.0},
    ]
    table = [row(pci=11, arfcn=6400, signal_dbm=-95.0, neighbours=around)]
    learn([written(tmp_path / "t.parquet", table)], tmp_path / "data")
    store = coverage(tmp_path / "data")
    own = identities.physical(*(np.array(v) for v in ([LTE] * 3, [1] * 3, [1] * 3, [6400, 6400, -1], [11, 12, 13])))
    first, count = store.find(np.append(full(4242), own))
    assert count.tolist() == [1, 1, 1, 1]
    assert store.row_stats[store.cell_start[first], f.R_LEVEL].tolist() == [-95, -95, -105, -110]
    serving = store.cell_split[first] - store.cell_start[first]
    assert serving.tolist() == [1, 1, 0, 0]
    assert store.link_full.tolist() == full(4242).tolist()
    assert store.link_physical.tolist() == own[:1].tolist()
    # Three cells were heard in the one scan, which lists neighbours.
    assert store.scan_stats[0, f.S_LISTED :].tolist() == [1.0, 3.0]
    assert store.heard_stats[store.heard_cell == first[2], f.H_LISTED].tolist() == [1.0]


def test_halves_are_the_whole_bit_by_bit(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = drives(1200, rng)
    learn([written(tmp_path / "all.parquet", table)], tmp_path / "whole")
    wanted = version(tmp_path / "whole")
    shuffled = table.take(pa.array(rng.permutation(len(table))))
    halves = [written(tmp_path / f"half-{i}.parquet", shuffled.slice(600 * i, 600)) for i in (0, 1)]
    for name, order in (("forth", halves), ("back", halves[::-1])):
        for half in order:
            learn([half], tmp_path / name)
        assert version(tmp_path / name) == wanted
    # Other cuts: batches of rows, and what is gathered before it goes to disk.
    monkeypatch.setattr(inputs, "ROWS", 37)
    monkeypatch.setattr(shelves, "GATHERED", 100)
    learn(halves, tmp_path / "cut")
    assert version(tmp_path / "cut") == wanted
    assert coverage(tmp_path / "cut").reports == coverage(tmp_path / "whole").reports > 0


def test_all_formats_teach_the_same(tmp_path: Path, rng: np.random.Generator) -> None:
    table = drives(200, rng)
    rows = [r | {"t": r["t"].strftime("%Y-%m-%dT%H:%M:%SZ")} for r in table.to_pylist()]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(r).replace("NaN", "null") + "\n" for r in rows))
    with (tmp_path / "t.csv").open("w", newline="") as opened:
        writer = csv.DictWriter(opened, [*rows[0]])
        writer.writeheader()
        writer.writerows(r | {"neighbours": json.dumps(r["neighbours"])} for r in rows)
    written(tmp_path / "t.parquet", table)
    found = set()
    for kind in ("parquet", "csv", "jsonl"):
        learn([tmp_path / f"t.{kind}"], tmp_path / kind)
        found.add(version(tmp_path / kind))
    assert len(found) == 1


def test_old_reports_fade_and_go(tmp_path: Path) -> None:
    old = row(t="2020-01-10T00:00:00Z", cell=1000)
    new = [row(t="2020-12-30T00:00:00Z", cell=2000), row(t=None, cell=3000)]
    learn([written(tmp_path / "t.parquet", [old, *new])], tmp_path / "data", Options(half_life_days=60.0))
    store = coverage(tmp_path / "data")
    reports = {int(i): float(r) for i, r in zip(store.cell_identity, store.cell_stats[:, f.C_REPORTS], strict=True)}
    # Without a time a report counts half; the others lie in epochs of 30 days.
    first, last = (
        pc.cast(pa.scalar(t).cast(pa.timestamp("s", "UTC")), pa.int64()).as_py() // (30 * 86_400)
        for t in (old["t"], new[0]["t"])
    )
    assert last - first == 11
    assert reports == pytest.approx(
        {int(full(1000)[0]): 0.5 ** (330 / 60), int(full(2000)[0]): 1, int(full(3000)[0]): 0.5}
    )
    later = written(tmp_path / "u.parquet", [row(t="2021-06-10T00:00:00Z", cell=4000)])
    report = learn([later], tmp_path / "data")
    assert report.learned.terms.half_life_days == 60.0
    assert report.learned.built.dropped > 0
    left = coverage(tmp_path / "data").cell_identity.tolist()
    assert left == sorted(int(full(c)[0]) for c in (2000, 3000, 4000))


def test_why_rows_are_not_used(tmp_path: Path) -> None:
    table = [
        row(),
        row(truth_lat=None),
        row(truth_lat=0.0, truth_lon=0.0),
        row(truth_lat=95.0),
        row(truth_accuracy_m=900.0),
        row(cell=None, area=None),
        row(radio="6G"),
        row(signal_dbm=999.0),
        row(t="2090-01-01T00:00:00Z"),
    ]
    report = learn([written(tmp_path / "t.parquet", table)], tmp_path / "data")
    assert report.used == 3
    assert report.rejected == {
        "no truth": 1, "truth at 0,0": 1, "truth out of range": 1, "truth not accurate enough": 1,
        learning.NO_CELL: 2,
    }  # fmt: skip
    assert report.notes == {"signal_dbm is outside -160 to 0": 1, learning.FUTURE: 1}
    # The clock that stood in 2090 makes no history old.
    assert coverage(tmp_path / "data").until_s == 1709294400.0


def test_bad_lines_stop_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "truth_lat,truth_lon,radio,mcc,mnc,cell\n55,2.5,LTE,1,1,77,extra\n55,2.5,LTE,1,1,77\nx,2.5,LTE,1,1,77\n"
    )
    report = learn([tmp_path / "t.csv"], tmp_path / "data")
    assert (report.used, report.rejected) == (1, {learning.NOT_READ: 1, "truth out of range": 1})


def test_nothing_to_learn_from_changes_nothing(tmp_path: Path) -> None:
    learn([written(tmp_path / "t.parquet", [row()])], tmp_path / "data")
    before = current_id(tmp_path / "data")
    with pytest.raises(BadData, match=r"no row could be learned from \(no truth: 1\)"):
        learn([written(tmp_path / "u.parquet", [row(truth_lat=None)])], tmp_path / "data")
    with pytest.raises(BadData, match="was learned before"):
        learn([tmp_path / "t.parquet"], tmp_path / "data")
    with pytest.raises(BadData, match="given twice"):
        learn([tmp_path / "u.parquet"] * 2, tmp_path / "data")
    assert current_id(tmp_path / "data") == before
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == [".lock", "CURRENT", "snapshots"]


def test_places_of_another_size_need_a_fresh_start(tmp_path: Path) -> None:
    table, other = written(tmp_path / "t.parquet", [row()]), written(tmp_path / "u.parquet", [row(cell=9)])
    learn([table], tmp_path / "data")
    with pytest.raises(ConfigError, match=r"resolution 11, not 12.*--fresh"):
        learn([other], tmp_path / "data", Options(resolution=12))
    learn([other], tmp_path / "data", Options(resolution=12, fresh=True))
    store = coverage(tmp_path / "data")
    assert (store.resolution, store.cell_identity.tolist()) == (12, full(9).tolist())


def test_damaged_tallies_are_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    learn([written(tmp_path / "t.parquet", [row()])], data)
    shelf = next(p for p in sorted(data.rglob("tallies-*.npz")))
    content = bytearray(shelf.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    shelf.write_bytes(content)
    before = current_id(data)
    with pytest.raises(DatasetError, match=f"{shelf.name}.*--fresh"):
        learn([written(tmp_path / "u.parquet", [row(cell=8)])], data)
    assert current_id(data) == before


AML = 'A"ML=1;lt=+55.01000;lg=+002.51000;rd={rd};top=20240301120001;lc=68;pm={pm};si=001010000000001;ei=001000000000001;mcc=001;mnc=01;ml={ml}'


def aml(pm: str, rd: int) -> str:
    text = AML.format(rd=rd, pm=pm, ml="000")
    return text.replace("ml=000", f"ml={len(text):03d}")


def test_a_satellite_fix_is_the_truth_if_asked(tmp_path: Path) -> None:
    fix = {"latitude": 55.02, "longitude": 2.52, "radius_m": 20.0, "reported_confidence": 0.9, "method": "gps"}
    nowhere = {"truth_lat": None, "truth_lon": None}
    table = [
        row(**nowhere, **fix, cell=10),
        row(**nowhere, **(fix | {"radius_m": 60.0}), cell=20),
        row(**nowhere, **(fix | {"method": "wifi"}), cell=30),
        row(**nowhere, aml=aml("G", 12), cell=40),
        row(**nowhere, aml=aml("W", 12), cell=50),
    ]
    path = written(tmp_path / "t.parquet", table)
    with pytest.raises(BadData, match="no truth: 5"):
        learn([path], tmp_path / "data")
    report = learn([path], tmp_path / "data", Options(truth_from_reports=True))
    assert report.used == 2
    store = coverage(tmp_path / "data")
    assert store.cell_identity.tolist() == [*full(10), *full(40)]
    assert np.abs(store.cell_place / 1e7 - [[55.02, 2.52], [55.01, 2.51]]).max() < 0.001
    # 20 m at 90 % are 14 m at 68 %: weight 0.93, 15 sixteenths.
    assert store.row_stats[0, f.R_WEIGHT] == 15 / 16


def test_a_call_has_its_truth_in_another_row(tmp_path: Path) -> None:
    def said(call: str, second: int, **more: object) -> dict[str, object]:
        return row(call_id=call, t=f"2024-03-01T12:00:{second:02d}Z", **more)

    nothing, fix = {"truth_lat": None}, {"cell": None, "area": None}
    table = [
        said("a", 0, **nothing, cell=10), said("a", 9, **fix),
        said("b", 0, **nothing, cell=20), said("b", 40, **fix),
        row(call_id="c", t=None, **nothing, cell=30), row(call_id="c", t=None, **fix),
    ]  # fmt: skip
    learn([written(tmp_path / "t.parquet", table)], tmp_path / "data")
    assert coverage(tmp_path / "data").cell_identity.tolist() == [*full(10), *full(30)]


def test_heavily_heard_cells_are_coarse_in_any_order(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Terms, "__init__", _few_places(Terms.__init__))
    table = drives(900, rng, days=20)
    learn([written(tmp_path / "all.parquet", table)], tmp_path / "whole")
    store = coverage(tmp_path / "whole")
    assert store.cell_resolution.min() < 11 == store.cell_resolution.max()
    identity = np.repeat(store.cell_identity, np.diff(store.cell_start)).tolist()
    regions = [h3.cell_to_parent(int(store.bin_h3[b]), REGION) for b in store.row_bin]
    bins: dict[tuple[int, int], set[int]] = defaultdict(set)
    for name, region, number in zip(identity, regions, store.row_bin.tolist(), strict=True):
        bins[name, region].add(number)
    assert max(len(numbers) for numbers in bins.values()) == 12
    # What is heard at places is what is heard in bins, shared out (and a fifth lent to each neighbour).
    assert store.row_stats[:, f.R_REPORTS].sum() <= store.heard_stats[:, f.H_REPORTS].sum() * (1 + 1e-6)
    for part in (pc.greater(table["signal_dbm"], -90), pc.less_equal(table["signal_dbm"], -90)):
        learn([written(tmp_path / f"{id(part)}.parquet", table.filter(part))], tmp_path / "parts")
    assert version(tmp_path / "parts") == version(tmp_path / "whole")


def _few_places(init: object) -> object:
    def made(self: Terms, *values: object, **named: object) -> None:
        init(self, *values, **named)  # type: ignore[operator]
        object.__setattr__(self, "most_places", 12)

    return made


LEARNS = """
import sys
from pathlib import Path
from locsvc.learning.learn import Options, learn
print("ready", flush=True)
while True:
    learn([Path(sys.argv[2])], Path(sys.argv[1]), Options(fresh=True))
    print("published", flush=True)
"""


def test_learning_killed_at_any_moment(tmp_path: Path, rng: np.random.Generator) -> None:
    data, table = tmp_path / "data", written(tmp_path / "t.parquet", drives(400, rng))
    learn([table], data)
    wanted, seen = version(data), {current_id(data)}
    for round_ in range(6):
        process = subprocess.Popen([sys.executable, "-c", LEARNS, str(data), str(table)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if round_ % 2:
            assert process.stdout.readline() == b"published\n"
        time.sleep(rng.uniform(0.0, 0.5))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        seen.add(current_id(data))
        assert version(data) == wanted
    assert len(seen) > 2
    learn([written(tmp_path / "u.parquet", [row()])], data)
    assert sorted(p.name for p in data.iterdir()) == [".lock", "CURRENT", "snapshots"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "rows", "identities_"), [("cork", 3938, 192), ("losangeles", 12462, 1013), ("ottawa", 1900, 64)]
)
def test_real_drives(shared: Path, tmp_path: Path, name: str, rows: int, identities_: int) -> None:
    table = shared / "data" / "drives" / f"{name}.parquet"
    report = learn([table], tmp_path / "data")
    assert (report.rows, report.used) == (rows, rows)
    store = coverage(tmp_path / "data")
    assert len(np.unique(store.cell_identity)) == identities_
    every = pq.read_table(table)
    early = pc.less(every["t"], every["t"].combine_chunks().sort()[rows // 2])
    parts = [every.filter(mask) for mask in (early, pc.invert(early))]
    for i, part in enumerate(parts):
        learn([written(tmp_path / f"{i}.parquet", part)], tmp_path / "parts")
    assert version(tmp_path / "parts") == version(tmp_path / "data")
