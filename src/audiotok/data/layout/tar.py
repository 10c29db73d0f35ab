"""Tar shards: the earlier ones of huggingface.co/datasets/agkphysics/AudioSet, and those of webdataset.

The former have members `audio/bal_train/<id>.flac`; in the latter, `<key>.json` beside `<key>.flac` may
contain `labels`. The headers of a tar are read once, when its clips are listed; a clip is then a range of
bytes, and reading it needs neither tarfile nor an open file.
"""

import tarfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from audiotok.data.audio import UnreadableError
from audiotok.data.clip import Location
from audiotok.data.layout.containers import Containers
from audiotok.data.layout.folders import is_audio
from audiotok.data.layout.layout import Found, labels_of
from audiotok.data.reading.files import Files, as_text, warn_once
from audiotok.disk.parsing import parse_json
from audiotok.errors import UserError

_MOST_JSON = 2**20  # bytes of a JSON beside a clip


class Tar(Containers):
    """Audio files in tar archives."""

    name = "tar"
    extensions = (".tar",)

    def find_in(self, files: Files, folder: str, path: str) -> Iterable[Found]:
        """List the audio files in a tar; a hard link is a second name of a file before it.

        Raises:
            UserError: The file is not a tar, is compressed, or is truncated.
        """
        with files.open(path) as file:
            members: dict[str, tarfile.TarInfo] = {}
            for member in _members(path, file):
                linked = members.get(member.linkname) if member.islnk() else member
                if linked is not None:
                    members[member.name] = linked
            for name, member in members.items():
                if not is_audio(name):
                    continue
                key = name.rpartition(".")[0]
                described = members.get(f"{key}.json")
                location = Location(self.name, path, f"{member.offset_data}+{member.size}")
                labels = _labels(file, described) if described else None
                yield Found(as_text(key.rpartition("/")[2]), location, labels, not member.size)

    def read(self, location: Location) -> bytes:
        """Return the bytes of a member."""
        offset, _, size = location.entry.partition("+")
        data = Files().read(location.path, int(offset), int(size))
        if len(data) < int(size):
            raise UnreadableError(f"the tar is truncated after {len(data)} of {size} bytes of the member")
        return data


def _members(path: str, file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """List the files and hard links in a tar, without sparse files, whose bytes are not all there.

    A truncated tar, which tarfile silently reads as a smaller one, is refused.
    """
    n_sparse, end = 0, -1
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if member.offset_data <= end:  # a negative size would lead back for ever
                    raise tarfile.ReadError("a member has an impossible size")
                end = member.offset_data
                n_sparse += member.issparse()
                if member.islnk() or (member.isreg() and not member.issparse()):
                    yield member
            end = tar.offset
    except tarfile.TarError as error:
        raise UserError(
            f"{path} cannot be read as a tar ({error}); unpack it, or download it again."
        ) from error
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise UserError(f"{path} is truncated after {end:,} bytes: a tar ends with zeros; download it again.")
    if n_sparse:
        warn_once(f"{path}: {n_sparse:,} sparse members are passed over; pack them without --sparse.")


def _labels(file: BinaryIO, member: tarfile.TarInfo) -> tuple[str, ...] | None:
    """Return the `labels` in a JSON, a list or separated by commas; None if it has none."""
    if member.size > _MOST_JSON:
        return None
    file.seek(member.offset_data)
    try:
        described = parse_json(file.read(member.size))
    except ValueError:
        return None
    labels = described.get("labels") if isinstance(described, dict) else None
    if isinstance(labels, str):
        labels = labels.split(",")
    if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
        return labels_of(labels)
    return None
