"""How long look-ups of lines, addresses and areas take, alone and in batches of 64.

    python benchmarks/reference_lookups.py --lines 1000000 --addresses FILE.csv --areas FILE.geojson

Lines are generated. Each figure is the quickest of five rounds, in microseconds for one number, place or circle: other
work on the machine only ever makes a round slower.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from locsvc.model import LineRecord
from locsvc.reference.addresses import AddressStore, import_addresses
from locsvc.reference.areas import AreaStore, import_areas
from locsvc.reference.lines import LineStore, import_lines
from locsvc.reference.lines.table import CIVIC_FIELDS, COLUMNS, FILE, record_of
from locsvc.reference.snapshot import Draft, Snapshot

ROUNDS = 5
ASKED = 6400
BATCHES = (1, 64)


def main() -> None:
    """Import and measure what the options say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=100_000, help="number of lines to generate")
    parser.add_argument("--addresses", type=Path, help="CSV of addresses")
    parser.add_argument("--areas", type=Path, help="GeoJSON of areas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        _lines(data, options.lines)
        if options.addresses:
            _addresses(data, options.addresses)
        if options.areas:
            _areas(data, options.areas)


def _tell(what: str, batch: int, round_: Callable[[int, int], object]) -> None:
    best_s = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for first in range(0, ASKED, batch):
            round_(first, first + batch)
        best_s = min(best_s, time.perf_counter() - started)
    print(f"{what}, batches of {batch:2}: {best_s / ASKED * 1e6:6.2f} us")


def _lines(data: Path, count: int) -> None:
    rng = random.Random(1)
    numbers = [f"+35320{n}" for n in rng.sample(range(90_000_000, 99_999_999), count)]
    source = data / "lines.csv"
    with source.open("w", encoding="utf-8") as file:
        file.write(
            "number,class_of_service,latitude,longitude,uncertainty_m,house_number,street,city,postcode,updated\n"
        )
        for n, number in enumerate(numbers):
            place = f"{52 + rng.random():.6f},{-8 + rng.random():.6f}"
            file.write(
                f"{number},RESD,{place},10,{n % 200},Street {n % 5000},Testham,T{n % 1000},2026-01-{n % 28 + 1:02}\n"
            )
    with Draft.begin(data) as draft:
        report = import_lines(draft, source, mapping=None, default_region="IE", addresses=None)
        draft.publish()
    entry = Snapshot.open(data).entries("lines")[0]
    print(f"{report.rows:,} lines imported in {report.seconds:.1f} s, {entry.version.size_bytes / 1e6:.0f} MB")
    asked = [rng.choice(numbers) for _ in range(ASKED)]
    store = LineStore.open(entry)
    through_alchemy = _through_alchemy(entry.path / FILE)
    for batch in BATCHES:
        _tell("lines, sqlite3   ", batch, lambda a, b: store.lookup(asked[a:b]))
        _tell("lines, SQLAlchemy", batch, lambda a, b: through_alchemy(asked[a:b]))


def _through_alchemy(file: Path) -> Callable[[list[str]], list[LineRecord]]:
    kinds: dict[str, sa.types.TypeEngine[object]] = {"number": sa.BigInteger(), "provider": sa.Text()}  # type: ignore[dict-item]
    columns = [sa.Column(c, kinds.get(c, sa.Text() if c in CIVIC_FIELDS else sa.Float())) for c in COLUMNS]
    table = sa.Table("lines", sa.MetaData(), *columns)
    query = sa.select(table).where(table.c.number.in_(sa.bindparam("numbers", expanding=True)))
    connection = sa.create_engine(f"sqlite:///file:{file}?mode=ro&immutable=1&uri=true").connect()

    def look_up(numbers: list[str]) -> list[LineRecord]:
        rows = connection.execute(query, {"numbers": [int(n[1:]) for n in numbers]}).fetchall()
        return [record_of(row) for row in rows]

    return look_up


def _addresses(data: Path, source: Path) -> None:
    with Draft.begin(data) as draft:
        report = import_addresses(draft, source, name="addresses")
        draft.publish()
    print(f"{report.rows:,} addresses imported in {report.seconds:.2f} s, rejected {report.rejected}")
    store = AddressStore.open(Snapshot.open(data).entries("addresses"))
    rng = np.random.default_rng(1)
    rows = rng.integers(0, store.rows, ASKED).tolist()
    places = [store.position(row) for row in rows]
    latitude = np.array([p.latitude_deg for p in places]) + rng.normal(0.0, 3e-4, ASKED)
    longitude = np.array([p.longitude_deg for p in places]) + rng.normal(0.0, 3e-4, ASKED)
    started = time.perf_counter()
    store.nearest(latitude, longitude, 500.0)
    print(f"nearest address, first time at a place: {(time.perf_counter() - started) / ASKED * 1e6:.1f} us")
    for batch in BATCHES:
        _tell("nearest address", batch, lambda a, b: store.nearest(latitude[a:b], longitude[a:b], 500.0))
    written = [store.address(row) for row in rows]
    _tell("address to place", 1, lambda a, _: store.place(written[a]))


def _areas(data: Path, source: Path) -> None:
    with Draft.begin(data) as draft:
        report = import_areas(draft, source, name="areas")
        draft.publish()
    print(f"{report.rows:,} areas imported in {report.seconds:.2f} s, notes {report.notes}")
    store = AreaStore.open(Snapshot.open(data).entries("areas"))
    rng = np.random.default_rng(1)
    south, west, north, east = 51.6, -9.0, 52.2, -8.0
    latitude, longitude = rng.uniform(south, north, ASKED), rng.uniform(west, east, ASKED)
    radius_m = rng.uniform(20.0, 2000.0, ASKED)
    started = time.perf_counter()
    area = store.undivided(latitude, longitude, radius_m)
    took_s = time.perf_counter() - started
    print(f"undivided, first time at a place: {took_s / ASKED * 1e6:.1f} us; sure of {(area != -1).mean():.0%}")
    for batch in BATCHES:
        _tell("undivided", batch, lambda a, b: store.undivided(latitude[a:b], longitude[a:b], radius_m[a:b]))
    for batch in (*BATCHES, ASKED):
        _tell("areas at a place", batch, lambda a, b: store.locate(latitude[a:b], longitude[a:b]))


if __name__ == "__main__":
    main()
