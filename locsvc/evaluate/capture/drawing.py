"""Calls drawn from a scenario: who calls from where, and what is said of it when."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from locsvc.evaluate.capture.ground import Ground, Heard, moved
from locsvc.model import (
    CellScan,
    ClassOfService,
    LatLng,
    LineLookup,
    LineRecord,
    Placement,
    Platform,
    PositioningMethod,
    Radio,
)

if TYPE_CHECKING:
    from locsvc.evaluate.capture.scenario import Scenario

Kind = Literal["mobile", "fixed", "voip"]
Source = Literal["serving_cell", "line", "handset", "network_fix"]

NOWHERE = LatLng(0.0, 0.0)
# Numbers that Ofcom keeps for drama, a thousand behind each, so that no two calls of some minutes share one.
_FICTION = (
    *("+447700900", "+441134960", "+441144960", "+441154960", "+441164960", "+441174960", "+441184960", "+441214960"),
    *("+441314960", "+441414960", "+441514960", "+441614960", "+442079460", "+441914980", "+442896496", "+442920180"),
)
_METHODS = {
    "gnss": PositioningMethod.GNSS,
    "wifi": PositioningMethod.WIFI,
    "cell": PositioningMethod.CELL,
}
_NETWORK_FORMS = ("mlp", "gad", "ali", "held")


@dataclass(frozen=True, slots=True)
class Fix:
    """A place as a handset or a network claims it: `radius_m` 0 says nothing of its size."""

    place: LatLng
    radius_m: float
    confidence: float
    method: PositioningMethod
    platform: Platform = Platform.UNSPECIFIED
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence; seconds count from the start of its call.

    Parameters
    ----------
    after_s, true_s
        When it reaches the service, and when it was true: a message that is sent again says the same once more.
    form
        "typed", or the format of the field that it is sent in.
    by_number
        The sender knows the caller's number only.
    name
        Its evidence_id; empty: the sender gives none.
    shown, claimed_m
        Where who takes it at its word would put the caller, and the radius that it claims; None: it says none.
    """

    after_s: float
    true_s: float
    source: Source
    content: Fix | CellScan | LineLookup
    form: str = "typed"
    by_number: bool = False
    name: str = ""
    shown: LatLng | None = None
    claimed_m: float | None = None


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that is to be played: where the caller truly is, and what will be said, in the order of its times.

    `number_shown` is the place that the directory has for its number, which is known from the start.
    """

    call_id: str
    calling_number: str
    kind: Kind
    truth: LatLng
    watched_s: float
    pieces: tuple[Piece, ...]
    number_shown: LatLng | None = None


def draw_calls(
    ground: Ground, scenario: Scenario, count: int, seed: int, *, run: str = "capture", first_number: int = 0
) -> list[PlannedCall]:
    """So many calls, the same for the same seed.

    Parameters
    ----------
    run
        What their names begin with; another one for each run against one server.
    first_number
        Where in the numbers of fiction the callers' begin.
    """
    return [
        _Drawing(ground, scenario, np.random.default_rng([seed, i])).call(f"{run}-{i:06d}", number_of(first_number + i))
        for i in range(count)
    ]


def number_of(index: int) -> str:
    """The caller's number of a call.

    >>> number_of(7), number_of(16_001)
    ('+447700900007', '+447700900001')
    """
    return f"{_FICTION[index // 1000 % len(_FICTION)]}{index % 1000:03d}"


class _Drawing:
    """One call that is being drawn."""

    def __init__(self, ground: Ground, scenario: Scenario, rng: np.random.Generator) -> None:
        self._ground, self._scenario, self._rng = ground, scenario, rng

    def call(self, call_id: str, number: str) -> PlannedCall:
        kind = self._kind()
        watched_s, number_shown = self._draw("calls.watched_s"), None
        if kind == "mobile":
            truth, pieces = self._mobile()
        elif kind == "fixed":
            truth, number, pieces = self._fixed(number)
            number_shown = pieces[0].shown if self._ground.lines else None
        else:
            truth, pieces = self._voip()
        sent = [p for p in [*pieces, *self._repeated(pieces)] if p.after_s < watched_s]
        in_order = tuple(sorted(sent, key=lambda p: p.after_s))
        return PlannedCall(call_id, number, kind, truth, watched_s, in_order, number_shown)

    def _kind(self) -> Kind:
        at = self._rng.random() - self._scenario.number("calls.mobile_share")
        if at < 0:
            return "mobile"
        return "fixed" if at < self._scenario.number("calls.fixed_share") else "voip"

    def _draw(self, name: str) -> float:
        return self._scenario.draw(name, self._rng)

    def _is(self, name: str) -> bool:
        return self._scenario.happens(name, self._rng)

    def _away(self, place: LatLng, distance_m: float) -> LatLng:
        return moved(place, float(self._rng.uniform(0, 360)), distance_m)

    def _named(self, piece: Piece) -> Piece:
        """The piece with the name that its sender gives it, or without."""
        if not self._is("sending.named_share"):
            return piece
        return dataclasses.replace(piece, name=f"{piece.source}-{self._rng.integers(16**8):08x}")

    # --- Kinds of calls ---

    def _mobile(self) -> tuple[LatLng, list[Piece]]:
        truth, network = self._ground.place(self._scenario, self._rng)
        pieces: list[Piece] = []
        if self._is("cell.share"):
            heard = self._ground.heard(truth, network, self._scenario, self._rng)
            pieces += [] if heard is None else [self._cell(heard)]
        if self._is("line.mobile_share"):
            pieces.append(self._mobile_line(truth))
        if self._is("handset.share"):
            pieces += self._handset(truth)
        if self._is("network.share"):
            pieces.append(self._network(truth))
        return truth, pieces

    def _fixed(self, number: str) -> tuple[LatLng, str, list[Piece]]:
        """A line of the directory where it has some, else one whose record another database sends along."""
        after_s = self._draw("line.after_s")
        known = [r for r in self._ground.lines if r.class_of_service not in _MOVING]
        if known:
            record = known[int(self._rng.integers(len(known)))]
            number, lookup = record.number, LineLookup(record.number)
            place = record.position or NOWHERE
        else:
            place, _ = self._ground.place(self._scenario, self._rng)
            record = _record(number, ClassOfService.RESIDENCE, place)
            lookup = LineLookup(number, record)
        away_m = self._draw("line.wrong_m") if self._is("line.wrong_share") else self._draw("line.beside_m")
        piece = Piece(after_s, after_s, "line", lookup, shown=place)
        return self._away(place, away_m), number, [self._named(piece)]

    def _voip(self) -> tuple[LatLng, list[Piece]]:
        truth, _ = self._ground.place(self._scenario, self._rng)
        away_m = self._draw("voip.elsewhere_m") if self._is("voip.elsewhere_share") else self._draw("line.beside_m")
        registered = self._away(truth, away_m)
        lookup = LineLookup("", _record("", ClassOfService.VOIP_NOMADIC, registered))
        after_s = self._draw("line.after_s")
        pieces = [Piece(after_s, after_s, "line", lookup, shown=registered)]
        if self._is("voip.device_share"):
            radius_m = self._draw("voip.device_radius_m")
            fix = self._found(Fix(truth, radius_m, 0.68, PositioningMethod.WIFI), truth)
            form = ("pidf-lo", "sip")[int(self._rng.integers(2))]
            after_s = self._draw("voip.device_after_s")
            pieces.append(_shown(after_s, after_s, "handset", fix, form))
        return truth, [self._named(p) for p in pieces]

    # --- Evidence ---

    def _cell(self, heard: Heard) -> Piece:
        serving = heard.cells[0]
        shown, claimed_m = heard.row.position, heard.reach_m
        unknown = self._ground.unknown_sibling(serving) if self._is("cell.unknown_share") else None
        neighbours = heard.cells[1:] if self._is("cell.neighbours_share") else ()
        if not self._is("cell.timing_share"):
            serving = dataclasses.replace(serving, timing_advance=None)
        form = "typed"
        if not neighbours and serving.timing_advance is None and self._is("cell.raw_share"):
            # RFC 7105 names cells of LTE by one number.
            form = "rfc7105" if serving.radio == Radio.LTE and self._rng.random() < 0.2 else "access-network"
        scan = CellScan(unknown or serving, neighbours)
        early = self._is("cell.early_share")
        after_s = -self._draw("cell.early_s") if early else self._draw("cell.after_s")
        piece = Piece(after_s, after_s, "serving_cell", scan, form, by_number=early)
        return self._named(piece if unknown else dataclasses.replace(piece, shown=shown, claimed_m=claimed_m))

    def _mobile_line(self, truth: LatLng) -> Piece:
        """A record of a mobile number; its address, where it has one, is where bills go, and no one's answer."""
        address = None
        if self._is("line.mobile_address_share"):
            home = self._is("line.mobile_home_share")
            address = self._away(truth, self._draw("line.beside_m" if home else "line.mobile_away_m"))
        record = _record("", ClassOfService.WIRELESS, address)
        after_s = self._draw("line.after_s")
        return self._named(Piece(after_s, after_s, "line", LineLookup("", record)))

    def _handset(self, truth: LatLng) -> list[Piece]:
        android = self._is("handset.android_share")
        at = self._rng.random() - self._scenario.number("handset.gnss_share")
        kind = "gnss" if at < 0 else "wifi" if at < self._scenario.number("handset.wifi_share") else "cell"
        radius_m = max(1.0, round(self._draw(f"handset.{kind}_radius_m"), 1))
        platform = Platform.ANDROID if android else Platform.IOS
        claim = Fix(truth, radius_m, self._scenario.number("handset.confidence"), _METHODS[kind], platform)
        floor_m, common = self._surroundings()
        first = self._said(self._found(claim, truth, floor_m, common), truth)
        https = android and self._is("handset.https_share")
        early = self._is("handset.early_share")
        sent_s = -self._draw("cell.early_s") if early else self._draw("handset.sent_s")
        by_number = early or self._is("handset.number_only_share")
        pieces = [self._message(sent_s, first, https=https, by_number=by_number)]
        if android and self._is("handset.both_share"):
            pieces.append(self._message(sent_s, first, https=not https, by_number=True))
        if self._is("handset.again_share"):
            better_m = max(1.0, round(radius_m * self._scenario.number("handset.again_factor"), 1))
            better = dataclasses.replace(claim, radius_m=better_m)
            again = self._said(self._found(better, truth, floor_m, common), truth)
            later_s = sent_s + self._draw("handset.again_s")
            pieces.append(self._message(later_s, again, https=https, by_number=by_number))
        return [self._named(p) for p in pieces]

    def _message(self, sent_s: float, fix: Fix, *, https: bool, by_number: bool) -> Piece:
        after_s = sent_s + self._draw("handset.https_s" if https else "handset.sms_s")
        return _shown(after_s, sent_s, "handset", fix, "els" if https else "aml", by_number=by_number)

    def _network(self, truth: LatLng) -> Piece:
        radius_m = max(5.0, round(self._draw("network.radius_m"), 1))
        sigma_m = radius_m * self._draw("network.factor")
        fix = Fix(
            self._away(truth, sigma_m * float(self._rng.rayleigh())), radius_m,
            self._scenario.number("network.confidence"), PositioningMethod.NETWORK,
        )  # fmt: skip
        form = "typed"
        if self._is("network.raw_share"):
            form = _NETWORK_FORMS[int(self._rng.integers(len(_NETWORK_FORMS)))]
        after_s, by_number = self._draw("network.after_s"), self._is("network.number_only_share")
        return self._named(_shown(after_s, after_s, "network_fix", self._said(fix, truth), form, by_number=by_number))

    def _surroundings(self) -> tuple[float, tuple[float, float]]:
        """How well fixes can be at all where the caller is, metres, and the error that they share, in deviations."""
        at = self._rng.random() - self._scenario.number("truth.outdoors_share")
        name = "outdoors_m" if at < 0 else "deep_m" if at < self._scenario.number("truth.deep_share") else "indoors_m"
        east, north = self._rng.standard_normal(2).tolist()
        return self._scenario.number(f"truth.{name}"), (east, north)

    def _found(self, claim: Fix, truth: LatLng, floor_m: float = 0.0, common: tuple[float, float] | None = None) -> Fix:
        """The fix where it comes to lie: as far off as claims of its platform are, never better than `floor_m`."""
        factor = self._draw("truth.ios_factor" if claim.platform == Platform.IOS else "truth.android_factor")
        sigma_m = math.hypot(factor * claim.radius_m, floor_m)
        shared = self._scenario.number("truth.shared") if common is not None else 0.0
        own = self._rng.standard_normal(2)
        off = sigma_m * (math.sqrt(shared) * np.array(common or (0.0, 0.0)) + math.sqrt(1 - shared) * own)
        place = moved(truth, math.degrees(math.atan2(off[0], off[1])), float(np.hypot(off[0], off[1])))
        return dataclasses.replace(claim, place=place)

    def _said(self, fix: Fix, truth: LatLng) -> Fix:
        """The fix as it is sent: now and then wrong, empty, without a size or old."""
        at = float(self._rng.random())
        for fault in ("far", "null", "unsized", "stale"):
            at -= self._scenario.number(f"wrong.{fault}_share")
            if at < 0:
                break
        else:
            return fix
        if fault == "far":
            place = self._away(truth, self._draw("wrong.far_m"))
            return dataclasses.replace(fix, place=place, radius_m=round(self._draw("wrong.far_radius_m"), 1))
        if fault == "null":
            return dataclasses.replace(fix, place=NOWHERE, radius_m=0.0)
        if fault == "unsized":
            return dataclasses.replace(fix, radius_m=0.0)
        place = self._away(truth, self._draw("wrong.stale_m"))
        return dataclasses.replace(fix, place=place, age_s=self._draw("wrong.stale_age_s"))

    def _repeated(self, pieces: Sequence[Piece]) -> list[Piece]:
        return [
            dataclasses.replace(piece, after_s=piece.after_s + self._draw("sending.duplicate_s"))
            for piece in pieces
            if self._is("sending.duplicate_share")
        ]


_MOVING = (ClassOfService.VOIP_NOMADIC, ClassOfService.WIRELESS)


def _shown(after_s: float, true_s: float, source: Source, fix: Fix, form: str, *, by_number: bool = False) -> Piece:
    """A fix as a piece; a null fix shows no place, one without a size claims none."""
    shown = None if fix.place == NOWHERE else fix.place
    return Piece(after_s, true_s, source, fix, form, by_number, shown=shown, claimed_m=fix.radius_m or None)


def _record(number: str, kind: ClassOfService, place: LatLng | None) -> LineRecord:
    """A record as a line database sends it."""
    placement = Placement.UNSPECIFIED if place is None else Placement.STRUCTURE
    return LineRecord(number, kind, None, place, placement, provider="line database")
