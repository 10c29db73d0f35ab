"""How the tokens of a sound are written: with offsets, in a pattern, as units."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from audiotok.errors import UserError
from audiotok.tokens import patterns

Pattern = Literal["parallel", "flatten", "delay"]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)


@dataclass(frozen=True)
class Arrangement:
    """What is made of the tokens (T, Q) of each sound.

    Args:
        pattern: parallel, (T, Q); flatten, the codebooks of each position one after the other, (T Q,); delay,
            codebook q moved by q positions, (T + Q - 1, Q).
        offsets: Whether each codebook has numbers of its own.
        units: Whether a stretch of equal positions is written once, with its length.
    """

    pattern: str = "parallel"
    offsets: bool = False
    units: bool = False

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise UserError(f"--pattern={self.pattern} is not a pattern; choose {', '.join(PATTERNS)}.")
        if self.units and self.pattern == "delay":
            raise UserError("--units and --pattern=delay do not go together: units have no common time.")

    def size(self, n_codebooks: int, n_clusters: int) -> int:
        """Return how many different numbers there are, without that of `pad`."""
        return n_codebooks * n_clusters if self.offsets else n_clusters

    def arrange(self, tokens: np.ndarray, n_clusters: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Arrange the tokens of a sound.

        Args:
            tokens: (T, Q)
            n_clusters: K

        Returns:
            The numbers, int64, and with `units` the lengths of the stretches (U,).
        """
        runs = None
        if self.units:
            tokens, runs = patterns.units(tokens)
        numbers = patterns.with_offsets(tokens, n_clusters) if self.offsets else tokens.astype(np.int64)
        if self.pattern == "flatten":
            return patterns.flatten(numbers), runs
        if self.pattern == "delay":
            numbers = patterns.delay(numbers, self.size(tokens.shape[1], n_clusters))
        return numbers, runs

    def about(self, n_codebooks: int, n_clusters: int) -> dict[str, Any]:
        """Say what the numbers are, for whoever reads a file of them."""
        size = self.size(n_codebooks, n_clusters)
        return {
            **asdict(self),
            "n_codebooks": n_codebooks,
            "n_clusters": n_clusters,
            "vocabulary_size": size + (self.pattern == "delay"),
            "pad": size if self.pattern == "delay" else None,
        }
