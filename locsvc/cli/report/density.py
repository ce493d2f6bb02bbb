"""The map of a report: how many answers there are in each square of a Mercator grid, with areas behind it.

References
----------
J. P. Snyder, Map Projections: A Working Manual, USGS Professional Paper 1395, chapter 7 (Mercator, sphere).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from locsvc.cli.map.projection import EARTH_RADIUS_M
from locsvc.cli.map.shapes import rings_path

Ints = npt.NDArray[np.int64]
Ring = Sequence[tuple[float, float]]
Areas = Sequence[tuple[str, Sequence[Ring]]]
# Asked for the areas round a place (latitude, longitude) and so many metres from it.
Background = Callable[[float, float, float], Areas]

SHADES = 6
# The view that opens leaves out this share of the answers at each side, where they are far from the others.
_OUTSIDE = 0.005
_MARGIN, _LEAST_SQUARES = 0.08, 10
# Smaller ones could not be seen: six pixels of a wide page.
_MOST_ACROSS = 140
_MOST_PLACES = 8
# Areas further round would be the outlines of continents, drawn to no use.
_FURTHEST_M = 4_000_000.0
WIDTH_PX, HEIGHT_PX = 860, 540


@dataclass(frozen=True, slots=True)
class Grid:
    """Squares with answers: 2^zoom of them round the globe; (n,) int64 columns from `west_column` on, rows, counts."""

    zoom: int
    west_column: int
    column: Ints
    row: Ints
    count: Ints

    @staticmethod
    def of(zoom: int, column: Sequence[int], row: Sequence[int], count: Sequence[int]) -> Grid:
        """At least one square, with the globe cut where the widest gap is; four as one until they can be seen."""
        columns, side = np.asarray(column, np.int64), 1 << zoom
        used = np.unique(columns)
        gaps = np.diff(np.append(used, used[:1] + side))
        west = int(used[(int(np.argmax(gaps)) + 1) % len(used)])
        grid = Grid(zoom, west, (columns - west) % side, np.asarray(row, np.int64), np.asarray(count, np.int64))
        opening, _ = boxes(grid)
        if zoom == 0 or max(opening[2] - opening[0], opening[3] - opening[1]) <= _MOST_ACROSS:
            return grid
        fours, which = np.unique(np.column_stack([columns, grid.row]) // 2, axis=0, return_inverse=True)
        counts = np.bincount(which.ravel(), weights=grid.count).astype(np.int64)
        return Grid.of(zoom - 1, fours[:, 0].tolist(), fours[:, 1].tolist(), counts.tolist())

    def latitude_deg(self, row: float) -> float:
        """Of a row's northern edge.

        >>> round(Grid.of(1, [0], [0], [1]).latitude_deg(1), 6), round(Grid.of(1, [0], [0], [1]).latitude_deg(0), 3)
        (0.0, 85.051)
        """
        return math.degrees(math.atan(math.sinh(math.pi * (1 - 2 * row / (1 << self.zoom)))))

    def longitude_deg(self, column: float) -> float:
        """Of a column's western edge, -180 to 180."""
        return (column + self.west_column) / (1 << self.zoom) * 360.0 % 360.0 - 180.0

    def xy(self, places_deg: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Columns and rows of places, (n, 2) float64, of (n, 2) latitude and longitude; longitudes run on."""
        latitude = np.radians(np.clip(places_deg[:, 0], -85.0511, 85.0511))
        side = 1 << self.zoom
        x = (places_deg[:, 1] + 180.0) / 360.0 * side - self.west_column
        return np.column_stack([x, (0.5 - np.arcsinh(np.tan(latitude)) / (2 * np.pi)) * side])

    def square_m(self, row: float) -> float:
        """Side of a square there, metres."""
        return 2 * math.pi * EARTH_RADIUS_M * math.cos(math.radians(self.latitude_deg(row))) / (1 << self.zoom)


Box = tuple[float, float, float, float]


def boxes(grid: Grid) -> tuple[Box, Box]:
    """What opens, and all: left, top, right, bottom in squares."""
    whole = _box(grid.column, grid.row)
    middle = (_middle(grid.column, grid.count), _middle(grid.row, grid.count))
    (left, right), (top, bottom) = middle
    near = (grid.column >= left) & (grid.column <= right) & (grid.row >= top) & (grid.row <= bottom)
    opening = _box(grid.column[near], grid.row[near])
    # A little more is no reason for a second view.
    wider = max((whole[2] - whole[0]) / (opening[2] - opening[0]), (whole[3] - whole[1]) / (opening[3] - opening[1]))
    return (opening if wider > 2 else whole), whole


def _middle(values: Ints, counts: Ints) -> tuple[int, int]:
    order = np.argsort(values)
    share = np.cumsum(counts[order]) / counts.sum()
    low, high = np.searchsorted(share, [_OUTSIDE, 1 - _OUTSIDE])
    return int(values[order][low]), int(values[order][min(high, len(order) - 1)])


def _box(column: Ints, row: Ints) -> Box:
    left, right, top, bottom = column.min(), column.max() + 1, row.min(), row.max() + 1
    across = max((right - left) * (1 + 2 * _MARGIN), _LEAST_SQUARES) / 2
    along = max((bottom - top) * (1 + 2 * _MARGIN), _LEAST_SQUARES) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    return float(x - across), float(y - along), float(x + across), float(y + along)


def shades(counts: Ints) -> tuple[Ints, list[int]]:
    """The shade of each count, 0 the darkest, and the least count of each shade: equal steps of the logarithm.

    >>> shades(np.array([1, 10, 100]))[0].tolist(), shades(np.array([1, 1]))
    ([5, 2, 0], (array([0, 0]), [1]))
    """
    most = int(counts.max())
    least = sorted({max(1, round(most ** (1 - (k + 1) / SHADES))) for k in range(SHADES)}, reverse=True)
    return np.searchsorted(-np.array(least), -counts, side="left"), least


def places(grid: Grid) -> list[tuple[Box, float, float, int]]:
    """Where the answers are, by places apart from each other: view, latitude, longitude, count; the most first."""
    _, whole = boxes(grid)
    coarse = max(1, round(max(whole[2] - whole[0], whole[3] - whole[1]) / 40))
    tile = np.column_stack([grid.column // coarse, grid.row // coarse])
    tiles, which = np.unique(tile, axis=0, return_inverse=True)
    group = _joined(tiles)[which.ravel()]
    found = []
    for number in np.unique(group):
        mine = group == number
        weight = grid.count[mine]
        column = float(np.average(grid.column[mine] + 0.5, weights=weight))
        row = float(np.average(grid.row[mine] + 0.5, weights=weight))
        box = _box(grid.column[mine], grid.row[mine])
        found.append((box, grid.latitude_deg(row), grid.longitude_deg(column), int(weight.sum())))
    return sorted(found, key=lambda f: -f[3])[:_MOST_PLACES]


def _joined(tiles: Ints) -> Ints:
    """The number of the group of tiles that touch each other, of each tile."""
    of = {(int(x), int(y)): i for i, (x, y) in enumerate(tiles)}
    group = np.full(len(tiles), -1)
    for start in range(len(tiles)):
        waiting = [start] if group[start] < 0 else []
        while waiting:
            i = waiting.pop()
            if group[i] < 0:
                group[i] = start
                x, y = (int(v) for v in tiles[i])
                near = (of.get((x + a, y + b), -1) for a in (-1, 0, 1) for b in (-1, 0, 1))
                waiting += [j for j in near if j >= 0 and group[j] < 0]
    return group


def map_of(grid: Grid, background: Background | None) -> str:
    """The map with its buttons, scale and legend."""
    opening, whole = boxes(grid)
    shade, least = shades(grid.count)
    # Near the middle of the view, so that what a browser holds as float32 is exact there.
    x0, y0 = round((opening[0] + opening[2]) / 2), round((opening[1] + opening[3]) / 2)
    cells = "".join(
        f'<path class="cell s{_shown(k, len(least))}" d="{_squares(grid, shade == k, x0, y0)}"/>'
        for k in reversed(range(len(least)))
        if (shade == k).any()
    )
    areas = [] if background is None else _land(grid, opening, whole, background, x0, y0)
    land = "".join(f'<path class="land" d="{path}"><title>{escape(name)}</title></path>' for name, path in areas)
    border = "".join(f'<path class="border" d="{path}"/>' for _, path in areas)
    listed = np.column_stack([grid.column - x0, grid.row - y0, grid.count]).ravel().tolist()
    frame = {
        "side": 1 << grid.zoom, "x0": x0 + grid.west_column, "y0": y0, "squares": listed,
        "near": _moved(opening, x0, y0), "whole": _moved(whole, x0, y0),
    }  # fmt: skip
    left, top, right, bottom = _moved(opening, x0, y0)
    most = '<button data-do="near">Most answers</button>' if opening != whole else ""
    about = f"Map of {int(grid.count.sum()):,} answers, counted in {len(grid.count):,} squares"
    return (
        '<figure><div class="frame"><svg class="map" role="img" tabindex="0" preserveAspectRatio="xMidYMid meet"'
        f' viewBox="{left:g} {top:g} {right - left:g} {bottom - top:g}" aria-label="{escape(about)}">'
        f'<g class="world">{land}<g class="cells">{cells}</g>{border}</g><g class="graticule"></g></svg>'
        '<div class="tools"><button data-do="+" aria-label="Zoom in">+</button>'
        '<button data-do="-" aria-label="Zoom out">&minus;</button>'
        f'{most}<button data-do="all">All answers</button></div>'
        '<div class="scale"><span></span><i></i></div><div class="tip" hidden></div></div>'
        f"{_legend(grid, least, opening)}</figure>"
        f'<script type="application/json" id="squares">{json.dumps(frame, separators=(",", ":"))}</script>'
    )


def _moved(box: Box, x0: int, y0: int) -> Box:
    return box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0


def _shown(shade: int, number: int) -> int:
    """The colour of a shade: few shades take the dark colours and one in the middle."""
    return min(shade * 2, SHADES - 1) if number <= SHADES // 2 else shade


def _squares(grid: Grid, chosen: npt.NDArray[np.bool_], x0: int, y0: int) -> str:
    at = zip((grid.column[chosen] - x0).tolist(), (grid.row[chosen] - y0).tolist(), strict=True)
    return "".join(f"M{x},{y}h1v1h-1z" for x, y in at)


def _legend(grid: Grid, least: list[int], opening: Box) -> str:
    side_m = grid.square_m((opening[1] + opening[3]) / 2)
    upper = [int(grid.count.max()), *(v - 1 for v in least[:-1])]
    steps = "".join(
        f'<span style="border-color:var(--d{_shown(k, len(least))})">{low:,}{f"-{high:,}" if high > low else ""}</span>'
        for k, (low, high) in reversed(list(enumerate(zip(least, upper, strict=True))))
    )
    size = f"{side_m:,.0f} m" if side_m < 1000 else f"{side_m / 1000:,.1f} km"
    return (
        f'<figcaption class="legend"><span>Answers in a square of about {size}</span>'
        f'<span class="ramp counts">{steps}</span></figcaption>'
    )


def _land(grid: Grid, opening: Box, whole: Box, background: Background, x0: int, y0: int) -> list[tuple[str, str]]:
    """Names and paths of areas: round all answers where that is no continent, else round most of them."""
    box = whole if _reach_m(grid, whole) < _FURTHEST_M else opening
    if _reach_m(grid, box) >= _FURTHEST_M:
        return []
    row, column = (box[1] + box[3]) / 2, (box[0] + box[2]) / 2
    found = background(grid.latitude_deg(row), grid.longitude_deg(column), 1.5 * _reach_m(grid, box))
    # A tenth of a pixel of the opening view and no finer.
    decimals = max(0, math.ceil(-math.log10((opening[2] - opening[0]) / WIDTH_PX / 4)))
    side = 1 << grid.zoom
    paths = []
    for name, rings in found:
        drawn = [grid.xy(np.asarray(ring, np.float64)) for ring in rings if len(ring) > 2]
        if not drawn:
            continue
        # The turn of the globe that brings the area to the view's middle.
        turn = round((column - float(np.mean(drawn[0][:, 0]))) / side) * side
        shifted = [ring + np.array([turn - x0, -y0]) for ring in drawn]
        paths.append((name, rings_path(shifted, decimals)))
    return paths


def _reach_m(grid: Grid, box: Box) -> float:
    return max(box[2] - box[0], box[3] - box[1]) / 2 * grid.square_m((box[1] + box[3]) / 2)


def place_rows(grid: Grid) -> str:
    """The places apart from each other as a table whose rows move the map; empty where there is one alone."""
    found = places(grid)
    total = int(grid.count.sum())
    if len(found) < 2:
        return ""
    opening, _ = boxes(grid)
    x0, y0 = round((opening[0] + opening[2]) / 2), round((opening[1] + opening[3]) / 2)
    rows = "".join(
        f'<li data-box="{" ".join(f"{v:g}" for v in _moved(box, x0, y0))}" tabindex="0" title="Show on the map">'
        f"<span>round {lat:.3f}, {lng:.3f}</span><span>{count:,}</span>"
        f'<span class="bar"><i style="width:{count / total:.2%}"></i></span></li>'
        for box, lat, lng, count in found
    )
    return f'<section class="card"><h2>Places apart from each other</h2><ul class="shares">{rows}</ul></section>'
