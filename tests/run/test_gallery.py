"""Test clips to look at: what is shown of them is what was scored."""

import json

import numpy as np
import soundfile
import torch
from PIL import Image
from tiny import fit_vocabulary

from audiotok.loader.waveforms import WaveformReader
from audiotok.run.folder import RunFolder
from audiotok.run.gallery import choose_examples, write_examples
from audiotok.store import Store
from audiotok.training.calibration import Calibration
from audiotok.training.predictions import Predictions


def predictions_of(corpus) -> Predictions:
    n_clips, n_classes = len(corpus.clips["test"]), len(corpus.classes)
    logits = torch.rand(n_clips, n_classes, generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(n_clips, n_classes, dtype=torch.bool)
    targets[torch.arange(n_clips), torch.arange(n_clips) % n_classes] = True
    calibration = Calibration.plain(n_classes)
    return Predictions(torch.arange(n_clips), logits, targets, torch.zeros(n_classes), calibration)


def test_an_example_is_a_clip_its_tokens_labels_and_likeliest_classes(tiny_corpus, tiny_tokenizer, tmp_path):
    tokenizer, predictions = tiny_tokenizer(), predictions_of(tiny_corpus)
    fit_vocabulary(tokenizer, tiny_corpus, Store(tmp_path))
    examples = choose_examples(tiny_corpus, tokenizer, predictions, n_examples=3, n_predicted=2)
    assert len(examples) == 3
    reader = WaveformReader(tiny_corpus.clips["test"], tiny_corpus.clip_seconds, tokenizer.features)
    ids = tiny_corpus.clips["test"].ids(predictions.clips.numpy())
    names = [sound_class.name for sound_class in tiny_corpus.classes]
    for example in examples:
        row = list(ids).index(example.id)
        waveform, n_samples = reader.waveform(tiny_corpus.clips["test"][row])
        tokens, n_tokens = tokenizer(waveform[None], torch.tensor([n_samples]))
        assert torch.equal(torch.from_numpy(example.tokens), tokens[0, : n_tokens[0]])
        assert torch.equal(torch.from_numpy(example.waveform), waveform[:n_samples])
        assert example.picture.width > example.picture.height > 0
        assert example.labels == [names[row % len(names)]]
        assert example.predicted[0] == (
            names[predictions.scores[row].argmax()],
            predictions.scores[row].max(),
        )
        assert len(example.predicted) == 2
    check_folder(RunFolder(tmp_path / "run"), examples)


def check_folder(folder, examples) -> None:
    for some in (examples, examples[:2]):  # the second time in place of the first
        write_examples(folder, some)
        names = {f"{n}.{ending}" for n in range(1, len(some) + 1) for ending in ("flac", "png", "json")}
        names |= {f"{n}_decoded.flac" for n in range(1, len(some) + 1)}
        assert {path.name for path in folder.examples.iterdir()} == names
    for number, example in enumerate(examples[:2], 1):
        sound, rate = soundfile.read(folder.examples / f"{number}.flac", dtype="float32")
        assert rate == example.rate
        np.testing.assert_allclose(sound, example.waveform.clip(-1, 1), atol=1 / 30_000)
        about = json.loads((folder.examples / f"{number}.json").read_text())
        assert (about["id"], about["labels"]) == (example.id, example.labels)
        assert about["tokens"] == example.tokens.tolist()
        with Image.open(folder.examples / f"{number}.png") as picture:
            assert picture.size == example.picture.size


def test_a_clip_that_is_gone_is_left_out(tiny_corpus, tiny_tokenizer, monkeypatch, caplog):
    from audiotok.errors import UserError

    def gone(*_):
        raise UserError("it is gone")

    monkeypatch.setattr(WaveformReader, "waveform", gone)
    assert choose_examples(tiny_corpus, tiny_tokenizer(), predictions_of(tiny_corpus), 3) == []
    assert caplog.text.count("is not shown: it is gone") == 3


def test_no_examples_are_none(tiny_corpus, tiny_tokenizer):
    assert choose_examples(tiny_corpus, tiny_tokenizer(), predictions_of(tiny_corpus), 0) == []
