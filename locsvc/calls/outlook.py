"""Whether an estimate will do, and what waiting may bring: pure functions of what is known at one moment.

The model behind the chances, with the symbols used below; docs/live-calls.md has its words:

    k       kind of the call, mobile or fixed; w_k its probability given what has and has not arrived
    s_kj    share of calls of kind k in which source j speaks, F_j(t) share of those in which it has by t seconds
    b_kj    share of its words that name a place, G_j(r) share of its places with which the radius is at most r

    w_k     ~ p_k * prod_{j spoken} s_kj * prod_{j silent} (1 - s_kj F_j(t)) * P(what the line says | k)
    a_kj(h) = s_kj (F_j(t + h) - F_j(t)) / (1 - s_kj F_j(t))        j speaks within h, silent by t

Sources are independent of each other given the kind of the call.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from locsvc.calls.sources import LINE, SOURCES, line_says, spoken
from locsvc.geo import distance_m
from locsvc.units import rescale_circle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locsvc.calls.arrivals import Arrivals, RadiusTable, SourceArrivals
    from locsvc.model import Evidence, LocationEstimate

# Widest radius at 90 % that is fit to dispatch, metres: 47 CFR 9.10(i), (j) (50 m for 80 % of wireless calls, stated at
# 90 %) and EENA's recommendation (50 m for 80 % of mobile emergency communications, eena.org 2024-03-05).
FIT_RADIUS_M: Final = 50.0
# From the start of the call, seconds: a call taker has 20 s to learn where and why.
DEADLINE_S: Final = 20.0
HORIZONS_S: Final = (5.0, 10.0, 20.0)
# A better answer has at most this part of the present radius: half of the area.
BETTER: Final = 0.7
# Chances below this are not worth a line.
LEAST_CHANCE: Final = 0.005
_PLACES: Final = {source: place for place, source in enumerate(SOURCES)}
# Kinds of call that are less probable than this are not reckoned with.
_LEAST_WEIGHT: Final = 1e-6
# What has happened was not impossible, whatever the file says.
_LEAST_SHARE: Final = 1e-9
# Radii of arrivals hold this.
_CONFIDENCE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Awaited:
    """A source that has not spoken.

    Parameters
    ----------
    source
        One of `locsvc.calls.sources.SOURCES`.
    chance
        Probability that it speaks at all from now on.
    median_wait_s
        Seconds from now by which it has spoken in half of the cases in which it speaks.
    radius_m
        Radius that an estimate with it commonly has at the estimate's confidence, metres.
    """

    source: str
    chance: float
    median_wait_s: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Prospect:
    """What waiting may bring: probability of a better answer within some seconds, and the radius that it commonly has.

    `radius_m` is None where the chance is nothing (below LEAST_CHANCE).
    """

    within_s: float
    chance: float
    radius_m: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether an estimate will do, and what waiting may bring; fields are the contract's."""

    fit_to_dispatch: bool
    unfit_because: tuple[str, ...]
    fit_radius_m: float
    elapsed_s: float
    deadline_at: float
    awaited: tuple[Awaited, ...]
    prospects: tuple[Prospect, ...]


# For each kind of call that is reckoned with, its probability, and a b of some sources.
_OfKinds = list[tuple[float, tuple[float, ...]]]


_NO_PROSPECTS: Final = tuple(Prospect(within_s, 0.0, None) for within_s in HORIZONS_S)


class _Silent(NamedTuple):
    """A source that has not spoken, at the moment: F(t), and for each kind reckoned with s, 1 - s F(t) and b."""

    known: SourceArrivals
    come: float
    kinds: tuple[tuple[float, float, float], ...]


def outlook_of(
    estimate: LocationEstimate,
    evidence: Sequence[Evidence],
    started_at: float,
    at: float,
    arrivals: Arrivals,
    *,
    fit_radius_m: float = FIT_RADIUS_M,
    deadline_s: float = DEADLINE_S,
) -> Outlook:
    """Whether an estimate will do, and what waiting may bring.

    Parameters
    ----------
    estimate
        As it is now.
    evidence
        All that it counts.
    started_at, at
        Start of the call, and now, Unix seconds; a start that is ahead is now.
    arrivals
        When sources speak.
    fit_radius_m
        Widest radius at the estimate's confidence that is fit to dispatch, metres.
    deadline_s
        From the start of the call, seconds.
    """
    elapsed_s = max(0.0, at - started_at)
    unfit = unfit_because(estimate, fit_radius_m)
    weights, silent = _silence(estimate, evidence, elapsed_s, arrivals)
    wider = rescale_circle(1.0, _CONFIDENCE, estimate.confidence)
    return Outlook(
        not unfit,
        unfit,
        fit_radius_m,
        elapsed_s,
        min(started_at, at) + deadline_s,
        _awaited(silent, weights, elapsed_s, wider),
        _prospects(silent, weights, elapsed_s, estimate.radius_m, wider, arrivals.radii),
    )


def unfit_because(estimate: LocationEstimate, fit_radius_m: float) -> tuple[str, ...]:
    """Why an estimate is not fit to dispatch, in words; empty when it is.

    It is fit when its radius is at most `fit_radius_m` and, where the address dataset reaches, no other place than that
    of the address is left: none of the alternatives lies outside the circle.
    """
    position, radius_m = estimate.position, estimate.radius_m
    if position is None or radius_m is None:
        return ("no place is known",)
    said = []
    if not radius_m <= fit_radius_m:
        share = f"{100 * estimate.confidence:.4g} %"
        said.append(f"the radius at {share} is {math.ceil(radius_m):,} m, wider than {fit_radius_m:,.4g} m")
    if estimate.address is not None and estimate.alternatives:
        for other in estimate.alternatives:
            there = other.position
            away_m = float(
                distance_m(position.latitude_deg, position.longitude_deg, there.latitude_deg, there.longitude_deg)
            )
            if away_m > radius_m:
                said.append(f"the address is not the only one: a place {away_m:,.0f} m away has {other.mass:.0%}")
                break
    return tuple(said)


def _silence(
    estimate: LocationEstimate, evidence: Sequence[Evidence], elapsed_s: float, arrivals: Arrivals
) -> tuple[list[float], list[_Silent]]:
    """The probability of each kind of call that is reckoned with, and the sources that may still speak."""
    said = spoken(evidence, estimate.contributions)
    mobile, fixed = arrivals.mobile, 1.0 - arrivals.mobile
    still = []
    for known in arrivals.sources:
        of_mobile, of_fixed = known.share
        if known.source in said:
            mobile *= max(of_mobile, _LEAST_SHARE)
            fixed *= max(of_fixed, _LEAST_SHARE)
        else:
            come = known.time_s.share_below(elapsed_s)
            left_mobile, left_fixed = 1.0 - of_mobile * come, 1.0 - of_fixed * come
            mobile *= max(left_mobile, _LEAST_SHARE)
            fixed *= max(left_fixed, _LEAST_SHARE)
            if come < 1.0:
                still.append((known, come, left_mobile, left_fixed))
    if LINE in said and fixed > _LEAST_WEIGHT * mobile:
        of_mobile, of_fixed = arrivals.says[line_says(evidence, estimate.contributions)]
        mobile *= max(of_mobile, _LEAST_SHARE)
        fixed *= max(of_fixed, _LEAST_SHARE)
    least = _LEAST_WEIGHT * (mobile + fixed)
    kept = [kind for kind, weight in enumerate((mobile, fixed)) if weight > least]
    whole = math.fsum((mobile, fixed)[kind] for kind in kept)
    weights = [(mobile, fixed)[kind] / whole for kind in kept]
    return weights, [
        _Silent(known, come, tuple((known.share[k], (left_mobile, left_fixed)[k], known.placed[k]) for k in kept))
        for known, come, left_mobile, left_fixed in still
    ]


def _awaited(silent: list[_Silent], weights: list[float], elapsed_s: float, wider: float) -> tuple[Awaited, ...]:
    """The silent sources, likeliest first."""
    found = []
    for known, come, kinds in silent:
        later = 1.0 - come
        chance = sum(w * s * later / left for w, (s, left, _) in zip(weights, kinds, strict=True) if s)
        if chance >= LEAST_CHANCE:
            wait_s = known.time_s.value_at(come + 0.5 * later) - elapsed_s
            radius_m = math.exp(known.log_radius.value_at(0.5)) * wider
            found.append(Awaited(known.source, chance, max(0.0, wait_s), radius_m))
    found.sort(key=_likeliest)
    return tuple(found)


def _likeliest(awaited: Awaited) -> tuple[float, int]:
    return -awaited.chance, SOURCES.index(awaited.source)


def _prospects(
    silent: list[_Silent],
    weights: list[float],
    elapsed_s: float,
    radius_m: float | None,
    wider: float,
    radii: RadiusTable,
) -> tuple[Prospect, ...]:
    """What each of HORIZONS_S may bring."""
    wanted = math.inf if radius_m is None else math.log(max(BETTER * radius_m / wider, 1e-9))
    # Sources whose places are never narrow enough bring nothing.
    able = [each for each in silent if each.known.log_radius.values[0] < wanted]
    if not able:
        return _NO_PROSPECTS
    return tuple(_prospect(able, weights, elapsed_s, within_s, wanted, wider, radii) for within_s in HORIZONS_S)


def _prospect(
    able: list[_Silent],
    weights: list[float],
    elapsed_s: float,
    within_s: float,
    wanted: float,
    wider: float,
    radii: RadiusTable,
) -> Prospect:
    """What one horizon may bring; `wanted` is the logarithm of the widest radius that is better, at 0.9."""
    until_s = elapsed_s + within_s
    # Of each source that may speak by then: a b by kind, its place in the table, G at the radius that is wanted.
    speaks, places, narrow = [], [], []
    for known, come, kinds in able:
        comes = known.time_s.share_below(until_s) - come
        if comes > 0.0:
            speaks.append([share * comes / left * placed if share else 0.0 for share, left, placed in kinds])
            places.append(_PLACES[known.source])
            narrow.append(known.log_radius.share_below(wanted))
    if not speaks:
        return Prospect(within_s, 0.0, None)
    of_kinds = list(zip(weights, zip(*speaks, strict=True), strict=True))
    chance = _chance(of_kinds, narrow)
    if chance < LEAST_CHANCE:
        return Prospect(within_s, chance, None)
    log_radius = _halfway(of_kinds, places, 0.5 * chance, radii)
    return Prospect(within_s, chance, math.exp(min(log_radius, wanted)) * wider)


def _chance(of_kinds: _OfKinds, narrow: Sequence[float]) -> float:
    """The probability that a place comes that is narrow enough: 1 - sum_k w_k prod_j (1 - a_kj b_kj G_j)."""
    chance = 1.0
    for weight, speaks in of_kinds:
        none = weight
        for a, g in zip(speaks, narrow):  # noqa: B905 - equally long, and on the path of every answer
            none *= 1.0 - a * g
        chance -= none
    # A probability of nothing is nothing, however it is rounded.
    return chance if chance > 1e-12 else 0.0


def _halfway(of_kinds: _OfKinds, places: list[int], half: float, radii: RadiusTable) -> float:
    """The logarithm of the radius for which `_chance` is `half`, between two of the table."""
    logs, shares = radii
    tables = [shares[place] for place in places]
    low, high = 0, len(logs) - 1
    below, above = 0.0, 2.0 * half
    while high - low > 1:
        middle = (low + high) >> 1
        chance = _chance(of_kinds, [table[middle] for table in tables])
        if chance < half:
            low, below = middle, chance
        else:
            high, above = middle, chance
    return logs[low] + min(1.0, (half - below) / (above - below)) * (logs[high] - logs[low])
