"""Which modules a result depends on, and digests of them that comments and docstrings do not change."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import pruneproof
from pruneproof.files import digest

HOME = Path(str(pruneproof.__file__)).parent
"""Folder of the package."""


def syntax(path: Path) -> str:
    """Digest of a module's syntax tree without comments, docstrings and layout.

    How Python prints a tree differs between its versions, so the version belongs with such a digest.
    """
    return _syntax(path.read_bytes())


@lru_cache(maxsize=1024)
def _syntax(source: bytes) -> str:
    return digest(ast.dump(_Undocumented().visit(ast.parse(source))).encode())


class _Undocumented(ast.NodeTransformer):
    """Drops strings that stand alone: they document what is around them and do nothing."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)


def closure(roots: Iterable[str], without: Collection[str] = ()) -> dict[str, Path]:
    """Modules of this package that are imported when the roots are, by name; imports inside functions count, too.

    Args:
        roots: dotted names of modules.
        without: modules that are left out, with what they alone import.
    """
    waiting, seen, found = set(roots).difference(without), set(without), dict[str, Path]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        path = source_of(name)
        if path is None:
            continue
        found[name] = path
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        waiting |= {name.rpartition(".")[0], *_imported(package, path.read_bytes())} - seen
    return dict(sorted(found.items()))


def source_of(module: str) -> Path | None:
    """The file of a module of this package, or None if there is none."""
    first, *parts = module.split(".")
    if first != pruneproof.__name__:
        return None
    path = HOME.joinpath(*parts)
    return next((file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()), None)


@lru_cache(maxsize=1024)
def _imported(package: str, source: bytes) -> frozenset[str]:
    """Everything that a module imports while it runs, absolutely or relatively, or names in a string as a module.

    Args:
        package: the one that relative imports start from.
        source: of the module.
    """
    found: set[str] = set()
    for node in _running(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) + 1 - node.level]
                base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} if node.value.startswith(f"{pruneproof.__name__}.") else set()
    return frozenset(found)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`, which never runs."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        checked = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
        waiting += node.orelse if isinstance(node, ast.If) and checked else ast.iter_child_nodes(node)
