"""Writes the sample town, `data/`: the same bytes every time.

Testham stands at 55.0 N 2.5 E, in the open North Sea, so that nothing in it can be taken for a real place. Its network
is 001-01, which the standards keep for tests; its numbers are in +44 1632 960, which is kept for fiction; its country
code is XT, which ISO 3166-1 leaves to its users. Everything is drawn from one seed.

    .venv/bin/python scripts/make_sample.py [FOLDER]     (default: data)
"""

from __future__ import annotations

import csv
import io
import json
import math
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEED = 960
ORIGIN_LATITUDE_DEG, ORIGIN_LONGITUDE_DEG = 55.0, 2.5
# Metres in a degree at 55 N on WGS84: M(55) * pi / 180 = 111,334 and N(55) * cos(55) * pi / 180 = 63,996.
METRES_PER_LATITUDE_DEG, METRES_PER_LONGITUDE_DEG = 111_334.0, 63_996.0
MCC, MNC = "001", "01"
# 2026-03-14 12:00:00 UTC: when the ten calls begin.
NOON_S = 1_773_489_600
DAY_S = 86_400

Place = tuple[float, float]  # metres east and north of the origin
Json = dict[str, object]


def latlng(place: Place) -> tuple[float, float]:
    """Latitude and longitude of a place, degrees, rounded to a centimetre."""
    east_m, north_m = place
    return (
        round(ORIGIN_LATITUDE_DEG + north_m / METRES_PER_LATITUDE_DEG, 7),
        round(ORIGIN_LONGITUDE_DEG + east_m / METRES_PER_LONGITUDE_DEG, 7),
    )


def moved(place: Place, bearing_deg: float, distance_m: float) -> Place:
    """The place that lies `distance_m` from `place` in the direction `bearing_deg`, clockwise from north."""
    bearing = math.radians(bearing_deg)
    return place[0] + distance_m * math.sin(bearing), place[1] + distance_m * math.cos(bearing)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A CSV file as text."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


# --- Streets and addresses ---


@dataclass(frozen=True)
class Street:
    """A street along a polyline, with houses on both sides."""

    name: str
    city: str
    postcode: str
    line: tuple[Place, ...]
    spacing_m: float


@dataclass(frozen=True)
class House:
    """One address."""

    number: int
    street: Street
    place: Place


def arc(center: Place, radius_m: float, start_deg: float, end_deg: float) -> tuple[Place, ...]:
    """Points on an arc, a step every 5 degrees."""
    steps = max(1, round(abs(end_deg - start_deg) / 5))
    return tuple(moved(center, start_deg + (end_deg - start_deg) * i / steps, radius_m) for i in range(steps + 1))


def streets() -> list[Street]:
    """All streets: a grid in the old town, a ring road, a coast road to the village of Sandby and two streets there."""
    across = ("Mill Lane", "Church Street", "High Street", "Bridge Street", "Station Road")
    along = ("Harbour Street", "Market Street", "Castle Street", "School Lane", "Chapel Road")
    found = [
        Street(name, "Testham", f"TE1 {i + 1}EW", ((-640.0, y), (640.0, y)), 56.0)
        for i, (name, y) in enumerate(zip(across, (-500.0, -250.0, 0.0, 250.0, 500.0), strict=True))
    ]
    found += [
        Street(name, "Testham", f"TE2 {i + 1}NS", ((x, -540.0), (x, 540.0)), 64.0)
        for i, (name, x) in enumerate(zip(along, (-600.0, -300.0, 30.0, 300.0, 600.0), strict=True))
    ]
    found.append(Street("Ring Road", "Testham", "TE3 1RR", arc((0.0, 0.0), 1150.0, 250.0, 470.0), 90.0))
    coast = ((640.0, -500.0), (1200.0, -900.0), (2100.0, -1350.0), (3300.0, -2050.0), (4300.0, -2450.0))
    found.append(Street("Coast Road", "Testham", "TE3 2CR", coast, 240.0))
    found.append(Street("Dune Lane", "Sandby", "TE9 1DL", ((4300.0, -2450.0), (4900.0, -2350.0)), 60.0))
    found.append(Street("Lighthouse Road", "Sandby", "TE9 2LR", ((4550.0, -2800.0), (4650.0, -2100.0)), 60.0))
    return found


def houses(street: Street) -> Iterator[House]:
    """The houses of a street, odd numbers on the left, 14 m from its middle."""
    position_m, walked_m, pair = street.spacing_m / 2, 0.0, 0
    for (east_a, north_a), (east_b, north_b) in zip(street.line, street.line[1:], strict=False):
        length_m = math.hypot(east_b - east_a, north_b - north_a)
        unit = ((east_b - east_a) / length_m, (north_b - north_a) / length_m)
        while position_m <= walked_m + length_m:
            ahead_m = position_m - walked_m
            middle = (east_a + unit[0] * ahead_m, north_a + unit[1] * ahead_m)
            for side, number in ((-1, 2 * pair + 1), (1, 2 * pair + 2)):
                yield House(number, street, (middle[0] + side * 14 * unit[1], middle[1] - side * 14 * unit[0]))
            position_m += street.spacing_m
            pair += 1
        walked_m += length_m


def addresses_csv(town: Sequence[House]) -> str:
    """The address table."""
    rows = [(*latlng(h.place), h.number, h.street.name, h.street.city, h.street.postcode, "XT") for h in town]
    return table(("lat", "lon", "number", "street", "city", "postcode", "country"), rows)


# --- Masts and cells ---


@dataclass(frozen=True)
class Mast:
    """A mast with its three directions and the radios that it carries."""

    name: str
    number: int
    place: Place
    azimuths_deg: tuple[int, ...]
    radios: tuple[str, ...]
    reach_m: float
    area: int


@dataclass(frozen=True)
class Cell:
    """One cell of a mast."""

    radio: str
    mast: Mast
    sector: int
    area: int
    cell: int
    pci: int | None
    arfcn: int

    @property
    def azimuth_deg(self) -> int:
        """Direction of the sector, degrees clockwise from north."""
        return self.mast.azimuths_deg[self.sector]


MASTS = (
    Mast("Church Tower", 4101, (0.0, 50.0), (0, 120, 240), ("GSM", "UMTS", "LTE", "NR"), 900.0, 101),
    Mast("Harbour Silo", 4102, (450.0, -700.0), (30, 150, 270), ("LTE", "NR"), 900.0, 101),
    Mast("Station Roof", 4103, (-820.0, 340.0), (80, 200, 320), ("UMTS", "LTE"), 1200.0, 101),
    Mast("Water Tower", 4104, (200.0, 1300.0), (60, 180, 300), ("GSM", "LTE"), 1800.0, 101),
    Mast("Coast Hill", 4105, (2600.0, -1900.0), (40, 130, 300), ("GSM", "UMTS", "LTE"), 3500.0, 102),
    Mast("Sandby Light", 4106, (4700.0, -2600.0), (0, 120, 250), ("LTE",), 2500.0, 102),
)
# What the operator's own table covers; the masts outside town are known from the crowd's observations only.
SURVEYED = {4101, 4102, 4103, 4104}
# A sector newer than either table: whoever is served by it has an "unknown cell", known by its site alone.
UNLISTED = {("LTE", 4103, 2)}
CELL_COLUMNS = (
    *("radio", "mcc", "net", "area", "cell", "unit", "lon", "lat", "range", "samples", "changeable", "created"),
    *("updated", "averageSignal"),
)
ARFCN = {"GSM": 62, "UMTS": 10_588, "LTE": 1_300, "NR": 152_690}
# The cell is heard less far the higher its band.
REACH = {"GSM": 1.6, "UMTS": 1.0, "LTE": 1.0, "NR": 0.7}
SIGNAL_DBM = {"GSM": -71.0, "UMTS": -82.0, "LTE": -91.0, "NR": -93.0}


def cell_of(mast: Mast, radio: str, sector: int) -> Cell:
    """The cell with its identities, built as each radio builds them."""
    identity = {
        "GSM": mast.number * 10 % 60_000 + sector + 1,
        "UMTS": (mast.number - 4000 << 16) + (mast.number % 100) * 10 + sector + 1,
        "LTE": mast.number * 256 + sector + 1,
        # 22 bits for the gNodeB, 14 for the cell.
        "NR": (mast.number << 14) + sector + 1,
    }[radio]
    pci = {"GSM": None, "UMTS": 40 + mast.number % 100 * 3 + sector}.get(radio, mast.number % 100 * 3 + sector)
    area = mast.area + {"GSM": 0, "UMTS": 0, "LTE": 1000, "NR": 2000}[radio]
    return Cell(radio, mast, sector, area, identity, pci, ARFCN[radio])


def cells() -> list[Cell]:
    """All cells on the air."""
    return [cell_of(m, radio, sector) for m in MASTS for radio in m.radios for sector in range(len(m.azimuths_deg))]


def known(cell: Cell) -> bool:
    """Whether any table holds the cell."""
    return (cell.radio, cell.mast.number, cell.sector) not in UNLISTED


def sectors_csv(network: Sequence[Cell]) -> str:
    """The operator's sector table: mast position and direction of each cell in town."""
    header = ("radio", "mcc", "mnc", "area", "cell", "pci", "arfcn", "latitude", "longitude", "azimuth", "site")
    rows = [
        (c.radio, MCC, MNC, c.area, c.cell, c.pci, c.arfcn, *latlng(c.mast.place), c.azimuth_deg, c.mast.name)
        for c in network
        if c.mast.number in SURVEYED and known(c)
    ]
    return table(header, rows)


def cells_csv(network: Sequence[Cell], rng: random.Random) -> str:
    """The same network as a crowd saw it, in OpenCelliD's columns: centroids of observations, not masts."""
    rows = []
    for c in network:
        reach_m = c.mast.reach_m * REACH[c.radio]
        samples = round(math.exp(rng.uniform(0.0, 6.0)))
        # Observations lie along the sector, nearer to the mast than its reach; few of them scatter their mean.
        heard = moved(c.mast.place, c.azimuth_deg + rng.gauss(0, 15), reach_m * rng.uniform(0.3, 0.55))
        scatter_m = 0.5 * reach_m / math.sqrt(samples)
        latitude, longitude = latlng((heard[0] + rng.gauss(0, scatter_m), heard[1] + rng.gauss(0, scatter_m)))
        stated_m = round(reach_m * rng.uniform(0.7, 1.3)) if samples > 1 else 0
        created = NOON_S - DAY_S * rng.randint(400, 2500)
        updated = created + int((NOON_S - created) * rng.random())
        unit = "" if c.pci is None else c.pci
        row = (c.radio, int(MCC), int(MNC), c.area, c.cell, unit, longitude, latitude, stated_m, samples, 1)
        if known(c):
            rows.append((*row, created, updated, 0))
    return table(CELL_COLUMNS, rows)


# --- Lines ---

LINE_COLUMNS = (
    *("number", "class_of_service", "house_number", "street", "city", "postcode", "country", "latitude", "longitude"),
    *("placement", "provider", "updated_at"),
)
LINE_KINDS = ("RESIDENCE", "RESIDENCE", "RESIDENCE", "BUSINESS", "VOIP_RESIDENCE", "BUSINESS_PBX", "CENTREX", "VOIP")


def number(i: int) -> str:
    """The i-th fictional number."""
    return f"+441632960{i:03d}"


def lines_csv(town: Sequence[House], rng: random.Random) -> str:
    """The line table: a line for every fourth house, a few of each other kind, some without coordinates."""
    rows: list[tuple[object, ...]] = []
    for i, house in enumerate(town[::4]):
        kind = LINE_KINDS[i % len(LINE_KINDS)]
        # Every third record has no coordinates, as many real ones: its address must be placed by the address table.
        where: tuple[object, ...] = ("", "", "") if i % 3 == 1 else (*latlng(house.place), "STRUCTURE")
        updated = f"{2019 + i % 7}-0{1 + i % 9}-1{i % 10}T08:00:00Z"
        provider = ("Testham Telecom", "Sea Lines")[rng.random() < 0.3]
        civic = (house.number, house.street.name, house.street.city, house.street.postcode, "XT")
        rows.append((number(100 + i), kind, *civic, *where, provider, updated))
    special = town[40]
    civic = (special.number, special.street.name, special.street.city, special.street.postcode, "XT")
    rows += [
        (number(7), "VOIP_NOMADIC", *civic, *latlng(special.place), "STRUCTURE", "Cloud Voice", "2024-05-02T08:00:00Z"),
        (number(8), "WIRELESS", "", "", "", "", "XT", "", "", "", "Testham Mobile", "2025-01-01T08:00:00Z"),
        # The number exists no more in the street table: placed by its street alone.
        (number(9), "RESIDENCE", 4999, *civic[1:], "", "", "", "Testham Telecom", "2016-02-03T08:00:00Z"),
    ]
    return table(LINE_COLUMNS, rows)


# --- Areas ---


def ring(places: Sequence[Place]) -> list[list[float]]:
    """A closed ring as GeoJSON has it: longitude first, the first corner again at the end."""
    corners = [list(reversed(latlng(p))) for p in places]
    return [*corners, corners[0]]


def areas_geojson() -> str:
    """Two control areas with a winding border; South has an enclave in North, the hospital's grounds."""
    edge_m = 8_000.0
    border = [(x, -60 + 90 * math.sin(x / 400)) for x in (-edge_m + 200 * i for i in range(81))]
    # RFC 7946, 3.1.6: outer rings run counter-clockwise, holes clockwise.
    grounds = [moved((380.0, 390.0), -30.0 * i, 170.0) for i in range(12)]
    north = [*border, (edge_m, edge_m), (-edge_m, edge_m)]
    south = [*reversed(border), (-edge_m, -edge_m), (edge_m, -edge_m)]
    shapes: list[tuple[str, str, object]] = [
        ("Testham North", "Polygon", [ring(north), ring(grounds[::-1])]),
        ("Testham South", "MultiPolygon", [[ring(south)], [ring(grounds)]]),
    ]
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": kind, "coordinates": rings}}
        for name, kind, rings in shapes
    ]
    lines = ",\n".join(json.dumps(f, separators=(",", ":")) for f in features)
    return f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n'


# --- Calls ---


def time(second: float) -> str:
    """A time `second` seconds after noon, RFC 3339."""
    minutes, seconds = divmod(int(second), 60)
    hours, minutes = divmod(12 * 60 + minutes, 60)
    return f"2026-03-14T{hours:02d}:{minutes:02d}:{seconds:02d}Z"


def measured(mast: int, radio: str, sector: int, fall_db: float = 0.0, timing_advance: int | None = None) -> Json:
    """A cell as a phone measures it, with its whole identity."""
    cell = cell_of(next(m for m in MASTS if m.number == mast), radio, sector)
    # proto3 JSON writes 64-bit integers as text.
    seen: Json = {"radio": f"RADIO_{radio}", "mcc": MCC, "mnc": MNC, "area": cell.area, "cell": str(cell.cell)}
    seen |= {} if cell.pci is None else {"pci": cell.pci}
    seen |= {"arfcn": cell.arfcn, "signal_dbm": SIGNAL_DBM[radio] - fall_db}
    return seen | ({} if timing_advance is None else {"timing_advance": timing_advance})


def heard_only(mast: int, sector: int, fall_db: float) -> Json:
    """A neighbour of which the phone tells channel and physical identity alone."""
    full = measured(mast, "LTE", sector, fall_db)
    return {key: full[key] for key in ("radio", "pci", "arfcn", "signal_dbm")}


@dataclass
class CallMaker:
    """One call that is being put together, and where its caller really is."""

    call_id: str
    truth: Place | None
    calling_number: str = ""
    evidence: list[tuple[float, Json]] = field(default_factory=list)

    def add(self, kind: str, content: Json, *, provider: str, at_s: float = 4.0) -> CallMaker:
        """The call with one more piece of evidence."""
        source, _, _ = kind.partition("_")
        head = {"evidence_id": f"{source}-{len(self.evidence) + 1}", "provider": provider}
        self.evidence.append((at_s, {**head, kind: content}))
        return self

    def scan(self, serving: Json, *neighbours: Json, at_s: float = 2.0) -> CallMaker:
        """The call with a cell scan."""
        content: Json = {"serving": serving} | ({"neighbours": list(neighbours)} if neighbours else {})
        return self.add("cell_scan", content, provider="Testham Mobile", at_s=at_s)

    def device(self, place: Place, radius_m: float, method: str, confidence: float, at_s: float = 8.0) -> CallMaker:
        """The call with a circle from the handset."""
        latitude, longitude = latlng(place)
        center = {"latitude_deg": latitude, "longitude_deg": longitude}
        shape = {"circle": {"center": center, "radius_m": radius_m}}
        method = f"POSITIONING_METHOD_{method}"
        content: Json = {"shape": shape, "confidence": confidence, "method": method}
        return self.add("device_report", content, provider="handset", at_s=at_s)

    def line(self, looked_up: str) -> CallMaker:
        """The call with a look-up of a line."""
        return self.add("line_lookup", {"number": looked_up}, provider="line table", at_s=0.0)

    def message(self, started_s: float) -> Json:
        """The call as the contract's JSON, begun `started_s` seconds after noon."""
        named: Json = {"call_id": self.call_id}
        named |= {"calling_number": self.calling_number} if self.calling_number else {}
        evidence = [{**piece, "observed_at": time(started_s + at_s)} for at_s, piece in self.evidence]
        return named | {"started_at": time(started_s), "evidence": evidence}


def calls(town: Sequence[House]) -> list[CallMaker]:
    """The ten calls."""

    def house(street: str, number: int) -> Place:
        return next(h.place for h in town if h.street.name == street and h.number == number)

    def lined(street: str, kind: str) -> tuple[Place, str]:
        return next(
            (h.place, number(100 + i))
            for i, h in enumerate(town[::4])
            if h.street.name == street and LINE_KINDS[i % len(LINE_KINDS)] == kind
        )

    home, home_number = lined("Market Street", "VOIP_RESIDENCE")
    flat, flat_number = lined("High Street", "RESIDENCE")
    mobile = number(8)
    west, shore = house("Church Street", 11), house("Lighthouse Road", 9)
    return [
        CallMaker("01-agreement", home, home_number)
        .scan(measured(4101, "LTE", 2, timing_advance=6), measured(4103, "LTE", 1, 9.0), heard_only(4102, 2, 13.0))
        .device(moved(home, 70.0, 9.0), 20.0, "GNSS", 0.68)
        .line(home_number),
        CallMaker("02-wrong-device-fix", west, mobile)
        .scan(measured(4101, "LTE", 2), measured(4103, "LTE", 0, 3.0), heard_only(4102, 2, 10.0))
        .device((-31_000.0, 26_000.0), 30.0, "NETWORK", 0.68),
        CallMaker("03-unknown-cell", moved((-820.0, 340.0), 310.0, 600.0), mobile).scan(measured(4103, "LTE", 2)),
        CallMaker("04-landline-only", flat, flat_number).line(flat_number),
        CallMaker("05-voip-elsewhere", shore, number(7))
        .line(number(7))
        .device(moved(shore, 200.0, 25.0), 45.0, "WIFI", 0.68),
        CallMaker("06-everything-missing", None)
        .add("device_report", {"method": "POSITIONING_METHOD_GNSS"}, provider="handset")
        .add("cell_scan", {"serving": {"radio": "RADIO_LTE", "signal_dbm": -118}}, provider="Testham Mobile"),
        CallMaker("07-across-the-border", (330.0, -110.0), mobile).scan(measured(4101, "LTE", 1, timing_advance=5)),
        CallMaker("08-2g-timing-advance", moved((200.0, 1300.0), 170.0, 1150.0), mobile).scan(
            measured(4104, "GSM", 1, timing_advance=2)
        ),
        CallMaker("09-stale-fix", moved((4700.0, -2600.0), 255.0, 700.0), mobile)
        .device(house("Ring Road", 21), 10.0, "GNSS", 0.68, at_s=-720.0)
        .scan(measured(4106, "LTE", 2), measured(4105, "LTE", 1, 12.0)),
        CallMaker("10-lone-cell", (3100.0, -1500.0), mobile).scan(measured(4105, "LTE", 0)),
    ]


def calls_jsonl(made: Sequence[CallMaker]) -> str:
    """The calls, one a line, ten minutes apart."""
    return "".join(json.dumps(call.message(600.0 * i)) + "\n" for i, call in enumerate(made))


def truth_csv(made: Sequence[CallMaker]) -> str:
    """Where the callers really are."""
    rows = [(call.call_id, *(("", "") if call.truth is None else latlng(call.truth))) for call in made]
    return table(("call_id", "latitude_deg", "longitude_deg"), rows)


def files() -> dict[str, str]:
    """All files of the sample: name and text."""
    rng = random.Random(SEED)
    town = [house for street in streets() for house in houses(street)]
    network = cells()
    made = calls(town)
    return {
        "addresses.csv": addresses_csv(town),
        "areas.geojson": areas_geojson(),
        "calls.jsonl": calls_jsonl(made),
        "cells.csv": cells_csv(network, rng),
        "lines.csv": lines_csv(town, rng),
        "sectors.csv": sectors_csv(network),
        "truth.csv": truth_csv(made),
    }


def main(arguments: Sequence[str]) -> None:
    """Writes the files into the folder named, or into data/."""
    folder = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent / "data"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
        print(f"{folder / name}: {text.count(chr(10))} lines")


if __name__ == "__main__":
    main(sys.argv[1:])
