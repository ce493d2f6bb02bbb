"""Records of the reference data, in the JSON mapping of the contract's replies and as rows for a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from locsvc import model
from locsvc.cli import learned, words
from locsvc.errors import DatasetMissing, FieldViolation, InvalidInput, NotFound
from locsvc.formats.proto_json import Json, to_json
from locsvc.formats.spelling import enum_name, timestamp_seconds, timestamp_text

if TYPE_CHECKING:
    from locsvc.reference.cells import CellQueries, CellRow
    from locsvc.reference.store import Reference

Found = dict[str, object]
_Store = TypeVar("_Store")

CELL_COLUMNS = (
    "radio", "mcc", "mnc", "area", "cell", "pci", "arfcn", "position", "range", "azimuth", "samples", "updated", "kind",
)  # fmt: skip
ADDRESS_COLUMNS = ("address", "position", "placed", "distance", "spread")


def _opened(data: Path) -> Reference:
    """The data without the check of every byte: a look-up of one row need not read them all."""
    from locsvc.reference.store import Reference

    return Reference.open(data, verify=False)


def _needed(store: _Store | None, dataset: str, reference: Reference) -> _Store:
    if store is not None:
        return store
    broken = [
        warning.message for warning in reference.degraded if dataset in (warning.field, warning.message.split()[0])
    ]
    raise DatasetMissing(broken[0] if broken else f"there is no {dataset} dataset; run `locsvc import {dataset} FILE`")


def cells(data: Path, cell: model.CellMeasurement | None, near: model.LatLng | None, limit: int) -> Found:
    """Rows of a cell, or those nearest to a place; and what was learned of the cell.

    Raises
    ------
    DatasetError
        There are no cells, or they cannot be read.
    """
    reference = _opened(data)
    known = [] if cell is None or reference.coverage is None else learned.cell(reference.coverage, cell)
    if known and reference.cells is None:
        return {"rows": [], "learned": known}
    store = _needed(reference.cells, "cells", reference)
    if cell is None:
        place = near or model.LatLng(0.0, 0.0)
        return {"rows": [_cell(row) for row in store.nearest(place.latitude_deg, place.longitude_deg, limit)]}
    query = _query(cell, near)
    found: Found = {"rows": [_cell(row) for row in store.rows(query, limit)[0]]}
    step = model.CellFallback(int(store.place(query).step[0]))
    return found | ({"fallback": enum_name(step)} if step else {}) | ({"learned": known} if known else {})


def _query(cell: model.CellMeasurement, near: model.LatLng | None) -> CellQueries:
    import numpy as np

    from locsvc.reference.cells import CellQueries

    def known(value: int | None) -> int:
        return -1 if value is None else value

    return CellQueries(
        radio=np.array([cell.radio], dtype=np.int8),
        mcc=np.array([int(cell.mcc or -1)], dtype=np.int16),
        mnc=np.array([int(cell.mnc or -1)], dtype=np.int16),
        area=np.array([known(cell.area)], dtype=np.int32),
        cell=np.array([known(cell.cell)], dtype=np.int64),
        pci=np.array([known(cell.pci)], dtype=np.int32),
        arfcn=np.array([known(cell.arfcn)], dtype=np.int32),
        near_latitude_deg=np.array([np.nan if near is None else near.latitude_deg]),
        near_longitude_deg=np.array([np.nan if near is None else near.longitude_deg]),
    )


def _cell(row: CellRow) -> Json:
    written: Json = {"cell": to_json(row.cell), "position": to_json(row.position)}
    if row.is_mast:
        written["is_mast"] = True
    written |= {n: v for n in ("azimuth_deg", "range_m", "distance_m") if (v := getattr(row, n)) is not None}
    if row.samples:
        written["samples"] = str(row.samples)
    if row.updated_at is not None:
        written["updated_at"] = timestamp_text(row.updated_at)
    return written


def line(data: Path, number: str) -> Found:
    """The record of a number.

    Raises
    ------
    DatasetError
        There are no lines, or they cannot be read.
    InvalidInput
        It is no number.
    NotFound
        There is no record.
    """
    from locsvc.reference.numbers import normalise_number

    reference = _opened(data)
    store = _needed(reference.lines, "lines", reference)
    asked = normalise_number(number, store.default_region)
    if asked is None:
        raise InvalidInput([FieldViolation("number", f"{number!r} is no number: write it as +441632960168")])
    record = store.lookup([asked])[0]
    if record is None:
        raise NotFound(f"{asked} is not in the line data")
    return {"record": to_json(record)}


def addresses(data: Path, near: model.LatLng | None, wanted: model.CivicAddress | None, limit: int) -> Found:
    """Addresses near a place, or the places of an address.

    Raises
    ------
    DatasetError
        There are no addresses, or they cannot be read.
    """
    reference = _opened(data)
    store = _needed(reference.addresses, "addresses", reference)
    if wanted is None:
        place = near or model.LatLng(0.0, 0.0)
        return {
            "matches": [
                {
                    "address": to_json(store.address(row)),
                    "position": to_json(store.position(row)),
                    "placement": enum_name(model.Placement.RECORD),
                    "distance_m": distance_m,
                }
                for row, distance_m in store.near(place.latitude_deg, place.longitude_deg, limit)
            ]
        }
    matches = []
    for found in store.find(wanted, limit):
        position = model.LatLng(found.latitude_deg, found.longitude_deg)
        match: Json = {
            "address": to_json(found.address),
            "position": to_json(position),
            "placement": enum_name(found.placement),
        }
        if near is not None:
            match["distance_m"] = _distance_m(near, position)
        if found.spread_m:
            match["spread_m"] = found.spread_m
        matches.append(match)
    return {"matches": matches}


def _distance_m(near: model.LatLng, place: model.LatLng) -> float:
    from locsvc import geo

    return float(geo.distance_m(near.latitude_deg, near.longitude_deg, place.latitude_deg, place.longitude_deg))


def areas(data: Path, place: model.LatLng) -> Found:
    """Areas that hold a place.

    Raises
    ------
    DatasetError
        There are no areas, or they cannot be read.
    """
    import numpy as np

    reference = _opened(data)
    store = _needed(reference.areas, "areas", reference)
    _, found = store.locate(np.array([place.latitude_deg]), np.array([place.longitude_deg]))
    return {
        "areas": [to_json(model.AreaShare(store.names[area], store.dataset_of[area], 1.0)) for area in found.tolist()]
    }


def rows_of(found: Found, name: str) -> list[Found]:
    """The rows of a reply; none when the field is absent."""
    return cast("list[Found]", found.get(name, []))


def _place_text(found: Found) -> str:
    place = cast("dict[str, float]", found.get("position", {}))
    return words.place_text(model.LatLng(place.get("latitude_deg", 0.0), place.get("longitude_deg", 0.0)))


def _distance_text(found: Found, name: str) -> str:
    return words.distance_text(cast("float | None", found.get(name)))


def cell_row(found: Found) -> tuple[str, ...]:
    """A cell's row in the order of CELL_COLUMNS."""
    cell = cast("Found", found.get("cell", {}))
    azimuth = found.get("azimuth_deg")
    return (
        str(cell.get("radio", "")).removeprefix("RADIO_"),
        *(str(cell.get(name, "-")) for name in ("mcc", "mnc", "area", "cell", "pci", "arfcn")),
        _place_text(found),
        _distance_text(found, "range_m"),
        "-" if azimuth is None else f"{azimuth:.0f}°",
        str(found.get("samples", "-")),
        str(found.get("updated_at", "-"))[:10],
        "mast" if found.get("is_mast") else "centroid",
    )


def address_row(found: Found) -> tuple[str, ...]:
    """An address's row in the order of ADDRESS_COLUMNS."""
    address = model.CivicAddress(**cast("dict[str, str]", found.get("address", {})))
    placed = str(found.get("placement", "")).removeprefix("PLACEMENT_").lower().replace("_", " ")
    return (
        address.line(),
        _place_text(found),
        placed,
        _distance_text(found, "distance_m"),
        _distance_text(found, "spread_m"),
    )


def line_rows(found: Found) -> list[tuple[str, str]]:
    """A line's record as names and texts."""

    def words_of(name: str, prefix: str) -> str:
        return str(found.get(name, "")).removeprefix(prefix).lower().replace("_", " ")

    rows = [
        ("number", str(found.get("number", ""))),
        ("class of service", words_of("class_of_service", "CLASS_OF_SERVICE_")),
    ]
    if "address" in found:
        rows.append(("address", model.CivicAddress(**cast("dict[str, str]", found["address"])).line()))
    if "position" in found:
        rows.append(("position", _place_text(found)))
        rows.append(("placed", words_of("placement", "PLACEMENT_")))
    if "uncertainty_m" in found:
        rows.append(("uncertainty", _distance_text(found, "uncertainty_m")))
    if found.get("provider"):
        rows.append(("provider", str(found["provider"])))
    if "updated_at" in found:
        rows.append(("updated", words.time_text(timestamp_seconds(str(found["updated_at"])))))
    return [(name, text or "-") for name, text in rows]
