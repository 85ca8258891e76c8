"""Reading params.yaml: everything that is wrong with it is said at once, before anything runs."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from pruneproof.errors import PruneProofError
from pruneproof.problems import Location, Problem, model_problems
from pruneproof.settings import Study
from pruneproof.validation import checkpoint_problems, semantic_problems


def load_study(folder: Path) -> Study:
    """The settings of the study in `folder`.

    Raises:
        PruneProofError: naming every problem of params.yaml with its line, path, value and the allowed values.
    """
    path = folder / "params.yaml"
    values, lines, problems = read_yaml(path)
    problems += model_problems(Study, values) + semantic_problems(values) + checkpoint_problems(values, folder)
    if problems:
        raise PruneProofError(_report(path, problems, lines))
    return Study.model_validate_json(json.dumps(values), strict=True)


def make_command(target: str, folder: Path) -> str:
    """How a user calls a target of the Makefile for the study in `folder`: `make repro STUDY=small`."""
    place = folder.resolve()
    return f"make {target} STUDY={shlex.quote(place.name)}" if place.parent.name == "studies" else f"make {target}"


def read_yaml(path: Path) -> tuple[Any, dict[Location, int], list[Problem]]:
    """Read a YAML file with the parser that DVC reads it with, so that both see the same values.

    Returns:
        The values, the line (from 1) of every location, and one problem for each key that is given twice.

    Raises:
        PruneProofError: if the file is missing, empty or not YAML.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text)
        values = yaml.load(text)
    except FileNotFoundError:
        raise PruneProofError(f"{path} is missing: a study is a folder with a params.yaml") from None
    except OSError as error:
        raise PruneProofError(f"{path} cannot be read ({error.strerror}): it must be a file") from None
    except UnicodeDecodeError as error:
        raise PruneProofError(f"{path} is not UTF-8 text ({error}): save it as UTF-8") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise PruneProofError(f"{path}:{line} is not valid YAML: {error.problem or error.context}") from None
    except YAMLError as error:
        raise PruneProofError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise PruneProofError(f"{path} holds no settings: it must be a mapping with the keys of settings.Study")
    values = json.loads(json.dumps(_plain(values), default=str))
    lines: dict[Location, int] = {}
    problems = [
        Problem(where, f"the key is given twice (lines {first} and {second}): delete one of them")
        for where, first, second in _walk(root, (), lines)
    ]
    return values, lines, problems


def _plain(value: Any) -> Any:
    """The values as JSON can hold them: every key as text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _walk(node: Node, where: Location, lines: dict[Location, int]) -> Iterator[tuple[Location, int, int]]:
    """Record the line of every location under `node`, and yield each repeated key with its first and later line."""
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


def _report(path: Path, problems: list[Problem], lines: dict[Location, int]) -> str:
    """All problems as one message, in the order of the file."""

    def line(problem: Problem) -> int:
        where = problem.where
        while where and where not in lines:
            where = where[:-1]
        return lines.get(where, 1)

    unique = {(line(problem), problem.path, problem.what): None for problem in problems}
    rows = [f"  line {number}: {where}: {what}" for number, where, what in sorted(unique)]
    count = "1 problem" if len(rows) == 1 else f"{len(rows)} problems"
    return "\n".join([f"{path} has {count}:", *rows])
