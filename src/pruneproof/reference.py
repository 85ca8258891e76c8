"""Every name that params.yaml takes, and every setting, as one page: made from the code, so that a file that somebody
adds to a package is on it."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from pruneproof import prompts, registry
from pruneproof.perturbations import text
from pruneproof.pruning._budgets import PUBLISHED
from pruneproof.settings import Identifier, Study

ID = TypeAdapter(Identifier).json_schema()["pattern"]


def report(study: Path) -> None:
    """Print the page; it is the same for every study."""
    del study
    print(page(), end="")


def page() -> str:
    """The page in Markdown."""
    return "\n".join(line.rstrip() for line in _page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Names and settings of params.yaml"
    yield ""
    yield "Printed by `python -m pruneproof reference`, with whatever files of your own are in the packages."
    yield "An id has lower-case letters, digits and `_`, a letter first."
    yield ""
    for key, model in _sections(Study):
        yield f"## `{key}`"
        yield from _described(model.__doc__)
        yield from _table(model)
    yield "## Families of `backbones.<id>.family`"
    yield ""
    yield from (f"- `{name}`: {_first(doc)}" for name, doc in _documents("pruneproof.backbones.families"))
    yield ""
    yield "## Prompts of `backbones.<id>.prompt`"
    yield ""
    yield from (f"- `{name}`: {record.title}" for name, record in sorted(prompts.RECORDS.items()))
    yield ""
    yield "## Methods of `methods.<id>.method`, and their options"
    yield ""
    budgets = ", ".join(f"`{name}` ({share:.1%})" for name, share in PUBLISHED.items())
    yield f"A published budget in the place of a share: {budgets}, of LLaVA-1.5's 576 visual tokens."
    yield ""
    for name, doc in _documents("pruneproof.pruning"):
        yield f"### `{name}`"
        yield from _described(doc)
        yield from _table(importlib.import_module(f"pruneproof.pruning.{name}").Settings)
    yield "## Image perturbations of `perturbations.image.names`"
    yield ""
    yield from _perturbations("pruneproof.perturbations.images")
    yield ""
    yield "Each at severities 1 to 5."
    yield ""
    yield "## Text perturbations of `perturbations.text.names`"
    yield ""
    yield from _perturbations("pruneproof.perturbations.text")
    yield ""
    graded = {name: one.severities for name, one in text.registered().items() if len(one.severities) > 1}
    yield f"With severities: {'; '.join(f'`{name}` {_span(found)}' for name, found in graded.items())}."
    yield ""
    yield "## Benchmarks of `benchmark.name`, and their `benchmark.options`"
    yield ""
    for name, _ in _documents("pruneproof.benchmarks"):
        module = importlib.import_module(f"pruneproof.benchmarks.{name}")
        yield f"### `{name}`"
        yield from _described(f"{module.CARD.title}. {module.CARD.source}")
        yield from _table(module.Options)


def _sections(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Keys of params.yaml with what they hold, those that hold nothing but other sections left out."""
    for name, field in model.model_fields.items():
        named = get_origin(field.annotation) is dict
        held = get_args(field.annotation)[1] if named else field.annotation
        if isinstance(held, type) and issubclass(held, BaseModel):
            key = f"{above}{name}{'.<id>' if named else ''}"
            if _settings(held):
                yield key, held
            yield from _sections(held, f"{key}.")


def _settings(model: type[BaseModel]) -> list[str]:
    """Fields that are no sections of their own."""
    sections = {key for key, _ in _sections(model) if "." not in key}
    return [name for name in model.model_fields if name not in sections]


def _documents(package: str) -> Iterator[tuple[str, str]]:
    """Members of a package with their docstrings; none is imported."""
    for name in registry.module_names(package):
        found = importlib.util.find_spec(f"{package}.{name}")
        assert found is not None
        assert found.origin is not None
        yield name, ast.get_docstring(ast.parse(Path(found.origin).read_text(encoding="utf-8"))) or ""


def _perturbations(package: str) -> Iterator[str]:
    for name, doc in _documents(package):
        names = ", ".join(f"`{one}`" for one in importlib.import_module(f"{package}.{name}").PERTURBATIONS)
        yield f"- {names}: {_first(doc)}"


def _span(severities: tuple[int, ...]) -> str:
    return f"{severities[0]} to {severities[-1]}"


def _described(document: str | None) -> Iterator[str]:
    yield ""
    yield _first(document or "")
    yield ""


def _first(document: str) -> str:
    """The first paragraph in one line."""
    return " ".join(inspect.cleandoc(document).split("\n\n")[0].split())


def _table(model: type[BaseModel]) -> Iterator[str]:
    """A row for each setting; nothing where there are none."""
    schema = model.model_json_schema()
    meanings = _meanings(model)
    rows = {name: schema["properties"][name] for name in _settings(model)}
    if not rows:
        yield "No options."
        yield ""
        return
    yield "| setting | values | default | meaning |"
    yield "|---|---|---|---|"
    for name, own in rows.items():
        default = f"`{json.dumps(own['default'])}`" if "default" in own else "must be given"
        cells = (f"`{name}`", _values(own, schema.get("$defs", {})), default, meanings.get(name, ""))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _values(own: Mapping[str, Any], shared: Mapping[str, Any]) -> str:
    """What a JSON schema accepts, in a few words."""
    if "$ref" in own:
        return _values(shared[own["$ref"].rpartition("/")[2]], shared)
    for several in ("anyOf", "oneOf"):
        if several in own:
            return " or ".join(dict.fromkeys(_values(one, shared) for one in own[several]))
    if "enum" in own or "const" in own:
        return ", ".join(f"`{json.dumps(one)}`" for one in own.get("enum", [own.get("const")]))
    kind = str(own.get("type", "any"))
    if kind == "array":
        several = f"list{_length(own)} of"
        return f"{several} {_values(own.get('items') or own.get('prefixItems', [{}])[0], shared)}"
    if own.get("pattern") == ID:
        return "id"
    words = {"integer": "whole number", "string": "text", "boolean": "`true`, `false`", "object": "mapping"}
    return " ".join(filter(None, (words.get(kind, kind), _bounds(own))))


def _length(own: Mapping[str, Any]) -> str:
    least, most = own.get("minItems", 0), own.get("maxItems")
    if most is not None:
        return f" of {most}," if least == most else f" of {least} to {most},"
    return f" of at least {least}," if least else ""


def _bounds(own: Mapping[str, Any]) -> str:
    signs = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return ", ".join(f"{word} {own[name]:,}" for name, word in signs.items() if name in own)


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings under a model's fields, and under those that it inherits."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if not issubclass(owner, BaseModel) or owner is BaseModel:
            continue
        [written] = ast.parse(inspect.getsource(owner)).body
        body = written.body if isinstance(written, ast.ClassDef) else []
        for field, after in pairwise(body):
            match field, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                    found[name] = " ".join(meaning.split())
    return found
