"""The page: for each call the map, the answer, the warnings and the evidence as a table."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

import locsvc
from locsvc import model
from locsvc.cli import words
from locsvc.cli.map.scene import Drawn, Scene, evidence_of
from locsvc.cli.map.shapes import SHADES, Ring


@dataclass(frozen=True, slots=True)
class MappedCall:
    """One call to draw.

    Parameters
    ----------
    estimate, trace
        The answer, and how it came about.
    areas
        Background: names and rings (latitude, longitude), outer or hole by the even-odd rule.
    heading
        What stands for the outcome, where what is drawn is no answer but what one message says.
    """

    estimate: model.LocationEstimate
    trace: model.Trace
    areas: Sequence[tuple[str, Sequence[Ring]]] = ()
    heading: str = ""


def map_page(calls: Sequence[MappedCall]) -> str:
    """One HTML page that shows the calls, one at a time, and needs no network.

    Parameters
    ----------
    calls
        At least one.
    """
    first = calls[0].estimate
    title = f"{_name(first)}: {words.outcome_text(first.outcome)}" if len(calls) == 1 else f"{len(calls)} calls"
    title = calls[0].heading or title
    return string.Template(_resource("page.html")).substitute(
        version=escape(locsvc.__version__),
        title=escape(f"{title} · locsvc"),
        css=_resource("page.css"),
        script=_resource("page.js"),
        picker=_picker(calls) if len(calls) > 1 else "",
        calls="\n".join(_call(call, number) for number, call in enumerate(calls)),
    )


def _resource(name: str) -> str:
    return resources.files("locsvc.cli.map").joinpath(name).read_text(encoding="utf-8")


def _name(estimate: model.LocationEstimate) -> str:
    return f"Call {estimate.call_id}" if estimate.call_id else "Call"


def _picker(calls: Sequence[MappedCall]) -> str:
    options = "".join(
        f"<option>{escape(call.estimate.call_id or f'call {number + 1}')} ·"
        f" {escape(words.outcome_text(call.estimate.outcome).lower())}</option>"
        for number, call in enumerate(calls)
    )
    return (
        '<nav class="picker"><button data-step="-1" aria-label="Call before">&lsaquo;</button>'
        f'<select aria-label="Call">{options}</select>'
        f'<button data-step="1" aria-label="Next call">&rsaquo;</button><span>{len(calls)} calls</span></nav>'
    )


def _call(call: MappedCall, number: int) -> str:
    estimate = call.estimate
    name = f"call-{number + 1}"
    scene = None if estimate.position is None else Scene(estimate, call.trace, call.areas)
    drawn = evidence_of(estimate, call.trace, None) if scene is None else scene.evidence
    board = "" if scene is None else _board(estimate, scene, name)
    kind = {model.Outcome.LOCATED: "", model.Outcome.CONFLICT: " conflict"}.get(estimate.outcome, " none")
    badge = call.heading or words.outcome_text(estimate.outcome)
    about = "as it was stated" if call.heading else _name(estimate)
    return (
        f'<article class="call" id="{name}"><h1><span class="badge{kind}">{escape(badge)}</span>'
        f'<span class="id">{escape(about)}</span></h1>'
        f"{_lead(estimate)}{''.join(map(_warning, estimate.warnings))}{board}{_table(estimate, drawn)}</article>"
    )


def _lead(estimate: model.LocationEstimate) -> str:
    """What a call taker reads first: the address, or else the place; the radius; who is responsible."""
    if estimate.position is None:
        return '<p class="lead">Nothing that was said gives a place.</p>'
    where = words.place_text(estimate.position)
    if estimate.radius_m is None:
        return f'<p class="lead">{where}</p>'
    radius = f"{words.confidence_text(estimate.confidence)} within <b>{words.distance_text(estimate.radius_m)}</b>"
    if estimate.outcome is model.Outcome.CONFLICT:
        radius += " of the likelier place"
    facts = [radius]
    lead = where
    if estimate.address is not None and _near(estimate):
        lead = estimate.address.line() or where
        facts.append(f"address {words.distance_text(estimate.address_distance_m)} from the position {where}")
    facts += [escape(area.name) for area in estimate.areas[:1]]
    return f'<p class="lead">{escape(lead)}</p><p class="sub">{" · ".join(facts)}</p>'


def _near(estimate: model.LocationEstimate) -> bool:
    """Whether the nearest address is worth a heading."""
    wide = (estimate.radius_m or 0.0) > words.ADDRESS_RADIUS_M
    return not wide and (estimate.address_distance_m or 0.0) <= words.ADDRESS_DISTANCE_M


def _warning(warning: model.Warning) -> str:
    about = " ".join(text for text in (warning.evidence_id, warning.field) if text)
    about = f" <code>({escape(about)})</code>" if about else ""
    code = words.enum_word(warning.code).capitalize()
    message = escape(warning.message[:1].upper() + warning.message[1:])
    return f'<p class="warning" role="alert"><b>{code}.</b> {message}{about}</p>'


def _board(estimate: model.LocationEstimate, scene: Scene, name: str) -> str:
    return (
        f'<div class="board"><figure><div class="frame">{scene.svg(name)}'
        '<div class="tools"><button data-do="+" aria-label="Zoom in">+</button>'
        '<button data-do="-" aria-label="Zoom out">&minus;</button><button data-do="region">Region</button>'
        f'<button data-do="all">All evidence</button>{_closer(estimate, scene)}</div>'
        '<svg class="north" viewBox="0 0 28 40" aria-label="North is up"><text x="14" y="11">N</text>'
        '<path d="M14,14l7,22 -7,-6 -7,6z"/></svg>'
        f'<div class="scale"><span></span><i></i></div><div class="tip" hidden></div></div>{_legend(estimate)}</figure>'
        f"<aside>{_answer(estimate)}{_areas(estimate)}{_alternatives(estimate, scene)}{_datasets(estimate)}</aside>"
        "</div>"
    )


def _legend(estimate: model.LocationEstimate) -> str:
    steps = "".join(
        f'<span style="border-color:var(--d{place})">{round(share * 100) if share < 1 else ""}</span>'
        for place, share in enumerate(SHADES)
    )
    confidence = words.confidence_text(estimate.confidence)
    return (
        '<figcaption class="legend"><span>Probability in this shade and darker, %</span>'
        f'<span class="ramp">{steps}</span>'
        f'<span class="key"><svg><path class="region" d="M1,6H19"/></svg>{confidence} region</span>'
        f'<span class="key"><svg><path class="radius" d="M1,6H19"/></svg>{confidence} radius</span></figcaption>'
    )


def _facts(rows: Sequence[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows) + "</dl>"


def _answer(estimate: model.LocationEstimate) -> str:
    rows = [("Confidence", words.confidence_text(estimate.confidence))]
    if estimate.position is not None:
        rows.append(("Position", words.place_text(estimate.position)))
    rows.append(("Radius", words.distance_text(estimate.radius_m)))
    if estimate.region is not None:
        region = estimate.region
        rows.append(("Region", words.surface_text(region.area_m2)))
        rows.append(("Region holds", words.percent_text(region.mass)))
        rows.append(("H3 cells", f"{len(region.cells):,}, to resolution {region.resolution}"))
    if estimate.ellipse is not None:
        ellipse = estimate.ellipse
        sizes = f"{words.distance_text(ellipse.semi_major_m)} by {words.distance_text(ellipse.semi_minor_m)}"
        rows.append(("Ellipse", f"{sizes}, {ellipse.orientation_deg:.0f}°"))
    if estimate.altitude is not None:
        rows.append(("Altitude", words.altitude_text(estimate.altitude)))
    if estimate.address is not None:
        rows.append(("Nearest address", estimate.address.line()))
        rows.append(("Its distance", words.distance_text(estimate.address_distance_m)))
    if estimate.estimated_at is not None:
        rows.append(("Answer for", words.time_text(estimate.estimated_at)))
    return f'<section class="card"><h2>Answer</h2>{_facts(rows)}</section>'


def _bar(share: float) -> str:
    return f'<span class="bar"><i style="width:{min(max(share, 0.0), 1.0) * 100:.1f}%"></i></span>'


def _areas(estimate: model.LocationEstimate) -> str:
    if not estimate.areas:
        return ""
    rows = "".join(
        f"<li><span>{escape(area.name)} <small>{escape(area.dataset)}</small></span>"
        f"<span>{words.percent_text(area.share)}</span>{_bar(area.share)}</li>"
        for area in estimate.areas
    )
    return f'<section class="card"><h2>Areas under the region</h2><ul class="shares">{rows}</ul></section>'


def _closer(estimate: model.LocationEstimate, scene: Scene) -> str:
    """A button to the likelier place, where there are several and all of them are too small to be seen at once."""
    if not estimate.alternatives:
        return ""
    return f'<button data-box="{scene.mode_boxes()[0].text()}">Likelier place</button>'


def _alternatives(estimate: model.LocationEstimate, scene: Scene) -> str:
    if not estimate.alternatives:
        return ""
    rows = "".join(
        f'<li data-box="{box.text()}" tabindex="0" title="Show on the map"><span>{words.place_text(other.position)}'
        f" <small>within {words.distance_text(other.radius_m)}</small></span>"
        f"<span>{words.percent_text(other.mass)}</span>{_bar(other.mass)}</li>"
        for other, box in zip(estimate.alternatives, scene.mode_boxes()[1:], strict=True)
    )
    return (
        f'<section class="card"><h2>Other places where the caller may be</h2><ul class="shares">{rows}</ul></section>'
    )


def _datasets(estimate: model.LocationEstimate) -> str:
    if not estimate.datasets:
        return ""
    rows = [(f"{used.dataset} {used.name}".strip(), used.version) for used in estimate.datasets]
    return f'<details class="card"><summary>Datasets used</summary>{_facts(rows)}</details>'


_HEAD = (
    "<thead><tr><th></th><th>Evidence</th><th>What became of it</th><th class=number>Distance</th>"
    "<th>Agreement</th><th>Share</th><th>Why</th></tr></thead>"
)


def _table(estimate: model.LocationEstimate, drawn: Sequence[Drawn]) -> str:
    if not estimate.contributions:
        return '<section class="card">There was no evidence.</section>'
    rows = "".join(_row(place, *pair) for place, pair in enumerate(zip(estimate.contributions, drawn, strict=True)))
    table = f"<table>{_HEAD}<tbody>{rows}</tbody></table>"
    return f'<section class="card scroll"><h2>Evidence</h2>{table}</section>'


def _row(place: int, piece: model.Contribution, drawn: Drawn) -> str:
    step = words.step_text(piece.cell_fallback)
    kind = words.enum_word(piece.kind) + (f", {step}" if step else "")
    return (
        f'<tr class="e{drawn.colour} {drawn.state}" data-piece="{place}">'
        f'<td><span class="chip">{drawn.letter}</span></td>'
        f"<td>{escape(drawn.label)}<br><small>{escape(kind)}</small></td>"
        f'<td><span class="state {drawn.state}">{_known(piece.disposition).capitalize()}</span>'
        f"<br><small>{escape(_known(piece.reason))}</small></td>"
        f'<td class="number">{words.distance_text(piece.distance_m)}</td>'
        f"<td>{_meter(piece.agreement)}</td><td>{_meter(piece.share)}</td>"
        f'<td class="words">{escape(piece.explanation)}</td></tr>'
    )


def _known(value: model.Disposition | model.Reason) -> str:
    return words.enum_word(value) if value else "-"


def _meter(share: float) -> str:
    return (
        f'<span style="white-space:nowrap"><span class="meter">{_bar(share)}</span>{words.percent_text(share)}</span>'
    )
