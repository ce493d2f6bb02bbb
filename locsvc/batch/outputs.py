"""Answers as bytes of a part, and parts as one file: Parquet, GeoParquet, CSV, JSON Lines."""

from __future__ import annotations

import gzip
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Final, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from locsvc.errors import ConfigError

FORMATS: Final = ("parquet", "geoparquet", "csv", "jsonl")
_COMPRESSION = "zstd"


def format_of(path: Path) -> str | None:
    """The format that an output's name tells; None when it tells none.

    >>> format_of(Path("a.parquet")), format_of(Path("a.csv.gz")), format_of(Path("a"))
    ('parquet', 'csv', None)
    """
    suffixes = [s.lower() for s in path.suffixes if s.lower() != ".gz"]
    last = suffixes[-1] if suffixes else ""
    names = {".parquet": "parquet", ".pq": "parquet", ".geoparquet": "geoparquet", ".csv": "csv"}
    return (names | dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl")).get(last)


def part_bytes(batch: pa.RecordBatch, form: str) -> bytes:
    """A part of the output in its format: text without a header, or a Parquet file of its own."""
    if form == "csv":
        sink = io.BytesIO()
        arrow_csv.write_csv(_flat(batch), sink, arrow_csv.WriteOptions(include_header=False))
        return sink.getvalue()
    if form == "jsonl":
        return _json_lines(batch)
    if form == "geoparquet":
        batch = with_geometry(batch)
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_batches([batch]), sink, compression=_COMPRESSION)
    return sink.getvalue()


def header_bytes(schema: pa.Schema, form: str) -> bytes:
    """What stands before the first part of a text."""
    if form != "csv":
        return b""
    sink = io.BytesIO()
    arrow_csv.write_csv(_flat(pa.RecordBatch.from_pylist([], schema)), sink)
    return sink.getvalue()


def _flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with lists and structs as JSON text, and times as RFC 3339."""
    columns = [_flat_column(c) for c in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _flat_column(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_list(kind) and pa.types.is_integer(kind.value_type):
        joined = pc.binary_join(column.cast(pa.list_(pa.string())), ",")
        return pc.binary_join_element_wise("[", joined, "]", "")
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return pa.array([None if v is None else json.dumps(v, default=str) for v in column.to_pylist()], pa.string())
    if pa.types.is_timestamp(kind):
        return _rfc3339(column)
    return column.cast(pa.string()) if pa.types.is_null(kind) else column


def _rfc3339(column: pa.Array) -> pa.Array:
    """Timestamps as text in UTC; those without a zone are in UTC, as everywhere here."""
    plain = pa.timestamp(column.type.unit, "UTC")
    try:
        return pc.strftime(column.cast(plain), "%Y-%m-%dT%H:%M:%SZ")
    except (pa.ArrowInvalid, OSError):
        return column.cast(pa.string())


def _json_lines(batch: pa.RecordBatch) -> bytes:
    """One object a line; H3 cells are texts, as 64-bit numbers are in the JSON of the contract."""
    columns = []
    for column in batch.columns:
        kind = column.type
        if pa.types.is_list(kind) and pa.types.is_uint64(kind.value_type):
            columns.append(column.cast(pa.list_(pa.string())))
        else:
            columns.append(_rfc3339(column) if pa.types.is_timestamp(kind) else column)
    names = batch.schema.names
    rows = zip(*(c.to_pylist() for c in columns), strict=True)
    lines = [
        json.dumps({n: v for n, v in zip(names, row, strict=True) if v is not None}, ensure_ascii=False, default=str)
        for row in rows
    ]
    return ("\n".join(lines) + "\n").encode() if lines else b""


def with_geometry(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with the positions as well-known binary, longitude before latitude.

    References
    ----------
    GeoParquet 1.1.0; OGC 06-103r4 clause 8.2 (point: byte order 1, type 1, x, y).
    """
    lat, lng = batch.column("latitude_deg"), batch.column("longitude_deg")
    n = len(batch)
    points = np.zeros(n, np.dtype([("order", "u1"), ("type", "<u4"), ("x", "<f8"), ("y", "<f8")]))
    points["order"], points["type"] = 1, 1
    points["x"], points["y"] = (c.to_numpy(zero_copy_only=False) for c in (lng, lat))
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(21), n, [None, pa.py_buffer(points.tobytes())])
    shown = pc.if_else(lat.is_valid(), fixed.cast(pa.binary()), pa.scalar(None, pa.binary()))
    return batch.append_column("geometry", shown)


def _geo_metadata(box: list[float] | None) -> bytes:
    column: dict[str, object] = {"encoding": "WKB", "geometry_types": ["Point"]}
    if box is not None:
        column["bbox"] = box
    return json.dumps({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}).encode()


def join_parts(parts: Iterable[Path], target: Path, schema: pa.Schema, form: str) -> None:
    """One file of all parts, on the disk before it gets its name.

    Raises
    ------
    OSError
        It cannot be written.
    """
    draft = target.with_name(f"{target.name}.whole")
    with draft.open("wb") as out:
        if form in {"csv", "jsonl"}:
            _join_texts(parts, out, header_bytes(schema, form), packed=target.suffix == ".gz")
        else:
            _join_parquet(parts, out, schema, form)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(target)
    sync_directory(target.parent)


def _join_texts(parts: Iterable[Path], out: IO[bytes], header: bytes, *, packed: bool) -> None:
    sink = cast("IO[bytes]", gzip.GzipFile("", "wb", 6, out, mtime=0)) if packed else out
    sink.write(header)
    for part in parts:
        sink.write(part.read_bytes())
    if packed:
        sink.close()


def _join_parquet(parts: Iterable[Path], out: IO[bytes], schema: pa.Schema, form: str) -> None:
    """Parts as row groups; GeoParquet's bounds are known at the end and go into the footer."""
    if form == "geoparquet":
        schema = schema.append(pa.field("geometry", pa.binary()))
    box = _Box()
    with pq.ParquetWriter(out, schema, compression=_COMPRESSION) as writer:
        for part in parts:
            table = pq.ParquetFile(part).read(use_threads=False).cast(schema)
            if form == "geoparquet":
                box.add(table)
            writer.write_table(table)
        if form == "geoparquet":
            writer.add_key_value_metadata({"geo": _geo_metadata(box.corners())})


class _Box:
    """The bounds of all positions: west, south, east, north."""

    def __init__(self) -> None:
        self._lists: tuple[list[float], list[float]] = ([], [])

    def add(self, table: pa.Table) -> None:
        for held, name in zip(self._lists, ("longitude_deg", "latitude_deg"), strict=True):
            found = pc.min_max(table.column(name)).as_py()
            held += [v for v in found.values() if v is not None]
            held[:] = [min(held), max(held)] if held else []

    def corners(self) -> list[float] | None:
        lng, lat = self._lists
        return [lng[0], lat[0], lng[1], lat[1]] if lng and lat else None


def sync_directory(directory: Path) -> None:
    """Make sure that names in a directory survive a loss of power."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def writer_format(path: Path, form: str | None) -> str:
    """The format of an output.

    Raises
    ------
    ConfigError
        The name tells none, or stdout cannot take it.
    """
    standard = str(path) == "-"
    chosen = form or ("csv" if standard else format_of(path))
    if chosen is None:
        raise ConfigError(f"{path}: the name tells no format; give --format {'|'.join(FORMATS)}")
    if standard and chosen in {"parquet", "geoparquet"}:
        raise ConfigError(f"{chosen} cannot go to stdout: give a file's name, or --format csv or jsonl")
    return chosen
