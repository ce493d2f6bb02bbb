"""Where a line's record is put on the map: its coordinates, else those of its address."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache

from locsvc.model import CivicAddress, ClassOfService, LatLng, LineRecord, Placement
from locsvc.reference.addresses import AddressPlace, AddressStore

_GEOCODED_AT_ONCE = 1 << 16
GEOCODED = {
    Placement.GEOCODED_EXACT: "no coordinates: geocoded to the address",
    Placement.GEOCODED_STREET: "no coordinates: geocoded to the street",
    Placement.GEOCODED_LOCALITY: "no coordinates: geocoded to the locality",
    Placement.MAST: "no coordinates: mast placed at the record's address",
}
NOT_GEOCODED = "no coordinates and no place for the address"
_WITHOUT_PLACE = frozenset({ClassOfService.WIRELESS, ClassOfService.TELEMATICS, ClassOfService.TEXT})
_AT_THE_MAST = frozenset({ClassOfService.WIRELESS_PHASE1, ClassOfService.WIRELESS_PHASE2})


class Placer:
    """Places records that have no coordinates, and counts in `notes` what became of them."""

    def __init__(self, addresses: AddressStore | None, notes: Counter[str]) -> None:
        self._notes = notes
        # Lines of one building share its address.
        self._place = lru_cache(_GEOCODED_AT_ONCE)(addresses.place) if addresses is not None else _no_place

    def placed(self, record: LineRecord) -> LineRecord:
        """The record with a place where one is known."""
        if record.position is not None:
            if record.placement:
                return record
            return replace(record, placement=usual_placement(record.class_of_service))
        position, placement, uncertainty_m = self._geocoded(record.class_of_service, record.address)
        # The source's confidence is not about our uncertainty.
        return replace(record, position=position, placement=placement, uncertainty_m=uncertainty_m, confidence=None)

    def _geocoded(
        self, line_class: ClassOfService, address: CivicAddress | None
    ) -> tuple[LatLng | None, Placement, float | None]:
        # The address of a wireless line without a fix is its owner's or nothing at all; only phase 1 and 2 carry the
        # mast's, which is not the caller's, so its spread says nothing of where the caller is.
        if line_class in _WITHOUT_PLACE:
            return None, Placement.UNSPECIFIED, None
        place = self._place(address) if address is not None else None
        if place is None:
            self._notes[NOT_GEOCODED] += 1
            return None, Placement.UNSPECIFIED, None
        position = LatLng(place.latitude_deg, place.longitude_deg)
        if line_class in _AT_THE_MAST:
            if place.placement != Placement.GEOCODED_EXACT:
                self._notes[NOT_GEOCODED] += 1
                return None, Placement.UNSPECIFIED, None
            self._notes[GEOCODED[Placement.MAST]] += 1
            return position, Placement.MAST, None
        self._notes[GEOCODED[place.placement]] += 1
        return position, place.placement, place.spread_m or None


def usual_placement(line_class: ClassOfService) -> Placement:
    """What coordinates of a record mean when it does not say so (NENA 02-010: phase 1 is the site, phase 2 a fix)."""
    if line_class == ClassOfService.WIRELESS_PHASE1:
        return Placement.MAST
    if line_class == ClassOfService.WIRELESS_PHASE2:
        return Placement.FIX
    return Placement.RECORD


def _no_place(_: CivicAddress) -> AddressPlace | None:
    return None
