"""Tiles: a place is in its own, and each that was entered is found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.geo import geodesic_m
from locsvc.reference.tiles import corners_of, distance_to_corners_m, no_tiles, slot_of, tile_at

PARTS = st.floats(0.0, 1.0)
# Both tables' own, and one so wide that poles and seam are in few tiles.
PER_DEGREE = st.sampled_from([1, 256, 2048])


@given(st.floats(-90.0, 90.0), st.floats(-540.0, 540.0), PER_DEGREE)
def test_a_place_is_in_its_tile(latitude: float, longitude: float, per_degree: int) -> None:
    tile = tile_at(latitude, longitude, per_degree)
    assert 1 <= tile <= 180 * per_degree * 360 * per_degree
    south, west, north, east = corners_of(tile, per_degree)
    assert south - 1e-9 <= latitude <= north + 1e-9
    middle = (west + east) / 2
    assert abs((longitude - middle + 180.0) % 360.0 - 180.0) <= (east - west) / 2 + 1e-9


@given(st.integers(1, 180 * 256 * 360 * 256), PARTS, PARTS)
def test_no_place_of_a_tile_is_farther_from_its_middle_than_its_corners(tile: int, up: float, along: float) -> None:
    south, west, north, east = corners_of(tile, 256)
    place = south + up * (north - south), west + along * (east - west)
    away = float(geodesic_m((south + north) / 2, (west + east) / 2, *place))
    assert away <= distance_to_corners_m(tile, 256)


@pytest.mark.parametrize("known", [0, 1, 700, 1024])
def test_known_tiles_are_found_and_others_are_not(known: int, rng: np.random.Generator) -> None:
    tiles = no_tiles(2048, 1024)
    # Neighbours in both directions, and anything.
    every = np.unique(
        np.concatenate([1 + np.arange(900), 1 + 360 * 2048 * np.arange(900), rng.integers(1, 2**38, 900)])
    )
    rng.shuffle(every)
    for row, tile in enumerate(every[:known].tolist()):
        slot = slot_of(tile, tiles.tile)
        assert tiles.tile[slot] == 0
        tiles.tile[slot], tiles.row[slot] = tile, row
    for row, tile in enumerate(every.tolist()):
        slot = slot_of(tile, tiles.tile)
        assert tiles.tile[slot] == (tile if row < known else 0)
        assert row >= known or tiles.row[slot] == row
