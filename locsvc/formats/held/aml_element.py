"""The `aml` element that some location servers put beside a location: the fix as the handset reported it.

References
----------
Schema of the namespace http://schemas.gridgears.io/aml, as its published examples show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from locsvc.formats.call_checks import MAX_RADIUS_M
from locsvc.formats.elements import child_words, number, stated_confidence
from locsvc.formats.pidf_lo.measures import UNKNOWN_CONFIDENCE, time_of
from locsvc.formats.pidf_lo.notes import Notes
from locsvc.formats.reading import Reading, masked
from locsvc.geo import is_null_position
from locsvc.model import Circle, DeviceReport, Evidence, LatLng, Point, PositioningMethod

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

_METHODS = {
    "GNSS": PositioningMethod.GNSS,
    "GPS": PositioningMethod.GNSS,
    "WIFI": PositioningMethod.WIFI,
    "WI-FI": PositioningMethod.WIFI,
    "CELL": PositioningMethod.CELL,
    "FUSED": PositioningMethod.FUSED,
    "NETWORK": PositioningMethod.NETWORK,
    "BEACON": PositioningMethod.BEACON,
}
_NO_METHODS = frozenset({"", "UNKNOWN", "NO_LOCATION", "NOLOCATION", "OTHER"})


def aml_of(element: Element) -> Reading:
    """The fix of an `aml` element; identities go masked to the details, as do the codes of the network."""
    notes = Notes()
    for name in ("imsi", "imei"):
        notes.detail(f"aml.{name}", masked(child_words(element, name)[:20]))
    for name in ("mcc", "mnc", "positioningMethod", "confidenceLevel"):
        notes.detail(f"aml.{name}", child_words(element, name)[:80])
    place = _place(element, notes)
    if place is None:
        return Reading(warnings=tuple(notes.warnings), no_location="the handset has no fix", details=notes.details)
    radius_m = _radius(child_words(element, "radius"), notes)
    confidence = stated_confidence(child_words(element, "confidenceLevel"), "confidenceLevel", notes.warnings)
    if radius_m and confidence is None:
        notes.warn("confidenceLevel", "", f"is not stated: {UNKNOWN_CONFIDENCE}, what handsets mean, is taken")
        confidence = UNKNOWN_CONFIDENCE
    time = child_words(element, "timestamp")
    report = DeviceReport(
        Circle(place, radius_m) if radius_m else Point(place),
        confidence if radius_m else None,
        _method(child_words(element, "positioningMethod"), notes),
    )
    evidence = Evidence(report, evidence_id="aml", observed_at=time_of(time, notes) if time else None)
    return Reading((evidence,), tuple(notes.warnings), details=notes.details)


def _place(element: Element, notes: Notes) -> LatLng | None:
    texts = child_words(element, "latitude"), child_words(element, "longitude")
    latitude_deg, longitude_deg = number(texts[0]), number(texts[1])
    shown = " ".join(texts)
    if latitude_deg is None or longitude_deg is None or abs(latitude_deg) > 90 or abs(longitude_deg) > 180:
        notes.warn("aml", shown, "has no latitude and longitude in degrees; the fix is not used")
        return None
    if is_null_position(latitude_deg, longitude_deg):
        notes.warn("aml", shown, "0,0 is what handsets report without a fix; it is not used")
        return None
    return LatLng(latitude_deg, longitude_deg)


def _radius(text: str, notes: Notes) -> float:
    """Metres; 0 for unknown, with a warning."""
    radius_m = number(text)
    if radius_m is not None and 0 < radius_m <= MAX_RADIUS_M:
        return radius_m
    notes.warn("radius", text, "is no radius above 0: how good the fix is is not known")
    return 0.0


def _method(text: str, notes: Notes) -> PositioningMethod:
    method = _METHODS.get(text.upper(), PositioningMethod.UNSPECIFIED)
    if method is PositioningMethod.UNSPECIFIED and text.upper() not in _NO_METHODS:
        notes.warn("positioningMethod", text, "is no method that is known; it counts as not stated")
    return method
