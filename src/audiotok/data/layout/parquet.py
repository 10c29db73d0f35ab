"""Parquet shards as on huggingface.co/datasets/agkphysics/AudioSet: one audio file in each row.

Columns: `video_id`, `audio` (a struct of `bytes` and `path`), `labels` (mids), `human_labels`. Files are
`data/bal_train/00.parquet` or `bal_train-00000-of-00012.parquet`.

Parquet cannot read a single row: a row group (100 rows from the `datasets` library, 140 MB of AudioSet) is
read and decompressed at once. The last row group of a shard stays in memory, so that reading clips in the
order of the shard costs 1.3 ms each; in any other order, each clip costs a whole row group, 88 ms (measured
with 100 rows of 0.84 MB, file in memory). `audiotok prepare ... fill=tokens` reads in order; once tokens are
cached, the order does not matter.
"""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from audiotok.data.audio import UnreadableError
from audiotok.data.clip import Location
from audiotok.data.layout.containers import Containers, Opened
from audiotok.data.layout.layout import Found, labels_of
from audiotok.data.reading.files import Files, is_url
from audiotok.errors import UserError

_N_OPEN = 2  # shards with a row group in memory, in each process: 280 MB of AudioSet
_MOST_ROWS = 10_000_000  # of a shard; AudioSet has 2 million clips
# What polars, pandas and others write in place of string, list and binary.
_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)
_BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


class Parquet(Containers):
    """Audio files in the rows of Parquet files."""

    name = "parquet"
    extensions = (".parquet",)
    out_of_order = "a whole row group"

    def __init__(self) -> None:
        self._shards = Opened(_Shard, _N_OPEN)

    def find_in(self, files: Files, folder: str, path: str) -> Iterable[Found]:
        """List the rows of a file that have an id, by the columns of ids and labels.

        Raises:
            UserError: The file is not Parquet, is truncated, or has other columns.
        """
        ids, labels = _read_ids(path)
        for row, (id_, mids) in enumerate(zip(ids, labels, strict=True)):
            if id_ is not None:
                yield Found(id_, Location(self.name, path, str(row)), labels_of(mids) if mids else None)

    def read(self, location: Location) -> bytes:
        """Return the bytes of a row."""
        try:
            data = self._shards(location.path).read(int(location.entry))
        except (pa.ArrowException, IndexError, KeyError, TypeError, ValueError, MemoryError) as error:
            raise UnreadableError(_first_line(error)) from error
        if not isinstance(data, bytes):
            raise UnreadableError("the row has no bytes")
        return data


class _Shard:
    """An open Parquet file and the row group that was read last."""

    def __init__(self, path: str) -> None:
        self._file = _open(path)
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts = [0, *accumulate(sizes)]
        self._group = -1
        self._rows: pa.ChunkedArray | None = None
        self._lock = Lock()  # several threads may want the same row group

    def read(self, row: int) -> Any:
        group = bisect_right(self._starts, row) - 1
        with self._lock:
            if group != self._group:
                self._rows = None  # free it before the next one is read
                self._rows = self._file.read_row_group(group, ["audio.bytes"], use_threads=False)["audio"]
                self._group = group
            rows = self._rows
        assert rows is not None
        audio = rows[row - self._starts[group]].as_py()
        return audio and audio["bytes"]


def _open(path: str) -> pq.ParquetFile:
    return pq.ParquetFile(Files().open(path) if is_url(path) else path)  # a local path is read without Python


def _read_ids(path: str) -> tuple[list[str | None], list[list[str | None] | None]]:
    try:
        shard = _open(path)
        schema, n_rows = shard.schema_arrow, shard.metadata.num_rows
        problem = _problem(schema) or (f"{n_rows:,} rows" if n_rows > _MOST_ROWS else "")
        if problem:
            raise UserError(
                f"{path} has the columns {', '.join(schema.names)}, but {problem}; move it out of "
                "data.audio_folder, or choose another data.layout."
            )
        has_labels = schema.names.count("labels") == 1 and _is_list_of_text(schema.field("labels").type)
        table = shard.read(["video_id", "labels"] if has_labels else ["video_id"], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} cannot be read as Parquet ({_first_line(error)}); download it again."
        ) from error
    ids = table["video_id"].to_pylist()
    return ids, table["labels"].to_pylist() if has_labels else [None] * len(ids)


def _problem(schema: pa.Schema) -> str:
    """Return why a file has no clips in its columns, or ""."""
    for name in ("video_id", "audio"):
        if schema.names.count(name) != 1:
            return (
                f"video_id and audio.bytes are needed, and {name} is there {schema.names.count(name)} times"
            )
    id_, audio = schema.field("video_id").type, schema.field("audio").type
    if not _is_text(id_):
        return f"video_id and audio.bytes are needed, and video_id has the type {id_} instead of string"
    place = audio.get_field_index("bytes") if pa.types.is_struct(audio) else -1
    if place < 0 or not any(is_bytes(audio.field(place).type) for is_bytes in _BYTES):
        return f"video_id and audio.bytes are needed, and audio has the type {audio}, without bytes"
    return ""


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return any(is_text(kind) for is_text in _TEXT)


def _is_list_of_text(kind: pa.DataType) -> bool:
    return any(is_list(kind) for is_list in _LISTS) and _is_text(kind.value_type)


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".")
