"""Cache the analysis or the tokens of all clips of a corpus before training asks for them, by any engine.

Rows are returned to this process, which writes them: workers need to read the audio, but not the cache.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from audiotok.data.corpus.corpus import Corpus
from audiotok.data.corpus.parts import PART_CLIPS, Part, process
from audiotok.engine.engine import Engine
from audiotok.errors import UserError
from audiotok.features.features import Features
from audiotok.loader.clip_rows import AnalysisRows, ClipRows, TokenRows, token_type
from audiotok.loader.waveforms import WaveformReader
from audiotok.store import Store, readable_size
from audiotok.tokens.tokenizer import Tokenizer

log = logging.getLogger(__name__)
Values = tuple[np.ndarray, np.ndarray]  # rows (B, ...), and their lengths (B,)


def fill_analysis(corpus: Corpus, features: Features, store: Store, engine: Engine) -> AnalysisRows:
    """Cache the analysis of all usable clips.

    Raises:
        UserError: There is too little room, a clip can no longer be read, or a part fails.
    """
    cached = AnalysisRows(corpus, features, store)
    _fill(cached, corpus, partial(analysis_of_part, features, corpus.clip_seconds), engine)
    return cached


def fill_tokens(corpus: Corpus, tokenizer: Tokenizer, store: Store, engine: Engine) -> TokenRows:
    """Cache the tokens of all usable clips; clips whose analysis is cached are not read again.

    Args:
        corpus: The clips.
        tokenizer: Fitted.
        store: Where rows are cached.
        engine: Works on the parts.

    Raises:
        UserError: There is too little room, a clip can no longer be read, or a part fails.
    """
    cached = TokenRows(corpus, tokenizer, store)
    analysis = AnalysisRows(corpus, tokenizer.features, store)
    if analysis.folder.is_dir():
        _tokens_of_cached_analysis(cached, analysis, corpus, tokenizer)
    _fill(cached, corpus, partial(tokens_of_part, tokenizer, corpus.clip_seconds), engine)
    return cached


def analysis_of_part(features: Features, seconds: float, part: Part) -> Values:
    """Analyse the clips of a part, at a length in s: (B, slices, bins), a function of their bytes alone."""
    torch.set_num_threads(1)  # an engine has a process for each core
    clips = WaveformReader(part.clips, seconds, features)
    analysis, n_slices = clips.analysis(part.order, np.zeros_like(part.order))
    return analysis.numpy(), n_slices.numpy()


def tokens_of_part(tokenizer: Tokenizer, seconds: float, part: Part) -> Values:
    """Tokenise the clips of a part, at a length in s: (B, T, Q), a function of their bytes alone."""
    return _tokens(tokenizer, *analysis_of_part(tokenizer.features, seconds, part))


def _tokens(tokenizer: Tokenizer, analysis: np.ndarray, n_slices: np.ndarray) -> Values:
    tokens, lengths = tokenizer.tokens(torch.from_numpy(analysis), torch.from_numpy(n_slices))
    return tokens.numpy().astype(token_type(tokenizer)), lengths.numpy()


def _tokens_of_cached_analysis(
    cached: ClipRows, analysis: ClipRows, corpus: Corpus, tokenizer: Tokenizer
) -> None:
    """Cache the tokens of clips whose analysis is cached, in this process: a tenth of the work of reading."""
    cached.open()
    analysis.open()
    for part in _parts(cached, corpus):
        values, n_slices = analysis.rows.read(analysis.rows_of(part.clips.digests)[part.order])
        known = n_slices > 0
        if known.any():
            made = _tokens(tokenizer, values[known], n_slices[known])
            _write(cached, replace(part, rows=part.rows[known]), made)


def _fill(cached: ClipRows, corpus: Corpus, make: Callable[[Part], Values], engine: Engine) -> None:
    cached.open()
    parts = list(_parts(cached, corpus))
    n_clips = sum(map(len, parts))
    needed = n_clips * cached.row_bytes
    log.info("Making the %s of %s clips, %s.", cached.name, f"{n_clips:,}", readable_size(needed))
    if cached.store.free_bytes() < needed:
        raise UserError(
            f"cache_dir={cached.store.root} has less than the {readable_size(needed)} free that "
            f"the {cached.name} of {n_clips:,} clips need; free some, or set cache_dir to another disk."
        )
    process(make, parts, engine, partial(_write, cached), f"Making {cached.name}")


def _write(cached: ClipRows, part: Part, made: Values) -> None:
    try:
        for row, value, length in zip(part.rows.tolist(), made[0], made[1].tolist(), strict=True):
            cached.rows.write(row, value, length)
    except OSError as error:
        raise UserError(
            f"cache_dir={cached.store.root} cannot be written ({error.strerror or error}); free some space "
            "and run the same command again: it continues from there."
        ) from error


def _parts(cached: ClipRows, corpus: Corpus) -> Iterator[Part]:
    """Group the clips that are not cached yet, neighbours together."""
    for clips in corpus.clips.values():
        rows = cached.rows_of(clips.digests)
        wanted = cached.rows.lengths(rows) == 0
        rows, absent = rows[wanted], clips.select(wanted)
        table, order = absent.table(), absent.storage_order()
        for chosen in np.split(order, range(PART_CLIPS, len(order), PART_CLIPS)):
            if len(chosen):
                yield Part.of(table, chosen, rows[chosen])
