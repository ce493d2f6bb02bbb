"""P-Access-Network-Info and Cellular-Network-Info."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats.access_network import MAX_CHARACTERS, MAX_VALUES, read
from locsvc.formats.call_checks import call_violations
from locsvc.formats.reading import Unreadable
from locsvc.model import Call, CellMeasurement, CellScan, Evidence, Radio

_FILE = Path(__file__).resolve().parents[3] / "shared" / "standards" / "vectors" / "cell.json"
ROWS: list[dict[str, Any]] = (
    [v for v in json.loads(_FILE.read_text(encoding="utf-8")) if v["kind"] == "p_access_network_info"]
    if _FILE.exists()
    else []
)
LTE = CellMeasurement(radio=Radio.LTE, mcc="001", mnc="01", area=0x0ABC, cell=0x0123ABC)


def cell_of(evidence: Evidence) -> CellMeasurement:
    assert isinstance(evidence.content, CellScan)
    assert evidence.content.serving is not None
    return evidence.content.serving


@pytest.mark.parametrize("row", ROWS, ids=lambda r: str(r["id"]))
def test_vector(row: dict[str, Any]) -> None:
    want = row["expected"]
    reading = read(row["input"])
    if "error" in want:
        assert reading.evidence == ()
        assert reading.no_location
        assert "13 characters, not 16 or 17" in str(reading.warnings[0])
        return
    area, number = (want[k] for k in want if k in ("tac", "lac", "eci", "nci", "ci"))
    assert cell_of(reading.evidence[0]) == CellMeasurement(
        radio=Radio[want["rat"]], mcc=want["mcc"], mnc=want["mnc"], area=area, cell=number
    )


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("3GPP-GERAN; cgi-3gpp=001010ABC1234", CellMeasurement(Radio.GSM, "001", "01", 0x0ABC, 0x1234)),
        ("3GPP-GERAN; cgi-3gpp=0010120ABC1234", CellMeasurement(Radio.GSM, "001", "012", 0x0ABC, 0x1234)),
        (
            "3GPP-UTRAN-FDD; utran-cell-id-3gpp=001010ABC0123ABC",
            CellMeasurement(Radio.UMTS, "001", "01", 0xABC, 0x123ABC),
        ),
        (
            '3GPP-UTRAN-TDD; utran-cell-id-3gpp="001010ABC0123ABC"',
            CellMeasurement(Radio.UMTS, "001", "01", 0xABC, 0x123ABC),
        ),
        ("3GPP-E-UTRAN-TDD;utran-cell-id-3gpp=001010abc0123abc", LTE),
        ("3GPP-E-UTRAN-FDD;cgi-3gpp=001010ABC0123ABC", LTE),
        (
            "3GPP-NR-FDD;utran-cell-id-3gpp=001012000ABC0123456AB",
            CellMeasurement(Radio.NR, "001", "012", 0xABC, 0x123456AB),
        ),
        (
            "3gpp-nr-u-tdd ; UTRAN-CELL-ID-3GPP = 0010100ABC0123456AB0",
            CellMeasurement(Radio.NR, "001", "01", 0xABC0, 0x123456AB0),
        ),
        ("3GPP-UTRAN; utran-sai-3gpp=001010ABC1234", CellMeasurement(Radio.UMTS, "001", "01", 0x0ABC)),
    ],
)
def test_access_types(value: str, cell: CellMeasurement) -> None:
    reading = read(value)
    assert [cell_of(e) for e in reading.evidence] == [cell]
    assert reading.warnings == ()
    assert reading.no_location == ""
    assert read("P-Access-Network-Info: " + value.replace(";", ";\r\n\t")).evidence == reading.evidence
    assert read(value.encode()) == reading


@pytest.mark.parametrize(
    ("value", "cell", "warning"),
    [
        ("3GPP-EUTRAN;utran-cell-id-3gpp=001010ABC0123ABC", LTE, "read as EUTRAN"),
        ("LTE;utran-cell-id-3gpp=001010ABC0123ABC", LTE, "read as LTE"),
        ("IEEE-802.11;utran-cell-id-3gpp=001010ABC0123ABC", LTE, "by its length it is read as LTE"),
        ("3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=00101F0ABC0123ABC", LTE, "filled with F"),
        ("3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=001-01-0ABC-0123ABC", LTE, "separators"),
        (
            "3GPP-UTRAN-TDD; utran-cell-id-3gpp=001010ABC1234",
            CellMeasurement(Radio.UMTS, "001", "01", 0xABC, 0x1234),
            "RNC is missing",
        ),
        (
            "5G;nr-cell-id-3gpp=001012000ABC0123456AB",
            CellMeasurement(Radio.NR, "001", "012", 0xABC, 0x123456AB),
            "read as NR",
        ),
        (
            "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=001010ABCFFFFFFF",
            CellMeasurement(Radio.LTE, "001", "01", 0xABC),
            "cell id '268435455'",
        ),
        (
            "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=00101FFFE0123ABC",
            CellMeasurement(Radio.LTE, "001", "01", None, 0x123ABC),
            "tac '65534'",
        ),
    ],
)
def test_crooked_values_are_read_with_a_warning(value: str, cell: CellMeasurement, warning: str) -> None:
    reading = read(value)
    assert [cell_of(e) for e in reading.evidence] == [cell]
    assert warning in str(reading.warnings[0])


@pytest.mark.parametrize(
    "value",
    [
        "3GPP-GERAN;cgi-3gpp=001010ABC0123ABC",
        "3GPP-NR-TDD;utran-cell-id-3gpp=001010ABC0123ABC",
        "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=0010AB0ABC0123ABC",
        "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=unavailable",
        "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=" + "0" * 5000,
        "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=\u0660\u0660\u0661\u0660\u0661\u0660ABC0123ABC",
        "IEEE-802.11;utran-cell-id-3gpp=001011",
    ],
)
def test_an_identity_that_fits_no_radio_is_named_and_not_used(value: str) -> None:
    reading = read(value)
    assert reading.evidence == ()
    assert reading.no_location
    assert "not used" in reading.warnings[0].reason


def test_several_values_keep_their_order_and_each_its_details() -> None:
    reading = read(
        "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=001010ABC0123ABC,"
        '3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=001010ABC0123ABD;network-provided;local-time-zone="UTC+01:00,x;y"'
    )
    assert [(e.evidence_id, cell_of(e).cell) for e in reading.evidence] == [("cell", 0x123ABC), ("cell-2", 0x123ABD)]
    assert reading.details == {
        "access-type": "3GPP-E-UTRAN-FDD",
        "utran-cell-id-3gpp": "001010ABC0123ABC",
        "access-type[2]": "3GPP-E-UTRAN-FDD",
        "utran-cell-id-3gpp[2]": "001010ABC0123ABD",
        "network-provided[2]": "yes",
        "local-time-zone[2]": "UTC+01:00,x;y",
    }


def test_the_same_cell_of_handset_and_network_is_one_observation() -> None:
    value = "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=001010ABC0123ABC"
    reading = read(f"{value}, {value};network-provided")
    assert [cell_of(e) for e in reading.evidence] == [LTE]
    assert "stands in two values" in reading.warnings[0].reason


def test_an_access_point_is_a_detail_and_no_place() -> None:
    reading = read('IEEE-802.11;i-wlan-node-id=0011aaBBccDD;imsi="001011234567890"')
    assert reading.evidence == ()
    assert reading.no_location
    assert reading.details["i-wlan-node-id"] == "00:11:aa:bb:cc:dd"
    assert reading.details["imsi"] == "001011*********"


def test_cdma_is_a_detail() -> None:
    reading = read("3GPP2-1X;ci-3gpp2=3E141273000C")
    assert reading.evidence == ()
    assert reading.details["ci-3gpp2"] == "3E141273000C"


def test_age_of_the_cell_gives_its_time() -> None:
    text = "Cellular-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=001010ABC0123ABC;cell-info-age=90"
    assert read(text, arrived_at=1_700_000_090.0).evidence[0].observed_at == 1_700_000_000.0
    assert read(text).evidence[0].observed_at is None


def test_only_so_many_values_are_read() -> None:
    values = [f"3GPP-GERAN;cgi-3gpp=00101{i:04X}0001" for i in range(1, MAX_VALUES + 9)]
    reading = read(",".join(values))
    assert len(reading.evidence) == MAX_VALUES
    assert reading.warnings[-1].value == str(MAX_VALUES + 8)


@pytest.mark.parametrize(
    "text", ["", "  ", ",;,", "hello", "P-Access-Network-Info:", "<presence/>", "a" * (MAX_CHARACTERS + 1), b"\xff\xfe"]
)
def test_what_names_no_access_network_is_unreadable(text: str | bytes) -> None:
    with pytest.raises(Unreadable):
        read(text)


_fragments = st.sampled_from(
    [
        "3GPP-E-UTRAN-FDD",
        "3GPP-NR",
        "GERAN",
        ";",
        ",",
        "=",
        '"',
        "\\",
        "<",
        ">",
        "\r\n ",
        "utran-cell-id-3gpp",
        "cgi-3gpp",
        "utran-sai-3gpp",
        "cell-info-age",
        "001010001000019B",
        "00101",
        "ffff",
        "0" * 17,
        "P-Access-Network-Info:",
        "٣",
    ]
)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200), st.lists(_fragments, max_size=25).map("".join)))
def test_anything_is_read_or_unreadable(message: bytes | str) -> None:
    try:
        reading = read(message, arrived_at=1.7e9)
    except Unreadable:
        return
    assert bool(reading.no_location) == (not reading.evidence)
    assert call_violations(Call(evidence=reading.evidence)) == []


def test_an_identity_of_zeros_is_no_cell() -> None:
    reading = read("3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=0000000000000000")
    assert not reading.evidence
    assert reading.no_location
    assert "country 000" in str(reading.warnings[0])
