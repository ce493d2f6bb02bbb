"""Bucketed sorting against numpy's, on keys as they come and as they hardly ever do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.fusion.sorting import FEW, FULL, MOST_BUCKETS, sort_digits, sort_keys

COUNTS = (0, 1, 2, FEW, FEW + 1, FULL + 1, 100, 449, MOST_BUCKETS + 3, 6_144)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("shape", ["even", "floats", "clusters", "falling", "extremes"])
def test_sorts(count: int, shape: str, rng: np.random.Generator) -> None:
    number = np.arange(count, dtype=np.uint64)
    if shape == "even":
        keys = rng.integers(0, 2**63, count, dtype=np.uint64)
    elif shape == "floats":
        keys = (
            rng.lognormal(0, 4, count).astype(np.float32).view(np.uint32).astype(np.uint64) << np.uint64(32)
        ) | number
    elif shape == "clusters":
        keys = (rng.integers(0, 3, count, dtype=np.uint64) << np.uint64(52)) | rng.permutation(number)
    elif shape == "falling":
        keys = number[::-1].copy()
    else:
        keys = np.where(number % np.uint64(2) == 0, number, np.uint64(2**64 - 1) - number)
    expected = np.sort(keys)
    sort_keys(keys, count)
    assert np.array_equal(keys, expected)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=200))
def test_sorts_anything(values: list[int]) -> None:
    keys = np.array(values, np.uint64)
    sort_keys(keys, len(keys))
    assert keys.tolist() == sorted(values)


def test_leaves_the_rest_alone() -> None:
    keys = np.array([3, 1, 2, 0], np.uint64)
    sort_keys(keys, 3)
    assert keys.tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("low", [0, 16, 37])
def test_digits_are_sorted_and_what_is_below_follows(count: int, low: int, rng: np.random.Generator) -> None:
    # Cells of few places: most of their digits are those of many others.
    digits = rng.permutation(np.unique(rng.integers(0, 2**6, count) << 20 | rng.integers(0, 2**10, count)))
    below = rng.integers(0, 2**low, len(digits), dtype=np.uint64)
    keys = (digits.astype(np.uint64) << np.uint64(low)) | below
    expected = np.sort(keys)
    sort_digits(keys, len(keys), low)
    assert np.array_equal(keys, expected)
