from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from hydra.utils import instantiate

from audiotok.errors import UserError
from audiotok.nodes.signature import check_signature

LOGMEL = "audiotok.features.logmel.LogMel"
AUDIOSET = "audiotok.data.audioset.AudioSet"
VALIDATION = "audiotok.data.validation.Validation"


class Example:
    """What a user might add: hints of every sort."""

    def __init__(
        self,
        whole: int = 0,
        real: float = 0.0,
        text: str = "",
        truth: bool = False,
        maybe: int | None = None,
        choice: Literal["a", "b"] = "a",
        many: list[str] | None = None,
        pair: tuple[float, float] = (0.0, 1.0),
        table: dict[str, int] | None = None,
        folder: Path | None = None,
        unhinted=None,
    ) -> None:
        self.pair, self.folder = pair, folder


def example(**arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{__name__}.Example", **arguments}


def takes_anything(whole: int, **others: int) -> None:
    """Be a function with keyword arguments of any name."""


def with_a_hint_that_cannot_be_read(whole: "Nowhere") -> None:  # noqa: F821
    """Be a function of a library whose hints cannot be evaluated."""


# ---- right values ----


@pytest.mark.parametrize(
    "arguments",
    [
        {"whole": 3},
        {"real": 0.5},
        {"real": 3},
        {"text": "3"},
        {"text": ""},
        {"truth": True},
        {"maybe": 3},
        {"maybe": None},
        {"choice": "b"},
        {"many": ["a", "b"]},
        {"many": []},
        {"table": {"a": 1}},
        {"unhinted": b"anything"},
        {},
    ],
    ids=str,
)
def test_right_value_passes(arguments):
    assert check_signature("example", example(**arguments)) is None


def test_list_is_right_for_a_tuple_since_yaml_has_no_tuples():
    node = example(pair=[0.9, 0.999])
    assert instantiate(node).pair == [0.9, 0.999]  # it works
    check_signature("example", node)


def test_text_is_right_for_a_path_since_yaml_has_no_paths():
    assert check_signature("example", example(folder="outputs")) is None


def test_value_that_is_no_node_passes():
    for value in (None, 3, "text", [1, 2], {}, {"a": {"b": 1}}):
        assert check_signature("anything", value) is None


def test_keys_of_hydra_pass():
    assert (
        check_signature("example", example(whole=3, _partial_=True, _convert_="all", _recursive_=False))
        is None
    )


def test_node_that_stands_for_an_argument_is_not_held_against_its_hint():
    node = {
        "_target_": AUDIOSET,
        "validation": {"_target_": VALIDATION, "first_characters": "", "fraction": 0.1, "seed": 0},
    }
    assert check_signature("data", node) is None


# ---- wrong values ----


@pytest.mark.parametrize(
    ("arguments", "shown", "expected"),
    [
        ({"whole": "3"}, "example.whole=3", "int"),
        ({"whole": 3.0}, "example.whole=3.0", "int"),
        ({"whole": 3.5}, "example.whole=3.5", "int"),
        ({"whole": True}, "example.whole=true", "int"),
        ({"whole": None}, "example.whole=null", "int"),
        ({"whole": [3]}, "example.whole=[3]", "int"),
        ({"real": "fast"}, "example.real=fast", "float"),
        ({"real": True}, "example.real=true", "float"),
        ({"text": 3}, "example.text=3", "str"),
        ({"truth": 1}, "example.truth=1", "bool"),
        ({"truth": "yes"}, "example.truth=yes", "bool"),
        ({"maybe": "x"}, "example.maybe=x", "int or null"),
        ({"choice": "c"}, "example.choice=c", "a, b"),
        ({"many": "a"}, "example.many=a", "a list of str"),
        ({"many": [1]}, "example.many=[1]", "a list of str"),
        ({"pair": [1.0]}, "example.pair=[1.0]", "[float, float]"),
        ({"pair": ["a", "b"]}, "example.pair=['a', 'b']", "[float, float]"),
        ({"table": {"a": "b"}}, "example.table={'a': 'b'}", "dict[str, int]"),
    ],
    ids=str,
)
def test_wrong_value_is_one_sentence_with_key_value_and_expected_type(arguments, shown, expected):
    with pytest.raises(UserError) as raised:
        check_signature("example", example(**arguments))
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith(f"{shown} ")
    assert expected in message.rpartition("; ")[2]


def test_null_is_called_null_in_what_is_expected():
    with pytest.raises(UserError, match=r"give int or null\."):
        check_signature("example", example(maybe="x"))


@pytest.mark.parametrize(
    ("node", "shown"),
    [
        ({"_target_": LOGMEL, "hop_length": 512.0}, "features.hop_length=512.0"),
        ({"_target_": LOGMEL, "normalization": "minmax"}, "features.normalization=minmax"),
        ({"_target_": AUDIOSET, "train_sets": "bal_train"}, "features.train_sets=bal_train"),
        ({"_target_": AUDIOSET, "train_sets": ["balanced"]}, "features.train_sets=['balanced']"),
    ],
    ids=str,
)
def test_our_own_hints_are_checked(node, shown):
    with pytest.raises(UserError) as raised:
        check_signature("features", node)
    assert str(raised.value).startswith(shown)


def test_node_in_a_node_is_checked_under_its_own_key():
    node = {"_target_": AUDIOSET, "validation": {"_target_": VALIDATION, "fraction": "a tenth"}}
    with pytest.raises(UserError, match=r"^data\.validation\.fraction=a tenth "):
        check_signature("data", node)


def test_node_below_a_group_without_a_target_is_checked():
    with pytest.raises(UserError, match=r"^callbacks\.first\.fraction=a tenth "):
        check_signature("callbacks", {"first": {"_target_": VALIDATION, "fraction": "a tenth"}})


def test_node_in_a_list_is_checked():
    with pytest.raises(UserError, match="fraction=a tenth "):
        check_signature("callbacks", {"all": [{"_target_": VALIDATION, "fraction": "a tenth"}]})


# ---- unknown keys ----


def test_unknown_key_is_one_sentence_that_lists_the_known_ones():
    with pytest.raises(UserError) as raised:
        check_signature("data.validation", {"_target_": VALIDATION, "fractoin": 0.1})
    message = str(raised.value)
    assert message.startswith(f"data.validation.fractoin=0.1 is not understood by {VALIDATION}; ")
    assert "first_characters, fraction, seed" in message
    assert "\n" not in message


def test_unknown_key_whose_value_is_a_node_is_refused():
    node = {"_target_": LOGMEL, "filters": {"_target_": VALIDATION, "fraction": 0.1}}
    with pytest.raises(UserError, match=r"^features\.filters="):
        check_signature("features", node)


def test_function_that_takes_any_key_gets_it_and_its_own_are_checked():
    node = {"_target_": f"{__name__}.takes_anything", "whole": 1, "more": "x"}
    check_signature("example", node)
    with pytest.raises(UserError, match=r"^example\.whole=x "):
        check_signature("example", node | {"whole": "x"})


# ---- third parties ----


@pytest.mark.parametrize(
    "node",
    [
        {
            "_target_": "pytorch_lightning.Trainer",
            "max_epochs": 3,
            "accelerator": "auto",
            "devices": "auto",
            "precision": "bf16-mixed",
            "gradient_clip_val": 1.0,
            "limit_train_batches": 0.5,
            "default_root_dir": "outputs",
            "enable_progress_bar": None,
        },
        {
            "_target_": "pytorch_lightning.callbacks.ModelCheckpoint",
            "monitor": "val/mAP",
            "dirpath": "checkpoints",
            "save_last": True,
        },
        {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "val/mAP", "patience": 5},
        {"_target_": "pytorch_lightning.callbacks.LearningRateMonitor", "logging_interval": "step"},
        {"_target_": "pytorch_lightning.loggers.TensorBoardLogger", "save_dir": "outputs"},
        {"_target_": "pytorch_lightning.loggers.WandbLogger", "project": "audiotok", "save_dir": "outputs"},
        {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": 0.9},
        {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 2, "device": "cpu"},
        {"_target_": "transformers.BertConfig", "hidden_size": 64},
        {"_target_": "datetime.timedelta", "hours": 1},
        {"_target_": "builtins.dict", "a": 1},
        {"_target_": "collections.Counter", "a": 1},
        {"_target_": f"{__name__}.with_a_hint_that_cannot_be_read", "whole": 1},
    ],
    ids=lambda node: node["_target_"],
)
def test_right_values_of_third_parties_pass(node):
    assert check_signature("other", node) is None


@pytest.mark.parametrize(
    ("node", "shown"),
    [
        ({"_target_": "pytorch_lightning.Trainer", "max_epochs": "many"}, "trainer.max_epochs=many"),
        ({"_target_": "pytorch_lightning.Trainer", "max_epoch": 3}, "trainer.max_epoch=3"),
        ({"_target_": "torch.optim.SGD", "lr": "fast"}, "trainer.lr=fast"),
    ],
    ids=str,
)
def test_wrong_values_of_third_parties_are_refused(node, shown):
    with pytest.raises(UserError) as raised:
        check_signature("trainer", node)
    assert str(raised.value).startswith(f"{shown} ")


def test_object_that_yaml_cannot_write_passes():
    node = {
        "_target_": "pytorch_lightning.callbacks.ModelCheckpoint",
        "train_time_interval": timedelta(minutes=5),
    }
    assert check_signature("callbacks.checkpoint", node) is None


def test_target_that_does_not_exist_is_one_sentence():
    with pytest.raises(UserError) as raised:
        check_signature("features", {"_target_": "audiotok.features.logmel.LogMle", "n_fft": 256})
    message = str(raised.value)
    assert message.startswith("features._target_=audiotok.features.logmel.LogMle ")
    assert "\n" not in message
