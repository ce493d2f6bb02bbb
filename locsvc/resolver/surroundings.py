"""What lies at the answers: the nearest address, and the share of each area."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locsvc.model import AreaShare

if TYPE_CHECKING:
    from locsvc.fusion.grid import Posterior
    from locsvc.fusion.region import Answers
    from locsvc.model import CivicAddress
    from locsvc.reference.areas import AreaStore
    from locsvc.reference.store import Reference

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
    undivided = areas.undivided_among(answers.latitude_deg, answers.longitude_deg, answers.reach_m).tolist()
    return [
        areas.whole(combination) if combination >= 0 else _shares(areas, posterior, answers, call)
        for call, combination in enumerate(undivided)
    ]


def _shares(areas: AreaStore, posterior: Posterior, answers: Answers, call: int) -> tuple[AreaShare, ...]:
    """Areas under the leaves of one region."""
    leaves = posterior.leaves
    first = int(leaves.starts[call])
    region = slice(first, first + int(answers.region_leaves[call]))
    whole = float(answers.region_mass[call])
    shares = [
        AreaShare(areas.names[area], areas.dataset_of[area], min(1.0, mass / whole))
        for area, mass in areas.held_mass(leaves.vectors[region], posterior.pieces.anchor[call], leaves.mass[region])
        if mass / whole >= LEAST_SHARE
    ]
    return tuple(sorted(shares, key=lambda s: (-s.share, s.name)))
