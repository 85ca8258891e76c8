"""Where a result comes from, as tags: digests of its data and the commit of its code."""

from __future__ import annotations

from pathlib import Path

from pruneproof.folders import Folders
from pruneproof.provenance import commit_of, folder_digest


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
    commit = commit_of(project)
    if commit is None:
        return {}
    tags = {"git_commit": commit.name, "mlflow.source.git.commit": commit.name}
    return tags | {"dirty": "yes" if commit.dirty else "no"}
