"""Configuration groups on the disk: their options, keys and comments.

The groups of the package are in `configs/`; `--config-dir` adds a folder with further options of the same
groups. Options that begin with an underscore are parts of other options and are left out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
# - data: synthetic  # which clips
_DEFAULT = re.compile(r"^\s*- (?:override )?/?(?P<group>[\w/]+): [\w${}.]+(?:\s+#\s*(?P<comment>.*))?$")
# - _sample
_BASE = re.compile(r"^\s*- (?P<base>\w+)(?:\s+#.*)?$")
# n_clusters: 256  # centroids per codebook
_KEY = re.compile(
    r"""^(?P<indent>\ *)(?P<key>[\w.]+):
        (?:[^'"#]|'[^']*'|"[^"]*"|(?<!\ )\#)*
        (?:\#\s*(?P<comment>.*))?$""",
    re.VERBOSE,
)


def config_folder() -> Path:
    """Return the folder of the configs: inside an installed package, at the root of a checkout."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "configs"


def config_folders(flags: Sequence[str]) -> list[Path]:
    """Return the folders that a command line takes options from, the package's first."""
    folders = [config_folder()]
    for flag, following in pairwise([*flags, ""]):
        name, _, value = flag.partition("=")
        if name in ("--config-dir", "-cd") and (value or following):
            folders.append(Path(value or following).absolute())
    return folders


def groups_of(folders: Sequence[Path]) -> dict[str, list[str]]:
    """Return the options of every group, `hydra/launcher` among them."""
    groups: dict[str, set[str]] = {}
    for folder in folders:
        for path in folder.rglob("*.yaml"):
            group = path.parent.relative_to(folder).as_posix()
            if group != "." and not path.stem.startswith("_"):
                groups.setdefault(group, set()).add(path.stem)
    return {group: sorted(options) for group, options in sorted(groups.items())}


@dataclass
class Comments:
    """The comments of a YAML file and of the files in its defaults.

    Args:
        title: The first comment of the file: its description.
        keys: By dotted keys.
        groups: Of a program, by the groups of its defaults.
    """

    title: str = ""
    keys: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


def read_comments(folders: Sequence[Path], name: str) -> Comments:
    """Read the comments of a YAML file, `clustering/product` for example.

    A comment belongs to the key on its line or, if it stands alone, to the key on the next line.
    """
    path = next(path for folder in folders if (path := folder / f"{name}.yaml").is_file())
    lines = path.read_text(encoding="utf-8").splitlines()
    comments = Comments()
    for base in (match["base"] for line in lines if (match := _BASE.match(line))):
        if base != "_self_":
            inherited = read_comments(folders, str(Path(name).parent / base))
            comments.keys.update(inherited.keys)
            comments.groups.update(inherited.groups)
    header = list(takewhile(lambda line: line.startswith("#"), lines))
    titles = [line.lstrip("# ") for line in header if not line.startswith("# @")]
    comments.title = titles[0] if titles else comments.title
    for match in filter(None, map(_DEFAULT.match, lines)):
        comments.groups[match["group"]] = match["comment"] or comments.groups.get(match["group"], "")
    comments.keys.update(_key_comments(lines[len(header) :]))
    return comments


def _key_comments(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Go through the keys of a YAML file that have comments."""
    above: list[str] = []
    parents: list[tuple[int, str]] = []
    for line in lines:
        if line.lstrip().startswith("#"):
            above.append(line.strip("# "))
            continue
        match = _KEY.match(line)
        if match:
            indent = len(match["indent"])
            parents = [*(parent for parent in parents if parent[0] < indent), (indent, match["key"])]
            comment = " ".join([*above, match["comment"] or ""]).strip()
            if comment:
                yield ".".join(key for _, key in parents), comment
        above = []
