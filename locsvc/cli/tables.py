"""What the commands that read tables share: names of columns, progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click

from locsvc.errors import ConfigError

FORMATS_IN = ("parquet", "csv", "jsonl")
_PROGRESS_S = 0.5


def pairs(mapped: tuple[str, ...]) -> dict[str, str]:
    """`theirs=ours` as names.

    Raises
    ------
    click.BadParameter
        One is no pair.
    """
    found: dict[str, str] = {}
    for text in mapped:
        theirs, equals, ours = text.rpartition("=")
        if not (theirs and equals and ours):
            raise click.BadParameter(f"--map {text!r}: write the input's name, =, and ours, as CellID=cell")
        found[theirs.strip()] = ours.strip()
    return found


def without_arrow(error: ModuleNotFoundError, command: str) -> ConfigError:
    """What to tell of a missing module: how to install Arrow, if that is the one.

    Raises
    ------
    ModuleNotFoundError
        It is another.
    """
    if error.name is None or error.name.partition(".")[0] != "pyarrow":
        raise error
    return ConfigError(f"{command} needs pyarrow: install it with `pip install 'locsvc[batch]'`")


def progress(what: str) -> Callable[[int, float | None], None] | None:
    """A line with a count, its rate and the time left on stderr; None when that is not a terminal."""
    if not sys.stderr.isatty():
        return None
    began_s = last_s = time.monotonic()
    began_share: float | None = None

    def show(count: int, share: float | None) -> None:
        nonlocal last_s, began_share
        now_s = time.monotonic()
        if began_share is None:
            began_share = share or 0.0
        if now_s - last_s < _PROGRESS_S:
            return
        last_s = now_s
        text = f"{count:,} {what}, {count / (now_s - began_s):,.0f} a second"
        if share is not None and share > began_share:
            left_s = (now_s - began_s) * (1 - share) / (share - began_share)
            text += f", {share:.0%}, {time_text(left_s)} left"
        click.echo(f"\r{text}\x1b[K", err=True, nl=False)

    return show


def time_text(seconds: float) -> str:
    """A length of time for a person.

    >>> time_text(75), time_text(7300)
    ('1:15', '2:01:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
