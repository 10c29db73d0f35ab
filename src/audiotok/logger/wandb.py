"""Weights & Biases: online where an API key is known, else offline in the run's folder.

W&B itself says whether somebody has logged in, and which names it takes. A server that does not answer within
`_CONNECT_SECONDS`, or refuses the key, costs the run nothing but that time: it goes on offline.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import wandb
from PIL import Image
from pydantic import ValidationError
from pytorch_lightning.loggers import WandbLogger
from wandb.sdk import wandb_setup
from wandb.sdk.lib import wbauth

from audiotok.errors import UserError
from audiotok.errors.ranges import Whole
from audiotok.logger.logger import LightningLogger, Row
from audiotok.logger.staging import Staging
from audiotok.run.destination import Destination
from audiotok.run.gallery import Example
from audiotok.run.picture import tokens_picture
from audiotok.tokens.quantizer import Quantizer

log = logging.getLogger(__name__)
Artifact = Literal["vocabulary", "checkpoint"]
Mode = Literal["auto", "online", "offline", "disabled"]
Resolved = Literal["online", "offline", "disabled"]
_CONNECT_SECONDS = 10.0  # W&B's own limit is 90 s


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
        mode: "auto" is what WANDB_MODE says, or else online where an API key is known, and offline elsewhere;
            "disabled" writes nothing.
        n_examples: Test clips to show with sound, spectrogram, tokens and predictions.
        artifacts: What to store as artifacts: "vocabulary", the centroids, and "checkpoint", the tested one.
        destination: Where the run writes and what it is called.

    Raises:
        UserError: W&B does not take the project's name, or a tag.
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
        n_examples: Whole = 8,
        artifacts: Sequence[Artifact] = ("vocabulary", "checkpoint"),
        destination: Destination,
    ) -> None:
        self.n_examples, self.artifacts = n_examples, artifacts
        self._staging = Staging(destination.folder.path / "wandb")
        _settle(destination.folder.path / "wandb")
        tags = list(tags)
        _check_name("project", project, project=project)
        _check_name("tags", tags, run_tags=tags)
        self.run: Any = _start(
            _resolve(mode),
            _reason(mode),
            project=project,
            entity=entity,
            name=name or destination.name,
            group=group or destination.group,
            tags=tags or None,
            notes=notes,
            job_type=job_type or destination.program,
            dir=destination.folder.path,
        )
        self.run.define_metric("trainer/global_step")
        self.run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
        super().__init__(WandbLogger(experiment=self.run))

    def log_scores(self, scores: Mapping[str, float]) -> None:
        """Log them in the summary alone: as a history of one step each would get a chart of its own."""
        self.run.summary.update(dict(scores))

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Log a table."""
        self.run.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

    def show_picture(self, name: str, picture: Image.Image) -> None:
        """Show a picture."""
        self.run.log({name: wandb.Image(picture)})

    def show_examples(self, examples: Sequence[Example]) -> None:
        """Show test clips as a table that can be listened to."""
        table = wandb.Table(columns=["id", "sound", "decoded", "picture", "labels", "predicted"])
        for example in examples:
            table.add_data(
                example.id,
                wandb.Audio(example.waveform, example.rate),
                None if example.decoded is None else wandb.Audio(example.decoded, example.rate),
                wandb.Image(example.picture),
                ", ".join(example.labels),
                ", ".join(f"{name} {probability:.2f}" for name, probability in example.predicted),
            )
        self.run.log({"test/examples": table})

    def show_vocabulary(self, tokenizer: Quantizer) -> None:
        """Show the tokens of each codebook side by side, as spectra."""
        self.show_picture("vocabulary/centroids", tokens_picture(tokenizer))

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
        self._staging.close()


def _settle(folder: Path) -> None:
    """Make a folder the home of a user who has none, as in `docker run --user`: W&B writes there."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(folder.absolute())


def _check_name(key: str, value: object, **settings: Any) -> None:
    """Ask W&B whether it takes a name, which it would otherwise refuse with a traceback."""
    try:
        wandb.Settings(**settings)
    except ValidationError as error:
        reason = "; ".join(str(fault["msg"]).removeprefix("Value error, ") for fault in error.errors())
        raise UserError(f"logger.{key}={value} is refused by W&B ({reason}); choose another.") from error
    except wandb.errors.UsageError as error:
        raise UserError(f"logger.{key}={value} is refused by W&B ({error}); choose another.") from error


def _start(mode: Resolved, reason: str, **run: Any) -> Any:
    """Start a run; offline, with a sentence, where the server does not answer in time or refuses.

    Args:
        mode: As W&B knows it.
        reason: Why it is offline, if it is.
        run: Other arguments of `wandb.init`.

    Returns:
        W&B's run.
    """
    settings = wandb.Settings(silent=mode != "online", console="off", init_timeout=_CONNECT_SECONDS)
    if mode == "online":
        try:
            return wandb.init(**run, mode="online", settings=settings)
        except (wandb.errors.CommError, wandb.errors.UsageError) as error:
            mode, reason = "offline", str(error).strip().splitlines()[0].rstrip(".")
    if mode == "offline":
        folder = Path(os.path.relpath(run["dir"])) / "wandb"
        log.info(
            "W&B is offline (%s): browse with `wandb leet %s`, upload with `wandb sync %s`.",
            reason,
            folder,
            folder / "offline-run-*",
        )
    return wandb.init(**run, mode=mode, settings=settings)


def _resolve(mode: Mode) -> Resolved:
    """Resolve "auto": what WANDB_MODE says, or else whether there is an API key."""
    if mode != "auto":
        return mode
    asked = os.environ.get("WANDB_MODE") or ("online" if has_api_key() else "offline")
    if asked == "disabled":
        return "disabled"
    return "offline" if asked in ("offline", "dryrun") else "online"


def _reason(mode: Mode) -> str:
    """Say why a run is offline."""
    if mode != "auto":
        return f"logger.mode={mode}"
    asked = os.environ.get("WANDB_MODE")
    return f"WANDB_MODE={asked}" if asked else "no API key"


def has_api_key() -> bool:
    """Tell whether W&B finds credentials for its server; those of a wrong format count."""
    settings = wandb_setup.singleton().settings
    try:
        return (
            wbauth.authenticate_session(
                host=settings.base_url, source="audiotok", prompt=False, update_session=False
            )
            is not None
        )
    except wandb.errors.AuthenticationError:
        return True
