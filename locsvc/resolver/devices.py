"""Device reports to densities: shapes read, unknown made wide, repeated fixes counted once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from locsvc.fusion.claims import BandClaims, EllipseClaims, Made, PolygonClaims, of_bands, of_ellipses, of_polygons
from locsvc.fusion.parameters import device_kind
from locsvc.geo import NULL_DEG
from locsvc.model import PositioningMethod, Reason, WarningCode
from locsvc.resolver.table import FORM_BAND, FORM_ELLIPSE, FORM_NONE, FORM_POINT, FORM_POLYGON
from locsvc.units import UNSTATED_CONFIDENCE

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.parameters import Parameters
    from locsvc.resolver.slots import Notes, Slots
    from locsvc.resolver.table import EvidenceTable

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

# Coordinates that agree to 1e-5 degrees (a metre, the last digit of an AML message) are one fix.
SAME_FIX_DEG = 1e-5
# What an older circle loses to a newer one with its centre: as much as somebody walks meanwhile (time.walking_m_s).
WALKING_M_S = 1.2
# An arc band that opens this wide is a ring.
WHOLE_CIRCLE_DEG = 359.0


@dataclass(slots=True)
class _Fixes:
    """Reports that say a place, (n,)."""

    slot: Ints
    call: Ints
    form: Ints
    latitude_deg: Floats
    longitude_deg: Floats
    first: Floats
    second: Floats
    third: Floats
    fourth: Floats
    confidence: Floats
    method: Ints
    platform: Ints
    age_s: Floats
    without_size: Bools

    def take(self, at: npt.NDArray[np.intp] | Bools) -> _Fixes:
        """Some of them."""
        return _Fixes(*(getattr(self, name)[at] for name in self.__dataclass_fields__))


@dataclass(slots=True)
class Reported:
    """What device reports say: densities, and of each call (calls,) the newest fix's place, NaN for none."""

    made: list[Made]
    latitude_deg: Floats
    longitude_deg: Floats


def claim_reports(table: EvidenceTable, slots: Slots, notes: Notes, parameters: Parameters) -> Reported:
    """Densities of all reports; what says no place is set aside, what repeats another is counted once."""
    calls = len(table.started_at)
    near = np.full((2, calls), np.nan)
    if not len(table.reports):
        return Reported([], near[0], near[1])
    fixes = _usable(table, slots, notes)
    if not len(fixes.slot):
        return Reported([], near[0], near[1])
    has_cells = np.zeros(calls, bool)
    has_cells[slots.call[table.cells[:, 0].astype(np.int64)]] = True
    repeated = len(fixes.call) > 1 and bool((fixes.call[1:] == fixes.call[:-1]).any())
    newest = np.lexsort((fixes.longitude_deg, fixes.latitude_deg, fixes.age_s, fixes.call)) if repeated else ...
    at = fixes.call[newest]
    # The first of each call is written last.
    near[0, at[::-1]], near[1, at[::-1]] = fixes.latitude_deg[newest][::-1], fixes.longitude_deg[newest][::-1]
    exponent = np.ones(len(fixes.slot))
    derived = has_cells[fixes.call] & (fixes.method == PositioningMethod.CELL)
    if repeated:
        fixes, again = _counted_once(fixes, slots, notes)
        derived = has_cells[fixes.call] & (fixes.method == PositioningMethod.CELL)
        exponent = np.where(again, parameters.dependence["same_method_exponent"], 1.0)
        _because(fixes.slot[again], Reason.DEPENDENT, slots)
    exponent = np.where(derived, np.minimum(exponent, parameters.dependence["derived_exponent"]), exponent)
    _because(fixes.slot[derived], Reason.DEPENDENT, slots)
    slots.placed[fixes.slot] = True
    pooled = fixes.slot[fixes.method == PositioningMethod.UNSPECIFIED]
    _because(pooled, Reason.UNKNOWN_METHOD, slots)
    return Reported(_made(fixes, exponent, table.corners, parameters), near[0], near[1])


def _usable(table: EvidenceTable, slots: Slots, notes: Notes) -> _Fixes:
    """The reports that say a place; the others, and those without a size, are told."""
    r = table.reports.T
    slot, form = r[0].astype(np.int64), r[1].astype(np.int64)
    lat, lng = r[2], r[3]
    place = (form != FORM_NONE) & (np.maximum(np.abs(lat), np.abs(lng)) >= NULL_DEG)
    without_size = form == FORM_POINT
    without_size |= (form == FORM_ELLIPSE) & ((r[4] <= 0) | (r[5] <= 0))
    without_size |= (form == FORM_BAND) & (r[5] <= 0)
    for i in np.flatnonzero(~place).tolist():
        s = int(slot[i])
        slots.reason[s] = Reason.NO_POSITION
        notes.warn(
            int(slots.call[s]),
            WarningCode.UNUSABLE_EVIDENCE,
            "the device report says no place (null fix, 0,0 or an empty shape); it was set aside",
            slots.names[s],
            "device_report.shape",
        )
    for i in np.flatnonzero(place & without_size).tolist():
        s = int(slot[i])
        slots.reason[s] = Reason.UNKNOWN_UNCERTAINTY
        notes.warn(
            int(slots.call[s]),
            WarningCode.UNKNOWN_UNCERTAINTY,
            "the device report states no uncertainty (point or radius 0); a wide one was assumed",
            slots.names[s],
            "device_report.shape",
        )
    every = _Fixes(
        slot, slots.call[slot], form, lat, lng, r[4], r[5], r[6], r[7], r[8], r[9].astype(np.int64),
        r[10].astype(np.int64), slots.age_s[slot], without_size,
    )  # fmt: skip
    return every if place.all() else every.take(place)


def _counted_once(fixes: _Fixes, slots: Slots, notes: Notes) -> tuple[_Fixes, Bools]:
    """Fixes less those that repeat another one of their call, and which of them repeat another's method.

    Of several that are the same fix that one stays which is narrowest now: a wide circle around the place of a narrow
    one takes nothing from it by being newer. Further fixes of a method repeat most of the first one's error.
    """
    size = np.where(fixes.form == FORM_BAND, fixes.second, fixes.first)
    now_m = np.where(fixes.without_size, 0.0, size) + WALKING_M_S * fixes.age_s
    # Best first, never by the order in which they came, but for equal ones.
    by_rank = np.lexsort(
        (
            fixes.slot,
            fixes.fourth,
            fixes.third,
            fixes.second,
            fixes.form,
            -fixes.confidence,
            fixes.method,
            # A method and a platform that are told go before those that are not.
            fixes.platform == 0,
            fixes.method == PositioningMethod.UNSPECIFIED,
            fixes.longitude_deg,
            fixes.latitude_deg,
            now_m,
            fixes.without_size,
            fixes.call,
        )
    )
    fixes = fixes.take(by_rank)
    place = np.rint(np.stack((fixes.latitude_deg, fixes.longitude_deg)) / SAME_FIX_DEG)
    same, first = _first_of_equal((place[1], place[0], fixes.call))
    for i in np.flatnonzero(same).tolist():
        s, kept = int(fixes.slot[i]), int(fixes.slot[first[i]])
        slots.reason[s] = Reason.DUPLICATE
        what = f"the same fix came as {slots.names[kept]!r} too; it was counted once"
        notes.warn(int(slots.call[s]), WarningCode.DUPLICATE, what, slots.names[s])
    fixes = fixes.take(~same)
    again, _ = _first_of_equal((fixes.method, fixes.call))
    return fixes, again


def _first_of_equal(keys: tuple[npt.NDArray[np.generic], ...]) -> tuple[Bools, Ints]:
    """Which rows repeat an earlier row's keys (n,), and the first row with the same ones (n,)."""
    n = len(keys[0])
    order = np.lexsort((np.arange(n), *keys))
    new = np.zeros(n, bool)
    new[0] = True
    for key in keys:
        new[1:] |= key[order][1:] != key[order][:-1]
    first = np.empty(n, np.int64)
    first[order] = order[np.flatnonzero(new)][np.cumsum(new) - 1]
    return first != np.arange(n), first


def _because(slot: Ints, reason: Reason, slots: Slots) -> None:
    slots.reason[slot] = np.where(slots.reason[slot] == 0, int(reason), slots.reason[slot])


def _made(fixes: _Fixes, exponent: Floats, corners: Floats, parameters: Parameters) -> list[Made]:
    """Densities by family."""
    made = []
    ellipse = (fixes.form == FORM_ELLIPSE) | fixes.without_size
    for chosen, make in (
        (ellipse, _of_ellipses),
        ((fixes.form == FORM_BAND) & ~ellipse, _of_bands),
        ((fixes.form == FORM_POLYGON) & ~ellipse, _of_polygons),
    ):
        if chosen.all():
            made.append(make(fixes, exponent, corners, parameters))
        elif chosen.any():
            made.append(make(fixes.take(chosen), exponent[chosen], corners, parameters))
    return made


def _of_ellipses(f: _Fixes, exponent: Floats, _corners: Floats, parameters: Parameters) -> Made:
    kind = device_kind(f.method, f.platform)
    confidence = np.where(np.isnan(f.confidence), parameters.device.unstated_confidence[kind], f.confidence)
    k = np.sqrt(-2.0 * np.log1p(-confidence))
    major = np.where(f.without_size, np.nan, f.first / k)
    minor = np.where(f.without_size, np.nan, f.second / k)
    axis = np.where(f.without_size, 0.0, f.third)
    common = (f.call, f.slot, f.latitude_deg, f.longitude_deg, f.age_s, exponent)
    return of_ellipses(EllipseClaims(*common, major, minor, axis, kind), parameters)


def _of_bands(f: _Fixes, exponent: Floats, _corners: Floats, parameters: Parameters) -> Made:
    half = np.where(f.fourth >= WHOLE_CIRCLE_DEG, 180.0, f.fourth / 2)
    common = (f.call, f.slot, f.latitude_deg, f.longitude_deg, f.age_s, exponent)
    kind = device_kind(f.method, f.platform)
    claims = BandClaims(*common, f.first, f.second, f.third + f.fourth / 2, half, _stated(f), kind)
    return of_bands(claims, parameters)


def _of_polygons(f: _Fixes, exponent: Floats, corners: Floats, parameters: Parameters) -> Made:
    count = f.third.astype(np.int64)
    # Corners of these polygons only, one after the other.
    rows = np.concatenate([np.arange(a, a + n) for a, n in zip(f.second.astype(np.int64), count, strict=True)])
    common = (f.call, f.slot, f.latitude_deg, f.longitude_deg, f.age_s, exponent)
    first = np.cumsum(count) - count
    outline = corners[rows]
    kind = device_kind(f.method, f.platform)
    claims = PolygonClaims(*common, first, count, _stated(f), kind, outline[:, 0], outline[:, 1])
    return of_polygons(claims, parameters)


def _stated(f: _Fixes) -> Floats:
    """The confidence, (n,), of shapes that are meant as they are drawn."""
    return np.where(np.isnan(f.confidence), UNSTATED_CONFIDENCE, f.confidence)
