"""From and to URLs: Spark reads and writes the rows, which go through its shuffle by the names of their calls.

Row numbers come from Parquet's own row index, or from the lines of each piece of a text, by files in the order of
their names. Columns have Spark's types on the way: cells of a region are signed, unsigned numbers and nanoseconds of
the input are what Spark makes of them.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from locsvc.batch.spark import rows as r
from locsvc.batch.spark import session
from locsvc.batch.tally import Tally
from locsvc.errors import BadData, ConfigError
from locsvc.tables.form import ROW, check_mapping, output_schema, renamed
from locsvc.tables.inputs import format_of
from locsvc.tables.json_lines import holds_calls, joined
from locsvc.tables.text import BOM

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from locsvc.batch.spark.engine import SparkJob
    from locsvc.batch.work import Orders

Progress = Callable[[int, float | None], None]

# Rows of an output file, nearly.
_FILE_ROWS = 500_000


def run_frames(spark: SparkSession, job: SparkJob, orders: Orders, progress: Progress | None) -> Tally:
    """Answers what Spark can read and writes where Spark can write.

    Raises
    ------
    BadData
        The input cannot be read.
    ConfigError
        Spark cannot do what is asked.
    Unavailable
        A task failed.
    """
    if job.form == "geoparquet":
        raise ConfigError("geoparquet is written to paths, not to URLs: Spark cannot write its footer; give parquet")
    # Pieces of a text must be the same each time that they are read, whatever executors have come or gone.
    spark.conf.set("spark.sql.files.minPartitionNum", str(2 * spark.sparkContext.defaultParallelism))
    spark.conf.set("spark.sql.caseSensitive", "true")
    with session.told():
        numbered, count, read = _numbered(spark, job)
        files = max(spark.sparkContext.defaultParallelism, count // _FILE_ROWS + 1)
        spark.conf.set("spark.sql.shuffle.partitions", str(files))
        schema = output_schema(read.schema)
        fields = _spark_types(r.carried(schema.append(pa.field(ROW, pa.int64())).append(r.TALLY)))
        answer = partial(r.answer_rows, read, orders, shipped=job.ship)
        if "call_id" in read.schema.names:
            rows = _spark_types(r.carried(r.travelling(read.schema)))
            by_call = numbered.mapInArrow(partial(r.rows_of, read), rows).repartition(files, r.ID)
            answers = by_call.sortWithinPartitions(r.ID, ROW).mapInArrow(answer, fields)
        else:
            answers = numbered.mapInArrow(answer, fields)
        return _finished(spark, answers, count, job, schema, progress)


def _finished(
    spark: SparkSession, answers: DataFrame, count: int, job: SparkJob, schema: pa.Schema, progress: Progress | None
) -> Tally:
    """Answers computed once, counted, put in the input's order and written."""
    from pyspark import StorageLevel

    answers = answers.persist(StorageLevel.DISK_ONLY)
    try:
        total = Tally()
        with session.shown(spark, count, progress):
            tallies = answers.select(r.TALLY.name).where(f"{r.TALLY.name} is not null")
            for row in tallies.mapInArrow(r.merged, f"{r.TALLY.name} string").collect():
                total.add(Tally.from_json(json.loads(row[0])))
        _write(answers.drop(r.TALLY.name).sort(ROW).drop(ROW), job, schema)
    finally:
        answers.unpersist()
    return total


def _write(answers: DataFrame, job: SparkJob, schema: pa.Schema) -> None:
    place = _place(job.target)
    if job.form == "parquet":
        answers.write.parquet(place, compression="zstd")
        return
    lines = answers.mapInArrow(partial(r.lines_of, r.restored(schema), job.form), "value string")
    lines.write.text(place, compression="gzip" if job.target.rstrip("/").endswith(".gz") else "none")


def _place(path: str) -> str:
    """A URL; a path is of the file system that driver and executors see."""
    from locsvc.batch.spark.engine import is_url

    return path if is_url(path) else Path(path).resolve().as_uri()


def _spark_types(schema: pa.Schema) -> StructType:
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def _numbered(spark: SparkSession, job: SparkJob) -> tuple[DataFrame, int, r.Read]:
    """Rows as Spark reads them with what tells their numbers, how many there are, and how they become ours."""
    form = job.input_format or format_of(Path(job.source.rstrip("/")))
    place = _place(job.source)
    if form is None:
        raise BadData(f"{job.source}: the name tells no format; give --input-format parquet|csv|jsonl")
    return _parquet(spark, place, job) if form == "parquet" else _text(spark, place, form, job)


def _parquet(spark: SparkSession, place: str, job: SparkJob) -> tuple[DataFrame, int, r.Read]:
    from pyspark.sql import functions as f
    from pyspark.sql.pandas.types import to_arrow_schema

    found = spark.read.parquet(place)
    check_mapping(job.mapping, found.columns)
    names = renamed(found.columns, job.mapping)
    schema = pa.schema([x.with_name(n) for x, n in zip(to_arrow_schema(found.schema), names, strict=True)])
    path, index = f.col("_metadata.file_path").alias("file"), f.col("_metadata.row_index").alias("nth")
    sizes = found.select(path, index).groupBy("file").agg((f.max("nth") + 1).alias("rows")).collect()
    starts, count = _starts({(x.file, 0): x.rows for x in sizes})
    columns = [f.col("`" + n.replace("`", "``") + "`") for n in found.columns]
    return found.select(path, index, *columns), count, r.Read(schema, starts, None)


def _text(spark: SparkSession, place: str, form: str, job: SparkJob) -> tuple[DataFrame, int, r.Read]:
    from pyspark.sql import functions as f

    found = spark.read.text(place, lineSep="\n")
    files = sorted(found.inputFiles())
    if not files:
        raise BadData(f"{job.source} is empty")
    # A line that is no row: the readers of files leave it out too.
    given = ~f.col("value").rlike(r"^\r?$" if form == "csv" else r"^\s*$")
    head = spark.read.text(files[0], lineSep="\n")
    text = "\n".join(x.value for x in (head if form == "csv" else head.where(given)).limit(1).collect()) + "\n"
    path, start = f.col("_metadata.file_path").alias("file"), f.col("_metadata.file_block_start").alias("nth")
    columns = None
    if form == "jsonl" and not holds_calls(text.encode("utf-8", "surrogateescape").removeprefix(BOM)):
        columns = _columns(found.where(given).select(path, start, "value"))
    kept = r.Text(form, text, tuple(job.mapping.items()), columns)
    with tempfile.TemporaryDirectory(prefix="locsvc-") as folder, closing(kept.reader(Path(folder))) as reader:
        schema = reader.schema
    if form == "jsonl" or len(schema) > 2:
        found = found.where(given)
    pieces = found.select(path, start).groupBy("file", "nth").count().collect()
    header = 1 if form == "csv" else 0
    starts, count = _starts({(x.file, x.nth): x["count"] - (header if x.nth == 0 else 0) for x in pieces})
    return found.select(path, start, "value"), count, r.Read(r.carried(schema), starts, kept)


def _columns(lines: DataFrame) -> pa.Schema:
    """The columns of all lines of JSON, wherever they begin, by files and places in order."""
    found = lines.mapInArrow(r.columns_in, _spark_types(r.COLUMNS)).collect()
    pieces: dict[tuple[str, int], pa.Schema] = {}
    for row in found:
        pieces[row.file, row.nth] = pa.ipc.read_schema(pa.py_buffer(bytes(row["columns"])))
    return joined(pieces[place] for place in sorted(pieces))


def _starts(rows: dict[tuple[str, int], Any]) -> tuple[dict[tuple[str, int], int], int]:
    """The number of the first row of each piece, by files and places in order, and how many rows there are.

    >>> _starts({("b", 0): 2, ("a", 0): 3})
    ({('a', 0): 1, ('b', 0): 4}, 5)
    """
    starts, first = {}, 1
    for piece in sorted(rows):
        starts[piece] = first
        first += int(rows[piece])
    return starts, first - 1
