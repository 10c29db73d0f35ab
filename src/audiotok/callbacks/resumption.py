"""What a checkpoint holds besides weights, so that training resumes at any step as if it had never stopped.

The order of the clips, and what is drawn for each of them, follow from the seed, the epoch and the batch
alone. What does not is saved here, for each process: the sums that become the scores of the epoch, gradients
that wait for their optimiser step, the scores of the last validation, and the global generators of Python,
numpy and torch, which only plugins draw from. A checkpoint may be written after any training batch, after a
validation and at the end of an epoch, by a callback on all processes. It grows by a few kilobytes, and
inside an epoch by the probabilities of the training clips that are scored, at most 20,000.
"""

import logging
import random
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import Tensor

from audiotok.errors import UserError
from audiotok.loader.datamodule import ClipDataModule
from audiotok.training.learner import Learner

log = logging.getLogger(__name__)
_KEY = "resumption"  # in a checkpoint
Stage = Literal["batch", "validation", "epoch"]  # that a checkpoint was written at the end of


@runtime_checkable
class Counts(Protocol):
    """A callback that counts during an epoch."""

    def epoch_state(self) -> dict[str, Any]:
        """Return what was counted, as tensors and plain values."""
        ...

    def restore_epoch(self, state: dict[str, Any]) -> None:
        """Continue to count from a state."""
        ...

    def log_epoch(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log what was counted in a whole epoch."""
        ...


class Resumption(pl.Callback):
    """Save and restore the place in an epoch; the first of the callbacks, so that others find it restored.

    Args:
        model: Settings of the model, which a run that resumes must share; its weights do not show them all.
    """

    def __init__(self, model: dict[str, Any] | None = None) -> None:
        self._model = model or {}
        self._saved: dict[str, Any] = {}  # of the checkpoint that training resumes from
        self._random: dict[str, Any] | None = None  # until the first batch

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the place, and what each process has summed up since the epoch began."""
        stage = _stage(trainer)
        loop = trainer.fit_loop.epoch_loop
        mine = _state(trainer, pl_module, inside=stage != "epoch")
        processes: list[Any] = [mine]
        if trainer.world_size > 1:
            processes = [None] * trainer.world_size
            torch.distributed.all_gather_object(processes, mine)
        checkpoint[_KEY] = {
            "model": self._model,
            "stage": stage,
            "batch": loop.batch_progress.current.ready,
            "is_last_batch": loop.batch_progress.is_last_batch,
            "order": _order(trainer),
            "processes": processes,
        }
        if stage == "batch":
            _complete_batch(checkpoint["loops"]["fit_loop"], trainer)

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Check that the place exists in this run.

        Raises:
            UserError: The model is another one, or the checkpoint was written inside an epoch whose batches
                are others here.
        """
        if trainer.state.fn != "fit":
            return
        self._saved = checkpoint.get(_KEY, {})
        for key, before in self._saved.get("model", {}).items():
            if self._model.get(key, before) != before:
                raise UserError(
                    f"ckpt_path={trainer.ckpt_path} was trained with model.{key}={before}, and here it is "
                    f"{self._model[key]}; use the model of its run."
                )
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            state = checkpoint["callbacks"].get(callback.state_key)
            if isinstance(callback, EarlyStopping) and state:
                state["patience"] = callback.patience  # of the configuration, which may have changed
        if not self._saved and _is_inside(checkpoint["loops"]["fit_loop"]):
            log.warning(
                "%s was written inside an epoch by an earlier version: training continues with the clips "
                "that are left, and the scores under train/ of this epoch are of those alone.",
                trainer.ckpt_path,
            )
        if self._saved.get("stage") in ("batch", "validation"):
            before, ours = self._saved["order"], _order(trainer)
            differing = [key for key in ours if before.get(key) != ours[key]]
            if differing:
                key = differing[0]
                raise UserError(
                    f"ckpt_path={trainer.ckpt_path} was written inside an epoch with "
                    f"{key}={before.get(key)}, and here it is {ours[key]}; use that of its run, or a "
                    "checkpoint of the end of an epoch."
                )

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore what this process had summed up."""
        is_inside = self._saved.get("stage") in ("batch", "validation")
        if _has_stopped_early(trainer):
            log.info("The run had stopped early; raise callbacks.early_stopping.patience to train on.")
            if not is_inside:
                trainer.should_stop = True
            elif isinstance(trainer.datamodule, ClipDataModule):  # type: ignore[attr-defined]
                trainer.datamodule.end_epoch()  # type: ignore[attr-defined]
        processes = self._saved.get("processes", [])
        if trainer.global_rank >= len(processes):
            return
        mine = processes[trainer.global_rank]
        trainer.callback_metrics.update({n: v.to(pl_module.device) for n, v in mine["metrics"].items()})
        _set_random(mine["random"])
        self._random = mine["random"] if is_inside and not self._saved["is_last_batch"] else None
        if is_inside:
            _restore(trainer, pl_module, mine)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Restore the generators once more inside an epoch: there the loader had drawn from them before."""
        if self._random is not None:
            _set_random(self._random)
            self._random = None
        self._saved = {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the scores of an epoch whose last batch was trained before the stop."""
        if self._saved.get("stage") not in ("batch", "validation"):
            return
        if self._saved["is_last_batch"]:
            for callback in _counting(trainer).values():
                callback.log_epoch(trainer, pl_module)
            if isinstance(pl_module, Learner):
                pl_module.log_epoch()
        trainer.should_stop |= _has_stopped_early(trainer)
        self._saved = {}


def _stage(trainer: pl.Trainer) -> Stage:
    """Return what a checkpoint is being written at the end of."""
    if trainer.validating:
        return "validation"
    epoch: Any = trainer.fit_loop.epoch_progress.current
    return "epoch" if epoch.processed > epoch.completed or epoch.ready == epoch.completed else "batch"


def _state(trainer: pl.Trainer, pl_module: pl.LightningModule, *, inside: bool) -> dict[str, Any]:
    """Return what this process must restore."""
    state: dict[str, Any] = {
        "metrics": {name: value.detach().cpu() for name, value in trainer.callback_metrics.items()},
        "random": _random(),
    }
    if inside:
        counting = {key: callback.epoch_state() for key, callback in _counting(trainer).items()}
        state["callbacks"] = _on_cpu(counting)
        state["module"] = _on_cpu(pl_module.epoch_state()) if isinstance(pl_module, Learner) else {}
        state["gradients"] = _gradients(pl_module) if trainer.fit_loop._should_accumulate() else {}
    return state


def _restore(trainer: pl.Trainer, pl_module: pl.LightningModule, state: dict[str, Any]) -> None:
    """Restore what a process had summed up inside an epoch."""
    for key, callback in _counting(trainer).items():
        if key in state["callbacks"]:
            callback.restore_epoch(state["callbacks"][key])
    if isinstance(pl_module, Learner):
        pl_module.restore_epoch(state["module"])
    for name, parameter in pl_module.named_parameters():
        if name in state["gradients"]:
            parameter.grad = state["gradients"][name].to(parameter.device)


def _gradients(pl_module: pl.LightningModule) -> dict[str, Tensor]:
    """Return gradients that wait for their optimiser step."""
    return {name: p.grad.cpu() for name, p in pl_module.named_parameters() if p.grad is not None}


def _counting(trainer: pl.Trainer) -> dict[str, Counts]:
    """Return the callbacks that count, by their keys."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return {type(callback).__name__: callback for callback in callbacks if isinstance(callback, Counts)}


def _order(trainer: pl.Trainer) -> dict[str, Any]:
    """Return what the batches of an epoch depend on, by configuration keys."""
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    order = datamodule.order if isinstance(datamodule, ClipDataModule) else {}
    return {**order, "trainer.devices * trainer.num_nodes": trainer.world_size}


def _has_stopped_early(trainer: pl.Trainer) -> bool:
    """Tell whether a callback has lost its patience."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return any(isinstance(c, EarlyStopping) and c.wait_count >= c.patience for c in callbacks)


def _is_inside(loops: dict[str, Any]) -> bool:
    """Tell by Lightning's counts whether a checkpoint was written inside an epoch."""
    epoch = loops["epoch_progress"]["current"]
    return bool(epoch["started"] > epoch["processed"])


def _complete_batch(loops: dict[str, Any], trainer: pl.Trainer) -> None:
    """Count the batch as completed, and a validation that is due after it as begun.

    Lightning would take the validation for done, and after the last batch the epoch as well.
    """
    loop = trainer.fit_loop.epoch_loop
    progress = loops["epoch_loop.batch_progress"]
    for counts in (progress["total"], progress["current"]):
        counts["completed"] = counts["processed"]
    assert trainer.fit_loop._data_fetcher is not None
    if loop._should_check_val_fx(trainer.fit_loop._data_fetcher):
        none = {"ready": 0, "started": 0, "processed": 0, "completed": 0}
        begun = {**none, "ready": 1, "started": 1}
        loops["epoch_loop.val_loop.batch_progress"] = {
            "total": begun,
            "current": none,
            "is_last_batch": False,
        }
    elif not loop._should_accumulate():
        loops["epoch_loop.state_dict"]["_batches_that_stepped"] += 1


def _random() -> dict[str, Any]:
    """Return the states of the global generators, as plain values."""
    state: Any = np.random.get_state()
    name, keys, *rest = state
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
    }


def _set_random(states: dict[str, Any]) -> None:
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])


def _on_cpu(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, dict):
        return {key: _on_cpu(value) for key, value in state.items()}
    return state
