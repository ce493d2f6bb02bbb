"""`locsvc calibrate`: the numbers of the calibration fitted to located history."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from locsvc.cli import output
from locsvc.cli.manners import Command, ended_in_order
from locsvc.cli.options import Common, common_options
from locsvc.cli.tables import FORMATS_IN, pairs, without_arrow

if TYPE_CHECKING:
    from locsvc.learning.calibrate.anew import Anew
    from locsvc.learning.calibrate.calibrate import Calibrated, Result

_EXAMPLES = """\
locsvc calibrate history.parquet --data mydata               # writes mydata/calibration.toml
locsvc calibrate 2026-*.csv.gz --data mydata --map true_lat=truth_lat --map true_lon=truth_lon
locsvc calibrate history.parquet --data mydata --only device. --out trial.toml
locsvc calibrate history.parquet --data mydata --folds day --budget 600 --json"""


@click.command(
    cls=Command,
    examples=_EXAMPLES,
    epilog="Exit codes: 0 done, whatever was kept, 2 wrong use, 65 a table cannot be read or has no truth, 66 reference"
    " data missing or damaged, 78 the calibration in force or its new place is wrong or there is no room, 130"
    " interrupted.",
)
@click.argument("tables", metavar="TABLE...", nargs=-1, required=True, type=click.Path(allow_dash=True, path_type=Path))
@click.option("--out", metavar="FILE.toml", type=click.Path(path_type=Path), help="[default: DIR/calibration.toml]")
@click.option("--map", "mapped", metavar="THEIRS=OURS", multiple=True, help="A column of the tables is one of ours.")
@click.option("--input-format", type=click.Choice(FORMATS_IN), help="Form of the tables; else by their names.")
@click.option(
    "--folds",
    type=click.Choice(("session", "day")),
    default="session",
    show_default=True,
    help="What is left out together when numbers are tried.",
)
@click.option("--fold-count", type=click.IntRange(2, 50), default=5, show_default=True, help="How many such parts.")
@click.option("--only", metavar="NAME", multiple=True, help="Fit groups whose names begin so, as device.gnss.")
@click.option("--truth-from-reports", is_flag=True, help="A row's satellite fix is its truth where it has none.")
@click.option("--least-sessions", type=click.IntRange(2), help="Sessions that a group needs.  [default: each its own]")
@click.option("--budget", metavar="SECONDS", type=click.FloatRange(min=0), help="Begin no search after so long.")
@common_options
@click.pass_obj
def calibrate(  # noqa: PLR0913, PLR0917 - one parameter an option
    common: Common,
    tables: tuple[Path, ...],
    out: Path | None,
    mapped: tuple[str, ...],
    input_format: str | None,
    folds: str,
    fold_count: int,
    only: tuple[str, ...],
    truth_from_reports: bool,
    least_sessions: int | None,
    budget: float | None,
) -> None:
    """Fit widths, shares and exponents to tables with truth (truth_lat, truth_lon).

    Numbers are fitted in groups, by the log score of the truths, with sessions weighed alike (column `session`, else
    days). A group changes only if it scores better on sessions that were left out, by more than the standard error;
    with too little history it is kept.
    """
    try:
        from locsvc.learning.calibrate.anew import calibrate as fit
        from locsvc.learning.calibrate.anew import days_in_common
        from locsvc.learning.calibrate.calibrate import Options
        from locsvc.learning.calibrate.writing import check_place, put, written
    except ModuleNotFoundError as error:
        raise without_arrow(error, "calibrate") from None
    from locsvc.reference.store import CALIBRATION_FILE, Reference

    data = common.needed_data()
    reference = Reference.open(data)
    path = out or data / CALIBRATION_FILE
    check_place(path)
    options = Options(
        pairs(mapped), input_format, truth_from_reports, fold_count, folds == "day", only, least_sessions, budget
    )
    try:
        with ended_in_order():
            calibrated, anew = fit(tables, data, reference, options, _progress(), _begin)
    finally:
        output.end_progress()
    if anew is None:
        _warn_of_days(days_in_common(calibrated.history, reference))
    at = dt.datetime.now(dt.UTC)
    # A file that is in force, and what it was fitted on, stays where nothing is new; one that was asked for is written.
    new = bool(calibrated.changed or out)
    kept = put(written(calibrated, reference.calibration_text, at, _told_of(anew)), path) if new else None
    if common.as_json:
        output.write_json(_told(calibrated, path) | {"learned_anew": _told_of(anew), "written": new})
    else:
        _show(calibrated)
    if new:
        output.talk(f"{path} written" + (f"; what was there is {kept}" if kept else ""))
    else:
        output.talk("no number changes: nothing is written")


def _progress() -> Callable[[str, float], None] | None:
    """A line with the group and the share that is done on stderr; None when that is not a terminal."""
    if not sys.stderr.isatty():
        return None

    def show(what: str, share: float) -> None:
        click.echo(f"\r{share:.0%} {what}\x1b[K", err=True, nl=False)

    return show


def _begin(anew: Anew) -> None:
    """What is said of tables that the coverage was learned from, before that takes its time."""
    seen = ", ".join(output.plain(name) for name in anew.tables)
    how = f"{anew.parts} parts of {anew.units:,} {anew.unit}s are each scored by what the others teach"
    if anew.parts == 1:
        how = f"one {anew.unit}, which is scored by what is known without it"
    room = f"up to {anew.most_bytes / 1e6:,.0f} MB in {anew.folder} meanwhile"
    output.end_progress()
    output.talk(f"the coverage was learned from {seen}: {how} ({room})")
    if anew.absent:
        shown = ", ".join(output.plain(name) for name in anew.absent[:3])
        more = f" and {len(anew.absent) - 3} more" if len(anew.absent) > 3 else ""
        output.talk(f"  it was learned from {shown}{more} too: not given, they teach nothing here, so give all")


def _warn_of_days(days: int) -> None:
    """What is said of days that the coverage was learned from, too: the same rows are not known in another file."""
    if days:
        output.talk(
            f"{days:,} of the days are of the time that the coverage was learned from, by other files: if these rows"
            " were in those, numbers about cells look surer than they are; give those very files, or newer history"
        )


def _told_of(anew: Anew | None) -> dict[str, object] | None:
    """The same, for programs."""
    if anew is None:
        return None
    return {"tables": anew.tables, "parts": anew.parts, f"{anew.unit}s": anew.units, "not_given": anew.absent}


def _told(calibrated: Calibrated, path: Path) -> dict[str, object]:
    """What it came to, for programs."""
    history = calibrated.history
    return {
        "calibration": str(path),
        "tables": history.tables,
        "rows": history.rows,
        "located_calls": history.located,
        "used_calls": history.calls,
        "sessions": len(history.sessions),
        "reports_that_are_the_truth": history.same,
        "not_used": dict(history.rejected.most_common()),
        "seconds": round(calibrated.seconds, 1),
        "groups": [_group(result) for result in calibrated.results],
    }


def _group(result: Result) -> dict[str, object]:
    return {
        "group": result.group,
        "verdict": result.verdict,
        "rows": result.rows,
        "sessions": result.sessions,
        "sessions_needed": result.needed,
        "log_score_before": result.before,
        "log_score_after": result.after,
        "gain_standard_error": result.gain_error,
        "numbers": {path: {"before": old, "after": new} for path, (old, new) in result.numbers.items()},
    }


def _show(calibrated: Calibrated) -> None:
    """What it came to, for a person: groups that had evidence on stdout, the rest in a line on stderr."""
    history = calibrated.history
    output.talk(
        f"{history.rows:,} rows, {history.located:,} located calls of {len(history.sessions):,} sessions, "
        f"{history.calls:,} of them fitted to, {calibrated.seconds:,.0f} s"
    )
    for reason, count in history.rejected.most_common():
        output.talk(f"  {count:>9,} rows not used: {reason}")
    if history.same:
        output.talk(f"  {history.same:>9,} reports are the truth itself: they say nothing of reports")
    rows = []
    for r in calibrated.results:
        if r.rows:
            said = r.verdict if r.before is not None or r.sessions >= r.needed else f"{r.verdict} ({r.needed} needed)"
            scores = (_score(r.before), _score(r.after), _score(r.gain_error))
            rows.append((r.group, f"{r.sessions:,}", f"{r.rows:,}", *scores, said))
    names = ("group", "sessions", "rows", "before", "after", "+-", "")
    if rows:
        output.show(output.table(names, rows, right=(1, 2, 3, 4, 5)))
    for path, (old, new) in ((p, n) for r in calibrated.results for p, n in r.numbers.items()):
        output.show(f"{path} = {new:g}  (was {old:g})")
    untried: dict[str, list[str]] = {}
    for r in calibrated.results:
        if not r.rows:
            untried.setdefault(r.verdict, []).append(r.group)
    for verdict, groups in untried.items():
        output.talk(f"{verdict}: {', '.join(groups)}")


def _score(value: float | None) -> str:
    """A mean log score, nats; nothing where there is none.

    >>> _score(-9.51234), _score(None)
    ('-9.512', '')
    """
    return "" if value is None else f"{value:.3f}"
