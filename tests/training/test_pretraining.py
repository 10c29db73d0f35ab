"""`audiotok pretrain`: what it learns, what it leaves, who may go on from it, and what it refuses."""

import csv
import json
import math
import os
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from runs import SYNTHETIC, TINY, command, pretrain, run
from test_cli import HEAVY, modules_after
from torch import Tensor
from typer.testing import CliRunner

from audiotok.cli import app
from audiotok.experiment import restore
from audiotok.model.bert import Bert
from audiotok.model.model import Sizes
from audiotok.training.objective import MaskedTokens
from audiotok.training.optimizer import AdamW
from audiotok.training.pretrainer import Pretrainer
from audiotok.training.schedule import Constant

N_CLUSTERS = 8
TINY_OF_ANY_MODEL = tuple(override for override in TINY if not override.startswith("model."))
LEARNING = ("optimizer.lr=0.01", "model.dropout=0.0")


def checkpoint(folder: Path, name: str = "best") -> dict:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def learnt(folder: Path, name: str = "last") -> dict[str, Tensor]:
    """Return all weights that pretraining trains: the classifier waits for labels."""
    states = checkpoint(folder, name)["state_dict"]
    return {key: value for key, value in states.items() if not key.startswith("model.classifier.")}


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def refused(tmp_path, capsys):
    """Run a verb with overrides, expect exit status 1, and return the one sentence."""

    def sentence(verb: str, *overrides: str, tiny: tuple[str, ...] = TINY) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            command(f"hydra.run.dir={tmp_path}/run", *tiny, *SYNTHETIC, "logger=none", *overrides, verb=verb)
        assert exit_.value.code == 1
        message = (tmp_path / "run" / "error.txt").read_text().strip()
        captured = capsys.readouterr()
        assert captured.out.strip().splitlines()[-1].endswith(message)
        assert "Traceback" not in captured.out + captured.err
        assert "\n" not in message
        assert "; " in message
        assert message.endswith(".")
        return message

    return sentence


# ---- a run ----


def test_a_run_leaves_its_scores_config_checkpoints_and_vocabulary(pretrained):
    folder, metrics = pretrained
    assert metrics.keys() >= {"val/loss", "val/accuracy", "n_parameters", "centroid_key", "seconds/train"}
    assert not any(key.startswith("test/") for key in metrics)
    assert 0 <= metrics["val/accuracy"] <= 1
    assert OmegaConf.load(folder / "config.yaml").objective.share == 0.4
    assert checkpoint(folder)["vocabulary_key"] == metrics["centroid_key"]
    assert "classes" not in checkpoint(folder)
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    assert (folder / "vocabulary" / "centroids.npy").is_file()


def test_the_tokens_of_steady_tones_are_soon_guessed_from_their_neighbours(tmp_path, tiny_audioset):
    tones = ("data=audioset", f"data.root={tiny_audioset}", "data.clip_seconds=1.0")
    by_position = ("clustering=kmeans", "features.n_components=4", "data.validation.fraction=0.3")
    metrics = pretrain(tmp_path, *by_position, *LEARNING, "trainer.max_epochs=25", data=tones)
    assert metrics["val/loss"] < 0.5 * math.log(N_CLUSTERS)
    assert metrics["val/accuracy"] > 0.6


def test_the_loss_of_training_falls_and_the_best_epoch_is_that_of_the_lowest_loss(tmp_path):
    metrics = pretrain(tmp_path, *LEARNING, "trainer.max_epochs=4", "logger=csv")
    rows = list(csv.DictReader(next((tmp_path / "csv").rglob("metrics.csv")).open()))
    trained = [float(row["train/loss"]) for row in rows if row.get("train/loss")]
    assert trained[-1] < trained[0]
    validated = [float(row["val/loss"]) for row in rows if row.get("val/loss")]
    assert metrics["val/loss"] == pytest.approx(min(validated), rel=1e-5)
    assert metrics["best_epoch"] == 1 + validated.index(min(validated))


def test_the_command_repeats_a_run_and_another_seed_gives_other_weights(pretrained, tmp_path):
    folder, metrics = pretrained
    GlobalHydra.instance().clear()
    arguments = [f"hydra.run.dir={tmp_path}/again", *TINY, *SYNTHETIC, "logger=none"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["audiotok"])  # which the verb changes
        result = CliRunner().invoke(app, ["pretrain", *arguments])
    assert result.exit_code == 0
    again = json.loads((tmp_path / "again" / "metrics.json").read_text())
    pretrain(tmp_path / "other", "seed=4")
    assert_equal(learnt(folder), learnt(tmp_path / "again"))
    assert again["val/loss"] == metrics["val/loss"]
    assert not torch.equal(learnt(folder)["head.weight"], learnt(tmp_path / "other")["head.weight"])


def test_a_resumed_run_goes_on_as_if_never_stopped(tmp_path):
    schedule = "schedule=constant"  # a cosine over two epochs is not one over one
    whole = pretrain(tmp_path / "whole", schedule, "trainer.max_epochs=2")
    pretrain(tmp_path / "half", schedule)
    last = tmp_path / "half" / "checkpoints" / "last.ckpt"
    rest = pretrain(tmp_path / "rest", schedule, "trainer.max_epochs=2", f"ckpt_path={last}")
    assert_equal(learnt(tmp_path / "whole"), learnt(tmp_path / "rest"))
    assert whole["val/loss"] == rest["val/loss"]


def test_labels_are_not_used(tmp_path, tiny_audioset):
    files = sorted((tiny_audioset / "audio" / "bal_train").rglob("*.*"))[:16]

    def learn(name: str, n_classes: int) -> dict[str, Tensor]:
        rows = [f"{path},{i % n_classes},{'train' if i < 12 else 'val'}" for i, path in enumerate(files)]
        rows.append(f"{next((tiny_audioset / 'audio' / 'eval').rglob('*.wav'))},0,test")
        table = tmp_path / f"{name}.csv"
        table.write_text("\n".join(["path,labels,split", *rows]))
        data = ("data=csv", f"data.root={table}", "data.clip_seconds=1.0")
        pretrain(tmp_path / name, "seed=1", data=data)
        return learnt(tmp_path / name)

    assert_equal(learn("two", 2), learn("three", 3))


def test_augmentation_changes_training_and_not_what_is_validated(tmp_path, pretrained):
    still = "optimizer.lr=1e-12"
    plain = pretrain(tmp_path / "plain", still)
    mixed = pretrain(tmp_path / "mixed", still, "augment=mixing", "augment.words.mask_codebooks=0.5")
    assert mixed["val/loss"] == pytest.approx(plain["val/loss"], abs=1e-5)
    pretrain(tmp_path / "trained", "augment=mixing")
    assert not torch.equal(learnt(pretrained[0])["head.weight"], learnt(tmp_path / "trained")["head.weight"])


def test_tokens_that_augmentation_has_masked_are_not_asked_for(tmp_path):
    """Half of the tokens gone: guesses are as good as they were, of those that are left."""
    accuracy = {}
    for share in ("0.0", "0.5"):
        folder = tmp_path / share
        pretrain(
            folder,
            *LEARNING,
            "optimizer.lr=1e-12",
            f"augment.words.mask_codebooks={share}",
            "logger=csv",
        )
        rows = csv.DictReader(next((folder / "csv").rglob("metrics.csv")).open())
        accuracy[share] = next(float(row["train/accuracy"]) for row in rows if row.get("train/accuracy"))
    assert accuracy["0.5"] == pytest.approx(accuracy["0.0"], rel=0.15)


def test_a_clip_whose_tokens_are_all_masked_by_augmentation_does_no_harm(tmp_path):
    metrics = pretrain(tmp_path, "augment.words.mask_time=0.99", "loader.batch_size=1")
    assert math.isfinite(metrics["val/loss"])
    assert all(weight.isfinite().all() for weight in learnt(tmp_path).values())


def test_mixup_is_said_to_be_ignored_and_the_last_line_says_what_comes_next(tmp_path, capsys, pretrained):
    pretrain(tmp_path, "augment.mixup.share=0.5")
    output = capsys.readouterr().out.strip()
    assert "augment.mixup is ignored" in output
    assert output.splitlines()[-1].endswith(f"audiotok train model.init_from={os.path.relpath(tmp_path)}.")
    assert_equal(learnt(tmp_path), learnt(pretrained[0]))


def test_the_average_of_the_weights_can_be_kept(tmp_path):
    pretrain(
        tmp_path / "a",
        "+callbacks.averaging._target_=audiotok.callbacks.averaging.Averaging",
        "+callbacks.averaging.decay=0.9",
        "trainer.max_epochs=2",
    )
    assert "averaging_state" in checkpoint(tmp_path / "a")
    run(tmp_path / "b", f"model.init_from={tmp_path}/a")


# ---- one batch, by hand ----


def build_pretrainer() -> Pretrainer:
    torch.manual_seed(0)
    model = Bert(
        num_layers=1,
        hidden_size=16,
        num_heads=2,
        max_position_embeddings=21,
        dropout=0.0,
        pooling="mean",
        embedding="random",
        start_at_prior=False,
        sizes=Sizes(n_bins=1, n_dimensions=1, n_codebooks=2, n_clusters=8, n_tokens=20, n_classes=3),
    )
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5)  # so that every token tells
    return Pretrainer(
        model,
        n_codebooks=2,
        n_clusters=8,
        objective=MaskedTokens(share=0.3, span=2),
        optimizer=AdamW(lr=0.01, weight_decay=0.0),
        schedule=Constant(),
        vocabulary_key="words",
        seed=0,
    ).eval()


@torch.no_grad()
def test_loss_and_accuracy_are_those_of_the_hidden_tokens_counted_one_by_one():
    module = build_pretrainer()
    lengths = torch.tensor([20, 13, 1])
    tokens = torch.randint(8, (3, 20, 2), generator=torch.Generator().manual_seed(1))
    tokens[:, ::3, 0] = -1  # by augmentation
    module.validation_step({"inputs": tokens, "lengths": lengths}, 5)

    masked, hidden = module.objective.mask(tokens, lengths, torch.Generator().manual_seed(5))
    losses, hits = [], []
    for clip in range(3):
        n = lengths[clip : clip + 1]
        one = masked[clip : clip + 1, : int(n)]
        states = module.model.encoder.states(module.model.embed(one, n), n)[0]
        for position in hidden[clip].nonzero().flatten().tolist():
            logits = module.head(states[1 + position]).view(2, 8)  # [CLS] comes first
            for guess, token in zip(logits.softmax(-1), tokens[clip, position].tolist(), strict=True):
                if token >= 0:
                    losses.append(-math.log(guess[token]))
                    hits.append(int(guess.argmax()) == token)
    assert len(losses) > 10
    loss, accuracy = module.scores["val_loss"], module.scores["val_accuracy"]
    assert float(loss.compute()) == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert float(accuracy.compute()) == pytest.approx(sum(hits) / len(hits))
    assert float(loss.weight) == float(accuracy.weight) == len(losses)


@torch.no_grad()
def test_a_guess_cannot_see_what_is_hidden():
    module = build_pretrainer()
    lengths = torch.tensor([20])
    tokens = torch.randint(8, (1, 20, 2), generator=torch.Generator().manual_seed(1))
    masked, hidden = module.objective.mask(tokens, lengths, torch.Generator().manual_seed(5))
    others = torch.where(hidden[..., None], (tokens + 1) % 8, tokens)
    again, _ = module.objective.mask(others, lengths, torch.Generator().manual_seed(5))
    assert not torch.equal(tokens, others)
    assert torch.equal(module.model.embed(masked, lengths), module.model.embed(again, lengths))


# ---- going on from it ----


def test_training_begins_with_exactly_the_pretrained_encoder_and_words(pretrained, tmp_path):
    folder, _ = pretrained
    still = ("optimizer.lr=1e-30", "optimizer.weight_decay=0.0")
    run(tmp_path, f"model.init_from={folder}", *still)
    before, after = learnt(folder, "best"), checkpoint(tmp_path)["state_dict"]
    taken = [name for name in before if name.startswith(("model.encoder.", "model.words."))]
    assert len(taken) > 15
    assert all(torch.equal(before[name], after[name]) for name in taken)
    assert not any(name.startswith("head.") for name in after)
    run(tmp_path / "anew", *still)
    anew = checkpoint(tmp_path / "anew")["state_dict"]
    assert torch.equal(anew["model.classifier.weight"], after["model.classifier.weight"])
    assert not torch.equal(anew["model.words.table.weight"], after["model.words.table.weight"])

    config = OmegaConf.load(tmp_path / "config.yaml")  # the tagger needs its pretraining run no longer
    config.model.init_from = "/gone"
    OmegaConf.save(config, tmp_path / "config.yaml")
    states = restore(tmp_path).model.state_dict()
    assert_equal({f"model.{name}": weight for name, weight in states.items()}, after)


def test_pretraining_can_go_on_from_another_pretraining_run(pretrained, tmp_path):
    still = ("optimizer.lr=1e-30", "optimizer.weight_decay=0.0")
    pretrain(tmp_path, f"model.init_from={pretrained[0]}", *still)
    before, after = learnt(pretrained[0], "best"), learnt(tmp_path)
    names = [name for name in before if name.startswith("model.words.")]
    assert names
    assert all(torch.equal(before[name], after[name]) for name in names)


def test_another_vocabulary_is_refused(refused, pretrained):
    """What else is refused is in `experiment/test_weights.py`."""
    folder, metrics = pretrained
    message = refused("train", f"model.init_from={folder}", "clustering.n_iter=4")
    assert message.startswith(f"model.init_from={folder} was trained with the centroids ")
    assert metrics["centroid_key"] in message


def test_a_checkpoint_of_another_vocabulary_is_not_resumed(refused, pretrained):
    last = pretrained[0] / "checkpoints" / "last.ckpt"
    message = refused("pretrain", f"ckpt_path={last}", "clustering.n_iter=4")
    assert "was trained with the centroids" in message


@pytest.mark.parametrize("verb", ["train", "pretrain"])
def test_a_checkpoint_of_the_other_verb_is_not_resumed(refused, pretrained, plain_run, verb):
    folder, _ = plain_run if verb == "pretrain" else pretrained
    message = refused(verb, f"ckpt_path={folder}/checkpoints/last.ckpt")
    assert message.startswith(f"ckpt_path={folder}/checkpoints/last.ckpt does not fit the model")


# ---- what pretrain refuses ----


@pytest.mark.parametrize("model", ["bag", "frames"])
def test_a_model_without_masked_tokens_is_refused_before_centroids_are_fitted(refused, tmp_path, model):
    cache = tmp_path / "cache"
    message = refused("pretrain", f"model={model}", f"cache_dir={cache}", tiny=TINY_OF_ANY_MODEL)
    assert message.startswith(f"model={model} ")
    assert "model=bert" in message
    assert not cache.exists()


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("objective.share=half", "objective.share=half"),
        ("augment.words.noise=0.1", "augment.words.noise=0.1"),
        ("optimized_metric=val/mAP", "optimized_metric=val/mAP"),
    ],
)
def test_values_that_cannot_work_are_named(refused, override, words):
    assert words in refused("pretrain", override)


def test_predict_refuses_a_pretraining_run_in_a_sentence(pretrained, tmp_path):
    folder = str(pretrained[0])
    result = CliRunner().invoke(app, ["predict", folder, str(tmp_path / "a.wav")])
    assert result.exit_code == 1
    assert result.output.strip() == (
        f"{folder} is a run of `audiotok pretrain`, which knows no classes; give a run that started "
        f"from it (model.init_from={folder})."
    )


# ---- the command line and sweeps ----


@pytest.mark.parametrize(
    ("argument", "shown"),
    [("--help", "optimized_metric=val/loss"), ("--cfg=job", "optimized_metric: val/loss")],
)
def test_audiotok_pretrain_shows_its_configuration_and_loads_no_heavy_library(argument, shown):
    modules, output = modules_after("from audiotok.cli import app; app()", "pretrain", *argument.split("="))
    assert "objective" in output
    assert shown in output
    assert not HEAVY & modules


def test_audiotok_help_names_pretrain():
    result = CliRunner().invoke(app, ["--help"])
    assert "pretrain" in result.output


def test_a_sweep_ranks_by_the_lowest_validation_loss(tmp_path, capsys):
    command(
        "-m",
        f"hydra.sweep.dir={tmp_path}",
        *TINY,
        *SYNTHETIC,
        "logger=none",
        "optimizer.lr=0.00001,0.02",
        verb="pretrain",
    )
    rows = list(csv.DictReader((tmp_path / "sweep.csv").open()))
    losses = [float(row["val/loss"]) for row in rows]
    assert losses == sorted(losses)
    assert [row["optimizer.lr"] for row in rows] == ["0.02", "1e-05"]
    assert all(0 <= float(row["val/accuracy"]) <= 1 for row in rows)
    assert not [name for name in rows[0] if name.startswith("test/") or name == "val/mAP"]
    shown = capsys.readouterr().out
    assert "2 jobs by val/loss" in shown
    assert "failed" not in shown
