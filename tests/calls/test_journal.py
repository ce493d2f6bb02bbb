"""What the journal keeps, under which names and revisions, and which call it means."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from locsvc import model
from locsvc.calls import group, writer
from locsvc.calls.coding import Piece, estimate_bytes, estimate_of, evidence_of, piece_of
from locsvc.calls.journal import Journal
from locsvc.calls.wishes import Wish, weight_bytes
from locsvc.calls.words import Arrival, CallRecord, ChangeKind, Given, JournalState
from locsvc.errors import InvalidInput, LocsvcError, NotFound, Overloaded
from locsvc.formats import ranges
from locsvc.resolver import Resolver
from tests.calls.pieces import NOON, NUMBER, OTHER, PATIENCE_S, Opener, fix, keep, scan
from tests.strategies import evidences


def whole(journal: Journal, call: str) -> CallRecord:
    found = journal.record(call)
    assert found is not None
    return found


def kinds(record: CallRecord) -> list[str]:
    return [change.kind.name for change in record.changes]


def test_the_first_evidence_opens_the_call(journal: Journal) -> None:
    kept = keep(journal, fix(1, "sms"), scan(), call="c-1", number=NUMBER, started_at=NOON - 2.5)
    assert (kept.call_id, kept.revision, kept.added, kept.duplicates) == ("c-1", 1, 2, 0)
    assert kept.evidence_ids == ("sms", "evidence-2")
    record = whole(journal, "c-1")
    assert record == kept.record
    assert (record.calling_number, record.started_at, record.ended_at) == (NUMBER, NOON - 2.5, None)
    (change,) = record.changes
    assert (change.kind, change.at, change.calling_number) == (ChangeKind.EVIDENCE, NOON, NUMBER)
    assert [piece.evidence_id for piece in change.evidence] == ["sms", "evidence-2"]
    assert change.evidence[0] == replace(fix(1, "sms"), observed_at=NOON)


def test_revisions_rise_by_one_with_each_change(journal: Journal) -> None:
    revisions = [
        journal.open_call("c-1", "", None, NOON).result(PATIENCE_S).revision,
        keep(journal, fix(1), call="c-1", at=NOON + 1).revision,
        journal.open_call("c-1", "", None, NOON + 2).result(PATIENCE_S).revision,
        journal.tell_deadline("c-1", NOON + 20).result(PATIENCE_S).revision,
        journal.tell_deadline("c-1", NOON + 21).result(PATIENCE_S).revision,
        journal.end("c-1", NOON + 60).result(PATIENCE_S).revision,
        journal.end("c-1", NOON + 61).result(PATIENCE_S).revision,
        # The ambulance may still be under way.
        keep(journal, fix(2), call="c-1", at=NOON + 70).revision,
    ]
    assert revisions == [1, 2, 2, 3, 3, 4, 4, 5]
    record = whole(journal, "c-1")
    assert kinds(record) == ["OPENED", "EVIDENCE", "DEADLINE", "ENDED", "EVIDENCE"]
    assert [change.at - NOON for change in record.changes] == [0, 1, 20, 60, 70]
    assert (record.ended_at, record.deadline_told, record.revision) == (NOON + 60, True, 5)
    assert [change.revision for change in journal.record("c-1", 3).changes] == [4, 5]  # type: ignore[union-attr]


def test_an_ended_call_has_no_deadline_any_more(journal: Journal) -> None:
    journal.open_call("c-1", "", None, NOON).result(PATIENCE_S)
    journal.end("c-1", NOON + 5).result(PATIENCE_S)
    kept = journal.tell_deadline("c-1", NOON + 20).result(PATIENCE_S)
    assert kept.revision == 2
    assert kinds(whole(journal, "c-1")) == ["OPENED", "ENDED"]


def test_what_cannot_be_is_refused_and_costs_nothing_else(journal: Journal) -> None:
    with pytest.raises(NotFound, match="no call nobody"):
        journal.end("nobody", NOON).result(PATIENCE_S)
    with pytest.raises(NotFound):
        journal.tell_deadline("nobody", NOON).result(PATIENCE_S)
    wrong = {
        "call_id": Arrival((fix(),), NOON, "x" * 129),
        "calling_number": Arrival((fix(),), NOON, "", "0555"),
        "received_at": Arrival((fix(),), math.nan, "c-1"),
        "is required where there is no calling_number": Arrival((fix(),), NOON),
        r"evidence\[1\].evidence_id": Arrival((fix(1), fix(2, "a\0b")), NOON, "c-1"),
        r"evidence\[0\].evidence_id": Arrival((fix(1, "\ud800"),), NOON, "c-1"),
        r"evidence\[0\].observed_at": Arrival((fix(1, "a", math.inf),), NOON, "c-1"),
        "cannot be written": Arrival((model.Evidence(model.LineLookup(record="x")),), NOON, "c-1"),  # type: ignore[arg-type]
    }
    for field, arrival in wrong.items():
        with pytest.raises(InvalidInput, match=field):
            journal.add(arrival).result(PATIENCE_S)
    assert journal.record("c-1") is None
    assert keep(journal, fix(), call="c-1").revision == 1


def test_one_that_the_database_refuses_costs_itself_only(journal: Journal) -> None:
    # Behind the checks of the door: a time that no column takes, among others of one transaction.
    bad = Wish(ChangeKind.OPENED, None, "c-2")  # type: ignore[arg-type]
    with journal._writer._changed:
        before = journal.add(Arrival((fix(1),), NOON, "c-1"))
        refused = journal._writer.put(bad)
        after = [journal.add(Arrival((fix(2),), NOON, call)) for call in ("c-1", "c-3")]
    with pytest.raises(InvalidInput, match="the journal refuses it"):
        refused.result(PATIENCE_S)
    assert [before.result(PATIENCE_S).revision, *(one.result(PATIENCE_S).revision for one in after)] == [1, 2, 1]
    assert journal.record("c-2") is None
    assert journal.state == JournalState(healthy=True, unkept=0, last_error="")


def test_a_piece_that_is_known_by_name_or_by_its_words_is_a_repeat(journal: Journal) -> None:
    keep(journal, fix(1, "sms", NOON - 1), scan(), call="c-1")
    again = keep(journal, fix(1, "sms", NOON - 1), call="c-1", at=NOON + 1)
    assert (again.revision, again.added, again.duplicates, again.evidence_ids) == (1, 0, 1, ("sms",))
    assert again.record is not None
    assert again.record.changes == ()
    other_words = keep(journal, fix(2, "sms"), call="c-1", at=NOON + 2)
    assert (other_words.added, other_words.evidence_ids) == (0, ("sms",))
    other_name = keep(journal, fix(1, "https", NOON - 1), fix(3, "new"), call="c-1", at=NOON + 3)
    assert (other_name.added, other_name.duplicates, other_name.evidence_ids) == (1, 1, ("sms", "new"))
    # No time then and now: the sender said it twice. Another time: it saw it twice.
    assert keep(journal, scan(), call="c-1", at=NOON + 4).duplicates == 1
    assert keep(journal, replace(scan(), observed_at=NOON), call="c-1", at=NOON + 5).added == 1
    # Within one request too; and another call is another.
    assert keep(journal, fix(7), fix(7), call="c-2").evidence_ids == ("evidence-1", "evidence-1")
    assert keep(journal, fix(1, "sms", NOON - 1), call="c-2").added == 1


def test_no_name_is_given_twice(journal: Journal) -> None:
    keep(journal, fix(1, "evidence-2"), call="c-1")
    kept = keep(journal, fix(2), fix(3, "evidence-3"), fix(4), call="c-1")
    assert kept.added == 3
    names = [piece.evidence_id for change in whole(journal, "c-1").changes for piece in change.evidence]
    assert len(set(names)) == len(names) == 4
    assert names[0] == "evidence-2"
    assert names[1].startswith("evidence-2-")


def test_a_clock_that_is_ahead_is_not_believed(journal: Journal) -> None:
    kept = keep(journal, fix(1, "a", NOON + 90), fix(2, "b", NOON - 9), call="c-1", started_at=NOON + 600)
    assert kept.record is not None
    assert kept.record.started_at == NOON
    assert [piece.observed_at for piece in kept.record.changes[0].evidence] == [NOON, NOON - 9]


def test_evidence_by_number_goes_to_the_newest_call_of_the_window(journal: Journal) -> None:
    keep(journal, fix(1), call="old", number=NUMBER, at=NOON - 200)
    keep(journal, fix(1), call="new", number=NUMBER, at=NOON - 100)
    keep(journal, fix(1), call="other", number=OTHER, at=NOON)
    kept = keep(journal, fix(2, "aml"), number=NUMBER)
    assert (kept.call_id, kept.revision, kept.added) == ("new", 2, 1)
    assert kinds(whole(journal, "new")) == ["EVIDENCE", "EVIDENCE"]
    assert keep(journal, fix(2, "aml"), number=NUMBER, at=NOON + 1).duplicates == 1


@pytest.mark.parametrize(
    ("after_start_s", "ended", "found"),
    [(299, True, True), (301, True, False), (301, False, True), (3599, False, True), (3601, False, False)],
)
def test_the_window_of_a_number(journal: Journal, after_start_s: float, ended: bool, found: bool) -> None:
    journal.open_call("c-1", NUMBER, NOON, NOON).result(PATIENCE_S)
    if ended:
        journal.end("c-1", NOON + 100).result(PATIENCE_S)
    assert keep(journal, fix(1), number=NUMBER, at=NOON + after_start_s).call_id == ("c-1" if found else "")


def test_evidence_that_comes_first_waits_for_its_call(url: str, opened: Opener) -> None:
    journal = opened(url)
    early = keep(journal, fix(1, "sms", NOON - 60), fix(2), number=NUMBER, at=NOON - 50)
    assert (early.call_id, early.revision, early.added, early.record) == ("", 0, 2, None)
    again = keep(journal, fix(1, "sms", NOON - 60), fix(2), number=NUMBER, at=NOON - 40)
    assert (again.added, again.duplicates, again.evidence_ids) == (0, 2, early.evidence_ids)
    keep(journal, fix(3, "stale"), number=NUMBER, at=NOON - 301)
    keep(journal, fix(4, "stranger"), number=OTHER, at=NOON - 10)
    journal.close()

    # Safe on disk: another process opens the call.
    journal = opened(url)
    kept = journal.open_call("c-1", NUMBER, None, NOON).result(PATIENCE_S)
    assert kept.revision == 2
    record = whole(journal, "c-1")
    assert record == kept.record
    assert kinds(record) == ["OPENED", "MATCHED"]
    matched = record.changes[1]
    assert matched.at == NOON
    assert tuple(piece.evidence_id for piece in matched.evidence) == early.evidence_ids
    assert [piece.observed_at for piece in matched.evidence] == [NOON - 60, NOON - 50]
    # Once: a second call of the number finds nothing.
    assert journal.open_call("c-2", NUMBER, None, NOON + 1).result(PATIENCE_S).revision == 1


def test_evidence_waits_for_the_number_of_a_call_too(journal: Journal) -> None:
    keep(journal, fix(1), call="c-1", at=NOON - 5)
    keep(journal, fix(2, "aml"), number=NUMBER, at=NOON - 3)
    kept = journal.open_call("c-1", NUMBER, None, NOON).result(PATIENCE_S)
    assert kept.record is not None
    assert kinds(whole(journal, "c-1")) == ["EVIDENCE", "MATCHED"]
    assert [change.calling_number for change in whole(journal, "c-1").changes] == ["", NUMBER]
    # The first number stays.
    keep(journal, fix(5), call="c-1", number=OTHER)
    assert whole(journal, "c-1").calling_number == NUMBER


def test_a_number_alone_is_a_revision(journal: Journal) -> None:
    keep(journal, fix(1), call="c-1", at=NOON - 5)
    journal.open_call("c-1", NUMBER, None, NOON).result(PATIENCE_S)
    journal.open_call("c-1", NUMBER, None, NOON + 1).result(PATIENCE_S)
    assert [(c.kind.name, c.calling_number) for c in whole(journal, "c-1").changes] == [
        ("EVIDENCE", ""),
        ("OPENED", NUMBER),
    ]


def test_wishes_of_one_transaction_see_each_other(journal: Journal) -> None:
    # While the writer is held up they gather, and are written together.
    with journal._writer._changed:
        futures = [
            journal.add(Arrival((fix(1, "early"),), NOON - 1, "", NUMBER)),
            journal.add(Arrival((fix(1, "early"),), NOON - 1, "", NUMBER)),
            journal.open_call("c-1", NUMBER, None, NOON),
            journal.add(Arrival((fix(2),), NOON + 1, "", NUMBER)),
            journal.add(Arrival((fix(2),), NOON + 1, "c-1")),
            journal.end("c-1", NOON + 2),
            journal.add(Arrival((fix(3),), NOON + 400, "", NUMBER)),
        ]
    kept = [future.result(PATIENCE_S) for future in futures]
    assert [one.revision for one in kept] == [0, 0, 2, 3, 3, 4, 0]
    assert [one.added for one in kept] == [1, 0, 0, 1, 0, 0, 1]
    assert kinds(whole(journal, "c-1")) == ["OPENED", "MATCHED", "EVIDENCE", "ENDED"]


def test_two_processes_take_each_piece_once(url: str, opened: Opener) -> None:
    journals = [opened(url), opened(url)]
    with ThreadPoolExecutor(8) as threads:
        sent = [
            threads.submit(keep, journals[sender % 2], fix(number, f"p-{number}"), call=f"c-{number % 3}")
            for number in range(60)
            for sender in range(2)
        ]
        kept = [one.result() for one in sent]
    assert sum(one.added for one in kept) == 60
    for call in ("c-0", "c-1", "c-2"):
        record = whole(journals[0], call)
        assert [change.revision for change in record.changes] == list(range(1, 21))
        assert sum(len(change.evidence) for change in record.changes) == 20


def test_a_call_of_ten_thousand_pieces(journal: Journal) -> None:
    for part in range(10):
        keep(journal, *(fix(1000 * part + number) for number in range(1000)), call="c-1", at=NOON + part)
    kept = keep(journal, fix(7), fix(12345), call="c-1", at=NOON + 20)
    assert (kept.revision, kept.added, kept.duplicates) == (11, 1, 1)
    assert kept.evidence_ids == ("evidence-8", "evidence-10001")
    assert journal.calls()[0].pieces == 10_001
    (change,) = journal.record("c-1", 10).changes  # type: ignore[union-attr]
    assert change.evidence[0].evidence_id == "evidence-10001"
    assert len({p.evidence_id for c in whole(journal, "c-1").changes for p in c.evidence}) == 10_001


def test_a_crowd_that_waits_for_one_call(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if it were 30,000: more than can be asked for at once.
    monkeypatch.setattr(group, "_KEYS_AT_ONCE", 70)
    keep(journal, *(fix(count) for count in range(0, 300, 3)), call="c-1", at=NOON)
    for _ in range(2):
        keep(journal, *(fix(count) for count in range(300)), number=NUMBER, at=NOON)
    kept = journal.open_call("c-1", NUMBER, None, NOON + 1).result(PATIENCE_S)
    assert kept.record is not None
    assert [len(change.evidence) for change in kept.record.changes] == [200]
    assert keep(journal, *(fix(count) for count in range(300)), call="c-1").duplicates == 300


def test_a_storm_of_one_number(journal: Journal) -> None:
    futures = [journal.open_call(f"c-{count}", NUMBER, NOON + count / 10, NOON + count / 10) for count in range(500)]
    futures += [journal.add(Arrival((fix(count),), NOON + 50, "", NUMBER)) for count in range(500)]
    kept = [future.result(PATIENCE_S) for future in futures]
    assert {one.call_id for one in kept[500:]} == {"c-499"}
    assert whole(journal, "c-499").revision == 501


def test_beyond_its_bound_the_queue_is_full(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING", 3)
    with journal._writer._changed:
        first = journal.add(Arrival((fix(1), fix(2), fix(3)), NOON, "c-1"))
        second = journal.add(Arrival((fix(4),), NOON, "c-1"))
        assert journal.state.unkept == 1
    with pytest.raises(Overloaded, match="3 pieces wait"):
        second.result(PATIENCE_S)
    assert first.result(PATIENCE_S).added == 3
    assert keep(journal, fix(5), call="c-1").added == 1
    assert journal.state.unkept == 0


def test_long_pieces_fill_the_queue_by_their_bytes(journal: Journal) -> None:
    def long(count: int) -> tuple[model.Evidence, ...]:
        names = (f"{count}-{number}" for number in range(300))
        return tuple(
            model.Evidence(model.DeviceReport(raw=model.RawMessage("sip", name.encode() + b"x" * 65_000)), name)
            for name in names
        )

    with journal._writer._changed:
        taken = [journal.add(Arrival(long(count), NOON, "c-1")) for count in range(3)]
        refused = journal.add(Arrival(long(3), NOON, "c-1"))
        # A short one still has room.
        short = journal.add(Arrival((fix(1),), NOON, "c-2"))
    with pytest.raises(Overloaded, match="900 pieces wait for the journal already, 59 MB"):
        refused.result(PATIENCE_S)
    assert short.result(PATIENCE_S).added == 1
    assert [one.result(PATIENCE_S).added for one in taken] == [300, 300, 300]
    # What has been written makes room again.
    assert journal.add(Arrival(long(3), NOON, "c-1")).result(PATIENCE_S).added == 300


def test_what_lists_much_weighs_more() -> None:
    corner = model.LatLng(55.0, 2.5)
    area = model.Polygon((corner,) * 1_000)
    plain = weight_bytes(fix(1))
    assert plain == weight_bytes(scan()) == 1_000
    assert weight_bytes(model.Evidence(model.DeviceReport(area))) > 100 * plain
    assert weight_bytes(model.Evidence(model.DeviceReport(model.Prism(area, 0.0, 3.0)))) > 100 * plain
    cell = model.CellMeasurement(model.Radio.LTE)
    assert weight_bytes(model.Evidence(model.CellScan(cell, (cell,) * 64))) > 10 * plain


def test_the_largest_arrival_fits_where_nothing_waits() -> None:
    raw = model.RawMessage("sip", b"x" * ranges.MAX_RAW_BYTES)
    piece = model.Evidence(model.DeviceReport(raw=raw))
    assert ranges.MAX_EVIDENCE * weight_bytes(piece) <= writer.MOST_WAITING_BYTES


def test_a_fault_in_one_piece_costs_its_wish_only(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty(piece: model.Evidence, at: float) -> Piece:
        if piece.evidence_id == "bad":
            raise RecursionError(piece.evidence_id)
        return piece_of(piece, at)

    monkeypatch.setattr(writer, "piece_of", faulty)
    with structlog.testing.capture_logs() as logs:
        with journal._writer._changed:
            before = journal.add(Arrival((fix(1),), NOON, "c-1"))
            bad = journal.add(Arrival((fix(2), fix(3, "bad")), NOON, "c-1"))
            after = journal.add(Arrival((fix(4),), NOON, "c-1"))
        with pytest.raises(LocsvcError, match="in the server's log"):
            bad.result(PATIENCE_S)
    assert [one.result(PATIENCE_S).revision for one in (before, after)] == [1, 2]
    assert [(log["event"], log["error"]) for log in logs] == [("fault", "RecursionError")]
    assert journal.state == JournalState(healthy=True, unkept=0, last_error="")


def test_a_fault_in_one_estimate_costs_it_only(journal: Journal) -> None:
    journal.open_call("c-1", NUMBER, None, NOON).result(PATIENCE_S)
    estimate = model.LocationEstimate(model.Outcome.NO_LOCATION, "c-1", 0.9)
    journal.give(Given("c-1", 1, NOON, replace(estimate, region="none")))  # type: ignore[arg-type]
    journal.give(Given("c-1", 1, NOON, replace(estimate, estimated_at=math.nan, confidence=0.8)))
    journal.give(Given("c-1", 1, NOON, replace(estimate, confidence=0.7)))
    until = time.monotonic() + PATIENCE_S
    while not journal.given("c-1"):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert keep(journal, fix(1), call="c-1").revision == 2
    assert 0.7 in {one.estimate.confidence for one in journal.given("c-1")}


def test_a_future_cannot_be_cancelled(journal: Journal) -> None:
    future = journal.add(Arrival((fix(1),), NOON, "c-1"))
    assert not future.cancel()
    assert future.result(PATIENCE_S).revision == 1


def test_the_list_of_calls(journal: Journal) -> None:
    for count in range(5):
        number = NUMBER if count % 2 else OTHER
        journal.open_call(f"c-{count}", number, None, NOON + count).result(PATIENCE_S)
    journal.end("c-3", NOON + 9).result(PATIENCE_S)
    keep(journal, fix(1), scan(), call="c-4", at=NOON + 9)
    assert [call.call_id for call in journal.calls(limit=2)] == ["c-4", "c-3"]
    assert [call.call_id for call in journal.calls(calling_number=NUMBER)] == ["c-3", "c-1"]
    assert [call.call_id for call in journal.calls(since=NOON + 1, until=NOON + 3)] == ["c-2", "c-1"]
    assert "c-3" not in [call.call_id for call in journal.calls(live_only=True)]
    newest = journal.calls(limit=1)[0]
    assert (newest.calling_number, newest.revision, newest.pieces, newest.ended_at) == (OTHER, 2, 2, None)
    assert [call.call_id for call in journal.live(NOON + 2)] == ["c-2", "c-4"]
    assert all(call.changes == () for call in journal.live(NOON))
    assert [record.call_id for record in journal.arrivals(None)] == [f"c-{count}" for count in range(5)]
    assert [len(record.changes) for record in journal.arrivals(NOON + 3)] == [2, 2]


def test_estimates_come_back_to_the_last_bit(journal: Journal, town: Resolver) -> None:
    call = model.Call("c-1", NUMBER, NOON, (fix(1), scan()))
    (estimate,) = town.resolve([call])
    estimate = replace(estimate, estimated_at=NOON + 0.1234567)
    journal.open_call("c-1", NUMBER, None, NOON).result(PATIENCE_S)
    wide = replace(estimate, confidence=0.95)
    for one in (Given("c-1", 1, NOON, wide), Given("c-1", 1, NOON, replace(estimate, radius_m=1.0))):
        journal.give(one)
    journal.give(Given("c-1", 1, NOON + 1, estimate))
    journal.give(Given("nobody", 1, NOON, estimate))
    until = time.monotonic() + PATIENCE_S
    while len(found := journal.given("c-1")) < 2 or found[0].at != NOON + 1:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert found == [Given("c-1", 1, NOON + 1, estimate), Given("c-1", 1, NOON, wide)]
    assert journal.given("nobody") == []


@given(evidences, st.floats(0.0, 2e9))
def test_every_piece_comes_back_as_it_was(piece: model.Evidence, at: float) -> None:
    written = piece_of(piece, at)
    read = evidence_of(written.body, piece.evidence_id, written.evidence.observed_at or 0.0)
    assert read == written.evidence
    assert read.observed_at is not None
    assert read.observed_at <= at


@given(st.floats(1e8, 4e9))
def test_times_come_back_to_the_last_bit(time_s: float) -> None:
    dataset = model.DatasetVersion("cells", "cells", "1", built_at=time_s)
    estimate = model.LocationEstimate(model.Outcome.NO_LOCATION, "c", 0.9, estimated_at=time_s, datasets=(dataset,))
    assert estimate_of(estimate_bytes(estimate)) == estimate
    line = model.Evidence(model.LineLookup("", model.LineRecord("+15550100123", updated_at=time_s)), "l", "", time_s)
    written = piece_of(line, 5e9)
    assert evidence_of(written.body, "l", time_s) == line
