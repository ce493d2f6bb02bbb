"""Rows of the table form as numpy columns: what each says of cells, fix, number and time, ranges checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from locsvc.formats import ranges
from locsvc.model import Platform, PositioningMethod, Radio
from locsvc.tables import columns as c
from locsvc.tables.columns import Floats, Refusals

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_RADIOS: Final = {
    **{r.name: int(r) for r in Radio if r},
    **{f"RADIO_{r.name}": int(r) for r in Radio if r},
    "2G": 1, "WCDMA": 2, "HSPA": 2, "3G": 2, "4G": 3, "LTE-M": 3, "5G": 4,
}  # fmt: skip
_METHODS: Final = {
    **{m.name: int(m) for m in PositioningMethod},
    **{f"POSITIONING_METHOD_{m.name}": int(m) for m in PositioningMethod},
    "GPS": int(PositioningMethod.GNSS),
    "SATELLITE": int(PositioningMethod.GNSS),
    "WLAN": int(PositioningMethod.WIFI),
    "UNKNOWN": 0,
}
_PLATFORMS: Final = {p.name: int(p) for p in Platform}
_MOST_OF = {
    "area": np.array(ranges.MAX_AREA, np.float64),
    "cell": np.array(ranges.MAX_CELL, np.float64),
    "pci": np.array(ranges.MAX_PCI, np.float64),
    "timing_advance": np.array(ranges.MAX_TIMING_ADVANCE, np.float64),
}


def radio_of(text: str) -> int | None:
    """The number of a radio's name; None for an unknown name.

    >>> radio_of("lte"), radio_of("WCDMA"), radio_of("radio_nr"), radio_of("6G")
    (3, 2, 4, None)
    """
    return _RADIOS.get(text.upper())


def method_of(text: str) -> int | None:
    """The number of a positioning method's name; what stands behind a slash is the platform, and what it was asked for.

    >>> method_of("gps"), method_of("fused/android/balanced"), method_of("dowsing")
    (1, 4, None)
    """
    return _METHODS.get(text.upper().split("/")[0])


def platform_of(text: str) -> int:
    """The number of the platform that stands behind a method's first slash; 0 for none, or one that is not known.

    >>> platform_of("fused/android/balanced"), platform_of("wifi/iOS"), platform_of("gps")
    (1, 2, 0)
    """
    return _PLATFORMS.get(text.upper().partition("/")[2].split("/")[0], 0)


@dataclass(slots=True)
class Cells:
    """Cells as measured, (n,) float64: NaN where not given; `radio` 0 where not given."""

    radio: Ints
    mcc: Floats
    mnc: Floats
    area: Floats
    cell: Floats
    pci: Floats
    arfcn: Floats
    timing_advance: Floats
    signal_dbm: Floats
    quality_db: Floats

    def given(self) -> Bools:
        """Whether anything names the cell, (n,)."""
        unknown = np.isnan(np.stack((self.mcc, self.area, self.cell, self.pci, self.arfcn)))
        result: Bools = np.any(~unknown, axis=0)
        return result


@dataclass(slots=True)
class Rows:
    """Rows, (n,): NaN, 0 or None where a column says nothing.

    `neighbours` are those of all rows one after the other, `neighbour_counts` (n,) how many each has.
    """

    t: Floats
    serving: Cells
    neighbour_counts: Ints
    neighbours: Cells | None
    latitude_deg: Floats
    longitude_deg: Floats
    radius_m: Floats
    confidence: Floats
    method: Ints
    platform: Ints
    number: list[str | None] | None
    aml: list[str | None] | None
    refusals: Refusals


def read_rows(batch: pa.RecordBatch) -> Rows:
    """What the rows of a batch in the table form say."""
    n = len(batch)
    told = Refusals()
    empty = pa.nulls(n, pa.float64())
    given = {name: c.plain(batch.column(name)) for name in batch.schema.names}

    def of(name: str) -> pa.Array:
        return given.get(name, empty)

    latitude = c.within(of("latitude"), "latitude", told, -90, 90)
    longitude = c.within(of("longitude"), "longitude", told, -180, 180)
    counts, neighbours = _neighbours(given.get("neighbours"), n, told)
    return Rows(
        c.times(of("t"), "t", told),
        _cells(given, n, told),
        counts,
        neighbours,
        latitude,
        longitude,
        c.within(of("radius_m"), "radius_m", told, 0, ranges.MAX_LENGTH_M),
        c.fractions(of("reported_confidence"), "reported_confidence", told),
        c.codes(of("method"), "method", told, method_of, "is no positioning method"),
        c.codes(of("method"), "method", Refusals(), platform_of, ""),
        _called_from(given.get("calling_number"), told),
        _messages(given.get("aml"), told),
        told,
    )


def _cells(given: dict[str, pa.Array], n: int, told: Refusals) -> Cells:
    """The cells that the columns of one name each say."""
    empty = pa.nulls(n, pa.float64())

    def of(name: str) -> pa.Array:
        return given.get(name, empty)

    radio = c.codes(of("radio"), "radio", told, radio_of, "is no radio (GSM, UMTS, LTE or NR)")

    def bounded(name: str) -> Floats:
        return c.within(of(name), name, told, 0, _MOST_OF[name][radio], whole=True)

    return Cells(
        radio,
        c.within(of("mcc"), "mcc", told, 1, 999, whole=True),
        c.within(of("mnc"), "mnc", told, 0, 999, whole=True),
        bounded("area"),
        bounded("cell"),
        bounded("pci"),
        c.within(of("arfcn"), "arfcn", told, 0, ranges.MAX_ARFCN, whole=True),
        bounded("timing_advance"),
        c.within(of("signal_dbm"), "signal_dbm", told, ranges.MIN_SIGNAL_DBM, ranges.MAX_SIGNAL_DBM),
        c.within(of("quality_db"), "quality_db", told, ranges.MIN_QUALITY_DB, ranges.MAX_QUALITY_DB),
    )


def _neighbours(column: pa.Array | None, n: int, told: Refusals) -> tuple[Ints, Cells | None]:
    """The neighbours of all rows; those that name no cell, and those beyond the most that a scan may have, are left."""
    if column is None:
        return np.zeros(n, np.int64), None
    counts, items = c.lists(column, "neighbours", told)
    if items is None or not len(items):
        return np.zeros(n, np.int64), None
    row = np.repeat(np.arange(n), counts)
    inner = Refusals()
    fields = {f.name: c.plain(v) for f, v in zip(items.type, items.flatten(), strict=True)}
    cells = _cells(fields, len(items), inner)
    told.found += [(int(row[i]), f"neighbours.{name}", why, shown) for i, name, why, shown in inner.found]
    keep = cells.given()
    nth = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]
    beyond = keep & (nth >= ranges.MAX_NEIGHBOURS)
    if beyond.any():
        over = np.zeros(n, bool)
        over[row[beyond]] = True
        told.add(over, "neighbours", f"are more than {ranges.MAX_NEIGHBOURS}", pa.array(counts))
        keep &= ~beyond
    kept = Cells(*(getattr(cells, f)[keep] for f in Cells.__dataclass_fields__))
    return np.bincount(row[keep], minlength=n).astype(np.int64), kept


def _called_from(column: pa.Array | None, told: Refusals) -> list[str | None] | None:
    """Calling numbers; whole numbers have lost their plus. None when no row has one."""
    if column is None or column.null_count == len(column):
        return None
    whole = c.is_number(column.type)
    column = c.texts(column.cast(pa.int64(), safe=False) if whole else column)
    found: list[str | None] = column.to_pylist()
    if whole:
        found = [None if x is None else f"+{x}" for x in found]
    wrong = np.array([x is not None and len(x) > ranges.MAX_DIALLED for x in found])
    if wrong.any():
        told.add(wrong, "calling_number", f"is longer than {ranges.MAX_DIALLED} characters", column)
        found = [None if w else x for x, w in zip(found, wrong.tolist(), strict=True)]
    return found


def _messages(column: pa.Array | None, told: Refusals) -> list[str | None] | None:
    """Raw AML messages as text; None when no row has one."""
    if column is None or column.null_count == len(column):
        return None
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        found = [None if x is None else x.decode("utf-8", "replace") for x in column.to_pylist()]
    else:
        found = c.texts(column).to_pylist()
    wrong = np.array([x is not None and len(x.encode()) > ranges.MAX_RAW_BYTES for x in found])
    if wrong.any():
        told.add(wrong, "aml", f"is longer than {ranges.MAX_RAW_BYTES} bytes", column)
        found = [None if w else x for x, w in zip(found, wrong.tolist(), strict=True)]
    return found if any(x is not None for x in found) else None
