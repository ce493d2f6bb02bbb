"""Data messages: octets, their digits, user data headers."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats.aml import data_sms, gsm7, read
from locsvc.formats.reading import Unreadable
from tests.formats.aml.messages import text1, text2

PORTS = bytes.fromhex("06050415B315B3")
SERIES = bytes.fromhex("050003A70201")
BOTH = bytes.fromhex("0B0003A7020105040000C34F")
HEADERS = (b"", PORTS, SERIES, BOTH)


def packed(message: str, fill_bits: int = 0) -> bytes:
    return gsm7.pack(gsm7.septets_of(message), fill_bits)


@pytest.mark.parametrize("message", [text1(), text2()])
@pytest.mark.parametrize("header", HEADERS, ids=["none", "ports", "series", "both"])
@pytest.mark.parametrize("on_septet", [False, True])
def test_header_is_skipped(message: str, header: bytes, *, on_septet: bool) -> None:
    octets = header + packed(message, -8 * len(header) % 7 if on_septet else 0)
    assert data_sms.read(octets) == read(octets) == read(message)


@pytest.mark.parametrize(
    "digits",
    [
        lambda o: o.hex(),
        lambda o: o.hex().upper().encode(),
        lambda o: "0x" + o.hex(),
        lambda o: o.hex(" ") + "\n",
        lambda o: o.hex(":"),
        base64.b64encode,
        lambda o: base64.b64encode(o).decode().rstrip("="),
        lambda o: base64.urlsafe_b64encode(o).decode(),
        base64.encodebytes,
    ],
)
def test_digits_of_the_octets(digits: object) -> None:
    assert callable(digits)
    assert read(digits(packed(text1()))) == read(text1())


@pytest.mark.parametrize(
    "carried", [text1().encode().hex(), text1().encode("utf-16-be").hex(), base64.b64encode(text1().encode())]
)
def test_digits_of_the_text(carried: str | bytes) -> None:
    assert read(carried) == read(text1())


def test_padding_of_the_last_octet_is_left_out() -> None:
    # 8n - 1 septets leave 7 bits: 0 there reads as "@", the standard's other filling is a carriage return.
    message = next(m for m in (text1(), text1(ei=None, rd="500"), text1(rd="500"), text1(rd="5000")) if len(m) % 8 == 7)
    assert data_sms.text_in(packed(message)) == message
    assert data_sms.text_in(packed(message + "\r")) == message


@given(st.integers(30, 60))
def test_cut_octets_keep_what_is_whole(kept: int) -> None:
    assert "ml" in {w.field for w in read(packed(text1())[:kept]).warnings}


def test_second_part_of_a_series_is_named() -> None:
    with pytest.raises(Unreadable, match="part 2 of 2"):
        data_sms.read(bytes.fromhex("050003A70202") + packed("4;lc=68;pm=G", 1))


@pytest.mark.parametrize("octets", [b"", b"\x00", b"\xff" * 140, bytes(range(140)), PORTS, packed("hello hello hello")])
def test_other_octets_are_refused(octets: bytes) -> None:
    with pytest.raises(Unreadable):
        data_sms.read(octets)
