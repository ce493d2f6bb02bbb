"""`locsvc import`: a file becomes a dataset in a new snapshot, which replaces the old one in one step."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from locsvc.cli import output
from locsvc.cli.manners import Command, Group
from locsvc.cli.options import FILE, NEW_FILE, Common, common_options
from locsvc.errors import BadData

if TYPE_CHECKING:
    from locsvc.reference.addresses import AddressStore
    from locsvc.reference.importing import ImportReport
    from locsvc.reference.snapshot import Draft

_Function = TypeVar("_Function", bound=Callable[..., object])


def _mapping(pairs: Sequence[str]) -> dict[str, str]:
    """Our columns to theirs.

    Raises
    ------
    click.BadParameter
        One is not of the form.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        ours, sign, theirs = pair.partition("=")
        if not sign or not ours.strip() or not theirs:
            raise click.BadParameter(f"--map {pair!r} is not of the form ours=theirs, as latitude=lat")
        if ours.strip() in found:
            raise click.BadParameter(f"--map {ours.strip()} is given twice")
        found[ours.strip()] = theirs
    return found


def _name_of(source: Path, name: str | None) -> str:
    """The import's name: as given, or the file's without its endings."""
    if name:
        return name
    stem = re.sub(r"\.(csv|tsv|txt|json|geojson|gz|zip)$", "", source.name, flags=re.IGNORECASE)
    while stem != (shorter := re.sub(r"\.(csv|tsv|txt|json|geojson|gz|zip)$", "", stem, flags=re.IGNORECASE)):
        stem = shorter
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-.") or "import"


def _import_options(function: _Function) -> _Function:
    """Add what every import knows."""
    for option in (
        click.option("--rejects", type=NEW_FILE, help="List the rows that cannot be taken in this file."),
        click.option("--licence", metavar="TEXT", default="", help="Terms of the source, kept with the dataset."),
    ):
        function = option(function)
    return common_options(function)


_NAME = click.option("--name", metavar="TEXT", help="Name of this import, else the file's; the same again replaces it.")
_MAP = click.option(
    "--map", "pairs", metavar="OURS=THEIRS", multiple=True, help="Column of ours is theirs; repeatable."
)


def _run(
    common: Common,
    dataset: str,
    name: str,
    source: Path,
    work: Callable[[Draft], ImportReport],
    *,
    empty: bool = False,
) -> None:
    """Import into a draft, publish it, and tell what became of the rows; `empty`: a dataset without rows is one too.

    Raises
    ------
    BadData
        No row could be taken; the former data stays in force.
    """
    from locsvc.reference.snapshot import Draft

    data = common.needed_data()
    with Draft.begin(data) as draft:
        try:
            report = work(draft)
        finally:
            output.end_progress()
        if not report.rows and not empty:
            why = "; ".join(f"{reason}: {count:,}" for reason, count in report.rejected.items())
            raise BadData(f"{source} gives no {dataset}{f' ({why})' if why else ''}; the former data stays in force")
        snapshot_id = draft.publish()
    _tell(common, dataset, name, snapshot_id, report)


def _tell(common: Common, dataset: str, name: str, snapshot_id: str, report: ImportReport) -> None:
    rejected = sum(report.rejected.values())
    if common.as_json:
        output.write_json(
            {
                "dataset": dataset,
                "name": name,
                "snapshot_id": snapshot_id,
                "rows": report.rows,
                "rejected": dict(report.rejected),
                "reject_file": None if report.reject_file is None else str(report.reject_file),
                "notes": dict(report.notes),
                "seconds": round(report.seconds, 3),
            }
        )
        return
    click.echo(f"{report.rows:,} {dataset} imported as {name!r} in {report.seconds:.1f} s; snapshot {snapshot_id}")
    for reason, count in sorted(report.rejected.items(), key=lambda item: -item[1]):
        click.echo(f"{count:>9,} rejected: {output.plain(reason)}")
    for note, count in sorted(report.notes.items(), key=lambda item: -item[1]):
        click.echo(f"{count:>9,} {output.plain(note)}")
    if rejected and report.reject_file is not None:
        output.talk(f"the rejected rows are listed in {report.reject_file}")
    elif rejected:
        output.talk("--rejects FILE lists the rejected rows")


@click.group(
    "import",
    cls=Group,
    short_help="Import reference data from files.",
    examples="""\
locsvc import cells opencellid.csv.gz --data mydata
locsvc import lines lines.csv --default-region GB
locsvc import lines daily.ali --orders
locsvc import addresses addresses.csv --map house_number=number
locsvc import areas counties.geojson --name-field name""",
)
def import_group() -> None:
    """Import reference data; readers and servers switch to it when it is whole."""


@import_group.command(
    cls=Command,
    examples="""\
locsvc import cells 272.csv.gz --licence "OpenCelliD, CC BY-SA 4.0"     # with or without a header
locsvc import cells sectors.csv --map cell=ECellID --map latitude=Latitude --map longitude=Longitude \\
    --map azimuth=Azimuth --map radio==LTE                                # masts; =TEXT is the same in every row""",
)
@click.argument("source", metavar="FILE", type=FILE)
@_NAME
@_MAP
@_import_options
@click.pass_obj
def cells(
    common: Common, source: Path, name: str | None, pairs: tuple[str, ...], rejects: Path | None, licence: str
) -> None:
    """Import cells: OpenCelliD or MLS CSV, plain or gz, or a table of sectors with azimuths."""
    from locsvc.reference.cells import import_cells

    called, mapping = _name_of(source, name), _mapping(pairs)
    _run(
        common,
        "cells",
        called,
        source,
        lambda draft: import_cells(
            draft,
            source,
            name=called,
            mapping=mapping or None,
            rejects=rejects,
            licence=licence,
            progress=output.progress("rows"),
        ),
    )


@import_group.command(
    cls=Command,
    examples="""\
locsvc import lines lines.csv --default-region GB
locsvc import lines table.csv --map number=TN --map class_of_service=COS --rejects bad.csv
locsvc import lines initial.ali                                # records of 512 or 240 characters
locsvc import lines daily.ali --orders --rejects errors.csv    # inserts, changes, deletions, unlocks, migrations""",
)
@click.argument("source", metavar="FILE", type=FILE)
@click.option("--orders", is_flag=True, help="FILE holds service orders (ALI): they change the lines in force.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "csv", "ali"]),
    default="auto",
    show_default=True,
    help="What FILE is; auto looks at how it begins.",
)
@_MAP
@click.option("--default-region", "--region", metavar="CC", help="Country of numbers without +, ISO 3166-1 alpha-2.")
@_import_options
@click.pass_obj
def lines(
    common: Common,
    source: Path,
    orders: bool,
    form: str,
    pairs: tuple[str, ...],
    default_region: str | None,
    rejects: Path | None,
    licence: str,
) -> None:
    """Import line records, or apply service orders; lines without coordinates are placed by the addresses in force."""
    from locsvc.cli.exchange import is_ali

    if default_region is not None and not re.fullmatch("[A-Za-z]{2}", default_region):
        raise click.BadParameter(f"--default-region {default_region!r} is not a country's two letters, as GB")
    region, mapping = default_region and default_region.upper(), _mapping(pairs)
    as_ali = form == "ali" or (form == "auto" and (orders or is_ali(source)))
    if orders and not as_ali:
        raise click.UsageError("--orders is for files of ALI records; --format csv replaces all lines")
    if mapping and as_ali:
        raise click.UsageError("--map is for tables; the fields of an ALI record have fixed places")
    if orders and region:
        raise click.UsageError("--default-region is of the lines in force; orders have whole numbers")
    places = _addresses(common.needed_data())
    work = _orders if orders else _ali_lines if as_ali else _table_lines

    def run(draft: Draft) -> ImportReport:
        return work(draft, common.needed_data(), source, places, _LineOptions(mapping, region, rejects, licence))

    _run(common, "lines", "lines", source, run, empty=orders)


@dataclass(frozen=True, slots=True)
class _LineOptions:
    mapping: dict[str, str]
    default_region: str | None
    rejects: Path | None
    licence: str


def _table_lines(
    draft: Draft, _: Path, source: Path, places: AddressStore | None, options: _LineOptions
) -> ImportReport:
    from locsvc.reference.lines import import_lines

    return import_lines(
        draft,
        source,
        mapping=options.mapping,
        default_region=options.default_region,
        addresses=places,
        rejects=options.rejects,
        licence=options.licence,
        progress=output.progress("rows"),
    )


def _ali_lines(draft: Draft, _: Path, source: Path, places: AddressStore | None, options: _LineOptions) -> ImportReport:
    from locsvc.cli.exchange import ali_records
    from locsvc.reference.lines import import_records

    return import_records(
        draft,
        ali_records(source, orders=False),
        source=source.name,
        # The records' numbers are of the North American number plan.
        default_region=options.default_region or "US",
        addresses=places,
        rejects=options.rejects,
        licence=options.licence,
        progress=output.progress("records"),
    )


def _orders(draft: Draft, data: Path, source: Path, places: AddressStore | None, options: _LineOptions) -> ImportReport:
    from locsvc.cli.exchange import ali_records
    from locsvc.reference.lines import apply_orders, current_lines

    # Read after the draft has begun: until it ends nobody else publishes.
    return apply_orders(
        draft,
        ali_records(source, orders=True),
        current=current_lines(data),
        source=source.name,
        addresses=places,
        rejects=options.rejects,
        licence=options.licence,
        progress=output.progress("orders"),
    )


def _addresses(data: Path) -> AddressStore | None:
    """The addresses in force, to place lines by; None when there are none yet."""
    from locsvc.reference.addresses import AddressStore
    from locsvc.reference.snapshot import Snapshot, current_id

    if current_id(data) is None:
        return None
    entries = Snapshot.open(data, verify=False).entries("addresses")
    return AddressStore.open(entries) if entries else None


@import_group.command(
    cls=Command,
    examples="""\
locsvc import addresses addresses.csv
locsvc import addresses osm.csv --map house_number=number --map latitude=lat --map longitude=lon""",
)
@click.argument("source", metavar="FILE", type=FILE)
@_NAME
@_MAP
@_import_options
@click.pass_obj
def addresses(
    common: Common, source: Path, name: str | None, pairs: tuple[str, ...], rejects: Path | None, licence: str
) -> None:
    """Import address points from CSV."""
    from locsvc.reference.addresses import import_addresses

    called, mapping = _name_of(source, name), _mapping(pairs)
    _run(
        common,
        "addresses",
        called,
        source,
        lambda draft: import_addresses(
            draft,
            source,
            name=called,
            mapping=mapping or None,
            rejects=rejects,
            licence=licence,
            progress=output.progress("rows"),
        ),
    )


@import_group.command(
    cls=Command,
    examples="""\
locsvc import areas counties.geojson --name-field name
locsvc import areas districts.geojson --name districts --licence ODbL""",
)
@click.argument("source", metavar="FILE", type=FILE)
@_NAME
@click.option("--name-field", metavar="TEXT", help="Property that names each area.")
@_import_options
@click.pass_obj
def areas(
    common: Common, source: Path, name: str | None, name_field: str | None, rejects: Path | None, licence: str
) -> None:
    """Import areas: GeoJSON polygons and multipolygons."""
    from locsvc.reference.areas import import_areas

    called = _name_of(source, name)
    _run(
        common,
        "areas",
        called,
        source,
        lambda draft: import_areas(draft, source, name=called, name_field=name_field, rejects=rejects, licence=licence),
    )
