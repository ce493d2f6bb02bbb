"""Distributions of one number as a line through a few points: read from a table, looked up in a microsecond."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Spread:
    """A distribution: `shares[i]` of all cases are at most `values[i]`, and between two points it is a straight line.

    Parameters
    ----------
    shares
        From 0 to 1, ascending without repeats.
    values
        Ascending; a repeat is a jump: all cases between the two shares are at that value.
    """

    shares: tuple[float, ...]
    values: tuple[float, ...]

    @staticmethod
    def through(points: Iterable[Sequence[float]]) -> Spread:
        """The distribution through pairs of a share and a value.

        Raises
        ------
        ValueError
            Shares do not ascend from 0 to 1, or values descend; the message says which.

        >>> Spread.through([(0, 1.0), (0.5, 2.0), (1, 6.0)]).value_at(0.75)
        4.0
        """
        shares, values = zip(*((float(share), float(value)) for share, value in points), strict=True)
        if len(shares) < 2 or shares[0] != 0.0 or shares[-1] != 1.0:
            raise ValueError("needs two pairs or more, the first with the share 0 and the last with the share 1")
        for a, b, low, high in zip(shares, shares[1:], values, values[1:], strict=False):
            if not a < b:
                raise ValueError(f"shares must ascend: {b:g} stands after {a:g}")
            if not low <= high:
                raise ValueError(f"values must not descend: {high:g} stands after {low:g}")
        return Spread(shares, values)

    def share_below(self, value: float) -> float:
        """The share of cases that are at most `value`.

        >>> spread = Spread.through([(0, 1.0), (0.5, 2.0), (0.9, 2.0), (1, 6.0)])
        >>> [spread.share_below(v) for v in (0.0, 1.5, 2.0, 9.0)]
        [0.0, 0.25, 0.9, 1.0]
        """
        values, shares = self.values, self.shares
        place = bisect_right(values, value)
        if place == 0:
            return 0.0
        if place == len(values):
            return 1.0
        low, share = values[place - 1], shares[place - 1]
        return share + (value - low) / (values[place] - low) * (shares[place] - share)

    def value_at(self, share: float) -> float:
        """The value that `share` of all cases do not exceed.

        >>> Spread.through([(0, 1.0), (1, 3.0)]).value_at(0.5)
        2.0
        """
        shares, values = self.shares, self.values
        place = min(max(bisect_left(shares, share), 1), len(shares) - 1)
        low, value = shares[place - 1], values[place - 1]
        reached = (min(max(share, 0.0), 1.0) - low) / (shares[place] - low)
        return value + reached * (values[place] - value)

    def drawn(self, count: int) -> list[float]:
        """`count` values that stand for the distribution, each for an equal share of it.

        >>> Spread.through([(0, 0.0), (1, 1.0)]).drawn(2)
        [0.25, 0.75]
        """
        return [self.value_at((i + 0.5) / count) for i in range(count)]


# Shares at which a distribution that was learned is written down.
TOLD = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5)
TOLD += tuple(round(1.0 - share, 3) for share in reversed(TOLD[:-1]))


def blended(
    before: Spread, weight: float, seen: Sequence[float], beyond: Sequence[float] = (), points: int = 200
) -> Spread:
    """The distribution of what was believed before and of what was seen together.

    Parameters
    ----------
    before
        Believed before.
    weight
        Of it, in cases; above 0.
    seen
        Values of cases.
    beyond
        Of other cases it is only known that their value is at least this.

    References
    ----------
    The product-limit estimator (Kaplan and Meier 1958) in Efron's form: a case of which only a bound is known is shared
    out among all that lie above it.

    >>> flat = Spread.through([(0, 0.0), (1, 1.0)])
    >>> round(blended(flat, 1e-9, [0.2] * 100).value_at(0.5), 6)
    0.2
    >>> round(blended(flat, 20.0, [0.2] * 20).share_below(0.21), 1)
    0.6
    """
    cases = [(value, 0, weight / points) for value in before.drawn(points)]
    cases += [(value, 0, 1.0) for value in seen] + [(value, 1, 1.0) for value in beyond]
    cases.sort()
    # Mass above each case, from the top; a bound's own mass goes there, by raising all that follows.
    whole = sum(mass for _, _, mass in cases)
    above = whole
    raised, below = 1.0, 0.0
    reached: list[tuple[float, float]] = []
    for place, (value, is_bound, mass) in enumerate(cases):
        above -= mass
        if is_bound and above > 1e-12 * whole and place + 1 < len(cases):
            raised *= (above + mass) / above
            continue
        below += mass * raised
        reached.append((below / whole, value))
    return _told(reached, before)


def _told(reached: list[tuple[float, float]], before: Spread) -> Spread:
    """The steps of a distribution as a line through TOLD; both ends as far as anything was believed or seen."""
    ends = min(before.values[0], reached[0][1]), max(before.values[-1], reached[-1][1])
    shares = [share for share, _ in reached]
    inner = [reached[min(bisect_left(shares, told), len(reached) - 1)][1] for told in TOLD[1:-1]]
    return Spread(TOLD, (ends[0], *inner, ends[1]))
