"""Which call a number means."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

# A call that goes on longer than this has all the evidence that will be sent by number.
LONGEST_S: Final = 3600.0
DEFAULT_WINDOW_S: Final = 300.0


class Started(Protocol):
    """What matching must know of a call."""

    started_at: float
    ended_at: float | None


C = TypeVar("C", bound=Started)


def belongs(call: Started, received_at: float, window_s: float) -> bool:
    """True when evidence that came at `received_at` with the call's number is the call's.

    The call's start lies within the window before or after it; or the call is still live and not older than an hour.

    >>> from locsvc.calls.words import CallSummary
    >>> live = CallSummary("c-1", "+15550100", 1000.0, None, 1, 0)
    >>> [belongs(live, at, 300.0) for at in (699.0, 700.0, 1300.0, 4600.0, 4601.0)]
    [False, True, True, True, False]
    """
    age_s = received_at - call.started_at
    return abs(age_s) <= window_s or (call.ended_at is None and 0.0 <= age_s <= LONGEST_S)


def meant(calls: Iterable[C], received_at: float, window_s: float) -> C | None:
    """The newest of the number's calls that evidence can belong to; None when there is none.

    Parameters
    ----------
    calls
        All of one number.
    """
    fitting = [call for call in calls if belongs(call, received_at, window_s)]
    return max(fitting, key=lambda call: call.started_at, default=None)


def earliest_start(received_at: float, window_s: float) -> float:
    """The start of the oldest call that evidence can belong to."""
    return received_at - max(window_s, LONGEST_S)
