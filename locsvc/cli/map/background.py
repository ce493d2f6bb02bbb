"""Background polygons from a GeoJSON file."""

from __future__ import annotations

import json
from pathlib import Path

from locsvc.cli.map.shapes import Ring
from locsvc.errors import BadData

_NAMES = ("name", "NAME", "Name", "title")


def read_background(path: Path) -> list[tuple[str, list[Ring]]]:
    """Names and rings (latitude, longitude) of the polygons of a GeoJSON file.

    Raises
    ------
    BadData
        It cannot be read, or is not GeoJSON with polygons.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadData(f"{path} is not GeoJSON: {error}") from None
    features = value.get("features", [value]) if isinstance(value, dict) else []
    try:
        found = [_feature(feature) for feature in features]
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        raise BadData(f"{path} is not GeoJSON: a feature has no geometry as RFC 7946 describes it") from None
    found = [(name, rings) for name, rings in found if rings]
    if not found:
        raise BadData(f"{path} holds no polygons: give GeoJSON with Polygon or MultiPolygon features")
    return found


def _feature(feature: dict[str, object]) -> tuple[str, list[Ring]]:
    properties = feature.get("properties") or {}
    geometry = feature.get("geometry", feature) or {}
    if not isinstance(properties, dict) or not isinstance(geometry, dict):
        raise TypeError("a feature's members are objects")
    name = next((str(properties[key]) for key in _NAMES if properties.get(key)), "")
    name = name or next((text for text in properties.values() if isinstance(text, str)), "")
    coordinates = geometry.get("coordinates", [])
    polygons = {"Polygon": [coordinates], "MultiPolygon": coordinates}.get(str(geometry.get("type")), [])
    return name, [[(float(at[1]), float(at[0])) for at in ring] for polygon in polygons for ring in polygon]
