"""Bars as HTML and SVG: drawn by shares of their frame, so that they fit any width and text keeps its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from locsvc.cli import words

# The frame of a plot in its own units, stretched to the page's.
_WIDE, _HIGH = 1000, 100
# Tick labels nearer than this share of the width would run together on a phone.
_LEAST_GAP = 0.17


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its sides as shares of the width, what it counts, and what it is called."""

    left: float
    right: float
    count: float
    name: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something at a share of the width: a tick's label, or a line with a name."""

    at: float
    name: str


def bars(drawn: Sequence[Bar], ticks: Sequence[Mark], marks: Sequence[Mark], *, about: str, unit: str = "calls") -> str:
    """A plot of bars over an axis; `about` says in words what it shows."""
    most = max((bar.count for bar in drawn), default=0) or 1
    shapes = "".join(
        f'<rect x="{bar.left * _WIDE:.2f}" y="{_HIGH * (1 - bar.count / most):.2f}"'
        f' width="{(bar.right - bar.left) * _WIDE:.2f}" height="{_HIGH * bar.count / most:.2f}">'
        f"<title>{escape(bar.name)}: {bar.count:,.0f} {unit}</title></rect>"
        for bar in drawn
        if bar.count
    )
    lines = "".join(
        f'<div class="mark{" before" if mark.at > 0.6 else ""}" style="left:{mark.at:.2%};top:{1.5 * row:.1f}em">'
        f"<span>{escape(mark.name)}</span></div>"
        for row, mark in enumerate(marks)
    )
    return (
        f'<div class="plot"><span class="most">{most:,.0f}</span>'
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" preserveAspectRatio="none" role="img" aria-label="{escape(about)}">'
        f"{shapes}</svg>{lines}</div>{axis(ticks)}"
    )


def axis(ticks: Sequence[Mark]) -> str:
    """Labels under a plot; those that would run into the one before are left out."""
    kept: list[Mark] = []
    for tick in ticks:
        if not kept or tick.at - kept[-1].at >= _LEAST_GAP:
            kept.append(tick)
    side = {True: ' class="first"', False: ""}
    last = ' class="last"'
    return (
        '<div class="axis" aria-hidden="true">'
        + "".join(
            f'<span{side[tick.at < 0.06] if tick.at < 0.94 else last} style="left:{tick.at:.2%}">'
            f"{escape(tick.name)}</span>"
            for tick in kept
        )
        + "</div>"
    )


def shares(counts: Mapping[str, int], whole: int, *, head: str, kinds: Mapping[str, str] | None = None) -> str:
    """A table of counts with a bar of each; `kinds` are classes of the bars."""
    most = max(counts.values(), default=0) or 1
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="long"><span class="bar {(kinds or {}).get(name, "")}">'
        f'<i style="width:{count / (whole or most):.2%}"></i></span></td><td class="number">{count:,}</td>'
        f'<td class="number soft">{words.percent_text(count / whole) if whole else ""}</td></tr>'
        for name, count in counts.items()
    )
    titles = f"<thead><tr><th>{escape(head)}</th><th></th><th class=number>Count</th><th></th></tr></thead>"
    return f'<div class="wide"><table>{titles}<tbody>{rows}</tbody></table></div>' if counts else _NONE


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, numbers from the second column on."""
    titles = "".join(f"<th{' class=number' if i else ''}>{escape(h)}</th>" for i, h in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td{' class=number' if i else ''}>{escape(c)}</td>" for i, c in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'


_NONE = '<p class="soft">None.</p>'


def folded(title: str, inner: str) -> str:
    """Something that is shown when it is asked for."""
    return f"<details><summary>{escape(title)}</summary>{inner}</details>"
