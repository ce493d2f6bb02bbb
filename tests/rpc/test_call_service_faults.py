"""Live calls when the world is not as it should be: clocks, crowds, deaf watchers, journals that hang, servers that go."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from locsvc.calls import wakes
from locsvc.calls.journal import Journal
from locsvc.calls.words import CallRecord
from locsvc.errors import Unavailable
from locsvc.rpc.server import LocationServer
from locsvc.rpc.settings import ServerSettings
from locsvc.v1 import call_pb2, estimate_pb2, reference_service_pb2
from locsvc.v1 import call_service_pb2 as messages
from tests.rpc.test_service import details, failure
from tests.rpc.watching import NUMBER, Caller, adding, fix, read, wait_until

Running = Any
Start = Callable[..., Awaitable[Any]]
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
T = TypeVar("T")


# What the world does


async def test_clocks_that_are_ahead_count_as_now(caller: Caller) -> None:
    began = time.time()
    ahead = began + 3_600.0
    await caller.add(fix("ahead", at=ahead), call_id="c-1", started_at=ahead)
    await caller.add(fix("behind", north=0.0001, at=time.time() - 5.0), call_id="c-1")
    answer = await caller.get("c-1")
    now_us = time.time() * 1e6
    assert answer.call.started_at.ToMicroseconds() <= now_us
    assert answer.call.evidence[0].observed_at == answer.changes[0].changed_at
    assert answer.call.evidence[1].observed_at.ToMicroseconds() < now_us - 4e6
    told = await caller.watch("c-1").revision(2)
    assert told.estimate.estimated_at.ToMicroseconds() <= now_us
    assert 0.0 <= told.outlook.elapsed_s <= time.time() - began


async def test_evidence_out_of_order_gives_the_answer_of_its_order(caller: Caller) -> None:
    now = time.time()
    pieces = [fix(f"p{i}", north=1e-4 * i, radius_m=40.0, at=now - 30.0 + 5.0 * i) for i in range(5)]
    for piece in pieces:
        await caller.add(piece, call_id="in-order")
    for piece in reversed(pieces):
        await caller.add(piece, call_id="reversed")
    first, second = [(await caller.end(c)).estimate for c in ("in-order", "reversed")]
    assert first.radius_m == pytest.approx(second.radius_m, rel=0.01)
    assert first.position.latitude_deg == pytest.approx(second.position.latitude_deg, abs=1e-5)


async def test_ten_thousand_pieces_for_one_call(caller: Caller) -> None:
    seen = caller.watch("c-1", heartbeat_s=60.0)
    for part in range(10):
        pieces = [fix(f"p{part}-{i}", north=1e-7 * (1000 * part + i)) for i in range(1000)]
        kept = await caller.add(*pieces, call_id="c-1")
        assert kept.added == 1000
    # One more than the adds where the watch came first and opened the call.
    told = await seen.revision(kept.revision)
    assert len(seen.evidence_ids) == len(set(seen.evidence_ids)) == 10_000
    (left_out,) = [w for w in told.estimate.warnings if w.field == "evidence"]
    assert "9000 older pieces" in left_out.message
    assert {c.evidence_id for c in told.estimate.contributions} <= {f"p9-{i}" for i in range(1000)}
    answer = await caller.get("c-1")
    assert len(answer.call.evidence) == 10_000


async def test_a_watcher_that_does_not_read_holds_up_nobody(live: Running, caller: Caller) -> None:
    channel = grpc.aio.insecure_channel(
        live.target, [("grpc.http2.bdp_probe", 0), ("grpc.use_local_subchannel_pool", 1)]
    )
    # Wide messages: some of them fill what a connection takes from a server whose client does not read.
    await caller.add(*(fix(f"p{i}-{'x' * 100}", north=1e-7 * i) for i in range(200)), call_id="c-1")
    deaf = Caller(channel).stub.WatchLocation(messages.WatchLocationRequest(call_id="c-1"))
    told = [await read_one(deaf)]
    seen = caller.watch("c-1")
    count = 40
    for i in range(count):
        kept = await caller.add(fix(f"q{i}", north=0.001 + 1e-7 * i), call_id="c-1")
        await seen.revision(kept.revision)
    assert len(seen.revisions) > count / 2
    # It reads again: what was under way, and then the newest, with all that it has not been told.
    while told[-1].revision < count + 1:
        told.append(await read_one(deaf))
    revisions = [t.revision for t in told if not t.provisional]
    assert revisions == sorted(set(revisions))
    assert len(revisions) < len(seen.revisions) / 2, "messages were not heaped up for it"
    names = [name for t in told if not t.provisional for name in t.evidence_ids]
    assert len(names) == len(set(names)) == 200 + count
    await channel.close()


async def test_without_datasets_it_answers_from_what_is_said(start: Start, journal: Path) -> None:
    caller = Caller((await start(ServerSettings(journal=str(journal), deadline_s=600.0))).channel)
    cell = call_pb2.Evidence(evidence_id="cell")
    cell.cell_scan.serving.CopyFrom(
        call_pb2.CellMeasurement(radio=call_pb2.RADIO_LTE, mcc="001", mnc="01", area=1101, cell=1049859)
    )
    await caller.add(cell, call_id="c-1")
    seen = caller.watch("c-1")
    told = await seen.revision(1)
    assert estimate_pb2.WARNING_CODE_DEGRADED_DATASET in {w.code for w in told.estimate.warnings}
    await caller.add(fix("gps"), call_id="c-1")
    assert (await seen.revision(2)).estimate.outcome == estimate_pb2.OUTCOME_LOCATED


async def read_one(
    stream: grpc.aio.UnaryStreamCall[Any, messages.WatchLocationResponse],
) -> messages.WatchLocationResponse:
    """The next message of a stream."""
    told = await asyncio.wait_for(stream.read(), 20)
    assert isinstance(told, messages.WatchLocationResponse)
    return told


# A journal that is slow or down


class Lock:
    """Holds the write lock of a SQLite journal, as a disk does that hangs."""

    def __init__(self, journal: Path) -> None:
        self._connection = sqlite3.connect(journal, isolation_level=None, check_same_thread=False)

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._connection.rollback()
        self._connection.close()


async def test_while_the_journal_hangs_answers_come_from_memory_and_it_catches_up(
    caller: Caller, journal: Path
) -> None:
    await caller.add(fix("cell", radius_m=3_000.0), call_id="c-1", number=NUMBER)
    seen = caller.watch("c-1")
    first = await seen.revision(1)
    with Lock(journal):
        adding_ = [
            asyncio.ensure_future(caller.add(fix("gps", radius_m=20.0), call_id="c-1")),
            asyncio.ensure_future(caller.add(fix("aml", radius_m=10.0), number=NUMBER)),
        ]
        await seen.until(lambda s: any(set(u.evidence_ids) == {"gps", "aml"} for u in s.updates))
        guess = seen.updates[-1]
        assert guess.provisional
        assert guess.revision == 1
        assert estimate_pb2.WARNING_CODE_NOT_KEPT in {w.code for w in guess.estimate.warnings}
        assert guess.estimate.radius_m < first.estimate.radius_m / 10
        assert not any(a.done() for a in adding_), "nothing is acknowledged that is not on disk"
    kept = await asyncio.gather(*adding_)
    assert sorted(k.revision for k in kept) == [2, 3]
    last = await seen.revision(3)
    assert not last.provisional
    assert estimate_pb2.WARNING_CODE_NOT_KEPT not in {w.code for w in last.estimate.warnings}
    assert seen.evidence_ids == ["cell", "gps", "aml"]
    answer = await caller.get("c-1")
    assert all(w.code != estimate_pb2.WARNING_CODE_NOT_KEPT for e in answer.estimates for w in e.warnings), (
        "what was provisional is not journalled"
    )


async def test_a_call_that_begins_while_the_journal_hangs_is_answered(caller: Caller, journal: Path) -> None:
    with Lock(journal):
        seen = caller.watch("c-1", calling_number=NUMBER)
        await seen.until(lambda s: s.updates)
        assert seen.updates[0].provisional
        assert seen.updates[0].revision == 0
        kept = asyncio.ensure_future(caller.add(fix("gps"), number=NUMBER))
        other = asyncio.ensure_future(caller.add(fix("wifi", north=0.0001), call_id="c-1"))
        await seen.until(lambda s: "wifi" in s.updates[-1].evidence_ids)
    assert (await other).added == 1
    assert (await kept).call_id == "c-1"
    await seen.until(lambda s: sorted(s.evidence_ids) == ["gps", "wifi"])


async def test_health_tells_of_a_journal_that_is_down(live: Running, caller: Caller, journal: Path) -> None:
    health = health_pb2_grpc.HealthStub(live.channel)

    async def state(name: str) -> int:
        return int((await health.Check(health_pb2.HealthCheckRequest(service=name))).status)

    assert await state("locsvc.calls.journal") == SERVING
    assert await state("locsvc.v1.CallService") == SERVING
    with Lock(journal):
        waiting = asyncio.ensure_future(caller.add(fix(), call_id="c-1"))
        await wait_until(lambda: state("locsvc.calls.journal"), lambda s: s == NOT_SERVING)
        assert await state("locsvc.v1.CallService") == SERVING
        assert await state("") == SERVING
    await waiting
    await wait_until(lambda: state("locsvc.calls.journal"), lambda s: s == SERVING)


async def test_a_client_that_gave_up_finds_its_evidence_kept(caller: Caller, journal: Path) -> None:
    await caller.add(fix("a"), call_id="c-1")
    seen = caller.watch("c-1")
    await seen.revision(1)
    with Lock(journal):
        given_up = caller.stub.AddEvidence(adding(fix("b", north=0.001), call_id="c-1"), timeout=600)
        # Before the server has it, however slow the machine, there is nothing to keep.
        await seen.until(lambda s: "b" in s.updates[-1].evidence_ids)
        given_up.cancel()
        assert await given_up.code() is grpc.StatusCode.CANCELLED
    again = await caller.add(fix("b", north=0.001), call_id="c-1")
    assert (again.added, again.duplicates, again.revision) == (0, 1, 2)


async def test_a_journal_that_cannot_be_reached_at_the_start_holds_up_live_calls_only(
    start: Start, imported_town: Path
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    served = await start(ServerSettings(data=imported_town, journal=nowhere))
    health = health_pb2_grpc.HealthStub(served.channel)
    for name, expected in (
        ("", SERVING),
        ("locsvc.v1.CallService", NOT_SERVING),
        ("locsvc.calls.journal", NOT_SERVING),
    ):
        assert (await health.Check(health_pb2.HealthCheckRequest(service=name))).status == expected
    error = await failure(Caller(served.channel).add(fix(), call_id="c-1"))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert "journal" in str(error.details())


# Several servers


async def test_evidence_to_one_server_wakes_watchers_of_another(
    start: Start, imported_town: Path, journal: Path
) -> None:
    # No revision of the deadline, however slow the machine.
    settings = ServerSettings(data=imported_town, journal=str(journal), deadline_s=600.0)
    one, other = [Caller((await start(settings)).channel) for _ in range(2)]
    here = one.watch("c-1", calling_number=NUMBER)
    # Had the other opened the call, its number would be a revision of its own.
    await here.revision(1)
    there = other.watch("c-1")
    await there.revision(1)
    for i in range(10):
        kept = await (one if i % 2 else other).add(fix(f"p{i}", north=1e-5 * i), number=NUMBER)
        assert kept.call_id == "c-1"
        told = await asyncio.gather(here.revision(kept.revision), there.revision(kept.revision))
        assert told[0].estimate == told[1].estimate, "the same answer, whoever computes it"
    both = [(one if i % 2 else other).add(fix(f"q{i}", north=0.001 + 1e-6 * i), call_id="c-1") for i in range(40)]
    await asyncio.gather(*both)
    await one.end("c-1")
    for seen in (here, there):
        await seen.end()
        assert seen.revisions == sorted(set(seen.revisions))
        assert seen.revisions[-1] == 52
        assert len(seen.evidence_ids) == len(set(seen.evidence_ids)) == 50


async def test_a_stream_ends_at_the_drain_with_where_to_go_on_and_goes_on_elsewhere(
    start: Start, journal: Path
) -> None:
    settings = ServerSettings(journal=str(journal), deadline_s=600.0)
    first, second = await start(settings), await start(settings)
    caller, other = Caller(first.channel), Caller(second.channel)
    await caller.add(fix("a"), call_id="c-1")
    seen = caller.watch("c-1")
    await seen.revision(1)
    await first.server.stop()
    await seen.end()
    assert seen.error is not None
    assert seen.error.code() is grpc.StatusCode.UNAVAILABLE
    assert "after_revision=1" in str(seen.error.details())
    assert details(seen.error)["ErrorInfo"].metadata["after_revision"] == "1"
    await other.add(fix("b", north=0.001), call_id="c-1")
    told = await other.watch("c-1", after_revision=1).revision(2)
    assert list(told.evidence_ids) == ["b"]


async def test_a_call_is_read_back_after_a_restart(start: Start, journal: Path) -> None:
    settings = ServerSettings(journal=str(journal), deadline_s=600.0)
    first = await start(settings)
    caller = Caller(first.channel)
    await caller.add(fix("a"), call_id="c-1", number=NUMBER)
    before = await caller.watch("c-1").revision(1)
    await first.server.stop()
    second = Caller((await start(settings)).channel)
    again = await second.watch("c-1").revision(1)
    assert again == before
    assert (await second.add(fix("b", north=0.001), number=NUMBER)).call_id == "c-1"


async def test_an_erased_call_is_forgotten(caller: Caller, journal: Path) -> None:
    await caller.add(fix("a"), call_id="c-1", number=NUMBER)
    seen = caller.watch("c-1")
    await seen.revision(1)
    async with read(journal) as opened:
        assert await asyncio.to_thread(opened.erase, NUMBER, "test", time.time()) == 1
    await seen.end()
    assert seen.error is not None
    assert seen.error.code() is grpc.StatusCode.NOT_FOUND
    assert (await failure(caller.get("c-1"))).code() is grpc.StatusCode.NOT_FOUND


async def test_a_call_that_was_erased_and_opened_anew_is_told_to_who_knew_more_of_it(
    caller: Caller, journal: Path
) -> None:
    for name in "abc":
        await caller.add(fix(name, north=0.001 * ord(name)), call_id="c-1", number=NUMBER)
    seen = caller.watch("c-1")
    await seen.revision(3)
    async with read(journal) as opened:
        assert await asyncio.to_thread(opened.erase, NUMBER, "test", time.time()) == 1
    await seen.end()
    await caller.add(fix("new"), call_id="c-1", number=NUMBER)
    again = caller.watch("c-1", after_revision=3)
    told = await again.revision(1)
    assert (told.revision, list(told.evidence_ids)) == (1, ["new"])


async def test_a_server_that_lags_waits_for_the_revision_that_its_watcher_has(
    start: Start, imported_town: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Neither hears of the other: what one has written the other finds when it is asked for it.
    monkeypatch.setattr(wakes.Wakes, "_hear", lambda *_: None)
    settings = ServerSettings(data=imported_town, journal=str(journal), deadline_s=600.0)
    one, other = [Caller((await start(settings)).channel) for _ in range(2)]
    await one.add(fix("a"), call_id="c-1")
    await other.watch("c-1").revision(1)
    for name in "bc":
        await one.add(fix(name, north=0.001 * ord(name)), call_id="c-1")
    seen = other.watch("c-1", after_revision=3, heartbeat_s=0.1)
    await seen.until(lambda s: len(s.heartbeats) >= 5)
    assert (seen.kept, {beat.revision for beat in seen.heartbeats}) == ([], {3})
    await other.add(fix("d", north=0.2), call_id="c-1")
    told = await seen.revision(4)
    assert (told.revision, list(told.evidence_ids)) == (4, ["d"])


async def test_while_the_journal_cannot_be_read_nothing_is_taken_for_unknown(
    start: Start, imported_town: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = await start(ServerSettings(data=imported_town, journal=str(journal), deadline_s=600.0))
    caller = Caller(live.channel)
    await caller.add(fix("a"), call_id="c-1")
    await caller.watch("c-1").revision(1)
    record, tries = Journal.record, 0

    def unreadable(self: Journal, call_id: str, after_revision: int = 0) -> CallRecord | None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise Unavailable("down")
        return record(self, call_id, after_revision)

    monkeypatch.setattr(Journal, "record", unreadable)
    seen = caller.watch("c-1", after_revision=7)
    assert (await seen.revision(1)).revision == 1
    assert tries == 4


async def test_a_call_whose_erasure_was_not_heard_of_is_forgotten_at_its_deadline(start: Start, tmp_path: Path) -> None:
    erased, deadline_s = False, 1.0
    while not erased:
        journal = tmp_path / f"{deadline_s}.sqlite"
        live = await start(ServerSettings(journal=str(journal), deadline_s=deadline_s))
        caller = Caller(live.channel)
        await caller.add(fix("a"), call_id="c-1")
        seen = caller.watch("c-1")
        await seen.revision(1)
        erased = erase_unheard(journal)
        # On a slow machine the deadline may have come first.
        deadline_s *= 4.0
    await seen.end()
    assert seen.error is not None
    assert seen.error.code() is grpc.StatusCode.NOT_FOUND


def erase_unheard(journal: Path) -> bool:
    """Delete all calls, and tell nobody; False when there is more than one revision already."""
    with contextlib.closing(sqlite3.connect(journal, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        (revisions,) = other.execute("SELECT count(*) FROM changes").fetchone()
        for table in ("changes", "evidence", "estimates", "calls") if revisions == 1 else ():
            other.execute(f"DELETE FROM {table}")
        other.execute("COMMIT")
    return bool(revisions == 1)


async def test_look_ups_are_audited(live: Running, caller: Caller, journal: Path) -> None:
    await caller.add(fix("a"), call_id="c-1", number=NUMBER)
    await caller.watch("c-1", calling_number=NUMBER).revision(1)
    await caller.get("c-1")
    await caller.end("c-1")  # it tells the last estimate
    await live.reference.LookupLine(reference_service_pb2.LookupLineRequest(number="+441632960124"))
    async with read(journal) as opened:
        found = await wait_until(lambda: asyncio.to_thread(opened.audit), lambda looks: len(looks) == 4)
    assert [look.method for look in found] == ["LookupLine", "EndCall", "GetCall", "WatchLocation"]
    assert [look.call_id for look in found] == ["", "c-1", "c-1", "c-1"]
    assert all(look.who.startswith("ipv4:127.0.0.1") for look in found)
    assert all(NUMBER not in look.calling_number for look in found)
    assert found[3].calling_number


async def test_what_is_old_is_removed(start: Start, journal: Path) -> None:
    first = await start(ServerSettings(journal=str(journal)))
    caller = Caller(first.channel)
    await caller.add(fix("a"), call_id="ended")
    await caller.end("ended")
    await caller.add(fix("a"), call_id="live")
    await first.server.stop()
    server = LocationServer(ServerSettings(port=0, drain_s=0.0, journal=str(journal), keep_days=0.0))
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{await server.listen()}")
    await server.load()
    second = Caller(channel)

    async def code() -> grpc.StatusCode:
        call = second.stub.GetCall(messages.GetCallRequest(call_id="ended"))
        return await call.code()

    await wait_until(code, lambda found: found is grpc.StatusCode.NOT_FOUND)
    assert (await second.get("live")).changes
    async with read(journal) as opened:
        looks = await asyncio.to_thread(opened.audit)
    assert ("retention (--keep-days)", "purge (calls: 1)") in [(look.who, look.method) for look in looks]
    await channel.close()
    await server.stop()
