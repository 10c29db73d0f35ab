"""Weights & Biases: online where an API key is known, else offline in the run's folder."""

import logging
import netrc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

import numpy as np
import wandb
from pytorch_lightning.loggers import WandbLogger

from audiotok.logger.logger import LightningLogger, Row
from audiotok.logger.picture import picture
from audiotok.run.destination import Destination
from audiotok.run.gallery import Example

log = logging.getLogger(__name__)
Artifact = Literal["vocabulary", "checkpoint"]
Mode = Literal["auto", "online", "offline", "disabled"]


class Wandb(LightningLogger):
    """W&B: scores and settings through Lightning; tables, examples, centroids and artifacts directly.

    Args:
        project: W&B project.
        entity: W&B user or team; None for the account's own.
        name: Name of the run; None for its overrides.
        group: Runs that belong together; None for the sweep, if any.
        tags: Labels to filter by.
        notes: Free text.
        job_type: What kind of run it is; None for the program's name, train or pretrain.
        mode: "auto" is online where an API key is known and WANDB_MODE does not forbid it, and else offline.
        n_examples: Test clips to show with sound, spectrogram, tokens and predictions.
        artifacts: What to store as artifacts: "vocabulary", the centroids, and "checkpoint", the tested one.
        destination: Where the run writes and what it is called.
    """

    def __init__(
        self,
        *,
        project: str = "audiotok",
        entity: str | None = None,
        name: str | None = None,
        group: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        job_type: str | None = None,
        mode: Mode = "auto",
        n_examples: int = 8,
        artifacts: Sequence[Artifact] = ("vocabulary", "checkpoint"),
        destination: Destination,
    ) -> None:
        self.n_examples, self.artifacts = n_examples, artifacts
        resolved = _resolve(mode, Path(os.path.relpath(destination.folder)) / "wandb")
        self.run: Any = wandb.init(
            project=project,
            entity=entity,
            name=name or destination.name,
            group=group or destination.group,
            tags=list(tags) or None,
            notes=notes,
            job_type=job_type or destination.program,
            dir=destination.folder.path,
            mode=resolved,
            settings=wandb.Settings(silent=resolved != "online", console="off"),
        )
        self.run.define_metric("trainer/global_step")
        self.run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        super().__init__(WandbLogger(experiment=self.run))

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Log a table."""
        self.run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

    def show_examples(self, examples: Sequence[Example], n_clusters: int) -> None:
        """Show test clips as a table that can be listened to."""
        if not examples:
            return
        table = wandb.Table(columns=["id", "sound", "spectrogram", "tokens", "labels", "predicted"])
        for example in examples:
            table.add_data(
                example.id,
                wandb.Audio(example.waveform, example.rate),
                wandb.Image(picture(example.analysis.T, 128)),
                wandb.Image(picture(example.tokens.T / n_clusters, 128)),
                ", ".join(example.labels),
                ", ".join(f"{name} {probability:.2f}" for name, probability in example.predicted),
            )
        self.run.log({"test/examples": table})

    def show_vocabulary(self, centroids: np.ndarray) -> None:
        """Show the centroids as a picture, codebooks side by side, each by its own scale."""
        books = [book / max(np.abs(book).max(), 1e-9) for book in centroids]
        self.run.log({"vocabulary/centroids": wandb.Image(picture(np.concatenate(books, 1), 512))})

    def show_vocabulary_use(self, counts: np.ndarray) -> None:
        """Show a histogram of the use of centroids, 1 being the mean of a codebook."""
        use = counts / np.maximum(counts.mean(1, keepdims=True), 1e-9)
        self.run.log({"vocabulary/use": wandb.Histogram(use.flatten().tolist())})

    def keep_vocabulary(self, folder: Path, key: str) -> None:
        """Declare that the run used these centroids: runs of the same centroids share the artifact.

        Offline, W&B cannot look one up, so that each run stores its own, of the same name and content.
        """
        if "vocabulary" in self.artifacts:
            artifact = wandb.Artifact(f"vocabulary-{key}", type="vocabulary", metadata={"key": key})
            for path in sorted(folder.iterdir()):  # add_dir prints a line
                artifact.add_file(str(path), policy="immutable", skip_cache=True)
            (self.run.log_artifact if self.run.offline else self.run.use_artifact)(artifact)

    def keep_checkpoint(self, path: Path, vocabulary_key: str) -> None:
        """Store the tested checkpoint, if there is one, with the key of its centroids."""
        if "checkpoint" in self.artifacts and path.is_file():
            metadata = {"vocabulary": vocabulary_key}
            artifact = wandb.Artifact(f"model-{self.run.id}", type="model", metadata=metadata)
            artifact.add_file(str(path), policy="immutable", skip_cache=True)
            self.run.log_artifact(artifact, aliases=["best"])

    def finish(self, succeeded: bool) -> None:
        """End the run with an exit code."""
        self.run.finish(exit_code=0 if succeeded else 1)


def _resolve(mode: Mode, folder: Path) -> Literal["online", "offline", "disabled"]:
    """Resolve "auto", and say where an offline run can be found."""
    reason = f"logger.mode={mode}"
    if mode == "auto":
        allowed = os.environ.get("WANDB_MODE", "online") == "online"
        mode = "online" if allowed and has_api_key() else "offline"
        reason = "no API key" if allowed else f"WANDB_MODE={os.environ['WANDB_MODE']}"
    if mode == "offline":
        log.info(
            "W&B is offline (%s): browse with `wandb leet %s`, upload with `wandb sync %s`.",
            reason,
            folder,
            folder / "offline-run-*",
        )
    return mode


def has_api_key() -> bool:
    """Tell whether W&B would find an API key: in WANDB_API_KEY or in the netrc file of `wandb login`."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
