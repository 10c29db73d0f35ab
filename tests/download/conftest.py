"""A server to download from."""

from collections.abc import Iterator

import pytest
from loopback import Server, serve

from audiotok.download import fetch


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that holds nothing yet; attempts follow each other without waiting."""
    monkeypatch.setattr(fetch, "_WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as state:
        yield state
