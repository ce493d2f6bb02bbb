"""`locsvc decode`: what a message of the field says."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from locsvc.cli import output
from locsvc.cli.manners import Command
from locsvc.cli.options import FILE, NEW_FILE, TIME, Common, common_options
from locsvc.errors import EXIT_OK, BadData
from locsvc.formats.messages import FORMATS
from locsvc.formats.ranges import MAX_RAW_BYTES
from locsvc.formats.reading import Reading

_AUTO = "auto"
_EXAMPLES = """\
locsvc decode aml message.txt
locsvc decode pidf-lo presence.xml --json
locsvc decode auto - < message                              # the format is told by how it begins
locsvc decode ali display.txt --layout county.toml          # a display of your own
locsvc decode gad shape.hex --map shape.html"""


@click.command(
    cls=Command,
    examples=_EXAMPLES,
    epilog="Exit codes: 0 read, even when it says no place; 2 wrong use; 65 unreadable, or no format that auto knows.",
)
@click.argument("name", metavar="FORMAT", type=click.Choice((*FORMATS, _AUTO), case_sensitive=False))
@click.argument("source", metavar="FILE", type=click.Path(allow_dash=True, path_type=Path))
@click.option("--arrived", type=TIME, help="When it came, RFC 3339; with ali else now.")
@click.option("--layout", type=FILE, help="With ali: where the fields of the display stand (TOML).")
@click.option(
    "--map", "page", metavar="FILE.html", type=NEW_FILE, help="Draw the shapes on a map that needs no network."
)
@common_options
@click.pass_obj
def decode(
    common: Common, name: str, source: Path, arrived: float | None, layout: Path | None, page: Path | None
) -> int:
    """Show what one message says: evidence, warnings, details.

    FORMAT is one of aml, pidf-lo, held, sip, gad, ali, mlp, access-network, rfc7105, or auto. FILE holds one message,
    as it came; `-` is stdin.
    """
    from locsvc.cli.readings import drawn, reading_to_json, show_reading

    message = _message(source)
    if name == _AUTO:
        name = _recognised(message)
    # Displays leave the year out; to the others "now" would say no more than that the message is old.
    now = time.time() if name == "ali" else None
    reading = _read(name, message, now if arrived is None else arrived, layout)
    if common.as_json:
        output.write_json(reading_to_json(name, reading))
    else:
        show_reading(name, reading)
    if page is not None:
        html = drawn(name, reading)
        if html is None:
            output.talk("locsvc: no map was written, as nothing in the message is a place")
        else:
            output.write_file(page, html)
            output.talk(f"map written to {page}")
    return EXIT_OK


def _message(source: Path) -> bytes:
    """The bytes of a file, or of stdin for `-`; a little more than a message may have, so that too many are noticed."""
    if str(source) == "-":
        if sys.stdin.isatty():
            output.talk("reading a message from the terminal; end with Ctrl-D")
        return sys.stdin.buffer.read(MAX_RAW_BYTES + 1)
    try:
        with source.open("rb") as file:
            return file.read(MAX_RAW_BYTES + 1)
    except OSError as error:
        raise BadData(f"{source} cannot be read: {error.strerror}") from None


def _recognised(message: bytes) -> str:
    from locsvc.formats.recognition import recognised

    name = recognised(message)
    if name is None:
        raise BadData(f"the message does not tell its format; name it: {', '.join(FORMATS)}")
    output.talk(f"locsvc: read as {name}")
    return name


def _read(name: str, message: bytes, arrived_at: float | None, layout: Path | None) -> Reading:
    if layout is None:
        from locsvc.formats import messages

        return messages.read(name, message, arrived_at=arrived_at)
    if name != "ali":
        raise click.UsageError(f"--layout is for ali; {name} has none")
    from locsvc.formats import ali

    chosen = ali.Layout.from_toml(layout.read_text(encoding="utf-8", errors="replace"))
    return ali.read(message[: MAX_RAW_BYTES + 1], arrived_at=arrived_at, layouts=(chosen,))
