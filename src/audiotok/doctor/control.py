"""What a linear classifier hears in the tokens: if it hears nothing, no model is to blame.

Regularised least squares on the square roots of token histograms, solved at once: no learning rate, no
epochs, nothing that could be set wrongly.
"""

import torch
from torch import Tensor

from audiotok.clustering.codebooks import Codebooks
from audiotok.doctor.finding import Finding, NotMadeError, graded, worst
from audiotok.doctor.subject import Excerpt
from audiotok.model.bag import Bag
from audiotok.model.model import Sizes
from audiotok.training.metrics import MeanAveragePrecision

RIDGE = 0.1  # of the mean of the kernel's diagonal: histograms have more words than there are clips
# As for information: deviations of shuffled labels' mAP.
SOME_DEVIATIONS, BY_CHANCE = 6.0, 3.0
LITTLE_ABOVE = 0.05  # share of the way from the mAP of shuffled labels to 1


def histograms(excerpt: Excerpt, codebooks: Codebooks) -> Tensor:
    """Return the square roots of the shares of a clip's tokens: (N, Q * K), as `model=bag` reads them."""
    sizes = Sizes(
        n_bins=0,
        n_dimensions=0,
        n_codebooks=codebooks.n_codebooks,
        n_clusters=codebooks.n_clusters,
        n_tokens=0,
        n_classes=1,
    )
    bag = Bag(hidden_sizes=[], dropout=0.0, start_at_prior=False, sizes=sizes)
    return bag.embed(excerpt.tokens, excerpt.lengths)


def control(
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    chance: float,
    n_permutations: int,
    generator: torch.Generator,
) -> Finding:
    """Train on the histograms of training clips, and compare mAP on validation clips with chance.

    Args:
        train: Histograms (N, words) and targets (N, C).
        val: The same.
        chance: mAP of a guess over the whole validation split.
        n_permutations: How often labels are shuffled.
        generator: Shuffles.

    Raises:
        NotMadeError: No class is in both.
    """
    chosen = (train[1].any(0) & val[1].any(0)).nonzero()[:, 0]
    if not len(chosen):
        raise NotMadeError("no class is in the training clips and in the validation clips that were heard")
    targets = val[1][:, chosen].int()
    scores = least_squares(train[0], train[1][:, chosen], val[0])
    found = _mean_average_precision(scores, targets)
    orders = (torch.randperm(len(targets), generator=generator) for _ in range(n_permutations))
    shuffled = torch.tensor([_mean_average_precision(scores, targets[order]) for order in orders])
    deviations = float((found - shuffled.mean()) / shuffled.std().clamp(min=1e-9))
    above = (found - float(shuffled.mean())) / (1 - float(shuffled.mean()))
    state = worst(
        graded(deviations, SOME_DEVIATIONS, BY_CHANCE), "doubtful" if above < LITTLE_ABOVE else "good"
    )
    return Finding(
        "control",
        state,
        f"A linear classifier of token histograms, trained on {len(train[0]):,} clips, has a validation mAP "
        f"of {found:.3f} over {len(chosen)} classes; with shuffled labels {float(shuffled.mean()):.3f} "
        f"({deviations:.0f} deviations apart); chance is {chance:.3f}.",
        "" if state == "good" else _ADVICE,
        {
            "val/mAP": found,
            "mAP_of_shuffled_labels": float(shuffled.mean()),
            "deviations": deviations,
            "chance/mAP": chance,
            "n_classes": len(chosen),
            "n_train_clips": len(train[0]),
            "n_val_clips": len(val[0]),
        },
    )


_ADVICE = (
    "No model will hear much in these tokens: look at labels, sound, normalization and vocabulary first."
)


def least_squares(histograms: Tensor, targets: Tensor, others: Tensor) -> Tensor:
    """Fit targets (N, C) to histograms (N, words), and return scores (others, C) for others (others, words).

    Solved for N weights a class, not for one of each word (kernel ridge regression; C. Saunders,
    A. Gammerman, V. Vovk, "Ridge Regression Learning Algorithm in Dual Variables", ICML 1998).
    """
    mean = histograms.mean(0)
    known, asked = (histograms - mean).double(), (others - mean).double()
    kernel = known @ known.T
    kernel.diagonal().add_(RIDGE * kernel.diagonal().mean().clamp(min=1e-9))
    weights = torch.linalg.solve(kernel, targets.double() - targets.double().mean(0))
    return asked @ (known.T @ weights)


def _mean_average_precision(scores: Tensor, targets: Tensor) -> float:
    metric = MeanAveragePrecision(targets.shape[1])
    metric.update(scores.sigmoid(), targets)
    return float(metric.compute())
