from typing import Any

import pytest
import torch
from tiny import build_tiny_recipe
from torch import Tensor
from torch.utils.data import default_collate

from audiotok.augment.recipe import Recipe
from audiotok.augment.words import MASKED
from audiotok.loader.preparation import Preparation
from audiotok.tokenizer import Tokenizer

STAGES = ("mel", "frames", "tokens")
LOUD = {"mix": 0.6, "rotate": True, "gain_db": 6.0, "equalizer_db": 3.0, "mask_time": 0.3, "mask_bins": 3}
SOUND = build_tiny_recipe(sound=LOUD)
BOTH = build_tiny_recipe(sound=LOUD, words={"mask_time": 0.3, "mask_codebooks": 0.1, "noise": 0.3})
every_stage = pytest.mark.parametrize("stage", STAGES)
with_and_without = pytest.mark.parametrize("recipe", [None, BOTH], ids=["as they are", "augmented"])
Item = dict[str, Any]


def waveforms() -> list[Item]:
    """Return visits to five clips of noise from 0.2 to 1 s, each with a class of its own."""
    generator = torch.Generator().manual_seed(0)
    visits = []
    for index, n_samples in enumerate((1600, 4000, 8000, 8000, 6000)):
        waveform = torch.zeros(8000)
        waveform[:n_samples] = 10 ** (-index / 2) * torch.randn(n_samples, generator=generator)
        item = {"index": index, "seed": 2**32 - 1 - index, "targets": torch.eye(5)[index]}
        visits.append({**item, "waveform": waveform, "n_samples": torch.tensor(n_samples)})
    return visits


@pytest.fixture
def items(tokenizer: Tokenizer) -> list[Item]:
    """The same visits with mel frames."""

    def as_mel(item: Item) -> Item:
        mel, n_mel = tokenizer.features.log_mel(item.pop("waveform")[None], item.pop("n_samples")[None])
        return {**item, "mel": mel[0], "n_mel": n_mel[0]}

    return [as_mel(item) for item in waveforms()]


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys() == {"index", "targets", "inputs", "lengths"}
    for key in one:
        assert torch.equal(one[key], other[key]), key


@every_stage
def test_without_a_recipe_clips_are_left_alone(tokenizer: Tokenizer, items: list[Item], stage: str) -> None:
    batch = Preparation(tokenizer, stage, None).collate(items)
    mel, n_mel = torch.stack([item["mel"] for item in items]), torch.stack([item["n_mel"] for item in items])
    inputs, lengths = tokenizer.read(mel, n_mel, stage)
    assert torch.equal(batch["inputs"], inputs)
    assert torch.equal(batch["lengths"], lengths)
    assert torch.equal(batch["targets"], torch.eye(5))
    assert batch["index"].tolist() == [0, 1, 2, 3, 4]


@every_stage
def test_a_recipe_that_is_off_leaves_clips_alone(tokenizer: Tokenizer, items: list[Item], stage: str) -> None:
    off = Preparation(tokenizer, stage, build_tiny_recipe()).collate(items)
    assert_same(off, Preparation(tokenizer, stage, None).collate(items))


@every_stage
@with_and_without
def test_a_batch_is_the_same_in_a_worker_and_after_it(
    tokenizer: Tokenizer, items: list[Item], stage: str, recipe: Recipe | None
) -> None:
    preparation = Preparation(tokenizer, stage, recipe)
    assert_same(preparation.collate(items), preparation(default_collate(items)))


@every_stage
@with_and_without
def test_waveforms_give_what_their_mel_frames_give(
    tokenizer: Tokenizer, items: list[Item], stage: str, recipe: Recipe | None
) -> None:
    preparation = Preparation(tokenizer, stage, recipe)
    from_waveforms, from_mel = preparation(default_collate(waveforms())), preparation.collate(items)
    for key in ("index", "targets", "lengths"):
        assert torch.equal(from_waveforms[key], from_mel[key])
    is_same = (from_waveforms["inputs"] - from_mel["inputs"]).abs() <= 1 / 4  # dB; sums may round otherwise
    assert is_same.float().mean() > 0.99


@every_stage
def test_the_first_visits_seed_decides_how_a_batch_is_changed(
    tokenizer: Tokenizer, items: list[Item], stage: str
) -> None:
    preparation = Preparation(tokenizer, stage, BOTH)
    first = preparation.collate(items)
    torch.manual_seed(123)
    assert_same(preparation.collate(items), first)
    assert_same(preparation.collate([items[0], *[{**item, "seed": 5} for item in items[1:]]]), first)
    inputs = [preparation.collate([{**items[0], "seed": seed}, *items[1:]])["inputs"] for seed in range(6)]
    assert all(not torch.equal(one, other) for i, one in enumerate(inputs) for other in inputs[:i])


def test_preparing_leaves_the_global_generator_alone(tokenizer: Tokenizer, items: list[Item]) -> None:
    state = torch.get_rng_state()
    Preparation(tokenizer, "tokens", BOTH).collate(items)
    assert torch.equal(torch.get_rng_state(), state)


def test_preparing_does_not_change_what_it_is_handed(tokenizer: Tokenizer, items: list[Item]) -> None:
    batch = default_collate(items)
    before = {key: value.clone() for key, value in batch.items()}
    Preparation(tokenizer, "mel", BOTH)(batch)
    assert all(torch.equal(batch[key], before[key]) for key in before)


@every_stage
def test_sound_is_changed_for_every_model_and_words_for_those_that_read_them(
    tokenizer: Tokenizer, items: list[Item], stage: str
) -> None:
    plain, sound, both = (
        Preparation(tokenizer, stage, recipe).collate(items)["inputs"] for recipe in (None, SOUND, BOTH)
    )
    assert not torch.equal(sound, plain)
    assert torch.equal(both, sound) == (stage != "tokens")
    assert (both == MASKED).any() == (stage == "tokens")


def test_sound_is_changed_before_it_is_normalized(tiny_tokenizer: Any, items: list[Item]) -> None:
    tokenizer = tiny_tokenizer(features={"normalization": "clip_max"})
    batch = Preparation(tokenizer, "mel", build_tiny_recipe(sound={"gain_db": 20.0})).collate(items)
    for clip, n_mel in zip(batch["inputs"], batch["lengths"].tolist(), strict=True):
        assert clip[:n_mel].max() == 0


def test_clips_that_are_mixed_have_the_labels_and_the_length_of_both(
    tokenizer: Tokenizer, items: list[Item]
) -> None:
    plain = Preparation(tokenizer, "mel", None).collate(items)
    batch = Preparation(tokenizer, "mel", build_tiny_recipe(sound={"mix": 1.0})).collate(items)
    assert (batch["targets"] >= plain["targets"]).all()
    assert batch["targets"].sum(1).max() == 2
    for heard, length in zip(batch["targets"].bool(), batch["lengths"], strict=True):
        assert length == plain["lengths"][heard].max()


def test_no_bin_becomes_softer_than_the_floor(tokenizer: Tokenizer, items: list[Item]) -> None:
    recipe = build_tiny_recipe(sound={"gain_db": 60.0, "equalizer_db": 30.0})
    inputs = Preparation(tokenizer, "mel", recipe).collate(items)["inputs"]
    assert inputs.min() == -100


@every_stage
def test_what_is_prepared_has_no_gradient(tokenizer: Tokenizer, items: list[Item], stage: str) -> None:
    assert torch.is_grad_enabled()
    assert not Preparation(tokenizer, stage, BOTH).collate(items)["inputs"].requires_grad
