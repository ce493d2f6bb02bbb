"""The copies of calls that a process has in memory: found by name and by number, dropped when nobody needs them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING

from locsvc.calls.considered import Considered
from locsvc.calls.copies import LiveCall
from locsvc.calls.matching import belongs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Shelf:
    """The copies, longest not touched first.

    Parameters
    ----------
    tell_deadline
        Called when the deadline of a call has passed.
    deadline_s
        From the start of a call.
    now
        The service's clock.
    """

    def __init__(
        self, tell_deadline: Callable[[LiveCall], object], deadline_s: float, now: Callable[[], float]
    ) -> None:
        self._tell_deadline = tell_deadline
        self._deadline_s = deadline_s
        self._now = now
        self._loop = asyncio.get_running_loop()
        self._calls: OrderedDict[str, LiveCall] = OrderedDict()
        self._newest: dict[str, LiveCall] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[LiveCall]:
        return iter(self._calls.values())

    def get(self, call_id: str) -> LiveCall | None:
        """The copy of a call, if there is one."""
        return self._calls.get(call_id)

    def copy(self, call_id: str) -> LiveCall:
        """The copy of a call; a new one knows nothing yet."""
        call = self._calls.get(call_id)
        if call is None:
            call = self._calls[call_id] = LiveCall(call_id, Considered(call_id), self._loop.time())
        return call

    def of_number(self, calling_number: str, at: float, window_s: float) -> LiveCall | None:
        """The newest call in memory that evidence by number can belong to, as far as is known here."""
        call = self._newest.get(calling_number)
        return call if call is not None and belongs(call, at, window_s) else None

    def touch(self, call: LiveCall) -> None:
        """The call is in use."""
        if self._calls.get(call.call_id) is call:
            call.touched_s = self._loop.time()
            self._calls.move_to_end(call.call_id)

    def took(self, call: LiveCall) -> None:
        """More is known of a call: see to what hangs on it, its number and its deadline."""
        self.touch(call)
        number = call.considered.calling_number
        if number and self._newest.setdefault(number, call).started_at <= call.started_at:
            self._newest[number] = call
        if call.deadline_told or call.ended_at is not None:
            if call.deadline is not None:
                call.deadline.cancel()
        elif call.deadline is None:
            wait_s = max(0.0, call.started_at + self._deadline_s - self._now())
            call.deadline = self._loop.call_later(wait_s, self._tell_deadline, call)

    def drop(self, call: LiveCall) -> None:
        """Forget a call."""
        if self._calls.get(call.call_id) is call:
            del self._calls[call.call_id]
        number = call.considered.calling_number
        if self._newest.get(number) is call:
            del self._newest[number]
        if call.deadline is not None:
            call.deadline.cancel()

    def sweep(self, idle_s: float) -> None:
        """Forget what nobody has needed for `idle_s`."""
        old_s = self._loop.time() - idle_s
        while self._calls and (call := next(iter(self._calls.values()))).touched_s < old_s:
            if call.idle:
                self.drop(call)
            else:
                self.touch(call)
