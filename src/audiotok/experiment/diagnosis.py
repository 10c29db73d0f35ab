"""Find problems that would keep a run from learning, before it starts."""

from typing import Any

from omegaconf import DictConfig

from audiotok.data.corpus.manifest import open_manifest
from audiotok.doctor.examination import Examination
from audiotok.doctor.subject import Subject
from audiotok.errors import UserError
from audiotok.experiment.build import build
from audiotok.experiment.configuration import build_node
from audiotok.experiment.construction import build_tokenizer
from audiotok.experiment.session import open_session
from audiotok.logger.logger import RunLogger
from audiotok.run.destination import Destination
from audiotok.store import Store


def doctor(config: DictConfig, destination: Destination) -> dict[str, Any]:
    """Find problems that would keep a run from learning, and report them; no logger, no `compile`.

    Args:
        config: Composed from `configs/doctor.yaml`.
        destination: The run's folder.

    Returns:
        The findings, as they are in the run's folder.

    Raises:
        UserError: The configuration or the data has an error that stops the doctor itself.
    """
    if destination.group is not None:
        raise UserError("audiotok doctor examines one run; leave out -m, and give each key one value.")
    config.merge_with({"logger": None, "compile": False})
    with open_session(config, destination):
        examination, extent = Examination(), build_node(config.doctor)
        sample_rate = build_tokenizer(config).features.sample_rate
        manifest = open_manifest(build_node(config.data), Store(config.cache_dir))
        examination.examine_listing(manifest, sample_rate)
        try:
            parts = build(config, destination, RunLogger())
        except UserError as error:
            examination.note_no_run(error)
        else:
            assert parts.loss is not None
            examination.examine_run(
                Subject(
                    corpus=parts.corpus,
                    vocabulary=parts.vocabulary,
                    datamodule=parts.datamodule,
                    model=parts.model,
                    loss=parts.loss,
                    optimizer=parts.optimizer,
                    gradient_clip=config.trainer.gradient_clip_val,
                    device=parts.trainer.strategy.root_device,
                    extent=extent,
                )
            )
        found = examination.conclude()
        destination.folder.write_doctor(found)
        return found
