"""A process that adds evidence to a journal and says what was acknowledged, until it is killed.

python sender.py URL NAME: each line is a call, the piece's name and the revision, written when the piece is kept.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from concurrent.futures import Future

from locsvc.calls.journal import Journal
from locsvc.calls.words import Arrival, Kept
from locsvc.errors import Unavailable
from locsvc.model import Circle, DeviceReport, Evidence, LatLng

UNDER_WAY = 20


def main(url: str, name: str) -> None:
    """Send until the end."""
    journal = opened(url)
    room = threading.Semaphore(UNDER_WAY)

    def acknowledged(future: Future[Kept]) -> None:
        kept = future.result()
        # One write: a kill leaves whole lines.
        os.write(1, f"{kept.call_id} {kept.evidence_ids[0]} {kept.revision}\n".encode())
        room.release()

    for count in itertools.count():
        room.acquire()
        report = DeviceReport(Circle(LatLng(55.0 + count * 1e-6, 2.5), 12.0))
        arrival = Arrival((Evidence(report, f"{name}-{count}", provider=name),), 1_773_489_600.0, f"c-{count % 7}")
        journal.add(arrival).add_done_callback(acknowledged)
        # Those that start meanwhile need the processor too.
        time.sleep(0.005)


def opened(url: str) -> Journal:
    """The journal, tried again while it cannot be reached, as by a server: others hold its lock or stand still."""
    while True:
        try:
            return Journal.open(url)
        except Unavailable:
            time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
