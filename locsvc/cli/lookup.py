"""`locsvc lookup`: what the reference data says of a cell, a line, an address, a place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from locsvc import model
from locsvc.cli import learned, output, words
from locsvc.cli.client import look_up
from locsvc.cli.manners import Command, Group
from locsvc.cli.options import CELL, FILE, PLACE, Common, common_options
from locsvc.errors import NotFound

if TYPE_CHECKING:
    from locsvc.cli.records import Found

# Steps whose rows are not the cell's own.
_OTHERS = ("site", "area", "network", "country")
_LIMIT = click.option("--limit", type=click.IntRange(1, 100), default=10, show_default=True, help="Most rows to show.")
_SERVER = click.option("--server", metavar="HOST:PORT", help="Ask a running server, not the data directory.")
_CA = click.option("--ca", type=FILE, help="With --server: authority of the server's certificate (PEM); means TLS.")
_INSECURE = click.option("--insecure", is_flag=True, help="With --server: no TLS to another machine.")


@click.group(
    cls=Group,
    examples="""\
locsvc lookup cell LTE,272,05,42300,237575
locsvc lookup line +441632960168
locsvc lookup address --near 54.99,2.49
locsvc lookup area 51.8985,-8.4756""",
)
def lookup() -> None:
    """Look something up in the reference data."""


@lookup.command(
    cls=Command,
    examples="""\
locsvc lookup cell LTE,272,05,42300,237575
locsvc lookup cell LTE,272,05,42300,                         # cells of a tracking area
locsvc lookup cell LTE,234,10,,,pci=406,arfcn=6400 --near 50.9996,-0.1456
locsvc lookup cell --near 52.4677,-8.3347 --limit 3         # the nearest cells""",
)
@click.argument("cell", type=CELL, required=False)
@click.option("--near", type=PLACE, help="Place near which a channel and PCI are searched, or the nearest cells.")
@_LIMIT
@_SERVER
@_CA
@_INSECURE
@common_options
@click.pass_obj
def cell(
    common: Common,
    cell: model.CellMeasurement | None,
    near: model.LatLng | None,
    limit: int,
    server: str | None,
    ca: Path | None,
    insecure: bool,
) -> None:
    """Show the rows of a cell and what was learned of it, or the cells nearest to a place.

    CELL is RADIO,MCC,MNC,AREA,CELL. Without CELL the cells of the area are shown; AREA and CELL may be empty where pci=
    and arfcn= are given with --near. A cell that is unknown shows the others of its eNodeB or gNodeB.
    """
    from locsvc.cli import records

    if cell is None and near is None:
        raise click.UsageError("give a cell as RADIO,MCC,MNC,AREA,CELL, or --near LAT,LON")
    if cell is not None and not cell.cell and not cell.area and (near is None or cell.pci is None):
        raise click.UsageError(
            "give the cell's identity as RADIO,MCC,MNC,AREA,CELL, its area, or pci= and arfcn= with --near"
        )
    found = look_up(
        common,
        (server, ca, insecure),
        lambda client: client.lookup_cell(cell, near=near, limit=limit),
        lambda data: records.cells(data, cell, near, limit),
    )
    rows = records.rows_of(found, "rows")
    if common.as_json:
        output.write_json(found)
    elif rows:
        fallback = str(found.get("fallback", "")).removeprefix("CELL_FALLBACK_").lower().replace("_", " ")
        if fallback in _OTHERS:
            output.talk(f"locsvc: the cell itself is not in the data; these are others of its {fallback}")
        parts: list[object] = [
            output.table(records.CELL_COLUMNS, [records.cell_row(row) for row in rows], right=range(1, 11))
        ]
        if fallback:
            parts.append(f"\na call is placed by: {fallback}")
        output.show(*parts)
    known = records.rows_of(found, "learned")
    if known and not common.as_json:
        output.show(output.table(learned.COLUMNS, [learned.row(each) for each in known], right=range(2, 8)))
    if not rows and not known:
        step = str(found.get("fallback", "")).removeprefix("CELL_FALLBACK_").lower().replace("_", " ")
        more = f"; a call would be placed by its {step}" if step else ""
        raise NotFound(f"the cell is not in the data{more}")


@lookup.command(
    cls=Command,
    examples="""\
locsvc lookup line +441632960168
locsvc lookup line 01632960168 --json       # as dialled in the dataset's default region""",
)
@click.argument("number")
@_SERVER
@_CA
@_INSECURE
@common_options
@click.pass_obj
def line(common: Common, number: str, server: str | None, ca: Path | None, insecure: bool) -> None:
    """Show the record of a number."""
    from locsvc.cli import records

    found = look_up(
        common,
        (server, ca, insecure),
        lambda client: client.lookup_line(number),
        lambda data: records.line(data, number),
    )
    if common.as_json:
        output.write_json(found)
    else:
        output.show(output.facts(records.line_rows(cast("Found", found["record"]))))


@lookup.command(
    cls=Command,
    examples="""\
locsvc lookup address --near 60.1713,24.9415 --limit 3
locsvc lookup address --street Kaivokatu --number 1 --city Helsinki""",
)
@click.option("--near", type=PLACE, help="Show the addresses nearest to a place.")
@click.option("--number", metavar="TEXT", default="", help="House number.")
@click.option("--street", metavar="TEXT", default="", help="Street, with its kind and direction.")
@click.option("--city", metavar="TEXT", default="", help="Town.")
@click.option("--postcode", metavar="TEXT", default="", help="Postal code.")
@click.option("--country", metavar="CC", default="", help="Country, ISO 3166-1 alpha-2.")
@_LIMIT
@_SERVER
@_CA
@_INSECURE
@common_options
@click.pass_obj
def address(  # noqa: PLR0913, PLR0917 - one parameter an option
    common: Common,
    near: model.LatLng | None,
    number: str,
    street: str,
    city: str,
    postcode: str,
    country: str,
    limit: int,
    server: str | None,
    ca: Path | None,
    insecure: bool,
) -> None:
    """Find the addresses near a place, or the place of an address."""
    from locsvc.cli import records

    asked = model.CivicAddress(
        country=country.upper(), city=city, street=street, house_number=number, postcode=postcode
    )
    wanted = None if asked == model.CivicAddress() else asked
    if near is None and wanted is None:
        raise click.UsageError("give --near LAT,LON, or parts of an address such as --street and --city")
    found = look_up(
        common,
        (server, ca, insecure),
        lambda client: client.find_addresses(near=near, address=wanted, limit=limit),
        lambda data: records.addresses(data, near, wanted, limit),
    )
    rows = records.rows_of(found, "matches")
    if common.as_json:
        output.write_json(found)
    elif rows:
        output.show(output.table(records.ADDRESS_COLUMNS, [records.address_row(row) for row in rows], right=(1, 3, 4)))
    if not rows:
        raise NotFound("no such address is in the data; try fewer parts, or --near LAT,LON")


@lookup.command(
    cls=Command,
    examples="""\
locsvc lookup area 51.8985,-8.4756
locsvc lookup area 51.8985,-8.4756 --json""",
)
@click.argument("place", type=PLACE)
@_SERVER
@_CA
@_INSECURE
@common_options
@click.pass_obj
def area(common: Common, place: model.LatLng, server: str | None, ca: Path | None, insecure: bool) -> None:
    """Show the areas that hold a place.

    PLACE is LAT,LON in degrees; latitude comes first.
    """
    from locsvc.cli import records

    found = look_up(
        common,
        (server, ca, insecure),
        lambda client: client.find_areas(place),
        lambda data: records.areas(data, place),
    )
    rows = records.rows_of(found, "areas")
    if common.as_json:
        output.write_json(found)
    elif rows:
        output.show(output.table(("area", "dataset"), [(row["name"], row.get("dataset", "")) for row in rows]))
    if not rows:
        raise NotFound(f"no area holds {words.place_text(place)}")
