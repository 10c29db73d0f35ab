"""The labels of a clip as people write them into one cell: `dog`, `dog;cat`, `dog, cat`, `['dog', 'cat']`."""

import re
from collections import Counter
from collections.abc import Callable, Collection

_ITEM = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"|[^\s,'"\[\]][^,'"\[\]]*"""
_LIST = re.compile(rf"\[\s*(?:(?:{_ITEM})\s*(?:,\s*|(?=['\"\]])))*\]")
_ITEMS = re.compile(_ITEM)
_ESCAPED = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)")
Splitter = Callable[[str], list[str]]


class UndecidedError(ValueError):
    """The cells do not tell how their labels are separated; the message shows a cell."""


def splitter_of(cells: Collection[str]) -> Splitter:
    """Return a function that splits the labels of a cell as all cells of a column agree.

    Lists in brackets, as Python and JSON write them, are lists if all cells with text are. Else `;` or `|`
    separates where one of them occurs. A comma separates where none has a space after it, or where every cell
    with commas has a label that another cell has too: `Male speech, man speaking` may be one name.

    Args:
        cells: Those of a column.

    Raises:
        UndecidedError: They do not agree.
    """
    texts = {cell for cell in cells if cell}
    lists = {text for text in texts if _LIST.fullmatch(text)}
    if lists and lists == texts:
        return _items
    occurring = [mark for mark in ";|" if any(mark in text for text in texts)]
    if lists or len(occurring) > 1:
        mark = "[" if lists else occurring[0]
        raise UndecidedError(min(text for text in texts if (text in lists) == bool(lists) and mark in text))
    if occurring:
        return separated_by(occurring[0])
    if not any("," in text for text in texts):
        return separated_by("")
    by_comma = separated_by(",")
    if any(re.search(r",\s", text) for text in texts):
        counts = Counter(label for text in texts for label in {*by_comma(text)})
        alone = [
            text for text in texts if "," in text and all(counts[label] == 1 for label in by_comma(text))
        ]
        if alone:
            raise UndecidedError(min(alone))
    return by_comma


def separated_by(mark: str) -> Splitter:
    """Return a function that splits a cell by a mark, and drops what is empty; "" splits nothing."""

    def split(cell: str) -> list[str]:
        labels = cell.split(mark) if mark else [cell]
        return [stripped for label in labels if (stripped := label.strip())]

    return split


def _items(cell: str) -> list[str]:
    """Return the items of a list in brackets."""
    found = (item.strip() for item in _ITEMS.findall(cell[1:-1]))
    return [label for item in found if (label := _unquoted(item).strip())]


def _unquoted(item: str) -> str:
    if item[0] not in "'\"":
        return item
    return _ESCAPED.sub(lambda match: _character(match[1]), item[1:-1])


def _character(code: str) -> str:
    return chr(int(code[1:], 16)) if len(code) > 1 else {"n": "\n", "t": "\t"}.get(code, code)
