"""Files of tokens: npz, JSON lines, Parquet, a webdataset, and HuBERT's lines of units.

Each is written in one step, and beside it `NAME.about.json`, which says what the numbers are: the pattern,
the size of the vocabulary, how many positions a clip has, and which tokenizer made them.

npz      `ids`, `tokens` (all positions, Q) or (all positions,), `lengths` (sounds,), with units `runs` (all
         positions,); of a corpus, `splits` and `labels` (ids of classes, separated by tabs). Made in memory.
jsonl    a line for each sound: {"id", "tokens", "runs", "split", "labels"}
parquet  a row for each sound, with the same columns
tar      a webdataset: KEY.npy, the tokens, and KEY.json, the rest
km       a line of numbers for each sound, as fairseq's HuBERT reads them; `NAME.about.json` has their ids
"""

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from audiotok.disk.writing import replacing, write_json

Format = Literal["npz", "jsonl", "parquet", "tar", "km"]
FORMATS: tuple[Format, ...] = get_args(Format)
_GROUP = 1000  # rows of a Parquet file that are in memory at a time


@dataclass(frozen=True, slots=True)
class Sentence:
    """The tokens of a sound, arranged.

    Args:
        id: The id of a clip, or the path of a file below the folder that was given.
        tokens: (positions, Q) or (positions,)
        runs: Lengths of stretches (positions,); None where each position is written.
        split: Of a clip of a corpus.
        labels: Ids of its classes.
    """

    id: str
    tokens: np.ndarray
    runs: np.ndarray | None = None
    split: str | None = None
    labels: tuple[str, ...] | None = None


def format_of(path: Path) -> Format | None:
    """Return the format that the end of a file's name stands for; None for none."""
    return next((kind for kind in FORMATS if path.name.lower().endswith(f".{kind}")), None)


def about_of(path: Path) -> Path:
    """Return the file that says what the numbers of a file are."""
    return path.with_name(f"{path.name}.about.json")


def write(path: Path, kind: Format, sentences: Iterable[Sentence], about: Mapping[str, Any]) -> int:
    """Write a file of tokens and what is said about it, each in one step; return how many sounds it has.

    Args:
        path: The file.
        kind: Its format.
        sentences: In the order in which they are written.
        about: What the numbers are; `vocabulary_size` says which type holds them.

    Raises:
        OSError: A file cannot be written.
    """
    dtype = np.min_scalar_type(about["vocabulary_size"] - 1)
    ids: list[str] = []
    with replacing(path) as temporary:
        _WRITERS[kind](temporary, _noted(sentences, ids), dtype)
    listed = {"ids": ids} if kind == "km" else {}
    write_json(about_of(path), {**about, "format": kind, "n_sounds": len(ids), **listed})
    return len(ids)


def _noted(sentences: Iterable[Sentence], ids: list[str]) -> Iterator[Sentence]:
    for sentence in sentences:
        ids.append(sentence.id)
        yield sentence


def _rest(sentence: Sentence) -> dict[str, Any]:
    """Return everything but the tokens, as JSON has it; what there is not is left out."""
    given = {
        "runs": None if sentence.runs is None else sentence.runs.tolist(),
        "split": sentence.split,
        "labels": None if sentence.labels is None else list(sentence.labels),
    }
    return {"id": sentence.id, **{key: value for key, value in given.items() if value is not None}}


def _write_npz(path: Path, sentences: Iterable[Sentence], dtype: np.dtype) -> None:
    # np.savez, unlike np.savez_compressed, is as fast as the disk; the numbers of tokens hardly compress
    found = [(s.id, s.tokens.astype(dtype), s.runs, s.split, s.labels) for s in sentences]
    ids, tokens, runs, splits, labels = map(list, zip(*found, strict=True)) if found else ([],) * 5
    arrays: dict[str, Any] = {
        "ids": np.array(ids, str),
        "tokens": np.concatenate(tokens) if tokens else np.zeros(0, dtype),
        "lengths": np.array([len(one) for one in tokens], np.int64),
    }
    if runs and runs[0] is not None:
        arrays["runs"] = np.concatenate(runs).astype(np.int32)
    if splits and splits[0] is not None:
        arrays |= {"splits": np.array(splits, str), "labels": np.array(["\t".join(of) for of in labels], str)}
    with path.open("wb") as file:
        np.savez(file, **arrays)


def _write_jsonl(path: Path, sentences: Iterable[Sentence], dtype: np.dtype) -> None:
    with path.open("w", encoding="utf-8") as file:
        for sentence in sentences:
            line = {**_rest(sentence), "tokens": sentence.tokens.tolist()}
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def _write_km(path: Path, sentences: Iterable[Sentence], dtype: np.dtype) -> None:
    with path.open("w", encoding="ascii") as file:
        for sentence in sentences:
            file.write(" ".join(map(str, sentence.tokens.reshape(-1).tolist())) + "\n")


def _write_tar(path: Path, sentences: Iterable[Sentence], dtype: np.dtype) -> None:
    used: set[str] = set()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for sentence in sentences:
            folder, _, name = sentence.id.lstrip("/").rpartition("/")
            key = stem = f"{folder}/{name.replace('.', '_')}".lstrip("/")  # a dot would end the key
            while key in used:
                key = f"{stem}_{len(used)}"
            used.add(key)
            content = io.BytesIO()
            np.save(content, sentence.tokens.astype(dtype))
            rest = json.dumps(_rest(sentence), ensure_ascii=False).encode()
            for ending, member in (("npy", content.getvalue()), ("json", rest)):
                entry = tarfile.TarInfo(f"{key}.{ending}")
                entry.size = len(member)
                archive.addfile(entry, io.BytesIO(member))


def _write_parquet(path: Path, sentences: Iterable[Sentence], dtype: np.dtype) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    number = pa.from_numpy_dtype(dtype)

    def lists(rows: list[np.ndarray], of: Any) -> Any:
        """Return arrays (some,) or (some, Q) as a column of lists, or of lists of lists."""
        values = np.concatenate(rows)
        flat: Any = pa.array(values.reshape(-1), of)
        if values.ndim == 2:
            ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
            flat = pa.ListArray.from_arrays(pa.array(ends), flat)
        return pa.ListArray.from_arrays(pa.array(np.cumsum([0, *map(len, rows)], dtype=np.int32)), flat)

    writer = None
    remaining = iter(sentences)
    while some := list(islice(remaining, _GROUP)):
        columns = {"id": pa.array([s.id for s in some]), "tokens": lists([s.tokens for s in some], number)}
        if some[0].runs is not None:
            columns["runs"] = lists([s.runs for s in some if s.runs is not None], pa.int32())
        if some[0].split is not None:
            columns["split"] = pa.array([s.split for s in some])
            columns["labels"] = pa.array([s.labels for s in some], pa.list_(pa.string()))
        table = pa.table(columns)
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is None:
        writer = parquet.ParquetWriter(path, pa.schema([("id", pa.string()), ("tokens", pa.list_(number))]))
    writer.close()


_WRITERS = {
    "npz": _write_npz,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
    "tar": _write_tar,
    "km": _write_km,
}
