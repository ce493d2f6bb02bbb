"""`locsvc batch --engine spark`: what to run, and which way."""

from __future__ import annotations

import contextlib
import re
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from locsvc.batch.engine import Progress, Run
from locsvc.batch.outputs import format_of
from locsvc.batch.spark import session
from locsvc.batch.spark.tasks import SHIPPED
from locsvc.batch.work import Orders
from locsvc.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class SparkJob:
    """What to run.

    `source` and `target` are paths that driver and executors see, or URLs; `data` is one that they see too, or is
    shipped to them (`ship`).
    """

    source: str
    target: str
    data: Path | None = None
    confidence: float = 0.9
    input_format: str | None = None
    output_format: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    master: str | None = None
    executors: int | None = None
    conf: Mapping[str, str] = field(default_factory=dict)
    ship: bool = False

    @property
    def is_directory(self) -> bool:
        """Whether the output is a directory of parts: a URL, a name that ends in a slash, or one without a form."""
        by_spark = is_url(self.source) or is_url(self.target)
        return by_spark or self.target.endswith("/") or format_of(Path(self.target)) is None

    @property
    def form(self) -> str:
        """The output's format: as told, as its name tells, else Parquet."""
        return self.output_format or format_of(Path(self.target.rstrip("/"))) or "parquet"


def is_url(path: str) -> bool:
    """Whether Spark has to read or write this.

    >>> is_url("s3a://bucket/calls"), is_url("calls.csv"), is_url("/data/calls")
    (True, False, False)
    """
    return _URL.match(path) is not None


def run(job: SparkJob, progress: Progress | None = None) -> Run:
    """Answers all calls of a table.

    Raises
    ------
    BadData
        The input cannot be read.
    ConfigError
        The output cannot be written, Spark cannot be started, or it cannot do what is asked.
    DatasetError
        The reference data is missing or damaged.
    Unavailable
        A task failed, again and again.
    """
    began_s = time.monotonic()
    _check(job)
    snapshot_id = _snapshot(job.data)
    data = job.data if job.data is None or job.ship else job.data.resolve()
    orders = Orders(data, snapshot_id, job.confidence, job.form)
    with session.session(job.master, job.executors, job.conf) as spark, _shipped(spark, job):
        if is_url(job.source) or is_url(job.target):
            from locsvc.batch.spark.frames import run_frames

            tally = run_frames(spark, job, orders, progress)
        else:
            from locsvc.batch.spark.files import run_files

            tally = run_files(spark, job, orders, progress)
        return Run(tally, snapshot_id, time.monotonic() - began_s, 0)


def _check(job: SparkJob) -> None:
    """Raises `ConfigError` for what this engine cannot do."""
    if "-" in {job.source, job.target}:
        raise ConfigError(
            "--engine spark reads and writes files, directories and URLs; stdin and stdout are --engine local's"
        )
    if job.ship and job.data is None:
        raise ConfigError("--ship-data needs a data directory (--data DIR or LOCSVC_DATA)")
    if job.is_directory and not is_url(job.target) and Path(job.target).exists():
        raise ConfigError(f"{job.target} is there already: remove it, or give the output another name")


def _snapshot(data: Path | None) -> str:
    """The snapshot in force, every byte of it compared with its checksum."""
    if data is None:
        return ""
    from locsvc.reference.store import Reference

    return Reference.open(data).snapshot_id


@contextlib.contextmanager
def _shipped(spark: SparkSession, job: SparkJob) -> Iterator[None]:
    """While the snapshot in force is offered to all executors, as an archive that Spark unpacks there."""
    if not job.ship or job.data is None:
        yield
        return
    from locsvc.reference.snapshot import CURRENT, SNAPSHOTS, current_id
    from locsvc.reference.store import CALIBRATION_FILE

    with tempfile.TemporaryDirectory(prefix="locsvc-ship-") as folder:
        packed = Path(folder) / "data.tar"
        with tarfile.open(packed, "w") as archive:
            for name in (CURRENT, f"{SNAPSHOTS}/{current_id(job.data)}", CALIBRATION_FILE):
                if (job.data / name).exists():
                    archive.add(job.data / name, name)
        # Spark serves the file itself, not a copy, as executors ask for it.
        spark.sparkContext.addArchive(f"{packed}#{SHIPPED}")
        yield
