"""What a resolve costs, in process and over gRPC against an echo on the same server in the same run.

    python benchmarks/rpc_resolve.py [--data DIR --call FILE] [--no-resolver-process] [--json]

Without a data directory the sample town is imported into a temporary one, and the call is its first one with a fourth
cell, so that anyone can repeat the figures from a clone: four cells, a satellite fix and a line.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from locsvc import model
from locsvc.evaluate.capture.town import SAMPLE, import_town
from locsvc.formats.call_json import call_from_text
from locsvc.rpc.bench import BenchSettings, bench_resolve


def town_call() -> model.Call:
    """The town's first call with a fourth cell: the serving one's neighbour at the same mast."""
    with (SAMPLE / "calls.jsonl").open(encoding="utf-8") as file:
        call = call_from_text(file.readline())
    scan = call.evidence[0].content
    if not isinstance(scan, model.CellScan) or scan.serving is None:
        raise SystemExit("the first sample call has no cell scan any more; give one with --call")
    fourth = replace(scan.serving, cell=(scan.serving.cell or 0) - 1, pci=None, timing_advance=None, signal_dbm=-99.0)
    scan = replace(scan, neighbours=(*scan.neighbours, fourth))
    return replace(call, evidence=(replace(call.evidence[0], content=scan), *call.evidence[1:]))


def main() -> None:
    """Measure and print."""
    usual = BenchSettings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="data directory")
    parser.add_argument("--call", type=Path, help="file with a call as proto3 JSON; its first line is taken")
    parser.add_argument("--calls", type=int, default=usual.calls, help="calls in this process")
    parser.add_argument("--rounds", type=int, default=usual.rounds, help="rounds over gRPC")
    parser.add_argument("--round-s", type=float, default=usual.round_s, help="seconds of a round")
    parser.add_argument("--clients", type=int, default=usual.clients, help="client processes")
    parser.add_argument("--concurrency", type=int, default=usual.concurrency, help="requests each keeps open")
    parser.add_argument("--tail-s", type=float, default=usual.tail_s, help="seconds at half the load")
    parser.add_argument(
        "--resolver-process",
        action=argparse.BooleanOptionalAction,
        help="one beside the worker, as `serve` has",
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout instead of a table")
    given = parser.parse_args()
    call = call_from_text(given.call.read_text(encoding="utf-8").splitlines()[0]) if given.call else town_call()
    settings = BenchSettings(
        given.calls,
        given.rounds,
        given.round_s,
        given.clients,
        given.concurrency,
        given.tail_s,
        given.resolver_process,
    )
    with tempfile.TemporaryDirectory() as folder:
        data = given.data
        if data is None:
            data = Path(folder)
            import_town(data)
        report = bench_resolve(data, call, settings, progress=lambda said: print(said, file=sys.stderr))
    if given.json:
        print(json.dumps(report.to_json(), indent=2))
        return
    for name, figure in report.rows():
        print(f"{name:40} {figure}")


if __name__ == "__main__":
    main()
