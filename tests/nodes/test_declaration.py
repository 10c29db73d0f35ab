"""What the source of a class says of its arguments is what the class itself says."""

from inspect import Parameter

import pytest
import yaml
from hydra.utils import get_object

from audiotok.nodes.declaration import UndeclaredError, declared_arguments
from audiotok.nodes.signature import arguments
from audiotok.programs import config_folder


def targets() -> list[str]:
    """Return all that the configs name."""
    found: set[str] = set()

    def collect(node: object) -> None:
        if isinstance(node, dict):
            found.update({node["_target_"]} if "_target_" in node else ())
            for value in node.values():
                collect(value)

    for path in config_folder().rglob("*.yaml"):
        collect(yaml.safe_load(path.read_text()))
    return sorted(found)


def agree(target: str) -> set[str]:
    """Compare the source of a target with what is imported; return the arguments whose types are certain."""
    declared, declared_any = declared_arguments(target)
    imported, imported_any = arguments(get_object(target))
    assert declared_any or declared.keys() == imported.keys()
    assert declared.keys() <= imported.keys()
    assert declared_any or not imported_any
    certain = {name for name, p in declared.items() if p.annotation is not Parameter.empty}
    assert {n: declared[n].annotation for n in certain} == {n: imported[n].annotation for n in certain}
    has_default = {name for name, parameter in imported.items() if parameter.default is not Parameter.empty}
    for name, parameter in declared.items():
        assert (parameter.default is not Parameter.empty) == (name in has_default), name
    return certain


def test_the_source_agrees_with_what_is_imported_for_all_that_the_configs_name():
    agreed, undeclared = {}, []
    for target in targets():
        try:
            agreed[target] = agree(target)
        except UndeclaredError:
            undeclared.append(target)
    assert len(undeclared) < 4, undeclared
    assert {"n_clusters", "n_codebooks"} <= agreed["audiotok.clustering.product.Product"]
    assert {"pooling", "num_layers"} <= agreed["audiotok.model.bert.Bert"], "also what it hands on"
    assert {"root", "classes", "cache", "clip_seconds"} <= agreed["audiotok.data.csv.CSV"], "also of its base"
    assert "max_epochs" in agreed["pytorch_lightning.Trainer"]


@pytest.mark.parametrize("target", ["nowhere.Focal", "builtins.dict", "os.nothing", "x"])
def test_what_has_no_plain_source_is_undeclared(target):
    with pytest.raises(UndeclaredError):
        agree(target)


def test_a_module_of_ones_own_is_read_and_not_imported(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import torch, does_not_exist\n"
        "from dataclasses import dataclass, field, KW_ONLY\n"
        "from typing import ClassVar, Literal, TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from collections.abc import Sequence\n"
        "Mode = Literal['a', 'b']\n"
        "@dataclass\nclass Base:\n    rate: int\n    kind: ClassVar[str] = 'x'\n"
        "@dataclass(frozen=True)\nclass Mine(Base):\n    _: KW_ONLY\n    mode: 'Mode' = 'a'\n"
        "    more: 'Sequence[int]' = ()\n    net: torch.nn.Module = None\n    n: int = field(init=False)\n"
        "class Child(Mine):\n    pass\n"
        "Loop = Loop\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("Mine", "Child"):
        found, takes_anything = declared_arguments(f"mine.{name}")
        assert list(found) == ["rate", "mode", "more", "net"]
        assert not takes_anything
        assert found["rate"].annotation is int
        assert found["net"].annotation is Parameter.empty
        assert found["rate"].default is Parameter.empty
    with pytest.raises(UndeclaredError):
        declared_arguments("mine.Loop")
