"""Keep the mel frames or the tokens of all clips of a corpus before training asks for them, by any engine.

A part is a few hundred clips, neighbours where they lie in containers. What is made of it comes back and is
written here, so that whoever makes it needs to read the audio, but not the cache.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import torch
from tqdm import tqdm

from audiotok.data.clip import Split
from audiotok.data.corpus.catalogue import Catalogue
from audiotok.data.corpus.corpus import Corpus
from audiotok.engine.engine import Engine
from audiotok.errors import UserError
from audiotok.features.features import Features
from audiotok.loader.clip_rows import Kept, KeptFrames, KeptTokens, make_tokens
from audiotok.loader.clips import ClipDataset
from audiotok.store import Store, readable_size
from audiotok.tokens.tokenizer import Tokenizer

log = logging.getLogger(__name__)
PART_CLIPS = 256  # some seconds of work; what is lost where a run is stopped
Values = tuple[np.ndarray, np.ndarray]  # rows (B, ...), and their lengths (B,)


@dataclass(frozen=True)
class Part:
    """Clips of which something is to be kept.

    Args:
        corpus: These clips alone, as its training clips.
        visits: In which order they are read, (B,).
        rows: Where what is made of them goes, in that order, (B,).
    """

    corpus: Corpus
    visits: np.ndarray
    rows: np.ndarray


def fill_frames(corpus: Corpus, features: Features, store: Store, engine: Engine) -> KeptFrames:
    """Keep the mel frames of all usable clips.

    Raises:
        UserError: There is too little room, a clip can no longer be read, or a part fails.
    """
    kept = KeptFrames(corpus, features, store)
    _fill(kept, corpus, partial(frames_of_part, features), engine)
    return kept


def fill_tokens(corpus: Corpus, tokenizer: Tokenizer, store: Store, engine: Engine) -> KeptTokens:
    """Keep the tokens of all usable clips, by a tokenizer that is fitted.

    Clips whose mel frames are kept are not read again.

    Raises:
        UserError: There is too little room, a clip can no longer be read, or a part fails.
    """
    kept = KeptTokens(corpus, tokenizer, store)
    frames = KeptFrames(corpus, tokenizer.features, store)
    if frames.folder.is_dir():
        _tokens_of_kept_frames(kept, frames, corpus, tokenizer)
    _fill(kept, corpus, partial(tokens_of_part, tokenizer), engine)
    return kept


def frames_of_part(features: Features, part: Part) -> Values:
    """Make mel frames, float16 (B, mel frames, M): a function of the clips' bytes alone."""
    torch.set_num_threads(1)  # an engine has a process for each core
    batch = ClipDataset(part.corpus, "train", features).__getitems__(part.visits.tolist())
    return batch["analysis"].numpy(), batch["n_slices"].numpy()


def tokens_of_part(tokenizer: Tokenizer, part: Part) -> Values:
    """Make tokens (B, T, Q): a function of the clips' bytes alone."""
    analysis, n_slices = frames_of_part(tokenizer.features, part)
    return _tokens(tokenizer, analysis, n_slices)


def _tokens(tokenizer: Tokenizer, analysis: np.ndarray, n_slices: np.ndarray) -> Values:
    tokens, lengths = make_tokens(tokenizer, torch.from_numpy(analysis), torch.from_numpy(n_slices))
    dtype = np.min_scalar_type(tokenizer.codebooks.n_clusters - 1)
    return tokens.numpy().astype(dtype), lengths.numpy()


def _tokens_of_kept_frames(kept: Kept, frames: Kept, corpus: Corpus, tokenizer: Tokenizer) -> None:
    """Keep the tokens of clips whose mel frames are kept, in this process: a tenth of the work of reading."""
    kept.open()
    frames.open()
    for part in _parts(kept, corpus):
        clips = part.corpus.clips["train"]
        analysis, n_slices = frames.rows.read(frames.rows_of(clips.digests)[part.visits])
        known = n_slices > 0
        if known.any():
            made = _tokens(tokenizer, analysis[known], n_slices[known])
            _write(kept, replace(part, rows=part.rows[known]), *made)


def _fill(kept: Kept, corpus: Corpus, make: Callable[[Part], Values], engine: Engine) -> None:
    kept.open()
    parts = list(_parts(kept, corpus))
    n_clips = sum(len(part.rows) for part in parts)
    needed = n_clips * kept.row_bytes
    log.info("%s: %s clips, %s, are to be made.", kept.name, f"{n_clips:,}", readable_size(needed))
    if kept.store.free_bytes() < needed:
        raise UserError(
            f"cache_dir={kept.store.root} has less than the {readable_size(needed)} free that "
            f"the {kept.name} of {n_clips:,} clips take; free some, or set cache_dir to another disk."
        )
    with tqdm(total=n_clips, desc=f"Making {kept.name}", unit="clip", disable=None, leave=False) as progress:
        for part, (values, lengths) in engine.map(make, parts):
            _write(kept, part, values, lengths)
            progress.update(len(part.rows))


def _write(kept: Kept, part: Part, values: np.ndarray, lengths: np.ndarray) -> None:
    try:
        for row, value, length in zip(part.rows.tolist(), values, lengths.tolist(), strict=True):
            kept.rows.write(row, value, length)
    except OSError as error:
        raise UserError(
            f"cache_dir={kept.store.root} cannot be written ({error.strerror or error}); free some space and "
            "run the same command again: it goes on from there."
        ) from error


def _parts(kept: Kept, corpus: Corpus) -> Iterator[Part]:
    """Group the clips that are not kept yet, neighbours together."""
    for clips in corpus.clips.values():
        rows = kept.rows_of(clips.digests)
        wanted = kept.rows.lengths(rows) == 0
        rows, absent = rows[wanted], clips.select(wanted)
        table, order = absent.table(), absent.as_they_lie()
        for chosen in np.split(order, range(PART_CLIPS, len(order), PART_CLIPS)):
            if len(chosen):
                alone: dict[Split, Catalogue] = {"train": Catalogue(table.take(pa.array(np.sort(chosen))))}
                visits = np.argsort(np.argsort(chosen))  # places among the sorted
                yield Part(replace(corpus, clips=alone, skipped=Catalogue.of(())), visits, rows[chosen])
