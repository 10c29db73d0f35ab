"""Hydra's compositions, remembered: a command that chooses the same options composes no YAML again.

To compose takes 0.2 s, a fifth of a tiny run, and tests run some hundreds. What options give is composed once
in a process; the values of a command line are then put into a copy of it, by Hydra's own function.
`test_compositions.py` compares the result with Hydra's.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

Load = Callable[..., DictConfig]


def remembering(load: Load) -> Load:
    """Return `ConfigLoaderImpl.load_configuration` with a memory of what options give."""
    memory: dict[tuple[Any, ...], DictConfig] = {}

    def load_configuration(
        self: ConfigLoaderImpl, config_name: str | None, overrides: list[str], run_mode: Any, **how: Any
    ) -> DictConfig:
        try:
            given = OverridesParser.create().parse_overrides(overrides)
            stored = f"{config_name}.yaml" in ConfigStore.instance().repo  # by `repeat`, for once
            if stored or any(map(_is_unusual, given)):
                raise ValueError("as Hydra does it")
            options = [override for override in given if self.repository.group_exists(override.key_or_group)]
            chosen = tuple(str(override.input_line) for override in options)
            sources = tuple(str(element) for element in self.config_search_path.get_path())
            key = (sources, config_name, run_mode, chosen, tuple(how.items()))
            if key not in memory:
                memory[key] = load(self, config_name, list(chosen), run_mode, **how)
            config = copy.deepcopy(memory[key])
            values = [override for override in given if override not in options]
            ConfigLoaderImpl._apply_overrides_to_config(values, config)
        except Exception:  # whatever is wrong, Hydra says it
            return load(self, config_name, overrides, run_mode, **how)
        _enter(config, given)
        return config

    load_configuration.hydras = load  # type: ignore[attr-defined]
    return load_configuration


def _is_unusual(override: Override) -> bool:
    """Tell whether an override does more than choose an option or give a value."""
    special = override.is_delete() or override.is_sweep_override() or override.package is not None
    return special or override.key_or_group == "hydra.searchpath"


def _enter(config: DictConfig, given: Sequence[Override]) -> None:
    """Write the overrides into Hydra's node, as `ConfigLoaderImpl` does."""
    settings = config.hydra
    of_task = [override for override in given if not override.is_hydra_override()]
    settings.overrides.task = [override.input_line for override in of_task]
    settings.overrides.hydra = [override.input_line for override in given if override.is_hydra_override()]
    settings.runtime.cwd = str(Path.cwd())
    dirname = settings.job.config.override_dirname
    settings.job.override_dirname = get_overrides_dirname(
        overrides=of_task,
        kv_sep=dirname.kv_sep,
        item_sep=dirname.item_sep,
        exclude_keys=dirname.exclude_keys,
    )
