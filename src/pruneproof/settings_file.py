"""A YAML file of settings as plain values, with the line of each, and what is wrong with them in the file's order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from pruneproof.errors import PruneProofError
from pruneproof.plurals import number_of
from pruneproof.problems import Location, Problem

DEEPEST = 20
"""Levels to which values may be nested; settings have six at most."""
MOST_VALUES = 20_000
"""Values of one file, aliases followed; the default study has two hundred."""
MOST_BYTES = 1_000_000
SHOWN = 40
"""Problems that are listed one by one."""


def read_yaml(path: Path) -> tuple[Any, dict[Location, int], list[Problem]]:
    """Read a YAML file with the parser that DVC reads it with, so that both see the same values.

    Returns:
        The values, the line (from 1) of every location, and one problem for each key that is given twice.

    Raises:
        PruneProofError: if the file is missing, unreadable, empty, not YAML, or nested without end.
    """
    text = _text(path)
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True
    try:
        root = yaml.compose(text)
        lines: dict[Location, int] = {}
        repeated = list(_walk(root, (), lines)) if root is not None else []
        values = yaml.load(text)
    except MarkedYAMLError as error:
        raise PruneProofError(f"{path} is not valid YAML: {parser_said(error)}") from None
    except YAMLError as error:
        raise PruneProofError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from None
    except (_TooMuchError, RecursionError):
        raise PruneProofError(
            f"{path} is nested more than {DEEPEST} levels deep or holds more than {MOST_VALUES} values, which "
            "settings never need: look for an anchor that holds itself"
        ) from None
    except ValueError as error:  # a date such as 2026-99-99, a number of thousands of digits
        raise PruneProofError(f"{path} holds a value that cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict) or not values:
        raise PruneProofError(f"{path} holds no settings: write `study: {{name: ...}}` and the other sections into it")
    problems = [
        Problem(where, f"the key is given twice (lines {first} and {second}): delete one of them")
        for where, first, second in repeated
    ]
    return json.loads(json.dumps(_plain(values), default=str)), lines, problems


def parser_said(error: MarkedYAMLError) -> str:
    """What a parser of YAML stumbled over, and in which line."""
    line = error.problem_mark.line + 1 if error.problem_mark else 1
    problem = str(error.problem or error.context)
    return f"line {line}: {problem}{'; indent with spaces, not tabs' if repr(chr(9)) in problem else ''}"


def described(path: Path, problems: list[Problem], lines: dict[Location, int]) -> str:
    """All problems as one message, in the order of the file."""

    def line(problem: Problem) -> int:
        where = problem.where
        while where and where not in lines:
            where = where[:-1]
        return lines.get(where, 1)

    unique = {(line(problem), problem.path, problem.what): None for problem in problems}
    rows = [f"  line {number}: {where}: {what}" for number, where, what in sorted(unique)]
    more = [f"  ... and {len(rows) - SHOWN} more"] if len(rows) > SHOWN else []
    return "\n".join([f"{path} has {number_of(len(rows), 'problem')}:", *rows[:SHOWN], *more])


class _TooMuchError(Exception):
    """The values are nested too deeply, or are too many."""


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if len(content) > MOST_BYTES:
            raise PruneProofError(
                f"{path} has {len(content)} bytes, more than {MOST_BYTES}: it is not a file of settings"
            )
        return content.decode("utf-8")
    except FileNotFoundError:
        raise PruneProofError(f"{path} is missing: settings are read from it") from None
    except UnicodeDecodeError as error:
        raise PruneProofError(f"{path} is not UTF-8 text ({error}): save it as UTF-8") from None
    except OSError as error:
        raise PruneProofError(f"{path} cannot be read ({error.strerror}): it must be a file of settings") from None


def _plain(value: Any) -> Any:
    """The values as JSON can hold them: every key as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _walk(node: Node, where: Location, lines: dict[Location, int]) -> Iterator[tuple[Location, int, int]]:
    """Record the line of every location under `node`, and yield each repeated key with its first and later line.

    Raises:
        _TooMuchError: before the values are built, because aliases can make endless ones out of a few bytes.
    """
    if len(where) > DEEPEST or len(lines) > MOST_VALUES:
        raise _TooMuchError
    lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in seen:
                yield (*where, name), seen[name], line
            seen[name] = line
            lines[*where, name] = line
            yield from _walk(value, (*where, name), lines)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _walk(item, (*where, index), lines)
