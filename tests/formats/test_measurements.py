"""Measurements of RFC 7105 as cell scans."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locsvc.formats.call_checks import MAX_NEIGHBOURS, call_violations
from locsvc.formats.measurements import read
from locsvc.formats.reading import Reading, Unreadable
from locsvc.model import Call, CellMeasurement, CellScan, Radio

_FOLDER = Path(__file__).resolve().parents[3] / "shared" / "standards" / "vectors" / "rfc-xml"
# 29 April 2008, 14:33:58.
TIME_S = 1209479638.0


def cells(*content: str, kind: str = "servingCell") -> str:
    return (
        '<measurements xmlns="urn:ietf:params:xml:ns:geopriv:lm" time="2026-03-14T12:00:00Z">'
        '<cellular xmlns="urn:ietf:params:xml:ns:geopriv:lm:cell">'
        + "".join(f"<{kind}>{c}</{kind}>" for c in content)
        + "</cellular></measurements>"
    )


def scan_of(reading: Reading) -> CellScan:
    assert isinstance(reading.evidence[0].content, CellScan)
    return reading.evidence[0].content


def reasons(reading: Reading) -> str:
    return "\n".join(map(str, reading.warnings))


# The cells of the RFC's figures, by the file they stand in.
FIGURES = {
    "rfc7105-08-measurements": CellScan(
        CellMeasurement(Radio.LTE, "465", "20", None, 80936424),
        (CellMeasurement(Radio.LTE, "465", "06", None, 10736789),),
    ),
    "rfc7105-09-measurements": CellScan(
        CellMeasurement(Radio.UMTS, "465", "20", None, 2000 * 65536 + 65000),
        (CellMeasurement(Radio.GSM, "465", "06", 16383, 32767),),
    ),
    "rfc7105-10-measurements": CellScan(CellMeasurement(Radio.GSM, "465", "06", 16383, 32767)),
    "rfc7105-12-measurements": CellScan(
        None,
        (
            CellMeasurement(Radio.UMTS, "465", "20", None, 2000 * 65536 + 65000),
            CellMeasurement(Radio.GSM, "465", "06", 16383, 32767),
        ),
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_cells_of_the_rfc(shared: Path, name: str) -> None:
    reading = read((shared / "standards" / "vectors" / "rfc-xml" / f"{name}.xml").read_bytes())
    assert scan_of(reading) == FIGURES[name]
    assert reading.evidence[0].observed_at == TIME_S
    assert [w.field for w in reading.warnings] == ["timestamp"]  # it has no time zone


def test_cdma_is_a_detail(shared: Path) -> None:
    reading = read((shared / "standards/vectors/rfc-xml/rfc7105-11-measurements.xml").read_bytes())
    assert reading.evidence == ()
    assert reading.no_location
    assert reading.details["servingCell"] == "sid 15892 nid 4723 baseid 12"
    assert reading.details["observedCell"] == "sid 15892 nid 4723 baseid 13"


OTHERS = sorted({*_FOLDER.glob("rfc7105-*measurements.xml"), *_FOLDER.glob("rfc7105-01-*.xml")})


@pytest.mark.parametrize("path", [p for p in OTHERS if p.stem not in FIGURES], ids=lambda p: str(p.stem))
def test_other_measurements_of_the_rfc_are_named(path: Path) -> None:
    reading = read(path.read_bytes())
    assert reading.evidence == ()
    assert reading.no_location
    assert reading.details


def test_access_points_are_details(shared: Path) -> None:
    reading = read((shared / "standards/vectors/rfc-xml/rfc7105-07-measurements.xml").read_bytes())
    assert reading.details["wifi.bssid"] == "ab:cd:ef:ab:cd:ef"
    assert reading.details["wifi.serving"] == "ab:cd:ef:ab:cd:ef"


NETWORK = "<mcc>001</mcc><mnc>01</mnc>"


@pytest.mark.parametrize(
    ("content", "cell", "warning"),
    [
        (f"{NETWORK}<lac>2748</lac><cid>4660</cid>", CellMeasurement(Radio.GSM, "001", "01", 2748, 4660), ""),
        (
            f"{NETWORK}<lac>2748</lac><cid>131137000</cid>",
            CellMeasurement(Radio.UMTS, "001", "01", 2748, 131137000),
            "",
        ),
        (f"{NETWORK}<rnc>4095</rnc><cid>1</cid>", CellMeasurement(Radio.UMTS, "001", "01", None, 4095 * 65536 + 1), ""),
        (f"{NETWORK}<rnc>5000</rnc><cid>7</cid>", CellMeasurement(Radio.UMTS, "001", "01", None, 5000 * 4096 + 7), ""),
        (f"{NETWORK}<tac>9</tac><eucid> 411 </eucid>", CellMeasurement(Radio.LTE, "001", "01", 9, 411), ""),
        (
            f"{NETWORK}<tac>99999</tac><nci>68719476734</nci>",
            CellMeasurement(Radio.NR, "001", "01", 99999, 2**36 - 2),
            "",
        ),
        (f"{NETWORK}<tac>99999</tac><eucid>4</eucid>", CellMeasurement(Radio.LTE, "001", "01", None, 4), "tac '99999'"),
        (f"{NETWORK}<lac>2748</lac><cid>65535</cid>", CellMeasurement(Radio.GSM, "001", "01", 2748), "not known"),
        (f"{NETWORK}<lac>2748</lac><cid>x</cid>", CellMeasurement(Radio.GSM, "001", "01", 2748), "cid 'x'"),
        (f"{NETWORK}<lac>65534</lac><cid>5</cid>", CellMeasurement(Radio.GSM, "001", "01", None, 5), "lac '65534'"),
    ],
)
def test_identities(content: str, cell: CellMeasurement, warning: str) -> None:
    reading = read(cells(content))
    assert scan_of(reading) == CellScan(cell)
    assert reading.evidence[0].observed_at == 1773489600.0
    assert warning in reasons(reading)
    assert bool(reading.warnings) == bool(warning)


@pytest.mark.parametrize(
    "content",
    [
        "",
        NETWORK,
        f"{NETWORK}<eucid>268435456</eucid>",
        f"{NETWORK}<eucid>{'9' * 5000}</eucid>",
        f"{NETWORK}<rnc>5000</rnc><cid>5000</cid>",
        f"{NETWORK}<cid>-5</cid>",
        "<mcc>1</mcc><mnc>01</mnc><eucid>411</eucid>",
        "<mcc>001</mcc><eucid>411</eucid>",
        "<mcc>\u0660\u0660\u0661</mcc><mnc>01</mnc><eucid>411</eucid>",
    ],
)
def test_a_cell_without_an_identity_is_named_and_left_out(content: str) -> None:
    reading = read(cells(content, f"{NETWORK}<eucid>411</eucid>"))
    assert scan_of(reading) == CellScan(CellMeasurement(Radio.LTE, "001", "01", None, 411))
    assert reading.warnings
    assert read(cells(content)).no_location


def test_an_observed_cell_may_lack_its_network() -> None:
    reading = read(cells("<eucid>411</eucid>", kind="observedCell"))
    assert scan_of(reading).neighbours == (CellMeasurement(Radio.LTE, cell=411),)


def test_a_second_serving_cell_is_a_neighbour() -> None:
    reading = read(cells(f"{NETWORK}<eucid>411</eucid>", f"{NETWORK}<eucid>412</eucid>"))
    assert [c.cell for c in scan_of(reading).neighbours] == [412]
    assert "second serving cell" in reasons(reading)


def test_only_as_many_neighbours_as_the_contract_allows() -> None:
    reading = read(cells(*(f"{NETWORK}<eucid>{n}</eucid>" for n in range(1, 200)), kind="observedCell"))
    assert len(scan_of(reading).neighbours) == MAX_NEIGHBOURS
    assert "left out" in reasons(reading)


def test_cells_that_cannot_be_used_are_bounded_too() -> None:
    reading = read(cells(*["<sid>1</sid>"] * 1000))
    assert len(reading.warnings) <= 2 * MAX_NEIGHBOURS + 1


def test_a_bare_cellular_element() -> None:
    bare = cells(f"{NETWORK}<eucid>411</eucid>").partition(">")[2].removesuffix("</measurements>")
    assert scan_of(read(bare)).serving == CellMeasurement(Radio.LTE, "001", "01", None, 411)


@pytest.mark.parametrize("message", ["", "x", "<presence/>", "<measurements", b"\xff", "<!DOCTYPE a><measurements/>"])
def test_what_has_no_measurements_is_unreadable(message: str | bytes) -> None:
    with pytest.raises(Unreadable):
        read(message)


_good = cells(f"{NETWORK}<lac>2748</lac><cid>4660</cid>", f"{NETWORK}<rnc>5000</rnc><cid>7</cid>")


@given(
    st.integers(0, len(_good)), st.integers(0, 30), st.sampled_from(["<sid>", "-1", "9" * 99, "\u0663", "&", "</", ""])
)
def test_anything_is_read_or_unreadable_and_within_the_contract(start: int, length: int, text: str) -> None:
    try:
        reading = read(_good[:start] + text + _good[start + length :])
    except Unreadable:
        return
    assert bool(reading.no_location) == (not reading.evidence)
    assert call_violations(Call(evidence=reading.evidence)) == []
