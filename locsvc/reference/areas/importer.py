"""Areas from GeoJSON into a draft: names, and outlines as WKB."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry import MultiPolygon

from locsvc.errors import BadData, FieldViolation, InvalidInput
from locsvc.reference.areas.geojson import Feature, UnusableGeometryError, mend, read_features
from locsvc.reference.importing import ImportReport, Rejects
from locsvc.reference.snapshot import Draft

DATASET = "areas"
OUTLINES_FILE = "outlines.wkb"
OFFSETS_FILE = "offsets.npy"
NAMES_FILE = "names.json"

# Properties that hold an area's name in the files that were met, best first; letter case does not matter.
NAME_FIELDS = (
    "name",
    "area_name",
    "displayname",
    "display_name",
    "name:en",
    "name_en",
    "nam",
    "county",
    "district",
    "municipality",
    "title",
    "label",
    "agencyid",
    "agency",
    "name_2",
    "name_1",
    "name_0",
    "admin",
)

REPAIRED = "outlines not valid: repaired"
UNNAMED = "no name: called unnamed <n>"
ACROSS = "crosses the antimeridian: cut there"
DOUBLE = "same name and outline as a feature before"


def import_areas(
    draft: Draft,
    source: Path,
    *,
    name: str,
    name_field: str | None = None,
    rejects: Path | None = None,
    licence: str = "",
) -> ImportReport:
    """Import the polygons of a GeoJSON file as areas; what became of each feature is in the report.

    Parameters
    ----------
    name
        Name of this import; the same name again replaces it.
    name_field
        Property that holds the areas' names; None: the usual ones are tried.
    rejects
        CSV file for the features that could not be used.

    Raises
    ------
    BadData
        The file is no GeoJSON, not in WGS84, or has not one usable polygon; or no property is a name.
    InvalidInput
        No feature has `name_field`.
    """
    started = time.monotonic()
    features = read_features(source)
    field = _name_field(source, features, name_field)
    notes: Counter[str] = Counter()
    with Rejects(rejects) as rejected:
        names, outlines = _collect(features, field, rejected, notes)
        if not names:
            reasons = ", ".join(f"{count} x {reason}" for reason, count in rejected.counts.items())
            raise BadData(f"{source} has no polygon that can be an area ({reasons or 'no features'})")
        _write(draft.dataset_dir(DATASET, name), names, outlines)
        extra = {"name_field": field, "notes": dict(notes)}
        draft.describe(
            DATASET, name, rows=len(names), source=source.name, licence=licence, built_at=time.time(), extra=extra
        )
        return rejected.report(len(names), time.monotonic() - started, notes)


def _name_field(source: Path, features: Sequence[Feature], asked: str | None) -> str | None:
    """The property that holds the names; None only when there are no properties at all."""
    present = {key: None for feature in features for key in feature.properties}
    listed = ", ".join(present) or "none"
    if asked is not None:
        if asked not in present:
            raise InvalidInput([FieldViolation("name_field", f"no feature has {asked!r}; there are: {listed}")])
        return asked
    by_folded = {key.casefold(): key for key in reversed(present)}
    found = next((by_folded[f] for f in NAME_FIELDS if f in by_folded), None)
    if found is None and present:
        raise BadData(f"{source}: no property looks like a name; give the name field, one of: {listed}")
    return found


def _collect(
    features: Sequence[Feature], field: str | None, rejected: Rejects, notes: Counter[str]
) -> tuple[list[str], list[MultiPolygon]]:
    names: list[str] = []
    outlines: list[MultiPolygon] = []
    seen: set[tuple[str, bytes]] = set()
    for feature in features:
        text = json.dumps(feature.properties, ensure_ascii=False)
        try:
            mended = mend(feature.geometry)
        except UnusableGeometryError as error:
            rejected.add(feature.number, str(error), text)
            continue
        value = feature.properties.get(field) if field is not None else None
        own = str(value).strip() if value is not None else ""
        key = (own, shapely.to_wkb(shapely.normalize(mended.outline)))
        if key in seen:
            rejected.add(feature.number, DOUBLE, text)
            continue
        seen.add(key)
        names.append(own or f"unnamed {feature.number}")
        outlines.append(mended.outline)
        notes.update([UNNAMED] * (not own) + [REPAIRED] * mended.repaired + [ACROSS] * mended.crosses_antimeridian)
    return names, outlines


def _write(directory: Path, names: Sequence[str], outlines: Sequence[MultiPolygon]) -> None:
    blobs = [shapely.to_wkb(outline) for outline in outlines]
    (directory / OUTLINES_FILE).write_bytes(b"".join(blobs))
    offsets = np.concatenate([[0], np.cumsum([len(b) for b in blobs])]).astype(np.int64)
    np.save(directory / OFFSETS_FILE, offsets)
    (directory / NAMES_FILE).write_text(json.dumps(list(names), ensure_ascii=False), encoding="utf-8")
