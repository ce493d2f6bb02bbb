"""What became of calls whose truth is known: one row a call, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]

# Confidences at which calls are answered; errors are those of the one that the service takes by default.
CONFIDENCES = (0.5, 0.68, 0.9, 0.95)
DEFAULT = CONFIDENCES.index(0.9)


@dataclass(slots=True)
class Circles:
    """What another way to locate says: a circle a call, (n,); NaN where it says nothing.

    `error_m` is how far its centre is from the truth, `sigma_m` the width of the round Gaussian that it is taken for.
    """

    error_m: Floats
    radius_m: Floats
    sigma_m: Floats

    def of(self, chosen: Bools | Ints) -> Circles:
        """Some of them."""
        return Circles(self.error_m[chosen], self.radius_m[chosen], self.sigma_m[chosen])


@dataclass(slots=True)
class Judged:
    """Calls that were answered, (n,), against their truths; metres, degrees.

    `radius_m`, `in_circle`, `in_region` (4, n) at CONFIDENCES, each as a user sees it who asks for that confidence;
    `error_m`, `area_m2` (of the region) at 0.9. `log_score` is minus the log of the density (1 / m2) at the truth;
    `level_from`, `level_to` as in `fusion.probe`; `energy_m` the energy score. `labels` are texts (n,) by stratum,
    `baselines` what other ways say of the same calls. `session` counts what is independent.
    """

    name: Texts
    latitude_deg: Floats
    longitude_deg: Floats
    truth_latitude_deg: Floats
    truth_longitude_deg: Floats
    error_m: Floats
    radius_m: Floats
    in_circle: Bools
    in_region: Bools
    area_m2: Floats
    log_score: Floats
    level_from: Floats
    level_to: Floats
    energy_m: Floats
    session: Texts
    labels: dict[str, Texts] = field(default_factory=dict)
    baselines: dict[str, Circles] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.error_m)

    def of(self, chosen: Bools | Ints) -> Judged:
        """Some of the calls."""
        columns = {f.name: getattr(self, f.name)[..., chosen] for f in fields(self) if f.name not in _NAMED}
        return Judged(
            **columns,
            labels={k: v[chosen] for k, v in self.labels.items()},
            baselines={k: v.of(chosen) for k, v in self.baselines.items()},
        )


_NAMED = ("labels", "baselines")


def joined(parts: Sequence[Judged]) -> Judged | None:
    """All calls of some parts, which have the same labels and baselines; None of no part."""
    if not parts:
        return None
    columns = {
        f.name: np.concatenate([getattr(p, f.name) for p in parts], axis=-1)
        for f in fields(Judged)
        if f.name not in _NAMED
    }
    return Judged(
        **columns,
        labels={k: np.concatenate([p.labels[k] for p in parts]) for k in parts[0].labels},
        baselines={
            k: Circles(*(np.concatenate([getattr(p.baselines[k], f.name) for p in parts]) for f in fields(Circles)))
            for k in parts[0].baselines
        },
    )
