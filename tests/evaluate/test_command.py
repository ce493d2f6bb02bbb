"""`locsvc evaluate`: tables, JSON, the page, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from locsvc.cli import main
from locsvc.learning.learn import learn
from locsvc.resolver import Resolver
from tests.evaluate.conftest import drive, fixes, with_drawn_truths, write
from tests.waiting import until


def run(*args: str | Path) -> Result:
    return CliRunner(env={"LOCSVC_DATA": None}).invoke(main, ["evaluate", *(str(a) for a in args)])


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, nothing: Resolver) -> Path:
    return write(with_drawn_truths(nothing, fixes(80, 11), 12), tmp_path_factory.mktemp("fixes") / "fixes.parquet")


def test_tables_and_files(table: Path, tmp_path: Path) -> None:
    page, numbers = tmp_path / "report.html", tmp_path / "numbers.json"
    done = run(table, "--by", "method", "--report", page, "--json", numbers)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("80 of 80 calls judged, 80 sessions\n")
    assert "method: wifi" in done.stdout
    assert "claimed" in done.stdout
    assert "Ground named at 90 %" in done.stdout
    assert all(len(line) <= 140 for line in done.stdout.splitlines())
    told = json.loads(numbers.read_text())
    assert told["judged"] == 80
    assert {row["by"] for row in told["strata"]} == {"all", "sources", "radius", "session", "method"}
    assert "NaN" not in numbers.read_text()

    text = page.read_text()
    # Self-contained: nothing is loaded, and nothing that is not drawn is pointed to.
    assert not re.search(r"(src|href)\s*=|url\(|@import", text)
    assert "default-src 'none'" in text
    assert "prefers-color-scheme: dark" in text
    assert text.count('<svg class="curves"') == 2
    assert text.count('<figure class="case">') == 12
    assert "Histogram of highest-density levels" in text
    assert "nan" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)


def test_json_to_stdout(table: Path) -> None:
    told = json.loads(run(table, "--json", "-").stdout)
    assert told["strata"][0]["n"] == 80
    assert len(told["calibration"]["levels"]["counts"]) == 20


def test_texts_of_a_table_are_not_obeyed(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text(
        "call_id,session,latitude,longitude,radius_m,truth_lat,truth_lon\n<b>x,<script>alert(1)</script>,52,11,9,52,11.01\n"
    )
    page = tmp_path / "report.html"
    done = run(source, "--report", page)
    assert done.exit_code == 0, done.output
    assert "<script>alert" not in page.read_text()
    assert "&lt;b&gt;x" in page.read_text()


def test_a_table_is_not_written_over(table: Path) -> None:
    before = table.read_bytes()
    for option in ("--json", "--report"):
        done = run(table, option, table)
        assert done.exit_code == 2
        assert "is a table to read" in done.stderr
    assert table.read_bytes() == before


def test_no_truth_is_bad_data(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text("latitude,longitude\n52,11\n")
    done = run(source)
    assert done.exit_code == 65
    assert "truth_lat" in done.stderr


def test_a_table_that_the_coverage_was_learned_from_is_told(tmp_path: Path) -> None:
    own, other = (write(drive(3, 40, seed), tmp_path / f"{seed}.parquet") for seed in (1, 2))
    learn([own], tmp_path / "data")
    done = run(own, other, "--data", tmp_path / "data")
    assert "too good: the coverage was learned from 1.parquet, so" in " ".join(done.stdout.split())
    assert json.loads(run(own, "--data", tmp_path / "data", "--json", "-").stdout)["learned_of"] == ["1.parquet"]
    for rest in ((other,), (own, "--folds", "day")):
        assert "too good" not in run(*rest, "--data", tmp_path / "data").stdout


def test_sessions_that_nobody_counts_are_refused(table: Path) -> None:
    done = run(table, "--least-sessions", "4")
    assert done.exit_code == 2
    assert "give --folds" in done.stderr


@pytest.mark.parametrize(
    ("workers", "number", "code"), [("1", signal.SIGINT, 130), ("2", signal.SIGINT, 130), ("2", signal.SIGTERM, 143)]
)
def test_interrupted_it_leaves_nothing_of_the_tables_behind(
    workers: str, number: int, code: int, tmp_path: Path
) -> None:
    """What folds are learned from are places of callers: they do not stay among the temporary files."""
    kept = tmp_path / "kept"
    kept.mkdir()
    table = write(drive(20, 400, 1), tmp_path / "drive.parquet")
    asked = ["evaluate", str(table), "--folds", "day", "--fold-count", "0", "--calibrate", "--workers", workers]
    with subprocess.Popen(
        [sys.executable, "-m", "locsvc", *asked],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "TMPDIR": str(kept)},
    ) as process:  # fmt: skip
        assert until(lambda: list(kept.rglob("part-*.parquet")))
        # As a terminal does: to all processes of the group.
        os.killpg(process.pid, number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Traceback" not in said
    assert not list(kept.glob("locsvc-*"))
