"""Splits for clips that have none: by class, by recording, and by a seed.

A recording belongs to the rarest of its classes. Those of a class are sorted by a hash of the seed and of
their names, and the first ones are set aside, as many as make up the fraction of the clips: of two or more
at least one, never all. Test clips are chosen first, validation clips among the rest.

Guaranteed:

- Names, classes and seeds alone decide, and not the order of rows, the folder or the machine.
- Clips of one recording are in one split.
- Where every clip has one class, a class of three recordings or more is in every split.
- Where every clip has one class and is a recording of its own, one more clip moves, of its own class alone,
  at most one other clip into or out of the test clips, and at most two into or out of the validation clips.
"""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from audiotok.data.clip import SPLITS, Listing, Split
from audiotok.data.source import Source
from audiotok.errors import UserError
from audiotok.errors.ranges import Seed, ShareBelowOne

WORDS: dict[str, Split] = {  # what people call splits, in any case
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "development"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}


class Member(NamedTuple):
    """A clip whose split is to be chosen.

    Args:
        id: Its id.
        recording: The recording that it is of.
        classes: Ids of its classes.
        split: The split that its data gives it; None if none.
    """

    id: str
    recording: str
    classes: Iterable[str]
    split: Split | None = None


@dataclass(frozen=True, kw_only=True)
class SplitSource(Source):
    """A data source whose clips may lack test or validation clips, which are then chosen by a seed.

    Args:
        root: Where the data is.
        group: A regular expression that names the recording of a clip, by its first group or else all that
            it matches in the clip's id: clips of one recording stay in one split. None: each clip is a
            recording of its own.
        test_fraction: Fraction of the clips for testing, where none are, 0 to 1.
        test_seed: Seed of the choice of test clips; `validation` has one for validation clips.
    """

    root: str | None = None
    group: str | None = None
    test_fraction: ShareBelowOne = 0.2
    test_seed: Seed = 0

    def choose_splits(self, members: Sequence[Member]) -> list[Split]:
        """Return the split of every clip: that of its data, or a chosen one where a split has no clip."""
        splits: list[Split] = [member.split or "train" for member in members]
        if "test" not in splits:
            _move(members, splits, "test", lambda rest: draw(rest, self.test_fraction, self.test_seed))
        if "val" not in splits:
            _move(members, splits, "val", self._validation)
        return splits

    def _validation(self, members: Sequence[Member]) -> set[str]:
        """Choose the recordings for validation among the training clips."""
        if self.validation.first_characters:
            return {member.recording for member in members if self.validation.takes(member.id)}
        return draw(members, self.validation.fraction, self.validation.seed)

    def check_listing(self, listing: Listing) -> None:
        """Refuse fewer than two classes, and splits that are still empty, before any sound is read.

        Raises:
            UserError: They are.
        """
        names = [sound_class.name for sound_class in listing.classes]
        if len(names) < 2:
            has = f"1 class ({names[0]})" if names else "no classes"
            raise UserError(
                f"data.root={self.root} has {has}; tagging needs 2 or more, so add sounds of another class, "
                'for example "other".'
            )
        splits = {clip.split for clip in listing.clips}
        if "test" not in splits and not self.test_fraction:
            raise UserError("data.test_fraction=0 leaves no test clips; choose more, 0.2 for example.")
        if not splits >= {"test", "val"} and self.validation.fraction:
            raise UserError(
                f"data.root={self.root} has {len(listing.clips):,} clips of too few recordings for train, "
                "val and test clips; a class needs three recordings or more: add some, or give each clip a "
                'split, or let stretches of one recording be apart with data.group=".+".'
            )

    def origin_of_splits(self, given: Collection[Split | None], test_fold: int | None = None) -> str:
        """Say which splits the data gives, and how the others are chosen.

        Args:
            given: What the data gives its clips.
            test_fold: The fold for testing, where folds give it.
        """
        named = [split for split in SPLITS if split in given]
        said = [f"{' and '.join(named)} clips are given"] if named else []
        if test_fold is not None:
            said = [f"fold {test_fold} is for testing, the others for training (data.test_fold)"]
        by = "by class and recording" if self.group else "by class"
        if "test" not in given:
            said.append(f"test clips are chosen {by} (data.test_fraction={self.test_fraction})")
        if "val" not in given:
            chosen = self.validation
            key = "first_characters" if chosen.first_characters else "fraction"
            said.append(f"validation clips {by} (data.validation.{key}={getattr(chosen, key)})")
        return ", ".join(said)


def _move(
    members: Sequence[Member],
    splits: list[Split],
    to: Split,
    choose: Callable[[Sequence[Member]], set[str]],
) -> None:
    """Move the training clips of some recordings to another split."""
    places = [place for place, split in enumerate(splits) if split == "train"]
    chosen = choose([members[place] for place in places])
    for place in places:
        if members[place].recording in chosen:
            splits[place] = to


def fold_of(cell: str) -> int | None:
    """Return the number of a fold, also written `1.0` or `fold 1`; None if it is not one."""
    match = re.fullmatch(r"(?:fold[\s_-]*)?(\d{1,6})(?:\.0)?", cell, re.IGNORECASE)
    return int(match[1]) if match else None


def splits_of_folds(folds: Sequence[int], test_fold: int | None, table: str) -> list[Split | None]:
    """Return the splits of clips with folds: one is for testing, the others for training.

    Args:
        folds: Of the clips.
        test_fold: The one for testing; None for the first.
        table: What has the folds, for messages.

    Raises:
        UserError: There is no such fold.
    """
    known = sorted({*folds})
    chosen = known[0] if test_fold is None else test_fold
    if chosen not in known:
        raise UserError(f"data.test_fold={test_fold} is not in {table}; choose one of {known}.")
    return ["test" if fold == chosen else "train" for fold in folds]


def draw(members: Iterable[Member], fraction: float, seed: int) -> set[str]:
    """Return the recordings that are set aside, as this module describes.

    Args:
        members: The clips to choose among.
        fraction: Fraction of the clips of each class, 0 to 1.
        seed: Seed of the choice.
    """
    sizes: Counter[str] = Counter()
    classes: defaultdict[str, set[str]] = defaultdict(set)
    for member in members:
        sizes[member.recording] += 1
        classes[member.recording].update(member.classes)
    counts = Counter(name for names in classes.values() for name in names)
    strata: defaultdict[str, list[str]] = defaultdict(list)
    for recording, names in classes.items():
        strata[min(names, key=lambda name: (counts[name], name), default="")].append(recording)
    if not fraction:
        return set()
    return {
        recording
        for recordings in strata.values()
        for recording in _first(sorted(recordings, key=lambda name: _hash(name, seed)), sizes, fraction)
    }


def _first(recordings: list[str], sizes: Counter[str], fraction: float) -> list[str]:
    """Return the first recordings that make up a fraction of the clips; one that is too large is left."""
    target = fraction * sum(sizes[recording] for recording in recordings)
    taken: list[str] = []
    n_clips = 0
    for recording in recordings:
        if len(taken) < len(recordings) - 1 and n_clips + sizes[recording] / 2 <= target:
            taken.append(recording)
            n_clips += sizes[recording]
    if not taken and len(recordings) > 1:
        return [min(recordings, key=lambda recording: sizes[recording])]
    return taken


def _hash(name: str, seed: int) -> tuple[bytes, str]:
    normal = unicodedata.normalize("NFC", name)
    return hashlib.blake2b(f"{seed}:{normal}".encode(), digest_size=8).digest(), normal


def recordings_of(names: Sequence[str], rule: str | None) -> list[str]:
    """Return the recording of each clip: what a rule finds in its name, or the name itself.

    Args:
        names: Of the clips, ids or paths.
        rule: A regular expression; None for none.

    Raises:
        UserError: It is not a regular expression, or is found in no name.
    """
    if rule is None:
        return list(names)
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise UserError(
            f"data.group={rule} is not a regular expression ({error}); give one that finds the recording in "
            r"the name of a clip, for example data.group='rec\d+'."
        ) from error
    found = [pattern.search(name) for name in names]
    if names and not any(found):
        raise UserError(
            f"data.group={rule} is found in no name, for example not in {names[0]}; give a regular "
            "expression that finds the recording in it."
        )
    place = min(pattern.groups, 1)
    return [(match and match[place]) or name for name, match in zip(names, found, strict=True)]
