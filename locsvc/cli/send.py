"""`locsvc send`: evidence for a live call, from a file or as it came."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from locsvc import model
from locsvc.cli import output
from locsvc.cli.manners import Command, say_error
from locsvc.cli.options import FILE, TIME, Common, FiniteRange, debug_option, json_option
from locsvc.errors import EXIT_OK, BadData, FieldViolation, InvalidInput, Overloaded, Unavailable, meaning_of
from locsvc.formats.messages import FORMATS

if TYPE_CHECKING:
    from locsvc.calls.words import Kept
    from locsvc.cli.sending import Sending
    from locsvc.rpc.client import Client

_AUTO = "auto"
# Between two tries; doubled from the least to the most, unless the server says when to come back.
_LEAST_PAUSE_S, _MOST_PAUSE_S = 0.1, 2.0


@click.command(
    cls=Command,
    examples="""\
locsvc send 4711 cell.json                                       # pieces of evidence as JSON, to the call 4711
locsvc send 4711 aml.txt --provider handset                      # a message as it came; its format is told
locsvc send --number +441632960168 presence.xml --format pidf-lo # a sender that knows only the number
locsvc send calls.jsonl                                          # whole calls, each under its own name
locsvc send 4711 --end                                           # the call is over""",
    epilog="Exit codes: 0 safe on the server's disk, 2 wrong use or a field out of range, 3 no call to end, 4 deadline,"
    " 65 a line cannot be read, 69 no server, 75 the server has too much to do, 78 --server names no port or needs TLS,"
    " or that server has no journal.",
)
@click.argument("words", metavar="[CALL] FILE", nargs=-1)
@click.option("--server", metavar="HOST:PORT", default="127.0.0.1:50051", show_default=True, help="The server.")
@click.option("--ca", type=FILE, help="Authority of the server's certificate (PEM); means TLS.")
@click.option("--insecure", is_flag=True, help="No TLS to another machine.")
@click.option("--number", metavar="TEXT", default="", help="The caller's number, E.164; enough without CALL.")
@click.option("--started-at", type=TIME, help="When the call began, RFC 3339.")
@click.option(
    "--format",
    "form",
    type=click.Choice((*FORMATS, _AUTO), case_sensitive=False),
    default=_AUTO,
    show_default=True,
    help="Format of the message; auto knows JSON of the contract and what `decode auto` knows.",
)
@click.option("--provider", metavar="TEXT", default="", help="Who said it, where the file does not say.")
@click.option("--observed-at", type=TIME, help="When it was true, RFC 3339, where the file does not say.")
@click.option("--evidence-id", metavar="TEXT", default="", help="Name of the piece, where there is one alone.")
@click.option("--end", is_flag=True, help="End the call, after FILE where one is given.")
@click.option(
    "--give-up-s",
    metavar="S",
    type=FiniteRange(0),
    default=30.0,
    show_default=True,
    help="How long a server that cannot be reached, or has too much to do, is tried again.",
)
@json_option
@debug_option
@click.pass_obj
def send(  # noqa: PLR0913, PLR0917 - one parameter an option
    common: Common,
    words: tuple[str, ...],
    server: str,
    ca: Path | None,
    insecure: bool,
    number: str,
    started_at: float | None,
    form: str,
    provider: str,
    observed_at: float | None,
    evidence_id: str,
    end: bool,
    give_up_s: float,
) -> int:
    """Send evidence to a live call, and open the call when it is the first.

    FILE holds evidence as JSON (an object, a list, or one object a line), whole calls as JSON, or one message as the
    field sent it; `-` is stdin. What is one call's goes in one request. Pieces without a name are given one that
    follows from what they say, so a file may be sent again: what is known already counts once.
    """
    from locsvc.cli.client import connect

    call_id, source = _meant(words, end=end)
    given = model.Call(call_id, number, started_at)
    piece = model.Evidence(None, evidence_id, provider, observed_at)
    sendings = list(_sendings(source, form.lower(), given, piece)) if source is not None else []
    with connect(server, authority=ca, insecure=insecure, timeout_s=max(give_up_s, 10.0)) as client:
        worst = _send_all(client, sendings, give_up_s, as_json=common.as_json)
        if end:
            _end(client, call_id, as_json=common.as_json)
    return worst


def _meant(words: tuple[str, ...], *, end: bool) -> tuple[str, Path | None]:
    """The call, empty when it is not named, and the file."""
    if end and len(words) == 1:
        return words[0], None
    if len(words) == 1:
        return "", Path(words[0])
    if len(words) == 2:
        return words[0], Path(words[1])
    raise click.UsageError("give CALL and FILE only" if words else "nothing to send: give FILE, or CALL and FILE")


def _sendings(source: Path, form: str, given: model.Call, piece: model.Evidence) -> Iterator[Sending]:
    """What is to be sent, with what the options say."""
    from locsvc.cli.sending import file_bytes, read_sendings

    name = "stdin" if str(source) == "-" else str(source)
    found = list(read_sendings(name, file_bytes(source, _bytes(source)), form))
    calls = {one.call.call_id for one in found if one.error is None and one.call.call_id}
    if given.call_id and len(calls) > 1:
        raise click.UsageError(f"{name} holds {len(calls)} calls, which have names of their own; leave CALL out")
    pieces = sum(len(one.call.evidence) for one in found)
    if piece.evidence_id and pieces != 1:
        raise click.UsageError(f"--evidence-id names one piece; {name} holds {pieces}")
    for one in found:
        call = replace(
            one.call,
            call_id=given.call_id or one.call.call_id,
            calling_number=given.calling_number or one.call.calling_number,
            started_at=one.call.started_at if given.started_at is None else given.started_at,
            evidence=tuple(_completed(own, piece) for own in one.call.evidence),
        )
        yield replace(one, call=call)


def _completed(own: model.Evidence, given: model.Evidence) -> model.Evidence:
    """The piece, with what the options say where it says nothing."""
    return replace(
        own,
        evidence_id=own.evidence_id or given.evidence_id,
        provider=own.provider or given.provider,
        observed_at=given.observed_at if own.observed_at is None else own.observed_at,
    )


def _bytes(source: Path) -> bytes:
    if str(source) == "-":
        if sys.stdin.isatty():
            output.talk("reading evidence from the terminal; end with Ctrl-D")
        return sys.stdin.buffer.read()
    try:
        return source.read_bytes()
    except OSError as error:
        raise BadData(f"{source} cannot be read: {error.strerror}") from None


def _send_all(client: Client, sendings: list[Sending], give_up_s: float, *, as_json: bool) -> int:
    """Send one after the other; one that is wrong is told and costs only itself, unless it is the only one."""
    from locsvc.cli.sending import checked, portions

    worst = EXIT_OK
    for one in sendings:
        try:
            if one.error is not None:
                raise one.error
            for portion in portions(checked(one.call)):
                _tell(_sent(client, portion, give_up_s), portion, as_json=as_json)
            _warn_of_unread(one)
        except (BadData, InvalidInput) as error:
            if len(sendings) == 1:
                raise
            say_error(output.plain(f"{one.place}: {error}"))
            worst = meaning_of(BadData()).exit_code
    return worst


def _warn_of_unread(one: Sending) -> None:
    """Say of messages that cannot be read that they were kept, and are of no use as they are."""
    from locsvc.cli.sending import unread

    found = list(unread(one.call, time.time()))
    if not found:
        return
    form, reason = found[0]
    more = "" if len(found) == 1 else f", and {len(found) - 1:,} message{'' if len(found) == 2 else 's'} more"
    output.talk(
        output.plain(
            f"locsvc: warning: {one.place}: kept as it came, but it cannot be read as {form} and tells no place"
            f" ({reason}){more}; `locsvc decode {form} FILE` tells more, and --format auto finds the format of most"
        )
    )


def _sent(client: Client, call: model.Call, give_up_s: float) -> Kept:
    """What became of a portion; a server that cannot take it now is tried again, which is safe as pieces have names."""
    until, pause_s, told = time.monotonic() + give_up_s, _LEAST_PAUSE_S, False
    while True:
        try:
            return client.add_evidence(
                call.evidence, call_id=call.call_id, calling_number=call.calling_number, started_at=call.started_at
            )
        except (Unavailable, Overloaded) as error:
            wait_s = max(pause_s, error.retry_after_s) if isinstance(error, Overloaded) else pause_s
            left_s = until - time.monotonic()
            if left_s < wait_s:
                raise
            if not told:
                told = True
                output.talk(f"locsvc: {error}; trying again for {left_s:.0f} s")
            time.sleep(wait_s)
            pause_s = min(2 * pause_s, _MOST_PAUSE_S)


def _tell(kept: Kept, call: model.Call, *, as_json: bool) -> None:
    if as_json:
        told = {
            "call_id": kept.call_id,
            "added": kept.added,
            "duplicates": kept.duplicates,
            # 64-bit integers are text in the proto3 JSON mapping.
            "revision": str(kept.revision),
            "evidence_ids": list(kept.evidence_ids),
        }
        output.write_json(told, lines=True)
        return
    pieces = f"{kept.added} piece{'' if kept.added == 1 else 's'} added"
    known = f", {kept.duplicates} known already" if kept.duplicates else ""
    names = f" ({', '.join(kept.evidence_ids)})" if len(kept.evidence_ids) <= 3 else ""
    if kept.call_id:
        click.echo(output.plain(f"call {kept.call_id}: {pieces}{known}{names}; revision {kept.revision}"))
    else:
        click.echo(output.plain(f"{pieces}{known}{names}; kept until a call from {call.calling_number} comes"))


def _end(client: Client, call_id: str, *, as_json: bool) -> None:
    from locsvc.cli.answers import line_of
    from locsvc.formats.call_json import estimate_to_json

    if not call_id:
        raise InvalidInput([FieldViolation("call_id", "is empty: name the CALL that is over")])
    estimate = client.end_call(call_id)
    if as_json:
        output.write_json(estimate_to_json(estimate), lines=True)
    else:
        click.echo(f"call ended; the last answer: {line_of(estimate, call_id)}")
