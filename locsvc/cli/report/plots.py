"""The plots of a report: radii on a logarithmic axis, calls over time, the run's own pace."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from locsvc.cli import words
from locsvc.cli.report.charts import Bar, Mark, bars, folded, table

# Bars a decade of radii; bars of time and of the run's pace at most.
_PER_DECADE = 12
_MOST_BARS = 160
_PACES = 48
# Times at either end that hold less of the calls than this, far from all others, are told and not drawn.
_OUTLYING = 0.005


def radius_plot(middles_m: Sequence[float], counts: Sequence[int], quantiles: Mapping[str, float | None]) -> str:
    """How large the radii are, with quantiles as lines and as a table."""
    if not counts:
        return '<p class="soft">No call was located.</p>'
    places = [math.floor(math.log10(m) * _PER_DECADE) for m in middles_m]
    # Half a decade at least, so that one radius is a bar and not a wall.
    first, last = min(places) - 2, max(places) + 3
    held = dict.fromkeys(range(first, last), 0)
    for place, count in zip(places, counts, strict=True):
        held[place] += count

    def at(radius_m: float) -> float:
        return (math.log10(radius_m) * _PER_DECADE - first) / (last - first)

    drawn = [
        Bar(
            (place - first) / (last - first), (place + 0.93 - first) / (last - first), count,
            f"{_metres(10 ** (place / _PER_DECADE))} to {_metres(10 ** ((place + 1) / _PER_DECADE))}",
        )
        for place, count in held.items()
    ]  # fmt: skip
    steps = (1,) if last - first > 3 * _PER_DECADE else (1, 2, 5)
    decades = range(math.floor(first / _PER_DECADE), math.ceil(last / _PER_DECADE) + 1)
    ticks = [Mark(at(s * 10.0**d), _metres(s * 10.0**d)) for d in decades for s in steps]
    known = {float(q): r for q, r in quantiles.items() if r is not None}
    marks = [
        Mark(at(known[q]), f"{words.percent_text(q)} within {_metres(known[q])}") for q in (0.5, 0.9) if q in known
    ]
    rows = [[f"{words.percent_text(q)} of the located calls", f"within {_metres(r)}"] for q, r in known.items()]
    about = "Histogram of the radii. " + "; ".join(f"{a} {b}" for a, b in rows)
    plot = bars(drawn, [t for t in ticks if 0 <= t.at <= 1], marks, about=about)
    return plot + table(["Share", "Radius"], rows)


def _metres(radius_m: float) -> str:
    return words.distance_text(radius_m).replace(".0 ", " ").replace(".00 ", " ")


def time_plot(width_s: int, starts_s: Sequence[int], counts: Sequence[int]) -> str:
    """When the calls were."""
    if not counts:
        return ""
    first, last = _drawn_span(starts_s, counts)
    inside = range(first, last + 1)
    # As wide as keeps the bars few; a whole number of the counted ones.
    factor = math.ceil(((starts_s[last] - starts_s[first]) // width_s + 1) / _MOST_BARS)
    wide_s = width_s * factor
    start_s = starts_s[first] // wide_s * wide_s
    number = (starts_s[last] - start_s) // wide_s + 1
    held = [0] * number
    for i in inside:
        held[(starts_s[i] - start_s) // wide_s] += counts[i]
    drawn = [
        Bar(i / number, (i + 0.93) / number, count, _moment(start_s + i * wide_s, wide_s))
        for i, count in enumerate(held)
    ]
    ticks = [Mark(i / number, _moment(start_s + i * wide_s, wide_s)) for i in sorted({0, number // 2, number - 1})]
    about = f"Calls from {ticks[0].name} to {ticks[-1].name} UTC, {_span(wide_s)} a bar, {max(held):,} at most"
    left_out = sum(counts) - sum(held)
    more = f" {left_out:,} calls of other times, far from these, are not drawn." if left_out else ""
    rows = [[bar.name, f"{bar.count:,.0f}"] for bar in drawn if bar.count]
    return (
        bars(drawn, ticks, (), about=about)
        + f'<p class="soft">UTC, {_span(wide_s)} a bar.{more}</p>'
        + folded("As a table", table(["From", "Calls"], rows))
    )


def _drawn_span(starts_s: Sequence[int], counts: Sequence[int]) -> tuple[int, int]:
    """The first and last bin to draw: without a few calls before or after a gap as long as all the rest."""
    first = _after_gap(starts_s, counts)
    turned_s, turned = [-s for s in reversed(starts_s[first:])], list(reversed(counts[first:]))
    return first, len(counts) - 1 - _after_gap(turned_s, turned)


def _after_gap(starts_s: Sequence[int], counts: Sequence[int]) -> int:
    """The first bin behind the widest gap with few calls before it, if it is wider than what follows; else 0."""
    held = list(itertools.accumulate(counts))
    few = [i for i in range(1, len(counts)) if held[i - 1] < _OUTLYING * held[-1]]
    widest = max(few, key=lambda i: starts_s[i] - starts_s[i - 1], default=0)
    gap_s = starts_s[widest] - starts_s[widest - 1] if widest else 0
    return widest if gap_s > starts_s[-1] - starts_s[widest] else 0


def _moment(t_s: int, width_s: int) -> str:
    try:
        at = datetime.fromtimestamp(t_s, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{t_s} s"
    return f"{at:%Y-%m-%d}" if width_s >= 86_400 else f"{at:%Y-%m-%d %H:%M}"


def _span(width_s: int) -> str:
    """A length of time in the greatest unit that divides it.

    >>> _span(60), _span(7_200), _span(2_419_200)
    ('1 minute', '2 hours', '28 days')
    """
    for size_s, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if width_s % size_s == 0:
            count = width_s // size_s
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{width_s} s"


def pace_plot(pace: Sequence[tuple[float, int]]) -> str:
    """Calls a second from the first part on; `pace` are seconds and calls answered until then."""
    if len(pace) < 4 or pace[-1][0] - pace[0][0] < 1.0:
        return ""
    ends = [(s - pace[0][0], n - pace[0][1]) for s, n in pace]
    whole_s = ends[-1][0]
    number = min(_PACES, len(ends))
    step_s = whole_s / number
    reached = [_calls_at(ends, i * step_s) for i in range(number + 1)]
    rates = [max(b - a, 0.0) / step_s for a, b in itertools.pairwise(reached)]
    drawn = [Bar(i / number, (i + 0.93) / number, rate, f"from {i * step_s:,.1f} s on") for i, rate in enumerate(rates)]
    ticks = [Mark(0, "0 s"), Mark(0.5, f"{whole_s / 2:,.3g} s"), Mark(1, f"{whole_s:,.4g} s")]
    about = f"Calls a second over the {whole_s:,.0f} seconds of the run, {max(rates):,.0f} at most"
    return bars(drawn, ticks, (), about=about, unit="calls a second")


def _calls_at(ends: Sequence[tuple[float, int]], at_s: float) -> float:
    before = ends[0]
    for s, n in ends:
        if s >= at_s:
            return before[1] + (n - before[1]) * (at_s - before[0]) / max(s - before[0], 1e-9)
        before = (s, n)
    return before[1]
