"""Run folders of strangers, and damaged ones: nothing in them is executed, nothing wrong is shown in silence.

Hostile folders name code in their configuration, or hold files that are made to do harm; every verb that
reads runs gets them. An audit hook listens for programs that start, and each folder has a canary that its
code would touch. Damaged folders have a flipped bit, a cut, or zeros in one file: whatever differs from the
sound run must be told. A try that fails names its folder, or the file, the place and the kind of damage.
"""

import functools
import io
import os
import pickle
import random
import shutil
import signal
import struct
import subprocess
import sys
import zipfile
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from runs import run
from typer.testing import CliRunner

from audiotok import follower
from audiotok.cli import app
from audiotok.errors import UserError
from audiotok.experiment import restore
from audiotok.experiment.weights import load_earlier
from audiotok.prediction.tagger import load
from audiotok.run.checkpoint import load_to_resume
from audiotok.run.folder import RunFolder
from audiotok.run.jobs import read_jobs
from audiotok.run.reader import read_run
from audiotok.run.sweep_folder import SweepFolder

pytestmark = pytest.mark.faults
SECONDS = 30  # that a verb may take
# Events of Python's audit hooks that say that a program starts, or that native code is loaded by name.
STARTS = {
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "pty.spawn",
    "subprocess.Popen",
}
heard: list[str] = []
listening = False


def listen(event: str, arguments: tuple) -> None:
    """Note what starts a program; git is what a run's provenance asks."""
    if listening and event in STARTS and "git" not in str(arguments[0]):
        heard.append(f"{event} {arguments!r}"[:200])


@functools.cache
def install() -> None:
    """Install the hook when it is first needed: it cannot be removed, and each event of Python calls it."""
    sys.addaudithook(listen)


@contextmanager
def watched(name: str):
    """Fail if the block starts a program, or takes too long."""
    global listening
    install()
    heard.clear()
    listening = True
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"{name} took {SECONDS} s"))
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        listening = False
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
    assert heard == [], name


@pytest.fixture(scope="module")
def sound_run(tmp_path_factory) -> Path:
    """A tiny run, and a file to tag beside it."""
    folder = tmp_path_factory.mktemp("strangers") / "run"
    run(folder)
    soundfile.write(folder.parent / "a.wav", 0.3 * np.sin(0.3 * np.arange(8000)), 8000)
    return folder


# ---- code in a configuration ----

CODE = [
    ("os.system", {"command": "COMMAND"}),
    ("subprocess.call", {"args": ["sh", "-c", "COMMAND"]}),
    ("subprocess.Popen", {"args": ["sh", "-c", "COMMAND"]}),
    ("builtins.exec", {"_args_": ["open('CANARY', 'w')"]}),
    ("builtins.eval", {"_args_": ["open('CANARY', 'w')"]}),
    ("builtins.open", {"file": "CANARY", "mode": "w"}),
    ("site.addsitedir", {"sitedir": "FOLDER"}),
    ("runpy.run_path", {"path_name": "FOLDER/canary_module.py"}),
    ("importlib.import_module", {"name": "canary_module"}),
    ("canary_module.Model", {}),
    ("shutil.copyfile", {"src": "/etc/hostname", "dst": "CANARY"}),
    ("pathlib.Path", {"_args_": ["CANARY"]}),
    ("os.mkdir", {"path": "CANARY"}),
    ("torch.load", {"f": "FOLDER/evil.pickle", "weights_only": False}),
    ("torch.save", {"obj": 1, "f": "CANARY"}),
    ("torch.hub.load", {"repo_or_dir": "FOLDER", "model": "x", "source": "local"}),
    ("numpy.load", {"file": "FOLDER/evil.pickle", "allow_pickle": True}),
    ("numpy.save", {"file": "CANARY", "arr": [1]}),
    ("pickle.loads", {"_args_": ["x"]}),
    ("logging.config.dictConfig", {"config": {"version": 1}}),
    ("code.interact", {}),
    ("timeit.timeit", {"stmt": "open('CANARY', 'w')"}),
    ("webbrowser.open", {"url": "file://CANARY"}),
    ("urllib.request.urlopen", {"url": "http://127.0.0.1:9"}),
    ("socket.create_connection", {"address": ["127.0.0.1", 9]}),
    ("hydra.utils.instantiate", {"config": {"_target_": "os.system", "command": "COMMAND"}}),
    ("hydra.utils.call", {"config": {"_target_": "os.system", "command": "COMMAND"}}),
    ("hydra.utils.get_method", {"path": "os.system"}),
    ("omegaconf.OmegaConf.save", {"config": {}, "f": "CANARY"}),
    ("pytorch_lightning.loggers.CSVLogger", {"save_dir": "CANARY"}),
    ("pytorch_lightning.callbacks.LambdaCallback", {}),
    ("pytorch_lightning.cli.LightningCLI", {}),
    ("transformers.AutoModel.from_pretrained", {"_args_": ["FOLDER"], "trust_remote_code": True}),
    ("functools.partial", {"_args_": ["x"]}),
    ("audiotok.data.reading.files.os.system", {"command": "COMMAND"}),
    ("audiotok.sweep.Path", {"_args_": ["CANARY"]}),
    ("audiotok.run.folder.RunFolder", {"path": "CANARY"}),
    ("audiotok.disk.writing.write_text", {"path": "CANARY", "text": "x"}),
    ("audiotok.run.provenance.checkout", {"folder": "FOLDER"}),
    ("audiotok.experiment.restoration.restore", {"path": "FOLDER"}),
    (7, {}),
    (["os.system"], {}),
]
PLACES = [
    "model",
    "features",
    "clustering",
    "sample",
    "data",
    "trainer",
    "callbacks.best",
    "logger",
    "hydra.callbacks.x",
]
TEXTS = {
    "environment": "seed: ${oc.env:HOME}",
    "decode": "model: '${oc.decode:\"{_target_: os.system, command: COMMAND}\"}'",
    "defaults": "defaults: [{/hydra/launcher: joblib}]",
    "searchpath": "hydra: {searchpath: ['file://FOLDER']}",
    "python tag": "model: !!python/object/apply:os.system ['COMMAND']",
    "missing": "model: ???",
}


def hostile(folder: Path, sound: Path, number: int) -> str:
    """Turn a copy of a sound run into a hostile one, and return what it does."""
    shutil.copytree(sound, folder)
    (folder / "checksums.json").unlink()
    (folder / "canary_module.py").write_text(f"open({str(folder / 'canary')!r}, 'w')\nclass Model: pass\n")
    (folder / "evil.pth").write_text("import canary_module\n")
    (folder / "evil.pickle").write_bytes(evil_pickle(folder / "canary"))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    names = list(TEXTS)
    if number < len(names):
        text = filled(TEXTS[names[number]], folder)
        config = {key: value for key, value in config.items() if not text.startswith(f"{key}:")}
        (folder / "config.yaml").write_text(f"{yaml.safe_dump(config)}\n{text}\n")
        return names[number]
    target, arguments = CODE[(number - len(names)) % len(CODE)]
    place = PLACES[number % len(PLACES)]
    node = {"_target_": target, **arguments}
    if number % 3 == 0:  # deep inside what would be built
        place, node = "model", {**config["model"], "layers": [[{"x": node}]]}
    parent, *_, last = (config, *place.split("."))
    for name in place.split(".")[:-1]:
        parent = parent.setdefault(name, {})
    parent[last] = node
    (folder / "config.yaml").write_text(filled(yaml.safe_dump(config), folder))
    return f"{number} {place} {target}"


def filled(text: str, folder: Path) -> str:
    canary = str(folder / "canary")
    return text.replace("COMMAND", f"touch {canary}").replace("CANARY", canary).replace("FOLDER", str(folder))


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def evil_pickle(path: Path) -> bytes:
    return pickle.dumps(Evil(path))


def verb(*arguments: object) -> str:
    """Call a verb in this process, and return "refused" or "done"; anything else fails."""
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), (arguments, result.exception)
    assert "Traceback" not in result.output, (arguments, result.output)
    return "refused" if result.exit_code else "done"


def follow(folder: Path, monkeypatch) -> str:
    monkeypatch.setattr(sys, "argv", ["follower", str(folder)])
    monkeypatch.setattr(follower, "_end_with_leader", lambda: None)  # this process has no leader
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as end:
        follower.main()
    assert isinstance(end.value.code, str), folder
    return "refused"


def test_code_in_a_configuration_is_not_run(sound_run, tmp_path, monkeypatch, tries, tally):
    outcomes = Counter()
    monkeypatch.setattr(sys, "path", sys.path[:])
    for number in range(tries(60, least=60)):
        folder = tmp_path / str(number)
        name = hostile(folder, sound_run, number)
        sys.path[:] = [*[path for path in sys.path if str(tmp_path) not in path], str(folder)]
        with watched(name):
            outcomes[f"predict {verb('predict', folder, sound_run.parent / 'a.wav')}"] += 1
            outcomes[f"repeat {verb('repeat', folder, f'hydra.run.dir={tmp_path}/again')}"] += 1
            outcomes[f"follower {follow(folder, monkeypatch)}"] += 1
            notes = read_run(RunFolder(folder), "run").notes
        assert all("\n" not in note for note in notes), name
        assert not (folder / "canary").exists(), name
        assert "canary_module" not in sys.modules, name
        assert not (tmp_path / "again").exists(), name
        shutil.rmtree(folder)
    tally("code in the configuration of a run folder", outcomes)
    # A group that predict does not build may name anything: nothing of it is called.
    assert outcomes["repeat refused"] == outcomes["follower refused"] == sum(outcomes.values()) // 3


# ---- content that is made to do harm ----


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def archive_of(array: bytes) -> bytes:
    return zipped({f"{name}.npy": array for name in ("ids", "classes", "scores", "targets")})


def evil_checkpoint() -> bytes:
    return zipped({"archive/data.pkl": evil_pickle(Path("canary")), "archive/version": b"3\n"})


def header(shape: tuple[int, ...]) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return content.getvalue()


def bomb() -> bytes:
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20))]
    return "\n".join(lines).encode()


def deflated(name: str) -> bytes:
    return zipped({name: bytes(2**26)}, zipfile.ZIP_DEFLATED)


def huge_checkpoint() -> bytes:
    """A checkpoint whose table of contents claims 4 TB."""
    content = io.BytesIO()
    torch.save({"state_dict": {"a": torch.zeros(4)}}, content)
    return content.getvalue().replace(struct.pack("<I", 16), struct.pack("<I", 2**32 - 2))


HARM = {
    "config: alias bomb": ("config.yaml", bomb()),
    "config: a merge of aliases": ("config.yaml", b"a: &a {x: 1}\nmodel:\n  <<: [*a, *a]\n"),
    "config: a thousand deep": ("config.yaml", b"model: " + b"[" * 1000 + b"]" * 1000),
    "config: 400 digits": ("config.yaml", b"seed: " + b"9" * 400),
    "config: 9000 digits": ("config.yaml", b"seed: " + b"9" * 9000),
    "config: keys that are lists": ("config.yaml", b"? [a, b]\n: 1\n"),
    "config: keys that are numbers": ("config.yaml", b"1: 2\n3: {4: 5}\n"),
    "config: not UTF-8": ("config.yaml", b"\xff\xfe\x00"),
    "config: a date": ("config.yaml", b"seed: !!timestamp 2024-01-01\n"),
    "metrics: a thousand deep": ("metrics.json", b'{"a":' * 1000 + b"1" + b"}" * 1000),
    "metrics: a hundred thousand deep": ("metrics.json", b"[" * 100_000),
    "metrics: 400 digits": ("metrics.json", b'{"test/mAP": ' + b"9" * 400 + b"}"),
    "metrics: 1e400": ("metrics.json", b'{"test/mAP": 1e400}'),
    "metrics: a list": ("metrics.json", b"[1, 2]"),
    "provenance: a number": ("provenance.json", b"7"),
    "provenance: a program of its own": ("provenance.json", b'{"program": "os"}'),
    "calibration: a list": ("calibration.json", b"[1, 2]"),
    "calibration: 400 digits": ("calibration.json", b'{"scale": [' + b"9" * 400 + b"]}"),
    "history: 400 digits": ("history.csv", b"epoch,step,val/mAP\n" + b"9" * 400 + b",1,1\n"),
    "history: no epoch": ("history.csv", b"step,val/mAP\n1,1\n"),
    "history: more cells than names": ("history.csv", b"epoch,step\n1,2,3,4\n"),
    "history: a field of 1 MB": ("history.csv", b'epoch,"' + b"x" * 2**20),
    "per class: 400 digits": (
        "per_class.csv", b"id,name,test_positives,average_precision\na,b," + b"9" * 400 + b",1\n"
    ),
    "per class: no columns": ("per_class.csv", b"a,b\n1,2\n"),
    "predictions: 4 TB": ("predictions.npz", archive_of(header((10**12,)))),
    "predictions: pickles": ("predictions.npz", archive_of(evil_pickle(Path("canary")))),
    "predictions: a bomb": ("predictions.npz", deflated("ids.npy")),
    "predictions: a pickle": ("predictions.npz", evil_pickle(Path("canary"))),
    "centroids: 4 TB": ("vocabulary/centroids.npy", header((10**6, 10**3, 10**3))),
    "centroids: a negative length": ("vocabulary/centroids.npy", header((-1, 8))),
    "centroids: a pickle": ("vocabulary/centroids.npy", evil_pickle(Path("canary"))),
    "vocabulary: a thousand deep": ("vocabulary/vocabulary.json", b'{"a":' * 1000 + b"1" + b"}" * 1000),
    "vocabulary: code": (
        "vocabulary/vocabulary.json",
        b'{"format": 1, "shapes": {}, "sample": {}, "features": {"_target_": "os.system", "command": "x"}}',
    ),
    "vocabulary: names of other files": ("vocabulary/vocabulary.json", b'{"shapes": {"../../../x": [1]}}'),
    "checkpoint: a pickle": ("checkpoints/best.ckpt", evil_pickle(Path("canary"))),
    "checkpoint: a pickle in a zip": ("checkpoints/best.ckpt", evil_checkpoint()),
    "checkpoint: a bomb": ("checkpoints/best.ckpt", deflated("archive/data.pkl")),
    "checkpoint: 4 GB claimed": ("checkpoints/best.ckpt", huge_checkpoint()),
    "overrides: a number": (".hydra/overrides.yaml", b"7"),
    "error: 100 MB": ("error.txt", b"x" * 10**8),
}  # fmt: skip
INSTEAD = ("pipe", "device", "link", "ring", "huge", "folder")
READ = sorted({name for name, _ in HARM.values()})


def put(path: Path, how: str) -> bool:
    """Put a pipe, a device, a link or a huge file in the place of a file; return whether the system can."""
    path.unlink(missing_ok=True)
    if how == "pipe" and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    elif how == "device" and Path("/dev/zero").exists():
        path.symlink_to("/dev/zero")
    elif how == "link":
        path.symlink_to(__file__)
    elif how == "ring":
        path.symlink_to(path)
    elif how == "huge":
        with path.open("wb") as file:
            file.truncate(2**40)
    elif how == "folder":
        path.mkdir()
    else:
        return False
    return True


def read_everything(folder: Path, sound: Path) -> str:
    """Read a folder with every verb that reads runs; return what `predict` did."""
    shown = read_run(RunFolder(folder), "run")
    assert all("\n" not in note for note in shown.notes)
    read_jobs(SweepFolder(folder.parent))
    for path in (RunFolder(folder).best, RunFolder(folder).last):
        with suppress(UserError):
            load_to_resume(path)
    verb("tokens", folder, sound, "--to", folder.with_suffix(".npz"), "--overwrite")
    outcome = verb("predict", folder, sound)
    if outcome == "done":
        with pytest.raises(UserError):  # it has other centroids
            load_earlier(restore(folder).model, folder, "key")
    if outcome == "done" and shown.notes:
        return "told"
    return outcome


def test_content_that_is_made_to_do_harm_is_told(sound_run, tmp_path, monkeypatch, tries, tally):
    outcomes, before = Counter(), set(sys.modules)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "0"
    kinds = [(name, *HARM[name]) for name in HARM]
    others = [(f"{path}: {how}", path, how) for how in INSTEAD for path in READ]
    kinds += others[:: len(others) // tries(len(others), least=len(others) // 4)]
    for name, path, harm in kinds:
        shutil.copytree(sound_run, folder)
        (folder / "checksums.json").unlink()
        if isinstance(harm, str):
            if not put(folder / path, harm):
                continue
        else:
            (folder / path).write_bytes(harm)
        with watched(name):
            outcome = read_everything(folder, sound_run.parent / "a.wav")
        outcomes[outcome] += 1
        needed = path.startswith(("config", "calibration", "checkpoints", "vocabulary"))
        assert outcome == "refused" or not needed, name
        assert outcome == "told" or needed or path.startswith((".hydra", "provenance")), name
        assert not (tmp_path / "canary").exists(), name
        shutil.rmtree(folder)
    tally("files in a run folder that are made to do harm", outcomes)
    assert "canary_module" not in set(sys.modules) - before


# ---- damage ----

SHOWN = [
    "config.yaml", "metrics.json", "history.csv", "per_class.csv", "predictions.npz", "provenance.json",
    ".hydra/overrides.yaml", "checksums.json",
]  # fmt: skip
USED = ["config.yaml", "calibration.json", "checkpoints/best.ckpt", "vocabulary/*"]
DAMAGES = ("bit", "cut", "zeros", "byte")


def damaged(content: bytes, how: str, chance: random.Random) -> tuple[bytes, int]:
    """Return a damaged copy, and the place."""
    place = chance.randrange(max(1, len(content)))
    changed = bytearray(content)
    if how == "cut":
        return bytes(changed[:place]), place
    if how == "bit":
        changed[place] ^= 1 << chance.randrange(8)
    elif how == "byte":
        changed[place] = (changed[place] + chance.randrange(1, 256)) % 256
    else:
        changed[place : place + 64] = bytes(len(changed[place : place + 64]))
    return bytes(changed), place


def view(folder: Path) -> tuple[list[object], list[str]]:
    """Return what is shown of a run, and what is noted."""
    found = read_run(RunFolder(folder), "run")
    [job] = read_jobs(SweepFolder(folder.parent))
    predictions = found.predictions
    arrays = None if predictions is None else [array.tobytes() for array in vars(predictions).values()]
    shown = [found.program, found.settings, found.metrics, found.per_class, found.history, arrays, job.scores]
    shown = [repr(part) for part in shown]
    noted = [*found.notes, job.error] if job.error else found.notes
    return [*shown, repr(job.overrides)], noted


def weights(folder: Path, sound: Path) -> str:
    """Return what a run predicts with, and what it predicts."""
    restored = restore(folder)
    states = {**restored.model.state_dict(), "centroids": restored.tokenizer.codebooks.centroids}
    digests = {name: state.numpy().tobytes() for name, state in states.items()}
    tags = load(folder, "cpu").predict(sound).tags()
    return repr((digests, restored.classes, restored.clip_seconds, restored.calibration, tags))


@pytest.fixture
def broken(sound_run, tmp_path) -> Path:
    """A copy of the run, the only job of a sweep."""
    return Path(shutil.copytree(sound_run, tmp_path / "0"))


def test_damage_in_what_is_shown_is_told(broken, tries, tally, caplog):
    chance, outcomes = random.Random(14), Counter()
    sound, notes = view(broken)
    for number in range(tries(900, least=3 * len(SHOWN))):
        path, how = broken / SHOWN[number % len(SHOWN)], DAMAGES[number // len(SHOWN) % len(DAMAGES)]
        content = path.read_bytes()
        changed, place = damaged(content, how, chance)
        path.write_bytes(changed)
        caplog.clear()
        shown, noted = view(broken)
        noted = [*noted, *(record.getMessage() for record in caplog.records)]
        name = f"{path.name} {how} {place}, try {number}: {noted}"
        told = set(noted) != set(notes)
        assert shown == sound or told, name
        assert all("\n" not in note for note in noted), name
        outcomes["noted" if told else "without effect"] += 1
        path.write_bytes(content)
    tally("damage in the files of a run that compare and sweeps show", outcomes)
    assert outcomes["noted"] > outcomes["without effect"]


def test_damage_in_what_predict_uses_is_told(broken, sound_run, tries, tally):
    chance, outcomes, audio = random.Random(15), Counter(), sound_run.parent / "a.wav"
    files = [path for pattern in USED for path in sorted(broken.glob(pattern))]
    sound = weights(broken, audio)
    for number in range(tries(600, least=30)):
        path, how = files[number % len(files)], DAMAGES[number // len(files) % len(DAMAGES)]
        content = path.read_bytes()
        changed, place = damaged(content, how, chance)
        path.write_bytes(changed)
        name = f"{path.name} {how} {place}, try {number}"
        try:
            same = weights(broken, audio) == sound
            warned = RunFolder(broken).config_is_changed
            assert same or warned, name
            outcomes["warned" if warned else "without effect"] += 1
        except UserError:
            outcomes["refused"] += 1
        path.write_bytes(content)
    tally("damage in the files of a run that predict uses", outcomes)
    assert outcomes["refused"] > 0


def test_a_program_that_is_started_is_heard():
    with pytest.raises(AssertionError), watched("self-test"):
        subprocess.run([sys.executable, "-c", ""], check=True)
