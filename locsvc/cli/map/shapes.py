"""What is drawn, as SVG paths on the plane: cells, the region's edge, evidence outlines, the background."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from locsvc import model
from locsvc.cli.map.projection import Box, Plane, Projection

# Cells are shaded by the smallest region that holds them: the darkest together hold a quarter of the probability.
SHADES = (0.25, 0.50, 0.75, 0.90, 0.97, 1.0)

Ring = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class CellPath:
    """One cell of the posterior."""

    path: str
    shade: int
    """Index into SHADES."""
    mass: float
    cell: int
    resolution: int
    within: bool
    """Whether it belongs to the region."""


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A named polygon behind everything."""

    name: str
    path: str
    label_m: tuple[float, float] | None


def rings_path(rings: Iterable[Plane], decimals: int) -> str:
    """An SVG path of closed rings, relative steps, `decimals` digits after the point.

    >>> rings_path([np.array([[0.0, 0.0], [2.5, 0.0], [2.5, 1.0]])], 1)
    'M0,0l2.5,0 0,1z'
    """
    parts = []
    for ring in rings:
        # Steps between rounded corners, so that rounding does not add up along the ring.
        corners = np.round(ring, decimals)
        steps = np.diff(corners, axis=0)
        first = f"M{_number(corners[0, 0], decimals)},{_number(corners[0, 1], decimals)}"
        parts.append(first + "l" + " ".join(f"{_number(x, decimals)},{_number(y, decimals)}" for x, y in steps) + "z")
    return "".join(parts)


def _number(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text


def decimals_for(extent_m: float) -> int:
    """Digits after the point that draw an extent smoothly: a thousandth of it, between 1 cm and 1 m.

    >>> decimals_for(30.0), decimals_for(5_000.0), decimals_for(80_000.0)
    (2, 1, 0)
    """
    return 2 if extent_m < 500 else 1 if extent_m < 20_000 else 0


def cell_paths(trace: model.Trace, region: model.Region | None, plane: Projection, decimals: int) -> list[CellPath]:
    """The posterior's cells, densest first, shaded by the probability that denser cells hold."""
    from h3.api import numpy_int as h3

    if not trace.cells:
        return []
    shades = np.searchsorted(SHADES, np.cumsum(trace.masses) - np.asarray(trace.masses), side="right")
    rings = _project_rings([h3.cell_to_boundary(cell) for cell in trace.cells], plane)
    inside = _members(trace.cells, region)
    finest = max(int(h3.get_resolution(cell)) for cell in trace.cells)
    return [
        CellPath(
            rings_path([ring if cell in inside else _widened(ring, finest - h3.get_resolution(cell))], decimals),
            min(int(shade), len(SHADES) - 1),
            mass,
            cell,
            int(h3.get_resolution(cell)),
            cell in inside,
        )
        for ring, shade, mass, cell in zip(rings, shades, trace.masses, trace.cells, strict=True)
    ]


def _widened(ring: Plane, levels: int) -> Plane:
    """A cell that is coarser than others, a little wider: seven children do not tile their parent and leave slivers."""
    return ring if levels <= 0 else ring.mean(axis=0) + 1.12 * (ring - ring.mean(axis=0))


def _members(cells: Sequence[int], region: model.Region | None) -> frozenset[int]:
    """The cells that are in the region, by themselves, by an ancestor or by cells under them."""
    from h3.api import numpy_int as h3

    if region is None:
        return frozenset()
    listed = frozenset(region.cells)
    coarsest = min((int(h3.get_resolution(cell)) for cell in listed), default=0)
    above = {int(h3.cell_to_parent(cell, res)) for cell in listed for res in range(h3.get_resolution(cell))}
    return frozenset(
        cell
        for cell in cells
        if cell in above
        or any(h3.cell_to_parent(cell, r) in listed for r in range(coarsest, h3.get_resolution(cell) + 1))
    )


def _project_rings(rings: Sequence[Ring], plane: Projection) -> list[Plane]:
    """All rings in one projection: 30 us a ring alone, 1 us together."""
    if not rings:
        return []
    places = plane.project(np.concatenate([np.asarray(ring, dtype=np.float64) for ring in rings]))
    return np.split(places, np.cumsum([len(ring) for ring in rings])[:-1])


def region_rings(region: model.Region, trace: model.Trace, plane: Projection) -> list[Plane]:
    """The edge of the region, outer rings and holes.

    It is drawn round the posterior's own cells where there is a trace: the region's list is compacted, and a parent
    does not cover its seven children exactly.
    """
    from h3.api import numpy_int as h3

    members = _members(trace.cells, region)
    by_resolution: dict[int, list[int]] = {}
    for cell in members or region.cells:
        by_resolution.setdefault(int(h3.get_resolution(cell)), []).append(cell)
    levels = []
    for cells in by_resolution.values():
        shape = h3.cells_to_h3shape(cells, tight=False)
        levels.append([_project_rings([polygon.outer, *polygon.holes], plane) for polygon in shape])
    if len(levels) == 1:
        return [ring for polygon in levels[0] for ring in polygon]
    coarsest_m = h3.average_hexagon_edge_length(min(by_resolution), unit="m")
    return _joined([polygon for level in levels for polygon in level], 0.12 * coarsest_m)


def _joined(polygons: Sequence[Sequence[Plane]], gap_m: float) -> list[Plane]:
    """The rings of all polygons together; gaps between cells of two resolutions, up to twice `gap_m` wide, closed."""
    import shapely

    whole = shapely.union_all([shapely.Polygon(outer, holes) for outer, *holes in polygons])
    whole = shapely.buffer(shapely.buffer(whole, gap_m, join_style="mitre"), -gap_m, join_style="mitre")
    return [shapely.get_coordinates(ring)[:-1] for part in shapely.get_parts(whole) for ring in _rings_of(part)]


def outline_rings(outline: model.Outline, plane: Projection) -> list[Plane]:
    """The rings of an evidence outline on the plane."""
    rings = [[(v.latitude_deg, v.longitude_deg) for v in ring.vertices] for ring in outline.rings]
    return _project_rings([ring for ring in rings if len(ring) > 1], plane)


def holds(rings: Sequence[Plane], x_m: float, y_m: float) -> bool:
    """Whether the point is inside the rings (even-odd rule).

    >>> square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
    >>> holds([square], 1.0, 1.0), holds([square], 3.0, 1.0)
    (True, False)
    """
    crossings = 0
    for ring in rings:
        nexts = np.roll(ring, -1, axis=0)
        spans = (ring[:, 1] > y_m) != (nexts[:, 1] > y_m)
        rises = np.where(spans, nexts[:, 1] - ring[:, 1], 1.0)
        at_m = ring[:, 0] + (y_m - ring[:, 1]) * (nexts[:, 0] - ring[:, 0]) / rises
        crossings += int(np.count_nonzero(spans & (at_m > x_m)))
    return crossings % 2 == 1


def backdrops(
    areas: Sequence[tuple[str, Sequence[Ring]]], plane: Projection, clip: Box, view: Box, taken: Sequence[Box]
) -> list[Backdrop]:
    """The background polygons, cut to `clip`, with their names where they show in `view` outside of `taken`."""
    import shapely

    window = shapely.box(clip.left_m, clip.top_m, clip.right_m, clip.bottom_m)
    shown = shapely.box(view.left_m, view.top_m, view.right_m, view.bottom_m)
    for box in taken:
        shown = shapely.difference(shown, shapely.box(box.left_m, box.top_m, box.right_m, box.bottom_m))
    decimals = decimals_for(view.right_m - view.left_m)
    found = []
    for name, rings in areas:
        projected = _project_rings([r for r in rings if len(r) > 2], plane)
        if not projected:
            continue
        # Even-odd, as GeoJSON's holes lie inside their outer rings.
        whole = shapely.make_valid(shapely.Polygon())
        for ring in projected:
            whole = shapely.symmetric_difference(whole, shapely.make_valid(shapely.Polygon(ring)))
        cut = shapely.intersection(whole, window)
        corners = [shapely.get_coordinates(r)[:-1] for part in shapely.get_parts(cut) for r in _rings_of(part)]
        corners = [ring for ring in corners if len(ring)]
        if not corners:
            continue
        seen = shapely.intersection(cut, shown)
        label = None if seen.is_empty or not name else shapely.get_coordinates(shapely.point_on_surface(seen))[0]
        found.append(
            Backdrop(name, rings_path(corners, decimals), None if label is None else (float(label[0]), float(label[1])))
        )
    return found


def _rings_of(part: object) -> list[object]:
    exterior = getattr(part, "exterior", None)
    return [] if exterior is None else [exterior, *getattr(part, "interiors", ())]
