"""What a run has answered, in counts that can be added up: computed from the output's columns alone."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from locsvc.batch.bins import FINEST_ZOOM, MAP_WIDTHS, TIME_WIDTHS, Bins, columns_and_rows, squares_of
from locsvc.tables.columns import Refusals, plain, times
from locsvc.tables.form import FURTHER

# Radii are counted in bins of 1 % of themselves.
_BIN = 0.01
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.95)
# Reasons with their own texts in them would be as many as rows.
_MOST_REASONS = 1_000
_REFUSED, _UNREAD, _OTHER = "partly_read: ", "row cannot be read", "other"
# Squares of the map and bars of time at most: what a page shows, and some kilobytes a part.
_MOST_SQUARES, _MOST_BARS = 4_096, 1_500
_COUNTERS = ("outcomes", "sources", "warnings", "rejects", "areas")
KINDS = ("cell_scan", "device_report", "line_lookup")


def _map() -> Bins:
    return Bins(MAP_WIDTHS, _MOST_SQUARES)


def _times() -> Bins:
    return Bins(TIME_WIDTHS, _MOST_BARS)


@dataclass(slots=True)
class Tally:
    """Counts of answered calls, of bounded size.

    `squares` are where the answers are, `times` when the calls were (in seconds since the Unix epoch).
    """

    rows: int = 0
    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    rejects: Counter[str] = field(default_factory=Counter)
    areas: Counter[str] = field(default_factory=Counter)
    radii: Counter[int] = field(default_factory=Counter)
    squares: Bins = field(default_factory=_map)
    times: Bins = field(default_factory=_times)

    def add(self, other: Tally) -> None:
        """Add what another one has counted."""
        self.rows += other.rows
        self.calls += other.calls
        for name in (*_COUNTERS, "radii"):
            getattr(self, name).update(getattr(other, name))
        _bound(self.rejects)
        _bound(self.areas)
        self.squares.add(other.squares)
        self.times.add(other.times)

    def to_json(self) -> dict[str, Any]:
        """As JSON, to be kept in a journal."""
        return {
            "rows": self.rows,
            "calls": self.calls,
            **{name: dict(getattr(self, name)) for name in _COUNTERS},
            "radii": {str(k): v for k, v in self.radii.items()},
            "squares": self.squares.to_json(),
            "times": self.times.to_json(),
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> Tally:
        """What `to_json` wrote."""
        tally = Tally(value["rows"], value["calls"])
        for name in _COUNTERS:
            getattr(tally, name).update(value[name])
        tally.radii.update({int(k): v for k, v in value["radii"].items()})
        tally.squares.read_json(value["squares"])
        tally.times.read_json(value["times"])
        return tally

    def plotted(self) -> dict[str, Any]:
        """What plots and maps are made of, as plain lists.

        `radii` are the middles of their bins (metres, ascending) and counts; `squares` the zoom (2^zoom of them round
        the globe), columns, rows and counts; `times` the width of a bin (seconds), starts and counts; `areas` counts.
        """
        numbers = sorted(self.radii)
        column, row = columns_and_rows(self.squares.keys)
        squares = [v.tolist() for v in (column, row, self.squares.counts)]
        starts_s = self.times.keys * self.times.width
        return {
            "radii": ([math.exp((n + 0.5) * _BIN) for n in numbers], [self.radii[n] for n in numbers]),
            "squares": (FINEST_ZOOM - self.squares.level, *squares),
            "times": (self.times.width, starts_s.tolist(), self.times.counts.tolist()),
            "areas": dict(self.areas.most_common()),
        }

    def radius_quantile(self, share: float) -> float | None:
        """The radius that a share of the located calls stays within, metres, to 1 %; None without any."""
        total = sum(self.radii.values())
        held = 0
        for number in sorted(self.radii):
            held += self.radii[number]
            if held >= share * total:
                return math.exp((number + 0.5) * _BIN)
        return None

    def summary(self) -> dict[str, Any]:
        """For a person or a program: counts, shares and quantiles."""
        fallbacks = {k.partition("/")[2]: v for k, v in self.sources.most_common() if k.startswith("cell_scan/")}
        return {
            "rows": self.rows,
            "calls": self.calls,
            "outcomes": dict(self.outcomes.most_common()),
            "conflicts": self.outcomes["conflict"],
            "source_share": {k: self.sources[f"any/{k}"] / max(self.calls, 1) for k in KINDS},
            "sources": {k: v for k, v in self.sources.most_common() if not k.startswith("any/")},
            "fallbacks": fallbacks,
            "radius_m": {
                f"{q:g}": None if (r := self.radius_quantile(q)) is None else float(f"{r:.3g}") for q in QUANTILES
            },
            "warnings": dict(self.warnings.most_common()),
            "rejects": dict(self.rejects.most_common()),
        }


def tally_of(batch: pa.RecordBatch, rows: int) -> Tally:
    """The counts of some answers, made of so many rows."""
    tally = Tally(rows, len(batch), Counter(_counted(batch.column("outcome"))))
    sources = batch.column("sources")
    flat = sources.flatten()
    tally.sources.update(_counted(flat))
    parent = pc.list_parent_indices(sources).to_numpy(zero_copy_only=False)
    for kind in KINDS:
        has = pc.starts_with(flat, kind).to_numpy(zero_copy_only=False)
        tally.sources[f"any/{kind}"] += len(np.unique(parent[has]))
    for text, count in _counted(batch.column("warnings").flatten()).items():
        code, _, message = text.partition(": ")
        tally.warnings[code] += count
        if text.startswith(_REFUSED):
            # The value that was refused is no part of the reason; why a row could not be read is.
            reason, _, more = message.partition(": ")
            many = int(more) if reason == FURTHER else 1
            tally.rejects[message if reason == _UNREAD and more else reason] += count * many
    _bound(tally.rejects)
    radius = batch.column("radius_m").drop_null().to_numpy(zero_copy_only=False)
    bins, counts = np.unique(np.floor(np.log(np.maximum(radius, 1e-3)) / _BIN).astype(int), return_counts=True)
    tally.radii.update(dict(zip(bins.tolist(), counts.tolist(), strict=True)))
    tally.areas.update(_counted(batch.column("area")))
    _bound(tally.areas)
    _count_places_and_times(tally, batch)
    return tally


def _count_places_and_times(tally: Tally, batch: pa.RecordBatch) -> None:
    lat, lng = (batch.column(n).drop_null().to_numpy(zero_copy_only=False) for n in ("latitude_deg", "longitude_deg"))
    tally.squares.count(squares_of(lat, lng))
    if "t" in batch.schema.names:
        t = times(plain(batch.column("t")), "t", Refusals())
        tally.times.count(np.floor(t[~np.isnan(t)]).astype(np.int64))


def _bound(reasons: Counter[str]) -> None:
    """Keep the most frequent reasons, and the rest as one."""
    if len(reasons) > _MOST_REASONS:
        kept = dict(reasons.most_common(_MOST_REASONS - 1))
        rest = reasons.total() - sum(kept.values())
        reasons.clear()
        reasons.update(kept)
        reasons[_OTHER] += rest


def _counted(column: pa.Array) -> dict[str, int]:
    """How often each text occurs."""
    return {str(v["values"]): int(v["counts"]) for v in column.value_counts().to_pylist() if v["values"] is not None}
