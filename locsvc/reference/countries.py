"""Countries as circles: where a mobile country code or a region of the number plan is."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Country:
    """A country or territory, and a circle that holds about 99 % of its people."""

    iso2: str
    name: str
    latitude_deg: float
    longitude_deg: float
    radius_m: float


def country_of_mcc(mcc: int) -> Country | None:
    """The country of a mobile country code, None for test and international networks and unassigned codes.

    >>> country_of_mcc(272).name
    'Ireland'
    >>> country_of_mcc(1) is None
    True
    """
    return _tables()[0].get(mcc)


def country_of_region(iso2: str) -> Country | None:
    """The country of a two-letter code, None when there is none.

    >>> country_of_region("ie").name
    'Ireland'
    """
    return _tables()[1].get(iso2.upper())


def countries_by_mcc() -> dict[int, Country]:
    """All mobile country codes of the table with their countries."""
    return dict(_tables()[0])


@cache
def _tables() -> tuple[dict[int, Country], dict[str, Country]]:
    text = resources.files(__package__).joinpath("countries.csv").read_text(encoding="utf-8")
    by_mcc: dict[int, Country] = {}
    by_region: dict[str, Country] = {}
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        country = Country(
            row["iso2"],
            row["name"],
            float(row["latitude_deg"]),
            float(row["longitude_deg"]),
            float(row["radius_km"]) * 1000,
        )
        by_region[country.iso2] = country
        by_mcc.update((int(mcc), country) for mcc in row["mcc"].split())
    return by_mcc, by_region
