"""Areas in memory: which hold a point, whether a circle is divided among them, their outlines for a map."""

from __future__ import annotations

import itertools
import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from locsvc.errors import DatasetError
from locsvc.geo import latitudes_longitudes
from locsvc.model import AreaShare
from locsvc.reference.areas.borders import clearance_m
from locsvc.reference.areas.circles import UNKNOWN, UNSURE, KnownTiles, combinations_at, no_known_tiles
from locsvc.reference.areas.holding import INSIDE, UNDECIDED, masses, masses_of_regions, places_held, strips_of
from locsvc.reference.areas.importer import NAMES_FILE, OFFSETS_FILE, OUTLINES_FILE
from locsvc.reference.snapshot import Entry
from locsvc.reference.tiles import corners_of, distance_to_corners_m, slot_of, tile_at

NOWHERE = -2

_EARTH_RADIUS_M = 6_371_008.8


# Up to so many boxes are compared with every point; making a point for the tree costs as much as thirty comparisons.
_FEW_AREAS = 64


class AreaStore:
    """All areas of one or more imports; an area's index runs through them in order.

    Thread-safe for reading.

    Attributes
    ----------
    names
        Name of each area.
    dataset_of
        Name of the import that each area came from.
    """

    def __init__(self, names: Sequence[str], dataset_of: Sequence[str], outlines: npt.NDArray[np.object_]) -> None:
        self.names = tuple(names)
        self.dataset_of = tuple(dataset_of)
        self._outlines = outlines
        self._tree = shapely.STRtree(outlines)
        self._strips = strips_of(outlines)
        self._tiles: KnownTiles = no_known_tiles()
        self._tiles_known = 0
        self._combinations: dict[tuple[int, ...], int] = {}
        self._wholes: list[tuple[AreaShare, ...]] = []
        self._learning = threading.Lock()
        # GEOS goes on building inside prepared outlines while it is asked: two threads at once can end the process.
        self._asking = threading.Lock()
        shapely.prepare(outlines)
        # Trees inside prepared outlines are built by the first question; asked here, threads later only read them.
        bounds = shapely.bounds(outlines)
        shapely.intersects_xy(outlines, (bounds[:, 0] + bounds[:, 2]) / 2.0, (bounds[:, 1] + bounds[:, 3]) / 2.0)

    @staticmethod
    def open(entries: Sequence[Entry]) -> AreaStore:
        """The areas of all `entries`.

        Raises
        ------
        DatasetError
            A file of them cannot be read; the file is named.
        """
        names: list[str] = []
        dataset_of: list[str] = []
        outlines: list[npt.NDArray[np.object_]] = []
        for entry in entries:
            own_names, own_outlines = _read(entry.path)
            names += own_names
            dataset_of += [entry.name] * len(own_names)
            outlines.append(own_outlines)
        return AreaStore(names, dataset_of, np.concatenate([*outlines, np.empty(0, dtype=np.object_)]))

    def locate(
        self, latitude_deg: npt.NDArray[np.float64], longitude_deg: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Every pair of a point and an area that holds it, points ascending; a point on a border is in both areas.

        Parameters
        ----------
        latitude_deg, longitude_deg
            `(n,) float64`; NaN is nowhere, longitudes beyond 180 are taken round the globe.

        Returns
        -------
        point, area
            `(k,) int32` each.
        """
        latitude_deg = np.ascontiguousarray(latitude_deg)
        longitude = np.ascontiguousarray(_wrapped(longitude_deg))
        point, area = self._holding(latitude_deg, longitude)
        # The antimeridian has two longitudes: areas on its other side are at 180.
        seam = np.flatnonzero(longitude == -180.0)
        if len(seam):
            other_point, other_area = self._holding(latitude_deg[seam], np.full(len(seam), 180.0))
            pairs = np.concatenate([np.stack([point, area]), np.stack([seam[other_point], other_area])], axis=1)
            point, area = np.unique(pairs, axis=1)
        return point.astype(np.int32), area.astype(np.int32)

    def undivided(
        self,
        latitude_deg: npt.NDArray[np.float64],
        longitude_deg: npt.NDArray[np.float64],
        radius_m: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.int32]:
        """For each circle: the area if it lies wholly in exactly one and touches no other, -2 if it touches none.

        -1 otherwise, and whenever the answer is not sure at once: then the circle's points must be asked one by one.
        What is known of a place is kept per H3 tile, so a circle costs about 1 us after the first near it.

        Parameters
        ----------
        latitude_deg, longitude_deg, radius_m
            `(n,) float64`, degrees and metres.

        Returns
        -------
        area
            `(n,) int32`.
        """
        number = self.undivided_among(latitude_deg, longitude_deg, radius_m)
        alone = [areas[0] if len(areas) == 1 else UNSURE if areas else NOWHERE for areas in self.combinations]
        return np.array([*alone, UNSURE], dtype=np.int32)[number]

    def undivided_among(
        self,
        latitude_deg: npt.NDArray[np.float64],
        longitude_deg: npt.NDArray[np.float64],
        radius_m: npt.NDArray[np.float64],
    ) -> npt.NDArray[np.int32]:
        """For each circle: which of `combinations` holds it wholly, all of its areas and no part of any other; or -1.

        Like `undivided` where areas lie upon each other (police and fire service, county and country).

        Parameters
        ----------
        latitude_deg, longitude_deg, radius_m
            `(n,) float64`, degrees and metres.

        Returns
        -------
        combination
            `(n,) int32`, index into `combinations`; -1: divided, or not sure at once.
        """
        lat, lng, radius = (np.ascontiguousarray(c, np.float64) for c in (latitude_deg, longitude_deg, radius_m))
        number = np.empty(len(lat), np.int32)
        with self._learning:
            unknown = combinations_at(lat, lng, radius, self._tiles, number)
        if unknown:
            for i in np.flatnonzero(number == UNKNOWN).tolist():
                known, clear_m = self._learn(tile_at(lat[i], lng[i], self._tiles.tiles.per_degree))
                number[i] = known if radius[i] < clear_m else UNSURE
        return number

    @property
    def combinations(self) -> tuple[tuple[int, ...], ...]:
        """Sets of areas, ascending, that hold some place together, in the order in which they were met."""
        return tuple(self._combinations)

    def whole(self, combination: int) -> tuple[AreaShare, ...]:
        """The areas of one of `combinations` as those of a region that is wholly in each."""
        return self._wholes[combination]

    def held_mass(
        self, vectors: npt.NDArray[np.float64], anchor: npt.NDArray[np.float64], mass: npt.NDArray[np.float64]
    ) -> list[tuple[int, float]]:
        """Areas that hold some of many places, ascending, and the mass of the places that each holds.

        Parameters
        ----------
        vectors, anchor
            `(n, 3) float64` and `(3,) float64`; the places are in the directions of their sums.
        mass
            `(n,) float64`.
        """
        decided, areas, held = masses(vectors, anchor, mass, *self._strips)
        if decided:
            return list(zip(areas.tolist(), held.tolist(), strict=True))
        point, area = self.locate(*latitudes_longitudes(vectors + anchor))
        some, slot = np.unique(area, return_inverse=True)
        sums = np.bincount(slot, weights=mass[point], minlength=len(some))
        return list(zip(some.tolist(), sums.tolist(), strict=True))

    def held_masses(
        self,
        chosen: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        count: npt.NDArray[np.int64],
        vectors: npt.NDArray[np.float64],
        anchor: npt.NDArray[np.float64],
        mass: npt.NDArray[np.float64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """As `held_mass`, of many regions at once.

        Parameters
        ----------
        chosen
            `(n,) int64`: the regions that are asked about.
        starts, count
            `(regions,) int64` or more: the places of each region are the first `count` from `starts` on.
        vectors, mass
            `(places, 3)` and `(places,) float64`.
        anchor
            `(regions, 3) float64`.

        Returns
        -------
        first, area, held
            `(n + 1,) int64` rows of each region; `(k,) int64` areas, ascending in each; `(k,) float64` their mass.
        """
        decided, first, area, held = masses_of_regions(chosen, starts, count, vectors, anchor, mass, *self._strips)
        if decided.all():
            return first, area, held
        found = []
        for i, c in enumerate(chosen.tolist()):
            own = slice(int(starts[c]), int(starts[c]) + int(count[c]))
            known = list(
                zip(area[first[i] : first[i + 1]].tolist(), held[first[i] : first[i + 1]].tolist(), strict=True)
            )
            found.append(known if decided[i] else self.held_mass(vectors[own], anchor[c], mass[own]))
        every = np.array([pair for pairs in found for pair in pairs], np.float64).reshape(-1, 2)
        return np.cumsum([0, *map(len, found)]), every[:, 0].astype(np.int64), every[:, 1]

    def outlines(
        self, latitude_deg: float, longitude_deg: float, radius_m: float
    ) -> list[tuple[str, list[list[tuple[float, float]]]]]:
        """Polygons of the areas near a place, clipped to its neighbourhood, as a background for a map.

        Parameters
        ----------
        radius_m
            Half the width and height of the neighbourhood.

        Returns
        -------
        polygons
            Area's name and rings of (latitude, longitude), the outer one first, corners clockwise or not, the first
            corner repeated at the end. Longitudes run on beyond 180 where the neighbourhood does.
        """
        lat_span = min(math.degrees(radius_m / _EARTH_RADIUS_M), 180.0)
        lon_span = min(lat_span / max(math.cos(math.radians(latitude_deg)), 0.01), 180.0)
        found = []
        for turn_deg in (-360.0, 0.0, 360.0):
            middle = longitude_deg - turn_deg
            window = shapely.box(middle - lon_span, latitude_deg - lat_span, middle + lon_span, latitude_deg + lat_span)
            near = np.sort(self._tree.query(window))
            # A thousandth of the picture is less than a line's width.
            pieces = shapely.simplify(shapely.intersection(self._outlines[near], window), lat_span / 1000.0)
            for index, piece in zip(near.tolist(), pieces, strict=True):
                found += [(self.names[index], rings) for rings in _rings(piece, turn_deg)]
        return found

    def _holding(
        self, latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        if len(self._outlines) <= _FEW_AREAS:
            point, area = self._in_boxes(latitude, longitude)
        else:
            points = shapely.points(longitude, latitude)
            with self._asking:
                point, area = self._tree.query(points)
        if not len(point):
            return point, area
        # Numbers that lie side by side: the kernel is compiled for these.
        point, area = np.ascontiguousarray(point), np.ascontiguousarray(area)
        how = places_held(longitude, latitude, point, area, *self._strips)
        undecided = np.flatnonzero(how == UNDECIDED)
        if len(undecided):
            at, outline = point[undecided], self._outlines[area[undecided]]
            with self._asking:
                how[undecided] = shapely.intersects_xy(outline, longitude[at], latitude[at])
        inside = how == INSIDE
        return point[inside], area[inside]

    def _in_boxes(
        self, latitude: npt.NDArray[np.float64], longitude: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Pairs of a point and an area whose box holds it, points ascending: as the tree gives them, without points."""
        west, south, east, north = self._strips.box.T
        x, y = longitude[:, None], latitude[:, None]
        point, area = np.nonzero((x >= west) & (x <= east) & (y >= south) & (y <= north))
        return point, area

    def _learn(self, tile: int) -> tuple[int, float]:
        """The areas that hold a tile, and the radius up to which a circle from anywhere in it has no border inside."""
        per_degree = self._tiles.tiles.per_degree
        south, west, north, east = corners_of(tile, per_degree)
        latitude, longitude = (south + north) / 2.0, (west + east) / 2.0
        _, holding = self._holding(np.array([latitude]), np.array([longitude]))
        clear_m = clearance_m(self._strips, latitude, longitude) - distance_to_corners_m(tile, per_degree)
        areas = tuple(np.sort(holding).tolist())
        with self._learning:
            number = self._number_of(areas)
            if self._tiles_known == len(self._tiles.number):
                self._tiles, self._tiles_known = no_known_tiles(), 0
            slot = slot_of(tile, self._tiles.tiles.tile)
            # Perhaps another thread has learned it meanwhile.
            if self._tiles.tiles.tile[slot] == 0:
                row = self._tiles_known
                self._tiles.number[row], self._tiles.clear_m[row] = number, clear_m
                self._tiles.tiles.tile[slot], self._tiles.tiles.row[slot] = tile, row
                self._tiles_known += 1
        return number, clear_m

    def _number_of(self, areas: tuple[int, ...]) -> int:
        """The number of a combination, which is new perhaps."""
        number = self._combinations.get(areas)
        if number is None:
            number = len(self._wholes)
            self._wholes.append(tuple(AreaShare(self.names[a], self.dataset_of[a], 1.0) for a in areas))
            self._combinations[areas] = number
        return number


def _wrapped(longitude_deg: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Longitudes in [-180, 180); those that are there already keep every bit."""
    inside = (longitude_deg >= -180.0) & (longitude_deg < 180.0)
    if inside.all():
        return longitude_deg
    with np.errstate(invalid="ignore"):
        return np.where(inside, longitude_deg, (longitude_deg + 180.0) % 360.0 - 180.0)


def _read(path: Path) -> tuple[list[str], npt.NDArray[np.object_]]:
    try:
        names = json.loads((path / NAMES_FILE).read_text(encoding="utf-8"))
        offsets = np.load(path / OFFSETS_FILE, allow_pickle=False).tolist()
        content = (path / OUTLINES_FILE).read_bytes()
        blobs = np.array([content[a:b] for a, b in itertools.pairwise(offsets)], dtype=np.object_)
        outlines = shapely.from_wkb(blobs)
    except (OSError, ValueError, shapely.errors.GEOSException) as error:
        raise DatasetError(f"the areas in {path} cannot be read ({error}); import them again") from error
    if len(names) != len(outlines):
        raise DatasetError(f"{path / NAMES_FILE} has {len(names)} names for {len(outlines)} outlines; import again")
    return names, outlines


def _rings(piece: shapely.Geometry, turn_deg: float) -> list[list[list[tuple[float, float]]]]:
    """The polygons in a geometry, each as its rings of (latitude, longitude)."""
    polygons = []
    for part in shapely.get_parts(shapely.get_parts(piece)):
        if shapely.get_type_id(part) != shapely.GeometryType.POLYGON or shapely.is_empty(part):
            continue
        rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(part)]
        polygons.append([[(float(y), float(x) + turn_deg) for x, y in ring] for ring in rings])
    return polygons
