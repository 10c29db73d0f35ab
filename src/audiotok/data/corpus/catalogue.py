"""A catalogue: clips stored in columns, so that millions of them load in a second and workers share them.

One Python object for each clip would take a kilobyte, and reading it would write to it (reference counts), so
that each forked worker would end up with a copy of its own. Here a `Clip` is made on demand.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from audiotok.data.clip import Clip, Location

USABLE = "usable"
_NAME = pa.dictionary(pa.int8(), pa.string())
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "split": _NAME,
        "labels": pa.list_(pa.int32()),  # indices into the listing's classes
        "layout": _NAME,  # null if the clip is missing, like the rest of its location
        "path": pa.string(),
        "entry": pa.string(),
        "start": pa.float64(),  # s, where the clip begins in its sound
        "end": pa.float64(),  # s; null for the end of the sound
        "seconds": pa.float64(),
        "rate": pa.int32(),  # Hz
        "channels": pa.int16(),
        "peak": pa.float32(),  # 1 is full scale; NaN if it was not measured
        "digest": pa.uint64(),
        "status": _NAME,  # usable, or why not
        "detail": pa.string(),
    }
)
OF_A_PLACE = ("layout", "path", "entry", "start", "end")  # the columns of a `Location`
_OF_A_CLIP = ("id", *OF_A_PLACE, "labels", "split", "seconds", "digest")


class Catalogue(Sequence[Clip]):
    """Clips sorted by their unique ids, so that their order does not depend on where they are stored.

    Args:
        table: A table of `SCHEMA`, sorted by id.
        rows: Rows of the table that belong to the catalogue, ascending; None for all.
    """

    def __init__(self, table: pa.Table, rows: np.ndarray | None = None) -> None:
        self._table = table.combine_chunks()  # copies nothing if there is only one chunk
        self._rows = np.arange(len(table)) if rows is None else rows

    @classmethod
    def of(cls, clips: Iterable[Clip]) -> "Catalogue":
        """Return the catalogue of clips that have been inspected."""
        return cls(table_of(sorted(clips, key=lambda clip: clip.id.encode())))

    def __reduce__(self) -> tuple[Any, ...]:
        return Catalogue, (self._table, self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Clip: ...
    @overload
    def __getitem__(self, index: slice) -> "Catalogue": ...
    def __getitem__(self, index: int | slice) -> "Clip | Catalogue":
        if isinstance(index, slice):
            return Catalogue(self._table, np.sort(self._rows[index]))
        row = int(self._rows[index])
        value = {name: self._columns[name][row].as_py() for name in _OF_A_CLIP}
        located = value["layout"] is not None
        return Clip(
            value["id"],
            Location(**{name: value[name] for name in OF_A_PLACE}) if located else None,
            tuple(value["labels"]),
            value["split"],
            value["seconds"],
            value["digest"],
        )

    def select(self, chosen: np.ndarray) -> "Catalogue":
        """Return some of the clips.

        Args:
            chosen: bool (clips,)
        """
        return Catalogue(self._table, self._rows[chosen])

    def ids(self, indices: np.ndarray | Sequence[int]) -> list[str]:
        """Return the ids of some clips."""
        ids: list[str] = self._take("id", self._rows[np.asarray(indices, int)]).to_pylist()
        return ids

    def column(self, name: str) -> np.ndarray:
        """Return a column of numbers, (clips,)."""
        return _numbers(self._columns[name])[self._rows]

    def where(self, name: str, value: str) -> np.ndarray:
        """Return which clips have a given split or status, bool (clips,)."""
        column = self._columns[name]
        names = column.dictionary.to_pylist()
        code = names.index(value) if value in names else -1
        return (_numbers(column.indices) == code)[self._rows]

    def counts(self, name: str) -> dict[str, int]:
        """Count the clips by split or by status, the most frequent first."""
        column = self._columns[name]
        names = column.dictionary.to_pylist()
        numbers = np.bincount(_numbers(column.indices)[self._rows], minlength=len(names)).tolist()
        pairs = sorted(zip(names, numbers, strict=True), key=lambda pair: (-pair[1], pair[0]))
        return {name: n for name, n in pairs if n}

    @cached_property
    def digests(self) -> np.ndarray:
        """Digests of the clips' bytes, uint64 (clips,)."""
        return self.column("digest")

    @cached_property
    def seconds(self) -> np.ndarray:
        """Lengths, s, (clips,)."""
        return self.column("seconds")

    def label_rows(self, indices: np.ndarray | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels of some clips as pairs: a position among the indices, and a class.

        `targets[rows, classes] = 1` turns them into targets (len(indices), C).
        """
        labels = self._take("labels", self._rows[np.asarray(indices, int)])
        rows = np.repeat(np.arange(len(labels)), _numbers(labels.value_lengths()))
        return rows, _numbers(labels.flatten())

    @property
    def label_counts(self) -> np.ndarray:
        """How many labels each clip has, (clips,)."""
        return _numbers(self._take("labels", self._rows).value_lengths())

    def class_counts(self, n_classes: int) -> np.ndarray:
        """Count the clips of each class, (C,)."""
        return np.bincount(_numbers(self._take("labels", self._rows).flatten()), minlength=n_classes)

    def fingerprint(self) -> str:
        """Return 16 hex digits that identify the ids and the digests of the clips."""
        ids = self._take("id", self._rows)
        digest = hashlib.sha256()
        for array in (*_string_buffers(ids), self.digests):
            digest.update(array.tobytes())
        return digest.hexdigest()[:16]

    def storage_order(self) -> np.ndarray:
        """Return the order of the clips by file and by position in the file, (clips,).

        In this order, containers and recordings are read from beginning to end. The position is the number
        that an entry begins with, and the start of a stretch.
        """
        entries = self._take("entry", self._rows)
        number = pc.replace_substring_regex(entries, r"\D.*", "")
        number = pc.cast(pc.if_else(pc.equal(number, ""), "0", number), pa.int64())
        path, start = (self._take(name, self._rows) for name in ("path", "start"))
        places = pa.table({"path": path, "number": number, "start": start})
        return pc.sort_indices(places, [(name, "ascending") for name in places.column_names]).to_numpy()

    def table(self) -> pa.Table:
        """Return the columns of the clips, as `SCHEMA` names them."""
        return self._table.take(_places(self._rows))

    @cached_property
    def _columns(self) -> dict[str, Any]:
        return {
            name: self._table.column(name).chunk(0) if len(self._table) else pa.array([], field.type)
            for name, field in zip(SCHEMA.names, SCHEMA, strict=True)
        }

    def _take(self, name: str, rows: np.ndarray) -> Any:
        """Return a column of some rows of the table, in buffers of its own."""
        return self._columns[name].take(_places(rows))


def table_of(clips: Sequence[Clip]) -> pa.Table:
    """Return clips as a table of `SCHEMA`, in their order; what a `Clip` does not contain is null."""
    locations = [clip.location for clip in clips]
    known = {
        "id": [clip.id for clip in clips],
        "split": [clip.split for clip in clips],
        "labels": [clip.labels for clip in clips],
        "layout": [location and location.layout for location in locations],
        "path": [location and location.path for location in locations],
        "entry": [location and location.entry for location in locations],
        "start": [location and location.start for location in locations],
        "end": [location and location.end for location in locations],
        "seconds": [clip.seconds for clip in clips],
        "digest": [clip.digest for clip in clips],
    }
    empty = [None] * len(clips)
    columns = [pa.array(known.get(field.name, empty), field.type) for field in SCHEMA]
    return pa.table(columns, schema=SCHEMA)


# Arrow's own conversions from and to numpy import pandas, which would cost every run a second.


def _numbers(array: Any) -> np.ndarray:
    """Return a column without nulls as an array that shares its memory."""
    return np.from_dlpack(array) if len(array) else np.zeros(0, int)


def _places(rows: np.ndarray) -> Any:
    """Return int64 (n,) as an Arrow array."""
    return pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows)])


def _string_buffers(strings: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the offsets (n + 1,) and the bytes of a column of strings in buffers of its own."""
    if not len(strings):
        return np.zeros(1, np.int32), np.zeros(0, np.uint8)
    _, offsets, content = strings.buffers()
    ends = np.frombuffer(offsets, np.int32)[: len(strings) + 1]
    return ends, np.frombuffer(content, np.uint8)[: ends[-1]]
