"""After the first calls of a process nothing is left to compile, and machine code is found again where it was kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from locsvc import compiled

# Which kernels were compiled or loaded by the warming, and which by the sample calls after it: (name, signatures).
PROGRAM = """
import importlib, json, pkgutil, sys
from pathlib import Path
import locsvc
from locsvc.formats.call_json import call_from_text
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver, warming

kernels = {}
for found in pkgutil.walk_packages(locsvc.__path__, "locsvc."):
    if found.name.startswith(("locsvc.fusion", "locsvc.resolver", "locsvc.compiled")):
        module = importlib.import_module(found.name)
        for name, thing in vars(module).items():
            if hasattr(thing, "py_func") and thing.py_func.__module__ == found.name:
                kernels[f"{found.name}.{name}"] = thing
resolver = Resolver(Reference.empty())
warming.warm(resolver)
before = {name: len(kernel.signatures) for name, kernel in kernels.items()}
calls = [call_from_text(text) for text in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
for confidence in (0.5, 0.999):
    resolver.resolve(calls, confidences=confidence)
after = {name: len(kernel.signatures) for name, kernel in kernels.items()}
print(json.dumps([before, after]))
"""


def test_nothing_is_left_to_compile(sample: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(sample / "calls.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    assert before["locsvc.fusion.fuse._fuse"] == 1
    assert after == before
    assert compiled.are_kept()


# What a process compiles for the first calls, and where its package lies.
COMPILING = """
import json
from numba.core import event
import locsvc
from locsvc.reference.store import Reference
from locsvc.resolver import Resolver, warming

with event.install_recorder("numba:compile") as compiled:
    warming.warm(Resolver(Reference.empty()))
print(json.dumps([str(found.data["dispatcher"]) for _, found in compiled.buffer] + [locsvc.__file__]))
"""


def test_a_copy_with_new_times_finds_its_machine_code(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "locsvc.resolver.warming"], check=True, capture_output=True)
    kept = compiled.kernel_directory()
    package = Path(compiled.__file__).parent
    copy = tmp_path / "copy" / "locsvc"
    shutil.copytree(package, copy, copy_function=shutil.copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(kept, copy / "__pycache__" / kept.name, copy_function=shutil.copy)
    for file in copy.rglob("*"):
        os.utime(file, (1e9, 1e9))
    done = subprocess.run(
        [sys.executable, "-c", COMPILING], capture_output=True, text=True, check=True, cwd=copy.parent,
        env=os.environ | {"PYTHONPATH": str(copy.parent)},
    )  # fmt: skip
    assert json.loads(done.stdout) == [str(copy / "__init__.py")]


def twice(value: float) -> float:
    """A kernel to be."""
    return 2.0 * value


def machine_code(directory: Path) -> list[str]:
    return sorted(file.suffix for file in directory.rglob("*twice*"))


def test_machine_code_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compiled, "kernel_directory", lambda: tmp_path)
    kernel = compiled.compiled(twice)
    assert machine_code(tmp_path) == []
    assert kernel(2.0) == 4.0
    assert machine_code(tmp_path) == [".nbc", ".nbi"]


def test_kernel_works_where_nothing_can_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Below a file no directory can be made, by nobody.
    (tmp_path / "file").touch()
    monkeypatch.setattr(compiled, "kernel_directory", lambda: tmp_path / "file" / "kernels")
    assert compiled.compiled(twice)(2.0) == 4.0


def test_a_directory_that_was_removed_is_made_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # As by a process of another version, at its start.
    monkeypatch.setattr(compiled, "kernel_directory", lambda: tmp_path / "caches" / "kernels")
    assert not compiled.are_kept()
    with compiled.compiling():
        pass
    assert compiled.are_kept()


@pytest.mark.parametrize("anew", [False, True])
def test_what_was_removed_while_it_was_compiled_is_not_taken_for_complete(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, anew: bool
) -> None:
    directory = tmp_path / "kernels"
    monkeypatch.setattr(compiled, "kernel_directory", lambda: directory)
    with compiled.compiling():
        shutil.rmtree(directory)
        if anew:
            # Another process begins.
            compiled._lock().close()
    assert not compiled.are_kept()
