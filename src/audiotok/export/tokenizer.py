"""A tokenizer as a Hugging Face folder: configuration, arrays, preprocessor, code and a page about it."""

from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from audiotok import __version__
from audiotok.disk.writing import replacing_folder, write_text
from audiotok.errors import UserError
from audiotok.export.bundle import TOKENIZER, bundle
from audiotok.export.modeling_audiotok_tokenizer import (
    AudiotokFeatureExtractor,
    AudiotokTokenizer,
    AudiotokTokenizerConfig,
)
from audiotok.tokens.tokenizer import Tokenizer

_AUTO = {
    "AutoConfig": f"{TOKENIZER}.{AudiotokTokenizerConfig.__name__}",
    "AutoFeatureExtractor": f"{TOKENIZER}.{AudiotokFeatureExtractor.__name__}",
    "AutoModelForAudioTokenization": f"{TOKENIZER}.{AudiotokTokenizer.__name__}",
}


def write_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Write the folder in one step.

    Args:
        tokenizer: On the CPU.
        directory: A folder that is new or empty.

    Raises:
        UserError: The source of a class cannot be read, or its arguments are unknown.
        OSError: The folder cannot be written.
    """
    model = build_model(tokenizer)
    files = bundle([part["_target_"] for part in (model.config.features, model.config.clustering)], TOKENIZER)
    preprocessor = AudiotokFeatureExtractor(
        tokenizer.features.sample_rate,
        model.config.clip_seconds,
        auto_map={"AutoFeatureExtractor": _AUTO["AutoFeatureExtractor"]},
    )
    with replacing_folder(directory) as temporary:
        save_file(model.state_dict(), temporary / "model.safetensors", metadata={"format": "pt"})
        model.config.save_pretrained(temporary)
        preprocessor.save_pretrained(temporary)
        for name, source in {**files, "README.md": _page(tokenizer, directory)}.items():
            write_text(temporary / name, source)


def build_model(tokenizer: Tokenizer) -> AudiotokTokenizer:
    """Return the model of transformers that computes what a tokenizer does."""
    features, clustering = tokenizer.features.node, tokenizer.codebooks.node
    if features is None or clustering is None:
        raise UserError("The tokenizer has arguments that a file cannot hold; give numbers, text or lists.")
    config = AudiotokTokenizerConfig(
        features,
        clustering,
        {name: list(array.shape) for name, array in tokenizer.codebooks.arrays().items()},
        tokenizer.clip_seconds or 0.0,
        architectures=[AudiotokTokenizer.__name__],
        auto_map=_AUTO,
    )
    model = AudiotokTokenizer(config)
    model.quantizer.load_arrays(tokenizer.arrays())
    return model


def _page(tokenizer: Tokenizer, directory: Path) -> str:
    codebooks, rate = tokenizer.codebooks, tokenizer.features.sample_rate
    seconds = tokenizer.clip_seconds or 0.0
    report: dict[str, Any] = tokenizer.report
    return f"""---
library_name: transformers
tags: [audio, audiotok, audio-tokenizer]
---
# {directory.name}

An audio tokenizer of [audiotok](https://github.com/audiotok/audiotok) {__version__}:
{codebooks.n_codebooks} codebooks of {codebooks.n_clusters} centroids,
{tokenizer.n_tokens(seconds) / seconds:.2f} positions a second. Its centroids were fitted to
{report.get("n_frames", 0):,} frames of {report.get("n_clips", 0):,} clips of at most {seconds:g} s.

```python
from transformers import AutoFeatureExtractor, AutoModelForAudioTokenization

tokenizer = AutoModelForAudioTokenization.from_pretrained("{directory.name}", trust_remote_code=True)
extractor = AutoFeatureExtractor.from_pretrained("{directory.name}", trust_remote_code=True)
inputs = extractor(samples, sampling_rate={rate}, return_tensors="pt")  # one channel at {rate} Hz
codes = tokenizer.encode(**inputs).audio_codes  # (batch, codebooks, time); -1 behind the end
```
"""
