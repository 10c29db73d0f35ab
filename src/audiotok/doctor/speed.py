"""Waiting for data: the share of a training step that passes before its batch arrives."""

import time
from typing import NamedTuple

from audiotok.doctor.finding import Finding, NotMadeError, State
from audiotok.doctor.short_training import Batch, Trainee
from audiotok.doctor.subject import Subject

WAITS = 0.3  # share of the time: a GPU that waits for a third of it makes a run half as long again
_WARM_UP = 1  # batches before the clock starts: workers start, memory is allocated


class Timing(NamedTuple):
    """The seconds of a step, and the share of them that is waiting."""

    step: float
    waiting: float


def waiting(subject: Subject) -> Finding:
    """Train on the first batches of an epoch, augmented as configured; then again, from the cache."""
    first, again = _time_steps(subject), _time_steps(subject)
    datamodule, caches = subject.datamodule, subject.corpus.cache != "none"
    state: State = "doubtful" if again.waiting > WAITS else "good"
    n_steps = len(subject.corpus.clips["train"]) / datamodule.batch_size
    return Finding(
        "waiting",
        state,
        f"A training step waits for data for {100 * first.waiting:.0f} % of its time in the first epoch, and "
        f"{100 * again.waiting:.0f} % in later ones, where it takes {1000 * again.step:.0f} ms, and an epoch "
        f"about {n_steps * again.step:,.0f} s (data.cache={subject.corpus.cache}).",
        "" if state == "good" else (_OF_WAITING if caches else _OF_NO_CACHE),
        {
            "share_at_first": first.waiting,
            "share_again": again.waiting,
            "seconds_a_step": again.step,
            "cache": subject.corpus.cache,
            "n_workers": datamodule.n_workers,
        },
    )


_OF_WAITING = "Raise loader.n_workers; or choose augment=none, which reads cached tokens."
_OF_NO_CACHE = "Choose data.cache=tokens, which decodes every clip once; or raise loader.n_workers."


def _time_steps(subject: Subject) -> Timing:
    """Time the first steps of an epoch, after a warm-up."""
    trainee, extent, device = Trainee(subject), subject.extent, subject.device
    spent_waiting, n_timed = 0.0, 0
    begun = start = time.perf_counter()
    for number, batch in enumerate(subject.datamodule.train_dataloader()):
        arrived = time.perf_counter()
        on_device = {name: values.to(device) for name, values in batch.items()}
        ready = on_device if "inputs" in batch else subject.datamodule.trained.on(device)(on_device)
        trainee.step(Batch(ready["inputs"], ready["lengths"], ready["targets"]))
        now = time.perf_counter()
        if number < _WARM_UP:
            begun = now
        else:
            spent_waiting, n_timed = spent_waiting + arrived - start, n_timed + 1
        if n_timed == extent.n_batches or (n_timed and now - begun > extent.seconds):
            break
        start = now
    if not n_timed:
        raise NotMadeError("an epoch has only one batch")
    taken = time.perf_counter() - begun
    return Timing(taken / n_timed, spent_waiting / taken)
