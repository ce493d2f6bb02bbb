"""Played calls to columns: messages are read here, outside the process that measured their times."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np

from locsvc.evaluate.capture.records import AHEAD_S, Capture, Said, Sends, Shown
from locsvc.geo import distance_m
from locsvc.v1.call_service_pb2 import CHANGE_KIND_DEADLINE, WatchLocationResponse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locsvc.evaluate.capture.drawing import PlannedCall
    from locsvc.model import LatLng
    from locsvc.rpc.capture.playing import Played
    from locsvc.v1.estimate_pb2 import LocationEstimate
    from locsvc.v1.geometry_pb2 import LatLng as LatLngMessage

_Row = tuple[float, ...]


@dataclass(slots=True)
class Measuring:
    """Takes one call after the other; `capture` are all so far.

    Parameters
    ----------
    calls
        All that were planned, by their numbers.
    speed
        Seconds of the scenario that are played in one.
    """

    calls: Sequence[PlannedCall]
    speed: float
    lags_s: list[float] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _kinds: list[str] = field(default_factory=list)
    _times: list[_Row] = field(default_factory=list)
    _shown: list[_Row] = field(default_factory=list)
    _said: list[_Row] = field(default_factory=list)
    _sends: list[_Row] = field(default_factory=list)
    _failures: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self._names)

    def add(self, played: Played) -> None:
        """Take a call that was played to its end."""
        call, number = self.calls[played.index], len(self._names)
        first_s = played.messages[0][0] if played.messages else math.nan
        self._names.append(call.call_id)
        self._kinds.append(call.kind)
        self._times.append((played.opened_s, first_s))
        self._failures.update(played.failures)
        for received_s, content in played.messages:
            message = WatchLocationResponse.FromString(content)
            if message.HasField("estimate"):
                at_s = (received_s - played.started_s) * self.speed
                self._shown.append((number, at_s, received_s, *_row(message, call.truth)))
        if call.number_shown is not None:
            at_s = (played.opened_s - played.started_s) * self.speed
            self._said.append((number, at_s, _apart_m(call.number_shown, call.truth), math.nan))
        for sent in sorted(played.sent, key=lambda s: s.sent_s):
            piece = call.pieces[sent.piece]
            error_m = math.nan if piece.shown is None else _apart_m(piece.shown, call.truth)
            claimed_m = math.nan if piece.claimed_m is None else piece.claimed_m
            self._said.append((number, (sent.sent_s - played.started_s) * self.speed, error_m, claimed_m))
            self._failures.update([sent.failure] if sent.failure else [])
            new = sent.revision if sent.added and not sent.failure else 0
            self._sends.append((number, sent.sent_s, sent.replied_s, sent.sent_s - sent.due_s, new))

    def capture(self, *, at_once: int, seconds: float, asked: int, server_cpu_s: float | None) -> Capture:
        """All calls so far."""
        times, shown = _columns(self._times, 2), _columns(self._shown, 10 + len(AHEAD_S))
        said, sends = _columns(self._said, 4), _columns(self._sends, 5)
        return Capture(
            names=list(self._names),
            kinds=list(self._kinds),
            opened_s=times[0],
            first_s=times[1],
            shown=Shown(
                shown[0].astype(np.int64), shown[1], shown[2], shown[3].astype(np.int64), shown[4], shown[5],
                shown[6] > 0, shown[7] > 0, shown[8], shown[9] > 0, shown[10 : 10 + len(AHEAD_S)].T,
            ),
            said=Said(said[0].astype(np.int64), said[1], said[2], said[3]),
            sends=Sends(sends[0].astype(np.int64), sends[1], sends[2], sends[3], sends[4].astype(np.int64)),
            lags_s=np.array(self.lags_s),
            speed=self.speed,
            at_once=at_once,
            seconds=seconds,
            asked=asked,
            server_cpu_s=server_cpu_s,
            failures=dict(self._failures.most_common()),
        )  # fmt: skip


def _columns(rows: Sequence[_Row], width: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.array(rows, np.float64).reshape(len(rows), width).T


def _row(message: WatchLocationResponse, truth: LatLng) -> _Row:
    """Revision, error, radius, whether the region holds, fit and its radius, deadline; chances."""
    estimate, outlook = message.estimate, message.outlook
    error_m = radius_m = math.nan
    held = False
    if estimate.HasField("position"):
        error_m = _apart_m(estimate.position, truth)
        radius_m = estimate.radius_m
        held = holds(estimate, truth)
    chances = {p.within_s: p.chance for p in outlook.prospects}
    return (
        -1 if message.provisional else message.revision, error_m, radius_m, held, outlook.fit_to_dispatch,
        outlook.fit_radius_m, message.kind == CHANGE_KIND_DEADLINE, *(chances.get(s, math.nan) for s in AHEAD_S),
    )  # fmt: skip


def holds(estimate: LocationEstimate, place: LatLng) -> bool:
    """Whether a place is in the estimate's region: its cell at the finest resolution, or an ancestor, is listed."""
    finest = estimate.region.resolution
    listed = set(estimate.region.cells)
    cell = h3.latlng_to_cell(place.latitude_deg, place.longitude_deg, finest)
    return any(int(h3.cell_to_parent(cell, r)) in listed for r in range(finest, -1, -1))


def _apart_m(one: LatLng | LatLngMessage, other: LatLng) -> float:
    return float(distance_m(one.latitude_deg, one.longitude_deg, other.latitude_deg, other.longitude_deg))
