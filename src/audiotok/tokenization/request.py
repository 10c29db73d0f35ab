"""What is wanted of `audiotok tokens`, checked as far as names tell, before torch is imported."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiotok.disk.writing import complaint
from audiotok.errors import UserError
from audiotok.tokenization.arrangement import Arrangement
from audiotok.tokenization.formats import FORMATS, Format, format_of


@dataclass(frozen=True)
class Options:
    """The options of the command.

    Args:
        to: The file of tokens.
        format: Its format; None for what its ending says.
        arrangement: How tokens are written.
        overwrite: Replace the file instead of going on.
        device: Where files are tokenised: cpu, cuda and so on; corpora are by the engine.
        trust: Modules whose classes the tokenizer may name.
    """

    to: Path
    format: str | None = None
    arrangement: Arrangement = field(default_factory=Arrangement)
    overwrite: bool = False
    device: str = "cpu"
    trust: Sequence[str] = ()

    @property
    def kind(self) -> Format:
        """The format.

        Raises:
            UserError: It is unknown, or the folder of the file does not exist.
        """
        known = next((kind for kind in FORMATS if kind == self.format), None)
        known = known or (format_of(self.to) if self.format is None else None)
        if known is None:
            what = f"--to={self.to} has no ending that is known"
            what = what if self.format is None else f"--format={self.format} is unknown"
            raise UserError(f"{what}; choose {', '.join(FORMATS)}.")
        if self.to.is_dir():
            raise UserError(f"--to={self.to} is a folder; give a file.")
        if not self.to.absolute().parent.is_dir():
            raise UserError(
                f"--to={self.to} is in a folder that does not exist; make it, or give another file."
            )
        return known

    def check_codebooks(self, n_codebooks: int) -> None:
        """Refuse a file of one number a position where there are several.

        Raises:
            UserError: So it is.
        """
        if self.kind == "km" and n_codebooks > 1 and self.arrangement.pattern != "flatten":
            raise UserError(
                f"--to={self.to} has one number for each position, and this tokenizer has {n_codebooks} "
                "codebooks; add --pattern flatten, or choose another format."
            )


@contextmanager
def disk_errors_in_a_sentence(to: Path) -> Iterator[None]:
    """Say what keeps the file from being written."""
    try:
        yield
    except OSError as error:
        sentence = complaint(error, {"--to": to})
        if sentence is None:
            raise
        raise UserError(sentence) from error


def about(tokenizer: Any, arrangement: Arrangement) -> dict[str, Any]:
    """Say what the numbers of a file are.

    Args:
        tokenizer: A `Tokenizer`.
        arrangement: How its tokens are written.
    """
    codebooks = tokenizer.codebooks
    return {
        **arrangement.about(codebooks.n_codebooks, codebooks.n_clusters),
        "clip_seconds": tokenizer.clip_seconds,
        "positions_of_a_clip": tokenizer.n_tokens(tokenizer.clip_seconds),
        "tokenizer": tokenizer.key,
        "checksum": tokenizer.checksum(),
    }
