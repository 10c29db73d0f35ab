"""How the centroids are used, and how much tokens tell about labels."""

import torch
from torch import Tensor

from audiotok.data.clip import SoundClass
from audiotok.doctor.finding import Finding, NotMadeError, State, graded, worst
from audiotok.doctor.subject import Excerpt
from audiotok.tokens.measures import perplexities, token_counts, variance_kept
from audiotok.tokens.vocabulary import Vocabulary

# Perplexity of a codebook. If nearly all frames have one centroid, a token tells less than half a bit:
# 2 ** 0.43 = 1.35.
NARROW, DEAD = 2.0, 1.35
# Mean perplexity / K, K being at most the number of frames: soundscapes and the embedded dataset reach 0.22.
UNEVEN, LOST = 0.1, 0.02
UNUSED = 0.25  # share of centroids that no frame of the excerpt has; 0 in soundscapes
LITTLE_KEPT = 0.1  # share of the variance; random projections keep none, and their tokens still work
LEAST_POSITIVES = 5  # clips of a class in the excerpt: fewer cannot be told from chance
# Standard deviations of the information with shuffled labels: chance exceeds 3 once in 700 times; soundscapes
# reach 128.
SOME_DEVIATIONS, BY_CHANCE = 6.0, 3.0
MOST_CLASSES = 0.5  # share of the classes with more information than any permutation of their labels
_SHOWN = 10  # best and worst classes


def vocabulary_use(excerpt: Excerpt, vocabulary: Vocabulary) -> Finding:
    """Measure how training clips use the centroids, and how much variance their tokens keep."""
    codebooks = vocabulary.tokenizer.codebooks
    frames, tokens = excerpt.frames[excerpt.positions], excerpt.tokens[excerpt.positions]  # (N, D), (N, Q)
    counts = token_counts(tokens, codebooks.n_clusters)
    use, most = perplexities(counts), min(codebooks.n_clusters, len(tokens))
    unused = float((counts == 0).double().mean())
    kept, dead = variance_kept(frames, tokens, codebooks), (use < DEAD).nonzero()[:, 0].tolist()
    states: list[State] = [
        graded(float(use.min()), NARROW, DEAD) if most > 2 else "good",
        graded(float(use.mean()) / most, UNEVEN, LOST),
        "doubtful" if unused > UNUSED else "good",
        "doubtful" if kept < LITTLE_KEPT else "good",
    ]
    state = worst(*states)
    return Finding(
        "vocabulary",
        state,
        f"{100 * (1 - unused):.0f} % of {codebooks.n_codebooks} x {codebooks.n_clusters} centroids occur; "
        f"their perplexity is {float(use.mean()):.0f} (mean) and {float(use.min()):.1f} (lowest); "
        f"{100 * kept:.0f} % of the variance is kept; fitting took {vocabulary.report['seconds']:.0f} s."
        + (f" Codebooks {dead} are nearly constant." if dead else ""),
        "" if state == "good" else _OF_USE,
        {
            "unused_share": unused,
            "perplexity": float(use.mean()),
            "perplexity_per_codebook": use.tolist(),
            "dead_codebooks": dead,
            "variance_kept": kept,
            "seconds_of_fitting": vocabulary.report["seconds"],
        },
    )


_OF_USE = (
    "Read the finding on normalisation first; then lower clustering.n_clusters, n_codebooks or "
    "features.n_components, or raise sample.n_frames."
)


def information(
    excerpt: Excerpt,
    histograms: Tensor,
    classes: tuple[SoundClass, ...],
    n_permutations: int,
    generator: torch.Generator,
) -> Finding:
    """Compare how much the best token of each class tells about its label and about shuffled labels.

    Args:
        excerpt: Clips with labels.
        histograms: Frequency of each token in each clip, (N, words).
        classes: The classes of the labels.
        n_permutations: Number of permutations of the labels.
        generator: Source of the permutations.

    Raises:
        NotMadeError: No class has enough clips.
    """
    heard = excerpt.targets.sum(0)
    scored = ((heard >= LEAST_POSITIVES) & (heard <= len(excerpt) - LEAST_POSITIVES)).nonzero()[:, 0]
    if not len(scored):
        raise NotMadeError(
            f"no class occurs in {LEAST_POSITIVES} of the {len(excerpt)} training clips that were read"
        )
    often, labels = histograms > histograms.median(0).values, excerpt.targets[:, scored] > 0.5
    best = mutual_information(often, labels).amax(0)
    orders = (torch.randperm(len(labels), generator=generator) for _ in range(n_permutations))
    by_chance = torch.stack([mutual_information(often, labels[order]).amax(0) for order in orders])
    means = by_chance.mean(1)  # (permutations,)
    deviations = float((best.mean() - means.mean()) / means.std().clamp(min=1e-9))
    above = best > by_chance.amax(0)
    share_above = float(above.double().mean())
    state = worst(
        graded(deviations, SOME_DEVIATIONS, BY_CHANCE), "doubtful" if share_above < MOST_CLASSES else "good"
    )
    names = [classes[i].name for i in scored.tolist()]
    ranked = [
        {"class": names[i], "bits": float(best[i]), "bits_by_chance": float(by_chance[:, i].mean())}
        for i in best.argsort(descending=True).tolist()
    ]
    return Finding(
        "information",
        state,
        f"The best token of a class tells {float(best.mean()):.3f} bits about its label, and "
        f"{float(means.mean()):.3f} about shuffled labels ({deviations:.0f} standard deviations less); "
        f"{int(above.sum())} of {len(names)} classes exceed all {n_permutations} permutations.",
        "" if state == "good" else _OF_INFORMATION[state],
        {
            "bits": float(best.mean()),
            "bits_by_chance": float(means.mean()),
            "deviations": deviations,
            "n_classes": len(names),
            "n_above_chance": int(above.sum()),
            "best": ranked[:_SHOWN],
            "worst": ranked[_SHOWN:][-_SHOWN:],
        },
    )


_OF_INFORMATION = {
    "doubtful": "Raise doctor.n_clips to be sure; then try richer tokens (features, clustering).",
    "bad": "Check that labels belong to their clips (ids, rows of the CSV), then features and clustering.",
}


def mutual_information(words: Tensor, labels: Tensor) -> Tensor:
    """Return the mutual information of each token and each label, bits.

    Source: T. Cover, J. Thomas, "Elements of Information Theory", 2006, (2.28).

    Args:
        words: bool (N, words)
        labels: bool (N, C)

    Returns:
        float64 (words, C)
    """
    n = len(words)
    both = (words.float().T @ labels.float()).double() / n
    of_words, of_labels = words.double().mean(0)[:, None], labels.double().mean(0)
    cells = (  # joint probability, and that of independence
        (both, of_words * of_labels),
        (of_words - both, of_words * (1 - of_labels)),
        (of_labels - both, (1 - of_words) * of_labels),
        (1 - of_words - of_labels + both, (1 - of_words) * (1 - of_labels)),
    )
    bits = torch.zeros_like(both)
    for joint, apart in cells:
        joint = joint.clamp(min=0)  # rounding
        bits += torch.where(joint > 1e-12, joint * (joint / apart.clamp(min=1e-300)).log2(), 0.0)
    return bits.clamp(min=0)
