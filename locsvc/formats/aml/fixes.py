"""A fix as evidence: place, radius and confidence put together, and what stands for "no fix" kept out."""

from __future__ import annotations

from locsvc.formats.aml.findings import Findings
from locsvc.formats.aml.values import ANDROID_CONFIDENCE, degrees_of, number_of
from locsvc.geo import is_null_position
from locsvc.model import Circle, DeviceReport, Evidence, LatLng, Platform, Point, PositioningMethod

# As the contract states them for a device report.
LEAST_ALTITUDE_M, GREATEST_ALTITUDE_M = -500.0, 10_000.0


def place_of(found: Findings, latitude: tuple[str, str], longitude: tuple[str, str]) -> LatLng | None:
    """The place, or None with the reason why the message gives none.

    Parameters
    ----------
    found
        Takes warnings and the reason.
    latitude, longitude
        Name of the field and its text, empty where it is absent.
    """
    latitude_deg = degrees_of(found, *latitude, 90.0)
    longitude_deg = degrees_of(found, *longitude, 180.0)
    for (name, text), value in ((latitude, latitude_deg), (longitude, longitude_deg)):
        if value is None:
            found.no_place(f"{name} cannot be used" if text else f"there is no {name}")
    if latitude_deg is None or longitude_deg is None:
        # Half a place is none, but a person may make something of it.
        for (name, text), value in ((latitude, latitude_deg), (longitude, longitude_deg)):
            found.keep(name, text if value is not None else None)
        return None
    if is_null_position(latitude_deg, longitude_deg):
        found.no_place("latitude 0, longitude 0 stands for no fix")
        return None
    return LatLng(latitude_deg, longitude_deg)


def altitude_of(found: Findings, field: str, text: str) -> float | None:
    """Metres above the ellipsoid within what the contract takes, None with a warning where it is not."""
    value = number_of(found, field, text)
    if value is None or LEAST_ALTITUDE_M <= value <= GREATEST_ALTITUDE_M:
        return value
    found.warn(field, text, f"is outside {LEAST_ALTITUDE_M:g} to {GREATEST_ALTITUDE_M:g} m; not used")
    return None


def vertical_of(found: Findings, field: str, text: str) -> float | None:
    """A vertical uncertainty above 0, metres; 0 is "unknown"."""
    value = number_of(found, field, text)
    if value is None or 0 < value <= GREATEST_ALTITUDE_M:
        return value
    found.warn(field, text, "stands for an unknown vertical accuracy" if value == 0 else "is no vertical accuracy")
    return None


def fix_evidence(
    found: Findings,
    place: LatLng,
    radius_m: float | None,
    confidence: float | None,
    confidence_field: str,
    method: PositioningMethod,
    observed_at: float | None,
    vertical: tuple[float | None, float | None, str] = (None, None, ""),
    platform: Platform = Platform.UNSPECIFIED,
) -> Evidence:
    """The device report; a radius whose confidence is not stated is taken at 68 %, with a warning.

    Parameters
    ----------
    found
        Takes the warning.
    place, radius_m
        Where; None is "unknown" and gives a shape without radius.
    confidence, confidence_field
        The fraction, None where it is not stated, and the field's name for the warning.
    method, observed_at
        How and when, Unix seconds.
    vertical
        Altitude and its uncertainty, metres, and the floor.
    platform
        Whose handsets alone send such messages.

    References
    ----------
    Sheet 01 of the standards, section 5: Android's radius is a 68 % one.
    """
    if radius_m is not None and confidence is None:
        found.warn(confidence_field, "", f"no confidence of the radius is stated; {ANDROID_CONFIDENCE} as Android's is")
        confidence = ANDROID_CONFIDENCE
    shape = Point(place) if radius_m is None else Circle(place, radius_m)
    report = DeviceReport(shape, confidence if radius_m is not None else None, method, *vertical, platform=platform)
    return Evidence(report, observed_at=observed_at)
