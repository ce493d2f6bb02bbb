"""The drawing of one call: layers of SVG, and what the page's script needs to move them."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

from locsvc import model
from locsvc.cli import words
from locsvc.cli.map import shapes
from locsvc.cli.map.projection import Box, Plane, Projection

# Colours of evidence repeat after this many; page.css has one class for each.
COLOURS = 8
# Drawn in this size by viewers without scripts; the script fits the drawing to the real size.
WIDTH_PX, HEIGHT_PX = 860, 600


@dataclass(frozen=True, slots=True)
class Drawn:
    """One piece of evidence on the map."""

    letter: str
    colour: int
    label: str
    state: str
    """Class for the line's style: used, down-weighted, set-aside."""
    rings: list[Plane] = field(default_factory=list)

    def anchor(self) -> tuple[float, float] | None:
        """Where the letter stands: the northernmost corner of the outer ring."""
        if not self.rings:
            return None
        corner = self.rings[0][int(np.argmin(self.rings[0][:, 1]))]
        return float(corner[0]), float(corner[1])


def letter(place: int) -> str:
    """The letter of the n-th piece of evidence.

    >>> letter(0), letter(25), letter(26)
    ('A', 'Z', 'A2')
    """
    turn, within = divmod(place, 26)
    return string.ascii_uppercase[within] + (str(turn + 1) if turn else "")


def evidence_of(estimate: model.LocationEstimate, trace: model.Trace, plane: Projection | None) -> list[Drawn]:
    """One entry for each contribution, in its order, with its outline when the trace has one."""
    outlines = {(o.evidence_id, o.part): o for o in trace.outlines}
    found = []
    for place, piece in enumerate(estimate.contributions):
        outline = outlines.get((piece.evidence_id, piece.part))
        rings = [] if outline is None or plane is None else shapes.outline_rings(outline, plane)
        state = words.enum_word(piece.disposition).replace(" ", "-")
        found.append(Drawn(letter(place), place % COLOURS, words.piece_text(piece), state, rings))
    return found


def reach_m(estimate: model.LocationEstimate, trace: model.Trace) -> float:
    """How far from the position the furthest thing is that a map of the answer shows, metres."""
    if estimate.position is None:
        return 0.0
    plane = Projection(estimate.position.latitude_deg, estimate.position.longitude_deg)
    corners = [v for outline in trace.outlines for ring in outline.rings for v in ring.vertices]
    corners += [other.position for other in estimate.alternatives]
    pairs = np.asarray([(v.latitude_deg, v.longitude_deg) for v in corners], dtype=np.float64).reshape(-1, 2)
    return max(estimate.radius_m or 0.0, float(np.hypot(*plane.project(pairs).T).max(initial=0.0)))


class Scene:
    """The map of one located call.

    Parameters
    ----------
    estimate, trace
        The answer, with a position, and how it came about.
    areas
        Names and rings (latitude, longitude) of background polygons.
    """

    def __init__(
        self,
        estimate: model.LocationEstimate,
        trace: model.Trace,
        areas: Sequence[tuple[str, Sequence[shapes.Ring]]],
    ) -> None:
        if estimate.position is None:
            raise ValueError("a scene needs a position")
        self._estimate, self._trace = estimate, trace
        self._plane = Projection(estimate.position.latitude_deg, estimate.position.longitude_deg)
        self.evidence = evidence_of(estimate, trace, self._plane)
        self._region = [] if estimate.region is None else shapes.region_rings(estimate.region, trace, self._plane)
        self._others = self._project([other.position for other in estimate.alternatives])
        self.near = self._near()
        opening = np.array([[self.near.left_m, self.near.top_m], [self.near.right_m, self.near.bottom_m]])
        outlines = [ring for drawn in self.evidence for ring in drawn.rings]
        self.whole = Box.around(np.concatenate([opening, *outlines]), margin=0.05, least_m=40.0)
        self._decimals = shapes.decimals_for(self.near.right_m - self.near.left_m)
        self._areas = areas

    def _project(self, places: Sequence[model.LatLng]) -> Plane:
        pairs = [(place.latitude_deg, place.longitude_deg) for place in places]
        return self._plane.project(np.asarray(pairs, dtype=np.float64).reshape(-1, 2))

    def _corners(self) -> Plane:
        """What the opening view must show: the region, the radius, the other modes."""
        radius_m = self._estimate.radius_m or 0.0
        circle = np.array([[-radius_m, -radius_m], [radius_m, radius_m]])
        return np.concatenate([circle, self._others, *self._region])

    def _near(self) -> Box:
        return Box.around(self._corners(), margin=0.1, least_m=40.0)

    def mode_boxes(self) -> list[Box]:
        """Close views: of the dominant mode, then of each alternative."""
        ellipse = self._estimate.ellipse
        sizes_m = [ellipse.semi_major_m if ellipse else self._estimate.radius_m or 0.0]
        sizes_m += [other.radius_m for other in self._estimate.alternatives]
        places = [np.zeros(2), *self._others]
        return [
            Box.around(np.array([place - size_m, place + size_m]), margin=0.3, least_m=40.0)
            for place, size_m in zip(places, sizes_m, strict=True)
        ]

    def svg(self, name: str) -> str:
        """The SVG element; `name` is unique on the page."""
        place = self._estimate.position or model.LatLng(0.0, 0.0)
        clip = Box.around(
            np.array([[self.whole.left_m, self.whole.top_m], [self.whole.right_m, self.whole.bottom_m]]),
            margin=1.0,
            least_m=2_000.0,
        )
        land = shapes.backdrops(self._areas, self._plane, clip, self.near, self._taken())
        scale, x_px, y_px = _fit(self.near)
        layers = [
            *(f'<path class="land" d="{area.path}"><title>{escape(area.name)}</title></path>' for area in land),
            '</g><g class="cells">' + _world(scale, x_px, y_px),
            *self._cells(),
            '</g></g><g class="graticule"></g>' + _world(scale, x_px, y_px),
            *(f'<path class="border" d="{area.path}"/>' for area in land),
            *self._outlines(),
            f'<path class="region" d="{shapes.rings_path(self._region, self._decimals)}"/>' if self._region else "",
            f'<circle class="radius" r="{self._estimate.radius_m or 0:.2f}"/>',
        ]
        pins = [*(_name_pin(area) for area in land if area.label_m), *self._letters(), *self._modes(), _HERE]
        return (
            f'<svg class="map" id="{name}-map" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" role="img" tabindex="0"'
            f' aria-label="Map of the answer and the evidence" data-near="{self.near.text()}"'
            f' data-whole="{self.whole.text()}" data-lat="{place.latitude_deg!r}" data-lon="{place.longitude_deg!r}">'
            f"{_world(scale, x_px, y_px)}{''.join(layers)}</g>"
            f'<g class="pins">{"".join(_placed(pin, scale, x_px, y_px) for pin in pins)}</g></svg>'
        )

    def _taken(self) -> list[Box]:
        """Where names would hide the answer: round the position, each mode and each part of the region."""
        view_m = self.near.right_m - self.near.left_m
        spots = [np.zeros((1, 2)), *(other.reshape(1, 2) for other in self._others), *self._region]
        return [Box.around(spot, margin=0.05, least_m=0.16 * view_m) for spot in spots[:50]]

    def _cells(self) -> list[str]:
        cells = shapes.cell_paths(self._trace, self._estimate.region, self._plane, self._decimals)
        return [
            f'<path class="cell s{c.shade}{"" if c.within else " out"}" d="{c.path}" data-mass="{c.mass:.4g}"'
            f' data-cell="{c.cell:x}" data-res="{c.resolution}"/>'
            # The region's cells and finer ones over coarser ones outside, which are drawn a little too wide.
            for c in sorted(cells, key=lambda c: (c.within, c.resolution))
        ]

    def _outlines(self) -> list[str]:
        found = []
        for place, drawn in enumerate(self.evidence):
            if drawn.rings:
                path = shapes.rings_path(drawn.rings, self._decimals)
                box = Box.around(np.concatenate([drawn.rings[0], np.zeros((1, 2))]), margin=0.12, least_m=40.0)
                found.append(
                    f'<path class="outline e{drawn.colour} {drawn.state}" data-piece="{place}" d="{path}"'
                    f' data-box="{box.text()}"/>'
                )
        return found

    def _letters(self) -> list[_Pin]:
        found = []
        for place, drawn in enumerate(self.evidence):
            at = drawn.anchor()
            if at is None:
                continue
            wide = 12 + 8 * len(drawn.letter)
            found.append(
                _Pin(
                    at,
                    f"letter e{drawn.colour} {drawn.state}"
                    + (" around" if shapes.holds(drawn.rings, 0.0, 0.0) else ""),
                    f'<title>{escape(drawn.label)}</title><path class="arrow" d="M-5,-15l5,-7 5,7z"/>'
                    f'<rect x="{-wide / 2}" y="-10" width="{wide}" height="20" rx="10"/>'
                    f'<text y="4">{drawn.letter}</text><text class="away" y="24"></text>',
                    f'data-piece="{place}"',
                )
            )
        return found

    def _modes(self) -> list[_Pin]:
        found = []
        for other, at in zip(self._estimate.alternatives, self._others, strict=True):
            share = words.percent_text(other.mass)
            found.append(
                _Pin(
                    (float(at[0]), float(at[1])),
                    "mode",
                    f"<title>Another place: {share}</title>"
                    f'<path class="arrow" d="M-5,-13l5,-7 5,7z"/><path d="M0,-9L9,0 0,9 -9,0z"/>'
                    f'<text x="14" y="4">{share}</text>',
                )
            )
        return found


@dataclass(frozen=True, slots=True)
class _Pin:
    """Something of constant size on the screen."""

    at_m: tuple[float, float]
    kind: str
    inner: str
    more: str = ""


_HERE = _Pin(
    (0.0, 0.0),
    "here",
    '<title>Position</title><path class="arrow" d="M-6,-17l6,-9 6,9z"/><circle class="halo" r="10"/>'
    '<circle class="ring" r="8"/><circle class="dot" r="3"/>',
)


def _name_pin(area: shapes.Backdrop) -> _Pin:
    return _Pin(area.label_m or (0.0, 0.0), "name", f"<text>{escape(area.name)}</text>")


def _placed(pin: _Pin, scale: float, x_px: float, y_px: float) -> str:
    x_m, y_m = pin.at_m
    return (
        f'<g class="pin {pin.kind}" data-x="{x_m:.2f}" data-y="{y_m:.2f}" {pin.more}'
        f' transform="translate({x_m * scale + x_px:.1f},{y_m * scale + y_px:.1f})">{pin.inner}</g>'
    )


def _fit(box: Box) -> tuple[float, float, float]:
    scale = min(WIDTH_PX / (box.right_m - box.left_m), HEIGHT_PX / (box.bottom_m - box.top_m))
    return (
        scale,
        WIDTH_PX / 2 - scale * (box.left_m + box.right_m) / 2,
        HEIGHT_PX / 2 - scale * (box.top_m + box.bottom_m) / 2,
    )


def _world(scale: float, x_px: float, y_px: float) -> str:
    return f'<g class="world" transform="translate({x_px:.3f},{y_px:.3f}) scale({scale:.9g})">'
