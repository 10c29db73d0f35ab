"""Verbs on a finished run or a tokenizer: predict, tokens, export, demo, listen."""

from pathlib import Path
from typing import Annotated

import typer

from audiotok.cli.application import Trust, app
from audiotok.cli.screen import console, log_on_screen, one_sentence, warn_of_changes


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run, or one of its checkpoints.")],
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Audio files, and folders of them.")
    ],
    window: Annotated[
        float | None, typer.Option(help="The length of a window, s; by default that of the run's clips.")
    ] = None,
    overlap: Annotated[float, typer.Option(help="What neighbouring windows share, s.")] = 0.0,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="The probability above which a class is heard; by default each class has its own, from "
            "validation.",
            min=0,
            max=1,
        ),
    ] = None,
    top: Annotated[int, typer.Option(help="The number of classes shown for each file.", min=1)] = 5,
    to: Annotated[
        Path | None,
        typer.Option(
            help="Write detections to a file: .csv, .jsonl, .parquet, .txt (labels for Audacity) or "
            ".selections.txt (for Raven); or to a folder, a file for each sound. A command that was stopped "
            "goes on."
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option("--format", help="csv, jsonl, parquet, audacity or raven, whatever the ending of --to."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --to, and begin anew.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw a spectrogram over what is heard when: a picture, or a folder of them."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda; by default a GPU if there is one.")] = "auto",
    trust: Trust = None,
) -> None:
    """Tag your own sounds with a trained model: what is heard, and when."""
    from audiotok.prediction.program import Options
    from audiotok.prediction.program import predict as tag

    options = Options(
        window, overlap, threshold, top, to, format_, overwrite, plot, device, tuple(trust or ())
    )
    with one_sentence("; the same command goes on with the next file" if to else ""):
        warn_of_changes(run)
        is_complete = tag(run, files, options, console(), console(stderr=True))
    if not is_complete:
        raise typer.Exit(1)


@app.command()
def tokens(
    tokenizer: Annotated[Path, typer.Argument(help="The folder of a tokenizer, or of a run.")],
    sounds: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER...|data=OPTION",
            help="Audio files, folders of them, or a corpus.",
        ),
    ],
    to: Annotated[
        Path,
        typer.Option(
            help="The file to write: .npz, .jsonl, .parquet, .tar (a webdataset) or .km (a line of units for "
            "each sound). A command that was stopped goes on."
        ),
    ],
    format_: Annotated[
        str | None,
        typer.Option("--format", help="npz, jsonl, parquet, tar or km, whatever --to ends with."),
    ] = None,
    pattern: Annotated[
        str,
        typer.Option(help="parallel, a row for each position; flatten, one codebook after the other; delay."),
    ] = "parallel",
    offsets: Annotated[
        bool, typer.Option("--offsets", help="Give each codebook numbers of its own, for one vocabulary.")
    ] = False,
    units: Annotated[
        bool, typer.Option("--units", help="Write a stretch of equal positions once, with its length.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace --to, and begin anew.")] = False,
    device: Annotated[
        str, typer.Option(help="cpu, where tokens are the same to the bit; cuda; auto. For files.")
    ] = "cpu",
    trust: Trust = None,
) -> None:
    """Write the tokens of sounds to a file, for language models and others."""
    from audiotok.programs.tokens import tokens as write
    from audiotok.tokenization.request import Arrangement, Options

    with one_sentence("; the same command goes on where it was"), log_on_screen():
        arrangement = Arrangement(pattern, offsets, units)
        options = Options(to, format_, arrangement, overwrite, device, tuple(trust or ()))
        is_complete = write(tokenizer, sounds, options, console(), console(stderr=True))
    if not is_complete:
        raise typer.Exit(1)


@app.command()
def export(
    run: Annotated[
        Path,
        typer.Argument(help="The folder of a finished run, a checkpoint in it, or a tokenizer."),
    ],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write, new or empty.")],
    to: Annotated[
        str, typer.Option(help="hf: a folder for transformers and the Hugging Face Hub; onnx: an ONNX model.")
    ],
    push: Annotated[
        str | None,
        typer.Option(
            metavar="USER/NAME", help="Upload it to the Hugging Face Hub; a new repository is private."
        ),
    ] = None,
    trust: Trust = None,
) -> None:
    """Write a trained model, or a tokenizer, for use without audiotok."""
    from audiotok.export.program import export as write

    with one_sentence():
        warn_of_changes(run)
        said = write(run, directory, to, push, trust or ())
    console().print(said)


@app.command()
def demo(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run, or one of its checkpoints.")],
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0 for everyone who can reach this machine.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Port to listen at; 0 for the first free one.", min=0, max=65535)
    ] = 7860,
    max_mb: Annotated[int, typer.Option(help="The largest sound that is taken, MB.", min=1)] = 50,
    trust: Trust = None,
) -> None:
    """Try a trained model in the browser: drop or record sounds."""
    from audiotok.demo import open_demo

    with one_sentence():
        warn_of_changes(run)
        page = open_demo(run, trust or ())
        try:
            typer.echo(f"{page.start(host, port, max_mb)} shows {run}; Ctrl-C ends it.")
            page.wait()
        finally:
            page.close()


@app.command()
def listen(
    tokenizer: Annotated[
        Path, typer.Argument(metavar="TOKENIZER|RUN", help="The folder of a tokenizer, or of a run.")
    ],
    file: Annotated[Path, typer.Argument(help="An audio file.")],
    to: Annotated[Path, typer.Option(help="The folder to write WAV files to.")],
    trust: Trust = None,
) -> None:
    """Hear what tokens keep of a sound: the original, its mel frames, and its tokens turned back."""
    from audiotok.experiment.tokenizer import open_tokenizer
    from audiotok.tokens.listening import listen as hear
    from audiotok.tokens.listening import write_heard

    with one_sentence():
        heard = hear(open_tokenizer(tokenizer, trust or ()), file)
        written = write_heard(heard, to)
    for n, distance in heard.distance_db.items():
        console().print(f"{n:3} codebooks: spectral distance {distance:.2f} dB")
    console().print(f"{', '.join(path.name for path in written)} are in {to}.")
