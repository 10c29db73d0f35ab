"""Passwords and tokens in URLs: masked in everything that is written, and restored for requests to a server.

Of `https://me:secret@host/sounds` the configuration, the log, the manifest and W&B have
`https://me:***@host/sounds`. What the stars stand for is remembered in an environment variable, which child
processes inherit, and nowhere else: a run that is repeated later has to be given the URL again.
"""

import json
import os
import re

from audiotok.errors import UserError

_MASK = "***"
_VARIABLE = "AUDIOTOK_URL_PASSWORDS"
# https://name:password@, or https://token@; the name in ssh://name@host is not a secret.
_USER = re.compile(
    r"(?P<scheme>[a-zA-Z][\w+.-]*://)(?P<user>[^/\s'\"?#@:]*)(?P<password>:[^/\s'\"?#]*)?"
    r"@(?P<host>[^/\s'\"?#,]*)"
)
_QUERY = re.compile(r"(?P<path>[a-zA-Z][\w+.-]*://[^\s'\"?#]*\?)(?P<query>[^\s'\"#,]+)")
# token=..., X-Amz-Signature=...
_PARAMETER = re.compile(
    r"(?P<key>(?:^|(?<=&))[\w.-]*(?:token|key|secret|sig|signature|pass|password|passwd|pwd|auth|credential|session)"
    r"(?:[-_]?id)?=)[^&]+",
    re.IGNORECASE,
)
_TOKENS_FOR_NAMES = ("http://", "https://")


def conceal(text: str) -> str:
    """Replace the passwords in the URLs of a text by stars, and remember them for `reveal`."""
    known = _known()

    def user(match: re.Match[str]) -> str:
        scheme, name, password = match["scheme"], match["user"], match["password"]
        if password is None and not (name and scheme.lower() in _TOKENS_FOR_NAMES):
            return match[0]
        stars = _MASK if password is None else f"{name}:{_MASK}"
        return _remember(known, f"{scheme}{stars}@{match['host']}", match[0])

    def query(match: re.Match[str]) -> str:
        masked = _PARAMETER.sub(rf"\g<key>{_MASK}", match["query"])
        return _remember(known, match["path"] + masked, match[0])

    if "://" not in text:
        return text
    concealed = _QUERY.sub(query, _USER.sub(user, text))
    if known != _known():
        os.environ[_VARIABLE] = json.dumps(known)
    return concealed


def reveal(url: str) -> str:
    """Return a URL with its passwords.

    Raises:
        UserError: They are not known to this process: the URL comes from a run that has left them out.
    """
    if _MASK not in url:
        return url
    whole = url
    for masked, real in reversed(_known().items()):  # the query of a URL was left out after its user
        whole = whole.replace(masked, real)
    if re.search(rf"(://|[:=]){re.escape(_MASK)}", whole):
        raise UserError(f"data.root={url} lacks its password, which no run keeps; give the whole URL again.")
    return whole


def hide(text: str) -> str:
    """Replace the passwords that are known in a text by stars, in the message of an error for example."""
    for masked, real in _known().items():
        text = text.replace(real, masked).replace(
            real.partition("?")[2] or real, masked.partition("?")[2] or masked
        )
    return text


def _remember(known: dict[str, str], masked: str, real: str) -> str:
    if real != masked:
        known[masked] = real
    return masked


def _known() -> dict[str, str]:
    return dict(json.loads(os.environ.get(_VARIABLE, "{}")))
