"""What MLflow accepts as a name or a value, and how anything else is written so that it does.

Its limits are those of `mlflow.utils.validation` and of the columns of its database.
"""

from __future__ import annotations

import posixpath
import re

from pruneproof import files

KEY_LENGTH = 250
"""Characters of the name of a metric, a parameter, a tag or a run."""
EXPERIMENT_LENGTH = 200
"""Characters of an experiment's name. MLflow takes 500, but the name is also a folder's, whose limit is 255 bytes."""
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
EXPERIMENT_TAG_LENGTH = 20_000
_REFUSED = re.compile(r"[^\w/. -]")


def key(name: str) -> str:
    """The name under which a metric, parameter or tag is logged.

    Letters, digits and `_ - . / ` stay. Other characters are written as in URLs, their bytes in UTF-8 as hexadecimal
    digits, but with a colon for the per cent sign, which MLflow refuses; so are all `/` and `.` of a name that is no
    plain path (`a//b`, `../a`). What is then longer than 250 characters ends in `::` and a digest of the whole name.
    Different names have different keys.

    >>> key("accuracy/colour/red, green (b)")
    'accuracy/colour/red:2c green :28b:29'
    """
    text = _REFUSED.sub(_escaped, name)
    if not text or posixpath.normpath(text) != text or text.startswith(("/", "..")) or text == ".":
        text = re.sub(r"[/.]", _escaped, text) or "::"
    return _cut(text, KEY_LENGTH)


def experiment(name: str) -> str:
    """The experiment's name for a study's name: the same, unless it is too long."""
    return _cut(name, EXPERIMENT_LENGTH)


def run(name: str) -> str:
    """The run's name in the UI: the same, unless it is too long."""
    return _cut(name, KEY_LENGTH)


def model(name: str) -> str:
    """The name of a model: what MLflow refuses there becomes a blank.

    >>> model("builtin_llava/atp_25")
    'builtin_llava atp_25'
    """
    return _cut(re.sub(r"[/:.%'\"]", " ", name), KEY_LENGTH).replace("::", " ")


def value(text: str, limit: int) -> str:
    """A value of at most `limit` characters: a longer one says at its end how long it was, and its digest."""
    if len(text) <= limit:
        return text
    end = f" ... ({len(text)} characters, SHA-256 {files.digest(text.encode())})"
    return text[: limit - len(end)] + end


def _escaped(found: re.Match[str]) -> str:
    return "".join(f":{byte:02x}" for byte in found.group().encode("utf-8", "surrogatepass"))


def _cut(text: str, limit: int) -> str:
    """`text`, or its beginning with a digest of it; a colon before no two digits appears in no escaped name."""
    if len(text) <= limit:
        return text
    end = f"::{files.digest(text.encode())[:32]}"
    return text[: limit - len(end)] + end
