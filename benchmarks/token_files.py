"""How long `audiotok tokens` takes to write the tokens of a corpus that are in the cache.

    python benchmarks/token_files.py                 10,000 clips of random tokens; no audio is needed
    python benchmarks/token_files.py --clips 50000

Clips of 10 s with the default tokens, 24 codebooks of 256. The rows are opened, read, checked and written in
each format; starting Python and opening the manifest are not in it.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cached import BATCH, draw_corpus, fill, fit_to_noise
from configuration import compose_program
from report import show, write_json

from audiotok.experiment import build_tokenizer
from audiotok.loader.clip_rows import TokenRows
from audiotok.loader.datamodule import ClipDataModule
from audiotok.store import Store
from audiotok.tokenization.arrangement import Arrangement
from audiotok.tokenization.corpus import sentences_of
from audiotok.tokenization.formats import FORMATS, write


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Measure, print a table, and return the seconds by format."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--clips", type=int, default=10_000, help="clips")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(Path(folder), options.clips)
    show(results, f"Seconds to write the cached tokens of {options.clips:,} clips of 10 s")
    write_json(results, options.json)
    return results


def measure(folder: Path, n_clips: int) -> dict[str, float]:
    """Fill a cache in a folder, and time each format."""
    tokenizer, store = build_tokenizer(compose_program([])), Store(folder)
    fit_to_noise(tokenizer)
    corpus = draw_corpus(n_clips)
    fill(ClipDataModule(corpus, tokenizer, store, "tokens", recipe=None, batch_size=BATCH, n_workers=0))
    codebooks, results = tokenizer.codebooks, {}
    for kind in FORMATS:
        arrangement = Arrangement("flatten") if kind == "km" else Arrangement()
        about = arrangement.about(codebooks.n_codebooks, codebooks.n_clusters)
        start = time.perf_counter()
        rows = TokenRows(corpus, tokenizer, store)
        rows.open()
        write(folder / f"x.{kind}", kind, sentences_of(corpus, ["train"], rows, arrangement), about)
        results[f"{kind}_seconds"] = time.perf_counter() - start
    return results


if __name__ == "__main__":
    main()
