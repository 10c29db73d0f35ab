import torch
from tiny_models import LENGTHS, build, build_awake, random_inputs
from torch import nn

from audiotok.model.model import Sizes


@torch.no_grad()
def test_vectors_are_a_linear_layer_on_normalised_frames():
    model, frames = build_awake("frames"), random_inputs("frames")
    normalize = model.normalize
    normal = (frames - normalize.running_mean) / (normalize.running_var + 1e-5).sqrt()
    normal = normal * normalize.weight + normalize.bias
    expected = normal @ model.project.weight.T + model.project.bias
    full = torch.tensor([9, 9, 9])
    torch.testing.assert_close(model.embed(frames, full), expected)


@torch.no_grad()
def test_positions_are_read_by_the_transformer_of_bert():
    frames_model, bert = build_awake("frames"), build_awake("bert")
    bert.encoder.load_state_dict(frames_model.encoder.state_dict())
    bert.classifier.load_state_dict(frames_model.classifier.state_dict())
    vectors = frames_model.embed(random_inputs("frames"), LENGTHS)
    assert torch.equal(frames_model.classify(vectors, LENGTHS), bert.classify(vectors, LENGTHS))


def test_without_words_frames_and_bert_have_the_same_parameters():
    def shapes(model: nn.Module) -> dict[str, torch.Size]:
        inputs = ("words.", "normalize.", "project.")
        return {n: p.shape for n, p in model.named_parameters() if not n.startswith(inputs)}

    assert shapes(build("frames")) == shapes(build("bert"))


@torch.no_grad()
def test_frames_of_any_number_of_dimensions_are_read():
    for n_dimensions in (1, 2, 33):
        sizes = Sizes(10, n_dimensions, 2, 20, 9, 5)
        model = build("frames", sizes=sizes)
        assert model(random_inputs("frames", sizes=sizes), LENGTHS).isfinite().all()
