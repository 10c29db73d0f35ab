"""Nothing in the package needs a POSIX system when it is imported: every module loads on Windows, too."""

import ast
import builtins
import importlib
import multiprocessing
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import audiotok

PACKAGE = Path(audiotok.__file__).parent
POSIX_ONLY = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
SOURCES = sorted(PACKAGE.rglob("*.py"))
FORK = multiprocessing.get_context("fork")  # what the tests have imported of other packages stays imported


def imports_of(tree: ast.AST) -> Iterator[str]:
    """List the top-level names of all modules that a file imports, but for those that it can do without."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Try) and any("ImportError" in ast.unparse(one) for one in node.handlers):
            continue
        yield from imports_of(node)
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def import_everything_without_posix() -> None:
    """Import all modules of the package anew; to be called in a process of its own."""
    posix_import = builtins.__import__

    def windows_import(name: str, *arguments: Any, **options: Any) -> Any:
        importer = (arguments[0] if arguments else options.get("globals") or {}).get("__name__", "")
        if name in POSIX_ONLY and importer.startswith("audiotok"):
            raise ImportError(f"{importer} imports {name}")
        return posix_import(name, *arguments, **options)

    for name in [name for name in sys.modules if name.partition(".")[0] == "audiotok"]:
        del sys.modules[name]
    builtins.__import__ = windows_import
    sys.modules["fcntl"] = None  # type: ignore[assignment]
    del os.sched_getaffinity, os.pwrite
    for path in SOURCES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        importlib.import_module(".".join(parts).removesuffix(".__init__"))


@pytest.mark.parametrize("code", ["import fcntl", "def f():\n    from resource import getrusage"])
def test_an_import_of_a_posix_module_would_be_found(code):
    assert POSIX_ONLY.intersection(imports_of(ast.parse(code)))


def test_no_module_imports_what_windows_lacks():
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in SOURCES
        if (names := POSIX_ONLY.intersection(imports_of(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert found == {}


def test_every_module_is_imported_without_fcntl():
    process = FORK.Process(target=import_everything_without_posix)
    process.start()
    process.join(600)
    assert process.exitcode == 0
