"""Import of cell tables."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from locsvc.errors import BadData, InvalidInput
from locsvc.model import Radio
from locsvc.reference.cells import CellStore, import_cells
from locsvc.reference.cells.columns import LATITUDE, LONGITUDE, PER_DEGREE
from locsvc.reference.cells.keys import unpack_cell_key
from locsvc.reference.cells.table import CellTable
from locsvc.reference.importing import ImportReport
from locsvc.reference.snapshot import Draft, Snapshot

HEADER = "radio,mcc,net,area,cell,unit,lon,lat,range,samples,changeable,created,updated,averageSignal"
GSM = "GSM,208,10,30014,20669,,2.5112670,46.5992450,0,78,1,1566307030,1570119413,"
LTE = "LTE,272,5,42300,237575,12,-8.3347,52.4677,2318,23,1,1475687630,1763894761,0"


def load(folder: Path, content: str | bytes, name: str = "table.csv", **options: Any) -> tuple[ImportReport, CellTable]:  # noqa: ANN401
    source = folder / name
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    with Draft.begin(folder / "data") as draft:
        report = import_cells(draft, source, name="table", **options)
        draft.publish()
    (entry,) = Snapshot.open(folder / "data").entries("cells")
    assert entry.rows == report.rows
    return report, CellTable(entry)


def vectors() -> list[dict[str, Any]]:
    file = Path(__file__).resolve().parents[4] / "shared/standards/vectors/cell.json"
    if not file.exists():
        return []
    return [v for v in json.loads(file.read_text(encoding="utf-8")) if v["kind"] == "cell_csv_row"]


@pytest.mark.usefixtures("shared")
def test_there_are_vectors() -> None:
    assert len(vectors()) == 7


@pytest.mark.parametrize("vector", vectors(), ids=lambda v: v["id"])
def test_vectors(tmp_path: Path, vector: dict[str, Any]) -> None:
    expected = vector["expected"]
    if "error" in expected:
        with pytest.raises(BadData, match="not a cell file"):
            load(tmp_path, vector["input"])
        return
    # A row that is to be skipped stands beside one that is not: a file of nothing but rejects is refused.
    content = vector["input"] if "skip" not in expected else f"{LTE}\n{vector['input']}\n"
    report, table = load(tmp_path, content)
    if "skip" in expected:
        assert (report.rows, sum(report.rejected.values())) == (1, 1)
        return
    radio, mcc, mnc, cell = unpack_cell_key(int(table.key[0]))
    latitude, longitude, range_m, samples, updated, area = table.place[0].tolist()
    found = {"radio": radio.name, "mcc": mcc, "mnc": mnc, "cell": cell, "area": area, "samples": samples}
    assert found == {k: expected.get(k, found[k]) for k in found}
    if "lat" in expected:
        assert latitude / PER_DEGREE == pytest.approx(expected["lat"], abs=vector["tolerance"])
        assert longitude / PER_DEGREE == pytest.approx(expected["lon"], abs=vector["tolerance"])
    if "updated" in expected:
        assert updated == datetime.fromisoformat(expected["updated"]).timestamp()
        assert range_m == expected["range_m"]
        assert table.pci is None


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("closed", [True, False])
def test_header_or_none_plain_or_packed(tmp_path: Path, header: bool, packed: bool, end: str, closed: bool) -> None:
    text = end.join([*([HEADER] if header else []), GSM, "", LTE]) + (end if closed else "")
    content = gzip.compress(text.encode()) if packed else text.encode()
    # The name says nothing: what is packed is seen by its content.
    report, table = load(tmp_path, content, "cells.csv")
    assert (report.rows, report.rejected, report.reject_file) == (2, {}, None)
    assert [unpack_cell_key(int(k)) for k in table.key] == [(Radio.GSM, 208, 10, 20669), (Radio.LTE, 272, 5, 237575)]
    assert table.pci is not None
    assert table.pci.tolist() == [-1, 12]
    assert not table.masts


def test_rejects_are_counted_by_reason_and_listed(tmp_path: Path) -> None:
    faults = {
        "no radio": GSM.removeprefix("GSM"),
        "radio CDMA": GSM.replace("GSM", "CDMA"),
        "unknown radio": GSM.replace("GSM", "WCDMA"),
        "mcc is not a number": GSM.replace("208", '"MCC"'),
        "mcc out of range": GSM.replace("208", "0"),
        "mnc out of range": GSM.replace(",10,", ",1000,"),
        "cell unknown": GSM.replace("20669", "65535"),
        "cell out of range": GSM.replace("20669", "70000"),
        "longitude out of range": GSM.replace("2.5112670", "202.5"),
        "latitude out of range": GSM.replace("46.5992450", "-90.5"),
        "latitude is not a number": GSM.replace("46.5992450", "nan"),
        "no longitude": GSM.replace("2.5112670", ""),
        "position 0,0": GSM.replace("2.5112670", "0").replace("46.5992450", "0.0"),
        "samples is not a number": GSM.replace("78", "many"),
        "updated is not a time": GSM.replace("1570119413", "soon"),
        "wrong number of columns": GSM[:40],
        "malformed CSV": '"' + GSM,
        "not UTF-8": GSM.replace("GSM", "GSM\udcff"),
    }
    lines = [HEADER, LTE, *faults.values(), GSM]
    rejects = tmp_path / "out" / "rejects.csv"
    report, _ = load(tmp_path, "\n".join(lines).encode("utf-8", "surrogateescape"), rejects=rejects)
    assert report.rows == 2
    assert report.rejected == dict.fromkeys(sorted(faults), 1)
    assert report.reject_file == rejects
    with rejects.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        listed = list(csv.DictReader(file))
    assert [(int(r["line"]), r["reason"], r["text"]) for r in listed] == [
        (number, reason, text) for number, (reason, text) in enumerate(faults.items(), start=3)
    ]


def test_line_numbers_hold_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locsvc.reference.cells.loading.BLOCK_BYTES", 1000)
    lines = [LTE.replace("237575", str(1000 + n)) for n in range(300)]
    for bad in (0, 57, 58, 299):
        lines[bad] = lines[bad].replace("272", "xyz")
    rejects = tmp_path / "rejects.csv"
    report, table = load(tmp_path, "\n".join(lines), rejects=rejects)
    assert report.rows == 296
    assert [line.split(",")[0] for line in rejects.read_text().splitlines()] == ["line", "1", "58", "59", "300"]
    assert [unpack_cell_key(int(k))[3] for k in table.key] == [
        1000 + n for n in range(300) if n not in {0, 57, 58, 299}
    ]


def test_unknown_values_of_good_rows(tmp_path: Path) -> None:
    row = "NR,272,5,{area},{cell},{pci},-8.3,52.4,{range},{samples},1,{created},{updated},0"
    plain: dict[str, object] = {
        "area": 5,
        "cell": 1,
        "pci": 9,
        "range": 100,
        "samples": 3,
        "created": 50,
        "updated": 60,
    }
    odd: list[dict[str, object]] = [
        {"area": 65535}, {"area": 16777214}, {"area": ""}, {"range": ""}, {"range": -5}, {"samples": -1}, {"pci": 1008},
        {"pci": 0}, {"updated": ""}, {"updated": 0, "created": 0}, {"range": 1e12}, {"updated": 1763894761000},
    ]  # fmt: skip
    lines = [row.format(**plain | change | {"cell": 1 + n}) for n, change in enumerate(odd)]
    report, table = load(tmp_path, "\n".join(lines))
    assert (report.rows, report.rejected) == (len(odd), {})
    assert table.place[:3, 5].tolist() == [-1, -1, -1]
    assert table.place[3:5, 2].tolist() == [0, 0]
    assert table.place[5, 3] == 0
    assert table.pci is not None
    assert table.pci[6:9].tolist() == [-1, -1, 9]
    assert table.place[8:10, 4].tolist() == [50, 0]
    assert table.place[10, 2] == 2**31 - 1
    assert table.place[11, 4] == 1763894761


def test_of_doubled_identities_the_newest_stays(tmp_path: Path) -> None:
    def row(area: int, lat: float, samples: int, updated: int) -> str:
        return f"GSM,272,1,{area},7,,-8.0,{lat},0,{samples},1,0,{updated},0"

    lines = [row(1, 51.0, 5, 100), row(2, 52.0, 5, 100), row(1, 51.1, 1, 200), row(1, 51.2, 9, 100)]
    lines += [row(3, 53.0, 1, 100), row(3, 53.1, 2, 100), row(4, 54.0, 1, 100), row(4, 54.1, 1, 100)]
    report, table = load(tmp_path, "\n".join(lines))
    assert report.rows == 4
    assert list(report.rejected.values()) == [4]
    assert table.place[:, 5].tolist() == [1, 2, 3, 4]
    assert (table.place[:, LATITUDE] / PER_DEGREE).tolist() == [51.1, 52.0, 53.1, 54.1]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    cases: list[tuple[str | bytes, str]] = [
        ("\n".join(f"{n},a,b" for n in range(300)), "not a cell file"),
        ("\n".join("x" + LTE for _ in range(300)), "not a cell file"),
        (HEADER + "\n", "no usable row"),
        (HEADER + "\n" + GSM.replace("208", "x"), "1 mcc is not a number"),
        ("", "empty"),
        (gzip.compress(f"{LTE}\n".encode())[:-6], "cut short"),
        ("lat,lon,cell\n1,2,3\n", "radio"),
        ("radio,lat,lon\nLTE,1,2\n", "no column for cell, mcc, mnc"),
    ]
    for content, message in cases:
        with pytest.raises(BadData, match=message):
            load(tmp_path, content)
    with pytest.raises(BadData, match="No such file"), Draft.begin(tmp_path / "data") as draft:
        import_cells(draft, tmp_path / "absent.csv", name="x")


def test_columns_by_mapping(tmp_path: Path) -> None:
    content = (
        "Operator;Node;Lac;Breite;Laenge;Richtung;Stand;Name\n"
        '"001-01";1234;7;"52.5";13.4;360;2024-05-06T07:08:09Z;"two\nlines"\n'
        "26201;99;8;52.6;13.5;90.5;2024-05-06;x\n"
        "1;99;8;52.6;13.5;90.5;;x\n"
    )
    mapping = {
        "radio": "=GSM", "plmn": "operator", "cell": "Node", "latitude": "Breite", "longitude": "Laenge",
        "azimuth": "Richtung", "updated": "Stand",
    }  # fmt: skip
    rejects = tmp_path / "rejects.csv"
    report, table = load(tmp_path, content, mapping=mapping, rejects=rejects)
    assert (report.rows, report.rejected) == (2, {"plmn is not 5 or 6 digits": 1})
    assert "5,plmn" in rejects.read_text()
    assert [unpack_cell_key(int(k)) for k in table.key] == [(Radio.GSM, 1, 1, 1234), (Radio.GSM, 262, 1, 99)]
    assert table.masts
    assert table.azimuth_deg is not None
    assert table.azimuth_deg.tolist() == [0.0, 90.5]
    assert table.place[:, 4].tolist() == [1714979289, 1714953600]
    assert table.place[:, 5].tolist() == [7, 8]
    with pytest.raises(InvalidInput, match=r"mapping\.cell.*no column 'Zelle'"):
        load(tmp_path, content, mapping=mapping | {"cell": "Zelle"})
    with pytest.raises(InvalidInput, match=r"mapping\.tower"):
        load(tmp_path, content, mapping=mapping | {"tower": "Node"})


@pytest.mark.parametrize(("columns", "pci"), [("samples", -1), ("name", 0)])
def test_physical_identity_0_is_unknown_where_samples_are_counted(tmp_path: Path, columns: str, pci: int) -> None:
    header = f"radio,mcc,mnc,cell,pci,lat,lon,{columns}"
    _, table = load(tmp_path, f"{header}\nLTE,272,1,257,0,52,-8,5\nLTE,272,1,258,9,52,-8,5\n")
    assert table.pci is not None
    assert table.pci.tolist() == [pci, 9]


def test_opencellid_columns_with_a_constant_in_place_of_one(tmp_path: Path) -> None:
    report, table = load(tmp_path, f"{HEADER}\n{LTE}\n{GSM}\n", mapping={"radio": "=UMTS"})
    assert report.rows == 2
    assert {unpack_cell_key(int(k))[0] for k in table.key} == {Radio.UMTS}


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[int] = []
    load(tmp_path, f"{HEADER}\n{GSM}\n{LTE}\n", progress=seen.append)
    assert seen[-1] == 2


@pytest.mark.real
def test_real_ireland_without_a_header(tmp_path: Path, shared: Path) -> None:
    source = shared / "data/cells/opencellid_ireland_272.csv.gz"
    report, table = load(tmp_path, source.read_bytes())
    assert (report.rows, report.rejected) == (7861, {})
    radios = np.bincount((table.key >> 56) + 1, minlength=5).tolist()
    assert radios == [0, 377, 1368, 6116, 0]
    # The whole file again, row by row, by the csv module.
    with gzip.open(source, "rt", newline="") as file:
        rows = {
            (Radio[r[0]], int(r[1]), int(r[2]), int(r[4]), int(r[3])): (float(r[7]), float(r[6]), int(r[8]), int(r[9]))
            for r in csv.reader(file)
            if r
        }
    for key, place in zip(table.key.tolist(), table.place.tolist(), strict=True):
        latitude, longitude, range_m, samples, _, area = place
        expected = rows[(*unpack_cell_key(key), area)]
        assert (latitude / PER_DEGREE, longitude / PER_DEGREE, range_m, samples) == pytest.approx(expected, abs=1e-7)


@pytest.mark.real
def test_real_france_with_a_header(tmp_path: Path, shared: Path) -> None:
    report, table = load(tmp_path, (shared / "data/cells/opencellid_france_208.csv").read_bytes())
    assert (report.rows, report.rejected) == (29_716, {})
    assert np.median(table.place[:, LATITUDE]) / PER_DEGREE == pytest.approx(47, abs=3)


@pytest.mark.real
def test_real_sectors(tmp_path: Path, shared: Path) -> None:
    report, table = load(tmp_path, (shared / "data/cells/sectors_sussex.csv").read_bytes())
    assert (report.rows, report.rejected) == (3237, {})
    row = table.find((((2 << 20) | (234 << 10) | 10) << 36) | 129097582, -1)
    assert table.masts
    assert table.pci is not None
    assert table.arfcn is not None
    assert table.azimuth_deg is not None
    assert (table.pci[row], table.arfcn[row], table.azimuth_deg[row]) == (406, 6400, 277)
    assert table.place[row, LONGITUDE] / PER_DEGREE == pytest.approx(-0.1455683986639542, abs=1e-7)


def test_a_store_opens_what_was_imported(tmp_path: Path) -> None:
    load(tmp_path, f"{HEADER}\n{GSM}\n{LTE}\n")
    (row,) = CellStore.open(Snapshot.open(tmp_path / "data").entries("cells")).nearest(52.0, -8.0, 1)
    assert (row.cell.mcc, row.cell.mnc, row.cell.cell, row.range_m) == ("272", "05", 237575, 2318)
