"""Zip archives of a few files, whole or in parts as Info-ZIP and PKZIP split them."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np

MEMBERS = {f"Corpus/audio/{i}.wav": np.random.default_rng(i).bytes(2000 + 100 * i) for i in range(12)}
MEMBERS["Corpus/meta/table.csv"] = b"a,b\n1,2\n" * 1000


def zip_of(members: dict[str, bytes]) -> bytes:
    """Return an archive of these members, compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def split_zip(members: dict[str, bytes], n_bytes: int) -> list[bytes]:
    """Return an archive in parts: a mark at the start, and every offset counted from its part's beginning.

    Source: PKWARE, APPNOTE.TXT 6.3, sections 4.3.12, 4.3.16, 8.5.
    """
    whole = b"PK\x07\x08" + zip_of(members)
    end = bytearray(whole[whole.rindex(b"PK\x05\x06") :])
    size, start = struct.unpack_from("<LL", end, 12)
    start += 4
    directory = bytearray(whole[start : start + size])
    at = 0
    while at < size:
        lengths = struct.unpack_from("<3H", directory, at + 28)
        (offset,) = struct.unpack_from("<L", directory, at + 42)
        disk, within = divmod(offset + 4, n_bytes)
        struct.pack_into("<H", directory, at + 34, disk)
        struct.pack_into("<L", directory, at + 42, within)
        at += 46 + sum(lengths)
    disk, within = divmod(start, n_bytes)
    struct.pack_into("<2H", end, 4, (len(whole) - 1) // n_bytes, disk)
    struct.pack_into("<L", end, 16, within)
    whole = whole[:start] + bytes(directory) + bytes(end)
    return [whole[i : i + n_bytes] for i in range(0, len(whole), n_bytes)]


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all files below a folder, by their paths from its parent."""
    return {
        str(p.relative_to(folder.parent)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }
