"""Short trainings of copies of the model: loss at the start, one batch, the learning rate.

They use what is configured, without dropout and augmentation, which only make it harder to see whether
anything is learnt, and without the schedule: at its highest learning rate from the first step on.
"""

import copy
import math
import time
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from statistics import fmean
from typing import NamedTuple

import torch
from torch import Tensor, nn

from audiotok.doctor.finding import Finding, NotMadeError, State, graded
from audiotok.doctor.subject import Subject
from audiotok.model.model import prior_logits

FACTORS = (0.1, 1.0, 10.0)  # of the learning rate
LEAST_STEPS = 10  # before which nothing can be said
_CLIPS_AT_START = 128  # over which the loss at the start is a mean
# BERT's random weights put the first loss 3 to 5 % above what is expected.
OFF, FAR_OFF = 0.25, 1.0  # |loss / expected - 1|
# A batch that comes again and again is learnt by heart: what is left of its loss (of BERT 1 %, in 40 steps).
HALF_LEARNT, NOT_LEARNT = 0.5, 0.95
DIVERGED = 1.1  # times the loss of the untrained model on the same clips
LEARNS = 0.98  # of the loss of the untrained model: what learns is below it (BERT: 0.7 to 0.8)
FASTER = 0.9  # times the loss at the configured rate; nearer ones are the draw of the batches


class Batch(NamedTuple):
    """What a model reads (B, T, ...), its lengths (B,), and labels (B, C), on the device."""

    inputs: Tensor
    lengths: Tensor
    targets: Tensor


def loss_at_start(subject: Subject) -> Finding:
    """Compare the loss before the first step with that of a model that knows nothing."""
    batches = list(_batches(subject, _CLIPS_AT_START))
    found = fmean(Trainee(subject).losses(batches))
    expected, why = _expected(subject, batches)
    off = found / expected - 1
    state = graded(abs(off), OFF, FAR_OFF)
    return Finding(
        "start",
        state,
        f"The loss begins at {found:.4f}; a model that knows {why} would have {expected:.4f}.",
        "" if state == "good" else (_TOO_HIGH if not off < 0 else _TOO_LOW),
        {"loss": found, "expected": expected},
    )


_TOO_HIGH = (
    "Check the scale of what the model reads and of its weights; model.start_at_prior=true begins lower."
)
_TOO_LOW = "Before training it knows labels: is that meant (model.init_from)? Else look for a leak."


def one_batch(subject: Subject) -> Finding:
    """Learn one batch by heart.

    Raises:
        NotMadeError: Too few steps fit into the time.
    """
    batch = next(_batches(subject, subject.datamodule.batch_size))
    losses = train_briefly(subject, cycle([batch]))
    remains = losses[-1] / max(losses[0], 1e-9)
    state = graded(remains, HALF_LEARNT, NOT_LEARNT)
    return Finding(
        "one_batch",
        state,
        f"One batch of {len(batch.targets)} clips, {len(losses)} steps: the loss goes from {losses[0]:.4f} "
        f"to {losses[-1]:.4f}.",
        "" if state == "good" else _OF_ONE_BATCH,
        {"first_loss": losses[0], "last_loss": losses[-1], "n_steps": len(losses)},
    )


_OF_ONE_BATCH = "What cannot learn a batch learns nothing: see learning_rate, then whether tokens differ."


def learning_rate(subject: Subject) -> Finding:
    """Train at the configured learning rate, at a tenth of it and at ten times as much.

    Losses are of clips that come for the first time (the excerpt permitting), over those of the untrained
    model on the same clips: what is above 1 got worse.

    Raises:
        NotMadeError: Too few steps fit into the time.
    """
    clips = subject.extent.n_steps * subject.datamodule.batch_size
    batches = list(_batches(subject, min(clips, len(subject.train))))
    relative = {factor: _relative_loss(subject, batches, factor) for factor in FACTORS}
    lr = Trainee(subject).optimizer.param_groups[0]["lr"]
    state, advice = judge(relative)
    shown = ", ".join(f"{value:.2f} at {factor * lr:.1e}" for factor, value in relative.items())
    return Finding(
        "learning_rate",
        state,
        f"After up to {subject.extent.n_steps} steps, the loss on new clips is, times that of the untrained "
        f"model: {shown}; {lr:.1e} is configured.",
        advice,
        {"lr": lr, "relative_loss": {f"{factor * lr:.2e}": value for factor, value in relative.items()}},
    )


def judge(relative: dict[float, float]) -> tuple[State, str]:
    """Grade a learning rate by the relative losses at its multiples; return what to do, too."""
    low, here, high = (relative[factor] for factor in FACTORS)
    if not here < DIVERGED:
        return "bad", "Lower optimizer.lr, by ten and again by ten until this falls below 1."
    if low < FASTER * here:
        return "doubtful", "A tenth of optimizer.lr learns faster: lower it, or warm up (schedule.warmup)."
    if here > LEARNS and high < FASTER * here:
        return "doubtful", "Ten times optimizer.lr learns, and this does not yet: raise it, or train longer."
    if here > LEARNS and not min(low, high) < LEARNS:
        return (
            "doubtful",
            "No rate learns in so few steps: see information and control, or raise doctor.n_steps.",
        )
    return "good", ""


def _relative_loss(subject: Subject, batches: list[Batch], factor: float) -> float:
    losses = train_briefly(subject, cycle(batches), factor)
    asked = list(islice(cycle(batches), len(losses)))
    last = max(1, len(losses) // 4)
    return fmean(losses[-last:]) / max(1e-9, fmean(Trainee(subject).losses(asked[-last:])))


def train_briefly(subject: Subject, batches: Iterable[Batch], factor: float = 1.0) -> list[float]:
    """Train a copy of the model, and return the loss of each batch as it was when it came.

    A loss that is not finite is the last one.

    Args:
        subject: Its model, loss, optimiser; `extent` says how many steps, and how long.
        batches: One for each step.
        factor: Of the learning rate.

    Raises:
        NotMadeError: Too few steps fit into the time.
    """
    trainee, extent = Trainee(subject, factor), subject.extent
    losses: list[float] = []
    start = time.perf_counter()
    for batch in islice(batches, extent.n_steps):
        losses.append(trainee.step(batch))
        if not math.isfinite(losses[-1]):
            return losses
        if time.perf_counter() - start > extent.seconds:
            break
    if len(losses) < LEAST_STEPS:
        raise NotMadeError(
            f"doctor.seconds={extent.seconds:g} are over after {len(losses)} steps; raise it, or use a GPU"
        )
    return losses


class Trainee:
    """A copy of the model that may be trained; in it nothing is dropped.

    Args:
        subject: Its model, loss and optimiser.
        factor: Of the learning rate.
    """

    def __init__(self, subject: Subject, factor: float = 1.0) -> None:
        self.loss_of, self.gradient_clip = subject.loss, subject.gradient_clip
        self.model = copy.deepcopy(subject.model).to(subject.device).train()  # BatchNorm goes by the batch
        self.model.disable_dropout()
        self.optimizer = subject.optimizer.build(self.model)
        for group in self.optimizer.param_groups:
            group["lr"] *= factor

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of a batch."""
        logits = self.model(batch.inputs, batch.lengths).float()
        return self.loss_of(logits, batch.targets, False)

    @torch.no_grad()
    def losses(self, batches: Iterable[Batch]) -> list[float]:
        """Return the losses of some batches, without a step."""
        return [float(self.loss(batch)) for batch in batches]

    def step(self, batch: Batch) -> float:
        """Take a step, unless the loss is not finite; return the loss before it."""
        loss = self.loss(batch)
        if loss.isfinite():
            self.optimizer.zero_grad()
            loss.backward()
            if self.gradient_clip:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.gradient_clip)
            self.optimizer.step()
        return float(loss.detach())


def _expected(subject: Subject, batches: list[Batch]) -> tuple[float, str]:
    """Return the loss that a start without knowledge has on some batches, and what it knows."""
    at_prior = subject.model.start_at_prior
    logits = prior_logits(subject.class_prior) if at_prior else torch.zeros(len(subject.corpus.classes))
    losses = [
        float(subject.loss(logits.to(b.targets.device).expand_as(b.targets), b.targets, False))
        for b in batches
    ]
    return fmean(losses), "how often each class is heard" if at_prior else "nothing"


def _batches(subject: Subject, n_clips: int) -> Iterator[Batch]:
    """Give the first training clips that were listened to, in batches of the configured size."""
    excerpt, device = subject.train, subject.device
    tokenizer, stage = subject.vocabulary.tokenizer, subject.model.reads
    for clips in torch.arange(min(n_clips, len(excerpt))).split(subject.datamodule.batch_size):
        inputs, lengths = excerpt.inputs(clips, tokenizer, stage)
        yield Batch(inputs.to(device), lengths.to(device), excerpt.targets[clips].to(device))
