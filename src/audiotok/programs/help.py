"""`--help` of a program: its groups, the options of each, and every key with its value and its comment."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from audiotok.programs.composition import compose_program, public_keys
from audiotok.programs.options import groups_of, read_comments

_NAMES = 40  # characters before a comment begins
_FLAGS = {
    "-m, --multirun": "run every combination: KEY=VALUE,VALUE,...",
    "--config-dir DIR": "take options from this folder, too: DIR/GROUP/OPTION.yaml",
    "--cfg job [--resolve]": "print the configuration and stop",
    "--version": "print the version and stop",
    "--hydra-help": "print what else Hydra understands",
}


def help_text(command: str, name: str, overrides: Sequence[str], folders: Sequence[Path]) -> str:
    """Return the help of a program.

    Args:
        command: As it was typed, `audiotok train` for example.
        name: Of the program's YAML.
        overrides: As on its command line: options that are chosen there are shown.
        folders: Where options lie.
    """
    config = compose_program(name, overrides, folders)
    program = read_comments(folders, name)
    choices = config["hydra"]["runtime"]["choices"]
    chosen = {group: choices[group] for group in program.groups if group in choices}
    options = groups_of(folders)
    lines = [program.title, "", f"Usage: {command} [GROUP=OPTION ...] [KEY=VALUE ...] [FLAGS]", ""]
    lines.append("Groups: the option that is chosen, and below it all that there are.")
    for group, option in chosen.items():
        lines += _entry(f"{group}={_spelt(option)}", program.groups.get(group, ""))
        lines += _entry("", ", ".join(options.get(group, [])))
    lines += ["", "Keys: the value that each has. +KEY=VALUE adds one that is not listed."]
    lines += _keys(public_keys(config), chosen, program.keys, folders)
    lines += ["", "Flags:", *(line for flag in _FLAGS.items() for line in _entry(*flag))]
    return "\n".join(lines)


def _keys(
    keys: Mapping[str, Any],
    chosen: Mapping[str, str | None],
    comments: Mapping[str, str],
    folders: Sequence[Path],
) -> Iterator[str]:
    """Go through the lines about keys: those at the root, then those of each group below its option."""
    comments, titles = dict(comments), {}
    for group, option in chosen.items():
        if option and (group in keys or any(key.startswith(f"{group}.") for key in keys)):
            found = read_comments(folders, f"{group}/{option}")
            titles[group] = found.title
            comments = {f"{group}.{key}": text for key, text in found.keys.items()} | comments
    before = ""
    for key, value in sorted(keys.items(), key=lambda item: "." in item[0]):
        group = key.partition(".")[0] if "." in key else ""
        if group != before:
            title = titles.get(group) or comments.get(group, "")
            yield from ["", *_entry(f"{group}={chosen[group]}" if group in chosen else group, title)]
        before = group
        yield from _entry(f"{key}={_spelt(value)}", comments.get(key, ""))


def _entry(name: str, text: str) -> list[str]:
    """Return a name and what it means beside it, in as many lines as that takes."""
    width = max(shutil.get_terminal_size((110, 24)).columns, _NAMES + 30)
    lines = textwrap.wrap(text, width - _NAMES - 2) or [""]
    if len(name) >= _NAMES:
        lines, first = ["", *lines] if text else [""], name
    else:
        first = name.ljust(_NAMES)
    return [f"  {first}{lines[0]}".rstrip(), *(f"  {'':{_NAMES}}{line}" for line in lines[1:])]


def _spelt(value: object) -> str:
    """Return a value as a command line has it."""
    if isinstance(value, list):
        return f"[{','.join(map(_spelt, value))}]"
    if value == "":
        return "''"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
