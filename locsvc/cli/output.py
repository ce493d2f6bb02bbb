"""What goes to stdout and stderr: JSON, tables, talk, progress."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from locsvc.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# A file or a pipe has no width; this one holds the widest table without folding.
_WIDTH_OF_A_FILE = 140
# A terminal is told of progress this often at most.
_PROGRESS_S = 0.2


def plain(text: object) -> str:
    """The text without control characters, which a terminal would obey.

    >>> plain(chr(27) + "[31mred" + chr(7))
    '?[31mred?'
    """
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "?" for c in str(text))


def write_json(value: object, *, lines: bool = False) -> None:
    """Write a value as JSON to stdout: on one line, or else indented."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=None if lines else 2))


def talk(message: str) -> None:
    """Say something on stderr."""
    click.echo(plain(message), err=True)


def coloured() -> bool:
    """Whether stdout may be coloured: a terminal, and NO_COLOR is not set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def console() -> Console:
    """Stdout for tables; rich is imported here, as it costs half of the start."""
    from rich.console import Console

    width = shutil.get_terminal_size((_WIDTH_OF_A_FILE, 24)).columns if sys.stdout.isatty() else _file_width()
    return Console(
        file=sys.stdout,
        width=width,
        color_system="auto" if coloured() else None,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )


def _file_width() -> int:
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isdigit() and int(given) > 0 else _WIDTH_OF_A_FILE


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[int] = ()) -> Table:
    """A plain table; `right` are the columns of numbers."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, name in enumerate(columns):
        made.add_column(name, justify="right" if place in right else "left", overflow="fold", no_wrap=place in right)
    for row in rows:
        made.add_row(*(Text(plain(cell)) for cell in row))
    return made


def facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Names and what they are, without lines."""
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, text in rows:
        made.add_row(Text(name, style="dim"), Text(plain(text)))
    return made


def show(*parts: object) -> None:
    """Write tables and lines to stdout, without spaces at the ends of lines."""
    target = console()
    with target.capture() as captured:
        for part in parts:
            target.print(part)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()), color=True)


def progress(what: str) -> Callable[[int], None] | None:
    """A function that shows a rising count on stderr; None when that is not a terminal."""
    if not sys.stderr.isatty():
        return None
    last_s = time.monotonic()

    def show_count(count: int) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= _PROGRESS_S:
            last_s = time.monotonic()
            click.echo(f"\r{count:,} {what}\x1b[K", err=True, nl=False)

    return show_count


def end_progress() -> None:
    """Clear the line of progress."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)


def write_file(path: Path, text: str) -> None:
    """Write a file that was asked for.

    Raises
    ------
    ConfigError
        It cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None
