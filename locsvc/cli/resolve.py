"""`locsvc resolve`: locate calls and say why."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from locsvc import model
from locsvc.cli import output
from locsvc.cli.forms import SHAPES, Writer, writer_of
from locsvc.cli.manners import Command, say_error
from locsvc.cli.options import CELL, CONFIDENCE, DEVICE, FILE, NEW_FILE, TIME, Common, common_options
from locsvc.errors import EXIT_NO_LOCATION, EXIT_OK, BadData, InvalidInput, LocsvcError, meaning_of

if TYPE_CHECKING:
    from locsvc.cli.reading import ReadCall
    from locsvc.resolver import Resolver

# Calls that are resolved as one array; more gain nothing and delay the first answer.
BATCH = 64
# A page of more calls is too heavy for a browser.
MOST_ON_A_MAP = 200

Answer = model.LocationEstimate | LocsvcError
Areas = Sequence[tuple[str, Sequence[Sequence[tuple[float, float]]]]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every call."""

    confidence: float
    as_of: float | None
    traced: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where answers come from: a data directory in this process, or a server."""

    ask: Callable[[Sequence[model.Call], Question], list[tuple[Answer, model.Trace]]]
    areas: Callable[[model.LocationEstimate, model.Trace], Areas]


_EXAMPLES = """\
locsvc resolve call.json                                    # a call as JSON
locsvc resolve calls.jsonl --json > answers.jsonl           # many, one a line
locsvc resolve --cell LTE,272,05,42300,237575 --device 52.4677,-8.3347,30
locsvc resolve --number +441632960168 --map where.html      # and a map of the answer
locsvc resolve call.json --output pidf-lo --shape ellipse   # the answer as others read it
cat call.json | locsvc resolve - --server 127.0.0.1:50051   # ask a running server"""
_OUTPUTS = ("table", "json", "geojson", "pidf-lo", "gad")


@click.command(
    cls=Command,
    examples=_EXAMPLES,
    epilog="Exit codes: 0 located, 2 wrong use or a field out of range, 3 no location (a single call), 4 deadline,"
    " 65 a call of many could not be read, 66 reference data missing or damaged, 69 no server, 78 --server names no"
    " port or needs TLS.",
)
@click.argument("source", metavar="[FILE]", required=False, type=click.Path(allow_dash=True, path_type=Path))
@click.option("--cell", "cells", type=CELL, multiple=True, help="A cell; the first serves, others are neighbours.")
@click.option("--device", "devices", type=DEVICE, multiple=True, help="A report of the handset, radius in metres.")
@click.option("--number", metavar="TEXT", help="The caller's number; its line is looked up.")
@click.option("--call-id", metavar="TEXT", default="", help="The call's name, with --cell, --device or --number.")
@click.option("--confidence", type=CONFIDENCE, default=0.9, show_default=True, help="Of the answer, 0.5 to 0.999.")
@click.option("--as-of", type=TIME, help="The time to answer for, RFC 3339; else the newest in the call.")
@click.option("--output", "form", type=click.Choice(_OUTPUTS), help="Form of the answer; --json is short for json.")
@click.option("--shape", type=click.Choice(SHAPES), help="With pidf-lo and gad: what the answer is reduced to.")
@click.option("--server", metavar="HOST:PORT", help="Ask a running server, not the data directory.")
@click.option("--ca", type=FILE, help="With --server: authority of the server's certificate (PEM); means TLS.")
@click.option("--insecure", is_flag=True, help="With --server: no TLS to another machine.")
@click.option("--map", "page", metavar="FILE.html", type=NEW_FILE, help="Write a map that needs no network.")
@click.option("--background", type=FILE, multiple=True, help="GeoJSON polygons for the map; else the areas dataset.")
@click.option("--verbose", is_flag=True, help="With many calls: a full answer each, not a line.")
@common_options
@click.pass_obj
def resolve(  # noqa: PLR0913, PLR0917 - one parameter an option
    common: Common,
    source: Path | None,
    cells: tuple[model.CellMeasurement, ...],
    devices: tuple[model.DeviceReport, ...],
    number: str | None,
    call_id: str,
    confidence: float,
    as_of: float | None,
    form: str | None,
    shape: str | None,
    server: str | None,
    ca: Path | None,
    insecure: bool,
    page: Path | None,
    background: tuple[Path, ...],
    verbose: bool,
) -> int:
    """Locate calls and say why.

    A call is JSON in the contract's form (one object, a list, or one object a line), from FILE or from stdin for `-`;
    or it is made of --cell, --device and --number.
    """
    reads = _reads(source, _call_of(cells, devices, number, call_id))
    question = Question(confidence, as_of, traced=page is not None)
    if common.as_json and form not in {None, "json"}:
        raise click.UsageError(f"--json and --output {form} exclude each other")
    writer = writer_of(form or ("json" if common.as_json else "table"), shape, verbose=verbose)
    with ExitStack() as stack:
        place = _server(stack, common, server, ca, insecure=insecure) if server else _directory(common)
        if background:
            place = _with_background(place, background)
        first = list(itertools.islice(reads, 2))
        if len(first) == 1:
            return _one(writer, place, first[0], question, page)
        return _many(writer, place, itertools.chain(first, reads), question, page)


def _call_of(
    cells: Sequence[model.CellMeasurement], devices: Sequence[model.DeviceReport], number: str | None, call_id: str
) -> model.Call | None:
    """The call that the options describe, None when they describe none."""
    pieces = [model.Evidence(model.CellScan(cells[0], tuple(cells[1:])), "cell-1")] if cells else []
    pieces += [model.Evidence(device, f"device-{place}") for place, device in enumerate(devices, 1)]
    if number:
        pieces.append(model.Evidence(model.LineLookup(number), "line-1"))
    return model.Call(call_id, evidence=tuple(pieces)) if pieces else None


def _reads(source: Path | None, call: model.Call | None) -> Iterator[ReadCall]:
    from locsvc.cli.reading import ReadCall, read_calls
    from locsvc.formats.call_checks import call_violations

    if source is not None and call is not None:
        raise click.UsageError("give either a FILE or --cell, --device and --number, not both")
    if source is not None:
        if str(source) == "-" and sys.stdin.isatty():
            output.talk("reading calls from the terminal; end with Ctrl-D")
        return read_calls(source)
    if call is None:
        raise click.UsageError("nothing to locate: give a FILE, - for stdin, or --cell, --device or --number")
    violations = call_violations(call)
    return iter([ReadCall("options", call, InvalidInput(violations) if violations else None)])


def resolver_of(common: Common) -> Resolver:
    """A resolver over the data directory, or over nothing when there is none, which is said."""
    from locsvc.reference.store import Reference
    from locsvc.resolver import Resolver

    data = common.data_directory()
    if data is None:
        output.talk("locsvc: no data directory (--data DIR or LOCSVC_DATA): cells and lines cannot be looked up")
    return Resolver(Reference.empty() if data is None else Reference.open(data))


def _directory(common: Common) -> Place:
    """Answers from the data directory, in this process."""
    from locsvc.cli.map import reach_m

    resolver = resolver_of(common)
    reference = resolver.reference

    def areas(estimate: model.LocationEstimate, trace: model.Trace) -> Areas:
        if reference.areas is None or estimate.position is None:
            return ()
        radius_m = max(3_000.0, 2.5 * reach_m(estimate, trace))
        return reference.areas.outlines(estimate.position.latitude_deg, estimate.position.longitude_deg, radius_m)

    return Place(lambda calls, question: _ask_here(resolver, calls, question), areas)


def warmed(resolver: Resolver) -> None:
    """Compile the core if that has not been done for this installation; it takes its time, which is said."""
    from locsvc.compiled import are_kept
    from locsvc.resolver.warming import COMPILING, warm

    if not are_kept():
        if sys.stderr.isatty():
            output.talk(f"locsvc: {COMPILING}")
        warm(resolver)


def _ask_here(resolver: Resolver, calls: Sequence[model.Call], question: Question) -> list[tuple[Answer, model.Trace]]:
    warmed(resolver)
    as_of = None if question.as_of is None else [question.as_of] * len(calls)
    if question.traced:
        return list(resolver.resolve_traced(calls, confidences=question.confidence, as_of=as_of))
    found = resolver.resolve(calls, confidences=question.confidence, as_of=as_of)
    return [(estimate, model.Trace()) for estimate in found]


def _server(stack: ExitStack, common: Common, target: str, authority: Path | None, *, insecure: bool) -> Place:
    """Answers from a server; a data directory, when one is given too, is only the map's background."""
    from locsvc.cli.client import connect

    client = stack.enter_context(connect(target, authority=authority, insecure=insecure))

    def ask(calls: Sequence[model.Call], question: Question) -> list[tuple[Answer, model.Trace]]:
        if not question.traced and len(calls) > 1:
            many = client.resolve_many(calls, confidence=question.confidence, as_of=question.as_of)
            return [(answer, model.Trace()) for answer in many]
        found: list[tuple[Answer, model.Trace]] = []
        for call in calls:
            estimate, trace = client.resolve(
                call, confidence=question.confidence, as_of=question.as_of, with_trace=question.traced
            )
            found.append((estimate, trace or model.Trace()))
        return found

    return Place(ask, _directory(common).areas if common.data is not None else lambda _estimate, _trace: ())


def _with_background(place: Place, files: Sequence[Path]) -> Place:
    from locsvc.cli.map import read_background

    areas = [area for file in files for area in read_background(file)]
    return Place(place.ask, lambda _estimate, _trace: areas)


def _one(writer: Writer, place: Place, read: ReadCall, question: Question, page: Path | None) -> int:
    """Answer a single call; without a location the exit code says so."""
    if read.error is not None or read.call is None:
        raise read.error or BadData(f"{read.place} holds no call")
    answer, trace = place.ask([read.call], question)[0]
    if isinstance(answer, LocsvcError):
        raise answer
    writer.one(answer)
    if page is not None:
        _write_map(page, place, [(answer, trace)])
    return EXIT_NO_LOCATION if answer.outcome is model.Outcome.NO_LOCATION else EXIT_OK


def _many(writer: Writer, place: Place, reads: Iterable[ReadCall], question: Question, page: Path | None) -> int:
    """Answer many calls in their order; one that cannot be read is told and costs only itself."""
    mapped: list[tuple[model.LocationEstimate, model.Trace]] = []
    worst = EXIT_OK
    number = 0
    for batch in _batches(reads, BATCH):
        asked = [read.call for read in batch if read.call is not None and read.error is None]
        answers = iter(place.ask(asked, question) if asked else [])
        for read in batch:
            number += 1
            failed = read.error is not None or read.call is None
            answer, trace = (read.error or BadData("no call"), model.Trace()) if failed else next(answers)
            if isinstance(answer, LocsvcError):
                _tell_wrong(writer, read, answer)
                worst = meaning_of(BadData()).exit_code
                continue
            writer.next(answer, f"call {number}")
            if page is not None and len(mapped) < MOST_ON_A_MAP:
                mapped.append((answer, trace))
    if page is not None:
        if number > len(mapped) == MOST_ON_A_MAP:
            output.talk(f"locsvc: the map shows the first {MOST_ON_A_MAP} of {number:,} calls")
        _write_map(page, place, mapped)
    return worst


def _batches(reads: Iterable[ReadCall], size: int) -> Iterator[list[ReadCall]]:
    waiting = iter(reads)
    while batch := list(itertools.islice(waiting, size)):
        yield batch


def _tell_wrong(writer: Writer, read: ReadCall, error: LocsvcError) -> None:
    writer.wrong("" if read.call is None else read.call.call_id, read.place, error)
    say_error(output.plain(f"{read.place}: {error}"))


def _write_map(page: Path, place: Place, answers: Sequence[tuple[model.LocationEstimate, model.Trace]]) -> None:
    from locsvc.cli.map import MappedCall, map_page

    if not answers:
        output.talk("locsvc: no map was written, as no call was answered")
        return
    drawn = [MappedCall(estimate, trace, place.areas(estimate, trace)) for estimate, trace in answers]
    output.write_file(page, map_page(drawn))
    output.talk(f"map written to {page}")
