"""A linear classifier on token histograms: if it learns nothing, the model is not to blame.

Regularised least squares on the square roots of token histograms, solved in closed form: it has no learning
rate, no epochs and nothing else to configure.
"""

import torch
from torch import Tensor

from audiotok.clustering.codebooks import Codebooks
from audiotok.doctor.finding import Finding, NotMadeError, graded, worst
from audiotok.doctor.subject import Excerpt
from audiotok.model.bag import Bag
from audiotok.model.model import Sizes
from audiotok.training.ranking import MeanAveragePrecision

RIDGE = 0.1  # share of the mean of the kernel's diagonal: histograms have more tokens than there are clips
# Standard deviations of the mAP with shuffled labels, as for information.
SOME_DEVIATIONS, BY_CHANCE = 6.0, 3.0
LITTLE_ABOVE = 0.05  # share of the way from the mAP with shuffled labels to 1


def histograms(excerpt: Excerpt, codebooks: Codebooks) -> Tensor:
    """Return the square roots of token frequencies of every clip, (N, Q * K), as `model=bag` reads them."""
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
    """Train on the histograms of training clips, and compare the mAP on validation clips with chance.

    Args:
        train: Histograms (N, words) and targets (N, C).
        val: The same.
        chance: mAP of random scores on the whole validation split.
        n_permutations: Number of permutations of the labels.
        generator: Source of the permutations.

    Raises:
        NotMadeError: No class is in both.
    """
    chosen = (train[1].any(0) & val[1].any(0)).nonzero()[:, 0]
    if not len(chosen):
        raise NotMadeError("no class occurs in both the training and the validation clips that were read")
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
        f"A linear classifier on token histograms of {len(train[0]):,} training clips reaches a validation "
        f"mAP of {found:.3f} over {len(chosen)} classes, and {float(shuffled.mean()):.3f} with shuffled "
        f"labels ({deviations:.0f} standard deviations less); chance is {chance:.3f}.",
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
    "No model will learn much from these tokens: check labels, sound, normalization and vocabulary first."
)


def least_squares(histograms: Tensor, targets: Tensor, others: Tensor) -> Tensor:
    """Fit targets (N, C) to histograms (N, words), and return scores (others, C) for others (others, words).

    Solved for N weights per class instead of one for each token (kernel ridge regression; C. Saunders,
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
