"""`locsvc replay`: each revision of journalled calls computed again and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from locsvc.cli import output, words
from locsvc.cli.journals import journal_option, noted, opened
from locsvc.cli.manners import Command
from locsvc.cli.options import Common, common_options
from locsvc.errors import EXIT_OK, BadData, DatasetError, NotFound, meaning_of

if TYPE_CHECKING:
    from locsvc.calls.journal import Journal
    from locsvc.calls.replay import Replayed

# Calls that the journal lists at once.
_MOST_CALLS = 1_000_000


# Rows of estimates that are not equal, with --all; --json has all of them.
_MOST_ROWS = 200


@dataclass(slots=True)
class _Sum:
    """What all calls came to."""

    calls: int = 0
    estimates: int = 0
    differ: int = 0
    other_data: int = 0
    rows: list[tuple[str, Replayed]] = field(default_factory=list)

    def add(self, call_id: str, found: Sequence[Replayed], *, every: bool) -> None:
        """Count a call; of many only what is not equal is kept to be shown."""
        from locsvc.calls.replay import Verdict

        self.calls += 1
        self.estimates += len(found)
        self.differ += sum(one.verdict is Verdict.DIFFERS for one in found)
        self.other_data += sum(one.verdict is Verdict.OTHER_DATA for one in found)
        self.rows += [(call_id, one) for one in found if not (every and one.equal)][: _MOST_ROWS - len(self.rows)]


@click.command(
    cls=Command,
    examples="""\
locsvc replay 4711 --data mydata                  # one call, a line for each estimate that was given
locsvc replay --all --data mydata --limit 1000    # the newest 1,000 calls
locsvc replay --all --journal postgresql://db/calls --data mydata --json > replay.jsonl""",
    epilog="Exit codes: 0 all equal, 2 wrong use, 3 no such call, 65 an estimate differs, 66 none differs, but some"
    " were made with other reference data or calibration, 69 the journal cannot be reached, 78 there is no journal.",
)
@click.argument("call_id", metavar="[CALL]", required=False)
@click.option("--all", "every", is_flag=True, help="All calls of the journal, newest first.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="With --all: at most so many calls.")
@journal_option
@common_options
@click.pass_obj
def replay(common: Common, call_id: str | None, every: bool, limit: int | None, journal: str | None) -> int:
    """Compute each estimate of a journalled call again, from the evidence as it had arrived, and compare.

    Estimates are equal to the last bit, or they differ, and then it is said in what. One that was made with another
    snapshot or calibration than the data directory's proves nothing and is told apart.
    """
    from locsvc.calls.replay import replay as replayed
    from locsvc.cli.resolve import resolver_of, warmed

    if every == (call_id is not None):
        raise click.UsageError("give either CALL or --all")
    if limit is not None and not every:
        raise click.UsageError("--limit is for --all")
    with opened(common, journal) as kept:
        names = _names(kept, call_id, limit)
        resolver = resolver_of(common)
        warmed(resolver)
        progress = output.progress("calls replayed") if every else None
        total = _Sum()
        for name in names:
            record = kept.record(name)
            if record is None:
                # Erased since it was listed.
                continue
            found = replayed(record, kept.given(name), resolver)
            total.add(name, found, every=every)
            if common.as_json:
                output.write_json(_call_json(name, found), lines=True)
            if progress is not None:
                progress(total.calls)
        output.end_progress()
    if not common.as_json:
        _show(total)
    return _exit_code(total)


def _names(kept: Journal, call_id: str | None, limit: int | None) -> list[str]:
    """The calls that are meant; that somebody looked is noted.

    Raises
    ------
    NotFound
        There is no such call.
    """
    noted(kept, "replay", call_id=call_id or "")
    if call_id is not None:
        if kept.record(call_id) is None:
            raise NotFound(f"there is no call {call_id!r} in the journal")
        return [call_id]
    return [call.call_id for call in kept.calls(limit=limit or _MOST_CALLS)]


def _call_json(call_id: str, found: Sequence[Replayed]) -> dict[str, object]:
    return {
        "call_id": call_id,
        "equal": all(one.equal for one in found),
        "estimates": [_estimate_json(one) for one in found],
    }


def _estimate_json(one: Replayed) -> dict[str, object]:
    told: dict[str, object] = {"revision": str(one.revision), "confidence": one.confidence}
    return told | {"verdict": one.verdict.name} | ({"difference": one.words} if one.words else {})


def _show(total: _Sum) -> None:
    rows = [
        (call_id, one.revision, words.confidence_text(one.confidence), _verdict_text(one), one.words)
        for call_id, one in total.rows
    ]
    parts: list[object] = []
    if rows:
        names = ("call", "revision", "confidence", "again", "difference")
        parts = [output.table(names, rows, right=(1, 2)), ""]
    output.show(*parts, _sentence(total))


def _verdict_text(one: Replayed) -> str:
    return words.enum_word(one.verdict)


def _sentence(total: _Sum) -> str:
    said = f"{total.calls:,} call{'' if total.calls == 1 else 's'}, {total.estimates:,} estimates given: "
    if not (total.differ or total.other_data):
        return said + "all equal"
    equal = total.estimates - total.differ - total.other_data
    return said + f"{equal:,} equal, {total.differ:,} differ, {total.other_data:,} made with other data"


def _exit_code(total: _Sum) -> int:
    if total.differ:
        return meaning_of(BadData()).exit_code
    return meaning_of(DatasetError()).exit_code if total.other_data else EXIT_OK
