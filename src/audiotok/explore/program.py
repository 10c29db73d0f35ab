"""The verb `audiotok explore`."""

import logging
from typing import Any

import numpy as np

from audiotok.data.clip import SoundClass
from audiotok.data.corpus.catalogue import USABLE, Catalogue
from audiotok.data.corpus.manifest import Manifest, open_manifest
from audiotok.data.source import Source
from audiotok.errors import UserError
from audiotok.experiment.exploration import Exploration, open_exploration
from audiotok.explore.clips import evenly, read_clips
from audiotok.explore.contents import of_clips, of_vocabulary
from audiotok.explore.subject import Subject, open_subject
from audiotok.page.assembly import assemble, require, write_page
from audiotok.run.destination import Destination

log = logging.getLogger(__name__)
_PROGRAM = (
    "numbers.js",
    "canvas.js",
    "listening.js",
    "vocabulary.js",
    "clip.js",
    "classes.js",
    "use.js",
    "page.js",
)


def explore(config: Any, destination: Destination) -> dict[str, Any]:
    """Write a page about a run or a tokenizer.

    Args:
        config: Composed from `configs/explore.yaml`.
        destination: The folder of the page.

    Returns:
        Numbers of clips and the size of the page, MB.

    Raises:
        UserError: The user can fix something.
    """
    require("explore", "compare", "plotly")
    asked = open_exploration(config, destination)
    subject = open_subject(asked.path, asked.device, asked.trust)
    contents, sounds = of_vocabulary(subject), list[str]()
    if asked.source is not None:
        of_data, sounds = _of_data(asked, asked.source, subject)
        contents |= of_data
    write_page(asked.page, render(contents, sounds), "to")
    megabytes = asked.page.stat().st_size / 1e6
    log.info("%s (%.1f MB): open it in a browser.", asked.page, megabytes)
    results = {
        "n_clips": contents.get("n_clips", 0),
        "n_heard": len(contents.get("clips", ())),
        "mb": megabytes,
    }
    destination.folder.write_metrics(results)
    return results


def _of_data(asked: Exploration, source: Source, subject: Subject) -> tuple[dict[str, Any], list[str]]:
    manifest = open_manifest(source, asked.store)
    listed = Catalogue(manifest.table)
    usable = listed.select(listed.where("status", USABLE))
    chosen = usable if asked.split == "all" else usable.select(usable.where("split", asked.split))
    if not len(chosen):
        raise UserError(f"split={asked.split} has no usable clip in these data; choose another, or all.")
    chosen = evenly(chosen, asked.n_clips)
    log.info("Reading %s of %s clips.", f"{len(chosen):,}", f"{len(usable):,}")
    classes, targets = labelled(manifest, chosen, subject)
    return of_clips(subject, read_clips(subject, chosen, targets), classes, asked.n_heard)


def labelled(manifest: Manifest, clips: Catalogue, subject: Subject) -> tuple[list[SoundClass], np.ndarray]:
    """Return the classes of the page, those of the run first, and which of them clips have.

    Classes of the data are found among those of the run by their ids, and else by their names.
    """
    classes = list(subject.classes)
    known = {one.name.casefold(): place for place, one in enumerate(classes)}
    known |= {one.id.casefold(): place for place, one in enumerate(classes)}
    of_data = []
    for one in manifest.classes:
        place = known.get(one.id.casefold(), known.get(one.name.casefold()))
        if place is None:
            place = len(classes)
            classes.append(one)
        of_data.append(place)
    targets = np.zeros((len(clips), len(classes)), bool)
    rows, labels = clips.label_rows(range(len(clips)))
    targets[rows, np.array(of_data, int)[labels]] = True
    return classes, targets


def render(contents: dict[str, Any], sounds: list[str]) -> str:
    """Return the HTML of the page."""
    scripts = [f'<script type="text/plain" id="sound-{n}">{mp3}</script>' for n, mp3 in enumerate(sounds)]
    return assemble(__package__, _PROGRAM, contents, {"sounds": "\n".join(scripts)})
