"""What tests of manifests and of parts share."""

import pytest

from audiotok.data.corpus import parts


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make parts of about four clips."""
    monkeypatch.setattr(parts, "PART_CLIPS", 4)
