"""Polygons out of GeoJSON: any nesting, repaired, cut at the antimeridian.

References
----------
RFC 7946 sections 3.1.6 (polygons), 3.1.9 and 5.2 (antimeridian), 4 (coordinate reference system).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon

from locsvc.errors import BadData
from locsvc.reference.importing import open_binary

NO_GEOMETRY = "no geometry"
NO_POLYGON = "no polygon in the geometry"
BAD_COORDINATES = "coordinates are no latitude and longitude in degrees"
MALFORMED = "malformed geometry"
EMPTY = "the polygon has no area"
BEYOND_REPAIR = "the outline cannot be repaired"

_MAX_NESTING = 16
# Names under which WGS84 with longitude first goes in the "crs" member that GeoJSON had before RFC 7946.
_WGS84_NAMES = ("CRS84", "EPSG:4326", "EPSG::4326", "EPSG:4979", "EPSG::4979")


class UnusableGeometryError(Exception):
    """The geometry of one feature cannot be an area; the text is the reason by which it is counted."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of a file: its number from 1, its properties, its geometry as it stands there."""

    number: int
    properties: Mapping[str, object]
    geometry: object


@dataclass(frozen=True, slots=True)
class Mended:
    """An outline ready to be stored, and what was done to it."""

    outline: MultiPolygon
    repaired: bool
    crosses_antimeridian: bool


def read_features(source: Path) -> list[Feature]:
    """The features of a GeoJSON file (plain or gzip): a FeatureCollection, one Feature, or a bare geometry.

    Raises
    ------
    BadData
        The file cannot be read, is no GeoJSON, or is in another coordinate reference system than WGS84.
    """
    with open_binary(source) as raw:
        try:
            read = json.loads(raw.read())
        except (ValueError, RecursionError) as error:
            raise BadData(f"{source} is not JSON: {error}") from error
    if not isinstance(read, dict) or not isinstance(read.get("type"), str):
        raise BadData(f"{source} is not GeoJSON: it is no object with a type")
    _check_reference_system(source, read.get("crs"))
    match read["type"]:
        case "FeatureCollection":
            members = read.get("features")
        case "Feature":
            members = [read]
        case _:
            members = [{"geometry": read}]
    if not isinstance(members, list):
        raise BadData(f"{source} is not GeoJSON: the collection has no list of features")
    return [_feature(number, member) for number, member in enumerate(members, start=1)]


def mend(geometry: object) -> Mended:
    """The polygons of a GeoJSON geometry as one valid outline with longitudes in [-180, 180].

    Raises
    ------
    UnusableGeometryError
        There is no polygon in it, or its coordinates cannot be degrees.
    """
    if geometry is None:
        raise UnusableGeometryError(NO_GEOMETRY)
    try:
        return _mend(geometry)
    except shapely.errors.GEOSException as error:
        raise UnusableGeometryError(BEYOND_REPAIR) from error


def _mend(geometry: object) -> Mended:
    polygons, crosses = [], False
    for rings in _polygons(geometry, 0):
        unwrapped, wraps = _unwrap(rings)
        crosses |= wraps
        closed = [shapely.linearrings(ring) for ring in unwrapped]
        polygons.append(shapely.polygons(closed[0], holes=closed[1:] or None))
    if not polygons:
        raise UnusableGeometryError(NO_POLYGON)
    valid = [shapely.is_valid(p) for p in polygons]
    pieces = [p if ok else _repaired(p) for p, ok in zip(polygons, valid, strict=True)]
    joined = _only_polygons([piece for p in pieces for piece in _cut(p)])
    # Polygons of one feature may touch or overlap each other, which its parts by themselves do not show.
    whole = joined if joined.is_valid else _only_polygons([shapely.union_all(shapely.get_parts(joined))])
    if not whole.is_valid:
        whole = _only_polygons([_repaired(whole, "structure")])
    if whole.is_empty or whole.area <= 0.0:
        raise UnusableGeometryError(EMPTY)
    if not whole.is_valid:
        raise UnusableGeometryError(BEYOND_REPAIR)
    return Mended(whole, not all(valid) or whole is not joined, crosses)


def _feature(number: int, member: object) -> Feature:
    if not isinstance(member, dict):
        return Feature(number, {}, None)
    properties = member.get("properties")
    return Feature(number, properties if isinstance(properties, dict) else {}, member.get("geometry"))


def _check_reference_system(source: Path, crs: object) -> None:
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if isinstance(name, str) and not name.upper().endswith(_WGS84_NAMES):
        raise BadData(f"{source} is in {name}; convert it to WGS84 degrees (EPSG:4326) first")


def _polygons(geometry: object, depth: int) -> Iterator[list[npt.NDArray[np.float64]]]:
    """The rings of each polygon in a geometry; lines and points beside polygons are passed over."""
    if not isinstance(geometry, dict) or depth > _MAX_NESTING:
        raise UnusableGeometryError(MALFORMED)
    kind = str(geometry.get("type"))
    key = "geometries" if kind == "GeometryCollection" else "coordinates"
    content = geometry.get(key)
    if kind in {"Polygon", "MultiPolygon", "GeometryCollection"} and not isinstance(content, list):
        raise UnusableGeometryError(MALFORMED)
    match kind:
        case "Polygon":
            if content:
                yield _rings(content)
        case "MultiPolygon":
            yield from (_rings(polygon) for polygon in content or () if polygon)
        case "GeometryCollection":
            for member in content or ():
                yield from _polygons(member, depth + 1)


def _rings(polygon: object) -> list[npt.NDArray[np.float64]]:
    """The rings as `(k, 2) float64`, degrees, longitude first; the first ring is the outer one."""
    if not isinstance(polygon, list):
        raise UnusableGeometryError(MALFORMED)
    rings = []
    for ring in polygon:
        try:
            corners = np.array([corner[:2] for corner in ring], dtype=np.float64)
        except (TypeError, ValueError, IndexError) as error:
            raise UnusableGeometryError(MALFORMED) from error
        # Three corners, the first repeated at the end or not: fewer have no area.
        if corners.ndim != 2 or corners.shape[1] != 2 or len(corners) < 3:
            raise UnusableGeometryError(MALFORMED)
        lat_ok = np.abs(corners[:, 1]) <= 90.0
        lon_ok = np.abs(corners[:, 0]) <= 360.0
        if not (np.isfinite(corners).all() and lat_ok.all() and lon_ok.all()):
            raise UnusableGeometryError(BAD_COORDINATES)
        # 0.1 mm: finer differences are rounding, and break the repair.
        rings.append(np.round(corners, 9))
    return rings


def _unwrap(rings: list[npt.NDArray[np.float64]]) -> tuple[list[npt.NDArray[np.float64]], bool]:
    """The rings with longitudes that run on beyond 180 instead of jumping, and whether any does.

    A ring is taken to jump when it has an edge longer than 180 degrees and is narrower without the jump. An edge from
    -180 to 180 is the frame of a map of the world, or a ring round a pole, and stays.
    """
    outer = _continuous(rings[0])
    middle = (outer[:, 0].min() + outer[:, 0].max()) / 2.0
    holes = []
    for ring in rings[1:]:
        hole = _continuous(ring)
        off = (hole[:, 0].min() + hole[:, 0].max()) / 2.0 - middle
        holes.append(hole - [360.0 * round(off / 360.0), 0.0])
    crosses = bool(outer[:, 0].max() > 180.0 or outer[:, 0].min() < -180.0)
    return [outer, *holes], crosses


def _continuous(ring: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    steps = np.diff(ring[:, 0], append=ring[0, 0])
    jumps = (np.abs(steps) > 180.0) & (np.abs(steps) < 360.0)
    if not jumps.any():
        return ring
    steps[jumps] -= 360.0 * np.sign(steps[jumps])
    longitudes = ring[0, 0] + np.concatenate([[0.0], np.cumsum(steps[:-1])])
    closes = abs(steps.sum()) < 180.0
    if not closes or np.ptp(longitudes) >= np.ptp(ring[:, 0]):
        return ring
    return np.column_stack([longitudes, ring[:, 1]])


def _cut(geometry: shapely.Geometry) -> Iterator[shapely.Geometry]:
    """The geometry in pieces whose longitudes lie in [-180, 180] (RFC 7946 section 3.1.9)."""
    west, _, east, _ = shapely.bounds(geometry)
    if np.isnan(west) or (west >= -180.0 and east <= 180.0):
        yield geometry
        return
    # Longitudes are at most 360, and unwrapping moves them by less than another turn.
    for turn in (-2, -1, 0, 1, 2):
        window = shapely.box(360.0 * turn - 180.0, -90.0, 360.0 * turn + 180.0, 90.0)
        piece = shapely.intersection(geometry, window)
        if not shapely.is_empty(piece):
            yield shapely.transform(piece, lambda xy, shift=360.0 * turn: xy - [shift, 0.0])


def _repaired(polygon: shapely.Geometry, method: str = "linework") -> shapely.Geometry:
    try:
        if method == "linework":
            return shapely.make_valid(polygon)
    except shapely.errors.GEOSException:
        # Met on real outlines ("overlay input is mixed-dimension"); the other method builds areas only.
        pass
    return shapely.make_valid(polygon, method="structure", keep_collapsed=False)


def _only_polygons(geometries: list[shapely.Geometry]) -> MultiPolygon:
    """The polygons in `geometries`, at any depth, as one multipolygon; lines and points left by repair are dropped."""
    parts = shapely.get_parts(shapely.get_parts(shapely.get_parts(geometries)))
    keep = parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)]
    joined: MultiPolygon = shapely.multipolygons(keep)
    return joined
