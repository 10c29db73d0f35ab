"""What a node in a file of anybody's names, checked and built."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_object

from audiotok.errors import UserError
from audiotok.nodes.signature import check_kind, check_signature, check_targets
from audiotok.nodes.trust import check_trust


def build_stored(path: Path, key: str, node: object, kind: type, trust: Iterable[str] = ()) -> Any:
    """Build what a stored node names; no code is called but audiotok's, and that of trusted modules.

    Args:
        path: The file that holds the node, for errors.
        key: Where the node stands in it.
        node: What stands there.
        kind: The class that what it names must be derived from.
        trust: Modules whose classes it may name.

    Raises:
        UserError: It is not a node, names other code, or its arguments are not those of what it names.
    """
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise UserError(f"{path}: {key} names no class; copy it again from where it was made.")
    check_trust(path, {key: node}, trust)
    where = f"{path}: {key}"
    check_targets(where, node)
    check_signature(where, node)
    check_kind(where, node["_target_"], kind)
    try:
        return _build(node)
    except UserError:
        raise
    except Exception as error:  # the file may be anybody's: what does not fit is told
        raise UserError(
            f"{where} cannot be built ({type(error).__name__}: {' '.join(str(error).split())[:200]}); copy "
            "it again from where it was made."
        ) from error


def _build(node: Mapping[str, Any]) -> Any:
    arguments = {name: value for name, value in node.items() if not name.startswith("_")}
    built = {
        name: _build(value) if isinstance(value, Mapping) and "_target_" in value else value
        for name, value in arguments.items()
    }
    return get_object(node["_target_"])(**built)
