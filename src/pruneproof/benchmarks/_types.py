"""Whether a benchmark's rows and samples hold what their tables hold: a value of the right type in every field."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, get_type_hints

import pyarrow as pa
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from pruneproof.benchmarks import Benchmark
from pruneproof.records import IMAGES, OBJECTS, Sample

_INT = Annotated[int, Field(ge=0, le=2**31 - 1)]
_HELD = {
    pa.string(): str,
    pa.int32(): _INT,
    pa.float32(): Annotated[float, Field(allow_inf_nan=False)],
    pa.binary(): bytes,
}
"""What a column of a table holds."""

_MAY_BE_EMPTY = frozenset({"group", "colour", "answer", "answers", "split", "detail", "target", "file"})
"""Text fields that may be empty; an empty question or truth gets its own message."""
_PROSE = frozenset({"question", "answer", "answers", "rephrasings", "alternatives"})
"""Fields that may hold line breaks."""


def type_problems(benchmark: Benchmark) -> Iterator[str]:
    """One line for each value that its table cannot hold, or that no file can."""
    misshapen = list(_shape(benchmark))
    if misshapen:
        yield from misshapen
        return
    yield from _images(benchmark)
    for index, row in enumerate(benchmark.objects):
        yield from _row(row, f"object {row.get('object_id', f'number {index}')} of {row.get('image_id')!r}", OBJECTS)
    for sample in benchmark.samples:
        for field in fields(Sample):
            value = getattr(sample, field.name)
            yield from _value(f"sample {sample.sample_id!r}", field.name, value, _of_sample()[field.name])
    for name, forms in benchmark.shared.get("vocabulary", {}).items():
        yield from _value("vocabulary", "class", name, _adapter(str))
        yield from _value("vocabulary", f"forms of {name!r}", forms, _adapter(list[str]))


def image_problems(benchmark: Benchmark) -> Iterator[str]:
    """Those of `type_problems` that keep pictures from being looked at."""
    misshapen = list(_shape(benchmark))
    yield from misshapen or _images(benchmark)


def _images(benchmark: Benchmark) -> Iterator[str]:
    """A picture is held or is a file, whose size may be left to be read from it; its digest always is."""
    for index, row in enumerate(benchmark.images):
        optional = {"png", "width", "height"} if row.get("file") else {"file"}
        yield from _row(row, f"image {row.get('image_id', f'number {index}')!r}", IMAGES, {"sha256", *optional})


def _shape(benchmark: object) -> Iterator[str]:
    """Rows and samples that are missing altogether, so that there is no value to check."""
    if not isinstance(benchmark, Benchmark):
        yield f"build() gave {_short(benchmark)}: return a pruneproof.benchmarks.Benchmark"
        return
    for name, held in (("images", Mapping), ("objects", Mapping), ("samples", Sample)):
        rows = getattr(benchmark, name)
        if not isinstance(rows, list | tuple):
            yield f"{name} is {_short(rows)}: give a tuple"
            continue
        for index, row in enumerate(rows):
            if not isinstance(row, held):
                yield f"{name}[{index}] is {_short(row)}: should be a {held.__name__}"
    if not isinstance(benchmark.shared, Mapping):
        yield f"shared is {_short(benchmark.shared)}: should be a Mapping"
    elif not isinstance(benchmark.shared.get("vocabulary", {}), Mapping):
        yield f"vocabulary is {_short(benchmark.shared['vocabulary'])}: should be a Mapping"


def _row(
    row: Mapping[str, Any], said: str, schema: pa.Schema, optional: Collection[str] = frozenset()
) -> Iterator[str]:
    for name in row.keys() - set(schema.names):
        yield f"{said}: unknown column {name!r}; allowed: {', '.join(schema.names)}"
    for column in schema:
        if column.name not in row:
            if column.name not in optional:
                yield f"{said}: {column.name} is missing"
        else:
            yield from _value(said, column.name, row[column.name], _adapter(_HELD[column.type]))


@cache
def _of_sample() -> Mapping[str, TypeAdapter[Any]]:
    hints = get_type_hints(Sample) | {"target_objects": tuple[_INT, ...]}
    return {name: _adapter(hint) for name, hint in hints.items()}


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind, config=ConfigDict(strict=True))


def _value(said: str, name: str, value: Any, held: TypeAdapter[Any]) -> Iterator[str]:
    try:
        held.validate_python(value)
    except ValidationError as error:
        detail = error.errors()[0]
        yield f"{said}: {name} is {_short(value)}: {detail['msg'].removeprefix('Input ')}"
        return
    for text in _texts(value):
        if fault := _text_fault(name, text):
            yield f"{said}: {name} is {_short(text)}: {fault}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _text_fault(name: str, text: str) -> str:
    """Ids and names go into tables, figures and MLflow, which hold no control characters."""
    if not text.strip():
        return "" if text == "" and name in _MAY_BE_EMPTY else "must not be empty"
    allowed = "\t\n\r" if name in _PROSE else ""
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cs") and character not in allowed:
            return f"must not hold the character {character!a}"
    if name not in _PROSE and text != text.strip():
        return "must not begin or end with a space"
    return ""


def _short(value: Any) -> str:
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
