import pytest
import torch
from tiny import build_tiny_recipe
from torch import Tensor

from audiotok.augment import words
from audiotok.augment.words import MASKED
from audiotok.loader.collate import Collate
from audiotok.tokens.tokenizer import Tokenizer

STAGES = ("analysis", "frames", "tokens")
LOUD = {"mix": 0.6, "rotate": True, "gain_db": 6.0, "equalizer_db": 3.0, "mask_time": 0.3, "mask_bins": 3}
SOUND = build_tiny_recipe(sound=LOUD)
BOTH = build_tiny_recipe(sound=LOUD, words={"mask_time": 0.3, "mask_codebooks": 0.1, "noise": 0.3})
every_stage = pytest.mark.parametrize("stage", STAGES)
with_and_without = pytest.mark.parametrize("recipe", [None, BOTH], ids=["as they are", "augmented"])
Batch = dict[str, Tensor]


def waveforms() -> Batch:
    """Return visits to five clips of noise from 0.2 to 1 s, each with a class of its own."""
    generator = torch.Generator().manual_seed(0)
    lengths = (1600, 4000, 8000, 8000, 6000)
    waves = torch.zeros(5, 8000)
    for row, n_samples in enumerate(lengths):
        waves[row, :n_samples] = 10 ** (-row / 2) * torch.randn(n_samples, generator=generator)
    seeds = 2**32 - 1 - torch.arange(5)
    visits = {"index": torch.arange(5), "seed": seeds, "targets": torch.eye(5)}
    return {**visits, "waveform": waves, "n_samples": torch.tensor(lengths)}


@pytest.fixture
def given(tokenizer: Tokenizer) -> Batch:
    """The same visits with mel frames."""
    batch = waveforms()
    mel, n_mel = tokenizer.features.analyze(batch.pop("waveform"), batch.pop("n_samples"))
    return {**batch, "analysis": mel, "n_slices": n_mel}


def assert_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys() == {"index", "targets", "inputs", "lengths"}
    for key in one:
        assert torch.equal(one[key], other[key]), key


@every_stage
def test_without_a_recipe_clips_are_left_alone(tokenizer, given, stage):
    batch = Collate(tokenizer, stage, None)(given)
    inputs, lengths = tokenizer.read(given["analysis"], given["n_slices"], stage)
    assert torch.equal(batch["inputs"], inputs)
    assert torch.equal(batch["lengths"], lengths)
    assert torch.equal(batch["targets"], torch.eye(5))
    assert batch["index"].tolist() == [0, 1, 2, 3, 4]


@every_stage
def test_a_recipe_that_is_off_leaves_clips_alone(tokenizer, given, stage):
    off = Collate(tokenizer, stage, build_tiny_recipe())(given)
    assert_same(off, Collate(tokenizer, stage, None)(given))


@with_and_without
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_tokens_give_what_their_mel_frames_give(tokenizer, given, recipe, dtype):
    """Where sound is left alone, as it is where tokens are kept."""
    recipe = recipe and build_tiny_recipe(words={"mask_time": 0.3, "mask_codebooks": 0.1, "noise": 0.3})
    preparation = Collate(tokenizer, "tokens", recipe)
    tokens, n_tokens = tokenizer.read(given["analysis"], given["n_slices"], "tokens")
    visits = {key: given[key] for key in ("index", "seed", "targets")}
    kept = preparation({**visits, "tokens": tokens.to(dtype), "n_tokens": n_tokens})
    assert_same(kept, preparation(given))
    assert kept["inputs"].dtype == torch.int64


def test_neighbours_are_found_once_for_all_batches(tokenizer, given, monkeypatch):
    found: list[Tensor] = []
    nearest_neighbors = words.nearest_neighbors
    monkeypatch.setattr(
        words, "nearest_neighbors", lambda *arguments: found.append(nearest_neighbors(*arguments)) or found[0]
    )
    preparation = Collate(tokenizer, "tokens", BOTH)
    for _ in range(3):
        preparation(given)
    assert len(found) == 1


def test_another_device_has_a_tokenizer_of_its_own(tokenizer):
    preparation = Collate(tokenizer, "tokens", BOTH)
    assert preparation.on(torch.device("cpu")) is preparation
    elsewhere = preparation.on(torch.device("meta"))
    assert elsewhere is preparation.on(torch.device("meta"))
    assert elsewhere.tokenizer.codebooks.centroids.is_meta
    assert not tokenizer.codebooks.centroids.is_meta
    assert (elsewhere.stage, elsewhere.recipe) == ("tokens", BOTH)


@every_stage
@with_and_without
def test_waveforms_give_what_their_mel_frames_give(tokenizer, given, stage, recipe):
    preparation = Collate(tokenizer, stage, recipe)
    from_waveforms, from_mel = preparation(waveforms()), preparation(given)
    for key in ("index", "targets", "lengths"):
        assert torch.equal(from_waveforms[key], from_mel[key])
    is_same = (from_waveforms["inputs"] - from_mel["inputs"]).abs() <= 1 / 4  # dB; sums may round otherwise
    assert is_same.float().mean() > 0.99


@every_stage
def test_the_first_visits_seed_decides_how_a_batch_is_changed(tokenizer, given, stage):
    preparation = Collate(tokenizer, stage, BOTH)
    first = preparation(given)
    torch.manual_seed(123)
    assert_same(preparation(given), first)
    others = given["seed"].clone()
    others[1:] = 5
    assert_same(preparation({**given, "seed": others}), first)
    seeds = [torch.tensor([seed, 5, 5, 5, 5]) for seed in range(6)]
    inputs = [preparation({**given, "seed": seed})["inputs"] for seed in seeds]
    assert all(not torch.equal(one, other) for i, one in enumerate(inputs) for other in inputs[:i])


def test_preparing_leaves_the_global_generator_alone(tokenizer, given):
    state = torch.get_rng_state()
    Collate(tokenizer, "tokens", BOTH)(given)
    assert torch.equal(torch.get_rng_state(), state)


def test_preparing_does_not_change_what_it_is_handed(tokenizer, given):
    before = {key: value.clone() for key, value in given.items()}
    Collate(tokenizer, "analysis", BOTH)(given)
    assert all(torch.equal(given[key], before[key]) for key in before)


@every_stage
def test_sound_is_changed_for_every_model_and_words_for_those_that_read_them(tokenizer, given, stage):
    plain, sound, both = (
        Collate(tokenizer, stage, recipe)(given)["inputs"] for recipe in (None, SOUND, BOTH)
    )
    assert not torch.equal(sound, plain)
    assert torch.equal(both, sound) == (stage != "tokens")
    assert (both == MASKED).any() == (stage == "tokens")


def test_sound_is_changed_before_it_is_normalized(tiny_tokenizer, given):
    tokenizer = tiny_tokenizer(features={"normalization": "clip_max"})
    batch = Collate(tokenizer, "analysis", build_tiny_recipe(sound={"gain_db": 20.0}))(given)
    for clip, n_mel in zip(batch["inputs"], batch["lengths"].tolist(), strict=True):
        assert clip[:n_mel].max() == 0


def test_clips_that_are_mixed_have_the_labels_and_the_length_of_both(tokenizer, given):
    plain = Collate(tokenizer, "analysis", None)(given)
    batch = Collate(tokenizer, "analysis", build_tiny_recipe(sound={"mix": 1.0}))(given)
    assert (batch["targets"] >= plain["targets"]).all()
    assert batch["targets"].sum(1).max() == 2
    for heard, length in zip(batch["targets"].bool(), batch["lengths"], strict=True):
        assert length == plain["lengths"][heard].max()


def test_no_bin_becomes_softer_than_the_floor(tokenizer, given):
    recipe = build_tiny_recipe(sound={"gain_db": 60.0, "equalizer_db": 30.0})
    inputs = Collate(tokenizer, "analysis", recipe)(given)["inputs"]
    assert inputs.min() == -100


@every_stage
def test_what_is_prepared_has_no_gradient(tokenizer, given, stage):
    assert torch.is_grad_enabled()
    assert not Collate(tokenizer, stage, BOTH)(given)["inputs"].requires_grad
