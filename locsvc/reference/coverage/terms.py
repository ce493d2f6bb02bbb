"""How history is weighed and thinned."""

from __future__ import annotations

from dataclasses import dataclass

from locsvc.reference.coverage.tallies import EPOCH_DAYS


@dataclass(frozen=True, slots=True)
class Terms:
    """Parameters of a coverage dataset; kept with it."""

    resolution: int = 11
    """H3 resolution of places: 11 has cells of 46 m (root of the area), what a satellite fix in a street tells."""
    half_life_days: float = 365.0
    """After that a report counts half; networks are rebuilt within years."""
    most_places: int = 1024
    """A cell heard at more places in a region of 6 km is kept on coarser ones there: streets say nothing of it."""
    least_weight: float = 1 / 64
    """What counts less is forgotten: after six half-lives."""
    untimed_weight: float = 0.5
    """What a report without a time counts, always: as if it were a half-life old."""

    lent_share: float = 0.2
    """What a place's signature takes from each place next to it: exp(-d^2 / 2 h^2) with h = 28 m, fitted on drives."""

    @property
    def epochs_per_half(self) -> float:
        """Half-life in epochs."""
        return self.half_life_days / EPOCH_DAYS
