"""From files to files that driver and executors see: tasks read and write them, and Spark carries numbers alone."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from locsvc.batch.outputs import join_parts
from locsvc.batch.spark import grouping, session, tasks
from locsvc.batch.spark.tasks import Errand
from locsvc.batch.spark.units import Ints, Plan, Tables, plan_of, tables_in
from locsvc.batch.tally import Tally
from locsvc.errors import BadData, ConfigError
from locsvc.tables.form import output_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

    from locsvc.batch.spark.engine import SparkJob
    from locsvc.batch.work import Orders

# Tasks of a stage at most: what each reports comes to the driver.
_MOST_TASKS = 4_096
# Names and numbers that one task sorts.
_SORTED_ROWS = 1_000_000

Progress = Callable[[int, float | None], None]


def run_files(spark: SparkSession, job: SparkJob, orders: Orders, progress: Progress | None) -> Tally:
    """Answers the files of an input; the output appears under its name when it is whole.

    Raises
    ------
    BadData
        The input cannot be read.
    ConfigError
        The output cannot be written.
    Unavailable
        A task failed.
    """
    # Executors stand elsewhere.
    target = Path(job.target).resolve()
    folder = target.with_name(f"{target.name}.spark")
    try:
        folder.mkdir()
    except FileExistsError:
        raise ConfigError(f"{folder} is there: of another run that is at work, or was killed; remove it") from None
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        return _run(spark, job, orders, folder, progress)
    except OSError as error:
        raise ConfigError(f"{job.target} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(spark: SparkSession, job: SparkJob, orders: Orders, folder: Path, progress: Progress | None) -> Tally:
    tables = _unpacked(tables_in(Path(job.source), job.input_format, job.mapping), folder)
    plan, schema = plan_of(tables)
    with session.told():
        plan = _counted(spark, plan)
        parts = folder / "parts"
        parts.mkdir()
        errand = Errand(plan, schema, orders, job.ship, parts, job.is_directory)
        rows = int(plan.firsts()[-1]) - 1
        with session.shown(spark, rows, progress):
            written = _written(spark, errand)
    total = Tally()
    for row in written:
        total.add(Tally.from_json(json.loads(row.tally)))
    _publish(errand, Path(job.target).resolve(), sum(row.parts for row in written))
    return total


def _unpacked(tables: Tables, folder: Path) -> Tables:
    """The tables with packed texts unpacked, as those can be read from their beginning only."""
    if tables.form == "parquet":
        return tables
    files = []
    for number, name in enumerate(tables.files):
        path = Path(name)
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        if packed:
            path = folder / f"input-{number}"
            try:
                with gzip.open(name) as source, path.open("wb") as plain:
                    shutil.copyfileobj(source, plain, 1 << 20)
            except (gzip.BadGzipFile, EOFError) as error:
                raise BadData(f"{name} cannot be read: {error}") from None
        files.append(path)
    return tables.moved(files)


def _numbers(spark: SparkSession, plan: Plan) -> DataFrame:
    """The numbers of all units, those that follow each other in one task."""
    return spark.range(0, len(plan), 1, min(len(plan), _MOST_TASKS) or 1)


def _counted(spark: SparkSession, plan: Plan) -> Plan:
    """The plan with the rows of all units."""
    if plan.counted:
        return plan
    found = _numbers(spark, plan).mapInArrow(partial(tasks.count_rows, plan), "unit long, rows long").collect()
    rows = np.zeros(len(plan), np.int64)
    rows[[r.unit for r in found]] = [r.rows for r in found]
    return plan.with_rows(rows)


def _written(spark: SparkSession, errand: Errand) -> list[Row]:
    """What the tasks have written."""
    units = _numbers(spark, errand.plan)
    if "call_id" in errand.schema.names and len(errand.plan):
        units = _with_calls(spark, errand.plan, units)
    answers = units.mapInArrow(partial(tasks.answer_units, errand), "parts long, tally string")
    return answers.collect()


def _with_calls(spark: SparkSession, plan: Plan, units: DataFrame) -> DataFrame:
    """The units, each with what it must know of calls that have several rows."""
    tasks_of = units.rdd.getNumPartitions()
    keys = keys_of(spark, tasks_of)[np.arange(len(plan)) * tasks_of // len(plan)]
    firsts = plan.firsts()
    told = "key long, unit long, last long, row long"
    named = units.mapInArrow(partial(grouping.named_rows, plan), "id string, row long")
    sorted_by = max(spark.sparkContext.defaultParallelism, int(firsts[-1]) // _SORTED_ROWS + 1)
    several = (
        named.repartition(sorted_by, "id")
        .sortWithinPartitions("id", "row")
        .mapInArrow(partial(grouping.told_rows, firsts, keys), told)
    )
    themselves = units.mapInArrow(partial(grouping.themselves, keys), told)
    return several.unionAll(themselves).repartition(tasks_of, "key").sortWithinPartitions("unit", "last", "row")


def keys_of(spark: SparkSession, partitions: int) -> Ints:
    """A number for each partition that Spark's hash brings to it, (partitions,) int64.

    Spark offers ranges as well, but would run all that comes before twice to sample them.
    """
    from pyspark.sql import functions as f

    keys = np.full(partitions, -1, np.int64)
    start = 0
    while (keys < 0).any():
        drawn = spark.range(start, start + 20 * partitions, 1, 1)
        rows = drawn.select("id", f.pmod(f.hash("id"), f.lit(partitions)).alias("place")).collect()
        keys[[r.place for r in rows]] = [r.id for r in rows]
        start += 20 * partitions
    return keys


def _publish(errand: Errand, target: Path, count: int) -> None:
    """Parts become the output, under its name."""
    parts = sorted(errand.folder.glob("part-*"))
    if len(parts) != count:
        raise ConfigError(
            f"{errand.folder} has {len(parts)} parts of {count}: executors write elsewhere; the output's path must be"
            " the same place for driver and executors, or a URL"
        )
    schema, form = output_schema(errand.schema), errand.orders.form
    if not errand.whole:
        join_parts(iter(parts), target, schema, form)
        return
    if not parts:
        suffix = {"csv": ".csv", "jsonl": ".jsonl"}.get(form, ".parquet")
        join_parts(iter(()), errand.folder / f"part-00000000-0000{suffix}", schema, form)
    for hidden in errand.folder.glob(".*"):
        hidden.unlink()
    (errand.folder / "_SUCCESS").touch()
    errand.folder.rename(target)
