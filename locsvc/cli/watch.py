"""`locsvc watch`: a live call as it changes."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from locsvc.cli import output
from locsvc.cli.manners import Command
from locsvc.cli.options import CONFIDENCE, FILE, Common, FiniteRange, debug_option, json_option
from locsvc.errors import EXIT_INTERRUPTED, EXIT_OK

if TYPE_CHECKING:
    from locsvc.cli.following import Follower, Message, Messages

# How often a terminal is drawn anew while nothing comes, and the reader of a pipe is looked for.
_BEAT_S = 0.5
_SHOW_CURSOR = b"\x1b[?25h\n"


@click.command(
    cls=Command,
    examples="""\
locsvc watch 4711                                    # on a terminal: the newest answer, drawn anew at each change
locsvc watch 4711 | jq .estimate.radius_m            # in a pipe: one message a line
locsvc watch 4711 --number +441632960168             # open the call if nobody has yet
locsvc watch 4711 --after-revision 5 --fit-radius-m 50 --server 10.0.0.7:50051 --ca authority.pem""",
    epilog="Exit codes: 0 the call has ended, or the pipe's reader has gone, 2 wrong use, 3 the call was erased, 69 no"
    " server, 75 the server has too much to do, 78 --server names no port or needs TLS, or that server has no journal,"
    " 130 Ctrl-C.",
)
@click.argument("call_id", metavar="CALL")
@click.option("--server", metavar="HOST:PORT", default="127.0.0.1:50051", show_default=True, help="The server.")
@click.option("--ca", type=FILE, help="Authority of the server's certificate (PEM); means TLS.")
@click.option("--insecure", is_flag=True, help="No TLS to another machine.")
@click.option("--confidence", type=CONFIDENCE, default=0.9, show_default=True, help="Of the answers, 0.5 to 0.999.")
@click.option("--after-revision", metavar="N", type=click.IntRange(0), default=0, help="Only revisions after this one.")
@click.option("--number", metavar="TEXT", default="", help="The caller's number, E.164; opens a call not known yet.")
@click.option(
    "--heartbeat-s",
    metavar="S",
    type=FiniteRange(0.1, 3600),
    default=5.0,
    show_default=True,
    help="Longest silence of the server; twice that means a broken stream.",
)
@click.option(
    "--fit-radius-m",
    metavar="M",
    type=FiniteRange(1, 100_000),
    help="Widest radius that is fit to dispatch.  [default: the server's]",
)
@click.option("--heartbeats", is_flag=True, help="With JSON: write heartbeats too.")
@click.option(
    "--give-up-s",
    metavar="S",
    type=FiniteRange(0),
    default=300.0,
    show_default=True,
    help="How long a server is looked for after a stream broke.",
)
@json_option
@debug_option
@click.pass_obj
def watch(  # noqa: PLR0913, PLR0917 - one parameter an option
    common: Common,
    call_id: str,
    server: str,
    ca: Path | None,
    insecure: bool,
    confidence: float,
    after_revision: int,
    number: str,
    heartbeat_s: float,
    fit_radius_m: float | None,
    heartbeats: bool,
    give_up_s: float,
) -> int:
    """Watch a live call: the current answer at once, then a new one for each change, until the call has ended.

    On a terminal the newest answer is shown large, with what waiting may bring, and below it what changed and when. In
    a pipe, or with --json, each message is a line of JSON: WatchLocationResponse of the contract. A stream that breaks
    is taken up again after the last revision.
    """
    from locsvc.cli.client import connect
    from locsvc.cli.following import Asked, Follower

    asked = Asked(call_id, after_revision, confidence, heartbeat_s, number, fit_radius_m or 0.0)
    with connect(server, authority=ca, insecure=insecure) as client:

        def opened(one: Asked) -> Messages:
            return client.watch(
                one.call_id,
                after_revision=one.after_revision,
                confidence=one.confidence,
                heartbeat_s=one.heartbeat_s,
                calling_number=one.calling_number,
                fit_radius_m=one.fit_radius_m,
            )

        def following(say: Callable[[str], None]) -> Follower:
            return Follower(opened, asked, beat_s=_BEAT_S, give_up_s=give_up_s, say=say)

        if common.as_json or not sys.stdout.isatty():
            _write_lines(following(_say), heartbeats=heartbeats)
        elif os.environ.get("TERM", "dumb") == "dumb":
            _write_words(following(_say))
        else:
            _draw(following, call_id)
    return EXIT_OK


def _say(message: str) -> None:
    output.talk(f"locsvc: {message}")


def _messages(items: Iterable[Message | None]) -> Iterator[Message]:
    """The messages, until the reader of stdout has gone."""
    for item in items:
        if item is not None:
            yield item
        elif _reader_has_gone():
            raise BrokenPipeError


def _reader_has_gone() -> bool:
    """Whether nobody reads the pipe that stdout is; a write would tell too, but there may be none for minutes."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))
    except (OSError, ValueError):
        return False


def _write_lines(follower: Follower, *, heartbeats: bool) -> None:
    from locsvc.cli.client import as_json

    for message in _messages(follower):
        told = as_json(message)
        if heartbeats or "estimate" in told:
            output.write_json(told, lines=True)


def _write_words(follower: Follower) -> None:
    from locsvc.cli.client import update_of
    from locsvc.cli.screen import line_of

    for message in _messages(follower):
        update = update_of(message)
        if update.estimate is not None:
            click.echo(line_of(update))


def _draw(following: Callable[[Callable[[str], None]], Follower], call_id: str) -> None:
    """Draw the screen at each message and each beat."""
    from rich.live import Live

    from locsvc.cli.client import update_of
    from locsvc.cli.screen import Screen

    screen = Screen(call_id)
    console = output.console()
    live = Live(
        screen.drawn(console, time.time()),
        console=console,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
        vertical_overflow="crop",
    )

    def say(message: str) -> None:
        if sys.stderr.isatty():
            # Above the screen, which would be drawn over it.
            console.print(output.plain(f"locsvc: {message}"))
        else:
            _say(message)

    follower = following(say)
    with _cursor_kept(), live:
        for message in follower:
            if message is not None:
                screen.add(update_of(message), time.time())
            console.size = shutil.get_terminal_size()
            live.update(screen.drawn(console, time.time(), lost=follower.lost), refresh=True)


@contextmanager
def _cursor_kept() -> Iterator[None]:
    """However the process ends meanwhile, the terminal shows its cursor again."""

    def leave(number: int, _frame: FrameType | None) -> None:
        os.write(sys.stdout.fileno(), _SHOW_CURSOR)
        if number == signal.SIGINT:
            os._exit(EXIT_INTERRUPTED)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    with _handled((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), leave):
        yield


@contextmanager
def _handled(numbers: Iterable[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Signals that are not ignored go to the handler."""
    before = {number: signal.getsignal(number) for number in numbers}
    taken = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    for number in taken:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in taken.items():
            signal.signal(number, old)
