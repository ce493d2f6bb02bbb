"""Sorting of keys that are spread more or less evenly: masses, distances, cells of a region.

A comparison sort of some hundred keys spends most of its time on branches that the processor guesses wrong. Here keys
go to buckets by their place between the least and the greatest first, a handful to each, and only those are compared.
The result is that of any other sort: keys are unique.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from locsvc.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Cells = npt.NDArray[np.uint64]

# Fewer keys than this are sorted by insertion at once.
FEW = 12
# Buckets at the most: their table stays in the fastest memory.
MOST_BUCKETS = 2048
# A bucket with more keys than this is sorted by comparison after all.
FULL = 24
_BYTES, _LAST_BYTE, _WORD = 256, np.uint64(255), np.uint64(64)


@compiled
def sort_keys(key: Cells, count: int) -> None:
    """Sorts the first `count` keys, ascending, in place; they lie within 2^63 of each other.

    >>> keys = np.array([7, 3, 5], np.uint64)
    >>> sort_keys(keys, 3)
    >>> keys.tolist()
    [3, 5, 7]
    """
    if count <= FEW:
        _insert(key, 0, count)
        return
    low, high = key[0], key[0]
    for i in range(1, count):
        low, high = min(low, key[i]), max(high, key[i])
    buckets = 16
    while buckets < count and buckets < MOST_BUCKETS:
        buckets *= 2
    scale = np.float64(buckets) / (np.float64(high - low) + 1.0)
    # One more in front, so that counts become first places as they are summed.
    first = np.zeros(buckets + 2, np.int32)
    bucket = np.empty(count, np.int32)
    for i in range(count):
        # As a signed number: the other kind becomes a float in several steps.
        at = min(np.int32(np.float64(np.int64(key[i] - low)) * scale), np.int32(buckets - 1))
        bucket[i] = at
        first[at + 2] += 1
    for b in range(2, buckets + 2):
        first[b] += first[b - 1]
    spare = np.empty(count, np.uint64)
    for i in range(count):
        at = bucket[i] + 1
        spare[first[at]] = key[i]
        first[at] += 1
    start = 0
    for b in range(buckets):
        end = first[b + 1]
        if end - start > FULL:
            spare[start:end].sort()
        start = end
    for i in range(count):
        key[i] = spare[i]
    _insert(key, 0, count)


@compiled
def sort_digits(key: Cells, count: int, low: int) -> None:
    """Sorts the first `count` keys by their bits from `low` on, ascending, in place; those below follow the keys.

    For cells by their digits, which stand in clusters: by a byte at a time, as many as there are in which keys differ.

    >>> keys = np.array([0x70A, 0x30B, 0x50C], np.uint64)
    >>> sort_digits(keys, 3, 8)
    >>> [hex(key) for key in keys.tolist()]
    ['0x30b', '0x50c', '0x70a']
    """
    if count <= FEW:
        _insert(key, 0, count)
        return
    differ = np.uint64(0)
    for i in range(count):
        differ |= key[i] ^ key[0]
    spare, first = np.empty(count, np.uint64), np.empty(_BYTES + 1, np.int32)
    shift = np.uint64(low)
    # No word is shifted by as many bits as it has: what comes of that is not told.
    while shift < _WORD and differ >> shift != np.uint64(0):
        if (differ >> shift) & _LAST_BYTE == np.uint64(0):
            shift += np.uint64(8)
            continue
        first[:] = 0
        for i in range(count):
            spare[i] = key[i]
            first[((key[i] >> shift) & _LAST_BYTE) + np.uint64(1)] += 1
        for b in range(1, _BYTES):
            first[b] += first[b - 1]
        for i in range(count):
            b = (spare[i] >> shift) & _LAST_BYTE
            key[first[b]] = spare[i]
            first[b] += 1
        shift += np.uint64(8)


@compiled
def _insert(key: Cells, start: int, end: int) -> None:
    """Sorts keys of which none stands far from its place."""
    for i in range(start + 1, end):
        moving = key[i]
        to = i
        while to > start and key[to - 1] > moving:
            key[to] = key[to - 1]
            to -= 1
        key[to] = moving
