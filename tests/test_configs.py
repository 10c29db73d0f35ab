"""Every YAML option that is shipped is composed and built."""

from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from audiotok import experiment
from audiotok.logger.destination import Destination
from audiotok.train import config_folder

OPTIONS = sorted(
    f"{path.parent.name}={path.stem}"
    for path in config_folder().glob("*/*.yaml")
    if not path.stem.startswith("_")
)


def composed(*overrides: str):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("train", list(overrides))


def group_of(option: str) -> str:
    return option.partition("=")[0]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_fits_its_constructor(option):
    experiment.check(composed(option))


@pytest.mark.parametrize(
    "option",
    [o for o in OPTIONS if group_of(o) in {"features", "clustering", "optimizer", "schedule", "data"}],
)
def test_every_option_builds(option):
    assert experiment._instantiate(composed(option)[group_of(option)]) is not None


@pytest.mark.parametrize("option", [o for o in OPTIONS if group_of(o) in {"model", "experiment"}])
def test_every_model_builds_for_its_vocabulary(option):
    import torch

    config = composed(option)
    tokenizer = experiment.build_tokenizer(config)
    with torch.device("meta"):
        model = experiment._instantiate(
            config.model,
            n_codebooks=tokenizer.codebooks.n_codebooks,
            n_clusters=tokenizer.codebooks.n_clusters,
            n_tokens=tokenizer.n_tokens(config.data.clip_seconds),
            n_classes=527,
        )
    assert sum(p.numel() for p in model.parameters()) > 0


@pytest.mark.parametrize("option", [o for o in OPTIONS if group_of(o) in {"trainer", "callbacks", "logger"}])
def test_every_trainer_with_callbacks_and_logger_builds(option, tmp_path):
    if option in {"trainer=gpu"}:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
    config = composed(option)
    destination = Destination(tmp_path, "a name", None)
    logger = experiment._build_logger(config, destination)
    try:
        trainer = experiment._build_trainer(config, destination, logger)
        assert trainer.max_epochs == config.trainer.max_epochs
    finally:
        experiment.finish(logger, True)


def test_the_seed_experiment_is_the_original_set_up():
    config = composed("experiment=seed")
    assert config.data.validation.first_characters == "ABCDEF"
    assert config.features == {
        **config.features,
        "sample_rate": 22050,
        "n_fft": 1024,
        "hop_length": 512,
        "n_mels": 64,
        "normalization": "clip_minmax",
        "context": 1,
        "stride": 1,
        "n_components": None,
    }
    assert (config.clustering.n_clusters, config.clustering.n_iter) == (50, 20)
    assert config.clustering.sample_frames is None
    assert config.clustering._target_.endswith("KMeans")
    assert (config.model.num_layers, config.model.hidden_size, config.model.num_heads) == (12, 768, 12)
    assert config.model.pooling == "cls"
    assert (config.trainer.max_epochs, config.loader.batch_size, config.optimizer.lr) == (20, 16, 5e-5)
    assert config.schedule._target_.endswith("Constant")
    assert config.schedule.warmup == 0
    assert config.trainer.gradient_clip_val is None


def test_presets_repeat_nothing_of_what_they_change():
    for path in config_folder().glob("*/*.yaml"):
        preset = yaml.safe_load(path.read_text()) or {}
        bases = [base for base in preset.get("defaults", []) if isinstance(base, str) and base != "_self_"]
        for base in bases:
            inherited = yaml.safe_load((path.parent / f"{base}.yaml").read_text())
            repeated = [key for key, value in preset.items() if key in inherited and inherited[key] == value]
            assert not repeated, f"{path} repeats {repeated} of {base}"


def test_derived_values_are_no_keys():
    text = OmegaConf.to_yaml(composed())
    for key in ("vocab_size", "n_classes", "num_classes", "n_tokens", "n_frames"):
        assert f"{key}:" not in text


def test_the_map_of_groups_is_the_map_of_packages():
    package = Path(experiment.__file__).parent
    groups = {path.name for path in config_folder().iterdir() if path.is_dir()}
    for group in groups - {"experiment", "trainer"}:  # an experiment is a diff, the trainer is Lightning's
        assert (package / group).is_dir(), group
