"""Weights & Biases: online where there is an account, offline where there is none."""

import logging
import netrc
import os
from pathlib import Path
from typing import Literal
from urllib.parse import urlparse

import wandb
from pytorch_lightning.loggers import WandbLogger

from audiotok.logger.destination import Destination

log = logging.getLogger(__name__)


def build(
    *,
    project: str,
    entity: str | None,
    name: str | None,
    group: str | None,
    tags: list[str],
    notes: str | None,
    mode: Literal["auto", "online", "offline", "disabled"],
    destination: Destination,
) -> WandbLogger:
    """Build Lightning's W&B logger; it never asks for an account.

    Args:
        project: W&B project.
        entity: W&B user or team; None for the account's own.
        name: Name of the run; None for its overrides.
        group: Runs that belong together; None for the sweep, if any.
        tags: Labels to filter by.
        notes: Free text.
        mode: "auto" goes online where an API key is known and WANDB_MODE does not forbid it, and writes to
            the run's folder otherwise.
        destination: Where the run is and what it is called.
    """
    if mode == "auto":
        mode = "online" if has_api_key() and os.environ.get("WANDB_MODE", "online") == "online" else "offline"
    folder = Path(os.path.relpath(destination.folder))
    if mode == "offline":
        log.info(
            "W&B writes offline, for want of an API key or by request: browse with `wandb leet %s`, "
            "upload with `wandb sync %s`.",
            folder / "wandb",
            folder / "wandb" / "offline-run-*",
        )
    run = wandb.init(
        project=project,
        entity=entity,
        name=name or destination.name,
        group=group or destination.group,
        tags=tags or None,
        notes=notes,
        dir=destination.folder,
        mode=mode,
        settings=wandb.Settings(silent=mode != "online", console="off"),
    )
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return WandbLogger(experiment=run)


def has_api_key() -> bool:
    """Tell whether W&B would find an API key: in WANDB_API_KEY or in the netrc file of `wandb login`."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
