"""The project as a whole keeps its own rules: tables, names, public faces, what may stand in a tracked file."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import locsvc
from locsvc import errors, model
from locsvc.v1 import call_pb2, civic_pb2, estimate_pb2
from tests.conftest import LONGEST

REPOSITORY = Path(__file__).resolve().parent.parent


def tracked_files() -> list[str]:
    """Every file under version control; in an unpacked archive, every file that is not made by a tool."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = listed.stdout.decode().split("\0")
        return sorted(name for name in names if name and (REPOSITORY / name).is_file())
    files = (path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if not path.parts[0].startswith((".venv", ".git", ".mypy", ".ruff")))


TRACKED = tracked_files()
PYTHON = [name for name in TRACKED if name.endswith(".py") and not name.startswith("locsvc/v1/")]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(locsvc.__path__, "locsvc.")
    if not module.name.endswith("__main__") and module.name not in {"locsvc.batch", "locsvc.tables"}
)


def text_of(name: str) -> str:
    """The text of a tracked file; empty for a binary one."""
    try:
        return (REPOSITORY / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


# --- Errors ---


def error_classes() -> list[type[errors.LocsvcError]]:
    found: list[type[errors.LocsvcError]] = [errors.LocsvcError]
    for cls in found:
        found.extend(cls.__subclasses__())
    return found


def test_every_error_has_a_meaning() -> None:
    assert set(errors.MEANINGS) == {cls for cls in error_classes() if cls.__module__ == "locsvc.errors"}


def test_documented_error_table_is_the_one_in_code() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \| (\d+) \| (yes|no) \|$", text_of("docs/errors.md"), re.MULTILINE
    )
    assert rows == [
        (cls.__name__, m.grpc_status, m.reason, str(m.exit_code), "yes" if m.retry else "no")
        for cls, m in errors.MEANINGS.items()
    ]


def test_error_tree_in_the_docstring_is_the_one_in_code() -> None:
    drawn = re.findall(r"(?:[├└]── |^)(\w+)(?:  |$)", errors.__doc__ or "", re.MULTILINE)
    assert set(drawn) == {cls.__name__ for cls in error_classes() if cls.__module__ == "locsvc.errors"}


# --- Model and contract ---

ENUMS = [
    (model.Radio, call_pb2.Radio),
    (model.PositioningMethod, call_pb2.PositioningMethod),
    (model.ClassOfService, civic_pb2.ClassOfService),
    (model.Placement, civic_pb2.Placement),
    (model.Outcome, estimate_pb2.Outcome),
    (model.EvidenceKind, estimate_pb2.EvidenceKind),
    (model.Disposition, estimate_pb2.Disposition),
    (model.Reason, estimate_pb2.Reason),
    (model.CellFallback, estimate_pb2.CellFallback),
    (model.WarningCode, estimate_pb2.WarningCode),
]


@pytest.mark.parametrize(("ours", "theirs"), ENUMS, ids=lambda e: getattr(e, "__name__", ""))
def test_enums_of_the_model_are_those_of_the_contract(ours: type[model.Radio], theirs: type[call_pb2.Radio]) -> None:
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", ours.__name__).upper() + "_"
    assert {prefix + member.name: member.value for member in ours} == dict(theirs.items())


# --- Modules and names ---


@pytest.mark.parametrize("name", MODULES)
def test_module_imports_alone_and_tells_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    if not name.startswith("locsvc.v1"):
        assert module.__doc__, f"{name} has no docstring"
    public = getattr(module, "__all__", None)
    if public is not None:
        # That it is sorted is for ruff (RUF022) to see.
        assert len(set(public)) == len(public)
        assert [n for n in public if not hasattr(module, n)] == []


@pytest.mark.parametrize("name", PYTHON)
def test_file_keeps_to_size_and_names(name: str) -> None:
    source = text_of(name)
    assert source.count("\n") <= 600, f"{name} is too long to read: divide it"
    vague = {
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and re.search(r"(Manager|Helper|Utils?|(?<!Bad)Data|Info)$", node.name)
    }
    assert not vague, f"{name}: {vague} name nothing"
    assert not re.search(r"(^|/|_)(utils?|helpers?|misc|common)(_|\.py$)", name), f"{name} names nothing"


# --- What may stand in a file ---

FOREIGN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(work|root|home|opt/pypi|opt/wheels|Users)/"),
    "a package registry": re.compile(r"(pypi\.org|pythonhosted\.org|registry\.npmjs|deb\.debian\.org|proxy\.golang)"),
    "a secret": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|AKIA[0-9A-Z]{16}"),
}
# The lock names the public default registry, as uv writes it; this file names what it looks for.
EXEMPT = {"uv.lock": {"a package registry"}, "tests/test_project.py": set(FOREIGN)}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_holds(what: str) -> None:
    found = [name for name in TRACKED if what not in EXEMPT.get(name, set()) and FOREIGN[what].search(text_of(name))]
    assert not found, f"{what} stands in {found}"


def test_lock_names_no_host_but_the_public_default() -> None:
    hosts = set(re.findall(r"https?://([^/\"]+)", text_of("uv.lock")))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def test_library_pins_nothing_exactly() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    needs = project["dependencies"] + [n for extra in project["optional-dependencies"].values() for n in extra]
    assert [need for need in needs if "==" in need] == []


# Distributions whose modules are named otherwise.
MODULE_OF = {
    "googleapis-common-protos": "google.rpc",
    "grpcio": "grpc",
    "grpcio-health-checking": "grpc_health",
    "grpcio-reflection": "grpc_reflection",
    "phonenumberslite": "phonenumbers",
    "protobuf": "google.protobuf",
}


def test_library_needs_what_it_imports_and_no_more() -> None:
    needs = tomllib.loads(text_of("pyproject.toml"))["project"]["dependencies"]
    names = [re.split(r"[<>=!~\[; ]", need)[0] for need in needs]
    source = "\n".join(text_of(name) for name in PYTHON if name.startswith("locsvc/"))
    unused = [
        name
        for name in names
        if not re.search(rf"^\s*(import|from) {MODULE_OF.get(name, name)}\b", source, re.MULTILINE)
    ]
    assert not unused


def test_nothing_large_is_tracked() -> None:
    large = {name: size for name in TRACKED if (size := (REPOSITORY / name).stat().st_size) > 1_500_000}
    assert not large


def test_files_that_come_first_are_there() -> None:
    assert [name for name in LONGEST if name not in TRACKED] == []


# --- Scripts ---

SCRIPTS = [name for name in TRACKED if name.startswith(("scripts/", ".ci/")) and text_of(name).startswith("#!")]


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_runs_and_stops_at_the_first_fault(name: str) -> None:
    assert os.access(REPOSITORY / name, os.X_OK), f"{name} is not executable"
    if "bash" in text_of(name).splitlines()[0]:
        assert "set -euo pipefail" in text_of(name)
        subprocess.run(["bash", "-n", REPOSITORY / name], check=True)


def test_every_script_is_there() -> None:
    assert {"scripts/setup", "scripts/demo", "scripts/test", "scripts/check", "scripts/generate", ".ci/run"} <= set(
        SCRIPTS
    )
