"""A few test clips for people to judge: sound, picture, tokens, labels and predictions.

A run keeps them in its folder `examples`, whatever its logger: of clip number 1, `1.flac` (its sound),
`1_decoded.flac` (what its tokens say, where features can be turned back), `1.png` (its analysis above its
tokens) and `1.json` (id, labels, predictions and tokens).
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile
import torch
from PIL import Image

from audiotok.data.corpus.corpus import Corpus
from audiotok.disk.writing import replacing_folder
from audiotok.errors import UserError
from audiotok.loader.waveforms import WaveformReader
from audiotok.run.folder import RunFolder
from audiotok.run.picture import clip_picture
from audiotok.tokens.spectra import decoded_sound
from audiotok.tokens.tokenizer import Tokenizer
from audiotok.training.predictions import Predictions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """One test clip.

    Args:
        id: Id of the clip.
        waveform: Its samples (S,), float32.
        decoded: The sound that its tokens stand for (S,); None where features cannot be turned back.
        rate: Samples a second, Hz.
        picture: The analysis of its waveform, mel frames in dB for example, above its tokens.
        tokens: Its tokens (T, Q), int64.
        token_seconds: From one token to the next, s.
        labels: Names of its classes.
        predicted: The most probable classes with their probabilities, most probable first.
    """

    id: str
    waveform: np.ndarray
    decoded: np.ndarray | None
    rate: int
    picture: Image.Image
    tokens: np.ndarray
    token_seconds: float
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
    features, centroids = tokenizer.features, tokenizer.codebooks.centroids.numpy()
    reader = WaveformReader(corpus.clips["test"], corpus.clip_seconds, features)
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
        analysis, n_slices = features.analyze(waveform[None], torch.tensor([n_samples]))
        tokens, n_tokens = tokenizer.read(analysis, n_slices, "tokens")
        best = predictions.probabilities[row].topk(min(n_predicted, len(names)))
        labels = [name for name, present in zip(names, predictions.targets[row], strict=True) if present]
        made = tokens[0, : n_tokens[0]].numpy()
        picture = clip_picture(
            analysis[0, : n_slices[0]].numpy(),
            made,
            centroids,
            n_samples / features.sample_rate,
            features.bin_hertz,
            f"{clip.id}: {', '.join(labels)}",
        )
        examples.append(
            Example(
                clip.id,
                waveform.numpy()[:n_samples],
                decoded_sound(tokenizer, made, waveform.numpy()[:n_samples]),
                features.sample_rate,
                picture,
                made,
                features.frame_seconds,
                labels,
                [(names[i], p) for i, p in zip(best.indices, best.values.tolist(), strict=True)],
            )
        )
    return examples


def write_examples(folder: RunFolder, examples: Sequence[Example]) -> None:
    """Replace the examples in a run's folder in one step.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
    """
    with replacing_folder(folder.examples) as temporary:
        for number, example in enumerate(examples, 1):
            soundfile.write(temporary / f"{number}.flac", example.waveform.clip(-1, 1), example.rate)
            if example.decoded is not None:
                soundfile.write(temporary / f"{number}_decoded.flac", example.decoded, example.rate)
            example.picture.save(temporary / f"{number}.png")
            about = {
                "id": example.id,
                "labels": example.labels,
                "predicted": {name: round(probability, 4) for name, probability in example.predicted},
                "token_seconds": round(example.token_seconds, 6),
                "tokens": example.tokens.tolist(),  # (T, Q)
            }
            (temporary / f"{number}.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
