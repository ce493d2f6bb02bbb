"""What was learned of a cell, and the coverage in force, for people and programs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from locsvc import model

if TYPE_CHECKING:
    from locsvc.cli.records import Found
    from locsvc.reference.coverage import CoverageStore

COLUMNS = ("learned as", "position", "radius", "places", "reports", "visits", "serving", "level", "last")
_FULL, _PHYSICAL = "identity", "channel and pci"


def cell(store: CoverageStore, asked: model.CellMeasurement) -> list[Found]:
    """What was learned of a cell, by its identity and by its channel and pci; nothing of what was never heard."""
    import numpy as np

    from locsvc.reference.coverage import identities

    def one(value: int | None) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array([-1 if value is None else value], np.int64)

    network = one(asked.radio), one(int(asked.mcc or -1)), one(int(asked.mnc or -1))
    named = {
        _FULL: identities.full(*network, one(asked.area), one(asked.cell)),
        _PHYSICAL: identities.physical(*network, one(asked.arfcn), one(asked.pci)),
    }
    found = []
    for kind, identity in named.items():
        if identity[0] >= 0:
            first, count = (int(v[0]) for v in store.find(identity))
            found += [_learned(store, number, kind) for number in range(first, first + count)]
    return found


def _learned(store: CoverageStore, number: int, kind: str) -> Found:
    from locsvc.reference.coverage import files as f

    stats = [float(v) for v in store.cell_stats[number]]
    latitude, longitude = (float(v) / 1e7 for v in store.cell_place[number])
    start, end = store.cell_start[number : number + 2].tolist()
    made: Found = {
        "by": kind,
        "position": {"latitude_deg": latitude, "longitude_deg": longitude},
        "radius_m": round(stats[f.C_RADIUS_M], 1),
        "places": len(set(store.row_bin[start:end].tolist())),
        "reports": round(stats[f.C_REPORTS], 2),
        "visits": round(stats[f.C_VISITS], 2),
        "serving_reports": round(stats[f.C_SERVING], 2),
    }
    for name, column in (("signal_dbm", f.C_LEVEL), ("signal_sd_db", f.C_LEVEL_SD), ("age_days", f.C_AGE_DAYS)):
        if not math.isnan(stats[column]):
            made[name] = round(stats[column], 1)
    return made


def row(found: Found) -> tuple[str, ...]:
    """What was learned in the order of COLUMNS."""
    position = cast("Mapping[str, float]", found["position"])
    level = found.get("signal_dbm")
    age = found.get("age_days")
    return (
        str(found["by"]),
        f"{position['latitude_deg']:.5f},{position['longitude_deg']:.5f}",
        f"{cast('float', found['radius_m']):,.0f} m",
        f"{found['places']:,}",
        f"{cast('float', found['reports']):,.1f}",
        f"{cast('float', found['visits']):,.1f}",
        f"{cast('float', found['serving_reports']):,.1f}",
        "-" if level is None else f"{level} ± {found.get('signal_sd_db', 0)} dBm",
        "-" if age is None else f"{cast('float', age):.0f} d before the newest",
    )


def in_force(extra: Mapping[str, object]) -> Found:
    """What the coverage in force holds, by what its manifest says."""
    names = ("cells", "physical", "places", "reports", "resolution", "half_life_days")
    found: Found = {name: extra[name] for name in names if name in extra}
    for name, key in (("from", "since_s"), ("until", "until_s")):
        t = extra.get(key)
        if isinstance(t, int | float):
            found[name] = time.strftime("%Y-%m-%d", time.gmtime(t))
    tables = extra.get("tables")
    if isinstance(tables, Mapping):
        found["tables"] = sorted(str(name) for name in tables.values())
    return found


def sentence(found: Found) -> str:
    """The same for a person.

    >>> sentence({"cells": 3, "physical": 1, "places": 2, "reports": 9, "half_life_days": 365.0})
    'coverage: 3 cells (1 by channel and pci) at 2 places from 9 reports; half-life 365 days'
    """
    span = f", {found['from']} to {found['until']}" if "from" in found else ""
    named = cast("Sequence[str]", found.get("tables", ()))
    tables = f" in {len(named):,} tables" if len(named) > 1 else ""
    return (
        f"coverage: {found['cells']:,} cells ({found['physical']:,} by channel and pci) at {found['places']:,} places"
        f" from {found['reports']:,} reports{tables}{span}; half-life {cast('float', found['half_life_days']):g} days"
    )
