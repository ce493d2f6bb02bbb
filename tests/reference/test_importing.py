"""Tables as importers read them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from locsvc.errors import BadData, InvalidInput
from locsvc.reference import importing
from locsvc.reference.importing import Rejects, find_layout, open_binary, read_table

KNOWN = {"number": ("tn", "phone_number"), "name": (), "place": ("lat lon",)}


def rows(source: Path, mapping: dict[str, str] | None = None) -> list[tuple[int, dict[str, str], str | None]]:
    layout = find_layout(source, known=KNOWN, mapping=mapping)
    return [(row.line, row.values, row.problem) for row in read_table(source, layout)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", ["Phone Number", "PHONE_NUMBER", "tn", "number"])
def test_columns_are_found_by_name(tmp_path: Path, delimiter: str, header: str) -> None:
    source = tmp_path / "t.csv"
    source.write_text(f"\ufeff{header}{delimiter}other{delimiter}Name\r\n 5 {delimiter}x{delimiter}Ann\r\n", "utf-8")
    assert rows(source) == [(2, {"number": "5", "name": "Ann"}, None)]


def test_a_mapping_goes_before_known_names_and_may_be_a_constant(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text("number,mobile,name\n1,2,Ann\n")
    found = rows(source, {"number": "Mobile", "name": "=Bob", "place": "=a,b"})
    assert found == [(2, {"number": "2", "name": "Bob", "place": "a,b"}, None)]
    with pytest.raises(
        InvalidInput, match=r"mapping\.number: the table has no column 'x'; it has: number, mobile, name"
    ):
        rows(source, {"number": "x"})
    with pytest.raises(InvalidInput, match=r"mapping\.nonsense: no such column; ours are: number, name, place"):
        rows(source, {"nonsense": "x"})


def test_odd_rows_have_their_problem_and_their_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_LINE_CHARS", 60)
    source = tmp_path / "t.csv"
    lines = [
        b"number,name",
        b'1,"two',
        b'lines"',
        b"",
        b"short",
        b"2," + b"x" * 200,
        b"3,caf\xe9",
        b"4,caf\xc3\xa9",
        b"5,a,b",
    ]
    source.write_bytes(b"\n".join(lines))
    assert rows(source) == [
        (2, {"number": "1", "name": "two\nlines"}, None),
        (5, {}, importing.COLUMN_COUNT),
        (6, {}, importing.LINE_TOO_LONG),
        (7, {}, importing.NOT_UTF8),
        (8, {"number": "4", "name": "café"}, None),
        (9, {"number": "5", "name": "a"}, None),
    ]


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    for content, message in [(b"", "empty"), (b"a,b\n", "names no column we know"), (b"\x00\x01", "not a text file")]:
        source.write_bytes(content)
        with pytest.raises(BadData, match=message):
            rows(source)
    with pytest.raises(BadData, match="No such file"):
        rows(tmp_path / "absent.csv")
    with pytest.raises(BadData, match="directory"):
        rows(tmp_path)


@pytest.mark.parametrize("cut", [5, 30, -4])
def test_a_damaged_gzip_is_bad_data(tmp_path: Path, cut: int) -> None:
    source = tmp_path / "t.csv.gz"
    source.write_bytes(gzip.compress(b"number,name\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(9999)))[:cut])
    with pytest.raises(BadData, match="damaged or cut short"):
        rows(source)


def test_faults_of_other_files_pass_through(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text("x")
    with pytest.raises(FileNotFoundError), open_binary(source):
        (tmp_path / "other").read_text()


def test_rejects_are_written_only_when_there_are_any(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "rejects.csv"
    with Rejects(path) as rejects:
        assert rejects.report(3, 0.5).reject_file is None
    assert not path.exists()
    with Rejects(path) as rejects:
        rejects.add(4, "odd", 'a,"b"\r\n')
        report = rejects.report(3, 0.5)
    assert (report.rows, report.rejected, report.reject_file) == (3, {"odd": 1}, path)
    assert path.read_text() == 'line,reason,text\n4,odd,"a,""b"""\n'
    with Rejects(path):
        assert not path.exists()
