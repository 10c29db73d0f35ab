"""Engines by their names, so that every test of one is a test of all."""

import os
from collections.abc import Callable

import pytest

from audiotok.engine.engine import Engine
from audiotok.engine.local import Local

ENGINES = ["here", "processes", "ray"]


@pytest.fixture(scope="session")
def build_engine() -> Callable[[str], Engine]:
    """Return a function that builds an engine with two workers, which tries a part twice more."""

    def build(name: str) -> Engine:
        if name != "ray":
            return Local(1 if name == "here" else 2, retries=2)
        pytest.importorskip("ray", reason="ray is not installed: pip install 'audiotok[ray]'")
        os.environ.setdefault("RAY_worker_niceness", "0")  # 15 otherwise: minutes on a machine that is busy
        from audiotok.engine.ray import Ray

        return Ray(n_workers=2, retries=2)

    return build


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, build_engine: Callable[[str], Engine]) -> Engine:
    """Each engine in turn."""
    return build_engine(request.param)
