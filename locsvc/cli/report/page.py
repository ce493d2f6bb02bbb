"""The page: what a batch came to, in numbers, bars and on a map; it loads nothing."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

import locsvc
from locsvc.cli import words
from locsvc.cli.report.charts import shares
from locsvc.cli.report.density import Background, Grid, map_of, place_rows
from locsvc.cli.report.plots import pace_plot, radius_plot, time_plot

_OUTCOMES = {
    "located": "Located",
    "conflict": "Sources conflict",
    "no_location": "No location",
    "rejected": "Rejected",
}
_OUTCOME_KINDS = {"Located": "good", "Sources conflict": "warn", "No location": "none", "Rejected": "bad"}
_KINDS = {"cell_scan": "Cell scan", "device_report": "Device report", "line_lookup": "Line look-up"}
_MOST_REASONS = 30


@dataclass(frozen=True, slots=True)
class Report:
    """What to tell of a run.

    Parameters
    ----------
    source, target
        Names of the input and the output.
    confidence
        Of the answers.
    told
        The run's summary.
    counted
        What plots are made of: `radii` (middles in metres, counts), `squares` (zoom, columns, rows, counts), `times`
        (width in seconds, starts, counts), `areas` (name -> count).
    pace
        Seconds since the run began, and calls answered until then.
    background
        Areas near a place, for the map.
    """

    source: str
    target: str
    confidence: float
    told: Mapping[str, Any]
    counted: Mapping[str, Any]
    pace: Sequence[tuple[float, int]] = ()
    background: Background | None = None


def report_page(report: Report) -> str:
    """One HTML page that needs no network."""
    return string.Template(_resource("locsvc.cli.report", "page.html")).substitute(
        version=escape(locsvc.__version__),
        title=escape(f"{report.target}: {report.told['calls']:,} calls · locsvc"),
        css=_resource("locsvc.cli.map", "page.css") + _resource("locsvc.cli.report", "page.css"),
        script=_resource("locsvc.cli.report", "page.js"),
        body=_head(report) + _map(report) + _columns(report),
    )


def _resource(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def _head(report: Report) -> str:
    told = report.told
    calls = max(told["calls"], 1)
    located = told["outcomes"].get("located", 0) + told["outcomes"].get("conflict", 0)
    radii = told["radius_m"]
    tiles = [
        ("Calls", f"{told['calls']:,}", f"of {told['rows']:,} rows" if told["rows"] != told["calls"] else ""),
        ("With a place", words.percent_text(located / calls), f"{located:,}"),
        ("Radius, median", words.distance_text(radii["0.5"]), f"90 % within {words.distance_text(radii['0.9'])}"),
        ("Conflicts", words.percent_text(told["conflicts"] / calls), f"{told['conflicts']:,}"),
        ("Time", _time(told["seconds"]), f"{told['calls_per_s']:,.0f} calls a second"),
    ]
    shown = "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span><small>{escape(more)}</small></div>'
        for name, value, more in tiles
    )
    facts = [
        f"{escape(report.source)} to {escape(report.target)}",
        f"{words.confidence_text(report.confidence)} regions",
        f"snapshot {escape(told['snapshot'])}" if told["snapshot"] else "no reference data",
    ]
    if told.get("resumed_parts"):
        facts.append(f"{told['resumed_parts']:,} parts from runs before, which the time leaves out")
    return (
        f'<h1><span class="badge">Batch</span><span class="id">{escape(report.target)}</span></h1>'
        f'<div class="tiles">{shown}</div><p class="sub">{" · ".join(facts)}</p>'
    )


def _time(seconds: float) -> str:
    """A length of time for a heading.

    >>> _time(2.34), _time(75), _time(7300)
    ('2.3 s', '1:15 min', '2:01 h')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def _map(report: Report) -> str:
    zoom, column, row, count = report.counted["squares"]
    if not count:
        return '<section class="card"><h2>Where the answers are</h2><p class="soft">No call has a place.</p></section>'
    grid = Grid.of(zoom, column, row, count)
    areas = report.counted["areas"]
    beside = place_rows(grid)
    if areas:
        first = dict(list(areas.items())[:12])
        more = f'<p class="soft">and {len(areas) - 12:,} others</p>' if len(areas) > 12 else ""
        beside += (
            f'<section class="card"><h2>Areas</h2>{shares(first, sum(areas.values()), head="Area")}{more}</section>'
        )
    beside = f"<aside>{beside}</aside>" if beside else ""
    alone = "" if beside else " alone"
    drawn = map_of(grid, report.background)
    return f'<h2 class="part">Where the answers are</h2><div class="board{alone}">{drawn}{beside}</div>'


def _columns(report: Report) -> str:
    told, calls = report.told, report.told["calls"]
    outcomes = {_OUTCOMES.get(k, k): v for k, v in told["outcomes"].items()}
    kinds = {_KINDS[k]: round(v * calls) for k, v in told["source_share"].items()}
    middles_m, counts = report.counted["radii"]
    sections = [
        ("Outcomes", shares(outcomes, calls, head="Outcome", kinds=_OUTCOME_KINDS)),
        ("Radius", radius_plot(middles_m, counts, told["radius_m"])),
        ("Calls with each kind of source", shares(kinds, calls, head="Kind")),
        ("Sources and fallback steps", shares(_sources(told["sources"]), calls, head="Source")),
        ("When the calls were", time_plot(*report.counted["times"])),
        ("Warnings", shares(_first(told["warnings"]), 0, head="Code")),
        ("What could not be read", shares(_first(told["rejects"]), 0, head="Reason")),
        ("Pace of the run, calls a second", pace_plot(report.pace)),
    ]
    shown = "".join(f'<section class="card"><h2>{title}</h2>{inner}</section>' for title, inner in sections if inner)
    return f'<div class="cards">{shown}</div>'


def _sources(counts: Mapping[str, int]) -> dict[str, int]:
    """`cell_scan/centroid` as words.

    >>> _sources({"cell_scan/physical_identity": 3, "line_lookup": 1})
    {'Cell scan: physical identity': 3, 'Line look-up': 1}
    """
    named = {}
    for name, count in counts.items():
        kind, _, step = name.partition("/")
        named[_KINDS.get(kind, kind) + (f": {step.replace('_', ' ')}" if step else "")] = count
    return named


def _first(counts: Mapping[str, int]) -> dict[str, int]:
    """The most frequent, in words, and how many others there are."""
    shown = {
        k.replace("_", " ") if "_" in k and " " not in k else k: v for k, v in list(counts.items())[:_MOST_REASONS]
    }
    rest = sum(counts.values()) - sum(shown.values())
    return {**shown, "others": rest} if rest else shown
