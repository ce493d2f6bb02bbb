"""A real import of cells, killed with SIGKILL while it reads, sorts, indexes or publishes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from locsvc.model import CellFallback
from locsvc.reference.cells import CellQueries, CellStore, import_cells
from locsvc.reference.snapshot import Draft, Snapshot, current_id

ROWS = 20_000
IMPORTS = """
import sys
from pathlib import Path
from locsvc.reference.cells import import_cells
from locsvc.reference.snapshot import Draft
print("ready", flush=True)
while True:
    with Draft.begin(Path(sys.argv[1])) as draft:
        import_cells(draft, Path(sys.argv[2]), name="cells")
        draft.publish()
    print("published", flush=True)
"""


def write_table(file: Path) -> None:
    lines = [
        f"LTE,272,1,{1 + n % 50},{256 + n},,{-10 + n / 5000},{50 + n / 5000},1000,5,1,0,1700000000,0"
        for n in range(ROWS)
    ]
    file.write_text("\n".join(lines))


def ask(cells: np.ndarray) -> CellQueries:
    size = len(cells)
    unknown = np.full(size, -1, np.int32)
    nowhere = np.full(size, np.nan)
    networks = np.full(size, 3, np.int8), np.full(size, 272, np.int16), np.full(size, 1, np.int16)
    return CellQueries(*networks, unknown, cells.astype(np.int64), unknown, unknown, nowhere, nowhere)


def test_an_import_of_cells_killed_at_any_moment(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    source, data = tmp_path / "cells.csv", tmp_path / "data"
    write_table(source)
    with Draft.begin(data) as draft:
        import_cells(draft, source, name="cells")
        draft.publish()
    seen = {current_id(data)}
    numbers = np.arange(0, ROWS, 97)
    for round_ in range(10):
        process = subprocess.Popen([sys.executable, "-c", IMPORTS, str(data), str(source)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if round_ % 2:
            # On a slow machine too some imports come through before theirs is killed.
            assert process.stdout.readline() == b"published\n"
        time.sleep(dice.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        snapshot = Snapshot.open(data)
        seen.add(snapshot.id)
        places = CellStore.open(snapshot.entries("cells")).place(ask(256 + numbers))
        assert (places.step == CellFallback.CENTROID).all()
        np.testing.assert_allclose(places.latitude_deg, 50 + numbers / 5000, atol=1e-7)
    assert len(seen) > 5
    with Draft.begin(data, wait=False) as draft:
        draft.publish()
    assert sorted(p.name for p in data.iterdir()) == [".lock", "CURRENT", "snapshots"]
