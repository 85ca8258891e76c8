"""Where a result comes from: digests of its data and the commit of its code."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pruneproof import files
from pruneproof.folders import Folders


def file_digest(path: Path) -> str:
    """Digest of one file's bytes; empty if there is no such file."""
    return files.digest(path.read_bytes()) if path.is_file() else ""


def folder_digest(path: Path) -> str:
    """Digest of the names and contents of a folder's files, one in memory at a time; empty if there are none."""
    names = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
    parts = (part.encode() for file in names for part in (file.relative_to(path).as_posix(), file_digest(file)))
    return files.digest(*parts) if names else ""


def data_digests(folders: Folders) -> dict[str, str]:
    """Digests of the benchmark, the corrupted images and the reworded questions, as tags; without what is missing."""
    found = {
        "data.benchmark": folder_digest(folders.benchmark),
        "data.corrupted": folder_digest(folders.corrupted),
        "data.reworded": folder_digest(folders.reworded),
    }
    return {name: value for name, value in found.items() if value}


def git_tags(project: Path) -> dict[str, str]:
    """The commit, and whether code or settings differ from it; empty outside a git repository."""
    commit = _git(project, "rev-parse", "HEAD")
    if not commit:
        return {}
    # DVC rewrites dvc.lock while the stage runs: only what changes results counts as dirty.
    changed = _git(project, "status", "--porcelain", "--", "src", "params.yaml", "studies/*/params.yaml")
    return {"git_commit": commit, "mlflow.source.git.commit": commit, "dirty": "yes" if changed else "no"}


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, encoding="utf-8", timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
