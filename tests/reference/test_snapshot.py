"""Snapshots: whole or not there at all."""

from __future__ import annotations

import mmap
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from locsvc.errors import ConfigError, DatasetError, DatasetMissing, InvalidInput, Overloaded
from locsvc.reference.snapshot import Draft, Snapshot, current_id

# Imports a dataset of some files again and again until it is killed; each snapshot's files all say the same number.
ENDLESS_IMPORT = """
import sys
from pathlib import Path
from locsvc.reference.snapshot import Draft
data, number = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
while True:
    number += 1
    with Draft.begin(data) as draft:
        directory = draft.dataset_dir("cells", "many")
        for part in range(6):
            (directory / f"part{part}.bin").write_bytes(number.to_bytes(8, "little") * 20_000)
        draft.describe("cells", "many", rows=number, source="endless", licence="", built_at=0.0)
        draft.publish()
    print("published", flush=True)
"""


def publish(data: Path, dataset: str, name: str, content: bytes, rows: int = 1) -> str:
    with Draft.begin(data) as draft:
        (draft.dataset_dir(dataset, name) / "column.npy").write_bytes(content)
        draft.describe(dataset, name, rows=rows, source="test.csv", licence="CC0", built_at=5.0, extra={"masts": True})
        return draft.publish()


def left_over(data: Path) -> list[str]:
    return sorted(p.name for p in data.iterdir() if p.name not in {"CURRENT", "snapshots", ".lock"})


def test_nothing_published_yet(tmp_path: Path) -> None:
    assert current_id(tmp_path) is None
    with pytest.raises(DatasetMissing, match="import"):
        Snapshot.open(tmp_path)


def test_what_was_published_is_found(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    snapshot_id = publish(data, "cells", "one", b"123", rows=7)
    snapshot = Snapshot.open(data)
    assert snapshot.id == snapshot_id == current_id(data)
    (entry,) = snapshot.entries("cells")
    assert (entry.name, entry.rows, entry.extra) == ("one", 7, {"masts": True})
    assert (entry.path / "column.npy").read_bytes() == b"123"
    (version,) = snapshot.datasets
    assert (version.dataset, version.source, version.licence, version.built_at) == ("cells", "test.csv", "CC0", 5.0)
    assert version.size_bytes == 3
    assert snapshot.entries("lines") == ()


def test_other_datasets_are_carried_over_and_the_same_name_is_replaced(tmp_path: Path) -> None:
    publish(tmp_path, "lines", "lines", b"lines")
    publish(tmp_path, "cells", "one", b"old")
    publish(tmp_path, "cells", "two", b"two")
    before = Snapshot.open(tmp_path)
    publish(tmp_path, "cells", "one", b"new")
    after = Snapshot.open(tmp_path)
    contents = {
        (d.dataset, d.name): (after.path / d.dataset / d.name / "column.npy").read_bytes() for d in after.datasets
    }
    assert contents == {("lines", "lines"): b"lines", ("cells", "one"): b"new", ("cells", "two"): b"two"}
    # Carried over by link, not by copy; and the former snapshot still has its own.
    shared = [(s.path / "lines/lines/column.npy").stat().st_ino for s in (before, after)]
    assert shared[0] == shared[1]
    assert (before.path / "cells/one/column.npy").read_bytes() == b"old"
    versions = [{d.name: d.version for d in s.datasets} for s in (before, after)]
    assert versions[0]["lines"] == versions[1]["lines"]
    assert versions[0]["one"] != versions[1]["one"]


def test_drop_takes_an_import_out(tmp_path: Path) -> None:
    publish(tmp_path, "cells", "one", b"1")
    publish(tmp_path, "cells", "two", b"2")
    with Draft.begin(tmp_path) as draft:
        draft.drop("cells", "one")
        draft.publish()
    snapshot = Snapshot.open(tmp_path)
    assert [d.name for d in snapshot.datasets] == ["two"]
    assert not (snapshot.path / "cells/one").exists()


def test_a_draft_left_without_publish_is_gone(tmp_path: Path) -> None:
    publish(tmp_path, "cells", "one", b"1")

    def fail() -> None:
        with Draft.begin(tmp_path) as draft:
            (draft.dataset_dir("cells", "one") / "column.npy").write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert left_over(tmp_path) == []
    assert (Snapshot.open(tmp_path).path / "cells/one/column.npy").read_bytes() == b"1"


def test_two_snapshots_are_kept_and_a_map_of_a_removed_one_still_reads(tmp_path: Path) -> None:
    first = publish(tmp_path, "cells", "one", b"first snapshot")
    file = tmp_path / "snapshots" / first / "cells/one/column.npy"
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        ids = [publish(tmp_path, "cells", "one", bytes([n])) for n in range(3)]
        assert not file.exists()
        assert mapped[:] == b"first snapshot"
    assert sorted(p.name for p in (tmp_path / "snapshots").iterdir()) == sorted(ids[-2:])
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("at", [0, 5000, 9999])
@pytest.mark.parametrize("bit", [0, 7])
def test_a_flipped_bit_is_refused_with_the_files_name(tmp_path: Path, at: int, bit: int) -> None:
    publish(tmp_path, "lines", "lines", b"fine")
    snapshot_id = publish(tmp_path, "cells", "one", bytes(10_000))
    file = tmp_path / "snapshots" / snapshot_id / "cells/one/column.npy"
    flip(file, at, bit)
    with pytest.raises(DatasetError, match=r"cells/one/column\.npy is damaged: its sha256"):
        Snapshot.open(tmp_path)
    Snapshot.open(tmp_path, verify=False)
    # The damaged import can be replaced, and others can be imported meanwhile.
    publish(tmp_path, "areas", "some", b"areas")
    publish(tmp_path, "cells", "one", b"mended")
    assert len(Snapshot.open(tmp_path).datasets) == 3


def flip(file: Path, at: int, bit: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1 << bit
    file.write_bytes(content)


def test_a_flipped_bit_anywhere_in_the_manifest_is_refused(tmp_path: Path) -> None:
    snapshot_id = publish(tmp_path, "cells", "one", b"1")
    manifest = tmp_path / "snapshots" / snapshot_id / "manifest.json"
    for at in range(0, manifest.stat().st_size, 7):
        flip(manifest, at, at % 8)
        with pytest.raises(DatasetError, match=r"manifest\.json is damaged"):
            Snapshot.open(tmp_path, verify=False)
        flip(manifest, at, at % 8)
    Snapshot.open(tmp_path)


def test_missing_and_short_files_are_refused_even_without_verification(tmp_path: Path) -> None:
    snapshot_id = publish(tmp_path, "cells", "one", b"12345")
    file = tmp_path / "snapshots" / snapshot_id / "cells/one/column.npy"
    file.write_bytes(b"1234")
    with pytest.raises(DatasetError, match=r"column\.npy is damaged: it has 4 bytes, not 5"):
        Snapshot.open(tmp_path, verify=False)
    file.unlink()
    with pytest.raises(DatasetError, match=r"column\.npy cannot be read"):
        Snapshot.open(tmp_path, verify=False)


def test_current_that_names_nothing_is_refused(tmp_path: Path) -> None:
    publish(tmp_path, "cells", "one", b"1")
    (tmp_path / "CURRENT").write_text("20200101T000000.000000Z-000000000000\n")
    with pytest.raises(DatasetError, match="20200101"):
        Snapshot.open(tmp_path)
    (tmp_path / "CURRENT").write_text("../../etc\n")
    with pytest.raises(DatasetError, match="CURRENT is damaged"):
        Snapshot.open(tmp_path)


@pytest.mark.parametrize(("dataset", "name"), [("cells", "../one"), ("cells", ""), ("cells", ".x"), ("towers", "one")])
def test_names_that_cannot_be_directories(tmp_path: Path, dataset: str, name: str) -> None:
    with Draft.begin(tmp_path) as draft, pytest.raises(InvalidInput):
        draft.dataset_dir(dataset, name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_cannot_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot be written to"):
        Draft.begin(tmp_path / "data")


def test_a_file_in_place_of_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigError, match="cannot be written to"):
        Draft.begin(tmp_path / "data")


def test_imports_wait_for_each_other_and_lose_nothing(tmp_path: Path) -> None:
    with Draft.begin(tmp_path) as draft:
        with pytest.raises(Overloaded, match="another import"):
            Draft.begin(tmp_path, wait=False)
        second = threading.Thread(target=publish, args=(tmp_path, "cells", "second", b"2"))
        second.start()
        (draft.dataset_dir("cells", "first") / "column.npy").write_bytes(b"1")
        draft.describe("cells", "first", rows=1, source="", licence="", built_at=0.0)
        draft.publish()
        assert [d.name for d in Snapshot.open(tmp_path).datasets] == ["first"]
    second.join()
    assert [d.name for d in Snapshot.open(tmp_path).datasets] == ["first", "second"]


def test_many_processes_import_at_once(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from locsvc.reference.snapshot import Draft\n"
        "for n in range(5):\n"
        "    with Draft.begin(Path(sys.argv[1])) as draft:\n"
        "        name = f'{sys.argv[2]}-{n}'\n"
        "        (draft.dataset_dir('cells', name) / 'x').write_text(name)\n"
        "        draft.describe('cells', name, rows=1, source='', licence='', built_at=0.0)\n"
        "        draft.publish()\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(p)]) for p in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    names = {d.name for d in Snapshot.open(tmp_path).datasets}
    assert names == {f"{p}-{n}" for p in range(3) for n in range(5)}


def test_an_import_killed_at_any_moment_leaves_a_whole_snapshot(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    publish(tmp_path, "lines", "lines", b"kept through all of it")
    number = 0
    for round_ in range(15):
        before = current_id(tmp_path)
        process = subprocess.Popen(
            [sys.executable, "-c", ENDLESS_IMPORT, str(tmp_path), str(number)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if round_ % 2:
            # On a slow machine too some imports come through before theirs is killed.
            assert process.stdout.readline() == b"published\n"
        time.sleep(dice.uniform(0.0, 0.15))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        after = current_id(tmp_path)
        assert after is not None
        assert before is not None
        assert after >= before
        snapshot = Snapshot.open(tmp_path)
        for entry in snapshot.entries("cells"):
            parts = {(entry.path / f"part{part}.bin").read_bytes() for part in range(6)}
            assert parts == {entry.rows.to_bytes(8, "little") * 20_000}
            number = entry.rows
        assert (snapshot.path / "lines/lines/column.npy").read_bytes() == b"kept through all of it"
    assert number >= 7
    # The next import finds the lock free and takes away whatever was left lying about.
    publish(tmp_path, "areas", "last", b"areas")
    assert left_over(tmp_path) == []
    assert len(list((tmp_path / "snapshots").iterdir())) <= 2


def test_reading_while_snapshots_are_published(tmp_path: Path) -> None:
    publish(tmp_path, "cells", "one", bytes(1000))
    done = threading.Event()

    def publish_often() -> None:
        for number in range(40):
            publish(tmp_path, "cells", "one", bytes([number]) * 1000)
        done.set()

    publisher = threading.Thread(target=publish_often)
    publisher.start()
    opened = 0
    while not done.is_set():
        assert Snapshot.open(tmp_path).datasets[0].size_bytes == 1000
        opened += 1
    publisher.join()
    assert opened > 0
