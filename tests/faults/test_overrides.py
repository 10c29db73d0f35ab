"""Overrides that make no sense, of every key of every group: they work, or one sentence names the key.

The keys are found by composing every program with every option of every group; the values are of wrong types,
signs and sizes. A try runs the whole program on a tiny corpus, in a process of its own with bounded memory
and time: what is not refused must train, or end in a sentence. No try may end in a traceback, take gigabytes
or minutes.
"""

import contextlib
import os
import re
import shutil
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from pretrained_models import write_encoder
from runs import SYNTHETIC, TINY, command, run
from tiny import write_tiny_audioset

from audiotok.programs.composition import compose_program
from audiotok.programs.options import config_folder, groups_of

pytestmark = pytest.mark.faults
resource = pytest.importorskip("resource")  # bounds the memory of a try; Windows has no such thing

FULL = 1000  # tries
_BYTES, _SECONDS = 1 << 30, 60  # most that a try may take, beyond what is imported
BIG = 1_000_000_000
_VALUES = (
    *("-1", "0", "-0.5", "1.5", "true", "text", "null", "[]", "[1,x]", "{}", "{a:1}", "''", "' '"),
    *("inf", "-inf", "nan", "1e9", "1e30", str(BIG), str(-BIG), str(2**80), str(-(2**80))),
)
_TARGETS = (
    "5",
    "1.5",
    "''",
    "null",
    "[]",
    "{}",
    "nowhere.Class",
    "audiotok",
    "a..b",
    ".",
    "os.getcwd",
    "os.name",
)
_GROUPS = {  # whose options are tried in which program
    "train": (
        "data features clustering augment loader model loss metrics "
        "optimizer schedule trainer callbacks logger"
    ),
    "pretrain": "objective",
    "prepare": "engine",
    "doctor": "",
}
_WITHOUT = dict.fromkeys(("train", "pretrain"), "logger=none")
# Options that want a corpus, a cluster or a GPU that is not here: their keys are refused or fail for that.
_LEFT_OUT = ("engine=ray",)
_MODELS = {"features=encoder": "hubert"}  # pretrained models that options read, in a folder of the corpus
_BESIDE = {  # what an option needs on the command line
    "features=encoder": ("augment=none", "clustering=kmeans", "features.n_components=8"),
    "features=mfcc": ("features.n_coefficients=8",),
}
_CORPORA = {"data=audioset": ".", "data=csv": "clips.csv", "data=folder": "classes"}  # below the corpus
_MORE = ("trainer.limit_val_batches", "trainer.max_steps", "trainer.max_time", "trainer.val_check_interval")
# A run that takes as long as it is asked to is no fault.
_LONG = {
    "trainer.max_epochs",
    "clustering.n_iter",
    "doctor.seconds",
    "data.n_train_clips",
    "data.n_test_clips",
}


class Try(NamedTuple):
    """An override of one key, and what else the command line says."""

    program: str
    option: str
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.program} {self.option} {self.key}={self.value}".replace("  ", " ")


def tries_of_all_keys() -> list[Try]:
    """Return every value for every key, in an order that mixes them and is the same each time."""
    found: dict[tuple[str, str, str], None] = {}
    groups = groups_of([config_folder()])
    seen: set[tuple[str, str]] = set()
    for program, names in _GROUPS.items():
        options = [f"{group}={option}" for group in names.split() for option in groups[group]]
        for option in [_WITHOUT.get(program, ""), *(option for option in options if option not in _LEFT_OUT)]:
            for key, owner in _keys(composed(program, option), "", ""):
                if (key, owner) not in seen:
                    seen.add((key, owner))
                    found[program, option, key] = None
    found |= {("train", "logger=none", f"+{key}"): None for key in _MORE}
    made = [
        Try(program, option, key, value)
        for program, option, key in found
        for value in (_TARGETS if key.endswith("_target_") else _VALUES)
        if not (key in _LONG and value in (str(BIG), "1e9", "1e30"))
    ]
    Random(0).shuffle(made)
    return made


@cache
def composed(program: str, option: str) -> dict[str, Any]:
    """Return what a program would run with, without the settings of Hydra."""
    config = compose_program(program, [option] if option else [], [config_folder()])
    return {key: value for key, value in config.items() if key != "hydra"}


def _keys(node: Mapping[str, Any], parent: str, owner: str) -> Iterator[tuple[str, str]]:
    """Go through the keys of a configuration and of its nodes, each with the class that it is of."""
    owner = str(node.get("_target_", owner))
    for name, value in node.items():
        yield f"{parent}{name}", owner
        if isinstance(value, Mapping):
            yield from _keys(value, f"{parent}{name}.", owner)


def outcome(attempt: Try, folder: Path) -> str:
    """Run a try in a process of its own; return `works`, `told`, or what is wrong."""
    said = folder / "said.txt"
    child = os.fork()
    if not child:
        _live_through(attempt, folder, said)
    _, status = os.waitpid(child, 0)
    text = said.read_text(encoding="utf-8", errors="replace")
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    if "Traceback" in text or "Error executing job" in text:
        last = [line for line in text.splitlines() if line.strip()][-1]
        return f"traceback: {last}"
    if os.WEXITSTATUS(status) == 0:
        return "works"
    if attempt.option in ("data=esc50", "data=fsd50k") and "data.root=None" in text:
        return "told"  # as far as a check can come without the corpus
    key = attempt.key.lstrip("+")
    parent, _, name = key.rpartition(".")
    beside = parent and re.search(rf"\b{re.escape(parent)}\b", text) and (name in text or name == "_target_")
    if key in text or beside or (attempt.option and attempt.option in text):  # a loss that these data refuse
        return "told"
    return f"does not name the key: {text[-400:]}"


def _live_through(attempt: Try, folder: Path, said: Path) -> None:
    """Be the process of a try."""
    status = 70
    with said.open("w", encoding="utf-8", buffering=1) as file:
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = file
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + _BYTES,) * 2)
            resource.setrlimit(resource.RLIMIT_FSIZE, (_BYTES // 4,) * 2)
            signal.alarm(_SECONDS)
            os.chdir(folder)
            command(*arguments(attempt, folder), verb=attempt.program)
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1 if end.code else 0
            if isinstance(end.code, str):
                file.write(end.code)
        except BaseException:
            traceback.print_exc(file=file)
        finally:
            with contextlib.suppress(BaseException):
                file.flush()
            os._exit(status)


def arguments(attempt: Try, folder: Path) -> list[str]:
    """Return the command line of a try: an epoch of two batches, and the key at its end."""
    config, key = composed(attempt.program, attempt.option), attempt.key.lstrip("+")
    there = {name for name, _ in _keys(config, "", "")}
    chosen = [
        "features=logmel",
        f"callbacks={'pretraining' if attempt.program == 'pretrain' else 'default'}",
        "logger=none",
        *([attempt.option] if attempt.option else []),
    ]
    options = {
        item.partition("=")[0]: item for item in chosen if item.partition("=")[0] in (*config, "logger")
    }
    if attempt.program == "prepare":
        options.pop("logger")
    options.pop(key, None)  # the option of a group is exchanged for the value
    root = folder.parent / "corpus"
    if attempt.option in _CORPORA and key not in ("data", "data.root"):
        options["data.root"] = f"data.root={root / _CORPORA[attempt.option]}"
    if key not in ("features", "features._target_"):
        beside = [*_BESIDE.get(attempt.option, ())]
        if attempt.option in _MODELS:
            beside.append(f"features.name={root / _MODELS[attempt.option]}")
        options |= {of: item for item in beside if (of := item.partition("=")[0]) != key}
    values = [*TINY[1:], *SYNTHETIC, "++trainer.limit_train_batches=2", "++trainer.limit_val_batches=2"]
    tiny = [
        item
        for item in values
        if (item.startswith("++") and "trainer" in config) or item.partition("=")[0] in there
    ]
    tiny = [item for item in tiny if not f"{item.lstrip('+')}.".startswith((f"{key}=", f"{key}."))]
    tiny = [item for item in tiny if item.partition("=")[0] not in options]
    return [f"hydra.run.dir={folder}/run", *options.values(), *tiny, f"{attempt.key}={attempt.value}"]


def write_corpus(root: Path) -> None:
    """Write a corpus in AudioSet's layout, and some of its clips as a CSV and as folders of two classes."""
    write_tiny_audioset(root)
    files = sorted((root / "audio" / "bal_train").rglob("*.*"))
    rows = []
    for i, path in enumerate(files):
        label, split = ("tone", "noise")[i % 2], ("train", "train", "val", "test")[i // 2 % 4]
        rows.append(f"{path},{label},{split}")
        folder = root / "classes" / split / label
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    (root / "clips.csv").write_text("\n".join(["path,labels,split", *rows]) + "\n", encoding="utf-8")


def write_models(root: Path) -> None:
    """Write the pretrained models that options name."""
    for kind in _MODELS.values():
        write_encoder(kind, root / kind)


def test_every_key_with_every_odd_value_works_or_is_refused_in_a_sentence_with_the_key(
    tries, tally, tmp_path
):
    write_corpus(tmp_path / "corpus")
    write_models(tmp_path / "corpus")
    run(tmp_path / "first")  # imports and writes what tries share
    every = tries_of_all_keys()
    assert len(every) > FULL
    outcomes: dict[Try, str] = {}
    for number, attempt in enumerate(every[: tries(FULL)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcomes[attempt] = outcome(attempt, folder)
    tally("odd overrides", Counter(said.partition(":")[0] for said in outcomes.values()))
    wrong = [f"{attempt}: {said}" for attempt, said in outcomes.items() if said not in ("works", "told")]
    assert not wrong, "\n".join(wrong)
