"""How fast the journal of live calls acknowledges what is on disk, for one process and for two on one journal.

    python benchmarks/journal.py                SQLite in a temporary directory, PostgreSQL where it is installed
    python benchmarks/journal.py --url URL      that journal only (it is filled)
    python benchmarks/journal.py --seconds 10 --directory /var/tmp

Each process keeps so many pieces of evidence under way, each for one of 200 calls, and sends the next when one is
acknowledged. Latency is from the sender's word to the future's answer in the sender's thread.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import queue
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from locsvc.calls.journal import Journal
from locsvc.calls.words import Arrival, Kept
from locsvc.model import CellMeasurement, CellScan, Circle, DeviceReport, Evidence, LatLng, PositioningMethod, Radio

CALLS = 200


def piece(number: int) -> Evidence:
    """A handset's fix, or every third time a cell scan."""
    if number % 3:
        shape = Circle(LatLng(55.0 + number * 1e-6, 2.5), 12.0)
        report = DeviceReport(shape, 0.95, PositioningMethod.GNSS)
        return Evidence(report, f"fix-{os.getpid()}-{number}", "handset", time.time())
    serving = CellMeasurement(Radio.LTE, "001", "01", 1101, 1049859, 5, 1300, signal_dbm=-80.0 - number % 30)
    return Evidence(CellScan(serving), f"scan-{os.getpid()}-{number}", "network", time.time())


def took(done: queue.SimpleQueue[float], began: float, kept: Future[Kept]) -> None:
    """Say how long it took."""
    kept.result()
    done.put(time.perf_counter() - began)


def flood(url: str, under_way: int, seconds: float) -> list[float]:
    """Seconds that each acknowledgement took."""
    journal = Journal.open(url)
    done: queue.SimpleQueue[float] = queue.SimpleQueue()
    took_s: list[float] = []
    sent = 0

    def send() -> None:
        nonlocal sent
        sent += 1
        began = time.perf_counter()
        call_id = f"{os.getpid()}-{sent % CALLS}"
        future = journal.add(Arrival((piece(sent),), time.time(), call_id))
        future.add_done_callback(functools.partial(took, done, began))

    until = time.perf_counter() + seconds
    for _ in range(under_way):
        send()
    while time.perf_counter() < until:
        took_s.append(done.get())
        send()
    journal.close(30.0)
    return took_s


def paced(url: str, a_second: float, seconds: float) -> list[float]:
    """Seconds that each acknowledgement took, with arrivals at random moments, so many a second."""
    journal = Journal.open(url)
    done: queue.SimpleQueue[float] = queue.SimpleQueue()
    random = np.random.default_rng(os.getpid())
    due = time.perf_counter()
    until = due + seconds
    sent = 0
    while due < until:
        due += random.exponential(1.0 / a_second)
        time.sleep(max(0.0, due - time.perf_counter()))
        sent += 1
        future = journal.add(Arrival((piece(sent),), time.time(), f"{os.getpid()}-{sent % CALLS}"))
        future.add_done_callback(functools.partial(took, done, due))
    journal.close(30.0)
    return [done.get(timeout=30.0) for _ in range(sent)]


def told(name: str, processes: int, took_s: list[float], seconds: float) -> None:
    """Print one line."""
    ms = 1e3 * np.array(took_s)
    p50, p99, p999 = np.percentile(ms, [50, 99, 99.9])
    rate = len(took_s) / seconds
    print(
        f"{name:<44} {processes} x  {rate:8,.0f} /s   p50 {p50:6.2f}  p99 {p99:6.2f}  p99.9 {p999:6.2f}  "
        f"worst {ms.max():6.1f} ms",
        flush=True,
    )


def measure(url: str, name: str, seconds: float) -> None:
    """All measurements of one journal."""
    print(f"{name}", flush=True)
    for how, amount in (("flood", 1.0), ("flood", 50.0), ("flood", 500.0), ("paced", 200.0), ("paced", 1000.0)):
        for processes in (1, 2):
            command = [sys.executable, __file__, "--child", how, str(amount / (processes if how == "paced" else 1))]
            command += ["--url", url, "--seconds", str(seconds)]
            children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
            took_s = [t for child in children for t in json.loads(child.communicate()[0])]
            what = f"  {amount:.0f} under way each" if how == "flood" else f"  {amount:.0f} a second in all"
            told(what, processes, took_s, seconds)


@contextlib.contextmanager
def postgres() -> Iterator[str | None]:
    """The URL of a cluster of our own, when there is a PostgreSQL."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tests.postgres import programs, running

    if programs() is None:
        yield None
        return
    with running() as cluster:
        yield cluster.database()


def fsync_ms(directory: Path) -> float:
    """Milliseconds that one fsync of 4 kB takes, the median of 200."""
    took_s = []
    with (directory / "probe").open("wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            took_s.append(time.perf_counter() - began)
    return 1e3 * float(np.median(took_s))


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--directory", type=Path)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        how, amount = given.child[0], float(given.child[1])
        run = (
            flood(given.url, int(amount), given.seconds) if how == "flood" else paced(given.url, amount, given.seconds)
        )
        print(json.dumps(run))
        return
    if given.url:
        measure(given.url, given.url, given.seconds)
        return
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        print(f"fsync of 4 kB: {fsync_ms(Path(directory)):.2f} ms; load average {os.getloadavg()[0]:.1f}")
        measure(str(Path(directory) / "calls.sqlite"), "SQLite, WAL, synchronous=FULL", given.seconds)
    with postgres() as url:
        if url is not None:
            measure(url, "PostgreSQL, Unix socket", given.seconds)


if __name__ == "__main__":
    main()
