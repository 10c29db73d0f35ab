"""What a program would run with: its configuration, composed without starting a run."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf


def compose_program(name: str, overrides: Sequence[str], folders: Sequence[Path]) -> dict[str, Any]:
    """Compose the configuration of a program, with Hydra's own under `hydra`, as plain values.

    References to other keys, `${seed}` for example, stay as they are written.

    Args:
        name: Of the program's YAML.
        overrides: As on its command line.
        folders: Where options lie, that of the program's YAML first.

    Raises:
        HydraException: An override does not fit.
    """
    GlobalHydra.instance().clear()
    others = ",".join(f"file://{folder}" for folder in folders[1:])
    search = [f"hydra.searchpath=[{others}]"] if others else []
    with initialize_config_dir(str(folders[0]), version_base="1.3"):
        config = compose(name, [*overrides, *search], return_hydra_config=True)
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def public_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a configuration by their dotted keys, without Hydra's and private ones."""
    return dict(_leaves({key: value for key, value in config.items() if key != "hydra"}, ""))


def _leaves(node: Mapping[str, Any], parent: str) -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        if str(name).startswith("_"):
            continue
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{parent}{name}.")
        else:
            yield f"{parent}{name}", value
