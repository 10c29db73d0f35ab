"""What every logger is given at the end of a run, and the end itself."""

from pytorch_lightning.loggers import Logger, WandbLogger

Row = list[str | int | float | None]


def log_table(logger: Logger | None, name: str, columns: list[str], rows: list[Row]) -> None:
    """Show a table in the loggers that have tables."""
    if isinstance(logger, WandbLogger):
        logger.log_table(name, columns=columns, data=rows)


def finish(logger: Logger | None, succeeded: bool) -> None:
    """End the run in its logger, whatever happened to it."""
    if isinstance(logger, WandbLogger):
        logger.experiment.finish(exit_code=0 if succeeded else 1)
