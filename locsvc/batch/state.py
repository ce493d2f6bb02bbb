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
import zlib
from pathlib import Path
from typing import Any

from locsvc.batch.outputs import sync_directory
from locsvc.batch.tally import Tally
from locsvc.errors import ConfigError

PLAN, JOURNAL, LOCK = "plan.json", "journal.jsonl", "lock"


class State:
    """The state directory of a run.

    `done` are the numbers of the parts that were finished before, `counted` is what was counted in them.
    """

    def __init__(self, target: Path, plan: dict[str, Any], *, resume: bool) -> None:
        """Raises `ConfigError` when there is an unfinished run that is not to be resumed, or of another plan."""
        self.folder = folder_of(target)
        found = (self.folder / PLAN).exists()
        if found and not resume:
            raise ConfigError(f"{self.folder} holds an unfinished run: go on with --resume, or remove it")
        if not target.parent.is_dir():
            raise ConfigError(f"{target}: there is no folder {target.parent}; make it, or give another name")
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
        self.done: frozenset[int] = frozenset()
        self.counted = Tally()
        self._journal = (self.folder / JOURNAL).open("ab")
        self._take_up()

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

    def _take_up(self) -> None:
        """Parts that are finished, and what was counted in them; what was half written of the journal is cut off."""
        journal = self.folder / JOURNAL
        # A part that was lost and made again has two lines, of which the last counts.
        line_of: dict[int, int] = {}
        end = 0
        with journal.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    end += len(line)
                    entry = self._entry(line)
                    if entry is not None:
                        line_of[entry[0]] = end
        with journal.open("rb") as lines:
            at = 0
            for line in lines:
                at += len(line)
                entry = self._entry(line)
                if entry is not None and line_of.get(entry[0]) == at:
                    self.counted.add(entry[1])
        self._journal.truncate(end)
        self.done = frozenset(line_of)

    def _entry(self, line: bytes) -> tuple[int, Tally] | None:
        """Number and counts of a finished part; None when the line, or the part, is not as it was written."""
        try:
            entry = json.loads(line)
            number, size, tally = entry["part"], entry["size"], Tally.from_json(entry["tally"])
        except (ValueError, KeyError, TypeError, zlib.error):
            return None
        part = self.part(number)
        return (number, tally) if part.exists() and part.stat().st_size == size else None

    def part(self, number: int) -> Path:
        """The file of a part."""
        return self.folder / f"part-{number:08d}"

    def finished(self, number: int, size: int, tally: Tally) -> None:
        """Note a part that is on the disk."""
        line = json.dumps({"part": number, "size": size, "tally": tally.to_json()}, separators=(",", ":"))
        self._journal.write(line.encode() + b"\n")
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
