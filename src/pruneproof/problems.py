"""One thing wrong with the settings, and how a pydantic model's errors become such things."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

Location = tuple[str | int, ...]
"""The location of a value: `("perturbations", "image", "severities", 2)`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with params.yaml."""

    where: Location
    what: str
    """The value, why it is wrong, and what is allowed."""

    @property
    def path(self) -> str:
        """The location as it is written in prose: `perturbations.image.severities[2]`."""
        parts = (part if isinstance(part, int) or len(part) <= 80 else f"{part[:77]}..." for part in self.where)
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
        return text.lstrip(".") or "the file"


def model_problems(model: type[BaseModel], values: Any, where: Location = ()) -> list[Problem]:
    """What a pydantic model finds wrong with `values`, at locations that start with `where`."""
    try:
        model.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        return [_problem(model, dict(detail), where) for detail in error.errors()]
    return []


def _problem(model: type[BaseModel], detail: dict[str, Any], where: Location) -> Problem:
    """A pydantic error in the words of this project."""
    inner = tuple(part for part in detail["loc"] if part != "[key]")
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        what = f"unknown key{suggestion(str(inner[-1]), keys_at(model, inner[:-1]))}"
    elif kind == "missing":
        what = "is missing and has no default"
    elif kind == "string_pattern_mismatch":
        what = (
            f"{short(value)} is not a valid id: use lower case letters, digits and '_', starting with a letter (no '-')"
        )
    elif kind == "literal_error":
        what = f"{short(value)} is not allowed; allowed: {context['expected']}"
    else:
        message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
        what = f"{short(value)}: {message}" if not isinstance(value, dict) else message
    return Problem((*where, *inner), what)


def short(value: Any) -> str:
    """A value as messages show it: shortened where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def suggestion(wrong: str, known: Sequence[str]) -> str:
    """The tail of an error on a name: the closest known one, and all of them."""
    close = get_close_matches(wrong, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{hint}; allowed: {', '.join(known) or 'none'}"


def keys_at(model: type[BaseModel], where: Location) -> list[str]:
    """The keys a model allows at a location."""
    schema = TypeAdapter(model).json_schema()
    node: dict[str, Any] = schema
    for part in where:
        node = _resolve(node, schema)
        if isinstance(part, str) and part in node.get("properties", {}):
            node = node["properties"][part]
        else:
            node = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), {})
    return list(_resolve(node, schema).get("properties", {}))


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a JSON-schema reference."""
    reference = node.get("$ref")
    found: dict[str, Any] = schema["$defs"][reference.rsplit("/", 1)[1]] if reference else node
    return found
