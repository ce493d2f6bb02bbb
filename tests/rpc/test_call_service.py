"""Live calls over a real connection, on a real journal: what is told to whom, in order, once, whatever happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from locsvc.calls.arrivals import Arrivals
from locsvc.calls.considered import call_at, with_warnings
from locsvc.calls.sources import HANDSET
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver
from locsvc.rpc.convert.replies import read_estimate
from locsvc.rpc.settings import ServerSettings
from locsvc.v1 import call_pb2, estimate_pb2
from locsvc.v1 import call_service_pb2 as messages
from tests.rpc.test_service import details, failure
from tests.rpc.watching import NUMBER, Caller, adding, fix, read, wait_until

Running = Any
Start = Callable[..., Awaitable[Any]]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
T = TypeVar("T")


# What is told


async def test_each_change_is_told_with_what_made_it(caller: Caller) -> None:
    seen = caller.watch("c-1", calling_number=NUMBER)
    first = await seen.revision(1)
    assert (first.kind, list(first.evidence_ids)) == (messages.CHANGE_KIND_OPENED, [])
    assert first.estimate.outcome != estimate_pb2.OUTCOME_UNSPECIFIED
    kept = await caller.add(fix("gps", radius_m=20.0), fix(radius_m=400.0), call_id="c-1")
    assert (kept.call_id, kept.added, kept.duplicates, kept.revision) == ("c-1", 2, 0, 2)
    assert kept.evidence_ids[0] == "gps"
    assert kept.evidence_ids[1]
    told = await seen.revision(2)
    assert (told.kind, list(told.evidence_ids)) == (messages.CHANGE_KIND_EVIDENCE, list(kept.evidence_ids))
    assert "device report gps" in told.change
    assert told.estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    assert told.estimate.radius_m < first.estimate.radius_m
    assert {c.evidence_id for c in told.estimate.contributions} >= set(kept.evidence_ids)
    assert told.estimate.estimated_at == told.changed_at, "an estimate is for the time of its revision"
    assert told.outlook.elapsed_s >= 0.0
    assert not told.provisional
    last = await caller.end("c-1")
    await seen.end()
    assert seen.error is None
    assert seen.revisions == [1, 2, 3]
    assert seen.kept[-1].kind == messages.CHANGE_KIND_ENDED
    assert last.estimate == seen.kept[-1].estimate


async def test_a_watcher_gets_the_confidence_and_the_radius_that_it_asks_for(caller: Caller) -> None:
    await caller.add(fix(radius_m=30.0), call_id="c-1")
    wide = await caller.watch("c-1", confidence=0.99, fit_radius_m=50_000.0).revision(1)
    usual = await caller.watch("c-1").revision(1)
    tight = await caller.watch("c-1", fit_radius_m=1.0).revision(1)
    assert (wide.estimate.confidence, usual.estimate.confidence) == (0.99, 0.9)
    assert wide.estimate.radius_m > usual.estimate.radius_m
    assert wide.outlook.fit_to_dispatch
    assert (wide.outlook.fit_radius_m, usual.outlook.fit_radius_m, tight.outlook.fit_radius_m) == (50_000.0, 50.0, 1.0)
    assert not tight.outlook.fit_to_dispatch
    assert tight.outlook.unfit_because


async def test_a_late_watcher_gets_one_message_with_all_that_came_before(caller: Caller) -> None:
    for name in "abc":
        await caller.add(fix(name, north=0.001 * ord(name)), call_id="c-1")
    seen = caller.watch("c-1")
    told = await seen.revision(3)
    assert seen.revisions == [3]
    assert list(told.evidence_ids) == ["a", "b", "c"]


async def test_it_resumes_from_a_revision(caller: Caller) -> None:
    for name in "abc":
        await caller.add(fix(name, north=0.001 * ord(name)), call_id="c-1")
    told = await caller.watch("c-1", after_revision=2).revision(3)
    assert list(told.evidence_ids) == ["c"]
    up_to_date = caller.watch("c-1", after_revision=3, heartbeat_s=0.1)
    await up_to_date.until(lambda seen: len(seen.heartbeats) >= 2)
    assert not up_to_date.kept
    beat = up_to_date.heartbeats[0]
    assert (beat.revision, beat.kind, beat.change, beat.HasField("estimate")) == (3, 0, "", False)
    await caller.add(fix("d"), call_id="c-1")
    assert list((await up_to_date.revision(4)).evidence_ids) == ["d"]


async def test_a_revision_that_never_was_is_answered_with_what_there_is(caller: Caller) -> None:
    for name in "ab":
        await caller.add(fix(name, north=0.001 * ord(name)), call_id="c-1")
    seen = caller.watch("c-1", after_revision=9)
    told = await seen.revision(1)
    assert (told.revision, list(told.evidence_ids)) == (2, ["a", "b"])
    assert told.estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    await caller.add(fix("c"), call_id="c-1")
    assert list((await seen.revision(3)).evidence_ids) == ["c"]
    # A call that nobody knows yet is opened, and told; one that has ended is told with its end.
    opened = await caller.watch("c-2", after_revision=9).revision(1)
    assert (opened.revision, opened.kind) == (1, messages.CHANGE_KIND_OPENED)
    await caller.end("c-1")
    over = await caller.watch("c-1", after_revision=9).end()
    assert (over.error, over.revisions) == (None, [4])
    assert over.kept[0].kind == messages.CHANGE_KIND_ENDED


async def test_revisions_rise_and_no_piece_is_told_twice_or_never(caller: Caller) -> None:
    watchers = [caller.watch("c-1", confidence=c) for c in (0.5, 0.9, 0.9, 0.99)]
    await watchers[0].revision(1)
    names = [f"p{i}" for i in range(60)]
    kept = await asyncio.gather(*(caller.add(fix(n, north=1e-5 * i), call_id="c-1") for i, n in enumerate(names)))
    assert sorted(k.revision for k in kept) == list(range(2, 62))
    await caller.end("c-1")
    for seen in watchers:
        await seen.end()
        assert seen.revisions == sorted(set(seen.revisions))
        assert seen.revisions[-1] == 62
        assert sorted(seen.evidence_ids) == sorted(names)


async def test_estimates_are_those_of_the_evidence_up_to_their_revision(
    caller: Caller, journal: Path, imported_town: Path
) -> None:
    seen = caller.watch("c-1", calling_number=NUMBER)
    for i in range(4):
        await seen.revision(i + 1)
        await caller.add(fix(north=1e-4 * i, radius_m=300.0 / (i + 1)), call_id="c-1")
    await seen.revision(5)
    await caller.end("c-1")
    await seen.end()
    town = Resolver(Reference.open(imported_town))
    async with read(journal) as opened:
        record = opened.record("c-1")
        assert record is not None
        for update in seen.kept:
            call, warnings = call_at(record, update.revision)
            at = record.changes[update.revision - 1].at
            (estimate,) = town.resolve([call], as_of=[at])
            assert read_estimate(update.estimate) == with_warnings(estimate, warnings)
        answer = await caller.get("c-1")
        assert list(answer.estimate_revisions) == seen.revisions
        assert list(answer.estimates) == [u.estimate for u in seen.kept]


# By number


async def test_evidence_that_comes_before_its_call_is_found_when_it_comes(caller: Caller) -> None:
    early = await caller.add(fix("aml"), number=NUMBER)
    assert (early.call_id, early.added, early.revision) == ("", 1, 0)
    seen = caller.watch("c-1", calling_number=NUMBER)
    told = await seen.until(lambda s: "aml" in s.evidence_ids)
    last = told.kept[-1]
    assert last.kind == messages.CHANGE_KIND_MATCHED
    assert "before the call" in last.change
    assert last.estimate.outcome == estimate_pb2.OUTCOME_LOCATED
    again = await caller.add(fix("aml"), number=NUMBER)
    assert (again.call_id, again.added, again.duplicates) == ("c-1", 0, 1)


async def test_evidence_by_number_finds_its_call(caller: Caller) -> None:
    await caller.add(fix("cell", radius_m=2_000.0), call_id="c-1", number=NUMBER)
    seen = caller.watch("c-1")
    before = await seen.revision(1)
    kept = await caller.add(fix("aml", radius_m=15.0), number=NUMBER)
    assert (kept.call_id, kept.revision) == ("c-1", 2)
    assert (await seen.revision(2)).estimate.radius_m < before.estimate.radius_m
    other = await caller.add(fix("aml"), number="+441632960002")
    assert other.call_id == ""


async def test_a_call_that_gets_its_number_later_finds_what_waits(caller: Caller) -> None:
    seen = caller.watch("c-1")
    await seen.revision(1)
    await caller.add(fix("aml"), number=NUMBER)
    numbered = caller.watch("c-1", calling_number=NUMBER)
    for watcher in (seen, numbered):
        await watcher.until(lambda s: "aml" in s.evidence_ids)
    assert (await caller.get("c-1")).call.calling_number == NUMBER


async def test_a_raw_message_finds_its_call_by_number_and_counts(caller: Caller) -> None:
    await caller.add(fix("cell", radius_m=5_000.0), call_id="c-1", number=NUMBER)
    seen = caller.watch("c-1")
    before = await seen.revision(1)
    text = time.strftime(
        'A"ML=1;lt=+54.97710;lg=+2.57130;rd=12;top=%Y%m%d%H%M%S;lc=90;pm=G;si=001010123456789;ei=352099001761481;'
        "mcc=001;mnc=01;ml=128",
        time.gmtime(),
    )
    piece = call_pb2.Evidence()
    piece.device_report.raw.format = "aml"
    piece.device_report.raw.bytes = text.encode()
    kept = await caller.add(piece, number=NUMBER)
    assert kept.call_id == "c-1"
    told = await seen.revision(2)
    assert "aml message" in told.change
    assert told.estimate.radius_m < before.estimate.radius_m / 10


async def test_a_fix_that_a_message_says_is_old_does_not_count_as_new(caller: Caller) -> None:
    def message(age_s: float) -> call_pb2.Evidence:
        text = time.strftime(
            'A"ML=1;lt=+54.97710;lg=+2.57130;rd=12;top=%Y%m%d%H%M%S;lc=90;pm=G;si=001010123456789;ei=352099001761481;'
            "mcc=001;mnc=01;ml=128",
            time.gmtime(time.time() - age_s),
        )
        piece = call_pb2.Evidence()
        piece.device_report.raw.format, piece.device_report.raw.bytes = "aml", text.encode()
        return piece

    old = message(1_200.0)
    await caller.add(old, call_id="old")
    await caller.add(message(0.0), call_id="new")
    remembered, fresh = await caller.watch("old").revision(1), await caller.watch("new").revision(1)
    assert remembered.estimate.radius_m > 100.0 * fresh.estimate.radius_m
    assert (remembered.outlook.fit_to_dispatch, fresh.outlook.fit_to_dispatch) == (False, True)
    stands = (await caller.get("old")).call.evidence[0]
    assert 1_199.0 < time.time() - stands.observed_at.ToMicroseconds() / 1e6 < 1_260.0
    assert (await caller.add(old, call_id="old")).duplicates == 1
    # Neither a clock that is ahead nor a message without a time, nor one that says nothing, is of another time.
    nothing = call_pb2.Evidence()
    nothing.device_report.raw.format, nothing.device_report.raw.bytes = "aml", b"no message"
    await caller.add(message(-3_600.0), call_id="ahead")
    await caller.add(nothing, call_id="no")
    for call_id in ("ahead", "no"):
        answer = await caller.get(call_id)
        assert answer.call.evidence[0].observed_at == answer.changes[0].changed_at
    # Many are read beside the loop.
    await caller.add(*(message(float(age)) for age in range(1_000, 1_200)), call_id="many")
    ages_s = [time.time() - e.observed_at.ToMicroseconds() / 1e6 for e in (await caller.get("many")).call.evidence]
    assert min(ages_s) > 999.0


async def test_a_storm_of_one_number_is_one_call(caller: Caller) -> None:
    await caller.add(fix("first"), call_id="c-1", number=NUMBER)
    seen = caller.watch("c-1")
    count = 300
    kept = await asyncio.gather(*(caller.add(fix(f"s{i}", north=1e-6 * (i + 1)), number=NUMBER) for i in range(count)))
    assert {k.call_id for k in kept} == {"c-1"}
    assert sorted(k.revision for k in kept) == list(range(2, count + 2))
    await seen.revision(count + 1)
    assert sorted(seen.evidence_ids) == sorted(["first", *(f"s{i}" for i in range(count))])


# Repeats


async def test_a_piece_with_a_known_name_is_ignored(caller: Caller) -> None:
    first = await caller.add(fix("gps"), call_id="c-1")
    again = await caller.add(fix("gps", north=0.5), fix("new", north=0.001), call_id="c-1")
    assert (again.added, again.duplicates, again.revision) == (1, 1, first.revision + 1)
    third = await caller.add(fix("gps"), call_id="c-1")
    assert (third.added, third.duplicates, third.revision) == (0, 1, again.revision)
    answer = await caller.get("c-1")
    assert [e.evidence_id for e in answer.call.evidence] == ["gps", "new"]
    assert answer.call.evidence[0].device_report == fix().device_report


async def test_a_piece_that_says_the_same_is_a_repeat_under_the_name_it_has(caller: Caller) -> None:
    at = time.time() - 1.0
    first = await caller.add(fix(at=at), call_id="c-1")
    again = await caller.add(fix(at=at), fix("other-name", at=at), call_id="c-1")
    assert (again.added, again.duplicates, again.revision) == (0, 2, first.revision)
    assert set(again.evidence_ids) == set(first.evidence_ids)


async def test_the_same_request_many_times_at_once_is_kept_once(caller: Caller) -> None:
    at = time.time()
    kept = await asyncio.gather(
        *(caller.add(fix("gps", at=at), fix(at=at, north=0.01), call_id="c-1") for _ in range(20))
    )
    assert sum(k.added for k in kept) == 2
    assert sum(k.duplicates for k in kept) == 38
    assert len({tuple(k.evidence_ids) for k in kept}) == 1
    assert len((await caller.get("c-1")).changes) == 1


# The deadline


async def test_at_the_deadline_a_revision_says_the_best_known(start: Start, journal: Path) -> None:
    first = await start(ServerSettings(journal=str(journal), deadline_s=1.0))
    second = await start(ServerSettings(journal=str(journal), deadline_s=1.0))
    caller, other = Caller(first.channel), Caller(second.channel)
    await caller.add(fix("gps"), call_id="c-1")
    watchers = [caller.watch("c-1"), other.watch("c-1"), caller.watch("silent")]
    for seen in watchers:
        await seen.until(lambda s: any(u.kind == messages.CHANGE_KIND_DEADLINE for u in s.kept))
        told = seen.kept[-1]
        assert told.revision == 2
        assert "deadline" in told.change
        assert 1.0 <= told.outlook.elapsed_s < 1.5
        assert told.changed_at.ToMicroseconds() >= told.outlook.deadline_at.ToMicroseconds()
    assert watchers[2].kept[-1].estimate.outcome == estimate_pb2.OUTCOME_NO_LOCATION
    # The handset's fix came a second ago: the less likely it is by now that another one follows.
    again = Arrivals.default().of(HANDSET).again.share
    for seen in watchers[:2]:
        chances = {one.source: one.chance for one in seen.kept[-1].outlook.awaited}
        assert 0.5 * again < chances[HANDSET] < again
    await asyncio.sleep(0.2)
    assert [c.kind for c in (await caller.get("c-1")).changes] == [
        messages.CHANGE_KIND_EVIDENCE,
        messages.CHANGE_KIND_DEADLINE,
    ], "told once, though two servers had the call"


async def test_a_deadline_that_was_missed_is_told_at_the_next_start(start: Start, journal: Path) -> None:
    first = await start(ServerSettings(journal=str(journal), deadline_s=1.0))
    caller = Caller(first.channel)
    await caller.add(fix("gps"), call_id="c-1")
    await caller.add(fix("gps"), call_id="ended")
    await caller.end("ended")
    await first.server.stop()
    await asyncio.sleep(1.2)
    second = Caller((await start(ServerSettings(journal=str(journal), deadline_s=1.0))).channel)
    await wait_until(lambda: second.get("c-1"), lambda call: len(call.changes) == 2)
    assert (await second.get("c-1")).changes[-1].kind == messages.CHANGE_KIND_DEADLINE
    assert [c.kind for c in (await second.get("ended")).changes][-1] == messages.CHANGE_KIND_ENDED


# Reading and ending


async def test_get_call_gives_all_that_arrived_and_every_estimate(caller: Caller) -> None:
    started_at = time.time() - 3.0
    await caller.add(fix("a"), call_id="c-1", number=NUMBER, started_at=started_at)
    await caller.add(fix("b", north=0.001), call_id="c-1")
    ended = await caller.end("c-1")
    answer = await caller.get("c-1")
    assert (answer.call.call_id, answer.call.calling_number) == ("c-1", NUMBER)
    assert answer.call.started_at.ToMicroseconds() == round(started_at * 1e6)
    assert [e.evidence_id for e in answer.call.evidence] == ["a", "b"]
    assert [c.revision for c in answer.changes] == [1, 2, 3]
    assert [list(c.evidence_ids) for c in answer.changes] == [["a"], ["b"], []]
    assert answer.changes[2].kind == messages.CHANGE_KIND_ENDED
    assert answer.ended_at == answer.changes[2].changed_at
    assert answer.estimate_revisions[-1] == 3
    assert answer.estimates[-1] == ended.estimate


async def test_evidence_after_the_end_makes_a_revision_and_the_call_stays_ended(caller: Caller) -> None:
    await caller.add(fix("a"), call_id="c-1")
    first = await caller.end("c-1")
    again = await caller.end("c-1")
    assert again.estimate == first.estimate
    kept = await caller.add(fix("b", north=0.001), call_id="c-1")
    assert (kept.added, kept.revision) == (1, 3)
    seen = await caller.watch("c-1", after_revision=1).end()
    assert seen.error is None
    assert seen.revisions == [3]
    assert seen.kept[0].kind == messages.CHANGE_KIND_ENDED
    assert seen.evidence_ids == ["b"]
    over = await caller.watch("c-1", after_revision=3).end()
    assert (over.error, over.kept) == (None, [])
    assert (await caller.get("c-1")).HasField("ended_at")


async def test_unknown_calls_are_not_found(caller: Caller) -> None:
    for answer in (caller.get("nobody"), caller.end("nobody")):
        error = await failure(answer)
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert details(error)["ErrorInfo"].reason == "NOT_FOUND"


def evidence_with_faults() -> Message:
    request = adding(fix("x" * 129), fix("ok"), call_id="c" * 129, number="0123", started_at=1.0)
    request.evidence[1].device_report.confidence = 68.0
    request.started_at.nanos = -1
    return request


WRONG: list[tuple[str, Message, set[str]]] = [
    ("AddEvidence", messages.AddEvidenceRequest(), {"call_id", "evidence"}),
    ("AddEvidence", adding(*[fix()] * 1001, call_id="c"), {"evidence"}),
    (
        "AddEvidence",
        evidence_with_faults(),
        {
            "call_id",
            "calling_number",
            "started_at",
            "evidence[0].evidence_id",
            "evidence[1].device_report.confidence",
        },
    ),
    ("WatchLocation", messages.WatchLocationRequest(), {"call_id"}),
    (
        "WatchLocation",
        messages.WatchLocationRequest(
            call_id="c", after_revision=-1, confidence=90.0, calling_number="x", fit_radius_m=0.5
        ),
        {"after_revision", "confidence", "calling_number", "fit_radius_m"},
    ),
    ("WatchLocation", messages.WatchLocationRequest(call_id="c", fit_radius_m=float("nan")), {"fit_radius_m"}),
    ("GetCall", messages.GetCallRequest(), {"call_id"}),
    ("EndCall", messages.EndCallRequest(call_id="x" * 129), {"call_id"}),
]


@pytest.mark.parametrize(("method", "request_", "fields"), WRONG)
async def test_every_wrong_field_is_named(caller: Caller, method: str, request_: Message, fields: set[str]) -> None:
    answer = getattr(caller.stub, method)(request_)
    error = await failure(anext(aiter(answer)) if method == "WatchLocation" else answer)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert {v.field for v in details(error)["BadRequest"].field_violations} == fields


@pytest.mark.parametrize("seconds", [0.0, 0.05, 3_601.0])
async def test_heartbeats_out_of_range_are_refused(caller: Caller, seconds: float) -> None:
    seen = await caller.watch("c-1", heartbeat_s=seconds).end()
    assert seen.error is not None
    assert [v.field for v in details(seen.error)["BadRequest"].field_violations] == ["heartbeat"]


async def test_bytes_that_are_no_message_are_a_bad_request(live: Running) -> None:
    for method in ("AddEvidence", "GetCall", "EndCall"):
        error = await failure(live.channel.unary_unary(f"/locsvc.v1.CallService/{method}")(b"\xff"))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    error = await failure(anext(aiter(live.channel.unary_stream("/locsvc.v1.CallService/WatchLocation")(b"\xff"))))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
