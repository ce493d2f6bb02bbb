"""Small maps of the calls that were most wrong: what was said, and where the caller was."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from locsvc import model
from locsvc.cli import words
from locsvc.cli.map.projection import Box, Projection
from locsvc.cli.map.shapes import cell_paths, decimals_for

if TYPE_CHECKING:
    from locsvc.evaluate.worst import Case

_WIDE, _HIGH = 360, 260
# Widths of a scale bar, metres.
_BARS_M = tuple(n * 10**p for p in range(1, 7) for n in (1, 2, 5))
# A map shows at least this much ground.
_LEAST_M = 200.0


def case_map(case: Case) -> str:
    """One call as a figure: leaves, radius, position, truth, scale."""
    plane = Projection(case.latitude_deg, case.longitude_deg)
    truth = plane.project(np.array([[case.truth_latitude_deg, case.truth_longitude_deg]]))[0]
    reach = min(case.radius_m, 4.0 * max(case.error_m, 50.0))
    corners = np.array([[-reach, -reach], [reach, reach], truth])
    box = Box.around(corners, margin=0.08, least_m=_LEAST_M)
    scale = min(_WIDE / (box.right_m - box.left_m), _HIGH / (box.bottom_m - box.top_m))
    x0 = _WIDE / 2 - scale * (box.left_m + box.right_m) / 2
    y0 = _HIGH / 2 - scale * (box.top_m + box.bottom_m) / 2
    cells = _cells(case, plane, box)
    tx, ty = truth[0] * scale + x0, truth[1] * scale + y0
    bar_m = max((b for b in _BARS_M if b * scale <= _WIDE / 3), default=_BARS_M[0])
    about = (
        f"{case.name}: {words.distance_text(case.error_m)} from the truth,"
        f" 90 % within {words.distance_text(case.radius_m)}"
    )
    return (
        f'<figure class="case"><svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="{escape(about)}">'
        f'<g class="world" transform="translate({x0:.2f},{y0:.2f}) scale({scale:.6g})"><g class="cells">{cells}</g>'
        f'<circle class="radius" r="{case.radius_m:.1f}"/></g>'
        f'<path class="off" d="M{x0:.1f},{y0:.1f}L{tx:.1f},{ty:.1f}"/>'
        f'<g class="here" transform="translate({x0:.1f},{y0:.1f})"><circle class="ring" r="5"/></g>'
        f'<path class="truth" d="M{tx - 6:.1f},{ty - 6:.1f}l12,12m0,-12l-12,12"><title>Truth</title></path>'
        f'<path class="bar-m" d="M10,{_HIGH - 16}v6h{bar_m * scale:.1f}v-6"/>'
        f'<text x="12" y="{_HIGH - 20}">{words.distance_text(float(bar_m))}</text></svg>'
        f"<figcaption><b>{escape(case.name)}</b> {words.distance_text(case.error_m)} off,"
        f" 90 % within {words.distance_text(case.radius_m)}<br><small>{escape(_about(case))}</small></figcaption>"
        "</figure>"
    )


def _about(case: Case) -> str:
    known = "" if case.step == "none" else f", cell by {case.step.replace('_', ' ')}"
    return f"{case.sources}{known} · session {case.session}"


def _cells(case: Case, plane: Projection, box: Box) -> str:
    """The posterior's cells that are in sight."""
    region = model.Region(0, case.cells[: case.region_leaves], 0.9, 0.0)
    trace = model.Trace(cells=case.cells, masses=case.masses)
    paths = cell_paths(trace, region, plane, decimals_for(box.right_m - box.left_m))
    return "".join(
        f'<path class="cell s{c.shade}{"" if c.within else " out"}" d="{c.path}"/>'
        for c in sorted(paths, key=lambda c: (c.within, c.resolution))
    )
