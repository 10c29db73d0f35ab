import pytest
from tiny import ODD_IDS

from audiotok.data.clip import SoundClass
from audiotok.data.layout.segments import Segment, read_class_table, read_segments
from audiotok.errors import UserError

MIDS = {"/m/09x0r", "/t/dd00088", "/m/0a"}


# ---- the segments ----


def test_segments_are_read_with_three_header_lines_and_quoted_lists(tmp_path):
    path = tmp_path / "segments.csv"
    path.write_text(
        "# Segments csv created Sun Mar  5 10:54:31 2017\n"
        "# num_ytids=22160, num_segs=22160, num_unique_labels=527, num_positive_labels=52882\n"
        "# YTID, start_seconds, end_seconds, positive_labels\n"
        '--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"\n'
        "\n"
        '_0AbCdEfGhI, 0.000, 10.000, "/m/0a"\n'
    )
    assert list(read_segments(str(path), MIDS)) == [
        Segment("--PJHxphWEs", ("/m/09x0r", "/t/dd00088"), 30.0, 40.0),
        Segment("_0AbCdEfGhI", ("/m/0a",), 0.0, 10.0),
    ]


@pytest.mark.parametrize("id_", ODD_IDS)
def test_odd_ids_come_through_unchanged(tmp_path, id_):
    (tmp_path / "s.csv").write_text(f'# YTID\n{id_}, 30.000, 40.000, "/m/0a"\n')
    assert list(read_segments(str(tmp_path / "s.csv"), MIDS)) == [Segment(id_, ("/m/0a",), 30.0, 40.0)]


@pytest.mark.parametrize(
    "row",
    ["abc, 30.000, 40.000", 'abc, 30.000, 40.000, "/m/0a", 5', "abc", ', 1, 2, "/m/0a"', 'abc, 1, 2, ""'],
)
def test_broken_row_is_refused_with_file_and_line(tmp_path, row):
    path = tmp_path / "s.csv"
    path.write_text(f'# one\n# two\n# three\ngood_id_000, 1, 2, "/m/0a"\n{row}\n')
    with pytest.raises(UserError) as raised:
        list(read_segments(str(path), MIDS))
    assert str(raised.value).startswith(f"{path}:5: ")


def test_label_that_the_table_lacks_is_refused_with_file_and_line(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text('# one\ngood_id_000, 1, 2, "/m/0a"\nbad__id_000, 1, 2, "/m/0a,/m/none"\n')
    with pytest.raises(UserError) as raised:
        list(read_segments(str(path), MIDS))
    assert str(raised.value).startswith(f"{path}:3: label /m/none of clip bad__id_000 ")


def test_quote_that_is_never_closed_is_refused_with_the_line_where_it_opens(tmp_path):
    path = tmp_path / "s.csv"
    rows = [f'id_{n:08d}, 1, 2, "/m/0a"' for n in range(9)]
    path.write_text("\n".join(["# one", 'bad__id_000, 1, 2, "/m/0a', *rows]) + "\n")
    with pytest.raises(UserError) as raised:
        list(read_segments(str(path), MIDS))
    assert str(raised.value).startswith(f"{path}:2: ")


def test_quote_that_swallows_a_large_file_is_refused_with_the_file(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text('bad__id_000, 1, 2, "/m/0a\n' + "id_00000000, 1, 2, /m/0a\n" * 8000)
    with pytest.raises(UserError) as raised:
        list(read_segments(str(path), MIDS))
    assert str(raised.value).startswith(str(path))


# ---- the class table ----


def test_classes_come_in_the_order_of_the_index(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text('index,mid,display_name\n1,/m/05zppz,"Male speech, man speaking"\n0,/m/09x0r,Speech\n')
    assert read_class_table(str(path)) == [
        SoundClass("/m/09x0r", "Speech"),
        SoundClass("/m/05zppz", "Male speech, man speaking"),
    ]


@pytest.mark.parametrize("row", ["1,/m/0a", "one,/m/0a,Low tone", "1,/m/0a,Low,tone"])
def test_broken_row_of_the_table_is_refused_with_file_and_line(tmp_path, row):
    path = tmp_path / "table.csv"
    path.write_text(f"index,mid,display_name\n0,/m/09x0r,Speech\n{row}\n")
    with pytest.raises(UserError) as raised:
        read_class_table(str(path))
    assert str(raised.value).startswith(f"{path}:3: ")


def test_table_without_rows_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("index,mid,display_name\n")
    with pytest.raises(UserError, match="lists no classes"):
        read_class_table(str(tmp_path / "table.csv"))
