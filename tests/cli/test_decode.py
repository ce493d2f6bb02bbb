"""`decode`: each format through the command, what it says on stdout and how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from locsvc import model
from locsvc.cli import main
from locsvc.formats import gad
from locsvc.formats.messages import FORMATS
from tests.messages import FILES, FOLDER, MESSAGES

AML = MESSAGES["aml"].decode()
PIDF = MESSAGES["pidf-lo"].decode()
CELL = MESSAGES["access-network"].decode()
CIRCLE_OF_GAD = "1020b60c1dddde28"


def run(*args: str | Path, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["decode", *(str(a) for a in args)], input=text)


def test_every_format_has_a_name_on_the_command_line() -> None:
    shown = run("--help").stdout
    assert [name for name in FORMATS if name not in shown] == []


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_described(repository: Path, name: str) -> None:
    described = (repository / "docs" / "formats.md").read_text(encoding="utf-8")
    assert f"\n### {name}\n" in described


def test_the_readme_shows_what_is_written(repository: Path) -> None:
    shown = run("access-network", FOLDER / FILES["access-network"]).stdout
    assert shown in (repository / "README.md").read_text(encoding="utf-8")


def test_a_message_is_shown_as_evidence_details_and_warnings() -> None:
    done = run("aml", "-", text=AML)
    assert done.exit_code == 0, done.output
    for words in ("circle of 20 m round 54.99776, 2.49523", "68 %", "gnss", "2026-03-14 11:59:00 UTC", "device report"):
        assert words in done.stdout
    # Identities of the subscriber and of the handset are nowhere whole.
    assert "001010123456789" not in done.output
    assert "352099001234560" not in done.output


def test_json_holds_evidence_in_the_contracts_mapping() -> None:
    done = run("pidf-lo", "-", "--json", text=PIDF)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["format"] == "pidf-lo"
    report = told["evidence"][0]["device_report"]
    assert report["shape"] == {
        "circle": {"center": {"latitude_deg": 54.9977, "longitude_deg": 2.4952}, "radius_m": 60.0}
    }
    assert told["evidence"][0]["observed_at"] == "2026-03-14T11:59:30Z"
    assert told["warnings"] == []


@pytest.mark.parametrize("name", FORMATS)
def test_auto_knows_what_is_sure(name: str) -> None:
    file = FOLDER / FILES[name]
    done = run("auto", file, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["format"] == name
    assert told["evidence"]
    assert done.stderr == f"locsvc: read as {name}\n"
    assert json.loads(run(name, file, "--json").stdout)["evidence"] == told["evidence"]


def test_octets_are_read_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "shape.bin"
    file.write_bytes(bytes.fromhex(CIRCLE_OF_GAD))
    told = json.loads(run("gad", file, "--json").stdout)
    assert told["evidence"][0]["device_report"]["shape"]["circle"]["radius_m"] == pytest.approx(442.592, abs=1e-3)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "ali"])
def test_what_cannot_be_read_ends_with_65_and_a_sentence(name: str) -> None:
    done = run(name, "-", text="to whom it may concern.")
    assert done.exit_code == 65
    assert done.stdout == ""
    assert done.stderr.startswith("locsvc: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("text", ["", "to whom it may concern", "<letter/>", "{}", "00"])
def test_auto_does_not_guess(text: str) -> None:
    done = run("auto", "-", text=text)
    assert done.exit_code == 65
    assert "name it: aml, pidf-lo" in done.stderr


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "long"
    file.write_bytes(b"x" * 10_000_000)
    done = run("aml", file)
    assert done.exit_code == 65
    assert "at most 65,536" in done.stderr


def test_a_file_that_is_not_there_is_named() -> None:
    done = run("aml", "/nowhere/message")
    assert done.exit_code == 65
    assert "/nowhere/message cannot be read" in done.stderr


def test_a_wrong_format_is_wrong_use() -> None:
    done = run("fax", "-", text="x")
    assert done.exit_code == 2
    assert "aml" in done.stderr


def test_a_message_without_a_fix_is_read_and_says_so() -> None:
    done = run("aml", "-", "--json", text='A"ML=1;lt=+00.00000;lg=+000.00000;rd=N;top=20260314115900;lc=0;pm=N')
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["no_location"]
    assert not [piece for piece in told["evidence"] if "device_report" in piece]


def test_the_map_draws_the_shape_as_stated(tmp_path: Path) -> None:
    page = tmp_path / "shape.html"
    done = run("pidf-lo", "-", "--map", page, text=PIDF)
    assert done.exit_code == 0, done.output
    html = page.read_text(encoding="utf-8")
    assert "pidf-lo message" in html
    assert 'class="outline' in html
    assert "95 % within <b>60 m</b>" in html
    assert not re.search(r"https?://(?!www\.w3\.org)", html)


@pytest.mark.parametrize(
    ("shape", "outlines"),
    [
        (model.Point(model.LatLng(54.9, 2.5)), 0),
        (model.Circle(model.LatLng(90.0, 0.0), 500.0), 1),
        (model.Circle(model.LatLng(-16.5, 180.0), 5_000.0), 1),
        (model.Polygon((model.LatLng(-16.0, 179.0), model.LatLng(-16.0, -179.0), model.LatLng(-17.0, -179.0))), 1),
        (model.ArcBand(model.LatLng(54.9, 2.5), 500.0, 1_000.0, 350.0, 60.0), 1),
    ],
)
def test_points_poles_and_antimeridians_are_drawn(tmp_path: Path, shape: model.Shape, outlines: int) -> None:
    page = tmp_path / "shape.html"
    done = run("gad", "-", "--map", page, text=gad.write(shape).hex())
    assert done.exit_code == 0, done.output
    html = page.read_text(encoding="utf-8")
    assert html.count('class="outline') == outlines
    assert "nan" not in html.lower().replace("nance", "")


def test_there_is_no_map_of_a_cell(tmp_path: Path) -> None:
    page = tmp_path / "cell.html"
    done = run("access-network", "-", "--map", page, text=CELL)
    assert done.exit_code == 0
    assert not page.exists()
    assert "no map was written" in done.stderr


LAYOUT = """
name = "county"
utc_offset_h = 0
[fields]
number = { line = 1, columns = [1, 14] }
class_of_service = { line = 1, columns = [16, 19] }
latitude = { after = "LAT:", width = 12 }
longitude = { after = "LON:", width = 12 }
uncertainty_m = { after = "UNC:", width = 6 }
"""
DISPLAY = "(555) 555-0101 WPH2\r\nLAT:+54.997760 LON:+002.495230 UNC:35\r\n"


def test_a_display_is_read_through_a_layout_of_ones_own(tmp_path: Path) -> None:
    layout = tmp_path / "county.toml"
    layout.write_text(LAYOUT, encoding="utf-8")
    told = json.loads(run("ali", "-", "--layout", layout, "--json", text=DISPLAY).stdout)
    assert "54.99776" in json.dumps(told["evidence"])


def test_a_layout_that_is_none_is_a_setting_out_of_order(tmp_path: Path) -> None:
    layout = tmp_path / "county.toml"
    layout.write_text("name = 1", encoding="utf-8")
    assert run("ali", "-", "--layout", layout, text=DISPLAY).exit_code == 78
    assert run("aml", "-", "--layout", layout, text=AML).exit_code == 2


def test_an_aml_message_is_decoded_without_anything_heavy() -> None:
    heavy = ("google", "grpc", "h3", "numba", "rich", "shapely", "sqlite3", "structlog")
    code = (
        "import sys\nfrom locsvc.cli import main\n"
        "try:\n    main.main(['decode', 'aml', '-', '--json'])\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"print(sorted({{m.split('.')[0] for m in sys.modules}} & set({heavy!r})), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=AML, capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stderr.strip() == "[]"
