"""Your own sounds in folders: a folder for each class, or a folder for each split with those in it."""

import logging
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from textwrap import shorten
from typing import NamedTuple

from audiotok.data.audio import EXTENSIONS
from audiotok.data.clip import Clip, Findings, Listing, Location, SoundClass, Split
from audiotok.data.layout.folders import is_audio
from audiotok.data.reading.files import Files, fingerprint, is_url
from audiotok.data.splits import WORDS, Member, SplitSource, recordings_of
from audiotok.errors import UserError
from audiotok.errors.ranges import Seconds

log = logging.getLogger(__name__)
_OF_SYSTEMS = {"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "system volume information"}


class _Sound(NamedTuple):
    """An audio file: its path below the root, its whole path, its class, and its split, if it has one."""

    id: str
    path: str
    class_name: str
    split: Split | None


@dataclass(frozen=True, kw_only=True)
class Folder(SplitSource):
    """Sounds in folders that are named after their classes.

    `DIR/dog/1.wav` is of the class dog, and `DIR/animals/dog/1.wav` of animals/dog; a folder that all sounds
    lie in names no class. Folders for training and for validation or testing (train, val, test and the like,
    in any case) are splits, and the folders of classes are then in them. Hidden files and those of systems
    are passed over. Ids are paths below the root.

    Args:
        root: The folder.

    The other arguments are those of `SplitSource` and `Source`.
    """

    root: str | None = None
    clip_seconds: Seconds = 5.0

    def check_tables(self) -> None:
        """Check that there are sounds of several classes, and say which, and where their splits come from.

        Raises:
            UserError: There is no such folder, or it lacks sounds of two classes.
        """
        sounds = self._sounds(Findings())
        listing = self._listing(sounds, Findings())
        self.check_listing(listing)
        classes = [sound_class.name for sound_class in listing.classes]
        log.info(
            "%s: %s sounds of %s classes (%s); %s.",
            self.root,
            f"{len(sounds):,}",
            f"{len(classes):,}",
            shorten(", ".join(classes), 200, placeholder="..."),
            self.origin_of_splits({sound.split for sound in sounds}),
        )

    def fingerprint_of_tables(self) -> str:
        """Return "": no table lists the clips."""
        return ""

    def fingerprint_of_audio(self) -> str:
        """Return a name for the files, made of their names, sizes and times."""
        return fingerprint(Files().walk(self._root(), _is_visible))

    def read(self) -> Listing:
        """List the sounds.

        Raises:
            UserError: There is no such folder, or it has no sound of a class.
        """
        findings = Findings()
        return self._listing(self._sounds(findings), findings)

    def _listing(self, sounds: list[_Sound], findings: Findings) -> Listing:
        recordings = recordings_of([sound.id for sound in sounds], self.group)
        splits = self.choose_splits(
            [
                Member(sound.id, recording, (sound.class_name,), sound.split)
                for sound, recording in zip(sounds, recordings, strict=True)
            ]
        )
        names = sorted({sound.class_name for sound in sounds})
        index = {name: number for number, name in enumerate(names)}
        clips = (
            Clip(sound.id, Location("folders", sound.path), (index[sound.class_name],), split)
            for sound, split in zip(sounds, splits, strict=True)
        )
        return Listing(tuple(SoundClass(name, name) for name in names), tuple(clips), findings)

    def _sounds(self, findings: Findings) -> list[_Sound]:
        """List the audio files that have a class; the findings receive the other files."""
        paths = self._audio(findings)
        if not paths:
            raise UserError(self._without_audio(findings))
        places = _places({id_: unicodedata.normalize("NFC", id_) for id_ in paths})
        for id_ in sorted(paths.keys() - places.keys()):
            findings.outside.add(id_)
        if not places:
            raise UserError(
                f"data.root={self.root}: none of its {len(paths):,} audio files is in the folder of a class, "
                f"for example {next(iter(paths))}; put the sounds of each class into a folder of its name, "
                "or list them in a table (data=csv data.root=FILE)."
            )
        if all(_is_of_audioset(paths[id_], name) for id_, (name, _) in places.items()):
            raise UserError(
                f"data.root={self.root} has the folders of AudioSet, which are named after the first two "
                "characters of ids and not after classes; give data=audioset data.root=DIR, where DIR has "
                "metadata/ and audio/."
            )
        return [_Sound(id_, paths[id_], name, split) for id_, (name, split) in places.items()]

    def _audio(self, findings: Findings) -> dict[str, str]:
        """Return the paths of the audio files by their ids."""
        root = self._root()
        paths: dict[str, str] = {}
        for entry in Files().walk(root, _is_visible):
            name = entry.path[len(root.rstrip("/")) + 1 :]
            if is_audio(name) and _is_visible(name.rpartition("/")[2]):
                paths[name] = entry.path
            elif _is_visible(name.rpartition("/")[2]):
                findings.not_audio.add(name)
        normal = {name: unicodedata.normalize("NFC", name) for name in paths}
        counts = Counter(normal.values())
        return {normal[name] if counts[normal[name]] == 1 else name: path for name, path in paths.items()}

    def _without_audio(self, findings: Findings) -> str:
        n, examples = findings.not_audio.n, ", ".join(findings.not_audio.examples)
        has = f"has {n:,} files, of which none is audio (for example {examples})" if n else "has no files"
        return (
            f"data.root={self.root} {has}; give a folder that has a folder of sounds "
            f"({', '.join(EXTENSIONS)}) for each class."
        )

    def _root(self) -> str:
        root = self.root or ""
        if root and is_url(root):
            return root
        path = Path(root).expanduser()
        if not root or not path.is_dir():
            what = "is a file" if root and path.is_file() else "is not a folder"
            remedy = "give a folder that has a folder of sounds for each class"
            raise UserError(f"data.root={self.root} {what}; {remedy}, or data=csv for a table of clips.")
        return str(path)


def _is_visible(name: str) -> bool:
    """Tell whether a file or folder is meant for people: not hidden, and not of an operating system."""
    return not name.startswith(".") and name.casefold() not in _OF_SYSTEMS


def _is_of_audioset(path: str, class_name: str) -> bool:
    """Tell whether a sound is in the folder of its id: `<id[:2]>/<id>.flac`, ids having 11 characters."""
    stem, folder = PurePosixPath(path).stem, class_name.rpartition("/")[2]
    return len(folder) == 2 and len(stem) == 11 and stem.startswith(folder)


def _places(names: dict[str, str]) -> dict[str, tuple[str, Split | None]]:
    """Return the class and the split of each sound that is in the folder of a class.

    Args:
        names: Paths below the root, by ids.
    """
    folders = {id_: name.split("/")[:-1] for id_, name in names.items()}
    outer = _outer([*folders.values()])
    tops = {folder[outer] for folder in folders.values() if len(folder) > outer}
    splits = {top: WORDS[top.casefold()] for top in tops if top.casefold() in WORDS}
    if splits.keys() != tops and not ("train" in splits.values() and len({*splits.values()}) > 1):
        splits = {}  # a class may be called "train"
    places: dict[str, tuple[str, Split | None]] = {}
    for id_, folder in folders.items():
        split = splits.get(folder[outer]) if len(folder) > outer else None
        names_of_class = folder[outer + bool(split) :]
        if names_of_class and bool(split) == bool(splits):
            places[id_] = "/".join(names_of_class), split
    return places


def _outer(folders: list[list[str]]) -> int:
    """Return how many folders, one in the other, all sounds lie in that are neither classes nor splits."""
    depth = 0
    while (
        all(len(folder) > depth + 1 for folder in folders)
        and len({folder[depth] for folder in folders}) == 1
        and folders[0][depth].casefold() not in WORDS
    ):
        depth += 1
    return depth
