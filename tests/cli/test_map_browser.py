"""The page in a real browser: it fits, zooms, pans, picks and shows masses. Skipped where there is no Chromium."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from locsvc import model
from locsvc.cli.map import MappedCall, map_page

Scene = tuple[model.LocationEstimate, model.Trace]

# What a person would do, one after the other, and what is to be seen after each.
_SCRIPT = """
<script>
const said = [], svg = () => document.querySelector(".call:not([hidden]) .map");
window.addEventListener("error", (e) => said.push({ error: e.message }));
const world = () => svg().querySelector(".world").getAttribute("transform").match(/-?\\d[\\d.e+-]*/g).map(Number);
const note = (what) => said.push({ what, world: world(), scale: document.querySelector(".call:not([hidden]) .scale span").textContent,
  lines: svg().querySelectorAll(".graticule path").length, away: svg().querySelectorAll(".pin.away").length });
const press = (name) => document.querySelector(`.call:not([hidden]) [data-do="${name}"]`).click();
note("start");
press("+"); note("in");
press("-"); press("-"); note("out");
press("all"); note("all");
press("region"); note("region");
svg().dispatchEvent(new WheelEvent("wheel", { deltaY: -500, bubbles: true, cancelable: true })); note("wheel");
press("region");
const drag = (type, x, y) => svg().dispatchEvent(new PointerEvent(type, { pointerId: 1, clientX: x, clientY: y, bubbles: true }));
svg().setPointerCapture = () => {};
drag("pointerdown", 300, 300); drag("pointermove", 340, 320); drag("pointerup", 340, 320); note("drag");
svg().querySelector(".cell:not(.out)").dispatchEvent(new PointerEvent("pointermove", { clientX: 300, clientY: 300, bubbles: true }));
said.push({ what: "hover", text: document.querySelector(".call:not([hidden]) .tip").textContent });
document.querySelector('.call:not([hidden]) tr[data-piece="2"]').click(); note("row");
document.querySelector(".call:not([hidden]) button[data-box]").click(); note("closer");
document.querySelector(".call:not([hidden]) li[data-box]").click(); note("other");
const shown = () => [...document.querySelectorAll(".call")].map((call) => !call.hidden);
document.querySelector('.picker [data-step="1"]').click();
said.push({ what: "picked", shown: shown(), chosen: document.querySelector(".picker select").selectedIndex });
const out = document.createElement("pre"); out.id = "said"; out.textContent = JSON.stringify(said); document.body.append(out);
</script>
"""


@pytest.fixture
def said(conflict: Scene, town: Scene, tmp_path: Path) -> dict[str, dict[str, object]]:
    """What was to be seen after each action, by its name."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine: the page's script is not run")
    page = tmp_path / "map.html"
    text = map_page([MappedCall(*conflict), MappedCall(*town)])
    page.write_text(text.replace("</body>", _SCRIPT + "</body>"), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update", "--window-size=1200,900"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=1000", "--dump-dom"]
    done = subprocess.run([browser, *options, page.as_uri()], capture_output=True, text=True, check=False, timeout=120)
    found = re.search(r'<pre id="said">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, f"the script did not come to its end: {done.stdout[-2000:]} {done.stderr[-2000:]}"
    notes: list[dict[str, object]] = json.loads(html.unescape(found.group(1)))
    assert [note for note in notes if "error" in note] == []
    return {str(note["what"]): note for note in notes}


def zoom(note: dict[str, object]) -> float:
    world = note["world"]
    assert isinstance(world, list)
    return float(world[2])


def test_the_page_does_what_a_person_asks(said: dict[str, dict[str, object]]) -> None:
    start = zoom(said["start"])
    assert zoom(said["in"]) == pytest.approx(1.5 * start)
    assert zoom(said["out"]) == pytest.approx(start / 1.5)
    assert said["region"]["world"] == said["start"]["world"]
    assert zoom(said["all"]) <= start
    assert zoom(said["wheel"]) > 2 * start
    before, after = said["region"]["world"], said["drag"]["world"]
    assert isinstance(before, list)
    assert isinstance(after, list)
    assert [after[0] - before[0], after[1] - before[1], after[2] - before[2]] == pytest.approx([40, 20, 0], abs=1e-6)
    # A click on a row goes to its evidence, here 60 m wide and 39 km away.
    assert zoom(said["row"]) != start
    assert zoom(said["other"]) > 20 * start
    assert all(int(str(said[what]["lines"])) >= 4 for what in ("start", "all", "wheel"))
    assert said["start"]["scale"] == "20 km"
    assert "% here, in the region" in str(said["hover"]["text"])
    assert (said["picked"]["shown"], said["picked"]["chosen"]) == ([False, True], 1)


def test_evidence_out_of_sight_is_pointed_at(said: dict[str, dict[str, object]]) -> None:
    assert said["start"]["away"] == 0
    assert int(str(said["wheel"]["away"])) >= 1
