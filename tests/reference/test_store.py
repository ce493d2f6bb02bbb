"""All reference data of one snapshot: whole, or without what is damaged."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from locsvc.errors import DatasetError, DatasetMissing
from locsvc.model import WarningCode
from locsvc.reference.addresses import import_addresses
from locsvc.reference.areas import import_areas
from locsvc.reference.cells import import_cells
from locsvc.reference.lines import import_lines
from locsvc.reference.snapshot import Draft, current_id
from locsvc.reference.store import Reference, follow

CELLS = "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal"
SQUARE = '{"type": "Polygon", "coordinates": [[[-7, 53], [-6, 53], [-6, 54], [-7, 54], [-7, 53]]]}'


def put(data: Path, folder: Path, *, areas: str = "county") -> str:
    """The id of a snapshot with one small import of each dataset."""
    files = {
        "cells.csv": f"{CELLS}\nLTE,272,1,10,2561,0,-6.5,53.5,1000,10,1,1500000000,1600000000,0\n",
        "lines.csv": "number,latitude,longitude\n+353209100001,53.5,-6.5\n",
        "addresses.csv": "lat,lon,number,street\n53.5,-6.5,1,Mill Lane\n",
        "areas.geojson": SQUARE,
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    with Draft.begin(data) as draft:
        import_cells(draft, folder / "cells.csv", name="cells")
        import_lines(draft, folder / "lines.csv", mapping=None, default_region=None, addresses=None)
        import_addresses(draft, folder / "addresses.csv", name="town")
        import_areas(draft, folder / "areas.geojson", name=areas)
        return draft.publish()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    put(tmp_path / "data", tmp_path)
    return tmp_path / "data"


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    # Hard links share their bytes with other snapshots, as they would on a failing disk.
    file.write_bytes(content)


def files_of(data: Path) -> list[Path]:
    snapshot_id = current_id(data)
    assert snapshot_id is not None
    snapshot = data / "snapshots" / snapshot_id
    return sorted(p for p in snapshot.rglob("*") if p.is_file() and p.name != "manifest.json")


def test_everything_is_open(data: Path) -> None:
    reference = Reference.open(data)
    assert reference.snapshot_id == current_id(data)
    assert reference.cells is not None
    assert reference.lines is not None
    assert reference.addresses is not None
    assert reference.areas is not None
    assert [r and r.number for r in reference.lines.lookup(["+353209100001"])] == ["+353209100001"]
    assert reference.addresses.address(0).street == "Mill Lane"
    assert reference.areas.locate(np.array([53.5]), np.array([-6.5]))[1].tolist() == [0]
    assert [(v.dataset, v.name, v.rows) for v in reference.versions] == [
        ("addresses", "town", 1),
        ("areas", "county", 1),
        ("cells", "cells", 1),
        ("lines", "lines", 1),
    ]
    assert reference.degraded == ()
    assert reference.calibration_text is None


def test_a_tolerant_opening_of_sound_data_is_the_same(data: Path) -> None:
    strict, tolerant = Reference.open(data), Reference.open(data, tolerate=True)
    assert tolerant.versions == strict.versions
    assert tolerant.degraded == ()
    assert None not in (tolerant.cells, tolerant.lines, tolerant.addresses, tolerant.areas)


def test_datasets_that_were_never_imported_are_none_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "areas.geojson").write_text(SQUARE)
    with Draft.begin(tmp_path / "data") as draft:
        import_areas(draft, tmp_path / "areas.geojson", name="county")
        draft.publish()
    for tolerate in (False, True):
        reference = Reference.open(tmp_path / "data", tolerate=tolerate)
        assert reference.areas is not None
        assert (reference.cells, reference.lines, reference.addresses) == (None, None, None)
        assert reference.degraded == ()


def test_a_directory_without_data_is_said_to_be_one(tmp_path: Path) -> None:
    for tolerate in (False, True):
        with pytest.raises(DatasetMissing, match="locsvc import"):
            Reference.open(tmp_path, tolerate=tolerate)
    assert Reference.empty().versions == ()


def test_a_flipped_bit_in_any_file_is_refused_by_its_name(data: Path) -> None:
    for file in files_of(data):
        content = file.read_bytes()
        if not content:
            continue
        flip_a_bit(file)
        with pytest.raises(DatasetError, match=rf"{file.name}.*sha256"):
            Reference.open(data)
        file.write_bytes(content)
    assert Reference.open(data).degraded == ()


@pytest.mark.parametrize("dataset", ["cells", "lines", "addresses", "areas"])
@pytest.mark.parametrize(
    "damage", [flip_a_bit, Path.unlink, lambda file: os.truncate(file, 3)], ids=["bit", "gone", "cut"]
)
def test_a_damaged_dataset_costs_only_itself(data: Path, dataset: str, damage: Callable[[Path], object]) -> None:
    file = next(f for f in files_of(data) if f"/{dataset}/" in str(f) and f.stat().st_size > 3)
    damage(file)
    with pytest.raises(DatasetError, match=file.name):
        Reference.open(data)
    reference = Reference.open(data, tolerate=True)
    assert getattr(reference, dataset) is None
    others = {"cells", "lines", "addresses", "areas"} - {dataset}
    assert all(getattr(reference, other) is not None for other in others)
    assert {v.dataset for v in reference.versions} == others
    (warning,) = reference.degraded
    assert warning.code == WarningCode.DEGRADED_DATASET
    assert warning.field == dataset
    assert dataset in warning.message
    assert file.name in warning.message
    assert str(data) not in warning.message


def test_damage_in_one_import_leaves_the_others_of_its_dataset(data: Path, tmp_path: Path) -> None:
    put(data, tmp_path, areas="other")
    flip_a_bit(next(f for f in files_of(data) if "/areas/other/" in str(f)))
    reference = Reference.open(data, tolerate=True)
    assert reference.areas is not None
    assert reference.areas.dataset_of == ("county",)
    assert [w.message.split(":")[0] for w in reference.degraded] == ["areas other is left out"]


def test_what_verifies_and_still_cannot_be_opened_is_left_out_too(data: Path) -> None:
    with Draft.begin(data) as draft:
        (draft.dataset_dir("areas", "strange") / "outlines.wkb").write_bytes(b"?")
        draft.describe("areas", "strange", rows=1, source="", licence="", built_at=0.0)
        draft.publish()
    with pytest.raises(DatasetError, match="strange"):
        Reference.open(data)
    reference = Reference.open(data, tolerate=True)
    assert reference.areas is not None
    assert reference.areas.dataset_of == ("county",)
    assert ("areas", "strange") not in {(v.dataset, v.name) for v in reference.versions}
    assert len(reference.degraded) == 1


def test_without_verification_a_missing_file_is_still_noticed(data: Path) -> None:
    files_of(data)[0].unlink()
    with pytest.raises(DatasetError, match=files_of(data)[0].parent.name):
        Reference.open(data, verify=False)


@pytest.mark.parametrize("name", ["manifest.json", "CURRENT"])
def test_a_damaged_manifest_leaves_nothing_and_says_so(data: Path, name: str) -> None:
    if name == "CURRENT":
        (data / "CURRENT").write_text("../elsewhere\n")
    else:
        flip_a_bit(next((data / "snapshots").rglob("manifest.json")))
    with pytest.raises(DatasetError, match=name):
        Reference.open(data)
    reference = Reference.open(data, tolerate=True)
    assert reference.versions == ()
    assert reference.cells is None
    (warning,) = reference.degraded
    assert name in warning.message


def test_the_calibration_of_the_directory_is_read(data: Path) -> None:
    (data / "calibration.toml").write_text("a = 1\n")
    assert Reference.open(data).calibration_text == "a = 1\n"
    (data / "calibration.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match=r"calibration\.toml"):
        Reference.open(data)


def test_a_new_snapshot_is_followed_and_the_old_one_still_answers(data: Path, tmp_path: Path) -> None:
    reference = Reference.open(data)
    assert follow(data, reference.snapshot_id) is None
    for _ in range(3):
        newest = put(data, tmp_path)
        assert follow(data, reference.snapshot_id) == newest
    assert not (data / "snapshots" / reference.snapshot_id).exists()
    assert reference.lines is not None
    assert reference.lines.lookup(["+353209100001"])[0] is not None
    assert reference.addresses is not None
    assert reference.addresses.nearest(np.array([53.5]), np.array([-6.5]), 100.0)[0].tolist() == [0]


def test_nothing_is_followed_where_nothing_can_be_read(data: Path) -> None:
    current = Reference.open(data).snapshot_id
    (data / "CURRENT").write_text("../elsewhere\n")
    assert follow(data, current) is None
    shutil.rmtree(data)
    assert follow(data, current) is None


@pytest.mark.real
def test_threads_that_ask_at_once_get_what_one_alone_gets(
    shared: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    with Draft.begin(tmp_path / "real") as draft:
        import_addresses(draft, shared / "data" / "addresses" / "helsinki_addresses.csv", name="helsinki")
        import_areas(draft, shared / "data" / "areas" / "ireland-counties.geojson", name="ireland")
        draft.publish()
    town = rng.uniform(60.16, 60.18, 400), rng.uniform(24.92, 24.96, 400)
    land = rng.uniform(51.6, 54.0, 400), rng.uniform(-9.5, -6.5, 400)
    radius_m = rng.uniform(10.0, 5000.0, 400)

    def ask(reference: Reference) -> list[list[float]]:
        assert reference.addresses is not None
        assert reference.areas is not None
        row, distance_m = reference.addresses.nearest(*town, 500.0)
        point, area = reference.areas.locate(*land)
        alone = reference.areas.undivided(*land, radius_m)
        return [a.tolist() for a in (row, distance_m, point, area, alone)]

    expected = ask(Reference.open(tmp_path / "real"))
    together = Reference.open(tmp_path / "real")
    with ThreadPoolExecutor(4) as pool:
        assert all(answer == expected for answer in pool.map(ask, [together] * 8))
