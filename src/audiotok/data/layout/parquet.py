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

import pyarrow as pa
import pyarrow.parquet as pq

from audiotok.data.clip import Location
from audiotok.data.layout.containers import Containers, Opened
from audiotok.data.layout.layout import Found
from audiotok.data.reading.audio import UnreadableError
from audiotok.data.reading.files import Files, is_url
from audiotok.errors import UserError

_N_OPEN = 2  # shards with a row group in memory, in each process: 280 MB of AudioSet


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
                yield Found(id_, Location(self.name, path, str(row)), tuple(mids) if mids else None)

    def read(self, location: Location) -> bytes:
        """Return the bytes of a row."""
        try:
            data = self._shards(location.path).read(int(location.entry))
        except pa.ArrowException as error:
            raise UnreadableError(_first_line(error)) from error
        if data is None:
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

    def read(self, row: int) -> bytes | None:
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


def _read_ids(path: str) -> tuple[list[str | None], list[list[str] | None]]:
    try:
        shard = _open(path)
        schema = shard.schema_arrow
        if not _has_clips(schema):
            raise UserError(
                f"{path} has the columns {', '.join(schema.names)}, but video_id and audio.bytes are needed; "
                "move it out of data.audio_folder, or choose another data.layout."
            )
        has_labels = "labels" in schema.names and pa.types.is_list(schema.field("labels").type)
        table = shard.read(["video_id", "labels"] if has_labels else ["video_id"], use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path} cannot be read as Parquet ({_first_line(error)}); download it again."
        ) from error
    ids = table["video_id"].to_pylist()
    return ids, table["labels"].to_pylist() if has_labels else [None] * len(ids)


def _has_clips(schema: pa.Schema) -> bool:
    if not {"video_id", "audio"} <= set(schema.names) or not pa.types.is_string(
        schema.field("video_id").type
    ):
        return False
    audio = schema.field("audio").type
    return pa.types.is_struct(audio) and audio.get_field_index("bytes") >= 0


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(".")
