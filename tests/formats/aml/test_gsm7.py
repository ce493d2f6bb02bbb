"""The GSM 7-bit alphabet and its packing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats.aml import gsm7

septets = st.binary(max_size=200).map(lambda octets: bytes(o & 0x7F for o in octets))
fills = st.integers(0, 6)


def test_worked_example_of_the_alphabet() -> None:
    # "hellohello", packed by hand as the clause draws it.
    assert gsm7.pack(b"hellohello").hex() == "e8329bfd4697d9ec37"
    assert gsm7.unpack(bytes.fromhex("e8329bfd4697d9ec37")) == b"hellohello"


@given(septets, fills)
def test_packed_septets_come_back(given_septets: bytes, fill_bits: int) -> None:
    octets = gsm7.pack(given_septets, fill_bits)
    assert len(octets) == -(-(7 * len(given_septets) + fill_bits) // 8)
    assert gsm7.unpack(octets, len(given_septets), fill_bits) == given_septets


@given(st.binary(max_size=200), fills)
def test_unpacked_octets_come_back(octets: bytes, fill_bits: int) -> None:
    unpacked = gsm7.unpack(octets, None, fill_bits)
    assert len(unpacked) == max(0, len(octets) * 8 - fill_bits) // 7
    again = gsm7.unpack(gsm7.pack(unpacked, fill_bits), len(unpacked), fill_bits)
    assert again == unpacked


@given(st.text(alphabet=sorted(set(gsm7.ALPHABET) - {"\x1b"} | set(gsm7.EXTENSION.values()))))
def test_text_comes_back(text: str) -> None:
    assert gsm7.text_of(gsm7.septets_of(text)) == text


@given(st.binary(max_size=50))
def test_any_septets_are_text(octets: bytes) -> None:
    assert len(gsm7.text_of(octets)) <= len(octets)


@pytest.mark.parametrize(
    ("given_septets", "text"),
    [
        (b"\x1b\x41", "A"),  # nothing in the extension table: the main table's character
        (b"\x1b\x1be", " e"),  # an escape to a further table that nobody has
        (b"A\x1b", "A "),
        (b"\x1b\x1b", " "),
        (b"\x1be", "€"),
    ],
)
def test_escapes(given_septets: bytes, text: str) -> None:
    assert gsm7.text_of(given_septets) == text


def test_what_has_no_septet_is_refused() -> None:
    with pytest.raises(ValueError, match="not in the GSM 7-bit alphabet"):
        gsm7.septets_of("\u201d")
    with pytest.raises(ValueError, match="is no septet"):
        gsm7.pack([128])


def test_alphabet_is_whole() -> None:
    assert len(gsm7.ALPHABET) == 128 == len(set(gsm7.ALPHABET))
    assert (gsm7.ALPHABET[0x22], gsm7.ALPHABET[0x3B], gsm7.ALPHABET[0x3D], gsm7.ALPHABET[0x2B]) == ('"', ";", "=", "+")
