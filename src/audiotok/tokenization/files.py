"""The tokens of files, one after the other; a command that was stopped goes on where it was."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from audiotok.data.reading.files import as_text
from audiotok.prediction.bar import each
from audiotok.prediction.inputs import Input, find_inputs
from audiotok.prediction.record import Record, check_new
from audiotok.tokenization.formats import Sentence, write
from audiotok.tokenization.request import Options, about, disk_errors_in_a_sentence
from audiotok.tokens.sidecar import folder_of


def write_files(
    path: Path, files: Sequence[Path], options: Options, screen: Console, errors: Console
) -> bool:
    """Write the tokens of files, and return whether all of them could be read.

    Args:
        path: The folder of a tokenizer, or of a run.
        files: Audio files, and folders of them.
        options: What is wanted.
        screen: Where it is said what was written.
        errors: Where problems are.

    Raises:
        UserError: Nothing can be done, or the file cannot be written.
    """
    folder_of(path.expanduser())
    kind = options.kind
    inputs, problems = find_inputs(files)
    if not options.overwrite:
        check_new(options.to)
    for problem in problems:
        errors.print(problem, style="red")
    from audiotok.data.recording import Recording
    from audiotok.experiment.tokenizer import open_tokenizer  # torch, from here on
    from audiotok.prediction.tagger import device_of

    tokenizer = open_tokenizer(path, options.trust).to(device_of(options.device)).eval()
    options.check_codebooks(tokenizer.codebooks.n_codebooks)

    def read(given: Input, watch: Callable[[float], None]) -> np.ndarray:
        return tokenizer.encode_recording(Recording.of(given.path), watch).numpy()

    def finish(given: Input, tokens: np.ndarray) -> None:
        record.add(given.path, {"id": as_text(str(given.name)), "tokens": tokens.tolist()})

    def sentences() -> Iterator[Sentence]:
        n_codebooks = tokenizer.codebooks.n_codebooks
        for line in record:
            tokens = np.array(line["tokens"], np.int64).reshape(-1, n_codebooks)
            yield Sentence(line["id"], *options.arrangement.arrange(tokens, tokenizer.codebooks.n_clusters))

    settings: dict[str, Any] = {"tokenizer": tokenizer.checksum(), "device": options.device}
    with disk_errors_in_a_sentence(options.to):
        record = Record.open(options.to, settings, options.overwrite)
        left = [given for given in inputs if not record.is_done(given.path)]
        if len(left) < len(inputs):
            errors.print(f"{len(inputs) - len(left)} of {len(inputs)} files are done already.")
        try:
            n_failed = each(left, read, finish, errors)
        finally:  # also after a signal
            n_sounds = write(options.to, kind, sentences(), about(tokenizer, options.arrangement))
    screen.print(f"The tokens of {n_sounds:,} files are in {options.to}.")
    return not n_failed and not problems
