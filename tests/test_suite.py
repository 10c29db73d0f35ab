"""The tests themselves: each asserts something, and none is annotated, as fixtures say what arguments are."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ASSERTING = {
    "raises",
    "fail",
    "warns",
    "allclose",
}  # calls that can fail a test, and names with `assert` in them


def every_function():
    """Yield every test function with its file and the helpers of that file that assert something."""
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        helpers = {node.name for node in defined if any(isinstance(n, ast.Assert) for n in ast.walk(node))}
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield path, node, helpers


@pytest.fixture(scope="module")
def functions():
    return list(every_function())


def can_fail(node, helpers) -> bool:
    for part in ast.walk(node):
        if isinstance(part, ast.Assert):
            return True
        if isinstance(part, ast.Call):
            name = getattr(part.func, "attr", getattr(part.func, "id", ""))
            if "assert" in name or name in ASSERTING | helpers:
                return True
    return False


def test_every_test_asserts_something(functions):
    assert not [
        f"{path.name}:{node.name}" for path, node, helpers in functions if not can_fail(node, helpers)
    ]


def test_no_test_function_is_annotated(functions):
    annotated = [
        f"{path.name}:{node.name}"
        for path, node, _ in functions
        if node.returns or any(arg.annotation for arg in [*node.args.args, *node.args.kwonlyargs])
    ]
    assert not annotated
