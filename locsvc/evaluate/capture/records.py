"""What came of played calls, as columns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Seconds ahead that an outlook speaks of.
AHEAD_S = (5.0, 10.0, 20.0)


@dataclass(slots=True)
class Shown:
    """Estimates as they came to the watchers, (m,), by call and then by time."""

    call: Ints
    at_s: Floats
    """Seconds of the scenario after the start of the call."""
    received_s: Floats
    """Of the machine's monotonic clock."""
    revision: Ints
    """-1 where the estimate is provisional."""
    error_m: Floats
    """From position to truth; NaN without a position."""
    radius_m: Floats
    """NaN without a position."""
    held: Bools
    """Whether the truth lies in the region."""
    fit: Bools
    """Whether it is said to be fit to dispatch."""
    fit_radius_m: Floats
    """Widest radius that is taken for fit."""
    deadline: Bools
    """Whether it was made because the deadline passed."""
    chance: Floats
    """(m, 3): that a better answer comes within 5, 10, 20 s; NaN: not said."""


@dataclass(slots=True)
class Said:
    """Places that were said, (k,), by call and then by time: by evidence, and by a directory for the number."""

    call: Ints
    at_s: Floats
    error_m: Floats
    """From the place that the piece shows to the truth; NaN: it shows none."""
    claimed_m: Floats
    """NaN: it claims none."""


@dataclass(slots=True)
class Sends:
    """Requests, (k,), by call; seconds of the machine's monotonic clock."""

    call: Ints
    sent_s: Floats
    replied_s: Floats
    late_s: Floats
    """How much later than planned it was sent."""
    revision: Ints
    """That was acknowledged; 0 where the evidence waits for its call or nothing was new."""


@dataclass(slots=True)
class Capture:
    """All calls that were played to their ends.

    Parameters
    ----------
    names, kinds
        Of the calls, (n,).
    opened_s, first_s
        When each call was watched, and when its first message came; (n,), monotonic clock, NaN: never.
    lags_s
        How late the client's own loop was, at every look.
    failures
        What requests and streams failed with, by how many.
    """

    names: list[str]
    kinds: list[str]
    opened_s: Floats
    first_s: Floats
    shown: Shown
    said: Said
    sends: Sends
    lags_s: Floats
    speed: float = 1.0
    at_once: int = 0
    seconds: float = 0.0
    asked: int = 0
    server_cpu_s: float | None = None
    failures: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)
