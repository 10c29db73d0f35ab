"""A corpus of audio files written in every layout, by the formats' own packers' rules."""

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from audiotok.data.layout.segments import CLASS_TABLE, SEGMENTS, read_class_table, read_segments

# What the file of a set is called by those who publish or pack each layout.
PANNS_NAMES = {"bal_train": "balanced_train", "unbal_train": "unbalanced_train", "eval": "eval"}
AST_NAMES = {"bal_train": "balanced_train_data", "unbal_train": "unbalanced_train_data", "eval": "eval_data"}

Packed = tuple[str, tuple[str, ...], Path]  # id, mids, audio file


def clips_of(root: Path) -> Iterator[tuple[str, list[Packed]]]:
    """List the clips of each set of a corpus in folders."""
    mids = {sound_class.id for sound_class in read_class_table(str(root / "metadata" / CLASS_TABLE))}
    for name, table in SEGMENTS.items():
        paths = {path.stem: path for path in (root / "audio" / name).rglob("*.*")}
        rows = read_segments(str(root / "metadata" / table), mids)
        yield name, [(row.id, row.labels, paths[row.id]) for row in rows]


def write_parquet(path: Path, clips: list[Packed], **options: int) -> None:
    """Write a shard as huggingface.co/datasets/agkphysics/AudioSet has them."""
    audio = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {
        "video_id": pa.array([id_ for id_, _, _ in clips], pa.string()),
        "audio": pa.array([{"bytes": p.read_bytes(), "path": p.name} for _, _, p in clips], audio),
        "labels": pa.array([list(mids) for _, mids, _ in clips], pa.list_(pa.string())),
        "human_labels": pa.array([list(mids) for _, mids, _ in clips], pa.list_(pa.string())),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)


def write_tar(path: Path, files: dict[str, bytes]) -> None:
    """Write a tar of members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def write_hdf5(path: Path, rows: list[tuple[str, np.ndarray | None]], sample_rate: int | None = 8000) -> None:
    """Write waveforms of one length as PANNs does; None is a clip that was missing when it was packed."""
    n_samples = max(len(wave) for _, wave in rows if wave is not None)
    kind = next(wave.dtype for _, wave in rows if wave is not None)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        names = file.create_dataset("audio_name", (len(rows),), "S20")
        waves = file.create_dataset("waveform", (len(rows), n_samples), kind)
        file.create_dataset("target", (len(rows), 527), bool)
        if sample_rate is not None:
            file.attrs["sample_rate"] = np.int32(sample_rate)
        for row, (name, wave) in enumerate(rows):
            if wave is not None:
                names[row], waves[row] = name.encode(), wave


def write_hdf5_mp3(path: Path, rows: list[tuple[str, bytes]]) -> None:
    """Write mp3 files as PaSST does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        names = file.create_dataset("audio_name", (len(rows),), "S20")
        files = file.create_dataset("mp3", (len(rows),), h5py.vlen_dtype(np.dtype("uint8")))
        file.create_dataset("target", (len(rows), 66), np.uint8)
        for row, (name, content) in enumerate(rows):
            names[row], files[row] = name.encode(), np.frombuffer(content, np.uint8)


def write_ast_json(path: Path, rows: list[tuple[str, str]]) -> None:
    """Write paths and labels as AST reads them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"data": [{"wav": wav, "labels": labels} for wav, labels in rows]}))


def _parquet(audio: Path, name: str, clips: list[Packed]) -> None:
    half = len(clips) // 2
    write_parquet(audio / "data" / name / "00.parquet", clips[:half], row_group_size=4)
    write_parquet(audio / "data" / name / "01.parquet", clips[half:], row_group_size=5)


def _tar(audio: Path, name: str, clips: list[Packed]) -> None:
    half = len(clips) // 2
    for number, part in enumerate((clips[:half], clips[half:])):
        files = {f"audio/{name}/{id_}{path.suffix}": path.read_bytes() for id_, _, path in part}
        write_tar(audio / f"{name}{number:02d}.tar", files)


def _webdataset(audio: Path, name: str, clips: list[Packed]) -> None:
    files = {}
    for id_, mids, path in clips:
        files[f"{id_}{path.suffix}"] = path.read_bytes()
        files[f"{id_}.json"] = json.dumps({"labels": mids}).encode()
    write_tar(audio / name / "000000.tar", files)


def _hdf5(audio: Path, name: str, clips: list[Packed]) -> None:
    rows: list[tuple[str, np.ndarray | None]] = [("Ynot__there__.wav", None)]
    rows += [(f"Y{id_}.wav", soundfile.read(path, dtype="int16")[0]) for id_, _, path in clips]
    write_hdf5(audio / f"{PANNS_NAMES[name]}.h5", rows)


def _hdf5_mp3(audio: Path, name: str, clips: list[Packed]) -> None:
    rows = [(f"Y{id_}.mp3", path.read_bytes()) for id_, _, path in clips]
    write_hdf5_mp3(audio / f"{name}_segments_mp3.hdf", rows)


def _ast_json(audio: Path, name: str, clips: list[Packed]) -> None:
    rows = [(str(path), ",".join(mids)) for _, mids, path in clips]
    write_ast_json(audio / f"{AST_NAMES[name]}.json", rows)


# How a layout is written, and the layout that reads it; all but webdataset's bear the same name.
WRITERS: dict[str, Callable[[Path, str, list[Packed]], None]] = {
    "parquet": _parquet,
    "tar": _tar,
    "webdataset": _webdataset,
    "hdf5": _hdf5,
    "hdf5_mp3": _hdf5_mp3,
    "ast_json": _ast_json,
}


def write_layout(kind: str, source: Path, root: Path) -> None:
    """Write a corpus in folders once more, in one of `WRITERS`."""
    shutil.copytree(source / "metadata", root / "metadata")
    for name, clips in clips_of(source):
        WRITERS[kind](root / "audio", name, clips)
