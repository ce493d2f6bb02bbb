"""What live calls are told and asked for."""

from __future__ import annotations

from dataclasses import dataclass

from locsvc.calls.copies import GIVEN_CONFIDENCE
from locsvc.calls.matching import DEFAULT_WINDOW_S
from locsvc.calls.outlook import DEADLINE_S, FIT_RADIUS_M
from locsvc.errors import NotFound, Unavailable


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """How live calls are treated.

    Parameters
    ----------
    deadline_s
        From the start of a call to the revision that says what is the best known.
    fit_radius_m
        Widest radius that is fit to dispatch, for watchers that name none.
    match_window_s
        The journal's; here for evidence by number that is not on disk yet.
    slow_s
        A change that is not on disk by then is answered from memory.
    idle_s
        A copy that nobody needed for so long is dropped.
    """

    deadline_s: float = DEADLINE_S
    fit_radius_m: float = FIT_RADIUS_M
    match_window_s: float = DEFAULT_WINDOW_S
    slow_s: float = 0.030
    idle_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What a watcher asks for; the fields are the contract's. Radius 0 means the server's."""

    call_id: str
    after_revision: int = 0
    confidence: float = GIVEN_CONFIDENCE
    heartbeat_s: float = 15.0
    calling_number: str = ""
    fit_radius_m: float = 0.0


class GoingAway(Unavailable):
    """The process ends, and a stream with it.

    Parameters
    ----------
    after_revision
        The last revision that was told: from there it goes on elsewhere.
    """

    def __init__(self, after_revision: int) -> None:
        self.after_revision = after_revision
        super().__init__(f"this server is going away; watch again with after_revision={after_revision}")


def not_known() -> NotFound:
    """The error for a call that nobody has opened, or that was erased."""
    return NotFound("no call with this call_id is in the journal; check it, or send evidence to open the call")
