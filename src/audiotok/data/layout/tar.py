"""Tar shards: the earlier ones of huggingface.co/datasets/agkphysics/AudioSet, and those of webdataset.

The former have members `audio/bal_train/<id>.flac`; in the latter, `<key>.json` beside `<key>.flac` may
contain `labels`. The headers of a tar are read once, when its clips are listed; a clip is then a range of
bytes, and reading it needs neither tarfile nor an open file.
"""

import json
import tarfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from audiotok.data.clip import Location
from audiotok.data.layout.containers import Containers
from audiotok.data.layout.folders import is_audio
from audiotok.data.layout.layout import Found
from audiotok.data.reading.audio import UnreadableError
from audiotok.data.reading.files import Files
from audiotok.errors import UserError


class Tar(Containers):
    """Audio files in tar archives."""

    name = "tar"
    extensions = (".tar",)

    def find_in(self, files: Files, folder: str, path: str) -> Iterable[Found]:
        """List the audio files in a tar.

        Raises:
            UserError: The file is not a tar, is compressed, or is truncated.
        """
        with files.open(path) as file:
            members = {member.name: member for member in _members(path, file)}
            for name, member in members.items():
                if not is_audio(name):
                    continue
                key = name.rpartition(".")[0]
                described = members.get(f"{key}.json")
                location = Location(self.name, path, f"{member.offset_data}+{member.size}")
                labels = _labels(file, described) if described else None
                yield Found(key.rpartition("/")[2], location, labels)

    def read(self, location: Location) -> bytes:
        """Return the bytes of a member."""
        offset, _, size = location.entry.partition("+")
        data = Files().read(location.path, int(offset), int(size))
        if len(data) < int(size):
            raise UnreadableError(f"the tar is truncated after {len(data)} of {size} bytes of the member")
        return data


def _members(path: str, file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """List the files in a tar; reject a truncated one, which tarfile silently reads as a smaller one."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            yield from (member for member in tar if member.isreg())
            end = tar.offset
    except tarfile.ReadError as error:
        raise UserError(
            f"{path} cannot be read as a tar ({error}); unpack it, or download it again."
        ) from error
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise UserError(f"{path} is truncated after {end:,} bytes: a tar ends with zeros; download it again.")


def _labels(file: BinaryIO, member: tarfile.TarInfo) -> tuple[str, ...] | None:
    """Return the `labels` in a JSON, a list or separated by commas; None if it has none."""
    file.seek(member.offset_data)
    try:
        described = json.loads(file.read(member.size))
    except ValueError:
        return None
    labels = described.get("labels") if isinstance(described, dict) else None
    if isinstance(labels, str):
        return tuple(label.strip() for label in labels.split(","))
    if isinstance(labels, list) and all(isinstance(label, str) for label in labels):
        return tuple(labels)
    return None
