"""A Spark session that says nothing, and whose errors are ours."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

import locsvc
from locsvc import errors
from locsvc.errors import BadData, ConfigError, LocsvcError, Unavailable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What Spark is told unless the user says otherwise.
_DEFAULTS = {
    "spark.app.name": "locsvc batch",
    "spark.log.level": "ERROR",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    # Rows of a batch that goes to a task: as many as a part of the local engine has.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "8192",
}
# Partitions are counted out by us, and may not be put together by Spark.
_OURS = {"spark.sql.adaptive.enabled": "false", "spark.sql.execution.arrow.pyspark.enabled": "true"}
_LOCAL = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
_POLL_S = 0.5


@contextlib.contextmanager
def session(master: str | None, executors: int | None, conf: Mapping[str, str]) -> Iterator[SparkSession]:
    """A session; it is stopped at the end unless somebody else had it before.

    Raises
    ------
    ConfigError
        pyspark or Java is missing, or Spark does not start.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise ConfigError(f"--engine spark needs {error.name}: install it with `pip install 'locsvc[spark]'`") from None
    before = SparkSession.getActiveSession()
    if before is not None:
        yield before
        return
    _check_java()
    local = (master or conf.get("spark.master", "")).startswith("local")
    builder = SparkSession.builder
    for name, value in (_settings(local=local, executors=executors) | dict(conf) | _OURS).items():
        builder = builder.config(name, value)
    if master is not None:
        builder = builder.master(master)
    with tempfile.TemporaryFile() as said, _quiet():
        # Of the two ways to name the executors' Python, this one is read when a session starts from Python.
        os.environ.setdefault("PYSPARK_PYTHON", conf.get("spark.pyspark.python", sys.executable))
        try:
            with _stderr_in(said):
                spark = builder.getOrCreate()
        except (PySparkException, Exception) as error:  # noqa: BLE001 - py4j's own are among them
            raise ConfigError(f"Spark does not start ({_reason(said, error)}); see --master and --conf") from None
        try:
            yield spark
        finally:
            with contextlib.suppress(Exception), _stderr_in(said):
                left = _work_of(spark)
                spark.stop()
                if left is not None:
                    shutil.rmtree(left, ignore_errors=True)


def _work_of(spark: SparkSession) -> Path | None:
    """Where executors of a cluster within this machine leave their logs, and what was sent to them."""
    if not str(spark.sparkContext.master).startswith("local-cluster"):
        return None
    from pyspark.find_spark_home import _find_spark_home

    return Path(_find_spark_home()) / "work" / str(spark.sparkContext.applicationId)


def _settings(*, local: bool, executors: int | None) -> dict[str, str]:
    settings = dict(_DEFAULTS)
    if local:
        package = str(Path(locsvc.__file__).resolve().parent.parent)
        path = os.pathsep.join(p for p in (package, os.environ.get("PYTHONPATH")) if p)
        settings |= _LOCAL | {"spark.executorEnv.PYTHONPATH": path}
    if executors is not None:
        settings["spark.executor.instances"] = str(executors)
    return settings


def _check_java() -> None:
    """Raises `ConfigError` when there is none."""
    home = os.environ.get("JAVA_HOME")
    if not (shutil.which("java") or (home and (Path(home) / "bin" / "java").exists())):
        raise ConfigError(
            "Spark needs Java 17 or newer, and there is none: install it (Debian: `apt-get install"
            " openjdk-17-jre-headless`), or name it in JAVA_HOME"
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """While py4j does not tell of each socket that Ctrl-C or a lost process closes: it does so on the root logger."""

    def others(record: logging.LogRecord) -> bool:
        return "py4j" not in record.pathname

    root, own = logging.getLogger(), logging.getLogger("py4j")
    level = own.level
    root.addFilter(others)
    own.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        root.removeFilter(others)
        own.setLevel(level)


@contextlib.contextmanager
def _stderr_in(said: IO[bytes]) -> Iterator[None]:
    """What processes that are started meanwhile say on stderr, then and later, goes to a file.

    Java warns of modules and addresses before any setting reaches it.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(said.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _reason(said: IO[bytes], error: BaseException) -> str:
    """Why Java or Spark did not start, in a line: what it said, without what it always says."""
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").splitlines()
    wrong = [x.strip() for x in lines if "Exception" in x or "Error" in x]
    return (wrong or [_first_line(error)])[0][:300]


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


_OURS_RAISED = re.compile(r"locsvc\.errors\.(\w+): (.*)")
_RAISED = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception|Interrupt)): (.*)$", re.MULTILINE)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Errors of Spark become ours: one that a task raised on purpose is raised again.

    Raises
    ------
    LocsvcError
        As in the task.
    BadData
        Spark finds nothing to read.
    Unavailable
        Anything else went wrong there, or executors were lost.
    ConfigError
        Spark cannot do what it was asked to, such as writing where something is already.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import AnalysisException, PySparkException

    try:
        yield
    except AnalysisException as error:
        why = _first_line(error)[:400]
        unread = why.startswith(("[PATH_NOT_FOUND", "[UNABLE_TO_INFER_SCHEMA"))
        raise BadData(f"Spark: {why}") if unread else ConfigError(f"Spark: {why}") from None
    except (PySparkException, Py4JError) as error:
        raise error_of(str(error)) from None


def error_of(text: str) -> LocsvcError:
    r"""The error that a task's failure tells of.

    >>> error_of("... Traceback ...\nlocsvc.errors.BadData: a.csv has changed\n")
    BadData('a.csv has changed')
    >>> error_of("x\nValueError: no\n  at y.Z")
    Unavailable('a Spark task failed: ValueError: no')
    """
    ours = _OURS_RAISED.search(text)
    kind = getattr(errors, ours[1], None) if ours else None
    if ours and isinstance(kind, type) and issubclass(kind, LocsvcError) and kind is not errors.InvalidInput:
        return kind(ours[2].strip())
    found = _RAISED.findall(text)
    lost = re.search(r"ExecutorLostFailure[^\n]*Reason: ([^\n]*)", text)
    why = f"an executor was lost: {lost[1]}" if lost else ": ".join(found[0]) if found else text.strip()[:300]
    return Unavailable(f"a Spark task failed: {why[:400]}")


@contextlib.contextmanager
def shown(spark: SparkSession, rows: int, progress: Callable[[int, float | None], None] | None) -> Iterator[None]:
    """Tells `progress` of the tasks that are done, as a share of the rows, while Spark is at work."""
    if progress is None:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        tracker = spark.sparkContext.statusTracker()
        while not over.wait(_POLL_S):
            with contextlib.suppress(Exception):
                jobs = [tracker.getJobInfo(i) for i in tracker.getActiveJobsIds()]
                # What comes before the last stage of a job are names and numbers: that is soon done.
                last = max((i for job in jobs if job for i in job.stageIds), default=None)
                stage = None if last is None else tracker.getStageInfo(last)
                if stage is not None and stage.numTasks:
                    share = stage.numCompletedTasks / stage.numTasks
                    progress(round(rows * share), share)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
