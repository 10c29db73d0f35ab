"""Weights & Biases: online where there is an account, offline where there is none."""

import logging
import netrc
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

import numpy as np
import wandb
from pytorch_lightning.loggers import WandbLogger

from audiotok.logger.picture import picture
from audiotok.run.destination import Destination
from audiotok.run.gallery import Example

log = logging.getLogger(__name__)
Kept = Literal["vocabulary", "checkpoint"]


class Wandb(WandbLogger):
    """Lightning's W&B logger, and what W&B shows beside scores.

    Args:
        run: W&B's own.
        n_examples: Test clips to show.
        artifacts: What is kept as an artifact.
    """

    def __init__(self, run: Any, n_examples: int, artifacts: list[Kept]) -> None:
        super().__init__(experiment=run)
        self.n_examples, self.artifacts = n_examples, artifacts

    def show_examples(self, examples: list[Example], n_clusters: int) -> None:
        """Show test clips as a table that can be listened to."""
        columns: list[str | int] = ["id", "sound", "spectrogram", "tokens", "labels", "predicted"]
        table = wandb.Table(columns=columns)
        for example in examples:
            table.add_data(
                example.id,
                wandb.Audio(example.waveform, example.rate),
                wandb.Image(picture(example.analysis.T, 128)),
                wandb.Image(picture(example.tokens.T / n_clusters, 128)),
                ", ".join(example.labels),
                ", ".join(f"{name} {probability:.2f}" for name, probability in example.predicted),
            )
        self.experiment.log({"test/examples": table})

    def show_vocabulary(self, centroids: np.ndarray, counts: np.ndarray | None) -> None:
        """Show centroids (Q, K, dimensions of a codebook), and how often each is used, counts (Q, K)."""
        books = [book / max(np.abs(book).max(), 1e-9) for book in centroids]
        shown: dict[str, Any] = {"vocabulary/centroids": wandb.Image(picture(np.concatenate(books, 1), 512))}
        if counts is not None:
            times_even = counts / np.maximum(counts.mean(1, keepdims=True), 1e-9)
            shown["vocabulary/use"] = wandb.Histogram(times_even.flatten().tolist())
        self.experiment.log(shown)

    def keep_vocabulary(self, folder: Path, key: str) -> None:
        """Say that the run used these centroids: runs of the same centroids share the artifact.

        Offline W&B cannot look one up, so that there each run brings its own, of the same name and content.
        """
        if "vocabulary" in self.artifacts:
            artifact = wandb.Artifact(f"vocabulary-{key}", type="vocabulary", metadata={"key": key})
            for path in sorted(folder.iterdir()):  # add_dir says on screen that it does
                artifact.add_file(str(path), policy="immutable", skip_cache=True)
            run = self.experiment
            (run.log_artifact if run.offline else run.use_artifact)(artifact)

    def keep_checkpoint(self, path: Path, vocabulary_key: str) -> None:
        """Keep the checkpoint that was tested."""
        if "checkpoint" in self.artifacts and path.is_file():
            about = {"vocabulary": vocabulary_key}
            artifact = wandb.Artifact(f"model-{self.experiment.id}", type="model", metadata=about)
            artifact.add_file(str(path), policy="immutable", skip_cache=True)
            self.experiment.log_artifact(artifact, aliases=["best"])


def build(
    *,
    project: str,
    entity: str | None,
    name: str | None,
    group: str | None,
    tags: list[str],
    notes: str | None,
    job_type: str | None,
    mode: Literal["auto", "online", "offline", "disabled"],
    n_examples: int,
    artifacts: list[Kept],
    destination: Destination,
) -> Wandb:
    """Build W&B's logger; it never asks for an account.

    Args:
        project: W&B project.
        entity: W&B user or team; None for the account's own.
        name: Name of the run; None for its overrides.
        group: Runs that belong together; None for the sweep, if any.
        tags: Labels to filter by.
        notes: Free text.
        job_type: What kind of run it is; None for the program's name, train or pretrain.
        mode: "auto" goes online where an API key is known and WANDB_MODE does not forbid it, and writes to
            the run's folder otherwise.
        n_examples: Test clips to show with sound, spectrogram, tokens and what was predicted.
        artifacts: What is kept as an artifact: "vocabulary", the centroids, and "checkpoint", the tested one.
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
        job_type=job_type or destination.program,
        dir=destination.folder.path,
        mode=mode,
        settings=wandb.Settings(silent=mode != "online", console="off"),
    )
    run.define_metric("trainer/global_step")
    run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return Wandb(run, n_examples, artifacts)


def has_api_key() -> bool:
    """Tell whether W&B would find an API key: in WANDB_API_KEY or in the netrc file of `wandb login`."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
