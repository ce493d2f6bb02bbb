"""What lies at the answers: the nearest address, and the share of each area.

`look_around` is kernels and belongs to the fusion's thread; what makes objects of its numbers is separate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from locsvc.model import AreaShare

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.grid import Posterior
    from locsvc.fusion.region import Answers
    from locsvc.model import CivicAddress
    from locsvc.reference.store import Reference

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

# An address farther away than this is not where anyone would be sent.
ADDRESS_REACH_M = 500.0
# Shares below this are the region's rim, not an area that has to be told.
LEAST_SHARE = 1e-3


class Around(NamedTuple):
    """What lies at each answer, (calls,): numbers only.

    `address`: row of the nearest address (-1: none), `away_m` its distance. `combination`: that of the areas which hold
    the whole region, -1 where it is divided among areas; those regions, in order, have `area` and `held`, the mass of
    each, from `first[i]` to `first[i + 1]`.
    """

    address: Ints
    away_m: Floats
    combination: npt.NDArray[np.int32]
    first: Ints
    area: Ints
    held: Floats


def look_around(reference: Reference, posterior: Posterior, answers: Answers) -> Around:
    """What lies at each answer.

    A region whose bounding circle lies wholly in one set of areas is answered at once; the others leaf by leaf.
    """
    calls = len(answers.radius_m)
    place = answers.latitude_deg, answers.longitude_deg
    address, away_m = np.full(calls, -1), np.full(calls, np.inf)
    if reference.addresses is not None:
        address, away_m = reference.addresses.nearest(*place, ADDRESS_REACH_M)
    combination, first, area, held = np.full(calls, -1, np.int32), np.zeros(1, np.int64), address[:0], away_m[:0]
    if reference.areas is not None:
        combination = reference.areas.undivided_among(*place, answers.reach_m)
        divided = np.flatnonzero(combination < 0)
        if len(divided):
            leaves, count = posterior.leaves, answers.region_leaves
            first, area, held = reference.areas.held_masses(
                divided, leaves.starts, count, leaves.vectors, posterior.pieces.anchor, leaves.mass
            )
    return Around(address, away_m, combination, first, area, held)


def addresses_of(reference: Reference, around: Around) -> list[tuple[CivicAddress, float] | None]:
    """The address nearest to each position with its distance in metres, or None."""
    store = reference.addresses
    if store is None:
        return [None] * len(around.address)
    return [
        None if row < 0 else (store.address(row), distance)
        for row, distance in zip(around.address.tolist(), around.away_m.tolist(), strict=True)
    ]


def area_shares(reference: Reference, around: Around, answers: Answers) -> list[tuple[AreaShare, ...]]:
    """Areas under each region with their share of its mass, largest first."""
    areas = reference.areas
    if areas is None:
        return [()] * len(around.combination)
    region = 0
    first, area, held = around.first.tolist(), around.area.tolist(), around.held.tolist()
    result = []
    for combination, whole in zip(around.combination.tolist(), answers.region_mass.tolist(), strict=True):
        if combination >= 0:
            result.append(areas.whole(combination))
            continue
        own = range(first[region], first[region + 1])
        region += 1
        shares = [
            AreaShare(areas.names[area[k]], areas.dataset_of[area[k]], min(1.0, held[k] / whole))
            for k in own
            if held[k] / whole >= LEAST_SHARE
        ]
        if len(shares) > 1:
            shares.sort(key=lambda s: (-s.share, s.name))
        result.append(tuple(shares))
    return result
