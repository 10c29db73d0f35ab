"""A dashboard of a W&B project, made by `wandb-workspaces`, with the panels that tagging needs."""

from typing import Any

from audiotok.errors import UserError
from audiotok.logger.wandb import has_api_key

# The settings that sweeps change most, by the names that W&B gives to the keys of a nested configuration.
SETTINGS = (
    "features.stride",
    "clustering.n_clusters",
    "clustering.n_codebooks",
    "model.num_layers",
    "model.hidden_size",
    "model.dropout",
    "optimizer.lr",
    "optimizer.weight_decay",
    "augment.sound.mix",
    "augment.words.mask_time",
)
CURVES = {
    "Validation": ("val/mAP", "val/f1_micro_tuned", "val/hamming_loss", "val/loss"),
    "Training": ("train/loss", "train/mAP", "train/learning_rate", "train/clips_per_second"),
}


def build(project: str, entity: str) -> Any:
    """Build the workspace of a project.

    Args:
        project: W&B project.
        entity: W&B user or team.

    Returns:
        A `wandb_workspaces.workspaces.Workspace`, which is not saved yet.

    Raises:
        UserError: wandb-workspaces is not installed.
    """
    try:
        from wandb_workspaces import workspaces
        from wandb_workspaces.reports import v2 as panels
    except ImportError:
        raise UserError(
            "audiotok workspace needs wandb-workspaces, which is not installed; "
            "pip install 'audiotok[workspace]'."
        ) from None
    columns = [panels.ParallelCoordinatesPlotColumn(panels.Config(key), key) for key in SETTINGS]
    columns.append(panels.ParallelCoordinatesPlotColumn(panels.SummaryMetric("val/mAP"), "val/mAP"))
    comparison = [
        panels.ParallelCoordinatesPlot(title="Settings and scores", columns=columns),
        panels.ParameterImportancePlot(with_respect_to="val/mAP"),
        panels.BarPlot(title="Test mAP of the best checkpoint", metrics=["test/mAP"]),
        panels.RunComparer(diff_only=True),
    ]
    curves = {
        title: [panels.LinePlot(title=name, x="trainer/global_step", y=[name]) for name in names]
        for title, names in CURVES.items()
    }
    clips = [
        panels.WeavePanelSummaryTable(table_name="test/examples"),
        panels.WeavePanelSummaryTable(table_name="test/per_class"),
    ]
    vocabulary = [
        panels.MediaBrowser(title="Centroids", media_keys=["vocabulary/centroids"]),
        panels.LinePlot(title="Centroids in use", x="trainer/global_step", y=["vocabulary/used"]),
        panels.LinePlot(title="Perplexity", x="trainer/global_step", y=["vocabulary/perplexity"]),
        panels.BarPlot(title="Share of variance kept", metrics=["vocabulary/variance_kept"]),
    ]
    sections: dict[str, list[Any]] = {
        "Comparison": comparison,
        **curves,
        "Clips and classes": clips,
        "Vocabulary": vocabulary,
    }
    return workspaces.Workspace(
        name="audiotok",
        entity=entity,
        project=project,
        sections=[
            workspaces.Section(name=title, panels=shown, is_open=True) for title, shown in sections.items()
        ],
    )


def save(project: str, entity: str | None) -> str:
    """Create the workspace in W&B.

    Args:
        project: W&B project.
        entity: W&B user or team; None for the account's own.

    Returns:
        The URL of the workspace.

    Raises:
        UserError: There is no API key, wandb-workspaces is not installed, or W&B refuses.
    """
    import wandb

    if not has_api_key():
        raise UserError(
            "audiotok workspace needs a W&B account: run `wandb login`, or set WANDB_API_KEY; without an "
            "account, `audiotok compare` compares runs."
        )
    try:
        return str(build(project, entity or wandb.Api().default_entity or "").save().url)
    except (wandb.Error, OSError) as error:
        raise UserError(
            f"--project={project} W&B refuses the workspace ({error}); check --project and --entity."
        ) from error
