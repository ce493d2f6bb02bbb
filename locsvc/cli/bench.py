"""`locsvc bench`: what a resolve costs on this machine, and what is known of live calls when."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from locsvc.cli import output
from locsvc.cli.manners import Command, Group
from locsvc.cli.options import FILE, NEW_FILE, Common, common_options
from locsvc.errors import EXIT_INTERRUPTED, BadData, ConfigError

if TYPE_CHECKING:
    from locsvc.evaluate.capture.scenario import Scenario


@click.group(cls=Group, examples="locsvc bench capture --report capture.html\nlocsvc bench resolve --data mydata")
def bench() -> None:
    """Measure on this machine."""


@bench.command(
    cls=Command,
    examples="""\
locsvc bench resolve --data mydata                    # a made-up call of four cells, a fix and a line
locsvc bench resolve call.json --no-grpc --json       # the first call of a file, in this process only""",
)
@click.argument("source", metavar="[FILE]", required=False, type=FILE)
@click.option("--calls", type=click.IntRange(10), default=2_000, show_default=True, help="Calls in this process.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Rounds over gRPC.")
@click.option("--round-s", type=click.FloatRange(0.1), default=2.0, show_default=True, help="Seconds of a round.")
@click.option("--grpc/--no-grpc", "grpc_too", default=True, help="Measure over gRPC too.  [default: yes]")
@common_options
@click.pass_obj
def resolve(common: Common, source: Path | None, calls: int, rounds: int, round_s: float, grpc_too: bool) -> None:
    """Time one call in this process, and over gRPC against an echo on the same server."""
    from locsvc.cli.reading import read_calls
    from locsvc.formats.call_json import call_from_json
    from locsvc.rpc.bench import BenchSettings, bench_resolve

    if source is None:
        call = call_from_json(_CALL)
    else:
        read = next(itertools.islice(read_calls(source), 1))
        if read.call is None:
            raise read.error or BadData(f"{source} holds no call")
        call = read.call
    settings = BenchSettings(calls=calls, rounds=rounds, round_s=round_s)
    report = bench_resolve(common.data_directory(), call, settings, grpc_too=grpc_too, progress=output.talk)
    if common.as_json:
        output.write_json(report.to_json())
    else:
        output.show(output.facts(report.rows()))


@bench.command(
    cls=Command,
    examples="""\
locsvc bench capture --report capture.html             # 2,000 calls in real time: six minutes
locsvc bench capture --calls 200 --speed 10 --json     # ten times as fast, for a first look
locsvc bench capture --data mydata --workers 2         # on the ground of your own cells
locsvc bench capture --server 127.0.0.1:50051          # against a server that runs""",
    epilog="Interrupted (Ctrl-C) it tells what is known of the calls that have ended.",
)
@click.option("--calls", type=click.IntRange(1), default=2_000, show_default=True, help="Calls to play.")
@click.option("--at-once", type=click.IntRange(1), default=200, show_default=True, help="Calls open at a time.")
@click.option("--scenario", type=FILE, help="TOML that changes the shipped scenario.")
@click.option("--print-scenario", is_flag=True, help="Write the shipped scenario and end.")
@click.option(
    "--speed", type=click.FloatRange(1.0, 50.0), default=1.0, show_default=True, help="Seconds played in one second."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Other numbers draw other calls.")
@click.option("--server", metavar="HOST:PORT", help="A server that runs, without TLS; else one is started.")
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes of the server started."
)
@click.option("--journal", metavar="URL", help="Of the server started; else SQLite in a temporary directory.")
@click.option(
    "--clients", type=click.IntRange(1, 16), default=1, show_default=True, help="Processes that play the calls."
)
@click.option("--report", type=NEW_FILE, help="Write a page (HTML) that needs no network.")
@common_options
@click.pass_obj
def capture(
    common: Common,
    /,
    *,
    scenario: Path | None,
    print_scenario: bool,
    report: Path | None,
    **asked: Any,  # noqa: ANN401 - click's options
) -> None:
    """Play live calls against a real server: what is known of the caller after 1, 5, 10, 20 and 30 seconds.

    When evidence arrives and how good it is comes from a scenario that tells the source of each of its numbers.
    Callers stand in the sample town, or where the cells of --data are.
    """
    from locsvc.evaluate.capture.scenario import default_text
    from locsvc.evaluate.capture.summary import summary_of
    from locsvc.rpc.capture.run import CaptureSettings, bench_capture

    if print_scenario:
        click.echo(default_text(), nl=False)
        return
    read = _scenario(scenario)
    with _ground(common.data_directory()) as data:
        settings = CaptureSettings(data, read, **asked)
        try:
            run = bench_capture(settings, progress=output.progress(f"of {settings.calls:,} calls"), say=output.talk)
        finally:
            output.end_progress()
    told = {"scenario": read.name, **summary_of(run.capture)}
    if report is not None:
        from locsvc.cli.report.capture import capture_page

        output.write_file(report, capture_page(told, read))
    if common.as_json:
        output.write_json(told)
    else:
        _show_capture(told)
    if not run.whole:
        click.get_current_context().exit(EXIT_INTERRUPTED)


def _scenario(file: Path | None) -> Scenario:
    from locsvc.evaluate.capture.scenario import read_scenario

    try:
        text = file.read_text(encoding="utf-8") if file is not None else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read as text ({error})") from None
    return read_scenario(text, named=file.name if file is not None else "")


@contextlib.contextmanager
def _ground(data: Path | None) -> Iterator[Path]:
    """The data directory, or the sample town in one for the time being."""
    if data is not None:
        yield data
        return
    from locsvc.evaluate.capture.town import import_town

    with tempfile.TemporaryDirectory(prefix="locsvc-town-") as folder:
        town = Path(folder) / "data"
        import_town(town)
        yield town


def _show_capture(told: dict[str, Any]) -> None:
    from locsvc.evaluate.capture import words

    output.show(words.lead(told))
    if not told["calls"]:
        return
    made = (words.marks_table(told), words.errors_table(told), words.times_table(told), words.outlook_table(told))
    for title, columns, rows in (*made, words.worse_table(told)):
        if rows:
            right = range(1, len(columns))
            output.show("", title, output.table(columns, rows[:20], right=list(right)))
    output.show("", *words.remarks(told))


def _cell(cell: int, signal_dbm: float) -> dict[str, object]:
    return {"radio": "RADIO_LTE", "mcc": "272", "mnc": "05", "area": 42300, "cell": str(cell), "signal_dbm": signal_dbm}


# Four cells of one network, a fix beside them and a line: what a mobile call looks like when all systems answer.
_CALL = {
    "call_id": "bench",
    "calling_number": "+353209100001",
    "evidence": [
        {
            "cell_scan": {
                "serving": _cell(237575, -88.0),
                "neighbours": [_cell(237576, -97.0), _cell(258818, -101.0), _cell(258819, -104.0)],
            }
        },
        {
            "device_report": {
                "shape": {"circle": {"center": {"latitude_deg": 52.468, "longitude_deg": -8.334}, "radius_m": 30.0}},
                "confidence": 0.68,
                "method": "POSITIONING_METHOD_GNSS",
            }
        },
        {"line_lookup": {"number": "+353209100001"}},
    ],
}
