"""Calibrating on tables that the coverage was learned from: what is scored never taught what scores it."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from locsvc.cli import main
from locsvc.errors import BadData, ConfigError
from locsvc.learning.aside import folder_aside
from locsvc.learning.calibrate import parts
from locsvc.learning.calibrate.anew import Anew, calibrate
from locsvc.learning.calibrate.calibrate import NO_TIME, NONE, Calibrated, Options, calibrate_apart
from locsvc.learning.calibrate.parts import Cut, Told, deal, taught_by
from locsvc.learning.learn import Options as LearnOptions
from locsvc.learning.learn import learn
from locsvc.model import Radio
from locsvc.reference.coverage.identities import full
from locsvc.reference.store import Reference
from tests.learning.conftest import DAY_S, START_S
from tests.learning.conftest import written as written_to
from tests.waiting import until

CELLS = Options(only=("coverage_cell", "cell_steps"))


def street(sessions: int, *, rows: int = 20, days: int = 8, seed: int = 1, first: int = 0) -> pa.Table:
    """Rows of sessions on some days, each along a street of its own where one cell of its own is heard."""
    rng, n = np.random.default_rng(seed), sessions * rows
    session = np.repeat(np.arange(first, first + sessions), rows)
    return pa.table(
        {
            "session": [f"s{k:03d}" for k in session],
            "t": START_S - START_S % DAY_S + session % days * DAY_S + np.tile(np.arange(rows) * 10, sessions),
            "truth_lat": 54.0 + session * 0.01 + rng.normal(0, 0.0005, n),
            "truth_lon": 2.5 + rng.normal(0, 0.0005, n),
            "truth_accuracy_m": np.full(n, 3.0),
            "radio": ["LTE"] * n,
            "mcc": ["001"] * n,
            "mnc": ["01"] * n,
            "area": np.full(n, 7),
            "cell": 256 * session + 1,
            "signal_dbm": np.full(n, -90.0),
        }
    )


class Watched:
    """What is scored, and by which reference data, as calibrating is asked for it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tables: list[pa.Table] = []
        self.references: Sequence[Reference] = ()

        def watched(
            tables: Sequence[Sequence[Path]], references: Sequence[Reference], *rest: Options | None
        ) -> Calibrated:
            self.tables = [pa.concat_tables([pq.read_table(file) for file in own]) for own in tables]
            self.references = references
            return calibrate_apart(tables, references, rest[0])

        monkeypatch.setattr(parts, "calibrate_apart", watched)

    def cells(self, part: int) -> set[int]:
        """Cells of the part's rows."""
        return set(self.tables[part]["cell"].to_pylist())

    def known(self, part: int, cells: set[int]) -> set[int]:
        """Those that the part's coverage has."""
        store = self.references[part].coverage
        named = np.array(sorted(cells), np.int64)
        radio, mcc, mnc, area = (np.full(len(named), k) for k in (int(Radio.LTE), 1, 1, 7))
        return set() if store is None else set(named[store.find(full(radio, mcc, mnc, area, named))[1] > 0].tolist())


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


def data_of(tmp_path: Path, tables: dict[str, pa.Table], options: LearnOptions | None = None) -> list[Path]:
    """Tables that the coverage of `tmp_path / "data"` was learned from."""
    files = [written_to(tmp_path / f"{name}.parquet", table) for name, table in tables.items()]
    learn(files, tmp_path / "data", options)
    return files


def calibrated(tmp_path: Path, files: Sequence[Path], options: Options = CELLS) -> tuple[Calibrated, Anew | None]:
    return calibrate(files, tmp_path / "data", Reference.open(tmp_path / "data"), options)


def cells_of(table: pa.Table) -> set[int]:
    return set(table["cell"].to_pylist())


def test_no_part_is_scored_by_what_it_taught(tmp_path: Path, watched: Watched) -> None:
    table = street(16, days=8)
    found, anew = calibrated(tmp_path, data_of(tmp_path, {"a": table}))
    assert anew is not None
    assert (anew.tables, anew.parts, anew.units, anew.unit, anew.absent) == (["a.parquet"], 4, 8, "day", [])
    assert sum(len(scored) for scored in watched.tables) == len(table)
    for part in range(4):
        own = watched.cells(part)
        # Each session has a cell of its own: all others are known, and none of these.
        assert watched.known(part, cells_of(table)) == cells_of(table) - own
        days = set((watched.tables[part]["t"].to_numpy() // DAY_S).tolist())
        others = [set((t["t"].to_numpy() // DAY_S).tolist()) for k, t in enumerate(watched.tables) if k != part]
        assert not days & set.union(*others)
    assert (found.history.tables, found.history.rows, len(found.history.sessions)) == (["a.parquet"], 320, 16)


def test_sessions_are_dealt_where_there_are_few_days(tmp_path: Path, watched: Watched) -> None:
    files = data_of(tmp_path, {"a": street(12, days=2)})
    _, anew = calibrated(tmp_path, files)
    assert anew is not None
    assert (anew.parts, anew.units, anew.unit) == (4, 12, "session")
    sessions = [set(t["session"].to_pylist()) for t in watched.tables]
    assert sum(len(s) for s in sessions) == len(set.union(*sessions)) == 12
    # Days that are left out together are learned from together, however few.
    _, by_day = calibrated(tmp_path, files, Options(only=CELLS.only, by_day=True))
    assert by_day is not None
    assert (by_day.parts, by_day.units, by_day.unit) == (2, 2, "day")


def test_what_is_not_given_teaches_nothing_and_is_told(tmp_path: Path, watched: Watched) -> None:
    mine, other = street(8), street(8, first=8)
    files = data_of(tmp_path, {"a": mine, "b": other})
    _, anew = calibrated(tmp_path, files[:1])
    assert anew is not None
    assert (anew.tables, anew.absent) == (["a.parquet"], ["b.parquet"])
    assert not any(watched.known(part, cells_of(other)) for part in range(4))
    told = run("calibrate", files[0], "--data", tmp_path / "data", "--only", "coverage_cell")
    assert "b.parquet too: not given" in " ".join(told.stderr.split())


def test_what_is_new_is_scored_by_the_coverage_in_force(tmp_path: Path, watched: Watched) -> None:
    old, new = street(8), street(4, first=8)
    # Another table of days that were learned from, and one of later days.
    later = street(4, first=12)
    later = later.set_column(1, "t", pc.add(later["t"], 100 * DAY_S))
    files = data_of(tmp_path, {"old": old})
    new_files = [written_to(tmp_path / "same-days.parquet", new), written_to(tmp_path / "later.parquet", later)]
    reference = Reference.open(tmp_path / "data")
    _, anew = calibrate([*new_files, *files], tmp_path / "data", reference, CELLS)
    assert anew is not None
    assert anew.tables == ["old.parquet"]
    assert watched.references[-1] is reference
    assert watched.tables[-1]["t"].to_numpy().min() >= START_S + 90 * DAY_S
    assert len(watched.tables[-1]) == len(later)
    for part in range(anew.parts):
        assert not watched.known(part, cells_of(new))
        assert watched.known(part, cells_of(old)) == cells_of(old) - watched.cells(part)


def test_tables_that_nothing_was_learned_from_are_scored_as_before(tmp_path: Path) -> None:
    data_of(tmp_path, {"old": street(8)})
    new = written_to(tmp_path / "new.parquet", street(6, seed=2))
    found, anew = calibrated(tmp_path, [new])
    assert anew is None
    plain = calibrate_apart([[new]], [Reference.open(tmp_path / "data")], CELLS)
    assert found.results == plain.results
    assert found.history.tables == ["new.parquet"]


def test_days_that_other_files_taught_are_told(tmp_path: Path) -> None:
    """The same rows in another file are not known again."""
    table = street(8)
    data_of(tmp_path, {"a": table})
    later = table.set_column(1, "t", pc.add(table["t"], 100 * DAY_S))
    asked = ("--data", tmp_path / "data", "--only", "coverage_cell")
    same = run("calibrate", written_to(tmp_path / "b.parquet", table.slice(1)), *asked)
    assert same.stderr.startswith("8 of the days are of the time that the coverage was learned from")
    assert "of the time" not in run("calibrate", written_to(tmp_path / "c.parquet", later), *asked).stderr


def test_coverage_is_learned_on_the_terms_in_force(tmp_path: Path, watched: Watched) -> None:
    calibrated(tmp_path, data_of(tmp_path, {"a": street(8)}, LearnOptions(resolution=12, half_life_days=90)))
    stores = [reference.coverage for reference in watched.references]
    assert {(s.resolution, s.half_life_days) for s in stores if s is not None} == {(12, 90.0)}


def run(*arguments: object, given: bytes = b"") -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments], input=given)


def test_stdin_is_known_again(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    arrow_csv.write_csv(street(8), file)
    learn([file], tmp_path / "data")
    asked = ["calibrate", "-", "--data", tmp_path / "data", "--only", "coverage_cell", "--json"]
    told = run(*asked, given=file.read_bytes())
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout)
    assert found["learned_anew"] == {"tables": ["-"], "parts": 4, "days": 8, "not_given": []}
    assert (found["tables"], found["rows"]) == (["-"], 160)
    out = tmp_path / "calibration.toml"
    assert run(*asked, "--out", out, given=file.read_bytes()).exit_code == 0
    assert tomllib.loads(out.read_text(encoding="utf-8"))["fit"]["learned_anew"] == found["learned_anew"]
    nothing = run(*asked)
    assert (nothing.exit_code, nothing.stderr) == (65, "locsvc: stdin is empty\n")


def test_a_single_session_is_no_history(tmp_path: Path) -> None:
    (file,) = data_of(tmp_path, {"a": street(1)})
    found, anew = calibrated(tmp_path, [file])
    assert anew is not None
    assert (anew.parts, anew.units) == (1, 1)
    # Without itself, nothing is known of its cells.
    assert {r.verdict for r in found.results} == {NONE}
    told = run("calibrate", file, "--data", tmp_path / "data")
    assert told.exit_code == 0
    assert "one session, which is scored by what is known without it" in " ".join(told.stderr.split())


def test_when_the_time_is_over_nothing_more_is_learned(tmp_path: Path, watched: Watched) -> None:
    files = data_of(tmp_path, {"a": street(24)})
    reference = Reference.open(tmp_path / "data")
    found, _ = calibrate(files, tmp_path / "data", reference, Options(only=("coverage_cell",), budget_s=0.0))
    (cells, *_) = found.results
    assert (cells.verdict, cells.sessions, cells.before) == (NO_TIME, 24, None)
    assert found.changed == {}
    assert set(map(id, watched.references)) == {id(reference)}


@pytest.mark.parametrize("command", ["calibrate", "evaluate", "learn"])
def test_a_table_given_twice_is_refused(tmp_path: Path, command: str) -> None:
    (file,) = data_of(tmp_path, {"a": street(4)})
    other = tmp_path / "copy.parquet"
    other.write_bytes(file.read_bytes())
    for given, said in (((file, file), f"{file} is given twice;"), ((file, other), f"it has the content of {file}")):
        told = run(command, *given, "--data", tmp_path / "data")
        assert told.exit_code == 65
        assert said in told.stderr
    assert "stdin (-) is given twice" in run(command, "-", "-", "--data", tmp_path / "data").stderr


def test_rows_that_name_no_session_and_no_time_are_each_their_own(tmp_path: Path) -> None:
    table = street(5, rows=9000).drop_columns(["session", "t"])
    (file,) = data_of(tmp_path, {"a": table})
    found, anew = calibrated(tmp_path, [file], Options(only=("coverage_cell.network",)))
    assert anew is not None
    assert (anew.unit, anew.units) == ("day", 45_000)
    assert len(found.history.sessions) == 45_000
    plain = calibrate_apart([[file]], [Reference.open(tmp_path / "data")], Options(only=("coverage_cell.network",)))
    assert len(plain.history.sessions) == 45_000


def test_equal_labels_are_dealt_together_and_evenly() -> None:
    labels = np.repeat(np.arange(40), np.arange(1, 41))
    part = deal(labels, 4)
    assert all(len(set(part[labels == k].tolist())) == 1 for k in range(40))
    assert np.ptp(np.bincount(part)) <= 2
    assert (deal(np.arange(40), 4, np.arange(1, 41))[labels] == part).all()


def test_tables_with_the_same_rows_in_a_part_all_teach(tmp_path: Path) -> None:
    """Files of one content are refused where they are given, and these are not given."""
    table = street(2)
    with Cut(tmp_path / "cut") as cut:
        for nth in (0, 1):
            cut.add(nth, table, Told(np.zeros(len(table), np.int64), ["one"] * len(table)))
    taught = taught_by(cut.teaching(), Reference.empty(), tmp_path / "taught", LearnOptions())
    assert taught.coverage is not None
    assert taught.coverage.reports == 2 * len(table)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("met", ["cut/part-3-0.parquet", "taught-1"])
def test_ended_it_leaves_nothing_of_the_tables_behind(tmp_path: Path, number: int, code: int, met: str) -> None:
    """What is learned anew are places of callers: they do not stay among the temporary files."""
    (file,) = data_of(tmp_path, {"a": street(80, rows=200)})
    kept = tmp_path / "kept"
    kept.mkdir()
    before = sorted(tmp_path.rglob("data/**/*"))
    with subprocess.Popen(
        [sys.executable, "-m", "locsvc", "calibrate", str(file), "--data", str(tmp_path / "data")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "TMPDIR": str(kept)},
    ) as process:  # fmt: skip
        assert until(lambda: list(kept.glob(f"locsvc-calibrate-*/{met}")))
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert not list(kept.iterdir())
    assert sorted(tmp_path.rglob("data/**/*")) == before


def test_a_full_disk_is_told_and_a_second_signal_comes_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def filled() -> None:
        with folder_aside("locsvc-", tmp_path) as folder:
            (folder / "half").touch()
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(ConfigError, match=r"no room left under .*; name a larger place with TMPDIR"):
        filled()
    assert not list(tmp_path.iterdir())
    remove = shutil.rmtree

    def disturbed(path: Path, *, ignore_errors: bool) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", disturbed)
    with pytest.raises(KeyboardInterrupt), folder_aside("locsvc-", tmp_path) as folder:
        (folder / "all").touch()
    assert not list(tmp_path.iterdir())


def test_bad_input_is_told_as_ever(tmp_path: Path) -> None:
    table = street(8)
    (file,) = data_of(tmp_path, {"a": table})
    empty = written_to(tmp_path / "empty.parquet", table.slice(0, 0))
    untold = written_to(tmp_path / "untold.parquet", table.drop_columns(["truth_lat", "truth_lon"]))
    for given, code, said in (
        ([empty], 65, "no row has a truth (truth_lat, truth_lon) to fit to (the tables are empty)"),
        ([untold], 65, "to fit to (no truth: 160)"),
        ([tmp_path / "none.parquet"], 65, "none.parquet is no file"),
        ([file, "--only", "coverge"], 2, "did you mean 'coverage_scan'?"),
        ([file, "--map", "x=cell"], 65, "the input has no column 'x'"),
        (["-", "--input-format", "parquet"], 65, "Parquet cannot be read from stdin"),
    ):
        told = run("calibrate", *given, "--data", tmp_path / "data")
        assert (told.exit_code, told.stdout) == (code, "")
        assert said in " ".join(told.stderr.split())
    with pytest.raises(BadData, match="no column 'x'"):
        calibrated(tmp_path, [file], Options(mapping={"x": "cell"}))
