"""`locsvc batch`: many calls from a table to a table."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from locsvc.cli import output, tables
from locsvc.cli.manners import Command
from locsvc.cli.options import CONFIDENCE, FILE, NEW_FILE, Common, common_options

if TYPE_CHECKING:
    from locsvc.batch.engine import Job, Progress, Run
    from locsvc.batch.spark.engine import SparkJob

_EXAMPLES = """\
locsvc batch calls.parquet answers.parquet --data mydata
locsvc batch calls.csv.gz answers.csv --map lat=latitude --map lon=longitude --map CellID=cell
locsvc batch calls.jsonl answers.geoparquet --report report.html
locsvc batch calls.parquet answers.parquet --resume          # go on where it was stopped
zcat calls.csv.gz | locsvc batch - - --format jsonl > answers.jsonl
locsvc batch calls.parquet answers/ --engine spark --master local-cluster[2,1,1024]"""
_MOST_PACES = 1_000
_FORMATS_OUT = ("parquet", "geoparquet", "csv", "jsonl")


@click.command(
    cls=Command,
    examples=_EXAMPLES,
    epilog="Exit codes: 0 done, rejected rows or not, 2 wrong use, 65 the input cannot be read, 66 reference data"
    " missing or damaged, 69 a process was killed or a Spark task failed, 78 the output cannot be written or Spark does"
    " not start, 130 interrupted.",
)
@click.argument("source", metavar="IN", type=click.Path(allow_dash=True))
@click.argument("target", metavar="OUT", type=click.Path(allow_dash=True))
@click.option("--map", "mapped", metavar="THEIRS=OURS", multiple=True, help="A column of IN is one of ours.")
@click.option("--profile", metavar="FILE.toml", type=FILE, help="Saved column names and settings; options go first.")
@click.option("--confidence", type=CONFIDENCE, help="Of the answers, 0.5 to 0.999.  [default: 0.9]")
@click.option("--input-format", type=click.Choice(tables.FORMATS_IN), help="Form of IN; else by its name, or CSV.")
@click.option("--format", "form", type=click.Choice(_FORMATS_OUT), help="Form of OUT; else by its name, stdout is CSV.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: as many as processors]")
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped, without repeating what is done.")
@click.option("--engine", type=click.Choice(("local", "spark")), default="local", show_default=True, help="Who works.")
@click.option("--master", metavar="URL", help="Spark: its master.  [default: as Spark is set up, else local[*]]")
@click.option("--executors", type=click.IntRange(1), help="Spark: how many executors to ask for.")
@click.option("--conf", metavar="NAME=VALUE", multiple=True, help="Spark: a setting, as spark.executor.memory=4g.")
@click.option("--ship-data", "ship", is_flag=True, help="Spark: send the data directory to executors without a share.")
@click.option("--summary", metavar="FILE.json", type=NEW_FILE, help="Write the summary as JSON.")
@click.option("--report", metavar="FILE.html", type=NEW_FILE, help="Write the summary as a page with plots and a map.")
@common_options
@click.pass_obj
def batch(  # noqa: PLR0913, PLR0917 - one parameter an option
    common: Common,
    source: str,
    target: str,
    mapped: tuple[str, ...],
    profile: Path | None,
    confidence: float | None,
    input_format: str | None,
    form: str | None,
    workers: int | None,
    resume: bool,
    engine: str,
    master: str | None,
    executors: int | None,
    conf: tuple[str, ...],
    ship: bool,
    summary: Path | None,
    report: Path | None,
) -> None:
    """Locate the calls of a table: Parquet, CSV (also gz) or JSON Lines.

    Rows with one call_id are one call. OUT has a row for each call: result columns, and the columns of IN that are no
    evidence. A row that cannot be read says so in its outcome and warnings, and stops nothing.
    """
    if engine == "spark" and (workers or resume):
        raise click.UsageError("--workers and --resume are for --engine local; Spark has --executors, and begins anew")
    if engine == "local" and (master or executors or conf or ship):
        raise click.UsageError("--master, --executors, --conf and --ship-data are for --engine spark")
    for path in (summary, report):
        _check_folder(path)
    try:
        from locsvc.batch.engine import Job, is_whole
        from locsvc.tables.profile import Profile, read_profile
    except ModuleNotFoundError as error:
        raise tables.without_arrow(error, "batch") from None
    saved = Profile() if profile is None else read_profile(profile)
    data = common.data_directory()
    if data is None:
        output.talk("locsvc: no data directory (--data DIR or LOCSVC_DATA): cells and lines cannot be looked up")
    form, input_format = form or saved.output_format, input_format or saved.input_format
    of, names = _confidence(confidence, saved.confidence), saved.columns | tables.pairs(mapped)
    job: Job | SparkJob
    if engine == "spark":
        from locsvc.batch.spark.engine import SparkJob

        job = SparkJob(source, target, data, of, input_format, form, names, master, executors, _settings(conf), ship)
    else:
        workers = workers or len(os.sched_getaffinity(0))
        job = Job(Path(source), Path(target), data, of, input_format, form, names, workers, resume)
        if resume and is_whole(job):
            output.talk(f"{target} is whole already: there is nothing to resume; without --resume it is made anew")
            return
    pace: list[tuple[float, int]] = []
    run = _run(job, pace)
    told = run.summary()
    if report is not None:
        _write_report(report, job, run, pace)
    if summary is not None:
        output.write_file(summary, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    _say(told)


def _settings(conf: tuple[str, ...]) -> dict[str, str]:
    """`NAME=VALUE` as settings.

    Raises
    ------
    click.BadParameter
        One is none.
    """
    settings = {}
    for text in conf:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"--conf {text!r}: write NAME=VALUE, as spark.executor.memory=4g")
        settings[name.strip()] = value.strip()
    return settings


def _confidence(given: float | None, saved: float | None) -> float:
    if given is not None or saved is None:
        return 0.9 if given is None else given
    return float(CONFIDENCE.convert(saved, None, None))


def _check_folder(path: Path | None) -> None:
    """Raises `click.BadParameter` for a file whose folder is missing: after hours would be late to learn that."""
    if path is not None and not path.parent.is_dir():
        raise click.BadParameter(f"{path}: there is no folder {path.parent}; make it")


def _run(job: Job | SparkJob, pace: list[tuple[float, int]]) -> Run:
    """Run, with progress on a terminal; when it is interrupted, say how to go on."""
    from locsvc.batch.engine import Job

    local = isinstance(job, Job)
    try:
        watch = _watch(pace)
        done = _run_here(job, watch) if isinstance(job, Job) else _run_spark(job, watch)
    except KeyboardInterrupt:
        output.end_progress()
        if local and str(job.target) != "-" and str(job.source) != "-":
            output.talk("locsvc: stopped; go on with the same command and --resume")
        raise
    except BaseException:
        output.end_progress()
        raise
    output.end_progress()
    return done


def _run_here(job: Job, watch: Progress) -> Run:
    from locsvc.batch.engine import run
    from locsvc.batch.work import without_pandas

    without_pandas()
    _tell_of_compiling()
    return run(job, watch)


def _run_spark(job: SparkJob, watch: Progress) -> Run:
    from locsvc.batch.spark.engine import run

    return run(job, watch)


def _tell_of_compiling() -> None:
    """Not only on a terminal: a minute or two in which nothing happens is worth a line in a log too."""
    from locsvc.compiled import are_kept
    from locsvc.resolver.warming import COMPILING

    if not are_kept():
        output.talk(f"locsvc: {COMPILING}")


def _watch(pace: list[tuple[float, int]]) -> Callable[[int, float | None], None]:
    """Notes in `pace` how far a run is at a time, seconds and calls, and shows it on a terminal."""
    shown = tables.progress("calls")
    began_s = time.monotonic()

    def watch(calls: int, share: float | None) -> None:
        pace.append((time.monotonic() - began_s, calls))
        if len(pace) > _MOST_PACES:
            del pace[1::2]
        if shown is not None:
            shown(calls, share)

    return watch


def _write_report(path: Path, job: Job | SparkJob, run: Run, pace: list[tuple[float, int]]) -> None:
    from locsvc.cli.report import Report, report_page
    from locsvc.reference.store import Reference

    areas = None if job.data is None else Reference.open(job.data, verify=False).areas
    page = report_page(
        Report(
            source=str(job.source),
            target=str(job.target),
            confidence=job.confidence,
            told=run.summary(),
            counted=run.tally.plotted(),
            pace=pace,
            background=None if areas is None else areas.outlines,
        )
    )
    output.write_file(path, page)


def _say(told: dict[str, Any]) -> None:
    """The summary on stderr."""
    calls = max(told["calls"], 1)

    def counts(name: str, *, of_calls: bool = True) -> str:
        shown = list(told[name].items())[:8]
        return ", ".join(f"{k} {v:,}" + (f" ({v / calls:.1%})" if of_calls else "") for k, v in shown) or "none"

    rows = f" of {told['rows']:,} rows" if told["rows"] != told["calls"] else ""
    output.talk(
        f"{told['calls']:,} calls{rows} in {told['seconds']:,.1f} s, {told['calls_per_s']:,.0f} a second"
        + (f"; {told['resumed_parts']:,} parts were there already" if told["resumed_parts"] else "")
    )
    output.talk(f"outcomes   {counts('outcomes')}")
    output.talk(f"sources    {counts('sources')}")
    radii = {k: v for k, v in told["radius_m"].items() if v is not None}
    if radii:
        output.talk("radius     " + ", ".join(f"{float(k):.0%} within {v:,.0f} m" for k, v in radii.items()))
    if told["warnings"]:
        output.talk(f"warnings   {counts('warnings', of_calls=False)}")
    if told["rejects"]:
        output.talk(f"rejects    {sum(told['rejects'].values()):,} values or rows")
        for reason, count in list(told["rejects"].items())[:20]:
            output.talk(f"  {count:>9,}  {reason}")
    for name, count in told["left_out"].items():
        output.talk(
            f"column {name!r} began after the first megabyte of stdin and is left out ({count:,} rows); a file's"
            " columns are all known: give its name"
        )
