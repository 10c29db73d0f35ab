"""Processes that are not of one run are refused, each difference in a sentence of its own."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from audiotok.callbacks.one_run import OneRun
from audiotok.errors import UserError
from audiotok.run.folder import RunFolder

OURS = ("folder", "key", "centroids")


@pytest.fixture
def meet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Set up a process beside another one, which has what it is told of."""
    monkeypatch.chdir(tmp_path)

    def meet(folder: str, key: str, checksum: str) -> None:
        def gather(everyone: list, mine: tuple) -> None:
            everyone[:] = [mine, (str(tmp_path / folder), key, checksum)]

        monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
        tokenizer = SimpleNamespace(checksum=lambda: OURS[2])
        trainer = SimpleNamespace(world_size=2)
        OneRun(RunFolder(Path(OURS[0])), tokenizer).setup(
            trainer, SimpleNamespace(vocabulary_key=OURS[1]), "fit"
        )

    return meet


def test_processes_of_one_run_go_on(meet):
    assert meet(*OURS) is None


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (("other", "key", "centroids"), "hydra.run.dir="),
        (("folder", "other", "others"), "data.root or its files differ between nodes"),
        (("folder", "key", "others"), "cache_dir holds different centroids key on two nodes"),
    ],
)
def test_what_differs_between_processes_is_named(meet, theirs, words):
    with pytest.raises(UserError, match=words):
        meet(*theirs)
