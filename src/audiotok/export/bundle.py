"""The code in a Hugging Face folder: it needs transformers, torch and torchaudio, and not audiotok.

transformers copies a model's file and what that imports relatively, from one flat folder. So the modules that
a model needs are written there one by one: `audiotok.model.bert` becomes `model_bert.py`, and the imports
between them become relative. Nothing else is changed in them.
"""

import ast
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from audiotok import __version__
from audiotok.errors import UserError

TAGGER, TOKENIZER = "modeling_audiotok", "modeling_audiotok_tokenizer"  # the modules that transformers loads
_EXPORT, _PARTS = "audiotok.export", "audiotok.export.parts"
_ONLY_FITTING = "faiss"  # fits centroids, which a finished model has
_HEADER = f"# From audiotok {__version__}, MIT licence.\n"


def bundle(classes: Iterable[str], entry: str = TAGGER) -> dict[str, str]:
    """Return the files that a model needs: their names, and what they hold.

    Args:
        classes: The dotted names of the classes that it is made of.
        entry: The module that transformers loads.

    Raises:
        UserError: The source of one of them cannot be read.
    """
    classes = sorted(classes)
    plugins = {name.rpartition(".")[0] for name in classes if not name.startswith("audiotok.")}
    files = {f"{_flat(_PARTS)}.py": _HEADER + _parts(classes)}
    to_do = [f"{_EXPORT}.{entry}", *map(_module, classes)]
    while to_do:
        module = to_do.pop()
        file = f"{_flat(module)}.py"
        if file in files:
            continue
        source = _source(module)
        own = sorted(name for name in _imports(source) if name.startswith("audiotok.") or name in plugins)
        files[file] = _HEADER + _relative(source, own)
        to_do += own
    return files


def _module(class_name: str) -> str:
    return class_name.rpartition(".")[0]


def _flat(module: str) -> str:
    """Return the name of a module in the folder."""
    if module in (f"{_EXPORT}.{TAGGER}", f"{_EXPORT}.{TOKENIZER}"):
        return module.rpartition(".")[2]
    return module.removeprefix("audiotok.").replace(".", "_")


def _source(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise UserError(f"{module} has no source file, which an export would hold; export to ONNX instead.")
    return Path(spec.origin).read_text(encoding="utf-8")


def _imports(source: str) -> set[str]:
    """Return the modules from which a source imports names."""
    return {
        node.module
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }


def _relative(source: str, own: Iterable[str]) -> str:
    """Make imports from modules of the folder relative, and those that only fitting needs optional."""
    for module in own:
        source = re.sub(
            rf"^(\s*)from {re.escape(module)} import", rf"\1from .{_flat(module)} import", source, flags=re.M
        )
    optional = f"try:\n    import {_ONLY_FITTING}\nexcept ImportError:  # only fitting needs it\n    pass"
    return re.sub(rf"^import {_ONLY_FITTING}$", optional, source, flags=re.M)


def _parts(classes: Iterable[str]) -> str:
    """Return what takes the place of `audiotok.export.parts`."""
    imports = "".join(f"from .{_flat(_module(name))} import {name.rpartition('.')[2]}\n" for name in classes)
    entries = "".join(f'    "{name}": {name.rpartition(".")[2]},\n' for name in classes)
    return (
        f'"""The classes that this model is made of, by their names."""\n\n{imports}\n'
        f"_CLASSES = {{\n{entries}}}\n\n\n"
        'def class_of(name):\n    """Return the class of a dotted name."""\n    return _CLASSES[name]\n'
    )
