"""Short trainings of copies of the model: the initial loss, one batch, the learning rate.

They use the configured model, loss and optimiser, without dropout and augmentation, which would obscure
whether anything is learnt, and without the schedule, at its highest learning rate from the first step.
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
from audiotok.model.activation import prior_logits
from audiotok.training.loss import activation_of

FACTORS = (0.1, 1.0, 10.0)  # of the learning rate
LEAST_STEPS = 10  # fewer tell nothing
_CLIPS_AT_START = 128  # clips that the initial loss is a mean over
# |loss / expected - 1|; BERT's random weights put the first loss 3 to 5 % above the expected one.
OFF, FAR_OFF = 0.25, 1.0
# Share of its loss that is left when one batch is repeated and memorised (BERT: 1 % after 40 steps).
HALF_LEARNT, NOT_LEARNT = 0.5, 0.95
DIVERGED = 1.1  # times the loss of the untrained model on the same clips
LEARNS = 0.98  # times the loss of the untrained model: models that learn are below it (BERT: 0.7 to 0.8)
FASTER = 0.9  # times the loss at the configured rate; smaller differences depend on the batches drawn


class Batch(NamedTuple):
    """The input of a model (B, T, ...), its lengths (B,), and labels (B, C), on the device."""

    inputs: Tensor
    lengths: Tensor
    targets: Tensor


def loss_at_start(subject: Subject) -> Finding:
    """Compare the loss before the first step with that of a model without knowledge of the clips."""
    batches = list(_batches(subject, _CLIPS_AT_START))
    found = fmean(Trainee(subject).losses(batches))
    expected, why = _expected(subject, batches)
    off = found / expected - 1
    state = graded(abs(off), OFF, FAR_OFF)
    return Finding(
        "start",
        state,
        f"The initial loss is {found:.4f}; a model that {why} would have {expected:.4f}.",
        "" if state == "good" else (_TOO_HIGH if not off < 0 else _TOO_LOW),
        {"loss": found, "expected": expected},
    )


_TOO_HIGH = "Check the scale of the model's inputs and weights; model.start_at_prior=true starts lower."
_TOO_LOW = "The untrained model predicts labels: unless model.init_from explains that, look for a leak."


def one_batch(subject: Subject) -> Finding:
    """Train on one batch until it is memorised.

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
        f"Training {len(losses)} steps on one batch of {len(batch.targets)} clips changes its loss from "
        f"{losses[0]:.4f} to {losses[-1]:.4f}.",
        "" if state == "good" else _OF_ONE_BATCH,
        {"first_loss": losses[0], "last_loss": losses[-1], "n_steps": len(losses)},
    )


_OF_ONE_BATCH = "A model that cannot memorise one batch learns nothing: read learning_rate, then vocabulary."


def learning_rate(subject: Subject) -> Finding:
    """Train at the configured learning rate, at a tenth of it and at ten times as much.

    Losses are measured on clips that have not been trained on yet (if the excerpt has enough), relative to
    the untrained model on the same clips: above 1, training made them worse.

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
        f"Loss on new clips after up to {subject.extent.n_steps} steps, relative to the untrained model: "
        f"{shown}; {lr:.1e} is configured.",
        advice,
        {"lr": lr, "relative_loss": {f"{factor * lr:.2e}": value for factor, value in relative.items()}},
    )


def judge(relative: dict[float, float]) -> tuple[State, str]:
    """Grade a learning rate by the relative losses at its multiples, and return advice."""
    low, here, high = (relative[factor] for factor in FACTORS)
    if not here < DIVERGED:
        return "bad", "Lower optimizer.lr by factors of ten, until this falls below 1."
    if low < FASTER * here:
        return "doubtful", "A tenth of optimizer.lr learns faster: lower it, or raise schedule.warmup."
    if here > LEARNS and high < FASTER * here:
        return "doubtful", "Ten times optimizer.lr learns, this does not yet: raise it, or train longer."
    if here > LEARNS and not min(low, high) < LEARNS:
        return (
            "doubtful",
            "No rate learns in so few steps: read information and control, or raise doctor.n_steps.",
        )
    return "good", ""


def _relative_loss(subject: Subject, batches: list[Batch], factor: float) -> float:
    losses = train_briefly(subject, cycle(batches), factor)
    asked = list(islice(cycle(batches), len(losses)))
    last = max(1, len(losses) // 4)
    return fmean(losses[-last:]) / max(1e-9, fmean(Trainee(subject).losses(asked[-last:])))


def train_briefly(subject: Subject, batches: Iterable[Batch], factor: float = 1.0) -> list[float]:
    """Train a copy of the model, and return the loss of each batch before its step.

    Training stops at a loss that is not finite.

    Args:
        subject: Model, loss and optimiser; `extent` limits steps and time.
        batches: One for each step.
        factor: Multiplies the learning rate.

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
            f"doctor.seconds={extent.seconds:g} allows only {len(losses)} steps; raise it, or use a GPU"
        )
    return losses


class Trainee:
    """A copy of the model that may be trained, without dropout.

    Args:
        subject: Model, loss and optimiser.
        factor: Multiplies the learning rate.
    """

    def __init__(self, subject: Subject, factor: float = 1.0) -> None:
        self.loss_of, self.gradient_clip = subject.loss, subject.gradient_clip
        # In training mode BatchNorm uses the statistics of the batch.
        self.model = copy.deepcopy(subject.model).to(subject.device).train()
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
        """Return the losses of batches, without a step."""
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
    """Return the loss of a model without knowledge of the clips, and a few words about that model."""
    at_prior = subject.model.start_at_prior
    activation = activation_of(subject.loss)
    prior = prior_logits(subject.class_prior, activation)
    logits = prior if at_prior else torch.zeros_like(prior)
    losses = [
        float(subject.loss(logits.to(b.targets.device).expand_as(b.targets), b.targets, False))
        for b in batches
    ]
    alike = "predicts 0.5" if activation == "sigmoid" else "predicts all classes alike"
    return fmean(losses), "predicts the frequency of each class" if at_prior else alike


def _batches(subject: Subject, n_clips: int) -> Iterator[Batch]:
    """Yield the first clips of the training excerpt, in batches of the configured size."""
    excerpt, device = subject.train, subject.device
    tokenizer, stage = subject.vocabulary.tokenizer, subject.model.reads
    for clips in torch.arange(min(n_clips, len(excerpt))).split(subject.datamodule.batch_size):
        inputs, lengths = excerpt.inputs(clips, tokenizer, stage)
        yield Batch(inputs.to(device), lengths.to(device), excerpt.targets[clips].to(device))
