"""`locsvc learn`: located history becomes coverage."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from locsvc.cli import output, tables
from locsvc.cli.manners import Command
from locsvc.cli.options import FILE, Common, common_options

if TYPE_CHECKING:
    from locsvc.learning.learn import LearnReport

_EXAMPLES = """\
locsvc learn drives.parquet --data mydata
locsvc learn 2026-10.csv.gz 2026-11.csv.gz --map lat=truth_lat --map lon=truth_lon
locsvc learn calls.parquet --truth-from-reports        # the satellite fix of each call is where it was
locsvc learn all.parquet --fresh --half-life 180       # forget what was learned; count half after 180 days"""


TABLE = click.Path(allow_dash=True, path_type=Path)
DAYS, METRES, LEVEL = click.FloatRange(1), click.FloatRange(1), click.IntRange(9, 12)


@click.command(
    cls=Command,
    examples=_EXAMPLES,
    epilog="Exit codes: 0 done, rejected rows or not, 2 wrong use, 65 a table cannot be read or teaches nothing,"
    " 66 what was learned before is damaged, 78 the data directory cannot be written, 130 interrupted.",
)
@click.argument("sources", metavar="TABLE...", nargs=-1, required=True, type=TABLE)
@click.option("--map", "mapped", metavar="THEIRS=OURS", multiple=True, help="A column of the tables is one of ours.")
@click.option("--profile", metavar="FILE.toml", type=FILE, help="Saved column names and settings; options go first.")
@click.option("--input-format", type=click.Choice(tables.FORMATS_IN), help="Form of the tables; else by their names.")
@click.option("--fresh", is_flag=True, help="Begin anew: what was learned before is left out.")
@click.option("--half-life", metavar="DAYS", type=DAYS, help="A report then counts half.  [default: as before, 365]")
@click.option("--resolution", metavar="9-12", type=LEVEL, help="H3 cells of places.  [default: as before, 11]")
@click.option("--truth-from-reports", is_flag=True, help="A row's satellite fix is its truth where it has none.")
@click.option(
    "--most-accuracy", metavar="M", type=METRES, default=200.0, help="Leave wider truths out.  [default: 200]"
)
@click.option("--licence", metavar="TEXT", default="", help="Terms of the tables, kept with the dataset.")
@common_options
@click.pass_obj
def learn(  # noqa: PLR0913, PLR0917 - one parameter an option
    common: Common,
    sources: tuple[Path, ...],
    mapped: tuple[str, ...],
    profile: Path | None,
    input_format: str | None,
    fresh: bool,
    half_life: float | None,
    resolution: int | None,
    truth_from_reports: bool,
    most_accuracy: float,
    licence: str,
) -> None:
    """Learn from tables with truth where each cell is heard: Parquet, CSV (also gz) or JSON Lines.

    Rows need truth_lat and truth_lon and a cell; they are added to what was learned before, in any order and any
    number of tables. Rows that cannot be used are counted by reason, and stop nothing.
    """
    data = common.needed_data()
    try:
        from locsvc.learning.learn import Options
        from locsvc.tables.profile import Profile, read_profile
    except ModuleNotFoundError as error:
        raise tables.without_arrow(error, "learn") from None
    saved = Profile() if profile is None else read_profile(profile)
    options = Options(
        saved.columns | tables.pairs(mapped),
        input_format or saved.input_format,
        fresh,
        resolution,
        half_life,
        truth_from_reports,
        most_accuracy,
        licence,
    )
    report = _run(sources, data, options)
    if common.as_json:
        output.write_json(_summary(report))
    else:
        _say(report)


def _run(sources: tuple[Path, ...], data: Path, options: Any) -> LearnReport:  # noqa: ANN401 - loaded when it is needed
    from locsvc.learning import learn as learning

    try:
        return learning.learn(sources, data, options, tables.progress("rows"))
    finally:
        output.end_progress()


def _day(t: float | None) -> str | None:
    return None if t is None else time.strftime("%Y-%m-%d", time.gmtime(t))


def _summary(report: LearnReport) -> dict[str, Any]:
    """For a program."""
    built, terms = report.learned.built, report.learned.terms
    return {
        "snapshot_id": report.snapshot_id,
        "rows": report.rows,
        "used": report.used,
        "rejected": report.rejected,
        "notes": report.notes,
        "seconds": round(report.seconds, 3),
        "coverage": {
            "cells": built.cells,
            "physical_cells": built.physical,
            "places": built.places,
            "reports": built.reports,
            "rows": built.rows,
            "from": _day(report.learned.since_s),
            "until": _day(report.learned.until_s),
            "half_life_days": terms.half_life_days,
            "resolution": terms.resolution,
        },
    }


def _say(report: LearnReport) -> None:
    """For a person."""
    built, terms = report.learned.built, report.learned.terms
    rate = report.rows / report.seconds if report.seconds > 0 else 0.0
    click.echo(
        f"learned from {report.used:,} of {report.rows:,} rows in {report.seconds:.1f} s ({rate:,.0f} a second);"
        f" snapshot {report.snapshot_id}"
    )
    span = f", {_day(report.learned.since_s)} to {_day(report.learned.until_s)}" if report.learned.until_s else ""
    click.echo(
        f"coverage: {built.cells:,} cells at {built.places:,} places from {built.reports:,} reports{span};"
        f" half-life {terms.half_life_days:g} days"
    )
    output.talk("next: 'locsvc calibrate' with the same tables, so that regions hold as many truths as they say")
    if built.dropped:
        click.echo(f"{built.dropped:>9,} counts too old to matter were forgotten")
    for reason, count in report.rejected.items():
        click.echo(f"{count:>9,} rejected: {output.plain(reason)}")
    for note, count in report.notes.items():
        click.echo(f"{count:>9,} values left out: {output.plain(note)}")
