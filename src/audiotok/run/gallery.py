"""A few test clips for people to judge: sound, analysis, tokens, labels and predictions."""

import logging
from dataclasses import dataclass

import numpy as np
import torch

from audiotok.data.corpus.corpus import Corpus
from audiotok.errors import UserError
from audiotok.loader.waveforms import WaveformReader
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.training.predictions import Predictions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """One test clip.

    Args:
        id: Id of the clip.
        waveform: Its samples (S,), float32.
        rate: Samples a second, Hz.
        analysis: The analysis of its waveform (slices, bins), mel frames in dB for example.
        tokens: Its tokens (T, Q), int64.
        labels: Names of its classes.
        predicted: The most probable classes with their probabilities, most probable first.
    """

    id: str
    waveform: np.ndarray
    rate: int
    analysis: np.ndarray
    tokens: np.ndarray
    labels: list[str]
    predicted: list[tuple[str, float]]


@torch.no_grad()
def choose_examples(
    corpus: Corpus, tokenizer: Tokenizer, predictions: Predictions, n_examples: int, n_predicted: int = 5
) -> list[Example]:
    """Choose clips evenly from the test split; clips that can no longer be read are left out.

    Args:
        corpus: The corpus that was tested on.
        tokenizer: The tokenizer of the run.
        predictions: The predictions for its test clips.
        n_examples: How many clips.
        n_predicted: How many predicted classes of each.
    """
    tokenizer = tokenizer.cpu()
    reader = WaveformReader(corpus.clips["test"], corpus.clip_seconds, tokenizer.features)
    rows = np.unique(np.linspace(0, len(predictions.clips) - 1, n_examples).round().astype(int)).tolist()
    names = [sound_class.name for sound_class in corpus.classes]
    examples = []
    for row in rows if n_examples else ():
        clip = corpus.clips["test"][int(predictions.clips[row])]
        try:
            waveform, n_samples = reader.waveform(clip)
        except UserError as error:
            log.warning("%s is not shown: %s", clip.id, error)
            continue
        analysis, n_slices = tokenizer.features.analyze(waveform[None], torch.tensor([n_samples]))
        tokens, n_tokens = tokenizer.read(analysis, n_slices, "tokens")
        best = predictions.probabilities[row].topk(min(n_predicted, len(names)))
        examples.append(
            Example(
                clip.id,
                waveform.numpy()[:n_samples],
                tokenizer.features.sample_rate,
                analysis[0, : n_slices[0]].numpy(),
                tokens[0, : n_tokens[0]].numpy(),
                [name for name, present in zip(names, predictions.targets[row], strict=True) if present],
                [(names[i], p) for i, p in zip(best.indices, best.values.tolist(), strict=True)],
            )
        )
    return examples
