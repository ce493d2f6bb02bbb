"""Estimates that were given, computed again from the journal's record and compared to the last bit."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Final

from locsvc.calls.considered import Considered, with_warnings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from locsvc.calls.words import CallRecord, Given
    from locsvc.model import Call, DatasetVersion, LocationEstimate, Warning
    from locsvc.resolver import Resolver

# When an estimate was made, and on what, is told apart.
_NOT_COMPARED: Final = frozenset({"estimated_at", "datasets"})
# Estimates that are computed as one array.
_AT_ONCE: Final = 64
# Characters of a value that are shown.
_SHOWN: Final = 80


class Verdict(enum.IntEnum):
    """What became of an estimate that was computed again."""

    EQUAL = 0
    DIFFERS = 1
    OTHER_DATA = 2


@dataclass(frozen=True, slots=True)
class Replayed:
    """One estimate that was computed again.

    Parameters
    ----------
    revision, confidence
        Which one.
    verdict
        OTHER_DATA: it was made with another snapshot or calibration, so that it can neither be equal nor differ.
    words
        The first field that differs with both values, or which data are others; empty when it is equal.
    """

    revision: int
    confidence: float
    verdict: Verdict
    words: str = ""

    @property
    def equal(self) -> bool:
        """Whether it came out the same to the last bit."""
        return self.verdict is Verdict.EQUAL


def replay(record: CallRecord, given: Sequence[Given], resolver: Resolver) -> list[Replayed]:
    """What comes out for each estimate that was given, in their order.

    Parameters
    ----------
    record
        The call with all of its changes.
    given
        The estimates that were given for it.
    resolver
        Over the data directory.
    """
    found: dict[int, Replayed] = {}
    again: list[tuple[int, Given]] = []
    for place, each in enumerate(given):
        others = other_data(each.estimate.datasets, resolver.datasets)
        if others:
            found[place] = _replayed(each, Verdict.OTHER_DATA, others)
        else:
            again.append((place, each))
    asked = _as_asked(record, {each.revision for _, each in again})
    for place, each in again:
        if each.revision not in asked:
            what = f"the journal has no revision {each.revision} of the call: it ends with {record.revision}"
            found[place] = _replayed(each, Verdict.DIFFERS, what)
    known = [(place, each) for place, each in again if place not in found]
    for start in range(0, len(known), _AT_ONCE):
        part = known[start : start + _AT_ONCE]
        estimates = _resolved([(each, *asked[each.revision]) for _, each in part], resolver)
        for (place, each), estimate in zip(part, estimates, strict=True):
            words = difference(each.estimate, estimate)
            found[place] = _replayed(each, Verdict.DIFFERS if words else Verdict.EQUAL, words)
    return [found[place] for place in range(len(given))]


def _replayed(given: Given, verdict: Verdict, words: str) -> Replayed:
    return Replayed(given.revision, given.estimate.confidence, verdict, words)


def _as_asked(record: CallRecord, revisions: set[int]) -> dict[int, tuple[Call, tuple[Warning, ...], float]]:
    """For each revision the call that the resolver is asked about, what it is warned of besides, and its time."""
    asked = {}
    considered = Considered(record.call_id, record.started_at)
    for change in record.changes:
        considered.take(change)
        if change.revision in revisions:
            asked[change.revision] = (*considered.call(), change.at)
    return asked


def _resolved(
    asked: Sequence[tuple[Given, Call, tuple[Warning, ...], float]], resolver: Resolver
) -> list[LocationEstimate]:
    estimates = resolver.resolve(
        [call for _, call, _, _ in asked],
        confidences=[given.estimate.confidence for given, _, _, _ in asked],
        as_of=[at for _, _, _, at in asked],
    )
    return [with_warnings(estimate, warnings) for estimate, (_, _, warnings, _) in zip(estimates, asked, strict=True)]


def other_data(then: Sequence[DatasetVersion], now: Sequence[DatasetVersion]) -> str:
    """Which data an estimate was made with that are not those of now, in words; empty when they are the same.

    >>> from locsvc.model import DatasetVersion
    >>> other_data([DatasetVersion("cells", "cells", "a1")], [DatasetVersion("cells", "cells", "b2")])
    "made with cells 'cells' a1, now it is b2"
    """
    before, after = ({(each.dataset, each.name): each.version for each in versions} for versions in (then, now))
    for key in (*before, *after):
        was, is_now = before.get(key), after.get(key)
        if was == is_now:
            continue
        what = f"{key[0]} {key[1]!r}"
        if was is None:
            return f"made without {what}, now there is {is_now}"
        return f"made with {what} {was}, now " + ("there is none" if is_now is None else f"it is {is_now}")
    return ""


def difference(given: LocationEstimate, again: LocationEstimate) -> str:
    """The first field in which two estimates differ, with both values, in words; empty where they are equal to the bit.

    What says when, and on which data, is not compared.
    """
    for field in fields(given):
        if field.name not in _NOT_COMPARED:
            for path, then, now in _differences(field.name, getattr(given, field.name), getattr(again, field.name)):
                return f"{path}: {_shown(then)} was given, {_shown(now)} comes out"
    return ""


def _differences(path: str, then: object, now: object) -> Iterator[tuple[str, object, object]]:
    """Where two values differ, deepest first."""
    if type(then) is type(now) and is_dataclass(then) and not isinstance(then, type):
        for field in fields(then):
            yield from _differences(f"{path}.{field.name}", getattr(then, field.name), getattr(now, field.name))
    elif isinstance(then, tuple) and isinstance(now, tuple):
        for place, (a, b) in enumerate(zip(then, now, strict=False)):
            yield from _differences(f"{path}[{place}]", a, b)
        if len(then) != len(now):
            yield f"{path}, its length", len(then), len(now)
    elif then != now and not (then != then and now != now):  # noqa: PLR0124 - NaN is NaN again
        yield path, then, now


def _shown(value: object) -> str:
    text = value.name if isinstance(value, enum.Enum) else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
