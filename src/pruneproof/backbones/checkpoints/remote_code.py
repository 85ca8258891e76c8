"""Code that comes with a checkpoint is never run, and the user is never asked whether it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from transformers import dynamic_module_utils

NO_REMOTE_CODE: Mapping[str, bool] = {"trust_remote_code": False}
"""Goes into every `from_pretrained`: without it transformers asks on standard input, and a `y` there runs the code."""


@contextmanager
def never_asking() -> Iterator[None]:
    """For libraries that call `from_pretrained` themselves without an answer, as open_clip's text towers do.

    With no time left to answer, transformers refuses at once. Source: transformers
    `dynamic_module_utils.py::resolve_trust_remote_code`.
    """
    module: Any = dynamic_module_utils
    before = module.TIME_OUT_REMOTE_CODE
    module.TIME_OUT_REMOTE_CODE = 0
    try:
        yield
    finally:
        module.TIME_OUT_REMOTE_CODE = before


def reason(error: Exception) -> str:
    """Why something could not be read, in one line without transformers' advice to trust the code."""
    text = str(error)
    if "trust_remote_code" in text:
        return "it needs its own code (`auto_map`), which is never run: use a checkpoint of a class in transformers"
    return text.splitlines()[0] if text else type(error).__name__
