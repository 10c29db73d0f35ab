"""A Hugging Face folder: configuration, weights, preprocessor, code and model card."""

from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from audiotok.disk.writing import replacing_folder, write_text
from audiotok.export.bundle import TAGGER, bundle
from audiotok.export.card import Facts, card
from audiotok.export.modeling_audiotok import (
    AudiotokConfig,
    AudiotokFeatureExtractor,
    AudiotokForAudioClassification,
)
from audiotok.prediction.tagger import TrainedRun

_AUTO = {
    "AutoConfig": f"{TAGGER}.{AudiotokConfig.__name__}",
    "AutoFeatureExtractor": f"{TAGGER}.{AudiotokFeatureExtractor.__name__}",
    "AutoModelForAudioClassification": f"{TAGGER}.{AudiotokForAudioClassification.__name__}",
}


def write_huggingface(run: TrainedRun, facts: Facts, directory: Path) -> None:
    """Write the folder in one step.

    Args:
        run: On the CPU.
        facts: What is known about it.
        directory: A folder that is new or empty.

    Raises:
        UserError: The source of a class cannot be read.
        OSError: The folder cannot be written.
    """
    model = build_model(run, facts)
    files = bundle(part["_target_"] for part in facts.parts.values())
    preprocessor = AudiotokFeatureExtractor(
        run.sample_rate, run.clip_seconds, auto_map={"AutoFeatureExtractor": _AUTO["AutoFeatureExtractor"]}
    )
    with replacing_folder(directory) as temporary:
        save_file(model.state_dict(), temporary / "model.safetensors", metadata={"format": "pt"})
        model.config.save_pretrained(temporary)
        preprocessor.save_pretrained(temporary)
        for name, source in {**files, "README.md": card(facts, "hf", directory)}.items():
            write_text(temporary / name, source)


def build_model(run: TrainedRun, facts: Facts) -> AudiotokForAudioClassification:
    """Return the model of transformers that computes what a run does."""
    names = [sound_class.name for sound_class in run.classes]
    if len(set(names)) < len(names):  # `label2id` would lose some
        names = [f"{sound_class.name} ({sound_class.id})" for sound_class in run.classes]
    labelling = "single" if run.calibration.activation == "softmax" else "multi"
    config = AudiotokConfig(
        **{f"{group}": plain for group, plain in facts.parts.items()},
        codebooks={name: list(array.shape) for name, array in run.tokenizer.codebooks.arrays().items()},
        clip_seconds=run.clip_seconds,
        class_ids=[sound_class.id for sound_class in run.classes],
        thresholds=run.thresholds,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        problem_type=f"{labelling}_label_classification",
        architectures=[AudiotokForAudioClassification.__name__],
        auto_map=_AUTO,
    )
    model = AudiotokForAudioClassification(config)
    model.quantizer.load_arrays(run.tokenizer.arrays())
    weights: dict[str, Any] = {**model.tagger.state_dict(), **run.model.state_dict()}
    model.tagger.load_state_dict(weights)
    model.scale.copy_(model.scale.new_tensor(run.calibration.scale))
    model.offset.copy_(model.offset.new_tensor(run.calibration.offset))
    return model
