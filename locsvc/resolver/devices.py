"""Device reports to densities: shapes read, unknown made wide, repeated fixes counted once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from locsvc.compiled import compiled
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
_CELL, _NOT_TOLD = int(PositioningMethod.CELL), int(PositioningMethod.UNSPECIFIED)
_DEPENDENT, _UNKNOWN_METHOD = int(Reason.DEPENDENT), int(Reason.UNKNOWN_METHOD)
# An arc band that opens this wide is a ring.
WHOLE_CIRCLE_DEG = 359.0


class _Fixes(NamedTuple):
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
        return _Fixes(*(cast("Any", column)[at] for column in self))


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
    fixes, repeated = _usable(table, slots, near, notes)
    if not len(fixes.slot):
        return Reported([], near[0], near[1])
    again = np.zeros(len(fixes.slot), bool)
    if repeated:
        newest = np.lexsort((fixes.longitude_deg, fixes.latitude_deg, fixes.age_s, fixes.call))[::-1]
        # The first of each call is written last.
        near[:, fixes.call[newest]] = fixes.latitude_deg[newest], fixes.longitude_deg[newest]
        fixes, again = _counted_once(fixes, slots, notes)
    has_cells = np.zeros(calls, bool)
    has_cells[slots.call[table.cells[:, 0].astype(np.int64)]] = True
    exponent, p = np.empty(len(fixes.slot)), parameters.dependence
    further, derived = p["same_method_exponent"], p["derived_exponent"]
    _weigh(fixes, again, has_cells, further, derived, exponent, slots.reason, slots.placed)
    return Reported(_made(fixes, exponent, table.corners, parameters), near[0], near[1])


def _usable(table: EvidenceTable, slots: Slots, near: Floats, notes: Notes) -> tuple[_Fixes, bool]:
    """The reports that say a place, and whether some call has several of them.

    Those that say none, or no size, are told. The place of a call's one report goes to `near` (2, calls).
    """
    n = len(table.reports)
    slot, call, form, method, platform = np.empty((5, n), np.int64)
    lat, lng, first, second, third, fourth, confidence, age_s = np.empty((8, n))
    size = first, second, third, fourth
    place = np.empty(n, bool)
    fixes = _Fixes(slot, call, form, lat, lng, *size, confidence, method, platform, age_s, np.empty(n, bool))
    odd, repeated = _read(np.ascontiguousarray(table.reports), slots.call, slots.age_s, fixes, place, near)
    if not odd:
        return fixes, repeated
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
    for i in np.flatnonzero(place & fixes.without_size).tolist():
        s = int(slot[i])
        slots.reason[s] = Reason.UNKNOWN_UNCERTAINTY
        notes.warn(
            int(slots.call[s]),
            WarningCode.UNKNOWN_UNCERTAINTY,
            "the device report states no uncertainty (point or radius 0); a wide one was assumed",
            slots.names[s],
            "device_report.shape",
        )
    return (fixes if place.all() else fixes.take(place)), repeated


@compiled
def _read(
    rows: Floats, call_of_slot: Ints, age_of_slot: Floats, fixes: _Fixes, place: Bools, near: Floats
) -> tuple[bool, bool]:
    """Fills the columns of reports (REPORT_COLUMNS), which of them say a place (n,), and the last place of each call.

    Returns whether any says no place or no size, and whether some call has several places.
    """
    odd = repeated = False
    last = -1
    for i in range(len(rows)):
        slot, form, lat, lng = int(rows[i, 0]), int(rows[i, 1]), rows[i, 2], rows[i, 3]
        call, first, second = call_of_slot[slot], rows[i, 4], rows[i, 5]
        fixes.slot[i], fixes.call[i], fixes.form[i], fixes.age_s[i] = slot, call, form, age_of_slot[slot]
        fixes.latitude_deg[i], fixes.longitude_deg[i] = lat, lng
        fixes.first[i], fixes.second[i], fixes.third[i], fixes.fourth[i] = first, second, rows[i, 6], rows[i, 7]
        fixes.confidence[i], fixes.method[i], fixes.platform[i] = rows[i, 8], int(rows[i, 9]), int(rows[i, 10])
        fixes.without_size[i] = (
            form == FORM_POINT
            or (form == FORM_ELLIPSE and (first <= 0.0 or second <= 0.0))
            or (form == FORM_BAND and second <= 0.0)
        )
        place[i] = form != FORM_NONE and not math.isnan(lat + lng) and (abs(lat) >= NULL_DEG or abs(lng) >= NULL_DEG)
        odd = odd or not place[i] or fixes.without_size[i]
        if place[i]:
            repeated = repeated or call == last
            near[0, call], near[1, call] = lat, lng
            last = call
    return odd, repeated


@compiled
def _weigh(
    fixes: _Fixes,
    again: Bools,
    has_cells: Bools,
    same_method_exponent: float,
    derived_exponent: float,
    exponent: Floats,
    reason: Ints,
    placed: Bools,
) -> None:
    """Fills the exponents of fixes (n,): what repeats a method or was derived from the call's cells counts less.

    Notes that, and methods that are not told, in the slots' reasons where there is none, and that they have a place.
    """
    for i in range(len(fixes.slot)):
        s, method = fixes.slot[i], fixes.method[i]
        derived = has_cells[fixes.call[i]] and method == _CELL
        exponent[i] = same_method_exponent if again[i] else 1.0
        if derived:
            exponent[i] = min(exponent[i], derived_exponent)
        placed[s] = True
        if reason[s] == 0 and (again[i] or derived):
            reason[s] = _DEPENDENT
        elif reason[s] == 0 and method == _NOT_TOLD:
            reason[s] = _UNKNOWN_METHOD


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


def _made(fixes: _Fixes, exponent: Floats, corners: Floats, parameters: Parameters) -> list[Made]:
    """Densities by family."""
    ellipse = (fixes.form == FORM_ELLIPSE) | fixes.without_size
    if ellipse.all():
        return [_of_ellipses(fixes, exponent, corners, parameters)]
    made = []
    for chosen, make in (
        (ellipse, _of_ellipses),
        ((fixes.form == FORM_BAND) & ~ellipse, _of_bands),
        ((fixes.form == FORM_POLYGON) & ~ellipse, _of_polygons),
    ):
        if chosen.any():
            made.append(make(fixes.take(chosen), exponent[chosen], corners, parameters))
    return made


def _of_ellipses(f: _Fixes, exponent: Floats, _corners: Floats, parameters: Parameters) -> Made:
    kind = device_kind(f.method, f.platform)
    major, minor, axis = np.empty((3, len(kind)))
    _measure(f, kind, parameters.device.unstated_confidence, major, minor, axis)
    common = (f.call, f.slot, f.latitude_deg, f.longitude_deg, f.age_s, exponent)
    return of_ellipses(EllipseClaims(*common, major, minor, axis, kind), parameters)


@compiled
def _measure(f: _Fixes, kind: Ints, unstated: Floats, major: Floats, minor: Floats, axis: Floats) -> None:
    """Fills half axes of one sigma (NaN: not told) and orientation of ellipses, (n,)."""
    for i in range(len(kind)):
        stated = unstated[kind[i]] if math.isnan(f.confidence[i]) else f.confidence[i]
        # As `units.sigmas_of_circle`.
        sigmas = math.sqrt(-2.0 * math.log1p(-stated))
        major[i] = math.nan if f.without_size[i] else f.first[i] / sigmas
        minor[i] = math.nan if f.without_size[i] else f.second[i] / sigmas
        axis[i] = 0.0 if f.without_size[i] else f.third[i]


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
