"""The look-ups behind ReferenceService: request checked, dataset asked, reply written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from locsvc import geo, model
from locsvc.errors import DatasetMissing, InvalidInput, NotFound
from locsvc.reference.cells import CellQueries
from locsvc.reference.numbers import normalise_number
from locsvc.rpc import limits
from locsvc.rpc.convert.calls import read_address, read_cell, read_dialled
from locsvc.rpc.convert.estimates import write_address, write_dataset, write_latlng, write_time, write_warning
from locsvc.rpc.convert.replies import write_cell, write_line_record
from locsvc.rpc.convert.shapes import read_latlng
from locsvc.rpc.convert.violations import Violations, add, put_under
from locsvc.v1 import civic_pb2
from locsvc.v1 import reference_service_pb2 as messages

if TYPE_CHECKING:
    from typing import TypeVar

    from locsvc.reference.cells import CellRow, CellStore
    from locsvc.reference.store import Reference
    from locsvc.v1 import geometry_pb2

    _Store = TypeVar("_Store")


def _needed(store: _Store | None, dataset: str) -> _Store:
    if store is None:
        raise DatasetMissing(f"there is no {dataset} dataset; import one with `locsvc import {dataset}`")
    return store


def _limit(asked: int, out: Violations) -> int:
    if not 0 <= asked <= limits.MAX_ROWS:
        add(out, "limit", "must be from 1 to 100; leave it out for 10")
    return asked or limits.DEFAULT_ROWS


def _place(message: geometry_pb2.LatLng, field: str, out: Violations) -> model.LatLng:
    before = len(out)
    place = read_latlng(message, out)
    if len(out) != before:
        put_under(out, before, f"{field}.")
    return place


def lookup_cell(reference: Reference, request: messages.LookupCellRequest) -> messages.LookupCellResponse:
    """Rows behind the answer for the cell asked for, or the cells nearest to `near` when no cell is.

    `fallback` names the step of the chain that found them: the cell's own row, its site's cells, its area's.

    Raises
    ------
    InvalidInput
        When a field is wrong, or neither a cell nor a place is given.
    NotFound
        When there is no row.
    DatasetMissing
        When there are no cells at all.
    """
    out: Violations = []
    limit = _limit(request.limit, out)
    near = _place(request.near, "near", out) if request.HasField("near") else None
    before = len(out)
    cell = read_cell(request.cell, out) if request.HasField("cell") else None
    if len(out) != before:
        put_under(out, before, "cell.")
    if cell is None and near is None:
        add(out, "cell", "is required without near; send the cell's identity, or a place for the nearest cells")
    elif cell is not None and not (cell.cell or cell.area or (near is not None and cell.pci is not None)):
        add(out, "cell.cell", "is required; send radio, mcc, mnc and cell or area, or arfcn and pci with near")
    if out:
        raise InvalidInput(out)
    return _cell_rows(_needed(reference.cells, "cells"), cell, near, limit)


def _cell_rows(
    store: CellStore, cell: model.CellMeasurement | None, near: model.LatLng | None, limit: int
) -> messages.LookupCellResponse:
    response = messages.LookupCellResponse()
    if cell is None and near is not None:
        rows = store.nearest(near.latitude_deg, near.longitude_deg, limit)
    elif cell is not None:
        query = _query(cell, near)
        rows = store.rows(query, limit)[0]
        response.fallback = int(store.place(query).step[0])  # type: ignore[assignment]  # the same numbers
    if not rows:
        raise NotFound(_not_found(model.CellFallback(response.fallback)))
    for row in rows:
        _write_row(row, near, response.rows.add())
    return response


def _not_found(step: model.CellFallback) -> str:
    if step is model.CellFallback.UNSPECIFIED:
        return "no row for this cell, nor for its site, area, network or country; check radio, mcc, mnc and cell"
    return f"no row for this cell, its site or its area; a call would be placed by the {step.name.lower()}"


def _known(value: int | None) -> int:
    return -1 if value is None else value


def _query(cell: model.CellMeasurement, near: model.LatLng | None) -> CellQueries:
    return CellQueries(
        radio=np.array([cell.radio], dtype=np.int8),
        mcc=np.array([int(cell.mcc or -1)], dtype=np.int16),
        mnc=np.array([int(cell.mnc or -1)], dtype=np.int16),
        area=np.array([_known(cell.area)], dtype=np.int32),
        cell=np.array([_known(cell.cell)], dtype=np.int64),
        pci=np.array([_known(cell.pci)], dtype=np.int32),
        arfcn=np.array([_known(cell.arfcn)], dtype=np.int32),
        near_latitude_deg=np.array([np.nan if near is None else near.latitude_deg]),
        near_longitude_deg=np.array([np.nan if near is None else near.longitude_deg]),
    )


def _write_row(row: CellRow, near: model.LatLng | None, message: messages.CellRow) -> None:
    write_cell(row.cell, message.cell)
    message.position.SetInParent()
    write_latlng(row.position, message.position)
    message.is_mast = row.is_mast
    if row.azimuth_deg is not None:
        message.azimuth_deg = row.azimuth_deg
    if row.range_m is not None:
        message.range_m = row.range_m
    message.samples = row.samples
    if row.updated_at is not None:
        write_time(row.updated_at, message.updated_at)
    if near is not None:
        message.distance_m = _distance_m(near, row.position)


def _distance_m(a: model.LatLng, b: model.LatLng) -> float:
    return float(geo.distance_m(a.latitude_deg, a.longitude_deg, b.latitude_deg, b.longitude_deg))


def lookup_line(reference: Reference, request: messages.LookupLineRequest) -> messages.LookupLineResponse:
    """The record of the number.

    Raises
    ------
    InvalidInput
        When the number is missing or no number.
    NotFound
        When there is no record.
    DatasetMissing
        When there are no lines at all.
    """
    out: Violations = []
    dialled = read_dialled(request.number, out, "number")
    if not dialled:
        add(out, "number", "is required; send E.164 or the number as dialled")
    if out:
        raise InvalidInput(out)
    store = _needed(reference.lines, "lines")
    number = normalise_number(dialled, store.default_region)
    if number is None:
        add(out, "number", "is no telephone number; send E.164, or set the dataset's default region at its import")
        raise InvalidInput(out)
    record = store.lookup([number])[0]
    if record is None:
        raise NotFound("the number is not in the line dataset; check it, or import the newer records")
    response = messages.LookupLineResponse()
    write_line_record(record, response.record)
    return response


def find_addresses(reference: Reference, request: messages.FindAddressesRequest) -> messages.FindAddressesResponse:
    """Addresses near the place, or the places of the address; with both, the address with distances from the place.

    Raises
    ------
    InvalidInput
        When a field is wrong, or neither is given.
    DatasetMissing
        When there are no addresses at all.
    """
    out: Violations = []
    limit = _limit(request.limit, out)
    near = _place(request.near, "near", out) if request.HasField("near") else None
    before = len(out)
    address = read_address(request.address, out) if request.HasField("address") else None
    if len(out) != before:
        put_under(out, before, "address.")
    if near is None and address is None:
        add(out, "near", "is required without address; send a place or an address")
    if out:
        raise InvalidInput(out)
    store = _needed(reference.addresses, "addresses")
    response = messages.FindAddressesResponse()
    if address is not None:
        for place in store.find(address, limit):
            match = response.matches.add()
            write_address(place.address, match.address)
            position = model.LatLng(place.latitude_deg, place.longitude_deg)
            write_latlng(position, match.position)
            match.placement = place.placement  # type: ignore[assignment]  # as above
            if near is not None:
                match.distance_m = _distance_m(near, position)
            if place.spread_m:
                match.spread_m = place.spread_m
    elif near is not None:
        for row, distance_m in store.near(near.latitude_deg, near.longitude_deg, limit):
            match = response.matches.add(distance_m=distance_m)
            write_address(store.address(row), match.address)
            write_latlng(store.position(row), match.position)
            match.placement = civic_pb2.PLACEMENT_RECORD
    return response


def find_areas(reference: Reference, request: messages.FindAreasRequest) -> messages.FindAreasResponse:
    """Areas that hold the place, each with share 1.

    Raises
    ------
    InvalidInput
        When the place is missing or wrong.
    DatasetMissing
        When there are no areas at all.
    """
    out: Violations = []
    if not request.HasField("position"):
        add(out, "position", "is required; send a place")
    place = _place(request.position, "position", out)
    if out:
        raise InvalidInput(out)
    store = _needed(reference.areas, "areas")
    _, found = store.locate(np.array([place.latitude_deg]), np.array([place.longitude_deg]))
    response = messages.FindAreasResponse()
    for area in found.tolist():
        response.areas.add(name=store.names[area], dataset=store.dataset_of[area], share=1.0)
    return response


def list_datasets(reference: Reference, request: messages.ListDatasetsRequest) -> messages.ListDatasetsResponse:
    """Datasets in force, and a warning for each kind that is missing or out of order."""
    del request
    response = messages.ListDatasetsResponse()
    for version in reference.versions:
        write_dataset(version, response.datasets.add())
    told = set()
    for warning in reference.degraded:
        write_warning(warning, response.warnings.add())
        told.add(warning.field)
    for dataset in ("cells", "lines", "addresses", "areas"):
        if getattr(reference, dataset) is None and dataset not in told:
            missing = f"there is no {dataset} dataset; import one with `locsvc import {dataset}`"
            warning = model.Warning(model.WarningCode.DEGRADED_DATASET, missing, field=dataset)
            write_warning(warning, response.warnings.add())
    return response
