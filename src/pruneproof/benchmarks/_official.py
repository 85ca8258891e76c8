"""Reading files as benchmarks' authors publish them: an entry that cannot be used is noted with its place, and the
reading goes on.

What a benchmark needs of an entry is a model derived from `Entry`:

    class Question(Entry):
        question_id: int
        text: Text
        label: Literal["yes", "no"]

`read_lines` reads a file of JSON lines, `read_json` one that is JSON as a whole, whose entries `listed` or `keyed` then
gives. Both kinds come as `Found`, which knows where its entry stands.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from pruneproof.benchmarks._faults import Faults
from pruneproof.errors import PruneProofError
from pruneproof.problems import short


class Entry(BaseModel):
    """The fields that are read of one entry; others are ignored. A number is no text and a text no number.

    Sequences are `list`: what comes from `listed` and `keyed` is Python's, and a list is no tuple.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but tab and line breaks, and halves of characters, which no table of a study may hold."""


def _readable(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    if wrong := _UNWRITABLE.search(text):
        raise ValueError(f"must not hold the character {wrong[0]!a}")
    return text


def _plain_name(name: str) -> str:
    if not name.strip() or name.strip(".") == "" or not name.isprintable() or set(name) & set("/\\"):
        raise ValueError("should be the name of a file, without folders")
    return name


Text = Annotated[str, AfterValidator(_readable)]
"""Text that holds more than blanks, and no control characters."""
FileName = Annotated[str, AfterValidator(_plain_name)]
"""Name of a file in a folder that the benchmark knows."""

E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Found(Generic[E]):
    """An entry and its place."""

    entry: E
    file: Path
    line: int = 0
    """In a file of JSON lines, from 1; else 0."""
    key: str = ""
    """What the entry stands under, where the file is a mapping, as in `{"02930152": {...}}`."""
    name: str = ""
    """In a file that is JSON as a whole: `entry 3`, from 1, or the key in quotes; else empty."""

    def note(self, faults: Faults, what: str) -> None:
        """Take note that the entry cannot be used.

        Args:
            faults: of the request.
            what: the value that is wrong, and what is allowed.
        """
        faults.add(self.file, f"{self.name}: {what}" if self.name else what, self.line)

    @property
    def place(self) -> str:
        """As a message about another entry of the same file names it: `line 3` or `entry 3`."""
        return self.name or f"line {self.line}"


def read_lines(file: Path, form: type[E], faults: Faults) -> list[Found[E]]:
    """Entries of a file of JSON lines, in order; blank lines are passed over.

    Args:
        file: in UTF-8.
        form: what an entry must hold.
        faults: takes note of each line that is no such entry, and of a file without any.

    Raises:
        OSError: if the file cannot be read.
    """
    found = []
    content = file.read_bytes().removeprefix(codecs.BOM_UTF8)
    for line, text in enumerate(content.split(b"\n"), start=1):
        if text.strip():
            try:
                found.append(Found(form.model_validate_json(text), file, line))
            except ValidationError as error:
                faults.add(file, _wrong(error), line)
    if not content.strip():
        faults.add(file, "is empty: restore it")
    return found


def read_json(file: Path, faults: Faults) -> Any:
    """The value of a file that is JSON as a whole.

    Args:
        file: in UTF-8.
        faults: takes note of a key that occurs twice in one mapping, as an id that two entries share; the later one
            counts.

    Raises:
        OSError: if the file cannot be read.
        PruneProofError: if it is not JSON, such as a download that was cut short; nothing of it could be used.
    """

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    faults.add(file, f"{short(key)} occurs twice as a key: leave one entry")
                seen.add(key)
        return made

    try:
        return json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=mapping)
    except json.JSONDecodeError as error:
        where, reason = f"{file}, line {error.lineno}", f"{error.msg}, character {error.colno}"
    except (ValueError, RecursionError) as error:  # not UTF-8, a number of 5,000 figures, 1,000 brackets
        where, reason = str(file), str(error)
    raise PruneProofError(f"{where}: is not JSON ({reason}): restore the file")


def listed(file: Path, content: Any, form: type[E], faults: Faults, under: str = "") -> list[Found[E]]:
    """Entries of a list.

    Args:
        file: where it comes from.
        content: of that file, from `read_json`.
        form: what an entry must hold.
        faults: takes note of each item that is no such entry, and of an empty list.
        under: the key of the list; empty if the file is nothing but this list.

    Raises:
        PruneProofError: if there is no list, so that this must be another file.
    """
    if under and not (isinstance(content, Mapping) and under in content):
        raise PruneProofError(f"{file}: has no {under!r}: is it the right file?")
    items = content[under] if under else content
    said = repr(under) if under else "the file"
    if not isinstance(items, list):
        raise PruneProofError(f"{file}: {said} is {short(items)}, but should be a list: is it the right file?")
    if not items:
        faults.add(file, f"{said} is an empty list: restore the file")
    prefix = f"{under} entry" if under else "entry"
    return _entries(file, ((f"{prefix} {n}", "", item) for n, item in enumerate(items, start=1)), form, faults)


def keyed(file: Path, content: Any, form: type[E], faults: Faults) -> list[Found[E]]:
    """Entries of a mapping from ids to entries, such as GQA's questions; each knows its `key`.

    Args:
        file: where it comes from.
        content: of that file, from `read_json`.
        form: what an entry must hold.
        faults: takes note of each value that is no such entry, and of an empty mapping.

    Raises:
        PruneProofError: if there is no mapping, so that this must be another file.
    """
    if not isinstance(content, Mapping):
        raise PruneProofError(f"{file}: is {short(content)}, but should map ids to entries: is it the right file?")
    if not content:
        faults.add(file, "is an empty mapping: restore the file")
    return _entries(file, ((short(key), key, item) for key, item in content.items()), form, faults)


def unique(found: Iterable[Found[E]], field: str, faults: Faults) -> list[Found[E]]:
    """The entries without those whose id an earlier one has; each of these is noted.

    Args:
        found: of one file.
        field: which field is the id.
        faults: takes note of the repetitions.
    """
    first: dict[Hashable, Found[E]] = {}
    for item in found:
        value = getattr(item.entry, field)
        other = first.setdefault(value, item)
        if other is not item:
            item.note(faults, f"{field} {short(value)} is that of {other.place}: ids must be unique")
    return list(first.values())


def _entries(file: Path, items: Iterable[tuple[str, str, Any]], form: type[E], faults: Faults) -> list[Found[E]]:
    found = []
    for name, key, item in items:
        try:
            found.append(Found(form.model_validate(item), file, key=key, name=name))
        except ValidationError as error:
            faults.add(file, f"{name}: {_wrong(error)}")
    return found


def _wrong(error: ValidationError) -> str:
    """The first thing that is wrong with an entry: the field, its value and what is allowed."""
    detail = error.errors(include_url=False)[0]
    kind, value = detail["type"], detail["input"]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
    if kind == "json_invalid":
        text = value.decode(errors="replace") if isinstance(value, bytes) else value
        reason = detail["ctx"]["error"].replace(" at line 1 column", ", character")
        return f"is not JSON ({reason}): {short(text.strip())}: restore the line, or remove it"
    if kind == "missing":
        return f"{field} is missing"
    said = f"{field} is {short(value)}" if field else f"is {short(value)}"
    if kind == "model_type":
        return f"{said}: should be an object"
    if kind == "literal_error":
        return f"{said}; allowed: {detail['ctx']['expected']}"
    return f"{said}: {detail['msg'].removeprefix('Value error, ').removeprefix('Input ')}"
