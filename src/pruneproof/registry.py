"""Finding things by name: the members of a package are its modules, so that adding one means adding a file.

A module whose name starts with `_`, or is `stage` or `protocol`, is not a member. Listing names imports no member.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from pruneproof.errors import PruneProofError

NOT_MEMBERS = frozenset({"stage", "protocol"})
"""Public modules of a package that are never members: the body of its stage, and what its members promise."""


def module_names(package: str) -> tuple[str, ...]:
    """Names of a package's members, sorted, without importing any of them.

    Args:
        package: Dotted name, such as `pruneproof.pruning`.
    """
    found = (module.name for module in pkgutil.iter_modules(importlib.import_module(package).__path__))
    return tuple(sorted(name for name in found if not name.startswith("_") and name not in NOT_MEMBERS))


def load_module(package: str, name: str, noun: str, needs: Iterable[str] = ()) -> ModuleType:
    """Import one member of a package by its name.

    Args:
        package: Dotted name, such as `pruneproof.pruning`.
        name: The member's name as the user wrote it.
        noun: What a member is called in the error, such as `pruning method`.
        needs: What a member of that package must define.

    Raises:
        PruneProofError: if there is no such member, it lacks what it must define, it is not Python, it fails while it
            is imported, or it needs a distribution that is not installed.
    """
    known = module_names(package)
    if name not in known:
        raise unknown(noun, name, known)
    try:
        module = importlib.import_module(f"{package}.{name}")
    except PruneProofError:
        raise
    except SyntaxError as error:
        raise _not_python(error, f"{package}.{name}") from error
    except Exception as error:  # whatever stops it, the member is what the user can correct
        where = _place(error, f"{package}.{name}")
        if isinstance(error, ModuleNotFoundError) and not _of_ours(error.name, package):
            what = f"needs the module {error.name!r} ({where}), which is not installed: run `make setup`"
        else:
            what = f"cannot be imported: {where}: {type(error).__name__}: {error}: correct it"
        raise PruneProofError(f"{noun} {name!r} {what}") from error
    lacking = [attribute for attribute in needs if not hasattr(module, attribute)]
    if lacking:
        raise PruneProofError(
            f"{noun} {name!r} ({module.__file__}) does not define {', '.join(lacking)}: see {package}.__doc__"
        )
    return module


def _not_python(error: SyntaxError, module: str) -> PruneProofError:
    spec = importlib.util.find_spec(module)  # a null byte is told without the file that has it
    where = error.filename or (spec.origin if spec else module)
    return PruneProofError(f"{where}{f', line {error.lineno}' if error.lineno else ''}: {error.msg}: correct it")


def _of_ours(module: str | None, package: str) -> bool:
    """Whether a module belongs to the distribution of a package: nothing that is installed brings it."""
    return (module or "").partition(".")[0] == package.partition(".")[0]


def _place(error: BaseException, module: str) -> str:
    """The file and line at which the import of a module failed: in its own source if that was running."""
    spec = importlib.util.find_spec(module)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if spec and frame.filename == spec.origin]
    last = (own or frames)[-1]
    return f"{last.filename}, line {last.lineno}"


def constants(package: str, name: str) -> dict[str, Any]:
    """The top-level names of one member that are given literal values, read from its source without running it.

    Args:
        package: Dotted name, such as `pruneproof.backbones.families`.
        name: of a member.

    Raises:
        PruneProofError: if it is not Python.
    """
    spec = importlib.util.find_spec(f"{package}.{name}") if name in module_names(package) else None
    if spec is None or spec.origin is None:
        return {}
    found: dict[str, Any] = {}
    try:
        body = ast.parse(Path(spec.origin).read_bytes(), spec.origin).body
    except SyntaxError as error:
        raise _not_python(error, f"{package}.{name}") from error
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
            with suppress(ValueError):
                found[target.id] = ast.literal_eval(node.value)
    return found


def merge(package: str, attribute: str, noun: str) -> Mapping[str, Any]:
    """One read-only mapping out of the mappings that all members of a package expose under the same attribute.

    Args:
        package: Dotted name, such as `pruneproof.perturbations.images`.
        attribute: Name of the mapping in each member, such as `PERTURBATIONS`.
        noun: What an entry is called in errors, such as `image perturbation`.

    Returns:
        Name to entry, in the order of the members' names and then of their mappings.

    Raises:
        PruneProofError: if a member lacks the attribute or two members define the same name.
    """
    entries: dict[str, Any] = {}
    owners: dict[str, str] = {}
    for member in module_names(package):
        mapping = getattr(load_module(package, member, noun), attribute, None)
        if not isinstance(mapping, Mapping):
            raise PruneProofError(
                f"{package}.{member} defines no mapping {attribute}: add one, or start the module's name with '_'"
            )
        for name, entry in mapping.items():
            if name in owners:
                raise PruneProofError(
                    f"{noun} {name!r} is defined in {package}.{owners[name]} and again in {package}.{member}: "
                    "rename one of them"
                )
            owners[name], entries[name] = member, entry
    return MappingProxyType(entries)


def unknown(noun: str, name: str, known: Iterable[str]) -> PruneProofError:
    """The error for a name that does not exist: it lists what does, the closest match first."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    ordered = [*close, *(other for other in names if other not in close)]
    return PruneProofError(f"unknown {noun} {name!r}{hint}; known: {', '.join(ordered) or 'none'}")
