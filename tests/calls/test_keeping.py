"""What is forgotten is gone, who looked is known, and nobody else may read."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from locsvc import model
from locsvc.calls import keeping
from locsvc.calls.journal import Journal
from locsvc.calls.words import Given, LookUp
from locsvc.errors import ConfigError, Unavailable
from tests.calls.pieces import NOON, NUMBER, OTHER, PATIENCE_S, Opener, fix, keep
from tests.postgres import Cluster


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def answer(call: str) -> model.LocationEstimate:
    return model.LocationEstimate(model.Outcome.NO_LOCATION, call, 0.9)


def rows(journal: Journal) -> dict[str, int]:
    import sqlalchemy as sa

    from locsvc.calls.schema import metadata

    with journal._database.engine.connect() as connection:
        return {
            table.name: int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)
            for table in metadata.sorted_tables
        }


def test_erasure_leaves_nothing_of_a_number_and_all_of_others(journal: Journal) -> None:
    for call, number in (("c-1", NUMBER), ("c-2", NUMBER), ("c-3", OTHER)):
        keep(journal, fix(1), fix(2), call=call, number=number, at=NOON)
        journal.give(Given(call, 1, NOON, answer(call)))
    until(lambda: len(journal.given("c-3")) == len(journal.given("c-1")) == 1)
    keep(journal, fix(1), number=NUMBER, at=NOON + 9000)
    keep(journal, fix(1), number=OTHER, at=NOON + 9000)
    assert journal.erase(NUMBER, "the officer", NOON + 1) == 2
    assert journal.record("c-1") is None
    assert journal.given("c-1") == []
    left = rows(journal)
    assert left.pop("settings") == 3
    assert left == {"calls": 1, "changes": 1, "evidence": 2, "estimates": 1, "waiting": 1, "look_ups": 1}
    # What is given for it now comes too late.
    journal.give(Given("c-1", 1, NOON, answer("c-1")))
    journal.give(Given("c-3", 1, NOON + 1, answer("c-3")))
    until(lambda: journal.given("c-3")[0].at == NOON + 1)
    assert journal.given("c-1") == []
    assert journal.erase(NUMBER, "the officer", NOON + 2) == 0


def test_what_was_erased_is_not_in_the_files(tmp_path: Path, opened: Opener) -> None:
    file = tmp_path / "calls.sqlite"
    journal = opened(file)
    secret = model.Evidence(model.LineLookup(record=model.LineRecord(provider="OnlyOfThisCaller")), "s")
    keep(journal, fix(1), secret, call="c-1", number=NUMBER)
    keep(journal, secret, number=NUMBER, at=NOON + 9000)
    keep(journal, fix(1), call="c-2", number=OTHER)

    def stands(words: str) -> bool:
        return any(words.encode() in path.read_bytes() for path in tmp_path.glob("calls.sqlite*") if path.is_file())

    assert stands("OnlyOfThisCaller")
    assert stands(NUMBER)
    journal.erase(NUMBER, "me", NOON)
    assert not stands("OnlyOfThisCaller")
    assert not stands(NUMBER)
    assert stands(OTHER)


def test_who_reads_meanwhile_does_not_keep_what_was_erased(tmp_path: Path, opened: Opener) -> None:
    file = tmp_path / "calls.sqlite"
    journal = opened(file)
    keep(journal, fix(1), call="c-1", number=NUMBER)
    journal._database._forgets = True  # type: ignore[attr-defined]
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM calls").fetchall()
        journal._database.tidy()
        assert (tmp_path / "calls.sqlite-wal").stat().st_size > 0
    until(lambda: (tmp_path / "calls.sqlite-wal").stat().st_size == 0)


def test_what_another_process_could_not_take_out_of_the_log_is_taken_later(tmp_path: Path, opened: Opener) -> None:
    file = tmp_path / "calls.sqlite"
    server = opened(file)
    keep(server, fix(1), call="c-1", number=NUMBER)
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM calls").fetchone()
        other = opened(file)
        assert other.erase(NUMBER, "test", NOON) == 1
        other.close()
        assert NUMBER.encode() in (tmp_path / "calls.sqlite-wal").read_bytes(), "the reader holds it"
    until(lambda: NUMBER.encode() not in (tmp_path / "calls.sqlite-wal").read_bytes())


def test_the_log_is_moved_into_the_file_beside_those_who_write(tmp_path: Path, opened: Opener) -> None:
    file = tmp_path / "calls.sqlite"
    journal = opened(file)
    before = file.stat().st_size
    for part in range(3):
        keep(journal, *(fix(1000 * part + number) for number in range(1000)), call="c-1")
    until(lambda: file.stat().st_size > before + 500_000)


def test_purge_takes_what_ended_and_what_waited_too_long(journal: Journal) -> None:
    for count in range(250):
        journal.open_call(f"old-{count}", "", None, NOON).add_done_callback(lambda _: None)
        journal.end(f"old-{count}", NOON + 10)
    keep(journal, fix(1), call="old-0")
    journal.open_call("long", "", None, NOON).result(PATIENCE_S)
    journal.open_call("new", "", None, NOON).result(PATIENCE_S)
    journal.end("new", NOON + 500).result(PATIENCE_S)
    keep(journal, fix(1), number=NUMBER, at=NOON)
    keep(journal, fix(1), number=NUMBER, at=NOON + 500)
    assert journal.purge(NOON + 400, "the officer", NOON + 600) == 250
    left = rows(journal)
    assert (left["calls"], left["changes"], left["evidence"], left["waiting"]) == (2, 3, 0, 1)
    assert journal.purge(NOON + 400, "the officer", NOON + 700) == 0
    # By its parts one line, and none where nothing was old.
    (told,) = journal.audit()
    assert (told.at, told.who, told.method) == (NOON + 600, "the officer", "purge (calls: 250, waiting pieces: 1)")


def test_a_purge_that_is_cut_off_has_told_what_it_took(journal: Journal) -> None:
    for count in range(30):
        journal.open_call(f"old-{count}", "", None, NOON)
        journal.end(f"old-{count}", NOON + 10).add_done_callback(lambda _: None)
    until(lambda: not journal.state.unkept)
    with journal._database.writer() as connection:
        parts = keeping.purge(journal._database, connection, NOON + 400, "the officer", NOON + 600)
        gone = len(next(parts))
        del parts
    assert 0 < gone < 30
    assert [look.method for look in journal.audit()] == [f"purge (calls: {gone})"]


def test_purge_takes_calls_that_nobody_ended_a_day_after_their_last_change(journal: Journal) -> None:
    day_s = 86_400.0
    keep(journal, fix(1), call="silent", at=NOON)
    keep(journal, fix(1), call="long", at=NOON)
    keep(journal, fix(2), call="long", at=NOON + day_s)
    assert journal.purge(NOON + day_s, "me", NOON) == 0
    assert journal.purge(NOON + day_s + 10, "me", NOON) == 1
    assert [call.call_id for call in journal.calls()] == ["long"]
    assert journal.purge(NOON + 2 * day_s + 10, "me", NOON) == 1
    assert rows(journal)["evidence"] == 0


def test_a_look_up_under_a_name_that_is_no_text_costs_no_other(url: str, opened: Opener) -> None:
    journal = opened(url)
    journal.look(LookUp(NOON, "desk-7", "GetCall", "c-1", NUMBER))
    journal.look(LookUp(NOON + 1, "desk\0", "WatchLocation", "c\0"))
    until(lambda: len(journal.audit()) == 2)
    assert journal.state.healthy
    assert [look.call_id for look in journal.audit()] == ["c\ufffd", "c-1"]


def test_estimates_never_crowd_out_who_looked(tmp_path: Path, opened: Opener) -> None:
    file = tmp_path / "calls.sqlite"
    journal = opened(file)
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")  # nothing can be written meanwhile
        journal.look(LookUp(NOON, "desk-7", "GetCall", "c-1", NUMBER))
        for revision in range(3_000):
            journal.give(Given("c-1", revision, NOON, answer("c-1")))
        journal.look(LookUp(NOON + 1, "desk-7", "GetCall", "c-2", NUMBER))
        other.rollback()
    until(lambda: len(journal.audit()) == 2)


def test_the_audit_names_no_numbers_but_tells_equal_ones(url: str, opened: Opener) -> None:
    journal = opened(url)
    for count, number in enumerate((NUMBER, "", OTHER, NUMBER)):
        journal.look(LookUp(NOON + count, "desk-7", "GetCall", f"c-{count}", number))
    until(lambda: len(journal.audit()) == 4)
    found = journal.audit()
    assert [look.call_id for look in found] == ["c-3", "c-2", "c-1", "c-0"]
    assert (found[0].who, found[0].method, found[0].at) == ("desk-7", "GetCall", NOON + 3)
    hashes = [look.calling_number for look in found]
    assert hashes[0] == hashes[3] != hashes[1]
    assert hashes[2] == ""
    assert NUMBER not in str(hashes)
    assert len(journal.audit(limit=2)) == 2
    journal.close()
    # The key stays with the journal.
    journal = opened(url)
    assert [look.calling_number for look in journal.audit()] == hashes


def test_nobody_else_may_read(tmp_path: Path, opened: Opener) -> None:
    journal = opened(tmp_path / "calls.sqlite")
    keep(journal, fix(1), call="c-1")
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    assert {path.name for path in files} == {"calls.sqlite", "calls.sqlite-wal", "calls.sqlite-shm"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_newer_journal_is_refused_and_left_alone(url: str, opened: Opener) -> None:
    import sqlalchemy as sa

    from locsvc.calls.schema import settings

    journal = opened(url)
    with journal._database.writer() as connection, journal._database.writing(connection):
        connection.execute(sa.update(settings).where(settings.c.name == "schema").values(value="99"))
    journal.close()
    with pytest.raises(ConfigError, match="schema 99, and this version of locsvc knows up to 1"):
        Journal.open(url)


def test_where_no_journal_can_be(tmp_path: Path) -> None:
    wrong: dict[str | Path, str] = {
        "mysql://here/x": "is no journal: give a path, sqlite:",
        "sqlite://": "no file for a journal",
        f"sqlite:///{tmp_path}": "no file for a journal",
        tmp_path / "nowhere" / "calls.sqlite": "there is no directory .*nowhere",
        "::nonsense://": "is no journal",
    }
    for place, words in wrong.items():
        with pytest.raises(ConfigError, match=words):
            Journal.open(place)
    other = tmp_path / "notes.txt"
    other.write_text("a shopping list, and no database\n" * 100, encoding="utf-8")
    with pytest.raises(ConfigError, match="another kind of file"):
        Journal.open(other)


def test_a_server_that_is_not_there_is_unavailable_and_its_password_unsaid(tmp_path: Path) -> None:
    url = f"postgresql://me:secret@/calls?host={tmp_path}"
    with pytest.raises(Unavailable, match="cannot be opened") as failed:
        Journal.open(url)
    assert "secret" not in str(failed.value)


def test_a_server_that_does_not_wait_for_its_disk_is_told_to(postgres: Cluster, opened: Opener) -> None:
    url = postgres.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET synchronous_commit = off")
    journal = opened(url)
    with journal._database.writer() as own:
        assert own.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_journal_that_is_closed_takes_nothing_more(journal: Journal) -> None:
    keep(journal, fix(1), call="c-1")
    assert journal.close() == 0
    assert journal.close() == 0
    with pytest.raises(Unavailable, match="closed"):
        keep(journal, fix(2), call="c-1")
