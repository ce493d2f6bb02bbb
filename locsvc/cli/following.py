"""A live call followed through broken streams: each message once, in order, and a beat where nothing came."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from locsvc.errors import LocsvcError, Overloaded, Unavailable

# Between two tries to reach a server; doubled from the least to the most.
LEAST_PAUSE_S, MOST_PAUSE_S = 0.1, 2.0
# A stream that says nothing for so many heartbeats, and a second more, is taken for broken.
_SILENT_HEARTBEATS = 2
# The first message comes at once, unless the server is just starting.
_FIRST_S = 20.0


class Message(Protocol):
    """What is used of the contract's message here."""

    @property
    def revision(self) -> int:
        """The last that the receiver has now."""
        ...


class Messages(Protocol):
    """The stream of one watch."""

    def __iter__(self) -> Iterator[Message]: ...

    def cancel(self) -> None:
        """End it."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a watch."""

    call_id: str
    after_revision: int = 0
    confidence: float = 0.9
    heartbeat_s: float = 5.0
    calling_number: str = ""
    fit_radius_m: float = 0.0


class _Stream:
    """One watch, read by a thread of its own, so that the reader can wait for either a message or a moment."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._came: queue.SimpleQueue[Message | BaseException] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True, name="locsvc-watch").start()

    def _read(self) -> None:
        try:
            for message in self._messages:
                self._came.put(message)
            self._came.put(StopIteration())
        except BaseException as error:  # noqa: BLE001 - raised where the messages are taken
            self._came.put(error)

    def next(self, wait_s: float) -> Message | None:
        """The next message, or None when there is none for so long.

        Raises
        ------
        StopIteration
            The stream has ended as it should.
        LocsvcError
            It broke.
        """
        try:
            came = self._came.get(timeout=wait_s)
        except queue.Empty:
            return None
        if isinstance(came, BaseException):
            raise came
        return came

    def cancel(self) -> None:
        self._messages.cancel()


class Follower:
    """Follows a call to its end.

    Parameters
    ----------
    watch
        Opens a stream.
    asked
        What is asked of the first.
    beat_s
        Longest time without an item; None stands for a message then.
    give_up_s
        Time without a server after which it is given up; before the first message it is given up at once.
    say
        Told when a stream broke, and when there is one again.
    """

    def __init__(
        self,
        watch: Callable[[Asked], Messages],
        asked: Asked,
        *,
        beat_s: float,
        give_up_s: float,
        say: Callable[[str], None],
    ) -> None:
        self._watch = watch
        self._asked = asked
        self._beat_s = beat_s
        self._give_up_s = give_up_s
        self._say = say
        self._lost_at: float | None = None
        self._heard = False

    @property
    def lost(self) -> bool:
        """Whether there is no stream at the moment."""
        return self._lost_at is not None

    def __iter__(self) -> Iterator[Message | None]:
        """Messages, and None for each beat without one, until the call has ended.

        Raises
        ------
        LocsvcError
            There is no server, for too long; or what the server says.
        """
        pause_s = LEAST_PAUSE_S
        while True:
            try:
                for item in self._one():
                    pause_s = LEAST_PAUSE_S if item is not None else pause_s
                    yield item
                return
            except (Unavailable, Overloaded) as error:
                self._lose(error)
                pause_s = max(pause_s, getattr(error, "retry_after_s", 0.0))
            yield from self._beats(pause_s)
            pause_s = min(2 * pause_s, MOST_PAUSE_S)

    def _one(self) -> Iterator[Message | None]:
        """What one stream brings, to the end of the call."""
        stream = _Stream(self._watch(self._asked))
        heard_at, patience_s = time.monotonic(), _FIRST_S
        try:
            while True:
                try:
                    message = stream.next(self._beat_s)
                except StopIteration:
                    return
                if message is not None:
                    heard_at, patience_s = time.monotonic(), _SILENT_HEARTBEATS * self._asked.heartbeat_s + 1.0
                    self._hear(message)
                elif time.monotonic() - heard_at > patience_s:
                    raise Unavailable(f"nothing was heard for {patience_s:.0f} s")
                yield message
        finally:
            stream.cancel()

    def _hear(self, message: Message) -> None:
        self._heard = True
        # The server's word counts: a revision that its journal never had is forgotten.
        self._asked = replace(self._asked, after_revision=message.revision)
        if self._lost_at is not None:
            self._lost_at = None
            self._say("the server is back")

    def _lose(self, error: LocsvcError) -> None:
        if not self._heard:
            raise error
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            self._say(f"the stream broke ({error}); going on after revision {self._asked.after_revision}")
        elif time.monotonic() - self._lost_at > self._give_up_s:
            raise error

    def _beats(self, pause_s: float) -> Iterator[None]:
        until = time.monotonic() + pause_s
        while (left_s := until - time.monotonic()) > 0:
            time.sleep(min(left_s, self._beat_s))
            yield None
