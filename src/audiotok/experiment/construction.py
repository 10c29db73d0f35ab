"""The tokenizer and the model that a configuration names; neither Lightning nor W&B is imported for them."""

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, ListConfig
from torch import Tensor
from torch.overrides import TorchFunctionMode

from audiotok.errors import UserError
from audiotok.errors.memory import check_memory
from audiotok.experiment.configuration import build_node, model_node
from audiotok.model.model import Model, Sizes
from audiotok.tokens.tokenizer import Tokenizer

_DRAWS = (Tensor.normal_, Tensor.uniform_)


def build_tokenizer(config: DictConfig) -> Tokenizer:
    """Build features and codebooks, not yet fitted."""
    return Tokenizer(build_node(config.features), build_node(config.clustering), build_node(config.sample))


def build_model(config: DictConfig, tokenizer: Tokenizer, clip_seconds: float, n_classes: int) -> Model:
    """Build the model for a vocabulary and a clip length; its initial weights depend on the seed alone."""
    sizes = Sizes.of(tokenizer, n_classes, clip_seconds)
    _check_weights(config, sizes)
    with _seeded(config.seed):
        model = build_node(model_node(config), sizes=sizes)
    assert isinstance(model, Model)
    return model


class _NoDraws(TorchFunctionMode):
    """Draw no initial weights: on the meta device, torch imports its compiler for them, which takes 3 s."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        is_draw = getattr(func, "__module__", None) == "torch.nn.init" or func in _DRAWS
        if is_draw:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def build_on_meta(config: DictConfig, sizes: Sizes) -> Model:
    """Build the model without weights, which takes no memory and little time."""
    with torch.device("meta"), _NoDraws():
        model = build_node(model_node(config), sizes=sizes)
    assert isinstance(model, Model)
    return model


def _check_weights(config: DictConfig, sizes: Sizes) -> None:
    """Refuse a model whose weights cannot fit into memory: it is built without them first."""
    try:
        model = build_on_meta(config, sizes)
        n_parameters = float(sum(weight.numel() for weight in model.parameters()))
    except (UserError, RuntimeError) as error:
        if "overflow" not in str(error):  # the real one may say why; or a model computes with its weights
            return
        n_parameters = math.inf
    counts: dict[str, object] = {
        f"model.{key!s}": value for key, value in model_node(config).items() if _is_count(value)
    }
    counts |= {"clustering.n_clusters": sizes.n_clusters, "clustering.n_codebooks": sizes.n_codebooks}
    check_memory(
        4 * n_parameters, "the model of " + ", ".join(f"{key}={value}" for key, value in counts.items())
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int | ListConfig) and not isinstance(value, bool)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators, which models draw from, for a block; others find them as they were."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=()):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
