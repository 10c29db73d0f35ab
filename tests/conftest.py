"""A quiet machine for all tests, and fixtures of the tiny corpus; what they are made of is in `tiny`.

Fixtures import what they need, because the main process of xdist reads this file and runs no test: torch,
Lightning and torchmetrics would take it several seconds.
"""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and faiss; inherited by child processes

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from audiotok.data.corpus.corpus import Corpus
    from audiotok.tokens.tokenizer import Tokenizer

settings.register_profile("audiotok", deadline=None, derandomize=True)
settings.load_profile("audiotok")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make faults` say how many of the full number of faults it tries, and `make soak` how long."""
    parser.addoption("--scale", default=0.01, help="share of the full number of faults (tests/faults)")
    parser.addoption("--minutes", default=30, help="how long the soak test lasts")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the fault tests alone where their marker deselects them all: importing them takes seconds."""
    is_deselected = config.option.markexpr.startswith("not faults")
    return True if collection_path.name == "faults" and is_deselected else None


@pytest.fixture(scope="session", autouse=True)
def hermetic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep caches in a folder of this session, W&B off the network, and torch on one core; compose once."""
    import torch
    from compositions import remembering
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ConfigLoaderImpl, "load_configuration", remembering(ConfigLoaderImpl.load_configuration)
        )
        patch.setenv("AUDIOTOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        patch.setenv("NETRC", str(tmp_path_factory.getbasetemp() / "no-netrc"))
        patch.delenv("WANDB_API_KEY", raising=False)
        yield


@pytest.fixture(autouse=True)
def hydra_logs_no_longer() -> Iterator[None]:
    """Take away the handlers that a run of Hydra leaves: they write to what was captured of that test."""
    yield
    for handler in logging.root.handlers[:]:
        if type(handler) in (logging.StreamHandler, logging.FileHandler):
            logging.root.removeHandler(handler)
            handler.close()


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished run of one epoch with the defaults of `runs.TINY`, and its metrics. Do not change it."""
    from runs import run

    folder = tmp_path_factory.mktemp("plain")
    return folder, run(folder)


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished pretraining run of one epoch on the embedded data, and its metrics. Do not change it."""
    from runs import pretrain

    folder = tmp_path_factory.mktemp("pretrained")
    return folder, pretrain(folder)


@pytest.fixture(scope="session")
def tiny_audioset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus in AudioSet's layout: 1 s clips at 8 kHz whose labels are the tones that sound in them."""
    from tiny import write_tiny_audioset

    root = tmp_path_factory.mktemp("tiny_audioset")
    write_tiny_audioset(root)
    return root


@pytest.fixture(scope="session")
def tiny_corpus(tiny_audioset: Path, tmp_path_factory: pytest.TempPathFactory) -> "Corpus":
    """The usable clips of `tiny_audioset`: 18 train, 6 val (A-F), 8 test. Do not change it."""
    from tiny import tiny_source

    from audiotok.data.corpus.corpus import open_corpus
    from audiotok.store import Store

    return open_corpus(tiny_source(tiny_audioset), Store(tmp_path_factory.mktemp("tiny_corpus")))


@pytest.fixture(scope="session")
def twelve_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folders drawn by the benchmark, not trained: four settings, three seeds each. Do not change them.

    All were tested on the same 40 clips of 10 classes.
    """
    from compare import write_runs

    folder = tmp_path_factory.mktemp("twelve") / "runs"
    write_runs(folder, n_runs=12, n_clips=40, n_classes=10)
    return folder


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Callable[..., "Tokenizer"]:
    """Return `build_tiny_tokenizer`, which makes a new tokenizer at each call."""
    from tiny import build_tiny_tokenizer

    return build_tiny_tokenizer
