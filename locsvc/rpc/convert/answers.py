"""The resolver's answers to messages, from its columns: no object of the model stands between.

Fields are set one by one, and only those that are not their default: that is the cheapest way into a message, by a
third before keyword arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from locsvc.rpc.convert.estimates import merge_datasets, write_address, write_altitude, write_time, write_warning

if TYPE_CHECKING:
    from collections.abc import Callable

    from locsvc.resolver.answered import Answered, Located
    from locsvc.v1 import estimate_pb2


def write_answer(answered: Answered, number: int, call_id: str, message: estimate_pb2.LocationEstimate) -> None:
    """Set every field of `message`, which is empty, from one of the answers."""
    message.outcome = answered.outcome(number)  # type: ignore[assignment]  # the model's enums have the contract's numbers
    message.call_id = call_id
    message.confidence = answered.confidences[number]
    row = answered.row_of_call[number]
    if answered.located is not None and row >= 0:
        _write_place(answered.located, row, message)
        altitude = answered.altitudes[number]
        if altitude is not None:
            write_altitude(altitude, message.altitude)
    _write_contributions(answered, answered.slot_starts[number], answered.slot_starts[number + 1], message)
    for warning in answered.warnings[number]:
        write_warning(warning, message.warnings.add())
    now = answered.now[number]
    if now is not None:
        write_time(now, message.estimated_at)
    if answered.datasets:
        merge_datasets(answered.datasets, message)


def _write_place(located: Located, row: int, message: estimate_pb2.LocationEstimate) -> None:
    lat, lng, radius, major, minor, axis, mass, area, finest = located.places[row]
    place = message.position
    place.latitude_deg = lat
    place.longitude_deg = lng
    message.radius_m = radius
    ellipse = message.ellipse
    center = ellipse.center
    center.latitude_deg = lat
    center.longitude_deg = lng
    ellipse.semi_major_m = major
    ellipse.semi_minor_m = minor
    ellipse.orientation_deg = axis
    region = message.region
    region.resolution = finest
    region.cells.extend(located.cells[located.cell_starts[row] : located.cell_starts[row + 1]])
    region.mass = mass
    region.area_m2 = area
    if located.mode_starts[row] < located.mode_starts[row + 1]:
        for mode in located.answers.modes.of(row):
            other = message.alternatives.add(mass=mode.mass, radius_m=mode.radius_m)
            other.position.latitude_deg = mode.latitude_deg
            other.position.longitude_deg = mode.longitude_deg
    address = located.addresses[row]
    if address is not None:
        write_address(address[0], message.address)
        message.address.SetInParent()
        message.address_distance_m = address[1]
    for area_share in located.areas[row]:
        area_message = message.areas.add()
        area_message.name = area_share.name
        area_message.dataset = area_share.dataset
        area_message.share = area_share.share


def _write_contributions(answered: Answered, start: int, end: int, message: estimate_pb2.LocationEstimate) -> None:
    add: Callable[[], Any] = message.contributions.add  # the model's enums have the contract's numbers
    for (
        name,
        part,
        words,
        kind,
        disposition,
        reason,
        fallback,
        distance,
        agreement,
        share,
        shown,
    ) in answered.contributions[start:end]:
        if not shown:
            continue
        told = add()
        told.evidence_id = name
        if part:
            told.part = part
        told.kind = kind
        told.disposition = disposition
        told.reason = reason
        told.explanation = words
        if fallback:
            told.cell_fallback = fallback
        if distance == distance:  # noqa: PLR0124 - NaN
            told.distance_m = distance
        told.agreement = agreement
        told.share = share
