"""Each process hears of what the others have changed, whether or not their wakes arrive."""

from __future__ import annotations

import queue
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from locsvc.calls import wakes
from locsvc.calls.bells import in_messages, out_of_message
from locsvc.calls.journal import Journal
from locsvc.calls.words import Arrival
from tests.calls.pieces import NOON, NUMBER, PATIENCE_S, Opener, fix, keep

Heard = queue.SimpleQueue[tuple[str, int]]


def listener() -> tuple[Heard, Callable[[str, int], None]]:
    heard: Heard = queue.SimpleQueue()
    return heard, lambda call_id, revision: heard.put((call_id, revision))


def deafen(monkeypatch: pytest.MonkeyPatch, journal: Journal) -> None:
    """Wakes to this journal are lost."""
    bell = journal._wakes._bell
    wait = bell.wait
    monkeypatch.setattr(bell, "wait", lambda timeout_s: (wait(timeout_s), ())[1])


def test_a_change_wakes_the_others_and_not_oneself(url: str, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody looks for himself: only wakes are heard.
    monkeypatch.setattr(wakes, "LOOK_EVERY_S", 3600.0)
    (own, hear_own), (first, hear_first), (second, hear_second) = listener(), listener(), listener()
    writer = opened(url, hear_own)
    opened(url, hear_first)
    opened(url, hear_second)
    keep(writer, fix(1), call="c-1")
    keep(writer, fix(2), call="c-2")
    for heard in (first, second):
        assert [heard.get(timeout=PATIENCE_S) for _ in range(2)] == [("c-1", 1), ("c-2", 1)]
    assert own.empty()


def test_a_lost_wake_is_found_by_looking(url: str, opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "LOOK_EVERY_S", 0.1)
    heard, hear = listener()
    writer = opened(url)
    keep(writer, fix(0), call="before")
    reader = opened(url, hear)
    deafen(monkeypatch, reader)
    keep(writer, fix(1), call="c-1")
    keep(writer, fix(2), call="c-1")
    keep(writer, fix(1), call="c-2")
    told: dict[str, int] = {}
    while told != {"c-1": 2, "c-2": 1}:
        call_id, revision = heard.get(timeout=PATIENCE_S)
        # Each revision once, and nothing that was there before.
        assert told.get(call_id, 0) < revision
        told[call_id] = revision
    journal_own = keep(reader, fix(9), call="c-9")
    assert journal_own.revision == 1
    with pytest.raises(queue.Empty):
        heard.get(timeout=0.5)


def test_the_newest_of_an_erased_call_hides_no_later_change(
    url: str, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakes, "LOOK_EVERY_S", 0.1)
    heard, hear = listener()
    writer, reader = opened(url), opened(url, hear)
    deafen(monkeypatch, reader)
    for revision in range(5):
        keep(writer, fix(revision), call="c-1", number=NUMBER)
    while heard.get(timeout=PATIENCE_S) != ("c-1", 5):
        pass
    writer.erase(NUMBER, "me", NOON)
    keep(writer, fix(1), call="c-2")
    assert heard.get(timeout=PATIENCE_S) == ("c-2", 1)


def test_erasure_is_told_to_all_oneself_too(url: str, opened: Opener) -> None:
    (own, hear_own), (other, hear_other) = listener(), listener()
    writer = opened(url, hear_own)
    opened(url, hear_other)
    keep(writer, fix(1), call="c-1", number=NUMBER)
    assert other.get(timeout=PATIENCE_S) == ("c-1", 1)
    assert writer.erase(NUMBER, "me", NOON) == 1
    assert other.get(timeout=PATIENCE_S) == ("c-1", 0)
    assert own.get(timeout=PATIENCE_S) == ("c-1", 0)
    # The name may come again, and counts from one.
    assert keep(writer, fix(1), call="c-1").revision == 1
    assert other.get(timeout=PATIENCE_S) == ("c-1", 1)


def test_a_thousand_calls_in_one_transaction(url: str, opened: Opener) -> None:
    heard, hear = listener()
    writer = opened(url)
    opened(url, hear)
    calls = [f"{'é' * 100}-{count}" for count in range(900)]
    with writer._writer._changed:
        futures = [writer.add(Arrival((fix(1),), NOON, call)) for call in calls]
    for future in futures:
        future.result(PATIENCE_S)
    assert {heard.get(timeout=PATIENCE_S)[0] for _ in calls} == set(calls)


def test_a_fault_where_it_is_told_costs_that_word_only(url: str, opened: Opener) -> None:
    heard, hear = listener()

    def faulty(call_id: str, revision: int) -> None:
        if call_id == "bad":
            raise LookupError(call_id)
        hear(call_id, revision)

    writer = opened(url)
    with structlog.testing.capture_logs() as logs:
        opened(url, faulty)
        calls = ["bad", "c-1", "c-2"]
        with writer._writer._changed:
            futures = [writer.add(Arrival((fix(1),), NOON, call)) for call in calls]
        for future in futures:
            future.result(PATIENCE_S)
        assert {heard.get(timeout=PATIENCE_S)[0] for _ in range(2)} == {"c-1", "c-2"}
        keep(writer, fix(2), call="c-1")
        assert heard.get(timeout=PATIENCE_S) == ("c-1", 2)
    assert [(log["event"], log["error"]) for log in logs] == [("fault", "LookupError")]


@pytest.mark.parametrize("part", ["bell", "look"])
def test_a_fault_of_one_way_leaves_the_other(
    url: str, opened: Opener, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(wakes, "LOOK_EVERY_S", 0.1)
    heard, hear = listener()
    faults = queue.SimpleQueue[None]()

    def faulty(*_: object) -> None:
        faults.put(None)
        raise LookupError

    writer, reader = opened(url), opened(url, hear)
    with structlog.testing.capture_logs() as logs:
        if part == "bell":
            monkeypatch.setattr(reader._wakes._bell, "wait", faulty)
        else:
            monkeypatch.setattr(reader._wakes, "_look", faulty)
        for _ in range(2):
            faults.get(timeout=PATIENCE_S)
        keep(writer, fix(1), call="c-1")
        assert heard.get(timeout=PATIENCE_S) == ("c-1", 1)
    assert {(log["event"], log["error"]) for log in logs} == {("fault", "LookupError")}


def test_sockets_in_a_deep_directory_and_those_of_the_dead(tmp_path: Path, opened: Opener) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    heard, hear = listener()
    writer = opened(deep / "calls.sqlite")
    opened(deep / "calls.sqlite", hear)
    directory = deep / "calls.sqlite.wakes"
    # One that was killed leaves its socket behind.
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    dead.bind(f"/proc/self/fd/{writer._wakes._bell._handle}/4711-dead")  # type: ignore[attr-defined]
    dead.close()
    assert len(list(directory.iterdir())) == 3
    keep(writer, fix(1), call="c-1")
    assert heard.get(timeout=PATIENCE_S) == ("c-1", 1)
    keep(writer, fix(2), call="c-1")
    assert heard.get(timeout=PATIENCE_S) == ("c-1", 2)
    assert not (directory / "4711-dead").exists()
    assert directory.stat().st_mode & 0o777 == 0o700


def test_messages_are_short_and_hold_everything() -> None:
    changed = [(f"{count}{'𝄞' * 100}", count) for count in range(500)]
    messages = list(in_messages(changed))
    assert max(len(message.encode()) for message in messages) < 8000
    assert [one for message in messages for one in out_of_message(message)] == changed
    assert out_of_message("nonsense") == out_of_message("[1]") == []
