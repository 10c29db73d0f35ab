from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny import build_tiny_tokenizer, dataset_of, path_of

from audiotok.data.clip import Clip, SoundClass
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import Corpus
from audiotok.errors import UserError
from audiotok.loader.clips import Batch, ClipDataset, Draw

MakeClip = Callable[..., Clip]
FEATURES = build_tiny_tokenizer().features
CLASSES = tuple(SoundClass(name, name) for name in ("a", "b", "c", "d"))


def dataset(*clips: Clip, **arguments: object) -> ClipDataset:
    """Return the training clips of a corpus of 1 s clips, waveforms unless something else is asked for."""
    corpus = Corpus(CLASSES, {"train": Catalogue.of(clips)}, clip_seconds=1.0)
    return dataset_of(corpus, "train", FEATURES, **{"content": "waveform", **arguments})


def only(clips: ClipDataset, draw: Draw | int = 0) -> Batch:
    """Return a batch of one draw, without the dimension of the batch."""
    return {key: value[0] for key, value in clips.__getitems__([draw]).items()}


def ramp(n_samples: int) -> np.ndarray:
    """Return samples that say where they stand: 0, 1, 2, ... in units of 1/65536."""
    return np.arange(n_samples, dtype=np.float32) / 2**16


def start_of(waveform: torch.Tensor) -> int:
    return round(float(waveform[0]) * 2**16)


# ---- length ----


def test_a_short_clip_is_padded_with_zeros(make_clip):
    samples = ramp(5000) + 1
    item = only(dataset(make_clip("short", samples=samples)))
    assert item["waveform"].shape == (8000,)
    assert int(item["n_samples"]) == 5000
    assert torch.equal(item["waveform"][:5000], torch.from_numpy(samples))
    assert not item["waveform"][5000:].any()


def test_a_clip_of_the_right_length_stays_unchanged(make_clip):
    item = only(dataset(make_clip("right", samples=ramp(8000))))
    assert int(item["n_samples"]) == 8000
    assert torch.equal(item["waveform"], torch.from_numpy(ramp(8000)))


def test_a_long_clip_is_cropped_to_its_middle(make_clip):
    item = only(dataset(make_clip("long", samples=ramp(20000))))
    assert int(item["n_samples"]) == 8000
    assert torch.equal(item["waveform"], torch.from_numpy(ramp(20000)[6000:14000]))


def test_a_clip_of_another_rate_is_resampled(make_clip):
    tone = np.sin(2 * np.pi * 440 * np.arange(16000 * 3) / 16000)
    item = only(dataset(make_clip("tone", samples=tone, rate=16000)))
    assert item["waveform"].shape == (8000,)
    assert int(item["n_samples"]) == 8000
    spectrum = np.abs(np.fft.rfft(item["waveform"].numpy()))
    assert np.argmax(spectrum) == 440


def test_a_short_clip_of_another_rate_is_padded(make_clip):
    item = only(dataset(make_clip("low", samples=np.ones(2000), rate=4000)))
    assert abs(int(item["n_samples"]) - 4000) <= 1
    assert not item["waveform"][4000:].any()
    assert item["waveform"][100:3900].mean() == pytest.approx(1, abs=0.01)


# ---- random crops ----


def test_the_same_seed_gives_the_same_crop(make_clip):
    clips = dataset(make_clip("long", samples=ramp(40000)), random_crop=True)
    assert torch.equal(only(clips, Draw(0, 5))["waveform"], only(clips, Draw(0, 5))["waveform"])


def test_other_seeds_give_other_crops_all_over_the_clip(make_clip):
    clips = dataset(make_clip("long", samples=ramp(40000)), random_crop=True)
    starts = [start_of(only(clips, Draw(0, seed))["waveform"]) for seed in range(60)]
    assert len(set(starts)) > 50
    assert 0 <= min(starts) < 6000
    assert 26000 < max(starts) <= 32000


def test_a_random_crop_is_a_full_stretch_of_the_clip(make_clip):
    clips = dataset(make_clip("long", samples=ramp(40000)), random_crop=True)
    for seed in range(10):
        item = only(clips, Draw(0, seed))
        start = start_of(item["waveform"])
        assert int(item["n_samples"]) == 8000
        assert torch.equal(item["waveform"], torch.from_numpy(ramp(40000)[start : start + 8000]))


def test_without_random_crop_the_seed_changes_nothing(make_clip):
    clips = dataset(make_clip("long", samples=ramp(40000)))
    assert (
        start_of(only(clips, Draw(0, 1))["waveform"])
        == start_of(only(clips, Draw(0, 2))["waveform"])
        == 16000
    )


def test_a_random_crop_leaves_short_clips_alone(make_clip):
    clip = make_clip("short", samples=ramp(5000) + 1)
    cropped = only(dataset(clip, random_crop=True), Draw(0, 3))
    assert torch.equal(cropped["waveform"], only(dataset(clip))["waveform"])


# ---- labels, mel frames, index ----


@pytest.mark.parametrize("labels", [(2,), (0, 3), (3, 1, 0), ()])
def test_targets_are_multi_hot(make_clip, labels):
    targets = only(dataset(make_clip("clip", labels=labels)))["targets"]
    assert targets.dtype == torch.float32
    assert targets.tolist() == [float(i in labels) for i in range(4)]


def test_mel_frames_are_those_of_the_padded_waveform(make_clip):
    clips = [make_clip("a short one", 0.4), make_clip("b long one", 1.5)]
    as_waveforms, as_mel = dataset(*clips), dataset(*clips, content="analysis")
    for index in range(2):
        item, waveform = only(as_mel, index), only(as_waveforms, index)["waveform"]
        n_samples = only(as_waveforms, index)["n_samples"]
        expected, n_expected = FEATURES.analyze(waveform[None], n_samples[None])
        assert torch.equal(item["analysis"], expected[0])
        assert item["analysis"].dtype == torch.float16
        assert item["analysis"].shape == (FEATURES.n_slices(8000), FEATURES.n_bins)
        assert int(item["n_slices"]) == int(n_expected) == FEATURES.n_slices((3200, 8000)[index])


def test_an_item_has_either_mel_frames_or_a_waveform(make_clip):
    clip = make_clip("clip")
    assert set(only(dataset(clip))) == {"index", "seed", "targets", "waveform", "n_samples"}
    assert set(only(dataset(clip, content="analysis"))) == {
        "index",
        "seed",
        "targets",
        "analysis",
        "n_slices",
    }


@pytest.mark.parametrize("content", ["waveform", "analysis"])
def test_an_item_knows_the_seed_of_its_visit(make_clip, content):
    clips = dataset(make_clip("a"), content=content)
    assert [
        only(clips, Draw(0, 2**32 - 1))["seed"],
        only(clips, Draw(0, 7))["seed"],
        only(clips, 0)["seed"],
    ] == [
        2**32 - 1,
        7,
        0,
    ]


def test_a_random_crop_is_also_one_of_mel_frames(make_clip):
    clip = make_clip("long", 5.0)
    as_waveforms, as_mel = (dataset(clip, random_crop=True, content=c) for c in ("waveform", "analysis"))
    crops = [only(as_waveforms, Draw(0, seed)) for seed in range(3)]
    mels = [only(as_mel, Draw(0, seed))["analysis"] for seed in range(3)]
    for crop, mel in zip(crops, mels, strict=True):
        assert torch.equal(mel, FEATURES.analyze(crop["waveform"][None], crop["n_samples"][None])[0][0])
    assert not torch.equal(mels[0], mels[1])


def test_an_item_knows_its_index(make_clip):
    clips = dataset(make_clip("a"), make_clip("b"), make_clip("c"))
    assert len(clips) == 3
    assert [only(clips, 2)["index"], only(clips, Draw(1, 99))["index"]] == [2, 1]


@pytest.mark.parametrize("content", ["waveform", "analysis"])
def test_a_batch_is_its_clips_one_by_one_in_the_order_asked_for(make_clip, content):
    made = [
        make_clip(name, seconds, (i,))
        for i, (name, seconds) in enumerate(zip("abc", (0.5, 1.7, 1.0), strict=True))
    ]
    clips = dataset(*made, content=content, random_crop=True)
    draws = [Draw(2, 5), Draw(0, 6), Draw(1, 7), Draw(1, 8)]
    batch = clips.__getitems__(draws)
    assert torch.stack([batch["index"], batch["seed"]], 1).tolist() == [list(draw) for draw in draws]
    for i, draw in enumerate(draws):
        for key, value in only(clips, draw).items():
            assert torch.equal(batch[key][i], value), key
            assert batch[key].dtype == value.dtype
    assert not torch.equal(batch[content][2], batch[content][3])


# ---- files that change after inspection ----


def test_a_file_that_vanished_after_inspection_is_one_sentence(make_clip):
    clip = make_clip("gone")
    clips = dataset(clip)
    path_of(clip).unlink()
    sentence = (
        r"gone\.wav could be read when it was inspected and cannot be now \(.+\); "
        r"start again with data\.scan=always and data\.check=decode, and .*\.$"
    )
    with pytest.raises(UserError, match=sentence):
        only(clips, 0)


def test_a_file_that_broke_after_inspection_is_one_sentence(make_clip):
    clip = make_clip("broken")
    clips = dataset(clip)
    path_of(clip).write_bytes(b"no sound")
    with pytest.raises(UserError, match=r"broken\.wav could be read when it was inspected"):
        only(clips, 0)
