from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from sklearn.metrics import average_precision_score, f1_score, hamming_loss
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from audiotok.augment.mixup import Mixup
from audiotok.data.clip import SoundClass
from audiotok.errors import UserError
from audiotok.loader.clips import Draw
from audiotok.loader.sampler import EpochSampler
from audiotok.model.bert import Bert
from audiotok.model.model import Sizes
from audiotok.training.loss import BCE
from audiotok.training.optimizer import AdamW
from audiotok.training.schedule import Cosine
from audiotok.training.tagger import Tagger
from audiotok.training.thresholds import best_threshold

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")  # Lightning 2.6 on torch 2.14
N_CLASSES, N_TOKENS, N_CODEBOOKS, N_CLUSTERS = 4, 12, 2, 10
BATCH_SIZE = 8
RANKING = ("mAP", "auroc", "d_prime", "lwlrap", "top1")
SCORES = ("loss", *RANKING, "f1_micro", "f1_macro", "hamming_loss", "n_scored_classes")


class Sentences(Dataset):
    """Clips of random tokens, of different lengths; a class is heard where its word occurs."""

    def __init__(self, n_clips: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.tokens = torch.randint(N_CLUSTERS, (n_clips, N_TOKENS, N_CODEBOOKS), generator=generator)
        self.n_tokens = torch.randint(4, N_TOKENS + 1, (n_clips,), generator=generator)
        heard = [
            [(clip[:n, 0] == word).any() for word in range(N_CLASSES)]
            for clip, n in zip(self.tokens, self.n_tokens, strict=True)
        ]
        self.targets = torch.tensor(heard).float()

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, draw: Draw | int) -> dict[str, Any]:
        index = draw.clip if isinstance(draw, Draw) else draw
        return {
            "inputs": self.tokens[index],
            "lengths": self.n_tokens[index],
            "targets": self.targets[index],
            "index": index,
        }


TRAIN, VAL, TEST = Sentences(30, seed=1), Sentences(21, seed=2), Sentences(19, seed=3)


def loader(clips: Sentences, **arguments: Any) -> DataLoader:
    return DataLoader(clips, batch_size=BATCH_SIZE, **arguments)


def train_loader() -> DataLoader:
    return loader(TRAIN, sampler=EpochSampler(len(TRAIN), seed=0))


def tagger(seed: int = 0, dropout: float = 0.2, **changes: Any) -> Tagger:
    torch.manual_seed(seed)
    model = Bert(
        num_layers=1,
        hidden_size=16,
        num_heads=2,
        max_position_embeddings=N_TOKENS + 1,
        dropout=dropout,
        attention_dropout=dropout,
        pooling="mean",
        embedding="random",
        start_at_prior=False,
        sizes=Sizes(
            n_bins=16,
            n_dimensions=8,
            n_codebooks=N_CODEBOOKS,
            n_clusters=N_CLUSTERS,
            n_tokens=N_TOKENS,
            n_classes=N_CLASSES,
        ),
    )
    settings = {
        "classes": tuple(SoundClass(f"/m/{i}", f"class {i}") for i in range(N_CLASSES)),
        "optimizer": AdamW(lr=0.02),
        "schedule": Cosine(warmup=0.1, final=0.1),
        "vocabulary_key": "key of these centroids",
        "seed": seed,
    }
    return Tagger(model, **{**settings, **changes})


def trainer(
    folder: Path, max_epochs: int = 2, callbacks: Sequence[pl.Callback] = (), **arguments: Any
) -> pl.Trainer:
    settings = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": any(isinstance(callback, ModelCheckpoint) for callback in callbacks),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "default_root_dir": folder,
    }
    return pl.Trainer(
        max_epochs=max_epochs, log_every_n_steps=1, callbacks=list(callbacks), **{**settings, **arguments}
    )


def fit(module: Tagger, folder: Path, max_epochs: int = 2, **arguments: Any) -> pl.Trainer:
    ckpt_path = arguments.pop("ckpt_path", None)
    result = trainer(folder, max_epochs, **arguments)
    result.fit(module, train_loader(), loader(VAL), ckpt_path=ckpt_path, weights_only=True)
    return result


@torch.no_grad()
def probabilities(module: Tagger, clips: Sentences) -> Tensor:
    return module.eval().model(clips.tokens, clips.n_tokens).sigmoid()


def assert_same_weights(first: Tagger, second: Tagger) -> None:
    ours, theirs = first.state_dict(), second.state_dict()
    assert set(ours) == set(theirs)
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different


class Logged(pl.Callback):
    """Keep what is logged in each epoch."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.epochs.append({name: float(value) for name, value in trainer.callback_metrics.items()})


# ---- what is logged ----


def test_training_and_validation_scores_are_all_logged(tmp_path):
    logged = fit(tagger(), tmp_path).callback_metrics
    assert set(logged) == {
        *(f"train/{name}" for name in SCORES),
        *(f"val/{name}" for name in SCORES),
        "val/f1_micro_tuned",
        "val/f1_macro_tuned",
        "val/tuned_threshold",
        "train/loss_step",
        "train/learning_rate",
    }


def test_test_scores_are_all_logged(tmp_path):
    module = tagger()
    [logged] = fit(module, tmp_path).test(module, loader(TEST), verbose=False)
    calibrated = ("ece", "ece_uncalibrated", "f1_micro_class_thresholds", "f1_macro_class_thresholds")
    names = (*SCORES, "f1_micro_tuned", "f1_macro_tuned", *calibrated)
    assert set(logged) == {f"test/{name}" for name in names}


def test_validation_scores_equal_scikit_learns(tmp_path):
    module = tagger()
    logged = fit(module, tmp_path).callback_metrics
    scores, targets = probabilities(module, VAL), VAL.targets
    heard, tuned = scores > 0.5, scores > module.tuned_threshold
    expected = {
        "val/loss": F.binary_cross_entropy(scores, targets),
        "val/mAP": average_precision_score(targets, scores),
        "val/f1_micro": f1_score(targets, heard, average="micro"),
        "val/f1_macro": f1_score(targets, heard, average="macro"),
        "val/hamming_loss": hamming_loss(targets, heard),
        "val/top1": targets.gather(1, scores.argmax(1, keepdim=True)).mean(),
        "val/n_scored_classes": N_CLASSES,
        "val/f1_micro_tuned": f1_score(targets, tuned, average="micro"),
        "val/f1_macro_tuned": f1_score(targets, tuned, average="macro"),
        "val/tuned_threshold": best_threshold(scores, targets),
    }
    for name, value in expected.items():
        assert float(logged[name]) == pytest.approx(float(value), abs=1e-5), name


def test_training_scores_are_those_of_all_clips_of_one_epoch(tmp_path):
    frozen = AdamW(lr=1e-12, weight_decay=0.0, betas=[0.9, 0.999], decay_norms_and_biases=False, fused=True)
    module = tagger(dropout=0.0, optimizer=frozen)
    logged = fit(module, tmp_path, max_epochs=2).callback_metrics
    scores, targets = probabilities(module, TRAIN), TRAIN.targets
    assert float(logged["train/mAP"]) == pytest.approx(average_precision_score(targets, scores), abs=1e-5)
    assert float(logged["train/loss"]) == pytest.approx(
        float(F.binary_cross_entropy(scores, targets)), abs=1e-5
    )
    assert float(logged["train/hamming_loss"]) == pytest.approx(hamming_loss(targets, scores > 0.5), abs=1e-5)


def test_loss_is_binary_cross_entropy(tmp_path):
    class Losses(pl.Callback):
        def __init__(self) -> None:
            self.pairs: list[tuple[Tensor, Tensor]] = []

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            with torch.no_grad():
                p = pl_module.model(batch["inputs"], batch["lengths"]).sigmoid()
            self.expected = -(batch["targets"] * p.log() + (1 - batch["targets"]) * (1 - p).log()).mean()

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_: Any) -> None:
            self.pairs.append((outputs["loss"], self.expected))

    losses = Losses()
    fit(tagger(dropout=0.0), tmp_path, callbacks=[losses])
    assert len(losses.pairs) == 8
    for loss, expected in losses.pairs:
        torch.testing.assert_close(loss, expected)


def test_training_lowers_the_loss(tmp_path):
    logged = Logged()
    fit(tagger(dropout=0.0), tmp_path, max_epochs=12, callbacks=[logged])
    assert logged.epochs[-1]["train/loss"] < 0.7 * logged.epochs[0]["train/loss"]
    assert logged.epochs[-1]["train/mAP"] > logged.epochs[0]["train/mAP"] + 0.1


def test_the_learning_rate_follows_the_schedule_at_every_step(tmp_path):
    class Rates(pl.Callback):
        def __init__(self) -> None:
            self.rates: list[float] = []

        def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
            self.rates.append(float(trainer.callback_metrics["train/learning_rate"]))

    rates = Rates()
    fit(tagger(), tmp_path, max_epochs=3, callbacks=[rates])
    schedule = Cosine(warmup=0.1, final=0.1)
    assert rates.rates == pytest.approx([0.02 * schedule.factor(step, 12) for step in range(12)])


def test_only_the_model_is_optimised(tmp_path):
    module = tagger()
    result = fit(module, tmp_path, max_epochs=1)
    chosen = {id(p) for group in result.optimizers[0].param_groups for p in group["params"]}
    assert chosen == {id(p) for p in module.model.parameters()}


# ---- the loss and the mixture of clips ----


def test_the_loss_is_told_whether_it_trains(tmp_path):
    calls: list[tuple[bool, int]] = []

    def noted(logits: Tensor, targets: Tensor, training: bool) -> Tensor:
        calls.append((training, len(logits)))
        return F.binary_cross_entropy_with_logits(logits, targets)

    fit(tagger(loss=noted), tmp_path, max_epochs=1)
    assert calls == [(True, n) for n in (8, 8, 8, 6)] + [(False, n) for n in (8, 8, 5)]


def test_label_smoothing_changes_training_and_not_the_loss_of_validation(tmp_path):
    frozen = AdamW(lr=1e-12, weight_decay=0.0, betas=[0.9, 0.999], decay_norms_and_biases=False, fused=True)
    module = tagger(dropout=0.0, optimizer=frozen, loss=BCE(label_smoothing=0.4))
    logged = fit(module, tmp_path, max_epochs=1).callback_metrics
    smoothed = F.binary_cross_entropy(probabilities(module, TRAIN), 0.6 * TRAIN.targets + 0.2)
    assert float(logged["train/loss"]) == pytest.approx(float(smoothed), abs=1e-5)
    plain = F.binary_cross_entropy(probabilities(module, VAL), VAL.targets)
    assert float(logged["val/loss"]) == pytest.approx(float(plain), abs=1e-5)


class Halves:
    """Stand in for mixup: take half of each clip and half of the next."""

    def __init__(self) -> None:
        self.mixed: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(self, vectors: Tensor, lengths: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        self.mixed.append(
            (
                (vectors + vectors.roll(1, 0)) / 2,
                lengths.maximum(lengths.roll(1, 0)),
                0.6 * targets + 0.4 * targets.roll(1, 0),
            )
        )
        return self.mixed[-1]


def test_training_mixes_the_vectors_of_clips_and_their_targets(tmp_path):
    frozen = AdamW(lr=1e-12, weight_decay=0.0, betas=[0.9, 0.999], decay_norms_and_biases=False, fused=True)
    halves = Halves()
    module = tagger(dropout=0.0, optimizer=frozen, mixup=halves)
    logged = fit(module, tmp_path, max_epochs=1).callback_metrics
    assert [len(vectors) for vectors, _, _ in halves.mixed] == [8, 8, 8, 6]  # and none of validation
    with torch.no_grad():
        scores = torch.cat([module.eval().model.classify(v, n).sigmoid() for v, n, _ in halves.mixed])
    targets = torch.cat([mixed for _, _, mixed in halves.mixed])
    expected = F.binary_cross_entropy(scores, targets)
    assert float(logged["train/loss"]) == pytest.approx(float(expected), abs=1e-5)
    assert float(logged["train/mAP"]) == pytest.approx(
        average_precision_score(targets > 0.5, scores), abs=1e-5
    )
    plain = F.binary_cross_entropy(probabilities(module, VAL), VAL.targets)
    assert float(logged["val/loss"]) == pytest.approx(float(plain), abs=1e-5)


# ---- predictions ----


def test_predictions_stand_in_the_order_of_the_split_in_whichever_they_were_made(tmp_path):
    module = tagger()
    order = torch.randperm(len(TEST), generator=torch.Generator().manual_seed(0)).tolist()
    fit(module, tmp_path).test(module, loader(TEST, sampler=order), verbose=False)
    found = module.predictions()
    index, scores, targets, precision = found.clips, found.scores, found.targets, found.average_precision
    assert index.tolist() == list(range(len(TEST)))
    assert (index.dtype, scores.dtype, targets.dtype) == (torch.int64, torch.float32, torch.bool)
    torch.testing.assert_close(scores, probabilities(module, TEST))
    assert torch.equal(targets, TEST.targets.bool())
    expected = average_precision_score(TEST.targets, probabilities(module, TEST), average=None)
    torch.testing.assert_close(precision.double(), torch.from_numpy(expected), rtol=0, atol=1e-5)


def test_a_second_test_replaces_the_first(tmp_path):
    module = tagger()
    result = fit(module, tmp_path)
    result.test(module, loader(VAL), verbose=False)
    [logged] = result.test(module, loader(TEST), verbose=False)
    index, scores = module.predictions().clips, module.predictions().scores
    assert index.tolist() == list(range(len(TEST)))
    assert len(scores) == len(TEST)
    assert logged["test/mAP"] == pytest.approx(
        average_precision_score(TEST.targets, probabilities(module, TEST)), abs=1e-5
    )


def test_average_precision_is_nan_for_a_class_that_the_test_lacks(tmp_path):
    clips = Sentences(19, seed=3)
    clips.targets[:, 1] = 0
    module = tagger()
    [logged] = trainer(tmp_path).test(module, loader(clips), verbose=False)
    precision = module.predictions().average_precision
    assert precision.isnan().tolist() == [False, True, False, False]
    assert logged["test/n_scored_classes"] == 3
    assert logged["test/mAP"] == pytest.approx(float(precision.nanmean()), abs=1e-6)


# ---- the tuned threshold ----


def test_the_threshold_is_tuned_on_validation_and_not_on_test(tmp_path):
    module = tagger()
    result = fit(module, tmp_path)
    tuned = module.tuned_threshold
    assert tuned == pytest.approx(best_threshold(probabilities(module, VAL), VAL.targets), abs=1e-6)
    [logged] = result.test(module, loader(TEST), verbose=False)
    scores = probabilities(module, TEST)
    assert module.tuned_threshold == tuned
    assert abs(best_threshold(scores, TEST.targets) - tuned) > 1e-3  # else the next line would say nothing
    assert logged["test/f1_micro_tuned"] == pytest.approx(
        f1_score(TEST.targets, scores > tuned, average="micro"), abs=1e-6
    )


def test_validating_a_checkpoint_tunes_the_threshold_that_it_is_tested_with(tmp_path):
    """The threshold is no weight: what is averaged or restored must not bring another one along."""
    checkpoints = ModelCheckpoint(tmp_path, save_top_k=-1, filename="{epoch}")
    module = tagger()
    result = fit(module, tmp_path, max_epochs=2, callbacks=[checkpoints])
    thresholds = set()
    for name in ("epoch=0.ckpt", "epoch=1.ckpt", "epoch=0.ckpt"):
        result.validate(module, loader(VAL), ckpt_path=tmp_path / name, verbose=False, weights_only=True)
        assert module.tuned_threshold == best_threshold(probabilities(module, VAL), VAL.targets)
        thresholds.add(module.tuned_threshold)
        [logged] = result.test(module, loader(TEST), verbose=False)
        tuned = probabilities(module, TEST) > module.tuned_threshold
        assert logged["test/f1_micro_tuned"] == pytest.approx(
            f1_score(TEST.targets, tuned, average="micro"), abs=1e-6
        )
    assert len(thresholds) == 2
    assert not any("threshold" in name for name in module.state_dict())


# ---- checkpoints ----


def test_a_checkpoint_says_which_centroids_and_classes_it_has(tmp_path):
    fit(tagger(), tmp_path, max_epochs=1).save_checkpoint(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert checkpoint["vocabulary_key"] == "key of these centroids"
    assert checkpoint["classes"] == [[f"/m/{i}", f"class {i}"] for i in range(N_CLASSES)]


def test_a_checkpoint_of_other_centroids_is_refused_in_one_sentence(tmp_path):
    fit(tagger(), tmp_path, max_epochs=1).save_checkpoint(tmp_path / "a.ckpt")
    sentence = (
        r"^The checkpoint was trained with the centroids key of these centroids, and these settings and "
        r"clips give other key; use .*\.$"
    )
    with pytest.raises(UserError, match=sentence):
        fit(tagger(vocabulary_key="other key"), tmp_path, ckpt_path=tmp_path / "a.ckpt")


def test_a_checkpoint_of_as_many_other_classes_is_refused_in_one_sentence(tmp_path):
    fit(tagger(), tmp_path, max_epochs=1).save_checkpoint(tmp_path / "a.ckpt")
    module = tagger()
    module.classes = [*module.classes[:-1], SoundClass("/m/other", "other")]
    sentence = rf"^The checkpoint was trained on other classes: class {N_CLASSES} of its {N_CLASSES} is .*\.$"
    with pytest.raises(UserError, match=sentence):
        fit(module, tmp_path, ckpt_path=tmp_path / "a.ckpt")


# ---- repeating and resuming ----


MIXED = {"mixup": Mixup(share=0.6, alpha=0.5), "loss": BCE(label_smoothing=0.1)}
with_and_without_mixup = pytest.mark.parametrize("changes", [{}, MIXED], ids=["plain", "mixed"])


@with_and_without_mixup
def test_two_runs_with_one_seed_are_equal_bit_for_bit(tmp_path, changes):
    first, second = tagger(**changes), tagger(**changes)
    fit(first, tmp_path)
    torch.rand(7)  # whatever happened before the second run
    fit(second, tmp_path)
    assert_same_weights(first, second)


def test_mixup_changes_what_is_trained(tmp_path):
    plain, mixed = tagger(), tagger(**MIXED)
    fit(plain, tmp_path, max_epochs=1)
    fit(mixed, tmp_path, max_epochs=1)
    with pytest.raises(AssertionError):
        assert_same_weights(plain, mixed)


def test_another_seed_gives_another_dropout(tmp_path):
    first, second = tagger(), tagger()
    second.seed = 1
    fit(first, tmp_path, max_epochs=1)
    fit(second, tmp_path, max_epochs=1)
    with pytest.raises(AssertionError):
        assert_same_weights(first, second)


@with_and_without_mixup
def test_a_resumed_run_equals_one_that_never_stopped_bit_for_bit(tmp_path, changes):
    class Stop(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            trainer.should_stop = True

    whole, stopped, resumed = (tagger(**changes) for _ in range(3))
    fit(whole, tmp_path)
    checkpoints = ModelCheckpoint(tmp_path, save_last=True)
    fit(stopped, tmp_path, callbacks=[checkpoints, Stop()])
    assert stopped.trainer.global_step == 4
    torch.rand(7)
    fit(resumed, tmp_path, ckpt_path=tmp_path / "last.ckpt")
    assert resumed.trainer.global_step == whole.trainer.global_step == 8
    assert_same_weights(resumed, whole)


def test_every_batch_of_every_epoch_has_a_dropout_of_its_own(tmp_path):
    numbers = []

    def draw(*_: Any) -> None:
        state = torch.get_rng_state()
        numbers.append(float(torch.rand(1)))
        torch.set_rng_state(state)

    module = tagger()
    module.model.encoder.register_forward_pre_hook(draw)
    trainer(tmp_path, max_epochs=3).fit(module, train_loader())
    assert len(numbers) == len(set(numbers)) == 12


# ---- lower precision ----


def assert_trained_and_scored(module: Tagger, result: pl.Trainer, before: Tensor) -> None:
    result.test(module, loader(TEST), verbose=False)
    scores = module.predictions().scores
    assert result.callback_metrics["test/loss"].isfinite()
    assert not torch.equal(module.model.classifier.weight.cpu(), before)
    assert scores.dtype == torch.float32
    logits = scores.double().logit().float()
    rounded = logits.bfloat16().float()
    assert (logits - rounded).abs().max() > 1e-3 * logits.abs().max()  # as bf16 they would tie


def test_a_bf16_step_trains_and_scores_in_float32(tmp_path):
    module = tagger()
    before = module.model.classifier.weight.detach().clone()
    result = fit(module, tmp_path, max_epochs=1, precision="bf16-mixed", limit_train_batches=1)
    assert_trained_and_scored(module, result, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_bf16_step_on_the_gpu_trains_and_scores_in_float32(tmp_path):
    module = tagger()
    before = module.model.classifier.weight.detach().clone()
    device = {"accelerator": "gpu", "devices": 1}
    result = fit(module, tmp_path, max_epochs=1, precision="bf16-mixed", limit_train_batches=1, **device)
    assert_trained_and_scored(module, result, before)
