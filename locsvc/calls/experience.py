"""Arrivals as a journal knows them: when sources spoke in the calls that it holds, held to what was known before."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from locsvc.calls.arrivals import LONGEST_S, Again, Arrivals, ByKind, SourceArrivals
from locsvc.calls.sources import LINE, SOURCES, LineSays, line_says, placed, said
from locsvc.calls.spread import blended
from locsvc.units import rescale_circle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from locsvc.calls.words import CallRecord, Given
    from locsvc.model import Evidence, LocationEstimate

    _Cases = Mapping[tuple[frozenset[str], LineSays | None], int]

# Radii are learned at this confidence; estimates at others are rescaled.
_CONFIDENCE: Final = 0.9
# Changes of one call that are looked at: what has not spoken by then is a storm's, not a call's.
_MOST_CHANGES: Final = 500
# Rounds in which shares and kinds of call settle.
_ROUNDS: Final = 50


@dataclass(slots=True)
class _Word:
    """A word of a source in a call, after some seconds.

    `placed` is None where no estimate tells; `log_radius` is the logarithm of the radius at 0.9 that came of it, or
    when `bound` that of a radius that it was no better than; None where nothing is known of it.
    """

    time_s: float
    placed: bool | None = None
    log_radius: float | None = None
    bound: bool = False


@dataclass(frozen=True, slots=True)
class _Further:
    """A word of a source that had spoken before.

    `word` counts seconds from the one before it; of its radius it tells where the answer had no place of the source.
    `log_ratio` is the logarithm of the radius of the answer over that before, 0 where it is no narrower; None where it
    is not known or not to be compared.
    """

    word: _Word
    log_ratio: float | None = None


@dataclass(slots=True)
class _Seen:
    """What one call shows: the first word of each source, and those after it."""

    started_at: float
    complete: bool
    words: dict[str, _Word] = field(default_factory=dict)
    further: dict[str, list[_Further]] = field(default_factory=dict)
    says: LineSays | None = None

    @property
    def case(self) -> tuple[frozenset[str], LineSays | None]:
        """Who spoke, and what the line's record says of the kind of call; None where it did not, or nobody knows."""
        return frozenset(self.words), self.says


def learned(
    records: Iterable[CallRecord], given: Callable[[str], Sequence[Given]], before: Arrivals | None = None
) -> Arrivals:
    """Arrivals as some calls show them, held to `before` (the default ones) as to `before.prior_calls` calls more.

    `learned_from` tells of how many besides, and which count.
    """
    return learned_from(records, given, before)[0]


def learned_from(
    records: Iterable[CallRecord], given: Callable[[str], Sequence[Given]], before: Arrivals | None = None
) -> tuple[Arrivals, int]:
    """The same, and how many of the calls counted.

    Calls count that are over, or older than two minutes when the newest change was made; calls that were told of later
    than that after their start do not. `before` itself comes back when none counts.

    Parameters
    ----------
    records
        Whole calls with their changes, as `Journal.arrivals` gives them.
    given
        The estimates that were given for a call, as `Journal.given` gives them.
    before
        What was known before.
    """
    before = before or Arrivals.default()
    seen, newest = [], -math.inf
    for record in records:
        if record.changes:
            newest = max(newest, record.changes[-1].at)
            if record.changes[0].at - record.started_at <= LONGEST_S:
                seen.append(_seen(record, given(record.call_id), before))
    seen = [each for each in seen if each.complete or each.started_at + LONGEST_S <= newest]
    return (_together(seen, before) if seen else before), len(seen)


def _seen(record: CallRecord, given: Sequence[Given], before: Arrivals) -> _Seen:
    """What one call shows."""
    call = _Seen(record.started_at, record.ended_at is not None)
    estimates = _by_revision(given)
    # When each source spoke last.
    spoke_at: dict[str, float] = {}
    # Messages that may hold several things are known only by an estimate: they are looked at until there is one.
    pieces: list[Evidence] = []
    every: list[Evidence] = []
    last: LocationEstimate | None = None
    for change in islice(record.changes, _MOST_CHANGES):
        estimate = estimates.get(change.revision)
        old = len(pieces)
        pieces += change.evidence
        words = said(pieces, estimate.contributions if estimate is not None else ())
        moment = _Moment(change.at, pieces, estimate, last, before)
        # What comes too late is as good as never, and not waited for any more either.
        new = words.keys() - spoke_at.keys()
        if new and change.at - record.started_at <= LONGEST_S:
            call.words |= moment.words(new, change.at - record.started_at)
            if LINE in new and estimate is not None:
                call.says = line_says(pieces, estimate.contributions)
        now = {source for source, word in words.items() if word.last >= old}
        for source in (now & call.words.keys()) - new:
            if change.at - spoke_at[source] <= LONGEST_S:
                alone = len(now) == 1
                call.further.setdefault(source, []).append(
                    moment.further(source, change.at - spoke_at[source], every, alone=alone)
                )
        spoke_at |= dict.fromkeys(new | now, change.at)
        if estimate is not None:
            every += pieces
            last, pieces = estimate, []
    return call


def _by_revision(given: Sequence[Given]) -> dict[int, LocationEstimate]:
    """Of each revision the estimate whose confidence is nearest to 0.9."""
    best: dict[int, LocationEstimate] = {}
    for each in given:
        known = best.get(each.revision)
        if known is None or abs(each.estimate.confidence - _CONFIDENCE) < abs(known.confidence - _CONFIDENCE):
            best[each.revision] = each.estimate
    return best


@dataclass(frozen=True, slots=True)
class _Moment:
    """One change of a call: its pieces, the estimate after it and the one before, None where there is none."""

    at: float
    pieces: Sequence[Evidence]
    estimate: LocationEstimate | None
    last: LocationEstimate | None
    before: Arrivals

    def words(self, new: set[str], time_s: float) -> dict[str, _Word]:
        """The words of some sources, which came after so many seconds."""
        time_s, estimate = max(0.0, time_s), self.estimate
        if estimate is None:
            return {source: _Word(time_s) for source in new}
        with_place = placed(self.pieces, estimate.contributions) & new
        words = {source: _Word(time_s, source in with_place) for source in new}
        now_m, before_m = _radius_m(estimate), None if self.last is None else _radius_m(self.last)
        if now_m is None:
            return words
        # Of several that came at once the radius is that of the one that is commonly narrower.
        first = True
        for source in sorted(with_place, key=lambda s: self.before.of(s).log_radius.value_at(0.5)):
            better = first and (before_m is None or now_m < before_m)
            reached_m = now_m if better or before_m is None else min(now_m, before_m)
            words[source].log_radius, words[source].bound = math.log(max(reached_m, 0.1)), not better
            first = False
        return words

    def further(self, source: str, time_s: float, every: Sequence[Evidence], *, alone: bool) -> _Further:
        """A word of a source that had spoken; `every` are the pieces before, `alone`: no other spoke with it."""
        if self.estimate is None or self.last is None:
            return _Further(_Word(time_s))
        known = said(every, self.last.contributions).get(source)
        now_m, before_m = _radius_m(self.estimate), _radius_m(self.last)
        if known is None or not known.counts or before_m is None:
            return _Further(self.words({source}, time_s)[source] if alone else _Word(time_s))
        if not alone or now_m is None:
            return _Further(_Word(time_s))
        return _Further(_Word(time_s), min(0.0, math.log(max(now_m, 0.1) / max(before_m, 0.1))))


def _radius_m(estimate: LocationEstimate) -> float | None:
    """The radius at 0.9."""
    if estimate.radius_m is None or estimate.confidence == _CONFIDENCE:
        return estimate.radius_m
    return rescale_circle(estimate.radius_m, estimate.confidence, _CONFIDENCE)


def _together(seen: list[_Seen], before: Arrivals) -> Arrivals:
    """What all calls show, with what was known before."""
    # Calls that show the same are one case with a weight.
    cases = Counter(call.case for call in seen)
    shares = replace(before)
    for _ in range(_ROUNDS):
        shares = _settled(cases, shares, before)
    return replace(
        shares,
        sources=tuple(_source(each, seen, shares, before) for each in shares.sources),
        origin=_origin(seen),
    )


def _weights(words: frozenset[str], says: LineSays | None, shares: Arrivals) -> ByKind:
    """The probability of each kind of call, given which sources spoke in the whole of it."""
    weights = [shares.mobile, 1.0 - shares.mobile]
    for kind in range(len(weights)):
        for each in shares.sources:
            share = each.share[kind]
            weights[kind] *= share if each.source in words else 1.0 - share
        if says is not None:
            weights[kind] *= shares.says[says][kind]
    whole = sum(weights)
    # Impossible for either: as probable as ever.
    return ByKind(*(w / whole for w in weights)) if whole > 0.0 else ByKind(shares.mobile, 1.0 - shares.mobile)


def _settled(cases: _Cases, shares: Arrivals, before: Arrivals) -> Arrivals:
    """One round of expectation and maximisation over the kinds of call (Dempster, Laird and Rubin 1977)."""
    n = before.prior_calls
    # Weight of the calls in which each thing was seen, by kind.
    calls = [0.0 for _ in ByKind._fields]
    spoke: list[dict[str, float]] = [dict.fromkeys(SOURCES, 0.0) for _ in calls]
    told: list[dict[LineSays, float]] = [dict.fromkeys(LineSays, 0.0) for _ in calls]
    for (words, says), count in cases.items():
        for kind, weight in enumerate(_weights(words, says, shares)):
            calls[kind] += count * weight
            for source in words:
                spoke[kind][source] += count * weight
            if says is not None:
                told[kind][says] += count * weight

    def share(known: SourceArrivals) -> ByKind:
        return ByKind(
            *((n * s + c[known.source]) / (n + of) for s, c, of in zip(known.share, spoke, calls, strict=True))
        )

    says_now = {
        says: ByKind(*((n * s + c[says]) / (n + sum(c.values())) for s, c in zip(pair, told, strict=True)))
        for says, pair in before.says.items()
    }
    return replace(
        before,
        mobile=(n * before.mobile + calls[0]) / (n + sum(calls)),
        sources=tuple(replace(each, share=share(each)) for each in before.sources),
        says=says_now,
    )


def _source(shares: SourceArrivals, seen: list[_Seen], all_shares: Arrivals, before: Arrivals) -> SourceArrivals:
    """One source: its times, places and radii."""
    n, known, source = before.prior_calls, before.of(shares.source), shares.source
    times = [call.words[source].time_s for call in seen if source in call.words]
    observed: list[float] = []
    bounds: list[float] = []
    told, with_place = [n, n], [n * b for b in known.placed]
    for call in seen:
        # A later word tells of places and radii too, where it is as a first one would have been.
        first = [call.words[source]] if source in call.words else []
        for word in first + [each.word for each in call.further.get(source, ())]:
            if word.placed is not None:
                for kind, weight in enumerate(_weights(*call.case, all_shares)):
                    told[kind] += weight
                    with_place[kind] += weight * word.placed
            if word.log_radius is not None:
                (bounds if word.bound else observed).append(word.log_radius)
    return SourceArrivals(
        source,
        shares.share,
        ByKind(*(part / whole for part, whole in zip(with_place, told, strict=True))),
        blended(known.time_s, n, times),
        blended(known.log_radius, n, observed, bounds),
        _again(source, seen, n, known.again),
    )


def _again(source: str, seen: list[_Seen], n: float, known: Again) -> Again:
    """What a source does once it has spoken; `known` before weighs as `n` of its words."""
    further = [each for call in seen for each in call.further.get(source, ())]
    words = sum(source in call.words for call in seen) + len(further)
    ratios = [each.log_ratio for each in further if each.log_ratio is not None]
    return Again(
        (n * known.share + len(further)) / (n + words),
        blended(known.time_s, n, [each.word.time_s for each in further]),
        blended(known.log_ratio, n, ratios),
    )


def _origin(seen: list[_Seen]) -> str:
    first, last = (
        datetime.fromtimestamp(pick(call.started_at for call in seen), UTC).date().isoformat() for pick in (min, max)
    )
    spoke = ", ".join(f"{source} in {sum(source in call.words for call in seen):,}" for source in SOURCES)
    return f"learned from {len(seen):,} calls of {first} to {last}: {spoke}"
