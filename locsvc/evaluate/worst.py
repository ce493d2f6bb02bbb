"""The calls that were most wrong, with what must be kept to draw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from locsvc.evaluate.judged import Judged
    from locsvc.resolver.answered import Answered

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# So many are drawn, no more than so many of one session: alike calls are one case.
SHOWN, OF_A_SESSION = 12, 1
# A circle smaller than this says nothing that a map shows.
_LEAST_M = 10.0


@dataclass(frozen=True, slots=True)
class Case:
    """One call: what was said at 90 %, and where it was."""

    name: str
    session: str
    badness: float
    """Error as a part of the stated 95 % radius."""
    error_m: float
    radius_m: float
    latitude_deg: float
    longitude_deg: float
    truth_latitude_deg: float
    truth_longitude_deg: float
    sources: str
    step: str
    cells: tuple[int, ...]
    masses: tuple[float, ...]
    """Leaves of the posterior, densest first, and what each holds."""
    region_leaves: int


def cases_of(judged: Judged, answered: Answered, row: Ints, radius_95_m: Floats) -> list[Case]:
    """The worst calls of a part, worst first; `row` (calls,) of the posterior."""
    located = answered.located
    if located is None:
        return []
    badness = np.where(row >= 0, judged.error_m / np.maximum(radius_95_m, _LEAST_M), -1.0)
    order = np.argsort(-badness, kind="stable")
    chosen, seen = list[int](), dict[str, int]()
    for k in order.tolist():
        session = str(judged.session[k])
        if badness[k] <= 0 or len(chosen) == SHOWN:
            break
        if seen.get(session, 0) < OF_A_SESSION:
            seen[session] = seen.get(session, 0) + 1
            chosen.append(k)
    return [_case(judged, answered, int(k), int(row[k]), float(badness[k])) for k in chosen]


def _case(judged: Judged, answered: Answered, k: int, row: int, badness: float) -> Case:
    located = answered.located
    assert located is not None  # noqa: S101 - for the types
    leaves = located.posterior.leaves
    own = leaves.rows(row)
    return Case(
        str(judged.name[k]),
        str(judged.session[k]),
        badness,
        float(judged.error_m[k]),
        float(located.answers.radius_m[row]),
        float(judged.latitude_deg[k]),
        float(judged.longitude_deg[k]),
        float(judged.truth_latitude_deg[k]),
        float(judged.truth_longitude_deg[k]),
        str(judged.labels["sources"][k]),
        str(judged.labels["cell step"][k]),
        tuple(leaves.cell[own].tolist()),
        tuple(leaves.mass[own].tolist()),
        int(located.answers.region_leaves[row]),
    )


def worst_of(cases: list[Case]) -> list[Case]:
    """The worst of all, worst first."""
    kept, seen = list[Case](), dict[str, int]()
    for case in sorted(cases, key=lambda c: (-c.badness, c.name)):
        if len(kept) < SHOWN and seen.get(case.session, 0) < OF_A_SESSION:
            seen[case.session] = seen.get(case.session, 0) + 1
            kept.append(case)
    return kept
