"""Live calls: what arrives goes to the journal, and the answer to it to all who watch.

The journal is the truth and memory a copy (docs/decisions/0017): a call here is what has been committed, by this
process or another, in the order of its revisions. All lives on one event loop; the journal is asked in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from locsvc.calls.answering import Answering, Resolve
from locsvc.calls.asked import GoingAway, LiveSettings, Watch, not_known
from locsvc.calls.copies import Answer, LiveCall, Unkept, Watcher
from locsvc.calls.crossing import Crossing
from locsvc.calls.faults import report
from locsvc.calls.outlook import Outlook, outlook_of
from locsvc.calls.shelf import Shelf
from locsvc.calls.words import ChangeKind, Given, Kept, Update
from locsvc.errors import LocsvcError, NotFound, Overloaded, Unavailable

if TYPE_CHECKING:
    from locsvc.calls.arrivals import Arrivals
    from locsvc.calls.journal import Journal
    from locsvc.calls.words import Arrival, CallRecord
    from locsvc.model import LocationEstimate

_Read = TypeVar("_Read")

# Threads that read the journal: what is read is small, and a journal that hangs must not take all threads there are.
READERS: Final = 4
# Between two tries of what the journal refuses for now.
FIRST_RETRY_S: Final = 0.05
LONGEST_RETRY_S: Final = 2.0
# A change of another process is heard of when it can be read, or very nearly: so often it is looked for.
LOOKS: Final = 20
# Deadlines that were missed are caught up with so many at a time.
CATCH_UP: Final = 64
SWEEP_S: Final = 5.0


@dataclass(slots=True, eq=False)
class _Wish:
    """What the journal was asked to keep, and the copy that counts it before it is kept."""

    call_id: str
    change: Unkept
    calling_number: str = ""
    late: asyncio.TimerHandle | None = None
    call: LiveCall | None = None


class LiveCalls:
    """The calls that this process has in memory; made and used on one event loop."""

    def __init__(
        self,
        journal: Journal,
        resolve: Resolve,
        arrivals: Arrivals,
        settings: LiveSettings,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.now = now
        self.journal = journal
        self._arrivals = arrivals
        self._settings = settings
        self._answering = Answering(resolve, journal.give, now)
        self._calls = Shelf(lambda call: self._spawn(self._tell_deadline(call)), settings.deadline_s, now)
        self._loop = asyncio.get_running_loop()
        self._crossing = Crossing(self._loop)
        self._readers = ThreadPoolExecutor(READERS, "journal-read")
        self._catching_up = asyncio.Semaphore(CATCH_UP)
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False

    async def start(self) -> None:
        """Follow the other processes, and take up the calls whose deadline is ahead or was missed.

        Raises
        ------
        Unavailable
            When the journal cannot be read.
        """
        since = self.now() - max(3_600.0, 2.0 * self._settings.deadline_s)
        self.journal.on_change = lambda call_id, revision: self._crossing.call(lambda: self._changed(call_id, revision))
        for record in await self._read(lambda: self.journal.live(since)):
            if not record.deadline_told:
                call = self._calls.copy(record.call_id)
                call.take(record)
                self._calls.took(call)
        self._spawn(self._sweep())

    async def add(self, arrival: Arrival) -> Kept:
        """What became of evidence, when it is safe on disk.

        Raises
        ------
        Overloaded
            When more waits for the journal than it takes.
        Unavailable
            When the journal gives it up.
        InvalidInput
            When the journal refuses it.
        """
        change = Unkept(ChangeKind.EVIDENCE, arrival.received_at, arrival.evidence)
        return await self._keep(self.journal.add(arrival), _Wish(arrival.call_id, change, arrival.calling_number))

    async def watch(self, asked: Watch) -> AsyncGenerator[Update, None]:
        """What a watcher is told: the answer as it is, then each change; ends with the call.

        Raises
        ------
        NotFound
            When the call was erased.
        Unavailable
            When the process ends; `after_revision` goes on elsewhere.
        LocsvcError
            When the call cannot be opened or resolved.
        """
        watcher = Watcher(
            asked.confidence, asked.fit_radius_m or self._settings.fit_radius_m, asked.heartbeat_s, asked.after_revision
        )
        call = self._open(asked, watcher)
        call.watchers.add(watcher)
        self._answering.work(call)
        try:
            while True:
                update = call.next(watcher, self._outlook)
                if update is not None:
                    yield update
                elif watcher.fault is not None:
                    raise watcher.fault
                elif call.is_over_for(watcher):
                    return
                elif self._draining:
                    raise GoingAway(watcher.revision)
                elif not await watcher.wait():
                    yield Update(watcher.revision)
        finally:
            call.watchers.discard(watcher)
            self._calls.touch(call)

    async def get(self, call_id: str) -> tuple[CallRecord, list[Given]]:
        """All that arrived for a call and every estimate given; that of its last revision is made when it is missing.

        Raises
        ------
        NotFound
            When there is no such call.
        Unavailable
            When the journal cannot be read.
        """
        record, given = await self._read(lambda: (self.journal.record(call_id), self.journal.given(call_id)))
        if record is None:
            raise not_known()
        if record.changes and not any(g.revision == record.revision for g in given):
            given = [*given, await self._answering.last_of(record)]
        return record, given

    async def end(self, call_id: str) -> LocationEstimate:
        """The last estimate of a call that is ended.

        Raises
        ------
        NotFound
            When there is no such call.
        Unavailable
            When the journal gives it up, or the process ends.
        """
        at = self.now()
        kept = await self._keep(self.journal.end(call_id, at), _Wish(call_id, Unkept(ChangeKind.ENDED, at)))
        updates = self.watch(Watch(call_id, kept.revision - 1))
        async with contextlib.aclosing(updates):
            async for update in updates:
                if update.estimate is not None and not update.provisional:
                    return update.estimate
        raise not_known()

    def drain(self) -> None:
        """End all streams, so that their clients go elsewhere."""
        self._draining = True
        for call in self._calls:
            call.wake()

    async def close(self) -> int:
        """How many changes could not be kept; the end of all work."""
        self.drain()
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._answering.close()
        for call in self._calls:
            if call.deadline is not None:
                call.deadline.cancel()
        unkept = await asyncio.to_thread(self.journal.close)
        self._crossing.close()
        self._readers.shutdown(wait=False, cancel_futures=True)
        return unkept

    # The journal: what it is asked to keep, what it kept, what others wrote

    def _keep(self, future: Future[Kept], wish: _Wish) -> asyncio.Future[Kept]:
        """What the journal makes of a wish; when it is slow the change is counted before it is on disk."""
        answer: asyncio.Future[Kept] = self._loop.create_future()
        kind = wish.change.kind
        if kind is not ChangeKind.ENDED:
            wish.late = self._loop.call_later(self._settings.slow_s, self._is_late, wish)
        if kind is not ChangeKind.OPENED and (call := self._meant(wish)) is not None:
            self._answering.foresee(call, wish.change.evidence, wish.change.at)
        future.add_done_callback(lambda done: self._crossing.call(lambda: self._settle(done, wish, answer)))
        return answer

    def _meant(self, wish: _Wish) -> LiveCall | None:
        """The call of a wish, as far as is known here."""
        if wish.call_id:
            return self._calls.get(wish.call_id)
        return self._calls.of_number(wish.calling_number, wish.change.at, self._settings.match_window_s)

    def _is_late(self, wish: _Wish) -> None:
        wish.call = self._calls.copy(wish.call_id) if wish.call_id else self._meant(wish)
        if wish.call is not None:
            wish.call.count(wish.change)
            self._calls.touch(wish.call)
            self._answering.work(wish.call)

    def _settle(self, done: Future[Kept], wish: _Wish, answer: asyncio.Future[Kept]) -> None:
        """The journal has answered."""
        if wish.late is not None:
            wish.late.cancel()
        if wish.call is not None:
            wish.call.forget(wish.change)
            self._answering.work(wish.call)
        error = done.exception()
        if error is None:
            self._kept(done.result())
        if (error is not None or not done.result().added) and (call := self._meant(wish)) is not None:
            call.forget_ahead(wish.change)
        if answer.done():  # its client went away
            return
        if error is None:
            answer.set_result(done.result())
        else:
            answer.set_exception(error)

    def _kept(self, kept: Kept) -> None:
        record = kept.record
        if record is None or not (record.changes or self._calls.get(record.call_id)):
            return
        call = self._calls.copy(record.call_id)
        complete = call.take(record)
        if record.changes:
            call.own_revision = max(call.own_revision, record.revision)
        self._calls.took(call)
        if not complete and (record.changes or call.watchers or call.revision):
            self._load(call)
        self._answering.work(call)

    def _changed(self, call_id: str, revision: int) -> None:
        """Another process wrote; revision 0: the call is no more."""
        call = self._calls.get(call_id)
        if call is None:
            return
        if revision == 0:
            self._calls.drop(call)
            call.fail(NotFound("the call was erased from the journal"))
        elif revision > call.revision:
            call.wanted_revision = max(call.wanted_revision, revision)
            self._load(call)

    def _load(self, call: LiveCall) -> None:
        if call.loading is None:
            call.loading = self._spawn(self._loading(call))

    async def _loading(self, call: LiveCall) -> None:
        """Read what the copy lacks."""
        retry_s, looks = FIRST_RETRY_S, 0
        try:
            while call.revision < call.wanted_revision and looks < LOOKS:
                try:
                    known = call.revision
                    record = await self._read(partial(self.journal.record, call.call_id, known))
                except Unavailable:
                    await asyncio.sleep(retry_s)
                    retry_s = min(2.0 * retry_s, LONGEST_RETRY_S)
                    continue
                if record is not None and call.take(record) and call.revision > known:
                    self._calls.took(call)
                    self._answering.work(call)
                    retry_s, looks = FIRST_RETRY_S, 0
                else:
                    looks += 1
                    await asyncio.sleep(retry_s)
            call.wanted_revision = call.revision
        finally:
            call.loading = None

    async def _read(self, read: Callable[[], _Read]) -> _Read:
        return await self._loop.run_in_executor(self._readers, read)

    async def _tell_deadline(self, call: LiveCall) -> None:
        async with self._catching_up:
            while not (call.deadline_told or call.ended_at is not None):
                at = self.now()
                future = self.journal.tell_deadline(call.call_id, at)
                try:
                    kept = await self._keep(future, _Wish(call.call_id, Unkept(ChangeKind.DEADLINE, at)))
                except Overloaded as error:
                    await asyncio.sleep(error.retry_after_s)
                except NotFound:
                    self._changed(call.call_id, 0)  # it was erased, and the word of it was lost
                    return
                except LocsvcError:
                    return
                else:
                    call.deadline_told = True
                    if kept.record is None and not call.watchers:
                        self._calls.drop(call)

    # Copies

    def _open(self, asked: Watch, watcher: Watcher) -> LiveCall:
        """The copy that is watched; the journal is asked when it may not know the call or its number."""
        if self._draining:
            raise GoingAway(asked.after_revision)
        call = self._calls.get(asked.call_id)
        number = asked.calling_number
        if call is not None and call.revision and number in ("", call.considered.calling_number):
            if asked.after_revision > call.revision:
                self._spawn(self._find(call, watcher))
            return call
        at = self.now()
        future = self.journal.open_call(asked.call_id, number, None, at)
        opened = self._keep(future, _Wish(asked.call_id, Unkept(ChangeKind.OPENED, at), number))

        def told(done: asyncio.Future[Kept]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                watcher.fail(error)
            elif not done.cancelled():
                watcher.journal_has(done.result().revision)

        opened.add_done_callback(told)
        return self._calls.copy(asked.call_id)

    async def _find(self, call: LiveCall, watcher: Watcher) -> None:
        """Ask the journal how far a call is whose watcher is ahead of the copy: the copy lags, or the watcher errs."""
        retry_s = FIRST_RETRY_S
        while watcher in call.watchers:
            known = call.revision
            try:
                record = await self._read(partial(self.journal.record, call.call_id, known))
            except Unavailable:
                await asyncio.sleep(retry_s)
                retry_s = min(2.0 * retry_s, LONGEST_RETRY_S)
                continue
            revision = 0 if record is None or record.revision < known else record.revision
            self._changed(call.call_id, revision)  # 0: it was erased, and the word of it was lost
            watcher.journal_has(revision)
            return

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            report("live calls", error)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self._calls.sweep(self._settings.idle_s)

    def _outlook(self, answer: Answer, fit_radius_m: float) -> Outlook:
        outlook = answer.outlooks.get(fit_radius_m)
        if outlook is None:
            call, at = answer.call, answer.at
            outlook = answer.outlooks[fit_radius_m] = outlook_of(
                answer.estimate,
                call.evidence,
                at if call.started_at is None else call.started_at,
                at,
                self._arrivals,
                arrived_at=answer.arrived_at,
                fit_radius_m=fit_radius_m,
                deadline_s=self._settings.deadline_s,
            )
        return outlook
