"""`calls` on a real journal: what is listed, erased, purged, learned and noted, also while another process writes."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from locsvc import model
from locsvc.calls.arrivals import Arrivals
from locsvc.calls.journal import Journal
from locsvc.calls.words import Arrival
from locsvc.cli import main
from locsvc.errors import EXIT_USAGE
from tests.cli.terminal import Terminal

# 2026-11-22 09:00:00 UTC.
NINE_S = 1_795_338_000.0
ALICE, BOB = "+441632960168", "+441632960124"


def run(*args: object) -> Result:
    return CliRunner(env={"LOCSVC_DATA": None}).invoke(main, ["calls", *(str(a) for a in args)])


def told(*args: object) -> list[dict[str, object]]:
    done = run(*args, "--json")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory with the journal of four calls; the last is live."""
    journal = Journal.open(tmp_path / "calls.sqlite")
    for place, (name, number) in enumerate([("a-1", ALICE), ("b-1", BOB), ("a-2", ALICE), ("live", "")]):
        at = NINE_S + 3600 * place
        line = model.Evidence(model.LineLookup(number or BOB), observed_at=at)
        fix = model.Evidence(model.DeviceReport(model.Circle(model.LatLng(54.99, 2.49), 30.0)), "fix")
        journal.add(Arrival((line,), at + 0.5, name, number, at)).result(10)
        journal.add(Arrival((fix,), at + 12.0, name)).result(10)
        if name != "live":
            journal.end(name, at + 60.0).result(10)
    assert journal.close() == 0
    return tmp_path


@pytest.fixture
def beside(data: Path) -> Iterator[Journal]:
    """The same journal, open in a server."""
    journal = Journal.open(data / "calls.sqlite")
    yield journal
    journal.close()


def test_calls_are_listed_newest_first(data: Path) -> None:
    found = told("--data", data)
    assert [call["call_id"] for call in found] == ["live", "a-2", "b-1", "a-1"]
    assert found[3] == {
        "call_id": "a-1",
        "calling_number": ALICE,
        "started_at": "2026-11-22T09:00:00Z",
        "ended_at": "2026-11-22T09:01:00Z",
        "revision": "3",
        "pieces": 2,
    }
    assert "ended_at" not in found[0]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--number", ALICE], ["a-2", "a-1"]),
        (["--live"], ["live"]),
        (["--limit", "2"], ["live", "a-2"]),
        (["--since", "2026-11-22T10:00:00Z", "--until", "2026-11-22T11:00:00Z"], ["b-1"]),
        (["--number", "+441632960199"], []),
    ],
)
def test_calls_are_chosen(data: Path, options: list[str], names: list[str]) -> None:
    assert [call["call_id"] for call in told("--data", data, *options)] == names


def test_the_table_says_the_same(data: Path) -> None:
    rows = run("--data", data).stdout.splitlines()
    assert rows[0].split() == ["call", "number", "started", "ended", "revisions", "pieces"]
    assert re.split(r"  +", rows[2]) == ["live", "-", "2026-11-22 12:00:00 UTC", "live", "2", "2"]
    assert len(rows) == 6


@pytest.mark.parametrize("spelling", ["{}", "sqlite:///{}"])
def test_the_journal_may_be_named(data: Path, spelling: str) -> None:
    assert len(told("--journal", spelling.format(data / "calls.sqlite"))) == 4


def test_a_journal_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    done = run("--data", tmp_path)
    assert done.exit_code == 78
    assert f"there is no journal {tmp_path / 'calls.sqlite'}" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert run().exit_code == EXIT_USAGE


def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "letter"
    file.write_text("dear sir or madam, " * 100, encoding="utf-8")
    done = run("--journal", file)
    assert done.exit_code in {69, 78}
    assert "Traceback" not in done.stderr
    assert file.read_text(encoding="utf-8").startswith("dear sir")


def test_erasure_takes_all_of_a_number_and_says_how_many(data: Path, beside: Journal) -> None:
    forgotten: list[tuple[str, int]] = []
    beside.on_change = lambda call_id, revision: forgotten.append((call_id, revision))
    done = run("--data", data, "--erase", ALICE, "--yes")
    assert (done.exit_code, done.stdout) == (0, f"2 calls from {ALICE} erased\n")
    assert [call["call_id"] for call in told("--data", data)] == ["live", "b-1"]
    assert beside.record("a-1") is None
    end = time.monotonic() + 10
    while len(forgotten) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    # A server that has the calls in memory is told.
    assert sorted(forgotten) == [("a-1", 0), ("a-2", 0)]
    assert told("--data", data, "--erase", ALICE, "--yes") == [{"erased": 0}]


@pytest.mark.parametrize("option", [["--erase", ALICE], ["--purge-before", "2026-11-23T00:00:00Z"]])
def test_nothing_is_erased_without_a_yes(data: Path, option: list[str]) -> None:
    done = run("--data", data, *option)
    assert done.exit_code == EXIT_USAGE
    assert "give --yes" in done.stderr
    command = [sys.executable, "-m", "locsvc", "calls", "--data", str(data), *option]
    with Terminal(command, columns=100, lines=20) as terminal:
        terminal.until(r"\[y/N\]:")
        terminal.type("n\n")
        assert terminal.wait() == 0
        assert "nothing was erased" in terminal.text()
    assert len(told("--data", data)) == 4
    with Terminal(command, columns=100, lines=20) as terminal:
        terminal.until(r"\[y/N\]:")
        terminal.type("y\n")
        assert terminal.wait() == 0
    assert len(told("--data", data)) < 4


def test_a_number_that_is_none_erases_nothing(data: Path) -> None:
    done = run("--data", data, "--erase", "01632 960168", "--yes")
    assert done.exit_code == EXIT_USAGE
    assert "calling_number" in done.stderr
    assert len(told("--data", data)) == 4


@pytest.mark.parametrize("choice", [["--live"], ["--since", "2026-11-22T10:00:00Z"], ["--number", ALICE]])
def test_what_is_shown_is_not_what_is_erased(data: Path, choice: list[str]) -> None:
    done = run("--data", data, "--erase", ALICE, "--yes", *choice)
    assert (done.exit_code, "choose what is shown" in done.stderr) == (EXIT_USAGE, True)
    assert len(told("--data", data)) == 4


def test_purging_takes_what_ended_before(data: Path) -> None:
    done = run("--data", data, "--purge-before", "2026-11-22T10:30:00Z", "--yes")
    assert (done.exit_code, done.stdout) == (0, "2 calls that ended before 2026-11-22 10:30:00 UTC erased\n")
    assert [call["call_id"] for call in told("--data", data)] == ["live", "a-2"]
    (look,) = [look for look in told("--data", data, "--audit") if look["method"] != "calls"]
    assert look["method"] == "purge (calls: 2)"
    assert "@" in str(look["who"])


def test_who_looked_is_noted(data: Path) -> None:
    run("--data", data, "--number", ALICE)
    run("--data", data)
    run("--data", data, "--erase", ALICE, "--yes")
    looks = told("--data", data, "--audit")
    assert [look["method"] for look in looks] == ["erase", "calls", "calls"]
    assert all("@" in str(look["who"]) for look in looks)
    # The number itself is nowhere, and its hash is the same each time.
    assert ALICE not in json.dumps(looks)
    assert looks[0]["calling_number_hash"] == looks[2]["calling_number_hash"]
    assert "calling_number_hash" not in looks[1]
    table = run("--data", data, "--audit", "--limit", "1").stdout.splitlines()
    assert len(table) == 3
    assert "erase" in table[2]


def test_arrival_times_are_learned(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "arrivals.toml"
    done = run("--data", data, "--learn-arrivals", file)
    assert done.exit_code == 0, done.output
    assert re.fullmatch(r"arrival times learned from 3 of 4 calls; written to .*arrivals\.toml\n", done.stdout)
    assert Arrivals.read(file) != Arrivals.default()
    nothing = run("--data", data, "--learn-arrivals", file, "--since", "2030-01-01T00:00:00Z")
    assert nothing.exit_code == 3
    assert "no calls to learn from" in nothing.stderr
    # The call that is live and young teaches nothing, and the file stays as it was.
    file.write_text("before", encoding="utf-8")
    young = run("--data", data, "--learn-arrivals", file, "--since", "2026-11-22T12:00:00Z")
    assert (young.exit_code, young.stdout) == (3, "")
    assert "no calls to learn from: of 1 call none is over" in young.stderr
    assert file.read_text(encoding="utf-8") == "before"
    told_so = run("--data", data, "--learn-arrivals", file, "--json")
    assert json.loads(told_so.stdout) == {"calls": 3, "looked_at": 4, "file": str(file)}


def test_tasks_exclude_each_other(data: Path) -> None:
    assert run("--data", data, "--audit", "--erase", ALICE).exit_code == EXIT_USAGE


@pytest.mark.parametrize("option", ["--heartbeat-s", "--fit-radius-m", "--give-up-s"])
def test_a_range_does_not_take_what_is_no_number(option: str) -> None:
    done = CliRunner().invoke(main, ["watch", "4711", option, "nan"])
    assert (done.exit_code, "is not a number" in done.stderr) == (EXIT_USAGE, True)
