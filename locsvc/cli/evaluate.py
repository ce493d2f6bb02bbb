"""`locsvc evaluate`: whether answers are right as often as they say, on tables with truth."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from locsvc.cli import output, tables
from locsvc.cli.manners import Command, ended_in_order
from locsvc.cli.options import FILE, NEW_FILE, Common, data_option, debug_option

if TYPE_CHECKING:
    from locsvc.evaluate.run import Evaluation

_EXAMPLES = """\
locsvc evaluate drives.parquet --data mydata
locsvc evaluate drives.parquet --data mydata --folds day        # learn from the other days, test on each
locsvc evaluate calls.csv --map lat=truth_lat --map lon=truth_lon --report report.html
locsvc evaluate fixes.parquet --claim-ratio 2 --by method --json -"""
_STANDARD = "-"


@click.command(
    cls=Command,
    examples=_EXAMPLES,
    epilog="Exit codes: 0 done, 2 wrong use, 65 a table cannot be read or has no truth, 66 reference data missing or"
    " damaged, 69 a process was killed, 78 an output cannot be written, 130 interrupted.",
)
@click.argument(
    "sources", metavar="TABLE...", nargs=-1, required=True, type=click.Path(allow_dash=True, path_type=Path)
)
@click.option("--map", "mapped", metavar="THEIRS=OURS", multiple=True, help="A column of TABLE is one of ours.")
@click.option("--profile", metavar="FILE.toml", type=FILE, help="Saved column names and settings; options go first.")
@click.option(
    "--input-format", type=click.Choice(tables.FORMATS_IN), help="Form of TABLE; else by its name, stdin is CSV."
)
@click.option("--by", metavar="COLUMN", multiple=True, help="Tell calls apart by this column too.")
@click.option(
    "--session", metavar="COLUMN", help="What calls belong to that is independent.  [default: session, or day]"
)
@click.option("--folds", metavar="day|session|time|COLUMN", help="Cross-validate: learn from the rest, test on a fold.")
@click.option(
    "--fold-count", type=click.IntRange(0), default=5, show_default=True, help="Folds; 0: one for each value."
)
@click.option(
    "--keep-calibration", is_flag=True, help="With --folds: the data directory's calibration, not the shipped one."
)
@click.option(
    "--calibrate/--no-calibrate", default=None,
    help="With --folds: fit the whole calibration to the rest too, which takes its time, or nothing of it.  [default:"
    " what regions and circles hold; nothing with --keep-calibration]",
)  # fmt: skip
@click.option(
    "--least-sessions", type=click.IntRange(2), help="With --folds: sessions that a group needs to be fitted."
)
@click.option(
    "--workers", type=click.IntRange(1), help="With --folds: processes, a fold each.  [default: as many as processors]"
)
@click.option(
    "--truth-accuracy", metavar="M", type=click.FloatRange(min=0, min_open=True), default=200.0, show_default=True,
    help="Truths that claim to be less accurate are none.",
)  # fmt: skip
@click.option(
    "--claim-ratio", metavar="N", type=click.FloatRange(min=0, min_open=True),
    help="Only calls whose claimed radius is N times the truth's accuracy or more.",
)  # fmt: skip
@click.option(
    "--json", "as_json", metavar="FILE|-", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    help="Write all numbers as JSON; - is stdout, instead of the tables.",
)  # fmt: skip
@click.option("--report", metavar="FILE.html", type=NEW_FILE, help="Write a page with charts and maps; no network.")
@data_option
@debug_option
@click.pass_obj
def evaluate(  # noqa: PLR0913, PLR0917 - one parameter an option
    common: Common,
    sources: tuple[Path, ...],
    mapped: tuple[str, ...],
    profile: Path | None,
    input_format: str | None,
    by: tuple[str, ...],
    session: str | None,
    folds: str | None,
    fold_count: int,
    keep_calibration: bool,
    calibrate: bool | None,
    least_sessions: int | None,
    workers: int | None,
    truth_accuracy: float,
    claim_ratio: float | None,
    as_json: Path | None,
    report: Path | None,
) -> None:
    """Judge answers against truths: errors, coverage, scores.

    TABLE has the columns of `locsvc batch`, and truth_lat, truth_lon (truth_accuracy_m, session). Coverage tells
    whether 90 % means 90 of 100: it is counted on the regions and radii that users are given. Other ways to locate
    stand beside, on the same calls.
    """
    try:
        from locsvc.evaluate import run
        from locsvc.evaluate.folds import Folding
        from locsvc.evaluate.judge import Terms
        from locsvc.learning.calibrate.declared import CONFIDENCE
        from locsvc.tables.profile import Profile, read_profile
    except ModuleNotFoundError as error:
        raise tables.without_arrow(error, "evaluate") from None
    fitting = calibrate if calibrate is not None else folds is not None and not keep_calibration
    if least_sessions is not None and not (folds and fitting):
        raise click.UsageError("--least-sessions says what fitting needs: give --folds, and not --no-calibrate")
    _refuse_to_overwrite(sources, as_json, report)
    saved = Profile() if profile is None else read_profile(profile)
    data = common.data_directory()
    if data is None and folds is None:
        output.talk("locsvc: no data directory (--data DIR or LOCSVC_DATA): cells and lines cannot be looked up")
    options = run.Options(
        saved.columns | tables.pairs(mapped),
        input_format or saved.input_format,
        Terms(session, by, truth_accuracy, claim_ratio),
        None
        if folds is None
        else Folding(folds, fold_count, keep_calibration, fitting, least_sessions, () if calibrate else (CONFIDENCE,)),
        workers or len(os.sched_getaffinity(0)),
    )
    try:
        with ended_in_order():
            found = run.evaluate(sources, data, options, tables.progress("calls"))
    finally:
        output.end_progress()
    _write(found, as_json, report, as_json_too=common.as_json)


def _refuse_to_overwrite(sources: tuple[Path, ...], *targets: Path | None) -> None:
    """Refuse to write over a table: `--json TABLE` is soon typed.

    Raises
    ------
    click.UsageError
        An output is one of the tables.
    """
    for target in targets:
        if target is not None and str(target) != _STANDARD and any(target.resolve() == s.resolve() for s in sources):
            raise click.UsageError(
                f"{target} is a table to read; --json and --report take the file to write, or --json -"
            )


def _write(found: Evaluation, as_json: Path | None, report: Path | None, *, as_json_too: bool) -> None:
    """Everything that was asked for; tables where JSON does not go to stdout."""
    if report is not None:
        from locsvc.cli.report.evaluation import evaluation_page

        output.write_file(report, evaluation_page(found))
    if as_json_too or (as_json is not None and str(as_json) == _STANDARD):
        output.write_json(found.numbers)
    else:
        _show(found.numbers)
    if as_json is not None and str(as_json) != _STANDARD:
        output.write_file(as_json, json.dumps(found.numbers, indent=2, ensure_ascii=False) + "\n")


def _show(told: dict[str, Any]) -> None:
    from locsvc.evaluate import words

    output.show(words.lead(told))
    for title, columns, rows in (
        words.errors_table(told["strata"]),
        words.coverage_table(told["strata"]),
        words.baselines_table(told["strata"]),
        words.areas_table(told["strata"]),
    ):
        if rows:
            output.show("", title, output.table(columns, rows, right=range(1, len(columns))))
    output.show("", *words.remarks(told))
