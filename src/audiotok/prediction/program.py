"""The verb `audiotok predict`: files in, tags on the screen, in a file, and as pictures.

What the names of files tell is checked first, before torch is imported. Files are read one after the other,
each piece by piece. One that cannot be read is reported, and the rest is done.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from tqdm import tqdm

from audiotok.data.reading.files import as_text
from audiotok.data.recording import Recording
from audiotok.disk.writing import complaint
from audiotok.errors import UserError
from audiotok.prediction import picture
from audiotok.prediction.bar import each
from audiotok.prediction.formats import Tagged, as_dict, from_dict
from audiotok.prediction.inputs import Input, check_names, find_inputs
from audiotok.prediction.output import Output
from audiotok.prediction.record import Record, check_new
from audiotok.prediction.results import Scores
from audiotok.prediction.screen import lines_of, title_of
from audiotok.run.trained import find_trained

if TYPE_CHECKING:
    from audiotok.prediction.tagger import TrainedRun


@dataclass(frozen=True)
class Options:
    """The options of the command.

    Args:
        window: Length of a window, s; None for that of the run's clips.
        overlap: What neighbouring windows share, s.
        threshold: Probability above which a class counts as heard; None for each class's own.
        top: Classes that are shown for each file.
        to: File of the detections, or folder of files; None to show tags on the screen.
        format: Of that file; None for what its ending says.
        overwrite: Replace that file instead of going on.
        plot: A picture, or a folder of pictures; None for none.
        device: Where the model computes.
        trust: Modules whose classes the run's configuration may name.
    """

    window: float | None = None
    overlap: float = 0.0
    threshold: float | None = None
    top: int = 5
    to: Path | None = None
    format: str | None = None
    overwrite: bool = False
    plot: Path | None = None
    device: str = "auto"
    trust: Sequence[str] = ()


def predict(run: Path, files: Sequence[Path], options: Options, screen: Console, errors: Console) -> bool:
    """Tag files, and return whether all of them could be read.

    Args:
        run: The folder of a run, or a checkpoint.
        files: Audio files, and folders of them.
        options: What is wanted.
        screen: Where tags are shown.
        errors: Where problems are.

    Raises:
        UserError: Nothing can be done, or a result cannot be written.
    """
    find_trained(run)
    inputs, problems = find_inputs(files)
    output = None if options.to is None else Output.of(options.to, options.format, inputs)
    if output and not options.overwrite:
        check_new(output.to)
    if options.plot:
        _check_plot(options.plot, inputs)
    for problem in problems:
        errors.print(problem, style="red")
    from audiotok.prediction.tagger import load  # torch is imported here

    prediction = _Prediction(load(run, options.device, options.trust), options, screen, errors)
    with _disk_errors_in_a_sentence(options):
        n_failed = prediction.run(inputs, output)
    return not n_failed and not problems


class _Prediction:
    """Files through a run.

    Args:
        run: The run.
        options: Of the command.
        screen: Where tags are shown.
        errors: Where problems are.
    """

    def __init__(self, run: "TrainedRun", options: Options, screen: Console, errors: Console) -> None:
        self.tagger, self.options, self.screen, self.errors = run, options, screen, errors
        self.cutting = run.cutting(options.window, options.overlap)
        n_classes = len(run.classes)
        own = options.threshold is None
        self.thresholds = run.thresholds if own else (float(options.threshold or 0),) * n_classes

    def run(self, inputs: Sequence[Input], output: Output | None) -> int:
        """Tag files, and return how many could not be read."""
        if output is None:
            return self._each(inputs, self._show)
        record = Record.open(output.to, self._settings(), self.options.overwrite)
        left = [given for given in inputs if not record.is_done(given.path)]
        if output.kind == "audacity" and not output.is_folder and len(record.done) > len(inputs) - len(left):
            raise UserError(f"--to={output.to} has the labels of another sound; give another file.")
        if len(left) < len(inputs):
            self.errors.print(f"{len(inputs) - len(left)} of {len(inputs)} files are done already.")
        try:
            n_failed = self._each(
                left, lambda given, scores: record.add(given.path, self._line(given, scores))
            )
        finally:  # also after a signal
            output.write(map(from_dict, record), self.tagger.sample_rate / 2)
        n_found = sum(len(line["detections"]) for line in record)
        self.screen.print(f"{n_found:,} detections in {len(record.done):,} files are in {output.to}.")
        return n_failed

    def _each(self, inputs: Sequence[Input], done: Callable[[Input, Scores], object]) -> int:
        def read(given: Input, watch: Callable[[float], None]) -> Scores:
            return self.tagger.scores(Recording.of(given.path), self.cutting, watch)

        def finish(given: Input, scores: Scores) -> None:
            done(given, scores)
            if self.options.plot:
                self._draw(self.options.plot, given, scores)

        return each(inputs, read, finish, self.errors)

    def _show(self, given: Input, scores: Scores) -> None:
        with tqdm.external_write_mode():
            self.screen.print(as_text(title_of(scores, self.thresholds)), style="bold")
            for line in lines_of(scores, self.thresholds, self.options.top):
                self.screen.print(line)

    def _draw(self, plot: Path, given: Input, scores: Scores) -> None:
        path = plot
        if not _is_picture(plot):
            path = plot / f"{given.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
        rate = self.tagger.sample_rate
        picture.draw(path, scores, self.thresholds, Recording.of(given.path).blocks(rate), rate)

    def _line(self, given: Input, scores: Scores) -> dict[str, Any]:
        detections = tuple(scores.detections(self.thresholds))
        tagged = Tagged(as_text(scores.source), as_text(str(given.name)), scores.seconds, detections)
        return {"name": tagged.name, **as_dict(tagged)}

    def _settings(self) -> dict[str, Any]:
        """Return what detections depend on, by option."""
        return {
            "run": self.tagger.key(),
            "window": self.cutting.length / self.tagger.sample_rate,
            "overlap": self.options.overlap,
            "threshold": self.options.threshold,
        }


@contextmanager
def _disk_errors_in_a_sentence(options: Options) -> Iterator[None]:
    places = {"--to": options.to, "--plot": options.plot}
    try:
        yield
    except OSError as error:
        sentence = complaint(error, {key: place for key, place in places.items() if place is not None})
        if sentence is None:
            raise
        raise UserError(sentence) from error


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in picture.SUFFIXES and not path.is_dir()


def _check_plot(plot: Path, inputs: Sequence[Input]) -> None:
    """Check what the names tell of pictures, and that they can be drawn at all."""
    picture.check_matplotlib()
    if not _is_picture(plot):
        if plot.is_file() or (plot.suffix and not plot.is_dir()):
            raise UserError(f"--plot={plot} is not a folder, nor {', '.join(picture.SUFFIXES)}; choose one.")
        check_names(f"--plot={plot}", inputs)
    elif len(inputs) > 1:
        raise UserError(f"--plot={plot} is one picture, and there are {len(inputs)} files; give a folder.")
    elif not plot.absolute().parent.is_dir():
        raise UserError(f"--plot={plot} is in a folder that does not exist; make it, or give another file.")
