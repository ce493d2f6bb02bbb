"""`import lines` from ALI records and with `--orders`, end to end, and a process killed in the middle of it."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from locsvc import errors
from locsvc.cli import main
from locsvc.reference.lines import LineStore
from locsvc.reference.snapshot import Snapshot, current_id
from tests.formats.ali_records import file_of, order

PATIENCE_S = 60.0


def run(*args: str | Path) -> Result:
    return CliRunner(env={"LOCSVC_DATA": None}).invoke(main, [str(a) for a in args])


def import_lines(data: Path, file: Path, *more: str | Path) -> Result:
    return run("import", "lines", file, "--data", data, *more)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def streets(data: Path, *last: int) -> list[str | None]:
    store = LineStore.open(Snapshot.open(data).entries("lines")[0])
    found = store.lookup([f"+1555555{n:04d}" for n in last])
    return [r.address.street if r is not None and r.address is not None else None for r in found]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with lines 0 to 9, imported from ALI records."""
    folder = tmp_path / "data"
    initial = written(tmp_path / "initial.ali", file_of(*(order("I", n) for n in range(10))))
    done = import_lines(folder, initial, "--licence", "CC0")
    assert done.exit_code == 0, done.output
    assert "10 lines imported as 'lines'" in done.stdout
    return folder


def test_lines_are_recognised_as_ali_records_packed_or_not(data: Path, tmp_path: Path) -> None:
    assert streets(data, 0, 9, 10) == ["MILL LN", "MILL LN", None]
    packed = written(tmp_path / "initial.gz", gzip.compress(file_of(order("I", 44), ends="")))
    done = import_lines(data, packed, "--format", "ali", "--json")
    assert json.loads(done.stdout)["rows"] == 1
    assert streets(data, 0, 44) == [None, "MILL LN"]


def test_orders_are_applied_in_one_step_with_a_report(data: Path, tmp_path: Path) -> None:
    orders = file_of(
        order("C", 1, street="STATION RD"),
        order("D", 2),
        order("I", 3),
        order("I", 77),
        order("U", 4),
        order("M", 4, "NEWCO", street="HIGH ST"),
        order("D", 5, "NEWCO"),
        order("Q", 6),
        order("C", 88, class_of_service="?"),
    )
    rejects = tmp_path / "rejects.csv"
    done = import_lines(data, written(tmp_path / "daily.ali", orders), "--orders", "--rejects", rejects, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["rows"] == 10
    assert report["rejected"] == {
        "insert of a line that is there already and is not unlocked": 1,
        "the line belongs to another company, which has to unlock it": 1,
        "no function code and ten digits at the beginning": 1,
        "no such line": 1,
    }
    assert {k: report["notes"][k] for k in ("changed", "deleted", "inserted", "unlocked", "migrated")} == dict.fromkeys(
        ("changed", "deleted", "inserted", "unlocked", "migrated"), 1
    )
    listed = rejects.read_text(encoding="utf-8")
    # The header is the file's first record.
    assert "\n4,insert of a line" in listed
    assert "+" not in listed.split("\n")[0]
    assert streets(data, 0, 1, 2, 3, 4, 5, 77) == [
        "MILL LN",
        "STATION RD",
        None,
        "MILL LN",
        "HIGH ST",
        "MILL LN",
        "MILL LN",
    ]


def test_all_lines_may_be_deleted(data: Path, tmp_path: Path) -> None:
    orders = written(tmp_path / "end.ali", file_of(*(order("D", n) for n in range(10))))
    assert import_lines(data, orders, "--orders").exit_code == 0
    assert streets(data, 0) == [None]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (file_of(order("D", 1), count=2), "the trailer counts 2 records, the file has 1"),
        (file_of(order("D", 1))[:-514], "without the trailer"),
        (file_of(order("I", 1)), "no order could be carried out"),
        (b"number,street\n+15555550100,Mill Lane\n", "no order could be carried out"),
    ],
)
@pytest.mark.parametrize("flag", [["--orders"], ["--orders", "--format", "ali"]])
def test_a_file_that_is_not_whole_changes_nothing(
    data: Path, tmp_path: Path, content: bytes, words: str, flag: list[str]
) -> None:
    before = current_id(data)
    done = import_lines(data, written(tmp_path / "daily.ali", content), *flag)
    assert done.exit_code == errors.MEANINGS[errors.BadData].exit_code
    assert words in done.stderr
    assert current_id(data) == before
    assert streets(data, 1) == ["MILL LN"]


def test_an_import_of_orders_that_add_nothing_says_what_to_do(data: Path, tmp_path: Path) -> None:
    done = import_lines(data, written(tmp_path / "daily.ali", file_of(order("D", 1))))
    assert done.exit_code == errors.MEANINGS[errors.BadData].exit_code
    assert "--orders" in done.stderr
    assert streets(data, 1) == ["MILL LN"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--orders", "--format", "csv"], "--format csv replaces"),
        (["--map", "number=TN"], "--map is for tables"),
        (["--orders", "--default-region", "US"], "whole numbers"),
        (["--format", "xml"], "'xml'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(data: Path, tmp_path: Path, args: list[str], words: str) -> None:
    done = import_lines(data, written(tmp_path / "daily.ali", file_of(order("C", 1))), *args)
    assert done.exit_code == errors.EXIT_USAGE
    assert words in done.stderr


def test_a_process_killed_in_the_middle_leaves_the_old_lines(data: Path, tmp_path: Path) -> None:
    before = current_id(data)
    # Ten lines are deleted first; then come inserts: SQLite writes when its 2 MB are full, by half of them.
    insert = order("I", 0, calling_number="#" * 7)
    inserts = [insert.replace("#" * 7, f"{n:07d}") for n in range(2_000_000, 2_040_000)]
    orders = [order("D", n) for n in range(10)] + [order("I", 1000), *inserts]
    file = written(tmp_path / "daily.ali", file_of(*orders, ends=""))
    command = [sys.executable, "-m", "locsvc", "import", "lines", str(file), "--orders", "--data", str(data)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        patience = time.monotonic() + PATIENCE_S
        # Written to, beyond the ten lines that it began with.
        while not any(f.stat().st_size > 200_000 for f in data.glob(".draft*/lines/lines/lines.sqlite")):
            assert process.poll() is None, process.communicate()[1].decode()
            assert time.monotonic() < patience
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert current_id(data) == before
    assert streets(data, 0, 9, 1000) == ["MILL LN", "MILL LN", None]
    # What it left is in nobody's way, and is swept away.
    done = import_lines(data, written(tmp_path / "next.ali", file_of(order("D", 0))), "--orders")
    assert done.exit_code == 0, done.output
    assert streets(data, 0, 9, 1000) == [None, "MILL LN", None]
    assert not list(data.glob(".draft*"))
