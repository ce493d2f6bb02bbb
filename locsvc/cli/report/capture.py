"""The page of a capture: what was known of the calls at each second, and what the service itself took."""

from __future__ import annotations

import string
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

import locsvc
from locsvc.cli.report.charts import folded, table
from locsvc.cli.report.curves import Axis, Curve, plot
from locsvc.evaluate.capture import words
from locsvc.evaluate.capture.summary import EVIDENCE, NEWEST, OURS, SMALLEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from locsvc.evaluate.capture.scenario import Scenario

_PERCENTS = [(k / 100, f"{k} %") for k in (0, 25, 50, 75, 100)]
_SECONDS = Axis(0, 30, [(s, f"{s} s") for s in (0, 5, 10, 15, 20, 25, 30)], "after the start of the call")
_KINDS = {OURS: "ours", EVIDENCE: "ideal", NEWEST: "e1", SMALLEST: "e2"}
_FOOT = "Calls are made up; times of the service are real."


def capture_page(told: dict[str, Any], scenario: Scenario) -> str:
    """One HTML page that needs no network."""
    page = _resource("locsvc.cli.report", "page.html").replace(
        "The map is a Mercator projection (WGS84): squares are smaller on the ground towards the poles.", _FOOT
    )
    css = (("locsvc.cli.map", "page.css"), ("locsvc.cli.report", "page.css"), ("locsvc.cli.report", "evaluation.css"))
    return string.Template(page).substitute(
        version=escape(locsvc.__version__),
        title=escape(f"{told['calls']:,} calls and 20 seconds · locsvc"),
        css="".join(_resource(*part) for part in css),
        script="",
        body=_head(told, scenario) + (_plots(told) + _tables(told) if told["marks"] else "") + _sources(scenario),
    )


def _resource(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def _head(told: dict[str, Any], scenario: Scenario) -> str:
    tiles: list[tuple[str, str, str]] = []
    if told["marks"]:
        mark = next(m for m in told["marks"] if m["second"] == told["deadline"]["second"])
        own = told["service"]["acknowledged_to_stream_ms"]
        tiles = [
            ("Answered at 20 s", f"{words.percent(mark['answered'][OURS]['share'])} %", ""),
            ("Within 50 m at 20 s", f"{words.percent(mark['within_50_m'][OURS]['share'])} %",
             f"the evidence allows {words.percent(mark['within_50_m'][EVIDENCE]['share'])} %"),
            ("Fit to dispatch at 20 s", f"{words.percent(mark['fit']['share'])} %", ""),
            ("In the 90 % region", f"{words.percent(mark['in_region']['share'])} %",
             f"{words.interval(mark['in_region'])} with 95 %"),
            ("Acknowledged to screen", "-" if own["p99_9"] is None else f"{own['p99_9']:.1f} ms", "p99.9"),
        ]  # fmt: skip
    shown = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span><small>{escape(more)}</small></div>'
        for name, value, more in tiles
    )
    lines = "".join(f"<li>{escape(line)}</li>" for line in (words.remarks(told) if told["calls"] else []))
    return (
        f'<h1><span class="badge">Capture</span><span class="id">{escape(scenario.name)}</span></h1>'
        f'<div class="tiles">{shown}</div><p class="sub">{escape(words.lead(told))}</p>'
        f'<ul class="remarks">{lines}</ul>'
    )


def _plots(told: dict[str, Any]) -> str:
    def within(key: str) -> Callable[[dict[str, Any], str], float]:
        return lambda mark, name: float(mark[key][name]["share"])

    cards = [
        (title, plot(_curves(told, value), _SECONDS, Axis(0, 1, _PERCENTS, "calls"), about=title))
        for title, value in (
            ("Within 50 m", within("within_50_m")),
            ("Within 300 m", within("within_300_m")),
            ("A place at all", within("answered")),
        )
    ]
    cards += [("Fit to dispatch", _fit(told)), ("Is 90 % really 90 %?", _coverage(told)), ("Outlook", _outlook(told))]
    return '<div class="cards">' + "".join(
        f'<section class="card"><h2>{escape(title)}</h2>{inner}</section>' for title, inner in cards if inner
    ) + "</div>"  # fmt: skip


def _curves(told: dict[str, Any], value: Callable[[dict[str, Any], str], float]) -> list[Curve]:
    return [
        Curve(words.NAMES[name], kind, [(m["second"], value(m, name)) for m in told["by_second"]])
        for name, kind in _KINDS.items()
    ]


def _fit(told: dict[str, Any]) -> str:
    marks = told["by_second"]
    curves = [Curve("said to be fit", "ours", [(m["second"], m["fit"]["share"]) for m in marks])]
    right = [(m["second"], m["fit_and_right"]["share"]) for m in marks if m["fit_and_right"]["n"]]
    curves.append(Curve("of these within the fit radius", "e1", right))
    return plot(curves, _SECONDS, Axis(0, 1, _PERCENTS, "calls"), about="Share of calls that are fit to dispatch")


def _coverage(told: dict[str, Any]) -> str:
    marks = [m for m in told["by_second"] if m["in_region"]["n"]]
    regions = [(m["second"], m["in_region"]) for m in marks]
    curves = [
        Curve("as it should be", "ideal", [(0, 0.9), (30, 0.9)]),
        Curve("callers in the 90 % region", "ours", [(s, r["share"]) for s, r in regions]),
        Curve("95 % interval", "e1", [(s, r["wilson"][0]) for s, r in regions]),
        Curve("", "e1", [(s, r["wilson"][1]) for s, r in regions]),
    ]
    ticks = [(k / 100, f"{k} %") for k in (70, 80, 90, 100)]
    return plot(curves, _SECONDS, Axis(0.7, 1, ticks, "calls"), about="Share of callers in the 90 % region")


def _outlook(told: dict[str, Any]) -> str:
    curves = [Curve("as it should be", "ideal", [(0, 0), (1, 1)])]
    for kind, (ahead, chances) in zip(("e1", "ours", "e2"), told["outlook"].items(), strict=False):
        places = [(b["chance"], b["share"]) for b in chances["bins"]]
        curves.append(Curve(f"better within {ahead} s", kind, places, marks=True))
    if len(curves) == 1:
        return ""
    return plot(curves, Axis(0, 1, _PERCENTS, "said"), Axis(0, 1, _PERCENTS, "came"), about="Chances against what came")


def _tables(told: dict[str, Any]) -> str:
    made = (words.marks_table(told), words.errors_table(told), words.times_table(told), words.outlook_table(told))
    found = [
        f'<section class="card tables"><h2>{escape(title)}</h2>{table(columns, rows)}</section>'
        for title, columns, rows in made
        if rows
    ]
    title, columns, rows = words.worse_table(told)
    if rows:
        found.append(f'<section class="card tables">{folded(title, table(columns, rows))}</section>')
    return "".join(found)


def _sources(scenario: Scenario) -> str:
    rows = [[name, value.text(), value.source] for name, value in scenario.values.items()]
    inner = table(["value", "is", "from"], rows)
    return f'<section class="card tables">{folded("The scenario, and where its numbers come from", inner)}</section>'
