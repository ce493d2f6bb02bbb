"""A live call on a terminal: the newest answer in a frame, below it what changed and when.

rich is imported when something is drawn, as it costs half of the command's start.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from locsvc import model
from locsvc.calls.words import ChangeKind, Update
from locsvc.cli import words
from locsvc.cli.output import plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from locsvc.calls.outlook import Awaited, Outlook

# More revisions than any terminal has lines.
_MOST_REMEMBERED = 500
_MOST_AREAS, _MOST_AWAITED, _MOST_ALTERNATIVES, _MOST_WARNINGS = 3, 3, 2, 3
# Above the rows of the history: an empty line, the names and a rule.
_HEAD_LINES = 3
_SOURCES = {"serving_cell": "serving cell", "line": "line record", "handset": "handset", "network_fix": "network fix"}
# The countdown is shown as a warning for so long.
_SOON_S = 5.0


@dataclass(frozen=True, slots=True)
class Past:
    """One line of the history."""

    elapsed_s: float | None
    revision: int
    change: str
    radius_m: float | None
    fit: bool
    provisional: bool


def seconds_text(seconds: float) -> str:
    """A time on a call's clock.

    >>> seconds_text(0.42), seconds_text(12.0), seconds_text(83.4)
    ('0.4 s', '12.0 s', '1 min 23 s')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def source_text(source: str) -> str:
    """A source that is awaited, for a person.

    >>> source_text("network_fix")
    'network fix'
    """
    return _SOURCES.get(source, source.replace("_", " "))


def fit_text(outlook: Outlook) -> str:
    """Whether the answer is fit to dispatch, or why it is not."""
    if outlook.fit_to_dispatch:
        return "FIT TO DISPATCH"
    return "not fit to dispatch: " + "; ".join(outlook.unfit_because)


def line_of(update: Update) -> str:
    """One message on one line, for terminals that cannot draw."""
    elapsed = "" if update.outlook is None else seconds_text(update.outlook.elapsed_s)
    where, radius, fit = "no location", "", ""
    if update.estimate is not None and update.estimate.position is not None:
        where = words.place_text(update.estimate.position)
        confidence = words.confidence_text(update.estimate.confidence)
        radius = f"{words.distance_text(update.estimate.radius_m)} at {confidence}"
    if update.outlook is not None:
        fit = fit_text(update.outlook)
    marks = "provisional" if update.provisional else ""
    told = (elapsed, f"revision {update.revision}", where, radius, fit, update.change, marks)
    return plain("  ".join(part for part in told if part))


class Screen:
    """What is shown of a call: the newest answer and the history.

    Parameters
    ----------
    call_id
        For the title.
    """

    def __init__(self, call_id: str) -> None:
        self._call_id = call_id
        self._newest: Update | None = None
        self._past: deque[Past] = deque(maxlen=_MOST_REMEMBERED)
        self._ahead_s = 0.0

    def add(self, update: Update, now: float) -> None:
        """Take a message; a heartbeat changes nothing."""
        if update.estimate is None:
            return
        self._newest = update
        if update.changed_at is not None:
            # A change in the future: the service's clock is ahead of this one, by so much at least.
            self._ahead_s = max(self._ahead_s, update.changed_at - now)
        while self._past and self._past[-1].provisional:
            self._past.pop()
        elapsed_s = None if update.outlook is None else update.outlook.elapsed_s
        fit = update.outlook is not None and update.outlook.fit_to_dispatch
        radius_m = update.estimate.radius_m
        self._past.append(Past(elapsed_s, update.revision, update.change, radius_m, fit, update.provisional))

    def drawn(self, console: Console, now: float, *, lost: bool = False) -> RenderableType:
        """The whole screen, as wide and high as the console is.

        Parameters
        ----------
        now
            This machine's time, Unix seconds.
        lost
            Whether there is no connection.
        """
        from rich.console import Group

        frame = self._frame(now + self._ahead_s, lost=lost)
        taken = len(console.render_lines(frame, pad=False))
        return Group(frame, "", self._history(max(console.height - taken - _HEAD_LINES - 1, 3)))

    def _frame(self, now: float, *, lost: bool) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        title = Text(f" call {plain(self._call_id)} ", style="bold")
        if self._newest is not None:
            title.append(f"· revision {self._newest.revision} ")
        style = "red" if lost else "green" if self._fit else "yellow"
        state = Text(" no connection: trying again ", style="bold red") if lost else self._clock(now)
        return Panel(
            Group(*self._parts(now)),
            box=box.ROUNDED,
            title=title,
            title_align="left",
            subtitle=state,
            border_style=style,
            padding=(1, 2),
        )

    @property
    def _fit(self) -> bool:
        return bool(self._past and self._past[-1].fit)

    def _elapsed_s(self, now: float) -> float:
        """Seconds since the start of the call."""
        update = self._newest
        if update is None or update.outlook is None or update.changed_at is None:
            return 0.0
        return max(now - update.changed_at + update.outlook.elapsed_s, 0.0)

    def _clock(self, now: float) -> Text:
        """How long the call has been going, and how long it is to the deadline."""
        from rich.text import Text

        update = self._newest
        if update is None or update.outlook is None or update.changed_at is None:
            return Text(" waiting for the first answer ")
        if update.kind is ChangeKind.ENDED:
            return Text(f" ended at {seconds_text(update.outlook.elapsed_s)} ", style="bold")
        elapsed_s = self._elapsed_s(now)
        # Whole seconds: tenths that change twice a second are only unrest.
        text = Text(f" {int(elapsed_s)} s since the start " if elapsed_s < 60 else f" {seconds_text(elapsed_s)} ")
        left_s = update.outlook.deadline_at - now
        if left_s > 0:
            text.append(f"· {left_s:.0f} s to the deadline ", style="bold red" if left_s <= _SOON_S else "bold")
        else:
            text.append("· deadline passed ", style="bold red" if not self._fit else "")
        return text

    def _parts(self, now: float) -> list[RenderableType]:
        """What stands in the frame, from the most needed to the least."""
        from rich.text import Text

        update = self._newest
        if update is None or update.estimate is None:
            return [Text("no answer yet")]
        parts: list[RenderableType] = [*_answer_rows(update.estimate), ""]
        if update.outlook is not None:
            style = "bold green" if update.outlook.fit_to_dispatch else "bold yellow"
            parts.append(Text(plain(fit_text(update.outlook)), style=style))
        if update.provisional:
            parts.append(Text("provisional: not all of the evidence is on disk yet", style="bold red"))
        warnings = update.estimate.warnings
        parts += [Text(plain(f"warning: {w.message}"), style="yellow") for w in warnings[:_MOST_WARNINGS]]
        if len(warnings) > _MOST_WARNINGS:
            parts.append(Text(f"and {len(warnings) - _MOST_WARNINGS} warnings more", style="yellow"))
        if update.outlook is None or update.kind is ChangeKind.ENDED:
            return parts
        waiting = _waiting(update.outlook, self._elapsed_s(now))
        return parts if waiting is None else [*parts, "", waiting]

    def _history(self, most: int) -> RenderableType:
        """The newest revisions that fit, newest first."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold", expand=True)
        made.add_column("at", justify="right", no_wrap=True)
        made.add_column("rev", justify="right", no_wrap=True)
        made.add_column("what changed", no_wrap=True, overflow="ellipsis", ratio=1)
        made.add_column("radius", justify="right", no_wrap=True)
        for past in list(reversed(self._past))[:most]:
            at = "-" if past.elapsed_s is None else seconds_text(past.elapsed_s)
            made.add_row(
                at,
                f"{past.revision}{'+' if past.provisional else ''}",
                Text(plain(past.change)),
                Text(words.distance_text(past.radius_m), style="green" if past.fit else ""),
            )
        return made


def _answer_rows(estimate: model.LocationEstimate) -> list[Text]:
    """Where, how sure, which address and area, and where else."""
    from rich.text import Text

    if estimate.position is None:
        return [Text(words.outcome_text(estimate.outcome), style="bold")]
    conflict = estimate.outcome is model.Outcome.CONFLICT
    where = f"{words.place_text(estimate.position)}   within {words.distance_text(estimate.radius_m)}"
    first = Text(where, style="bold").append(f" at {words.confidence_text(estimate.confidence)}")
    rows = [first.append(f"   {words.outcome_text(estimate.outcome).lower()}", style="bold red") if conflict else first]
    if estimate.address is not None:
        away = f" ({words.distance_text(estimate.address_distance_m)} away)"
        if (estimate.radius_m or 0.0) <= words.ADDRESS_RADIUS_M:
            rows.append(Text(plain(estimate.address.line()), style="bold").append(away, style="not bold"))
        else:
            # One of many in so wide a circle.
            rows.append(Text(plain(f"nearest address: {estimate.address.line()}{away}"), style="dim"))
    if estimate.areas:
        shares = (f"{area.name} {words.percent_text(area.share)}" for area in estimate.areas[:_MOST_AREAS])
        rows.append(Text(plain(", ".join(shares))))
    for other in estimate.alternatives[:_MOST_ALTERNATIVES]:
        share = words.percent_text(other.mass)
        rows.append(Text(f"or else {words.place_text(other.position)} with {share}"))
    return rows


def _waiting(outlook: Outlook, elapsed_s: float) -> RenderableType | None:
    """Who may still speak, and beside it what that would bring; None when nothing is awaited.

    Times are on the call's clock, so that they stay true while nothing changes.
    """
    from rich.table import Table
    from rich.text import Text

    if not outlook.awaited:
        return None
    awaited = [
        (source_text(one.source), words.percent_text(one.chance), _by(outlook, one), _about(one.radius_m))
        for one in outlook.awaited[:_MOST_AWAITED]
    ]
    ahead = [one for one in outlook.prospects if outlook.elapsed_s + one.within_s > elapsed_s]
    better = [
        (seconds_text(outlook.elapsed_s + one.within_s), words.percent_text(one.chance), _about(one.radius_m))
        for one in ahead
    ]
    made = Table.grid(padding=(0, 4))
    made.add_row(
        _small(("awaited", "chance", "half by", "gives"), awaited),
        _small(("better by", "chance", "gives"), better)
        if any(one.radius_m for one in ahead)
        else Text("no better answer is expected", style="dim"),
    )
    return made


def _by(outlook: Outlook, awaited: Awaited) -> str:
    """When a source has spoken in half of the cases in which it does."""
    return "-" if awaited.chance <= 0 else seconds_text(outlook.elapsed_s + awaited.median_wait_s)


def _about(radius_m: float | None) -> str:
    return words.distance_text(radius_m or None)


def _small(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    for place, name in enumerate(names):
        made.add_column(name, justify="right" if place else "left", no_wrap=True)
    for row in rows:
        made.add_row(*(Text(plain(cell)) for cell in row))
    return made
