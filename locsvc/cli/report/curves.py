"""Plots of curves as SVG: axes with words, lines with names, nothing that a page must load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

# The frame of a plot in its own units; text is drawn in the same units and grows with it.
WIDE, HIGH = 460, 300
_LEFT, _RIGHT, _TOP, _FOOT = 44, 12, 12, 40


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its ends, ticks with their words, its name; logarithmic or not."""

    least: float
    most: float
    ticks: Sequence[tuple[float, str]]
    name: str
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Where a value stands, 0 to 1.

        >>> Axis(1.0, 100.0, (), "m", logarithmic=True).share(10.0)
        0.5
        """
        low, high, at = self.least, self.most, min(max(value, self.least), self.most)
        if self.logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return (at - low) / (high - low)


@dataclass(frozen=True, slots=True)
class Curve:
    """A line through places, with a name; `kind` is its class: e0 to e7, or `ideal`. `marks` draws the places too."""

    name: str
    kind: str
    places: Sequence[tuple[float, float]]
    marks: bool = False


def plot(curves: Sequence[Curve], x: Axis, y: Axis, *, about: str) -> str:
    """Curves over two axes; `about` says in words what they show."""
    lines = "".join(_ticks(x, y))
    drawn = "".join(_curve(curve, x, y) for curve in curves if curve.places)
    names = "".join(
        f'<span class="key"><svg viewBox="0 0 20 12"><path class="curve {c.kind}" d="M1,6H19"/></svg>'
        f"{escape(c.name)}</span>"
        for c in curves
        if c.places and c.name
    )
    return (
        f'<svg class="curves" viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{escape(about)}">{lines}{drawn}</svg>'
        f'<p class="keys">{names}</p>'
    )


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.share(value) * (WIDE - _LEFT - _RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HIGH - _FOOT - axis.share(value) * (HIGH - _TOP - _FOOT)


def _ticks(x: Axis, y: Axis) -> list[str]:
    foot, left = HIGH - _FOOT, _LEFT
    found = []
    for value, text in x.ticks:
        at = _x(x, value)
        found.append(f'<path class="tick" d="M{at:.1f},{_TOP}V{foot}"/>')
        found.append(f'<text x="{at:.1f}" y="{foot + 15}" text-anchor="middle">{escape(text)}</text>')
    for value, text in y.ticks:
        at = _y(y, value)
        found.append(f'<path class="tick" d="M{left},{at:.1f}H{WIDE - _RIGHT}"/>')
        found.append(f'<text x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">{escape(text)}</text>')
    middle = (left + WIDE - _RIGHT) / 2
    found.append(f'<text class="axis-name" x="{middle}" y="{HIGH - 6}" text-anchor="middle">{escape(x.name)}</text>')
    found.append(f'<text class="axis-name" x="{left}" y="{_TOP - 2}" text-anchor="start">{escape(y.name)}</text>')
    return found


def _curve(curve: Curve, x: Axis, y: Axis) -> str:
    places = [(_x(x, a), _y(y, b)) for a, b in curve.places]
    path = "M" + "L".join(f"{a:.1f},{b:.1f}" for a, b in places)
    dots = "".join(f'<circle class="{curve.kind}" cx="{a:.1f}" cy="{b:.1f}" r="2.4"/>' for a, b in places)
    name = f"<title>{escape(curve.name)}</title>" if curve.name else ""
    return f'<path class="curve {curve.kind}" d="{path}">{name}</path>{dots if curve.marks else ""}'
