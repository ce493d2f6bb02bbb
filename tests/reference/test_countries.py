"""The table of countries."""

from __future__ import annotations

import pytest

from locsvc import geo
from locsvc.reference.countries import countries_by_mcc, country_of_mcc, country_of_region

# Capitals and far cities that a country's circle must hold: code, latitude, longitude.
CITIES = [
    (272, 51.90, -8.47), (234, 57.15, -2.09), (235, 50.37, -4.14), (208, 43.30, 5.37), (310, 47.61, -122.33),
    (311, 25.76, -80.19), (302, 49.28, -123.12), (302, 47.56, -52.71), (250, 43.12, 131.89), (250, 54.71, 20.51),
    (505, -31.95, 115.86), (505, -12.46, 130.84), (510, -2.53, 140.72), (510, 5.55, 95.32), (440, 26.21, 127.68),
    (404, 8.52, 76.94), (460, 43.83, 87.62), (724, -3.12, -60.02), (730, -53.16, -70.91), (242, 69.65, 18.96),
    (214, 28.12, -15.43), (268, 37.74, -25.67), (655, -33.92, 18.42), (608, 14.69, -17.44), (202, 36.43, 28.22),
    (222, 38.12, 13.36), (647, -12.78, 45.23), (362, 18.03, -63.05), (334, 32.51, -117.04), (530, -36.85, 174.76),
]  # fmt: skip


@pytest.mark.parametrize(("mcc", "latitude", "longitude"), CITIES)
def test_cities_are_in_their_country(mcc: int, latitude: float, longitude: float) -> None:
    country = country_of_mcc(mcc)
    assert country is not None
    away_m = geo.distance_m(country.latitude_deg, country.longitude_deg, latitude, longitude)
    assert float(away_m) <= country.radius_m


def test_test_and_international_networks_have_no_country() -> None:
    assert [country_of_mcc(mcc) for mcc in (0, 1, 901, 999, -1, 5000)] == [None] * 6


def test_the_table_is_whole() -> None:
    by_mcc = countries_by_mcc()
    assert len(by_mcc) > 230
    assert {mcc for mcc in by_mcc if not 200 <= mcc <= 759} == set()
    for country in by_mcc.values():
        assert country_of_region(country.iso2) is country
        assert len(country.iso2) == 2
        assert -90 < country.latitude_deg < 90
        assert -180 <= country.longitude_deg <= 180
        assert 1_000 < country.radius_m < 6_000_000


def test_regions_of_the_number_plan_without_a_mobile_code() -> None:
    jersey = country_of_region("JE")
    assert jersey is not None
    assert jersey.name == "Jersey"
    assert country_of_region("ZZ") is None
