"""The page of an evaluation: numbers, curves of errors, reliability, levels, maps of the worst calls."""

from __future__ import annotations

import string
from collections.abc import Sequence
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

import locsvc
from locsvc.cli import words
from locsvc.cli.report.cases import case_map
from locsvc.cli.report.charts import Bar, Mark, bars, folded, table
from locsvc.cli.report.curves import Axis, Curve, plot
from locsvc.evaluate import words as judged_words

if TYPE_CHECKING:
    from locsvc.evaluate.run import Evaluation

_AT = ("0.5", "0.68", "0.9", "0.95")
_PERCENTS = [(k / 100, f"{k} %") for k in (0, 25, 50, 75, 100)]
_DECADES = [(1, "1 m"), (10, "10 m"), (100, "100 m"), (1e3, "1 km"), (1e4, "10 km"), (1e5, "100 km"), (1e6, "1,000 km")]
_FOOT = "Maps are drawn on a plane round each answer (azimuthal equidistant, WGS84)."


def evaluation_page(found: Evaluation) -> str:
    """One HTML page that needs no network."""
    told = found.numbers
    page = _resource("locsvc.cli.report", "page.html").replace(
        "The map is a Mercator projection (WGS84): squares are smaller on the ground towards the poles.", _FOOT
    )
    return string.Template(page).substitute(
        version=escape(locsvc.__version__),
        title=escape(f"Evaluation of {told['judged']:,} calls · locsvc"),
        css="".join(
            _resource(*part)
            for part in (
                ("locsvc.cli.map", "page.css"),
                ("locsvc.cli.report", "page.css"),
                ("locsvc.cli.report", "evaluation.css"),
            )
        ),
        script="",
        body=_head(told) + _plots(told) + _tables(told) + _cases(found),
    )


def _resource(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def _head(told: dict[str, Any]) -> str:
    first = told["strata"][0]
    region, error = first["coverage"]["region"]["0.9"], first["error_m"]
    within = region["clustered"] or region["wilson"]
    tiles = [
        ("Calls judged", f"{told['judged']:,}", f"{first['sessions']:,} sessions"),
        ("Error, median", words.distance_text(error["0.5"]), f"90 % {words.distance_text(error['0.9'])}"),
        ("In the 90 % region", words.percent_text(region["share"]), f"{judged_words.interval(within)} % with 95 %"),
        ("90 % radius, median", words.distance_text(first["radius_m"]["0.9"]), ""),
        ("90 % region, median", words.surface_text(first["region_area_m2"]), ""),
    ]  # fmt: skip
    shown = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span><small>{escape(more)}</small></div>'
        for name, value, more in tiles
    )
    lines = "".join(f"<li>{escape(line)}</li>" for line in judged_words.remarks(told))
    return (
        '<h1><span class="badge">Evaluation</span>'
        f'<span class="id">{escape(", ".join(told["tables"]))}</span></h1><div class="tiles">{shown}</div>'
        f'<p class="sub">{escape(judged_words.lead(told))}</p><ul class="remarks">{lines}</ul>'
    )


def _plots(told: dict[str, Any]) -> str:
    cards = [
        ("How far answers are off", _errors(told)),
        ("Is 90 % really 90 %?", _reliability(told)),
        ("Levels of the truths", _levels(told)),
    ]
    return '<div class="cards">' + "".join(
        f'<section class="card"><h2>{escape(title)}</h2>{inner}</section>' for title, inner in cards
    ) + "</div>"  # fmt: skip


def _errors(told: dict[str, Any]) -> str:
    curves = [
        Curve(name, "ours" if name == "locsvc" else f"e{k}", [(max(m, 0.1), share) for m, share in places])
        for k, (name, places) in enumerate(told["curves"].items())
    ]
    metres = [m for curve in curves for m, _ in curve.places]
    least, most = _ends(metres)
    x = Axis(least, most, [t for t in _DECADES if least <= t[0] <= most], "error", logarithmic=True)
    return plot(curves, x, Axis(0, 1, _PERCENTS, "calls that near"), about="Distribution of errors")


def _ends(metres: Sequence[float]) -> tuple[float, float]:
    """Decades round all lengths.

    >>> _ends([3.0, 420.0])
    (1.0, 1000.0)
    """
    least, most = min(metres, default=1.0), max(metres, default=1.0)
    low, high = 1e-1, 1e-1
    while low * 10 <= least:
        low *= 10
    while high < most or high <= low:
        high *= 10
    return float(f"{low:g}"), float(f"{high:g}")


def _reliability(told: dict[str, Any]) -> str:
    first, drawn = told["strata"][0], told["calibration"]["reliability"]
    pairs = zip(drawn["confidence"], drawn["share"], strict=True)
    curves = [
        Curve("as it should be", "ideal", [(0, 0), (1, 1)]),
        Curve("densest part of the posterior", "ours", [(c, s) for c, s in pairs if s is not None]),
        *(
            Curve(
                f"{shape} as asked for",
                kind,
                [(float(c), first["coverage"][shape][c]["share"]) for c in _AT],
                marks=True,
            )
            for shape, kind in (("circle", "e1"), ("region", "e2"))
        ),
    ]
    x = Axis(0, 1, _PERCENTS, "confidence")
    return plot(curves, x, Axis(0, 1, _PERCENTS, "truths inside"), about="Reliability diagram")


def _levels(told: dict[str, Any]) -> str:
    levels = told["calibration"]["levels"]
    width, even = 1 / levels["bins"], sum(levels["counts"]) / levels["bins"]
    drawn = [
        Bar(k * width, (k + 1) * width, count, f"{100 * k * width:.0f} to {100 * (k + 1) * width:.0f} %")
        for k, count in enumerate(levels["counts"])
    ]
    ticks = [Mark(at, text) for at, text in _PERCENTS]
    note = (
        f'<p class="soft">The smallest region that holds each truth; all bars are {even:,.0f} high where confidences'
        " are true. Bars to the right: regions are too small; to the left: too large."
        f" Farthest off: {levels['distance']}.</p>"
    )
    return bars(drawn, ticks, [], about="Histogram of highest-density levels (PIT)") + note


def _tables(told: dict[str, Any]) -> str:
    found = []
    for title, columns, rows in (
        judged_words.coverage_table(told["strata"]),
        judged_words.errors_table(told["strata"]),
        judged_words.baselines_table(told["strata"]),
        judged_words.areas_table(told["strata"]),
    ):
        if rows:
            found.append(f'<section class="card tables"><h2>{escape(title)}</h2>{table(columns, rows)}</section>')
    sessions = [r for r in told["strata"] if r["by"] == "session"]
    if sessions:
        rows = [
            [r["value"], f"{r['n']:,}", *(judged_words.metres(r["error_m"][c]) for c in ("0.5", "0.9")),
             judged_words.percent(r["coverage"]["region"]["0.9"]["share"])]
            for r in sessions[:500]
        ]  # fmt: skip
        head = ["session", "n", "50 %", "90 %", "in the 90 % region, %"]
        found.append(f'<section class="card tables">{folded("Each session", table(head, rows))}</section>')
    return "".join(found)


def _cases(found: Evaluation) -> str:
    if not found.worst:
        return ""
    maps = "".join(case_map(case) for case in found.worst)
    return (
        '<h2 class="part">Farthest beyond what was stated</h2><p class="soft">Error over the 95 % radius, one call of'
        " each session. Ring: position; dashed: 90 % radius; cross: truth.</p>"
        f'<div class="cases">{maps}</div>'
    )
