"""Estimates of live calls: one computation at a time a call, always of its newest revision."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from locsvc.calls.considered import call_at, foreseen, with_warnings
from locsvc.calls.copies import GIVEN_CONFIDENCE, Ahead, Answer, LiveCall
from locsvc.calls.faults import report
from locsvc.calls.words import Given
from locsvc.errors import DeadlineExceeded, LocsvcError, Overloaded, Unavailable
from locsvc.model import Call, LocationEstimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locsvc.calls.words import CallRecord
    from locsvc.model import Evidence

Resolve = Callable[[Call, float, float], Awaitable[LocationEstimate]]

# Between two tries of what the resolver refuses for now.
FIRST_RETRY_S: Final = 0.02
LONGEST_RETRY_S: Final = 1.0


class Answering:
    """Sees to it that each call has the answers that are wanted of it.

    Parameters
    ----------
    resolve
        Of a call, a confidence and a time the estimate.
    give
        Hears each estimate that was given, after those who watch.
    now
        The service's clock.
    """

    def __init__(self, resolve: Resolve, give: Callable[[Given], None], now: Callable[[], float]) -> None:
        self._resolve = resolve
        self._give = give
        self._now = now
        self._tasks: set[asyncio.Task[None] | asyncio.Task[LocationEstimate]] = set()

    def work(self, call: LiveCall) -> None:
        """Something about the call is new."""
        if call.working is None and (call.lacking() or call.unguessed()):
            call.working = asyncio.get_running_loop().create_task(self._work(call))
            self._tasks.add(call.working)
            call.working.add_done_callback(self._tasks.discard)

    def foresee(self, call: LiveCall, evidence: Sequence[Evidence], at: float) -> None:
        """Begin the answer to a change while the journal writes it.

        It is told when the change is on disk, and only if the call is then as it was foreseen here: others may have
        written before it, and pieces may be known already.
        """
        calm = call.told and call.revision == call.wanted_revision and not call.unkept
        if not calm or call.working is not None or call.ahead is not None:
            return
        question, _ = call.considered.call(foreseen(evidence, call.considered.pieces, at))
        loop = asyncio.get_running_loop()
        call.ahead = Ahead(question, at, {})
        for confidence in call.wanted(own=True):
            task = loop.create_task(self._begin(question, confidence, at))
            call.ahead.estimates[confidence] = task
            self._tasks.add(task)
            task.add_done_callback(self._begun)

    async def _begin(self, question: Call, confidence: float, at: float) -> LocationEstimate:
        return await self._resolve(question, confidence, at)

    def _begun(self, task: asyncio.Task[LocationEstimate]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # who asks for it hears of it; if nobody does it was for nothing

    async def close(self) -> None:
        """End all computations."""
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def last_of(self, record: CallRecord) -> Given:
        """The estimate of the last revision of a record that has all of its changes; it is given too."""
        last = record.changes[-1]
        call, warnings = call_at(record, last.revision)
        estimate = with_warnings(await self._resolve(call, GIVEN_CONFIDENCE, last.at), warnings)
        given = Given(record.call_id, last.revision, self._now(), estimate)
        self._give(given)
        return given

    async def _work(self, call: LiveCall) -> None:
        retry_s = FIRST_RETRY_S
        try:
            while True:
                try:
                    if wanted := call.lacking():
                        await self._answer(call, wanted)
                    elif wanted := call.unguessed():
                        await self._guess(call, wanted)
                    else:
                        return
                    retry_s = FIRST_RETRY_S
                except (Overloaded, Unavailable, DeadlineExceeded):
                    await asyncio.sleep(retry_s)
                    retry_s = min(2.0 * retry_s, LONGEST_RETRY_S)
        except Exception as error:  # noqa: BLE001 - those who watch hear of it, and the next change is tried again
            report("the estimate of a live call", error)
            call.fail(LocsvcError("the call met a fault of the server; it is in the server's log"))
        finally:
            call.working = None

    async def _answer(self, call: LiveCall, wanted: list[float]) -> None:
        """Make the answers to the last revision."""
        revision = call.revision
        question, at, warnings = call.question()
        arrived_at = tuple(call.considered.arrived_at)
        estimates = await self._estimates(question, at, wanted, call)
        answers = [Answer(revision, at, question, with_warnings(e, warnings), (), arrived_at) for e in estimates]
        call.answers.update(zip(wanted, answers, strict=True))
        call.wake()
        watched = {w.confidence for w in call.watchers}
        for confidence in [c for c in call.answers if c not in watched and c != GIVEN_CONFIDENCE]:
            del call.answers[confidence]
        for confidence, answer in zip(wanted, answers, strict=True):
            if confidence != GIVEN_CONFIDENCE or call.own_revision > call.given_revision:
                self._give(Given(call.call_id, revision, self._now(), answer.estimate))
        call.given_revision = max(call.given_revision, revision)

    async def _guess(self, call: LiveCall, wanted: list[float]) -> None:
        """Make the answers to what is not on disk yet; they are dropped when it has been kept meanwhile."""
        number, revision = call.guesses, call.revision
        told = tuple(change.told() for change in call.unkept)
        question, at, warnings = call.guess()
        arrived_at = tuple(call.considered.arrived_at)
        estimates = await self._estimates(question, at, wanted)
        if call.revision != revision or not call.unkept:
            return
        for confidence, estimate in zip(wanted, estimates, strict=True):
            call.guessed[confidence] = Answer(number, at, question, with_warnings(estimate, warnings), told, arrived_at)
        call.wake()

    async def _estimates(
        self, question: Call, at: float, wanted: list[float], call: LiveCall | None = None
    ) -> list[LocationEstimate]:
        begun: dict[float, asyncio.Task[LocationEstimate]] = {}
        if call is not None and call.ahead is not None:
            ahead, call.ahead = call.ahead, None
            if ahead.at == at and ahead.call == question:
                begun = ahead.estimates
        answers = [begun.get(confidence) or self._resolve(question, confidence, at) for confidence in wanted]
        if len(wanted) == 1:
            return [await answers[0]]
        return await asyncio.gather(*answers)
