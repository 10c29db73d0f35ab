"""Fitted vocabularies: centroids are fitted once on the training clips, and cached by content.

A vocabulary is a tokenizer that was fitted to a corpus; in the cache and in run folders it lies in a folder
of its own (see `folder`).
"""

import logging
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from audiotok.disk.keys import content_key
from audiotok.disk.writing import replacing_folder
from audiotok.errors import UserError
from audiotok.kinds import CENTROIDS
from audiotok.store import StaleError, Store
from audiotok.tokens.folder import read_folder
from audiotok.tokens.sample import ClipReader, sample_size
from audiotok.tokens.tokenizer import Tokenizer

log = logging.getLogger(__name__)


class TrainingClips(ClipReader, Protocol):
    """The training clips of a corpus."""

    def fingerprint(self) -> str:
        """Return digits that identify the clips and their bytes."""
        ...


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a fitted tokenizer, and what is known about them.

    Args:
        tokenizer: Fitted.
    """

    tokenizer: Tokenizer

    @property
    def key(self) -> str:
        """Content key of the centroids."""
        return self.tokenizer.key

    @property
    def report(self) -> dict[str, Any]:
        """Figures of the fitting, by the names in `measures.REPORTED`."""
        return self.tokenizer.report

    @property
    def size(self) -> int:
        """Number of different tokens in all codebooks, Q x K."""
        return self.tokenizer.codebooks.n_codebooks * self.tokenizer.codebooks.n_clusters


def fit_or_load(
    tokenizer: Tokenizer,
    clips: TrainingClips,
    store: Store,
    before: Path | None = None,
    *,
    of_any_clips: bool = False,
) -> Vocabulary:
    """Fit a tokenizer to training clips, or load the result of an earlier fit.

    Args:
        tokenizer: Not fitted; it takes over what is fitted or loaded.
        clips: Read only if there is nothing to load.
        store: Where vocabularies are cached, by settings and clips.
        before: Vocabulary of the run that this one continues, which is used if it has the same key: the same
            settings and clips, fitted on another machine, give other centroids.
        of_any_clips: Use the vocabulary of that run whatever it was fitted to, as long as its settings are
            these.

    Raises:
        UserError: There are fewer frames than clusters, or the cache cannot be written.
    """
    key = vocabulary_key(tokenizer, clips)
    reused = True

    def make(folder: Path) -> None:
        nonlocal reused
        reused = False
        tokenizer.fit_to(clips, key).write(folder)

    def load(folder: Path) -> Vocabulary:
        return load_vocabulary(tokenizer, folder, key)

    tokenizer.clip_seconds = clips.clip_seconds  # vocabularies of earlier versions do not say it
    if before is not None:
        with suppress(StaleError):
            vocabulary = load_vocabulary(tokenizer, before) if of_any_clips else load(before)
            log.info("Took over %s", _summary(vocabulary))
            return vocabulary
    vocabulary = store.load_or_make(CENTROIDS.name, key, load, make)
    log.info("%s %s", "Reused" if reused else "Fitted", _summary(vocabulary))
    return vocabulary


def _summary(vocabulary: Vocabulary) -> str:
    codebooks, report = vocabulary.tokenizer.codebooks, vocabulary.report
    return (
        f"{codebooks.n_codebooks} x {codebooks.n_clusters} centroids {vocabulary.key}: "
        f"{report['n_frames']:,} frames of {report['n_clips']:,} clips, "
        f"{100 * report['variance_kept']:.0f} % of variance kept, "
        f"{100 * report['centroids_used']:.0f} % of centroids used ({sum(report['dead_centroids'])} dead), "
        f"mean perplexity {report['perplexity']:.0f}."
    )


def vocabulary_key(tokenizer: Tokenizer, clips: TrainingClips) -> str:
    """Return the content key of centroids: of the settings, the length of clips, and the training clips."""
    n_clips, n_frames, _ = sample_size(
        tokenizer.features, tokenizer.codebooks, tokenizer.sampling, len(clips), clips.clip_seconds
    )
    sizes = [n_clips, n_frames, clips.clip_seconds]
    return content_key([CENTROIDS.version, tokenizer.settings, *sizes, clips.fingerprint()])


def load_vocabulary(tokenizer: Tokenizer, folder: Path, key: str | None = None) -> Vocabulary:
    """Load a vocabulary into a tokenizer of the same settings.

    Raises:
        StaleError: A file is missing or corrupt, or the sidecar does not match the settings or the arrays.
    """
    tokenizer.restore(read_folder(folder), key)
    return Vocabulary(tokenizer)


def load_run_vocabulary(tokenizer: Tokenizer, folder: Path) -> Vocabulary:
    """Load the vocabulary that a run was trained with.

    Raises:
        UserError: It is missing, corrupt, or of other settings.
    """
    try:
        return load_vocabulary(tokenizer, folder)
    except StaleError as reason:
        raise UserError(
            f"{folder}: {reason}; copy it from where the run was made, or train again."
        ) from reason


def copy_vocabulary(vocabulary: Vocabulary, folder: Path) -> None:
    """Replace a folder by a vocabulary in one step, so that a run carries what it was trained with."""
    with replacing_folder(folder) as temporary:
        vocabulary.tokenizer.write(temporary)
