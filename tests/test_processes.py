"""Processes beside one: what they return, and that nothing of them is waited for or left when a run goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from locsvc.errors import Unavailable
from locsvc.processes import processes

# One that is killed when half of what it returns is in the pipe.
HALF_WRITTEN = """
import os, struct, sys, time
from pathlib import Path
from locsvc.processes import processes

def nothing():
    pass

def half(mark):
    frame = sys._getframe()
    while frame.f_code.co_name != "_process_worker":
        frame = frame.f_back
    os.write(frame.f_locals["result_queue"]._writer.fileno(), struct.pack("!i", 1_000) + b"half")
    Path(mark).touch()
    time.sleep(600)

if __name__ == "__main__":
    mark = Path(sys.argv[1])
    try:
        with processes(1, nothing, (), "") as submit:
            submit(half, str(mark))
            while not mark.exists():
                time.sleep(0.01)
            raise ValueError("the reader went away")
    except ValueError as error:
        print(error)
"""


def test_what_a_killed_process_has_half_written_is_not_waited_for(tmp_path: Path) -> None:
    program = tmp_path / "half.py"
    program.write_text(HALF_WRITTEN)
    command = [sys.executable, str(program), str(tmp_path / "mark")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "the reader went away\n"


def test_work_is_done_in_other_processes_and_its_results_come_back() -> None:
    with processes(2, print, (), "") as submit:
        assert [submit(pow, k, 2).result() for k in range(3)] == [0, 1, 4]


def test_a_process_that_cannot_begin_is_told_with_the_remedy() -> None:
    with (
        pytest.raises(Unavailable, match=r"killed or could not begin .*; use --workers 1"),
        processes(1, sys.exit, (3,), "use --workers 1") as submit,
    ):
        submit(pow, 2, 2).result()
