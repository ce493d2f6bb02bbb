"""A run that can be taken up again: finished parts and a journal in a directory beside the output.

`OUT.parts/` holds `plan.json` (what the run is: its parts fit no other), `part-<n>` and `journal.jsonl` (one line a
finished part, after the part itself is safely on the disk). A process that is killed leaves parts without a line, which
are made anew, and half a line at most, which is not counted.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import Any

from locsvc.batch.outputs import sync_directory
from locsvc.batch.tally import Tally
from locsvc.errors import ConfigError

PLAN, JOURNAL, LOCK = "plan.json", "journal.jsonl", "lock"


class State:
    """The state directory of a run."""

    def __init__(self, target: Path, plan: dict[str, Any], *, resume: bool) -> None:
        """Raises `ConfigError` when there is an unfinished run that is not to be resumed, or of another plan."""
        self.folder = folder_of(target)
        found = (self.folder / PLAN).exists()
        if found and not resume:
            raise ConfigError(f"{self.folder} holds an unfinished run: go on with --resume, or remove it")
        try:
            self.folder.mkdir(exist_ok=True)
            self._lock = (self.folder / LOCK).open("w")
        except OSError as error:
            raise ConfigError(f"{self.folder} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"another process is at work on {target}") from None
        if found:
            self._check(plan)
        else:
            write_safely(self.folder / PLAN, json.dumps(plan, indent=2).encode())
        self.done = self._read_journal()
        # What was half written is cut off, so that the next line begins a line.
        self._journal = (self.folder / JOURNAL).open("wb")
        for number, line in self.done.items():
            self._write(number, *line)
        self._sync()

    def _check(self, plan: dict[str, Any]) -> None:
        try:
            held = json.loads((self.folder / PLAN).read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.folder / PLAN} cannot be read ({error}); remove {self.folder}") from None
        for name, value in plan.items():
            if held.get(name) != value:
                raise ConfigError(
                    f"{self.folder} is of another run: {name} was {held.get(name)!r} and is {value!r};"
                    " give what was given then, or remove it"
                )

    def _read_journal(self) -> dict[int, tuple[int, Tally]]:
        """Finished parts: number -> size and counts."""
        done: dict[int, tuple[int, Tally]] = {}
        try:
            lines = (self.folder / JOURNAL).read_bytes().split(b"\n")
        except FileNotFoundError:
            return done
        for line in lines[:-1]:
            try:
                entry = json.loads(line)
                number, size = entry["part"], entry["size"]
                tally = Tally.from_json(entry["tally"])
            except (ValueError, KeyError, TypeError):
                continue
            part = self.part(number)
            if part.exists() and part.stat().st_size == size:
                done[number] = (size, tally)
        return done

    def part(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f"part-{number:08d}"

    def finished(self, number: int, size: int, tally: Tally) -> None:
        """Note a part that is on the disk."""
        self._write(number, size, tally)
        self._sync()
        self.done[number] = (size, tally)

    def _write(self, number: int, size: int, tally: Tally) -> None:
        line = json.dumps({"part": number, "size": size, "tally": tally.to_json()}, separators=(",", ":"))
        self._journal.write(line.encode() + b"\n")

    def _sync(self) -> None:
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def close(self) -> None:
        """Let go of the directory."""
        self._journal.close()
        self._lock.close()

    def remove(self) -> None:
        """Take the directory away: the output is whole."""
        # The plan first: without it there is no run to resume.
        (self.folder / PLAN).unlink(missing_ok=True)
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def folder_of(target: Path) -> Path:
    """The state directory of an output.

    >>> folder_of(Path("answers.parquet")).name
    'answers.parquet.parts'
    """
    return target.with_name(f"{target.name}.parts")


def write_safely(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, also after a loss of power.

    Raises
    ------
    OSError
        It cannot be written.
    """
    draft = path.with_name(f"{path.name}.draft")
    try:
        with draft.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)
