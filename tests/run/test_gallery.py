"""Test clips to look at: what is shown of them is what was scored."""

import torch
from tiny import fit_vocabulary

from audiotok.loader.waveforms import WaveformReader
from audiotok.run.gallery import choose_examples
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
        assert example.labels == [names[row % len(names)]]
        assert example.predicted[0] == (
            names[predictions.scores[row].argmax()],
            predictions.scores[row].max(),
        )
        assert len(example.predicted) == 2


def test_a_clip_that_is_gone_is_left_out(tiny_corpus, tiny_tokenizer, monkeypatch, caplog):
    from audiotok.errors import UserError

    def gone(*_):
        raise UserError("it is gone")

    monkeypatch.setattr(WaveformReader, "waveform", gone)
    assert choose_examples(tiny_corpus, tiny_tokenizer(), predictions_of(tiny_corpus), 3) == []
    assert caplog.text.count("is not shown: it is gone") == 3


def test_no_examples_are_none(tiny_corpus, tiny_tokenizer):
    assert choose_examples(tiny_corpus, tiny_tokenizer(), predictions_of(tiny_corpus), 0) == []
