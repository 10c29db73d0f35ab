import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layouts import write_parquet

from audiotok.data.audio import UnreadableError
from audiotok.data.clip import Location
from audiotok.data.layout import parquet
from audiotok.data.layout.parquet import Parquet
from audiotok.data.reading.files import Files
from audiotok.errors import UserError

AUDIO = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def find(folder):
    return list(Parquet().find(Files(), str(folder), "bal_train"))


def write_clips(path, n=10, **options):
    clips = []
    for number in range(n):
        sound = path.parent / f"{number}.sound"
        sound.parent.mkdir(parents=True, exist_ok=True)
        sound.write_bytes(bytes([number]) * (number + 1))
        clips.append((f"id_{number:08d}", ("/m/0a", "/m/0b"), sound))
    write_parquet(path, clips, **options)


@pytest.mark.parametrize(
    "name", ["data/bal_train/00.parquet", "bal_train-00000-of-00012.parquet", "00.parquet"]
)
@pytest.mark.parametrize("row_group_size", [1, 3, 100])
def test_rows_come_back_byte_for_byte_with_their_labels(tmp_path, name, row_group_size):
    write_clips(tmp_path / name, row_group_size=row_group_size)
    layout, found = Parquet(), find(tmp_path)
    assert [clip.name for clip in found] == [f"id_{number:08d}" for number in range(10)]
    assert {clip.labels for clip in found} == {("/m/0a", "/m/0b")}
    for number in (9, 0, 4, 3, 9):
        assert layout.read(found[number].location) == bytes([number]) * (number + 1)


def test_row_group_is_read_once_for_all_its_rows(tmp_path, monkeypatch):
    write_clips(tmp_path / "00.parquet", row_group_size=5)
    read = []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_group",
        lambda self, i, *a, **k: read.append(i) or original(self, i, *a, **k),
    )
    layout, found = Parquet(), find(tmp_path)
    for clip in found:
        layout.read(clip.location)
    assert read == [0, 1]


def test_no_audio_is_read_for_the_listing(tmp_path, monkeypatch):
    write_clips(tmp_path / "00.parquet")
    columns = []
    original = pq.ParquetFile.read
    monkeypatch.setattr(
        pq.ParquetFile, "read", lambda self, c, **k: columns.extend(c) or original(self, c, **k)
    )
    find(tmp_path)
    assert columns == ["video_id", "labels"]


def test_shards_in_memory_are_few(tmp_path):
    for number in range(5):
        write_clips(tmp_path / f"{number}.parquet")
    layout = Parquet()
    for clip in find(tmp_path):
        layout.read(clip.location)
    assert len(layout._shards._containers) == parquet._N_OPEN


def test_row_without_an_id_is_nobodys_and_one_without_bytes_is_broken(tmp_path):
    table = {"video_id": ["a", None, "c"], "audio": pa.array([{"bytes": b"x"}, {"bytes": b"y"}, None], AUDIO)}
    pq.write_table(pa.table(table), tmp_path / "00.parquet")
    first, last = find(tmp_path)
    assert (first.name, first.labels, Parquet().read(first.location)) == ("a", None, b"x")
    with pytest.raises(UnreadableError, match="no bytes"):
        Parquet().read(last.location)


@pytest.mark.parametrize(
    "table",
    [
        {"id": ["a"], "audio": pa.array([{"bytes": b"x"}], AUDIO)},
        {"video_id": ["a"], "label": ["b"]},
        {"video_id": [1], "audio": pa.array([{"bytes": b"x"}], AUDIO)},
        {"video_id": ["a"], "audio": [b"x"]},
        {"video_id": ["a"], "audio": pa.array([{"path": "x"}])},
    ],
)
def test_other_columns_are_refused_with_their_names(tmp_path, table):
    pq.write_table(pa.table(table), tmp_path / "00.parquet")
    with pytest.raises(UserError) as raised:
        find(tmp_path)
    assert str(raised.value).startswith(f"{tmp_path / '00.parquet'} has the columns {', '.join(table)},")


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_file_that_was_cut_short_is_refused(tmp_path, keep):
    path = tmp_path / "00.parquet"
    write_clips(path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(UserError, match="cannot be read as Parquet") as raised:
        find(tmp_path)
    assert "\n" not in str(raised.value)


def test_row_whose_page_is_broken_cannot_be_read(tmp_path):
    path = tmp_path / "00.parquet"
    write_clips(path)
    found = find(tmp_path)
    start = pq.ParquetFile(path).metadata.row_group(0).column(1).dictionary_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + 20] = b"\xff" * 20
    path.write_bytes(data)
    with pytest.raises((UnreadableError, OSError)):
        Parquet().read(found[0].location)


def test_file_that_is_gone_cannot_be_read(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        Parquet().read(Location("parquet", str(tmp_path / "none.parquet"), "0"))


@pytest.mark.parametrize(
    "text", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
@pytest.mark.parametrize("kind", [pa.list_, pa.large_list, lambda text: pa.list_(text, 2)])
@pytest.mark.parametrize("bytes_type", [pa.binary(), pa.large_binary()])
def test_rows_are_read_as_other_programs_write_them(tmp_path, text, kind, bytes_type):
    is_dictionary = pa.types.is_dictionary(text)
    ids = pa.array(["a", "b"]).dictionary_encode() if is_dictionary else pa.array(["a", "b"], text)
    labels = pa.array([["/m/0a", " /m/0b"], ["/m/0a", None]], kind(pa.string() if is_dictionary else text))
    audio = pa.array([{"bytes": b"x"}, {"bytes": b"y"}], pa.struct([("bytes", bytes_type)]))
    try:
        pq.write_table(pa.table({"video_id": ids, "audio": audio, "labels": labels}), tmp_path / "0.parquet")
    except pa.ArrowNotImplementedError:
        pytest.skip("this version of Arrow does not write that")
    found = find(tmp_path)
    assert [(clip.name, clip.labels) for clip in found] == [("a", ("/m/0a", "/m/0b")), ("b", ("/m/0a",))]
    assert [Parquet().read(clip.location) for clip in found] == [b"x", b"y"]


def test_labels_that_are_numbers_are_left_to_the_tables(tmp_path):
    audio = pa.array([{"bytes": b"x"}], AUDIO)
    pq.write_table(pa.table({"video_id": ["a"], "audio": audio, "labels": [[1, 2]]}), tmp_path / "0.parquet")
    assert find(tmp_path)[0].labels is None


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"video_id": pa.nulls(1), "audio": pa.array([{"bytes": b"x"}], AUDIO)}, "type null"),
        ({"video_id": ["a"], "audio": pa.array([{"bytes": ["x"]}])}, "without bytes"),
    ],
)
def test_the_type_of_a_column_that_cannot_be_read_is_named(tmp_path, columns, words):
    pq.write_table(pa.table(columns), tmp_path / "0.parquet")
    with pytest.raises(UserError, match=words):
        find(tmp_path)
