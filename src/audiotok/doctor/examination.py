"""All checks, one after the other; one that is not possible says why, and the others continue."""

import logging
import time
from collections.abc import Callable
from typing import Any

import torch

from audiotok.data.corpus.manifest import Manifest
from audiotok.doctor import frames, listing, short_training, speed, tokens
from audiotok.doctor.control import control, histograms
from audiotok.doctor.finding import Finding, NotMadeError
from audiotok.doctor.report import report, show
from audiotok.doctor.subject import Subject
from audiotok.errors import UserError

log = logging.getLogger(__name__)
OF_THE_RUN = (
    "sound",
    "normalization",
    "vocabulary",
    "information",
    "control",
    "start",
    "one_batch",
    "learning_rate",
    "waiting",
)


class Examination:
    """The findings so far, the checks that were not possible, and how long each took."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.not_made: dict[str, str] = {}
        self.seconds: dict[str, float] = {}

    def examine_listing(self, manifest: Manifest, sample_rate: int) -> None:
        """Check what is listed and what exists."""
        self._make("clips", lambda: listing.clips(manifest))
        self._make("positives", lambda: listing.positives(manifest))
        self._make("certainty", lambda: listing.certainty(manifest))
        self._make("duplicates", lambda: listing.duplicates(manifest))
        self._make("rates", lambda: listing.rates(manifest, sample_rate))

    def note_no_run(self, error: UserError) -> None:
        """Note that training cannot start, and why."""
        self.findings.append(Finding("setup", "bad", str(error), "Fix this first: training would stop here."))
        self.not_made |= dict.fromkeys(OF_THE_RUN, "training cannot start, see setup")

    def examine_run(self, subject: Subject) -> None:
        """Check a run before its first step."""
        features, vocabulary = subject.vocabulary.tokenizer.features, subject.vocabulary
        codebooks, n = vocabulary.tokenizer.codebooks, subject.extent.n_permutations
        self._make("sound", lambda: frames.sound(subject.train, features))
        self._make("normalization", lambda: frames.normalization(subject.train, features))
        self._make("vocabulary", lambda: tokens.vocabulary_use(subject.train, vocabulary))
        self._make(
            "information",
            lambda: tokens.information(
                subject.train,
                histograms(subject.train, codebooks),
                subject.corpus.classes,
                n,
                _generator(subject),
            ),
        )
        self._make(
            "control",
            lambda: control(
                (histograms(subject.train, codebooks), subject.train.targets),
                (histograms(subject.val, codebooks), subject.val.targets),
                subject.corpus.chance("val"),
                n,
                _generator(subject),
            ),
        )
        log.info("Training briefly, several times.")
        self._make("start", lambda: short_training.loss_at_start(subject))
        self._make("one_batch", lambda: short_training.one_batch(subject))
        self._make("learning_rate", lambda: short_training.learning_rate(subject))
        self._make("waiting", lambda: speed.waiting(subject))

    def conclude(self) -> dict[str, Any]:
        """Print the findings, and return them in plain JSON."""
        show(self.findings, self.not_made)
        return report(self.findings, self.not_made, self.seconds)

    def _make(self, topic: str, check: Callable[[], Finding]) -> None:
        start = time.perf_counter()
        try:
            self.findings.append(check())
        except (NotMadeError, UserError) as reason:
            self.not_made[topic] = str(reason)
        self.seconds[topic] = time.perf_counter() - start


def _generator(subject: Subject) -> torch.Generator:
    return torch.Generator().manual_seed(subject.extent.seed)
