"""What the tests remember of Hydra's compositions is what Hydra composes."""

import pytest
from compositions import remembering
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf
from runs import SYNTHETIC, TINY

from audiotok.programs import config_folder


def composed(*overrides):
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", list(overrides), return_hydra_config=True)
    return OmegaConf.to_container(config, resolve=False)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        (*TINY, *SYNTHETIC, "logger=none", "hydra.run.dir=/tmp/run"),
        ("model=bag", "seed=3", "hydra/job_logging=none", "hydra.sweep.dir=x"),
        ("data.root=/a", "data=csv", "+model.added=1", "++seed=2", "features.context=[3,9]"),
        ("experiment=seed", "~callbacks.best"),
    ],
)
def test_a_composition_from_memory_is_hydras(monkeypatch, overrides):
    hydras = ConfigLoaderImpl.load_configuration.hydras
    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", hydras)
    expected = composed(*overrides)
    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", remembering(hydras))
    assert composed(*overrides) == expected  # composed anew
    composed(*overrides, "seed=77")  # which must not change what is remembered
    assert composed(*overrides) == expected


@pytest.mark.parametrize("wrong", ["model.colour=red", "model=berd", "+seed=1", "callbacks@x=default"])
def test_what_hydra_refuses_is_refused(wrong):
    with pytest.raises(ConfigCompositionException):
        composed(wrong)
