"""From the threads of the journal to the event loop."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

from locsvc.calls.faults import report

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Crossing:
    """Calls that threads make on the loop: all that a group commit sets free wakes the loop once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._told = False
        self._closed = False

    def call(self, what: Callable[[], None]) -> None:
        """Let the loop call `what` soon; may be said by any thread."""
        self._waiting.append(what)
        if not self._told and not self._closed:
            self._told = True
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._collect)

    def close(self) -> None:
        """Nothing crosses any more."""
        self._closed = True
        self._waiting.clear()

    def _collect(self) -> None:
        # First the flag: what is put in from now on is told anew.
        self._told = False
        while self._waiting:
            what = self._waiting.popleft()
            try:
                what()
            except Exception as error:  # noqa: BLE001 - one fault must not hold up the others
                report("a change of the journal", error)
