"""Where results come from: digests of files, and the commit of the code."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from pruneproof import files


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit that is checked out."""

    name: str
    """40 hexadecimal digits."""
    date: str
    """`2026-11-27`."""
    dirty: bool
    """Whether code or settings differ from it."""


def file_digest(path: Path) -> str:
    """Digest of one file's bytes; empty if there is no such file."""
    return files.digest_file(path) if path.is_file() else ""


def folder_digest(path: Path) -> str:
    """Digest of the names and contents of a folder's files, one in memory at a time; empty if there are none."""
    names = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    parts = (part.encode() for file in names for part in (file.relative_to(path).as_posix(), file_digest(file)))
    return files.digest(*parts) if names else ""


def commit_of(project: Path) -> Commit | None:
    """The commit of a project's folder; None outside a git repository."""
    found = _git(project, "show", "-s", "--format=%H %cs", "HEAD").split()
    if len(found) != 2:
        return None
    name, date = found
    # DVC rewrites dvc.lock while the stage runs: only what changes results counts as dirty.
    changed = _git(project, "status", "--porcelain", "--", "src", "params.yaml", "studies/*/params.yaml")
    return Commit(name, date, dirty=bool(changed))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, encoding="utf-8", timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
