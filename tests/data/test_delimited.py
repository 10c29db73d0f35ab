"""Tables of text are read as they were meant, or refused with the file and the line."""

import csv
import os

import pytest

from audiotok.data.esc50 import ESC50
from audiotok.data.layout.segments import Segment, read_class_table, read_segments
from audiotok.data.reading.delimited import Table
from audiotok.errors import UserError

COLUMNS = ("name", "fold")


def rows(path, content: str | bytes, **options) -> list[list[str]]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [row.values for row in Table(str(path), COLUMNS, "take another", **options)]


@pytest.mark.parametrize(
    "content",
    [
        "name,fold\na,1\nb,2\n",
        "name,fold\r\na,1\r\nb,2",
        "name,fold\ra,1\rb,2\r",
        "name;fold\na;1\nb;2\n",
        "name\tfold\na\t1\nb\t2\n",
        "\n name , fold\n\na , 1\n,\n\nb,2\n\n",
        '"name","fold"\n"a","1"\n"b","2"\n',
        "fold,more,name\n1,x,a\n2,y,b\n",
        "name,fold,,\na,1,,\nb,2,,\n",
        "Name,FOLD\na,1\nb,2\n",
        "name,fold,more,more\na,1,x,y\nb,2,x,y\n",
        "\ufeffname,fold\na,1\nb,2\n",
        "name\tfold\na\t1\nb\t2\n".encode("utf-16"),
        "name,fold\na,1\nb,2\n".encode("utf-16-le"),
        'name,fold,more\na,1,"two\nlines"\nb,2,5" wide\n',
    ],
)
def test_every_way_to_save_a_table_gives_its_rows(tmp_path, content):
    assert rows(tmp_path / "t.csv", content) == [["a", "1"], ["b", "2"]]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("name,fold\na,1\nb\n", 3, "is not name,fold"),
        ("name,fold\na,1,2\n", 2, "is not name,fold"),
        ("name,fold\na,1\n#NAME?,2\n", 3, "#NAME? is what a spreadsheet makes"),
        ("name,fold\na,#WERT!\n", 2, "#WERT! is what a spreadsheet makes"),
        ('name,fold\n"a,1\nb,2\n', 2, "quote is not closed"),
        ('name,fold\n"a,1\nb",2\n', 2, "quote is not closed"),
        ("name,fold\n\na\0,1\n", 3, "NUL byte"),
        ("name,fold\nb,1\nB\xe4r,1\n".encode("latin-1"), 3, "not UTF-8"),
        ("name,fold\na," + "1" * 10**6, 2, "field larger than field limit"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_with_file_and_line(tmp_path, content, line, words):
    with pytest.raises(UserError) as raised:
        rows(tmp_path / "t.csv", content)
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 't.csv'}:{line}: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("content", ["", "\n\n", "fold\n1\n", "name,name,fold\na,b,1\n", "\0", "name\n"])
def test_a_table_without_its_columns_is_one_sentence_with_the_file(tmp_path, content):
    with pytest.raises(UserError) as raised:
        rows(tmp_path / "t.csv", content)
    assert str(raised.value).startswith(str(tmp_path / "t.csv"))


def test_a_pipe_is_refused_before_it_is_opened(tmp_path):
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no pipes")
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(UserError, match=r"cannot be read .*not a regular file"):
        Table(str(tmp_path / "t.csv"), COLUMNS, "take another")


def test_the_limit_of_csv_is_left_as_it_is(tmp_path):
    limit = csv.field_size_limit()
    assert rows(tmp_path / "t.csv", "name,fold\na,1\n") == [["a", "1"]]
    assert csv.field_size_limit() == limit


# ---- AudioSet's tables ----

ROW = 'aaaaaaaaaa1,30.000,40.000,"/m/0a,/m/0b"\n'
SEGMENT = [Segment("aaaaaaaaaa1", ("/m/0a", "/m/0b"), 30.0, 40.0)]


@pytest.mark.parametrize(
    "text",
    [
        f"YTID,start_seconds,end_seconds,positive_labels\n{ROW}",
        f"id,from,to,labels\n{ROW}",
        'positive_labels,YTID,start_seconds,end_seconds\n"/m/0a,/m/0b",aaaaaaaaaa1,30,40\n',
        'aaaaaaaaaa1;30,000;40,000;"/m/0a,/m/0b"\n',
        f'"# quoted, comment"\n# a "quote in a comment\n{ROW}',
    ],
)
def test_segments_may_have_a_header_and_other_separators(tmp_path, text):
    (tmp_path / "s.csv").write_text(text)
    assert list(read_segments(str(tmp_path / "s.csv"), None)) == SEGMENT


def test_an_id_that_a_spreadsheet_has_spoilt_is_not_taken_for_a_comment(tmp_path):
    (tmp_path / "s.csv").write_text(f"# one\n{ROW}#NAME?, 30.000, 40.000, /m/0a\n")
    with pytest.raises(UserError, match=r"s\.csv:3: #NAME\? is what a spreadsheet makes"):
        list(read_segments(str(tmp_path / "s.csv"), None))


@pytest.mark.parametrize("header", ["", "index,mid,display_name\n", "number,id,name\n"])
def test_a_class_table_needs_no_header(tmp_path, header):
    (tmp_path / "c.csv").write_text(f"{header}0,/m/0a,A\n1.0,/m/0b,B\n\n")
    assert [c.id for c in read_class_table(str(tmp_path / "c.csv"))] == ["/m/0a", "/m/0b"]


@pytest.mark.parametrize(
    ("row", "words"),
    [("0,/m/0c,C", "the index 0 is listed twice"), ("2,/m/0a,C", "the class /m/0a is listed twice")],
)
def test_a_class_that_another_would_replace_is_refused(tmp_path, row, words):
    (tmp_path / "c.csv").write_text(f"index,mid,display_name\n0,/m/0a,A\n1,/m/0b,B\n{row}\n")
    with pytest.raises(UserError, match=rf"c\.csv:4: {words}"):
        read_class_table(str(tmp_path / "c.csv"))


# ---- ESC-50's ----


@pytest.mark.parametrize("truth", ["True", "TRUE", "true", "1", "1.0"])
@pytest.mark.parametrize("fold", ["{}", "{}.0"])
def test_truth_and_folds_are_read_as_spreadsheets_write_them(tmp_path, truth, fold):
    lines = ["filename,fold,category,esc10,src_file"]
    lines += [f"{n}.wav,{fold.format(n)},{'dog' if n % 2 else 'rain'},{truth},{n}" for n in range(1, 6)]
    (tmp_path / "meta.csv").write_text("\n".join(lines))
    listing = ESC50(root=str(tmp_path), subset="esc10", test_fold=5).read()
    assert len(listing.clips) == 5
    assert [clip.split for clip in listing.clips].count("test") == 1


def test_a_clip_that_is_listed_twice_is_one_clip(tmp_path):
    row = "1.wav,{},dog,True,1\n"
    table = "filename,fold,category,esc10,src_file\n" + row.format(1) + row.format(2)
    (tmp_path / "meta.csv").write_text(table)
    listing = ESC50(root=str(tmp_path)).read()
    assert (len(listing.clips), listing.findings.listed_twice.n) == (1, 1)
