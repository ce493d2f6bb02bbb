"""Whether an estimate will do, and what waiting may bring: pure functions of what is known at one moment.

The model behind the chances, with the symbols used below; docs/live-calls.md has its words:

    k       kind of the call, mobile or fixed; w_k its probability given what has and has not arrived
    s_kj    share of calls of kind k in which source j speaks, F_j(t) share of those in which it has by t seconds
    b_kj    share of its words that name a place, G_j(r) share of its places with which the radius is at most r

    q_j     share of j's words that another one follows, D_j(u) share of those in which it has u seconds after
    R_j(x)  share of these in which the answer's radius is then at most x of what it was, where it rested on j before

    w_k     ~ p_k * prod_{j spoken} s_kj * prod_{j silent} (1 - s_kj F_j(t)) * P(what the line says | k)
    a_kj(h) = s_kj (F_j(t + h) - F_j(t)) / (1 - s_kj F_j(t))        j speaks within h, silent by t
    a_j(h)  = q_j (D_j(u + h) - D_j(u)) / (1 - q_j D_j(u))          j speaks again within h, silent for u since its word

Sources are independent of each other given the kind of the call, and so is a word of those before it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from locsvc.calls.sources import LINE, SOURCES, line_says, said
from locsvc.geo import distance_m
from locsvc.units import rescale_circle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from locsvc.calls.arrivals import Arrivals, RadiusTable, SourceArrivals
    from locsvc.calls.sources import LineSays, Said
    from locsvc.calls.spread import Spread
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
# Kinds of call that are less probable than this are not reckoned with.
_LEAST_WEIGHT: Final = 1e-6
# What has happened was not impossible, whatever the file says.
_LEAST_SHARE: Final = 1e-9
# Radii of arrivals hold this.
_CONFIDENCE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Awaited:
    """A source that may speak, for the first time or again.

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


class _Open(NamedTuple):
    """A source that may speak, for the first time or again, as it stands at the moment.

    Parameters
    ----------
    time_s, since_s, come
        When it speaks, counted from what; how long ago that is; and the share of its times that is over.
    kinds
        For each kind of call that is reckoned with: share of calls in which it speaks, that of those in which it would
        be silent by now, and share of its words that bring a place.
    log_radius, offset
        The radius of the answer with its place, in logarithms: the distribution, and what is to be added to it.
    place
        In the table of radii; -1 where they are counted from the present one.
    """

    source: str
    time_s: Spread
    since_s: float
    come: float
    kinds: tuple[tuple[float, float, float], ...]
    log_radius: Spread
    offset: float
    place: int


def outlook_of(
    estimate: LocationEstimate,
    evidence: Sequence[Evidence],
    started_at: float,
    at: float,
    arrivals: Arrivals,
    *,
    arrived_at: Sequence[float] = (),
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
    arrived_at
        When each piece of the evidence arrived, Unix seconds; pieces without a time arrived now.
    fit_radius_m
        Widest radius at the estimate's confidence that is fit to dispatch, metres.
    deadline_s
        From the start of the call, seconds.
    """
    elapsed_s = max(0.0, at - started_at)
    unfit = unfit_because(estimate, fit_radius_m)
    wider = rescale_circle(1.0, _CONFIDENCE, estimate.confidence)
    silence_s = [at - each for each in arrived_at]
    weights, still = _still(estimate, evidence, silence_s, elapsed_s, arrivals, wider)
    return Outlook(
        not unfit,
        unfit,
        fit_radius_m,
        elapsed_s,
        min(started_at, at) + deadline_s,
        _awaited(still, weights, wider),
        _prospects(still, weights, estimate.radius_m, wider, arrivals.radii),
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


def _still(
    estimate: LocationEstimate,
    evidence: Sequence[Evidence],
    silence_s: Sequence[float],
    elapsed_s: float,
    arrivals: Arrivals,
    wider: float,
) -> tuple[list[float], list[_Open]]:
    """The probability of each kind of call that is reckoned with, and the sources that may still speak.

    `silence_s` are the seconds since each piece of the evidence arrived.
    """
    words = said(evidence, estimate.contributions)
    comes = [0.0 if each.source in words else each.time_s.share_below(elapsed_s) for each in arrivals.sources]
    says = line_says(evidence, estimate.contributions) if LINE in words else None
    kept, weights = _kinds(words, comes, says, arrivals)
    log_now = None if estimate.radius_m is None else math.log(max(estimate.radius_m / wider, 1e-9))
    still = []
    for place, (known, come) in enumerate(zip(arrivals.sources, comes, strict=True)):
        word = words.get(known.source)
        if word is None:
            if come < 1.0:
                of = tuple((known.share[k], 1.0 - known.share[k] * come, known.placed[k]) for k in kept)
                still.append(_Open(known.source, known.time_s, elapsed_s, come, of, known.log_radius, 0.0, place))
        elif known.again.share:
            quiet_s = elapsed_s if word.last < 0 else silence_s[word.last] if word.last < len(silence_s) else 0.0
            still += _once_more(known, place, max(0.0, quiet_s), log_now if word.counts else None, kept)
    return weights, still


def _kinds(
    words: Mapping[str, Said], come: list[float], says: LineSays | None, arrivals: Arrivals
) -> tuple[list[int], list[float]]:
    """The kinds of call that are reckoned with (their places in ByKind), and their probabilities.

    `come` are the shares F(t) of the silent sources; `says` is what the line says, if it spoke.
    """
    mobile, fixed = arrivals.mobile, 1.0 - arrivals.mobile
    for place, known in enumerate(arrivals.sources):
        of_mobile, of_fixed = known.share
        if known.source not in words:
            of_mobile, of_fixed = 1.0 - of_mobile * come[place], 1.0 - of_fixed * come[place]
        mobile *= max(of_mobile, _LEAST_SHARE)
        fixed *= max(of_fixed, _LEAST_SHARE)
    if says is not None:
        of_mobile, of_fixed = arrivals.says[says]
        mobile *= max(of_mobile, _LEAST_SHARE)
        fixed *= max(of_fixed, _LEAST_SHARE)
    weights = (mobile, fixed)
    least = _LEAST_WEIGHT * (mobile + fixed)
    kept = [kind for kind, weight in enumerate(weights) if weight > least]
    whole = math.fsum(weights[kind] for kind in kept)
    return kept, [weights[kind] / whole for kind in kept]


def _once_more(
    known: SourceArrivals, place: int, quiet_s: float, log_now: float | None, kept: list[int]
) -> tuple[_Open, ...]:
    """A source that has spoken and may again.

    `log_now` is the logarithm of the present radius, at 0.9, where that rests on a place of the source; None where it
    does not: then its next place is as its first would have been.
    """
    share, time_s = known.again.share, known.again.time_s
    come = time_s.share_below(quiet_s)
    if come >= 1.0:
        return ()
    left = 1.0 - share * come
    if log_now is not None:
        # The kind of the call makes no difference, and a word without a place leaves the answer as it was.
        of = ((share, left, 1.0),) * len(kept)
        return (_Open(known.source, time_s, quiet_s, come, of, known.again.log_ratio, log_now, -1),)
    of = tuple((share, left, known.placed[k]) for k in kept)
    return (_Open(known.source, time_s, quiet_s, come, of, known.log_radius, 0.0, place),)


def _awaited(still: list[_Open], weights: list[float], wider: float) -> tuple[Awaited, ...]:
    """The sources that may speak, likeliest first."""
    found = []
    for each in still:
        later = 1.0 - each.come
        chance = sum(w * s * later / left for w, (s, left, _) in zip(weights, each.kinds, strict=True) if s)
        if chance >= LEAST_CHANCE:
            wait_s = each.time_s.value_at(each.come + 0.5 * later) - each.since_s
            radius_m = math.exp(each.log_radius.value_at(0.5) + each.offset) * wider
            found.append(Awaited(each.source, chance, max(0.0, wait_s), radius_m))
    found.sort(key=_likeliest)
    return tuple(found)


def _likeliest(awaited: Awaited) -> tuple[float, int]:
    return -awaited.chance, SOURCES.index(awaited.source)


def _prospects(
    still: list[_Open], weights: list[float], radius_m: float | None, wider: float, radii: RadiusTable
) -> tuple[Prospect, ...]:
    """What each of HORIZONS_S may bring."""
    wanted = math.inf if radius_m is None else math.log(max(BETTER * radius_m / wider, 1e-9))
    # Sources whose places are never narrow enough bring nothing.
    able = []
    for each in still:
        narrow = each.log_radius.share_below(wanted - each.offset)
        if narrow > 0.0:
            able.append((each, narrow))
    if not able:
        return _NO_PROSPECTS
    return tuple(_prospect(able, weights, within_s, wanted, wider, radii) for within_s in HORIZONS_S)


def _prospect(
    able: list[tuple[_Open, float]],
    weights: list[float],
    within_s: float,
    wanted: float,
    wider: float,
    radii: RadiusTable,
) -> Prospect:
    """What one horizon may bring; `wanted` is the logarithm of the widest radius that is better, at 0.9."""
    # Of each source that may speak by then: a b by kind, the source itself, G at the radius that is wanted.
    speaks, sources, narrow = [], [], []
    for each, share_narrow in able:
        comes = each.time_s.share_below(each.since_s + within_s) - each.come
        if comes > 0.0:
            speaks.append([share * comes / left * placed if share else 0.0 for share, left, placed in each.kinds])
            sources.append(each)
            narrow.append(share_narrow)
    if not speaks:
        return Prospect(within_s, 0.0, None)
    of_kinds = list(zip(weights, zip(*speaks, strict=True), strict=True))
    chance = _chance(of_kinds, narrow)
    if chance < LEAST_CHANCE:
        return Prospect(within_s, chance, None)
    log_radius = _halfway(of_kinds, sources, chance, wanted, radii)
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


def _halfway(of_kinds: _OfKinds, sources: list[_Open], chance: float, wanted: float, radii: RadiusTable) -> float:
    """The logarithm of the radius for which `_chance` is half of what it is at `wanted`."""
    logs, shares = radii
    half = 0.5 * chance
    low, high = 0, min(bisect_left(logs, wanted), len(logs) - 1)
    low_log, high_log = logs[0], min(wanted, logs[-1])
    below, above = 0.0, chance
    while high - low > 1:
        middle = (low + high) >> 1
        log = logs[middle]
        narrow = [
            shares[each.place][middle] if each.place >= 0 else each.log_radius.share_below(log - each.offset)
            for each in sources
        ]
        found = _chance(of_kinds, narrow)
        if found < half:
            low, low_log, below = middle, log, found
        else:
            high, high_log, above = middle, log, found
    return low_log + min(1.0, (half - below) / (above - below)) * (high_log - low_log)
