"""Nothing that was acknowledged is lost: not by killed processes, full disks, locked files, stopped servers."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg
import pytest

from locsvc.calls import sqlite
from locsvc.calls.journal import Journal
from locsvc.calls.postgres import _lock_key
from locsvc.calls.words import Arrival, Kept, LookUp
from locsvc.errors import Unavailable
from tests.calls.pieces import NOON, NUMBER, PATIENCE_S, Opener, fix, keep
from tests.postgres import Cluster

SENDER = Path(__file__).with_name("sender.py")
KILLS = 20


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def kept_pieces(journal: Journal) -> dict[tuple[str, str], int]:
    """Call and name of each piece, and the revision that brought it; revisions have no gap."""
    found: dict[tuple[str, str], int] = {}
    for record in journal.arrivals(None):
        assert [change.revision for change in record.changes] == list(range(1, record.revision + 1))
        for change in record.changes:
            for piece in change.evidence:
                assert (record.call_id, piece.evidence_id) not in found
                found[record.call_id, piece.evidence_id] = change.revision
    return found


def senders(url: str, names: list[str]) -> list[subprocess.Popen[bytes]]:
    environment = os.environ | {"PYTHONPATH": str(SENDER.parents[2])}
    return [
        subprocess.Popen([sys.executable, SENDER, url, name], stdout=subprocess.PIPE, env=environment) for name in names
    ]


def test_what_was_acknowledged_outlives_kills(url: str, opened: Opener, rng: np.random.Generator) -> None:
    acknowledged: list[tuple[str, str, int]] = []
    names = (f"s{count}" for count in itertools.count())
    # Some at a time, of which the first is killed and another started; at last all at once.
    running = senders(url, [next(names) for _ in range(4)])
    for _ in range(KILLS - 1):
        # The newer ones may still be starting.
        acknowledged += [parsed(process.stdout.readline()) for process in running[:2] if process.stdout is not None]
        time.sleep(float(rng.uniform(0.0, 0.1)))
        acknowledged += killed(running.pop(0))
        running += senders(url, [next(names)])
    for process in running:
        process.kill()
    for process in running:
        acknowledged += killed(process)
    found = kept_pieces(opened(url))
    assert len(acknowledged) > KILLS
    lost = [one for one in acknowledged if found.get(one[:2]) != one[2]]
    assert not lost


def parsed(line: bytes) -> tuple[str, str, int]:
    call_id, name, revision = line.decode().split()
    return call_id, name, int(revision)


def killed(process: subprocess.Popen[bytes]) -> list[tuple[str, str, int]]:
    process.kill()
    return [parsed(line) for line in process.communicate()[0].splitlines()]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    directory = tmp_path / "small"
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small disk, and not in every container; a limit on files is tested besides")
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def filled(journal: Journal) -> list[tuple[Future[Kept], str]]:
    """Pieces that were sent until the disk was full, and some more."""
    sent: list[tuple[Future[Kept], str]] = []
    end = time.monotonic() + PATIENCE_S
    for count in itertools.count():
        name = f"p-{count}"
        future = journal.add(Arrival((fix(count, name),), NOON, f"c-{count % 3}"))
        sent.append((future, name))
        if not journal.state.healthy:
            return [*sent, *((journal.add(Arrival((fix(-1 - n, f"q-{n}"),), NOON, "c-0")), f"q-{n}") for n in range(9))]
        assert time.monotonic() < end
        if count % 50 == 0:
            time.sleep(0.01)
    raise AssertionError


def test_a_full_disk_delays_and_loses_nothing(small_disk: Path, opened: Opener) -> None:
    journal = opened(small_disk / "calls.sqlite")
    (small_disk / "ballast").write_bytes(bytes(14 << 20))
    sent = filled(journal)
    state = journal.state
    assert (state.healthy, state.unkept > 0) == (False, True)
    assert "full" in state.last_error or "I/O" in state.last_error
    # What was acknowledged is there while the disk is full, too.
    kept = kept_pieces(journal)
    assert {name for future, name in sent if future.done()} <= {name for _, name in kept}
    assert len(kept) < len(sent)
    (small_disk / "ballast").unlink()
    for future, _ in sent:
        assert future.result(PATIENCE_S).added == 1
    assert journal.state.healthy
    assert journal.state.unkept == 0
    assert {name for _, name in kept_pieces(journal)} == {name for _, name in sent}


def test_a_limit_on_files_delays_and_loses_nothing(tmp_path: Path, opened: Opener) -> None:
    journal = opened(tmp_path / "calls.sqlite")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
        sent = filled(journal)
        assert not journal.state.healthy
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    for future, _ in sent:
        assert future.result(PATIENCE_S).added == 1
    assert {name for _, name in kept_pieces(journal)} == {name for _, name in sent}


def test_a_locked_file_delays(tmp_path: Path, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_LOCKED_S", 0.05)
    journal = opened(tmp_path / "calls.sqlite")
    with closing(sqlite3.connect(tmp_path / "calls.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        future = journal.add(Arrival((fix(1),), NOON, "c-1"))
        until(lambda: not journal.state.healthy)
        assert "locked" in journal.state.last_error
        assert not future.done()
        # Reads go on.
        assert journal.record("c-1") is None
        other.execute("ROLLBACK")
        assert future.result(PATIENCE_S).revision == 1
    assert journal.state.healthy


def test_a_writer_that_hangs_is_not_healthy(tmp_path: Path, opened: Opener) -> None:
    journal = opened(tmp_path / "calls.sqlite")
    with closing(sqlite3.connect(tmp_path / "calls.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        future = journal.add(Arrival((fix(1),), NOON, "c-1"))
        # Before the lock's patience of two seconds ends.
        until(lambda: not journal.state.healthy)
        assert journal.state.last_error == ""
        other.execute("ROLLBACK")
    assert future.result(PATIENCE_S).revision == 1


def test_what_cannot_be_kept_is_counted_at_the_end(tmp_path: Path, opened: Opener) -> None:
    journal = opened(tmp_path / "calls.sqlite")
    keep(journal, fix(0), call="c-1")
    with closing(sqlite3.connect(tmp_path / "calls.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        futures = [journal.add(Arrival((fix(count),), NOON, "c-1")) for count in range(1, 6)]
        assert journal.close(timeout_s=0.2) == 5
    for future in futures:
        with pytest.raises(Unavailable, match="closed before this could be kept"):
            future.result(PATIENCE_S)
    # And they are not: what was under way has been taken back.
    journal._writer._thread.join(PATIENCE_S)
    assert kept_pieces(opened(tmp_path / "calls.sqlite")) == {("c-1", "evidence-1"): 1}


@pytest.mark.parametrize(("how", "times"), [("stop", 3), ("kill", 1)])
def test_a_server_that_goes_and_comes_loses_nothing(postgres: Cluster, opened: Opener, how: str, times: int) -> None:
    url = postgres.database()
    journals = [opened(url), opened(url)]
    sent: list[tuple[Future[Kept], str]] = []
    ended = threading.Event()

    def send() -> None:
        for count in itertools.count():
            if ended.is_set():
                return
            future = journals[count % 2].add(Arrival((fix(count, f"p-{count}"),), NOON, f"c-{count % 5}"))
            sent.append((future, f"p-{count}"))
            time.sleep(0.002)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for _ in range(times):
            time.sleep(0.2)
            getattr(postgres, how)()
            until(lambda: not any(journal.state.healthy for journal in journals))
            with pytest.raises(Unavailable):
                journals[0].record("c-1")
            postgres.start()
            until(lambda: all(journal.state.healthy for journal in journals))
    finally:
        ended.set()
        sender.join()
        if not any(journal.state.healthy for journal in journals):
            postgres.start()
    # One whose answer was lost with the server is found to be a repeat: kept all the same.
    names = [future.result(PATIENCE_S).evidence_ids for future, _ in sent]
    assert names == [(name,) for _, name in sent]
    assert {name for _, name in kept_pieces(journals[0])} == {name for _, name in sent}
    assert all(journal.state.unkept == 0 for journal in journals)


def test_wakes_come_again_after_the_server(postgres: Cluster, opened: Opener) -> None:
    url = postgres.database()
    heard: list[tuple[str, int]] = []
    writer = opened(url)
    opened(url, lambda call_id, revision: heard.append((call_id, revision)))
    postgres.stop()
    future = writer.add(Arrival((fix(1),), NOON, "c-1"))
    writer.look(LookUp(NOON, "desk", "GetCall", "c-1", NUMBER))
    time.sleep(0.3)
    postgres.start()
    future.result(PATIENCE_S)
    until(lambda: ("c-1", 1) in heard)
    for revision in range(2, 5):
        assert keep(writer, fix(revision), call="c-1").revision == revision
        until(lambda revision=revision: ("c-1", revision) in heard)  # type: ignore[misc]
    # Notes wait as well.
    until(lambda: len(writer.audit()) == 1)


def test_a_client_that_stands_still_between_two_messages_is_ended_by_those_who_wait(
    postgres: Cluster, opened: Opener
) -> None:
    url = postgres.database()
    journal = opened(url)
    keep(journal, fix(0), call="c-1")
    # Its own end, when it finds that it was ended, is no matter here.
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url) as other, other.pipeline():
        # The lock is taken, and the message that would end the statement never comes.
        other.execute("SELECT pg_advisory_xact_lock(%s)", (_lock_key("call", "c-1"),))
        other.pgconn.send_flush_request()
        other.pgconn.flush()
        with psycopg.connect(url, autocommit=True) as asking:
            held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            until(lambda: asking.execute(held).fetchone() == (1,))
        began_s = time.monotonic()
        assert keep(journal, fix(1), call="c-1").revision == 2
        assert time.monotonic() - began_s > 1.0, "there was nothing to wait for"


def test_a_host_that_stands_still_holds_up_nobody_for_long(postgres: Cluster, opened: Opener) -> None:
    url = postgres.database()
    journal = opened(url)
    keep(journal, fix(0), call="c-1")
    (still,) = senders(url, ["still"])
    assert still.stdout is not None
    still.stdout.readline()
    # In most of these moments it has a transaction open, and its calls locked.
    for _ in range(5):
        still.send_signal(19)
        kept = [journal.add(Arrival((fix(number),), NOON, f"c-{number}")) for number in range(7)]
        for future in kept:
            future.result(PATIENCE_S)
        still.send_signal(18)
        time.sleep(0.03)
    still.kill()
    still.communicate()
