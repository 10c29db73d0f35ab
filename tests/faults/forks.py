"""Programs that run in forks of one process, which has imported everything, and are killed or starved there.

`python forks.py` reads requests, one JSON object a line, and answers each with another. A run of a tiny model
then takes its own time and not that of its imports. An audit hook counts the moments at which a program
changes a file system: each opening for writing, renaming, removal and new folder. A request may have the
program killed at such a moment or after some seconds; may limit the size of its files; may let every change
from some moment on fail; and may have it run twice on a small disk of its own, first full and then with room.
"""

import atexit
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}
_REMOVALS = {"os.remove", "os.rmdir"}  # which no full disk refuses
_LONGEST = 300.0  # seconds, then a program counts as hanging


class Forks:
    """The process that forks; a context manager.

    Args:
        environment: Variables that it has beside those of this process.
    """

    def __init__(self, **environment):
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.stdin.close()
        self.process.wait(30)

    def run(self, verb, *arguments, **request):
        """Run `audiotok VERB ARGUMENTS` and return what became of it.

        Args:
            verb: Of the command line.
            arguments: Its overrides or options.
            request: `folder` to be in, `environment`, `kill_at` a change, `kill_after` seconds, `limit` on
                the bytes of a file, `fail_from` a change on with `error`, a number of errno.

        Returns:
            `status`, that of the process, negative for a signal; `output`; `n_changes`, the number of changes
            of a program that was not killed; `survived`, how many seconds its workers lived longer.
        """
        return self._ask({"verb": verb, "arguments": arguments, **request})

    def run_on_disk(self, kind, free, verb, *arguments, **request):
        """Run a program on a disk that is full but for some bytes, and again once there is room.

        Args:
            kind: tmpfs or ext4.
            free: Bytes.
            verb: As in `run`.
            arguments: As in `run`.
            request: As in `run`; its folder is where the disk is mounted, for these programs alone.

        Returns:
            What became of both, as `run` says it; or the reason why there is no such disk.
        """
        program = {"verb": verb, "arguments": arguments, **request}
        return self._ask({"disk": kind, "free": free, "program": program})

    def _ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the process that forks has ended"
        return json.loads(line)


def _serve():
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans become children of this process
    _import_everything()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(_in_namespace(request) if "disk" in request else _fork(request)) + "\n")
        answers.flush()


def _import_everything():
    import torch

    torch.set_num_threads(1)
    import faiss  # noqa: F401
    import torchmetrics.classification  # noqa: F401

    from audiotok import experiment, programs, sweep  # noqa: F401
    from audiotok.callbacks import epoch_line, throughput, vocabulary_use  # noqa: F401
    from audiotok.clustering import kmeans  # noqa: F401
    from audiotok.data import audioset  # noqa: F401
    from audiotok.features import logmel  # noqa: F401
    from audiotok.model import bag  # noqa: F401
    from audiotok.programs import job, unwritable  # noqa: F401
    from audiotok.training import metrics, tagger  # noqa: F401


def _in_namespace(request):
    """Mount a disk for a fork of this process alone, and run the program there twice."""
    out, into = os.pipe()
    child = os.fork()
    if child:
        os.close(into)
        with os.fdopen(out) as answer:
            text = answer.read()
        os.waitpid(child, 0)
        return json.loads(text)
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    answer = "the disk cannot be mounted"
    try:
        answer = _on_disk(request)
    finally:
        os.write(into, json.dumps(answer).encode())
        os._exit(0)


def _on_disk(request):
    folder, image = Path(request["program"]["folder"]), Path(request["program"]["folder"] + ".image")
    libc = ctypes.CDLL(None)
    if libc.unshare(0x00020000) or libc.mount(b"none", b"/", None, 0x44000, None):  # NEWNS; REC, PRIVATE
        return "mounting needs a privilege that this process lacks"
    if request["disk"] == "ext4":
        with image.open("wb") as file:
            file.truncate(2**24)
        commands = [["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], ["mount", "-o", "loop", image, folder]]
    else:
        commands = [["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder]]
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{request['disk']} cannot be mounted ({error})"
    filler = folder / "filler"
    disk = os.statvfs(folder)
    with filler.open("wb") as file:
        file.write(bytes(max(0, disk.f_bavail * disk.f_frsize - request["free"])))
    full = _fork(request["program"])
    filler.unlink()
    return [full, _fork(request["program"])]


def _fork(request):
    out, into = os.pipe()
    begun = time.monotonic()
    child = os.fork()
    if not child:
        os.close(out)
        _become(request, into)
    os.close(into)
    output, statuses = b"", {}
    until = begun + (request.get("kill_after") or _LONGEST)
    while child not in statuses:
        output += _read(out, 0.02)
        statuses |= _ended()
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            until += _LONGEST
    ended = time.monotonic()
    output += _read(out, 0.0)
    while _lives() and time.monotonic() < ended + _LONGEST:
        time.sleep(0.01)
    output += _read(out, 0.0)
    os.close(out)
    text, _, counted = output.decode(errors="replace").partition("\0")
    return {
        "status": os.waitstatus_to_exitcode(statuses[child]),
        "output": text,
        "n_changes": int(counted or 0),
        "survived": time.monotonic() - ended,
    }


def _read(pipe, patience):
    """Return what a pipe holds by now, or will within some seconds."""
    content = b""
    while select.select([pipe], [], [], patience)[0]:
        block = os.read(pipe, 1 << 16)
        content, patience = content + block, 0.0
        if not block:
            time.sleep(0.02)
            break
    return content


def _ended():
    """Return the status of every child that has ended, orphans of programs among them."""
    statuses = {}
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return statuses
        if not process:
            return statuses
        statuses[process] = status


def _lives():
    """Tell whether a process of a program still lives: without its parent it is a child of this one."""
    _ended()
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _become(request, into):
    """Be the program, and never return."""
    status = 1
    counted = [0]
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(into, number)
            stream = open(number, "w", buffering=1, closefd=False)  # noqa: SIM115, as the process has them
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        os.environ.update(request.get("environment", {}))
        os.chdir(request["folder"])
        if request.get("limit"):
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (request["limit"], resource.RLIM_INFINITY))
        _count_changes(counted, request)
        status = _status_of(request["verb"], request["arguments"])
        atexit._run_exitfuncs()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # the program may have put another one in its place
                stream.flush()
        os.write(into, b"\0%d" % counted[0])
        os._exit(status)


def _status_of(verb, arguments):
    from hydra._internal.hydra import Hydra

    from audiotok import cli

    if "-m" not in arguments:  # half of the time of a tiny run goes into finding that out
        Hydra.get_mode = lambda *_, **__: None
    sys.argv = ["audiotok", verb, *arguments]
    try:
        cli.app(standalone_mode=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    return 1


def _count_changes(counted, request):
    """Count the changes in the folder of a request, and do what it says at one of them."""
    process, folder = os.getpid(), request["folder"]

    def hook(event, arguments):
        if event == "open":
            flags = arguments[2] or 0
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
                return
        elif event not in _CHANGES:
            return
        if not isinstance(arguments[0], str) or os.getpid() != process:
            return
        if not os.path.abspath(arguments[0]).startswith(folder):  # noqa: PTH100, called at every change
            return
        counted[0] += 1
        if counted[0] == request.get("kill_at"):
            os.kill(process, signal.SIGKILL)
        if counted[0] >= request.get("fail_from", sys.maxsize) and event not in _REMOVALS:
            raise OSError(request["error"], os.strerror(request["error"]), arguments[0])

    sys.addaudithook(hook)


# A tiny model in an epoch or two, on the tones of `tiny`; paths are relative to the folder of a request.
SMALL = (
    "data=audioset", "data.metadata_folder=metadata", "data.audio_folder=audio", "data.clip_seconds=1",
    "data.train_sets=[bal_train]", "features=logmel", "features.sample_rate=8000", "features.n_fft=256",
    "features.hop_length=128", "features.n_mels=16", "features.n_components=8", "clustering=kmeans",
    "clustering.n_clusters=8", "clustering.n_iter=3", "cache_dir=cache",
)  # fmt: skip
TRAINED = (
    "loader.n_workers=0", "loader.batch_size=8", "trainer.max_epochs=2", "trainer.accelerator=cpu",
    "augment=none", "logger=none",
)  # fmt: skip
BAG = ("model=bag", "callbacks=default")
BERT = ("model.num_layers=1", "model.hidden_size=16", "model.num_heads=2")
COMMANDS = {
    "train": ("train", *SMALL, *TRAINED, *BAG, "hydra.run.dir=run"),
    "resume": (
        "train", *SMALL, *TRAINED, *BAG, "hydra.run.dir=run", "trainer.max_epochs=3",
        "ckpt_path=run/checkpoints/last.ckpt",
    ),
    "pretrain": ("pretrain", *SMALL, *TRAINED, *BERT, "trainer.max_epochs=1", "hydra.run.dir=run"),
    "prepare": ("prepare", *SMALL, "fill=tokens", "engine.n_workers=2", "hydra.run.dir=run"),
    "sweep": ("train", "-m", *SMALL, *TRAINED, *BAG, "seed=0,1", "hydra.sweep.dir=sweep"),
}  # fmt: skip


def contents(folder):
    """Return the files below a folder by their paths relative to it, without locks and logs."""
    return {
        str(path.relative_to(folder)): path
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.suffix not in (".lock", ".log")
    }


if __name__ == "__main__":
    _serve()
