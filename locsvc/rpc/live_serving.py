"""The live calls of a server process: the journal opened, its health told, what is old removed, streams ended."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import structlog

from locsvc.calls.arrivals import Arrivals
from locsvc.calls.asked import LiveSettings
from locsvc.calls.live import LiveCalls
from locsvc.errors import LocsvcError, Unavailable
from locsvc.resolver.answered import estimate_of
from locsvc.rpc.convert.requests import Question

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from locsvc.calls.journal import Journal
    from locsvc.model import Call, LocationEstimate
    from locsvc.rpc.batcher import Batcher
    from locsvc.rpc.call_service import CallService
    from locsvc.rpc.settings import ServerSettings

log = structlog.get_logger("locsvc.rpc")

JOURNAL = "locsvc.calls.journal"
CALL_SERVICE = "locsvc.v1.CallService"

# Between two looks at the state of the journal, two tries to open it, and two removals of what is old.
LOOK_S: Final = 0.1
RETRY_S: Final = 1.0
RETAIN_S: Final = 3_600.0
DAY_S: Final = 86_400.0
# Who removes what is old, in the audit.
RETENTION: Final = "retention (--keep-days)"


class LiveServing:
    """Gives a CallService its calls, as soon as the journal can be opened.

    Parameters
    ----------
    set_health
        Says of a name whether it serves.
    keeps_house
        This process removes what is old; one of all that share a port.
    """

    def __init__(
        self,
        settings: ServerSettings,
        batcher: Batcher,
        service: CallService,
        set_health: Callable[[str, bool], Awaitable[None]],
        *,
        keeps_house: bool = True,
    ) -> None:
        self._settings = settings
        self._batcher = batcher
        self._service = service
        self._set_health = set_health
        self._keeps_house = keeps_house
        self._tasks: list[asyncio.Task[None]] = []
        if settings.journal is not None:
            service.closed = Unavailable("the journal of live calls is not open yet; try again in a second")

    async def start(self) -> None:
        """Open the journal, or go on trying when it cannot be reached.

        Raises
        ------
        ConfigError
            When the journal or the file of arrival times cannot be used.
        """
        if self._settings.journal is None:
            return
        arrivals = Arrivals.default() if self._settings.arrivals is None else Arrivals.read(self._settings.arrivals)
        await self._set_health(JOURNAL, False)
        try:
            await self._open(arrivals)
        except Unavailable as error:
            self._service.closed = Unavailable("the journal of live calls cannot be reached; try again in a second")
            log.error("journal_unavailable", problem=str(error), remedy="it is tried again")  # noqa: TRY400 - no fault
            self._spawn(self._open_later(arrivals))

    def end_streams(self) -> None:
        """Tell all who watch to go elsewhere."""
        if self._service.calls is not None:
            self._service.calls.drain()

    async def close(self) -> None:
        """End all, and say what could not be kept."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._service.calls is not None:
            unkept = await self._service.calls.close()
            if unkept:
                log.error("not_kept", changes=unkept, remedy="the journal was down to the end; senders had no answer")

    async def _open_later(self, arrivals: Arrivals) -> None:
        while self._service.calls is None:
            await asyncio.sleep(RETRY_S)
            with contextlib.suppress(Unavailable):
                await self._open(arrivals)

    async def _open(self, arrivals: Arrivals) -> None:
        settings = self._settings
        journal = await asyncio.to_thread(_journal, settings)
        live = LiveSettings(
            deadline_s=settings.deadline_s,
            fit_radius_m=settings.fit_radius_m,
            match_window_s=settings.match_window_s,
        )
        calls = LiveCalls(journal, self._resolve, arrivals, live)
        try:
            await calls.start()
        except LocsvcError:
            await calls.close()
            raise
        self._service.calls = calls
        await self._set_health(CALL_SERVICE, True)
        self._spawn(self._follow(journal))
        if self._keeps_house and settings.keep_days is not None:
            self._spawn(self._retain(calls, settings.keep_days))

    async def _resolve(self, call: Call, confidence: float, at: float) -> LocationEstimate:
        answer = await self._batcher.ask(Question(call, confidence, at))
        return estimate_of(answer.answered, answer.number, call.call_id)

    async def _follow(self, journal: Journal) -> None:
        """Tell the health of the journal."""
        healthy: bool | None = None
        while True:
            state = journal.state
            if state.healthy is not healthy:
                if not state.healthy:
                    log.error(
                        "journal_down", problem=state.last_error, remedy="answers go on from memory; it is tried again"
                    )
                elif healthy is not None:
                    log.info("journal_up", waiting=state.unkept)
                healthy = state.healthy
                await self._set_health(JOURNAL, healthy)
            await asyncio.sleep(LOOK_S)

    async def _retain(self, calls: LiveCalls, keep_days: float) -> None:
        while True:
            try:
                now = calls.now()
                removed = await asyncio.to_thread(calls.journal.purge, now - keep_days * DAY_S, RETENTION, now)
                log.info("old_calls_removed", calls=removed)
            except LocsvcError as error:
                log.error("old_calls_stay", problem=str(error), remedy="it is tried again in an hour")  # noqa: TRY400
            await asyncio.sleep(RETAIN_S)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.create_task(work))


def _journal(settings: ServerSettings) -> Journal:
    # Here, in a thread: it takes half a second to import, and only servers with a journal need it.
    from locsvc.calls.journal import Journal

    return Journal.open(settings.journal or "", match_window_s=settings.match_window_s)
