"""`locsvc bench`: what a resolve costs on this machine."""

from __future__ import annotations

import itertools
from pathlib import Path

import click

from locsvc.cli import output
from locsvc.cli.manners import Command, Group
from locsvc.cli.options import FILE, Common, common_options
from locsvc.errors import BadData


@click.group(cls=Group, examples="locsvc bench resolve --data mydata\nlocsvc bench resolve call.json --no-grpc")
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
