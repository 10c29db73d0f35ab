"""Audio models of transformers, read from a folder or from the Hugging Face Hub as data alone.

Weights are read from safetensors, never from pickles, and no code of a repository is executed. Models are
frozen and compute in float32. A checksum identifies weights and settings: names do not, for what they name
may change. Importing this module loads neither torch nor transformers.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from audiotok.disk.keys import content_key
from audiotok.errors import UserError

_CONFIG, _WEIGHTS = "config.json", "*.safetensors"
_EXTRACTORS = ("preprocessor_config.json", "processor_config.json")
# Weights that only training uses; some checkpoints lack them.
_UNUSED = ("masked_spec_embed",)
_OF_THE_VERSION = {"transformers_version", "torch_dtype", "dtype", "architectures"}  # not of the content
_OFFLINE = {"LocalEntryNotFoundError", "OfflineModeIsEnabled", "ConnectionError", "ConnectError", "Timeout"}


@dataclass(frozen=True)
class Pretrained:
    """A model of transformers, ready for use.

    Args:
        model: Frozen, in evaluation mode, float32, on the CPU.
        extractor: Its feature extractor: waveforms to inputs.
        checksum: 16 hex digits that identify its weights and settings.
    """

    model: Any
    extractor: Any
    checksum: str

    @property
    def kind(self) -> str:
        """The type of the model as transformers calls it, `hubert` for example."""
        return str(self.model.config.model_type)


def check_name(key: str, name: str | None) -> None:
    """Check what the disk alone can tell of a model's name, without torch.

    Args:
        key: The configuration's key, for errors.
        name: A folder as `save_pretrained` writes it, or a name on the Hub.

    Raises:
        UserError: No name is given, the path is not a folder, or the folder lacks a file.
    """
    if name is None:
        raise UserError(
            f"{key}=null names no model; give the folder of one, or its name on the Hugging Face Hub."
        )
    folder = Path(name).expanduser()
    if not folder.is_dir():
        is_path = (
            name.startswith((".", "~", os.sep)) or name.count("/") > 1 or "\\" in name or folder.exists()
        )
        if is_path:
            raise UserError(
                f"{key}={name} is not a folder; give the folder of a model, or its name on the Hugging Face "
                "Hub."
            )
        return
    if not (folder / _CONFIG).is_file():
        raise UserError(f"{key}={name} is not the folder of a model: it has no {_CONFIG}; give another.")
    if not any(folder.glob(_WEIGHTS)):
        raise UserError(
            f"{key}={name} has no weights in safetensors, and pickled ones are not read; save the model "
            "again with transformers' save_pretrained."
        )
    if not any((folder / file).is_file() for file in _EXTRACTORS):
        raise UserError(
            f"{key}={name} has no {_EXTRACTORS[0]}, which says how waveforms are read; save the feature "
            "extractor of the model there, too."
        )


def load_pretrained(key: str, name: str | None) -> Pretrained:
    """Read a model and its feature extractor; download them if they are on the Hub and not on this machine.

    Args:
        key: The configuration's key, for errors.
        name: A folder as `save_pretrained` writes it, or a name on the Hub.

    Raises:
        UserError: The model cannot be found, downloaded or read, or is not an audio model.
    """
    check_name(key, name)
    import torch
    from transformers import AutoFeatureExtractor, AutoModel, PretrainedConfig

    folder = Path(str(name)).expanduser()
    source = str(folder) if folder.is_dir() else name
    try:
        with _quiet(), torch.random.fork_rng(devices=()):  # weights that are missing are drawn
            config, _ = PretrainedConfig.get_config_dict(source)
            extractor = AutoFeatureExtractor.from_pretrained(source, trust_remote_code=False)
            model, info = AutoModel.from_pretrained(
                source, trust_remote_code=False, use_safetensors=True, output_loading_info=True
            )
            reading, _ = type(extractor).get_feature_extractor_dict(source)
    except Exception as error:  # transformers raises whatever a file of a stranger makes it raise
        raise UserError(_sentence(f"{key}={name}", error)) from error
    missing = {weight for weight in info["missing_keys"] if not weight.endswith(_UNUSED)}
    if missing or info.get("mismatched_keys"):
        raise UserError(
            f"{key}={name} lacks {len(missing) or 'the right'} weights of a {model.config.model_type} model; "
            "copy it again, or give another."
        )
    if not hasattr(extractor, "sampling_rate"):
        raise UserError(
            f"{key}={name} is a {model.config.model_type} model, which reads no sound; give another."
        )
    model = model.float().eval().requires_grad_(False)
    described = [_of_the_content(config), _of_the_content(reading)]
    return Pretrained(model, extractor, content_key([described, _digests(model, set(info["missing_keys"]))]))


def _of_the_content(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a file of a model says, without what differs from version to version."""
    return {name: value for name, value in said.items() if name not in _OF_THE_VERSION and name[:1] != "_"}


def _digests(model: Any, missing: set[str]) -> list[str]:
    """Return a digest of each weight, sorted: versions of transformers name them differently."""
    import torch

    return sorted(
        hashlib.blake2b(
            weight.contiguous().flatten().view(torch.uint8).numpy(), digest_size=16, salt=_salt(weight)
        ).hexdigest()
        for name, weight in model.state_dict().items()
        if name not in missing and weight.numel()
    )


def _salt(weight: Any) -> bytes:
    return hashlib.blake2b(repr(tuple(weight.shape)).encode(), digest_size=16).digest()


def _sentence(given: str, error: BaseException) -> str:
    """Say in a sentence why transformers could not read a model."""
    causes, cause = [error], error
    while (cause := cause.__cause__ or cause.__context__) is not None and len(causes) < 20:  # type: ignore[assignment]
        causes.append(cause)
    kinds = {kind.__name__ for cause in causes for kind in type(cause).__mro__}
    text = " ".join(str(error).split())
    if "trust_remote_code" in text:
        return f"{given} needs code of its repository, which is not executed; give another model."
    if "safetensors" in text and "pickle" not in text and "does not appear" in text:
        return f"{given} has no weights in safetensors, and pickled ones are not read; give another model."
    if kinds & {"RepositoryNotFoundError", "GatedRepoError"}:
        return (
            f"{given} is not a public model on the Hugging Face Hub; correct the name, or log in with "
            "`hf auth login`."
        )
    if kinds & _OFFLINE or "connect" in text.lower():
        return (
            f"{given} is not on this machine and cannot be downloaded; check the network, or give the folder "
            "of a copy."
        )
    return f"{given} cannot be read as a model of transformers ({shorten(text, 200)}); give another."


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what transformers says while it reads weights, and each retry of a download."""
    from transformers.utils import logging as of_transformers

    hub = logging.getLogger("huggingface_hub")
    levels = of_transformers.get_verbosity(), hub.level
    shown = of_transformers.is_progress_bar_enabled()
    of_transformers.set_verbosity_error()
    of_transformers.disable_progress_bar()
    hub.setLevel(logging.ERROR)
    try:
        yield
    finally:
        of_transformers.set_verbosity(levels[0])
        hub.setLevel(levels[1])
        if shown:
            of_transformers.enable_progress_bar()
