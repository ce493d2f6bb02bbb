"""The documents keep up with the code: links, commands, options, settings, changes."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import locsvc
from locsvc.cli import main
from locsvc.rpc.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for folder in (".", "docs", "docs/decisions", "data")
    for path in (REPOSITORY / folder).glob("*.md")
)


def text_of(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as they are made where the pages are read."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if target.startswith(("https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        file = (REPOSITORY / page).parent / name if name else REPOSITORY / page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            broken.append(target)
    assert not broken


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        folder = (REPOSITORY / page).parent
        targets = re.findall(r"\]\((?!https:)([^)#\s]+\.md)", text_of(page))
        waiting += [(folder / target).resolve().relative_to(REPOSITORY).as_posix() for target in targets]
    assert set(PAGES) - reached == {"docs/decisions/0000-template.md"}


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Every command with its whole name, groups included."""
    yield name, command
    if isinstance(command, click.Group):
        for part in command.list_commands(click.Context(command)):
            child = command.get_command(click.Context(command), part)
            assert child is not None
            if not child.hidden:
                yield from commands(child, f"{name} {part}")


COMMANDS = dict(commands(main, "locsvc"))


def section(page: str, heading: str) -> str:
    """The text under a heading, to the next heading of any rank."""
    found = re.search(rf"^#+ `?{re.escape(heading)}`?$(.*?)(?=^#|\Z)", text_of(page), re.DOTALL | re.MULTILINE)
    return found.group(1) if found else ""


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_documented_with_all_its_options(name: str) -> None:
    described = section("docs/cli.md", name)
    assert described.strip(), f"docs/cli.md has no section `{name}`"
    options = [
        option
        for parameter in COMMANDS[name].params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    ]
    # Options that every command has are described once, at the top.
    described += section("docs/cli.md", "locsvc")
    assert [option for option in options if not re.search(rf"`{option}[ `]", described)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_documented_that_is_not_there(name: str) -> None:
    rows = re.findall(r"^\| (`--.*?) \|", section("docs/cli.md", name), re.MULTILINE)
    described = {option for row in rows for option in re.findall(r"--[a-z][a-z0-9-]*", row)}
    real = {option for p in COMMANDS[name].params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
    assert described <= real


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(ServerSettings)])
def test_setting_is_documented(field: str) -> None:
    assert f"| `{field}` |" in text_of("docs/configuration.md")


def test_environment_variables_are_documented() -> None:
    used = {
        variable
        for path in (REPOSITORY / "locsvc").rglob("*.py")
        for variable in re.findall(r"\bLOCSVC_[A-Z_]+\b", path.read_text(encoding="utf-8"))
    }
    assert {v for v in used if f"`{v}`" not in text_of("docs/configuration.md")} == set()


def test_changelog_tells_of_this_version() -> None:
    changes = text_of("CHANGELOG.md")
    assert "## [Unreleased]" in changes
    assert f"## [{locsvc.__version__}]" in changes or locsvc.__version__ == "0.1.0"
