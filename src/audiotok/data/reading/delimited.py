"""Tables of text (CSV and its kin), whoever saved them: the rows that were meant, or one sentence.

Read as meant: UTF-8 with or without a byte-order mark, UTF-16 as spreadsheets save it; commas, tabs or
semicolons between fields; any line ends; blank lines; spaces around values; columns in any order, found by
their names; a header that is absent or that has other names, in tables that are published without one.

Refused, with the file and the line: other encodings, NUL bytes, quotes that are not closed, the error values
of a spreadsheet (`#NAME?` in place of an id that begins with a minus sign), rows that are shorter or longer
than the header, and a column that is named twice.

Costs the size of the file in memory, and 2 s for a million rows of four fields.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from math import isfinite
from textwrap import shorten
from typing import NamedTuple

from audiotok.data.reading.files import Files
from audiotok.errors import UserError

MOST_BYTES = 2**31 - 1  # of a table; AudioSet's largest has 100 MB
_SEPARATORS = ",\t;"
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MARKS_OF_NAMES = re.compile(r"[\W_]")  # "Begin Time (s)" is begintimes
_END = "\x03"  # a line after the last, which an open quote swallows
_ERROR_VALUE = re.compile(r"#(?:[^\W\d_][^\W_/]*[?!]|DIV/0!|N/A|NV)")
_WORDS = re.compile(r"[^\W\d][\w .-]*|")  # a name of a column, unlike an id, a number or a mid


class Row(NamedTuple):
    """The line on which a row begins, and the values of the wanted columns in their order."""

    line: int
    values: list[str]


class Table:
    """A table of text, read into memory; iteration gives its rows.

    Args:
        path: A file, or the URL of one.
        columns: Names of the wanted columns; without a header, those of all columns in their order.
        remedy: What to do if the file cannot be read or is another.
        is_row: Tells whether values are those of a row, in a table that may have no header; None if the
            header is required.
        comments: Whether lines that begin with # are passed over.
        aliases: Other names that a wanted column may have, without spaces, marks and capitals.
        optional: Wanted columns that may be missing; their values are "".

    Raises:
        UserError: The file cannot be read, or is not text.
    """

    def __init__(
        self,
        path: str,
        columns: Sequence[str],
        remedy: str,
        is_row: Callable[[list[str]], bool] | None = None,
        comments: bool = False,
        aliases: Mapping[str, Sequence[str]] | None = None,
        optional: Collection[str] = (),
    ) -> None:
        self.path = path  # as messages name it
        self._columns, self._remedy, self._is_row, self._comments = list(columns), remedy, is_row, comments
        self._aliases, self._optional = aliases or {}, optional
        self._content, self._encoding = read_text(path, remedy)
        first = {separator: self._first_row(separator) for separator in _SEPARATORS}
        scores = {separator: self._score(fields) for separator, fields in first.items()}
        self._separator = max(_SEPARATORS, key=lambda separator: scores[separator])  # the first of equals
        fields = first[self._separator]
        self._has_header = bool(fields) and not self._is_a_row(fields)
        self.names = fields if self._has_header or not is_row else self._columns

    @property
    def missing(self) -> list[str]:
        """The wanted columns that the header lacks, and that are not optional."""
        places = zip(self._columns, self._places(), strict=True)
        return [column for column, place in places if place is None and column not in self._optional]

    @property
    def found(self) -> dict[str, str]:
        """The names in the header of the wanted columns that are there."""
        places = zip(self._columns, self._places(), strict=True)
        return {column: self.names[place] for column, place in places if place is not None}

    def __iter__(self) -> Iterator[Row]:
        """Give the rows.

        Raises:
            UserError: A column is missing or is named twice, or a row is broken.
        """
        places = self._checked_places()
        last, n_names = max((place for place in places if place is not None), default=-1), len(self.names)
        rows = self._rows(self._separator)
        if self._has_header:
            next(rows)
        for line, fields in rows:
            if len(fields) <= last or (len(fields) > n_names and any(fields[n_names:])):
                raise self.broken(Row(line, fields))
            values = ["" if place is None else fields[place] for place in places]
            together = "".join(values)
            if "\n" in together or "\r" in together:
                raise self.error(line, "a value has a line break, or a quote is not closed")
            if "#" in together:
                for value in filter(_ERROR_VALUE.fullmatch, values):
                    raise self._spreadsheet_error(line, value)
            yield Row(line, values)

    def error(self, line: int, problem: str, remedy: str = "fix or delete that row") -> UserError:
        """Return the error of a row: the file, the line, the problem and the remedy."""
        return error_of_line(self.path, line, problem, remedy)

    def broken(self, row: Row) -> UserError:
        """Return the error of a row whose values are not those of its columns."""
        return self.error(row.line, f"{self.shown(row)} is not {','.join(self.names)}")

    @staticmethod
    def shown(row: Row) -> str:
        """Return the values of a row for messages."""
        return shorten(",".join(row.values), 200, placeholder="...")

    # ---- bytes to rows ----

    def _rows(self, separator: str) -> Iterator[tuple[int, list[str]]]:
        """Give the line and the fields of every row that is not blank."""
        line, start = 0, 0

        def lines() -> Iterator[str]:
            nonlocal line, start
            for text in io.TextIOWrapper(io.BytesIO(self._content), self._encoding, newline=""):
                line += 1
                if self._comments and text.startswith("#"):
                    self._check_comment(line, text)
                    continue
                start = start or line
                yield text
            yield _END

        reader = csv.reader(lines(), delimiter=separator, skipinitialspace=True)
        try:
            for raw in reader:
                begun, start = start or line, 0
                if raw and raw[-1].endswith(_END):
                    if len(raw) > 1 or raw[0] != _END:
                        raise self.error(begun, "a quote is not closed")
                    return
                fields = [field.strip() for field in raw]
                if not any(fields) or (self._comments and fields[0].startswith("#")):
                    continue
                yield begun, fields
        except csv.Error as error:
            problem = f"this cannot be read ({error}), perhaps because a quote is not closed"
            raise self.error(start or line, problem) from error

    def _check_comment(self, line: int, text: str) -> None:
        first = re.split(f"[{_SEPARATORS}]", text, maxsplit=1)[0].strip()
        if _ERROR_VALUE.fullmatch(first):
            raise self._spreadsheet_error(line, first)

    def _spreadsheet_error(self, line: int, value: str) -> UserError:
        return self.error(
            line,
            f"{value} is what a spreadsheet makes of a value that it takes for a formula, such as an id that "
            "begins with a minus sign",
            "use the table as it was before it was opened there",
        )

    # ---- the header ----

    def _first_row(self, separator: str) -> list[str]:
        fields = next((fields for _, fields in self._rows(separator)), [])
        while fields and not fields[-1]:  # columns that a spreadsheet has added
            fields = fields[:-1]
        return fields

    def _is_a_row(self, fields: list[str]) -> bool:
        return self._is_row is not None and len(fields) >= len(self._columns) and self._is_row(fields)

    def _score(self, fields: list[str]) -> int:
        """Return how many of the wanted columns the first row gives, by name or by position."""
        if self._is_a_row(fields):
            return len(self._columns)
        return sum(self._place(fields, column) is not None for column in self._columns)

    def _places(self) -> list[int | None]:
        """Return the position of each wanted column; the exact name counts before another case."""
        names = self.names
        places = [self._place(names, column) for column in self._columns]
        if self._is_row and len(names) == len(places) and all(map(_WORDS.fullmatch, names)):
            in_order = all(place in {None, index} for index, place in enumerate(places))
            return list(range(len(places))) if in_order else places  # a header with names of its own
        return places

    def _place(self, names: list[str], column: str) -> int | None:
        """Return the position of a column: of its name, of that in another case, or of an alias."""
        folded = [name.casefold() for name in names]
        bare = [_MARKS_OF_NAMES.sub("", name) for name in folded]
        aliases = ((bare, alias) for alias in self._aliases.get(column, ()))
        for candidates, wanted in ((names, column), (folded, column.casefold()), *aliases):
            if wanted in candidates:
                return candidates.index(wanted)
        return None

    def _checked_places(self) -> list[int | None]:
        if self.missing:
            line, _ = next(self._rows(self._separator), (1, []))
            if self._is_row:
                shown = shorten(",".join(self.names), 200, placeholder="...")
                problem = (
                    f"{shown} is neither a row of {','.join(self._columns)} nor a header with these names"
                )
                raise self.error(line, problem)
            names = ", ".join(self.names) or "none"
            raise UserError(
                f"{self.path} has no column {self.missing[0]}, only {shorten(names, 500)}; {self._remedy}."
            )
        for column in self.found.values():
            if self.names.count(column) > 1:
                raise UserError(f"{self.path} has two columns {column}; rename or delete one of them.")
        return self._places()


def read_text(path: str, remedy: str) -> tuple[bytes, str]:
    """Return the bytes of a text file, and their encoding.

    Args:
        path: A file, or the URL of one.
        remedy: What to do if it cannot be read.

    Raises:
        UserError: The file cannot be read, or is not text.
    """
    try:
        content = Files().read(path, 0, MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{path} cannot be read ({reason}); {remedy}.") from error
    if len(content) > MOST_BYTES:
        raise UserError(f"{path} is larger than {MOST_BYTES:,} bytes; {remedy}.")
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    if encoding == "utf-8" and len(content) > 3 and not any(content[1:200:2]):
        encoding = "utf-16-le"  # without a mark
    try:
        content.decode(encoding)
    except UnicodeDecodeError as error:
        line = _line(content, error.start)
        raise error_of_line(path, line, "this is not UTF-8 text", "save the file as UTF-8") from error
    if encoding.startswith("utf-8") and b"\0" in content:
        line = _line(content, content.index(b"\0"))
        raise error_of_line(path, line, "a NUL byte, so that the file is damaged or is not text", remedy)
    return content, encoding


def error_of_line(path: str, line: int, problem: str, remedy: str = "fix or delete that row") -> UserError:
    """Return the error of a line of a text file: the file, the line, the problem and the remedy."""
    return UserError(f"{path}:{line}: {problem}; {remedy}.")


def number(text: str) -> float | None:
    """Return a finite number, also with a decimal comma, or None."""
    try:
        value = float(text.replace(",", ".") if "," in text else text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _line(content: bytes, position: int) -> int:
    before = content[:position]
    return max(before.count(b"\n"), before.count(b"\r")) + 1
