"""`locsvc info`: which reference data is in force."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from locsvc import model
from locsvc.cli import learned, output, words
from locsvc.cli.manners import Command
from locsvc.cli.options import FILE, Common, common_options
from locsvc.formats.proto_json import to_json

if TYPE_CHECKING:
    from locsvc.cli.records import Found

_COLUMNS = ("dataset", "name", "rows", "size", "age", "version", "source", "licence")


@click.command(
    cls=Command,
    examples="""\
locsvc info --data mydata
locsvc info --verify                          # compare every byte with its checksum
locsvc info --server 127.0.0.1:50051 --json   # what a running server has""",
)
@click.option("--verify", is_flag=True, help="Read every file and compare it with its checksum.")
@click.option("--server", metavar="HOST:PORT", help="Ask a running server, not the data directory.")
@click.option("--ca", type=FILE, help="With --server: authority of the server's certificate (PEM); means TLS.")
@click.option("--insecure", is_flag=True, help="With --server: no TLS to another machine.")
@common_options
@click.pass_obj
def info(common: Common, verify: bool, server: str | None, ca: Path | None, insecure: bool) -> None:
    """Show the datasets in force: rows, sizes, ages, versions, sources."""
    coverage: list[Found] = []
    if server is not None:
        from locsvc.cli.client import connect

        with connect(server, authority=ca, insecure=insecure) as client:
            datasets, warnings = client.list_datasets()
        where = {"server": server}
    else:
        from locsvc.reference.snapshot import Snapshot

        data = common.needed_data()
        snapshot = Snapshot.open(data, verify=verify)
        datasets, warnings = list(snapshot.datasets), []
        where = {"data": str(data), "snapshot_id": snapshot.id}
        coverage = [learned.in_force(entry.extra) for entry in snapshot.entries("coverage")]
    if common.as_json:
        output.write_json(
            where
            | {"datasets": [to_json(d) for d in datasets], "warnings": [to_json(w) for w in warnings]}
            | ({"coverage": coverage[0]} if coverage else {})
        )
        return
    output.show(output.table(_COLUMNS, [_row(dataset, time.time()) for dataset in datasets], right=(2, 3, 4)))
    for each in coverage:
        output.show(learned.sentence(each))
    for warning in warnings:
        output.talk(f"locsvc: {warning.message}")
    output.talk(", ".join(f"{name} {text}" for name, text in where.items()) + (", verified" if verify else ""))


def _row(dataset: model.DatasetVersion, now: float) -> tuple[str, ...]:
    return (
        dataset.dataset,
        dataset.name,
        f"{dataset.rows:,}",
        words.size_text(dataset.size_bytes),
        "-" if dataset.built_at is None else words.age_text(now - dataset.built_at),
        dataset.version,
        dataset.source,
        dataset.licence,
    )
