"""What lies at the answers: the nearest address, and the share of each area."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from locsvc.geo import latitudes_longitudes
from locsvc.model import AreaShare

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.grid import Posterior
    from locsvc.fusion.region import Answers
    from locsvc.model import CivicAddress
    from locsvc.reference.store import Reference

    Floats = npt.NDArray[np.float64]

# An address farther away than this is not where anyone would be sent.
ADDRESS_REACH_M = 500.0
# Shares below this are the region's rim, not an area that has to be told.
LEAST_SHARE = 1e-3


def nearest_addresses(reference: Reference, answers: Answers) -> list[tuple[CivicAddress, float] | None]:
    """The address nearest to each position with its distance in metres, or None."""
    calls = len(answers.latitude_deg)
    if reference.addresses is None:
        return [None] * calls
    rows, distances = reference.addresses.nearest(answers.latitude_deg, answers.longitude_deg, ADDRESS_REACH_M)
    return [
        None if row < 0 else (reference.addresses.address(row), distance)
        for row, distance in zip(rows.tolist(), distances.tolist(), strict=True)
    ]


def area_shares(reference: Reference, posterior: Posterior, answers: Answers) -> list[tuple[AreaShare, ...]]:
    """Areas under each region with their share of its mass, largest first.

    A region whose bounding circle lies wholly in one set of areas is answered at once; the others leaf by leaf.
    """
    calls = len(answers.radius_m)
    areas = reference.areas
    if areas is None:
        return [()] * calls
    whole = areas.undivided_among(answers.latitude_deg, answers.longitude_deg, answers.reach_m).tolist()
    divided = np.array([i for i, w in enumerate(whole) if w < 0], dtype=np.int64)
    shares = _shares(reference, posterior, answers, divided)
    combinations = areas.combinations
    return [
        shares[i] if w < 0 else tuple(AreaShare(areas.names[a], areas.dataset_of[a], 1.0) for a in combinations[w])
        for i, w in enumerate(whole)
    ]


def _shares(
    reference: Reference, posterior: Posterior, answers: Answers, calls: npt.NDArray[np.int64]
) -> dict[int, tuple[AreaShare, ...]]:
    areas, leaves = reference.areas, posterior.leaves
    if areas is None or not len(calls):
        return {}
    starts, counts = leaves.starts[calls], answers.region_leaves[calls]
    at = np.concatenate([np.arange(a, a + n) for a, n in zip(starts.tolist(), counts.tolist(), strict=True)])
    vectors = leaves.vectors[at] + posterior.pieces.anchor[leaves.call[at]]
    point, area = areas.locate(*latitudes_longitudes(vectors))
    call, mass = leaves.call[at[point]], leaves.mass[at[point]]
    key, slot = np.unique(call * len(areas.names) + area, return_inverse=True)
    held = np.bincount(slot, weights=mass, minlength=len(key))
    result: dict[int, list[AreaShare]] = {i: [] for i in calls.tolist()}
    for k, m in zip(key.tolist(), held.tolist(), strict=True):
        i, a = divmod(k, len(areas.names))
        share = min(1.0, m / float(answers.region_mass[i]))
        if share >= LEAST_SHARE:
            result[i].append(AreaShare(areas.names[a], areas.dataset_of[a], share))
    return {i: tuple(sorted(s, key=lambda x: (-x.share, x.name))) for i, s in result.items()}
