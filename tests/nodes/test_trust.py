"""A stored configuration builds classes of audiotok and of modules that the user trusts, nothing else."""

import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from audiotok.errors import UserError
from audiotok.nodes import trust
from audiotok.nodes.trust import check_trust, is_own, modules_of, modules_of_command
from audiotok.programs import config_folder

CONFIG = Path("run/config.yaml")


def targets(node):
    """Return every `_target_` in a tree."""
    if isinstance(node, dict):
        own = [node["_target_"]] if "_target_" in node else []
        return own + [found for value in node.values() for found in targets(value)]
    return [found for value in node for found in targets(value)] if isinstance(node, list) else []


def shipped():
    """Return the targets in the YAMLs of the package, without those of Hydra's own settings."""
    files = [path for path in config_folder().rglob("*.yaml") if "hydra" not in path.parts]
    found = {target for path in files for target in targets(yaml.safe_load(path.read_text()))}
    return {target for target in found if target != "audiotok.sweep.Sweep"}


def test_whatever_the_options_name_may_be_built_and_nothing_else_outside_audiotok():
    assert shipped()
    assert all(map(is_own, shipped()))
    assert {target for target in shipped() if not target.startswith("audiotok.")} == set(trust.OTHERS)
    rooms = {target.split(".")[1] for target in shipped() if target.startswith("audiotok.")}
    assert rooms == set(trust.ROOMS)


HOSTILE = [
    "os.system",
    "builtins.eval",
    "site.addsitedir",
    "torch.load",
    "pytorch_lightning.loggers.CSVLogger",
    "pytorch_lightning.callbacks.LambdaCallback",
    "hydra.utils.instantiate",
    "audiotok.data.reading.files.os.system",
    "audiotok.loader.fill.fill_tokens",  # a function
    "audiotok.data.csv.Path",  # imported there
    "audiotok.store.Store",  # no part of a configuration
    "audiotok.data.csv._readable",
    "audiotok.data.csv.__loader__",
    "audiotok.data.csv",
    "audiotok.__main__.CSV",
    "audiotok",
    "os",
    "../evil.Class",
    "",
    7,
    None,
    ["os.system"],
]


@pytest.mark.parametrize("target", HOSTILE)
@pytest.mark.parametrize("place", ["model", "deep"])
def test_other_code_is_refused_wherever_it_stands_before_anything_is_imported(target, place, monkeypatch):
    node = {"_target_": target, "_partial_": True, "_args_": ["touch canary"]}
    config = {"model": node} if place == "model" else {"model": {"layers": [[{"a": {"b": [node]}}]]}}
    monkeypatch.setattr(trust, "get_object", lambda path: pytest.fail(f"{path} is imported"))
    monkeypatch.setitem(sys.modules, "site", None)
    if isinstance(target, list):
        node["_target_"] = target
    with pytest.raises(UserError, match=r"^run/config\.yaml: model.*_target_=.*;") as error:
        check_trust(CONFIG, config)
    assert str(error.value).count("; ") == 1


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"seed": "${oc.env:HOME}"}, r"seed=\$\{oc\.env:HOME\}"),
        ({"a": [{"b": "x${oc.decode:1}"}]}, r"a\.0\.b=x"),
        ({"a": {"${b}": 1}}, r"a\.\$\{b\}"),
        ({"seed": "???"}, r"seed=\?\?\?"),
        ({"defaults": ["/hydra/launcher: joblib"]}, r"defaults"),
        ({"hydra": {"callbacks": {"x": {"_target_": "audiotok.model.bag.Bag"}}}}, "hydra"),
    ],
)
def test_interpolations_and_settings_of_hydra_are_refused(config, named):
    with pytest.raises(UserError, match=named):
        check_trust(CONFIG, config)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the user's, with a class, a function, and `os.system` imported; Python forgets it later."""
    (tmp_path / "mine.py").write_text(
        "from os import system\nimport os\nclass Model: pass\ndef build(): return Model()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("mine", None)


@pytest.mark.parametrize("target", ["mine.Model", "mine.build"])
def test_what_a_trusted_module_defines_may_be_built(mine, target):
    config = {"model": {"_target_": target}}
    with pytest.raises(UserError, match=r"add --trust mine\.$"):
        check_trust(CONFIG, config)
    assert "mine" not in sys.modules
    assert check_trust(CONFIG, config, ["mine"]) is None
    assert import_module("mine").Model


@pytest.mark.parametrize("target", ["mine.system", "mine.os.system"])
def test_what_a_trusted_module_imports_is_not_trusted(mine, target):
    with pytest.raises(UserError, match=r"is defined in (posix|nt); .* --trust"):
        check_trust(CONFIG, {"model": {"_target_": target}}, ["mine"])


def test_a_module_that_begins_alike_is_not_trusted(mine):
    with pytest.raises(UserError, match=r"add --trust mine\.$"):
        check_trust(CONFIG, {"model": {"_target_": "mine.Model"}}, ["min"])
    with pytest.raises(UserError, match=r"--trust=a b is not"):
        check_trust(CONFIG, {}, ["a b"])


def test_a_command_line_trusts_what_it_names(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("_target_: own.models.Mine\nx: ${seed}\n")
    (tmp_path / "broken.yaml").write_text("a: [")
    overrides = ["loss._target_='focal.Focal'", "seed=1", "model._target_=audiotok.model.bag.Bag"]
    assert modules_of_command(overrides, [tmp_path]) == {"own.models", "focal", "audiotok.model.bag"}
    assert modules_of({"a": {"_target_": "audiotok.model.bag.Bag"}, "b": [{"_target_": "x.Y"}]}) == {"x"}
