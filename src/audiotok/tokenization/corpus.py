"""The tokens of a corpus: those in the cache are read from it, the others are made by an engine and cached.

A command that was stopped finds what is in the cache, and goes on.
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiotok.data.clip import Split
from audiotok.data.corpus.corpus import Corpus, corpus_of
from audiotok.data.corpus.manifest import update_manifest
from audiotok.errors import UserError
from audiotok.experiment.tokenizer import open_tokenizer
from audiotok.experiment.tokenizing import open_request
from audiotok.loader.clip_rows import TokenRows
from audiotok.loader.fill import fill_tokens
from audiotok.tokenization.arrangement import Arrangement
from audiotok.tokenization.formats import Sentence, write
from audiotok.tokenization.request import Options, about, disk_errors_in_a_sentence

log = logging.getLogger(__name__)
_PART = 1024  # clips that are read at a time


def write_corpus(path: Path, config: Any, options: Options) -> str:
    """Write the tokens of the clips of a corpus.

    Args:
        path: The folder of a tokenizer, or of a run.
        config: Composed from `configs/tokens.yaml`.
        options: What is wanted.

    Returns:
        A sentence that says what was written.

    Raises:
        UserError: The user can fix something.
    """
    kind = options.kind
    if options.to.exists() and not options.overwrite:
        raise UserError(f"--to={options.to} exists; give another file, or --overwrite.")
    tokenizer = open_tokenizer(path, options.trust).eval()
    options.check_codebooks(tokenizer.codebooks.n_codebooks)
    assert tokenizer.clip_seconds is not None
    request = open_request(config, tokenizer.clip_seconds)
    manifest = update_manifest(request.source, request.store, request.engine)
    corpus = corpus_of(manifest, request.source)
    rows = fill_tokens(corpus, tokenizer, request.store, request.engine)
    splits = [split for split in corpus.clips if request.split in (split, "all")]
    sentences = sentences_of(corpus, splits, rows, options.arrangement)
    with disk_errors_in_a_sentence(options.to):
        n_clips = write(options.to, kind, sentences, about(tokenizer, options.arrangement))
    return f"The tokens of {n_clips:,} clips are in {options.to}."


def sentences_of(
    corpus: Corpus, splits: Sequence[Split], cached: TokenRows, arrangement: Arrangement
) -> Iterator[Sentence]:
    """Read the tokens of clips from the cache, split by split, in the order of their ids."""
    names = [sound_class.id for sound_class in corpus.classes]
    n_clusters = cached.tokenizer.codebooks.n_clusters
    for split in splits:
        clips = corpus.clips[split]
        places = cached.rows_of(clips.digests)
        for start in range(0, len(clips), _PART):
            part = np.arange(start, min(start + _PART, len(clips)))
            values, lengths = cached.rows.read(places[part])
            if not lengths.all():
                raise UserError(f"{cached.folder} is damaged; run the same command again, which repairs it.")
            labels: list[list[str]] = [[] for _ in part]
            for row, label in zip(*clips.label_rows(part), strict=True):
                labels[row].append(names[label])
            for row, id_ in enumerate(clips.ids(part)):
                made = arrangement.arrange(values[row, : lengths[row]], n_clusters)
                yield Sentence(id_, *made, split, tuple(labels[row]))
