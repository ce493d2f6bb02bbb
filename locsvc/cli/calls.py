"""`locsvc calls`: what the journal of live calls holds, and what is to be forgotten."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from locsvc.cli import output, words
from locsvc.cli.journals import asked_number, journal_option, noted, opened, who
from locsvc.cli.manners import Command
from locsvc.cli.options import NEW_FILE, TIME, Common, common_options
from locsvc.errors import EXIT_OK, NotFound

if TYPE_CHECKING:
    from locsvc.calls.journal import Journal
    from locsvc.calls.words import CallRecord, CallSummary, LookUp

# Enough to tell numbers apart; --json has all of it.
_SHOWN_OF_HASH = 12


@click.command(
    cls=Command,
    examples="""\
locsvc calls --data mydata                                    # the newest calls
locsvc calls --live --journal postgresql://db/calls --json
locsvc calls --data mydata --number +441632960168 --since 2026-11-22T00:00:00Z
locsvc calls --data mydata --erase +441632960168 --yes        # everything of a caller
locsvc calls --data mydata --audit                            # who looked at what
locsvc calls --data mydata --learn-arrivals arrivals.toml     # for `locsvc serve --arrivals`""",
    epilog="Exit codes: 0 done, 2 wrong use, 3 no calls to learn from, 69 the journal cannot be reached, 78 there is no"
    " journal, or the file cannot be written.",
)
@journal_option
@click.option("--since", type=TIME, help="Calls that began then or later, RFC 3339; also for --learn-arrivals.")
@click.option("--until", type=TIME, help="Calls that began before, RFC 3339.")
@click.option("--number", metavar="TEXT", default="", help="Calls from this number, E.164.")
@click.option("--live", is_flag=True, help="Calls that have not ended.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(1), default=100, show_default=True, help="Most rows, the newest."
)
@click.option("--erase", metavar="NUMBER", help="Erase all calls from this number, E.164, and what waits for one.")
@click.option(
    "--purge-before", type=TIME, help="Erase calls that ended before, RFC 3339, and evidence that no call took."
)
@click.option("--yes", is_flag=True, help="With --erase and --purge-before: do not ask.")
@click.option("--audit", is_flag=True, help="Show who looked at calls, the newest first; numbers as keyed hashes.")
@click.option(
    "--learn-arrivals",
    metavar="FILE.toml",
    type=NEW_FILE,
    help="Learn when each source speaks, from ended calls, and write it.",
)
@common_options
@click.pass_obj
def calls(  # noqa: PLR0913, PLR0917 - one parameter an option
    common: Common,
    journal: str | None,
    since: float | None,
    until: float | None,
    number: str,
    live: bool,
    limit: int,
    erase: str | None,
    purge_before: float | None,
    yes: bool,
    audit: bool,
    learn_arrivals: Path | None,
) -> int:
    """Show the calls in the journal, newest first; erase some; learn from them.

    The journal is read directly, while servers write it or not. Who looks is noted in it.
    """
    tasks = [erase is not None, purge_before is not None, audit, learn_arrivals is not None]
    if sum(tasks) > 1:
        raise click.UsageError("--erase, --purge-before, --audit and --learn-arrivals exclude each other")
    if (erase is not None or purge_before is not None) and (number or live or since is not None or until is not None):
        raise click.UsageError(
            "--erase and --purge-before take all they name: --number, --live, --since, --until choose what is shown"
        )
    with opened(common, journal) as kept:
        if erase is not None:
            return _erase(kept, asked_number(erase), yes=yes, as_json=common.as_json)
        if purge_before is not None:
            return _purge(kept, purge_before, yes=yes, as_json=common.as_json)
        if audit:
            return _audit(kept, limit, as_json=common.as_json)
        if learn_arrivals is not None:
            return _learn(kept, since, learn_arrivals, as_json=common.as_json)
        chosen = asked_number(number) if number else ""
        found = kept.calls(since=since, until=until, calling_number=chosen, live_only=live, limit=limit)
        noted(kept, "calls", calling_number=chosen)
        return _show(found, as_json=common.as_json)


def _show(found: Sequence[CallSummary], *, as_json: bool) -> int:
    if as_json:
        for call in found:
            output.write_json(_call_json(call), lines=True)
        return EXIT_OK
    rows = [
        (
            call.call_id,
            call.calling_number or "-",
            words.time_text(call.started_at),
            "live" if call.ended_at is None else words.time_text(call.ended_at),
            call.revision,
            call.pieces,
        )
        for call in found
    ]
    names = ("call", "number", "started", "ended", "revisions", "pieces")
    output.show(output.table(names, rows, right=(4, 5)))
    return EXIT_OK


def _call_json(call: CallSummary) -> dict[str, object]:
    from locsvc.formats.spelling import timestamp_text

    told: dict[str, object] = {"call_id": call.call_id, "calling_number": call.calling_number}
    told["started_at"] = timestamp_text(call.started_at)
    if call.ended_at is not None:
        told["ended_at"] = timestamp_text(call.ended_at)
    # 64-bit integers are text, as in the contract.
    return told | {"revision": str(call.revision), "pieces": call.pieces}


def _agreed(question: str, *, yes: bool) -> bool:
    """Whether what cannot be undone is wanted.

    Raises
    ------
    click.UsageError
        There is nobody to ask.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise click.UsageError("this cannot be undone: give --yes")
    return click.confirm(question, err=True)


def _count(number: int) -> str:
    return f"{number:,} call{'' if number == 1 else 's'}"


def _erase(kept: Journal, number: str, *, yes: bool, as_json: bool) -> int:
    if not _agreed(f"Erase all calls from {number}, with their evidence and estimates?", yes=yes):
        output.talk("locsvc: nothing was erased")
        return EXIT_OK
    erased = kept.erase(number, who(), time.time())
    if as_json:
        output.write_json({"erased": erased}, lines=True)
    else:
        click.echo(f"{_count(erased)} from {number} erased")
    return EXIT_OK


def _purge(kept: Journal, before: float, *, yes: bool, as_json: bool) -> int:
    if not _agreed(f"Erase all calls that ended before {words.time_text(before)}?", yes=yes):
        output.talk("locsvc: nothing was erased")
        return EXIT_OK
    purged = kept.purge(before, who(), time.time())
    if as_json:
        output.write_json({"purged": purged}, lines=True)
    else:
        click.echo(f"{_count(purged)} that ended before {words.time_text(before)} erased")
    return EXIT_OK


def _audit(kept: Journal, limit: int, *, as_json: bool) -> int:
    found = kept.audit(limit)
    if as_json:
        for look in found:
            output.write_json(_look_json(look), lines=True)
        return EXIT_OK
    rows = [
        (
            words.time_text(look.at),
            look.who,
            look.method,
            look.call_id or "-",
            look.calling_number[:_SHOWN_OF_HASH] or "-",
        )
        for look in found
    ]
    output.show(output.table(("at", "who", "method", "call", "number (keyed hash)"), rows))
    return EXIT_OK


def _look_json(look: LookUp) -> dict[str, object]:
    from locsvc.formats.spelling import timestamp_text

    told = {
        "at": timestamp_text(look.at),
        "who": look.who,
        "method": look.method,
        "call_id": look.call_id,
        "calling_number_hash": look.calling_number,
    }
    return {name: value for name, value in told.items() if value}


def _learn(kept: Journal, since: float | None, file: Path, *, as_json: bool) -> int:
    """Write the arrival times that the journal's calls have.

    Raises
    ------
    NotFound
        There are no calls to learn from.
    ConfigError
        The file cannot be written.
    """
    from locsvc.calls.experience import learned_from

    progress = output.progress("calls")
    count = 0

    def counted() -> Iterator[CallRecord]:
        nonlocal count
        for record in kept.arrivals(since):
            count += 1
            if progress is not None:
                progress(count)
            yield record

    arrivals, used = learned_from(counted(), kept.given)
    output.end_progress()
    if not count:
        raise NotFound("the journal has no calls to learn from; widen --since")
    if not used:
        raise NotFound(
            f"there are no calls to learn from: of {_count(count)} none is over, or two minutes old, and was told of"
            " within two minutes of its start; nothing was written; widen --since"
        )
    output.write_file(file, arrivals.to_toml())
    if as_json:
        output.write_json({"calls": used, "looked_at": count, "file": str(file)}, lines=True)
    else:
        click.echo(f"arrival times learned from {used:,} of {_count(count)}; written to {file}")
    return EXIT_OK
