"""The verb `audiotok predict`."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from audiotok.errors import UserError
from audiotok.prediction.sounds import Recording
from audiotok.run.trained import find_trained


def predict(
    run: Path, files: Sequence[Path], *, top: int, trust: Sequence[str], screen: Console, errors: Console
) -> bool:
    """Tag files, and return whether all of them could be read."""
    find_trained(run)
    from audiotok.prediction.tagger import load  # torch is imported here, after what names alone tell

    loaded = load(run, trust=trust)
    cutting, are_read = loaded.cutting(), True
    for file in files:
        try:
            scores = loaded.scores(Recording.of(file), cutting)
        except UserError as error:
            errors.print(str(error), style="red")
            are_read = False
            continue
        screen.print(f"{file}", style="bold")
        for tag in scores.tags(top):
            screen.print(f"  {tag.probability:6.3f}  {tag.sound_class.name}")
    return are_read
