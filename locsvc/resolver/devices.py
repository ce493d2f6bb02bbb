"""Device reports to claims: shapes read, unknown made wide, repeated fixes counted once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.claims import BandClaims, EllipseClaims, PolygonClaims
from locsvc.geo import curvature_radii_m, is_null_position
from locsvc.model import (
    ArcBand,
    Circle,
    DeviceReport,
    Ellipse,
    Ellipsoid,
    EvidenceKind,
    LatLng,
    Point,
    Polygon,
    PositioningMethod,
    Prism,
    Reason,
    Shape,
    Sphere,
    WarningCode,
)
from locsvc.resolver.slots import Notes, Slot
from locsvc.units import UNSTATED_CONFIDENCE, sigmas_of_circle, sigmas_of_height

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters

# Coordinates that agree to 1e-5 degrees (a metre, the last digit of an AML message) are one fix.
SAME_FIX_DEG = 1e-5
CORNERS_OF_AN_AREA = 3
# An arc band that opens this wide is a ring.
WHOLE_CIRCLE_DEG = 359.0


@dataclass(slots=True)
class DeviceRows:
    """Claims of devices as they are collected, one list a family."""

    ellipses: list[tuple[float, ...]] = field(default_factory=list)
    bands: list[tuple[float, ...]] = field(default_factory=list)
    polygons: list[tuple[float, ...]] = field(default_factory=list)
    corners: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class Fix:
    """A usable report of one call, before repeated ones are found."""

    report: DeviceReport
    evidence_id: str
    age_s: float
    slot: int
    center: LatLng


def read_report(report: DeviceReport, call: int, evidence_id: str, age_s: float, notes: Notes) -> Fix | None:
    """The report as a usable fix, or None when it says no place; either way a slot and its warnings are noted."""
    slot = Slot(call, evidence_id, "", EvidenceKind.DEVICE_REPORT, age_s=age_s)
    number = notes.add(slot)
    shape = report.shape
    center = None if shape is None else center_of(shape)
    if shape is None or center is None:
        slot.reason = Reason.NO_POSITION
        notes.warn(
            call,
            WarningCode.UNUSABLE_EVIDENCE,
            "the device report says no place (null fix, 0,0 or an empty shape); it was set aside",
            evidence_id,
            "device_report.shape",
        )
        return None
    if is_without_size(shape):
        slot.reason = Reason.UNKNOWN_UNCERTAINTY
        notes.warn(
            call,
            WarningCode.UNKNOWN_UNCERTAINTY,
            "the device report states no uncertainty (point or radius 0); a wide one was assumed",
            evidence_id,
            "device_report.shape",
        )
    slot.altitude = _altitude(report, shape)
    return Fix(report, evidence_id, age_s, number, center)


def center_of(shape: Shape) -> LatLng | None:
    """Middle of a shape, None when it is the null place or has no corners."""
    if isinstance(shape, Polygon):
        return _middle(shape)
    if isinstance(shape, Prism):
        return _middle(shape.base)
    center = shape.center
    return None if is_null_position(center.latitude_deg, center.longitude_deg) else center


def _middle(polygon: Polygon) -> LatLng | None:
    corners = [v for v in polygon.vertices if not is_null_position(v.latitude_deg, v.longitude_deg)]
    if len(corners) < CORNERS_OF_AN_AREA:
        return None
    lat = sum(v.latitude_deg for v in corners) / len(corners)
    # Longitudes are taken relative to the first corner, so that the antimeridian is no border.
    first = corners[0].longitude_deg
    lng = first + sum((v.longitude_deg - first + 180.0) % 360.0 - 180.0 for v in corners) / len(corners)
    return LatLng(lat, (lng + 180.0) % 360.0 - 180.0)


def is_without_size(shape: Shape) -> bool:
    """Whether the shape states no uncertainty: a point, or a size of 0."""
    if isinstance(shape, Point):
        return True
    if isinstance(shape, Circle | Sphere):
        return shape.radius_m <= 0
    if isinstance(shape, Ellipse | Ellipsoid):
        return shape.semi_major_m <= 0 or shape.semi_minor_m <= 0
    if isinstance(shape, ArcBand):
        return shape.outer_radius_m <= 0
    return False


def _altitude(report: DeviceReport, shape: Shape) -> tuple[float, float | None, str] | None:
    """Altitude, its sigma and the floor, from the report or from a shape with a height."""
    confidence = report.confidence or UNSTATED_CONFIDENCE
    if report.altitude_m is not None:
        half = report.vertical_uncertainty_m or 0.0
        return report.altitude_m, half / sigmas_of_height(confidence) if half > 0 else None, report.floor
    if isinstance(shape, Sphere):
        return shape.altitude_m, shape.radius_m / sigmas_of_height(confidence) or None, report.floor
    if isinstance(shape, Ellipsoid):
        return shape.altitude_m, shape.vertical_m / sigmas_of_height(confidence) or None, report.floor
    if isinstance(shape, Prism):
        # Uniform between base and top: sigma is the height over the root of 12.
        return shape.base_altitude_m + shape.height_m / 2, shape.height_m / math.sqrt(12.0) or None, report.floor
    return None


def claim_fixes(fixes: list[Fix], rows: DeviceRows, notes: Notes, parameters: Parameters, *, has_cells: bool) -> None:
    """Adds the claims of one call's fixes to `rows`; fixes that repeat another are set aside.

    The newest and best stated of several that are the same fix stays. Further fixes of a method repeat most of the
    first one's error, and a device's own cell fix repeats the cell scan: both count with less weight.
    """
    kept: dict[tuple[int, int], Fix] = {}
    seen_methods: set[PositioningMethod] = set()
    for fix in sorted(fixes, key=_rank):
        call = notes.slots[fix.slot].call
        place = (round(fix.center.latitude_deg / SAME_FIX_DEG), round(fix.center.longitude_deg / SAME_FIX_DEG))
        if place in kept:
            notes.slots[fix.slot].reason = Reason.DUPLICATE
            notes.warn(
                call,
                WarningCode.DUPLICATE,
                f"the same fix came as {kept[place].evidence_id!r} too; it was counted once",
                fix.evidence_id,
            )
            continue
        kept[place] = fix
        exponent = 1.0
        method = fix.report.method
        if method in seen_methods:
            exponent = parameters.dependence["same_method_exponent"]
            _depends(notes.slots[fix.slot])
        if has_cells and method == PositioningMethod.CELL:
            exponent = min(exponent, parameters.dependence["derived_exponent"])
            _depends(notes.slots[fix.slot])
        seen_methods.add(method)
        _claim(fix, call, exponent, rows)
        notes.slots[fix.slot].placed = True


def _rank(fix: Fix) -> tuple[bool, float, float, float, float, int]:
    """What fixes of one call are sorted by, best first; never by the order in which they came, but for equal ones."""
    shape = fix.report.shape or Point(fix.center)
    center = fix.center
    size_m = 0.0
    if isinstance(shape, Circle | Sphere):
        size_m = shape.radius_m
    elif isinstance(shape, Ellipse | Ellipsoid):
        size_m = shape.semi_major_m
    elif isinstance(shape, ArcBand):
        size_m = shape.outer_radius_m
    elif isinstance(shape, Polygon | Prism):
        base = shape.base if isinstance(shape, Prism) else shape
        size_m = max(math.hypot(e, n) for e, n in _corners(base, center))
    return is_without_size(shape), fix.age_s, size_m, center.latitude_deg, center.longitude_deg, fix.slot


def _depends(slot: Slot) -> None:
    if slot.reason is Reason.UNSPECIFIED:
        slot.reason = Reason.DEPENDENT


def _claim(fix: Fix, call: int, exponent: float, rows: DeviceRows) -> None:
    shape, center = fix.report.shape, fix.center
    common = (call, fix.slot, center.latitude_deg, center.longitude_deg, fix.age_s, exponent)
    confidence = fix.report.confidence or UNSTATED_CONFIDENCE
    method = float(fix.report.method)
    if shape is None or is_without_size(shape):
        rows.ellipses.append((*common, math.nan, math.nan, 0.0, method))
    elif isinstance(shape, Circle | Sphere):
        sigma = shape.radius_m / sigmas_of_circle(confidence)
        rows.ellipses.append((*common, sigma, sigma, 0.0, method))
    elif isinstance(shape, Ellipse | Ellipsoid):
        k = sigmas_of_circle(confidence)
        rows.ellipses.append((*common, shape.semi_major_m / k, shape.semi_minor_m / k, shape.orientation_deg, method))
    elif isinstance(shape, ArcBand):
        half = 180.0 if shape.opening_angle_deg >= WHOLE_CIRCLE_DEG else shape.opening_angle_deg / 2
        azimuth = shape.start_angle_deg + shape.opening_angle_deg / 2
        rows.bands.append((*common, shape.inner_radius_m, shape.outer_radius_m, azimuth, half, confidence, method))
    else:
        base = shape.base if isinstance(shape, Prism) else shape
        if isinstance(base, Polygon):
            corners = _corners(base, center)
            rows.polygons.append((*common, len(rows.corners), len(corners), confidence, method))
            rows.corners += corners


def _corners(polygon: Polygon, center: LatLng) -> list[tuple[float, float]]:
    """Corners in metres east and north of the centre."""
    east_m, north_m = (float(r) for r in curvature_radii_m(center.latitude_deg))
    cos_lat = math.cos(math.radians(center.latitude_deg))
    return [
        (
            math.radians((v.longitude_deg - center.longitude_deg + 180.0) % 360.0 - 180.0) * east_m * cos_lat,
            math.radians(v.latitude_deg - center.latitude_deg) * north_m,
        )
        for v in polygon.vertices
        if not is_null_position(v.latitude_deg, v.longitude_deg)
    ]


def ellipse_claims(rows: DeviceRows) -> EllipseClaims:
    """The collected circles and ellipses as arrays."""
    c = _columns(rows.ellipses, 10)
    return EllipseClaims(_whole(c, 0), _whole(c, 1), c[2], c[3], c[4], c[5], c[6], c[7], c[8], _whole(c, 9))


def band_claims(rows: DeviceRows) -> BandClaims:
    """The collected arc bands as arrays."""
    c = _columns(rows.bands, 12)
    return BandClaims(_whole(c, 0), _whole(c, 1), c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10], _whole(c, 11))


def polygon_claims(rows: DeviceRows) -> PolygonClaims:
    """The collected polygons as arrays."""
    c = _columns(rows.polygons, 10)
    corners = np.array(rows.corners, dtype=np.float64).reshape(-1, 2)
    call, order, first, count, method = (c[i].astype(np.int64) for i in (0, 1, 6, 7, 9))
    return PolygonClaims(call, order, c[2], c[3], c[4], c[5], first, count, c[8], method, corners[:, 0], corners[:, 1])


def _columns(rows: list[tuple[float, ...]], width: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array(rows, dtype=np.float64).reshape(-1, width).T


def _whole(columns: np.ndarray[tuple[int, int], np.dtype[np.float64]], i: int) -> npt.NDArray[np.int64]:
    result: npt.NDArray[np.int64] = columns[i].astype(np.int64)
    return result
