"""The copy of a configuration that a run's folder keeps: resolved, and independent of the working folder.

`audiotok repeat` reads it, called from anywhere. Paths below the home folder (`~`) and URLs stay as they are.
"""

from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from audiotok.data.reading.files import is_url
from audiotok.data.reading.passwords import conceal, hide
from audiotok.disk.writing import write_text

# Keys with a folder, or with a name on the Hugging Face Hub.
NAMES = ("features.name", "clustering.name")
# Keys with a path of its own; the other paths of `data` are relative to `data.root`.
PATHS = ("cache_dir", "ckpt_path", "model.init_from", "tokenizer", "data.root", "data.cache_dir")


def as_yaml(config: DictConfig) -> str:
    """Return the configuration as it is kept; it stays as it is itself."""
    copy = config.copy()
    OmegaConf.resolve(copy)
    for key in (*PATHS, *NAMES):
        path = OmegaConf.select(copy, key, default=None)
        if (absolute := _absolute(key, path)) != path:
            OmegaConf.update(copy, key, absolute)
    return OmegaConf.to_yaml(copy)


def anchored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a configuration with absolute paths; those of earlier versions may be relative."""
    copy = deepcopy(dict(values))
    for key in (*PATHS, *NAMES):
        *groups, name = key.split(".")
        node = copy
        for group in groups:
            node = node.get(group) or {}
        if isinstance(node, dict) and name in node:
            node[name] = _absolute(key, node[name])
    return copy


def _absolute(key: str, path: Any) -> Any:
    if not isinstance(path, str) or not path or path.startswith("~") or is_url(path):
        return path
    if key in NAMES and not Path(path).is_dir():
        return path
    return str(Path(path).absolute())


def leave_out_passwords(config: DictConfig, written: Path) -> None:
    """Leave the passwords in the URLs of `data` out of a configuration, and of what Hydra has written of it.

    A password on the command line has been left out before; here are those of YAML and of the environment.

    Args:
        config: Composed; changed in place.
        written: The folder of Hydra's own YAML files.
    """
    found, data = False, None
    with suppress(OmegaConfBaseException):  # what cannot be resolved is told by the checks
        data = OmegaConf.to_container(config.data, resolve=True)
    for key, url in _texts("data", data):
        if (concealed := conceal(url)) != url:
            OmegaConf.update(config, key, concealed)
            found = True
    for path in sorted(written.glob("*.yaml")) if found else ():
        write_text(path, hide(path.read_text(encoding="utf-8")))


def _texts(key: str, node: Any) -> list[tuple[str, str]]:
    if isinstance(node, dict):
        return [found for name, value in node.items() for found in _texts(f"{key}.{name}", value)]
    if isinstance(node, list):
        return [found for i, value in enumerate(node) for found in _texts(f"{key}.{i}", value)]
    return [(key, node)] if isinstance(node, str) and "://" in node else []
