"""A page of one file: its HTML with style, program, data and plotly in it.

Data and plotly.js are embedded as gzip in base64 and unpacked by the browser (DecompressionStream, in all
browsers since 2023): plotly takes 2 MB instead of 4.8 MB.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from audiotok.disk.writing import write_text
from audiotok.errors import UserError


def require(verb: str, extra: str, *packages: str) -> None:
    """Check for packages before anything is read.

    Args:
        verb: Of the command.
        extra: Of audiotok, that installs them.
        packages: Names that are imported.

    Raises:
        UserError: One is not installed.
    """
    for package in packages:
        if find_spec(package) is None:
            raise UserError(
                f"audiotok {verb} needs {package}, which is not installed; pip install 'audiotok[{extra}]'."
            )


def assemble(
    package: str, scripts: Sequence[str], data: Mapping[str, Any], more: Mapping[str, str] | None = None
) -> str:
    """Return the HTML of a page.

    In `page.html`, `/*style*/`, `/*program*/`, `/*data*/` and `/*plotly*/` stand where these go.

    Args:
        package: Where `page.html`, `page.css` and the scripts lie.
        scripts: Its scripts, in order; `shared.js` comes before them.
        data: What the page shows, in types that JSON knows.
        more: Further places of `page.html`, and what goes there as it is.
    """
    own, common, plotly = files(package), files(__package__), files("plotly")
    program = [common.joinpath("shared.js"), *(own.joinpath(name) for name in scripts)]
    styles = [common.joinpath("style.css"), own.joinpath("page.css")]
    parts = {
        "style": "\n".join(path.read_text(encoding="utf-8") for path in styles),
        "program": "\n".join(path.read_text(encoding="utf-8") for path in program),
        "data": packed(json.dumps(data, separators=(",", ":"), allow_nan=False).encode()),
        "plotly": packed(plotly.joinpath("package_data", "plotly.min.js").read_bytes()),
        **(more or {}),
    }
    html = own.joinpath("page.html").read_text(encoding="utf-8")
    for name, text in parts.items():
        html = html.replace(f"/*{name}*/", text)
    return html


def packed(content: bytes) -> str:
    """Return bytes as gzip in base64."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def write_page(path: Path, html: str, key: str) -> None:
    """Write a page in one step.

    Args:
        path: Its file.
        html: The page.
        key: What the user chose the file with, for errors.

    Raises:
        UserError: It cannot be written.
    """
    try:
        write_text(path, html)
    except OSError as error:
        raise UserError(
            f"{key}={path} cannot be written ({error.strerror}); give a file in a folder that exists."
        ) from error
