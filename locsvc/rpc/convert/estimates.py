"""Estimates and traces of the model to messages.

Straight-line code that sets fields in place: a sub-message passed to a constructor is copied by protobuf, one
reached through its parent is not. The datasets of an answer hardly ever change, so their bytes are kept.
"""

from __future__ import annotations

import functools
import math
from operator import attrgetter
from typing import TYPE_CHECKING

from locsvc import model
from locsvc.v1 import estimate_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.timestamp_pb2 import Timestamp

    from locsvc.v1 import civic_pb2, geometry_pb2

_ADDRESS_FIELDS = tuple(model.CivicAddress.__dataclass_fields__)
# One call for all parts costs a third of one for each.
_address_parts: Callable[[model.CivicAddress], tuple[str, ...]] = attrgetter(*_ADDRESS_FIELDS)
_NANOS = 1_000_000_000


def write_time(seconds: float, message: Timestamp) -> None:
    """Set an empty timestamp: whole microseconds when they say the same double, else nanoseconds, which always do."""
    whole = math.floor(seconds)
    if whole == seconds:
        message.seconds = whole
        return
    micros = round((seconds - whole) * 1e6)
    nanos = micros * 1_000
    if (whole * 1_000_000 + micros) / 1_000_000 != seconds:
        nanos = round((seconds - whole) * 1e9)
    if nanos >= _NANOS:
        whole, nanos = whole + 1, 0
    message.seconds = whole
    message.nanos = nanos


def write_latlng(place: model.LatLng, message: geometry_pb2.LatLng) -> None:
    """Set a place; a place at 0,0 is present all the same."""
    message.latitude_deg = place.latitude_deg
    message.longitude_deg = place.longitude_deg


def write_address(address: model.CivicAddress, message: civic_pb2.CivicAddress) -> None:
    """Set the parts of an address that are given."""
    for name, value in zip(_ADDRESS_FIELDS, _address_parts(address), strict=True):
        if value:
            setattr(message, name, value)


def write_ellipse(ellipse: model.Ellipse, message: geometry_pb2.Ellipse) -> None:
    """Set an ellipse."""
    write_latlng(ellipse.center, message.center)
    message.semi_major_m = ellipse.semi_major_m
    message.semi_minor_m = ellipse.semi_minor_m
    message.orientation_deg = ellipse.orientation_deg


def write_altitude(altitude: model.Altitude, message: estimate_pb2.Altitude) -> None:
    """Set an altitude."""
    message.altitude_m = altitude.altitude_m
    if altitude.uncertainty_m is not None:
        message.uncertainty_m = altitude.uncertainty_m
    message.confidence = altitude.confidence
    message.floor = altitude.floor


def write_dataset(version: model.DatasetVersion, message: estimate_pb2.DatasetVersion) -> None:
    """Set the description of a dataset."""
    message.dataset = version.dataset
    message.name = version.name
    message.version = version.version
    message.rows = version.rows
    if version.built_at is not None:
        write_time(version.built_at, message.built_at)
    message.size_bytes = version.size_bytes
    message.source = version.source
    message.licence = version.licence


def write_warning(warning: model.Warning, message: estimate_pb2.Warning) -> None:
    """Set a warning."""
    message.code = warning.code  # type: ignore[assignment]  # the model's enums have the contract's numbers
    message.message = warning.message
    if warning.evidence_id:
        message.evidence_id = warning.evidence_id
    if warning.field:
        message.field = warning.field


@functools.lru_cache(maxsize=8)
def _datasets(versions: tuple[model.DatasetVersion, ...]) -> bytes:
    """An estimate that holds the datasets only, serialised; merged into each answer."""
    message = estimate_pb2.LocationEstimate()
    for version in versions:
        write_dataset(version, message.datasets.add())
    return message.SerializeToString()


# The last tuple seen and its bytes: asking by identity is cheaper than hashing all versions for each answer.
_last_datasets: tuple[tuple[model.DatasetVersion, ...], bytes] = ((), b"")


def merge_datasets(versions: tuple[model.DatasetVersion, ...], message: estimate_pb2.LocationEstimate) -> None:
    """Set the datasets of an answer."""
    global _last_datasets  # noqa: PLW0603 - one slot, replaced whole, safe to lose in a race
    known, serialised = _last_datasets
    if known is not versions:
        serialised = _datasets(versions)
        _last_datasets = (versions, serialised)
    message.MergeFromString(serialised)


def _write_place(estimate: model.LocationEstimate, message: estimate_pb2.LocationEstimate) -> None:
    position = estimate.position
    if position is not None:
        place = message.position
        place.latitude_deg = position.latitude_deg
        place.longitude_deg = position.longitude_deg
    if estimate.radius_m is not None:
        message.radius_m = estimate.radius_m
    if estimate.ellipse is not None:
        write_ellipse(estimate.ellipse, message.ellipse)
    region = estimate.region
    if region is not None:
        target = message.region
        target.resolution = region.resolution
        target.cells.extend(region.cells)
        target.mass = region.mass
        target.area_m2 = region.area_m2
    for alternative in estimate.alternatives:
        other = message.alternatives.add(mass=alternative.mass, radius_m=alternative.radius_m)
        write_latlng(alternative.position, other.position)
    altitude = estimate.altitude
    if altitude is not None:
        write_altitude(altitude, message.altitude)
    if estimate.address is not None:
        write_address(estimate.address, message.address)
        message.address.SetInParent()
        if estimate.address_distance_m is not None:
            message.address_distance_m = estimate.address_distance_m
    for area in estimate.areas:
        message.areas.add(name=area.name, dataset=area.dataset, share=area.share)


def write_estimate(estimate: model.LocationEstimate, message: estimate_pb2.LocationEstimate) -> None:
    """Set every field of `message`, which is empty, from `estimate`."""
    message.outcome = estimate.outcome  # type: ignore[assignment]  # the model's enums have the contract's numbers
    message.call_id = estimate.call_id
    message.confidence = estimate.confidence
    _write_place(estimate, message)
    add = message.contributions.add
    for c in estimate.contributions:
        add(
            evidence_id=c.evidence_id,
            part=c.part,
            kind=c.kind,
            disposition=c.disposition,
            reason=c.reason,
            explanation=c.explanation,
            cell_fallback=c.cell_fallback,
            distance_m=c.distance_m,
            agreement=c.agreement,
            share=c.share,
        )
    for warning in estimate.warnings:
        write_warning(warning, message.warnings.add())
    if estimate.estimated_at is not None:
        write_time(estimate.estimated_at, message.estimated_at)
    if estimate.datasets:
        merge_datasets(estimate.datasets, message)


def write_trace(trace: model.Trace, message: estimate_pb2.Trace) -> None:
    """Set the trace: cells, masses and outlines."""
    message.cells.extend(trace.cells)
    message.masses.extend(trace.masses)
    for outline in trace.outlines:
        target = message.outlines.add(evidence_id=outline.evidence_id, part=outline.part)
        for ring in outline.rings:
            vertices = target.rings.add().vertices
            for corner in ring.vertices:
                vertices.add(latitude_deg=corner.latitude_deg, longitude_deg=corner.longitude_deg)
