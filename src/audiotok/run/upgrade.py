"""Configurations of earlier versions, translated into today's.

The config.yaml of a run names classes by their dotted paths and arguments by their keys. Whoever moves such
a class, or renames or adds such a key, enters it in one of these tables, and every run folder stays readable:
`RunFolder.read_config` applies them wherever a configuration is read.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

ROOT = ""  # in the tables below: the root of the configuration, which names no class

# Classes that have moved: the dotted path they had, and the one they have today.
MOVED = {
    "audiotok.logger.csv.build": "audiotok.logger.csv.Csv",
    "audiotok.logger.tensorboard.build": "audiotok.logger.tensorboard.TensorBoard",
    "audiotok.logger.wandb.build": "audiotok.logger.wandb.Wandb",
    "audiotok.loss.bce.BCE": "audiotok.training.loss.BCE",
    "audiotok.metrics.multilabel.TaggingMetrics": "audiotok.training.metrics.TaggingMetrics",
    "audiotok.objective.masked_tokens.MaskedTokens": "audiotok.training.objective.MaskedTokens",
    "audiotok.optimizer.adamw.AdamW": "audiotok.training.optimizer.AdamW",
    "audiotok.schedule.constant.Constant": "audiotok.training.schedule.Constant",
    "audiotok.schedule.cosine.Cosine": "audiotok.training.schedule.Cosine",
}

# Keys that have another name or place today, by the class that they belong to, as it is called today. Both
# are dotted from the node of that class: {"num_layers": "encoder.num_layers"} moves a key into a node.
RENAMED: dict[str, dict[str, str]] = {
    ROOT: {
        "clustering.sample_frames": "sample.n_frames",
        "clustering.sample_clips": "sample.n_clips",
        "clustering.sample_gb": "sample.max_gb",
    },
}

# Keys that earlier configurations lack, by class, with the value that does what was done without them.
ADDED: dict[str, dict[str, Any]] = {
    "audiotok.logger.csv.Csv": {"n_examples": 0},
    "audiotok.logger.none.Silent": {"n_examples": 0},
    "audiotok.logger.tensorboard.TensorBoard": {"n_examples": 0},
    "audiotok.model.bag.Bag": {"freeze": False},
    "audiotok.model.bert.Bert": {"freeze": False},
    "audiotok.model.cnn.CNN": {"freeze": False},
    "audiotok.model.frames.Frames": {"freeze": False},
    "audiotok.model.lstm.LSTM": {"freeze": False},
    ROOT: {
        "sample._target_": "audiotok.tokens.sample.Sampling",
        "data.segment_seconds": None,
        "tokenizer": None,
        "logger._target_": "audiotok.logger.none.Silent",
        "threads": "auto",  # they had as many as torch takes, or OMP_NUM_THREADS says
    },
}


def upgraded(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as today's version writes it; the one that is given stays as it is.

    Args:
        config: Resolved; dictionaries, lists and plain values.

    Raises:
        ValueError: It is damaged: a key that must lead to others has a value.
    """
    whole = _apply(ROOT, deepcopy(dict(config)))
    return {key: _upgraded_node(value) for key, value in whole.items()}


def _upgraded_node(node: Any) -> Any:
    if isinstance(node, list):
        return [_upgraded_node(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    upgraded_node = {key: _upgraded_node(value) for key, value in node.items()}
    target = upgraded_node.get("_target_")
    if not isinstance(target, str):
        return upgraded_node
    target = MOVED.get(target, target)
    return _apply(target, {**upgraded_node, "_target_": target})


def _apply(target: str, node: dict[str, Any]) -> dict[str, Any]:
    """Rename and add the keys of one node."""
    for before, now in RENAMED.get(target, {}).items():
        parent, name = _parent(node, before)
        if name in parent:
            _put(node, now, parent.pop(name))
    for key, value in ADDED.get(target, {}).items():
        parent, name = _parent(node, key)
        if name not in parent:
            _put(node, key, value)
    return node


def _parent(node: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """Return the dictionary that contains a dotted key, empty where there is none, and its last part."""
    *groups, name = key.split(".")
    for group in groups:
        inner = node.get(group)
        node = inner if isinstance(inner, dict) else {}
    return node, name


def _put(node: dict[str, Any], key: str, value: Any) -> None:
    *groups, name = key.split(".")
    for group in groups:
        node = node.setdefault(group, {})
        if not isinstance(node, dict):
            raise ValueError(f"{group} is {node!r:.40}, and {name} is looked for below it")
    node[name] = value
