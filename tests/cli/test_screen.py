"""What a terminal shows of a live call, to the word."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from rich.console import Console

from locsvc import model
from locsvc.calls.outlook import Awaited, Outlook, Prospect
from locsvc.calls.words import ChangeKind, Update
from locsvc.cli.screen import Screen, line_of

Scene = tuple[model.LocationEstimate, model.Trace]
NOW_S = 1_795_338_000.0
WAITING = Outlook(
    fit_to_dispatch=False,
    unfit_because=("the radius at 90 % is 1,650 m, wider than 50 m",),
    fit_radius_m=50.0,
    elapsed_s=1.5,
    deadline_at=NOW_S + 18.5,
    awaited=(Awaited("handset", 0.7, 12.0, 25.0), Awaited("network_fix", 0.0, 0.0, 0.0)),
    prospects=(Prospect(5.0, 0.0, None), Prospect(20.0, 0.4, 25.0)),
)
FIT = replace(WAITING, fit_to_dispatch=True, unfit_because=(), elapsed_s=4.0, awaited=(), prospects=())


def shown(screen: Screen, now: float, *, columns: int = 90, lines: int = 40, lost: bool = False) -> str:
    console = Console(width=columns, height=lines, color_system=None, force_terminal=False, emoji=False, markup=False)
    with console.capture() as captured:
        console.print(screen.drawn(console, now, lost=lost))
    return captured.get()


def update(scene: Scene, revision: int, outlook: Outlook, **more: object) -> Update:
    fields: dict[str, object] = {"kind": ChangeKind.EVIDENCE, "change": f"piece {revision} arrived"} | more
    at = NOW_S - WAITING.elapsed_s + outlook.elapsed_s
    return Update(revision, estimate=scene[0], outlook=outlook, changed_at=at, **fields)  # type: ignore[arg-type]


@pytest.fixture
def screen() -> Screen:
    """Of a call without an answer."""
    return Screen("4711")


def test_before_the_first_answer(screen: Screen) -> None:
    assert "no answer yet" in shown(screen, NOW_S)
    screen.add(Update(0), NOW_S)
    assert "waiting for the first answer" in shown(screen, NOW_S)


def test_an_answer_that_will_not_do_says_why_and_what_waiting_may_bring(screen: Screen, conflict: Scene) -> None:
    screen.add(update(conflict, 1, WAITING), NOW_S)
    text = shown(screen, NOW_S + 3)
    assert "51.89850, -8.47560   within 39.4 km at 90 %   sources conflict" in text
    assert "or else 52.11434, -8.02379 with 29 %" in text
    assert "not fit to dispatch: the radius at 90 % is 1,650 m, wider than 50 m" in text
    assert "warning: Sources exclude each other." in text
    # On the call's clock: 1.5 s and what the outlook says from there.
    assert re.search(r"awaited +chance +half by +gives +better by +chance +gives", text)
    assert re.search(r"handset +70 % +13.5 s +25 m +6.5 s +0 % +- ", text)
    assert re.search(r"network fix +0 % +- +- +21.5 s +40 % +25 m", text)
    assert "4 s since the start · 16 s to the deadline" in text


def test_what_waiting_was_to_bring_passes(screen: Screen, conflict: Scene) -> None:
    screen.add(update(conflict, 1, WAITING), NOW_S)
    text = shown(screen, NOW_S + 13)
    assert re.search(r"handset +70 % +13.5 s +25 m +21.5 s +40 % +25 m", text)
    assert "6.5 s" not in text
    assert "no better answer is expected" in shown(screen, NOW_S + 30)


def test_the_address_of_a_wide_circle_is_only_the_nearest(screen: Screen, town: Scene) -> None:
    wide = replace(town[0], radius_m=547.0)
    screen.add(update((wide, town[1]), 1, WAITING), NOW_S)
    assert "nearest address: 3 Mill Lane, Testham TE1 3ST (12 m away)" in shown(screen, NOW_S)


def test_an_answer_that_will_do(screen: Screen, town: Scene) -> None:
    screen.add(update(town, 2, FIT), NOW_S)
    text = shown(screen, NOW_S + 60)
    assert "FIT TO DISPATCH" in text
    assert "not fit" not in text
    assert "3 Mill Lane, Testham TE1 3ST (12 m away)" in text
    assert "Cork City 83 %, Cork County 17 %" in text
    assert "awaited" not in text
    assert "deadline passed" in text


def test_no_place_is_said(screen: Screen, nowhere: Scene) -> None:
    screen.add(update(nowhere, 1, WAITING), NOW_S)
    assert "No location" in shown(screen, NOW_S)
    assert line_of(update(nowhere, 1, WAITING)).startswith("1.5 s  revision 1  no location  not fit to dispatch")


def test_the_history_is_newest_first_and_a_kept_answer_takes_the_place_of_a_provisional_one(
    screen: Screen, town: Scene, conflict: Scene
) -> None:
    def rows() -> list[list[str]]:
        found = re.findall(r"^ *(\S+ s) +(\S+) +(piece \d) arrived +(\S+ k?m) *$", shown(screen, NOW_S), re.MULTILINE)
        return [list(row) for row in found]

    screen.add(update(conflict, 1, WAITING), NOW_S)
    screen.add(update(town, 1, FIT, change="piece 2 arrived", provisional=True), NOW_S)
    assert "provisional: not all of the evidence is on disk yet" in shown(screen, NOW_S)
    assert rows() == [["4.0 s", "1+", "piece 2", "52 m"], ["1.5 s", "1", "piece 1", "39.4 km"]]
    screen.add(update(town, 2, FIT), NOW_S)
    assert "provisional" not in shown(screen, NOW_S)
    assert rows() == [["4.0 s", "2", "piece 2", "52 m"], ["1.5 s", "1", "piece 1", "39.4 km"]]


def test_a_call_that_has_ended_has_no_countdown(screen: Screen, town: Scene) -> None:
    screen.add(update(town, 3, FIT, kind=ChangeKind.ENDED), NOW_S)
    text = shown(screen, NOW_S + 500)
    assert "ended at 4.0 s" in text
    assert "deadline" not in text


def test_a_clock_that_is_behind_the_services_is_put_right(screen: Screen, conflict: Scene) -> None:
    screen.add(update(conflict, 1, WAITING), NOW_S - 7)
    assert "1 s since the start · 18 s to the deadline" in shown(screen, NOW_S - 7)


def test_a_lost_connection_is_said(screen: Screen, town: Scene) -> None:
    screen.add(update(town, 2, FIT), NOW_S)
    assert "no connection: trying again" in shown(screen, NOW_S, lost=True)


def test_what_others_wrote_cannot_command_the_terminal(town: Scene) -> None:
    evil = "\x1b]0;title\x07\x1b[2J[red]"
    screen = Screen(evil)
    area = replace(town[0], areas=(model.AreaShare(evil, "counties", 1.0),), warnings=())
    screen.add(update((area, town[1]), 1, FIT, change=evil), NOW_S)
    text = shown(screen, NOW_S)
    assert "\x1b" not in text
    assert "\x07" not in text
    # Square brackets are no markup either.
    assert "[red]" in text
    assert "\x1b" not in line_of(update((area, town[1]), 1, FIT, change=evil))


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
@pytest.mark.parametrize("lines", [5, 24, 60])
def test_every_terminal_is_drawn_on(screen: Screen, scene: Scene, columns: int, lines: int) -> None:
    for revision in range(1, 100):
        screen.add(update(scene, revision, WAITING), NOW_S)
    text = shown(screen, NOW_S, columns=columns, lines=lines)
    assert max(map(len, text.splitlines())) <= columns
    if columns >= 80 and lines >= 24:
        assert len(text.splitlines()) <= lines
        assert "piece 99 arrived" in text
