"""Every YAML option that is shipped is composed and built."""

from dataclasses import MISSING, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.plugins.launcher import Launcher
from hydra.utils import get_object
from omegaconf import OmegaConf
from pretrained_models import write_encoder
from pytorch_lightning.strategies import DDPStrategy

from audiotok import experiment
from audiotok.errors import UserError
from audiotok.experiment.configuration import build_node
from audiotok.experiment.construction import build_tokenizer
from audiotok.experiment.session import build_logger
from audiotok.experiment.trainer import build_callbacks, build_trainer
from audiotok.logger.logger import RunLogger
from audiotok.model.model import Model
from audiotok.nodes.signature import arguments
from audiotok.programs import config_folder
from audiotok.programs.arguments import PLUGINS
from audiotok.run.destination import Destination
from audiotok.run.folder import RunFolder

OPTIONS = sorted(
    f"{path.parent.name}={path.stem}"
    for path in config_folder().glob("*/*.yaml")
    if not path.stem.startswith("_")
)


@cache  # composing takes longer than most of what is tested of it
def composed(*overrides: str, program: str = "train"):
    """Return a configuration that several tests read. Do not change it."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose(program, list(overrides))


@pytest.fixture(scope="module")
def needs(tmp_path_factory) -> dict[str, tuple[str, ...]]:
    """What else a command line must say with some options: the folders of tiny models."""
    encoder = write_encoder("hubert", tmp_path_factory.mktemp("models") / "encoder")
    return {"features=encoder": (f"features.name={encoder}", "clustering.n_codebooks=8")}


def group_of(option: str) -> str:
    return option.partition("=")[0]


def program_of(option: str) -> str:
    return {"objective": "pretrain", "engine": "prepare"}.get(group_of(option), "train")


def options_of(*groups: str):
    return pytest.mark.parametrize("option", [option for option in OPTIONS if group_of(option) in groups])


def side_by_side(*groups: str):
    """Choose an option of every group at a time, as often as the largest group has options."""
    options = [[option for option in OPTIONS if group_of(option) == group] for group in groups]
    lines = [tuple(of[i % len(of)] for of in options) for i in range(max(map(len, options)))]
    return pytest.mark.parametrize("options", lines, ids=range(len(lines)))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_fits_its_constructor(option):
    program = program_of(option)
    assert experiment.check(composed(option, program=program), program) is None


@side_by_side("augment", "callbacks", "clustering", "data", "features", "model", "trainer")
def test_every_option_composes_for_pretraining_too(options):
    assert experiment.check(composed(*options, program="pretrain"), "pretrain") is None


@side_by_side(*sorted({group_of(option) for option in OPTIONS} - {"engine", "objective", "experiment"}))
def test_every_option_of_training_composes_for_the_doctor_too(options):
    assert experiment.check(composed(*options, program="doctor"), "doctor") is None


@options_of("experiment")
def test_every_experiment_composes_for_the_doctor_too(option):
    assert experiment.check(composed(option, program="doctor"), "doctor") is None


@options_of("engine")
def test_every_engine_is_built(option):
    pytest.importorskip("ray", reason="ray is not installed: pip install 'audiotok[ray]'")
    engine = build_node(composed(option, "engine.n_workers=3", program="prepare").engine)
    assert (engine.n_workers, engine.retries) == (3, 2)


@options_of("data")
def test_every_data_option_composes_for_preparing_too(option):
    config = composed(option, "check=header", program="prepare")
    assert experiment.check(config, "prepare") is None
    assert config.data.check == "header"


@options_of(
    "features", "clustering", "augment", "loss", "metrics", "objective", "optimizer", "schedule", "data"
)
def test_every_option_builds(option, needs):
    derived = {"n_classes": 3, "prefix": "val/"} if group_of(option) == "metrics" else {}
    node = composed(option, *needs.get(option, ()), program=program_of(option))[group_of(option)]
    assert build_node(node, **derived) is not None


@options_of("features", "clustering", "experiment")
def test_every_option_gives_a_tokenizer(option, needs):
    fitting = ["clustering.n_codebooks=8"] if option == "features=logmel" else []  # 24 do not divide 64
    tokenizer = experiment.build_tokenizer(composed(option, *fitting, *needs.get(option, ())))
    assert tokenizer.features.n_dimensions % tokenizer.codebooks.n_codebooks == 0


def test_one_scale_of_time_with_the_codebooks_of_two_is_refused_in_a_sentence():
    with pytest.raises(UserError, match=r"clustering\.n_codebooks=24 .* 64 dimensions"):
        experiment.build_tokenizer(composed("features=logmel"))


@options_of("model", "experiment")
def test_every_model_builds_for_its_vocabulary(option):
    config = composed(option)
    tokenizer = experiment.build_tokenizer(config)
    features, codebooks = tokenizer.features, tokenizer.codebooks
    model = experiment.build_model(config, tokenizer, config.data.clip_seconds, n_classes=527)
    assert isinstance(model, Model)
    inputs = {
        "analysis": torch.zeros(2, 20, features.n_bins),
        "frames": torch.zeros(2, 20, features.n_dimensions),
        "tokens": torch.full((2, 20, codebooks.n_codebooks), codebooks.n_clusters - 1),
    }[model.reads]
    with torch.no_grad():
        logits = model.eval()(inputs, torch.tensor([20, 9]))
    assert logits.shape == (2, 527)
    assert logits.isfinite().all()


@options_of("trainer", "callbacks", "logger")
def test_every_trainer_with_callbacks_and_logger_builds(option, tmp_path):
    if option in {"trainer=gpu", "trainer=ddp"} and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    config = composed(option)
    destination = Destination(RunFolder(tmp_path), "a name", None)
    logger = build_logger(config, destination)
    try:
        callbacks = build_callbacks(config, destination, logger, build_tokenizer(config))
        trainer = build_trainer(config, destination, logger, callbacks.values())
        assert trainer.max_epochs == config.trainer.max_epochs
    finally:
        logger.finish(True)


def test_several_devices_are_processes_whose_gradients_are_averaged(tmp_path):
    config = composed("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")
    destination = Destination(RunFolder(tmp_path), "a name", None)
    trainer = build_trainer(config, destination, RunLogger(), ())
    assert isinstance(trainer.strategy, DDPStrategy)
    assert trainer.world_size == 2


def test_the_seed_experiment_is_the_original_set_up():
    config = composed("experiment=seed")
    assert config.data.validation.first_characters == "ABCDEF"
    assert config.features == {
        **config.features,
        "sample_rate": 22050,
        "n_fft": 1024,
        "hop_length": 512,
        "n_mels": 64,
        "floor_db": -100.0,
        "range_db": None,
        "normalization": "clip_minmax",
        "deltas": 0,
        "context": 1,
        "stride": 1,
        "n_components": None,
        "whiten": False,
    }
    assert (config.clustering.n_clusters, config.clustering.n_iter) == (50, 20)
    assert config.sample.n_frames is None
    assert config.clustering._target_.endswith("KMeans")
    assert (config.model.num_layers, config.model.hidden_size, config.model.num_heads) == (12, 768, 12)
    assert (config.model.pooling, config.model.embedding) == ("cls", "random")
    assert (config.model.stochastic_depth, config.model.init_from) == (0, None)
    assert config.augment == composed("augment=none").augment
    assert (config.loader.sampling, config.loader.random_crop) == ("uniform", False)
    assert config.loss == {"_target_": "audiotok.training.loss.BCE", "label_smoothing": 0.0}
    assert "averaging" not in config.callbacks
    assert (config.trainer.max_epochs, config.loader.batch_size, config.optimizer.lr) == (20, 16, 5e-5)
    assert config.schedule._target_.endswith("Constant")
    assert config.schedule.warmup == 0
    assert config.trainer.gradient_clip_val is None


def test_no_augmentation_is_none():
    """Every number of the recipe that is off is 0, but for those that say how something is done."""
    recipe = build_node(composed("augment=none").augment)
    tokens = torch.randint(8, (4, 10, 2))
    mel, n_mel, targets = torch.rand(4, 30, 16) - 50, torch.tensor([30, 30, 20, 9]), torch.eye(4)
    generator = torch.Generator().manual_seed(0)
    for found, given in zip(
        recipe.sound(mel, n_mel, targets, -100.0, generator), (mel, n_mel, targets), strict=True
    ):
        assert torch.equal(found, given)
    assert torch.equal(recipe.words(tokens, None, generator), tokens)
    assert torch.equal(recipe.mixup(mel, n_mel, targets)[0], mel)


def leaves(node: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return the values of nested dictionaries by their paths."""
    if not isinstance(node, dict):
        return {path: node}
    return {name: value for key in node for name, value in leaves(node[key], (*path, key)).items()}


def without_defaults(path: Path) -> tuple[list[str], dict[str, Any]]:
    """Return the options of its own group that a preset begins with, and what it says itself."""
    preset = yaml.safe_load(path.read_text()) or {}
    bases = [base for base in preset.pop("defaults", []) if isinstance(base, str) and base != "_self_"]
    return bases, preset


def inherited(path: Path) -> dict[tuple[str, ...], Any]:
    """Return all that a preset says, with what its bases say."""
    bases, preset = without_defaults(path)
    found: dict[tuple[str, ...], Any] = {}
    for base in bases:
        found |= inherited(path.parent / f"{base}.yaml")
    return found | leaves(preset)


def test_presets_repeat_nothing_of_what_they_change():
    for path in config_folder().glob("*/*.yaml"):
        bases, preset = without_defaults(path)
        before: dict[tuple[str, ...], Any] = {}
        for base in bases:
            before |= inherited(path.parent / f"{base}.yaml")
        repeated = [".".join(key) for key, value in leaves(preset).items() if before.get(key, ...) == value]
        assert not repeated, f"{path} repeats {repeated} of {bases}"


@options_of("experiment")
def test_experiments_repeat_nothing_of_what_they_change(option):
    path = config_folder() / "experiment" / f"{option.partition('=')[2]}.yaml"
    preset = yaml.safe_load(path.read_text())
    overrides = [
        f"{key.removeprefix('override /')}={value}"
        for entry in preset.pop("defaults")
        for key, value in entry.items()
    ]
    base = leaves(OmegaConf.to_container(composed(*overrides)))
    repeated = [".".join(key) for key, value in leaves(preset).items() if base.get(key, ...) == value]
    assert not repeated
    plain = leaves(OmegaConf.to_container(composed()))
    assert not [o for o in overrides if leaves(OmegaConf.to_container(composed(o))) == plain], (
        "a default is chosen"
    )


def test_training_and_pretraining_begin_with_the_same_vocabulary():
    train, pretrain = composed(), composed(program="pretrain")
    for group in ("data", "features", "clustering", "model"):
        assert train[group] == pretrain[group], group
    assert train.seed == pretrain.seed


@pytest.mark.parametrize("program", ["train", "pretrain"])
def test_derived_values_are_no_keys(program):
    text = OmegaConf.to_yaml(composed(program=program))
    for key in ("vocab_size", "n_classes", "num_classes", "n_tokens", "n_dimensions", "sizes"):
        assert f"{key}:" not in text


def test_the_map_of_groups_is_the_map_of_packages():
    package = Path(experiment.__file__).parents[1]
    groups = {path.name for path in config_folder().iterdir() if path.is_dir()}
    for group in groups - {"experiment", "hparams_search", "hydra", "trainer"}:  # diffs, and others' classes
        assert (package / group).is_dir() or (package / "training" / f"{group}.py").is_file(), group


LAUNCHERS = sorted(path.stem for path in (config_folder() / "hydra" / "launcher").glob("*.yaml"))


@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_launcher_is_composed_and_built(name):
    package, _ = PLUGINS[f"hydra/launcher={name}"]
    pytest.importorskip(f"hydra_plugins.{package}", reason=f"{package} is not installed")
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [f"hydra/launcher={name}"], return_hydra_config=True)
    assert isinstance(build_node(config.hydra.launcher), Launcher)


@options_of("hparams_search")
def test_every_search_draws_keys_that_exist(option):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [option], return_hydra_config=True)
    params = config.hydra.sweeper.params
    assert len(params) > 2
    for key in params:
        assert OmegaConf.select(config, key, throw_on_missing=True) is not None, key


# Options that a class has its defaults from, where that is not the option of its module's name.
REFERENCES = {
    "audiotok.augment.mixup.Mixup": "augment=none",
    "audiotok.augment.recipe.Recipe": "augment=none",
    "audiotok.augment.sound.Sound": "augment=none",
    "audiotok.augment.words.Words": "augment=none",
    "audiotok.callbacks.averaging.Averaging": "callbacks=averaging",
    "audiotok.callbacks.checkpoint.BestCheckpoint": "callbacks=default",
    "audiotok.callbacks.epoch_line.EpochLine": "callbacks=default",
    "audiotok.callbacks.throughput.Throughput": "callbacks=default",
    "audiotok.data.limits.Limits": "data=csv",
    "audiotok.data.validation.Validation": "data=csv",
    "audiotok.loader.datamodule.ClipDataModule": "loader=default",
    "audiotok.training.loss.Auto": "loss=auto",
    "audiotok.training.loss.BCE": "loss=bce",
    "audiotok.training.loss.CrossEntropy": "loss=cross_entropy",
    "audiotok.training.metrics.TaggingMetrics": "metrics=multilabel",
    "audiotok.training.objective.MaskedTokens": "objective=masked_tokens",
    "audiotok.training.optimizer.AdamW": "optimizer=adamw",
    "audiotok.training.schedule.Constant": "schedule=constant",
    "audiotok.training.schedule.Cosine": "schedule=cosine",
}
OTHERS = {"experiment", "hparams_search", "trainer"}  # diffs, and a class of Lightning's
NOT_OF_THE_CLASS = {
    ("audiotok.data.synthetic.Synthetic", "cache_dir"),  # that of AUDIOTOK_CACHE
    *(  # the experiment loads weights
        (f"audiotok.model.{name.lower()}.{name}", key)
        for name in ("Bag", "Bert", "CNN", "Frames", "LSTM")
        for key in ("init_from", "freeze")
    ),
    ("audiotok.callbacks.vocabulary_use.VocabularyUse", "n_clusters"),  # follows from the clustering
}


def nodes_of(node: Any) -> list[dict[str, Any]]:
    """Return the nodes in a configuration that name a class of audiotok."""
    if not isinstance(node, dict):
        return []
    inner = [found for value in node.values() for found in nodes_of(value)]
    return [node, *inner] if str(node.get("_target_")).startswith("audiotok.") else inner


def default_of(target: str, key: str) -> Any:
    """Return the default of a constructor's argument as YAML has it."""
    kind = get_object(target)
    default = arguments(kind)[0][key].default
    if is_dataclass(kind) and (field := kind.__dataclass_fields__[key]).default_factory is not MISSING:
        default = field.default_factory()
    return list(default) if isinstance(default, tuple) else default


@options_of(
    *{group_of(option) for option in OPTIONS} - {"augment", "experiment", "hparams_search", "trainer"}
)
def test_constructors_have_the_defaults_of_their_yaml(option):
    group, _, name = option.partition("=")
    config = OmegaConf.to_container(composed(option, program=program_of(option)), resolve=True)
    for node in nodes_of(config.get(group)):
        target = node["_target_"]
        if target.split(".")[-2] != name and REFERENCES.get(target) != option:
            continue
        for key, value in node.items():
            is_own = not key.startswith("_") and (target, key) not in NOT_OF_THE_CLASS
            if is_own and not isinstance(value, dict):
                assert default_of(target, key) == value, f"{target}: {key}"


def test_the_sample_and_the_doctor_have_the_defaults_of_their_yaml():
    nodes = [composed().sample, composed(program="doctor").doctor]
    for node in nodes:
        for key, value in OmegaConf.to_container(node, resolve=True).items():
            assert key == "_target_" or default_of(node._target_, key) == value, key


def test_every_class_of_a_shipped_option_is_compared_with_one():
    compared = set(REFERENCES)
    named = set()
    for option in OPTIONS:
        group, _, name = option.partition("=")
        if group not in OTHERS:
            config = OmegaConf.to_container(composed(option, program=program_of(option)), resolve=True)
            targets = {node["_target_"] for node in nodes_of(config.get(group))}
            named |= targets
            compared |= {target for target in targets if target.split(".")[-2] == name}
    assert named - {target for target, _ in NOT_OF_THE_CLASS} <= compared
